"""Level 2: .eh_frame (LSB Core, "Exception Frames"; DWARF 4, 6.4.1).

An input .eh_frame is a list of records: CIEs, and FDEs that point back to one. Records become Cie and Fde
rows. An FDE is written when the function that its pc_begin relocation names is live; of equal CIEs the
first one that is used is written. Records keep their order, so a CIE stands in front of its FDEs.

A section with something in it that is legal but not understood (64-bit lengths, unknown augmentations) is
written whole, like any other section, and .eh_frame_hdr then has no table, like GNU ld's. What is not
legal is a fault.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from libc.stdlib cimport malloc, calloc, realloc, free, qsort
from libc.string cimport memcpy, memcmp, memset, strcmp
from mclink._core.bytes cimport load32, store32, in_range
from mclink._core.cfi cimport (FOUND_RECORDS, FOUND_UNKNOWN, FOUND_DAMAGE, encoded_size, fits_table, is_zero,
                                make_pcrel, read_cie)
from mclink._core.elf cimport Rela, SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHT_PROGBITS, SHN_ABS
from mclink._core.fault cimport FAULT_BAD_EH_FRAME, fault_at
from mclink._core.formula cimport open_place, relocate_place
from mclink._core.hash cimport hash_bytes
from mclink._core.ops cimport Ops, Place, V_APPLY, V_SKIP
from mclink._core.parallel cimport parallel_for
from mclink._core.tables cimport (Tables, Columns, File, Fragment, Cie, Fde, EhInput, sym_frag, fde_is_live,
                                  EH_WHOLE, EH_NO_TABLE, EH_TERMINATED, EH_TERMINATES, EH_PCREL, EH_DROPPED,
                                  FILE_OBJECT, FILE_SWAP, FILE_ELF32, FRAG_REGULAR, FRAG_EHFRAME,
                                  STATE_LIVE, STATE_SCRIPT_DISCARD)

cdef enum:
    SHT_LOPROC = 0x70000000  # some psABIs give .eh_frame a section type of their own
    FILES_PER_UNIT = 64      # live files searched in one unit of work
    INPUTS_PER_UNIT = 32     # .eh_frame sections parsed, laid out or written in one unit of work

cdef struct Unit:            # what the search found in some live files
    uint32_t* frags          # [count] .eh_frame fragments in link order; malloc'ed
    uint32_t count           # rows in use
    uint32_t capacity        # rows allocated

cdef struct Work:            # one run of a pass
    Columns* c               # the tables
    Unit* units              # [files / FILES_PER_UNIT]
    uint8_t* unsorted        # [nehs] 1 when the relocations are not in ascending order
    int failed               # an allocation failed


cdef bint is_eh_frame(Columns* c, const File* file, uint32_t frag) noexcept nogil:
    """True for an .eh_frame that goes to the output."""
    cdef const Fragment* f = &c.frags[frag]
    cdef uint32_t name
    if f.kind != FRAG_REGULAR or f.sh_flags & (SHF_ALLOC | SHF_EXECINSTR) != SHF_ALLOC or f.rule == 0:
        return False
    if f.sh_type != SHT_PROGBITS and f.sh_type < SHT_LOPROC:
        return False
    if c.frag_state[frag] & (STATE_LIVE | STATE_SCRIPT_DISCARD) != STATE_LIVE:
        return False
    name = file.shdrs[frag - file.frag_base].sh_name
    return name < file.shstrtab_size and strcmp(file.shstrtab + name, b".eh_frame") == 0


cdef void find_inputs(void* context, int64_t index, int thread) noexcept nogil:
    """Lists the .eh_frame sections of FILES_PER_UNIT live files."""
    cdef Work* w = <Work*>context
    cdef Columns* c = w.c
    cdef Unit* unit = &w.units[index]
    cdef const File* file
    cdef uint64_t last = min(<uint64_t>(index + 1) * FILES_PER_UNIT, <uint64_t>c.nlive)
    cdef uint64_t i
    cdef uint32_t frag
    cdef void* grown
    for i in range(<uint64_t>index * FILES_PER_UNIT, last):
        file = &c.files[c.live[i]]
        if file.kind != FILE_OBJECT:
            continue
        for frag in range(file.frag_base, file.frag_base + file.shnum):
            if not is_eh_frame(c, file, frag):
                continue
            if unit.count == unit.capacity:
                unit.capacity = unit.capacity * 2 + 16
                grown = realloc(unit.frags, unit.capacity * sizeof(uint32_t))
                if grown == NULL:
                    w.failed = 1
                    return
                unit.frags = <uint32_t*>grown
            unit.frags[unit.count] = frag
            unit.count += 1


cdef int count_records(Columns* c, EhInput* eh, uint64_t* where) noexcept nogil:
    """Walks over the record lengths of a section; returns FOUND_*, `where` is the offset of the trouble."""
    cdef const Fragment* f = &c.frags[eh.frag]
    cdef bint swap = c.files[f.file].flags & FILE_SWAP != 0
    cdef uint64_t at = 0
    cdef uint32_t length
    if f.size > <uint64_t>0xfffffff0:
        return FOUND_UNKNOWN
    while at < f.size:
        where[0] = at
        if f.size - at < 4:
            return FOUND_UNKNOWN if is_zero(f.data + at, f.size - at) else FOUND_DAMAGE
        length = load32(f.data + at, swap)
        if length == 0:
            eh.flags |= EH_TERMINATED
            return FOUND_RECORDS if is_zero(f.data + at, f.size - at) else FOUND_UNKNOWN
        if length == 0xffffffffU:
            return FOUND_UNKNOWN
        if length < 4 or not in_range(at, <uint64_t>length + 4, f.size):
            return FOUND_DAMAGE
        if load32(f.data + at + 4, swap) == 0:
            eh.ncies += 1
        else:
            eh.nfdes += 1
        at += <uint64_t>length + 4
    return FOUND_RECORDS


cdef void settle(Columns* c, EhInput* eh, int found, uint64_t where) noexcept nogil:
    """A section that was not understood is an ordinary one from now on."""
    if found == FOUND_RECORDS:
        return
    if found == FOUND_DAMAGE:
        fault_at(c.faults, FAULT_BAD_EH_FRAME, c.frags[eh.frag].file, eh.frag, where, 0, 0)
    eh.flags = EH_WHOLE | EH_NO_TABLE


cdef void count_inputs(void* context, int64_t index, int thread) noexcept nogil:
    """Counts the records of INPUTS_PER_UNIT sections and looks at the order of their relocations."""
    cdef Work* w = <Work*>context
    cdef Columns* c = w.c
    cdef uint64_t last = min(<uint64_t>(index + 1) * INPUTS_PER_UNIT + 1, <uint64_t>c.nehs)
    cdef uint64_t where = 0
    cdef uint64_t row
    cdef uint32_t i
    cdef const Fragment* f
    cdef EhInput* eh
    cdef int found
    for row in range(<uint64_t>index * INPUTS_PER_UNIT + 1, last):
        eh = &c.ehs[row]
        f = &c.frags[eh.frag]
        found = count_records(c, eh, &where)
        settle(c, eh, found, where)
        if found != FOUND_RECORDS:
            eh.ncies = eh.nfdes = 0
        for i in range(1, f.nrelocs):
            if f.relocs[i].r_offset < f.relocs[i - 1].r_offset:
                w.unsorted[row] = 1
                break


cdef uint32_t find_cie(Columns* c, const EhInput* eh, uint32_t known, uint64_t offset) noexcept nogil:
    """Row of the CIE at `offset` among the first `known` ones of a section, 0 none."""
    cdef uint32_t low = eh.first_cie
    cdef uint32_t high = eh.first_cie + known
    cdef uint32_t middle
    # Nearly always the nearest one.
    if known and c.cies[high - 1].offset == offset:
        return high - 1
    while low < high:
        middle = (low + high) >> 1
        if c.cies[middle].offset < offset:
            low = middle + 1
        else:
            high = middle
    return low if low < eh.first_cie + known and c.cies[low].offset == offset else 0


cdef uint32_t find_target(Columns* c, const Fragment* f, const Fde* fde) noexcept nogil:
    """Fragment of the function of an FDE: what the relocation of its pc_begin names in its own file.

    Not the winning definition of a global name: the code that an FDE describes is always its own file's."""
    cdef const File* file = &c.files[f.file]
    cdef uint32_t i
    for i in range(fde.first_reloc, fde.first_reloc + fde.nrelocs):
        if f.relocs[i].r_offset == <uint64_t>fde.offset + 8:
            return sym_frag(c, file, f.relocs[i].r_sym) if f.relocs[i].r_sym < file.nsyms else 0
    return 0


cdef int parse_records(Columns* c, uint32_t row, uint64_t* where) noexcept nogil:
    """Fills the Cie and Fde rows of a section; returns FOUND_*."""
    cdef EhInput* eh = &c.ehs[row]
    cdef const Fragment* f = &c.frags[eh.frag]
    cdef const File* file = &c.files[f.file]
    cdef bint swap = file.flags & FILE_SWAP != 0
    cdef bint elf32 = file.flags & FILE_ELF32 != 0
    cdef uint32_t ncies = 0
    cdef uint32_t nfdes = 0
    cdef uint32_t reloc = 0
    cdef uint32_t first
    cdef uint32_t at = 0
    cdef uint32_t size
    cdef uint32_t pointer
    cdef Cie* cie
    cdef Fde* fde
    cdef int found
    if not f.sh_flags & SHF_WRITE:
        eh.flags |= EH_PCREL
    while ncies < eh.ncies or nfdes < eh.nfdes:
        where[0] = at
        size = load32(f.data + at, swap) + 4
        while reloc < f.nrelocs and f.relocs[reloc].r_offset < at:
            reloc += 1
        first = reloc
        while reloc < f.nrelocs and f.relocs[reloc].r_offset < <uint64_t>at + size:
            reloc += 1
        pointer = load32(f.data + at + 4, swap)
        if pointer == 0:
            cie = &c.cies[eh.first_cie + ncies]
            cie.eh = row
            cie.offset = at
            cie.size = size
            cie.first_reloc = first
            cie.nrelocs = reloc - first
            cie.leader = eh.first_cie + ncies
            found = read_cie(f.data + at, size, elf32, cie)
            if found != FOUND_RECORDS:
                return found
            if not fits_table(cie.fde_encoding, elf32):
                eh.flags |= EH_NO_TABLE
            if cie.fde_at == 0:
                eh.flags &= ~<uint32_t>EH_PCREL
            ncies += 1
        else:
            fde = &c.fdes[eh.first_fde + nfdes]
            fde.eh = row
            fde.offset = at
            fde.size = size
            fde.first_reloc = first
            fde.nrelocs = reloc - first
            fde.cie = find_cie(c, eh, ncies, <uint64_t>at + 4 - pointer) if pointer <= at + 4 else 0
            if fde.cie == 0:
                return FOUND_DAMAGE
            # pc_begin and pc_range are there, whatever else is.
            if size < 8 + 2 * encoded_size(c.cies[fde.cie].fde_encoding, elf32):
                return FOUND_DAMAGE
            fde.target = find_target(c, f, fde)
            nfdes += 1
        at += size
    return FOUND_RECORDS


cdef void parse_inputs(void* context, int64_t index, int thread) noexcept nogil:
    """Parses INPUTS_PER_UNIT sections."""
    cdef Columns* c = (<Work*>context).c
    cdef uint64_t last = min(<uint64_t>(index + 1) * INPUTS_PER_UNIT + 1, <uint64_t>c.nehs)
    cdef uint64_t where = 0
    cdef uint64_t row
    cdef uint32_t i
    cdef int found
    cdef EhInput* eh
    cdef Fragment* f
    for row in range(<uint64_t>index * INPUTS_PER_UNIT + 1, last):
        eh = &c.ehs[row]
        if eh.flags & EH_WHOLE == 0:
            found = parse_records(c, <uint32_t>row, &where)
            settle(c, eh, found, where)
        if eh.flags & EH_WHOLE:
            # Rows without a target are no edges and are never written.
            for i in range(eh.nfdes):
                c.fdes[eh.first_fde + i].target = 0
            eh.ncies = eh.nfdes = 0
            continue
        f = &c.frags[eh.frag]
        f.kind = FRAG_EHFRAME
        f.link = <uint32_t>row


cdef struct Order:           # a relocation while they are sorted
    uint64_t offset          # r_offset
    uint32_t index           # its place in the input


cdef int compare_order(const void* a, const void* b) noexcept nogil:
    cdef const Order* x = <const Order*>a
    cdef const Order* y = <const Order*>b
    if x.offset != y.offset:
        return -1 if x.offset < y.offset else 1
    # Relocations of one field are applied in input order.
    return -1 if x.index < y.index else 1


cdef int sort_relocations(Tables tables, uint32_t frag) except -1:
    """Replaces the relocations of a fragment by a sorted copy, which the tables keep."""
    cdef Fragment* f = &tables.c.frags[frag]
    cdef Order* order = <Order*>malloc(f.nrelocs * sizeof(Order))
    cdef bytes copy
    cdef Rela* rows
    cdef uint32_t i
    if order == NULL:
        raise MemoryError
    try:
        copy = bytes(f.nrelocs * sizeof(Rela))
        rows = <Rela*><char*>copy
        for i in range(f.nrelocs):
            order[i].offset = f.relocs[i].r_offset
            order[i].index = i
        qsort(order, f.nrelocs, sizeof(Order), compare_order)
        for i in range(f.nrelocs):
            rows[i] = f.relocs[order[i].index]
    finally:
        free(order)
    tables.buffers.append(copy)
    f.relocs = rows
    return 0


cdef uint64_t units(uint64_t count, uint64_t each) noexcept nogil:
    return (count + each - 1) // each


def read_eh_frames(Tables tables):
    """Parses the .eh_frame sections of the live files into EhInput, Cie and Fde rows; they become FRAG_EHFRAME.

    Relocations of such a section may be replaced by a copy in ascending order. Damage is recorded as
    FAULT_BAD_EH_FRAME. Returns (sections, CIEs, FDEs)."""
    cdef Columns* c = &tables.c
    cdef Work w
    cdef uint64_t n = units(c.nlive, FILES_PER_UNIT)
    cdef uint64_t found = 1
    cdef uint64_t cies = 1
    cdef uint64_t fdes = 1
    cdef uint64_t i
    cdef uint32_t k
    cdef uint32_t frag
    cdef File* file
    if c.ehs != NULL:
        raise ValueError(".eh_frame sections have been read already")
    memset(&w, 0, sizeof(w))
    w.c = c
    w.units = <Unit*>calloc(n + 1, sizeof(Unit))
    if w.units == NULL:
        raise MemoryError
    try:
        with nogil:
            parallel_for(find_inputs, &w, n, c.threads)
        for i in range(n):
            found += w.units[i].count
        c.ehs = <EhInput*>calloc(found, sizeof(EhInput))
        w.unsorted = <uint8_t*>calloc(found, 1)
        if w.failed or c.ehs == NULL or w.unsorted == NULL:
            raise MemoryError
        c.nehs = 1
        for i in range(n):
            for k in range(w.units[i].count):
                frag = w.units[i].frags[k]
                file = &c.files[c.frags[frag].file]
                if file.first_eh == 0:
                    file.first_eh = c.nehs
                file.n_eh += 1
                c.ehs[c.nehs].frag = frag
                c.nehs += 1
        n = units(c.nehs - 1, INPUTS_PER_UNIT)
        with nogil:
            parallel_for(count_inputs, &w, n, c.threads)
        for i in range(1, c.nehs):
            c.ehs[i].first_cie = <uint32_t>cies
            c.ehs[i].first_fde = <uint32_t>fdes
            cies += c.ehs[i].ncies
            fdes += c.ehs[i].nfdes
            if w.unsorted[i]:
                sort_relocations(tables, c.ehs[i].frag)
        if cies >= <uint64_t>0xfffffff0 or fdes >= <uint64_t>0xfffffff0:
            raise OverflowError("more than 4 G .eh_frame records")
        c.cies = <Cie*>calloc(cies, sizeof(Cie))
        c.fdes = <Fde*>calloc(fdes, sizeof(Fde))
        if c.cies == NULL or c.fdes == NULL:
            raise MemoryError
        c.ncies = <uint32_t>cies
        c.nfdes = <uint32_t>fdes
        with nogil:
            parallel_for(parse_inputs, &w, n, c.threads)
    finally:
        for i in range(units(c.nlive, FILES_PER_UNIT)):
            free(w.units[i].frags)
        free(w.units)
        free(w.unsorted)
    return c.nehs - 1, c.ncies - 1, c.nfdes - 1


# Sharing ---------------------------------------------------------------------------------------------

cdef void mark_inputs(void* context, int64_t index, int thread) noexcept nogil:
    """Counts the live FDEs of INPUTS_PER_UNIT sections and marks the CIEs that they use."""
    cdef Columns* c = (<Work*>context).c
    cdef uint64_t last = min(<uint64_t>(index + 1) * INPUTS_PER_UNIT + 1, <uint64_t>c.nehs)
    cdef uint64_t row
    cdef uint32_t i
    cdef EhInput* eh
    cdef Fde* fde
    for row in range(<uint64_t>index * INPUTS_PER_UNIT + 1, last):
        eh = &c.ehs[row]
        if c.frags[eh.frag].kind != FRAG_EHFRAME:
            continue
        eh.live_fdes = 0
        if not c.frag_state[eh.frag] & STATE_LIVE:
            continue
        for i in range(eh.first_fde, eh.first_fde + eh.nfdes):
            fde = &c.fdes[i]
            if fde_is_live(c, fde):
                eh.live_fdes += 1
                c.cies[fde.cie].live = 1


cdef uint64_t symbol_key(Columns* c, const File* file, uint32_t sym) noexcept nogil:
    """A number that is equal for equal symbols; see equal_symbols."""
    cdef uint32_t frag
    if sym >= file.nsyms:
        return 0
    if sym >= file.first_global:
        return <uint64_t>1 << 63 | file.gids[sym - file.first_global]
    frag = sym_frag(c, file, sym)
    return <uint64_t>frag << 24 ^ file.syms[sym].st_value << 1 ^ (file.syms[sym].st_shndx == SHN_ABS)


cdef bint equal_symbols(Columns* c, const File* a, uint32_t x, const File* b, uint32_t y) noexcept nogil:
    cdef bint x_global = x >= a.first_global
    if x >= a.nsyms or y >= b.nsyms or x_global != (y >= b.first_global):
        return False
    if x_global:
        return a.gids[x - a.first_global] == b.gids[y - b.first_global]
    return (sym_frag(c, a, x) == sym_frag(c, b, y) and a.syms[x].st_value == b.syms[y].st_value
            and a.syms[x].st_shndx == b.syms[y].st_shndx)


cdef uint64_t cie_hash(Columns* c, const Cie* cie) noexcept nogil:
    cdef const Fragment* f = &c.frags[c.ehs[cie.eh].frag]
    cdef uint64_t hash = hash_bytes(f.data + cie.offset, cie.size) + f.rule
    cdef uint32_t i
    for i in range(cie.first_reloc, cie.first_reloc + cie.nrelocs):
        hash = hash * 31 + symbol_key(c, &c.files[f.file], f.relocs[i].r_sym)
    return hash ^ hash >> 32


cdef bint equal_cies(Columns* c, const Cie* a, const Cie* b) noexcept nogil:
    """True when two CIEs of one run have the same bytes and relocations that mean the same."""
    cdef const Fragment* f = &c.frags[c.ehs[a.eh].frag]
    cdef const Fragment* g = &c.frags[c.ehs[b.eh].frag]
    cdef const Rela* r
    cdef const Rela* s
    cdef uint32_t i
    if a.size != b.size or a.nrelocs != b.nrelocs or f.rule != g.rule:
        return False
    if memcmp(f.data + a.offset, g.data + b.offset, a.size) != 0:
        return False
    for i in range(a.nrelocs):
        r = &f.relocs[a.first_reloc + i]
        s = &g.relocs[b.first_reloc + i]
        if r.r_type != s.r_type or r.r_addend != s.r_addend or r.r_offset - a.offset != s.r_offset - b.offset:
            return False
        if not equal_symbols(c, &c.files[f.file], r.r_sym, &c.files[g.file], s.r_sym):
            return False
    return True


cdef int choose_leaders(Columns* c) noexcept nogil:
    """Gives every live CIE its leader: the first live one that is equal. Returns 0, or -1 without memory."""
    cdef uint64_t capacity = 64
    cdef uint32_t* slots
    cdef uint64_t at
    cdef uint32_t i
    while capacity < 2 * <uint64_t>c.ncies:
        capacity *= 2
    slots = <uint32_t*>calloc(capacity, sizeof(uint32_t))
    if slots == NULL:
        return -1
    for i in range(1, c.ncies):
        if not c.cies[i].live:
            continue
        at = cie_hash(c, &c.cies[i]) & (capacity - 1)
        while slots[at] and not equal_cies(c, &c.cies[slots[at]], &c.cies[i]):
            at = (at + 1) & (capacity - 1)
        if slots[at] == 0:
            slots[at] = i
        c.cies[i].leader = slots[at]
    free(slots)
    return 0


cdef struct Layout:          # one run of place_inputs
    Columns* c               # the tables
    uint64_t mask            # alignment of the output section - 1


cdef void place_inputs(void* context, int64_t index, int thread) noexcept nogil:
    """Gives the records of INPUTS_PER_UNIT sections their offsets and the fragments their sizes."""
    cdef Layout* layout = <Layout*>context
    cdef Columns* c = layout.c
    cdef uint64_t last = min(<uint64_t>(index + 1) * INPUTS_PER_UNIT + 1, <uint64_t>c.nehs)
    cdef uint64_t row
    cdef uint64_t size
    cdef uint32_t i
    cdef uint32_t k
    cdef EhInput* eh
    cdef Cie* cie
    cdef Fde* fde
    for row in range(<uint64_t>index * INPUTS_PER_UNIT + 1, last):
        eh = &c.ehs[row]
        if c.frags[eh.frag].kind != FRAG_EHFRAME:
            continue
        size = 0
        k = eh.first_cie
        for i in range(eh.first_fde, eh.first_fde + eh.nfdes + 1):
            fde = &c.fdes[i] if i < eh.first_fde + eh.nfdes else NULL
            while k < eh.first_cie + eh.ncies and (fde == NULL or c.cies[k].offset < fde.offset):
                cie = &c.cies[k]
                if cie.live and cie.leader == k:
                    cie.out = <uint32_t>size
                    size += cie.size
                k += 1
            if fde == NULL:
                break
            fde.out = EH_DROPPED
            if fde_is_live(c, fde) and c.frag_state[eh.frag] & STATE_LIVE:
                fde.out = <uint32_t>size
                size += fde.size
        # The gap in front of the next fragment would read as a terminator, so the last record takes it.
        size = (size + layout.mask) & ~layout.mask
        if eh.flags & EH_TERMINATES:
            size += 4
        c.frags[eh.frag].size = size


cdef inline bint turns_pcrel(const Columns* c, const EhInput* eh) noexcept nogil:
    """True when the absolute addresses of a section are written as V_PCREL."""
    return c.pic and eh.flags & EH_PCREL and (<const Ops*>c.ops).eh_pcrel


def share_cies(Tables tables):
    """Drops FDEs of code that is not live, shares equal CIEs, sizes the .eh_frame fragments.

    For -r all sections become ordinary ones again. Returns (CIEs written, FDEs written)."""
    cdef Columns* c = &tables.c
    cdef Work w
    cdef Layout layout
    cdef uint64_t n = units(c.nehs - 1, INPUTS_PER_UNIT) if c.nehs else 0
    cdef uint64_t cies = 0
    cdef uint64_t fdes = 0
    cdef uint32_t i
    cdef uint32_t final = 0
    cdef bint terminated = False
    cdef int failed
    cdef EhInput* eh
    if c.nehs == 0:
        return 0, 0
    if c.relocatable:
        for i in range(1, c.nehs):
            if c.frags[c.ehs[i].frag].kind == FRAG_EHFRAME:
                c.frags[c.ehs[i].frag].kind = FRAG_REGULAR
                c.frags[c.ehs[i].frag].link = 0
        return 0, 0
    memset(&w, 0, sizeof(w))
    w.c = c
    layout.c = c
    layout.mask = 0
    with nogil:
        parallel_for(mark_inputs, &w, n, c.threads)
        failed = choose_leaders(c)
    if failed:
        raise MemoryError
    for i in range(1, c.nehs):
        eh = &c.ehs[i]
        eh.flags &= ~<uint32_t>EH_TERMINATES
        if c.frags[eh.frag].kind != FRAG_EHFRAME or not c.frag_state[eh.frag] & STATE_LIVE:
            continue
        layout.mask |= (<uint64_t>1 << c.frags[eh.frag].align_log2) - 1
        if eh.flags & EH_TERMINATED:
            terminated = True
        # Runs are numbered in the order of the output, and rows in link order.
        if final == 0 or c.frags[eh.frag].rule >= c.frags[c.ehs[final].frag].rule:
            final = i
    if terminated:
        c.ehs[final].flags |= EH_TERMINATES
    with nogil:
        parallel_for(place_inputs, &layout, n, c.threads)
    for i in range(1, c.ncies):
        if turns_pcrel(c, &c.ehs[c.cies[i].eh]):
            make_pcrel(&c.cies[i].fde_encoding, c.elf32)
        cies += c.cies[i].live and c.cies[i].leader == i
    for i in range(1, c.nehs):
        fdes += c.ehs[i].live_fdes
    return cies, fdes


# Writing ---------------------------------------------------------------------------------------------

cdef struct Output:          # one output section being written
    Columns* c               # the tables
    uint32_t number          # Fragment.output of its members
    uint64_t address         # its address
    uint8_t* out             # its first byte


cdef uint8_t* copy_record(Place* p, uint8_t* out, uint32_t offset, uint32_t size, uint32_t at,
                          uint32_t first, uint32_t count) noexcept nogil:
    """Writes a record, relocated, at byte `at` of the fragment's output `out`; returns where it starts."""
    cdef const Fragment* f = p.frag
    cdef uint64_t address = p.c.frag_addr[p.frag_id] + at
    cdef uint8_t verdict
    cdef uint64_t shift
    cdef uint32_t i
    memcpy(out + at, f.data + offset, size)
    for i in range(first, first + count):
        verdict = f.verdicts[i] if f.verdicts != NULL else <uint8_t>V_APPLY
        if verdict == V_SKIP:
            continue
        shift = f.relocs[i].r_offset - offset
        p.index = i
        p.loc = out + at + shift
        p.P = address + shift
        relocate_place(p, verdict)
    return out + at


cdef void make_cie_pcrel(uint8_t* record, const Cie* cie, bint elf32) noexcept nogil:
    """What was written as V_PCREL is announced so."""
    make_pcrel(record + cie.fde_at, elf32)
    if cie.lsda_at:
        make_pcrel(record + cie.lsda_at, elf32)
    if cie.personality_at:
        make_pcrel(record + cie.personality_at, elf32)


cdef void write_input(Columns* c, uint32_t row, uint8_t* out) noexcept nogil:
    """Writes the live records of a section; `out` is the first byte of its fragment."""
    cdef EhInput* eh = &c.ehs[row]
    cdef const Fragment* f = &c.frags[eh.frag]
    cdef bint swap = c.swap
    cdef uint64_t end = f.size - 4 if eh.flags & EH_TERMINATES else f.size
    cdef uint64_t done = 0
    cdef uint64_t address
    cdef uint8_t* record = NULL
    cdef uint32_t i
    cdef uint32_t k = eh.first_cie
    cdef const Cie* cie
    cdef const Cie* leader
    cdef const Fde* fde
    cdef bint pcrel = turns_pcrel(c, eh)
    cdef Place p
    open_place(&p, c, eh.frag)
    for i in range(eh.first_fde, eh.first_fde + eh.nfdes + 1):
        fde = &c.fdes[i] if i < eh.first_fde + eh.nfdes else NULL
        while k < eh.first_cie + eh.ncies and (fde == NULL or c.cies[k].offset < fde.offset):
            cie = &c.cies[k]
            if cie.live and cie.leader == k:
                record = copy_record(&p, out, cie.offset, cie.size, cie.out, cie.first_reloc, cie.nrelocs)
                if pcrel:
                    make_cie_pcrel(record, cie, c.elf32)
                done = <uint64_t>cie.out + cie.size
            k += 1
        if fde == NULL:
            break
        if fde.out == EH_DROPPED:
            continue
        record = copy_record(&p, out, fde.offset, fde.size, fde.out, fde.first_reloc, fde.nrelocs)
        done = <uint64_t>fde.out + fde.size
        leader = &c.cies[c.cies[fde.cie].leader]
        # The CIE pointer counts back from its own field.
        address = c.frag_addr[eh.frag] + fde.out + 4
        store32(record + 4, <uint32_t>(address - (c.frag_addr[c.ehs[leader.eh].frag] + leader.out)), swap)
    if record != NULL and end > done:
        # DW_CFA_nop is zero.
        memset(out + done, 0, end - done)
        store32(record, load32(record, swap) + <uint32_t>(end - done), swap)
    if f.size > end:
        memset(out + end, 0, f.size - end)


cdef void write_inputs(void* context, int64_t index, int thread) noexcept nogil:
    """Writes INPUTS_PER_UNIT sections."""
    cdef Output* o = <Output*>context
    cdef Columns* c = o.c
    cdef uint64_t last = min(<uint64_t>(index + 1) * INPUTS_PER_UNIT + 1, <uint64_t>c.nehs)
    cdef uint64_t row
    cdef uint32_t frag
    for row in range(<uint64_t>index * INPUTS_PER_UNIT + 1, last):
        frag = c.ehs[row].frag
        if (c.frags[frag].kind == FRAG_EHFRAME and c.frag_state[frag] & STATE_LIVE
                and c.frags[frag].output == o.number):
            write_input(c, <uint32_t>row, o.out + (c.frag_addr[frag] - o.address))


def write(Tables tables, uint32_t output, uint64_t address, size_t out):
    """Writes the .eh_frame fragments of output section number `output` (Fragment.output).

    address: of the output section; out: address in memory of its first byte. frag_addr and all that
    relocations need must be final; a relocation that does not fit becomes a fault."""
    cdef Output o
    memset(&o, 0, sizeof(o))
    o.c = &tables.c
    o.number = output
    o.address = address
    o.out = <uint8_t*>out
    if o.c.nehs == 0:
        return
    with nogil:
        parallel_for(write_inputs, &o, units(o.c.nehs - 1, INPUTS_PER_UNIT), o.c.threads)


def outputs(Tables tables):
    """Numbers of the output sections for which `write` has something to do."""
    cdef Columns* c = &tables.c
    cdef uint32_t i
    return {c.frags[c.ehs[i].frag].output for i in range(1, c.nehs)}


def records(Tables tables):
    """What became of the records, for reports and tests: list of tuples, one for each section,
    (fragment, flags EH_*, [(offset, size, leader row, row, out)] of CIEs, [(offset, size, target, out or -1)] of FDEs)."""
    cdef Columns* c = &tables.c
    cdef EhInput* eh
    cdef uint32_t i
    cdef uint32_t k
    rows = []
    for i in range(1, c.nehs):
        eh = &c.ehs[i]
        rows.append((
            eh.frag, eh.flags,
            [(c.cies[k].offset, c.cies[k].size, c.cies[k].leader, k, c.cies[k].out)
             for k in range(eh.first_cie, eh.first_cie + eh.ncies)],
            [(c.fdes[k].offset, c.fdes[k].size, c.fdes[k].target,
              -1 if c.fdes[k].out == EH_DROPPED else <int64_t>c.fdes[k].out)
             for k in range(eh.first_fde, eh.first_fde + eh.nfdes)]))
    return rows
