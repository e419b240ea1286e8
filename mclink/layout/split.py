"""--split-by-file and --split-by-reloc: under -r, output sections that are cut in pieces between input sections.

Source: GNU ld manual, node "Options"; names and places of the pieces are those of GNU ld 2.40."""

from mclink._core import load
from mclink.context import OutputSection, Run

_NO_LIMIT = 1 << 64
_RELOCS = 32768             # --split-by-reloc without a count


def split_outputs(link):
    """Cuts each output section in front of the input section with which it would reach the size or the count of
    relocations that the options name. The pieces, .text.0 and so on, stand behind all other sections."""
    options = link.options
    sizes = _NO_LIMIT if options.split_by_file is None else max(options.split_by_file, 1)
    counts = _NO_LIMIT if options.split_by_reloc is None else options.split_by_reloc or _RELOCS
    names = {section.name for section in link.outputs}
    whole = {".eh_frame", getattr(link.target.data, "DESCRIPTORS", (b"",))[0].decode()}
    pieces = []
    for section in link.outputs:
        if section.name not in whole:
            # Linkers know the unwind table, and function descriptors, by their names alone.
            pieces += _split(link, section, sizes, counts, names)
    for piece in pieces:
        link.outputs.append(piece)
        piece.number = len(link.outputs)
        link.plan.statements.append(piece)


def _split(link, section, sizes, counts, names):
    """The pieces behind the first of one section, which loses what they hold."""
    pieces = []
    stem = section.name.rstrip("0123456789")
    stem = stem[:-1] if stem != section.name and stem.endswith(".") and len(stem) > 1 else section.name
    size = relocs = 0
    first = True
    current = section
    statements, section.statements = section.statements, []
    for item in statements:
        if type(item) is not Run:
            current.statements.append(item)
            continue
        start = 0
        for position, frag in enumerate(link.members.members(item.number)):
            row = load.fragment(link.tables, frag)
            more, count = row[3], row[9]
            if not first and (size + more >= sizes or relocs + count >= counts):
                if position > start:
                    current.statements.append(item)
                    item = _cut(link, item, position - start)
                start = position
                current = _clone(section, stem, names)
                pieces.append(current)
                size = relocs = 0
            first = False
            size += more
            relocs += count
        current.statements.append(item)
        item.output = current
    for piece in [section] + pieces:
        for item in piece.statements:
            if type(item) is Run:
                item.output = piece
    return pieces


def _cut(link, run, at):
    """Leaves the first `at` members in a run; the new Run of the others."""
    number = link.members.split(run.number, at)
    rest = Run(number, run.output, run.statement)
    rest.first, rest.count = link.members.extent(number)
    run.first, run.count = link.members.extent(run.number)
    link.runs.append(rest)
    return rest


def _clone(section, stem, names):
    number = 0
    while f"{stem}.{number}" in names:
        number += 1
    piece = OutputSection(f"{stem}.{number}")
    names.add(piece.name)
    for field in ("type", "flags", "entsize", "align", "fill", "keep"):
        setattr(piece, field, getattr(section, field))
    return piece
