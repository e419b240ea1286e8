"""Level 2, output: memory images as text, Motorola S-records and Intel hex records.

Sources: the S-record format as srec_motorola(5) describes it, Intel's "Hexadecimal Object File Format Specification"
(revision A), and the choices of GNU objcopy where these leave one: 16 bytes a record, lines that end with CR LF, one
width of addresses for a whole S-record file.
"""
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    CHUNK = 16               # bytes of data in a record
    LINE = 2 * (CHUNK + 6) + 4 # characters of the longest record of either kind, line end included


cdef inline char* put_byte(char* p, uint8_t byte) noexcept nogil:
    cdef const char* digits = "0123456789ABCDEF"
    p[0] = digits[byte >> 4]
    p[1] = digits[byte & 15]
    return p + 2


cdef char* put_srec(char* p, char type, int width, uint32_t address, const uint8_t* data, uint32_t size) noexcept nogil:
    """One S-record: type, count, address of `width` bytes, data, checksum."""
    cdef uint8_t sum = <uint8_t>(width + size + 1)
    cdef uint8_t byte
    cdef uint32_t i
    p[0] = c'S'
    p[1] = type
    p = put_byte(p + 2, sum)
    for i in range(<uint32_t>width):
        byte = <uint8_t>(address >> 8 * (width - 1 - <int>i))
        sum += byte
        p = put_byte(p, byte)
    for i in range(size):
        sum += data[i]
        p = put_byte(p, data[i])
    p = put_byte(p, <uint8_t>(255 - sum))
    p[0] = c'\r'
    p[1] = c'\n'
    return p + 2


cdef char* put_ihex(char* p, uint8_t type, uint32_t address, const uint8_t* data, uint32_t size) noexcept nogil:
    """One Intel hex record: count, 16-bit address, type, data, checksum."""
    cdef uint8_t sum = <uint8_t>(size + (address >> 8) + address + type)
    cdef uint32_t i
    p[0] = c':'
    p = put_byte(p + 1, <uint8_t>size)
    p = put_byte(p, <uint8_t>(address >> 8))
    p = put_byte(p, <uint8_t>address)
    p = put_byte(p, type)
    for i in range(size):
        sum += data[i]
        p = put_byte(p, data[i])
    p = put_byte(p, <uint8_t>(0 - sum))
    p[0] = c'\r'
    p[1] = c'\n'
    return p + 2


def write_srec(blocks, bytes name, uint32_t start):
    """The text of an S-record file: name in the header record, start in the last one.

    blocks: (load address below 2**32, address of the bytes in memory, how many), by rising load address."""
    cdef uint64_t total = 0, end = 0, left
    cdef int width = 2
    cdef uint32_t where, n
    cdef const uint8_t* data
    cdef char* p
    cdef bytes text
    for address, _, size in blocks:
        total += size // CHUNK + 1
        end = max(end, address + size)
    if end > 0xffff:
        width = 3 if end <= 0xffffff else 4
    name = name[:40]
    text = PyBytes_FromStringAndSize(NULL, (total + 2) * LINE + 80)
    p = text
    p = put_srec(p, c'0', 2, 0, <const uint8_t*><const char*>name, <uint32_t>len(name))
    for address, memory, size in blocks:
        where = address
        left = size
        data = <const uint8_t*><size_t>memory
        while left:
            n = <uint32_t>min(left, <uint64_t>CHUNK)
            p = put_srec(p, <char>(c'0' + width - 1), width, where, data, n)
            where += n
            data += n
            left -= n
    p = put_srec(p, <char>(c'0' + 11 - width), width, start, NULL, 0)
    return text[:p - <char*>text]


def write_ihex(blocks, uint32_t start):
    """The text of an Intel hex file. blocks: as for write_srec; start: entry address, 0 for none."""
    cdef uint64_t total = 0, left
    cdef uint32_t where, base = 0, n, offset
    cdef bint segmented = False
    cdef uint8_t[4] word
    cdef const uint8_t* data
    cdef char* p
    cdef bytes text
    for _, _, size in blocks:
        # A record more where 64 KiB end, and the two that set a base.
        total += size // CHUNK + 4 + 4 * (size >> 16)
    text = PyBytes_FromStringAndSize(NULL, (total + 4) * LINE)
    p = text
    for address, memory, size in blocks:
        where = address
        left = size
        data = <const uint8_t*><size_t>memory
        while left:
            if where < base or where - base > 0xffff:
                if where <= 0xfffff:
                    base = where & 0xf0000
                    segmented = True
                    word[0] = <uint8_t>(base >> 12)
                    word[1] = 0
                    p = put_ihex(p, 2, 0, word, 2)
                else:
                    word[0] = word[1] = 0
                    if segmented:
                        # Some readers add both kinds of bases.
                        p = put_ihex(p, 2, 0, word, 2)
                        segmented = False
                    base = where & 0xffff0000u
                    word[0] = <uint8_t>(base >> 24)
                    word[1] = <uint8_t>(base >> 16)
                    p = put_ihex(p, 4, 0, word, 2)
            offset = where - base
            n = <uint32_t>min(left, <uint64_t>CHUNK)
            if offset + n > 0xffff:
                n = 0x10000 - offset
            if n > left:
                n = <uint32_t>left
            p = put_ihex(p, 0, offset, data, n)
            where += n
            data += n
            left -= n
    if start:
        if start <= 0xfffff:
            # CS:IP of the 8086.
            word[0] = <uint8_t>((start & 0xf0000) >> 12)
            word[1] = 0
        else:
            word[0] = <uint8_t>(start >> 24)
            word[1] = <uint8_t>(start >> 16)
        word[2] = <uint8_t>(start >> 8)
        word[3] = <uint8_t>start
        p = put_ihex(p, 3 if start <= 0xfffff else 5, 0, word, 4)
    p = put_ihex(p, 1, 0, NULL, 0)
    return text[:p - <char*>text]
