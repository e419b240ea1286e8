# cython: language_level=3
"""Level 0: the hash of symbol names and strings.

A multiply-fold hash over 16-byte steps: not cryptographic, only quick and well spread; equality is always
decided by comparing the bytes.
"""
from libc.stdint cimport uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    static inline uint64_t mclink_fold(uint64_t a, uint64_t b)
    { __uint128_t r = (__uint128_t)a * b; return (uint64_t)r ^ (uint64_t)(r >> 64); }
    static inline uint64_t mclink_read8(const unsigned char *p) { uint64_t v; memcpy(&v, p, 8); return v; }
    static inline uint64_t mclink_read4(const unsigned char *p) { uint32_t v; memcpy(&v, p, 4); return v; }
    #define MCLINK_K0 0x9e3779b97f4a7c15ull
    #define MCLINK_K1 0xd1342543de82ef95ull
    #define MCLINK_K2 0xaf251af3b0f025b5ull
    static inline uint64_t mclink_hash_bytes(const void *data, size_t n)
    {
        const unsigned char *p = (const unsigned char *)data;
        uint64_t h = MCLINK_K0 ^ n, a, b;
        size_t left = n;
        while (left > 16) {
            h = mclink_fold(mclink_read8(p) ^ MCLINK_K1, mclink_read8(p + 8) ^ h);
            p += 16;
            left -= 16;
        }
        if (left >= 8) { a = mclink_read8(p); b = mclink_read8(p + left - 8); }
        else if (left >= 4) { a = mclink_read4(p); b = mclink_read4(p + left - 4); }
        else if (left) { a = (uint64_t)p[0] << 16 | (uint64_t)p[left >> 1] << 8 | p[left - 1]; b = 0; }
        else { a = b = 0; }
        h = mclink_fold(a ^ MCLINK_K2, b ^ h);
        return mclink_fold(h ^ MCLINK_K1, MCLINK_K0);
    }
    /* Length up to the NUL, or up to "@@" for a default-versioned definition: foo@@V is the name foo. */
    static inline size_t mclink_key_length(const char *name, int *has_at)
    {
        size_t n = strlen(name);
        const char *at = (const char *)memchr(name, '@', n);
        if (at) {
            *has_at = 1;
            if (at[1] == '@' && at != name)
                return (size_t)(at - name);
        }
        return n;
    }
    static inline uint64_t mclink_hash_name(const char *name, int *has_at)
    { return mclink_hash_bytes(name, mclink_key_length(name, has_at)); }
    """
    uint64_t hash_bytes "mclink_hash_bytes"(const void* data, size_t n) noexcept nogil   # of n bytes
    size_t key_length "mclink_key_length"(const char* name, bint* has_at) noexcept nogil # bytes that count as the name
    uint64_t hash_name "mclink_hash_name"(const char* name, bint* has_at) noexcept nogil # of a NUL-terminated name
