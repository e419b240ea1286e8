# cython: language_level=3
"""Fields of MIPS, microMIPS and MIPS16 instructions; see "MIPS Architecture For Programmers", volumes II and IV.

A microMIPS instruction of 32 bits, and an extended one of MIPS16, is two halfwords, that with the opcode first.
The read functions give addends as REL inputs hold them; those of high halves are joined with their low ones later.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int8_t, int16_t, int32_t, int64_t
from mclink._core.bytes cimport load16, load32, store16, store32


cdef inline int64_t sign_extend(uint64_t value, uint32_t bits) noexcept nogil:
    return <int64_t>(value << (64 - bits)) >> (64 - bits)


cdef inline uint64_t hi16(int64_t value) noexcept nogil:
    """Bits 16..31 of what is left when the signed low half is taken away."""
    return (<uint64_t>value + 0x8000) >> 16


cdef inline uint64_t higher16(int64_t value) noexcept nogil:
    return (<uint64_t>value + <uint64_t>0x80008000) >> 32


cdef inline uint64_t highest16(int64_t value) noexcept nogil:
    return (<uint64_t>value + <uint64_t>0x800080008000) >> 48


cdef inline void put_bits(uint8_t* out, uint64_t value, uint32_t bits, bint swap) noexcept nogil:
    cdef uint32_t mask = <uint32_t>((<uint64_t>1 << bits) - 1)
    store32(out, (load32(out, swap) & ~mask) | (<uint32_t>value & mask), swap)


cdef inline int64_t get_bits(const uint8_t* p, uint32_t bits, bint swap) noexcept nogil:
    return sign_extend(load32(p, swap), bits)


# ---- MIPS

cdef inline void write_imm16(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    put_bits(out, <uint64_t>value, 16, swap)

cdef inline int64_t read_imm16(const uint8_t* p, bint swap) noexcept nogil:
    return get_bits(p, 16, swap)

cdef inline void write_hi16(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    put_bits(out, hi16(value), 16, swap)

cdef inline int64_t read_hi16(const uint8_t* p, bint swap) noexcept nogil:
    return <int64_t>(<uint64_t>get_bits(p, 16, swap) << 16)

cdef inline void write_higher(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    put_bits(out, higher16(value), 16, swap)

cdef inline void write_highest(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    put_bits(out, highest16(value), 16, swap)

cdef inline void write_jump(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    put_bits(out, <uint64_t>value >> 2, 26, swap)

cdef inline int64_t read_jump(const uint8_t* p, bint swap) noexcept nogil:
    return get_bits(p, 26, swap) * 4

cdef inline void write_pc16(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    put_bits(out, <uint64_t>value >> 2, 16, swap)

cdef inline int64_t read_pc16(const uint8_t* p, bint swap) noexcept nogil:
    return get_bits(p, 16, swap) * 4

cdef inline void write_pc21(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    put_bits(out, <uint64_t>value >> 2, 21, swap)

cdef inline int64_t read_pc21(const uint8_t* p, bint swap) noexcept nogil:
    return get_bits(p, 21, swap) * 4

cdef inline void write_pc18(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    put_bits(out, <uint64_t>value >> 3, 18, swap)

cdef inline int64_t read_pc18(const uint8_t* p, bint swap) noexcept nogil:
    return get_bits(p, 18, swap) * 8

cdef inline void write_pc19(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    put_bits(out, <uint64_t>value >> 2, 19, swap)

cdef inline int64_t read_pc19(const uint8_t* p, bint swap) noexcept nogil:
    return get_bits(p, 19, swap) * 4

cdef inline void write_shift6(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    cdef uint32_t bits = (<uint32_t>value & 0x1f) << 6 | (<uint32_t>value & 0x20) >> 3
    store32(out, (load32(out, swap) & ~<uint32_t>0x7c4) | bits, swap)

cdef inline int64_t read_shift6(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint32_t insn = load32(p, swap)
    return (insn >> 6 & 0x1f) | (insn << 3 & 0x20)


# ---- microMIPS

cdef inline uint32_t load_micro(const uint8_t* p, bint swap) noexcept nogil:
    return <uint32_t>load16(p, swap) << 16 | load16(p + 2, swap)

cdef inline void store_micro(uint8_t* out, uint32_t insn, bint swap) noexcept nogil:
    store16(out, <uint16_t>(insn >> 16), swap)
    store16(out + 2, <uint16_t>insn, swap)

cdef inline void put_micro(uint8_t* out, uint64_t value, uint32_t bits, bint swap) noexcept nogil:
    cdef uint32_t mask = <uint32_t>((<uint64_t>1 << bits) - 1)
    store_micro(out, (load_micro(out, swap) & ~mask) | (<uint32_t>value & mask), swap)

cdef inline int64_t get_micro(const uint8_t* p, uint32_t bits, bint swap) noexcept nogil:
    return sign_extend(load_micro(p, swap), bits)

cdef inline void put_micro16(uint8_t* out, uint64_t value, uint32_t bits, bint swap) noexcept nogil:
    cdef uint32_t mask = (<uint32_t>1 << bits) - 1
    store16(out, <uint16_t>((load16(out, swap) & ~mask) | (<uint32_t>value & mask)), swap)

cdef inline void write_micro_imm16(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    put_micro(out, <uint64_t>value, 16, swap)

cdef inline int64_t read_micro_imm16(const uint8_t* p, bint swap) noexcept nogil:
    return get_micro(p, 16, swap)

cdef inline void write_micro_hi16(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    put_micro(out, hi16(value), 16, swap)

cdef inline int64_t read_micro_hi16(const uint8_t* p, bint swap) noexcept nogil:
    return <int64_t>(<uint64_t>get_micro(p, 16, swap) << 16)

cdef inline void write_micro_higher(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    put_micro(out, higher16(value), 16, swap)

cdef inline void write_micro_highest(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    put_micro(out, highest16(value), 16, swap)

cdef inline void write_micro_jump(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """JALX, with opcode 0x3c, counts words, the others halfwords."""
    put_micro(out, <uint64_t>value >> (2 if load16(out, swap) >> 10 == 0x3c else 1), 26, swap)

cdef inline int64_t read_micro_jump(const uint8_t* p, bint swap) noexcept nogil:
    return get_micro(p, 26, swap) * (4 if load16(p, swap) >> 10 == 0x3c else 2)

cdef inline void write_micro_pc16(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    put_micro(out, <uint64_t>value >> 1, 16, swap)

cdef inline int64_t read_micro_pc16(const uint8_t* p, bint swap) noexcept nogil:
    return get_micro(p, 16, swap) * 2

cdef inline void write_micro_pc7(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    put_micro16(out, <uint64_t>value >> 1, 7, swap)

cdef inline int64_t read_micro_pc7(const uint8_t* p, bint swap) noexcept nogil:
    return sign_extend(load16(p, swap), 7) * 2

cdef inline void write_micro_pc10(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    put_micro16(out, <uint64_t>value >> 1, 10, swap)

cdef inline int64_t read_micro_pc10(const uint8_t* p, bint swap) noexcept nogil:
    return sign_extend(load16(p, swap), 10) * 2

cdef inline void write_micro_gprel7(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    put_micro16(out, <uint64_t>value >> 2, 7, swap)

cdef inline int64_t read_micro_gprel7(const uint8_t* p, bint swap) noexcept nogil:
    return (load16(p, swap) & 0x7f) * 4

cdef inline void write_micro_pc23(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    put_micro(out, <uint64_t>value >> 2, 23, swap)

cdef inline int64_t read_micro_pc23(const uint8_t* p, bint swap) noexcept nogil:
    return get_micro(p, 23, swap) * 4


# ---- MIPS16: EXTEND has bits 10..5 and 15..11 of an immediate, the instruction behind it the rest

cdef inline void put_m16(uint8_t* out, uint64_t value, bint swap) noexcept nogil:
    cdef uint32_t v = <uint32_t>value
    store16(out, <uint16_t>((load16(out, swap) & 0xf800) | (v & 0x7e0) | (v >> 11 & 0x1f)), swap)
    store16(out + 2, <uint16_t>((load16(out + 2, swap) & 0xffe0) | (v & 0x1f)), swap)

cdef inline int64_t get_m16(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint32_t high = load16(p, swap)
    return sign_extend((high & 0x7e0) | (high & 0x1f) << 11 | (load16(p + 2, swap) & 0x1f), 16)

cdef inline void write_m16_imm16(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    put_m16(out, <uint64_t>value, swap)

cdef inline int64_t read_m16_imm16(const uint8_t* p, bint swap) noexcept nogil:
    return get_m16(p, swap)

cdef inline void write_m16_hi16(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    put_m16(out, hi16(value), swap)

cdef inline int64_t read_m16_hi16(const uint8_t* p, bint swap) noexcept nogil:
    return <int64_t>(<uint64_t>get_m16(p, swap) << 16)

cdef inline void write_m16_jump(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    """JAL(X): bits 20..16 and 25..21 of the target stand in the first halfword."""
    cdef uint32_t v = <uint32_t>(<uint64_t>value >> 2)
    store16(out, <uint16_t>((load16(out, swap) & 0xfc00) | (v >> 11 & 0x3e0) | (v >> 21 & 0x1f)), swap)
    store16(out + 2, <uint16_t>v, swap)

cdef inline int64_t read_m16_jump(const uint8_t* p, bint swap) noexcept nogil:
    cdef uint32_t high = load16(p, swap)
    return sign_extend((<uint64_t>high & 0x3e0) << 11 | (<uint64_t>high & 0x1f) << 21 | load16(p + 2, swap), 26) * 4

cdef inline void write_m16_pc16(uint8_t* out, int64_t value, bint swap) noexcept nogil:
    put_m16(out, <uint64_t>value >> 1, swap)

cdef inline int64_t read_m16_pc16(const uint8_t* p, bint swap) noexcept nogil:
    return get_m16(p, swap) * 2
