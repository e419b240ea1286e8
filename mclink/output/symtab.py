"""Phase 3: .symtab, .strtab, .shstrtab and .symtab_shndx of the output."""

from mclink._core import symbols
from mclink._core.symtab import SymbolTable, mark_names
from mclink.context import OutputSection
from mclink.diag import LinkError
from mclink.elf import SHN_LORESERVE, SHT_STRTAB, SHT_SYMTAB, SHT_SYMTAB_SHNDX
from mclink.output import relocs
from mclink.paths import read_file
from mclink.target import RAW_FORMATS

DISCARDS = {None: 0, "locals": 1, "all": 2, "none": 3}


def plan_tables(link, first_index):
    """The tables behind the output's sections, sized: a list of OutputSections whose last is .shstrtab.

    first_index: section header index of the first of them."""
    options = link.options
    wide = link.target.data.ELF_CLASS == 64
    tables = []
    if options.oformat in RAW_FORMATS:
        return tables
    symtab = None
    relocated = relocs.wanted(link)
    if options.strip != "all" or relocated:
        if options.retain_symbols_file:
            retain(link)
        plan = link.symbols = SymbolTable(link.tables, DISCARDS[options.discard], bool(options.retain_symbols_file),
                                          relocated)
        symtab = table(".symtab", SHT_SYMTAB, plan.count * (24 if wide else 16), 8 if wide else 4,
                       24 if wide else 16)
        symtab.info = plan.first_global
        tables.append(symtab)
        if first_index + 4 >= SHN_LORESERVE:
            extended = table(".symtab_shndx", SHT_SYMTAB_SHNDX, plan.count * 4, 4, 4)
            extended.link = symtab
            tables.append(extended)
        strings = table(".strtab", SHT_STRTAB, plan.string_size, 1, 0)
        symtab.link = strings
        tables.append(strings)
    names = table(".shstrtab", SHT_STRTAB, 0, 1, 0)
    tables.append(names)
    for index, section in enumerate(tables, first_index):
        section.index = index
    return tables


def name_sections(link, sections, groups, more):
    """Fills .shstrtab, the last of `sections`, with the names of all, and of groups when there are some; `more` bytes
    are left behind them for the names of _core.plain."""
    names = {section.name for section in sections}
    if groups is not None:
        names.add(".group")
    link.image["shstr_offsets"], contents = name_strings(names)
    sections[-1].contents = contents
    sections[-1].size = len(contents) + more


def table(name, type, size, align, entsize):
    section = OutputSection(name)
    section.type = type
    section.size = size
    section.align = align
    section.entsize = entsize
    return section


def name_strings(names):
    """(offsets by name, bytes) of a string table; a name that ends another shares its bytes."""
    offsets = {}
    data = bytearray(b"\0")
    for name in sorted(names, key=lambda text: text[::-1], reverse=True):
        text = name.encode("utf-8", "surrogateescape")
        if data.endswith(text + b"\0"):
            offsets[name] = len(data) - len(text) - 1
        else:
            offsets[name] = len(data)
            data += text + b"\0"
    return offsets, bytes(data)


def retain(link):
    """--retain-symbols-file: the names that stay, one a line."""
    path = link.options.retain_symbols_file
    try:
        names = read_file(path).split()
    except OSError as error:
        raise LinkError(f"cannot open {path}: {error.strerror}") from None
    mark_names(link.tables, [gid for gid in (symbols.lookup(link.tables, name) for name in names) if gid])


def write_tables(link, out, tables):
    """Writes the contents of plan_tables()' sections into the image."""
    found = {section.name: section for section in tables}
    if ".symtab" in found:
        extended = found.get(".symtab_shndx")
        link.symbols.write(out.address + found[".symtab"].offset, out.address + found[".strtab"].offset,
                           out.address + extended.offset if extended else 0)
    if ".shstrtab" in found:
        names = found[".shstrtab"]
        out.put(names.offset, names.contents)
        if len(names.contents) < names.size:
            from mclink._core import plain
            plain.write_names(link.tables, out.address + names.offset + len(names.contents))
