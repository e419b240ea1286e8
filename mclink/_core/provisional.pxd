# cython: language_level=3
"""Level 1: addresses inside the address fixed point, where frag_addr holds offsets in output sections. Inline.

`outputs` is [number of output sections + 1], the provisional address of each by number.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from mclink._core.formula cimport symbol_aux, symbol_gid
from mclink._core.elf cimport Rela
from mclink._core.ops cimport *
from mclink._core.tables cimport *


cdef inline uint64_t now(const Columns* c, const uint64_t* outputs, uint32_t frag, uint64_t offset) noexcept nogil:
    """Provisional address of a byte of a fragment."""
    cdef uint32_t where = frag
    if c.frags[frag].kind == FRAG_MERGE and c.frags[frag].link != 0:
        where = c.merge_groups[c.merge_inputs[c.frags[frag].link].group].carrier
    elif c.frag_state[frag] & STATE_FOLDED:
        where = c.frags[frag].link
    return outputs[c.frags[where].output] + frag_address(<Columns*>c, frag, offset)


cdef inline void find_target(const Columns* c, const uint64_t* outputs, const File* f, uint8_t verdict,
                             Branch* b) noexcept nogil:
    """Fills where the branch with relocation b.r goes: target, plt, code."""
    cdef const Rela* r = b.r
    cdef const Aux* aux = symbol_aux(<Columns*>c, f, r.r_sym)
    cdef uint32_t gid = symbol_gid(f, r.r_sym)
    cdef uint32_t target
    cdef uint64_t value, offset
    b.code = NULL
    b.plt = 0
    if aux.plt >= 0 and verdict != V_DIRECT:
        b.plt = 1
        b.target = now(c, outputs, c.special[aux.plt_section], <uint64_t><int64_t>aux.plt) + <uint64_t>r.r_addend
        return
    if gid != 0:
        target = c.globals[gid].frag
        value = c.globals[gid].value
    else:
        target = sym_frag(<Columns*>c, f, r.r_sym)
        value = f.syms[r.r_sym].st_value
    if target == 0:
        b.target = value + <uint64_t>r.r_addend
        return
    if (<const Ops*>c.ops).find_code != NULL:
        (<const Ops*>c.ops).find_code(c, &target, &value)
    b.target = now(c, outputs, target, value) + <uint64_t>r.r_addend
    offset = value + <uint64_t>r.r_addend
    if c.frags[target].data != NULL and c.frags[target].size >= 4 and offset <= c.frags[target].size - 4:
        b.code = c.frags[target].data + offset
