"""The table of options: every row is sound, and what is made from it is up to date."""

import subprocess
import sys
from pathlib import Path

import pytest

import mclink
from mclink.diag import LinkError
from mclink.options import parse, run_action
from mclink.options import help as help_module
from mclink.options.defaults import LIST_OPTIONS, Options
from mclink.options.ignored import PREFIXES
from mclink.options.manual import manual_text
from mclink.options.parser import _Reader
from mclink.options.table import COMMON, build_index, load_all
from mclink.options.zwords import ZWORDS
from mclink.tree import State

ROWS = load_all() + tuple(row for _, row in PREFIXES)
PLAIN = ("set", "str", "append", "none", "choice", "int", "hex", "state")
TARGETS = {"arm", "aarch64", "x86", "mips", "ppc", "riscv", "s390"}
ROOT = Path(mclink.__file__).parent.parent


def ident(row):
    return row[0].split()[-1]


@pytest.mark.parametrize("row", ROWS + ZWORDS, ids=ident)
def test_row(row):
    spellings, argument, action, name, value, effect, text = row
    assert action in PLAIN or callable(getattr(_Reader, action))
    if action in ("set", "str", "append", "int", "hex", "choice") and name is not None:
        assert hasattr(Options(), name), name
    if action == "append":
        assert name in LIST_OPTIONS
    if action == "state":
        assert name in State.__slots__
    if action in ("str", "int", "hex", "choice"):
        assert argument and argument[0] != "["
    if action in ("set", "state"):
        assert not argument
    assert text and text[0].isupper() and not text.endswith(".")
    assert effect in ("", "~") or effect[0] in "-@!"
    if effect[:1] == "@":
        assert set(effect[1:].split(",")) <= TARGETS
    elif effect not in ("", "~"):
        assert len(effect) > 10


def test_no_spelling_twice():
    seen = set()
    for row in load_all():
        for spelling in set(name.lstrip("-") + "-" * (len(name.lstrip("-")) == 1) for name in row[0].split()):
            assert spelling not in seen, spelling
            seen.add(spelling)
    words = [row[0] for row in ZWORDS]
    assert len(words) == len(set(words))


def test_every_option_of_the_table_parses():
    """Each long spelling with a plausible argument, one dash and two; none ends in a Python error."""
    arguments = {"N": "1", "SIZE": "16", "COUNT": "1", "ADDRESS": "10", "SYMBOL=EXPRESSION": "a=1",
                 "SECTION=ADDRESS": ".a=1", "GLOB=FILE": "a=b", "GLOB=STYLE[:LEVEL]": "a=zlib",
                 "US": "1", "F": "0.5"}
    for row in load_all():
        if row[5][:1] == "!":
            continue
        for spelling in row[0].split():
            if spelling in ("--pop-state", "--end-group", "-)", "--end-lib", "-z", "-a"):
                continue
            value = arguments.get(row[1], "x")
            if row[2] == "choice":
                value = row[4].split()[0]
            elif row[2] == "on_unresolved":
                value = "ignore-all"
            bare = spelling.lstrip("-")
            for dashes in ("--", "-"):
                if dashes == "-" and bare[0] == "o" and len(bare) > 1:
                    continue
                if dashes == "--" and len(bare) == 1:
                    continue
                if dashes == "-" and bare[0] in "lLzO" and row not in COMMON:
                    continue
                words = [dashes + bare, value] if row[1] and row[1][0] != "[" else [dashes + bare]
                given = parse([*words, "a.o"], "ld").given
                assert given[0][1] is row, spelling


def test_every_z_word_parses():
    values = {"=SIZE": "4096", "=LEVEL": "error", "=GLOB=VALUE": ".debug*=0", "=PADDING": "prefix-nop"}
    for row in ZWORDS:
        value = row[4].split()[0] if row[2] == "choice" else values.get(row[1])
        word = row[0] + (f"={value}" if row[1] else "")
        options = parse(["-z", word, "a.o"], "ld")
        assert options.early_messages == [] and options.given[0][1] is row


def test_lists_are_declared():
    assert all(getattr(Options, name) is None for name in LIST_OPTIONS)


def test_common_table_is_enough_for_gcc():
    """gcc's usual lines never load the rest of the table: start-up is part of the speed."""
    line = ("-plugin p -plugin-opt=x -plugin-opt=-pass-through=-lgcc --build-id --eh-frame-hdr "
            "-m elf_x86_64 --hash-style=gnu --as-needed -dynamic-linker /lib/ld.so -pie -o a.out "
            "crt1.o -L/usr/lib -L. a.o -lstdc++ -lm --push-state --as-needed -lgcc_s --pop-state "
            "--start-group -lgcc -lc --end-group -static -z now -zrelro -O1 -s --gc-sections "
            "-soname x -shared -rpath /a -E --version-script=v -Bsymbolic --no-as-needed "
            "--whole-archive --no-whole-archive -Bstatic -Bdynamic --no-dynamic-linker -r -melf_x86_64")
    reader = _Reader("ld")
    reader.read(line.split())
    assert not reader.complete


def test_index_keeps_short_and_long_apart():
    index = build_index(COMMON, {})
    assert index["-o"] is index["output"] and "o" not in index


# -- what is made from the table

def test_manual_is_up_to_date():
    path = Path(__file__).resolve().parents[2] / "docs" / "options.md"
    if not path.exists():
        pytest.fail("docs/options.md is missing; run python -m mclink.options.manual")
    assert path.read_text() == manual_text()


def answer(line, capsys, program="ld.mclink"):
    status = run_action(parse(line.split(), program))
    return status, capsys.readouterr().out


def test_help_names_everything(capsys):
    status, text = answer("--help", capsys)
    assert status == 0
    for row in load_all():
        if row[5][:1] != "!":
            assert row[0].split()[-1] in text
    for row in ZWORDS:
        if row[5][:1] != "-":
            assert f"-z {row[0]}" in text
    # libtool decides by this line whether shared libraries can be made.
    assert any(": supported targets:" in line and " elf" in line for line in text.splitlines())
    assert any(": supported emulations: elf_x86_64" in line for line in text.splitlines())


def test_what_follows_help_is_not_read(capsys):
    assert answer("--help --no-such-option", capsys)[0] == 0
    assert answer("--version --no-such-option", capsys)[0] == 0


# Each test below is the pattern that the named program applies to our text.

def first_line(capsys, program="ld"):
    return answer("--version", capsys, program)[1].splitlines()[0]


def test_libtool_and_autoconf_accept_the_version(capsys):
    text = answer("-v", capsys)[1]
    assert "GNU" in text
    # libtool.m4, supports_anon_versioning: case *\ [01].* | *\ 2.[0-9].* | *\ 2.10.* means no.
    import fnmatch
    for pattern in ("* [01].*", "* 2.[0-9].*", "* 2.10.*", "* 2.11.*"):
        assert not fnmatch.fnmatchcase(text.strip(), pattern)


def test_linux_ld_version_script_accepts_the_version(capsys):
    words = first_line(capsys).split()
    assert words[:2] == ["GNU", "ld"] and words[-1] == "2.40"


def test_meson_accepts_the_version(capsys):
    import re
    text = answer("--version", capsys)[1]
    assert "GNU" in text and "gold" not in text and not text.startswith(("LLD", "mold"))
    assert re.search(r"(?<!(\d|\.))(\d{1,2}(\.\d+)+(-[a-zA-Z0-9]+)?)", text).group() == "2.40"


def test_gcc_and_glibc_configure_accept_the_version(capsys):
    import re
    line = first_line(capsys)
    assert re.match(r"^.*[ \t]([0-9][0-9]*\.[0-9][0-9]*.*)$", line).group(1) == "2.40"
    assert re.match(r"GNU ld.* ([0-9][0-9]*\.[0-9.]*)", line).group(1) == "2.40"


@pytest.mark.parametrize("program, start", [
    ("ld", "GNU ld"), ("ld.bfd", "GNU ld"), ("x-ld", "GNU ld"), ("/b/ld.gold", "GNU gold"),
    ("ld.lld", "LLD 19"),
])
def test_version_follows_the_name_of_the_program(capsys, program, start):
    assert first_line(capsys, program).startswith(start)


def test_version_line_from_the_environment(capsys, monkeypatch):
    import posix
    monkeypatch.setitem(posix.environ, b"MCLINK_VERSION_LINE", b"GNU ld (Special) 2.99")
    assert first_line(capsys) == "GNU ld (Special) 2.99"


def test_v_goes_on_only_when_there_is_something_to_link(capsys):
    assert answer("-v", capsys)[0] == 0
    assert answer("-v a.o", capsys)[0] is None
    status, text = answer("-V a.o", capsys)
    assert status is None and "Supported emulations:\n   elf_x86_64\n" in text


def test_no_input_files():
    with pytest.raises(LinkError, match="no input files"):
        run_action(parse([], "ld"))


def test_explain_options(capsys):
    status, text = answer("--explain-options -o x --icf=all -z now -z bogus --no-fork --fix-v4bx a.o", capsys)
    assert status == 0
    assert "-o x\n    Write the output to FILE\n" in text
    assert "--icf=all\n" in text and "does not act on it yet" in text
    assert "-z now\n    Bind all functions" in text
    assert "-z bogus\n" in text and "no such keyword" in text
    assert "--no-fork\n" in text and "No effect: the link never forks." in text
    assert "Only for these targets: arm." in text
    assert text.endswith("7 options, 3 without effect\n")


def test_print_sysroot(capsys):
    assert answer("--print-sysroot --sysroot=/x", capsys) == (0, "/x\n")


def test_gcc_folder_holds_an_ld():
    assert Path(help_module.gcc_folder(), "ld").exists()


def test_parsing_imports_nothing_heavy():
    code = ("import sys; sys.path.insert(0, sys.argv[1])\n"
            "from mclink.options import parse\n"
            "parse('-o x -z now --gc-sections -L/x a.o -lc --no-relax'.split(), 'ld')\n"
            "print(*sys.modules)")
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code, str(ROOT)], capture_output=True,
                          text=True, check=True)
    heavy = {"re", "os", "typing", "dataclasses", "enum", "logging", "argparse", "pathlib",
             "subprocess", "collections", "json", "mclink.options.help"}
    assert not heavy & set(done.stdout.split())


# -- the table against the rest of the linker

def other_sources():
    folder = Path(mclink.__file__).parent
    return {path.relative_to(folder): path.read_text() for path in folder.rglob("*.py")
            if path.relative_to(folder).parts[0] not in ("options", "build")}


def test_every_option_that_is_read_is_declared():
    import re
    known = set(dir(Options()))
    for path, text in other_sources().items():
        for name in re.findall(r"\boptions\.([a-z]\w*)", text):
            assert name in known or name in ("parse", "run_action", "Options", "defaults"), (path, name)


def test_an_option_said_to_have_effect_is_read_somewhere():
    """A row that promises effect ("") names an attribute that some phase reads.

    Mark the row "~" (not acted on yet) or "-why" when this fails and nothing shall be done about it.
    """
    import re
    text = "\n".join(other_sources().values())
    defaults = Options()
    lying = []
    for row in load_all() + ZWORDS:
        name = {"df": "z_df", "df1": "z_df_1"}.get(row[2], row[3])
        if row[5] or row[2] in ("state", "none", "undf1", "on_action") or not name or name[0] == ".":
            continue
        if row[2] == "set" and (row[4] == getattr(defaults, name) or "(default)" in row[6]):
            continue
        if name not in ("output_kind", "print_version") and not re.search(rf"[.\"']{name}\b", text):
            lying.append(row[0])
    assert not lying
