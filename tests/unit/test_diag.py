"""Messages: form, counting, limits, the switches that change them."""

import io
import re
from pathlib import Path

import pytest

import mclink
from mclink import diag as diag_module
from mclink.diag import CATALOGUE, FAULTS, Diagnostics, LinkError, add_messages, format_message
from mclink.options import parse


def make(line=""):
    stream = io.StringIO()
    return Diagnostics(parse([*line.split(), "a.o"], "ld"), stream), stream


def test_form_of_messages():
    diag, stream = make()
    diag.error("undefined symbol: f\n>>> referenced by a.c:12 (dir/a.c:12)")
    diag.warn("odd")
    diag.note("by the way")
    assert stream.getvalue() == (
        "ld.mclink: error: undefined symbol: f\n>>> referenced by a.c:12 (dir/a.c:12)\n"
        "ld.mclink: warning: odd\nld.mclink: note: by the way\n")
    assert (diag.errors, diag.warnings, diag.status()) == (1, 1, 1)
    assert diag.messages[1] == ("warning", "odd")


def test_check_ends_the_link_only_after_an_error():
    diag, _ = make()
    diag.warn("w")
    diag.check()
    diag.error("e")
    with pytest.raises(LinkError) as caught:
        diag.check()
    assert str(caught.value) == ""
    diag.fatal(caught.value)
    assert diag.errors == 1


def test_same_message_is_said_once():
    diag, stream = make()
    for _ in range(3):
        diag.error("e")
        diag.warn("w")
    assert (diag.errors, diag.warnings) == (1, 1)
    assert stream.getvalue().count("\n") == 2


def test_error_limit():
    diag, stream = make("--error-limit=3")
    for n in range(3):
        diag.error(f"e{n}")
    with pytest.raises(LinkError):
        diag.error("e3")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 4 and "too many errors" in lines[3] and "e3" not in stream.getvalue()


def test_no_error_limit():
    diag, stream = make("--error-limit=0")
    for n in range(100):
        diag.error(f"e{n}")
    assert diag.errors == 100


def test_default_error_limit_is_twenty():
    diag, _ = make()
    with pytest.raises(LinkError):
        for n in range(21):
            diag.error(f"e{n}")


def test_fatal_warnings():
    diag, stream = make("--fatal-warnings")
    diag.warn("odd\n>>> here")
    assert diag.status() == 1
    assert stream.getvalue() == "ld.mclink: error: odd [--fatal-warnings]\n>>> here\n"


def test_no_warnings_beats_fatal_warnings():
    diag, stream = make("--fatal-warnings -w")
    diag.warn("odd")
    assert diag.status() == 0 and stream.getvalue() == ""


def test_noinhibit_exec_makes_errors_warnings():
    diag, stream = make("--noinhibit-exec --fatal-warnings")
    diag.error("undefined symbol: f")
    assert diag.status() == 0
    assert stream.getvalue() == "ld.mclink: warning: undefined symbol: f\n"
    diag.check()


def test_fatal_error_is_counted():
    diag, stream = make("--noinhibit-exec")
    diag.fatal(LinkError("cannot open x"))
    assert diag.status() == 1 and "error: cannot open x" in stream.getvalue()


def test_messages_of_the_parser_are_said():
    diag, stream = make("-z bogus -(")
    assert stream.getvalue() == (
        "ld.mclink: warning: -z bogus ignored\n"
        "ld.mclink: note: missing --end-group; added as last command line option\n")
    assert diag.warnings == 1


def test_unknown_z_word_is_fatal_only_under_fatal_warnings():
    assert make("-z bogus")[0].status() == 0
    assert make("-z bogus --fatal-warnings")[0].status() == 1


@pytest.mark.parametrize("line, coloured", [("", False), ("--color-diagnostics", True),
                                            ("--color-diagnostics=never", False)])
def test_colour(line, coloured):
    diag, stream = make(line)
    diag.error("e")
    assert ("\x1b[" in stream.getvalue()) == coloured


def test_colour_on_a_terminal():
    class Terminal(io.StringIO):
        def isatty(self):
            return True
    stream = Terminal()
    Diagnostics(None, stream).error("e")
    assert "\x1b[" in stream.getvalue()


def test_names_that_are_no_text():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Diagnostics(None, stream).error("undefined symbol: caf\udce9")
    stream.flush()
    assert stream.buffer.getvalue() == b"ld.mclink: error: undefined symbol: caf\\udce9\n"


def test_two_links_share_nothing():
    first, _ = make()
    second, stream = make()
    first.error("e")
    second.error("e")
    assert second.errors == 1 and "e" in stream.getvalue()


# -- catalogue

def test_report_fills_the_template():
    diag, stream = make()
    diag.report("reloc-range", "defined in b.o", place="a.o:(.text+0x1)", type="R_X86_64_PC32",
                value=5, low=-1, high=1, references="; references f")
    assert stream.getvalue() == (
        "ld.mclink: error: a.o:(.text+0x1): relocation R_X86_64_PC32 out of range: 5 is not in "
        "[-1, 1]; references f\n>>> defined in b.o\n")


def test_faults_are_said_in_file_order_whatever_the_threads_did():
    rows = [(2, 1, 0, 5), (1, 3, 8, 5), (1, 3, 4, 5), (1, 2, 9, 5)]

    def describe(fault):
        return {"place": f"{fault[0]}:({fault[1]}+{fault[2]:#x})", "number": 1}, ()

    texts = []
    for order in (rows, rows[::-1], sorted(rows)):
        diag, stream = make()
        diag.report_all(order, describe)
        texts.append(stream.getvalue())
    assert texts[0] == texts[1] == texts[2]
    assert re.findall(r"(\d:\(\S+\))", texts[0]) == [
        "1:(2+0x9)", "1:(3+0x4)", "1:(3+0x8)", "2:(1+0x0)"]


def test_every_row_can_be_formatted():
    class Anything(dict):
        def __missing__(self, key):
            return 1
    for key, (severity, _) in CATALOGUE.items():
        assert severity in ("error", "warning", "note")
        assert format_message(key, Anything())[1]


def test_fault_numbers_match_the_core():
    """The numbers of fault.pxd and the rows of FAULTS are the same set, each with a message."""
    text = (Path(mclink.__file__).parent / "_core" / "fault.pxd").read_text()
    numbers = {int(n): name for name, n in re.findall(r"(FAULT_\w+)\s*=\s*(\d+)", text)}
    expected = {n for n in numbers if 0 < n < 64}
    assert expected == {n for n in FAULTS if n < 64}
    assert all(key in CATALOGUE for key in FAULTS.values())


def test_an_id_is_entered_once():
    with pytest.raises(ValueError):
        add_messages({"undefined-symbol": ("error", "something else")})


def test_target_faults(monkeypatch):
    monkeypatch.setattr(diag_module, "FAULTS", dict(FAULTS))
    monkeypatch.setattr(diag_module, "CATALOGUE", dict(CATALOGUE))
    diag_module.add_faults({64: ("odd-instruction", "error", "{place}: odd")})
    diag, stream = make()
    diag.report_all([(1, 1, 1, 64)], lambda fault: ({"place": "p"}, ()))
    assert stream.getvalue() == "ld.mclink: error: p: odd\n"


# -- --error-handling-script

def test_error_handling_script(tmp_path):
    script, out = tmp_path / "script", tmp_path / "out"
    script.write_text(f'#!/bin/sh\necho "$1 $2" >> {out}\nexit 3\n')
    script.chmod(0o755)
    diag, _ = make(f"--error-handling-script={script}")
    diag.run_error_script("undefined-symbol", "f")
    diag.run_error_script("missing-lib", "z")
    assert out.read_text() == "undefined-symbol f\nmissing-lib z\n"
    assert diag.status() == 0


def test_error_handling_script_that_is_not_there():
    diag, stream = make("--error-handling-script=/nonexistent/script")
    diag.run_error_script("missing-lib", "z")
    assert "warning: cannot run error handling script" in stream.getvalue()
