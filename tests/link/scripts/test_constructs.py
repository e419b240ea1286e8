"""Constructs that reach beyond the layout: files named in patterns, gc, constructors, PROVIDE and archives, errors."""

import pytest

from harness.same import assert_same
from harness.toolchain import run_command

pytestmark = pytest.mark.lacks(gold="differs", lld="differs", mold="no linker scripts")

#: targets whose objects have no sections for their ABI's own use
PLAIN = pytest.mark.targets("amd64", "i386", "aarch64", "armhf", "armel", "ppc64", "ppc64le")

START = ".globl _start\n.text\n_start: .long 1\n.section .note.GNU-stack, \"\", %progbits\n"
MORE = ".globl more\n.text\nmore: .long 2\n.data\n.long 3\n.section .note.GNU-stack, \"\", %progbits\n"


def asm(tc, source, name):
    return tc.asm(source.replace("%", "@" if tc.target.machine != "EM_ARM" else "%"), name=name)


@PLAIN
def test_a_file_named_in_a_pattern_is_an_input(tc):
    script = tc.write("s.lds", "SECTIONS { . = 0x1000; .text : { more.o(.text) *(.text) } .data : { *(.data) } /DISCARD/ : { *(.ARM.*) } }")
    asm(tc, START, "start"), asm(tc, MORE, "more")
    ours = tc.ld("out", "-T", script, "start.o")
    theirs = tc.gnu.ld("out", "-T", script, "start.o", cwd=tc.dir)
    assert_same(ours.path, theirs.path, but=(".got", ".got.plt"))
    assert tc.elf("out").addr("more") == 0x1000
    # In a folder of libraries, too; one that is on the line already is not opened twice.
    (tc.dir / "lib").mkdir()
    (tc.dir / "more.o").rename(tc.dir / "lib" / "more.o")
    assert tc.elf(tc.ld("out", "-T", script, "-Llib", "start.o").path).addr("more") == 0x1000
    (tc.dir / "lib" / "more.o").rename(tc.dir / "more.o")
    assert tc.elf(tc.ld("out", "-T", script, "start.o", "more.o").path).addr("more") == 0x1000
    (tc.dir / "more.o").unlink()
    done = tc.ld("out", "-T", script, "start.o", check=False)
    assert done.rc == 1 and "cannot find more.o" in done.err and "s.lds:1:" in done.err
    assert tc.gnu.ld("out", "-T", script, "start.o", check=False, cwd=tc.dir).rc == 1


def test_linker_version(tc):
    script = tc.write("s.lds", "SECTIONS { .text 0x1000 : { *(.text) } .version 0 : { LINKER_VERSION } }")
    obj = asm(tc, START, "start")
    assert tc.elf(tc.ld("out", "-T", script, obj).path).section(".version") is None
    e = tc.elf(tc.ld("out", "-T", script, "--enable-linker-version", obj).path)
    assert e.data(".version").startswith(b"mclink ") and e.data(".version").endswith(b"\0")
    assert tc.elf(tc.ld("out", "-T", script, "--enable-linker-version", "--disable-linker-version", obj).path).section(".version") is None


@PLAIN
def test_create_object_symbols_makes_none(tc):
    """As with GNU ld's ELF output."""
    script = tc.write("s.lds", "SECTIONS { . = 0x1000; .text : { CREATE_OBJECT_SYMBOLS *(.text) CONSTRUCTORS SORT(CONSTRUCTORS) } .data : { *(.data) } }")
    objects = [asm(tc, START, "start"), asm(tc, MORE, "more")]
    ours, theirs = tc.ld("out", "-T", script, *objects).path, tc.gnu.ld("out", "-T", script, *objects).path
    assert_same(ours, theirs, but=(".got", ".got.plt"))


CTORS = """
.globl _start
.text
_start: .long 0
a: .long 1
b: .long 2
c: .long 3
.section .ctors, "aw"
W a, b, c
.section .ctors.00100, "aw"
W b, c
.section .dtors.65435, "aw"
W a, c
.section .init_array, "aw", %init_array
W b
.section .init_array.00200, "aw", %init_array
W c
.section .dtors, "aw"
W c, a
"""


@pytest.mark.targets("amd64", "i386", "aarch64")
@pytest.mark.parametrize("flags", [(), ("-shared",), ("-pie",), ("-q",), ("-r",)], ids=lambda f: " ".join(f) or "exec")
def test_old_tables_of_constructors_run_in_their_order(tc, flags):
    """.ctors ran from its end: its words stand the other way round in .init_array."""
    word = ".quad" if tc.target.bits == 64 else ".long"
    obj = asm(tc, CTORS.replace("\nW ", f"\n{word} "), "tables")
    ours, theirs = (maker.ld("out", *flags, obj).path for maker in (tc, tc.gnu))
    ours, theirs = tc.elf(ours), tc.elf(theirs)
    size = tc.target.bits // 8
    for name in (".init_array", ".fini_array", ".ctors", ".dtors"):
        left, right = ours.section(name), theirs.section(name)
        assert (left is None) == (right is None)
        if left is not None:
            assert offsets_of(ours, name, size) == offsets_of(theirs, name, size), name


def offsets_of(e, name, size):
    """What each word of a section stands for: the number in it, and the addend of the relocation for it."""
    s = e.section(name)
    text = e.section(".text").addr
    relocs = {r.offset - (s.addr if e.type != "ET_REL" else 0): r for r in (e.dynrelocs() if e.type != "ET_REL" else
              [r for t in e.sections if t.type in ("SHT_RELA", "SHT_REL") and t.info == s.index for r in e.relocs(t.name)])}
    words = []
    for at in range(0, s.size, size):
        value = int.from_bytes(e.raw[s.offset + at:s.offset + at + size], "little")
        r = relocs.get(at)
        addend = None if r is None else r.addend if r.addend is not None and e.type != "ET_REL" else value if e.type == "ET_REL" else None
        got = addend if r is not None and addend is not None else value
        words.append(got - text if got >= text > 0 else got)
    return words


@PLAIN
def test_provide_keeps_nothing_alive(tc):
    """PROVIDE only when referenced; its expression keeps no section, and pulls nothing out of an archive."""
    script = tc.write("s.lds", "ENTRY(main_) PROVIDE(unused = in_archive); PROVIDE(wanted = 0x1234); PROVIDE(alias = dead);"
                               "SECTIONS { . = 0x10000; .text : { *(.text .text.*) } .data : { *(.data .data.*) } }")
    lib = tc.ar("liba.a", tc.c("int in_archive(void) { return 1; }", "-fno-pic", name="member"))
    main = tc.c("extern char wanted[]; int dead(void) { return 1; } char *main_(void) { return wanted; }", "-ffunction-sections", "-fno-pic", "-fno-pie", name="main")
    for maker in (tc, tc.gnu):
        e = tc.elf(maker.ld("out", "-T", script, "--gc-sections", main, lib).path)
        assert e.addr("wanted") == 0x1234 and e.symbol("unused") is None and e.symbol("in_archive") is None and e.symbol("dead") is None


@pytest.mark.targets("amd64", "i386", "aarch64", "armhf", "armel")
def test_keep_and_gc(tc):
    """KEEP, SHF_GNU_RETAIN, __start_ and __stop_, SHF_LINK_ORDER."""
    source = """
.globl _start
.section .text._start, "ax"
_start: .long __start_set - .
.section .text.kept, "ax"
.long 1
.section .text.dropped, "ax"
.long 2
.section set, "aw"
.long 3
.section other, "aw"
.long 4
.section .data.retained, "awR"
.long 5
.section .data.plain, "aw"
.long 6
.section notes, "ao", %progbits, .text._start
.long 7
.section dnotes, "ao", %progbits, .text.dropped
.long 8
"""
    script = tc.write("s.lds", "ENTRY(_start) SECTIONS { . = 0x10000; .text : { KEEP(*(.text.kept)) *(.text.*) } .data : { *(.data.*) } set : { *(set) } other : { *(other) } notes : { *(notes) } dnotes : { *(dnotes) } }")
    obj = asm(tc, source, "gc")
    found = []
    for maker in (tc, tc.gnu):
        e = tc.elf(maker.ld("out", "-T", script, "--gc-sections", obj, check=True).path)
        found.append({s.name: (s.addr, s.size) for s in e.sections if s.name in (".text", ".data", "set", "other", "notes", "dnotes") and s.size})
    assert found[0] == found[1] and ".data" in found[0] and "other" not in found[0] and found[0][".text"][1] == 8


#: a script with an error, and the place and words of the message
ERRORS = {
    "SECTIONS { .text : { *(.text }": (1, "expected"),
    "SECTIONS {\n  . = 0x1000\n  .text : { *(.text) }\n}": (3, "';'"),
    "SECTIONS {\n  .text : { *(.text) }\n  x = undefined_name + 1;\n}": (3, "undefined_name"),
    "MEMORY { rom : ORIGIN = 0, LENGTH = 1K }\nSECTIONS { .text : { *(.text) } > ram }": (2, "ram"),
    "SECTIONS {\n\n  .text : { *(.text) } :nophdr\n}": (3, "nophdr"),
    "SECTIONS { x = 1 / 0; .text : { *(.text) } }": (1, "zero"),
    "ENTRY(_start)\nSECTIONS { .text : { *(.text) } ASSERT(0, \"never so\") }": (2, "never so"),
    "SECTIONS { .text : { *(.text) . = 0; } }\nx = SIZEOF(;": (2, "expected"),
    "SECTIONS { .text 0x1000 : { *(.text) . = 0x2; . = 0x1; } }": (1, "backwards"),
    "INCLUDE missing.lds": (1, "missing.lds"),
    "NONSENSE(4)\nSECTIONS { }": (1, "NONSENSE"),
    "SECTIONS { .text : { *(SORT_BY_NAME(SORT_NONE(.text))) } }": (1, "sorts"),
    "SECTIONS { .a : { *(.a) } } INSERT AFTER .nowhere;": (1, ".nowhere"),
    "VERSION { V1 { global: f; };": (1, "expected"),
    "REGION_ALIAS(\"a\", nowhere)\nSECTIONS { .text : { *(.text) } }": (1, "nowhere"),
}


@pytest.mark.targets("amd64")
@pytest.mark.parametrize("script", ERRORS, ids=lambda text: text[:30].replace("\n", " "))
def test_errors_have_a_place_the_line_and_a_caret(tc, script):
    line, word = ERRORS[script]
    path = tc.write("bad.lds", script)
    done = tc.ld("out", "-T", path, asm(tc, START, "start"), check=False)
    text = done.err
    assert done.rc == 1 and "Traceback" not in text
    head = text.splitlines()[0]
    assert f"bad.lds:{line}:" in head and word in text, text
    column = int(head.split(f"bad.lds:{line}:")[1].split(":")[0])
    shown, caret = (row[4:] for row in text.splitlines()[1:3])
    source = script.splitlines()[line - 1] if script else ""
    assert shown.strip() in source and caret.strip() == "^"
    # The caret stands under the column that the message names.
    if source == shown:
        assert caret.index("^") == column - 1
    assert not (tc.dir / "out").exists()


@pytest.mark.targets("amd64")
def test_errors_in_an_included_file(tc):
    tc.write("inner.lds", "SECTIONS {\n .text : { *(.text) } >>\n}\n")
    done = tc.ld("out", "-T", tc.write("outer.lds", "ENTRY(x)\nINCLUDE inner.lds\n"), asm(tc, START, "start"), check=False)
    assert done.rc == 1 and "inner.lds:2:" in done.err


@pytest.mark.targets("amd64")
def test_orphans_are_named(tc):
    """--orphan-handling=warn and error tell which section of which file."""
    script = tc.write("s.lds", "SECTIONS { . = 0x1000; .text : { *(.text) } }")
    objects = [asm(tc, START, "start"), asm(tc, MORE, "more")]
    done = tc.ld("out", "-T", script, "--orphan-handling=warn", *objects)
    assert "orphan section '.data' from" in done.err and "start.o" in done.err
    theirs = tc.gnu.ld("out", "-T", script, "--orphan-handling=warn", *objects)
    assert ".data" in theirs.err
    assert tc.ld("out", "-T", script, "--orphan-handling=error", *objects, check=False).rc == 1


# Not 64-bit Power: code of a script may lie far from the TOC, so words of it that the default layout drops stay.
@pytest.mark.targets("amd64", "i386", "aarch64", "armhf")
@pytest.mark.parametrize("flags", [(), ("-shared",), ("-pie",), ("-r",), ("-N",), ("-n",), ("-z", "separate-code"), ("-z", "noseparate-code"), ("-z", "norelro"), ("-z", "now")],
                         ids=lambda f: " ".join(f) or "exec")
def test_the_printed_script_gives_the_same_file(tc, flags):
    """--verbose prints the default script between lines of ====; fed back with -T it changes no byte."""
    source = """
int common[4]; int data = 3; static int zero; const char *text = "hello"; __attribute__((section("set"))) int in_set = 1;
__attribute__((constructor)) static void c(void) { zero++; } __attribute__((section(".text.hot"))) int hot(void) { return data; }
static __thread int t = 4; int *tls(void) { return &t; } void *__tls_get_addr(void *p) { return p; } __attribute__((weak)) int extern_data;
int _start(void) { return data + zero + hot() + (common[1] ? text[0] : in_set) + *tls() + extern_data; }
"""
    obj = tc.c(source, "-fPIC" if flags and flags[0] in ("-shared", "-pie") else "-fno-pic", "-fcommon", "-g", name="whole")
    said = tc.call_linker("-m", tc.target.emulation, *flags, "--verbose").out
    script = tc.write("default.lds", said.split("=" * 50)[1])
    plain = tc.ld("plain", "--no-warn-rwx-segments", *flags, obj).path
    again = tc.ld("again", "--no-warn-rwx-segments", *flags, "-T", script, obj).path
    assert plain.read_bytes() == again.read_bytes()


@pytest.mark.targets("amd64")
def test_every_emulation_prints_a_script_that_parses(tc):
    """-m EMULATION --verbose for all emulations that there are: the script is taken back without a complaint."""
    listed = tc.call_linker("-V").out.split("Supported emulations:")[1].split()
    assert "elf_x86_64" in listed and len(listed) > 10
    for emulation in listed:
        said = tc.call_linker("-m", emulation, "--verbose", check=False)
        assert said.rc == 0, said
        script = tc.write(emulation + ".lds", said.out.split("=" * 50)[1])
        data = tc.write("data.bin", b"some bytes")
        for out, more in (("first", ()), ("second", ("-T", script))):
            # -e: the bytes of a data file have no code to begin with.
            tc.call_linker("-m", emulation, "-b", "binary", data.name, "-o", out, "-e", "0", *more)
        assert (tc.dir / "first").read_bytes() == (tc.dir / "second").read_bytes(), emulation
