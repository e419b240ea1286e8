"""Level 2: 64-bit Power instructions, ELFv1 and ELFv2. See the Power ISA for the encodings, and the "64-Bit ELF V2 ABI
Specification" and "64-bit PowerPC ELF ABI Supplement 1.9" for sequences, stubs and st_other.

Instructions are words in the byte order of data; prefixed ones are two words, the prefix first. In D-form rt stands
in bits 21..25, ra in bits 16..20, the immediate in the low half. Relocations of an immediate name its halfword, so
the instruction begins at the multiple of 4 at or in front of it. What is relaxed is one instruction at a time: the
ABI's markers (TLS, TLSGD, TLSLD) say which instructions belong together.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from libc.string cimport strcmp
from mclink._core.bytes cimport load16, load32, store16, store32, store64
from mclink._core.elf cimport Rela, Sym, SHF_EXECINSTR
from mclink._core.fault cimport FAULT_BAD_INSTRUCTION, FAULT_OVERFLOW, FAULT_RELOC_ARCH
from mclink._core.formula cimport (fault_value, plt_address, slot_address, store_checked, subtract_reference,
                                   symbol_address, symbol_aux, symbol_gid, thunk_address)
from mclink._core.ops cimport *
from mclink._core.tables cimport *

cdef enum:                   # RelocType.relax; keep in step with mclink.target.ppc64.FAMILIES
    FAMILY_CALL = 1
    FAMILY_CALL_NOTOC = 2
    FAMILY_LOCAL = 3
    FAMILY_CALL_14 = 4
    FAMILY_GD_HA = 5
    FAMILY_GD_LO = 6
    FAMILY_GD_16 = 7
    FAMILY_GD_34 = 8
    FAMILY_GD_MARK = 9
    FAMILY_LD_HA = 10
    FAMILY_LD_LO = 11
    FAMILY_LD_16 = 12
    FAMILY_LD_34 = 13
    FAMILY_LD_MARK = 14
    FAMILY_IE_HA = 15
    FAMILY_IE_LO = 16
    FAMILY_IE_34 = 17
    FAMILY_TLS_MARK = 18

cdef enum:                   # verdicts
    A_CALL = 16              # branch to the local entry, or to a stub that saves r2; the NOP behind it brings r2 back
    A_CALL_NOTOC = 17        # branch of code without a TOC pointer
    A_NOP = 18
    A_LOCAL = 19             # address of the local entry
    A_TP_HA = 20             # addis rt, r13, tprel@ha
    A_IE_HA = 21             # the instruction stays, and its immediate is that of the slot of the TP offset
    A_IE_LO = 22             # addi -> ld from the slot of the TP offset
    A_MARK_LO = 23           # bl __tls_get_addr -> addi r3, r3, tprel@l
    A_MARK_ADD = 24          # bl __tls_get_addr -> add r3, r3, r13
    A_MARK_NOP = 25          # bl __tls_get_addr -> nop
    A_LD_HA = 26             # addis rt, r13, 0
    A_LD_MARK = 27           # bl __tls_get_addr -> addi r3, r3, 0x1000: what DTP offsets count from
    A_TLS_LO = 28            # X-form with r13 -> D-form with tprel@l
    A_TLS_ZERO = 29          # the same behind a prefixed instruction that has added all: displacement 0
    A_TP_34 = 30             # paddi rt, r13, tprel
    A_LD_34 = 31             # paddi rt, r13, 0x1000
    A_IE_34 = 32             # pld rt from the slot of the TP offset
    A_BAD = 33               # the instructions are not those of the sequence
    A_THUNK = 34             # A_CALL that goes to a thunk

cdef enum:                   # relocation numbers
    R_REL24 = 10
    R_ADDR64 = 38
    R_TPREL16_LO = 70
    R_TPREL16_HA = 72
    R_GOT_TPREL16_LO_DS = 88
    R_GOT_TPREL16_HA = 90
    R_REL24_NOTOC = 116
    R_REL24_P9NOTOC = 124

cdef enum:                   # instructions, with zeros in their operands
    I_NOP = 0x60000000
    I_CROR_15 = 0x4def7b82   # cror 15,15,15 and cror 31,31,31: NOPs of old code behind calls
    I_CROR_31 = 0x4ffffb82
    I_BL = 0x48000001
    I_ADDIS_R13 = 0x3c0d0000
    I_ADDI_R3_R3 = 0x38630000
    I_ADD_R3_R3_R13 = 0x7c636a14
    I_LD = 0xe8000000
    I_ADDIS_R12_R2 = 0x3d820000
    I_ADDIS_R12_R12 = 0x3d8c0000
    I_LD_R12_R12 = 0xe98c0000
    I_MTCTR_R12 = 0x7d8903a6
    I_BCTR = 0x4e800420
    P_PADDI = 0x06000000     # prefixes
    P_PLD_R = 0x04100000     # 8LS:D, relative to the instruction

cdef enum:
    LD_BIAS = 0x1000         # DTP base - TP, the same in every module's static block
    V2_HEADER = 64
    V1_HEADER = 64
    FAULT_NO_NOP = 64 + 48   # call through a stub without room for the load of r2; FAULTS of mclink.diag


# ---- fields

cdef inline uint32_t get(const uint8_t* p, bint swap) noexcept nogil:
    return load32(p, swap)


cdef inline void put(uint8_t* p, uint32_t instruction, bint swap) noexcept nogil:
    store32(p, instruction, swap)


cdef inline uint32_t ha(uint64_t value) noexcept nogil:
    return <uint32_t>((value + 0x8000) >> 16) & 0xffff


cdef inline uint32_t lo(uint64_t value) noexcept nogil:
    return <uint32_t>value & 0xffff


cdef void write_hi(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    store16(p, <uint16_t>(value >> 16), swap)


cdef void write_ha(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    store16(p, <uint16_t>((value + 0x8000) >> 16), swap)


cdef void write_ds(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    store16(p, (load16(p, swap) & 3) | (<uint16_t>value & 0xfffc), swap)


cdef void write_higher(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    store16(p, <uint16_t>(value >> 32), swap)


cdef void write_highera(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    store16(p, <uint16_t>((<uint64_t>value + 0x8000) >> 32), swap)


cdef void write_highest(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    store16(p, <uint16_t>(value >> 48), swap)


cdef void write_highesta(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    store16(p, <uint16_t>((<uint64_t>value + 0x8000) >> 48), swap)


cdef void write_higher34(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    store16(p, <uint16_t>(value >> 34), swap)


cdef void write_highera34(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    store16(p, <uint16_t>((<uint64_t>value + (<uint64_t>1 << 33)) >> 34), swap)


cdef void write_highest34(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    store16(p, <uint16_t>(value >> 50), swap)


cdef void write_highesta34(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    store16(p, <uint16_t>((<uint64_t>value + (<uint64_t>1 << 33)) >> 50), swap)


cdef void write_li24(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put(p, (get(p, swap) & ~<uint32_t>0x3fffffc) | (<uint32_t>value & 0x3fffffc), swap)


cdef void write_bd14(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put(p, (get(p, swap) & ~<uint32_t>0xfffc) | (<uint32_t>value & 0xfffc), swap)


cdef inline void put_hinted(uint8_t* p, int64_t value, bint taken, bint swap) noexcept nogil:
    """A conditional branch with its "at" hint: of BO = 0b001at in bits 21..25, or of 0b1a00t for branches on CTR."""
    cdef uint32_t instruction = (get(p, swap) & ~<uint32_t>0xfffc) | (<uint32_t>value & 0xfffc)
    cdef uint32_t bo = instruction & ((<uint32_t>0x14) << 21)
    instruction &= ~(<uint32_t>1 << 21)
    if taken:
        instruction |= <uint32_t>1 << 21
    if bo == (<uint32_t>0x4 << 21):
        instruction |= <uint32_t>2 << 21
    elif bo == (<uint32_t>0x10 << 21):
        instruction |= <uint32_t>8 << 21
    put(p, instruction, swap)


cdef void write_bd14_taken(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_hinted(p, value, True, swap)


cdef void write_bd14_not(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_hinted(p, value, False, swap)


cdef void write_dx16a(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    """d0 in bits 6..15, d1 in bits 16..20, d2 in bit 0."""
    cdef uint32_t d = ha(<uint64_t>value)
    put(p, (get(p, swap) & ~<uint32_t>0x1fffc1) | (d & 0xffc1) | ((d & 0x3e) << 15), swap)


cdef inline void put_34(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put(p, (get(p, swap) & ~<uint32_t>0x3ffff) | (<uint32_t>(value >> 16) & 0x3ffff), swap)
    put(p + 4, (get(p + 4, swap) & ~<uint32_t>0xffff) | lo(<uint64_t>value), swap)


cdef void write_d34(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_34(p, value, swap)


cdef void write_d34_hi30(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_34(p, value >> 34, swap)


cdef void write_d34_ha30(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_34(p, <int64_t>(<uint64_t>value + (<uint64_t>1 << 33)) >> 34, swap)


cdef void write_w30(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put(p, (get(p, swap) & 3) | (<uint32_t>value & ~<uint32_t>3), swap)


# ---- relaxations: may it be done?

cdef inline bint holds(const Fragment* frag, uint64_t offset, uint64_t size) noexcept nogil:
    return size <= frag.size and offset <= frag.size - size


cdef inline const Rela* marked_call(const Fragment* frag, uint32_t index) noexcept nogil:
    """The relocation of the call of __tls_get_addr that marker `index` stands on, NULL when there is none."""
    cdef const Rela* r = &frag.relocs[index]
    if index + 1 >= frag.nrelocs or frag.relocs[index + 1].r_offset != r.r_offset or not holds(frag, r.r_offset, 8):
        return NULL
    r = &frag.relocs[index + 1]
    if r.r_type == R_REL24 or r.r_type == R_REL24_NOTOC or r.r_type == R_REL24_P9NOTOC:
        return r
    return NULL


cdef uint8_t choose_mark(const Fragment* frag, uint32_t index, uint8_t family, bint le, uint32_t* skip) noexcept nogil:
    """What becomes of the call that TLSGD or TLSLD marks; its own relocation is dropped."""
    cdef const Rela* call = marked_call(frag, index)
    if call == NULL:
        return A_BAD
    skip[0] = 1
    if family == FAMILY_GD_MARK and not le:
        return A_MARK_ADD
    if call.r_type != R_REL24:
        return A_MARK_NOP
    return A_MARK_LO if family == FAMILY_GD_MARK else A_LD_MARK


cdef uint8_t choose_relaxation(const Columns* c, const Fragment* frag, uint32_t index, uint32_t wish,
                               uint32_t* skip) noexcept nogil:
    cdef const Rela* r = &frag.relocs[index]
    cdef uint8_t family = (<const Ops*>c.ops).types[r.r_type].relax
    if frag.data == NULL:
        return 0
    if wish == RELAX_WEAK:
        return A_NOP if family == FAMILY_CALL or family == FAMILY_CALL_NOTOC else 0
    if wish == RELAX_FORM:
        if family == FAMILY_LOCAL:
            return A_LOCAL
        return A_CALL_NOTOC if family == FAMILY_CALL_NOTOC else A_CALL
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
        return choose_mark(frag, index, family, wish == RELAX_DESC_LE, skip)
    return 0


# ---- calls

cdef inline uint64_t local_entry(uint8_t other) noexcept nogil:
    """Bytes from the global to the local entry of an ELFv2 function: bits 5..7 of st_other; 0 and 1 mean one entry."""
    return ((<uint64_t>1 << (other >> 5)) >> 2) << 2


cdef inline bint is_opd(const Columns* c, uint32_t frag) noexcept nogil:
    """True for a section of ELFv1 function descriptors."""
    cdef const Fragment* row = &c.frags[frag]
    cdef const File* f
    if row.sh_flags & SHF_EXECINSTR or frag >= c.first_extra or row.file == INTERNAL_FILE:
        return False
    f = &c.files[row.file]
    return strcmp(f.shstrtab + f.shdrs[frag - f.frag_base].sh_name, b".opd") == 0


cdef uint64_t descriptor_code(Columns* c, uint32_t frag, uint64_t offset) noexcept nogil:
    """Address of the code whose descriptor stands at `offset` of an .opd section; 0 when there is no such one."""
    cdef const Fragment* opd = &c.frags[frag]
    cdef uint32_t low = 0, high = opd.nrelocs, middle
    cdef const Rela* r
    while low < high:
        middle = (low + high) >> 1
        if opd.relocs[middle].r_offset < offset:
            low = middle + 1
        else:
            high = middle
    while low < opd.nrelocs and opd.relocs[low].r_offset == offset:
        r = &opd.relocs[low]
        if r.r_type == R_ADDR64 and r.r_sym < c.files[opd.file].nsyms:
            return symbol_address(c, &c.files[opd.file], r.r_sym, r.r_addend) + <uint64_t>r.r_addend
        low += 1
    return 0


cdef uint64_t code_address(Columns* c, const File* f, const Rela* r, bint v1) noexcept nogil:
    """Where a call inside the image goes: past what sets up the TOC pointer, or through the descriptor."""
    cdef uint64_t S = symbol_address(c, f, r.r_sym, r.r_addend)
    cdef uint32_t frag
    cdef uint64_t value, code
    cdef uint8_t other
    cdef const Global* g
    if r.r_sym >= f.first_global:
        g = &c.globals[f.gids[r.r_sym - f.first_global]]
        frag = g.frag
        value = g.value
        other = g.other
    else:
        frag = sym_frag(c, f, r.r_sym)
        value = f.syms[r.r_sym].st_value
        other = f.syms[r.r_sym].st_other
    if not v1:
        return S + <uint64_t>r.r_addend + local_entry(other)
    if frag != 0 and is_opd(c, frag):
        code = descriptor_code(c, frag, value + <uint64_t>r.r_addend)
        if code != 0:
            return code
    return S + <uint64_t>r.r_addend


cdef inline bint may_lack_nop(Place* p) noexcept nogil:
    """.init and .fini are put together from pieces of several files, which need no r2 behind their last call."""
    cdef const File* f = &p.c.files[p.frag.file]
    cdef const char* name = f.shstrtab + f.shdrs[frag_shndx(p.c, p.frag_id)].sh_name
    return strcmp(name, b".init") == 0 or strcmp(name, b".fini") == 0


cdef void restore_toc(Place* p, uint32_t load) noexcept nogil:
    """The NOP behind a call becomes the load of r2. A jump needs none in a program, where all share one r2 and the
    start-up code never returns to a caller in another module."""
    cdef uint64_t offset = p.frag.relocs[p.index].r_offset
    cdef bint swap = p.c.swap
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


cdef void apply_far_call(Place* p, const Rela* r, const RelocType* t) noexcept nogil:
    """A call through a thunk, which may lead to a stub that saves r2."""
    cdef Columns* c = p.c
    if symbol_aux(c, &c.files[p.frag.file], r.r_sym).plt >= 0:
        restore_toc(p, 0xe8410018)
    store_checked(p, t, thunk_address(c, thunk_ref(c, p.frag_id, p.index).thunk) - p.P)


cdef void apply_call(Place* p, const Rela* r, const RelocType* t, bint notoc) noexcept nogil:
    cdef Columns* c = p.c
    cdef const File* f = &c.files[p.frag.file]
    cdef const Aux* aux = symbol_aux(c, f, r.r_sym)
    cdef bint v1 = p.ops.plt.entry == write_v1_entry
    cdef uint64_t target
    if aux.plt >= 0:
        target = plt_address(c, aux)
        if notoc:
            # That entry is found by r12, which such a caller does not set.
            fault_value(p, FAULT_BAD_INSTRUCTION, 0, 0, 0)
            return
        if aux.needs & NEED_CANONICAL_PLT:
            target += p.ops.plt.canonical_size
        restore_toc(p, 0xe8410028 if v1 else 0xe8410018)
    else:
        target = code_address(c, f, r, v1)
    store_checked(p, t, target - p.P)


# ---- relaxations: doing it

cdef inline void check(Place* p, uint64_t value, int64_t low, int64_t high) noexcept nogil:
    """Range check of a value that is not that of the relocation's own field."""
    if <int64_t>value < low or <int64_t>value > high:
        fault_value(p, FAULT_OVERFLOW, <int64_t>value, low, high)


cdef inline void check_ha(Place* p, uint64_t value) noexcept nogil:
    check(p, value, -0x80008000, 0x7fff7fff)


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
    if verdict == A_CALL or verdict == A_CALL_NOTOC:
        apply_call(p, r, t, verdict == A_CALL_NOTOC)
        return
    if verdict == A_THUNK:
        apply_far_call(p, r, t)
        return
    if verdict == A_NOP or verdict == A_MARK_NOP:
        put(at, I_NOP, swap)
        return
    if verdict == A_LOCAL:
        store_checked(p, t, code_address(c, f, r, False))
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
    slot = slot_address(c, symbol_aux(c, f, r.r_sym).gottp)
    if verdict == A_IE_34:
        put_prefixed(p, P_PLD_R, <uint32_t>0xe4000000 | (get(p.loc + 4, swap) & 0x3e00000), slot - p.P)
        return
    slot -= c.image.gp
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
    elif verdict != A_THUNK and (verdict > A_LOCAL or verdict == A_NOP):
        out.r_type = 0


# ---- call stubs and the lazy half

cdef void write_v2_entry(uint8_t* out, const PltEntry* e) noexcept nogil:
    """std r2, 24(r1); load of the slot by r2; bctr. e.got is .TOC."""
    cdef uint64_t offset = e.slot - e.got
    put(out, 0xf8410018, e.swap)
    put(out + 4, I_ADDIS_R12_R2 | ha(offset), e.swap)
    put(out + 8, I_LD_R12_R12 | lo(offset), e.swap)
    put(out + 12, I_MTCTR_R12, e.swap)
    put(out + 16, I_BCTR, e.swap)


cdef void write_v2_canonical(uint8_t* out, const PltEntry* e) noexcept nogil:
    """The address of a function of another module: r12 holds it, r2 is the caller's."""
    cdef uint64_t offset = e.slot - e.address
    put(out, I_ADDIS_R12_R12 | ha(offset), e.swap)
    put(out + 4, I_LD_R12_R12 | lo(offset), e.swap)
    put(out + 8, I_MTCTR_R12, e.swap)
    put(out + 12, I_BCTR, e.swap)


cdef void write_v2_header(uint8_t* out, const PltEntry* e) noexcept nogil:
    """Distance of .plt; then r0 = index of the entry that r12 is, r11 = link map, jump to the resolver."""
    store64(out, e.gotplt - (e.address + 16), e.swap)
    put(out + 8, 0x7c0802a6, e.swap)       # mflr r0
    put(out + 12, 0x429f0005, e.swap)      # bcl 20, 31, .+4
    put(out + 16, 0x7d6802a6, e.swap)      # mflr r11
    put(out + 20, 0xf8410018, e.swap)      # std r2, 24(r1)
    put(out + 24, 0xe84bfff0, e.swap)      # ld r2, -16(r11)
    put(out + 28, 0x7c0803a6, e.swap)      # mtlr r0
    put(out + 32, 0x7d8b6050, e.swap)      # sub r12, r12, r11
    put(out + 36, 0x7d625a14, e.swap)      # add r11, r2, r11
    put(out + 40, 0x380cffd0, e.swap)      # addi r0, r12, -48
    put(out + 44, 0xe98b0000, e.swap)      # ld r12, 0(r11)
    put(out + 48, 0x7800f082, e.swap)      # srdi r0, r0, 2
    put(out + 52, I_MTCTR_R12, e.swap)
    put(out + 56, 0xe96b0008, e.swap)      # ld r11, 8(r11)
    put(out + 60, I_BCTR, e.swap)


cdef void write_v2_lazy(uint8_t* out, const PltEntry* e) noexcept nogil:
    """b to the header's code."""
    put(out, 0x48000000 | (<uint32_t>(e.header + 8 - e.address) & 0x3fffffc), e.swap)


cdef void write_v1_entry(uint8_t* out, const PltEntry* e) noexcept nogil:
    """std r2, 40(r1); address of the descriptor; its code, TOC pointer and environment; bctr."""
    cdef uint64_t offset = e.slot - e.got
    put(out, 0xf8410028, e.swap)
    put(out + 4, 0x3d620000 | ha(offset), e.swap)    # addis r11, r2
    put(out + 8, 0x396b0000 | lo(offset), e.swap)    # addi r11, r11
    put(out + 12, 0xe98b0000, e.swap)                # ld r12, 0(r11)
    put(out + 16, 0xe84b0008, e.swap)                # ld r2, 8(r11)
    put(out + 20, I_MTCTR_R12, e.swap)
    put(out + 24, 0xe96b0010, e.swap)                # ld r11, 16(r11)
    put(out + 28, I_BCTR, e.swap)


cdef void write_v1_header(uint8_t* out, const PltEntry* e) noexcept nogil:
    """Distance of .plt; then the resolver's descriptor and the link map. r0 is the entry's index already."""
    store64(out, e.gotplt - (e.address + 16), e.swap)
    put(out + 8, 0x7d8802a6, e.swap)       # mflr r12
    put(out + 12, 0x429f0005, e.swap)      # bcl 20, 31, .+4
    put(out + 16, 0x7d6802a6, e.swap)      # mflr r11
    put(out + 20, 0xe84bfff0, e.swap)      # ld r2, -16(r11)
    put(out + 24, 0x7d8803a6, e.swap)      # mtlr r12
    put(out + 28, 0x7d625a14, e.swap)      # add r11, r2, r11
    put(out + 32, 0xe98b0000, e.swap)      # ld r12, 0(r11)
    put(out + 36, 0xe84b0008, e.swap)      # ld r2, 8(r11)
    put(out + 40, I_MTCTR_R12, e.swap)
    put(out + 44, 0xe96b0010, e.swap)      # ld r11, 16(r11)
    put(out + 48, I_BCTR, e.swap)
    put(out + 52, I_NOP, e.swap)
    put(out + 56, I_NOP, e.swap)
    put(out + 60, I_NOP, e.swap)


cdef void write_v1_lazy(uint8_t* out, const PltEntry* e) noexcept nogil:
    """li r0, index; b to the header's code."""
    put(out, 0x38000000 | (e.index & 0xffff), e.swap)
    put(out + 4, 0x48000000 | (<uint32_t>(e.header + 8 - (e.address + 4)) & 0x3fffffc), e.swap)


# ---- thunks

cdef enum:
    THUNK_LONG = 1           # the one kind
    THUNK_SLACK = 256        # the local entry, and the call's part of a PLT entry, lie this far behind b.target at most


cdef uint32_t choose_thunk(const Columns* c, const Branch* b, uint32_t* landing) noexcept nogil:
    """ELFv2: a thunk for what 26 bits do not reach. Descriptors of ELFv1 do not say here where the code will be."""
    cdef int64_t distance = <int64_t>(b.target - b.P)
    if b.r.r_type != R_REL24 or b.r.r_addend != 0 or (<const Ops*>c.ops).plt.entry != write_v2_entry:
        return 0
    return 0 if b.t.low + THUNK_SLACK <= distance <= b.t.high - THUNK_SLACK else THUNK_LONG


cdef void write_thunk(uint8_t* out, uint32_t kind, uint64_t address, uint64_t target, bint swap) noexcept nogil:
    """Leaves the target's address in r12, as its global entry wants it; the caller's r2 and LR stay."""
    cdef uint64_t distance = target - (address + 8)
    put(out, 0x7d6802a6, swap)                          # mflr r11
    put(out + 4, 0x429f0005, swap)                      # bcl 20, 31, .+4
    put(out + 8, 0x7d8802a6, swap)                      # mflr r12
    put(out + 12, 0x7d6803a6, swap)                     # mtlr r11
    put(out + 16, I_ADDIS_R12_R12 | ha(distance), swap)
    put(out + 20, 0x398c0000 | lo(distance), swap)      # addi r12, r12
    put(out + 24, I_MTCTR_R12, swap)
    put(out + 28, I_BCTR, swap)


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

def abi_flags(Tables tables not None):
    """[(file name, e_flags)] of the live objects, in link order, equal flags in a row only once."""
    cdef Columns* c = &tables.c
    cdef uint32_t i
    cdef const File* f
    cdef int64_t last = -1
    found = []
    for i in range(c.nlive):
        f = &c.files[c.live[i]]
        if f.kind == FILE_OBJECT and f.machine == 21 and <int64_t>f.e_flags != last:
            last = f.e_flags
            found.append((f.name[:f.name_len].decode("utf-8", "replace"), f.e_flags))
    return found


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
    s.entry_size = 32
    s.lazy_size = 8
    s.got_size = 32
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
    o.thunk_align = 4
    o.thunk_spacing = 24 << 20
    o.thunk_sizes[THUNK_LONG] = 32
    o.choose_relaxation = choose_relaxation
    o.apply_relaxed = apply_relaxed
    o.describe_relaxed = describe_relaxed
    o.fill_code = fill_be if big_endian else fill_le
    table.use_plt(0)
