"""Phase 3: writes the output file.

Order of the file: ELF header, program headers, sections at the offsets that layout gave them, tables that are not
loaded (.symtab, .strtab, .shstrtab), section headers.
"""

import os
import stat

from mclink._core import apply, ehframe, image, load, merge, place
from mclink.context import Run
from mclink.diag import LinkError
from mclink.elf import SHF_ALLOC, SHF_EXECINSTR, SHT_NOBITS
from mclink import faults
from mclink.output import build_id, compress, dynamic, headers, symtab


def write_output(link):
    """Write output"""
    options = link.options
    number_sections(link)
    link.extra["merged"] = merged_groups(link)
    tables = symtab.plan_tables(link)
    if options.compress_debug[0] != "none" or options.compress_sections:
        compress.compress_sections(link, write_section)
    size = place_tail(link, tables)
    target = os.fsencode(options.output)
    try:
        out = image.OutputImage(target, size, is_regular(options.output))
    except OSError as error:
        raise LinkError(f"cannot create {options.output}: {os.strerror(error.errno)}") from None
    try:
        fill_image(link, out, tables)
        link.diag.check()
        mode = 0o666 if options.relocatable or options.oformat == "binary" else 0o777
        out.finish(mode)
    except OSError as error:
        raise LinkError(f"cannot write {options.output}: {os.strerror(error.errno or 5)}") from None
    finally:
        out.discard()


def is_regular(path):
    """True when the output is or will be an ordinary file that a rename may replace."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return True


def number_sections(link):
    """Section header indices of the output sections, in the order of link.outputs."""
    for index, output in enumerate(link.outputs, 1):
        output.index = index


def place_tail(link, tables):
    """File offsets of what no segment loads, behind the loaded sections; the size of the file in bytes."""
    end = headers.header_size(link) + headers.program_header_size(link)
    for output in link.outputs:
        if output.flags & SHF_ALLOC and output.type != SHT_NOBITS and output.size:
            end = max(end, output.offset + output.file_size)
    for output in link.outputs:
        if not output.flags & SHF_ALLOC or link.options.relocatable:
            end = place_one(output, end)
    for output in tables:
        end = place_one(output, end)
    word = link.target.data.ELF_CLASS // 8
    if not link.options.section_header or link.options.oformat == "binary":
        link.image["shoff"] = 0
        return end
    end = (end + word - 1) & -word
    link.image["shoff"] = end
    return end + headers.section_header_size(link, len(link.outputs) + len(tables) + 1)


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


def section_runs(link, output, out):
    """The runs of one output section as _core.apply.write_members takes them; `out` is the address in memory of
    the section's first byte."""
    members = link.members
    code = bool(output.flags & SHF_EXECINSTR)
    rows = []
    position = output.address
    for item in output.statements:
        if type(item) is not Run:
            continue
        first, count = members.extent(item.number)
        if not count:
            continue
        end = output.address + item.offset + item.size
        rows.append((members.address() + 4 * first, count, out, output.address, position, end,
                     item.fill or b"", code and item.fill is None))
        position = end
    return rows


def write_section(link, output, out):
    """Writes the contents of one output section to address `out` in memory."""
    runs = section_runs(link, output, out)
    apply.write_members(link.tables, runs)
    ehframe.write(link.tables, output.number, output.address, out)
    for group in link.extra["merged"].get(output.number, ()):
        carrier = group[1]
        merge.write(link.tables, group[0], out + place.fragment_address(link.tables, carrier) - output.address)


def merged_groups(link):
    """Merged contents by output section: number -> [(MergeGroup row, carrier fragment)]."""
    found = {}
    for row, (carrier, size, _) in enumerate(merge.merge_groups(link.tables), 1):
        if size:
            found.setdefault(load.fragment(link.tables, carrier)[8], []).append((row, carrier))
    return found


def fill_image(link, out, tables):
    """Everything between creating the file and closing it."""
    for output in link.outputs:
        if output.compressed is not None:
            out.put(output.offset, output.compressed)
        elif output.file_size:
            write_section(link, output, out.address + output.offset)
    dynamic.write_synthetic(link, out.address)
    symtab.write_tables(link, out, tables)
    headers.write_headers(link, out, tables)
    faults.check(link)
    build_id.write_build_id(link, out)
