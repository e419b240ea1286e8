# cython: language_level=3
"""Level 2: SHA-1 of a build id. The interpreter's own is in a file that has to be found and loaded, and behind it OpenSSL.

Source: FIPS 180-4, 6.1.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from mclink._core.bytes cimport load32, store32, store64

cdef enum:
    BLOCK = 64      # bytes that one step takes


cdef inline uint32_t turn(uint32_t v, int count) noexcept nogil:
    return v << count | v >> (32 - count)


cdef void digest_block(uint32_t* h, const uint8_t* block) noexcept nogil:
    """One block of 64 bytes into the five words of the state."""
    cdef uint32_t w[80]
    cdef uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], t
    cdef int i
    for i in range(16):
        w[i] = load32(block + 4 * i, True)
    for i in range(16, 80):
        w[i] = turn(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1)
    for i in range(80):
        if i < 20:
            t = (d ^ (b & (c ^ d))) + <uint32_t>0x5a827999
        elif i < 40:
            t = (b ^ c ^ d) + <uint32_t>0x6ed9eba1
        elif i < 60:
            t = ((b & c) | (d & (b | c))) + <uint32_t>0x8f1bbcdc
        else:
            t = (b ^ c ^ d) + <uint32_t>0xca62c1d6
        t += turn(a, 5) + e + w[i]
        e = d
        d = c
        c = turn(b, 30)
        b = a
        a = t
    h[0] += a
    h[1] += b
    h[2] += c
    h[3] += d
    h[4] += e


cdef void digest_blocks(uint32_t* h, const uint8_t* p, uint64_t size) noexcept nogil:
    """*size* bytes, whole blocks."""
    cdef const uint8_t* end = p + size
    while p < end:
        digest_block(h, p)
        p += BLOCK


def sha1(bytes data):
    """The 20 bytes of the digest of *data*."""
    cdef const uint8_t* p = data
    cdef uint64_t size = len(data), whole = size // BLOCK * BLOCK, rest = size - whole
    cdef uint8_t tail[2 * BLOCK]
    cdef uint8_t result[20]
    cdef uint32_t h[5]
    cdef int i
    h[0], h[1], h[2], h[3], h[4] = 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0
    with nogil:
        digest_blocks(h, p, whole)
        # The rest, a bit of 1, zeros, and the length in bits as the last doubleword of a block.
        memset(tail, 0, sizeof(tail))
        memcpy(tail, p + whole, rest)
        tail[rest] = 0x80
        i = 1 if rest + 9 <= BLOCK else 2
        store64(tail + i * BLOCK - 8, size * 8, True)
        digest_blocks(h, tail, i * BLOCK)
        for i in range(5):
            store32(result + 4 * i, h[i], True)
    return (<char*>result)[:20]
