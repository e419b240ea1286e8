"""ELF header, program headers and section headers of the output. Source: gABI chapters 4 and 5."""

from mclink._core import symbols
from mclink._core.headers import HeaderTable
from mclink.script import ast
from mclink.target import RAW_FORMATS
from mclink.elf import (ET_DYN, ET_EXEC, ET_REL, SHF_INFO_LINK, SHN_LORESERVE, SHN_XINDEX)


def header_size(link):
    """Bytes of the ELF header; 0 for --oformat binary and its like."""
    if link.options.oformat in RAW_FORMATS:
        return 0
    return 64 if link.target.data.ELF_CLASS == 64 else 52


def program_header_size(link):
    """Bytes of the program headers."""
    if link.options.oformat in RAW_FORMATS:
        return 0
    return len(link.segments) * (56 if link.target.data.ELF_CLASS == 64 else 32)


def section_header_size(link, count):
    """Bytes of `count` section headers."""
    return count * (64 if link.target.data.ELF_CLASS == 64 else 40)


def entry_address(link):
    """e_entry: -e or ENTRY as a symbol or number; else the start of .text; 0 when there is neither, with GNU ld's
    warning (GNU ld manual, Entry Point)."""
    options = link.options
    if options.relocatable:
        return 0
    given = options.entry
    name = given
    by_default = False
    if name is None:
        # The default scripts have an ENTRY.
        name = next((command[2] for command in reversed(link.script) if command[0] == ast.ENTRY), None)
        by_default = name is None
        name = name or "start"
    if name:
        gid = symbols.lookup(link.tables, name.encode("utf-8", "surrogateescape"))
        if gid and symbols.state(link.tables, gid) in (symbols.DEFINED, symbols.DEFINED_WEAK):
            return symbols.value(link.tables, gid)
        try:
            return int(name, 0)
        except ValueError:
            pass
    text = next((output for output in link.outputs if output.name == ".text"), None)
    shared = options.shared
    if shared and given is None:
        return 0
    if text is None:
        if not by_default:
            link.diag.warn(f"cannot find entry symbol {name}; not setting start address")
        return 0
    if not by_default:
        link.diag.warn(f"cannot find entry symbol {name}; defaulting to {text.address:0{16 if link.target.data.ELF_CLASS == 64 else 8}x}")
    return text.address


def write_headers(link, out, sections, count):
    """Writes all three kinds of headers into the image. sections: those that are OutputSections, the last .shstrtab;
    count: section headers in all, the one of index 0 included."""
    if link.options.oformat in RAW_FORMATS:
        return
    data = link.target.data
    order = "big" if data.BIG_ENDIAN else "little"
    wide = data.ELF_CLASS == 64
    word = 8 if wide else 4

    def n(value, size):
        return (value & ((1 << (8 * size)) - 1)).to_bytes(size, order)

    options = link.options
    kind = ET_REL if options.relocatable else ET_DYN if options.shared or options.pie else ET_EXEC
    shoff = link.image["shoff"]
    if not shoff:
        count = 0
    names = count - 1 if count else 0
    osabi = link.image.get("osabi", 0)
    ident = b"\x7fELF" + bytes((2 if wide else 1, 2 if data.BIG_ENDIAN else 1, 1, osabi,
                                link.image.get("abi_version", 0))) + bytes(7)
    phoff = header_size(link) if link.segments else 0
    out.put(0, ident + n(kind, 2) + n(data.MACHINE, 2) + n(1, 4) + n(entry_address(link), word) + n(phoff, word)
            + n(shoff, word) + n(link.image.get("e_flags", data.E_FLAGS), 4) + n(header_size(link), 2)
            + n(56 if wide else 32, 2) * bool(link.segments) + n(0, 2) * (not link.segments)
            + n(len(link.segments), 2) + n(64 if wide else 40, 2)
            + n(count if count < SHN_LORESERVE else 0, 2) + n(names if names < SHN_LORESERVE else SHN_XINDEX, 2))
    rows = []
    for segment in link.segments:
        if wide:
            rows.append(n(segment.type, 4) + n(segment.flags, 4) + n(segment.offset, 8) + n(segment.address, 8)
                        + n(segment.lma, 8) + n(segment.file_size, 8) + n(segment.size, 8) + n(segment.align, 8))
        else:
            rows.append(n(segment.type, 4) + n(segment.offset, 4) + n(segment.address, 4) + n(segment.lma, 4)
                        + n(segment.file_size, 4) + n(segment.size, 4) + n(segment.flags, 4) + n(segment.align, 4))
    out.put(header_size(link), b"".join(rows))
    if not shoff:
        return
    table = HeaderTable(link.tables, count)
    table.set(0, 0, 0, 0, 0, 0, count if count >= SHN_LORESERVE else 0, names if names >= SHN_LORESERVE else 0, 0, 0, 0)
    offsets = link.image["shstr_offsets"]
    for section in sections:
        info = section.info
        flags = section.flags
        if not isinstance(info, int):
            info = info.index
            flags |= SHF_INFO_LINK
        head = section.link
        head = 0 if head is None else head if isinstance(head, int) else head.index
        size = section.size if section.compressed is None else len(section.compressed)
        table.set(section.index, offsets[section.name], section.type, flags, section.address, section.offset, size, head,
                  info, section.align, section.entsize)
    if link.options.relocatable:
        from mclink._core import plain
        symtab = link.image["symtab"]
        plain.fill_headers(link.tables, table.address, symtab, len(sections[-1].contents))
        if link.extra["groups"] is not None:
            link.extra["groups"].write(out.address, table.address, offsets[".group"], symtab, link.symbols.index_tables())
    table.write(out.address + shoff)
