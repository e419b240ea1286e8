"""Parsing of whole linker scripts, those of -T and the text files that stand for libraries.

Source: GNU ld manual, node "Scripts".  The tree is that of ast.py.
"""

from mclink.script import ast
from mclink.script.lexer import FILE, PATTERN, SYMBOL, WORD
from mclink.script.sections import SECTION_FLAGS, SectionsParser

_PHDR_TYPES = {"PT_NULL": 0, "PT_LOAD": 1, "PT_DYNAMIC": 2, "PT_INTERP": 3, "PT_NOTE": 4,
               "PT_SHLIB": 5, "PT_PHDR": 6, "PT_TLS": 7, "PT_GNU_EH_FRAME": 0x6474e550,
               "PT_GNU_STACK": 0x6474e551, "PT_GNU_RELRO": 0x6474e552,
               "PT_GNU_PROPERTY": 0x6474e553, "PT_GNU_SFRAME": 0x6474e554}
_REGION_WORDS = {"ORIGIN": 0, "org": 0, "o": 0, "LENGTH": 1, "len": 1, "l": 1}
_REGION_FLAGS = frozenset("rwxail")
_BARE = frozenset((ast.FORCE_COMMON_ALLOCATION, ast.INHIBIT_COMMON_ALLOCATION,
                   ast.FORCE_GROUP_ALLOCATION))
_ONE_NAME = frozenset((ast.OUTPUT_ARCH, ast.OUTPUT, ast.SEARCH_DIR, ast.STARTUP, ast.TARGET,
                       ast.LD_FEATURE))
_NAME_LISTS = frozenset((ast.EXTERN, ast.NOCROSSREFS, ast.NOCROSSREFS_TO))

INCLUDE_DEPTH = 10             # INCLUDE within INCLUDE, as in GNU ld


class ScriptParser(SectionsParser):
    """The parser of a whole script.

    include        function (name, pos) -> (path, text) that finds a file of INCLUDE and raises
                   LinkError when there is none; None where INCLUDE is not allowed
    depth          int, INCLUDEs around this text
    section_flags  dict, name -> bit: what INPUT_SECTION_FLAGS knows
    """

    __slots__ = ()

    def __init__(self, text, base, sources, include, depth, section_flags):
        SectionsParser.__init__(self, text, base, sources)
        self.include = include
        self.depth = depth
        self.section_flags = section_flags

    def included(self, start, parse, add):
        """Parse the file that INCLUDE names as one more piece of the list that it stands in.

        *start* is the index of the keyword; parse(parser, add) parses that list.
        """
        name = self.name(FILE, "the name of a file")
        if self.include is None:
            self.fail("INCLUDE is not allowed here", start)
        if self.depth >= INCLUDE_DEPTH:
            self.fail(f"INCLUDE is nested more than {INCLUDE_DEPTH} deep", start)
        path, text = self.include(name, self.base + start)
        inner = ScriptParser(text, self.sources.add(path, text), self.sources, self.include,
                             self.depth + 1, self.section_flags)
        parse(inner, add)
        if inner.skip():
            inner.fail(f"expected a statement but found {inner.found()}")

    def top_level(self, add):
        """The commands of a script up to its end."""
        while True:
            c = self.skip()
            if not c:
                return
            if c == ";" or c == ",":
                self.i += 1
                continue
            start = self.i
            word = self.trim_operator(self.name(WORD, "a linker script command"), start)
            if self.assignment(word, start, add):
                self.separator()
            elif c == '"' or not (self.common_statement(word, start, add)
                                  or self.command(word, start, add)):
                self.fail(f"unknown linker script command '{word[:60]}'", start)

    def command(self, word, start, add):
        """The command *word*; returns whether it is one."""
        pos = self.base + start
        if word in _ONE_NAME:
            self.expect("(")
            add((word, pos, self.name(FILE, "a name")))
            self.expect(")")
        elif word == ast.INPUT or word == ast.GROUP:
            add((word, pos, self.input_list()))
        elif word == ast.OUTPUT_FORMAT:
            add(self.output_format(pos))
        elif word == ast.SECTIONS:
            add((word, pos, self.block(self.sections)))
        elif word == ast.MEMORY:
            add((word, pos, self.block(self.memory_regions)))
        elif word == ast.PHDRS:
            add((word, pos, self.block(self.program_headers)))
        elif word == ast.INSERT:
            add(self.insert(pos))
        elif word == ast.VERSION:
            add((word, pos, self.block(self.version_nodes)))
        elif word == ast.REGION_ALIAS:
            self.expect("(")
            alias = self.word()
            self.expect(",")
            add((word, pos, alias, self.word()))
            self.expect(")")
        elif word in _NAME_LISTS:
            add((word, pos, self.names()))
        elif word in _BARE:
            add((word, pos))
        elif word == "INCLUDE":
            self.included(start, ScriptParser.top_level, add)
        else:
            return False
        return True

    def block(self, parse):
        """``{ ... }`` as a tuple; *parse* takes a function that adds an element."""
        self.expect("{")
        found = []
        parse(found.append)
        self.expect("}")
        return tuple(found)

    def names(self):
        """A parenthesised list of names."""
        self.expect("(")
        found = []
        while not self.accept(")"):
            if not self.accept(","):
                found.append(self.name(PATTERN, "a name"))
        return tuple(found)

    def output_format(self, pos):
        names = self.names()
        if len(names) not in (1, 3):
            self.fail("OUTPUT_FORMAT takes one name or three", pos - self.base)
        return (ast.OUTPUT_FORMAT, pos, *(names if len(names) == 3 else (names[0], None, None)))

    def input_list(self):
        """The files of INPUT, GROUP or AS_NEEDED."""
        self.enter()
        self.expect("(")
        items = []
        while not self.accept(")"):
            if self.accept(","):
                continue
            c = self.skip()
            pos = self.base + self.i
            name = self.name(FILE, "the name of a file")
            if c != '"' and name == ast.AS_NEEDED and self.skip() == "(":
                items.append((ast.AS_NEEDED, pos, self.input_list()))
            elif c != '"' and name[:2] == "-l":
                # "-l foo", too, is read as -lfoo.
                library = name[2:] or self.name(FILE, "the name of a library")
                items.append((ast.LIBRARY, pos, library))
            else:
                items.append((ast.FILE, pos, name))
        self.nesting -= 1
        return tuple(items)

    def insert(self, pos):
        self.skip()
        at = self.i
        where = self.name(SYMBOL, "AFTER or BEFORE")
        if where not in ("AFTER", "BEFORE"):
            self.fail(f"expected AFTER or BEFORE but found '{where}'", at)
        return (ast.INSERT, pos, where, self.word())

    def memory_regions(self, add):
        """The regions of MEMORY up to the closing brace or the end of an included file."""
        while True:
            c = self.skip()
            if not c or c == "}":
                return
            if c == ";" or c == ",":
                self.i += 1
                continue
            start = self.i
            name = self.word()
            if c != '"' and name == "INCLUDE":
                self.included(start, ScriptParser.memory_regions, add)
                continue
            attributes = inverted = ""
            if self.accept("("):
                attributes, inverted = self.region_attributes()
            self.expect(":")
            values = [None, None]
            for _ in values:
                self.accept(",")
                self.skip()
                at = self.i
                word = self.name(SYMBOL, "ORIGIN or LENGTH")
                which = _REGION_WORDS.get(word)
                if which is None or values[which] is not None:
                    self.fail(f"expected ORIGIN and LENGTH but found '{word}'", at)
                self.expect("=")
                values[which] = self.expression()
            add((name, self.base + start, attributes, inverted, *values))

    def region_attributes(self):
        """(attributes, inverted): the letters before and after each "!", in lower case."""
        lists = ["", ""]
        which = 0
        while not self.accept(")"):
            if self.accept("!"):
                which ^= 1
                continue
            at = self.i
            for letter in self.name(SYMBOL, "region attributes").lower():
                if letter not in _REGION_FLAGS:
                    self.fail(f"unknown region attribute '{letter}'", at)
                lists[which] += letter
        return lists

    def program_headers(self, add):
        while self.skip() and self.text[self.i] != "}":
            if self.accept(";") or self.accept(","):
                continue
            pos = self.base + self.i
            name = self.name(WORD, "the name of a program header")
            kind = self.expression()
            if type(kind) is tuple and kind[0] == ast.NAME and kind[2] in _PHDR_TYPES:
                kind = _PHDR_TYPES[kind[2]]
            filehdr = phdrs = 0
            at = flags = None
            while self.skip() != ";":
                where = self.i
                word = self.name(SYMBOL, "';'")
                if word == "FILEHDR":
                    filehdr = 1
                elif word == "PHDRS":
                    phdrs = 1
                elif word == "AT":
                    at = self.parenthesised()
                elif word == "FLAGS":
                    flags = self.parenthesised()
                else:
                    self.fail(f"expected ';' but found '{word}'", where)
            add((name, pos, kind, filehdr, phdrs, at, flags))

    def version_nodes(self, add):
        from mclink.script.version_script import parse_nodes
        for node in parse_nodes(self):
            add(node)


def parse_script(text, path, sources, include=None, section_flags=SECTION_FLAGS):
    """The tree of the script *text* (str) that was read from *path*: a tuple of statements.

    sources        Sources that the positions of the tree refer to
    include        function (name, pos) -> (path, text) for INCLUDE; None: INCLUDE is an error
    section_flags  dict, name -> SHF_ bit, for INPUT_SECTION_FLAGS; SECTION_FLAGS plus a target's own

    Raises LinkError with file, line, column and the line itself.
    """
    parser = ScriptParser(text, sources.add(path, text), sources, include, 0, section_flags)
    statements = []
    parser.top_level(statements.append)
    return tuple(statements)


def decode_script(data):
    """The text of a script file of bytes *data*; ``encode("utf-8", "surrogateescape")`` undoes it."""
    return data.decode("utf-8", "surrogateescape")
