"""The Python API: phases one by one, two links at once, errors as exceptions."""

import subprocess

import pytest

import mclink
from mclink._core import files, symbols
from mclink.diag import LinkError
from mclink.inputs import load

SOURCE = ".globl _start\n_start: call other\n ret\n"
OTHER = ".globl other\nother: ret\n.section .note.GNU-stack,\"\",@progbits\n"


@pytest.fixture
def objects(tmp_path):
    paths = []
    for name, text in (("a", SOURCE), ("b", OTHER)):
        (tmp_path / f"{name}.s").write_text(text)
        subprocess.run(["as", tmp_path / f"{name}.s", "-o", tmp_path / f"{name}.o"], check=True)
        paths.append(str(tmp_path / f"{name}.o"))
    return paths


def test_phases_one_by_one_give_what_the_program_gives(tmp_path, objects):
    link = mclink.Link(["-o", str(tmp_path / "x"), *objects])
    link.run("inputs")
    assert link.target.emulation == "elf_x86_64" and not (tmp_path / "x").exists()
    link.run("graph")
    gid = symbols.lookup(link.tables, b"other")
    assert symbols.state(link.tables, gid) == symbols.DEFINED
    assert files.file_name(link.tables, symbols.describe(link.tables, gid)[0]) == objects[1]
    link.run("layout")
    assert any(output.name == ".text" for output in link.outputs) and not (tmp_path / "x").exists()
    link.run()
    assert mclink.link(["-o", str(tmp_path / "y"), *objects]) == 0
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()


def test_two_links_at_once(tmp_path, objects):
    first = mclink.Link(["-o", str(tmp_path / "x"), *objects])
    second = mclink.Link(["-o", str(tmp_path / "y"), *reversed(objects)])
    for phase in mclink.Link.PHASES:
        first.run(phase)
        second.run(phase)
    assert mclink.link(["-o", str(tmp_path / "z"), *objects]) == 0
    assert (tmp_path / "x").read_bytes() == (tmp_path / "z").read_bytes()
    assert (tmp_path / "y").read_bytes() != (tmp_path / "z").read_bytes()


def test_errors_are_exceptions(tmp_path, objects):
    link = mclink.Link(["-o", str(tmp_path / "x"), objects[0]])
    with pytest.raises(LinkError):
        link.run()
    assert any("undefined symbol: other" in text for _, text in link.diag.messages)
    assert not (tmp_path / "x").exists()
    with pytest.raises(ValueError):
        link.run("no such phase")


def test_link_returns_the_status(tmp_path, objects, capfd):
    assert mclink.link(["-o", str(tmp_path / "x"), objects[0]]) == 1
    assert "undefined symbol: other" in capfd.readouterr().err


def test_small_inputs_are_linked_by_one_thread_unless_told(tmp_path, objects, monkeypatch):
    monkeypatch.setattr(load, "available_threads", lambda: 3)

    def threads(*words):
        link = mclink.Link([*words, "-o", str(tmp_path / "x"), *objects])
        link.run("inputs")
        return link.extra["threads"]

    assert (threads(), threads("--threads=2")) == (1, 2)
    monkeypatch.setattr(load, "SMALL", 100)
    assert threads() == 3
