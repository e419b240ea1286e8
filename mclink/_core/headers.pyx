"""Level 2, output: the table of section headers, canonical rows until it is written. Source: gABI chapter 4."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from libc.stdlib cimport calloc, free
from mclink._core.bytes cimport store32
from mclink._core.elf cimport Shdr
from mclink._core.outrec cimport store_word, word_size
from mclink._core.parallel cimport parallel_for
from mclink._core.tables cimport Columns, Tables

cdef enum:
    UNIT = 4096              # rows of one task

cdef struct Work:            # a table being written
    Columns* c               # the tables: class and byte order of the output
    const Shdr* rows         # [count]
    uint64_t count           # rows
    uint8_t* out             # first byte of the table in the image


cdef void write_unit(void* context, int64_t index, int thread) noexcept nogil:
    cdef Work* w = <Work*>context
    cdef Columns* c = w.c
    cdef const Shdr* s
    cdef uint64_t word = word_size(c), i
    cdef uint8_t* out = w.out + index * UNIT * (16 + 6 * word)
    for i in range(index * UNIT, min(<uint64_t>(index + 1) * UNIT, w.count)):
        s = &w.rows[i]
        store32(out, s.sh_name, c.swap)
        store32(out + 4, s.sh_type, c.swap)
        store_word(c, out + 8, s.sh_flags)
        store_word(c, out + 8 + word, s.sh_addr)
        store_word(c, out + 8 + 2 * word, s.sh_offset)
        store_word(c, out + 8 + 3 * word, s.sh_size)
        store32(out + 8 + 4 * word, s.sh_link, c.swap)
        store32(out + 12 + 4 * word, s.sh_info, c.swap)
        store_word(c, out + 16 + 4 * word, s.sh_addralign)
        store_word(c, out + 16 + 5 * word, s.sh_entsize)
        out += 16 + 6 * word


cdef class HeaderTable:
    """The section headers of an output by index. address: of the rows (elf.pxd, Shdr), zero at first."""
    cdef Shdr* rows
    cdef uint64_t count
    cdef Tables tables
    cdef readonly size_t address

    def __init__(self, Tables tables, uint32_t count):
        self.tables = tables
        self.count = count
        self.rows = <Shdr*>calloc(<size_t>count + 1, sizeof(Shdr))
        if self.rows == NULL:
            raise MemoryError
        self.address = <size_t>self.rows

    def set(self, uint32_t index, uint32_t name, uint32_t type, flags, address, offset, uint64_t size, uint32_t link,
            uint32_t info, uint64_t align, uint64_t entsize):
        """Fills one row. flags, address, offset: any int, cut to 64 bits. Raises IndexError."""
        cdef Shdr* s
        if index >= self.count:
            raise IndexError(index)
        s = &self.rows[index]
        s.sh_name = name
        s.sh_type = type
        s.sh_flags = flags & 0xffffffffffffffff
        s.sh_addr = address & 0xffffffffffffffff
        s.sh_offset = offset & 0xffffffffffffffff
        s.sh_size = size
        s.sh_link = link
        s.sh_info = info
        s.sh_addralign = align
        s.sh_entsize = entsize

    def write(self, size_t out):
        """Writes the table to an address in the image, in the output's class and byte order."""
        cdef Work w
        w.c = &self.tables.c
        w.rows = self.rows
        w.count = self.count
        w.out = <uint8_t*>out
        with nogil:
            parallel_for(write_unit, &w, (w.count + UNIT - 1) // UNIT, w.c.threads)

    def __dealloc__(self):
        free(self.rows)
