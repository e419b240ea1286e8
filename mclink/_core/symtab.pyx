"""Level 2, output: .symtab and .strtab, planned and written in parallel, a file at a time.

Locals of each live object in link order, names made local among them, then globals: those that objects define or
refer to in the order of the files that hold the row, those of shared objects, those of the linker.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from libc.stdlib cimport malloc, calloc, free
from libc.string cimport memcpy, memset, strchr, strlen
from mclink._core.bytes cimport store32
from mclink._core.elf cimport *
from mclink._core.mapping cimport is_mapping
from mclink._core.ops cimport CODE_MARKS, CodeMark, Ops, ThunkName
from mclink._core.outrec cimport store_symbol, symbol_size
from mclink._core.parallel cimport parallel_for
from mclink._core.tables cimport *

cdef extern from *:
    void prefetch "__builtin_prefetch"(const void* p) noexcept nogil

cdef enum:
    AHEAD = 8                # globals prefetched ahead

cdef enum:
    DISCARD_MERGED = 0       # default: compiler-made names (.L) in mergeable sections go
    DISCARD_TEMPORARY = 1    # -X: all names that start with .L go
    DISCARD_ALL = 2          # -x
    DISCARD_NONE = 3         # --discard-none

cdef struct FilePlan:        # what one file contributes
    uint32_t nlocal          # entries in the local part
    uint32_t nglobal         # entries in the global part
    uint64_t nstring         # bytes of names, terminators included
    uint32_t first_local     # index of its first local entry
    uint32_t first_global    # index of its first global entry
    uint64_t first_string    # offset of its first name in .strtab

cdef struct Plan:
    Columns* c               # the tables
    FilePlan* files          # [nlive + nshared + 1]; the last is the linker's names
    uint32_t discard         # DISCARD_*
    uint32_t only_marked     # 1: --retain-symbols-file, only names with gmark
    uint32_t sections        # 1: -r, --emit-relocs: a section symbol for each output section, by number
    uint8_t* out             # .symtab being written, NULL while counting
    char* strings            # .strtab being written
    uint32_t* extended       # .symtab_shndx being written, or NULL
    uint32_t* local_index    # [flat locals] new index of each local symbol, NULL unless asked for
    const uint64_t* local_base # [nlive] first element of each file in local_index
    uint32_t* global_index   # [nglobals] new index of each global, NULL unless asked for
    uint32_t nfiles          # rows of `files`
    const Ops* ops           # the target, NULL: none is attached


cdef inline bint has_marks(const Plan* p) noexcept nogil:
    """True when the target has mapping symbols."""
    return p.ops != NULL and p.ops.mark_letters != NULL


cdef inline uint64_t value_base(const Columns* c, uint32_t output) noexcept nogil:
    """What the values of an output section's symbols count from: under -r its start, whatever address a script gives
    it (gABI), else 0."""
    return c.outputs[output].address if c.relocatable else 0


cdef bint keep_local(Plan* p, const File* f, uint32_t i) noexcept nogil:
    """Does a local symbol stay in .symtab?"""
    cdef Columns* c = p.c
    cdef const Sym* s = &f.syms[i]
    cdef uint32_t frag
    cdef const char* name
    cdef uint8_t type = s.st_info & 15
    if type == STT_SECTION or s.st_name >= f.strtab_size:
        return False
    if (c.relocatable or c.emit_relocs) and shndx_is_ordinary(f, i):
        # A relocation against a mergeable section needs the name: from a section symbol nobody could tell
        # which string an addend means.
        frag = sym_frag(c, f, i)
        if c.frags[frag].sh_flags & SHF_MERGE and f.strtab[s.st_name] != 0 and c.frags[frag].output != 0 and \
                c.frag_state[frag] & STATE_LIVE:
            return True
    if type == STT_FILE:
        return p.discard != DISCARD_ALL and not p.only_marked
    if p.local_index != NULL and s.st_shndx != SHN_UNDEF and p.local_index[p.local_base[f.order - 1] + i] != 0:
        return True
    name = f.strtab + s.st_name
    if s.st_shndx == SHN_UNDEF or p.only_marked or p.discard == DISCARD_ALL and not (
            has_marks(p) and is_mapping(p.ops.mark_letters, name)):
        # Without mapping symbols nobody could tell code from data, so they stay.
        return False
    if name[0] == 0:
        return False
    if s.st_shndx < SHN_LORESERVE or s.st_shndx == SHN_XINDEX:
        frag = sym_frag(c, f, i)
        if frag == 0 or not c.frag_state[frag] & STATE_LIVE or c.frags[frag].output == 0:
            return False
        if name[0] == c'.' and name[1] == c'L':
            if p.discard == DISCARD_TEMPORARY:
                return False
            if p.discard == DISCARD_MERGED and c.frags[frag].sh_flags & SHF_MERGE:
                return False
    return True


cdef int place_global(Plan* p, uint32_t gid, uint32_t file, uint32_t index) noexcept nogil:
    """Where the row of a name goes when file and index own it: 0 nowhere, 1 locals, 2 globals."""
    cdef Columns* c = p.c
    cdef Global* g = &c.globals[gid]
    cdef uint32_t flags = c.gflags[gid]
    if g.file != file or g.sym != index or flags & G_LINKER:
        return 0
    if p.only_marked and not c.gmark[gid]:
        return 0
    if g.state == SYM_DEFINED or g.state == SYM_DEFINED_WEAK or g.state == SYM_COMMON:
        if g.frag != 0 and (not c.frag_state[g.frag] & STATE_LIVE or c.frags[g.frag].output == 0):
            # A folded section's symbols stand for its leader; a dead one's go.
            if not c.frag_state[g.frag] & STATE_FOLDED:
                return 0
    elif not flags & G_REF_REGULAR:
        return 0
    if flags & G_FORCED_LOCAL and not c.relocatable and g.state != SYM_UNDEF and g.state != SYM_UNDEF_WEAK:
        return 1 if p.discard != DISCARD_ALL else 0
    return 2


cdef void put_symbol(Plan* p, uint32_t at, const Sym* s, uint32_t section) noexcept nogil:
    """Writes entry `at`; section: header index, or a reserved SHN_ number when s.st_shndx says so."""
    cdef Columns* c = p.c
    cdef uint16_t shndx = s.st_shndx
    if shndx == SHN_UNDEF and section != 0:
        if section >= SHN_LORESERVE:
            shndx = SHN_XINDEX
            if p.extended != NULL:
                store32(&p.extended[at], section, c.swap)
        else:
            shndx = <uint16_t>section
    store_symbol(c, p.out + <uint64_t>at * symbol_size(c), s.st_name, s.st_info, s.st_other, shndx, s.st_value, s.st_size)


cdef void put_global(Plan* p, uint32_t gid, uint32_t at, uint64_t string, bint local) noexcept nogil:
    """Writes the entry and the name of a global."""
    cdef Columns* c = p.c
    cdef Global* g = &c.globals[gid]
    cdef Sym s
    cdef uint32_t section = 0, output = 0
    memset(&s, 0, sizeof(Sym))
    memcpy(p.strings + string, g.name, g.name_len)
    p.strings[string + g.name_len] = 0
    s.st_name = <uint32_t>string
    s.st_size = g.size
    s.st_other = (g.visibility & 3) | g.other
    s.st_info = ((STB_LOCAL if local else g.bind) << 4) | g.type
    if g.state == SYM_COMMON:
        s.st_shndx = SHN_COMMON
        s.st_value = g.value
    elif g.state == SYM_DEFINED or g.state == SYM_DEFINED_WEAK or c.gflags[gid] & G_COPIED:
        s.st_value = c.gvalue[gid]
        if c.gflags[gid] & G_CANONICAL_PLT and g.frag != 0:
            # An IFUNC whose address is its PLT entry: the table names the resolver, as GNU ld's.
            s.st_value = frag_address(c, g.frag, g.value)
        if g.frag != 0:
            output = c.frags[g.frag].output
            if c.frag_state[g.frag] & STATE_FOLDED:
                output = c.frags[c.frags[g.frag].link].output
        elif c.gflags[gid] & G_LINKER:
            output = g.sym
        section = c.outputs[output].index
        s.st_value -= value_base(c, output)
        if section == 0:
            s.st_shndx = SHN_ABS
        elif g.type == STT_TLS and not c.relocatable:
            s.st_value -= c.image.tls_start
    else:
        # Undefined: weak when every reference was.
        s.st_other &= ~<uint8_t>3 if g.state == SYM_SHARED else <uint8_t>0xff
        s.st_info = ((STB_WEAK if not c.gflags[gid] & G_REF_STRONG else STB_GLOBAL) << 4) | g.type
        if g.state == SYM_SHARED and g.type == STT_GNU_IFUNC:
            s.st_info = (s.st_info & 0xf0) | STT_FUNC
        s.st_size = 0
        if c.gflags[gid] & G_CANONICAL_PLT:
            s.st_value = c.gvalue[gid]
    put_symbol(p, at, &s, section)
    if p.global_index != NULL:
        p.global_index[gid] = at


cdef void mark_used(void* context, int64_t index, int thread) noexcept nogil:
    """Marks the local names of one live object that relocations of the output refer to: these stay whatever is
    discarded, as with GNU ld, since a field that holds its addend may have no room for an offset in the section."""
    cdef Plan* p = <Plan*>context
    cdef Columns* c = p.c
    cdef const File* f = &c.files[c.live[index]]
    cdef uint32_t frag, i, target, sym
    cdef uint32_t* marks = p.local_index + p.local_base[index]
    if f.kind == FILE_INTERNAL:
        return
    for frag in range(f.frag_base + 1, f.frag_base + f.shnum):
        if not c.frag_state[frag] & STATE_LIVE or c.frags[frag].output == 0:
            continue
        for i in range(c.frags[frag].nrelocs):
            sym = c.frags[frag].relocs[i].r_sym
            if sym == 0 or sym >= f.first_global or f.syms[sym].st_info & 15 == STT_SECTION \
                    or f.syms[sym].st_name >= f.strtab_size or f.strtab[f.syms[sym].st_name] == 0:
                continue
            target = sym_frag(c, f, sym)
            if target != 0 and c.frag_state[target] & STATE_LIVE and c.frags[target].output != 0:
                marks[sym] = 1


cdef void visit_object(void* context, int64_t index, int thread) noexcept nogil:
    """Counts, or writes, the entries of one live object."""
    cdef Plan* p = <Plan*>context
    cdef Columns* c = p.c
    cdef FilePlan* plan = &p.files[index]
    cdef uint32_t id, i, gid, frag, local, glob
    cdef uint64_t string, length
    cdef File* f
    cdef Sym s
    cdef int where
    cdef bint writing = p.out != NULL
    cdef bint is_object = index < c.nlive
    id = c.live[index] if is_object else c.shared[index - c.nlive]
    f = &c.files[id]
    if f.kind == FILE_INTERNAL or f.gids == NULL and f.first_global == 0:
        return
    local = plan.first_local
    glob = plan.first_global
    string = plan.first_string
    if is_object:
        for i in range(1, f.first_global):
            if not keep_local(p, f, i):
                continue
            length = strlen(f.strtab + f.syms[i].st_name) + 1
            if writing:
                s = f.syms[i]
                memcpy(p.strings + string, f.strtab + s.st_name, length)
                s.st_name = <uint32_t>string
                frag = 0
                if s.st_shndx < SHN_LORESERVE or s.st_shndx == SHN_XINDEX:
                    frag = sym_frag(c, f, i)
                    s.st_shndx = SHN_UNDEF
                if frag:
                    s.st_value = frag_address(c, frag, s.st_value)
                    if s.st_info & 15 == STT_TLS and not c.relocatable:
                        s.st_value -= c.image.tls_start
                    s.st_value -= value_base(c, c.frags[frag].output)
                put_symbol(p, local, &s, c.outputs[c.frags[frag].output].index if frag else 0)
                if p.local_index != NULL:
                    p.local_index[p.local_base[index] + i] = local
            local += 1
            string += length
    if f.gids != NULL:
        for i in range(f.first_global, f.nsyms):
            if i + AHEAD < f.nsyms:
                prefetch(&c.globals[f.gids[i + AHEAD - f.first_global]])
                prefetch(&c.gflags[f.gids[i + AHEAD - f.first_global]])
            gid = f.gids[i - f.first_global]
            where = place_global(p, gid, id, i)
            if where == 0:
                continue
            if writing:
                put_global(p, gid, local if where == 1 else glob, string, where == 1)
            if where == 1:
                local += 1
            else:
                glob += 1
            string += c.globals[gid].name_len + 1
    if not writing:
        plan.nlocal = local
        plan.nglobal = glob
        plan.nstring = string


cdef void put_sections(Plan* p) noexcept nogil:
    """Writes the section symbols."""
    cdef Sym s
    cdef uint32_t i
    memset(&s, 0, sizeof(Sym))
    s.st_info = STT_SECTION
    for i in range(1, p.c.noutputs + 1):
        s.st_value = p.c.outputs[i].address - value_base(p.c, i)
        put_symbol(p, i, &s, p.c.outputs[i].index)


cdef void visit_linker(Plan* p) noexcept nogil:
    """Counts, or writes, the names that the linker and scripts define."""
    cdef Columns* c = p.c
    cdef FilePlan* plan = &p.files[p.nfiles - 1]
    cdef uint32_t gid, local = plan.first_local, glob = plan.first_global
    cdef uint64_t string = plan.first_string
    cdef bint writing = p.out != NULL
    cdef bint forced
    for gid in range(1, c.nglobals):
        if not c.gflags[gid] & G_LINKER:
            continue
        if p.only_marked and not c.gmark[gid]:
            continue
        forced = c.gflags[gid] & G_FORCED_LOCAL and not c.relocatable
        if forced and p.discard == DISCARD_ALL:
            continue
        if writing:
            put_global(p, gid, local if forced else glob, string, forced)
        if forced:
            local += 1
        else:
            glob += 1
        string += c.globals[gid].name_len + 1
    if has_marks(p) and not p.only_marked and not c.relocatable:
        visit_code(p, &local, &string)
    if not writing:
        plan.nlocal = local
        plan.nglobal = glob
        plan.nstring = string


cdef void put_local(Plan* p, uint32_t* at, uint32_t frag, uint64_t offset, uint8_t type, uint64_t size, uint64_t bits,
                    uint64_t string) noexcept nogil:
    """Counts, or writes, a local symbol of code that the linker makes."""
    cdef Sym s
    if p.out != NULL:
        memset(&s, 0, sizeof(Sym))
        s.st_name = <uint32_t>string
        s.st_value = (p.c.frag_addr[frag] + offset) | bits
        s.st_size = size
        s.st_info = type
        put_symbol(p, at[0], &s, p.c.outputs[p.c.frags[frag].output].index)
    at[0] += 1


cdef void put_marks(Plan* p, uint32_t* at, uint32_t frag, uint64_t offset, const CodeMark* marks,
                    uint64_t letters) noexcept nogil:
    """The mapping symbols of one piece of code; letters: offset in .strtab of their names."""
    cdef uint32_t i
    for i in range(CODE_MARKS):
        if marks[i].letter == 0:
            return
        put_local(p, at, frag, offset + marks[i].offset, 0, 0, 0,
                  letters + 3 * <uint64_t>(strchr(p.ops.mark_letters, marks[i].letter) - p.ops.mark_letters))


cdef void visit_plt(Plan* p, uint32_t* at, uint32_t special, uint64_t header, uint64_t entry,
                    uint64_t letters) noexcept nogil:
    cdef Columns* c = p.c
    cdef uint32_t frag = c.special[special]
    cdef uint64_t offset = header
    if frag == 0 or c.frags[frag].output == 0 or c.frags[frag].size == 0:
        return
    if header or not p.ops.plt.entry_marks[0].letter:
        put_marks(p, at, frag, 0, p.ops.plt.header_marks, letters)
    while entry and p.ops.plt.entry_marks[0].letter and offset + entry <= c.frags[frag].size:
        put_marks(p, at, frag, offset, p.ops.plt.entry_marks, letters)
        offset += entry


cdef uint64_t put_thunk_name(Plan* p, const Thunk* t, const ThunkName* name, uint64_t string) noexcept nogil:
    """Counts, or writes, the name of a thunk; its bytes, terminator included."""
    cdef Columns* c = p.c
    cdef const File* f = &c.files[t.file]
    cdef const char* parts[3]
    cdef uint64_t lengths[3]
    cdef uint64_t total = 0
    cdef uint32_t i
    parts[0] = name.prefix
    parts[1] = parts[2] = b""
    lengths[0] = strlen(name.prefix)
    lengths[1] = lengths[2] = 0
    if name.suffix != NULL:
        if t.gid:
            parts[1] = c.globals[t.gid].name
            lengths[1] = c.globals[t.gid].name_len
        elif t.sym < f.nsyms and f.syms[t.sym].st_name < f.strtab_size:
            parts[1] = f.strtab + f.syms[t.sym].st_name
            lengths[1] = strlen(parts[1])
        parts[2] = name.suffix
        lengths[2] = strlen(name.suffix)
    for i in range(3):
        if p.out != NULL:
            memcpy(p.strings + string + total, parts[i], lengths[i])
        total += lengths[i]
    if p.out != NULL:
        p.strings[string + total] = 0
    return total + 1


cdef void visit_code(Plan* p, uint32_t* local, uint64_t* string) noexcept nogil:
    """Counts, or writes, the names of thunks, and the mapping symbols of thunks and PLT entries."""
    cdef Columns* c = p.c
    cdef const Ops* ops = p.ops
    cdef const Thunk* t
    cdef ThunkName name
    cdef uint32_t i
    cdef uint64_t letters = string[0]
    for i in range(strlen(ops.mark_letters)):
        if p.out != NULL:
            p.strings[string[0]] = c'$'
            p.strings[string[0] + 1] = ops.mark_letters[i]
            p.strings[string[0] + 2] = 0
        string[0] += 3
    visit_plt(p, local, SPECIAL_PLT, ops.plt.header_size, ops.plt.entry_size, letters)
    visit_plt(p, local, SPECIAL_PLT_GOT, 0, ops.plt.got_size, letters)
    visit_plt(p, local, SPECIAL_IPLT, 0, ops.plt.got_size, letters)
    for i in range(1, c.nthunks):
        t = &c.thunks[i]
        name.prefix = NULL
        if ops.name_thunk != NULL:
            name.suffix = NULL
            name.bits = 0
            ops.name_thunk(c, t, &name)
        if name.prefix != NULL:
            put_local(p, local, t.frag, t.offset, STT_FUNC, ops.thunk_sizes[t.kind], name.bits, string[0])
            string[0] += put_thunk_name(p, t, &name, string[0])
        put_marks(p, local, t.frag, t.offset, ops.thunk_marks[t.kind], letters)


cdef class SymbolTable:
    """The plan of .symtab: sizes first, contents later.

    count, first_global: entries, and index of the first global (sh_info); string_size: bytes of .strtab."""
    cdef Plan plan
    cdef Tables tables
    cdef readonly uint32_t count
    cdef readonly uint32_t first_global
    cdef readonly uint64_t string_size
    cdef uint32_t* indices
    cdef uint64_t* bases

    def __init__(self, Tables tables, uint32_t discard, bint only_marked, bint relocated):
        """discard: 0 default, 1 -X, 2 -x, 3 --discard-none; relocated: -r, --emit-relocs: a section symbol for each of
        Columns.outputs stands behind entry 0, and the new index of every symbol is kept."""
        cdef Columns* c = &tables.c
        cdef Plan* p = &self.plan
        cdef uint32_t k
        cdef uint64_t total = 0
        cdef uint32_t n = c.nlive + c.nshared + 1
        self.tables = tables
        p.c = c
        p.discard = discard
        p.only_marked = only_marked
        p.nfiles = n
        p.ops = <const Ops*>c.ops
        p.files = <FilePlan*>calloc(n, sizeof(FilePlan))
        if p.files == NULL:
            raise MemoryError
        p.sections = relocated
        if relocated:
            self.bases = <uint64_t*>malloc((n + 1) * sizeof(uint64_t))
            if self.bases == NULL:
                raise MemoryError
            for k in range(c.nlive):
                self.bases[k] = total
                total += c.files[c.live[k]].first_global
            self.indices = <uint32_t*>calloc(total + 1, sizeof(uint32_t))
            p.global_index = <uint32_t*>calloc(c.nglobals + 1, sizeof(uint32_t))
            if self.indices == NULL or p.global_index == NULL:
                raise MemoryError
            p.local_index = self.indices
            p.local_base = self.bases
        with nogil:
            if relocated and (discard == DISCARD_TEMPORARY or discard == DISCARD_ALL or only_marked):
                parallel_for(mark_used, p, c.nlive, c.threads)
            parallel_for(visit_object, p, n - 1, c.threads)
            visit_linker(p)
        self.assign(c.noutputs if relocated else 0)

    cdef void assign(self, uint32_t reserved):
        """Turns counts into first indices and offsets."""
        cdef Plan* p = &self.plan
        cdef uint32_t k
        cdef uint32_t local = 1 + reserved, glob
        cdef uint64_t string = 1
        for k in range(p.nfiles):
            p.files[k].first_local = local
            local += p.files[k].nlocal
            p.files[k].first_string = string
            string += p.files[k].nstring
        self.first_global = local
        glob = local
        for k in range(p.nfiles):
            p.files[k].first_global = glob
            glob += p.files[k].nglobal
        self.count = glob
        self.string_size = string

    def write(self, size_t symtab, size_t strtab, size_t extended):
        """Writes the tables at addresses `symtab`, `strtab` and `extended` (0: no .symtab_shndx). Columns.outputs has
        the section header indices."""
        cdef Plan* p = &self.plan
        cdef Columns* c = p.c
        p.out = <uint8_t*>symtab
        p.strings = <char*>strtab
        p.extended = <uint32_t*>extended
        memset(p.out, 0, symbol_size(c))
        p.strings[0] = 0
        with nogil:
            if p.sections:
                put_sections(p)
            parallel_for(visit_object, p, p.nfiles - 1, c.threads)
            visit_linker(p)
        p.out = NULL

    def index_tables(self):
        """Addresses of (local_index, local_base, global_index) for _core.relocs; 0 unless wanted."""
        return (<size_t>self.plan.local_index, <size_t>self.plan.local_base, <size_t>self.plan.global_index)

    def __dealloc__(self):
        free(self.plan.files)
        free(self.plan.global_index)
        free(self.indices)
        free(self.bases)


def mark_names(Tables tables, gids):
    """--retain-symbols-file: marks the names that stay."""
    memset(tables.c.gmark, 0, tables.c.nglobals)
    for gid in gids:
        tables.c.gmark[<uint32_t>gid] = 1
