"""Which input statement of the script takes which section.

The rules are always a script: the target's default one or the user's. Statements are numbered in the
order of the script; the first that matches a section takes it. Sections that none takes are orphans
and get a rule of their own for each distinct name. Source: GNU ld manual, node "SECTIONS".
"""

from mclink._core.classify import Matcher, discard_rules
from mclink._core.orphans import number_orphans
from mclink.context import OutputSection, Run
from mclink.diag import LinkError
from mclink.script import ast
from mclink.plan import Orphan, Overlay, Plan, place_behind, script_sections

_KEEP = 1                 # classify.pyx: RULE_KEEP
_DISCARD = 2              # classify.pyx: RULE_DISCARD


def match_sections(link):
    """match sections

    Leaves `link.plan`, `link.runs`, and in each fragment of a live file the number of the run that
    takes it (0: none, it is not part of the output). ONLY_IF_RO and ONLY_IF_RW are decided here.
    """
    builder = _Builder(link)
    builder.read(link.script)
    plan = link.plan = builder.plan
    options = link.options
    matcher = plan.matcher
    if options.unique:
        for pattern in options.unique:
            matcher.add_unique(_encode(pattern))
    matcher.set_rules(bytes(builder.bits))
    strip_debug = options.strip != "none"
    apart = options.relocatable and not options.force_group_allocation and not builder.groups_allocated
    matcher.classify(link.tables, strip_debug, apart)
    for section in builder.constrained:
        _decide_constraint(link, section, strip_debug, apart)
    _number_orphans(link)


class _Builder:
    """Walks a script and makes the plan and the matcher of it."""

    def __init__(self, link):
        self.runs = link.runs
        self.plan = Plan()
        self.matcher = self.plan.matcher = Matcher()
        self.bits = bytearray(len(link.runs))
        self.conditions = {}
        self.constrained = []
        self.groups_allocated = False
        self.sources = link.sources
        self.linker_version = link.options.linker_version
        for name in link.options.discard_sections:
            run = self.add_run(None, None, _DISCARD)
            self.plan.discards.append(run)
            self.matcher.add_pattern(_encode(name), run.number, 0, 0, 0, 0)

    def read(self, script):
        plan = self.plan
        waiting = []                # statements of SECTIONS commands since the last INSERT
        inserts = []
        for node in script:
            kind = node[0]
            if kind == ast.SECTIONS:
                first = len(plan.statements)
                for statement in node[2]:
                    self.add_statement(statement)
                waiting += plan.statements[first:]
            elif kind in (ast.ASSIGN, ast.ASSERT):
                plan.statements.append(node)
            elif kind == ast.INSERT:
                moved = set(map(id, waiting))
                plan.statements = [item for item in plan.statements if id(item) not in moved]
                inserts.append((node, waiting))
                waiting = []
            elif kind == ast.MEMORY:
                plan.memory.extend(node[2])
            elif kind == ast.REGION_ALIAS:
                plan.aliases[node[2]] = (node[1], node[3])
            elif kind == ast.PHDRS:
                plan.phdrs = (plan.phdrs or []) + list(node[2])
            elif kind in (ast.NOCROSSREFS, ast.NOCROSSREFS_TO):
                plan.no_crossrefs.append((node[1], node[2], kind == ast.NOCROSSREFS_TO))
            elif kind == ast.LD_FEATURE:
                plan.sane = plan.sane or node[2] == "SANE_EXPR"
            elif kind == ast.FORCE_GROUP_ALLOCATION:
                self.groups_allocated = True
        for node, statements in inserts:
            self.insert(node, statements)

    def insert(self, node, statements):
        """INSERT AFTER or BEFORE: what stood before it moves next to an output section."""
        where = self.plan.statements
        before = -1                     # index of the output section in front
        for index, item in enumerate(where):
            if type(item) is tuple:
                continue
            names = [item.name] if isinstance(item, OutputSection) else [member.name for member in item.members]
            if node[3] in names:
                index = place_behind(where, index if node[2] == "AFTER" else before)
                where[index:index] = statements
                return
            before = index
        self.sources.fail(node[1], f"section '{node[3]}' not found for INSERT")

    def add_statement(self, node):
        kind = node[0]
        if kind == ast.OUTSEC:
            if node[2] == ast.DISCARD_NAME:
                self.add_discard(node[10])
                return
            section = self.output_section(node)
            if node[3] & (ast.ONLY_IF_RO | ast.ONLY_IF_RW):
                self.constrained.append(section)
            self.plan.statements.append(section)
        elif kind == ast.OVERLAY:
            overlay = Overlay(node)
            pos = node[1]
            for name, member_pos, body, phdrs, fill in node[6]:
                definition = (ast.OUTSEC, member_pos or pos, name, 0, None, "", None, None, None, node[5], body,
                              node[7], node[8], phdrs or node[9], node[10] if fill is None else fill)
                overlay.members.append(self.output_section(definition))
            if node[3]:
                self.plan.no_crossrefs.append((pos, tuple(member[0] for member in node[6]), False))
            self.plan.statements.append(overlay)
        elif kind == ast.CLASS:
            runs = self.plan.classes.setdefault(node[2], [])
            for statement in node[3]:
                if statement[0] == ast.PATTERN:
                    runs.append(self.add_pattern(statement, None))
        elif kind != ast.ENTRY:
            self.plan.statements.append(node)

    def output_section(self, node):
        section = OutputSection(node[2])
        section.definition = node
        section.region = node[11]
        section.lma_region = node[12]
        section.phdrs = list(node[13]) or None
        statements = section.statements
        for statement in node[10]:
            kind = statement[0]
            if kind == ast.PATTERN:
                statements.append(self.add_pattern(statement, section))
            elif kind == ast.LINKER_VERSION:
                if self.linker_version:
                    statements.append((ast.ASCIZ, statement[1], version_text()))
            elif kind not in (ast.ENTRY, ast.CONSTRUCTORS, ast.CREATE_OBJECT_SYMBOLS):
                # CONSTRUCTORS and CREATE_OBJECT_SYMBOLS have no meaning for ELF, in GNU ld either.
                statements.append(statement)
        return section

    def add_discard(self, body):
        for statement in body:
            if statement[0] == ast.PATTERN:
                run = self.add_pattern(statement, None, _DISCARD)
                self.plan.discards.append(run)

    def add_run(self, statement, output, bits):
        run = Run(len(self.runs), output, statement)
        self.runs.append(run)
        self.bits.append(bits)
        return run

    def add_pattern(self, node, output, bits=0):
        """A run for an input statement, its patterns given to the matcher."""
        _, _, keep, file, sections, with_flags, without_flags = node
        run = self.add_run(node, output, bits | (_KEEP if keep else 0))
        pattern, _, excludes = file
        number = 0
        for section, _, _, section_excludes in sections or (("*", 0, 0, ()),):
            if pattern == "*" and not excludes and not section_excludes:
                condition = 0
            else:
                condition = self.condition(pattern, tuple(excludes) + tuple(section_excludes))
            self.matcher.add_pattern(_encode(section), run.number, number, condition, with_flags,
                                     without_flags)
            number += 1
        return run

    def condition(self, pattern, excludes):
        key = (pattern, excludes)
        number = self.conditions.get(key)
        if number is None:
            number = self.matcher.add_condition(None if pattern == "*" else _split(pattern),
                                                [_split(exclude) for exclude in excludes])
            self.conditions[key] = number
        return number


def version_text():
    """What LINKER_VERSION puts into the output: bytes with a final NUL."""
    from mclink import __version__
    return f"mclink {__version__}".encode() + b"\0"


def _encode(name):
    return name.encode("utf-8", "surrogateescape")


def _split(pattern):
    archive, member = ast.split_archive(pattern)
    return (None if archive is None else _encode(archive)), (None if member is None else _encode(member))


def _decide_constraint(link, section, strip_debug, apart):
    """Drop a section of ONLY_IF_RO that would get a writable input, of ONLY_IF_RW a read-only one.

    What it took is matched again, with the statements that follow."""
    matcher = link.plan.matcher
    runs = [run for run in section.statements if isinstance(run, Run)]
    unwanted = 1 if section.definition[3] & ast.ONLY_IF_RO else 0
    taken = [matcher.seen(run.number) for run in runs]
    empty = not any(some_ro or some_rw for some_ro, some_rw in taken)
    if empty and not unwanted or any(seen[unwanted] for seen in taken):
        link.plan.statements.remove(section)
        if empty:
            return
        only = bytearray(len(link.runs))
        for run in runs:
            matcher.switch_off(run.number)
            only[run.number] = 1
        matcher.classify(link.tables, strip_debug, apart, bytes(only))


def _number_orphans(link):
    options = link.options
    plan = link.plan
    runs = link.runs
    plan.first_orphan = len(runs)
    names = None
    # Sections that are to be cut in pieces are OutputSections.
    if options.relocatable and options.orphan_handling == "place" and options.split_by_file is None and options.split_by_reloc is None:
        names = [_encode(section.name) for section in script_sections(plan)]
    # What is compressed is an OutputSection, for its new size and contents.
    compressed = options.compress_debug[0] != "none" or bool(options.compress_sections)
    apart = options.unique is not None and not options.unique
    found, plan.plain = number_orphans(link.tables, plan.matcher.orphans(), plan.first_orphan, apart, names, compressed)
    if options.orphan_handling == "discard":
        discard_rules(link.tables, plan.first_orphan)
    for name, type, flags, first in found:
        run = Run(len(runs), None, None)
        runs.append(run)
        plan.orphans.append(Orphan(name, type, flags, first, run))
