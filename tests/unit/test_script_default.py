"""The default scripts: the same statements as GNU ld prints for the same options."""

import difflib
import shutil
import subprocess

import pytest

from mclink.script.parser import parse_script
from mclink.script.sources import BUILTIN_END, Sources
from mclink.target import stored
from mclink.target.default_script import script_text
from mclink.target.stored import parse_builtin
from mclink.target.style import Variant
from mclink.target.styles import STYLES

# emulation -> the GNU ld that has it
EMULATIONS = {"elf_x86_64": "ld.bfd", "elf_i386": "ld.bfd", "elf32_x86_64": "ld.bfd",
              "aarch64linux": "aarch64-linux-gnu-ld.bfd", "aarch64linuxb": "aarch64-linux-gnu-ld.bfd",
              "armelf_linux_eabi": "arm-linux-gnueabihf-ld.bfd", "armelfb_linux_eabi": "arm-linux-gnueabihf-ld.bfd",
         "elf64lppc": "powerpc64le-linux-gnu-ld.bfd", "elf64ppc": "powerpc64-linux-gnu-ld.bfd",
              **dict.fromkeys(("elf32ltsmip", "elf32btsmip", "elf32ltsmipn32", "elf32btsmipn32", "elf64ltsmip", "elf64btsmip"),
                              "mipsel-linux-gnu-ld.bfd")}


def cases():
    for kind, option in (("exec", []), ("pie", ["-pie"]), ("shared", ["-shared"])):
        for separate in (1, 0):
            for relro in (True, False):
                for now in (False, True):
                    for combreloc in (True, False):
                        options = option + [
                            "-z", "separate-code" if separate else "noseparate-code",
                            "-z", "relro" if relro else "norelro", "-z", "now" if now else "lazy",
                            "-z", "combreloc" if combreloc else "nocombreloc"]
                        yield options, dict(kind=kind, separate=separate, relro=relro, now=now,
                                            combreloc=combreloc)
    yield ["-N"], dict(omagic=True)
    yield ["-n"], dict(nmagic=True)
    yield ["-N", "-shared"], dict(kind="shared", omagic=True)
    yield ["-n", "-pie", "-z", "now"], dict(kind="pie", nmagic=True, now=True)
    yield ["-r"], dict(kind="relocatable")
    yield ["-Ur"], dict(kind="constructors")
    yield ["-r", "-z", "now", "-z", "separate-code"], dict(kind="relocatable", now=True)


def bare(node):
    if type(node) is not tuple:
        return node
    if len(node) > 1 and type(node[0]) is str and type(node[1]) is int and node[1] >= BUILTIN_END:
        node = node[:1] + node[2:]
    return tuple(bare(part) for part in node)


def statements(text):
    """One line a statement, without SEARCH_DIR, which names folders of the distribution."""
    found = []
    for node in bare(parse_script(text, "script", Sources())):
        if node[0] == "SECTIONS":
            found += map(repr, node[1])
        elif node[0] != "SEARCH_DIR":
            found.append(repr(node))
    return found


@pytest.mark.parametrize("emulation", EMULATIONS)
def test_as_gnu_ld(emulation):
    different = []
    for options, choice in cases():
        output = subprocess.run([EMULATIONS[emulation], "-m", emulation, *options, "--verbose"], check=True,
                                capture_output=True, text=True).stdout
        theirs = statements(output.split("=" * 50)[1])
        ours = statements(script_text(STYLES[emulation](), Variant(**choice)))
        if not any(".relr.dyn" in line for line in theirs):
            # Release 2.40 leaves it to the rules for orphans on some targets; later ones name it where ours does.
            ours = [line for line in ours if ".relr.dyn" not in line]
        assert len(theirs) > 60
        lines = list(difflib.unified_diff(theirs, ours, "GNU ld", "mclink", n=0, lineterm=""))
        if lines:
            different.append("\n".join([" ".join(options), *lines[:10]]))
    assert not different, "\n\n".join(different)


def test_search_dirs():
    tree = parse_script(script_text(STYLES["elf_x86_64"](), Variant()), "s", Sources())
    folders = [node[2] for node in tree if node[0] == "SEARCH_DIR"]
    assert folders == STYLES["elf_x86_64"]().search_dirs()
    assert folders[0] == "=/usr/local/lib/x86_64-linux-gnu" and "=/usr/lib" in folders


@pytest.mark.parametrize("emulation", STYLES)
def test_every_script_parses(emulation):
    for _, choice in cases():
        for prefix in (False, True):
            for separate in (choice.get("separate", 1), 2):
                variant = Variant(**choice | dict(text_prefix=prefix, separate=separate))
                statements(script_text(STYLES[emulation](), variant))


def test_text_prefixes_are_sections_of_their_own():
    tree = bare(parse_script(script_text(STYLES["elf_x86_64"](), Variant(text_prefix=True)), "s",
                             Sources()))
    (sections,) = (node[1] for node in tree if node[0] == "SECTIONS")
    names = [node[1] for node in sections if node[0] == "OUTSEC" and node[1].startswith(".text")]
    assert names == [".text.unlikely", ".text.exit", ".text.startup", ".text.hot", ".text"]


def store(folder, monkeypatch, checked=False):
    """Stored trees in `folder`/scripts, where `default_tree` looks for them now; the Style."""
    style = STYLES["elf_x86_64"]()
    stored.store_trees([style], str(folder / "scripts"), checked)
    monkeypatch.setattr(stored, "FOLDER", str(folder))
    return style


def test_stored(tmp_path, monkeypatch):
    style = store(tmp_path, monkeypatch)
    monkeypatch.setattr(stored, "parse_builtin", lambda *_: pytest.fail("not stored"))
    for kind in ("exec", "pie", "shared", "relocatable"):
        sources = Sources()
        tree = stored.default_tree(style, Variant(kind), sources)
        assert tree == parse_builtin(script_text(style, Variant(kind)), Sources())
        assert all(0 < node[1] < BUILTIN_END for node in tree)
        assert sources.describe(tree[1][1]) == "built-in linker script:2:1"


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:100], lambda data: b"\xff" * 100])
def test_a_bad_store_is_ignored(tmp_path, monkeypatch, damage):
    style = store(tmp_path, monkeypatch)
    for file in (tmp_path / "scripts").iterdir():
        file.write_bytes(damage(file.read_bytes()))
    tree = stored.default_tree(style, Variant(), Sources())
    assert tree == parse_builtin(script_text(style, Variant()), Sources())


def test_edits_count_in_a_source_tree(tmp_path, monkeypatch):
    for name in stored.source_names():
        shutil.copy2(f"{stored.FOLDER}/{name}", tmp_path)
    style = store(tmp_path, monkeypatch, checked=True)
    parsed = []
    monkeypatch.setattr(stored, "parse_builtin", lambda *_: parsed.append(1))
    stored.default_tree(style, Variant(), Sources())
    assert not parsed
    with open(tmp_path / "styles.py", "a") as stream:
        stream.write("#\n")
    stored.default_tree(style, Variant(), Sources())
    assert parsed
