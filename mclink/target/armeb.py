"""ARM, big-endian: see arm.py. Code is big-endian too unless --be8 turns it over."""

from mclink.target.arm import *  # noqa: F401,F403

STYLE = "armelfb_linux_eabi"
BIG_ENDIAN = True
OUTPUT_FORMAT = "elf32-bigarm"
