"""Where the scripts of one link came from: positions to file, line and column, and the error block.

A position is one int.  Each text that is added gets a range of its own, so a tree needs no file names
and trees of several scripts can be mixed.  Lines are counted only when somebody asks.
"""

# Positions below this belong to the built-in linker script, whose parsed tree is stored with them.
BUILTIN_END = 1 << 17
BUILTIN_NAME = "built-in linker script"

_EXCERPT = 100                 # longest piece of a line that an error message shows, in characters


class Sources:
    """The texts of the scripts of one link, in the order in which they were read."""

    __slots__ = ("builtin", "_starts", "_texts", "_paths", "_next")

    def __init__(self):
        self.builtin = None    # None, or a function that returns the text of the built-in script
        self._starts = []
        self._texts = []
        self._paths = []
        self._next = BUILTIN_END

    def add(self, path, text):
        """Add *text* (str) read from *path*; returns its base: character n is at position base + n."""
        base = self._next
        self._starts.append(base)
        self._texts.append(text)
        self._paths.append(path)
        self._next = base + len(text) + 2
        return base

    def locate(self, pos):
        """(path, line, column, text of the line); line and column count from 1, 0 when unknown.

        Line markers left by the C preprocessor (``# 12 "file.h"``) are obeyed.
        """
        if 0 < pos < BUILTIN_END:
            if self.builtin is None:
                return BUILTIN_NAME, 0, 0, ""
            path, text, offset = BUILTIN_NAME, self.builtin(), pos - 1
        else:
            index = len(self._starts) - 1
            while index >= 0 and self._starts[index] > pos:
                index -= 1
            if index < 0:
                return "", 0, 0, ""
            path, text, offset = self._paths[index], self._texts[index], pos - self._starts[index]
        offset = min(offset, len(text))
        start = text.rfind("\n", 0, offset) + 1
        end = text.find("\n", offset)
        line_text = text[start:end if end >= 0 else len(text)].rstrip("\r")
        path, line = _obey_line_markers(path, text, start)
        return path, line, offset - start + 1, line_text

    def describe(self, pos):
        """"file:line:column" of *pos*, or as much of it as is known."""
        path, line, column, _ = self.locate(pos)
        return f"{path}:{line}:{column}" if line else path

    def message(self, pos, text):
        """The error block: place and *text*, the line, and a caret under the column."""
        path, line, column, source = self.locate(pos)
        if not line:
            return f"{path}: {text}" if path else text
        first = max(0, column - 1 - _EXCERPT * 3 // 4)
        shown = source[first:first + _EXCERPT]
        caret = "".join("\t" if c == "\t" else " " for c in shown[:column - 1 - first])
        shown = "".join(c if c == "\t" or c.isprintable() else "?" for c in shown)
        return f"{path}:{line}:{column}: {text}\n>>> {shown}\n>>> {caret}^"

    def fail(self, pos, text):
        """Raise LinkError with the error block."""
        from mclink.diag import LinkError
        raise LinkError(self.message(pos, text))


def _obey_line_markers(path, text, start):
    """(path, line) of the line that starts at offset *start*, by the last line marker before it."""
    mark = start
    while True:
        mark = text.rfind("#", 0, mark)
        if mark < 0:
            return path, text.count("\n", 0, start) + 1
        if mark and text[mark - 1] != "\n":
            continue
        end = text.find("\n", mark)
        words = text[mark + 1:end].split(None, 2)
        if words and words[0] == "line":
            del words[0]
        if words and words[0].isdecimal() and words[0].isascii() and len(words[0]) < 10:
            if len(words) > 1 and words[1][:1] == '"':
                path = words[1].split('"')[1]
            return path, int(words[0]) + text.count("\n", end + 1, start)
