"""Version scripts and symbol lists on a table of names, without files."""

import fnmatch
import random

import pytest

from mclink._core import join, load, symbols, versions
from mclink._core.tables import Tables

FORCED_LOCAL = 128
DYNAMIC_LIST, EXPORT = versions.list_flags()


@pytest.fixture
def tables():
    made = Tables()
    load.make_internal_file(made)
    return made


def define(tables, *names, type=0):
    gids = {}
    for name in names:
        gids[name] = join.intern(tables, name)
        symbols.define(tables, gids[name], 0, type)
    versions.reset_versions(tables)
    return gids


def version(tables, gid):
    """Version index of a definition, "local" when it is hidden from other modules."""
    return "local" if symbols.flags(tables, gid) & FORCED_LOCAL else symbols.describe(tables, gid)[8]


def row(text, version, node, local=False, cplus=False, literal=False):
    return (text, version, node, local, cplus, literal)


GLOBS = [
    (b"*", b"", True), (b"*", b"abc", True), (b"a*", b"abc", True), (b"a*", b"bac", False),
    (b"*c", b"abc", True), (b"a*c*e", b"abcde", True), (b"a*c*f", b"abcde", False),
    (b"?", b"", False), (b"?", b"a", True), (b"a?c", b"abc", True), (b"a?c", b"ac", False),
    (b"[a-c]x", b"bx", True), (b"[a-c]x", b"dx", False), (b"[!a-c]x", b"dx", True), (b"[^a-c]x", b"ax", False),
    (b"[]]x", b"]x", True), (b"[a-]", b"-", True), (b"[a", b"[a", True), (b"\\*", b"*", True), (b"\\*", b"a", False),
    (b"a\\?b", b"a?b", True), (b"[\\]]", b"]", True), (b"**a**", b"bab", True),
]


@pytest.mark.parametrize("pattern, name, expected", GLOBS)
def test_glob(pattern, name, expected):
    assert versions.glob_matches(pattern, name) is expected


def test_glob_like_fnmatch():
    rng = random.Random(7)
    seen = set()
    for _ in range(20000):
        pattern = "".join(rng.choice("ab*?") for _ in range(rng.randrange(7)))
        name = "".join(rng.choice("ab") for _ in range(rng.randrange(7)))
        expected = fnmatch.fnmatchcase(name, pattern)
        seen.add(expected)
        assert versions.glob_matches(pattern.encode(), name.encode()) == expected, (pattern, name)
    assert seen == {True, False}


def test_unversioned_at_first(tables):
    gids = define(tables, b"f")
    assert version(tables, gids[b"f"]) == 1


def test_exact_names(tables):
    gids = define(tables, b"f", b"g", b"h")
    missing, used = versions.apply_script(tables, [(b"f", 2, 0), (b"g", 3, 0), (b"nosuch", 2, 0)],
                                          [row(b"*", 2, 0, local=True)], [])
    assert [version(tables, gids[n]) for n in (b"f", b"g", b"h")] == [2, 3, "local"]
    assert missing == [(b"nosuch", 2, 0)]


def test_exact_beats_glob_whatever_its_place(tables):
    gids = define(tables, b"foo", b"fox")
    versions.apply_script(tables, [(b"foo", 0, 1)], [row(b"fo*", 2, 0)], [])
    assert version(tables, gids[b"foo"]) == "local"
    assert version(tables, gids[b"fox"]) == 2


def test_last_glob_wins(tables):
    gids = define(tables, b"foo")
    versions.apply_script(tables, [], [row(b"f*", 2, 0), row(b"fo*", 3, 1)], [])
    assert version(tables, gids[b"foo"]) == 3


def test_global_glob_beats_local_glob_and_star_is_weakest(tables):
    gids = define(tables, b"foo", b"bar", b"baz", b"qux")
    versions.apply_script(tables, [], [row(b"f*", 2, 0), row(b"fo*", 0, 0, local=True), row(b"ba*", 0, 0, local=True),
                                       row(b"*", 3, 1)], [])
    assert version(tables, gids[b"foo"]) == 2
    assert version(tables, gids[b"bar"]) == "local"
    assert version(tables, gids[b"qux"]) == 3


def test_global_star_beats_local_star(tables):
    gids = define(tables, b"foo")
    versions.apply_script(tables, [], [row(b"*", 2, 0, local=True), row(b"*", 2, 0)], [])
    assert version(tables, gids[b"foo"]) == 2


def test_cplus_patterns_see_demangled_names(tables):
    gids = define(tables, b"_ZN2ns3fooEi", b"_ZN2ns3barEv", b"_Z5otherv", b"plain")
    versions.apply_script(tables, [], [row(b"ns::foo(int)", 2, 0, cplus=True, literal=True),
                                       row(b"ns::*", 3, 1, cplus=True), row(b"pl*", 4, 2, cplus=True),
                                       row(b"*", 0, 2, local=True)], [])
    assert version(tables, gids[b"_ZN2ns3fooEi"]) == 2
    assert version(tables, gids[b"_ZN2ns3barEv"]) == 3
    assert version(tables, gids[b"_Z5otherv"]) == "local"
    assert version(tables, gids[b"plain"]) == 4


def test_decided_names_are_left_alone(tables):
    gids = define(tables, b"foo")
    versions.set_version(tables, gids[b"foo"], 5, True, False)
    versions.apply_script(tables, [(b"foo", 2, 0)], [row(b"*", 0, 0, local=True)], [gids[b"foo"]])
    assert version(tables, gids[b"foo"]) == 5 | 0x8000


def test_thousands_of_exact_names(tables):
    names = [b"symbol_%d" % i for i in range(5000)]
    gids = define(tables, *names)
    exact = [(name, 2 + i % 7, 0) for i, name in enumerate(names)]
    versions.apply_script(tables, exact, [row(b"*", 0, 0, local=True)], [])
    assert all(version(tables, gids[name]) == number for name, number, _ in exact)


def test_threads_do_not_matter(tables):
    tables.configure(threads=4)
    names = [b"%s%d" % (b"ab"[i % 2:i % 2 + 1], i) for i in range(40000)]
    gids = define(tables, *names)
    versions.apply_script(tables, [], [row(b"a*", 2, 0), row(b"*", 0, 0, local=True)], [])
    assert all(version(tables, gids[n]) == (2 if n.startswith(b"a") else "local") for n in names)


def test_symbol_list(tables):
    gids = define(tables, b"foo", b"fob", b"bar")
    versions.apply_list(tables, [b"bar", b"nosuch"], [row(b"fo?", 0, 0)], DYNAMIC_LIST)
    assert all(symbols.flags(tables, gid) & DYNAMIC_LIST for gid in gids.values())


def test_symbol_list_of_data(tables):
    objects = define(tables, b"datum", type=1)
    functions = define(tables, b"function", type=2)
    versions.apply_list(tables, [], [row(b"*", 0, 0)], DYNAMIC_LIST, True)
    assert symbols.flags(tables, objects[b"datum"]) & DYNAMIC_LIST
    assert not symbols.flags(tables, functions[b"function"]) & DYNAMIC_LIST


def test_shared_objects_export_what_is_not_local(tables):
    tables.configure(shared_output=True)
    gids = define(tables, b"foo", b"bar")
    versions.apply_script(tables, [(b"bar", 0, 1)], [], [])
    versions.export_definitions(tables, False)
    assert versions.exported(tables, gids[b"foo"])
    assert not versions.exported(tables, gids[b"bar"])


def test_executables_export_what_is_asked_for(tables):
    gids = define(tables, b"foo", b"bar")
    versions.apply_list(tables, [b"bar"], [], DYNAMIC_LIST)
    versions.export_definitions(tables, False)
    assert not versions.exported(tables, gids[b"foo"])
    assert versions.exported(tables, gids[b"bar"])
    versions.export_definitions(tables, True)
    assert versions.exported(tables, gids[b"foo"])
