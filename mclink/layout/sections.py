"""From the script and the live sections to output sections: contents, flags, order, orphans.

Sources: GNU ld manual, nodes "Output Section Discarding", "Orphan Sections", "Input Section Wildcards",
and the behaviour of GNU ld 2.40.
"""

from mclink._core.classify import matches
from mclink._core.place import Members, stack_request
from mclink.context import OutputSection, Run
from mclink.elf import (
    SHF_ALLOC, SHF_COMPRESSED, SHF_EXCLUDE, SHF_EXECINSTR, SHF_GNU_RETAIN, SHF_GROUP, SHF_INFO_LINK,
    SHF_LINK_ORDER, SHF_MERGE, SHF_STRINGS, SHF_TLS, SHF_WRITE, SHT_FINI_ARRAY, SHT_INIT_ARRAY, SHT_NOBITS,
    SHT_PREINIT_ARRAY, SHT_PROGBITS)
from mclink.script import ast
from mclink.layout.orphans import place_orphans
from mclink.plan import Overlay, script_sections

# Flags of inputs that the output section of a final link does not show.
_INPUT_ONLY = SHF_INFO_LINK | SHF_GROUP | SHF_COMPRESSED | SHF_EXCLUDE

_TYPES_BY_NAME = {".init_array": SHT_INIT_ARRAY, ".fini_array": SHT_FINI_ARRAY,
                  ".preinit_array": SHT_PREINIT_ARRAY}

_EMPTY = (".bss", ".tbss", ".sbss")

# Output sections in which words of .ctors and .dtors stand in reverse.
_ARRAYS = (".init_array", ".fini_array")

# What a section without inputs has by its name (gABI, "Special Sections").
_FLAGS_BY_NAME = {".text": SHF_ALLOC | SHF_EXECINSTR, ".init": SHF_ALLOC | SHF_EXECINSTR,
                  ".fini": SHF_ALLOC | SHF_EXECINSTR, ".plt": SHF_ALLOC | SHF_EXECINSTR,
                  ".rodata": SHF_ALLOC, ".data": SHF_ALLOC | SHF_WRITE, ".data1": SHF_ALLOC | SHF_WRITE,
                  ".bss": SHF_ALLOC | SHF_WRITE, ".got": SHF_ALLOC | SHF_WRITE}


def create_outputs(link):
    """create output sections

    Leaves `link.outputs` (numbered, in the order of the script, orphans placed, empty ones gone),
    `link.members`, and Fragment.output.
    """
    plan = link.plan
    members = link.members = Members(link.tables, len(link.runs) + link.plan.plain)
    own = set()
    for section in script_sections(plan):
        if any(type(item) is tuple and item[0] == ast.CLASS_REF for item in section.statements):
            _expand_classes(section, plan, link.sources)
        describe_section(section, members, link, own)
    place_orphans(link, members, lambda section: describe_section(section, members, link, own))
    if link.options.relocatable:
        _pass_stack_note(link)
    if link.plan.memory:
        _carry_load_regions(plan)
    constants = None
    outputs = link.outputs = []
    for section in script_sections(plan):
        section.number = 0
        if not section.keep:
            if constants is None:
                constants = {node[2]: node[3] for node in plan.statements
                             if type(node) is tuple and node[0] == ast.ASSIGN and type(node[3]) is int}
            section.keep = _stays_empty(section, constants)
        if section.name == ".text" and not link.options.relocatable:
            # GNU ld decides this by the name.
            section.flags = section.flags | SHF_WRITE if link.options.omagic else section.flags & ~SHF_WRITE
        if section.keep or section.name in own:
            outputs.append(section)
            section.number = len(outputs)
    _order_members(link, members)
    if link.options.relocatable and (link.options.split_by_file is not None or link.options.split_by_reloc is not None):
        from mclink.layout.split import split_outputs
        split_outputs(link)
    for section in outputs:
        for item in section.statements:
            if type(item) is Run:
                members.set_output(link.tables, item.number, section.number)
                if section.type in (SHT_INIT_ARRAY, SHT_FINI_ARRAY) and section.name in _ARRAYS:
                    members.reverse_words(link.tables, item.number, link.target.data.ELF_CLASS // 8)


def _pass_stack_note(link):
    """-r: what the inputs say of the stack is said again, by the flags of an empty .note.GNU-stack."""
    executable, missing, noted = stack_request(link.tables)
    missing = missing if getattr(link.target.data, "DEFAULT_EXECSTACK", True) else 0
    if not noted or any(section.name == ".note.GNU-stack" for section in script_sections(link.plan)):
        return
    if any(file[0] == "*" and matches(pattern[0].encode("utf-8", "surrogateescape"), b".note.GNU-stack")
           for run in link.plan.discards if run.statement is not None
           for file in (run.statement[3],) for pattern in run.statement[4] or (("*",),)):
        return
    section = OutputSection(".note.GNU-stack")
    section.type = SHT_PROGBITS
    section.flags = SHF_EXECINSTR if executable or missing else 0
    section.keep = True
    statements = link.plan.statements
    index = next((i for i, item in enumerate(statements, 1)
                  if type(item) is OutputSection and item.name == ".comment"), len(statements))
    statements.insert(index, section)


def _carry_load_regions(plan):
    """AT> holds for the sections that follow in the same region without an address of their own."""
    placed = set()              # members of overlays: all have the address of the first, which may have none
    for item in plan.statements:
        if type(item) is Overlay and item.members:
            free = item.node[2] is None and item.node[4] is None
            placed.update(map(id, item.members[1:] if free else item.members))
    before = None
    for section in script_sections(plan):
        definition = section.definition
        if (before is not None and section.lma_region is None and section.region == before.region
                and id(section) not in placed
                and (definition is None or definition[4] is None and definition[7] is None)):
            section.lma_region = before.lma_region
        before = section


def drop_empty(link):
    """Take out the output sections whose only contents were the linker's own and turned out empty."""
    members = link.members
    tables = link.tables
    gone = False
    for section in link.outputs:
        runs = [item for item in section.statements if type(item) is Run]
        if not section.keep and not any(members.total_size(tables, run.number) for run in runs):
            section.number = 0
            gone = True
    if not gone:
        return
    link.outputs = [section for section in link.outputs if section.number]
    for number, section in enumerate(link.outputs, 1):
        section.number = number
        for item in section.statements:
            if type(item) is Run:
                members.set_output(tables, item.number, number)


def align_tls(link):
    """Give the first thread-local section the alignment of all of them: run-time linkers take the start of
    PT_TLS to be aligned to it (ELF Handling For Thread-Local Storage, section 3)."""
    tls = [section for section in link.outputs if section.flags & SHF_TLS and section.flags & SHF_ALLOC]
    if tls:
        tls[0].align = max(section.align for section in tls)


def _expand_classes(section, plan, sources):
    """Put the runs of a CLASS in the place of its first reference."""
    statements = []
    for item in section.statements:
        if type(item) is tuple and item[0] == ast.CLASS_REF:
            if item[2] not in plan.classes:
                sources.fail(item[1], f"undefined section class '{item[2]}'")
            for run in plan.classes[item[2]]:
                if run.output is None:
                    run.output = section
                    statements.append(run)
        else:
            statements.append(item)
    section.statements = statements


def describe_section(section, members, link, own):
    """Sum up the members of a section: type, flags, alignment, entry size, and whether they have a size.

    The name of a section that holds something of the linker's own is added to `own`: that gets its size
    after this pass, so the section stays until drop_empty()."""
    flags_or = 0
    flags_and = 0xffffffff
    entsize = None
    first_type = 0
    align = 1
    contents = internal = data = assigned = False
    for run in section.statements:
        if type(run) is not Run:
            kind = run[0]
            if kind == ast.DATA or kind == ast.ASCIZ:
                contents = section.keep = data = True
            elif kind == ast.ASSIGN and not data:
                assigned = True
            continue
        run.output = section
        run.first, run.count = members.extent(run.number)
        if not run.count:
            continue
        (run_or, run_and, run_type, run_align, run_entsize, run_contents, run_internal,
         total) = members.summary(run.number)
        flags_or |= run_or
        flags_and &= run_and
        if not first_type or first_type == SHT_NOBITS and run_contents:
            first_type = run_type
        if entsize is None:
            entsize = run_entsize
        elif entsize != run_entsize:
            entsize = 0
        if run_align > align:
            align = run_align
        contents = contents or run_contents
        internal = internal or run_internal
        # With relocations in the output, something may refer to a section of no bytes.
        if total or link.options.relocatable or link.options.emit_relocs:
            section.keep = True
    if flags_and == 0xffffffff:
        # Nothing but statements: as in GNU ld, data alone is read-only, data behind an assignment is not.
        flags_or = (SHF_ALLOC if data else 0) | (SHF_WRITE if assigned or not data else 0)
        flags_or |= _FLAGS_BY_NAME.get(section.name, 0)
        flags_and = flags_or
    elif data:
        flags_or |= SHF_ALLOC
    section.flags = _flags(flags_or, flags_and, entsize, link.options.relocatable)
    if section.definition is not None:
        section.flags &= ~SHF_GNU_RETAIN
    section.align = align
    section.entsize = entsize or 0
    if not section.flags & SHF_MERGE and first_type == SHT_PROGBITS and not internal:
        section.entsize = 0
    section.type = _TYPES_BY_NAME.get(section.name) or first_type
    if section.type in (SHT_INIT_ARRAY, SHT_FINI_ARRAY, SHT_PREINIT_ARRAY):
        section.entsize = link.target.data.ELF_CLASS // 8
    if not section.type or section.type == SHT_NOBITS and contents:
        # Without inputs the name decides (gABI, "Special Sections").
        section.type = SHT_NOBITS if not section.type and not contents and section.name in _EMPTY else SHT_PROGBITS
    elif not contents:
        section.type = SHT_NOBITS
    if internal:
        own.add(section.name)
    if section.definition is not None:
        _obey_kind(section)


def _flags(flags_or, flags_and, entsize, relocatable):
    flags = flags_or & ~(SHF_MERGE | SHF_STRINGS)
    if flags_and & SHF_MERGE and flags_and & SHF_STRINGS == flags_or & SHF_STRINGS and entsize:
        flags |= flags_and & (SHF_MERGE | SHF_STRINGS)
    if not flags_and & SHF_LINK_ORDER:
        flags &= ~SHF_LINK_ORDER
    return flags & ~(_INPUT_ONLY & ~SHF_GROUP if relocatable else _INPUT_ONLY)


def _obey_kind(section):
    """The type in parentheses: (NOLOAD), (INFO), (READONLY), (TYPE = n)."""
    kind = section.definition[5]
    if kind == "NOLOAD":
        if section.flags & SHF_ALLOC:
            section.type = SHT_NOBITS
    elif kind == "READONLY":
        section.flags &= ~SHF_WRITE
    elif kind:
        section.flags &= ~SHF_ALLOC
    if type(section.definition[6]) is int:
        section.type = section.definition[6]


def _stays_empty(section, constants):
    """Whether a section without contents is kept because of an assignment to the location counter."""
    for item in section.statements:
        if type(item) is tuple and item[0] == ast.ASSIGN and item[2] == "." and _moves(item[3], constants):
            return True
    return False


def _moves(expr, constants):
    """Whether ``. = expr`` keeps an empty section: anything but the forms that are idioms for nothing."""
    if type(expr) is int:
        return expr != 0
    kind = expr[0]
    if kind == ast.NAME:
        return bool(constants.get(expr[2]))
    if kind == "+" and type(expr[2]) is tuple and expr[2][0] == ast.DOT:
        return _moves(expr[3], constants)
    if kind == "ALIGN":
        condition = expr[2]
        return not (type(condition) is tuple and condition[0] == ast.CONDITIONAL
                    and type(condition[2]) is tuple and condition[2][0] == "!="
                    and type(condition[2][2]) is tuple and condition[2][2][0] == ast.DOT
                    and condition[2][3] == 0 and condition[4] == 1)
    return True


def _order_members(link, members):
    """Sort the members of each run as the script and the options ask, then by SHF_LINK_ORDER."""
    options = link.options
    order = []
    linked = False
    for section in link.outputs:
        linked = linked or section.flags & SHF_LINK_ORDER
        for run in section.statements:
            if type(run) is not Run:
                continue
            order.append(run.number)
            if run.count > 1 and run.statement is not None:
                _sort_run(link, members, run, options)
    members.rank_runs(order)
    members.sort_link_order(link.tables, order)


def _sort_run(link, members, run, options):
    _, _, _, file, sections, _, _ = run.statement
    by_file = file[1]
    sorts = [_sort_key(sort, options.sort_section) for _, _, sort, _ in sections]
    if not sorts:
        sorts = [_sort_key(ast.SORT_UNSET, options.sort_section)]
    if by_file in (ast.SORT_UNSET, ast.SORT_NONE) and all(s in (ast.SORT_UNSET, ast.SORT_NONE) for s in sorts):
        if options.sort_common and any(section[0] in ("COMMON", ".scommon") for section in sections):
            members.sort_commons(link.tables, run.number, options.sort_common == "descending")
        return
    numbers = None
    if any(sort != sorts[0] for sort in sorts):
        numbers = link.plan.matcher.pattern_numbers(link.tables, members.members(run.number))
    members.sort_run(link.tables, run.number, by_file, bytes(sorts), numbers)


def _sort_key(sort, option):
    """The sort key of a pattern with --sort-section taken in."""
    if option is None or option == "none":
        return sort
    if sort == ast.SORT_UNSET:
        return ast.SORT_NAME if option == "name" else ast.SORT_ALIGNMENT
    if sort == ast.SORT_NAME and option == "alignment":
        return ast.SORT_NAME_ALIGNMENT
    if sort == ast.SORT_ALIGNMENT and option == "name":
        return ast.SORT_ALIGNMENT_NAME
    return sort
