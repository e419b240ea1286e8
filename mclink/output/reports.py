"""Phase 3: what is written besides the output: map, cross reference, dependency file, statistics."""

import sys



def write_reports(link):
    """Write reports"""
    options = link.options
    if options.map_file is not None or options.print_map or options.cref:
        from mclink.output.map_file import write_map
        write_map(link)
    if options.out_implib:
        from mclink.output.implib import write_import_library
        write_import_library(link, options.out_implib)
    if options.dependency_file:
        write_dependencies(link, options.dependency_file)
    if options.print_memory_usage:
        print_memory_usage(link, sys.stdout)
    if options.stats:
        from mclink.clock import print_stats
        count_tables(link)
        print_stats(link, sys.stderr)
    if options.time_trace is not None:
        from mclink.clock import write_trace
        path = options.time_trace or options.output + ".time-trace"
        try:
            write_trace(link, path)
        except OSError as error:
            link.diag.error(f"cannot open {path}: {error.strerror}")


def write_dependencies(link, path):
    """--dependency-file: a make rule of the output, and an empty one for each input (GNU ld manual)."""
    inputs = dict.fromkeys(link.options.scripts + link.options.version_scripts)
    inputs.update(dict.fromkeys(entry.path for entry in link.inputs.values()))
    names = [make_word(name) for name in inputs]
    text = make_word(link.options.output) + ":" + "".join(f" \\\n  {name}" for name in names) + "\n"
    text += "".join(f"\n{name}:\n" for name in names)
    try:
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(text)
    except OSError as error:
        link.diag.error(f"cannot open {path}: {error.strerror}")


def make_word(name):
    """A file name as make reads it (POSIX make; GNU make manual, "Rule Syntax")."""
    return name.replace("$", "$$").replace(" ", "\\ ").replace("#", "\\#")


def print_memory_usage(link, stream):
    """--print-memory-usage: how full the regions of MEMORY are, in GNU ld's columns."""
    engine = link.extra.get("engine")
    stream.write("Memory region         Used Size  Region Size  %age Used\n")
    for region in engine.regions.in_order if engine is not None else ():
        row = f"{region.name:>16}: {size_text(region.used)}{size_text(region.length or 0)}"
        if region.length:
            row += f"    {100 * region.used / region.length:6.2f}%"
        stream.write(row + "\n")
    stream.flush()


def size_text(size):
    """A size in the largest unit that divides it, 13 columns."""
    for unit, name in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")):
        if size % unit == 0:
            return f"{size // unit:>10} {name}"
    return f" {size:>10} B"


def count_tables(link):
    """Sizes of the tables, for --stats."""
    from mclink._core import inspect
    for name, number in inspect.counts(link.tables):
        link.clock.counts.setdefault(name, number)
