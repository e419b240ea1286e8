"""What the script says about layout, in the order in which it is obeyed; made by graph, used by layout."""

from mclink.context import OutputSection


from mclink.script import ast


class Plan:
    """The layout rules in force, taken apart.

    `statements` holds, in order: OutputSection (its `definition` is the OUTSEC node, its `statements` are
    Run objects and nodes), Overlay, and the nodes ASSIGN and ASSERT.
    """

    __slots__ = (
        "statements",   # see above; after INSERT has been obeyed
        "orphans",      # list of Orphan: sections that no statement took, in link order
        "first_orphan", # rule of orphans[0]; the others follow
        "plain",        # -r: number of rules behind those of `orphans`, of output sections that have no OutputSection
        "classes",      # dict: name of a CLASS -> list of its Runs
        "discards",     # list of Runs that stand in /DISCARD/ (their number is their rank in the matching)
        "matcher",      # _core.classify.Matcher
        "sane",         # LD_FEATURE("SANE_EXPR")
        "memory",       # list of (name, pos, attributes, inverted, origin, length) of MEMORY
        "aliases",      # dict: REGION_ALIAS name -> (pos, region)
        "phdrs",        # list of header tuples of PHDRS, or None
        "no_crossrefs", # list of (pos, sections, True for NOCROSSREFS_TO)
    )

    def __init__(self):
        self.statements = []
        self.orphans = []
        self.first_orphan = 0
        self.plain = 0
        self.classes = {}
        self.discards = []
        self.matcher = None
        self.sane = False
        self.memory = []
        self.aliases = {}
        self.phdrs = None
        self.no_crossrefs = []


def place_behind(statements, after, counts=None):
    """Index at which to insert an output section behind the one at index `after` (-1: at the start): past the symbols
    that follow it, but before the location counter is moved for the next section. At the start, the first move stays in
    front. counts(item): whether the section that follows is one for which the counter is moved."""
    first = after < 0
    assignment = None
    for index in range(after + 1, len(statements)):
        item = statements[index]
        if type(item) is not tuple:
            return index if assignment is None or counts is not None and not counts(item) else assignment
        if item[0] == ast.ASSIGN and item[2] == ".":
            if assignment is None and not first:
                assignment = index
            first = False
    return len(statements)


class Orphan:
    """Sections of one name and kind that no input statement takes."""

    __slots__ = (
        "name",     # str
        "type",     # SHT_* of the first
        "flags",    # SHF_* of the first, low 32 bits
        "first",    # fragment id of the first in link order
        "run",      # Run
    )

    def __init__(self, name, type, flags, first, run):
        self.name = name
        self.type = type
        self.flags = flags
        self.first = first
        self.run = run


class Overlay:
    """An OVERLAY: output sections that share an address range."""

    __slots__ = (
        "node",         # the OVERLAY node
        "members",      # its OutputSections, in order
    )

    def __init__(self, node):
        self.node = node
        self.members = []


def script_sections(plan):
    """The OutputSections of the plan, those of overlays included."""
    for item in plan.statements:
        if type(item) is OutputSection:
            yield item
        elif type(item) is Overlay:
            yield from item.members


class Data:
    """BYTE, SHORT, LONG, QUAD, SQUAD, ASCIZ or LINKER_VERSION in an output section."""

    __slots__ = (
        "node",     # the DATA, ASCIZ or LINKER_VERSION node
        "offset",   # byte offset in the output section
        "size",     # bytes
        "value",    # number to store in `size` bytes of the output's byte order (DATA); else None
        "contents", # bytes (ASCIZ, LINKER_VERSION); else None
    )

    def __init__(self, node, size, contents=None):
        self.node = node
        self.offset = 0
        self.size = size
        self.value = None
        self.contents = contents


class Fill:
    """FILL(): the pattern for the gaps from `offset` on."""

    __slots__ = (
        "node",     # the FILL node
        "offset",   # byte offset in the output section
        "pattern",  # bytes, repeated from the start of each gap
    )

    def __init__(self, node):
        self.node = node
        self.offset = 0
        self.pattern = b"\0"


class Assignment:
    """An assignment and what came of it, for the map: `node` is the ASSIGN node."""

    __slots__ = (
        "node",     # the ASSIGN or ASSERT node
        "address",  # location counter where it stands (after it, for an assignment to the counter)
        "value",    # value assigned, or None when a PROVIDE was not needed
    )

    def __init__(self, node):
        self.node = node
        self.address = 0
        self.value = None
