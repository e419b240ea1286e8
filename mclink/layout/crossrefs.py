"""NOCROSSREFS and NOCROSSREFS_TO (GNU ld manual, node "Miscellaneous Commands")."""

_LIMIT = 100


def check_crossrefs(link):
    """Errors for references between output sections that the script keeps apart."""
    from mclink._core import crossrefs, files, load, symbols
    numbers = {section.name: section.number for section in link.outputs}
    width = len(link.outputs) + 1
    forbidden = bytearray(width * width)
    for _, names, to_first in link.plan.no_crossrefs:
        found = [numbers[name] for name in names if name in numbers]
        if to_first:
            # The first section named may not be referred to from the others.
            pairs = [(source, numbers[names[0]]) for source in found[1:]] if names[0] in numbers else []
        else:
            pairs = [(source, target) for source in found for target in found]
        for source, target in pairs:
            if source != target:
                forbidden[source * width + target] = 1
    for frag, offset, source, target, gid, referred in crossrefs.find_crossrefs(
            link.tables, bytes(forbidden), width - 1, _LIMIT):
        file = load.fragment(link.tables, frag)[0]
        what = (symbols.name(link.tables, gid).decode("utf-8", "surrogateescape") if gid
                else load.section_name(link.tables, referred))
        link.diag.error(
            f"prohibited cross reference from {link.outputs[source - 1].name} to '{what}' in "
            f"{link.outputs[target - 1].name}\n>>> referenced by {files.file_name(link.tables, file)}:"
            f"({load.section_name(link.tables, frag)}+{offset:#x})")
