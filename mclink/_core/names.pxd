# cython: language_level=3
"""Level 1: the table of global names: PARTITIONS open-addressing tables, chosen by the top bits of the hash;
and the names that scripts match sections by.

A partition is written by one thread at a time; partitions need no locks between them. gid =
partition + index * PARTITIONS, where index counts the names of the partition in order of arrival.
"""
from libc.stdint cimport uint32_t, uint64_t
from mclink._core.tables cimport Columns, Global, Tables

# gid of a name, 0 when it is unknown. `hash` is hash_bytes(name, length).
cdef uint32_t find_name(Columns* c, const char* name, size_t length, uint64_t hash) noexcept nogil

# gid of a name, made when unknown; 0 when memory ran out. The caller has reserved globals rows for it and owns
# the partition. `name` must outlive the table.
cdef uint32_t intern_name(Columns* c, const char* name, size_t length, uint64_t hash) noexcept nogil

# First slot that a hash probes, for prefetching.
cdef const void* slot_of(Columns* c, uint64_t hash) noexcept nogil

# Row that find_name() will compare first, NULL none, for prefetching.
cdef const Global* likely_row(Columns* c, uint64_t hash) noexcept nogil

# Reserves rows so that `extra[p]` more names fit partition p; call outside parallel regions.
cdef int reserve_names(Tables tables, const uint32_t* extra) except -1

cdef enum:
    NAME_BUFFER = 512        # bytes that fragment_name() may ask for

cdef struct Name:            # a section's name
    const char* text         # not NUL-terminated
    uint32_t length          # bytes

# The name of a fragment as scripts see it: COMMON for a common symbol, .debug_* for a .zdebug_* section whose contents
# were inflated on input. `buffer` has NAME_BUFFER bytes for a name that is rewritten.
cdef Name fragment_name(Columns* c, uint32_t frag, char* buffer) noexcept nogil
