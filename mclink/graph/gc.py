"""Phase 2: --gc-sections."""

from mclink._core import files, load, reach, symbols
from mclink.script import ast


def collect_garbage(link):
    """Collect garbage"""
    options = link.options
    if not options.gc_sections:
        return
    roots = []
    for name in root_names(link):
        gid = symbols.lookup(link.tables, name.encode("utf-8", "surrogateescape"))
        if gid:
            roots.append(gid)
    named = []
    if not options.start_stop_gc:
        named = sorted((gid, frag) for gid, _, frag in link.extra.get("start_stop_fragments", ()))
    reach.collect(link.tables, roots, named, options.gc_keep_exported, *link.extra.get("descriptors", ()))
    if options.print_gc_sections:
        for frag in reach.dead_fragments(link.tables):
            file = load.fragment(link.tables, frag)[0]
            link.diag.note(f"removing unused section '{load.section_name(link.tables, frag)}' in file "
                           f"'{files.file_name(link.tables, file)}'")


def drop_records(link):
    """Drop records of dead code"""
    drop = getattr(link.target.data, "drop_records", None)
    if drop is not None and not link.options.relocatable:
        drop(link)


def root_names(link):
    """Names whose sections stay: the entry, -u and its kin, and what the dynamic section names."""
    options = link.options
    names = list(options.undefined) + list(options.require_defined) + list(link.extra["externs"])
    if options.entry:
        names.append(options.entry)
    elif not options.relocatable:
        names.append(next((command[2] for command in reversed(link.script) if command[0] == ast.ENTRY),
                          link.target.style.entry))
    names += [options.init, options.fini]
    return names
