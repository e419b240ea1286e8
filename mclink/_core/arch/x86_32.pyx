# cython: wraparound=True
# (Pointers are indexed backwards here, where opcode and modrm stand; the directive only silences a warning.)
"""Level 2: i386 instructions. See the System V ABI Intel386 Architecture Processor Supplement, version 1.x
(H.J. Lu), chapters "Procedure Linkage Table" and "Linker Optimization", and Drepper's "ELF Handling For
Thread-Local Storage" for the TLS sequences; descriptors are in Alexandre Oliva's TLSDESC for x86.

There is no PC-relative addressing: position-independent code keeps GOT in a register (%ebx where PLT entries are
called) and reaches data as disp32(%reg). modrm is mod << 6 | reg << 3 | rm; mod = 10 says disp32(%rm), mod = 00 with
rm = 101 says disp32 alone. A relocation stands on disp32 and its addend is what the field holds.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memcmp
from mclink._core.bytes cimport store32
from mclink._core.elf cimport Rela, SHF_EXECINSTR
from mclink._core.formula cimport symbol_address, symbol_aux, slot_address
from mclink._core.ops cimport *
from mclink._core.tables cimport *

cdef enum:                   # RelocType.relax; keep in step with mclink.target.i386.FAMILIES
    FAMILY_GOT = 1           # GOT32: no promise about the instruction; only mov is recognised
    FAMILY_GOT_X = 2         # GOT32X
    FAMILY_GD = 3
    FAMILY_LD = 4
    FAMILY_DTPOFF = 5
    FAMILY_IE = 6            # absolute address of the slot
    FAMILY_GOTIE = 7         # slot relative to GOT
    FAMILY_IE_DOWN = 8       # the same, and the slot counts downwards
    FAMILY_LE_DOWN = 9       # TP - S in the instruction
    FAMILY_DESC = 10
    FAMILY_DESC_CALL = 11

cdef enum:                   # verdicts
    X_SLOT = 16              # address of the slot, not its distance from GOT
    X_MOV_LEA = 17           # mov slot(%r), r -> lea sym@GOTOFF(%r), r
    X_MOV_IMM = 18           # mov slot, r -> mov $sym, r
    X_BINOP_IMM = 19         # add/or/adc/sbb/and/sub/xor/cmp slot, r -> same $sym, r
    X_TEST_IMM = 20          # test r, slot -> test $sym, r
    X_CALL = 21              # call *slot -> addr32 call sym
    X_JMP = 22               # jmp *slot -> jmp sym; nop
    X_GD_LE = 23             # lea x@tlsgd(%r), %eax and call: 12 bytes from 2 in front of the field
    X_GD_IE = 24
    X_GD_LE_SIB = 25         # lea x@tlsgd(,%ebx,1), %eax and call: 12 bytes from 3 in front of it
    X_GD_IE_SIB = 26
    X_LD_LE = 27             # direct call: 11 bytes
    X_LD_LE_INDIRECT = 28    # call through the GOT: 12 bytes
    X_IE_LE = 29             # mov, add, sub of a slot -> the same with an immediate
    X_IE_LE_EAX = 30         # mov slot, %eax, short form
    X_DESC_LE = 31           # lea -> lea x@ntpoff, r
    X_DESC_IE = 32           # lea -> mov slot(%r), r
    X_DESC_CALL = 33         # call *(%eax) -> two-byte nop
    X_TPOFF_DOWN = 34        # TP - S + A
    X_DESC_CALL_IE = 35      # call *(%eax) -> neg %eax

cdef enum:                   # relocation numbers: of the call to ___tls_get_addr, and of relaxed instructions
    R_32 = 1
    R_PC32 = 2
    R_PLT32 = 4
    R_GOTOFF = 9
    R_TLS_LE = 17
    R_TLS_IE_32 = 33
    R_TLS_LE_32 = 34
    R_GOT32X = 43


# ---- relaxations: may it be done?

cdef inline bint has_base(uint8_t modrm) noexcept nogil:
    """disp32(%rm), without index."""
    return (modrm & 0xc0) == 0x80 and (modrm & 7) != 4


cdef inline bint has_no_base(uint8_t modrm) noexcept nogil:
    return (modrm & 0xc7) == 0x05


cdef bint has_call(const Fragment* frag, uint32_t index, uint64_t offset) noexcept nogil:
    """True when the next relocation is on the call of ___tls_get_addr, at `offset`."""
    cdef const Rela* r
    if index + 1 >= frag.nrelocs:
        return False
    r = &frag.relocs[index + 1]
    return r.r_offset == offset and (r.r_type == R_PC32 or r.r_type == R_PLT32 or r.r_type == R_GOT32X)


cdef uint8_t choose_got(const Columns* c, const Fragment* frag, const Rela* r, uint8_t family,
                        uint32_t wish) noexcept nogil:
    cdef uint64_t o = r.r_offset
    cdef const uint8_t* d = frag.data + o
    cdef bint immediate = not c.pic or wish == RELAX_GOT_NUMBER
    cdef uint8_t op, modrm
    if r.r_addend != 0 or o < 2:
        return 0
    op = d[-2]
    modrm = d[-1]
    if not has_base(modrm) and (c.pic or not has_no_base(modrm)):
        return 0
    if op == 0x8b:
        if immediate:
            return X_MOV_IMM
        return X_MOV_LEA if has_base(modrm) else 0
    if family == FAMILY_GOT:
        return 0
    if op == 0xff:
        if wish == RELAX_GOT_NUMBER:
            return 0
        if (modrm & 0x38) == 0x10:
            return X_CALL
        return X_JMP if (modrm & 0x38) == 0x20 else 0
    if not immediate:
        return 0
    if op == 0x85:
        return X_TEST_IMM
    return X_BINOP_IMM if (op & 0xc7) == 0x03 else 0


cdef uint8_t choose_slot(const Columns* c, const Fragment* frag, const Rela* r, uint8_t family) noexcept nogil:
    """GOT32 without a base register means the slot itself, which code of a moving image cannot name."""
    if family > FAMILY_GOT_X or r.r_offset < 1 or not frag.sh_flags & SHF_EXECINSTR:
        return 0
    if not has_no_base((frag.data + r.r_offset)[-1]):
        return 0
    return V_SKIP if c.pic else X_SLOT


cdef uint8_t choose_gd(const Fragment* frag, uint32_t index, bint le) noexcept nogil:
    cdef uint64_t o = frag.relocs[index].r_offset
    cdef const uint8_t* d = frag.data + o
    if o >= 3 and o + 9 <= frag.size and memcmp(d - 3, b"\x8d\x04\x1d", 3) == 0:
        if d[4] == 0xe8 and has_call(frag, index, o + 5):
            return X_GD_LE_SIB if le else X_GD_IE_SIB
        return 0
    if o < 2 or o + 10 > frag.size or d[-2] != 0x8d or (d[-1] & 0xf8) != 0x80 or (d[-1] & 7) == 4:
        return 0
    if d[4] == 0xe8 and d[9] == 0x90 and has_call(frag, index, o + 5):
        return X_GD_LE if le else X_GD_IE
    if ((d[4] == 0xff and (d[5] & 0xf8) == 0x90) or (d[4] == 0x67 and d[5] == 0xe8)) and has_call(frag, index, o + 6):
        return X_GD_LE if le else X_GD_IE
    return 0


cdef uint8_t choose_ld(const Fragment* frag, uint32_t index) noexcept nogil:
    cdef uint64_t o = frag.relocs[index].r_offset
    cdef const uint8_t* d = frag.data + o
    if o < 2 or o + 9 > frag.size or d[-2] != 0x8d or (d[-1] & 0xf8) != 0x80 or (d[-1] & 7) == 4:
        return 0
    if d[4] == 0xe8 and has_call(frag, index, o + 5):
        return X_LD_LE
    if o + 10 <= frag.size and has_call(frag, index, o + 6) \
            and ((d[4] == 0xff and (d[5] & 0xf8) == 0x90) or (d[4] == 0x67 and d[5] == 0xe8)):
        return X_LD_LE_INDIRECT
    return 0


cdef uint8_t choose_ie(const Fragment* frag, const Rela* r, uint8_t family) noexcept nogil:
    cdef uint64_t o = r.r_offset
    cdef const uint8_t* d = frag.data + o
    if r.r_addend != 0 or o < 1:
        return 0
    if family == FAMILY_IE and d[-1] == 0xa1:
        return X_IE_LE_EAX
    if o < 2 or not (has_no_base(d[-1]) if family == FAMILY_IE else has_base(d[-1])):
        return 0
    return X_IE_LE if d[-2] == 0x8b or d[-2] == 0x03 or d[-2] == 0x2b else 0


cdef uint8_t choose_desc(const Fragment* frag, const Rela* r, uint8_t family, uint32_t wish) noexcept nogil:
    cdef uint64_t o = r.r_offset
    cdef const uint8_t* d = frag.data + o
    if family == FAMILY_DESC_CALL:
        if o > frag.size or frag.size - o < 2 or d[0] != 0xff or d[1] != 0x10:
            return 0
        return X_DESC_CALL if wish == RELAX_DESC_LE else X_DESC_CALL_IE
    if o < 2 or d[-2] != 0x8d or not has_base(d[-1]):
        return 0
    return X_DESC_LE if wish == RELAX_DESC_LE else X_DESC_IE


cdef uint8_t choose_relaxation(const Columns* c, const Fragment* frag, uint32_t index, uint32_t wish,
                               uint32_t* skip) noexcept nogil:
    cdef const Rela* r = &frag.relocs[index]
    cdef uint8_t family = (<const Ops*>c.ops).types[r.r_type].relax
    if wish == RELAX_TPOFF:
        return X_TPOFF_DOWN if family == FAMILY_LE_DOWN else 0
    if frag.data == NULL:
        return 0
    if wish == RELAX_SLOT:
        return choose_slot(c, frag, r, family)
    if wish <= RELAX_GOT_NUMBER:
        return choose_got(c, frag, r, family, wish) if family <= FAMILY_GOT_X else 0
    if wish == RELAX_GD_LE or wish == RELAX_GD_IE:
        skip[0] = 1
        return choose_gd(frag, index, wish == RELAX_GD_LE)
    if wish == RELAX_LD_LE:
        skip[0] = 1
        return choose_ld(frag, index)
    if wish == RELAX_IE_LE:
        return choose_ie(frag, r, family)
    if wish == RELAX_DESC_LE or wish == RELAX_DESC_IE:
        return choose_desc(frag, r, family, wish)
    return 0


# ---- relaxations: doing it

cdef inline void store_value(uint8_t* out, uint64_t value) noexcept nogil:
    store32(out, <uint32_t>value, False)


cdef inline uint64_t slot_distance(Place* p, const Rela* r) noexcept nogil:
    """The slot with TP - S, relative to GOT."""
    return slot_address(p.c, symbol_aux(p.c, &p.c.files[p.frag.file], r.r_sym).got) - p.c.image.got


cdef void use_immediate(uint8_t* loc, uint8_t opcode, uint8_t digit) noexcept nogil:
    """Rewrites opcode and modrm to `opcode` /digit with the register as rm."""
    cdef uint8_t reg = (loc[-1] >> 3) & 7
    loc[-2] = opcode
    loc[-1] = 0xc0 | (digit << 3) | reg


cdef void apply_got(Place* p, uint64_t S, uint8_t verdict) noexcept nogil:
    cdef uint8_t* loc = p.loc
    if verdict == X_MOV_LEA:
        loc[-2] = 0x8d
        store_value(loc, S - p.c.image.got)
    elif verdict == X_CALL:
        # The prefix makes up for the shorter opcode and means nothing on a relative call.
        loc[-2] = 0x67
        loc[-1] = 0xe8
        store_value(loc, S - p.P - 4)
    elif verdict == X_JMP:
        loc[-2] = 0xe9
        store_value(loc - 1, S - p.P - 3)
        loc[3] = 0x90
    else:
        if verdict == X_MOV_IMM:
            use_immediate(loc, 0xc7, 0)
        elif verdict == X_TEST_IMM:
            use_immediate(loc, 0xf7, 0)
        else:
            use_immediate(loc, 0x81, (loc[-2] >> 3) & 7)
        store_value(loc, S)


cdef void apply_gd(Place* p, const Rela* r, uint64_t tpoff, uint8_t verdict) noexcept nogil:
    """mov %gs:0, %eax; then sub $-tpoff, %eax or sub slot(%reg), %eax."""
    cdef bint sib = verdict == X_GD_LE_SIB or verdict == X_GD_IE_SIB
    cdef uint8_t* start = p.loc - 3 if sib else p.loc - 2
    cdef uint8_t base = 3 if sib else p.loc[-1] & 7
    memcpy(start, b"\x65\xa1\x00\x00\x00\x00", 6)
    if verdict == X_GD_LE or verdict == X_GD_LE_SIB:
        memcpy(start + 6, b"\x81\xe8", 2)
        store_value(start + 8, 0 - tpoff)
    else:
        start[6] = 0x2b
        start[7] = 0x80 | base
        store_value(start + 8, slot_distance(p, r))


cdef void apply_ie(Place* p, uint64_t tpoff, uint8_t family, uint8_t verdict) noexcept nogil:
    cdef uint8_t* loc = p.loc
    if verdict == X_IE_LE_EAX:
        loc[-1] = 0xb8
    elif loc[-2] == 0x8b:
        use_immediate(loc, 0xc7, 0)
    else:
        use_immediate(loc, 0x81, 0 if loc[-2] == 0x03 else 5)
    store_value(loc, 0 - tpoff if family == FAMILY_IE_DOWN else tpoff)


cdef void apply_relaxed(Place* p, uint8_t verdict) noexcept nogil:
    cdef const Rela* r = &p.frag.relocs[p.index]
    cdef const RelocType* t = &p.ops.types[r.r_type]
    cdef const File* f = &p.c.files[p.frag.file]
    cdef uint64_t S, tpoff
    if verdict == X_SLOT:
        store_value(p.loc, slot_address(p.c, symbol_aux(p.c, f, r.r_sym).got) + <uint64_t>r.r_addend)
        return
    S = symbol_address(p.c, f, r.r_sym, r.r_addend)
    tpoff = S + <uint64_t>r.r_addend - p.c.image.tp
    if verdict <= X_JMP:
        apply_got(p, S, verdict)
    elif verdict <= X_GD_IE_SIB:
        apply_gd(p, r, tpoff, verdict)
    elif verdict == X_LD_LE:
        # mov %gs:0, %eax; nop; lea 0(%esi,1), %esi
        memcpy(p.loc - 2, b"\x65\xa1\x00\x00\x00\x00\x90\x8d\x74\x26\x00", 11)
    elif verdict == X_LD_LE_INDIRECT:
        # mov %gs:0, %eax; lea 0(%esi), %esi
        memcpy(p.loc - 2, b"\x65\xa1\x00\x00\x00\x00\x8d\xb6\x00\x00\x00\x00", 12)
    elif verdict <= X_IE_LE_EAX:
        apply_ie(p, tpoff, t.relax, verdict)
    elif verdict == X_DESC_LE:
        p.loc[-1] = (p.loc[-1] & 0x38) | 0x05
        store_value(p.loc, tpoff)
    elif verdict == X_DESC_IE:
        p.loc[-2] = 0x8b
        store_value(p.loc, slot_distance(p, r))
    elif verdict == X_DESC_CALL:
        p.loc[0] = 0x66
        p.loc[1] = 0x90
    elif verdict == X_DESC_CALL_IE:
        p.loc[0] = 0xf7
        p.loc[1] = 0xd8
    elif verdict == X_TPOFF_DOWN:
        store_value(p.loc, p.c.image.tp - S + <uint64_t>r.r_addend)


cdef void describe_relaxed(const Rela* r, uint8_t verdict, Rela* out) noexcept nogil:
    out[0] = r[0]
    if verdict == X_MOV_LEA:
        out.r_type = R_GOTOFF
    elif verdict == X_MOV_IMM or verdict == X_BINOP_IMM or verdict == X_TEST_IMM:
        out.r_type = R_32
    elif verdict == X_CALL or verdict == X_JMP:
        out.r_type = R_PC32
        if verdict == X_JMP:
            out.r_offset -= 1
    elif verdict == X_GD_LE or verdict == X_GD_LE_SIB:
        out.r_type = R_TLS_LE_32
        out.r_offset += 6 if verdict == X_GD_LE else 5
    elif verdict == X_GD_IE or verdict == X_GD_IE_SIB:
        out.r_type = R_TLS_IE_32
        out.r_offset += 6 if verdict == X_GD_IE else 5
    elif verdict == X_DESC_IE:
        out.r_type = R_TLS_IE_32
    elif verdict == X_IE_LE or verdict == X_IE_LE_EAX or verdict == X_DESC_LE:
        out.r_type = R_TLS_LE
    elif verdict == X_LD_LE or verdict == X_LD_LE_INDIRECT or verdict == X_DESC_CALL \
            or verdict == X_DESC_CALL_IE:
        out.r_type = 0


# ---- PLT. The index that a lazy entry pushes is the byte offset of its Elf32_Rel.

cdef void write_header(uint8_t* out, const PltEntry* e) noexcept nogil:
    """push GOT+4; jmp *GOT+8."""
    memcpy(out, b"\xff\x35\x00\x00\x00\x00\xff\x25\x00\x00\x00\x00\x00\x00\x00\x00", 16)
    store_value(out + 2, e.gotplt + 4)
    store_value(out + 8, e.gotplt + 8)


cdef void write_pic_header(uint8_t* out, const PltEntry* e) noexcept nogil:
    """push 4(%ebx); jmp *8(%ebx)."""
    memcpy(out, b"\xff\xb3\x04\x00\x00\x00\xff\xa3\x08\x00\x00\x00\x00\x00\x00\x00", 16)


cdef void write_ibt_header(uint8_t* out, const PltEntry* e) noexcept nogil:
    write_header(out, e)
    memcpy(out + 12, b"\x0f\x1f\x40\x00", 4)


cdef void write_ibt_pic_header(uint8_t* out, const PltEntry* e) noexcept nogil:
    write_pic_header(out, e)
    memcpy(out + 12, b"\x0f\x1f\x40\x00", 4)


cdef inline void write_lazy_part(uint8_t* out, const PltEntry* e, uint64_t address) noexcept nogil:
    """push offset; jmp header; at `address`."""
    out[0] = 0x68
    store_value(out + 1, <uint64_t>e.index * 8)
    out[5] = 0xe9
    store_value(out + 6, e.header - (address + 10))


cdef void write_entry(uint8_t* out, const PltEntry* e) noexcept nogil:
    """jmp *slot; push offset; jmp header."""
    memcpy(out, b"\xff\x25", 2)
    store_value(out + 2, e.slot)
    write_lazy_part(out + 6, e, e.address + 6)


cdef void write_pic_entry(uint8_t* out, const PltEntry* e) noexcept nogil:
    """jmp *slot@GOT(%ebx); push offset; jmp header."""
    memcpy(out, b"\xff\xa3", 2)
    store_value(out + 2, e.slot - e.got)
    write_lazy_part(out + 6, e, e.address + 6)


cdef void write_got(uint8_t* out, const PltEntry* e) noexcept nogil:
    """jmp *slot; xchg %ax, %ax."""
    memcpy(out, b"\xff\x25\x00\x00\x00\x00\x66\x90", 8)
    store_value(out + 2, e.slot)


cdef void write_pic_got(uint8_t* out, const PltEntry* e) noexcept nogil:
    """jmp *slot@GOT(%ebx); xchg %ax, %ax."""
    memcpy(out, b"\xff\xa3\x00\x00\x00\x00\x66\x90", 8)
    store_value(out + 2, e.slot - e.got)


cdef void write_ibt_entry(uint8_t* out, const PltEntry* e) noexcept nogil:
    """endbr32; jmp *slot; nop."""
    memcpy(out, b"\xf3\x0f\x1e\xfb\xff\x25\x00\x00\x00\x00\x66\x0f\x1f\x44\x00\x00", 16)
    store_value(out + 6, e.slot)


cdef void write_ibt_pic_entry(uint8_t* out, const PltEntry* e) noexcept nogil:
    """endbr32; jmp *slot@GOT(%ebx); nop."""
    memcpy(out, b"\xf3\x0f\x1e\xfb\xff\xa3\x00\x00\x00\x00\x66\x0f\x1f\x44\x00\x00", 16)
    store_value(out + 6, e.slot - e.got)


cdef void write_ibt_lazy(uint8_t* out, const PltEntry* e) noexcept nogil:
    """endbr32; push offset; jmp header; xchg %ax, %ax."""
    memcpy(out, b"\xf3\x0f\x1e\xfb", 4)
    write_lazy_part(out + 4, e, e.address + 4)
    memcpy(out + 14, b"\x66\x90", 2)


cdef void fill_code(uint8_t* out, uint64_t size) noexcept nogil:
    """Short NOPs, which every i386 has: the multi-byte ones are an innovation of the P6."""
    while size >= 2:
        memcpy(out, b"\x66\x90", 2)
        out += 2
        size -= 2
    if size:
        out[0] = 0x90


# ---- connecting

cdef void set_style(PltStyle* s, bint ibt, plt_writer_t header, plt_writer_t entry, plt_writer_t got) noexcept nogil:
    s.header_size = 16
    s.entry_size = 16
    s.lazy_size = 16 if ibt else 0
    s.got_size = 16 if ibt else 8
    s.push_offset = 0 if ibt else 6
    s.align = 16
    s.header = header
    s.entry = entry
    s.lazy = NULL
    if ibt:
        s.lazy = write_ibt_lazy
    s.got = got


def connect_i386(OpsTable table not None):
    """Gives `table` the functions of i386; PLT styles: 0 for a fixed image, 1 with IBT, 2 PIC, 3 PIC with IBT."""
    cdef Ops* o = &table.ops
    set_style(&o.styles[0], False, write_header, write_entry, write_got)
    set_style(&o.styles[1], True, write_ibt_header, write_ibt_entry, write_ibt_entry)
    set_style(&o.styles[2], False, write_pic_header, write_pic_entry, write_pic_got)
    set_style(&o.styles[3], True, write_ibt_pic_header, write_ibt_pic_entry, write_ibt_pic_entry)
    o.choose_relaxation = choose_relaxation
    o.apply_relaxed = apply_relaxed
    o.describe_relaxed = describe_relaxed
    o.fill_code = fill_code
    table.use_plt(0)
