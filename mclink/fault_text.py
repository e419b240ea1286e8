"""The words for each fault of the core: where, what, which symbol, what to do."""

from mclink import diag, places
from mclink._core import files, inspect, symbols

FIELDS = ("file", "frag", "offset", "code", "type", "gid", "sym", "value", "low", "high")

FAULT_UNDEFINED, FAULT_OVERFLOW, FAULT_DISCARDED, FAULT_DUPLICATE = 6, 7, 8, 18
MOST_REFERENCES = 3         # places that an undefined symbol's block shows
MOST_HINTED = 100           # undefined symbols for which hints are looked for
STATE_SCRIPT_DISCARD = 16
SHF_ALLOC = 2

# Fault.type of FAULT_TRUNCATED, FAULT_BAD_HEADER and FAULT_BAD_SHARED: the WHAT_* of _core.parse.
WHAT = {0: "a note", 1: "the ELF header", 2: "the table of section headers", 3: "a section", 4: "the symbol table",
        5: "a string table", 6: "a section group", 7: "a version table", 8: "the dynamic section"}

VISIBILITY = {1: "internal ", 2: "hidden ", 3: "protected "}


def report_all(link, rows):
    """Prints sorted fault rows of Tables.faults(); undefined symbols and discarded ones are grouped."""
    undefined = False
    discarded = set()
    for row in rows:
        fault = dict(zip(FIELDS, row))
        code = fault["code"]
        if code == FAULT_UNDEFINED:
            if not undefined:
                undefined = True
                report_undefined(link)
        elif code == FAULT_DISCARDED:
            report_discarded(link, fault, rows, discarded)
        elif code == FAULT_OVERFLOW and not link.options.z_reloc_overflow:
            pass
        else:
            key = diag.FAULTS.get(code)
            fields, lines = DESCRIBE.get(key, describe_relocation if fault["frag"] else describe_file)(link, fault)
            fields.setdefault("place", files.file_name(link.tables, fault["file"]))
            severity, text = diag.format_message(key, Fields(fields))
            say = link.diag.warn if severity == "warning" else link.diag.error
            say(text + "".join("\n>>> " + line for line in lines))


class Fields(dict):
    """Fields of a message; one that a fault does not have reads as its own name."""

    def __missing__(self, key):
        return key


def reference_lines(link, fault_file, frag, offset):
    """Where a reference stands, by its file alone when no section is known."""
    if not frag:
        return [f"referenced by {files.file_name(link.tables, fault_file)}"]
    return places.reference_lines(link, frag, offset)


# -- symbols

def report_undefined(link):
    """All undefined symbols, in the order of their first references."""
    found = inspect.undefined_references(link.tables, MOST_REFERENCES)
    for number, (gid, (count, where)) in enumerate(found.items()):
        lines = []
        for frag, offset in where:
            lines += places.reference_lines(link, frag, offset)
        if count > len(where):
            more = count - len(where)
            lines.append(f"referenced {more} more time{'s' if more > 1 else ''}")
        if number < MOST_HINTED:
            from mclink.hints import hint_lines
            first = places.owner(link, where[0][0])[0] if where else 0
            lines += hint_lines(link, gid, first)
        visibility = VISIBILITY.get(symbols.describe(link.tables, gid)[7], "")
        say_undefined(link, visibility, gid, lines)


def say_undefined(link, visibility, gid, lines):
    """One undefined symbol: an error, or the warning that --unresolved-symbols made of it."""
    key = "undefined-symbol"
    if link.options.unresolved_in_objects == "warn" and not visibility:
        key = "undefined-symbol-warning"
    link.diag.report(key, *lines, symbol=places.symbol_text(link, gid), visibility=visibility)
    link.diag.run_error_script("undefined-symbol", symbols.name(link.tables, gid).decode("utf-8", "surrogateescape"))


def report_discarded(link, fault, rows, seen):
    """References to one symbol of a dropped section, grouped."""
    code = FAULT_DISCARDED
    key = (fault["gid"], 0 if fault["gid"] else fault["file"], 0 if fault["gid"] else fault["sym"])
    if key in seen:
        return
    seen.add(key)
    same = [row for row in rows if row[3] == code and row[5] == fault["gid"]
            and (fault["gid"] or (row[0], row[6]) == key[1:])]
    file, sym = fault["file"], fault["sym"]
    lines = []
    row = inspect.symbol(link.tables, file, sym)
    index = row[1] if row and 0 < row[1] < 0xff00 else 0
    if not index and fault["gid"]:
        # The reference is in a file that does not define it: the definition's own file knows the section.
        file, sym = symbols.describe(link.tables, fault["gid"])[:2]
        row = inspect.symbol(link.tables, file, sym) if file else None
        index = row[1] if row and 0 < row[1] < 0xff00 else 0
    section = places.text_of(inspect.section(link.tables, file, index)) if index else ""
    if index:
        group = inspect.group_of(link.tables, file, index)
        lines.append(f"defined in section {section} of {files.file_name(link.tables, file)}")
        if group:
            lines.append(f"section group signature: {places.symbol_text(link, group[0])}")
            if group[1] and group[1] != file:
                lines.append(f"prevailing definition is in {files.file_name(link.tables, group[1])}")
        else:
            lines.append("the linker script discards that section")
    for other in same[:MOST_REFERENCES]:
        lines += reference_lines(link, other[0], other[1], other[2])
    if len(same) > MOST_REFERENCES:
        lines.append(f"referenced {len(same) - MOST_REFERENCES} more times")
    symbol = places.named_symbol(link, file, sym, fault["gid"]).strip("'")
    link.diag.report("discarded", *lines, symbol=symbol)


def describe_duplicate(link, fault):
    """Both places of a symbol that is defined twice."""
    lines = places.definition_lines(link, fault["type"], fault["value"])
    lines += places.definition_lines(link, fault["file"], fault["sym"], alone=True)
    return {"symbol": places.symbol_text(link, fault["gid"])}, lines


# -- relocations

def describe_relocation(link, fault):
    """Fields and lines of a fault about one relocation."""
    file, gid, sym = fault["file"], fault["gid"], fault["sym"]
    if not sym and not gid and fault["frag"]:
        sym = inspect.relocation_symbol(link.tables, fault["frag"], fault["offset"], fault["type"])
    symbol = places.named_symbol(link, file, sym, gid)
    fields = dict(fault, file=files.file_name(link.tables, file), number=fault["value"], symbol=symbol,
                  type=link.target.reloc_name(fault["type"]))
    if fault["frag"]:
        fields["place"] = places.short_place(link, fault["frag"], fault["offset"])
    lines = []
    definer = places.definer(link, gid)
    if definer:
        lines.append(f"defined in {definer}")
    lines += reference_lines(link, file, fault["frag"], fault["offset"])
    return fields, lines


def describe_pic(link, fault):
    """A relocation that position-independent output cannot have."""
    fields, lines = describe_relocation(link, fault)
    if fields["symbol"].startswith("'"):
        fields["symbol"] = ("symbol " if fault["gid"] else "local symbol ") + fields["symbol"]
    return fields, lines


def describe_range(link, fault):
    """A value that does not fit: how far it is, and what makes room."""
    if not fault["low"] and not fault["high"]:
        place = places.short_place(link, fault["frag"], fault["offset"])
        return dict(fault, place=place, type="in .eh_frame_hdr", low=-1 << 31, high=(1 << 31) - 1, references=""), [
            "the code and .eh_frame are more than 2 GiB apart; --no-eh-frame-hdr leaves the table out"]
    fields, lines = describe_relocation(link, fault)
    fields["references"] = f"; references {fields['symbol']}"
    lines = ["defined in " + line[len("defined in "):] if line.startswith("defined in ") else line for line in lines]
    if not fragment_flags(link, fault["frag"]) & SHF_ALLOC:
        lines.append("the debug information is too large for this format; compile with -gdwarf64")
    elif fault["high"] - fault["low"] >= (1 << 32) - 1:
        lines.append("the target is too far away for this code: compile with a larger code model (-mcmodel=), or "
                     "place the two closer together")
    return fields, lines


def fragment_flags(link, frag):
    from mclink._core import load
    return load.fragment(link.tables, frag)[2]


def describe_tls(link, fault):
    """Which side of a relocation takes the symbol for thread-local."""
    fields, lines = describe_relocation(link, fault)
    lines.append("declare it with the same storage class (_Thread_local, thread_local) in every file")
    return fields, lines


# -- files

def describe_file(link, fault):
    """A fault about a file as a whole, or a table of it."""
    file = fault["file"]
    return dict(fault, file=files.file_name(link.tables, file), number=fault["value"],
                what=WHAT.get(fault["type"], "a table")), []


def describe_section(link, fault):
    """A fault at a byte of a section."""
    fields, _ = describe_file(link, fault)
    if fault["frag"]:
        fields["place"] = places.short_place(link, fault["frag"], fault["offset"])
    return fields, []


def describe_truncated(link, fault):
    fields, lines = describe_file(link, fault)
    if fault["type"] == 3 and fault["value"] > 0:
        name = inspect.section(link.tables, fault["file"], fault["value"])
        fields["what"] = f"section {fault['value']}" + (f" ({places.text_of(name)})" if name else "")
    elif fault["frag"]:
        fields["what"] = f"section {places.section_text(link, fault['frag'])}"
    return fields, lines


def describe_symbol(link, fault):
    """A damaged symbol-table entry: its number is in `offset`."""
    fields, lines = describe_file(link, fault)
    fields["number"] = fault["offset"]
    fields["why"] = (f"section index {fault['value']} does not exist" if fault["type"] else
                     f"name offset {fault['value']:#x} leaves the string table")
    return fields, lines


def describe_group(link, fault):
    fields, lines = describe_file(link, fault)
    fields["why"] = "it names a section that does not exist" if fault["type"] else "its size or its symbol is wrong"
    return fields, lines


def describe_align(link, fault):
    fields, lines = describe_file(link, fault)
    fields["number"] = fault["type"]
    return fields, lines


def describe_archive(link, fault):
    fields, lines = describe_file(link, fault)
    fields["why"] = {0: "a member's header leaves the file", 1: "a member's header is damaged",
                     2: "a member's name is damaged", 3: "a member leaves the file",
                     4: "the symbol index is damaged; ranlib makes a new one"}.get(fault["type"], "damaged")
    return fields, lines


def describe_machine(link, fault):
    """An object for another machine: what it is, what the output is."""
    fields, lines = describe_file(link, fault)
    fields["target"] = link.target.emulation if link.target else "the output"
    elf_class, order, machine = inspect.identification(link.tables, fault["file"])
    from mclink.target import emulation_of_machine
    emulation = emulation_of_machine(machine, elf_class == 2, order == 2)
    lines.append(f"it is {'a 64' if elf_class == 2 else 'a 32'}-bit {'big' if order == 2 else 'little'}-endian object "
                 + (f"for {emulation}" if emulation else f"for ELF machine {machine}"))
    return fields, lines


DESCRIBE = {
    "truncated": describe_truncated,
    "bad-symbol": describe_symbol,
    "bad-group": describe_group,
    "bad-align": describe_align,
    "bad-archive": describe_archive,
    "bad-eh-frame": describe_section,
    "bad-merge": describe_section,
    "wrong-machine": describe_machine,
    "duplicate-symbol": describe_duplicate,
    "reloc-range": describe_range,
    "needs-pic": describe_pic,
    "textrel": describe_pic,
    "no-copy": describe_pic,
    "tls-mismatch": describe_tls,
}
