"""ELFv1's function descriptors: those of code that is not in the output go, as with GNU ld."""

import pytest

pytestmark = pytest.mark.targets("ppc64")

SOURCE = """
#include <cstdio>
#include <stdexcept>
template<class T> __attribute__((noinline)) T twice(T x) { if (x < 0) throw std::runtime_error("neg"); return x + x; }
struct B { virtual int v() { return 1; } virtual ~B() {} };
inline __attribute__((noinline)) int shared_inline(int x) { static int n; return n += x; }
__attribute__((noinline)) static int unused(int x) { return x * 7; }
static int (*tab[])(int) = { shared_inline, twice<int> };
#ifdef MAIN
int other(int);
int main() {
  B b;
  int r = b.v() + twice(3) + other(4) + tab[0](5) + tab[1](2);
  try { twice(-1); } catch (std::exception &e) { std::printf("%s ", e.what()); }
  std::printf("%d\\n", r);
}
#else
int other(int x) { B b; return b.v() + twice(x) + tab[0](2) + (x > 100 ? unused(x) : 0); }
int dead_function(int x) { return twice(x) * 3; }
#endif
"""


@pytest.mark.parametrize("flags", [
    [], ["-Wl,--gc-sections"], ["-static", "-Wl,--gc-sections"], ["-Wl,--no-opd-optimize"], ["-pie", "-Wl,--emit-relocs"],
    ["-Wl,--gc-sections", "-Wl,--no-opd-optimize"]])
def test_descriptors_of_dead_code(tc, flags):
    cflags = ["-O1", "-ffunction-sections", "-fPIC"]
    objs = [tc.cxx(SOURCE, *cflags, "-DMAIN", name="main"), tc.cxx(SOURCE, *cflags, name="other")]
    ours, theirs = tc.exe("prog", *flags, *objs, driver="g++"), tc.gnu.exe("prog", *flags, *objs, driver="g++")
    assert tc.out(ours) == "neg 29\n"
    if flags != ["-static", "-Wl,--gc-sections"]:   # GNU ld keeps some of the C library's sections longer
        assert tc.elf(ours).section(".opd").size == tc.elf(theirs).section(".opd").size


def test_references_by_the_section(tc):
    """Addends that count from the start of .opd follow their descriptors."""
    loser = tc.asm("""
        .section .text.g,"axG",@progbits,g,comdat
    .Lg: blr
        .text
    .Lown: li 3,42
        blr
        .section .opd,"aw"
        .weak g
        .type g,@function
    g:  .quad .Lg,.TOC.@tocbase,0
    own: .quad .Lown,.TOC.@tocbase,0
        .section .data.rel,"aw"
        .globl pointer
    pointer: .quad .opd+24
    """, name="loser")
    winner = tc.asm("""
        .section .text.g,"axG",@progbits,g,comdat
    .Lg: blr
        .section .opd,"aw"
        .weak g
        .type g,@function
    g:  .quad .Lg,.TOC.@tocbase,0
    """, name="winner")
    main = tc.c('#include <stdio.h>\nextern int (*pointer)(void); int main(void) { printf("%d\\n", pointer()); return 0; }', name="m")
    for mode in ("-no-pie", "-pie"):
        exe = tc.exe("prog", mode, winner, main, loser)
        assert tc.out(exe) == "42\n"
        assert tc.elf(exe).section(".opd").size == tc.elf(tc.gnu.exe("prog", mode, winner, main, loser)).section(".opd").size
