# cython: language_level=3
"""Level 2: .rela.dyn, sorted as run-time linkers like it (-z combreloc), or packed as Android's wants it.

Packed relocations are those of bionic's linker (--pack-dyn-relocs=android): "APS2", then signed LEB128 numbers: how
many relocations, the first offset to count from, and groups. A group has a size, flags that say what its members
share, what they share (distance of offsets, r_info, change of addend), and for each member the rest. Offsets and
addends are differences from the relocation before; in a group without addends they are 0. Whatever stands behind
the last relocation is not read.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from libc.stdlib cimport calloc, malloc, free, qsort
from libc.string cimport memcpy, memset
from mclink._core.bytes cimport load32, load64
from mclink._core.elf cimport Rela
from mclink._core.formula cimport open_place, relocate_dynamic, symbol_gid
from mclink._core.ops cimport (
    Ops, Place, V_DYNAMIC_TPOFF, V_DYNAMIC_TPOFF_DOWN, V_IRELATIVE, V_RELATIVE, V_RELATIVE_ODD, V_SYMBOLIC)
from mclink._core.outrec cimport relocation_size, store_relocation, word_size
from mclink._core.tables cimport Columns, File, FILE_OBJECT, FRAG_REGULAR, STATE_LIVE, Tables

cdef enum:
    DIGIT_BITS = 11          # bits of one pass of sort_by_offset

cdef enum:                   # flags of a packed group
    BY_INFO = 1              # members share r_info
    BY_OFFSET = 2            # members stand at equal distances
    BY_ADDEND = 4            # members share the addend: its change is that of the first one
    HAS_ADDEND = 8           # members have addends

cdef enum:
    LEAST_RUN = 8            # words in a row that are worth a group
    LEAST_SHARED = 3         # relocations of one symbol that are worth a group
    LEB_BYTES = 10           # of a number of 64 bits at most

cdef struct Packed:          # a packed table while it is written
    Columns* c               # the tables
    uint8_t* out             # where bytes go
    uint64_t size            # bytes so far
    uint64_t offset          # of the last relocation
    int64_t addend           # of the last relocation

cdef Rela* sort_by_offset(Rela* rows, Rela* spare, uint64_t n) noexcept nogil:
    """Radix sort by r_offset, stable; `spare` has room for n rows too. Returns where the sorted rows are: one of both."""
    cdef uint64_t low = ~<uint64_t>0, high = 0, bits = 0, i, at, digit, count
    cdef uint64_t starts[1 << DIGIT_BITS]
    cdef uint32_t shift = 0
    cdef Rela* swap
    for i in range(n):
        low = min(low, rows[i].r_offset)
        high = max(high, rows[i].r_offset)
    for i in range(n):
        bits |= rows[i].r_offset - low
    while bits and not bits >> shift & 1:
        # Words stand at multiples of their size: those bits need no pass.
        shift += 1
    while n and shift < 64 and (high - low) >> shift:
        memset(starts, 0, sizeof(starts))
        for i in range(n):
            starts[((rows[i].r_offset - low) >> shift) & ((1 << DIGIT_BITS) - 1)] += 1
        at = 0
        for digit in range(1 << DIGIT_BITS):
            count = starts[digit]
            starts[digit] = at
            at += count
        for i in range(n):
            digit = ((rows[i].r_offset - low) >> shift) & ((1 << DIGIT_BITS) - 1)
            spare[starts[digit]] = rows[i]
            starts[digit] += 1
        swap = rows
        rows = spare
        spare = swap
        shift += DIGIT_BITS
    return rows


cdef inline bint is_relative(const Ops* ops, const Rela* r) noexcept nogil:
    """Some targets have one type for these and for symbolic ones."""
    return r.r_type == ops.dyn_relative and (r.r_sym == 0 or ops.dyn_relative != ops.dyn_symbolic)


cdef uint64_t gather_relative(const Ops* ops, Rela* rows, Rela* spare, uint64_t n) noexcept nogil:
    """Puts the relative relocations in front, in their order, and returns how many there are. Those of the
    fragments stand there already. `spare` has room for n rows."""
    cdef uint64_t first = 0, others = 0, i
    while first < n and is_relative(ops, &rows[first]):
        first += 1
    for i in range(first, n):
        if is_relative(ops, &rows[i]):
            rows[first] = rows[i]
            first += 1
        else:
            spare[others] = rows[i]
            others += 1
    memcpy(rows + first, spare, others * sizeof(Rela))
    return first


cdef uint32_t relocation_bucket(const Ops* ops, const Rela* r, uint32_t* ranks, uint32_t* seen,
                                uint32_t symbols) noexcept nogil:
    """Place of a relocation among the kinds and symbols; symbols rank by the first one that asks for them."""
    if r.r_type == ops.dyn_irelative:
        return symbols + 1
    if r.r_type == ops.dyn_copy:
        return symbols
    if ranks[r.r_sym] == 0:
        seen[0] += 1
        ranks[r.r_sym] = seen[0]
    return ranks[r.r_sym] - 1


cdef bint sort_relocations(Columns* c, uint8_t* out, uint64_t* relative) noexcept nogil:
    """write_relocations() in sorted order; False without memory. Leaves dynrels in another order."""
    cdef const Ops* ops = <const Ops*>c.ops
    cdef uint64_t n = c.ndynrels, i, first, at, count
    cdef uint32_t step = relocation_size(c), symbols = 1, seen = 0, bucket
    cdef Rela* spare = <Rela*>malloc((n + 1) * sizeof(Rela))
    cdef Rela* rows
    cdef uint32_t* ranks
    cdef uint64_t* starts
    for i in range(n):
        symbols = max(symbols, c.dynrels[i].r_sym + 1)
    ranks = <uint32_t*>calloc(symbols, sizeof(uint32_t))
    starts = <uint64_t*>calloc(symbols + 3, sizeof(uint64_t))
    if spare == NULL or ranks == NULL or starts == NULL:
        free(spare)
        free(ranks)
        free(starts)
        return False
    first = gather_relative(ops, c.dynrels, spare, n)
    rows = sort_by_offset(c.dynrels, spare, first)
    for i in range(first):
        store_relocation(c, out + i * step, &rows[i])
    rows = sort_by_offset(c.dynrels + first, spare, n - first) - first
    for i in range(first, n):
        starts[relocation_bucket(ops, &rows[i], ranks, &seen, symbols)] += 1
    at = first
    for bucket in range(symbols + 2):
        count = starts[bucket]
        starts[bucket] = at
        at += count
    for i in range(first, n):
        bucket = relocation_bucket(ops, &rows[i], ranks, &seen, symbols)
        store_relocation(c, out + starts[bucket] * step, &rows[i])
        starts[bucket] += 1
    relative[0] = first
    free(spare)
    free(ranks)
    free(starts)
    return True


def write_relocations(Tables tables, size_t out, bint sort):
    """Writes .rela.dyn from dynrels; returns how many relative relocations stand in front (DT_RELACOUNT).

    sort (-z combreloc): relative ones first, by offset; then by symbol, the symbols in the order of their first
    offsets; COPY behind them, IRELATIVE last, because resolvers may read what the others have relocated."""
    cdef Columns* c = &tables.c
    cdef uint64_t i, relative = 0
    cdef bint done
    if not sort:
        for i in range(c.ndynrels):
            store_relocation(c, <uint8_t*>out + i * relocation_size(c), &c.dynrels[i])
        return 0
    with nogil:
        done = sort_relocations(c, <uint8_t*>out, &relative)
    if not done:
        raise MemoryError
    return relative


cdef uint64_t packed_info(const Columns* c, const Rela* r) noexcept nogil:
    """r_info of a relocation as the output has it."""
    cdef uint8_t record[24]
    store_relocation(c, record, r)
    return load32(record + 4, c.swap) if c.elf32 else load64(record + 8, c.swap)


cdef inline void put(Packed* p, int64_t value) noexcept nogil:
    """Appends a signed LEB128 number."""
    cdef uint8_t byte
    while True:
        byte = value & 0x7f
        value >>= 7
        if (value == 0 and not byte & 0x40) or (value == -1 and byte & 0x40):
            p.out[p.size] = byte
            p.size += 1
            return
        p.out[p.size] = byte | 0x80
        p.size += 1


cdef inline void put_offset(Packed* p, const Rela* r) noexcept nogil:
    put(p, <int64_t>(r.r_offset - p.offset))
    p.offset = r.r_offset


cdef inline void put_addend(Packed* p, const Rela* r) noexcept nogil:
    put(p, r.r_addend - p.addend)
    p.addend = r.r_addend


cdef void put_relatives(Packed* p, const Rela* rows, uint64_t n, uint64_t info, bint consecutive) noexcept nogil:
    """A group of relative relocations; `consecutive`: each a word behind the one before."""
    cdef uint64_t i
    if n == 0:
        return
    put(p, <int64_t>n)
    put(p, BY_INFO | (BY_OFFSET if consecutive else 0) | (HAS_ADDEND if p.c.rela else 0))
    if consecutive:
        put(p, word_size(p.c))
        p.offset = rows[n - 1].r_offset
    put(p, <int64_t>info)
    for i in range(n):
        if not consecutive:
            put_offset(p, &rows[i])
        if p.c.rela:
            put_addend(p, &rows[i])


cdef void pack_relatives(Packed* p, const Rela* rows, uint64_t n) noexcept nogil:
    """Relative relocations in the order of their offsets: runs of words, and what stands between them."""
    cdef uint64_t i = 0, start = 0, end, info
    cdef uint32_t word = word_size(p.c)
    if n == 0:
        return
    info = packed_info(p.c, &rows[0])
    while i < n:
        end = i + 1
        while end < n and rows[end].r_offset - rows[end - 1].r_offset == word:
            end += 1
        if end - i >= LEAST_RUN:
            # The first of a run is where the others count from.
            put_relatives(p, rows + start, i + 1 - start, info, False)
            put_relatives(p, rows + i + 1, end - i - 1, info, True)
            start = end
        i = end
    put_relatives(p, rows + start, n - start, info, False)


cdef void pack_shared(Packed* p, const Rela* rows, uint64_t n, uint64_t info) noexcept nogil:
    """A group of relocations with the same r_info and addend."""
    cdef uint64_t i
    cdef bint addend = p.c.rela and rows[0].r_addend != 0
    put(p, <int64_t>n)
    put(p, BY_INFO | (HAS_ADDEND | BY_ADDEND if addend else 0))
    put(p, <int64_t>info)
    if addend:
        put_addend(p, &rows[0])
    else:
        p.addend = 0
    for i in range(n):
        put_offset(p, &rows[i])


cdef void pack_others(Packed* p, const Rela* rows, uint64_t n, bint addends) noexcept nogil:
    """A group of relocations that share nothing. addends: False when all of them are 0."""
    cdef uint64_t i
    if n == 0:
        return
    put(p, <int64_t>n)
    put(p, HAS_ADDEND if addends else 0)
    if not addends:
        p.addend = 0
    for i in range(n):
        put_offset(p, &rows[i])
        put(p, <int64_t>packed_info(p.c, &rows[i]))
        if addends:
            put_addend(p, &rows[i])


cdef inline int compare_numbers(uint64_t a, uint64_t b) noexcept nogil:
    return (a > b) - (a < b)


cdef int compare_kinds(const void* a, const void* b) noexcept nogil:
    """By symbol, type, addend, offset."""
    cdef const Rela* x = <const Rela*>a
    cdef const Rela* y = <const Rela*>b
    cdef int order = compare_numbers(x.r_sym, y.r_sym)
    if order == 0:
        order = compare_numbers(x.r_type, y.r_type)
    if order == 0:
        order = compare_numbers(<uint64_t>x.r_addend, <uint64_t>y.r_addend)
    return order if order else compare_numbers(x.r_offset, y.r_offset)


cdef void pack_symbolic(Packed* p, Rela* rows, Rela* spare, uint64_t n) noexcept nogil:
    """Relocations of symbols: those of one symbol and addend together where there are several, then the others in the
    order of their offsets, those with addends last. `spare` has room for n rows too."""
    cdef uint64_t i = 0, start, end, rest = 0
    cdef int addend
    qsort(rows, n, sizeof(Rela), compare_kinds)
    while i < n:
        end = i + 1
        while end < n and rows[end].r_sym == rows[i].r_sym and rows[end].r_type == rows[i].r_type \
                and (rows[end].r_addend == rows[i].r_addend or not p.c.rela):
            end += 1
        if end - i >= LEAST_SHARED:
            pack_shared(p, rows + i, end - i, packed_info(p.c, &rows[i]))
        else:
            for start in range(i, end):
                rows[rest] = rows[start]
                rest += 1
        i = end
    if sort_by_offset(rows, spare, rest) != rows:
        memcpy(rows, spare, rest * sizeof(Rela))
    end = 0
    for addend in range(2):
        start = end
        for i in range(rest):
            if <int>(p.c.rela and rows[i].r_addend != 0) == addend:
                spare[end] = rows[i]
                end += 1
        pack_others(p, spare + start, end - start, addend)


cdef uint64_t most_bytes(const Columns* c) noexcept nogil:
    """Bytes that the packed relocations cannot exceed. A relocation has a group of its own at worst: two numbers for
    that, three for itself."""
    return 4 + 2 * LEB_BYTES + c.ndynrels * 5 * LEB_BYTES


cdef bint pack_all(Columns* c, Packed* p) noexcept nogil:
    """Packs dynrels into p.out, which has room for most_bytes(); False without memory."""
    cdef const Ops* ops = <const Ops*>c.ops
    cdef uint64_t n = c.ndynrels, i, relatives = 0, end, first
    cdef uint32_t kind
    cdef Rela* rows = <Rela*>malloc((2 * n + 1) * sizeof(Rela))
    if rows == NULL:
        return False
    p.c = c
    p.size = 4
    p.offset = 0
    p.addend = 0
    memcpy(p.out, b"APS2", 4)
    put(p, <int64_t>n)
    put(p, 0)
    end = 0
    for kind in range(3):
        # Resolvers of IFUNCs may read what the others have relocated: they come last.
        first = end
        for i in range(n):
            if (0 if c.dynrels[i].r_type == ops.dyn_relative else 2 if c.dynrels[i].r_type == ops.dyn_irelative else 1) \
                    == kind:
                rows[end] = c.dynrels[i]
                end += 1
        if kind == 1:
            pack_symbolic(p, rows + first, rows + n, end - first)
        else:
            pack_relatives(p, sort_by_offset(rows + first, rows + n, end - first), end - first)
    free(rows)
    return True


cdef uint64_t replay_fragment(Columns* c, uint32_t frag) noexcept nogil:
    """Fills the rows of dynrels that a fragment's relocations have; returns how many have a symbol without a fragment,
    whose value is not known yet."""
    cdef Place p
    cdef uint8_t field[16]
    cdef uint32_t i, gid
    cdef uint8_t verdict
    cdef uint64_t unknown = 0
    open_place(&p, c, frag)
    p.loc = field
    for i in range(p.frag.nrelocs):
        verdict = p.frag.verdicts[i]
        if verdict == V_RELATIVE or verdict == V_RELATIVE_ODD or verdict == V_SYMBOLIC or verdict == V_IRELATIVE \
                or verdict == V_DYNAMIC_TPOFF or verdict == V_DYNAMIC_TPOFF_DOWN:
            p.index = i
            p.P = c.frag_addr[frag] + p.frag.relocs[i].r_offset
            if verdict == V_RELATIVE or verdict == V_RELATIVE_ODD:
                gid = symbol_gid(&c.files[p.frag.file], p.frag.relocs[i].r_sym)
                unknown += gid != 0 and c.globals[gid].frag == 0
            relocate_dynamic(&p, &p.frag.relocs[i], &p.ops.types[p.frag.relocs[i].r_type], verdict)
    return unknown


def replay(Tables tables):
    """Fills dynrels as relocating the image will; addresses may be provisional. Returns how many rows, those of slots
    included, may still get other addends: their symbols have no fragment.

    Rows of slots are filled by slots.write_slots. Those of .eh_frame stay as they are."""
    cdef Columns* c = &tables.c
    cdef uint64_t unknown = 0
    cdef uint32_t k, i, frag
    cdef const File* f
    with nogil:
        for k in range(c.nlive):
            f = &c.files[c.live[k]]
            if f.kind != FILE_OBJECT:
                continue
            for i in range(f.shnum):
                frag = f.frag_base + i
                if c.frags[frag].verdicts != NULL and c.frags[frag].kind == FRAG_REGULAR \
                        and c.frag_state[frag] & STATE_LIVE:
                    unknown += replay_fragment(c, frag)
        for k in range(1, c.naux):
            unknown += c.aux[k].got >= 0 and c.aux[k].gid != 0 and c.globals[c.aux[k].gid].frag == 0
    return unknown


def packed_bytes(Tables tables):
    """dynrels packed: bytes."""
    cdef Columns* c = &tables.c
    cdef Packed p
    cdef bint done
    p.out = <uint8_t*>malloc(most_bytes(c))
    if p.out == NULL:
        raise MemoryError
    with nogil:
        done = pack_all(c, &p)
    try:
        if not done:
            raise MemoryError
        return <bytes>p.out[:p.size]
    finally:
        free(p.out)


def blank_rows(Tables tables):
    """How many rows of dynrels nobody has filled."""
    cdef Columns* c = &tables.c
    cdef uint64_t i, n = 0
    for i in range(c.ndynrels):
        n += c.dynrels[i].r_type == 0 and c.dynrels[i].r_offset == 0
    return n
