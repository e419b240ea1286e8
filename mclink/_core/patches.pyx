"""Level 2: places in code where a processor goes wrong (errata), found through Ops.find_patch.

Only code is looked at: mapping symbols tell it from literal data. Finding depends on addresses, so it is done in
each round of the address fixed point.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport malloc, free
from mclink._core.elf cimport SHF_ALLOC, SHF_EXECINSTR
from mclink._core.mapping cimport MapMark, read_map_marks
from mclink._core.ops cimport *
from mclink._core.tables cimport *


cdef int scan_span(const CodeSpan* span, uint64_t start, uint64_t end, list found) except -1:
    """Looks at the code [start, end) of a fragment."""
    cdef const Ops* ops = <const Ops*>span.c.ops
    cdef uint64_t at = start, site
    cdef uint32_t kind
    if end > span.c.frags[span.frag].size:
        end = span.c.frags[span.frag].size
    while at < end:
        kind = ops.find_patch(span, at, end, &site, &at)
        if kind == 0:
            break
        found.append((span.frag, site, kind))
    return 0


cdef inline bint is_code(Columns* c, uint32_t frag) noexcept nogil:
    cdef const Fragment* g = &c.frags[frag]
    return (g.kind == FRAG_REGULAR and g.data != NULL and g.output != 0 and g.sh_flags & SHF_EXECINSTR
            and g.sh_flags & SHF_ALLOC and (c.frag_state[frag] & (STATE_LIVE | STATE_FOLDED)) == STATE_LIVE)


def find_patches(Tables tables not None, list addresses):
    """[(fragment, byte offset, kind)] of the instructions that must move into a veneer. addresses[n]: address of
    output section n, to which frag_addr is relative."""
    cdef Columns* c = &tables.c
    cdef const char* letters = (<const Ops*>c.ops).mark_letters
    cdef uint32_t k, i, count, m
    cdef const File* f
    cdef MapMark* marks
    cdef CodeSpan span
    cdef uint64_t end
    cdef uint64_t* outputs = <uint64_t*>malloc((len(addresses) + 1) * sizeof(uint64_t))
    if outputs == NULL:
        raise MemoryError
    for i in range(len(addresses)):
        outputs[i] = addresses[i]
    found = []
    span.c = c
    span.outputs = outputs
    try:
        for k in range(c.nlive):
            f = &c.files[c.live[k]]
            if f.kind != FILE_OBJECT:
                continue
            marks = read_map_marks(f, letters, &count)
            try:
                for m in range(count):
                    span.frag = f.frag_base + marks[m].section
                    span.letter = marks[m].letter
                    if span.letter == c'd' or not is_code(c, span.frag):
                        continue
                    # Code goes on to the next mark of another kind; equal marks in between say nothing new.
                    if m and marks[m - 1].letter == span.letter and marks[m - 1].section == marks[m].section:
                        continue
                    end = c.frags[span.frag].size
                    for i in range(m + 1, count):
                        if marks[i].section != marks[m].section:
                            break
                        if marks[i].letter != span.letter:
                            end = marks[i].offset
                            break
                    span.code = c.frags[span.frag].data
                    span.address = outputs[c.frags[span.frag].output] + c.frag_addr[span.frag]
                    scan_span(&span, marks[m].offset, end, found)
            finally:
                free(marks)
    finally:
        free(outputs)
    return found
