"""Phase 2: what the command line wants to be told about the walk, said as soon as the walk is known."""

import sys

from mclink._core import files, load, symbols

MOST_REFERENCES = 3         # places that a .gnu.warning block shows


def report_walk(link):
    """Report the walk"""
    options = link.options
    if options.trace:
        print_trace(link)
    if options.trace_symbols:
        trace_symbols(link)
    if options.warn_common:
        warn_commons(link)
    if options.why_extract:
        write_why_extract(link, options.why_extract)
    if options.print_archive_stats:
        write_archive_stats(link, options.print_archive_stats)
    for file, name, text in load.warning_texts(link.tables, link.extra["warnings"]):
        warn_reference(link, file, name, text)


# -- files

def print_trace(link):
    """-t: the files that are linked, in order; twice: archive members as well (GNU ld manual, --trace)."""
    from mclink._core import inspect
    live = {}
    if link.options.trace > 1:
        for file, _, _ in inspect.extracted_members(link.tables):
            live.setdefault(files.file_state(link.tables, file)[2], []).append(file)
    lines = [script for script in link.options.scripts]
    _trace_items(link, link.sequence, live, lines)
    sys.stdout.write("".join(line + "\n" for line in lines))
    sys.stdout.flush()


def _trace_items(link, items, live, lines):
    from mclink._core import inspect
    for item in items:
        if item.kind in ("group", "lib"):
            _trace_items(link, item.items, live, lines)
        elif item.input is not None:
            lines.append(item.input.path)
            for member in live.get(item.input.file, ()):
                name, archive = inspect.file_names(link.tables, member)
                lines.append(f"({text_of(archive)}){text_of(name)}")


def text_of(name):
    return name.decode("utf-8", "surrogateescape")


def write_why_extract(link, path):
    """--why-extract: who referred to what that made each archive member part of the link, tab-separated."""
    from mclink._core import inspect
    from mclink.places import symbol_text
    lines = ["reference\textracted\tsymbol"]
    for member, gid, referrer in inspect.extracted_members(link.tables):
        if gid:
            origin = files.file_name(link.tables, referrer) if referrer else "<command line>"
            lines.append(f"{origin}\t{files.file_name(link.tables, member)}\t{symbol_text(link, gid)}")
    write_lines(link, path, lines)


def write_archive_stats(link, path):
    """--print-archive-stats: known and linked members of each archive, tab-separated."""
    from mclink._core import inspect
    lines = ["members\textracted\tarchive"]
    for file, members, linked in inspect.archive_counts(link.tables):
        lines.append(f"{members}\t{linked}\t{files.file_name(link.tables, file)}")
    write_lines(link, path, lines)


def write_lines(link, path, lines):
    """Writes a report to a file, "-" is standard output."""
    text = "".join(line + "\n" for line in lines)
    if path == "-":
        sys.stdout.write(text)
        return
    try:
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(text)
    except OSError as error:
        link.diag.error(f"cannot open {path}: {error.strerror}")


# -- symbols

def trace_symbols(link):
    """-y: every file that defines or refers to a name (GNU ld manual, --trace-symbol)."""
    from mclink._core import inspect
    from mclink.places import symbol_text
    gids = [symbols.lookup(link.tables, name.encode("utf-8", "surrogateescape"))
            for name in link.options.trace_symbols]
    for file, _, gid, kind in inspect.mentions(link.tables, [gid for gid in gids if gid]):
        word = {"definition": "definition of", "common": "common definition of", "reference": "reference to"}[kind]
        link.diag.say(f"{files.file_name(link.tables, file)}: {word} {symbol_text(link, gid)}")


def warn_commons(link):
    """--warn-common: common symbols that meet others of their name (GNU ld manual, --warn-common)."""
    from mclink._core import inspect
    from mclink.places import symbol_text
    first = {}
    for file, sym, gid, kind in inspect.mentions(link.tables, inspect.common_names(link.tables)):
        if kind == "reference" or files.file_state(link.tables, file)[0] != 1:
            continue
        size = inspect.symbol(link.tables, file, sym)[3]
        if gid not in first:
            first[gid] = file, size, kind
            continue
        other, other_size, other_kind = first[gid]
        here, there = files.file_name(link.tables, file), files.file_name(link.tables, other)
        name = symbol_text(link, gid)
        if kind == "common" and other_kind == "common":
            if size == other_size:
                link.diag.warn(f"{here}: multiple common of '{name}'\n>>> previous common is in {there}")
            elif size > other_size:
                link.diag.warn(f"{here}: common of '{name}' overriding smaller common from {there}")
            else:
                link.diag.warn(f"{here}: common of '{name}' overridden by larger common from {there}")
            if size <= other_size:
                continue
        elif kind == "common":
            link.diag.warn(f"{here}: common of '{name}' overridden by definition from {there}")
            continue
        elif other_kind == "common":
            link.diag.warn(f"{here}: definition of '{name}' overriding common from {there}")
        first[gid] = file, size, kind


def warn_reference(link, file, name, text):
    """.gnu.warning.SYM: its text is a warning wherever another file refers to SYM."""
    from mclink._core import inspect
    gid = symbols.lookup(link.tables, name)
    if not gid:
        return
    count, where = inspect.references_to(link.tables, gid, file, MOST_REFERENCES)
    if not count:
        return
    from mclink.places import reference_lines, text_of as decode
    lines = []
    for frag, offset in where:
        lines += reference_lines(link, frag, offset)
    if count > len(where):
        lines.append(f"referenced {count - len(where)} more times")
    link.diag.warn(decode(text) + "".join("\n>>> " + line for line in lines))
