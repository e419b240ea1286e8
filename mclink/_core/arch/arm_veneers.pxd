# cython: language_level=3
"""Level 2: the code that stands between ARM and Thumb branches and what they lead to; inline, for arm.pyx alone.

Long branches and changes of the instruction set, calls through TLS descriptors, BX for ARMv4, and the branches that
Cortex-A8 executes wrongly (erratum 657417: a 32-bit Thumb branch across a 4 KiB boundary, behind another 32-bit
instruction, to the page that it starts in). Sources: the Arm Architecture Reference Manual; the description of
--fix-cortex-a8 and --fix-v4bx-interworking in the GNU ld manual, node "ARM".
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int32_t, int64_t
from mclink._core.arch.arm_fields cimport (read_b24, read_thm_b19, read_thm_bl, store_thumb, write_b24, write_thm_bl,
                                           write_thm_movw)
from mclink._core.bytes cimport load16, load32, store16, store32
from mclink._core.elf cimport STT_FUNC, STT_GNU_IFUNC
from mclink._core.formula cimport symbol_gid
from mclink._core.ops cimport *
from mclink._core.provisional cimport find_target, now
from mclink._core.tables cimport *

cdef enum:                   # Ops.arch_flags; keep in step with mclink.target.arm_attributes
    ARCH_BLX = 1             # BLX, and loads of pc that change the instruction set (v5T)
    ARCH_THUMB2 = 2          # LDR.W
    ARCH_M = 4               # no ARM instruction set
    ARCH_BL24 = 8            # BL of Thumb reaches 16 MiB, not 4
    ARCH_MOVW = 16           # MOVW and MOVT in Thumb
    ARCH_NOP = 32            # NOP in ARM
    ARCH_PIC_VENEER = 64     # --pic-veneer
    ARCH_CORTEX_A8 = 128     # erratum 657417 is worked around

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
    VENEER_DESC = 16         # call through a TLS descriptor at lr + r0: add r0, lr, r0; ldr r1, [r0, #4]; bx r1
    VENEER_DESC_THUMB = 17   # add r0, lr; ldr r1, [r0, #4]; bx r1; nop
    VENEER_BX = 20           # + n: tst rn, #1; moveq pc, rn; bx rn
    VENEER_A8_B = 36         # b.w; for a jump or call
    VENEER_A8_BCC = 37       # b<c>.n over the next; b.w back; b.w
    VENEER_A8_BLX = 38       # b, in ARM

cdef enum:                   # what a branch leads to
    STATE_UNKNOWN = 0
    STATE_ARM = 1
    STATE_THUMB = 2


cdef inline void write_veneer(uint8_t* out, uint32_t kind, uint64_t address, uint64_t target, bint swap,
                       bint data) noexcept nogil:
    """`target` counts the addend of the branch, which makes up for its PC. swap: byte order of instructions, data: of
    the words behind them."""
    cdef uint32_t to = <uint32_t>target + (8 if kind <= VENEER_ARM_PIC else 4)
    cdef uint32_t at = <uint32_t>address
    if VENEER_SAME <= kind < VENEER_DESC:
        to |= 1
    if kind >= VENEER_BX:
        store32(out, 0xe3100001U | (kind - VENEER_BX) << 16, swap)
        store32(out + 4, 0x01a0f000 | (kind - VENEER_BX), swap)
        store32(out + 8, 0xe12fff10U | (kind - VENEER_BX), swap)
    elif kind == VENEER_DESC:
        store32(out, 0xe08e0000U, swap)
        store32(out + 4, 0xe5901004U, swap)
        store32(out + 8, 0xe12fff11U, swap)
    elif kind == VENEER_DESC_THUMB:
        store_thumb(out, 0x4470, 0x6841, swap)
        store_thumb(out + 4, 0x4708, 0x46c0, swap)
    elif kind == VENEER_ARM:
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


cdef inline void describe_kind(Ops* o, uint32_t kind, uint32_t size, const char* marks) noexcept nogil:
    """Size and mapping symbols of a kind; marks: pairs of a letter and a digit, the offset in words."""
    cdef uint32_t i = 0
    o.thunk_sizes[kind] = size
    while marks[2 * i] != 0:
        o.thunk_marks[kind][i].letter = marks[2 * i]
        o.thunk_marks[kind][i].offset = <uint16_t>(4 * (marks[2 * i + 1] - c'0'))
        i += 1


cdef inline void describe_veneers(Ops* o) noexcept nogil:
    cdef uint32_t i
    describe_kind(o, VENEER_ARM, 8, b"a0d1")
    describe_kind(o, VENEER_ARM_V4T, 12, b"a0d2")
    describe_kind(o, VENEER_ARM_PIC, 16, b"a0d3")
    describe_kind(o, VENEER_THUMB, 8, b"t0d1")
    describe_kind(o, VENEER_SAME_THUMB, 8, b"t0d1")
    describe_kind(o, VENEER_THUMB_V4T, 16, b"t0a1d3")
    describe_kind(o, VENEER_THUMB_PIC, 20, b"t0a1d4")
    describe_kind(o, VENEER_SAME_PIC, 20, b"t0a1d4")
    describe_kind(o, VENEER_V6M, 12, b"t0d2")
    describe_kind(o, VENEER_SAME_V6M, 12, b"t0d2")
    describe_kind(o, VENEER_V6M_PIC, 16, b"t0d3")
    for i in range(VENEER_V7M, VENEER_V7M_PIC + 1):
        describe_kind(o, i, 12, b"t0")
    for i in range(VENEER_SAME_V7M, VENEER_SAME_V7M_PIC + 1):
        describe_kind(o, i, 12, b"t0")
    describe_kind(o, VENEER_DESC, 12, b"a0")
    describe_kind(o, VENEER_DESC_THUMB, 8, b"t0")
    for i in range(15):
        describe_kind(o, VENEER_BX + i, 12, b"a0")
        o.free_thunks |= <uint64_t>1 << (VENEER_BX + i)
    o.free_thunks |= <uint64_t>1 << VENEER_DESC | <uint64_t>1 << VENEER_DESC_THUMB
    describe_kind(o, VENEER_A8_B, 4, b"t0")
    describe_kind(o, VENEER_A8_BCC, 12, b"t0")
    describe_kind(o, VENEER_A8_BLX, 4, b"a0")


cdef inline uint32_t branch_state(const Columns* c, const File* f, uint32_t sym, uint64_t S) noexcept nogil:
    """The instruction set of the function that a symbol names."""
    cdef inline uint32_t gid = symbol_gid(f, sym)
    cdef uint8_t type = c.globals[gid].type if gid != 0 else f.syms[sym].st_info & 15
    if type == STT_FUNC or type == STT_GNU_IFUNC:
        return STATE_THUMB if S & 1 else STATE_ARM
    return STATE_UNKNOWN


cdef inline bint is_thumb_kind(uint32_t kind) noexcept nogil:
    return VENEER_THUMB <= kind < VENEER_DESC or kind == VENEER_DESC_THUMB


# ---- erratum 657417

cdef inline uint32_t a8_kind(uint32_t upper, uint32_t lower) noexcept nogil:
    """The veneer of a 32-bit Thumb instruction, 0 when it is not a branch to an address."""
    if upper >> 11 != 0x1e or not lower & 0x8000:
        return 0
    if lower & 0x4000:
        # BL, BLX
        return VENEER_A8_B if lower & 0x1000 else VENEER_A8_BLX
    if lower & 0x1000:
        return VENEER_A8_B
    # B<c>.W; where the condition would be 111x stand other instructions.
    return VENEER_A8_BCC if (upper >> 7) & 7 != 7 else 0


cdef inline bint is_thumb_call(const uint8_t* p, bint swap) noexcept nogil:
    """BL or BLX, out of 32-bit branches."""
    return load16(p + 2, swap) & 0x4000 != 0


cdef inline uint64_t thumb_target(const uint8_t* p, uint32_t kind, uint64_t address, bint swap) noexcept nogil:
    """Where a branch at `address` goes by its own bytes."""
    if kind == VENEER_A8_BCC:
        return address + 4 + <uint64_t>read_thm_b19(p, swap)
    if kind == VENEER_A8_BLX:
        return (address + 4 & ~<uint64_t>3) + <uint64_t>(read_thm_bl(p, swap) & ~<int64_t>2)
    return address + 4 + <uint64_t>read_thm_bl(p, swap)


cdef inline uint32_t kind_in_page(const CodeSpan* s, uint64_t at, uint32_t kind) noexcept nogil:
    """The veneer of a branch at byte `at`, when it goes to the page that it starts in; else 0."""
    cdef const Columns* c = s.c
    cdef const Fragment* g = &c.frags[s.frag]
    cdef uint64_t page = (s.address + at) & ~<uint64_t>4095
    cdef uint64_t target = thumb_target(s.code + at, kind, s.address + at, c.swap != 0)
    cdef uint8_t verdict
    cdef uint32_t i, row
    cdef Branch b
    for i in range(g.nrelocs):
        if g.relocs[i].r_offset != at or not (<const Ops*>c.ops).types[g.relocs[i].r_type].flags & TYPE_BRANCH:
            continue
        verdict = g.verdicts[i] if g.verdicts != NULL else V_APPLY
        if verdict == (<const Ops*>c.ops).thunk_verdict:
            row = thunk_ref(<Columns*>c, s.frag, i).thunk
            target = now(c, s.outputs, c.thunks[row].frag, c.thunks[row].offset)
        else:
            b.r = &g.relocs[i]
            find_target(c, s.outputs, &c.files[g.file], verdict, &b)
            # The addend makes up for PC; and the entry for Thumb code stands in front of a PLT entry.
            target = b.target + 4
            if b.plt and not is_thumb_call(s.code + at, c.swap != 0):
                target -= 4
            if is_thumb_call(s.code + at, c.swap != 0) and (b.plt or branch_state(
                    c, &c.files[g.file], b.r.r_sym, b.target - <uint64_t>b.r.r_addend) == STATE_ARM):
                kind = VENEER_A8_BLX
        break
    return kind if target & ~<uint64_t>4095 == page else 0


cdef inline uint32_t find_a8(const CodeSpan* s, uint64_t at, uint64_t end, uint64_t* site,
                             uint64_t* next) noexcept nogil:
    cdef bint swap = s.c.swap != 0
    cdef uint32_t upper, kind
    cdef uint64_t before = end
    if s.letter != c't':
        next[0] = end
        return 0
    while at + 2 <= end:
        upper = load16(s.code + at, swap)
        if upper >> 11 < 0x1d:
            at += 2
            continue
        if at + 4 > end:
            break
        kind = a8_kind(upper, load16(s.code + at + 2, swap))
        if kind and before == at and (s.address + at) & 4095 == 4094:
            kind = kind_in_page(s, at, kind)
            if kind:
                site[0] = at
                next[0] = at + 4
                return kind
            kind = VENEER_A8_B
        at += 4
        # A branch in front does no harm.
        before = end if kind else at
    next[0] = end
    return 0


cdef inline void write_a8(uint8_t* out, uint32_t kind, uint64_t address, uint8_t* site, uint64_t site_address,
                          bint data, bint swap) noexcept nogil:
    """data: byte order of the relocated section, swap: of instructions in the finished image."""
    cdef uint64_t target
    cdef uint32_t upper = load16(site, data), lower = load16(site + 2, data)
    cdef uint32_t now = a8_kind(upper, lower)
    if now == 0:
        # A call of nothing has become a NOP.
        store_thumb(out, 0xf3af, 0x8000, swap)
        return
    target = thumb_target(site, now, site_address, data)
    if now == VENEER_A8_BLX:
        store32(out, 0xea000000U, swap)
        write_b24(out, <int32_t><uint32_t>(target - address - 8), swap)
        write_thm_bl(site, <int32_t><uint32_t>(address - (site_address + 4 & ~<uint64_t>3)), data)
        return
    if kind == VENEER_A8_BCC:
        # b<c>.n to the last instruction
        store_thumb(out, 0xd002 | (upper << 2 & 0xf00), 0xbf00, swap)
        store_thumb(out + 4, 0xf000, 0xb800, swap)
        write_thm_bl(out + 4, <int32_t><uint32_t>(site_address + 4 - address - 8), swap)
        out += 8
        store_thumb(site, 0xf000, 0xb800, data)
        write_thm_bl(site, <int32_t><uint32_t>(address - site_address - 4), data)
        address += 8
    else:
        write_thm_bl(site, <int32_t><uint32_t>(address - site_address - 4), data)
    store_thumb(out, 0xf000, 0xb800, swap)
    write_thm_bl(out, <int32_t><uint32_t>(target - address - 4), swap)
