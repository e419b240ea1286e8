"""The rows of bench/script_support.py, whose table stands in README.md, hold for this linker; GNU ld agrees with what each
row expects, where it has the construct."""

import importlib.util
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[3] / "bench"

pytestmark = pytest.mark.targets("amd64")

#: constructs of later releases than the GNU ld that the tests run
LATER = ("`ASCIZ`", "`CLASS(name)`", "`REVERSE`")


@pytest.fixture(scope="module")
def support():
    sys.path.insert(0, str(BENCH))
    try:
        spec = importlib.util.spec_from_file_location("script_support", BENCH / "script_support.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(BENCH))
    return module


@pytest.mark.lacks(gold="the table says what", lld="the table says what", mold="the table says what")
def test_every_row_holds(tc, support):
    support.prepare(str(tc.dir))
    peer = support.peers.Peer("mclink", [tc.linker.path], "bfd", "")
    reference = support.peers.Peer("bfd", [tc.gnu.linker.path], "bfd", "")
    wrong = [row[0] for n, row in enumerate(support.ROWS) if support.verdict(peer, str(tc.dir), n) != "yes"]
    assert not wrong
    unsure = [row[0] for n, row in enumerate(support.ROWS) if row[0] not in LATER and support.verdict(reference, str(tc.dir), n) != "yes"]
    assert not unsure


def test_the_table_in_the_readme_is_of_these_rows(support):
    text = (BENCH.parent / "README.md").read_text()
    for row in support.ROWS:
        assert f"\n| {row[0].replace('|', chr(92) + '|')} | yes |" in text, row[0]
