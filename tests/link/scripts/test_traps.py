"""Where linkers read linker scripts differently: each case is laid out as GNU ld lays it out."""

import pytest

from harness.same import assert_same

pytestmark = pytest.mark.lacks(gold="another layout", lld="another layout", mold="no linker scripts")

# Words instead of instructions, so that one source does for every machine.
FIRST = """
.globl _start, fn_a, fn_b, dat
.text
_start: .long 1, 2
.section .text.a, "ax"
.balign 16
fn_a: .long 3
.section .text.b, "ax"
fn_b: .long 4, 5, 6
.data
dat: .long 7, 8
.section .data.z, "aw"
.balign 8
.long 9, 10
.section .data.b, "aw"
.long 11
.section .rodata, "a"
.long 12
.section .rodata.str, "a"
.ascii "hello"
.section .vec, "a"
.long 13
.section .set, "aw"
.long 14
.section .mine, "awx"
.long 15
.section .notes, "a", %note
.balign 4
.long 4, 4, 1, 0x00554e47, 0
.section .dbg, ""
.long 16
.section .more_bss, "aw", %nobits
.skip 12
.bss
.balign 16
.skip 24
.comm cc, 40, 16
.section .note.GNU-stack, "", %progbits
"""
SECOND = """
.globl other, used_set
.text
other: .long 21
.section .text.c, "ax"
.long 22
.section .data.a, "aw"
.long 23
.section .set, "aw"
used_set: .long 24
.section .vec, "a"
.long 25
.section .tdata, "awT"
.balign 8
.long 26
.section .tbss, "awT", %nobits
.balign 16
.skip 4
.bss
.skip 5
.section .note.GNU-stack, "", %progbits
"""

REST = """.text : { *(.text .text.*) } .rodata : { *(.rodata .rodata.* .vec .notes) } .data : { *(.data .data.* .set .mine) }
.tdata : { *(.tdata) } .tbss : { *(.tbss) } .bss : { *(.bss .more_bss) *(COMMON) } .dbg 0 : { *(.dbg) }"""
SIMPLE = f"SECTIONS {{ . = 0x10000; {REST} }}"

#: name -> (options, scripts); the options may hold "@": the scripts in turn, each with its -T, default in front
CASES = {
    # 1 INSERT: the default script stays, several -T
    "insert after": ("", ["SECTIONS { .mine : { m0 = .; *(.mine) m1 = .; } } INSERT AFTER .data;"]),
    "insert before": ("", ["SECTIONS { .mine : { *(.mine) } .set : { *(.set) } } INSERT BEFORE .rodata;"]),
    "insert twice": ("", ["SECTIONS { .mine : { *(.mine) } } INSERT AFTER .text; SECTIONS { .set : { *(.set) } } INSERT AFTER .mine;"]),
    "insert, two scripts": ("", ["SECTIONS { .mine : { *(.mine) } } INSERT AFTER .data;", "SECTIONS { .set : { *(.set) } } INSERT AFTER .mine;"]),
    "insert a symbol": ("", ["SECTIONS { after_data = .; . = ALIGN(64); } INSERT AFTER .data;"]),
    "two scripts with SECTIONS": ("", ["SECTIONS { . = 0x10000; .text : { *(.text .text.*) } }", "SECTIONS { . = 0x40000; .data : { *(.data .data.*) } }"]),
    "script in front of an implicit one": ("", [SIMPLE]),
    # 3 orphans
    "orphans without anything": ("", ["SECTIONS { . = 0x10000; .text : { *(.text) } }"]),
    "orphans before a moved counter": ("", ["SECTIONS { . = 0x10000; .text : { *(.text) } e = .; . = 0x40000; .data : { *(.data) } end = .; }"]),
    "orphans and PHDRS": ("", ["PHDRS { text PT_LOAD; data PT_LOAD; tls PT_TLS; } SECTIONS { . = 0x10000; .text : { *(.text) } :text .rodata : { *(.rodata) } "
                               ". = 0x40000; .data : { *(.data) } :data .tdata : { *(.tdata) } :data :tls .tbss : { *(.tbss) } .bss : { *(.bss) } :data }"]),
    "orphans and MEMORY": ("", ["MEMORY { rom (rx) : ORIGIN = 0x8000, LENGTH = 64K ram (w!x) : ORIGIN = 0x40000, LENGTH = 64K } "
                                "SECTIONS { .text : { *(.text) } > rom .data : { *(.data .mine) } > ram }"]),
    "orphans and attributes of regions": ("", ["MEMORY { one (r!w) : ORIGIN = 0x8000, LENGTH = 64K two (w) : ORIGIN = 0x40000, LENGTH = 64K } "
                                               "SECTIONS { .text : { *(.text) } .data : { *(.data) } }"]),
    "orphans discarded": ("--orphan-handling=discard", ["SECTIONS { . = 0x10000; .text : { *(.text) } .data : { *(.data) } }"]),
    "orphans are errors": ("--orphan-handling=error", ["SECTIONS { . = 0x10000; .text : { *(.text) } }"]),
    "unique orphans": ("--unique", ["SECTIONS { . = 0x10000; .text : { *(.text) } }"]),
    "unique by pattern": ("--unique=.set", ["SECTIONS { . = 0x10000; .text : { *(.text) } }"]),
    # 4 relative and absolute values
    "counter inside a section": ("", [SIMPLE.replace("*(.data .", ". = 0x20; s = .; t = 4; u = . + t; v = ABSOLUTE(.); . = . + 8; *(.data .")]),
    "sum of two symbols": ("", [SIMPLE + "a = _start + dat; b = dat - _start; c = -dat; d = dat & 0xff; e = _start < dat; f = (_start); g = dat ? dat : 0; h = ABSOLUTE(dat) + 1;"]),
    "names of numbers": ("", ["n = 0x100; SECTIONS { . = 0x10000; .text : { *(.text .text.*) s = n; t = n + .; u = . - n; } x = ADDR(.text) + n; y = SIZEOF(.text) * 2; }"]),
    "sane expressions": ("", ['LD_FEATURE("SANE_EXPR"); n = 0x100; SECTIONS { . = 0x10000; .text : { *(.text .text.*) s = n; t = n + .; } x = ADDR(.text) + n; z = x - n; }']),
    "ternary and logic keep": ("", [SIMPLE + "a = DEFINED(dat) ? dat : 5; b = dat || 0; c = dat && 1; d = MAX(_start, dat); e = MIN(0x10, 8); f = ALIGN(dat, 64); g = !dat; h = ~1;"]),
    "sections compared": ("", [SIMPLE + "a = ADDR(.data) - ADDR(.text); b = LOADADDR(.data); c = SIZEOF(.bss); d = ALIGNOF(.bss); e = SIZEOF(.nowhere);"]),
    # 5 load addresses
    "AT is inherited": ("", ["SECTIONS { . = 0x10000; .text : { *(.text .text.*) } .data : AT(0x80000) { *(.data .data.*) } .set : { *(.set) } la = LOADADDR(.set); }"]),
    "AT> is inherited": ("", ["MEMORY { rom : ORIGIN = 0x8000, LENGTH = 64K ram : ORIGIN = 0x40000, LENGTH = 64K } SECTIONS { .text : { *(.text .text.* .rodata* .vec .notes) } > rom "
                              ".data : { *(.data .data.*) } > ram AT> rom .set : { *(.set) } > ram .mine : { *(.mine) } > ram AT> ram .bss : { *(.bss .more_bss COMMON) } > ram "
                              "/DISCARD/ : { *(.tdata .tbss) } la = LOADADDR(.set); }"]),
    "AT of empty sections": ("", ["SECTIONS { . = 0x10000; .text : { *(.text .text.*) } .none : AT(0x90000) { *(.nothing) } .data : { *(.data .data.*) } la = LOADADDR(.data); n = LOADADDR(.none); }"]),
    "NOLOAD and AT": ("", ["SECTIONS { . = 0x10000; .text : AT(0x2000) { *(.text .text.*) } .data (NOLOAD) : { *(.data .data.*) } .set : { *(.set) } la = LOADADDR(.set); }"]),
    "LOADADDR ahead": ("", ["x = LOADADDR(.set); SECTIONS { . = 0x10000; y = LOADADDR(.set); .text : { *(.text .text.*) LONG(y) } .set : AT(ADDR(.text) + SIZEOF(.text)) { *(.set) } }"]),
    "bss between AT": ("", ["SECTIONS { . = 0x10000; .text : AT(0x5000) { *(.text .text.*) } .bss : { *(.bss) } .data : { *(.data .data.*) } }"]),
    # 6 the data segment
    **{f"data segment {name}": (options, ["SECTIONS { . = SEGMENT_START(\"text-segment\", 0x400000) + SIZEOF_HEADERS; .text : { *(.text .text.*) } .rodata : { *(.rodata*) *(.vec) *(.notes) } "
        ". = DATA_SEGMENT_ALIGN(CONSTANT(MAXPAGESIZE), CONSTANT(COMMONPAGESIZE)); .tdata : { *(.tdata) } .tbss : { *(.tbss) } .set : { *(.set) } "
        ". = DATA_SEGMENT_RELRO_END(0, .); .data : { *(.data*) } /DISCARD/ : { *(.mine) } .bss : { *(.bss .more_bss) *(COMMON) } . = ALIGN(8); . = DATA_SEGMENT_END(.); _end = .; }"])
       for name, options in (("relro", "-z relro"), ("norelro", "-z norelro"), ("separate code", "-z separate-code"), ("noseparate", "-z noseparate-code"),
                             ("64K and 4K", "-z max-page-size=0x10000 -z common-page-size=0x1000"), ("16K and 16K", "-z max-page-size=0x4000 -z common-page-size=0x4000"),
                             ("2M", "-z max-page-size=0x200000 -z norelro"), ("-N", "-N"), ("-n", "-n"), ("text at", "-Ttext-segment=0x800000"))},
    # 7 empty output sections
    "empty sections": ("", ["SECTIONS { . = 0x10000; .text : { *(.text .text.*) } .e1 : { } .e2 : { e2 = .; } .e3 : { . = ALIGN(16); } .e4 : { . = . + 0; } .e5 : { . += 4; } "
                            ".e6 0x30000 : { *(.no) } e6 = .; .e7 : { PROVIDE(e7 = .); } .e8 ALIGN(0x1000) : { e8 = .; } x = ADDR(.e8); .data : { *(.data .data.*) } }"]),
    "symbols of dropped sections": ("", ["SECTIONS { . = 0x10000; .text : { *(.text .text.*) } . = ALIGN(0x100); .none : { n0 = .; *(.no) n1 = .; } n2 = .; .data : { *(.data .data.*) } s = SIZEOF(.none); }"]),
    # 8 PROVIDE
    "PROVIDE": ("", [SIMPLE + "PROVIDE(unused = 4); PROVIDE(dat = 5); PROVIDE_HIDDEN(hidden = .); PROVIDE(chain = link_a); PROVIDE(link_a = 7); use = chain; HIDDEN(h = 3);"]),
    # 10 fill
    "fill": ("", ["SECTIONS { . = 0x10000; .text : { *(.text .text.*) . = ALIGN(64); } =0x90 .data : { *(.data.a) . += 7; FILL(0x1234) . += 7; *(.data.b) . = ALIGN(32); FILL(0xaabbccdd) *(.data.z) . += 5; } =0xcafe "
                  ".set : { *(.set) . = ALIGN(64); } =0x00000001 .rodata : { BYTE(1) . = ALIGN(8); *(.rodata .rodata.*) } = 0x11223344 + 1 }"]),
    "fill of a segment": ("", ["PHDRS { t PT_LOAD; } SECTIONS { . = 0x10000; .text : { *(.text .text.*) . = ALIGN(32); } :t =0x5a5a .data : { *(.data .data.*) . = ALIGN(32); } }"]),
    # 11 sizes that depend on what comes later
    "sizes ahead": ("", ["SECTIONS { . = 0x10000 + SIZEOF(.set); .text : { *(.text .text.*) . += SIZEOF(.set); } .data : { *(.data .data.*) . = ALIGN(SIZEOF(.text) > 0x20 ? 64 : 8); } "
                         ".set : { *(.set) } ASSERT(SIZEOF(.data) > 0, \"no data\") end = .; ASSERT(end > ADDR(.set), \"late\") }"]),
    "assert that fails": ("", ["SECTIONS { . = 0x10000; .text : { *(.text .text.*) } ASSERT(SIZEOF(.text) > 0x1000, \"too small\") }"]),
    # 12 regions
    "region overflows": ("", ["MEMORY { rom : ORIGIN = 0x8000, LENGTH = 16 ram : ORIGIN = 0x40000, LENGTH = 1M } SECTIONS { .text : { *(.text .text.*) } > rom .data : { *(.data*) } > ram AT> rom }"]),
    # 13 segments
    "phdr stays": ("", ["PHDRS { headers PT_PHDR PHDRS; text PT_LOAD FILEHDR PHDRS; note PT_NOTE; data PT_LOAD FLAGS(6); none 0x6474e551 FLAGS(6); } SECTIONS { . = 0x10000 + SIZEOF_HEADERS; "
                        ".notes : { *(.notes) } :text :note .text : { *(.text .text.*) } :text .rodata : { *(.rodata*) *(.vec) } . = 0x40000; .data : { *(.data*) *(.set) *(.mine) } :data .bss : { *(.bss) } }"]),
    "phdr NONE": ("", ["PHDRS { text PT_LOAD; data PT_LOAD; } SECTIONS { . = 0x10000; .text : { *(.text .text.*) } :text .vec : { *(.vec) } :NONE .data : { *(.data*) } :data }"]),
    "no room for headers": ("", ["PHDRS { text PT_LOAD FILEHDR PHDRS; } SECTIONS { . = 0x0; .text : { *(.text .text.*) } :text .data : { *(.data*) } }"]),
    # 14 names
    "quoted names": ("", ['SECTIONS { . = 0x10000; ".te xt" : { *(.text ".text.*") } "my-data" : { *(.data .data.*) } "sym bol" = 4; x$y = 5; a.b = 6; s-t = 7; n = "sym bol" + 1; sz = SIZEOF("my-data"); }']),
    "everything": ("", ["SECTIONS { . = 0x10000; /DISCARD/ : { *(.tdata .tbss) } .all : { *(*) } }"]),
    "everything but": ("", ["SECTIONS { . = 0x10000; .text : { *(.text .text.*) } .all : { *(EXCLUDE_FILE(*second.o) *) } .rest : { *(*) } }"]),
    "discard": ("", ["SECTIONS { . = 0x10000; /DISCARD/ : { *(.vec) *(.notes) *(.dbg) *(.eh_frame) } .text : { *(.text .text.*) } .data : { *(.data .data.*) } /DISCARD/ : { *(.set) } }"]),
    # 15 what the preprocessor leaves
    "line markers": ("", ['# 1 "kern.lds.S"\n# 1 "<built-in>"\n#define X\n# 32 "/usr/include/stdc-predef.h" 3 4\n' + SIMPLE]),
    "carriage returns": ("", [SIMPLE.replace(" .data", "\r\n.data").replace("; ", ";\r\n")]),
    "names with operators": ("", ["_a = 8; _a-_b = 3; SECTIONS { . = 0x10000; .text : { *(.text .text.*) } x = _a - 1; y = _a-_b; z = _a -1; w = _a*2; }"]),
    "comments": ("", ["/* a *//**/ SECTIONS /* b */ { . = /* c */ 0x10000; .text : { *(.text /* d */ .text.*) } } /* e\n f */"]),
    "numbers": ("", ["a = 010; b = 0x1F; c = 2K; d = 1M; e = $20; f = 10H; g = 1010B; h = 17O; i = 12D; SECTIONS { . = 64K; .text : { *(.text .text.*) } }"]),
    # more of the language
    "overlay": ("", ["SECTIONS { . = 0x10000; .text : { *(.text .text.*) } OVERLAY 0x20000 : AT(0x30000) { .o1 { *(.data.a) } .o2 { *(.data.b) *(.data.z) } } .data : { *(.data) } e = .; x = __load_stop_o2; }"]),
    "overlay in a region": ("", ["MEMORY { rom : ORIGIN = 0x8000, LENGTH = 64K ram : ORIGIN = 0x40000, LENGTH = 64K } SECTIONS { .text : { *(.text .text.* .rodata* .vec .notes) } > rom "
                                 "OVERLAY : { .o1 { *(.data.a) } .o2 { *(.data.b) *(.data.z) } .o3 { *(.nothing) } } > ram AT> rom .data : { *(.data) *(.set) *(.mine) } > ram AT> rom "
                                 ".bss : { *(.bss .more_bss COMMON) } > ram /DISCARD/ : { *(.tdata .tbss) } x = __load_start_o2; }"]),
    "overlay whose first is empty": ("", ["SECTIONS { . = 0x10000; .text : { *(.text .text.*) } OVERLAY : { .o1 { *(.none) } .o2 { *(.data.b) } } .data : { *(.data) } a = ADDR(.o1); la = LOADADDR(.o2); }"]),
    "types": ("", ["SECTIONS { . = 0x10000; .text : { *(.text .text.*) } .a (INFO) : { *(.data.a) } .b (COPY) : { *(.data.b) } .c (DSECT) : { *(.data.z) } .d (READONLY) : { *(.set) } .e (NOLOAD) : { *(.vec) } "
                   ".f (TYPE = SHT_NOTE) : { *(.notes) } .data : { *(.data) } }"]),
    "only if": ("", ["SECTIONS { . = 0x10000; .text : { *(.text .text.*) } .ro : ONLY_IF_RO { *(.vec .set) } .rw : ONLY_IF_RW { *(.set) } .vecs : ONLY_IF_RO { *(.vec) } .data : { *(.data .data.*) } }"]),
    "alignments": ("", ["SECTIONS { . = 0x10001; .text : ALIGN(32) SUBALIGN(8) { *(.text .text.*) } .data ALIGN(0x100) : ALIGN(16) { *(.data .data.*) } .set : SUBALIGN(1) { *(.set) } x = ALIGN(0x1000); y = ALIGN(5, 8); z = NEXT(0x100); }"]),
    "sorts": ("", ["SECTIONS { . = 0x10000; .text : { *(SORT(.text.*)) *(.text) } .data : { *(SORT_BY_ALIGNMENT(.data.*)) *(.set) *(SORT_BY_NAME(SORT_BY_ALIGNMENT(.mine))) *(.data) } .v : { *(SORT_NONE(.vec)) } }"]),
    "sort option": ("--sort-section=name", ["SECTIONS { . = 0x10000; .text : { *(.text.*) *(.text) } .data : { *(.data.*) *(SORT_NONE(.set)) } }"]),
    "commons sorted": ("--sort-common=descending", [SIMPLE]),
    "flags": ("", ["SECTIONS { . = 0x10000; .x : { INPUT_SECTION_FLAGS(SHF_EXECINSTR & !SHF_WRITE) *(*) } .w : { INPUT_SECTION_FLAGS(SHF_WRITE & !SHF_TLS) *(*) } .r : { *(.rodata* .vec .notes) } }"]),
    "data": ("", ["SECTIONS { . = 0x10000; .text : { *(.text .text.*) } .d : { BYTE(1) SHORT(0x203) LONG(dat) QUAD(0x1122334455667788) SQUAD(-2) LONG(. - ADDR(.d)) } .data : { *(.data .data.*) LONG(SIZEOF(.data)) } }"]),
    "entry by number": ("-e 0x10004", [SIMPLE]),
    "entry in the script": ("", ["ENTRY(other) " + SIMPLE]),
    "compound assignment": ("", [SIMPLE + "a = 5; a += 3; a *= 2; a -= 1; a <<= 4; a >>= 1; a |= 0x100; a &= 0xff0; b = 100; b /= 7; c = 17 % 5; d = 1 ? 2 : 3; e = 7 & 3 | 8; f = 1 << 3 + 1; g = -1 > 0; h = 2 - -2;"]),
    "startup": ("", ["STARTUP(second.o) " + SIMPLE]),
    "aliases": ("", ["MEMORY { rom : org = 0x8000, len = 64K ram : o = 0x40000, l = 64K } REGION_ALIAS(\"CODE\", rom) REGION_ALIAS(\"DATA\", ram) "
                     "SECTIONS { .text : { *(.text .text.* .rodata* .vec .notes) } > CODE .data : { *(.data .data.* .set .mine) } > DATA AT> CODE .bss : { *(.bss .more_bss COMMON) } > DATA /DISCARD/ : { *(.tdata .tbss) } x = ORIGIN(DATA); y = LENGTH(CODE); }"]),
    "no cross references": ("", ["NOCROSSREFS(.text .data) " + SIMPLE]),
}


@pytest.fixture
def objects(tc):
    return [tc.asm(FIRST.replace("%", "@" if tc.target.machine != "EM_ARM" else "%"), name="first"),
            tc.asm(SECOND.replace("%", "@" if tc.target.machine != "EM_ARM" else "%"), name="second")]


#: cases that rest on the default script or on page sizes, and those that move everything, sections that GNU ld makes for
#: itself among them, which other targets have more of
PAGES = [n for n in CASES if n.startswith(("insert", "data segment", "script in front"))]
WHOLE = [n for n in CASES if n.startswith(("orphans", "unique", "everything"))]


def compare(tc, objects, options, scripts, data=True):
    words = options.split()
    for n, script in enumerate(scripts):
        words += ["-T", str(tc.write(f"case{n}.lds", script))]
    words += ["--no-warn-rwx-segments", *(o.name for o in objects)]
    ours = tc.ld("out", *words, check=False)
    # Both run where the objects are, so that names in scripts and on the line are the same.
    theirs = tc.gnu.ld("out", *words, check=False, cwd=tc.dir)
    assert ours.rc == theirs.rc, f"{ours}\n{theirs}"
    if not ours.rc:
        assert_same(ours.path, theirs.path, data=data, but=(".got", ".got.plt", ".ARM.attributes", ".eh_frame", ".reginfo", ".MIPS.abiflags"))


@pytest.mark.targets("amd64", "i386", "aarch64", "armhf", "armel")
@pytest.mark.parametrize("name", [n for n in CASES if n not in PAGES + WHOLE])
def test_layout(tc, objects, name):
    options, scripts = CASES[name]
    compare(tc, objects, options + " -z max-page-size=0x1000", scripts)


@pytest.mark.targets("amd64", "i386", "aarch64")
@pytest.mark.parametrize("name", WHOLE)
def test_layout_of_all_sections(tc, objects, name):
    options, scripts = CASES[name]
    compare(tc, objects, options + " -z max-page-size=0x1000", scripts)


@pytest.mark.targets("amd64", "i386")
@pytest.mark.parametrize("name", PAGES)
def test_layout_with_pages(tc, objects, name):
    compare(tc, objects, *CASES[name])
