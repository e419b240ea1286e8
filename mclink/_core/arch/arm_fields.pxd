# cython: language_level=3
"""Level 2: the fields of ARM and Thumb instructions that relocations fill; inline, for arm.pyx alone.

`write` puts a value that has been checked into the instruction, `read` is its inverse: the addend of a REL relocation.
Source: AAELF32, chapter "Relocation"; the Arm Architecture Reference Manual.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, int32_t, int64_t
from mclink._core.bytes cimport load16, load32, store16, store32


# ---- fields: ARM

cdef inline void write_b24(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    cdef uint32_t insn = load32(out, swap)
    store32(out, (insn & 0xff000000U) | (<uint32_t>(value >> 2) & 0xffffff), swap)


cdef inline int64_t read_b24(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint32_t insn = load32(p, swap)
    cdef int64_t value = <int32_t>(insn << 8) >> 6
    if insn >> 25 == 0x7d:
        # BLX: bit 24 is one more bit of the offset.
        value |= (insn >> 23) & 2
    return value


cdef inline void write_prel31(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    store32(out, (load32(out, swap) & 0x80000000U) | (<uint32_t>value & 0x7fffffff), swap)


cdef inline int64_t read_prel31(const uint8_t* p, bint swap) noexcept nogil:
    return <int32_t>(load32(p, swap) << 1) >> 1


cdef inline void write_movw(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """MOVW, MOVT: imm4 in bits 16..19, imm12 in bits 0..11."""
    cdef uint32_t v = <uint32_t>value
    store32(out, (load32(out, swap) & 0xfff0f000U) | (v & 0xfff) | ((v & 0xf000) << 4), swap)


cdef inline void write_movt(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    write_movw(out, <int64_t>(<uint32_t>value >> 16), swap)


cdef inline int64_t read_movw(const uint8_t* p, bint swap) noexcept nogil:
    """Signed, and of MOVT too the low half of the addend (AAELF32, "Addends")."""
    cdef uint32_t insn = load32(p, swap)
    return <int32_t>(((insn & 0xfff) | ((insn >> 4) & 0xf000)) << 16) >> 16


cdef inline void write_abs12(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    store32(out, (load32(out, swap) & 0xfffff000U) | (<uint32_t>value & 0xfff), swap)


cdef inline int64_t read_abs12(const uint8_t* p, bint swap) noexcept nogil:
    return load32(p, swap) & 0xfff


cdef inline void write_ldr(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """LDR, STR, LDRB, STRB: imm12, bit 23 says that it is added."""
    cdef uint32_t insn = load32(out, swap) & 0xff7ff000U
    if value >= 0:
        insn |= 1 << 23
    else:
        value = -value
    store32(out, insn | (<uint32_t>value & 0xfff), swap)


cdef inline int64_t read_ldr(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint32_t insn = load32(p, swap)
    cdef int64_t value = insn & 0xfff
    return value if insn & (1 << 23) else -value


cdef inline void write_ldrs(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """LDRH, LDRSB, LDRD ...: imm8 in two halves."""
    cdef uint32_t insn = load32(out, swap) & 0xff7ff0f0U
    if value >= 0:
        insn |= 1 << 23
    else:
        value = -value
    store32(out, insn | (<uint32_t>value & 15) | ((<uint32_t>value & 0xf0) << 4), swap)


cdef inline int64_t read_ldrs(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint32_t insn = load32(p, swap)
    cdef int64_t value = (insn & 15) | ((insn >> 4) & 0xf0)
    return value if insn & (1 << 23) else -value


cdef inline void write_ldc(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """LDC, STC, VLDR: imm8 words."""
    cdef uint32_t insn = load32(out, swap) & 0xff7fff00U
    if value >= 0:
        insn |= 1 << 23
    else:
        value = -value
    store32(out, insn | (<uint32_t>(value >> 2) & 0xff), swap)


cdef inline int64_t read_ldc(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint32_t insn = load32(p, swap)
    cdef int64_t value = (insn & 0xff) << 2
    return value if insn & (1 << 23) else -value


cdef inline void write_alu(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """ADD or SUB with a rotated byte; `value` is such a constant or minus one."""
    cdef uint32_t insn = load32(out, swap) & 0xff1ff000U
    cdef uint32_t v, shift = 0
    if value >= 0:
        insn |= 1 << 23
    else:
        insn |= 1 << 22
        value = -value
    v = <uint32_t>value
    # The constant is turned right by twice what bits 8 to 11 hold.
    while v >> shift > 0xff:
        shift += 2
    store32(out, insn | ((32 - shift) & 31) << 7 | (v >> shift), swap)


cdef inline int64_t read_alu(const uint8_t* p, bint swap) noexcept nogil:
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


cdef inline void write_thm_bl(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """BL, BLX, B.W: S:I1:I2:imm10:imm11:0, where I = NOT(J EOR S)."""
    cdef uint32_t upper = load16(out, swap)
    cdef uint32_t lower = load16(out + 2, swap)
    cdef uint32_t v = <uint32_t>value
    cdef uint32_t s = (v >> 24) & 1
    cdef uint32_t j1 = ((v >> 23) & 1) ^ s ^ 1
    cdef uint32_t j2 = ((v >> 22) & 1) ^ s ^ 1
    store_thumb(out, (upper & 0xf800) | s << 10 | ((v >> 12) & 0x3ff),
                (lower & 0xd000) | j1 << 13 | j2 << 11 | ((v >> 1) & 0x7ff), swap)


cdef inline int64_t read_thm_bl(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint32_t upper = load16(p, swap)
    cdef uint32_t lower = load16(p + 2, swap)
    cdef uint32_t s = (upper >> 10) & 1
    cdef uint32_t i1 = ((lower >> 13) & 1) ^ s ^ 1
    cdef uint32_t i2 = ((lower >> 11) & 1) ^ s ^ 1
    cdef uint32_t v = s << 24 | i1 << 23 | i2 << 22 | (upper & 0x3ff) << 12 | (lower & 0x7ff) << 1
    return <int32_t>(v << 7) >> 7


cdef inline void write_thm_b19(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """B<c>.W: S:J2:J1:imm6:imm11:0."""
    cdef uint32_t upper = load16(out, swap)
    cdef uint32_t lower = load16(out + 2, swap)
    cdef uint32_t v = <uint32_t>value
    store_thumb(out, (upper & 0xfbc0) | ((v >> 20) & 1) << 10 | ((v >> 12) & 0x3f),
                (lower & 0xd000) | ((v >> 18) & 1) << 13 | ((v >> 19) & 1) << 11 | ((v >> 1) & 0x7ff), swap)


cdef inline int64_t read_thm_b19(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint32_t upper = load16(p, swap)
    cdef uint32_t lower = load16(p + 2, swap)
    cdef uint32_t v = (((upper >> 10) & 1) << 20 | ((lower >> 11) & 1) << 19 | ((lower >> 13) & 1) << 18
                       | (upper & 0x3f) << 12 | (lower & 0x7ff) << 1)
    return <int32_t>(v << 11) >> 11


cdef inline void write_thm_b11(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    store16(out, <uint16_t>((load16(out, swap) & 0xf800) | (<uint32_t>(value >> 1) & 0x7ff)), swap)


cdef inline int64_t read_thm_b11(const uint8_t* p, bint swap) noexcept nogil:
    return <int32_t>(<uint32_t>load16(p, swap) << 21) >> 20


cdef inline void write_thm_b8(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    store16(out, <uint16_t>((load16(out, swap) & 0xff00) | (<uint32_t>(value >> 1) & 0xff)), swap)


cdef inline int64_t read_thm_b8(const uint8_t* p, bint swap) noexcept nogil:
    return <int32_t>(<uint32_t>load16(p, swap) << 24) >> 23


cdef inline void write_thm_cbz(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """CBZ, CBNZ: i:imm5:0."""
    cdef uint32_t v = <uint32_t>value
    store16(out, <uint16_t>((load16(out, swap) & 0xfd07) | ((v & 0x40) << 3) | ((v & 0x3e) << 2)), swap)


cdef inline int64_t read_thm_cbz(const uint8_t* p, bint swap) noexcept nogil:
    # The offset has no sign and the addend has: gas writes -4 as 0x7c.
    cdef uint32_t insn = load16(p, swap)
    cdef int64_t value = ((insn >> 3) & 0x40) | ((insn >> 2) & 0x3e)
    return ((value + 4) & 0x7f) - 4


cdef inline void write_thm_movw(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """MOVW, MOVT: imm4 and i in the first halfword, imm3 and imm8 in the second."""
    cdef uint32_t v = <uint32_t>value
    store_thumb(out, (load16(out, swap) & 0xfbf0) | ((v >> 12) & 15) | ((v >> 1) & 0x400),
                (load16(out + 2, swap) & 0x8f00) | ((v << 4) & 0x7000) | (v & 0xff), swap)


cdef inline void write_thm_movt(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    write_thm_movw(out, <int64_t>(<uint32_t>value >> 16), swap)


cdef inline int64_t read_thm_movw(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint32_t upper = load16(p, swap)
    cdef uint32_t lower = load16(p + 2, swap)
    cdef uint32_t v = (upper & 15) << 12 | (upper & 0x400) << 1 | (lower & 0x7000) >> 4 | (lower & 0xff)
    return <int32_t>(v << 16) >> 16


cdef inline void write_thm_abs5(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """LDR, STR: imm5 words."""
    store16(out, <uint16_t>((load16(out, swap) & 0xf83f) | ((<uint32_t>value >> 2) & 31) << 6), swap)


cdef inline int64_t read_thm_abs5(const uint8_t* p, bint swap) noexcept nogil:
    return ((load16(p, swap) >> 6) & 31) << 2


cdef inline void write_thm_pc8(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """LDR (literal), ADR: imm8 words."""
    store16(out, <uint16_t>((load16(out, swap) & 0xff00) | ((<uint32_t>value >> 2) & 0xff)), swap)


cdef inline int64_t read_thm_pc8(const uint8_t* p, bint swap) noexcept nogil:
    return ((((<int64_t>load16(p, swap) & 0xff) << 2) + 4) & 0x3ff) - 4


cdef inline void write_thm_pc12(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """LDR.W (literal): imm12, bit 7 of the first halfword says that it is added."""
    cdef uint32_t upper = load16(out, swap) & 0xff7f
    if value >= 0:
        upper |= 0x80
    else:
        value = -value
    store_thumb(out, upper, (load16(out + 2, swap) & 0xf000) | (<uint32_t>value & 0xfff), swap)


cdef inline int64_t read_thm_pc12(const uint8_t* p, bint swap) noexcept nogil:
    cdef int64_t value = load16(p + 2, swap) & 0xfff
    return value if load16(p, swap) & 0x80 else -value


cdef inline void write_thm_adr(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """ADR.W: ADDW or SUBW with i:imm3:imm8."""
    cdef uint32_t upper = load16(out, swap) & 0xfb0f
    cdef uint32_t v
    if value < 0:
        upper |= 0xa0
        value = -value
    v = <uint32_t>value
    store_thumb(out, upper | (v & 0x800) >> 1, (load16(out + 2, swap) & 0x8f00) | (v & 0x700) << 4 | (v & 0xff),
                swap)


cdef inline int64_t read_thm_adr(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint32_t upper = load16(p, swap)
    cdef uint32_t lower = load16(p + 2, swap)
    cdef int64_t value = (upper & 0x400) << 1 | (lower & 0x7000) >> 4 | (lower & 0xff)
    return -value if upper & 0xa0 == 0xa0 else value


cdef inline void write_thm_byte0(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """MOVS, ADDS: byte 0 of the value, of the following three bytes 1 to 3."""
    store16(out, <uint16_t>((load16(out, swap) & 0xff00) | (<uint32_t>value & 0xff)), swap)


cdef inline void write_thm_byte1(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    write_thm_byte0(out, value >> 8, swap)


cdef inline void write_thm_byte2(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    write_thm_byte0(out, value >> 16, swap)


cdef inline void write_thm_byte3(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    write_thm_byte0(out, value >> 24, swap)


cdef inline int64_t read_thm_byte(const uint8_t* p, bint swap) noexcept nogil:
    return load16(p, swap) & 0xff


cdef inline void write_bf16(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """BF (Armv8.1-M): immA:immB:immC:0, 16 bits and a sign."""
    cdef uint32_t v = <uint32_t>value
    store_thumb(out, (load16(out, swap) & 0xffe0) | ((v >> 12) & 0x1f),
                (load16(out + 2, swap) & 0xf001) | ((v >> 2) & 0x3ff) << 1 | ((v >> 1) & 1) << 11, swap)


cdef inline int64_t read_bf16(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint32_t upper = load16(p, swap), lower = load16(p + 2, swap)
    cdef uint32_t v = (upper & 0x1f) << 12 | (lower & 0x7fe) << 1 | ((lower >> 11) & 1) << 1
    return <int32_t>(v << 15) >> 15


cdef inline void write_bf12(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """BFCSEL: immA has one bit."""
    cdef uint32_t v = <uint32_t>value
    store_thumb(out, (load16(out, swap) & 0xfffe) | ((v >> 12) & 1),
                (load16(out + 2, swap) & 0xf001) | ((v >> 2) & 0x3ff) << 1 | ((v >> 1) & 1) << 11, swap)


cdef inline int64_t read_bf12(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint32_t upper = load16(p, swap), lower = load16(p + 2, swap)
    cdef uint32_t v = (upper & 1) << 12 | (lower & 0x7fe) << 1 | ((lower >> 11) & 1) << 1
    return <int32_t>(v << 19) >> 19


cdef inline void write_bf18(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """BFL: immA has seven bits."""
    cdef uint32_t v = <uint32_t>value
    store_thumb(out, (load16(out, swap) & 0xff80) | ((v >> 12) & 0x7f),
                (load16(out + 2, swap) & 0xf001) | ((v >> 2) & 0x3ff) << 1 | ((v >> 1) & 1) << 11, swap)


cdef inline int64_t read_bf18(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint32_t upper = load16(p, swap), lower = load16(p + 2, swap)
    cdef uint32_t v = (upper & 0x7f) << 12 | (lower & 0x7fe) << 1 | ((lower >> 11) & 1) << 1
    return <int32_t>(v << 13) >> 13
