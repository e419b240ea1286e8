"""The positional input tree: what stands on the command line, in order.

A node is one item of the command line. Its `children` are what it turned out to contain: the files
of a group, the files that a linker script given as an input names, the file that -l found. The
inputs phase fills them; the order of a `walk` is the order in which GNU ld would open the files.
"""


class State:
    """The positional options in force at a node. Immutable: a change makes a new one.

    Attributes:
      as_needed       bool, --as-needed: DT_NEEDED only for libraries that are referenced
      whole_archive   bool, --whole-archive: all members of archives are loaded
      static          bool, -Bstatic: -l looks for archives only
      copy_needed     bool, --copy-dt-needed-entries: DT_NEEDED of libraries count as inputs
      format          str or None, -b: BFD name of the input format ("binary"), None for the default
    """

    __slots__ = ("as_needed", "whole_archive", "static", "copy_needed", "format")

    def __init__(self, as_needed=False, whole_archive=False, static=False, copy_needed=False,
                 format=None):
        put = object.__setattr__
        put(self, "as_needed", as_needed)
        put(self, "whole_archive", whole_archive)
        put(self, "static", static)
        put(self, "copy_needed", copy_needed)
        put(self, "format", format)

    def __setattr__(self, name, value):
        raise AttributeError("a State never changes; use replace()")

    def replace(self, name, value):
        """A State that differs in attribute `name`, or this one when it does not differ."""
        if getattr(self, name) == value:
            return self
        values = {slot: getattr(self, slot) for slot in self.__slots__}
        values[name] = value
        return State(**values)

    def __repr__(self):
        said = [f"{slot}={getattr(self, slot)!r}" for slot in self.__slots__ if getattr(self, slot)]
        return f"State({', '.join(said)})"


class Node:
    """One item of the command line.

    Attributes:
      position   int, rank on the command line from 0; nodes spliced in later take their parent's
      state      the State in force
      children   list of nodes, in order; empty until something is found inside
    """

    __slots__ = ("position", "state", "children")

    def __init__(self, position, state):
        self.position = position
        self.state = state
        self.children = []

    def __repr__(self):
        said = ", ".join(repr(getattr(self, slot)) for slot in type(self).__slots__)
        inside = f", {self.children!r}" if self.children else ""
        return f"{type(self).__name__}({said}{inside})"


class FileNode(Node):
    """A file by its path: object, archive, shared object or linker script.

    `path` is as given. `searched` is true when a script named it without a folder, so that the
    library folders are searched for it as well (GNU ld manual, INPUT).
    """

    __slots__ = ("path", "searched")

    def __init__(self, path, position, state, searched=False):
        super().__init__(position, state)
        self.path = path
        self.searched = searched


class LibraryNode(Node):
    """-l: `name` is the text after -l; ":file" asks for that very file name."""

    __slots__ = ("name",)

    def __init__(self, name, position, state):
        super().__init__(position, state)
        self.name = name


class GroupNode(Node):
    """--start-group ... --end-group, or GROUP() of a script: searched until nothing new is found."""

    __slots__ = ()


class LibNode(Node):
    """--start-lib ... --end-lib: the objects inside are taken as an archive's members would be."""

    __slots__ = ()


class ScriptNode(Node):
    """-T: a linker script; `path` as given. Files that it INPUTs become children."""

    __slots__ = ("path",)

    def __init__(self, path, position, state):
        super().__init__(position, state)
        self.path = path


class JustSymbolsNode(Node):
    """--just-symbols, -R file: the symbols of `path` at their addresses, none of its contents."""

    __slots__ = ("path",)

    def __init__(self, path, position, state):
        super().__init__(position, state)
        self.path = path


class DefsymNode(Node):
    """--defsym: `symbol` = `expression`, the text of a linker-script expression."""

    __slots__ = ("symbol", "expression")

    def __init__(self, symbol, expression, position, state):
        super().__init__(position, state)
        self.symbol = symbol
        self.expression = expression


class InputTree(Node):
    """The root; its children are the items of the command line."""

    __slots__ = ()

    def __init__(self):
        super().__init__(-1, State())


def walk(tree):
    """Every node below `tree`, a node before its children, in the order of the command line.

    Children that are added to a node while the walk stands on it are visited.
    """
    for node in tree.children:
        yield node
        if node.children:
            yield from walk(node)


class TreeBuilder:
    """Builds an InputTree while options are read from left to right."""

    __slots__ = ("tree", "state", "count", "_open", "_saved")

    def __init__(self):
        self.tree = InputTree()
        self.state = self.tree.state
        self.count = 0          # position of the next node
        self._open = [self.tree]
        self._saved = []

    def change(self, name, value):
        """A positional option: attribute `name` of the State is `value` from here on."""
        self.state = self.state.replace(name, value)

    def push_state(self):
        """--push-state: remember the state."""
        self._saved.append(self.state)

    def pop_state(self):
        """--pop-state: False when nothing was pushed. The -b format is no part of what is kept."""
        if not self._saved:
            return False
        self.state = self._saved.pop().replace("format", self.state.format)
        return True

    def add(self, kind, *fields):
        """Append a node of class `kind` with `fields`, here and with the state in force."""
        node = kind(*fields, self.count, self.state)
        self.count += 1
        self._open[-1].children.append(node)
        return node

    def open(self, kind):
        """Begin a GroupNode or LibNode; False inside one of the same kind, which may not nest."""
        if any(type(node) is kind for node in self._open):
            return False
        self._open.append(self.add(kind))
        return True

    def close(self, kind):
        """End it; False when the innermost open node is none of `kind`."""
        if type(self._open[-1]) is not kind:
            return False
        self._open.pop()
        return True

    def finish(self):
        """The tree, and the classes of the nodes that were left open."""
        return self.tree, [type(node) for node in self._open[1:]]
