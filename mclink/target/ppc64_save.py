"""The functions that save and restore registers for prologues and epilogues of 64-bit Power compiled for size.

Compilers call them and the linker makes them ("64-Bit ELF V2 ABI Specification", "Register Save and Restore
Functions"): a family is one run of instructions, and a function of it is the run from its register on.
"""

from mclink._core import load, symbols
from mclink.elf import SHF_ALLOC, SHF_EXECINSTR, SHT_PROGBITS

STV_HIDDEN, STT_FUNC = 2, 2

_BLR, _MTLR_R0 = 0x4E800020, 0x7C0803A6
_STD_R0, _LD_R0 = 0xF8010010, 0xE8010010    # std/ld r0, 16(r1): the link register's place in the caller's frame
_STD, _LD, _STFD, _LFD = 0xF8000000, 0xE8000000, 0xD8000000, 0xC8000000


def _access(opcode, register, base):
    return opcode | register << 21 | base << 16 | (-8 * (32 - register) & 0xFFFF)


def _run(prefix, registers, opcode, base, tail):
    """(names with the offsets of their functions, instructions) of one run; tail: what follows the last access."""
    code = [_access(opcode, register, base) for register in registers]
    return [(f"{prefix}{register}", 4 * at) for at, register in enumerate(registers)], code + tail


def _restore_link(prefix, opcode):
    """Runs that end with the return to the caller's caller: the load of its address is moved up where it can be."""
    names, code = _run(prefix, range(14, 29), opcode, 1, [
        _LD_R0, _access(opcode, 29, 1), _MTLR_R0, _access(opcode, 30, 1), _access(opcode, 31, 1), _BLR])
    names.append((f"{prefix}29", 4 * 15))
    at = 4 * len(code)
    names += [(f"{prefix}30", at), (f"{prefix}31", at + 4)]
    return names, code + [_access(opcode, 30, 1), _LD_R0, _access(opcode, 31, 1), _MTLR_R0, _BLR]


def _vectors(prefix, opcode):
    """stvx or lvx of v20..v31 at r0 - 16 * (32 - n), by r12."""
    code = []
    names = []
    for register in range(20, 32):
        names.append((f"{prefix}{register}", 4 * len(code)))
        code += [0x39800000 | (-16 * (32 - register) & 0xFFFF), opcode | register << 21 | 12 << 16]
    return names, code + [_BLR]


FAMILIES = (
    lambda: _run("_savegpr0_", range(14, 32), _STD, 1, [_STD_R0, _BLR]),
    lambda: _restore_link("_restgpr0_", _LD),
    lambda: _run("_savegpr1_", range(14, 32), _STD, 12, [_BLR]),
    lambda: _run("_restgpr1_", range(14, 32), _LD, 12, [_BLR]),
    lambda: _run("_savefpr_", range(14, 32), _STFD, 1, [_STD_R0, _BLR]),
    lambda: _restore_link("_restfpr_", _LFD),
    lambda: _vectors("_savevr_", 0x7C0001CE),
    lambda: _vectors("_restvr_", 0x7C0000CE),
)
PREFIXES = ("_savegpr0_", "_restgpr0_", "_savegpr1_", "_restgpr1_", "_savefpr_", "_restfpr_", "_savevr_", "_restvr_")


def make_save_functions(link):
    """Makes .sfpr with the families that an undefined name belongs to, and defines those names."""
    tables = link.tables
    wanted = {}
    for prefix, family in zip(PREFIXES, FAMILIES):
        for register in range(14, 32):
            for dot in ("", "."):
                gid = symbols.lookup(tables, f"{dot}{prefix}{register}".encode())
                if gid and symbols.is_undefined(tables, gid):
                    wanted.setdefault(family, []).append((gid, f"{prefix}{register}"))
    if not wanted:
        return
    order = "big" if link.target.data.BIG_ENDIAN else "little"
    words = []
    places = []
    for family, names in wanted.items():
        offsets, code = family()
        start = 4 * len(words)
        offsets = dict(offsets)
        places += [(gid, start + offsets[name]) for gid, name in names if name in offsets]
        words += code
    contents = b"".join(word.to_bytes(4, order) for word in words)
    frag = load.add_section(link.tables, b".sfpr", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, 4, 0, len(contents))
    link.extra.setdefault("synthetic_bytes", []).append((frag, contents))
    for gid, offset in places:
        symbols.define(tables, gid, STV_HIDDEN, STT_FUNC, frag, offset)
