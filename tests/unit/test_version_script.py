"""Version scripts and dynamic lists: grammar, errors, and GNU ld's choice among the entries."""

import random
import subprocess

import pytest

from mclink.diag import LinkError
from mclink.script.sources import Sources
from mclink.script.version_script import (VersionScript, glob_match, parse_dynamic_list,
                                          parse_version_script)


def parse(text, function=parse_version_script):
    return function(text, "v.map", Sources())


def without_positions(nodes):
    return [(name, [(p, "l" if local else "g", language, literal)
                    for p, _, local, language, literal in entries], list(parents))
            for name, _, entries, parents in nodes]


def entry(pattern, where="g", language="C", literal=None):
    return pattern, where, language, int(not set(pattern) & set("*?[")) if literal is None else literal


@pytest.mark.parametrize("text, nodes", [
    ("{ global: foo; local: *; };", [("", [entry("foo"), entry("*", "l")], [])]),
    ("{ foo; };", [("", [entry("foo")], [])]),
    ("V1{global:a;b*;local:*;};V2{c;}V1;",
     [("V1", [entry("a"), entry("b*"), entry("*", "l")], []), ("V2", [entry("c")], ["V1"])]),
    ("V1 { global : a; local : b; global: c; };", [("V1", [entry("a"), entry("b", "l"), entry("c")], [])]),
    ("V_1.2-x { } ; W { } V_1.2-x Q;", [("V_1.2-x", [], []), ("W", [], ["V_1.2-x", "Q"])]),
    ('V { extern "C++" { ns::f*; "ns::f(int*)"; }; local: extern "C" { x; } ; };',
     [("V", [entry("ns::f*", language="C++"), entry("ns::f(int*)", "g", "C++", 1), entry("x", "l")], [])]),
    ('V { global: "a*b"; ns::x; local; extern; };',
     [("V", [entry("a*b", literal=1), entry("ns::x"), entry("local"), entry("extern")], [])]),
    (r"V { a\*b; c\?*; };", [("V", [entry("a*b", literal=1), entry(r"c\?*")], [])]),
    ("# c {\nV { /* } */ a; # ; }\n b; };", [("V", [entry("a"), entry("b")], [])]),
    ('V { extern "C++" { "a # /* b"; c }; d };',
     [("V", [entry("a # /* b", "g", "C++", 1), entry("c", language="C++"), entry("d")], [])]),
])
def test_grammar(text, nodes):
    assert without_positions(parse(text)) == nodes
    # The same where the quick way through plain text is not taken.
    spoiled = text.replace("};", '; extern "C" { zz; }; };', 1) if text.startswith("{") else None
    if spoiled:
        assert [e for e in without_positions(parse(spoiled))[0][1] if e[0] != "zz"] == nodes[0][1]


def test_positions():
    sources = Sources()
    ((_, pos, entries, _),) = parse_version_script("\nV {\n global: foo;\n  bar; local:\n*; };", "v.map",
                                                   sources)
    assert [sources.describe(p) for p in (pos, *(e[1] for e in entries))] == [
        "v.map:2:1", "v.map:3:10", "v.map:4:3", "v.map:5:1"]


@pytest.mark.parametrize("text, place, message", [
    ("", "1:1", "no version"), ("V", "1:2", "expected '{'"), ("V {", "1:4", "expected '}'"),
    ("V { a b; };", "1:7", "expected ';' but found 'b'"), ("V { a; }", "1:9", "expected ';'"),
    ("V { a; } W X", "1:13", "expected ';'"), ("V { { a; }; };", "1:5", "expected a symbol"),
    ('V { extern "D" { a; }; };', "1:12", "unknown language 'D'"),
    ('V { "a; };', "1:5", "this quote does not end"), ("V { a; /* };", "1:8", "comment does not end"),
    ("V { a; }; }", "1:11", "expected a version"), ("V { global: a; local; b: c; };", "", "expected"),
])
def test_errors(text, place, message):
    with pytest.raises(LinkError) as caught:
        parse(text)
    head = str(caught.value).split("\n")[0]
    assert message in head and f"v.map:{place}" in head


@pytest.mark.parametrize("text, message", [
    ("{ a; }; V { b; };", "anonymous"), ("V { a; }; { b; };", "anonymous"),
    ("V { a; }; V { b; };", "duplicate version 'V'"), ("V { a; } W;", "unknown version 'W'"),
    ("V { a; }; W { local: a; };", "'a' is global in one version and local in another"),
    ("V { local: a*; }; W { a*; };", "'a\\*' is global"),
])
def test_contradictions(text, message):
    with pytest.raises(LinkError, match=message):
        script = VersionScript(Sources())
        script.add(parse_version_script(text, "v.map", script.sources))
        script.finish()


def test_parents():
    script = VersionScript(Sources())
    script.add(parse_version_script("A { a; }; C { c; } A B;", "1.map", script.sources))
    script.add(parse_version_script("B { b; } A;", "2.map", script.sources))
    script.finish()
    assert script.names == ["A", "C", "B"] and script.parents == [[], [0, 2], [0]]
    assert script.patterns.find(b"b") == 4 and script.patterns.find(b"x") == -1


def test_dynamic_list():
    entries = parse('{ foo; ba*; extern "C++" { "ns::f()"; }; }; { x; }', parse_dynamic_list)
    assert [e[0] for e in entries] == ["foo", "ba*", "ns::f()", "x"]
    for text in ("foo;", "{ global: x; };", "{ a", ""):
        with pytest.raises(LinkError):
            parse(text, parse_dynamic_list)


def test_many_exact_names():
    names = [f"_ZN4llvm{n % 7}foo{n}Ev" for n in range(20000)]
    text = "V1 { global:\n" + "".join(f"  {name};\n" for name in names) + " local: *; };"
    script = VersionScript(Sources())
    script.add(parse(text))
    assert len(script.patterns.exact) == len(names) and not script.patterns.globs
    assert {script.patterns.find(name.encode()) for name in names} == {0}
    assert script.patterns.find(b"other") == 1


def test_truncation():
    text = 'V1 { global: foo; b*; extern "C++" { ns::*; "f()"; }; local: *; };\n# c\nV2 { x; } V1;'
    for cut in range(len(text)):
        for more in ("", "\0", '"', "{", "}", "\\"):
            try:
                parse(text[:cut] + more)
            except LinkError:
                pass


@pytest.mark.parametrize("pattern, text, matches", [
    ("*", "", 1), ("a*c", "abbc", 1), ("a*c", "abb", 0), ("?", "", 0), ("?b", "ab", 1),
    ("[a-c]x", "bx", 1), ("[!a-c]x", "bx", 0), ("[^a]", "b", 1), ("[]a]", "]", 1), ("[a", "[a", 1),
    ("[a-]", "-", 1), (r"\*", "*", 1), (r"\*", "a", 0), (r"[\]]", "]", 1), ("a**b", "ab", 1),
    ("*a*a*a*a*a*a*a*a*b", "a" * 2000, 0), ("*.so", "x.so", 1), ("", "", 1), ("", "a", 0),
])
def test_glob_match(pattern, text, matches):
    assert glob_match(pattern, text) == bool(matches)


NAMES = ["foo", "foobar", "bar", "barfoo", "baz", "a", "ab", "abc", "_ZN2ns1fEv", "_ZN2ns1gEi",
         "_ZN2ns3fooEv", "_Z3barv"]
PATTERNS = ["foo", "foo*", "*foo", "bar", "ba?", "[ab]*", "a*", "*", "abc", "f[a-o]o", "_ZN2ns*",
            "_ZN2ns1fEv", "b*", "?", "[!a]*"]
CXX_PATTERNS = ["ns::*", '"ns::f()"', '"bar()"', "foo", "*", "ns::f*", "ba*", '"foo*"']


def random_script(rnd):
    nodes = []
    for number in range(rnd.randint(1, 3)):
        body = ""
        for label in ("global", "local"):
            if rnd.random() < 0.7:
                body += f" {label}:"
                for _ in range(rnd.randint(1, 3)):
                    body += (f' extern "C++" {{ {rnd.choice(CXX_PATTERNS)}; }};' if rnd.random() < 0.3
                             else f" {rnd.choice(PATTERNS)};")
        nodes.append(f"V{number} {{{body} }}" + (f" V{number - 1}" if number and rnd.random() < 0.5
                                                 else "") + ";\n")
    return "".join(nodes)


@pytest.mark.parametrize("seed", range(4))
def test_as_gnu_ld(tmp_path, seed):
    """Random scripts over a few symbols: each symbol gets the version that GNU ld gives it."""
    run = lambda *command: subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    (tmp_path / "a.s").write_text(".text\n" + "".join(f".globl {n}\n{n}: .byte 0\n" for n in NAMES))
    assert run("gcc", "-c", "a.s", "-o", "a.o").returncode == 0
    demangled = dict(zip(NAMES, run("c++filt", *NAMES).stdout.splitlines()))
    rnd = random.Random(seed)
    compared = 0
    for _ in range(40):
        text = random_script(rnd)
        (tmp_path / "v.map").write_text(text)
        link = run("ld.bfd", "-shared", "--version-script=v.map", "a.o", "-o", "a.so")
        script = VersionScript(Sources())
        try:
            script.add(parse_version_script(text, "v.map", script.sources))
            script.finish()
        except LinkError:
            assert link.returncode != 0, text
            continue
        if link.returncode:
            assert "duplicate expression" in link.stderr, link.stderr + text
            continue
        theirs = dict.fromkeys(NAMES, "local")
        for line in run("readelf", "-W", "--dyn-syms", "a.so").stdout.splitlines():
            words = line.split()
            if len(words) > 7 and words[6].isdecimal():
                symbol, _, version = words[7].partition("@")
                theirs[symbol] = version.lstrip("@") or "base"
        ours = {}
        for name in NAMES:
            plain = demangled[name]
            rank = script.patterns.find(name.encode(), plain if plain != name else None)
            ours[name] = "base" if rank < 0 else "local" if rank & 1 else script.names[rank >> 1]
        assert ours == theirs, text
        compared += 1
    assert compared > 20
