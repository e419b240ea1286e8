"""Level 2: sections of fixed-size records from which the dead ones are taken out: function descriptors of ELFv1 (.opd),
and words of .toc whose only loads have been relaxed.

What names a byte behind a record that went is mended: symbols, and the addends of relocations by the section's symbol.
Tables that lie in a mapped input are copied before they are written.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from libc.string cimport memcpy, strcmp
from mclink._core.arch.ppc64_symbols cimport A_DIRECT_HA, A_DIRECT_LO, A_VIA_HA, A_VIA_LO
from mclink._core.elf cimport Rela, Sym, SHF_ALLOC, SHF_EXECINSTR, STT_SECTION, STV_DEFAULT, STV_PROTECTED
from mclink._core.ops cimport V_APPLY, V_RELATIVE, V_RELATIVE_ODD
from mclink._core.tables cimport *

cdef enum:
    DESCRIPTOR = 24          # bytes of a function descriptor
    WORD = 8                 # bytes of a word of .toc
    R_ADDR64 = 38
    R_TOC = 51
    GONE = 0xffffffff        # new number of a record that went


cdef uint32_t code_of(Columns* c, const File* f, const Rela* r) noexcept nogil:
    """The fragment that a descriptor's first word names; 0 when there is none."""
    if r.r_sym >= f.nsyms:
        return 0
    if r.r_sym < f.first_global:
        return sym_frag(c, f, r.r_sym)
    return c.globals[f.gids[r.r_sym - f.first_global]].frag


cdef bint is_dead(Columns* c, uint32_t frag) noexcept nogil:
    return frag != 0 and c.frag_state[frag] & (STATE_LIVE | STATE_FOLDED) == 0


cdef bint is_regular(const Fragment* g) noexcept nogil:
    """True for descriptors one behind the other, each with the relocations of its first two words and no others."""
    cdef uint32_t i
    if g.size % DESCRIPTOR or g.nrelocs != g.size // DESCRIPTOR * 2 or g.data == NULL:
        return False
    for i in range(g.nrelocs):
        if g.relocs[i].r_offset != <uint64_t>(i >> 1) * DESCRIPTOR + (8 if i & 1 else 0) \
                or g.relocs[i].r_type != (R_TOC if i & 1 else R_ADDR64):
            return False
    return True


cdef class Edit:
    """One section while it loses records."""
    cdef Columns* c
    cdef Tables tables
    cdef File* f
    cdef Fragment* g
    cdef uint32_t frag       # its fragment
    cdef uint32_t record     # bytes of a record
    cdef uint32_t count      # records
    cdef uint32_t kept       # records that stay
    cdef bytes moved         # [count] uint32: new number of each, or GONE

    @staticmethod
    cdef Edit open(Tables tables, uint32_t frag, uint32_t record):
        """Every record stays so far."""
        cdef Edit e = Edit()
        cdef uint32_t i
        e.tables = tables
        e.c = &tables.c
        e.g = &e.c.frags[frag]
        e.f = &e.c.files[e.g.file]
        e.frag = frag
        e.record = record
        e.count = e.kept = <uint32_t>(e.g.size // record)
        e.moved = bytes(4 * e.count + 4)
        for i in range(e.count):
            (<uint32_t*><char*>e.moved)[i] = i
        return e

    cdef int drop(self, const uint8_t* dead) except -1:
        """Takes out the records n with dead[n]."""
        cdef uint32_t* table = <uint32_t*><char*>self.moved
        cdef uint32_t i
        self.kept = 0
        for i in range(self.count):
            table[i] = GONE if dead[i] else self.kept
            self.kept += 0 if dead[i] else 1
        if self.kept != self.count:
            self.own_symbols()
            self.mend_symbols()
            self.mend_relocations()
            self.pack()
        return 0

    cdef bint is_mapped(self, const void* table) noexcept:
        """True for a table that lies in the mapped input."""
        return self.f.data <= <const uint8_t*>table < self.f.data + self.f.size

    cdef int own_symbols(self) except -1:
        cdef bytes copy
        if self.is_mapped(self.f.syms):
            copy = (<const char*>self.f.syms)[:<size_t>self.f.nsyms * sizeof(Sym)]
            self.tables.buffers.append(copy)
            self.f.syms = <Sym*><char*>copy
        return 0

    cdef Rela* own_relocations(self, uint32_t frag) except? NULL:
        cdef Fragment* other = &self.c.frags[frag]
        cdef bytes copy
        if self.is_mapped(other.relocs):
            copy = (<const char*>other.relocs)[:<size_t>other.nrelocs * sizeof(Rela)]
            self.tables.buffers.append(copy)
            other.relocs = <const Rela*><char*>copy
        return <Rela*>other.relocs

    cdef bint shift(self, uint64_t* offset):
        """Where a byte of the section has gone; False when its record is gone."""
        cdef const uint32_t* table = <const uint32_t*><const char*>self.moved
        cdef uint64_t number = offset[0] // self.record
        if number >= self.count:
            offset[0] -= <uint64_t>(self.count - self.kept) * self.record
            return True
        if table[number] == GONE:
            return False
        offset[0] -= (number - table[number]) * self.record
        return True

    cdef int mend_symbols(self) except -1:
        cdef Sym* s
        cdef Global* g
        cdef uint32_t i, code
        cdef uint64_t value
        for i in range(1, self.f.nsyms):
            s = &self.f.syms[i]
            if sym_frag(self.c, self.f, i) != self.frag or (s.st_info & 15) == STT_SECTION:
                continue
            value = s.st_value
            if i >= self.f.first_global:
                g = &self.c.globals[self.f.gids[i - self.f.first_global]]
                if g.frag == self.frag and g.value == value and self.shift(&value):
                    g.value = value
                value = s.st_value
            if self.shift(&value):
                s.st_value = value
                continue
            if self.record != DESCRIPTOR:
                continue
            # It goes with its code.
            code = code_of(self.c, self.f, &self.g.relocs[2 * (value // DESCRIPTOR)])
            if self.f.frag_base < code < self.f.frag_base + self.f.shnum and code - self.f.frag_base < 0xff00:
                s.st_shndx = <uint16_t>(code - self.f.frag_base)
                s.st_value = 0
        return 0

    cdef int mend_relocations(self) except -1:
        """Of all sections of the file: addends that count from the start of this one."""
        cdef uint32_t frag, i
        cdef const Rela* r
        cdef uint64_t value
        for frag in range(self.f.frag_base, self.f.frag_base + self.f.shnum):
            for i in range(self.c.frags[frag].nrelocs if self.c.frags[frag].relocs != NULL else 0):
                r = &self.c.frags[frag].relocs[i]
                if r.r_sym >= self.f.first_global or sym_frag(self.c, self.f, r.r_sym) != self.frag \
                        or (self.f.syms[r.r_sym].st_info & 15) != STT_SECTION:
                    continue
                value = <uint64_t>r.r_addend
                if self.shift(&value) and <int64_t>value != r.r_addend:
                    self.own_relocations(frag)[i].r_addend = <int64_t>value
        return 0

    cdef int pack(self) except -1:
        """The records that stay, and their relocations, one behind the other."""
        cdef const uint32_t* table = <const uint32_t*><const char*>self.moved
        cdef bytes data = bytes(self.kept * self.record)
        cdef uint8_t* out = <uint8_t*><char*>data
        cdef Rela* r = self.own_relocations(self.frag)
        cdef uint8_t* verdicts = self.g.verdicts
        cdef uint32_t i, n = 0
        cdef uint64_t offset
        for i in range(self.count):
            if table[i] != GONE:
                memcpy(out + <uint64_t>table[i] * self.record, self.g.data + <uint64_t>i * self.record, self.record)
        for i in range(self.g.nrelocs):
            offset = r[i].r_offset
            if not self.shift(&offset):
                if verdicts != NULL and verdicts[i] == V_RELATIVE:
                    self.g.nrelative -= 1
                elif verdicts != NULL and verdicts[i] == V_RELATIVE_ODD:
                    self.g.ndynamic -= 1
                continue
            r[n] = r[i]
            r[n].r_offset = offset
            if verdicts != NULL:
                verdicts[n] = verdicts[i]
            n += 1
        self.tables.buffers.append(data)
        self.g.data = out
        self.g.nrelocs = n
        self.g.size = <uint64_t>self.kept * self.record
        return 0


def drop_descriptors(Tables tables not None):
    """Takes the descriptors of code that is not in the output out of .opd. Returns how many there were."""
    cdef Columns* c = &tables.c
    cdef Edit e
    cdef uint32_t k, frag, i
    cdef File* f
    cdef Fragment* g
    cdef int64_t dropped = 0
    for k in range(c.nlive):
        f = &c.files[c.live[k]]
        if f.kind != FILE_OBJECT or not f.flags & FILE_SWAP:
            continue
        for frag in range(f.frag_base, f.frag_base + f.shnum):
            g = &c.frags[frag]
            if not has_name(c, f, frag, b".opd") or g.sh_flags & SHF_EXECINSTR or not is_regular(g):
                continue
            e = Edit.open(tables, frag, DESCRIPTOR)
            dead = bytearray(e.count + 1)
            for i in range(e.count):
                dead[i] = is_dead(c, code_of(c, f, &g.relocs[2 * i]))
            e.drop(<const uint8_t*><char*>dead)
            dropped += e.count - e.kept
    return dropped


cdef bint has_name(const Columns* c, const File* f, uint32_t frag, const char* name) noexcept nogil:
    """True for a live section of that name with relocations."""
    return (c.frags[frag].kind == FRAG_REGULAR and c.frags[frag].nrelocs != 0 and c.frag_state[frag] & STATE_LIVE
            and strcmp(f.shstrtab + f.shdrs[frag - f.frag_base].sh_name, name) == 0)


cdef inline bint is_relaxed(uint8_t verdict) noexcept nogil:
    """True for an access to what a word of .toc names, without the word."""
    return verdict == A_VIA_HA or verdict == A_VIA_LO


cdef bint find_unused(Edit e, uint8_t* dead, uint32_t* word):
    """Fills dead[n] for the words n that nothing needs, and word[n] with the relocation of each. False: none."""
    cdef Columns* c = e.c
    cdef File* f = e.f
    cdef const Fragment* g
    cdef const Rela* r
    cdef uint32_t frag, i
    cdef uint64_t at
    cdef bint any = False
    if e.g.size % WORD or e.g.data == NULL:
        return False
    for i in range(e.g.nrelocs):
        r = &e.g.relocs[i]
        if r.r_offset % WORD or r.r_offset >= e.g.size or (i and e.g.relocs[i - 1].r_offset >= r.r_offset):
            return False
        if r.r_type == R_ADDR64 and r.r_sym < f.nsyms:
            dead[r.r_offset // WORD] = 1
            word[r.r_offset // WORD] = i
    for i in range(f.first_global, f.nsyms):
        if sym_frag(c, f, i) == e.frag and f.syms[i].st_value < e.g.size:
            dead[f.syms[i].st_value // WORD] = 0
    for frag in range(f.frag_base, f.frag_base + f.shnum):
        g = &c.frags[frag]
        if g.kind == FRAG_NONE or (g.sh_flags & SHF_ALLOC and not c.frag_state[frag] & STATE_LIVE):
            continue
        for i in range(g.nrelocs if g.relocs != NULL else 0):
            r = &g.relocs[i]
            if r.r_sym >= f.first_global or sym_frag(c, f, r.r_sym) != e.frag:
                continue
            at = f.syms[r.r_sym].st_value + <uint64_t>r.r_addend
            if at >= e.g.size:
                return False
            if g.verdicts == NULL or not is_relaxed(g.verdicts[i]):
                dead[at // WORD] = 0
    for i in range(e.count):
        any = any or dead[i] != 0
    return any


cdef int replace_words(Edit e, const uint8_t* dead, const uint32_t* word) except -1:
    """Relaxed accesses to words that go name the address itself."""
    cdef Columns* c = e.c
    cdef Fragment* g
    cdef Rela* r
    cdef uint32_t frag, i
    cdef uint64_t at
    for frag in range(e.f.frag_base, e.f.frag_base + e.f.shnum):
        g = &c.frags[frag]
        for i in range(g.nrelocs if g.verdicts != NULL and g.kind != FRAG_NONE else 0):
            if not is_relaxed(g.verdicts[i]) or sym_frag(c, e.f, g.relocs[i].r_sym) != e.frag:
                continue
            at = (e.f.syms[g.relocs[i].r_sym].st_value + <uint64_t>g.relocs[i].r_addend) // WORD
            if not dead[at]:
                continue
            r = e.own_relocations(frag) + i
            r.r_sym = e.g.relocs[word[at]].r_sym
            r.r_addend = e.g.relocs[word[at]].r_addend
            g.verdicts[i] = A_DIRECT_HA if g.verdicts[i] == A_VIA_HA else A_DIRECT_LO
    return 0


def image_size(Tables tables not None):
    """Bytes of all that is loaded, before layout."""
    cdef Columns* c = &tables.c
    cdef uint32_t frag
    cdef uint64_t total = 0
    for frag in range(1, c.nfrags):
        if c.frags[frag].sh_flags & SHF_ALLOC and c.frag_state[frag] & STATE_LIVE:
            total += c.frags[frag].size + ((<uint64_t>1 << c.frags[frag].align_log2) - 1)
    return total


def drop_words(Tables tables not None):
    """Takes words out of .toc that only relaxed accesses name, after scan. The image must be so small that no offset from
    a TOC pointer exceeds 31 bits. Returns how many there were."""
    cdef Columns* c = &tables.c
    cdef Edit e
    cdef uint32_t k, frag
    cdef File* f
    cdef int64_t dropped = 0
    cdef uint8_t* dead
    cdef uint32_t* word
    for k in range(c.nlive):
        f = &c.files[c.live[k]]
        if f.kind != FILE_OBJECT:
            continue
        for frag in range(f.frag_base, f.frag_base + f.shnum):
            if not has_name(c, f, frag, b".toc"):
                continue
            e = Edit.open(tables, frag, WORD)
            flags, rows = bytearray(e.count + 1), bytes(4 * e.count + 4)
            dead = <uint8_t*><char*>flags
            word = <uint32_t*><char*>rows
            if find_unused(e, dead, word):
                replace_words(e, dead, word)
                e.drop(dead)
                dropped += e.count - e.kept
    return dropped


def protect_code(Tables tables not None):
    """`.name` is code: it binds here, because the run-time linker only knows descriptors."""
    cdef Columns* c = &tables.c
    cdef uint32_t gid
    cdef Global* g
    for gid in range(1, c.nglobals):
        g = &c.globals[gid]
        if g.name != NULL and g.name_len > 1 and g.name[0] == c'.' and g.visibility == STV_DEFAULT \
                and (g.state == SYM_DEFINED or g.state == SYM_DEFINED_WEAK) and g.frag != 0 \
                and c.frags[g.frag].sh_flags & SHF_EXECINSTR:
            g.visibility = STV_PROTECTED
