"""Phase 2: names that the linker, --defsym and scripts define, before anything asks where a name binds."""

from mclink._core import join, reach, symbols
from mclink.script import ast
from mclink.script.names import names_read, script_symbols

STV = {"default": 0, "internal": 1, "hidden": 2, "protected": 3}
STV_HIDDEN = 2
STT_OBJECT, STT_NOTYPE, STT_TLS = 1, 0, 6
G_SCRIPT = 8388608
G_PROVIDE = 4194304

# Names of the linker itself: defined when something refers to them and no object defines them.
# name -> (visibility, type[, G_* bits])
LINKER_NAMES = {
    b"_GLOBAL_OFFSET_TABLE_": (STV_HIDDEN, STT_OBJECT),
    b"_DYNAMIC": (STV_HIDDEN, STT_OBJECT),
    b"__ehdr_start": (STV_HIDDEN, STT_NOTYPE),
    b"__GNU_EH_FRAME_HDR": (STV_HIDDEN, STT_NOTYPE),
    b"_TLS_MODULE_BASE_": (STV_HIDDEN, STT_TLS),
    b"_PROCEDURE_LINKAGE_TABLE_": (STV_HIDDEN, STT_OBJECT),
}


def define_symbols(link):
    """Define symbols"""
    if not link.options.relocatable:
        define_linker_names(link)
    link.extra["names_read"] = names_read(link.script)
    wanted = link.extra["names_read"][0]
    for name, how in script_symbols(link.script):
        define_script_name(link, name, how, wanted)
    if not link.options.relocatable:
        define_start_stop(link)


def define_linker_names(link):
    """The fixed names, each only when it is referenced and undefined."""
    tables = link.tables
    link.extra["linker_names"] = defined = {}
    names = {**LINKER_NAMES, **getattr(link.target.data, "LINKER_NAMES", {})}
    for name, (visibility, type, *extra) in names.items():
        gid = symbols.lookup(tables, name)
        if gid and symbols.is_undefined(tables, gid):
            symbols.define(tables, gid, visibility, type, 0, 0, *extra)
            defined[name] = gid


def define_script_name(link, name, how, wanted):
    """A name that a script or --defsym assigns; PROVIDE only when it is asked for (GNU ld manual, PROVIDE), by
    a file or by an expression of the script (`wanted`: the names these read)."""
    tables = link.tables
    text = name.encode("utf-8", "surrogateescape")
    if how in (ast.PROVIDE, ast.PROVIDE_HIDDEN):
        gid = symbols.lookup(tables, text)
        if not gid and name in wanted:
            gid = join.intern(tables, text)
        if gid and (symbols.is_undefined(tables, gid)
                    or name in wanted and symbols.state(tables, gid) == symbols.UNSEEN):
            symbols.define(tables, gid, STV_HIDDEN if how == ast.PROVIDE_HIDDEN else 0, 0, 0, 0, G_SCRIPT | G_PROVIDE)
        return
    gid = join.intern(tables, text)
    if symbols.state(tables, gid) in (symbols.DEFINED, symbols.DEFINED_WEAK, symbols.COMMON):
        # The script may still read what it overrides: `a = DEFINED(a) ? a : 1;`
        overridden = link.extra.setdefault("overridden", {})
        overridden.setdefault(name, symbols.describe(tables, gid)[2:4])
    symbols.define(tables, gid, STV_HIDDEN if how == ast.HIDDEN else 0, 0, 0, 0, G_SCRIPT)


def is_identifier(name):
    """True when a section name is a C identifier, so that __start_ and __stop_ exist for it."""
    text = name.decode("latin-1")
    return text.isascii() and text.isidentifier()


def define_start_stop(link):
    """__start_X, __stop_X, .startof.X and .sizeof.X of sections that exist (GNU ld manual, node
    "Input Section Example" and -z start-stop-visibility)."""
    tables = link.tables
    wanted = {}
    kinds = ((b"__start_", False), (b"__stop_", True), (b".startof.", False), (b".sizeof.", "size"))
    for (prefix, stop), gids in zip(kinds, symbols.names_starting(tables, [prefix for prefix, _ in kinds])):
        for gid in gids:
            if symbols.is_undefined(tables, gid):
                section = symbols.name(tables, gid)[len(prefix):]
                if is_identifier(section) or prefix[0] == 46 and section:
                    wanted.setdefault(section, []).append((gid, stop))
    link.extra["start_stop"] = []
    link.extra["start_stop_fragments"] = []
    if not wanted:
        return
    visibility = STV[link.options.start_stop_visibility]
    found = {}
    for name, frag in reach.sections_named(tables, set(wanted)):
        found.setdefault(name, []).append(frag)
    for section, fragments in found.items():
        for gid, stop in wanted[section]:
            symbols.define(tables, gid, visibility, STT_NOTYPE)
            link.extra["start_stop"].append((gid, section.decode("latin-1"), stop))
            for frag in fragments:
                link.extra["start_stop_fragments"].append((gid, section, frag))
