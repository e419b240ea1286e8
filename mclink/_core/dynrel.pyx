# cython: language_level=3
"""Level 2: .rela.dyn, sorted as run-time linkers like it (-z combreloc)."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, malloc, free
from libc.string cimport memcpy, memset
from mclink._core.elf cimport Rela
from mclink._core.ops cimport Ops
from mclink._core.outrec cimport relocation_size, store_relocation
from mclink._core.tables cimport Columns, Tables

cdef enum:
    DIGIT_BITS = 11          # bits of one pass of sort_by_offset

cdef void sort_by_offset(Rela* rows, Rela* spare, uint64_t n) noexcept nogil:
    """Radix sort by r_offset, stable; `spare` has room for n rows too."""
    cdef uint64_t low = ~<uint64_t>0, high = 0, i, at, digit, count
    cdef uint64_t starts[1 << DIGIT_BITS]
    cdef uint32_t shift = 0
    cdef Rela* source = rows
    cdef Rela* target = spare
    cdef Rela* swap
    for i in range(n):
        low = min(low, rows[i].r_offset)
        high = max(high, rows[i].r_offset)
    while n and shift < 64 and (high - low) >> shift:
        memset(starts, 0, sizeof(starts))
        for i in range(n):
            starts[((source[i].r_offset - low) >> shift) & ((1 << DIGIT_BITS) - 1)] += 1
        at = 0
        for digit in range(1 << DIGIT_BITS):
            count = starts[digit]
            starts[digit] = at
            at += count
        for i in range(n):
            digit = ((source[i].r_offset - low) >> shift) & ((1 << DIGIT_BITS) - 1)
            target[starts[digit]] = source[i]
            starts[digit] += 1
        swap = source
        source = target
        target = swap
        shift += DIGIT_BITS
    if source != rows:
        memcpy(rows, source, n * sizeof(Rela))


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
    """write_relocations() in sorted order; False without memory."""
    cdef const Ops* ops = <const Ops*>c.ops
    cdef uint64_t n = c.ndynrels, i, first = 0, last = n, at, count
    cdef uint32_t step = relocation_size(c), symbols = 1, seen = 0, bucket
    cdef Rela* rows = <Rela*>malloc((2 * n + 1) * sizeof(Rela))
    cdef uint32_t* ranks
    cdef uint64_t* starts
    for i in range(n):
        symbols = max(symbols, c.dynrels[i].r_sym + 1)
    ranks = <uint32_t*>calloc(symbols, sizeof(uint32_t))
    starts = <uint64_t*>calloc(symbols + 3, sizeof(uint64_t))
    if rows == NULL or ranks == NULL or starts == NULL:
        free(rows)
        free(ranks)
        free(starts)
        return False
    for i in range(n):
        if c.dynrels[i].r_type == ops.dyn_relative:
            rows[first] = c.dynrels[i]
            first += 1
    last = first
    for i in range(n):
        if c.dynrels[i].r_type != ops.dyn_relative:
            rows[last] = c.dynrels[i]
            last += 1
    sort_by_offset(rows, rows + n, first)
    sort_by_offset(rows + first, rows + n, n - first)
    for i in range(first):
        store_relocation(c, out + i * step, &rows[i])
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
    free(rows)
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
