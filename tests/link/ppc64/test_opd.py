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


DOTS = """
    .section .opd,"aw"
    .globl main
    .type main,@function
main: .quad .main,.TOC.@tocbase,0
    .text
    .globl .main
.main:
    mflr 0
    std 0,16(1)
    stdu 1,-112(1)
    li 3,40
    bl .here
    nop
    bl .old
    nop
    bl .member
    nop
    extsw 3,3
    bl .in_library
    nop
    addi 1,1,112
    ld 0,16(1)
    mtlr 0
    blr
    .section .note.GNU-stack,"",@progbits
"""
OLD = """
    .section .opd,"aw"
    .globl old
    .type old,@function
old: .quad .old,.TOC.@tocbase,0
    .text
    .globl .old
.old: addi 3,3,1
    blr
"""


@pytest.mark.parametrize("mode", ["-no-pie", "-pie"])
def test_dot_symbols(tc, mode):
    """`.name` is the code of `name`: defined beside it by old compilers, by the linker for what newer ones have made."""
    library = tc.so("libin.so", tc.c('#include <stdio.h>\nint in_library(int x) { printf("%d\\n", x); return 0; }', "-fPIC", name="l"))
    members = tc.ar("libm.a", tc.c("int member(int x) { return x * 2; }", "-fPIC", name="member"), tc.c("int unused;", name="u"))
    objs = [tc.asm(DOTS, name="main"), tc.asm(OLD, name="old"), tc.c("int here(int x) { return x + 1; }", "-fPIC", name="here")]
    for tools in (tc, tc.gnu):
        assert tc.out(tools.exe("prog", mode, *objs, members, library)) == "84\n"
    done = tc.link("prog", mode, *objs, library, check=False)
    assert done.rc != 0 and "undefined symbol: .member" in done.err and "undefined symbol: .here" not in done.err and ".old" not in done.err


def test_dot_symbols_of_shared_objects(tc):
    """What old compilers have made: the run-time linker is asked for descriptors only, never for code."""
    source = OLD + """
    .section .opd,"aw"
    .globl twice
    .type twice,@function
twice: .quad .twice,.TOC.@tocbase,0
    .text
    .globl .twice
.twice:
    mflr 0
    std 0,16(1)
    stdu 1,-112(1)
    bl .old
    nop
    bl .old
    nop
    addi 1,1,112
    ld 0,16(1)
    mtlr 0
    blr
    .section .note.GNU-stack,"",@progbits
"""
    lib = tc.so("libold.so", tc.asm(source, name="lib"))
    main = tc.c('#include <stdio.h>\nint twice(int), old(int); int main(void) { printf("%d %d\\n", twice(1), old(5)); return 0; }', name="m")
    assert tc.out(tc.exe("prog", main, lib)) == "3 6\n"
    assert not any(s.name.startswith(".") for s in tc.elf(lib).dynsyms if not s.defined)
