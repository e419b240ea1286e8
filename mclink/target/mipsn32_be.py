"""MIPS N32, big-endian: see mipsn32.py."""

from mclink.target.mipsn32 import *  # noqa: F401,F403
from mclink.target.mipsn32 import make_ops  # noqa: F401

STYLE = "elf32btsmipn32"
BIG_ENDIAN = True
OUTPUT_FORMAT = "elf32-ntradbigmips"
