"""Accesses through the TOC pointer: which instructions are saved, with GNU ld's bytes."""

import pytest

pytestmark = pytest.mark.targets("ppc64", "ppc64le")

PLACES = ("-Ttext=0x10001000", "--section-start=.got=0x10200000", "-Tdata=0x10204000", "--section-start=.tdata=0x10300000",
          "--section-start=.far=0x11000000")

ACCESSES = """
    .text
    .globl _start
_start:
    addis 9,2,.LC0@toc@ha
    ld 9,.LC0@toc@l(9)
    addis 9,2,.LC1@toc@ha
    ld 10,.LC1@toc@l(9)
    addis 9,2,x@got@ha
    ld 9,x@got@l(9)
    addis 9,2,far@got@ha
    ld 9,far@got@l(9)
    addis 9,2,x@toc@ha
    addi 9,9,x@toc@l
    lwz 10,x@toc@l(9)
    lbz 10,x@toc@l(9)
    std 10,x@toc@l(9)
    lwa 10,x@toc@l(9)
    lfd 1,x@toc@l(9)
    stfs 1,x@toc@l(9)
    lxv 1,x@toc@l(9)
    addis 9,2,far@toc@ha
    addi 9,9,far@toc@l
    lwz 10,far@toc@l(9)
    addis 9,13,tv@tprel@ha
    addi 9,9,tv@tprel@l
    lwz 9,tv@tprel@l(9)
    ld 9,tv@tprel@l(9)
    addis 9,13,tfar@tprel@ha
    ld 9,tfar@tprel@l(9)
    .section .toc,"aw"
.LC0: .quad x
.LC1: .quad far
    .data
    .balign 16
x:  .quad 1
    .section .far,"aw"
    .balign 16
far: .quad 2
    .section .tdata,"awT"
tv: .quad 3
    .space 0x10000
tfar: .quad 4
"""


def code(tools, *options):
    tools.ld("a.out", tools.asm(ACCESSES, "-mcpu=power9", name="a"), *PLACES, *options)
    return tools.elf("a.out").data(".text")[:25 * 4]


def test_accesses(tc):
    assert code(tc) == code(tc.gnu)


def test_base_that_is_written(tc):
    """lwzu changes its base, which therefore cannot be the TOC pointer."""
    source = "    .text\n    .globl _start\n_start: addis 9,2,x@toc@ha\n    lwzu 3,x@toc@l(9)\n    .data\nx: .long 1\n"
    tc.ld("a.out", tc.asm(source, name="a"))
    text = tc.elf("a.out").data(".text")
    order = "little" if tc.target.little else "big"
    assert [int.from_bytes(text[i:i + 4], order) >> 16 for i in (0, 4)] == [0x3D22, 0x8469]


def test_no_toc_optimize(tc):
    """The instructions of the input, only their fields filled."""
    order = "little" if tc.target.little else "big"
    text = code(tc, "--no-toc-optimize")
    words = [int.from_bytes(text[i:i + 4], order) for i in range(0, len(text), 4)]
    assert all(words[i] >> 16 == 0x3D22 for i in (0, 2, 4, 6, 8)) and 0x60000000 not in words
    assert words[1] >> 16 == 0xE929


JOINED = [
    "lwz 3,0(9)", "lbz 3,4(9)", "lhz 3,4(9)", "lha 3,4(9)", "lwa 3,4(9)", "ld 3,-8(9)", "lfs 3,4(9)", "lfd 3,8(9)",
    "stw 3,0(9)", "stb 3,0(9)", "sth 3,0(9)", "std 3,0(9)", "stfs 3,0(9)", "stfd 3,0(9)", "lxv 35,16(9)", "lxv 3,16(9)",
    "stxv 35,32(9)", "lxsd 3,16(9)", "lxssp 3,16(9)", "stxsd 3,16(9)", "stxssp 3,16(9)",
    # not to be joined
    "lwzu 3,4(9)", "lwzx 3,4,9", "addi 3,9,4", "lwz 3,4(8)",
]


@pytest.mark.targets("ppc64le")
def test_prefixed_loads_of_addresses(tc):
    """pld of a slot becomes the address, or with PCREL_OPT the access itself."""
    source = "    .text\n    .globl _start\n_start:\n" + "".join(
        f"    pld 9,x@got@pcrel\n1:  addi 5,5,1\n    .reloc 1b-8,R_PPC64_PCREL_OPT,2f-(1b-8)\n2:  {insn}\n    nop\n" for insn in JOINED)
    source += "    pld 9,x@got@pcrel\n    pld 9,x@got@pcrel+8\n    .data\n    .globl x\nx: .space 64\n"
    texts = []
    for tools in (tc, tc.gnu):
        tools.ld("a.out", tools.asm(source, "-mcpu=power10", name="a"), "-Ttext=0x10001000", "-Tdata=0x10100000")
        texts.append(tools.elf("a.out").data(".text"))
    assert texts[0] == texts[1]


def test_values_through_words_of_the_toc(tc):
    """What is here is reached directly, what is elsewhere through its word; weak and absolute names keep theirs."""
    lib = tc.so("libv.so", tc.c("int there = 30;", "-fPIC", name="lib"))
    main = tc.c("""
        #include <stdio.h>
        extern int here, there, number __attribute__((visibility("default")));
        extern int nothing __attribute__((weak));
        static int own = 5;
        int *volatile p;
        int main(void) {
          p = &own;
          printf("%d %d %d %d %lx\\n", here, there, *p, &nothing == 0, (long)&number);
          return 0;
        }
    """, "-O1", "-fPIC", name="main")
    rest = tc.c("int here = 7; __asm__(\".globl number; .set number, 0x1234\");", name="rest")
    for mode in ("-no-pie", "-pie"):
        for option in ("--toc-optimize", "--no-toc-optimize"):
            assert tc.out(tc.exe("prog", mode, f"-Wl,{option}", main, rest, lib)) == "7 30 5 1 1234\n"


WORDS = """
#include <stdio.h>
#include <stdlib.h>
#define V(n) extern int v##n; extern int *p##n;
V(0) V(1) V(2) V(3) V(4) V(5)
extern int there; extern int weak_one __attribute__((weak)); int twice(int); static int own = 9;
static const char *const texts[] = {"one", "two", "three"};
__attribute__((noinline)) const char *text(int i) { return texts[i]; }
int main(int argc, char **argv) {
  int (*f)(int) = argc > 5 ? abs : twice;
  v0 += v1; v2 = v3 * 2; *p4 += own; p5 = &v5;
  printf("%d %d %d %d %d %s %d %d\\n", v0, v2, v4, *p5, there, text(argc), &weak_one == 0, f(4));
  return 0;
}
"""
DEFINITIONS = "".join(f"int v{n} = {n + 1}; int *p{n} = &v{n};" for n in range(6)) + "int twice(int x) { return 2 * x; }"


@pytest.mark.parametrize("mode", ["-no-pie", "-pie", "-static"])
@pytest.mark.parametrize("option", ["-O1", "--gc-sections", "--emit-relocs", "--no-toc-optimize"])
def test_unused_words_go(tc, mode, option):
    """Words of .toc are not in the output when all their loads have been relaxed."""
    there = tc.c("int there = 30;", "-fPIC", name="there")
    if mode != "-static":
        there = tc.so("libthere.so", there)
    objs = [tc.c(WORDS, "-O1", "-fPIC", name="main"), tc.c(DEFINITIONS, "-O1", "-fPIC", name="rest"), there]
    exe = tc.exe("prog", mode, f"-Wl,{option}", *objs)
    assert tc.out(exe) == "3 8 14 6 30 two 1 8\n"
    if mode != "-static":
        ours, theirs = (tools.elf(tools.exe("sized", mode, f"-Wl,{option}", *objs)).section(".got").size for tools in (tc, tc.gnu))
        assert ours <= theirs
    plain = tc.elf(tc.exe("plain", mode, "-Wl,--no-toc-optimize", *objs)).section(".got").size
    assert tc.elf(exe).section(".got").size < plain or option == "--no-toc-optimize"
