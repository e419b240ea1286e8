// Reads a file of LLVM assembly, verifies it and prints it again: a program of
// llvm-tblgen's size out of the static LLVM archives, whose answer can be checked.

#include "llvm/AsmParser/Parser.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

int main(int argc, char **argv) {
  if (argc != 2) {
    llvm::errs() << "usage: ir FILE.ll\n";
    return 2;
  }
  llvm::LLVMContext context;
  llvm::SMDiagnostic error;
  auto module = llvm::parseAssemblyFile(argv[1], error, context);
  if (!module) {
    error.print(argv[0], llvm::errs());
    return 1;
  }
  if (llvm::verifyModule(*module, &llvm::errs()))
    return 1;
  module->print(llvm::outs(), nullptr);
  return 0;
}
