// A compiler made of the static Clang and LLVM archives: the driver plans the
// jobs, `cc1` runs inside this process, and every target is registered, so that
// a link of this file makes about 3,000 archive members live and its result
// still compiles a C++ program (which is how the bench knows the link is right).

#include "clang/Basic/DiagnosticOptions.h"
#include "clang/Driver/Compilation.h"
#include "clang/Driver/Driver.h"
#include "clang/Driver/Tool.h"
#include "clang/Frontend/CompilerInstance.h"
#include "clang/Frontend/CompilerInvocation.h"
#include "clang/Frontend/TextDiagnosticBuffer.h"
#include "clang/Frontend/TextDiagnosticPrinter.h"
#include "clang/FrontendTool/Utils.h"
#include "llvm/ADT/IntrusiveRefCntPtr.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/VirtualFileSystem.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/TargetParser/Host.h"

#include <memory>
#include <string>
#include <vector>

using Arguments = llvm::SmallVectorImpl<const char *>;

static int run_cc1(llvm::ArrayRef<const char *> arguments) {
  auto instance = std::make_unique<clang::CompilerInstance>();
  instance->getPCHContainerOperations();
  llvm::IntrusiveRefCntPtr<clang::DiagnosticIDs> ids(new clang::DiagnosticIDs);
  llvm::IntrusiveRefCntPtr<clang::DiagnosticOptions> options(
      new clang::DiagnosticOptions);
  auto *early = new clang::TextDiagnosticBuffer;
  clang::DiagnosticsEngine diagnostics(ids, options, early);
  bool accepted = clang::CompilerInvocation::CreateFromArgs(
      instance->getInvocation(), arguments, diagnostics);
  instance->createDiagnostics();
  early->FlushDiagnostics(instance->getDiagnostics());
  if (!accepted)
    return 1;
  return clang::ExecuteCompilerInvocation(instance.get()) ? 0 : 1;
}

static int run_cc1_tool(Arguments &arguments) {
  return run_cc1(llvm::ArrayRef(arguments).drop_front(2));
}

int main(int argc, const char **argv) {
  llvm::InitLLVM setup(argc, argv);
  llvm::InitializeAllTargetInfos();
  llvm::InitializeAllTargets();
  llvm::InitializeAllTargetMCs();
  llvm::InitializeAllAsmPrinters();
  llvm::InitializeAllAsmParsers();
  llvm::InitializeAllDisassemblers();

  llvm::SmallVector<const char *, 256> arguments(argv, argv + argc);
  if (argc > 1 && llvm::StringRef(argv[1]) == "-cc1")
    return run_cc1_tool(arguments);

  llvm::IntrusiveRefCntPtr<clang::DiagnosticIDs> ids(new clang::DiagnosticIDs);
  llvm::IntrusiveRefCntPtr<clang::DiagnosticOptions> options(
      new clang::DiagnosticOptions);
  auto *printer = new clang::TextDiagnosticPrinter(llvm::errs(), options.get());
  clang::DiagnosticsEngine diagnostics(ids, options, printer);
  clang::driver::Driver driver(argv[0], llvm::sys::getDefaultTargetTriple(),
                               diagnostics);
  driver.CC1Main = run_cc1_tool;
  std::unique_ptr<clang::driver::Compilation> compilation(
      driver.BuildCompilation(arguments));
  if (!compilation || compilation->containsError())
    return 1;
  llvm::SmallVector<std::pair<int, const clang::driver::Command *>, 4> failed;
  int status = driver.ExecuteCompilation(*compilation, failed);
  for (const auto &job : failed)
    if (status == 0)
      status = job.first;
  return status;
}
