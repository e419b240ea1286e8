"""64-bit Power: every field at its edges with GNU ld's bytes, calls and their NOPs, TLS, ABIs that do not mix."""

import pytest

pytestmark = pytest.mark.targets("ppc64", "ppc64le")

# name -> (source, lowest and highest legal value)
S16 = (-0x8000, 0x7FFF)
HI = (-0x80000000, 0x7FFFFFFF)
HA = (-0x80008000, 0x7FFF7FFF)
ANY = (-0x8000000000000000, 0x7FFFFFFFFFFFFFFF)
ABSOLUTE = {
    "ADDR16": (".short v", *S16),
    "ADDR16_LO": ("addi 3,3,v@l", *ANY),
    "ADDR16_HI": ("lis 3,v@h", *HI),
    "ADDR16_HA": ("lis 3,v@ha", *HA),
    "ADDR16_HIGH": ("lis 3,v@high", *ANY),
    "ADDR16_HIGHA": ("lis 3,v@higha", *ANY),
    "ADDR16_HIGHER": ("lis 3,v@higher", *ANY),
    "ADDR16_HIGHERA": ("lis 3,v@highera", *ANY),
    "ADDR16_HIGHEST": ("lis 3,v@highest", *ANY),
    "ADDR16_HIGHESTA": ("lis 3,v@highesta", *ANY),
    "ADDR32": (".long v", -0x80000000, 0xFFFFFFFF),
    "ADDR64": (".quad v", *ANY),
}
DS = {
    "ADDR16_DS": ("ld 3,v(4)", -0x8000, 0x7FFC),
    "ADDR16_LO_DS": ("ld 3,v@l(4)", ANY[0], ANY[1] - 3),
}
BASE = 1 << 34
RELATIVE = {
    "REL16": ("addi 3,3,v-.", *S16),
    "REL16_LO": ("addi 3,3,(v-.)@l", *ANY),
    "REL16_HI": ("lis 3,(v-.)@h", *HI),
    "REL16_HA": ("lis 3,(v-.)@ha", *HA),
    "REL32": (".long v-.", *HI),
    "REL64": (".quad v-.", *ANY),
    "REL24": ("b v", -0x2000000, 0x1FFFFFC),
    "REL14": ("beq v", -0x8000, 0x7FFC),
    "REL14_BRTAKEN": ("beq+ v", -0x8000, 0x7FFC),
    "REL14_BRNTAKEN": ("bdz- v", -0x8000, 0x7FFC),
}


def code(tools, name="a.out"):
    return tools.elf(name).data(".text")[:8]


def constant(tc, value):
    value = (value + (1 << 63)) % (1 << 64) - (1 << 63)
    return tc.asm(f".globl v\n.set v, {value}\n", name="v")


def objects(tc, source, value):
    return tc.asm(f"    .text\n    .globl _start\n_start:\n    {source}\n    .balign 4\n    nop\n", name="a"), constant(tc, value)


@pytest.mark.parametrize("name", [*ABSOLUTE, *DS])
def test_absolute(tc, name):
    source, low, high = {**ABSOLUTE, **DS}[name]
    step = 4 if name in DS else 1
    for value in {low, high, 0, 0x1234567890ABCDEC, 0x7FFC, 0x8000, -0x8000, 0x80008000 & ~3}:
        if low <= value <= high:
            both = objects(tc, source, value)
            for tools in (tc, tc.gnu):
                tools.ld("a.out", *both)
            assert code(tc) == code(tc.gnu), (name, hex(value))
    if (low, high) == ANY or (low, high + 3) == ANY:
        return
    for value in (low - step, high + step):
        done = tc.ld("a.out", *objects(tc, source, value), check=False)
        assert done.rc == 1 and f"R_PPC64_{name} out of range" in done.err, (name, hex(value), done.err)


def test_ds_alignment(tc):
    done = tc.ld("a.out", *objects(tc, "ld 3,v(4)", 6), check=False)
    assert done.rc == 1 and "improper alignment" in done.err
    assert tc.gnu.ld("a.out", *objects(tc, "ld 3,v(4)", 6), check=False).rc != 0


@pytest.mark.parametrize("name", RELATIVE)
def test_relative(tc, name):
    source, low, high = RELATIVE[name]
    step = 4 if name.startswith(("REL24", "REL14")) else 1
    base = f"-Ttext={BASE:#x}"
    for value in {low, high, 0, 0x1234}:
        if not low <= value <= high or (low, high) == ANY and value in ANY:
            continue
        both = objects(tc, source, BASE + value)
        for tools in (tc, tc.gnu):
            tools.ld("a.out", *both, base, "--no-relax")
        assert code(tc) == code(tc.gnu), (name, hex(value))
    if (low, high) == ANY or name == "REL24":
        return
    for value in (low - step, high + step):
        done = tc.ld("a.out", *objects(tc, source, BASE + value), base, check=False)
        assert done.rc == 1 and "out of range" in done.err, (name, hex(value), done.err)


TOC = """
    .text
    .globl _start
_start:
    addis 3,2,x@toc@ha
    addi 3,3,x@toc@l
    ld 4,y@toc@l(3)
    addis 5,2,x@got@ha
    ld 5,x@got@l(5)
    ld 6,y@got(2)
    .data
    .balign 8
    .globl x, y
x:  .quad 0
y:  .quad x
    .quad .TOC.@tocbase
"""


def test_toc(tc):
    """TOC-relative fields count from .TOC., which stands 0x8000 behind the start of .got."""
    tc.ld("a.out", tc.asm(TOC, name="a"), "--no-toc-optimize")
    elf = tc.elf("a.out")
    toc = elf.section(".got").addr + 0x8000
    order = "little" if tc.target.little else "big"
    words = [int.from_bytes(elf.data(".text")[4 * i:4 * i + 4], order) for i in range(6)]
    low = [(word & 0xFFFF ^ 0x8000) - 0x8000 for word in words]
    assert toc + (low[0] << 16) + low[1] == elf.addr("x")
    assert (toc + low[2] & 0xFFFF) == (elf.addr("y") & 0xFFFF)
    assert elf.word_at(toc + (low[3] << 16) + low[4]) == elf.addr("x")
    assert elf.word_at(toc + low[5]) == elf.addr("y")
    assert elf.word_at(elf.addr("y") + 8) == toc
    assert elf.word_at(elf.section(".got").addr) == toc


CALLS = """
int outside(int);
int inside(int x) { return outside(x) + 1; }
"""


def test_call_brings_the_toc_back(tc):
    lib = tc.ld("lib.so", tc.c("int outside(int x) { return x; }", "-fPIC", "-O2", name="lib"), "-shared").path
    tc.ld("a.so", tc.c(CALLS, "-fPIC", "-O2", name="a"), lib, "-shared")
    order = "little" if tc.target.little else "big"
    text = tc.elf("a.so").data(".text")
    words = [int.from_bytes(text[i:i + 4], order) for i in range(0, len(text), 4)]
    restore = 0xE8410018 if tc.target.little else 0xE8410028
    assert restore in words
    at = words.index(restore)
    assert words[at - 1] >> 26 == 18 and words[at - 1] & 1


def test_call_without_nop(tc):
    """A shared object cannot do without the instruction that brings r2 back."""
    lib = tc.ld("lib.so", tc.c("int outside(int x) { return x; }", "-fPIC", "-O2", name="lib"), "-shared").path
    obj = tc.asm("    .text\n    .globl f\n    .type f, @function\nf:  bl outside\n    blr\n", name="a")
    done = tc.ld("a.so", obj, lib, "-shared", check=False)
    assert done.rc == 1 and "lacks nop, can't restore toc" in done.err
    assert tc.gnu.ld("a.so", obj, lib, "-shared", check=False).rc != 0


def test_abis_do_not_mix(tc):
    first = tc.asm("    .abiversion 1\n    .text\n    .globl _start\n_start: nop\n", name="one")
    second = tc.asm("    .abiversion 2\n    .text\nf:  nop\n", name="two")
    done = tc.ld("a.out", first, second, check=False)
    assert done.rc == 1
    assert "ELFv1" in done.err and "ELFv2" in done.err


SAVES = """
#include <stdio.h>
#include <stdlib.h>
long f(long *d, int n) {
    long a = d[0], b = d[1], c = d[2], e = d[3], g = d[4];
    for (int i = 0; i < n; i++) { a += atol("15") * b; b += c; c += e + a; e += g; g += strtol("2", 0, 10); }
    return a + b + c + e + g;
}
double h(double *d, int n) {
    double a = d[0], b = d[1], c = d[2], e = d[3], g = d[4];
    for (int i = 0; i < n; i++) { a += atof("1.5") * b; b += c; c += e + a; e += g; g += strtod("2", 0); }
    return a + b + c + e + g;
}
int main(void) {
    long l[] = {1, 2, 3, 4, 5};
    double d[] = {1, 2, 3, 4, 5};
    printf("%ld %g\\n", f(l, 5), h(d, 5));
    return 0;
}
"""


def test_register_save_functions(tc):
    """Code compiled for size calls functions that the linker makes."""
    obj = tc.c(SAVES, "-Os", name="a")
    ours, theirs = (tools.run(tools.link("a.out", obj).path).out for tools in (tc, tc.gnu))
    assert ours == theirs != ""


FAR = """
    .abiversion 2
    .section .text.a,"ax",@progbits
    .globl main
    .type main,@function
main: addis 2,12,.TOC.-main@ha
    addi 2,2,.TOC.-main@l
    .localentry main,.-main
    mflr 0
    std 0,16(1)
    stdu 1,-64(1)
    bl far
    nop
    addi 3,3,-42
    addi 1,1,64
    ld 0,16(1)
    mtlr 0
    blr
    .section .text.b,"ax",@progbits
    .space 0x1400000
    .section .text.b2,"ax",@progbits
    .space 0x1400000
    .section .text.c,"ax",@progbits
    .globl far
    .type far,@function
far: addis 2,12,.TOC.-far@ha
    addi 2,2,.TOC.-far@l
    .localentry far,.-far
    mflr 0
    std 0,16(1)
    stdu 1,-64(1)
    addis 3,2,s@toc@ha
    addi 3,3,s@toc@l
    bl puts
    nop
    li 3,42
    addi 1,1,64
    ld 0,16(1)
    mtlr 0
    blr
    .section .rodata
s:  .asciz "far"
    .section .note.GNU-stack,"",@progbits
"""


@pytest.mark.targets("ppc64le")
@pytest.mark.parametrize("mode", ["-no-pie", "-pie"])
def test_calls_over_40_megabytes(tc, mode):
    """To a function of the program, and back to a stub that saves r2."""
    done = tc.run(tc.link("a.out", mode, tc.asm(FAR, name="a")).path)
    assert done.out == "far\n"
