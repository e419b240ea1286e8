from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, strlen
from mclink._core.elf cimport SHF_TLS
from mclink._core.tables cimport PARTITION_BITS, PARTITIONS, File, Fragment, Global, Partition, FRAG_COMMON


cdef inline uint32_t partition_of(uint64_t hash) noexcept nogil:
    return <uint32_t>(hash >> (64 - PARTITION_BITS))


cdef const void* slot_of(Columns* c, uint64_t hash) noexcept nogil:
    cdef Partition* p = &c.names[partition_of(hash)]
    if p.slots == NULL:
        return NULL
    return &p.slots[<uint32_t>hash & p.mask]


cdef const Global* likely_row(Columns* c, uint64_t hash) noexcept nogil:
    cdef uint32_t part = partition_of(hash)
    cdef Partition* p = &c.names[part]
    cdef uint32_t at
    if p.slots == NULL:
        return NULL
    at = <uint32_t>hash & p.mask
    while p.slots[at] != 0:
        if (p.slots[at] >> 32) == (hash & <uint64_t>0xffffffffU):
            return &c.globals[part + (<uint32_t>p.slots[at] - 1) * PARTITIONS]
        at = (at + 1) & p.mask
    return NULL


cdef uint32_t find_name(Columns* c, const char* name, size_t length, uint64_t hash) noexcept nogil:
    cdef uint32_t part = partition_of(hash)
    cdef Partition* p = &c.names[part]
    cdef uint64_t slot
    cdef uint32_t at, gid
    cdef Global* g
    if p.slots == NULL:
        return 0
    at = <uint32_t>hash & p.mask
    while True:
        slot = p.slots[at]
        if slot == 0:
            return 0
        if (slot >> 32) == (hash & <uint64_t>0xffffffffU):
            gid = part + (<uint32_t>slot - 1) * PARTITIONS
            g = &c.globals[gid]
            if g.name_len == length and memcmp(g.name, name, length) == 0:
                return gid
        at = (at + 1) & p.mask


cdef bint grow_partition(Partition* p) noexcept nogil:
    """Doubles the slots. A slot's tag says where it goes, so no name is looked at."""
    cdef uint32_t size = 64 if p.slots == NULL else (p.mask + 1) * 2
    cdef uint64_t* slots = <uint64_t*>calloc(size, sizeof(uint64_t))
    cdef uint32_t i, at
    if slots == NULL:
        return False
    for i in range(size // 2 if p.slots != NULL else 0):
        if p.slots[i] == 0:
            continue
        at = <uint32_t>(p.slots[i] >> 32) & (size - 1)
        while slots[at] != 0:
            at = (at + 1) & (size - 1)
        slots[at] = p.slots[i]
    free(p.slots)
    p.slots = slots
    p.mask = size - 1
    return True


cdef uint32_t intern_name(Columns* c, const char* name, size_t length, uint64_t hash) noexcept nogil:
    cdef uint32_t part = partition_of(hash)
    cdef Partition* p = &c.names[part]
    cdef uint32_t gid = find_name(c, name, length, hash)
    cdef uint32_t at
    cdef Global* g
    if gid != 0:
        return gid
    if part == 0 and p.count == 0:
        # gid 0 is "none": index 0 of partition 0 is never given to a name.
        p.count = 1
        c.globals[0].name = b""
    if p.slots == NULL or p.count * 2 > p.mask:
        if not grow_partition(p):
            return 0
    at = <uint32_t>hash & p.mask
    while p.slots[at] != 0:
        at = (at + 1) & p.mask
    gid = part + p.count * PARTITIONS
    p.count += 1
    p.slots[at] = (hash & <uint64_t>0xffffffffU) << 32 | p.count
    g = &c.globals[gid]
    g.name = name
    g.name_len = <uint32_t>length
    g.hash32 = <uint32_t>hash
    return gid


cdef int reserve_names(Tables tables, const uint32_t* extra) except -1:
    cdef Columns* c = &tables.c
    cdef uint32_t i, most = 0
    for i in range(PARTITIONS):
        most = max(most, c.names[i].count + extra[i])
    if most >= 0xffffffffU // PARTITIONS - 2:
        raise MemoryError("more than 4 G symbol names")
    tables.reserve_globals((most + 2) * PARTITIONS)
    return 0


cdef Name fragment_name(Columns* c, uint32_t frag, char* buffer) noexcept nogil:
    cdef Fragment* row = &c.frags[frag]
    cdef const File* f = &c.files[row.file]
    cdef Name name
    cdef uint64_t offset
    name.text = b""
    name.length = 0
    if row.kind == FRAG_COMMON:
        if row.sh_flags & SHF_TLS:
            name.text = b".tcommon"
        elif row.sh_flags & c.large_flag:
            name.text = b"LARGE_COMMON"
        else:
            name.text = b"COMMON"
        name.length = <uint32_t>strlen(name.text)
        return name
    if frag < f.frag_base or frag - f.frag_base >= f.shnum:
        return name
    offset = f.shdrs[frag - f.frag_base].sh_name
    if offset >= f.shstrtab_size:
        return name
    name.text = f.shstrtab + offset
    name.length = <uint32_t>strlen(name.text)
    if name.length >= 8 and name.length < NAME_BUFFER and memcmp(name.text, b".zdebug_", 8) == 0:
        # The contents were inflated on input: from here on the section is .debug_*.
        buffer[0] = b'.'
        memcpy(buffer + 1, name.text + 2, name.length - 2)
        name.text = buffer
        name.length -= 1
    return name
