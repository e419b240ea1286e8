"""Level 2, output: the lines of a link map that there are many of, in the layout of GNU ld 2.40.

Python writes the frame (script statements, output sections, headings); the input sections, their symbols, the
discarded sections and the cross reference table are written here.
"""
from libc.stdint cimport uint32_t, uint64_t, int64_t
from libc.stdlib cimport malloc, calloc, realloc, free, qsort
from libc.string cimport memcpy, memset, memcmp, strlen
from libc.errno cimport ENOMEM, errno
from mclink._core.elf cimport *
from mclink._core.ops cimport Ops
from mclink._core.parallel cimport parallel_for, task_t
from mclink._core.tables cimport *

cdef extern from * nogil:
    """
    #include <unistd.h>
    #include <errno.h>
    #include <sched.h>
    #include <stdint.h>
    static void mclink_wait_turn(int64_t *turn, int64_t index)
    {
        while (__atomic_load_n(turn, __ATOMIC_ACQUIRE) != index)
            sched_yield();
    }
    static void mclink_end_turn(int64_t *turn, int64_t next) { __atomic_store_n(turn, next, __ATOMIC_RELEASE); }
    static int mclink_pwrite_text(int fd, const char *data, size_t size, uint64_t at)
    {
        while (size) {
            ssize_t n = pwrite(fd, data, size > 1 << 30 ? 1 << 30 : size, at);
            if (n < 0) {
                if (errno == EINTR)
                    continue;
                return -1;
            }
            data += n;
            at += n;
            size -= n;
        }
        return 0;
    }
    static int mclink_write_text(int fd, const char *data, size_t size)
    {
        while (size) {
            ssize_t n = write(fd, data, size > 1 << 30 ? 1 << 30 : size);
            if (n < 0) {
                if (errno == EINTR)
                    continue;
                return -1;
            }
            data += n;
            size -= n;
        }
        return 0;
    }
    """
    int write_all "mclink_write_text"(int fd, const char* data, size_t size)
    int write_at "mclink_pwrite_text"(int fd, const char* data, size_t size, uint64_t at)
    void wait_turn "mclink_wait_turn"(int64_t* turn, int64_t index)
    void end_turn "mclink_end_turn"(int64_t* turn, int64_t next)

cdef extern from *:
    int __builtin_clzll(unsigned long long value) noexcept nogil
    void prefetch "__builtin_prefetch"(const void* p) noexcept nogil

cdef enum:
    CHUNK = 4096             # members whose lines one task writes
    AHEAD = 8                # members prefetched ahead
    NAME_COLUMN = 16         # where addresses stand
    CREF_COLUMN = 50         # where the files of the cross reference table stand
    SPARE = 8192             # bytes that reserve() leaves at least

cdef struct Sink:            # the file that the text goes to
    int fd                   # its descriptor
    bint seekable            # parts may be written at their places, in any order
    uint64_t end             # bytes written, or given a place
    int64_t turn             # index of the task whose text comes next
    int error                # the first errno


cdef const char* HEX = b"0123456789abcdef"

cdef struct Text:            # a growing text
    char* data               # [capacity]
    size_t used              # bytes in it
    size_t capacity          # bytes allocated
    bint failed              # memory ran out


cdef bint reserve(Text* t, size_t more) noexcept nogil:
    """Makes room for `more` bytes and SPARE beyond."""
    cdef char* grown
    cdef size_t need = t.used + more + SPARE
    if need <= t.capacity:
        return True
    need += need >> 1
    grown = <char*>realloc(t.data, need)
    if grown == NULL:
        t.failed = True
        return False
    t.data = grown
    t.capacity = need
    return True


cdef void drain(Sink* s, Text* t, int64_t index) noexcept nogil:
    """Writes the text of task `index` behind that of the tasks in front of it; the buffer is empty afterwards."""
    cdef uint64_t at
    wait_turn(&s.turn, index)
    at = s.end
    s.end += t.used
    if t.failed and s.error == 0:
        s.error = ENOMEM
    if not s.seekable and s.error == 0 and write_all(s.fd, t.data, t.used) != 0:
        s.error = errno
    end_turn(&s.turn, index + 1)
    if s.seekable and write_at(s.fd, t.data, t.used, at) != 0:
        s.error = errno
    t.used = 0


cdef inline void put(Text* t, const char* text, size_t n) noexcept nogil:
    if reserve(t, n):
        memcpy(t.data + t.used, text, n)
        t.used += n


cdef inline void put_spaces(Text* t, size_t n) noexcept nogil:
    if reserve(t, n):
        memset(t.data + t.used, c' ', n)
        t.used += n


cdef inline void put_char(Text* t, char ch) noexcept nogil:
    if reserve(t, 1):
        t.data[t.used] = ch
        t.used += 1


cdef inline int hex_digits(uint64_t value) noexcept nogil:
    """Digits of a number in hexadecimal, 1 for zero."""
    return (67 - __builtin_clzll(value | 1)) >> 2


cdef inline char* write_hex(char* p, uint64_t value, int digits) noexcept nogil:
    """0x and at least `digits` digits; returns the end."""
    cdef int n = hex_digits(value)
    cdef int i
    if n < digits:
        n = digits
    p[0] = c'0'
    p[1] = c'x'
    p += 2
    for i in range(n):
        p[n - 1 - i] = HEX[value & 15]
        value >>= 4
    return p + n


cdef inline char* write_size(char* p, uint64_t value) noexcept nogil:
    """A number in hexadecimal, right-adjusted in 10 columns; returns the end."""
    cdef int n = 8 - hex_digits(value)
    if n > 0:
        memset(p, c' ', n)
        p += n
    return write_hex(p, value, 1)


cdef void put_hex(Text* t, uint64_t value, int digits) noexcept nogil:
    if reserve(t, 20):
        t.used = write_hex(t.data + t.used, value, digits) - t.data


cdef void put_size(Text* t, uint64_t value) noexcept nogil:
    if reserve(t, 32):
        t.used = write_size(t.data + t.used, value) - t.data


cdef void put_name(Text* t, const char* name, size_t n, bint indent) noexcept nogil:
    """A section's name and the way to the address column, on a line of its own when it is long."""
    if indent:
        put_char(t, c' ')
    put(t, name, n)
    if indent:
        n += 1
    if n >= NAME_COLUMN - 1:
        put_char(t, c'\n')
        n = 0
    put_spaces(t, NAME_COLUMN - n)


cdef void put_file(Text* t, Columns* c, uint32_t id) noexcept nogil:
    """`archive(member)` or the name. The linker's own sections go under the first object, as in GNU ld."""
    cdef File* f
    if id == INTERNAL_FILE and c.nlive > 1:
        id = c.live[1]
    f = &c.files[id]
    if f.archive:
        put(t, c.files[f.archive].name, c.files[f.archive].name_len)
        put_char(t, c'(')
    put(t, f.name, f.name_len)
    if f.archive:
        put_char(t, c')')


cdef const char* frag_name(Columns* c, uint32_t frag) noexcept nogil:
    cdef Fragment* g = &c.frags[frag]
    cdef File* f = &c.files[g.file]
    cdef uint32_t index
    if g.kind == FRAG_COMMON:
        return b"COMMON"
    if c.first_extra and frag >= c.first_extra:
        return b".got" if g.kind == FRAG_SYNTHETIC else b".stub"
    index = frag - f.frag_base
    return f.shstrtab + f.shdrs[index].sh_name


cdef struct SymbolKey:       # a defined global name, sortable inside its fragment
    uint64_t value           # offset in the fragment
    uint32_t gid             # the name


cdef int compare_symbols(const void* a, const void* b) noexcept nogil:
    cdef const SymbolKey* x = <const SymbolKey*>a
    cdef const SymbolKey* y = <const SymbolKey*>b
    if x.value != y.value:
        return -1 if x.value < y.value else 1
    return -1 if x.gid < y.gid else x.gid > y.gid


cdef struct Name:            # a demangled name
    uint64_t at              # offset in `names`
    uint32_t length          # bytes; 0: the name is not mangled


cdef struct MemberJob:       # the lines of one run
    Columns* c               # the tables
    const uint32_t* ids      # [count] fragments
    uint64_t count           # number of them
    uint64_t start           # address where the run begins
    int digits               # those of an address
    const char* pattern      # what fills gaps, in hexadecimal digits
    size_t pattern_size      # bytes of it
    const uint32_t* first_symbol # [nfrags + 1] or NULL
    const SymbolKey* symbols # defined globals by fragment
    const Name* readable     # [nsymbols] their demangled names, or NULL
    const char* names        # text of those
    Text* texts              # [threads] a buffer each
    Sink* sink               # where they go; NULL: a single task leaves its text in the buffer


cdef inline bint is_mangled(const Global* g) noexcept nogil:
    return g.name_len > 2 and g.name[0] == c'_' and (g.name[1] == c'Z' or g.name[1] == c'R')


cdef void put_fill(Text* t, uint64_t address, uint64_t size, const char* pattern, size_t n, int digits) noexcept nogil:
    """The line of a gap."""
    cdef char* p
    if not reserve(t, n + 64):
        return
    p = t.data + t.used
    memcpy(p, b" *fill*         ", 16)
    p = write_hex(p + 16, address, digits)
    p[0] = c' '
    p = write_size(p + 1, size)
    p[0] = c' '
    memcpy(p + 1, pattern, n)
    p[n + 1] = c'\n'
    t.used = p + n + 2 - t.data


cdef void put_member(const MemberJob* job, Text* t, uint32_t frag) noexcept nogil:
    """The line of an input section."""
    cdef Columns* c = job.c
    cdef Fragment* g = &c.frags[frag]
    cdef const char* name = frag_name(c, frag)
    cdef size_t n = strlen(name)
    cdef char* p
    cdef File* f
    cdef uint64_t whole
    if not reserve(t, n + 64):
        return
    p = t.data + t.used
    p[0] = c' '
    memcpy(p + 1, name, n)
    p += n + 1
    n += 1
    if n >= NAME_COLUMN - 1:
        p[0] = c'\n'
        p += 1
        n = 0
    memset(p, c' ', NAME_COLUMN - n)
    p = write_hex(p + NAME_COLUMN - n, c.frag_addr[frag], job.digits)
    p[0] = c' '
    p = write_size(p + 1, g.size)
    p[0] = c' '
    t.used = p + 1 - t.data
    put_file(t, c, g.file)
    put_char(t, c'\n')
    if (g.kind == FRAG_MERGE or g.kind == FRAG_EHFRAME) and frag < c.first_extra:
        f = &c.files[g.file]
        whole = f.shdrs[frag - f.frag_base].sh_size
        if whole != g.size and not f.shdrs[frag - f.frag_base].sh_flags & SHF_COMPRESSED:
            put_spaces(t, NAME_COLUMN + 2 + job.digits + 1)
            put_size(t, whole)
            put(t, b" (size before relaxing)\n", 24)


cdef void put_symbol(const MemberJob* job, Text* t, uint32_t k) noexcept nogil:
    """The line of the k-th symbol."""
    cdef Columns* c = job.c
    cdef Global* g = &c.globals[job.symbols[k].gid]
    cdef const char* name = g.name
    cdef size_t n = g.name_len
    cdef uint64_t value = c.gvalue[job.symbols[k].gid]
    cdef char* p
    if g.type == STT_FUNC:
        value &= ~<uint64_t>(<const Ops*>c.ops).code_bits
    if job.readable != NULL and job.readable[k].length:
        name = job.names + job.readable[k].at
        n = job.readable[k].length
    if not reserve(t, n + 64):
        return
    p = t.data + t.used
    memset(p, c' ', NAME_COLUMN)
    p = write_hex(p + NAME_COLUMN, value, job.digits)
    memset(p, c' ', NAME_COLUMN)
    memcpy(p + NAME_COLUMN, name, n)
    p[NAME_COLUMN + n] = c'\n'
    t.used = p + NAME_COLUMN + n + 1 - t.data


cdef void put_members(const MemberJob* job, Text* t, uint64_t i, uint64_t end, uint64_t start) noexcept nogil:
    """The lines of members [i, end): gaps, sections, symbols. start: where the first one would begin without a gap."""
    cdef Columns* c = job.c
    cdef uint64_t address
    cdef uint32_t frag, k
    while i < end:
        if i + AHEAD < end:
            prefetch(&c.frags[job.ids[i + AHEAD]])
            prefetch(&c.frag_addr[job.ids[i + AHEAD]])
        frag = job.ids[i]
        address = c.frag_addr[frag]
        if address > start:
            put_fill(t, start, address - start, job.pattern, job.pattern_size, job.digits)
        put_member(job, t, frag)
        if job.first_symbol != NULL:
            for k in range(job.first_symbol[frag], job.first_symbol[frag + 1]):
                put_symbol(job, t, k)
        if address + c.frags[frag].size > start:
            start = address + c.frags[frag].size
        i += 1


cdef void write_lines(void* context, int64_t index, int thread) noexcept nogil:
    """The lines of CHUNK members."""
    cdef MemberJob* job = <MemberJob*>context
    cdef Columns* c = job.c
    cdef uint64_t i = index * CHUNK
    cdef uint64_t start = job.start
    cdef uint32_t frag
    if i > 0:
        frag = job.ids[i - 1]
        start = c.frag_addr[frag] + c.frags[frag].size
    put_members(job, &job.texts[thread], i, i + CHUNK if i + CHUNK < job.count else job.count, start)
    if job.sink != NULL:
        drain(job.sink, &job.texts[thread], index)


cdef void write_plain(void* context, int64_t index, int thread) noexcept nogil:
    """The lines of CHUNK rows of Columns.plain, members included."""
    cdef MemberJob job = (<MemberJob*>context)[0]
    cdef Columns* c = job.c
    cdef Text* t = &job.texts[thread]
    cdef const char* name
    cdef Plain* p
    cdef uint64_t i
    for i in range(index * CHUNK, min(<uint64_t>(index + 1) * CHUNK, <uint64_t>c.nplain)):
        p = &c.plain[i]
        name = frag_name(c, p.members[0])
        put_char(t, c'\n')
        put_name(t, name, strlen(name), False)
        put_hex(t, 0, job.digits)
        put_char(t, c' ')
        put_size(t, p.size)
        put_char(t, c'\n')
        job.ids = p.members
        put_members(&job, t, 0, p.count, 0)
    if job.sink != NULL:
        drain(job.sink, t, index)


cdef void write_discarded(void* context, int64_t index, int thread) noexcept nogil:
    """The lines of the sections of one live file that are not in the output."""
    cdef MemberJob* job = <MemberJob*>context
    cdef Columns* c = job.c
    cdef Text* t = &job.texts[thread]
    cdef uint32_t id = c.live[index]
    cdef File* f = &c.files[id]
    cdef uint32_t i, type
    cdef const char* name
    for i in range(1, f.shnum if f.kind == FILE_OBJECT else 1):
        if c.frag_state[f.frag_base + i] & STATE_LIVE and c.frags[f.frag_base + i].output:
            continue
        type = f.shdrs[i].sh_type
        if type == SHT_NULL or type == SHT_SYMTAB or type == SHT_STRTAB or type == SHT_REL or \
                type == SHT_RELA or type == SHT_CREL or type == SHT_SYMTAB_SHNDX or type == SHT_LLVM_ADDRSIG:
            continue
        if type == SHT_GROUP and not c.frag_state[f.frag_base + i] & STATE_DISCARDED:
            continue
        name = f.shstrtab + f.shdrs[i].sh_name
        put_name(t, name, strlen(name), True)
        put_hex(t, 0, job.digits)
        put_char(t, c' ')
        put_size(t, f.shdrs[i].sh_size)
        put_char(t, c' ')
        put_file(t, c, id)
        put_char(t, c'\n')
    if job.sink != NULL:
        drain(job.sink, t, index)


cdef class MapText:
    """The text of a map, written while it is made. `demangle`: a callable (bytes) -> str for symbol names, or None;
    `digits`: those of an address, 16 or 8; `fd`: the descriptor of the file, empty when `seekable`. Each method may raise
    OSError."""
    cdef Text text
    cdef Tables tables
    cdef object demangle
    cdef int digits
    cdef uint32_t* first_symbol  # [nfrags + 1] index in `sorted` of each fragment's first symbol
    cdef SymbolKey* sorted       # defined globals by fragment, then by value
    cdef Name* readable          # [nsorted] their demangled names; NULL without demangling
    cdef Text names              # text of those
    cdef Text* buffers           # [nbuffers] one for each thread; NULL at first
    cdef int nbuffers
    cdef Sink sink               # the file

    def __cinit__(self, Tables tables, demangle, int digits, int fd, bint seekable):
        self.tables = tables
        self.demangle = demangle
        self.digits = digits
        memset(&self.sink, 0, sizeof(Sink))
        self.sink.fd = fd
        self.sink.seekable = seekable
        memset(&self.text, 0, sizeof(Text))
        if not reserve(&self.text, 1 << 16):
            raise MemoryError

    def add(self, str text):
        """Appends a text."""
        data = text.encode("utf-8", "surrogateescape")
        put(&self.text, data, len(data))

    def add_section(self, str name, uint64_t address, uint64_t size):
        """Appends the head of an output section, without the end of the line."""
        data = name.encode("utf-8", "surrogateescape")
        put_name(&self.text, data, len(data), False)
        put_hex(&self.text, address, self.digits)
        put_char(&self.text, c' ')
        put_size(&self.text, size)

    def add_fill(self, uint64_t address, uint64_t size, str pattern):
        """Appends the line of a gap; pattern: its filling in hexadecimal digits, "" for zeros."""
        data = pattern.encode()
        put_fill(&self.text, address, size, data, len(data), self.digits)

    def sort_symbols(self):
        """Sorts the defined globals by fragment and value: call before add_members."""
        cdef Columns* c = &self.tables.c
        cdef uint32_t gid, i, n
        cdef Global* g
        cdef uint32_t* at
        at = self.first_symbol = <uint32_t*>calloc(<size_t>c.nfrags + 1, sizeof(uint32_t))
        if at == NULL:
            raise MemoryError
        for gid in range(1, c.nglobals):
            g = &c.globals[gid]
            if is_placed(g) and g.frag < c.nfrags:
                at[g.frag] += 1
        for i in range(1, c.nfrags + 1):
            at[i] += at[i - 1]
        n = at[c.nfrags]
        self.sorted = <SymbolKey*>malloc((<size_t>n + 1) * sizeof(SymbolKey))
        if self.sorted == NULL:
            raise MemoryError
        # at[i] is the end of fragment i's symbols; filling from the end turns it into their start.
        gid = c.nglobals
        while gid > 1:
            gid -= 1
            g = &c.globals[gid]
            if is_placed(g) and g.frag < c.nfrags:
                at[g.frag] -= 1
                self.sorted[at[g.frag]].value = g.value
                self.sorted[at[g.frag]].gid = gid
        for i in range(c.nfrags):
            if at[i + 1] - at[i] > 1:
                qsort(self.sorted + at[i], at[i + 1] - at[i], sizeof(SymbolKey), compare_symbols)

    def read_names(self):
        """Demangles the names that sort_symbols() has found."""
        cdef Columns* c = &self.tables.c
        cdef uint32_t k
        cdef uint32_t n = self.first_symbol[c.nfrags]
        cdef Global* g
        self.readable = <Name*>calloc(<size_t>n + 1, sizeof(Name))
        if self.readable == NULL:
            raise MemoryError
        for k in range(n):
            g = &c.globals[self.sorted[k].gid]
            if is_mangled(g):
                data = self.demangle(g.name[:g.name_len]).encode("utf-8", "surrogateescape")
                self.readable[k].at = self.names.used
                self.readable[k].length = <uint32_t>len(data)
                put(&self.names, data, len(data))
        if self.names.failed:
            raise MemoryError

    cdef int add_name(self, Global* g) except -1:
        if self.demangle is not None and is_mangled(g):
            data = self.demangle(g.name[:g.name_len]).encode("utf-8", "surrogateescape")
            put(&self.text, data, len(data))
        else:
            put(&self.text, g.name, g.name_len)
        return 0

    def add_members(self, size_t members, uint64_t count, uint64_t start, str pattern):
        """Appends the lines of one run, in parallel: `count` fragment ids at address `members`, from address `start`
        on; gaps are filled with `pattern` (see add_fill). Returns the end of the last member."""
        cdef Columns* c = &self.tables.c
        cdef const uint32_t* ids = <const uint32_t*>members
        cdef MemberJob job
        cdef uint64_t end
        data = pattern.encode()
        if count == 0:
            return start
        self.open(&job)
        job.ids = ids
        job.count = count
        job.start = start
        job.pattern = data
        job.pattern_size = len(data)
        self.run(write_lines, &job, (count + CHUNK - 1) // CHUNK)
        end = c.frag_addr[ids[count - 1]] + c.frags[ids[count - 1]].size
        return max(start, end)

    def add_plain(self):
        """Appends the output sections of Columns.plain."""
        cdef MemberJob job
        self.open(&job)
        job.pattern = b""
        job.pattern_size = 0
        self.run(write_plain, &job, (self.tables.c.nplain + CHUNK - 1) // CHUNK)

    cdef void open(self, MemberJob* job) noexcept:
        """Fills in what does not depend on the run."""
        job.c = &self.tables.c
        job.digits = self.digits
        job.first_symbol = self.first_symbol
        job.symbols = self.sorted
        job.readable = self.readable
        job.names = self.names.data

    cdef int run(self, task_t task, MemberJob* job, int64_t n) except -1:
        """Appends what `n` tasks write, in their order."""
        cdef int threads = max(job.c.threads, 1)
        cdef int i
        if n == 1:
            job.texts = &self.text
            job.sink = NULL
            task(job, 0, 0)
            return 0
        if self.buffers == NULL:
            self.buffers = <Text*>calloc(threads, sizeof(Text))
            if self.buffers == NULL:
                raise MemoryError
            self.nbuffers = threads
        self.flush()
        job.texts = self.buffers
        job.sink = &self.sink
        self.sink.turn = 0
        with nogil:
            parallel_for(task, job, n, threads)
        return self.check()

    cdef int flush(self) except -1:
        """Writes what Python has appended."""
        self.sink.turn = 0
        with nogil:
            drain(&self.sink, &self.text, 0)
        return self.check()

    cdef int check(self) except -1:
        """Raises OSError when something could not be written."""
        if self.sink.error:
            raise OSError(self.sink.error, "")
        return 0

    def add_discarded(self):
        """Appends the input sections that are not in the output, in link order."""
        cdef MemberJob job
        self.open(&job)
        self.run(write_discarded, &job, self.tables.c.nlive)

    def add_commons(self):
        """Appends the common symbols that got storage: name, size, file. Returns how many."""
        cdef Columns* c = &self.tables.c
        cdef Text* t = &self.text
        cdef uint32_t frag
        cdef size_t before
        cdef uint32_t n = 0
        for frag in range(c.first_extra if c.first_extra else c.nfrags, c.nfrags):
            if c.frags[frag].kind != FRAG_COMMON or not c.frag_state[frag] & STATE_LIVE:
                continue
            n += 1
            before = t.used
            self.add_name(&c.globals[c.frags[frag].link])
            if t.used - before >= 19:
                put_char(t, c'\n')
                before = t.used
            put_spaces(t, 20 - (t.used - before))
            before = t.used
            put_hex(t, c.frags[frag].size, 1)
            put_spaces(t, 18 - (t.used - before))
            put_file(t, c, c.frags[frag].file)
            put_char(t, c'\n')
        return n

    def add_cref(self):
        """Appends the rows of the cross reference table: names in order, who defines and who refers to each."""
        cdef Columns* c = &self.tables.c
        cdef Text* t = &self.text
        cdef Cref x
        cdef uint32_t id, i, gid, n = 0
        cdef uint64_t k
        cdef File* f
        cdef size_t before
        x.count = <uint32_t*>calloc(<size_t>c.nglobals + 2, sizeof(uint32_t))
        x.gids = <uint32_t*>malloc((<size_t>c.nglobals + 1) * sizeof(uint32_t))
        x.uses = NULL
        try:
            if x.count == NULL or x.gids == NULL:
                raise MemoryError
            collect_uses(c, &x, NULL)
            for gid in range(1, c.nglobals):
                if x.count[gid] != x.count[gid + 1] and c.globals[gid].name != NULL \
                        and c.gflags[gid] & (G_REF_REGULAR | G_DEF_REGULAR):
                    x.gids[n] = gid
                    n += 1
            x.uses = <uint32_t*>malloc((<size_t>x.count[c.nglobals] + 1) * sizeof(uint32_t))
            if x.uses == NULL:
                raise MemoryError
            collect_uses(c, &x, x.uses)
            sort_names(c, x.gids, n)
            for i in range(n):
                gid = x.gids[i]
                before = t.used
                self.add_name(&c.globals[gid])
                for id in range(3):
                    # Definitions, then common symbols, then references.
                    for k in range(x.count[gid - 1], x.count[gid]):
                        if x.uses[k] >> 30 != id or (k > x.count[gid - 1] and x.uses[k] == x.uses[k - 1]):
                            continue
                        if t.used - before >= CREF_COLUMN:
                            put_char(t, c'\n')
                            before = t.used
                        put_spaces(t, CREF_COLUMN - (t.used - before))
                        put_file(t, c, x.uses[k] & 0x3fffffff)
                        put_char(t, c'\n')
                        before = t.used
        finally:
            free(x.count)
            free(x.gids)
            free(x.uses)
        if t.failed:
            raise MemoryError

    def finish(self):
        """Writes what is left of the text. Raises OSError."""
        self.flush()

    def __dealloc__(self):
        cdef int i
        for i in range(self.nbuffers):
            free(self.buffers[i].data)
        free(self.buffers)
        free(self.text.data)
        free(self.names.data)
        free(self.readable)
        free(self.first_symbol)
        free(self.sorted)


cdef inline bint is_placed(const Global* g) noexcept nogil:
    return (g.name != NULL and g.frag != 0
            and (g.state == SYM_DEFINED or g.state == SYM_DEFINED_WEAK or g.state == SYM_COMMON))


cdef struct Cref:            # who uses each name
    uint32_t* count          # [nglobals + 1] first counts, then the end of each name's uses
    uint32_t* gids           # the names of the table
    uint32_t* uses           # file id | kind << 30: 0 definition, 1 common, 2 reference


cdef void collect_uses(Columns* c, Cref* x, uint32_t* uses) noexcept nogil:
    """First call (uses NULL): counts uses. Second call: fills them in, in file order."""
    cdef uint32_t id, i, kind
    cdef File* f
    cdef Sym* s
    for id in range(INTERNAL_FILE + 1, c.nfiles):
        f = &c.files[id]
        if f.state != FILE_LIVE or f.gids == NULL or f.flags & FILE_INDIRECT or id >= 1 << 30:
            continue
        for i in range(f.nsyms - f.first_global if f.nsyms > f.first_global else 0):
            s = &f.syms[f.first_global + i]
            if uses == NULL:
                x.count[f.gids[i] + 1] += 1
                continue
            kind = 2 if s.st_shndx == SHN_UNDEF else 1 if s.st_shndx == SHN_COMMON else 0
            uses[x.count[f.gids[i]]] = id | kind << 30
            x.count[f.gids[i]] += 1
    if uses == NULL:
        for i in range(1, c.nglobals + 1):
            x.count[i] += x.count[i - 1]


cdef struct NameKey:
    const char* name
    uint32_t length
    uint32_t gid


cdef int compare_names(const void* a, const void* b) noexcept nogil:
    cdef const NameKey* x = <const NameKey*>a
    cdef const NameKey* y = <const NameKey*>b
    cdef uint32_t n = x.length if x.length < y.length else y.length
    cdef int order = memcmp(x.name, y.name, n)
    if order:
        return order
    return -1 if x.length < y.length else x.length > y.length


cdef int sort_names(Columns* c, uint32_t* gids, uint32_t n) except -1:
    cdef NameKey* keys = <NameKey*>malloc((<size_t>n + 1) * sizeof(NameKey))
    cdef uint32_t i
    if keys == NULL:
        raise MemoryError
    for i in range(n):
        keys[i].name = c.globals[gids[i]].name
        keys[i].length = c.globals[gids[i]].name_len
        keys[i].gid = gids[i]
    qsort(keys, n, sizeof(NameKey), compare_names)
    for i in range(n):
        gids[i] = keys[i].gid
    free(keys)
    return 0
