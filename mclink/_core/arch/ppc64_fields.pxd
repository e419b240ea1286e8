# cython: language_level=3
"""Level 2: the words and fields of 64-bit Power instructions (Power ISA 3.1); cimported by ppc64.pyx and ppc64_stubs.pxd.

Instructions are words in the byte order of data; prefixed ones are two words, the prefix first. In D-form rt stands
in bits 21..25, ra in bits 16..20, the immediate in the low half.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from mclink._core.bytes cimport load16, load32, store16, store32

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
    P_PNOP = 0x07000000
    P_PLD_R = 0x04100000     # 8LS:D, relative to the instruction


# ---- fields

cdef inline uint32_t get(const uint8_t* p, bint swap) noexcept nogil:
    return load32(p, swap)


cdef inline void put(uint8_t* p, uint32_t instruction, bint swap) noexcept nogil:
    store32(p, instruction, swap)


cdef inline uint32_t ha(uint64_t value) noexcept nogil:
    return <uint32_t>((value + 0x8000) >> 16) & 0xffff


cdef inline uint32_t lo(uint64_t value) noexcept nogil:
    return <uint32_t>value & 0xffff


cdef inline void write_hi(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    store16(p, <uint16_t>(value >> 16), swap)


cdef inline void write_ha(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    store16(p, <uint16_t>((value + 0x8000) >> 16), swap)


cdef inline void write_ds(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    store16(p, (load16(p, swap) & 3) | (<uint16_t>value & 0xfffc), swap)


cdef inline void write_higher(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    store16(p, <uint16_t>(value >> 32), swap)


cdef inline void write_highera(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    store16(p, <uint16_t>((<uint64_t>value + 0x8000) >> 32), swap)


cdef inline void write_highest(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    store16(p, <uint16_t>(value >> 48), swap)


cdef inline void write_highesta(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    store16(p, <uint16_t>((<uint64_t>value + 0x8000) >> 48), swap)


cdef inline void write_higher34(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    store16(p, <uint16_t>(value >> 34), swap)


cdef inline void write_highera34(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    store16(p, <uint16_t>((<uint64_t>value + (<uint64_t>1 << 33)) >> 34), swap)


cdef inline void write_highest34(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    store16(p, <uint16_t>(value >> 50), swap)


cdef inline void write_highesta34(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    store16(p, <uint16_t>((<uint64_t>value + (<uint64_t>1 << 33)) >> 50), swap)


cdef inline void write_li24(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put(p, (get(p, swap) & ~<uint32_t>0x3fffffc) | (<uint32_t>value & 0x3fffffc), swap)


cdef inline void write_bd14(uint8_t* p, int64_t value, bint swap) noexcept nogil:
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


cdef inline void write_bd14_taken(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_hinted(p, value, True, swap)


cdef inline void write_bd14_not(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_hinted(p, value, False, swap)


cdef inline void write_dx16a(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    """d0 in bits 6..15, d1 in bits 16..20, d2 in bit 0."""
    cdef uint32_t d = ha(<uint64_t>value)
    put(p, (get(p, swap) & ~<uint32_t>0x1fffc1) | (d & 0xffc1) | ((d & 0x3e) << 15), swap)


cdef inline void put_34(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put(p, (get(p, swap) & ~<uint32_t>0x3ffff) | (<uint32_t>(value >> 16) & 0x3ffff), swap)
    put(p + 4, (get(p + 4, swap) & ~<uint32_t>0xffff) | lo(<uint64_t>value), swap)


cdef inline void write_d34(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_34(p, value, swap)


cdef inline void write_d34_hi30(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_34(p, value >> 34, swap)


cdef inline void write_d34_ha30(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put_34(p, <int64_t>(<uint64_t>value + (<uint64_t>1 << 33)) >> 34, swap)


cdef inline void write_w30(uint8_t* p, int64_t value, bint swap) noexcept nogil:
    put(p, (get(p, swap) & 3) | (<uint32_t>value & ~<uint32_t>3), swap)
