"""The bench's own arithmetic and its generated objects (run by pytest; needs binutils and what setup_peers.WHEELS names)."""

import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import measure
import peers
import report
import run
from inputs import case, family


def test_ratio_pairs_runs_of_the_same_round():
    """A round that was slow for both does not move the ratio."""
    runs = {"a": [{"wall": 1.0}, {"wall": 10.0}, {"wall": 1.0}],
            "b": [{"wall": 2.0}, {"wall": 20.0}, {"wall": 2.0}]}
    assert measure.pair_ratio(runs, "a", "b", lambda run: run["wall"]) == 0.5


def test_spread_is_half_the_quartile_distance():
    """1..5: quartiles 1.5 and 4.5, median 3."""
    assert measure.spread([1, 2, 3, 4, 5]) == pytest.approx(0.5)


def test_slow_ones_need_both_limits():
    """Eight times the fastest, and more than five seconds."""
    assert measure.slow_ones({"a": (0.1, 1), "b": (4.0, 1)}) == set()
    assert measure.slow_ones({"a": (1.0, 1), "b": (9.0, 1), "c": (7.0, 1)}) == {"b"}


def test_probe_reports_status_and_time(tmp_path):
    """The exit status passes through, and a sleep is wall time but no processor time."""
    probe = measure.build_probe(str(tmp_path))
    log = str(tmp_path / "log")
    assert measure.run_probe(probe, ["sh", "-c", "exit 3"], log, 10)["status"] == 3
    slept = measure.run_probe(probe, ["sleep", "0.2"], log, 10)
    assert slept["wall"] >= 0.2 and slept["user"] + slept["system"] < 0.1
    assert measure.run_probe(probe, ["sleep", "5"], log, 0.2) is None


def test_peak_is_the_child_s_own(tmp_path):
    """A tiny child does not inherit the size of the Python process that asked."""
    probe = measure.build_probe(str(tmp_path))
    figures = measure.run_probe(probe, ["true"], str(tmp_path / "log"), 10)
    assert figures["peak"] < 5 << 20


def test_captured_line_has_no_plugin_and_no_output():
    """The words a driver would pass, minus the LTO plugin and `-o`."""
    words = list(case.plain_words(["-plugin", "p.so", "-plugin-opt=x", "-o", "a", "-pie", "/"],
                                  "/"))
    assert words == ["-pie", "/"]


@pytest.mark.parametrize("kind", sorted(family.CASES))
def test_generated_objects_are_well_formed_and_repeatable(tmp_path, kind):
    """readelf finds nothing to complain about, and the same seed gives the same bytes."""
    for index in (0, 29):
        data = family.build_object(index, 30, kind)
        assert data == family.build_object(index, 30, kind)
        path = tmp_path / f"{index}.o"
        path.write_bytes(data)
        said = subprocess.run(["readelf", "-aW", path], capture_output=True, text=True)
        assert said.returncode == 0 and said.stderr == ""


@pytest.mark.parametrize("kind", sorted(family.CASES))
def test_generated_family_links_and_counts_are_true(tmp_path, kind):
    """GNU ld links it, the result leaves with the right status, and loses what we say it loses."""
    made = family.prepare_size(str(tmp_path), kind, 1000)
    output = str(tmp_path / "out")
    subprocess.run(["ld.bfd", *made.words, "-o", output], check=True)
    assert family.ends_with_status(output) == ""
    seen = set()
    lost = sections = 0
    for path in made.input_files():
        said = subprocess.run(["readelf", "-gW", path], capture_output=True, text=True).stdout
        names = [line.split("[")[2].split("]")[0] for line in said.splitlines()
                 if line.startswith("COMDAT group section")]
        lost += sum(name in seen for name in names)
        seen.update(names)
        with open(path, "rb") as file:
            sections += int.from_bytes(file.read(62)[60:], "little")
    assert lost == made.size["lost_members"]
    assert sections == made.size["sections"]


def test_an_unknown_peer_is_an_error(tmp_path):
    """What was asked for by name is never left out silently."""
    with pytest.raises(SystemExit):
        peers.find_peers(str(tmp_path), only=["no-such-linker"])
    with pytest.raises(SystemExit):
        peers.find_peers(str(tmp_path), named=["x=/bin/true"])


def test_scaling_is_taken_inside_rounds():
    """Twice as fast in each round, though the rounds differ; floors and single thread counts have no row."""
    def runs(*walls):
        return [{"wall": wall, "user": 1.0, "system": 0.0} for wall in walls]

    record = {"threads": 2, "floors": ["(cp output)"], "runs": {
        "mclink": runs(1.0, 5.0, 2.0), "mclink -j1": runs(2.0, 10.0, 4.0), "gold": runs(1, 1, 1), "(cp output)": runs(1)}}
    rows = [line for line in report.scaling_table(record) if line.startswith("| mclink")]
    assert [row.split(" | ")[1] for row in rows] == ["1", "2"] and rows[1].endswith("| 2.00 | 1.00 |")
    assert not report.scaling_table({**record, "runs": {"gold": runs(1)}})


def test_micro_benchmarks_run(tmp_path):
    """Each gives units and ns a unit; needs pytest-benchmark and a built mclink."""
    assert run.run_micro(str(tmp_path), 1) == 0
    table = (tmp_path / "micro.md").read_text().splitlines()
    assert len(table) == 2 + 5 and all(float(line.split(" | ")[2]) > 0 for line in table[2:])


def test_plots_are_written(tmp_path):
    """One file a case; needs matplotlib."""
    one = {"wall": 1.0, "user": 1.0, "system": 0.0, "peak": 1 << 20}
    results = {"cases": [{"name": "x", "title": "X", "floors": [], "runs": {"mclink": [one], "bfd": [one]}}]}
    assert report.write_plots(results, str(tmp_path))
    assert (tmp_path / "x.png").read_bytes()[:4] == b"\x89PNG"


def test_a_failed_mclink_fails_the_run():
    """The smoke in CI must be able to fail; a peer's failure is only a remark."""
    mclink = peers.Peer("mclink", ["ld"], "mclink", "")
    cases = [{"name": "x", "unable": {"mclink": "status 1"}}]
    assert run.judge({"cases": cases}, [mclink]) == 1
    assert run.judge({"cases": [{"name": "x", "unable": {"bfd": "no"}}]}, [mclink]) == 0
