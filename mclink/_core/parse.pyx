"""Level 2, phase 2: reads ELF headers, section headers and symbol tables into canonical records.

This is the one module that knows the class and byte order of inputs. A file that needs no conversion is
only checked, and its tables stay in the mapping.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from libc.stdlib cimport malloc, calloc, realloc, free
from libc.string cimport memcpy, memcmp, memset, strcmp, strlen
from mclink._core.bytes cimport load16, load32, load64, in_range
from mclink._core.elf cimport *
from mclink._core.fault cimport *
from mclink._core.hash cimport hash_name
from mclink._core.parallel cimport parallel_for
from mclink._core.tables cimport *

# What leaves the file, in Fault.type of FAULT_TRUNCATED; mclink.diag has the words.
cdef enum:
    WHAT_HEADER = 1
    WHAT_SECTION_HEADERS = 2
    WHAT_SECTION = 3
    WHAT_SYMBOLS = 4
    WHAT_STRINGS = 5
    WHAT_GROUP = 6
    WHAT_VERSIONS = 7
    WHAT_DYNAMIC = 8


cdef bint fail(Columns* c, uint32_t file, uint32_t code, uint32_t what, uint64_t offset, int64_t value) noexcept nogil:
    """Records a fault about a file before it has fragments; always returns False."""
    fault_at(c.faults, code, file, 0, offset, what, value)
    c.files[file].state = FILE_BAD
    return False


cdef void read_shdr(const uint8_t* p, bint elf32, bint swap, Shdr* out) noexcept nogil:
    """Converts one section header of any class and byte order (gABI chapter 4, section header)."""
    out.sh_name = load32(p, swap)
    out.sh_type = load32(p + 4, swap)
    if elf32:
        out.sh_flags = load32(p + 8, swap)
        out.sh_addr = load32(p + 12, swap)
        out.sh_offset = load32(p + 16, swap)
        out.sh_size = load32(p + 20, swap)
        out.sh_link = load32(p + 24, swap)
        out.sh_info = load32(p + 28, swap)
        out.sh_addralign = load32(p + 32, swap)
        out.sh_entsize = load32(p + 36, swap)
    else:
        out.sh_flags = load64(p + 8, swap)
        out.sh_addr = load64(p + 16, swap)
        out.sh_offset = load64(p + 24, swap)
        out.sh_size = load64(p + 32, swap)
        out.sh_link = load32(p + 40, swap)
        out.sh_info = load32(p + 44, swap)
        out.sh_addralign = load64(p + 48, swap)
        out.sh_entsize = load64(p + 56, swap)


cdef void read_sym(const uint8_t* p, bint elf32, bint swap, Sym* out) noexcept nogil:
    """Converts one symbol of any class and byte order (gABI chapter 4, symbol table)."""
    out.st_name = load32(p, swap)
    if elf32:
        out.st_value = load32(p + 4, swap)
        out.st_size = load32(p + 8, swap)
        out.st_info = p[12]
        out.st_other = p[13]
        out.st_shndx = load16(p + 14, swap)
    else:
        out.st_info = p[4]
        out.st_other = p[5]
        out.st_shndx = load16(p + 6, swap)
        out.st_value = load64(p + 8, swap)
        out.st_size = load64(p + 16, swap)


cdef bint read_section_headers(Columns* c, uint32_t id) noexcept nogil:
    """Finds the section headers, converts them when needed, checks every offset in them."""
    cdef File* f = &c.files[id]
    cdef const uint8_t* d = f.data
    cdef bint elf32, swap
    cdef uint64_t shoff, shnum, i
    cdef uint32_t shentsize, shstrndx
    cdef Shdr first
    cdef Shdr* s
    if f.size < 52 or memcmp(d, b"\x7fELF", 4) != 0:
        return fail(c, id, FAULT_BAD_HEADER, WHAT_HEADER, 0, 0)
    if (d[4] != 1 and d[4] != 2) or (d[5] != 1 and d[5] != 2) or (d[4] == 2 and f.size < 64):
        return fail(c, id, FAULT_BAD_HEADER, WHAT_HEADER, 4, 0)
    elf32 = d[4] == 1
    swap = d[5] == 2
    f.flags = (f.flags & ~<uint32_t>(FILE_ELF32 | FILE_SWAP)) | (FILE_ELF32 if elf32 else 0) | (FILE_SWAP if swap else 0)
    f.osabi = d[7]
    f.abi_version = d[8]
    f.e_type = load16(d + 16, swap)
    f.machine = load16(d + 18, swap)
    if c.machine != 0 and (f.machine != c.machine or elf32 != (c.elf32 != 0) or swap != (c.swap != 0)):
        return fail(c, id, FAULT_MACHINE, f.machine, 0, d[4] | (d[5] << 8))
    if elf32:
        shoff = load32(d + 32, swap)
        f.e_flags = load32(d + 36, swap)
        shentsize = load16(d + 46, swap)
        shnum = load16(d + 48, swap)
        shstrndx = load16(d + 50, swap)
    else:
        shoff = load64(d + 40, swap)
        f.e_flags = load32(d + 48, swap)
        shentsize = load16(d + 58, swap)
        shnum = load16(d + 60, swap)
        shstrndx = load16(d + 62, swap)
    if shoff == 0:
        return fail(c, id, FAULT_BAD_HEADER, WHAT_SECTION_HEADERS, 40, 0)
    if shentsize != (40 if elf32 else 64):
        return fail(c, id, FAULT_BAD_HEADER, WHAT_SECTION_HEADERS, 46 if elf32 else 58, shentsize)
    if not in_range(shoff, shentsize, f.size):
        return fail(c, id, FAULT_TRUNCATED, WHAT_SECTION_HEADERS, shoff, 0)
    read_shdr(d + shoff, elf32, swap, &first)
    if shnum == 0:
        shnum = first.sh_size
    if shstrndx == SHN_XINDEX:
        shstrndx = first.sh_link
    if shnum == 0 or shnum > f.size // shentsize or not in_range(shoff, shnum * shentsize, f.size):
        return fail(c, id, FAULT_TRUNCATED, WHAT_SECTION_HEADERS, shoff, <int64_t>shnum)
    if shstrndx >= shnum:
        return fail(c, id, FAULT_BAD_HEADER, WHAT_STRINGS, 62, shstrndx)
    f.shnum = <uint32_t>shnum
    if elf32 or swap:
        s = <Shdr*>malloc(shnum * sizeof(Shdr))
        if s == NULL:
            return fail(c, id, FAULT_NO_MEMORY, 0, 0, 0)
        free(f.owned)
        f.owned = s
        for i in range(shnum):
            read_shdr(d + shoff + i * shentsize, elf32, swap, &s[i])
    else:
        s = <Shdr*>(d + shoff)
    f.shdrs = s
    for i in range(1, shnum):
        if s[i].sh_type == SHT_NOBITS or s[i].sh_type == SHT_NULL:
            if s[i].sh_size >> 56:
                return fail(c, id, FAULT_TRUNCATED, WHAT_SECTION, s[i].sh_offset, <int64_t>i)
        elif not in_range(s[i].sh_offset, s[i].sh_size, f.size):
            return fail(c, id, FAULT_TRUNCATED, WHAT_SECTION, s[i].sh_offset, <int64_t>i)
        if s[i].sh_addralign & (s[i].sh_addralign - 1) or s[i].sh_addralign >> 48:
            return fail(c, id, FAULT_BAD_ALIGN, <uint32_t>i, 0, <int64_t>s[i].sh_addralign)
    if s[shstrndx].sh_type != SHT_STRTAB or s[shstrndx].sh_size == 0 or \
            d[s[shstrndx].sh_offset + s[shstrndx].sh_size - 1] != 0:
        return fail(c, id, FAULT_BAD_HEADER, WHAT_STRINGS, s[shstrndx].sh_offset, shstrndx)
    f.shstrtab = <const char*>(d + s[shstrndx].sh_offset)
    f.shstrtab_size = s[shstrndx].sh_size
    for i in range(1, shnum):
        if s[i].sh_name >= f.shstrtab_size:
            return fail(c, id, FAULT_BAD_HEADER, WHAT_STRINGS, s[i].sh_name, <int64_t>i)
    return True


cdef bint read_symbol_table(Columns* c, uint32_t id, uint32_t index) noexcept nogil:
    """Takes section `index` as the file's symbol table."""
    cdef File* f = &c.files[id]
    cdef Shdr* s = &f.shdrs[index]
    cdef Shdr* strings
    cdef bint elf32 = f.flags & FILE_ELF32 != 0
    cdef bint swap = f.flags & FILE_SWAP != 0
    cdef uint64_t size = 16 if elf32 else 24
    cdef uint64_t n = s.sh_size // size
    cdef uint64_t i
    cdef void* block
    cdef Sym* syms
    if s.sh_entsize != size or s.sh_size % size != 0 or n >= <uint64_t>0xfffffff0 or s.sh_info > n:
        return fail(c, id, FAULT_TRUNCATED, WHAT_SYMBOLS, s.sh_offset, index)
    if s.sh_link == 0 or s.sh_link >= f.shnum or f.shdrs[s.sh_link].sh_type != SHT_STRTAB:
        return fail(c, id, FAULT_TRUNCATED, WHAT_STRINGS, s.sh_offset, index)
    strings = &f.shdrs[s.sh_link]
    if strings.sh_size == 0 or f.data[strings.sh_offset + strings.sh_size - 1] != 0:
        return fail(c, id, FAULT_TRUNCATED, WHAT_STRINGS, strings.sh_offset, s.sh_link)
    f.symtab_index = index
    f.strtab = <const char*>(f.data + strings.sh_offset)
    f.strtab_size = strings.sh_size
    # gABI: sh_info is one greater than the last local symbol; index 0 is never global.
    f.first_global = s.sh_info if s.sh_info != 0 or n == 0 else 1
    if elf32 or swap:
        # One owned block keeps the converted headers and symbols together: headers first.
        block = realloc(f.owned, f.shnum * sizeof(Shdr) + n * sizeof(Sym))
        if block == NULL:
            return fail(c, id, FAULT_NO_MEMORY, 0, 0, 0)
        f.owned = block
        f.shdrs = <Shdr*>block
        s = &f.shdrs[index]
        syms = <Sym*>(<char*>block + f.shnum * sizeof(Shdr))
        for i in range(n):
            read_sym(f.data + s.sh_offset + i * size, elf32, swap, &syms[i])
        f.syms = syms
    else:
        f.syms = <Sym*>(f.data + s.sh_offset)
    f.nsyms = <uint32_t>n
    return True


cdef bint hash_globals(Columns* c, uint32_t id) noexcept nogil:
    """Checks the global symbols and computes the hash of every name."""
    cdef File* f = &c.files[id]
    cdef uint32_t i, n, section
    cdef uint32_t first = f.first_global
    cdef Sym* s
    cdef bint has_at = False
    if f.nsyms <= first:
        return True
    n = f.nsyms - first
    f.gids = <uint32_t*>malloc(n * sizeof(uint32_t))
    f.hashes = <uint64_t*>malloc(n * sizeof(uint64_t))
    if f.gids == NULL or f.hashes == NULL:
        return fail(c, id, FAULT_NO_MEMORY, 0, 0, 0)
    for i in range(n):
        s = &f.syms[first + i]
        if s.st_name >= f.strtab_size:
            return fail(c, id, FAULT_BAD_SYMBOL, 0, first + i, s.st_name)
        section = s.st_shndx
        if section < SHN_LORESERVE:
            if section >= f.shnum:
                return fail(c, id, FAULT_BAD_SYMBOL, 1, first + i, section)
        elif section == SHN_XINDEX:
            if f.symtab_shndx == NULL or f.symtab_shndx[first + i] >= f.shnum:
                return fail(c, id, FAULT_BAD_SYMBOL, 1, first + i, section)
        f.hashes[i] = hash_name(f.strtab + s.st_name, &has_at)
    if has_at:
        f.flags |= FILE_HAS_AT
    return True


cdef bint read_extended_indices(Columns* c, uint32_t id, uint32_t index) noexcept nogil:
    """Takes section `index` (SHT_SYMTAB_SHNDX) as the extended section indices of the symbols."""
    cdef File* f = &c.files[id]
    cdef Shdr* s = &f.shdrs[index]
    cdef uint32_t* copy
    cdef uint64_t i, used
    cdef void* block
    if s.sh_size // 4 < f.nsyms:
        return fail(c, id, FAULT_TRUNCATED, WHAT_SYMBOLS, s.sh_offset, index)
    # The mapping may be misaligned or byte-swapped; a copy is always right, and the section is rare.
    used = 0
    if f.flags & (FILE_ELF32 | FILE_SWAP):
        used = f.shnum * sizeof(Shdr) + f.nsyms * sizeof(Sym)
    block = realloc(f.owned, used + f.nsyms * <uint64_t>4)
    if block == NULL:
        return fail(c, id, FAULT_NO_MEMORY, 0, 0, 0)
    f.owned = block
    if used:
        f.shdrs = <Shdr*>block
        f.syms = <Sym*>(<char*>block + f.shnum * sizeof(Shdr))
        s = &f.shdrs[index]
    copy = <uint32_t*>(<char*>block + used)
    for i in range(f.nsyms):
        copy[i] = load32(f.data + s.sh_offset + 4 * i, f.flags & FILE_SWAP != 0)
    f.symtab_shndx = copy
    return True


cdef bint read_object(Columns* c, uint32_t id) noexcept nogil:
    """Parses a relocatable object: symbol table, groups, stack note."""
    cdef File* f = &c.files[id]
    cdef uint32_t i, symtab = 0, extended = 0, ngroups = 0
    cdef Shdr* s
    cdef const char* name
    cdef bint lto = False, stack_note = False
    for i in range(1, f.shnum):
        s = &f.shdrs[i]
        if s.sh_type == SHT_SYMTAB:
            if symtab == 0:
                symtab = i
        elif s.sh_type == SHT_SYMTAB_SHNDX:
            extended = i
        elif s.sh_type == SHT_GROUP:
            ngroups += 1
        elif s.sh_type == SHT_REL or s.sh_type == SHT_CREL:
            f.flags |= FILE_REL
        if is_linkonce(f, s):
            ngroups += 1
        if s.sh_flags & SHF_COMPRESSED:
            f.flags |= FILE_COMPRESSED
        # The name is looked at only where its address range makes it cheap: the notes GNU tools add
        # and compiler IR have no SHF_ALLOC.
        if s.sh_flags & SHF_ALLOC == 0 and s.sh_type == SHT_PROGBITS:
            name = f.shstrtab + s.sh_name
            if name[0] == c'.':
                if memcmp_prefix(name, b".note.GNU-stack") and name[15] == 0:
                    stack_note = True
                    f.stack_flags = <uint32_t>s.sh_flags
                elif memcmp_prefix(name, b".gnu.lto_"):
                    lto = True
                elif memcmp_prefix(name, b".zdebug"):
                    f.flags |= FILE_COMPRESSED
    if not stack_note:
        f.flags |= FILE_NO_STACK_NOTE
    elif f.stack_flags & SHF_EXECINSTR:
        f.flags |= FILE_EXECSTACK
    if symtab != 0:
        if not read_symbol_table(c, id, symtab):
            return False
        if extended != 0 and not read_extended_indices(c, id, extended):
            return False
        if lto:
            f.flags |= FILE_LTO
            if not f.flags & FILE_KEEP_IR and is_slim_lto(c, id):
                f.state = FILE_BAD
                return False
        if not hash_globals(c, id):
            return False
    if ngroups:
        return read_groups(c, id, ngroups)
    return True


cdef bint is_slim_lto(Columns* c, uint32_t id) noexcept nogil:
    """True when gcc marked the object as IR without machine code: a common symbol __gnu_lto_slim."""
    cdef File* f = &c.files[id]
    cdef uint32_t i
    cdef const char* name
    for i in range(f.first_global, f.nsyms):
        if f.syms[i].st_name < f.strtab_size:
            name = f.strtab + f.syms[i].st_name
            if memcmp_prefix(name, b"__gnu_lto_slim") and name[14] == 0:
                return True
    return False


cdef inline bint memcmp_prefix(const char* text, const char* prefix) noexcept nogil:
    """True when NUL-terminated `text` starts with NUL-terminated `prefix`."""
    while prefix[0] != 0:
        if text[0] != prefix[0]:
            return False
        text += 1
        prefix += 1
    return True


cdef inline bint is_linkonce(const File* f, const Shdr* s) noexcept nogil:
    """True for .gnu.linkonce.*, the COMDAT of old compilers and of glibc's i386 assembler files: a section by itself."""
    cdef const char* name
    if not s.sh_flags & SHF_ALLOC or s.sh_flags & SHF_GROUP:
        return False
    name = f.shstrtab + s.sh_name
    return name[0] == c'.' and name[1] == c'g' and memcmp_prefix(name, b".gnu.linkonce.")


cdef bint read_groups(Columns* c, uint32_t id, uint32_t count) noexcept nogil:
    """Lists the section groups and checks their members (gABI chapter 4, section groups). A .gnu.linkonce section
    is listed as well: a group that consists of itself."""
    cdef File* f = &c.files[id]
    cdef uint32_t i, k, n = 0, member
    cdef Shdr* s
    cdef bint swap = f.flags & FILE_SWAP != 0
    f.groups = <uint32_t*>malloc(count * sizeof(uint32_t))
    f.group_gids = <uint32_t*>calloc(count, sizeof(uint32_t))
    if f.groups == NULL or f.group_gids == NULL:
        return fail(c, id, FAULT_NO_MEMORY, 0, 0, 0)
    for i in range(1, f.shnum):
        s = &f.shdrs[i]
        if s.sh_type != SHT_GROUP:
            if is_linkonce(f, s):
                f.groups[n] = i
                n += 1
            continue
        if s.sh_size < 4 or s.sh_size % 4 or s.sh_info == 0 or s.sh_info >= f.nsyms or \
                s.sh_link != f.symtab_index or f.syms[s.sh_info].st_name >= f.strtab_size:
            return fail(c, id, FAULT_BAD_GROUP, 0, s.sh_offset, i)
        for k in range(1, <uint32_t>(s.sh_size // 4)):
            member = load32(f.data + s.sh_offset + 4 * <uint64_t>k, swap)
            if member == 0 or member >= f.shnum:
                return fail(c, id, FAULT_BAD_GROUP, 1, s.sh_offset + 4 * <uint64_t>k, i)
        f.groups[n] = i
        n += 1
    f.ngroups = n
    return True


cdef bint read_shared(Columns* c, uint32_t id) noexcept nogil:
    """Parses a shared object: .dynsym and .gnu.version. Names and needs are read by shared_info()."""
    cdef File* f = &c.files[id]
    cdef uint32_t i, symtab = 0, versym = 0
    cdef uint16_t* copy
    for i in range(1, f.shnum):
        if f.shdrs[i].sh_type == SHT_DYNSYM:
            symtab = i
        elif f.shdrs[i].sh_type == SHT_GNU_VERSYM:
            versym = i
    if symtab == 0:
        return True
    if not read_symbol_table(c, id, symtab):
        return False
    if versym != 0:
        if f.shdrs[versym].sh_size // 2 < f.nsyms:
            return fail(c, id, FAULT_BAD_SHARED, WHAT_VERSIONS, f.shdrs[versym].sh_offset, versym)
        if f.flags & FILE_SWAP:
            copy = <uint16_t*>malloc(f.nsyms * 2 + 2)
            if copy == NULL:
                return fail(c, id, FAULT_NO_MEMORY, 0, 0, 0)
            for i in range(f.nsyms):
                copy[i] = load16(f.data + f.shdrs[versym].sh_offset + 2 * <uint64_t>i, True)
            f.versyms = copy
        else:
            f.versyms = <const uint16_t*>(f.data + f.shdrs[versym].sh_offset)
    return hash_dynamic_symbols(c, id)


cdef bint hash_dynamic_symbols(Columns* c, uint32_t id) noexcept nogil:
    """hash_globals() for a DSO: section indices there mean only defined or not."""
    cdef File* f = &c.files[id]
    cdef uint32_t i, n
    cdef uint32_t first = f.first_global
    cdef bint has_at = False
    if f.nsyms <= first:
        return True
    n = f.nsyms - first
    f.gids = <uint32_t*>calloc(n, sizeof(uint32_t))
    f.hashes = <uint64_t*>malloc(n * sizeof(uint64_t))
    if f.gids == NULL or f.hashes == NULL:
        return fail(c, id, FAULT_NO_MEMORY, 0, 0, 0)
    for i in range(n):
        if f.syms[first + i].st_name >= f.strtab_size:
            return fail(c, id, FAULT_BAD_SYMBOL, 0, first + i, f.syms[first + i].st_name)
        f.hashes[i] = hash_name(f.strtab + f.syms[first + i].st_name, &has_at)
    return True


cdef struct ParseTask:
    Columns* c               # the tables
    const uint32_t* ids      # [count] files to parse


cdef void parse_one(void* context, int64_t index, int thread) noexcept nogil:
    cdef ParseTask* task = <ParseTask*>context
    cdef Columns* c = task.c
    cdef uint32_t id = task.ids[index]
    cdef File* f = &c.files[id]
    if f.state != FILE_MAPPED or f.kind == FILE_NONE:
        return
    if f.size >= 4 and (memcmp(f.data, b"BC\xc0\xde", 4) == 0 or memcmp(f.data, b"\xde\xc0\x17\x0b", 4) == 0):
        # LLVM bitcode, bare or in its wrapper.
        f.flags |= FILE_LTO
        f.state = FILE_BAD
        return
    if not read_section_headers(c, id):
        return
    if f.kind == FILE_SHARED:
        if f.e_type != ET_DYN:
            fail(c, id, FAULT_BAD_HEADER, WHAT_HEADER, 16, f.e_type)
            return
        if not read_shared(c, id):
            return
    else:
        if f.e_type != ET_REL and f.kind != FILE_JUST_SYMBOLS:
            fail(c, id, FAULT_BAD_HEADER, WHAT_HEADER, 16, f.e_type)
            return
        if not read_object(c, id):
            return
    f.state = FILE_PARSED


def parse_files(Tables tables, ids):
    """Parses files in parallel; those already parsed are left alone. ids: list of file ids.

    A damaged file leaves a fault and the state FILE_BAD; the caller checks the faults."""
    cdef ParseTask task
    cdef int64_t n = len(ids)
    cdef int64_t i
    cdef uint32_t* array = <uint32_t*>malloc((n + 1) * sizeof(uint32_t))
    if array == NULL:
        raise MemoryError
    for i in range(n):
        array[i] = ids[i]
    task.c = &tables.c
    task.ids = array
    with nogil:
        parallel_for(parse_one, &task, n, tables.c.threads)
    free(array)


def intermediate_files(Tables tables, ids):
    """Those of the parsed files that hold compiler IR, as (file id, machine code too): mclink.lto decides about them.

    A file without machine code has the state FILE_BAD."""
    cdef uint32_t id
    return [(id, tables.c.files[id].state != FILE_BAD) for id in ids if tables.c.files[id].flags & FILE_LTO and not tables.c.files[id].flags & FILE_KEEP_IR]


def keep_intermediate(Tables tables, uint32_t id):
    """Makes a file without machine code one to be parsed again, as if its IR were contents like others."""
    cdef File* f = &tables.c.files[id]
    f.flags = f.flags & ~<uint32_t>FILE_LTO | FILE_KEEP_IR
    f.state = FILE_MAPPED


def identify(Tables tables, uint32_t id):
    """(class, byte order, machine, type, flags, osabi) of an ELF image: 1|2, 1|2, e_machine, e_type, e_flags,
    EI_OSABI; None when it is no ELF image. Reads the header only."""
    cdef File* f = &tables.c.files[id]
    cdef bint swap
    if f.size < 52 or memcmp(f.data, b"\x7fELF", 4) != 0 or f.data[4] not in (1, 2) or f.data[5] not in (1, 2):
        return None
    swap = f.data[5] == 2
    return (f.data[4], f.data[5], load16(f.data + 18, swap), load16(f.data + 16, swap),
            load32(f.data + (36 if f.data[4] == 1 else 48), swap), f.data[7])


def has_section(Tables tables, uint32_t id, bytes name not None):
    """True when a parsed file has a section of that name."""
    cdef const File* f = &tables.c.files[id]
    cdef uint32_t i
    for i in range(1, f.shnum if f.state >= FILE_PARSED and f.state != FILE_BAD else 0):
        if strcmp(f.shstrtab + f.shdrs[i].sh_name, name) == 0:
            return True
    return False


def shared_info(Tables tables, uint32_t id):
    """What the link needs of a parsed DSO beside its symbols, as a tuple
    (soname or None, [DT_NEEDED], [run path strings], DT_FLAGS_1, version names by index).

    All names are bytes; version names come from .gnu.version_d, index 0 and 1 are None. Damage leaves a
    fault. Source: gABI chapter 5 (dynamic section), GNU symbol versioning."""
    cdef Columns* c = &tables.c
    cdef File* f = &c.files[id]
    cdef bint elf32 = f.flags & FILE_ELF32 != 0
    cdef bint swap = f.flags & FILE_SWAP != 0
    cdef uint32_t i, k
    cdef uint64_t at, tag, value, step = 8 if elf32 else 16
    cdef uint32_t index, aux, step_next
    cdef Shdr* s
    cdef Shdr* strings
    soname = None
    needed = []
    paths = []
    flags1 = 0
    versions = [None, None]
    for i in range(1, f.shnum):
        s = &f.shdrs[i]
        if s.sh_type != SHT_DYNAMIC and s.sh_type != SHT_GNU_VERDEF:
            continue
        if s.sh_link == 0 or s.sh_link >= f.shnum or f.shdrs[s.sh_link].sh_type != SHT_STRTAB:
            fail(c, id, FAULT_BAD_SHARED, WHAT_STRINGS, s.sh_offset, i)
            return None, [], [], 0, versions
        strings = &f.shdrs[s.sh_link]
        text = (<const char*>(f.data + strings.sh_offset))[:strings.sh_size]
        if not text.endswith(b"\0"):
            fail(c, id, FAULT_BAD_SHARED, WHAT_STRINGS, strings.sh_offset, s.sh_link)
            return None, [], [], 0, versions
        if s.sh_type == SHT_DYNAMIC:
            at = s.sh_offset
            while at + step <= s.sh_offset + s.sh_size:
                tag = load32(f.data + at, swap) if elf32 else load64(f.data + at, swap)
                value = load32(f.data + at + 4, swap) if elf32 else load64(f.data + at + 8, swap)
                at += step
                if tag == 0:
                    break
                if tag in (1, 14, 15, 29):
                    if value >= strings.sh_size:
                        fail(c, id, FAULT_BAD_SHARED, WHAT_DYNAMIC, at, <int64_t>value)
                        return None, [], [], 0, versions
                    name = text[value:text.index(b"\0", value)]
                    if tag == 1:
                        needed.append(name)
                    elif tag == 14:
                        soname = name
                    else:
                        paths.append(name)
                elif tag == 0x6ffffffb:
                    flags1 = value
        else:
            at = s.sh_offset
            for k in range(s.sh_info):
                if not in_range(at - s.sh_offset, 20, s.sh_size):
                    fail(c, id, FAULT_BAD_SHARED, WHAT_VERSIONS, at, i)
                    return soname, needed, paths, flags1, versions
                index = load16(f.data + at + 4, swap) & 0x7fff
                aux = load32(f.data + at + 12, swap)
                step_next = load32(f.data + at + 16, swap)
                if not in_range(at - s.sh_offset + aux, 8, s.sh_size):
                    fail(c, id, FAULT_BAD_SHARED, WHAT_VERSIONS, at, i)
                    return soname, needed, paths, flags1, versions
                value = load32(f.data + at + aux, swap)
                if value >= strings.sh_size:
                    fail(c, id, FAULT_BAD_SHARED, WHAT_VERSIONS, at, i)
                    return soname, needed, paths, flags1, versions
                while len(versions) <= index:
                    versions.append(None)
                # Flag VER_FLG_BASE (1) names the file itself and is no version of symbols.
                if index >= 2 and not load16(f.data + at + 2, swap) & 1:
                    versions[index] = text[value:text.index(b"\0", value)]
                if step_next == 0:
                    break
                at += step_next
    return soname, needed, paths, flags1, versions
