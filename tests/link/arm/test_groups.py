"""Relocations that put an address together out of several instructions, and those of Armv8.1-M branches: the bytes of
GNU ld wherever the value fits, an error where it does not. GNU ld does not check BF."""

import pytest

GROUPS = [f"{kind}_{base}_{n}" for base in ("PC", "SB") for kind, ns in
          (("ALU", ("G0_NC", "G0", "G1_NC", "G1", "G2")), ("LDR", ("G0", "G1", "G2")), ("LDRS", ("G0", "G1", "G2")),
           ("LDC", ("G0", "G1", "G2"))) for n in ns]
INSTRUCTIONS = {"ALU": ("add r0, r1, #0", "sub r0, r1, #8"), "LDR": ("ldr r0, [r1]", "strb r0, [r1, #-8]"),
                "LDRS": ("ldrh r0, [r1]", "ldrd r0, r1, [r2, #-8]"), "LDC": ("ldc p2, c1, [r1]", "ldc p2, c1, [r1, #-8]")}
DISTANCES = (0, 8, 0xff, 0x100, 0x3fc, 0x400, 0xff8, 0x1000, 0x12344, 0x12045, 0xabcdef8, 0x12345678, -8, -0xff, -0x100,
             -0x1000, -0x12340, -0x1ff00)
ROOM = {"LDR": 0xfff, "LDRS": 0xff, "LDC": 0x3fc}
TEXT = 0x20000


def fits(name, value):
    """Whether a group relocation can hold a value."""
    kind, _, n = name.split("_", 2)
    rest = abs(value)
    for _ in range(int(n[1]) + (kind == "ALU")):
        shift = max(0, (rest.bit_length() - 7) // 2 * 2)
        rest &= (1 << shift) - 1
    if kind == "ALU":
        return n.endswith("_NC") or rest == 0
    return rest <= ROOM[kind] and not (kind == "LDC" and rest % 4)


@pytest.mark.targets("armhf")
@pytest.mark.parametrize("name", GROUPS)
def test_group_relocations(tc, name):
    kind, base, _ = name.split("_", 2)
    lines, defined, bad = [".arch armv7-a", ".text", ".globl _start", "_start:"], [], []
    at = 0
    for distance in DISTANCES:
        for code in INSTRUCTIONS[kind]:
            if base == "SB" and distance < 0:
                continue
            addend = -8 if "8]" in code or "#8" in code else 0
            symbol = f"--defsym=s{at}={(distance + at + TEXT if base == 'PC' else distance):#x}"
            if fits(name, distance + addend):
                lines += [f".reloc ., R_ARM_{name}, s{at}", code]
                defined.append(symbol)
                at += 4
            else:
                bad.append((at, code, symbol.replace(f"s{at}=", "x=")))
    assert at
    obj = tc.asm("\n".join(lines) + "\n")
    flags = [f"-Ttext={TEXT:#x}", *defined, obj]
    assert tc.elf(tc.ld("a", *flags).path).data(".text").hex() == tc.gnu.elf(tc.gnu.ld("a", *flags).path).data(".text").hex()
    for at, code, symbol in bad[:2]:
        obj = tc.asm(f".arch armv7-a\n.globl _start\n_start: .space {at}\n.reloc ., R_ARM_{name}, x\n{code}\n", name="bad")
        for linker in (tc, tc.gnu):
            done = linker.ld("b", f"-Ttext={TEXT:#x}", symbol, obj, check=False)
            assert done.rc == 1 and f"R_ARM_{name}" in done.err


@pytest.mark.targets("armhf")
@pytest.mark.parametrize("name,code,reach", [("THM_BF16", "bf 2f, .+4", 0x10000), ("THM_BF18", "bfl 2f, .+4", 0x40000),
                                             ("THM_BF12", ".inst.w 0xf000e001", 0x1000)])
def test_branch_future(tc, name, code, reach):
    obj = tc.asm(f".syntax unified\n.arch armv8.1-m.main\n.thumb\n.globl _start\n_start: .space 4\n"
                 f".reloc ., R_ARM_{name}, x\n{code}\n nop\n nop\n2: nop\n")
    for distance in (4, 6, reach - 2, 4 - reach, -reach):
        # As GNU ld's, the distance counts from the instruction, and 4 is taken off by the addend of gas.
        flags = ["-Ttext=0x100000", f"--defsym=x={0x100004 + distance:#x}", obj]
        done = tc.ld("a", *flags, check=False)
        if done.rc == 0:
            assert tc.elf(done.path).data(".text").hex() == tc.gnu.elf(tc.gnu.ld("a", *flags).path).data(".text").hex()
        else:
            assert distance == -reach and f"R_ARM_{name}" in done.err
    for distance in (reach + 4, -reach - 8):
        done = tc.ld("a", "-Ttext=0x100000", f"--defsym=x={0x100004 + distance:#x}", obj, check=False)
        assert done.rc == 1 and f"R_ARM_{name}" in done.err


@pytest.mark.targets("armhf")
@pytest.mark.parametrize("name,code", [
    ("SBREL32", ".word 4"), ("MOVW_BREL_NC", "movw r0, #4"), ("MOVT_BREL", "movt r0, #4"), ("LDR_SB_G0", "ldr r0, [r9, #4]")])
def test_static_base(tc, name, code):
    """The base is where the writable segment starts, for position-independent data (r9)."""
    obj = tc.asm(f".arch armv7-a\n.text\n.globl _start\n_start:\n.reloc ., R_ARM_{name}, d\n{code}\n.data\n.space 64\n"
                 ".globl d\n.type d, %object\nd: .word 0\n")
    word = int.from_bytes(tc.elf(tc.ld("a", "-Tdata=0x30000", obj).path).data(".text")[:4], "little")
    expected = {"SBREL32": 0x44, "MOVW_BREL_NC": 0xe3000044, "MOVT_BREL": 0xe3400000, "LDR_SB_G0": 0xe5990044}
    assert word == expected[name]
