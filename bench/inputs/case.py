"""What one link of the bench is, and how a compiler driver's link line becomes one."""

import os
import shlex
import subprocess


class Case:
    """One link to measure.

    name      identifier for the command line and the tables, e.g. ``clang-release``
    title     one line for people
    words     the linker's arguments without program, ``-o`` and thread count
    check     function of the output's path; returns "" when it is right, else what is wrong
    rounds    how many timed rounds are worth their time (small links need more)
    threads   thread counts to measure; None stands for the one given to the run
    size      a number that says how big the input is in its family, or None
    programs  kind of linker -> path of the one that serves this case's target; others start as ever
    """

    __slots__ = ("name", "title", "words", "check", "rounds", "threads", "size", "programs")

    def __init__(self, name, title, words, check, rounds=7, threads=(None,), size=None, programs=None):
        self.name = name
        self.title = title
        self.words = words
        self.check = check
        self.rounds = rounds
        self.threads = threads
        self.size = size
        self.programs = programs or {}

    def variant(self, name, title, extra, check=None, **changes):
        """The same inputs under another name with `extra` words in front."""
        rest = {"rounds": self.rounds, "threads": self.threads, "size": self.size, "programs": self.programs}
        rest.update(changes)
        return Case(name, title, extra + self.words, check or self.check, **rest)

    def input_files(self):
        """The paths among the words: what a bare touch of the inputs has to read.

        The dynamic linker is named on the line too, but no linker opens it.
        """
        before = [""] + self.words
        return [word for word, option in zip(self.words, before)
                if option != "-dynamic-linker" and os.path.isfile(word)]


def run_quietly(command, folder, **options):
    """Run `command` in `folder`; raises `SystemExit` with its words when it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise SystemExit(f"bench: {shlex.join(command)[:400]} failed:\n{done.stderr[-2000:]}")
    return done


def capture_line(command, folder):
    """The linker's arguments that the driver `command` would use, run in `folder`.

    ``-###`` prints the line unexecuted.  The LTO plugin's words are left out (no input here
    holds LTO code, and not every linker loads plugins), and so is ``-o FILE``.  Paths are
    made absolute, so that the line works from any folder.
    """
    text = run_quietly(command + ["-###"], folder).stderr
    for line in text.splitlines():
        words = shlex.split(line) if line.startswith(" ") else []
        if words and os.path.basename(words[0]) in ("collect2", "ld"):
            return list(plain_words(words[1:], folder))
    raise SystemExit(f"bench: {command[0]} -### names no linker")


def plain_words(words, folder):
    """`words` without plugin and output, with absolute paths."""
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in ("-plugin", "-o"):
            skip = True
        elif word.startswith("-plugin-opt"):
            pass
        elif word.startswith("-L"):
            yield "-L" + os.path.normpath(os.path.join(folder, word[2:]))
        elif os.path.exists(os.path.join(folder, word)):
            yield os.path.normpath(os.path.join(folder, word))
        else:
            yield word


def newer(target, *sources):
    """Whether `target` exists and is not older than any of `sources`."""
    if not os.path.exists(target):
        return False
    made = os.path.getmtime(target)
    return all(os.path.getmtime(source) <= made for source in sources)


def compile_source(compiler, flags, source, target):
    """Compile `source` to the object `target` unless that is newer; low priority."""
    if newer(target, source):
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    partial = target + ".partial"
    run_quietly(["nice", compiler, *flags, "-c", source, "-o", partial],
                os.path.dirname(target))
    os.replace(partial, target)


def runs_and_prints(expected, arguments=(), folder=None, runner=()):
    """A check: the output runs, under `runner` when given, with status 0 and its standard output is `expected`."""

    def check(path):
        try:
            done = subprocess.run([*runner, path, *arguments], cwd=folder, capture_output=True,
                                  text=True, errors="replace", timeout=120)
        except (OSError, subprocess.TimeoutExpired) as problem:
            return str(problem)
        if done.returncode != 0:
            return f"its output ended with status {done.returncode}"
        return "" if done.stdout == expected else f"its output printed {done.stdout[:60]!r}"

    return check


def is_elf(wanted_type):
    """A check: the file is a 64-bit ELF file of `e_type` `wanted_type` (gABI, ELF header)."""

    def check(path):
        with open(path, "rb") as file:
            head = file.read(64)
        if len(head) < 64 or head[:5] != b"\x7fELF\x02":
            return "not a 64-bit ELF file"
        found = int.from_bytes(head[16:18], "little")
        return "" if found == wanted_type else f"e_type is {found}, not {wanted_type}"

    return check
