"""Which definitions other modules see, and under which version.

Sources: GNU ld manual, nodes "VERSION" and "Options" (--dynamic-list, --export-dynamic, --exclude-libs);
Ulrich Drepper, "ELF Symbol Versioning". A rule that the texts leave open is GNU ld 2.40's.
"""

import posix

from mclink._core import versions
from mclink.paths import basename, read_file

VER_NDX_GLOBAL = 1
G_DYNAMIC_LIST, G_EXPORT = versions.list_flags()

# --dynamic-list-cpp-new and --dynamic-list-cpp-typeinfo: what GNU ld's manual says they stand for.
CPP_NEW = ("operator new*", "operator delete*")
CPP_TYPEINFO = ("typeinfo for*", "typeinfo name for*")


class VersionNode:
    """A version that this output defines."""

    __slots__ = (
        "name",         # bytes; of node 1 the soname or file name
        "parents",      # list of version indices
        "base",         # True for node 1, the file itself
    )

    def __init__(self, name, parents=(), base=False):
        self.name = name
        self.parents = list(parents)
        self.base = base


def assign_versions(link):
    """Assign symbol versions"""
    if link.options.relocatable:
        return
    tables = link.tables
    versions.reset_versions(tables)
    script = read_version_scripts(link)
    nodes = link.versions = [None, VersionNode(file_version(link), base=True)]
    numbers = {}
    if script is not None and script.names != [""]:
        for name, parents in zip(script.names, script.parents):
            numbers[encode(name)] = len(nodes)
            nodes.append(VersionNode(encode(name), [parent + 2 for parent in parents]))
    explicit = versions.explicit_versions(tables)
    missing = give_explicit(link, explicit, numbers, script)
    if script is not None:
        apply_version_script(link, script, [row[0] for row in explicit], bool(numbers))
    if link.options.default_symver:
        nodes.append(VersionNode(nodes[1].name))
        versions.default_versions(tables, len(nodes) - 1)
    apply_symbol_lists(link)
    versions.export_definitions(tables, link.options.export_dynamic)
    name_missing_versions(link, missing, numbers)


def encode(text):
    return text.encode("utf-8", "surrogateescape")


def file_version(link):
    """Name of the base version: the soname, or the output's file name."""
    return encode(link.options.soname or basename(link.options.output))


def read_text(link, path):
    """Text of a version script or symbol list. LinkError when it cannot be read."""
    from mclink.diag import LinkError
    from mclink.script.parser import decode_script
    try:
        return decode_script(read_file(path))
    except OSError as error:
        raise LinkError(f"cannot open {path}: {posix.strerror(error.errno)}") from None


def read_version_scripts(link):
    """The VersionScript of --version-script files and VERSION commands; None when there are none."""
    commands = link.extra.get("script_versions") or []
    if not link.options.version_scripts and not commands:
        return None
    from mclink.script.version_script import VersionScript, parse_version_script
    script = VersionScript(link.sources)
    for path in link.options.version_scripts:
        script.add(parse_version_script(read_text(link, path), path, link.sources))
    for command in commands:
        script.add(command[2])
    script.finish()
    return script


def give_explicit(link, explicit, numbers, script):
    """Versions that .symver wrote into names. Returns those whose version no script has.

    A version that hides the name under local: and does not list it under global: wins, as in GNU ld."""
    tables = link.tables
    missing = []
    for gid, name, default in explicit:
        number = numbers.get(name)
        if number is None:
            missing.append((gid, name, default))
            continue
        local = hides(script, number - 2, versions.base_name(tables, gid)) and not link.options.export_dynamic
        versions.set_version(tables, gid, number, not default, local)
    return missing


def hides(script, node, name):
    """True when the node matches `name` under local: and not under global:."""
    for local in (0, 1):
        for pattern, _, is_local, language, literal in script.entries[node]:
            if is_local != local or language != "C":
                continue
            text = encode(pattern)
            if text == name if literal else versions.glob_matches(text, name):
                return bool(local)
    return False


def apply_version_script(link, script, decided, named):
    """Gives every other definition what the script says. Literal names beat patterns; see version_script."""
    patterns = script.patterns
    exact = [(name, version_of(rank, named), rank & 1) for name, rank in patterns.exact.items()]
    globs = pattern_rows(patterns, named)
    missing, _ = apply_rows(link, exact, globs, decided)
    if not link.options.undefined_version:
        for name, version, local in missing:
            if not local:
                where = link.versions[version].name.decode("utf-8", "surrogateescape") if named else "global"
                link.diag.error(f"version script assignment of '{where}' to symbol "
                                f"'{name.decode('utf-8', 'surrogateescape')}' failed: symbol not defined")


def version_of(rank, named):
    """Version index for a rank of version_script.Patterns; the anonymous version is the unversioned global."""
    return (rank >> 1) + 2 if named else VER_NDX_GLOBAL


def pattern_rows(patterns, named):
    """The C++ names and the globs as rows of versions.apply_script: later nodes behind earlier ones."""
    rows = [(encode(text), version_of(rank, named), rank >> 1, rank & 1, True, True)
            for text, rank in patterns.exact_cxx.items()]
    found = [(rank, text, cplus) for text, cplus, rank in patterns.globs]
    found += [(rank, "*", False) for rank in patterns.star if rank >= 0]
    found.sort(key=lambda row: row[0])
    rows += [(encode(text), version_of(rank, named), rank >> 1, rank & 1, cplus, False)
             for rank, text, cplus in found]
    return rows


def apply_rows(link, exact, globs, decided):
    from mclink.diag import LinkError
    try:
        return versions.apply_script(link.tables, exact, globs, decided)
    except LookupError as error:
        raise LinkError(f"version script: {error}") from None


def apply_symbol_lists(link):
    """--dynamic-list, --export-dynamic-symbol and their kin set G_DYNAMIC_LIST or G_EXPORT."""
    options = link.options
    flag = G_DYNAMIC_LIST
    for path in options.dynamic_lists:
        apply_list(link, read_list(link, path), flag)
    if options.dynamic_list_cpp_new:
        apply_list(link, [(text, 0, 0, "C++", 0) for text in CPP_NEW], flag)
    if options.dynamic_list_cpp_typeinfo:
        apply_list(link, [(text, 0, 0, "C++", 0) for text in CPP_TYPEINFO], flag)
    if options.dynamic_list_data:
        versions.apply_list(link.tables, [], [(b"*", 0, 0, False, False, False)], flag, True)
    # An executable exports the names; a shared object does anyway, and they stay preemptible.
    for pattern in options.export_dynamic_symbols:
        literal = not any(c in pattern for c in "*?[")
        apply_list(link, [(pattern, 0, 0, "C", int(literal))], flag)
    for path in options.export_dynamic_symbol_lists:
        apply_list(link, read_list(link, path), flag)


def read_list(link, path):
    from mclink.script.version_script import parse_dynamic_list
    return parse_dynamic_list(read_text(link, path), path, link.sources)


def apply_list(link, entries, flag):
    """entries: as version_script.parse_dynamic_list returns them."""
    from mclink.diag import LinkError
    exact = [encode(entry[0]) for entry in entries if entry[4] and entry[3] == "C"]
    globs = [(encode(entry[0]), 0, 0, False, entry[3] != "C", bool(entry[4]))
             for entry in entries if not entry[4] or entry[3] != "C"]
    try:
        versions.apply_list(link.tables, exact, globs, flag)
    except LookupError as error:
        raise LinkError(f"symbol list: {error}") from None


def name_missing_versions(link, missing, numbers):
    """.symver versions without a node: an executable that exports them makes the node, a shared object must
    have it in a script."""
    tables = link.tables
    for gid, name, default in missing:
        if not versions.exported(tables, gid):
            continue
        if link.options.shared:
            base = versions.base_name(tables, gid).decode("utf-8", "surrogateescape")
            at = "@@" if default else "@"
            link.diag.error(f"version node not found for symbol {base}{at}{name.decode('utf-8', 'surrogateescape')}\n"
                            ">>> name the version in a script for --version-script")
            continue
        if name not in numbers:
            numbers[name] = len(link.versions)
            link.versions.append(VersionNode(name))
        versions.set_version(tables, gid, numbers[name], not default, False)
