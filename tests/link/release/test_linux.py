"""A link of the shape of a Linux kernel: objects with thousands of sections, a script with segments, per-CPU data at
address 0, tables that are sorted by name, init sections, assertions; three passes with a table of all the symbols, whose
layouts agree."""

import pytest

from harness.same import assert_same
from harness.toolchain import run_command

pytestmark = [pytest.mark.targets("amd64", "i386", "aarch64", "armhf", "mips"),
              pytest.mark.lacks(gold="another layout", lld="another layout", mold="no linker scripts")]

FILES = 4
FUNCTIONS = 250         # of each file, with a dozen sections for every ten of them

SCRIPT = """
ENTRY(startup)
jiffies = jiffies_64;
PHDRS {
 text PT_LOAD FLAGS(5);
 data PT_LOAD FLAGS(6);
 percpu PT_LOAD FLAGS(6);
 init PT_LOAD FLAGS(7);
 note PT_NOTE FLAGS(0);
}
SECTIONS
{
 . = BASE;
 phys_startup = ABSOLUTE(startup - LOAD_OFFSET);
 .text : AT(ADDR(.text) - LOAD_OFFSET) {
  _text = .; _stext = .;
  KEEP(*(.head.text))
  *(.text.hot .text.hot.*) *(.text .text.fixup) *(.text.unlikely .text.unlikely.*)
  . = ALIGN(16); __sched_text_start = .; *(.sched.text) __sched_text_end = .;
  *(.text.[_0-9A-Za-z]* .text.._*)
  . = ALIGN(4096); _etext = .;
 } :text =0xcccc
 . = ALIGN(4096);
 __start_rodata = .;
 .rodata : AT(ADDR(.rodata) - LOAD_OFFSET) { *(.rodata) *(.rodata.*) . = ALIGN(8); __start___tracepoints = .; KEEP(*(__tracepoints)) __stop___tracepoints = .; } :text
 __ksymtab : AT(ADDR(__ksymtab) - LOAD_OFFSET) { __start___ksymtab = .; KEEP(*(SORT(___ksymtab+*))) __stop___ksymtab = .; }
 __ksymtab_gpl : AT(ADDR(__ksymtab_gpl) - LOAD_OFFSET) { __start___ksymtab_gpl = .; KEEP(*(SORT(___ksymtab_gpl+*))) __stop___ksymtab_gpl = .; }
 . = ALIGN(4);
 __ex_table : AT(ADDR(__ex_table) - LOAD_OFFSET) { __start___ex_table = .; KEEP(*(__ex_table)) __stop___ex_table = .; }
 .notes : AT(ADDR(.notes) - LOAD_OFFSET) { __start_notes = .; KEEP(*(.not.required)) KEEP(*(.note.*)) __stop_notes = .; } :text :note
 . = ALIGN(4096);
 .data : AT(ADDR(.data) - LOAD_OFFSET) {
  _sdata = .;
  . = ALIGN(8192); *(.data..init_task)
  . = ALIGN(64); *(.data..cacheline_aligned) . = ALIGN(64); *(.data..read_mostly)
  *(.data .data.[0-9a-zA-Z_]*) *(.kallsyms)
  _edata = .;
 } :data
 . = ALIGN(4096);
 __init_begin = .;
 __per_cpu_load = .;
 .data..percpu 0 : AT(__per_cpu_load - LOAD_OFFSET) {
  __per_cpu_start = .; *(.data..percpu..first) . = ALIGN(64); *(.data..percpu..read_mostly) *(.data..percpu) *(.data..percpu.*) __per_cpu_end = .;
 } :percpu
 . = __per_cpu_load + SIZEOF(.data..percpu);
 .init.text : AT(ADDR(.init.text) - LOAD_OFFSET) { _sinittext = .; *(.init.text .init.text.*) _einittext = .; } :init
 .init.data : AT(ADDR(.init.data) - LOAD_OFFSET) {
  *(.init.data .init.data.*) . = ALIGN(16); __setup_start = .; KEEP(*(.init.setup)) __setup_end = .;
  . = ALIGN(8); __initcall_start = .;
  KEEP(*(.initcallearly.init))
  __initcall0_start = .; KEEP(*(.initcall0.init)) KEEP(*(.initcall0s.init))
  __initcall1_start = .; KEEP(*(.initcall1.init)) KEEP(*(.initcall1s.init))
  __initcall_end = .;
 }
 .exit.text : AT(ADDR(.exit.text) - LOAD_OFFSET) { *(.exit.text) }
 . = ALIGN(4096);
 __init_end = .;
 .bss : AT(ADDR(.bss) - LOAD_OFFSET) { __bss_start = .; *(.bss..page_aligned) *(.bss .bss.*) *(COMMON) . = ALIGN(8); __bss_stop = .; }
 _end = .;
 .comment 0 : { *(.comment) }
 .marks 0 (INFO) : { *(.marks) }
 GOT_ASSERT
 /DISCARD/ : { *(.discard) *(.discard.*) *(.eh_frame) *(.exitcall.exit) *(.modinfo) *(.ARM.*) *(.reginfo) *(.MIPS.*) *(.pdr) *(.gnu.attributes) }
}
init_stack_end = init_stack + 4096;
ASSERT((_end - _text <= 0x4000000), "kernel image bigger than KERNEL_IMAGE_SIZE")
ASSERT((_text == BASE), "kernel begins elsewhere")
ASSERT(__per_cpu_start == 0, "per-CPU data is not at 0")
"""

#: elsewhere GNU ld makes no .got.plt that a script could ask for
GOT_ASSERT = 'ASSERT(SIZEOF(.got.plt) == 0 || SIZEOF(.got.plt) == 0x18 || SIZEOF(.got.plt) == 0xc, "Unexpected GOT/PLT entries detected!")'


def source(n, word):
    """The assembly of one object."""
    out = [".globl jiffies_64, startup, init_stack" if not n else f".globl file_{n}"]

    def section(name, flags, *lines, align=4, kind="%progbits"):
        out.extend([f'.section "{name}", "{flags}", {kind}', f".balign {align}", *lines])

    for i in range(FUNCTIONS):
        name = f"fn_{n}_{i}"
        out.append(f".globl {name}")
        where = (".text", f".text.{name}", f".text.hot.{name}", f".text.unlikely.{name}", ".sched.text")[i % 5]
        section(where, "ax", f"{name}: .long {i}, {n}", align=16 if i % 3 == 0 else 4)
        section(f"___ksymtab{'_gpl' if i % 2 else ''}+{name}", "a", f"{word} {name}", align=8)
        if i % 10 == 0:
            section("__ex_table", "a", f".long {name} - ., {i}")
            section(f".initcall{i % 20 // 10}{'s' if i % 40 == 0 else ''}.init", "a", f"{word} {name}", align=8)
            section("__tracepoints", "a", f".long {i}", align=8)
            section(f".data..percpu{'..read_mostly' if i % 20 else ''}", "aw", f".globl pcpu_{name}", f"pcpu_{name}: {word} {i}", align=8)
            section(f".init.text.{name}", "ax", f"init_{name}: .long {i}")
            section(f".init.data.{name}", "aw", f".long {i}")
            section(f".data.{name}", "aw", f"data_{name}: {word} {name}", align=8)
            section(".data..cacheline_aligned", "aw", f".long {i}", align=64)
            section(f".bss.{name}", "aw", ".skip 12", align=8, kind="%nobits")
            section(".discard.reachable", "", f".long {i}")
            section(f".rodata.{name}", "a", f'.asciz "{name}"', align=1)
            section(".marks", "", f".long {i}")
    if not n:
        section(".head.text", "ax", "startup: .long kallsyms_start, kallsyms_end" if word == ".long" else f"startup: {word} kallsyms_start, kallsyms_end", ".weak kallsyms_start, kallsyms_end", align=8)
        section(".data..init_task", "aw", "init_stack: .long 1")
        section(".data", "aw", f"jiffies_64: {word} 1", align=8)
        section(".data..percpu..first", "aw", f"fixed_percpu: {word} 1", align=8)
        section(".note.Linux", "a", ".long 4, 4, 1, 0x756e694c, 0", kind="%note")
        section(".bss..page_aligned", "aw", ".skip 8192", align=4096, kind="%nobits")
    else:
        section(".data", "aw", f"file_{n}: .long {n}")
    out.append('.section .note.GNU-stack, "", %progbits')
    return "\n".join(out) + "\n"


def kallsyms(tc, path, word):
    """An object with the addresses and names of all the symbols of a pass; empty before the first."""
    rows = [] if path is None else sorted((s.name, s.value) for s in tc.elf(path).symbols
                                          if s.name and s.bind == "STB_GLOBAL" and s.shndx != "SHN_UNDEF" and not s.name.startswith("kallsyms_"))
    lines = ['.section .kallsyms, "aw", %progbits', ".balign 8", ".globl kallsyms_start, kallsyms_end", "kallsyms_start:"]
    lines += [f'{word} {value:#x}\n.asciz "{name}"\n.balign 8' for name, value in rows] + ["kallsyms_end:"]
    lines.append('.section .note.GNU-stack, "", %progbits\n')
    return tc.asm("\n".join(lines).replace("%", "@" if tc.target.machine != "EM_ARM" else "%"), name=f"kallsyms{len(rows)}_{'x' if path is None else path.name}")


@pytest.fixture
def kernel(tc):
    """(arguments of a link, directive for a word)."""
    word = ".quad" if tc.target.bits == 64 else ".long"
    base, offset = (0xffffffff81000000, 0xffffffff80000000) if tc.target.bits == 64 else (0xc1000000, 0xc0000000)
    script = SCRIPT.replace("GOT_ASSERT", GOT_ASSERT if tc.target.machine in ("EM_386", "EM_X86_64") else "").replace("BASE", f"{base:#x}").replace("LOAD_OFFSET", f"{offset:#x}")
    lds = tc.write("vmlinux.lds", f'# 1 "arch/vmlinux.lds.S"\n# 1 "<built-in>"\n{script}')
    objects = [tc.asm(source(n, word).replace("%", "@" if tc.target.machine != "EM_ARM" else "%"), name=f"built-in{n}") for n in range(FILES)]
    lib = tc.ar("lib.a", *objects[2:])
    return ["-T", lds, "-z", "max-page-size=0x1000", "--no-warn-rwx-segments", "--build-id=none", "-X", "-z", "noexecstack", "--orphan-handling=warn",
            "--whole-archive", *objects[:2], lib, "--no-whole-archive"], word


def test_three_passes(tc, kernel):
    words, word = kernel
    passes, before = [], None
    for n in range(3):
        table = kallsyms(tc, before, word)
        ours = tc.ld(f"vmlinux{n}", *words, table)
        theirs = tc.gnu.ld(f"vmlinux{n}", *words, table)
        assert_same(ours.path, theirs.path, but=(".got", ".got.plt"))
        before = ours.path
        passes.append(tc.elf(before))
        assert "orphan" not in ours.err
    for e in passes[1:]:
        assert len(e.sections) < 30 and len(e.symbols) > FILES * FUNCTIONS
    # The second table has the size of the third: nothing moves any more.
    second, third = ([(s.name, s.addr, s.size, s.offset) for s in e.sections if s.flags & 2] for e in passes[1:])
    assert second == third
    assert {s.name: s.value for s in passes[1].symbols} == {s.name: s.value for s in passes[2].symbols}
    e = passes[2]
    assert e.addr("__per_cpu_start") == 0 and e.section(".data..percpu").addr == 0 and e.addr("jiffies") == e.addr("jiffies_64")
    # Tables sorted by name; as many entries as functions.
    step = tc.target.bits // 8
    for name, stop in (("__start___ksymtab", "__stop___ksymtab"), ("__start___ksymtab_gpl", "__stop___ksymtab_gpl")):
        start = e.addr(name)
        at = {s.value: s.name for s in e.symbols if s.name.startswith("fn_")}
        names = [at[e.word_at(p)] for p in range(start, e.addr(stop), 8 if step == 8 else 8)]
        assert len(names) == FILES * FUNCTIONS // 2 and names == sorted(names)


def test_vmlinux_o(tc, kernel):
    """-r of everything first, as kernels are built; the second link lays out the same program."""
    words, word = kernel
    table = kallsyms(tc, None, word)
    at = words.index("--whole-archive")
    ours, theirs = (maker.ld("vmlinux.o", "-r", *words[at:]).path for maker in (tc, tc.gnu))
    assert_same(ours, theirs, order=False)
    assert_same(tc.ld("vmlinux", *words[:at], ours, table).path, tc.gnu.ld("vmlinux", *words[:at], theirs, table).path, but=(".got", ".got.plt"))


def test_an_assertion_of_the_script_stops_the_link(tc, kernel):
    words, word = kernel
    text = (tc.dir / "vmlinux.lds").read_text().replace("<= 0x4000000", "<= 0x40")
    (tc.dir / "vmlinux.lds").write_text(text)
    done = tc.ld("vmlinux", *words, kallsyms(tc, None, word), check=False)
    assert done.rc == 1 and "kernel image bigger than KERNEL_IMAGE_SIZE" in done.err and not (tc.dir / "vmlinux").exists()
