"""The state of one link. No module keeps state of its own, so several links can live in one process."""


class Link:
    """One link: what each phase reads and leaves behind.

    Attributes are filled in the order of the phases; None means "not reached yet".
    """

    __slots__ = (
        "options",      # options.Options of the command line
        "diag",         # diag.Diagnostics
        "clock",        # clock.Clock: durations and counts of the passes
        "tables",       # _core.tables.Tables
        "target",       # target module's Target object
        "tree",         # tree.InputTree: the root node, children in command-line order
        "inputs",       # dict: file id -> InputFile, for named files (not archive members)
        "libraries",    # list of SharedLibrary in order of opening
        "sequence",     # list of inputs.load.Item: the opened inputs in link order, groups nested
        "sources",      # script.sources.Sources: positions of script text
        "script",       # script.ast tuples: of the layout rules in force (default or -T)
        "script_path",  # file name for messages about `script`; None for the default one
        "versions",     # list of VersionNode of the output, index 0 and 1 reserved (graph.versions)
        "plan",         # plan.Plan: the statements of the script in the order in which layout obeys them
        "runs",         # list of Run; index = Fragment.rule; entry 0 is None
        "members",      # _core.place.Members: the live fragments of each run, in order
        "outputs",      # list of OutputSection in address order
        "segments",     # list of Segment in program header order
        "image",        # dict of names to ints that the output headers need (entry, phoff, ...)
        "dynamic",      # layout.dynamic.DynamicTables or None for a static link
        "symbols",      # output symbol-table plan (output.symtab)
        "lto",          # lto.Lto once compiler IR has been met, else None
        "extra",        # dict for what only reports read (why a member was loaded, discarded sections ...)
    )

    def __init__(self):
        for name in ("options", "diag", "clock", "tree", "lto"):
            setattr(self, name, None)
        self.forget()

    def forget(self):
        """Goes back to where only the command line has been read."""
        for name in Link.__slots__:
            if name not in ("options", "diag", "clock", "tree", "lto"):
                setattr(self, name, None)
        self.inputs = {}
        self.libraries = []
        self.runs = [None]
        self.outputs = []
        self.segments = []
        self.image = {}
        self.extra = {}


class InputFile:
    """A file named on the command line or by a script: object, archive, shared object."""

    __slots__ = (
        "file",         # file id of the object, DSO or archive shell
        "path",         # as opened
        "name",         # as the user wrote it (-lfoo keeps the found path)
        "node",         # tree node that named it
        "kind",         # "object", "archive", "thin", "shared"
        "first_member", # archive: file id of the first member
        "members",      # archive: number of members
    )

    def __init__(self, file, path, name, node, kind):
        self.file = file
        self.path = path
        self.name = name
        self.node = node
        self.kind = kind
        self.first_member = 0
        self.members = 0


class SharedLibrary:
    """What layout needs to know of a shared object."""

    __slots__ = (
        "file",         # file id
        "path",         # as opened
        "soname",       # DT_SONAME or file name, str
        "needed",       # list of DT_NEEDED strings
        "runpath",      # DT_RUNPATH or DT_RPATH strings, for the closure
        "versions",     # list: version index -> name (bytes) or None; from .gnu.version_d
        "as_needed",    # opened under --as-needed
        "is_needed",    # gets a DT_NEEDED (set by the walk)
        "indirect",     # opened only to follow DT_NEEDED of others
        "flags1",       # DT_FLAGS_1
    )

    def __init__(self, file, path):
        self.file = file
        self.path = path
        self.soname = ""
        self.needed = []
        self.runpath = []
        self.versions = []
        self.as_needed = False
        self.is_needed = False
        self.indirect = False
        self.flags1 = 0


class Run:
    """One input statement of the layout rules: `*(.text .text.*)`. Its members are fragment ids in C."""

    __slots__ = (
        "number",       # index in Link.runs == Fragment.rule
        "output",       # OutputSection it stands in, None for /DISCARD/
        "statement",    # the AST node it came from; None for an orphan
        "first",        # index of its first member in the member array (_core.place)
        "count",        # number of live members
        "offset",       # byte offset of its start in the output section
        "size",         # bytes it covers
    )

    def __init__(self, number, output, statement):
        self.number = number
        self.output = output
        self.statement = statement
        self.first = 0
        self.count = 0
        self.offset = 0
        self.size = 0


class OutputSection:
    """A section of the output file."""

    __slots__ = (
        "name",         # str
        "index",        # section header index in the output; 0 while unknown
        "type",         # SHT_*
        "flags",        # SHF_*
        "entsize",      # sh_entsize
        "align",        # alignment in bytes, a power of two
        "address",      # VMA
        "lma",          # load address
        "offset",       # file offset
        "size",         # bytes in memory
        "file_size",    # bytes in the file (0 for NOBITS)
        "link",         # OutputSection for sh_link, int, or None
        "info",         # OutputSection or int for sh_info
        "statements",   # layout statements in order: Run, assignments, data, fills
        "fill",         # bytes to fill gaps with, or None for the target's default
        "definition",   # AST of its description; None for an orphan
        "region",       # memory region name or None
        "lma_region",   # AT> region or None
        "phdrs",        # list of program header names from `:phdr`, or None
        "relro",        # True when it lies in the RELRO segment
        "keep",         # True when it stays though empty
        "contents",     # bytes-like made by Python for non-alloc tables (.symtab ...), or None
        "compressed",   # None, or the compressed contents that replace the sections' bytes
        "number",       # 1-based position in Link.outputs (Fragment.output)
    )

    def __init__(self, name):
        self.name = name
        self.index = 0
        self.type = 0
        self.flags = 0
        self.entsize = 0
        self.align = 1
        self.address = 0
        self.lma = 0
        self.offset = 0
        self.size = 0
        self.file_size = 0
        self.link = None
        self.info = 0
        self.statements = []
        self.fill = None
        self.definition = None
        self.region = None
        self.lma_region = None
        self.phdrs = None
        self.relro = False
        self.keep = False
        self.contents = None
        self.compressed = None
        self.number = 0


class Segment:
    """A program header of the output."""

    __slots__ = ("type", "flags", "offset", "address", "lma", "file_size", "size", "align", "outputs", "name",
                 "headers")

    def __init__(self, type, flags):
        self.type = type        # PT_*
        self.flags = flags      # PF_*
        self.offset = 0
        self.address = 0
        self.lma = 0
        self.file_size = 0
        self.size = 0
        self.align = 1
        self.outputs = []       # OutputSections it covers
        self.name = None        # name in a PHDRS command
        self.headers = False    # covers the ELF header and the program headers


def each_item(items):
    """The inputs.load.Items of a sequence in link order, groups opened up."""
    for item in items:
        if item.kind == "group":
            yield from each_item(item.items)
        else:
            yield item
