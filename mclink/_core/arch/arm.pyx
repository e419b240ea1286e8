"""Level 2: ARM and Thumb instructions. See "ELF for the Arm Architecture" (AAELF32), chapters "Relocation" and
"Program Loading", and the Arm Architecture Reference Manual for the encodings.

A code address has its instruction set in bit 0 (1: Thumb), and a function symbol's value is such an address. PC
reads as P + 8 in ARM and P + 4 in Thumb state, which the addends of inputs account for. A branch to a
function of the other instruction set becomes BLX where the instruction may be that, else it goes through a
veneer; a symbol that is not a function says nothing about the instruction set, and its branches stay as they are.

A 32-bit Thumb instruction is two halfwords, the one with the opcode first. With -EB instructions are big-endian like
the data (BE32); --be8 turns them over in the finished image.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int32_t, int64_t
from mclink._core.bytes cimport load16, load32, store16, store32
from mclink._core.elf cimport Rela, STT_FUNC, STT_GNU_IFUNC
from mclink._core.fault cimport FAULT_OVERFLOW, FAULT_BAD_INSTRUCTION
from mclink._core.formula cimport (fault_value, plt_address, quantity_value, store_checked, store_field,
                                   subtract_reference, symbol_address, symbol_aux, symbol_gid)
from mclink._core.ops cimport *
from mclink._core.tables cimport *

cdef enum:                   # RelocType.relax; keep in step with mclink.target.arm.FAMILIES
    FAMILY_BRANCH = 1        # calls and jumps that may need the other instruction set
    FAMILY_ALU = 2           # group relocations: piece 0, 1 or 2 of an address as an immediate ...
    FAMILY_LOAD = 3          # ... or what those pieces leave, as a load's offset
    FAMILY_ALIGNED = 4       # relative to Align(P, 4)
    FAMILY_DESC = 5          # TLS descriptors: the address of one ...
    FAMILY_DESC_CALL = 6     # ... and the call through it
    FAMILY_PIECE = 7         # group relocations without a range check

cdef enum:                   # verdicts
    A_BRANCH = 16            # a call or jump
    A_ALU = 17
    A_LOAD = 18
    A_ALIGNED = 19
    A_PIECE = 20

cdef enum:                   # relocation numbers
    R_PC24 = 1
    R_THM_CALL = 10
    R_THM_XPC22 = 16
    R_PLT32 = 27
    R_CALL = 28
    R_JUMP24 = 29
    R_THM_JUMP24 = 30
    R_THM_JUMP19 = 51

cdef enum:                   # what a branch leads to
    STATE_UNKNOWN = 0
    STATE_ARM = 1
    STATE_THUMB = 2


# ---- fields: ARM

cdef void write_b24(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    cdef uint32_t insn = load32(out, swap)
    store32(out, (insn & 0xff000000U) | (<uint32_t>(value >> 2) & 0xffffff), swap)


cdef int64_t read_b24(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint32_t insn = load32(p, swap)
    cdef int64_t value = <int32_t>(insn << 8) >> 6
    if insn >> 25 == 0x7d:
        # BLX: bit 24 is one more bit of the offset.
        value |= (insn >> 23) & 2
    return value


cdef void write_prel31(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    store32(out, (load32(out, swap) & 0x80000000U) | (<uint32_t>value & 0x7fffffff), swap)


cdef int64_t read_prel31(const uint8_t* p, bint swap) noexcept nogil:
    return <int32_t>(load32(p, swap) << 1) >> 1


cdef void write_movw(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """MOVW, MOVT: imm4 in bits 16..19, imm12 in bits 0..11."""
    cdef uint32_t v = <uint32_t>value
    store32(out, (load32(out, swap) & 0xfff0f000U) | (v & 0xfff) | ((v & 0xf000) << 4), swap)


cdef void write_movt(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    write_movw(out, <int64_t>(<uint32_t>value >> 16), swap)


cdef int64_t read_movw(const uint8_t* p, bint swap) noexcept nogil:
    """Signed, and of MOVT too the low half of the addend (AAELF32, "Addends")."""
    cdef uint32_t insn = load32(p, swap)
    return <int32_t>(((insn & 0xfff) | ((insn >> 4) & 0xf000)) << 16) >> 16


cdef void write_abs12(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    store32(out, (load32(out, swap) & 0xfffff000U) | (<uint32_t>value & 0xfff), swap)


cdef int64_t read_abs12(const uint8_t* p, bint swap) noexcept nogil:
    return load32(p, swap) & 0xfff


cdef void write_ldr(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """LDR, STR, LDRB, STRB: imm12, bit 23 says that it is added."""
    cdef uint32_t insn = load32(out, swap) & 0xff7ff000U
    if value >= 0:
        insn |= 1 << 23
    else:
        value = -value
    store32(out, insn | (<uint32_t>value & 0xfff), swap)


cdef int64_t read_ldr(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint32_t insn = load32(p, swap)
    cdef int64_t value = insn & 0xfff
    return value if insn & (1 << 23) else -value


cdef void write_ldrs(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """LDRH, LDRSB, LDRD ...: imm8 in two halves."""
    cdef uint32_t insn = load32(out, swap) & 0xff7ff0f0U
    if value >= 0:
        insn |= 1 << 23
    else:
        value = -value
    store32(out, insn | (<uint32_t>value & 15) | ((<uint32_t>value & 0xf0) << 4), swap)


cdef int64_t read_ldrs(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint32_t insn = load32(p, swap)
    cdef int64_t value = (insn & 15) | ((insn >> 4) & 0xf0)
    return value if insn & (1 << 23) else -value


cdef void write_ldc(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """LDC, STC, VLDR: imm8 words."""
    cdef uint32_t insn = load32(out, swap) & 0xff7fff00U
    if value >= 0:
        insn |= 1 << 23
    else:
        value = -value
    store32(out, insn | (<uint32_t>(value >> 2) & 0xff), swap)


cdef int64_t read_ldc(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint32_t insn = load32(p, swap)
    cdef int64_t value = (insn & 0xff) << 2
    return value if insn & (1 << 23) else -value


cdef void write_alu(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """ADD or SUB with a rotated byte; `value` is such a constant or minus one."""
    cdef uint32_t insn = load32(out, swap) & 0xff1ff000U
    cdef uint32_t v, turn = 0
    if value >= 0:
        insn |= 1 << 23
    else:
        insn |= 1 << 22
        value = -value
    v = <uint32_t>value
    while v > 0xff and turn < 16:
        v = (v << 2) | (v >> 30)
        turn += 1
    store32(out, insn | (turn & 15) << 8 | (v & 0xff), swap)


cdef int64_t read_alu(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint32_t insn = load32(p, swap)
    cdef uint32_t turn = (insn >> 7) & 30
    cdef uint32_t v = insn & 0xff
    if turn:
        v = (v >> turn) | (v << (32 - turn))
    # SUB has bit 22 and not bit 23.
    return -<int64_t>v if (insn >> 22) & 3 == 1 else <int64_t>v


# ---- fields: Thumb

cdef inline void store_thumb(uint8_t* out, uint32_t upper, uint32_t lower, bint swap) noexcept nogil:
    store16(out, <uint16_t>upper, swap)
    store16(out + 2, <uint16_t>lower, swap)


cdef void write_thm_bl(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """BL, BLX, B.W: S:I1:I2:imm10:imm11:0, where I = NOT(J EOR S)."""
    cdef uint32_t upper = load16(out, swap)
    cdef uint32_t lower = load16(out + 2, swap)
    cdef uint32_t v = <uint32_t>value
    cdef uint32_t s = (v >> 24) & 1
    cdef uint32_t j1 = ((v >> 23) & 1) ^ s ^ 1
    cdef uint32_t j2 = ((v >> 22) & 1) ^ s ^ 1
    store_thumb(out, (upper & 0xf800) | s << 10 | ((v >> 12) & 0x3ff),
                (lower & 0xd000) | j1 << 13 | j2 << 11 | ((v >> 1) & 0x7ff), swap)


cdef int64_t read_thm_bl(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint32_t upper = load16(p, swap)
    cdef uint32_t lower = load16(p + 2, swap)
    cdef uint32_t s = (upper >> 10) & 1
    cdef uint32_t i1 = ((lower >> 13) & 1) ^ s ^ 1
    cdef uint32_t i2 = ((lower >> 11) & 1) ^ s ^ 1
    cdef uint32_t v = s << 24 | i1 << 23 | i2 << 22 | (upper & 0x3ff) << 12 | (lower & 0x7ff) << 1
    return <int32_t>(v << 7) >> 7


cdef void write_thm_b19(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """B<c>.W: S:J2:J1:imm6:imm11:0."""
    cdef uint32_t upper = load16(out, swap)
    cdef uint32_t lower = load16(out + 2, swap)
    cdef uint32_t v = <uint32_t>value
    store_thumb(out, (upper & 0xfbc0) | ((v >> 20) & 1) << 10 | ((v >> 12) & 0x3f),
                (lower & 0xd000) | ((v >> 18) & 1) << 13 | ((v >> 19) & 1) << 11 | ((v >> 1) & 0x7ff), swap)


cdef int64_t read_thm_b19(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint32_t upper = load16(p, swap)
    cdef uint32_t lower = load16(p + 2, swap)
    cdef uint32_t v = (((upper >> 10) & 1) << 20 | ((lower >> 11) & 1) << 19 | ((lower >> 13) & 1) << 18
                       | (upper & 0x3f) << 12 | (lower & 0x7ff) << 1)
    return <int32_t>(v << 11) >> 11


cdef void write_thm_b11(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    store16(out, <uint16_t>((load16(out, swap) & 0xf800) | (<uint32_t>(value >> 1) & 0x7ff)), swap)


cdef int64_t read_thm_b11(const uint8_t* p, bint swap) noexcept nogil:
    return <int32_t>(<uint32_t>load16(p, swap) << 21) >> 20


cdef void write_thm_b8(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    store16(out, <uint16_t>((load16(out, swap) & 0xff00) | (<uint32_t>(value >> 1) & 0xff)), swap)


cdef int64_t read_thm_b8(const uint8_t* p, bint swap) noexcept nogil:
    return <int32_t>(<uint32_t>load16(p, swap) << 24) >> 23


cdef void write_thm_cbz(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """CBZ, CBNZ: i:imm5:0."""
    cdef uint32_t v = <uint32_t>value
    store16(out, <uint16_t>((load16(out, swap) & 0xfd07) | ((v & 0x40) << 3) | ((v & 0x3e) << 2)), swap)


cdef int64_t read_thm_cbz(const uint8_t* p, bint swap) noexcept nogil:
    # The offset has no sign and the addend has: gas writes -4 as 0x7c.
    cdef uint32_t insn = load16(p, swap)
    cdef int64_t value = ((insn >> 3) & 0x40) | ((insn >> 2) & 0x3e)
    return ((value + 4) & 0x7f) - 4


cdef void write_thm_movw(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """MOVW, MOVT: imm4 and i in the first halfword, imm3 and imm8 in the second."""
    cdef uint32_t v = <uint32_t>value
    store_thumb(out, (load16(out, swap) & 0xfbf0) | ((v >> 12) & 15) | ((v >> 1) & 0x400),
                (load16(out + 2, swap) & 0x8f00) | ((v << 4) & 0x7000) | (v & 0xff), swap)


cdef void write_thm_movt(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    write_thm_movw(out, <int64_t>(<uint32_t>value >> 16), swap)


cdef int64_t read_thm_movw(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint32_t upper = load16(p, swap)
    cdef uint32_t lower = load16(p + 2, swap)
    cdef uint32_t v = (upper & 15) << 12 | (upper & 0x400) << 1 | (lower & 0x7000) >> 4 | (lower & 0xff)
    return <int32_t>(v << 16) >> 16


cdef void write_thm_abs5(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """LDR, STR: imm5 words."""
    store16(out, <uint16_t>((load16(out, swap) & 0xf83f) | ((<uint32_t>value >> 2) & 31) << 6), swap)


cdef int64_t read_thm_abs5(const uint8_t* p, bint swap) noexcept nogil:
    return ((load16(p, swap) >> 6) & 31) << 2


cdef void write_thm_pc8(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """LDR (literal), ADR: imm8 words."""
    store16(out, <uint16_t>((load16(out, swap) & 0xff00) | ((<uint32_t>value >> 2) & 0xff)), swap)


cdef int64_t read_thm_pc8(const uint8_t* p, bint swap) noexcept nogil:
    return ((((<int64_t>load16(p, swap) & 0xff) << 2) + 4) & 0x3ff) - 4


cdef void write_thm_pc12(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """LDR.W (literal): imm12, bit 7 of the first halfword says that it is added."""
    cdef uint32_t upper = load16(out, swap) & 0xff7f
    if value >= 0:
        upper |= 0x80
    else:
        value = -value
    store_thumb(out, upper, (load16(out + 2, swap) & 0xf000) | (<uint32_t>value & 0xfff), swap)


cdef int64_t read_thm_pc12(const uint8_t* p, bint swap) noexcept nogil:
    cdef int64_t value = load16(p + 2, swap) & 0xfff
    return value if load16(p, swap) & 0x80 else -value


cdef void write_thm_adr(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """ADR.W: ADDW or SUBW with i:imm3:imm8."""
    cdef uint32_t upper = load16(out, swap) & 0xfb0f
    cdef uint32_t v
    if value < 0:
        upper |= 0xa0
        value = -value
    v = <uint32_t>value
    store_thumb(out, upper | (v & 0x800) >> 1, (load16(out + 2, swap) & 0x8f00) | (v & 0x700) << 4 | (v & 0xff),
                swap)


cdef int64_t read_thm_adr(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint32_t upper = load16(p, swap)
    cdef uint32_t lower = load16(p + 2, swap)
    cdef int64_t value = (upper & 0x400) << 1 | (lower & 0x7000) >> 4 | (lower & 0xff)
    return -value if upper & 0xa0 == 0xa0 else value


cdef void write_thm_byte0(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """MOVS, ADDS: byte 0 of the value, of the following three bytes 1 to 3."""
    store16(out, <uint16_t>((load16(out, swap) & 0xff00) | (<uint32_t>value & 0xff)), swap)


cdef void write_thm_byte1(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    write_thm_byte0(out, value >> 8, swap)


cdef void write_thm_byte2(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    write_thm_byte0(out, value >> 16, swap)


cdef void write_thm_byte3(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    write_thm_byte0(out, value >> 24, swap)


cdef int64_t read_thm_byte(const uint8_t* p, bint swap) noexcept nogil:
    return load16(p, swap) & 0xff


cdef void write_bf16(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """BF (Armv8.1-M): immA:immB:immC:0, 16 bits and a sign."""
    cdef uint32_t v = <uint32_t>value
    store_thumb(out, (load16(out, swap) & 0xffe0) | ((v >> 12) & 0x1f),
                (load16(out + 2, swap) & 0xf001) | ((v >> 2) & 0x3ff) << 1 | ((v >> 1) & 1) << 11, swap)


cdef int64_t read_bf16(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint32_t upper = load16(p, swap), lower = load16(p + 2, swap)
    cdef uint32_t v = (upper & 0x1f) << 12 | (lower & 0x7fe) << 1 | ((lower >> 11) & 1) << 1
    return <int32_t>(v << 15) >> 15


cdef void write_bf12(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """BFCSEL: immA has one bit."""
    cdef uint32_t v = <uint32_t>value
    store_thumb(out, (load16(out, swap) & 0xfffe) | ((v >> 12) & 1),
                (load16(out + 2, swap) & 0xf001) | ((v >> 2) & 0x3ff) << 1 | ((v >> 1) & 1) << 11, swap)


cdef int64_t read_bf12(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint32_t upper = load16(p, swap), lower = load16(p + 2, swap)
    cdef uint32_t v = (upper & 1) << 12 | (lower & 0x7fe) << 1 | ((lower >> 11) & 1) << 1
    return <int32_t>(v << 19) >> 19


cdef void write_bf18(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """BFL: immA has seven bits."""
    cdef uint32_t v = <uint32_t>value
    store_thumb(out, (load16(out, swap) & 0xff80) | ((v >> 12) & 0x7f),
                (load16(out + 2, swap) & 0xf001) | ((v >> 2) & 0x3ff) << 1 | ((v >> 1) & 1) << 11, swap)


cdef int64_t read_bf18(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint32_t upper = load16(p, swap), lower = load16(p + 2, swap)
    cdef uint32_t v = (upper & 0x7f) << 12 | (lower & 0x7fe) << 1 | ((lower >> 11) & 1) << 1
    return <int32_t>(v << 13) >> 13


# ---- verdicts

cdef uint8_t choose_relaxation(const Columns* c, const Fragment* frag, uint32_t index, uint32_t wish,
                               uint32_t* skip) noexcept nogil:
    cdef uint8_t family = (<const Ops*>c.ops).types[frag.relocs[index].r_type].relax
    if wish == RELAX_FORM:
        if family == FAMILY_BRANCH:
            return A_BRANCH
        if family == FAMILY_ALU:
            return A_ALU
        if family == FAMILY_LOAD:
            return A_LOAD
        if family == FAMILY_ALIGNED:
            return A_ALIGNED
        if family == FAMILY_PIECE:
            return A_PIECE
    return 0


cdef uint32_t branch_state(const Columns* c, const File* f, uint32_t sym, uint64_t S) noexcept nogil:
    """The instruction set of the function that a symbol names."""
    cdef uint32_t gid = symbol_gid(f, sym)
    cdef uint8_t type = c.globals[gid].type if gid != 0 else f.syms[sym].st_info & 15
    if type == STT_FUNC or type == STT_GNU_IFUNC:
        return STATE_THUMB if S & 1 else STATE_ARM
    return STATE_UNKNOWN


cdef inline bint is_thumb_branch(uint32_t type) noexcept nogil:
    return type == R_THM_CALL or type == R_THM_XPC22 or type == R_THM_JUMP24 or type == R_THM_JUMP19


cdef void write_nop(uint8_t* loc, uint32_t type, bint swap) noexcept nogil:
    """A call of a function that does not exist (weak and undefined) does nothing."""
    if is_thumb_branch(type):
        store_thumb(loc, 0xf3af, 0x8000, swap)
    else:
        # MOV r0, r0 under the condition of the branch; NOP came with ARMv6K. BLX has no condition.
        store32(loc, 0x01a00000 | (load32(loc, swap) & 0xf0000000U if load32(loc, swap) >> 28 != 15
                                   else 0xe0000000U), swap)


cdef void apply_branch(Place* p, const Rela* r, const RelocType* t) noexcept nogil:
    """B, BL, BLX: to the symbol or its PLT entry, in the instruction set that is there."""
    cdef Columns* c = p.c
    cdef const File* f = &c.files[p.frag.file]
    cdef const Aux* aux = symbol_aux(c, f, r.r_sym)
    cdef uint32_t gid = symbol_gid(f, r.r_sym)
    cdef uint32_t insn, state
    cdef uint64_t S
    cdef int64_t distance
    cdef bint swap = c.swap != 0
    if aux.plt >= 0:
        S = plt_address(c, aux)
        state = STATE_ARM
        if r.r_type == R_THM_JUMP24 or r.r_type == R_THM_JUMP19:
            # In front of an entry stands BX PC, which is its entry for Thumb code.
            S -= 4
            state = STATE_THUMB
    else:
        S = symbol_address(c, f, r.r_sym, r.r_addend)
        if gid != 0 and c.gflags[gid] & G_UNDEF_WEAK and S == 0:
            write_nop(p.loc, r.r_type, swap)
            return
        state = branch_state(c, f, r.r_sym, S)
        if state == STATE_THUMB:
            S -= 1
    distance = <int32_t><uint32_t>(S + <uint64_t>r.r_addend - p.P)
    if is_thumb_branch(r.r_type):
        if r.r_type == R_THM_CALL or r.r_type == R_THM_XPC22:
            insn = load16(p.loc + 2, swap)
            if state == STATE_ARM:
                insn &= 0xefff
            elif state == STATE_THUMB:
                insn |= 0x1000
            store16(p.loc + 2, <uint16_t>insn, swap)
            if not insn & 0x1000:
                # BLX counts from Align(PC, 4).
                distance = (distance + 2) & ~<int64_t>3
        elif state == STATE_ARM:
            fault_value(p, FAULT_BAD_INSTRUCTION, 0, 0, 0)
            return
    else:
        insn = load32(p.loc, swap)
        if state == STATE_THUMB:
            if insn >> 24 != 0xeb and insn >> 25 != 0x7d:
                fault_value(p, FAULT_BAD_INSTRUCTION, 0, 0, 0)
                return
            store32(p.loc, 0xfa000000U | (<uint32_t>distance & 2) << 23 | (insn & 0xffffff), swap)
        elif insn >> 25 == 0x7d and state == STATE_ARM:
            store32(p.loc, 0xeb000000U | (insn & 0xffffff), swap)
    if distance < t.low or distance > t.high:
        fault_value(p, FAULT_OVERFLOW, distance, t.low, t.high)
    store_field(c, p.ops, t, p.loc, distance)


cdef uint32_t next_piece(uint32_t* rest) noexcept nogil:
    """Takes the highest 8 bits at an even place off `rest` (AAELF32, "Group relocations")."""
    cdef uint32_t shift = 24, piece
    if rest[0] == 0:
        return 0
    while shift and not rest[0] >> (shift + 6):
        # The byte moves down by two bits until its top two hold a bit of the value.
        shift -= 2
    piece = rest[0] & <uint32_t>(<uint64_t>0xff << shift)
    rest[0] &= ~piece
    return piece


cdef inline uint32_t group_number(uint32_t type) noexcept nogil:
    """n of R_ARM_*_Gn, and for loads the number of pieces that ADDs have taken before."""
    if type == 4:                                   # LDR_PC_G0
        return 0
    if type <= 61:                                  # ALU_PC_G0_NC, G0, G1_NC, G1, G2
        return (type - 57) >> 1
    if type <= 63:                                  # LDR_PC_G1, G2
        return type - 61
    if type <= 69:                                  # LDRS_PC_G0..2, LDC_PC_G0..2
        return (type - 64) % 3
    if type <= 74:                                  # ALU_SB_G0_NC, G0, G1_NC, G1, G2
        return (type - 70) >> 1
    return (type - 75) % 3                          # LDR_SB, LDRS_SB, LDC_SB


cdef void apply_group(Place* p, const Rela* r, const RelocType* t, uint8_t verdict) noexcept nogil:
    cdef Columns* c = p.c
    cdef uint64_t full = quantity_value(c, &c.files[p.frag.file], t, r.r_sym, r.r_addend) + <uint64_t>r.r_addend
    cdef int64_t value = <int32_t><uint32_t>subtract_reference(c, t.reference, full, p.P)
    cdef uint32_t rest = <uint32_t>(-value if value < 0 else value)
    cdef uint32_t n = group_number(r.r_type)
    cdef uint32_t piece = 0, i
    cdef int64_t stored
    if verdict == A_LOAD:
        for i in range(n):
            next_piece(&rest)
        stored = -<int64_t>rest if value < 0 else <int64_t>rest
        if stored < t.low or stored > t.high:
            fault_value(p, FAULT_OVERFLOW, value, t.low, t.high)
    else:
        for i in range(n + 1):
            piece = next_piece(&rest)
        if verdict == A_ALU and rest != 0:
            fault_value(p, FAULT_OVERFLOW, value, 0, 0)
        stored = -<int64_t>piece if value < 0 else <int64_t>piece
    store_field(c, p.ops, t, p.loc, stored)
    if value < 0 and stored == 0:
        # Nothing is subtracted, and still it is a subtraction.
        if verdict == A_LOAD:
            store32(p.loc, load32(p.loc, c.swap) & ~<uint32_t>(1 << 23), c.swap)
        else:
            store32(p.loc, (load32(p.loc, c.swap) & ~<uint32_t>(1 << 23)) | (1 << 22), c.swap)


cdef void apply_aligned(Place* p, const Rela* r, const RelocType* t) noexcept nogil:
    cdef Columns* c = p.c
    cdef uint64_t S = symbol_address(c, &c.files[p.frag.file], r.r_sym, r.r_addend)
    if branch_state(c, &c.files[p.frag.file], r.r_sym, S) == STATE_THUMB and t.size == 2:
        S &= ~<uint64_t>1
    store_checked(p, t, S + <uint64_t>r.r_addend - (p.P & ~<uint64_t>3))


cdef void apply_relaxed(Place* p, uint8_t verdict) noexcept nogil:
    cdef const Rela* r = &p.frag.relocs[p.index]
    cdef const RelocType* t = &p.ops.types[r.r_type]
    if verdict == A_BRANCH:
        apply_branch(p, r, t)
    elif verdict == A_ALIGNED:
        apply_aligned(p, r, t)
    else:
        apply_group(p, r, t, verdict)


cdef void describe_relaxed(const Rela* r, uint8_t verdict, Rela* out) noexcept nogil:
    out[0] = r[0]


cdef void fill_code(uint8_t* out, uint64_t size) noexcept nogil:
    """Gaps are zeros, as GNU ld leaves them: which instruction set stands around is not known."""
    cdef uint64_t i
    for i in range(size):
        out[i] = 0


# ---- PLT

cdef void write_header(uint8_t* out, const PltEntry* e) noexcept nogil:
    """str lr, [sp, #-4]!; ldr lr, [pc, #4]; add lr, pc, lr; ldr pc, [lr, #8]!; .word GOT - (. - 4 + 4)

    The resolver finds the slot's address in ip and that of the third reserved word in lr."""
    store32(out, 0xe52de004U, e.swap)
    store32(out + 4, 0xe59fe004U, e.swap)
    store32(out + 8, 0xe08fe00eU, e.swap)
    store32(out + 12, 0xe5bef008U, e.swap)
    store32(out + 16, <uint32_t>(e.gotplt - e.address - 16), e.swap)


cdef void write_thumb_stub(uint8_t* out, bint swap) noexcept nogil:
    """bx pc; nop: for jumps from Thumb code, in front of the entry proper."""
    store16(out, 0x4778, swap)
    store16(out + 2, 0x46c0, swap)


cdef void write_entry(uint8_t* out, const PltEntry* e) noexcept nogil:
    """add ip, pc, #a << 20; add ip, ip, #b << 12; ldr pc, [ip, #c]!"""
    cdef uint32_t distance = <uint32_t>(e.slot - e.address - 8)
    write_thumb_stub(out - 4, e.swap)
    store32(out, 0xe28fc600U | ((distance >> 20) & 0xff), e.swap)
    store32(out + 4, 0xe28cca00U | ((distance >> 12) & 0xff), e.swap)
    store32(out + 8, 0xe5bcf000U | (distance & 0xfff), e.swap)


cdef void write_long_entry(uint8_t* out, const PltEntry* e) noexcept nogil:
    """add ip, pc, #a << 28; add ip, ip, #b << 20; add ip, ip, #c << 12; ldr pc, [ip, #d]!"""
    cdef uint32_t distance = <uint32_t>(e.slot - e.address - 8)
    write_thumb_stub(out - 4, e.swap)
    store32(out, 0xe28fc200U | (distance >> 28), e.swap)
    store32(out + 4, 0xe28cc600U | ((distance >> 20) & 0xff), e.swap)
    store32(out + 8, 0xe28cca00U | ((distance >> 12) & 0xff), e.swap)
    store32(out + 12, 0xe5bcf000U | (distance & 0xfff), e.swap)


# ---- connecting

cdef void set_style(PltStyle* s, uint32_t entry_size, plt_writer_t entry) noexcept nogil:
    s.header_size = 20
    s.entry_size = entry_size
    s.lazy_size = 0
    s.got_size = entry_size
    s.push_offset = PUSH_HEADER
    s.skip = 4
    s.align = 4
    s.header = write_header
    s.entry = entry
    s.lazy = NULL
    s.got = entry


def connect_arm(OpsTable table not None):
    """Gives `table` the functions of ARM; PLT style 0 is the usual one, 1 --long-plt. The numbers of the fields are
    those of mclink.target.arm.FIELDS."""
    cdef Ops* o = &table.ops
    set_style(&o.styles[0], 16, write_entry)
    set_style(&o.styles[1], 20, write_long_entry)
    o.choose_relaxation = choose_relaxation
    o.apply_relaxed = apply_relaxed
    o.describe_relaxed = describe_relaxed
    o.fill_code = fill_code
    o.write_field[0] = write_b24
    o.read_field[0] = read_b24
    o.write_field[1] = write_thm_bl
    o.read_field[1] = read_thm_bl
    o.write_field[2] = write_thm_b19
    o.read_field[2] = read_thm_b19
    o.write_field[3] = write_thm_b11
    o.read_field[3] = read_thm_b11
    o.write_field[4] = write_thm_b8
    o.read_field[4] = read_thm_b8
    o.write_field[5] = write_thm_cbz
    o.read_field[5] = read_thm_cbz
    o.write_field[6] = write_prel31
    o.read_field[6] = read_prel31
    o.write_field[7] = write_movw
    o.read_field[7] = read_movw
    o.write_field[8] = write_movt
    o.read_field[8] = read_movw
    o.write_field[9] = write_thm_movw
    o.read_field[9] = read_thm_movw
    o.write_field[10] = write_thm_movt
    o.read_field[10] = read_thm_movw
    o.write_field[11] = write_abs12
    o.read_field[11] = read_abs12
    o.write_field[12] = write_ldr
    o.read_field[12] = read_ldr
    o.write_field[13] = write_ldrs
    o.read_field[13] = read_ldrs
    o.write_field[14] = write_ldc
    o.read_field[14] = read_ldc
    o.write_field[15] = write_alu
    o.read_field[15] = read_alu
    o.write_field[16] = write_thm_abs5
    o.read_field[16] = read_thm_abs5
    o.write_field[17] = write_thm_pc8
    o.read_field[17] = read_thm_pc8
    o.write_field[18] = write_thm_pc12
    o.read_field[18] = read_thm_pc12
    o.write_field[19] = write_thm_adr
    o.read_field[19] = read_thm_adr
    o.write_field[20] = write_thm_byte0
    o.read_field[20] = read_thm_byte
    o.write_field[21] = write_thm_byte1
    o.read_field[21] = read_thm_byte
    o.write_field[22] = write_thm_byte2
    o.read_field[22] = read_thm_byte
    o.write_field[23] = write_thm_byte3
    o.read_field[23] = read_thm_byte
    o.write_field[24] = write_bf16
    o.read_field[24] = read_bf16
    o.write_field[25] = write_bf12
    o.read_field[25] = read_bf12
    o.write_field[26] = write_bf18
    o.read_field[26] = read_bf18
    table.use_plt(0)
