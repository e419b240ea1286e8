""".gnu.attributes: floating point and long double, merged as GNU ld does."""

import pytest

from harness.toolchain import run_command

pytestmark = pytest.mark.targets("ppc64", "ppc64le")


def attributes(tc, tools, *values, name="out.so"):
    """(what readelf -A says, messages) of a link of objects with (tag, value) pairs."""
    objs = [tc.asm("".join(f"    .gnu_attribute {tag}, {value}\n" for tag, value in pairs) + f"    .data\n    .globl d{n}\nd{n}: .long 0\n", name=f"o{n}")
            for n, pairs in enumerate(values)]
    done = tools.ld(name, "-shared", *objs)
    lines = run_command([tc.tool("readelf"), "-A", done.path]).out.splitlines()
    return [line.strip() for line in lines if "Tag_" in line], done.err


@pytest.mark.parametrize("values", [
    [[(4, 1)], [(4, 1)]], [[(4, 5)], []], [[(4, 1)], [(4, 4)]], [[(4, 13)], [(4, 1)]], [[(8, 1)], [(8, 2)]], [[(8, 2)], [(8, 1)]],
    [[(12, 1)], [(12, 1)]], [[(4, 5), (8, 2), (12, 2)], [(4, 5)]], [[], []],
])
def test_merged(tc, values):
    ours, said = attributes(tc, tc, *values)
    assert ours == attributes(tc, tc.gnu, *values)[0] and not said


@pytest.mark.parametrize("values, words", [
    ([[(4, 1)], [(4, 2)]], ("soft float", "hard float")), ([[(4, 5)], [(4, 9)]], ("64-bit long double", "128-bit IBM long double")),
    ([[(4, 5)], [(4, 13)]], ("IEEE", "IBM")), ([[(4, 1)], [(4, 3)]], ("single-precision", "hard float")),
])
def test_conflicts(tc, values, words):
    """What does not go together is refused, with both sides named."""
    objs = [tc.asm(f"    .gnu_attribute {pairs[0][0]}, {pairs[0][1]}\n", name=f"o{n}") for n, pairs in enumerate(values)]
    done = tc.ld("out.so", "-shared", *objs, check=False)
    assert done.rc == 1 and all(word in done.err for word in (*words, "o0.o", "o1.o"))
    assert tc.gnu.ld("out.so", "-shared", *objs, check=False).rc != 0
