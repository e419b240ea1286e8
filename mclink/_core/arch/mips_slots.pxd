# cython: language_level=3
"""Level 2: the GOTs of MIPS, shared by the pass that lays them out and by what looks slots up.

A GOT has header, pages, local entries, global entries and a tail. The run-time linker adds the load address to what
stands in front of the global entries of the first GOT, and gives these, which go with the last symbols of .dynsym,
the addresses of their symbols; the tail (TLS, numbers) and further GOTs have dynamic relocations instead. Code reaches
a GOT through $gp, 0x7ff0 bytes behind its start, so one of more than 64 KB becomes several, each for some of the
input files. See "MIPS ABI supplement", chapter 5, Global Offset Table.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from mclink._core.formula cimport symbol_gid
from mclink._core.tables cimport *

cdef enum:                   # verdicts of relocations that need slots; keep in step with SLOT_VERDICTS
    A_GOT = 16               # slot with the address
    A_CALL = 17              # the same, for a call: a lazy stub will do
    A_PAGE = 18              # slot with the page, 64 KB, of an address
    A_GD = 19                # pair for __tls_get_addr
    A_LD = 20                # pair of this module
    A_GOTTP = 21             # slot with the TP offset
    SLOT_VERDICTS = 22

cdef enum:                   # Entry.kind
    KIND_ADDRESS = 0
    KIND_GD = 1
    KIND_LD = 2
    KIND_GOTTP = 3

cdef enum:                   # Entry.area
    AREA_LOCAL = 0           # relocated by the load address
    AREA_GLOBAL = 1          # goes with a symbol of .dynsym
    AREA_TAIL = 2            # left to dynamic relocations, if it needs any

cdef enum:
    MAX_FIELD = 0xfff0       # bytes that a GOT and signed 16 bits have in common
    GP_OFFSET = 0x7ff0       # $gp - start of its GOT

cdef struct Entry:           # a slot, or a pair of them
    uint32_t got             # GOT it is in; while files are looked at, the file that needs it
    uint32_t gid             # global it is about, 0 for a local symbol
    uint32_t file            # file of the local symbol
    uint32_t sym             # its index there
    int64_t addend           # added to its address
    uint32_t kind            # KIND_*
    uint32_t area            # AREA_*
    uint32_t called          # bit 0: all who use it call through it; bit 1: somebody does
    uint32_t offset          # byte offset in .got; not for global entries of the first GOT

cdef struct Entries:         # rows that are found by their keys
    Entry* rows              # [count], row 0 none
    uint32_t count           # rows in use, row 0 included
    uint32_t capacity        # rows allocated
    uint32_t* slots          # [mask + 1] open-addressing table, 0 free
    uint32_t mask            # slots - 1

cdef struct Got:             # one GOT
    uint64_t start           # byte offset in .got
    uint64_t room            # bound of its pages: slots that they have
    uint64_t* pages          # [npages] pages in ascending order, known when addresses are final
    uint64_t npages          # number of them
    uint64_t nlocal          # local entries
    uint64_t nglobal         # global entries
    uint64_t ntail           # words of the tail

cdef struct GotTable:        # Columns.arch of MIPS
    Entries entries          # all slots but the pages
    Got* gots                # [ngots]
    uint32_t ngots           # number of GOTs
    uint32_t* file_got       # [nfiles] GOT of each file
    uint32_t* stub           # [nglobals] 1 + number of the lazy stub of a name, 0 none; NULL when there are no stubs
    uint32_t nstubs          # lazy stubs
    uint32_t stub_size       # bytes of each
    uint32_t first_late      # index in .dynsym of the first symbol with a global entry in the first GOT
    uint64_t nglobal         # global entries of the first GOT, those that nobody reads included


cdef inline uint32_t key_hash(const Entry* e) noexcept nogil:
    cdef uint64_t h = e.gid * <uint64_t>0x9e3779b97f4a7c15
    h ^= (<uint64_t>e.file << 32 | e.sym) * <uint64_t>0xc2b2ae3d27d4eb4f
    h ^= (<uint64_t>e.addend << 2 | e.kind) * <uint64_t>0x165667b19e3779f9
    h ^= e.got * <uint64_t>0x27d4eb2f165667c5
    return <uint32_t>(h >> 32)


cdef inline bint same_key(const Entry* a, const Entry* b) noexcept nogil:
    return (a.got == b.got and a.gid == b.gid and a.file == b.file and a.sym == b.sym and a.addend == b.addend
            and a.kind == b.kind)


cdef inline uint32_t find_entry(const Entries* t, const Entry* key) noexcept nogil:
    """Row with the key of `key`, 0 none."""
    cdef uint32_t at
    if t.slots == NULL:
        return 0
    at = key_hash(key) & t.mask
    while t.slots[at] and not same_key(&t.rows[t.slots[at]], key):
        at = (at + 1) & t.mask
    return t.slots[at]


cdef inline uint32_t kind_of(uint8_t verdict) noexcept nogil:
    if verdict == A_GD:
        return KIND_GD
    if verdict == A_LD:
        return KIND_LD
    return KIND_GOTTP if verdict == A_GOTTP else KIND_ADDRESS


cdef inline void make_key(const File* f, uint32_t file, uint32_t sym, int64_t addend, uint32_t kind,
                          Entry* key) noexcept nogil:
    """The key of what a relocation of a file asks for; `got` is the caller's."""
    key.gid = 0
    key.file = 0
    key.sym = 0
    key.addend = 0
    key.kind = kind
    if kind == KIND_LD:
        return
    key.gid = symbol_gid(f, sym)
    if key.gid == 0:
        key.file = file
        key.sym = sym
    if kind == KIND_ADDRESS:
        key.addend = addend


cdef inline uint64_t entry_offset(const Columns* c, const GotTable* t, const Entry* e) noexcept nogil:
    """Byte offset of a slot in .got."""
    cdef uint32_t word
    if e.area == AREA_GLOBAL and e.got == 0:
        word = 4 if c.elf32 else 8
        return (2 + t.gots[0].room + t.gots[0].nlocal
                + c.aux[c.globals[e.gid].aux].dynsym - t.first_late) * word
    return e.offset


cdef inline uint64_t file_gp(const Columns* c, uint32_t file) noexcept nogil:
    """Value of $gp in the code of a file."""
    cdef const GotTable* t = <const GotTable*>c.arch
    if t == NULL or t.ngots < 2:
        return c.image.gp
    return c.image.gp + t.gots[t.file_got[file]].start


cdef inline uint64_t page_of(uint64_t value) noexcept nogil:
    """What a slot for pages holds for an address: signed 16 bits reach from there."""
    return (value + 0x8000) & ~<uint64_t>0xffff


cdef inline int64_t page_slot(const Columns* c, uint32_t file, uint64_t page) noexcept nogil:
    """Byte offset in .got of the slot with a page in the GOT of a file, -1 none."""
    cdef const GotTable* t = <const GotTable*>c.arch
    cdef const Got* g = &t.gots[t.file_got[file]]
    cdef uint64_t low = 0, high = g.npages, middle
    while low < high:
        middle = (low + high) >> 1
        if g.pages[middle] < page:
            low = middle + 1
        else:
            high = middle
    if low == g.npages or g.pages[low] != page:
        return -1
    return <int64_t>(g.start + (2 + low) * (4 if c.elf32 else 8))
