# cython: language_level=3
"""Level 1: the only module that creates threads."""
from libc.stdint cimport int64_t

# One unit of work: called once for each index in [0, count), in any order, on any thread.
# `thread` is in [0, threads) and is the index of per-thread buffers.
ctypedef void (*task_t)(void* context, int64_t index, int thread) noexcept nogil

# Runs task(context, i, thread) for every i in [0, count); returns when all are done. threads <= 1, or
# count <= 1, runs in the caller. Indices are handed out in increasing order from an atomic counter.
cdef void parallel_for(task_t task, void* context, int64_t count, int threads) noexcept nogil

# Atomic or on a byte/halfword/word of a "needs" column, skipped when the bits are already there.
cdef extern from *:
    """
    #include <stdint.h>
    static inline void mclink_or8(uint8_t *p, uint8_t v)
    { if ((__atomic_load_n(p, __ATOMIC_RELAXED) & v) != v) __atomic_fetch_or(p, v, __ATOMIC_RELAXED); }
    static inline void mclink_or16(uint16_t *p, uint16_t v)
    { if ((__atomic_load_n(p, __ATOMIC_RELAXED) & v) != v) __atomic_fetch_or(p, v, __ATOMIC_RELAXED); }
    static inline void mclink_or32(uint32_t *p, uint32_t v)
    { if ((__atomic_load_n(p, __ATOMIC_RELAXED) & v) != v) __atomic_fetch_or(p, v, __ATOMIC_RELAXED); }
    static inline int64_t mclink_add64(int64_t *p, int64_t v) { return __atomic_fetch_add(p, v, __ATOMIC_RELAXED); }
    """
    void atomic_or8 "mclink_or8"(unsigned char* p, unsigned char v) noexcept nogil
    void atomic_or16 "mclink_or16"(unsigned short* p, unsigned short v) noexcept nogil
    void atomic_or32 "mclink_or32"(unsigned int* p, unsigned int v) noexcept nogil
    int64_t atomic_add64 "mclink_add64"(int64_t* p, int64_t v) noexcept nogil
