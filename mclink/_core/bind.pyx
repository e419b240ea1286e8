# cython: language_level=3
"""Level 2: what each global name is bound to: here, to a number, or at run time by the dynamic linker."""
from libc.stdint cimport uint8_t, uint32_t, int64_t
from mclink._core.elf cimport (
    STT_FUNC, STT_GNU_IFUNC, STT_TLS, STV_DEFAULT, STV_HIDDEN, STV_INTERNAL, STB_WEAK, STB_GNU_UNIQUE, STB_GLOBAL)
from mclink._core.parallel cimport parallel_for
from mclink._core.tables cimport (
    Columns, Tables, File, Global, STATE_LIVE, sym_frag, FILE_INDIRECT,
    SYM_UNSEEN, SYM_UNDEF, SYM_UNDEF_WEAK, SYM_SHARED, SYM_DEFINED_WEAK,
    G_KIND_MASK, G_LOCAL, G_ABSOLUTE, G_IMPORT_DATA, G_IMPORT_FUNC, G_IFUNC, G_TLS, G_EXPORT, G_UNDEF_WEAK,
    G_FORCED_LOCAL, G_REF_REGULAR, G_REF_DYNAMIC, G_REF_STRONG, G_LINKER, G_UNDEFINED, G_FUNC, G_DYNAMIC_LIST,
    G_SCRIPT, G_NOT_PREEMPTIBLE)

cdef enum:
    CHUNK = 16384            # names of one unit of work

cdef enum:                   # Rules.symbolic, the -Bsymbolic family
    SYMBOLIC_NONE = 0
    SYMBOLIC_ALL = 1
    SYMBOLIC_FUNCTIONS = 2
    SYMBOLIC_NON_WEAK = 3
    SYMBOLIC_NON_WEAK_FUNCTIONS = 4

cdef struct Rules:           # what the command line says about binding
    Columns* c               # the tables
    int symbolic             # SYMBOLIC_*
    bint dynamic_list        # only names on the dynamic list may be preempted
    bint report              # unresolved references of objects are reported (error or warning)
    bint weak_dynamic        # undefined weak names are left to the dynamic linker
    bint gnu_unique          # STB_GNU_UNIQUE is kept


cdef inline bint may_be_preempted(const Rules* r, const Global* g, uint32_t flags) noexcept nogil:
    """True when a definition of this shared object may be replaced at run time."""
    if not r.c.shared_output or not flags & G_EXPORT or g.visibility != STV_DEFAULT:
        return False
    # Uniqueness only works when every module takes the one definition.
    if g.bind == STB_GNU_UNIQUE and r.gnu_unique:
        return True
    if flags & G_DYNAMIC_LIST:
        return True
    if r.dynamic_list or r.symbolic == SYMBOLIC_ALL:
        return False
    if r.symbolic == SYMBOLIC_FUNCTIONS:
        return not flags & G_FUNC
    if r.symbolic == SYMBOLIC_NON_WEAK:
        return g.state == SYM_DEFINED_WEAK
    if r.symbolic == SYMBOLIC_NON_WEAK_FUNCTIONS:
        return g.state == SYM_DEFINED_WEAK or not flags & G_FUNC
    return True


cdef void bind_one(const Rules* r, uint32_t gid) noexcept nogil:
    cdef Columns* c = r.c
    cdef Global* g = &c.globals[gid]
    cdef uint32_t flags = c.gflags[gid]
    cdef uint32_t kind = flags & G_KIND_MASK
    cdef uint32_t import_kind
    flags &= ~<uint32_t>(G_KIND_MASK | G_IFUNC | G_TLS | G_FUNC | G_UNDEFINED | G_UNDEF_WEAK | G_NOT_PREEMPTIBLE)
    if g.type == STT_TLS:
        flags |= G_TLS
    if g.type == STT_FUNC or g.type == STT_GNU_IFUNC:
        flags |= G_FUNC
    import_kind = G_IMPORT_FUNC if flags & G_FUNC else G_IMPORT_DATA
    if g.bind == STB_GNU_UNIQUE and not r.gnu_unique:
        g.bind = STB_GLOBAL
    if g.state == SYM_SHARED and c.files[g.file].flags & FILE_INDIRECT and flags & G_REF_REGULAR:
        # The library has not been named, so this output cannot ask for it ("DSO missing from command line").
        g.state = SYM_UNDEF if flags & G_REF_STRONG else SYM_UNDEF_WEAK
        g.version = 0
    if g.state == SYM_SHARED:
        if c.dynamic_output and g.visibility == STV_DEFAULT:
            flags |= import_kind
        elif flags & G_REF_STRONG:
            # A hidden reference cannot be satisfied by another module (gABI, symbol visibility).
            flags |= G_ABSOLUTE | G_UNDEFINED
        else:
            flags |= G_ABSOLUTE | G_UNDEF_WEAK
    elif g.state == SYM_UNDEF:
        if r.report and (flags & G_REF_REGULAR) or g.visibility == STV_HIDDEN or g.visibility == STV_INTERNAL:
            flags |= G_UNDEFINED
        if c.dynamic_output and g.visibility == STV_DEFAULT:
            flags |= import_kind
        else:
            flags |= G_ABSOLUTE
    elif g.state == SYM_UNDEF_WEAK:
        flags |= G_UNDEF_WEAK
        if c.dynamic_output and g.visibility == STV_DEFAULT and r.weak_dynamic:
            flags |= import_kind
        else:
            flags |= G_ABSOLUTE
    elif may_be_preempted(r, g, flags):
        flags |= import_kind
    else:
        flags |= G_NOT_PREEMPTIBLE
        if g.type == STT_GNU_IFUNC:
            flags |= G_IFUNC
        if flags & (G_LINKER | G_SCRIPT):
            # Whoever defined the name said whether it moves with the image.
            flags |= kind if kind == G_ABSOLUTE else G_LOCAL
        elif g.frag == 0:
            flags |= G_ABSOLUTE
        else:
            flags |= G_LOCAL
    c.gflags[gid] = flags


cdef void bind_chunk(void* context, int64_t index, int thread) noexcept nogil:
    cdef const Rules* r = <const Rules*>context
    cdef uint32_t gid = <uint32_t>(index * CHUNK)
    cdef uint32_t end = gid + CHUNK
    if end > r.c.nglobals:
        end = r.c.nglobals
    if gid == 0:
        gid = 1
    while gid < end:
        if r.c.globals[gid].name != NULL and r.c.globals[gid].state != SYM_UNSEEN:
            bind_one(r, gid)
        gid += 1


def bind_globals(Tables tables, str symbolic, bint dynamic_list, bint report, bint weak_dynamic, bint gnu_unique):
    """Sets the kind bits of gflags for every global name, in parallel.

    symbolic: "none", "all", "functions", "non-weak" or "non-weak-functions"; dynamic_list: a dynamic list is
    in force; report: unresolved references of objects get G_UNDEFINED; weak_dynamic: undefined weak names are
    imported when the output is dynamic; gnu_unique: keep STB_GNU_UNIQUE."""
    cdef Rules r
    cdef Columns* c = &tables.c
    cdef int64_t chunks = (c.nglobals + CHUNK - 1) // CHUNK
    r.c = c
    r.symbolic = ("none", "all", "functions", "non-weak", "non-weak-functions").index(symbolic)
    r.dynamic_list = dynamic_list
    r.report = report
    r.weak_dynamic = weak_dynamic
    r.gnu_unique = gnu_unique
    with nogil:
        parallel_for(bind_chunk, &r, chunks, c.threads)


def ignore_undefined(Tables tables, uint32_t gid):
    """--ignore-unresolved-symbol: references to this name are no error."""
    tables.c.gflags[gid] &= ~<uint32_t>G_UNDEFINED


def undefined_in_shared(Tables tables):
    """Names that only shared objects refer to and nothing defines: list of (name, file id), in gid order."""
    cdef Columns* c = &tables.c
    cdef uint32_t gid
    found = []
    for gid in range(1, c.nglobals):
        if c.globals[gid].name != NULL and c.globals[gid].state == SYM_UNDEF \
                and c.gflags[gid] & (G_REF_DYNAMIC | G_REF_REGULAR) == G_REF_DYNAMIC:
            found.append((c.globals[gid].name[:c.globals[gid].name_len], c.globals[gid].file))
    return found


def has_gnu_symbols(Tables tables):
    """True when the output defines an IFUNC or a unique symbol: its EI_OSABI is then ELFOSABI_GNU."""
    cdef Columns* c = &tables.c
    cdef uint32_t gid, k, i
    cdef Global* g
    cdef File* f
    for gid in range(1, c.nglobals):
        g = &c.globals[gid]
        if (g.type == STT_GNU_IFUNC or g.bind == STB_GNU_UNIQUE) and g.name != NULL and g.frag != 0 \
                and c.frag_state[g.frag] & STATE_LIVE:
            return True
    for k in range(c.nlive):
        f = &c.files[c.live[k]]
        for i in range(1, f.first_global if f.syms != NULL else 0):
            if f.syms[i].st_info & 15 == STT_GNU_IFUNC and c.frag_state[sym_frag(c, f, i)] & STATE_LIVE:
                return True
    return False
