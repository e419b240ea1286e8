# cython: language_level=3
"""Level 2: version scripts and symbol lists applied to the global names.

Exact names are looked up in the name table, so a script of thousands of them costs one probe each.
Patterns are tried on the names that no exact entry took, in parallel.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from libc.stdlib cimport malloc, calloc, free
from libc.string cimport memcmp, memchr, strlen, memcpy
from mclink._core.elf cimport (
    VERSYM_HIDDEN, VER_NDX_GLOBAL, STV_HIDDEN, STV_INTERNAL, STT_OBJECT, STT_COMMON)
from mclink._core.hash cimport hash_bytes
from mclink._core.names cimport find_name
from mclink._core.parallel cimport parallel_for
from mclink._core.tables cimport (
    Columns, Tables, File, Global, AtSymbol, FILE_EXCLUDE_LIBS, SYM_DEFINED, SYM_DEFINED_WEAK, SYM_COMMON,
    G_FORCED_LOCAL, G_EXPORT, G_DYNAMIC_LIST, G_REF_DYNAMIC, G_DEF_DYNAMIC)

cdef extern from "<dlfcn.h>" nogil:
    void* dlopen(const char* name, int flags)
    void* dlsym(void* handle, const char* name)
    int RTLD_NOW
    int RTLD_LOCAL

cdef enum:
    CHUNK = 16384            # names of one unit of work
    ANY_GLOBAL = 1           # Pattern.flags: the pattern is "*"
    ANY_LOCAL = 2            # the pattern stands under local:
    CPLUS = 4                # it is matched against the demangled name
    LITERAL = 8              # no wildcards: the whole text has to be equal

cdef struct Pattern:         # one glob of a version script or symbol list
    const char* text         # the glob
    uint32_t length          # bytes of it
    uint32_t prefix          # bytes in front of its first special character
    uint32_t flags           # ANY_GLOBAL ...
    uint16_t version         # version index it gives
    uint16_t rank            # number of its version node: later nodes win among globs

ctypedef char* (*demangle_t)(const char* name, char* buffer, size_t* length, int* status) noexcept nogil

cdef struct Matcher:         # the work of one pass over the names
    Columns* c               # the tables
    Pattern* patterns        # [count]
    uint32_t count           # patterns
    uint8_t* taken           # [nglobals] 1: an exact entry or an explicit version decided already
    uint32_t* literals       # [literal_mask + 1] 1 + index of the literal patterns, by hash; NULL none
    uint32_t literal_mask    # slots - 1
    demangle_t demangle      # NULL: no pattern is C++
    uint32_t set_flags       # symbol lists: gflags to set; 0: a version script
    bint data_only           # symbol lists: only objects
    uint32_t* defined        # per node: 1 when a global pattern matched something


cdef inline bint is_defined(const Global* g) noexcept nogil:
    return g.state == SYM_DEFINED or g.state == SYM_DEFINED_WEAK or g.state == SYM_COMMON


cdef inline uint32_t base_length(const Global* g) noexcept nogil:
    """Bytes of the name in front of an explicit version (foo@V)."""
    cdef const char* at
    if g.name_len < 2:
        return g.name_len
    at = <const char*>memchr(g.name + 1, c'@', g.name_len - 1)
    return g.name_len if at == NULL else <uint32_t>(at - g.name)


cdef bint match_class(const char* p, uint32_t n, uint32_t* used, unsigned char ch) noexcept nogil:
    """Matches one bracket expression that starts behind its '['; `used` gets its length, 0 when it has no end."""
    cdef uint32_t i = 0
    cdef bint negate = False, found = False
    cdef unsigned char low, high
    used[0] = 0
    if i < n and (p[i] == c'!' or p[i] == c'^'):
        negate = True
        i += 1
    cdef uint32_t first = i
    while i < n:
        if p[i] == c']' and i > first:
            used[0] = i + 1
            return found != negate
        if p[i] == c'\\' and i + 1 < n:
            i += 1
        low = <unsigned char>p[i]
        high = low
        if i + 2 < n and p[i + 1] == c'-' and p[i + 2] != c']':
            i += 2
            if p[i] == c'\\' and i + 1 < n:
                i += 1
            high = <unsigned char>p[i]
        if low <= ch <= high:
            found = True
        i += 1
    return False


cdef bint match_glob(const char* p, uint32_t n, const char* s, uint32_t m) noexcept nogil:
    """Shell pattern of n bytes against m bytes, as fnmatch(3) without flags. Linear but for the last '*'."""
    cdef uint32_t i = 0, j = 0, used = 0
    cdef uint32_t star = 0xffffffffU, mark = 0
    cdef bint ok
    while j < m:
        ok = False
        if i < n:
            if p[i] == c'*':
                star = i
                mark = j
                i += 1
                continue
            if p[i] == c'?':
                ok = True
                i += 1
            elif p[i] == c'[':
                ok = match_class(p + i + 1, n - i - 1, &used, <unsigned char>s[j])
                if used == 0:
                    # No closing bracket: the bracket stands for itself.
                    ok = s[j] == c'['
                    i += 1
                else:
                    i += 1 + used
            elif p[i] == c'\\' and i + 1 < n:
                ok = p[i + 1] == s[j]
                i += 2
            else:
                ok = p[i] == s[j]
                i += 1
        if ok:
            j += 1
        elif star != 0xffffffffU:
            i = star + 1
            mark += 1
            j = mark
        else:
            return False
    while i < n and p[i] == c'*':
        i += 1
    return i == n


cdef const Pattern* find_literal(const Matcher* m, const char* s, uint32_t length) noexcept nogil:
    """The first literal pattern that equals the text, NULL for none."""
    cdef uint32_t at
    cdef const Pattern* p
    if m.literals == NULL:
        return NULL
    at = <uint32_t>hash_bytes(s, length) & m.literal_mask
    while m.literals[at]:
        p = &m.patterns[m.literals[at] - 1]
        if p.length == length and memcmp(p.text, s, length) == 0:
            return p
        at = (at + 1) & m.literal_mask
    return NULL


cdef inline bint match_pattern(const Pattern* p, const char* s, uint32_t m) noexcept nogil:
    if m < p.prefix or memcmp(p.text, s, p.prefix) != 0:
        return False
    return match_glob(p.text + p.prefix, p.length - p.prefix, s + p.prefix, m - p.prefix)


def glob_matches(bytes pattern, bytes name):
    """True when the shell pattern matches the whole name (fnmatch(3) without flags)."""
    return match_glob(pattern, <uint32_t>len(pattern), name, <uint32_t>len(name))


cdef demangle_t find_demangler() noexcept:
    """__cxa_demangle of the C++ ABI library of the machine; NULL when there is none. It is looked for only
    when a script has C++ patterns. Source: Itanium C++ ABI, section 3.4."""
    cdef void* handle = NULL
    cdef void* found = dlsym(NULL, "__cxa_demangle")
    if found != NULL:
        return <demangle_t>found
    for name in (b"libstdc++.so.6", b"libc++abi.so.1", b"libc++.so.1"):
        handle = dlopen(name, RTLD_NOW | RTLD_LOCAL)
        if handle != NULL:
            found = dlsym(handle, "__cxa_demangle")
            if found != NULL:
                return <demangle_t>found
    return NULL


cdef void give_version(Columns* c, uint32_t gid, uint32_t version, bint local) noexcept nogil:
    if local:
        c.gflags[gid] |= G_FORCED_LOCAL
        c.globals[gid].version = 0
    else:
        c.globals[gid].version = <uint16_t>version


cdef void match_one(Matcher* m, uint32_t gid) noexcept nogil:
    """Decides one name by the patterns. Source: GNU ld manual, node "VERSION"; the order among patterns is GNU
    ld's: a global glob beats a local one, either beats "*", the later node wins among equals."""
    cdef Columns* c = m.c
    cdef Global* g = &c.globals[gid]
    cdef const Pattern* p
    cdef const char* s = g.name
    cdef uint32_t length = base_length(g)
    cdef const Pattern* by_global = NULL
    cdef const Pattern* by_local = NULL
    cdef const Pattern* any_global = NULL
    cdef const Pattern* any_local = NULL
    cdef char* readable = NULL
    cdef char* copy
    cdef uint32_t readable_length = 0, i
    cdef int status = 0
    if m.demangle != NULL and length > 2 and s[0] == c'_' and s[1] == c'Z':
        copy = <char*>malloc(length + 1)
        if copy != NULL:
            memcpy(copy, s, length)
            copy[length] = 0
            readable = m.demangle(copy, NULL, NULL, &status)
            free(copy)
            if readable != NULL:
                readable_length = <uint32_t>strlen(readable)
    p = find_literal(m, s if readable == NULL else readable, length if readable == NULL else readable_length)
    if p != NULL:
        if p.flags & ANY_LOCAL:
            by_local = p
        else:
            by_global = p
    for i in range(m.count if p == NULL else 0):
        p = &m.patterns[i]
        if p.flags & LITERAL:
            continue
        if p.flags & CPLUS:
            # A name that is not mangled stands for itself, as in GNU ld.
            if readable != NULL:
                if not match_pattern(p, readable, readable_length):
                    continue
            elif not match_pattern(p, s, length):
                continue
        elif not match_pattern(p, s, length):
            continue
        if p.flags & ANY_LOCAL:
            if p.flags & ANY_GLOBAL:
                any_local = p
            else:
                by_local = p
        elif p.flags & ANY_GLOBAL:
            any_global = p
        else:
            by_global = p
    free(readable)
    if by_global == NULL and by_local == NULL:
        by_global = any_global
    if by_local == NULL:
        by_local = any_local
    if by_global != NULL:
        if m.set_flags:
            if not m.data_only or g.type == STT_OBJECT or g.type == STT_COMMON:
                c.gflags[gid] |= m.set_flags
        else:
            m.defined[by_global.rank] = 1
            give_version(c, gid, by_global.version, False)
    elif by_local != NULL and not m.set_flags:
        give_version(c, gid, 0, True)


cdef void match_chunk(void* context, int64_t index, int thread) noexcept nogil:
    cdef Matcher* m = <Matcher*>context
    cdef Columns* c = m.c
    cdef uint32_t gid = <uint32_t>(index * CHUNK)
    cdef uint32_t end = gid + CHUNK
    if end > c.nglobals:
        end = c.nglobals
    while gid < end:
        if c.globals[gid].name != NULL and is_defined(&c.globals[gid]) \
                and not (m.taken != NULL and m.taken[gid]):
            match_one(m, gid)
        gid += 1


cdef uint32_t special_prefix(const char* text, uint32_t length) noexcept nogil:
    cdef uint32_t i
    for i in range(length):
        if text[i] == c'*' or text[i] == c'?' or text[i] == c'[' or text[i] == c'\\':
            return i
    return length


cdef int run_patterns(Tables tables, Matcher* m, patterns) except -1:
    """patterns: list of (text, version, rank, is_local, is_cplus, is_literal); literal ones are C++ names."""
    cdef Columns* c = &tables.c
    cdef uint32_t n = <uint32_t>len(patterns)
    cdef uint32_t i
    cdef int64_t chunks
    cdef bytes text
    cdef bint cplus = False
    cdef uint32_t literals = 0, at
    m.c = c
    m.count = n
    m.demangle = NULL
    m.patterns = <Pattern*>calloc(n + 1, sizeof(Pattern))
    m.defined = <uint32_t*>calloc(65536, sizeof(uint32_t))
    if m.patterns == NULL or m.defined == NULL:
        raise MemoryError
    for i in range(n):
        text, version, rank, is_local, is_cplus, is_literal = patterns[i]
        m.patterns[i].text = text
        m.patterns[i].length = <uint32_t>len(text)
        m.patterns[i].version = version
        m.patterns[i].rank = rank
        m.patterns[i].flags = ((ANY_LOCAL if is_local else 0) | (CPLUS if is_cplus else 0)
                               | (LITERAL if is_literal else 0)
                               | (ANY_GLOBAL if text == b"*" and not is_literal else 0))
        m.patterns[i].prefix = special_prefix(text, m.patterns[i].length)
        cplus = cplus or is_cplus
        literals += bool(is_literal)
    if literals:
        m.literal_mask = 15
        while m.literal_mask < literals * 2:
            m.literal_mask = m.literal_mask * 2 + 1
        m.literals = <uint32_t*>calloc(m.literal_mask + 1, sizeof(uint32_t))
        if m.literals == NULL:
            raise MemoryError
        for i in range(n):
            if m.patterns[i].flags & LITERAL:
                at = <uint32_t>hash_bytes(m.patterns[i].text, m.patterns[i].length) & m.literal_mask
                while m.literals[at]:
                    at = (at + 1) & m.literal_mask
                m.literals[at] = i + 1
    if cplus:
        m.demangle = find_demangler()
        if m.demangle == NULL:
            raise LookupError("no C++ runtime library for demangling (libstdc++.so.6)")
    chunks = (c.nglobals + CHUNK - 1) // CHUNK
    with nogil:
        parallel_for(match_chunk, m, chunks, c.threads)
    return 0


def explicit_versions(Tables tables):
    """Definitions whose name carries a version (.symver): list of (gid, version name, is_default), in link order.

    `foo@@V` is a default version, `foo@V` is hidden."""
    cdef Columns* c = &tables.c
    cdef AtSymbol* a
    cdef Global* g
    cdef const char* at
    cdef uint32_t i
    found = []
    for i in range(c.nat):
        a = &c.at_symbols[i]
        g = &c.globals[a.gid]
        if g.file != a.file or g.sym != a.sym or not is_defined(g):
            continue
        at = c.files[a.file].strtab + c.files[a.file].syms[a.sym].st_name + a.length
        default = at[1] == c'@'
        found.append((a.gid, <bytes>(at + (2 if default else 1)), default))
    return found


def base_name(Tables tables, uint32_t gid):
    """The name of a global in front of any '@version', as bytes."""
    cdef Global* g = &tables.c.globals[gid]
    return g.name[:base_length(g)]


def set_version(Tables tables, uint32_t gid, uint32_t version, bint hidden, bint local):
    """Gives one definition a version index; `local` hides it from other modules instead."""
    give_version(&tables.c, gid, version | (VERSYM_HIDDEN if hidden else 0), local)


cdef bint is_second_name(const Columns* c, const Global* g) noexcept nogil:
    """True for the name foo@V that a definition foo@@V answers as well: that one is exported as foo already."""
    cdef const File* f = &c.files[g.file]
    cdef const char* name
    if g.file == 0 or g.sym >= f.nsyms:
        return False
    name = f.strtab + f.syms[g.sym].st_name
    return strlen(name) != g.name_len or memcmp(name, g.name, g.name_len) != 0


def reset_versions(Tables tables):
    """Every definition starts as unversioned global; hidden ones and those of --exclude-libs as local."""
    cdef Columns* c = &tables.c
    cdef uint32_t gid
    cdef Global* g
    with nogil:
        for gid in range(1, c.nglobals):
            g = &c.globals[gid]
            if g.name == NULL or not is_defined(g):
                continue
            g.version = VER_NDX_GLOBAL
            if g.visibility == STV_HIDDEN or g.visibility == STV_INTERNAL \
                    or (g.file != 0 and c.files[g.file].flags & FILE_EXCLUDE_LIBS):
                c.gflags[gid] |= G_FORCED_LOCAL
                g.version = 0
            elif c.nat and g.name_len > base_length(g) and is_second_name(c, g):
                c.gflags[gid] |= G_FORCED_LOCAL


def default_versions(Tables tables, uint32_t version):
    """--default-symver: every definition without a version gets `version`."""
    cdef Columns* c = &tables.c
    cdef uint32_t gid
    cdef Global* g
    with nogil:
        for gid in range(1, c.nglobals):
            g = &c.globals[gid]
            if g.name != NULL and is_defined(g) and g.version == VER_NDX_GLOBAL and not c.gflags[gid] & G_FORCED_LOCAL:
                g.version = <uint16_t>version


def apply_script(Tables tables, exact, patterns, decided):
    """Gives versions by a version script to every definition that has none yet.

    exact: list of (name, version index, is_local), the first entry of a name counts;
    patterns: list of (text, version index, node number, is_local, is_cplus, is_literal), node numbers < 65536;
    decided: list of gids with an explicit version, which are left alone.
    Returns (exact names that nothing defines, set of node numbers whose patterns took a name).
    LookupError when a C++ pattern is there and no C++ runtime library."""
    cdef Columns* c = &tables.c
    cdef Matcher m
    cdef bytes name
    cdef uint32_t gid, i, version
    cdef bint local
    missing = []
    used = set()
    m.set_flags = 0
    m.data_only = False
    m.patterns = NULL
    m.defined = NULL
    m.literals = NULL
    m.taken = <uint8_t*>calloc(c.nglobals + 1, 1)
    if m.taken == NULL:
        raise MemoryError
    try:
        for gid in decided:
            m.taken[gid] = 1
        for name, version, local in exact:
            gid = find_name(c, name, len(name), hash_bytes(<const char*>name, len(name)))
            if gid == 0 or not is_defined(&c.globals[gid]):
                missing.append((name, version, local))
                continue
            if m.taken[gid]:
                continue
            m.taken[gid] = 1
            give_version(c, gid, version, local)
        if patterns:
            run_patterns(tables, &m, patterns)
            for i in range(65536):
                if m.defined[i]:
                    used.add(i)
    finally:
        free(m.taken)
        free(m.patterns)
        free(m.defined)
        free(m.literals)
    return missing, used


def apply_list(Tables tables, exact, patterns, uint32_t flags, bint data_only=False):
    """Sets gflags (G_DYNAMIC_LIST, G_EXPORT) on the definitions that a symbol list names.

    exact: list of names; patterns: list of (text, 0, 0, False, is_cplus, is_literal)."""
    cdef Columns* c = &tables.c
    cdef Matcher m
    cdef bytes name
    cdef uint32_t gid
    m.set_flags = flags
    m.data_only = data_only
    m.patterns = NULL
    m.defined = NULL
    m.literals = NULL
    m.taken = NULL
    for name in exact:
        gid = find_name(c, name, len(name), hash_bytes(<const char*>name, len(name)))
        if gid != 0 and is_defined(&c.globals[gid]):
            c.gflags[gid] |= flags
    if patterns:
        try:
            run_patterns(tables, &m, patterns)
        finally:
            free(m.patterns)
            free(m.defined)
            free(m.literals)


def list_flags():
    """The gflags bits that apply_list() may set: (G_DYNAMIC_LIST, G_EXPORT)."""
    return G_DYNAMIC_LIST, G_EXPORT


def export_definitions(Tables tables, bint all_of_them):
    """Decides G_EXPORT for every definition of a dynamic output.

    A shared object exports all that is not local. An executable exports what a shared object refers to or
    also defines, what a list names (G_EXPORT, G_DYNAMIC_LIST set before), and, with `all_of_them` (-E), the
    rest. Source: GNU ld manual, node "Options", --export-dynamic."""
    cdef Columns* c = &tables.c
    cdef uint32_t gid, flags
    cdef Global* g
    with nogil:
        for gid in range(1, c.nglobals):
            g = &c.globals[gid]
            if g.name == NULL or not is_defined(g):
                continue
            flags = c.gflags[gid]
            if flags & G_FORCED_LOCAL:
                c.gflags[gid] = flags & ~<uint32_t>G_EXPORT
            elif c.shared_output or all_of_them or flags & (G_REF_DYNAMIC | G_DEF_DYNAMIC | G_DYNAMIC_LIST):
                c.gflags[gid] = flags | G_EXPORT


def exported(Tables tables, gid):
    """True when the global has G_EXPORT."""
    return tables.c.gflags[<uint32_t>gid] & G_EXPORT != 0
