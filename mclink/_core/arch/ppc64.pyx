"""Level 2: 64-bit Power instructions, ELFv1 and ELFv2. See the Power ISA for the encodings, and the "64-Bit ELF V2 ABI
Specification" and "64-bit PowerPC ELF ABI Supplement 1.9" for sequences, stubs and st_other.

Instructions are words in the byte order of data; prefixed ones are two words, the prefix first. In D-form rt stands
in bits 21..25, ra in bits 16..20, the immediate in the low half. Relocations of an immediate name its halfword, so
the instruction begins at the multiple of 4 at or in front of it. What is relaxed is one instruction at a time: the
ABI's markers (TLS, TLSGD, TLSLD) say which instructions belong together.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from libc.string cimport memcmp, strcmp
from mclink._core.arch.ppc64_fields cimport *
from mclink._core.arch.ppc64_stubs cimport *
from mclink._core.arch.ppc64_symbols cimport *
from mclink._core.bytes cimport load64
from mclink._core.elf cimport Rela, Sym, SHF_EXECINSTR, STT_GNU_IFUNC
from mclink._core.fault cimport FAULT_BAD_INSTRUCTION, FAULT_OVERFLOW, FAULT_RELOC_ARCH
from mclink._core.formula cimport (fault_value, got_aux, plt_address, quantity_value, slot_address, store_checked,
                                   symbol_address, symbol_aux, symbol_gid, thunk_address)
from mclink._core.ops cimport *
from mclink._core.parallel cimport atomic_or32
from mclink._core.tables cimport *

cdef enum:
    LD_BIAS = 0x1000         # DTP base - TP, the same in every module's static block
    FAULT_NO_NOP = 64 + 48   # call through a stub without room for the load of r2; FAULTS of mclink.diag


# ---- relaxations: may it be done?

cdef inline const Rela* marked_call(const Fragment* frag, uint32_t index, uint8_t* family,
                                    const Ops* ops) noexcept nogil:
    """The relocation of the instruction of a call of __tls_get_addr that marker `index` stands on, NULL when there is
    none; its family."""
    cdef const Rela* r = &frag.relocs[index]
    if index + 1 >= frag.nrelocs or frag.relocs[index + 1].r_offset != r.r_offset or not holds(frag, r.r_offset, 8):
        return NULL
    r = &frag.relocs[index + 1]
    if r.r_type >= ops.ntypes:
        return NULL
    family[0] = ops.types[r.r_type].relax
    if family[0] == FAMILY_CALL or is_notoc(family[0]) or FAMILY_PLT_HA <= family[0] <= FAMILY_PLT_CALL_NOTOC:
        return r
    return NULL


cdef uint8_t choose_mark(const Columns* c, const Fragment* frag, uint32_t index, uint8_t family, bint le,
                         uint32_t* skip) noexcept nogil:
    """What becomes of the call, or of what leads up to it, that TLSGD or TLSLD marks; its own relocation is dropped."""
    cdef uint8_t of = 0
    if marked_call(frag, index, &of, <const Ops*>c.ops) == NULL:
        return A_BAD
    skip[0] = 1
    if FAMILY_PLT_HA <= of <= FAMILY_PLT_SEQ:
        return A_PNOP if of == FAMILY_PLT_34 else A_NOP
    if family == FAMILY_GD_MARK and not le:
        return A_MARK_ADD
    if is_notoc(of):
        return A_MARK_NOP
    return A_MARK_LO if family == FAMILY_GD_MARK else A_LD_MARK


cdef inline bint is_short_form(uint32_t x) noexcept nogil:
    """True for instructions with a 16-bit displacement that leave their base alone."""
    cdef uint32_t opcode = x >> 26
    if opcode == 14 or opcode == 57 or opcode == 61:   # addi; lxsd, lxssp; lxv, stxv, stxsd, stxssp
        return True
    if opcode == 58 or opcode == 62:                   # ld, lwa; std
        return (x & 3) != 1 and not (opcode == 62 and x & 3)
    # lwz .. stfd; odd numbers update the base, 46 and 47 are lmw and stmw
    return 32 <= opcode <= 54 and not opcode & 1 and opcode != 46


cdef inline bint is_base(const Columns* c, const Fragment* frag, uint64_t offset, uint32_t register) noexcept nogil:
    """True for addis rt, register, x."""
    return (instruction_at(c, frag, offset) & 0xfc1f0000U) == (0x3c000000 | (register << 16))


cdef uint8_t choose_word(const Columns* c, const Fragment* frag, const Rela* r, bint high) noexcept nogil:
    """For an access to a word of .toc that holds an address of this image: the address itself. The word stays."""
    cdef const File* f = &c.files[frag.file]
    cdef const Rela* word = toc_word(c, f, r)
    cdef uint32_t gid, target
    if word == NULL:
        return 0
    gid = symbol_gid(f, word.r_sym)
    if gid != 0:
        if (c.gflags[gid] & (G_KIND_MASK | G_IFUNC | G_SCRIPT | G_TLS)) != G_LOCAL:
            return 0
        target = c.globals[gid].frag
    else:
        if (f.syms[word.r_sym].st_info & 15) == STT_GNU_IFUNC:
            return 0
        target = sym_frag(<Columns*>c, f, word.r_sym)
    if target == 0 or (c.frag_state[target] & (STATE_LIVE | STATE_FOLDED | STATE_SCRIPT_DISCARD)) == 0 \
            or c.frag_state[target] & STATE_SCRIPT_DISCARD:
        return 0
    return A_VIA_HA if high else A_VIA_LO


cdef uint8_t choose_toc(const Columns* c, const Fragment* frag, const Rela* r, uint8_t family, uint32_t register) noexcept nogil:
    """Both halves of an offset from r2 or r13."""
    cdef uint32_t x = instruction_at(c, frag, r.r_offset)
    cdef uint8_t verdict = 0
    if not (<const Ops*>c.ops).arch_flags & ARCH_TOC:
        return 0
    if family == FAMILY_TOC_HA or family == FAMILY_TP_HA or family == FAMILY_GOT_HA:
        if not is_base(c, frag, r.r_offset, register):
            return 0
        if family == FAMILY_TOC_HA:
            verdict = choose_word(c, frag, r, True)
        return verdict if verdict else A_NEAR_HA
    if not is_short_form(x):
        return 0
    if family == FAMILY_TOC_LO and x >> 26 == 58 and not x & 3:
        verdict = choose_word(c, frag, r, False)
    return verdict if verdict else A_NEAR_LO


cdef uint8_t choose_got(const Columns* c, const Fragment* frag, uint32_t index, uint8_t family, bint pair) noexcept nogil:
    """A load of an address from its slot becomes the address."""
    cdef const Rela* r = &frag.relocs[index]
    cdef uint32_t x = instruction_at(c, frag, r.r_offset)
    if family == FAMILY_GOT_34:
        if not (<const Ops*>c.ops).arch_flags & ARCH_PCREL or r.r_offset & 3 or not holds(frag, r.r_offset, 8) \
                or (x & 0xfffc0000U) != P_PLD_R \
                or (instruction_at(c, frag, r.r_offset + 4) & 0xfc1f0000U) != 0xe4000000U:
            return 0
        return A_OPT_34 if may_join(c, frag, index) else A_DIRECT_34
    if not (<const Ops*>c.ops).arch_flags & ARCH_TOC:
        return 0
    if family == FAMILY_GOT_HA:
        return A_DIRECT_HA if is_base(c, frag, r.r_offset, 2) else 0
    return A_DIRECT_LO if x >> 26 == 58 and not x & 3 else 0


cdef bint may_relax_got(const Columns* c, const Fragment* frag) noexcept nogil:
    """The loads of a section are relaxed all or none, since halves that belong together are not marked."""
    cdef uint32_t i
    cdef uint8_t family
    cdef const Ops* ops = <const Ops*>c.ops
    for i in range(frag.nrelocs):
        if frag.relocs[i].r_type >= ops.ntypes:
            return False
        family = ops.types[frag.relocs[i].r_type].relax
        if (family == FAMILY_GOT_HA or family == FAMILY_GOT_LO) and choose_got(c, frag, i, family, False) == 0:
            return False
    return True


cdef bint may_join(const Columns* c, const Fragment* frag, uint32_t index) noexcept nogil:
    """True when PCREL_OPT says that the next relocation's instruction may be done by the load of the address."""
    cdef const Rela* r = &frag.relocs[index]
    cdef uint64_t at
    cdef uint32_t access, prefix, suffix
    if index + 1 >= frag.nrelocs or frag.relocs[index + 1].r_offset != r.r_offset \
            or frag.relocs[index + 1].r_type != R_PCREL_OPT:
        return False
    at = r.r_offset + <uint64_t>frag.relocs[index + 1].r_addend
    if at & 3 or at < r.r_offset + 8 or not holds(frag, at, 4):
        return False
    access = get(frag.data + at, c.swap)
    if (access >> 16 & 31) != (get(frag.data + r.r_offset + 4, c.swap) >> 21 & 31):
        return False
    return prefixed_access(access, &prefix, &suffix)


cdef bint prefixed_access(uint32_t x, uint32_t* prefix, uint32_t* suffix) noexcept nogil:
    """The PC-relative prefixed form of a D-form load or store: True, with displacement 0, when it has one."""
    cdef uint32_t opcode = x >> 26
    cdef uint32_t to = 0
    if opcode in (32, 34, 36, 38, 40, 42, 44, 48, 50, 52, 54):
        prefix[0] = 0x06100000
        suffix[0] = x & 0xffe00000U
        return True
    if opcode == 58:
        to = 57 if (x & 3) == 0 else 41 if (x & 3) == 2 else 0            # ld, lwa
    elif opcode == 62:
        to = 61 if (x & 3) == 0 else 0                                    # std
    elif opcode == 57:
        to = 42 if (x & 3) == 2 else 43 if (x & 3) == 3 else 0            # lxsd, lxssp
    elif opcode == 61:
        if (x & 3) == 1:                                                  # lxv, stxv; bit 3 is the register's sixth
            to = (54 if x & 4 else 50) | (1 if x & 8 else 0)
        else:
            to = 46 if (x & 3) == 2 else 47 if (x & 3) == 3 else 0        # stxsd, stxssp
    prefix[0] = 0x04100000
    suffix[0] = (to << 26) | (x & 0x3e00000)
    return to != 0


cdef uint8_t choose_inline(const Columns* c, const Fragment* frag, const Rela* r, uint8_t family) noexcept nogil:
    """The parts of an inline call that becomes a direct one."""
    if not holds(frag, r.r_offset & ~<uint64_t>3, 4):
        return 0
    if family == FAMILY_PLT_CALL or family == FAMILY_PLT_CALL_NOTOC:
        return choose_call(c, frag, r, family)
    return A_NOP


cdef inline void note(const Columns* c, uint32_t bits) noexcept nogil:
    if (c.needs & bits) != bits:
        atomic_or32(&(<Columns*>c).needs, bits)


cdef uint8_t choose_call(const Columns* c, const Fragment* frag, const Rela* r, uint8_t family) noexcept nogil:
    cdef const File* f = &c.files[frag.file]
    cdef uint32_t gid = symbol_gid(f, r.r_sym)
    if gid != 0 and c.globals[gid].state == SYM_UNDEF and (c.gflags[gid] & G_KIND_MASK) == G_ABSOLUTE:
        # Undefined, and told not to mind: there is nothing to call.
        return A_CALL if family == FAMILY_CALL_14 else A_NOP
    if is_notoc(family) or other_of(c, f, r.r_sym) >> 5 == 1:
        note(c, NEEDS_THUNKS)
    return A_CALL


cdef uint8_t choose_form(const Columns* c, const Fragment* frag, const Rela* r, uint8_t family) noexcept nogil:
    """RELAX_FORM: no other symbol stands in for the one that is named."""
    if family == FAMILY_LOCAL:
        return A_LOCAL
    if family == FAMILY_PREFIXED:
        note(c, NEEDS_PREFIXED)
        return 0
    if family == FAMILY_SMALL:
        note(c, NEEDS_SMALL)
        return 0
    if family == FAMILY_TOC_HA or family == FAMILY_TOC_LO:
        return choose_toc(c, frag, r, family, 2)
    return choose_call(c, frag, r, family)


cdef uint8_t choose_relaxation(const Columns* c, const Fragment* frag, uint32_t index, uint32_t wish,
                               uint32_t* skip) noexcept nogil:
    cdef const Rela* r = &frag.relocs[index]
    cdef uint8_t family = (<const Ops*>c.ops).types[r.r_type].relax
    if frag.data == NULL:
        return 0
    if wish == RELAX_WEAK:
        return A_NOP if family == FAMILY_CALL or family == FAMILY_CALL_NOTOC else 0
    if wish == RELAX_FORM:
        return choose_form(c, frag, r, family)
    if wish == RELAX_CALL:
        return choose_inline(c, frag, r, family) if (<const Ops*>c.ops).arch_flags & ARCH_INLINE else 0
    if wish == RELAX_GOT_ADDRESS or wish == RELAX_GOT_SMALL:
        return choose_got(c, frag, index, family, True)
    if wish == RELAX_SLOT:
        if family == FAMILY_SMALL:
            note(c, NEEDS_SMALL)
        elif family == FAMILY_GOT_34 or family == FAMILY_IE_34:
            note(c, NEEDS_PREFIXED)
        elif family == FAMILY_GOT_HA or family == FAMILY_GOT_LO:
            return choose_toc(c, frag, r, family, 2)
        elif FAMILY_PLT_HA <= family <= FAMILY_PLT_CALL_NOTOC \
                and has_tls_shortcut(c, symbol_gid(&c.files[frag.file], r.r_sym)):
            # The short cut is in a thunk.
            return choose_inline(c, frag, r, family)
        return 0
    if wish == RELAX_TPOFF:
        return choose_toc(c, frag, r, family, 13) if family == FAMILY_TP_HA or family == FAMILY_TP_LO else 0
    if wish == RELAX_GD_LE or wish == RELAX_GD_IE:
        if family == FAMILY_GD_HA:
            return A_NOP if wish == RELAX_GD_LE else A_IE_HA
        if family == FAMILY_GD_34:
            return A_TP_34 if wish == RELAX_GD_LE else A_IE_34
        return A_TP_HA if wish == RELAX_GD_LE else A_IE_LO
    if wish == RELAX_LD_LE:
        if family == FAMILY_LD_HA:
            return A_NOP
        return A_LD_34 if family == FAMILY_LD_34 else A_LD_HA
    if wish == RELAX_IE_LE:
        if family == FAMILY_IE_HA:
            return A_NOP
        return A_TP_34 if family == FAMILY_IE_34 else A_TP_HA
    if wish == RELAX_DESC_LE or wish == RELAX_DESC_IE:
        if family == FAMILY_TLS_MARK:
            if wish == RELAX_DESC_IE:
                return V_SKIP
            if not holds(frag, r.r_offset & ~<uint64_t>3, 4):
                return A_BAD
            # Behind a prefixed instruction the assembler names the second byte.
            return A_TLS_ZERO if r.r_offset & 3 else A_TLS_LO
        return choose_mark(c, frag, index, family, wish == RELAX_DESC_LE, skip)
    return 0


# ---- calls

cdef inline bint may_lack_nop(Place* p) noexcept nogil:
    """.init and .fini are put together from pieces of several files, which need no r2 behind their last call."""
    cdef const File* f = &p.c.files[p.frag.file]
    cdef const char* name = f.shstrtab + f.shdrs[frag_shndx(p.c, p.frag_id)].sh_name
    return strcmp(name, b".init") == 0 or strcmp(name, b".fini") == 0


cdef void restore_toc(Place* p) noexcept nogil:
    """The NOP behind a call becomes the load of r2. A jump needs none in a program: compilers jump only to code with
    the same r2, and the start-up code never returns."""
    cdef uint64_t offset = p.frag.relocs[p.index].r_offset
    cdef bint swap = p.c.swap
    cdef uint32_t load = 0xe8410028U if is_v1(p.ops) else 0xe8410018U
    cdef uint32_t next
    if get(p.loc, swap) & 1 and holds(p.frag, offset, 8):
        next = get(p.loc + 4, swap)
        if next == I_NOP or next == I_CROR_15 or next == I_CROR_31:
            put(p.loc + 4, load, swap)
            return
        if next == load:
            return
    if not get(p.loc, swap) & 1 and not p.c.shared_output:
        return
    if not may_lack_nop(p):
        fault_value(p, FAULT_NO_NOP, 0, 0, 0)


cdef void take_slot_out(Place* p, bint restored) noexcept nogil:
    """An inline call becomes a direct one. When r2 is the same behind it, its load is not needed either."""
    cdef uint64_t offset = p.frag.relocs[p.index].r_offset
    cdef uint32_t next
    put(p.loc, I_BL, p.c.swap)
    if restored and holds(p.frag, offset, 8):
        next = get(p.loc + 4, p.c.swap)
        if next == 0xe8410018U or next == 0xe8410028U:
            put(p.loc + 4, I_NOP, p.c.swap)


cdef void apply_far_call(Place* p, const Rela* r, const RelocType* t) noexcept nogil:
    """A call through a thunk, which may save r2 or lead to code that does."""
    cdef Columns* c = p.c
    cdef uint32_t row = thunk_ref(c, p.frag_id, p.index).thunk
    cdef uint32_t kind = c.thunks[row].kind
    cdef bint saved = kind == THUNK_SAVE or kind == THUNK_TOC or kind == THUNK_PLT
    if is_inline(t.relax):
        take_slot_out(p, t.relax == FAMILY_PLT_CALL and not saved)
    if saved:
        restore_toc(p)
    store_checked(p, t, thunk_address(c, row) - p.P)


cdef void apply_call(Place* p, const Rela* r, const RelocType* t) noexcept nogil:
    cdef Columns* c = p.c
    cdef const File* f = &c.files[p.frag.file]
    cdef const Aux* aux = symbol_aux(c, f, r.r_sym)
    cdef uint64_t target
    if is_inline(t.relax):
        take_slot_out(p, t.relax == FAMILY_PLT_CALL)
    if aux.plt >= 0:
        if is_notoc(t.relax):
            # Those entries use r2; a thunk was out of reach.
            fault_value(p, FAULT_OVERFLOW, 0, t.low, t.high)
            return
        target = plt_address(c, aux)
        if aux.needs & NEED_CANONICAL_PLT:
            target += p.ops.plt.canonical_size
        restore_toc(p)
    else:
        target = code_address(c, f, r.r_sym, r.r_addend, True)
    store_checked(p, t, target - p.P)


# ---- relaxations: doing it

cdef inline void check(Place* p, uint64_t value, int64_t low, int64_t high) noexcept nogil:
    """Range check of a value that is not that of the relocation's own field."""
    if <int64_t>value < low or <int64_t>value > high:
        fault_value(p, FAULT_OVERFLOW, <int64_t>value, low, high)


cdef inline void check_ha(Place* p, uint64_t value) noexcept nogil:
    check(p, value, -<int64_t>0x80008000, 0x7fff7fff)


cdef uint32_t to_d_form(uint32_t x) noexcept nogil:
    """The D-form of an X-form instruction that adds r13 to another register, displacement 0; 0 when it has none."""
    cdef uint32_t registers, xo = (x >> 1) & 0x3ff
    if x >> 26 != 31:
        return 0
    if (x & 0xf800) == (13 << 11):
        registers = x & 0x3ff0000
    elif (x & 0x1f0000) == (13 << 16):
        registers = (x & 0x3e00000) | ((x & 0xf800) << 5)
    else:
        return 0
    if xo == 266:                          # add -> addi
        return registers | (<uint32_t>14 << 26)
    if (xo & 0x1f) == 23 and not (xo >> 5) & 1:   # lwzx, lbzx, stwx, lfdx ...: no update forms
        return registers | ((32 + (xo >> 5)) << 26)
    if xo == 21:                           # ldx -> ld
        return registers | (<uint32_t>58 << 26)
    if xo == 149:                          # stdx -> std
        return registers | (<uint32_t>62 << 26)
    if xo == 341:                          # lwax -> lwa
        return registers | (<uint32_t>58 << 26) | 2
    return 0


cdef void apply_tls_mark(Place* p, uint64_t tprel, bint zero) noexcept nogil:
    """The instruction that uses a TP offset."""
    cdef uint8_t* at = p.loc - (p.frag.relocs[p.index].r_offset & 3)
    cdef bint swap = p.c.swap
    cdef uint32_t x = get(at, swap)
    cdef uint32_t d = to_d_form(x)
    if d == 0:
        fault_value(p, FAULT_BAD_INSTRUCTION, 0, 0, 0)
        return
    if zero:
        # The prefixed instruction has added r13 already: "addi rt, rt, 0" is nothing.
        put(at, I_NOP if d >> 26 == 14 and (d >> 21 & 31) == (d >> 16 & 31) else d, swap)
        return
    if d >> 26 == 58 or d >> 26 == 62:
        if tprel & 3:
            check(p, tprel, 0, -1)
        put(at, d | (lo(tprel) & 0xfffc), swap)
    else:
        put(at, d | lo(tprel), swap)


cdef void put_prefixed(Place* p, uint32_t prefix, uint32_t suffix, uint64_t value) noexcept nogil:
    check(p, value, -(<int64_t>1 << 33), (<int64_t>1 << 33) - 1)
    put(p.loc, prefix | (<uint32_t>(value >> 16) & 0x3ffff), p.c.swap)
    put(p.loc + 4, suffix | lo(value), p.c.swap)


cdef bint is_needed(const Place* p) noexcept nogil:
    """True when an instruction with the low half must have the high half's register for its base: one that also writes
    to it. Such code is rare and written by hand, close together."""
    cdef const Rela* r = &p.frag.relocs[p.index]
    cdef const Rela* other
    cdef uint32_t i
    cdef uint8_t family
    for i in range(p.index + 1, min(p.index + 64, p.frag.nrelocs)):
        other = &p.frag.relocs[i]
        family = p.ops.types[other.r_type].relax
        if other.r_sym == r.r_sym and other.r_addend == r.r_addend and p.frag.verdicts[i] == V_APPLY \
                and (family == FAMILY_TOC_LO or family == FAMILY_TP_LO or family == FAMILY_GOT_LO):
            return True
    return False


cdef void put_near(Place* p, const RelocType* t, uint64_t value, bint high, bint load) noexcept nogil:
    """Half of an offset from r2 or r13. Where the high half is 0 its instruction is not needed, and the other has that
    register for its base. load: it loaded the value, and now makes it."""
    cdef uint8_t* at = p.loc - (p.frag.relocs[p.index].r_offset & 3)
    cdef bint swap = p.c.swap
    cdef uint32_t x = get(at, swap)
    if high:
        check_ha(p, value)
        put(at, I_NOP if ha(value) == 0 and not is_needed(p) else (x & ~<uint32_t>0xffff) | ha(value), swap)
        return
    if load:
        x = 0x38000000 | (x & 0x3ff0000)               # addi
    if ha(value) == 0:
        x = (x & ~<uint32_t>0x1f0000) | ((13 if t.quantity == Q_TPOFF else 2) << 16)
    put(at, x, swap)
    if load:
        put(at, x | lo(value), swap)
    else:
        store_checked(p, t, value)


cdef void apply_near(Place* p, const Rela* r, const RelocType* t, uint8_t verdict) noexcept nogil:
    cdef Columns* c = p.c
    cdef const File* f = &c.files[p.frag.file]
    cdef const Rela* word
    cdef uint64_t value
    if verdict == A_NEAR_HA or verdict == A_NEAR_LO:
        value = quantity_value(c, f, t, r.r_sym, r.r_addend) + <uint64_t>r.r_addend
        if t.quantity != Q_TPOFF:
            value -= <uint64_t>gp_of(c, f)
        put_near(p, t, value, verdict == A_NEAR_HA, False)
        return
    if verdict == A_DIRECT_HA or verdict == A_DIRECT_LO:
        value = symbol_address(c, f, r.r_sym, r.r_addend) + <uint64_t>r.r_addend
    else:
        word = toc_word(c, f, r)
        value = symbol_address(c, f, word.r_sym, word.r_addend) + <uint64_t>word.r_addend
        if not -<int64_t>0x80008000 <= <int64_t>(value - <uint64_t>gp_of(c, f)) <= 0x7fff7fff:
            # Too far: the word is loaded as before.
            value = quantity_value(c, f, t, r.r_sym, r.r_addend) + <uint64_t>r.r_addend - <uint64_t>gp_of(c, f)
            put_near(p, t, value, verdict == A_VIA_HA, False)
            return
    put_near(p, t, value - <uint64_t>gp_of(c, f), verdict == A_DIRECT_HA or verdict == A_VIA_HA, True)


cdef void apply_join(Place* p, uint64_t distance) noexcept nogil:
    """The load of an address and the access by it, in one."""
    cdef uint8_t* access = p.loc + <uint64_t>p.frag.relocs[p.index + 1].r_addend
    cdef uint32_t x = get(access, p.c.swap)
    cdef uint32_t prefix, suffix
    prefixed_access(x, &prefix, &suffix)
    distance += <uint64_t>(<int64_t>((x & 0xffff) ^ 0x8000) - 0x8000) & ~<uint64_t>displacement_flags(x)
    put_prefixed(p, prefix, suffix, distance)
    put(access, I_NOP, p.c.swap)


cdef inline uint32_t displacement_flags(uint32_t x) noexcept nogil:
    """The low bits of a displacement's halfword that belong to the instruction."""
    cdef uint32_t opcode = x >> 26
    if opcode == 61 and (x & 3) == 1:
        return 15
    return 3 if opcode == 57 or opcode == 58 or opcode == 61 or opcode == 62 else 0


cdef void apply_relaxed(Place* p, uint8_t verdict) noexcept nogil:
    cdef Columns* c = p.c
    cdef const File* f = &c.files[p.frag.file]
    cdef const Rela* r = &p.frag.relocs[p.index]
    cdef const RelocType* t = &p.ops.types[r.r_type]
    cdef uint8_t* at = p.loc - (r.r_offset & 3)
    cdef bint swap = c.swap
    cdef uint32_t register
    cdef uint64_t tprel, slot
    cdef uint32_t gid
    if verdict == A_CALL:
        apply_call(p, r, t)
        return
    if verdict == A_THUNK:
        apply_far_call(p, r, t)
        return
    if A_NEAR_HA <= verdict <= A_VIA_LO:
        apply_near(p, r, t, verdict)
        return
    if verdict == A_PNOP or (verdict == A_NOP and t.relax == FAMILY_PLT_34):
        put(p.loc, P_PNOP, swap)
        put(p.loc + 4, 0, swap)
        return
    if verdict == A_NOP or verdict == A_MARK_NOP:
        put(at, I_NOP, swap)
        return
    if verdict == A_LOCAL:
        store_checked(p, t, code_address(c, f, r.r_sym, r.r_addend, True))
        return
    if verdict == A_DIRECT_34 or verdict == A_OPT_34:
        slot = symbol_address(c, f, r.r_sym, r.r_addend) + <uint64_t>r.r_addend - p.P
        if verdict == A_OPT_34:
            apply_join(p, slot)
        else:
            put_prefixed(p, 0x06100000, 0x38000000 | (get(p.loc + 4, swap) & 0x3e00000), slot)
        return
    if verdict == A_MARK_ADD:
        put(at, I_ADD_R3_R3_R13, swap)
        return
    if verdict == A_LD_MARK:
        put(at, I_ADDI_R3_R3 | LD_BIAS, swap)
        return
    if verdict == A_BAD:
        fault_value(p, FAULT_BAD_INSTRUCTION, 0, 0, 0)
        return
    register = get(at, swap) & 0x3e00000
    if verdict == A_LD_HA:
        put(at, I_ADDIS_R13 | register, swap)
        return
    if verdict == A_LD_34:
        put_prefixed(p, P_PADDI, 0x380d0000 | (get(p.loc + 4, swap) & 0x3e00000), LD_BIAS)
        return
    # An undefined weak symbol has the offset 0.
    gid = symbol_gid(f, r.r_sym)
    if gid != 0 and c.gflags[gid] & G_UNDEF_WEAK:
        tprel = <uint64_t>r.r_addend
    else:
        tprel = symbol_address(c, f, r.r_sym, r.r_addend) + <uint64_t>r.r_addend - c.image.tp
    if verdict == A_TP_HA:
        check_ha(p, tprel)
        put(at, I_ADDIS_R13 | register | ha(tprel), swap)
        return
    if verdict == A_MARK_LO:
        put(at, I_ADDI_R3_R3 | lo(tprel), swap)
        return
    if verdict == A_TLS_LO or verdict == A_TLS_ZERO:
        apply_tls_mark(p, tprel, verdict == A_TLS_ZERO)
        return
    if verdict == A_TP_34:
        put_prefixed(p, P_PADDI, 0x380d0000 | (get(p.loc + 4, swap) & 0x3e00000), tprel)
        return
    slot = slot_address(c, got_aux(c, f, r.r_sym).gottp)
    if verdict == A_IE_34:
        put_prefixed(p, P_PLD_R, 0xe4000000U | (get(p.loc + 4, swap) & 0x3e00000), slot - p.P)
        return
    slot -= <uint64_t>gp_of(c, f)
    if verdict == A_IE_HA:
        check_ha(p, slot)
        put(at, (get(at, swap) & ~<uint32_t>0xffff) | ha(slot), swap)
    else:
        if (get(at, swap) & 0x1f0000) == (2 << 16):
            # The single instruction of the small model.
            check(p, slot, -0x8000, 0x7fff)
        put(at, I_LD | (get(at, swap) & 0x3ff0000) | (lo(slot) & 0xfffc), swap)


cdef void describe_relaxed(const Rela* r, uint8_t verdict, Rela* out) noexcept nogil:
    out[0] = r[0]
    if verdict == A_TP_HA:
        out.r_type = R_TPREL16_HA
    elif verdict == A_IE_HA:
        out.r_type = R_GOT_TPREL16_HA
    elif verdict == A_IE_LO:
        out.r_type = R_GOT_TPREL16_LO_DS
    elif verdict == A_TP_34:
        out.r_type = 146
    elif verdict == A_IE_34:
        out.r_type = 150
    elif verdict == A_DIRECT_HA:
        out.r_type = R_TOC16_HA
    elif verdict == A_DIRECT_LO:
        out.r_type = R_TOC16_LO
    elif verdict == A_DIRECT_34:
        out.r_type = R_PCREL34
    elif verdict == A_CALL and (r.r_type == R_PLTCALL or r.r_type == R_PLTCALL_NOTOC):
        out.r_type = R_REL24
    elif verdict != A_THUNK and verdict != A_NEAR_HA and verdict != A_NEAR_LO and (verdict > A_LOCAL or verdict == A_NOP):
        out.r_type = 0


# ---- thunks

cdef enum:
    THUNK_SLACK = 256        # the local entry, and the call's part of a PLT entry, lie this far behind b.target at most


cdef uint32_t choose_thunk(const Columns* c, const Branch* b, uint32_t* landing) noexcept nogil:
    cdef const Ops* ops = <const Ops*>c.ops
    cdef int64_t distance = <int64_t>(b.target - b.P)
    cdef bint near = b.t.low + THUNK_SLACK <= distance <= b.t.high - THUNK_SLACK
    cdef bint prefixed
    cdef uint8_t other
    if b.r.r_addend != 0 or b.t.relax == FAMILY_CALL_14:
        return 0
    if is_notoc(b.t.relax):
        prefixed = ops.arch_flags & ARCH_P10 or (
            not ops.arch_flags & ARCH_P9 and c.needs & NEEDS_PREFIXED and b.r.r_type != R_REL24_P9NOTOC)
        if b.plt:
            if has_tls_shortcut(c, symbol_gid(b.f, b.r.r_sym)):
                return THUNK_NOTOC_TLS
            return THUNK_P10_PLT if prefixed else THUNK_NOTOC_PLT
        if near and (is_v1(ops) or other_of(c, b.f, b.r.r_sym) >> 5 <= 1):
            return 0
        return THUNK_P10 if prefixed else THUNK_NOTOC
    if b.plt:
        if has_tls_shortcut(c, symbol_gid(b.f, b.r.r_sym)):
            return THUNK_TLS
        return 0 if near and b.f.toc == 0 else THUNK_PLT
    if is_v1(ops):
        if toc_of(c, b.f, b.r.r_sym) != b.f.toc:
            return THUNK_TOC
        return 0 if near else THUNK_LONG
    other = other_of(c, b.f, b.r.r_sym)
    if other >> 5 == 1:
        return THUNK_SAVE
    if other >> 5 > 1 and toc_of(c, b.f, b.r.r_sym) != b.f.toc:
        return THUNK_TOC
    return 0 if near else THUNK_LONG


cdef void write_thunk(uint8_t* out, uint32_t kind, uint64_t address, uint64_t target, bint swap, Columns* c,
                      const Thunk* thunk) noexcept nogil:
    cdef const File* f = &c.files[thunk.file]
    cdef const Aux* aux = symbol_aux(c, f, thunk.sym)
    cdef bint v1 = is_v1(<const Ops*>c.ops)
    cdef uint64_t gp = <uint64_t>gp_of(c, f)
    cdef uint64_t slot = 0
    cdef PltEntry entry
    if thunk.plt:
        slot = c.frag_addr[c.special[SPECIAL_IGOT_PLT if aux.plt_section == SPECIAL_IPLT else SPECIAL_GOT_PLT]] \
            + <uint64_t><int64_t>aux.gotplt
    else:
        target = code_address(c, f, thunk.sym, thunk.addend, kind == THUNK_LONG)
    if kind == THUNK_LONG:
        emit_jump(emit_address(out, target - gp, swap), swap)
    elif kind == THUNK_SAVE:
        write_save_thunk(out, target, gp, swap)
    elif kind == THUNK_TOC:
        write_toc_thunk(out, target, gp, c.image.gp + toc_shift(c, f, thunk.sym), v1, swap)
    elif kind == THUNK_PLT:
        entry.slot = slot
        entry.got = gp
        entry.swap = swap
        if v1:
            write_v1_entry(out, &entry)
        else:
            write_v2_entry(out, &entry)
    elif kind == THUNK_TLS:
        write_tls_thunk(out, slot, gp, v1, swap)
    elif kind == THUNK_NOTOC_TLS:
        write_notoc_thunk(emit_shortcut(out, swap), address + 28, slot, True, swap)
    elif kind == THUNK_NOTOC or kind == THUNK_NOTOC_PLT:
        write_notoc_thunk(out, address, slot if thunk.plt else target, thunk.plt, swap)
    else:
        write_p10_thunk(out, address, slot if thunk.plt else target, thunk.plt, swap)


# ---- gaps

cdef void fill_le(uint8_t* out, uint64_t size) noexcept nogil:
    fill(out, size, False)


cdef void fill_be(uint8_t* out, uint64_t size) noexcept nogil:
    fill(out, size, True)


cdef void fill(uint8_t* out, uint64_t size, bint swap) noexcept nogil:
    """NOPs; `out` may start inside an instruction, whose rest stays zero."""
    cdef uint64_t odd = size & 3
    out += odd
    size -= odd
    while size:
        put(out, I_NOP, swap)
        out += 4
        size -= 4


# ---- connecting

def connect(OpsTable table not None, bint big_endian=False):
    """Gives `table` the functions of 64-bit Power; PLT style 0 is ELFv2's, 1 is ELFv1's."""
    cdef Ops* o = &table.ops
    cdef PltStyle* s = &o.styles[0]
    s.header_size = V2_HEADER
    s.entry_size = 20
    s.lazy_size = 4
    s.got_size = 20
    s.push_offset = 0
    s.align = 16
    s.canonical_size = 16
    s.header = write_v2_header
    s.entry = write_v2_entry
    s.lazy = write_v2_lazy
    s.got = write_v2_entry
    s.canonical = write_v2_canonical
    s = &o.styles[1]
    s.header_size = V1_HEADER
    s.entry_size = V1_ENTRY
    s.lazy_size = 8
    s.lazy_limit = V1_LAZY_NEAR
    s.lazy_more = 4
    s.got_size = V1_ENTRY
    s.push_offset = 0
    s.align = 16
    s.header = write_v1_header
    s.entry = write_v1_entry
    s.lazy = write_v1_lazy
    s.got = write_v1_entry
    o.write_field[0] = write_hi
    o.write_field[1] = write_ha
    o.write_field[2] = write_ds
    o.write_field[3] = write_higher
    o.write_field[4] = write_highera
    o.write_field[5] = write_highest
    o.write_field[6] = write_highesta
    o.write_field[7] = write_li24
    o.write_field[8] = write_bd14
    o.write_field[9] = write_bd14_taken
    o.write_field[10] = write_bd14_not
    o.write_field[11] = write_dx16a
    o.write_field[12] = write_d34
    o.write_field[13] = write_d34_hi30
    o.write_field[14] = write_d34_ha30
    o.write_field[15] = write_higher34
    o.write_field[16] = write_highera34
    o.write_field[17] = write_highest34
    o.write_field[18] = write_highesta34
    o.write_field[19] = write_w30
    o.choose_thunk = choose_thunk
    o.write_thunk = write_thunk
    o.branch_verdict = A_CALL
    o.thunk_verdict = A_THUNK
    o.thunk_align = 4        # a prefixed instruction must not lie in two blocks of 64 bytes
    o.thunk_spacing = 24 << 20
    o.thunk_sizes[THUNK_LONG] = 16
    o.thunk_sizes[THUNK_SAVE] = 20
    o.thunk_sizes[THUNK_TOC] = 28
    o.thunk_sizes[THUNK_PLT] = V1_ENTRY
    o.thunk_sizes[THUNK_TLS] = 88
    o.thunk_sizes[THUNK_NOTOC] = 32
    o.thunk_sizes[THUNK_NOTOC_PLT] = 32
    o.thunk_sizes[THUNK_NOTOC_TLS] = 60
    o.thunk_sizes[THUNK_P10] = 16
    o.thunk_sizes[THUNK_P10_PLT] = 16
    o.find_code = find_code
    o.may_relax_got = may_relax_got
    o.choose_relaxation = choose_relaxation
    o.apply_relaxed = apply_relaxed
    o.describe_relaxed = describe_relaxed
    o.fill_code = fill_be if big_endian else fill_le
    table.use_plt(0)
