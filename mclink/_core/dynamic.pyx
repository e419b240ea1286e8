# cython: language_level=3
"""Level 2: the tables of the dynamic linker: .dynsym in its final order, .dynstr, hashes, version indices and
packed .relr.dyn.

Sources: gABI chapter 5; "GNU hash ELF sections" as glibc reads them (bloom filter, symbols grouped by bucket);
Ulrich Drepper, "ELF Symbol Versioning"; gABI proposal for SHT_RELR. Bucket counts and bloom sizes are GNU ld's.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from libc.stdlib cimport malloc, calloc, realloc, free, qsort
from libc.string cimport memchr, memcmp, memcpy, memset, strlen
from mclink._core.bytes cimport store16, store32
from mclink._core.elf cimport (
    SHN_ABS, SHN_UNDEF, STT_OBJECT, STT_TLS, STT_FUNC, STT_GNU_IFUNC, STT_COMMON, STB_GLOBAL, STB_WEAK, STV_PROTECTED,
    VER_NDX_GLOBAL)
from mclink._core.hash cimport hash_bytes
from mclink._core.names cimport find_name
from mclink._core.ops cimport Ops, V_RELATIVE
from mclink._core.outrec cimport store_symbol, store_word, symbol_size, word_size
from mclink._core.tables cimport *

cdef struct Strings:         # a string table without repeats
    char* data               # [size] NUL-terminated strings; begins with the empty one
    uint64_t size            # bytes used
    uint64_t capacity        # bytes allocated
    uint32_t* slots          # [mask + 1] offset of a string, 0 free
    uint32_t mask            # slots - 1
    uint32_t count           # strings in slots

cdef struct Entry:           # a row of .dynsym
    uint32_t gid             # global, 0 for the symbol of a version definition
    uint32_t name            # offset in .dynstr
    uint32_t hash            # GNU hash of the name
    uint16_t version         # what .gnu.version gets
    uint8_t hashed           # 1 when .gnu.hash finds it
    uint8_t shared           # 1 when its version is one of a shared object

cdef struct RelrPlace:       # a word that a RELR entry relocates
    uint32_t frag            # fragment
    uint64_t offset          # byte offset in it


cdef bint add_string(Strings* s, const char* text, uint64_t length, uint32_t* offset) noexcept nogil:
    """Offset of a string, added when it is new; False without memory."""
    cdef uint64_t hash
    cdef uint32_t at, i, old
    cdef uint32_t* slots
    cdef char* data
    offset[0] = 0
    if length == 0:
        return True
    if s.slots == NULL or s.count * 2 > s.mask:
        old = s.mask + 1 if s.slots != NULL else 0
        slots = <uint32_t*>calloc(old * 2 if old else 256, sizeof(uint32_t))
        if slots == NULL:
            return False
        s.mask = (old * 2 if old else 256) - 1
        for i in range(old):
            if s.slots[i]:
                hash = hash_bytes(s.data + s.slots[i], strlen(s.data + s.slots[i]))
                at = <uint32_t>hash & s.mask
                while slots[at]:
                    at = (at + 1) & s.mask
                slots[at] = s.slots[i]
        free(s.slots)
        s.slots = slots
    hash = hash_bytes(text, length)
    at = <uint32_t>hash & s.mask
    while s.slots[at]:
        data = s.data + s.slots[at]
        if memcmp(data, text, length) == 0 and data[length] == 0:
            offset[0] = s.slots[at]
            return True
        at = (at + 1) & s.mask
    # Comparing above may read `length` bytes past the last string, hence the slack.
    while s.size + 2 * length + 64 > s.capacity:
        data = <char*>realloc(s.data, s.capacity * 2 + 4096)
        if data == NULL:
            return False
        memset(data + s.capacity, 0, s.capacity + 4096)
        s.data = data
        s.capacity = s.capacity * 2 + 4096
    offset[0] = <uint32_t>s.size
    memcpy(s.data + s.size, text, length)
    s.size += length + 1
    s.slots[at] = offset[0]
    s.count += 1
    return True


cdef inline uint32_t gnu_hash(const char* name, uint32_t length) noexcept nogil:
    cdef uint32_t h = 5381, i
    for i in range(length):
        h = h * 33 + <unsigned char>name[i]
    return h


cdef inline uint32_t sysv_hash(const char* name) noexcept nogil:
    """gABI chapter 5, "Hash Table"."""
    cdef uint32_t h = 0, g
    while name[0]:
        h = (h << 4) + <unsigned char>name[0]
        g = h & 0xf0000000U
        if g:
            h ^= g >> 24
        h &= ~g
        name += 1
    return h


cdef inline uint32_t base_length(const Global* g) noexcept nogil:
    """Bytes of the name in front of an explicit version (foo@V)."""
    cdef const char* at
    if g.name_len < 2:
        return g.name_len
    at = <const char*>memchr(g.name + 1, c'@', g.name_len - 1)
    return g.name_len if at == NULL else <uint32_t>(at - g.name)


cdef inline bint defined_here(const Columns* c, uint32_t gid) noexcept nogil:
    """True when the definition lies in this output: also a copy."""
    cdef uint8_t state = c.globals[gid].state
    return state == SYM_DEFINED or state == SYM_DEFINED_WEAK or state == SYM_COMMON or \
        c.gflags[gid] & G_COPIED != 0


cdef uint32_t bucket_count(uint32_t symbols) noexcept nogil:
    """Number of hash buckets for so many symbols: the largest prime of GNU ld's list that does not exceed it."""
    cdef uint32_t* primes = [1, 3, 17, 37, 67, 97, 131, 197, 263, 521, 1031, 2053, 4099, 8209, 16411, 32771, 65537,
                             131101, 262147, 524309, 1048583]
    cdef uint32_t i, best = 1
    for i in range(21):
        if i and symbols < primes[i]:
            break
        best = primes[i]
    return best


cdef int compare_relr(const void* a, const void* b) noexcept nogil:
    cdef uint64_t x = (<const uint64_t*>a)[0]
    cdef uint64_t y = (<const uint64_t*>b)[0]
    return (x > y) - (x < y)


cdef class Dynamic:
    """The tables of one dynamic output. Functions stand in the order in which layout calls them:
    select, strings, order, set_versions, then the writers when addresses are final."""

    cdef Strings strings     # .dynstr
    cdef Entry* entries      # [count] .dynsym, row 0 the null symbol
    cdef uint32_t count      # rows in use
    cdef uint32_t capacity   # rows allocated
    cdef uint32_t undefined  # rows in front of those that .gnu.hash finds, null included
    cdef uint32_t buckets    # buckets of .gnu.hash
    cdef uint32_t late       # first row that NEED_LATE_DYNSYM or NEED_LAST_DYNSYM has moved to the end
    cdef RelrPlace* places   # [nplaces] words that RELR relocates
    cdef uint64_t nplaces    # rows
    cdef uint64_t* relr      # [nplaces] their addresses, sorted
    cdef uint64_t* packed    # [npacked] the words of .relr.dyn
    cdef uint64_t npacked    # words

    def __cinit__(self):
        self.count = 1
        self.undefined = 1

    def __dealloc__(self):
        free(self.strings.data)
        free(self.strings.slots)
        free(self.entries)
        free(self.places)
        free(self.relr)
        free(self.packed)

    cdef Entry* new_entry(self) except NULL:
        cdef Entry* grown
        if self.count >= self.capacity:
            grown = <Entry*>realloc(self.entries, (self.capacity * 2 + 256) * sizeof(Entry))
            if grown == NULL:
                raise MemoryError
            if self.entries == NULL:
                memset(grown, 0, sizeof(Entry))
            self.entries = grown
            self.capacity = self.capacity * 2 + 256
        memset(&self.entries[self.count], 0, sizeof(Entry))
        self.count += 1
        return &self.entries[self.count - 1]

    def string(self, bytes text):
        """Offset of a string in .dynstr, added when it is new."""
        cdef uint32_t offset
        self.first_string()
        if not add_string(&self.strings, text, len(text), &offset):
            raise MemoryError
        return offset

    cdef int first_string(self) except -1:
        if self.strings.data == NULL:
            self.strings.data = <char*>calloc(4096, 1)
            if self.strings.data == NULL:
                raise MemoryError
            self.strings.capacity = 4096
            self.strings.size = 1
        return 0

    cdef int add_global(self, Tables tables, uint32_t gid) except -1:
        """Adds one global and marks it with its provisional row."""
        cdef Columns* c = &tables.c
        cdef Global* g = &c.globals[gid]
        cdef Entry* e
        cdef uint32_t row, name
        cdef uint32_t length = base_length(g)
        if g.aux == 0:
            tables.reserve_aux(1)
            row = c.naux
            c.naux += 1
            memset(&c.aux[row], 0, sizeof(Aux))
            c.aux[row].gid = gid
            c.aux[row].got = c.aux[row].gotplt = c.aux[row].plt = c.aux[row].plt_lazy = -1
            c.aux[row].tlsgd = c.aux[row].gottp = c.aux[row].tlsdesc = -1
            g.aux = row
        c.aux[g.aux].dynsym = self.count
        if not add_string(&self.strings, g.name, length, &name):
            raise MemoryError
        e = self.new_entry()
        e.gid = gid
        e.name = name
        e.hash = gnu_hash(g.name, length)
        if defined_here(c, gid):
            e.hashed = 1
            if g.state == SYM_SHARED:
                e.shared = 1
                e.version = g.version
            else:
                e.version = g.version if g.version else <uint16_t>VER_NDX_GLOBAL
        else:
            # The run-time linker compares function pointers through an undefined symbol that has a value.
            e.hashed = c.gflags[gid] & G_CANONICAL_PLT != 0
            e.shared = g.state == SYM_SHARED
            e.version = g.version if e.shared else <uint16_t>VER_NDX_GLOBAL
        return 0

    def select(self, Tables tables, version_symbols, bint weak=False):
        """Chooses the symbols of .dynsym: what is imported and needed, and what is exported, in link order.

        version_symbols: list of (name, version index), absolute symbols that stand for version definitions.
        weak: undefined weak names that libraries refer to as well are listed though nothing needs them."""
        cdef Columns* c = &tables.c
        cdef uint32_t row, k, i, gid, last = c.naux
        cdef File* f
        cdef Entry* e
        cdef bytes name
        self.first_string()
        for row in range(1, last):
            gid = c.aux[row].gid
            if gid == 0 or defined_here(c, gid) or c.aux[row].dynsym or c.globals[gid].aux != row:
                continue
            # A copy was refused to an undefined weak name: it is 0 and needs no symbol.
            if (c.gflags[gid] & G_KIND_MASK) >= G_IMPORT_DATA and c.aux[row].needs & ~<uint32_t>NEED_COPY:
                self.add_global(tables, gid)
        for k in range(c.nlive):
            f = &c.files[c.live[k]]
            if f.gids == NULL or f.nsyms <= f.first_global:
                continue
            for i in range(f.nsyms - f.first_global):
                gid = f.gids[i]
                if gid and c.gflags[gid] & G_EXPORT and c.globals[gid].file == c.live[k] \
                        and not (c.globals[gid].aux and c.aux[c.globals[gid].aux].dynsym) and defined_here(c, gid):
                    self.add_global(tables, gid)
        # Names of scripts and of the command line, and copies, belong to no object.
        for gid in range(1, c.nglobals):
            if c.gflags[gid] & G_EXPORT and c.globals[gid].name != NULL \
                    and not (c.globals[gid].aux and c.aux[c.globals[gid].aux].dynsym) and defined_here(c, gid):
                self.add_global(tables, gid)
        if weak:
            for gid in range(1, c.nglobals):
                if c.globals[gid].state == SYM_UNDEF_WEAK and c.globals[gid].visibility == 0 \
                        and c.gflags[gid] & (G_REF_REGULAR | G_REF_DYNAMIC | G_FORCED_LOCAL) \
                        == G_REF_REGULAR | G_REF_DYNAMIC \
                        and not (c.globals[gid].aux and c.aux[c.globals[gid].aux].dynsym):
                    self.add_global(tables, gid)
        for name, version in version_symbols:
            e = self.new_entry()
            e.name = self.string(name)
            e.hash = gnu_hash(name, <uint32_t>len(name))
            e.version = version
            e.hashed = 1

    def order(self, Tables tables, bint gnu):
        """Final order: what .gnu.hash does not list first, then the rest by bucket. Gives Aux.dynsym its value.

        Where rows stand late (NEED_LATE_DYNSYM, NEED_LAST_DYNSYM), hashes do not order them: `gnu` must be False."""
        cdef Columns* c = &tables.c
        cdef Entry* sorted_rows = <Entry*>calloc(self.count + 1, sizeof(Entry))
        cdef uint32_t* starts
        cdef uint32_t i, n = 1, hashed = 0, bucket, total
        if sorted_rows == NULL:
            raise MemoryError
        for i in range(1, self.count):
            hashed += self.entries[i].hashed
        self.buckets = max(bucket_count(hashed), 2) if hashed else 1
        starts = <uint32_t*>calloc(self.buckets + 1, sizeof(uint32_t))
        if starts == NULL:
            free(sorted_rows)
            raise MemoryError
        for i in range(1, self.count):
            if not self.entries[i].hashed:
                sorted_rows[n] = self.entries[i]
                n += 1
        self.undefined = n
        if gnu:
            for i in range(1, self.count):
                if self.entries[i].hashed:
                    starts[self.entries[i].hash % self.buckets] += 1
            total = n
            for bucket in range(self.buckets):
                i = starts[bucket]
                starts[bucket] = total
                total += i
            for i in range(1, self.count):
                if self.entries[i].hashed:
                    bucket = self.entries[i].hash % self.buckets
                    sorted_rows[starts[bucket]] = self.entries[i]
                    starts[bucket] += 1
        else:
            for i in range(1, self.count):
                if self.entries[i].hashed:
                    sorted_rows[n] = self.entries[i]
                    n += 1
        free(starts)
        free(self.entries)
        self.entries = sorted_rows
        self.capacity = self.count + 1
        self.late = self.place_late(c)
        for i in range(1, self.count):
            if sorted_rows[i].gid:
                c.aux[c.globals[sorted_rows[i].gid].aux].dynsym = i

    cdef uint32_t place_late(self, const Columns* c) except? 0:
        """Moves the rows with NEED_LATE_DYNSYM behind the others, and those with NEED_LAST_DYNSYM behind these, each in the
        order they have; returns the index of the first of them, the number of rows when there is none."""
        cdef Entry* rows = <Entry*>malloc((self.count + 1) * sizeof(Entry))
        cdef uint32_t i, rank, mine, n = 0, first = 0
        if rows == NULL:
            raise MemoryError
        for rank in range(3):
            for i in range(self.count):
                mine = 0
                if self.entries[i].gid != 0:
                    mine = c.aux[c.globals[self.entries[i].gid].aux].needs // NEED_LATE_DYNSYM
                if mine == rank:
                    rows[n] = self.entries[i]
                    n += 1
            if rank == 0:
                first = n
        memcpy(self.entries, rows, self.count * sizeof(Entry))
        free(rows)
        return first

    def count_rows(self):
        """Rows of .dynsym, the null symbol included."""
        return self.count

    def first_late(self):
        """Index of the first row with NEED_LATE_DYNSYM or NEED_LAST_DYNSYM, the number of rows when there is none; after order()."""
        return self.late

    def needed_versions(self, Tables tables):
        """Versions of shared objects that .dynsym refers to: list of (file id, version index there, is weak), in
        the order of .dynsym; weak when every reference to it is."""
        cdef Columns* c = &tables.c
        cdef uint32_t i
        cdef Global* g
        cdef bint weak
        found = {}
        for i in range(1, self.count):
            if self.entries[i].gid == 0 or not self.entries[i].shared or self.entries[i].version < 2:
                continue
            g = &c.globals[self.entries[i].gid]
            weak = not c.gflags[self.entries[i].gid] & (G_REF_STRONG | G_COPIED)
            key = (g.file, self.entries[i].version)
            found[key] = found.get(key, True) and weak
        return [(file, version, weak) for (file, version), weak in found.items()]

    def set_versions(self, Tables tables, mapping):
        """Replaces version indices of shared objects by those of this output.

        mapping: dict (file id, index there) -> index here; others become unversioned."""
        cdef Columns* c = &tables.c
        cdef uint32_t i
        for i in range(1, self.count):
            if self.entries[i].gid and self.entries[i].shared:
                self.entries[i].version = mapping.get((c.globals[self.entries[i].gid].file, self.entries[i].version),
                                                      VER_NDX_GLOBAL)

    def sizes(self, Tables tables):
        """(number of symbols, bytes of .dynsym, .dynstr, .gnu.version, .hash, .gnu.hash)."""
        cdef Columns* c = &tables.c
        cdef uint32_t hashed = self.count - self.undefined
        self.first_string()
        return (self.count, self.count * symbol_size(c), self.strings.size, self.count * 2,
                4 * (2 + bucket_count(self.count - 1) + self.count),
                16 + self.mask_words(c) * word_size(c) + 4 * self.buckets + 4 * hashed)

    cdef uint32_t mask_shift(self, const Columns* c) noexcept:
        """log2 of the number of bits of the bloom filter."""
        cdef uint32_t hashed = self.count - self.undefined
        cdef uint32_t log = 0
        while hashed >> (log + 1):
            log += 1
        log += 1
        if log < 3:
            log = 5
        elif (1 << (log - 2)) & hashed:
            log += 3
        else:
            log += 2
        if not c.elf32 and log == 5:
            log = 6
        return log

    cdef uint32_t mask_words(self, const Columns* c) noexcept:
        if self.count == self.undefined:
            return 1
        return 1 << (self.mask_shift(c) - (5 if c.elf32 else 6))

    def write_strings(self, size_t out):
        """Writes .dynstr."""
        memcpy(<void*>out, self.strings.data, self.strings.size)

    def write_symbols(self, Tables tables, size_t out, section_indices):
        """Writes .dynsym. section_indices: list, output number -> section header index; entry 0 is SHN_ABS."""
        cdef Columns* c = &tables.c
        cdef uint32_t i, gid, number
        cdef uint8_t* p = <uint8_t*>out
        cdef uint32_t step = symbol_size(c)
        cdef Entry* e
        cdef Global* g
        cdef uint8_t kind, bind, other
        cdef uint64_t value, size
        cdef uint32_t n = <uint32_t>len(section_indices)
        cdef uint16_t* shndx = <uint16_t*>calloc(n + 1, sizeof(uint16_t))
        if shndx == NULL:
            raise MemoryError
        for i in range(n):
            shndx[i] = <uint16_t>min(<uint32_t>section_indices[i], 0xffff)
        memset(p, 0, step)
        for i in range(1, self.count):
            e = &self.entries[i]
            gid = e.gid
            if gid == 0:
                store_symbol(c, p + i * <uint64_t>step, e.name, STB_GLOBAL << 4 | STT_OBJECT, 0, SHN_ABS, 0, 0)
                continue
            g = &c.globals[gid]
            kind = g.type
            if kind == STT_COMMON:
                kind = STT_OBJECT
            bind = g.bind
            value = 0
            size = g.size
            number = SHN_UNDEF
            other = g.other
            if defined_here(c, gid):
                value = c.gvalue[gid]
                if g.frag:
                    number = c.frags[g.frag].output
                    if c.frags[g.frag].kind == FRAG_MERGE and g.frag < c.first_extra and c.frags[g.frag].link:
                        number = c.frags[c.merge_groups[c.merge_inputs[c.frags[g.frag].link].group].carrier].output
                    number = shndx[number] if number < n else SHN_ABS
                elif g.file == INTERNAL_FILE and g.sym and g.sym < n:
                    # Scripts and the linker say in which output section their names stand.
                    number = shndx[g.sym]
                else:
                    number = SHN_ABS
                if kind == STT_TLS:
                    value -= c.image.tls_start
                elif kind == STT_GNU_IFUNC and c.gflags[gid] & G_CANONICAL_PLT:
                    # Other modules must call what this one compares with: the PLT entry, a plain function.
                    kind = STT_FUNC
                    size = 0
                    number = c.frags[c.special[c.aux[g.aux].plt_section]].output
                    number = shndx[number] if number < n else SHN_ABS
                elif kind == STT_GNU_IFUNC and g.frag:
                    value = frag_address(c, g.frag, g.value)
                if g.state != SYM_SHARED:
                    other |= g.visibility if g.visibility == STV_PROTECTED else 0
            else:
                size = 0
                if g.state == SYM_UNDEF_WEAK or (g.state == SYM_SHARED and not c.gflags[gid] & G_REF_STRONG):
                    bind = STB_WEAK
                elif g.state == SYM_SHARED or bind == STB_WEAK or bind == 0:
                    bind = STB_GLOBAL
                if kind == STT_GNU_IFUNC:
                    kind = STT_FUNC
                # 0 but for canonical PLT entries and lazy stubs.
                value = c.gvalue[gid]
                if c.gflags[gid] & G_CANONICAL_PLT:
                    other |= <uint8_t>(<const Ops*>c.ops).plt_other
            store_symbol(c, p + i * <uint64_t>step, e.name, <uint8_t>(bind << 4 | kind), other, <uint16_t>number,
                         value, size)
        free(shndx)

    def write_versions(self, Tables tables, size_t out):
        """Writes .gnu.version."""
        cdef uint8_t* p = <uint8_t*>out
        cdef uint32_t i
        store16(p, 0, tables.c.swap)
        for i in range(1, self.count):
            store16(p + 2 * <uint64_t>i, self.entries[i].version, tables.c.swap)

    def write_sysv_hash(self, Tables tables, size_t out):
        """Writes .hash: gABI chapter 5, "Hash Table"."""
        cdef bint swap = tables.c.swap
        cdef uint8_t* p = <uint8_t*>out
        cdef uint32_t n = bucket_count(self.count - 1)
        cdef uint32_t* heads = <uint32_t*>calloc(n, sizeof(uint32_t))
        cdef uint32_t i, bucket
        if heads == NULL:
            raise MemoryError
        store32(p, n, swap)
        store32(p + 4, self.count, swap)
        store32(p + 8 + 4 * <uint64_t>n, 0, swap)
        for i in range(1, self.count):
            bucket = sysv_hash(self.strings.data + self.entries[i].name) % n
            store32(p + 8 + 4 * (<uint64_t>n + i), heads[bucket], swap)
            heads[bucket] = i
        for i in range(n):
            store32(p + 8 + 4 * <uint64_t>i, heads[i], swap)
        free(heads)

    def write_gnu_hash(self, Tables tables, size_t out):
        """Writes .gnu.hash."""
        cdef Columns* c = &tables.c
        cdef bint swap = c.swap
        cdef uint8_t* p = <uint8_t*>out
        cdef uint32_t hashed = self.count - self.undefined
        cdef uint32_t words = self.mask_words(c)
        cdef uint32_t bits = 5 if c.elf32 else 6
        cdef uint32_t shift = self.mask_shift(c) if hashed else 0
        cdef uint32_t i, h, bucket, step = word_size(c)
        cdef uint64_t* mask
        cdef uint8_t* buckets
        store32(p, self.buckets, swap)
        store32(p + 4, self.undefined if hashed else 1, swap)
        store32(p + 8, words, swap)
        store32(p + 12, shift, swap)
        buckets = p + 16 + words * <uint64_t>step
        memset(p + 16, 0, words * <uint64_t>step + 4 * <uint64_t>self.buckets)
        if hashed == 0:
            return
        mask = <uint64_t*>calloc(words, sizeof(uint64_t))
        if mask == NULL:
            raise MemoryError
        for i in range(self.undefined, self.count):
            h = self.entries[i].hash
            mask[(h >> bits) & (words - 1)] |= (<uint64_t>1 << (h & (step * 8 - 1))) | \
                (<uint64_t>1 << ((h >> shift) & (step * 8 - 1)))
            bucket = h % self.buckets
            if i == self.undefined or self.entries[i - 1].hash % self.buckets != bucket:
                store32(buckets + 4 * <uint64_t>bucket, i, swap)
            # Bit 0 of a chain word ends the bucket.
            h &= ~<uint32_t>1
            if i + 1 == self.count or self.entries[i + 1].hash % self.buckets != bucket:
                h |= 1
            store32(buckets + 4 * <uint64_t>(self.buckets + i - self.undefined), h, swap)
        for i in range(words):
            store_word(c, p + 16 + i * <uint64_t>step, mask[i])
        free(mask)

    def rows(self, Tables tables):
        """.dynsym as a list of (name, version word, is hashed), for tests and reports."""
        return [(<bytes>(self.strings.data + self.entries[i].name), self.entries[i].version,
                 bool(self.entries[i].hashed)) for i in range(1, self.count)]

    def collect_relr(self, Tables tables, got_words):
        """Lists the words that .relr.dyn will name: those of fragments by their verdicts, and `got_words`, a list
        of (fragment, offset)."""
        cdef Columns* c = &tables.c
        cdef uint64_t n = 0, total = c.nrelr
        cdef uint32_t k, i, j, frag
        cdef Fragment* f
        free(self.places)
        self.places = <RelrPlace*>malloc((total + 1) * sizeof(RelrPlace))
        self.relr = <uint64_t*>realloc(self.relr, (total + 1) * sizeof(uint64_t))
        self.packed = <uint64_t*>realloc(self.packed, (2 * total + 2) * sizeof(uint64_t))
        if self.places == NULL or self.relr == NULL or self.packed == NULL:
            raise MemoryError
        for k in range(c.nlive):
            for i in range(c.files[c.live[k]].shnum):
                frag = c.files[c.live[k]].frag_base + i
                f = &c.frags[frag]
                if f.verdicts == NULL or not c.frag_state[frag] & STATE_LIVE:
                    continue
                for j in range(f.nrelocs):
                    if f.verdicts[j] == V_RELATIVE and n < total:
                        self.places[n].frag = frag
                        self.places[n].offset = f.relocs[j].r_offset
                        n += 1
        for frag, offset in got_words:
            if n < total:
                self.places[n].frag = frag
                self.places[n].offset = offset
                n += 1
        self.nplaces = n

    def pack_relr(self, Tables tables, bases):
        """Packs the places at their addresses of now; returns the bytes of .relr.dyn.

        bases: list, output number -> what frag_addr counts from while addresses are assigned; [] at the end, when
        it holds addresses.

        An even word is an address; each odd word behind it is a bitmap of the next 63 (31) words."""
        cdef Columns* c = &tables.c
        cdef uint64_t i, n = 0, base, bitmap, delta
        cdef uint32_t step = word_size(c)
        cdef uint32_t bits = step * 8 - 1
        cdef bint ascending = True
        cdef uint32_t nbases = <uint32_t>len(bases), output
        cdef uint64_t* starts = <uint64_t*>calloc(nbases + 1, sizeof(uint64_t))
        if starts == NULL:
            raise MemoryError
        for i in range(nbases):
            starts[i] = bases[i]
        with nogil:
            for i in range(self.nplaces):
                self.relr[i] = c.frag_addr[self.places[i].frag] + self.places[i].offset
                output = c.frags[self.places[i].frag].output
                if output < nbases:
                    self.relr[i] += starts[output]
                if i and self.relr[i] < self.relr[i - 1]:
                    ascending = False
            if not ascending:
                qsort(self.relr, self.nplaces, sizeof(uint64_t), compare_relr)
            i = 0
            while i < self.nplaces:
                self.packed[n] = self.relr[i]
                n += 1
                base = self.relr[i] + step
                i += 1
                while True:
                    bitmap = 0
                    while i < self.nplaces:
                        delta = self.relr[i] - base
                        if delta >= <uint64_t>bits * step or delta % step:
                            break
                        bitmap |= <uint64_t>1 << (delta // step)
                        i += 1
                    if bitmap == 0:
                        break
                    self.packed[n] = bitmap << 1 | 1
                    n += 1
                    base += <uint64_t>bits * step
        free(starts)
        self.npacked = n
        return n * step

    def write_relr(self, Tables tables, size_t out, uint64_t size):
        """Writes .relr.dyn of `size` bytes; what the packed words do not fill are bitmaps without a bit."""
        cdef Columns* c = &tables.c
        cdef uint32_t step = word_size(c)
        cdef uint64_t i
        for i in range(size // step):
            store_word(c, <uint8_t*>out + i * step, self.packed[i] if i < self.npacked else 1)


def specials(Tables tables):
    """The linker's sections: list of (special number, fragment, address, size, output number, log2 of alignment),
    live ones only."""
    cdef Columns* c = &tables.c
    cdef uint32_t i, frag
    rows = []
    for i in range(1, SPECIAL_COUNT):
        frag = c.special[i]
        if frag and c.frag_state[frag] & STATE_LIVE:
            rows.append((i, frag, c.frag_addr[frag], c.frags[frag].size, c.frags[frag].output,
                         c.frags[frag].align_log2))
    return rows


def set_size(Tables tables, uint32_t special, uint64_t size):
    """Sets the size of a linker-made section and whether it is part of the output (size not 0)."""
    cdef Columns* c = &tables.c
    cdef uint32_t frag = c.special[special]
    if frag:
        c.frags[frag].size = size
        if size:
            c.frag_state[frag] |= STATE_LIVE
        else:
            c.frag_state[frag] &= ~<uint8_t>STATE_LIVE


def get_size(Tables tables, uint32_t special):
    """Size in bytes of a linker-made section, 0 when there is none."""
    cdef uint32_t frag = tables.c.special[special]
    return tables.c.frags[frag].size if frag else 0


def lookup(Tables tables, bytes name):
    """(gid, defined in this output, referenced by an object) of a name; gid 0 when unknown."""
    cdef Columns* c = &tables.c
    cdef uint32_t gid = find_name(c, name, len(name), hash_bytes(<const char*>name, len(name)))
    if gid == 0:
        return 0, False, False
    return gid, defined_here(c, gid), c.gflags[gid] & G_REF_REGULAR != 0


def symbol_value(Tables tables, uint32_t gid):
    """Final value of a global."""
    return tables.c.gvalue[gid]


def image_dynamic(Tables tables, uint64_t address):
    """Sets Image.dynamic, the value of the first reserved GOT word."""
    tables.c.image.dynamic = address


def has_special(Tables tables, uint32_t special):
    """True when file 1 has that section, whatever its size."""
    return tables.c.special[special] != 0


def needs(Tables tables):
    """NEEDS_* bits of the link (Columns.needs)."""
    return tables.c.needs


def relr_count(Tables tables):
    """Number of words that .relr.dyn names."""
    return tables.c.nrelr


def fragment_place(Tables tables, uint32_t frag):
    """(output number, address) of a fragment."""
    return tables.c.frags[frag].output, tables.c.frag_addr[frag]


def has_unwind_info(Tables tables):
    """True when some .eh_frame of the inputs has more than an end mark (GNU ld makes no table otherwise)."""
    cdef Columns* c = &tables.c
    cdef uint32_t i
    for i in range(1, c.nehs):
        if c.frag_state[c.ehs[i].frag] & STATE_LIVE and c.frags[c.ehs[i].frag].size > 8:
            return True
    return False


def drop_empty(Tables tables):
    """Slot sections that stayed empty are no part of the output."""
    cdef Columns* c = &tables.c
    cdef uint32_t i, frag
    for i in (SPECIAL_GOT, SPECIAL_GOT_PLT, SPECIAL_PLT, SPECIAL_PLT_GOT, SPECIAL_IPLT, SPECIAL_IGOT_PLT,
              SPECIAL_RELA_DYN, SPECIAL_RELA_PLT, SPECIAL_RELA_IPLT, SPECIAL_RELR_DYN, SPECIAL_DYNBSS,
              SPECIAL_DYNRELRO, SPECIAL_PLT_LAZY, SPECIAL_PLT_EH, SPECIAL_EH_FRAME_HDR, SPECIAL_HASH,
              SPECIAL_GNU_HASH, SPECIAL_VERSYM, SPECIAL_VERDEF, SPECIAL_VERNEED):
        frag = c.special[i]
        if frag and c.frags[frag].size == 0:
            c.frag_state[frag] &= ~<uint8_t>STATE_LIVE


def put_bytes(size_t out, bytes contents):
    """Copies bytes into the output at address `out`."""
    memcpy(<void*>out, <const char*>contents, len(contents))
