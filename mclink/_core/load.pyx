"""Level 2, phase 2: fragments. The sections of live files become Fragment rows, with canonical relocations."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int32_t, int64_t
from libc.stdlib cimport malloc, calloc, realloc, free, qsort
from libc.string cimport memcmp, memcpy, memset, strlen
from mclink._core.bytes cimport load32, load64, in_range
from mclink._core.elf cimport *
from mclink._core.fault cimport *
from mclink._core.formula cimport load_field
from mclink._core.ops cimport Ops, RelocType
from mclink._core.parallel cimport parallel_for
from mclink._core.tables cimport *

cdef enum:
    INTERNAL_SECTIONS = 256  # capacity of file 1
    SHF_EXCLUDE_BIT = 31

cdef struct InternalFile:    # storage behind file 1
    Shdr shdrs[INTERNAL_SECTIONS] # its section headers
    char names[8192]         # its section-name strings
    uint32_t names_used      # bytes used


def make_internal_file(Tables tables):
    """Makes file 1, the linker's own: no sections yet, room for 255. Call before any file is opened."""
    cdef Columns* c = &tables.c
    cdef InternalFile* s = <InternalFile*>calloc(1, sizeof(InternalFile))
    cdef File* f
    if s == NULL:
        raise MemoryError
    tables.reserve_files(1)
    tables.reserve_frags(INTERNAL_SECTIONS)
    f = &c.files[INTERNAL_FILE]
    memset(f, 0, sizeof(File))
    f.owned = s
    f.kind = FILE_INTERNAL
    f.state = FILE_LIVE
    f.name = b"<internal>"
    f.name_len = 10
    f.data = <const uint8_t*>b""
    f.shdrs = s.shdrs
    f.shnum = 1
    f.shstrtab = s.names
    f.shstrtab_size = 8192
    f.strtab = b""
    f.strtab_size = 1
    s.names_used = 1
    f.order = 1
    c.nfiles = 2
    c.nfrags = INTERNAL_SECTIONS
    c.live = <uint32_t*>malloc(64 * sizeof(uint32_t))
    if c.live == NULL:
        raise MemoryError
    c.live_capacity = 64
    c.live[0] = INTERNAL_FILE
    c.nlive = 1


def add_section(Tables tables, bytes name, uint32_t type, uint32_t flags, uint32_t align, uint32_t entsize,
                uint64_t size=0):
    """Adds a section to file 1 and returns its fragment id. align: power of two, bytes. The fragment is live and
    FRAG_SYNTHETIC (FRAG_NOBITS for SHT_NOBITS)."""
    cdef Columns* c = &tables.c
    cdef File* f = &c.files[INTERNAL_FILE]
    cdef InternalFile* s = <InternalFile*>f.owned
    cdef uint32_t id = f.shnum
    cdef Fragment* g
    if id >= INTERNAL_SECTIONS or s.names_used + len(name) + 1 > 8192:
        raise MemoryError("too many linker-made sections")
    memcpy(s.names + s.names_used, <const char*>name, len(name) + 1)
    s.shdrs[id].sh_name = s.names_used
    s.shdrs[id].sh_type = type
    s.shdrs[id].sh_flags = flags
    s.shdrs[id].sh_addralign = align
    s.shdrs[id].sh_entsize = entsize
    s.shdrs[id].sh_size = size
    s.names_used += <uint32_t>len(name) + 1
    f.shnum += 1
    g = &c.frags[id]
    memset(g, 0, sizeof(Fragment))
    g.file = INTERNAL_FILE
    g.sh_type = type
    g.sh_flags = flags
    g.entsize = entsize
    g.size = size
    g.kind = FRAG_NOBITS if type == SHT_NOBITS else FRAG_SYNTHETIC
    g.align_log2 = align.bit_length() - 1 if align else 0
    c.frag_state[id] = STATE_LIVE
    return id


def set_special(Tables tables, uint32_t which, uint32_t frag):
    """Records a fragment of file 1 as Columns.special[which]."""
    if which >= SPECIAL_COUNT or frag >= tables.c.nfrags:
        raise IndexError(which)
    tables.c.special[which] = frag


def special(Tables tables, uint32_t which):
    """Columns.special[which], 0 when absent."""
    return tables.c.special[which]


cdef inline bint starts(const char* text, const char* prefix) noexcept nogil:
    while prefix[0] != 0:
        if text[0] != prefix[0]:
            return False
        text += 1
        prefix += 1
    return True


cdef inline uint8_t log2_of(uint64_t align) noexcept nogil:
    cdef uint8_t n = 0
    while align > 1:
        align >>= 1
        n += 1
    return n


cdef inline bint is_warning(const File* f, uint32_t i) noexcept nogil:
    return f.shdrs[i].sh_name < f.shstrtab_size and starts(f.shstrtab + f.shdrs[i].sh_name, b".gnu.warning.")


cdef void load_section(Columns* c, File* f, uint32_t id, uint32_t index, uint64_t* odd) noexcept nogil:
    """Fills the row of one section; relocations are attached when contents are decompressed. `odd` counts the
    sections that load_sections() tells of."""
    cdef Shdr* s = &f.shdrs[index]
    cdef uint32_t frag = f.frag_base + index
    cdef Fragment* g = &c.frags[frag]
    cdef uint32_t type = s.sh_type
    cdef const char* name
    g.file = id
    g.sh_type = type
    g.sh_flags = <uint32_t>s.sh_flags
    g.align_log2 = log2_of(s.sh_addralign)
    g.entsize = 0xffffffffU if s.sh_entsize > 0xffffffffU else <uint32_t>s.sh_entsize
    g.size = s.sh_size
    if c.frag_state[frag] & STATE_DISCARDED:
        return
    if type == SHT_NULL or type == SHT_SYMTAB or type == SHT_REL or type == SHT_RELA or type == SHT_CREL or \
            type == SHT_GROUP or type == SHT_SYMTAB_SHNDX or type == SHT_LLVM_ADDRSIG:
        return
    if type == SHT_STRTAB and (f.shstrtab == <const char*>(f.data + s.sh_offset) or
                               f.strtab == <const char*>(f.data + s.sh_offset)):
        return
    if s.sh_flags & SHF_EXCLUDE and not c.relocatable:
        return
    if type == SHT_NOBITS:
        g.kind = FRAG_NOBITS
    else:
        g.kind = FRAG_REGULAR
        g.data = f.data + s.sh_offset
        if s.sh_flags & ~<uint64_t>SHF_ALLOC == 0 and type == SHT_PROGBITS and not c.relocatable and is_warning(f, index):
            odd[0] += 1
            if not c.shared_output:
                # A shared object keeps them: they warn whoever links it.
                g.kind = FRAG_NONE
                return
        if s.sh_flags & SHF_ALLOC == 0 and type == SHT_PROGBITS:
            name = f.shstrtab + s.sh_name
            if name[0] == c'.' and name[1] == c'n' and starts(name, b".note.GNU-stack"):
                g.kind = FRAG_NONE
                return
            if name[0] == c'.' and name[1] == c'g' and starts(name, b".gnu.lto_") and not c.relocatable:
                g.kind = FRAG_NONE
                return
            if name[0] == c'.' and name[1] == c'z' and starts(name, b".zdebug_"):
                odd[0] += 1
        if s.sh_flags & SHF_COMPRESSED:
            odd[0] += 1
    if s.sh_flags & SHF_LINK_ORDER and s.sh_link != 0 and s.sh_link < f.shnum:
        g.link = f.frag_base + s.sh_link
    c.frag_state[frag] |= STATE_LIVE
    if s.sh_flags & SHF_GNU_RETAIN or type == SHT_INIT_ARRAY or type == SHT_FINI_ARRAY or \
            type == SHT_PREINIT_ARRAY or (type == SHT_NOTE and not s.sh_flags & SHF_GROUP):
        c.frag_state[frag] |= STATE_KEEP


# ---- relocations: any of SHT_RELA, SHT_REL and SHT_CREL becomes canonical Rela rows

cdef inline bint is_relocation(uint32_t type) noexcept nogil:
    return type == SHT_RELA or type == SHT_REL or type == SHT_CREL


cdef inline uint64_t record_size(const File* f, uint32_t type) noexcept nogil:
    """Bytes of Elf32_Rel 8, Elf32_Rela 12, Elf64_Rel 16, Elf64_Rela 24."""
    if f.flags & FILE_ELF32:
        return 12 if type == SHT_RELA else 8
    return 24 if type == SHT_RELA else 16


cdef uint64_t read_uleb(const uint8_t** at, const uint8_t* end) noexcept nogil:
    """ULEB128 at `at`, which moves behind it; it stops at `end`, and bits above 63 are lost."""
    cdef uint64_t value = 0
    cdef uint32_t shift = 0
    cdef uint8_t byte
    while at[0] < end:
        byte = at[0][0]
        at[0] += 1
        if shift < 64:
            value |= <uint64_t>(byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            break
    return value


cdef int64_t read_sleb(const uint8_t** at, const uint8_t* end) noexcept nogil:
    """SLEB128 at `at`, as read_uleb()."""
    cdef uint64_t value = 0
    cdef uint32_t shift = 0
    cdef uint8_t byte = 0
    while at[0] < end:
        byte = at[0][0]
        at[0] += 1
        if shift < 64:
            value |= <uint64_t>(byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            break
    if byte & 0x40 and shift < 64:
        value |= ~<uint64_t>0 << shift
    return <int64_t>value


cdef bint count_records(const File* f, const Shdr* s, uint64_t* count) noexcept nogil:
    """Number of relocations in a section; False when the section is damaged."""
    cdef const uint8_t* at = f.data + s.sh_offset
    cdef uint64_t step
    if s.sh_type == SHT_CREL:
        count[0] = read_uleb(&at, f.data + s.sh_offset + s.sh_size) >> 3
        # An entry has at least one byte.
        return count[0] <= s.sh_size and count[0] <= 0x7fffffff
    step = record_size(f, s.sh_type)
    count[0] = s.sh_size // step
    return s.sh_entsize == step and s.sh_size % step == 0 and count[0] <= 0x7fffffff


cdef void read_records(const File* f, const Shdr* s, uint64_t count, Rela* out) noexcept nogil:
    """SHT_REL and SHT_RELA of any class and byte order; without an addend field the addend is 0."""
    cdef const uint8_t* p = f.data + s.sh_offset
    cdef bint swap = f.flags & FILE_SWAP != 0
    cdef bint rela = s.sh_type == SHT_RELA
    cdef uint64_t step = record_size(f, s.sh_type), i, info
    for i in range(count):
        if f.flags & FILE_ELF32:
            out[i].r_offset = load32(p, swap)
            info = load32(p + 4, swap)
            out[i].r_type = info & 0xff
            out[i].r_sym = <uint32_t>(info >> 8)
            out[i].r_addend = <int32_t>load32(p + 8, swap) if rela else 0
        else:
            out[i].r_offset = load64(p, swap)
            info = load64(p + 8, swap)
            out[i].r_type = <uint32_t>info
            out[i].r_sym = <uint32_t>(info >> 32)
            out[i].r_addend = <int64_t>load64(p + 16, swap) if rela else 0
        p += step


cdef bint read_compact(const File* f, const Shdr* s, uint64_t count, Rela* out) noexcept nogil:
    """SHT_CREL (gABI proposal "Compact relocations", as LLVM writes it): a header count << 3 | addends << 2 | shift,
    then differences. The low 2 bits (3 with addends) of an entry's first byte say which of symbol, type and addend
    change; the rest of that ULEB128 is the difference of offsets. False when the addends stand in the fields."""
    cdef const uint8_t* at = f.data + s.sh_offset
    cdef const uint8_t* end = at + s.sh_size
    cdef uint64_t header = read_uleb(&at, end)
    cdef bint has_addends = header & 4 != 0
    cdef uint32_t flag_bits = 3 if has_addends else 2
    cdef uint64_t offset = 0, addend = 0, i
    cdef uint32_t sym = 0, type = 0
    cdef uint8_t byte
    for i in range(count):
        byte = at[0] if at < end else 0
        at += 1
        offset += byte >> flag_bits
        if byte & 0x80:
            offset += (read_uleb(&at, end) << (7 - flag_bits)) - (0x80 >> flag_bits)
        if byte & 1:
            sym += <uint32_t>read_sleb(&at, end)
        if byte & 2:
            type += <uint32_t>read_sleb(&at, end)
        if byte & 4 and has_addends:
            addend += <uint64_t>read_sleb(&at, end)
        out[i].r_offset = offset << (header & 3)
        out[i].r_type = type
        out[i].r_sym = sym
        out[i].r_addend = <int64_t>addend
    return has_addends


cdef void read_addends(Columns* c, const Fragment* g, Rela* rows, uint64_t count, bint swap) noexcept nogil:
    """Addends out of the fields that the relocations apply to (REL)."""
    cdef const Ops* ops = <const Ops*>c.ops
    cdef const RelocType* t
    cdef uint64_t i
    if g.data == NULL or ops == NULL:
        return
    for i in range(count):
        if rows[i].r_type >= ops.ntypes:
            continue
        t = &ops.types[rows[i].r_type]
        if t.size != 0 and in_range(rows[i].r_offset, t.size, g.size):
            rows[i].r_addend = load_field(ops, t, g.data + rows[i].r_offset, swap)
    if ops.join_addends != NULL:
        ops.join_addends(c, g, rows, <uint32_t>count)


cdef void convert_relocations(Columns* c, File* f, Fragment* g, uint32_t index, Rela* out) noexcept nogil:
    """Writes the g.nrelocs canonical relocations of a fragment; `index` is its first relocation section."""
    cdef uint32_t done = 0, target = f.shdrs[index].sh_info
    cdef uint64_t count = 0
    cdef const Shdr* s
    cdef bint implicit
    cdef const Ops* ops = <const Ops*>c.ops
    while index < f.shnum and done < g.nrelocs:
        s = &f.shdrs[index]
        index += 1
        if not is_relocation(s.sh_type) or s.sh_info != target or not count_records(f, s, &count):
            continue
        if s.sh_type == SHT_CREL:
            implicit = not read_compact(f, s, count, out + done)
        else:
            read_records(f, s, count, out + done)
            implicit = s.sh_type == SHT_REL
        if ops != NULL and ops.join_records != NULL:
            ops.join_records(f, out + done, <uint32_t>count)
        if implicit:
            read_addends(c, g, out + done, count, f.flags & FILE_SWAP != 0)
        done += <uint32_t>count


cdef bint count_relocations(Columns* c, File* f, uint32_t id, uint32_t index) noexcept nogil:
    """Gives the relocations of section `index` to the fragment they apply to: in place when they are canonical,
    as a number only, and True, when they must be converted or joined with those of another section."""
    cdef Shdr* s = &f.shdrs[index]
    cdef Fragment* g
    cdef uint64_t count = 0
    if s.sh_info == 0 or s.sh_info >= f.shnum:
        fault_at(c.faults, FAULT_TRUNCATED, id, 0, s.sh_offset, 3, index)
        return False
    g = &c.frags[f.frag_base + s.sh_info]
    if g.kind == FRAG_NONE or c.frag_state[f.frag_base + s.sh_info] & STATE_DISCARDED:
        return False
    if not count_records(f, s, &count) or s.sh_link != f.symtab_index or count + g.nrelocs > 0x7fffffff:
        fault_at(c.faults, FAULT_TRUNCATED, id, 0, s.sh_offset, 3, index)
        return False
    if count == 0:
        return False
    if g.nrelocs == 0:
        g.reloc_shndx = <uint16_t>index
        if s.sh_type == SHT_RELA and not f.flags & (FILE_ELF32 | FILE_SWAP) and not c.split_info:
            g.relocs = <const Rela*>(f.data + s.sh_offset)
    else:
        g.relocs = NULL
    g.nrelocs += <uint32_t>count
    return g.relocs == NULL


cdef struct AttachTask:
    Columns* c               # the tables
    Rela** arenas            # [nlive] converted relocations of each live file, or NULL


cdef void attach_one(void* context, int64_t index, int thread) noexcept nogil:
    cdef AttachTask* task = <AttachTask*>context
    cdef Columns* c = task.c
    cdef uint32_t id = c.live[index]
    cdef File* f = &c.files[id]
    cdef Fragment* g
    cdef Rela* next
    cdef uint64_t total = 0
    cdef uint32_t i
    cdef bint convert = False
    if f.kind != FILE_OBJECT:
        return
    for i in range(1, f.shnum):
        if is_relocation(f.shdrs[i].sh_type) and count_relocations(c, f, id, i):
            convert = True
    if not convert:
        return
    for i in range(1, f.shnum):
        if c.frags[f.frag_base + i].relocs == NULL:
            total += c.frags[f.frag_base + i].nrelocs
    next = <Rela*>malloc(total * sizeof(Rela))
    task.arenas[index] = next
    for i in range(1, f.shnum):
        if not is_relocation(f.shdrs[i].sh_type) or f.shdrs[i].sh_info == 0 or f.shdrs[i].sh_info >= f.shnum:
            continue
        g = &c.frags[f.frag_base + f.shdrs[i].sh_info]
        if g.relocs != NULL or g.nrelocs == 0:
            continue
        if next == NULL:
            fault_at(c.faults, FAULT_NO_MEMORY, id, 0, 0, 0, 0)
            g.nrelocs = 0
            continue
        convert_relocations(c, f, g, i, next)
        g.relocs = next
        next += g.nrelocs


cdef class Arenas:
    """Owner of malloc'ed blocks, one a file; the tables keep it."""
    cdef Rela** blocks       # [count]
    cdef uint32_t count      # blocks

    def __dealloc__(self):
        cdef uint32_t i
        for i in range(self.count):
            free(self.blocks[i])
        free(self.blocks)


def attach_relocations(Tables tables):
    """Gives every fragment its canonical relocations, in parallel; after load_sections() and set_contents().

    Columns.ops must be attached: addends of REL inputs are read out of the fields. Damage becomes faults."""
    cdef Columns* c = &tables.c
    cdef AttachTask task
    cdef Arenas owner = Arenas()
    owner.blocks = <Rela**>calloc(c.nlive + 1, sizeof(void*))
    if owner.blocks == NULL:
        raise MemoryError
    owner.count = c.nlive
    task.c = c
    task.arenas = owner.blocks
    with nogil:
        parallel_for(attach_one, &task, c.nlive, c.threads)
    tables.buffers.append(owner)


# ---- sections

cdef struct LoadTask:
    Columns* c               # the tables
    uint64_t* odd            # [nlive] compressed and .gnu.warning sections of each live file


cdef void load_one(void* context, int64_t index, int thread) noexcept nogil:
    cdef LoadTask* task = <LoadTask*>context
    cdef Columns* c = task.c
    cdef uint32_t id = c.live[index]
    cdef File* f = &c.files[id]
    cdef uint32_t i
    if f.kind != FILE_OBJECT:
        return
    for i in range(f.shnum):
        load_section(c, f, id, i, &task.odd[index])


def load_sections(Tables tables):
    """Fills the Fragment rows of all live files in parallel, without relocations.

    Returns two lists of fragment ids, in order: compressed sections, whose contents are still compressed, and the
    sections .gnu.warning.SYM, which are part of no executable."""
    cdef Columns* c = &tables.c
    cdef LoadTask task
    cdef uint32_t i, k
    cdef File* f
    cdef const char* name
    task.c = c
    task.odd = <uint64_t*>calloc(c.nlive, sizeof(uint64_t))
    if task.odd == NULL:
        raise MemoryError
    with nogil:
        parallel_for(load_one, &task, c.nlive, c.threads)
    result = []
    warnings = []
    for i in range(c.nlive):
        if task.odd[i]:
            f = &c.files[c.live[i]]
            for k in range(1, f.shnum):
                if not c.relocatable and f.shdrs[k].sh_type == SHT_PROGBITS and is_warning(f, k):
                    warnings.append(f.frag_base + k)
                    continue
                if c.frags[f.frag_base + k].kind == FRAG_NONE:
                    continue
                name = f.shstrtab + f.shdrs[k].sh_name
                if f.shdrs[k].sh_flags & SHF_COMPRESSED or starts(name, b".zdebug_"):
                    result.append(f.frag_base + k)
    free(task.odd)
    return result, warnings


def warning_texts(Tables tables, frags):
    """What the sections .gnu.warning.SYM say: those of objects (fragment ids) and those of linked shared objects.
    List of (file id, SYM, text), bytes."""
    cdef Columns* c = &tables.c
    cdef uint32_t id, i, k
    cdef File* f
    cdef Shdr* s
    places = [(c.frags[<uint32_t>frag].file, frag - c.files[c.frags[<uint32_t>frag].file].frag_base) for frag in frags]
    for k in range(c.nshared):
        f = &c.files[c.shared[k]]
        for i in range(1, f.shnum if f.shdrs != NULL else 0):
            if f.shdrs[i].sh_type == SHT_PROGBITS and is_warning(f, i):
                places.append((c.shared[k], i))
    found = []
    for id, i in places:
        f = &c.files[id]
        s = &f.shdrs[i]
        if s.sh_size <= f.size and s.sh_offset <= f.size - s.sh_size and not s.sh_flags & SHF_COMPRESSED:
            found.append((id, <bytes>(f.shstrtab + s.sh_name + 13),
                          (<const char*>(f.data + s.sh_offset))[:s.sh_size].rstrip(b"\0")))
    return found


def section_bytes(Tables tables, uint32_t frag):
    """The input bytes of a fragment."""
    cdef Fragment* g = &tables.c.frags[frag]
    if g.data == NULL:
        return b""
    return (<const char*>g.data)[:g.size]


def set_contents(Tables tables, uint32_t frag, bytes contents, uint32_t align):
    """Replaces the bytes of a fragment (decompressed contents); align in bytes. The tables keep `contents`."""
    cdef Fragment* g = &tables.c.frags[frag]
    tables.buffers.append(contents)
    g.data = <const uint8_t*><const char*>contents
    g.size = len(contents)
    g.align_log2 = log2_of(align)
    g.sh_flags &= ~<uint32_t>SHF_COMPRESSED


def section_name(Tables tables, uint32_t frag):
    """Input name of a fragment, str; "COMMON" for commons."""
    cdef Fragment* g
    cdef File* f
    if frag == 0 or frag >= tables.c.nfrags:
        return "<none>"
    g = &tables.c.frags[frag]
    if g.kind == FRAG_COMMON:
        return "COMMON"
    if frag >= tables.c.first_extra and tables.c.first_extra:
        return "<linker>"
    f = &tables.c.files[g.file]
    return (f.shstrtab + f.shdrs[frag - f.frag_base].sh_name).decode("utf-8", "surrogateescape")


def fragment(Tables tables, uint32_t frag):
    """(file, type, flags, size, align, kind, state, rule, output, nrelocs) of a fragment."""
    cdef Fragment* g = &tables.c.frags[frag]
    return (g.file, g.sh_type, g.sh_flags, g.size, 1 << g.align_log2, g.kind, tables.c.frag_state[frag], g.rule,
            g.output, g.nrelocs)


def compression(Tables tables, uint32_t frag):
    """How a section is compressed: (is big-endian, is ELF32, is .zdebug)."""
    cdef Fragment* g = &tables.c.frags[frag]
    cdef File* f = &tables.c.files[g.file]
    return (bool(f.flags & FILE_SWAP), bool(f.flags & FILE_ELF32), not g.sh_flags & SHF_COMPRESSED)


cdef struct CommonKey:       # a common symbol, sortable
    uint32_t order           # rank of its file
    uint32_t sym             # symbol index
    uint32_t gid             # global


cdef int compare_commons(const void* a, const void* b) noexcept nogil:
    cdef const CommonKey* x = <const CommonKey*>a
    cdef const CommonKey* y = <const CommonKey*>b
    if x.order != y.order:
        return -1 if x.order < y.order else 1
    return -1 if x.sym < y.sym else 1


def freeze_sections(Tables tables):
    """No more input sections: what follows them are extra fragments."""
    tables.c.first_extra = tables.c.nfrags


def allocate_commons(Tables tables):
    """Gives each common symbol that won a fragment of its own, in file order, and makes it a definition.
    Returns the number of commons. Freezes first_extra in every case."""
    cdef Columns* c = &tables.c
    cdef uint32_t gid, n = 0, i, frag
    cdef CommonKey* keys
    cdef Fragment* g
    cdef Global* s
    c.first_extra = c.nfrags
    if c.ncommon == 0:
        return 0
    keys = <CommonKey*>malloc((<uint64_t>c.ncommon + 1) * sizeof(CommonKey))
    if keys == NULL:
        raise MemoryError
    for gid in range(1, c.nglobals):
        if c.globals[gid].state == SYM_COMMON:
            keys[n].order = c.files[c.globals[gid].file].order
            keys[n].sym = c.globals[gid].sym
            keys[n].gid = gid
            n += 1
    qsort(keys, n, sizeof(CommonKey), compare_commons)
    tables.reserve_frags(n)
    for i in range(n):
        s = &c.globals[keys[i].gid]
        frag = c.nfrags
        c.nfrags += 1
        g = &c.frags[frag]
        memset(g, 0, sizeof(Fragment))
        g.file = s.file
        g.sh_type = SHT_NOBITS
        g.sh_flags = SHF_ALLOC | SHF_WRITE | (SHF_TLS if s.type == STT_TLS else 0)
        if c.files[s.file].syms[s.sym].st_shndx != SHN_COMMON:
            g.sh_flags |= c.large_flag
        g.kind = FRAG_COMMON
        g.size = s.size
        g.align_log2 = log2_of(s.value)
        g.link = keys[i].gid
        c.frag_state[frag] = STATE_LIVE
        s.frag = frag
        s.value = 0
        s.state = SYM_DEFINED
        if s.type == STT_COMMON:
            s.type = STT_OBJECT
    free(keys)
    return n
