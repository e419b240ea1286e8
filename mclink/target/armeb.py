"""ARM, big-endian: see arm.py. Code is big-endian too unless --be8 turns it over."""

from mclink.target.arm import *  # noqa: F401,F403
from mclink.target.arm import ERRATA, THUNKS, make_ops, merge_inputs, prepare_layout, tls_bases, tls_module_base  # noqa: F401

STYLE = "armelfb_linux_eabi"
BIG_ENDIAN = True
OUTPUT_FORMAT = "elf32-bigarm"
