"""64-bit Power, ELFv2 (little-endian): "64-Bit ELF V2 ABI Specification: Power Architecture".

Code reaches data through r2, the TOC pointer, which stands 0x8000 bytes into .got: what the ABI calls .TOC. A
function has two entries: the global one computes r2 from r12, the local one (st_other says how far behind) takes
the caller's. A call that may leave the module goes through a stub that saves r2, and the NOP behind the call
becomes the load that brings it back. .plt holds addresses only and takes no room in the file; .glink is the lazy
half of the PLT. The thread pointer (r13) stands 0x7000 bytes behind the start of the static TLS block, offsets of
__tls_get_addr count from 0x8000 bytes behind it. Relocations of halfwords name the halfword, not its instruction.
"""

from mclink.target.reloc import FIELD_ARCH, FIELDS, compile_rows

NAME = "PowerPC64"
STYLE = "elf64lppc"         # default scripts of flavours that have none of their own
MACHINE = 21                # EM_PPC64
LARGE_COMMON, LARGE_FLAG = 0, 0 # no large code model
ELF_CLASS = 64
BIG_ENDIAN = False
RELA = True                 # dynamic relocations carry addends
WORD = 8                    # bytes of an address
E_FLAGS = 2                 # the ABI's version
DEFAULT_ABI = 2             # of inputs that do not say

IMAGE_BASE = 0x10000000     # start of an executable that is not position independent
MAX_PAGE_SIZE = 0x10000
COMMON_PAGE_SIZE = 0x10000
DEFAULT_RELRO = True
DEFAULT_EXECSTACK = False   # objects that say nothing of the stack want no executable one
DEFAULT_HASH_STYLE = "both" # run-time linkers that know one of them ignore the other
SEPARATE_CODE = {}
TLS_VARIANT = 1             # TP in front of the block, but for its bias
GOT_HEADER = 2              # words of .plt that the run-time linker fills: resolver and link map
GOT_IS_PLT = False          # _GLOBAL_OFFSET_TABLE_ is .got
IPLT_IN_DYN = True          # the scripts put .rela.iplt behind .rela.dyn's other inputs
OUTPUT_FORMAT = "elf64-powerpcle"
TOC_BIAS = 0x8000           # .TOC. - start of .got, so that signed 16 bits reach all of it

# flavour -> path of the run-time linker that is written without -dynamic-linker
INTERP = {
    "linux": "/lib64/ld64.so.2",
    "freebsd": "/libexec/ld-elf.so.1",
}

# The linker's sections that have other names than elsewhere, and those without bytes in the file.
SLOT_NAMES = {".plt.sec": ".stub", ".plt": ".glink", ".got.plt": ".plt", ".iplt": ".stub", ".igot.plt": ".iplt"}
SLOT_NOBITS = (".got.plt", ".igot.plt")

# Names of the linker itself on this machine, as LINKER_NAMES of graph.define: name -> (visibility, type)
LINKER_NAMES = {b".TOC.": (2, 0)}

# Relaxations and instructions of their own, by the number under which _core.arch.ppc64 knows them
FAMILIES = {
    "call": 1, "call_notoc": 2, "local": 3, "call_14": 4,
    "gd_ha": 5, "gd_lo": 6, "gd_16": 7, "gd_34": 8, "gd_mark": 9,
    "ld_ha": 10, "ld_lo": 11, "ld_16": 12, "ld_34": 13, "ld_mark": 14,
    "ie_ha": 15, "ie_lo": 16, "ie_34": 17, "tls_mark": 18,
    "toc_ha": 19, "toc_lo": 20, "tp_ha": 21, "tp_lo": 22, "got_ha": 23, "got_lo": 24, "got_34": 25, "prefixed": 26,
    "plt_ha": 27, "plt_lo": 28, "plt_34": 29, "plt_seq": 30, "plt_call": 31, "plt_call_notoc": 32, "small": 33,
}

_ANY = FIELDS["w64"][2:]
_S32 = (-0x80000000, 0x7FFFFFFF)
_S32A = (-0x80008000, 0x7FFF7FFF)
_S34 = (-1 << 33, (1 << 33) - 1)

# Fields of instructions: name -> (id, bytes, lowest, highest[, alignment]). An "a" adjusts for the sign of the
# part below; "_nc" is not checked; ds: the low two bits belong to the instruction.
_INSTRUCTION = {
    "hi": (0, 2, *_S32),
    "hi_nc": (0, 2, *_ANY),
    "ha": (1, 2, *_S32A),
    "ha_nc": (1, 2, *_ANY),
    "ds": (2, 2, -0x8000, 0x7FFF, 4),
    "ds_nc": (2, 2, *_ANY, 4),
    "higher": (3, 2, *_ANY),
    "highera": (4, 2, *_ANY),
    "highest": (5, 2, *_ANY),
    "highesta": (6, 2, *_ANY),
    "li24": (7, 4, -0x2000000, 0x1FFFFFF, 4),
    "bd14": (8, 4, -0x8000, 0x7FFF, 4),
    "bd14_taken": (9, 4, -0x8000, 0x7FFF, 4),
    "bd14_not": (10, 4, -0x8000, 0x7FFF, 4),
    "dx16a": (11, 4, *_S32A),
    "d34": (12, 8, *_S34),
    "d34_nc": (12, 8, *_ANY),
    "d34_hi30": (13, 8, *_ANY),
    "d34_ha30": (14, 8, *_ANY),
    "d28": (12, 8, -1 << 27, (1 << 27) - 1),
    "higher34": (15, 2, *_ANY),
    "highera34": (16, 2, *_ANY),
    "highest34": (17, 2, *_ANY),
    "highesta34": (18, 2, *_ANY),
    "w30": (19, 4, -0x80000000, 0x7FFFFFFF, 4),
}

RELOCS = (
    # no   name                          formula             field       relax
    (0,    "R_PPC64_NONE",              "none",             "none"),
    (1,    "R_PPC64_ADDR32",            "S + A",            "x32"),
    (2,    "R_PPC64_ADDR24",            "S + A",            "li24"),
    (3,    "R_PPC64_ADDR16",            "S + A",            "s16"),
    (4,    "R_PPC64_ADDR16_LO",         "S + A",            "w16"),
    (5,    "R_PPC64_ADDR16_HI",         "S + A",            "hi"),
    (6,    "R_PPC64_ADDR16_HA",         "S + A",            "ha"),
    (7,    "R_PPC64_ADDR14",            "S + A",            "bd14"),
    (8,    "R_PPC64_ADDR14_BRTAKEN",    "S + A",            "bd14_taken"),
    (9,    "R_PPC64_ADDR14_BRNTAKEN",   "S + A",            "bd14_not"),
    (10,   "R_PPC64_REL24",             "L + A - P",        "li24",     "call"),
    (11,   "R_PPC64_REL14",             "L + A - P",        "bd14",     "call_14"),
    (12,   "R_PPC64_REL14_BRTAKEN",     "L + A - P",        "bd14_taken", "call_14"),
    (13,   "R_PPC64_REL14_BRNTAKEN",    "L + A - P",        "bd14_not", "call_14"),
    (14,   "R_PPC64_GOT16",             "G + GOT + A - GP", "s16",      "small"),
    (15,   "R_PPC64_GOT16_LO",          "G + GOT + A - GP", "w16",      "got_lo"),
    (16,   "R_PPC64_GOT16_HI",          "G + GOT + A - GP", "hi"),
    (17,   "R_PPC64_GOT16_HA",          "G + GOT + A - GP", "ha",       "got_ha"),
    (19,   "R_PPC64_COPY",              "dynamic",          "none"),
    (20,   "R_PPC64_GLOB_DAT",          "dynamic",          "none"),
    (21,   "R_PPC64_JMP_SLOT",          "dynamic",          "none"),
    (22,   "R_PPC64_RELATIVE",          "dynamic",          "none"),
    (24,   "R_PPC64_UADDR32",           "S + A",            "x32"),
    (25,   "R_PPC64_UADDR16",           "S + A",            "x16"),
    (26,   "R_PPC64_REL32",             "S + A - P",        "s32"),
    (29,   "R_PPC64_PLT16_LO",          "SLOT + A - GP",    "w16",      "plt_lo"),
    (30,   "R_PPC64_PLT16_HI",          "SLOT + A - GP",    "hi",       "plt_ha"),
    (31,   "R_PPC64_PLT16_HA",          "SLOT + A - GP",    "ha",       "plt_ha"),
    (37,   "R_PPC64_REL30",             "S + A - P",        "w30"),
    (38,   "R_PPC64_ADDR64",            "S + A",            "w64"),
    (39,   "R_PPC64_ADDR16_HIGHER",     "S + A",            "higher"),
    (40,   "R_PPC64_ADDR16_HIGHERA",    "S + A",            "highera"),
    (41,   "R_PPC64_ADDR16_HIGHEST",    "S + A",            "highest"),
    (42,   "R_PPC64_ADDR16_HIGHESTA",   "S + A",            "highesta"),
    (43,   "R_PPC64_UADDR64",           "S + A",            "w64"),
    (44,   "R_PPC64_REL64",             "S + A - P",        "w64"),
    (47,   "R_PPC64_TOC16",             "S + A - GP",       "s16",      "small"),
    (48,   "R_PPC64_TOC16_LO",          "S + A - GP",       "w16",      "toc_lo"),
    (49,   "R_PPC64_TOC16_HI",          "S + A - GP",       "hi"),
    (50,   "R_PPC64_TOC16_HA",          "S + A - GP",       "ha",       "toc_ha"),
    (51,   "R_PPC64_TOC",               "GP + A",           "w64"),
    (56,   "R_PPC64_ADDR16_DS",         "S + A",            "ds"),
    (57,   "R_PPC64_ADDR16_LO_DS",      "S + A",            "ds_nc"),
    (58,   "R_PPC64_GOT16_DS",          "G + GOT + A - GP", "ds",       "small"),
    (59,   "R_PPC64_GOT16_LO_DS",       "G + GOT + A - GP", "ds_nc",    "got_lo"),
    (60,   "R_PPC64_PLT16_LO_DS",       "SLOT + A - GP",    "ds_nc",    "plt_lo"),
    (63,   "R_PPC64_TOC16_DS",          "S + A - GP",       "ds",       "small"),
    (64,   "R_PPC64_TOC16_LO_DS",       "S + A - GP",       "ds_nc",    "toc_lo"),
    (67,   "R_PPC64_TLS",               "TLSCALL",          "none",     "tls_mark"),
    (68,   "R_PPC64_DTPMOD64",          "dynamic",          "none"),
    (69,   "R_PPC64_TPREL16",           "TPOFF + A",        "s16"),
    (70,   "R_PPC64_TPREL16_LO",        "TPOFF + A",        "w16",      "tp_lo"),
    (71,   "R_PPC64_TPREL16_HI",        "TPOFF + A",        "hi"),
    (72,   "R_PPC64_TPREL16_HA",        "TPOFF + A",        "ha",       "tp_ha"),
    (73,   "R_PPC64_TPREL64",           "TPOFF + A",        "w64"),
    (74,   "R_PPC64_DTPREL16",          "DTPOFF + A",       "s16"),
    (75,   "R_PPC64_DTPREL16_LO",       "DTPOFF + A",       "w16"),
    (76,   "R_PPC64_DTPREL16_HI",       "DTPOFF + A",       "hi"),
    (77,   "R_PPC64_DTPREL16_HA",       "DTPOFF + A",       "ha"),
    (78,   "R_PPC64_DTPREL64",          "DTPOFF + A",       "w64"),
    (79,   "R_PPC64_GOT_TLSGD16",       "GD + A - GP",      "s16",      "gd_16"),
    (80,   "R_PPC64_GOT_TLSGD16_LO",    "GD + A - GP",      "w16",      "gd_lo"),
    (81,   "R_PPC64_GOT_TLSGD16_HI",    "GD + A - GP",      "hi",       "gd_ha"),
    (82,   "R_PPC64_GOT_TLSGD16_HA",    "GD + A - GP",      "ha",       "gd_ha"),
    (83,   "R_PPC64_GOT_TLSLD16",       "LD + A - GP",      "s16",      "ld_16"),
    (84,   "R_PPC64_GOT_TLSLD16_LO",    "LD + A - GP",      "w16",      "ld_lo"),
    (85,   "R_PPC64_GOT_TLSLD16_HI",    "LD + A - GP",      "hi",       "ld_ha"),
    (86,   "R_PPC64_GOT_TLSLD16_HA",    "LD + A - GP",      "ha",       "ld_ha"),
    (87,   "R_PPC64_GOT_TPREL16_DS",    "GOTTP + A - GP",   "ds",       "ie_lo"),
    (88,   "R_PPC64_GOT_TPREL16_LO_DS", "GOTTP + A - GP",   "ds_nc",    "ie_lo"),
    (89,   "R_PPC64_GOT_TPREL16_HI",    "GOTTP + A - GP",   "hi",       "ie_ha"),
    (90,   "R_PPC64_GOT_TPREL16_HA",    "GOTTP + A - GP",   "ha",       "ie_ha"),
    (91,   "R_PPC64_GOT_DTPREL16_DS",   "GOTDTP + A - GP",  "ds",       "small"),
    (92,   "R_PPC64_GOT_DTPREL16_LO_DS", "GOTDTP + A - GP", "ds_nc"),
    (93,   "R_PPC64_GOT_DTPREL16_HI",   "GOTDTP + A - GP",  "hi"),
    (94,   "R_PPC64_GOT_DTPREL16_HA",   "GOTDTP + A - GP",  "ha"),
    (95,   "R_PPC64_TPREL16_DS",        "TPOFF + A",        "ds"),
    (96,   "R_PPC64_TPREL16_LO_DS",     "TPOFF + A",        "ds_nc",    "tp_lo"),
    (97,   "R_PPC64_TPREL16_HIGHER",    "TPOFF + A",        "higher"),
    (98,   "R_PPC64_TPREL16_HIGHERA",   "TPOFF + A",        "highera"),
    (99,   "R_PPC64_TPREL16_HIGHEST",   "TPOFF + A",        "highest"),
    (100,  "R_PPC64_TPREL16_HIGHESTA",  "TPOFF + A",        "highesta"),
    (101,  "R_PPC64_DTPREL16_DS",       "DTPOFF + A",       "ds"),
    (102,  "R_PPC64_DTPREL16_LO_DS",    "DTPOFF + A",       "ds_nc"),
    (103,  "R_PPC64_DTPREL16_HIGHER",   "DTPOFF + A",       "higher"),
    (104,  "R_PPC64_DTPREL16_HIGHERA",  "DTPOFF + A",       "highera"),
    (105,  "R_PPC64_DTPREL16_HIGHEST",  "DTPOFF + A",       "highest"),
    (106,  "R_PPC64_DTPREL16_HIGHESTA", "DTPOFF + A",       "highesta"),
    (107,  "R_PPC64_TLSGD",             "TLSCALL",          "none",     "gd_mark"),
    (108,  "R_PPC64_TLSLD",             "TLSCALL",          "none",     "ld_mark"),
    (109,  "R_PPC64_TOCSAVE",           "none",             "none"),
    (110,  "R_PPC64_ADDR16_HIGH",       "S + A",            "hi_nc"),
    (111,  "R_PPC64_ADDR16_HIGHA",      "S + A",            "ha_nc"),
    (112,  "R_PPC64_TPREL16_HIGH",      "TPOFF + A",        "hi_nc"),
    (113,  "R_PPC64_TPREL16_HIGHA",     "TPOFF + A",        "ha_nc"),
    (114,  "R_PPC64_DTPREL16_HIGH",     "DTPOFF + A",       "hi_nc"),
    (115,  "R_PPC64_DTPREL16_HIGHA",    "DTPOFF + A",       "ha_nc"),
    (116,  "R_PPC64_REL24_NOTOC",       "L + A - P",        "li24",     "call_notoc"),
    (117,  "R_PPC64_ADDR64_LOCAL",      "S + A",            "w64",      "local"),
    (118,  "R_PPC64_ENTRY",             "none",             "none"),
    (119,  "R_PPC64_PLTSEQ",            "SLOTCALL",         "none",     "plt_seq"),
    (120,  "R_PPC64_PLTCALL",           "SLOTCALL, branch", "li24",     "plt_call"),
    (121,  "R_PPC64_PLTSEQ_NOTOC",      "SLOTCALL",         "none",     "plt_seq"),
    (122,  "R_PPC64_PLTCALL_NOTOC",     "SLOTCALL, branch", "li24",     "plt_call_notoc"),
    (123,  "R_PPC64_PCREL_OPT",         "none",             "none"),
    (124,  "R_PPC64_REL24_P9NOTOC",     "L + A - P",        "li24",     "call_notoc"),
    (128,  "R_PPC64_D34",               "S + A",            "d34"),
    (129,  "R_PPC64_D34_LO",            "S + A",            "d34_nc"),
    (130,  "R_PPC64_D34_HI30",          "S + A",            "d34_hi30"),
    (131,  "R_PPC64_D34_HA30",          "S + A",            "d34_ha30"),
    (132,  "R_PPC64_PCREL34",           "S + A - P",        "d34",      "prefixed"),
    (133,  "R_PPC64_GOT_PCREL34",       "G + GOT + A - P",  "d34",      "got_34"),
    (134,  "R_PPC64_PLT_PCREL34",       "SLOT + A - P",     "d34",      "plt_34"),
    (135,  "R_PPC64_PLT_PCREL34_NOTOC", "SLOT + A - P",     "d34",      "plt_34"),
    (136,  "R_PPC64_ADDR16_HIGHER34",   "S + A",            "higher34"),
    (137,  "R_PPC64_ADDR16_HIGHERA34",  "S + A",            "highera34"),
    (138,  "R_PPC64_ADDR16_HIGHEST34",  "S + A",            "highest34"),
    (139,  "R_PPC64_ADDR16_HIGHESTA34", "S + A",            "highesta34"),
    (140,  "R_PPC64_REL16_HIGHER34",    "S + A - P",        "higher34"),
    (141,  "R_PPC64_REL16_HIGHERA34",   "S + A - P",        "highera34"),
    (142,  "R_PPC64_REL16_HIGHEST34",   "S + A - P",        "highest34"),
    (143,  "R_PPC64_REL16_HIGHESTA34",  "S + A - P",        "highesta34"),
    (144,  "R_PPC64_D28",               "S + A",            "d28"),
    (145,  "R_PPC64_PCREL28",           "S + A - P",        "d28"),
    (146,  "R_PPC64_TPREL34",           "TPOFF + A",        "d34"),
    (147,  "R_PPC64_DTPREL34",          "DTPOFF + A",       "d34"),
    (148,  "R_PPC64_GOT_TLSGD_PCREL34", "GD + A - P",       "d34",      "gd_34"),
    (149,  "R_PPC64_GOT_TLSLD_PCREL34", "LD + A - P",       "d34",      "ld_34"),
    (150,  "R_PPC64_GOT_TPREL_PCREL34", "GOTTP + A - P",    "d34",      "ie_34"),
    (151,  "R_PPC64_GOT_DTPREL_PCREL34", "GOTDTP + A - P",  "d34"),
    (240,  "R_PPC64_REL16_HIGH",        "S + A - P",        "hi_nc"),
    (241,  "R_PPC64_REL16_HIGHA",       "S + A - P",        "ha_nc"),
    (242,  "R_PPC64_REL16_HIGHER",      "S + A - P",        "higher"),
    (243,  "R_PPC64_REL16_HIGHERA",     "S + A - P",        "highera"),
    (244,  "R_PPC64_REL16_HIGHEST",     "S + A - P",        "highest"),
    (245,  "R_PPC64_REL16_HIGHESTA",    "S + A - P",        "highesta"),
    (246,  "R_PPC64_REL16DX_HA",        "S + A - P",        "dx16a"),
    (247,  "R_PPC64_JMP_IREL",          "dynamic",          "none"),
    (248,  "R_PPC64_IRELATIVE",         "dynamic",          "none"),
    (249,  "R_PPC64_REL16",             "S + A - P",        "s16"),
    (250,  "R_PPC64_REL16_LO",          "S + A - P",        "w16"),
    (251,  "R_PPC64_REL16_HI",          "S + A - P",        "hi"),
    (252,  "R_PPC64_REL16_HA",          "S + A - P",        "ha"),
    (253,  "R_PPC64_GNU_VTINHERIT",     "none",             "none"),
    (254,  "R_PPC64_GNU_VTENTRY",       "none",             "none"),
)

SYMBOLIC = (38, 51, 73)     # R_PPC64_ADDR64, TOC and TPREL64, the types that fill a word

# Ops.arch_flags and bits of Columns.needs, as in _core.arch.ppc64
ARCH_TOC, ARCH_INLINE, ARCH_P10, ARCH_P9, ARCH_PCREL = 1, 2, 4, 8, 16
NEEDS_THUNKS, NEEDS_PREFIXED, NEEDS_SMALL = 0x10000, 0x20000, 0x40000

CONSTANTS = {
    "word_size": WORD,
    "got_header": GOT_HEADER,
    "got_reserved": 1,
    "got_first_gp": 1,
    "weak_words": 1,
    "no_plt_got": 1,
    "gotplt_is_plt": 1,
    "tlsdesc_size": 8,          # of a DTP offset: there are no descriptors
    "dyn_symbolic": 38,
    "dyn_relative": 22,
    "dyn_glob_dat": 20,
    "dyn_jump_slot": 21,
    "dyn_copy": 19,
    "dyn_irelative": 248,
    "dyn_jump_irelative": 247,
    "dyn_dtpmod": 68,
    "dyn_dtpoff": 78,
    "dyn_tpoff": 73,
}


def choose_plt(link):
    """Number of the PLT style in _core.arch.ppc64: 0 is ELFv2's, 1 ELFv1's, whose slots are descriptors."""
    options = link.options
    # The run-time linker then turns pairs into offsets from the thread pointer.
    link.target.ops.set_constant("pair_relocated", uses_tls_shortcut(link))
    stubs = options.power10_stubs
    link.target.ops.set_constant("arch_flags", (ARCH_TOC if options.toc_optimize else 0)
                                 | (ARCH_INLINE if options.inline_optimize else 0)
                                 | (ARCH_PCREL if options.pcrel_optimize else 0)
                                 | (ARCH_P10 if stubs == "yes" else ARCH_P9 if stubs == "no" else 0))
    if link.extra["ppc64_abi"] == 1:
        for name, value in (("slot_size", 24), ("got_header", 3)):
            link.target.ops.set_constant(name, value)
        return 1
    return 0


DT_PPC64_GLINK, DT_PPC64_OPT = 0x70000000, 0x70000003
OPT_TLS, OPT_MULTI_TOC = 1, 2
TLS_SHORTCUT = b"__tls_get_addr_opt"
G_FORCED_LOCAL, G_REF_REGULAR = 128, 256


def merge_inputs(link):
    """All inputs are of one ABI (e_flags); those that do not say go with the others. Their attributes become one."""
    from mclink.diag import LinkError
    from mclink._core import files
    chosen = None
    for path, flags in files.header_flags(link.tables, link.target.data.MACHINE):
        if flags & ~3:
            raise LinkError(f"{path}: unknown e_flags {flags:#x}")
        if flags == 0:
            continue
        if chosen is None:
            chosen = flags, path
        elif chosen[0] != flags:
            raise LinkError(f"{path}: ELFv{flags} ABI is not compatible with the ELFv{chosen[0]} ABI of {chosen[1]}")
    abi = chosen[0] if chosen else link.target.data.DEFAULT_ABI
    if abi == 1 and not link.target.data.BIG_ENDIAN:
        raise LinkError("little-endian objects of the ELFv1 ABI are not supported")
    link.extra["ppc64_abi"] = abi
    from mclink.target.ppc64_attributes import merge_attributes
    merge_attributes(link)
    link.image["e_flags"] = abi if chosen else 0
    if abi == 1:
        link.extra["descriptors"] = link.target.data.DESCRIPTORS


def drop_records(link):
    """.opd has descriptors of the functions that are in the output, unless --no-opd-optimize. Names of ELFv1's code are
    bound here as well: `.name` must not be asked of the run-time linker."""
    options = link.options
    if link.extra["ppc64_abi"] == 1 and (options.opd_optimize or options.shared):
        from mclink._core.arch import ppc64_records
        if options.shared:
            ppc64_records.protect_code(link.tables)
        if options.opd_optimize:
            ppc64_records.drop_descriptors(link.tables)


def make_save_functions(link):
    """.sfpr, when something calls the functions in it, unless --no-save-restore-funcs."""
    if link.options.save_restore_funcs is False:
        return
    from mclink.target.ppc64_save import make_save_functions
    make_save_functions(link)


ARCH_SECTIONS = (make_save_functions,)


# .eh_frame of .glink and of the call stubs. The CIE: version 1, "zR", code alignment 4, data alignment -8, return
# address in LR (65), PC-relative sdata4 pointers; CFA = r1. Padded, so that FDEs end where the next section may start.
PLT_EH_CIE = bytes((
    20, 0, 0, 0, 0, 0, 0, 0, 1, 0x7A, 0x52, 0, 4, 0x78, 65, 1, 0x1B,
    0x0C, 1, 0, 0, 0, 0, 0))


def plt_eh_program(lazy, split, link):
    """Call-frame instructions of the FDE of a PLT section: in the header of .glink LR is in another register for a
    while (_core.arch.ppc64_stubs). Call stubs leave it alone."""
    if not lazy:
        return b""
    register, restored = (12, 3) if link.extra["ppc64_abi"] == 1 else (0, 4)
    return bytes((
        0x40 | 4,               # DW_CFA_advance_loc 16
        0x09, 65, register,     # DW_CFA_register
        0x40 | restored,        # DW_CFA_advance_loc 12 or 16
        0x06, 65))              # DW_CFA_restore_extended


def dynamic_tags(link):
    """DT_PPC64_GLINK: 32 bytes in front of the first lazy entry, as the run-time linker wants it. DT_PPC64_OPT:
    what calls of __tls_get_addr expect."""
    from mclink import special
    from mclink._core import dynamic
    tags = []
    if dynamic.get_size(link.tables, special.PLT_LAZY):
        header = link.target.ops.sizes()["header"]

        def glink():
            return next(row[2] for row in dynamic.specials(link.tables) if row[0] == special.PLT_LAZY) + header - 32
        tags.append((DT_PPC64_GLINK, glink))
    bits = (OPT_TLS if uses_tls_shortcut(link) else 0) | (OPT_MULTI_TOC if "tocs" in link.extra else 0)
    if bits or link.extra["ppc64_abi"] != 1:
        tags.append((DT_PPC64_OPT, bits))
    return tags


def arrange_slots(link):
    """Words of .toc that nothing needs any longer go. Several TOCs, when code that has 16 bits for offsets from its TOC pointer does not reach all of one."""
    from mclink._core import join, scan, symbols
    options = link.options
    if options.toc_optimize and link.script_path is None and not options.section_start and not options.segment_start:
        from mclink._core.arch import ppc64_records
        if ppc64_records.image_size(link.tables) < 1 << 30:
            ppc64_records.drop_words(link.tables)
    if not link.options.multi_toc or not scan.needs(link.tables) & NEEDS_SMALL:
        return
    from mclink._core.arch import ppc64_toc
    if not ppc64_toc.exceeds(link.tables):
        return
    tocs = ppc64_toc.Tocs(link.tables)
    count = tocs.split()
    if count < 2:
        return
    link.extra["tocs"] = tocs
    gids = []
    for number in range(1, count):
        name = b".TOC.%d" % number
        gid = link.extra["linker_names"][name] = join.intern(link.tables, name)
        symbols.define(link.tables, gid, 2, 0, 0, 0, G_FORCED_LOCAL)
        gids.append(gid)
    tocs.rename(symbols.lookup(link.tables, b".TOC."), gids)


def prepare_layout(link):
    """The GOT of each TOC stands among its .toc sections."""
    tocs = link.extra.get("tocs")
    if tocs is None:
        return
    from mclink._core import load
    from mclink.context import Run
    from mclink.special import GOT
    rule, output = load.fragment(link.tables, load.special(link.tables, GOT))[7:9]
    points = [(rule, position, frag) for position, frag in tocs.places(link.members.members(rule))]
    tocs.adopt(rule, output)
    for item in link.outputs[output - 1].statements:
        if type(item) is Run and item.number == rule:
            item.count += len(points)
    link.members.insert(points)


def image_values(link, got):
    """Fields of Columns.image that the machine sets itself: .TOC., from which the ABI's GOT offsets count too.

    got: address of .got, or None without one; then the first of GNU ld's other choices."""
    start = got
    if start is None:
        by_name = {section.name: section for section in link.outputs}
        for name in (".got", ".toc", ".tocbss", ".plt"):
            if name in by_name:
                start = by_name[name].address
                break
        else:
            start = 0
    if "tocs" in link.extra:
        link.extra["toc_pointers"] = link.extra["tocs"].finish(start + TOC_BIAS)
    return {"gp": start + TOC_BIAS, "got": start + TOC_BIAS}


def linker_values(link):
    """Values of LINKER_NAMES: name -> (address, output number)."""
    number = next((section.number for section in link.outputs if section.name == ".got"),
                  link.outputs[0].number if link.outputs else 0)
    values = {b".TOC.": (link.image["gp"], number)}
    for toc, address in enumerate(link.extra.get("toc_pointers", ()), 1):
        values[b".TOC.%d" % toc] = address, number
    return values


def THUNKS(link):
    """True when branches are looked at however small the image is: numbers of a script or --defsym may be anywhere."""
    from mclink._core import scan
    return bool(link.options.defsym or link.script_path is not None or scan.needs(link.tables) & NEEDS_THUNKS
                or uses_tls_shortcut(link) or "tocs" in link.extra)


def better_names(link):
    """The function that knows pairs whose offset counts from the thread pointer stands for the one that does not."""
    if link.options.tls_get_addr_optimize is False or link.options.relocatable:
        return ()
    return (b"__tls_get_addr", TLS_SHORTCUT),


def uses_tls_shortcut(link):
    """Whether calls of that function are there."""
    from mclink._core import symbols
    gid = symbols.lookup(link.tables, TLS_SHORTCUT)
    return bool(gid) and bool(symbols.flags(link.tables, gid) & G_REF_REGULAR)


def ERRATA(link):
    """No errata of this family are worked around by patches."""
    return 0


def tls_bases(start, size, align):
    """(TP, DTP): the addresses that TP and DTP offsets count from, for a TLS block at `start` of `size` bytes."""
    return start + 0x7000, start + 0x8000


def tls_module_base(tp, dtp, shared):
    """Value of _TLS_MODULE_BASE_: the start of the block."""
    return dtp - 0x8000


def make_ops(big_endian=False):
    """The compiled table of this target: _core.ops.OpsTable, PLT style 0 in force."""
    from mclink._core.arch.ppc64 import connect
    from mclink._core.ops import OpsTable
    from mclink.diag import add_faults
    add_faults({112: ("no-toc-restore", "error", "{place}: call to {symbol} lacks nop, can't restore toc; "
                      "recompile with -fPIC")})
    fields = dict(FIELDS)
    for name, row in _INSTRUCTION.items():
        fields[name] = (FIELD_ARCH + row[0], *row[1:])
    table = OpsTable(compile_rows(RELOCS, SYMBOLIC, FAMILIES, fields), CONSTANTS)
    connect(table, big_endian)
    return table
