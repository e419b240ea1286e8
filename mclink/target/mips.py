"""MIPS, 32 bits, O32, little-endian: "System V Application Binary Interface, MIPS RISC Processor Supplement" and its
GNU extensions (PLT and copy relocations, .MIPS.abiflags, DT_MIPS_RLD_MAP_REL, .MIPS.xhash).

Position-independent code has the address of its function in $25 and makes $gp of it, which leads to the GOT. That is
laid out by a pass of its own (mips_layout, _core.arch.mips_got): the run-time linker knows what its words are without
relocations, and the last symbols of .dynsym stand in their order. Functions that are only called have lazy stubs.
Code that is not position-independent calls imported functions through a PLT. R_MIPS_REL32 is the one dynamic
relocation of words: without a symbol it adds the load address. The thread pointer is 0x7000 bytes behind the start of
the static TLS block, offsets of __tls_get_addr count from 0x8000 bytes behind it.
"""

from mclink.target.reloc import FIELD_ARCH, FIELDS, compile_rows

NAME = "MIPS"
STYLE = "elf32ltsmip"       # default scripts of flavours that have none of their own
MACHINE = 8                 # EM_MIPS
ABI = "o32"
LARGE_COMMON, LARGE_FLAG = 0, 0 # no large code model
ELF_CLASS = 32
BIG_ENDIAN = False
RELA = False                # dynamic relocations keep their addends in the words
RELA_OBJECTS = False        # and so do those of objects
SPLIT_INFO = False          # r_info is as elsewhere
WORD = 4                    # bytes of an address
E_FLAGS = 0

IMAGE_BASE = 0x400000       # start of an executable that is not position independent
MAX_PAGE_SIZE = 0x10000
COMMON_PAGE_SIZE = 0x1000
DEFAULT_RELRO = False
DEFAULT_HASH_STYLE = "sysv" # .dynsym has the order of the GOT, which .gnu.hash cannot bear
HASH_STYLES = {}
SEPARATE_CODE = {}
TLS_VARIANT = 1             # TP in front of the block, but for its bias
GOT_IS_PLT = False          # _GLOBAL_OFFSET_TABLE_ is .got
OUTPUT_FORMAT = "elf32-tradlittlemips"
GP_OFFSET = 0x7ff0          # _gp - start of .got, so that signed 16 bits reach all of it
STATIC_TLS_IN_PIE = True    # DF_STATIC_TLS also where it says nothing new, as GNU ld has it
COUNT_RELATIVE = False      # DT_RELCOUNT would make glibc skip them
PLTGOT_TAG = 0x70000032     # DT_MIPS_PLTGOT; DT_PLTGOT is .got
DYNAMIC_READ_ONLY = True
WARN_EXECSTACK = False      # emulated floating point has long needed it
IPLT_IN_DYN = True
GOT_FLAGS, GOT_ALIGN = 0x10000000, 16   # SHF_MIPS_GPREL; the scripts put $gp behind an aligned address
SEGMENTS = ((".MIPS.abiflags", 0x70000003), (".reginfo", 0x70000000))   # PT_MIPS_ABIFLAGS, PT_MIPS_REGINFO

# flavour -> path of the run-time linker that is written without -dynamic-linker
INTERP = {
    "linux": "/lib/ld.so.1",
    "freebsd": "/libexec/ld-elf.so.1",
    "netbsd": "/libexec/ld.elf_so",
}

# Names of the linker itself on this machine, as LINKER_NAMES of graph.define: the first is a distance, no address.
LINKER_NAMES = {b"_gp_disp": (2, 0, 1), b"__gnu_local_gp": (2, 0), b"_gp": (2, 0)}

# What jumps, words and distances mean beyond mclink.layout.scan.DECISIONS: PLT entries have fixed addresses; a function
# computes $gp from its own address, whoever may preempt it.
_NO_PLT = ("apply", "apply", "error", "error", "plt")
_GP_RELATIVE = ("apply", "apply", "apply", "apply", "apply")
DECISIONS = {("call", "pie"): _NO_PLT, ("call", "shared"): _NO_PLT,
             ("gotrel", "pie"): _GP_RELATIVE, ("gotrel", "shared"): _GP_RELATIVE}

# Slots and instructions of their own, by the number under which _core.arch.mips knows them
FAMILIES = {
    "got16": 1, "call": 2, "got": 3, "page": 4, "ofst": 5, "gd": 6, "ld": 7, "ie": 8, "gprel": 9, "gpneg": 10,
    "half": 11, "jump": 12, "jalr": 13, "pc8": 14, "pc4": 15,
}

_ANY = FIELDS["w64"][2:]
_S16 = FIELDS["s16"][2:]
_JUMP = (-1 << 28, 1 << 28)


def _signed(bits):
    return -1 << bits - 1, (1 << bits - 1) - 1


# Fields of instructions: name -> (number of the writer, bytes, lowest, highest[, alignment]). c: the same of microMIPS,
# m: of MIPS16.
_INSTRUCTION = {
    "imm16": (0, 4, *_S16),
    "low16": (0, 4, *_ANY),
    "hi16": (1, 4, *_ANY),
    "higher": (2, 4, *_ANY),
    "highest": (3, 4, *_ANY),
    "jump": (4, 4, *_JUMP),
    "pc16": (5, 4, *_signed(18), 4),
    "pc21": (6, 4, *_signed(23), 4),
    "pc26": (7, 4, *_signed(28), 4),
    "pc18": (8, 4, *_signed(21), 8),
    "pc19": (9, 4, *_signed(21), 4),
    "c_imm16": (10, 4, *_S16),
    "c_low16": (10, 4, *_ANY),
    "c_hi16": (11, 4, *_ANY),
    "c_higher": (12, 4, *_ANY),
    "c_highest": (13, 4, *_ANY),
    "c_jump": (14, 4, *_JUMP),
    "c_pc16": (15, 4, *_signed(17), 2),
    "c_pc7": (16, 2, *_signed(8), 2),
    "c_pc10": (17, 2, *_signed(11), 2),
    "c_gprel7": (18, 2, 0, 0x1fc, 4),
    "c_pc23": (19, 4, *_signed(25), 4),
    "m_imm16": (20, 4, *_S16),
    "m_low16": (20, 4, *_ANY),
    "m_hi16": (21, 4, *_ANY),
    "m_jump": (22, 4, *_JUMP),
    "m_pc16": (23, 4, *_signed(17), 2),
    "shift6": (24, 4, *_ANY),
}

RELOCS = (
    # no   name                            formula             field       family
    (0,    "R_MIPS_NONE",                  "none",             "none"),
    (1,    "R_MIPS_16",                    "S + A",            "imm16"),
    (2,    "R_MIPS_32",                    "S + A",            "w32"),
    (3,    "R_MIPS_REL32",                 "S + A",            "w32"),
    (4,    "R_MIPS_26",                    "L + A, branch",    "jump",     "jump"),
    (5,    "R_MIPS_HI16",                  "S + A",            "hi16",     "half"),
    (6,    "R_MIPS_LO16",                  "Low(S + A)",       "low16",    "half"),
    (7,    "R_MIPS_GPREL16",               "S + A - GP",       "imm16",    "gprel"),
    (8,    "R_MIPS_LITERAL",               "S + A - GP",       "imm16",    "gprel"),
    (9,    "R_MIPS_GOT16",                 "G + GOT + A - GP", "imm16",    "got16"),
    (10,   "R_MIPS_PC16",                  "L + A - P",        "pc16",     "jump"),
    (11,   "R_MIPS_CALL16",                "G + GOT + A - GP", "imm16",    "call"),
    (12,   "R_MIPS_GPREL32",               "S + A - GP",       "w32",      "gprel"),
    (16,   "R_MIPS_SHIFT5",                "S + A",            "shift6"),
    (17,   "R_MIPS_SHIFT6",                "S + A",            "shift6"),
    (18,   "R_MIPS_64",                    "S + A",            "w64"),
    (19,   "R_MIPS_GOT_DISP",              "G + GOT + A - GP", "imm16",    "got"),
    (20,   "R_MIPS_GOT_PAGE",              "G + GOT + A - GP", "imm16",    "page"),
    (21,   "R_MIPS_GOT_OFST",              "G + GOT + A - GP", "imm16",    "ofst"),
    (22,   "R_MIPS_GOT_HI16",              "G + GOT + A - GP", "hi16",     "got"),
    (23,   "R_MIPS_GOT_LO16",              "G + GOT + A - GP", "low16",    "got"),
    (28,   "R_MIPS_HIGHER",                "S + A",            "higher"),
    (29,   "R_MIPS_HIGHEST",               "S + A",            "highest"),
    (30,   "R_MIPS_CALL_HI16",             "G + GOT + A - GP", "hi16",     "call"),
    (31,   "R_MIPS_CALL_LO16",             "G + GOT + A - GP", "low16",    "call"),
    (33,   "R_MIPS_REL16",                 "S + A",            "imm16"),
    (37,   "R_MIPS_JALR",                  "hint",             "none",     "jalr"),
    (38,   "R_MIPS_TLS_DTPMOD32",          "dynamic",          "none"),
    (39,   "R_MIPS_TLS_DTPREL32",          "DTPOFF + A",       "w32"),
    (40,   "R_MIPS_TLS_DTPMOD64",          "dynamic",          "none"),
    (41,   "R_MIPS_TLS_DTPREL64",          "DTPOFF + A",       "w64"),
    (42,   "R_MIPS_TLS_GD",                "GD + A - GP",      "imm16",    "gd"),
    (43,   "R_MIPS_TLS_LDM",               "LD + A - GP",      "imm16",    "ld"),
    (44,   "R_MIPS_TLS_DTPREL_HI16",       "DTPOFF + A",       "hi16"),
    (45,   "R_MIPS_TLS_DTPREL_LO16",       "DTPOFF + A",       "low16"),
    (46,   "R_MIPS_TLS_GOTTPREL",          "GOTTP + A - GP",   "imm16",    "ie"),
    (47,   "R_MIPS_TLS_TPREL32",           "TPOFF + A",        "w32"),
    (48,   "R_MIPS_TLS_TPREL64",           "TPOFF + A",        "w64"),
    (49,   "R_MIPS_TLS_TPREL_HI16",        "TPOFF + A",        "hi16"),
    (50,   "R_MIPS_TLS_TPREL_LO16",        "TPOFF + A",        "low16"),
    (51,   "R_MIPS_GLOB_DAT",              "dynamic",          "none"),
    (60,   "R_MIPS_PC21_S2",               "L + A - P",        "pc21",     "jump"),
    (61,   "R_MIPS_PC26_S2",               "L + A - P",        "pc26",     "jump"),
    (62,   "R_MIPS_PC18_S3",               "S + A - P",        "pc18",     "pc8"),
    (63,   "R_MIPS_PC19_S2",               "S + A - P",        "pc19"),
    (64,   "R_MIPS_PCHI16",                "S + A - P",        "hi16"),
    (65,   "R_MIPS_PCLO16",                "S + A - P",        "low16"),
    (100,  "R_MIPS16_26",                  "L + A, branch",    "m_jump",   "jump"),
    (101,  "R_MIPS16_GPREL",               "S + A - GP",       "m_imm16",  "gprel"),
    (102,  "R_MIPS16_GOT16",               "G + GOT + A - GP", "m_imm16",  "got16"),
    (103,  "R_MIPS16_CALL16",              "G + GOT + A - GP", "m_imm16",  "call"),
    (104,  "R_MIPS16_HI16",                "S + A",            "m_hi16",   "half"),
    (105,  "R_MIPS16_LO16",                "Low(S + A)",       "m_low16",  "half"),
    (106,  "R_MIPS16_TLS_GD",              "GD + A - GP",      "m_imm16",  "gd"),
    (107,  "R_MIPS16_TLS_LDM",             "LD + A - GP",      "m_imm16",  "ld"),
    (108,  "R_MIPS16_TLS_DTPREL_HI16",     "DTPOFF + A",       "m_hi16"),
    (109,  "R_MIPS16_TLS_DTPREL_LO16",     "DTPOFF + A",       "m_low16"),
    (110,  "R_MIPS16_TLS_GOTTPREL",        "GOTTP + A - GP",   "m_imm16",  "ie"),
    (111,  "R_MIPS16_TLS_TPREL_HI16",      "TPOFF + A",        "m_hi16"),
    (112,  "R_MIPS16_TLS_TPREL_LO16",      "TPOFF + A",        "m_low16"),
    (113,  "R_MIPS16_PC16_S1",             "L + A - P",        "m_pc16",   "jump"),
    (126,  "R_MIPS_COPY",                  "dynamic",          "none"),
    (127,  "R_MIPS_JUMP_SLOT",             "dynamic",          "none"),
    (133,  "R_MICROMIPS_26_S1",            "L + A, branch",    "c_jump",   "jump"),
    (134,  "R_MICROMIPS_HI16",             "S + A",            "c_hi16",   "half"),
    (135,  "R_MICROMIPS_LO16",             "Low(S + A)",       "c_low16",  "half"),
    (136,  "R_MICROMIPS_GPREL16",          "S + A - GP",       "c_imm16",  "gprel"),
    (137,  "R_MICROMIPS_LITERAL",          "S + A - GP",       "c_imm16",  "gprel"),
    (138,  "R_MICROMIPS_GOT16",            "G + GOT + A - GP", "c_imm16",  "got16"),
    (139,  "R_MICROMIPS_PC7_S1",           "L + A - P",        "c_pc7",    "jump"),
    (140,  "R_MICROMIPS_PC10_S1",          "L + A - P",        "c_pc10",   "jump"),
    (141,  "R_MICROMIPS_PC16_S1",          "L + A - P",        "c_pc16",   "jump"),
    (142,  "R_MICROMIPS_CALL16",           "G + GOT + A - GP", "c_imm16",  "call"),
    (145,  "R_MICROMIPS_GOT_DISP",         "G + GOT + A - GP", "c_imm16",  "got"),
    (146,  "R_MICROMIPS_GOT_PAGE",         "G + GOT + A - GP", "c_imm16",  "page"),
    (147,  "R_MICROMIPS_GOT_OFST",         "G + GOT + A - GP", "c_imm16",  "ofst"),
    (148,  "R_MICROMIPS_GOT_HI16",         "G + GOT + A - GP", "c_hi16",   "got"),
    (149,  "R_MICROMIPS_GOT_LO16",         "G + GOT + A - GP", "c_low16",  "got"),
    (151,  "R_MICROMIPS_HIGHER",           "S + A",            "c_higher"),
    (152,  "R_MICROMIPS_HIGHEST",          "S + A",            "c_highest"),
    (153,  "R_MICROMIPS_CALL_HI16",        "G + GOT + A - GP", "c_hi16",   "call"),
    (154,  "R_MICROMIPS_CALL_LO16",        "G + GOT + A - GP", "c_low16",  "call"),
    (156,  "R_MICROMIPS_JALR",             "none",             "none"),
    (157,  "R_MICROMIPS_HI0_LO16",         "S + A",            "c_imm16"),
    (162,  "R_MICROMIPS_TLS_GD",           "GD + A - GP",      "c_imm16",  "gd"),
    (163,  "R_MICROMIPS_TLS_LDM",          "LD + A - GP",      "c_imm16",  "ld"),
    (164,  "R_MICROMIPS_TLS_DTPREL_HI16",  "DTPOFF + A",       "c_hi16"),
    (165,  "R_MICROMIPS_TLS_DTPREL_LO16",  "DTPOFF + A",       "c_low16"),
    (166,  "R_MICROMIPS_TLS_GOTTPREL",     "GOTTP + A - GP",   "c_imm16",  "ie"),
    (169,  "R_MICROMIPS_TLS_TPREL_HI16",   "TPOFF + A",        "c_hi16"),
    (170,  "R_MICROMIPS_TLS_TPREL_LO16",   "TPOFF + A",        "c_low16"),
    (172,  "R_MICROMIPS_GPREL7_S2",        "S + A - GP",       "c_gprel7", "gprel"),
    (173,  "R_MICROMIPS_PC23_S2",          "S + A - P",        "c_pc23",   "pc4"),
    (248,  "R_MIPS_PC32",                  "S + A - P",        "w32"),
    (249,  "R_MIPS_EH",                    "G + GOT + A - GP", "w32",      "got"),
    (250,  "R_MIPS_GNU_REL16_S2",          "L + A - P",        "pc16",     "jump"),
    (253,  "R_MIPS_GNU_VTINHERIT",         "none",             "none"),
    (254,  "R_MIPS_GNU_VTENTRY",           "none",             "none"),
    # Composed, as _core.arch.mips numbers them: what compilers ask for to find $gp, and distances in 64 bits.
    (256,  "R_MIPS_GPREL16/R_MIPS_SUB/R_MIPS_HI16",  "S + A - GP", "hi16",  "gpneg"),
    (257,  "R_MIPS_GPREL16/R_MIPS_SUB/R_MIPS_LO16",  "S + A - GP", "low16", "gpneg"),
    (258,  "R_MIPS_GPREL32/R_MIPS_64",               "S + A - GP", "w64",   "gprel"),
    (259,  "R_MIPS_PC32/R_MIPS_64",                  "S + A - P",  "w64"),
    (260,  "R_MICROMIPS_GPREL16/SUB/HI16",           "S + A - GP", "c_hi16", "gpneg"),
    (261,  "R_MICROMIPS_GPREL16/SUB/LO16",           "S + A - GP", "c_low16", "gpneg"),
    # Parts of composed ones that are records of their own (N32).
    (530,  "R_MIPS_64",                    "none",             "none"),
    (536,  "R_MIPS_SUB",                   "none",             "none"),
    (517,  "R_MIPS_HI16",                  "none",             "none"),
    (518,  "R_MIPS_LO16",                  "none",             "none"),
    (646,  "R_MICROMIPS_HI16",             "none",             "none"),
    (647,  "R_MICROMIPS_LO16",             "none",             "none"),
    (662,  "R_MICROMIPS_SUB",              "none",             "none"),
)

# Types that fill a word and may become dynamic relocations
SYMBOLIC = (2, 3, 47)

CONSTANTS = {
    "word_size": WORD,
    "got_header": 2,
    "own_got": 1,
    "eh_pcrel": 1,
    "plt_other": 8,         # STO_MIPS_PLT
    "weak_words": 1,
    "no_plt_got": 1,
    "gotplt_is_plt": 1,
    "dyn_symbolic": 3,
    "dyn_relative": 3,
    "dyn_glob_dat": 51,
    "dyn_jump_slot": 127,
    "dyn_copy": 126,
    "dyn_dtpmod": 38,
    "dyn_dtpoff": 39,
    "dyn_tpoff": 47,
}


def merge_inputs(link):
    """One ABI for all inputs; their e_flags, ABI flags and register masks become one."""
    from mclink.target.mips_abi import merge_inputs
    merge_inputs(link)


def choose_plt(link):
    """Number of the PLT style in _core.arch.mips: by ABI, and by the encoding of JR."""
    return ("o32", "n32", "n64").index(link.target.data.ABI) + (3 if link.extra["mips_r6"] else 0)


def make_slot_sections(link):
    """Lazy stubs, and the word in which the run-time linker leaves what debuggers look for."""
    from mclink.target.mips_layout import make_slot_sections
    make_slot_sections(link)


ARCH_SECTIONS = (make_slot_sections,)


def collect_slots(link):
    """The slots of all GOTs; returns the number of dynamic relocations of the GOT."""
    from mclink.target.mips_layout import collect_slots
    return collect_slots(link)


def arrange_slots(link):
    """Offsets in .got, sizes, and the symbols that .dynsym lists last."""
    from mclink.target.mips_layout import place_slots
    place_slots(link)


def dynamic_tags(link):
    """DT_MIPS_*."""
    from mclink.target.mips_layout import dynamic_tags
    return dynamic_tags(link)


def image_values(link, got):
    """Fields of Columns.image that the machine sets itself: _gp, and .got."""
    from mclink.target.mips_layout import find_gp
    values = {"gp": find_gp(link, got)}
    if got is not None:
        values["got"] = got
    return values


def linker_values(link):
    """Values of LINKER_NAMES: name -> (address, output number)."""
    gp = link.image["gp"]
    number = next((section.number for section in link.outputs if section.name == ".got"), 0)
    return {b"_gp_disp": (0, 0), b"__gnu_local_gp": (gp, 0), b"_gp": (gp, number)}


def finish_values(link):
    """Pages of the GOTs and addresses of lazy stubs."""
    from mclink.target.mips_layout import finish_values
    finish_values(link)


def write_slots(link, outs):
    """.got, .MIPS.stubs and the register masks."""
    from mclink.target.mips_layout import write_slots
    write_slots(link, outs)


def THUNKS(link):
    """True when code that does not set $25 may call position-independent functions."""
    return link.extra["mips_la25"]


def ERRATA(link):
    """No errata of this family are worked around by patches."""
    return 0


def tls_bases(start, size, align):
    """(TP, DTP): the addresses that TP and DTP offsets count from, for a TLS block at `start` of `size` bytes."""
    return start + 0x7000, start + 0x8000


def tls_module_base(tp, dtp, shared):
    """Value of _TLS_MODULE_BASE_: the start of the block."""
    return dtp - 0x8000


def make_ops(symbolic=SYMBOLIC, constants=CONSTANTS, wrap32=True):
    """The compiled table of this target: _core.ops.OpsTable, PLT style 0 in force."""
    from mclink._core.arch.mips import connect_mips
    from mclink._core.ops import OpsTable
    fields = dict(FIELDS)
    for name, row in _INSTRUCTION.items():
        fields[name] = (FIELD_ARCH + row[0], *row[1:])
    table = OpsTable(compile_rows(RELOCS, symbolic, FAMILIES, fields, wrap32=wrap32), constants)
    connect_mips(table)
    return table
