"""Output sections for input sections that the script does not mention.

An orphan joins a section of its name, else it gets a section of its own behind one that holds similar
things. Source: GNU ld manual, node "Orphan Sections"; the details are those of GNU ld 2.40.
"""

from mclink._core import load
from mclink._core.classify import matches
from mclink.context import OutputSection
from mclink.elf import (
    SHF_ALLOC, SHF_EXECINSTR, SHF_GROUP, SHF_TLS, SHF_WRITE, SHT_NOBITS, SHT_NOTE, SHT_REL, SHT_RELA)
from mclink.script import ast
from mclink.plan import Overlay, place_behind

# What decides where a section goes, as bits.
_ALLOC, _LOAD, _CONTENTS, _WRITABLE, _CODE, _TLS, _DEBUG = 1, 2, 4, 8, 16, 32, 64

_EXACT = _ALLOC | _LOAD | _CONTENTS | _WRITABLE | _CODE | _TLS

# What GNU ld takes the first section of one of these names for while it is not in use.
_IDLE = {".text": _ALLOC | _LOAD | _CONTENTS | _CODE, ".rodata": _ALLOC | _LOAD | _CONTENTS,
         ".interp": _ALLOC | _LOAD | _CONTENTS, ".tdata": _ALLOC | _LOAD | _CONTENTS | _WRITABLE | _TLS,
         ".data": _ALLOC | _LOAD | _CONTENTS | _WRITABLE, ".sdata": _ALLOC | _LOAD | _CONTENTS | _WRITABLE,
         ".bss": _ALLOC | _WRITABLE, ".comment": _CONTENTS}

_DEBUG_NAMES = (".debug", ".stab", ".gnu.linkonce.wi.", ".gnu.debuglto_", ".gdb_index", ".zdebug")


def section_traits(name, type, flags):
    """The bits above for a section of this type and these flags."""
    traits = 0
    if type != SHT_NOBITS:
        traits |= _CONTENTS
    if flags & SHF_ALLOC:
        traits |= _ALLOC | (_LOAD if type != SHT_NOBITS else 0)
    elif name.startswith(_DEBUG_NAMES) or name == ".line":
        traits |= _DEBUG
    if flags & SHF_WRITE:
        traits |= _WRITABLE
    if flags & SHF_EXECINSTR:
        traits |= _CODE
    if flags & SHF_TLS:
        traits |= _TLS
    return traits


def place_orphans(link, members, describe):
    """Give every orphan with live members an output section. describe(section): sums its members up."""
    placer = None
    for orphan in link.plan.orphans:
        count = members.extent(orphan.run.number)[1]
        if not count:
            continue
        if placer is None:
            placer = _Placer(link, members)
        placer.tell(orphan)
        traits = section_traits(orphan.name, orphan.type, orphan.flags)
        common = placer.is_common(orphan)
        alone = not common and (placer.alone or placer.relocatable and orphan.flags & SHF_GROUP or placer.is_unique(orphan))
        section = None if alone else placer.find_section(orphan, traits)
        if common and section is None:
            section = next((section for section in placer.sections() if section.name == orphan.name), None)
        if section is not None:
            section.statements.append(orphan.run)
            describe(section)
            placer.note_traits(section)
            continue
        section = placer.new_section(orphan, traits)
        if not alone:
            placer.by_name.setdefault(section.name, []).append(section)
        section.statements.append(orphan.run)
        describe(section)
        placer.traits[id(section)] = traits
        placer.types[id(section)] = orphan.type
    if placer is not None:
        placer.insert_waiting()


class _Placer:
    """The statements of the plan while orphans are put between them.

    Under -r there are hundreds of thousands: those that follow the last one of their place wait beside the
    plan and are inserted together."""

    def __init__(self, link, members):
        self.link = link
        self.members = members
        self.statements = link.plan.statements
        self.handling = link.options.orphan_handling
        self.alone = link.options.unique is not None and not link.options.unique
        self.relocatable = link.options.relocatable
        self.last = {}              # place -> last section put there
        self.waiting = {}           # place -> (section of the plan, sections to insert behind it)
        self.traits = {}            # id(section) -> traits, for sections with contents
        self.types = {}             # id(section) -> sh_type of its members, for the same
        self.idle = {}              # id(section) -> traits of a section that is not in use
        self.by_name = {}           # name -> list of sections
        for section in self.sections():
            if section.name in _IDLE and section.name not in self.by_name and not any(
                    type(item) is tuple and item[0] == ast.ASSIGN for item in section.statements):
                self.idle[id(section)] = _IDLE[section.name]
            self.by_name.setdefault(section.name, []).append(section)
            self.note_traits(section)

    def sections(self):
        for item in self.statements:
            if type(item) is OutputSection:
                yield item
            elif type(item) is Overlay:
                yield from item.members

    def note_traits(self, section):
        filled = any(type(item) is not tuple and item.count for item in section.statements)
        if section.keep or filled:
            traits = section_traits(section.name, section.type, section.flags)
            kind = section.definition[5] if section.definition is not None else ""
            if kind in ("INFO", "COPY", "DSECT", "OVERLAY"):
                traits |= _LOAD
            elif kind == "READONLY" and any(
                    self.members.summary(item.number)[0] & SHF_WRITE for item in section.statements
                    if type(item) is not tuple and item.count):
                traits |= _WRITABLE
            self.traits[id(section)] = traits
            self.types[id(section)] = next((self.members.summary(item.number)[2] for item in section.statements
                                            if type(item) is not tuple and item.count), 0)

    def tell(self, orphan):
        """--orphan-handling=warn and =error."""
        if self.handling not in ("warn", "error"):
            return
        from mclink._core import files
        file = load.fragment(self.link.tables, orphan.first)[0]
        if file == 1:
            return
        where = files.file_name(self.link.tables, file)
        if self.handling == "error":
            self.link.diag.error(f"unplaced orphan section '{orphan.name}' from '{where}'")
        else:
            self.link.diag.warn(f"orphan section '{orphan.name}' from '{where}' being placed in section "
                                f"'{orphan.name}'")

    def find_section(self, orphan, traits):
        """A section of the orphan's name that it may join, or None."""
        unused = None
        for section in self.by_name.get(orphan.name, ()):
            known = self.traits.get(id(section))
            if known is None:
                if unused is None:
                    unused = section
            elif (not (known ^ traits) & (_ALLOC | _LOAD)
                    and (section.type == orphan.type or SHT_NOBITS not in (section.type, orphan.type))):
                return section
        return unused

    def new_section(self, orphan, traits):
        section = OutputSection(orphan.name)
        section.type = orphan.type
        section.flags = orphan.flags
        place = None
        # GNU ld makes these two behind all that the script says.
        if orphan.name not in self.link.options.section_start and not self.is_common(orphan):
            place = self.place_of(traits, orphan.type)[0]
        if place is None:
            if any(first is self.statements[-1] for first, _ in self.waiting.values()):
                self.insert_waiting()
            self.inherit_region(section, len(self.statements))
            self.statements.append(section)
            return section
        if place in self.last and place != "note":
            last = self.last[place]
            if section.flags & SHF_ALLOC:
                section.region = last.region
            self.waiting.setdefault(place, (last, []))[1].append(section)
        else:
            self.insert_waiting()
            after = self.choose_place(orphan, traits)
            index = self.behind_note(after, orphan) if place == "note" else self.behind(after)
            self.inherit_region(section, index)
            self.statements.insert(index, section)
        self.last[place] = section
        return section

    def insert_waiting(self):
        """Puts the sections that wait into the plan."""
        if not self.waiting:
            return
        behind = {id(section): sections for section, sections in self.waiting.values()}
        self.waiting = {}
        whole = []
        for item in self.statements:
            whole.append(item)
            if id(item) in behind:
                whole += behind[id(item)]
        self.statements[:] = whole

    def is_unique(self, orphan):
        return any(matches(pattern.encode("utf-8", "surrogateescape"), orphan.name.encode("utf-8", "surrogateescape"))
                   for pattern in self.link.options.unique or ())

    def is_common(self, orphan):
        return orphan.name == ".bss" and load.section_name(self.link.tables, orphan.first) == "COMMON"

    def inherit_region(self, section, index):
        """An orphan goes to the memory region of the section it follows."""
        if not section.flags & SHF_ALLOC:
            return
        while index:
            index -= 1
            if type(self.statements[index]) is OutputSection:
                section.region = self.statements[index].region
                return

    @staticmethod
    def place_of(traits, type):
        """(name of the place, name of the section that stands for it); None when it is the end."""
        if not traits & (_ALLOC | _DEBUG):
            return "nonalloc", ".comment"
        if not traits & _ALLOC:
            return None, None
        if traits & _LOAD and type == SHT_NOTE:
            return "note", ".interp"
        if not traits & (_LOAD | _CONTENTS | _TLS):
            return "bss", ".bss"
        if traits & _TLS:
            return "tdata", ".tdata"
        if traits & _WRITABLE:
            return "data", ".data"
        if type in (SHT_RELA, SHT_REL):
            return "rel", None
        return ("text", ".text") if traits & _CODE else ("rodata", ".rodata")

    def choose_place(self, orphan, traits):
        """Item of the plan to put it after, None for the start, when nothing is known of its place so far."""
        name = self.place_of(traits, orphan.type)[1]
        if name is None:
            found = self.find_relocations()
        else:
            found = self.by_name.get(name, (None,))[0]
            if found is not None and found not in self.statements:
                found = self.overlay_of(found)
        if found is None:
            found = self.similar(traits, orphan.type) or self.similar(traits, None)
        return found

    def overlay_of(self, section):
        for item in self.statements:
            if type(item) is Overlay and section in item.members:
                return item
        return None

    def find_relocations(self):
        found = None
        for section in self.sections():
            if section.name.startswith(".rel"):
                found = section
        return found

    def similar(self, traits, kind):
        """The last section that holds similar things; kind: None, or the sh_type it must have if it is
        in use."""
        found = None
        seen_tls = False
        for section in self.sections():
            known = self.traits.get(id(section), self.idle.get(id(section), 0))
            if not (known ^ traits) & _EXACT and (kind is None or self.types.get(id(section), kind) == kind):
                found = section
        if found is not None:
            return self.overlay_of(found) if found not in self.statements else found
        for section in self.sections():
            known = self.traits.get(id(section), self.idle.get(id(section), 0))
            if (kind is not None and traits & _ALLOC and not traits & _TLS
                    and self.types.get(id(section), kind) != kind):
                continue
            differ = known ^ traits
            if traits & _CODE:
                match = not differ & (_CONTENTS | _ALLOC | _LOAD | _WRITABLE | _CODE)
            elif traits & _ALLOC and not traits & _WRITABLE:
                match = not differ & (_CONTENTS | _ALLOC | _LOAD | _WRITABLE)
            elif traits & _TLS and traits & _ALLOC:
                # .tbss counts as .tdata, and stays behind it.
                differ = known ^ (traits | _LOAD | _CONTENTS)
                if known & _TLS and known & _ALLOC:
                    if not known & _LOAD and traits & _LOAD:
                        break
                    match = seen_tls = True
                elif seen_tls:
                    break
                else:
                    match = not differ & (_CONTENTS | _ALLOC | _LOAD)
            elif traits & _ALLOC and traits & _CONTENTS:
                match = not differ & (_CONTENTS | _ALLOC | _LOAD | _TLS)
            elif traits & _ALLOC:
                match = not differ & _ALLOC
            else:
                match = not differ & _DEBUG
            if match:
                found = section
        if found is not None and found not in self.statements:
            return self.overlay_of(found)
        return found

    def behind(self, after):
        """Where to insert behind the item `after`, None: at the start."""
        return place_behind(self.statements, -1 if after is None else self.statements.index(after), lambda item: (
            type(item) is Overlay or id(item) not in self.traits or item.flags & SHF_ALLOC))

    def behind_note(self, after, orphan):
        """Notes stand together, those of the larger alignment first."""
        index = self.behind(after)
        align = self.members.summary(orphan.run.number)[3]
        position = index
        while position < len(self.statements):
            item = self.statements[position]
            if type(item) is not OutputSection:
                break
            if id(item) in self.traits:
                if item.type != SHT_NOTE:
                    break
                if item.align >= align:
                    index = position + 1
            position += 1
        return index
