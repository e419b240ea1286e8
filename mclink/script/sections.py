"""Parsing of SECTIONS: output sections, overlays, input section patterns, data.

Source: GNU ld manual, node "SECTIONS".  Attributes of an output section are taken in any order
between ":" and "{" (GNU ld fixes the order), and ";" is allowed after "}".
"""

from mclink.script import ast
from mclink.script.expression import ExpressionParser
from mclink.script.lexer import PATTERN, SYMBOL, WORD

_ASSIGNMENTS = ("=", "+=", "-=", "*=", "/=", "<<=", ">>=", "&=", "|=", "^=")
_WRAPPERS = {"PROVIDE": ast.PROVIDE, "PROVIDE_HIDDEN": ast.PROVIDE_HIDDEN, "HIDDEN": ast.HIDDEN}
_KINDS = frozenset(("NOLOAD", "DSECT", "COPY", "INFO", "OVERLAY", "READONLY"))
_CONSTRAINTS = {"ONLY_IF_RO": ast.ONLY_IF_RO, "ONLY_IF_RW": ast.ONLY_IF_RW, "SPECIAL": ast.SPECIAL,
                "ALIGN_WITH_INPUT": ast.ALIGN_WITH_INPUT}
_SORTS = {"SORT": ast.SORT_NAME, "SORT_BY_NAME": ast.SORT_NAME, "SORT_NONE": ast.SORT_NONE,
          "SORT_BY_ALIGNMENT": ast.SORT_ALIGNMENT, "REVERSE": ast.SORT_REVERSE,
          "SORT_BY_INIT_PRIORITY": ast.SORT_INIT_PRIORITY}
_NESTED_SORTS = {(ast.SORT_NAME, ast.SORT_NAME): ast.SORT_NAME,
                 (ast.SORT_ALIGNMENT, ast.SORT_ALIGNMENT): ast.SORT_ALIGNMENT,
                 (ast.SORT_NAME, ast.SORT_ALIGNMENT): ast.SORT_NAME_ALIGNMENT,
                 (ast.SORT_ALIGNMENT, ast.SORT_NAME): ast.SORT_ALIGNMENT_NAME}
_DATA = {"BYTE": 1, "SHORT": 2, "LONG": 4, "QUAD": 8, "SQUAD": -8}
_SECTION_TYPES = {"SHT_NULL": 0, "SHT_PROGBITS": 1, "SHT_STRTAB": 3, "SHT_NOTE": 7, "SHT_NOBITS": 8,
                  "SHT_INIT_ARRAY": 14, "SHT_FINI_ARRAY": 15, "SHT_PREINIT_ARRAY": 16}

# Section flags of the gABI.  A target adds its own through parse_script's section_flags.
SECTION_FLAGS = {
    "SHF_WRITE": 1 << 0, "SHF_ALLOC": 1 << 1, "SHF_EXECINSTR": 1 << 2, "SHF_MERGE": 1 << 4,
    "SHF_STRINGS": 1 << 5, "SHF_INFO_LINK": 1 << 6, "SHF_LINK_ORDER": 1 << 7,
    "SHF_OS_NONCONFORMING": 1 << 8, "SHF_GROUP": 1 << 9, "SHF_TLS": 1 << 10,
    "SHF_COMPRESSED": 1 << 11, "SHF_GNU_RETAIN": 1 << 21, "SHF_EXCLUDE": 1 << 31,
    "SHF_MASKOS": 0x0ff00000, "SHF_MASKPROC": 0xf0000000,
}

_ASCIZ_ESCAPES = {"n": 10, "r": 13, "t": 9, "b": 8, "f": 12, "v": 11, "a": 7}


class SectionsParser(ExpressionParser):
    """An ExpressionParser that knows what may stand in SECTIONS."""

    __slots__ = ("include", "depth", "section_flags")

    # Statements that may stand anywhere.

    def common_statement(self, keyword, start, add):
        """A statement that may stand anywhere and begins with *keyword*; returns whether it was one.

        *start* is the index of the keyword, the next character follows it.  *add* takes the node.
        """
        pos = self.base + start
        if keyword in _WRAPPERS and self.accept("("):
            self.skip()
            name_at = self.i
            name = self.name(SYMBOL + "-+", "a symbol")
            name = self.trim_operator(name, name_at)
            if not self.assignment(name, name_at, add, _WRAPPERS[keyword]):
                self.fail(f"expected an assignment in {keyword}")
            self.expect(")")
            self.separator(False)
        elif keyword == "ASSERT" and self.skip() == "(":
            add(self.function("ASSERT", "em", pos))
            self.separator(False)
        elif keyword == "ENTRY" and self.accept("("):
            add((ast.ENTRY, pos, self.name(WORD, "a symbol")))
            self.expect(")")
        else:
            return False
        return True

    def trim_operator(self, name, start):
        """Give back the operator that "name+=" holds as its last character."""
        if self.text[self.i] == "=" and name[-1:] in "+-*/^" and self.text[start] != '"':
            self.i -= 1
            return name[:-1]
        return name

    def assignment(self, name, start, add, how=ast.PLAIN):
        """The rest of an assignment to *name*; returns False when no assignment operator is next."""
        c = self.skip()
        text = self.text
        for operator in _ASSIGNMENTS:
            if c == operator[0] and text.startswith(operator, self.i):
                break
        else:
            return False
        at = self.i
        self.i += len(operator)
        if operator == "=" and text[self.i] == "=":
            self.fail("expected an assignment but found '=='", at)
        if not name:
            self.fail("there is nothing before the assignment", at)
        pos = self.base + start
        expr = self.expression()
        if len(operator) > 1:
            old = (ast.DOT, pos) if name == "." else (ast.NAME, pos, name)
            expr = (operator[:-1], self.base + at, old, expr)
        add((ast.ASSIGN, pos, name, expr, how))
        return True

    def separator(self, needed=True):
        """The ";" or "," after a statement."""
        c = self.skip()
        if c == ";" or c == ",":
            self.i += 1
        elif needed:
            self.fail(f"expected ';' but found {self.found()}")

    # SECTIONS { ... }

    def sections(self, add):
        """The statements of SECTIONS up to the closing brace or the end of an included file."""
        while True:
            c = self.skip()
            if not c or c == "}":
                return
            if c == ";" or c == ",":
                self.i += 1
                continue
            start = self.i
            name = self.trim_operator(self.word(), start)
            quoted = c == '"'
            if self.assignment(name, start, add):
                self.separator()
            elif not quoted and self.common_statement(name, start, add):
                pass
            elif not quoted and name == "INCLUDE":
                self.included(start, SectionsParser.sections, add)
            elif not quoted and name == "OVERLAY":
                add(self.overlay(start))
            elif not quoted and name == "CLASS" and self.accept("("):
                class_name = self.name(WORD, "the name of a section class")
                self.expect(")")
                self.expect(":")
                add((ast.CLASS, self.base + start, class_name, self.body()))
            else:
                add(self.output_section(name, start))

    def output_section(self, name, start):
        address = kind = type_expr = None
        c = self.skip()
        if self.bound("BIND"):
            address = self.parenthesised()
            if self.bound("BLOCK"):
                self.parenthesised()
        elif c != ":" and not (c == "(" and self.is_kind()):
            address = self.expression()
        if self.skip() == "(":
            kind, type_expr = self.section_type()
        if self.skip() != ":":
            self.fail(f"expected ':' after the output section '{name}' but found {self.found()}")
        self.i += 1
        constraint = 0
        attributes = {"AT": None, "ALIGN": None, "SUBALIGN": None}
        while self.skip() != "{":
            at = self.i
            word = self.name(SYMBOL, "'{'")
            if word in attributes:
                attributes[word] = self.parenthesised()
            elif word in _CONSTRAINTS:
                constraint |= _CONSTRAINTS[word]
            else:
                self.fail(f"expected '{{' but found '{word}'", at)
        body = self.body()
        return (ast.OUTSEC, self.base + start, name, constraint, address, kind or "", type_expr,
                attributes["AT"], attributes["ALIGN"], attributes["SUBALIGN"], body) + self.tail()

    def bound(self, keyword):
        """Go over *keyword* if it is next and a parenthesis follows."""
        self.skip()
        start = self.i
        if self.peek(SYMBOL) == keyword:
            self.i += len(keyword)
            if self.skip() == "(":
                return True
            self.i = start
        return False

    def parenthesised(self):
        self.expect("(")
        expr = self.expression()
        self.expect(")")
        return expr

    def is_kind(self):
        """Whether the parenthesis that is next holds a section type and not an address."""
        start = self.i
        self.i += 1
        c = self.skip()
        word = self.peek(SYMBOL)
        self.i = start
        return c == ")" or word in _KINDS or word == "TYPE"

    def section_type(self):
        """(kind, type expression) of ``(NOLOAD)``, ``(TYPE = n)``, ``(READONLY (TYPE = n))``."""
        self.expect("(")
        kind, type_expr = "", None
        if self.skip() not in ")(":
            at = self.i
            word = self.name(SYMBOL, "a section type")
            if word in _KINDS:
                kind = word
            elif word == "TYPE":
                self.i = at
            else:
                self.fail(f"unknown section type '{word}'", at)
        inner = kind == "READONLY" and self.accept("(")
        if self.peek(SYMBOL) == "TYPE" or inner:
            at = self.i
            if self.name(SYMBOL, "TYPE") != "TYPE":
                self.fail("expected TYPE", at)
            self.expect("=")
            type_expr = self.expression()
            if type(type_expr) is tuple and type_expr[0] == ast.NAME:
                type_expr = _SECTION_TYPES.get(type_expr[2], type_expr)
            if inner:
                self.expect(")")
        self.expect(")")
        return kind, type_expr

    def tail(self):
        """(region, lma_region, phdrs, fill) after the closing brace."""
        region = lma_region = fill = None
        phdrs = []
        while True:
            c = self.skip()
            if c == ">":
                self.i += 1
                region = self.word()
            elif c == ":":
                self.i += 1
                phdrs.append(self.name(SYMBOL + "-+", "the name of a program header"))
            elif c == "=":
                self.i += 1
                fill = self.fill()
            elif c == "A" and self.peek(SYMBOL) == "AT" and self.is_lma_region():
                lma_region = self.word()
            else:
                break
        if c == "," or c == ";":
            self.i += 1
        return region, lma_region, tuple(phdrs), fill

    def is_lma_region(self):
        """Go over ``AT >`` if it is next; AT alone is the name of the next section."""
        start = self.i
        self.i += 2
        if self.accept(">"):
            return True
        self.i = start
        return False

    def overlay(self, start):
        address = at = subalign = None
        nocrossrefs = 0
        if self.skip() != ":":
            address = self.expression()
        self.expect(":")
        while self.skip() != "{":
            where = self.i
            word = self.name(SYMBOL, "'{'")
            if word == "NOCROSSREFS":
                nocrossrefs = 1
            elif word == "AT":
                at = self.parenthesised()
            elif word == "SUBALIGN":
                subalign = self.parenthesised()
            else:
                self.fail(f"expected '{{' but found '{word}'", where)
        self.i += 1
        members = []
        while not self.accept("}"):
            if self.accept(";") or self.accept(","):
                continue
            self.skip()
            pos = self.base + self.i
            name = self.word()
            self.accept(":")
            body = self.body()
            region, lma_region, phdrs, fill = self.tail()
            if region or lma_region:
                self.fail("a section of an overlay has no region of its own")
            members.append((name, pos, body, phdrs, fill))
        return (ast.OVERLAY, self.base + start, address, nocrossrefs, at, subalign,
                tuple(members)) + self.tail()

    # Inside an output section.

    def body(self):
        """``{ statements }``."""
        self.expect("{")
        statements = []
        self.section_statements(statements.append)
        self.expect("}")
        return tuple(statements)

    def section_statements(self, add):
        """The statements of an output section up to the brace or the end of an included file."""
        while True:
            c = self.skip()
            if not c or c == "}":
                return
            if c == ";" or c == ",":
                self.i += 1
                continue
            start = self.i
            word = self.trim_operator(self.name(PATTERN, "a statement"), start)
            if self.assignment(word, start, add):
                self.separator()
            elif c == '"' or not self.keyword_statement(word, start, add):
                self.i = start
                add(self.pattern(0))

    def keyword_statement(self, word, start, add):
        """A statement that begins with the keyword *word*; returns whether it was one."""
        pos = self.base + start
        if word == "KEEP" and self.accept("("):
            add(self.pattern(1))
            self.expect(")")
        elif word in _DATA and self.skip() == "(":
            add((ast.DATA, pos, _DATA[word], self.parenthesised()))
        elif word == "FILL" and self.accept("("):
            add((ast.FILL, pos, self.fill()))
            self.expect(")")
        elif word == "ASCIZ" and self.skip() == '"':
            add((ast.ASCIZ, pos, self.asciz()))
        elif word == "CLASS" and self.accept("("):
            add((ast.CLASS_REF, pos, self.name(WORD, "the name of a section class")))
            self.expect(")")
        elif word == "CONSTRUCTORS":
            add((ast.CONSTRUCTORS, pos, 0))
        elif word == "CREATE_OBJECT_SYMBOLS" or word == "LINKER_VERSION":
            add((word, pos))
        elif word in ("SORT", "SORT_BY_NAME") and self.sorted_constructors():
            add((ast.CONSTRUCTORS, pos, 1))
        elif word == "INCLUDE":
            self.included(start, SectionsParser.section_statements, add)
        else:
            return self.common_statement(word, start, add)
        return True

    def sorted_constructors(self):
        """Go over ``(CONSTRUCTORS)`` if it is next."""
        start = self.i
        if self.accept("("):
            self.skip()
            if self.peek(PATTERN) == "CONSTRUCTORS":
                self.i += len("CONSTRUCTORS")
                self.expect(")")
                return True
        self.i = start
        return False

    def asciz(self):
        """The bytes of a quoted string with C's escapes, and a NUL."""
        start = end = self.i + 1
        while self.text[end] != '"':
            end += 2 if self.text[end] == "\\" else 1
            if end >= len(self.text) - 1:
                self.fail("this quote does not end", start - 1)
        self.i = end + 1
        raw = self.text[start:end]
        out = bytearray()
        i = 0
        while i < len(raw):
            c = raw[i]
            i += 1
            if c != "\\":
                out += c.encode("utf-8", "surrogateescape")
                continue
            c = raw[i]
            if c in "01234567":
                digits = raw[i:i + 3]
                digits = digits[:len(digits) - len(digits.lstrip("01234567"))]
                out.append(int(digits, 8) & 255)
                i += len(digits)
            else:
                i += 1
                out += (bytes((_ASCIZ_ESCAPES[c],)) if c in _ASCIZ_ESCAPES
                        else c.encode("utf-8", "surrogateescape"))
        out.append(0)
        return bytes(out)

    # Input section patterns.

    def pattern(self, keep):
        """``[INPUT_SECTION_FLAGS(...)] [EXCLUDE_FILE(...)] file [( sections )]``."""
        self.skip()
        pos = self.base + self.i
        with_flags = without_flags = 0
        if self.bound("INPUT_SECTION_FLAGS"):
            with_flags, without_flags = self.input_section_flags()
        file = self.file_pattern()
        sections = []
        if self.accept("("):
            while not self.accept(")"):
                if not self.accept(","):
                    self.section_patterns(ast.SORT_UNSET, (), sections.append)
        return (ast.PATTERN, pos, keep, file, tuple(sections), with_flags, without_flags)

    def input_section_flags(self):
        with_flags = without_flags = 0
        self.expect("(")
        while True:
            inverted = self.accept("!")
            c = self.skip()
            at = self.i
            if c and c in "0123456789":
                bits = self.number()[0]
            else:
                name = self.name(SYMBOL, "a section flag")
                bits = self.section_flags.get(name)
                if bits is None:
                    self.fail(f"unknown section flag '{name}'", at)
            if inverted:
                without_flags |= bits
            else:
                with_flags |= bits
            if not self.accept("&"):
                break
        self.expect(")")
        return with_flags, without_flags

    def exclude_file(self):
        """The names of ``EXCLUDE_FILE ( ... )`` if it is next, else ()."""
        if not self.bound("EXCLUDE_FILE"):
            return ()
        self.expect("(")
        names = []
        while not self.accept(")"):
            if not self.accept(","):
                names.append(self.name(PATTERN, "the name of a file"))
        return tuple(names)

    def file_pattern(self):
        """(pattern, sort, excludes) of the file part."""
        excludes = self.exclude_file()
        self.skip()
        word = self.peek(PATTERN)
        if word in _SORTS and self.bound(word):
            self.enter()
            self.expect("(")
            name, inner, inside = self.file_pattern()
            self.expect(")")
            self.nesting -= 1
            return name, named_sort(self.nest_sort(_SORTS[word], inner)), excludes + inside
        return self.name(PATTERN, "the name of a file"), ast.SORT_UNSET, excludes

    def section_patterns(self, sort, excludes, add):
        """One item of the list of sections: a pattern, alone or in EXCLUDE_FILE and SORTs.

        An EXCLUDE_FILE inside the list holds for the next item only.
        """
        excludes += self.exclude_file()
        self.skip()
        word = self.peek(PATTERN)
        if word not in _SORTS or not self.bound(word):
            pos = self.base + self.i
            add((self.name(PATTERN, "a section pattern"), pos, named_sort(sort), excludes))
            return
        self.enter()
        sort = self.nest_sort(sort, _SORTS[word])
        self.expect("(")
        while not self.accept(")"):
            if not self.accept(","):
                self.section_patterns(sort, excludes, add)
        self.nesting -= 1

    def nest_sort(self, outer, inner):
        """The sort of SORT(SORT(...)); REVERSE may stand at either place."""
        reverse = (outer ^ inner) & ast.SORT_REVERSE
        outer &= ~ast.SORT_REVERSE
        inner &= ~ast.SORT_REVERSE
        if outer and inner:
            sort = _NESTED_SORTS.get((outer, inner))
            if sort is None:
                self.fail("these sorts cannot be nested")
        else:
            sort = outer | inner
        return sort | reverse


def named_sort(sort):
    """REVERSE alone means SORT_BY_NAME."""
    return sort | ast.SORT_NAME if sort == ast.SORT_REVERSE else sort
