"""Parsing of linker-script expressions.  The tree is that of ast.py.

Source: GNU ld manual, node "Expressions"; the operators and their precedence are those of C.
"""

from mclink.script import ast
from mclink.script.lexer import PATTERN, SYMBOL, SYMBOL_FIRST, WORD, Lexer

_PRECEDENCE = {
    "||": 1, "&&": 2, "|": 3, "^": 4, "&": 5, "==": 6, "!=": 6, "<": 7, ">": 7, "<=": 7, ">=": 7,
    "<<": 8, ">>": 8, "+": 9, "-": 9, "*": 10, "/": 10, "%": 10,
}
_OPERATOR_FIRST = frozenset("|&^=!<>+-*/%")

# Function -> its arguments, one letter each: e expression, s section, n symbol, r region,
# c constant, q name of a segment (usually quoted), m message.
_FUNCTIONS = {
    "ABSOLUTE": "e", "NEXT": "e", "LOG2CEIL": "e", "DATA_SEGMENT_END": "e", "BLOCK": "e",
    "ALIGN": "e", "MAX": "ee", "MIN": "ee",
    "DATA_SEGMENT_ALIGN": "ee", "DATA_SEGMENT_RELRO_END": "ee",
    "ADDR": "s", "LOADADDR": "s", "SIZEOF": "s", "ALIGNOF": "s",
    "DEFINED": "n", "ORIGIN": "r", "LENGTH": "r", "CONSTANT": "c", "SEGMENT_START": "qe",
    "ASSERT": "em",
}

# Operators of one expression.  The tree is as deep as the expression has operators, and whoever
# walks it recurses.
_OPERATORS = 400

_UNARY = {"-": "neg", "+": "pos", "~": "~", "!": "!"}
_DIGITS = frozenset("0123456789")
_CONSTANTS = ("MAXPAGESIZE", "COMMONPAGESIZE")


class ExpressionParser(Lexer):
    """A Lexer that knows expressions."""

    __slots__ = ("operators",)

    def expression(self):
        """The expression that is next; it ends before the first thing that cannot continue it."""
        self.operators = _OPERATORS
        return self.conditional()

    def conditional(self):
        left = self.binary(self.operand(), 1)
        if self.skip() != "?":
            return left
        pos = self.base + self.i
        self.i += 1
        self.enter()
        yes = self.conditional()
        self.expect(":")
        no = self.conditional()
        self.nesting -= 1
        return (ast.CONDITIONAL, pos, left, yes, no)

    def operator(self):
        """The binary operator that is next, or ""."""
        c = self.skip()
        if not c or c not in _OPERATOR_FIRST:
            return ""
        text = self.text
        two = text[self.i:self.i + 2]
        if two in _PRECEDENCE:
            return two
        if c not in _PRECEDENCE or c == "/" and text.startswith("/DISCARD/", self.i):
            return ""          # "=" after an expression is a fill, "!" a mistake
        return c

    def binary(self, left, lowest):
        """Go on after the operand *left* with operators of precedence *lowest* and up."""
        operator = self.operator()
        while operator:
            precedence = _PRECEDENCE[operator]
            if precedence < lowest:
                break
            pos = self.base + self.i
            self.i += len(operator)
            self.operators -= 1
            if self.operators < 0:
                self.fail("this expression is too long", pos - self.base)
            right = self.operand()
            following = self.operator()
            if following and _PRECEDENCE[following] > precedence:
                right = self.binary(right, precedence + 1)
                following = self.operator()
            left = (operator, pos, left, right)
            operator = following
        return left

    def operand(self):
        """A literal, a name, a function, a parenthesis, or a unary operator with its operand."""
        c = self.skip()
        pos = self.base + self.i
        if c == "(":
            self.i += 1
            self.enter()
            value = self.conditional()
            self.nesting -= 1
            self.expect(")")
            return value
        if c in SYMBOL_FIRST or c == '"':
            return self.named(c, pos)
        if c in _DIGITS:
            return self.number()[0]
        if c in _UNARY:
            self.i += 1
            self.enter()
            value = self.operand()
            self.nesting -= 1
            return (_UNARY[c], pos, value)
        self.fail(f"expected an expression but found {self.found()}")

    def named(self, c, pos):
        """The operand that begins with a name; *c* is its first character."""
        if c == '"':
            return (ast.NAME, pos, self.quoted())
        name = self.peek(SYMBOL)
        if name == ".":
            self.i += 1
            return (ast.DOT, pos)
        if c == "$" and is_dollar_number(name):
            return self.number()[0]
        self.i += len(name)
        arguments = _FUNCTIONS.get(name)
        if arguments is not None and self.skip() == "(":
            return self.function(name, arguments, pos)
        if name == "SIZEOF_HEADERS" or name == "sizeof_headers":
            return ("SIZEOF_HEADERS", pos)
        return (ast.NAME, pos, name)

    def function(self, name, arguments, pos):
        """NAME(arguments); the next character is the opening parenthesis."""
        self.i += 1
        self.enter()
        node = [name, pos]
        for number, kind in enumerate(arguments):
            if number:
                self.expect(",")
            if kind == "e":
                node.append(self.conditional())
            elif kind == "m":
                node.append(self.name(PATTERN, "a message in quotes"))
            elif kind == "s":
                node.append(self.name(PATTERN, "the name of a section"))
            elif kind == "n":
                node.append(self.name(SYMBOL, "a symbol"))
            else:
                node.append(self.name(WORD, "a name"))
        if name == "BLOCK":
            node[0] = "ALIGN"
        elif name == "ALIGN" and self.accept(","):
            node[0] = "ALIGN2"
            node.append(self.conditional())
        elif name == "CONSTANT" and node[2] not in _CONSTANTS:
            self.fail(f"unknown constant '{node[2]}'", pos - self.base)
        self.nesting -= 1
        self.expect(")")
        return tuple(node)

    def fill(self):
        """A fill pattern: bytes for a plain hexadecimal literal, else an expression."""
        c = self.skip()
        if c == "0":
            start = self.i
            digits = self.number()[1]
            if digits is not None and self.ends_fill():
                return bytes.fromhex(digits if len(digits) % 2 == 0 else "0" + digits)
            self.i = start
        return self.expression()

    def ends_fill(self):
        return not self.operator() and self.skip() != "?"


def is_dollar_number(name):
    """Whether *name*, which begins with "$", is a number: $1f, $10K."""
    digits = name[1:-1] if name[-1] in "KkMm" else name[1:]
    return digits != "" and not digits.lstrip("0123456789abcdefABCDEF")


def parse_expression(text, what, sources):
    """The tree of the expression *text*, an option's value; *what* names it in error messages.

    Raises LinkError when the text is no expression or holds more than one.
    """
    parser = ExpressionParser(text, sources.add(what, text), sources)
    tree = parser.expression()
    if parser.skip():
        parser.fail(f"expected the end of the expression but found {parser.found()}")
    return tree
