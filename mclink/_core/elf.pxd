# cython: language_level=3
"""Level 0: the canonical ELF records and the constants that C code needs.

A canonical record has the bytes of its little-endian ELF64 form (gABI chapter 4), whatever the input's
class and byte order: `parse` converts once, nothing later asks. The structs are packed because archive
members are only 2-byte aligned.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t

cdef packed struct Shdr:
    uint32_t sh_name        # offset of the name in the section-name string table
    uint32_t sh_type        # SHT_*
    uint64_t sh_flags       # SHF_*
    uint64_t sh_addr        # address in the image; 0 in relocatable objects
    uint64_t sh_offset      # file offset of the contents; checked by parse except for SHT_NOBITS
    uint64_t sh_size        # size in bytes; checked by parse except for SHT_NOBITS
    uint32_t sh_link        # section index, meaning by type; checked < shnum by parse
    uint32_t sh_info        # meaning by type
    uint64_t sh_addralign   # 0, 1 or a power of two; checked by parse
    uint64_t sh_entsize     # size of a table entry, or 0

cdef packed struct Sym:
    uint32_t st_name        # offset in the string table; checked by parse
    uint8_t st_info         # binding << 4 | type
    uint8_t st_other        # visibility in the low two bits, ABI bits above
    uint16_t st_shndx       # section index or SHN_*; SHN_XINDEX refers to File.symtab_shndx
    uint64_t st_value       # offset in the section, address, or alignment of a common symbol
    uint64_t st_size        # size in bytes

cdef packed struct Rela:
    uint64_t r_offset       # offset of the field in the section
    uint32_t r_type         # relocation type of the machine (low half of Elf64 r_info)
    uint32_t r_sym          # symbol index in the file's symbol table (high half of r_info)
    int64_t r_addend        # addend; for REL inputs read out of the field by the conversion

cdef enum:
    ET_REL = 1
    ET_EXEC = 2
    ET_DYN = 3

    SHN_UNDEF = 0
    SHN_LORESERVE = 0xff00
    SHN_ABS = 0xfff1
    SHN_COMMON = 0xfff2
    SHN_XINDEX = 0xffff
    SHN_X86_64_LCOMMON = 0xff02

    SHT_NULL = 0
    SHT_PROGBITS = 1
    SHT_SYMTAB = 2
    SHT_STRTAB = 3
    SHT_RELA = 4
    SHT_HASH = 5
    SHT_DYNAMIC = 6
    SHT_NOTE = 7
    SHT_NOBITS = 8
    SHT_REL = 9
    SHT_DYNSYM = 11
    SHT_INIT_ARRAY = 14
    SHT_FINI_ARRAY = 15
    SHT_PREINIT_ARRAY = 16
    SHT_GROUP = 17
    SHT_SYMTAB_SHNDX = 18
    SHT_RELR = 19
    SHT_CREL = 0x40000014
    SHT_LLVM_ADDRSIG = 0x6fff4c03
    SHT_GNU_HASH = 0x6ffffff6
    SHT_GNU_VERDEF = 0x6ffffffd
    SHT_GNU_VERNEED = 0x6ffffffe
    SHT_GNU_VERSYM = 0x6fffffff
    SHT_X86_64_UNWIND = 0x70000001

    SHF_WRITE = 0x1
    SHF_ALLOC = 0x2
    SHF_EXECINSTR = 0x4
    SHF_MERGE = 0x10
    SHF_STRINGS = 0x20
    SHF_INFO_LINK = 0x40
    SHF_LINK_ORDER = 0x80
    SHF_OS_NONCONFORMING = 0x100
    SHF_GROUP = 0x200
    SHF_TLS = 0x400
    SHF_COMPRESSED = 0x800
    SHF_GNU_RETAIN = 0x200000
    SHF_X86_64_LARGE = 0x10000000
    SHF_EXCLUDE = 0x80000000

    GRP_COMDAT = 1

    STB_LOCAL = 0
    STB_GLOBAL = 1
    STB_WEAK = 2
    STB_GNU_UNIQUE = 10

    STT_NOTYPE = 0
    STT_OBJECT = 1
    STT_FUNC = 2
    STT_SECTION = 3
    STT_FILE = 4
    STT_COMMON = 5
    STT_TLS = 6
    STT_GNU_IFUNC = 10

    STV_DEFAULT = 0
    STV_INTERNAL = 1
    STV_HIDDEN = 2
    STV_PROTECTED = 3

    VERSYM_HIDDEN = 0x8000
    VER_NDX_LOCAL = 0
    VER_NDX_GLOBAL = 1
