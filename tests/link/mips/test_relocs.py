"""MIPS: fields at their edges and whole sequences with GNU ld's bytes, pairs of halves, ABIs that do not mix."""

import pytest

pytestmark = pytest.mark.targets("mips", "mipsel", "mips64", "mips64el")

BASE = 0x400000
PLAIN = ("-fno-pic", "-mno-abicalls", "-G0")
ABSOLUTE = {
    "16": ("addiu $4,$4,v", -0x8000, 0x7FFF),
    "32": (".word v", -0x80000000, 0x7FFFFFFF),
    "HI16": ("lui $4,%hi(v)", -0x80000000, 0x7FFFFFFF),
    "LO16": ("addiu $4,$4,%lo(v)", -0x80000000, 0x7FFFFFFF),
    "26": ("j v", BASE, 0xFFFFFFC),
}
RELATIVE = {
    "PC16": ("b v", -0x1FFFC, 0x20000),
    "PC32": (".word v-.", -0x400000, 0x7F000000),
}
R6 = {
    "PC21_S2": ("beqzc $4,v", -0x3FFFFC, 0x400000),
    "PC26_S2": ("bc v", -0x7FFFFFC, 0x8000000),
    "PC19_S2": ("lwpc $4,v", -0x100000, 0xFFFFC),
    "PCHI16": ("auipc $4,%pcrel_hi(v)", -0x400000, 0x7000000),
    "PCLO16": ("addiu $4,$4,%pcrel_lo(v)", -0x400000, 0x7000000),
}


def section(tools, out="a.out", name=".text", size=8):
    return tools.elf(out).data(name)[:size]


def objects(tc, source, value, *flags):
    value = (value + (1 << 31)) % (1 << 32) - (1 << 31) if tc.target.bits == 32 else value
    head = ("    .text\n    .set noreorder\n    .set nomacro\n    .globl __start\n    .balign 16\n__start:\n"
            f"    {source}\n    nop\n    nop\n    nop\n")
    return (tc.asm(head, *PLAIN, *flags, name="a"),
            tc.asm(f".globl v\n.set v, {value}\n", *PLAIN, *flags, name="v"))


def link(tools, out, *args, **kw):
    return tools.ld(out, "-Ttext", hex(BASE), *args, **kw)


def compare(tc, source, low, high, base, *flags):
    """The same bytes inside the range, and beyond it an error of both."""
    for value in (low, high, base, (low + high) // 2 & ~3):
        both = objects(tc, source, value, *flags)
        for tools in (tc, tc.gnu):
            link(tools, "a.out", *both)
        assert section(tc) == section(tc.gnu), (source, hex(value))


@pytest.mark.parametrize("name", ABSOLUTE)
def test_absolute(tc, name):
    source, low, high = ABSOLUTE[name]
    compare(tc, source, low, high, low)


@pytest.mark.parametrize("name", RELATIVE)
def test_relative(tc, name):
    source, low, high = RELATIVE[name]
    compare(tc, source, low + BASE, high + BASE, BASE + 0x100)


@pytest.mark.targets("mips", "mipsel")
@pytest.mark.parametrize("name", R6)
def test_relative_of_release_6(tc, name):
    source, low, high = R6[name]
    compare(tc, source, low + BASE, high + BASE, BASE + 0x100, "-mips32r6")


@pytest.mark.parametrize("source, value", [
    ("b v", BASE + 0x20004), ("b v", BASE - 0x20000), ("j v", 0x10000000)])
def test_out_of_range(tc, source, value):
    both = objects(tc, source, value)
    for tools in (tc, tc.gnu):
        assert link(tools, "a.out", *both, check=False).rc == 1, tools.linker.flavour


def test_unaligned_branch(tc):
    result = link(tc, "a.out", *objects(tc, "b v", BASE + 0x102), check=False)
    assert result.rc == 1 and "R_MIPS_PC16" in result.err


@pytest.mark.parametrize("distance", [0, 0x6000, 0xFFF0, 0x10000])
def test_small_data(tc, distance):
    """Signed 16 bits from _gp; what they do not reach is an error of both."""
    a = tc.asm(f"""
        .text
        .set noreorder
        .globl __start
    __start: lw $4,%gp_rel(x)($28)
        nop
        .section .sdata,"aw"
        .globl x
        .space {distance}
    x:  .word 1""", *PLAIN, name="a")
    codes = [link(tools, "a.out", a, check=False).rc for tools in (tc, tc.gnu)]
    assert codes[0] == codes[1] == {0: 0, 0x6000: 0, 0x10000: 1}.get(distance, codes[0])


@pytest.mark.parametrize("addend", [0, 0x7FFF, 0x8000, 0xFFFF, 0x18000, -4])
def test_halves_are_joined(tc, addend):
    """One high half for several low halves, one in another place, one low half for several high ones, and a high half
    of another symbol in between."""
    a = tc.asm(f"""
        .text
        .set noreorder
        .globl __start
    __start:
        lui $4,%hi(x+{addend})
        lui $5,%hi(y)
        lui $6,%hi(x+{addend})
        lw $4,%lo(x+{addend})($4)
        lw $5,%lo(y)($5)
        sw $6,%lo(x+{addend})($6)
        .data
        .space 0x7ff0
    x:  .space 32
    y:  .word 1""", *PLAIN, name="a")
    for tools in (tc, tc.gnu):
        link(tools, "a.out", "-Tdata=0x12340000", a)
    assert section(tc, size=24) == section(tc.gnu, size=24)


def test_relocatable_output_links_again(tc):
    """What -r leaves, records of three types included, gives the program that the objects give."""
    a = tc.c("extern int x[]; static int y[20000]; int f(int i) { y[i] = 1; return x[3] + y[i + 9]; }", "-O1", "-fPIC", name="a")
    b = tc.c("int x[9] = {1,2,3,4}; int f(int); int main(void) { return f(1) - 4; }", "-O1", "-fPIC", name="b")
    both = tc.ld("both.o", "-r", a, b).path
    tc.run(tc.exe("direct", a, b))
    tc.run(tc.exe("twice", both))
    tc.run(tc.gnu.exe("theirs", both))


@pytest.mark.targets("mips", "mipsel")
def test_abis_do_not_mix(tc):
    start = ".globl __start\n__start: nop\n"
    o32 = tc.asm(start, name="o32")
    n32 = tc.asm(".globl g\ng: nop\n", "-mabi=n32", "-mips64r2", name="n32")
    result = tc.ld("a.out", o32, n32, check=False)
    assert result.rc == 1 and "N32" in result.err and "O32" in result.err
    for flags, words in ((("-mips32r6",), ("mips32r6", "mips32r2")), (("-mnan=2008",), ("-mnan=2008", "-mnan=legacy"))):
        other = tc.asm(".globl g\ng: nop\n", *flags, name="other")
        result = tc.ld("a.out", tc.asm(start, "-mips32r2", name="o32"), other, check=False)
        assert result.rc == 1 and all(word in result.err for word in words), result.err


def test_calls_from_code_without_pic(tc):
    """Direct jumps to position-independent functions set $25 on the way; imported ones have PLT entries."""
    pic = tc.c("int x = 40; int get(void) { return x; }", "-O1", "-fPIC", name="pic")
    plain = tc.c("int get(void); int main(void) { return get() + 2 - 42; }", "-O1", "-fno-pic", "-mno-shared", name="plain")
    tc.run(tc.exe("static", "-static", "-no-pie", plain, pic))
    tc.run(tc.exe("dynamic", "-no-pie", plain, pic))
    tc.run(tc.exe("library", "-no-pie", plain, tc.so("libget.so", pic)))
