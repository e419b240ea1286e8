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
from libc.stdlib cimport malloc, free, qsort
from mclink._core.arch.arm_fields cimport *
from mclink._core.bytes cimport load16, load32, store16, store32
from mclink._core.elf cimport Rela, STT_FUNC, STT_GNU_IFUNC
from mclink._core.fault cimport FAULT_OVERFLOW, FAULT_BAD_INSTRUCTION
from mclink._core.formula cimport (fault_value, plt_address, quantity_value, store_checked, store_field,
                                   subtract_reference, symbol_address, symbol_aux, symbol_gid, thunk_address)
from mclink._core.ops cimport *
from mclink._core.tables cimport *

cdef enum:                   # RelocType.relax; keep in step with mclink.target.arm.FAMILIES
    FAMILY_BRANCH = 1        # calls and jumps that may need the other instruction set
    FAMILY_ALU = 2           # group relocations: piece 0, 1 or 2 of an address as an immediate ...
    FAMILY_LOAD = 3          # ... or what those pieces leave, as a load's offset
    FAMILY_ALIGNED = 4       # relative to Align(P, 4)
    FAMILY_DESC = 5          # TLS descriptors: the address of one ...
    FAMILY_DESC_CALL = 6     # ... and the call through it
    FAMILY_PIECE = 7         # group relocations without a range check
    FAMILY_V4BX = 8          # BX, which ARMv4 has not
    FAMILY_NOI = 9           # no interworking: without the bit that tells the instruction set

cdef enum:                   # verdicts
    A_BRANCH = 16            # a call or jump
    A_ALU = 17
    A_LOAD = 18
    A_ALIGNED = 19
    A_PIECE = 20
    A_THUNK = 21             # a call or jump to a veneer
    A_V4BX = 22              # BX Rm -> MOV pc, Rm
    A_NOI = 23

cdef enum:                   # Ops.arch_flags; keep in step with mclink.target.arm_attributes
    ARCH_BLX = 1             # BLX, and loads of pc that change the instruction set (v5T)
    ARCH_THUMB2 = 2          # LDR.W
    ARCH_M = 4               # no ARM instruction set
    ARCH_BL24 = 8            # BL of Thumb reaches 16 MiB, not 4
    ARCH_MOVW = 16           # MOVW and MOVT in Thumb
    ARCH_NOP = 32            # NOP in ARM

cdef enum:                   # veneers
    VENEER_ARM = 1           # ldr pc, [pc, #-4]; .word
    VENEER_ARM_V4T = 2       # ldr ip, [pc]; bx ip; .word
    VENEER_ARM_PIC = 3       # ldr ip, [pc, #4]; add ip, pc, ip; bx ip; .word
    VENEER_THUMB = 4         # ldr.w pc, [pc]; .word
    VENEER_THUMB_V4T = 5     # bx pc; nop; VENEER_ARM_V4T
    VENEER_THUMB_PIC = 6     # bx pc; nop; VENEER_ARM_PIC
    VENEER_V6M = 7           # push {r0, r1}; ldr r0, [pc, #4]; str r0, [sp, #4]; pop {r0, pc}; .word
    VENEER_V7M = 8           # movw ip; movt ip; bx ip
    VENEER_V7M_PIC = 9       # movw ip; movt ip; add ip, pc; bx ip
    VENEER_V6M_PIC = 10      # push {r0}; ldr r0, [pc, #8]; mov ip, r0; pop {r0}; add ip, pc; bx ip; .word
    VENEER_SAME = 11         # from here on: to a label that is Thumb because the branch is
    VENEER_SAME_THUMB = 11
    VENEER_SAME_PIC = 12
    VENEER_SAME_V6M = 13
    VENEER_SAME_V7M = 14
    VENEER_SAME_V7M_PIC = 15

cdef enum:                   # relocation numbers
    R_PC24 = 1
    R_THM_CALL = 10
    R_THM_XPC22 = 16
    R_PLT32 = 27
    R_CALL = 28
    R_JUMP24 = 29
    R_THM_JUMP24 = 30
    R_THM_JUMP19 = 51

cdef enum:                   # what a branch leads to
    STATE_UNKNOWN = 0
    STATE_ARM = 1
    STATE_THUMB = 2


# ---- verdicts

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
    return 0


cdef uint32_t branch_state(const Columns* c, const File* f, uint32_t sym, uint64_t S) noexcept nogil:
    """The instruction set of the function that a symbol names."""
    cdef uint32_t gid = symbol_gid(f, sym)
    cdef uint8_t type = c.globals[gid].type if gid != 0 else f.syms[sym].st_info & 15
    if type == STT_FUNC or type == STT_GNU_IFUNC:
        return STATE_THUMB if S & 1 else STATE_ARM
    return STATE_UNKNOWN


cdef inline bint is_thumb_branch(uint32_t type) noexcept nogil:
    return type == R_THM_CALL or type == R_THM_XPC22 or type == R_THM_JUMP24 or type == R_THM_JUMP19


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
    cdef bint swap = c.swap != 0
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
    distance = <int32_t><uint32_t>(S + <uint64_t>r.r_addend - p.P)
    if is_thumb_branch(r.r_type):
        if r.r_type == R_THM_CALL or r.r_type == R_THM_XPC22:
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


cdef void apply_group(Place* p, const Rela* r, const RelocType* t, uint8_t verdict) noexcept nogil:
    cdef Columns* c = p.c
    cdef uint64_t full = quantity_value(c, &c.files[p.frag.file], t, r.r_sym, r.r_addend) + <uint64_t>r.r_addend
    cdef int64_t value = <int32_t><uint32_t>subtract_reference(c, t.reference, full, p.P)
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
    else:
        for i in range(n + 1):
            piece = next_piece(&rest)
        if verdict == A_ALU and rest != 0:
            fault_value(p, FAULT_OVERFLOW, value, 0, 0)
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
    store_checked(p, t, subtract_reference(c, t.reference, S + <uint64_t>r.r_addend, p.P))


cdef void apply_relaxed(Place* p, uint8_t verdict) noexcept nogil:
    cdef const Rela* r = &p.frag.relocs[p.index]
    cdef const RelocType* t = &p.ops.types[r.r_type]
    if verdict == A_BRANCH or verdict == A_THUNK:
        apply_branch(p, r, t, verdict)
    elif verdict == A_ALIGNED:
        apply_aligned(p, r, t)
    elif verdict == A_NOI:
        apply_noi(p, r, t)
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
    if not thumb:
        if c.pic:
            return VENEER_ARM_PIC
        return VENEER_ARM if arch & ARCH_BLX else VENEER_ARM_V4T
    if arch & ARCH_M:
        if arch & ARCH_MOVW:
            if c.pic:
                return VENEER_SAME_V7M_PIC if state == STATE_UNKNOWN else VENEER_V7M_PIC
            return VENEER_SAME_V7M if state == STATE_UNKNOWN else VENEER_V7M
        if c.pic:
            return 0 if state == STATE_UNKNOWN else VENEER_V6M_PIC
        return VENEER_SAME_V6M if state == STATE_UNKNOWN else VENEER_V6M
    if c.pic:
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


cdef void write_veneer(uint8_t* out, uint32_t kind, uint64_t address, uint64_t target, bint swap,
                       bint data) noexcept nogil:
    """`target` counts the addend of the branch, which makes up for its PC. swap: byte order of instructions, data: of
    the words behind them."""
    cdef uint32_t to = <uint32_t>target + (8 if kind <= VENEER_ARM_PIC else 4)
    cdef uint32_t at = <uint32_t>address
    if kind >= VENEER_SAME:
        to |= 1
    if kind == VENEER_ARM:
        store32(out, 0xe51ff004U, swap)
        store32(out + 4, to, data)
    elif kind == VENEER_ARM_V4T:
        store32(out, 0xe59fc000U, swap)
        store32(out + 4, 0xe12fff1cU, swap)
        store32(out + 8, to, data)
    elif kind == VENEER_ARM_PIC:
        store32(out, 0xe59fc004U, swap)
        store32(out + 4, 0xe08fc00cU, swap)
        store32(out + 8, 0xe12fff1cU, swap)
        store32(out + 12, to - (at + 12), data)
    elif kind == VENEER_THUMB or kind == VENEER_SAME_THUMB:
        store_thumb(out, 0xf8df, 0xf000, swap)
        store32(out + 4, to, data)
    elif kind == VENEER_THUMB_V4T:
        store_thumb(out, 0x4778, 0x46c0, swap)
        store32(out + 4, 0xe59fc000U, swap)
        store32(out + 8, 0xe12fff1cU, swap)
        store32(out + 12, to, data)
    elif kind == VENEER_THUMB_PIC or kind == VENEER_SAME_PIC:
        store_thumb(out, 0x4778, 0x46c0, swap)
        store32(out + 4, 0xe59fc004U, swap)
        store32(out + 8, 0xe08fc00cU, swap)
        store32(out + 12, 0xe12fff1cU, swap)
        store32(out + 16, to - (at + 16), data)
    elif kind == VENEER_V6M or kind == VENEER_SAME_V6M:
        store_thumb(out, 0xb403, 0x4801, swap)
        store_thumb(out + 4, 0x9001, 0xbd01, swap)
        store32(out + 8, to, data)
    elif kind == VENEER_V6M_PIC:
        store_thumb(out, 0xb401, 0x4802, swap)
        store_thumb(out + 4, 0x4684, 0xbc01, swap)
        store_thumb(out + 8, 0x44fc, 0x4760, swap)
        store32(out + 12, to - (at + 12), data)
    else:
        if kind == VENEER_V7M_PIC or kind == VENEER_SAME_V7M_PIC:
            to -= at + 12
        store_thumb(out, 0xf240, 0x0c00, swap)
        write_thm_movw(out, to & 0xffff, swap)
        store_thumb(out + 4, 0xf2c0, 0x0c00, swap)
        write_thm_movw(out + 4, to >> 16, swap)
        if kind == VENEER_V7M_PIC or kind == VENEER_SAME_V7M_PIC:
            store_thumb(out + 8, 0x44fc, 0x4760, swap)
        else:
            store_thumb(out + 8, 0x4760, 0xbf00, swap)


cdef void write_thunk(uint8_t* out, uint32_t kind, uint64_t address, uint64_t target, bint swap) noexcept nogil:
    write_veneer(out, kind, address, target, swap, swap)


cdef void write_thunk_be8(uint8_t* out, uint32_t kind, uint64_t address, uint64_t target, bint swap) noexcept nogil:
    write_veneer(out, kind, address, target, False, swap)


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


# ---- BE8: instructions are little-endian, data is big-endian (AAELF32, "Program Loading")

cdef struct Mark:            # a mapping symbol: what stands from here on
    uint32_t section         # section index
    uint32_t kind            # b"a", b"t" or b"d"
    uint64_t offset          # in the section


cdef int compare_marks(const void* left, const void* right) noexcept nogil:
    cdef const Mark* a = <const Mark*>left
    cdef const Mark* b = <const Mark*>right
    if a.section != b.section:
        return 1 if a.section > b.section else -1
    return (a.offset > b.offset) - (a.offset < b.offset)


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


cdef uint32_t read_marks(const File* f, Mark* marks) noexcept nogil:
    """The mapping symbols of a file, sorted; their number. marks: room for all its local symbols."""
    cdef uint32_t i, n = 0
    cdef uint64_t name
    cdef const char* text
    for i in range(min(f.first_global, f.nsyms)):
        name = f.syms[i].st_name
        if name + 2 >= f.strtab_size or not shndx_is_ordinary(f, i):
            continue
        text = f.strtab + name
        if text[0] == c'$' and (text[1] == c'a' or text[1] == c't' or text[1] == c'd') \
                and (text[2] == 0 or text[2] == c'.'):
            marks[n].section = sym_section(f, i)
            marks[n].kind = text[1]
            marks[n].offset = f.syms[i].st_value
            n += 1
    qsort(marks, n, sizeof(Mark), compare_marks)
    return n


def turn_code(Tables tables not None, uint32_t output, uint64_t address, size_t out):
    """Makes the instructions of all input sections in an output section at `address` little-endian; `out`: address
    of its bytes in memory, which have been relocated."""
    cdef Columns* c = &tables.c
    cdef Mark* marks
    cdef const File* f
    cdef const Fragment* g
    cdef uint32_t k, i, n, frag
    cdef uint64_t end
    for k in range(c.nlive):
        f = &c.files[c.live[k]]
        if f.kind != FILE_OBJECT or f.first_global == 0:
            continue
        marks = <Mark*>malloc(f.first_global * sizeof(Mark))
        if marks == NULL:
            raise MemoryError
        n = read_marks(f, marks)
        for i in range(n):
            frag = f.frag_base + marks[i].section
            g = &c.frags[frag]
            if g.kind != FRAG_REGULAR or g.output != output or not c.frag_state[frag] & STATE_LIVE:
                continue
            end = g.size
            if i + 1 < n and marks[i + 1].section == marks[i].section and marks[i + 1].offset < end:
                end = marks[i + 1].offset
            turn(<uint8_t*>out + (c.frag_addr[frag] - address), marks[i].offset, end, marks[i].kind)
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
    o.thunk_sizes[VENEER_ARM] = 8
    o.thunk_sizes[VENEER_ARM_V4T] = 12
    o.thunk_sizes[VENEER_ARM_PIC] = 16
    o.thunk_sizes[VENEER_THUMB] = o.thunk_sizes[VENEER_SAME_THUMB] = 8
    o.thunk_sizes[VENEER_THUMB_V4T] = 16
    o.thunk_sizes[VENEER_THUMB_PIC] = o.thunk_sizes[VENEER_SAME_PIC] = 20
    o.thunk_sizes[VENEER_V6M] = o.thunk_sizes[VENEER_SAME_V6M] = 12
    o.thunk_sizes[VENEER_V6M_PIC] = 16
    o.thunk_sizes[VENEER_V7M] = o.thunk_sizes[VENEER_SAME_V7M] = 12
    o.thunk_sizes[VENEER_V7M_PIC] = o.thunk_sizes[VENEER_SAME_V7M_PIC] = 12
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
    table.use_plt(0)


def use_be8(OpsTable table not None):
    """Veneers with little-endian instructions and big-endian words."""
    table.ops.write_thunk = write_thunk_be8
