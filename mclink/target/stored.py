"""The default scripts as trees, stored when the package is built."""

from marshal import dumps, loads
from posix import listdir, stat

from mclink.paths import read_file
from mclink.target.style import Variant

FOLDER = __file__.rpartition("/")[0] or "."


def stored_path(style, variant):
    return f"{FOLDER}/scripts/{style.emulation}.{variant.key()}.bin"


def default_tree(style, variant, sources):
    """The tree of the default script of *style* for *variant*; see mclink.script.ast.

    The tree comes from a file that `store_trees` made when the package was built, and is parsed when
    there is none or when the sources have changed since.  Positions in it are those of the built-in
    script of *sources*, which is told here how to get its text.
    """
    def text():
        from mclink.target.default_script import script_text
        return script_text(style, variant)

    sources.builtin = text
    try:
        stamp, tree = loads(read_file(stored_path(style, variant)))
        if stamp is None or stamp == source_stamp():
            return tree
    except (OSError, ValueError, EOFError, TypeError):
        pass
    return parse_builtin(text(), sources)


def source_names():
    """The modules that make the text of the scripts."""
    return sorted([name for name in listdir(FOLDER)
                   if name.endswith(".py") and name.startswith(("style", "default_script"))])


def source_stamp():
    """((size, mtime in ns), ...) of these. Raises OSError."""
    states = [stat(f"{FOLDER}/{name}") for name in source_names()]
    return tuple([(state.st_size, state.st_mtime_ns) for state in states])


def parse_builtin(text, sources):
    """The tree of the built-in script *text*, with the positions that `Sources` keeps for it."""
    from mclink.script.parser import ScriptParser
    parser = ScriptParser(text, 1, sources, None, 0, {})
    statements = []
    parser.top_level(statements.append)
    return tuple(statements)


# What compilers ask for by default: these are stored, the rest is parsed when needed.
COMMON_VARIANTS = tuple(dict(kind=kind, separate=separate, now=now)
                        for kind in ("exec", "pie", "shared") for separate in (0, 1)
                        for now in (False, True)) + (dict(kind="relocatable"),)


def store_trees(styles, folder, checked=False):
    """Store the parsed common variants of *styles* in *folder*, when the package is built.

    checked: the sources may change later, as in a source tree."""
    from os import makedirs
    from mclink.script.sources import Sources
    from mclink.target.default_script import script_text
    makedirs(folder, exist_ok=True)
    stamp = source_stamp() if checked else None
    for style in styles:
        for options in COMMON_VARIANTS:
            variant = Variant(**options)
            tree = parse_builtin(script_text(style, variant), Sources())
            name = stored_path(style, variant).rpartition("/")[2]
            with open(f"{folder}/{name}", "wb") as file:
                file.write(dumps((stamp, tree)))
