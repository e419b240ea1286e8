"""MIPS N64, little-endian: "MIPSpro 64-Bit Porting and Transition Guide" and "64-bit ELF Object File Specification".

Records of objects have addends and up to three types (see _core.arch.mips); dynamic relocations of words have the
types REL32 and 64, and keep their addends in the words. .MIPS.options stands for .reginfo.
"""

from mclink.target import mips
from mclink.target.mips import *  # noqa: F401,F403

STYLE = "elf64ltsmip"
ABI = "n64"
ELF_CLASS = 64
RELA_OBJECTS = True
SPLIT_INFO = True           # r_info is a word and four bytes
WORD = 8
IMAGE_BASE = 0x120000000
OUTPUT_FORMAT = "elf64-tradlittlemips"
SEGMENTS = ((".MIPS.abiflags", 0x70000003),)
INTERP = {
    "linux": "/lib64/ld.so.1",
    "freebsd": "/libexec/ld-elf.so.1",
    "netbsd": "/libexec/ld.elf_so",
}

SYMBOLIC = (18, 48)         # R_MIPS_64, R_MIPS_TLS_TPREL64

CONSTANTS = {
    **mips.CONSTANTS,
    "word_size": WORD,
    "dyn_symbolic": 0x1203,     # R_MIPS_REL32, then R_MIPS_64
    "dyn_relative": 0x1203,
    "dyn_dtpmod": 40,
    "dyn_dtpoff": 41,
    "dyn_tpoff": 48,
}


def make_ops():
    """The compiled table of this target: _core.ops.OpsTable, PLT style 0 in force."""
    return mips.make_ops(SYMBOLIC, CONSTANTS, False)
