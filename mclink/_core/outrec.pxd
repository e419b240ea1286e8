# cython: language_level=3
"""Level 1: records of the output file, in its class and byte order. The only place that knows their layout.

Source: gABI chapters 4 and 5 (Elf32_* and Elf64_* structures).
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from mclink._core.bytes cimport store16, store32, store64
from mclink._core.elf cimport Rela
from mclink._core.tables cimport Columns


cdef inline uint32_t word_size(const Columns* c) noexcept nogil:
    """Bytes of an address."""
    return 4 if c.elf32 else 8


cdef inline uint32_t relocation_size(const Columns* c) noexcept nogil:
    """Bytes of a dynamic relocation: Elf32_Rel 8, Elf32_Rela 12, Elf64_Rel 16, Elf64_Rela 24."""
    if c.elf32:
        return 12 if c.rela else 8
    return 24 if c.rela else 16


cdef inline uint32_t symbol_size(const Columns* c) noexcept nogil:
    """Bytes of a symbol: Elf32_Sym 16, Elf64_Sym 24."""
    return 16 if c.elf32 else 24


cdef inline void store_word(const Columns* c, uint8_t* out, uint64_t value) noexcept nogil:
    """An address or xword of the output's class."""
    if c.elf32:
        store32(out, <uint32_t>value, c.swap)
    else:
        store64(out, value, c.swap)


cdef inline void store_relocation(const Columns* c, uint8_t* out, const Rela* r) noexcept nogil:
    """A dynamic relocation; its addend is left out when the output has no place for it (REL)."""
    if c.elf32:
        store32(out, <uint32_t>r.r_offset, c.swap)
        store32(out + 4, r.r_sym << 8 | (r.r_type & 0xff), c.swap)
        if c.rela:
            store32(out + 8, <uint32_t><uint64_t>r.r_addend, c.swap)
        return
    store64(out, r.r_offset, c.swap)
    store64(out + 8, <uint64_t>r.r_sym << 32 | r.r_type, c.swap)
    if c.rela:
        store64(out + 16, <uint64_t>r.r_addend, c.swap)


cdef inline void store_symbol(const Columns* c, uint8_t* out, uint32_t name, uint8_t info, uint8_t other,
                              uint16_t shndx, uint64_t value, uint64_t size) noexcept nogil:
    """A symbol; the fields of Elf32_Sym stand in another order."""
    store32(out, name, c.swap)
    if c.elf32:
        store32(out + 4, <uint32_t>value, c.swap)
        store32(out + 8, <uint32_t>size, c.swap)
        out[12] = info
        out[13] = other
        store16(out + 14, shndx, c.swap)
        return
    out[4] = info
    out[5] = other
    store16(out + 6, shndx, c.swap)
    store64(out + 8, value, c.swap)
    store64(out + 16, size, c.swap)
