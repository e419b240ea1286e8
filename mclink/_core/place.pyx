"""Level 2: the fragments of each run (input statement): in which order, at which offset.

Members are collected once the graph is known; Python decides on output sections and addresses and calls
place_run() for each run as often as addresses change.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int32_t, int64_t, uintptr_t
from libc.stdlib cimport malloc, calloc, realloc, free, qsort
from libc.string cimport memcmp, memcpy, memset, strlen
from cpython.bytes cimport PyBytes_FromStringAndSize

from mclink._core.elf cimport *
from mclink._core.parallel cimport parallel_for
from mclink._core.tables cimport (
    Columns, File, Fragment, Global, Plain, Tables, FRAG_MERGE, FRAG_REGULAR, FRAG_COMMON, STATE_LIVE, STATE_FOLDED, FILE_EXECSTACK,
    FILE_NO_STACK_NOTE, INTERNAL_FILE, SYM_DEFINED, SYM_DEFINED_WEAK, SYM_COMMON, frag_address)

cdef enum:                   # sort keys; those of script.ast
    SORT_UNSET = 0
    SORT_NAME = 1
    SORT_ALIGNMENT = 2
    SORT_NAME_ALIGNMENT = 3
    SORT_ALIGNMENT_NAME = 4
    SORT_NONE = 5
    SORT_INIT_PRIORITY = 6
    SORT_REVERSE = 8

cdef enum:
    CHUNK = 65536            # fragments of one unit of finish()
    PLAIN_CHUNK = 4096       # rules of one unit of number_plain()
    ASCII_ZERO = 48          # '0'

cdef struct RunRow:          # one run
    uint32_t first           # index of its first member
    uint32_t count           # number of members
    uint32_t flags_or        # union of the members' sh_flags
    uint32_t flags_and       # intersection
    uint32_t entsize         # sh_entsize of all members, 0 when they differ
    uint32_t type            # sh_type of the first member
    uint8_t align_log2       # largest alignment
    uint8_t contents         # some member has bytes in the file
    uint8_t internal         # some member is the linker's own
    uint8_t placed           # the next fields are valid
    uint32_t output          # number of its output section, 0 none
    uint32_t rank            # position of its first member in the whole output, for SHF_LINK_ORDER
    uint64_t total           # sum of the members' sizes when they were collected, in bytes
    uint64_t offset          # place_run(): offset it was placed at
    uint64_t residue         # place_run(): address modulo its alignment
    uint64_t end             # place_run(): offset of its end
    int32_t subalign         # place_run(): SUBALIGN

cdef struct Key:             # one member while its run is sorted
    const char* name         # section name
    const char* file         # file name, for sorted file patterns
    const char* archive      # archive name, "" for none
    uint32_t name_len        # bytes of name
    uint32_t file_len        # bytes of file
    uint32_t archive_len     # bytes of archive
    uint32_t frag            # the fragment
    uint32_t sequence        # position before sorting
    int32_t priority         # number behind the last dot, -1 none
    uint64_t rank            # SHF_LINK_ORDER: position of the section it follows
    uint8_t align_log2       # alignment
    uint8_t sort             # SORT_* key of its pattern
    uint8_t by_file          # SORT_* key of the file pattern
    uint8_t by_rank          # sort by rank alone


cdef int compare_text(const char* a, uint32_t a_len, const char* b, uint32_t b_len) noexcept nogil:
    cdef int order = memcmp(a, b, min(a_len, b_len))
    if order:
        return order
    return (a_len > b_len) - (a_len < b_len)


cdef int compare_keys(const Key* a, const Key* b, uint8_t sort) noexcept nogil:
    """Order of two members under a sort key; 0 when it leaves them as they are."""
    cdef int order = 0
    cdef uint8_t kind = sort & 7
    if kind == SORT_INIT_PRIORITY:
        if a.priority >= 0 and b.priority >= 0:
            order = (a.priority > b.priority) - (a.priority < b.priority)
        if order == 0:
            order = compare_text(a.name, a.name_len, b.name, b.name_len)
    elif kind == SORT_NAME or kind == SORT_NAME_ALIGNMENT:
        order = compare_text(a.name, a.name_len, b.name, b.name_len)
        if order == 0 and kind == SORT_NAME_ALIGNMENT:
            order = <int>b.align_log2 - <int>a.align_log2
    elif kind == SORT_ALIGNMENT or kind == SORT_ALIGNMENT_NAME:
        order = <int>b.align_log2 - <int>a.align_log2
        if order == 0 and kind == SORT_ALIGNMENT_NAME:
            order = compare_text(a.name, a.name_len, b.name, b.name_len)
    return -order if sort & SORT_REVERSE else order


cdef int compare_files(const Key* a, const Key* b) noexcept nogil:
    cdef int order = 0
    if a.by_file & 7 == SORT_NAME:
        order = compare_text(a.archive, a.archive_len, b.archive, b.archive_len)
        if order == 0:
            order = compare_text(a.file, a.file_len, b.file, b.file_len)
    return -order if a.by_file & SORT_REVERSE else order


cdef int compare_members(const void* left, const void* right) noexcept nogil:
    """Total order for qsort: ties keep the order before sorting."""
    cdef const Key* a = <const Key*>left
    cdef const Key* b = <const Key*>right
    cdef int order
    if a.by_rank:
        order = (a.rank > b.rank) - (a.rank < b.rank)
    else:
        order = compare_files(a, b)
        if order == 0:
            order = compare_keys(a, b, a.sort)
    if order:
        return order
    return (a.sequence > b.sequence) - (a.sequence < b.sequence)


cdef int32_t init_priority(const char* name, uint32_t length) noexcept nogil:
    """The priority of .init_array.NNNNN, and 65535 - NNNNN of .ctors.NNNNN; -1 without a number."""
    cdef uint32_t i = length
    cdef int64_t number = 0
    while i > 0 and b'0' <= name[i - 1] <= b'9':
        i -= 1
    if i == length or i == 0 or name[i - 1] != b'.' or length - i > 9:
        return -1
    if i == 7 and (memcmp(name, b".ctors.", 7) == 0 or memcmp(name, b".dtors.", 7) == 0):
        while i < length:
            number = number * 10 + (name[i] - ASCII_ZERO)
            i += 1
        return <int32_t>(65535 - number) if number <= 65535 else -1
    while i < length:
        number = number * 10 + (name[i] - ASCII_ZERO)
        i += 1
    return <int32_t>number


cdef void fill_key(Columns* c, Key* key, uint32_t frag) noexcept nogil:
    cdef Fragment* row = &c.frags[frag]
    cdef const File* f = &c.files[row.file]
    cdef uint64_t offset
    memset(key, 0, sizeof(Key))
    key.frag = frag
    key.align_log2 = row.align_log2
    key.name = b""
    key.file = b""
    key.archive = b""
    if row.kind == FRAG_COMMON:
        key.name = b"COMMON"
    if frag >= f.frag_base and frag - f.frag_base < f.shnum and row.kind != FRAG_COMMON:
        offset = f.shdrs[frag - f.frag_base].sh_name
        if offset < f.shstrtab_size:
            key.name = f.shstrtab + offset
    key.name_len = <uint32_t>strlen(key.name)
    key.priority = init_priority(key.name, key.name_len)
    if f.name != NULL:
        key.file = f.name
        key.file_len = f.name_len
    if f.archive and c.files[f.archive].name != NULL:
        key.archive = c.files[f.archive].name
        key.archive_len = c.files[f.archive].name_len


cdef struct FinishJob:       # what finish() hands to its units
    Columns* c               # the tables
    const uint64_t* address  # [count] address of each output section
    uint32_t count           # those behind are at address 0 (Columns.plain)


cdef void finish_chunk(void* context, int64_t index, int thread) noexcept nogil:
    cdef FinishJob* job = <FinishJob*>context
    cdef Columns* c = job.c
    cdef uint32_t i = <uint32_t>(index * CHUNK)
    cdef uint32_t end = min(i + CHUNK, c.nfrags)
    while i < end:
        if c.frags[i].output and c.frags[i].output < job.count:
            c.frag_addr[i] += job.address[c.frags[i].output]
        i += 1


cdef struct PlainJob:        # what number_plain() hands to its units
    Columns* c               # the tables
    const RunRow* runs       # [count] rows of the rules
    const uint32_t* frags    # Members.frags
    const uint32_t* row      # [count] row of Columns.plain of each
    uint32_t count           # rules
    uint32_t first           # output number of row 0


cdef void fill_plain(Plain* p, const RunRow* r, uint32_t word) noexcept nogil:
    """What the header of an output section says by its members."""
    cdef uint32_t strings = SHF_MERGE | SHF_STRINGS
    p.type = r.type
    p.align_log2 = r.align_log2
    p.flags = r.flags_or & ~<uint32_t>(SHF_MERGE | SHF_STRINGS | SHF_INFO_LINK | SHF_COMPRESSED | SHF_EXCLUDE)
    if r.flags_and & SHF_MERGE and not (r.flags_and ^ r.flags_or) & SHF_STRINGS and r.entsize:
        p.flags |= r.flags_and & strings
    if not r.flags_and & SHF_LINK_ORDER:
        p.flags &= ~<uint32_t>SHF_LINK_ORDER
    p.entsize = r.entsize if p.flags & SHF_MERGE or r.type != SHT_PROGBITS else 0
    if r.type == SHT_INIT_ARRAY or r.type == SHT_FINI_ARRAY or r.type == SHT_PREINIT_ARRAY:
        p.entsize = word


cdef void plain_chunk(void* context, int64_t index, int thread) noexcept nogil:
    """Places the members of some rules."""
    cdef PlainJob* job = <PlainJob*>context
    cdef Columns* c = job.c
    cdef const RunRow* r
    cdef Plain* p
    cdef uint32_t i, k
    for i in range(<uint32_t>index * PLAIN_CHUNK, min(<uint32_t>(index + 1) * PLAIN_CHUNK, job.count)):
        r = &job.runs[i]
        if r.count == 0:
            continue
        p = &c.plain[job.row[i]]
        p.members = job.frags + r.first
        p.count = r.count
        p.size = place_members(c, p.members, r.count, 0, 0, -1)
        for k in range(r.count):
            c.frags[p.members[k]].output = job.first + job.row[i]
            p.nrelocs += c.frags[p.members[k]].nrelocs
        fill_plain(p, r, 4 if c.elf32 else 8)


cdef class Members:
    """The live fragments of every run. `frags` is one array, grouped by run, in link order."""
    cdef uint32_t* frags     # fragment ids
    cdef uint32_t n_frags    # how many
    cdef RunRow* runs        # [n_runs]
    cdef uint32_t n_runs     # rows; row 0 is not used
    cdef list reversed       # what reverse_words() has made

    def __cinit__(self, Tables tables, uint32_t n_runs):
        self.n_runs = n_runs
        self.reversed = []
        self.runs = <RunRow*>calloc(<size_t>n_runs + 1, sizeof(RunRow))
        if self.runs == NULL:
            raise MemoryError
        if not self.collect(&tables.c):
            raise MemoryError

    def __dealloc__(self):
        free(self.frags)
        free(self.runs)

    cdef bint collect(self, Columns* c) noexcept:
        """Counting sort of the live fragments by run. Link order: files as they became live, in a file its
        sections and then its commons."""
        cdef uint32_t i, file, extra
        cdef uint32_t total = 0
        cdef uint32_t extra_end = c.nfrags
        cdef Fragment* row
        for i in range(1, c.nfrags):
            if self.takes(c, i):
                self.runs[c.frags[i].rule].count += 1
                total += 1
        self.frags = <uint32_t*>malloc((<size_t>total + 1) * sizeof(uint32_t))
        if self.frags == NULL:
            return False
        self.n_frags = total
        total = 0
        for i in range(1, self.n_runs):
            self.runs[i].first = total
            total += self.runs[i].count
            self.runs[i].count = 0
            self.runs[i].flags_and = 0xffffffff
        extra = c.first_extra if c.first_extra else c.nfrags
        for file in range(c.nlive):
            i = c.files[c.live[file]].frag_base
            for i in range(i + 1, i + c.files[c.live[file]].shnum):
                if self.takes(c, i):
                    self.append(c, i)
            while extra < extra_end and c.files[c.frags[extra].file].order <= c.files[c.live[file]].order:
                if self.takes(c, extra):
                    self.append(c, extra)
                extra += 1
        while extra < extra_end:
            if self.takes(c, extra):
                self.append(c, extra)
            extra += 1
        return True

    cdef bint takes(self, Columns* c, uint32_t frag) noexcept nogil:
        cdef uint32_t rule = c.frags[frag].rule
        return rule != 0 and rule < self.n_runs and (c.frag_state[frag] & (STATE_LIVE | STATE_FOLDED)) == STATE_LIVE

    cdef void append(self, Columns* c, uint32_t frag) noexcept nogil:
        cdef Fragment* row = &c.frags[frag]
        cdef RunRow* run = &self.runs[row.rule]
        self.frags[run.first + run.count] = frag
        if run.count == 0:
            run.type = row.sh_type
            run.entsize = row.entsize
        elif row.entsize != run.entsize:
            run.entsize = 0
        run.count += 1
        run.total += row.size
        run.flags_or |= row.sh_flags
        run.flags_and &= row.sh_flags
        if row.sh_type != SHT_NOBITS:
            run.contents = 1
            if run.type == SHT_NOBITS:
                run.type = row.sh_type
        if row.align_log2 > run.align_log2:
            run.align_log2 = row.align_log2
        if row.file == INTERNAL_FILE:
            run.internal = 1

    def address(self):
        """Address of the member array (uint32_t fragment ids), for the writers in C."""
        return <uintptr_t>self.frags

    def extent(self, uint32_t run):
        """(index of the first member, number of members)."""
        return self.runs[run].first, self.runs[run].count

    def summary(self, uint32_t run):
        """(union of flags, intersection of flags, type of the first, alignment in bytes, entsize or 0, some
        member has contents, some member is the linker's own, sum of the sizes)."""
        cdef RunRow* r = &self.runs[run]
        return (r.flags_or, r.flags_and, r.type, <uint64_t>1 << r.align_log2, r.entsize, bool(r.contents),
                bool(r.internal), r.total)

    def members(self, uint32_t run):
        """The fragment ids of a run; for reports and small runs."""
        cdef RunRow* r = &self.runs[run]
        return [self.frags[i] for i in range(r.first, r.first + r.count)]

    def total_size(self, Tables tables, uint32_t run):
        """Sum of the sizes of the members, in bytes, without padding."""
        cdef RunRow* r = &self.runs[run]
        cdef uint64_t total = 0
        cdef uint32_t i
        for i in range(r.first, r.first + r.count):
            total += tables.c.frags[self.frags[i]].size
        return total

    def split(self, uint32_t run, uint32_t at):
        """Leaves the first `at` members in a run; returns the number of a new run that has the others."""
        cdef RunRow* grown = <RunRow*>realloc(self.runs, (<size_t>self.n_runs + 2) * sizeof(RunRow))
        if grown == NULL:
            raise MemoryError
        self.runs = grown
        grown[self.n_runs] = grown[run]
        grown[self.n_runs].first += at
        grown[self.n_runs].count -= at
        grown[run].count = at
        self.n_runs += 1
        return self.n_runs - 1

    def reverse_words(self, Tables tables, uint32_t run, uint32_t word):
        """Turns the words of .ctors and .dtors sections among the members round, `word` bytes each: what ran these tables
        started at their end, what runs .init_array and .fini_array does not (as GNU ld does)."""
        cdef Columns* c = &tables.c
        cdef RunRow* r = &self.runs[run]
        cdef Fragment* f
        cdef Key key
        cdef uint32_t i, k
        cdef uint64_t at
        cdef bytes kept
        cdef uint8_t* data
        cdef Rela* relocs
        for i in range(r.first, r.first + r.count):
            f = &c.frags[self.frags[i]]
            if f.kind != FRAG_REGULAR or f.data == NULL or f.size <= word or f.size % word or f.size >> 32:
                continue
            fill_key(c, &key, self.frags[i])
            if key.name_len < 6 or (memcmp(key.name, b".ctors", 6) != 0 and memcmp(key.name, b".dtors", 6) != 0) \
                    or key.name_len > 6 and key.name[6] != c'.':
                continue
            for k in range(f.nrelocs):
                if f.relocs[k].r_offset % word or f.relocs[k].r_offset >= f.size:
                    break
            else:
                kept = PyBytes_FromStringAndSize(NULL, f.nrelocs * sizeof(Rela) + f.size + f.nrelocs)
                self.reversed.append(kept)
                relocs = <Rela*><char*>kept
                data = <uint8_t*>(relocs + f.nrelocs)
                for at in range(0, f.size, word):
                    memcpy(data + f.size - word - at, f.data + at, word)
                for k in range(f.nrelocs):
                    relocs[k] = f.relocs[f.nrelocs - 1 - k]
                    relocs[k].r_offset = f.size - word - relocs[k].r_offset
                if f.verdicts != NULL:
                    for k in range(f.nrelocs):
                        data[f.size + k] = f.verdicts[f.nrelocs - 1 - k]
                    f.verdicts = data + f.size
                f.data = data
                f.relocs = relocs

    def set_output(self, Tables tables, uint32_t run, uint32_t output):
        """Records the number of the output section in the run and its members."""
        cdef RunRow* r = &self.runs[run]
        cdef uint32_t i
        r.output = output
        for i in range(r.first, r.first + r.count):
            tables.c.frags[self.frags[i]].output = output

    def number_plain(self, Tables tables, uint32_t first_rule, uint32_t noutputs):
        """-r: makes Columns.plain: an output section of each rule from first_rule on that has members, numbered behind
        the `noutputs` of Python's. Their members are placed, at address 0."""
        cdef Columns* c = &tables.c
        cdef PlainJob job
        cdef uint32_t i, n = 0
        cdef uint32_t* row
        job.c = c
        job.runs = self.runs + first_rule
        job.frags = self.frags
        job.count = self.n_runs - first_rule
        job.first = noutputs + 1
        row = <uint32_t*>malloc((<size_t>job.count + 1) * sizeof(uint32_t))
        if row == NULL:
            raise MemoryError
        job.row = row
        for i in range(job.count):
            row[i] = n
            n += job.runs[i].count != 0
        c.plain = <Plain*>calloc(<size_t>n + 1, sizeof(Plain))
        if c.plain == NULL:
            free(row)
            raise MemoryError
        c.nplain = n
        with nogil:
            parallel_for(plain_chunk, &job, (job.count + PLAIN_CHUNK - 1) // PLAIN_CHUNK, c.threads)
        free(row)

    def sort_run(self, Tables tables, uint32_t run, uint8_t by_file, bytes sorts, list numbers=None):
        """Sorts the members of a run.

        by_file: SORT_* of the file pattern. sorts: SORT_* of each section pattern of the statement. numbers:
        position of the pattern that took each member, needed when the patterns are sorted differently:
        then each sorted member goes before the first of those placed so far that sorts behind it, as GNU ld
        does it."""
        cdef RunRow* r = &self.runs[run]
        cdef Columns* c = &tables.c
        cdef Key* keys
        cdef Key moved
        cdef uint32_t i, k
        if r.count < 2:
            return
        keys = <Key*>malloc(<size_t>r.count * sizeof(Key))
        if keys == NULL:
            raise MemoryError
        for i in range(r.count):
            fill_key(c, &keys[i], self.frags[r.first + i])
            keys[i].sequence = i
            keys[i].by_file = by_file
            keys[i].sort = sorts[numbers[i]] if numbers is not None else sorts[0]
        if numbers is None:
            qsort(keys, r.count, sizeof(Key), compare_members)
        else:
            for i in range(1, r.count):
                if keys[i].sort & 7 in (SORT_UNSET, SORT_NONE) and not by_file:
                    continue
                moved = keys[i]
                for k in range(i):
                    if precedes(&moved, &keys[k]):
                        memmove_keys(&keys[k + 1], &keys[k], i - k)
                        keys[k] = moved
                        break
        for i in range(r.count):
            self.frags[r.first + i] = keys[i].frag
        free(keys)

    def rank_runs(self, list order):
        """Tells the order of the runs in the output, for sort_link_order()."""
        cdef uint32_t rank = 0
        for run in order:
            self.runs[<uint32_t>run].rank = rank
            rank += self.runs[<uint32_t>run].count

    def sort_link_order(self, Tables tables, list order):
        """Sorts the SHF_LINK_ORDER members of each run by the place of the sections they follow
        (gABI, SHF_LINK_ORDER); members without come first. order: the runs as in rank_runs()."""
        cdef Columns* c = &tables.c
        cdef RunRow* r
        cdef Key* keys
        cdef Fragment* row
        cdef uint32_t i, link
        cdef uint32_t* position = NULL
        if not any(self.runs[<uint32_t>run].flags_or & SHF_LINK_ORDER and self.runs[<uint32_t>run].count > 1
                   for run in order):
            return
        position = <uint32_t*>calloc(c.nfrags, sizeof(uint32_t))
        if position == NULL:
            raise MemoryError
        for run in order:
            r = &self.runs[<uint32_t>run]
            for i in range(r.count):
                position[self.frags[r.first + i]] = r.rank + i + 1
        for run in order:
            r = &self.runs[<uint32_t>run]
            if not r.flags_or & SHF_LINK_ORDER or r.count < 2:
                continue
            keys = <Key*>calloc(r.count, sizeof(Key))
            if keys == NULL:
                free(position)
                raise MemoryError
            for i in range(r.count):
                keys[i].frag = self.frags[r.first + i]
                keys[i].sequence = i
                keys[i].by_rank = 1
                row = &c.frags[keys[i].frag]
                if row.sh_flags & SHF_LINK_ORDER and row.link < c.nfrags and row.kind != FRAG_MERGE:
                    link = row.link
                    if c.frag_state[link] & STATE_FOLDED:
                        link = c.frags[link].link
                    keys[i].rank = position[link] if link < c.nfrags else 0
            qsort(keys, r.count, sizeof(Key), compare_members)
            for i in range(r.count):
                self.frags[r.first + i] = keys[i].frag
            free(keys)
        free(position)

    def followed_output(self, Tables tables, uint32_t run):
        """Number of the output section of the section that the first SHF_LINK_ORDER member of a run follows; 0 none."""
        cdef RunRow* r = &self.runs[run]
        cdef Fragment* row
        cdef uint32_t i
        for i in range(r.first, r.first + r.count):
            row = &tables.c.frags[self.frags[i]]
            if row.sh_flags & SHF_LINK_ORDER and row.link < tables.c.nfrags and tables.c.frags[row.link].output:
                return tables.c.frags[row.link].output
        return 0

    def sort_commons(self, Tables tables, uint32_t run, bint descending):
        """--sort-common: the commons of a run by alignment."""
        cdef bytes sorts = bytes([SORT_ALIGNMENT if descending else SORT_ALIGNMENT | SORT_REVERSE])
        cdef RunRow* r = &self.runs[run]
        cdef uint32_t i
        for i in range(r.first, r.first + r.count):
            if tables.c.frags[self.frags[i]].kind != FRAG_COMMON:
                return
        self.sort_run(tables, run, 0, sorts)

    def place_run(self, Tables tables, uint32_t run, uint64_t base, uint64_t offset, int32_t subalign):
        """Places the members of a run one after the other from `offset` on in an output section at address
        `base`; returns the offset of its end. subalign: log2 of SUBALIGN, -1 for none.

        Does nothing when neither its offset nor the alignment of its address has changed."""
        cdef RunRow* r = &self.runs[run]
        cdef Columns* c = &tables.c
        cdef uint64_t start = base + offset
        cdef uint64_t mask
        cdef uint8_t align = r.align_log2 if subalign < 0 else <uint8_t>subalign
        if r.count == 0:
            return offset
        mask = (<uint64_t>1 << align) - 1
        if (r.placed and r.offset == offset and r.residue == (start & mask) and r.subalign == subalign):
            return r.end
        with nogil:
            r.end = place_members(c, self.frags + r.first, r.count, base, offset, subalign)
        r.placed = 1
        r.offset = offset
        r.residue = start & mask
        r.subalign = subalign
        return r.end

    def cut_points(self, Tables tables, list runs, uint64_t spacing):
        """Where something must stand so that no byte of the members of `runs`, the runs of one output section in
        order, is farther than `spacing` from it: [(run, position in it)], ascending. frag_addr must hold offsets.
        The last point is behind the last member."""
        cdef Columns* c = &tables.c
        cdef RunRow* r
        cdef uint64_t last = 0
        cdef uint32_t i, frag
        points = []
        end = None
        for run in runs:
            r = &self.runs[<uint32_t>run]
            for i in range(r.count):
                frag = self.frags[r.first + i]
                if c.frag_addr[frag] + c.frags[frag].size - last > spacing and c.frag_addr[frag] > last:
                    points.append((run, i))
                    last = c.frag_addr[frag]
            if r.count:
                end = (run, r.count)
        if end is not None:
            points.append(end)
        return points

    def insert(self, list points):
        """Puts fragments among the members. points: [(run, position, fragment)], by run and position as they are
        before the call."""
        cdef uint32_t* grown
        cdef uint32_t run, i, n = 0
        cdef RunRow* r
        cdef size_t total = <size_t>self.n_frags + len(points)
        by_run = {}
        for number, position, frag in points:
            by_run.setdefault(number, []).append((position, frag))
        grown = <uint32_t*>malloc((total + 1) * sizeof(uint32_t))
        if grown == NULL:
            raise MemoryError
        for run in range(1, self.n_runs):
            r = &self.runs[run]
            new = by_run.get(run, [])
            first = n
            at = 0
            for i in range(r.count):
                while at < len(new) and new[at][0] == i:
                    grown[n] = new[at][1]
                    n += 1
                    at += 1
                grown[n] = self.frags[r.first + i]
                n += 1
            while at < len(new):
                grown[n] = new[at][1]
                n += 1
                at += 1
            r.first = first
            r.count += <uint32_t>len(new)
            r.placed = 0
            if new and r.align_log2 < 4:
                # place_run() looks at the address only as far as some member may be aligned.
                r.align_log2 = 4
        free(self.frags)
        self.frags = grown
        self.n_frags = n

    def invalidate(self):
        """Sizes have changed: place_run() must place anew."""
        cdef uint32_t i
        for i in range(self.n_runs):
            self.runs[i].placed = 0

    def finish(self, Tables tables, list addresses):
        """Turns the offsets of all fragments into addresses, in parallel. addresses[n]: address of the output
        section of number n."""
        cdef FinishJob job
        cdef size_t n = len(addresses)
        cdef size_t i
        cdef uint64_t* address = <uint64_t*>malloc((n + 1) * sizeof(uint64_t))
        if address == NULL:
            raise MemoryError
        for i in range(n):
            address[i] = <uint64_t>addresses[i]
        job.c = &tables.c
        job.address = address
        job.count = <uint32_t>n
        with nogil:
            parallel_for(finish_chunk, &job, (tables.c.nfrags + CHUNK - 1) // CHUNK, tables.c.threads)
        free(address)


cdef bint precedes(const Key* a, const Key* b) noexcept nogil:
    cdef int order = compare_files(a, b)
    if order == 0:
        order = compare_keys(a, b, a.sort)
    return order < 0


cdef void memmove_keys(Key* to, const Key* source, uint32_t count) noexcept nogil:
    while count:
        count -= 1
        to[count] = source[count]


cdef uint64_t place_members(Columns* c, const uint32_t* frags, uint32_t count, uint64_t base, uint64_t offset,
                            int32_t subalign) noexcept nogil:
    cdef uint32_t i
    cdef Fragment* row
    cdef uint64_t mask
    for i in range(count):
        row = &c.frags[frags[i]]
        if row.kind == FRAG_MERGE and row.size == 0:
            # Its pieces lie in the carrier of its group.
            c.frag_addr[frags[i]] = offset
            continue
        mask = (<uint64_t>1 << (row.align_log2 if subalign < 0 else subalign)) - 1
        offset += (0 - (base + offset)) & mask
        c.frag_addr[frags[i]] = offset
        offset += row.size
    return offset


def symbol_place(Tables tables, uint32_t gid):
    """Where an input file defines a name, while addresses are assigned: (number of the output section,
    offset in it), (0, value) for an absolute symbol, None when no object defines it."""
    cdef Columns* c = &tables.c
    cdef Global* g
    cdef uint32_t frag
    if gid == 0 or gid >= c.nglobals:
        return None
    g = &c.globals[gid]
    if g.state != SYM_DEFINED and g.state != SYM_DEFINED_WEAK and g.state != SYM_COMMON:
        return None
    if g.frag == 0:
        return 0, g.value
    frag = g.frag
    if c.frag_state[frag] & STATE_FOLDED and c.frags[frag].kind != FRAG_MERGE:
        frag = c.frags[frag].link
    return c.frags[frag].output, frag_address(c, g.frag, g.value)


def stack_request(Tables tables):
    """What the live objects say of the stack: (first file with an executable .note.GNU-stack or 0, first
    without a note or 0, some file has a note)."""
    cdef Columns* c = &tables.c
    cdef uint32_t i, file
    cdef uint32_t executable = 0
    cdef uint32_t missing = 0
    cdef bint noted = False
    for i in range(c.nlive):
        file = c.live[i]
        if file == INTERNAL_FILE:
            continue
        if c.files[file].flags & FILE_NO_STACK_NOTE:
            if missing == 0:
                missing = file
        else:
            noted = True
            if c.files[file].flags & FILE_EXECSTACK and executable == 0:
                executable = file
    return executable, missing, noted


def fragment_address(Tables tables, uint32_t frag):
    """frag_addr of a fragment; for tests and reports."""
    return tables.c.frag_addr[frag]
