"""Level 2: ARM and Thumb instructions. See "ELF for the Arm Architecture" (AAELF32), chapters "Relocation" and
"Program Loading", and the Arm Architecture Reference Manual for the encodings.

A code address has its instruction set in bit 0 (1: Thumb), and a function symbol's value is such an address. PC
reads as P + 8 in ARM and P + 4 in Thumb state, which the addends of inputs account for. A branch to a
function of the other instruction set becomes BLX where the instruction may be that, else it goes through a
veneer; a symbol that is not a function says nothing about the instruction set, and its branches stay as they are.

A 32-bit Thumb instruction is two halfwords, the one with the opcode first. With -EB instructions are big-endian like
the data (BE32); --be8 turns them over in the finished image.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int32_t, int64_t
from libc.stdlib cimport free
from mclink._core.arch.arm_fields cimport *
from mclink._core.arch.arm_veneers cimport *
from mclink._core.bytes cimport load16, load32, store16, store32
from mclink._core.elf cimport Rela, STT_FUNC, STT_GNU_IFUNC
from mclink._core.fault cimport FAULT_OVERFLOW, FAULT_BAD_INSTRUCTION, FAULT_MISALIGNED
from mclink._core.formula cimport (fault_value, plt_address, quantity_value, slot_address, store_checked, store_field,
                                   subtract_reference, symbol_address, symbol_aux, symbol_gid, thunk_address)
from mclink._core.mapping cimport MapMark, read_map_marks
from mclink._core.ops cimport *
from mclink._core.tables cimport *

cdef enum:                   # RelocType.relax; keep in step with mclink.target.arm.FAMILIES
    FAMILY_BRANCH = 1        # calls and jumps that may need the other instruction set
    FAMILY_ALU = 2           # group relocations: piece 0, 1 or 2 of an address as an immediate ...
    FAMILY_LOAD = 3          # ... or what those pieces leave, as a load's offset
    FAMILY_ALIGNED = 4       # relative to Align(P, 4)
    FAMILY_DESC = 5          # TLS descriptors: the address of one ...
    FAMILY_DESC_CALL = 6     # ... the call through it ...
    FAMILY_PIECE = 7         # group relocations without a range check
    FAMILY_V4BX = 8          # BX, which ARMv4 has not
    FAMILY_NOI = 9           # no interworking: without the bit that tells the instruction set
    FAMILY_DESC_SEQ = 10     # ... or one of the instructions that do it in place
    FAMILY_BASE = 12         # relative to B(S), the static base; absolute symbols have none
    FAMILY_V4BX_VENEER = 11  # BX, which becomes a jump to a veneer that asks for the instruction set

cdef enum:                   # verdicts
    A_BRANCH = 16            # a call or jump
    A_ALU = 17
    A_LOAD = 18
    A_ALIGNED = 19
    A_PIECE = 20
    A_THUNK = 21             # a call or jump to a veneer
    A_V4BX = 22              # BX Rm -> MOV pc, Rm
    A_NOI = 23
    A_DESC = 24              # word with the distance of a TLS descriptor, as the code that uses it counts
    A_DESC_IE = 25           # the same of the slot with the TP offset
    A_DESC_LE = 26           # TP offset
    A_CALL_IE = 27           # call through a descriptor -> load of the slot
    A_CALL_LE = 28           # -> nothing
    A_SEQ_IE = 29            # the same of an instruction of the sequence
    A_SEQ_LE = 30
    A_BASE = 31

cdef enum:                   # relocation numbers
    R_PC24 = 1
    R_THM_CALL = 10
    R_THM_XPC22 = 16
    R_PLT32 = 27
    R_CALL = 28
    R_JUMP24 = 29
    R_THM_JUMP24 = 30
    R_THM_JUMP19 = 51
    R_THM_TLS_CALL = 93
    R_THM_TLS_DESCSEQ16 = 129
    R_THM_TLS_DESCSEQ32 = 130

# ---- verdicts

cdef bint is_desc_seq(const uint8_t* p, uint32_t type, bint swap) noexcept nogil:
    """True for an instruction of the sequence: add rx, pc (, ry); ldr rx, [ry, #4]; blx rx."""
    cdef uint32_t insn
    if type == R_THM_TLS_DESCSEQ16:
        insn = load16(p, swap)
        return insn & 0xff78 == 0x4478 or insn & 0xffc0 == 0x6840 or insn & 0xff87 == 0x4780
    if type == R_THM_TLS_DESCSEQ32:
        return load16(p, swap) & 0xfff0 == 0xf8d0 and load16(p + 2, swap) & 0xfff == 4
    insn = load32(p, swap)
    return (insn & 0xffff0ff0U == 0xe08f0000U or insn & 0xfff00fffU == 0xe5900004U
            or insn & 0xfffffff0U == 0xe12fff30U)


cdef uint8_t choose_desc(const Fragment* frag, const Rela* r, uint8_t family, uint32_t wish,
                         bint swap) noexcept nogil:
    if family == FAMILY_DESC:
        return A_DESC if wish == RELAX_DESC else A_DESC_IE if wish == RELAX_DESC_IE else A_DESC_LE
    if family == FAMILY_DESC_CALL:
        return A_BRANCH if wish == RELAX_DESC else A_CALL_IE if wish == RELAX_DESC_IE else A_CALL_LE
    if family != FAMILY_DESC_SEQ or wish == RELAX_DESC or frag.data == NULL \
            or not is_desc_seq(frag.data + r.r_offset, r.r_type, swap):
        return 0
    return A_SEQ_IE if wish == RELAX_DESC_IE else A_SEQ_LE


cdef uint8_t choose_relaxation(const Columns* c, const Fragment* frag, uint32_t index, uint32_t wish,
                               uint32_t* skip) noexcept nogil:
    cdef uint8_t family = (<const Ops*>c.ops).types[frag.relocs[index].r_type].relax
    if wish == RELAX_FORM:
        if family == FAMILY_BRANCH:
            return A_BRANCH
        if family == FAMILY_ALU:
            return A_ALU
        if family == FAMILY_LOAD:
            return A_LOAD
        if family == FAMILY_ALIGNED:
            return A_ALIGNED
        if family == FAMILY_PIECE:
            return A_PIECE
        if family == FAMILY_V4BX:
            return A_V4BX
        if family == FAMILY_NOI:
            return A_NOI
        if family == FAMILY_V4BX_VENEER:
            return A_BRANCH
        if family == FAMILY_BASE:
            return A_BASE
    elif wish == RELAX_DESC or wish == RELAX_DESC_IE or wish == RELAX_DESC_LE:
        return choose_desc(frag, &frag.relocs[index], family, wish, c.swap != 0)
    return 0


cdef inline bint is_thumb_branch(uint32_t type) noexcept nogil:
    return (type == R_THM_CALL or type == R_THM_XPC22 or type == R_THM_JUMP24 or type == R_THM_JUMP19
            or type == R_THM_TLS_CALL)


cdef void write_nop(uint8_t* loc, uint32_t type, uint32_t arch, bint swap) noexcept nogil:
    """A call of a function that does not exist (weak and undefined) does nothing."""
    cdef uint32_t condition = load32(loc, swap) & 0xf0000000U
    if is_thumb_branch(type):
        if arch & ARCH_THUMB2:
            store_thumb(loc, 0xf3af, 0x8000, swap)
        else:
            # b.n over a nop
            store_thumb(loc, 0xe000, 0xbf00, swap)
        return
    if condition == 0xf0000000U:
        # BLX has no condition.
        condition = 0xe0000000U
    # NOP, or MOV r0, r0.
    store32(loc, condition | (0x0320f000 if arch & ARCH_NOP else 0x01a00000), swap)


cdef void apply_branch(Place* p, const Rela* r, const RelocType* t, uint8_t verdict) noexcept nogil:
    """B, BL, BLX: to the symbol or its PLT entry, in the instruction set that is there."""
    cdef Columns* c = p.c
    cdef const File* f = &c.files[p.frag.file]
    cdef const Aux* aux = symbol_aux(c, f, r.r_sym)
    cdef uint32_t gid = symbol_gid(f, r.r_sym)
    cdef uint32_t insn, state
    cdef uint64_t S
    cdef int64_t distance
    cdef int64_t addend = r.r_addend
    cdef bint swap = c.swap != 0
    if t.relax != FAMILY_BRANCH:
        # These go to veneers only, and their fields have no addend.
        if verdict != A_THUNK:
            fault_value(p, FAULT_OVERFLOW, 0, 0, 0)
            return
        addend = -4 if is_thumb_branch(r.r_type) else -8
        if t.relax == FAMILY_V4BX_VENEER:
            store32(p.loc, (load32(p.loc, swap) & 0xf0000000U) | 0x0a000000, swap)
    if verdict == A_THUNK:
        S = thunk_address(c, thunk_ref(c, p.frag_id, p.index).thunk)
        state = STATE_THUMB if is_thumb_branch(r.r_type) else STATE_ARM
    elif aux.plt >= 0:
        S = plt_address(c, aux)
        state = STATE_ARM
        if r.r_type == R_THM_JUMP24 or r.r_type == R_THM_JUMP19 or (
                is_thumb_branch(r.r_type) and not p.ops.arch_flags & ARCH_BLX):
            # In front of an entry stands BX PC, which is its entry for Thumb code.
            S -= 4
            state = STATE_THUMB
    else:
        S = symbol_address(c, f, r.r_sym, r.r_addend)
        if gid != 0 and c.gflags[gid] & G_UNDEF_WEAK and S == 0:
            write_nop(p.loc, r.r_type, p.ops.arch_flags, swap)
            return
        state = branch_state(c, f, r.r_sym, S)
        if state == STATE_THUMB:
            S -= 1
    distance = <int32_t><uint32_t>(S + <uint64_t>addend - p.P)
    if is_thumb_branch(r.r_type):
        if r.r_type != R_THM_JUMP24 and r.r_type != R_THM_JUMP19:
            insn = load16(p.loc + 2, swap)
            if state == STATE_ARM:
                insn &= 0xefff
            elif state == STATE_THUMB:
                insn |= 0x1000
            store16(p.loc + 2, <uint16_t>insn, swap)
            if not insn & 0x1000:
                # BLX counts from Align(PC, 4).
                distance = (distance + 2) & ~<int64_t>3
        elif state == STATE_ARM:
            fault_value(p, FAULT_BAD_INSTRUCTION, 0, 0, 0)
            return
    else:
        insn = load32(p.loc, swap)
        if state == STATE_THUMB:
            if insn >> 24 != 0xeb and insn >> 25 != 0x7d:
                fault_value(p, FAULT_BAD_INSTRUCTION, 0, 0, 0)
                return
            store32(p.loc, 0xfa000000U | (<uint32_t>distance & 2) << 23 | (insn & 0xffffff), swap)
        elif insn >> 25 == 0x7d and state == STATE_ARM:
            store32(p.loc, 0xeb000000U | (insn & 0xffffff), swap)
    if distance < t.low or distance > t.high:
        fault_value(p, FAULT_OVERFLOW, distance, t.low, t.high)
    store_field(c, p.ops, t, p.loc, distance)


cdef uint32_t next_piece(uint32_t* rest) noexcept nogil:
    """Takes the highest 8 bits at an even place off `rest` (AAELF32, "Group relocations")."""
    cdef uint32_t shift = 24, piece
    if rest[0] == 0:
        return 0
    while shift and not rest[0] >> (shift + 6):
        # The byte moves down by two bits until its top two hold a bit of the value.
        shift -= 2
    piece = rest[0] & <uint32_t>(<uint64_t>0xff << shift)
    rest[0] &= ~piece
    return piece


cdef inline uint32_t group_number(uint32_t type) noexcept nogil:
    """n of R_ARM_*_Gn, and for loads the number of pieces that ADDs have taken before."""
    if type == 4:                                   # LDR_PC_G0
        return 0
    if type <= 61:                                  # ALU_PC_G0_NC, G0, G1_NC, G1, G2
        return (type - 57) >> 1
    if type <= 63:                                  # LDR_PC_G1, G2
        return type - 61
    if type <= 69:                                  # LDRS_PC_G0..2, LDC_PC_G0..2
        return (type - 64) % 3
    if type <= 74:                                  # ALU_SB_G0_NC, G0, G1_NC, G1, G2
        return (type - 70) >> 1
    return (type - 75) % 3                          # LDR_SB, LDRS_SB, LDC_SB


cdef inline uint64_t from_base(Place* p, const Rela* r, const RelocType* t, uint64_t value) noexcept nogil:
    """value - P, or - B(S)."""
    cdef Columns* c = p.c
    cdef const File* f = &c.files[p.frag.file]
    cdef uint32_t gid = symbol_gid(f, r.r_sym)
    if t.reference == R_GP and (c.globals[gid].frag if gid != 0 else sym_frag(c, f, r.r_sym)) == 0:
        return value
    return subtract_reference(c, f, t.reference, value, p.P)


cdef void apply_group(Place* p, const Rela* r, const RelocType* t, uint8_t verdict) noexcept nogil:
    cdef Columns* c = p.c
    cdef uint64_t full = quantity_value(c, &c.files[p.frag.file], t, r.r_sym, r.r_addend) + <uint64_t>r.r_addend
    cdef int64_t value = <int32_t><uint32_t>from_base(p, r, t, full)
    cdef uint32_t rest = <uint32_t>(-value if value < 0 else value)
    cdef uint32_t n = group_number(r.r_type)
    cdef uint32_t piece = 0, i
    cdef int64_t stored
    if verdict == A_LOAD:
        for i in range(n):
            next_piece(&rest)
        stored = -<int64_t>rest if value < 0 else <int64_t>rest
        if stored < t.low or stored > t.high:
            fault_value(p, FAULT_OVERFLOW, value, t.low, t.high)
        elif t.align > 1 and stored & (t.align - 1):
            fault_value(p, FAULT_MISALIGNED, value, t.align, 0)
    else:
        for i in range(n + 1):
            piece = next_piece(&rest)
        if verdict == A_ALU and rest != 0:
            fault_value(p, FAULT_OVERFLOW, value, -0xff, 0xff)
        stored = -<int64_t>piece if value < 0 else <int64_t>piece
    store_field(c, p.ops, t, p.loc, stored)
    if value < 0 and stored == 0:
        # Nothing is subtracted, and still it is a subtraction.
        if verdict == A_LOAD:
            store32(p.loc, load32(p.loc, c.swap) & ~<uint32_t>(1 << 23), c.swap)
        else:
            store32(p.loc, (load32(p.loc, c.swap) & ~<uint32_t>(1 << 23)) | (1 << 22), c.swap)


cdef void apply_aligned(Place* p, const Rela* r, const RelocType* t) noexcept nogil:
    cdef Columns* c = p.c
    cdef uint64_t S = symbol_address(c, &c.files[p.frag.file], r.r_sym, r.r_addend)
    if branch_state(c, &c.files[p.frag.file], r.r_sym, S) == STATE_THUMB and t.size == 2:
        S &= ~<uint64_t>1
    store_checked(p, t, S + <uint64_t>r.r_addend - (p.P & ~<uint64_t>3))


cdef void apply_noi(Place* p, const Rela* r, const RelocType* t) noexcept nogil:
    cdef Columns* c = p.c
    cdef const File* f = &c.files[p.frag.file]
    cdef uint64_t S = symbol_address(c, f, r.r_sym, r.r_addend)
    if branch_state(c, f, r.r_sym, S) == STATE_THUMB:
        S &= ~<uint64_t>1
    store_checked(p, t, subtract_reference(c, f, t.reference, S + <uint64_t>r.r_addend, p.P))


cdef int64_t desc_bias(const uint8_t* code, uint64_t offset, bint thumb, bint swap) noexcept nogil:
    """What the instruction that a descriptor's distance counts from adds to its address: BL puts the address behind
    it, with the bit for Thumb, into lr; ADD reads PC. code: of the section, in the input."""
    if thumb:
        return -6 if load16(code + offset, swap) >> 11 == 0x1e else -5
    return -8 if load32(code + offset, swap) >> 24 == 0xe0 else -4


cdef void apply_desc(Place* p, const Rela* r, const RelocType* t, uint8_t verdict) noexcept nogil:
    """The word that a TLS descriptor, or what has become of it, is found by. Its addend is the distance to the
    instruction that uses it, and odd in Thumb code."""
    cdef Columns* c = p.c
    cdef const File* f = &c.files[p.frag.file]
    cdef bint thumb = r.r_addend & 1
    cdef uint64_t offset = r.r_offset - <uint64_t>(r.r_addend & ~<int64_t>1)
    cdef uint64_t value
    cdef uint32_t gid = symbol_gid(f, r.r_sym)
    if verdict == A_DESC_LE:
        value = symbol_address(c, f, r.r_sym, 0) - c.image.tp
        if gid != 0 and c.gflags[gid] & G_UNDEF_WEAK and c.gflags[gid] & G_KIND_MASK == G_ABSOLUTE:
            value = 0
        store_field(c, p.ops, t, p.loc, <int64_t>value)
        return
    if p.frag.data == NULL or offset > p.frag.size or p.frag.size - offset < 4:
        fault_value(p, FAULT_BAD_INSTRUCTION, 0, 0, 0)
        return
    if verdict == A_DESC:
        value = quantity_value(c, f, t, r.r_sym, 0) + <uint64_t>desc_bias(p.frag.data, offset, thumb, c.swap != 0)
    else:
        value = slot_address(c, symbol_aux(c, f, r.r_sym).gottp) - <uint64_t>(5 if thumb else 8)
    store_field(c, p.ops, t, p.loc, <int64_t>(value + <uint64_t>r.r_addend - p.P))


cdef void apply_desc_code(Place* p, uint32_t type, uint8_t verdict) noexcept nogil:
    """Code that used a descriptor, and now adds PC to the distance of a slot and loads that, or has the offset already."""
    cdef bint swap = p.c.swap != 0
    cdef uint32_t insn
    if verdict == A_CALL_IE:
        if type == R_THM_TLS_CALL:
            # add r0, pc; ldr r0, [r0]
            store_thumb(p.loc, 0x4478, 0x6800, swap)
        else:
            # ldr r0, [pc, r0]
            store32(p.loc, 0xe79f0000U, swap)
    elif verdict == A_CALL_LE:
        if type != R_THM_TLS_CALL:
            store32(p.loc, 0xe1a00000U, swap)
        elif p.ops.arch_flags & ARCH_THUMB2:
            store_thumb(p.loc, 0xf3af, 0x8000, swap)
        else:
            store_thumb(p.loc, 0x46c0, 0x46c0, swap)
    elif type == R_THM_TLS_DESCSEQ16:
        insn = load16(p.loc, swap)
        if verdict == A_SEQ_LE:
            insn = 0x46c0
        elif insn & 0xffc0 == 0x6840:
            # ldr rx, [ry]
            insn &= 0xf83f
        elif insn & 0xff87 == 0x4780:
            # mov r0, rx
            insn = 0x4600 | (insn & 0x78)
        store16(p.loc, <uint16_t>insn, swap)
    elif type == R_THM_TLS_DESCSEQ32:
        if verdict == A_SEQ_LE:
            store_thumb(p.loc, 0xf3af, 0x8000, swap)
        else:
            store16(p.loc + 2, load16(p.loc + 2, swap) & 0xf000, swap)
    else:
        insn = load32(p.loc, swap)
        if insn & 0xffff0ff0U == 0xe08f0000U:
            if verdict == A_SEQ_LE:
                # mov rx, ry
                insn = 0xe1a00000U | (insn & 0xf00f)
        elif verdict == A_SEQ_LE:
            insn = 0xe1a00000U
        elif insn & 0xfff00fffU == 0xe5900004U:
            insn &= 0xfffff000U
        else:
            # mov r0, rx
            insn = 0xe1a00000U | (insn & 15)
        store32(p.loc, insn, swap)


cdef void apply_relaxed(Place* p, uint8_t verdict) noexcept nogil:
    cdef const Rela* r = &p.frag.relocs[p.index]
    cdef const RelocType* t = &p.ops.types[r.r_type]
    if verdict == A_BRANCH or verdict == A_THUNK:
        apply_branch(p, r, t, verdict)
    elif verdict == A_ALIGNED:
        apply_aligned(p, r, t)
    elif verdict == A_NOI:
        apply_noi(p, r, t)
    elif verdict == A_BASE:
        store_checked(p, t, from_base(p, r, t, symbol_address(p.c, &p.c.files[p.frag.file], r.r_sym, r.r_addend)
                                      + <uint64_t>r.r_addend))
    elif A_DESC <= verdict <= A_DESC_LE:
        apply_desc(p, r, t, verdict)
    elif verdict > A_DESC_LE:
        apply_desc_code(p, r.r_type, verdict)
    elif verdict == A_V4BX:
        store32(p.loc, (load32(p.loc, p.c.swap) & 0xf000000fU) | 0x01a0f000U, p.c.swap)
    else:
        apply_group(p, r, t, verdict)


cdef void describe_relaxed(const Rela* r, uint8_t verdict, Rela* out) noexcept nogil:
    out[0] = r[0]


cdef void fill_code(uint8_t* out, uint64_t size) noexcept nogil:
    """Gaps are zeros, as GNU ld leaves them: which instruction set stands around is not known."""
    cdef uint64_t i
    for i in range(size):
        out[i] = 0


# ---- veneers

cdef inline bint is_call(const Branch* b, bint swap) noexcept nogil:
    """An ARM branch that may become BLX: BL without a condition, or BLX."""
    cdef uint32_t insn = load32(b.insn, swap)
    return insn >> 24 == 0xeb or insn >> 25 == 0x7d


cdef uint32_t choose_veneer(const Columns* c, uint32_t arch, bint thumb, uint32_t state) noexcept nogil:
    cdef bint pic = c.pic or arch & ARCH_PIC_VENEER
    if not thumb:
        if pic:
            return VENEER_ARM_PIC
        return VENEER_ARM if arch & ARCH_BLX else VENEER_ARM_V4T
    if arch & ARCH_M:
        if arch & ARCH_MOVW:
            if pic:
                return VENEER_SAME_V7M_PIC if state == STATE_UNKNOWN else VENEER_V7M_PIC
            return VENEER_SAME_V7M if state == STATE_UNKNOWN else VENEER_V7M
        if pic:
            return 0 if state == STATE_UNKNOWN else VENEER_V6M_PIC
        return VENEER_SAME_V6M if state == STATE_UNKNOWN else VENEER_V6M
    if pic:
        return VENEER_SAME_PIC if state == STATE_UNKNOWN else VENEER_THUMB_PIC
    if arch & ARCH_THUMB2:
        return VENEER_SAME_THUMB if state == STATE_UNKNOWN else VENEER_THUMB
    return 0 if state == STATE_UNKNOWN else VENEER_THUMB_V4T


cdef uint32_t choose_thunk(const Columns* c, const Branch* b, uint32_t* landing) noexcept nogil:
    cdef uint32_t arch = (<const Ops*>c.ops).arch_flags
    cdef uint32_t type = b.r.r_type
    cdef bint thumb = is_thumb_branch(type)
    cdef uint32_t gid = symbol_gid(b.f, b.r.r_sym)
    cdef uint32_t state = STATE_ARM
    cdef int64_t low = b.t.low, high = b.t.high
    cdef int64_t distance = <int32_t><uint32_t>(b.target - b.P)
    cdef bint changes
    if b.t.relax == FAMILY_DESC_CALL:
        return VENEER_DESC_THUMB if thumb else VENEER_DESC
    if b.t.relax == FAMILY_V4BX_VENEER:
        # BX PC says its instruction set itself.
        return VENEER_BX + (load32(b.insn, c.swap != 0) & 15)
    if b.t.relax != FAMILY_BRANCH:
        return 0
    if not b.plt:
        if gid != 0 and c.gflags[gid] & G_UNDEF_WEAK and c.gflags[gid] & G_KIND_MASK == G_ABSOLUTE:
            return 0
        state = branch_state(c, b.f, b.r.r_sym, b.target - <uint64_t>b.r.r_addend)
    elif thumb and (not arch & ARCH_BLX or type == R_THM_JUMP24 or type == R_THM_JUMP19):
        # The entry for Thumb code.
        distance -= 4
        state = STATE_THUMB
    if state == STATE_THUMB:
        distance &= ~<int64_t>1
    if thumb:
        changes = state == STATE_ARM and (not arch & ARCH_BLX or type == R_THM_JUMP24 or type == R_THM_JUMP19)
        if not arch & ARCH_BL24 and type == R_THM_CALL:
            low, high = -0x400000, 0x3fffff
    else:
        changes = state == STATE_THUMB and (not arch & ARCH_BLX or not is_call(b, c.swap != 0))
    if not changes and low <= distance <= high:
        return 0
    return choose_veneer(c, arch, thumb, STATE_ARM if b.plt else state)


cdef void write_thunk(uint8_t* out, uint32_t kind, uint64_t address, uint64_t target, bint swap, Columns* c,
                      const Thunk* thunk) noexcept nogil:
    write_veneer(out, kind, address, target, swap, swap)


cdef void write_thunk_be8(uint8_t* out, uint32_t kind, uint64_t address, uint64_t target, bint swap, Columns* c,
                      const Thunk* thunk) noexcept nogil:
    write_veneer(out, kind, address, target, False, swap)


cdef uint32_t find_patch(const CodeSpan* span, uint64_t at, uint64_t end, uint64_t* site,
                         uint64_t* next) noexcept nogil:
    return find_a8(span, at, end, site, next)


cdef void write_patch(uint8_t* out, uint32_t kind, uint64_t address, uint8_t* site, uint64_t site_address,
                      bint swap) noexcept nogil:
    write_a8(out, kind, address, site, site_address, swap, swap)


cdef void write_patch_be8(uint8_t* out, uint32_t kind, uint64_t address, uint8_t* site, uint64_t site_address,
                          bint swap) noexcept nogil:
    write_a8(out, kind, address, site, site_address, swap, False)


cdef const char** BX_NAMES = [b"__bx_r0", b"__bx_r1", b"__bx_r2", b"__bx_r3", b"__bx_r4", b"__bx_r5", b"__bx_r6",
                              b"__bx_r7", b"__bx_r8", b"__bx_r9", b"__bx_r10", b"__bx_r11", b"__bx_r12", b"__bx_r13",
                              b"__bx_r14"]


cdef void name_thunk(const Columns* c, const Thunk* t, ThunkName* name) noexcept nogil:
    """As GNU ld names them."""
    cdef const File* f
    cdef uint32_t state = STATE_ARM
    cdef bint thumb = is_thumb_kind(t.kind)
    if t.plt == THUNK_PATCH:
        return
    name.bits = thumb
    if t.kind >= VENEER_BX:
        name.prefix = BX_NAMES[t.kind - VENEER_BX]
        return
    if t.kind >= VENEER_DESC:
        name.prefix = b"__tlsdesc_veneer"
        return
    name.prefix = b"__"
    if not t.plt:
        f = &c.files[t.file]
        state = branch_state(c, f, t.sym, symbol_address(<Columns*>c, f, t.sym, t.addend))
    if thumb and state == STATE_ARM:
        name.suffix = b"_from_thumb"
    elif not thumb and state == STATE_THUMB:
        name.suffix = b"_from_arm"
    else:
        name.suffix = b"_veneer"


# ---- PLT

cdef void put_header(uint8_t* out, const PltEntry* e, bint swap) noexcept nogil:
    """str lr, [sp, #-4]!; ldr lr, [pc, #4]; add lr, pc, lr; ldr pc, [lr, #8]!; .word

    The resolver finds the slot's address in ip and that of the third reserved word in lr. swap: byte order of
    instructions."""
    store32(out, 0xe52de004U, swap)
    store32(out + 4, 0xe59fe004U, swap)
    store32(out + 8, 0xe08fe00eU, swap)
    store32(out + 12, 0xe5bef008U, swap)
    store32(out + 16, <uint32_t>(e.gotplt - e.address - 16), e.swap)


cdef void put_entry(uint8_t* out, const PltEntry* e, bint swap, bint is_long) noexcept nogil:
    """bx pc; nop for jumps from Thumb code, in front of the entry proper: add ip, pc, #a << 20; add ip, ip, #b << 12;
    ldr pc, [ip, #c]!; a long one has an add of #d << 28 before."""
    cdef uint32_t distance = <uint32_t>(e.slot - e.address - 8)
    store_thumb(out - 4, 0x4778, 0x46c0, swap)
    if is_long:
        store32(out, 0xe28fc200U | (distance >> 28), swap)
        store32(out + 4, 0xe28cc600U | ((distance >> 20) & 0xff), swap)
        out += 4
    else:
        store32(out, 0xe28fc600U | ((distance >> 20) & 0xff), swap)
    store32(out + 4, 0xe28cca00U | ((distance >> 12) & 0xff), swap)
    store32(out + 8, 0xe5bcf000U | (distance & 0xfff), swap)


cdef void write_header(uint8_t* out, const PltEntry* e) noexcept nogil:
    put_header(out, e, e.swap != 0)


cdef void write_header_be8(uint8_t* out, const PltEntry* e) noexcept nogil:
    put_header(out, e, False)


cdef void write_entry(uint8_t* out, const PltEntry* e) noexcept nogil:
    put_entry(out, e, e.swap != 0, False)


cdef void write_entry_be8(uint8_t* out, const PltEntry* e) noexcept nogil:
    put_entry(out, e, False, False)


cdef void write_long_entry(uint8_t* out, const PltEntry* e) noexcept nogil:
    put_entry(out, e, e.swap != 0, True)


cdef void write_long_entry_be8(uint8_t* out, const PltEntry* e) noexcept nogil:
    put_entry(out, e, False, True)


cdef const char* MARK_LETTERS = b"atd"


# ---- BE8: instructions are little-endian, data is big-endian (AAELF32, "Program Loading")

cdef void turn(uint8_t* out, uint64_t start, uint64_t end, uint32_t kind) noexcept nogil:
    """Reverses the bytes of the instructions in [start, end)."""
    if kind == c'a':
        while start + 4 <= end:
            store32(out + start, load32(out + start, False), True)
            start += 4
    elif kind == c't':
        while start + 2 <= end:
            store16(out + start, load16(out + start, False), True)
            start += 2


def turn_code(Tables tables not None, uint32_t output, uint64_t address, size_t out):
    """Makes the instructions of all input sections in an output section at `address` little-endian; `out`: address
    of its bytes in memory, which have been relocated."""
    cdef Columns* c = &tables.c
    cdef MapMark* marks
    cdef const File* f
    cdef const Fragment* g
    cdef uint32_t k, i, n, frag
    cdef uint64_t end
    for k in range(c.nlive):
        f = &c.files[c.live[k]]
        if f.kind != FILE_OBJECT:
            continue
        marks = read_map_marks(f, MARK_LETTERS, &n)
        for i in range(n):
            frag = f.frag_base + marks[i].section
            g = &c.frags[frag]
            if g.kind != FRAG_REGULAR or g.output != output or not c.frag_state[frag] & STATE_LIVE:
                continue
            end = g.size
            if i + 1 < n and marks[i + 1].section == marks[i].section and marks[i + 1].offset < end:
                end = marks[i + 1].offset
            turn(<uint8_t*>out + (c.frag_addr[frag] - address), marks[i].offset, end, marks[i].letter)
        free(marks)


# ---- connecting

cdef void set_style(PltStyle* s, uint32_t entry_size, plt_writer_t header, plt_writer_t entry) noexcept nogil:
    s.header_size = 20
    s.entry_size = entry_size
    s.lazy_size = 0
    s.got_size = entry_size
    s.push_offset = PUSH_HEADER
    s.skip = 4
    s.align = 4
    s.header = header
    s.entry = entry
    s.lazy = NULL
    s.got = entry
    s.header_marks[0].letter = s.entry_marks[1].letter = c'a'
    s.header_marks[1].letter = c'd'
    s.header_marks[1].offset = 16
    s.entry_marks[0].letter = c't'
    s.entry_marks[1].offset = 4


def connect_arm(OpsTable table not None):
    """Gives `table` the functions of ARM; PLT style 0 is the usual one, 1 --long-plt, 2 and 3 are the same with
    --be8. The numbers of the fields are those of mclink.target.arm.FIELDS."""
    cdef Ops* o = &table.ops
    set_style(&o.styles[0], 16, write_header, write_entry)
    set_style(&o.styles[1], 20, write_header, write_long_entry)
    set_style(&o.styles[2], 16, write_header_be8, write_entry_be8)
    set_style(&o.styles[3], 20, write_header_be8, write_long_entry_be8)
    o.choose_relaxation = choose_relaxation
    o.apply_relaxed = apply_relaxed
    o.describe_relaxed = describe_relaxed
    o.fill_code = fill_code
    o.choose_thunk = choose_thunk
    o.write_thunk = write_thunk
    o.branch_verdict = A_BRANCH
    o.thunk_verdict = A_THUNK
    o.thunk_align = 2
    o.thunk_spacing = 14 << 20
    describe_veneers(o)
    o.mark_letters = MARK_LETTERS
    o.name_thunk = name_thunk
    o.find_patch = find_patch
    o.write_patch = write_patch
    # A branch that is called as B.W reaches 16 MiB.
    o.patch_reach = 1 << 24
    o.write_field[0] = write_b24
    o.read_field[0] = read_b24
    o.write_field[1] = write_thm_bl
    o.read_field[1] = read_thm_bl
    o.write_field[2] = write_thm_b19
    o.read_field[2] = read_thm_b19
    o.write_field[3] = write_thm_b11
    o.read_field[3] = read_thm_b11
    o.write_field[4] = write_thm_b8
    o.read_field[4] = read_thm_b8
    o.write_field[5] = write_thm_cbz
    o.read_field[5] = read_thm_cbz
    o.write_field[6] = write_prel31
    o.read_field[6] = read_prel31
    o.write_field[7] = write_movw
    o.read_field[7] = read_movw
    o.write_field[8] = write_movt
    o.read_field[8] = read_movw
    o.write_field[9] = write_thm_movw
    o.read_field[9] = read_thm_movw
    o.write_field[10] = write_thm_movt
    o.read_field[10] = read_thm_movw
    o.write_field[11] = write_abs12
    o.read_field[11] = read_abs12
    o.write_field[12] = write_ldr
    o.read_field[12] = read_ldr
    o.write_field[13] = write_ldrs
    o.read_field[13] = read_ldrs
    o.write_field[14] = write_ldc
    o.read_field[14] = read_ldc
    o.write_field[15] = write_alu
    o.read_field[15] = read_alu
    o.write_field[16] = write_thm_abs5
    o.read_field[16] = read_thm_abs5
    o.write_field[17] = write_thm_pc8
    o.read_field[17] = read_thm_pc8
    o.write_field[18] = write_thm_pc12
    o.read_field[18] = read_thm_pc12
    o.write_field[19] = write_thm_adr
    o.read_field[19] = read_thm_adr
    o.write_field[20] = write_thm_byte0
    o.read_field[20] = read_thm_byte
    o.write_field[21] = write_thm_byte1
    o.read_field[21] = read_thm_byte
    o.write_field[22] = write_thm_byte2
    o.read_field[22] = read_thm_byte
    o.write_field[23] = write_thm_byte3
    o.read_field[23] = read_thm_byte
    o.write_field[24] = write_bf16
    o.read_field[24] = read_bf16
    o.write_field[25] = write_bf12
    o.read_field[25] = read_bf12
    o.write_field[26] = write_bf18
    o.read_field[26] = read_bf18
    o.write_field[27] = write_b24
    table.use_plt(0)


def use_be8(OpsTable table not None):
    """Veneers with little-endian instructions and big-endian words."""
    table.ops.write_thunk = write_thunk_be8
    table.ops.write_patch = write_patch_be8
