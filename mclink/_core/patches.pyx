"""Level 2: places in code where a processor goes wrong (errata), found through Ops.find_patch.

Only code is looked at: mapping symbols ($x, $d; aaelf64, "Mapping symbols") tell it from literal data. Finding
depends on addresses, so it is done in each round of the address fixed point.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport malloc, free, qsort
from mclink._core.elf cimport Sym, SHF_ALLOC, SHF_EXECINSTR
from mclink._core.ops cimport *
from mclink._core.tables cimport *

cdef struct Mark:            # a mapping symbol
    uint32_t section         # section index
    uint32_t code            # 1 for $x
    uint64_t offset          # byte offset in the section


cdef int compare_marks(const void* left, const void* right) noexcept nogil:
    cdef const Mark* a = <const Mark*>left
    cdef const Mark* b = <const Mark*>right
    if a.section != b.section:
        return 1 if a.section > b.section else -1
    return (a.offset > b.offset) - (a.offset < b.offset)


cdef bint is_mapping(const char* name) noexcept nogil:
    return name[0] == c'$' and (name[1] == c'x' or name[1] == c'd') and (name[2] == 0 or name[2] == c'.')


cdef Mark* read_marks(const File* f, uint32_t* count) except? NULL:
    """The mapping symbols of a file, sorted; NULL when it has none."""
    cdef uint32_t i, n = 0
    cdef Mark* marks
    for i in range(f.first_global):
        if f.syms[i].st_name < f.strtab_size and is_mapping(f.strtab + f.syms[i].st_name):
            n += 1
    count[0] = n
    if n == 0:
        return NULL
    marks = <Mark*>malloc(n * sizeof(Mark))
    if marks == NULL:
        raise MemoryError
    n = 0
    for i in range(f.first_global):
        if f.syms[i].st_name < f.strtab_size and is_mapping(f.strtab + f.syms[i].st_name):
            marks[n].section = sym_section(f, i)
            marks[n].code = f.strtab[f.syms[i].st_name + 1] == c'x'
            marks[n].offset = f.syms[i].st_value
            n += 1
    qsort(marks, n, sizeof(Mark), compare_marks)
    return marks


cdef int scan_span(Columns* c, uint32_t frag, uint64_t start, uint64_t end, uint64_t address, list found) except -1:
    """Looks at the code [start, end) of a fragment at `address`."""
    cdef const Ops* ops = <const Ops*>c.ops
    cdef uint64_t at = start, site
    cdef uint32_t kind
    if end > c.frags[frag].size:
        end = c.frags[frag].size
    while at < end:
        kind = ops.find_patch(c, c.frags[frag].data, at, end, address, &site, &at)
        if kind == 0:
            break
        found.append((frag, site, kind))
    return 0


def find_patches(Tables tables not None, list addresses):
    """[(fragment, byte offset, kind)] of the instructions that must move into a veneer. addresses[n]: address of
    output section n, to which frag_addr is relative."""
    cdef Columns* c = &tables.c
    cdef uint32_t k, i, frag, count, m
    cdef const File* f
    cdef Mark* marks
    cdef uint64_t end, address
    found = []
    for k in range(c.nlive):
        f = &c.files[c.live[k]]
        if f.kind != FILE_OBJECT:
            continue
        marks = read_marks(f, &count)
        if marks == NULL:
            continue
        try:
            for m in range(count):
                if not marks[m].code or marks[m].section >= f.shnum:
                    continue
                frag = f.frag_base + marks[m].section
                if (c.frags[frag].kind != FRAG_REGULAR or c.frags[frag].data == NULL or c.frags[frag].output == 0
                        or not c.frags[frag].sh_flags & SHF_EXECINSTR or not c.frags[frag].sh_flags & SHF_ALLOC
                        or (c.frag_state[frag] & (STATE_LIVE | STATE_FOLDED)) != STATE_LIVE):
                    continue
                # Code goes on to the next mark of data; marks of code in between say nothing new.
                if m and marks[m - 1].code and marks[m - 1].section == marks[m].section:
                    continue
                end = c.frags[frag].size
                for i in range(m + 1, count):
                    if marks[i].section != marks[m].section:
                        break
                    if not marks[i].code:
                        end = marks[i].offset
                        break
                address = <uint64_t>addresses[c.frags[frag].output] + c.frag_addr[frag]
                scan_span(c, frag, marks[m].offset, end, address, found)
        finally:
            free(marks)
    return found
