# cython: language_level=3
"""Level 2: GOT slots, PLT entries, TLS slots and copies of every symbol that scan found in need of them.

`slot_words` says, for one Aux row, which words the linker writes for it and which dynamic relocation each one
has. Counting (here) and writing (write_slots) both go through it, so that they cannot disagree.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int32_t, int64_t
from libc.stdlib cimport calloc
from libc.string cimport memset
from mclink._core.bytes cimport store32, store64
from mclink._core.elf cimport (
    Rela, Sym, SHN_ABS, STT_GNU_IFUNC, STT_TLS, STB_WEAK, SHF_WRITE)
from mclink._core.ops cimport Ops, PltStyle, PltEntry, PUSH_HEADER, plt_writer_t
from mclink._core.outrec cimport relocation_size, store_relocation
from mclink._core.tables cimport *

cdef enum:                   # Word.kind: which table a word's dynamic relocation goes to
    WORD_PLAIN = 0           # no dynamic relocation
    WORD_RELATIVE = 1        # the relative part of dynrels, or relr
    WORD_DYNAMIC = 2         # dynrels
    WORD_PLT = 3             # .rela.plt
    WORD_IPLT = 4            # .rela.iplt

cdef enum:
    MAX_WORDS = 12           # words that one Aux row can have

cdef struct Word:            # one word of a GOT-like section, or the place of a copy
    uint32_t special         # SPECIAL_* of the section it lies in; 0: a copy, `offset` is its address
    uint64_t offset          # byte offset in that section
    uint64_t value           # what the file holds
    uint32_t kind            # WORD_*
    uint32_t type            # dynamic relocation number
    uint32_t dynsym          # .dynsym index it refers to
    int64_t addend           # addend of the dynamic relocation
    bint stored              # 0: the word is not written (copies)


cdef inline bint is_import(const Columns* c, const Aux* a) noexcept nogil:
    return a.gid != 0 and (c.gflags[a.gid] & G_KIND_MASK) >= G_IMPORT_DATA


cdef inline bint is_ifunc(const Columns* c, const Aux* a) noexcept nogil:
    """True for an IFUNC of this image that nobody can preempt."""
    if a.gid != 0:
        return c.gflags[a.gid] & G_IFUNC != 0
    return c.files[a.file].syms[a.sym].st_info & 15 == STT_GNU_IFUNC


cdef inline bint is_tls(const Columns* c, const Aux* a) noexcept nogil:
    if a.gid != 0:
        return c.gflags[a.gid] & G_TLS != 0
    return c.files[a.file].syms[a.sym].st_info & 15 == STT_TLS


cdef inline bint is_number(const Columns* c, const Aux* a) noexcept nogil:
    """True when the value does not move with the image."""
    if a.gid != 0:
        return (c.gflags[a.gid] & G_KIND_MASK) == G_ABSOLUTE
    return c.files[a.file].syms[a.sym].st_shndx == SHN_ABS


cdef uint64_t definition_address(Columns* c, const Aux* a) noexcept nogil:
    """Address of the definition itself: of an IFUNC, its resolver."""
    cdef Global* g
    cdef const File* f
    cdef uint32_t frag
    if a.gid != 0:
        g = &c.globals[a.gid]
        if c.gflags[a.gid] & (G_CANONICAL_PLT | G_IFUNC):
            return frag_address(c, g.frag, g.value) if g.frag != 0 else g.value
        return c.gvalue[a.gid]
    f = &c.files[a.file]
    if f.syms[a.sym].st_shndx == SHN_ABS:
        return f.syms[a.sym].st_value
    frag = sym_frag(c, f, a.sym)
    return frag_address(c, frag, f.syms[a.sym].st_value) if frag != 0 else 0


cdef inline uint64_t entry_address(Columns* c, const Aux* a) noexcept nogil:
    return c.frag_addr[c.special[a.plt_section]] + <uint64_t><int64_t>a.plt


cdef inline Word* add_word(Word* out, int* n, uint32_t special, int64_t offset, uint64_t value, uint32_t kind,
                           uint32_t type, uint32_t dynsym, uint64_t addend) noexcept nogil:
    cdef Word* w = &out[n[0]]
    n[0] += 1
    w.special = special
    w.offset = <uint64_t>offset
    w.value = value
    w.kind = kind
    w.type = type
    w.dynsym = dynsym
    w.addend = <int64_t>addend
    w.stored = True
    return w


cdef int slot_words(Columns* c, const Aux* a, Word* out) noexcept nogil:
    """The words of one Aux row; returns how many. Before layout the values are meaningless, the kinds are not.

    Dynamic relocations: System V psABI of the machine, "Relocation"; IRELATIVE in a static executable goes to
    .rela.iplt because start-up code walks [__rela_iplt_start, __rela_iplt_end)."""
    cdef const Ops* ops = <const Ops*>c.ops
    cdef int n = 0
    cdef bint imported, ifunc
    cdef uint64_t S
    cdef uint32_t word = ops.word_size
    cdef uint32_t irelative_kind = WORD_DYNAMIC if c.dynamic_output else WORD_IPLT
    cdef uint64_t value
    cdef uint32_t lazy       # PLT: section of the lazy code; copies: .dynsym index of the name to copy from
    if a.needs & AUX_MODULE_PAIR:
        add_word(out, &n, SPECIAL_GOT, a.tlsgd, 0 if c.shared_output else 1,
                 WORD_DYNAMIC if c.shared_output else WORD_PLAIN, ops.dyn_dtpmod, 0, 0)
        return n
    imported = is_import(c, a)
    ifunc = is_ifunc(c, a)
    S = definition_address(c, a)
    if a.got >= 0:
        if is_tls(c, a):
            # Q_G of a thread-local symbol: TP - S.
            if imported:
                add_word(out, &n, SPECIAL_GOT, a.got, 0, WORD_DYNAMIC, ops.dyn_tpoff_down, a.dynsym, 0)
            elif c.shared_output:
                value = c.image.tls_start - S
                add_word(out, &n, SPECIAL_GOT, a.got, 0 if c.rela else value, WORD_DYNAMIC, ops.dyn_tpoff_down, 0, value)
            else:
                value = 0 if is_number(c, a) else c.image.tp - S
                add_word(out, &n, SPECIAL_GOT, a.got, value, WORD_PLAIN, 0, 0, 0)
        elif imported:
            add_word(out, &n, SPECIAL_GOT, a.got, 0, WORD_DYNAMIC, ops.dyn_glob_dat, a.dynsym, 0)
        elif ifunc and not a.needs & NEED_CANONICAL_PLT:
            add_word(out, &n, SPECIAL_GOT, a.got, S, irelative_kind, ops.dyn_irelative, 0, S)
        else:
            value = entry_address(c, &c.aux[c.globals[a.gid].aux] if a.gid else a) if ifunc else S
            add_word(out, &n, SPECIAL_GOT, a.got, value,
                     WORD_RELATIVE if c.pic and not is_number(c, a) else WORD_PLAIN, ops.dyn_relative, 0, value)
    if a.gottp >= 0:
        if imported:
            add_word(out, &n, SPECIAL_GOT, a.gottp, 0, WORD_DYNAMIC, ops.dyn_tpoff, a.dynsym, 0)
        elif c.shared_output:
            value = S - c.image.tls_start
            add_word(out, &n, SPECIAL_GOT, a.gottp, 0 if c.rela else value, WORD_DYNAMIC, ops.dyn_tpoff, 0, value)
        else:
            # The executable's block has a fixed place in every thread.
            value = 0 if is_number(c, a) else S - c.image.tp
            add_word(out, &n, SPECIAL_GOT, a.gottp, value, WORD_PLAIN, 0, 0, 0)
    if a.tlsgd >= 0:
        if imported:
            add_word(out, &n, SPECIAL_GOT, a.tlsgd, 0, WORD_DYNAMIC, ops.dyn_dtpmod, a.dynsym, 0)
            add_word(out, &n, SPECIAL_GOT, a.tlsgd + word, 0, WORD_DYNAMIC, ops.dyn_dtpoff, a.dynsym, 0)
        else:
            if c.shared_output:
                add_word(out, &n, SPECIAL_GOT, a.tlsgd, 0, WORD_DYNAMIC, ops.dyn_dtpmod, 0, 0)
            else:
                # The main program is module 1.
                add_word(out, &n, SPECIAL_GOT, a.tlsgd, 1, WORD_PLAIN, 0, 0, 0)
            if ops.pair_relocated and c.shared_output:
                value = S - c.image.tls_start
                add_word(out, &n, SPECIAL_GOT, a.tlsgd + word, 0, WORD_DYNAMIC, ops.dyn_dtpoff, 0, value)
            else:
                add_word(out, &n, SPECIAL_GOT, a.tlsgd + word, S - c.image.dtp, WORD_PLAIN, 0, 0, 0)
    if a.tlsdesc >= 0 and ops.dyn_tlsdesc == 0:
        # A target without descriptors: a DTP offset in this module, whatever the name is bound to.
        add_word(out, &n, SPECIAL_GOT, a.tlsdesc, S - c.image.dtp, WORD_PLAIN, 0, 0, 0)
    elif a.tlsdesc >= 0:
        if imported:
            add_word(out, &n, SPECIAL_GOT, a.tlsdesc, 0, WORD_DYNAMIC, ops.dyn_tlsdesc, a.dynsym, 0)
        else:
            value = S - c.image.tls_start
            add_word(out, &n, SPECIAL_GOT, a.tlsdesc, 0 if c.rela or ops.desc_argument else value, WORD_DYNAMIC,
                     ops.dyn_tlsdesc, 0, value)
            if not c.rela and ops.desc_argument:
                add_word(out, &n, SPECIAL_GOT, a.tlsdesc + <int32_t>ops.desc_argument, value, WORD_PLAIN, 0, 0, 0)
    if a.gotplt >= 0:
        if a.plt_section == SPECIAL_IPLT:
            add_word(out, &n, SPECIAL_IGOT_PLT, a.gotplt, S, WORD_IPLT,
                     ops.dyn_jump_irelative if ops.dyn_jump_irelative else ops.dyn_irelative, 0, S)
        else:
            lazy = SPECIAL_PLT_LAZY if a.plt_lazy >= 0 else SPECIAL_PLT
            value = c.frag_addr[c.special[lazy]] + <uint64_t>(a.plt_lazy if a.plt_lazy >= 0 else a.plt)
            if ops.plt.push_offset == PUSH_HEADER:
                value = c.frag_addr[c.special[lazy]]
            else:
                value += ops.plt.push_offset
            add_word(out, &n, SPECIAL_GOT_PLT, a.gotplt, value, WORD_PLT, ops.dyn_jump_slot,
                     a.dynsym, 0)
    if a.needs & NEED_COPY and a.gid != 0 and c.gflags[a.gid] & G_COPIED:
        lazy = c.aux[c.globals[a.reladyn].aux].dynsym if a.reladyn else a.dynsym
        add_word(out, &n, 0, <int64_t>S, 0, WORD_DYNAMIC, ops.dyn_copy, lazy, 0).stored = False
    return n


cdef inline Aux* new_aux(Columns* c, uint32_t* row) noexcept nogil:
    """A fresh row without any slot; room has been reserved."""
    cdef Aux* a = &c.aux[c.naux]
    row[0] = c.naux
    c.naux += 1
    a.gid = 0
    a.file = 0
    a.sym = 0
    a.needs = 0
    a.got = a.gotplt = a.plt = a.plt_lazy = a.tlsgd = a.gottp = a.tlsdesc = -1
    a.plt_section = SPECIAL_NONE
    a.dynsym = a.dynstr = a.reladyn = a.relaplt = 0
    return a


cdef int make_rows(Tables tables) except -1:
    """Aux rows in link order: by file, its locals, then the globals that it is the first to name."""
    cdef Columns* c = &tables.c
    cdef uint32_t k, i, gid, row
    cdef uint64_t count = 0
    cdef File* f
    cdef Aux* a
    for i in range(c.nglobals):
        if c.gneeds[i]:
            count += 1
    for k in range(c.nlive):
        f = &c.files[c.live[k]]
        if f.local_needs != NULL:
            for i in range(f.first_global):
                if f.local_needs[i]:
                    count += 1
    if count > 0x7fffffff:
        raise MemoryError("too many GOT and PLT entries")
    tables.reserve_aux(<uint32_t>count)
    # Row 0 stands for "no slots".
    c.aux[0].got = c.aux[0].gotplt = c.aux[0].plt = c.aux[0].plt_lazy = -1
    c.aux[0].tlsgd = c.aux[0].gottp = c.aux[0].tlsdesc = -1
    for k in range(c.nlive):
        f = &c.files[c.live[k]]
        if f.local_needs != NULL:
            f.local_aux = <uint32_t*>calloc(f.first_global + 1, sizeof(uint32_t))
            if f.local_aux == NULL:
                raise MemoryError
            for i in range(f.first_global):
                if f.local_needs[i]:
                    a = new_aux(c, &row)
                    a.file = c.live[k]
                    a.sym = i
                    a.needs = f.local_needs[i]
                    f.local_aux[i] = row
        if f.gids == NULL or f.nsyms <= f.first_global:
            continue
        for i in range(f.nsyms - f.first_global):
            gid = f.gids[i]
            if c.gneeds[gid] and c.globals[gid].aux == 0:
                a = new_aux(c, &row)
                a.gid = gid
                a.needs = c.gneeds[gid]
                c.globals[gid].aux = row
    return 0


cdef uint32_t copy_alignment(const File* f, const Sym* s, uint16_t index) noexcept nogil:
    """log2 of the alignment of a copied object: that of its section there, as far as its address has it."""
    cdef uint64_t align = 1
    cdef uint32_t log = 0
    if index < f.shnum:
        align = f.shdrs[index].sh_addralign
    while (<uint64_t>1 << log) < align and not (s.st_value >> log) & 1 and log < 12:
        log += 1
    return log


cdef void take_copy(Columns* c, uint32_t gid, uint32_t frag, uint64_t offset) noexcept nogil:
    c.globals[gid].frag = frag
    c.globals[gid].value = offset
    c.gflags[gid] = (c.gflags[gid] & ~<uint32_t>G_KIND_MASK) | G_LOCAL | G_COPIED | G_EXPORT | G_NOT_PREEMPTIBLE


cdef bint place_copy(Columns* c, uint32_t row) noexcept nogil:
    """Gives a variable of a shared object room in this executable, together with all its names there.

    False when its size is unknown (0). Source: psABI, R_*_COPY; GNU ld's rules for alignment and .data.rel.ro."""
    cdef Aux* a = &c.aux[row]
    cdef uint32_t gid = a.gid, other, i, log, frag, first
    cdef Global* g = &c.globals[gid]
    cdef const File* f = &c.files[g.file]
    cdef const Sym* s = &f.syms[g.sym]
    cdef uint16_t section = s.st_shndx
    cdef uint64_t size = s.st_size, at, offset
    cdef bint read_only = section < f.shnum and not f.shdrs[section].sh_flags & SHF_WRITE
    frag = c.special[SPECIAL_DYNRELRO] if read_only else c.special[SPECIAL_DYNBSS]
    log = copy_alignment(f, s, section)
    offset = (c.frags[frag].size + (<uint64_t>1 << log) - 1) & ~((<uint64_t>1 << log) - 1)
    at = s.st_value
    first = f.first_global
    # The dynamic linker must find every name of the object at the copy: the library may use another one.
    for i in range(first, f.nsyms):
        if f.syms[i].st_value != at or f.syms[i].st_shndx != section:
            continue
        other = f.gids[i - first]
        if other == 0 or c.globals[other].file != g.file or c.globals[other].sym != i \
                or c.globals[other].state != SYM_SHARED:
            continue
        if f.syms[i].st_size > size:
            size = f.syms[i].st_size
        if other != gid:
            take_copy(c, other, frag, offset)
            if c.globals[gid].bind == STB_WEAK and c.globals[other].bind != STB_WEAK and a.reladyn == 0:
                # The weak name may be another library's at run time; the strong one is the object's own.
                a.reladyn = other
    take_copy(c, gid, frag, offset)
    c.frags[frag].size = offset + size
    if log > c.frags[frag].align_log2:
        c.frags[frag].align_log2 = <uint8_t>log
    return size != 0


cdef void place_plt(Columns* c, Aux* a, uint32_t* nplt, uint32_t* niplt) noexcept nogil:
    """Chooses the kind of PLT entry and gives it its place."""
    cdef const Ops* ops = <const Ops*>c.ops
    cdef const PltStyle* style = &ops.plt
    cdef Fragment* section
    if is_ifunc(c, a):
        section = &c.frags[c.special[SPECIAL_IPLT]]
        a.plt_section = SPECIAL_IPLT
        a.plt = <int32_t>(section.size + style.skip)
        section.size += style.got_size
        if a.needs & NEED_CANONICAL_PLT:
            section.size += style.canonical_size
        a.gotplt = <int32_t>c.frags[c.special[SPECIAL_IGOT_PLT]].size
        c.frags[c.special[SPECIAL_IGOT_PLT]].size += ops.slot_size if ops.slot_size else ops.word_size
        a.relaplt = niplt[0]
        niplt[0] += 1
        return
    if not is_import(c, a):
        return
    # An IFUNC of this library keeps its lazy slot: its resolver must not run before the library is relocated.
    if a.needs & NEED_GOT and not ops.no_plt_got and not a.needs & NEED_CANONICAL_PLT and not (
            c.globals[a.gid].type == STT_GNU_IFUNC and c.gflags[a.gid] & G_DEF_REGULAR):
        section = &c.frags[c.special[SPECIAL_PLT_GOT]]
        a.plt_section = SPECIAL_PLT_GOT
        a.plt = <int32_t>(section.size + style.skip)
        section.size += style.got_size
        return
    section = &c.frags[c.special[SPECIAL_PLT]]
    a.plt_section = SPECIAL_PLT
    if style.lazy_size:
        a.plt = <int32_t>(section.size + style.skip)
        section.size += style.entry_size
        if a.needs & NEED_CANONICAL_PLT:
            section.size += style.canonical_size
        section = &c.frags[c.special[SPECIAL_PLT_LAZY]]
        if section.size == 0:
            section.size = style.header_size
        a.plt_lazy = <int32_t>section.size
        section.size += style.lazy_size
        if nplt[0] >= style.lazy_limit:
            section.size += style.lazy_more
    else:
        if section.size == 0:
            section.size = style.header_size
        a.plt = <int32_t>(section.size + style.skip)
        section.size += style.entry_size
    section = &c.frags[c.special[SPECIAL_GOT_PLT]]
    a.gotplt = <int32_t>section.size
    section.size += ops.slot_size if ops.slot_size else ops.word_size
    a.relaplt = nplt[0]
    nplt[0] += 1


cdef inline int32_t take_got(Columns* c, uint32_t bytes) noexcept nogil:
    cdef Fragment* got = &c.frags[c.special[SPECIAL_GOT]]
    cdef int32_t at = <int32_t>got.size
    got.size += bytes
    return at


def allocate(Tables tables, bint got_referenced):
    """Makes the Aux rows and places every slot; sets the sizes of the GOT, PLT, copy and relocation sections.

    got_referenced: something names _GLOBAL_OFFSET_TABLE_, so its reserved words must exist.
    Returns the gids of copies without a size, and the number of PLT entries of IFUNCs. A table over 2 GiB raises
    OverflowError."""
    cdef Columns* c = &tables.c
    cdef const Ops* ops = <const Ops*>c.ops
    cdef uint32_t row, nplt = 0, niplt = 0, reserved, special
    cdef Aux* a
    cdef uint32_t word = ops.word_size
    unsized = []
    make_rows(tables)
    reserved = ops.got_header * word
    if c.special[SPECIAL_GOT_PLT]:
        c.frags[c.special[SPECIAL_GOT_PLT]].size = reserved
    take_got(c, ops.got_reserved * word)
    for row in range(1, c.naux):
        a = &c.aux[row]
        if a.needs & NEED_COPY and a.gid != 0 and c.globals[a.gid].state == SYM_SHARED \
                and not c.gflags[a.gid] & G_COPIED:
            if not place_copy(c, row):
                unsized.append(a.gid)
        elif a.needs & NEED_COPY:
            # Another name of the same object has made the copy.
            a.needs &= ~<uint32_t>NEED_COPY
    for row in range(1, c.naux):
        a = &c.aux[row]
        if a.needs & NEED_CANONICAL_PLT and a.gid != 0 and c.globals[a.gid].state == SYM_UNDEF_WEAK:
            # Its address must stay 0 when nothing defines it at run time.
            a.needs &= ~<uint32_t>NEED_CANONICAL_PLT
        if a.needs & NEED_CANONICAL_PLT and a.gid != 0:
            c.gflags[a.gid] |= G_CANONICAL_PLT
        if a.needs & (NEED_PLT | NEED_CANONICAL_PLT):
            place_plt(c, a, &nplt, &niplt)
        if ops.own_got:
            continue
        if a.needs & NEED_GOT:
            a.got = take_got(c, word)
        if a.needs & NEED_TLSGD:
            a.tlsgd = take_got(c, 2 * word)
        if a.needs & NEED_GOTTP:
            a.gottp = take_got(c, word)
        if a.needs & NEED_TLSDESC:
            a.tlsdesc = take_got(c, ops.tlsdesc_size)
    c.image.tlsld = take_got(c, 2 * word) if c.needs & NEEDS_TLSLD and not ops.own_got else -1
    if c.special[SPECIAL_RELA_PLT]:
        c.frags[c.special[SPECIAL_RELA_PLT]].size = nplt * relocation_size(c)
    if c.special[SPECIAL_GOT_PLT] and not got_referenced and not c.needs & NEEDS_GOT_BASE and nplt == 0 and niplt == 0 \
            and c.frags[c.special[SPECIAL_GOT]].size == ops.got_reserved * word \
            and not (ops.got_reserved and c.dynamic_output):
        c.frags[c.special[SPECIAL_GOT_PLT]].size = 0
        c.frags[c.special[SPECIAL_GOT]].size = 0
    if ops.gotplt_is_plt and nplt == 0 and c.special[SPECIAL_GOT_PLT]:
        c.frags[c.special[SPECIAL_GOT_PLT]].size = 0
    for special in (SPECIAL_GOT, SPECIAL_GOT_PLT, SPECIAL_PLT, SPECIAL_PLT_GOT, SPECIAL_IPLT, SPECIAL_IGOT_PLT,
                    SPECIAL_PLT_LAZY, SPECIAL_DYNBSS, SPECIAL_DYNRELRO):
        if c.special[special] and c.frags[c.special[special]].size > 0x7fffffff:
            raise OverflowError("a table of the linker exceeds 2 GiB")
    return unsized, niplt


def count_relocations(Tables tables, uint32_t niplt, uint32_t own=0):
    """Turns the counts of scan into first indices, adds those of the slots, and makes room for them all. niplt: what
    allocate() says; own: dynamic relocations of a GOT that the target lays out (Ops.own_got), the last rows of dynrels.
    OverflowError for more than 4 G.

    dynrels: relative ones of fragments, relative ones of slots, other ones of fragments, other ones of slots, `own`
    more for the target."""
    cdef Columns* c = &tables.c
    cdef uint64_t relative = 0, dynamic = 0, n, total
    cdef uint32_t k, i, row, frag
    cdef File* f
    cdef Word words[MAX_WORDS]
    cdef int count, w
    for k in range(c.nlive):
        f = &c.files[c.live[k]]
        for i in range(f.shnum):
            frag = f.frag_base + i
            n = c.frags[frag].nrelative
            c.frags[frag].nrelative = <uint32_t>relative
            relative += n
            n = c.frags[frag].ndynamic
            c.frags[frag].ndynamic = <uint32_t>dynamic
            dynamic += n
    for row in range(1, c.naux):
        count = slot_words(c, &c.aux[row], words)
        for w in range(count):
            if words[w].kind == WORD_RELATIVE:
                relative += 1
            elif words[w].kind == WORD_DYNAMIC:
                dynamic += 1
            elif words[w].kind == WORD_IPLT and words[w].special == SPECIAL_GOT:
                niplt += 1
    if c.image.tlsld >= 0 and c.shared_output:
        dynamic += 1
    dynamic += own
    total = dynamic if c.use_relr else relative + dynamic
    if relative >= 0xffffffffU or dynamic >= 0xffffffffU:
        raise OverflowError("more than 4 G dynamic relocations")
    if not c.use_relr:
        # Relative ones stand in front.
        for k in range(c.nlive):
            f = &c.files[c.live[k]]
            for i in range(f.shnum):
                c.frags[f.frag_base + i].ndynamic += <uint32_t>relative
    c.nrelative = 0 if c.use_relr else relative
    c.ndynrels = total
    c.dynrels = <Rela*>calloc(total + 1, sizeof(Rela))
    if c.dynrels == NULL:
        raise MemoryError
    c.nrelr = relative if c.use_relr else 0
    c.relr = <uint64_t*>calloc(c.nrelr + 1, sizeof(uint64_t))
    if c.relr == NULL:
        raise MemoryError
    if c.dynamic_output:
        if c.special[SPECIAL_RELA_DYN]:
            c.frags[c.special[SPECIAL_RELA_DYN]].size = total * relocation_size(c)
    else:
        niplt += <uint32_t>total
    if c.special[SPECIAL_RELA_IPLT]:
        c.frags[c.special[SPECIAL_RELA_IPLT]].size = niplt * <uint64_t>relocation_size(c)


cdef struct Writer:          # where write_slots puts what it makes
    Columns* c               # the tables
    uint8_t* out[48]         # output byte of each special section, NULL when it is not in the file
    uint64_t relative        # next row of dynrels or relr for a relative relocation
    uint64_t dynamic         # next row of dynrels for another one
    uint64_t iplt            # next row of .rela.iplt for a slot that is not an IPLT's


cdef inline void store_slot(const Columns* c, uint8_t* out, uint64_t value) noexcept nogil:
    if (<const Ops*>c.ops).word_size == 8:
        store64(out, value, c.swap)
    else:
        store32(out, <uint32_t>value, c.swap)


cdef void write_word(Writer* w, const Word* word, const Aux* a) noexcept nogil:
    """Stores one word and its dynamic relocation."""
    cdef Columns* c = w.c
    cdef Rela r
    cdef uint32_t size = relocation_size(c)
    cdef uint64_t row
    r.r_offset = word.offset + (c.frag_addr[c.special[word.special]] if word.special else 0)
    r.r_type = word.type
    r.r_sym = word.dynsym
    r.r_addend = word.addend
    if word.stored and w.out[word.special] != NULL:
        store_slot(c, w.out[word.special] + word.offset, word.value)
    if word.kind == WORD_RELATIVE:
        if c.use_relr:
            c.relr[w.relative] = r.r_offset
        else:
            c.dynrels[w.relative] = r
        w.relative += 1
    elif word.kind == WORD_DYNAMIC:
        c.dynrels[w.dynamic] = r
        w.dynamic += 1
    elif word.kind == WORD_PLT:
        if w.out[SPECIAL_RELA_PLT] != NULL:
            store_relocation(c, w.out[SPECIAL_RELA_PLT] + <uint64_t>a.relaplt * size, &r)
    elif word.kind == WORD_IPLT:
        row = a.relaplt
        if word.special == SPECIAL_GOT:
            row = w.iplt
            w.iplt += 1
        if w.out[SPECIAL_RELA_IPLT] != NULL:
            store_relocation(c, w.out[SPECIAL_RELA_IPLT] + row * size, &r)


cdef inline void write_call(uint8_t* out, const PltStyle* style, plt_writer_t writer, const Aux* a,
                            PltEntry* entry) noexcept nogil:
    """What calls use, behind what is the symbol's address."""
    if a.needs & NEED_CANONICAL_PLT and style.canonical_size:
        style.canonical(out, entry)
        out += style.canonical_size
        entry.address += style.canonical_size
    writer(out, entry)


cdef void write_entry(Writer* w, const Aux* a, uint64_t header) noexcept nogil:
    """The code of one PLT entry, and of its lazy half."""
    cdef Columns* c = w.c
    cdef const Ops* ops = <const Ops*>c.ops
    cdef PltEntry entry
    if a.plt < 0 or w.out[a.plt_section] == NULL:
        return
    entry.address = entry_address(c, a)
    entry.header = header
    entry.gotplt = c.frag_addr[c.special[SPECIAL_GOT_PLT]]
    entry.got = c.image.got
    entry.index = a.relaplt
    entry.swap = c.swap
    if a.plt_section == SPECIAL_PLT_GOT:
        entry.slot = c.frag_addr[c.special[SPECIAL_GOT]] + <uint64_t>a.got
        ops.plt.got(w.out[SPECIAL_PLT_GOT] + a.plt, &entry)
    elif a.plt_section == SPECIAL_IPLT:
        entry.slot = c.frag_addr[c.special[SPECIAL_IGOT_PLT]] + <uint64_t>a.gotplt
        write_call(w.out[SPECIAL_IPLT] + a.plt, &ops.plt, ops.plt.got, a, &entry)
    else:
        entry.slot = c.frag_addr[c.special[SPECIAL_GOT_PLT]] + <uint64_t>a.gotplt
        write_call(w.out[SPECIAL_PLT] + a.plt, &ops.plt, ops.plt.entry, a, &entry)
        if a.plt_lazy >= 0 and w.out[SPECIAL_PLT_LAZY] != NULL:
            entry.address = c.frag_addr[c.special[SPECIAL_PLT_LAZY]] + <uint64_t>a.plt_lazy
            ops.plt.lazy(w.out[SPECIAL_PLT_LAZY] + a.plt_lazy, &entry)


cdef void write_plt_header(Writer* w, uint32_t special) noexcept nogil:
    cdef Columns* c = w.c
    cdef const Ops* ops = <const Ops*>c.ops
    cdef PltEntry entry
    if c.special[special] == 0 or w.out[special] == NULL or c.frags[c.special[special]].size == 0:
        return
    memset(&entry, 0, sizeof(PltEntry))
    entry.address = c.frag_addr[c.special[special]]
    entry.header = entry.address
    entry.gotplt = c.frag_addr[c.special[SPECIAL_GOT_PLT]]
    entry.got = c.image.got
    entry.swap = c.swap
    ops.plt.header(w.out[special], &entry)


def write_slots(Tables tables, outs, uint32_t own=0):
    """Writes GOT, PLT and their relocations, and the slots' share of dynrels and relr. Addresses must be final.

    outs: list of SPECIAL_COUNT integers, the address of each special section's bytes in the output, 0 for
    none. In a static executable the IRELATIVE relocations of dynrels go to .rela.iplt, so the fragments
    must have been relocated before. own: as for count_relocations()."""
    cdef Columns* c = &tables.c
    cdef Writer writer
    cdef Word words[MAX_WORDS]
    cdef uint32_t row, header_of
    cdef int n, i
    cdef uint64_t relative = 0, dynamic = 0, niplt = 0, k, header
    for i in range(SPECIAL_COUNT):
        writer.out[i] = <uint8_t*><size_t>outs[i]
    writer.c = c
    with nogil:
        for row in range(1, c.naux):
            n = slot_words(c, &c.aux[row], words)
            for i in range(n):
                if words[i].kind == WORD_RELATIVE:
                    relative += 1
                elif words[i].kind == WORD_DYNAMIC:
                    dynamic += 1
                elif words[i].kind == WORD_IPLT and words[i].special == SPECIAL_IGOT_PLT:
                    niplt += 1
        if c.image.tlsld >= 0 and c.shared_output:
            dynamic += 1
        writer.relative = (c.nrelr if c.use_relr else c.nrelative) - relative
        writer.dynamic = c.ndynrels - dynamic - own
        writer.iplt = niplt
        header_of = SPECIAL_PLT
        if c.special[SPECIAL_PLT_LAZY] and c.frags[c.special[SPECIAL_PLT_LAZY]].size:
            header_of = SPECIAL_PLT_LAZY
        header = c.frag_addr[c.special[header_of]]
        for row in range(1, c.naux):
            n = slot_words(c, &c.aux[row], words)
            for i in range(n):
                write_word(&writer, &words[i], &c.aux[row])
            write_entry(&writer, &c.aux[row], header)
        if c.image.tlsld >= 0:
            words[0].special = SPECIAL_GOT
            words[0].offset = <uint64_t>c.image.tlsld
            words[0].value = 0 if c.shared_output else 1
            words[0].kind = WORD_DYNAMIC if c.shared_output else WORD_PLAIN
            words[0].type = (<const Ops*>c.ops).dyn_dtpmod
            words[0].dynsym = 0
            words[0].addend = 0
            words[0].stored = True
            write_word(&writer, &words[0], &c.aux[0])
        write_plt_header(&writer, header_of)
        if (<const Ops*>c.ops).got_reserved:
            header_of = SPECIAL_GOT
        else:
            header_of = SPECIAL_GOT_PLT
        if writer.out[header_of] != NULL and c.frags[c.special[header_of]].size and not (<const Ops*>c.ops).own_got:
            # The first reserved word is the address of .dynamic; the run-time linker fills the others.
            store_slot(c, writer.out[header_of], c.image.gp if (<const Ops*>c.ops).got_first_gp else c.image.dynamic)
        if not c.dynamic_output and writer.out[SPECIAL_RELA_IPLT] != NULL:
            for k in range(c.ndynrels):
                store_relocation(c, writer.out[SPECIAL_RELA_IPLT] + (writer.iplt + k) * relocation_size(c),
                                 &c.dynrels[k])


def relative_words(Tables tables):
    """The GOT words that need a relative relocation: list of (fragment, byte offset)."""
    cdef Columns* c = &tables.c
    cdef Word words[MAX_WORDS]
    cdef uint32_t row
    cdef int n, i
    found = []
    for row in range(1, c.naux):
        n = slot_words(c, &c.aux[row], words)
        for i in range(n):
            if words[i].kind == WORD_RELATIVE:
                found.append((c.special[words[i].special], words[i].offset))
    return found
