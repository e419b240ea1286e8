"""AArch64: thunks for branches that reach no more than 128 MiB, and veneers for errata of Cortex-A53."""

import re

import pytest

from harness.judges import assert_failed
from harness.toolchain import run_command

pytestmark = pytest.mark.targets("aarch64")

GAP = 0x6000000             # three of them are more than a branch reaches


def gap(name, body):
    """A code section that no file content stands for would need: zeros that compress well."""
    return f'.section .text.{name},"ax"\n{body}\n.space {GAP:#x}\n'


BIG = f"""
    .text
    .globl _start
_start:
    mov x0, #0
    bl far1
    bl far2
    bl far1
    bl middle
    mov x8, #93
    svc #0
    {gap("a", "nop")}
    .section .text.m,"ax"
    .globl middle
middle:
    add x0, x0, #1
    mov x19, x30
    bl near_start
    bl far1
    br x19
    {gap("b", "nop")}
    .section .text.c,"ax"
    .globl far1, far2
far1: add x0, x0, #4
    ret
far2: add x0, x0, #16
    mov x20, x30
    bl near_start
    br x20
    .text
    .globl near_start
near_start:
    add x0, x0, #64
    ret
"""


def disassemble(tc, path, start, size):
    text = run_command([tc.tool("objdump"), "-D", "-b", "binary", "-m", "aarch64", "-EL",
                        tc.write("code.bin", tc.elf(path).bytes_at(start, size))]).out
    return [line.split("\t")[2:] for line in text.splitlines() if re.match(r"^ *[0-9a-f]+:\t", line)]


@pytest.mark.parametrize("flags", [(), ("-pie", "--no-dynamic-linker"), ("--stub-group-size=50000000",)])
def test_far_calls(tc, flags):
    exe = tc.ld("out", *flags, tc.asm(BIG)).path
    assert tc.run(exe, check=False).rc == 1 + 4 * 3 + 16 + 64 * 2 & 255


def test_thunks_are_shared(tc):
    exe = tc.ld("out", tc.asm(BIG)).path
    e = tc.elf(exe)
    start = e.addr("_start")
    calls = [int.from_bytes(e.bytes_at(start + 4 * i, 4), "little") for i in (1, 2, 3)]
    targets = [start + 4 * i + ((word & 0x3ffffff ^ 0x2000000) - 0x2000000) * 4 for i, word in zip((1, 2, 3), calls)]
    assert targets[0] == targets[2] != targets[1]
    thunk = disassemble(tc, exe, targets[0], 12)
    assert [row[0] for row in thunk] == ["adrp", "add", "br"]


def test_no_thunks_in_small_programs(tc):
    obj = tc.asm(".globl _start\n_start: bl f\n.section .text.f,\"ax\"\nf: ret")
    ours = tc.elf(tc.ld("out", obj).path)
    assert ours.section(".text").size == 8


@pytest.mark.parametrize("flags, kind", [((), ["ldr", "br"]), (("-pie", "--no-dynamic-linker"), ["ldr", "adr", "add", "br"])])
def test_very_far(tc, flags, kind):
    """Beyond 4 GiB a thunk loads the whole address, or the distance where addresses are not fixed."""
    obj = tc.asm(".globl _start\n_start: bl f\nmov x8, #93\nsvc #0\n.section .far,\"ax\"\nf: mov x0, #9\nret")
    done = tc.ld("out", *flags, "--section-start=.far=0x300000000", obj)
    e = tc.elf(done.path)
    word = int.from_bytes(e.bytes_at(e.addr("_start"), 4), "little")
    thunk = e.addr("_start") + ((word & 0x3ffffff ^ 0x2000000) - 0x2000000) * 4
    assert [row[0] for row in disassemble(tc, done.path, thunk, 4 * len(kind))] == kind
    assert tc.run(done.path, check=False).rc == 9


def test_landing_pad(tc):
    """With BTI a thunk's BR may go only to a landing pad; a function without one gets it near by."""
    note = """
        .section .note.gnu.property,"a"
        .balign 8
        .word 4, 16, 5
        .asciz "GNU"
        .word 0xc0000000, 4, 1, 0
        """
    obj = tc.asm(".globl _start\n_start: bl f\nbl g\nmov x8, #93\nsvc #0\n.section .far,\"ax\"\nf: mov x0, #5\nret\n"
                 "g: bti c\nadd x0, x0, #1\nret" + note, "-march=armv8.5-a")
    done = tc.ld("out", "--section-start=.far=0x20000000", obj)
    e = tc.elf(done.path)
    start = e.addr("_start")

    def target(at):
        word = int.from_bytes(e.bytes_at(at, 4), "little")
        return at + ((word & 0x3ffffff ^ 0x2000000) - 0x2000000) * 4

    def leads_to(thunk):
        adrp, add = (int.from_bytes(e.bytes_at(thunk + i, 4), "little") for i in (0, 4))
        pages = (adrp >> 5 & 0x7ffff) << 2 | adrp >> 29 & 3
        return (thunk & ~0xfff) + (pages << 12) + (add >> 10 & 0xfff)

    pad = leads_to(target(start))
    assert int.from_bytes(e.bytes_at(pad, 4), "little") == 0xd503245f and target(pad + 4) == e.addr("f")
    assert leads_to(target(start + 4)) == e.addr("g")
    assert tc.run(done.path, check=False).rc == 6


def names(e, *sections):
    """[(name, size, kind, offset from .text)] of local symbols in some sections, as they lie, files aside."""
    found = [s for s in e.symbols if s.bind == "STB_LOCAL" and s.type not in ("STT_FILE", "STT_SECTION") and s.name
             and type(s.shndx) is int and e.sections[s.shndx].name in sections]
    return sorted((s.value - e.section(".text").addr, s.name, s.size, s.type) for s in found)


def test_names_and_mapping_symbols_of_thunks(tc):
    """Those of GNU ld: the function's name in __X_veneer, $x for code, $d for the address that a thunk loads."""
    obj = tc.asm(".globl _start\n_start: bl f\nb g\nbl h\nret\n.section .far,\"ax\"\n.globl f\nf: ret\ng: ret\n"
                 ".section .further,\"ax\"\n.globl h\nh: ret")
    flags = ("-Ttext=0x10000", "--section-start=.far=0x20000000", "--section-start=.further=0x900000000")
    ours, theirs = (t.elf(t.ld("out", *flags, obj).path) for t in (tc, tc.gnu))
    parts = [{(name, size, kind) for _, name, size, kind in names(e, ".text")} for e in (ours, theirs)]
    assert ("__f_veneer", 12, "STT_FUNC") in parts[0] and ("__h_veneer", 16, "STT_FUNC") in parts[0]
    # GNU ld jumps over its thunks and rounds their sizes.
    assert {row[0] for row in parts[0]} == {row[0] for row in parts[1]}
    at = {name: offset for offset, name, _, _ in names(ours, ".text")}
    marks = {(offset, name) for offset, name, _, _ in names(ours, ".text") if name[0] == "$"}
    assert {(at["__f_veneer"], "$x"), (at["__h_veneer"], "$x"), (at["__h_veneer"] + 8, "$d")} <= marks
    text = run_command([tc.tool("objdump"), "-d", ours.path]).out
    assert re.search(r"\.word\s+0x00000000", text[text.index("<__h_veneer>:"):][:400]), "the address is no code"


def test_mapping_symbol_of_the_plt(tc):
    obj = tc.c("void f(void); void g(void) { f(); }", "-fPIC")
    ours, theirs = (t.elf(t.so("lib.so", obj)) for t in (tc, tc.gnu))
    for e in (ours, theirs):
        assert "$x" in {s.name for s in e.symbols if s.value == e.section(".plt").addr}
    stripped = tc.elf(tc.so("lib.so", "-Wl,-s", obj))
    assert stripped.section(".symtab") is None


def test_a_section_larger_than_a_branch_reaches(tc):
    """Nothing can stand inside a section: said, not written wrongly."""
    obj = tc.asm(".globl _start\n_start: nop\n.space 0x8000010\nbl f\n.space 0x8000010\n.section .text.f,\"ax\"\nf: ret")
    assert_failed(tc.ld("out", obj, check=False), "R_AARCH64_CALL26", "out of range")


# -- Cortex-A53

E843419 = """
    .text
    .globl _start
_start:
    bl t1
    mov x19, x0
    bl t2
    add x0, x0, x19
    mov x8, #93
    svc #0
    .balign 4096
    .space 0xff8
t1: adrp x1, val
    ldr x2, [sp]
    ldr x0, [x1, :lo12:val]
    ret
    .balign 4096
    .space 0xffc
t2: adrp x1, val
    str x2, [sp]
    add x5, x5, x6
    ldr x0, [x1, :lo12:val]
    ret
    .balign 4096
    .space 0xff4
t3: adrp x1, val
    ldr x2, [sp]
    ldr x0, [x1, :lo12:val]
    ret
    .balign 4096
    .space 0xff8
t4: .xword 0xf94003e290000081, 0xd65f03c0f9400020
    .data
    .space 4096
    .balign 8
    .globl val
val: .xword 9
"""


def words(e, at, count):
    data = e.bytes_at(at, 4 * count)
    return [int.from_bytes(data[i:i + 4], "little") for i in range(0, 4 * count, 4)]


def test_843419_near(tc):
    """ADRP becomes ADR where that reaches."""
    exe = tc.ld("out", "--fix-cortex-a53-843419", tc.asm(E843419)).path
    e = tc.elf(exe)
    assert tc.run(exe, check=False).rc == 18
    for name in ("t1", "t2"):
        assert words(e, e.addr(name), 1)[0] & 0x9f00001f == 0x10000001
    assert words(e, e.addr("t3"), 1)[0] & 0x9f00001f == 0x90000001, "not at the end of a page"
    assert words(e, e.addr("t4"), 4) == [0x90000081, 0xf94003e2, 0xf9400020, 0xd65f03c0], "data are left alone"


def test_843419_far(tc):
    """Else the last load moves into a veneer."""
    exe = tc.ld("out", "--fix-cortex-a53-843419", "-Tdata=0x10000000", tc.asm(E843419)).path
    e = tc.elf(exe)
    assert tc.run(exe, check=False).rc == 18
    for name, offset in (("t1", 8), ("t2", 12)):
        at = e.addr(name) + offset
        branch, = words(e, at, 1)
        assert branch >> 26 == 5
        veneer = at + ((branch & 0x3ffffff ^ 0x2000000) - 0x2000000) * 4
        load, back = words(e, veneer, 2)
        assert load & 0xffc003ff == 0xf9400020
        assert veneer + 4 + ((back & 0x3ffffff ^ 0x2000000) - 0x2000000) * 4 == at + 4


def test_843419_off(tc):
    e = tc.elf(tc.ld("out", tc.asm(E843419)).path)
    assert words(e, e.addr("t1"), 1)[0] & 0x9f00001f == 0x90000001


def test_843419_finds_what_gnu_ld_finds(tc):
    """In glibc's code, linked statically: after the fix no sequence is left, and the program runs."""
    obj = tc.c('#include <stdio.h>\nint main(void) { printf("%d %s\\n", 3, "x"); }')
    exe = tc.exe("prog", "-static", "-Wl,--fix-cortex-a53-843419,--fix-cortex-a53-835769", obj)
    assert tc.out(exe) == "3 x\n"


E835769 = """
    .text
    .globl _start
_start:
    adr x2, val
    mov x4, #3
    mov x5, #5
    mov x6, #1
m1: ldr x1, [x2]
    madd x3, x4, x5, x6
m2: ldr x4, [x2]
    madd x7, x4, x5, x6
m3: ldr x1, [x2]
    mul x8, x4, x5
    add x0, x3, x7
    mov x8, #93
    svc #0
val: .xword 7
"""


def test_835769(tc):
    exe = tc.ld("out", "--fix-cortex-a53-835769", tc.asm(E835769)).path
    e = tc.elf(exe)
    assert tc.run(exe, check=False).rc == 16 + 36
    branch, = words(e, e.addr("m1") + 4, 1)
    assert branch >> 26 == 5
    veneer = e.addr("m1") + 4 + ((branch & 0x3ffffff ^ 0x2000000) - 0x2000000) * 4
    assert words(e, veneer, 1) == [0x9b051883]
    assert words(e, e.addr("m2") + 4, 1)[0] == 0x9b051887, "waits for the load"
    assert words(e, e.addr("m3") + 4, 1)[0] >> 26 != 5, "a multiplication without accumulation"
    plain = tc.elf(tc.ld("plain", tc.asm(E835769)).path)
    assert words(plain, plain.addr("m1") + 4, 1) == [0x9b051883]

