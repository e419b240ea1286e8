"""Fixtures of the behaviour tests: ``tc``, a Toolchain for one target with the linker under test."""

import os
import sys
from pathlib import Path

import pytest

from harness.linker import find_linker, find_peer
from harness.structure import NotExecuted
from harness.targets import enabled_targets
from harness.toolchain import Toolchain, clean_env, run_command


@pytest.fixture(scope="session")
def session_dir(tmp_path_factory):
    """A folder that all the workers of this run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


@pytest.fixture(scope="session")
def object_cache(session_dir):
    path = Path(os.environ.get("MCLINK_TEST_CACHE") or session_dir / "objects")
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture(scope="session")
def linker(session_dir):
    """The linker under test."""
    return find_linker(session_dir / "under-test")


@pytest.fixture(scope="session")
def peers(session_dir):
    return {name: find_peer(name, session_dir / name) for name in ("ld.bfd",)}


@pytest.fixture(scope="session")
def zig(session_dir):
    """Function (cc or c++, zig's target, words...) -> Result of zig's clang, which has C libraries of other systems. What
    it builds of them is kept for the session."""
    def call(driver, target, *args, cwd):
        cache = str(session_dir / "zig")
        return run_command([sys.executable, "-m", "ziglang", driver, "-target", target, "-fno-sanitize=all", *args], cwd=cwd,
                           env=clean_env(ZIG_GLOBAL_CACHE_DIR=cache, ZIG_LOCAL_CACHE_DIR=cache), timeout=900)
    return call


@pytest.fixture
def tc(target, linker, peers, object_cache, tmp_path):
    return Toolchain(target, linker, tmp_path, object_cache, peers)


def pytest_generate_tests(metafunc):
    if "target" not in metafunc.fixturenames:
        return
    rows = enabled_targets(Path(metafunc.definition.path).parent.name)
    for mark in metafunc.definition.iter_markers("targets"):
        rows = [t for t in rows if t.name in mark.args]
    for mark in metafunc.definition.iter_markers("needs"):
        rows = [t for t in rows if t.features.issuperset(mark.args)]
    metafunc.parametrize("target", rows, ids=[t.name for t in rows])


def pytest_collection_modifyitems(config, items):
    """Leave out outputs that the target's C library has no start-up code for, and what the peer under test is
    said to lack; mclink itself is excused nothing."""
    def made(item):
        params = getattr(item, "callspec", None) and item.callspec.params or {}
        target = params.get("target")
        if "target" in params and not hasattr(target, "triple"):
            return False        # of a target that this run does not ask for
        if not all(target.features.issuperset(mark.args) for mark in item.iter_markers("needs") if target):
            return False        # the mark of one parameter
        return params.get("mode") != "static-pie" or "static-pie" in getattr(target, "features", ("static-pie",))
    config.hook.pytest_deselected(items=[i for i in items if not made(i)])
    items[:] = [i for i in items if made(i)]
    if not os.environ.get("MCLINK_TEST_LD") or os.environ["MCLINK_TEST_LD"] == "tree":
        return
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        flavour = find_linker(Path(folder)).flavour
    if flavour == "mclink":
        return
    lacking = [i for i in items if any(flavour in m.kwargs for m in i.iter_markers("lacks"))]
    config.hook.pytest_deselected(items=lacking)
    items[:] = [i for i in items if i not in lacking]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """A program that nothing can run ends its test, passed as far as it came."""
    outcome = yield
    if outcome.excinfo and isinstance(outcome.excinfo[1], NotExecuted):
        item.user_properties.append(("not executed", str(outcome.excinfo[1])))
        outcome.force_result(None)


def pytest_terminal_summary(terminalreporter):
    """Says how many tests stopped where their program would have run."""
    counts = {}
    for report in terminalreporter.stats.get("passed", ()):
        for name, target in report.user_properties if report.when == "call" else ():
            if name == "not executed":
                counts[target] = counts.get(target, 0) + 1
    for target, count in counts.items():
        terminalreporter.write_line(f"{target}: {count} tests linked their programs and looked at their structure; "
                                    "nothing here runs them")
