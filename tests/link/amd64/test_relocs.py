"""amd64: the psABI's relocation types by formula, in the kinds of output that allow them, with their range checks."""

import pytest

from harness.judges import assert_failed, judge

pytestmark = pytest.mark.targets("amd64")
NOTE = '.section .note.GNU-stack,"",@progbits\n'


def image(tc, text, *flags, **kw):
    return tc.elf(tc.ld("out", *flags, tc.asm(text + NOTE, name="a"), **kw).path)


def test_data_words(tc):
    e = image(tc, """
        .globl _start, v
        _start: ret
        .data
        d: .quad v + 5
           .long v + 1
           .short small
           .byte tiny
           .byte 0
           .quad v - .
           .long v - .
           .short v - .
           .byte v - .
        v: .quad 0
        """, "--defsym=small=0xfff0", "--defsym=tiny=0xf0")
    d, v = e.addr("d"), e.addr("v")
    read = lambda off, size: e.word_at(d + off, size)
    assert read(0, 8) == v + 5 and read(8, 4) == v + 1 and read(12, 2) == 0xfff0 and read(14, 1) == 0xf0
    assert read(16, 8) == v - (d + 16) and read(24, 4) == v - (d + 24) and read(28, 2) == v - (d + 28) and read(30, 1) == v - (d + 30)


def test_got_and_plt_arithmetic(tc):
    e = image(tc, """
        .globl _start, v, f
        _start: lea _GLOBAL_OFFSET_TABLE_(%rip), %rax
        .data
        .globl d
        d: .quad v@GOTOFF, v@GOT, v@GOTPCREL, f@PLTOFF
           .quad _GLOBAL_OFFSET_TABLE_ - .
        v: .quad 7
        .text
        f: ret
        """)
    base, v, d = e.addr("_GLOBAL_OFFSET_TABLE_"), e.addr("v"), e.addr("d")
    word = lambda i: e.word_at(d + 8 * i)
    mask = (1 << 64) - 1
    assert word(0) == v - base & mask
    assert e.word_at(base + word(1) & mask) == v, "GOT64: offset of the slot from the GOT's base"
    assert e.word_at(d + 16 + word(2) & mask) == v, "GOTPCREL64: the slot, from here"
    assert word(3) == e.addr("f") - base & mask, "PLTOFF64 of a local function is its own offset"
    assert word(4) == base - (d + 32) & mask


def test_size(tc):
    e = image(tc, """
        .globl _start, obj
        _start: mov $obj@SIZE, %eax
        .data
        .globl d
        d: .quad obj@SIZE + 1
           .long obj@SIZE + 2
        .type obj, @object
        obj: .fill 24
        .size obj, 24
        """)
    assert e.word_at(e.addr("d")) == 25 and e.word_at(e.addr("d") + 8, 4) == 26 and e.word_at(e.addr("_start") + 1, 4) == 24


@pytest.mark.parametrize("directive,good,bad", [
    (".long v", 0xffffffff, 0x100000000), (".short v", 0xffff, 0x10000), (".byte v", 0xff, 0x100),
    ("mov v, %eax", 0x7fffffff, 0x80000000), ("mov $v, %ebx", 0xffffffff, 0x100000000), ("mov $v, %rbx", 0x7fffffff, 0x80000000),
    ("mov $v, %rbx", 0xffffffff80000000, 0xffffffff7fffffff)])
def test_ranges(tc, directive, good, bad):
    obj = tc.asm(f".globl _start\n_start: {directive}\n{NOTE}")
    assert tc.ld("good", obj, f"--defsym=v={good:#x}").rc == 0
    assert_failed(tc.ld("bad", obj, f"--defsym=v={bad:#x}", check=False), "v")


@pytest.mark.parametrize("size,reach", [("byte", 0x7f), pytest.param("short", 0x7fff, marks=pytest.mark.lacks(bfd="lets PC16 be unsigned too"))])
def test_pc8_and_pc16_ranges(tc, size, reach):
    obj = tc.asm(f".globl _start\n_start: nop\n.data\nd: .{size} far - .\n{NOTE}")
    tc.ld("good", obj, "-Tdata=0x100000", f"--defsym=far={0x100000 + reach:#x}")
    tc.ld("low", obj, "-Tdata=0x100000", f"--defsym=far={0x100000 - reach - 1:#x}")
    assert_failed(tc.ld("bad", obj, "-Tdata=0x100000", f"--defsym=far={0x100000 + reach + 1:#x}", check=False), "far")


def test_call_to_undefined_weak(tc):
    """In a static link a call to an undefined weak function must still link; it would jump to 0."""
    e = image(tc, ".globl _start\n.weak w\n_start: call w\n call w@PLT\n lea w(%rip), %rax\n.data\n.globl d\nd: .quad w\n")
    assert e.word_at(e.addr("d")) == 0


def test_symbolic_and_relative_in_a_library(tc):
    obj = tc.asm(f"""
        .globl g, f
        .text
        f: ret
        local: ret
        .data
        .globl d
        d: .quad g, g + 8, local, ext, f
        .globl table
        table: .long g - ., local - .
        .hidden h
        .globl h
        h: .quad 0
        .quad h
        g: .quad 0
        {NOTE}""".replace("table: .long g - ., local - .", "table: .long h - ., local - ."))
    e = tc.elf(judge(tc, "so", "liba.so", obj))
    rows = sorted((r.offset - e.addr("d"), r.type, r.symbol, r.addend) for r in e.dynrelocs() if 0 <= r.offset - e.addr("d") < 40)
    local = e.addr("local")
    assert rows == [(0, "R_X86_64_64", "g", 0), (8, "R_X86_64_64", "g", 8), (16, "R_X86_64_RELATIVE", "", local), (24, "R_X86_64_64", "ext", 0), (32, "R_X86_64_64", "f", 0)]


def test_absolute_symbols_do_not_move_in_a_pie(tc):
    obj = tc.asm(f'.globl main\nmain: ret\n.globl abs\n.set abs, 0x1234\n.data\n.globl d\nd: .quad abs, abs + 1\n{NOTE}')
    e = tc.elf(tc.exe("prog", "-pie", obj))
    assert e.word_at(e.addr("d")) == 0x1234 and e.word_at(e.addr("d") + 8) == 0x1235
    assert not [r for r in e.dynrelocs() if r.offset in (e.addr("d"), e.addr("d") + 8)]


def test_tls_offsets_in_data(tc):
    obj = tc.asm(f"""
        .globl main, f
        main: xor %eax, %eax
         ret
        .section .tdata,"awT",@progbits
        .globl t1
        t0: .quad 0
        t1: .quad 1
        .data
        .globl d
        d: .quad t1@TPOFF
           .long t1@TPOFF
           .long t1@DTPOFF
           .quad t1@DTPOFF
        {NOTE}""")
    e = tc.elf(tc.exe("prog", "-no-pie", obj))
    d, tls = e.addr("d"), e.segment("PT_TLS")
    end = tls.vaddr + (tls.memsz + tls.align - 1 & -tls.align)
    t1 = e.symbol("t1").value if e.symbol("t1").value < tls.vaddr else e.symbol("t1").value - tls.vaddr
    want = tls.vaddr + t1 - end
    assert e.word_at(d) == want & (1 << 64) - 1 and e.word_at(d + 8, 4) == want & 0xffffffff
    assert e.word_at(d + 12, 4) == t1 and e.word_at(d + 16) == t1 or tc.linker.flavour != "mclink"


def test_relocations_of_merged_strings_with_addends(tc):
    """section symbol + addend names the piece the addend points into; a named symbol keeps its own piece."""
    e = image(tc, """
        .globl _start
        _start: lea .Lb(%rip), %rax
        .section .rodata.str1.1,"aMS",@progbits,1
        .La: .asciz "first"
        .Lb: .asciz "second"
        .Lc: .asciz "first"
        .data
        .globl d
        d: .quad .La, .Lb + 2, .Lc + 1, .Lb
        """)
    d = e.addr("d")
    assert [e.text_at(e.word_at(d + 8 * i)) for i in range(4)] == [b"first", b"cond", b"irst", b"second"]
    assert e.word_at(d) + 1 == e.word_at(d + 16)


def test_32_bit_address_in_a_library_is_refused(tc):
    assert_failed(tc.link("a.so", "-shared", tc.asm(f".globl v\n.data\n.long v\nv: .long 0\n{NOTE}"), check=False), "R_X86_64_32")


def test_pc32_to_a_function_in_a_library_uses_its_plt(tc):
    so = tc.so("libf.so", tc.c("int f(void) { return 5; }", "-fPIC", name="f"))
    obj = tc.asm(f'.globl main\nmain: sub $8, %rsp\n call f\n add $8, %rsp\n sub $5, %eax\n ret\n{NOTE}', name="m")
    assert tc.run(tc.exe("prog", obj, so)).rc == 0


def test_fixed_size_nops_for_undefined_weak_in_pie(tc):
    obj = tc.c("__attribute__((weak)) int w(void); int main(void) { return w ? w() : 0; }", "-O2")
    assert tc.run(tc.exe("prog", "-pie", obj)).rc == 0 and tc.run(tc.exe("prog2", "-static-pie", obj)).rc == 0
