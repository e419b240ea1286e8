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


cdef inline void store_info(const Columns* c, uint8_t* out, uint32_t sym, uint32_t type) noexcept nogil:
    """r_info of ELF64. MIPS N64 has a word and four bytes there, the same in both byte orders."""
    if c.split_info:
        store32(out, sym, c.swap)
        store32(out + 4, type, True)
    else:
        store64(out, <uint64_t>sym << 32 | type, c.swap)


cdef inline uint32_t record_size(const Columns* c) noexcept nogil:
    """The same of a relocation of -r and --emit-relocs."""
    if c.elf32:
        return 12 if c.rela_records else 8
    return 24 if c.rela_records else 16


cdef inline void store_record(const Columns* c, uint8_t* out, const Rela* r, bint rela) noexcept nogil:
    """A relocation; its addend is left out when records have no place for it (REL)."""
    if c.elf32:
        store32(out, <uint32_t>r.r_offset, c.swap)
        store32(out + 4, r.r_sym << 8 | (r.r_type & 0xff), c.swap)
        if rela:
            store32(out + 8, <uint32_t><uint64_t>r.r_addend, c.swap)
        return
    store64(out, r.r_offset, c.swap)
    store_info(c, out + 8, r.r_sym, r.r_type)
    if rela:
        store64(out + 16, <uint64_t>r.r_addend, c.swap)


cdef inline void store_relocation(const Columns* c, uint8_t* out, const Rela* r) noexcept nogil:
    """A dynamic relocation."""
    store_record(c, out, r, c.rela)


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
