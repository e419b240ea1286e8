"""Level 2, output: relocation sections for -r and --emit-relocs, written in parallel in place.

Every record's size and place is known before one is written, so any thread may write any fragment's records.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from libc.stdlib cimport malloc, calloc, free
from libc.string cimport memset
from mclink._core.bytes cimport in_range, store32, store64
from mclink._core.elf cimport *
from mclink._core.formula cimport store_field
from mclink._core.ops cimport Ops, RelocType
from mclink._core.parallel cimport parallel_for
from mclink._core.tables cimport *

cdef enum:
    UNIT = 64                # fragments a task writes

cdef struct Emit:            # one relocation section being written
    Columns* c               # the tables
    const uint32_t* members  # fragments of one run in output order
    uint8_t* out             # first byte of the section in memory
    uint64_t base            # added to offsets: 0 for a final link, -address for -r
    uint8_t* contents        # -r without addends in the records: first byte of the output section, else NULL
    uint64_t address         # of the output section
    const uint32_t* local_index # new symbol index of each local, by file
    const uint64_t* local_base # first element of each live file in local_index
    const uint32_t* global_index # new symbol index by gid
    const uint32_t* section_symbol # [noutputs + 1] symbol index of each output section
    const uint64_t* section_address # [noutputs + 1] its address

cdef struct Unit:            # what one task writes: the records of some fragments of one run
    uint64_t section         # row of Work.sections
    uint64_t start           # fragments [start, end) of it
    uint64_t end
    uint64_t first           # index of the first record in the relocation section

cdef struct Work:            # one run of the pass
    Emit* sections           # a row for each run of each section
    Unit* units              # the tasks


cdef inline uint64_t record_size(Columns* c) noexcept nogil:
    """Bytes of a record: Elf64_Rela, Elf32_Rela or Elf32_Rel."""
    if c.elf32:
        return 12 if c.rela else 8
    return 24 if c.rela else 16


cdef void put_record(Columns* c, uint8_t* out, uint64_t offset, uint32_t type, uint32_t sym, int64_t addend) noexcept nogil:
    """Writes one record in the output's class and byte order."""
    cdef bint swap = c.swap != 0
    if c.elf32:
        store32(out, <uint32_t>offset, swap)
        store32(out + 4, sym << 8 | (type & 0xff), swap)
        if c.rela:
            store32(out + 8, <uint32_t>addend, swap)
    else:
        store64(out, offset, swap)
        store64(out + 8, <uint64_t>sym << 32 | type, swap)
        if c.rela:
            store64(out + 16, <uint64_t>addend, swap)


cdef void emit_fragment(Emit* e, uint32_t frag, uint64_t first) noexcept nogil:
    """Writes the records of one fragment."""
    cdef Columns* c = e.c
    cdef Fragment* g = &c.frags[frag]
    cdef File* f = &c.files[g.file]
    cdef uint8_t* out = e.out + first * record_size(c)
    cdef uint64_t step = record_size(c)
    cdef uint32_t i, sym, target, gid, output
    cdef uint64_t value
    cdef int64_t addend
    cdef const Rela* r
    for i in range(g.nrelocs):
        r = &g.relocs[i]
        addend = r.r_addend
        sym = 0
        if r.r_sym != 0 and r.r_sym < f.first_global:
            target = sym_frag(c, f, r.r_sym)
            sym = e.local_index[e.local_base[f.order - 1] + r.r_sym]
            if target == 0:
                pass
            elif not c.frag_state[target] & STATE_LIVE or c.frags[target].output == 0:
                put_record(c, out, c.frag_addr[frag] + r.r_offset + e.base, 0, 0, 0)
                out += step
                continue
            elif sym == 0:
                # Section symbols, and names that -x dropped, become the output section's symbol.
                output = c.frags[target].output
                value = f.syms[r.r_sym].st_value
                if c.frags[target].kind == FRAG_MERGE and f.syms[r.r_sym].st_info & 15 == STT_SECTION:
                    addend = <int64_t>(frag_address(c, target, value + addend) - e.section_address[output])
                else:
                    addend += <int64_t>(frag_address(c, target, value) - e.section_address[output])
                sym = e.section_symbol[output]
        elif r.r_sym != 0 and r.r_sym < f.nsyms:
            gid = f.gids[r.r_sym - f.first_global]
            sym = e.global_index[gid]
        put_record(c, out, c.frag_addr[frag] + r.r_offset + e.base, r.r_type, sym, addend)
        if e.contents != NULL and addend != r.r_addend:
            store_addend(e, g, r, e.contents + (c.frag_addr[frag] - e.address), addend)
        out += step


cdef void store_addend(Emit* e, const Fragment* g, const Rela* r, uint8_t* start, int64_t addend) noexcept nogil:
    """REL: the addend has changed with the symbol, and stands in the field."""
    cdef const Ops* ops = <const Ops*>e.c.ops
    cdef const RelocType* t
    if r.r_type >= ops.ntypes or g.data == NULL:
        return
    t = &ops.types[r.r_type]
    if t.size != 0 and in_range(r.r_offset, t.size, g.size):
        store_field(e.c, ops, t, start + r.r_offset, addend)


cdef void emit_unit(void* context, int64_t index, int thread) noexcept nogil:
    cdef Work* w = <Work*>context
    cdef Unit* u = &w.units[index]
    cdef Emit* e = &w.sections[u.section]
    cdef uint64_t i, first = u.first
    for i in range(u.start, u.end):
        if e.c.frags[e.members[i]].nrelocs:
            emit_fragment(e, e.members[i], first)
            first += e.c.frags[e.members[i]].nrelocs


def count_records(Tables tables, runs):
    """Number of relocations of the fragments of an output section. runs: (address of ids, count) pairs."""
    cdef Columns* c = &tables.c
    cdef uint64_t total = 0
    cdef const uint32_t* members
    cdef uint64_t i, n
    for address, count in runs:
        members = <const uint32_t*><size_t>address
        n = count
        for i in range(n):
            total += c.frags[members[i]].nrelocs
    return total


def record_bytes(Tables tables):
    """Bytes of one relocation record of the output."""
    return record_size(&tables.c)


def write_records(Tables tables, jobs, bint relative, indices, section_symbols, section_addresses):
    """Writes the relocation sections of output sections, all in one parallel region.

    jobs: (runs, out, address, contents) of each: runs as for count_records; the address of its first byte in memory;
    the output section's address, and that of its bytes in memory, 0 for none; relative: offsets count from the section (-r); indices:
    SymbolTable.index_tables(); section_symbols, section_addresses: lists by output number."""
    cdef Columns* c = &tables.c
    cdef Work w
    cdef Emit* e
    cdef Unit* u
    cdef uint64_t n, total, rows = 0, nunits = 0, at, index
    cdef uint32_t* symbols = <uint32_t*>malloc((len(section_symbols) + 1) * sizeof(uint32_t))
    cdef uint64_t* addresses = <uint64_t*>malloc((len(section_addresses) + 1) * sizeof(uint64_t))
    for runs, _, _, _ in jobs:
        for _, count in runs:
            rows += 1
            nunits += (<uint64_t>count + UNIT - 1) // UNIT
    w.units = NULL
    w.sections = <Emit*>calloc(rows + 1, sizeof(Emit))
    w.units = <Unit*>malloc((nunits + 1) * sizeof(Unit))
    try:
        if symbols == NULL or addresses == NULL or w.sections == NULL or w.units == NULL:
            raise MemoryError
        for at, number in enumerate(section_symbols):
            symbols[at] = number
        for at, number in enumerate(section_addresses):
            addresses[at] = number
        rows = nunits = 0
        for runs, out, address, contents in jobs:
            total = 0
            for where, count in runs:
                e = &w.sections[rows]
                e.c = c
                e.members = <const uint32_t*><size_t>where
                e.out = <uint8_t*><size_t>out
                e.base = <uint64_t>0 - <uint64_t>address if relative else 0
                e.address = address
                e.contents = <uint8_t*><size_t>contents if relative and not c.rela else NULL
                e.local_index = <const uint32_t*><size_t>indices[0]
                e.local_base = <const uint64_t*><size_t>indices[1]
                e.global_index = <const uint32_t*><size_t>indices[2]
                e.section_symbol = symbols
                e.section_address = addresses
                n = count
                for at in range(0, n, UNIT):
                    u = &w.units[nunits]
                    u.section = rows
                    u.start = at
                    u.end = at + UNIT if n - at > UNIT else n
                    u.first = total
                    for index in range(at, u.end):
                        total += c.frags[e.members[index]].nrelocs
                    nunits += 1
                rows += 1
        with nogil:
            parallel_for(emit_unit, &w, nunits, c.threads)
    finally:
        free(symbols)
        free(addresses)
        free(w.sections)
        free(w.units)


def live_groups(Tables tables):
    """The section groups that -r keeps: (flags word, gid or 0, file, symbol index, [member fragments])."""
    cdef Columns* c = &tables.c
    cdef uint32_t k, j, i, frag
    cdef File* f
    cdef Shdr* s
    cdef const uint8_t* p
    rows = []
    for k in range(c.nlive):
        f = &c.files[c.live[k]]
        for j in range(f.ngroups):
            frag = f.frag_base + f.groups[j]
            if c.frag_state[frag] & STATE_DISCARDED or f.shdrs[f.groups[j]].sh_type != SHT_GROUP:
                continue
            s = &f.shdrs[f.groups[j]]
            p = f.data + s.sh_offset
            order = "big" if f.flags & FILE_SWAP else "little"
            words = (<const char*>p)[:s.sh_size]
            numbers = [int.from_bytes(words[i:i + 4], order) for i in range(0, s.sh_size, 4)]
            members = []
            for i in numbers[1:]:
                if c.frags[f.frag_base + i].kind != FRAG_NONE and c.frag_state[f.frag_base + i] & STATE_LIVE and \
                        c.frags[f.frag_base + i].output != 0:
                    members.append(f.frag_base + i)
            rows.append((numbers[0], f.gids[s.sh_info - f.first_global] if s.sh_info >= f.first_global else 0,
                         c.live[k], s.sh_info, members))
    return rows


def local_symbol_index(Tables tables, indices, uint32_t file, uint32_t sym):
    """New symbol-table index of a local symbol; 0 when it was dropped."""
    cdef const uint32_t* local_index = <const uint32_t*><size_t>indices[0]
    cdef const uint64_t* local_base = <const uint64_t*><size_t>indices[1]
    return local_index[local_base[tables.c.files[file].order - 1] + sym]


def global_symbol_index(indices, uint32_t gid):
    """New symbol-table index of a global; 0 when it is not there."""
    return (<const uint32_t*><size_t>indices[2])[gid]
