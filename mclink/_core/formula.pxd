# cython: language_level=3
"""Level 1: the value of a relocation, from the tables and a row of ops. Inline, used by apply, ehframe, arch.

The caller has checked what scan checks: type, symbol index, and that the field lies in the fragment. Final
addresses must be in place (frag_addr, gvalue, Aux, Image). gvalue of a G_CANONICAL_PLT symbol is its PLT entry.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int8_t, int16_t, int32_t, int64_t
from mclink._core.bytes cimport load16, load32, load64, store16, store32, store64
from mclink._core.elf cimport Rela, Sym, SHN_ABS, STT_SECTION, STT_GNU_IFUNC
from mclink._core.fault cimport Fault, FAULT_OVERFLOW, FAULT_MISALIGNED, record_fault
from mclink._core.ops cimport *
from mclink._core.tables cimport *


cdef inline uint32_t symbol_gid(const File* f, uint32_t sym) noexcept nogil:
    """gid of symbol `sym` of a file, 0 for a local one."""
    return f.gids[sym - f.first_global] if sym >= f.first_global else 0


cdef inline Aux* symbol_aux(Columns* c, const File* f, uint32_t sym) noexcept nogil:
    """Aux row of symbol `sym` of a file; row 0, without slots, when it has none."""
    if sym >= f.first_global:
        return &c.aux[c.globals[f.gids[sym - f.first_global]].aux]
    if f.local_aux == NULL:
        return &c.aux[0]
    return &c.aux[f.local_aux[sym]]


cdef inline Aux* got_aux(Columns* c, const File* f, uint32_t sym) noexcept nogil:
    """The row whose GOT slots code of a file can reach: that of its TOC."""
    cdef Aux* a = symbol_aux(c, f, sym)
    while a.toc != f.toc and a.more != 0:
        a = &c.aux[a.more]
    return a


cdef inline uint64_t plt_address(Columns* c, const Aux* aux) noexcept nogil:
    """Address of the PLT entry that calls use; only when aux.plt >= 0."""
    return c.frag_addr[c.special[aux.plt_section]] + <uint64_t><int64_t>aux.plt


cdef inline uint64_t slot_address(Columns* c, int32_t offset) noexcept nogil:
    """Address of byte `offset` of .got."""
    return c.frag_addr[c.special[SPECIAL_GOT]] + <uint64_t><int64_t>offset


cdef inline uint64_t symbol_address(Columns* c, const File* f, uint32_t sym, int64_t addend) noexcept nogil:
    """S. A section symbol of a mergeable section names the piece at `addend`, so S depends on A there."""
    cdef const Sym* s
    cdef Aux* aux
    cdef uint32_t frag
    if sym >= f.first_global:
        return c.gvalue[f.gids[sym - f.first_global]]
    s = &f.syms[sym]
    if s.st_shndx == SHN_ABS:
        return s.st_value
    frag = sym_frag(c, f, sym)
    if frag == 0:
        return 0
    if (s.st_info & 15) == STT_GNU_IFUNC:
        aux = symbol_aux(c, f, sym)
        if aux.needs & NEED_CANONICAL_PLT and aux.plt >= 0:
            return plt_address(c, aux)
    elif (s.st_info & 15) == STT_SECTION and c.frags[frag].kind == FRAG_MERGE:
        return frag_address(c, frag, s.st_value + <uint64_t>addend) - <uint64_t>addend
    return frag_address(c, frag, s.st_value)


cdef inline uint64_t ifunc_resolver(Columns* c, const File* f, uint32_t sym) noexcept nogil:
    """Address of the resolver of an IFUNC symbol, whatever its S is."""
    cdef Global* g
    if sym >= f.first_global:
        g = &c.globals[f.gids[sym - f.first_global]]
        return frag_address(c, g.frag, g.value) if g.frag != 0 else g.value
    return frag_address(c, sym_frag(c, f, sym), f.syms[sym].st_value)


cdef inline uint64_t quantity_value(Columns* c, const File* f, const RelocType* t, uint32_t sym,
                                    int64_t addend) noexcept nogil:
    """The first term of the formula of `t`."""
    cdef Aux* aux
    cdef uint8_t q = t.quantity
    if q == Q_S:
        return symbol_address(c, f, sym, addend)
    if q == Q_L:
        aux = symbol_aux(c, f, sym)
        return plt_address(c, aux) if aux.plt >= 0 else symbol_address(c, f, sym, addend)
    if q == Q_G:
        return slot_address(c, got_aux(c, f, sym).got)
    if q == Q_GOTTP:
        return slot_address(c, got_aux(c, f, sym).gottp)
    if q == Q_TPOFF:
        return symbol_address(c, f, sym, addend) - c.image.tp
    if q == Q_DTPOFF:
        return symbol_address(c, f, sym, addend) - c.image.dtp
    if q == Q_GOT:
        return c.image.got
    if q == Q_GD:
        return slot_address(c, got_aux(c, f, sym).tlsgd)
    if q == Q_LD:
        return slot_address(c, f.tlsld if f.toc else c.image.tlsld)
    if q == Q_TLSDESC:
        return slot_address(c, got_aux(c, f, sym).tlsdesc)
    if q == Q_GP:
        return c.image.gp + f.gp_shift
    if q == Q_SLOT:
        aux = symbol_aux(c, f, sym)
        if aux.gotplt < 0:
            return slot_address(c, got_aux(c, f, sym).got)
        return c.frag_addr[c.special[SPECIAL_IGOT_PLT if aux.plt_section == SPECIAL_IPLT else SPECIAL_GOT_PLT]] \
            + <uint64_t><int64_t>aux.gotplt
    if q == Q_GOTDTP:
        return slot_address(c, got_aux(c, f, sym).tlsdesc)
    if q == Q_Z:
        if sym >= f.first_global:
            return c.globals[f.gids[sym - f.first_global]].size
        return f.syms[sym].st_size
    return 0


cdef inline uint64_t subtract_reference(Columns* c, const File* f, uint8_t reference, uint64_t value,
                                        uint64_t P) noexcept nogil:
    """value - reference."""
    if reference == R_P:
        return value - P
    if reference == R_NONE or reference == R_LOW:
        return value
    if reference == R_GOT:
        return value - c.image.got
    if reference == R_PAGE:
        return (value & ~<uint64_t>4095) - (P & ~<uint64_t>4095)
    if reference == R_GP:
        return value - c.image.gp - f.gp_shift
    return value - (c.image.got & ~<uint64_t>4095)


cdef inline void fault_value(Place* p, uint32_t code, int64_t value, int64_t low, int64_t high) noexcept nogil:
    """Records a fault about the value of a relocation."""
    cdef Fault row
    cdef const Rela* r = &p.frag.relocs[p.index]
    row.code = code
    row.file = p.frag.file
    row.frag = p.frag_id
    row.type = r.r_type
    row.offset = r.r_offset
    row.gid = symbol_gid(&p.c.files[p.frag.file], r.r_sym)
    row.sym = r.r_sym
    row.value = value
    row.low = low
    row.high = high
    record_fault(p.c.faults, &row)


cdef inline void store_field(Columns* c, const Ops* ops, const RelocType* t, uint8_t* loc,
                             int64_t value) noexcept nogil:
    """Puts a value that has been checked where the field of `t` says."""
    cdef uint8_t field = t.field
    if field == FIELD_32:
        if c.swap:
            store32(loc, <uint32_t>value, True)
        else:
            store32(loc, <uint32_t>value, False)
    elif field == FIELD_64:
        if c.swap:
            store64(loc, <uint64_t>value, True)
        else:
            store64(loc, <uint64_t>value, False)
    elif field == FIELD_16:
        store16(loc, <uint16_t>value, c.swap)
    elif field == FIELD_8:
        loc[0] = <uint8_t>value
    elif field >= FIELD_ARCH:
        ops.write_field[field - FIELD_ARCH](loc, value, c.swap)


cdef inline int64_t load_field(const Ops* ops, const RelocType* t, const uint8_t* p, bint swap) noexcept nogil:
    """The addend in a field: what store_field has put there. Signed unless the type's range says otherwise."""
    cdef uint8_t field = t.field
    cdef bint is_signed = t.low < 0
    if field == FIELD_32:
        return <int64_t><int32_t>load32(p, swap) if is_signed else <int64_t>load32(p, swap)
    if field == FIELD_64:
        return <int64_t>load64(p, swap)
    if field == FIELD_16:
        return <int64_t><int16_t>load16(p, swap) if is_signed else <int64_t>load16(p, swap)
    if field == FIELD_8:
        return <int64_t><int8_t>p[0] if is_signed else <int64_t>p[0]
    if field >= FIELD_ARCH and ops.read_field[field - FIELD_ARCH] != NULL:
        return ops.read_field[field - FIELD_ARCH](p, swap)
    return 0


cdef inline uint64_t thunk_address(Columns* c, uint32_t row) noexcept nogil:
    return c.frag_addr[c.thunks[row].frag] + c.thunks[row].offset


cdef inline void store_checked(Place* p, const RelocType* t, uint64_t value) noexcept nogil:
    """Range check of `t`, then the field."""
    cdef int64_t v = <int64_t>value
    if t.flags & TYPE_WRAP32:
        v = <int32_t><uint32_t>value
    if v < t.low or v > t.high:
        fault_value(p, FAULT_OVERFLOW, v, t.low, t.high)
    elif t.align > 1 and (v & (t.align - 1)) != 0:
        fault_value(p, FAULT_MISALIGNED, v, t.align, 0)
    store_field(p.c, p.ops, t, p.loc, v)


cdef inline void add_dynamic(Place* p, uint64_t index, uint32_t type, uint32_t dynsym, uint64_t addend) noexcept nogil:
    """Writes one canonical dynamic relocation at the place; an index past the table is dropped."""
    cdef Rela* d
    if index >= p.c.ndynrels:
        return
    d = &p.c.dynrels[index]
    d.r_offset = p.P
    d.r_type = type
    d.r_sym = dynsym
    d.r_addend = <int64_t>addend


cdef inline void relocate_dynamic(Place* p, const Rela* r, const RelocType* t, uint8_t verdict) noexcept nogil:
    """The verdicts that leave work to the run-time linker."""
    cdef Columns* c = p.c
    cdef const File* f = &c.files[p.frag.file]
    cdef const Ops* ops = p.ops
    cdef uint32_t gid, type
    cdef uint64_t value
    if verdict == V_RELATIVE or verdict == V_RELATIVE_ODD:
        value = quantity_value(c, f, t, r.r_sym, r.r_addend) + <uint64_t>r.r_addend
        store_field(c, ops, t, p.loc, <int64_t>value)
        if verdict == V_RELATIVE_ODD:
            add_dynamic(p, p.next_dynamic, ops.dyn_relative, 0, value)
            p.next_dynamic += 1
            return
        if not c.use_relr:
            add_dynamic(p, p.next_relative, ops.dyn_relative, 0, value)
        elif p.next_relative < c.nrelr:
            c.relr[p.next_relative] = p.P
        p.next_relative += 1
        return
    gid = symbol_gid(f, r.r_sym)
    if verdict == V_SYMBOLIC:
        # REL outputs keep A in the field; with RELA the field does not matter and stays 0, as GNU ld has it.
        store_field(c, ops, t, p.loc, 0 if c.rela else r.r_addend)
        add_dynamic(p, p.next_dynamic, ops.dyn_symbolic if t.flags & TYPE_WORD else r.r_type, c.aux[c.globals[gid].aux].dynsym, <uint64_t>r.r_addend)
    elif verdict == V_IRELATIVE:
        if symbol_aux(c, f, r.r_sym).needs & NEED_CANONICAL_PLT:
            value = symbol_address(c, f, r.r_sym, r.r_addend) + <uint64_t>r.r_addend
            add_dynamic(p, p.next_dynamic, ops.dyn_relative, 0, value)
        else:
            value = ifunc_resolver(c, f, r.r_sym) + <uint64_t>r.r_addend
            add_dynamic(p, p.next_dynamic, ops.dyn_irelative, 0, value)
        store_field(c, ops, t, p.loc, <int64_t>value)
    else:
        type = ops.dyn_tpoff_down if verdict == V_DYNAMIC_TPOFF_DOWN else ops.dyn_tpoff
        if gid != 0 and (c.gflags[gid] & G_KIND_MASK) >= G_IMPORT_DATA:
            store_field(c, ops, t, p.loc, 0 if c.rela else r.r_addend)
            add_dynamic(p, p.next_dynamic, type, c.aux[c.globals[gid].aux].dynsym, <uint64_t>r.r_addend)
        else:
            # Without a symbol the run-time linker adds the offset of the module's block.
            value = symbol_address(c, f, r.r_sym, r.r_addend) - c.image.tls_start
            value = <uint64_t>r.r_addend + (0 - value if verdict == V_DYNAMIC_TPOFF_DOWN else value)
            store_field(c, ops, t, p.loc, 0 if c.rela else <int64_t>value)
            add_dynamic(p, p.next_dynamic, type, 0, value)
    p.next_dynamic += 1


cdef inline void relocate_place(Place* p, uint8_t verdict) noexcept nogil:
    """Does what `verdict` says about relocation p.index, at p.loc with address p.P."""
    cdef Columns* c = p.c
    cdef const Rela* r = &p.frag.relocs[p.index]
    cdef const RelocType* t = &p.ops.types[r.r_type]
    cdef const File* f = &c.files[p.frag.file]
    cdef uint64_t value
    if verdict == V_APPLY:
        value = quantity_value(c, f, t, r.r_sym, r.r_addend) + <uint64_t>r.r_addend
        store_checked(p, t, subtract_reference(c, f, t.reference, value, p.P))
    elif verdict == V_DIRECT:
        value = symbol_address(c, &c.files[p.frag.file], r.r_sym, r.r_addend) + <uint64_t>r.r_addend
        store_checked(p, t, subtract_reference(c, f, t.reference, value, p.P))
    elif verdict == V_SKIP:
        return
    elif verdict >= V_ARCH:
        p.ops.apply_relaxed(p, verdict)
    elif verdict == V_ZERO:
        store_field(c, p.ops, t, p.loc, 0)
    elif verdict == V_THUNK:
        value = thunk_address(c, thunk_ref(c, p.frag_id, p.index).thunk)
        store_checked(p, t, subtract_reference(c, f, t.reference, value, p.P))
    elif verdict == V_TPOFF:
        value = symbol_address(c, &c.files[p.frag.file], r.r_sym, r.r_addend) + <uint64_t>r.r_addend
        store_checked(p, t, value - c.image.tp)
    elif verdict == V_PCREL:
        value = symbol_address(c, &c.files[p.frag.file], r.r_sym, r.r_addend) + <uint64_t>r.r_addend
        store_field(c, p.ops, t, p.loc, <int64_t>(value - p.P))
    else:
        relocate_dynamic(p, r, t, verdict)


cdef inline void open_place(Place* p, Columns* c, uint32_t frag) noexcept nogil:
    """Starts on the relocations of `frag`; index, loc and P are set for each of them."""
    p.c = c
    p.ops = <const Ops*>c.ops
    p.frag = &c.frags[frag]
    p.frag_id = frag
    p.index = 0
    p.loc = NULL
    p.P = 0
    p.next_relative = p.frag.nrelative
    p.next_dynamic = p.frag.ndynamic
