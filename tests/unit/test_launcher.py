"""The program behind `ld`: what it hands to the driver, and the bundle of an installed copy.

A package of three small modules stands in for mclink, so that only the launcher is tested.
"""

import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

import mclink
from mclink._launcher.bundle import write_bundle

PACKAGE = Path(mclink.__file__).parent

DRIVER = """
import sys
from mclink.sub import word
def main(argv):
    print(word, argv, __file__, flush=False)
    print("to stderr", file=sys.stderr)
    if "modules" in argv:
        print(*sys.modules)
    if "path" in argv:
        print(sys.flags.isolated, sys.flags.no_site, sys.flags.utf8_mode, sys.path)
    if "exit" in argv:
        sys.exit(7)
    return 3
"""


@pytest.fixture
def package(tmp_path):
    """A folder mclink with the real launcher and a driver that prints what it got."""
    folder = tmp_path / "mclink"
    (folder / "sub").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "driver.py").write_text(DRIVER)
    (folder / "sub" / "__init__.py").write_text("word = 'from source'\n")
    shutil.copytree(PACKAGE / "_launcher", folder / "_launcher",
                    ignore=shutil.ignore_patterns("bundle.bin", "__pycache__"))
    return folder


def run(program, *words, env=None):
    return subprocess.run([program, *words], capture_output=True, text=True, env=env,
                          errors="surrogateescape")



def test_argv_status_and_flush(package):
    done = run(package / "_launcher" / "gcc" / "ld", "-o", "x y", "", "a.o")
    assert done.returncode == 3
    assert done.stdout == (f"from source ['{package}/_launcher/gcc/ld', '-o', 'x y', '', 'a.o'] "
                           f"{package}/driver.py\n")
    assert done.stderr == "to stderr\n"


def test_sys_exit(package):
    assert run(package / "_launcher" / "gcc" / "ld", "exit").returncode == 7


def test_interpreter_options_are_words_of_the_command_line(package):
    done = run(package / "_launcher" / "gcc" / "ld", "-c", "-V", "-m", "x", "-", "--help", "-h")
    assert "['-c', '-V', '-m', 'x', '-', '--help', '-h']" in done.stdout.replace(
        f"'{package}/_launcher/gcc/ld', ", "")


def test_name_of_a_link_is_kept(package, tmp_path):
    link = tmp_path / "mips-linux-gnu-ld"
    link.symlink_to(package / "_launcher" / "gcc" / "ld")
    assert f"['{link}', 'a.o']" in run(link, "a.o").stdout


def test_found_from_bin(package, tmp_path):
    release = "python%d.%d" % sys.version_info[:2]
    for layout in (f"lib/{release}/site-packages", f"lib/{release}/dist-packages",
                   "lib/python3/dist-packages"):
        prefix = tmp_path / "prefix"
        (prefix / "bin").mkdir(parents=True)
        shutil.copytree(package, prefix / layout / "mclink")
        shutil.copy(package / "_launcher" / "gcc" / "ld", prefix / "bin" / "ld.mclink")
        done = run(prefix / "bin" / "ld.mclink", "a.o")
        assert f"{prefix / layout}/mclink/driver.py" in done.stdout, done.stderr
        shutil.rmtree(prefix)


def test_lost_launcher_says_so(package, tmp_path):
    alone = tmp_path / "alone"
    shutil.copy(package / "_launcher" / "gcc" / "ld", alone)
    done = run(alone, "a.o")
    assert done.returncode == 1 and done.stderr.startswith("ld.mclink: error: cannot find the package")


def test_isolated_from_the_environment(package, tmp_path):
    (tmp_path / "marshal.py").write_text("raise SystemExit('foreign module')")
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONHOME": "/nonexistent",
           "PYTHONSTARTUP": str(tmp_path / "marshal.py"), "PYTHONWARNINGS": "error", "LC_ALL": "C"}
    done = run(package / "_launcher" / "gcc" / "ld", "path", env=env)
    assert done.returncode == 3, done.stderr
    flags, _, path = done.stdout.splitlines()[1].partition("[")
    assert flags == "1 1 1 " and str(tmp_path) not in path and "site-packages" not in path


def test_names_that_are_no_text(package):
    done = subprocess.run([os.fsencode(package / "_launcher" / "gcc" / "ld"), b"caf\xe9.o"],
                          capture_output=True, env={**os.environ, "LC_ALL": "C"})
    assert b"caf\\udce9.o" in done.stdout


def test_the_second_half_of_the_start_is_for_those_who_need_it(package):
    """Extension modules do not, modules in files and streams do."""
    (package / "driver.py").write_text(
        "import sys\n"
        "def main(argv):\n"
        "    import zlib\n"
        "    late = ['encodings' in sys.modules]\n"
        "    import colorsys\n"
        "    late.append('encodings' in sys.modules)\n"
        "    print(late, zlib.crc32(b'x'))\n"
        "    return 0\n")
    write_bundle(package, package / "_launcher" / "bundle.bin")
    done = run(package / "_launcher" / "gcc" / "ld", "a.o")
    whole = sys.version_info >= (3, 13)     # the start has no halves there
    assert done.stdout == f"[{whole}, True] {zlib.crc32(b'x')}\n", done.stderr


def test_start_imports_nothing_heavy(package):
    done = run(package / "_launcher" / "gcc" / "ld", "modules")
    heavy = {"os", "re", "site", "typing", "collections", "enum", "argparse", "importlib", "warnings"}
    assert not heavy & set(done.stdout.split())


# -- bundle

def test_bundle_is_used_and_finds_packages(package):
    write_bundle(package, package / "_launcher" / "bundle.bin")
    (package / "sub" / "__init__.py").unlink()
    (package / "driver.py").unlink()
    done = run(package / "_launcher" / "gcc" / "ld", "a.o")
    assert done.returncode == 3, done.stderr
    assert "from source" in done.stdout and f"{package}/driver.py" in done.stdout


def test_modules_beside_the_bundle_are_found(package):
    """Extension modules are no part of it: a package's folder is still searched."""
    (package / "driver.py").write_text("import mclink.sub.late\ndef main(argv): return 0\n")
    write_bundle(package, package / "_launcher" / "bundle.bin")
    (package / "sub" / "late.py").write_text("print('late')")
    done = run(package / "_launcher" / "gcc" / "ld", "a.o")
    assert done.returncode == 0 and done.stdout == "late\n", done.stderr


def test_edits_count_in_a_source_tree(package):
    write_bundle(package, package / "_launcher" / "bundle.bin", checked=True)
    program = package / "_launcher" / "gcc" / "ld"
    assert run(program, "a.o").stdout.startswith("from source")
    (package / "sub" / "__init__.py").write_text("word = 'edited'\n")
    assert run(program, "a.o").stdout.startswith("edited")
    (package / "sub" / "__init__.py").unlink()
    assert "ImportError" in run(program, "a.o").stderr


def test_modules_imported_late_come_from_the_bundle(package):
    (package / "late.py").write_text("print('late')")
    (package / "driver.py").write_text("def main(argv):\n    import mclink.late\n    return 0\n")
    write_bundle(package, package / "_launcher" / "bundle.bin")
    (package / "late.py").unlink()
    done = run(package / "_launcher" / "gcc" / "ld", "a.o")
    assert done.returncode == 0 and done.stdout == "late\n", done.stderr


def test_bundle_of_another_interpreter_is_left_alone(package):
    path = package / "_launcher" / "bundle.bin"
    write_bundle(package, path)
    path.write_bytes(b"\0\0\0\0" + path.read_bytes()[4:])
    (package / "sub" / "__init__.py").write_text("word = 'edited'\n")
    assert run(package / "_launcher" / "gcc" / "ld", "a.o").stdout.startswith("edited")


def test_two_bundles_of_one_source_are_equal(package, tmp_path):
    write_bundle(package, tmp_path / "a")
    write_bundle(package, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_boot_as_a_script(package):
    """The form without libpython: the interpreter runs boot.py."""
    done = run(sys.executable, "-I", "-S", package / "_launcher" / "boot.py", package, "prog", "-v", "exit")
    assert done.returncode == 7 and "['prog', '-v', 'exit']" in done.stdout


def test_every_package_has_an_init():
    """Neither the bundle nor the wheel knows namespace packages."""
    lacking = {path.parent for path in PACKAGE.rglob("*.py") if "build" not in path.parts
               and not (path.parent / "__init__.py").exists()}
    assert not lacking
