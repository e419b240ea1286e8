"""Level 2, output: relocation sections for -r and --emit-relocs, written in parallel in place.

Every record's size and place is known before one is written, so any thread may write any fragment's records.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from libc.stdlib cimport malloc, free
from mclink._core.bytes cimport in_range
from mclink._core.elf cimport *
from mclink._core.formula cimport store_field
from mclink._core.ops cimport Ops, RelocType
from mclink._core.outrec cimport record_size, store_record
from mclink._core.parallel cimport parallel_for
from mclink._core.tables cimport *

cdef enum:
    UNIT = 64                # fragments a task writes
    PLAIN = 1024             # rows of Columns.plain a task writes

cdef struct Unit:            # what one task writes: the records of some fragments of one run
    const uint32_t* members  # [count] fragments in output order
    uint64_t count           # how many
    uint8_t* out             # where their first record goes
    uint64_t base            # added to offsets: 0 for a final link, -address for -r
    uint8_t* contents        # -r without addends in the records: byte of the image at address 0, else NULL

cdef struct Work:            # one run of the pass
    Columns* c               # the tables
    Unit* units              # [nunits] the tasks; those behind them write Columns.plain
    int64_t nunits           # how many
    uint8_t* image           # first byte of the image
    const uint32_t* local_index # new symbol index of each local, by file
    const uint64_t* local_base # first element of each live file in local_index
    const uint32_t* global_index # new symbol index by gid


cdef inline void put_record(const Columns* c, uint8_t* out, Rela* r) noexcept nogil:
    """Writes a record with the types that the machine's records have."""
    cdef const Ops* ops = <const Ops*>c.ops
    if ops != NULL and ops.record_type != NULL:
        r.r_type = ops.record_type(c, r.r_type)
    store_record(c, out, r, c.rela_records)


cdef uint8_t* emit_fragment(Work* w, uint32_t frag, uint8_t* out, uint64_t base, uint8_t* contents) noexcept nogil:
    """Writes the records of one fragment at `out`, returns their end. base, contents: see Unit."""
    cdef Columns* c = w.c
    cdef Fragment* g = &c.frags[frag]
    cdef File* f = &c.files[g.file]
    cdef uint64_t start = c.frag_addr[frag]
    cdef uint64_t step = record_size(c)
    cdef uint32_t i, target, gid, output
    cdef uint64_t value
    cdef Rela record
    cdef const Rela* r
    for i in range(g.nrelocs):
        r = &g.relocs[i]
        record = r[0]
        record.r_offset += start + base
        record.r_sym = 0
        if r.r_sym != 0 and r.r_sym < f.first_global:
            target = sym_frag(c, f, r.r_sym)
            record.r_sym = w.local_index[w.local_base[f.order - 1] + r.r_sym]
            if target == 0:
                pass
            elif not c.frag_state[target] & STATE_LIVE or c.frags[target].output == 0:
                record.r_sym = record.r_type = 0
                record.r_addend = 0
                put_record(c, out, &record)
                out += step
                continue
            elif record.r_sym == 0:
                # Section symbols, and names that -x dropped, become the output section's symbol.
                output = c.frags[target].output
                value = f.syms[r.r_sym].st_value
                if c.frags[target].kind == FRAG_MERGE and f.syms[r.r_sym].st_info & 15 == STT_SECTION:
                    record.r_addend = <int64_t>(frag_address(c, target, value + r.r_addend) - c.outputs[output].address)
                else:
                    record.r_addend += <int64_t>(frag_address(c, target, value) - c.outputs[output].address)
                record.r_sym = output
        elif r.r_sym != 0 and r.r_sym < f.nsyms:
            gid = f.gids[r.r_sym - f.first_global]
            record.r_sym = w.global_index[gid]
        put_record(c, out, &record)
        if contents != NULL and record.r_addend != r.r_addend:
            store_addend(c, g, r, contents + start, record.r_addend)
        out += step
    return out


cdef void store_addend(Columns* c, const Fragment* g, const Rela* r, uint8_t* start, int64_t addend) noexcept nogil:
    """REL: the addend has changed with the symbol, and stands in the field."""
    cdef const Ops* ops = <const Ops*>c.ops
    cdef const RelocType* t
    cdef uint32_t type = r.r_type
    if ops.addend_type != NULL:
        type = ops.addend_type(&c.files[g.file], r)
    if type >= ops.ntypes or g.data == NULL:
        return
    t = &ops.types[type]
    if t.size != 0 and in_range(r.r_offset, t.size, g.size):
        store_field(c, ops, t, start + r.r_offset, addend)


cdef void emit_unit(void* context, int64_t index, int thread) noexcept nogil:
    cdef Work* w = <Work*>context
    cdef Columns* c = w.c
    cdef Unit* u
    cdef Plain* p
    cdef uint8_t* out
    cdef uint64_t i
    cdef uint32_t k
    if index < w.nunits:
        u = &w.units[index]
        out = u.out
        for i in range(u.count):
            if c.frags[u.members[i]].nrelocs:
                out = emit_fragment(w, u.members[i], out, u.base, u.contents)
        return
    index -= w.nunits
    for i in range(<uint64_t>index * PLAIN, min(<uint64_t>(index + 1) * PLAIN, <uint64_t>c.nplain)):
        p = &c.plain[i]
        out = w.image + p.records
        for k in range(p.count if p.nrelocs else 0):
            out = emit_fragment(w, p.members[k], out, 0, NULL if c.rela_records else w.image + p.offset)


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


def write_records(Tables tables, jobs, bint relative, indices, size_t image):
    """Writes the relocation sections of all output sections, those of Columns.plain included, in one parallel region.

    jobs: (runs, out, address, contents) of each of the others: runs as for count_records; the address of its first byte
    in memory; the output section's address, and that of its bytes in memory, 0 for none; relative: offsets count from
    the section (-r); indices: SymbolTable.index_tables(); image: address of the image."""
    cdef Columns* c = &tables.c
    cdef Work w
    cdef Unit* u
    cdef const uint32_t* members
    cdef uint8_t* at
    cdef uint64_t n, i, k, nunits = 0
    for runs, _, _, _ in jobs:
        for _, count in runs:
            nunits += (<uint64_t>count + UNIT - 1) // UNIT
    w.c = c
    w.image = <uint8_t*>image
    w.local_index = <const uint32_t*><size_t>indices[0]
    w.local_base = <const uint64_t*><size_t>indices[1]
    w.global_index = <const uint32_t*><size_t>indices[2]
    w.nunits = nunits
    w.units = <Unit*>malloc((nunits + 1) * sizeof(Unit))
    if w.units == NULL:
        raise MemoryError
    u = w.units
    for runs, out, address, contents in jobs:
        at = <uint8_t*><size_t>out
        for where, count in runs:
            members = <const uint32_t*><size_t>where
            n = count
            for i in range(0, n, UNIT):
                u.members = members + i
                u.count = min(n - i, <uint64_t>UNIT)
                u.out = at
                u.base = <uint64_t>0 - <uint64_t>address if relative else 0
                u.contents = NULL
                if relative and not c.rela_records and contents:
                    u.contents = <uint8_t*>(<size_t>contents - <uint64_t>address)
                for k in range(u.count):
                    at += c.frags[u.members[k]].nrelocs * record_size(c)
                u += 1
    with nogil:
        parallel_for(emit_unit, &w, w.nunits + (c.nplain + PLAIN - 1) // PLAIN, c.threads)
    free(w.units)
