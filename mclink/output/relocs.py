"""Phase 3: relocation sections and groups, for -r and --emit-relocs."""

from mclink._core import relocs
from mclink.context import OutputSection, Run
from mclink.elf import SHF_GROUP, SHF_INFO_LINK, SHT_REL, SHT_RELA


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
    rela = getattr(link.target.data, "RELA_OBJECTS", link.target.data.RELA)
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
    """The section groups that -r keeps (_core.plain.Groups), or None; their contents wait for header indices."""
    link.extra["groups"] = None
    if link.options.relocatable and not link.options.force_group_allocation:
        from mclink._core.plain import Groups
        groups = Groups(link.tables)
        if groups.count:
            link.extra["groups"] = groups
    return link.extra["groups"]


def write_relocations(link, out, relocations):
    """Writes the relocation sections into the image."""
    jobs = [(member_runs(link, section.info), out.address + section.offset, section.info.address,
             out.address + section.info.offset if section.info.file_size else 0) for section in relocations]
    relocs.write_records(link.tables, jobs, link.options.relocatable, link.symbols.index_tables(), out.address)
