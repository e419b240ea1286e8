"""(h) the same large C++ program for other machines: AArch64, ARM, MIPS and 64-bit Power.

Each target is a row: it needs Debian's cross compiler of its triple, and qemu-user for the check.
"""

import os

from . import debug
from .case import Case, capture_line, runs_and_prints

UNITS = 8

# Name of the case -> (GNU triple, qemu's name of the machine).
TARGETS = {
    "cross-aarch64": ("aarch64-linux-gnu", "aarch64"),
    "cross-arm": ("arm-linux-gnueabihf", "arm"),
    "cross-mips": ("mips-linux-gnu", "mips"),
    "cross-mips64el": ("mips64el-linux-gnuabi64", "mips64el"),
    "cross-ppc64": ("powerpc64-linux-gnu", "ppc64"),
    "cross-ppc64le": ("powerpc64le-linux-gnu", "ppc64le"),
}


def prepare_target(name):
    """The prepare function of one row: a function of the work folder that returns its case."""
    triple, machine = TARGETS[name]

    def prepare(work):
        folder = os.path.join(work, name)
        compiler = triple + "-g++"
        objects = [debug.compile_unit(folder, number, compiler) for number in range(UNITS)]
        words = capture_line([compiler, debug.compile_main(folder, UNITS, compiler), *objects, "-o", "a"], folder)
        check = runs_and_prints(f"{UNITS * 64}\n", runner=("qemu-" + machine, "-L", "/usr/" + triple))
        return [Case(name, f"C++ with debug information for {triple}", words, check, rounds=5,
                     programs={"bfd": triple + "-ld.bfd", "gold": triple + "-ld.gold"})]

    return prepare
