"""Linker scripts whose layout must be GNU ld's, byte for byte."""

# name -> script
CASES = {
    "plain": """
        SECTIONS { . = 0x10000;
        .text : { *(.text) }
        .data : { *(.data) }
        .bss : { *(.bss) *(COMMON) }
        }
    """,
    "page alignment of data": """
        SECTIONS { . = 0x10000;
        .text : { *(.text*) }
        . = ALIGN(0x1000);
        .data : { *(.data*) }
        .bss : { *(.bss COMMON) }
        }
    """,
    "section addresses": """
        SECTIONS { .text 0x10000 : { *(.text) *(.text.b) *(.text.*) }
        .data ALIGN(0x1000) : { *(SORT(.data.*)) *(.data) }
        }
    """,
    "symbols around sections": """
        SECTIONS { . = 0x10000;
        .text : { s_text = .; *(.text*) e_text = .; }
        a = .;
        . = . + 0x100;
        b = .;
        .data : { *(.data*) }
        c = ADDR(.data);
        d = SIZEOF(.data);
        e = LOADADDR(.data);
        }
    """,
    "load address and inheritance": """
        SECTIONS { . = 0x10000;
        .text : { *(.text*) . = ALIGN(64); x = .; . += 16; }
        .data : AT(0x800000) { *(.data*) }
        .bss : { *(.bss) }
        after = .;
        lma = LOADADDR(.bss);
        }
    """,
    "regions, AT>": """
        MEMORY { rom (rx) : ORIGIN = 0x8000, LENGTH = 64K ram (rw) : ORIGIN = 0x20000, LENGTH = 64K }
        SECTIONS { .text : { *(.text*) } > rom
        .data : { d0 = .; *(.data*) d1 = .; } > ram AT> rom
        .bss : { *(.bss COMMON) } > ram
        _l = LOADADDR(.data);
        }
    """,
    "regions by attribute": """
        MEMORY { rom (rx) : ORIGIN = 0x8000, LENGTH = 64K ram (rw!x) : ORIGIN = 0x20000, LENGTH = 64K }
        SECTIONS { .text : { *(.text*) }
        .data : { *(.data*) }
        .bss : { *(.bss COMMON) }
        _e = .;
        }
    """,
    "region aliases": """
        MEMORY { rom (rx) : ORIGIN = 0x8000, LENGTH = 64K ram (rw!x) : ORIGIN = 0x20000, LENGTH = 64K }
        REGION_ALIAS("CODE", rom) REGION_ALIAS("DATA", ram) SECTIONS { .text : { *(.text*) } > CODE
        .data : { *(.data*) } > DATA AT> CODE
        .bss : { *(.bss COMMON) } > DATA
        x = ORIGIN(DATA) + LENGTH(rom);
        }
    """,
    "data commands": """
        SECTIONS { . = 0x10000;
        .text : { *(.text*) }
        .over : { BYTE(1) SHORT(2) LONG(3) QUAD(4) SQUAD(-1) }
        .data : { *(.data*) LONG(SIZEOF(.data)) }
        }
    """,
    "discard": """
        SECTIONS { . = 0x10000;
        .text : { *(.text*) }
        /DISCARD/ : { *(.rodata*) *(.vec) }
        .data : { *(.data*) }
        }
    """,
    "EXCLUDE_FILE inside": """
        SECTIONS { . = 0x10000;
        .text : { *(EXCLUDE_FILE(*n.o) .text*) }
        .text2 : { *(.text*) }
        .data : { *(.data*) }
        }
    """,
    "EXCLUDE_FILE outside, file patterns": """
        SECTIONS { . = 0x10000;
        .text : { *n.o(.text*) *m.o(.text .text.*) }
        .data : { EXCLUDE_FILE(*m.o) *(.data*) *(.data*)}
        }
    """,
    "SUBALIGN and ALIGN": """
        SECTIONS { . = 0x10000;
        .text : SUBALIGN(32) { *(.text*) }
        .data : ALIGN(256) { *(.data*) }
        }
    """,
    "SORT_BY_NAME, SORT_BY_ALIGNMENT": """
        SECTIONS { . = 0x10000;
        .init : { KEEP(*(SORT_BY_NAME(.init.*))) }
        .text : { *(.text*) }
        .d : { *(SORT_BY_ALIGNMENT(.data*)) }
        }
    """,
    "SORT_BY_INIT_PRIORITY, nested sort": """
        SECTIONS { . = 0x10000;
        .init : { *(SORT_BY_INIT_PRIORITY(.init.*)) }
        .text : { *(.text*) }
        .d : { *(SORT_BY_ALIGNMENT(SORT_BY_NAME(.data*))) }
        }
    """,
    "empty sections": """
        SECTIONS { . = 0x10000;
        .empty : { }
        .e2 : { x = .; }
        .e3 : { . = .; }
        .e4 : { . = ALIGN(16); }
        .text : { *(.text*) }
        y = .;
        }
    """,
    "NOLOAD": """
        SECTIONS { . = 0x10000;
        .text : { *(.text*) }
        .foo (NOLOAD) : { *(.data) }
        .data : { *(.data*) }
        }
    """,
    "INFO": """
        SECTIONS { . = 0x10000;
        .text : { *(.text*) }
        .foo (INFO) : { *(.data) }
        .data : { *(.data*) }
        }
    """,
    "COPY": """
        SECTIONS { . = 0x10000;
        .text : { *(.text*) }
        .foo (COPY) : { *(.data) }
        .data : { *(.data*) }
        }
    """,
    "INFO at zero": """
        SECTIONS { . = 0x10000;
        .text : { *(.text*) }
        .foo 0 (INFO) : { *(.data) }
        .data : { *(.data*) }
        z = .;
        }
    """,
    "explicit address below": """
        SECTIONS { . = 0x10000;
        .text : { *(.text*) }
        .foo 0x500 : { *(.data) }
        .data : { *(.data*) }
        }
    """,
    "addresses out of order": """
        SECTIONS { . = 0x10000;
        .text : { *(.text*) }
        .foo 0x30000 : { *(.data) }
        .data : { *(.data*) }
        .bar 0x20000 : {*(.vec)}
        }
    """,
    "RELRO": """
        SECTIONS { . = SEGMENT_START("text-segment", 0x10000) + SIZEOF_HEADERS;
        .text : { *(.text*) }
        . = DATA_SEGMENT_ALIGN(CONSTANT(MAXPAGESIZE), CONSTANT(COMMONPAGESIZE));
        .ro : { *(.init.*) }
        . = DATA_SEGMENT_RELRO_END(0, .);
        .data : { *(.data*) }
        .bss : { *(.bss) }
        . = DATA_SEGMENT_END(.);
        e = .;
        }
    """,
    "data segment without RELRO": """
        SECTIONS { . = SEGMENT_START("text-segment", 0x10000) + SIZEOF_HEADERS;
        .text : { *(.text*) }
        . = DATA_SEGMENT_ALIGN(CONSTANT(MAXPAGESIZE), CONSTANT(COMMONPAGESIZE));
        .data : { *(.data*) }
        .bss : { *(.bss) }
        . = DATA_SEGMENT_END(.);
        e = .;
        }
    """,
    "PHDRS with headers": """
        PHDRS { text PT_LOAD FILEHDR PHDRS;
        data PT_LOAD;
        stack 0x6474e551 FLAGS(6);
        }
        SECTIONS { . = 0x10000 + SIZEOF_HEADERS;
        .text : { *(.text*) } :text
        .data : { *(.data*) } :data
        .bss : { *(.bss) }
        }
    """,
    "PHDRS with flags, AT, NONE": """
        PHDRS { text PT_LOAD FLAGS(5);
        data PT_LOAD AT(0x90000);
        note PT_NOTE;
        }
        SECTIONS { . = 0x10000;
        .text : { *(.text*) } :text
        .n : { *(.vec) } :text :note
        .data 0x20000 : { *(.data*) } :data
        .bss : { *(.bss) } :NONE
        }
    """,
    "PHDRS with PT_PHDR": """
        PHDRS { headers PT_PHDR PHDRS;
        text PT_LOAD FILEHDR PHDRS;
        data PT_LOAD;
        }
        SECTIONS { . = 0x10000 + SIZEOF_HEADERS;
        .text : { *(.text*) } :text
        . = ALIGN(0x1000) + (. & 0xfff);
        .data : { *(.data*) } :data
        }
    """,
    "expressions outside": """
        SECTIONS { . = 0x10000;
        .text : { *(.text*) }
        a = 5;
        b = a + 3;
        c = DEFINED(a) ? a : 0;
        d = DEFINED(nope) ? 1 : 2;
        e = MAX(a, b);
        f = MIN(3, 4);
        g = ALIGN(0x100);
        h = ABSOLUTE(.);
        i = ~0;
        j = LOG2CEIL(17);
        k = NEXT(0x1000);
        }
    """,
    "expressions inside": """
        SECTIONS { . = 0x10000;
        .text : { *(.text*) a = 5; b = . + 3; c = ABSOLUTE(.); d = a + b; e = b - a; f = ADDR(.text); g =
        SIZEOF(.data); h = g * 2;}
        .data : { *(.data*) }
        }
    """,
    "dot inside a section": """
        SECTIONS { . = 0x10000;
        .text : { *(.text*) . = 0x200; in = .; }
        .data : { . = . + 8; *(.data*) . = ALIGN(0x40); }
        }
    """,
    "forward references": """
        SECTIONS { . = 0x10000;
        .text : { *(.text*) }
        fwd = ADDR(.data) + SIZEOF(.bss);
        . = . + SIZEOF(.data);
        .data : { *(.data*) }
        .bss : { *(.bss) }
        }
    """,
    "PROVIDE and HIDDEN": """
        SECTIONS { . = 0x10000;
        .text : { *(.text*) }
        PROVIDE(p1 = .);
        PROVIDE_HIDDEN(fn3 = 0x44);
        .data : { *(.data*) }
        HIDDEN(hh = .);
        }
    """,
    "fills": """
        SECTIONS { . = 0x10000;
        .text : { *(.text*) }
        .data : { *(.data*) FILL(0xdeadbeef) . = ALIGN(32); } =0x90
        .x : { *(.vec) . += 7; } =0xcc
        }
    """,
    "data behind bss": """
        SECTIONS { . = 0x10000;
        .text : { *(.text*) }
        .data : { *(.data*) }
        .bss : { *(.bss) *(COMMON) }
        .tail : { LONG(1) }
        }
    """,
    "data below text": """
        SECTIONS { .data 0x40000 : { *(.data*) }
        .text 0x10000 : { *(.text*) }
        .bss : { *(.bss) }
        }
    """,
    "everything in one": """
        SECTIONS { . = 0x10000;
        .all : { *(*) }
        }
    """,
    "symbols between": """
        SECTIONS { . = 0x10000;
        .text : { *(.text) }
        .r : { *(.rodata .rodata.*) }
        end1 = .;
        . = ALIGN(0x1000);
        end2 = .;
        .data : { *(.data) }
        end3 = .;
        }
    """,
    "ONLY_IF_RO and ONLY_IF_RW": """
        SECTIONS { . = 0x10000;
        .text : { *(.text) }
        .r : ONLY_IF_RO { *(.rodata .data) }
        .r2 : ONLY_IF_RW { *(.data) }
        .r3 : ONLY_IF_RO { *(.rodata) }
        }
    """,
    "ALIGN_WITH_INPUT": """
        SECTIONS { . = 0x10000;
        .text : { *(.text*) }
        .data : ALIGN_WITH_INPUT { *(.data*) }
        .b : ALIGN(64) { *(.bss) }
        }
    """,
    "INPUT_SECTION_FLAGS": """
        SECTIONS { . = 0x10000;
        .text : { INPUT_SECTION_FLAGS(SHF_EXECINSTR) *(*) }
        .data : { INPUT_SECTION_FLAGS(SHF_WRITE & !SHF_EXECINSTR) *(*) }
        }
    """,
    "orphans only": """
        SECTIONS { .text : { *(.text*) }
        }
    """,
    "symbols and moves of the counter": """
        SECTIONS { . = 0x10000;
        .text : { *(.text*) }
        _etext = .;
        . = ALIGN(0x10);
        _x = .;
        .data : { *(.data*) }
        _edata = .;
        .bss : { *(.bss) }
        _end = .;
        . = ALIGN(0x1000);
        _pg = .;
        }
    """,
    "debug section at zero": """
        SECTIONS { . = 0x10000;
        .text : { *(.text*) }
        .dbg 0 : { *(.dbg) }
        }
    """,
    "asserts that hold": """
        SECTIONS { . = 0x10000;
        first = .;
        .text : { *(.text*) }
        .data : { *(.data*) }
        ASSERT(SIZEOF(.text) < 0x1000, "big") ASSERT(. > 0, "x") }
    """,
    "assert that fails": """
        SECTIONS { . = 0x10000;
        .text : { *(.text*) }
        ASSERT(0, "always") }
    """,
    "bss below": """
        SECTIONS { . = 0x10000;
        .text : { *(.text*) }
        .data : { *(.data*) }
        . = 0x10;
        .bss : { *(.bss) }
        }
    """,
    "nobits in front of data": """
        SECTIONS { . = 0x10000;
        .text : { *(.text*) }
        .nob : { *(.bss) }
        .ld : { *(.data*) }
        }
    """,
    "assignments at top level": """
        x = 0x1234;
        SECTIONS { . = x * 16;
        .text : { *(.text*) }
        y = x;
        }
        z = .;
    """,
    "dot at the end of sections": """
        SECTIONS { . = 0x10000;
        .a : { *(.vec) }
        .text : { *(.text*) }
        .b : { . = . + 10; }
        .c : { *(.data) . = . + 20; }
        }
    """,
    "overlay": """
        SECTIONS { . = 0x10000;
        .text : { *(.text*) *(.rodata*) *(.vec) }
        OVERLAY 0x20000 : AT(0x30000) { .o1 { *(.data) } .o2 { *(.init.*) } }
        .data : { *(.data*) }
        .bss : { *(.bss COMMON) }
        z = .;
        a = __load_start_o1;
        b = __load_stop_o2;
        .dbg 0 : { *(.dbg) }
        }
    """,
    "overlay without addresses": """
        SECTIONS { . = 0x10000;
        .text : { *(.text*) *(.rodata*) *(.vec) }
        OVERLAY : NOCROSSREFS { .o1 { *(.data) LONG(1) } .o2 { *(.init.*) } }
        z = .;
        .dbg 0 : { *(.dbg) }
        /DISCARD/ : { *(.data*) *(.bss) *(COMMON) }
        }
    """,
    "read-only data": """
        SECTIONS { . = 0x10000;
        .text : { *(.text*) }
        .foo (READONLY) : { *(.data) }
        .data : { *(.data*) }
        }
    """,
    "AT with a page of distance": """
        SECTIONS { . = 0x1003;
        .text : AT(0x5001) { *(.text*) }
        .data : { *(.data*) }
        .vec : { *(.vec) }
        .r : ALIGN(16) { *(.rodata*) }
        .i : { *(.init*) }
        .bss : { *(.bss COMMON) }
        .dbg 0 : { *(.dbg) }
        }
    """,
    "load addresses overlap": """
        SECTIONS { . = 0x1000;
        .text : { *(.text*) }
        .data : AT(0x1000) { *(.data*) }
        }
    """,
    "no region": """
        MEMORY { rom : ORIGIN = 0x8000, LENGTH = 64K }
        SECTIONS { .text : { *(.text*) } > rom
        .bss : { *(.bss COMMON) }
        }
    """,
    "region overflows": """
        MEMORY { rom : ORIGIN = 0x8000, LENGTH = 16 }
        SECTIONS { .text : { *(.text*) *(.data*) } > rom }
    """,
    "counter moved backwards": """
        SECTIONS { . = 0x1000; .text : { *(.text*) . = 2; } }
    """,
    "section dropped with an address": """
        SECTIONS { . = 0x1000;
        .text : { *(.text*) }
        .foo 0x5000 : { *(.none) }
        sym = .;
        .data : { *(.data*) }
        }
    """,
    "section dropped with an address and a symbol": """
        SECTIONS { . = 0x1000;
        .text : { *(.text*) }
        .foo 0x5000 : { *(.none) x = .; }
        sym = .;
        .data : { *(.data*) }
        }
    """,
    "INSERT": """
        SECTIONS { .first : { *(.vec) } }
        INSERT BEFORE .text;
        SECTIONS { .second : { *(.init.*) } }
        INSERT AFTER .data;
    """,
    "a name defined by the file and by the script": """
        SECTIONS { . = 0x1000;
        _start = DEFINED(_start) ? _start + 1 : 5;
        dat = DEFINED(dat) ? dat : 6;
        no = DEFINED(no) ? no : 7;
        .text : { *(.text*) }
        .data : { *(.data*) }
        late = DEFINED(late) ? 1 : 2;
        }
    """,
    "regions made of symbols": """
        x = 0x4000;
        MEMORY { r : ORIGIN = x, LENGTH = y }
        SECTIONS { .text : { *(.text*) } > r
        .rest : { *(.data* .init* .rodata* .vec .bss COMMON) } > r
        z = ORIGIN(r) + LENGTH(r);
        }
        y = 0x2000;
    """,
    "a phdr that does not exist": """
        SECTIONS { .text : { *(.text*) } :nosuch }
    """,
    "alignments that are no powers of two": """
        SECTIONS { . = 0x1000; .text : { *(.text*) } .data : ALIGN(24) { *(.data*) } }
    """,
}
