# cython: language_level=3
"""Level 1: fixed-size error records that nogil code leaves behind; Python sorts and prints them."""
from libc.stdint cimport uint32_t, uint64_t, int64_t

cdef struct Fault:
    uint32_t code            # FAULT_* below: key of the message catalogue in mclink.diag
    uint32_t file            # file id, 0 none
    uint32_t frag            # fragment id or, before fragments exist, section index; 0 none
    uint32_t type            # relocation type, section type, or other small number of the message
    uint64_t offset          # byte offset in the fragment or file
    uint32_t gid             # global symbol, 0 none
    uint32_t sym             # symbol index in `file` (local symbols), 0 none
    int64_t value            # the value that did not fit, or other number of the message
    int64_t low              # smallest legal value
    int64_t high             # largest legal value

cdef enum:                   # keep in step with mclink.diag.FAULTS; the number is the sort key after file, frag, offset
    FAULT_NONE = 0
    FAULT_TRUNCATED = 1      # a table or section leaves the file: type = what, offset = where
    FAULT_BAD_SYMBOL = 2     # symbol with a bad section index or name offset
    FAULT_BAD_RELOC_SYMBOL = 3 # relocation names a symbol that does not exist
    FAULT_BAD_RELOC_OFFSET = 4 # relocation's field leaves its section
    FAULT_UNKNOWN_RELOC = 5  # relocation type unknown to the target
    FAULT_UNDEFINED = 6      # undefined symbol referenced
    FAULT_OVERFLOW = 7       # relocation value out of range
    FAULT_DISCARDED = 8      # reference to a symbol in a discarded section
    FAULT_NEEDS_PIC = 9      # relocation cannot be used in a PIE or shared object: recompile with -fPIC
    FAULT_TEXTREL = 10       # dynamic relocation in a read-only section
    FAULT_COPY_PROTECTED = 11 # copy relocation or canonical PLT against a protected symbol
    FAULT_TLS_MISMATCH = 12  # TLS relocation against a non-TLS symbol or the reverse
    FAULT_MISALIGNED = 13    # relocation value not aligned as the instruction needs
    FAULT_BAD_EH_FRAME = 14  # malformed .eh_frame record
    FAULT_BAD_MERGE = 15     # mergeable section whose size is no multiple of the entry size, or unterminated string
    FAULT_BAD_GROUP = 16     # malformed SHT_GROUP
    FAULT_BAD_INSTRUCTION = 17 # relaxation or TLS sequence with unexpected bytes
    FAULT_DUPLICATE = 18     # duplicate definition: file/sym = the second, type = file of the first
    FAULT_BAD_HEADER = 19    # malformed ELF header or section header
    FAULT_BAD_SHARED = 20    # malformed dynamic section or version table
    FAULT_BAD_ARCHIVE = 21   # malformed archive
    FAULT_NO_MEMORY = 22     # allocation failed
    FAULT_NO_COPY = 23       # copy relocation needed under -z nocopyreloc
    FAULT_BAD_ALIGN = 24     # sh_addralign is no power of two
    FAULT_MACHINE = 26       # wrong machine, class or byte order
    FAULT_RELOC_ARCH = 64    # 64.. belong to the targets' modules


cdef struct Faults:          # append-only rows, safe to append to from any thread
    Fault* rows              # [capacity]
    int64_t count            # rows recorded; may exceed capacity, then the rest was dropped
    int64_t capacity         # rows allocated; fixed, so recording never allocates

# Appends a row; drops it when the buffer is full (errors beyond it would not be printed anyway).
cdef void record_fault(Faults* faults, Fault* row) noexcept nogil

# The common case in one call: a fault about a place in a fragment.
cdef void fault_at(Faults* faults, uint32_t code, uint32_t file, uint32_t frag, uint64_t offset,
                   uint32_t type, int64_t value) noexcept nogil
