# cython: language_level=3
"""Level 1: cutting mergeable sections into pieces and finding the distinct ones; `merge` drives it.

The work runs over blocks of inputs and over shards of the hash space in turn, so no two threads ever touch
the same piece or the same table. A shard meets its pieces in input order, and the number of shards
depends on the number of pieces alone: the bytes do not depend on threads. What passes from blocks to
shards and back are records in one buffer that is small enough for a cache, so it goes in waves; a
piece's hash waits for its wave in its own piece_out cell. (Measured: shards that look at the piece
columns instead take twice as long, as every cell they touch is a cache line and often a page of its own.)
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from mclink._core.tables cimport Columns, MergeGroup

cdef enum:
    BATCH = 32               # pieces looked up together, so that their cache misses overlap

cdef struct Unique:          # a distinct piece; MergeGroup.state is an array of them
    const uint8_t* data      # its first occurrence, in an input section
    uint32_t size            # bytes, terminator included; 0 when it lies in the tail of another one
    uint32_t out             # byte offset in the carrier (in the shard, until bases are known)

cdef struct Record:          # a piece on its way from a block to a shard and back
    const uint8_t* data      # its bytes
    uint32_t size            # number of them
    uint32_t hash            # their hash; then the index in Shard.uniques

cdef struct Slot:            # of a shard's hash table
    uint32_t hash            # the piece's hash
    uint32_t unique          # 1 + index in Shard.uniques, 0 free

cdef struct Chunk:           # what the search found in some live files
    uint32_t* frags          # [count] mergeable fragments, in link order; malloc'ed
    uint32_t count           # rows in use
    uint32_t capacity        # rows allocated

cdef struct Block:           # consecutive inputs of one group, or a part of one large input
    uint32_t group           # MergeGroup row
    uint32_t first           # first MergeInput row
    uint32_t last            # row behind its last one
    uint32_t partial         # 1 when it is a part of input `first`
    uint64_t begin           # byte of input `first` where it begins: the start of a piece
    uint64_t end             # byte of input `last - 1` where it ends
    uint64_t first_piece     # index of its first piece
    uint64_t npieces         # number of its pieces
    uint64_t counters        # index of its [shards of the group] counters in Work.counters

cdef struct Plan:            # what is known of a group while it is being merged
    uint32_t first_input     # its MergeInput rows are contiguous
    uint32_t ninputs         # number of them
    uint64_t npieces         # number of its pieces
    uint32_t flags           # sh_flags of its members without INPUT_FLAGS: part of the key
    uint32_t rule            # run of its members: part of the key
    uint32_t shard_bits      # log2 of the number of shards
    uint32_t first_shard     # its first row of Work.shards
    uint64_t first_block     # its blocks are contiguous
    uint64_t nblocks         # number of them

cdef struct Shard:           # the pieces of a group whose hashes start with the same bits
    uint32_t group           # MergeGroup row
    uint32_t nuniques        # rows of uniques
    Record* records          # its pieces of this wave, in input order
    uint64_t count           # number of them
    Slot* slots              # [capacity] hash table of uniques; malloc'ed
    uint64_t capacity        # a power of two, or 0
    Unique* uniques          # distinct pieces in order of first occurrence; malloc'ed, then part of the group's
    uint64_t room            # rows of uniques allocated
    uint64_t first           # index of its first row in the group's array
    uint64_t size            # bytes of its distinct pieces
    uint64_t base            # byte offset of the shard in the carrier

cdef struct Work:            # one run of merge_sections
    Columns* c               # the link's columns
    Chunk* chunks            # [nchunks]
    uint64_t nchunks         # rows
    Block* blocks            # [nblocks]
    uint64_t nblocks         # rows in use
    uint64_t first_block     # first block of the wave
    Plan* plans              # [nmerge_groups]
    Shard* shards            # [nshards]
    uint64_t nshards         # rows in use
    uint64_t first_shard     # first shard of the wave
    uint32_t* counters       # pieces of each shard in each block, then where the block's next record goes
    Record* records          # pieces of the wave by group, shard and input order
    int tails                # share tails of strings (-O2)
    int threads              # threads to use
    int failed               # an allocation failed

# True when the last entry of a section of `size` bytes is zero.
cdef bint is_terminated(const uint8_t* data, uint64_t size, uint32_t entsize) noexcept nogil

# Tasks of parallel_for; the context is a Work. By number of the block, of all blocks:
cdef void count_pieces(void* context, int64_t index, int thread) noexcept nogil
cdef void place_block(void* context, int64_t index, int thread) noexcept nogil
# By number of the block in the wave:
cdef void split_block(void* context, int64_t index, int thread) noexcept nogil
cdef void scatter_block(void* context, int64_t index, int thread) noexcept nogil
cdef void collect_block(void* context, int64_t index, int thread) noexcept nogil
# By number of the shard, counted from Work.first_shard:
cdef void dedupe_shard(void* context, int64_t index, int thread) noexcept nogil
cdef void gather_shard(void* context, int64_t index, int thread) noexcept nogil
cdef void rebase_shard(void* context, int64_t index, int thread) noexcept nogil

# Gives offsets to the distinct strings of a group; one that ends another lies inside it. Returns 0, or -1
# without memory.
cdef int share_tails(MergeGroup* group, int threads) noexcept nogil
