# cython: language_level=3
"""Level 2: what 64-bit Power knows of symbols, sections and relocations: kinds of relaxations, entries of functions,
descriptors, TOC pointers; inline, for ppc64.pyx alone.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from libc.string cimport memcmp, strcmp
from mclink._core.arch.ppc64_fields cimport get
from mclink._core.arch.ppc64_stubs cimport write_v1_entry
from mclink._core.elf cimport Rela, SHF_EXECINSTR
from mclink._core.formula cimport symbol_address, symbol_gid
from mclink._core.ops cimport Ops
from mclink._core.tables cimport *

cdef enum:                   # RelocType.relax; keep in step with mclink.target.ppc64.FAMILIES
    FAMILY_CALL = 1
    FAMILY_CALL_NOTOC = 2
    FAMILY_LOCAL = 3
    FAMILY_CALL_14 = 4
    FAMILY_GD_HA = 5
    FAMILY_GD_LO = 6
    FAMILY_GD_16 = 7
    FAMILY_GD_34 = 8
    FAMILY_GD_MARK = 9
    FAMILY_LD_HA = 10
    FAMILY_LD_LO = 11
    FAMILY_LD_16 = 12
    FAMILY_LD_34 = 13
    FAMILY_LD_MARK = 14
    FAMILY_IE_HA = 15
    FAMILY_IE_LO = 16
    FAMILY_IE_34 = 17
    FAMILY_TLS_MARK = 18
    FAMILY_TOC_HA = 19       # addis rt, r2
    FAMILY_TOC_LO = 20       # an instruction with the low half, on what that has made
    FAMILY_TP_HA = 21        # the same with r13
    FAMILY_TP_LO = 22
    FAMILY_GOT_HA = 23       # like TOC, for the address of a slot
    FAMILY_GOT_LO = 24
    FAMILY_GOT_34 = 25       # pld of a slot
    FAMILY_PREFIXED = 26     # other prefixed instructions
    FAMILY_PLT_HA = 27       # 27 to 32: inline calls: address of the slot,
    FAMILY_PLT_LO = 28       # its load,
    FAMILY_PLT_34 = 29       # both at once,
    FAMILY_PLT_SEQ = 30      # what else prepares the call,
    FAMILY_PLT_CALL = 31     # the call, with r2 brought back behind it,
    FAMILY_PLT_CALL_NOTOC = 32   # and without
    FAMILY_SMALL = 33        # an access with 16 bits from r2

cdef enum:                   # verdicts
    A_CALL = 16              # branch to the local entry, or to a stub that saves r2; the NOP behind it brings r2 back
    A_NOP = 18
    A_LOCAL = 19             # address of the local entry
    A_TP_HA = 20             # addis rt, r13, tprel@ha
    A_IE_HA = 21             # the instruction stays, and its immediate is that of the slot of the TP offset
    A_IE_LO = 22             # addi -> ld from the slot of the TP offset
    A_MARK_LO = 23           # bl __tls_get_addr -> addi r3, r3, tprel@l
    A_MARK_ADD = 24          # bl __tls_get_addr -> add r3, r3, r13
    A_MARK_NOP = 25          # bl __tls_get_addr -> nop
    A_LD_HA = 26             # addis rt, r13, 0
    A_LD_MARK = 27           # bl __tls_get_addr -> addi r3, r3, 0x1000: what DTP offsets count from
    A_TLS_LO = 28            # X-form with r13 -> D-form with tprel@l
    A_TLS_ZERO = 29          # the same behind a prefixed instruction that has added all: displacement 0
    A_TP_34 = 30             # paddi rt, r13, tprel
    A_LD_34 = 31             # paddi rt, r13, 0x1000
    A_IE_34 = 32             # pld rt from the slot of the TP offset
    A_BAD = 33               # the instructions are not those of the sequence
    A_THUNK = 34             # A_CALL that goes to a thunk
    A_NEAR_HA = 35           # the formula; where it is 0 the instruction is not needed
    A_NEAR_LO = 36           # the formula; where the high half is 0 the base is r2 or r13 itself
    A_DIRECT_HA = 37         # the same for the address instead of the slot that has it
    A_DIRECT_LO = 38         # ld -> addi
    A_VIA_HA = 39            # and for the address in a word of .toc
    A_VIA_LO = 40
    A_DIRECT_34 = 41         # pld of a slot -> paddi
    A_PNOP = 43              # prefixed instruction -> pnop
    A_OPT_34 = 42            # pld of a slot and the access by it -> one prefixed access

cdef enum:                   # relocation numbers
    R_REL24 = 10
    R_ADDR64 = 38
    R_TOC16_HA = 50
    R_TOC16_LO = 48
    R_TPREL16_LO = 70
    R_TPREL16_HA = 72
    R_GOT_TPREL16_LO_DS = 88
    R_GOT_TPREL16_HA = 90
    R_REL24_NOTOC = 116
    R_PLTCALL = 120
    R_PLTCALL_NOTOC = 122
    R_PCREL_OPT = 123
    R_REL24_P9NOTOC = 124
    R_PCREL34 = 132

cdef enum:                   # Ops.arch_flags; keep in step with mclink.target.ppc64
    ARCH_TOC = 1             # loads and additions of .TOC. offsets are made shorter where that is possible
    ARCH_INLINE = 2          # inline calls of what is in this image become direct calls
    ARCH_P10 = 4             # thunks have prefixed instructions, whatever the inputs have
    ARCH_P9 = 8              # they never have
    ARCH_PCREL = 16          # prefixed loads of addresses become the addresses

cdef enum:                   # Columns.needs, the target's bits
    NEEDS_THUNKS = NEEDS_ARCH        # some branch needs a thunk whatever its distance
    NEEDS_PREFIXED = NEEDS_ARCH << 1 # the inputs have prefixed instructions
    NEEDS_SMALL = NEEDS_ARCH << 2    # the inputs have accesses with 16 bits from r2


cdef inline bint is_v1(const Ops* ops) noexcept nogil:
    return ops.plt.entry == write_v1_entry


cdef inline bint is_notoc(uint8_t family) noexcept nogil:
    """True for calls by code without a TOC pointer."""
    return family == FAMILY_CALL_NOTOC or family == FAMILY_PLT_CALL_NOTOC


cdef inline bint is_inline(uint8_t family) noexcept nogil:
    """True for calls through CTR."""
    return family == FAMILY_PLT_CALL or family == FAMILY_PLT_CALL_NOTOC


cdef inline bint holds(const Fragment* frag, uint64_t offset, uint64_t size) noexcept nogil:
    return size <= frag.size and offset <= frag.size - size


cdef inline uint32_t instruction_at(const Columns* c, const Fragment* frag, uint64_t offset) noexcept nogil:
    """The instruction that the halfword at `offset` belongs to; 0 outside the section."""
    offset &= ~<uint64_t>3
    return get(frag.data + offset, c.swap) if holds(frag, offset, 4) else 0


cdef inline const Rela* toc_word(const Columns* c, const File* f, const Rela* r) noexcept nogil:
    """The relocation of the address in the word of .toc that a relocation names, NULL when it names none."""
    cdef uint32_t frag, low = 0, high, middle
    cdef const Fragment* toc
    cdef uint64_t offset
    if r.r_sym >= f.first_global:
        return NULL
    frag = sym_frag(<Columns*>c, f, r.r_sym)
    if frag == 0 or strcmp(f.shstrtab + f.shdrs[frag - f.frag_base].sh_name, b".toc") != 0:
        return NULL
    toc = &c.frags[frag]
    offset = f.syms[r.r_sym].st_value + <uint64_t>r.r_addend
    high = toc.nrelocs
    while low < high:
        middle = (low + high) >> 1
        if toc.relocs[middle].r_offset < offset:
            low = middle + 1
        else:
            high = middle
    if low >= toc.nrelocs or toc.relocs[low].r_offset != offset or toc.relocs[low].r_type != R_ADDR64 \
            or toc.relocs[low].r_sym >= f.nsyms:
        return NULL
    return &toc.relocs[low]


cdef inline uint8_t other_of(const Columns* c, const File* f, uint32_t sym) noexcept nogil:
    """st_other of the definition."""
    if sym >= f.first_global:
        return c.globals[f.gids[sym - f.first_global]].other
    return f.syms[sym].st_other


cdef inline uint64_t local_entry(uint8_t other) noexcept nogil:
    """Bytes from the global to the local entry of an ELFv2 function: bits 5..7 of st_other; 0 and 1 mean one entry."""
    return ((<uint64_t>1 << (other >> 5)) >> 2) << 2


cdef inline bint is_opd(const Columns* c, uint32_t frag) noexcept nogil:
    """True for a section of ELFv1 function descriptors."""
    cdef const Fragment* row = &c.frags[frag]
    cdef const File* f
    if row.sh_flags & SHF_EXECINSTR or frag >= c.first_extra or row.file == INTERNAL_FILE:
        return False
    f = &c.files[row.file]
    return strcmp(f.shstrtab + f.shdrs[frag - f.frag_base].sh_name, b".opd") == 0


cdef inline const Rela* descriptor_code(const Columns* c, uint32_t frag, uint64_t offset) noexcept nogil:
    """The relocation of the address of the code whose descriptor stands at `offset` of an .opd section, or NULL."""
    cdef const Fragment* opd = &c.frags[frag]
    cdef uint32_t low = 0, high = opd.nrelocs, middle
    cdef const Rela* r
    while low < high:
        middle = (low + high) >> 1
        if opd.relocs[middle].r_offset < offset:
            low = middle + 1
        else:
            high = middle
    while low < opd.nrelocs and opd.relocs[low].r_offset == offset:
        r = &opd.relocs[low]
        if r.r_type == R_ADDR64 and r.r_sym < c.files[opd.file].nsyms:
            return r
        low += 1
    return NULL


cdef inline void find_code(const Columns* c, uint32_t* frag, uint64_t* value) noexcept nogil:
    """A branch to a descriptor goes to the code that it names."""
    cdef const Rela* r
    cdef const File* f
    cdef uint32_t gid, target
    if not is_v1(<const Ops*>c.ops) or not is_opd(c, frag[0]):
        return
    r = descriptor_code(c, frag[0], value[0])
    if r == NULL:
        return
    f = &c.files[c.frags[frag[0]].file]
    gid = symbol_gid(f, r.r_sym)
    target = c.globals[gid].frag if gid != 0 else sym_frag(<Columns*>c, f, r.r_sym)
    if target == 0:
        return
    frag[0] = target
    value[0] = (c.globals[gid].value if gid != 0 else f.syms[r.r_sym].st_value) + <uint64_t>r.r_addend


cdef inline uint32_t opd_at(const Columns* c, uint64_t address, uint64_t* offset) noexcept nogil:
    """The .opd fragment that has an address, for names that a script made of others; 0 when none has."""
    cdef uint32_t k, frag
    cdef const File* f
    for k in range(c.nlive):
        f = &c.files[c.live[k]]
        for frag in range(f.frag_base, f.frag_base + f.shnum):
            if address - c.frag_addr[frag] < c.frags[frag].size and c.frags[frag].nrelocs and is_opd(c, frag):
                offset[0] = address - c.frag_addr[frag]
                return frag
    return 0


cdef inline uint64_t code_address(Columns* c, const File* f, uint32_t sym, int64_t addend, bint local) noexcept nogil:
    """Where a call inside the image goes: through the descriptor, or (local) past what sets up the TOC pointer."""
    cdef uint64_t S = symbol_address(c, f, sym, addend)
    cdef uint32_t frag, gid
    cdef uint64_t value
    cdef const Rela* code
    if not is_v1(<const Ops*>c.ops):
        return S + <uint64_t>addend + (local_entry(other_of(c, f, sym)) if local else 0)
    gid = symbol_gid(f, sym)
    frag = c.globals[gid].frag if gid != 0 else sym_frag(c, f, sym)
    value = (c.globals[gid].value if gid != 0 else f.syms[sym].st_value) + <uint64_t>addend
    if frag == 0 and gid != 0 and c.gflags[gid] & G_SCRIPT:
        frag = opd_at(c, S + <uint64_t>addend, &value)
    if frag != 0 and is_opd(c, frag):
        code = descriptor_code(c, frag, value)
        if code != NULL:
            S = symbol_address(c, &c.files[c.frags[frag].file], code.r_sym, code.r_addend)
            if S != 0:
                return S + <uint64_t>code.r_addend
    return S + <uint64_t>addend


cdef inline int64_t gp_of(const Columns* c, const File* f) noexcept nogil:
    """The TOC pointer of a file's code."""
    return <int64_t>(c.image.gp + f.gp_shift)


cdef inline uint32_t toc_of(const Columns* c, const File* f, uint32_t sym) noexcept nogil:
    """The TOC of the code that a symbol names; that of the caller when nothing says."""
    cdef uint32_t gid = symbol_gid(f, sym)
    cdef uint32_t frag = c.globals[gid].frag if gid != 0 else sym_frag(<Columns*>c, f, sym)
    if frag == 0 or frag >= c.first_extra or c.frags[frag].file == INTERNAL_FILE:
        return f.toc
    return c.files[c.frags[frag].file].toc


cdef inline uint64_t toc_shift(const Columns* c, const File* f, uint32_t sym) noexcept nogil:
    cdef uint32_t gid = symbol_gid(f, sym)
    cdef uint32_t frag = c.globals[gid].frag if gid != 0 else sym_frag(<Columns*>c, f, sym)
    return c.files[c.frags[frag].file].gp_shift


cdef inline bint has_tls_shortcut(const Columns* c, uint32_t gid) noexcept nogil:
    """True for the function that knows pairs whose offset counts from the thread pointer."""
    cdef const Global* g = &c.globals[gid]
    return gid != 0 and g.name_len == 18 and memcmp(g.name, b"__tls_get_addr_opt", 18) == 0
