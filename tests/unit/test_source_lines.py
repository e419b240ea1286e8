"""Lines of objects that the compilers here make, and of damaged ones."""

import random
import re
import subprocess

import pytest

from mclink import source_lines

SOURCE = """int missing(int);
int variable = 3;
static int helper(void) {
  return missing(2);
}
int main(void) {
  return missing(1) + helper();
}
"""
TYPES = {1: 8, 10: 4}       # R_X86_64_64, R_X86_64_32


def compile_object(folder, *flags, compiler="gcc"):
    (folder / "src").mkdir(exist_ok=True)
    (folder / "src" / "user.c").write_text(SOURCE)
    subprocess.run([compiler, *flags, "-O0", "-c", "src/user.c", "-o", "user.o"], cwd=folder, check=True)
    return (folder / "user.o").read_bytes()


def functions(folder):
    """name -> (section index, value)"""
    text = subprocess.run(["readelf", "-sW", folder / "user.o"], capture_output=True, text=True, check=True).stdout
    found = {}
    for line in text.splitlines():
        row = re.match(r"\s*\d+: ([0-9a-f]+)\s+\d+ (?:FUNC|OBJECT)\s+\S+\s+\S+\s+(\d+) (\w+)", line)
        if row:
            found[row[3]] = int(row[2]), int(row[1], 16)
    return found


@pytest.mark.parametrize("flags", [
    ["-gdwarf-2"], ["-gdwarf-3"], ["-gdwarf-4"], ["-gdwarf-5"], ["-gdwarf-5", "-ffunction-sections", "-fdata-sections"],
    ["-gdwarf-5", "-gz=zlib"], ["-gdwarf-4", "-gz=zlib-gnu"], ["-gdwarf64", "-gdwarf-5"],
], ids=" ".join)
def test_lines(tmp_path, flags):
    lines = source_lines.open_lines(compile_object(tmp_path, *flags), TYPES)
    where = functions(tmp_path)
    for name, line in (("helper", 3), ("main", 6)):
        path, found = lines.find(*where[name])
        assert found == line and path.endswith("src/user.c"), (name, path, found)
    assert lines.find(where["helper"][0], 1 << 20) is None
    assert lines.find(999, 0) is None
    path, found = lines.find_variable(b"variable")
    assert found == 2 and path.endswith("src/user.c")
    assert lines.find_variable(b"nothing") is None


def test_without_debug_information(tmp_path):
    lines = source_lines.open_lines(compile_object(tmp_path, "-g0"), TYPES)
    assert lines is None or (lines.find(*functions(tmp_path)["main"]) is None and lines.find_variable(b"x") is None)


def test_damage_is_never_an_error(tmp_path):
    """Bytes changed anywhere in the object: an answer or none, no exception and no endless loop."""
    good = compile_object(tmp_path, "-gdwarf-5")
    where = functions(tmp_path)["main"]
    random_bytes = random.Random(9)
    for _ in range(300):
        data = bytearray(good)
        for _ in range(random_bytes.choice((1, 4, 40))):
            data[random_bytes.randrange(16, len(data))] = random_bytes.randrange(256)
        lines = source_lines.open_lines(bytes(data), TYPES)
        if lines is not None:
            lines.find(*where)
            lines.find_variable(b"variable")
