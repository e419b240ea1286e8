"""Scanning of linker scripts: blanks, names, quoted names, numbers.

What a name may hold depends on where it stands, so there is no list of tokens: the parser asks for
what it expects.  The sets below are those of GNU ld, with these differences, each of which makes a
script legal that GNU ld rejects or misreads:

- A comma separates in every list.  GNU ld takes ``a.o,b.o`` for one name.
- ``x=3;`` and ``x+=1;`` need no blanks around the operator.  A file or section whose name holds ``=``
  must be quoted.
- ``.text:{`` is the section ``.text``; a ``:`` belongs to a name only when more of the name follows.
- A number begins with a digit or ``$``.  GNU ld also reads ``add`` or ``each`` as hexadecimal numbers
  with a suffix, which hides the symbols of those names.
- A number with a digit that its base does not have, or of more than 64 bits, is an error.

As in GNU ld, ``-`` and ``+`` are part of a name everywhere but in an expression, and ``/`` and ``~``
are part of a name in an expression too, when they do not begin it: ``a/2`` is a symbol, ``a / 2`` a
division.  ``#`` starts a comment, which covers the line markers of the C preprocessor.
"""

ALNUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

# Names in an expression.
SYMBOL_FIRST = frozenset(ALNUM[:52] + "_.$\\")
SYMBOL = ALNUM + "_.$\\/~"
_NUMBER = ALNUM + "$"
# Left side of an assignment, output section, region, segment.
WORD = SYMBOL + "-+:"
# File and section patterns.
PATTERN = WORD + "*?[]!^"
# File names in INPUT and its like.
FILE = WORD + "=[]*?&<>!"
BLANK = " \t\n\r\f\v"

_STEP = 48                     # characters looked at together: most names are shorter
_SHOWN = 60                    # characters of a name that an error message repeats
_NEST = 100                    # nesting of parentheses; keeps the parser far from the recursion limit


class Lexer:
    """A text and a place in it.  ``i`` is the next character; the text ends with a NUL."""

    __slots__ = ("text", "i", "base", "sources", "nesting")

    def __init__(self, text, base, sources):
        self.text = text + "\0"
        self.i = 0
        self.base = base
        self.sources = sources
        self.nesting = 0

    def fail(self, message, i=None):
        """Raise LinkError for the place *i* (the next character when not given)."""
        self.sources.fail(self.base + (self.i if i is None else i), message)

    def skip(self):
        """Go over blanks and comments; returns the next character, "" at the end of the text."""
        text = self.text
        i = self.i
        while True:
            c = text[i]
            if c in BLANK:
                i += 1
            elif c == "/" and text[i + 1] == "*":
                end = text.find("*/", i + 2)
                if end < 0:
                    self.fail("this comment does not end", i)
                i = end + 2
            elif c == "#":
                end = text.find("\n", i)
                i = len(text) - 1 if end < 0 else end
            else:
                self.i = i
                if c == "\0":
                    if i == len(text) - 1:
                        return ""
                    self.fail("NUL character: this is not a text file")
                return c

    def accept(self, mark):
        """Go over the one character *mark* if it is next; returns whether it was."""
        if self.skip() == mark:
            self.i += 1
            return True
        return False

    def expect(self, mark):
        """Go over the one character *mark*, which must be next."""
        if self.skip() != mark:
            self.fail(f"expected '{mark}' but found {self.found()}")
        self.i += 1

    def found(self):
        """What stands at the next character, for an error message."""
        c = self.skip()
        if not c:
            return "the end of the file"
        word = self.peek(PATTERN)[:_SHOWN]
        if word:
            return f"'{word}'"
        return f"'{c}'" if c.isprintable() else "a character that is no text"

    def peek(self, chars):
        """The longest run of characters out of *chars* that is next; "" when there is none.

        A comment right after it is no part of it.  In a pattern "/*" is no comment.
        """
        text = self.text
        i = self.i
        step = _STEP
        piece = text[i:i + step]
        rest = len(piece.lstrip(chars))
        while not rest:
            step *= 4
            piece = text[i:i + step]
            rest = len(piece.lstrip(chars))
        piece = piece[:-rest]
        if piece[-1:] == "/" and text[i + len(piece)] == "*":
            return piece[:-1]
        return piece

    def quoted(self):
        """The text between the quotes; the next character is the opening one."""
        start = self.i
        end = self.text.find('"', start + 1)
        if end < 0:
            self.fail("this quote does not end", start)
        self.i = end + 1
        return self.text[start + 1:end]

    def name(self, chars, what):
        """A name out of *chars* or in quotes; *what* says in an error message what was expected."""
        c = self.skip()
        if c == '"':
            return self.quoted()
        name = self.peek(chars)
        if not name:
            self.fail(f"expected {what} but found {self.found()}")
        self.i += len(name)
        return name

    def word(self):
        """A name out of WORD: a section, region or segment.  See ":" in the head of this module."""
        name = self.name(WORD, "a name")
        if self.text[self.i - 1] == ":":
            short = name.rstrip(":")
            self.i -= len(name) - len(short)
            name = short
        return name

    def enter(self):
        """Count one level of nesting in; an error where a sane script cannot be."""
        self.nesting += 1
        if self.nesting > _NEST:
            self.fail("nested too deeply")

    def number(self):
        """(value, hex digits or None): the number that is next.

        The digits are those of a hexadecimal literal without K or M, which as a fill pattern stand
        for themselves.  Forms: 12 017 0x1f $1f 1fh 1fx 101b 17o 12d, and K or M after any of the
        first four.
        """
        start = self.i
        token = self.peek(_NUMBER)
        digits, base, unit, plain = token, 10, 1, None
        last = token[-1]
        if token[0] == "$" or token[:2] in ("0x", "0X"):
            base = 16
            digits = token[1:] if token[0] == "$" else token[2:]
            if last in "KkMm":
                digits = digits[:-1]
            elif token[0] == "0":
                plain = digits
        elif last in "hHxX":
            base, digits = 16, token[:-1]
        elif last in "bB":
            base, digits = 2, token[:-1]
        elif last in "oO":
            base, digits = 8, token[:-1]
        elif last in "dD":
            digits = token[:-1]
        else:
            if last in "KkMm":
                digits = token[:-1]
            if digits[:1] == "0":
                base = 8
        if last in "Kk":
            unit = 1 << 10
        elif last in "Mm":
            unit = 1 << 20
        value = -1
        if digits.isalnum():
            try:
                value = int(digits, base) * unit
            except ValueError:
                pass
        if value < 0:
            self.fail(f"'{token[:_SHOWN]}' is no number", start)
        if value >> 64:
            self.fail(f"the number '{token[:_SHOWN]}' needs more than 64 bits", start)
        self.i = start + len(token)
        return value, plain
