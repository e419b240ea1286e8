# cython: language_level=3
"""Level 2: the code that the linker adds for 64-bit Power: PLT entries, the lazy half of the PLT, thunks; inline, for
ppc64.pyx alone. Sources: "64-Bit ELF V2 ABI Specification" and "64-bit PowerPC ELF ABI Supplement 1.9" for registers
and the places of r2 and LR in frames; what glibc's run-time linker expects in .glink.

r0, r11 and r12 are free in code between a call and its target, and r11 is a nested function's environment.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from mclink._core.arch.ppc64_fields cimport *
from mclink._core.bytes cimport store64
from mclink._core.ops cimport PltEntry

cdef enum:
    V2_HEADER = 64
    V1_HEADER = 64
    V1_ENTRY = 40
    V1_LAZY_NEAR = 0x8000    # lazy entries that one instruction can number

cdef enum:                   # kinds of thunks; those to a PLT entry read its slot themselves
    THUNK_LONG = 1           # to code of the same TOC
    THUNK_SAVE = 2           # to code that changes r2: it is saved
    THUNK_TOC = 3            # to code of another TOC
    THUNK_PLT = 4            # to another module, for code whose TOC pointer PLT entries do not know or that is far off
    THUNK_TLS = 5            # __tls_get_addr_opt: the answer may stand in the module/offset pair
    THUNK_NOTOC = 6          # by code without a TOC pointer, to code that wants its address in r12
    THUNK_NOTOC_PLT = 7      # by such code, to another module
    THUNK_P10 = 8            # the two with prefixed instructions
    THUNK_P10_PLT = 9
    THUNK_NOTOC_TLS = 10     # __tls_get_addr_opt by code without a TOC pointer


cdef inline uint8_t* emit(uint8_t* out, uint32_t instruction, bint swap) noexcept nogil:
    put(out, instruction, swap)
    return out + 4


cdef inline uint8_t* emit_base(uint8_t* out, uint32_t register, uint64_t offset, bint swap) noexcept nogil:
    """addis register, r2, offset@ha; nothing where that is 0, and r2 itself is the base. Returns where to go on."""
    if ha(offset) == 0:
        return out
    return emit(out, 0x3c020000 | (register << 21) | ha(offset), swap)


cdef inline uint32_t base_of(uint32_t register, uint64_t offset) noexcept nogil:
    """The register that emit_base leaves the base in, in the place of ra."""
    return (2 if ha(offset) == 0 else register) << 16


cdef inline uint8_t* emit_jump(uint8_t* out, bint swap) noexcept nogil:
    return emit(emit(out, I_MTCTR_R12, swap), I_BCTR, swap)


# ---- ELFv2

cdef inline void write_v2_entry(uint8_t* out, const PltEntry* e) noexcept nogil:
    """std r2, 24(r1); load of the slot by r2; bctr. e.got is .TOC."""
    cdef uint64_t offset = e.slot - e.got
    cdef uint8_t* at = emit(out, 0xf8410018U, e.swap)
    at = emit_base(at, 12, offset, e.swap)
    at = emit(at, 0xe9800000U | base_of(12, offset) | lo(offset), e.swap)
    at = emit_jump(at, e.swap)
    if at != out + 20:
        emit(at, I_NOP, e.swap)


cdef inline void write_v2_canonical(uint8_t* out, const PltEntry* e) noexcept nogil:
    """The address of a function of another module: r12 holds it, r2 is the caller's."""
    cdef uint64_t offset = e.slot - e.address
    put(out, I_ADDIS_R12_R12 | ha(offset), e.swap)
    put(out + 4, I_LD_R12_R12 | lo(offset), e.swap)
    put(out + 8, I_MTCTR_R12, e.swap)
    put(out + 12, I_BCTR, e.swap)


cdef inline void write_v2_header(uint8_t* out, const PltEntry* e) noexcept nogil:
    """Distance of .plt; then r0 = index of the entry that r12 is, r11 = link map, jump to the resolver."""
    store64(out, e.gotplt - (e.address + 16), e.swap)
    put(out + 8, 0x7c0802a6, e.swap)       # mflr r0
    put(out + 12, 0x429f0005, e.swap)      # bcl 20, 31, .+4
    put(out + 16, 0x7d6802a6, e.swap)      # mflr r11
    put(out + 20, 0xf8410018U, e.swap)      # std r2, 24(r1)
    put(out + 24, 0xe84bfff0U, e.swap)      # ld r2, -16(r11)
    put(out + 28, 0x7c0803a6, e.swap)      # mtlr r0
    put(out + 32, 0x7d8b6050, e.swap)      # sub r12, r12, r11
    put(out + 36, 0x7d625a14, e.swap)      # add r11, r2, r11
    put(out + 40, 0x380cffd0, e.swap)      # addi r0, r12, -48
    put(out + 44, 0xe98b0000U, e.swap)      # ld r12, 0(r11)
    put(out + 48, 0x7800f082, e.swap)      # srdi r0, r0, 2
    put(out + 52, I_MTCTR_R12, e.swap)
    put(out + 56, 0xe96b0008U, e.swap)      # ld r11, 8(r11)
    put(out + 60, I_BCTR, e.swap)


cdef inline void write_v2_lazy(uint8_t* out, const PltEntry* e) noexcept nogil:
    """b to the header's code."""
    put(out, 0x48000000 | (<uint32_t>(e.header + 8 - e.address) & 0x3fffffc), e.swap)


# ---- ELFv1

cdef inline uint8_t* emit_descriptor(uint8_t* out, uint64_t offset, bint swap) noexcept nogil:
    """CTR = code, r2 = TOC pointer, r11 = environment of the descriptor at r2 + offset. The address of r2's load
    depends on what the code's load has found, so that another thread that binds the descriptor is seen in order."""
    cdef uint8_t* at = emit(out, 0x3d620000 | ha(offset), swap)    # addis r11, r2
    at = emit(at, 0x396b0000 | lo(offset), swap)                   # addi r11, r11
    at = emit(at, 0xe98b0000U, swap)                                # ld r12, 0(r11)
    at = emit(at, 0x7d826278, swap)                                # xor r2, r12, r12
    at = emit(at, 0x7d6b1214, swap)                                # add r11, r11, r2
    at = emit(at, I_MTCTR_R12, swap)
    at = emit(at, 0xe84b0008U, swap)                                # ld r2, 8(r11)
    return emit(at, 0xe96b0010U, swap)                              # ld r11, 16(r11)


cdef inline void write_v1_entry(uint8_t* out, const PltEntry* e) noexcept nogil:
    """std r2, 40(r1); what the descriptor holds; bctr."""
    cdef uint8_t* at = emit_descriptor(emit(out, 0xf8410028U, e.swap), e.slot - e.got, e.swap)
    emit(at, I_BCTR, e.swap)


cdef inline void write_v1_header(uint8_t* out, const PltEntry* e) noexcept nogil:
    """Distance of .plt; then the resolver's descriptor and the link map. r0 is the entry's index already."""
    store64(out, e.gotplt - (e.address + 16), e.swap)
    put(out + 8, 0x7d8802a6, e.swap)       # mflr r12
    put(out + 12, 0x429f0005, e.swap)      # bcl 20, 31, .+4
    put(out + 16, 0x7d6802a6, e.swap)      # mflr r11
    put(out + 20, 0xe84bfff0U, e.swap)      # ld r2, -16(r11)
    put(out + 24, 0x7d8803a6, e.swap)      # mtlr r12
    put(out + 28, 0x7d625a14, e.swap)      # add r11, r2, r11
    put(out + 32, 0xe98b0000U, e.swap)      # ld r12, 0(r11)
    put(out + 36, 0xe84b0008U, e.swap)      # ld r2, 8(r11)
    put(out + 40, I_MTCTR_R12, e.swap)
    put(out + 44, 0xe96b0010U, e.swap)      # ld r11, 16(r11)
    put(out + 48, I_BCTR, e.swap)
    put(out + 52, I_NOP, e.swap)
    put(out + 56, I_NOP, e.swap)
    put(out + 60, I_NOP, e.swap)


cdef inline void write_v1_lazy(uint8_t* out, const PltEntry* e) noexcept nogil:
    """r0 = index, in two instructions where one is not enough; b to the header's code."""
    cdef uint64_t at = e.address + 4
    if e.index < V1_LAZY_NEAR:
        put(out, 0x38000000 | e.index, e.swap)                     # li r0
    else:
        put(out, 0x3c000000 | (e.index >> 16), e.swap)             # lis r0
        put(out + 4, 0x60000000 | (e.index & 0xffff), e.swap)      # ori r0, r0
        at += 4
    put(out + (at - e.address), 0x48000000 | (<uint32_t>(e.header + 8 - at) & 0x3fffffc), e.swap)


# ---- thunks. gp: the caller's TOC pointer; target_gp: that of the code at `target`

cdef inline uint8_t* emit_address(uint8_t* out, uint64_t offset, bint swap) noexcept nogil:
    """r12 = r2 + offset."""
    cdef uint8_t* at = emit(out, 0x3d820000 | ha(offset), swap)    # addis r12, r2
    return emit(at, 0x398c0000 | lo(offset), swap)                 # addi r12, r12


cdef inline uint8_t* emit_here(uint8_t* out, uint64_t distance, bint swap) noexcept nogil:
    """r12 = `out` + 8 + the part of `distance` that lo() is not, LR as before."""
    cdef uint8_t* at = emit(out, 0x7c0802a6, swap)                 # mflr r0
    at = emit(at, 0x429f0005, swap)                                # bcl 20, 31, .+4
    at = emit(at, 0x7d8802a6, swap)                                # mflr r12
    at = emit(at, 0x7c0803a6, swap)                                # mtlr r0
    return emit(at, I_ADDIS_R12_R12 | ha(distance), swap)


cdef inline void write_save_thunk(uint8_t* out, uint64_t target, uint64_t gp, bint swap) noexcept nogil:
    emit_jump(emit_address(emit(out, 0xf8410018U, swap), target - gp, swap), swap)


cdef inline void write_toc_thunk(uint8_t* out, uint64_t target, uint64_t gp, uint64_t target_gp, bint v1,
                                 bint swap) noexcept nogil:
    """ELFv2 enters by the global entry, which finds its TOC itself."""
    cdef uint64_t change = target_gp - gp
    cdef uint8_t* at
    if not v1:
        write_save_thunk(out, target, gp, swap)
        return
    at = emit_address(emit(out, 0xf8410028U, swap), target - gp, swap)
    at = emit(at, 0x3c420000 | ha(change), swap)                   # addis r2, r2
    emit_jump(emit(at, 0x38420000 | lo(change), swap), swap)       # addi r2, r2


cdef inline uint8_t* emit_shortcut(uint8_t* out, bint swap) noexcept nogil:
    """Module 0 in the pair says that the offset counts from the thread pointer."""
    cdef uint8_t* at = emit(out, 0xe8030000U, swap)                 # ld r0, 0(r3)
    at = emit(at, 0xe9830008U, swap)                                # ld r12, 8(r3)
    at = emit(at, 0x2c200000, swap)                                # cmpdi r0, 0
    at = emit(at, 0x7c601b78, swap)                                # mr r0, r3
    at = emit(at, 0x7c6c6a14, swap)                                # add r3, r12, r13
    at = emit(at, 0x4d820020, swap)                                # beqlr
    return emit(at, 0x7c030378, swap)                              # mr r3, r0


cdef inline void write_tls_thunk(uint8_t* out, uint64_t slot, uint64_t gp, bint v1, bint swap) noexcept nogil:
    """The pair, or the call, with LR in the frame of the caller, who does not restore r2."""
    cdef uint64_t offset = slot - gp
    cdef uint8_t* at = emit_shortcut(out, swap)
    at = emit(at, 0x7c0802a6, swap)                                # mflr r0
    at = emit(at, 0xf8010020U if v1 else 0xf8010008U, swap)          # std r0, 32(r1) or 8(r1)
    if v1:
        at = emit_descriptor(emit(at, 0xf8410028U, swap), offset, swap)
    else:
        at = emit_base(emit(at, 0xf8410018U, swap), 12, offset, swap)
        at = emit(at, 0xe9800000U | base_of(12, offset) | lo(offset), swap)
        at = emit(at, I_MTCTR_R12, swap)
    at = emit(at, 0x4e800421, swap)                                # bctrl
    at = emit(at, 0xe8410028U if v1 else 0xe8410018U, swap)          # ld r2
    at = emit(at, 0xe8010020U if v1 else 0xe8010008U, swap)          # ld r0
    emit(emit(at, 0x7c0803a6, swap), 0x4e800020, swap)             # mtlr r0; blr


cdef inline void write_notoc_thunk(uint8_t* out, uint64_t address, uint64_t target, bint load, bint swap) noexcept nogil:
    """Jump to `target`, or to what the word there names; its address stays in r12."""
    cdef uint64_t distance = target - (address + 8)
    cdef uint8_t* at = emit_here(out, distance, swap)
    at = emit(at, (I_LD_R12_R12 if load else 0x398c0000) | lo(distance), swap)
    emit_jump(at, swap)


cdef inline void write_p10_thunk(uint8_t* out, uint64_t address, uint64_t target, bint load, bint swap) noexcept nogil:
    cdef uint64_t distance = target - address
    put(out, (P_PLD_R if load else 0x06100000) | (<uint32_t>(distance >> 16) & 0x3ffff), swap)
    put(out + 4, (0xe5800000U if load else 0x39800000) | lo(distance), swap)
    emit_jump(out + 8, swap)
