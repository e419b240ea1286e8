"""Judgement of an output by other programs, and against GNU ld's output from the same objects."""

import os
import re
from collections import namedtuple

from harness.elf import Elf
from harness.toolchain import run_command


# -- eu-elflint

def lint(path):
    """Return the kinds of complaint eu-elflint has about a file: messages with numbers and section names blanked."""
    done = run_command(["eu-elflint", "--gnu-ld", path], check=False)
    kinds = set()
    for line in (done.out + done.err).splitlines():
        line = line.strip()
        # Scripts of MIPS put it where __bss_start is, about which eu-elflint does not complain: in front of a gap.
        if line and line != "No errors" and "(_fbss): st_value out of bounds" not in line:
            line = re.sub(r"\b0x[0-9a-f]+\b|\b\d+\b", "N", line)
            kinds.add(re.sub(r"'[^']*'", "'...'", line.replace(str(path), "FILE")))
    assert done.rc >= 0, f"eu-elflint died on {path}"
    return kinds


def assert_lint_like_gnu(ours, theirs):
    """eu-elflint finds nothing in ``ours`` that it does not find in GNU ld's output too."""
    new = lint(ours) - lint(theirs)
    assert not new, f"eu-elflint on {ours}:\n" + "\n".join(sorted(new))


# -- what the ABI fixes, as values that can be compared

#: dynamic tags whose presence is layout policy, not ABI
_FREE_TAGS = {"DT_NULL", "DT_MIPS_UNREFEXTNO"}
#: names that GNU ld defines for IRIX
_FREE_NAMES = {"_DYNAMIC_LINKING", "__RLD_MAP"}
#: program headers that say nothing
_FREE_SEGMENTS = {"PT_NULL"}

Facts = namedtuple("Facts", "type interp needed soname tags flags dynsyms verneed verdef relocs segments properties")


def _without_spare_entries(relocs):
    """GNU ld's AArch64 gives a function whose address stands in data a PLT slot that nothing uses, and a program
    without PIC the PLT entry as its address: words that name such a symbol tell nothing."""
    named = {symbol for type, symbol in relocs if type == "R_AARCH64_ABS64" and symbol}
    slots = {symbol for type, symbol in relocs if type == "R_AARCH64_JUMP_SLOT"}
    return {(type, symbol) for type, symbol in relocs
            if not (type == "R_AARCH64_JUMP_SLOT" and symbol in named | {"__gxx_personality_v0"})
            and not (type == "R_AARCH64_ABS64" and (symbol in slots or symbol.startswith(("_ZTI", "__gxx_personality"))))}


def facts(path, libs_are_files=True):
    """Everything about a dynamic output that does not depend on addresses."""
    e = Elf(path)
    needed = [n.rsplit("/", 1)[-1] for n in e.needed] if libs_are_files else e.needed
    dynsyms = {(s.name, s.version, s.hidden, s.defined, s.bind, s.type, s.vis) for s in e.dynsyms if s.name
               and not (e.machine == "EM_MIPS" and s.name in _FREE_NAMES)}
    # GNU ld leaves entries without meaning behind where it has counted too many.
    relocs = {(r.type, r.symbol) for r in e.dynrelocs() if not r.type.endswith("_NONE")}
    if e.machine == "EM_AARCH64":
        relocs = _without_spare_entries(relocs)
    if e.machine == "EM_ARM":
        # GNU ld asks for the address of a copy by name, though it is known.
        copied = {symbol for type, symbol in relocs if type == "R_ARM_COPY"}
        relocs = {(type, symbol) for type, symbol in relocs if type != "R_ARM_GLOB_DAT" or symbol not in copied}
    if e.relr():
        relocs.add(("RELR", ""))
    return Facts(
        type=e.type, interp=e.interp, needed=needed, soname=e.dyn("SONAME"),
        tags={t for t, _ in e.dynamic} - _FREE_TAGS, flags=e.dyn_flags(), dynsyms=dynsyms, verneed=e.verneed,
        verdef=[v[:2] + v[3:] for v in e.verdef], relocs=relocs,
        segments={p.type for p in e.segments} - _FREE_SEGMENTS, properties={n.desc for n in e.notes if n.name == "GNU" and n.type == 5})


def _difference(name, ours, theirs):
    if isinstance(ours, set):
        return f"{name}: only ours {sorted(ours - theirs, key=str)}, only GNU ld's {sorted(theirs - ours, key=str)}"
    return f"{name}: ours {ours!r}, GNU ld's {theirs!r}"


def assert_same_facts(ours, theirs, ignore=()):
    """The facts of two outputs are equal, save the named ones."""
    a, b = facts(ours), facts(theirs)
    wrong = [_difference(n, getattr(a, n), getattr(b, n)) for n in Facts._fields if n not in ignore and getattr(a, n) != getattr(b, n)]
    assert not wrong, f"{ours} against {theirs}:\n" + "\n".join(wrong)


def judge(tc, how, out, *args, ignore=(), **kw):
    """Link with the linker under test and with GNU ld, hold the outputs against each other, return ours.

    ``how`` is "exe" or "so"; the objects and libraries among ``args`` are paths, so both links read the same files.
    """
    ours = getattr(tc, how)(out, *args, **kw)
    if tc.linker.flavour not in ("mclink", "bfd"):  # other peers only say whether a test's own expectations are sound
        return ours
    theirs = getattr(tc.gnu, how)(out, *args, **kw)
    assert_same_facts(ours, theirs, ignore)
    assert_lint_like_gnu(ours, theirs)
    return ours


def lint_exe(tc, out, *args, **kw):
    """Link an executable; eu-elflint must find nothing in it that it does not find in GNU ld's."""
    ours = tc.exe(out, *args, **kw)
    if tc.linker.flavour in ("mclink", "bfd"):
        assert_lint_like_gnu(ours, tc.gnu.exe(out, *args, **kw))
    return ours


# -- diagnostics

def assert_failed(result, *texts):
    """The link failed as a link must: exit status 1, no output file, no traceback, and a message with each of ``texts``."""
    said = result.out + result.err
    assert result.rc == 1, f"exit status 1 expected\n{result}"
    assert "Traceback (most recent call last)" not in said, str(result)
    for text in texts:
        assert text in said, f"{text!r} not in\n{result}"
    assert result.path is None or not os.path.exists(result.path), f"a failed link left {result.path}"


def blocks(result):
    """Split a linker's messages into blocks: [first line, [its ">>> " lines without the mark]]."""
    rows = []
    for line in result.err.splitlines():
        if line.startswith(">>> ") and rows:
            rows[-1][1].append(line[4:])
        elif line.strip():
            rows.append([line, []])
    return rows


def error_block(result, start):
    """The block whose first line says "error: " and then ``start``; fails when there is none."""
    for head, rest in blocks(result):
        text = re.sub(r"\x1b\[[0-9;]*m", "", head)
        if re.match(r"^[^ ]+: error: " + re.escape(start), text):
            return [text, rest]
    raise AssertionError(f"no error block that starts with {start!r} in\n{result}")
