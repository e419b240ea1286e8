"""The unwind table of ARM, .ARM.exidx: which runs the core has to look at."""

from mclink.context import Run
from mclink.elf import SHF_ALLOC, SHF_EXECINSTR


def arrange_tables(link):
    """Fences off code that has no entries, and joins equal entries; before addresses are assigned."""
    sections = [section for section in link.outputs if section.flags & SHF_ALLOC]
    if link.options.relocatable or not any(section.name == ".ARM.exidx" for section in sections):
        return
    from mclink._core.arch import exidx
    base = link.members.address()
    code, tables = [], []
    for section in sections:
        target = tables if section.name == ".ARM.exidx" else code if section.flags & SHF_EXECINSTR else None
        if target is None:
            continue
        for item in section.statements:
            if type(item) is Run:
                first, count = link.members.extent(item.number)
                target.append((base + 4 * first, count))
    exidx.arrange(link.tables, code, tables, link.options.merge_exidx is not False)
