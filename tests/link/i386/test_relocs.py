"""i386: relocations with addends in the fields, their ranges, relaxations and TLS sequences, byte for byte as GNU ld
2.40 writes them."""

import pytest

from harness.judges import assert_failed
from harness.toolchain import run_command

pytestmark = pytest.mark.targets("i386")
NOTE = '.section .note.GNU-stack,"",@progbits\n'
ENTRY = ".globl _start\n_start:\n"


def both(tc, text, *flags):
    """(ours, GNU ld's) image of the same object."""
    obj = tc.asm(text + "\n" + NOTE, name="a")
    return tc.elf(tc.ld("out", *flags, obj).path), tc.elf(tc.gnu.ld("out", *flags, obj).path)


def assert_bytes(tc, text, *flags, sections=(".text",)):
    ours, theirs = both(tc, text, *flags)
    for name in sections:
        assert ours.data(name).hex(" ") == theirs.data(name).hex(" "), name
    return ours


def shapes(*flags):
    """Flags that give both linkers the same addresses, whatever else they put in front of .text."""
    return (*flags, "--section-start=.text=0x9000000", "--section-start=.got=0x9010000",
            "--section-start=.got.plt=0x9010100", "--section-start=.tdata=0x9020000",
            "--section-start=.data=0x9030000", "--section-start=.bss=0x9040000", "-z", "norelro")


WORDS = ENTRY + """
    call f; call f + 3; jmp f@PLT
    movl $v + 8, %eax
    movw v + 2, %ax
    leal _GLOBAL_OFFSET_TABLE_(%eax), %eax
    movl v@GOTOFF + 12(%eax), %edx
    .code16
    jmp f
    movw $small + 1, %ax
    .code32
f:  ret
    .data
    .globl d, v
d:  .long v, v + 5, v - 0x20000000, f - ., f - . + 100
    .short small, small + 0xf, v - . - 4
    .byte tiny, tiny - 3, v - .
    .byte 0
    .long v@GOTOFF, v@GOTOFF - 7, f@GOTOFF, _GLOBAL_OFFSET_TABLE_ - .
    .long obj@SIZE, obj@SIZE + 3
    .long .Llocal, .Llocal + 4
    .long v@GOT, v@GOT + 0
v:  .long 0
.Llocal: .long 1
    .type obj, @object
obj: .fill 24
    .size obj, 24
"""


def test_words(tc):
    """Addends of all widths, in front of symbols and sections."""
    assert_bytes(tc, WORDS, *shapes("--defsym=small=0x7c00", "--defsym=tiny=0x70"), sections=(".text", ".data"))


def edges(bits):
    """Values at the edges of a field: of signed, of unsigned ones, and of those that wrap at 2**32."""
    top, half = 1 << bits, 1 << bits - 1
    return [0, half - 1, half, top - 1, top, (1 << 32) - top - 1, (1 << 32) - top, (1 << 32) - half - 1, (1 << 32) - half,
            (1 << 32) - 1]


#: GNU ld also refuses a symbol that does not fit by itself when the field holds an addend; there the values end earlier
RANGES = ([(".short v", v) for v in edges(16)] + [(".byte v", v) for v in edges(8)]
          + [(".long v", v) for v in (0, 1 << 31, (1 << 32) - 1)] + [(".long v + 1", (1 << 32) - 1)]
          + [(".short v + 1", v) for v in (0x7fff, 0xfffe, 0xffff)] + [(".short v - 1", v) for v in (0, 0x8000, 0xffff)]
          + [(".byte v + 1", v) for v in (0x7f, 0xfe, 0xff)] + [(".byte v - 1", v) for v in (0, 0x80, 0xff)]
          + [(".short v - .", v) for v in (0, 0x807f, 0x8080, 0x1007f, 0x10080)]
          + [(".byte v - .", v) for v in (0, 0x1, 0xff, 0x100)])


@pytest.mark.parametrize("directive,value", RANGES)
def test_ranges(tc, directive, value):
    """Where GNU ld sees an overflow, and the bits that it stores where it sees none."""
    obj = tc.asm(f"{ENTRY} ret\n.data\n.globl d\nd: {directive}\n{NOTE}", name="a")
    flags = (f"--defsym=v={value:#x}", "--section-start=.data=0x80", obj)
    theirs, ours = tc.gnu.ld("out", *flags, check=False), tc.ld("out", *flags, check=False)
    assert ours.rc == theirs.rc, (ours.err, theirs.err)
    if theirs.rc:
        assert_failed(ours, "R_386_", "a.o")
    else:
        assert tc.elf(ours.path).data(".data") == tc.elf(theirs.path).data(".data")


LOADS = ENTRY + """
    movl v@GOT(%ebx), %eax
    movl v@GOT(%ecx), %edi
    call *f@GOT(%ebx)
    jmp *f@GOT(%ebx)
    movl h@GOT(%ebx), %edx
    addl v@GOT(%ebx), %eax
    cmpl v@GOT(%ebx), %edx
    testl %ecx, v@GOT(%ebx)
    .globl v, f, h
    .hidden h
f:  ret
    .data
v:  .long 0
h:  .long 0
"""
BASELESS = ENTRY + """
    movl v@GOT, %eax
    movl v@GOT, %ecx
    call *f@GOT
    jmp *f@GOT
    subl v@GOT, %esi
    testl %ecx, v@GOT
    .globl v, f
f:  ret
    .data
v:  .long 0
"""


@pytest.mark.parametrize("flags", [(), ("-pie",), ("-shared",), ("-shared", "-Bsymbolic")])
def test_loads_from_the_got(tc, flags):
    # One slot only in a library: the order of slots is each linker's own.
    assert_bytes(tc, LOADS.replace("f@", "v@") if flags == ("-shared",) else LOADS, *shapes(*flags))


def test_loads_without_base_register(tc):
    assert_bytes(tc, BASELESS, *shapes())


@pytest.mark.parametrize("text", [LOADS, BASELESS])
def test_no_relaxation(tc, text):
    """--no-relax, which GNU ld does not heed on i386, keeps every slot."""
    e = assert_slots(tc, text)
    opcodes = [line.split()[2] for line in e]
    assert "lea" not in opcodes and not any("$" in line for line in e)


def assert_slots(tc, text):
    """The disassembly of the loads, linked with --no-relax."""
    ours = tc.ld("out", *shapes("--no-relax"), tc.asm(text + NOTE, name="a")).path
    listing = run_command([tc.tool("objdump"), "-d", "--no-show-raw-insn", "-j", ".text", ours]).out
    return [line for line in listing.splitlines() if "\t" in line and ("mov" in line or "call" in line or "add" in line)]


def test_no_base_register_in_pic(tc):
    obj = tc.asm(f"{ENTRY} addl v@GOT, %eax\n.globl v\n.data\nv: .long 0\n{NOTE}", name="a")
    for flags in (("-pie",), ("-shared",)):
        assert tc.gnu.ld("out", *flags, obj, check=False).rc == 1
        assert_failed(tc.ld("out", *flags, obj, check=False), "R_386_GOT32X", "recompile with -fPIC")


TLS = ENTRY + """
    leal x@TLSGD(,%ebx,1), %eax
    call ___tls_get_addr@PLT
    leal y@TLSGD(%ebx), %eax
    call ___tls_get_addr@PLT
    nop
    leal x@TLSGD(%ecx), %eax
    call *___tls_get_addr@GOT(%ecx)
    leal x@TLSLDM(%ebx), %eax
    call ___tls_get_addr@PLT
    leal x@DTPOFF + 4(%eax), %edx
    leal x@TLSLDM(%esi), %eax
    call *___tls_get_addr@GOT(%esi)
    movl y@DTPOFF(%eax), %edx
    movl x@INDNTPOFF, %eax
    movl x@INDNTPOFF, %ecx
    addl x@INDNTPOFF, %ecx
    movl x@GOTNTPOFF(%ebx), %eax
    addl x@GOTNTPOFF(%ebx), %edi
    movl y@GOTTPOFF(%ebx), %eax
    subl y@GOTTPOFF(%ebx), %edx
    leal x@TLSDESC(%ebx), %eax
    call *x@TLSCALL(%eax)
    leal x@NTPOFF + 4(%eax), %eax
    movl $y@NTPOFF, %eax
    movl $x@TPOFF, %edx
    movl %gs:x@NTPOFF, %eax
    .globl ___tls_get_addr, x, y
    .type ___tls_get_addr, @function
___tls_get_addr: ret
    .section .tdata,"awT",@progbits
    .balign 16
    .long 1
x:  .long 2
y:  .long 3
    .long 4
"""


@pytest.mark.parametrize("flags", [(), ("-pie",)])
def test_tls_in_an_executable(tc, flags):
    """Every access becomes local-exec."""
    ours = assert_bytes(tc, TLS, *shapes(*flags))
    assert "R_386_TLS_DTPMOD32" not in {r.type for r in ours.dynrelocs()}


IMPORTED = ENTRY + """
    leal x@TLSGD(,%ebx,1), %eax
    call ___tls_get_addr@PLT
    leal x@TLSGD(%ebx), %eax
    call ___tls_get_addr@PLT
    nop
    leal x@TLSDESC(%ebx), %eax
    call *x@TLSCALL(%eax)
    .globl ___tls_get_addr
    .type ___tls_get_addr, @function
___tls_get_addr: ret
    .data
    .long _GLOBAL_OFFSET_TABLE_
"""
OFFSETS = ENTRY + """
    movl x@INDNTPOFF, %eax
    addl y@GOTNTPOFF(%ebx), %edi
    subl z@GOTTPOFF(%ebx), %edx
    .data
    .long _GLOBAL_OFFSET_TABLE_
"""
VARIABLES = '.globl x, y, z\n.section .tdata,"awT",@progbits\n' + "".join(
    f".type {n}, @object\n.size {n}, 4\n{n}: .long 1\n" for n in "xyz")


@pytest.mark.parametrize("text,types", [
    (IMPORTED, ["R_386_TLS_TPOFF32"]), (OFFSETS, ["R_386_TLS_TPOFF", "R_386_TLS_TPOFF", "R_386_TLS_TPOFF32"])])
def test_tls_of_a_library(tc, text, types):
    """General-dynamic accesses read the slot of initial-exec ones."""
    lib = tc.so("libx.so", tc.asm(VARIABLES + NOTE, name="x"), "-nostdlib")
    obj = tc.asm(text + NOTE, name="a")
    flags = (*shapes(), obj, lib)
    ours, theirs = tc.elf(tc.ld("out", *flags).path), tc.elf(tc.gnu.ld("out", *flags).path)
    found = sorted(r.type for r in ours.dynrelocs() if "TLS" in r.type)
    assert found == sorted(types) == sorted(r.type for r in theirs.dynrelocs() if "TLS" in r.type)
    if text is IMPORTED:
        assert ours.data(".text").hex(" ") == theirs.data(".text").hex(" ")


ACCESSES = """
f:  leal a@TLSGD(,%ebx,1), %eax
    call ___tls_get_addr@PLT
    leal a@TLSLDM(%ebx), %eax
    call ___tls_get_addr@PLT
    leal a@DTPOFF(%eax), %eax
    leal b@TLSDESC(%ebx), %eax
    call *b@TLSCALL(%eax)
    movl c@INDNTPOFF, %eax
    addl d@GOTNTPOFF(%ebx), %eax
    subl e@GOTTPOFF(%ebx), %eax
    leal g@NTPOFF + 2(%eax), %eax
    .section .tdata,"awT",@progbits
    .long 1
"""


@pytest.mark.parametrize("binding", [".hidden", ".globl"])
def test_tls_in_a_library(tc, binding):
    """The slots of a shared object: module and offset pairs, TP offsets both ways, a descriptor with its argument."""
    names = "".join(f"{binding} {n}\n.type {n}, @object\n.size {n}, 4\n{n}: .long {i}\n" for i, n in enumerate("abcdeg"))
    obj = tc.asm(ACCESSES + names + NOTE, name="a")
    flags = ("-shared", "--section-start=.tdata=0x20000", obj)
    ours, theirs = tc.elf(tc.ld("out", *flags).path), tc.elf(tc.gnu.ld("out", *flags).path)

    def rows(e):
        found = []
        for r in e.dynrelocs():
            if "TLS" in r.type:
                # The argument of a descriptor is its second word.
                at = r.offset + 4 if r.type == "R_386_TLS_DESC" else r.offset
                found.append((r.type, r.symbol, int.from_bytes(e.bytes_at(at, 4), "little")))
        return sorted(found)
    assert rows(ours) == rows(theirs)


def test_addends_of_a_partial_link(tc):
    """-r writes the addends of references to sections into the contents."""
    one = tc.asm(WORDS + NOTE, name="one")
    two = tc.asm(WORDS.replace(ENTRY, "g:\n").replace(".globl d, v", "") + NOTE, name="two")
    ours, theirs = tc.elf(tc.ld("out.o", "-r", one, two).path), tc.elf(tc.gnu.ld("out.o", "-r", one, two).path)
    for name in (".text", ".data"):
        assert ours.data(name).hex(" ") == theirs.data(name).hex(" "), name
        rel = ".rel" + name
        assert [(r.offset, r.type) for r in ours.relocs(rel)] == [(r.offset, r.type) for r in theirs.relocs(rel)]


def test_two_relocation_sections_for_one(tc):
    """CREL and REL of clang, addends in the fields."""
    src = "static int x[3]; int *p = &x[2]; extern int q; int *r = &q; int q = 4; int f(void) { return *p + *r; }"
    plain = tc.compile(src, "-fPIC", "-O1", driver="clang", name="rel")
    crel = tc.compile(src, "-fPIC", "-O1", "-Wa,--crel,--allow-experimental-crel", driver="clang", name="crel")
    assert any(s.type == 0x40000014 for s in tc.elf(crel).sections)
    images = [tc.elf(tc.ld(f"{obj.stem}.so", "-shared", obj).path) for obj in (plain, crel)]
    assert images[0].data(".data") == images[1].data(".data") and images[0].data(".text") == images[1].data(".text")


THUNK = """
    .section .gnu.linkonce.t.__x86.get_pc_thunk.bx,"ax",@progbits
    .globl __x86.get_pc_thunk.bx
    .hidden __x86.get_pc_thunk.bx
    .type __x86.get_pc_thunk.bx, @function
__x86.get_pc_thunk.bx: movl (%esp), %ebx
    ret
    .section .gnu.linkonce.d.shared,"aw"
    .weak shared
shared: .long {}
"""


def test_linkonce(tc):
    """.gnu.linkonce sections: the first of a name wins; those of functions meet COMDAT groups."""
    main = tc.c('#include <stdio.h>\nextern int shared; int main(void) { printf("%d\\n", shared); return 0; }', "-fPIE",
                name="main")
    objs = [tc.asm(THUNK.format(n) + NOTE, name=f"once{n}") for n in (7, 8)]
    assert tc.out(tc.exe("a", "-pie", main, *objs)) == "7\n"
    assert tc.out(tc.exe("b", "-pie", *objs[::-1], main)) == "8\n"


def test_plt_styles(tc):
    """PLT entries of a fixed image, of PIC, and both with endbr32: bytes of GNU ld."""
    lib = tc.so("libf.so", tc.c("int f(void) { return 1; } int g(void) { return 2; }", "-fPIC", name="f"), "-nostdlib")
    obj = tc.asm(ENTRY + """
        call f@PLT; call g@PLT
        movl g@GOT(%ebx), %eax
        .data
        .long _GLOBAL_OFFSET_TABLE_
        """ + NOTE, name="a")
    sections = "--section-start=.plt=0x8100000", "--section-start=.plt.sec=0x8101000", "--section-start=.plt.got=0x8102000"
    for flags in ((), ("-z", "ibtplt"), ("-pie",), ("-pie", "-z", "ibtplt")):
        args = (*shapes(*flags), *sections, obj, lib)
        ours, theirs = tc.elf(tc.ld("out", *args).path), tc.elf(tc.gnu.ld("out", *args).path)
        for name in (".plt", ".plt.sec", ".plt.got"):
            if any(s.name == name for s in theirs.sections):
                assert ours.data(name).hex(" ") == theirs.data(name).hex(" "), (flags, name)


def test_iamcu_is_another_machine(tc):
    """EM_IAMCU objects are not i386 ones; -m elf_iamcu links them."""
    obj = tc.asm(f"{ENTRY} ret\n{NOTE}", name="a")
    data = bytearray(obj.read_bytes())
    data[18] = 6
    mcu = tc.write("mcu.o", bytes(data))
    assert_failed(tc.ld("out", obj, mcu, check=False), "mcu.o")
    assert tc.elf(tc.ld("out", "-m", "elf_iamcu", mcu, emulation=False).path).header["e_machine"] in (6, "EM_IAMCU", "EM_486")


DOWN = r"""
#include <stdio.h>
__thread int pad[3] = {1, 2, 3}; __thread int x = 7;
static __thread int mine __asm__("mine") __attribute__((used)) = 8;
extern const int words[4];
__asm__(".section .data.words,\"aw\",@progbits\n.globl words\nwords: .long x@tpoff, mine@tpoff, mine@tpoff+4, mine@ntpoff\n.text\n");
int check(void) {
  char *tp; __asm__("movl %%gs:0, %0" : "=r"(tp));
  return *(int *)(tp - words[0]) == x && *(int *)(tp - words[1]) == mine && words[2] - words[1] == 4 && *(int *)(tp + words[3]) == mine;
}
"""


def test_offsets_counted_downwards_in_a_library(tc):
    """R_386_TLS_LE_32 in data becomes R_386_TLS_TPOFF32, as with GNU ld."""
    obj = tc.c(DOWN, "-fPIC", name="down")
    lib = tc.so("libdown.so", obj)
    main = tc.c('#include <stdio.h>\nint check(void); int main(void) { printf("%d\\n", check()); }', name="m")
    assert tc.out(tc.exe("prog", main, lib)) == "1\n"
    kinds = lambda path: sorted((r.type, r.symbol) for r in tc.elf(path).relocs(".rel.dyn") if "TPOFF" in r.type)
    assert kinds(lib) == kinds(tc.gnu.so("libdown.so", obj)) and len(kinds(lib)) == 5
    assert "STATIC_TLS" in str(tc.elf(lib).dyn_flags())


BOOT = """
    .code16
    .globl start
start: cli
    xorw %ax, %ax
    movw %ax, %ds
    movw $msg, %si
    movb $low, %al
    movb $(end - start), %cl
    lgdt gdtr
    ljmp $8, $pm
    .code32
pm: movl $msg + 4, %esi
    jmp pm
    .code16
    call other
msg: .ascii "hi"
gdtr: .word end - start
    .long start
end:
    .section .other, "ax"
other: ret
    .globl low
    low = 0x7f
"""


def test_boot_sector(tc):
    """16-bit code at 0x7c00, as ELF and as raw bytes."""
    obj = tc.asm(BOOT + NOTE, name="boot")
    flags = ("-N", "-e", "start", "-Ttext", "7c00")
    ours, theirs = (t.ld("boot.bin", *flags, "--oformat", "binary", obj).path.read_bytes() for t in (tc, tc.gnu))
    assert ours == theirs and len(ours) > 40
    e, g = (t.elf(t.ld("boot", *flags, obj).path) for t in (tc, tc.gnu))
    assert e.loads() == g.loads() and e.entry == g.entry == 0x7c00


def test_intel_mcu(tc):
    """elf_iamcu: the machine number is taken from the object or from -m, and i386's objects are refused."""
    text = ENTRY + "movl $v, %eax\ncall f\nret\nf: ret\n.data\nv: .long f, v - .\n"
    mcu, other = tc.asm(text, "-Wa,-march=iamcu", name="mcu"), tc.asm(text.replace("_start", "g"), name="other")
    flags = shapes()
    for words in ((), ("-m", "elf_iamcu")):
        e = tc.elf(tc.ld("out", *words, *flags, mcu, emulation=False).path)
        g = tc.gnu.elf(tc.gnu.ld("out", "-m", "elf_iamcu", *flags, mcu, emulation=False).path)
        assert e.machine == g.machine == "EM_IAMCU"
        assert e.data(".text") == g.data(".text") and e.data(".data") == g.data(".data")
    done = tc.ld("bad", "-m", "elf_iamcu", mcu, other, emulation=False, check=False)
    assert done.rc == 1 and "other.o is incompatible with elf_iamcu" in done.err
