"""MIPS N32, little-endian: addresses of 32 bits and registers of 64; see mips64.py. Composed relocations are several
records for one place.
"""

from mclink.target import mips
from mclink.target.mips import *  # noqa: F401,F403

STYLE = "elf32ltsmipn32"
ABI = "n32"
RELA_OBJECTS = True
IMAGE_BASE = 0x10000000
OUTPUT_FORMAT = "elf32-ntradlittlemips"
INTERP = {
    "linux": "/lib32/ld.so.1",
    "freebsd": "/libexec/ld-elf.so.1",
    "netbsd": "/libexec/ld.elf_so",
}


def make_ops():
    """The compiled table of this target: _core.ops.OpsTable, PLT style 0 in force."""
    return mips.make_ops()
