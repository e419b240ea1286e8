"""Level 2: MIPS instructions and relocations. See "System V ABI, MIPS RISC Processor Supplement" (O32), "MIPSpro 64-Bit
Porting and Transition Guide" (N32, N64), and "MIPS Architecture For Programmers" for the encodings.

O32 keeps addends in the fields (REL), and those of HI16 relocations are joined with the low half of the LO16 that
follows. N64 has up to three types in one record, N32 in several records for one place, each working on what the one
before has computed; compilers use few of the combinations, and these have numbers of their own from 256 on.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int32_t, int64_t
from mclink._core.arch.mips_fields cimport *
from mclink._core.arch.mips_slots cimport *
from mclink._core.bytes cimport bswap32, in_range, load32, load64, store32, store64
from mclink._core.elf cimport Rela, Shdr, SHF_MERGE, STT_SECTION
from mclink._core.fault cimport FAULT_BAD_INSTRUCTION, FAULT_MISALIGNED, FAULT_NEEDS_PIC, FAULT_OVERFLOW
from mclink._core.formula cimport (fault_value, plt_address, quantity_value, slot_address, store_checked, store_field,
                                   subtract_reference, symbol_address, symbol_aux, symbol_gid, thunk_address)
from mclink._core.ops cimport *
from mclink._core.tables cimport *

cdef enum:                   # RelocType.relax; keep in step with mclink.target.mips.FAMILIES
    FAMILY_GOT16 = 1         # of a local symbol: the page of its address
    FAMILY_CALL = 2
    FAMILY_GOT = 3
    FAMILY_PAGE = 4          # GOT_PAGE
    FAMILY_OFST = 5          # GOT_OFST: what the page leaves
    FAMILY_GD = 6
    FAMILY_LD = 7
    FAMILY_IE = 8
    FAMILY_GPREL = 9
    FAMILY_GPNEG = 10        # minus GPREL
    FAMILY_HALF = 11         # half of an address, or of $gp when the symbol is _gp_disp
    FAMILY_JUMP = 12         # jump in a region of 256 MB, or branch
    FAMILY_JALR = 13         # hint at the target of a call through $25
    FAMILY_PC8 = 14          # relative to Align(P, 8)
    FAMILY_PC4 = 15          # relative to Align(P, 4)
    FAMILY_TLS_WORD = 16     # word with a DTP offset

cdef enum:                   # verdicts behind those of mips_slots.pxd
    A_OFST = 22
    A_OFST_GLOBAL = 23       # GOT_OFST of a symbol that has a slot of its own: the addend
    A_GPREL = 24
    A_GPNEG = 25
    A_GP_DISP = 26
    A_JUMP = 27
    A_JUMP_THUNK = 28
    A_JALR = 29
    A_PC8 = 30
    A_PC4 = 31

cdef enum:                   # relocation numbers
    R_MIPS_NONE = 0
    R_MIPS_REL32 = 3
    R_MIPS_26 = 4
    R_MIPS_HI16 = 5
    R_MIPS_LO16 = 6
    R_MIPS_GPREL16 = 7
    R_MIPS_LITERAL = 8
    R_MIPS_GOT16 = 9
    R_MIPS_GPREL32 = 12
    R_MIPS_64 = 18
    R_MIPS_SUB = 24
    R_MIPS_PCHI16 = 64
    R_MIPS_PCLO16 = 65
    R_MIPS16_26 = 100
    R_MIPS16_GPREL = 101
    R_MIPS16_GOT16 = 102
    R_MIPS16_HI16 = 104
    R_MIPS16_LO16 = 105
    R_MICROMIPS_26_S1 = 133
    R_MICROMIPS_HI16 = 134
    R_MICROMIPS_LO16 = 135
    R_MICROMIPS_GPREL16 = 136
    R_MICROMIPS_LITERAL = 137
    R_MICROMIPS_GOT16 = 138
    R_MICROMIPS_SUB = 150
    R_MIPS_PC32 = 248
    R_GPNEG_HI16 = 256       # from here on composed: GPREL16, SUB, HI16
    R_GPNEG_LO16 = 257
    R_GPREL32_64 = 258       # GPREL32, 64
    R_PC32_64 = 259          # PC32, 64
    R_MICRO_GPNEG_HI16 = 260 # the same of microMIPS
    R_MICRO_GPNEG_LO16 = 261
    R_PART = 512             # + a type: it works on what the record before has computed, which stands for both
    R_UNKNOWN = 262          # a combination that is not known; the table has no such type

cdef enum:
    SHT_MIPS_REGINFO = 0x70000006
    SHT_MIPS_OPTIONS = 0x7000000d
    EF_MIPS_PIC = 2
    EF_MIPS_ARCH = 0xf0000000
    STO_MIPS_PIC = 0x20
    STO_COMPRESSED = 0x80    # MIPS16 or microMIPS

cdef enum:                   # Ops.arch_flags; keep in step with mclink.target.mips_abi
    ARCH_R6 = 1              # JR is JALR $0

cdef enum:                   # thunks: set $25 in front of a function of PIC, which computes $gp from it
    THUNK_LA25 = 1           # for jumps
    THUNK_LA25_PC = 2        # for branches, whose addends count from the instruction behind


# ---- records

cdef uint32_t compose(uint32_t first, uint32_t second, uint32_t third) noexcept nogil:
    """One number for up to three types; R_UNKNOWN when the combination is none that is known."""
    if second == 0 and third == 0:
        return first
    if second == R_MIPS_SUB or second == R_MICROMIPS_SUB:
        if first == R_MIPS_GPREL16 or first == R_MICROMIPS_GPREL16:
            if third == R_MIPS_HI16:
                return R_GPNEG_HI16
            if third == R_MIPS_LO16:
                return R_GPNEG_LO16
            if third == R_MICROMIPS_HI16:
                return R_MICRO_GPNEG_HI16
            if third == R_MICROMIPS_LO16:
                return R_MICRO_GPNEG_LO16
    if second == R_MIPS_64 and third == 0:
        if first == R_MIPS_GPREL32:
            return R_GPREL32_64
        if first == R_MIPS_PC32:
            return R_PC32_64
        if first == R_MIPS_REL32:
            return R_MIPS_64
    return R_UNKNOWN


cdef void join_n64(const File* f, Rela* rows, uint32_t count) noexcept nogil:
    """The record is a word with the symbol, a byte with a special symbol and the types, the last first. Big-endian
    reading as one doubleword has the first type in its lowest byte."""
    cdef uint32_t i, types
    for i in range(count):
        if f.flags & FILE_SWAP:
            types = rows[i].r_type
        else:
            types = bswap32(rows[i].r_sym)
            rows[i].r_sym = rows[i].r_type
        if types >> 24:
            rows[i].r_type = R_UNKNOWN
        else:
            rows[i].r_type = compose(types & 0xff, types >> 8 & 0xff, types >> 16 & 0xff)


cdef void join_n32(Rela* rows, uint32_t count) noexcept nogil:
    """Records for the same place work on each other's results; the first one names the symbol."""
    cdef uint32_t i = 0, n, third
    while i < count:
        n = 1
        while n < 3 and i + n < count and rows[i + n].r_offset == rows[i].r_offset and rows[i + n].r_type != R_MIPS_NONE \
                and rows[i + n].r_sym == 0:
            n += 1
        if n > 1:
            third = rows[i + 2].r_type if n > 2 else 0
            rows[i].r_type = compose(rows[i].r_type, rows[i + 1].r_type, third)
            rows[i + 1].r_type = R_PART + (rows[i + 1].r_type & 0xff)
            if n > 2:
                rows[i + 2].r_type = R_PART + (rows[i + 2].r_type & 0xff)
        i += n


cdef uint32_t record_type(const Columns* c, uint32_t type) noexcept nogil:
    """The types of a record again: N64 has three in one, N32 a record for each."""
    cdef uint32_t types
    if type >= R_PART:
        return type - R_PART
    if type == R_GPNEG_HI16 or type == R_GPNEG_LO16:
        types = R_MIPS_GPREL16 | R_MIPS_SUB << 8 | (R_MIPS_HI16 if type == R_GPNEG_HI16 else R_MIPS_LO16) << 16
    elif type == R_GPREL32_64:
        types = R_MIPS_GPREL32 | R_MIPS_64 << 8
    elif type == R_PC32_64:
        types = R_MIPS_PC32 | R_MIPS_64 << 8
    elif type == R_MICRO_GPNEG_HI16 or type == R_MICRO_GPNEG_LO16:
        types = (R_MICROMIPS_GPREL16 | R_MICROMIPS_SUB << 8
                 | (R_MICROMIPS_HI16 if type == R_MICRO_GPNEG_HI16 else R_MICROMIPS_LO16) << 16)
    else:
        types = type
    return types if c.split_info else types & 0xff


cdef uint64_t input_gp(const File* f) noexcept nogil:
    """What GP-relative addends of local symbols count from: $gp of the link that has made the file (ld -r), else 0."""
    cdef uint32_t i
    cdef const Shdr* s
    cdef bint swap = f.flags & FILE_SWAP != 0
    for i in range(1, f.shnum):
        s = &f.shdrs[i]
        if s.sh_type == SHT_MIPS_REGINFO and s.sh_size >= 24 and in_range(s.sh_offset, 24, f.size):
            return load32(f.data + s.sh_offset + 20, swap)
        if s.sh_type == SHT_MIPS_OPTIONS and s.sh_size >= 40 and in_range(s.sh_offset, 40, f.size) \
                and f.data[s.sh_offset] == 1:
            return load64(f.data + s.sh_offset + 32, swap)
    return 0


cdef inline bint is_gprel(uint32_t type) noexcept nogil:
    return (type == R_MIPS_GPREL16 or type == R_MIPS_LITERAL or type == R_MIPS_GPREL32 or type == R_MIPS16_GPREL
            or type == R_MICROMIPS_GPREL16 or type == R_MICROMIPS_LITERAL or R_GPNEG_HI16 <= type <= R_GPREL32_64
            or type == R_MICRO_GPNEG_HI16 or type == R_MICRO_GPNEG_LO16)


cdef void count_from_gp(const File* f, Rela* rows, uint32_t count) noexcept nogil:
    cdef uint32_t i
    cdef uint64_t gp = input_gp(f)
    if gp == 0:
        return
    for i in range(count):
        if is_gprel(rows[i].r_type) and rows[i].r_sym < f.first_global:
            rows[i].r_addend += <int64_t>gp


cdef void join_records(const File* f, Rela* rows, uint32_t count) noexcept nogil:
    if not f.flags & FILE_ELF32:
        join_n64(f, rows, count)
        count_from_gp(f, rows, count)
    elif f.e_flags & 0x20:
        join_n32(rows, count)
        count_from_gp(f, rows, count)


cdef uint32_t low_partner(const File* f, const Rela* r) noexcept nogil:
    """The type that has the low half of the addend, 0 none."""
    cdef uint32_t type = r.r_type
    if type == R_MIPS_HI16 or (type == R_MIPS_GOT16 and r.r_sym < f.first_global):
        return R_MIPS_LO16
    if type == R_MIPS_PCHI16:
        return R_MIPS_PCLO16
    if type == R_MIPS16_HI16 or (type == R_MIPS16_GOT16 and r.r_sym < f.first_global):
        return R_MIPS16_LO16
    if type == R_MICROMIPS_HI16 or (type == R_MICROMIPS_GOT16 and r.r_sym < f.first_global):
        return R_MICROMIPS_LO16
    # TLS_DTPREL and TLS_TPREL of each instruction set.
    if type == 44 or type == 49 or type == 108 or type == 111 or type == 164 or type == 169:
        return type + 1
    return 0


cdef uint32_t addend_type(const File* f, const Rela* r) noexcept nogil:
    """A GOT16 of a local symbol holds the high half of an addend."""
    if r.r_sym < f.first_global:
        if r.r_type == R_MIPS_GOT16:
            return R_MIPS_HI16
        if r.r_type == R_MIPS16_GOT16:
            return R_MIPS16_HI16
        if r.r_type == R_MICROMIPS_GOT16:
            return R_MICROMIPS_HI16
    return r.r_type


cdef bint names_pieces(const File* f, uint32_t sym) noexcept nogil:
    """True when the addend chooses among mergeable pieces."""
    cdef uint32_t section
    if sym >= f.first_global or sym >= f.nsyms or f.syms[sym].st_info & 15 != STT_SECTION:
        return False
    section = sym_section(f, sym)
    return section < f.shnum and f.shdrs[section].sh_flags & SHF_MERGE != 0


cdef void join_addends(const Columns* c, const Fragment* frag, Rela* rows, uint32_t count) noexcept nogil:
    """REL: a high half is joined with the next low half of the same symbol; one without is taken as it is. A low half
    needs only its own bits, unless the whole addend says which piece is meant."""
    cdef const File* f = &c.files[frag.file]
    cdef uint32_t i, k, partner
    cdef int64_t high
    cdef bint found
    for i in range(count):
        partner = low_partner(f, &rows[i])
        if partner == 0:
            continue
        if rows[i].r_type == R_MIPS_GOT16 or rows[i].r_type == R_MIPS16_GOT16 or rows[i].r_type == R_MICROMIPS_GOT16:
            rows[i].r_addend = <int64_t>(<uint64_t>rows[i].r_addend << 16)
        high = rows[i].r_addend
        found = False
        for k in range(i + 1, count):
            if rows[k].r_sym != rows[i].r_sym:
                continue
            if rows[k].r_type == partner:
                if not found:
                    rows[i].r_addend = <int32_t><uint32_t>(<uint64_t>high + <uint64_t>rows[k].r_addend)
                found = True
                if not names_pieces(f, rows[k].r_sym):
                    break
                rows[k].r_addend = <int32_t><uint32_t>(<uint64_t>high + <uint64_t>rows[k].r_addend)
            elif found and low_partner(f, &rows[k]) == partner:
                break
    count_from_gp(f, rows, count)


# ---- verdicts

cdef inline bint is_gp_disp(const Columns* c, const File* f, uint32_t sym) noexcept nogil:
    cdef uint32_t gid = symbol_gid(f, sym)
    cdef const Global* g
    if gid == 0 or not c.gflags[gid] & G_LINKER:
        return False
    g = &c.globals[gid]
    return g.name_len == 8 and g.name[0] == c'_' and g.name[1] == c'g' and g.name[3] == c'_' and g.name[7] == c'p'


cdef uint8_t choose_slot(const Columns* c, const File* f, const Rela* r, uint8_t family) noexcept nogil:
    cdef uint32_t gid = symbol_gid(f, r.r_sym)
    cdef bint imported = gid != 0 and (c.gflags[gid] & G_KIND_MASK) >= G_IMPORT_DATA
    if family == FAMILY_GOT16:
        return A_PAGE if gid == 0 else A_GOT
    if family == FAMILY_CALL:
        return A_CALL
    if family == FAMILY_GOT:
        return A_GOT
    if family == FAMILY_PAGE:
        return A_GOT if imported else A_PAGE
    if family == FAMILY_OFST:
        return A_OFST_GLOBAL if imported else A_OFST
    if family == FAMILY_GD:
        return A_GD
    return A_GOTTP if family == FAMILY_IE else A_LD


cdef uint8_t choose_relaxation(const Columns* c, const Fragment* frag, uint32_t index, uint32_t wish,
                               uint32_t* skip) noexcept nogil:
    cdef const Rela* r = &frag.relocs[index]
    cdef const File* f = &c.files[frag.file]
    cdef uint8_t family = (<const Ops*>c.ops).types[r.r_type].relax
    if wish == RELAX_SLOT:
        return choose_slot(c, f, r, family)
    if wish == RELAX_LD_LE:
        return A_LD
    if wish == RELAX_HINT:
        return A_JALR
    if wish == RELAX_FORM:
        if family == FAMILY_HALF:
            return A_GP_DISP if is_gp_disp(c, f, r.r_sym) else 0
        if family == FAMILY_GPREL:
            return A_GPREL
        if family == FAMILY_GPNEG:
            return A_GPNEG
        if family == FAMILY_JUMP:
            return A_JUMP
        if family == FAMILY_PC8:
            return A_PC8
        if family == FAMILY_PC4:
            return A_PC4
    return 0


# ---- doing it

cdef inline uint8_t symbol_other(const Columns* c, const File* f, uint32_t sym) noexcept nogil:
    """st_other of the definition."""
    cdef uint32_t gid = symbol_gid(f, sym)
    return c.globals[gid].other if gid != 0 else f.syms[sym].st_other


cdef void apply_slot(Place* p, const Rela* r, const RelocType* t, uint8_t verdict) noexcept nogil:
    """Distance of a slot from $gp of the file."""
    cdef Columns* c = p.c
    cdef const File* f = &c.files[p.frag.file]
    cdef const GotTable* table = <const GotTable*>c.arch
    cdef uint64_t offset
    cdef int64_t page
    cdef uint32_t row
    cdef Entry key
    if verdict == A_PAGE:
        page = page_slot(c, p.frag.file, page_of(symbol_address(c, f, r.r_sym, r.r_addend) + <uint64_t>r.r_addend))
        if page < 0:
            fault_value(p, FAULT_OVERFLOW, 0, t.low, t.high)
            return
        offset = <uint64_t>page
    else:
        make_key(f, p.frag.file, r.r_sym, r.r_addend, kind_of(verdict), &key)
        key.got = table.file_got[p.frag.file]
        row = find_entry(&table.entries, &key)
        if row == 0:
            # Slots of imported names hold their addresses without an addend.
            key.addend = 0
            row = find_entry(&table.entries, &key)
        offset = entry_offset(c, table, &table.entries.rows[row])
    store_checked(p, t, c.frag_addr[c.special[SPECIAL_GOT]] + offset - file_gp(c, p.frag.file))


cdef void apply_jalr(Place* p, const Rela* r) noexcept nogil:
    """JALR $25 -> BAL, JR $25 -> B, where that reaches and the instruction set stays the same."""
    cdef Columns* c = p.c
    cdef const File* f = &c.files[p.frag.file]
    cdef uint32_t insn
    cdef int64_t distance
    if p.P & 3 or p.frag.size < 4 or r.r_offset > p.frag.size - 4:
        return
    if symbol_other(c, f, r.r_sym) & STO_COMPRESSED:
        return
    insn = load32(p.loc, c.swap)
    if insn == 0x0320f809U:
        insn = 0x04110000U
    elif insn == 0x03200008U or insn == 0x03200009U:
        insn = 0x10000000U
    else:
        return
    distance = <int64_t>(symbol_address(c, f, r.r_sym, r.r_addend) + <uint64_t>r.r_addend - p.P - 4)
    if c.elf32:
        distance = <int32_t><uint32_t>distance
    if distance < -0x20000 or distance > 0x1ffff or distance & 3:
        return
    store32(p.loc, insn | (<uint32_t>(distance >> 2) & 0xffff), c.swap)


cdef inline bint is_pc_relative(const RelocType* t) noexcept nogil:
    return t.reference == R_P


cdef bint switch_mode(Place* p, uint32_t type, bint to_compressed) noexcept nogil:
    """A jump to code of the other kind of instruction set becomes JALX; False when it is none that may."""
    cdef bint swap = p.c.swap
    cdef uint32_t insn
    if type == R_MIPS_26:
        insn = load32(p.loc, swap)
        if not to_compressed:
            return insn >> 26 != 0x1d
        if insn >> 26 != 3 and insn >> 26 != 0x1d:
            return False
        store32(p.loc, 0x74000000U | (insn & 0x3ffffff), swap)
        return True
    if type == R_MICROMIPS_26_S1:
        insn = load16(p.loc, swap)
        if to_compressed:
            return insn >> 10 != 0x3c
        if insn >> 10 != 0x3d and insn >> 10 != 0x3c:
            return False
        store16(p.loc, <uint16_t>(0xf000 | (insn & 0x3ff)), swap)
        return True
    if type == R_MIPS16_26:
        insn = load16(p.loc, swap)
        if to_compressed:
            return insn & 0x400 == 0
        store16(p.loc, <uint16_t>(insn | 0x400), swap)
        return True
    return not to_compressed


cdef void apply_jump(Place* p, const Rela* r, const RelocType* t, uint8_t verdict) noexcept nogil:
    """Jumps keep the high bits of the address behind them; branches count from the field."""
    cdef Columns* c = p.c
    cdef const File* f = &c.files[p.frag.file]
    cdef const Aux* aux = symbol_aux(c, f, r.r_sym)
    cdef uint32_t gid = symbol_gid(f, r.r_sym)
    cdef uint64_t S, region
    cdef bint compressed
    if verdict == A_JUMP_THUNK:
        S = thunk_address(c, thunk_ref(c, p.frag_id, p.index).thunk)
        compressed = False
    elif aux.plt >= 0:
        S = plt_address(c, aux)
        compressed = False
    else:
        S = symbol_address(c, f, r.r_sym, r.r_addend)
        compressed = symbol_other(c, f, r.r_sym) & STO_COMPRESSED != 0
        if gid != 0 and c.gflags[gid] & G_UNDEF_WEAK and S == 0:
            # Never taken: whoever calls such a function has asked before.
            store_field(c, p.ops, t, p.loc, 0)
            return
    S = (S & ~<uint64_t>1) + <uint64_t>r.r_addend
    if is_pc_relative(t):
        if compressed != is_compressed_type(r.r_type) and symbol_is_code(c, f, r.r_sym) and aux.plt < 0:
            # There is no branch that changes the instruction set.
            fault_value(p, FAULT_BAD_INSTRUCTION, 0, 0, 0)
            return
        store_checked(p, t, S - p.P)
        return
    if symbol_is_code(c, f, r.r_sym) or verdict == A_JUMP_THUNK:
        if not switch_mode(p, r.r_type, compressed):
            fault_value(p, FAULT_BAD_INSTRUCTION, 0, 0, 0)
            return
    region = 0x8000000 if r.r_type == R_MICROMIPS_26_S1 and load16(p.loc, c.swap) >> 10 != 0x3c else 0x10000000
    if (S ^ (p.P + 4)) & ~(region - 1) & (0xffffffffU if c.elf32 else ~<uint64_t>0):
        fault_value(p, FAULT_OVERFLOW, <int64_t>S, <int64_t>((p.P + 4) & ~(region - 1)),
                    <int64_t>((p.P + 4) | (region - 1)))
    elif S & ((1 if region == 0x8000000 else 3)):
        fault_value(p, FAULT_MISALIGNED, <int64_t>S, 2 if region == 0x8000000 else 4, 0)
    store_field(c, p.ops, t, p.loc, <int64_t>S)


cdef inline bint is_compressed_type(uint32_t type) noexcept nogil:
    return 100 <= type <= 113 or 133 <= type <= 173


cdef inline bint symbol_is_code(const Columns* c, const File* f, uint32_t sym) noexcept nogil:
    """True when st_other tells the instruction set: labels of data have none."""
    cdef uint32_t gid = symbol_gid(f, sym)
    cdef uint8_t type = c.globals[gid].type if gid != 0 else f.syms[sym].st_info & 15
    return type != STT_SECTION


cdef void apply_relaxed(Place* p, uint8_t verdict) noexcept nogil:
    cdef Columns* c = p.c
    cdef const Rela* r = &p.frag.relocs[p.index]
    cdef const RelocType* t = &p.ops.types[r.r_type]
    cdef const File* f = &c.files[p.frag.file]
    cdef uint64_t value
    if verdict < SLOT_VERDICTS:
        apply_slot(p, r, t, verdict)
    elif verdict == A_JUMP or verdict == A_JUMP_THUNK:
        apply_jump(p, r, t, verdict)
    elif verdict == A_JALR:
        apply_jalr(p, r)
    elif verdict == A_GP_DISP:
        # The low half stands one instruction further, and means the same distance.
        value = file_gp(c, p.frag.file) - p.P + <uint64_t>r.r_addend
        if r.r_type == R_MIPS_LO16 or r.r_type == R_MIPS16_LO16 or r.r_type == R_MICROMIPS_LO16:
            value += 4
        if r.r_type == R_MIPS16_HI16:
            # PC of the ADDIU that stands four bytes on, without its low bits.
            value = file_gp(c, p.frag.file) - ((p.P + 4) & ~<uint64_t>3) + <uint64_t>r.r_addend
        elif r.r_type == R_MIPS16_LO16:
            value = file_gp(c, p.frag.file) - (p.P & ~<uint64_t>3) + <uint64_t>r.r_addend
        elif is_compressed_type(r.r_type):
            # $25 is odd in microMIPS.
            value -= 1
        store_checked(p, t, value)
    elif verdict == A_PC8 or verdict == A_PC4:
        value = symbol_address(c, f, r.r_sym, r.r_addend) + <uint64_t>r.r_addend
        store_checked(p, t, value - (p.P & ~<uint64_t>(7 if verdict == A_PC8 else 3)))
    elif verdict == A_OFST_GLOBAL:
        store_checked(p, t, <uint64_t>r.r_addend)
    else:
        value = symbol_address(c, f, r.r_sym, r.r_addend) + <uint64_t>r.r_addend
        if verdict == A_OFST:
            store_checked(p, t, value - page_of(value))
        elif verdict == A_GPREL:
            store_checked(p, t, value - file_gp(c, p.frag.file))
        else:
            store_checked(p, t, file_gp(c, p.frag.file) - value)


cdef void describe_relaxed(const Rela* r, uint8_t verdict, Rela* out) noexcept nogil:
    out[0] = r[0]


cdef void fill_code(uint8_t* out, uint64_t size) noexcept nogil:
    """NOP is 0 in all but microMIPS of 16 bits, and harmless there too."""
    cdef uint64_t i
    for i in range(size):
        out[i] = 0


# ---- thunks

cdef uint32_t choose_thunk(const Columns* c, const Branch* b, uint32_t* landing) noexcept nogil:
    """A function of PIC finds its $gp through $25, so direct jumps of other code have it set on the way."""
    cdef uint32_t gid = symbol_gid(b.f, b.r.r_sym)
    cdef const Global* g = &c.globals[gid]
    if gid == 0 or b.plt or c.pic or g.frag == 0 or b.t.relax != FAMILY_JUMP:
        return 0
    if b.f.e_flags & EF_MIPS_PIC or g.other & STO_COMPRESSED:
        return 0
    if g.other & 0xfc != STO_MIPS_PIC and not (c.files[c.frags[g.frag].file].e_flags & EF_MIPS_PIC):
        return 0
    return THUNK_LA25_PC if is_pc_relative(b.t) else THUNK_LA25


cdef void write_la25(uint8_t* out, uint32_t kind, uint64_t address, uint64_t target, bint swap, bint r6) noexcept nogil:
    if kind == THUNK_LA25_PC:
        target += 4
    store32(out, 0x3c190000U | <uint32_t>(hi16(<int64_t>target) & 0xffff), swap)         # lui $25, %hi
    if ((target ^ (address + 8)) & 0xf0000000U) == 0:
        store32(out + 4, 0x08000000U | (<uint32_t>(target >> 2) & 0x3ffffff), swap)        # j
        store32(out + 8, 0x27390000U | <uint32_t>(target & 0xffff), swap)                  # addiu $25, $25, %lo
        store32(out + 12, 0, swap)
    else:
        store32(out + 4, 0x27390000U | <uint32_t>(target & 0xffff), swap)
        store32(out + 8, 0x03200009U if r6 else 0x03200008U, swap)                         # jr $25
        store32(out + 12, 0, swap)


cdef void write_thunk(uint8_t* out, uint32_t kind, uint64_t address, uint64_t target, bint swap, Columns* c,
                      const Thunk* thunk) noexcept nogil:
    write_la25(out, kind, address, target, swap, False)


cdef void write_thunk_r6(uint8_t* out, uint32_t kind, uint64_t address, uint64_t target, bint swap, Columns* c,
                         const Thunk* thunk) noexcept nogil:
    write_la25(out, kind, address, target, swap, True)


# ---- PLT: of executables at fixed addresses, whose code calls without $gp. $24 gets the index, $28 or $14 .got.plt.

cdef void put_header(uint8_t* out, const PltEntry* e, uint32_t reg, bint wide) noexcept nogil:
    cdef bint swap = e.swap
    cdef uint32_t high = <uint32_t>hi16(<int64_t>e.gotplt) & 0xffff, low = <uint32_t>e.gotplt & 0xffff
    store32(out, 0x3c000000U | reg << 16 | high, swap)                                     # lui reg, %hi
    store32(out + 4, (0xdc190000U if wide else 0x8c190000U) | reg << 21 | low, swap)       # l[wd] $25, %lo(reg)
    store32(out + 8, 0x24000000U | reg << 21 | reg << 16 | low, swap)                      # addiu reg, reg, %lo
    store32(out + 12, 0x0300c023U | reg << 16, swap)                                       # subu $24, $24, reg
    store32(out + 16, 0x03e07825U, swap)                                                   # move $15, $31
    store32(out + 20, 0x0018c0c2U if wide else 0x0018c082U, swap)                          # srl $24, $24, 2 or 3
    store32(out + 24, 0x0320f809U, swap)                                                   # jalr $25
    store32(out + 28, 0x2718fffeU, swap)                                                   # addiu $24, $24, -2


cdef void put_entry(uint8_t* out, const PltEntry* e, bint wide, bint r6) noexcept nogil:
    cdef bint swap = e.swap
    cdef uint32_t high = <uint32_t>hi16(<int64_t>e.slot) & 0xffff, low = <uint32_t>e.slot & 0xffff
    store32(out, 0x3c0f0000U | high, swap)                                                 # lui $15, %hi
    store32(out + 4, (0xddf90000U if wide else 0x8df90000U) | low, swap)                   # l[wd] $25, %lo($15)
    store32(out + 8, 0x03200009U if r6 else 0x03200008U, swap)                             # jr $25
    store32(out + 12, 0x25f80000U | low, swap)                                             # addiu $24, $15, %lo


cdef void header_o32(uint8_t* out, const PltEntry* e) noexcept nogil:
    put_header(out, e, 28, False)

cdef void header_n32(uint8_t* out, const PltEntry* e) noexcept nogil:
    put_header(out, e, 14, False)

cdef void header_n64(uint8_t* out, const PltEntry* e) noexcept nogil:
    put_header(out, e, 14, True)

cdef void entry_32(uint8_t* out, const PltEntry* e) noexcept nogil:
    put_entry(out, e, False, False)

cdef void entry_32_r6(uint8_t* out, const PltEntry* e) noexcept nogil:
    put_entry(out, e, False, True)

cdef void entry_64(uint8_t* out, const PltEntry* e) noexcept nogil:
    put_entry(out, e, True, False)

cdef void entry_64_r6(uint8_t* out, const PltEntry* e) noexcept nogil:
    put_entry(out, e, True, True)


cdef void set_style(PltStyle* s, plt_writer_t header, plt_writer_t entry) noexcept:
    s.header_size = 32
    s.entry_size = s.got_size = 16
    s.push_offset = PUSH_HEADER
    s.align = 16
    s.header = header
    s.entry = s.got = entry


def use_r6(OpsTable table not None):
    """JR of thunks is Release 6's."""
    table.ops.write_thunk = write_thunk_r6


def connect_mips(OpsTable table not None):
    """Gives `table` the functions of MIPS; PLT styles: O32, N32, N64, and the same for Release 6. The numbers of the
    fields are those of mclink.target.mips.FIELDS."""
    cdef Ops* o = &table.ops
    set_style(&o.styles[0], header_o32, entry_32)
    set_style(&o.styles[1], header_n32, entry_32)
    set_style(&o.styles[2], header_n64, entry_64)
    set_style(&o.styles[3], header_o32, entry_32_r6)
    set_style(&o.styles[4], header_n32, entry_32_r6)
    set_style(&o.styles[5], header_n64, entry_64_r6)
    o.plt = o.styles[0]
    o.join_records = join_records
    o.record_type = record_type
    o.join_addends = join_addends
    o.addend_type = addend_type
    o.choose_relaxation = choose_relaxation
    o.apply_relaxed = apply_relaxed
    o.describe_relaxed = describe_relaxed
    o.fill_code = fill_code
    o.choose_thunk = choose_thunk
    o.write_thunk = write_thunk
    o.branch_verdict = A_JUMP
    o.thunk_verdict = A_JUMP_THUNK
    o.thunk_align = 4
    o.thunk_spacing = 120 << 20
    o.thunk_sizes[THUNK_LA25] = o.thunk_sizes[THUNK_LA25_PC] = 16
    o.write_field[0] = write_imm16
    o.read_field[0] = read_imm16
    o.write_field[1] = write_hi16
    o.read_field[1] = read_hi16
    o.write_field[2] = write_higher
    o.write_field[3] = write_highest
    o.write_field[4] = write_jump
    o.read_field[4] = read_jump
    o.write_field[5] = write_pc16
    o.read_field[5] = read_pc16
    o.write_field[6] = write_pc21
    o.read_field[6] = read_pc21
    # R_MIPS_PC26_S2 has the bits of a jump.
    o.write_field[7] = write_jump
    o.read_field[7] = read_jump
    o.write_field[8] = write_pc18
    o.read_field[8] = read_pc18
    o.write_field[9] = write_pc19
    o.read_field[9] = read_pc19
    o.write_field[10] = write_micro_imm16
    o.read_field[10] = read_micro_imm16
    o.write_field[11] = write_micro_hi16
    o.read_field[11] = read_micro_hi16
    o.write_field[12] = write_micro_higher
    o.write_field[13] = write_micro_highest
    o.write_field[14] = write_micro_jump
    o.read_field[14] = read_micro_jump
    o.write_field[15] = write_micro_pc16
    o.read_field[15] = read_micro_pc16
    o.write_field[16] = write_micro_pc7
    o.read_field[16] = read_micro_pc7
    o.write_field[17] = write_micro_pc10
    o.read_field[17] = read_micro_pc10
    o.write_field[18] = write_micro_gprel7
    o.read_field[18] = read_micro_gprel7
    o.write_field[19] = write_micro_pc23
    o.read_field[19] = read_micro_pc23
    o.write_field[20] = write_m16_imm16
    o.read_field[20] = read_m16_imm16
    o.write_field[21] = write_m16_hi16
    o.read_field[21] = read_m16_hi16
    o.write_field[22] = write_m16_jump
    o.read_field[22] = read_m16_jump
    o.write_field[23] = write_m16_pc16
    o.read_field[23] = read_m16_pc16
    o.write_field[24] = write_shift6
    o.read_field[24] = read_shift6


def file_flags(Tables tables not None):
    """(file id, e_flags, e_flags of the ELF header's class: 32 or 64) of every live object, in link order."""
    cdef Columns* c = &tables.c
    cdef uint32_t i
    return [(c.live[i], c.files[c.live[i]].e_flags, 32 if c.files[c.live[i]].flags & FILE_ELF32 else 64)
            for i in range(c.nlive) if c.files[c.live[i]].kind == FILE_OBJECT]
