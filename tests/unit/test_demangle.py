"""Readable names, and the identifier inside a mangled one."""

import pytest

from mclink.demangle import can_demangle, demangle, last_identifier


def test_the_demanglers_are_there():
    assert can_demangle()


@pytest.mark.parametrize("mangled,readable", [
    ("_Z3fooi", "foo(int)"),
    (b"_ZN2ns1SIlE2goEl", "ns::S<long>::go(long)"),
    ("_ZTV4Base", "vtable for Base"),
    ("_Z3fooi@@V1", "foo(int)@@V1"),
    ("_RNvC6_123foo3bar", "123foo::bar"),
    ("main", "main"),
    ("_Zbroken", "_Zbroken"),
    ("_R", "_R"),
    (b"odd\xff", "odd\udcff"),
])
def test_demangle(mangled, readable):
    assert demangle(mangled) == readable


@pytest.mark.parametrize("mangled,name", [
    (b"_Z6helperi", b"helper"),
    (b"_ZN2ns7missingEiPKc", b"missing"),
    (b"_ZN2ns1SIlE2goEl", b"go"),
    (b"_ZNK1A3getEv", b"get"),
    (b"_ZSt4moveIiEOiOi", b"move"),
    (b"plain", None),
    (b"_Z99short", None),
    (b"_ZN", None),
])
def test_last_identifier(mangled, name):
    assert last_identifier(mangled) == name
