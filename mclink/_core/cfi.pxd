# cython: language_level=3
"""Level 1: what a CIE says (LSB Core, "Exception Frames"; DWARF 4, 6.4.1). Inline, used by ehframe and ehhdr."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr
from mclink._core.bytes cimport in_range
from mclink._core.tables cimport Cie

cdef enum:                   # DW_EH_PE_*: how a pointer is written (LSB Core, "DWARF Exception Header Encoding")
    PE_ABSPTR = 0x00         # an address
    PE_UDATA2 = 0x02
    PE_UDATA4 = 0x03
    PE_UDATA8 = 0x04
    PE_SDATA2 = 0x0a
    PE_SDATA4 = 0x0b
    PE_SDATA8 = 0x0c
    PE_FORMAT = 0x0f         # mask of the above
    PE_PCREL = 0x10          # relative to the field
    PE_ALIGNED = 0x50        # an aligned address
    PE_DATAREL = 0x30        # relative to the start of .eh_frame_hdr, there
    PE_BASE = 0xf0           # mask of what it is relative to, DW_EH_PE_indirect included
    PE_OMIT = 0xff           # not there

cdef enum:                   # what a look at a section finds
    FOUND_RECORDS = 0        # well-formed records
    FOUND_UNKNOWN = 1        # something legal that is not understood
    FOUND_DAMAGE = 2         # something illegal


cdef inline uint64_t skip_leb(const uint8_t* p, uint64_t at, uint64_t size) noexcept nogil:
    """Offset behind the LEB128 number at `at`; size + 1 when it has no end."""
    while at < size:
        at += 1
        if not p[at - 1] & 0x80:
            return at
    return size + 1


cdef inline uint32_t encoded_size(uint8_t encoding, bint elf32) noexcept nogil:
    """Bytes of a pointer with this DW_EH_PE_* encoding; 0 when it depends on the value or is unknown."""
    cdef uint8_t format = encoding & PE_FORMAT
    if encoding == PE_OMIT or encoding & PE_BASE == PE_ALIGNED:
        return 0
    if format == PE_ABSPTR:
        return 4 if elf32 else 8
    if format == PE_UDATA2 or format == PE_SDATA2:
        return 2
    if format == PE_UDATA4 or format == PE_SDATA4:
        return 4
    if format == PE_UDATA8 or format == PE_SDATA8:
        return 8
    return 0


cdef inline bint fits_table(uint8_t encoding, bint elf32) noexcept nogil:
    """True when `ehhdr` can read addresses of this encoding."""
    return (encoding & PE_BASE == 0 or encoding & PE_BASE == PE_PCREL) and encoded_size(encoding, elf32) != 0


cdef inline int read_cie(const uint8_t* p, uint32_t size, bint elf32, Cie* cie) noexcept nogil:
    """Reads the encodings of a CIE of `size` bytes; returns FOUND_*."""
    cdef const uint8_t* letters
    cdef const uint8_t* nul
    cdef uint64_t at
    cdef uint64_t end
    cdef uint64_t letter
    cdef uint8_t version
    cdef uint32_t n
    cie.fde_encoding = PE_ABSPTR
    cie.lsda_encoding = PE_OMIT
    cie.fde_at = cie.lsda_at = cie.personality_at = 0
    if size < 10:
        return FOUND_DAMAGE
    version = p[8]
    if version != 1 and version != 3 and version != 4:
        return FOUND_UNKNOWN
    letters = p + 9
    nul = <const uint8_t*>memchr(letters, 0, size - 9)
    if nul == NULL:
        return FOUND_DAMAGE
    if letters[0] != 0 and letters[0] != c'z':
        # "eh" of gcc 2 and others whose data have no length.
        return FOUND_UNKNOWN
    at = nul + 1 - p
    if version == 4:
        # Address size and segment selector size.
        if at + 2 > size or p[at] != (4 if elf32 else 8) or p[at + 1] != 0:
            return FOUND_UNKNOWN
        at += 2
    at = skip_leb(p, at, size)
    at = skip_leb(p, at, size)
    at = at + 1 if version == 1 else skip_leb(p, at, size)
    if at > size or size > 0xffff:
        return FOUND_DAMAGE if at > size else FOUND_UNKNOWN
    if letters[0] == 0:
        return FOUND_RECORDS
    end = 0
    n = 0
    while True:
        if at >= size or n > 28:
            return FOUND_DAMAGE
        end |= <uint64_t>(p[at] & 0x7f) << n
        n += 7
        at += 1
        if not p[at - 1] & 0x80:
            break
    if not in_range(at, end, size):
        return FOUND_DAMAGE
    end += at
    letter = 1
    while letters[letter] != 0:
        if letters[letter] == c'S' or letters[letter] == c'B' or letters[letter] == c'G':
            letter += 1
            continue
        if at >= end:
            return FOUND_DAMAGE
        if letters[letter] == c'R':
            cie.fde_encoding = p[at]
            cie.fde_at = <uint16_t>at
            at += 1
        elif letters[letter] == c'L':
            cie.lsda_encoding = p[at]
            cie.lsda_at = <uint16_t>at
            at += 1
        elif letters[letter] == c'P':
            n = encoded_size(p[at], elf32)
            if n == 0:
                return FOUND_UNKNOWN
            cie.personality_at = <uint16_t>at
            at += 1 + n
        else:
            return FOUND_UNKNOWN
        letter += 1
    return FOUND_RECORDS if at <= end else FOUND_DAMAGE


cdef inline void make_pcrel(uint8_t* encoding, bint elf32) noexcept nogil:
    """An encoding of addresses becomes that of distances of the same size."""
    if encoding[0] & 0x70 != 0 or encoding[0] == PE_OMIT:
        return
    if encoding[0] & PE_FORMAT == PE_ABSPTR:
        encoding[0] |= PE_SDATA4 if elf32 else PE_SDATA8
    encoding[0] |= PE_PCREL


cdef inline bint is_zero(const uint8_t* p, uint64_t size) noexcept nogil:
    cdef uint64_t i
    for i in range(size):
        if p[i] != 0:
            return False
    return True
