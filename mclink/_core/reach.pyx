"""Level 2, phase 2: --gc-sections. Marks what the roots reach over the reference graph.

Edges: relocations of a live fragment; its FDEs (LSDA, personality); the other members of its section group; the
sections that are SHF_LINK_ORDERed to it; all sections named X for a reference to __start_X or __stop_X. Where functions
are named by descriptors (PPC64 ELFv1's .opd), a reference follows the relocations of the one descriptor it names.
Source: GNU ld manual, node "Options" (--gc-sections); gABI chapter 4 (groups, SHF_LINK_ORDER).
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from libc.stdlib cimport malloc, calloc, realloc, free
from libc.string cimport memset, strcmp
from mclink._core.bytes cimport load32
from mclink._core.elf cimport *
from mclink._core.tables cimport *

cdef struct Mark:            # the state of one marking
    Columns* c               # the tables
    uint32_t* stack          # fragments to visit
    int64_t depth            # entries on the stack
    uint32_t* group_next     # [nfrags] ring of the members of a group, 0 outside groups
    uint32_t* fde_head       # [nfrags] first Fde row that describes the fragment, 0 none
    uint32_t* fde_next       # [nfdes] next Fde row of the same fragment
    uint32_t* order_head     # [nfrags] first fragment linked-to this one, 0 none
    uint32_t* order_next     # [nfrags] next fragment linked to the same one
    const uint32_t* named    # [nnamed] pairs (gid, fragment) for __start_/__stop_, sorted by gid
    int64_t nnamed           # number of pairs
    const char* descriptors  # name of the sections of function descriptors, NULL when there are none
    uint64_t descriptor_size # bytes of a descriptor


cdef inline void mark_fragment(Mark* m, uint32_t frag) noexcept nogil:
    """Makes a fragment live and puts it on the stack, once."""
    cdef uint8_t* state = &m.c.frag_state[frag]
    if frag == 0 or state[0] & (STATE_LIVE | STATE_DISCARDED | STATE_SCRIPT_DISCARD):
        return
    if m.c.frags[frag].kind == FRAG_NONE:
        return
    state[0] |= STATE_LIVE
    m.stack[m.depth] = frag
    m.depth += 1


cdef void mark_named(Mark* m, uint32_t gid) noexcept nogil:
    """All sections that a __start_ or __stop_ name covers."""
    cdef int64_t low = 0, high = m.nnamed, middle
    while low < high:
        middle = (low + high) >> 1
        if m.named[2 * middle] < gid:
            low = middle + 1
        else:
            high = middle
    while low < m.nnamed and m.named[2 * low] == gid:
        mark_fragment(m, m.named[2 * low + 1])
        low += 1


cdef bint has_descriptors(const Mark* m, uint32_t frag) noexcept nogil:
    """True for a section of function descriptors."""
    cdef const Fragment* g = &m.c.frags[frag]
    cdef const File* f
    if frag == 0 or frag >= m.c.first_extra or g.file == INTERNAL_FILE or g.sh_flags & SHF_EXECINSTR:
        return False
    f = &m.c.files[g.file]
    return strcmp(f.shstrtab + f.shdrs[frag - f.frag_base].sh_name, m.descriptors) == 0


cdef uint32_t first_of_descriptor(const Mark* m, uint32_t frag, uint64_t offset) noexcept nogil:
    """Index of the first relocation at or behind a byte of a section whose relocations are in order."""
    cdef const Fragment* g = &m.c.frags[frag]
    cdef uint32_t low = 0, high = g.nrelocs, middle
    while low < high:
        middle = (low + high) >> 1
        if g.relocs[middle].r_offset < offset:
            low = middle + 1
        else:
            high = middle
    return low


cdef void mark_target(Mark* m, uint32_t frag, uint64_t offset) noexcept nogil:
    """What stands at a byte of a fragment: the fragment, or a descriptor in it and its function."""
    cdef const Fragment* g = &m.c.frags[frag]
    cdef const File* f
    cdef uint32_t i
    mark_fragment(m, frag)
    if m.descriptors == NULL or not has_descriptors(m, frag):
        return
    f = &m.c.files[g.file]
    for i in range(first_of_descriptor(m, frag, offset), g.nrelocs):
        if g.relocs[i].r_offset >= offset + m.descriptor_size:
            return
        mark_code(m, f, g.relocs[i].r_sym)


cdef inline void mark_code(Mark* m, const File* f, uint32_t sym) noexcept nogil:
    if sym == 0 or sym >= f.nsyms:
        return
    if sym < f.first_global:
        mark_fragment(m, sym_frag(m.c, f, sym))
    else:
        mark_fragment(m, m.c.globals[f.gids[sym - f.first_global]].frag)


cdef void forget_descriptors(Mark* m) noexcept nogil:
    """Symbols of descriptors whose functions are dead become symbols of those functions' sections. Symbols are owned
    copies there: the ABI with descriptors is big-endian."""
    cdef Columns* c = m.c
    cdef uint32_t k, i, frag, code, at
    cdef File* f
    cdef Global* g
    for k in range(c.nlive):
        f = &c.files[c.live[k]]
        if f.kind != FILE_OBJECT or not f.flags & FILE_SWAP:
            continue
        for i in range(1, f.nsyms):
            frag = sym_frag(c, f, i)
            if frag == 0 or (f.syms[i].st_info & 15) == STT_SECTION or not has_descriptors(m, frag):
                continue
            at = first_of_descriptor(m, frag, f.syms[i].st_value)
            if at >= c.frags[frag].nrelocs or c.frags[frag].relocs[at].r_offset != f.syms[i].st_value \
                    or c.frags[frag].relocs[at].r_sym >= f.first_global:
                continue
            code = sym_frag(c, f, c.frags[frag].relocs[at].r_sym)
            if code == 0 or c.frag_state[code] & STATE_LIVE or code - f.frag_base >= 0xff00:
                continue
            if i >= f.first_global:
                g = &c.globals[f.gids[i - f.first_global]]
                if g.frag == frag and g.value == f.syms[i].st_value:
                    g.frag = code
            f.syms[i].st_shndx = <uint16_t>(code - f.frag_base)


cdef inline void mark_reference(Mark* m, const File* f, uint32_t sym, int64_t addend) noexcept nogil:
    """What a relocation's symbol stands for."""
    cdef uint32_t gid
    if sym == 0 or sym >= f.nsyms:
        return
    if sym < f.first_global:
        mark_target(m, sym_frag(m.c, f, sym), f.syms[sym].st_value + <uint64_t>addend)
        return
    gid = f.gids[sym - f.first_global]
    mark_target(m, m.c.globals[gid].frag, m.c.globals[gid].value)
    if m.nnamed and m.c.gmark[gid]:
        mark_named(m, gid)


cdef void visit(Mark* m, uint32_t frag) noexcept nogil:
    """Follows every edge of one live fragment."""
    cdef Columns* c = m.c
    cdef Fragment* g = &c.frags[frag]
    cdef File* f = &c.files[g.file]
    cdef Fragment* eh
    cdef Fde* d
    cdef Cie* cie
    cdef uint32_t i, row
    if g.kind != FRAG_EHFRAME and g.sh_flags & SHF_ALLOC and (m.descriptors == NULL or not has_descriptors(m, frag)):
        for i in range(g.nrelocs):
            mark_reference(m, f, g.relocs[i].r_sym, g.relocs[i].r_addend)
    if g.sh_flags & SHF_LINK_ORDER:
        mark_fragment(m, g.link)
    if m.group_next[frag]:
        mark_fragment(m, m.group_next[frag])
    row = m.order_head[frag]
    while row:
        mark_fragment(m, row)
        row = m.order_next[row]
    row = m.fde_head[frag]
    while row:
        d = &c.fdes[row]
        eh = &c.frags[c.ehs[d.eh].frag]
        f = &c.files[eh.file]
        # The first relocation is the function itself; the others are its LSDA.
        for i in range(d.first_reloc, d.first_reloc + d.nrelocs):
            mark_reference(m, f, eh.relocs[i].r_sym, eh.relocs[i].r_addend)
        cie = &c.cies[d.cie]
        for i in range(cie.first_reloc, cie.first_reloc + cie.nrelocs):
            mark_reference(m, f, eh.relocs[i].r_sym, eh.relocs[i].r_addend)
        row = m.fde_next[row]


cdef void link_groups(Mark* m) noexcept nogil:
    """Rings over the live members of each section group."""
    cdef Columns* c = m.c
    cdef uint32_t k, j, i, member, first, last
    cdef File* f
    cdef Shdr* s
    for k in range(c.nlive):
        f = &c.files[c.live[k]]
        for j in range(f.ngroups):
            s = &f.shdrs[f.groups[j]]
            first = last = 0
            for i in range(1, group_words(s)):
                member = f.frag_base + load32(f.data + s.sh_offset + 4 * <uint64_t>i, f.flags & FILE_SWAP != 0)
                if c.frags[member].kind == FRAG_NONE or c.frag_state[member] & STATE_DISCARDED or member == last:
                    continue
                if m.group_next[member]:
                    continue
                if first == 0:
                    first = member
                else:
                    m.group_next[last] = member
                last = member
            if first != last:
                m.group_next[last] = first


cdef void drop_descriptions(Columns* c) noexcept nogil:
    """Sections that take no memory describe those that do: without a live one of those, a file's debugging sections and
    its other unallocated ones are dead, unless they are kept by name. Notes alone do not make a file live.
    Source: GNU ld's behaviour; lld and mold keep them."""
    cdef uint32_t k, frag
    cdef Fragment* g
    cdef bint live
    for k in range(c.nlive):
        if c.files[c.live[k]].kind != FILE_OBJECT:
            continue
        live = False
        for frag in range(c.files[c.live[k]].frag_base, c.files[c.live[k]].frag_base + c.files[c.live[k]].shnum):
            g = &c.frags[frag]
            if g.kind != FRAG_NONE and g.kind != FRAG_EHFRAME and g.sh_flags & SHF_ALLOC and g.sh_type != SHT_NOTE \
                    and c.frag_state[frag] & STATE_LIVE:
                live = True
                break
        if live:
            continue
        for frag in range(c.files[c.live[k]].frag_base, c.files[c.live[k]].frag_base + c.files[c.live[k]].shnum):
            if not c.frags[frag].sh_flags & SHF_ALLOC and not c.frag_state[frag] & STATE_KEEP:
                c.frag_state[frag] &= ~<uint8_t>STATE_LIVE


def collect(Tables tables, gids, named, bint keep_exported=False, bytes descriptors=None, descriptor_size=0):
    """Clears STATE_LIVE of every fragment that no root reaches.

    gids: global names that are roots; G_KEEP and G_EXPORT names and STATE_KEEP fragments are roots as well.
    keep_exported: --gc-keep-exported, every global that other modules could see is a root too.
    named: list of (gid, fragment) pairs for __start_X and __stop_X, sorted.
    descriptors: name of the sections of function descriptors, descriptor_size their bytes. Returns the number of dead fragments."""
    cdef Columns* c = &tables.c
    cdef Mark m
    cdef uint32_t i, frag, gid
    cdef uint32_t n = c.nfrags
    cdef uint32_t dead = 0
    cdef uint32_t* pairs
    cdef Fragment* g
    memset(&m, 0, sizeof(Mark))
    m.c = c
    if descriptors is not None:
        m.descriptors = descriptors
        m.descriptor_size = descriptor_size
    m.stack = <uint32_t*>malloc((<uint64_t>n + 1) * 4)
    m.group_next = <uint32_t*>calloc(n, 4)
    m.fde_head = <uint32_t*>calloc(n, 4)
    m.fde_next = <uint32_t*>calloc(c.nfdes + 1, 4)
    m.order_head = <uint32_t*>calloc(n, 4)
    m.order_next = <uint32_t*>calloc(n, 4)
    pairs = <uint32_t*>malloc((len(named) + 1) * 8)
    if m.stack == NULL or m.group_next == NULL or m.fde_head == NULL or m.fde_next == NULL or \
            m.order_head == NULL or m.order_next == NULL or pairs == NULL:
        raise MemoryError
    for gid, frag in named:
        pairs[2 * m.nnamed] = gid
        pairs[2 * m.nnamed + 1] = frag
        m.nnamed += 1
        c.gmark[gid] = 1
    m.named = pairs
    with nogil:
        for i in range(1, c.nfdes):
            frag = c.fdes[i].target
            if frag:
                m.fde_next[i] = m.fde_head[frag]
                m.fde_head[frag] = i
        for frag in range(1, n):
            g = &c.frags[frag]
            if g.kind == FRAG_NONE:
                continue
            # The linker's own sections and unwind tables stay whatever refers to them, debugging sections with their file.
            if g.file == INTERNAL_FILE or g.kind == FRAG_EHFRAME or (not g.sh_flags & SHF_ALLOC and
                                                                     not g.sh_flags & SHF_LINK_ORDER):
                continue
            c.frag_state[frag] &= ~<uint8_t>STATE_LIVE
            if g.sh_flags & SHF_LINK_ORDER and g.link:
                m.order_next[frag] = m.order_head[g.link]
                m.order_head[g.link] = frag
        link_groups(&m)
        for frag in range(1, n):
            if c.frag_state[frag] & STATE_KEEP:
                mark_fragment(&m, frag)
        for gid in range(1, c.nglobals):
            if c.gflags[gid] & (G_KEEP | G_EXPORT) or (keep_exported and c.gflags[gid] & G_FORCED_LOCAL == 0 and
                                                       (c.globals[gid].visibility == STV_DEFAULT or
                                                        c.globals[gid].visibility == STV_PROTECTED)):
                mark_target(&m, c.globals[gid].frag, c.globals[gid].value)
                if m.nnamed and c.gmark[gid]:
                    mark_named(&m, gid)
    for root in gids:
        mark_target(&m, c.globals[<uint32_t>root].frag, c.globals[<uint32_t>root].value)
    with nogil:
        while m.depth:
            m.depth -= 1
            visit(&m, m.stack[m.depth])
        drop_descriptions(c)
        for frag in range(1, n):
            if c.frags[frag].kind != FRAG_NONE and not c.frag_state[frag] & STATE_LIVE:
                dead += 1
    if m.descriptors != NULL:
        with nogil:
            forget_descriptors(&m)
    for gid, frag in named:
        c.gmark[gid] = 0
    free(m.stack)
    free(m.group_next)
    free(m.fde_head)
    free(m.fde_next)
    free(m.order_head)
    free(m.order_next)
    free(pairs)
    return dead


def dead_fragments(Tables tables):
    """Fragments of live files that --gc-sections removed, ascending; COMDAT losers are not among them."""
    cdef Columns* c = &tables.c
    cdef uint32_t frag
    return [frag for frag in range(1, c.nfrags)
            if c.frags[frag].kind != FRAG_NONE and
            not c.frag_state[frag] & (STATE_LIVE | STATE_DISCARDED | STATE_SCRIPT_DISCARD) and c.frags[frag].size]


def sections_named(Tables tables, names):
    """Allocated fragments by input name: list of (name, fragment) for names in the set `names` (bytes)."""
    cdef Columns* c = &tables.c
    cdef uint32_t k, i
    cdef File* f
    cdef Fragment* g
    cdef const char* name
    cdef bint first[256]
    result = []
    for i in range(256):
        first[i] = False
    for text in names:
        first[text[0]] = True
    for k in range(c.nlive):
        f = &c.files[c.live[k]]
        if f.kind != FILE_OBJECT:
            continue
        for i in range(1, f.shnum):
            g = &c.frags[f.frag_base + i]
            if g.kind == FRAG_NONE or not g.sh_flags & SHF_ALLOC:
                continue
            name = f.shstrtab + f.shdrs[i].sh_name
            if first[<uint8_t>name[0]] and <bytes>name in names:
                result.append((<bytes>name, f.frag_base + i))
    return result
