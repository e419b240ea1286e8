"""MIPS, O32, big-endian: see mips.py."""

from mclink.target.mips import *  # noqa: F401,F403
from mclink.target.mips import make_ops  # noqa: F401

STYLE = "elf32btsmip"
BIG_ENDIAN = True
OUTPUT_FORMAT = "elf32-tradbigmips"
