# cython: wraparound=True
# (Pointers are indexed backwards here, where opcode and prefix stand; the directive only silences a warning.)
"""Level 2: amd64 instructions. See the System V ABI AMD64 Architecture Processor Supplement (psABI), chapters
"Procedure Linkage Table", "Optimize GOTPCRELX Relocations" and "Thread-Local Storage Descriptors", and
Drepper's "ELF Handling For Thread-Local Storage" for the TLS sequences.

A RIP-relative operand is [prefix] opcode modrm disp32, and the relocation stands on disp32 with A = -4, since
RIP is the address of the next instruction. In modrm, mod = 00 and rm = 101 say "RIP-relative"; the
register is in bits 3..5, its high bit in the prefix. Turning the memory operand into an immediate moves
the register from reg to rm, and its high bits within the prefix: REX.R to REX.B, REX2 and EVEX alike.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int32_t, int64_t
from libc.string cimport memcpy, memcmp, memset
from mclink._core.bytes cimport load32, store32
from mclink._core.elf cimport Rela, SHF_X86_64_LARGE
from mclink._core.formula cimport symbol_address, symbol_aux, symbol_gid, slot_address, store_checked
from mclink._core.ops cimport *
from mclink._core.tables cimport *

cdef enum:                   # RelocType.relax; keep in step with mclink.target.x86_64.FAMILIES
    FAMILY_GOT = 1           # GOTPCREL: no promise about the instruction; only mov is recognised
    FAMILY_GOT_X = 2         # GOTPCRELX: no REX prefix
    FAMILY_GOT_REX = 3       # REX_GOTPCRELX
    FAMILY_GOT_REX2 = 4      # CODE_4_GOTPCRELX
    FAMILY_GD = 5
    FAMILY_LD = 6
    FAMILY_DTPOFF = 7
    FAMILY_IE = 8            # GOTTPOFF, REX prefix
    FAMILY_IE_REX2 = 9       # CODE_4_GOTTPOFF
    FAMILY_IE_EVEX = 10      # CODE_6_GOTTPOFF
    FAMILY_DESC = 11         # GOTPC32_TLSDESC, REX prefix
    FAMILY_DESC_REX2 = 12    # CODE_4_GOTPC32_TLSDESC
    FAMILY_DESC_CALL = 13

cdef enum:                   # verdicts
    X_MOV_LEA = 16           # mov slot(%rip), r -> lea sym(%rip), r
    X_MOV_IMM = 17           # mov slot(%rip), r -> mov $sym, r
    X_BINOP_IMM = 18         # add/or/adc/sbb/and/sub/xor/cmp slot(%rip), r -> same $sym, r
    X_TEST_IMM = 19          # test r, slot(%rip) -> test $sym, r
    X_CALL = 20              # call *slot(%rip) -> addr32 call sym
    X_JMP = 21               # jmp *slot(%rip) -> jmp sym; nop
    X_GD_LE = 22             # 16-byte sequence
    X_GD_IE = 23
    X_GD_LE_LARGE = 24       # 22-byte sequence of the large model
    X_GD_IE_LARGE = 25
    X_LD_LE = 26             # 12 bytes: direct call
    X_LD_LE_INDIRECT = 27    # 13 bytes: call through the GOT
    X_LD_LE_LARGE = 28       # 22 bytes
    X_IE_LE = 29             # mov, add -> the same with an immediate
    X_DESC_LE = 30           # lea -> mov $tpoff, r
    X_DESC_IE = 31           # lea -> mov slot(%rip), r
    X_DESC_CALL = 32         # call *(%rax) -> two-byte nop
    X_GD_LE_X32 = 33         # x32: 15-byte sequence
    X_GD_IE_X32 = 34
    X_LD_LE_X32 = 35         # x32: 12 bytes
    X_LD_LE_INDIRECT_X32 = 36 # x32: 13 bytes
    X_DESC_CALL_X32 = 37     # call *(%eax) -> three-byte nop

cdef enum:                   # relocation numbers: of the call to __tls_get_addr, and of relaxed instructions
    R_PC32 = 2
    R_PLT32 = 4
    R_GOTPCREL = 9
    R_32 = 10
    R_32S = 11
    R_GOTTPOFF = 22
    R_TPOFF32 = 23
    R_PLTOFF64 = 31
    R_GOTPCRELX = 41
    R_REX_GOTPCRELX = 42


# ---- relaxations: may it be done?

cdef bint is_large(const Columns* c, const Fragment* frag, uint32_t sym) noexcept nogil:
    """True when the symbol lies in a large-model section, which may be out of reach."""
    cdef const File* f = &c.files[frag.file]
    cdef uint32_t gid = symbol_gid(f, sym)
    cdef uint32_t target
    if gid != 0:
        target = c.globals[gid].frag
    else:
        target = sym_frag(<Columns*>c, f, sym)
    return target != 0 and c.frags[target].sh_flags & SHF_X86_64_LARGE != 0


cdef bint has_partner(const Fragment* frag, uint32_t index, uint64_t offset, bint large) noexcept nogil:
    """True when the next relocation is on the call of __tls_get_addr, at `offset`."""
    cdef const Rela* r
    if index + 1 >= frag.nrelocs:
        return False
    r = &frag.relocs[index + 1]
    if r.r_offset != offset:
        return False
    if large:
        return r.r_type == R_PLTOFF64
    return (r.r_type == R_PLT32 or r.r_type == R_PC32 or r.r_type == R_GOTPCREL
            or r.r_type == R_GOTPCRELX or r.r_type == R_REX_GOTPCRELX)


cdef uint8_t choose_got(const Fragment* frag, const Rela* r, uint8_t family, uint32_t wish) noexcept nogil:
    cdef uint64_t o = r.r_offset
    cdef const uint8_t* d = frag.data + o
    cdef uint8_t op, modrm
    if r.r_addend != -4 or o < 2:
        return 0
    op = d[-2]
    modrm = d[-1]
    if family == FAMILY_GOT_REX and (o < 3 or (d[-3] & 0xf0) != 0x40):
        return 0
    if family == FAMILY_GOT_REX2 and (o < 4 or d[-4] != 0xd5 or d[-3] & 0x80):
        return 0
    if op == 0xff and family == FAMILY_GOT_X and wish != RELAX_GOT_NUMBER:
        if modrm == 0x15:
            return X_CALL
        return X_JMP if modrm == 0x25 else 0
    if (modrm & 0xc7) != 0x05:
        return 0
    if op == 0x8b and wish != RELAX_GOT_NUMBER:
        return X_MOV_LEA
    if family == FAMILY_GOT or wish == RELAX_GOT_ADDRESS:
        return 0
    if op == 0x8b:
        return X_MOV_IMM
    if op == 0x85:
        return X_TEST_IMM
    return X_BINOP_IMM if (op & 0xc7) == 0x03 else 0


cdef bint is_large_call(const uint8_t* d) noexcept nogil:
    """movabs $__tls_get_addr@pltoff, %rax; add %r15 or %rbx, %rax; call *%rax."""
    return (memcmp(d, b"\x48\xb8", 2) == 0 and memcmp(d + 13, b"\xff\xd0", 2) == 0
            and (memcmp(d + 10, b"\x4c\x01\xf8", 3) == 0 or memcmp(d + 10, b"\x48\x01\xd8", 3) == 0))


cdef uint8_t choose_gd_x32(const Fragment* frag, uint32_t index, bint le) noexcept nogil:
    """x32 has no prefix in front of lea."""
    cdef uint64_t o = frag.relocs[index].r_offset
    cdef const uint8_t* d = frag.data + o
    if o < 3 or o + 12 > frag.size or memcmp(d - 3, b"\x48\x8d\x3d", 3) != 0 or not has_partner(frag, index, o + 8, False):
        return 0
    if memcmp(d + 4, b"\x66\x66\x48\xe8", 4) == 0 or memcmp(d + 4, b"\x66\x48\xff\x15", 4) == 0 \
            or memcmp(d + 4, b"\x66\x48\x67\xe8", 4) == 0:
        return X_GD_LE_X32 if le else X_GD_IE_X32
    return 0


cdef uint8_t choose_gd(const Fragment* frag, uint32_t index, bint le) noexcept nogil:
    cdef uint64_t o = frag.relocs[index].r_offset
    cdef const uint8_t* d = frag.data + o
    if o >= 4 and o + 12 <= frag.size and memcmp(d - 4, b"\x66\x48\x8d\x3d", 4) == 0:
        if (memcmp(d + 4, b"\x66\x66\x48\xe8", 4) == 0 or memcmp(d + 4, b"\x66\x48\xff\x15", 4) == 0
                or memcmp(d + 4, b"\x66\x48\x67\xe8", 4) == 0) and has_partner(frag, index, o + 8, False):
            return X_GD_LE if le else X_GD_IE
    if o >= 3 and o + 19 <= frag.size and memcmp(d - 3, b"\x48\x8d\x3d", 3) == 0:
        if is_large_call(d + 4) and has_partner(frag, index, o + 6, True):
            return X_GD_LE_LARGE if le else X_GD_IE_LARGE
    return 0


cdef uint8_t choose_ld(const Fragment* frag, uint32_t index) noexcept nogil:
    cdef uint64_t o = frag.relocs[index].r_offset
    cdef const uint8_t* d = frag.data + o
    if o < 3 or o + 9 > frag.size or memcmp(d - 3, b"\x48\x8d\x3d", 3) != 0:
        return 0
    if d[4] == 0xe8 and has_partner(frag, index, o + 5, False):
        return X_LD_LE
    if o + 10 <= frag.size and has_partner(frag, index, o + 6, False) \
            and (memcmp(d + 4, b"\xff\x15", 2) == 0 or memcmp(d + 4, b"\x67\xe8", 2) == 0):
        return X_LD_LE_INDIRECT
    if o + 19 <= frag.size and is_large_call(d + 4) and has_partner(frag, index, o + 6, True):
        return X_LD_LE_LARGE
    return 0


cdef bint has_prefix(const Fragment* frag, uint64_t o, uint8_t family, bint x32) noexcept nogil:
    """True when a prefix of the family's kind stands in front of opcode and modrm: a 64-bit one, or any on x32."""
    cdef const uint8_t* d = frag.data + o
    if family == FAMILY_IE or family == FAMILY_DESC:
        return o >= 3 and (d[-3] & (0xf0 if x32 else 0xf8)) == (0x40 if x32 else 0x48)
    if family == FAMILY_IE_REX2 or family == FAMILY_DESC_REX2:
        return o >= 4 and d[-4] == 0xd5 and (d[-3] & 0x88) == 0x08
    # EVEX, map 4 (APX), W = 1.
    return o >= 6 and d[-6] == 0x62 and (d[-5] & 7) == 4 and (d[-4] & 0x80) != 0


cdef uint8_t choose_ie(const Fragment* frag, const Rela* r, uint8_t family, bint x32) noexcept nogil:
    cdef uint64_t o = r.r_offset
    cdef const uint8_t* d = frag.data + o
    if o < 3 or (d[-1] & 0xc7) != 0x05 or not has_prefix(frag, o, family, x32):
        return 0
    if d[-2] == 0x03 or (d[-2] == 0x8b and family != FAMILY_IE_EVEX):
        return X_IE_LE
    # The NDD form with the memory operand second; addition commutes.
    return X_IE_LE if d[-2] == 0x01 and family == FAMILY_IE_EVEX else 0


cdef uint8_t choose_desc(const Fragment* frag, const Rela* r, uint8_t family, uint32_t wish, bint x32) noexcept nogil:
    cdef uint64_t o = r.r_offset
    cdef const uint8_t* d = frag.data + o
    if family == FAMILY_DESC_CALL:
        if x32 and o <= frag.size and frag.size - o >= 3 and memcmp(d, b"\x67\xff\x10", 3) == 0:
            return X_DESC_CALL_X32
        return X_DESC_CALL if o <= frag.size and frag.size - o >= 2 and d[0] == 0xff and d[1] == 0x10 else 0
    if o < 3 or d[-2] != 0x8d or (d[-1] & 0xc7) != 0x05 or not has_prefix(frag, o, family, x32):
        return 0
    return X_DESC_LE if wish == RELAX_DESC_LE else X_DESC_IE


cdef uint8_t choose_relaxation(const Columns* c, const Fragment* frag, uint32_t index, uint32_t wish,
                               uint32_t* skip) noexcept nogil:
    cdef const Rela* r = &frag.relocs[index]
    cdef uint8_t family = (<const Ops*>c.ops).types[r.r_type].relax
    cdef uint8_t verdict
    if frag.data == NULL or wish >= RELAX_SLOT:
        return 0
    if wish <= RELAX_GOT_NUMBER:
        if family > FAMILY_GOT_REX2 or is_large(c, frag, r.r_sym):
            return 0
        return choose_got(frag, r, family, wish)
    if wish == RELAX_GD_LE or wish == RELAX_GD_IE:
        skip[0] = 1
        if c.elf32:
            return choose_gd_x32(frag, index, wish == RELAX_GD_LE)
        return choose_gd(frag, index, wish == RELAX_GD_LE)
    if wish == RELAX_LD_LE:
        skip[0] = 1
        verdict = choose_ld(frag, index)
        if c.elf32 and verdict != 0:
            return X_LD_LE_X32 if verdict == X_LD_LE else X_LD_LE_INDIRECT_X32 if verdict == X_LD_LE_INDIRECT else 0
        return verdict
    if wish == RELAX_IE_LE:
        return choose_ie(frag, r, family, c.elf32)
    return choose_desc(frag, r, family, wish, c.elf32)


# ---- relaxations: doing it

cdef void move_register(uint8_t* loc, uint8_t family) noexcept nogil:
    """Moves the high bits of the register from reg to rm in the prefix."""
    cdef uint8_t p
    if family == FAMILY_GOT_REX or family == FAMILY_IE or family == FAMILY_DESC:
        p = loc[-3]
        loc[-3] = (p & ~<uint8_t>5) | ((p >> 2) & 1)
    elif family == FAMILY_GOT_REX2 or family == FAMILY_IE_REX2 or family == FAMILY_DESC_REX2:
        # REX2 payload: M0 R4 X4 B4 W R3 X3 B3.
        p = loc[-3]
        loc[-3] = (p & ~<uint8_t>0x55) | ((p >> 2) & 0x11)
    elif family == FAMILY_IE_EVEX:
        # EVEX byte 1: ~R3 ~X3 ~B3 ~R4 B4 m m m.
        p = loc[-5]
        loc[-5] = (p & 0x47) | 0x90 | ((p >> 2) & 0x20) | ((~p >> 1) & 8)


cdef void use_immediate(uint8_t* loc, uint8_t opcode, uint8_t digit, uint8_t family) noexcept nogil:
    """Rewrites opcode and modrm to `opcode` /digit with the register as rm."""
    cdef uint8_t reg = (loc[-1] >> 3) & 7
    move_register(loc, family)
    loc[-2] = opcode
    loc[-1] = 0xc0 | (digit << 3) | reg


cdef uint64_t gottp_address(Place* p, const Rela* r) noexcept nogil:
    return slot_address(p.c, symbol_aux(p.c, &p.c.files[p.frag.file], r.r_sym).gottp)


cdef void store_at(Place* p, const RelocType* t, int64_t distance, uint64_t value) noexcept nogil:
    """Stores a 32-bit value `distance` bytes behind the relocation's own field."""
    p.loc += distance
    store_checked(p, t, value)
    p.loc -= distance


# mov %fs:0, %rax
cdef const char* READ_TP = b"\x64\x48\x8b\x04\x25\x00\x00\x00\x00"


cdef void apply_got(Place* p, const Rela* r, const RelocType* t, uint64_t S, uint8_t verdict) noexcept nogil:
    cdef uint8_t* loc = p.loc
    cdef uint64_t distance = S + <uint64_t>r.r_addend - p.P
    if verdict == X_MOV_LEA:
        loc[-2] = 0x8d
        store_checked(p, t, distance)
    elif verdict == X_CALL:
        # The prefix makes up for the shorter opcode and means nothing on a relative call.
        loc[-2] = 0x67
        loc[-1] = 0xe8
        store_checked(p, t, distance)
    elif verdict == X_JMP:
        # One byte shorter: the field and RIP stand one byte earlier.
        loc[-2] = 0xe9
        store_at(p, t, -1, distance + 1)
        loc[3] = 0x90
    else:
        if verdict == X_MOV_IMM:
            use_immediate(loc, 0xc7, 0, t.relax)
        elif verdict == X_TEST_IMM:
            use_immediate(loc, 0xf7, 0, t.relax)
        else:
            use_immediate(loc, 0x81, (loc[-2] >> 3) & 7, t.relax)
        store_checked(p, t, S + <uint64_t>r.r_addend + 4)


cdef void apply_gd(Place* p, const Rela* r, const RelocType* t, uint64_t tpoff, uint8_t verdict) noexcept nogil:
    """mov %fs:0, %rax; then lea tpoff(%rax), %rax or add slot(%rip), %rax."""
    cdef bint large = verdict == X_GD_LE_LARGE or verdict == X_GD_IE_LARGE
    cdef uint8_t* start = p.loc - 3 if large else p.loc - 4
    cdef int64_t field = start + 12 - p.loc
    memcpy(start, READ_TP, 9)
    if verdict == X_GD_LE or verdict == X_GD_LE_LARGE:
        memcpy(start + 9, b"\x48\x8d\x80", 3)
        store_at(p, t, field, tpoff)
    else:
        memcpy(start + 9, b"\x48\x03\x05", 3)
        store_at(p, t, field, gottp_address(p, r) - (p.P + <uint64_t>field + 4))
    if large:
        memcpy(start + 16, b"\x66\x0f\x1f\x44\x00\x00", 6)


cdef void apply_x32(Place* p, const Rela* r, const RelocType* t, uint64_t tpoff, uint8_t verdict) noexcept nogil:
    """The sequences of x32: mov %fs:0, %eax in place of the 64-bit move."""
    cdef uint8_t* start = p.loc - 3
    if verdict == X_DESC_CALL_X32:
        memcpy(p.loc, b"\x0f\x1f\x00", 3)
        return
    if verdict == X_LD_LE_X32:
        memcpy(start, b"\x0f\x1f\x40\x00\x64\x8b\x04\x25\x00\x00\x00\x00", 12)
        return
    if verdict == X_LD_LE_INDIRECT_X32:
        memcpy(start, b"\x66\x0f\x1f\x40\x00\x64\x8b\x04\x25\x00\x00\x00\x00", 13)
        return
    memcpy(start, b"\x64\x8b\x04\x25\x00\x00\x00\x00", 8)
    if verdict == X_GD_LE_X32:
        memcpy(start + 8, b"\x48\x8d\x80", 3)
        store_at(p, t, 8, tpoff)
    else:
        memcpy(start + 8, b"\x48\x03\x05", 3)
        store_at(p, t, 8, gottp_address(p, r) - (p.P + 12))


cdef void apply_ld(uint8_t* loc, uint8_t verdict) noexcept nogil:
    """mov %fs:0, %rax behind as many prefixes as fill the place of the call."""
    cdef uint8_t* start = loc - 3
    if verdict == X_LD_LE:
        memset(start, 0x66, 3)
        memcpy(start + 3, READ_TP, 9)
    elif verdict == X_LD_LE_INDIRECT:
        memset(start, 0x66, 4)
        memcpy(start + 4, READ_TP, 9)
    else:
        memcpy(start, b"\x66\x66\x66\x66\x2e\x0f\x1f\x84\x00\x00\x00\x00\x00", 13)
        memcpy(start + 13, READ_TP, 9)


cdef void apply_relaxed(Place* p, uint8_t verdict) noexcept nogil:
    cdef const Rela* r = &p.frag.relocs[p.index]
    cdef const RelocType* t = &p.ops.types[r.r_type]
    cdef uint64_t S = symbol_address(p.c, &p.c.files[p.frag.file], r.r_sym, r.r_addend)
    # The addend of -4 belongs to RIP; an immediate has none.
    cdef uint64_t tpoff = S + <uint64_t>r.r_addend + 4 - p.c.image.tp
    if verdict <= X_JMP:
        apply_got(p, r, t, S, verdict)
    elif verdict <= X_GD_IE_LARGE:
        apply_gd(p, r, t, tpoff, verdict)
    elif verdict <= X_LD_LE_LARGE:
        apply_ld(p.loc, verdict)
    elif verdict == X_IE_LE:
        use_immediate(p.loc, 0xc7 if p.loc[-2] == 0x8b else 0x81, 0, t.relax)
        store_checked(p, t, tpoff)
    elif verdict == X_DESC_LE:
        use_immediate(p.loc, 0xc7, 0, t.relax)
        store_checked(p, t, tpoff)
    elif verdict == X_DESC_IE:
        p.loc[-2] = 0x8b
        store_checked(p, t, gottp_address(p, r) + <uint64_t>r.r_addend - p.P)
    elif verdict == X_DESC_CALL:
        p.loc[0] = 0x66
        p.loc[1] = 0x90
    else:
        apply_x32(p, r, t, tpoff, verdict)


cdef void describe_relaxed(const Rela* r, uint8_t verdict, Rela* out) noexcept nogil:
    out[0] = r[0]
    if verdict == X_MOV_LEA or verdict == X_CALL or verdict == X_JMP:
        out.r_type = R_PC32
        if verdict == X_JMP:
            out.r_offset -= 1
    elif verdict == X_MOV_IMM or verdict == X_BINOP_IMM or verdict == X_TEST_IMM:
        out.r_type = R_32 if r.r_type == R_GOTPCRELX else R_32S
        out.r_addend += 4
    elif verdict == X_GD_IE or verdict == X_GD_IE_LARGE or verdict == X_GD_IE_X32 or verdict == X_DESC_IE:
        out.r_type = R_GOTTPOFF
        if verdict != X_DESC_IE:
            out.r_offset += 9 if verdict == X_GD_IE_LARGE else 8
    elif verdict == X_GD_LE or verdict == X_GD_LE_LARGE or verdict == X_GD_LE_X32 or verdict == X_IE_LE \
            or verdict == X_DESC_LE:
        out.r_type = R_TPOFF32
        out.r_addend += 4
        if verdict == X_GD_LE or verdict == X_GD_LE_LARGE or verdict == X_GD_LE_X32:
            out.r_offset += 9 if verdict == X_GD_LE_LARGE else 8
    else:
        out.r_type = 0


# ---- PLT

cdef inline void store_rel32(uint8_t* out, uint64_t place, uint64_t target) noexcept nogil:
    """disp32 at address `place`, the last field of its instruction."""
    store32(out, <uint32_t>(target - place - 4), False)


cdef void write_header(uint8_t* out, const PltEntry* e) noexcept nogil:
    """push GOT+8(%rip); jmp *GOT+16(%rip); nop."""
    memcpy(out, b"\xff\x35\x00\x00\x00\x00\xff\x25\x00\x00\x00\x00\x0f\x1f\x40\x00", 16)
    store_rel32(out + 2, e.address + 2, e.gotplt + 8)
    store_rel32(out + 8, e.address + 8, e.gotplt + 16)


cdef void write_entry(uint8_t* out, const PltEntry* e) noexcept nogil:
    """jmp *slot(%rip); push index; jmp header."""
    memcpy(out, b"\xff\x25\x00\x00\x00\x00\x68\x00\x00\x00\x00\xe9\x00\x00\x00\x00", 16)
    store_rel32(out + 2, e.address + 2, e.slot)
    store32(out + 7, e.index, False)
    store_rel32(out + 12, e.address + 12, e.header)


cdef void write_got(uint8_t* out, const PltEntry* e) noexcept nogil:
    """jmp *slot(%rip); xchg %ax, %ax."""
    memcpy(out, b"\xff\x25\x00\x00\x00\x00\x66\x90", 8)
    store_rel32(out + 2, e.address + 2, e.slot)


cdef void write_ibt_entry(uint8_t* out, const PltEntry* e) noexcept nogil:
    """endbr64; jmp *slot(%rip); nop."""
    memcpy(out, b"\xf3\x0f\x1e\xfa\xff\x25\x00\x00\x00\x00\x66\x0f\x1f\x44\x00\x00", 16)
    store_rel32(out + 6, e.address + 6, e.slot)


cdef void write_ibt_lazy(uint8_t* out, const PltEntry* e) noexcept nogil:
    """endbr64; push index; jmp header; xchg %ax, %ax."""
    memcpy(out, b"\xf3\x0f\x1e\xfa\x68\x00\x00\x00\x00\xe9\x00\x00\x00\x00\x66\x90", 16)
    store32(out + 5, e.index, False)
    store_rel32(out + 10, e.address + 10, e.header)


cdef void fill_code(uint8_t* out, uint64_t size) noexcept nogil:
    """The multi-byte NOPs that Intel's and AMD's optimisation manuals recommend, as few as possible."""
    while size >= 9:
        memcpy(out, b"\x66\x0f\x1f\x84\x00\x00\x00\x00\x00", 9)
        out += 9
        size -= 9
    if size == 0:
        return
    if size == 1:
        out[0] = 0x90
    elif size == 2:
        memcpy(out, b"\x66\x90", 2)
    elif size == 3:
        memcpy(out, b"\x0f\x1f\x00", 3)
    elif size == 4:
        memcpy(out, b"\x0f\x1f\x40\x00", 4)
    elif size == 5:
        memcpy(out, b"\x0f\x1f\x44\x00\x00", 5)
    elif size == 6:
        memcpy(out, b"\x66\x0f\x1f\x44\x00\x00", 6)
    elif size == 7:
        memcpy(out, b"\x0f\x1f\x80\x00\x00\x00\x00", 7)
    else:
        memcpy(out, b"\x0f\x1f\x84\x00\x00\x00\x00\x00", 8)


# ---- connecting

cdef void set_style(PltStyle* s, uint32_t lazy_size, uint32_t got_size, uint32_t push_offset,
                    plt_writer_t entry, plt_writer_t lazy, plt_writer_t got) noexcept nogil:
    s.header_size = 16
    s.entry_size = 16
    s.lazy_size = lazy_size
    s.got_size = got_size
    s.push_offset = push_offset
    s.align = 16
    s.header = write_header
    s.entry = entry
    s.lazy = lazy
    s.got = got


def connect_amd64(OpsTable table not None):
    """Gives `table` the functions of amd64; PLT style 0 is the usual one, 1 the one for IBT."""
    cdef Ops* o = &table.ops
    set_style(&o.styles[0], 0, 8, 6, write_entry, NULL, write_got)
    set_style(&o.styles[1], 16, 16, 0, write_ibt_entry, write_ibt_lazy, write_ibt_entry)
    o.choose_relaxation = choose_relaxation
    o.apply_relaxed = apply_relaxed
    o.describe_relaxed = describe_relaxed
    o.fill_code = fill_code
    table.use_plt(0)
