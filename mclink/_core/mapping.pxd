# cython: language_level=3
"""Level 1: mapping symbols, which tell code from literal data: $a, $t, $d (AAELF32, "Mapping symbols") or $x, $d
(AAELF64), perhaps with a dot and more behind. Inline.
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport malloc, qsort
from libc.string cimport strchr
from mclink._core.tables cimport *

cdef struct MapMark:         # a mapping symbol of an input
    uint32_t section         # section index
    uint32_t letter          # what stands from here on
    uint64_t offset          # byte offset in the section


cdef inline bint is_mapping(const char* letters, const char* name) noexcept nogil:
    """True for a mapping symbol with one of `letters`, the target's."""
    return (name[0] == c'$' and name[1] != 0 and strchr(letters, name[1]) != NULL
            and (name[2] == 0 or name[2] == c'.'))


cdef inline int compare_map_marks(const void* left, const void* right) noexcept nogil:
    cdef const MapMark* a = <const MapMark*>left
    cdef const MapMark* b = <const MapMark*>right
    if a.section != b.section:
        return 1 if a.section > b.section else -1
    return (a.offset > b.offset) - (a.offset < b.offset)


cdef inline MapMark* read_map_marks(const File* f, const char* letters, uint32_t* count) except? NULL:
    """The mapping symbols of a file by section and offset, for the caller to free; NULL when it has none."""
    cdef uint32_t i, k, n = 0
    cdef MapMark* marks = NULL
    for k in range(2):
        n = 0
        for i in range(min(f.first_global, f.nsyms)):
            if f.syms[i].st_name >= f.strtab_size or not is_mapping(letters, f.strtab + f.syms[i].st_name) \
                    or not shndx_is_ordinary(f, i):
                continue
            if marks != NULL:
                marks[n].section = sym_section(f, i)
                marks[n].letter = f.strtab[f.syms[i].st_name + 1]
                marks[n].offset = f.syms[i].st_value
            n += 1
        if n == 0 or k == 1:
            break
        marks = <MapMark*>malloc(n * sizeof(MapMark))
        if marks == NULL:
            raise MemoryError
    count[0] = n
    if n:
        qsort(marks, n, sizeof(MapMark), compare_map_marks)
    return marks
