"""Level 2, output: -r: the output sections that nothing but their members says anything about, and section groups.

They are counted in hundreds of thousands, other output sections in tens: so they are rows (Columns.plain, made by
Members.number_plain), numbered behind Link.outputs, and their headers stand behind those of the others.
Source: gABI chapter 4, "Section Groups".
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from libc.stdlib cimport malloc, calloc, free
from libc.string cimport memcpy, strlen
from mclink._core.bytes cimport load32, store32
from mclink._core.elf cimport *
from mclink._core.ops cimport Ops
from mclink._core.outrec cimport record_size, word_size
from mclink._core.parallel cimport parallel_for
from mclink._core.tables cimport *

cdef enum:
    UNIT = 512               # rows of one task

cdef struct Group:           # a section group
    uint64_t offset          # file offset of its contents
    uint32_t file            # file id
    uint32_t section         # section index of the group there
    uint32_t words           # words of its contents; before groups are sized, live members

cdef struct Work:            # what tasks need
    Columns* c               # the tables
    Group* groups            # rows of groups
    const uint64_t* base     # [nlive] first row of each live file
    uint64_t count           # rows of the table that is worked on
    uint8_t* out             # first byte of the image, or of the names
    Shdr* headers            # headers being filled, by index
    uint32_t symtab          # section header index of .symtab
    uint32_t names           # offset in .shstrtab of the names
    const uint32_t* local_index # see relocs.pyx, Work
    const uint64_t* local_base
    const uint32_t* global_index


cdef Work plain_work(Tables tables):
    cdef Work w
    w.c = &tables.c
    w.count = tables.c.nplain
    return w


cdef inline int64_t units(const Work* w) noexcept nogil:
    """Tasks for w.count rows."""
    return (w.count + UNIT - 1) // UNIT


cdef inline uint64_t unit_end(const Work* w, int64_t index) noexcept nogil:
    """The row behind those of a task."""
    return min(<uint64_t>(index + 1) * UNIT, w.count)


cdef inline uint32_t first_plain(const Columns* c) noexcept nogil:
    """Output number of row 0."""
    return c.noutputs - c.nplain + 1


cdef inline const char* plain_name(const Columns* c, const Plain* p) noexcept nogil:
    cdef uint32_t frag = p.members[0]
    cdef const File* f = &c.files[c.frags[frag].file]
    return f.shstrtab + f.shdrs[frag - f.frag_base].sh_name


cdef inline uint32_t prefix_size(const Columns* c) noexcept nogil:
    """Bytes of .rela or .rel."""
    return 5 if c.rela_records else 4


cdef void measure_names(void* context, int64_t index, int thread) noexcept nogil:
    cdef Work* w = <Work*>context
    cdef uint64_t i
    for i in range(index * UNIT, unit_end(w, index)):
        w.c.plain[i].name = <uint32_t>strlen(plain_name(w.c, &w.c.plain[i])) + 1


def index_outputs(Tables tables, rows, uint32_t index):
    """Makes Columns.outputs: rows are (address, header index, header index of the relocations or 0) of Python's output
    sections, `index` the first header index for the others. Returns (next free index, bytes of the others' names)."""
    cdef Columns* c = &tables.c
    cdef Work w = plain_work(tables)
    cdef Output* o
    cdef Plain* p
    cdef uint32_t i, size
    cdef uint64_t names = 0
    free(c.outputs)
    c.noutputs = <uint32_t>len(rows) + c.nplain
    c.outputs = <Output*>calloc(<size_t>c.noutputs + 1, sizeof(Output))
    if c.outputs == NULL:
        raise MemoryError
    for i, (address, number, relocs) in enumerate(rows, 1):
        c.outputs[i].address = address
        c.outputs[i].index = number
        c.outputs[i].relocs = relocs
    with nogil:
        parallel_for(measure_names, &w, units(&w), c.threads)
        o = c.outputs + first_plain(c)
        for i in range(c.nplain):
            p = &c.plain[i]
            o[i].index = index
            index += 1
            size = p.name
            p.name = <uint32_t>names
            if p.nrelocs:
                o[i].relocs = index
                index += 1
                size += prefix_size(c)
            names += size
    if names > 0xffffffff:
        raise MemoryError("more than 4 GiB of section names")
    return index, names


def output_index(Tables tables, uint32_t number):
    """Section header index of an output section."""
    return tables.c.outputs[number].index


def place_plain(Tables tables, uint64_t end):
    """Gives contents and relocations file offsets from `end` on; returns where they end."""
    cdef Columns* c = &tables.c
    cdef uint32_t i
    cdef Plain* p
    cdef uint64_t mask
    with nogil:
        for i in range(c.nplain):
            p = &c.plain[i]
            mask = (<uint64_t>1 << p.align_log2) - 1
            p.offset = (end + mask) & ~mask
            end = p.offset + (p.size if p.type != SHT_NOBITS else 0)
        mask = word_size(c) - 1
        end = (end + mask) & ~mask
        for i in range(c.nplain):
            p = &c.plain[i]
            p.records = end
            end += p.nrelocs * <uint64_t>record_size(c)
    return end


cdef void write_unit(void* context, int64_t index, int thread) noexcept nogil:
    cdef Work* w = <Work*>context
    cdef Columns* c = w.c
    cdef const Ops* ops = <const Ops*>c.ops
    cdef uint64_t i, at
    cdef uint32_t k
    cdef Plain* p
    cdef Fragment* g
    cdef uint8_t* out
    for i in range(index * UNIT, unit_end(w, index)):
        p = &c.plain[i]
        if p.type == SHT_NOBITS:
            continue
        out = w.out + p.offset
        at = 0
        for k in range(p.count):
            g = &c.frags[p.members[k]]
            if c.frag_addr[p.members[k]] > at and p.flags & SHF_EXECINSTR and ops.fill_code != NULL:
                ops.fill_code(out + at, c.frag_addr[p.members[k]] - at)
            at = c.frag_addr[p.members[k]]
            if g.data != NULL:
                memcpy(out + at, g.data, g.size)
            at += g.size


def write_plain(Tables tables, size_t image):
    """Writes contents into the image at address `image`."""
    cdef Work w = plain_work(tables)
    w.out = <uint8_t*>image
    with nogil:
        parallel_for(write_unit, &w, units(&w), w.c.threads)


cdef void name_unit(void* context, int64_t index, int thread) noexcept nogil:
    cdef Work* w = <Work*>context
    cdef Columns* c = w.c
    cdef uint64_t i
    cdef const char* name
    cdef uint8_t* out
    for i in range(index * UNIT, unit_end(w, index)):
        name = plain_name(c, &c.plain[i])
        out = w.out + c.plain[i].name
        if c.plain[i].nrelocs:
            memcpy(out, b".rela", prefix_size(c))
            out += prefix_size(c)
        memcpy(out, name, strlen(name) + 1)


def write_names(Tables tables, size_t out):
    """Writes the names to address `out`, in .shstrtab."""
    cdef Work w = plain_work(tables)
    w.out = <uint8_t*>out
    with nogil:
        parallel_for(name_unit, &w, units(&w), w.c.threads)


cdef void fill_header(Work* w, uint32_t number, const Plain* p) noexcept nogil:
    cdef Columns* c = w.c
    cdef const Output* o = &c.outputs[number]
    cdef const Fragment* g = &c.frags[p.members[0]]
    cdef Shdr* h = &w.headers[o.index]
    h.sh_type = p.type
    h.sh_flags = p.flags
    h.sh_offset = p.offset
    h.sh_size = p.size
    h.sh_addralign = <uint64_t>1 << p.align_log2
    h.sh_entsize = p.entsize
    h.sh_name = w.names + p.name
    if p.flags & SHF_LINK_ORDER and g.link < c.nfrags:
        h.sh_link = c.outputs[c.frags[g.link].output].index
    if o.relocs == 0:
        return
    h.sh_name += prefix_size(c)
    h = &w.headers[o.relocs]
    h.sh_name = w.names + p.name
    h.sh_type = SHT_RELA if c.rela_records else SHT_REL
    h.sh_flags = SHF_INFO_LINK | (p.flags & SHF_GROUP)
    h.sh_offset = p.records
    h.sh_entsize = record_size(c)
    h.sh_size = p.nrelocs * h.sh_entsize
    h.sh_link = w.symtab
    h.sh_info = o.index
    h.sh_addralign = word_size(c)


cdef void header_unit(void* context, int64_t index, int thread) noexcept nogil:
    cdef Work* w = <Work*>context
    cdef uint64_t i
    for i in range(index * UNIT, unit_end(w, index)):
        fill_header(w, first_plain(w.c) + <uint32_t>i, &w.c.plain[i])


def fill_headers(Tables tables, size_t headers, uint32_t symtab, uint32_t names):
    """Fills rows of the header table at address `headers`. symtab: section header index of .symtab; names: offset in
    .shstrtab of the names."""
    cdef Work w = plain_work(tables)
    w.headers = <Shdr*>headers
    w.symtab = symtab
    w.names = names
    with nogil:
        parallel_for(header_unit, &w, units(&w), w.c.threads)


cdef inline bint is_member(Columns* c, const File* f, uint32_t section) noexcept nogil:
    """True when a member of a group has a place in the output."""
    cdef uint32_t frag = f.frag_base + section
    return (section < f.shnum and c.frags[frag].kind != FRAG_NONE and c.frag_state[frag] & STATE_LIVE != 0
            and c.frags[frag].output != 0)


cdef uint32_t group_contents(Columns* c, const Group* g, uint8_t* out) noexcept nogil:
    """Number of words of a group's contents; writes them unless out is NULL. An output section and its relocations
    are named once."""
    cdef const File* f = &c.files[g.file]
    cdef const Shdr* s = &f.shdrs[g.section]
    cdef const uint8_t* p = f.data + s.sh_offset
    cdef bint swap = f.flags & FILE_SWAP != 0
    cdef uint32_t i, k, section, number, n = 1
    if out != NULL:
        store32(out, load32(p, swap), c.swap)
    for i in range(1, group_words(s)):
        section = load32(p + 4 * <uint64_t>i, swap)
        if not is_member(c, f, section):
            continue
        number = c.frags[f.frag_base + section].output
        if number < first_plain(c):
            for k in range(1, i):
                section = load32(p + 4 * <uint64_t>k, swap)
                if is_member(c, f, section) and c.frags[f.frag_base + section].output == number:
                    break
            else:
                k = i
            if k < i:
                continue
        if out != NULL:
            store32(out + 4 * <uint64_t>n, c.outputs[number].index, c.swap)
        n += 1
        if c.outputs[number].relocs:
            if out != NULL:
                store32(out + 4 * <uint64_t>n, c.outputs[number].relocs, c.swap)
            n += 1
    return n


cdef void find_groups(void* context, int64_t index, int thread) noexcept nogil:
    """The groups of one live file, with the number of their members in the output."""
    cdef Work* w = <Work*>context
    cdef Columns* c = w.c
    cdef uint32_t id = c.live[index]
    cdef const File* f = &c.files[id]
    cdef const Shdr* s
    cdef Group* g
    cdef uint32_t j, i
    for j in range(f.ngroups):
        s = &f.shdrs[f.groups[j]]
        if c.frag_state[f.frag_base + f.groups[j]] & STATE_DISCARDED:
            continue
        g = &w.groups[w.base[index] + j]
        g.file = id
        g.section = f.groups[j]
        for i in range(1, group_words(s)):
            g.words += is_member(c, f, load32(f.data + s.sh_offset + 4 * <uint64_t>i, f.flags & FILE_SWAP != 0))


cdef void size_unit(void* context, int64_t index, int thread) noexcept nogil:
    cdef Work* w = <Work*>context
    cdef uint64_t i
    for i in range(index * UNIT, unit_end(w, index)):
        w.groups[i].words = group_contents(w.c, &w.groups[i], NULL)


cdef uint32_t signature(Work* w, const Group* g) noexcept nogil:
    """Symbol-table index of the symbol that names a group; when it was dropped, of its first member's section."""
    cdef Columns* c = w.c
    cdef const File* f = &c.files[g.file]
    cdef const Shdr* s = &f.shdrs[g.section]
    cdef uint32_t i, section
    if s.sh_info >= f.first_global:
        return w.global_index[f.gids[s.sh_info - f.first_global]]
    i = w.local_index[w.local_base[f.order - 1] + s.sh_info]
    if i:
        return i
    for i in range(1, group_words(s)):
        section = load32(f.data + s.sh_offset + 4 * <uint64_t>i, f.flags & FILE_SWAP != 0)
        if is_member(c, f, section):
            return c.frags[f.frag_base + section].output
    return 0


cdef void group_unit(void* context, int64_t index, int thread) noexcept nogil:
    """Contents and headers of some groups."""
    cdef Work* w = <Work*>context
    cdef Group* g
    cdef Shdr* h
    cdef uint64_t i
    for i in range(index * UNIT, unit_end(w, index)):
        g = &w.groups[i]
        group_contents(w.c, g, w.out + g.offset)
        h = &w.headers[i + 1]
        h.sh_type = SHT_GROUP
        h.sh_offset = g.offset
        h.sh_size = 4 * <uint64_t>g.words
        h.sh_link = w.symtab
        h.sh_info = signature(w, g)
        h.sh_addralign = 4
        h.sh_entsize = 4


cdef class Groups:
    """The section groups that -r keeps, in link order: those with a member in the output. Their headers come first,
    from index 1 on: a group stands before its members (gABI). count: how many."""
    cdef Group* groups
    cdef Tables tables
    cdef readonly uint32_t count

    def __init__(self, Tables tables):
        cdef Columns* c = &tables.c
        cdef Work w
        cdef uint64_t total = 0, i
        cdef uint32_t n = 0
        cdef uint64_t* base = <uint64_t*>malloc((<size_t>c.nlive + 1) * sizeof(uint64_t))
        self.tables = tables
        if base == NULL:
            raise MemoryError
        for i in range(c.nlive):
            base[i] = total
            total += c.files[c.live[i]].ngroups
        self.groups = <Group*>calloc(total + 1, sizeof(Group))
        if self.groups == NULL:
            free(base)
            raise MemoryError
        w.c = c
        w.groups = self.groups
        w.base = base
        with nogil:
            parallel_for(find_groups, &w, c.nlive, c.threads)
            for i in range(total):
                if self.groups[i].words:
                    self.groups[n] = self.groups[i]
                    n += 1
        self.count = n
        free(base)

    cdef Work work(self):
        cdef Work w
        w.c = &self.tables.c
        w.groups = self.groups
        w.count = self.count
        return w

    def place(self, uint64_t end):
        """Sizes the groups and gives them file offsets from `end` on; returns where they end. The header indices of
        all members are known."""
        cdef Work w = self.work()
        cdef uint64_t i
        end = (end + 3) & ~<uint64_t>3
        with nogil:
            parallel_for(size_unit, &w, units(&w), w.c.threads)
            for i in range(w.count):
                w.groups[i].offset = end
                end += 4 * <uint64_t>w.groups[i].words
        return end

    def write(self, size_t image, size_t headers, uint32_t name, uint32_t symtab, indices):
        """Writes contents into the image and fills rows of the header table, both given by address. name: offset of
        ".group" in .shstrtab; symtab: section header index of .symtab; indices: SymbolTable.index_tables()."""
        cdef Work w = self.work()
        cdef uint32_t i
        w.out = <uint8_t*>image
        w.headers = <Shdr*>headers
        w.symtab = symtab
        w.local_index = <const uint32_t*><size_t>indices[0]
        w.local_base = <const uint64_t*><size_t>indices[1]
        w.global_index = <const uint32_t*><size_t>indices[2]
        with nogil:
            parallel_for(group_unit, &w, units(&w), w.c.threads)
            for i in range(self.count):
                w.headers[i + 1].sh_name = name

    def __dealloc__(self):
        free(self.groups)
