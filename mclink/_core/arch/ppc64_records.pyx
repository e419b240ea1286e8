"""Level 2: sections of fixed-size records from which the dead ones are taken out: function descriptors of ELFv1 (.opd).

What names a byte behind a record that went is mended: symbols, and the addends of relocations by the section's symbol.
Inputs of that ABI are big-endian, so their symbols and relocations are converted copies that may be written.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from libc.string cimport memcpy, strcmp
from mclink._core.elf cimport Rela, Sym, SHF_EXECINSTR, STT_SECTION, STV_DEFAULT, STV_PROTECTED
from mclink._core.tables cimport *

cdef enum:
    DESCRIPTOR = 24          # bytes of a function descriptor
    R_ADDR64 = 38
    R_TOC = 51
    GONE = 0xffffffff        # new place of a record that went


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
    cdef uint32_t kept       # records that stay
    cdef bytes moved         # [records] uint32: new number of each, or GONE

    cdef uint32_t* find(self) except NULL:
        """New numbers of the records."""
        cdef uint32_t count = <uint32_t>(self.g.size // DESCRIPTOR), i
        cdef uint32_t* table
        self.moved = bytes(4 * count + 4)
        table = <uint32_t*><char*>self.moved
        self.kept = 0
        for i in range(count):
            if is_dead(self.c, code_of(self.c, self.f, &self.g.relocs[2 * i])):
                table[i] = GONE
            else:
                table[i] = self.kept
                self.kept += 1
        return table

    cdef bint shift(self, uint64_t* offset):
        """Where a byte of the section has gone; False when its record is gone."""
        cdef const uint32_t* table = <const uint32_t*><const char*>self.moved
        cdef uint64_t record = offset[0] // DESCRIPTOR
        if offset[0] >= self.g.size:
            offset[0] -= self.g.size - <uint64_t>self.kept * DESCRIPTOR
            return True
        if table[record] == GONE:
            return False
        offset[0] -= (record - table[record]) * DESCRIPTOR
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
            # It goes with its code.
            code = code_of(self.c, self.f, &self.g.relocs[2 * (value // DESCRIPTOR)])
            if self.f.frag_base < code < self.f.frag_base + self.f.shnum and code - self.f.frag_base < 0xff00:
                s.st_shndx = <uint16_t>(code - self.f.frag_base)
                s.st_value = 0
        return 0

    cdef int mend_relocations(self) except -1:
        """Of all sections of the file: addends that count from the start of this one."""
        cdef uint32_t frag, i
        cdef Fragment* other
        cdef Rela* r
        cdef uint64_t value
        for frag in range(self.f.frag_base, self.f.frag_base + self.f.shnum):
            other = &self.c.frags[frag]
            for i in range(other.nrelocs if other.relocs != NULL else 0):
                r = <Rela*>&other.relocs[i]
                if r.r_sym >= self.f.first_global or sym_frag(self.c, self.f, r.r_sym) != self.frag \
                        or (self.f.syms[r.r_sym].st_info & 15) != STT_SECTION:
                    continue
                value = <uint64_t>r.r_addend
                if self.shift(&value):
                    r.r_addend = <int64_t>value
        return 0

    cdef int pack(self) except -1:
        """The records that stay, and their relocations, one behind the other."""
        cdef const uint32_t* table = <const uint32_t*><const char*>self.moved
        cdef bytes data = bytes(self.kept * DESCRIPTOR)
        cdef bytes relocs = bytes(self.kept * 2 * sizeof(Rela))
        cdef uint8_t* out = <uint8_t*><char*>data
        cdef Rela* r = <Rela*><char*>relocs
        cdef uint32_t i, to
        for i in range(<uint32_t>(self.g.size // DESCRIPTOR)):
            to = table[i]
            if to == GONE:
                continue
            memcpy(out + <uint64_t>to * DESCRIPTOR, self.g.data + <uint64_t>i * DESCRIPTOR, DESCRIPTOR)
            memcpy(&r[2 * to], &self.g.relocs[2 * i], 2 * sizeof(Rela))
            r[2 * to].r_offset = <uint64_t>to * DESCRIPTOR
            r[2 * to + 1].r_offset = <uint64_t>to * DESCRIPTOR + 8
        self.tables.buffers += [data, relocs]
        self.g.data = out
        self.g.relocs = r
        self.g.nrelocs = 2 * self.kept
        self.g.size = <uint64_t>self.kept * DESCRIPTOR
        return 0


def drop_descriptors(Tables tables not None):
    """Takes the descriptors of code that is not in the output out of .opd. Returns how many there were."""
    cdef Columns* c = &tables.c
    cdef Edit e
    cdef uint32_t k, frag
    cdef File* f
    cdef Fragment* g
    cdef int64_t dropped = 0
    for k in range(c.nlive):
        f = &c.files[c.live[k]]
        if f.kind != FILE_OBJECT or not f.flags & FILE_SWAP:
            continue
        for frag in range(f.frag_base, f.frag_base + f.shnum):
            g = &c.frags[frag]
            if g.kind != FRAG_REGULAR or g.nrelocs == 0 or not c.frag_state[frag] & STATE_LIVE \
                    or g.sh_flags & SHF_EXECINSTR \
                    or strcmp(f.shstrtab + f.shdrs[frag - f.frag_base].sh_name, b".opd") != 0 or not is_regular(g):
                continue
            e = Edit()
            e.c = c
            e.tables = tables
            e.f = f
            e.g = g
            e.frag = frag
            e.find()
            if <uint64_t>e.kept * DESCRIPTOR == g.size:
                continue
            dropped += <int64_t>(g.size // DESCRIPTOR) - e.kept
            e.mend_symbols()
            e.mend_relocations()
            e.pack()
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
