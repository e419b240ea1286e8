"""Files that only the patterns of a script name: `start.o(.text)` makes start.o an input."""

from mclink import search, tree
from mclink.script import ast


def open_named(link, open_path):
    """Opens, behind all other inputs, each file that an input section pattern names without a wildcard and that is no
    input yet. open_path: load.open_path."""
    known = {entry.name for entry in link.inputs.values()}
    for command in link.extra["commands"]:
        if command[0] != ast.SECTIONS:
            continue
        for pos, name in named_files(command[2]):
            if name in known:
                continue
            known.add(name)
            found = search.find_named(link, name, link.script_path or "")
            if found is None:
                link.sources.fail(pos, f"cannot find {name}: No such file or directory")
            node = tree.FileNode(name, 0, link.tree.state)
            open_path(link, found, name, node, link.sequence, 0, False)


def named_files(statements):
    """(pos, name) of the file patterns without wildcards, archive:member forms left out."""
    for node in statements:
        if node[0] == ast.OUTSEC:
            yield from named_files(node[10])
        elif node[0] == ast.OVERLAY:
            for member in node[6]:
                yield from named_files(member[2])
        elif node[0] == ast.PATTERN:
            name = node[3][0]
            if ":" not in name and not any(c in name for c in "*?["):
                yield node[1], name
