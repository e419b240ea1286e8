"""Phase 3: writes the output file.

Order of the file: ELF header, program headers, sections at the offsets that layout gave them, tables that are not
loaded (.symtab, .strtab, .shstrtab), section headers.
"""

import posix

from mclink._core import apply, ehframe, image, load, merge, place, plain
from mclink.context import Run
from mclink.diag import LinkError
from mclink.elf import SHF_ALLOC, SHF_EXECINSTR, SHF_LINK_ORDER, SHT_NOBITS, SHT_REL, SHT_RELA
from mclink import faults
from mclink.paths import encode, exists, is_file
from mclink.plan import Data, Fill
from mclink.target import RAW_FORMATS
from mclink.output import build_id, dynamic, headers, relocs, symtab


def write_output(link):
    """Write output"""
    options = link.options
    if options.oformat in RAW_FORMATS and relocs.wanted(link):
        raise LinkError(f"--oformat {options.oformat} has no place for the relocations of -r and --emit-relocs")
    link.extra["merged"] = merged_groups(link)
    link.extra["unwind"] = ehframe.outputs(link.tables)
    if options.compress_debug[0] != "none" or options.compress_sections:
        from mclink.output import compress
        compress.compress_sections(link, write_section)
    relocations = relocs.plan_relocations(link)
    sections, tables, count = plan_sections(link, relocations)
    size = place_tail(link, sections, tables, count)
    target = encode(options.output)
    text = options.oformat in ("srec", "ihex")
    try:
        out = image.OutputImage(target, size, not text and is_regular(options.output))
    except OSError as error:
        raise LinkError(f"cannot create {options.output}: {posix.strerror(error.errno)}") from None
    try:
        fill_image(link, out, sections, tables, relocations, count)
        link.diag.check()
        if text:
            from mclink.output.raw import as_text
            out = as_text(link, out)
        mode = 0o666 if options.relocatable or options.oformat in RAW_FORMATS else 0o777
        out.finish(mode)
    except OSError as error:
        raise LinkError(f"cannot write {options.output}: {posix.strerror(error.errno or 5)}") from None
    finally:
        out.discard()


def is_regular(path):
    """True when the output is or will be an ordinary file that a rename may replace."""
    return not exists(path) or is_file(path)


def plan_sections(link, relocations):
    """(the output sections in the order of their headers, each with its relocations behind it; the symbol tables;
    number of section headers).

    Headers: groups, which must stand before their members (gABI), output sections, what -r has as rows only, tables."""
    own = {section.info.number: section for section in relocations}
    groups = relocs.plan_groups(link)
    sections = []
    for output in in_header_order(link):
        sections.append(output)
        if output.number in own:
            sections.append(own[output.number])
    for index, section in enumerate(sections, groups.count + 1 if groups is not None else 1):
        section.index = index
    index = sections[-1].index + 1 if sections else 1
    rows = [(output.address, output.index, own[output.number].index if output.number in own else 0)
            for output in link.outputs]
    index, names_size = plain.index_outputs(link.tables, rows, index)
    tables = symtab.plan_tables(link, index)
    if tables:
        symtab.name_sections(link, sections + tables, groups, names_size)
        link.image["symtab"] = tables[0].index
        for section in relocations:
            section.link = tables[0]
    if len(tables) > 1:
        for section in link.outputs:
            # The IRELATIVE relocations of a static executable have no .dynsym to name.
            if section.type in (SHT_RELA, SHT_REL) and section.link is None:
                section.link = tables[0]
    for section in link.outputs:
        if section.flags & SHF_LINK_ORDER and section.link is None:
            section.link = followed_section(link, section)
    return sections, tables, index + len(tables)


def in_header_order(link):
    """Output sections as their headers stand: GNU ld puts those in front to which an option in front of any script gave an
    address (-Tdata and its like), each with the loaded orphans behind it."""
    first = []
    for name in link.options.early_sections:
        at = next((i for i, output in enumerate(link.outputs) if output.name == name), None)
        if at is None:
            continue
        first.append(link.outputs[at])
        for output in link.outputs[at + 1:]:
            if output.definition is not None or not output.flags & SHF_ALLOC or output.name in link.options.section_start:
                break
            first.append(output)
    if not first:
        return link.outputs
    moved = set(map(id, first))
    return first + [output for output in link.outputs if id(output) not in moved]


def followed_section(link, section):
    """Header index of the section whose order a SHF_LINK_ORDER section follows (gABI, sh_link); None: there is none."""
    for item in section.statements:
        if type(item) is Run:
            number = link.members.followed_output(link.tables, item.number)
            if number:
                return plain.output_index(link.tables, number)
    return None


def place_tail(link, sections, tables, count):
    """File offsets of what no segment loads, behind the loaded sections; the size of the file in bytes. count: number
    of section headers."""
    if link.options.oformat in RAW_FORMATS:
        from mclink.output.raw import place_raw
        return place_raw(link)
    end = headers.header_size(link) + headers.program_header_size(link)
    loaded = not link.options.relocatable
    for output in sections:
        if loaded and output.flags & SHF_ALLOC and output.type != SHT_NOBITS and output.size:
            end = max(end, output.offset + output.file_size)
    if link.extra["groups"] is not None:
        end = link.extra["groups"].place(end)
    for output in sections:
        if not (loaded and output.flags & SHF_ALLOC):
            end = place_one(output, end)
    if not loaded:
        end = plain.place_plain(link.tables, end)
    for table in tables:
        end = place_one(table, end)
    if not link.options.section_header:
        link.image["shoff"] = 0
        return end
    word = link.target.data.ELF_CLASS // 8
    end = (end + word - 1) & -word
    link.image["shoff"] = end
    return end + headers.section_header_size(link, count)


def place_one(output, end):
    """Gives one unloaded section the next offset that its alignment allows."""
    align = max(output.align, 1)
    if output.compressed is not None:
        output.file_size = len(output.compressed)
    elif output.type != SHT_NOBITS:
        output.file_size = output.size
    else:
        output.file_size = 0
    output.offset = (end + align - 1) & -align
    return output.offset + output.file_size


def write_section(link, output, out):
    """Writes the contents of one output section to address `out` in memory."""
    runs = []
    write_between(link, output, out, runs)
    apply.write_members(link.tables, runs)
    finish_section(link, output, out)


def finish_section(link, output, out):
    """Thunks, whose veneers take instructions out of relocated code, and then what the target does to it all."""
    thunks = link.extra.get("thunks")
    if thunks is not None and output.flags & SHF_EXECINSTR:
        thunks.write(link, output, out)
    finish = getattr(link.target.data, "finish_section", None)
    if finish is not None and output.flags & SHF_EXECINSTR and not link.options.relocatable:
        finish(link, output, out)


def write_between(link, output, out, runs):
    """Writes what stands between the input sections of one output section, and what is no input section any more,
    to address `out` in memory. Appends the rest to `runs`, for apply.write_members."""
    members = link.members
    tables = link.tables
    code = bool(output.flags & SHF_EXECINSTR)
    fill = output.fill
    order = "big" if link.target.data.BIG_ENDIAN else "little"
    end = 0                 # offset behind what has been written so far
    for item in output.statements:
        kind = type(item)
        if kind is Run:
            first, count = members.extent(item.number)
            if not count:
                continue
            stop = item.offset + item.size
            runs.append((members.address() + 4 * first, count, out, output.address, output.address + end,
                         output.address + stop, fill or b"", code and fill is None))
            end = stop
        elif kind is Data:
            fill_gap(link, out + end, item.offset - end, fill, code)
            contents = item.contents if item.value is None else item.value.to_bytes(item.size, order)
            image.copy(out + item.offset, contents)
            end = item.offset + item.size
        elif kind is Fill:
            fill_gap(link, out + end, item.offset - end, fill, code)
            end = item.offset
            fill = item.pattern
    fill_gap(link, out + end, output.size - end, fill, code)
    if output.number in link.extra["unwind"]:
        ehframe.write(tables, output.number, output.address, out)
    for group, carrier in link.extra["merged"].get(output.number, ()):
        merge.write(tables, group, out + place.fragment_address(tables, carrier) - output.address)


def fill_gap(link, out, size, fill, code):
    """Fills a gap between statements."""
    if size > 0:
        apply.fill_bytes(link.tables, out, size, fill or b"", code and fill is None)


def merged_groups(link):
    """Merged contents by output section: number -> [(MergeGroup row, carrier fragment)]."""
    found = {}
    for row, (carrier, size, _) in enumerate(merge.merge_groups(link.tables), 1):
        if size:
            found.setdefault(load.fragment(link.tables, carrier)[8], []).append((row, carrier))
    return found


def fill_image(link, out, sections, tables, relocations, count):
    """Everything between creating the file and closing it. Arguments: see plan_sections()."""
    runs = []
    for output in link.outputs:
        if output.compressed is not None:
            out.put(output.offset, output.compressed)
        elif output.file_size:
            write_between(link, output, out.address + output.offset, runs)
    apply.write_members(link.tables, runs)
    for output in link.outputs:
        if output.compressed is None and output.file_size:
            finish_section(link, output, out.address + output.offset)
    dynamic.write_synthetic(link, out.address)
    symtab.write_tables(link, out, tables)
    if link.options.relocatable:
        plain.write_plain(link.tables, out.address)
    if relocs.wanted(link):
        relocs.write_relocations(link, out, relocations)
    headers.write_headers(link, out, sections + tables, count)
    faults.check(link)
    build_id.write_build_id(link, out)
