"""Level 2: .eh_frame_hdr (LSB Core, "The .eh_frame_hdr section"): its size, and its table from the written .eh_frame."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int16_t, int32_t, int64_t
from libc.stdlib cimport malloc, free
from libc.string cimport memcpy, memset
from mclink._core.bytes cimport load16, load32, load64, store32, in_range
from mclink._core.cfi cimport *
from mclink._core.fault cimport FAULT_OVERFLOW, fault_at
from mclink._core.parallel cimport parallel_for
from mclink._core.tables cimport (Tables, Columns, Fragment, Cie, Fde, EhInput, EH_NO_TABLE, EH_DROPPED,
                                  INTERNAL_FILE, STATE_LIVE, SPECIAL_EH_FRAME_HDR, SPECIAL_PLT_EH)

cdef enum:
    INPUTS_PER_UNIT = 32     # .eh_frame sections listed in one unit of work

cdef struct Output:          # the .eh_frame being read back
    Columns* c               # the tables
    uint32_t number          # Fragment.output of its members
    uint64_t address         # its address
    uint8_t* out             # its first byte
    uint64_t hdr             # address of .eh_frame_hdr
    uint64_t* keys           # [room] entries of the table: (pc - hdr, biased) << 32 | (FDE - hdr)
    uint64_t room            # entries that fit


cdef uint64_t hdr_size(Columns* c) noexcept nogil:
    """Bytes of .eh_frame_hdr for the FDEs of the inputs; 0 when there is no .eh_frame."""
    cdef uint64_t fdes = 0
    cdef uint64_t bytes = 0
    cdef bint table = True
    cdef uint32_t i
    for i in range(1, c.nehs):
        if not c.frag_state[c.ehs[i].frag] & STATE_LIVE:
            continue
        bytes += c.frags[c.ehs[i].frag].size
        if c.ehs[i].flags & EH_NO_TABLE:
            table = False
        fdes += c.ehs[i].live_fdes
    if bytes == 0:
        return 0
    return 12 + 8 * fdes if table else 8


def size_hdr(Tables tables):
    """Sizes the .eh_frame_hdr fragment for the FDEs of the inputs; after share_cies. Returns its bytes.

    0 when there is no .eh_frame, 8 when there can be no table."""
    cdef Columns* c = &tables.c
    cdef uint64_t size
    if c.special[SPECIAL_EH_FRAME_HDR] == 0:
        return 0
    size = hdr_size(c)
    c.frags[c.special[SPECIAL_EH_FRAME_HDR]].size = size
    return size


def grow_hdr(Tables tables, uint32_t fdes):
    """Makes room in .eh_frame_hdr for `fdes` FDEs that the linker makes itself (SPECIAL_PLT_EH)."""
    cdef Columns* c = &tables.c
    cdef Fragment* hdr
    if c.special[SPECIAL_EH_FRAME_HDR] == 0 or fdes == 0:
        return
    hdr = &c.frags[c.special[SPECIAL_EH_FRAME_HDR]]
    if hdr.size == 0:
        hdr.size = 12
    if hdr.size >= 12:
        hdr.size += 8 * <uint64_t>fdes


cdef uint64_t read_encoded(Columns* c, const uint8_t* p, uint8_t encoding, uint64_t P) noexcept nogil:
    """The address that a pointer of a fits_table() encoding stands for; P is the address of the field."""
    cdef uint8_t format = encoding & PE_FORMAT
    cdef uint64_t value
    if format == PE_ABSPTR:
        value = load32(p, c.swap) if c.elf32 else load64(p, c.swap)
    elif format == PE_UDATA2:
        value = load16(p, c.swap)
    elif format == PE_SDATA2:
        value = <uint64_t><int64_t><int16_t>load16(p, c.swap)
    elif format == PE_UDATA4:
        value = load32(p, c.swap)
    elif format == PE_SDATA4:
        value = <uint64_t><int64_t><int32_t>load32(p, c.swap)
    else:
        value = load64(p, c.swap)
    if encoding & PE_BASE == PE_PCREL:
        value += P
    return <uint32_t>value if c.elf32 else value


cdef uint64_t table_key(Output* o, uint64_t pc, uint64_t fde, uint32_t frag, uint64_t offset) noexcept nogil:
    """The entry for an FDE at address `fde`; both halves must fit 32 bits."""
    cdef int64_t low = <int64_t>(pc - o.hdr)
    cdef int64_t high = <int64_t>(fde - o.hdr)
    if o.c.elf32:
        low = <int32_t><uint32_t>low
        high = <int32_t><uint32_t>high
    if low != <int32_t>low or high != <int32_t>high:
        fault_at(o.c.faults, FAULT_OVERFLOW, o.c.frags[frag].file, frag, offset, 0, low)
    return <uint64_t>(<uint32_t>low ^ <uint32_t>0x80000000) << 32 | <uint32_t>high


cdef void list_inputs(void* context, int64_t index, int thread) noexcept nogil:
    """Makes the table entries of INPUTS_PER_UNIT sections from their written records."""
    cdef Output* o = <Output*>context
    cdef Columns* c = o.c
    cdef uint64_t last = min(<uint64_t>(index + 1) * INPUTS_PER_UNIT + 1, <uint64_t>c.nehs)
    cdef uint64_t row
    cdef uint64_t address
    cdef uint64_t entry
    cdef uint32_t i
    cdef EhInput* eh
    cdef const Fde* fde
    for row in range(<uint64_t>index * INPUTS_PER_UNIT + 1, last):
        eh = &c.ehs[row]
        entry = eh.first_hdr
        if eh.live_fdes == 0 or c.frags[eh.frag].output != o.number:
            continue
        for i in range(eh.first_fde, eh.first_fde + eh.nfdes):
            fde = &c.fdes[i]
            if fde.out == EH_DROPPED or entry >= o.room:
                continue
            address = c.frag_addr[eh.frag] + fde.out
            o.keys[entry] = table_key(o, read_encoded(c, o.out + (address + 8 - o.address),
                                                      c.cies[fde.cie].fde_encoding, address + 8),
                                      address, eh.frag, fde.offset)
            entry += 1


cdef uint64_t list_made(Output* o, uint32_t frag, uint64_t n) noexcept nogil:
    """Appends the entries of .eh_frame bytes that the linker made; returns the new number of entries."""
    cdef Columns* c = o.c
    cdef const Fragment* f = &c.frags[frag]
    cdef const uint8_t* p
    cdef uint64_t at = 0
    cdef uint32_t length
    cdef uint32_t pointer
    cdef Cie cie
    if frag == 0 or not c.frag_state[frag] & STATE_LIVE or f.output != o.number:
        return n
    p = o.out + (c.frag_addr[frag] - o.address)
    cie.fde_encoding = PE_OMIT
    while at + 8 <= f.size:
        length = load32(p + at, c.swap)
        if length < 4 or not in_range(at, <uint64_t>length + 4, f.size):
            break
        pointer = load32(p + at + 4, c.swap)
        if pointer == 0:
            if read_cie(p + at, length + 4, c.elf32, &cie) != FOUND_RECORDS:
                cie.fde_encoding = PE_OMIT
        elif (n < o.room and fits_table(cie.fde_encoding, c.elf32)
                and length >= 4 + 2 * encoded_size(cie.fde_encoding, c.elf32)):
            o.keys[n] = table_key(o, read_encoded(c, p + at + 8, cie.fde_encoding, c.frag_addr[frag] + at + 8),
                                  c.frag_addr[frag] + at, frag, at)
            n += 1
        at += <uint64_t>length + 4
    return n


cdef void sort_keys(uint64_t* keys, uint64_t* spare, uint64_t n) noexcept nogil:
    """Radix sort by the high half, 11 bits at a time; entries with equal addresses keep their order."""
    cdef uint64_t counts[2048]
    cdef uint64_t* swapped
    cdef uint64_t i
    cdef uint64_t total
    cdef uint64_t count
    cdef int shift
    cdef uint64_t* source = keys
    for shift in range(32, 64, 11):
        memset(counts, 0, sizeof(counts))
        for i in range(n):
            counts[source[i] >> shift & 2047] += 1
        total = 0
        for i in range(2048):
            count = counts[i]
            counts[i] = total
            total += count
        for i in range(n):
            spare[counts[source[i] >> shift & 2047]] = source[i]
            counts[source[i] >> shift & 2047] += 1
        swapped = source
        source = spare
        spare = swapped
    # Three rounds: the sorted rows are in what was the spare buffer.
    memcpy(keys, source, n * sizeof(uint64_t))


cdef bint covers_code(Output* o, uint64_t key, uint64_t bytes) noexcept nogil:
    """False for a written FDE whose pc_range is zero; `bytes` is the size of the output section."""
    cdef uint64_t fde = o.hdr + <uint64_t><int64_t><int32_t><uint32_t>key - o.address
    cdef uint64_t cie = fde + 4 - load32(o.out + fde + 4, o.c.swap)
    cdef Cie found
    cdef uint32_t size
    if cie >= bytes or read_cie(o.out + cie, <uint32_t>(bytes - cie), o.c.elf32, &found) != FOUND_RECORDS:
        return True
    size = encoded_size(found.fde_encoding, o.c.elf32)
    return not is_zero(o.out + fde + 8 + size, size)


cdef uint64_t drop_duplicates(Output* o, uint64_t n, uint64_t bytes) noexcept nogil:
    """Keeps one entry for each address, rather one that covers code; returns how many are left."""
    cdef uint64_t kept = 0
    cdef uint64_t i
    for i in range(n):
        if kept and o.keys[kept - 1] >> 32 == o.keys[i] >> 32:
            if not covers_code(o, o.keys[kept - 1], bytes):
                o.keys[kept - 1] = o.keys[i]
            continue
        o.keys[kept] = o.keys[i]
        kept += 1
    return kept


cdef uint64_t first_byte(Columns* c, uint32_t output, uint64_t otherwise) noexcept nogil:
    """Address of the first .eh_frame fragment in an output section."""
    cdef uint64_t lowest = <uint64_t>-1
    cdef uint32_t frag
    cdef uint32_t i
    for i in range(c.nehs + 1):
        frag = c.ehs[i].frag if i < c.nehs else c.special[SPECIAL_PLT_EH]
        if (frag and c.frags[frag].output == output and c.frag_state[frag] & STATE_LIVE and c.frags[frag].size
                and c.frag_addr[frag] < lowest):
            lowest = c.frag_addr[frag]
    return otherwise if lowest == <uint64_t>-1 else lowest


def write_hdr(Tables tables, uint64_t hdr_address, size_t hdr_out, uint64_t hdr_bytes,
              uint32_t output, uint64_t address, size_t out, uint64_t bytes):
    """Writes .eh_frame_hdr of hdr_bytes bytes from the .eh_frame: output section number `output` at `address`,
    whose `bytes` written bytes start at `out`.

    Two FDEs for one address leave one entry; the freed room stays zero. A table of another size than the
    one laid out raises ValueError; addresses further than 2 GiB away become faults. Source: LSB Core,
    "The .eh_frame_hdr section"."""
    cdef Columns* c = &tables.c
    cdef Output o
    cdef uint8_t* hdr = <uint8_t*>hdr_out
    cdef uint64_t n = 0
    cdef uint64_t i
    cdef int64_t distance = <int64_t>(first_byte(c, output, address) - (hdr_address + 4))
    if hdr_bytes < 8:
        raise ValueError(".eh_frame_hdr without room for its header")
    memset(hdr, 0, hdr_bytes)
    if c.elf32:
        distance = <int32_t><uint32_t>distance
    if distance != <int32_t>distance:
        fault_at(c.faults, FAULT_OVERFLOW, INTERNAL_FILE, c.special[SPECIAL_EH_FRAME_HDR], 4, 0, distance)
    hdr[0] = 1
    hdr[1] = PE_PCREL | PE_SDATA4
    hdr[2] = hdr[3] = PE_OMIT
    store32(hdr + 4, <uint32_t>distance, c.swap)
    if hdr_bytes < 12:
        return
    memset(&o, 0, sizeof(o))
    o.c = c
    o.number = output
    o.address = address
    o.out = <uint8_t*>out
    o.hdr = hdr_address
    o.room = (hdr_bytes - 12) // 8
    for i in range(1, c.nehs):
        if c.frags[c.ehs[i].frag].output == output:
            c.ehs[i].first_hdr = <uint32_t>n
            n += c.ehs[i].live_fdes
    if n > o.room:
        raise ValueError(".eh_frame_hdr is too small for its table")
    # Twice: sort_keys needs as much again.
    o.keys = <uint64_t*>malloc((o.room + 1) * 2 * sizeof(uint64_t))
    if o.keys == NULL:
        raise MemoryError
    with nogil:
        if c.nehs:
            parallel_for(list_inputs, &o, (c.nehs - 1 + INPUTS_PER_UNIT - 1) // INPUTS_PER_UNIT, c.threads)
        n = list_made(&o, c.special[SPECIAL_PLT_EH], n)
        sort_keys(o.keys, o.keys + o.room, n)
        n = drop_duplicates(&o, n, bytes)
        for i in range(n):
            store32(hdr + 12 + 8 * i, <uint32_t>(o.keys[i] >> 32) ^ <uint32_t>0x80000000, c.swap)
            store32(hdr + 16 + 8 * i, <uint32_t>o.keys[i], c.swap)
    free(o.keys)
    hdr[2] = PE_UDATA4
    hdr[3] = PE_DATAREL | PE_SDATA4
    store32(hdr + 8, <uint32_t>n, c.swap)
