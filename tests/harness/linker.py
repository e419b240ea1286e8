"""Finding the linker under test.

MCLINK_TEST_LD is a path to any ELF linker (every test of a behaviour that GNU ld has is first seen green with
MCLINK_TEST_LD=ld.bfd); the word "tree" means this source tree, built in place. Unset, it is the installed
package: the folder that ``mclink --print-gcc-dir`` prints.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Linker:
    """A linker: ``path`` to run, ``gcc_dir`` with an ``ld`` for ``gcc -B``, ``flavour`` mclink, bfd, gold, lld or mold.

    ``root`` is the folder in which mclink's package lies, None for another linker.
    """

    __slots__ = ("path", "gcc_dir", "flavour", "root")

    def __init__(self, path, gcc_dir, flavour, root=None):
        self.path = path
        self.gcc_dir = gcc_dir
        self.flavour = flavour
        self.root = root

    @property
    def is_mclink(self):
        return self.flavour == "mclink"


def _flavour(path):
    text = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60).stdout.splitlines()
    first = text[0].lower() if text else ""
    for word, flavour in (("mclink", "mclink"), ("gold", "gold"), ("mold", "mold"), ("lld", "lld"), ("gnu ld", "bfd")):
        if word in first:
            return flavour
    raise RuntimeError(f"{path}: not a linker that the tests know: {first!r}")


def _wrap(folder, command):
    """Make ``folder/ld`` run ``command``: gcc's collect2 looks for a program of that name."""
    folder.mkdir(parents=True, exist_ok=True)
    ld = folder / "ld"
    new = folder / f"ld.{os.getpid()}"
    new.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    new.chmod(0o755)
    new.rename(ld)
    return str(ld)


def find_linker(folder):
    """Return the Linker under test; ``folder`` holds a wrapper when one is needed."""
    chosen = os.environ.get("MCLINK_TEST_LD", "")
    if chosen == "tree":
        launcher = ROOT / "mclink" / "_launcher" / "gcc" / "ld"
        if not os.access(launcher, os.X_OK):
            raise RuntimeError(f"no {launcher}: python setup.py build_ext --inplace makes it")
        return Linker(str(launcher), str(launcher.parent), "mclink", ROOT)
    if chosen:
        found = shutil.which(chosen)
        if not found:
            raise RuntimeError(f"MCLINK_TEST_LD={chosen}: no such program")
        return Linker(_wrap(folder, found), str(folder), _flavour(found))
    entry = Path(sys.executable).parent / "mclink"
    mclink = str(entry) if entry.exists() else shutil.which("mclink")
    if not mclink:
        raise RuntimeError("mclink is not installed: pip install it, or set MCLINK_TEST_LD")
    done = subprocess.run([mclink, "--print-gcc-dir"], capture_output=True, text=True, timeout=60)
    gcc_dir = done.stdout.strip()
    if done.returncode or not os.access(os.path.join(gcc_dir, "ld"), os.X_OK):
        raise RuntimeError(f"{mclink} --print-gcc-dir printed no folder with an ld: {done.stdout!r} {done.stderr!r}")
    import mclink as package
    return Linker(os.path.join(gcc_dir, "ld"), gcc_dir, "mclink", Path(package.__file__).resolve().parents[1])


def find_peer(name, folder):
    """Return the peer linker ``name`` (a program on PATH), as a judge beside the linker under test."""
    found = shutil.which(name)
    if not found:
        raise RuntimeError(f"the tests need {name}")
    return Linker(_wrap(folder, found), str(folder), _flavour(found))
