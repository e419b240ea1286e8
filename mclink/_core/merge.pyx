"""Level 2: mergeable sections (gABI, "SHF_MERGE" and "SHF_STRINGS").

Inputs of one output run with equal flags, entry size and alignment form a MergeGroup. Their contents are
cut into pieces (a string with its terminator, or a constant of entsize bytes), equal pieces are stored
once, in the group's carrier fragment, and the piece columns map every input offset to its new place.

The work runs over blocks of inputs and then over shards of the hash space, so no two threads ever touch
the same piece or the same table. A shard meets its pieces in input order, and the number of shards
depends on the number of pieces alone: the bytes do not depend on threads. A piece's hash lives in its
piece_out cell until its place is known, so that a piece costs eight bytes and four more in passing.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from libc.stdlib cimport malloc, calloc, realloc, free
from libc.string cimport memcpy, memcmp, memset, memchr
from mclink._core.bytes cimport load16, load32
from mclink._core.elf cimport (Shdr, SHT_PROGBITS, SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR, SHF_MERGE,
                               SHF_STRINGS, SHF_TLS, SHF_X86_64_LARGE)
from mclink._core.hash cimport hash_bytes
from mclink._core.parallel cimport parallel_for
from mclink._core.tables cimport (Tables, Columns, File, Fragment, MergeGroup, MergeInput,
                                  FRAG_REGULAR, FRAG_MERGE, STATE_LIVE, STATE_FOLDED)

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
    #define mclink_prefetch(p) __builtin_prefetch(p)
    """
    uint64_t count_zeros "mclink_count_zeros"(const uint8_t* p, uint64_t n) noexcept nogil
    void prefetch "mclink_prefetch"(const void* p) noexcept nogil

cdef enum:
    FILES_PER_CHUNK = 64     # live files that one unit of the search takes
    BLOCK_BYTES = 1 << 18    # input bytes after which a block is closed
    BLOCK_INPUTS = 4096      # inputs after which a block is closed
    SHARD_PIECES = 1 << 14   # pieces that a shard should have
    MAX_SHARD_BITS = 8       # log2 of the largest number of shards of a group
    BATCH = 32               # pieces looked up together, so that their cache misses overlap
    WRITE_ROWS = 1 << 14     # unique pieces that one unit of `write` copies
    GROUP_FLAGS = SHF_ALLOC | SHF_EXECINSTR | SHF_STRINGS | SHF_X86_64_LARGE

cdef struct Unique:          # a distinct piece; MergeGroup.state is an array of them
    const uint8_t* data      # its first occurrence, in an input section
    uint32_t size            # bytes, terminator included; 0 when it lies in the tail of another one
    uint32_t out             # byte offset in the carrier (in the shard, until bases are known)

cdef struct Slot:            # of a shard's hash table
    uint32_t hash            # the piece's hash
    uint32_t unique          # 1 + index in Shard.uniques, 0 free

cdef struct Chunk:           # what the search found in some live files
    uint32_t* frags          # [count] mergeable fragments, in link order; malloc'ed
    uint32_t count           # rows in use
    uint32_t capacity        # rows allocated

cdef struct Block:           # consecutive inputs of one group
    uint32_t group           # MergeGroup row
    uint32_t first           # first MergeInput row
    uint32_t last            # row behind its last one
    uint64_t counters        # index of its [shards] counters in Work.counters; 0 for a one-shard group

cdef struct Plan:            # what is known of a group while it is being merged
    uint32_t first_input     # its MergeInput rows are contiguous
    uint32_t ninputs         # number of them
    uint64_t first_piece     # its pieces are contiguous
    uint64_t npieces         # number of them
    uint64_t flags           # GROUP_FLAGS bits of its members: part of the key
    uint32_t rule            # run of its members: part of the key
    uint32_t shard_bits      # log2 of the number of shards
    uint32_t first_shard     # its first row of Work.shards
    uint32_t nuniques        # distinct pieces

cdef struct Shard:           # the pieces of a group whose hashes start with the same bits
    uint32_t group           # MergeGroup row
    uint32_t nuniques        # rows of uniques
    const uint32_t* list     # [count] piece indices, ascending; NULL: all pieces of the group
    uint64_t first           # first piece index when list is NULL
    uint64_t count           # number of pieces
    Unique* uniques          # distinct pieces in order of first occurrence; malloc'ed, then part of the group's
    uint64_t size            # bytes of its distinct pieces
    uint64_t base            # byte offset of the shard in the carrier

cdef struct Work:            # one run of merge_sections
    Columns* c               # the link's columns
    Chunk* chunks            # [nchunks]
    Block* blocks            # [nblocks]
    uint64_t nblocks         # rows in use
    Plan* plans              # [nmerge_groups]
    Shard* shards            # [nshards]
    uint64_t nshards         # rows in use
    uint32_t* counters       # pieces of each shard in each block, then where the block's next one goes in list
    uint32_t* list           # piece indices by group, shard, input order; groups of one shard have none
    int tails                # share tails of strings (-O2)
    int failed               # an allocation failed


cdef bint is_terminated(const uint8_t* data, uint64_t size, uint32_t entsize) noexcept nogil:
    cdef uint32_t i
    for i in range(entsize):
        if data[size - 1 - i] != 0:
            return False
    return True


cdef bint is_mergeable(Columns* c, const File* file, uint32_t frag) noexcept nogil:
    """True when a fragment's pieces may move; like GNU ld, an odd section stays whole without a word."""
    cdef const Fragment* f = &c.frags[frag]
    cdef uint64_t align = <uint64_t>1 << f.align_log2
    if f.kind != FRAG_REGULAR or not f.sh_flags & SHF_MERGE or f.sh_flags & (SHF_WRITE | SHF_TLS):
        return False
    if c.frag_state[frag] & (STATE_LIVE | STATE_FOLDED) != STATE_LIVE or f.rule == 0 or f.nrelocs:
        return False
    if f.entsize == 0 or f.size == 0 or f.size > <uint64_t>0xfffffff0 or f.data == NULL:
        return False
    if f.sh_type != SHT_PROGBITS or f.size % f.entsize:
        return False
    if f.sh_flags & SHF_STRINGS:
        # A power of two below the alignment divides it, so padding is made of whole empty strings.
        if f.entsize < align and f.entsize & (f.entsize - 1):
            return False
        return (f.entsize < align or f.entsize % align == 0) and is_terminated(f.data, f.size, f.entsize)
    return f.entsize % align == 0


cdef void find_inputs(void* context, int64_t index, int thread) noexcept nogil:
    """Lists the mergeable fragments of FILES_PER_CHUNK live files."""
    cdef Work* w = <Work*>context
    cdef Columns* c = w.c
    cdef Chunk* chunk = &w.chunks[index]
    cdef const File* file
    cdef uint64_t last = min(<uint64_t>(index + 1) * FILES_PER_CHUNK, <uint64_t>c.nlive)
    cdef uint64_t i
    cdef uint32_t frag
    cdef void* grown
    for i in range(<uint64_t>index * FILES_PER_CHUNK, last):
        file = &c.files[c.live[i]]
        for frag in range(file.frag_base, file.frag_base + file.shnum):
            if not is_mergeable(c, file, frag):
                continue
            if chunk.count == chunk.capacity:
                chunk.capacity = chunk.capacity * 2 + 16
                grown = realloc(chunk.frags, chunk.capacity * sizeof(uint32_t))
                if grown == NULL:
                    w.failed = 1
                    return
                chunk.frags = <uint32_t*>grown
            chunk.frags[chunk.count] = frag
            chunk.count += 1


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


cdef void count_pieces(void* context, int64_t index, int thread) noexcept nogil:
    """Sets npieces of the inputs of a block."""
    cdef Work* w = <Work*>context
    cdef Block* block = &w.blocks[index]
    cdef MergeGroup* group = &w.c.merge_groups[block.group]
    cdef MergeInput* m
    cdef const Fragment* f
    cdef const uint8_t* p
    cdef uint64_t n
    cdef uint32_t row
    for row in range(block.first, block.last):
        m = &w.c.merge_inputs[row]
        f = &w.c.frags[m.frag]
        if not group.strings:
            m.npieces = f.size // group.entsize
        elif group.entsize == 1:
            m.npieces = count_zeros(f.data, f.size)
        else:
            n = 0
            p = f.data
            while p < f.data + f.size:
                p = string_end(p, f.data + f.size, group.entsize)
                n += 1
            m.npieces = n


cdef void split_block(void* context, int64_t index, int thread) noexcept nogil:
    """Fills piece_in with offsets and piece_out with hashes; counts the pieces of each shard."""
    cdef Work* w = <Work*>context
    cdef Columns* c = w.c
    cdef Block* block = &w.blocks[index]
    cdef MergeGroup* group = &c.merge_groups[block.group]
    cdef uint32_t bits = w.plans[block.group].shard_bits
    cdef uint32_t* counters = w.counters + block.counters
    cdef MergeInput* m
    cdef const Fragment* f
    cdef const uint8_t* p
    cdef const uint8_t* next
    cdef uint32_t row
    cdef uint32_t hash
    cdef uint64_t piece
    for row in range(block.first, block.last):
        m = &c.merge_inputs[row]
        f = &c.frags[m.frag]
        p = f.data
        for piece in range(m.first_piece, m.first_piece + m.npieces):
            next = string_end(p, f.data + f.size, group.entsize) if group.strings else p + group.entsize
            hash = <uint32_t>hash_bytes(p, next - p)
            c.piece_in[piece] = <uint32_t>(p - f.data)
            c.piece_out[piece] = hash
            if bits:
                counters[hash >> (32 - bits)] += 1
            p = next


cdef void scatter_block(void* context, int64_t index, int thread) noexcept nogil:
    """Puts the piece indices of a block into the lists of their shards."""
    cdef Work* w = <Work*>context
    cdef Columns* c = w.c
    cdef Block* block = &w.blocks[index]
    cdef uint32_t bits = w.plans[block.group].shard_bits
    cdef uint32_t* counters = w.counters + block.counters
    cdef MergeInput* last = &c.merge_inputs[block.last - 1]
    cdef uint64_t piece
    cdef uint32_t shard
    if bits == 0:
        return
    for piece in range(c.merge_inputs[block.first].first_piece, last.first_piece + last.npieces):
        shard = c.piece_out[piece] >> (32 - bits)
        w.list[counters[shard]] = <uint32_t>piece
        counters[shard] += 1


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


cdef void dedupe_shard(void* context, int64_t index, int thread) noexcept nogil:
    """Lists the distinct pieces of a shard; piece_out becomes the index in that list."""
    cdef Work* w = <Work*>context
    cdef Columns* c = w.c
    cdef Shard* shard = &w.shards[index]
    cdef MergeInput* m = &c.merge_inputs[w.plans[shard.group].first_input]
    cdef const Fragment* f = &c.frags[m.frag]
    cdef Slot* slots = NULL
    cdef Slot* slot
    cdef Unique* unique
    cdef void* grown
    cdef uint32_t pieces[BATCH]
    cdef uint32_t sizes[BATCH]
    cdef const uint8_t* data[BATCH]
    cdef uint64_t capacity = 64
    cdef uint64_t room = 0
    cdef uint64_t done = 0
    cdef uint64_t at
    cdef uint64_t mask
    cdef uint32_t hash
    cdef uint32_t piece
    cdef uint32_t i
    cdef uint32_t n
    while capacity < shard.count // 4:
        capacity *= 2
    slots = rehash(NULL, 0, capacity)
    while done < shard.count and slots != NULL:
        n = <uint32_t>min(<uint64_t>BATCH, shard.count - done)
        if (shard.nuniques + <uint64_t>BATCH) * 2 > capacity:
            slots = rehash(slots, capacity, capacity * 2)
            capacity *= 2
            if slots == NULL:
                break
        if shard.nuniques + <uint64_t>BATCH > room:
            room = room * 2 + capacity // 4 + BATCH
            grown = realloc(shard.uniques, room * sizeof(Unique))
            if grown == NULL:
                free(slots)
                slots = NULL
                break
            shard.uniques = <Unique*>grown
        mask = capacity - 1
        for i in range(n):
            pieces[i] = shard.list[done + i] if shard.list != NULL else <uint32_t>(shard.first + done + i)
            prefetch(&slots[c.piece_out[pieces[i]] & mask])
        for i in range(n):
            piece = pieces[i]
            # Pieces ascend, so the input that holds the next one is found by walking.
            while piece >= m.first_piece + m.npieces:
                m += 1
                f = &c.frags[m.frag]
            data[i] = f.data + c.piece_in[piece]
            sizes[i] = (<uint32_t>f.size if piece + 1 == m.first_piece + m.npieces
                        else c.piece_in[piece + 1]) - c.piece_in[piece]
            prefetch(data[i])
            slot = &slots[c.piece_out[piece] & mask]
            if slot.unique:
                prefetch(shard.uniques[slot.unique - 1].data)
        for i in range(n):
            piece = pieces[i]
            hash = c.piece_out[piece]
            at = hash & mask
            while slots[at].unique:
                if slots[at].hash == hash:
                    unique = &shard.uniques[slots[at].unique - 1]
                    if unique.size == sizes[i] and memcmp(unique.data, data[i], sizes[i]) == 0:
                        break
                at = (at + 1) & mask
            if slots[at].unique == 0:
                unique = &shard.uniques[shard.nuniques]
                unique.data = data[i]
                unique.size = sizes[i]
                unique.out = 0
                shard.nuniques += 1
                slots[at].hash = hash
                slots[at].unique = shard.nuniques
            c.piece_out[piece] = slots[at].unique - 1
        done += n
    if slots == NULL:
        w.failed = 1
    free(slots)


cdef void gather_shard(void* context, int64_t index, int thread) noexcept nogil:
    """Moves the shard's rows to their place in the group's array and gives them offsets."""
    cdef Work* w = <Work*>context
    cdef Shard* shard = &w.shards[index]
    cdef MergeGroup* group = &w.c.merge_groups[shard.group]
    cdef Unique* rows = <Unique*>group.state + shard.base
    cdef uint64_t mask = (<uint64_t>1 << group.align_log2) - 1
    cdef uint64_t out = 0
    cdef uint32_t i
    memcpy(rows, shard.uniques, shard.nuniques * sizeof(Unique))
    free(shard.uniques)
    shard.uniques = rows
    for i in range(shard.nuniques):
        rows[i].out = <uint32_t>out
        out = (out + rows[i].size + mask) & ~mask
    shard.size = out


cdef void place_shard(void* context, int64_t index, int thread) noexcept nogil:
    """Makes offsets relative to the carrier and writes them into piece_out."""
    cdef Work* w = <Work*>context
    cdef Columns* c = w.c
    cdef Shard* shard = &w.shards[index]
    cdef uint64_t i
    cdef uint64_t piece
    if shard.base:
        for i in range(shard.nuniques):
            shard.uniques[i].out += <uint32_t>shard.base
    for i in range(shard.count):
        piece = shard.list[i] if shard.list != NULL else shard.first + i
        c.piece_out[piece] = shard.uniques[c.piece_out[piece]].out


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


cdef int share_tails(MergeGroup* group, uint64_t n, int threads) noexcept nogil:
    """Gives offsets to the distinct strings of a group; one that ends another lies inside it. Returns 0 or -1."""
    cdef Unique* rows = <Unique*>group.state
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


# The run ---------------------------------------------------------------------------------------------

cdef class Merger:
    """One run: owns the scratch memory of `Work`, so that an exception frees it."""
    cdef Work w
    cdef Tables tables

    def __cinit__(self, Tables tables, bint tails):
        memset(&self.w, 0, sizeof(Work))
        self.tables = tables
        self.w.c = &tables.c
        self.w.tails = tails

    def __dealloc__(self):
        cdef uint64_t i
        if self.w.chunks != NULL:
            for i in range((<uint64_t>self.w.c.nlive + FILES_PER_CHUNK - 1) // FILES_PER_CHUNK):
                free(self.w.chunks[i].frags)
        free(self.w.chunks)
        free(self.w.blocks)
        free(self.w.plans)
        if self.w.shards != NULL:
            for i in range(self.w.nshards):
                # Rows that were gathered belong to the group.
                if self.w.c.merge_groups[self.w.shards[i].group].state == NULL:
                    free(self.w.shards[i].uniques)
        free(self.w.shards)
        free(self.w.counters)
        free(self.w.list)

    cdef int check(self) except -1:
        if self.w.failed:
            raise MemoryError
        return 0

    cdef uint64_t search(self) except? 0:
        """Fills the chunks; returns the number of mergeable inputs."""
        cdef Work* w = &self.w
        cdef uint64_t n = (<uint64_t>w.c.nlive + FILES_PER_CHUNK - 1) // FILES_PER_CHUNK
        cdef uint64_t found = 0
        cdef uint64_t i
        w.chunks = <Chunk*>allocate(n, sizeof(Chunk))
        with nogil:
            parallel_for(find_inputs, w, n, w.c.threads)
        self.check()
        for i in range(n):
            found += w.chunks[i].count
        return found

    cdef int group_inputs(self, uint64_t n) except -1:
        """Makes the MergeGroup and MergeInput rows; inputs of a group are contiguous, in link order."""
        cdef Work* w = &self.w
        cdef Columns* c = w.c
        cdef uint32_t* groups = NULL
        cdef uint32_t* fill = NULL
        cdef const Fragment* f
        cdef uint64_t chunk
        cdef uint64_t row = 0
        cdef uint32_t i
        cdef uint32_t g
        cdef uint32_t room = 16
        c.merge_groups = <MergeGroup*>allocate(room, sizeof(MergeGroup))
        c.nmerge_groups = 1
        c.merge_inputs = <MergeInput*>allocate(n + 1, sizeof(MergeInput))
        c.nmerge_inputs = n + 1
        w.plans = <Plan*>allocate(room, sizeof(Plan))
        groups = <uint32_t*>allocate(n, sizeof(uint32_t))
        try:
            g = 0
            for chunk in range((<uint64_t>c.nlive + FILES_PER_CHUNK - 1) // FILES_PER_CHUNK):
                for i in range(w.chunks[chunk].count):
                    f = &c.frags[w.chunks[chunk].frags[i]]
                    if c.nmerge_groups == room:
                        c.merge_groups = <MergeGroup*>enlarge(c.merge_groups, sizeof(MergeGroup), room)
                        w.plans = <Plan*>enlarge(w.plans, sizeof(Plan), room)
                        room *= 2
                    g = self.find_group(f, g)
                    w.plans[g].ninputs += 1
                    groups[row] = g
                    row += 1
            fill = <uint32_t*>allocate(c.nmerge_groups, sizeof(uint32_t))
            row = 1
            for g in range(1, c.nmerge_groups):
                w.plans[g].first_input = <uint32_t>row
                fill[g] = <uint32_t>row
                row += w.plans[g].ninputs
            row = 0
            for chunk in range((<uint64_t>c.nlive + FILES_PER_CHUNK - 1) // FILES_PER_CHUNK):
                for i in range(w.chunks[chunk].count):
                    g = groups[row]
                    c.merge_inputs[fill[g]].frag = w.chunks[chunk].frags[i]
                    c.merge_inputs[fill[g]].group = g
                    fill[g] += 1
                    row += 1
        finally:
            free(groups)
            free(fill)
        return 0

    cdef uint32_t find_group(self, const Fragment* f, uint32_t hint) noexcept:
        """Row of the group that takes a fragment; there is room for one more."""
        cdef Columns* c = self.w.c
        cdef uint32_t flags = f.sh_flags & GROUP_FLAGS
        cdef MergeGroup* group
        cdef Plan* plan
        cdef uint32_t g
        cdef uint32_t step
        # Neighbours mostly share a group; groups are few, one for each kind of section and run.
        for step in range(c.nmerge_groups):
            g = hint - step if step <= hint else c.nmerge_groups + hint - step
            if g == 0:
                continue
            group = &c.merge_groups[g]
            plan = &self.w.plans[g]
            if (plan.rule == f.rule and plan.flags == flags and group.entsize == f.entsize
                    and group.align_log2 == f.align_log2):
                return g
        g = c.nmerge_groups
        group = &c.merge_groups[g]
        group.entsize = f.entsize
        group.strings = f.sh_flags & SHF_STRINGS != 0
        group.align_log2 = f.align_log2
        self.w.plans[g].rule = f.rule
        self.w.plans[g].flags = flags
        c.nmerge_groups += 1
        return g

    cdef int make_blocks(self) except -1:
        """Cuts each group's inputs into units of work."""
        cdef Work* w = &self.w
        cdef Columns* c = w.c
        cdef Block* block
        cdef uint64_t room = 16
        cdef uint64_t bytes
        cdef uint32_t g
        cdef uint32_t row
        cdef uint32_t end
        w.blocks = <Block*>allocate(room, sizeof(Block))
        for g in range(1, c.nmerge_groups):
            row = w.plans[g].first_input
            end = row + w.plans[g].ninputs
            while row < end:
                if w.nblocks == room:
                    w.blocks = <Block*>enlarge(w.blocks, sizeof(Block), room)
                    room *= 2
                block = &w.blocks[w.nblocks]
                w.nblocks += 1
                block.group = g
                block.first = row
                bytes = 0
                while row < end and row - block.first < BLOCK_INPUTS and bytes < BLOCK_BYTES:
                    bytes += c.frags[c.merge_inputs[row].frag].size
                    row += 1
                block.last = row
        return 0

    cdef int number_pieces(self) except -1:
        """Gives every input its range of the piece columns and every group its shards."""
        cdef Work* w = &self.w
        cdef Columns* c = w.c
        cdef Plan* plan
        cdef uint64_t total = 0
        cdef uint64_t counters = 0
        cdef uint64_t i
        cdef uint32_t g
        cdef uint32_t row
        for g in range(1, c.nmerge_groups):
            plan = &w.plans[g]
            plan.first_piece = total
            for row in range(plan.first_input, plan.first_input + plan.ninputs):
                c.merge_inputs[row].first_piece = total
                total += c.merge_inputs[row].npieces
            plan.npieces = total - plan.first_piece
            while plan.shard_bits < MAX_SHARD_BITS and plan.npieces >> plan.shard_bits > SHARD_PIECES:
                plan.shard_bits += 1
            plan.first_shard = <uint32_t>w.nshards
            w.nshards += <uint64_t>1 << plan.shard_bits
        if total >= <uint64_t>0xfffffff0:
            raise OverflowError("more than 4 G strings and constants to merge")
        for i in range(w.nblocks):
            w.blocks[i].counters = counters
            if w.plans[w.blocks[i].group].shard_bits:
                counters += <uint64_t>1 << w.plans[w.blocks[i].group].shard_bits
        w.counters = <uint32_t*>allocate(counters, sizeof(uint32_t))
        w.shards = <Shard*>allocate(w.nshards, sizeof(Shard))
        c.npieces = total
        c.piece_in = <uint32_t*>malloc((total + 1) * sizeof(uint32_t))
        c.piece_out = <uint32_t*>malloc((total + 1) * sizeof(uint32_t))
        if c.piece_in == NULL or c.piece_out == NULL:
            raise MemoryError
        c.piece_in[total] = 0
        return 0

    cdef int plan_shards(self) except -1:
        """Fills the Shard rows; counters become the places where each block's pieces go."""
        cdef Work* w = &self.w
        cdef Columns* c = w.c
        cdef Plan* plan
        cdef Shard* shard
        cdef uint64_t listed = 0
        cdef uint64_t block = 0
        cdef uint64_t end
        cdef uint64_t b
        cdef uint32_t g
        cdef uint32_t s
        cdef uint32_t count
        for g in range(1, c.nmerge_groups):
            if w.plans[g].shard_bits:
                listed += w.plans[g].npieces
        w.list = <uint32_t*>malloc(listed * sizeof(uint32_t) + 1)
        if w.list == NULL:
            raise MemoryError
        listed = 0
        for g in range(1, c.nmerge_groups):
            plan = &w.plans[g]
            end = block
            while end < w.nblocks and w.blocks[end].group == g:
                end += 1
            for s in range(<uint32_t>1 << plan.shard_bits):
                shard = &w.shards[plan.first_shard + s]
                shard.group = g
                if plan.shard_bits == 0:
                    shard.first = plan.first_piece
                    shard.count = plan.npieces
                    continue
                shard.list = w.list + listed
                for b in range(block, end):
                    count = w.counters[w.blocks[b].counters + s]
                    w.counters[w.blocks[b].counters + s] = <uint32_t>listed
                    listed += count
                shard.count = w.list + listed - shard.list
            block = end
        return 0

    cdef int gather(self) except -1:
        """Gathers the distinct pieces of each group and gives them offsets in the carrier."""
        cdef Work* w = &self.w
        cdef Columns* c = w.c
        cdef Plan* plan
        cdef Shard* shard
        cdef Unique** rows
        cdef uint64_t total
        cdef uint32_t g
        cdef uint32_t s
        cdef int failed = 0
        for g in range(1, c.nmerge_groups):
            plan = &w.plans[g]
            total = 0
            for s in range(plan.first_shard, plan.first_shard + (<uint32_t>1 << plan.shard_bits)):
                w.shards[s].base = total
                total += w.shards[s].nuniques
            plan.nuniques = <uint32_t>total
        # Allocated together: a shard's own rows are freed as soon as its group has an array.
        rows = <Unique**>allocate(c.nmerge_groups, sizeof(Unique*))
        for g in range(1, c.nmerge_groups):
            rows[g] = <Unique*>malloc(w.plans[g].nuniques * sizeof(Unique))
            failed |= rows[g] == NULL
        for g in range(1, c.nmerge_groups):
            if failed:
                free(rows[g])
            else:
                c.merge_groups[g].state = rows[g]
                c.merge_groups[g].count = w.plans[g].nuniques
        free(rows)
        if failed:
            raise MemoryError
        with nogil:
            parallel_for(gather_shard, w, w.nshards, w.c.threads)
        for g in range(1, c.nmerge_groups):
            plan = &w.plans[g]
            total = 0
            for s in range(plan.first_shard, plan.first_shard + (<uint32_t>1 << plan.shard_bits)):
                shard = &w.shards[s]
                shard.base = total
                total += shard.size
            c.merge_groups[g].size = total
            if total > <uint64_t>0xfffffff0:
                raise OverflowError("more than 4 GiB of merged strings or constants in one output section")
            if w.tails and c.merge_groups[g].strings:
                with nogil:
                    failed = share_tails(&c.merge_groups[g], plan.nuniques, c.threads)
                if failed:
                    raise MemoryError
                for s in range(plan.first_shard, plan.first_shard + (<uint32_t>1 << plan.shard_bits)):
                    w.shards[s].base = 0
        return 0

    cdef int adopt(self) except -1:
        """Turns the inputs into FRAG_MERGE; the first of a group carries the bytes and the alignment."""
        cdef Columns* c = self.w.c
        cdef MergeInput* m
        cdef MergeGroup* group
        cdef Fragment* f
        cdef uint64_t row
        for row in range(1, c.nmerge_inputs):
            m = &c.merge_inputs[row]
            group = &c.merge_groups[m.group]
            f = &c.frags[m.frag]
            f.kind = FRAG_MERGE
            f.link = <uint32_t>row
            if group.carrier == 0:
                group.carrier = m.frag
                f.size = group.size
            else:
                # An empty member must not align the location counter.
                f.size = 0
                f.align_log2 = 0
        return 0

    cdef tuple run(self):
        cdef Work* w = &self.w
        cdef Columns* c = w.c
        cdef uint64_t uniques = 0
        cdef uint64_t n = self.search()
        cdef uint32_t g
        if n == 0:
            return 0, 0, 0
        if n >= <uint64_t>0xfffffff0:
            raise OverflowError("more than 4 G mergeable sections")
        self.group_inputs(n)
        self.make_blocks()
        with nogil:
            parallel_for(count_pieces, w, w.nblocks, c.threads)
        self.number_pieces()
        with nogil:
            parallel_for(split_block, w, w.nblocks, c.threads)
        self.plan_shards()
        with nogil:
            parallel_for(scatter_block, w, w.nblocks, c.threads)
            parallel_for(dedupe_shard, w, w.nshards, c.threads)
        self.check()
        self.gather()
        with nogil:
            parallel_for(place_shard, w, w.nshards, c.threads)
        self.adopt()
        for g in range(1, c.nmerge_groups):
            uniques += w.plans[g].nuniques
        return n, c.npieces, uniques


cdef void* allocate(uint64_t count, size_t item) except NULL:
    """Zeroed rows; never NULL, also for none."""
    cdef void* rows = calloc(count + 1, item)
    if rows == NULL:
        raise MemoryError
    return rows


cdef void* enlarge(void* rows, size_t item, uint64_t count) except NULL:
    """Doubles an array of `count` rows; the new ones are zero."""
    cdef void* grown = realloc(rows, count * 2 * item)
    if grown == NULL:
        raise MemoryError
    memset(<char*>grown + count * item, 0, count * item)
    return grown


def merge_sections(Tables tables, bint tails=False):
    """Merges the live mergeable fragments; `tails` also stores a string inside a longer one that it ends.

    A fragment takes part when it is FRAG_REGULAR with SHF_MERGE, live, in an output run, without
    relocations, neither writable nor thread-local, a whole number of entries, terminated if it holds
    strings, and its entry size fits its alignment. It becomes FRAG_MERGE; others stay as they are.

    Returns (sections merged, their pieces, distinct pieces). Raises OverflowError when a merged section
    would pass 4 GiB, MemoryError."""
    if tables.c.merge_groups != NULL:
        raise ValueError("sections have been merged already")
    return Merger(tables, tails).run()


def merge_groups(Tables tables):
    """List of (carrier fragment, bytes, distinct entries' size or 0 for strings), one for each group, row 1 first."""
    cdef uint32_t g
    rows = []
    for g in range(1, tables.c.nmerge_groups):
        rows.append((tables.c.merge_groups[g].carrier, tables.c.merge_groups[g].size,
                     0 if tables.c.merge_groups[g].strings else tables.c.merge_groups[g].entsize))
    return rows


# Writing ---------------------------------------------------------------------------------------------

cdef struct Copy:            # one call of write
    const Unique* rows       # [count] distinct pieces
    uint64_t count           # rows
    uint64_t size            # bytes of the carrier
    uint64_t mask            # alignment - 1
    uint8_t* out             # first byte of the carrier in the output


cdef void copy_rows(void* context, int64_t index, int thread) noexcept nogil:
    cdef Copy* copy = <Copy*>context
    cdef uint64_t first = <uint64_t>index * WRITE_ROWS
    cdef uint64_t last = min(first + WRITE_ROWS, copy.count)
    cdef const Unique* row
    cdef uint64_t end
    cdef uint64_t next
    cdef uint64_t i
    for i in range(first, last):
        row = &copy.rows[i]
        if row.size == 0:
            continue
        if i + BATCH < last:
            prefetch(copy.rows[i + BATCH].data)
        memcpy(copy.out + row.out, row.data, row.size)
        end = <uint64_t>row.out + row.size
        next = (end + copy.mask) & ~copy.mask
        if next > end:
            memset(copy.out + end, 0, min(next, copy.size) - end)


def write(Tables tables, uint32_t group, size_t out):
    """Writes the merged bytes of a MergeGroup row to address `out`, where its carrier starts in the output.

    Writes exactly the group's size in bytes, zeros between aligned pieces included. Raises IndexError
    for a row that is not a group."""
    cdef Copy copy
    cdef MergeGroup* g
    if group == 0 or group >= tables.c.nmerge_groups:
        raise IndexError(group)
    g = &tables.c.merge_groups[group]
    copy.rows = <const Unique*>g.state
    copy.count = g.count
    copy.size = g.size
    copy.mask = (<uint64_t>1 << g.align_log2) - 1
    copy.out = <uint8_t*>out
    with nogil:
        parallel_for(copy_rows, &copy, (copy.count + WRITE_ROWS - 1) // WRITE_ROWS, tables.c.threads)
