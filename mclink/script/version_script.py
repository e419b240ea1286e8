"""Version scripts, --dynamic-list and their like: the grammar, and which symbol gets which version.

Source: GNU ld manual, nodes "VERSION" and "Options" (--dynamic-list).  Comments are those of linker
scripts, ``/* */`` and ``#``.

The tree that `parse_nodes` gives is plain tuples, as in mclink.script.ast:

    node   (name, pos, entries, parents)   name "" for the anonymous version;
                                           parents: names, in the order written
    entry  (pattern, pos, local, language, literal)
           pattern   str, backslashes gone when it is literal
           local     0 in the global part, 1 in the local part
           language  "C" or "C++": what the pattern is compared with, the symbol's name or its
                     demangled form (the name itself when it is not mangled)
           literal   1: the whole name; 0: a pattern with * ? [...]

Which entry a symbol obeys is GNU ld's choice, as observed on GNU ld 2.40:

1. A literal entry.  Of several, that in the first node; in one node, the global one.
2. A global pattern other than "*".  Of several, that in the last node.
3. A local pattern other than "*", likewise.
4. A global "*", then a local "*", likewise.
"""

from mclink.script.lexer import ALNUM, Lexer

_NAME = ALNUM + "._$*?[]-!^\\:@%+~<>,&()=/|"
_TAG = ALNUM + "._$-+@"
_WILD = ("*", "?", "[")
_LANGUAGES = {"C": "C", "C++": "C++", "Java": "C"}


class _Parser(Lexer):
    __slots__ = ()


def parse_version_script(text, path, sources):
    """The nodes of the version script *text* that was read from *path*.

    Raises LinkError with file, line and column.
    """
    base = sources.add(path, text)
    parser = _Parser(_blank_comments(text), base, sources)
    nodes = parse_nodes(parser)
    if parser.skip():
        parser.fail(f"expected a version but found {parser.found()}")
    if not nodes:
        parser.fail("there is no version in this version script")
    return nodes


def parse_dynamic_list(text, path, sources):
    """The entries of a dynamic list or export list: ``{ name; pattern*; extern "C++" { ... }; };``."""
    base = sources.add(path, text)
    parser = _Parser(_blank_comments(text), base, sources)
    entries = []
    while parser.skip():
        parser.expect("{")
        _entries(parser, entries, "C", None)
        parser.expect("}")
        parser.accept(";")
    if not entries and not text.strip():
        parser.fail("expected '{' but found the end of the file")
    return tuple(entries)


def parse_nodes(lexer):
    """The version nodes that are next in *lexer*, up to a closing brace or the end of the text."""
    nodes = []
    while True:
        c = lexer.skip()
        if not c or c == "}":
            return tuple(nodes)
        pos = lexer.base + lexer.i
        name = "" if c == "{" else lexer.name(_TAG, "a version or '{'")
        lexer.expect("{")
        entries = []
        _entries(lexer, entries, "C", 0)
        lexer.expect("}")
        parents = []
        while lexer.skip() not in (";", ""):
            parents.append(lexer.name(_TAG, "';'"))
        lexer.expect(";")
        nodes.append((name, pos, tuple(entries), tuple(parents)))


def _entries(lexer, entries, language, local):
    """Add the entries up to the closing brace.  *local* None: there are no labels here."""
    if not _plain_entries(lexer, entries, language, local):
        _any_entries(lexer, entries, language, local)


def _plain_entries(lexer, entries, language, local):
    """`_any_entries` for text without quotes, extern and comments, several times as fast.

    Returns False, with nothing done, when the text is not that plain or not right.
    """
    text = lexer.text
    start = lexer.i
    end = text.find("}", start)
    if end < 0:
        return False
    piece = text[start:end]
    if '"' in piece or "{" in piece or "#" in piece or "/*" in piece:
        return False
    pos = lexer.base + start
    found = []
    for item in piece.split(";"):
        name = item.strip()
        if ":" in name and local is not None and "::" not in name:
            label, _, name = name.partition(":")
            label = label.rstrip()
            if label != "global" and label != "local":
                return False
            local = 1 if label == "local" else 0
            name = name.lstrip()
        if name:
            if name.lstrip(_NAME) or ":" in name and "::" not in name:
                return False
            found.append(_entry(name, pos + item.rfind(name), local or 0, language, 0))
        pos += len(item) + 1
    if piece and piece.rpartition(";")[2].strip():
        return False           # the last ";" is missing
    entries += found
    lexer.i = end
    return True


def _any_entries(lexer, entries, language, local):
    labels = local is not None
    while True:
        c = lexer.skip()
        if c == "}" or not c:
            return
        if c == ";":
            lexer.i += 1
            continue
        start = lexer.i
        pos = lexer.base + start
        if c == '"':
            entries.append(_entry(lexer.quoted(), pos, local or 0, language, 1))
        else:
            name = lexer.name(_NAME, "a symbol")
            label = name.partition(":")[0]
            if labels and label in ("global", "local") and not name.startswith(label + "::"):
                lexer.i = start + len(label)
                if lexer.accept(":"):
                    local = 1 if label == "local" else 0
                    continue
            if name == "extern" and lexer.skip() == '"':
                _extern(lexer, entries, local)
                continue
            entries.append(_entry(name, pos, local or 0, language, 0))
        if lexer.skip() != "}":
            lexer.expect(";")


def _extern(lexer, entries, local):
    """``"C++" { entries }`` after extern."""
    at = lexer.i
    name = lexer.quoted()
    language = _LANGUAGES.get(name)
    if language is None:
        lexer.fail(f"unknown language '{name[:60]}'", at)
    lexer.enter()
    lexer.expect("{")
    inside = []
    _entries(lexer, inside, language, None)
    lexer.expect("}")
    lexer.nesting -= 1
    entries += [(pattern, pos, local or 0, language, literal)
                for pattern, pos, _, language, literal in inside]


def _entry(name, pos, local, language, quoted):
    if quoted:
        return name, pos, local, language, 1
    if "\\" not in name:
        wild = "*" in name or "?" in name or "[" in name
        return name, pos, local, language, 0 if wild else 1
    plain = []
    characters = iter(name)
    for c in characters:
        if c in _WILD:
            return name, pos, local, language, 0
        plain.append(next(characters, c) if c == "\\" else c)
    return "".join(plain), pos, local, language, 1


def _blank_comments(text):
    """*text* with blanks for comments, so that every offset stays what it was."""
    pieces = []
    done = i = 0
    length = len(text)
    while True:
        marks = [n for n in (text.find("/*", i), text.find("#", i)) if n >= 0]
        if not marks:
            break
        start = min(marks)
        quote = text.find('"', i, start)
        if quote >= 0:
            end = text.find('"', quote + 1)
            if end < 0:
                break
            i = end + 1
            continue
        if text[start] == "#":
            end = text.find("\n", start)
        else:
            end = text.find("*/", start + 2)
            if end < 0:
                break          # the parser says that it does not end
            end += 2
        if end < 0:
            end = length
        pieces.append(text[done:start])
        pieces.append("".join("\n" if c == "\n" else " " for c in text[start:end]))
        done = i = end
    pieces.append(text[done:])
    return "".join(pieces)


class Patterns:
    """Entries in the form in which symbols are looked up: literal names by dict, patterns in order.

    exact      dict, bytes -> rank: the names of literal "C" entries
    exact_cxx  dict, str -> rank: those of literal "C++" entries, to compare with demangled names
    globs      list of (pattern str, is C++, rank), without the lone "*"
    star       [rank, rank] of the last global and the last local "*", -1 when there is none

    A rank is 2 * node + local; node counts from 0 in the order of `add`.
    """

    __slots__ = ("exact", "exact_cxx", "globs", "star", "_globs_seen")

    def __init__(self):
        self.exact = {}
        self.exact_cxx = {}
        self.globs = []
        self.star = [-1, -1]
        self._globs_seen = {}  # (pattern, language) -> list of ranks

    def add(self, node, entries):
        """Enter *entries* as those of node number *node*, not less than any number before.

        Returns an entry that is local here and global in an earlier node or the other way round, or
        None.  In one node that is allowed, and global wins.
        """
        conflict = None
        for entry in sorted(entries, key=_entry_local):
            pattern, _, local, language, literal = entry
            rank = 2 * node + local
            if literal:
                if language == "C":
                    pattern = pattern.encode("utf-8", "surrogateescape")
                    first = self.exact.setdefault(pattern, rank)
                else:
                    first = self.exact_cxx.setdefault(pattern, rank)
                if first & 1 != local and first >> 1 != node:
                    conflict = conflict or entry
                continue
            seen = self._globs_seen.setdefault((pattern, language), [])
            if any(other & 1 != local and other >> 1 != node for other in seen):
                conflict = conflict or entry
            seen.append(rank)
            if pattern == "*":
                self.star[local] = rank
            else:
                self.globs.append((pattern, language != "C", rank))
        return conflict

    def needs_demangling(self):
        return bool(self.exact_cxx) or any(is_cxx for _, is_cxx, _ in self.globs)

    def find(self, name, demangled=None):
        """The rank that the symbol *name* (bytes) obeys, -1 for none.

        demangled   its demangled form (str), None when it is not a mangled name
        """
        rank = self.exact.get(name, -1)
        if self.exact_cxx or self.globs:
            text = name.decode("utf-8", "surrogateescape")
            if demangled is None:
                demangled = text
            other = self.exact_cxx.get(demangled, -1)
            if other >= 0 and (rank < 0 or other < rank):
                rank = other
            if rank >= 0:
                return rank
            best = [-1, -1]
            for pattern, is_cxx, glob_rank in self.globs:
                if best[glob_rank & 1] < glob_rank and glob_match(pattern,
                                                                  demangled if is_cxx else text):
                    best[glob_rank & 1] = glob_rank
            rank = best[0] if best[0] >= 0 else best[1]
        if rank < 0:
            rank = self.star[0] if self.star[0] >= 0 else self.star[1]
        return rank


def _entry_local(entry):
    return entry[2]


class VersionScript:
    """The version nodes of all version scripts of a link, and the patterns of their entries.

    names      list of str, node -> name; [""] when there is only the anonymous version
    parents    list of lists of int, node -> nodes it depends on
    positions  list of int, node -> pos
    entries    list of tuples, node -> entries; for --no-undefined-version
    patterns   Patterns; a rank's node indexes the lists above
    """

    __slots__ = ("names", "parents", "positions", "entries", "patterns", "sources", "_parent_names")

    def __init__(self, sources):
        self.names = []
        self.parents = []
        self.positions = []
        self.entries = []
        self.patterns = Patterns()
        self.sources = sources
        self._parent_names = []

    def add(self, nodes):
        """Add the nodes of one script.

        Raises LinkError: duplicate version, entry global in one version and local in another,
        anonymous version beside others.
        """
        for name, pos, entries, parents in nodes:
            if self.names and (not name or not self.names[0]):
                self.sources.fail(pos, "the anonymous version cannot be combined with other versions")
            if name in self.names:
                self.sources.fail(pos, f"duplicate version '{name}'")
            conflict = self.patterns.add(len(self.names), entries)
            if conflict is not None:
                self.sources.fail(conflict[1], f"'{conflict[0]}' is global in one version and "
                                               "local in another")
            self.names.append(name)
            self.positions.append(pos)
            self.entries.append(entries)
            self._parent_names.append(parents)

    def finish(self):
        """Resolve the parents, which may stand in later scripts.  Raises LinkError: no such version."""
        numbers = {name: number for number, name in enumerate(self.names)}
        for pos, parents in zip(self.positions, self._parent_names):
            for name in parents:
                if name not in numbers:
                    self.sources.fail(pos, f"unknown version '{name}' to depend on")
            self.parents.append([numbers[name] for name in parents])


def glob_match(pattern, text):
    """Whether *text* matches the shell pattern: ``*``, ``?``, ``[a-z]``, ``[!a]``, ``[^a]``, ``\\x``.

    As fnmatch(3) without flags: nothing is special about "/" and ".".  Time is bounded by the product
    of the lengths.
    """
    i = j = 0
    star = -1                  # place in the pattern after the last "*", to go back to
    restart = 0
    length = len(pattern)
    while j < len(text):
        if i < length and pattern[i] == "*":
            i += 1
            star, restart = i, j
            continue
        if i < length:
            step = _match_one(pattern, i, text[j])
            if step:
                i += step
                j += 1
                continue
        if star < 0:
            return False
        restart += 1
        i, j = star, restart
    while i < length and pattern[i] == "*":
        i += 1
    return i == length


def _match_one(pattern, i, c):
    """How many characters of the pattern, from i, match the character *c*; 0 for no match."""
    p = pattern[i]
    if p == "?":
        return 1
    if p == "\\" and i + 1 < len(pattern):
        return 2 if pattern[i + 1] == c else 0
    if p == "[":
        k = i + 1
        inverted = pattern[k:k + 1] in ("!", "^")
        if inverted:
            k += 1
        first = k
        found = False
        while k < len(pattern) and (pattern[k] != "]" or k == first):
            low = pattern[k]
            if low == "\\" and k + 1 < len(pattern):
                k += 1
                low = pattern[k]
            high = low
            if pattern[k + 1:k + 2] == "-" and pattern[k + 2:k + 3] not in ("]", ""):
                k += 2
                high = pattern[k]
                if high == "\\" and k + 1 < len(pattern):
                    k += 1
                    high = pattern[k]
            if low <= c <= high:
                found = True
            k += 1
        if k < len(pattern):
            return k + 1 - i if found != inverted else 0
    return 1 if p == c else 0
