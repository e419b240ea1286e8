"""Compile, archive, link and run for one target with one linker."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from harness.elf import Elf
from harness.linker import find_peer
from harness.structure import NotExecuted, check_structure

SUFFIX = {"c": ".c", "c++": ".cc", "asm": ".S"}

#: output kind -> (compiler flags, driver link flags); what "every kind of executable" means in the tests
EXE_MODES = {
    "dynamic": (("-fno-pie",), ("-no-pie",)),
    "pie": (("-fPIE",), ("-pie",)),
    "static": (("-fno-pie",), ("-static", "-no-pie")),
    "static-pie": (("-fPIE",), ("-static-pie",)),
}


class Result:
    """A finished command: ``rc``, ``out``, ``err`` (text) and ``cmd``; ``path`` is the output file of a link."""

    __slots__ = ("cmd", "rc", "out", "err", "path")

    def __init__(self, cmd, rc, out, err, path=None):
        self.cmd = cmd
        self.rc = rc
        self.out = out
        self.err = err
        self.path = path

    def __str__(self):
        return f"$ {' '.join(map(str, self.cmd))}\nexit status {self.rc}\n{self.out}{self.err}"


def clean_env(**extra):
    """The environment of every command: no locale, no compiler or loader variables of the caller."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LD_", "COLLECT_", "GCC_", "COMPILER_", "LC_"))}
    for name in ("LANG", "LANGUAGE", "LIBRARY_PATH", "CFLAGS", "CXXFLAGS", "LDFLAGS", "LDEMULATION", "SOURCE_DATE_EPOCH"):
        env.pop(name, None)
    env["LC_ALL"] = "C"
    env.update(extra)
    return env


def run_command(cmd, cwd=None, env=None, check=True, timeout=120, stdin=None, path=None):
    """Run ``cmd``; with ``check`` a non-zero exit status fails the test with everything the command said."""
    cmd = [os.fspath(c) for c in cmd]
    done = subprocess.run(cmd, cwd=cwd, env=env or clean_env(), capture_output=True, timeout=timeout, input=stdin)
    result = Result(cmd, done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"), path)
    if check and result.rc:
        raise AssertionError(str(result))
    return result


class Toolchain:
    """The tests' hands. Files are made in ``dir``, the folder of one test; links run there too.

    ``gnu`` is the same toolchain with GNU ld, for comparisons: it writes into ``dir``/gnu and shares the objects.
    """

    def __init__(self, target, linker, folder, cache, peers):
        self.target = target
        self.linker = linker
        self.dir = Path(folder)
        self.cache = Path(cache)
        self.peers = peers
        self.dir.mkdir(parents=True, exist_ok=True)

    # -- making inputs

    def tool(self, name):
        """The target's own ``ar``, ``strip``, ... ."""
        return f"{self.target.triple}-{name}"

    def driver(self, name):
        if name in ("gcc", "g++"):
            return [f"{self.target.triple}-{name}", *self.target.cflags]
        clang = {"clang": "clang-19", "clang++": "clang++-19"}[name]
        triple = [] if self.target.name == "amd64" else [f"--target={self.target.triple}"]
        return [clang, *triple, *self.target.clang_flags, *self.target.cflags]

    def write(self, name, data):
        """Write a text or binary file into the test's folder and return its path."""
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    def compile(self, source, *flags, lang="c", name="a", driver=None):
        """Compile ``source`` text to ``name``.o and return its path.

        Equal compilations of one test run are done once: the object is taken from a cache keyed by compiler, flags,
        name and text, and copied, so a test may damage its copy.
        """
        driver = driver or ("g++" if lang == "c++" else "gcc")
        if self.target.machine == "EM_ARM":
            # "@" starts a comment there.
            for word in ("progbits", "nobits", "note", "function", "object", "gnu_indirect_function", "tls_object"):
                source = source.replace("@" + word, "%" + word)
        cmd = [*self.driver(driver), "-c", *flags]
        key = hashlib.sha256("\0".join([*cmd, name, lang, source]).encode()).hexdigest()[:24]
        slot = self.cache / key
        if not slot.exists():
            work = self.cache / f"{key}.{os.getpid()}"
            work.mkdir(parents=True, exist_ok=True)
            text = work / (name + SUFFIX[lang])
            text.parent.mkdir(parents=True, exist_ok=True)
            text.write_text(source)
            run_command([*cmd, text.relative_to(work), "-o", name + ".o"], cwd=work, path=None)
            try:
                work.rename(slot)
            except OSError:
                shutil.rmtree(work)
        out = self.dir / (name + ".o")
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(slot / (name + ".o"), out)
        return out

    def c(self, source, *flags, name="a", **kw):
        return self.compile(source, *flags, lang="c", name=name, **kw)

    def cxx(self, source, *flags, name="a", **kw):
        return self.compile(source, *flags, lang="c++", name=name, **kw)

    def asm(self, source, *flags, name="a", **kw):
        return self.compile(source, *flags, lang="asm", name=name, **kw)

    def ar(self, name, *members, flags="rcs"):
        path = self.dir / name
        path.unlink(missing_ok=True)
        run_command([self.tool("ar"), flags, path, *members], cwd=self.dir)
        return path

    # -- linking

    def link(self, out, *args, driver="gcc", check=True, env=None):
        """Link through a compiler driver; ``out`` is a name in the test's folder."""
        path = self.dir / out
        how = [f"--ld-path={self.linker.path}"] if driver.startswith("clang") else ["-B", self.linker.gcc_dir]
        for name, text in self.target.scripts.items():
            folder = self.cache / f"scripts-{self.target.name}"
            folder.mkdir(exist_ok=True)
            (folder / name).write_text(text)
            how += ["-L", folder]
        return run_command([*self.driver(driver), *how, *args, "-o", path], cwd=self.dir, check=check, path=path,
                           env=clean_env(**env) if env else None)

    def exe(self, out, *args, **kw):
        """Link an executable; returns its path."""
        return self.link(out, *args, **kw).path

    def so(self, out, *args, soname=None, **kw):
        """Link a shared object named ``out`` with that soname (``soname=False``: none); returns its path."""
        name = () if soname is False else (f"-Wl,-soname,{soname or Path(out).name}",)
        return self.link(out, "-shared", *name, *args, **kw).path

    def ld(self, out, *args, check=True, emulation=True, env=None, cwd=None):
        """Call the linker itself."""
        path = self.dir / out
        m = ["-m", self.target.emulation] if emulation else []
        return run_command([self.linker.path, *m, "-o", path, *args], cwd=cwd or self.dir, check=check, path=path,
                           env=clean_env(**env) if env else None)

    def call_linker(self, *args, check=True, cwd=None, env=None):
        """Run the linker with exactly these arguments."""
        return run_command([self.linker.path, *args], cwd=cwd or self.dir, check=check, env=clean_env(**env) if env else None)

    # -- looking at outputs

    def runner(self):
        """The command in front of a program of the target."""
        if not self.target.executed:
            raise NotExecuted(self.target.name)
        return [] if self.target.native else [self.target.qemu, "-L", f"/usr/{self.target.triple}"]

    def run(self, exe, *args, check=True, env=None, stdin=None, timeout=60):
        """Run a program of the target, with the test's folder on the library path; returns its Result.

        Where nothing can run it, its structure is looked at and the test ends here (harness.structure)."""
        if not self.target.executed:
            check_structure(self.target, self.dir / exe)
            raise NotExecuted(self.target.name)
        prefix = self.runner()
        full = clean_env(LD_LIBRARY_PATH=str(self.dir), **(env or {}))
        return run_command([*prefix, Path(exe).absolute(), *args], cwd=self.dir, check=check, env=full, stdin=stdin, timeout=timeout)

    def out(self, exe, *args, **kw):
        """Standard output of a program that must succeed."""
        return self.run(exe, *args, **kw).out

    def elf(self, path):
        return Elf(self.dir / path)

    def reloc(self, name):
        """The target's name of a relocation: reloc("RELATIVE")."""
        if name == "JUMP_SLOT" and self.target.machine == "EM_PPC64":
            name = "JMP_SLOT"
        return self.target.reloc_prefix + name

    @property
    def gnu(self):
        """The same toolchain with GNU ld as its linker."""
        name = self.tool("ld.bfd")
        if name not in self.peers:
            self.peers[name] = find_peer(name, Path(self.peers["ld.bfd"].gcc_dir).parent / name)
        return Toolchain(self.target, self.peers[name], self.dir / "gnu", self.cache, self.peers)
