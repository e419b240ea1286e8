"""The words in which a target names its relocations, and their translation for the core.

A target's table has one row a relocation type:

    RELOCS = (
        # no  name             formula      field  relax
        (2,   "R_X86_64_PC32", "S + A - P", "s32"),
        (42,  "R_X86_64_REX_GOTPCRELX", "G + GOT + A - P", "s32", "got_rex"),
    )

The formula says what the value is and so, through the decision table of layout/scan.py, what the type
needs; the field says where the bits go and what range is legal. Letters are those of the psABIs:

    S  address of the symbol              A  addend                 P  address of the field
    L  address of its PLT entry           Z  size of the symbol     B  image base (dynamic only)
    G  its GOT slot: an offset from GOT   GOT  address of the GOT
    GD, LD  module/offset pair            GOTTP  GOT slot with the TP offset
    DTPOFF, TPOFF  offset in the module's TLS block, from the thread pointer
    TLSDESC  its descriptor               TLSCALL  mark of the call through a descriptor; - P: the call itself
    GOTDOWN  GOT slot with the TP offset counted downwards, TP - S
    none, depends  writes nothing; the second says that the symbol is wanted all the same
    SLOT  what its PLT entry jumps through    GOTDTP  GOT slot with the DTP offset
    hint  mark of a call through a register, which may become a branch to the symbol
    GP  MIPS _gp, PPC64 .TOC.             Page(x)  x & ~4095       Low(x)  bits inside a page

The numbers below are those of mclink/_core/ops.pxd; tests/unit/test_reloc_table.py holds them equal.
"""

Q_UNKNOWN, Q_DYNAMIC, Q_NONE, Q_S, Q_L, Q_G, Q_GOT, Q_Z = range(8)
Q_GD, Q_LD, Q_DTPOFF, Q_GOTTP, Q_TPOFF, Q_TLSDESC, Q_TLSCALL, Q_GP = range(8, 16)
Q_SLOT, Q_GOTDTP, Q_HINT = 17, 18, 19
R_NONE, R_P, R_GOT, R_PAGE, R_GP, R_GOT_PAGE, R_LOW = range(7)
TYPE_WORD, TYPE_TLS, TYPE_BRANCH, TYPE_WRAP32, TYPE_RELAX, TYPE_NO_SYMBOL, TYPE_ANY_SYMBOL, TYPE_DIRECT = (
    1, 2, 4, 8, 16, 32, 64, 128)
FIELD_NONE, FIELD_8, FIELD_16, FIELD_32, FIELD_64 = range(5)
FIELD_ARCH = 8

# formula -> (quantity, reference, flags)
FORMULAS = {
    "none": (Q_NONE, R_NONE, TYPE_NO_SYMBOL),
    "depends": (Q_NONE, R_NONE, 0),
    "dynamic": (Q_DYNAMIC, R_NONE, 0),
    "S + A": (Q_S, R_NONE, 0),
    "S + A - P": (Q_S, R_P, 0),
    "S + A - GOT": (Q_S, R_GOT, 0),
    "S + A - GP": (Q_S, R_GP, 0),
    "Page(S + A) - Page(P)": (Q_S, R_PAGE, 0),
    "Low(S + A)": (Q_S, R_LOW, 0),
    "L + A": (Q_L, R_NONE, 0),
    "L + A, branch": (Q_L, R_NONE, TYPE_BRANCH),
    "L + A - P": (Q_L, R_P, TYPE_BRANCH),
    "L + A - GOT": (Q_L, R_GOT, 0),
    "L + A - P, direct": (Q_L, R_P, TYPE_BRANCH | TYPE_DIRECT),
    "G + A": (Q_G, R_GOT, 0),
    "G + GOT + A": (Q_G, R_NONE, 0),
    "G + GOT + A - P": (Q_G, R_P, 0),
    "G + GOT + A - GP": (Q_G, R_GP, 0),
    "G + GOT + A - Page(GOT)": (Q_G, R_GOT_PAGE, 0),
    "Page(G + GOT + A) - Page(P)": (Q_G, R_PAGE, 0),
    "Low(G + GOT + A)": (Q_G, R_LOW, 0),
    "GOT + A": (Q_GOT, R_NONE, TYPE_NO_SYMBOL),
    "GOT + A - P": (Q_GOT, R_P, TYPE_NO_SYMBOL),
    "GP + A": (Q_GP, R_NONE, TYPE_NO_SYMBOL),
    "Z + A": (Q_Z, R_NONE, TYPE_ANY_SYMBOL),
    "hint": (Q_HINT, R_NONE, TYPE_ANY_SYMBOL),
    "GD + A - P": (Q_GD, R_P, TYPE_TLS),
    "GD + A - GOT": (Q_GD, R_GOT, TYPE_TLS),
    "GD + A - GP": (Q_GD, R_GP, TYPE_TLS),
    "Page(GD + A) - Page(P)": (Q_GD, R_PAGE, TYPE_TLS),
    "Low(GD + A)": (Q_GD, R_LOW, TYPE_TLS),
    "LD + A - P": (Q_LD, R_P, TYPE_NO_SYMBOL),
    "LD + A - GOT": (Q_LD, R_GOT, TYPE_NO_SYMBOL),
    "LD + A - GP": (Q_LD, R_GP, TYPE_NO_SYMBOL),
    "Page(LD + A) - Page(P)": (Q_LD, R_PAGE, TYPE_NO_SYMBOL),
    "Low(LD + A)": (Q_LD, R_LOW, TYPE_NO_SYMBOL),
    "DTPOFF + A": (Q_DTPOFF, R_NONE, TYPE_TLS),
    "GOTDOWN + A - GOT": (Q_G, R_GOT, TYPE_TLS),
    "GOTTP + A": (Q_GOTTP, R_NONE, TYPE_TLS),
    "GOTTP + A - P": (Q_GOTTP, R_P, TYPE_TLS),
    "GOTTP + A - GOT": (Q_GOTTP, R_GOT, TYPE_TLS),
    "GOTTP + A - GP": (Q_GOTTP, R_GP, TYPE_TLS),
    "Page(GOTTP + A) - Page(P)": (Q_GOTTP, R_PAGE, TYPE_TLS),
    "Low(GOTTP + A)": (Q_GOTTP, R_LOW, TYPE_TLS),
    "TPOFF + A": (Q_TPOFF, R_NONE, TYPE_TLS),
    "SLOT + A - P": (Q_SLOT, R_P, 0),
    "SLOT + A - GP": (Q_SLOT, R_GP, 0),
    "SLOTCALL": (Q_SLOT, R_NONE, 0),
    "SLOTCALL, branch": (Q_SLOT, R_NONE, TYPE_BRANCH),
    "GOTDTP + A - GP": (Q_GOTDTP, R_GP, TYPE_TLS),
    "GOTDTP + A - P": (Q_GOTDTP, R_P, TYPE_TLS),
    "TLSDESC + A": (Q_TLSDESC, R_NONE, TYPE_TLS),
    "TLSDESC + A - P": (Q_TLSDESC, R_P, TYPE_TLS),
    "TLSDESC + A - GOT": (Q_TLSDESC, R_GOT, TYPE_TLS),
    "Page(TLSDESC + A) - Page(P)": (Q_TLSDESC, R_PAGE, TYPE_TLS),
    "Low(TLSDESC + A)": (Q_TLSDESC, R_LOW, TYPE_TLS),
    "TLSCALL": (Q_TLSCALL, R_NONE, TYPE_TLS),
    "TLSCALL - P": (Q_TLSCALL, R_P, TYPE_TLS | TYPE_BRANCH),
}

_LOW, _HIGH = -(1 << 63), (1 << 63) - 1

# field -> (id, bytes, lowest, highest): s signed, u unsigned, x either, w the bits modulo the width
FIELDS = {
    "none": (FIELD_NONE, 0, _LOW, _HIGH),
    "s8": (FIELD_8, 1, -0x80, 0x7F),
    "u8": (FIELD_8, 1, 0, 0xFF),
    "x8": (FIELD_8, 1, -0x80, 0xFF),
    "w8": (FIELD_8, 1, _LOW, _HIGH),
    "s16": (FIELD_16, 2, -0x8000, 0x7FFF),
    "u16": (FIELD_16, 2, 0, 0xFFFF),
    "x16": (FIELD_16, 2, -0x8000, 0xFFFF),
    "w16": (FIELD_16, 2, _LOW, _HIGH),
    "s32": (FIELD_32, 4, -0x80000000, 0x7FFFFFFF),
    "u32": (FIELD_32, 4, 0, 0xFFFFFFFF),
    "x32": (FIELD_32, 4, -0x80000000, 0xFFFFFFFF),
    "w32": (FIELD_32, 4, _LOW, _HIGH),
    "w64": (FIELD_64, 8, _LOW, _HIGH),
}


def compile_rows(rows, symbolic, families, fields=FIELDS, wrap32=False):
    """The rows of a target as OpsTable takes them: a list of 10-tuples of int.

    rows      RELOCS of the target
    symbolic  number of the type that is a whole address, S + A; with others that fill a word, a tuple
    families  dict: name of a relaxation -> the number by which the arch module knows it (from 1)
    fields    FIELDS, with the target's instruction fields added: (id, bytes, low, high[, align])
    wrap32    addresses are 32 bits wide, and sums are modulo 2**32
    KeyError for a word that is not in the vocabulary."""
    compiled = []
    words = symbolic if type(symbolic) is tuple else (symbolic,)
    for row in rows:
        number, _, formula, field = row[:4]
        quantity, reference, flags = FORMULAS[formula]
        entry = fields[field]
        relax = families[row[4]] if len(row) > 4 else 0
        if number in words:
            flags |= TYPE_WORD
        if relax:
            flags |= TYPE_RELAX
        if wrap32:
            flags |= TYPE_WRAP32
        compiled.append((number, quantity, reference, entry[0], entry[1], flags, relax,
                         entry[4] if len(entry) > 4 else 0, entry[2], entry[3]))
    return compiled
