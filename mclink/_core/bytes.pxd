# cython: language_level=3
"""Level 0: loads and stores of integers at any alignment, in a stated byte order.

Every access goes through memcpy, which compilers turn into one move, so that 2-byte aligned archive
members are legal C. `swap` is entered with a literal True or False wherever the caller is hot.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int32_t, int64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    #include <stdint.h>
    static inline uint16_t mclink_bswap16(uint16_t v) { return __builtin_bswap16(v); }
    static inline uint32_t mclink_bswap32(uint32_t v) { return __builtin_bswap32(v); }
    static inline uint64_t mclink_bswap64(uint64_t v) { return __builtin_bswap64(v); }
    """
    uint16_t bswap16 "mclink_bswap16"(uint16_t v) noexcept nogil   # reverses the bytes of a halfword
    uint32_t bswap32 "mclink_bswap32"(uint32_t v) noexcept nogil   # reverses the bytes of a word
    uint64_t bswap64 "mclink_bswap64"(uint64_t v) noexcept nogil   # reverses the bytes of a doubleword


cdef inline uint16_t load16(const void* p, bint swap) noexcept nogil:
    cdef uint16_t v
    memcpy(&v, p, 2)
    return bswap16(v) if swap else v


cdef inline uint32_t load32(const void* p, bint swap) noexcept nogil:
    cdef uint32_t v
    memcpy(&v, p, 4)
    return bswap32(v) if swap else v


cdef inline uint64_t load64(const void* p, bint swap) noexcept nogil:
    cdef uint64_t v
    memcpy(&v, p, 8)
    return bswap64(v) if swap else v


cdef inline void store16(void* p, uint16_t v, bint swap) noexcept nogil:
    if swap:
        v = bswap16(v)
    memcpy(p, &v, 2)


cdef inline void store32(void* p, uint32_t v, bint swap) noexcept nogil:
    if swap:
        v = bswap32(v)
    memcpy(p, &v, 4)


cdef inline void store64(void* p, uint64_t v, bint swap) noexcept nogil:
    if swap:
        v = bswap64(v)
    memcpy(p, &v, 8)


cdef inline bint in_range(uint64_t offset, uint64_t length, uint64_t total) noexcept nogil:
    """True when [offset, offset + length) lies in [0, total), without overflow."""
    return length <= total and offset <= total - length
