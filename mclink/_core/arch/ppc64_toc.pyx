"""Level 2: more than one TOC. Code of the small model reaches 64 KiB around its TOC pointer; when .got and .toc are
larger than that, files are put into groups, in link order, each with a TOC pointer and GOT slots of its own.

A group's slots are an Aux row (`toc`, `more`) of each symbol that its files need slots of; their GOT is a fragment
among the .toc sections of the group. Calls between groups go through thunks.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int32_t, int64_t
from libc.string cimport memset, strcmp
from mclink._core.elf cimport Rela, SHF_ALLOC, SHF_WRITE, SHT_PROGBITS
from mclink._core.formula cimport symbol_aux, symbol_gid
from mclink._core.ops cimport *
from mclink._core.tables cimport *

cdef enum:
    LIMIT = 0xff00           # bytes of a TOC, room for alignment left
    TOC_BIAS = 0x8000        # TOC pointer - start of the TOC
    NEEDS_SLOTS = NEED_GOT | NEED_TLSGD | NEED_GOTTP | NEED_TLSDESC


cdef inline bint is_toc(const Columns* c, const File* f, uint32_t frag) noexcept nogil:
    return (c.frags[frag].kind == FRAG_REGULAR and c.frag_state[frag] & STATE_LIVE and c.frags[frag].size
            and strcmp(f.shstrtab + f.shdrs[frag - f.frag_base].sh_name, b".toc") == 0)


cdef uint64_t toc_size(const Columns* c, const File* f) noexcept nogil:
    """Bytes of a file's own .toc sections."""
    cdef uint32_t frag
    cdef uint64_t total = 0
    for frag in range(f.frag_base, f.frag_base + f.shnum):
        if is_toc(c, f, frag):
            total += (c.frags[frag].size + 7) & ~<uint64_t>7
    return total


def exceeds(Tables tables not None):
    """True when .got and the .toc sections are larger than what 16 bits reach."""
    cdef Columns* c = &tables.c
    cdef uint64_t total
    cdef uint32_t k
    if c.special[SPECIAL_GOT] == 0:
        return False
    total = c.frags[c.special[SPECIAL_GOT]].size
    for k in range(c.nlive):
        if c.files[c.live[k]].kind == FILE_OBJECT:
            total += toc_size(c, &c.files[c.live[k]])
    return total > 0x10000


cdef class Tocs:
    """The groups of one link; after split()."""
    cdef Tables tables
    cdef Columns* c
    cdef list gots           # GOT fragment of each group; the first is .got itself
    cdef list pairs          # byte offset of each group's pair for local-dynamic TLS, -1 none
    cdef dict names          # group -> gid of what .TOC. means in its files

    def __init__(self, Tables tables not None):
        self.tables = tables
        self.c = &tables.c
        self.gots = [self.c.special[SPECIAL_GOT]]
        self.pairs = [-1]
        self.names = {}

    cdef uint32_t row_of(self, const File* f, uint32_t sym, uint32_t toc) noexcept nogil:
        """The row with the slots of a symbol in a group; the last one of its chain when there is none."""
        cdef Aux* a = symbol_aux(self.c, f, sym)
        while a.toc != toc and a.more != 0:
            a = &self.c.aux[a.more]
        return <uint32_t>(a - self.c.aux)

    cdef inline uint32_t bytes_of(self, uint32_t needs) noexcept nogil:
        cdef const Ops* ops = <const Ops*>self.c.ops
        return ((ops.word_size if needs & NEED_GOT else 0) + (2 * ops.word_size if needs & NEED_TLSGD else 0)
                + (ops.word_size if needs & NEED_GOTTP else 0) + (ops.tlsdesc_size if needs & NEED_TLSDESC else 0))

    cdef bint names_slot(self, const Rela* r) noexcept nogil:
        cdef const Ops* ops = <const Ops*>self.c.ops
        cdef uint8_t q
        if r.r_type >= ops.ntypes:
            return False
        q = ops.types[r.r_type].quantity
        return q == Q_G or q == Q_GD or q == Q_GOTTP or q == Q_GOTDTP or q == Q_SLOT

    cdef bint names_pair(self, const Rela* r) noexcept nogil:
        cdef const Ops* ops = <const Ops*>self.c.ops
        return r.r_type < ops.ntypes and ops.types[r.r_type].quantity == Q_LD

    cdef int64_t serve(self, File* f, uint32_t toc, bint make) except -1:
        """Bytes of slots that a file adds to a group; make: they are given their places."""
        cdef Columns* c = self.c
        cdef uint32_t frag, i, row, size
        cdef int64_t total = 0
        cdef bint pair = self.pairs[toc] < 0 if toc < <uint32_t>len(self.pairs) else True
        cdef const Rela* r
        seen = set()
        for frag in range(f.frag_base, f.frag_base + f.shnum):
            if not c.frags[frag].sh_flags & SHF_ALLOC or not c.frag_state[frag] & STATE_LIVE \
                    or c.frags[frag].kind != FRAG_REGULAR:
                continue
            for i in range(c.frags[frag].nrelocs):
                r = &c.frags[frag].relocs[i]
                if pair and c.needs & NEEDS_TLSLD and self.names_pair(r):
                    pair = False
                    total += 2 * (<const Ops*>c.ops).word_size
                    if make:
                        self.make_pair(toc)
                if not self.names_slot(r) or r.r_sym >= f.nsyms:
                    continue
                row = self.row_of(f, r.r_sym, toc)
                if row == 0 or not c.aux[row].needs & NEEDS_SLOTS or row in seen:
                    continue
                if c.aux[row].toc == toc and (c.aux[row].got >= 0 or c.aux[row].gottp >= 0 or c.aux[row].tlsgd >= 0
                                              or c.aux[row].tlsdesc >= 0):
                    continue
                size = self.bytes_of(c.aux[row].needs)
                total += size
                if make:
                    self.make_slots(row, toc)
                else:
                    seen.add(row)
        return total

    cdef int32_t take(self, uint32_t toc, uint32_t size) except -1:
        cdef Fragment* g = &self.c.frags[<uint32_t>self.gots[toc]]
        g.size += size
        return <int32_t>(g.size - size)

    cdef int make_pair(self, uint32_t toc) except -1:
        """The pair of this module, as a row that stands for no symbol."""
        cdef uint32_t row
        self.pairs[toc] = self.take(toc, 2 * (<const Ops*>self.c.ops).word_size)
        if toc == 0:
            self.c.image.tlsld = self.pairs[0]
            return 0
        row = self.new_row(0)
        self.c.aux[row].toc = toc
        self.c.aux[row].needs = AUX_MODULE_PAIR
        self.c.aux[row].tlsgd = self.pairs[toc]
        return 0

    cdef uint32_t new_row(self, uint32_t model) except 0:
        """A row for the symbol of another one, without slots."""
        cdef Aux* a
        cdef uint32_t row
        self.tables.reserve_aux(1)
        row = self.c.naux
        self.c.naux += 1
        a = &self.c.aux[row]
        a[0] = self.c.aux[model]
        a.got = a.gotplt = a.plt = a.plt_lazy = a.tlsgd = a.gottp = a.tlsdesc = -1
        a.plt_section = SPECIAL_NONE
        a.needs &= NEEDS_SLOTS | NEED_CANONICAL_PLT
        a.dynsym = a.dynstr = a.reladyn = a.relaplt = a.more = 0
        return row

    cdef int make_slots(self, uint32_t row, uint32_t toc) except -1:
        cdef Columns* c = self.c
        cdef Aux* a = &c.aux[row]
        cdef uint32_t own
        if a.gid == 0:
            # A local symbol is of one file, and so of one group.
            a.toc = toc
        elif a.toc != toc:
            own = self.new_row(row)
            c.aux[row].more = own
            a = &c.aux[own]
            a.toc = toc
        if a.needs & NEED_GOT:
            a.got = self.take(toc, (<const Ops*>c.ops).word_size)
        if a.needs & NEED_TLSGD:
            a.tlsgd = self.take(toc, 2 * (<const Ops*>c.ops).word_size)
        if a.needs & NEED_GOTTP:
            a.gottp = self.take(toc, (<const Ops*>c.ops).word_size)
        if a.needs & NEED_TLSDESC:
            a.tlsdesc = self.take(toc, (<const Ops*>c.ops).tlsdesc_size)
        return 0

    cdef uint32_t new_got(self) except 0:
        """An empty fragment for the slots of the next group."""
        cdef Fragment* g
        cdef uint32_t id
        self.tables.reserve_frags(1)
        id = self.c.nfrags
        self.c.nfrags += 1
        g = &self.c.frags[id]
        memset(g, 0, sizeof(Fragment))
        g.file = INTERNAL_FILE
        g.sh_type = SHT_PROGBITS
        g.sh_flags = SHF_ALLOC | SHF_WRITE
        g.kind = FRAG_SYNTHETIC
        g.align_log2 = 3
        self.c.frag_state[id] = STATE_LIVE
        self.c.frag_addr[id] = 0
        return id

    def split(self):
        """Puts files into groups and places their slots anew. Returns the number of groups."""
        cdef Columns* c = self.c
        cdef uint32_t k, row, toc = 0
        cdef uint64_t used, own
        cdef File* f
        cdef Aux* a
        for row in range(1, c.naux):
            a = &c.aux[row]
            a.got = a.tlsgd = a.gottp = a.tlsdesc = -1
        c.image.tlsld = -1
        used = (<const Ops*>c.ops).got_reserved * (<const Ops*>c.ops).word_size
        c.frags[c.special[SPECIAL_GOT]].size = used
        for k in range(c.nlive):
            f = &c.files[c.live[k]]
            if f.kind != FILE_OBJECT:
                continue
            own = toc_size(c, f)
            if used + own + <uint64_t>self.serve(f, toc, False) > LIMIT and used:
                toc += 1
                used = 0
                self.gots.append(self.new_got())
                self.pairs.append(-1)
            f.toc = toc
            used += own + <uint64_t>self.serve(f, toc, True)
        return len(self.gots)

    def rename(self, uint32_t plain, list gids):
        """Makes the name `plain` mean gids[n - 1] in the files of group n > 0."""
        cdef uint32_t k, i
        cdef File* f
        for k in range(self.c.nlive):
            f = &self.c.files[self.c.live[k]]
            if f.toc == 0 or f.gids == NULL:
                continue
            for i in range(f.nsyms - f.first_global if f.nsyms > f.first_global else 0):
                if f.gids[i] == plain:
                    f.gids[i] = gids[f.toc - 1]

    def places(self, list members):
        """Where the GOTs of the groups stand among the members of the run that holds .got: [(position, fragment)]."""
        cdef uint32_t frag
        found = []
        toc = 1
        for position, id in enumerate(members):
            frag = id
            while toc < len(self.gots) and frag < self.c.first_extra and self.c.frags[frag].file != INTERNAL_FILE \
                    and self.c.files[self.c.frags[frag].file].toc >= toc:
                found.append((position, self.gots[toc]))
                toc += 1
        return found + [(len(members), got) for got in self.gots[toc:]]

    def adopt(self, uint32_t run, uint32_t output):
        """Makes the GOTs members of a run and an output section."""
        for id in self.gots[1:]:
            self.c.frags[<uint32_t>id].rule = run
            self.c.frags[<uint32_t>id].output = output

    def finish(self, uint64_t gp):
        """Final addresses are known: TOC pointers of the files, slots from the start of .got. gp: the first group's
        pointer. Returns the pointers of the others."""
        cdef Columns* c = self.c
        cdef uint32_t k, frag, row
        cdef uint64_t start = c.frag_addr[c.special[SPECIAL_GOT]]
        cdef File* f
        cdef Aux* a
        cdef int32_t shift
        lowest = [c.frag_addr[<uint32_t>id] for id in self.gots]
        for k in range(c.nlive):
            f = &c.files[c.live[k]]
            if f.toc == 0:
                continue
            for frag in range(f.frag_base, f.frag_base + f.shnum):
                if is_toc(c, f, frag) and c.frag_addr[frag] < lowest[f.toc]:
                    lowest[f.toc] = c.frag_addr[frag]
        shifts = [<int64_t>(<uint64_t>c.frag_addr[<uint32_t>id] - start) for id in self.gots]
        for k in range(c.nlive):
            f = &c.files[c.live[k]]
            if f.toc != 0:
                f.gp_shift = <uint64_t>lowest[f.toc] + TOC_BIAS - gp
                f.tlsld = <int32_t>(self.pairs[f.toc] + shifts[f.toc])
        for row in range(1, c.naux):
            a = &c.aux[row]
            if a.toc == 0:
                continue
            shift = <int32_t>shifts[a.toc]
            if a.got >= 0:
                a.got += shift
            if a.tlsgd >= 0:
                a.tlsgd += shift
            if a.gottp >= 0:
                a.gottp += shift
            if a.tlsdesc >= 0:
                a.tlsdesc += shift
            if a.gid != 0:
                a.dynsym = c.aux[c.globals[a.gid].aux].dynsym
        return [address + TOC_BIAS for address in lowest[1:]]
