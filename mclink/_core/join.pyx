"""Level 2, phase 2: the symbol hash join. Every global name of every parsed file becomes a gid.

A thread owns the partitions p with p * threads / PARTITIONS == its index and walks all files in the order
given; so a partition is filled in file order whatever the number of threads, and gids never depend on it.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from libc.stdlib cimport malloc, calloc, realloc, free
from libc.string cimport strlen, strncmp, memchr
from mclink._core.elf cimport *
from mclink._core.fault cimport *
from mclink._core.hash cimport hash_bytes, hash_name, key_length
from mclink._core.names cimport find_name, intern_name, likely_row, reserve_names, slot_of
from mclink._core.parallel cimport parallel_for
from mclink._core.tables cimport *

cdef extern from *:
    void prefetch "__builtin_prefetch"(const void* p) noexcept nogil

cdef enum:
    BATCH = 16               # names in flight, to overlap their cache misses

cdef struct Wanted:          # members that one thread found wanted
    uint32_t* ids            # [count] file ids, with repeats
    int64_t count            # used
    int64_t capacity         # allocated

cdef struct JoinTask:
    Columns* c               # the tables
    const uint32_t* ids      # [count] files
    int64_t count            # number of files
    int threads              # number of owners of partitions
    Wanted* wanted           # [threads]
    uint8_t failed           # 1 when memory ran out


cdef inline int owner(uint64_t hash, int threads) noexcept nogil:
    return <int>(((hash >> (64 - PARTITION_BITS)) * <uint64_t>threads) >> PARTITION_BITS)


cdef void want(Wanted* w, uint32_t member, JoinTask* task) noexcept nogil:
    cdef uint32_t* grown
    if w.count == w.capacity:
        grown = <uint32_t*>realloc(w.ids, (w.capacity * 2 + 64) * sizeof(uint32_t))
        if grown == NULL:
            task.failed = 1
            return
        w.ids = grown
        w.capacity = w.capacity * 2 + 64
    w.ids[w.count] = member
    w.count += 1


cdef inline void join_symbol(JoinTask* task, File* f, uint32_t i, Wanted* w) noexcept nogil:
    """Joins global symbol i of f and notes what the speculative loading of archives needs."""
    cdef Columns* c = task.c
    cdef Sym* s = &f.syms[f.first_global + i]
    cdef const char* name = f.strtab + s.st_name
    cdef bint at = False
    cdef uint32_t gid = intern_name(c, name, key_length(name, &at), f.hashes[i])
    cdef uint8_t mark
    f.gids[i] = gid
    if gid == 0:
        task.failed = 1
        return
    if f.kind == FILE_SHARED:
        # References of shared objects pull archive members as those of objects do.
        if s.st_shndx == SHN_UNDEF and s.st_info >> 4 != STB_WEAK:
            mark = c.gmark[gid]
            if not mark & (MARK_HAVE | MARK_WANTED):
                c.gmark[gid] = mark | MARK_WANTED
                if c.gprovider[gid] != 0:
                    want(w, c.gprovider[gid], task)
        return
    mark = c.gmark[gid]
    if s.st_shndx == SHN_UNDEF:
        if s.st_info >> 4 != STB_WEAK and not mark & (MARK_HAVE | MARK_WANTED):
            c.gmark[gid] = mark | MARK_WANTED
            if c.gprovider[gid] != 0:
                want(w, c.gprovider[gid], task)
    else:
        c.gmark[gid] = mark | MARK_HAVE


cdef void join_batch(JoinTask* task, File* f, const uint32_t* batch, uint32_t n, Wanted* w) noexcept nogil:
    """Joins symbols whose slots and names have been prefetched; fetches their rows, and then the rows' names, first."""
    cdef const Global* rows[BATCH]
    cdef uint32_t j
    for j in range(n):
        rows[j] = likely_row(task.c, f.hashes[batch[j]])
        prefetch(rows[j])
    for j in range(n):
        if rows[j] != NULL:
            prefetch(rows[j].name)
    for j in range(n):
        join_symbol(task, f, batch[j], w)


cdef void join_owned(void* context, int64_t index, int thread) noexcept nogil:
    """Joins the names of all files that fall into this owner's partitions."""
    cdef JoinTask* task = <JoinTask*>context
    cdef Columns* c = task.c
    cdef Wanted* w = &task.wanted[index]
    cdef int threads = task.threads
    cdef int64_t k
    cdef uint32_t i, n, pending, j
    cdef uint32_t batch[BATCH]
    cdef File* f
    for k in range(task.count):
        f = &c.files[task.ids[k]]
        if f.state != FILE_PARSED or f.hashes == NULL:
            continue
        n = f.nsyms - f.first_global
        pending = 0
        for i in range(n):
            if threads > 1 and owner(f.hashes[i], threads) != index:
                continue
            prefetch(slot_of(c, f.hashes[i]))
            prefetch(f.strtab + f.syms[f.first_global + i].st_name)
            batch[pending] = i
            pending += 1
            if pending == BATCH:
                join_batch(task, f, batch, BATCH, w)
                pending = 0
        join_batch(task, f, batch, pending, w)


cdef void count_names(Columns* c, const uint32_t* ids, int64_t count, uint32_t* extra) noexcept nogil:
    """Upper bound of the new names of each partition."""
    cdef int64_t k
    cdef uint32_t i
    cdef File* f
    for k in range(count):
        f = &c.files[ids[k]]
        if f.state == FILE_PARSED and f.hashes != NULL:
            for i in range(f.nsyms - f.first_global):
                extra[f.hashes[i] >> (64 - PARTITION_BITS)] += 1
            # A group may be signed by a local symbol, whose name is joined as well.
            extra[0] += f.ngroups


cdef int update_nglobals(Columns* c) except -1:
    cdef uint32_t p, most = 0
    for p in range(PARTITIONS):
        most = max(most, c.names[p].count)
    c.nglobals = most * PARTITIONS
    return 0


cdef uint32_t intern_serial(Tables tables, const char* name, size_t length) except? 0:
    """Interns one name outside parallel regions."""
    cdef uint64_t hash = hash_bytes(name, length)
    cdef uint32_t extra[PARTITIONS]
    cdef uint32_t p, gid
    gid = find_name(&tables.c, name, length, hash)
    if gid:
        return gid
    for p in range(PARTITIONS):
        extra[p] = 0
    extra[hash >> (64 - PARTITION_BITS)] = 1
    reserve_names(tables, extra)
    gid = intern_name(&tables.c, name, length, hash)
    update_nglobals(&tables.c)
    return gid


cdef int join_groups(Tables tables, uint32_t id) except -1:
    """Finds the gid of each COMDAT signature of a file. That of .gnu.linkonce.t.F is F, so that it meets the groups
    of newer compilers; other .gnu.linkonce sections meet those of the same name only."""
    cdef Columns* c = &tables.c
    cdef File* f = &c.files[id]
    cdef uint32_t k, symbol, flags
    cdef Shdr* s
    cdef const char* name
    cdef bint at = False
    cdef uint32_t section
    for k in range(f.ngroups):
        s = &f.shdrs[f.groups[k]]
        if s.sh_type != SHT_GROUP:
            name = f.shstrtab + s.sh_name
            if strncmp(name, b".gnu.linkonce.t.", 16) == 0:
                name += 16
            f.group_gids[k] = intern_serial(tables, name, strlen(name))
            f = &c.files[id]
            continue
        flags = 0
        if f.flags & FILE_SWAP:
            flags = (f.data + s.sh_offset)[3]
        else:
            flags = (f.data + s.sh_offset)[0]
        if not flags & GRP_COMDAT:
            continue
        symbol = s.sh_info
        if symbol >= f.first_global:
            f.group_gids[k] = f.gids[symbol - f.first_global]
            continue
        name = f.strtab + f.syms[symbol].st_name
        if f.syms[symbol].st_info & 15 == STT_SECTION:
            section = sym_section(f, symbol)
            if section < f.shnum:
                name = f.shstrtab + f.shdrs[section].sh_name
        f.group_gids[k] = intern_serial(tables, name, strlen(name))
        f = &c.files[id]
    return 0


cdef int note_at_symbols(Tables tables, uint32_t id) except -1:
    """Lists the symbols of a file whose names carry a version."""
    cdef Columns* c = &tables.c
    cdef File* f = &c.files[id]
    cdef uint32_t i
    cdef const char* name
    cdef const char* at
    cdef AtSymbol* grown
    for i in range(f.nsyms - f.first_global):
        name = f.strtab + f.syms[f.first_global + i].st_name
        at = <const char*>memchr(name, c'@', strlen(name))
        if at == NULL or at == name:
            continue
        if c.nat == c.at_capacity:
            grown = <AtSymbol*>realloc(c.at_symbols, (c.at_capacity * 2 + 64) * sizeof(AtSymbol))
            if grown == NULL:
                raise MemoryError
            c.at_symbols = grown
            c.at_capacity = c.at_capacity * 2 + 64
        c.at_symbols[c.nat].gid = f.gids[i]
        c.at_symbols[c.nat].file = id
        c.at_symbols[c.nat].sym = f.first_global + i
        c.at_symbols[c.nat].length = <uint32_t>(at - name)
        c.nat += 1
    return 0


def join_files(Tables tables, ids):
    """Joins the global names of parsed files (list of file ids, in order) and returns the list of archive
    members, ascending and without repeats, that define names which are wanted and nowhere defined yet."""
    cdef Columns* c = &tables.c
    cdef JoinTask task
    cdef int64_t n = len(ids)
    cdef int64_t i, k
    cdef uint32_t extra[PARTITIONS]
    cdef uint32_t* array = <uint32_t*>malloc((n + 1) * sizeof(uint32_t))
    if array == NULL:
        raise MemoryError
    for i in range(n):
        array[i] = ids[i]
    for i in range(PARTITIONS):
        extra[i] = 0
    count_names(c, array, n, extra)
    reserve_names(tables, extra)
    task.c = c
    task.ids = array
    task.count = n
    task.threads = min(c.threads, PARTITIONS)
    task.failed = 0
    task.wanted = <Wanted*>calloc(task.threads, sizeof(Wanted))
    if task.wanted == NULL:
        raise MemoryError
    with nogil:
        parallel_for(join_owned, &task, task.threads, task.threads)
    update_nglobals(c)
    members = set()
    for k in range(task.threads):
        for i in range(task.wanted[k].count):
            if c.files[task.wanted[k].ids[i]].state == FILE_MAPPED:
                members.add(task.wanted[k].ids[i])
        free(task.wanted[k].ids)
    free(task.wanted)
    for i in range(n):
        free(c.files[array[i]].hashes)
        c.files[array[i]].hashes = NULL
        if c.files[array[i]].state == FILE_PARSED:
            if c.files[array[i]].ngroups:
                join_groups(tables, array[i])
            if c.files[array[i]].flags & FILE_HAS_AT:
                note_at_symbols(tables, array[i])
    free(array)
    if task.failed:
        raise MemoryError
    return sorted(members)


cdef void join_index_owned(void* context, int64_t index, int thread) noexcept nogil:
    """Joins the index names of all archives that fall into this owner's partitions."""
    cdef JoinTask* task = <JoinTask*>context
    cdef Columns* c = task.c
    cdef int threads = task.threads
    cdef int64_t k
    cdef uint32_t i, gid
    cdef Archive* a
    cdef bint at = False
    cdef const char* name
    for k in range(task.count):
        a = &c.archives[task.ids[k]]
        for i in range(a.nentries):
            if threads > 1 and owner(a.entry_hash[i], threads) != index:
                continue
            if i + 8 < a.nentries:
                prefetch(slot_of(c, a.entry_hash[i + 8]))
            name = a.entry_name[i]
            gid = intern_name(c, name, key_length(name, &at), a.entry_hash[i])
            a.entry_gid[i] = gid
            if c.gprovider[gid] == 0:
                c.gprovider[gid] = a.entry_member[i]


cdef void hash_index(void* context, int64_t index, int thread) noexcept nogil:
    cdef JoinTask* task = <JoinTask*>context
    cdef Archive* a = &task.c.archives[task.ids[index]]
    cdef uint32_t i
    cdef bint at = False
    for i in range(a.nentries):
        a.entry_hash[i] = hash_name(a.entry_name[i], &at)


def join_indices(Tables tables, rows):
    """Joins the symbol indices of archives (list of Archive rows, in order): fills entry_gid and gprovider."""
    cdef Columns* c = &tables.c
    cdef JoinTask task
    cdef int64_t n = len(rows)
    cdef int64_t i, k
    cdef Archive* a
    cdef uint32_t extra[PARTITIONS]
    cdef uint32_t* array = <uint32_t*>malloc((n + 1) * sizeof(uint32_t))
    if array == NULL:
        raise MemoryError
    for i in range(n):
        array[i] = rows[i]
        a = &c.archives[array[i]]
        a.entry_hash = <uint64_t*>malloc((a.nentries + 1) * sizeof(uint64_t))
        a.entry_gid = <uint32_t*>malloc((a.nentries + 1) * sizeof(uint32_t))
        if a.entry_hash == NULL or a.entry_gid == NULL:
            raise MemoryError
    task.c = c
    task.ids = array
    task.count = n
    task.threads = min(c.threads, PARTITIONS)
    task.failed = 0
    task.wanted = NULL
    with nogil:
        parallel_for(hash_index, &task, n, c.threads)
    for i in range(PARTITIONS):
        extra[i] = 0
    for k in range(n):
        a = &c.archives[array[k]]
        for i in range(a.nentries):
            extra[a.entry_hash[i] >> (64 - PARTITION_BITS)] += 1
    reserve_names(tables, extra)
    with nogil:
        parallel_for(join_index_owned, &task, task.threads, task.threads)
    update_nglobals(c)
    for k in range(n):
        a = &c.archives[array[k]]
        free(a.entry_hash)
        a.entry_hash = NULL
        free(a.entry_name)
        a.entry_name = NULL
        a.joined = 1
    free(array)


def intern(Tables tables, bytes name):
    """gid of a name, made when unknown. The table keeps a reference to `name`."""
    cdef const char* text = name
    cdef uint32_t gid = find_name(&tables.c, text, len(name), hash_bytes(text, len(name)))
    if gid:
        return gid
    tables.buffers.append(name)
    return intern_serial(tables, text, len(name))


def wanted_member(Tables tables, uint32_t gid):
    """Marks a name as referenced by the command line; the archive member that an index offers for it, or 0."""
    cdef Columns* c = &tables.c
    if not c.gmark[gid] & (MARK_HAVE | MARK_WANTED):
        c.gmark[gid] |= MARK_WANTED
        if c.gprovider[gid] != 0 and c.files[c.gprovider[gid]].state == FILE_MAPPED:
            return c.gprovider[gid]
    return 0


def index_members(Tables tables, uint32_t row, ids):
    """Makes the symbol index of an archive without one from its parsed and joined members (file ids)."""
    cdef Columns* c = &tables.c
    cdef Archive* a = &c.archives[row]
    cdef uint64_t total = 0
    cdef uint32_t id, i, section, n = 0
    cdef File* f
    for member in ids:
        f = &c.files[<uint32_t>member]
        if f.state == FILE_PARSED:
            total += f.nsyms - f.first_global
    a.entry_gid = <uint32_t*>malloc((total + 1) * sizeof(uint32_t))
    a.entry_member = <uint32_t*>malloc((total + 1) * sizeof(uint32_t))
    if a.entry_gid == NULL or a.entry_member == NULL:
        raise MemoryError
    for member in ids:
        id = member
        f = &c.files[id]
        if f.state != FILE_PARSED:
            continue
        for i in range(f.nsyms - f.first_global):
            section = f.syms[f.first_global + i].st_shndx
            if section != SHN_UNDEF and f.gids[i] != 0:
                a.entry_gid[n] = f.gids[i]
                a.entry_member[n] = id
                if c.gprovider[f.gids[i]] == 0:
                    c.gprovider[f.gids[i]] = id
                n += 1
    a.nentries = n
    a.joined = 1
