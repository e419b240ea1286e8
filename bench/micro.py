"""Micro benchmarks of the core, one thread: what a symbol, a relocation, a string costs.

    python3 -m pytest bench/micro.py                            a table of times
    python3 -m pytest bench/micro.py --benchmark-json=FILE      the same with the figures below as `extra_info`
    bench/run.py --micro                                        the same as Markdown, in the bench's environment

`extra_info` of each benchmark: how many units one round dealt with, and ns a unit (median and best). Rounds:
$MCLINK_BENCH_ROUNDS, else 15. Nothing here is fast enough or too slow: figures only.

The package under test is the one that $MCLINK_LD belongs to, else the importable one. Needs NumPy and pytest-benchmark.
"""

import os
import struct
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
INSIDE = "/mclink/_launcher/"
if INSIDE in os.path.realpath(os.environ.get("MCLINK_LD", "")):
    sys.path.insert(0, os.path.realpath(os.environ["MCLINK_LD"]).partition(INSIDE)[0])
else:
    sys.path.append(os.path.dirname(HERE))

import mclink
from inputs import family
from mclink import driver
from mclink._core import apply, ehframe, image, inspect, join, parse
from mclink.output import write

OBJECTS = 100           # of the generated family: 1/300 of its full size
STRING_FILES = 8
STRINGS = 8000          # in each of them; half of them in all of them
ROUNDS = int(os.environ.get("MCLINK_BENCH_ROUNDS", "15"))
PASSES = [function for _phase, functions in driver.PIPELINE for function in functions]


@pytest.fixture(scope="session")
def objects(tmp_path_factory):
    """Function of "data" or "relocs": paths of the objects of the generated family."""
    folder = tmp_path_factory.mktemp("family")
    return lambda case: family.write_family(str(folder / case), OBJECTS, case)


@pytest.fixture(scope="session")
def strings(tmp_path_factory):
    """Objects with mergeable strings."""
    folder = tmp_path_factory.mktemp("strings")
    paths = []
    for number in range(STRING_FILES):
        lines = ['.section .rodata.str1.1,"aMS",@progbits,1']
        lines += [f'.string "{"every file has" if index % 2 else f"file {number} has"} string {index * 7919 % STRINGS}"'
                  for index in range(STRINGS)]
        (folder / f"{number}.s").write_text("\n".join(lines) + "\n")
        paths.append(str(folder / f"{number}.o"))
        subprocess.run(["as", folder / f"{number}.s", "-o", paths[-1]], check=True)
    return paths


def start(paths, output, *words):
    """A fresh link of one thread."""
    return mclink.Link(["--threads=1", "-m", "elf_x86_64", *words, "-e", "0", "-o", output, *paths])


def run_until(link, name):
    """Runs the passes in front of the one called `name`, and returns that one."""
    for function in PASSES:
        if function.__name__ == name:
            return function
        function(link)
        link.diag.check()
    raise ValueError(name)


def count(link, name):
    """One of the numbers of --stats."""
    return dict(inspect.counts(link.tables))[name]


def global_symbols(path):
    """Entries of the symbol table behind the local ones (gABI, sh_info of SHT_SYMTAB) in an ELF64 object."""
    with open(path, "rb") as file:
        data = file.read()
    headers, = struct.unpack_from("<Q", data, 0x28)
    count, = struct.unpack_from("<H", data, 0x3c)
    for number in range(count):
        row = struct.unpack_from("<IIQQQQIIQQ", data, headers + 64 * number)
        if row[1] == 2:
            return row[5] // 24 - row[7]
    return 0


def measure(benchmark, prepare, unit):
    """Times the function that `prepare` returns, on a fresh link each round; `prepare` also returns the link and a
    function that counts the units in it."""
    state = []

    def setup():
        state[:] = prepare()
        return (), {}

    benchmark.pedantic(lambda: state[0](), setup=setup, rounds=ROUNDS, iterations=1)
    units = state[1]()
    assert units > 0
    benchmark.extra_info[unit + "s"] = units
    if benchmark.stats:
        benchmark.extra_info["ns a " + unit] = round(benchmark.stats.stats.median / units * 1e9, 1)
        benchmark.extra_info["ns a " + unit + ", best"] = round(benchmark.stats.stats.min / units * 1e9, 1)


def test_hash_join(benchmark, objects, tmp_path):
    """Names of all objects into the name table: parsed before."""
    paths = objects("data")

    def prepare():
        link = start(paths, str(tmp_path / "out"))
        run_until(link, "walk_inputs")
        ids = list(link.inputs)
        parse.parse_files(link.tables, ids)
        return (lambda: join.join_files(link.tables, ids)), lambda: sum(map(global_symbols, paths))

    measure(benchmark, prepare, "symbol")


@pytest.mark.parametrize("kind", ["-no-pie", "-pie"])
def test_relocation_scan(benchmark, objects, tmp_path, kind):
    paths = objects("relocs")

    def prepare():
        link = start(paths, str(tmp_path / "out"), kind)
        scan = run_until(link, "scan_relocations")
        return (lambda: scan(link)), lambda: count(link, "relocations in them")

    measure(benchmark, prepare, "relocation")


def test_relocation_apply(benchmark, objects, tmp_path):
    """Contents of the input sections into the mapped output, relocated."""
    paths = objects("relocs")
    images = []

    def prepare():
        link = start(paths, str(tmp_path / "out"))
        run_until(link, "write_output")
        link.extra["merged"] = write.merged_groups(link)
        link.extra["unwind"] = ehframe.outputs(link.tables)
        size = max(output.offset + output.file_size for output in link.outputs)
        out = image.OutputImage(os.fsencode(link.options.output), size, True)
        images.append(out)
        runs = []
        for output in link.outputs:
            if output.file_size:
                write.write_between(link, output, out.address + output.offset, runs)
        return (lambda: apply.write_members(link.tables, runs)), lambda: count(link, "relocations in them")

    measure(benchmark, prepare, "relocation")
    for out in images:
        out.discard()


def test_string_merge(benchmark, strings, tmp_path):
    def prepare():
        link = start(strings, str(tmp_path / "out"))
        merge = run_until(link, "merge_sections")
        return (lambda: merge(link)), lambda: STRING_FILES * STRINGS

    measure(benchmark, prepare, "string")
