"""MIPS N64, big-endian: see mips64.py."""

from mclink.target.mips64 import *  # noqa: F401,F403
from mclink.target.mips64 import make_ops  # noqa: F401

STYLE = "elf64btsmip"
BIG_ENDIAN = True
OUTPUT_FORMAT = "elf64-tradbigmips"
