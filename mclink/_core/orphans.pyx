"""Level 2: the sections that no statement of the script takes get rules of their own: one for each name and kind.

Source: GNU ld manual, node "Orphan Sections".
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from libc.stdlib cimport calloc, free, qsort
from libc.string cimport memcmp, memset

from mclink._core.elf cimport SHT_NOBITS, SHF_ALLOC, SHF_LINK_ORDER
from mclink._core.names cimport NAME_BUFFER, Name, fragment_name
from mclink._core.parallel cimport parallel_for
from mclink._core.tables cimport (
    ALONE_RULE, Columns, Fragment, Tables, FRAG_REGULAR, FRAG_NOBITS, FRAG_COMMON, INTERNAL_FILE)

cdef enum:
    CHUNK = 16384            # fragments that a task renumbers

cdef struct Orphan:          # sections of one name and one kind that no statement takes
    uint64_t hash            # of name and kind
    uint32_t frag            # the first of them
    uint32_t next            # 1-based row of the next orphan of the same slot
    uint32_t count           # how many there are
    uint32_t rule            # the rule that they get in the end


cdef struct Orphans:         # what is known so far
    Orphan* rows             # [count + 1], row 0 none
    uint32_t* table          # [mask + 1] 1-based rows by hash
    uint64_t mask            # number of slots - 1
    uint32_t count           # rows in use
    Columns* c               # the tables
    const uint32_t* listed   # the orphans when they are listed, else NULL
    int64_t n                # fragments to look at: orphans, or all
    bint apart               # every section is an orphan of its own
    uint32_t first_rule      # while orphans are numbered, row n has the rule first_rule + n - 1


cdef uint32_t orphan_kind(const Fragment* row) noexcept nogil:
    """What, besides the name, keeps two orphans apart: allocated or not, with contents or without."""
    return (1 if row.sh_flags & SHF_ALLOC else 0) | (2 if row.sh_type == SHT_NOBITS else 0)


cdef Name orphan_name(Columns* c, uint32_t frag, char* buffer) noexcept nogil:
    """The name of the output section that an orphan asks for: commons belong to .bss."""
    cdef Name name = fragment_name(c, frag, buffer)
    if c.frags[frag].kind == FRAG_COMMON and name.length == 6:
        name.text = b".bss"
        name.length = 4
    return name


cdef bint same_orphan(Columns* c, uint32_t frag, Name name, uint32_t kind) noexcept nogil:
    cdef char[NAME_BUFFER] buffer
    cdef Name other = orphan_name(c, frag, buffer)
    return (other.length == name.length and memcmp(other.text, name.text, name.length) == 0
            and orphan_kind(&c.frags[frag]) == kind)


cdef uint64_t orphan_hash(Name name, uint32_t kind) noexcept nogil:
    cdef uint64_t hash = 0xcbf29ce484222325u ^ kind
    cdef uint32_t i
    for i in range(name.length):
        hash = (hash ^ <uint8_t>name.text[i]) * 0x100000001b3u
    return hash ^ hash >> 29


cdef void number_one(Orphans* o, uint32_t frag) noexcept nogil:
    """Makes one fragment a row, or part of the row of its name and kind."""
    cdef Fragment* row = &o.c.frags[frag]
    cdef bint alone = row.rule == ALONE_RULE or o.apart and row.kind != FRAG_COMMON
    cdef char[NAME_BUFFER] buffer
    cdef Name name
    cdef uint32_t kind, at
    cdef uint64_t hash = 0
    if not alone:
        name = orphan_name(o.c, frag, buffer)
        kind = orphan_kind(row)
        hash = orphan_hash(name, kind)
        at = o.table[hash & o.mask]
        while at:
            if o.rows[at].hash == hash and same_orphan(o.c, o.rows[at].frag, name, kind):
                row.rule = o.first_rule + at - 1
                o.rows[at].count += 1
                return
            at = o.rows[at].next
    o.count += 1
    at = o.count
    o.rows[at].hash = hash
    o.rows[at].frag = frag
    o.rows[at].count = 1
    if not alone:
        o.rows[at].next = o.table[hash & o.mask]
        o.table[hash & o.mask] = at
    row.rule = o.first_rule + at - 1


cdef int compare_ids(const void* a, const void* b) noexcept nogil:
    cdef uint32_t left = (<const uint32_t*>a)[0]
    cdef uint32_t right = (<const uint32_t*>b)[0]
    return (left > right) - (left < right)


cdef void number_all(Orphans* o) noexcept nogil:
    """Makes rows of all orphans, in the order of fragment ids, which is link order with the commons behind it."""
    cdef int64_t i
    cdef uint32_t frag
    for i in range(o.n):
        frag = o.listed[i] if o.listed != NULL else <uint32_t>i
        if o.c.frags[frag].rule >= ALONE_RULE:
            number_one(o, frag)


cdef bint is_plain(Columns* c, const Orphan* row, bint loaded) noexcept nogil:
    """Whether an orphan of -r needs no OutputSection of Python's, its name left aside."""
    cdef const Fragment* g = &c.frags[row.frag]
    cdef char[NAME_BUFFER] buffer
    return ((g.kind == FRAG_REGULAR or g.kind == FRAG_NOBITS) and g.file != INTERNAL_FILE
            and (not loaded or g.sh_flags & SHF_ALLOC != 0) and (row.count == 1 or not g.sh_flags & SHF_LINK_ORDER)
            and fragment_name(c, row.frag, buffer).text != buffer)


cdef void set_rules_chunk(void* context, int64_t index, int thread) noexcept nogil:
    """Gives some fragments the rules of their rows."""
    cdef Orphans* o = <Orphans*>context
    cdef int64_t i
    cdef Fragment* row
    for i in range(index * CHUNK, min((index + 1) * CHUNK, o.n)):
        row = &o.c.frags[o.listed[i] if o.listed != NULL else <uint32_t>i]
        if row.rule >= o.first_rule:
            row.rule = o.rows[row.rule - o.first_rule + 1].rule


cdef tuple describe(Columns* c, uint32_t frag):
    cdef char[NAME_BUFFER] buffer
    cdef Name name = orphan_name(c, frag, buffer)
    return (<bytes>name.text[:name.length]).decode("utf-8", "surrogateescape"), c.frags[frag].sh_type, \
        c.frags[frag].sh_flags, frag


def number_orphans(Tables tables, orphans, uint32_t first_rule, bint apart, names, bint loaded):
    """Gives the sections that no statement took rules from `first_rule` on, one for each distinct name and kind, in
    link order. Returns a list of (name, sh_type, sh_flags, first fragment), one for each rule, and how many rules
    follow those: of what Members.number_plain() makes output sections of.

    orphans: Matcher.orphans(). apart: --unique, every section has a rule of its own. names: None, or
    for -r the names (bytes) of what Python has output sections for; loaded: also for all that is not loaded."""
    cdef Columns* c = &tables.c
    cdef uint32_t* listed = <uint32_t*><size_t>orphans[0]
    cdef size_t total = orphans[1]
    cdef uint32_t i, n, plain, kind
    cdef Orphans o
    cdef Name name
    cdef uint8_t* own
    cdef bint everything
    if total == 0:
        return [], 0
    memset(&o, 0, sizeof(Orphans))
    o.c = c
    o.first_rule = first_rule
    o.apart = apart
    o.n = c.nfrags
    if listed != NULL:
        qsort(listed, total, sizeof(uint32_t), compare_ids)
        o.listed = listed
        o.n = total
    o.mask = 15
    while o.mask < total:
        o.mask = o.mask * 2 + 1
    o.rows = <Orphan*>calloc(total + 1, sizeof(Orphan))
    o.table = <uint32_t*>calloc(o.mask + 1, sizeof(uint32_t))
    own = <uint8_t*>calloc(total + 1, 1)
    try:
        if o.rows == NULL or o.table == NULL or own == NULL:
            raise MemoryError
        everything = names is None
        with nogil:
            number_all(&o)
            for i in range(1, o.count + 1):
                own[i] = everything or not is_plain(c, &o.rows[i], loaded)
        for text in names or ():
            name.text = text
            name.length = <uint32_t>len(text)
            for kind in range(4):
                i = o.table[orphan_hash(name, kind) & o.mask]
                while i:
                    if same_orphan(c, o.rows[i].frag, name, kind):
                        own[i] = 1
                    i = o.rows[i].next
        found = []
        for i in range(1, o.count + 1):
            if own[i]:
                o.rows[i].rule = first_rule + <uint32_t>len(found)
                found.append(describe(c, o.rows[i].frag))
        plain = 0
        n = first_rule + <uint32_t>len(found)
        with nogil:
            for i in range(1, o.count + 1):
                if not own[i]:
                    o.rows[i].rule = n + plain
                    plain += 1
            parallel_for(set_rules_chunk, &o, (o.n + CHUNK - 1) // CHUNK, c.threads)
        return found, plain
    finally:
        free(o.rows)
        free(o.table)
        free(own)
