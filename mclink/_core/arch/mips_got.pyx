"""Level 2: lays out the GOTs of MIPS and the lazy stubs; see mips_slots.pxd.

Pages are known when addresses are, so their number is bounded first: fragments of one input statement stand together,
and each needs no more pages than its bytes that are referred to.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from libc.stdlib cimport calloc, malloc, realloc, free
from libc.string cimport memset
from mclink._core.arch.mips_slots cimport *
from mclink._core.bytes cimport store32, store64
from mclink._core.elf cimport Rela, SHF_ALLOC, STT_FUNC, STT_NOTYPE
from mclink._core.formula cimport symbol_address, symbol_gid
from mclink._core.ops cimport Ops
from mclink._core.tables cimport *

cdef enum:
    HEADER_WORDS = 2         # resolver and module: the run-time linker fills them
    SPECIAL_STUBS = 32       # SPECIAL_ARCH0: .MIPS.stubs

cdef struct Range:           # what one file refers to by pages in one fragment
    uint32_t frag            # the fragment
    uint32_t next            # next row with the same hash, 0 none
    uint64_t low             # lowest offset
    uint64_t high            # highest one

cdef struct FilePages:       # page references while files are looked at
    Range* rows              # [count] of the file at hand, row 0 none
    uint32_t count           # rows in use
    uint32_t capacity        # rows allocated
    uint32_t heads[1024]     # first row by hash of the fragment


cdef uint32_t add_entry(Entries* t, const Entry* key, bint* is_new) except 0:
    """Row with that key, made when there is none."""
    cdef uint32_t at, i, old
    cdef uint32_t* slots
    cdef Entry* rows
    if t.slots == NULL or t.count * 2 > t.mask:
        old = t.mask + 1 if t.slots != NULL else 512
        slots = <uint32_t*>calloc(old * 2, sizeof(uint32_t))
        if slots == NULL:
            raise MemoryError
        t.mask = old * 2 - 1
        for i in range(1, t.count):
            at = key_hash(&t.rows[i]) & t.mask
            while slots[at]:
                at = (at + 1) & t.mask
            slots[at] = i
        free(t.slots)
        t.slots = slots
    at = key_hash(key) & t.mask
    while t.slots[at]:
        if same_key(&t.rows[t.slots[at]], key):
            is_new[0] = False
            return t.slots[at]
        at = (at + 1) & t.mask
    if t.count + 1 >= t.capacity:
        rows = <Entry*>realloc(t.rows, (t.capacity * 2 + 256) * sizeof(Entry))
        if rows == NULL:
            raise MemoryError
        t.rows = rows
        t.capacity = t.capacity * 2 + 256
    if t.count == 0:
        memset(t.rows, 0, sizeof(Entry))
        t.count = 1
    t.rows[t.count] = key[0]
    t.slots[at] = t.count
    t.count += 1
    is_new[0] = True
    return t.count - 1


cdef void free_entries(Entries* t) noexcept:
    free(t.rows)
    free(t.slots)
    memset(t, 0, sizeof(Entries))


cdef inline bint is_import(const Columns* c, uint32_t gid) noexcept nogil:
    return gid != 0 and (c.gflags[gid] & G_KIND_MASK) >= G_IMPORT_DATA


cdef inline bint is_number(const Columns* c, const Entry* e) noexcept nogil:
    if e.gid != 0:
        return (c.gflags[e.gid] & G_KIND_MASK) == G_ABSOLUTE
    return sym_frag(<Columns*>c, &c.files[e.file], e.sym) == 0


cdef uint32_t area_of(const Columns* c, const Entry* e) noexcept nogil:
    if e.kind != KIND_ADDRESS:
        return AREA_TAIL
    if is_import(c, e.gid):
        return AREA_GLOBAL
    return AREA_TAIL if c.pic and is_number(c, e) else AREA_LOCAL


cdef inline uint32_t words_of(const Entry* e) noexcept nogil:
    return 2 if e.kind == KIND_GD or e.kind == KIND_LD else 1


cdef inline bint is_defined(const Global* g) noexcept nogil:
    return g.state == SYM_DEFINED or g.state == SYM_DEFINED_WEAK or g.state == SYM_COMMON


cdef inline bint has_slots(const Columns* c, uint32_t frag) noexcept nogil:
    return c.frags[frag].verdicts != NULL and c.frags[frag].sh_flags & SHF_ALLOC and c.frag_state[frag] & STATE_LIVE


cdef bint page_target(Columns* c, const File* f, const Rela* r, uint32_t* frag, uint64_t* offset) noexcept nogil:
    """Where a page reference leads; False when it is no place in a fragment of its own."""
    cdef uint32_t gid = symbol_gid(f, r.r_sym)
    if gid != 0:
        frag[0] = c.globals[gid].frag
        offset[0] = c.globals[gid].value + <uint64_t>r.r_addend
    else:
        frag[0] = sym_frag(c, f, r.r_sym)
        offset[0] = f.syms[r.r_sym].st_value + <uint64_t>r.r_addend
    return frag[0] != 0 and c.frags[frag[0]].kind != FRAG_MERGE


cdef int note_page(FilePages* p, uint32_t frag, uint64_t offset) except -1:
    cdef uint32_t* head = &p.heads[frag & 1023]
    cdef uint32_t row = head[0]
    cdef Range* rows
    while row and p.rows[row].frag != frag:
        row = p.rows[row].next
    if row == 0:
        if p.count + 1 >= p.capacity:
            rows = <Range*>realloc(p.rows, (p.capacity * 2 + 64) * sizeof(Range))
            if rows == NULL:
                raise MemoryError
            p.rows = rows
            p.capacity = p.capacity * 2 + 64
        row = p.count
        p.count += 1
        p.rows[row].frag = frag
        p.rows[row].next = head[0]
        p.rows[row].low = p.rows[row].high = offset
        head[0] = row
        return 0
    p.rows[row].low = min(p.rows[row].low, offset)
    p.rows[row].high = max(p.rows[row].high, offset)
    return 0


cdef inline void join_calls(Entry* e, const Entry* other) noexcept nogil:
    e.called = (e.called & other.called & 1) | ((e.called | other.called) & 2)


cdef class Gots:
    """The GOTs of one link; owner of Columns.arch. Tables must outlive it."""
    cdef Tables tables
    cdef Columns* c
    cdef GotTable t
    cdef Entries wanted      # what each file needs: `got` is the file
    cdef uint64_t* file_pages # [nfiles] bound of the pages that a file needs
    cdef uint64_t* rule_bytes # [nrules] bytes of all fragments of an input statement, with their alignment
    cdef uint8_t* rule_used  # [nrules] 1: pages of it are wanted
    cdef uint32_t nrules     # input statements
    cdef uint8_t* late       # [nglobals] 1: code reaches its global entry in the first GOT; 2: it has only to be there
    cdef uint32_t ndynamic   # dynamic relocations

    def __cinit__(self, Tables tables not None):
        self.tables = tables
        self.c = &tables.c
        self.c.arch = &self.t

    def __dealloc__(self):
        cdef uint32_t i
        free_entries(&self.t.entries)
        free_entries(&self.wanted)
        for i in range(self.t.ngots):
            free(self.t.gots[i].pages)
        free(self.t.gots)
        free(self.t.file_got)
        free(self.t.stub)
        free(self.file_pages)
        free(self.rule_bytes)
        free(self.rule_used)
        free(self.late)
        if self.c != NULL and self.c.arch == <void*>&self.t:
            self.c.arch = NULL

    cdef uint64_t limit(self) noexcept:
        """Words of a GOT that 16 bits reach."""
        return MAX_FIELD // (4 if self.c.elf32 else 8)

    def collect(self, uint32_t most=0):
        """Looks at every relocation that needs a slot and distributes the files among GOTs; after scan_files().

        most: words of a GOT at most, 0 for what 16 bits reach. Returns the number of dynamic relocations."""
        cdef Columns* c = self.c
        cdef uint32_t k
        cdef FilePages pages
        self.t.file_got = <uint32_t*>calloc(c.nfiles + 1, sizeof(uint32_t))
        self.file_pages = <uint64_t*>calloc(c.nfiles + 1, sizeof(uint64_t))
        self.late = <uint8_t*>calloc(c.nglobals + 1, 1)
        if self.t.file_got == NULL or self.file_pages == NULL or self.late == NULL:
            raise MemoryError
        self.measure_rules()
        memset(&pages, 0, sizeof(pages))
        try:
            for k in range(c.nlive):
                if c.files[c.live[k]].kind == FILE_OBJECT:
                    self.look_at_file(c.live[k], &pages)
        finally:
            free(pages.rows)
        self.distribute(most if most else self.limit())
        free_entries(&self.wanted)
        self.choose_stubs()
        self.export_names()
        self.count_dynamic()
        return self.ndynamic

    cdef int measure_rules(self) except -1:
        cdef Columns* c = self.c
        cdef uint32_t i
        for i in range(1, c.nfrags):
            self.nrules = max(self.nrules, c.frags[i].rule + 1)
        self.rule_bytes = <uint64_t*>calloc(self.nrules + 1, sizeof(uint64_t))
        self.rule_used = <uint8_t*>calloc(self.nrules + 1, 1)
        if self.rule_bytes == NULL or self.rule_used == NULL:
            raise MemoryError
        for i in range(1, c.nfrags):
            if c.frag_state[i] & STATE_LIVE and c.frags[i].sh_flags & SHF_ALLOC:
                self.rule_bytes[c.frags[i].rule] += c.frags[i].size + (<uint64_t>1 << c.frags[i].align_log2) - 1
        return 0

    cdef uint64_t rule_pages(self, uint32_t rule) noexcept:
        return (self.rule_bytes[rule] >> 16) + 2

    cdef int look_at_file(self, uint32_t file, FilePages* pages) except -1:
        cdef Columns* c = self.c
        cdef const File* f = &c.files[file]
        cdef const Fragment* g
        cdef const Rela* r
        cdef uint32_t frag, i, row, target
        cdef uint8_t verdict
        cdef uint64_t offset, bound = 0
        cdef Entry key
        cdef bint is_new
        memset(pages.heads, 0, sizeof(pages.heads))
        pages.count = 1
        for frag in range(f.frag_base, f.frag_base + f.shnum):
            if not has_slots(c, frag):
                continue
            g = &c.frags[frag]
            for i in range(g.nrelocs):
                verdict = g.verdicts[i]
                if verdict < A_GOT or verdict >= SLOT_VERDICTS:
                    continue
                r = &g.relocs[i]
                if verdict == A_PAGE:
                    if page_target(c, f, r, &target, &offset):
                        note_page(pages, target, offset)
                    elif target != 0:
                        # Strings: where their pieces stand is not known.
                        note_page(pages, target, 0)
                        note_page(pages, target, <uint64_t>1 << 40)
                    else:
                        bound += 1
                    continue
                memset(&key, 0, sizeof(key))
                make_key(f, file, r.r_sym, r.r_addend, kind_of(verdict), &key)
                if is_import(c, key.gid):
                    key.addend = 0
                key.got = file
                key.called = 3 if verdict == A_CALL else 0
                row = add_entry(&self.wanted, &key, &is_new)
                if is_new:
                    self.wanted.rows[row].area = area_of(c, &key)
                else:
                    join_calls(&self.wanted.rows[row], &key)
                if verdict == A_GOTTP:
                    c.needs |= NEEDS_STATIC_TLS
        for i in range(1, pages.count):
            frag = pages.rows[i].frag
            self.rule_used[c.frags[frag].rule] = 1
            bound += min(((pages.rows[i].high - pages.rows[i].low) >> 16) + 2, self.rule_pages(c.frags[frag].rule))
        self.file_pages[file] = bound
        return 0

    cdef uint64_t all_pages(self) noexcept:
        """Bound of all pages. Fragments without a statement (rule 0) do not stand together."""
        cdef uint64_t bound = 0
        cdef uint32_t i
        if self.nrules and self.rule_used[0]:
            return <uint64_t>1 << 40
        for i in range(1, self.nrules):
            if self.rule_used[i]:
                bound += self.rule_pages(i)
        return bound

    cdef int distribute(self, uint64_t most) except -1:
        """Files in link order go to the first GOT while it has room, else to the last one."""
        cdef Columns* c = self.c
        cdef uint64_t cap = self.all_pages()
        cdef uint32_t row = 1, first, last, file, k, place, i, found
        cdef Entry key
        cdef bint is_new
        self.new_got()
        self.count_globals()
        for k in range(c.nlive):
            file = c.live[k]
            first = row
            while row < self.wanted.count and self.wanted.rows[row].got == file:
                row += 1
            last = row
            if first == last and self.file_pages[file] == 0:
                continue
            if self.fits(0, file, first, last, cap, most):
                place = 0
            else:
                place = self.t.ngots - 1
                if place == 0 or not self.fits(place, file, first, last, cap, most):
                    place = self.new_got()
            self.t.file_got[file] = place
            self.t.gots[place].room = min(self.t.gots[place].room + self.file_pages[file], cap)
            for i in range(first, last):
                key = self.wanted.rows[i]
                key.got = place
                found = add_entry(&self.t.entries, &key, &is_new)
                if is_new:
                    self.count_entry(place, &key, 1)
                else:
                    join_calls(&self.t.entries.rows[found], &key)
        return 0

    cdef uint32_t new_got(self) except? 0:
        cdef Got* grown = <Got*>realloc(self.t.gots, (self.t.ngots + 1) * sizeof(Got))
        if grown == NULL:
            raise MemoryError
        self.t.gots = grown
        memset(&grown[self.t.ngots], 0, sizeof(Got))
        self.t.ngots += 1
        return self.t.ngots - 1

    cdef void count_entry(self, uint32_t got, const Entry* e, uint64_t n) noexcept:
        cdef Got* g = &self.t.gots[got]
        if e.area == AREA_LOCAL:
            g.nlocal += n
        elif e.area == AREA_GLOBAL:
            g.nglobal += n
        else:
            g.ntail += n * words_of(e)

    cdef bint fits(self, uint32_t got, uint32_t file, uint32_t first, uint32_t last, uint64_t cap,
                   uint64_t most) noexcept:
        """True when a GOT has room for what a file needs besides. All global entries of the link stand in front of the
        tail of the first one."""
        cdef Got now = self.t.gots[got]
        cdef Entry key
        cdef uint32_t i
        cdef uint64_t nglobal
        for i in range(first, last):
            key = self.wanted.rows[i]
            key.got = got
            if find_entry(&self.t.entries, &key) == 0:
                if key.area == AREA_LOCAL:
                    now.nlocal += 1
                elif key.area == AREA_GLOBAL:
                    now.nglobal += 1
                else:
                    now.ntail += words_of(&key)
        nglobal = self.t.nglobal if got == 0 and now.ntail else now.nglobal
        return (HEADER_WORDS + min(now.room + self.file_pages[file], cap) + now.nlocal + nglobal + now.ntail) <= most

    cdef void count_globals(self) noexcept:
        """Global entries of the first GOT: all names that a GOT or a word in data asks the run-time linker for."""
        cdef Columns* c = self.c
        cdef uint32_t gid
        self.t.nglobal = 0
        for gid in range(1, c.nglobals):
            if is_import(c, gid) and c.gneeds[gid] & (NEED_GOT | NEED_DYNSYM) and not c.gflags[gid] & G_TLS:
                self.late[gid] = 2
                self.t.nglobal += 1

    cdef int choose_stubs(self) except -1:
        """Imported functions that are only called, and through the first GOT only, are bound when first called."""
        cdef Columns* c = self.c
        cdef uint32_t i, gid
        cdef Entry* e
        cdef Global* g
        if not c.dynamic_output or c.special[SPECIAL_STUBS] == 0:
            return 0
        self.t.stub_size = 16 if c.nglobals < 0xffff else 20
        self.t.stub = <uint32_t*>calloc(c.nglobals + 1, sizeof(uint32_t))
        if self.t.stub == NULL:
            raise MemoryError
        for i in range(1, self.t.entries.count):
            e = &self.t.entries.rows[i]
            if e.area == AREA_GLOBAL and (e.got != 0 or not e.called & 1):
                self.t.stub[e.gid] = 0xffffffffU
            g = &c.globals[e.gid]
            if e.area == AREA_GLOBAL and e.called & 2 and g.type == STT_NOTYPE and not is_defined(g):
                g.type = STT_FUNC
        for i in range(1, self.t.entries.count):
            e = &self.t.entries.rows[i]
            gid = e.gid
            if e.area != AREA_GLOBAL or self.t.stub[gid] != 0:
                continue
            g = &c.globals[gid]
            if is_defined(g) or c.gneeds[gid] & ~<uint8_t>NEED_GOT or g.type != STT_FUNC:
                continue
            self.t.nstubs += 1
            self.t.stub[gid] = self.t.nstubs
        for gid in range(c.nglobals):
            if self.t.stub[gid] == 0xffffffffU:
                self.t.stub[gid] = 0
        return 0

    cdef void export_names(self) noexcept:
        """As in GNU ld, names of a dynamic program that have a slot are there for other modules to see."""
        cdef Columns* c = self.c
        cdef uint32_t i, gid
        if not c.dynamic_output or c.shared_output:
            return
        for i in range(1, self.t.entries.count):
            gid = self.t.entries.rows[i].gid
            if gid and is_defined(&c.globals[gid]) and c.globals[gid].visibility == 0 \
                    and not c.gflags[gid] & (G_FORCED_LOCAL | G_LINKER | G_SCRIPT):
                c.gflags[gid] |= G_EXPORT

    cdef uint32_t dynamic_words(self, const Entry* e) noexcept:
        """Dynamic relocations of an entry."""
        cdef Columns* c = self.c
        cdef bint imported
        if e.kind == KIND_ADDRESS:
            if e.got == 0 or e.area == AREA_TAIL:
                return 0
            return 1 if e.area == AREA_GLOBAL or c.pic else 0
        imported = is_import(c, e.gid)
        if e.kind == KIND_LD:
            return 1 if c.shared_output else 0
        if e.kind == KIND_GOTTP:
            return 1 if imported or c.shared_output else 0
        if imported:
            return 2
        return 1 if c.shared_output else 0

    cdef void count_dynamic(self) noexcept:
        cdef uint32_t i
        self.ndynamic = 0
        for i in range(1, self.t.entries.count):
            self.ndynamic += self.dynamic_words(&self.t.entries.rows[i])
        if self.c.pic:
            for i in range(1, self.t.ngots):
                self.ndynamic += <uint32_t>self.t.gots[i].room

    def place(self, bint referenced):
        """Gives slots and stubs their offsets, .got and .MIPS.stubs their sizes; marks the symbols that .dynsym has to
        list last. After slots.allocate(). referenced: the GOT exists though nothing needs a slot."""
        cdef Columns* c = self.c
        cdef uint32_t i, word = 4 if c.elf32 else 8, gid
        cdef uint64_t at, local, glob, tail
        cdef Got* g
        cdef Entry* e
        cdef uint64_t* next = <uint64_t*>calloc(3 * <uint64_t>self.t.ngots, sizeof(uint64_t))
        if next == NULL:
            raise MemoryError
        at = 0
        for i in range(self.t.ngots):
            g = &self.t.gots[i]
            g.start = at
            local = at + (HEADER_WORDS + g.room) * word
            glob = local + g.nlocal * word
            tail = glob + (self.t.nglobal if i == 0 else g.nglobal) * word
            next[3 * i] = local
            next[3 * i + 1] = glob
            next[3 * i + 2] = tail
            at = tail + g.ntail * word
        for i in range(1, self.t.entries.count):
            e = &self.t.entries.rows[i]
            e.offset = <uint32_t>next[3 * e.got + e.area]
            next[3 * e.got + e.area] += words_of(e) * word
        free(next)
        if at == HEADER_WORDS * word and not referenced and not c.dynamic_output and not c.needs & NEEDS_GOT_BASE:
            at = 0
        if at > 0x7fffffff:
            raise OverflowError("a table of the linker exceeds 2 GiB")
        c.frags[c.special[SPECIAL_GOT]].size = at
        if c.special[SPECIAL_STUBS]:
            c.frags[c.special[SPECIAL_STUBS]].size = self.t.nstubs * <uint64_t>self.t.stub_size
        for i in range(1, self.t.entries.count):
            if self.t.entries.rows[i].area == AREA_GLOBAL and self.t.entries.rows[i].got == 0:
                self.late[self.t.entries.rows[i].gid] = 1
        for gid in range(1, c.nglobals):
            if self.late[gid]:
                # What code reaches stands first.
                c.aux[c.globals[gid].aux].needs |= self.late[gid] * NEED_LATE_DYNSYM

    def stubs_size(self):
        """Bytes of .MIPS.stubs."""
        return self.t.nstubs * <uint64_t>self.t.stub_size

    def count_symbols(self):
        """Number of symbols that were marked in place()."""
        return self.t.nglobal

    def dynamic_numbers(self, uint32_t first_late):
        """(DT_MIPS_LOCAL_GOTNO, number of global entries). first_late: index in .dynsym of the first symbol that was
        marked in place()."""
        self.t.first_late = first_late
        return HEADER_WORDS + self.t.gots[0].room + self.t.gots[0].nlocal, self.t.nglobal

    cdef int find_pages(self) except -1:
        """Lists the pages that each GOT needs, now that addresses are final."""
        cdef Columns* c = self.c
        cdef Got* g
        cdef const File* f
        cdef const Fragment* frag
        cdef const Rela* r
        cdef uint32_t k, id, i, file
        cdef uint64_t page, n, last
        cdef uint64_t* capacity = <uint64_t*>calloc(self.t.ngots, sizeof(uint64_t))
        if capacity == NULL:
            raise MemoryError
        try:
            for k in range(c.nlive):
                file = c.live[k]
                f = &c.files[file]
                if self.file_pages[file] == 0:
                    continue
                g = &self.t.gots[self.t.file_got[file]]
                last = 1
                for id in range(f.frag_base, f.frag_base + f.shnum):
                    if not has_slots(c, id):
                        continue
                    frag = &c.frags[id]
                    for i in range(frag.nrelocs):
                        if frag.verdicts[i] != A_PAGE:
                            continue
                        r = &frag.relocs[i]
                        page = page_of(symbol_address(c, f, r.r_sym, r.r_addend) + <uint64_t>r.r_addend)
                        if page == last:
                            continue
                        last = page
                        add_page(g, &capacity[self.t.file_got[file]], page)
        finally:
            free(capacity)
        return 0

    def finish(self):
        """Finds the pages and gives lazily bound names the addresses of their stubs; after compute_values().

        Returns False when there is no room for all pages: a script has torn fragments of one statement apart."""
        cdef Columns* c = self.c
        cdef uint32_t i, gid
        self.find_pages()
        if self.t.stub != NULL:
            for gid in range(1, c.nglobals):
                if self.t.stub[gid]:
                    c.gvalue[gid] = c.frag_addr[c.special[SPECIAL_STUBS]] + (self.t.stub[gid] - 1) * self.t.stub_size
        for i in range(self.t.ngots):
            if self.t.gots[i].npages > self.t.gots[i].room:
                return False
        return True

    def numbers(self):
        """[(slots for pages, pages, local entries, global entries, words of the tail)] of the GOTs, for reports."""
        return [(self.t.gots[i].room, self.t.gots[i].npages, self.t.gots[i].nlocal, self.t.gots[i].nglobal,
                 self.t.gots[i].ntail) for i in range(self.t.ngots)]

    def write(self, size_t got, size_t stubs, uint32_t word_relocation, uint32_t none):
        """Writes .got and .MIPS.stubs at these places in memory (0: not in the output), and the last rows of dynrels.

        word_relocation: type of the dynamic relocation of a word; none: of one that does nothing."""
        cdef Writer w
        cdef Columns* c = self.c
        cdef uint32_t i
        cdef uint64_t at
        w.c = c
        w.t = &self.t
        w.out = <uint8_t*>got
        w.next = c.ndynrels - self.ndynamic
        w.word = 4 if c.elf32 else 8
        w.relocation = word_relocation
        with nogil:
            for i in range(self.t.ngots):
                write_header(&w, &self.t.gots[i])
            for i in range(1, self.t.entries.count):
                write_entry(&w, &self.t.entries.rows[i])
            if w.out != NULL:
                write_reloc_only(&w)
            for at in range(w.next, c.ndynrels):
                c.dynrels[at].r_type = none
        if stubs:
            write_stubs(&w, <uint8_t*>stubs)


cdef int add_page(Got* g, uint64_t* capacity, uint64_t page) except -1:
    """Puts a page into the sorted list of a GOT."""
    cdef uint64_t low = 0, high = g.npages, middle, i
    cdef uint64_t* grown
    while low < high:
        middle = (low + high) >> 1
        if g.pages[middle] < page:
            low = middle + 1
        else:
            high = middle
    if low < g.npages and g.pages[low] == page:
        return 0
    if g.npages == capacity[0]:
        capacity[0] = capacity[0] * 2 + 16
        grown = <uint64_t*>realloc(g.pages, capacity[0] * sizeof(uint64_t))
        if grown == NULL:
            raise MemoryError
        g.pages = grown
    for i in range(g.npages, low, -1):
        g.pages[i] = g.pages[i - 1]
    g.pages[low] = page
    g.npages += 1
    return 0


cdef struct Writer:          # where .got and its dynamic relocations go
    Columns* c               # the tables
    GotTable* t              # the GOTs
    uint8_t* out             # first byte of .got, NULL when it is not in the output
    uint64_t next            # next row of dynrels
    uint32_t word            # bytes of a slot
    uint32_t relocation      # dynamic relocation of a word


cdef inline void put_word(Writer* w, uint64_t offset, uint64_t value) noexcept nogil:
    if w.out == NULL:
        return
    if w.word == 8:
        store64(w.out + offset, value, w.c.swap)
    else:
        store32(w.out + offset, <uint32_t>value, w.c.swap)


cdef inline void put_relocation(Writer* w, uint64_t offset, uint32_t type, uint32_t dynsym) noexcept nogil:
    cdef Rela* r
    if w.next >= w.c.ndynrels:
        return
    r = &w.c.dynrels[w.next]
    r.r_offset = w.c.frag_addr[w.c.special[SPECIAL_GOT]] + offset
    r.r_type = type
    r.r_sym = dynsym
    r.r_addend = 0
    w.next += 1


cdef void write_header(Writer* w, const Got* g) noexcept nogil:
    cdef uint64_t i, at = g.start + HEADER_WORDS * w.word
    if w.c.frags[w.c.special[SPECIAL_GOT]].size == 0:
        return
    # The highest bit: there is room for the run-time linker's module.
    put_word(w, g.start + w.word, <uint64_t>1 << (8 * w.word - 1))
    for i in range(g.npages):
        put_word(w, at, g.pages[i])
        if g.start and w.c.pic:
            put_relocation(w, at, w.relocation, 0)
        at += w.word


cdef uint64_t entry_value(Columns* c, const Entry* e) noexcept nogil:
    """The address that an entry is about."""
    if e.gid != 0:
        return c.gvalue[e.gid] + <uint64_t>e.addend
    return symbol_address(c, &c.files[e.file], e.sym, e.addend) + <uint64_t>e.addend


cdef void write_entry(Writer* w, const Entry* e) noexcept nogil:
    """See slot_words() of slots.pyx: the words and relocations are the same, at other places."""
    cdef Columns* c = w.c
    cdef const Ops* ops = <const Ops*>c.ops
    cdef uint64_t at = entry_offset(c, w.t, e)
    cdef uint64_t S
    cdef uint32_t dynsym = c.aux[c.globals[e.gid].aux].dynsym if e.gid != 0 else 0
    cdef bint imported = is_import(c, e.gid)
    if e.kind == KIND_LD:
        put_word(w, at, 0 if c.shared_output else 1)
        put_word(w, at + w.word, 0)
        if c.shared_output:
            put_relocation(w, at, ops.dyn_dtpmod, 0)
        return
    S = entry_value(c, e)
    if e.kind == KIND_ADDRESS:
        put_word(w, at, 0 if e.area == AREA_GLOBAL and e.got != 0 else S)
        if e.got != 0 and e.area == AREA_GLOBAL:
            put_relocation(w, at, w.relocation, dynsym)
        elif e.got != 0 and e.area == AREA_LOCAL and c.pic:
            put_relocation(w, at, w.relocation, 0)
    elif e.kind == KIND_GOTTP:
        if imported:
            put_relocation(w, at, ops.dyn_tpoff, dynsym)
        elif c.shared_output:
            put_word(w, at, S - c.image.tls_start)
            put_relocation(w, at, ops.dyn_tpoff, 0)
        else:
            put_word(w, at, 0 if is_number(c, e) else S - c.image.tp)
    elif imported:
        put_relocation(w, at, ops.dyn_dtpmod, dynsym)
        put_relocation(w, at + w.word, ops.dyn_dtpoff, dynsym)
    else:
        put_word(w, at, 0 if c.shared_output else 1)
        put_word(w, at + w.word, S - c.image.dtp)
        if c.shared_output:
            put_relocation(w, at, ops.dyn_dtpmod, 0)


cdef void write_reloc_only(Writer* w) noexcept nogil:
    """Global entries that only words in data need."""
    cdef Columns* c = w.c
    cdef uint32_t row, gid
    cdef uint64_t base = 2 + w.t.gots[0].room + w.t.gots[0].nlocal
    for row in range(1, c.naux):
        gid = c.aux[row].gid
        if gid != 0 and c.aux[row].needs & (NEED_LATE_DYNSYM | NEED_LAST_DYNSYM) and c.aux[row].dynsym:
            put_word(w, (base + c.aux[row].dynsym - w.t.first_late) * w.word, c.gvalue[gid])


cdef void write_stubs(Writer* w, uint8_t* out) noexcept nogil:
    """$24 tells the resolver the index of the symbol, $15 where to return to. The $gp of the caller still leads to the
    first GOT, whose first word is the resolver."""
    cdef Columns* c = w.c
    cdef uint32_t gid, index
    cdef uint8_t* p
    cdef bint swap = c.swap
    for gid in range(1, c.nglobals):
        if w.t.stub[gid] == 0:
            continue
        index = c.aux[c.globals[gid].aux].dynsym
        p = out + (w.t.stub[gid] - 1) * <uint64_t>w.t.stub_size
        store32(p, 0xdf998010U if w.word == 8 else 0x8f998010U, swap)     # l[wd] $25, -0x7ff0($28)
        store32(p + 4, 0x03e07825U, swap)                                 # move $15, $31
        p += 8
        if w.t.stub_size == 20:
            store32(p, 0x3c180000U | index >> 16, swap)                   # lui $24
            p += 4
        store32(p, 0x0320f809U, swap)                                     # jalr $25
        if w.t.stub_size == 20:
            store32(p + 4, 0x37180000U | (index & 0xffff), swap)          # ori $24, $24
        elif index > 0x7fff:
            store32(p + 4, 0x34180000U | index, swap)                     # ori $24, $0
        else:
            store32(p + 4, 0x24180000U | index, swap)                     # addiu $24, $0
