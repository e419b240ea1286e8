"""x32: amd64 with addresses of four bytes, in ELF32 with RELA (x32 ABI, H.J. Lu).

The instructions, relocations and GOT slots (8 bytes) are those of amd64; a pointer is R_X86_64_32, and the TLS
sequences read %fs:0 with 32-bit moves. Images lie below 4 GiB, so no sum wraps.
"""

from mclink.target import x86_64
from mclink.target.reloc import compile_rows
from mclink.target.x86_64 import *  # noqa: F401,F403 - what is not said here is amd64's

NAME = "x32"
STYLE = "elf32_x86_64"
ELF_CLASS = 32
WORD = 4
OUTPUT_FORMAT = "elf32-x86-64"

INTERP = {
    "linux": "/libx32/ld-linux-x32.so.2",
}

SYMBOLIC = 10               # R_X86_64_32

# A pointer may be anywhere in 4 GiB; GNU ld takes the field for signed or unsigned.
RELOCS = tuple((10, "R_X86_64_32", "S + A", "x32") if row[0] == SYMBOLIC else row for row in x86_64.RELOCS)

# The slots are still words of 8 bytes, and so are TP offsets and module numbers in them.
CONSTANTS = dict(x86_64.CONSTANTS, dyn_symbolic=SYMBOLIC)


def make_ops():
    """The compiled table of this target: _core.ops.OpsTable, PLT style 0 in force."""
    from mclink._core.arch.x86 import connect_amd64
    from mclink._core.ops import OpsTable
    table = OpsTable(compile_rows(RELOCS, SYMBOLIC, FAMILIES), CONSTANTS)
    connect_amd64(table)
    return table
