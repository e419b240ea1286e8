"""Level 2: mergeable sections (gABI, "SHF_MERGE" and "SHF_STRINGS").

Inputs of one output run with equal flags, entry size and alignment form a MergeGroup. Their contents are
cut into pieces (a string with its terminator, or a constant of entsize bytes), equal pieces are stored
once, in the group's carrier fragment, and the piece columns map every input offset to its new place.

The loops are in `pieces`; this module finds the inputs, groups them, plans the work and writes the result.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from libc.stdlib cimport malloc, calloc, realloc, free
from libc.string cimport memcpy, memset
from mclink._core.elf cimport (SHT_PROGBITS, SHF_WRITE, SHF_MERGE, SHF_STRINGS, SHF_INFO_LINK, SHF_LINK_ORDER,
                               SHF_GROUP, SHF_TLS, SHF_COMPRESSED, SHF_GNU_RETAIN)
from mclink._core.parallel cimport parallel_for
from mclink._core.pieces cimport (BATCH, Unique, Record, Chunk, Block, Plan, Shard, Work, is_terminated,
                                  count_pieces, place_block, split_block, scatter_block, collect_block,
                                  dedupe_shard, gather_shard, rebase_shard, share_tails)
from mclink._core.tables cimport (Tables, Columns, File, Fragment, MergeGroup, MergeInput,
                                  FRAG_REGULAR, FRAG_MERGE, STATE_LIVE, STATE_FOLDED)

cdef extern from *:
    void prefetch "__builtin_prefetch"(const void* p) noexcept nogil

cdef enum:
    FILES_PER_CHUNK = 64     # live files that one unit of the search takes
    BLOCK_BYTES = 1 << 18    # input bytes after which a block is closed
    SMALL_BYTES = 1 << 16    # input bytes up to which one thread does all
    BLOCK_INPUTS = 4096      # inputs after which a block is closed
    WAVE_PIECES = 1 << 20    # pieces after which a wave is closed
    SHARD_PIECES = 1 << 14   # pieces that a shard should have
    MAX_SHARD_BITS = 7       # log2 of the largest number of shards of a group
    WRITE_ROWS = 1 << 14     # unique pieces that one unit of `write` copies
    # Flags about the input file, not about the contents; all others keep sections apart.
    INPUT_FLAGS = SHF_INFO_LINK | SHF_LINK_ORDER | SHF_GROUP | SHF_COMPRESSED | SHF_GNU_RETAIN


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
        cdef Work* w = &self.w
        cdef uint64_t i
        for i in range(w.nchunks):
            free(w.chunks[i].frags)
        for i in range(w.nshards):
            free(w.shards[i].slots)
            # Rows that were gathered belong to the group.
            if w.c.merge_groups[w.shards[i].group].state == NULL:
                free(w.shards[i].uniques)
        free(w.chunks)
        free(w.blocks)
        free(w.plans)
        free(w.shards)
        free(w.counters)
        free(w.records)

    cdef int check(self) except -1:
        if self.w.failed:
            raise MemoryError
        return 0

    cdef uint64_t search(self) except? 0:
        """Fills the chunks; returns the number of mergeable inputs."""
        cdef Work* w = &self.w
        cdef uint64_t found = 0
        cdef uint64_t i
        cdef uint64_t n = (<uint64_t>w.c.nlive + FILES_PER_CHUNK - 1) // FILES_PER_CHUNK
        w.chunks = <Chunk*>allocate(n, sizeof(Chunk))
        w.nchunks = n
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
            for chunk in range(w.nchunks):
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
            for chunk in range(w.nchunks):
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
        cdef uint32_t flags = f.sh_flags & ~<uint32_t>INPUT_FLAGS
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
        cdef uint64_t total = 0
        cdef uint64_t part
        cdef uint64_t step
        cdef uint32_t g
        cdef uint32_t row
        cdef uint32_t end
        w.blocks = <Block*>allocate(room, sizeof(Block))
        for g in range(1, c.nmerge_groups):
            w.plans[g].first_block = w.nblocks
            row = w.plans[g].first_input
            end = row + w.plans[g].ninputs
            step = max(<uint64_t>BLOCK_BYTES // c.merge_groups[g].entsize, <uint64_t>1) * c.merge_groups[g].entsize
            part = 0
            while row < end:
                if w.nblocks == room:
                    w.blocks = <Block*>enlarge(w.blocks, sizeof(Block), room)
                    room *= 2
                block = &w.blocks[w.nblocks]
                w.nblocks += 1
                block.group = g
                block.first = row
                bytes = c.frags[c.merge_inputs[row].frag].size
                if bytes > 2 * step:
                    block.partial = 1
                    block.begin = part
                    part = min(part + step, bytes)
                    block.end = part
                    block.last = row + 1
                    if part == bytes:
                        total += bytes
                        row += 1
                        part = 0
                    continue
                bytes = 0
                while row < end and row - block.first < BLOCK_INPUTS and bytes < step:
                    bytes += c.frags[c.merge_inputs[row].frag].size
                    if bytes > 2 * step:
                        break
                    row += 1
                block.last = row
                total += bytes
            w.plans[g].nblocks = w.nblocks - w.plans[g].first_block
        # Starting a thread costs more than a small link has to merge.
        w.threads = c.threads if total > SMALL_BYTES else 1
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
        for i in range(w.nblocks):
            w.blocks[i].first_piece = total
            total += w.blocks[i].npieces
            w.plans[w.blocks[i].group].npieces += w.blocks[i].npieces
            if w.blocks[i].partial:
                c.merge_inputs[w.blocks[i].first].npieces += w.blocks[i].npieces
        if total >= <uint64_t>0xfffffff0:
            raise OverflowError("more than 4 G strings and constants to merge")
        c.npieces = total
        total = 0
        for row in range(1, c.nmerge_inputs):
            c.merge_inputs[row].first_piece = total
            total += c.merge_inputs[row].npieces
        for g in range(1, c.nmerge_groups):
            plan = &w.plans[g]
            while plan.shard_bits < MAX_SHARD_BITS and plan.npieces >> plan.shard_bits > SHARD_PIECES:
                plan.shard_bits += 1
            plan.first_shard = <uint32_t>w.nshards
            w.nshards += <uint64_t>1 << plan.shard_bits
            for i in range(plan.first_block, plan.first_block + plan.nblocks):
                w.blocks[i].counters = counters
                counters += <uint64_t>1 << plan.shard_bits
        i = w.nshards
        w.nshards = 0
        w.counters = <uint32_t*>allocate(counters, sizeof(uint32_t))
        w.shards = <Shard*>allocate(i, sizeof(Shard))
        w.nshards = i
        for g in range(1, c.nmerge_groups):
            for i in range(<uint64_t>1 << w.plans[g].shard_bits):
                w.shards[w.plans[g].first_shard + i].group = g
        c.piece_in = <uint32_t*>malloc((c.npieces + 1) * sizeof(uint32_t))
        c.piece_out = <uint32_t*>malloc((c.npieces + 1) * sizeof(uint32_t))
        if c.piece_in == NULL or c.piece_out == NULL:
            raise MemoryError
        c.piece_in[c.npieces] = 0
        return 0

    cdef void plan_wave(self, uint64_t first, uint64_t last) noexcept:
        """Gives each shard of blocks [first, last) its range of records; counters become places in it."""
        cdef Work* w = &self.w
        cdef Plan* plan
        cdef Shard* shard
        cdef uint64_t next = 0
        cdef uint64_t block
        cdef uint64_t end
        cdef uint64_t s
        cdef uint32_t count
        while first < last:
            plan = &w.plans[w.blocks[first].group]
            end = min(last, plan.first_block + plan.nblocks)
            for s in range(<uint64_t>1 << plan.shard_bits):
                shard = &w.shards[plan.first_shard + s]
                shard.records = w.records + next
                for block in range(first, end):
                    count = w.counters[w.blocks[block].counters + s]
                    w.counters[w.blocks[block].counters + s] = <uint32_t>next
                    next += count
                shard.count = w.records + next - shard.records
            first = end

    cdef int run_waves(self) except -1:
        """Finds the distinct pieces of every shard."""
        cdef Work* w = &self.w
        cdef Plan* plan
        cdef uint64_t first = 0
        cdef uint64_t last
        cdef uint64_t room = 0
        cdef uint64_t pieces
        cdef uint64_t shards
        while first < w.nblocks:
            last = first
            pieces = 0
            while last < w.nblocks and pieces < WAVE_PIECES:
                pieces += w.blocks[last].npieces
                last += 1
            if pieces > room:
                free(w.records)
                w.records = <Record*>malloc(pieces * sizeof(Record))
                if w.records == NULL:
                    raise MemoryError
                room = pieces
            plan = &w.plans[w.blocks[last - 1].group]
            w.first_block = first
            w.first_shard = w.plans[w.blocks[first].group].first_shard
            shards = plan.first_shard + (<uint64_t>1 << plan.shard_bits) - w.first_shard
            with nogil:
                parallel_for(split_block, w, last - first, w.threads)
            self.plan_wave(first, last)
            with nogil:
                parallel_for(scatter_block, w, last - first, w.threads)
                parallel_for(dedupe_shard, w, shards, w.threads)
            self.check()
            with nogil:
                parallel_for(collect_block, w, last - first, w.threads)
            first = last
        return 0

    cdef int gather(self) except -1:
        """Gathers the distinct pieces of each group and gives them offsets in the carrier."""
        cdef Work* w = &self.w
        cdef Columns* c = w.c
        cdef Plan* plan
        cdef MergeGroup* group
        cdef Shard* shard
        cdef uint64_t s
        cdef uint64_t end
        cdef uint32_t g
        cdef int failed = 0
        for g in range(1, c.nmerge_groups):
            plan = &w.plans[g]
            group = &c.merge_groups[g]
            end = plan.first_shard + (<uint64_t>1 << plan.shard_bits)
            for s in range(plan.first_shard, end):
                shard = &w.shards[s]
                if plan.shard_bits and shard.nuniques > <uint32_t>1 << (32 - plan.shard_bits):
                    raise OverflowError("too many distinct strings or constants to merge")
                shard.first = group.count
                group.count += shard.nuniques
            group.state = malloc((group.count + 1) * sizeof(Unique))
            if group.state == NULL:
                raise MemoryError
            w.first_shard = plan.first_shard
            with nogil:
                parallel_for(gather_shard, w, end - plan.first_shard, w.threads)
            group.size = 0
            for s in range(plan.first_shard, end):
                w.shards[s].base = group.size
                group.size += w.shards[s].size
            if group.size > <uint64_t>0xfffffff0:
                raise OverflowError("more than 4 GiB of merged strings or constants in one output section")
            if w.tails and group.strings:
                with nogil:
                    failed = share_tails(group, w.threads)
                if failed:
                    raise MemoryError
            else:
                with nogil:
                    parallel_for(rebase_shard, w, end - plan.first_shard, w.threads)
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
                if group.align_log2:
                    group.size = used_size(group)
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
            parallel_for(count_pieces, w, w.nblocks, w.threads)
        self.number_pieces()
        self.run_waves()
        self.gather()
        with nogil:
            parallel_for(place_block, w, w.nblocks, w.threads)
        self.adopt()
        for g in range(1, c.nmerge_groups):
            uniques += c.merge_groups[g].count
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


cdef uint64_t used_size(const MergeGroup* group) noexcept nogil:
    """Bytes up to the end of the last piece: what would align a piece behind it is not part of the section."""
    cdef const Unique* rows = <const Unique*>group.state
    cdef uint64_t end = 0
    cdef uint64_t i
    for i in range(group.count):
        if rows[i].size:
            end = max(end, <uint64_t>rows[i].out + rows[i].size)
    return end


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
