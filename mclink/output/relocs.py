"""Phase 3: relocation sections, section symbols and groups, for -r and --emit-relocs."""

from mclink._core import load, relocs
from mclink.context import OutputSection, Run
from mclink.elf import SHF_GROUP, SHF_INFO_LINK, SHT_GROUP, SHT_REL, SHT_RELA


def wanted(link):
    """True when the output carries the relocations of its inputs."""
    return link.options.relocatable or link.options.emit_relocs


def member_runs(link, output):
    """(address of fragment ids, count) of each run of an output section."""
    members = link.members
    rows = []
    for item in output.statements:
        if type(item) is Run:
            first, count = members.extent(item.number)
            if count:
                rows.append((members.address() + 4 * first, count))
    return rows


def plan_relocations(link):
    """An OutputSection for each relocation section, in the order of the sections they belong to."""
    if not wanted(link):
        return []
    rela = link.target.data.RELA
    wide = link.target.data.ELF_CLASS == 64
    entsize = relocs.record_bytes(link.tables)
    planned = []
    for output in link.outputs:
        count = relocs.count_records(link.tables, member_runs(link, output))
        if not count:
            continue
        section = OutputSection((".rela" if rela else ".rel") + output.name)
        section.type = SHT_RELA if rela else SHT_REL
        section.flags = SHF_INFO_LINK | output.flags & SHF_GROUP
        section.size = count * entsize
        section.entsize = entsize
        section.align = 8 if wide else 4
        section.info = output
        planned.append(section)
    return planned


def plan_groups(link):
    """An OutputSection for each section group that -r keeps; their contents wait for the symbol indices."""
    link.extra["groups"] = []
    if not link.options.relocatable or link.options.force_group_allocation:
        return []
    planned = []
    for row in relocs.live_groups(link.tables):
        if not row[4]:
            continue
        section = OutputSection(".group")
        section.type = SHT_GROUP
        section.align = 4
        section.entsize = 4
        link.extra["groups"].append((section, row))
        planned.append(section)
    return planned


def size_groups(link, relocations):
    """Members of the groups: output sections and their relocation sections, each once."""
    by_output = {section.info.number: section for section in relocations}
    for section, row in link.extra["groups"]:
        inside = []
        for frag in row[4]:
            output = link.outputs[load.fragment(link.tables, frag)[8] - 1]
            if output not in inside:
                inside.append(output)
                output.flags |= SHF_GROUP
                if output.number in by_output:
                    inside.append(by_output[output.number])
                    by_output[output.number].flags |= SHF_GROUP
        section.statements = inside
        section.size = 4 + 4 * len(inside)


def write_relocations(link, out, relocations, section_symbols):
    """Writes the relocation sections and the groups into the image. section_symbols: symbol index by output
    number."""
    indices = link.symbols.index_tables()
    addresses = [0] + [output.address for output in link.outputs]
    jobs = [(member_runs(link, section.info), out.address + section.offset, section.info.address,
             out.address + section.info.offset if section.info.file_size else 0) for section in relocations]
    relocs.write_records(link.tables, jobs, link.options.relocatable, indices, section_symbols, addresses)
    order = "big" if link.target.data.BIG_ENDIAN else "little"
    for section, (flags, gid, file, sym, _) in link.extra.get("groups", ()):
        if gid:
            section.info = relocs.global_symbol_index(indices, gid)
        else:
            section.info = relocs.local_symbol_index(link.tables, indices, file, sym)
            if not section.info and section.statements:
                section.info = section_symbols[section.statements[0].number]
        words = [flags] + [member.index for member in section.statements]
        out.put(section.offset, b"".join(word.to_bytes(4, order) for word in words))
