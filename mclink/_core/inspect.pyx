"""Level 2: questions that messages and reports ask about the tables of a link.

Nothing here runs in a link without errors or reports. Every answer is ordered by link order or by name, so that
messages do not depend on threads.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from libc.string cimport memcmp
from mclink._core.bytes cimport load32, load64
from mclink._core.elf cimport *
from mclink._core.tables cimport *

cdef extern from * nogil:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <string.h>
    #include <strings.h>
    extern void *memmem(const void *, size_t, const void *, size_t);
    """
    void* memmem(const void* text, size_t size, const void* part, size_t part_size)
    int strncasecmp(const char* a, const char* b, size_t n)

cdef enum:
    FAR = 255                # a distance beyond every limit
    BAND = 11                # cells of a row: 2 * limit + 1 and a guard at each end


cdef bytes name_bytes(const char* name, size_t length):
    return name[:length] if name != NULL else b""


cdef const char* symbol_text(const File* f, uint32_t sym) noexcept nogil:
    """NUL-terminated name of a symbol of a parsed file; "" when the table does not hold it."""
    if sym >= f.nsyms or f.syms[sym].st_name >= f.strtab_size:
        return b""
    return f.strtab + f.syms[sym].st_name


def file_names(Tables tables, uint32_t id):
    """(name, name of the archive or None) of a file, bytes."""
    cdef File* f
    cdef File* shell
    if id == 0 or id >= tables.c.nfiles:
        return b"", None
    f = &tables.c.files[id]
    if f.archive == 0:
        return name_bytes(f.name, f.name_len), None
    shell = &tables.c.files[f.archive]
    return name_bytes(f.name, f.name_len), name_bytes(shell.name, shell.name_len)


def file_facts(Tables tables, uint32_t id):
    """(kind, state, flags, machine, e_flags, number of sections, number of symbols, order) of a file."""
    cdef File* f = &tables.c.files[id]
    return f.kind, f.state, f.flags, f.machine, f.e_flags, f.shnum, f.nsyms, f.order


def identification(Tables tables, uint32_t id):
    """(EI_CLASS, EI_DATA, e_machine) as the bytes of an ELF file say; zeros when it is none."""
    cdef File* f = &tables.c.files[id]
    if f.data == NULL or f.size < 20 or memcmp(f.data, b"\x7fELF", 4) != 0:
        return 0, 0, 0
    if f.data[5] == 2:
        return f.data[4], f.data[5], f.data[18] << 8 | f.data[19]
    return f.data[4], f.data[5], f.data[19] << 8 | f.data[18]


def symbol(Tables tables, uint32_t id, uint32_t sym):
    """(name, section index or reserved SHN_ number, value, size, type, binding) of a symbol of a parsed file;
    None when there is no such symbol."""
    cdef File* f
    cdef Sym* s
    if id == 0 or id >= tables.c.nfiles or sym >= tables.c.files[id].nsyms:
        return None
    f = &tables.c.files[id]
    s = &f.syms[sym]
    return <bytes>symbol_text(f, sym), sym_section(f, sym), s.st_value, s.st_size, s.st_info & 15, s.st_info >> 4


def symbol_named(Tables tables, uint32_t id, uint32_t gid):
    """Index of the symbol of a parsed file that has a global name; 0 when it has none."""
    cdef File* f = &tables.c.files[id]
    cdef uint32_t i
    for i in range(f.nsyms - f.first_global if f.nsyms > f.first_global and f.gids != NULL else 0):
        if f.gids[i] == gid:
            return f.first_global + i
    return 0


def section(Tables tables, uint32_t id, uint32_t index):
    """Name of a section of a parsed file, bytes; b"" when there is no such section."""
    cdef File* f = &tables.c.files[id]
    if f.shdrs == NULL or index >= f.shnum or f.shdrs[index].sh_name >= f.shstrtab_size:
        return b""
    return <bytes>(f.shstrtab + f.shdrs[index].sh_name)


def section_index(Tables tables, uint32_t frag):
    """Section index of an input fragment in its file; 0 for a fragment that is none."""
    cdef Columns* c = &tables.c
    if frag == 0 or frag >= c.nfrags or (c.first_extra and frag >= c.first_extra):
        return 0
    return frag_shndx(c, frag)


def enclosing_symbol(Tables tables, uint32_t id, uint32_t index, uint64_t offset):
    """Name of the function or object of a parsed file that covers byte `offset` of section `index`; None when
    none does."""
    cdef File* f = &tables.c.files[id]
    cdef uint32_t i
    cdef Sym* s
    for i in range(1, f.nsyms):
        s = &f.syms[i]
        if (s.st_info & 15 != STT_FUNC and s.st_info & 15 != STT_OBJECT and s.st_info & 15 != STT_GNU_IFUNC
                and s.st_info & 15 != STT_TLS):
            continue
        if s.st_value <= offset and offset - s.st_value < s.st_size and shndx_is_ordinary(f, i) \
                and sym_section(f, i) == index:
            return <bytes>symbol_text(f, i)
    return None


def symbol_at(Tables tables, uint32_t id, uint32_t index, uint64_t value):
    """Name of the function symbol of a parsed file at byte `value` of section `index`; None when there is none."""
    cdef File* f = &tables.c.files[id]
    cdef uint32_t i
    for i in range(1, f.nsyms):
        if f.syms[i].st_info & 15 == STT_FUNC and f.syms[i].st_value == value and shndx_is_ordinary(f, i) \
                and sym_section(f, i) == index:
            return <bytes>symbol_text(f, i)
    return None


def descriptors(Tables tables, uint32_t id, bytes name not None, uint32_t size):
    """Function descriptors of a parsed 64-bit file, `size` bytes each, in its sections of that name: list of (section,
    byte, section of the code, its byte), by the relocation of their first words. What is damaged is left out."""
    cdef File* f = &tables.c.files[id]
    cdef Shdr* s
    cdef bint swap = f.flags & FILE_SWAP != 0
    cdef uint32_t i, sym
    cdef uint64_t at
    rows = []
    for i in range(1, f.shnum if f.shdrs != NULL else 0):
        s = &f.shdrs[i]
        if s.sh_type != SHT_RELA or not 0 < s.sh_info < f.shnum or section(tables, id, s.sh_info) != name \
                or s.sh_offset > f.size or s.sh_size > f.size - s.sh_offset:
            continue
        for at in range(s.sh_offset, s.sh_offset + s.sh_size // 24 * 24, 24):
            sym = <uint32_t>(load64(f.data + at + 8, swap) >> 32)
            if load64(f.data + at, swap) % size == 0 and 0 < sym < f.nsyms and shndx_is_ordinary(f, sym):
                rows.append((s.sh_info, load64(f.data + at, swap), sym_section(f, sym),
                             f.syms[sym].st_value + load64(f.data + at + 16, swap)))
    return rows


def source_name(Tables tables, uint32_t id):
    """Name of the first STT_FILE symbol of a parsed object, bytes; b"" when it has none."""
    cdef File* f = &tables.c.files[id]
    cdef uint32_t i
    for i in range(1, min(f.nsyms, f.first_global)):
        if f.syms[i].st_info & 15 == STT_FILE:
            return <bytes>symbol_text(f, i)
    return b""


def group_of(Tables tables, uint32_t id, uint32_t index):
    """(gid of the signature, file that owns the group) of the COMDAT group that holds section `index`; None."""
    cdef Columns* c = &tables.c
    cdef File* f = &c.files[id]
    cdef uint32_t k, i
    cdef Shdr* s
    for k in range(f.ngroups):
        if f.group_gids[k] == 0:
            continue
        s = &f.shdrs[f.groups[k]]
        for i in range(1, group_words(s)):
            if load32(f.data + s.sh_offset + 4 * <uint64_t>i, f.flags & FILE_SWAP != 0) == index:
                return f.group_gids[k], c.globals[f.group_gids[k]].group_file
    return None


def relocation_symbol(Tables tables, uint32_t frag, uint64_t offset, uint32_t type):
    """Symbol index that the relocation of `type` at `offset` of a fragment names; 0 when there is none."""
    cdef Fragment* g = &tables.c.frags[frag]
    cdef uint32_t i
    for i in range(g.nrelocs):
        if g.relocs[i].r_offset == offset and g.relocs[i].r_type == type:
            return g.relocs[i].r_sym
    return 0


cdef bint names_undefined(Columns* c, const File* f) noexcept nogil:
    """True when some global symbol of the file is reported as undefined."""
    cdef uint32_t i
    for i in range(f.nsyms - f.first_global if f.nsyms > f.first_global else 0):
        if c.gflags[f.gids[i]] & (G_UNDEFINED | G_DISCARDED) == G_UNDEFINED:
            return True
    return False


def undefined_references(Tables tables, uint32_t most):
    """Who refers to the undefined names, in link order: a dict, gid -> [count, [(fragment, offset), ...]] with at
    most `most` places each. The relocations of loaded sections that are in the output count."""
    cdef Columns* c = &tables.c
    cdef uint32_t k, j, i, gid
    cdef File* f
    cdef Fragment* g
    cdef list row
    found = {}
    for k in range(c.nlive):
        f = &c.files[c.live[k]]
        if f.kind != FILE_OBJECT or not names_undefined(c, f):
            continue
        for j in range(1, f.shnum):
            g = &c.frags[f.frag_base + j]
            if not g.sh_flags & SHF_ALLOC or not c.frag_state[f.frag_base + j] & STATE_LIVE:
                continue
            for i in range(g.nrelocs):
                if g.relocs[i].r_sym < f.first_global or g.relocs[i].r_sym >= f.nsyms:
                    continue
                gid = f.gids[g.relocs[i].r_sym - f.first_global]
                if c.gflags[gid] & (G_UNDEFINED | G_DISCARDED) != G_UNDEFINED:
                    continue
                row = found.get(gid)
                if row is None:
                    found[gid] = row = [0, []]
                row[0] += 1
                if len(<list>row[1]) < most:
                    (<list>row[1]).append((f.frag_base + j, g.relocs[i].r_offset))
    return found


def archive_members(Tables tables, uint32_t gid):
    """Members whose archive's index names a global, as file ids in order of the archives."""
    cdef Columns* c = &tables.c
    cdef Archive* a
    cdef uint32_t row, i
    found = []
    for row in range(1, c.narchives):
        a = &c.archives[row]
        if not a.joined:
            continue
        for i in range(a.nentries):
            if a.entry_gid[i] == gid and (not found or found[-1] != a.entry_member[i]):
                found.append(a.entry_member[i])
    return found


def shared_definers(Tables tables, uint32_t gid):
    """Shared objects that define a global, linked or not: list of (file id, is live, version index)."""
    cdef Columns* c = &tables.c
    cdef File* f
    cdef uint32_t id, i
    found = []
    for id in range(1, c.nfiles):
        f = &c.files[id]
        if f.kind != FILE_SHARED or f.state == FILE_MAPPED or f.state == FILE_BAD or f.gids == NULL:
            continue
        for i in range(f.nsyms - f.first_global if f.nsyms > f.first_global else 0):
            if f.gids[i] == gid and f.syms[f.first_global + i].st_shndx != SHN_UNDEF:
                found.append((id, f.state == FILE_LIVE and not f.flags & FILE_INDIRECT,
                              f.versyms[f.first_global + i] if f.versyms != NULL else 1))
    return found


def local_definers(Tables tables, bytes name, int most):
    """Live objects that define a local symbol of this name: list of file ids."""
    cdef Columns* c = &tables.c
    cdef File* f
    cdef uint32_t k, i
    cdef size_t n = len(name)
    cdef const char* text = name
    cdef const char* other
    found = []
    for k in range(c.nlive):
        f = &c.files[c.live[k]]
        for i in range(1, f.first_global if f.first_global < f.nsyms else f.nsyms):
            if f.syms[i].st_shndx == SHN_UNDEF or f.syms[i].st_name >= f.strtab_size:
                continue
            other = f.strtab + f.syms[i].st_name
            if other[0] == text[0] and f.strtab_size - f.syms[i].st_name > n and memcmp(other, text, n + 1) == 0:
                found.append(c.live[k])
                break
        if len(found) >= most:
            break
    return found


cdef uint32_t distance(const char* a, uint32_t na, const char* b, uint32_t nb, uint32_t limit) noexcept nogil:
    """Edits (insert, delete, replace, swap neighbours) between two texts; FAR when more than limit <= 4."""
    cdef uint32_t rows[3][BAND]
    cdef uint32_t* old2
    cdef uint32_t* old
    cdef uint32_t* new
    cdef uint32_t i, d, v, least
    cdef int64_t j
    while na and nb and a[0] == b[0]:
        a += 1
        b += 1
        na -= 1
        nb -= 1
    while na and nb and a[na - 1] == b[nb - 1]:
        na -= 1
        nb -= 1
    if na > nb + limit or nb > na + limit:
        return FAR
    for i in range(BAND):
        rows[0][i] = rows[1][i] = rows[2][i] = FAR
    for i in range(na + 1):
        new = rows[i % 3]
        old = rows[(i + 2) % 3]
        old2 = rows[(i + 1) % 3]
        least = FAR
        # Cell d + 1 stands for column j = i + d - limit.
        for d in range(2 * limit + 1):
            j = <int64_t>i + d - limit
            v = FAR
            if j < 0 or j > nb:
                pass
            elif i == 0:
                v = <uint32_t>j
            elif j == 0:
                v = i
            else:
                v = old[d + 1] + (a[i - 1] != b[j - 1])
                if old[d + 2] + 1 < v:
                    v = old[d + 2] + 1
                if new[d] + 1 < v:
                    v = new[d] + 1
                if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1] and old2[d + 1] + 1 < v:
                    v = old2[d + 1] + 1
            new[d + 1] = v
            if v < least:
                least = v
        if least > limit:
            return FAR
    v = rows[na % 3][nb + limit - na + 1]
    return v if v <= limit else <uint32_t>FAR


cdef inline bint is_definition(const Global* g, bint shared) noexcept nogil:
    return (g.state == SYM_DEFINED or g.state == SYM_DEFINED_WEAK or g.state == SYM_COMMON
            or (shared and g.state == SYM_SHARED))


def similar_names(Tables tables, bytes name, uint32_t limit, bint shared, int most):
    """Defined names that differ from `name` in upper and lower case only, or in at most limit <= 4 edits: list of
    (edits, name, gid), the nearest first. shared: definitions in shared objects count too."""
    cdef Columns* c = &tables.c
    cdef const char* text = name
    cdef uint32_t n = <uint32_t>len(name)
    cdef uint32_t gid, edits
    cdef Global* g
    found = []
    for gid in range(1, c.nglobals):
        g = &c.globals[gid]
        if g.name == NULL or g.name_len + limit < n or g.name_len > n + limit or not is_definition(g, shared):
            continue
        if g.name_len == n and strncasecmp(g.name, text, n) == 0:
            edits = 0
        elif limit == 0:
            continue
        else:
            edits = distance(text, n, g.name, g.name_len, limit)
        if edits == FAR or (g.name_len == n and memcmp(g.name, text, n) == 0):
            continue
        found.append((edits, name_bytes(g.name, g.name_len), gid))
    found.sort()
    return found[:most]


def names_containing(Tables tables, bytes prefix, bytes part, int most):
    """Defined names that begin with `prefix` and contain `part`: list of (name, gid), sorted by name."""
    cdef Columns* c = &tables.c
    cdef const char* text = part
    cdef const char* start = prefix
    cdef size_t n = len(part)
    cdef size_t k = len(prefix)
    cdef uint32_t gid
    cdef Global* g
    found = []
    for gid in range(1, c.nglobals):
        g = &c.globals[gid]
        if g.name == NULL or g.name_len < k + n or not is_definition(g, True) or memcmp(g.name, start, k) != 0:
            continue
        if memmem(g.name + k, g.name_len - k, text, n) != NULL:
            found.append((name_bytes(g.name, g.name_len), gid))
    found.sort()
    return found[:most]


def referring_file(Tables tables, uint32_t gid):
    """File id of the first live object or linked shared object that refers to or defines a name, in link order;
    0 when only the command line does."""
    cdef Columns* c = &tables.c
    cdef uint32_t k, i
    cdef File* f
    for k in range(c.nlive):
        f = &c.files[c.live[k]]
        for i in range(f.nsyms - f.first_global if f.nsyms > f.first_global and f.gids != NULL else 0):
            if f.gids[i] == gid:
                return c.live[k]
    return 0


def mentions(Tables tables, gids):
    """Who mentions some globals, in order of the files: list of (file id, symbol index, gid, "definition",
    "common" or "reference"). Live objects and linked shared objects count."""
    cdef Columns* c = &tables.c
    cdef uint32_t id, i
    cdef File* f
    cdef Sym* s
    wanted = set(gids)
    for gid in wanted:
        c.gmark[<uint32_t>gid] |= 1
    found = []
    for id in range(INTERNAL_FILE + 1, c.nfiles):
        f = &c.files[id]
        if f.state != FILE_LIVE or f.gids == NULL or f.flags & FILE_INDIRECT:
            continue
        for i in range(f.nsyms - f.first_global if f.nsyms > f.first_global else 0):
            if not c.gmark[f.gids[i]] & 1:
                continue
            s = &f.syms[f.first_global + i]
            kind = "reference" if s.st_shndx == SHN_UNDEF else "common" if s.st_shndx == SHN_COMMON else "definition"
            found.append((id, f.first_global + i, f.gids[i], kind))
    for gid in wanted:
        c.gmark[<uint32_t>gid] &= ~<uint8_t>1
    return found


def common_names(Tables tables):
    """gids of the names for which some live object has a common symbol, ascending."""
    cdef Columns* c = &tables.c
    cdef uint32_t k, i
    cdef File* f
    found = set()
    if c.ncommon == 0:
        return []
    for k in range(c.nlive):
        f = &c.files[c.live[k]]
        for i in range(f.nsyms - f.first_global if f.nsyms > f.first_global and f.gids != NULL else 0):
            if f.syms[f.first_global + i].st_shndx == SHN_COMMON:
                found.add(f.gids[i])
    return sorted(found)


def references_to(Tables tables, uint32_t gid, uint32_t not_in, uint32_t most):
    """Relocations of live sections that name a global, outside file `not_in`: (how many, [(fragment, offset), ...]
    of the first `most`)."""
    cdef Columns* c = &tables.c
    cdef uint32_t k, j, i, sym
    cdef File* f
    cdef Fragment* g
    cdef uint32_t count = 0
    found = []
    for k in range(c.nlive):
        f = &c.files[c.live[k]]
        if f.kind != FILE_OBJECT or c.live[k] == not_in:
            continue
        sym = symbol_named(tables, c.live[k], gid)
        if sym == 0:
            continue
        for j in range(1, f.shnum):
            g = &c.frags[f.frag_base + j]
            if not g.sh_flags & SHF_ALLOC or not c.frag_state[f.frag_base + j] & STATE_LIVE:
                continue
            for i in range(g.nrelocs):
                if g.relocs[i].r_sym == sym:
                    count += 1
                    if count <= most:
                        found.append((f.frag_base + j, g.relocs[i].r_offset))
    return count, found


def extracted_members(Tables tables):
    """Live archive members in link order: list of (file id, gid that wanted it, file that referred to it)."""
    cdef Columns* c = &tables.c
    cdef uint32_t k
    cdef File* f
    found = []
    for k in range(c.nlive):
        f = &c.files[c.live[k]]
        if f.archive:
            found.append((c.live[k], f.why_gid, f.why_file))
    return found


def archive_counts(Tables tables):
    """(file id of the archive, members known, members linked) of each archive, in order."""
    cdef Columns* c = &tables.c
    cdef uint32_t row, k
    linked = {}
    for k in range(c.nlive):
        if c.files[c.live[k]].archive:
            linked[c.files[c.live[k]].archive] = linked.get(c.files[c.live[k]].archive, 0) + 1
    return [(c.archives[row].file, c.archives[row].nmembers, linked.get(c.archives[row].file, 0))
            for row in range(1, c.narchives) if c.archives[row].file]


def first_use(Tables tables, uint32_t id):
    """(gid, file id) of the first reference in link order that a live shared object answers; None when it answers
    none."""
    cdef Columns* c = &tables.c
    cdef uint32_t k, i
    cdef File* f
    for k in range(c.nlive):
        f = &c.files[c.live[k]]
        for i in range(f.nsyms - f.first_global if f.nsyms > f.first_global and f.gids != NULL else 0):
            if f.syms[f.first_global + i].st_shndx == SHN_UNDEF and c.globals[f.gids[i]].file == id \
                    and c.globals[f.gids[i]].state == SYM_SHARED:
                return f.gids[i], c.live[k]
    return None


def counts(Tables tables):
    """Sizes of the tables: list of (name, number)."""
    cdef Columns* c = &tables.c
    cdef uint64_t relocations = 0, names = 0, live = 0
    cdef uint32_t i
    for i in range(1, c.nfrags):
        if c.frag_state[i] & STATE_LIVE:
            live += 1
            relocations += c.frags[i].nrelocs
    for i in range(1, c.nglobals):
        if c.globals[i].name != NULL:
            names += 1
    return [("files", c.nfiles - 1), ("objects linked", c.nlive - 1 if c.nlive else 0),
            ("shared objects linked", c.nshared), ("sections read", c.nfrags), ("sections in the output", live),
            ("relocations in them", relocations), ("global names", names), ("merged strings and constants", c.npieces),
            ("FDEs", c.nfdes), ("GOT and PLT rows", c.naux - 1 if c.naux else 0)]
