"""The layout of linker scripts against GNU ld's: addresses, load addresses, sizes, contents, offsets, program
headers and symbols of the same objects under the same script."""

import pytest

from unit.layout_cases import CASES
from unit.layout_harness import Bench, Layout
from unit.layout_random import make_script

FIRST = r"""
.globl _start, fn2
.text
_start: nop
call fn2
.section .text.a, "ax"
.p2align 4
fn2: ret
.section .text.b, "ax"
nop; nop
.data
.globl dat
dat: .quad 1
.section .data.z, "aw"
.p2align 3
.quad 2
.section .data.b, "aw"
.long 2
.section .rodata, "a"
.long 3
.section .rodata.str, "a"
.ascii "hello"
.bss
.p2align 4
.skip 24
.section .vec, "a"
.long 9
.section .init.1, "aw"
.quad 11
.section .init.2, "aw"
.quad 12
.comm cc, 40, 16
.section .note.GNU-stack, "", @progbits
"""

SECOND = r"""
.text
nop
.section .text.c, "ax"
nop
.section .data.a, "aw"
.long 5
.section .init.0, "aw"
.quad 13
.bss
.skip 5
.section .dbg, ""
.long 1
.comm cd, 8, 8
.section .note.GNU-stack, "", @progbits
"""

NOTES = r"""
.globl _start
.text
_start: nop
.macro note n, a
.section .note.\n, "a", @note
.p2align \a
.long 4, 8, 1, 0, 0, 0
.endm
note a4 2
note b8 3
note c4 2
note d16 4
note e8 3
note f4 2
note g16 4
.section .rodata, "a"
.long 1
"""

MANY = r"""
.globl _start
.text
_start: nop
.section .foo, "aw"
.quad 2
.section .myro, "a"
.long 3
.section .mytext, "ax"
nop
.section .mybss, "aw", @nobits
.skip 8
.section .mytls, "awT"
.long 1
.section .mytbss, "awT", @nobits
.skip 4
.section .mynon, ""
.long 1
.data
.quad 5
.bss
.skip 16
.section .note.GNU-stack, "", @progbits
"""

TLS = r"""
.globl _start
.text
_start: nop
.section .tdata, "awT"
.p2align 2
.long 1
.section .tbss, "awT", @nobits
.p2align 6
.skip 4
.data
.long 3
.section .note.GNU-stack, "", @progbits
"""

FOLLOWERS = r"""
.globl _start
.section .text.b, "ax"
fb: nop
.section places, "ao", @progbits, .text.b
.quad fb
.section .text.a, "ax"
fa: nop
.section places, "ao", @progbits, .text.a
.quad fa
.text
_start: nop
.section places, "ao", @progbits, .text
.quad _start
.section .note.GNU-stack, "", @progbits
"""

OPTIONS = (
    (), ("-z", "noseparate-code"), ("-N",), ("-n",), ("--sort-section=name",), ("--sort-section=alignment",),
    ("-Ttext", "0x50000"), ("-Ttext=0",), ("--orphan-handling=discard",), ("--unique",),
    ("-z", "max-page-size=0x10000"), ("-z", "norelro"), ("-z", "execstack"), ("-Ttext-segment=0x700000",),
    ("-z", "max-page-size=0x10000", "-z", "common-page-size=0x4000"), ("-Tbss=0x900000",),
    ("-Tdata=0x60000",), ("--section-start=.vec=0x70000",), ("-Tbss=0x900000", "-Tdata=0x60000"),
    ("-Ttext=0x500000", "-Tdata=600000"), ("--section-start=.data=0x800000", "--section-start=.vec=0x70000"),
)


FILE_PATTERNS = (
    "*lib1.a:m.o(.text* .data*)", "*lib1.a:(.text* .data*)", "lib1.a:m.o(.text* .data*)", "*:m.o(.text* .data*)",
    ":start.o(.text*)", ":m.o(.text*)", "*lib1.a(.text* .data*)", "*m.o(.text* .data*)",
    "*(EXCLUDE_FILE(*lib1.a) .text* .data*)", "*(EXCLUDE_FILE(*lib1.a:) .text* .data*)",
    "*(EXCLUDE_FILE(*lib1.a:m.o *start.o) .text* .data*)", "[s]*.o(.text*)", "*lib?.a:*(.text*)",
    "*lib[!2].a:*(.text*)",
)

START = ".globl _start\n.text\n_start: call fn2\n.section .note.GNU-stack, \"\", @progbits\n"


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    bench = Bench(tmp_path_factory.mktemp("layout"))
    bench.assemble("m", FIRST)
    bench.assemble("n", SECOND)
    bench.assemble("notes", NOTES)
    bench.assemble("many", MANY)
    bench.assemble("tls", TLS)
    bench.assemble("followers", FOLLOWERS)
    bench.assemble("start", START)
    bench.archive("lib1.a", bench.assemble("m", FIRST.replace("_start", "other")))
    bench.archive("lib2.a", "n.o")
    bench.assemble("m", FIRST)
    return bench


def agree(bench, words, **how):
    differences = bench.differences(words, **how)
    assert not differences, "\n".join(differences)


@pytest.mark.parametrize("name", CASES)
def test_script(bench, name):
    agree(bench, ["-T", bench.write("script.lds", CASES[name]), "m.o", "n.o"])


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_options_with_the_default_script(bench, options):
    agree(bench, [*options, "m.o", "n.o"])


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_options_with_a_script(bench, options):
    agree(bench, [*options, "-T", bench.write("script.lds", CASES["page alignment of data"]), "m.o", "n.o"], order="loaded")


@pytest.mark.parametrize("seed", range(80))
def test_random_script(bench, seed):
    # Which of the two kinds of absolute a symbol of a nested expression is, is the evaluator's affair.
    script = make_script(seed, catch_all=True)
    differences = bench.differences(["-T", bench.write("script.lds", script), "m.o", "n.o"], absolute=False)
    assert not differences, script + "\n".join(differences)


@pytest.mark.parametrize("options", ((), ("--build-id",), ("-z", "noseparate-code")), ids=" ".join)
def test_notes_stand_by_alignment(bench, options):
    agree(bench, [*options, "notes.o"], contents=False)


@pytest.mark.parametrize("options", ((), ("-z", "noseparate-code"), ("-N",), ("-z", "norelro")), ids=" ".join)
def test_orphans_of_every_kind(bench, options):
    agree(bench, [*options, "many.o"])


@pytest.mark.parametrize("script", (
    ".text : { *(.text) }",
    ".text : { *(.text) } .data : { *(.data) } .bss : { *(.bss) } .tail : { LONG(1) }",
    ".text0 : { *(.text) } .text : { *(.nothing) } .data2 : { *(.data) }",
    ".data : { *(.nothing) } .text : { *(.text) } .data2 : { *(.data) }",
    ".text : { *(.text) } a = .; . = ALIGN(64); b = .; .data : { *(.data) } c = .; . += 8; d = .;",
    ".text : { *(.text) } . = ALIGN(0x1000); .debug 0 : { *(.nothing) }",
    ".rodata : { *(.nothing) } .bss : { *(.bss) } .text : { *(.text) }",
), ids=lambda script: script[:40])
def test_orphans_among_statements(bench, script):
    agree(bench, ["-T", bench.write("script.lds", f"SECTIONS {{ . = 0x10000; {script} }}"), "many.o"])


@pytest.mark.parametrize("options", ((), ("-z", "norelro"), ("-N",), ("-z", "noseparate-code")), ids=" ".join)
def test_the_tls_block_starts_aligned_to_all_of_it(bench, options):
    agree(bench, [*options, "tls.o"])


def test_link_order_follows_the_sections_it_describes(bench):
    script = "SECTIONS { . = 0x1000; .text : { *(.text.a) *(.text) *(.text.b) } }"
    agree(bench, ["-T", bench.write("script.lds", script), "followers.o"])


@pytest.mark.parametrize("pattern", FILE_PATTERNS)
def test_patterns_of_files_and_archive_members(bench, pattern):
    script = f"SECTIONS {{ . = 0x1000; .a : {{ {pattern} }} .text : {{ *(.text*) }} .data : {{ *(.data*) }} }}"
    agree(bench, ["-T", bench.write("script.lds", script), "start.o", "--whole-archive", "lib1.a", "lib2.a"])


@pytest.mark.parametrize("inputs", (("m.o", "n.o"), ("many.o", "n.o"), ("notes.o", "tls.o", "-z", "muldefs")),
                         ids=" ".join)
def test_relocatable_output_keeps_the_sections_that_gnu_ld_keeps(bench, inputs):
    assert bench.reference(["-r", *inputs])[0] == 0
    status, text = bench.ours(["-r", *inputs])
    assert status == 0, text
    rows = [{name: row[:5] for name, row in Layout(bench.path(output)).sections().items()
             if not name.startswith(".rela")} for output in ("reference", "ours")]
    assert rows[0] == rows[1]


def test_an_unknown_section_has_no_address(bench):
    script = "SECTIONS { . = 0x10000; .text : { *(.text*) } x = ADDR(.nowhere); }"
    status, text = bench.ours(["-T", bench.write("script.lds", script), "m.o", "n.o"])
    assert status == 1
    assert "script.lds:1:" in text and ".nowhere" in text and "Traceback" not in text


def test_a_layout_that_never_settles_says_what_moves(bench):
    script = "SECTIONS { . = 0x10000; .text : { *(.text*) . += SIZEOF(.pad) + 1; } .pad : { . += SIZEOF(.text); } }"
    status, text = bench.ours(["-T", bench.write("script.lds", script), "m.o", "n.o"])
    assert status == 1
    assert "does not converge" in text and "'.text'" in text


def test_overflow_names_the_section_and_the_excess(bench):
    script = ("MEMORY { rom : ORIGIN = 0x8000, LENGTH = 0x20 }\n"
              "SECTIONS { .text : { *(.text*) } > rom .data : { *(.data*) } > rom .rest : { *(*) } > rom }")
    status, text = bench.ours(["-T", bench.write("script.lds", script), "m.o", "n.o"])
    assert status == 1
    assert "section '.data' will not fit in region 'rom'" in text
    assert "region 'rom' overflowed by" in text and "Traceback" not in text
