"""ARM relocations of the link: the same bytes as GNU ld's, at addends and distances up to the edges, and an error behind
them. Sources: AAELF32, "Relocation"; the behaviour of GNU ld."""

import pytest

TEXT = 0x2000000

# name -> (code in front of .reloc, instruction or data, symbols that it is tried with)
DATA = (".arm", ".word {}", ("near", "far", "thumb_near", "low"))
CASES = {
    "ABS32": DATA, "REL32": DATA, "ABS32_NOI": DATA, "REL32_NOI": DATA, "TARGET1": DATA,
    "PREL31": (".arm", ".word {}", ("near", "far", "thumb_near")),
    "ABS16": (".arm", ".short {}, 0", ("small",)),
    "ABS8": (".arm", ".byte {}, 0, 0, 0", ("tiny",)),
    "ABS12": (".arm", "ldr r0, [r1, #{}]", ("small12",)),
    "MOVW_ABS_NC": (".arm", "movw r3, #{}", ("near", "far", "thumb_near", "low")),
    "MOVT_ABS": (".arm", "movt r3, #{}", ("near", "far", "thumb_near", "low")),
    "MOVW_PREL_NC": (".arm", "movw r3, #{}", ("near", "far", "thumb_near", "low")),
    "MOVT_PREL": (".arm", "movt r3, #{}", ("near", "far", "thumb_near", "low")),
    "THM_MOVW_ABS_NC": (".thumb", "movw r3, #{}", ("near", "far", "thumb_near", "low")),
    "THM_MOVT_ABS": (".thumb", "movt r3, #{}", ("near", "far", "thumb_near", "low")),
    "THM_MOVW_PREL_NC": (".thumb", "movw r3, #{}", ("near", "far", "thumb_near", "low")),
    "THM_MOVT_PREL": (".thumb", "movt r3, #{}", ("near", "far", "thumb_near", "low")),
}

ADDENDS = {"ABS16": (0, 4, 0x7ff), "ABS8": (0, 4, 0x3f), "ABS12": (0, 4, 0x7ff),
           "PREL31": (0, 4, 0x7fc)}
WORD_ADDENDS = (0, 4, 0x7ffc)

SYMBOLS = {"far": 0x12345678, "low": 0x100, "small": 0x7000, "tiny": 0x40, "small12": 0x7f0}


def source(name):
    state, instruction, symbols = CASES[name]
    lines = [".syntax unified", ".arch armv7-a", ".text", ".globl _start", "_start:", state]
    for symbol in symbols:
        for addend in ADDENDS.get(name, WORD_ADDENDS):
            lines += [f".reloc ., R_ARM_{name}, {symbol}", instruction.format(addend)]
    lines += [".p2align 4", ".arm", ".type near, %function", ".globl near", "near: bx lr",
              ".thumb", ".type thumb_near, %function", ".globl thumb_near", ".thumb_func", "thumb_near: bx lr", "nop"]
    return "\n".join(lines) + "\n"


def text_of(tc, obj, name):
    defined = [f"--defsym={symbol}={value:#x}" for symbol, value in SYMBOLS.items()]
    path = tc.ld(name, f"-Ttext={TEXT:#x}", *defined, obj).path
    return tc.elf(path).data(".text")


@pytest.mark.targets("armhf")
@pytest.mark.parametrize("name", CASES)
def test_bytes_equal_gnu_ld(tc, name):
    obj = tc.asm(source(name))
    assert text_of(tc, obj, "a").hex() == text_of(tc.gnu, obj, "a").hex()


BRANCHES = {
    # instruction, lowest and highest distance of the target from the instruction
    "bl": (".arm", "bl target", -0x2000000 + 8, 0x1fffffc + 8),
    "b": (".arm", "b target", -0x2000000 + 8, 0x1fffffc + 8),
    "bne": (".arm", "bne target", -0x2000000 + 8, 0x1fffffc + 8),
    "thumb bl": (".thumb", "bl target", -0x1000000 + 4, 0xfffffe + 4),
    "thumb b": (".thumb", "b.w target", -0x1000000 + 4, 0xfffffe + 4),
    "thumb bne": (".thumb", "bne.w target", -0x100000 + 4, 0xffffe + 4),
}


def branch(kind, other=False):
    state, instruction, _, _ = BRANCHES[kind]
    func = ".thumb\n.thumb_func\n" if (state == ".thumb") != other else ".arm\n"
    return (".syntax unified\n.arch armv7-a\n.section .from, \"ax\"\n.p2align 2\n.globl _start\n"
            f"{state}\n{'.thumb_func' if state == '.thumb' else ''}\n_start: {instruction}\n nop\n"
            f".section .to, \"ax\"\n.p2align 2\n.globl target\n.type target, %function\n{func}target: bx lr\n nop\n")


def place(tc, obj, distance, name, check=True):
    start = 0x8000000
    return tc.ld(name, f"--section-start=.from={start:#x}", f"--section-start=.to={start + distance:#x}", obj,
                 check=check)


@pytest.mark.targets("armhf")
@pytest.mark.parametrize("kind", BRANCHES)
def test_branch_at_the_edge_equals_gnu_ld(tc, kind):
    obj = tc.asm(branch(kind))
    _, _, low, high = BRANCHES[kind]
    for distance in (low + 3 & -4, high & -4, 0x1000, -0x1000):
        ours = tc.elf(place(tc, obj, distance, "a").path).data(".from")
        theirs = tc.elf(place(tc.gnu, obj, distance, "a").path).data(".from")
        assert ours[:4].hex() == theirs[:4].hex(), hex(distance)


@pytest.mark.targets("armhf")
@pytest.mark.parametrize("kind", [kind for kind in BRANCHES if kind != "thumb bne"])
@pytest.mark.parametrize("other", [False, True], ids=["same state", "other state"])
def test_branch_behind_the_edge_takes_a_veneer(tc, kind, other):
    """The veneer loads the target's address, the instruction set in bit 0."""
    obj = tc.asm(branch(kind, other))
    _, _, low, high = BRANCHES[kind]
    for distance in (high + 8 & -4, low - 8 & -4):
        e = tc.elf(place(tc, obj, distance, "a").path)
        code = e.data(".from")
        thumb = (BRANCHES[kind][0] == ".thumb") != other
        assert len(code) >= 16
        assert int.from_bytes(code[-4:], "little") == 0x8000000 + distance | thumb


@pytest.mark.targets("armhf")
@pytest.mark.parametrize("kind", ["bl", "thumb bl"])
def test_call_of_the_other_state_is_blx(tc, kind):
    obj = tc.asm(branch(kind, True))
    for distance in (0x1000, -0x1000, 0x1004):
        ours = tc.elf(place(tc, obj, distance, "a").path).data(".from")
        theirs = tc.elf(place(tc.gnu, obj, distance, "a").path).data(".from")
        assert ours.hex() == theirs.hex()


@pytest.mark.targets("armhf")
def test_overflow_is_an_error(tc):
    for name, text, value in (("ABS8", ".byte 0", 0x100), ("ABS16", ".short 0", 0x10000)):
        obj = tc.asm(f".text\n.globl _start\n_start: .reloc ., R_ARM_{name}, x\n{text}\n.p2align 2\n", name=name)
        good = tc.ld("good", f"--defsym=x={value - 1:#x}", obj, check=False)
        bad = tc.ld("bad", f"--defsym=x={value:#x}", obj, check=False)
        assert good.rc == 0, str(good)
        assert bad.rc == 1 and f"R_ARM_{name}" in bad.err, str(bad)
