"""Intel MCU: i386 under a machine number of its own (EM_IAMCU, System V ABI, Intel MCU psABI)."""

from mclink.target import i386
from mclink.target.i386 import *  # noqa: F401,F403 - everything else is the same

NAME = "iamcu"
MACHINE = 6                 # EM_IAMCU
LARGE_COMMON, LARGE_FLAG = 0, 0 # no large code model
OUTPUT_FORMAT = "elf32-iamcu"
STYLE = "elf_iamcu"
make_ops = i386.make_ops
