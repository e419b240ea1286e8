"""AArch64: ELF for the Arm 64-bit Architecture (aaelf64), with its TLS descriptor and PAuth-free parts.

Instructions reach data by page: ADRP takes the distance of 4 KiB pages within 4 GiB, the low 12 bits go into the
instruction behind it. Branches reach 128 MiB; what is farther gets a thunk. Relocations carry addends (RELA).
The thread pointer (TPIDR_EL0) points to a block of 16 bytes in front of the static TLS block (variant I), so TP
offsets are positive. GOT is the start of .got, whose first word is the address of .dynamic; three words of
.got.plt belong to the run-time linker. Instructions are little-endian in every output, data follow the header.
"""

from mclink.target.reloc import FIELD_ARCH, FIELDS, compile_rows

NAME = "AArch64"
STYLE = "aarch64linux"      # default scripts of flavours that have none of their own
MACHINE = 183               # EM_AARCH64
LARGE_COMMON, LARGE_FLAG = 0, 0 # no large code model
ELF_CLASS = 64
BIG_ENDIAN = False
RELA = True                 # dynamic relocations carry addends
WORD = 8                    # bytes of an address
E_FLAGS = 0

IMAGE_BASE = 0x400000       # start of an executable that is not position independent
MAX_PAGE_SIZE = 0x10000
COMMON_PAGE_SIZE = 0x1000
DEFAULT_RELRO = True
DEFAULT_EXECSTACK = False   # objects that say nothing of the stack want no executable one
DEFAULT_HASH_STYLE = "both" # run-time linkers that know one of them ignore the other
SEPARATE_CODE = {}
TLS_VARIANT = 1             # TP in front of the block
TCB_SIZE = 16               # bytes between TP and the block, rounded up to its alignment
GOT_HEADER = 3              # words of .got.plt
GOT_IS_PLT = False          # _GLOBAL_OFFSET_TABLE_ is .got
OUTPUT_FORMAT = "elf64-littleaarch64"

# flavour -> path of the run-time linker that is written without -dynamic-linker
INTERP = {
    "linux": "/lib/ld-linux-aarch64.so.1",
    "freebsd": "/libexec/ld-elf.so.1",
    "netbsd": "/libexec/ld.elf_so",
    "haiku": "/system/runtime_loader",
}

# Relaxations, by the number under which _core.arch.aarch64 knows them. The weak ones say what becomes of a
# distance to an undefined weak symbol (aaelf64, "Weak References").
FAMILIES = {
    "weak": 1, "weak_page": 2, "weak_call": 3, "weak_branch": 4,
    "got_page": 5, "got_lo12": 6,
    "gd_page": 7, "gd_add": 8, "gd_adr": 9,
    "ie_page": 10, "ie_ld": 11,
    "desc_page": 12, "desc_ld": 13, "desc_add": 14, "desc_nop": 15,
    "desc_ld19": 16, "desc_adr": 17, "desc_g1": 18, "desc_g0": 19, "desc_ldr": 20,
}

_ANY = FIELDS["w64"][2:]


def _signed(bits):
    return -1 << bits, (1 << bits) - 1


# Fields of instructions: name -> (id, bytes, lowest, highest[, alignment]). lo12_N: the offset of an access of N
# bits in its page; movw: the immediate of MOVZ or MOVK; movs: the same, and the sign chooses MOVZ or MOVN.
_INSTRUCTION = {
    "adr": (0, 4, *_signed(20)),
    "adrp": (1, 4, *_signed(32)),
    "adrp_nc": (1, 4, *_ANY),
    "imm19": (2, 4, *_signed(20), 4),
    "imm14": (3, 4, *_signed(15), 4),
    "imm26": (4, 4, *_signed(27), 4),
    "lo12": (5, 4, *_ANY),
    "lo12_checked": (5, 4, 0, 0xFFF),
    "lo12_16": (6, 4, *_ANY, 2),
    "lo12_16_checked": (6, 4, 0, 0xFFF, 2),
    "lo12_32": (7, 4, *_ANY, 4),
    "lo12_32_checked": (7, 4, 0, 0xFFF, 4),
    "lo12_64": (8, 4, *_ANY, 8),
    "lo12_64_checked": (8, 4, 0, 0xFFF, 8),
    "lo12_128": (9, 4, *_ANY, 16),
    "lo12_128_checked": (9, 4, 0, 0xFFF, 16),
    "hi12": (10, 4, 0, 0xFFFFFF),
    "lo15": (11, 4, 0, 0x7FFF, 8),
    "movw_g0": (12, 4, 0, 0xFFFF),
    "movw_g0_nc": (12, 4, *_ANY),
    "movw_g1": (13, 4, 0, 0xFFFFFFFF),
    "movw_g1_nc": (13, 4, *_ANY),
    "movw_g2": (14, 4, 0, 0xFFFFFFFFFFFF),
    "movw_g2_nc": (14, 4, *_ANY),
    "movw_g3": (15, 4, *_ANY),
    "movs_g0": (16, 4, *_signed(16)),
    "movs_g1": (17, 4, *_signed(32)),
    "movs_g2": (18, 4, *_signed(48)),
    "movs_g3": (19, 4, *_ANY),
}

RELOCS = (
    # no   name                                    formula                        field   relax
    (0,    "R_AARCH64_NONE",                      "none",                        "none"),
    (256,  "R_AARCH64_NULL",                      "none",                        "none"),
    (257,  "R_AARCH64_ABS64",                     "S + A",                       "w64"),
    (258,  "R_AARCH64_ABS32",                     "S + A",                       "x32"),
    (259,  "R_AARCH64_ABS16",                     "S + A",                       "x16"),
    (260,  "R_AARCH64_PREL64",                    "S + A - P",                   "w64", "weak"),
    (261,  "R_AARCH64_PREL32",                    "S + A - P",                   "s32", "weak"),
    (262,  "R_AARCH64_PREL16",                    "S + A - P",                   "s16", "weak"),
    (263,  "R_AARCH64_MOVW_UABS_G0",              "S + A",                       "movw_g0"),
    (264,  "R_AARCH64_MOVW_UABS_G0_NC",           "S + A",                       "movw_g0_nc"),
    (265,  "R_AARCH64_MOVW_UABS_G1",              "S + A",                       "movw_g1"),
    (266,  "R_AARCH64_MOVW_UABS_G1_NC",           "S + A",                       "movw_g1_nc"),
    (267,  "R_AARCH64_MOVW_UABS_G2",              "S + A",                       "movw_g2"),
    (268,  "R_AARCH64_MOVW_UABS_G2_NC",           "S + A",                       "movw_g2_nc"),
    (269,  "R_AARCH64_MOVW_UABS_G3",              "S + A",                       "movw_g3"),
    (270,  "R_AARCH64_MOVW_SABS_G0",              "S + A",                       "movs_g0"),
    (271,  "R_AARCH64_MOVW_SABS_G1",              "S + A",                       "movs_g1"),
    (272,  "R_AARCH64_MOVW_SABS_G2",              "S + A",                       "movs_g2"),
    (273,  "R_AARCH64_LD_PREL_LO19",              "S + A - P",                   "imm19", "weak"),
    (274,  "R_AARCH64_ADR_PREL_LO21",             "S + A - P",                   "adr", "weak"),
    (275,  "R_AARCH64_ADR_PREL_PG_HI21",          "Page(S + A) - Page(P)",       "adrp", "weak_page"),
    (276,  "R_AARCH64_ADR_PREL_PG_HI21_NC",       "Page(S + A) - Page(P)",       "adrp_nc", "weak_page"),
    (277,  "R_AARCH64_ADD_ABS_LO12_NC",           "Low(S + A)",                  "lo12"),
    (278,  "R_AARCH64_LDST8_ABS_LO12_NC",         "Low(S + A)",                  "lo12"),
    (279,  "R_AARCH64_TSTBR14",                   "S + A - P",                   "imm14", "weak_branch"),
    (280,  "R_AARCH64_CONDBR19",                  "S + A - P",                   "imm19", "weak_branch"),
    (282,  "R_AARCH64_JUMP26",                    "L + A - P",                   "imm26", "weak_call"),
    (283,  "R_AARCH64_CALL26",                    "L + A - P",                   "imm26", "weak_call"),
    (284,  "R_AARCH64_LDST16_ABS_LO12_NC",        "Low(S + A)",                  "lo12_16"),
    (285,  "R_AARCH64_LDST32_ABS_LO12_NC",        "Low(S + A)",                  "lo12_32"),
    (286,  "R_AARCH64_LDST64_ABS_LO12_NC",        "Low(S + A)",                  "lo12_64"),
    (287,  "R_AARCH64_MOVW_PREL_G0",              "S + A - P",                   "movs_g0", "weak"),
    (288,  "R_AARCH64_MOVW_PREL_G0_NC",           "S + A - P",                   "movw_g0_nc", "weak"),
    (289,  "R_AARCH64_MOVW_PREL_G1",              "S + A - P",                   "movs_g1", "weak"),
    (290,  "R_AARCH64_MOVW_PREL_G1_NC",           "S + A - P",                   "movw_g1_nc", "weak"),
    (291,  "R_AARCH64_MOVW_PREL_G2",              "S + A - P",                   "movs_g2", "weak"),
    (292,  "R_AARCH64_MOVW_PREL_G2_NC",           "S + A - P",                   "movw_g2_nc", "weak"),
    (293,  "R_AARCH64_MOVW_PREL_G3",              "S + A - P",                   "movs_g3", "weak"),
    (299,  "R_AARCH64_LDST128_ABS_LO12_NC",       "Low(S + A)",                  "lo12_128"),
    (300,  "R_AARCH64_MOVW_GOTOFF_G0",            "G + A",                       "movw_g0"),
    (301,  "R_AARCH64_MOVW_GOTOFF_G0_NC",         "G + A",                       "movw_g0_nc"),
    (302,  "R_AARCH64_MOVW_GOTOFF_G1",            "G + A",                       "movw_g1"),
    (303,  "R_AARCH64_MOVW_GOTOFF_G1_NC",         "G + A",                       "movw_g1_nc"),
    (304,  "R_AARCH64_MOVW_GOTOFF_G2",            "G + A",                       "movw_g2"),
    (305,  "R_AARCH64_MOVW_GOTOFF_G2_NC",         "G + A",                       "movw_g2_nc"),
    (306,  "R_AARCH64_MOVW_GOTOFF_G3",            "G + A",                       "movw_g3"),
    (307,  "R_AARCH64_GOTREL64",                  "S + A - GOT",                 "w64"),
    (308,  "R_AARCH64_GOTREL32",                  "S + A - GOT",                 "s32"),
    (309,  "R_AARCH64_GOT_LD_PREL19",             "G + GOT + A - P",             "imm19"),
    (310,  "R_AARCH64_LD64_GOTOFF_LO15",          "G + A",                       "lo15"),
    (311,  "R_AARCH64_ADR_GOT_PAGE",              "Page(G + GOT + A) - Page(P)", "adrp", "got_page"),
    (312,  "R_AARCH64_LD64_GOT_LO12_NC",          "Low(G + GOT + A)",            "lo12_64", "got_lo12"),
    (313,  "R_AARCH64_LD64_GOTPAGE_LO15",         "G + GOT + A - Page(GOT)",     "lo15"),
    (314,  "R_AARCH64_PLT32",                     "L + A - P",                   "s32", "weak"),
    (315,  "R_AARCH64_GOTPCREL32",                "G + GOT + A - P",             "s32"),
    (512,  "R_AARCH64_TLSGD_ADR_PREL21",          "GD + A - P",                  "adr", "gd_adr"),
    (513,  "R_AARCH64_TLSGD_ADR_PAGE21",          "Page(GD + A) - Page(P)",      "adrp", "gd_page"),
    (514,  "R_AARCH64_TLSGD_ADD_LO12_NC",         "Low(GD + A)",                 "lo12", "gd_add"),
    (515,  "R_AARCH64_TLSGD_MOVW_G1",             "GD + A - GOT",                "movs_g1"),
    (516,  "R_AARCH64_TLSGD_MOVW_G0_NC",          "GD + A - GOT",                "movw_g0_nc"),
    (517,  "R_AARCH64_TLSLD_ADR_PREL21",          "LD + A - P",                  "adr"),
    (518,  "R_AARCH64_TLSLD_ADR_PAGE21",          "Page(LD + A) - Page(P)",      "adrp"),
    (519,  "R_AARCH64_TLSLD_ADD_LO12_NC",         "Low(LD + A)",                 "lo12"),
    (520,  "R_AARCH64_TLSLD_MOVW_G1",             "LD + A - GOT",                "movs_g1"),
    (521,  "R_AARCH64_TLSLD_MOVW_G0_NC",          "LD + A - GOT",                "movw_g0_nc"),
    (522,  "R_AARCH64_TLSLD_LD_PREL19",           "LD + A - P",                  "imm19"),
    (523,  "R_AARCH64_TLSLD_MOVW_DTPREL_G2",      "DTPOFF + A",                  "movw_g2"),
    (524,  "R_AARCH64_TLSLD_MOVW_DTPREL_G1",      "DTPOFF + A",                  "movw_g1"),
    (525,  "R_AARCH64_TLSLD_MOVW_DTPREL_G1_NC",   "DTPOFF + A",                  "movw_g1_nc"),
    (526,  "R_AARCH64_TLSLD_MOVW_DTPREL_G0",      "DTPOFF + A",                  "movw_g0"),
    (527,  "R_AARCH64_TLSLD_MOVW_DTPREL_G0_NC",   "DTPOFF + A",                  "movw_g0_nc"),
    (528,  "R_AARCH64_TLSLD_ADD_DTPREL_HI12",     "DTPOFF + A",                  "hi12"),
    (529,  "R_AARCH64_TLSLD_ADD_DTPREL_LO12",     "DTPOFF + A",                  "lo12_checked"),
    (530,  "R_AARCH64_TLSLD_ADD_DTPREL_LO12_NC",  "DTPOFF + A",                  "lo12"),
    (531,  "R_AARCH64_TLSLD_LDST8_DTPREL_LO12",   "DTPOFF + A",                  "lo12_checked"),
    (532,  "R_AARCH64_TLSLD_LDST8_DTPREL_LO12_NC","DTPOFF + A",                  "lo12"),
    (533,  "R_AARCH64_TLSLD_LDST16_DTPREL_LO12",  "DTPOFF + A",                  "lo12_16_checked"),
    (534,  "R_AARCH64_TLSLD_LDST16_DTPREL_LO12_NC","DTPOFF + A",                  "lo12_16"),
    (535,  "R_AARCH64_TLSLD_LDST32_DTPREL_LO12",  "DTPOFF + A",                  "lo12_32_checked"),
    (536,  "R_AARCH64_TLSLD_LDST32_DTPREL_LO12_NC","DTPOFF + A",                  "lo12_32"),
    (537,  "R_AARCH64_TLSLD_LDST64_DTPREL_LO12",  "DTPOFF + A",                  "lo12_64_checked"),
    (538,  "R_AARCH64_TLSLD_LDST64_DTPREL_LO12_NC","DTPOFF + A",                  "lo12_64"),
    (539,  "R_AARCH64_TLSIE_MOVW_GOTTPREL_G1",    "GOTTP + A - GOT",             "movs_g1"),
    (540,  "R_AARCH64_TLSIE_MOVW_GOTTPREL_G0_NC", "GOTTP + A - GOT",             "movw_g0_nc"),
    (541,  "R_AARCH64_TLSIE_ADR_GOTTPREL_PAGE21", "Page(GOTTP + A) - Page(P)",   "adrp", "ie_page"),
    (542,  "R_AARCH64_TLSIE_LD64_GOTTPREL_LO12_NC","Low(GOTTP + A)",              "lo12_64", "ie_ld"),
    (543,  "R_AARCH64_TLSIE_LD_GOTTPREL_PREL19",  "GOTTP + A - P",               "imm19"),
    (544,  "R_AARCH64_TLSLE_MOVW_TPREL_G2",       "TPOFF + A",                   "movw_g2"),
    (545,  "R_AARCH64_TLSLE_MOVW_TPREL_G1",       "TPOFF + A",                   "movw_g1"),
    (546,  "R_AARCH64_TLSLE_MOVW_TPREL_G1_NC",    "TPOFF + A",                   "movw_g1_nc"),
    (547,  "R_AARCH64_TLSLE_MOVW_TPREL_G0",       "TPOFF + A",                   "movw_g0"),
    (548,  "R_AARCH64_TLSLE_MOVW_TPREL_G0_NC",    "TPOFF + A",                   "movw_g0_nc"),
    (549,  "R_AARCH64_TLSLE_ADD_TPREL_HI12",      "TPOFF + A",                   "hi12"),
    (550,  "R_AARCH64_TLSLE_ADD_TPREL_LO12",      "TPOFF + A",                   "lo12_checked"),
    (551,  "R_AARCH64_TLSLE_ADD_TPREL_LO12_NC",   "TPOFF + A",                   "lo12"),
    (552,  "R_AARCH64_TLSLE_LDST8_TPREL_LO12",    "TPOFF + A",                   "lo12_checked"),
    (553,  "R_AARCH64_TLSLE_LDST8_TPREL_LO12_NC", "TPOFF + A",                   "lo12"),
    (554,  "R_AARCH64_TLSLE_LDST16_TPREL_LO12",   "TPOFF + A",                   "lo12_16_checked"),
    (555,  "R_AARCH64_TLSLE_LDST16_TPREL_LO12_NC","TPOFF + A",                   "lo12_16"),
    (556,  "R_AARCH64_TLSLE_LDST32_TPREL_LO12",   "TPOFF + A",                   "lo12_32_checked"),
    (557,  "R_AARCH64_TLSLE_LDST32_TPREL_LO12_NC","TPOFF + A",                   "lo12_32"),
    (558,  "R_AARCH64_TLSLE_LDST64_TPREL_LO12",   "TPOFF + A",                   "lo12_64_checked"),
    (559,  "R_AARCH64_TLSLE_LDST64_TPREL_LO12_NC","TPOFF + A",                   "lo12_64"),
    (560,  "R_AARCH64_TLSDESC_LD_PREL19",         "TLSDESC + A - P",             "imm19", "desc_ld19"),
    (561,  "R_AARCH64_TLSDESC_ADR_PREL21",        "TLSDESC + A - P",             "adr", "desc_adr"),
    (562,  "R_AARCH64_TLSDESC_ADR_PAGE21",        "Page(TLSDESC + A) - Page(P)", "adrp", "desc_page"),
    (563,  "R_AARCH64_TLSDESC_LD64_LO12",         "Low(TLSDESC + A)",            "lo12_64", "desc_ld"),
    (564,  "R_AARCH64_TLSDESC_ADD_LO12",          "Low(TLSDESC + A)",            "lo12", "desc_add"),
    (565,  "R_AARCH64_TLSDESC_OFF_G1",            "TLSDESC + A - GOT",           "movs_g1", "desc_g1"),
    (566,  "R_AARCH64_TLSDESC_OFF_G0_NC",         "TLSDESC + A - GOT",           "movw_g0_nc", "desc_g0"),
    (567,  "R_AARCH64_TLSDESC_LDR",               "TLSCALL",                     "none", "desc_ldr"),
    (568,  "R_AARCH64_TLSDESC_ADD",               "TLSCALL",                     "none", "desc_nop"),
    (569,  "R_AARCH64_TLSDESC_CALL",              "TLSCALL",                     "none", "desc_nop"),
    (570,  "R_AARCH64_TLSLE_LDST128_TPREL_LO12",  "TPOFF + A",                   "lo12_128_checked"),
    (571,  "R_AARCH64_TLSLE_LDST128_TPREL_LO12_NC","TPOFF + A",                   "lo12_128"),
    (572,  "R_AARCH64_TLSLD_LDST128_DTPREL_LO12", "DTPOFF + A",                  "lo12_128_checked"),
    (573,  "R_AARCH64_TLSLD_LDST128_DTPREL_LO12_NC","DTPOFF + A",                  "lo12_128"),
    (1024, "R_AARCH64_COPY",                      "dynamic",                     "none"),
    (1025, "R_AARCH64_GLOB_DAT",                  "dynamic",                     "none"),
    (1026, "R_AARCH64_JUMP_SLOT",                 "dynamic",                     "none"),
    (1027, "R_AARCH64_RELATIVE",                  "dynamic",                     "none"),
    (1028, "R_AARCH64_TLS_DTPMOD",                "dynamic",                     "none"),
    (1029, "R_AARCH64_TLS_DTPREL",                "dynamic",                     "none"),
    (1030, "R_AARCH64_TLS_TPREL",                 "dynamic",                     "none"),
    (1031, "R_AARCH64_TLSDESC",                   "dynamic",                     "none"),
    (1032, "R_AARCH64_IRELATIVE",                 "dynamic",                     "none"),
)

SYMBOLIC = 257              # R_AARCH64_ABS64, the type that is a whole address

CONSTANTS = {
    "word_size": WORD,
    "got_header": GOT_HEADER,
    "got_reserved": 1,
    "no_plt_got": 1,
    "tlsdesc_size": 16,
    "dyn_symbolic": 257,
    "dyn_relative": 1027,
    "dyn_glob_dat": 1025,
    "dyn_jump_slot": 1026,
    "dyn_copy": 1024,
    "dyn_irelative": 1032,
    "dyn_dtpmod": 1028,
    "dyn_dtpoff": 1029,
    "dyn_tpoff": 1030,
    "dyn_tlsdesc": 1031,
}

# By number in _core.arch.aarch64. In an executable with fixed addresses the address of a function may be its
# PLT entry, so that only there entries need a landing pad.
PLT_STYLES = {"plain": 0, "bti": 1, "bti-pic": 2, "pac": 3, "bti-pac": 4, "bti-pac-pic": 5}

# GNU properties (aaelf64, "Program Property"): how the values of the inputs are merged.
PROPERTY_RANGES = [(0xC0000000, 0xC0000000, "and")]
PROPERTY_FEATURES = 0xC0000000      # GNU_PROPERTY_AARCH64_FEATURE_1_AND
FEATURE_BTI, FEATURE_PAC, FEATURE_GCS = 1, 2, 4

DT_AARCH64_BTI_PLT, DT_AARCH64_PAC_PLT, DT_AARCH64_VARIANT_PCS = 0x70000001, 0x70000003, 0x70000005
STO_AARCH64_VARIANT_PCS = 0x80
DT_AARCH64_MEMTAG_MODE, DT_AARCH64_MEMTAG_HEAP, DT_AARCH64_MEMTAG_STACK = 0x70000009, 0x7000000B, 0x7000000C


def plt_features(link):
    """(PLT entries start with a landing pad, they authenticate): the property of all inputs or -z force-bti, and
    -z pac-plt."""
    return bool(link.extra.get("features", 0) & FEATURE_BTI), bool(link.options.z_pac_plt)


def report_features(link):
    """Names the inputs without the properties that the command line asks for: -z bti-report, -z gcs-report."""
    options = link.options
    for report, wanted, bit, name, option in (
            ("bti-report", options.z_bti, FEATURE_BTI, "BTI", "-z force-bti"),
            ("gcs-report", options.z_gcs == "always", FEATURE_GCS, "GCS", "-z gcs")):
        level = options.z_reports.get(report, "warning" if wanted else "none")
        if level == "none":
            continue
        from mclink._core import files, notes
        say = link.diag.error if level == "error" else link.diag.warn
        for file in notes.files_without(link.tables, PROPERTY_FEATURES, bit):
            say(f"{files.file_name(link.tables, file)}: {name} is required by {option if wanted else '-z ' + report}, "
                "but this input object file lacks the necessary property note")


def change_features(link, properties):
    """What the command line adds to and takes from the merged property: {type: (size, value)}."""
    options = link.options
    value = properties.get(PROPERTY_FEATURES, (4, 0))[1]
    if options.relocatable:
        return
    if options.z_bti:
        value |= FEATURE_BTI
    if options.z_gcs == "always":
        value |= FEATURE_GCS
    elif options.z_gcs == "never":
        value &= ~FEATURE_GCS
    if value:
        properties[PROPERTY_FEATURES] = (4, value)
    else:
        properties.pop(PROPERTY_FEATURES, None)


def dynamic_tags(link):
    """Entries of .dynamic that tell the run-time linker of the PLT, and Android's of memory tagging."""
    from mclink import special
    from mclink._core import dynamic, symbols
    options = link.options
    tags = []
    if any(row[0] == special.PLT and row[3] for row in dynamic.specials(link.tables)):
        bti, pac = plt_features(link)
        if bti:
            tags.append((DT_AARCH64_BTI_PLT, 0))
        if pac:
            tags.append((DT_AARCH64_PAC_PLT, 0))
        if symbols.has_lazy_other(link.tables, STO_AARCH64_VARIANT_PCS):
            tags.append((DT_AARCH64_VARIANT_PCS, 0))
    if options.android_memtag_mode not in (None, "none"):
        tags += [(DT_AARCH64_MEMTAG_MODE, int(options.android_memtag_mode == "async")),
                 (DT_AARCH64_MEMTAG_HEAP, int(options.android_memtag_heap)),
                 (DT_AARCH64_MEMTAG_STACK, int(options.android_memtag_stack))]
    return tags


def extra_notes(link):
    """[(section, owner, type, description)]: .note.android.memtag, which bionic's start-up code reads (Android,
    "Memory Tagging Extension")."""
    options = link.options
    if options.android_memtag_mode in (None, "none"):
        return []
    level = 1 if options.android_memtag_mode == "async" else 2
    level |= 4 * bool(options.android_memtag_heap) | 8 * bool(options.android_memtag_stack)
    order = "big" if link.target.data.BIG_ENDIAN else "little"
    return [(".note.android.memtag", b"Android\0", 4, level.to_bytes(4, order))]


def choose_plt(link):
    """Number of the PLT style for this output."""
    bti, pac = plt_features(link)
    from mclink._core import symbols
    symbols.join_other(link.tables, STO_AARCH64_VARIANT_PCS)
    link.target.ops.set_constant("arch_flags", int(bti) | ERRATA(link))
    if link.options.fix_cortex_a53_843419 is not None:
        # What is bad depends on the offset in a page, which veneers then leave alone.
        link.target.ops.set_constant("thunk_page", 12)
    name = "-".join(["bti"] * bti + ["pac"] * pac) or "plain"
    if bti and (link.options.shared or link.options.pie):
        name += "-pic"
    return PLT_STYLES[name]


def THUNKS(link):
    """True when branches are looked at however small the image is: numbers that a script or --defsym gives may be
    anywhere."""
    return bool(link.options.defsym or link.script_path is not None or ERRATA(link))


def ERRATA(link):
    """Bits of the errata of Cortex-A53 that are to be worked around (_core.arch.aarch64, ARCH_*)."""
    return 2 * (link.options.fix_cortex_a53_843419 is not None) + 4 * bool(link.options.fix_cortex_a53_835769)


def tls_bases(start, size, align):
    """(TP, DTP): the addresses that TP and DTP offsets count from, for a TLS block at `start` of `size` bytes.
    Variant I: the thread pointer stands TCB_SIZE bytes, rounded up to the alignment, in front of the block."""
    return start - ((TCB_SIZE + align - 1) & -align), start


def tls_module_base(tp, dtp, shared):
    """Value of _TLS_MODULE_BASE_, whose descriptor may become its TP offset: the start of the block."""
    return dtp


def make_ops():
    """The compiled table of this target: _core.ops.OpsTable, PLT style 0 in force."""
    from mclink._core.arch.aarch64 import connect
    from mclink._core.ops import OpsTable
    fields = dict(FIELDS)
    for name, row in _INSTRUCTION.items():
        fields[name] = (FIELD_ARCH + row[0], *row[1:])
    table = OpsTable(compile_rows(RELOCS, SYMBOLIC, FAMILIES, fields), CONSTANTS)
    connect(table)
    return table
