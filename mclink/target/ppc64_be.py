"""64-bit Power, big-endian: ELFv1 ("64-bit PowerPC ELF Application Binary Interface Supplement 1.9") and ELFv2.

In ELFv1 a function's symbol names its descriptor in .opd: address of the code, TOC pointer, environment. A call goes
to the code, which the linker finds through the descriptor; a pointer to a function is the address of its descriptor.
A slot of .plt holds a whole descriptor, and calls save r2 at 40(r1). e_flags say which of the two ABIs it is.
"""

from mclink.target import ppc64
from mclink.target.ppc64 import *  # noqa: F401,F403

BIG_ENDIAN = True
STYLE = "elf64ppc"
OUTPUT_FORMAT = "elf64-powerpc"
E_FLAGS = 1
DEFAULT_ABI = 1
DESCRIPTORS = b".opd", 24    # sections whose symbols stand for the code that they name, bytes of a descriptor
PLT_EH_CIE = bytes((0, 0, 0, 20)) + ppc64.PLT_EH_CIE[4:]
INTERP = {**ppc64.INTERP, "linux": "/lib64/ld64.so.1"}

# A descriptor of a resolver is no function's address: pointers to IFUNCs are resolved where they stand.
DECISIONS = {("word", "exec"): ("apply", "apply", "symbolic|copy", "symbolic|canonical", "irelative")}


def make_ops():
    """The compiled table of this target: _core.ops.OpsTable."""
    return ppc64.make_ops(True)
