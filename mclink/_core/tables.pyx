"""Level 1: allocation and life of a link's columns; see tables.pxd for what the rows mean."""
cimport cython
from libc.stdlib cimport calloc, realloc, free, malloc
from libc.string cimport memset
from mclink._core.fault cimport Fault, Faults

cdef extern from * nogil:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <sys/mman.h>
    """
    void* mmap(void* address, size_t length, int protection, int flags, int fd, long offset)
    void* mremap(void* address, size_t old_length, size_t length, int flags, ...)
    int munmap(void* address, size_t length)
    int madvise(void* address, size_t length, int advice)
    int MADV_HUGEPAGE
    void* MAP_FAILED
    int PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE, MREMAP_MAYMOVE

cdef enum:
    FAULT_ROWS = 4096
    LARGE = 4 << 20          # bytes from which a column asks for large pages: each saves 511 faults


cdef void* grow(void* old, size_t item, size_t used, size_t capacity) except NULL:
    """Moves a column to a mapping of `capacity` items; new rows are zero pages that cost nothing until touched."""
    cdef void* new
    if old == NULL:
        new = mmap(NULL, item * capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    else:
        new = mremap(old, item * used, item * capacity, MREMAP_MAYMOVE)
    if new == MAP_FAILED:
        raise MemoryError
    if item * capacity >= LARGE:
        madvise(new, item * capacity, MADV_HUGEPAGE)
    return new


cdef void drop(void* column, size_t item, size_t capacity) noexcept:
    if column != NULL:
        munmap(column, item * capacity)


cdef int allocate_names(Tables tables) except -1:
    """Allocates the empty name table."""
    tables.c.names = <Partition*>calloc(PARTITIONS, sizeof(Partition))
    if tables.c.names == NULL:
        raise MemoryError
    return 0


@cython.no_gc_clear      # __dealloc__ needs the lists
cdef class Tables:
    def __cinit__(self):
        memset(&self.c, 0, sizeof(Columns))
        self.buffers = []
        self.mappings = []
        self.c.faults = <Faults*>calloc(1, sizeof(Faults))
        if self.c.faults == NULL:
            raise MemoryError
        self.c.faults.rows = <Fault*>calloc(FAULT_ROWS, sizeof(Fault))
        if self.c.faults.rows == NULL:
            raise MemoryError
        self.c.faults.capacity = FAULT_ROWS
        self.c.threads = 1
        allocate_names(self)
        self.reserve_files(64)
        self.reserve_frags(256)
        self.reserve_globals(PARTITIONS * 16)
        self.reserve_aux(64)
        self.c.nfiles = 1
        self.c.nfrags = 1
        self.c.naux = 1
        self.c.image.tlsld = -1
        self.c.image.tlsdesc_got = -1

    cdef int reserve_files(self, uint32_t extra) except -1:
        """Makes room for `extra` more files; File pointers become invalid."""
        cdef Columns* c = &self.c
        cdef uint32_t need = c.nfiles + extra
        if need > c.files_capacity:
            need = max(need, c.files_capacity * 2)
            c.files = <File*>grow(c.files, sizeof(File), c.files_capacity, need)
            c.files_capacity = need
        return 0

    cdef int reserve_frags(self, uint32_t extra) except -1:
        """Makes room for `extra` more fragments; Fragment pointers become invalid."""
        cdef Columns* c = &self.c
        cdef uint64_t need = <uint64_t>c.nfrags + extra
        if need >= 0xfffffff0:
            raise MemoryError("more than 4 G sections")
        if need > c.frags_capacity:
            need = max(need, <uint64_t>c.frags_capacity * 3 // 2)
            c.frags = <Fragment*>grow(c.frags, sizeof(Fragment), c.frags_capacity, need)
            c.frag_addr = <uint64_t*>grow(c.frag_addr, sizeof(uint64_t), c.frags_capacity, need)
            c.frag_state = <uint8_t*>grow(c.frag_state, 1, c.frags_capacity, need)
            c.frags_capacity = <uint32_t>need
        return 0

    cdef int reserve_globals(self, uint32_t total) except -1:
        """Makes room for gids below `total`; Global pointers become invalid."""
        cdef Columns* c = &self.c
        if total > c.globals_capacity:
            total = max(total, c.globals_capacity * 3 // 2)
            c.globals = <Global*>grow(c.globals, sizeof(Global), c.globals_capacity, total)
            c.gflags = <uint32_t*>grow(c.gflags, sizeof(uint32_t), c.globals_capacity, total)
            c.gneeds = <uint8_t*>grow(c.gneeds, 1, c.globals_capacity, total)
            c.gvalue = <uint64_t*>grow(c.gvalue, sizeof(uint64_t), c.globals_capacity, total)
            c.gmark = <uint8_t*>grow(c.gmark, 1, c.globals_capacity, total)
            c.gprovider = <uint32_t*>grow(c.gprovider, sizeof(uint32_t), c.globals_capacity, total)
            c.globals_capacity = total
        return 0

    cdef int reserve_aux(self, uint32_t extra) except -1:
        """Makes room for `extra` more aux rows; Aux pointers become invalid."""
        cdef Columns* c = &self.c
        cdef uint32_t need = c.naux + extra
        if need > c.aux_capacity:
            need = max(need, c.aux_capacity * 2)
            c.aux = <Aux*>grow(c.aux, sizeof(Aux), c.aux_capacity, need)
            c.aux_capacity = need
        return 0

    def configure(self, **values):
        """Sets scalar settings of the columns by name: threads, shared_output, pic, dynamic_output,
        relocatable, emit_relocs, swap, elf32, rela, z_now, z_text, z_nocopyreloc, use_relr, relax, machine,
        large_common, large_flag, rela_records, split_info.

        Raises AttributeError for another name."""
        cdef Columns* c = &self.c
        for name, value in values.items():
            if name == "threads": c.threads = value
            elif name == "shared_output": c.shared_output = value
            elif name == "pic": c.pic = value
            elif name == "dynamic_output": c.dynamic_output = value
            elif name == "relocatable": c.relocatable = value
            elif name == "emit_relocs": c.emit_relocs = value
            elif name == "swap": c.swap = value
            elif name == "elf32": c.elf32 = value
            elif name == "rela": c.rela = value
            elif name == "rela_records": c.rela_records = value
            elif name == "z_now": c.z_now = value
            elif name == "z_text": c.z_text = value
            elif name == "z_nocopyreloc": c.z_nocopyreloc = value
            elif name == "use_relr": c.use_relr = value
            elif name == "relax": c.relax = value
            elif name == "machine": c.machine = value
            elif name == "large_common": c.large_common = value
            elif name == "split_info": c.split_info = value
            elif name == "large_flag": c.large_flag = value
            else:
                raise AttributeError(name)

    def faults(self):
        """Drains the fault records: a list of tuples (file, frag, offset, code, type, gid, sym, value,
        low, high), sorted, so that messages do not depend on threads."""
        cdef Faults* f = self.c.faults
        cdef int64_t n = min(f.count, f.capacity)
        cdef int64_t i
        rows = []
        for i in range(n):
            rows.append((f.rows[i].file, f.rows[i].frag, f.rows[i].offset, f.rows[i].code, f.rows[i].type,
                         f.rows[i].gid, f.rows[i].sym, f.rows[i].value, f.rows[i].low, f.rows[i].high))
        f.count = 0
        rows.sort()
        return rows

    def __dealloc__(self):
        cdef Columns* c = &self.c
        cdef uint32_t i
        if c.files != NULL:
            for i in range(c.nfiles):
                free(c.files[i].gids)
                free(c.files[i].hashes)
                free(c.files[i].groups)
                free(c.files[i].group_gids)
                free(c.files[i].local_needs)
                free(c.files[i].local_aux)
                free(c.files[i].verdicts)
                free(c.files[i].owned)
        if c.archives != NULL:
            for i in range(c.narchives):
                free(c.archives[i].entry_gid)
                free(c.archives[i].entry_member)
                free(c.archives[i].entry_name)
                free(c.archives[i].entry_hash)
            free(c.archives)
        if c.names != NULL:
            for i in range(PARTITIONS):
                free(c.names[i].slots)
            free(c.names)
        free(c.at_symbols)
        drop(c.files, sizeof(File), c.files_capacity)
        drop(c.frags, sizeof(Fragment), c.frags_capacity)
        drop(c.frag_addr, sizeof(uint64_t), c.frags_capacity)
        drop(c.frag_state, 1, c.frags_capacity)
        drop(c.globals, sizeof(Global), c.globals_capacity)
        drop(c.gflags, sizeof(uint32_t), c.globals_capacity)
        drop(c.gneeds, 1, c.globals_capacity)
        drop(c.gvalue, sizeof(uint64_t), c.globals_capacity)
        drop(c.gmark, 1, c.globals_capacity)
        drop(c.gprovider, sizeof(uint32_t), c.globals_capacity)
        drop(c.aux, sizeof(Aux), c.aux_capacity)
        free(c.live)
        free(c.shared)
        for i in range(c.nmerge_groups):
            free(c.merge_groups[i].state)
        free(c.merge_groups)
        free(c.merge_inputs)
        free(c.piece_in)
        free(c.piece_out)
        free(c.cies)
        free(c.fdes)
        free(c.ehs)
        free(c.outputs)
        free(c.plain)
        if c.faults != NULL:
            free(c.faults.rows)
            free(c.faults)
        for address, length in self.mappings:
            munmap(<void*><size_t>address, <size_t>length)
