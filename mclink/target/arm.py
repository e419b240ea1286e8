"""ARM: ELF for the Arm Architecture (AAELF32) with the EABI, version 5; little-endian.

ELF32 with REL: addends stand in the fields, and in instructions they have the unit of the formula. Bit 0 of a code
address says which instruction set is there (1: Thumb); function symbols carry it in their values, so that
"(S + A) | T" of AAELF32 is S + A here. PC reads two instructions ahead, which addends account for. The thread pointer points
at an 8-byte TCB in front of the static TLS block (variant I). Stacks are unwound with .ARM.exidx, a table sorted by
address like the code.
"""

from mclink.target.reloc import FIELD_ARCH, FIELDS, compile_rows

NAME = "ARM"
STYLE = "armelf_linux_eabi"
MACHINE = 40                # EM_ARM
LARGE_COMMON, LARGE_FLAG = 0, 0 # no large code model
ELF_CLASS = 32
BIG_ENDIAN = False
RELA = False
WORD = 4
E_FLAGS = 0x05000000        # EF_ARM_EABI_VER5; the float ABI comes from the inputs

IMAGE_BASE = 0x10000
MAX_PAGE_SIZE = 0x1000
COMMON_PAGE_SIZE = 0x1000
DEFAULT_RELRO = True
DEFAULT_HASH_STYLE = "both"
SEPARATE_CODE = {}
CODE_BITS = 1               # bits of a function symbol's value that are no part of the address
TLS_VARIANT = 1
TCB_SIZE = 8
GOT_HEADER = 3
GOT_IS_PLT = True
PLT_ENTSIZE = 4             # sh_entsize, as GNU ld has it
WEAK_IN_DYNSYM = True       # undefined weak names that libraries refer to too are listed, as in GNU ld
IPLT_IN_DYN = True          # relocations of IFUNCs stand in .rel.dyn
OUTPUT_FORMAT = "elf32-littlearm"

INTERP = {
    "linux": "/usr/lib/ld.so.1",
    "freebsd": "/libexec/ld-elf.so.1",
    "netbsd": "/libexec/ld.elf_so",
}

# What is no plain formula, by the number under which _core.arch.arm knows it.
FAMILIES = {"branch": 1, "alu": 2, "load": 3, "aligned": 4, "desc": 5, "desc_call": 6, "piece": 7,
            "v4bx": 8, "noi": 9, "desc_seq": 10, "v4bx_veneer": 11, "base": 12}

_ANY = (-(1 << 63), (1 << 63) - 1)

# Instruction fields: (number, bytes, lowest, highest, multiple of)
FIELDS = dict(
    FIELDS,
    a24=(FIELD_ARCH + 0, 4, -0x2000000, 0x1FFFFFF),
    t24=(FIELD_ARCH + 1, 4, -0x1000000, 0xFFFFFF),
    t19=(FIELD_ARCH + 2, 4, -0x100000, 0xFFFFF),
    t11=(FIELD_ARCH + 3, 2, -0x800, 0x7FF),
    t8=(FIELD_ARCH + 4, 2, -0x100, 0xFF),
    t6=(FIELD_ARCH + 5, 2, 0, 0x7F),
    prel31=(FIELD_ARCH + 6, 4, -0x40000000, 0x3FFFFFFF),
    movw=(FIELD_ARCH + 7, 4, *_ANY),
    movw_u=(FIELD_ARCH + 7, 4, 0, 0xFFFF),
    movt=(FIELD_ARCH + 8, 4, *_ANY),
    t_movw=(FIELD_ARCH + 9, 4, *_ANY),
    t_movw_u=(FIELD_ARCH + 9, 4, 0, 0xFFFF),
    t_movt=(FIELD_ARCH + 10, 4, *_ANY),
    abs12=(FIELD_ARCH + 11, 4, -0x800, 0xFFF),
    ldr=(FIELD_ARCH + 12, 4, -0xFFF, 0xFFF),
    ldrs=(FIELD_ARCH + 13, 4, -0xFF, 0xFF),
    ldc=(FIELD_ARCH + 14, 4, -0x3FC, 0x3FC, 4),
    alu=(FIELD_ARCH + 15, 4, *_ANY),
    abs5=(FIELD_ARCH + 16, 2, 0, 0x7F, 4),
    pc8=(FIELD_ARCH + 17, 2, 0, 0x3FF),
    pc12=(FIELD_ARCH + 18, 4, -0xFFF, 0xFFF),
    adr=(FIELD_ARCH + 19, 4, -0xFFF, 0xFFF),
    byte0=(FIELD_ARCH + 20, 2, *_ANY),
    byte1=(FIELD_ARCH + 21, 2, *_ANY),
    byte2=(FIELD_ARCH + 22, 2, *_ANY),
    byte3=(FIELD_ARCH + 23, 2, *_ANY),
    bf16=(FIELD_ARCH + 24, 4, -0x10000, 0xFFFF),
    bf12=(FIELD_ARCH + 25, 4, -0x1000, 0xFFF),
    insn=(0, 4, *_ANY),
    insn16=(0, 2, *_ANY),
    jump=(FIELD_ARCH + 27, 4, -0x2000000, 0x1FFFFFF),
    bf18=(FIELD_ARCH + 26, 4, -0x40000, 0x3FFFF),
)

RELOCS = (
    # no  name                        formula              field    relax
    (0,   "R_ARM_NONE",               "depends",           "none"),
    (1,   "R_ARM_PC24",               "L + A - P",         "a24",   "branch"),
    (2,   "R_ARM_ABS32",              "S + A",             "w32"),
    (3,   "R_ARM_REL32",              "S + A - P",         "w32"),
    (4,   "R_ARM_LDR_PC_G0",          "S + A - P",         "ldr",   "load"),
    (5,   "R_ARM_ABS16",              "S + A",             "x16"),
    (6,   "R_ARM_ABS12",              "S + A",             "abs12"),
    (7,   "R_ARM_THM_ABS5",           "S + A",             "abs5"),
    (8,   "R_ARM_ABS8",               "S + A",             "x8"),
    (9,   "R_ARM_SBREL32",            "S + A - GP",        "w32", "base"),
    (10,  "R_ARM_THM_CALL",           "L + A - P",         "t24",   "branch"),
    (11,  "R_ARM_THM_PC8",            "S + A - P",         "pc8",   "aligned"),
    (12,  "R_ARM_BREL_ADJ",           "dynamic",           "none"),
    (13,  "R_ARM_TLS_DESC",           "dynamic",           "none"),
    (16,  "R_ARM_THM_XPC22",          "L + A - P",         "t24",   "branch"),
    (17,  "R_ARM_TLS_DTPMOD32",       "dynamic",           "none"),
    (18,  "R_ARM_TLS_DTPOFF32",       "DTPOFF + A",        "w32"),
    (19,  "R_ARM_TLS_TPOFF32",        "TPOFF + A",         "w32"),
    (20,  "R_ARM_COPY",               "dynamic",           "none"),
    (21,  "R_ARM_GLOB_DAT",           "dynamic",           "none"),
    (22,  "R_ARM_JUMP_SLOT",          "dynamic",           "none"),
    (23,  "R_ARM_RELATIVE",           "dynamic",           "none"),
    (24,  "R_ARM_GOTOFF32",           "S + A - GOT",       "w32"),
    (25,  "R_ARM_BASE_PREL",          "GOT + A - P",       "w32"),
    (26,  "R_ARM_GOT_BREL",           "G + A",             "w32"),
    (27,  "R_ARM_PLT32",              "L + A - P",         "a24",   "branch"),
    (28,  "R_ARM_CALL",               "L + A - P",         "a24",   "branch"),
    (29,  "R_ARM_JUMP24",             "L + A - P",         "a24",   "branch"),
    (30,  "R_ARM_THM_JUMP24",         "L + A - P",         "t24",   "branch"),
    (31,  "R_ARM_BASE_ABS",           "GOT + A",           "w32"),
    (38,  "R_ARM_TARGET1",            "S + A",             "w32"),
    (39,  "R_ARM_SBREL31",            "S + A - GP",        "prel31", "base"),
    (40,  "R_ARM_V4BX",               "none",              "none"),
    (41,  "R_ARM_TARGET2",            "G + GOT + A - P",   "w32"),
    (42,  "R_ARM_PREL31",             "L + A - P",         "prel31"),
    (43,  "R_ARM_MOVW_ABS_NC",        "S + A",             "movw"),
    (44,  "R_ARM_MOVT_ABS",           "S + A",             "movt"),
    (45,  "R_ARM_MOVW_PREL_NC",       "S + A - P",         "movw"),
    (46,  "R_ARM_MOVT_PREL",          "S + A - P",         "movt"),
    (47,  "R_ARM_THM_MOVW_ABS_NC",    "S + A",             "t_movw"),
    (48,  "R_ARM_THM_MOVT_ABS",       "S + A",             "t_movt"),
    (49,  "R_ARM_THM_MOVW_PREL_NC",   "S + A - P",         "t_movw"),
    (50,  "R_ARM_THM_MOVT_PREL",      "S + A - P",         "t_movt"),
    (51,  "R_ARM_THM_JUMP19",         "L + A - P",         "t19",   "branch"),
    (52,  "R_ARM_THM_JUMP6",          "S + A - P",         "t6"),
    (53,  "R_ARM_THM_ALU_PREL_11_0",  "S + A - P",         "adr",   "aligned"),
    (54,  "R_ARM_THM_PC12",           "S + A - P",         "pc12",  "aligned"),
    (55,  "R_ARM_ABS32_NOI",          "S + A",             "w32",   "noi"),
    (56,  "R_ARM_REL32_NOI",          "S + A - P",         "w32",   "noi"),
    (57,  "R_ARM_ALU_PC_G0_NC",       "S + A - P",         "alu",   "piece"),
    (58,  "R_ARM_ALU_PC_G0",          "S + A - P",         "alu",   "alu"),
    (59,  "R_ARM_ALU_PC_G1_NC",       "S + A - P",         "alu",   "piece"),
    (60,  "R_ARM_ALU_PC_G1",          "S + A - P",         "alu",   "alu"),
    (61,  "R_ARM_ALU_PC_G2",          "S + A - P",         "alu",   "alu"),
    (62,  "R_ARM_LDR_PC_G1",          "S + A - P",         "ldr",   "load"),
    (63,  "R_ARM_LDR_PC_G2",          "S + A - P",         "ldr",   "load"),
    (64,  "R_ARM_LDRS_PC_G0",         "S + A - P",         "ldrs",  "load"),
    (65,  "R_ARM_LDRS_PC_G1",         "S + A - P",         "ldrs",  "load"),
    (66,  "R_ARM_LDRS_PC_G2",         "S + A - P",         "ldrs",  "load"),
    (67,  "R_ARM_LDC_PC_G0",          "S + A - P",         "ldc",   "load"),
    (68,  "R_ARM_LDC_PC_G1",          "S + A - P",         "ldc",   "load"),
    (69,  "R_ARM_LDC_PC_G2",          "S + A - P",         "ldc",   "load"),
    (70,  "R_ARM_ALU_SB_G0_NC",       "S + A - GP",        "alu",   "piece"),
    (71,  "R_ARM_ALU_SB_G0",          "S + A - GP",        "alu",   "alu"),
    (72,  "R_ARM_ALU_SB_G1_NC",       "S + A - GP",        "alu",   "piece"),
    (73,  "R_ARM_ALU_SB_G1",          "S + A - GP",        "alu",   "alu"),
    (74,  "R_ARM_ALU_SB_G2",          "S + A - GP",        "alu",   "alu"),
    (75,  "R_ARM_LDR_SB_G0",          "S + A - GP",        "ldr",   "load"),
    (76,  "R_ARM_LDR_SB_G1",          "S + A - GP",        "ldr",   "load"),
    (77,  "R_ARM_LDR_SB_G2",          "S + A - GP",        "ldr",   "load"),
    (78,  "R_ARM_LDRS_SB_G0",         "S + A - GP",        "ldrs",  "load"),
    (79,  "R_ARM_LDRS_SB_G1",         "S + A - GP",        "ldrs",  "load"),
    (80,  "R_ARM_LDRS_SB_G2",         "S + A - GP",        "ldrs",  "load"),
    (81,  "R_ARM_LDC_SB_G0",          "S + A - GP",        "ldc",   "load"),
    (82,  "R_ARM_LDC_SB_G1",          "S + A - GP",        "ldc",   "load"),
    (83,  "R_ARM_LDC_SB_G2",          "S + A - GP",        "ldc",   "load"),
    (84,  "R_ARM_MOVW_BREL_NC",       "S + A - GP",        "movw", "base"),
    (85,  "R_ARM_MOVT_BREL",          "S + A - GP",        "movt", "base"),
    (86,  "R_ARM_MOVW_BREL",          "S + A - GP",        "movw_u", "base"),
    (87,  "R_ARM_THM_MOVW_BREL_NC",   "S + A - GP",        "t_movw", "base"),
    (88,  "R_ARM_THM_MOVT_BREL",      "S + A - GP",        "t_movt", "base"),
    (89,  "R_ARM_THM_MOVW_BREL",      "S + A - GP",        "t_movw_u", "base"),
    (90,  "R_ARM_TLS_GOTDESC",        "TLSDESC + A - P",   "w32",   "desc"),
    (91,  "R_ARM_TLS_CALL",           "TLSCALL - P",       "a24",   "desc_call"),
    (92,  "R_ARM_TLS_DESCSEQ",        "TLSCALL",           "insn",  "desc_seq"),
    (93,  "R_ARM_THM_TLS_CALL",       "TLSCALL - P",       "t24",   "desc_call"),
    (94,  "R_ARM_PLT32_ABS",          "L + A",             "w32"),
    (95,  "R_ARM_GOT_ABS",            "G + GOT + A",       "w32"),
    (96,  "R_ARM_GOT_PREL",           "G + GOT + A - P",   "w32"),
    (97,  "R_ARM_GOT_BREL12",         "G + A",             "abs12"),
    (98,  "R_ARM_GOTOFF12",           "S + A - GOT",       "abs12"),
    (100, "R_ARM_GNU_VTENTRY",        "none",              "none"),
    (101, "R_ARM_GNU_VTINHERIT",      "none",              "none"),
    (102, "R_ARM_THM_JUMP11",         "S + A - P",         "t11"),
    (103, "R_ARM_THM_JUMP8",          "S + A - P",         "t8"),
    (104, "R_ARM_TLS_GD32",           "GD + A - P",        "w32"),
    (105, "R_ARM_TLS_LDM32",          "LD + A - P",        "w32"),
    (106, "R_ARM_TLS_LDO32",          "DTPOFF + A",        "w32"),
    (107, "R_ARM_TLS_IE32",           "GOTTP + A - P",     "w32"),
    (108, "R_ARM_TLS_LE32",           "TPOFF + A",         "w32"),
    (109, "R_ARM_TLS_LDO12",          "DTPOFF + A",        "abs12"),
    (110, "R_ARM_TLS_LE12",           "TPOFF + A",         "abs12"),
    (111, "R_ARM_TLS_IE12GP",         "GOTTP + A - GOT",   "abs12"),
    # What R_ARM_V4BX becomes with --fix-v4bx.
    (112, "R_ARM_PRIVATE_0",          "S + A",             "insn",  "v4bx"),
    # ... and with --fix-v4bx-interworking.
    (113, "R_ARM_PRIVATE_1",          "L + A - P",         "jump",  "v4bx_veneer"),
    (129, "R_ARM_THM_TLS_DESCSEQ16",  "TLSCALL",           "insn16", "desc_seq"),
    (130, "R_ARM_THM_TLS_DESCSEQ32",  "TLSCALL",           "insn",  "desc_seq"),
    (132, "R_ARM_THM_ALU_ABS_G0_NC",  "S + A",             "byte0"),
    (133, "R_ARM_THM_ALU_ABS_G1_NC",  "S + A",             "byte1"),
    (134, "R_ARM_THM_ALU_ABS_G2_NC",  "S + A",             "byte2"),
    (135, "R_ARM_THM_ALU_ABS_G3_NC",  "S + A",             "byte3"),
    (136, "R_ARM_THM_BF16",           "S + A - P",         "bf16"),
    (137, "R_ARM_THM_BF12",           "S + A - P",         "bf12"),
    (138, "R_ARM_THM_BF18",           "S + A - P",         "bf18"),
    (160, "R_ARM_IRELATIVE",          "dynamic",           "none"),
)

SYMBOLIC = (2, 38, 95)    # types that fill a word and may become dynamic relocations

CONSTANTS = {
    "word_size": WORD,
    "code_bits": CODE_BITS,
    "got_header": GOT_HEADER,
    "tlsdesc_size": 8,
    "no_plt_got": 1,        # what has a GOT slot gets a lazy slot besides, as in GNU ld
    "dyn_symbolic": 2,
    "dyn_relative": 23,
    "dyn_glob_dat": 21,
    "dyn_jump_slot": 22,
    "dyn_copy": 20,
    "dyn_irelative": 160,
    "dyn_dtpmod": 17,
    "dyn_dtpoff": 18,
    "dyn_tpoff": 19,
    "dyn_tlsdesc": 13,
}

# What --target2 means by default: GOT-relative where there are run-time linkers.
TARGET2_TYPES = {"rel": 3, "abs": 2, "got-rel": 96}
SEGMENTS = ((".ARM.exidx", 0x70000001),)    # PT_ARM_EXIDX: where the unwinder finds the table


def THUNKS(link):
    """Veneers are looked for in every link: they also change the instruction set."""
    return True


def ERRATA(link):
    """Bits of the errata that are worked around: 657417 of Cortex-A8."""
    return link.extra["arm_flags"] & 128


def prepare_layout(link):
    """.ARM.exidx: its entries cover all code."""
    from mclink.target.arm_exidx import arrange_tables
    arrange_tables(link)


def merge_inputs(link):
    """Build attributes and e_flags; the relocations whose meaning the command line chooses."""
    from mclink.target.arm_attributes import merge_attributes
    merge_attributes(link)
    options = link.options
    ops = link.target.ops
    if options.target1 == "rel":
        ops.copy_type(38, 3)
    target2 = options.target2 or ("rel" if link.target.flavour == "none" else "got-rel")
    ops.copy_type(41, TARGET2_TYPES[target2])
    if options.fix_v4bx:
        ops.copy_type(40, 113 if options.fix_v4bx == "interworking" else 112)
    for option, name in ((options.vfp11_fix, "--vfp11-denorm-fix"), (options.stm32l4xx_fix, "--fix-stm32l4xx-629360")):
        if option not in (None, "none"):
            link.diag.error(f"{name}={option}: this erratum is not worked around")
    if options.cmse_implib or options.in_implib or link.extra["attributes"].get(6) in (16, 17, 21):
        # Tag_CPU_arch: Armv8-M may have secure entries.
        from mclink.target.arm_cmse import make_gateways
        make_gateways(link)
    if options.be8 and link.target.data.BIG_ENDIAN and not options.relocatable:
        from mclink._core.arch.arm import use_be8
        use_be8(ops)
        link.image["e_flags"] |= 0x00800000     # EF_ARM_BE8


def import_names(link):
    """Which symbols --out-implib is about: None for all of them."""
    if not link.options.cmse_implib:
        return None
    from mclink.target.arm_cmse import import_names
    return import_names(link)


def choose_plt(link):
    """Number of the PLT style: --long-plt, --be8."""
    return (1 if link.options.long_plt else 0) + (2 if is_be8(link) else 0)


def is_be8(link):
    """True when instructions become little-endian in big-endian output."""
    return bool(link.image.get("e_flags", 0) & 0x00800000)


def finish_section(link, output, out):
    """Turns the instructions of an output section of code, whose bytes stand at address `out`; secure gateways."""
    if "gateways" in link.extra:
        from mclink.target.arm_cmse import write_gateways
        write_gateways(link, output)
    if is_be8(link):
        from mclink._core.arch.arm import turn_code
        turn_code(link.tables, output.number, output.address, out)


def image_values(link, got):
    """GP is what static-base-relative (RWPI) code keeps in r9: where the first writable segment's sections start."""
    starts = [min(section.address for section in segment.outputs) for segment in link.segments
              if segment.type == 1 and segment.flags & 2 and segment.outputs]
    return {"gp": min(starts, default=0)}


def tls_bases(start, size, align):
    """(TP, DTP) for a TLS block at `start`. Variant I: the block stands behind the TCB of 8 bytes, at its alignment."""
    return start - ((TCB_SIZE + align - 1) & -align), start


def tls_module_base(tp, dtp, shared):
    """Value of _TLS_MODULE_BASE_; local-dynamic code keeps its offsets in every kind of output."""
    return dtp


def make_ops():
    """The compiled table of this target: _core.ops.OpsTable, PLT style 0 in force."""
    from mclink._core.arch.arm import connect_arm
    from mclink._core.ops import OpsTable
    table = OpsTable(compile_rows(RELOCS, SYMBOLIC, FAMILIES, FIELDS, wrap32=True), CONSTANTS)
    connect_arm(table)
    return table
