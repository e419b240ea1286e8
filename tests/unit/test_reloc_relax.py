"""amd64's relaxations, byte for byte: the relaxed text equals the text that the better source would have given."""

import struct

import pytest

pytestmark = pytest.mark.targets("amd64")

# Both sources name the GOT, so that both outputs have one.
PROBE = '\n    .section .probe, "a", @progbits\n    .long _GLOBAL_OFFSET_TABLE_ - .\n'

GOT = PROBE + """
    .data
    .globl foo
    .hidden foo
foo: .quad 1
"""

TLS = PROBE + """
    .section .tdata, "awT", @progbits
    .quad 0
    .globl x
x:  .quad 7
"""

#: what gets linked: (flags of the linker)
EXEC = ("-e", "0")
PIE = ("-pie", "-e", "0", "--no-dynamic-linker")
SHARED = ("-shared",)


def text_of(tc, name, source, flags, retype=None):
    obj = tc.asm("    .text\n" + source, name=name)
    if retype:
        change_types(obj, *retype)
    return tc.elf(tc.ld(name + ".out", obj, *flags).path)


def change_types(obj, old, new):
    """Gives every relocation of type `old` the type `new`: for types the assembler here does not know."""
    data = bytearray(obj.read_bytes())
    shoff, = struct.unpack_from("<Q", data, 40)
    shnum, = struct.unpack_from("<H", data, 60)
    changed = 0
    for i in range(shnum):
        kind, = struct.unpack_from("<I", data, shoff + 64 * i + 4)
        offset, size = struct.unpack_from("<QQ", data, shoff + 64 * i + 24)
        if kind != 4:
            continue
        for at in range(offset, offset + size, 24):
            if struct.unpack_from("<I", data, at + 8)[0] == old:
                struct.pack_into("<I", data, at + 8, new)
                changed += 1
    assert changed
    obj.write_bytes(data)


def section_bytes(elf, name):
    return elf.section(name).addr, elf.data(name)


def assert_same_text(tc, source, better, tail, flags, retype=None, extra=()):
    got = text_of(tc, "a", source + tail, [*flags, *extra], retype)
    want = text_of(tc, "b", better + tail, [*flags, *extra])
    assert section_bytes(got, ".text") == section_bytes(want, ".text")
    assert section_bytes(got, ".data" if ".data" in tail else ".tdata") == section_bytes(
        want, ".data" if ".data" in tail else ".tdata")


MOV = [f"mov foo@GOTPCREL(%rip), %{r}" for r in ("rax", "rsp", "r8", "r12", "r15", "eax", "r9d")]


@pytest.mark.parametrize("flags", [EXEC, PIE, SHARED], ids=["exec", "pie", "shared"])
@pytest.mark.parametrize("line", MOV)
def test_mov(tc, line, flags):
    assert_same_text(tc, line, line.replace("mov", "lea").replace("@GOTPCREL", ""), GOT, flags)


@pytest.mark.parametrize("flags", [EXEC, PIE, SHARED], ids=["exec", "pie", "shared"])
@pytest.mark.parametrize("line,better", [
    ("call *foo@GOTPCREL(%rip)", ".byte 0x67; call foo"),
    ("jmp *foo@GOTPCREL(%rip)", "jmp foo; nop"),
])
def test_branch(tc, line, better, flags):
    assert_same_text(tc, line, better, GOT, flags)


@pytest.mark.parametrize("reg", ["rbx", "r9", "r15", "ebx", "r10d"])
@pytest.mark.parametrize("op", ["add", "or", "adc", "sbb", "and", "sub", "xor", "cmp", "test"])
def test_immediate(tc, op, reg):
    line = f"test %{reg}, foo@GOTPCREL(%rip)" if op == "test" else f"{op} foo@GOTPCREL(%rip), %{reg}"
    assert_same_text(tc, line, f"{op} $foo, %{reg}", GOT, EXEC)


@pytest.mark.parametrize("flags", [PIE, SHARED], ids=["pie", "shared"])
def test_no_immediate_where_the_address_moves(tc, flags):
    elf = text_of(tc, "a", "add foo@GOTPCREL(%rip), %rbx" + GOT, flags)
    assert section_bytes(elf, ".text")[1][:3] == b"\x48\x03\x1d"
    assert elf.section(".got").size == 8


@pytest.mark.parametrize("flags", [EXEC, PIE, SHARED], ids=["exec", "pie", "shared"])
def test_number(tc, flags):
    """An absolute symbol is an immediate in every kind of output."""
    tail = GOT + "\n.globl num\n.hidden num\n.set num, 0x12345678\n"
    assert_same_text(tc, "mov num@GOTPCREL(%rip), %r11", "mov $num, %r11", tail, flags)


def test_large_number_keeps_its_slot(tc):
    tail = GOT + "\n.globl num\n.set num, 0x123456789ab\n"
    elf = text_of(tc, "a", "mov num@GOTPCREL(%rip), %r11" + tail, EXEC)
    assert section_bytes(elf, ".text")[1][:3] == b"\x4c\x8b\x1d"
    assert (0x123456789ab).to_bytes(8, "little") in section_bytes(elf, ".got")[1]


def test_undefined_weak_is_zero(tc):
    tail = GOT + "\n.weak none\n.hidden none\n"
    assert_same_text(tc, "mov none@GOTPCREL(%rip), %rcx", "mov $0, %rcx", tail, PIE)


def test_no_relax(tc):
    elf = text_of(tc, "a", "mov foo@GOTPCREL(%rip), %rax" + GOT, (*EXEC, "--no-relax"))
    assert section_bytes(elf, ".text")[1][:3] == b"\x48\x8b\x05"
    assert elf.section(".got").size == 8


def test_other_addend_keeps_the_slot(tc):
    """Part of the slot's value is wanted, not the address."""
    elf = text_of(tc, "a", "mov foo@GOTPCREL+4(%rip), %eax" + GOT, EXEC)
    assert section_bytes(elf, ".text")[1][:2] == b"\x8b\x05"


def test_large_data_keeps_the_slot(tc):
    tail = '\n.section .ldata, "awl", @progbits\n.globl foo\n.hidden foo\nfoo: .quad 1\n'
    elf = text_of(tc, "a", "mov foo@GOTPCREL(%rip), %rax" + tail, EXEC)
    assert section_bytes(elf, ".text")[1][:3] == b"\x48\x8b\x05"


@pytest.mark.parametrize("line,better", [
    ("mov x@gottpoff(%rip), %rax", "mov $x@tpoff, %rax"),
    ("mov x@gottpoff(%rip), %r13", "mov $x@tpoff, %r13"),
    ("add x@gottpoff(%rip), %rbx", "add $x@tpoff, %rbx"),
    ("add x@gottpoff(%rip), %r12", "add $x@tpoff, %r12"),
    ("add x@gottpoff(%rip), %rsp", "add $x@tpoff, %rsp"),
])
@pytest.mark.parametrize("flags", [EXEC, PIE], ids=["exec", "pie"])
def test_initial_exec(tc, line, better, flags):
    assert_same_text(tc, line, better, TLS, flags)


READ_TP = "mov %fs:0, %rax\n"
GD = {
    "plt": ".byte 0x66; lea x@tlsgd(%rip), %rdi; .value 0x6666; rex64; call __tls_get_addr@PLT",
    "noplt": ".byte 0x66; lea x@tlsgd(%rip), %rdi; .byte 0x66; rex64; call *__tls_get_addr@GOTPCREL(%rip)",
    "large": "lea x@tlsgd(%rip), %rdi; movabs $__tls_get_addr@pltoff, %rax; add %rbx, %rax; call *%rax",
    "large15": "lea x@tlsgd(%rip), %rdi; movabs $__tls_get_addr@pltoff, %rax; add %r15, %rax; call *%rax",
}
LD = {
    "plt": ("lea x@tlsld(%rip), %rdi; call __tls_get_addr@PLT", ".byte 0x66, 0x66, 0x66\n" + READ_TP),
    "noplt": ("lea x@tlsld(%rip), %rdi; call *__tls_get_addr@GOTPCREL(%rip)", ".byte 0x66, 0x66, 0x66, 0x66\n" + READ_TP),
    "large": ("lea x@tlsld(%rip), %rdi; movabs $__tls_get_addr@pltoff, %rax; add %rbx, %rax; call *%rax",
              ".byte 0x66, 0x66, 0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0\n" + READ_TP),
}
WIDE_NOP = "\n.byte 0x66, 0x0f, 0x1f, 0x44, 0, 0\n"


@pytest.mark.parametrize("flags", [EXEC, PIE], ids=["exec", "pie"])
@pytest.mark.parametrize("form", GD)
def test_general_to_local_exec(tc, form, flags):
    better = READ_TP + "lea x@tpoff(%rax), %rax" + (WIDE_NOP if "large" in form else "")
    assert_same_text(tc, GD[form], better, TLS, flags)


@pytest.mark.parametrize("flags", [EXEC, PIE], ids=["exec", "pie"])
@pytest.mark.parametrize("form", LD)
def test_local_dynamic_to_local_exec(tc, form, flags):
    source, better = LD[form]
    assert_same_text(tc, source + "\nlea x@dtpoff(%rax), %rbx", better + "lea x@tpoff(%rax), %rbx", TLS, flags)


@pytest.mark.parametrize("flags", [EXEC, PIE], ids=["exec", "pie"])
@pytest.mark.parametrize("reg", ["rax", "rcx", "r14"])
def test_descriptor_to_local_exec(tc, reg, flags):
    source = f"lea x@tlsdesc(%rip), %{reg}; call *x@tlscall(%rax)"
    assert_same_text(tc, source, f"mov $x@tpoff, %{reg}; xchg %ax, %ax", TLS, flags)


@pytest.fixture
def library(tc):
    return tc.ld("lib.so", tc.asm(TLS + "\n.type x, @object\n.size x, 8\n", name="lib"), "-shared").path


@pytest.mark.parametrize("form", ["plt", "noplt", "large"])
def test_general_to_initial_exec(tc, library, form):
    better = READ_TP + "add x@gottpoff(%rip), %rax" + (WIDE_NOP if "large" in form else "")
    assert_same_text(tc, GD[form], better, PROBE + "\n.data\n.quad 1\n", EXEC, extra=[library])


def test_descriptor_to_initial_exec(tc, library):
    assert_same_text(tc, "lea x@tlsdesc(%rip), %r9; call *x@tlscall(%rax)",
                     "mov x@gottpoff(%rip), %r9; xchg %ax, %ax", PROBE + "\n.data\n.quad 1\n", EXEC, extra=[library])


def test_shared_keeps_general_dynamic(tc):
    elf = text_of(tc, "a", GD["plt"] + TLS, SHARED)
    assert section_bytes(elf, ".text")[1][:4] == b"\x66\x48\x8d\x3d"
    assert elf.section(".got").size == 16


# APX: REX2 is d5 with the payload M0 R4 X4 B4 W R3 X3 B3; bytes from the Intel APX specification.

def rex2(payload, rest):
    return f".byte 0xd5, {payload:#x}, " + rest


@pytest.mark.parametrize("payload,reg,moved", [(0x48, 0, 0x18), (0x4c, 1, 0x19), (0x08, 2, 0x08), (0x0c, 7, 0x09)])
def test_apx_initial_exec(tc, payload, reg, moved):
    """mov x@gottpoff(%rip), %r16 and its like: the register's high bits move from R4, R3 to B4, B3."""
    source = rex2(payload, f"0x8b, {5 | reg << 3:#x}; .reloc ., R_X86_64_GOTTPOFF, x-4; .long 0")
    better = rex2(moved, f"0xc7, {0xc0 | reg:#x}; .reloc ., R_X86_64_TPOFF32, x; .long 0")
    assert_same_text(tc, source, better, TLS, EXEC, retype=(22, 44))


@pytest.mark.parametrize("payload,reg", [(0x48, 0), (0x0c, 7)])
def test_apx_mov(tc, payload, reg):
    source = rex2(payload, f"0x8b, {5 | reg << 3:#x}; .reloc ., R_X86_64_GOTPCREL, foo-4; .long 0")
    better = rex2(payload, f"0x8d, {5 | reg << 3:#x}; .reloc ., R_X86_64_PC32, foo-4; .long 0")
    assert_same_text(tc, source, better, GOT, PIE, retype=(9, 43))


@pytest.mark.parametrize("payload,reg,moved", [(0x48, 0, 0x18), (0x0c, 7, 0x09)])
def test_apx_descriptor(tc, payload, reg, moved):
    source = rex2(payload, f"0x8d, {5 | reg << 3:#x}; .reloc ., R_X86_64_GOTPC32_TLSDESC, x-4; .long 0")
    better = rex2(moved, f"0xc7, {0xc0 | reg:#x}; .reloc ., R_X86_64_TPOFF32, x; .long 0")
    assert_same_text(tc, source, better, TLS, EXEC, retype=(34, 45))


@pytest.mark.parametrize("op", ["0x03", "0x01"])
@pytest.mark.parametrize("p0,reg,moved", [
    (0xf4, 3, 0xf4),     # %rbx: nothing to move
    (0x74, 0, 0xd4),     # %r8: ~R3 clear becomes ~B3 clear
    (0xe4, 0, 0xfc),     # %r16: ~R4 clear becomes B4 set
    (0x64, 7, 0xdc),     # %r31
])
def test_apx_new_data_destination(tc, op, p0, reg, moved):
    """add x@gottpoff(%rip), %reg, %r17: EVEX map 4, the destination in vvvv stays."""
    source = f".byte 0x62, {p0:#x}, 0xec, 0x10, {op}, {5 | reg << 3:#x}; .reloc ., R_X86_64_GOTTPOFF, x-4; .long 0"
    better = f".byte 0x62, {moved:#x}, 0xec, 0x10, 0x81, {0xc0 | reg:#x}; .reloc ., R_X86_64_TPOFF32, x; .long 0"
    assert_same_text(tc, source, better, TLS, EXEC, retype=(22, 50))
