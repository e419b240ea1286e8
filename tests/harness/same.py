"""Two links of the same objects laid out alike: sections, segments, symbols and contents of our output and GNU ld's."""

import re

from harness.elf import Elf

#: tables whose size says only how many names a linker keeps
_TABLES = {"SHT_SYMTAB", "SHT_STRTAB", "SHT_REL", "SHT_RELA"}


def sections(elf):
    """name -> (type, flags, address, size, alignment) of the sections with a name, tables of names left out.

    A name that stands more than once gets a count behind it."""
    rows = {}
    for s in elf.sections:
        if s.name and (s.type not in _TABLES or s.flags & 2):
            name, n = s.name, 1
            while name in rows:
                n += 1
                name = f"{s.name} ({n})"
            # GNU ld's ARM has room for glue in .text, whose alignment shows when there is none.
            rows[name] = s.type, s.flags, s.addr, s.size, max(s.align, 4) if elf.machine == "EM_ARM" and s.flags & 4 else s.align
    return rows


def symbols(elf):
    """name -> (value, size, type, bind, visibility, section) of the global names; a value in a relocatable object is an
    offset."""
    names = [s.name for s in elf.sections]
    rows = {}
    for s in elf.symbols:
        if s.name and s.bind != "STB_LOCAL":
            where = names[s.shndx] if isinstance(s.shndx, int) else s.shndx
            rows[s.name] = s.value, s.size, s.type, s.bind, s.vis, where
    return rows


def contents(elf):
    """name -> bytes of the data sections and of every sized object and function; the gaps between functions are left
    out, which linkers fill with NOPs of their own choice."""
    rows = {}
    for s in elf.sections:
        if s.type == "SHT_PROGBITS" and s.size and not s.flags & 4 and s.flags & 2:
            rows[s.name] = elf.raw[s.offset:s.offset + s.size]
    for s in elf.symbols:
        if s.size and isinstance(s.shndx, int) and elf.sections[s.shndx].flags & 4:
            home = elf.sections[s.shndx]
            at = home.offset + s.value - (home.addr if elf.type != "ET_REL" else 0)
            rows[s.name + "()"] = elf.raw[at:at + s.size]
    return rows


def segments(elf):
    """Program headers. Where GNU ld says a segment of nothing but the headers is to be loaded is its own affair."""
    rows = []
    for p in elf.segments:
        if p.type == "PT_LOAD" and not p.offset and not any(s.flags & 2 and p.vaddr <= s.addr < p.vaddr + p.memsz for s in elf.sections):
            p = p._replace(paddr=p.vaddr)
        rows.append(p)
    return rows


def _unlike(what, ours, theirs):
    for name in [*theirs, *(n for n in ours if n not in theirs)]:
        if ours.get(name) != theirs.get(name):
            yield f"{what} {name}:\n  ours   {_text(ours.get(name))}\n  GNU ld {_text(theirs.get(name))}"


def _text(row):
    if isinstance(row, bytes):
        return row[:96].hex(" ")
    return row and " ".join(hex(x) if isinstance(x, int) else str(x) for x in row)


def differences(ours, theirs, but=(), order=True, headers=True, data=True):
    """Lines that say in what the two files are unlike. `but`: names of sections and symbols that are not compared."""
    ours, theirs = Elf(ours), Elf(theirs)
    lines = []
    for read, what in ((sections, "section"), (symbols, "symbol")) + (((contents, "contents of"),) if data else ()):
        left, right = ({n: row for n, row in read(e).items() if n not in but} for e in (ours, theirs))
        lines += _unlike(what, left, right)
        if what == "section" and order and not lines and list(left) != list(right):
            lines.append(f"order of sections:\n  ours   {list(left)}\n  GNU ld {list(right)}")
    if ours.entry != theirs.entry:
        lines.append(f"entry: {ours.entry:#x}, GNU ld's {theirs.entry:#x}")
    left, right = segments(ours), segments(theirs)
    if headers and left != right:
        lines += ["segments:", *(f"  ours   {_text(p)}" for p in left), *(f"  GNU ld {_text(p)}" for p in right)]
    return lines


def assert_same(ours, theirs, **how):
    """Fail with what is unlike; see differences()."""
    lines = differences(ours, theirs, **how)
    assert not lines, f"{ours} against {theirs}:\n" + "\n".join(lines)


# -- reports

def cross_references(text):
    """name -> [files] of a cross reference table, folders left out; the definition comes first. Names of linker-made
    sections are left out: which there are is a matter of each linker's tables."""
    body = text.partition("Cross Reference Table\n")[2]
    rows = {}
    name = None
    for line in body.splitlines()[2:]:
        if not line.strip():
            continue
        if line[0] != " ":
            name, _, file = line.partition(" ")
        else:
            file = line
        file = file.strip()
        if file and name not in ("_GLOBAL_OFFSET_TABLE_", ".TOC."):
            rows.setdefault(name, []).append(re.sub(r"[^ (]*/", "", file))
    return rows


def map_sections(text):
    """(name, address, size) of the output sections in the memory map of a map file."""
    body = text.partition("Linker script and memory map")[2].partition("Cross Reference Table")[0]
    body = re.sub(r"\n([^\s(]+)\n +(0x)", r"\n\1 \2", body)
    return [(m[1], int(m[2], 16), int(m[3], 16)) for m in re.finditer(r"^([^\s*(]\S*) +0x([0-9a-f]+) +0x([0-9a-f]+)", body, re.M)
            if int(m[3], 16)]


def map_symbols(text):
    """name -> address of the symbols that a map file lists below the sections that define them."""
    return {m[2]: int(m[1], 16) for m in re.finditer(r"^ {16}0x([0-9a-f]+) {16,24}([\w$][\w.$]*)(?: = .*)?$", text, re.M)}


def loaded_inputs(text):
    """Input sections with contents of a map: (section, address, size, file), folders left out."""
    body = text.partition("Linker script and memory map")[2].partition("Cross Reference Table")[0]
    body = re.sub(r"\n( \S+)\n +(0x)", r"\n\1 \2", body)
    return [(m[1], int(m[2], 16), int(m[3], 16), re.sub(r"[^ (]*/", "", m[4]))
            for m in re.finditer(r"^ (\.?\w\S*) +0x([0-9a-f]+) +0x([0-9a-f]+) (\S+)$", body, re.M) if int(m[3], 16)]
