"""AArch64 with big-endian data; instructions are little-endian all the same (aaelf64, "ELF Header")."""

from mclink.target import aarch64
from mclink.target.aarch64 import *  # noqa: F401,F403

BIG_ENDIAN = True
STYLE = "aarch64linuxb"
OUTPUT_FORMAT = "elf64-bigaarch64"
INTERP = {**aarch64.INTERP, "linux": "/lib/ld-linux-aarch64_be.so.1"}
