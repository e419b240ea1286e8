"""Phase 3: -Map, -M and --cref, in the layout of GNU ld 2.40, which builds parse."""

import posix
import sys

from mclink._core import files, symbols
from mclink.context import OutputSection, Run
from mclink.script import ast
from mclink.tree import ScriptNode
from mclink.plan import Assignment, Data, Fill, Overlay

LOAD_COLUMN = 30            # where the cause of an inclusion stands
HOW = {ast.PROVIDE: "PROVIDE ({} = {})", ast.PROVIDE_HIDDEN: "PROVIDE ({} = {})"}
SORTS = {ast.SORT_NAME: "SORT_BY_NAME({})", ast.SORT_ALIGNMENT: "SORT_BY_ALIGNMENT({})",
         ast.SORT_NAME_ALIGNMENT: "SORT_BY_NAME(SORT_BY_ALIGNMENT({}))",
         ast.SORT_ALIGNMENT_NAME: "SORT_BY_ALIGNMENT(SORT_BY_NAME({}))",
         ast.SORT_NONE: "SORT_NONE({})", ast.SORT_INIT_PRIORITY: "SORT_BY_INIT_PRIORITY({})"}
DATA_WORDS = {1: "BYTE", 2: "SHORT", 4: "LONG", 8: "QUAD", -8: "SQUAD"}
SHF_EXECINSTR = 4


def write_map(link):
    """Writes the map where the options want it; --cref alone goes to standard output."""
    options = link.options
    if options.map_file in (None, "-", ""):
        sys.stdout.flush()
        write_text(link, sys.stdout.fileno(), False)
        return
    try:
        with open(map_path(options), "wb", buffering=0) as stream:
            write_text(link, stream.fileno(), stream.seekable())
    except OSError as error:
        link.diag.error(f"cannot write map file {options.map_file}: {posix.strerror(error.errno)}")


def write_text(link, fd, seekable):
    """Writes all that goes to the map's file."""
    from mclink._core.maptext import MapText
    options = link.options
    digits = 16 if link.target.data.ELF_CLASS == 64 else 8
    demangle = None
    if options.demangle:
        from mclink.demangle import demangle
    text = MapText(link.tables, demangle, digits, fd, seekable)
    if options.map_file is not None or options.print_map:
        Map(link, text, digits).write()
    if options.cref:
        text.add("\nCross Reference Table\n\n" + "Symbol".ljust(50) + "File\n")
        text.add_cref()
    text.finish()


def map_path(options):
    """The file of -Map: a folder gets <output>.map, and % is the output's name (GNU ld manual, -Map)."""
    from os.path import basename, isdir, join
    path = options.map_file
    if isdir(path):
        return join(path, basename(options.output) + ".map")
    return path.replace("%", basename(options.output)) if "%" in path else path


class Map:
    """One map being written."""

    __slots__ = ("link", "text", "digits", "engine")

    def __init__(self, link, text, digits):
        self.link = link
        self.text = text
        self.digits = digits
        self.engine = link.extra.get("engine")

    def write(self):
        self.write_inclusions()
        self.write_commons()
        if self.link.options.print_map_discarded:
            self.text.add("\nDiscarded input sections\n\n")
            self.text.add_discarded()
        self.write_memory()
        self.text.add("\nLinker script and memory map\n\n")
        self.text.sort_symbols()
        if self.link.options.demangle:
            self.text.read_names()
        # A script stands where -T stands, the built-in one behind the inputs.
        first, second = self.split_sequence()
        self.write_loads(first)
        statements = list(self.link.plan.statements)
        behind = []
        while statements and type(statements[-1]) is OutputSection and statements[-1].definition is None:
            # GNU ld appends sections that have no place in the script, behind OUTPUT.
            behind.insert(0, statements.pop())
        self.write_statements(statements)
        if self.link.plan.plain:
            self.text.add_plain()
        self.write_discards()
        self.write_loads(second)
        form = self.link.options.oformat or self.link.target.data.OUTPUT_FORMAT
        self.text.add(f"OUTPUT({self.link.options.output} {form})\n")
        self.write_statements(behind)

    # -- the head

    def write_inclusions(self):
        """Archive members and --as-needed libraries with what made them part of the link."""
        from mclink._core import inspect
        from mclink.places import symbol_text
        rows = []
        for member, gid, referrer in inspect.extracted_members(self.link.tables):
            if gid:
                rows.append((files.file_name(self.link.tables, member), referrer, symbol_text(self.link, gid)))
        if rows:
            self.text.add("Archive member included to satisfy reference by file (symbol)\n\n")
            self.write_causes(rows)
        rows = []
        for library in self.link.libraries:
            if library.as_needed and library.is_needed:
                cause = inspect.first_use(self.link.tables, library.file)
                if cause is not None:
                    rows.append((library.soname, cause[1], symbol_text(self.link, cause[0])))
        if rows:
            self.text.add("\nAs-needed library included to satisfy reference by file (symbol)\n\n")
            self.write_causes(rows)

    def write_causes(self, rows):
        for name, referrer, symbol in rows:
            if len(name) >= LOAD_COLUMN - 1:
                name += "\n" + " " * LOAD_COLUMN
            origin = files.file_name(self.link.tables, referrer) + " " if referrer else ""
            self.text.add(f"{name:<{LOAD_COLUMN}}{origin}({symbol})\n")

    def write_commons(self):
        if self.link.extra.get("commons"):
            self.text.add("\nAllocating common symbols\nCommon symbol       size              file\n\n")
            self.text.add_commons()

    def write_memory(self):
        self.text.add("\nMemory Configuration\n\n"
                      "Name             Origin             Length             Attributes\n")
        for region in self.engine.regions.in_order if self.engine is not None else ():
            attributes = "".join(letter for letter in "xrwail" if letter in region.attributes)
            inverted = "".join(letter for letter in "xrwail" if letter in region.inverted)
            if inverted:
                attributes += "!" + inverted
            # GNU ld pads the length only when something follows it.
            length = self.hex(region.length or 0)
            self.text.add(f"{region.name:<16} {self.hex(region.origin):<18} "
                          + (f"{length:<18} {attributes}" if attributes else length) + "\n")
        self.text.add(f"{'*default*':<16} {self.hex(0):<18} {self.hex((1 << 4 * self.digits) - 1)}\n")

    def split_sequence(self):
        """The inputs in front of the first -T and those behind it."""
        early = set()
        for node in self.link.tree.children:
            if isinstance(node, ScriptNode):
                items = self.link.sequence
                return ([item for item in items if id(item.node) in early],
                        [item for item in items if id(item.node) not in early])
            early.add(id(node))
        return self.link.sequence, []

    def write_loads(self, items):
        for item in items:
            if item.kind == "group":
                self.text.add("START GROUP\n")
                self.write_loads(item.items)
                self.text.add("END GROUP\n")
            elif item.kind == "lib":
                self.write_loads(item.items)
            elif item.kind == "defsym":
                pass
            elif item.input is not None:
                self.text.add(f"LOAD {item.input.path}\n")

    # -- the script

    def hex(self, number):
        return f"0x{number:0{self.digits}x}"

    def write_statements(self, statements):
        done = {id(item.node): item for item in (self.engine.program if self.engine is not None else ())
                if type(item) is Assignment}
        for item in statements:
            kind = type(item)
            if kind is OutputSection:
                if item.definition is not None or item.number:
                    self.write_section(item)
            elif kind is Overlay:
                for member in item.members:
                    self.write_section(member)
            else:
                self.write_assignment(done.get(id(item), item))

    def write_discards(self):
        runs = [run for run in self.link.plan.discards if run.statement is not None]
        if runs:
            self.text.add("\n/DISCARD/\n" + "".join(pattern_text(run.statement) for run in runs))

    def write_assignment(self, item):
        """An assignment or assertion: its value, or that a PROVIDE was not needed."""
        node, value = (item.node, item.value) if type(item) is Assignment else (item, None)
        if node[0] == ast.ASSERT:
            self.text.add(f"{'':16}{self.hex(1)}{'':{32 - self.digits}}ASSERT ({expression(node[2])}, {node[3]})\n")
            return
        if node[0] != ast.ASSIGN:
            return
        if value is None and node[4] not in (ast.PROVIDE, ast.PROVIDE_HIDDEN):
            value = self.symbol_value(node[2])
        words = HOW.get(node[4], "{} = {}").format(node[2], expression(node[3]))
        if value is None:
            self.text.add(f"{'':16}[!provide]{'':24}{words}\n")
        else:
            self.text.add(f"{'':16}{self.hex(value & ((1 << 4 * self.digits) - 1))}{'':{32 - self.digits}}{words}\n")

    def symbol_value(self, name):
        gid = symbols.lookup(self.link.tables, name.encode("utf-8", "surrogateescape"))
        return symbols.value(self.link.tables, gid) if gid else 0

    def write_section(self, section):
        """An output section and all that its description says."""
        if not section.number:
            self.text.add(f"\n{section.name}\n")
        else:
            self.text.add("\n")
            self.text.add_section(section.name, section.address, section.size)
            if section.lma != section.address and section.address:
                self.text.add(f" load address {self.hex(section.lma)}")
            self.text.add("\n")
        pattern = fill_text(section)
        position = section.address
        for item in section.statements:
            kind = type(item)
            if kind is Run:
                if item.statement is not None:
                    self.text.add(pattern_text(item.statement))
                if section.number and item.count:
                    position = self.write_run(section, item, position, pattern)
            elif kind is Assignment:
                if item.node[0] == ast.ASSIGN and item.node[2] == "." and section.number:
                    self.write_assignment(item)
                    if item.value is not None and item.address > position:
                        self.text.add_fill(position, item.address - position, pattern)
                        position = item.address
                else:
                    self.write_assignment(item)
            elif kind is Data:
                position = self.write_data(section, item, position, pattern)
            elif kind is Fill:
                pattern = item.pattern.hex()
                self.text.add(f" FILL mask 0x{pattern}\n")
            elif kind is tuple and item[0] in (ast.ASSIGN, ast.ASSERT):
                self.write_assignment(item)
        end = section.address + section.size
        if section.number and position < end and section.statements:
            self.text.add_fill(position, end - position, pattern)

    def write_run(self, section, run, position, pattern):
        members = self.link.members
        first, count = members.extent(run.number)
        if not count:
            return position
        return self.text.add_members(members.address() + 4 * first, count, position, pattern)

    def write_data(self, section, item, position, pattern):
        address = section.address + item.offset
        if address > position:
            self.text.add_fill(position, address - position, pattern)
        node = item.node
        if node[0] == ast.DATA:
            words = f"{DATA_WORDS[node[2]]} {(item.value or 0) & ((1 << 64) - 1):#x}"
            if type(node[3]) is not int:
                words += " " + expression(node[3])
        else:
            words = f'ASCIZ "{(item.contents or b"")[:-1].decode("utf-8", "backslashreplace")}"'
        self.text.add(f"{'':16}{self.hex(address)} {item.size:>#10x} {words}\n")
        return address + item.size


# -- the words of the script

def fill_text(section):
    """The pattern of an output section's gaps in hexadecimal digits, "" for zeros and for NOPs."""
    if not section.fill:
        return ""
    return section.fill.hex() if any(section.fill) else "00"


def pattern_text(node):
    """An input statement as GNU ld's map says it: KEEP is left out."""
    if node[0] != ast.PATTERN:
        return ""
    pattern, sort, excludes = node[3]
    head = pattern or "*"
    if excludes:
        head = f"EXCLUDE_FILE({' '.join(reversed(excludes))}) {head}"
    head = sorted_text(head, sort)
    words = []
    for section, _, section_sort, section_excludes in node[4]:
        word = sorted_text(section, section_sort)
        words.append(f"EXCLUDE_FILE({' '.join(reversed(section_excludes))}) {word}" if section_excludes else word)
    return f" {head}({' '.join(words)})\n" if words else f" {head}()\n"


def sorted_text(text, sort):
    if sort & ast.SORT_REVERSE:
        text = f"REVERSE({text})"
    return SORTS.get(sort & ~ast.SORT_REVERSE, "{}").format(text)


def expression(node):
    """An expression in the spelling of GNU ld's map."""
    if type(node) is int:
        return f"{node:#x}"
    kind = node[0]
    if kind == ast.NAME:
        return node[2]
    if kind == ast.DOT:
        return "."
    if kind in ast.UNARY:
        return f"{'-' if kind == 'neg' else '+' if kind == 'pos' else kind} ({expression(node[2])})"
    if kind in ast.BINARY:
        value = folded(node)
        if value is not None:
            return f"{value:#x}"
        return f"({expression(node[2])} {kind} {expression(node[3])})"
    if kind == ast.CONDITIONAL:
        return f"{expression(node[2])}?{expression(node[3])}:{expression(node[4])}"
    if kind == "SIZEOF_HEADERS":
        return kind
    if kind == "SEGMENT_START":
        return f'SEGMENT_START ("{node[2]}", {expression(node[3])})'
    if kind == "ALIGN2":
        return f"ALIGN ({expression(node[2])}, {expression(node[3])})"
    parts = [part if type(part) is str else expression(part) for part in node[2:]]
    if kind == "DATA_SEGMENT_RELRO_END":
        parts.reverse()
    return f"{kind} ({', '.join(parts)})"


def folded(node):
    """The value of an arithmetic expression of numbers, which GNU ld computes when it reads the script; else None."""
    if type(node) is int:
        return node
    if node[0] not in ("+", "-", "*", "/", "<<", ">>", "&", "|"):
        return None
    a, b = folded(node[2]), folded(node[3])
    if a is None or b is None or (node[0] == "/" and not b) or (node[0] in ("<<", ">>") and b > 63):
        return None
    value = {"+": a + b, "-": a - b, "*": a * b, "/": a // b if b else 0, "<<": a << min(b, 64), ">>": a >> min(b, 64),
             "&": a & b, "|": a | b}[node[0]]
    return value & ((1 << 64) - 1)
