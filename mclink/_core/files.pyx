"""Level 2, phase 1: opening and mapping input files; File rows."""
from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memset
from mclink._core.elf cimport SHF_EXECINSTR
from mclink._core.tables cimport *

cdef extern from * nogil:
    """
    #include <sys/mman.h>
    #include <sys/stat.h>
    #include <fcntl.h>
    #include <unistd.h>
    static int mclink_map(const char *path, const unsigned char **data, uint64_t *size, uint64_t *identity)
    {
        struct stat st;
        void *p;
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        int saved;
        if (fd < 0)
            return -1;
        if (fstat(fd, &st) < 0) { saved = errno; close(fd); errno = saved; return -1; }
        if (S_ISDIR(st.st_mode)) { close(fd); errno = EISDIR; return -1; }
        identity[0] = st.st_dev;
        identity[1] = st.st_ino;
        *size = st.st_size;
        *data = (const unsigned char *)"";
        if (st.st_size > 0) {
            p = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
            saved = errno;
            close(fd);
            errno = saved;
            if (p == MAP_FAILED)
                return -1;
            *data = (const unsigned char *)p;
        } else
            close(fd);
        return 0;
    }
    """
    int mclink_map(const char* path, const uint8_t** data, uint64_t* size, uint64_t* identity)


cdef uint32_t add_row(Tables tables, bytes name) except 0:
    """Appends a File row that knows its name only."""
    cdef File* f
    tables.reserve_files(1)
    f = &tables.c.files[tables.c.nfiles]
    memset(f, 0, sizeof(File))
    tables.buffers.append(name)
    f.name = name
    f.name_len = <uint32_t>len(name)
    tables.c.nfiles += 1
    return tables.c.nfiles - 1


cdef str kind_of(File* f):
    """What the first bytes of a file say it is."""
    if f.size >= 18 and memcmp(f.data, b"\x7fELF", 4) == 0:
        # e_type: 1 relocatable, 2 executable, 3 shared
        kind = f.data[16] | f.data[17] if f.data[5] == 2 else f.data[16]
        return "shared" if kind == 3 else "object" if kind == 1 else "executable" if kind == 2 else "elf"
    if f.size >= 8 and memcmp(f.data, b"!<arch>\n", 8) == 0:
        return "archive"
    if f.size >= 8 and memcmp(f.data, b"!<thin>\n", 8) == 0:
        return "thin"
    if f.size >= 4 and (memcmp(f.data, b"BC\xc0\xde", 4) == 0 or memcmp(f.data, b"\xde\xc0\x17\x0b", 4) == 0):
        return "bitcode"
    return "text" if f.size else "empty"


def map_file(Tables tables, bytes path, bytes name):
    """Maps a file and appends its File row. Returns (file id, kind, (device, inode)).

    path: what to open; name: what messages call it. kind: "object", "shared", "executable", "elf" (another
    e_type), "archive", "thin", "bitcode", "text", "empty". Raises OSError with the errno of the failure."""
    cdef const uint8_t* data = NULL
    cdef uint64_t size = 0
    cdef uint64_t identity[2]
    cdef uint32_t id
    cdef File* f
    if mclink_map(path, &data, &size, identity) != 0:
        raise OSError(errno, "")
    if size:
        tables.mappings.append((<size_t>data, size))
    id = add_row(tables, name)
    f = &tables.c.files[id]
    f.data = data
    f.size = size
    return id, kind_of(f), (identity[0], identity[1])


def attach_file(Tables tables, uint32_t id, bytes path):
    """Maps a file into an existing File row: the contents of a thin archive's member. Raises OSError."""
    cdef const uint8_t* data = NULL
    cdef uint64_t size = 0
    cdef uint64_t identity[2]
    if mclink_map(path, &data, &size, identity) != 0:
        raise OSError(errno, "")
    if size:
        tables.mappings.append((<size_t>data, size))
    tables.c.files[id].data = data
    tables.c.files[id].size = size


def add_buffer(Tables tables, bytes name, bytes contents):
    """Appends a File row for bytes in memory, such as the ELF image made for `-b binary`. Returns the file id."""
    cdef uint32_t id = add_row(tables, name)
    tables.buffers.append(contents)
    tables.c.files[id].data = <const uint8_t*><const char*>contents
    tables.c.files[id].size = len(contents)
    return id


def contents(Tables tables, uint32_t id):
    """The bytes of a file: for text scripts."""
    cdef File* f = &tables.c.files[id]
    return (<const char*>f.data)[:f.size]


def set_kind(Tables tables, uint32_t id, kind, flags=0):
    """Sets File.kind ("object", "shared", "just-symbols", "none") and adds flags (FILE_* bits by name, space separated)."""
    cdef File* f = &tables.c.files[id]
    f.kind = {"none": FILE_NONE, "object": FILE_OBJECT, "shared": FILE_SHARED,
              "just-symbols": FILE_JUST_SYMBOLS}[kind]
    f.flags |= flags


def header_flags(Tables tables not None, uint32_t machine, bint code_only=False):
    """[(file name, e_flags)] of the live objects for a machine, in link order, equal flags in a row only once.

    code_only: of those with code."""
    cdef Columns* c = &tables.c
    cdef uint32_t i, k
    cdef const File* f
    cdef int64_t last = -1
    found = []
    for i in range(c.nlive):
        f = &c.files[c.live[i]]
        if f.kind != FILE_OBJECT or f.machine != machine or <int64_t>f.e_flags == last:
            continue
        if code_only:
            for k in range(1, f.shnum):
                if f.shdrs[k].sh_flags & SHF_EXECINSTR and f.shdrs[k].sh_size:
                    break
            else:
                continue
        last = f.e_flags
        found.append((f.name[:f.name_len].decode("utf-8", "replace"), f.e_flags))
    return found


def set_state_bad(Tables tables, uint32_t id):
    """Takes a file out of the link after an error about it."""
    tables.c.files[id].state = FILE_BAD


def file_name(Tables tables, uint32_t id):
    """Name of a file for messages, str: "path", or "archive(member)"."""
    cdef File* f
    if id == 0 or id >= tables.c.nfiles:
        return "<none>"
    f = &tables.c.files[id]
    name = (f.name[:f.name_len] if f.name != NULL else b"").decode("utf-8", "surrogateescape")
    if f.archive:
        shell = &tables.c.files[f.archive]
        return shell.name[:shell.name_len].decode("utf-8", "surrogateescape") + "(" + name + ")"
    return name


def file_size(Tables tables, uint32_t id):
    """Bytes of a file as it was mapped."""
    return tables.c.files[id].size


def file_state(Tables tables, uint32_t id):
    """(kind, state, archive shell, flags, why_gid, why_file) of a file."""
    cdef File* f = &tables.c.files[id]
    return f.kind, f.state, f.archive, f.flags, f.why_gid, f.why_file


def live_files(Tables tables):
    """File ids of the live objects in link order."""
    cdef uint32_t i
    return [tables.c.live[i] for i in range(tables.c.nlive)]


def shared_files(Tables tables):
    """File ids of the live shared objects in link order."""
    cdef uint32_t i
    return [tables.c.shared[i] for i in range(tables.c.nshared)]


def count_files(Tables tables):
    """Number of File rows, row 0 included."""
    return tables.c.nfiles


def count_sections(Tables tables):
    """Number of fragment rows, row 0 included."""
    return tables.c.nfrags
