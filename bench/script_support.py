#!/usr/bin/env python3
"""What each installed linker makes of each linker script construct: `bench/script_support.py` prints a Markdown table.

Every row is a small script, and what must come of it: `yes` is said only when the link succeeds and the addresses,
sizes and symbols are those that GNU ld's manual gives the construct; `other` when the link succeeds with another
result; `no` when it is refused. `--commands FOLDER` leaves the objects and scripts of all rows in a folder and prints
the command line of each. Peers are found as for bench/run.py.
"""

import argparse
import os
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import peers

FIRST = r"""
.globl _start, fn_a, dat
.text
_start: .long 1, 2
.section .text.a, "ax"
.balign 16
fn_a: .long 3
.section .text.b, "ax"
.long 4
.data
dat: .quad 7
.section .data.b, "aw"
.long 8
.section .data.a, "aw"
.balign 8
.long 9
.section .rodata, "a"
.long 12
.section .set, "aw"
.long 14
.section .init.2, "aw"
.long 2
.section .init.1, "aw"
.long 1
.section .note.x, "a", @note
.balign 4
.long 4, 4, 1, 0x00554e47, 0
.bss
.skip 24
.comm cc, 40, 16
.section .note.GNU-stack, "", @progbits
"""
SECOND = r"""
.globl other
.text
other: .long 21
.section .set, "aw"
.long 24
.data
.long 25
.section .note.GNU-stack, "", @progbits
"""

BASE = ". = 0x10000; .text : { *(.text .text.*) }"
# What is left goes behind .data, so that no row hangs on where orphans are put.
DATA = ".data : { *(.data .data.*) } .rest : { *(.rodata) *(.note.x) *(.set) *(.init.*) } .bss : { *(.bss) *(COMMON) }"
REGIONS = "MEMORY { rom (rx) : ORIGIN = 0x8000, LENGTH = 64K ram (w!x) : ORIGIN = 0x40000, LENGTH = 64K } "

# (construct, script, options, what must hold).  `S` holds the values of symbols, `A` addresses, `Z` sizes, `L` load
# addresses, `B` contents of sections, `P` the program headers (type, flags, address), `E` the entry, by name.
ROWS = (
    ("`SECTIONS`, wildcards, location counter", f"SECTIONS {{ {BASE} e = .; . = ALIGN(0x1000); {DATA} }}", "", "A['.text'] == 0x10000 and A['.data'] == 0x11000 and S['e'] == A['.text'] + Z['.text']"),
    ("section address, `ALIGN`, `SUBALIGN`", f"SECTIONS {{ .text 0x20000 : SUBALIGN(32) {{ *(.text .text.*) }} .set ALIGN(0x100) : {{ *(.set) }} .i : ALIGN(0x400) {{ *(.init.*) }} {DATA} }}", "", "A['.text'] == 0x20000 and S['fn_a'] % 32 == 0 and A['.set'] % 0x100 == 0 and A['.i'] == 0x20400"),
    ("`AT(...)`, `LOADADDR`", f"SECTIONS {{ {BASE} .data : AT(0x80000) {{ *(.data .data.*) }} l = LOADADDR(.data); }}".replace("l =", "la ="), "", "L['.data'] == 0x80000 == S['la']"),
    ("load address inherited by the next section", f"SECTIONS {{ {BASE} .data : AT(ADDR(.data) + 0x1000) {{ *(.data .data.*) }} .set : {{ *(.set) }} la = LOADADDR(.set); }}", "", "S['la'] == A['.set'] + 0x1000"),
    ("`MEMORY`, `> region`, `AT> region`", REGIONS + "SECTIONS { .text : { *(.text .text.* .rodata .note.*) } > rom .data : { *(.data .data.* .set .init.*) } > ram AT> rom .bss : { *(.bss COMMON) } > ram }", "", "A['.text'] == 0x8000 and A['.data'] == 0x40000 and 0 <= L['.data'] - 0x8000 - Z['.text'] < 16"),
    ("regions chosen by attributes", REGIONS + "SECTIONS { .text : { *(.text .text.* .rodata .note.*) } .data : { *(.data .data.* .set .init.*) } .bss : { *(.bss COMMON) } }", "", "A['.text'] == 0x8000 and A['.data'] == 0x40000"),
    ("`REGION_ALIAS`, `ORIGIN`, `LENGTH`", REGIONS + 'REGION_ALIAS("CODE", rom) SECTIONS { .text : { *(.text .text.* .rodata .note.*) } > CODE .data : { *(.data .data.* .set .init.* .bss COMMON) } > ram x = ORIGIN(CODE) + LENGTH(ram); }', "", "A['.text'] == 0x8000 and S['x'] == 0x18000"),
    ("`ALIGN_WITH_INPUT`", REGIONS + "SECTIONS { .text : { *(.text .text.*) BYTE(1) } > rom .data : ALIGN_WITH_INPUT { *(.data .data.*) } > ram AT> rom .rest : { *(.set .init.* .bss COMMON) } > ram AT> rom .r : { *(.rodata .note.*) } > rom }", "", "L['.data'] == 0x8000 + Z['.text']"),
    ("`PHDRS`, `FLAGS`, `:phdr`", "PHDRS { t PT_LOAD FLAGS(5); d PT_LOAD FLAGS(6); n PT_NOTE; } SECTIONS { . = 0x10000; .text : { *(.text .text.*) } :t .n : { *(.note.x) } :t :n . = 0x20000; .data : { *(.data .data.*) } :d }", "", "(1, 5, 0x10000) in P and (1, 6, 0x20000) in P and any(p[0] == 4 for p in P)"),
    ("`PHDRS` with `FILEHDR PHDRS`, `AT`, `:NONE`", "PHDRS { h PT_PHDR PHDRS; t PT_LOAD FILEHDR PHDRS; d PT_LOAD AT(0x90000); } SECTIONS { . = 0x10000 + SIZEOF_HEADERS; .text : { *(.text .text.*) } :h :t .r : { *(.rodata) } :NONE . = 0x20000; .data : { *(.data .data.*) } :d }", "", "any(p[0] == 6 for p in P) and (1, 0x90000) in LOADS"),
    ("`OVERLAY` and its symbols", f"SECTIONS {{ {BASE} OVERLAY 0x20000 : AT(0x30000) {{ .o1 {{ *(.init.1) }} .o2 {{ *(.init.2) }} }} {DATA} x = __load_stop_o2; }}", "", "A['.o1'] == A['.o2'] == 0x20000 and L['.o2'] == 0x30004 and S['x'] == 0x30008"),
    ("`NOCROSSREFS`, `NOCROSSREFS_TO`", f"NOCROSSREFS(.text .data) SECTIONS {{ {BASE} {DATA} }}", "", "A['.text'] == 0x10000"),
    ("`INSERT AFTER`, default script in force", "SECTIONS { .mine : { *(.set) } } INSERT AFTER .data;", "", "A['.mine'] >= A['.data'] + Z['.data'] and A['.mine'] < A['.bss'] and A['.text'] >= 0x100000"),
    ("`INSERT BEFORE`", "SECTIONS { .mine : { *(.init.*) } } INSERT BEFORE .data;", "", "A['.mine'] < A['.data'] and A['.text'] >= 0x100000"),
    ("`KEEP`, `--gc-sections`", "ENTRY(_start) SECTIONS { . = 0x10000; .text : { *(.text) KEEP(*(.text.b)) *(.text.*) } .data : { *(.data .data.*) } }", "--gc-sections", "Z['.text'] == 12 and '.data' not in A"),
    ("`EXCLUDE_FILE` inside and outside", f"SECTIONS {{ . = 0x10000; .one : {{ *(EXCLUDE_FILE(*second.o) .text .text.*) }} .text : {{ *(.text) }} .two : {{ EXCLUDE_FILE(*first.o) *(.data) }} {DATA} }}", "", "S['other'] == A['.text'] and Z['.two'] == 4"),
    ("`SORT_BY_NAME`, `SORT_BY_ALIGNMENT`, nested", f"SECTIONS {{ {BASE} .init : {{ *(SORT(.init.*)) }} .data : {{ *(SORT_BY_ALIGNMENT(SORT_BY_NAME(.data.*))) *(.data) }} }}", "", "B['.init'][0] == 1 and B['.data'][:1] == b'\\x09'"),
    ("`SORT_BY_INIT_PRIORITY`, `SORT_NONE`", f"SECTIONS {{ {BASE} .init : {{ *(SORT_BY_INIT_PRIORITY(.init.*)) }} .data : {{ *(SORT_NONE(.data.*)) *(.data) }} }}", "--sort-section=name", "B['.init'][0] == 1 and B['.data'][:1] == b'\\x08'"),
    ("`INPUT_SECTION_FLAGS`", "SECTIONS { . = 0x10000; .x : { INPUT_SECTION_FLAGS(SHF_EXECINSTR & !SHF_WRITE) *(*) } .w : { INPUT_SECTION_FLAGS(SHF_WRITE) *(*) } .r : { *(.rodata) } }", "", "A['.x'] == S['_start'] == 0x10000 and A['.w'] <= S['dat'] < A['.w'] + Z['.w']"),
    ("`ONLY_IF_RO`, `ONLY_IF_RW`", f"SECTIONS {{ {BASE} .a : ONLY_IF_RO {{ *(.set) }} .b : ONLY_IF_RW {{ *(.set) }} {DATA} }}", "", "'.a' not in A and Z['.b'] == 8"),
    ("`COMMON`, `/DISCARD/`", f"SECTIONS {{ {BASE} .c : {{ *(COMMON) }} /DISCARD/ : {{ *(.rodata) *(.note.x) }} {DATA} }}", "", "S['cc'] == A['.c'] and '.rodata' not in A"),
    ("`(NOLOAD)`", f"SECTIONS {{ {BASE} .set (NOLOAD) : {{ *(.set) }} {DATA} }}", "", "T['.set'] == 8"),
    ("`(INFO)`, `(COPY)`", f"SECTIONS {{ {BASE} .set (INFO) : {{ *(.set) }} .i (COPY) : {{ *(.init.*) }} {DATA} }}", "", "not F['.set'] & 2 and not F['.i'] & 2"),
    ("`(READONLY)`", f"SECTIONS {{ {BASE} .set (READONLY) : {{ *(.set) }} {DATA} }}", "", "not F['.set'] & 1"),
    ("`(TYPE = SHT_NOTE)`", f"SECTIONS {{ {BASE} .d (TYPE = SHT_NOTE) : {{ LONG(4) }} {DATA} }}", "", "T['.d'] == 7"),
    ("`BYTE` ... `QUAD`, `SQUAD`", f"SECTIONS {{ {BASE} .d : {{ BYTE(1) SHORT(0x203) LONG(4) QUAD(5) SQUAD(-1) }} {DATA} }}", "", "B['.d'] == b'\\1\\3\\2\\4\\0\\0\\0\\5' + bytes(7) + b'\\xff' * 8"),
    ("`ASCIZ`", f"SECTIONS {{ {BASE} .d : {{ ASCIZ \"hi\" }} {DATA} }}", "", "B['.d'] == b'hi\\0'"),
    ("`FILL`, `=fill`", f"SECTIONS {{ {BASE} .f : {{ BYTE(1) . += 3; FILL(0xaabb) . += 2; }} =0xcc {DATA} }}", "", "B['.f'] == b'\\1\\xcc\\xcc\\xcc\\xaa\\xbb'"),
    ("`PROVIDE`, `PROVIDE_HIDDEN`, `HIDDEN`", f"SECTIONS {{ {BASE} PROVIDE(dat = 5); PROVIDE(new = 6); use = new; HIDDEN(h = 3); {DATA} }}", "", "S['dat'] == A['.data'] and S['use'] == 6 and S['h'] == 3"),
    ("`ASSERT`", f"SECTIONS {{ {BASE} {DATA} ASSERT(SIZEOF(.text) > 4, \"small\") }} ASSERT(dat != 0, \"null\")", "", "A['.text'] == 0x10000"),
    ("forward `SIZEOF` and `ADDR`", f"x = ADDR(.data); SECTIONS {{ . = 0x10000 + SIZEOF(.data); .text : {{ *(.text .text.*) }} {DATA} }}", "", "A['.text'] == 0x10000 + Z['.data'] + -Z['.data'] % 16 and S['x'] == A['.data']"),
    ("`. = n` in a section is relative", f"SECTIONS {{ . = 0x10000; .text : {{ . = 0x40; s = .; *(.text .text.*) }} {DATA} }}", "", "S['s'] == 0x10040 and S['_start'] >= 0x10040"),
    ("sum of two relative symbols", f"SECTIONS {{ {BASE} {DATA} }} x = _start + dat; y = dat - _start;", "", "S['y'] == S['dat'] - S['_start']"),
    ("`NEXT`, `BLOCK`, `LOG2CEIL`, `MAX`, `MIN`", f"SECTIONS {{ {BASE} a = NEXT(0x1000); b = LOG2CEIL(100); c = MAX(3, 4) + MIN(3, 4); . = BLOCK(0x100); {DATA} }}", "", "S['a'] == 0x11000 and S['b'] == 7 and S['c'] == 7 and A['.data'] % 0x100 == 0"),
    ("`DEFINED`, `?:`, all operators", f"SECTIONS {{ {BASE} a = DEFINED(dat) ? 1 << 3 | 2 : 0; b = ~0 & 0xff | 1; c = 17 % 5 - 7 / 2; d = !0 && 3 > 2 || 0; d += 4; d <<= 2; {DATA} }}", "", "S['a'] == 10 and S['b'] == 0xff and S['c'] == (1 << 64) - 1 and S['d'] == 20"),
    ("`$10`, `10H`, `0777`, `2K`", f"a = $10; b = 10H; c = 010; d = 2K; SECTIONS {{ {BASE} {DATA} }}", "", "S['a'] == S['b'] == 16 and S['c'] == 8 and S['d'] == 2048"),
    ("`DATA_SEGMENT_ALIGN`, `_RELRO_END`, `_END`", f"SECTIONS {{ {BASE} . = DATA_SEGMENT_ALIGN(CONSTANT(MAXPAGESIZE), CONSTANT(COMMONPAGESIZE)); .set : {{ *(.set) }} . = DATA_SEGMENT_RELRO_END(0, .); {DATA} . = DATA_SEGMENT_END(.); e = .; }}", "-z relro", "any(p[0] == 0x6474e552 for p in P) and A['.data'] % 4096 == 0"),
    ("`SEGMENT_START`, `-Ttext-segment`", f"SECTIONS {{ . = SEGMENT_START(\"text-segment\", 0x10000); .text : {{ *(.text .text.*) }} {DATA} }}", "-Ttext-segment=0x700000", "A['.text'] == 0x700000"),
    ("`ENTRY`, `ENTRY` of a number", f"ENTRY(other) SECTIONS {{ {BASE} {DATA} }}", "", "E == S['other']"),
    ("`STARTUP`", f"STARTUP(second.o) SECTIONS {{ {BASE} {DATA} }}", "-only-first", "S['other'] < S['_start']"),
    ("`INPUT`, `GROUP`, `AS_NEEDED`, `-l`", f"INPUT(second.o) GROUP(AS_NEEDED(libempty.a)) SECTIONS {{ {BASE} {DATA} }}", "-only-first", "S['other'] > 0"),
    ("`INCLUDE` everywhere", f"INCLUDE top.inc SECTIONS {{ INCLUDE section.inc .data : {{ INCLUDE body.inc }} {DATA.replace('.data :', '.more :')} }}", "", "S['top'] == 1 and A['.text'] == 0x10000 and Z['.data'] >= 16"),
    ("file named in a pattern becomes an input", f"SECTIONS {{ . = 0x10000; .text : {{ second.o(.text) *(.text .text.*) }} {DATA} }}", "-only-first", "S['other'] == 0x10000"),
    ("`archive:member`", f"SECTIONS {{ . = 0x10000; .one : {{ *libs.a:second.o(.text) }} .text : {{ *(.text .text.*) }} {DATA} }}", "-archive", "S['other'] == A['.one']"),
    ("quoted names, `$ . + -` in names", f"SECTIONS {{ . = 0x10000; \".te xt\" : {{ *(.text .text.*) }} \"my-data\" : {{ *(.data .data.*) }} a.b$c = SIZEOF(\"my-data\"); {DATA} }}", "", "A['.te xt'] == 0x10000 and S['a.b$c'] == Z['my-data']"),
    ("`VERSION { }` in a script", f"VERSION {{ V1 {{ global: fn_a; local: *; }}; }} SECTIONS {{ {BASE} {DATA} }}", "-shared", "'fn_a' in S"),
    ("`OUTPUT_FORMAT(binary)`", f"OUTPUT_FORMAT(binary) SECTIONS {{ {BASE} {DATA} /DISCARD/ : {{ *(*) }} }}", "", "RAW[:4] == b'\\1\\0\\0\\0'"),
    ("`CLASS(name)`", "SECTIONS { CLASS(c) : { *(.set) *(.init.*) } . = 0x10000; .text : { *(.text .text.*) } .mine : { CLASS(c) } .data : { *(.data .data.*) } }", "", "Z['.mine'] == 16"),
    ("`REVERSE`", f"SECTIONS {{ {BASE} .init : {{ *(REVERSE(SORT(.init.*))) }} {DATA} }}", "", "B['.init'][0] == 2"),
    ("`-r` with a script", "SECTIONS { .text 0 : { *(.text .text.*) } .data 0 : { *(.data .data.* .bss) *(COMMON) } /DISCARD/ : { *(.rodata) } }", "-r -d", "Z['.text'] >= 20 and '.rodata' not in A and '.bss' not in A"),
    ("orphans behind the last similar section", f"SECTIONS {{ {BASE} e = .; . = 0x40000; .data : {{ *(.data .data.*) }} end = .; }}", "", "A['.rodata'] < 0x40000 <= A['.data'] < A['.set'] and A['.rodata'] >= S['e']"),
    ("`--orphan-handling`, `--print-memory-usage`", REGIONS + "SECTIONS { .text : { *(.text .text.* .rodata .note.*) } > rom .data : { *(.data .data.* .set .init.* .bss COMMON) } > ram }", "--orphan-handling=warn --print-memory-usage", "A['.data'] == 0x40000"),
)


class Output:
    """An ELF64 little-endian file by names, for the conditions of ROWS."""

    def __init__(self, path):
        with open(path, "rb") as file:
            raw = file.read()
        self.names = {"RAW": raw}
        if raw[:4] != b"\x7fELF":
            return
        entry, phoff, shoff = struct.unpack_from("<QQQ", raw, 24)
        phnum, _, shnum, strndx = struct.unpack_from("<HHHH", raw, 56)
        headers = [struct.unpack_from("<IIQQQQIIQQ", raw, shoff + 64 * i) for i in range(shnum)]
        phdrs = [struct.unpack_from("<IIQQQQQQ", raw, phoff + 56 * i) for i in range(phnum)]

        def text(at):
            return raw[at:raw.index(b"\0", at)].decode()
        names = [text(headers[strndx][4] + h[0]) for h in headers]
        symbols, address, size, load, data, kind, flags = {}, {}, {}, {}, {}, {}, {}
        for name, h in zip(names, headers):
            address[name], size[name], kind[name], flags[name] = h[3], h[5], h[1], h[2]
            data[name] = b"" if h[1] == 8 else raw[h[4]:h[4] + h[5]]
            load[name] = next((p[4] + h[3] - p[3] for p in phdrs if p[0] == 1 and p[3] <= h[3] < p[3] + max(p[6], 1)
                               and (h[1] == 8 or p[2] <= h[4] < p[2] + max(p[5], 1))), h[3])
            if h[1] in (2, 11):
                for at in range(h[4] + 24, h[4] + h[5], 24):
                    row = struct.unpack_from("<IBBHQQ", raw, at)
                    if row[3]:
                        symbols[text(headers[h[6]][4] + row[0])] = row[4]
        self.names.update(S=symbols, A=address, Z=size, L=load, B=data, T=kind, F=flags, E=entry,
                          P=[(p[0], p[1], p[3]) for p in phdrs], LOADS=[(p[0], p[4]) for p in phdrs])


def prepare(folder):
    """The objects and included files of all rows."""
    for name, source in (("first", FIRST), ("second", SECOND), ("none", "")):
        subprocess.run(["as", "-o", name + ".o", "-"], input=source.encode(), cwd=folder, check=True)
    subprocess.run(["ar", "rcD", "libs.a", "second.o"], cwd=folder, check=True)
    subprocess.run(["ar", "rcD", "libempty.a", "none.o"], cwd=folder, check=True)
    for name, text in (("top.inc", "top = 1;"), ("section.inc", BASE), ("body.inc", "*(.data .data.*)")):
        with open(os.path.join(folder, name), "w") as file:
            file.write(text + "\n")
    for number, (_, script, _, _) in enumerate(ROWS):
        with open(os.path.join(folder, f"{number}.lds"), "w") as file:
            file.write(script + "\n")


def command_line(number):
    """The words behind the linker's name for one row."""
    options = ROWS[number][2].split()
    inputs = ["first.o"] if "-only-first" in options else ["first.o", "--whole-archive", "libs.a", "--no-whole-archive"] \
        if "-archive" in options else ["first.o", "second.o"]
    words = [w for w in options if w not in ("-only-first", "-archive")]
    return ["-m", "elf_x86_64", "-T", f"{number}.lds", *words, *inputs]


def verdict(peer, folder, number):
    """`yes`, `other` or `no`."""
    out = os.path.join(folder, "out")
    if os.path.exists(out):
        os.unlink(out)
    extra = ["--no-gc-sections"] if peer.kind == "wild" and "--gc-sections" not in ROWS[number][2] else []
    try:
        done = subprocess.run([*peer.command, "-o", "out", *extra, *command_line(number)], cwd=folder, capture_output=True, timeout=20)
    except subprocess.TimeoutExpired:
        return "no"
    if done.returncode or not os.path.exists(out):
        return "no"
    try:
        return "yes" if eval(ROWS[number][3], Output(out).names) else "other"
    except (KeyError, IndexError, ValueError, struct.error):
        return "other"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", default=os.path.expanduser("~/.cache/mclink-bench"), help="folder of peers that setup_peers.py made")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PATH", help="another linker")
    parser.add_argument("--only", help="names of peers, with commas")
    parser.add_argument("--commands", metavar="FOLDER", help="leave the inputs there and print the command lines")
    options = parser.parse_args()
    if options.commands:
        os.makedirs(options.commands, exist_ok=True)
        prepare(options.commands)
        for number, row in enumerate(ROWS):
            print(f"# {row[0]}\nld -o out {' '.join(command_line(number))}")
        return
    found = peers.find_peers(options.work, options.peer, options.only.split(",") if options.only else None)
    print("| construct | " + " | ".join(peer.name for peer in found) + " |")
    print("|---|" + "---|" * len(found))
    totals = [0] * len(found)
    with tempfile.TemporaryDirectory() as folder:
        prepare(folder)
        for number, row in enumerate(ROWS):
            cells = [verdict(peer, folder, number) for peer in found]
            totals = [total + (cell == "yes") for total, cell in zip(totals, cells)]
            print(f"| {row[0].replace('|', chr(92) + '|')} | " + " | ".join(cells) + " |")
    print(f"| of {len(ROWS)} | " + " | ".join(map(str, totals)) + " |")
    print()
    for peer in found:
        print(f"{peer.name}: {peer.version}", file=sys.stderr)


if __name__ == "__main__":
    main()
