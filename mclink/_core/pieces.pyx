"""Level 1: cutting mergeable sections into pieces and finding the distinct ones; see pieces.pxd."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from libc.stdlib cimport calloc, realloc, free
from libc.string cimport memcpy, memcmp, memset, memchr
from mclink._core.bytes cimport load16, load32
from mclink._core.hash cimport hash_bytes
from mclink._core.parallel cimport parallel_for
from mclink._core.tables cimport Columns, Fragment, MergeGroup

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    /* Number of zero bytes in p[0..n). At most 255 rounds are summed in byte lanes. */
    static uint64_t mclink_count_zeros(const uint8_t *p, uint64_t n)
    {
        typedef uint8_t lanes_t __attribute__((vector_size(16)));
        uint64_t total = 0;
        while (n >= 16) {
            uint64_t rounds = n / 16 < 255 ? n / 16 : 255;
            lanes_t sum = {0}, v;
            n -= rounds * 16;
            for (; rounds; rounds--, p += 16) {
                memcpy(&v, p, 16);
                sum -= (lanes_t)(v == 0);
            }
            for (int i = 0; i < 16; i++)
                total += sum[i];
        }
        for (; n; n--, p++)
            total += *p == 0;
        return total;
    }
    """
    uint64_t count_zeros "mclink_count_zeros"(const uint8_t* p, uint64_t n) noexcept nogil
    void prefetch "__builtin_prefetch"(const void* p) noexcept nogil

cdef bint is_terminated(const uint8_t* data, uint64_t size, uint32_t entsize) noexcept nogil:
    cdef uint32_t i
    for i in range(entsize):
        if data[size - 1 - i] != 0:
            return False
    return True


cdef const uint8_t* string_end(const uint8_t* p, const uint8_t* end, uint32_t entsize) noexcept nogil:
    """Byte behind the terminator of the string at p; the section is known to end with one."""
    if entsize == 1:
        return <const uint8_t*>memchr(p, 0, end - p) + 1
    if entsize == 2:
        while load16(p, False):
            p += 2
        return p + 2
    if entsize == 4:
        while load32(p, False):
            p += 4
        return p + 4
    while not is_terminated(p, entsize, entsize):
        p += entsize
    return p + entsize


cdef uint64_t piece_start(const Fragment* f, const MergeGroup* group, uint64_t offset) noexcept nogil:
    """Offset of the first piece that starts at or behind `offset`, a multiple of the entry size."""
    if offset == 0 or offset >= f.size or not group.strings:
        return min(offset, f.size)
    return string_end(f.data + offset - group.entsize, f.data + f.size, group.entsize) - f.data


cdef void count_pieces(void* context, int64_t index, int thread) noexcept nogil:
    """Counts the pieces of a block and of its inputs; moves the block's ends to where pieces start."""
    cdef Work* w = <Work*>context
    cdef Block* block = &w.blocks[index]
    cdef MergeGroup* group = &w.c.merge_groups[block.group]
    cdef const Fragment* f
    cdef const uint8_t* p
    cdef const uint8_t* end
    cdef uint64_t n
    cdef uint32_t row
    for row in range(block.first, block.last):
        f = &w.c.frags[w.c.merge_inputs[row].frag]
        if block.partial:
            block.begin = piece_start(f, group, block.begin)
            block.end = piece_start(f, group, block.end)
        p = f.data + block.begin
        end = f.data + (block.end if block.partial else f.size)
        n = 0
        if not group.strings:
            n = (end - p) // group.entsize
        elif group.entsize == 1:
            n = count_zeros(p, end - p)
        else:
            while p < end:
                p = string_end(p, end, group.entsize)
                n += 1
        if not block.partial:
            w.c.merge_inputs[row].npieces = n
        block.npieces += n


cdef void split_block(void* context, int64_t index, int thread) noexcept nogil:
    """Fills piece_in with offsets and piece_out with hashes; counts the pieces of each shard."""
    cdef Work* w = <Work*>context
    cdef Columns* c = w.c
    cdef Block* block = &w.blocks[w.first_block + index]
    cdef MergeGroup* group = &c.merge_groups[block.group]
    cdef uint32_t shift = 32 - w.plans[block.group].shard_bits
    cdef uint32_t* counters = w.counters + block.counters
    cdef const Fragment* f
    cdef const uint8_t* p
    cdef const uint8_t* end
    cdef const uint8_t* next
    cdef uint32_t row
    cdef uint32_t hash
    cdef uint64_t piece = block.first_piece
    for row in range(block.first, block.last):
        f = &c.frags[c.merge_inputs[row].frag]
        p = f.data + block.begin
        end = f.data + (block.end if block.partial else f.size)
        while p < end:
            next = string_end(p, end, group.entsize) if group.strings else p + group.entsize
            hash = <uint32_t>hash_bytes(p, next - p)
            c.piece_in[piece] = <uint32_t>(p - f.data)
            c.piece_out[piece] = hash
            counters[<uint64_t>hash >> shift] += 1
            piece += 1
            p = next


cdef void scatter_block(void* context, int64_t index, int thread) noexcept nogil:
    """Makes the records of a block, each in the range of its shard."""
    cdef Work* w = <Work*>context
    cdef Columns* c = w.c
    cdef Block* block = &w.blocks[w.first_block + index]
    cdef uint32_t shift = 32 - w.plans[block.group].shard_bits
    cdef uint32_t* counters = w.counters + block.counters
    cdef const Fragment* f
    cdef Record* record
    cdef uint32_t row
    cdef uint32_t hash
    cdef uint64_t piece = block.first_piece
    cdef uint64_t last
    cdef uint64_t end
    for row in range(block.first, block.last):
        f = &c.frags[c.merge_inputs[row].frag]
        last = piece + (block.npieces if block.partial else c.merge_inputs[row].npieces)
        end = block.end if block.partial else f.size
        while piece < last:
            hash = c.piece_out[piece]
            record = &w.records[counters[<uint64_t>hash >> shift]]
            counters[<uint64_t>hash >> shift] += 1
            record.data = f.data + c.piece_in[piece]
            record.size = (c.piece_in[piece + 1] if piece + 1 < last else <uint32_t>end) - c.piece_in[piece]
            record.hash = hash
            piece += 1


cdef void collect_block(void* context, int64_t index, int thread) noexcept nogil:
    """Replaces the hash in piece_out by its shard bits and the index in the shard's uniques.

    Backwards, so that the counters, which stand behind each shard's last record, run the scatter in reverse."""
    cdef Work* w = <Work*>context
    cdef Columns* c = w.c
    cdef Block* block = &w.blocks[w.first_block + index]
    cdef uint32_t shift = 32 - w.plans[block.group].shard_bits
    cdef uint32_t* counters = w.counters + block.counters
    cdef uint64_t piece = block.first_piece + block.npieces
    cdef uint64_t shard
    while piece > block.first_piece:
        piece -= 1
        shard = <uint64_t>c.piece_out[piece] >> shift
        counters[shard] -= 1
        c.piece_out[piece] = <uint32_t>(shard << shift) | w.records[counters[shard]].hash


cdef Slot* rehash(Slot* old, uint64_t old_capacity, uint64_t capacity) noexcept nogil:
    """A table of `capacity` slots (a power of two) with the old one's entries; frees the old one."""
    cdef Slot* new = <Slot*>calloc(capacity, sizeof(Slot))
    cdef uint64_t i
    cdef uint64_t at
    if new != NULL:
        for i in range(old_capacity):
            if old[i].unique:
                at = old[i].hash & (capacity - 1)
                while new[at].unique:
                    at = (at + 1) & (capacity - 1)
                new[at] = old[i]
    free(old)
    return new


cdef bint make_room(Shard* shard) noexcept nogil:
    """Makes the shard's table and rows fit for BATCH more distinct pieces; False without memory."""
    cdef uint64_t need = shard.nuniques + <uint64_t>BATCH
    cdef uint64_t capacity = shard.capacity
    cdef void* grown
    if need * 2 > capacity:
        capacity = max(<uint64_t>128, capacity * 2)
        shard.slots = rehash(shard.slots, shard.capacity, capacity)
        shard.capacity = capacity
        if shard.slots == NULL:
            shard.capacity = 0
            return False
    if need > shard.room:
        grown = realloc(shard.uniques, (need + shard.room // 2) * sizeof(Unique))
        if grown == NULL:
            return False
        shard.uniques = <Unique*>grown
        shard.room = need + shard.room // 2
    return True


cdef void dedupe_shard(void* context, int64_t index, int thread) noexcept nogil:
    """Looks up the records of a shard in its table; a record's hash becomes the index of its unique piece."""
    cdef Work* w = <Work*>context
    cdef Shard* shard = &w.shards[w.first_shard + index]
    cdef Slot* slots
    cdef Slot* slot
    cdef Unique* unique
    cdef Record* record
    cdef Record* batch = shard.records
    cdef Record* end = shard.records + shard.count
    cdef uint64_t at
    cdef uint64_t mask
    cdef uint32_t i
    cdef uint32_t n
    while batch < end:
        n = <uint32_t>min(<uint64_t>BATCH, <uint64_t>(end - batch))
        if not make_room(shard):
            w.failed = 1
            return
        slots = shard.slots
        mask = shard.capacity - 1
        for i in range(n):
            prefetch(&slots[batch[i].hash & mask])
            prefetch(batch[i].data)
        for i in range(n):
            slot = &slots[batch[i].hash & mask]
            if slot.unique:
                prefetch(&shard.uniques[slot.unique - 1])
        for i in range(n):
            slot = &slots[batch[i].hash & mask]
            if slot.unique and slot.hash == batch[i].hash:
                prefetch(shard.uniques[slot.unique - 1].data)
        for i in range(n):
            record = &batch[i]
            at = record.hash & mask
            while slots[at].unique:
                if slots[at].hash == record.hash:
                    unique = &shard.uniques[slots[at].unique - 1]
                    if unique.size == record.size and memcmp(unique.data, record.data, record.size) == 0:
                        break
                at = (at + 1) & mask
            if slots[at].unique == 0:
                unique = &shard.uniques[shard.nuniques]
                unique.data = record.data
                unique.size = record.size
                unique.out = 0
                shard.nuniques += 1
                slots[at].hash = record.hash
                slots[at].unique = shard.nuniques
            record.hash = slots[at].unique - 1
        batch += n


cdef void gather_shard(void* context, int64_t index, int thread) noexcept nogil:
    """Moves the shard's rows to their place in the group's array and gives them offsets."""
    cdef Work* w = <Work*>context
    cdef Shard* shard = &w.shards[w.first_shard + index]
    cdef MergeGroup* group = &w.c.merge_groups[shard.group]
    cdef Unique* rows = <Unique*>group.state + shard.first
    cdef uint64_t mask = (<uint64_t>1 << group.align_log2) - 1
    cdef uint64_t out = 0
    cdef uint32_t i
    if shard.nuniques:
        memcpy(rows, shard.uniques, shard.nuniques * sizeof(Unique))
    free(shard.uniques)
    free(shard.slots)
    shard.slots = NULL
    shard.uniques = rows
    for i in range(shard.nuniques):
        rows[i].out = <uint32_t>out
        out = (out + rows[i].size + mask) & ~mask
    shard.size = out


cdef void rebase_shard(void* context, int64_t index, int thread) noexcept nogil:
    """Makes the offsets of a shard's rows relative to the carrier."""
    cdef Work* w = <Work*>context
    cdef Shard* shard = &w.shards[w.first_shard + index]
    cdef uint32_t i
    if shard.base:
        for i in range(shard.nuniques):
            shard.uniques[i].out += <uint32_t>shard.base


cdef void place_block(void* context, int64_t index, int thread) noexcept nogil:
    """Writes the final offsets of a block's pieces."""
    cdef Work* w = <Work*>context
    cdef uint32_t* out = w.c.piece_out
    cdef Block* block = &w.blocks[index]
    cdef uint32_t shift = 32 - w.plans[block.group].shard_bits
    cdef uint64_t mask = (<uint64_t>1 << shift) - 1
    cdef const Shard* shards = &w.shards[w.plans[block.group].first_shard]
    cdef uint64_t piece
    for piece in range(block.first_piece, block.first_piece + block.npieces):
        out[piece] = shards[<uint64_t>out[piece] >> shift].uniques[out[piece] & mask].out


# Tails of strings (-O2) ------------------------------------------------------------------------------

cdef struct Tail:            # a distinct string while tails are shared
    Unique* string           # its row
    Unique* head             # the string whose tail it is, NULL for none

cdef struct TailWork:        # one run of share_tails
    Tail* rows               # [n] sorted by reversed contents, longer before its own tails
    uint64_t* starts         # [258] first row of each bucket (bytes 0..255 before the terminator; empty string)
    uint32_t entsize         # bytes of a character
    uint64_t mask            # alignment - 1


cdef inline int reversed_byte(const Unique* u, uint64_t depth, uint32_t entsize) noexcept nogil:
    """Byte at `depth` counted back from the terminator, -1 behind the first one."""
    return u.data[u.size - entsize - 1 - depth] if depth < u.size - entsize else -1


cdef void sort_tails(Tail* rows, uint64_t n, uint64_t depth, uint32_t entsize) noexcept nogil:
    """Three-way radix quicksort on the reversed strings, descending, so that a string follows one that it ends."""
    cdef uint64_t above
    cdef uint64_t i
    cdef uint64_t below
    cdef int pivot
    cdef int byte
    cdef Tail swapped
    while n > 1:
        pivot = reversed_byte(rows[n // 2].string, depth, entsize)
        above = 0
        i = 0
        below = n
        while i < below:
            byte = reversed_byte(rows[i].string, depth, entsize)
            if byte > pivot:
                swapped = rows[above]
                rows[above] = rows[i]
                rows[i] = swapped
                above += 1
                i += 1
            elif byte < pivot:
                below -= 1
                swapped = rows[below]
                rows[below] = rows[i]
                rows[i] = swapped
            else:
                i += 1
        # The largest part is the loop's, so the others have half the rows at most and recursion is shallow.
        if below - above >= above and below - above >= n - below:
            sort_tails(rows, above, depth, entsize)
            sort_tails(rows + below, n - below, depth, entsize)
            if pivot < 0:
                return
            rows += above
            n = below - above
            depth += 1
            continue
        if pivot >= 0:
            sort_tails(rows + above, below - above, depth + 1, entsize)
        if above >= n - below:
            sort_tails(rows + below, n - below, depth, entsize)
            n = above
        else:
            sort_tails(rows, above, depth, entsize)
            rows += below
            n -= below


cdef void share_bucket(void* context, int64_t index, int thread) noexcept nogil:
    """Sorts one bucket and finds the head of each string that is a tail."""
    cdef TailWork* t = <TailWork*>context
    cdef Tail* rows = t.rows + t.starts[index]
    cdef uint64_t n = t.starts[index + 1] - t.starts[index]
    cdef Unique* head = NULL
    cdef Unique* string
    cdef uint64_t i
    cdef uint64_t skip
    sort_tails(rows, n, 1, t.entsize)
    for i in range(n):
        string = rows[i].string
        if head != NULL and head.size >= string.size:
            skip = head.size - string.size
            if skip & t.mask == 0 and memcmp(head.data + skip, string.data, string.size) == 0:
                rows[i].head = head
                continue
        head = string


cdef int share_tails(MergeGroup* group, int threads) noexcept nogil:
    """Gives offsets to the distinct strings of a group; one that ends another lies inside it. Returns 0 or -1."""
    cdef Unique* rows = <Unique*>group.state
    cdef uint64_t n = group.count
    cdef TailWork t
    cdef uint64_t starts[258]
    cdef uint64_t fill[258]
    cdef uint64_t i
    cdef uint64_t out = 0
    cdef int bucket
    t.entsize = group.entsize
    t.mask = (<uint64_t>1 << group.align_log2) - 1
    t.starts = starts
    t.rows = <Tail*>calloc(n, sizeof(Tail))
    if t.rows == NULL:
        return -1
    memset(starts, 0, sizeof(starts))
    for i in range(n):
        bucket = reversed_byte(&rows[i], 0, t.entsize)
        starts[(256 if bucket < 0 else bucket) + 1] += 1
    for bucket in range(257):
        starts[bucket + 1] += starts[bucket]
    memcpy(fill, starts, sizeof(fill))
    for i in range(n):
        bucket = reversed_byte(&rows[i], 0, t.entsize)
        if bucket < 0:
            bucket = 256
        t.rows[fill[bucket]].string = &rows[i]
        fill[bucket] += 1
    parallel_for(share_bucket, &t, 257, threads if n > 4096 else 1)
    # The empty string is the last row; any terminator that is aligned serves it.
    i = 0
    while starts[256] < n and i < starts[256] and t.rows[n - 1].head == NULL:
        if (t.rows[i].string.size - t.entsize) & t.mask == 0 and t.rows[i].head == NULL:
            t.rows[n - 1].head = t.rows[i].string
        i += 1
    for i in range(n):
        rows[i].out = 0
    for i in range(n):
        if t.rows[i].head != NULL:
            t.rows[i].string.out = 1
    # Heads keep the order of first occurrence.
    for i in range(n):
        if rows[i].out == 0:
            rows[i].out = <uint32_t>out
            out = (out + rows[i].size + t.mask) & ~t.mask
    for i in range(n):
        if t.rows[i].head != NULL:
            t.rows[i].string.out = t.rows[i].head.out + t.rows[i].head.size - t.rows[i].string.size
    # Sizes are needed above until the last tail is placed; from here on 0 means "not written".
    for i in range(n):
        if t.rows[i].head != NULL:
            t.rows[i].string.size = 0
    group.size = out
    free(t.rows)
    return 0
