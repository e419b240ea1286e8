"""Level 2: AArch64 instructions. See aaelf64 ("Relocation", "Thread Local Storage", "Procedure Linkage Table") and
the Arm Architecture Reference Manual for the encodings.

Every instruction is a little-endian word at a multiple of 4, whatever the byte order of data. Rd stands in bits
0..4, Rn in bits 5..9. The TLS sequences are relaxed one instruction at a time, as aaelf64 fixes their registers:
a descriptor's result is in x0, and the call of general-dynamic code is followed by a NOP.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from mclink._core.bytes cimport load32, store32, store64
from mclink._core.elf cimport Rela
from mclink._core.fault cimport FAULT_BAD_INSTRUCTION, FAULT_OVERFLOW
from mclink._core.formula cimport (symbol_address, symbol_aux, symbol_gid, slot_address, store_checked,
                                   fault_value)
from mclink._core.ops cimport *
from mclink._core.tables cimport *

cdef enum:                   # RelocType.relax; keep in step with mclink.target.aarch64.FAMILIES
    FAMILY_WEAK = 1
    FAMILY_WEAK_PAGE = 2
    FAMILY_WEAK_CALL = 3
    FAMILY_WEAK_BRANCH = 4
    FAMILY_GOT_PAGE = 5
    FAMILY_GOT_LO12 = 6
    FAMILY_GD_PAGE = 7
    FAMILY_GD_ADD = 8
    FAMILY_GD_ADR = 9
    FAMILY_IE_PAGE = 10
    FAMILY_IE_LD = 11
    FAMILY_DESC_PAGE = 12
    FAMILY_DESC_LD = 13
    FAMILY_DESC_ADD = 14
    FAMILY_DESC_NOP = 15     # TLSDESC_ADD and TLSDESC_CALL
    FAMILY_DESC_LD19 = 16
    FAMILY_DESC_ADR = 17
    FAMILY_DESC_G1 = 18
    FAMILY_DESC_G0 = 19
    FAMILY_DESC_LDR = 20

cdef enum:                   # verdicts
    A_WEAK = 16              # distance to an undefined weak symbol: as if it stood at the place itself
    A_WEAK_PAGE = 17         # the same for pages
    A_NOP = 18
    A_GOT_PAGE = 19          # ADRP of the slot -> ADRP of the symbol, or NOP in front of ADR
    A_GOT_LO12 = 20          # LDR from the slot -> ADD, or ADR
    A_MOVZ = 21              # MOVZ Rd, tprel_g1; Rd is the instruction's
    A_MOVK = 22              # MOVK Rd, tprel_g0
    A_MOVK_X0 = 23           # MOVK x0, tprel_g0
    A_GD_ADD_LE = 24         # ADD; BL; NOP -> MOVK x0; MRS x1; ADD
    A_GD_ADD_IE = 25         # ADD; BL; NOP -> LDR x0, [x0]; MRS x1; ADD
    A_GD_ADR_LE = 26         # ADR; BL; NOP -> MRS x1; ADD hi12; ADD lo12
    A_GD_ADR_IE = 27         # ADR; BL; NOP -> LDR x0, slot; MRS x1; ADD
    A_ADRP_SLOT = 28         # ADRP Rd, slot of the TP offset
    A_LDR_SLOT_X0 = 29       # LDR x0, [x0, slot]
    A_LDR19_SLOT_X0 = 30     # LDR x0, slot
    A_G1_SLOT = 31           # MOVZ: distance of the slot from GOT
    A_G0_SLOT = 32           # MOVK: the same
    A_LDR_X0 = 33            # LDR with Rt = x0
    A_MOVZ_X0 = 34           # MOVZ x0, tprel_g1
    A_BAD = 35               # the instructions are not those of the sequence

cdef enum:                   # relocation numbers
    R_ADR_PREL_PG_HI21 = 275
    R_ADD_ABS_LO12_NC = 277
    R_JUMP26 = 282
    R_CALL26 = 283
    R_ADR_GOT_PAGE = 311
    R_LD64_GOT_LO12_NC = 312
    R_TLSIE_MOVW_GOTTPREL_G1 = 539
    R_TLSIE_MOVW_GOTTPREL_G0_NC = 540
    R_TLSIE_ADR_GOTTPREL_PAGE21 = 541
    R_TLSIE_LD64_GOTTPREL_LO12_NC = 542
    R_TLSIE_LD_GOTTPREL_PREL19 = 543
    R_TLSLE_MOVW_TPREL_G1 = 545
    R_TLSLE_MOVW_TPREL_G0_NC = 548
    R_TLSLE_ADD_TPREL_HI12 = 549

cdef enum:                   # instructions, with zeros in their operands
    I_NOP = 0xd503201f
    I_ADR = 0x10000000
    I_ADRP = 0x90000000
    I_ADD = 0x91000000       # ADD Xd, Xn, #imm12
    I_ADD_LSL12 = 0x91400000
    I_LDR = 0xf9400000       # LDR Xt, [Xn, #imm12 * 8]
    I_LDR_LITERAL = 0x58000000
    I_MOVZ_G1 = 0xd2a00000   # MOVZ Xd, #imm16, LSL 16
    I_MOVK_G0 = 0xf2800000
    I_MRS_X1 = 0xd53bd041    # MRS x1, TPIDR_EL0
    I_ADD_X0_X1_X0 = 0x8b000020
    I_BTI_C = 0xd503245f
    I_AUTIA1716 = 0xd503219f
    I_BR_X17 = 0xd61f0220

cdef enum:                   # Ops.arch_flags; keep in step with mclink.target.aarch64
    ARCH_BTI = 1             # the output says that it is ready for BTI
    ARCH_843419 = 2          # --fix-cortex-a53-843419
    ARCH_835769 = 4          # --fix-cortex-a53-835769

DEF IMM12 = 0x3ffc00
DEF IMM16 = 0x1fffe0
DEF IMM19 = 0xffffe0


# ---- fields

cdef inline uint32_t get(const uint8_t* p) noexcept nogil:
    return load32(p, False)


cdef inline void put(uint8_t* p, uint32_t instruction) noexcept nogil:
    store32(p, instruction, False)


cdef inline void put_bits(uint8_t* p, uint32_t mask, uint32_t bits) noexcept nogil:
    put(p, (get(p) & ~mask) | (bits & mask))


cdef inline uint32_t adr_bits(int64_t value) noexcept nogil:
    """immlo in bits 29..30, immhi in bits 5..23."""
    return ((<uint32_t>value & 3) << 29) | ((<uint32_t>(value >> 2) & 0x7ffff) << 5)


cdef void write_adr(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_bits(p, 0x60ffffe0, adr_bits(value))


cdef void write_adrp(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_bits(p, 0x60ffffe0, adr_bits(value >> 12))


cdef void write_imm19(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_bits(p, IMM19, <uint32_t>(value >> 2) << 5)


cdef void write_imm14(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_bits(p, 0x7ffe0, <uint32_t>(value >> 2) << 5)


cdef void write_imm26(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_bits(p, 0x3ffffff, <uint32_t>(value >> 2))


cdef void write_lo12(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_bits(p, IMM12, (<uint32_t>value & 0xfff) << 10)


cdef void write_lo12_16(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_bits(p, IMM12, ((<uint32_t>value & 0xfff) >> 1) << 10)


cdef void write_lo12_32(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_bits(p, IMM12, ((<uint32_t>value & 0xfff) >> 2) << 10)


cdef void write_lo12_64(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_bits(p, IMM12, ((<uint32_t>value & 0xfff) >> 3) << 10)


cdef void write_lo12_128(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_bits(p, IMM12, ((<uint32_t>value & 0xfff) >> 4) << 10)


cdef void write_hi12(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_bits(p, IMM12, (<uint32_t>(value >> 12) & 0xfff) << 10)


cdef void write_lo15(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_bits(p, IMM12, (<uint32_t>(value >> 3) & 0xfff) << 10)


cdef inline void put_movw(uint8_t* p, int64_t value, uint32_t shift) noexcept nogil:
    put_bits(p, IMM16, (<uint32_t>(value >> shift) & 0xffff) << 5)


cdef void write_movw_g0(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_movw(p, value, 0)


cdef void write_movw_g1(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_movw(p, value, 16)


cdef void write_movw_g2(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_movw(p, value, 32)


cdef void write_movw_g3(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_movw(p, value, 48)


cdef inline void put_movs(uint8_t* p, int64_t value, uint32_t shift) noexcept nogil:
    """Bit 30 tells MOVZ from MOVN, which holds the inverse."""
    if value < 0:
        put_bits(p, 0x40000000, 0)
        put_movw(p, ~value, shift)
    else:
        put_bits(p, 0x40000000, 0x40000000)
        put_movw(p, value, shift)


cdef void write_movs_g0(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_movs(p, value, 0)


cdef void write_movs_g1(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_movs(p, value, 16)


cdef void write_movs_g2(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_movs(p, value, 32)


cdef void write_movs_g3(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_movs(p, value, 48)


# ---- relaxations: may it be done?

cdef inline bint holds(const Fragment* frag, uint64_t offset, uint64_t size) noexcept nogil:
    return size <= frag.size and offset <= frag.size - size


cdef bint is_got_pair(const Fragment* frag, uint32_t index) noexcept nogil:
    """True when relocation `index`, an ADRP of a slot, is followed at once by the LDR from it into the same
    register, so that nobody else can see the page."""
    cdef const Rela* page = &frag.relocs[index]
    cdef const Rela* low
    cdef uint32_t adrp, ldr, register, wanted
    if index + 1 >= frag.nrelocs:
        return False
    low = &frag.relocs[index + 1]
    if (page.r_type != R_ADR_GOT_PAGE or low.r_type != R_LD64_GOT_LO12_NC or low.r_sym != page.r_sym
            or low.r_offset != page.r_offset + 4 or page.r_addend != 0 or low.r_addend != 0):
        return False
    if frag.data == NULL or not holds(frag, page.r_offset, 8):
        return False
    adrp = get(frag.data + page.r_offset)
    ldr = get(frag.data + low.r_offset)
    register = adrp & 31
    wanted = <uint32_t>I_LDR | (register << 5) | register
    return (adrp & <uint32_t>0x9f000000) == <uint32_t>I_ADRP and (ldr & <uint32_t>0xffc003ff) == wanted


cdef bint may_relax_got(const Columns* c, const Fragment* frag) noexcept nogil:
    """True when every use of a slot in the fragment is such a pair: no path leads from one ADRP to another
    one's LDR."""
    cdef uint32_t i = 0
    while i < frag.nrelocs:
        if frag.relocs[i].r_type == R_ADR_GOT_PAGE:
            if not is_got_pair(frag, i):
                return False
            i += 1
        elif frag.relocs[i].r_type == R_LD64_GOT_LO12_NC:
            return False
        i += 1
    return True


cdef uint8_t choose_call(const Fragment* frag, uint32_t index, uint8_t verdict, uint32_t* skip) noexcept nogil:
    """The call of __tls_get_addr behind relocation `index` and its NOP; the call's own relocation is dropped."""
    cdef const Rela* r = &frag.relocs[index]
    if (not holds(frag, r.r_offset, 12) or index + 1 >= frag.nrelocs
            or frag.relocs[index + 1].r_offset != r.r_offset + 4
            or (frag.relocs[index + 1].r_type != R_CALL26 and frag.relocs[index + 1].r_type != R_JUMP26)
            or get(frag.data + r.r_offset + 8) != I_NOP):
        return A_BAD
    skip[0] = 1
    return verdict


cdef uint8_t choose_weak(const RelocType* t) noexcept nogil:
    if t.relax == FAMILY_WEAK_PAGE:
        return A_WEAK_PAGE
    if t.relax == FAMILY_WEAK_CALL:
        return A_NOP
    return A_WEAK if t.relax <= FAMILY_WEAK_BRANCH else 0


cdef uint8_t choose_desc(uint8_t family, bint le) noexcept nogil:
    if family == FAMILY_DESC_PAGE:
        return A_MOVZ_X0 if le else A_ADRP_SLOT
    if family == FAMILY_DESC_LD:
        return A_MOVK_X0 if le else A_LDR_SLOT_X0
    if family == FAMILY_DESC_LD19:
        return A_MOVZ_X0 if le else A_LDR19_SLOT_X0
    if family == FAMILY_DESC_ADR:
        return A_MOVK_X0 if le else A_NOP
    if family == FAMILY_DESC_G1:
        return A_MOVZ_X0 if le else A_G1_SLOT
    if family == FAMILY_DESC_G0:
        return A_MOVK_X0 if le else A_G0_SLOT
    if family == FAMILY_DESC_LDR:
        return A_NOP if le else A_LDR_X0
    return A_NOP


cdef uint8_t choose_relaxation(const Columns* c, const Fragment* frag, uint32_t index, uint32_t wish,
                               uint32_t* skip) noexcept nogil:
    cdef const Rela* r = &frag.relocs[index]
    cdef const RelocType* t = &(<const Ops*>c.ops).types[r.r_type]
    cdef uint8_t family = t.relax
    cdef uint32_t instruction
    if frag.data == NULL:
        return 0
    if wish == RELAX_WEAK:
        return choose_weak(t)
    if not holds(frag, r.r_offset, 4):
        return 0
    if wish == RELAX_GOT_ADDRESS or wish == RELAX_GOT_SMALL:
        return A_GOT_PAGE if family == FAMILY_GOT_PAGE else A_GOT_LO12
    if wish == RELAX_GD_LE or wish == RELAX_GD_IE:
        if family == FAMILY_GD_PAGE:
            return A_MOVZ if wish == RELAX_GD_LE else A_ADRP_SLOT
        if family == FAMILY_GD_ADD:
            return choose_call(frag, index, A_GD_ADD_LE if wish == RELAX_GD_LE else A_GD_ADD_IE, skip)
        return choose_call(frag, index, A_GD_ADR_LE if wish == RELAX_GD_LE else A_GD_ADR_IE, skip)
    if wish == RELAX_IE_LE:
        if family == FAMILY_IE_PAGE:
            return A_MOVZ
        instruction = get(frag.data + r.r_offset)
        return A_MOVK if (instruction & 31) == ((instruction >> 5) & 31) else A_BAD
    if wish == RELAX_DESC_LE or wish == RELAX_DESC_IE:
        return choose_desc(family, wish == RELAX_DESC_LE)
    return 0


# ---- relaxations: doing it

cdef inline void check(Place* p, uint64_t value, int64_t low, int64_t high) noexcept nogil:
    """Range check of a value that is not that of the relocation's own field."""
    if <int64_t>value < low or <int64_t>value > high:
        fault_value(p, FAULT_OVERFLOW, <int64_t>value, low, high)


cdef inline uint64_t page_distance(uint64_t target, uint64_t P) noexcept nogil:
    return (target & ~<uint64_t>4095) - (P & ~<uint64_t>4095)


cdef bint near(Place* p, uint64_t S, uint64_t P) noexcept nogil:
    """True when an ADR at P reaches S. --emit-relocs describes only the pair of ADRP and ADD."""
    cdef int64_t distance = <int64_t>(S - P)
    # A veneer of erratum 843419 may take the LDR away, so it must not become PC-relative.
    return (-0x100000 <= distance < 0x100000 and not p.c.emit_relocs
            and not p.ops.arch_flags & ARCH_843419)


cdef inline void put_adrp(Place* p, uint32_t register, uint64_t target) noexcept nogil:
    cdef uint64_t distance = page_distance(target, p.P)
    check(p, distance, -0x100000000, 0xffffffff)
    put(p.loc, I_ADRP | adr_bits(<int64_t>distance >> 12) | register)


cdef inline void put_literal(Place* p, uint64_t target) noexcept nogil:
    """LDR x0 from a place within 1 MiB."""
    cdef uint64_t distance = target - p.P
    check(p, distance, -0x100000, 0xfffff)
    put(p.loc, I_LDR_LITERAL | ((<uint32_t>(distance >> 2) << 5) & IMM19))


cdef inline uint32_t low64(uint64_t target) noexcept nogil:
    return ((<uint32_t>target & 0xfff) >> 3) << 10


cdef inline void put_tprel(Place* p, uint64_t offset, bint high, uint32_t register) noexcept nogil:
    if high:
        check(p, offset, 0, 0xffffffff)
        put(p.loc, I_MOVZ_G1 | ((<uint32_t>(offset >> 16) & 0xffff) << 5) | register)
    else:
        put(p.loc, I_MOVK_G0 | ((<uint32_t>offset & 0xffff) << 5) | register)


cdef void apply_gd(Place* p, uint64_t tprel, uint64_t slot, uint8_t verdict) noexcept nogil:
    """The three instructions from the ADD or ADR on."""
    cdef uint8_t* loc = p.loc
    if verdict == A_GD_ADR_LE:
        check(p, tprel, 0, 0xffffff)
        put(loc, I_MRS_X1)
        put(loc + 4, I_ADD_LSL12 | ((<uint32_t>(tprel >> 12) & 0xfff) << 10) | (1 << 5))
        put(loc + 8, I_ADD | ((<uint32_t>tprel & 0xfff) << 10))
        return
    if verdict == A_GD_ADD_LE:
        put_tprel(p, tprel, False, 0)
    elif verdict == A_GD_ADD_IE:
        put(loc, I_LDR | low64(slot))
    else:
        put_literal(p, slot)
    put(loc + 4, I_MRS_X1)
    put(loc + 8, I_ADD_X0_X1_X0)


cdef void apply_relaxed(Place* p, uint8_t verdict) noexcept nogil:
    cdef Columns* c = p.c
    cdef const File* f = &c.files[p.frag.file]
    cdef const Rela* r = &p.frag.relocs[p.index]
    cdef const RelocType* t = &p.ops.types[r.r_type]
    cdef uint8_t* loc = p.loc
    cdef uint32_t register = get(loc) & 31 if t.size == 4 else 0
    cdef uint64_t S, tprel, slot
    cdef uint32_t gid
    if verdict == A_NOP:
        put(loc, I_NOP)
        return
    if verdict == A_WEAK:
        store_checked(p, t, <uint64_t>r.r_addend)
        return
    if verdict == A_WEAK_PAGE:
        store_checked(p, t, page_distance(p.P + <uint64_t>r.r_addend, p.P))
        return
    if verdict == A_BAD:
        fault_value(p, FAULT_BAD_INSTRUCTION, 0, 0, 0)
        return
    if verdict == A_LDR_X0:
        put(loc, get(loc) & ~<uint32_t>31)
        return
    S = symbol_address(c, f, r.r_sym, r.r_addend) + <uint64_t>r.r_addend
    if verdict == A_GOT_PAGE:
        if near(p, S, p.P + 4):
            put(loc, I_NOP)
        else:
            put_adrp(p, register, S)
        return
    if verdict == A_GOT_LO12:
        if near(p, S, p.P):
            put(loc, I_ADR | adr_bits(<int64_t>(S - p.P)) | register)
        else:
            put(loc, I_ADD | ((<uint32_t>S & 0xfff) << 10) | (register << 5) | register)
        return
    # An undefined weak symbol has the offset 0.
    gid = symbol_gid(f, r.r_sym)
    tprel = <uint64_t>r.r_addend if c.gflags[gid] & G_UNDEF_WEAK and gid != 0 else S - c.image.tp
    slot = slot_address(c, symbol_aux(c, f, r.r_sym).gottp)
    if verdict == A_MOVZ:
        put_tprel(p, tprel, True, register)
    elif verdict == A_MOVZ_X0:
        put_tprel(p, tprel, True, 0)
    elif verdict == A_MOVK:
        put_tprel(p, tprel, False, register)
    elif verdict == A_MOVK_X0:
        put_tprel(p, tprel, False, 0)
    elif verdict == A_ADRP_SLOT:
        put_adrp(p, register, slot)
    elif verdict == A_LDR_SLOT_X0:
        put(loc, I_LDR | low64(slot))
    elif verdict == A_LDR19_SLOT_X0:
        put_literal(p, slot)
    elif verdict == A_G1_SLOT:
        put_movs(loc, <int64_t>(slot - c.image.got), 16)
    elif verdict == A_G0_SLOT:
        put_movw(loc, <int64_t>(slot - c.image.got), 0)
    else:
        apply_gd(p, tprel, slot, verdict)


cdef void describe_relaxed(const Rela* r, uint8_t verdict, Rela* out) noexcept nogil:
    out[0] = r[0]
    if verdict == A_GOT_PAGE:
        out.r_type = R_ADR_PREL_PG_HI21
    elif verdict == A_GOT_LO12:
        out.r_type = R_ADD_ABS_LO12_NC
    elif verdict == A_MOVZ or verdict == A_MOVZ_X0:
        out.r_type = R_TLSLE_MOVW_TPREL_G1
    elif verdict == A_MOVK or verdict == A_MOVK_X0 or verdict == A_GD_ADD_LE:
        out.r_type = R_TLSLE_MOVW_TPREL_G0_NC
    elif verdict == A_ADRP_SLOT:
        out.r_type = R_TLSIE_ADR_GOTTPREL_PAGE21
    elif verdict == A_LDR_SLOT_X0 or verdict == A_GD_ADD_IE:
        out.r_type = R_TLSIE_LD64_GOTTPREL_LO12_NC
    elif verdict == A_LDR19_SLOT_X0 or verdict == A_GD_ADR_IE:
        out.r_type = R_TLSIE_LD_GOTTPREL_PREL19
    elif verdict == A_G1_SLOT:
        out.r_type = R_TLSIE_MOVW_GOTTPREL_G1
    elif verdict == A_G0_SLOT:
        out.r_type = R_TLSIE_MOVW_GOTTPREL_G0_NC
    elif verdict == A_GD_ADR_LE:
        out.r_type = R_TLSLE_ADD_TPREL_HI12
        out.r_offset += 4
    elif verdict > A_WEAK_PAGE:
        out.r_type = 0


# ---- PLT

cdef void put_slot_load(uint8_t* out, uint64_t address, uint64_t slot) noexcept nogil:
    """adrp x16, slot; ldr x17, [x16, lo12]; add x16, x16, lo12: x16 keeps the slot's address for the resolver."""
    put(out, I_ADRP | adr_bits(<int64_t>page_distance(slot, address) >> 12) | 16)
    put(out + 4, I_LDR | low64(slot) | (16 << 5) | 17)
    put(out + 8, I_ADD | ((<uint32_t>slot & 0xfff) << 10) | (16 << 5) | 16)


cdef void write_header(uint8_t* out, const PltEntry* e) noexcept nogil:
    """stp x16, x30, [sp, -16]!; load of GOT + 16; br x17."""
    put(out, 0xa9bf7bf0)
    put_slot_load(out + 4, e.address + 4, e.gotplt + 16)
    put(out + 16, I_BR_X17)
    put(out + 20, I_NOP)
    put(out + 24, I_NOP)
    put(out + 28, I_NOP)


cdef void write_bti_header(uint8_t* out, const PltEntry* e) noexcept nogil:
    put(out, I_BTI_C)
    put(out + 4, 0xa9bf7bf0)
    put_slot_load(out + 8, e.address + 8, e.gotplt + 16)
    put(out + 20, I_BR_X17)
    put(out + 24, I_NOP)
    put(out + 28, I_NOP)


cdef void write_entry(uint8_t* out, const PltEntry* e) noexcept nogil:
    put_slot_load(out, e.address, e.slot)
    put(out + 12, I_BR_X17)


cdef void write_bti_entry(uint8_t* out, const PltEntry* e) noexcept nogil:
    put(out, I_BTI_C)
    put_slot_load(out + 4, e.address + 4, e.slot)
    put(out + 16, I_BR_X17)
    put(out + 20, I_NOP)


cdef void write_pac_entry(uint8_t* out, const PltEntry* e) noexcept nogil:
    put_slot_load(out, e.address, e.slot)
    put(out + 12, I_AUTIA1716)
    put(out + 16, I_BR_X17)
    put(out + 20, I_NOP)


cdef void write_bti_pac_entry(uint8_t* out, const PltEntry* e) noexcept nogil:
    put(out, I_BTI_C)
    put_slot_load(out + 4, e.address + 4, e.slot)
    put(out + 16, I_AUTIA1716)
    put(out + 20, I_BR_X17)


# ---- thunks

cdef enum:                   # kinds
    THUNK_SHORT = 1          # adrp x16; add x16; br x16: within 4 GiB
    THUNK_ABSOLUTE = 2       # ldr x16, =target; br x16
    THUNK_LONG = 3           # the same with a distance, for images without a fixed address
    THUNK_LANDING = 4        # bti c; b target
    VENEER = 5               # the moved instruction; b back
    VENEER_ADRP_8 = 6        # the same for erratum 843419, whose ADRP stands 8 bytes in front
    VENEER_ADRP_12 = 7       # or 12

cdef enum:                   # instructions
    I_B = 0x14000000
    I_BR_X16 = 0xd61f0200
    I_LDR_X16_8 = 0x58000050 # ldr x16, .+8
    I_LDR_X16_16 = 0x58000090 # ldr x16, .+16
    I_ADR_X17 = 0x10000011   # adr x17, .
    I_ADD_X16_X17 = 0x8b110210 # add x16, x16, x17


cdef bint lands(const Branch* b) noexcept nogil:
    """True when BR x16 may go to the target under BTI: to bti c, bti jc, paciasp or pacibsp."""
    cdef uint32_t first
    if b.code == NULL:
        return False
    first = get(b.code)
    return (first == <uint32_t>I_BTI_C or first == <uint32_t>0xd50324df or first == <uint32_t>0xd503233f
            or first == <uint32_t>0xd503237f)


cdef uint32_t choose_thunk(const Columns* c, const Branch* b, uint32_t* landing) noexcept nogil:
    cdef const Ops* ops = <const Ops*>c.ops
    cdef int64_t distance = <int64_t>(b.target - b.P)
    if b.r.r_type != R_CALL26 and b.r.r_type != R_JUMP26:
        return 0
    if b.t.low <= distance <= b.t.high:
        return 0
    if ops.arch_flags & ARCH_BTI and not lands(b):
        landing[0] = THUNK_LANDING
    # The thunk stands within reach of the branch, on either side.
    if -(<int64_t>15 << 28) < distance < <int64_t>15 << 28:
        return THUNK_SHORT
    return THUNK_LONG if c.pic else THUNK_ABSOLUTE


cdef void write_thunk(uint8_t* out, uint32_t kind, uint64_t address, uint64_t target, bint swap, Columns* c,
                      const Thunk* thunk) noexcept nogil:
    if kind == THUNK_SHORT:
        put(out, I_ADRP | adr_bits(<int64_t>page_distance(target, address) >> 12) | 16)
        put(out + 4, I_ADD | ((<uint32_t>target & 0xfff) << 10) | (16 << 5) | 16)
        put(out + 8, I_BR_X16)
    elif kind == THUNK_ABSOLUTE:
        put(out, I_LDR_X16_8)
        put(out + 4, I_BR_X16)
        store64(out + 8, target, swap)
    elif kind == THUNK_LONG:
        put(out, I_LDR_X16_16)
        put(out + 4, I_ADR_X17)
        put(out + 8, <uint32_t>I_ADD_X16_X17)
        put(out + 12, I_BR_X16)
        store64(out + 16, target - (address + 4), swap)
    else:
        put(out, I_BTI_C)
        put(out + 4, I_B | (<uint32_t>((target - address - 4) >> 2) & 0x3ffffff))


cdef void name_thunk(const Columns* c, const Thunk* t, ThunkName* name) noexcept nogil:
    """As GNU ld names them, without its numbers of veneers."""
    if t.plt == THUNK_PATCH:
        name.prefix = b"__erratum_835769_veneer" if t.kind == VENEER else b"__erratum_843419_veneer"
        return
    name.prefix = b"__"
    name.suffix = b"_bti_veneer" if t.kind == THUNK_LANDING else b"_veneer"


# ---- errata of Cortex-A53 (Arm, Cortex-A53 MPCore Software Developers Errata Notice)

cdef inline bint is_memory(uint32_t i) noexcept nogil:
    """Loads and stores of all kinds."""
    return (i & 0x0a000000) == 0x08000000


cdef inline bint is_branch(uint32_t i) noexcept nogil:
    """Branches, exceptions, system instructions."""
    return (i & 0x1c000000) == 0x14000000


cdef inline bint writes(uint32_t i, uint32_t register) noexcept nogil:
    """True when an arithmetic instruction has that destination."""
    return ((i & 0x1c000000) == 0x10000000 or (i & 0x0e000000) == 0x0a000000) and (i & 31) == register


cdef inline bint loads_from(uint32_t i, uint32_t register) noexcept nogil:
    """A single load or store with an unsigned immediate offset from that register."""
    return (i & 0x3b000000) == 0x39000000 and ((i >> 5) & 31) == register


cdef uint64_t end_of_843419(const uint8_t* code, uint64_t at, uint64_t end) noexcept nogil:
    """Offset of the last access of the sequence that starts with an ADRP at `at`; 0 when it is none. Between the two
    accesses one instruction may stand that neither branches nor writes the register."""
    cdef uint32_t register, second, third
    if end - at < 12 or (get(code + at) & <uint32_t>0x9f000000) != <uint32_t>I_ADRP:
        return 0
    register = get(code + at) & 31
    second = get(code + at + 4)
    if not is_memory(second):
        return 0
    third = get(code + at + 8)
    if loads_from(third, register):
        return at + 8
    if end - at < 16 or is_branch(third) or writes(third, register):
        return 0
    return at + 12 if loads_from(get(code + at + 12), register) else 0


cdef bint is_835769(uint32_t first, uint32_t second) noexcept nogil:
    """A memory access and a 64-bit multiply-accumulate behind it that does not wait for it."""
    cdef uint32_t op = (second >> 21) & 7
    cdef uint32_t loaded = first & 31
    if not is_memory(first) or (second & <uint32_t>0xff000000) != <uint32_t>0x9b000000:
        return False
    if (op != 0 and op != 1 and op != 5) or ((second >> 10) & 31) == 31:
        return False
    # A load of one integer register that the multiplication reads holds it up.
    if (first & 0x3e400000) == 0x38400000 or (first & 0x3f000000) == 0x18000000:
        return not (((second >> 5) & 31) == loaded or ((second >> 16) & 31) == loaded
                    or ((second >> 10) & 31) == loaded)
    return True


cdef uint32_t find_patch(const CodeSpan* span, uint64_t at, uint64_t end, uint64_t* site,
                         uint64_t* next) noexcept nogil:
    cdef uint32_t flags = (<const Ops*>span.c.ops).arch_flags
    cdef const uint8_t* code = span.code
    cdef uint64_t found
    at = (at + 3) & ~<uint64_t>3
    while at < end and end - at >= 8:
        next[0] = at + 4
        if flags & ARCH_843419 and ((span.address + at) & 0xfff) >= 0xff8:
            found = end_of_843419(code, at, end)
            if found:
                site[0] = found
                return VENEER_ADRP_8 if found - at == 8 else VENEER_ADRP_12
        if flags & ARCH_835769 and is_835769(get(code + at), get(code + at + 4)):
            site[0] = at + 4
            return VENEER
        at += 4
    next[0] = end
    return 0


cdef bint adr_instead(uint8_t* adrp, uint64_t address) noexcept nogil:
    """Turns an ADRP into an ADR of the same page, when that is near: without ADRP there is no erratum."""
    cdef uint32_t i = get(adrp)
    cdef int64_t pages, distance
    if (i & <uint32_t>0x9f000000) != <uint32_t>I_ADRP:
        # A relaxation has taken it away.
        return True
    pages = ((i >> 5) & 0x7ffff) << 2 | ((i >> 29) & 3)
    if pages & 0x100000:
        pages -= 0x200000
    distance = <int64_t>((address & ~<uint64_t>4095) + <uint64_t>(pages << 12) - address)
    if distance < -0x100000 or distance > 0xfffff:
        return False
    put(adrp, I_ADR | adr_bits(distance) | (i & 31))
    return True


cdef void write_patch(uint8_t* out, uint32_t kind, uint64_t address, uint8_t* site, uint64_t site_address,
                      bint swap) noexcept nogil:
    cdef uint64_t back = 8 if kind == VENEER_ADRP_8 else 12
    put(out, get(site))
    put(out + 4, I_B | (<uint32_t>((site_address - address) >> 2) & 0x3ffffff))
    if kind != VENEER and adr_instead(site - back, site_address - back):
        return
    put(site, I_B | (<uint32_t>((address - site_address) >> 2) & 0x3ffffff))


cdef void fill_code(uint8_t* out, uint64_t size) noexcept nogil:
    """NOPs; `out` may start inside an instruction, whose rest stays zero."""
    cdef uint64_t odd = size & 3
    out += odd
    size -= odd
    while size:
        put(out, I_NOP)
        out += 4
        size -= 4


# ---- connecting

cdef void set_style(PltStyle* s, plt_writer_t header, uint32_t size, plt_writer_t entry, uint32_t got_size,
                    plt_writer_t got) noexcept nogil:
    s.header_size = 32
    s.entry_size = size
    s.lazy_size = 0
    s.got_size = got_size
    s.push_offset = PUSH_HEADER
    s.align = 16
    s.header = header
    s.entry = entry
    s.lazy = NULL
    s.got = got
    s.header_marks[0].letter = c'x'


def connect(OpsTable table not None):
    """Gives `table` the functions of AArch64; PLT styles are numbered by mclink.target.aarch64.PLT_STYLES."""
    cdef Ops* o = &table.ops
    cdef uint32_t kind
    # The entries of IFUNCs may be the addresses of functions in any output.
    set_style(&o.styles[0], write_header, 16, write_entry, 16, write_entry)
    set_style(&o.styles[1], write_bti_header, 24, write_bti_entry, 24, write_bti_entry)
    set_style(&o.styles[2], write_bti_header, 16, write_entry, 24, write_bti_entry)
    set_style(&o.styles[3], write_header, 24, write_pac_entry, 24, write_pac_entry)
    set_style(&o.styles[4], write_bti_header, 24, write_bti_pac_entry, 24, write_bti_pac_entry)
    set_style(&o.styles[5], write_bti_header, 24, write_pac_entry, 24, write_bti_pac_entry)
    o.write_field[0] = write_adr
    o.write_field[1] = write_adrp
    o.write_field[2] = write_imm19
    o.write_field[3] = write_imm14
    o.write_field[4] = write_imm26
    o.write_field[5] = write_lo12
    o.write_field[6] = write_lo12_16
    o.write_field[7] = write_lo12_32
    o.write_field[8] = write_lo12_64
    o.write_field[9] = write_lo12_128
    o.write_field[10] = write_hi12
    o.write_field[11] = write_lo15
    o.write_field[12] = write_movw_g0
    o.write_field[13] = write_movw_g1
    o.write_field[14] = write_movw_g2
    o.write_field[15] = write_movw_g3
    o.write_field[16] = write_movs_g0
    o.write_field[17] = write_movs_g1
    o.write_field[18] = write_movs_g2
    o.write_field[19] = write_movs_g3
    o.choose_relaxation = choose_relaxation
    o.may_relax_got = may_relax_got
    o.apply_relaxed = apply_relaxed
    o.describe_relaxed = describe_relaxed
    o.fill_code = fill_code
    o.choose_thunk = choose_thunk
    o.write_thunk = write_thunk
    o.thunk_sizes[THUNK_SHORT] = 12
    o.thunk_sizes[THUNK_ABSOLUTE] = 16
    o.thunk_sizes[THUNK_LONG] = 24
    o.thunk_sizes[THUNK_LANDING] = 8
    # Branches reach 128 MiB; the rest is for the thunks themselves.
    o.thunk_spacing = 112 << 20
    o.thunk_align = 3
    o.thunk_page = 0
    o.thunk_sizes[VENEER] = o.thunk_sizes[VENEER_ADRP_8] = o.thunk_sizes[VENEER_ADRP_12] = 8
    o.mark_letters = b"xd"
    o.name_thunk = name_thunk
    for kind in range(THUNK_SHORT, VENEER_ADRP_12 + 1):
        o.thunk_marks[kind][0].letter = c'x'
    o.thunk_marks[THUNK_ABSOLUTE][1].letter = o.thunk_marks[THUNK_LONG][1].letter = c'd'
    o.thunk_marks[THUNK_ABSOLUTE][1].offset = 8
    o.thunk_marks[THUNK_LONG][1].offset = 16
    o.find_patch = find_patch
    o.write_patch = write_patch
    o.patch_reach = 1 << 27
    table.use_plt(0)
