"""Inputs from Debian's static archives: (b) sqlite and llvm-tblgen sizes, (c) clang, (f) -r.

The archives come from libsqlite3-dev, llvm-19-dev, libclang-19-dev and libpolly-19-dev
(LLVM's LTO and Clang's code generator refer to Polly's plugin).  `clang_main.cpp` names every
target and the whole frontend, so that about 3,000 members become live.
"""

import glob
import os
import subprocess
import tempfile

from .case import (Case, capture_line, compile_source, is_elf, run_quietly, runs_and_prints)

HERE = os.path.dirname(os.path.abspath(__file__))
ET_REL = 1

IR_TEXT = """\
define i32 @twice(i32 %x) {
  %y = shl i32 %x, 1
  ret i32 %y
}
"""

COMPILED_TEXT = """\
#include <iostream>
#include <stdexcept>
#include <vector>

int main() {
  std::vector<int> items{1, 2, 3};
  try {
    items.at(7);
  } catch (const std::out_of_range &) {
    std::cout << "caught " << items.size() << "\\n";
  }
}
"""


def llvm_config(*words):
    """The words that llvm-config-19 prints."""
    return subprocess.run(["llvm-config-19", *words], capture_output=True, text=True,
                          check=True).stdout.split()


def compile_llvm(source, target):
    """Compile a source of this folder against the LLVM headers (no RTTI, as the archives)."""
    flags = ["-O2", *llvm_config("--cxxflags"), "-fno-rtti"]
    compile_source("g++", flags, os.path.join(HERE, source), target)


def prepare_programs(work):
    """(b): sqlite-size (1 object, 1 MB) and llvm-tblgen-size (an LLVM tool of 7 MB)."""
    folder = os.path.join(work, "programs")
    compile_source("gcc", ["-O2"], os.path.join(HERE, "sqlite_main.c"),
                   os.path.join(folder, "sqlite.o"))
    archive = run_quietly(["gcc", "-print-file-name=libsqlite3.a"], folder).stdout.strip()
    sqlite = capture_line(["gcc", "-pie", "sqlite.o", archive, "-lm", "-o", "a"], folder)

    compile_llvm("ir_main.cpp", os.path.join(folder, "ir.o"))
    archives = llvm_config("--link-static", "--libfiles", "asmparser")
    words = capture_line(["g++", "-pie", "ir.o", *archives, "-lz", "-lzstd", "-lm", "-o", "a"],
                         folder)
    text = os.path.join(folder, "twice.ll")
    with open(text, "w") as file:
        file.write(IR_TEXT)
    printed = (f"; ModuleID = '{text}'\nsource_filename = \"{text}\"\n\n" + IR_TEXT)
    return [
        Case("sqlite", "sqlite-size, C", sqlite, runs_and_prints("320\n"), rounds=30),
        Case("tblgen", "llvm-tblgen-size, C++", words, runs_and_prints(printed, [text]),
             rounds=20),
    ]


def compiles_a_program(path):
    """A check: the linked compiler compiles a C++ program with exceptions, which runs."""
    resources = os.path.join(llvm_config("--libdir")[0], "clang/19")
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "t.cpp")
        with open(source, "w") as file:
            file.write(COMPILED_TEXT)
        done = subprocess.run([path, "--driver-mode=g++", "-resource-dir", resources, "-O2",
                               source, "-o", "t"], cwd=folder, capture_output=True, text=True)
        if done.returncode != 0:
            return f"the linked compiler ended with status {done.returncode}"
        return runs_and_prints("caught 3\n")(os.path.join(folder, "t"))


def clang_archives():
    """Every static archive of LLVM and Clang 19, in name order."""
    found = sorted(glob.glob(os.path.join(llvm_config("--libdir")[0], "*.a")))
    if len(found) < 300:
        raise SystemExit("bench: libclang-19-dev, llvm-19-dev and libpolly-19-dev are needed")
    return found


def prepare_clang(work):
    """(c) clang release, with two threads and one; (f) its objects with -r and --emit-relocs.

    Writes the line to `work`/clang/link.rsp too, for use by hand: ``LINKER @link.rsp -o OUT``.
    """
    folder = os.path.join(work, "clang")
    target = os.path.join(folder, "main.o")
    compile_llvm("clang_main.cpp", target)
    archives = clang_archives()
    group = ["-Wl,--start-group", *archives, "-Wl,--end-group"]
    libraries = ["-lrt", "-ldl", "-lm", "-lz3", "-lz", "-lzstd", "-lxml2"]
    words = capture_line(["g++", "-pie", "main.o", *group, *libraries, "-o", "a"], folder)
    write_response(os.path.join(folder, "link.rsp"), words)
    release = Case("clang-release", "clang release", words, compiles_a_program,
                   rounds=9, threads=(None, 1))
    relocatable = Case("clang-r", "clang's objects, -r",
                       ["-r", "-m", "elf_x86_64", target, "--start-group", *archives,
                        "--end-group"], is_elf(ET_REL), rounds=5, threads=(None, 1))
    write_response(os.path.join(folder, "link-r.rsp"), relocatable.words)
    emitted = release.variant("clang-emit-relocs", "clang release, --emit-relocs",
                              ["--emit-relocs"], rounds=5)
    return [release, relocatable, emitted]


def write_response(path, words):
    """A response file with one word a line (GNU quoting: none of our words needs any)."""
    with open(path, "w") as file:
        file.write("\n".join(words) + "\n")
