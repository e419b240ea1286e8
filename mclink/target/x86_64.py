"""amd64: System V ABI, AMD64 Architecture Processor Supplement (psABI), with the AVX10/APX relocations.

Instructions reach data PC-relative, within 2 GB in the small and medium code models; 64-bit fields hold
whole addresses. Relocations carry addends (RELA). The thread pointer (%fs) points behind the static TLS
block (variant II), so TP offsets are negative; DTP offsets count from the start of the module's block.
The first three words of .got.plt belong to the run-time linker, and GOT is their address.
"""

from mclink.target.reloc import compile_rows

NAME = "x86-64"
STYLE = "elf_x86_64"        # default scripts of flavours that have none of their own
MACHINE = 62                # EM_X86_64
LARGE_COMMON, LARGE_FLAG = 0xff02, 0x10000000 # SHN_X86_64_LCOMMON, SHF_X86_64_LARGE
ELF_CLASS = 64
BIG_ENDIAN = False
RELA = True                 # dynamic relocations carry addends
WORD = 8                    # bytes of an address
E_FLAGS = 0

IMAGE_BASE = 0x400000       # start of an executable that is not position independent
MAX_PAGE_SIZE = 0x1000
COMMON_PAGE_SIZE = 0x1000
DEFAULT_RELRO = True
DEFAULT_HASH_STYLE = "both" # run-time linkers that know one of them ignore the other
# GNU ld is configured with separate code pages on Linux; NetBSD's run-time linker wants two segments.
SEPARATE_CODE = {"linux": True}
TLS_VARIANT = 2             # TP behind the block, aligned to its alignment
TCB_SIZE = 0                # bytes between TP and the block; variant 1 only
GOT_HEADER = 3              # words: _DYNAMIC, link map, resolver
GOT_IS_PLT = True           # _GLOBAL_OFFSET_TABLE_ is .got.plt (of .got when there is none)
OUTPUT_FORMAT = "elf64-x86-64"

# flavour -> path of the run-time linker that GNU ld writes without -dynamic-linker
INTERP = {
    "linux": "/lib64/ld-linux-x86-64.so.2",
    "freebsd": "/libexec/ld-elf.so.1",
    "netbsd": "/libexec/ld.elf_so",
    "haiku": "/system/runtime_loader",
}

# Relaxations, by the number under which _core.arch.x86 knows them.
FAMILIES = {
    "got": 1, "got_x": 2, "got_rex": 3, "got_rex2": 4,
    "gd": 5, "ld": 6, "dtpoff": 7,
    "ie": 8, "ie_rex2": 9, "ie_evex": 10,
    "desc": 11, "desc_rex2": 12, "desc_call": 13,
}

RELOCS = (
    # no  name                             formula           field   relax
    (0,   "R_X86_64_NONE",                 "none",           "none"),
    (1,   "R_X86_64_64",                   "S + A",          "w64"),
    (2,   "R_X86_64_PC32",                 "S + A - P",      "s32"),
    (3,   "R_X86_64_GOT32",                "G + A",          "s32"),
    (4,   "R_X86_64_PLT32",                "L + A - P",      "s32"),
    (5,   "R_X86_64_COPY",                 "dynamic",        "none"),
    (6,   "R_X86_64_GLOB_DAT",             "dynamic",        "none"),
    (7,   "R_X86_64_JUMP_SLOT",            "dynamic",        "none"),
    (8,   "R_X86_64_RELATIVE",             "dynamic",        "none"),
    (9,   "R_X86_64_GOTPCREL",             "G + GOT + A - P", "s32", "got"),
    (10,  "R_X86_64_32",                   "S + A",          "u32"),
    (11,  "R_X86_64_32S",                  "S + A",          "s32"),
    (12,  "R_X86_64_16",                   "S + A",          "x16"),
    (13,  "R_X86_64_PC16",                 "S + A - P",      "s16"),
    (14,  "R_X86_64_8",                    "S + A",          "x8"),
    (15,  "R_X86_64_PC8",                  "S + A - P",      "s8"),
    (16,  "R_X86_64_DTPMOD64",             "dynamic",        "none"),
    (17,  "R_X86_64_DTPOFF64",             "DTPOFF + A",     "w64", "dtpoff"),
    (18,  "R_X86_64_TPOFF64",              "TPOFF + A",      "w64"),
    (19,  "R_X86_64_TLSGD",                "GD + A - P",     "s32", "gd"),
    (20,  "R_X86_64_TLSLD",                "LD + A - P",     "s32", "ld"),
    (21,  "R_X86_64_DTPOFF32",             "DTPOFF + A",     "s32", "dtpoff"),
    (22,  "R_X86_64_GOTTPOFF",             "GOTTP + A - P",  "s32", "ie"),
    (23,  "R_X86_64_TPOFF32",              "TPOFF + A",      "s32"),
    (24,  "R_X86_64_PC64",                 "S + A - P",      "w64"),
    (25,  "R_X86_64_GOTOFF64",             "S + A - GOT",    "w64"),
    (26,  "R_X86_64_GOTPC32",              "GOT + A - P",    "s32"),
    (27,  "R_X86_64_GOT64",                "G + A",          "w64"),
    (28,  "R_X86_64_GOTPCREL64",           "G + GOT + A - P", "w64"),
    (29,  "R_X86_64_GOTPC64",              "GOT + A - P",    "w64"),
    (30,  "R_X86_64_GOTPLT64",             "G + A",          "w64"),
    (31,  "R_X86_64_PLTOFF64",             "L + A - GOT",    "w64"),
    (32,  "R_X86_64_SIZE32",               "Z + A",          "u32"),
    (33,  "R_X86_64_SIZE64",               "Z + A",          "w64"),
    (34,  "R_X86_64_GOTPC32_TLSDESC",      "TLSDESC + A - P", "s32", "desc"),
    (35,  "R_X86_64_TLSDESC_CALL",         "TLSCALL",        "none", "desc_call"),
    (36,  "R_X86_64_TLSDESC",              "dynamic",        "none"),
    (37,  "R_X86_64_IRELATIVE",            "dynamic",        "none"),
    (38,  "R_X86_64_RELATIVE64",           "dynamic",        "none"),
    (39,  "R_X86_64_PC32_BND",             "S + A - P",      "s32"),
    (40,  "R_X86_64_PLT32_BND",            "L + A - P",      "s32"),
    (41,  "R_X86_64_GOTPCRELX",            "G + GOT + A - P", "s32", "got_x"),
    (42,  "R_X86_64_REX_GOTPCRELX",        "G + GOT + A - P", "s32", "got_rex"),
    (43,  "R_X86_64_CODE_4_GOTPCRELX",     "G + GOT + A - P", "s32", "got_rex2"),
    (44,  "R_X86_64_CODE_4_GOTTPOFF",      "GOTTP + A - P",  "s32", "ie_rex2"),
    (45,  "R_X86_64_CODE_4_GOTPC32_TLSDESC", "TLSDESC + A - P", "s32", "desc_rex2"),
    (46,  "R_X86_64_CODE_5_GOTPCRELX",     "G + GOT + A - P", "s32"),
    (47,  "R_X86_64_CODE_5_GOTTPOFF",      "GOTTP + A - P",  "s32"),
    (49,  "R_X86_64_CODE_6_GOTPCRELX",     "G + GOT + A - P", "s32"),
    (50,  "R_X86_64_CODE_6_GOTTPOFF",      "GOTTP + A - P",  "s32", "ie_evex"),
    (250, "R_X86_64_GNU_VTINHERIT",        "none",           "none"),
    (251, "R_X86_64_GNU_VTENTRY",          "none",           "none"),
)

SYMBOLIC = 1                # R_X86_64_64, the type that is a whole address

CONSTANTS = {
    "word_size": WORD,
    "got_header": GOT_HEADER,
    "tlsdesc_size": 16,
    "dyn_symbolic": 1,
    "dyn_relative": 8,
    "dyn_glob_dat": 6,
    "dyn_jump_slot": 7,
    "dyn_copy": 5,
    "dyn_irelative": 37,
    "dyn_dtpmod": 16,
    "dyn_dtpoff": 17,
    "dyn_tpoff": 18,
    "dyn_tlsdesc": 36,
}

PLT_STYLES = {"plain": 0, "ibt": 1}

# GNU properties (psABI, "Program Property"): how the values of the inputs are merged, and the two that -z sets.
PROPERTY_RANGES = [(0xC0000002, 0xC0007FFF, "and"), (0xC0008000, 0xC000FFFF, "or"),
                   (0xC0010000, 0xC0017FFF, "or-and")]
PROPERTY_FEATURES = 0xC0000002      # GNU_PROPERTY_X86_FEATURE_1_AND
PROPERTY_ISA_NEEDED = 0xC0008002    # GNU_PROPERTY_X86_ISA_1_NEEDED

# .eh_frame of the PLT sections. The CIE: version 1, "zR", code alignment 1, data alignment -8, return address
# column 16, PC-relative sdata4 pointers; CFA = rsp + 8, return address at CFA - 8.
PLT_EH_CIE = bytes((
    20, 0, 0, 0, 0, 0, 0, 0, 1, 0x7A, 0x52, 0, 1, 0x78, 16, 1, 0x1B,
    0x0C, 7, 8, 0x90, 1, 0, 0))


def plt_eh_program(lazy, ibt, link=None):
    """Call-frame instructions of the FDE of a PLT section, without padding.

    lazy: the section has the header and pushes indices; `ibt`: style 1. Elsewhere an entry is one jump
    and the CIE says all. In a lazy section CFA is rsp + 16 in the header until its push at 0..6 is done,
    then rsp + 24; in an entry it is rsp + 8 before the push of the index has ended, rsp + 16 after:
    rsp + 8 + (((rip & 15) >= end) << 3)."""
    if not lazy:
        return b""
    end = 9 if ibt else 11
    return bytes((
        0x0E, 16,               # DW_CFA_def_cfa_offset 16
        0x40 | 6,               # DW_CFA_advance_loc 6
        0x0E, 24,               # DW_CFA_def_cfa_offset 24
        0x40 | 10,              # DW_CFA_advance_loc 10: the end of the header
        0x0F, 11,               # DW_CFA_def_cfa_expression
        0x77, 8,                # DW_OP_breg7 (rsp) 8
        0x80, 0,                # DW_OP_breg16 (rip) 0
        0x3F, 0x1A,             # DW_OP_lit15, DW_OP_and
        0x30 + end, 0x2A,       # DW_OP_lit<end>, DW_OP_ge
        0x33, 0x24, 0x22))      # DW_OP_lit3, DW_OP_shl, DW_OP_plus


def tls_bases(start, size, align):
    """(TP, DTP): the addresses that TP and DTP offsets count from, for a TLS block at `start` of `size`
    bytes. Variant II: the block ends, rounded up to its alignment, where the thread pointer points."""
    return start + ((size + align - 1) & -align), start


def tls_module_base(tp, dtp, shared):
    """Value of _TLS_MODULE_BASE_. In an executable the DTP offsets of code become TP offsets, so the base
    that is added to them must have the TP offset 0."""
    return dtp if shared else tp


def make_ops():
    """The compiled table of this target: _core.ops.OpsTable, PLT style 0 in force."""
    from mclink._core.arch.x86 import connect_amd64
    from mclink._core.ops import OpsTable
    table = OpsTable(compile_rows(RELOCS, SYMBOLIC, FAMILIES), CONSTANTS)
    connect_amd64(table)
    return table
