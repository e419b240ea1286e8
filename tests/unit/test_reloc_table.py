"""The vocabulary of relocations and amd64's table: equal numbers in Python and in the core, sound rows."""

import re
from pathlib import Path

import pytest
from elftools.elf.enums import ENUM_RELOC_TYPE_x64

from mclink.layout import scan
from mclink.target import (EMULATIONS, emulation_of_format, emulation_of_machine, emulation_of_triple, load,
                           reloc, x86_64)

CORE = Path(__file__).resolve().parents[2] / "mclink" / "_core"


def core_constants(path, prefix):
    """NAME = number lines of a Cython file, for names that start with `prefix`."""
    text = (CORE / path).read_text()
    return {name: int(number) for name, number in re.findall(rf"^    ({prefix}\w+) = (\d+)", text, re.M)}


@pytest.mark.parametrize("prefix", ["Q_", "R_", "TYPE_", "FIELD_"])
def test_numbers_are_those_of_the_core(prefix):
    core = core_constants("ops.pxd", prefix)
    core.pop("Q_COUNT", None), core.pop("FIELD_ARCH_COUNT", None)
    assert core
    assert {name: getattr(reloc, name) for name in core} == core


def test_decision_table_rows_are_those_of_the_core():
    forms = core_constants("scan.pyx", "FORM_")
    assert forms.pop("FORM_COUNT") == len(scan.FORMS)
    assert sorted(forms.values()) == list(range(len(scan.FORMS)))
    assert [name[5:].lower() for name in sorted(forms, key=forms.get)] == list(scan.FORMS)
    actions = core_constants("scan.pyx", "ACT_")
    words = [name[4:].lower().replace("_or_", "|") for name in sorted(actions, key=actions.get)]
    assert words == list(scan.ACTIONS)
    assert sorted(actions.values()) == list(range(len(actions)))


@pytest.mark.parametrize("output", ["exec", "pie", "shared"])
def test_decisions_are_complete(output):
    kinds = core_constants("scan.pyx", "KIND_")["KIND_COUNT"]
    table = scan.compile_decisions(output)
    assert len(table) == len(scan.FORMS) * kinds
    # Only an image with a fixed address may keep whole addresses.
    word = table[:kinds]
    assert (scan.ACTIONS[word[0]] == "relative") == (output != "exec")


def test_relaxation_families_are_those_of_the_core():
    core = core_constants("arch/x86.pyx", "FAMILY_")
    assert {name[7:].lower(): number for name, number in core.items()} == x86_64.FAMILIES


def test_amd64_names_and_numbers():
    """pyelftools' table is made from the psABI by other hands."""
    theirs = {number: name for name, number in ENUM_RELOC_TYPE_x64.items() if isinstance(number, int)}
    for number, name, *_ in x86_64.RELOCS:
        if number in theirs and not theirs[number].startswith(name):
            raise AssertionError((number, name, theirs[number]))
    numbers = [row[0] for row in x86_64.RELOCS]
    assert len(set(numbers)) == len(numbers)
    assert set(range(38)) <= set(numbers)


def test_amd64_ranges():
    rows = {row[0]: row for row in reloc.compile_rows(x86_64.RELOCS, x86_64.SYMBOLIC, x86_64.FAMILIES)}
    low, high = 8, 9
    assert rows[10][low] == 0 and rows[10][high] == 2**32 - 1              # R_X86_64_32 zero-extends
    assert rows[11][low] == -2**31 and rows[11][high] == 2**31 - 1         # R_X86_64_32S sign-extends
    assert rows[1][5] & reloc.TYPE_WORD and not rows[10][5] & reloc.TYPE_WORD
    assert rows[23][5] & reloc.TYPE_TLS and not rows[2][5] & reloc.TYPE_TLS
    for row in rows.values():
        assert row[4] == {0: 0, 1: 1, 2: 2, 3: 4, 4: 8}[row[3]]


def test_unknown_words_are_refused():
    with pytest.raises(KeyError):
        reloc.compile_rows([(1, "R_X", "S + B", "w64")], 1, {})
    with pytest.raises(KeyError):
        reloc.compile_rows([(1, "R_X", "S + A", "w65")], 1, {})


def test_registry():
    assert emulation_of_machine(62, True, False) == "elf_x86_64"
    assert emulation_of_machine(62, True, True) is None
    assert emulation_of_triple("x86_64--netbsd") == "elf_x86_64_nbsd"
    assert emulation_of_triple("x86_64-linux-gnu") == "elf_x86_64"
    assert emulation_of_triple("vax--netbsdelf") is None
    assert emulation_of_format("elf64-x86-64") == "elf_x86_64"
    for emulation in EMULATIONS:
        target = load(emulation)
        assert target.emulation == emulation
        assert target.reloc_name(target.data.RELOCS[1][0]) == target.data.RELOCS[1][1]
        assert target.reloc_name(0xfffe) == f"unknown ({0xfffe})"
    assert load("elf_x86_64").reloc_name(42) == "R_X86_64_REX_GOTPCRELX"


def test_unknown_emulation_is_an_error():
    from mclink.diag import LinkError
    with pytest.raises(LinkError, match="elf_x86_64"):
        load("elf_pdp11")


def test_plt_styles():
    ops = load("elf_x86_64").ops
    assert ops.sizes() == {"header": 16, "entry": 16, "lazy": 0, "got": 8, "push_offset": 6, "align": 16}
    ops.use_plt(x86_64.PLT_STYLES["ibt"])
    assert ops.sizes()["lazy"] == 16
    with pytest.raises(ValueError):
        ops.use_plt(2)


def test_plt_unwind_is_wellformed():
    """The CIE's length word, and a location expression that covers exactly its operations."""
    assert int.from_bytes(x86_64.PLT_EH_CIE[:4], "little") + 4 == len(x86_64.PLT_EH_CIE)
    for ibt in (False, True):
        program = x86_64.plt_eh_program(True, ibt)
        at = program.index(0x0F)
        assert program[at + 1] == len(program) - at - 2
    assert x86_64.plt_eh_program(False, True) == b""
