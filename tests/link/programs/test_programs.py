"""Larger programs: a code generator of LLVM's static archives that must compile correctly."""

from pathlib import Path

import pytest

from harness.toolchain import run_command

pytestmark = pytest.mark.targets("amd64")

IR_OF = """
struct shape { double (*area)(const struct shape *); double a, b; };
static double box(const struct shape *s) { return s->a * s->b; }
static double tri(const struct shape *s) { return s->a * s->b / 2; }
static int order(int n) { int s = 0; for (int i = 0; i < n; i++) switch (i % 5) { case 0: s += i; break; case 1: s ^= i; break; case 3: s -= 2; break; default: s++; } return s; }
int printf(const char *, ...);
int main(void) {
  struct shape all[] = {{box, 2, 3}, {tri, 2, 3}};
  double sum = 0;
  for (int i = 0; i < 2; i++) sum += all[i].area(&all[i]);
  printf("%.1f %d\\n", sum, order(100));
  return 0;
}
"""


@pytest.fixture(scope="module")
def llvm():
    """Flags to compile and link against LLVM's static archives."""
    say = lambda *args: run_command(["llvm-config-19", *args]).out.split()
    return say("--cxxflags"), say("--ldflags", "--link-static", "--libs", "x86codegen", "irreader", "passes", "--system-libs")


def compiled_by(tc, program):
    """What the program compiles must run and say what gcc's own compilation says."""
    ir = tc.dir / "in.ll"
    run_command(["clang-19", "-S", "-emit-llvm", "-O0", tc.write("in.c", IR_OF), "-o", ir])
    run_command([program, ir, tc.dir / "made.o"])
    expected = tc.out(tc.exe("reference", tc.c(IR_OF, "-O2", name="reference")))
    assert tc.out(tc.exe("made", tc.dir / "made.o")) == expected


@pytest.mark.parametrize("flags", [("-Wl,-O1",), ("-Wl,--gc-sections,--build-id,-z,now", "-Wl,--compress-debug-sections=zlib"),
                                   ("-no-pie", "-Wl,-z,pack-relative-relocs"), ("-static-pie", "-Wl,--hash-style=both")],
                         ids=["plain", "gc", "no-pie", "static-pie"])
def test_code_generator(tc, llvm, flags):
    cxxflags, libs = llvm
    obj = tc.cxx((Path(__file__).parent / "code_generator.cpp").read_text(), "-O0", "-fPIE", *cxxflags, name="code_generator")
    if "-static-pie" in flags:
        # the distribution has no static libz3 and libxml2; nothing live here needs them
        libs = [word for word in libs if "z3" not in word and word != "-lxml2"]
    exe = tc.exe("code_generator", *flags, obj, *libs, driver="g++")
    compiled_by(tc, exe)


def test_code_generator_by_relocatable_link(tc, llvm):
    """Everything pulled in by a first link with -r, then linked again."""
    cxxflags, libs = llvm
    obj = tc.cxx((Path(__file__).parent / "code_generator.cpp").read_text(), "-O0", "-fPIE", *cxxflags, name="code_generator")
    archives = [w for w in libs if w.startswith("-lLLVM")]
    folder = [w for w in libs if w.startswith("-L")]
    rel = tc.ld("all.o", "-r", obj, *folder, *archives).path
    compiled_by(tc, tc.exe("code_generator", "-Wl,--gc-sections", rel, *[w for w in libs if w not in archives], driver="g++"))


@pytest.mark.lacks(bfd="no --threads", lld="about mclink", mold="about mclink", gold="about mclink")
def test_two_threads_and_one_give_the_same_program(tc, llvm):
    cxxflags, libs = llvm
    obj = tc.cxx((Path(__file__).parent / "code_generator.cpp").read_text(), "-O0", "-fPIE", *cxxflags, name="code_generator")
    one, two = (tc.exe("code_generator", f"-Wl,--threads={n},--gc-sections,--build-id", obj, *libs, driver="g++").read_bytes() for n in (1, 2))
    assert one == two
