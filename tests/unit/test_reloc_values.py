"""amd64's fields at their edges, damaged relocations, and the dynamic relocations that a word asks for."""

import struct

import pytest

pytestmark = pytest.mark.targets("amd64")

# field -> (source, lowest and highest legal value of v)
FIELDS = {
    "8": (".byte v", -0x80, 0xFF),
    "16": (".short v", -0x8000, 0xFFFF),
    "32": (".long v", 0, 0xFFFFFFFF),
    "32S": ("mov $v, %rcx", -0x80000000, 0x7FFFFFFF),
    "64": (".quad v", -0x8000000000000000, 0xFFFFFFFFFFFFFFFF),
}


def link_value(tc, source, value, check=False):
    obj = tc.asm("    .text\n    .globl _start\n_start:\n" + source + "\n", name="a")
    return tc.ld("a.out", obj, constant(tc, value), check=check)


def constant(tc, value):
    """An object that defines v as a number."""
    return tc.asm(f".globl v\n.set v, {value}\n", name="v")


def text(tc):
    return tc.elf("a.out").data(".text")


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("edge", ["low", "high"])
def test_edges_fit(tc, field, edge):
    source, low, high = FIELDS[field]
    value = low if edge == "low" else high
    link_value(tc, source, value, check=True)
    size = {"8": 1, "16": 2, "64": 8}.get(field, 4)
    where = 3 if field == "32S" else 0
    assert text(tc)[where:where + size] == (value % (1 << 8 * size)).to_bytes(size, "little")
    link_value(tc.gnu, source, value, check=True)


@pytest.mark.parametrize("field", [f for f in FIELDS if f != "64"])
@pytest.mark.parametrize("edge", ["low", "high"])
def test_beyond_the_edge(tc, field, edge):
    source, low, high = FIELDS[field]
    value = low - 1 if edge == "low" else high + 1
    done = link_value(tc, source, value)
    assert done.rc == 1
    assert f"R_X86_64_{field} out of range: {value} is not in [{low}, {high}]" in done.err
    assert ".text+0x" in done.err


@pytest.mark.parametrize("field,source,low,high", [
    ("PC8", ".byte v - .", -0x80, 0x7F),
    ("PC16", ".short v - .", -0x8000, 0x7FFF),
    ("PC32", ".long v - .", -0x80000000, 0x7FFFFFFF),
])
def test_relative_edges(tc, field, source, low, high):
    """The text starts at 1 << 32, so that no sum wraps."""
    base = 1 << 32
    obj = tc.asm("    .text\n    .globl _start\n_start:\n" + source + "\n", name="a")
    for value, good in ((low, True), (high, True), (low - 1, False), (high + 1, False)):
        done = tc.ld("a.out", obj, constant(tc, base + value), f"-Ttext={base:#x}", check=good)
        assert (done.rc == 0) == good
        assert good or f"R_X86_64_{field} out of range" in done.err
        if good:
            size = {"PC8": 1, "PC16": 2, "PC32": 4}[field]
            assert text(tc)[:size] == (value % (1 << 8 * size)).to_bytes(size, "little")


GOT_FORMS = """
    .text
    .globl _start
_start:
    .long _GLOBAL_OFFSET_TABLE_ - .             # GOTPC32
    .quad _GLOBAL_OFFSET_TABLE_ - .             # GOTPC64 or PC64
    .quad foo@GOTOFF
    .quad foo@GOT
    .quad foo@GOTPCREL
    .long foo@GOT
    .quad foo@PLTOFF
    .long foo@SIZE + 1
    .quad foo@SIZE
    .long foo@PLT
    .quad foo - .
    .data
    .globl foo
    .type foo, @object
    .size foo, 12
foo: .quad foo + 3, 0
"""


def test_got_formulas(tc):
    """Read from the output what each formula gives, with the GOT and foo where the symbol table has them."""
    tc.ld("a.out", tc.asm(GOT_FORMS, name="a"))
    elf = tc.elf("a.out")
    foo, got, P = elf.addr("foo"), elf.addr("_GLOBAL_OFFSET_TABLE_"), elf.addr("_start")
    fields = struct.unpack("<iqqqqiqiqiq", elf.data(".text")[:72])
    slot = elf.section(".got")
    assert fields[0] == got - P
    assert fields[1] == got - (P + 4)
    assert fields[2] == foo - got
    assert fields[3] == fields[5]
    assert slot.addr <= got + fields[3] < slot.addr + slot.size
    assert elf.word_at(got + fields[3]) == foo
    assert fields[4] == got + fields[3] - (P + 28)
    assert fields[6] == foo - got
    assert fields[7] == 13 and fields[8] == 12
    assert fields[9] == foo - (P + 60)
    assert fields[10] == foo - (P + 64)
    assert elf.data(".data")[:8] == (foo + 3).to_bytes(8, "little")


def patch_rela(obj, field, value):
    """Changes `field` (offset, type, symbol) of the first relocation of the first SHT_RELA."""
    data = bytearray(obj.read_bytes())
    shoff, = struct.unpack_from("<Q", data, 40)
    for i in range(struct.unpack_from("<H", data, 60)[0]):
        if struct.unpack_from("<I", data, shoff + 64 * i + 4)[0] == 4:
            at, = struct.unpack_from("<Q", data, shoff + 64 * i + 24)
            where, form = {"offset": (0, "<Q"), "type": (8, "<I"), "symbol": (12, "<I")}[field]
            struct.pack_into(form, data, at + where, value)
            obj.write_bytes(data)
            return
    raise AssertionError("no SHT_RELA")


@pytest.mark.parametrize("section", ['.text, "ax"', '.debug_info, ""'])
@pytest.mark.parametrize("field,value,message", [
    ("offset", 1 << 40, "lies outside its section"),
    ("offset", 2**64 - 4, "lies outside its section"),
    ("offset", 5, "lies outside its section"),
    ("type", 199, "unknown relocation (199)"),
    ("type", 0x7fffffff, "unknown relocation"),
    ("type", 8, "unknown relocation (8)"),
    ("symbol", 77, "invalid symbol index 77"),
    ("symbol", 0xffffffff, "invalid symbol index"),
])
def test_damaged(tc, section, field, value, message):
    obj = tc.asm(f".section {section}, @progbits\n .long foo\n .long 0\n .globl _start\n_start:\n .data\nfoo: .long 1\n",
                 name="a")
    patch_rela(obj, field, value)
    done = tc.ld("a.out", obj, "-e", "0", check=False)
    assert done.rc == 1
    assert message in done.err
    assert "Traceback" not in done.err


WORDS = """
    .data
    .globl preempt, quiet
    .hidden quiet
preempt: .quad preempt
quiet:   .quad quiet, local, outside, number
local:   .quad 0
    .globl number
    .hidden number
    .set number, 5
    .section .odd, "aw", @progbits
    .byte 0
    .quad quiet
"""


@pytest.mark.parametrize("flags", [("-shared",), ("-pie", "-e", "0"), ("-shared", "-Bsymbolic"),
                                   ("-shared", "-z", "pack-relative-relocs")],
                         ids=["shared", "pie", "symbolic", "relr"])
def test_words_equal_gnu_ld(tc, flags):
    """The same dynamic relocations, by type and symbol, as GNU ld makes."""
    lib = tc.gnu.ld("lib.so", tc.asm(".data\n.globl outside\n.type outside, @object\n.size outside, 8\noutside: .quad 0\n",
                                     name="lib"), "-shared").path
    obj = tc.asm(WORDS, name="a")
    found = []
    for tools in (tc, tc.gnu):
        elf = tools.elf(tools.ld("a.so", obj, lib, *flags).path)
        found.append(sorted((r.type, r.symbol) for r in elf.dynrelocs()))
    assert found[0] == found[1]


@pytest.mark.parametrize("flags", [("-shared",), ("-e", "0")], ids=["shared", "exec"])
@pytest.mark.parametrize("source", [".data; .quad w", ".text; call w@PLT", ".text; mov w@GOTPCREL(%rip), %rax",
                                    ".text; mov w@GOTPCREL(%rip), %rax; call w@PLT; .data; .quad w"])
def test_undefined_weak_equals_gnu_ld(tc, flags, source):
    lib = tc.gnu.ld("lib.so", tc.asm(".globl g; .type g, @function; g: ret\n", name="lib"), "-shared").path
    obj = tc.asm(source + "; .weak w; .text; call g@PLT\n", name="a")
    found = [sorted((r.type, r.symbol) for r in tools.elf(tools.ld("a.out", obj, lib, *flags).path).dynrelocs()
                    if r.type != "R_X86_64_NONE")
             for tools in (tc, tc.gnu)]
    assert found[0] == found[1]


@pytest.mark.parametrize("flags,source", [
    (("-shared",), ".text; .long foo; .data; foo: .long 0"),
    (("-pie", "-e", "0"), ".text; mov $foo, %rax; .data; foo: .long 0"),
    (("-shared",), ".text; lea foo(%rip), %rax; .data; .globl foo; foo: .long 0"),
    (("-shared",), '.text; mov x@tpoff, %rax; .section .tdata, "awT"; .globl x; x: .quad 0'),
])
def test_needs_pic(tc, flags, source):
    obj = tc.asm(source + "\n", name="a")
    done = tc.ld("a.out", obj, *flags, check=False)
    assert done.rc == 1
    assert "recompile with -fPIC" in done.err
    assert tc.gnu.ld("a.out", obj, *flags, check=False).rc != 0


def test_text_relocation_policy(tc):
    obj = tc.asm(".text; .quad foo; .data; foo: .long 0\n", name="a")
    assert "DF_TEXTREL" in str(tc.elf(tc.ld("a.so", obj, "-shared", "-z", "notext").path).dyn_flags())
    done = tc.ld("b.so", obj, "-shared", "-z", "text", check=False)
    assert done.rc == 1 and "read-only section" in done.err
    assert "creating DT_TEXTREL in a shared object" in tc.ld("c.so", obj, "-shared").err


@pytest.mark.parametrize("user,definition,type_", [
    ("lea x(%rip), %rax", '.section .tdata, "awT"; .type x, @object', "PC32"),
    ("mov x@gottpoff(%rip), %rax", ".data; .type x, @object", "GOTTPOFF"),
])
def test_tls_mismatch(tc, user, definition, type_):
    objs = [tc.asm(f".text; {user}\n", name="a"), tc.asm(f"{definition}; .globl x; x: .quad 0\n", name="b")]
    done = tc.ld("a.out", *objs, "-e", "0", check=False)
    assert done.rc == 1 and f"R_X86_64_{type_} does not fit" in done.err
    assert tc.gnu.ld("a.out", *objs, "-e", "0", check=False).rc != 0


def test_address_of_initial_value(tc):
    """lea of a thread-local symbol that the file itself defines: where its initial value stands."""
    obj = tc.asm('.text; lea x(%rip), %rax\n.section .tdata, "awT"; .type x, @object; .quad 0\nx: .quad 5\n'
                 '.text; mov %fs:x@tpoff, %rcx\n', name="a")
    elf = tc.elf(tc.ld("a.out", obj, "-e", "0").path)
    rip = elf.section(".text").addr + 7
    assert rip + struct.unpack("<i", elf.data(".text")[3:7])[0] == elf.section(".tdata").addr + 8


def test_tombstones(tc):
    """Debug references to dropped code: all ones, but 1 in lists, where they select a base; never an addend."""
    obj = tc.asm("""
    .section .text.dead, "ax", @progbits
dead: ret
    .section .text.kept, "ax", @progbits
    .globl _start
_start: ret
    .section .debug_info, "", @progbits
    .quad dead + 16, _start
    .section .debug_ranges, "", @progbits
    .quad dead, dead + 1, 0, 0
    """, name="a")
    elf = tc.elf(tc.ld("a.out", obj, "--gc-sections").path)
    assert struct.unpack("<QQ", elf.data(".debug_info")) == (2**64 - 1, elf.entry)
    assert struct.unpack("<QQQQ", elf.data(".debug_ranges")) == (1, 1, 0, 0)


def test_gaps_in_code_are_nops(tc):
    objs = [tc.asm(f".text\n.globl f{n}\nf{n}: ret\n.balign 64\n", name=f"a{n}") for n in range(2)]
    objs.append(tc.asm('.section .text.x, "ax", @progbits\n.balign 64\nret\n', name="b"))
    objs.append(tc.asm('.section .text.y, "ax", @progbits\n.balign 64\nret\n', name="c"))
    data = tc.elf(tc.ld("a.out", *objs, "-e", "f0").path).data(".text")
    at = data.rindex(b"\xc3", 0, len(data) - 1)
    assert b"\0\0\0\0\0\0\0\0\0\0\0\0" not in data[at:]
