"""Level 2: references between output sections that a script forbids (NOCROSSREFS)."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from mclink._core.elf cimport Rela
from mclink._core.tables cimport Columns, File, Fragment, Tables, STATE_FOLDED, STATE_LIVE, sym_frag


cdef uint32_t target_fragment(Columns* c, const File* f, const Rela* r) noexcept nogil:
    """The fragment that a relocation refers to, 0 for none."""
    cdef uint32_t frag = 0
    if r.r_sym >= f.nsyms:
        return 0
    if r.r_sym < f.first_global:
        frag = sym_frag(c, f, r.r_sym)
    elif f.gids != NULL:
        frag = c.globals[f.gids[r.r_sym - f.first_global]].frag
    if frag == 0 or frag >= c.nfrags:
        return 0
    return c.frags[frag].link if c.frag_state[frag] & STATE_FOLDED else frag


def find_crossrefs(Tables tables, bytes forbidden, uint32_t outputs, uint32_t limit):
    """References that are forbidden: a list of at most `limit` tuples (fragment, byte offset, output section it
    stands in, output section it refers to, gid or 0, fragment it refers to), in the order of the fragments.

    forbidden: (outputs + 1) squared bytes; row "from", column "to", non-zero where no reference may go."""
    cdef Columns* c = &tables.c
    cdef const uint8_t* row = <const uint8_t*><const char*>forbidden
    cdef uint32_t width = outputs + 1
    cdef uint32_t i, k, source, target, frag
    cdef Fragment* g
    cdef const File* f
    if len(forbidden) != <Py_ssize_t>width * width:
        raise ValueError("forbidden")
    found = []
    for i in range(1, c.nfrags):
        g = &c.frags[i]
        source = g.output
        if source == 0 or source > outputs or not c.frag_state[i] & STATE_LIVE or g.nrelocs == 0:
            continue
        f = &c.files[g.file]
        for k in range(g.nrelocs):
            frag = target_fragment(c, f, &g.relocs[k])
            target = c.frags[frag].output
            if target and target <= outputs and row[<size_t>source * width + target]:
                found.append((i, g.relocs[k].r_offset, source, target,
                              f.gids[g.relocs[k].r_sym - f.first_global] if g.relocs[k].r_sym >= f.first_global
                              else 0, frag))
                if <uint32_t>len(found) >= limit:
                    return found
    return found
