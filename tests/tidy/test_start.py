"""Start-up is part of the speed: what a plain link may import, and how long it may take to say so."""

import re
import subprocess
import sys

import pytest

from harness.toolchain import clean_env

#: modules that cost milliseconds; none is imported by a plain link (docs/design.md, start-up)
HEAVY = {"re", "typing", "dataclasses", "enum", "logging", "argparse", "pathlib", "subprocess", "collections", "concurrent", "concurrent.futures", "json", "numpy",
         "elftools", "inspect", "ctypes", "tempfile", "shutil", "random", "socket", "threading", "multiprocessing", "contextlib", "functools", "traceback",
         "tokenize", "ast", "dis", "hashlib", "locale", "gettext", "textwrap", "importlib.util", "importlib.metadata", "urllib", "zipfile", "email"}

CODE = """
import sys
sys.path.insert(0, sys.argv[1])
import mclink.driver
status = mclink.driver.main(["ld.mclink", *sys.argv[2:]])
print(" ".join(sorted(sys.modules)))
sys.exit(status)
"""


@pytest.fixture
def package(linker):
    if not linker.is_mclink:
        pytest.fail("these tests are about mclink; leave MCLINK_TEST_LD unset")
    return linker.root


def modules_after(package, tc, *args):
    done = subprocess.run([sys.executable, "-I", "-S", "-c", CODE, package, *args], capture_output=True, text=True, cwd=tc.dir, env=clean_env(), timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return set(done.stdout.split())


def link_line(tc, *args):
    """The words gcc gives the linker for a hello world."""
    obj = tc.c("#include <stdio.h>\nint main(void) { puts(\"x\"); }", "-g")
    done = subprocess.run([*tc.driver("gcc"), "-###", obj, "-o", "hello", *args], capture_output=True, text=True, cwd=tc.dir, env=clean_env())
    import shlex
    line = next(line for line in done.stderr.splitlines() if "collect2" in line)
    return shlex.split(line)[1:]


PEERS = pytest.mark.lacks(bfd="about mclink", lld="about mclink", mold="about mclink", gold="about mclink")


@PEERS
@pytest.mark.parametrize("args", [(), ("-static",), ("-shared",), ("-Wl,--gc-sections",)])
def test_a_plain_link_imports_nothing_heavy(package, tc, args):
    found = modules_after(package, tc, *link_line(tc, *args))
    assert "mclink.driver" in found
    assert not found & HEAVY


@PEERS
def test_importing_the_package_is_cheap(package, tc):
    code = "import sys; sys.path.insert(0, sys.argv[1]); import mclink; print(' '.join(m for m in sys.modules if m.startswith('mclink')))"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code, package], capture_output=True, text=True, env=clean_env(), check=True)
    assert done.stdout.split() == ["mclink"]


@PEERS
def test_two_links_in_one_process(package, tc):
    """mclink.link has no global state: a failing and a good link, twice, give what each gives alone."""
    good = tc.c("int _start(void) { return 0; }", name="good")
    bad = tc.c("int nowhere(void); int _start(void) { return nowhere(); }", name="bad")
    code = f"""
import sys; sys.path.insert(0, sys.argv[1])
import mclink
print([mclink.link(["-o", "o1", {str(good)!r}]), mclink.link(["-o", "o2", {str(bad)!r}]), mclink.link(["-o", "o3", {str(good)!r}]),
       mclink.link(["-shared", "-o", "o4", {str(good)!r}]), mclink.link(["-o", "o5", {str(good)!r}])])
"""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code, package], capture_output=True, text=True, cwd=tc.dir, env=clean_env(), timeout=60)
    assert done.stdout.strip() == "[0, 1, 0, 0, 0]", done.stdout + done.stderr
    first = (tc.dir / "o1").read_bytes()
    assert (tc.dir / "o3").read_bytes() == first == (tc.dir / "o5").read_bytes() and not (tc.dir / "o2").exists()


@PEERS
def test_phase_by_phase(package, tc):
    """The Link object can be run to a phase and looked at (README, public API)."""
    good = tc.c("int _start(void) { return 0; }", name="good")
    code = f"""
import sys; sys.path.insert(0, sys.argv[1])
from mclink.context import Link
from mclink.driver import prepare_link, run_phase
link = Link()
prepare_link(link, ["ld.mclink", "-o", "out", {str(good)!r}])
for phase in ("inputs", "graph", "layout", "output"):
    run_phase(link, phase)
print([o.name for o in link.outputs if o.name == ".text"])
"""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code, package], capture_output=True, text=True, cwd=tc.dir, env=clean_env(), timeout=60)
    assert done.stdout.strip() == "['.text']", done.stdout + done.stderr


@PEERS
def test_passes_are_verbs_with_a_label(package):
    """Every pass of the pipeline: a module-level verb_noun(link) whose docstring's first line is its label."""
    code = """
import sys; sys.path.insert(0, sys.argv[1])
from mclink.driver import PIPELINE
for phase, passes in PIPELINE:
    for f in passes:
        print(phase, f.__name__, (f.__doc__ or "").strip().split("\\n")[0], sep="|")
"""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code, package], capture_output=True, text=True, env=clean_env(), check=True)
    rows = [line.split("|") for line in done.stdout.splitlines()]
    assert {row[0] for row in rows} == {"inputs", "graph", "layout", "output"}
    assert not [row for row in rows if not re.fullmatch(r"[a-z]+(_[a-z]+)+", row[1]) or not 3 < len(row[2]) < 100]
