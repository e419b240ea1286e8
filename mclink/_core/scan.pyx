"""Level 2: decides about every relocation of the image, once; `apply` obeys.

A file is the unit of work: its verdicts come from one arena and its local symbols' needs are its own,
so only the needs of globals are shared, and they are or'ed atomically. Everything that a relocation
says (type, offset, symbol) is checked here; later passes trust it.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from libc.stdlib cimport calloc
from libc.string cimport memset, strcmp
from mclink._core.elf cimport (Rela, Sym, Shdr, SHF_ALLOC, SHF_WRITE, SHF_EXECINSTR, SHF_TLS, SHN_ABS,
                               STT_SECTION, STT_TLS, STT_GNU_IFUNC, STV_PROTECTED)
from mclink._core.fault cimport *
from mclink._core.ops cimport *
from mclink._core.parallel cimport parallel_for, atomic_or8, atomic_or32
from mclink._core.tables cimport *

cdef extern from *:
    void prefetch "__builtin_prefetch"(const void* p) noexcept nogil

cdef enum:
    AHEAD = 8                # relocations whose symbols are prefetched ahead

cdef enum:                   # rows of the decision table; keep in step with mclink.layout.scan.FORMS
    FORM_WORD = 0            # S + A in a whole word
    FORM_NARROW = 1          # S + A in fewer bits than an address has
    FORM_PCREL = 2           # S + A - P, pages too
    FORM_GOTREL = 3          # S + A - GOT
    FORM_CALL = 4            # L + A - P
    FORM_COUNT = 5

cdef enum:                   # columns of the decision table
    KIND_IFUNC = 4           # behind G_LOCAL .. G_IMPORT_FUNC
    KIND_COUNT = 5

cdef enum:                   # entries; keep in step with mclink.layout.scan.ACTIONS
    ACT_APPLY = 0            # the value is known when the image is laid out
    ACT_ERROR = 1            # cannot be expressed in this kind of output
    ACT_NUMBER = 2           # an error unless the symbol is undefined weak or made by the linker
    ACT_RELATIVE = 3         # relative dynamic relocation
    ACT_SYMBOLIC = 4         # symbolic dynamic relocation
    ACT_IRELATIVE = 5        # dynamic relocation that calls the resolver
    ACT_COPY = 6             # copy relocation
    ACT_CANONICAL = 7        # the symbol's address is its PLT entry
    ACT_PLT = 8              # PLT entry
    ACT_SYMBOLIC_OR_COPY = 9 # symbolic where the section is writable
    ACT_SYMBOLIC_OR_CANONICAL = 10

cdef struct Scan:            # one run of the pass
    Columns* c               # the tables
    const Ops* ops           # the target
    const uint8_t* decisions # [FORM_COUNT][KIND_COUNT] ACT_* of this kind of output
    bint small               # addresses are known to fit 31 bits
    bint relax               # --relax in force

cdef struct Reference:       # one relocation while it is being decided
    Fragment* frag           # its fragment
    const File* f            # its file
    const Rela* r            # the relocation
    const RelocType* t       # its type
    uint32_t frag_id         # its fragment
    uint32_t index           # its index in the fragment
    uint32_t gid             # global it names, 0 for a local symbol
    uint32_t flags           # gflags of the symbol; the same bits made up for a local one
    uint32_t kind            # G_LOCAL .. G_IMPORT_FUNC or KIND_IFUNC
    uint32_t target          # fragment that defines it, 0 none
    uint8_t got              # Ops.may_relax_got of the fragment: 0 not asked, 1 yes, 2 no


cdef void report(Scan* s, Reference* x, uint32_t code, int64_t value) noexcept nogil:
    cdef Fault row
    memset(&row, 0, sizeof(Fault))
    row.code = code
    row.file = x.frag.file
    row.frag = x.frag_id
    row.type = x.r.r_type
    row.offset = x.r.r_offset
    row.gid = x.gid
    row.sym = x.r.r_sym
    row.value = value
    record_fault(s.c.faults, &row)


cdef void need(Scan* s, Reference* x, uint8_t bits) noexcept nogil:
    """The symbol needs linker-made entries."""
    cdef File* f
    if x.gid != 0:
        atomic_or8(&s.c.gneeds[x.gid], bits)
        return
    f = &s.c.files[x.frag.file]
    if f.local_needs == NULL:
        f.local_needs = <uint8_t*>calloc(f.first_global + 1, 1)
        if f.local_needs == NULL:
            report(s, x, FAULT_NO_MEMORY, 0)
            return
    f.local_needs[x.r.r_sym] |= bits


cdef bint allow_dynamic(Scan* s, Reference* x) noexcept nogil:
    """A dynamic relocation stands in this fragment; False when text relocations are errors."""
    if x.frag.sh_flags & SHF_WRITE:
        return True
    if s.c.z_text == 1:
        report(s, x, FAULT_TEXTREL, 0)
        return False
    atomic_or32(&s.c.needs, NEEDS_TEXTREL)
    return True


cdef uint8_t dynamic_verdict(Scan* s, Reference* x, uint8_t verdict) noexcept nogil:
    """Counts one dynamic relocation."""
    if not allow_dynamic(s, x):
        return V_SKIP
    if verdict == V_RELATIVE:
        # RELR names even addresses only; where the .eh_frame record will stand is not known yet.
        if s.c.use_relr and (x.r.r_offset & 1 or x.frag.align_log2 < 1 or x.frag.kind == FRAG_EHFRAME):
            verdict = V_RELATIVE_ODD
        else:
            x.frag.nrelative += 1
            return verdict
    if verdict == V_SYMBOLIC:
        need(s, x, NEED_DYNSYM)
    x.frag.ndynamic += 1
    return verdict


cdef bint protected_in_library(Scan* s, uint32_t gid) noexcept nogil:
    """True when the shared object that defines a symbol will not look at our copy of it."""
    cdef Global* g = &s.c.globals[gid]
    cdef const File* f = &s.c.files[g.file]
    return f.kind == FILE_SHARED and g.sym < f.nsyms and (f.syms[g.sym].st_other & 3) == STV_PROTECTED


cdef uint8_t decide_copy(Scan* s, Reference* x) noexcept nogil:
    if s.c.globals[x.gid].state != SYM_SHARED:
        # Undefined and allowed to be: there is nothing to copy, and its value is 0, which does not move.
        if s.c.pic:
            report(s, x, FAULT_NEEDS_PIC, 0)
            return V_SKIP
        return V_APPLY
    if s.c.z_nocopyreloc:
        report(s, x, FAULT_NO_COPY, 0)
        return V_SKIP
    if protected_in_library(s, x.gid):
        report(s, x, FAULT_COPY_PROTECTED, 0)
        return V_SKIP
    need(s, x, NEED_COPY)
    return V_APPLY


cdef uint8_t obey(Scan* s, Reference* x, uint8_t action) noexcept nogil:
    """Carries out an entry of the decision table; returns the verdict."""
    if action == ACT_APPLY:
        return V_APPLY
    if action == ACT_RELATIVE:
        if s.ops.eh_pcrel and x.frag.kind == FRAG_EHFRAME and s.c.ehs[x.frag.link].flags & EH_PCREL:
            return V_PCREL
        return dynamic_verdict(s, x, V_RELATIVE)
    if action == ACT_PLT:
        need(s, x, NEED_PLT)
        return V_APPLY
    if action == ACT_SYMBOLIC:
        return dynamic_verdict(s, x, V_SYMBOLIC)
    if action == ACT_IRELATIVE:
        return dynamic_verdict(s, x, V_IRELATIVE)
    if action == ACT_SYMBOLIC_OR_COPY or action == ACT_SYMBOLIC_OR_CANONICAL:
        if x.flags & G_UNDEF_WEAK and not (s.ops.weak_words and x.frag.sh_flags & SHF_WRITE):
            # As GNU ld has it: only its GOT and PLT entries ask the run-time linker once more.
            return V_APPLY
        if x.frag.sh_flags & SHF_WRITE or (s.c.z_nocopyreloc and action == ACT_SYMBOLIC_OR_COPY):
            return dynamic_verdict(s, x, V_SYMBOLIC)
        action = ACT_COPY if action == ACT_SYMBOLIC_OR_COPY else ACT_CANONICAL
    if action == ACT_CANONICAL:
        need(s, x, NEED_PLT | NEED_CANONICAL_PLT)
        return V_APPLY
    if action == ACT_COPY:
        return decide_copy(s, x)
    if action == ACT_NUMBER and x.flags & (G_UNDEF_WEAK | G_LINKER | G_SCRIPT):
        return V_APPLY
    report(s, x, FAULT_NEEDS_PIC, 0)
    return V_SKIP


cdef uint8_t look_up(Scan* s, Reference* x, uint32_t form) noexcept nogil:
    return obey(s, x, s.decisions[form * KIND_COUNT + x.kind])


cdef uint8_t relax(Scan* s, Reference* x, uint8_t* verdicts, uint32_t wish) noexcept nogil:
    """Asks the target for a relaxation; its partners in `verdicts` become V_SKIP. 0: not possible."""
    cdef uint32_t skip = 0
    cdef uint32_t i
    cdef uint8_t verdict
    if not x.t.flags & TYPE_RELAX or s.ops.choose_relaxation == NULL:
        return 0
    verdict = s.ops.choose_relaxation(s.c, x.frag, x.index, wish, &skip)
    if verdict != 0:
        for i in range(skip):
            verdicts[x.index + 1 + i] = V_SKIP
    return verdict


cdef uint32_t got_wish(Scan* s, Reference* x) noexcept nogil:
    """The relaxation that a load from the GOT may hope for, 0 none."""
    cdef Global* g
    cdef uint64_t value = 0
    if x.kind == G_LOCAL:
        if x.flags & G_SCRIPT:
            # A script may put it anywhere, and whether it is a number is known when it has run.
            return 0
        return RELAX_GOT_SMALL if s.small and not s.c.pic else RELAX_GOT_ADDRESS
    if x.kind != G_ABSOLUTE or x.flags & (G_SCRIPT | G_LINKER):
        return 0
    if not x.flags & G_UNDEF_WEAK:
        if x.gid != 0:
            g = &s.c.globals[x.gid]
            value = g.value if g.state == SYM_DEFINED or g.state == SYM_DEFINED_WEAK else 0
        else:
            value = x.f.syms[x.r.r_sym].st_value
    return RELAX_GOT_NUMBER if value <= 0x7fffffff else 0


cdef bint may_relax_got(Scan* s, Reference* x) noexcept nogil:
    if x.got == 0:
        x.got = 1 if s.ops.may_relax_got == NULL or s.ops.may_relax_got(s.c, x.frag) else 2
    return x.got == 1


cdef uint8_t decide_got(Scan* s, Reference* x, uint8_t* verdicts) noexcept nogil:
    """Q_G: a GOT slot, or the address without it."""
    cdef uint8_t verdict
    cdef uint32_t wish
    if s.relax and x.t.flags & TYPE_RELAX:
        wish = got_wish(s, x)
        if wish != 0 and may_relax_got(s, x):
            verdict = relax(s, x, verdicts, wish)
            if verdict != 0:
                return verdict
    if x.t.reference == R_GOT or x.t.reference == R_GOT_PAGE:
        atomic_or32(&s.c.needs, NEEDS_GOT_BASE)
    need(s, x, NEED_GOT)
    return slot_verdict(s, x, verdicts)


cdef uint8_t slot_verdict(Scan* s, Reference* x, uint8_t* verdicts) noexcept nogil:
    """How the address of a slot that stays is written: by the formula unless the target says otherwise."""
    cdef uint8_t verdict = relax(s, x, verdicts, RELAX_SLOT)
    if verdict == V_SKIP:
        report(s, x, FAULT_NEEDS_PIC, 0)
    elif verdict == V_APPLY and x.t.reference == R_NONE and x.t.flags & TYPE_WORD and s.c.pic:
        return dynamic_verdict(s, x, V_RELATIVE)
    return verdict


cdef uint8_t decide_down(Scan* s, Reference* x, uint8_t* verdicts) noexcept nogil:
    """Q_G of a thread-local symbol: a slot with TP - S."""
    cdef bint imported = x.kind == G_IMPORT_DATA or x.kind == G_IMPORT_FUNC
    cdef uint8_t verdict = 0
    if not s.c.shared_output and not imported:
        verdict = relax(s, x, verdicts, RELAX_IE_LE)
    if verdict != 0:
        return verdict
    need(s, x, NEED_GOT)
    if s.c.shared_output:
        atomic_or32(&s.c.needs, NEEDS_STATIC_TLS)
    return slot_verdict(s, x, verdicts)


cdef inline uint8_t relaxed_slot(const Scan* s) noexcept nogil:
    """The slot with the TP offset that relaxed sequences read: as in GNU ld, one that counts downwards if there are any."""
    return NEED_GOT if s.ops.dyn_tpoff_down else NEED_GOTTP


cdef uint8_t decide_tls(Scan* s, Reference* x, uint8_t* verdicts) noexcept nogil:
    """Thread-local access. An executable knows its own TP offsets, so each model becomes the cheapest legal one."""
    cdef bint executable = not s.c.shared_output
    cdef bint imported = x.kind == G_IMPORT_DATA or x.kind == G_IMPORT_FUNC
    cdef uint8_t verdict = 0
    cdef uint8_t q = x.t.quantity
    if q == Q_GD:
        if executable:
            verdict = relax(s, x, verdicts, RELAX_GD_IE if imported else RELAX_GD_LE)
            if verdict != 0 and imported:
                need(s, x, relaxed_slot(s))
        if verdict == 0:
            need(s, x, NEED_TLSGD)
            verdict = slot_verdict(s, x, verdicts)
        return verdict
    if q == Q_LD:
        if executable and x.t.flags & TYPE_RELAX:
            # The DTPOFFs of this module become TPOFFs, so a sequence that cannot follow is an error.
            verdict = relax(s, x, verdicts, RELAX_LD_LE)
            if verdict == 0:
                report(s, x, FAULT_BAD_INSTRUCTION, 0)
                return V_SKIP
            return verdict
        atomic_or32(&s.c.needs, NEEDS_TLSLD)
        return slot_verdict(s, x, verdicts)
    if q == Q_DTPOFF:
        # Local-dynamic code has been told that the definition of this module is the one.
        if imported and s.c.globals[x.gid].frag == 0:
            report(s, x, FAULT_NEEDS_PIC, 0)
            return V_SKIP
        if executable and x.t.flags & TYPE_RELAX and x.frag.sh_flags & SHF_EXECINSTR:
            return V_TPOFF
        return V_APPLY
    if q == Q_GOTTP:
        if executable and not imported:
            verdict = relax(s, x, verdicts, RELAX_IE_LE)
        if verdict == 0:
            need(s, x, NEED_GOTTP)
            if not executable:
                atomic_or32(&s.c.needs, NEEDS_STATIC_TLS)
            verdict = slot_verdict(s, x, verdicts)
        return verdict
    if q == Q_TPOFF:
        if executable and not imported:
            return relax(s, x, verdicts, RELAX_TPOFF)
        if (x.r.r_type == s.ops.dyn_tpoff or x.t.flags & TYPE_WORD) and not executable:
            atomic_or32(&s.c.needs, NEEDS_STATIC_TLS)
            if x.gid != 0 and imported:
                need(s, x, NEED_DYNSYM)
            verdict = V_DYNAMIC_TPOFF_DOWN if relax(s, x, verdicts, RELAX_TPOFF) else V_DYNAMIC_TPOFF
            return dynamic_verdict(s, x, verdict)
        report(s, x, FAULT_NEEDS_PIC, 0)
        return V_SKIP
    if q == Q_GOTDTP:
        if imported and s.c.globals[x.gid].frag == 0:
            report(s, x, FAULT_NEEDS_PIC, 0)
            return V_SKIP
        need(s, x, NEED_TLSDESC)
        return V_APPLY
    # TLSDESC and the call through it.
    if executable and x.t.flags & TYPE_RELAX:
        verdict = relax(s, x, verdicts, RELAX_DESC_IE if imported else RELAX_DESC_LE)
        if verdict == 0:
            report(s, x, FAULT_BAD_INSTRUCTION, 0)
            return V_SKIP
        if q == Q_TLSDESC and imported:
            need(s, x, relaxed_slot(s))
        return verdict
    verdict = relax(s, x, verdicts, RELAX_DESC)
    if q == Q_TLSDESC:
        need(s, x, NEED_TLSDESC)
        return verdict
    return verdict if verdict != 0 else V_SKIP


cdef inline uint32_t call_form(Scan* s, Reference* x) noexcept nogil:
    """A branch that cannot go through a PLT entry of PIC, and a distance in data, are like any other distance."""
    if not x.t.flags & TYPE_DIRECT:
        return FORM_CALL
    if s.c.pic or not x.frag.sh_flags & SHF_EXECINSTR:
        return FORM_PCREL
    return FORM_CALL if x.kind == G_IMPORT_FUNC or x.kind == KIND_IFUNC else FORM_PCREL


cdef uint8_t decide_value(Scan* s, Reference* x) noexcept nogil:
    """Q_S and Q_L: what the decision table says."""
    cdef uint8_t reference = x.t.reference
    cdef uint8_t verdict
    if x.t.quantity == Q_L:
        if reference == R_GOT:
            atomic_or32(&s.c.needs, NEEDS_GOT_BASE)
        verdict = look_up(s, x, call_form(s, x))
        return V_DIRECT if verdict == V_APPLY and x.kind <= G_ABSOLUTE else verdict
    if x.t.flags & TYPE_WORD:
        return look_up(s, x, FORM_WORD)
    if reference == R_P or reference == R_PAGE or reference == R_LOW:
        return look_up(s, x, FORM_PCREL)
    if reference == R_NONE:
        return look_up(s, x, FORM_NARROW)
    if reference == R_GOT or reference == R_GOT_PAGE:
        atomic_or32(&s.c.needs, NEEDS_GOT_BASE)
    return look_up(s, x, FORM_GOTREL)


cdef uint8_t decide(Scan* s, Reference* x, uint8_t* verdicts) noexcept nogil:
    """The verdict on a relocation whose symbol is known."""
    cdef uint8_t q = x.t.quantity
    cdef uint8_t verdict, own
    if q == Q_S or q == Q_L:
        if not x.t.flags & TYPE_RELAX:
            return decide_value(s, x)
        if x.flags & G_UNDEF_WEAK and x.kind == G_ABSOLUTE:
            verdict = relax(s, x, verdicts, RELAX_WEAK)
            if verdict != 0:
                return verdict
        verdict = decide_value(s, x)
        own = relax(s, x, verdicts, RELAX_FORM) if verdict == V_APPLY or verdict == V_DIRECT else 0
        return own if own != 0 else verdict
    if q == Q_G:
        return decide_down(s, x, verdicts) if x.t.flags & TYPE_TLS else decide_got(s, x, verdicts)
    if q == Q_GOT:
        atomic_or32(&s.c.needs, NEEDS_GOT_BASE)
        return V_APPLY
    if q == Q_Z:
        return V_APPLY
    if q == Q_HINT:
        verdict = relax(s, x, verdicts, RELAX_HINT) if x.kind == G_LOCAL else 0
        return verdict if verdict != 0 else V_SKIP
    if q == Q_GP:
        atomic_or32(&s.c.needs, NEEDS_GOT_BASE)
        return dynamic_verdict(s, x, V_RELATIVE) if x.t.flags & TYPE_WORD and s.c.pic else V_APPLY
    if q == Q_SLOT:
        return decide_slot(s, x, verdicts)
    return decide_tls(s, x, verdicts)


cdef uint8_t decide_slot(Scan* s, Reference* x, uint8_t* verdicts) noexcept nogil:
    """Q_SLOT: a slot for a call that does without a PLT entry's code."""
    cdef uint8_t verdict
    if x.kind <= G_ABSOLUTE:
        verdict = relax(s, x, verdicts, RELAX_CALL)
        if verdict != 0:
            return verdict
        need(s, x, NEED_GOT)
    else:
        need(s, x, NEED_PLT)
        verdict = relax(s, x, verdicts, RELAX_SLOT)
        if verdict != 0:
            return verdict
    return V_SKIP if x.t.reference == R_NONE else V_APPLY


cdef bint may_refer_to_dropped(const File* f, uint32_t shndx) noexcept nogil:
    """Sections that describe code: gcc leaves entries of dropped functions in them."""
    cdef const char* name = f.shstrtab + f.shdrs[shndx].sh_name
    return strcmp(name, b".gcc_except_table") == 0 or strcmp(name, b".eh_frame") == 0 \
        or strcmp(name, b".ARM.extab") == 0 or strcmp(name, b".toc") == 0 or strcmp(name, b".opd") == 0


cdef uint8_t identify_local(Scan* s, Reference* x) noexcept nogil:
    """Fills kind, flags and target of a local symbol. A verdict other than V_APPLY ends the matter."""
    cdef Columns* c = s.c
    cdef const Sym* sym = &x.f.syms[x.r.r_sym]
    cdef uint8_t type = sym.st_info & 15
    cdef uint8_t state
    x.gid = 0
    x.flags = 0
    x.target = sym_frag(c, x.f, x.r.r_sym)
    if x.target == 0:
        x.kind = G_ABSOLUTE
        # Symbol 0, and a section symbol without a section, are the number 0.
        if sym.st_shndx != SHN_ABS:
            x.flags = G_UNDEF_WEAK
        return V_APPLY
    state = c.frag_state[x.target]
    if not state & (STATE_LIVE | STATE_FOLDED):
        if state & (STATE_DISCARDED | STATE_SCRIPT_DISCARD) \
                and not may_refer_to_dropped(x.f, frag_shndx(c, x.frag_id)):
            report(s, x, FAULT_DISCARDED, 0)
        return V_ZERO
    x.kind = G_LOCAL
    if type == STT_GNU_IFUNC:
        x.kind = KIND_IFUNC
    elif type == STT_TLS or (x.t.flags & TYPE_TLS and c.frags[x.target].sh_flags & SHF_TLS):
        x.flags = G_TLS
    return V_APPLY


cdef uint8_t identify_global(Scan* s, Reference* x) noexcept nogil:
    """Fills kind, flags and target of a global symbol. A verdict other than V_APPLY ends the matter."""
    cdef Columns* c = s.c
    x.gid = x.f.gids[x.r.r_sym - x.f.first_global]
    x.flags = c.gflags[x.gid]
    x.kind = x.flags & G_KIND_MASK
    x.target = c.globals[x.gid].frag
    if x.flags & G_UNDEFINED:
        if x.flags & G_DISCARDED and may_refer_to_dropped(x.f, frag_shndx(c, x.frag_id)):
            return V_ZERO
        report(s, x, FAULT_DISCARDED if x.flags & G_DISCARDED else FAULT_UNDEFINED, 0)
        return V_ZERO
    if x.target != 0 and c.frag_state[x.target] & STATE_SCRIPT_DISCARD:
        if not may_refer_to_dropped(x.f, frag_shndx(c, x.frag_id)):
            report(s, x, FAULT_DISCARDED, 0)
        return V_ZERO
    if x.flags & G_IFUNC:
        x.kind = KIND_IFUNC
    if x.t.flags & TYPE_TLS and not x.flags & G_TLS and x.target != 0 and c.frags[x.target].sh_flags & SHF_TLS:
        # A label in .tdata that the assembler did not mark.
        x.flags |= G_TLS
    return V_APPLY


cdef bint tls_matches(Reference* x) noexcept nogil:
    """False when one side takes the symbol for thread-local and the other does not. A file that knows its symbol
    to be thread-local may ask for the address of its initial value."""
    if x.t.flags & TYPE_TLS:
        return x.flags & (G_TLS | G_UNDEF_WEAK) != 0
    return (not x.flags & G_TLS or x.t.flags & TYPE_ANY_SYMBOL != 0
            or (x.f.syms[x.r.r_sym].st_info & 15) == STT_TLS)


cdef void note_dependency(Scan* s, Reference* x) noexcept nogil:
    """A relocation that only says that its symbol is wanted (R_ARM_NONE) keeps an imported one in .dynsym."""
    if x.t.flags & TYPE_NO_SYMBOL or x.r.r_sym >= x.f.nsyms or x.r.r_sym < x.f.first_global:
        return
    x.gid = x.f.gids[x.r.r_sym - x.f.first_global]
    if (s.c.gflags[x.gid] & G_KIND_MASK) >= G_IMPORT_DATA:
        need(s, x, NEED_DYNSYM)


cdef uint8_t scan_relocation(Scan* s, Reference* x, uint64_t size, uint8_t* verdicts) noexcept nogil:
    """Checks and decides relocation x.index of x.frag, whose input bytes are `size`."""
    cdef uint8_t verdict
    x.gid = 0
    if x.r.r_type >= s.ops.ntypes:
        report(s, x, FAULT_UNKNOWN_RELOC, x.r.r_type)
        return V_SKIP
    x.t = &s.ops.types[x.r.r_type]
    if x.t.quantity <= Q_DYNAMIC:
        report(s, x, FAULT_UNKNOWN_RELOC, x.r.r_type)
        return V_SKIP
    if x.t.quantity == Q_NONE:
        note_dependency(s, x)
        return V_SKIP
    if x.t.size > size or x.r.r_offset > size - x.t.size:
        report(s, x, FAULT_BAD_RELOC_OFFSET, x.r.r_offset)
        return V_SKIP
    if x.r.r_sym >= x.f.nsyms:
        report(s, x, FAULT_BAD_RELOC_SYMBOL, x.r.r_sym)
        return V_SKIP
    if x.t.flags & TYPE_NO_SYMBOL:
        x.flags = 0
        x.kind = G_LOCAL
        x.target = 0
        return decide(s, x, verdicts)
    if x.r.r_sym < x.f.first_global:
        verdict = identify_local(s, x)
    else:
        verdict = identify_global(s, x)
    if verdict != V_APPLY:
        return verdict
    if not tls_matches(x):
        report(s, x, FAULT_TLS_MISMATCH, 0)
        return V_SKIP
    return decide(s, x, verdicts)


cdef void keep_live_records(Columns* c, Fragment* frag, uint8_t* verdicts) noexcept nogil:
    """Of an .eh_frame only the relocations of records that will be written count."""
    cdef EhInput* eh
    cdef Cie* cie
    cdef Fde* fde
    cdef uint32_t i
    if frag.link == 0:
        return
    memset(verdicts, V_SKIP, frag.nrelocs)
    eh = &c.ehs[frag.link]
    for i in range(eh.first_cie, eh.first_cie + eh.ncies):
        cie = &c.cies[i]
        if cie.live and cie.leader == i:
            memset(verdicts + cie.first_reloc, V_APPLY, cie.nrelocs)
    for i in range(eh.first_fde, eh.first_fde + eh.nfdes):
        fde = &c.fdes[i]
        if fde.out != EH_DROPPED:
            memset(verdicts + fde.first_reloc, V_APPLY, fde.nrelocs)


cdef void scan_fragment(Scan* s, uint32_t frag_id, uint8_t* verdicts) noexcept nogil:
    """Fills the verdicts of one fragment; they are left off when all are V_APPLY."""
    cdef Columns* c = s.c
    cdef Reference x
    cdef uint64_t size
    cdef uint32_t i, sym
    cdef uint8_t any = 0
    x.frag = &c.frags[frag_id]
    x.f = &c.files[x.frag.file]
    x.frag_id = frag_id
    x.got = 0
    x.frag.nrelative = 0
    x.frag.ndynamic = 0
    size = x.frag.size
    if x.frag.kind == FRAG_EHFRAME:
        size = x.f.shdrs[frag_shndx(c, frag_id)].sh_size
        keep_live_records(c, x.frag, verdicts)
    for i in range(x.frag.nrelocs):
        if i + AHEAD < x.frag.nrelocs:
            sym = x.frag.relocs[i + AHEAD].r_sym
            if x.f.first_global <= sym < x.f.nsyms:
                prefetch(&c.globals[x.f.gids[sym - x.f.first_global]])
                prefetch(&c.gflags[x.f.gids[sym - x.f.first_global]])
        if verdicts[i] == V_APPLY:
            x.index = i
            x.r = &x.frag.relocs[i]
            verdicts[i] = scan_relocation(s, &x, size, verdicts)
        any |= verdicts[i]
    x.frag.verdicts = verdicts if any else NULL


cdef inline bint is_scanned(Columns* c, uint32_t frag_id) noexcept nogil:
    cdef Fragment* frag = &c.frags[frag_id]
    return (frag.nrelocs != 0 and frag.sh_flags & SHF_ALLOC and c.frag_state[frag_id] & STATE_LIVE
            and not c.frag_state[frag_id] & STATE_FOLDED
            and (frag.kind == FRAG_REGULAR or frag.kind == FRAG_EHFRAME))


cdef void scan_file(void* context, int64_t index, int thread) noexcept nogil:
    cdef Scan* s = <Scan*>context
    cdef Columns* c = s.c
    cdef uint32_t file = c.live[index]
    cdef File* f = &c.files[file]
    cdef uint64_t total = 0
    cdef uint8_t* next
    cdef uint32_t frag
    if f.kind != FILE_OBJECT:
        return
    for frag in range(f.frag_base, f.frag_base + f.shnum):
        if is_scanned(c, frag):
            total += c.frags[frag].nrelocs
    if total == 0:
        return
    next = <uint8_t*>calloc(total, 1)
    if next == NULL:
        fault_at(c.faults, FAULT_NO_MEMORY, file, 0, 0, 0, 0)
        return
    f.verdicts = next
    for frag in range(f.frag_base, f.frag_base + f.shnum):
        if is_scanned(c, frag):
            scan_fragment(s, frag, next)
            next += c.frags[frag].nrelocs


def scan_files(Tables tables, bytes decisions not None, bint small):
    """Scans the relocations of all live objects.

    decisions: FORM_COUNT * KIND_COUNT bytes, the decision table for this kind of output.
    small: every address of the image is known to be below 2**31.
    Columns.ops must be attached. Problems become faults; ValueError for a table of the wrong size."""
    cdef Scan s
    cdef Columns* c = &tables.c
    if len(decisions) != FORM_COUNT * KIND_COUNT:
        raise ValueError("decision table of the wrong size")
    if c.ops == NULL:
        raise ValueError("no target attached")
    s.c = c
    s.ops = <const Ops*>c.ops
    s.decisions = <const uint8_t*><const char*>decisions
    s.small = small
    s.relax = c.relax
    with nogil:
        parallel_for(scan_file, &s, c.nlive, c.threads)


def needs(Tables tables):
    """NEEDS_* bits of the output."""
    return tables.c.needs


TEXTREL = NEEDS_TEXTREL


def first_text_relocation(Tables tables):
    """(file name, section name) of the first read-only section with a dynamic relocation, in link order."""
    cdef Columns* c = &tables.c
    cdef uint32_t i, frag
    cdef const File* f
    for i in range(c.nlive):
        f = &c.files[c.live[i]]
        if f.kind != FILE_OBJECT:
            continue
        for frag in range(f.frag_base, f.frag_base + f.shnum):
            if is_scanned(c, frag) and not c.frags[frag].sh_flags & SHF_WRITE \
                    and c.frags[frag].nrelative + c.frags[frag].ndynamic:
                section = <bytes>(f.shstrtab + f.shdrs[frag - f.frag_base].sh_name)
                return f.name[:f.name_len].decode("utf-8", "replace"), section.decode("utf-8", "replace")
    return "", ""
