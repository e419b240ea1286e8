"""Every fault of the core has its words: file, place, symbol, and no field left unfilled."""

import io
import subprocess

import pytest

from mclink import diag, fault_text
from mclink.context import Link
from mclink.driver import prepare_link, run_phase

SOURCE = "int missing(int); int variable = 3; static int helper(void) { return missing(2); }\n" \
         "int main(void) { return missing(1) + helper() + variable; }\n"
# Of grouped faults the rows of the tables tell, not the fault alone; an allocation failure has no place.
GROUPED = {"undefined-symbol"}
PLACELESS = {"no-memory"}


@pytest.fixture(scope="module")
def link(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    (folder / "user.c").write_text(SOURCE)
    subprocess.run(["gcc", "-g", "-c", "user.c"], cwd=folder, check=True)
    made = Link()
    prepare_link(made, ["ld.mclink", "-r", str(folder / "user.o"), "-o", str(folder / "out.o")])
    for phase in ("inputs", "graph"):
        run_phase(made, phase)
    return made


def text_fragment(link):
    from mclink._core import files, load
    file = files.live_files(link.tables)[1]
    for frag in range(1, files.count_sections(link.tables)):
        if load.fragment(link.tables, frag)[0] == file and load.section_name(link.tables, frag) == ".text":
            return file, frag
    raise AssertionError("no .text")


def said(link, **fault):
    row = dict.fromkeys(fault_text.FIELDS, 0)
    row.update(fault)
    link.diag.stream = io.StringIO()
    link.diag.errors = 0
    link.diag._said.clear()
    fault_text.report_all(link, [tuple(row[name] for name in fault_text.FIELDS)])
    return link.diag.stream.getvalue()


@pytest.mark.parametrize("code", sorted(diag.FAULTS))
@pytest.mark.parametrize("with_place", [False, True])
def test_every_fault_has_words(link, code, with_place):
    file, frag = text_fragment(link)
    for kind in range(9):
        text = said(link, code=code, file=file, frag=frag if with_place else 0, offset=4, type=kind, sym=1,
                    value=3, low=-4, high=4)
        if diag.FAULTS[code] in GROUPED:
            continue
        head = text.partition("\n")[0]
        assert head.startswith("ld.mclink: error: ") or head.startswith("ld.mclink: warning: ")
        assert "{" not in text and "}" not in text
        if diag.FAULTS[code] not in PLACELESS and (with_place or "place" not in diag.CATALOGUE[diag.FAULTS[code]][1]):
            assert "user.o" in text, text


def test_place_and_line_of_a_relocation(link):
    file, frag = text_fragment(link)
    text = said(link, code=7, file=file, frag=frag, offset=10, type=2, sym=2, value=1 << 40, low=-(1 << 31),
                high=(1 << 31) - 1)
    head, *rest = text.rstrip("\n").split("\n")
    assert "user.o:(function helper: .text+0xa): relocation R_X86_64_PC32 out of range: 1099511627776 is not in " \
        "[-2147483648, 2147483647]; references " in head
    assert rest[0].startswith(">>> referenced by user.c:1 (") and rest[1].endswith("user.o:(helper)")
    assert any("code model" in line for line in rest)


def test_numbers_beyond_the_tables_are_survived(link):
    for code in diag.FAULTS:
        if diag.FAULTS[code] not in GROUPED:
            assert said(link, code=code, file=1, frag=0, sym=1 << 31, type=1 << 20, value=1 << 31)
