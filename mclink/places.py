"""Names of files, symbols and places as messages print them. Loaded when there is something to say.

A place is a byte of an input section. Messages show it as lld does:

    referenced by user.c:4 (src/user.c:4)
                  user.o:(main)
"""

from mclink._core import files, inspect, symbols
from mclink.demangle import demangle

SHN_ABS, SHN_COMMON = 0xfff1, 0xfff2
STT_FUNC, STT_SECTION = 2, 3
INTERNAL_FILE = 1
LINKER = "the linker or the command line"
MOST_LINE_TABLES = 64       # objects whose line tables are kept


def text_of(name):
    return name.decode("utf-8", "surrogateescape")


def readable(link, name):
    """A symbol's name (bytes) as it is to be printed: demangled unless --no-demangle."""
    return demangle(name) if link.options.demangle else text_of(name)


def symbol_text(link, gid):
    """A global name as it is to be printed."""
    return readable(link, symbols.name(link.tables, gid))


def named_symbol(link, file, sym, gid=0):
    """Symbol `sym` of a file in words: 'name' in quotes, or what stands for a nameless one."""
    if gid:
        return f"'{symbol_text(link, gid)}'"
    row = inspect.symbol(link.tables, file, sym) if file else None
    if row is None:
        return "no symbol"
    name, index, _, _, type, _ = row
    if type == STT_SECTION or not name:
        return f"section '{text_of(inspect.section(link.tables, file, index))}'" if type == STT_SECTION else "symbol 0"
    return f"'{readable(link, name)}'"


def covering_symbol(link, file, index, offset):
    """Name of the function or object at a byte of a section; through its descriptor where the target has those."""
    covering = inspect.enclosing_symbol(link.tables, file, index, offset)
    kind = getattr(link.target.data, "DESCRIPTORS", None)
    if covering or kind is None:
        return covering
    rows = [row for row in inspect.descriptors(link.tables, file, *kind) if row[2] == index and row[3] <= offset]
    if not rows:
        return None
    section, at, _, _ = max(rows, key=lambda row: row[3])
    return inspect.symbol_at(link.tables, file, section, at)


def code_place(link, file, index, offset):
    """(section, byte) of the code whose descriptor stands at a byte of a section, or of that byte itself."""
    kind = getattr(link.target.data, "DESCRIPTORS", None)
    if kind is not None and inspect.section(link.tables, file, index) == kind[0]:
        for section, at, code, value in inspect.descriptors(link.tables, file, *kind):
            if section == index and at == offset:
                return code, value
    return index, offset


def object_place(link, file, index, offset, alone=False):
    """`user.o:(main)`, with the archive behind it; alone: section and offset, whatever symbol covers them."""
    name, archive = inspect.file_names(link.tables, file)
    covering = None if alone else covering_symbol(link, file, index, offset)
    if covering:
        where = readable(link, covering)
    else:
        where = f"{text_of(inspect.section(link.tables, file, index))}+{offset:#x}"
    place = f"{text_of(name)}:({where})"
    return f"{place} in archive {text_of(archive)}" if archive else place


def short_place(link, frag, offset):
    """`user.o:(function main: .text+0x9)` for the head of a message."""
    file, index = owner(link, frag)
    shown = files.file_name(link.tables, file)
    section = f"{section_text(link, frag)}+{offset:#x}"
    covering = covering_symbol(link, file, index, offset) if index else None
    if covering:
        return f"{shown}:(function {readable(link, covering)}: {section})"
    return f"{shown}:({section})"


def section_text(link, frag):
    from mclink._core import load
    return load.section_name(link.tables, frag)


def owner(link, frag):
    """(file id, section index) of a fragment; the index is 0 for a fragment that is no input section."""
    from mclink._core import load
    return load.fragment(link.tables, frag)[0], inspect.section_index(link.tables, frag)


def source_line(link, file, index, offset, variable=None):
    """`user.c:4 (src/user.c:4)` of a byte of an input section, or the object's STT_FILE name; "" when unknown.

    variable: the name (bytes) of the variable that is defined there."""
    found = None
    lines = line_tables(link, file)
    if lines is not None:
        found = lines.find(index, offset)
        if found is None and variable:
            found = lines.find_variable(variable)
    if found is None:
        return text_of(inspect.source_name(link.tables, file))
    path, line = found
    name = path.rpartition("/")[2]
    return f"{name}:{line}" if name == path else f"{name}:{line} ({path}:{line})"


def line_tables(link, file):
    """The source_lines.ObjectLines of an object, None when it has none."""
    known = link.extra.setdefault("line_tables", {})
    if file not in known:
        from mclink import source_lines
        if len(known) >= MOST_LINE_TABLES:
            known.clear()
        known[file] = None
        if inspect.file_facts(link.tables, file)[0] == 1 and link.target is not None:
            known[file] = source_lines.open_lines(files.contents(link.tables, file), word_types(link))
    return known[file]


def word_types(link):
    """Relocation type -> bytes of its field, for the types of the target that mean S + A."""
    types = {}
    for number, _, formula, field, *_ in link.target.data.RELOCS:
        digits = field.lstrip("abcdefghijklmnopqrstuvwxyz")
        if formula == "S + A" and digits in ("32", "64"):
            types[number] = int(digits) // 8
    return types


def reference_lines(link, frag, offset, word="referenced by "):
    """The two lines that say where a reference stands."""
    file, index = owner(link, frag)
    return place_lines(link, file, index, offset, word)


def place_lines(link, file, index, offset, word, alone=False, variable=None):
    """Lines `word` source line, and the object below it; one line when the source is not known."""
    place = object_place(link, file, index, offset, alone)
    source = source_line(link, file, index, offset, variable)
    if not source:
        return [word + place]
    return [word + source, " " * len(word) + place]


def definition_lines(link, file, sym, word="defined at ", alone=False):
    """Lines that say where symbol `sym` of `file` is defined."""
    if file <= INTERNAL_FILE:
        return [word + LINKER]
    row = inspect.symbol(link.tables, file, sym)
    if row is None:
        return [word + files.file_name(link.tables, file)]
    name, index, value, _, type, _ = row
    if alone and type == STT_FUNC:
        # A low bit may tell the instruction set.
        value &= ~getattr(link.target.data, "CODE_BITS", 0)
    if not 0 < index < 0xff00:
        kind = {SHN_ABS: " (an absolute symbol)", SHN_COMMON: " (a common symbol)"}.get(index, "")
        return [word + files.file_name(link.tables, file) + kind]
    index, value = code_place(link, file, index, value)
    return place_lines(link, file, index, value, word, alone, name)


def definer(link, gid):
    """Where a global is defined, in a few words; "" when nothing defines it."""
    if not gid or symbols.state(link.tables, gid) not in (symbols.DEFINED, symbols.DEFINED_WEAK, symbols.COMMON,
                                                          symbols.SHARED):
        return ""
    file = symbols.describe(link.tables, gid)[0]
    return files.file_name(link.tables, file) if file > INTERNAL_FILE else LINKER
