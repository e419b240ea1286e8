"""Level 2: single names for Python (options, scripts, reports) and the final values of all of them."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from libc.string cimport memcmp, memset
from mclink._core.elf cimport *
from mclink._core.hash cimport hash_bytes
from mclink._core.names cimport find_name
from mclink._core.parallel cimport parallel_for
from mclink._core.tables cimport *

UNSEEN = SYM_UNSEEN
UNDEF = SYM_UNDEF
UNDEF_WEAK = SYM_UNDEF_WEAK
DEFINED = SYM_DEFINED
DEFINED_WEAK = SYM_DEFINED_WEAK
COMMON = SYM_COMMON
SHARED = SYM_SHARED


def lookup(Tables tables, bytes name):
    """gid of a name, 0 when nothing in the link mentions it."""
    cdef const char* text = name
    return find_name(&tables.c, text, len(name), hash_bytes(text, len(name)))


def name(Tables tables, uint32_t gid):
    """The name of a global, bytes."""
    cdef Global* g
    if gid == 0 or gid >= tables.c.nglobals or tables.c.globals[gid].name == NULL:
        return b""
    g = &tables.c.globals[gid]
    return g.name[:g.name_len]


def state(Tables tables, uint32_t gid):
    """How a name stands: UNSEEN, UNDEF, UNDEF_WEAK, DEFINED, DEFINED_WEAK, COMMON or SHARED."""
    return tables.c.globals[gid].state


def flags(Tables tables, uint32_t gid):
    """G_* bits of a global."""
    return tables.c.gflags[gid]


def add_flags(Tables tables, uint32_t gid, uint32_t bits):
    """Or's G_* bits into a global."""
    tables.c.gflags[gid] |= bits


def describe(Tables tables, uint32_t gid):
    """(file, symbol index, fragment, value, size, type, binding, visibility, version) of a global."""
    cdef Global* g = &tables.c.globals[gid]
    return (g.file, g.sym, g.frag, g.value, g.size, g.type, g.bind, g.visibility, g.version)


def is_referenced(Tables tables, uint32_t gid):
    """True when an object or a shared object refers to the name."""
    return bool(tables.c.gflags[gid] & (G_REF_REGULAR | G_REF_DYNAMIC))


def is_undefined(Tables tables, uint32_t gid):
    """True when something refers to the name and no object defines it: what PROVIDE asks. A definition in a
    shared object does not count when an object refers to it (GNU ld manual, node PROVIDE)."""
    cdef uint8_t s = tables.c.globals[gid].state
    return s == SYM_UNDEF or s == SYM_UNDEF_WEAK or \
        (s == SYM_SHARED and tables.c.gflags[gid] & G_REF_REGULAR != 0)


def refer(Tables tables, uint32_t gid):
    """The command line refers to a name (--undefined, entry): strongly, from no file."""
    cdef Columns* c = &tables.c
    cdef Global* g = &c.globals[gid]
    c.gflags[gid] |= G_KEEP | G_REF_REGULAR | G_REF_STRONG
    if g.state == SYM_UNSEEN or g.state == SYM_UNDEF_WEAK:
        g.state = SYM_UNDEF
        c.gmark[gid] |= MARK_UNDEF


def define(Tables tables, uint32_t gid, uint8_t visibility=0, uint8_t type=0, uint32_t frag=0, uint64_t value=0,
           uint32_t extra=0):
    """The linker or a script defines a name; layout sets its value unless `frag` says where it stands.

    visibility: STV_*, merged with that of references; type: STT_*; extra: more G_* bits (G_SCRIPT, G_PROVIDE)."""
    cdef Columns* c = &tables.c
    cdef Global* g = &c.globals[gid]
    g.state = SYM_DEFINED
    g.file = INTERNAL_FILE
    g.sym = 0
    g.frag = frag
    g.value = value
    g.size = 0
    g.type = type
    g.bind = STB_GLOBAL
    g.other = 0
    g.version = 0
    if visibility and (g.visibility == 0 or visibility < g.visibility):
        g.visibility = visibility
    c.gflags[gid] = (c.gflags[gid] & ~<uint32_t>G_DISCARDED) | G_DEF_REGULAR | G_LINKER | extra
    c.gmark[gid] &= ~<uint8_t>(MARK_UNDEF | MARK_COMMON)


def set_value(Tables tables, uint32_t gid, uint64_t value, uint32_t output):
    """Gives a linker- or script-defined name its address. output: number of its output section
    (OutputSection.number), 0 for an absolute one."""
    cdef Global* g = &tables.c.globals[gid]
    g.value = value
    g.sym = output
    tables.c.gvalue[gid] = value


def copy_type(Tables tables, uint32_t gid, uint32_t source):
    """Makes a script's name a function or an object when the name that its value comes from is one."""
    cdef uint8_t type = tables.c.globals[source].type
    if type == STT_FUNC or type == STT_OBJECT:
        tables.c.globals[gid].type = type


def value(Tables tables, uint32_t gid):
    """Value of a defined name as it stands: while addresses are assigned from frag_addr (offsets plus section
    addresses are the caller's affair), afterwards the final S."""
    cdef Columns* c = &tables.c
    cdef Global* g = &c.globals[gid]
    if g.frag:
        return frag_address(c, g.frag, g.value)
    return g.value


cdef enum:
    CHUNK = 16384            # globals a task computes


cdef void compute_chunk(void* context, int64_t index, int thread) noexcept nogil:
    cdef Columns* c = <Columns*>context
    cdef uint32_t gid
    cdef uint32_t end = <uint32_t>((index + 1) * CHUNK)
    cdef Global* g
    if end > c.nglobals:
        end = c.nglobals
    for gid in range(<uint32_t>(index * CHUNK), end):
        g = &c.globals[gid]
        if c.gflags[gid] & G_CANONICAL_PLT and g.aux != 0 and c.aux[g.aux].plt >= 0:
            # Imported functions, and IFUNCs of this image, whose address here is the resolver's.
            c.gvalue[gid] = c.frag_addr[c.special[c.aux[g.aux].plt_section]] + c.aux[g.aux].plt
        elif g.state == SYM_DEFINED or g.state == SYM_DEFINED_WEAK or g.state == SYM_COMMON or \
                c.gflags[gid] & G_COPIED:
            c.gvalue[gid] = frag_address(c, g.frag, g.value) if g.frag else g.value
        else:
            c.gvalue[gid] = 0


def compute_values(Tables tables):
    """Fills gvalue for every global, in parallel; frag_addr must hold addresses."""
    cdef Columns* c = &tables.c
    with nogil:
        parallel_for(compute_chunk, c, (c.nglobals + CHUNK - 1) // CHUNK, c.threads)


def join_other(Tables tables, uint8_t mask):
    """Or's bits of st_other of every live symbol table, references included, into the globals' `other`."""
    cdef Columns* c = &tables.c
    cdef uint32_t k, i, gid
    cdef File* f
    for k in range(c.nlive + c.nshared):
        f = &c.files[c.live[k] if k < c.nlive else c.shared[k - c.nlive]]
        if f.gids == NULL:
            continue
        for i in range(f.first_global, f.nsyms):
            if f.syms[i].st_other & mask:
                gid = f.gids[i - f.first_global]
                if gid:
                    c.globals[gid].other |= f.syms[i].st_other & mask


def has_lazy_other(Tables tables, uint8_t mask):
    """True when some symbol with such a bit in st_other is called through a lazy PLT entry."""
    cdef Columns* c = &tables.c
    cdef uint32_t row
    for row in range(1, c.naux):
        if c.aux[row].plt >= 0 and c.aux[row].plt_section == SPECIAL_PLT and c.aux[row].gid \
                and c.globals[c.aux[row].gid].other & mask:
            return True
    return False


def set_image(Tables tables, **values):
    """Sets fields of Columns.image by name (all addresses in bytes; tlsld, tlsdesc_got offsets or -1)."""
    cdef Image* i = &tables.c.image
    for key, number in values.items():
        if key == "got": i.got = number
        elif key == "tls_start": i.tls_start = number
        elif key == "tls_end": i.tls_end = number
        elif key == "tp": i.tp = number
        elif key == "dtp": i.dtp = number
        elif key == "dynamic": i.dynamic = number
        elif key == "base": i.base = number
        elif key == "tlsld": i.tlsld = number
        elif key == "tlsdesc_got": i.tlsdesc_got = number
        elif key == "gp": i.gp = number
        elif key == "dead": i.dead = number
        else:
            raise AttributeError(key)


def undefined_names(Tables tables):
    """gids of names that are strongly or weakly undefined and referenced, ascending."""
    cdef Columns* c = &tables.c
    cdef uint32_t gid
    return [gid for gid in range(1, c.nglobals)
            if c.globals[gid].state == SYM_UNDEF or c.globals[gid].state == SYM_UNDEF_WEAK]


def defined_names(Tables tables, bytes prefix not None):
    """gids of the names with a prefix that objects define, ascending."""
    cdef Columns* c = &tables.c
    cdef uint32_t gid
    cdef Global* g
    cdef const char* text = prefix
    result = []
    for gid in range(1, c.nglobals):
        g = &c.globals[gid]
        if g.name != NULL and g.name_len >= <size_t>len(prefix) and memcmp(g.name, text, len(prefix)) == 0 \
                and c.gflags[gid] & G_DEF_REGULAR and not c.gflags[gid] & (G_LINKER | G_SCRIPT) \
                and (g.state == SYM_DEFINED or g.state == SYM_DEFINED_WEAK or g.state == SYM_COMMON):
            result.append(gid)
    return result


def move(Tables tables, uint32_t gid, uint32_t frag, uint64_t value, uint64_t size):
    """Final addresses are known: the name stands elsewhere from now on, at byte `value` of a fragment."""
    cdef Columns* c = &tables.c
    cdef Global* g = &c.globals[gid]
    g.frag = frag
    g.value = value
    g.size = size
    c.gvalue[gid] = frag_address(c, frag, value)


def final_value(Tables tables, uint32_t gid):
    """S of a global, when layout is final."""
    return tables.c.gvalue[gid]


def names_starting(Tables tables, prefixes):
    """gids of referenced, undefined names that start with each of some prefixes (bytes, beginning with "__" or "."):
    for __start_ and __stop_. A list of lists, the gids ascending."""
    cdef Columns* c = &tables.c
    cdef uint32_t gid
    cdef Global* g
    cdef const char* text
    result = [[] for _ in prefixes]
    for gid in range(1, c.nglobals):
        g = &c.globals[gid]
        if g.name == NULL or g.state == SYM_UNSEEN or g.state == SYM_DEFINED or g.name_len < 2:
            continue
        if g.name[0] != c'.' and (g.name[0] != c'_' or g.name[1] != c'_'):
            continue
        for prefix, gids in zip(prefixes, result):
            text = prefix
            if g.name_len > <size_t>len(prefix) and memcmp(g.name, text, len(prefix)) == 0:
                gids.append(gid)
    return result