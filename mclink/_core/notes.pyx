# cython: language_level=3
"""Level 2: the GNU property notes of all inputs, merged.

Source: Linux ABI extensions to the gABI, "Program Property"; x86-64 psABI, "Program Property" (which ranges are
and'ed and or'ed).
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, strcmp
from mclink._core.bytes cimport load32, load64, in_range
from mclink._core.elf cimport SHT_NOTE, SHF_ALLOC
from mclink._core.fault cimport FAULT_TRUNCATED, fault_at
from mclink._core.tables cimport *

cdef enum:
    MAX_PROPERTIES = 64      # distinct properties of one link; more are dropped
    NT_GNU_PROPERTY_TYPE_0 = 5

cdef struct Property:        # one property while the inputs are read
    uint32_t type            # GNU_PROPERTY_*
    uint32_t size            # bytes of its value: 0, 4 or 8
    uint64_t joined          # or (or maximum) of the values
    uint64_t common          # and of the values
    uint32_t files           # inputs that have it
    uint32_t last            # last of them


cdef Property* find_property(Property* list, uint32_t* count, uint32_t type) noexcept nogil:
    cdef uint32_t i
    for i in range(count[0]):
        if list[i].type == type:
            return &list[i]
    if count[0] == MAX_PROPERTIES:
        return NULL
    i = count[0]
    count[0] += 1
    list[i].type = type
    list[i].size = 0
    list[i].joined = 0
    list[i].common = ~<uint64_t>0
    list[i].files = 0
    list[i].last = 0
    return &list[i]


cdef bint read_note(Columns* c, uint32_t frag, Property* list, uint32_t* count) noexcept nogil:
    """Reads the properties of one section; False when it is damaged."""
    cdef Fragment* g = &c.frags[frag]
    cdef const File* f = &c.files[g.file]
    cdef bint swap = c.swap
    cdef uint32_t align = 4 if c.elf32 else 8
    cdef uint64_t at = 0, end, body, next_note, value
    cdef uint32_t name_size, size, type, data_size
    cdef Property* p
    if g.data == NULL:
        return g.size == 0
    while at + 12 <= g.size:
        name_size = load32(g.data + at, swap)
        size = load32(g.data + at + 4, swap)
        type = load32(g.data + at + 8, swap)
        body = at + 12 + ((<uint64_t>name_size + 3) & ~<uint64_t>3)
        if not in_range(body, size, g.size):
            return False
        next_note = (body + size + align - 1) & ~<uint64_t>(align - 1)
        if type == NT_GNU_PROPERTY_TYPE_0 and name_size == 4 and memcmp(g.data + at + 12, b"GNU", 4) == 0:
            end = body + size
            while body + 8 <= end:
                type = load32(g.data + body, swap)
                data_size = load32(g.data + body + 4, swap)
                body += 8
                if not in_range(body, data_size, end):
                    return False
                if data_size == 4:
                    value = load32(g.data + body, swap)
                elif data_size == 8:
                    value = load64(g.data + body, swap)
                else:
                    value = 1
                p = find_property(list, count, type)
                if p != NULL:
                    p.size = data_size if data_size == 4 or data_size == 8 else 0
                    p.common &= value
                    if type == 1:
                        p.joined = value if value > p.joined else p.joined
                    else:
                        p.joined |= value
                    if p.last != g.file:
                        p.files += 1
                        p.last = g.file
                body += (<uint64_t>data_size + align - 1) & ~<uint64_t>(align - 1)
        at = next_note
    return True


def files_without(Tables tables, uint32_t type, uint64_t bit):
    """Live objects whose property notes do not set a bit of a property: list of file ids. Before merge_properties."""
    cdef Columns* c = &tables.c
    cdef Property list[MAX_PROPERTIES]
    cdef uint32_t count, k, i, frag
    cdef bint found
    cdef File* f
    lacking = []
    for k in range(c.nlive):
        f = &c.files[c.live[k]]
        if f.kind != FILE_OBJECT or f.shnum == 0:
            continue
        count = 0
        for i in range(1, f.shnum):
            frag = f.frag_base + i
            if c.frags[frag].sh_type == SHT_NOTE and c.frags[frag].kind == FRAG_REGULAR \
                    and strcmp(f.shstrtab + f.shdrs[i].sh_name, b".note.gnu.property") == 0:
                read_note(c, frag, list, &count)
        found = False
        for i in range(count):
            if list[i].type == type and list[i].joined & bit:
                found = True
        if not found:
            lacking.append(c.live[k])
    return lacking


def merge_properties(Tables tables, ranges):
    """Merges and removes the .note.gnu.property sections of all live objects.

    ranges: list of (low, high, rule), the property types that are known; rule is "and" (kept when every object has
    it and a bit is left), "or", "or-and" (or of the values, kept when every object has it) or "max".
    Returns a dict: property type -> (bytes of the value, value)."""
    cdef Columns* c = &tables.c
    cdef Property list[MAX_PROPERTIES]
    cdef uint32_t count = 0, objects = 0, k, i, frag
    cdef File* f
    cdef const char* name
    with nogil:
        for k in range(c.nlive):
            f = &c.files[c.live[k]]
            if f.kind != FILE_OBJECT or f.shnum == 0:
                continue
            objects += 1
            for i in range(1, f.shnum):
                frag = f.frag_base + i
                if c.frags[frag].sh_type != SHT_NOTE or not c.frags[frag].sh_flags & SHF_ALLOC \
                        or c.frags[frag].kind != FRAG_REGULAR or not c.frag_state[frag] & STATE_LIVE:
                    continue
                name = f.shstrtab + f.shdrs[i].sh_name
                if strcmp(name, b".note.gnu.property") != 0:
                    continue
                if not read_note(c, frag, list, &count):
                    fault_at(c.faults, FAULT_TRUNCATED, c.live[k], frag, 0, 0, 0)
                # The merged note of file 1 stands for all of them.
                c.frags[frag].kind = FRAG_NONE
                c.frag_state[frag] &= ~<uint8_t>STATE_LIVE
    merged = {}
    for i in range(count):
        for low, high, rule in ranges:
            if not low <= list[i].type <= high:
                continue
            if rule == "and":
                if list[i].files == objects and list[i].common:
                    merged[list[i].type] = (list[i].size, list[i].common)
            elif rule == "or-and":
                if list[i].files == objects:
                    merged[list[i].type] = (list[i].size, list[i].joined)
            elif list[i].size == 0 or list[i].joined:
                merged[list[i].type] = (list[i].size, list[i].joined if list[i].size else 0)
            break
    return merged


def take_sections(Tables tables, uint32_t type):
    """Removes the sections of one type from all live objects: list of (file id, bytes), in link order.

    For tables of the target that the linker writes anew, as one."""
    cdef Columns* c = &tables.c
    cdef uint32_t k, i, frag
    cdef File* f
    cdef Fragment* g
    taken = []
    for k in range(c.nlive):
        f = &c.files[c.live[k]]
        if f.kind != FILE_OBJECT:
            continue
        for i in range(1, f.shnum):
            frag = f.frag_base + i
            g = &c.frags[frag]
            if g.sh_type != type or g.kind != FRAG_REGULAR or not c.frag_state[frag] & STATE_LIVE:
                continue
            taken.append((c.live[k], g.data[:g.size] if g.data != NULL else b""))
            g.kind = FRAG_NONE
            c.frag_state[frag] &= ~<uint8_t>STATE_LIVE
    return taken
