"""Level 2: .ARM.exidx, the table by which ARM programs are unwound. See "Exception Handling ABI for the Arm
Architecture" (EHABI32), chapter "The Unwinding Process".

An entry is two words: where a function starts (PREL31), and how to unwind it: 1 for "cannot be", an inline
description with bit 31 set, or the distance of an .ARM.extab entry. A function reaches to the next entry, so code
without entries must be fenced off, and an entry that says what the one before it says can go. Each input table
belongs to one code section (SHF_LINK_ORDER), and they are sorted like those.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from libc.stdlib cimport malloc, calloc, free
from libc.string cimport memcpy, memset
from mclink._core.bytes cimport load32, store32
from mclink._core.elf cimport Rela, SHF_ALLOC, SHF_EXECINSTR, SHF_LINK_ORDER
from mclink._core.formula cimport symbol_gid
from mclink._core.tables cimport *

cdef enum:
    CANTUNWIND = 1
    R_PREL31 = 42
    SHT_EXIDX = 0x70000001

cdef enum:                   # what an entry says
    SAYS_NOTHING = 0         # there has been no entry yet
    SAYS_CANNOT = 1
    SAYS_INLINE = 2
    SAYS_TABLE = 3

cdef struct State:           # while the code is gone through in address order
    Columns* c               # the tables
    uint32_t table           # last fragment of .ARM.exidx
    uint32_t anchor          # a symbol of the table's file that is defined in the code section of the table
    int64_t end              # distance from there to the end of that section; -1: there is no such symbol
    uint32_t says            # SAYS_* of the last entry
    uint32_t word            # its second word
    bint merge               # entries that repeat the one before go


cdef bint defined_in(Columns* c, const File* f, uint32_t sym, uint32_t code, uint64_t* value) noexcept nogil:
    """True when a symbol is defined in section `code`; `value` receives its offset there."""
    cdef uint32_t gid = symbol_gid(f, sym)
    if gid != 0:
        value[0] = c.globals[gid].value & ~<uint64_t>1
        return c.globals[gid].frag == code
    if sym >= f.nsyms or sym_frag(c, f, sym) != code:
        return False
    value[0] = f.syms[sym].st_value & ~<uint64_t>1
    return True


cdef object rewrite(Tables tables, uint32_t frag, const uint8_t* keep, const State* fence):
    """Gives a table new contents: the entries that `keep` marks (NULL: all), and with `fence` one behind them that
    says that what follows its code section cannot be unwound."""
    cdef Columns* c = &tables.c
    cdef Fragment* g = &c.frags[frag]
    cdef const File* f = &c.files[g.file]
    cdef uint64_t count = g.size // 8, left = 0, i, at = 0
    cdef uint32_t k, n = 0
    cdef bint swap = f.flags & FILE_SWAP != 0
    cdef bytes data, relocs, verdicts
    cdef uint8_t* out
    cdef Rela* rows
    cdef uint8_t* marks
    cdef uint32_t* moved
    for i in range(count):
        if keep == NULL or keep[i]:
            left += 1
    moved = <uint32_t*>calloc(count + 1, 4)
    if moved == NULL:
        raise MemoryError
    data = bytes(8 * (left + (1 if fence != NULL else 0)))
    relocs = bytes((g.nrelocs + 1) * sizeof(Rela))
    verdicts = bytes(g.nrelocs + 1)
    out = <uint8_t*><const char*>data
    rows = <Rela*><void*><const char*>relocs
    marks = <uint8_t*><const char*>verdicts
    for i in range(count):
        moved[i] = 0xffffffffU
        if keep == NULL or keep[i]:
            memcpy(out + at, g.data + 8 * i, 8)
            moved[i] = <uint32_t>at
            at += 8
    for k in range(g.nrelocs):
        i = g.relocs[k].r_offset // 8
        if i >= count or moved[i] == 0xffffffffU:
            continue
        rows[n] = g.relocs[k]
        rows[n].r_offset = moved[i] + (g.relocs[k].r_offset & 7)
        marks[n] = g.verdicts[k] if g.verdicts != NULL else 0
        n += 1
    free(moved)
    if fence != NULL:
        store32(out + at + 4, CANTUNWIND, swap)
        rows[n].r_offset = at
        rows[n].r_type = R_PREL31
        rows[n].r_sym = fence.anchor
        rows[n].r_addend = fence.end
        marks[n] = 0
        n += 1
        at += 8
    tables.buffers.append((data, relocs, verdicts))
    g.data = out
    g.size = at
    g.relocs = rows
    g.nrelocs = n
    g.verdicts = marks


cdef int read_table(Tables tables, State* s, uint32_t frag, uint32_t code) except -1:
    """Goes through the entries of one table and takes out those that repeat the one before."""
    cdef Columns* c = s.c
    cdef Fragment* g = &c.frags[frag]
    cdef bint swap = c.files[g.file].flags & FILE_SWAP != 0
    cdef uint64_t count = g.size // 8, i, dropped = 0, value = 0
    cdef uint32_t k, word, says, before = s.table
    cdef uint8_t* keep
    cdef uint8_t* relocated
    if count == 0 or g.data == NULL:
        return 0
    keep = <uint8_t*>malloc(count)
    relocated = <uint8_t*>calloc(count, 1)
    if keep == NULL or relocated == NULL:
        free(keep)
        free(relocated)
        raise MemoryError
    memset(keep, 1, count)
    s.table = frag
    s.end = -1
    for k in range(g.nrelocs):
        if s.end < 0 and g.relocs[k].r_type == R_PREL31 and not g.relocs[k].r_offset & 7 \
                and defined_in(c, &c.files[g.file], g.relocs[k].r_sym, code, &value) and value <= c.frags[code].size:
            s.anchor = g.relocs[k].r_sym
            s.end = <int64_t>(c.frags[code].size - value)
        # A relocated second word leads to .ARM.extab.
        if g.relocs[k].r_offset & 7 == 4 and g.relocs[k].r_offset // 8 < count:
            relocated[g.relocs[k].r_offset // 8] = 1
    for i in range(count):
        word = load32(g.data + 8 * i + 4, swap)
        if relocated[i]:
            says = SAYS_TABLE
        elif word == CANTUNWIND:
            says = SAYS_CANNOT
        elif word & 0x80000000U:
            says = SAYS_INLINE
        else:
            says = SAYS_TABLE
        # Fences are not repeated whatever the option says, as in GNU ld.
        if before != 0 and says == s.says and (says == SAYS_CANNOT or (
                s.merge and says == SAYS_INLINE and word == s.word)):
            keep[i] = 0
            dropped += 1
        s.says = says
        s.word = word
    free(relocated)
    if dropped:
        rewrite(tables, frag, keep, NULL)
    free(keep)
    return 0


cdef int fence_off(Tables tables, State* s) except -1:
    """What follows the last code section that has a table cannot be unwound."""
    if s.table and s.says != SAYS_CANNOT and s.end >= 0:
        rewrite(tables, s.table, NULL, s)
        s.says = SAYS_CANNOT
    return 0


def arrange(Tables tables not None, code, tables_runs, bint merge):
    """Fences off code without entries and drops entries that repeat the one before.

    code: list of (address of fragment ids, count), the runs of code sections in address order. tables_runs: the same
    for .ARM.exidx, sorted. merge: False leaves repetitions. Sizes of the tables change."""
    cdef Columns* c = &tables.c
    cdef State s
    cdef uint32_t* table_of = <uint32_t*>calloc(c.nfrags + 1, 4)
    cdef const uint32_t* members
    cdef uint32_t i, n, frag
    cdef Fragment* g
    if table_of == NULL:
        raise MemoryError
    memset(&s, 0, sizeof(State))
    s.c = c
    s.merge = merge
    try:
        for address, count in tables_runs:
            members = <const uint32_t*><size_t>address
            n = count
            for i in range(n):
                g = &c.frags[members[i]]
                if g.sh_type == SHT_EXIDX and g.sh_flags & SHF_LINK_ORDER and g.link < c.nfrags \
                        and g.kind == FRAG_REGULAR:
                    table_of[g.link] = members[i]
        for address, count in code:
            members = <const uint32_t*><size_t>address
            n = count
            for i in range(n):
                frag = members[i]
                g = &c.frags[frag]
                if g.size == 0 or not g.sh_flags & SHF_EXECINSTR:
                    continue
                if table_of[frag] and c.frags[table_of[frag]].size >= 8:
                    read_table(tables, &s, table_of[frag], frag)
                else:
                    fence_off(tables, &s)
        fence_off(tables, &s)
    finally:
        free(table_of)
