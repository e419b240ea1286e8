"""The linkers that are compared: how each is found, started and told its thread count.

A peer is one row of `PEERS`.  `find_peers` keeps those that answer to ``--version``;
``--peer NAME=PATH`` adds another binary of a known kind (the kind is read from its
version text), so that a newer mold or lld joins without a change here.
"""

import glob
import os
import shutil
import subprocess


class Peer:
    """One linker: `name`, the words that start it, its `kind`, and its `version`."""

    __slots__ = ("name", "command", "kind", "version")

    def __init__(self, name, command, kind, version):
        self.name = name
        self.command = command
        self.kind = kind
        self.version = version

    def arguments(self, threads):
        """The words that make the peer use `threads` threads and stay in one process.

        mold and wild hand the work to a child and let the parent leave early; then the
        parent's resource usage is that of a process that only waited.
        """
        return [word.format(threads=threads) for word in KINDS[self.kind]]


# Kind -> the words added to every link.  GNU ld has one thread and no option for it; wild
# collects garbage unless told not to (a case that wants --gc-sections says so later on the line).
KINDS = {
    "bfd": (),
    "gold": ("--threads", "--thread-count={threads}"),
    "lld": ("--threads={threads}",),
    "mold": ("--no-fork", "--threads={threads}"),
    "wild": ("--no-fork", "--threads={threads}", "--no-gc-sections"),
    "mclink": ("--threads={threads}",),
}

# What `--version` says -> kind, asked in this order (lld, mold and wild also say "GNU").
VERSION_WORDS = (
    ("mclink", "mclink"),
    ("LLD", "lld"),
    ("mold", "mold"),
    ("Wild", "wild"),
    ("GNU gold", "gold"),
    ("GNU ld", "bfd"),
)


def zig_linker(work):
    """The lld inside the `ziglang` wheel, from the work folder or from site-packages."""
    found = glob.glob(os.path.join(work, "venv/lib/python*/site-packages/ziglang/zig"))
    found += glob.glob(os.path.join(work, "ziglang/ziglang/zig"))
    return [found[0], "ld.lld"] if found else None


def wild_linker(work):
    """wild, from the work folder or PATH."""
    local = os.path.join(work, "wild/bin/wild")
    return [local] if os.path.exists(local) else named_linker("wild")


def named_linker(*names):
    """The first of `names` on PATH, as a command, or None."""
    for name in names:
        path = shutil.which(name)
        if path:
            return [path]
    return None


def mclink_linker(_work):
    """The linker under test: `$MCLINK_LD`, or the `ld` of `mclink --print-gcc-dir`."""
    named = os.environ.get("MCLINK_LD")
    if named:
        return [named]
    if not shutil.which("mclink"):
        return None
    said = subprocess.run(["mclink", "--print-gcc-dir"], capture_output=True, text=True)
    linker = os.path.join(said.stdout.strip(), "ld")
    return [linker] if said.returncode == 0 and os.path.exists(linker) else None


# Name -> function of the work folder that gives the command, or None.
PEERS = (
    ("mclink", mclink_linker),
    ("bfd", lambda work: named_linker("ld.bfd")),
    ("gold", lambda work: named_linker("ld.gold")),
    ("lld-19", lambda work: named_linker("ld.lld-19")),
    ("lld-zig", zig_linker),
    ("mold", lambda work: named_linker("mold")),
    ("wild", wild_linker),
)


def describe(name, command):
    """A `Peer` for `command`, or None when it does not run or is no linker known here."""
    try:
        said = subprocess.run(command + ["--version"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = said.stdout.splitlines()
    if said.returncode != 0 or not lines:
        return None
    for word, kind in VERSION_WORDS:
        if word in lines[0]:
            return Peer(name, command, kind, lines[0])
    return None


def find_peers(work, named=(), only=None):
    """Every peer that runs here, `PEERS` first and then `named` (``NAME=PATH`` strings).

    `only` is a collection of names to keep, or None for all.  Raises `SystemExit` for a
    named peer that does not run, or an unknown name in `only`: a bench that silently
    leaves out what was asked for would compare the wrong things.
    """
    found = []
    for name, finder in PEERS:
        command = finder(work)
        peer = describe(name, command) if command else None
        if peer:
            found.append(peer)
    for entry in named:
        name, _, path = entry.partition("=")
        peer = describe(name, [path or name])
        if not peer:
            raise SystemExit(f"bench: {entry}: not a linker that this bench knows how to run")
        found.append(peer)
    if only:
        missing = set(only) - {peer.name for peer in found}
        if missing:
            raise SystemExit(f"bench: not found here: {', '.join(sorted(missing))}")
        found = [peer for peer in found if peer.name in only]
    return found
