"""Level 2, phase 2: symbol resolution in link order, with GNU ld's meaning.

A serial walk over files whose names are joined: it decides which archive members are live, which COMDAT group
wins and which definition each name has. The rules are those of the table in GNU ld's manual node "Invocation"
(archives, --as-needed) and of the gABI (strong, weak, common); everything costly was done before, in parallel.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from libc.stdlib cimport realloc
from libc.string cimport memcmp, memset, strncmp
from mclink._core.bytes cimport load32
from mclink._core.elf cimport *
from mclink._core.fault cimport *
from mclink._core.tables cimport *

cdef extern from *:
    void prefetch "__builtin_prefetch"(const void* p) noexcept nogil

cdef enum:
    AHEAD = 12               # symbols prefetched ahead of the one being resolved


cdef inline uint8_t stricter(uint8_t a, uint8_t b) noexcept nogil:
    """The more constraining of two visibilities (gABI chapter 4: internal, hidden, protected, default)."""
    if a == STV_DEFAULT:
        return b
    if b == STV_DEFAULT:
        return a
    return a if a < b else b


cdef inline void set_undefined_mark(Columns* c, uint32_t gid) noexcept nogil:
    """Keeps MARK_UNDEF and MARK_COMMON in step with the state: archives read only this byte."""
    cdef uint8_t mark = c.gmark[gid] & ~<uint8_t>(MARK_UNDEF | MARK_COMMON)
    if c.globals[gid].state == SYM_UNDEF:
        mark |= MARK_UNDEF
    elif c.globals[gid].state == SYM_COMMON:
        mark |= MARK_COMMON
    c.gmark[gid] = mark


cdef void refer(Columns* c, uint32_t id, uint32_t index, uint32_t gid, bint weak) noexcept nogil:
    """A live object refers to a name that it does not define."""
    cdef Global* g = &c.globals[gid]
    c.gflags[gid] |= G_REF_REGULAR if weak else G_REF_REGULAR | G_REF_STRONG
    if g.state == SYM_UNSEEN:
        g.state = SYM_UNDEF_WEAK if weak else SYM_UNDEF
        g.file = id
        g.sym = index
        g.type = c.files[id].syms[index].st_info & 15
        set_undefined_mark(c, gid)
    elif g.state == SYM_UNDEF_WEAK and not weak:
        g.state = SYM_UNDEF
        g.file = id
        g.sym = index
        set_undefined_mark(c, gid)


cdef void take(Columns* c, uint32_t id, uint32_t index, uint32_t gid, uint8_t state, uint32_t frag) noexcept nogil:
    """Makes symbol `index` of file `id` the definition of the name."""
    cdef Global* g = &c.globals[gid]
    cdef Sym* s = &c.files[id].syms[index]
    g.state = state
    g.file = id
    g.sym = index
    g.frag = frag
    g.value = s.st_value
    g.size = s.st_size
    g.type = s.st_info & 15
    g.bind = s.st_info >> 4
    g.other = s.st_other & ~<uint8_t>3
    g.version = 0
    c.gflags[gid] |= G_DEF_REGULAR
    c.gflags[gid] &= ~<uint32_t>(G_LINKER | G_DISCARDED)
    set_undefined_mark(c, gid)


cdef void define(Columns* c, uint32_t id, uint32_t index, uint32_t gid, uint32_t frag, bint muldefs) noexcept nogil:
    """A live object defines a name in a section or as an absolute number."""
    cdef Global* g = &c.globals[gid]
    cdef Sym* s = &c.files[id].syms[index]
    cdef bint weak = s.st_info >> 4 == STB_WEAK
    cdef Fault fault
    if g.state == SYM_DEFINED or g.state == SYM_DEFINED_WEAK or g.state == SYM_COMMON:
        if weak:
            return
        if g.state == SYM_DEFINED:
            # --defsym and scripts redefine nothing: they come first and stay, as in GNU ld.
            if muldefs or c.gflags[gid] & G_SCRIPT:
                return
            if g.frag == 0 and frag == 0 and g.value == s.st_value:
                return
            memset(&fault, 0, sizeof(Fault))
            fault.code = FAULT_DUPLICATE
            fault.file = id
            fault.sym = index
            fault.gid = gid
            fault.type = g.file
            fault.value = g.sym
            record_fault(c.faults, &fault)
            return
    take(c, id, index, gid, SYM_DEFINED_WEAK if weak else SYM_DEFINED, frag)


cdef void define_common(Columns* c, uint32_t id, uint32_t index, uint32_t gid) noexcept nogil:
    """A live object has a common symbol: the largest size and alignment win (gABI chapter 4, SHN_COMMON)."""
    cdef Global* g = &c.globals[gid]
    cdef Sym* s = &c.files[id].syms[index]
    cdef uint64_t align, size
    c.ncommon += 1
    if g.state == SYM_DEFINED:
        return
    if g.state == SYM_COMMON:
        align = g.value if g.value > s.st_value else s.st_value
        size = g.size
        if s.st_size > size:
            take(c, id, index, gid, SYM_COMMON, 0)
        g.value = align
        return
    size = g.size if g.state == SYM_SHARED else 0
    take(c, id, index, gid, SYM_COMMON, 0)
    if size > g.size:
        g.size = size


cdef void discard_groups(Columns* c, uint32_t id) noexcept nogil:
    """COMDAT: the first file with a signature owns it; the members of later groups (a .gnu.linkonce section is its
    own member) are dropped."""
    cdef File* f = &c.files[id]
    cdef uint32_t k, i, member
    cdef Shdr* s
    cdef Global* g
    for k in range(f.ngroups):
        if f.group_gids[k] == 0:
            continue
        g = &c.globals[f.group_gids[k]]
        s = &f.shdrs[f.groups[k]]
        if g.group_file == 0:
            g.group_file = id
            continue
        c.frag_state[f.frag_base + f.groups[k]] |= STATE_DISCARDED
        for i in range(1, group_words(s)):
            member = load32(f.data + s.sh_offset + 4 * <uint64_t>i, f.flags & FILE_SWAP != 0)
            c.frag_state[f.frag_base + member] |= STATE_DISCARDED


cdef void resolve_object(Columns* c, uint32_t id, bint muldefs) noexcept nogil:
    """Makes a parsed object live and resolves its global symbols."""
    cdef File* f = &c.files[id]
    cdef uint32_t i, gid, section, frag
    cdef uint32_t first = f.first_global
    cdef uint32_t n = f.nsyms - first if f.nsyms > first else 0
    cdef Sym* s
    cdef Global* g
    f.state = FILE_LIVE
    f.frag_base = c.nfrags
    c.nfrags += f.shnum
    c.live[c.nlive] = id
    c.nlive += 1
    f.order = c.nlive
    discard_groups(c, id)
    for i in range(n):
        if i + AHEAD < n:
            prefetch(&c.globals[f.gids[i + AHEAD]])
        gid = f.gids[i]
        s = &f.syms[first + i]
        section = s.st_shndx
        frag = 0
        g = &c.globals[gid]
        if section != SHN_UNDEF:
            if section == SHN_COMMON or section == c.large_common:
                g.visibility = stricter(g.visibility, s.st_other & 3)
                define_common(c, id, first + i, gid)
                continue
            if section < SHN_LORESERVE or section == SHN_XINDEX:
                if section == SHN_XINDEX:
                    section = f.symtab_shndx[first + i]
                frag = f.frag_base + section
                if c.frag_state[frag] & STATE_DISCARDED:
                    # The winner of the group defines it; if it does not, references are reported as
                    # references to a discarded section.
                    if g.state == SYM_UNSEEN or g.state == SYM_UNDEF or g.state == SYM_UNDEF_WEAK:
                        c.gflags[gid] |= G_DISCARDED
                    refer(c, id, first + i, gid, s.st_info >> 4 == STB_WEAK)
                    g.visibility = stricter(g.visibility, s.st_other & 3)
                    continue
        g.visibility = stricter(g.visibility, s.st_other & 3)
        if section == SHN_UNDEF:
            refer(c, id, first + i, gid, s.st_info >> 4 == STB_WEAK)
        else:
            define(c, id, first + i, gid, frag, muldefs)


def reserve_walk(Tables tables):
    """Makes room for the fragments of every parsed file that is not yet live; call before walking."""
    cdef Columns* c = &tables.c
    cdef uint64_t sections = 0
    cdef uint32_t objects = 0, shared = 0, i
    cdef uint32_t* grown
    for i in range(1, c.nfiles):
        if c.files[i].state == FILE_PARSED:
            if c.files[i].kind == FILE_SHARED:
                shared += 1
            else:
                sections += c.files[i].shnum
                objects += 1
    if sections > 0xfffffff0U:
        raise MemoryError("more than 4 G sections")
    tables.reserve_frags(<uint32_t>sections)
    if c.nlive + objects > c.live_capacity:
        grown = <uint32_t*>realloc(c.live, (c.nlive + objects + 64) * sizeof(uint32_t))
        if grown == NULL:
            raise MemoryError
        c.live = grown
        c.live_capacity = c.nlive + objects + 64
    if c.nshared + shared > c.shared_capacity:
        grown = <uint32_t*>realloc(c.shared, (c.nshared + shared + 64) * sizeof(uint32_t))
        if grown == NULL:
            raise MemoryError
        c.shared = grown
        c.shared_capacity = c.nshared + shared + 64


def walk_object(Tables tables, uint32_t id, bint muldefs, extra=()):
    """Makes one parsed object live. extra: (symbol index, gid) pairs, names that its versioned definitions
    answer as well (`foo@V` for a definition `foo@@V`)."""
    cdef Columns* c = &tables.c
    cdef uint32_t index
    if c.files[id].state != FILE_PARSED:
        return
    resolve_object(c, id, muldefs)
    for index, gid in extra:
        if shndx_is_ordinary(&c.files[id], index):
            define(c, id, index, gid, sym_frag(c, &c.files[id], index), muldefs)


def take_groups(Tables tables, gids, uint32_t id):
    """COMDAT groups with these signatures that nobody owns yet belong to a live file, though it has no such groups."""
    cdef uint32_t gid
    for gid in gids:
        if tables.c.globals[gid].group_file == 0:
            tables.c.globals[gid].group_file = id


def walk_archive(Tables tables, uint32_t row, bint muldefs, uint32_t start):
    """One search of an archive: passes over its index until a pass loads nothing.

    start: entry to begin at, 0 at first. Returns (loaded, pending, position): loaded counts the members made
    live; pending is 0, or a member that must be parsed and joined before the search goes on at `position`."""
    cdef Columns* c = &tables.c
    cdef Archive* a = &c.archives[row]
    cdef uint32_t i = start
    cdef uint32_t loaded = 0, total = 0, member, gid, pending = 0, referrer
    cdef uint8_t mark
    with nogil:
        while True:
            while i < a.nentries:
                gid = a.entry_gid[i]
                mark = c.gmark[gid]
                if not mark & (MARK_UNDEF | MARK_COMMON):
                    i += 1
                    continue
                member = a.entry_member[i]
                if c.files[member].state >= FILE_LIVE:
                    i += 1
                    continue
                if c.files[member].state == FILE_MAPPED:
                    pending = member
                    break
                if mark & MARK_COMMON and not defines_strongly(c, member, gid):
                    i += 1
                    continue
                referrer = c.globals[gid].file
                resolve_object(c, member, muldefs)
                c.files[member].why_gid = gid
                c.files[member].why_file = referrer
                loaded += 1
                i += 1
            if pending:
                break
            total += loaded
            if loaded == 0 and start == 0:
                break
            # A search that was interrupted has not seen the entries before `start` in this pass.
            start = 0
            loaded = 0
            i = 0
    return total + loaded, pending, i


cdef bint defines_strongly(Columns* c, uint32_t id, uint32_t gid) noexcept nogil:
    """True when the file defines the name as data that could stand for a common symbol."""
    cdef File* f = &c.files[id]
    cdef uint32_t i
    cdef Sym* s
    for i in range(f.nsyms - f.first_global):
        if f.gids[i] == gid:
            s = &f.syms[f.first_global + i]
            return s.st_shndx != SHN_UNDEF and s.st_shndx != SHN_COMMON and s.st_info & 15 != STT_FUNC
    return False


cdef void define_shared(Columns* c, uint32_t id, uint32_t index, uint32_t gid) noexcept nogil:
    """A shared object defines a name."""
    cdef Global* g = &c.globals[gid]
    cdef Sym* s = &c.files[id].syms[index]
    c.gflags[gid] |= G_DEF_DYNAMIC
    if g.state == SYM_COMMON and s.st_size > g.size and s.st_info & 15 == STT_OBJECT:
        g.size = s.st_size
    if g.state != SYM_UNSEEN and g.state != SYM_UNDEF and g.state != SYM_UNDEF_WEAK:
        return
    g.state = SYM_SHARED
    g.file = id
    g.sym = index
    g.frag = 0
    g.value = s.st_value
    g.size = s.st_size
    g.type = s.st_info & 15
    g.bind = s.st_info >> 4
    g.version = c.files[id].versyms[index] & 0x7fff if c.files[id].versyms != NULL else 0
    set_undefined_mark(c, gid)


def satisfies(Tables tables, uint32_t id, bint count_dynamic, extra=()):
    """True when a DSO defines a name that is now strongly undefined in an object: --as-needed keeps it.

    count_dynamic: references from other shared objects count too."""
    cdef Columns* c = &tables.c
    cdef File* f = &c.files[id]
    cdef uint32_t i, gid
    cdef Sym* s
    for i in range(f.nsyms - f.first_global if f.nsyms > f.first_global else 0):
        s = &f.syms[f.first_global + i]
        if s.st_shndx == SHN_UNDEF or (f.versyms != NULL and f.versyms[f.first_global + i] & VERSYM_HIDDEN):
            continue
        gid = f.gids[i]
        if c.globals[gid].state == SYM_UNDEF and (c.gflags[gid] & G_REF_STRONG or count_dynamic):
            return True
    for _, gid in extra:
        if c.globals[gid].state == SYM_UNDEF and (c.gflags[gid] & G_REF_STRONG or count_dynamic):
            return True
    return False


def walk_shared(Tables tables, uint32_t id, bint indirect, extra=()):
    """Makes one parsed shared object live: its default definitions answer references from here on, its own
    references count as dynamic ones.

    indirect: opened only for another DSO's DT_NEEDED; it defines, but nothing of it enters the output.
    extra: (symbol index, gid) pairs of hidden versions that some name asks for."""
    cdef Columns* c = &tables.c
    cdef File* f = &c.files[id]
    cdef uint32_t i, gid, index
    cdef Sym* s
    if f.state != FILE_PARSED:
        return
    f.state = FILE_LIVE
    c.shared[c.nshared] = id
    c.nshared += 1
    f.order = c.nshared
    with nogil:
        for i in range(f.nsyms - f.first_global if f.nsyms > f.first_global else 0):
            gid = f.gids[i]
            s = &f.syms[f.first_global + i]
            if s.st_shndx == SHN_UNDEF:
                if indirect:
                    continue
                c.gflags[gid] |= G_REF_DYNAMIC
                if c.globals[gid].state == SYM_UNSEEN:
                    c.globals[gid].state = SYM_UNDEF_WEAK if s.st_info >> 4 == STB_WEAK else SYM_UNDEF
                    c.globals[gid].file = id
                    c.globals[gid].sym = f.first_global + i
                    # A reference to a version asks for a library: no archive answers it, as in GNU ld.
                    if f.versyms == NULL or f.versyms[f.first_global + i] & 0x7fff <= 1:
                        set_undefined_mark(c, gid)
                continue
            if f.versyms != NULL and f.versyms[f.first_global + i] & VERSYM_HIDDEN:
                continue
            if indirect and c.gflags[gid] & G_REF_REGULAR:
                # An object must name the library that it uses itself.
                continue
            define_shared(c, id, f.first_global + i, gid)
    for index, gid in extra:
        define_shared(c, id, index, gid)


def rewrite_wrapped(Tables tables, ids, pairs):
    """--wrap: in each file of `ids`, undefined references to gid a become references to gid b, for (a, b) in
    pairs. Returns the archive members that the new references want."""
    cdef Columns* c = &tables.c
    cdef File* f
    cdef uint32_t i, gid
    mapping = dict(pairs)
    wanted = set()
    for id in ids:
        f = &c.files[<uint32_t>id]
        if f.state != FILE_PARSED or f.kind == FILE_SHARED:
            continue
        for i in range(f.nsyms - f.first_global if f.nsyms > f.first_global else 0):
            if f.syms[f.first_global + i].st_shndx != SHN_UNDEF or not c.gflags[f.gids[i]] & G_WRAP:
                continue
            gid = mapping.get(f.gids[i], f.gids[i])
            f.gids[i] = gid
            if not c.gmark[gid] & MARK_HAVE and c.gprovider[gid] and c.files[c.gprovider[gid]].state == FILE_MAPPED:
                wanted.add(c.gprovider[gid])
            c.gmark[gid] |= MARK_WANTED
    return sorted(wanted)


def dotted_references(Tables tables):
    """Names that begin with a dot, are wanted, and that neither an object nor an archive index has: list of (gid, bytes
    of the name behind the dot), by gid."""
    cdef Columns* c = &tables.c
    cdef uint32_t gid
    cdef Global* g
    rows = []
    for gid in range(1, c.nglobals):
        g = &c.globals[gid]
        if g.name != NULL and g.name_len > 1 and g.name[0] == c'.' and c.gprovider[gid] == 0 \
                and c.gmark[gid] & (MARK_WANTED | MARK_HAVE) == MARK_WANTED and not c.gflags[gid] & G_WRAP:
            rows.append((gid, <bytes>g.name[1:g.name_len]))
    return rows


def is_offered(Tables tables, uint32_t gid):
    """True when an object that has been joined, or an archive index, has the name."""
    return bool(tables.c.gmark[gid] & MARK_HAVE or tables.c.gprovider[gid])


def absolute_symbols(Tables tables, uint32_t id):
    """The global definitions of a parsed file for --just-symbols: list of (gid, value, type, size)."""
    cdef File* f = &tables.c.files[id]
    cdef uint32_t i
    cdef Sym* s
    result = []
    if f.state != FILE_PARSED:
        return result
    for i in range(f.nsyms - f.first_global if f.nsyms > f.first_global else 0):
        s = &f.syms[f.first_global + i]
        if s.st_shndx != SHN_UNDEF and s.st_shndx != SHN_COMMON:
            result.append((f.gids[i], s.st_value, s.st_info & 15, s.st_size))
    return result


def reset_marks(Tables tables):
    """Clears the transient columns of the walk."""
    memset(tables.c.gmark, 0, tables.c.nglobals)


def versioned_names(Tables tables):
    """The symbols whose names carry a version, as (gid, file, symbol index, base name bytes, version bytes,
    default, defined), in file order. default: written foo@@V."""
    cdef Columns* c = &tables.c
    cdef uint32_t i
    cdef AtSymbol* a
    cdef File* f
    cdef const char* name
    rows = []
    for i in range(c.nat):
        a = &c.at_symbols[i]
        f = &c.files[a.file]
        name = f.strtab + f.syms[a.sym].st_name
        version = <bytes>(name + a.length)
        rows.append((a.gid, a.file, a.sym, name[:a.length], version.lstrip(b"@"), version.startswith(b"@@"),
                     f.syms[a.sym].st_shndx != SHN_UNDEF))
    return rows


def shared_symbols_named(Tables tables, uint32_t id, uint32_t gid):
    """Defined symbols of a parsed DSO that have a given name: list of (symbol index, version index)."""
    cdef File* f = &tables.c.files[id]
    cdef uint32_t i
    result = []
    for i in range(f.nsyms - f.first_global if f.nsyms > f.first_global else 0):
        if f.gids[i] == gid and f.syms[f.first_global + i].st_shndx != SHN_UNDEF:
            result.append((f.first_global + i, f.versyms[f.first_global + i] & 0x7fff if f.versyms != NULL else 1))
    return result
