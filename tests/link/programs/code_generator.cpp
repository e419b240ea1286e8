// An optimising compiler from LLVM IR to an x86-64 object, of LLVM's static archives: the size of link that a test run
// can afford (about 800 archive members, 100,000 input sections). Usage: code_generator in.ll out.o

#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/IRReader/IRReader.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"
using namespace llvm;
int main(int argc, char **argv) {
  InitializeNativeTarget();
  InitializeNativeTargetAsmPrinter();
  LLVMContext context;
  SMDiagnostic problem;
  std::unique_ptr<Module> module = parseIRFile(argv[1], problem, context);
  if (!module || verifyModule(*module, &errs())) return 1;
  std::string triple = sys::getDefaultTargetTriple(), error;
  const Target *target = TargetRegistry::lookupTarget(triple, error);
  std::unique_ptr<TargetMachine> machine(target->createTargetMachine(triple, "generic", "", TargetOptions(), Reloc::PIC_));
  module->setTargetTriple(triple);
  module->setDataLayout(machine->createDataLayout());
  PassBuilder builder(machine.get());
  LoopAnalysisManager loops; FunctionAnalysisManager functions; CGSCCAnalysisManager groups; ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules); builder.registerCGSCCAnalyses(groups);
  builder.registerFunctionAnalyses(functions); builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, groups, modules);
  builder.buildPerModuleDefaultPipeline(OptimizationLevel::O2).run(*module, modules);
  std::error_code code;
  raw_fd_ostream out(argv[2], code);
  legacy::PassManager emit;
  machine->addPassesToEmitFile(emit, out, nullptr, CodeGenFileType::ObjectFile);
  emit.run(*module);
}
