"""What the expressions of a script ask of the layout: symbols, sections, constants, the data segment.

Sources: GNU ld manual, nodes "Builtin Functions" and "Expression Section"; what DATA_SEGMENT_ALIGN and its
companions come to is the behaviour of GNU ld 2.40.
"""

from mclink._core import load, place, symbols
from mclink.context import OutputSection, Run
from mclink.elf import SHF_ALLOC, SHF_TLS, SHT_NOBITS
from mclink.script import ast
from mclink.script.evaluate import ABSOLUTE, Environment, absolute_value, align

G_SCRIPT = 8388608            # tables.pxd

# Sections that the linker makes when there is a use for them, scripts that have no place for them notwithstanding.
_OWN_NAMES = frozenset((".got", ".got.plt", ".iplt", ".igot.plt", ".rela.dyn", ".rel.dyn"))

# How far DATA_SEGMENT_ALIGN, _RELRO_END and _END have come.
NONE, ALIGNED, RELRO, ENDED, ADJUSTED, ADJUSTED_RELRO, DONE = range(7)


class ScriptEnvironment(Environment):
    """The environment of expressions during layout. A section is named by its OutputSection object."""

    __slots__ = (
        "link",             # context.Link
        "tables",           # _core.tables.Tables
        "members",          # _core.place.Members
        "options",          # options.Options
        "bodies",           # OutputSection -> what of its statements is obeyed
        "by_name",          # name -> OutputSection, the one in the output if there are several
        "values",           # symbol -> (number, section) that the script gave it last
        "known",            # symbols assigned so far in this walk
        "places",           # symbol -> what the input files say
        "sized",            # sections that have an address in this walk
        "guesses",          # section -> size that was told before it was known
        "forward",          # an expression used what this walk had not reached yet
        "final",            # this is the final walk: what is undefined now is an error
        "regions",          # regions.Regions
        "headers",          # program headers that SIZEOF_HEADERS counts
        "uses_headers",     # the script asks for SIZEOF_HEADERS
        "page_sizes",       # CONSTANT() -> bytes
        "phase",            # of the data segment, see above
        "segment_base",     # value of DATA_SEGMENT_ALIGN
        "segment_page",     # its common page size
        "relro_page",       # size of a page, at the end of one of which RELRO ends
        "segment_end",      # value of DATA_SEGMENT_END
        "relro_offset",     # first argument of DATA_SEGMENT_RELRO_END
        "relro_end",        # where RELRO ends
        "relro",            # whether there is a RELRO segment
    )

    def __init__(self, link):
        super().__init__(link.sources)
        self.link = link
        self.tables = link.tables
        self.members = link.members
        self.options = link.options
        self.sane = link.plan.sane
        self.bodies = {}
        self.by_name = {}
        self.values = {}
        self.known = set()
        self.places = {}
        self.sized = set()
        self.guesses = {}
        self.forward = False
        self.final = False
        self.headers = 0
        self.uses_headers = False
        data = link.target.data
        self.page_sizes = {"MAXPAGESIZE": link.options.z_max_page_size or data.MAX_PAGE_SIZE,
                           "COMMONPAGESIZE": link.options.z_common_page_size or data.COMMON_PAGE_SIZE}
        self.phase = NONE
        self.segment_base = self.segment_end = self.relro_offset = self.relro_end = 0
        self.segment_page = self.relro_page = 1
        self.relro = self.wants_relro()

    def expression(self, expr, default):
        """An attribute of an output section, as a number."""
        if expr is None:
            return default
        self.section = ABSOLUTE
        return absolute_value(expr, self) or default

    def symbol(self, name):
        value = self.values.get(name)
        if value is not None:
            if name not in self.known:
                place_in_file = self.file_symbol(name)
                if place_in_file is not None:
                    return place_in_file
                self.forward = True
            return value
        return self.file_symbol(name)

    def file_symbol(self, name):
        """The definition by an input file, or None."""
        if name not in self.places:
            gid = symbols.lookup(self.tables, name.encode("utf-8", "surrogateescape"))
            found = self.overridden(name)
            if gid and not symbols.flags(self.tables, gid) & G_SCRIPT:
                found = place.symbol_place(self.tables, gid)
            if found is not None:
                output, offset = found
                if output:
                    found = offset, self.link.outputs[output - 1]
                else:
                    found = offset, ABSOLUTE
            self.places[name] = found
        found = self.places[name]
        if found is not None and type(found[1]) is OutputSection and found[1] not in self.sized:
            self.forward = True
        return found

    def overridden(self, name):
        """What an input file says of a name that the script assigns, or None."""
        place_in_file = self.link.extra.get("overridden", {}).get(name)
        if place_in_file is None:
            return None
        frag, value = place_in_file
        if not frag:
            return 0, value
        return load.fragment(self.tables, frag)[8], place.fragment_address(self.tables, frag) + value

    def undefined(self, name, pos):
        if not self.final:
            # It may be assigned further down; the next round knows.
            self.forward = True
            return 0, None
        return super().undefined(name, pos)

    def is_defined(self, name, pos):
        return name in self.known or self.file_symbol(name) is not None

    def output_section(self, name):
        section = self.by_name.get(name)
        if section is None and name in _OWN_NAMES:
            # A script may ask whether these came out empty, though nothing has made them.
            section = self.by_name[name] = OutputSection(name)
            self.bodies[section] = ()
        if section is not None and section.name in _OWN_NAMES and not section.number and section.definition is None:
            self.sized.add(section)
        return section

    def address(self, section):
        if section not in self.sized:
            self.forward = True
        return section.address

    def load_address(self, section):
        if section not in self.sized:
            self.forward = True
        return section.lma

    def size(self, section):
        if not section.number:
            return 0
        if section not in self.sized:
            # A guess that comes true costs no further round.
            if section not in self.guesses:
                self.guesses[section] = section.size or self.estimate(section)
            return self.guesses[section]
        return section.size

    def estimate(self, section):
        """The size of a section that has none yet: exact when it holds nothing but sections."""
        offset = 0
        for item in self.bodies[section]:
            if type(item) is Run:
                offset = self.members.place_run(self.tables, item.number, 0, offset, -1)
        return offset

    def alignment(self, section):
        return section.align if section.number else 0

    def region(self, name):
        return self.regions.bounds(name)

    def constant(self, name):
        return self.page_sizes[name]

    def segment_start(self, name):
        start = self.options.segment_start.get(name)
        if start is None and name == "text-segment":
            return self.options.image_base
        return start

    def size_of_headers(self):
        self.uses_headers = True
        return self.header_bytes()

    def header_bytes(self):
        """Bytes of the ELF header and of the program headers that are reckoned with."""
        if self.link.target.data.ELF_CLASS == 32:
            return 52 + 32 * self.headers
        return 64 + 56 * self.headers

    # -- the data segment

    def fit_relro(self):
        """Move the start of the data segment so that RELRO ends where a page does; returns that end."""
        relro_end = align(self.relro_end, self.relro_page)
        desired = relro_end - self.relro_offset
        for section in reversed(self.link.outputs):
            if (section.flags & SHF_ALLOC and self.segment_base <= section.address
                    < self.relro_end - self.relro_offset):
                end = section.address if is_tbss(section) else section.address + section.size
                desired = (section.address + desired - end) & -section.align
        self.phase = ADJUSTED_RELRO
        self.segment_base = desired
        return relro_end

    def fit_segment(self):
        """Whether the data segment saves a page by starting on the next one."""
        page = self.segment_page
        first = -self.segment_base & (page - 1)
        last = self.segment_end & (page - 1)
        if (first and last and self.segment_base & -page != self.segment_end & -page and first + last <= page):
            self.phase = ADJUSTED
            return True
        self.phase = DONE
        return False

    def data_segment_align(self, max_page, common_page, pos):
        value = align(self.dot, max_page)
        if self.phase == ADJUSTED_RELRO:
            return self.segment_base
        if self.phase == ADJUSTED:
            if common_page < max_page:
                value += (self.dot + common_page - 1) & (max_page - common_page)
            return value
        if not self.relro:
            value += self.dot & (max_page - 1)
        if self.phase == NONE:
            self.phase = ALIGNED
            self.segment_base = value
            self.segment_page = common_page
            # The kernel may have the largest pages; a run-time linker protects whole pages only.
            self.relro_page = max_page
        return value

    def data_segment_relro_end(self, offset, address, pos):
        self.relro_offset = offset
        if self.phase in (ALIGNED, ADJUSTED_RELRO):
            self.relro_end = address + offset
        if self.phase == ADJUSTED_RELRO and self.relro_end & (self.relro_page - 1):
            self.relro_end = align(self.relro_end, self.relro_page)
            address = self.relro_end - offset
        if self.phase == ALIGNED:
            self.phase = RELRO
        return address

    def data_segment_end(self, address, pos):
        if self.phase in (ALIGNED, RELRO):
            self.phase = ENDED
            self.segment_end = address
        return address

    def wants_relro(self):
        wanted = self.options.z_relro
        if wanted is None:
            wanted = getattr(self.link.target.data, "DEFAULT_RELRO", True)
        return bool(wanted and not self.options.relocatable and self.has_relro_sections())

    def has_relro_sections(self):
        """Whether some statement between DATA_SEGMENT_ALIGN and DATA_SEGMENT_RELRO_END has taken a section;
        without one GNU ld makes no RELRO segment and moves nothing for it."""
        inside = False
        for item in self.link.plan.statements:
            if type(item) is tuple:
                if item[0] == ast.ASSIGN:
                    if _calls(item[3], "DATA_SEGMENT_ALIGN"):
                        inside = True
                    elif _calls(item[3], "DATA_SEGMENT_RELRO_END"):
                        return False
            elif inside and type(item) is OutputSection and item.number:
                for run in item.statements:
                    if type(run) is Run and run.count and run.statement is not None:
                        return True
        return False


def _calls(expr, function):
    """Whether an expression calls a function."""
    return type(expr) is tuple and (expr[0] == function or any(_calls(part, function) for part in expr[2:]))


def is_tbss(section):
    """Zero-filled thread-local storage takes no room in the image."""
    return section.type == SHT_NOBITS and section.flags & SHF_TLS
