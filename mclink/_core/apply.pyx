"""Level 2: copies input sections into the mapped output and relocates them there, in one visit.

The unit of work is a stretch of members of one run (input statement), in address order: their bytes, their
relocations, and the gaps in front of them. Kinds of fragments with writers of their own are stepped over.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from libc.stdlib cimport malloc, free
from libc.string cimport memcpy, memset, strcmp, strncmp
from mclink._core.elf cimport Rela, SHF_ALLOC
from mclink._core.fault cimport *
from mclink._core.formula cimport (open_place, relocate_place, symbol_address, symbol_gid, store_field,
                                   store_checked, subtract_reference, quantity_value, fault_value)
from mclink._core.ops cimport *
from mclink._core.parallel cimport parallel_for, atomic_add64
from mclink._core.tables cimport *

cdef extern from *:
    void prefetch "__builtin_prefetch"(const void* p) noexcept nogil

cdef enum:
    AHEAD = 8                # relocations whose symbols are prefetched ahead
    CHUNK_MEMBERS = 512      # members in a unit of work at most
    CHUNK_BYTES = 1 << 20    # and bytes, unless one member has more

cdef struct Chunk:           # one unit of work
    const uint32_t* members  # [count] fragment ids in address order
    uint64_t count           # number of them
    uint8_t* out             # output byte of address `address`
    uint64_t address         # address of the output section
    uint64_t start           # the chunk owns the bytes of [start, end)
    uint64_t end
    const uint8_t* fill      # [fill_size] pattern for gaps
    uint64_t fill_size       # 0: zeros
    uint64_t code            # 1: gaps are filled with NOPs

cdef struct Work:            # one run of the pass
    Columns* c               # the tables
    Chunk* chunks            # [count]
    int64_t misplaced        # members outside their run: an error of the layout


cdef void fill_gap(const Ops* ops, const Chunk* k, uint64_t start, uint64_t end) noexcept nogil:
    """Fills [start, end) of the output section; the file is zero already. A pattern starts anew in each gap."""
    cdef uint8_t* out
    cdef uint64_t n, i
    if start >= end:
        return
    out = k.out + (start - k.address)
    n = end - start
    if k.code and ops != NULL and ops.fill_code != NULL:
        ops.fill_code(out, n)
    elif k.fill_size == 1:
        memset(out, k.fill[0], n)
    elif k.fill_size != 0:
        for i in range(n):
            out[i] = k.fill[i % k.fill_size]


cdef void relocate_image(Columns* c, uint32_t frag_id, uint8_t* out) noexcept nogil:
    """Relocations of a fragment of the image, which scan has checked."""
    cdef Place p
    cdef uint32_t i
    cdef uint64_t address = c.frag_addr[frag_id]
    cdef const uint8_t* verdicts
    cdef const Rela* r
    cdef const File* f
    open_place(&p, c, frag_id)
    verdicts = p.frag.verdicts
    f = &c.files[p.frag.file]
    for i in range(p.frag.nrelocs):
        if i + AHEAD < p.frag.nrelocs and f.first_global <= p.frag.relocs[i + AHEAD].r_sym < f.nsyms:
            prefetch(&c.gvalue[f.gids[p.frag.relocs[i + AHEAD].r_sym - f.first_global]])
        if verdicts != NULL and verdicts[i] == V_SKIP:
            continue
        r = &p.frag.relocs[i]
        p.index = i
        p.loc = out + r.r_offset
        p.P = address + r.r_offset
        relocate_place(&p, verdicts[i] if verdicts != NULL else V_APPLY)


cdef int64_t tombstone(const char* name) noexcept nogil:
    """What a debug section says about code that was dropped: the highest address, which no code has (DWARF 6
    reserves it); but 1 in range and location lists, where all ones select a base address and two equal
    non-zero addresses are an empty range (DWARF 4 2.17.3). Other sections get 0, as from GNU ld."""
    if strcmp(name, b".debug_ranges") == 0 or strcmp(name, b".debug_loc") == 0:
        return 1
    return -1 if strncmp(name, b".debug_", 7) == 0 else 0


cdef bint is_dead(Columns* c, const File* f, uint32_t sym) noexcept nogil:
    """True when the symbol is defined in a fragment that is not in the output."""
    cdef uint32_t gid = symbol_gid(f, sym)
    cdef uint32_t frag
    cdef uint8_t state
    if gid != 0:
        frag = c.globals[gid].frag
        if frag == 0:
            return c.gflags[gid] & (G_UNDEFINED | G_DISCARDED) != 0
    else:
        frag = sym_frag(c, f, sym)
        if frag == 0:
            # An absolute symbol, or symbol 0: a number.
            return False
    state = c.frag_state[frag]
    return state & (STATE_LIVE | STATE_FOLDED) == 0 or state & STATE_SCRIPT_DISCARD != 0


cdef void relocate_data(Columns* c, uint32_t frag_id, uint8_t* out) noexcept nogil:
    """Relocations of a fragment that is not loaded (debug sections): unchecked so far, and never dynamic."""
    cdef Place p
    cdef uint32_t i
    cdef const File* f
    cdef const Rela* r
    cdef const RelocType* t
    cdef int64_t dead
    cdef uint64_t value
    open_place(&p, c, frag_id)
    f = &c.files[p.frag.file]
    dead = tombstone(f.shstrtab + f.shdrs[frag_shndx(c, frag_id)].sh_name)
    for i in range(p.frag.nrelocs):
        p.index = i
        r = &p.frag.relocs[i]
        if r.r_type >= p.ops.ntypes or p.ops.types[r.r_type].quantity <= Q_DYNAMIC:
            fault_at(c.faults, FAULT_UNKNOWN_RELOC, p.frag.file, frag_id, r.r_offset, r.r_type, r.r_type)
            continue
        t = &p.ops.types[r.r_type]
        if t.quantity == Q_NONE or t.field == FIELD_NONE:
            continue
        if t.size > p.frag.size or r.r_offset > p.frag.size - t.size:
            fault_at(c.faults, FAULT_BAD_RELOC_OFFSET, p.frag.file, frag_id, r.r_offset, r.r_type, r.r_offset)
            continue
        if r.r_sym >= f.nsyms:
            fault_at(c.faults, FAULT_BAD_RELOC_SYMBOL, p.frag.file, frag_id, r.r_offset, r.r_type, r.r_sym)
            continue
        p.loc = out + r.r_offset
        p.P = c.frag_addr[frag_id] + r.r_offset
        if not t.flags & TYPE_NO_SYMBOL and is_dead(c, f, r.r_sym):
            # Without the addend, which may lead back into the image.
            store_field(c, p.ops, t, p.loc, dead)
            continue
        if t.quantity == Q_S or t.quantity == Q_L:
            value = symbol_address(c, f, r.r_sym, r.r_addend)
        else:
            value = quantity_value(c, f, t, r.r_sym, r.r_addend)
        store_checked(&p, t, subtract_reference(c, f, t.reference, value + <uint64_t>r.r_addend, p.P))


cdef void write_fragment(Columns* c, uint32_t frag_id, uint8_t* out) noexcept nogil:
    cdef Fragment* frag = &c.frags[frag_id]
    if frag.kind != FRAG_REGULAR or frag.data == NULL:
        return
    memcpy(out, frag.data, frag.size)
    if frag.nrelocs == 0 or c.relocatable:
        return
    if frag.sh_flags & SHF_ALLOC:
        relocate_image(c, frag_id, out)
    else:
        relocate_data(c, frag_id, out)


cdef void write_chunk(void* context, int64_t index, int thread) noexcept nogil:
    cdef Work* w = <Work*>context
    cdef Columns* c = w.c
    cdef const Chunk* k = &w.chunks[index]
    cdef uint64_t at = k.start
    cdef uint64_t i, address, size
    cdef uint32_t frag
    for i in range(k.count):
        frag = k.members[i]
        address = c.frag_addr[frag]
        size = c.frags[frag].size
        if address < at or size > k.end - at or address > k.end - size:
            atomic_add64(&w.misplaced, 1)
            continue
        fill_gap(<const Ops*>c.ops, k, at, address)
        write_fragment(c, frag, k.out + (address - k.address))
        at = address + size
    fill_gap(<const Ops*>c.ops, k, at, k.end)


cdef int64_t cut_run(Columns* c, const Chunk* run, Chunk* chunks) noexcept nogil:
    """Cuts a run into chunks; returns how many. With chunks NULL they are only counted."""
    cdef int64_t n = 0
    cdef uint64_t first = 0
    cdef uint64_t start = run.start
    cdef uint64_t i, end
    for i in range(run.count):
        if i == first:
            continue
        end = c.frag_addr[run.members[i]]
        if i - first >= CHUNK_MEMBERS or end - start >= CHUNK_BYTES:
            if chunks != NULL:
                chunks[n] = run[0]
                chunks[n].members = run.members + first
                chunks[n].count = i - first
                chunks[n].start = start
                # The gap in front of a member belongs to it: the chunk ends with the last one's bytes.
                chunks[n].end = c.frag_addr[run.members[i - 1]] + c.frags[run.members[i - 1]].size
            start = c.frag_addr[run.members[i - 1]] + c.frags[run.members[i - 1]].size
            first = i
            n += 1
    if chunks != NULL:
        chunks[n] = run[0]
        chunks[n].members = run.members + first
        chunks[n].count = run.count - first
        chunks[n].start = start
    return n + 1


def write_members(Tables tables not None, runs):
    """Writes the bytes of input sections into the mapped output and relocates them.

    runs: list of tuples, one for each run of an output section with contents:
      members   address (int) of the run's first fragment id (uint32) in C
      count     number of members, in ascending address order
      out       address (int) of the output byte that stands for `address`
      address   address of the output section (0 for one that is not loaded)
      start     first address of the run, gaps in front of its first member included
      end       end of the run: gaps up to there are filled
      fill      bytes, the pattern for gaps; b"" leaves zeros
      code      True when gaps are to be NOPs (fill is ignored)

    frag_addr, gvalue, Aux, Image and the counters nrelative/ndynamic (now: first indices) must be final.
    Dynamic relocations go to Columns.dynrels and relr. Problems of the inputs become faults; ValueError when
    a member lies outside its run."""
    cdef Work w
    cdef Columns* c = &tables.c
    cdef int64_t nruns = len(runs)
    cdef int64_t total = 0
    cdef int64_t i
    cdef Chunk* rows = <Chunk*>malloc((nruns + 1) * sizeof(Chunk))
    cdef Chunk* k
    w.c = c
    w.chunks = NULL
    w.misplaced = 0
    if rows == NULL:
        raise MemoryError
    try:
        for i, (members, count, out, address, start, end, fill, code) in enumerate(runs):
            k = &rows[i]
            k.members = <const uint32_t*><size_t>members
            k.count = count
            k.out = <uint8_t*><size_t>out
            k.address = address
            k.start = start
            k.end = end
            k.fill = <const uint8_t*><const char*>fill
            k.fill_size = len(fill)
            k.code = 1 if code else 0
            if k.start < k.address or k.end < k.start:
                raise ValueError("run outside its section")
        with nogil:
            for i in range(nruns):
                total += cut_run(c, &rows[i], NULL)
        w.chunks = <Chunk*>malloc((total + 1) * sizeof(Chunk))
        if w.chunks == NULL:
            raise MemoryError
        with nogil:
            total = 0
            for i in range(nruns):
                total += cut_run(c, &rows[i], w.chunks + total)
            parallel_for(write_chunk, &w, total, c.threads)
    finally:
        free(rows)
        free(w.chunks)
    if w.misplaced != 0:
        raise ValueError(f"{w.misplaced} fragments outside their runs")


def fill_bytes(Tables tables not None, size_t out, uint64_t size, bytes fill not None, bint code):
    """Fills `size` bytes at address `out` of the mapped output as write_members fills gaps."""
    cdef Chunk k
    memset(&k, 0, sizeof(Chunk))
    k.out = <uint8_t*>out
    k.fill = <const uint8_t*><const char*>fill
    k.fill_size = len(fill)
    k.code = 1 if code else 0
    with nogil:
        fill_gap(<const Ops*>tables.c.ops, &k, 0, size)
