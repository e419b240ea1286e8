"""Level 2: finds, for each input section, the input statement of the script that takes it.

The patterns of all statements stand in one trie over their literal prefixes. A section name is walked
through it once; of the patterns met on the way the one of the lowest rule (the first statement in the
script) wins. Rules that name files cost a match per file and condition, and only when a section's name
has reached them.

Source of the rules: GNU ld manual, nodes "Input Section Basics" and "Input Section Wildcards".
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from libc.stdlib cimport calloc, realloc, free, qsort
from libc.string cimport memcmp, memcpy, memset, strlen

from mclink._core.elf cimport (
    SHF_ALLOC, SHF_WRITE, SHF_GROUP)
from mclink._core.names cimport NAME_BUFFER, Name, fragment_name
from mclink._core.parallel cimport parallel_for, atomic_or8, atomic_add64
from mclink._core.tables cimport (
    ALONE_RULE, NO_RULE, Columns, File, Fragment, Tables, FRAG_NONE, FRAG_COMMON, STATE_DISCARDED, STATE_KEEP,
    STATE_SCRIPT_DISCARD)

cdef enum:
    NONE = 0xffffffff
    DENSE_CHILDREN = 4       # a node with more children gets a table of 256
    ORPHANS = 16384          # orphans that are listed; with more of them all fragments are searched

cdef enum:                   # Entry.kind
    KIND_EXACT = 0           # the name ends at the entry's node
    KIND_PREFIX = 1          # anything may follow
    KIND_SUFFIX = 2          # anything may follow, but the name ends with `tail`
    KIND_GLOB = 3            # `tail` decides on the rest

cdef enum:                   # bits of a rule's byte in Trie.rule_bits
    RULE_KEEP = 1            # KEEP(): members are roots of --gc-sections
    RULE_DISCARD = 2         # stands in /DISCARD/
    RULE_OFF = 4             # its output section was dropped by ONLY_IF_RO or ONLY_IF_RW
    RULE_SEEN_RO = 8         # set by classify: some member is read-only
    RULE_SEEN_RW = 16        # set by classify: some member is writable


cdef bint glob_match(const char* p, const char* p_end, const char* s, const char* s_end) noexcept nogil:
    """Whether the pattern [p, p_end) matches all of [s, s_end): * ? [set] and \\, as POSIX fnmatch without
    flags; * and ? match '/' and a leading '.' too."""
    cdef const char* star = NULL
    cdef const char* restart = NULL
    cdef const char* after
    while True:
        if p < p_end and p[0] == b'*':
            p += 1
            star = p
            restart = s
            if p == p_end:
                return True
            continue
        if s == s_end:
            if p == p_end:
                return True
            return False
        after = match_one(p, p_end, s[0])
        if after != NULL:
            p = after
            s += 1
            continue
        if star == NULL:
            return False
        restart += 1
        s = restart
        p = star


cdef const char* match_one(const char* p, const char* p_end, char value) noexcept nogil:
    """The pattern behind its first element when that element matches the byte, else NULL."""
    cdef bint negated, found
    cdef const char* start
    cdef uint8_t low, high
    cdef uint8_t byte = <uint8_t>value
    if p == p_end:
        return NULL
    if p[0] == b'?':
        return p + 1
    if p[0] == b'\\' and p + 1 < p_end:
        return p + 2 if p[1] == value else NULL
    if p[0] != b'[':
        return p + 1 if p[0] == value else NULL
    start = p
    p += 1
    negated = p < p_end and (p[0] == b'!' or p[0] == b'^')
    if negated:
        p += 1
    found = False
    low = 0
    while p < p_end and (p[0] != b']' or p == start + 1 + negated):
        if p[0] == b'\\' and p + 1 < p_end:
            p += 1
        low = <uint8_t>p[0]
        high = low
        if p + 2 < p_end and p[1] == b'-' and p[2] != b']':
            high = <uint8_t>p[2]
            p += 2
        if low <= byte <= high:
            found = True
        p += 1
    if p == p_end:
        # No closing bracket: '[' is an ordinary character.
        return start + 1 if byte == b'[' else NULL
    return p + 1 if found != negated else NULL


def matches(bytes pattern, bytes name):
    """Whether a pattern of a script matches a whole name."""
    cdef const char* p = pattern
    cdef const char* s = name
    return glob_match(p, p + len(pattern), s, s + len(name))


cdef struct Entry:           # one section pattern of one statement
    uint32_t rule            # number of the statement
    uint32_t number          # position of the pattern in its statement
    uint32_t condition       # 1-based row of conditions, 0 none
    uint32_t kind            # KIND_*
    uint32_t with_flags      # SHF_ bits that must be set
    uint32_t without_flags   # SHF_ bits that must be clear
    uint32_t next            # next entry of the same node, of the same or a higher rule; 0 none
    uint32_t pad             # zero
    const char* tail         # KIND_GLOB: the pattern behind the literal prefix; KIND_SUFFIX: the literal suffix
    const char* tail_end     # its end

cdef struct Node:            # a byte string that some pattern begins with
    uint32_t first_entry     # entries that end here; 0 none
    uint32_t last_entry      # the last of them
    uint32_t first_child     # node; 0 none
    uint32_t sibling         # next child of the same parent; 0 none
    uint32_t dense           # 1-based row of dense tables, 0: walk the children
    uint8_t byte             # the byte that leads here
    uint8_t n_children       # number of children, saturated

cdef struct FilePattern:     # one file pattern, taken apart at ':'
    const char* archive      # pattern of the archive; NULL when there is no ':'
    const char* archive_end  # its end; == archive: the file is in no archive
    const char* member       # pattern of the file or member; NULL matches every one
    const char* member_end   # its end

cdef struct Condition:       # what a statement or pattern asks of the file
    uint32_t pattern         # row of file patterns, NONE: every file
    uint32_t first_exclude   # rows of file patterns that exclude a file
    uint32_t n_excludes      # number of them

cdef struct Trie:            # the compiled statements
    Entry* entries           # [n_entries], row 0 none
    Node* nodes              # [n_nodes], row 0 is the root
    uint32_t* dense          # [n_dense * 256] children by byte
    FilePattern* files       # [n_files]
    Condition* conditions    # [n_conditions], row 0 none
    FilePattern* uniques     # [n_uniques] section patterns (member, member_end) of --unique=
    uint8_t* rule_bits       # [n_rules] RULE_*
    uint32_t n_entries       # rows in use
    uint32_t n_nodes         # rows in use
    uint32_t n_dense         # rows in use
    uint32_t n_files         # rows in use
    uint32_t n_conditions    # rows in use
    uint32_t n_uniques       # rows in use
    uint32_t n_rules         # rows in use
    uint32_t* orphans        # [ORPHANS] sections that no statement takes, in no order
    int64_t n_orphans        # how many there are; beyond ORPHANS they are not listed

cdef struct Job:             # what the parallel loop needs
    Columns* c               # the tables
    Trie* trie               # the statements
    const uint8_t* only      # [n_rules] non-zero: sections of these rules are matched again; NULL: all sections
    uint8_t* answers         # [threads][n_conditions] 0 unknown, 1 no, 2 yes: the conditions for one file
    bint strip_debug         # drop debugging sections
    bint groups_unique       # members of section groups stay apart (-r)

cdef bint match_file(const FilePattern* p, const File* files, const File* f, bint excludes) noexcept nogil:
    """Whether a file pattern matches. In EXCLUDE_FILE one without ':' also tries the name of the archive."""
    cdef const File* archive = &files[f.archive] if f.archive else NULL
    if p.archive != NULL:
        if p.archive == p.archive_end:
            if archive != NULL:
                return False
        elif archive == NULL or not glob_match(p.archive, p.archive_end, archive.name,
                                               archive.name + archive.name_len):
            return False
    if p.member == NULL or glob_match(p.member, p.member_end, f.name, f.name + f.name_len):
        return True
    return excludes and p.archive == NULL and archive != NULL and glob_match(
        p.member, p.member_end, archive.name, archive.name + archive.name_len)


cdef bint condition_holds(Trie* t, Columns* c, const File* f, uint32_t condition,
                          uint8_t* answers) noexcept nogil:
    """Whether the file fulfils a condition; remembered in answers[condition]."""
    cdef const Condition* row = &t.conditions[condition]
    cdef bint answer
    cdef uint32_t i
    if answers[condition]:
        return answers[condition] == 2
    answer = row.pattern == NONE or match_file(&t.files[row.pattern], c.files, f, False)
    for i in range(row.first_exclude, row.first_exclude + row.n_excludes):
        if not answer:
            break
        answer = not match_file(&t.files[i], c.files, f, True)
    answers[condition] = 2 if answer else 1
    return answer


cdef bint begins(Name name, const char* prefix) noexcept nogil:
    cdef size_t n = strlen(prefix)
    return name.length >= n and memcmp(name.text, prefix, n) == 0


cdef bint is_debug_name(Name name) noexcept nogil:
    """Whether a section that is not allocated counts as debugging information, by its name."""
    return (begins(name, b".debug") or begins(name, b".stab") or begins(name, b".gnu.linkonce.wi.")
            or begins(name, b".gnu.debuglto_") or begins(name, b".gdb_index")
            or name.length == 5 and begins(name, b".line"))


cdef inline bint entry_matches(const Entry* e, const char* p, const char* name_end) noexcept nogil:
    """Whether the rest [p, name_end) of a name, behind the literal prefix of the pattern, fits."""
    cdef size_t n
    if e.kind == KIND_PREFIX:
        return True
    if e.kind == KIND_EXACT:
        return p == name_end
    if e.kind == KIND_SUFFIX:
        n = e.tail_end - e.tail
        return <size_t>(name_end - p) >= n and memcmp(name_end - n, e.tail, n) == 0
    return glob_match(e.tail, e.tail_end, p, name_end)


cdef Entry* find_entry(Trie* t, Columns* c, const File* f, Name name, uint32_t flags, uint8_t* answers,
                       uint32_t only_rule) noexcept nogil:
    """The entry of the lowest rule that takes the section, or NULL. only_rule: 0, or the one rule to try."""
    cdef Entry* best = NULL
    cdef Entry* e
    cdef Node* node = t.nodes
    cdef const char* p = name.text
    cdef const char* name_end = name.text + name.length
    cdef uint32_t i, child
    cdef uint8_t byte
    while True:
        i = node.first_entry
        while i:
            e = &t.entries[i]
            if best != NULL and (e.rule > best.rule or e.rule == best.rule and e.number > best.number):
                break
            if (entry_matches(e, p, name_end)
                    and (flags & e.with_flags) == e.with_flags and not flags & e.without_flags
                    and not t.rule_bits[e.rule] & RULE_OFF
                    and (only_rule == 0 or e.rule == only_rule)
                    and (e.condition == 0 or condition_holds(t, c, f, e.condition, answers))):
                best = e
                break
            i = e.next
        if p == name_end:
            return best
        byte = <uint8_t>p[0]
        p += 1
        if node.dense:
            child = t.dense[<size_t>node.dense * 256 + byte]
        else:
            child = node.first_child
            while child and t.nodes[child].byte != byte:
                child = t.nodes[child].sibling
        if child == 0:
            return best
        node = &t.nodes[child]


cdef bint is_unique(Trie* t, Name name) noexcept nogil:
    cdef uint32_t i
    for i in range(t.n_uniques):
        if glob_match(t.uniques[i].member, t.uniques[i].member_end, name.text, name.text + name.length):
            return True
    return False


cdef inline void add_orphan(const Job* job, Fragment* row, uint32_t frag, Name name) noexcept nogil:
    cdef Trie* t = job.trie
    cdef int64_t index = atomic_add64(&t.n_orphans, 1)
    row.rule = NO_RULE
    # Common symbols stay together in .bss.
    if row.kind != FRAG_COMMON and (job.groups_unique and row.sh_flags & SHF_GROUP
                                    or t.n_uniques and is_unique(t, name)):
        row.rule = ALONE_RULE
    if index < ORPHANS:
        t.orphans[index] = frag


cdef void classify_fragment(Job* job, const File* f, uint32_t frag, uint8_t* answers) noexcept nogil:
    cdef Columns* c = job.c
    cdef Trie* t = job.trie
    cdef Fragment* row = &c.frags[frag]
    cdef char[NAME_BUFFER] buffer
    cdef Name name
    cdef Entry* e
    cdef uint8_t bits
    if row.kind == FRAG_NONE or c.frag_state[frag] & STATE_DISCARDED:
        return
    if job.only != NULL and (row.rule >= t.n_rules or not job.only[row.rule]):
        return
    name = fragment_name(c, frag, buffer)
    if job.strip_debug and not row.sh_flags & SHF_ALLOC and is_debug_name(name):
        row.rule = 0
        c.frag_state[frag] |= STATE_SCRIPT_DISCARD
        return
    # GNU ld's commons have no flags that INPUT_SECTION_FLAGS could ask for.
    e = find_entry(t, c, f, name, 0 if row.kind == FRAG_COMMON else row.sh_flags, answers, 0)
    if e == NULL:
        add_orphan(job, row, frag, name)
        return
    bits = t.rule_bits[e.rule]
    if bits & RULE_DISCARD:
        row.rule = 0
        c.frag_state[frag] |= STATE_SCRIPT_DISCARD
        return
    if job.groups_unique and row.sh_flags & SHF_GROUP or t.n_uniques and is_unique(t, name):
        add_orphan(job, row, frag, name)
        return
    row.rule = e.rule
    if bits & RULE_KEEP:
        c.frag_state[frag] |= STATE_KEEP
    atomic_or8(&t.rule_bits[e.rule], RULE_SEEN_RW if row.sh_flags & SHF_WRITE else RULE_SEEN_RO)


cdef void classify_file(void* context, int64_t index, int thread) noexcept nogil:
    """The sections of one live file."""
    cdef Job* job = <Job*>context
    cdef Columns* c = job.c
    cdef const File* f = &c.files[c.live[index]]
    cdef uint8_t* answers = job.answers + <size_t>thread * job.trie.n_conditions
    cdef uint32_t i
    memset(answers, 0, job.trie.n_conditions)
    for i in range(1, f.shnum):
        classify_fragment(job, f, f.frag_base + i, answers)


cdef void classify_extra(Job* job) noexcept nogil:
    """The fragments behind the input sections: commons."""
    cdef Columns* c = job.c
    cdef uint32_t i
    for i in range(c.first_extra, c.nfrags):
        memset(job.answers, 0, job.trie.n_conditions)
        classify_fragment(job, &c.files[c.frags[i].file], i, job.answers)


cdef Py_ssize_t literal_length(const char* p, Py_ssize_t n) noexcept nogil:
    """Bytes in front of the first wildcard character."""
    cdef Py_ssize_t i
    for i in range(n):
        if p[i] == b'*' or p[i] == b'?' or p[i] == b'[' or p[i] == b'\\':
            return i
    return n


cdef void* enlarge(void* rows, size_t item, uint32_t used) except NULL:
    """`rows` with room for one more; capacities are powers of two, so `used` tells when it is full."""
    cdef void* new
    if used & (used - 1) == 0 or rows == NULL:
        new = realloc(rows, item * (<size_t>used * 2 if used else 1))
        if new == NULL:
            raise MemoryError
        return new
    return rows


cdef class Matcher:
    """The compiled input statements of a script.

    add_condition(), add_pattern() and add_unique() first, then set_rules(), then classify() any number
    of times.
    """
    cdef Trie t
    cdef list strings        # keeps the bytes alive that the patterns point into

    def __cinit__(self):
        self.strings = []
        self.t.conditions = <Condition*>enlarge(NULL, sizeof(Condition), 0)
        self.t.entries = <Entry*>enlarge(NULL, sizeof(Entry), 0)
        self.t.nodes = <Node*>enlarge(NULL, sizeof(Node), 0)
        self.t.orphans = <uint32_t*>calloc(ORPHANS, sizeof(uint32_t))
        if self.t.orphans == NULL:
            raise MemoryError
        memset(self.t.conditions, 0, sizeof(Condition))
        memset(self.t.entries, 0, sizeof(Entry))
        memset(self.t.nodes, 0, sizeof(Node))
        self.t.n_conditions = 1
        self.t.n_entries = 1
        self.t.n_nodes = 1
        self.t.n_dense = 1

    def __dealloc__(self):
        free(self.t.entries)
        free(self.t.nodes)
        free(self.t.dense)
        free(self.t.files)
        free(self.t.conditions)
        free(self.t.uniques)
        free(self.t.rule_bits)
        free(self.t.orphans)

    cdef int add_file_pattern(self, pattern) except -1:
        cdef FilePattern* row
        cdef bytes text
        self.t.files = <FilePattern*>enlarge(self.t.files, sizeof(FilePattern), self.t.n_files)
        row = &self.t.files[self.t.n_files]
        memset(row, 0, sizeof(FilePattern))
        self.t.n_files += 1
        archive, member = pattern
        if archive is not None:
            text = archive
            self.strings.append(text)
            row.archive = text
            row.archive_end = <const char*>text + len(text)
        if member is not None:
            text = member
            self.strings.append(text)
            row.member = text
            row.member_end = <const char*>text + len(text)
        return 0

    def add_condition(self, pattern, excludes):
        """A demand on the file: `pattern` and each of `excludes` is (archive or None, member or None) in
        bytes, as ast.split_archive takes patterns apart; pattern None: every file. Returns its number."""
        cdef Condition* row
        self.t.conditions = <Condition*>enlarge(self.t.conditions, sizeof(Condition), self.t.n_conditions)
        row = &self.t.conditions[self.t.n_conditions]
        row.pattern = NONE
        if pattern is not None:
            row.pattern = self.t.n_files
            self.add_file_pattern(pattern)
        row.first_exclude = self.t.n_files
        row.n_excludes = <uint32_t>len(excludes)
        for exclude in excludes:
            self.add_file_pattern(exclude)
        self.t.n_conditions += 1
        return self.t.n_conditions - 1

    def add_unique(self, bytes pattern):
        """--unique=PATTERN: sections that no statement takes, /DISCARD/ excepted."""
        cdef FilePattern* row
        self.strings.append(pattern)
        self.t.uniques = <FilePattern*>enlarge(self.t.uniques, sizeof(FilePattern), self.t.n_uniques)
        row = &self.t.uniques[self.t.n_uniques]
        row.member = pattern
        row.member_end = <const char*>pattern + len(pattern)
        self.t.n_uniques += 1

    def add_pattern(self, bytes pattern, uint32_t rule, uint32_t number, uint32_t condition,
                    uint32_t with_flags, uint32_t without_flags):
        """A section pattern, the `number`-th of statement `rule`. Rules come in ascending order, numbers too."""
        cdef const char* p = pattern
        cdef Py_ssize_t n = len(pattern)
        cdef Py_ssize_t cut = literal_length(p, n)
        cdef Entry* e
        cdef Node* node
        cdef uint32_t at = 0
        cdef Py_ssize_t i
        for i in range(cut):
            at = self.child(at, <uint8_t>p[i])
        self.t.entries = <Entry*>enlarge(self.t.entries, sizeof(Entry), self.t.n_entries)
        e = &self.t.entries[self.t.n_entries]
        memset(e, 0, sizeof(Entry))
        e.rule = rule
        e.number = number
        e.condition = condition
        e.with_flags = with_flags
        e.without_flags = without_flags
        if cut == n:
            e.kind = KIND_EXACT
        elif cut + 1 == n and p[cut] == b'*':
            e.kind = KIND_PREFIX
        else:
            e.kind = KIND_GLOB
            self.strings.append(pattern)
            e.tail = p + cut
            e.tail_end = p + n
            if p[cut] == b'*' and literal_length(p + cut + 1, n - cut - 1) == n - cut - 1:
                e.kind = KIND_SUFFIX
                e.tail += 1
        node = &self.t.nodes[at]
        if node.last_entry:
            self.t.entries[node.last_entry].next = self.t.n_entries
        else:
            node.first_entry = self.t.n_entries
        node.last_entry = self.t.n_entries
        self.t.n_entries += 1

    cdef uint32_t child(self, uint32_t parent, uint8_t byte) except 0:
        """The child of a node, made when it is new."""
        cdef Node* node
        cdef uint32_t at = self.t.nodes[parent].first_child
        while at:
            if self.t.nodes[at].byte == byte:
                return at
            at = self.t.nodes[at].sibling
        self.t.nodes = <Node*>enlarge(self.t.nodes, sizeof(Node), self.t.n_nodes)
        at = self.t.n_nodes
        self.t.n_nodes += 1
        node = &self.t.nodes[at]
        memset(node, 0, sizeof(Node))
        node.byte = byte
        node.sibling = self.t.nodes[parent].first_child
        self.t.nodes[parent].first_child = at
        if self.t.nodes[parent].n_children < 255:
            self.t.nodes[parent].n_children += 1
        return at

    def set_rules(self, bytes rule_bits):
        """RULE_KEEP and RULE_DISCARD of each rule, rule 0 included. The patterns are complete."""
        cdef uint32_t i, child
        free(self.t.rule_bits)
        self.t.n_rules = <uint32_t>len(rule_bits)
        self.t.rule_bits = <uint8_t*>calloc(self.t.n_rules + 1, 1)
        for i in range(self.t.n_nodes):
            self.t.n_dense += self.t.nodes[i].n_children > DENSE_CHILDREN
        free(self.t.dense)
        self.t.dense = <uint32_t*>calloc(<size_t>self.t.n_dense * 256, sizeof(uint32_t))
        if self.t.rule_bits == NULL or self.t.dense == NULL:
            raise MemoryError
        memcpy(self.t.rule_bits, <const char*>rule_bits, self.t.n_rules)
        self.t.n_dense = 1
        for i in range(self.t.n_nodes):
            if self.t.nodes[i].n_children > DENSE_CHILDREN:
                self.t.nodes[i].dense = self.t.n_dense
                child = self.t.nodes[i].first_child
                while child:
                    self.t.dense[<size_t>self.t.n_dense * 256 + self.t.nodes[child].byte] = child
                    child = self.t.nodes[child].sibling
                self.t.n_dense += 1

    def classify(self, Tables tables, bint strip_debug, bint groups_unique, bytes only=None):
        """Sets Fragment.rule of the sections of all live files, STATE_KEEP and STATE_SCRIPT_DISCARD.

        A section that no statement takes gets rule 0xffffffff until orphans.number_orphans() has run.
        only: non-zero bytes for the rules whose sections are to be matched again; None: all sections."""
        cdef Job job
        cdef Columns* c = &tables.c
        job.c = c
        job.trie = &self.t
        job.only = <const uint8_t*><const char*>only if only is not None else NULL
        job.strip_debug = strip_debug
        job.groups_unique = groups_unique
        job.answers = <uint8_t*>calloc(<size_t>max(c.threads, 1) * self.t.n_conditions, 1)
        if job.answers == NULL:
            raise MemoryError
        with nogil:
            parallel_for(classify_file, &job, c.nlive, c.threads)
            if c.first_extra:
                classify_extra(&job)
        free(job.answers)

    def seen(self, uint32_t rule):
        """(some read-only section, some writable section) was taken by the rule."""
        return bool(self.t.rule_bits[rule] & RULE_SEEN_RO), bool(self.t.rule_bits[rule] & RULE_SEEN_RW)

    def switch_off(self, uint32_t rule):
        """The rule takes nothing in later calls of classify()."""
        self.t.rule_bits[rule] |= RULE_OFF

    def orphans(self):
        """(address of the ids of the sections that no statement took, in no order, how many): 0 instead of the address
        when there are too many to list."""
        return (<size_t>self.t.orphans if self.t.n_orphans <= ORPHANS else 0), self.t.n_orphans

    def pattern_numbers(self, Tables tables, list frags):
        """For each fragment, the position in its statement of the pattern that took it."""
        cdef Columns* c = &tables.c
        cdef char[NAME_BUFFER] buffer
        cdef Entry* e
        cdef uint32_t frag
        cdef uint8_t* answers = <uint8_t*>calloc(self.t.n_conditions, 1)
        if answers == NULL:
            raise MemoryError
        result = []
        for item in frags:
            frag = item
            memset(answers, 0, self.t.n_conditions)
            e = find_entry(&self.t, c, &c.files[c.frags[frag].file], fragment_name(c, frag, buffer),
                           c.frags[frag].sh_flags, answers, c.frags[frag].rule)
            result.append(e.number if e != NULL else 0)
        free(answers)
        return result


def discard_rules(Tables tables, uint32_t first_rule):
    """Throws away the sections of all rules from `first_rule` on (--orphan-handling=discard); common symbols are none."""
    cdef Columns* c = &tables.c
    cdef uint32_t i
    for i in range(1, c.nfrags):
        if c.frags[i].rule >= first_rule and c.frags[i].kind != FRAG_COMMON:
            c.frags[i].rule = 0
            c.frag_state[i] |= STATE_SCRIPT_DISCARD
