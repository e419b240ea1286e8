"""i386: System V ABI, Intel386 Architecture Processor Supplement (psABI), version 1.1, with its TLS appendix.

ELF32 with REL: addends stand in the fields. There is no PC-relative addressing of data, so position-independent
code keeps the address of the GOT in a register, and PLT entries of such code want it in %ebx. Addresses wrap at
2**32. The thread pointer (%gs:0) points behind the static TLS block (variant II); Sun's flavour of TLS counts offsets
downwards from it (LE_32, IE_32), GNU's upwards (LE, IE, GOTIE).
"""

from mclink.target.reloc import FIELD_8, FIELD_16, FIELDS, compile_rows
from mclink.target.x86_64 import (  # noqa: F401 - the same as on amd64
    PROPERTY_FEATURES, PROPERTY_ISA_NEEDED, PROPERTY_RANGES, tls_bases, tls_module_base)

NAME = "i386"
STYLE = "elf_i386"
MACHINE = 3                 # EM_386
LARGE_COMMON, LARGE_FLAG = 0, 0 # no large code model
ELF_CLASS = 32
BIG_ENDIAN = False
RELA = False
WORD = 4
E_FLAGS = 0

IMAGE_BASE = 0x8048000
MAX_PAGE_SIZE = 0x1000
COMMON_PAGE_SIZE = 0x1000
DEFAULT_RELRO = True
DEFAULT_HASH_STYLE = "both"
SEPARATE_CODE = {"linux": True}
TLS_VARIANT = 2
TCB_SIZE = 0
GOT_HEADER = 3
GOT_IS_PLT = True
OUTPUT_FORMAT = "elf32-i386"

INTERP = {
    "linux": "/lib/ld-linux.so.2",
    "freebsd": "/libexec/ld-elf.so.1",
    "netbsd": "/libexec/ld.elf_so",
    "haiku": "/system/runtime_loader",
}

# Relaxations, by the number under which _core.arch.x86_32 knows them.
FAMILIES = {
    "got": 1, "got_x": 2, "gd": 3, "ld": 4, "dtpoff": 5, "ie": 6, "gotie": 7, "ie_down": 8, "le_down": 9,
    "desc": 10, "desc_call": 11,
}

# Bit fields that GNU ld calls so: signed, unsigned, or wrapped around 2**32.
FIELDS = dict(FIELDS, f8=(FIELD_8, 1, -0x100, 0xFF), f16=(FIELD_16, 2, -0x10000, 0xFFFF))

RELOCS = (
    # no  name                     formula                 field   relax
    (0,   "R_386_NONE",            "none",                 "none"),
    (1,   "R_386_32",              "S + A",                "w32"),
    # Calls of code that is not PIC: there is no %ebx for an entry of a PLT of PIC.
    (2,   "R_386_PC32",            "L + A - P, direct",    "w32"),
    (3,   "R_386_GOT32",           "G + A",                "w32", "got"),
    (4,   "R_386_PLT32",           "L + A - P",            "w32"),
    (5,   "R_386_COPY",            "dynamic",              "none"),
    (6,   "R_386_GLOB_DAT",        "dynamic",              "none"),
    (7,   "R_386_JUMP_SLOT",       "dynamic",              "none"),
    (8,   "R_386_RELATIVE",        "dynamic",              "none"),
    (9,   "R_386_GOTOFF",          "S + A - GOT",          "w32"),
    (10,  "R_386_GOTPC",           "GOT + A - P",          "w32"),
    (11,  "R_386_32PLT",           "L + A",                "w32"),
    (14,  "R_386_TLS_TPOFF",       "dynamic",              "none"),
    (15,  "R_386_TLS_IE",          "GOTTP + A",            "w32", "ie"),
    (16,  "R_386_TLS_GOTIE",       "GOTTP + A - GOT",      "w32", "gotie"),
    (17,  "R_386_TLS_LE",          "TPOFF + A",            "w32"),
    (18,  "R_386_TLS_GD",          "GD + A - GOT",         "w32", "gd"),
    (19,  "R_386_TLS_LDM",         "LD + A - GOT",         "w32", "ld"),
    (20,  "R_386_16",              "S + A",                "f16"),
    (21,  "R_386_PC16",            "S + A - P",            "f16"),
    (22,  "R_386_8",               "S + A",                "f8"),
    (23,  "R_386_PC8",             "S + A - P",            "s8"),
    (32,  "R_386_TLS_LDO_32",      "DTPOFF + A",           "w32", "dtpoff"),
    (33,  "R_386_TLS_IE_32",       "GOTDOWN + A - GOT",    "w32", "ie_down"),
    (34,  "R_386_TLS_LE_32",       "TPOFF + A",            "w32", "le_down"),
    (35,  "R_386_TLS_DTPMOD32",    "dynamic",              "none"),
    (36,  "R_386_TLS_DTPOFF32",    "dynamic",              "none"),
    (37,  "R_386_TLS_TPOFF32",     "dynamic",              "none"),
    (38,  "R_386_SIZE32",          "Z + A",                "w32"),
    (39,  "R_386_TLS_GOTDESC",     "TLSDESC + A - GOT",    "w32", "desc"),
    (40,  "R_386_TLS_DESC_CALL",   "TLSCALL",              "none", "desc_call"),
    (41,  "R_386_TLS_DESC",        "dynamic",              "none"),
    (42,  "R_386_IRELATIVE",       "dynamic",              "none"),
    (43,  "R_386_GOT32X",          "G + A",                "w32", "got_x"),
    (250, "R_386_GNU_VTINHERIT",   "none",                 "none"),
    (251, "R_386_GNU_VTENTRY",     "none",                 "none"),
)

# R_386_32; R_386_TLS_IE is the address of a slot, and R_386_TLS_LE and R_386_TLS_LE_32 may stand in a shared object.
WORDS = (1, 15, 17, 34)

CONSTANTS = {
    "word_size": WORD,
    "got_header": GOT_HEADER,
    "tlsdesc_size": 8,
    "desc_argument": 4,
    "dyn_symbolic": 1,
    "dyn_relative": 8,
    "dyn_glob_dat": 6,
    "dyn_jump_slot": 7,
    "dyn_copy": 5,
    "dyn_irelative": 42,
    "dyn_dtpmod": 35,
    "dyn_dtpoff": 36,
    "dyn_tpoff": 14,
    "dyn_tpoff_down": 37,
    "dyn_tlsdesc": 41,
}

# Instead of layout.scan.DECISIONS: code without %ebx cannot call the PLT of PIC, but R_386_PC32 is a dynamic
# relocation too. Columns: local, absolute, imported data, imported function, IFUNC.
DECISIONS = {
    ("pcrel", "pie"):    ("apply", "number", "copy",     "symbolic", "error"),
    ("pcrel", "shared"): ("apply", "number", "symbolic", "symbolic", "error"),
}

PLT_STYLES = {"plain": 0, "ibt": 1, "pic": 2, "ibt-pic": 3}

# .eh_frame of the PLT sections. The CIE: version 1, "zR", code alignment 1, data alignment -4, return address
# column 8, PC-relative sdata4 pointers; CFA = esp + 4, return address at CFA - 4.
PLT_EH_CIE = bytes((
    20, 0, 0, 0, 0, 0, 0, 0, 1, 0x7A, 0x52, 0, 1, 0x7C, 8, 1, 0x1B,
    0x0C, 4, 4, 0x88, 1, 0, 0))


def plt_eh_program(lazy, ibt, link=None):
    """Call-frame instructions of the FDE of a PLT section, without padding: those of amd64 with esp and words of 4
    bytes. The CFA of a lazy entry is esp + 4 + (((eip & 15) >= end) << 2)."""
    if not lazy:
        return b""
    end = 9 if ibt else 11
    return bytes((
        0x0E, 8,                # DW_CFA_def_cfa_offset 8
        0x40 | 6,               # DW_CFA_advance_loc 6
        0x0E, 12,               # DW_CFA_def_cfa_offset 12
        0x40 | 10,              # DW_CFA_advance_loc 10: the end of the header
        0x0F, 11,               # DW_CFA_def_cfa_expression
        0x74, 4,                # DW_OP_breg4 (esp) 4
        0x78, 0,                # DW_OP_breg8 (eip) 0
        0x3F, 0x1A,             # DW_OP_lit15, DW_OP_and
        0x30 + end, 0x2A,       # DW_OP_lit<end>, DW_OP_ge
        0x32, 0x24, 0x22))      # DW_OP_lit2, DW_OP_shl, DW_OP_plus


def make_ops():
    """The compiled table of this target: _core.ops.OpsTable, PLT style 0 in force."""
    from mclink._core.arch.x86_32 import connect_i386
    from mclink._core.ops import OpsTable
    table = OpsTable(compile_rows(RELOCS, WORDS, FAMILIES, FIELDS, wrap32=True), CONSTANTS)
    connect_i386(table)
    return table
