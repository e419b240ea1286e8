"""Level 2, phase 1: archives. GNU, BSD and thin archives; 32-bit, 64-bit, BSD and missing symbol indices.

Members named by an index get File rows without being looked at; open_members() reads a member's header when
the link wants it. Source: ar(5) of BSD, binutils "ar" manual; the index formats are those of GNU ar, BSD ranlib
and SVR4.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from libc.stdlib cimport malloc, calloc, realloc, free
from libc.string cimport memcmp, memchr, memset
from mclink._core.bytes cimport load32, load64, in_range
from mclink._core.fault cimport *
from mclink._core.tables cimport *

cdef enum:
    HEADER = 60              # bytes of a member header
    MAGIC = 8                # bytes of "!<arch>\n"


cdef int64_t decimal(const uint8_t* p, int width) noexcept nogil:
    """A space-padded decimal number; -1 when it is none."""
    cdef int64_t value = 0
    cdef int i
    cdef int digits = 0
    for i in range(width):
        if c'0' <= p[i] <= c'9':
            value = value * 10 + (p[i] - c'0')
            digits += 1
        elif p[i] == c' ':
            break
        else:
            return -1
    return value if digits else -1


cdef struct Member:          # one member header, decoded
    uint64_t data            # offset of the contents in the archive
    uint64_t size            # bytes of the contents
    const char* name         # its name, not NUL-terminated
    uint32_t name_len        # bytes of name
    uint64_t next            # offset of the next header
    uint8_t special          # 1: index or name table


cdef bint read_member(Columns* c, Archive* a, uint64_t offset, Member* m) noexcept nogil:
    """Decodes the header at `offset`; records a fault and returns False when it is damaged."""
    cdef File* shell = &c.files[a.file]
    cdef const uint8_t* p = shell.data + offset
    cdef int64_t size, index, length
    cdef const char* end
    if not in_range(offset, HEADER, shell.size):
        fault_at(c.faults, FAULT_BAD_ARCHIVE, a.file, 0, offset, 0, 0)
        return False
    size = decimal(p + 48, 10)
    if p[58] != 0x60 or p[59] != 0x0a or size < 0:
        fault_at(c.faults, FAULT_BAD_ARCHIVE, a.file, 0, offset, 1, 0)
        return False
    m.data = offset + HEADER
    m.size = size
    m.special = 0
    m.name = <const char*>p
    m.name_len = 16
    if p[0] == c'/':
        if p[1] == c' ' or (p[1] == c'/' and p[2] == c' ') or memcmp(p, b"/SYM64/ ", 8) == 0:
            m.special = 1
        else:
            index = decimal(p + 1, 15)
            if index < 0 or a.long_names == NULL or <uint64_t>index >= a.long_names_size:
                fault_at(c.faults, FAULT_BAD_ARCHIVE, a.file, 0, offset, 2, index)
                return False
            m.name = a.long_names + index
            # GNU ends a long name with "/\n"; thin archives hold paths with slashes inside.
            end = <const char*>memchr(m.name, c'\n', a.long_names_size - index)
            if end == NULL:
                end = a.long_names + a.long_names_size
            m.name_len = <uint32_t>(end - m.name)
            if m.name_len and m.name[m.name_len - 1] == c'/':
                m.name_len -= 1
    elif p[0] == c'#' and p[1] == c'1' and p[2] == c'/':
        # BSD: the name stands in front of the contents and counts in the size.
        length = decimal(p + 3, 13)
        if length < 0 or length > size or not in_range(m.data, length, shell.size):
            fault_at(c.faults, FAULT_BAD_ARCHIVE, a.file, 0, offset, 2, length)
            return False
        m.name = <const char*>(shell.data + m.data)
        m.name_len = <uint32_t>length
        while m.name_len and m.name[m.name_len - 1] == 0:
            m.name_len -= 1
        m.data += length
        m.size -= length
    else:
        while m.name_len and m.name[m.name_len - 1] == c' ':
            m.name_len -= 1
        if m.name_len and m.name[m.name_len - 1] == c'/':
            m.name_len -= 1
    if m.name_len >= 9 and memcmp(m.name, b"__.SYMDEF", 9) == 0:
        m.special = 1
    if a.thin and not m.special:
        m.next = offset + HEADER
        return True
    if not in_range(m.data, m.size, shell.size):
        fault_at(c.faults, FAULT_BAD_ARCHIVE, a.file, 0, offset, 3, <int64_t>m.size)
        return False
    m.next = m.data + m.size
    m.next += m.next & 1
    return True


cdef uint32_t add_member(Tables tables, uint32_t row, uint64_t offset) except 0:
    """Appends the File row of the member whose header is at `offset`."""
    cdef File* f
    tables.reserve_files(1)
    f = &tables.c.files[tables.c.nfiles]
    memset(f, 0, sizeof(File))
    f.kind = FILE_OBJECT
    f.state = FILE_MAPPED
    f.archive = tables.c.archives[row].file
    f.archive_offset = offset
    f.flags = tables.c.files[f.archive].flags & (FILE_EXCLUDE_LIBS | FILE_IN_GROUP)
    tables.c.archives[row].nmembers += 1
    tables.c.nfiles += 1
    return tables.c.nfiles - 1


cdef bint read_index(Tables tables, uint32_t row, Member* m, bint bsd, bint wide) except -1:
    """Reads a symbol index: entries (name, member). Consecutive entries of one member share its File row."""
    cdef Columns* c = &tables.c
    cdef Archive* a = &c.archives[row]
    cdef const uint8_t* p = c.files[a.file].data + m.data
    cdef uint64_t width = 8 if wide else 4
    cdef uint64_t n, i, offset, strings, names_size, at
    cdef uint64_t last = 0
    cdef uint32_t member = 0
    cdef const char* text
    cdef const char* end
    known = {}
    if m.size < width:
        return False
    if bsd:
        n = (load64(p, False) if wide else load32(p, False)) // (2 * width)
        if not in_range(width, n * 2 * width + width, m.size):
            return False
        names_size = load64(p + width + n * 2 * width, False) if wide else load32(p + width + n * 2 * width, False)
        strings = 2 * width + n * 2 * width
        if not in_range(strings, names_size, m.size):
            return False
    else:
        # GNU and SVR4 indices are big-endian on every machine.
        n = load64(p, True) if wide else load32(p, True)
        if n > m.size // width or not in_range(width, n * width, m.size):
            return False
        strings = width + n * width
        names_size = m.size - strings
    if n >= 0x7fffffff:
        return False
    a.entry_name = <const char**>malloc((n + 1) * sizeof(char*))
    a.entry_member = <uint32_t*>malloc((n + 1) * sizeof(uint32_t))
    if a.entry_name == NULL or a.entry_member == NULL:
        raise MemoryError
    text = <const char*>(p + strings)
    at = 0
    for i in range(n):
        if bsd:
            at = load64(p + width + i * 2 * width, False) if wide else load32(p + width + i * 2 * width, False)
            offset = load64(p + 2 * width + i * 2 * width, False) if wide else load32(p + 2 * width + i * 2 * width, False)
        else:
            offset = load64(p + width + i * width, True) if wide else load32(p + width + i * width, True)
        if at >= names_size:
            return False
        end = <const char*>memchr(text + at, 0, names_size - at)
        if end == NULL:
            return False
        if not in_range(offset, HEADER, c.files[a.file].size) or offset < MAGIC:
            return False
        if offset != last:
            last = offset
            found = known.get(offset)
            if found is None:
                member = add_member(tables, row, offset)
                known[offset] = member
                a = &c.archives[row]
            else:
                member = found
        a.entry_name[i] = text + at
        a.entry_member[i] = member
        at = <uint64_t>(end - text) + 1
    a.nentries = <uint32_t>n
    a.has_index = 1
    return True


cdef uint32_t new_archive(Tables tables) except 0:
    """Appends a zero Archive row."""
    cdef Columns* c = &tables.c
    cdef Archive* grown
    cdef uint32_t capacity
    if c.narchives == 0:
        c.narchives = 1
    if c.narchives >= c.archives_capacity:
        capacity = c.archives_capacity * 2 + 16
        grown = <Archive*>realloc(c.archives, capacity * sizeof(Archive))
        if grown == NULL:
            raise MemoryError
        memset(grown + c.archives_capacity, 0, (capacity - c.archives_capacity) * sizeof(Archive))
        c.archives = grown
        c.archives_capacity = capacity
    c.narchives += 1
    return c.narchives - 1


def open_archive(Tables tables, uint32_t shell):
    """Makes the Archive row of a mapped archive file (file id of the shell): finds the name table and the
    symbol index. Returns (row, thin, has_index). Damage leaves faults."""
    cdef Columns* c = &tables.c
    cdef File* f = &c.files[shell]
    cdef Archive* a
    cdef Member m
    cdef Member index
    cdef bint found = False
    cdef bint bsd = False, wide = False
    cdef uint64_t offset = MAGIC
    cdef uint32_t row
    row = new_archive(tables)
    a = &c.archives[row]
    a.file = shell
    a.first_member = c.nfiles
    a.thin = memcmp(f.data, b"!<thin>\n", 8) == 0
    # The special members stand in front: index (one or two), then the long names.
    while offset + HEADER <= f.size:
        if not read_member(c, a, offset, &m) or not m.special:
            break
        if memcmp(f.data + offset, b"// ", 3) == 0:
            a.long_names = <const char*>(f.data + m.data)
            a.long_names_size = m.size
        elif not found:
            found = True
            index = m
            bsd = (f.data + offset)[0] != c'/'
            wide = memcmp(f.data + offset, b"/SYM64/ ", 8) == 0 or \
                (m.name_len >= 12 and memcmp(m.name, b"__.SYMDEF_64", 12) == 0)
        offset = m.next
    if offset < f.size and f.size - offset < HEADER:
        fault_at(c.faults, FAULT_BAD_ARCHIVE, shell, 0, offset, 0, 0)
    if found and not read_index(tables, row, &index, bsd, wide):
        fault_at(c.faults, FAULT_BAD_ARCHIVE, shell, 0, index.data, 4, 0)
    a = &c.archives[row]
    return row, bool(a.thin), bool(a.has_index)


def list_members(Tables tables, uint32_t row):
    """Gives every member of an archive a File row and returns their file ids in archive order."""
    cdef Columns* c = &tables.c
    cdef Archive* a = &c.archives[row]
    cdef Member m
    cdef uint64_t offset = MAGIC
    cdef uint64_t size = c.files[a.file].size
    cdef uint32_t i
    known = {}
    for i in range(a.first_member, c.nfiles):
        if c.files[i].archive == a.file:
            known[c.files[i].archive_offset] = i
    result = []
    while offset + HEADER <= size:
        if not read_member(c, &c.archives[row], offset, &m):
            break
        if not m.special:
            member = known.get(offset)
            if member is None:
                member = add_member(tables, row, offset)
                known[offset] = member
            result.append(member)
        offset = m.next
    c.archives[row].all_members = 1
    return result


def open_members(Tables tables, uint32_t row, ids):
    """Reads the headers of members (file ids) of one archive: sets data, size and name of their File rows.

    Returns the members of a thin archive, whose contents are elsewhere, as (file id, path bytes)."""
    cdef Columns* c = &tables.c
    cdef Archive* a = &c.archives[row]
    cdef Member m
    cdef File* f
    cdef uint32_t id
    elsewhere = []
    for member in ids:
        id = member
        f = &c.files[id]
        if f.data != NULL or f.state != FILE_MAPPED:
            continue
        if not read_member(c, a, f.archive_offset, &m) or m.special:
            f.state = FILE_BAD
            continue
        f.name = m.name
        f.name_len = m.name_len
        if a.thin:
            elsewhere.append((member, m.name[:m.name_len]))
        else:
            f.data = c.files[a.file].data + m.data
            f.size = m.size
    return elsewhere


def archive_of(Tables tables, uint32_t id):
    """Archive row that holds a member; 0 for a file of its own."""
    cdef uint32_t row
    for row in range(1, tables.c.narchives):
        if tables.c.archives[row].file == tables.c.files[id].archive:
            return row
    return 0


def first_elf_member(Tables tables, uint32_t shell):
    """(machine, is 64-bit, is big-endian) of the first ELF member of a mapped archive; None when there is none
    or the archive is thin. Looks at a few members only and reports no damage."""
    cdef Columns* c = &tables.c
    cdef File* f = &c.files[shell]
    cdef uint64_t offset = MAGIC
    cdef int64_t size
    cdef const uint8_t* p
    cdef int tries
    if f.size < MAGIC or memcmp(f.data, b"!<arch>\n", 8) != 0:
        return None
    for tries in range(8):
        if not in_range(offset, HEADER, f.size):
            return None
        p = f.data + offset
        size = decimal(p + 48, 10)
        if size < 0 or not in_range(offset + HEADER, size, f.size):
            return None
        if size >= 20 and memcmp(p + HEADER, b"\x7fELF", 4) == 0:
            swap = p[HEADER + 5] == 2
            low, high = p[HEADER + 18], p[HEADER + 19]
            return (low << 8 | high if swap else high << 8 | low, p[HEADER + 4] == 2, swap)
        if p[0] == c'#' and size >= 20 and 0 <= decimal(p + 3, 13) <= size - 20 and \
                memcmp(p + HEADER + decimal(p + 3, 13), b"\x7fELF", 4) == 0:
            p += decimal(p + 3, 13)
            swap = p[HEADER + 5] == 2
            low, high = p[HEADER + 18], p[HEADER + 19]
            return (low << 8 | high if swap else high << 8 | low, p[HEADER + 4] == 2, swap)
        offset += HEADER + size
        offset += offset & 1
    return None


def make_library(Tables tables, ids):
    """An Archive row for --start-lib: its members are the given parsed objects. Returns the row; its index is
    made by join.index_members."""
    cdef uint32_t row = new_archive(tables)
    tables.c.archives[row].all_members = 1
    return row


def has_index(Tables tables, uint32_t row):
    """True when the archive has a symbol index."""
    return bool(tables.c.archives[row].has_index)


def holds(Tables tables, uint32_t row, uint32_t id):
    """True when file `id` is a member of the archive."""
    return row != 0 and tables.c.archives[row].file == tables.c.files[id].archive


def member_offset(Tables tables, uint32_t member):
    """Offset of an open member's contents in its archive, bytes; not for thin archives."""
    cdef File* f = &tables.c.files[member]
    return f.data - tables.c.files[f.archive].data


def member_path(Tables tables, uint32_t member):
    """Path of an open member of a thin archive as the archive has it, bytes; relative to the archive's folder."""
    cdef File* f = &tables.c.files[member]
    return f.name[:f.name_len]
