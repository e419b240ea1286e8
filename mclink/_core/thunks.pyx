"""Level 2: range-extension thunks. A branch that cannot reach its target goes to a thunk that can.

Places for thunks are FRAG_THUNK fragments between the members of code sections, so close to each other that every
branch reaches one. Thunks are shared by all branches to one target that reach them. Rows are never taken away and
fragments only grow, so the address fixed point ends: each round only mends branches that the last one moved out
of reach. `frag_addr` holds offsets in output sections meanwhile.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from libc.stdlib cimport calloc, malloc, realloc, free
from libc.string cimport memset
from mclink._core.elf cimport Rela, SHF_ALLOC, SHF_EXECINSTR, SHT_PROGBITS
from mclink._core.formula cimport plt_address, symbol_address, symbol_aux, symbol_gid, thunk_address
from mclink._core.ops cimport *
from mclink._core.parallel cimport parallel_for
from mclink._core.provisional cimport find_target, now
from mclink._core.tables cimport *

cdef enum:
    BUCKETS = 4096           # of the table of destinations

cdef struct Pass:            # one look at all branches
    Columns* c               # the tables
    const uint64_t* address  # [outputs + 1] address of each output section
    uint8_t* far             # [nlive] 1: some branch of the file needs a thunk that it has not got


cdef inline bint has_branches(Columns* c, uint32_t frag) noexcept nogil:
    cdef const Fragment* f = &c.frags[frag]
    return (f.nrelocs != 0 and f.kind == FRAG_REGULAR and f.sh_flags & SHF_EXECINSTR and f.sh_flags & SHF_ALLOC
            and f.output != 0 and (c.frag_state[frag] & (STATE_LIVE | STATE_FOLDED)) == STATE_LIVE)


cdef inline bint reaches(const Branch* b, uint64_t target) noexcept nogil:
    cdef int64_t distance = <int64_t>(target - b.P) + b.bias
    return b.t.low <= distance <= b.t.high


cdef inline bint is_branch(const Ops* ops, uint8_t verdict) noexcept nogil:
    """True when relocations with this verdict may be branches that go to thunks, or do."""
    return (verdict == V_APPLY or verdict == V_DIRECT or verdict == V_THUNK
            or (ops.branch_verdict != 0 and (verdict == ops.branch_verdict or verdict == ops.thunk_verdict)))


cdef uint32_t need(Pass* p, const File* f, uint32_t frag_id, uint32_t index, uint8_t verdict, Branch* b,
                   uint32_t* landing) noexcept nogil:
    """The kind of thunk that a branch still needs, 0 when it has one that it reaches or needs none."""
    cdef Columns* c = p.c
    cdef const Ops* ops = <const Ops*>c.ops
    cdef const Fragment* frag = &c.frags[frag_id]
    cdef uint32_t row
    b.r = &frag.relocs[index]
    b.t = &ops.types[b.r.r_type]
    if not b.t.flags & TYPE_BRANCH:
        return 0
    b.P = p.address[frag.output] + c.frag_addr[frag_id] + b.r.r_offset
    b.f = f
    b.insn = frag.data + b.r.r_offset
    b.bias = b.r.r_addend if ops.branch_verdict != 0 else 0
    if verdict == V_THUNK or (ops.branch_verdict != 0 and verdict == ops.thunk_verdict):
        row = thunk_ref(c, frag_id, index).thunk
        if reaches(b, now(c, p.address, c.thunks[row].frag, c.thunks[row].offset)):
            return 0
    find_target(c, p.address, f, verdict, b)
    landing[0] = 0
    return ops.choose_thunk(c, b, landing)


cdef void look_at_file(void* context, int64_t index, int thread) noexcept nogil:
    cdef Pass* p = <Pass*>context
    cdef Columns* c = p.c
    cdef const File* f = &c.files[c.live[index]]
    cdef Branch b
    cdef uint32_t frag, i, landing
    cdef uint8_t verdict
    p.far[index] = 0
    if f.kind != FILE_OBJECT:
        return
    for frag in range(f.frag_base, f.frag_base + f.shnum):
        if not has_branches(c, frag):
            continue
        for i in range(c.frags[frag].nrelocs):
            verdict = c.frags[frag].verdicts[i] if c.frags[frag].verdicts != NULL else V_APPLY
            if not is_branch(<const Ops*>c.ops, verdict):
                continue
            if need(p, f, frag, i, verdict, &b, &landing):
                p.far[index] = 1
                return


cdef class Thunks:
    """The thunks of one link: rows, table of destinations, places. Tables must outlive it."""
    cdef Tables tables
    cdef Columns* c
    cdef uint32_t* heads     # [BUCKETS] first Thunk row by hash of destination
    cdef uint32_t capacity   # Thunk rows allocated
    cdef uint32_t count      # slots of thunk_refs in use
    cdef uint32_t* places    # [nplaces] FRAG_THUNK fragments in address order
    cdef uint64_t* used      # [nplaces] bytes of each that hold thunks
    cdef set patched         # (fragment, offset) of instructions with a veneer
    cdef uint32_t nplaces    # number of them
    cdef list verdicts       # arenas of fragments that had none (owned here)

    def __cinit__(self, Tables tables not None):
        self.tables = tables
        self.c = &tables.c
        self.verdicts = []
        self.patched = set()
        self.heads = <uint32_t*>calloc(BUCKETS, sizeof(uint32_t))
        if self.heads == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.heads)
        free(self.places)
        free(self.used)
        if self.c != NULL:
            free(self.c.thunks)
            free(self.c.thunk_refs)
            self.c.thunks = NULL
            self.c.thunk_refs = NULL

    @staticmethod
    def exist(Tables tables not None):
        """True when the target has thunks."""
        return tables.c.ops != NULL and (<const Ops*>tables.c.ops).choose_thunk != NULL

    @staticmethod
    def spacing(Tables tables not None):
        """(bytes of code between two places for thunks, alignment of thunks in bytes)."""
        cdef const Ops* ops = <const Ops*>tables.c.ops
        return ops.thunk_spacing, 1 << ops.thunk_align

    def find_far(self, list addresses):
        """List of the live files' indices with branches that need a thunk. addresses[n]: address of output n."""
        cdef Pass p
        cdef uint64_t* address = table_of(addresses)
        cdef int64_t i
        p.c = self.c
        p.address = address
        p.far = <uint8_t*>calloc(self.c.nlive + 1, 1)
        if p.far == NULL:
            free(address)
            raise MemoryError
        with nogil:
            parallel_for(look_at_file, &p, self.c.nlive, self.c.threads)
        found = [i for i in range(self.c.nlive) if p.far[i]]
        free(p.far)
        free(address)
        return found

    def add_place(self, uint32_t rule, uint32_t output):
        """Makes an empty FRAG_THUNK fragment in a run and an output section; returns its id. Called in address
        order; the caller puts it among the members of the run."""
        cdef Fragment* g
        cdef uint32_t id
        cdef uint32_t* grown
        cdef uint64_t* used
        self.tables.reserve_frags(1)
        id = self.c.nfrags
        self.c.nfrags += 1
        g = &self.c.frags[id]
        memset(g, 0, sizeof(Fragment))
        g.file = INTERNAL_FILE
        g.sh_type = SHT_PROGBITS
        g.sh_flags = SHF_ALLOC | SHF_EXECINSTR
        g.kind = FRAG_THUNK
        g.rule = rule
        g.output = output
        g.align_log2 = (<const Ops*>self.c.ops).thunk_align
        self.c.frag_state[id] = STATE_LIVE
        self.c.frag_addr[id] = 0
        grown = <uint32_t*>realloc(self.places, (self.nplaces + 1) * sizeof(uint32_t))
        if grown == NULL:
            raise MemoryError
        self.places = grown
        used = <uint64_t*>realloc(self.used, (self.nplaces + 1) * sizeof(uint64_t))
        if used == NULL:
            raise MemoryError
        self.used = used
        self.places[self.nplaces] = id
        self.used[self.nplaces] = 0
        self.nplaces += 1
        return id

    def serve(self, list files, list addresses):
        """Gives every far branch of the files (find_far) a thunk. Branches that reach no place are left to the
        range check of apply. Returns True when a fragment has grown or a branch goes elsewhere."""
        cdef Pass p
        cdef uint64_t* address = table_of(addresses)
        cdef Columns* c = self.c
        cdef Branch b
        cdef uint32_t frag, i, landing, kind, row
        cdef const File* f
        cdef uint8_t verdict
        cdef bint changed = False
        p.c = c
        p.address = address
        p.far = NULL
        try:
            for index in files:
                f = &c.files[c.live[<uint32_t>index]]
                for frag in range(f.frag_base, f.frag_base + f.shnum):
                    if not has_branches(c, frag):
                        continue
                    for i in range(c.frags[frag].nrelocs):
                        verdict = c.frags[frag].verdicts[i] if c.frags[frag].verdicts != NULL else V_APPLY
                        if not is_branch(<const Ops*>c.ops, verdict):
                            continue
                        kind = need(&p, f, frag, i, verdict, &b, &landing)
                        if kind == 0:
                            continue
                        row = self.thunk_for(&p, f, &b, kind, landing)
                        if row:
                            self.refer(frag, i, row)
                            changed = True
        finally:
            free(address)
        return changed

    cdef uint32_t thunk_for(self, Pass* p, const File* f, Branch* b, uint32_t kind, uint32_t landing) except? 0xffffffff:
        """A thunk in reach of a branch, made when there is none; 0 when no place is in reach."""
        cdef Columns* c = self.c
        cdef Branch near
        cdef uint32_t row, via = 0
        cdef bint any = (<const Ops*>c.ops).free_thunks >> kind & 1
        cdef uint32_t hash = kind if any else hash_target(f, b)
        row = self.heads[hash]
        while row:
            if (c.thunks[row].kind == kind if any else self.leads_to(row, f, b, kind)) and reaches(b, now(c, p.address, c.thunks[row].frag, c.thunks[row].offset)):
                return row
            row = c.thunks[row].next
        if landing:
            # A branch at the target itself stands for the second thunk's jump, which must reach it.
            near = b[0]
            near.P = b.target
            via = self.thunk_for(p, f, &near, landing, 0)
            if via == 0:
                return 0
        return self.make(p, f, b, kind, via, hash)

    cdef bint leads_to(self, uint32_t row, const File* f, const Branch* b, uint32_t kind) noexcept nogil:
        cdef const Thunk* t = &self.c.thunks[row]
        cdef uint32_t gid = symbol_gid(f, b.r.r_sym)
        if t.gid != gid or t.kind != kind or t.addend != b.r.r_addend or t.plt != b.plt \
                or self.c.files[t.file].toc != f.toc:
            return False
        return gid != 0 or (t.sym == b.r.r_sym and &self.c.files[t.file] == f)

    cdef uint32_t make(self, Pass* p, const File* f, const Branch* b, uint32_t kind, uint32_t via,
                       uint32_t hash) except? 0xffffffff:
        """A new thunk in the nearest place that the branch reaches."""
        cdef int64_t place = self.nearest(p, b.P, b.t.low, b.t.high, 0)
        cdef uint32_t row
        cdef Thunk* t
        if place < 0:
            return 0
        row = self.take(place, kind)
        t = &self.c.thunks[row]
        t.via = via
        t.gid = symbol_gid(f, b.r.r_sym)
        t.file = <uint32_t>(f - self.c.files)
        t.sym = b.r.r_sym
        t.addend = b.r.r_addend
        t.plt = b.plt
        t.next = self.heads[hash]
        self.heads[hash] = row
        return row

    cdef int64_t nearest(self, Pass* p, uint64_t P, int64_t low, int64_t high, uint32_t output) noexcept nogil:
        """Number of the place that is nearest to P among those at a distance of [low, high]; -1 when there is
        none. output: of that output section only, 0 of any."""
        cdef uint32_t i
        cdef int64_t best = -1
        cdef int64_t distance
        cdef int64_t least = (<int64_t>1 << 62)
        for i in range(self.nplaces):
            if output and self.c.frags[self.places[i]].output != output:
                continue
            distance = <int64_t>(now(self.c, p.address, self.places[i], self.used[i]) - P)
            if low <= distance <= high and (distance if distance > 0 else -distance) < least:
                least = distance if distance > 0 else -distance
                best = i
        return best

    cdef uint32_t take(self, int64_t place, uint32_t kind) except 0:
        """A new row with room in a place."""
        cdef Columns* c = self.c
        cdef const Ops* ops = <const Ops*>c.ops
        cdef Thunk* t
        cdef uint64_t size = ops.thunk_sizes[kind]
        if c.nthunks + 1 >= self.capacity:
            self.capacity = self.capacity * 2 + 256
            t = <Thunk*>realloc(c.thunks, self.capacity * sizeof(Thunk))
            if t == NULL:
                raise MemoryError
            c.thunks = t
            if c.nthunks == 0:
                memset(t, 0, sizeof(Thunk))
                c.nthunks = 1
        t = &c.thunks[c.nthunks]
        memset(t, 0, sizeof(Thunk))
        t.frag = self.places[place]
        t.offset = <uint32_t>self.used[place]
        t.kind = kind
        self.used[place] += round_up(size, ops.thunk_align)
        c.frags[t.frag].size = round_up(self.used[place], ops.thunk_page)
        c.nthunks += 1
        return c.nthunks - 1

    def patch(self, list sites, list addresses):
        """Gives instructions veneers. sites: rows of patches.find_patches. Returns True when there were new ones.
        An instruction that no place reaches raises OverflowError."""
        cdef Pass p
        cdef uint64_t* address = table_of(addresses)
        cdef const Ops* ops = <const Ops*>self.c.ops
        cdef uint32_t frag, row, output
        cdef uint64_t offset
        cdef int64_t place
        cdef int64_t reach = <int64_t>ops.patch_reach
        cdef bint changed = False
        p.c = self.c
        p.address = address
        p.far = NULL
        try:
            for site in sites:
                if site[:2] in self.patched:
                    continue
                frag, offset, kind = site
                output = self.c.frags[frag].output
                place = self.nearest(&p, now(self.c, address, frag, offset), -reach, reach - 64, output)
                if place < 0:
                    raise OverflowError("no veneer in reach")
                row = self.take(place, kind)
                self.c.thunks[row].file = frag
                self.c.thunks[row].addend = <int64_t>offset
                self.c.thunks[row].plt = THUNK_PATCH
                self.patched.add(site[:2])
                changed = True
        finally:
            free(address)
        return changed

    cdef int refer(self, uint32_t frag, uint32_t index, uint32_t row) except -1:
        """Relocation `index` of a fragment goes to a thunk from now on."""
        cdef Columns* c = self.c
        cdef ThunkRef* ref
        cdef bytes arena
        if c.thunk_refs == NULL or self.count * 2 > c.thunk_mask:
            self.grow_refs()
        ref = thunk_ref(c, frag, index)
        if ref.key == 0:
            ref.key = <uint64_t>frag << 32 | index
            self.count += 1
        ref.thunk = row
        if c.frags[frag].verdicts == NULL:
            arena = bytes(c.frags[frag].nrelocs)
            self.verdicts.append(arena)
            c.frags[frag].verdicts = <uint8_t*><char*>arena
        c.frags[frag].verdicts[index] = (<const Ops*>c.ops).thunk_verdict or V_THUNK
        return 0

    cdef int grow_refs(self) except -1:
        cdef Columns* c = self.c
        cdef ThunkRef* old = c.thunk_refs
        cdef ThunkRef* ref
        cdef uint32_t size = c.thunk_mask + 1 if old != NULL else 0
        cdef uint32_t i
        c.thunk_refs = <ThunkRef*>calloc(size * 2 if size else 1024, sizeof(ThunkRef))
        if c.thunk_refs == NULL:
            c.thunk_refs = old
            raise MemoryError
        c.thunk_mask = (size * 2 if size else 1024) - 1
        for i in range(size):
            if old[i].key:
                ref = thunk_ref(c, <uint32_t>(old[i].key >> 32), <uint32_t>old[i].key)
                ref[0] = old[i]
        free(old)
        return 0

    def describe(self):
        """[(fragment, offset, kind, file, symbol index, gid, addend)] of all thunks, for maps and symbols."""
        cdef uint32_t i
        cdef Thunk* t
        rows = []
        for i in range(1, self.c.nthunks):
            t = &self.c.thunks[i]
            rows.append((t.frag, t.offset, t.kind, t.file, t.sym, t.gid, t.addend))
        return rows


cdef inline uint64_t round_up(uint64_t size, uint32_t log2) noexcept nogil:
    return (size + (<uint64_t>1 << log2) - 1) & ~((<uint64_t>1 << log2) - 1)


cdef uint64_t* table_of(list addresses) except NULL:
    cdef size_t n = len(addresses), i
    cdef uint64_t* table = <uint64_t*>malloc((n + 1) * sizeof(uint64_t))
    if table == NULL:
        raise MemoryError
    for i in range(n):
        table[i] = addresses[i]
    return table


cdef inline uint32_t hash_target(const File* f, const Branch* b) noexcept nogil:
    cdef uint32_t gid = symbol_gid(f, b.r.r_sym)
    cdef uint64_t h = gid if gid else b.r.r_sym + 0x10001
    h = (h ^ (<uint64_t>b.r.r_addend << 20)) * <uint64_t>0x9e3779b97f4a7c15
    return <uint32_t>(h >> 40) & (BUCKETS - 1)


def write(Tables tables not None, uint32_t output, uint64_t address, size_t out):
    """Writes the thunks of an output section at its final `address`; `out`: address of its bytes in memory."""
    cdef Columns* c = &tables.c
    cdef const Ops* ops = <const Ops*>c.ops
    cdef uint32_t i
    cdef Thunk* t
    cdef const File* f
    cdef const Aux* aux
    cdef uint64_t target, at
    with nogil:
        for i in range(1, c.nthunks):
            t = &c.thunks[i]
            if c.frags[t.frag].output != output:
                continue
            at = thunk_address(c, i)
            if t.plt == THUNK_PATCH:
                target = c.frag_addr[t.file] + <uint64_t>t.addend
                ops.write_patch(<uint8_t*>out + (at - address), t.kind, at, <uint8_t*>out + (target - address), target,
                                c.swap)
                continue
            f = &c.files[t.file]
            if t.via:
                target = thunk_address(c, t.via)
            elif t.plt:
                aux = symbol_aux(c, f, t.sym)
                target = plt_address(c, aux) + <uint64_t>t.addend
            else:
                target = symbol_address(c, f, t.sym, t.addend) + <uint64_t>t.addend
            ops.write_thunk(<uint8_t*>out + (at - address), t.kind, at, target, c.swap, c, t)
