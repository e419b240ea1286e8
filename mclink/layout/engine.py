"""Obeys the statements of the plan: sizes output sections and gives them addresses.

Two walks, as in GNU ld. Sizing gives every output section its address and size. Afterwards the final walk
gives the symbols their values; it sees the location counter that the sections left behind, which differs
from what sizing saw where a section was dropped that had an address of its own.
"""

from mclink._core import symbols
from mclink.context import OutputSection, Run
from mclink.elf import SHF_ALLOC, SHF_EXECINSTR, SHF_TLS, SHF_WRITE, SHT_NOBITS
from mclink.layout.environment import ENDED, DONE, NONE, G_SCRIPT, ScriptEnvironment, is_tbss
from mclink.layout.regions import Regions
from mclink.layout.sections import script_sections
from mclink.plan import Assignment, Data, Fill, Overlay
from mclink.script import ast
from mclink.script.ast import expression_names
from mclink.script.evaluate import (
    ABSOLUTE, NEAREST, absolute_value, align, dot_value, evaluate, symbol_value)
from mclink.script.names import overlay_symbol

G_PROVIDE = 4194304           # tables.pxd
_MASK = (1 << 64) - 1


class Engine(ScriptEnvironment):
    """The state of one layout."""

    __slots__ = (
        "program",      # what is left of the plan: OutputSection, Overlay, Assignment, ASSERT nodes
        "plain",        # -r: sections at address 0 that the script says nothing about
        "asked",        # names of the sections whose address the script asks for
        "loaded",       # sections that take room in their region
        "snapshot",     # addresses and symbols of the round before
        "last_moved",   # (snapshot before, snapshot now) of the last round that moved
        "current",      # final walk: the allocated section met last
        "skipped",      # final walk: the location counter was moved since
        "passed_end",   # final walk: past the assignment to _end
        "index",        # final walk: index of the item in the program
        "sources_of",   # symbol -> the only name in the expression that it was assigned last
        "neighbours",   # symbol -> the section that it belongs to by its place in the script
    )

    def __init__(self, link):
        super().__init__(link)
        self.snapshot = None
        self.last_moved = None
        self.loaded = set()
        self.make_program()
        Regions(link, self)

    # -- the program: what is left of the plan

    def make_program(self):
        """Leave out what has no effect: unused PROVIDEs, dropped sections without assignments."""
        plan = self.link.plan
        wanted, self.asked = self.link.extra["names_read"]
        self.program = program = []
        self.plain = plain = []
        relocatable = self.options.relocatable
        for item in plan.statements:
            if type(item) is OutputSection:
                if relocatable and item.definition is None:
                    plain.append(item)
                elif self.add_section(item, wanted):
                    if self.given_address(item) and program and self.is_void(program[-1]):
                        # The counter that the one before leaves behind is not looked at.
                        program.pop()
                    program.append(item)
            elif type(item) is Overlay:
                for member in item.members:
                    self.add_section(member, wanted)
                program.append(item)
            elif item[0] != ast.ASSIGN:
                program.append(item)
            elif item[2] == "." or self.is_active(item, wanted):
                program.append(Assignment(item))
        while program and self.is_void(program[-1]):
            program.pop()

    def is_void(self, item):
        """Whether an item of the program is a dropped section that does nothing but move the counter."""
        return type(item) is OutputSection and not item.number and not self.bodies[item] \
            and item.name not in self.asked

    def add_section(self, section, wanted):
        """Make the body of a section; False when it can be left out altogether."""
        if section.number or section.name not in self.by_name:
            self.by_name[section.name] = section
        body = []
        for item in section.statements:
            if type(item) is Run:
                if item.count and section.number:
                    body.append(item)
                continue
            if type(item) is not tuple:
                body.append(item)
                continue
            kind = item[0]
            if kind == ast.ASSIGN:
                if item[2] == "." or self.is_active(item, wanted):
                    body.append(Assignment(item))
            elif kind == ast.ASSERT:
                body.append(item)
            elif kind == ast.DATA:
                body.append(Data(item, abs(item[2])))
            elif kind == ast.ASCIZ:
                body.append(Data(item, len(item[2]), item[2]))
            elif kind == ast.FILL:
                body.append(Fill(item))
        # The writer and the map want the same objects; runs without members stay for the map.
        if section.number:
            made = iter(item for item in body if type(item) is not Run and type(item) is not tuple)
            section.statements = _merge_bodies(section.statements, made)
        self.bodies[section] = body
        if section.flags & SHF_ALLOC or self.was_loaded(section):
            self.loaded.add(section)
        return bool(section.number or body or self.given_address(section) or section.name in self.asked)

    def was_loaded(self, section):
        """Whether (INFO) or its like took SHF_ALLOC from sections that have contents: GNU ld lets these take
        part in the region all the same."""
        return section.definition is not None and section.definition[5] in ("INFO", "COPY", "DSECT", "OVERLAY") \
            and any(type(item) is Run and item.count and self.members.summary(item.number)[0] & SHF_ALLOC
                    for item in section.statements)

    def given_address(self, section):
        definition = section.definition
        return definition is not None and definition[4] is not None or definition is None \
            and not section.flags & SHF_ALLOC

    def is_active(self, node, wanted):
        if node[4] not in (ast.PROVIDE, ast.PROVIDE_HIDDEN):
            return True
        name = node[2]
        if name in wanted:
            return True
        gid = symbols.lookup(self.tables, name.encode("utf-8", "surrogateescape"))
        return bool(gid and symbols.flags(self.tables, gid) & G_PROVIDE)

    # -- sizing

    def size_sections(self):
        """One round of sizing, with the rounds that the end of RELRO asks for."""
        self.phase = NONE
        self.relro_end = 0
        self.walk()
        if self.phase != ENDED:
            if self.phase != NONE:
                self.phase = DONE
            return
        if self.relro and self.relro_end:
            initial = self.segment_base
            expected = self.fit_relro()
            self.walk()
            if self.relro_end > expected:
                # An assignment to the location counter in the segment made it larger: no use in moving it.
                self.segment_base = initial
                self.walk()
        elif self.fit_segment():
            self.walk()

    def walk(self):
        """Give every section of the program its address and size."""
        self.start_walk(False)
        for section in self.plain:
            size = 0
            for run in section.statements:
                run.offset = size
                size = self.members.place_run(self.tables, run.number, 0, size, -1)
                run.size = size - run.offset
            section.size = size
        for item in self.program:
            kind = type(item)
            if kind is OutputSection:
                self.size_section(item)
            elif kind is Overlay:
                self.size_overlay(item)
            elif kind is Assignment:
                self.assign(item)
                self.regions.default.current = self.dot

    def start_walk(self, final):
        self.final = final
        self.forward = False
        self.dot = 0
        self.section = ABSOLUTE
        self.known = set()
        self.sized = set()
        self.places = {}
        self.guesses = {}
        self.regions.reset()

    def size_section(self, section, overlay=None):
        """Address, size and load address of one output section; moves the location counter behind it."""
        definition = section.definition
        address = definition[4] if definition is not None else None
        explicit = True
        if overlay is not None:
            self.dot = overlay[0]
        elif address is not None:
            self.section = ABSOLUTE
            self.dot = absolute_value(address, self)
        elif section.name in self.options.section_start:
            self.dot = self.options.section_start[section.name]
        elif definition is None and (self.options.relocatable or not section.flags & SHF_ALLOC):
            self.dot = 0
        else:
            explicit = False
        body = self.bodies[section]
        if not section.number and not any(type(item) is Assignment and item.node[2] != "." for item in body):
            if section.name in self.asked and self.by_name[section.name] is section:
                start = self.dot if explicit else self.regions.choose(section, False).current
                section.address = align(start, self.alignment_of(definition))
                section.lma = section.address
                if definition is not None and definition[7] is not None:
                    section.lma = self.expression(definition[7], 0)
                elif section.lma_region is not None:
                    section.lma = self.regions.find(section.lma_region, definition[1]).current
                self.sized.add(section)
            return
        region = self.regions.choose(section, explicit)
        start = self.dot if explicit else region.current
        wanted = self.alignment_of(definition)
        alignment = wanted if explicit and overlay is None else max(wanted, section.align)
        base = align(start, alignment)
        padding = base - start
        if wanted > section.align:
            section.align = wanted
        section.address = base
        self.sized.add(section)
        size = self.size_body(section, body, base)
        if not section.number:
            size = 0
        section.size = size
        self.set_load_address(section, region, base, size, padding, wanted, overlay)
        self.dot = base
        if not is_tbss(section) or self.options.relocatable:
            self.dot = base + size & _MASK
        if section.number and (section in self.loaded or section.flags & SHF_ALLOC):
            region.move(self.dot, section, base)
            if section.lma_region is not None and section.type != SHT_NOBITS:
                # What is zero-filled takes no room where the image is stored.
                load = self.regions.find(section.lma_region, 0)
                if load is not region and section.flags & SHF_ALLOC:
                    load.move(section.lma + self.dot - base, section, section.lma)

    def size_body(self, section, body, base):
        """Place the contents of a section at address `base`; returns its size."""
        offset = 0
        members = self.members
        tables = self.tables
        subalign = -1
        if section.definition is not None and section.definition[9] is not None:
            subalign = _power_of_two(self.expression(section.definition[9], 1)).bit_length() - 1
            if any(type(item) is Run for item in body):
                section.align = max(section.align, 1 << subalign)
        moved = False
        self.section = section
        for item in body:
            kind = type(item)
            if kind is Run:
                item.offset = offset
                offset = members.place_run(tables, item.number, base, offset, subalign)
                item.size = offset - item.offset
            elif kind is Assignment:
                self.dot = base + offset & _MASK
                self.assign(item)
                if item.node[2] == ".":
                    new = self.dot - base & _MASK
                    if new >> 63:
                        if self.final:
                            self.sources.fail(item.node[1], f"cannot move location counter backwards (from "
                                              f"{base + offset:#x} to {self.dot:#x})")
                        new = offset
                    if new != offset:
                        moved = True
                    if new < offset:
                        if self.final:
                            self.sources.fail(item.node[1], f"cannot move location counter backwards (from "
                                              f"{base + offset:#x} to {self.dot:#x})")
                        new = offset
                    offset = new
            elif kind is Data:
                item.offset = offset
                if self.final and item.contents is None:
                    self.dot = base + offset & _MASK
                    item.value = self.data_value(item)
                offset += item.size
            elif kind is Fill:
                item.offset = offset
                if self.final:
                    item.pattern = self.fill_pattern(item.node[2])
            elif self.final:
                self.dot = base + offset & _MASK
                evaluate(item, self)
        if moved and offset and section.number:
            self.allocate_moved(section)
        self.section = ABSOLUTE
        return offset

    def allocate_moved(self, section):
        """A section whose only contents is space that the location counter skipped is allocated memory."""
        kind = section.definition[5] if section.definition is not None else ""
        if kind and kind not in ("READONLY", "NOLOAD"):
            return
        if any(type(item) is Data or type(item) is Run and item.count for item in section.statements):
            return
        section.type = SHT_NOBITS
        section.flags |= SHF_ALLOC
        if kind != "READONLY" and (section.name != ".text" or self.options.omagic):
            section.flags |= SHF_WRITE

    def data_value(self, item):
        number, where = evaluate(item.node[3], self)
        if where is not None and where is not ABSOLUTE and where is not NEAREST:
            number += where.address
        return number & ((1 << 8 * item.size) - 1)

    def fill_pattern(self, fill):
        """The bytes of =fill or FILL(): see ast.py, Fill."""
        if fill is None or type(fill) is bytes:
            return fill
        return (absolute_value(fill, self) & 0xffffffff).to_bytes(4, "big")

    def set_load_address(self, section, region, base, size, padding, wanted, overlay):
        """The load address: AT(), AT>, or the distance of the section before (GNU ld manual, node "Output
        Section LMA")."""
        definition = section.definition
        last = region.last
        lma = base
        if definition is not None and definition[7] is not None and (overlay is None or overlay[1]):
            self.section = ABSOLUTE
            lma = absolute_value(definition[7], self)
        elif section.lma_region is not None:
            load = self.regions.find(section.lma_region, definition[1] if definition is not None else 0)
            lma = load.current
            if definition is not None and definition[3] & ast.ALIGN_WITH_INPUT:
                lma += padding
            else:
                lma = align(lma, section.align if load is region else wanted)
        elif last is not None and section.flags & SHF_ALLOC:
            if overlay is not None and not overlay[1]:
                lma = last.lma + last.size
            elif not (base < last.address and size and base + size <= last.address):
                lma = align(base + last.lma - last.address, section.align) if base == align(base, section.align) \
                    else base + last.lma - last.address
        section.lma = lma & _MASK
        if (section.flags & SHF_ALLOC and not is_tbss(section) and section.lma_region is None
                and not self.options.relocatable
                and (size or last is None and base != lma or last is not None and base >= last.address)):
            region.last = section

    def size_overlay(self, overlay):
        """The sections of an OVERLAY start at one address; their load addresses follow each other."""
        node = overlay.node
        self.section = ABSOLUTE
        start = self.dot if node[2] is None else absolute_value(node[2], self)
        if node[2] is None and overlay.members:
            region = self.regions.choose(overlay.members[0], False)
            start = align(region.current, max([member.align for member in overlay.members if member.number]
                                              or [1]))
        largest = 0
        first = True
        for member in overlay.members:
            if not member.number:
                member.address = member.lma = start
                if member is overlay.members[0] and node[4] is not None:
                    member.lma = absolute_value(node[4], self)
                self.sized.add(member)
                self.bounds(member)
                continue
            if first and node[4] is not None:
                member.definition = member.definition[:7] + (node[4],) + member.definition[8:]
            self.size_section(member, (start, first))
            largest = max(largest, member.size)
            first = False
            self.bounds(member)
        self.dot = start + largest & _MASK
        if overlay.members:
            self.regions.choose(overlay.members[0], True).move(self.dot)

    def bounds(self, member):
        """__load_start_X and __load_stop_X of an overlay's section."""
        name = overlay_symbol(member.name)
        for symbol, value in (("__load_start_" + name, member.lma),
                              ("__load_stop_" + name, member.lma + (member.size if member.number else 0))):
            self.values[symbol] = (value & _MASK, ABSOLUTE)
            self.known.add(symbol)

    def assign(self, item):
        """Obey an assignment where the location counter stands now."""
        node = item.node
        if node[2] == ".":
            self.dot = dot_value(node[3], self)
            item.address = item.value = self.dot
            return
        item.address = self.dot
        value = symbol_value(node[3], self)
        self.values[node[2]] = value
        self.known.add(node[2])
        number, where = value
        if self.final:
            if where is NEAREST:
                self.neighbours[node[2]] = self.nearest()
            names = []
            expression_names(node[3], names)
            if len(names) == 1:
                self.sources_of[node[2]] = names[0]
            else:
                self.sources_of.pop(node[2], None)
        item.value = number if where is ABSOLUTE or where is NEAREST else number + where.address & _MASK

    def alignment_of(self, definition):
        """The value of an ALIGN attribute, a power of two."""
        return 1 if definition is None or definition[8] is None else _power_of_two(self.expression(definition[8], 1))

    # -- the fixed point

    def moved(self):
        """Whether this round must be repeated because it used what a later one may find different."""
        for section, size in self.guesses.items():
            if section.size != size:
                self.forward = True
        if not self.forward:
            self.snapshot = ()
            return False
        now = [(section.address, section.size, section.lma) for section in self.link.outputs]
        now.append(dict(self.values))
        if now == self.snapshot:
            return False
        self.last_moved = self.snapshot, now
        self.snapshot = now
        return True

    def describe_movement(self):
        """Which section or symbol still moved in the last round."""
        if self.last_moved is None or not self.last_moved[0]:
            return "the number of program headers swings"
        before, now = self.last_moved
        for section, old, new in zip(self.link.outputs, before, now):
            if old != new:
                return (f"section '{section.name}' moves from {old[0]:#x}, {old[1]:#x} bytes, to {new[0]:#x}, "
                        f"{new[1]:#x} bytes")
        for name, value in now[-1].items():
            if before[-1].get(name) != value:
                return f"symbol '{name}' changes from {before[-1].get(name, (0,))[0]:#x} to {value[0]:#x}"
        return "sizes change in every round"

    # -- the end

    def finish(self):
        """The final walk: values of symbols, data, fills, ASSERTs, checks of regions and overlaps."""
        self.regions.check(self.link)
        self.start_walk(True)
        self.current = None
        self.neighbours = {}
        self.sources_of = {}
        self.skipped = False
        self.passed_end = False
        self.sized = set(self.link.outputs)
        for self.index, item in enumerate(self.program):
            kind = type(item)
            if kind is OutputSection:
                self.finish_section(item)
            elif kind is Overlay:
                for member in item.members:
                    if member.number:
                        self.finish_section(member)
                    self.bounds(member)
                live = [member for member in item.members if member.number]
                if live:
                    self.dot = live[0].address + max(member.size for member in live)
            elif kind is Assignment:
                self.assign(item)
                if item.node[2] == ".":
                    self.skipped = True
                elif item.node[2] in ("_end", "end"):
                    self.passed_end = True
            elif item[0] == ast.ASSERT:
                evaluate(item, self)
        self.set_values()
        if self.options.check_sections and not self.options.relocatable:
            self.check_overlaps()
        if self.link.plan.no_crossrefs:
            from mclink.layout.crossrefs import check_crossrefs
            check_crossrefs(self.link)
        for section in self.link.outputs:
            # An explicit address need not agree with the alignment of what is inside (GNU ld says so too).
            section.align = (section.align | section.address) & -(section.align | section.address)
        if self.relro and self.relro_end:
            for section in self.link.outputs:
                section.relro = bool(section.flags & SHF_ALLOC and self.segment_base <= section.address
                                     and (section.address < self.relro_end))

    def check_overlaps(self):
        """No two sections may be stored at one load address (GNU ld manual, --no-check-sections)."""
        stored = [section for section in self.link.outputs
                  if section.flags & SHF_ALLOC and section.type != SHT_NOBITS and section.size]
        stored.sort(key=lambda section: section.lma)
        for left, right in zip(stored, stored[1:]):
            if left.lma + left.size > right.lma:
                self.link.diag.error(
                    f"section {right.name} LMA [{right.lma:016x},{right.lma + right.size - 1:016x}] overlaps section "
                    f"{left.name} LMA [{left.lma:016x},{left.lma + left.size - 1:016x}]")

    def finish_section(self, section):
        body = self.bodies[section]
        if not section.number:
            start = section.address if section in self.sized else self.dot
            if any(type(item) is Assignment and item.node[2] != "." for item in body):
                start = section.address
            else:
                return
            self.size_body(section, body, start)
            self.dot = start
            return
        if section.flags & SHF_ALLOC:
            self.current = section
            self.skipped = False
        if section.definition is not None and section.definition[14] is not None:
            section.fill = self.fill_pattern(section.definition[14])
        self.size_body(section, body, section.address)
        self.dot = section.address + (0 if is_tbss(section) else section.size) & _MASK

    def nearest(self):
        """The output section that a symbol between sections belongs to: the one before, or the one that
        follows when the location counter was moved since (GNU ld manual, node "Expression Section")."""
        outputs = self.link.outputs
        if self.current is None or self.skipped and not self.passed_end:
            start = len(outputs) - 1
            for item in self.program[self.index:]:
                members = [item] if type(item) is OutputSection else item.members if type(item) is Overlay else ()
                numbers = [section.number for section in members if section.number]
                if numbers:
                    start = numbers[0] - 1
                    break
            for section in [outputs[start]] + outputs[:start][::-1] if outputs else ():
                if section.flags & SHF_ALLOC and not section.flags & SHF_TLS:
                    return section
            return ABSOLUTE
        start = self.current.number - 1
        for section in outputs[start::-1] + outputs[start + 1:]:
            if section.flags & SHF_ALLOC and not section.flags & SHF_TLS:
                return section
        return ABSOLUTE

    def set_values(self):
        """Give the names that the script assigns their values in the symbol table."""
        tables = self.tables
        for name, (number, where) in self.values.items():
            gid = symbols.lookup(tables, name.encode("utf-8", "surrogateescape"))
            if not gid or not symbols.flags(tables, gid) & G_SCRIPT:
                continue
            if name in self.sources_of:
                origin = symbols.lookup(tables, self.sources_of[name].encode("utf-8", "surrogateescape"))
                if origin:
                    symbols.copy_type(tables, gid, origin)
            if where is NEAREST:
                where = self.neighbours[name]
                symbols.set_value(tables, gid, number, 0 if where is ABSOLUTE else where.number)
                continue
            if where is ABSOLUTE:
                symbols.set_value(tables, gid, number, 0)
                continue
            value = number + where.address & _MASK
            symbols.set_value(tables, gid, value, where.number or self.kept_beside(where, value))

    def kept_beside(self, dropped, address):
        """Number of the output section that a symbol in a dropped one belongs to: that in front or that behind, whichever
        is more likely to be in the segment that the dropped one would be in (as GNU ld chooses); 0 when there is none."""
        before = after = None
        seen = False
        for section in script_sections(self.link.plan):
            if section is dropped:
                seen = True
            elif section.number and seen:
                after = section
                break
            elif section.number:
                before = section
        if before is None or after is None:
            return (before or after).number if before or after else 0
        filled = any(type(item) is Run for item in dropped.statements)
        flags = dropped.flags if filled else 0
        differ = before.flags ^ after.flags
        loaded = [section.type != SHT_NOBITS and section.size for section in (before, after)]
        if differ & (SHF_ALLOC | SHF_TLS) or bool(loaded[0]) != bool(loaded[1]):
            back = (after.flags ^ flags) & (SHF_ALLOC | SHF_TLS) or loaded[0] and not loaded[1]
        elif differ & SHF_WRITE:
            back = filled and (after.flags ^ flags) & SHF_WRITE or not filled and not after.flags & SHF_WRITE
        elif differ & SHF_EXECINSTR:
            back = (after.flags ^ flags) & SHF_EXECINSTR
        else:
            back = address < after.address
        return (before if back else after).number


def _merge_bodies(statements, made):
    """The statements with every node that has an object replaced by it."""
    merged = []
    made = list(made)
    by_node = {id(item.node): item for item in made}
    for item in statements:
        merged.append(by_node.get(id(item), item) if type(item) is tuple else item)
    return merged


def _power_of_two(number):
    """The next power of two, as GNU ld rounds alignments."""
    return min(1 << max(number - 1, 0).bit_length(), 1 << 62)
