"""A few thousand damaged inputs: each ends with exit status 1 and a message (or 0, when the damage is harmless).

Never a signal, a traceback, a hang, or a failure without a word. Seeds are fixed; the label of a case says what was done.
"""

import json
import sys

import pytest

from harness import damage
from harness.linker import ROOT
from harness.toolchain import run_command

PEERS = pytest.mark.lacks(bfd="crashes on some, and has no word that marks an error", gold="likewise", lld="crashes on some", mold="likewise")

BATCH = str(ROOT / "tests" / "harness" / "batch.py")

RICH = """
#include <stdexcept>
#include <string>
#include <vector>
thread_local int tls = 4;
static const char *names[] = {"alpha", "beta"};
template <class T> T twice(T t) { return t + t; }
__attribute__((section("my_set"))) int in_set = 1;
__attribute__((constructor)) static void ctor() { tls++; }
inline int &unique() { static int n; return n; }
int work(int n) { if (n > 5) throw std::runtime_error(names[n & 1]); return twice(n) + tls + unique() + (int)std::vector<int>(n).size(); }
double constant(double d) { return d * 3.25; }
"""


def verdict(tc, cases, least):
    """Run (label, argv) cases, more than ``least``, in batches; fails with the ways in which some ended badly.

    Most of what reads inputs is the same for all targets: elsewhere than on amd64 every third case is run."""
    assert len(cases) > least
    if tc.target.name != "amd64":
        cases = cases[::3]
    work = tc.write("cases.json", json.dumps([argv for _, argv in cases]))
    program = "mclink" if tc.linker.is_mclink else tc.linker.path
    root = [str(tc.linker.root)] if tc.linker.is_mclink else []
    done = run_command([sys.executable, BATCH, program, work, *root], cwd=tc.dir, timeout=600)
    bad = {}
    for (label, _), (status, took, said) in zip(cases, json.loads(done.out)):
        last = said.strip().rsplit("\n", 1)[-1][:200]
        if status < 0:
            kind = f"signal {-status}" + (f" after {took} s" if status == -14 else "")
        elif "Traceback (most recent call last)" in said or status in (120, 121):
            frames = [line.strip() for line in said.splitlines() if line.startswith("  File ")]
            kind = f"traceback: {last} at {frames[-1].rsplit('/', 1)[-1] if frames else '?'}"
        elif status not in (0, 1):
            kind = f"exit status {status}"
        elif status == 1 and "error" not in said:
            kind = f"failed without an error message: {last}"
        else:
            continue
        bad.setdefault(kind, []).append(label)
    assert not bad, f"{sum(map(len, bad.values()))} of {len(cases)} cases:\n" + "\n".join(
        f"{len(labels)} x {kind}; for one: {', '.join(labels[:3])}" for kind, labels in bad.items())


def files(tc, mutations, suffix, folder="cases"):
    """Write each mutation to a file of its own; yields (label, path)."""
    for i, (label, data) in enumerate(mutations):
        yield label, str(tc.write(f"{folder}/{i}{suffix}", data))


def shard(rows, part, parts):
    """Every ``parts``-th row from ``part``: xdist runs the shards side by side."""
    return [row for i, row in enumerate(rows) if i % parts == part]


OBJECT_WAYS = {
    "static": ("-static", "-e", "main", "--unresolved-symbols=ignore-all"),
    "shared": ("-shared",),
    "relocatable": ("-r",),
    "gc": ("-shared", "--gc-sections", "--eh-frame-hdr", "--build-id", "-O2"),
}


@PEERS
@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("way", OBJECT_WAYS)
def test_objects(tc, way, part):
    flags = ("-fPIC", "-O1", "-ffunction-sections") + (("-g",) if way == "gc" else ())
    raw = tc.cxx(RICH, *flags, name="rich").read_bytes()
    # each way of linking takes every second mutation, so that two ways see each
    rows = shard(list(damage.object_mutations(raw, flips=80, seed=way)), 2 * part + list(OBJECT_WAYS).index(way) % 2, 4)
    cases = [(label, ["-o", str(tc.dir / "out"), *OBJECT_WAYS[way], path]) for label, path in files(tc, rows, ".o")]
    verdict(tc, cases, least=300)


@PEERS
def test_compressed_debug_sections(tc):
    raw = tc.cxx(RICH, "-fPIC", "-g", "-gz=zlib", name="rich").read_bytes()
    b = damage.Bits(raw)
    rows = []
    for i, _, h in b.sections():
        if h["flags"] & 0x800:
            for off, size in ((0, 4), (4, 4), (8, 8), (16, 8), (24, 4), (h["size"] - 4, 4)):
                for v in damage.limits(b.get(h["offset"] + off, size), size, len(raw)):
                    rows.append((f"chdr[{i}]+{off}={v:#x}", b.put(h["offset"] + off, size, v)))
    cases = [(label, ["-o", str(tc.dir / "out"), "-shared", path]) for label, path in files(tc, rows[::3], ".o")]
    verdict(tc, cases, least=60)


@PEERS
@pytest.mark.parametrize("part", [0, 1])
def test_shared_objects(tc, part):
    script = tc.write("v.map", "V1 { global: f*; local: *; };\nV2 { global: g*; } V1;\n")
    lib = tc.so("libv.so", tc.c("int f1(void) { return 1; } int g1(void) { return 2; } int v; extern int printf(const char *, ...); int f2(void) { return printf(\"\"); }",
                                "-fPIC", name="v"), f"-Wl,--version-script={script}").read_bytes()
    user = tc.c("int f1(void), g1(void), f2(void); extern int v; int _start(void) { return f1() + g1() + f2() + v; }", "-fno-pie", name="user")
    rows = shard(list(damage.shared_object_mutations(lib)), part, 3)
    cases = [(label, ["-o", str(tc.dir / "out"), str(user), path]) for label, path in files(tc, rows, ".so")]
    verdict(tc, cases, least=400)


@PEERS
def test_archives(tc):
    objs = [tc.c("int f(void) { return 1; }", name="a_member_with_a_long_name"), tc.c("int g(void); int h(void) { return g(); }", name="b"),
            tc.c("int g(void) { return 3; }", name="another_member_with_a_long_name")]
    raw = tc.ar("liba.a", *objs).read_bytes()
    user = tc.c("int f(void), h(void); int _start(void) { return f() + h(); }", name="user")
    rows = list(damage.archive_mutations(raw))
    cases = []
    for i, (label, path) in enumerate(files(tc, rows, ".a")):
        whole = ["--whole-archive"] if i % 3 == 0 else []
        cases.append((label, ["-o", str(tc.dir / "out"), str(user), *whole, path]))
    verdict(tc, cases, least=200)


SCRIPT = """
/* comment */ OUTPUT_FORMAT("elf64-x86-64", "elf64-x86-64", "elf64-x86-64") OUTPUT_ARCH(i386:x86-64) ENTRY(_start)
MEMORY { rom (rx) : ORIGIN = 0x10000, LENGTH = 64K  ram (rw!x) : org = 0x800000, len = 1M }
PHDRS { text PT_LOAD FILEHDR PHDRS FLAGS(5) ; data PT_LOAD ; }
SECTIONS {
  . = SIZEOF_HEADERS + ALIGN(0x1000) ; PROVIDE ( base = . ) ;
  .text : ALIGN(16) { *(.text .text.*) KEEP ( *(SORT(.init*)) ) . = ALIGN(8) ; LONG(0x1234) } > rom AT> rom :text =0x90909090
  .rodata : { *(EXCLUDE_FILE(*x.o) .rodata*) } > rom :text
  .data : AT ( LOADADDR(.rodata) + SIZEOF(.rodata) ) { start = . ; *(.data) FILL(0) ; end = ABSOLUTE(.) ; } > ram :data
  .bss (NOLOAD) : { *(.bss) *(COMMON) } > ram
  ASSERT ( end - start < 0x10000 , "too big" ) /DISCARD/ : { *(.comment) }
}
INSERT AFTER .data ;
"""
INPUT_SCRIPT = "/* GNU ld script */ OUTPUT_FORMAT(elf64-x86-64) SEARCH_DIR(.) GROUP ( ./a.o AS_NEEDED ( -lnone ) ) INPUT ( \"b.o\" , c.o ) ENTRY ( f ) VERSION { V { f ; } ; }"
VERSIONS = "V1 { global: f ; g* ; extern \"C++\" { ns::f* ; \"ns::g(int)\" ; } ; local: * ; } ; V2 { h ; [a-z]* ; ?x ; } V1 ;"
DYNAMIC_LIST = "{ f ; g* ; extern \"C++\" { ns::* ; } ; } ;"
RESPONSE = "-o out 'quoted file' \"double \\\" quoted\" back\\slash --defsym x=1+2*(3-4) -L. @nested -z now"


@PEERS
@pytest.mark.targets("amd64")
@pytest.mark.parametrize("kind", ["script", "input", "versions", "dynamic-list", "response", "defsym"])
def test_texts(tc, kind):
    obj = str(tc.c("int _start(void) { return 0; } int f(void) { return 1; }", "-fPIC", name="a"))
    out = ["-o", str(tc.dir / "out")]
    text, argv = {
        "script": (SCRIPT, lambda p: [*out, "-T", p, obj]),
        "input": (INPUT_SCRIPT, lambda p: [*out, obj, p]),
        "versions": (VERSIONS, lambda p: [*out, "-shared", obj, f"--version-script={p}"]),
        "dynamic-list": (DYNAMIC_LIST, lambda p: [*out, "-shared", obj, f"--dynamic-list={p}"]),
        "response": (RESPONSE, lambda p: ["@" + p, obj]),
        "defsym": ("x = 1 + 2 * ( f - 4 ) / 2 % 3 << 1 | DEFINED ( f ) ? MAX ( 1 , 2 ) : 4", None),
    }[kind]
    if kind == "defsym":
        rows = [(label, data.decode("latin-1").replace("\0", "")) for label, data in damage.text_mutations(text, 100, kind)]
        cases = [(label, [*out, obj, "--defsym", data[:100000]]) for label, data in rows]
    else:
        cases = [(label, argv(path)) for label, path in files(tc, list(damage.text_mutations(text, 160, kind)), ".txt")]
    verdict(tc, cases, least=100)


@PEERS
@pytest.mark.targets("amd64")
def test_options(tc):
    """Words of the command line: values missing, absurd, of the wrong kind."""
    obj = str(tc.c("int _start(void) { return 0; }", name="a"))
    values = ["", "-1", "0", "18446744073709551616", "0x", "abc", "1e9", "\xff", "a" * 5000, "=", ",", "/", "%s", "{}"]
    options = ["-Ttext=", "--section-start=", "--image-base=", "-z max-page-size=", "-z common-page-size=", "-z stack-size=", "--build-id=", "--hash-style=",
               "--compress-debug-sections=", "--defsym=", "-e ", "-m ", "--sysroot=", "-L", "-l", "--wrap=", "--version-script=", "--dynamic-list=",
               "--retain-symbols-file=", "-T ", "--threads=", "--error-limit=", "--oformat=", "-b ", "--unresolved-symbols=", "-soname=", "-rpath=", "-y ", "-u ",
               "--just-symbols=", "-Map=", "--orphan-handling=", "--sort-section=", "-O", "-z ", "--", "-", "@", "--no-such-option=", "--start-group ", "--end-group ",
               "--pop-state ", "--start-lib ", "--end-lib ", "--package-metadata=", "--dependency-file=", "-I ", "-f ", "-F ", "--exclude-libs=",
               "--export-dynamic-symbol=", "--require-defined=", "--spare-dynamic-tags=", "-Tdata=", "-Tbss=", "-Ttext-segment=", "-Tldata-segment=", "-G "]
    cases = []
    for option in options:
        for value in values:
            words = [w for w in (option + value).split(" ", 1)] if " " in option else [option + value]
            cases.append((option + value[:20], [*words, "-o", str(tc.dir / "out"), obj]))
        cases.append((option + " at the end", ["-o", str(tc.dir / "out"), obj, option.strip()]))
    verdict(tc, cases, least=700)


@pytest.mark.targets("amd64")
def test_the_judge_sees_crashes(tc):
    """The harness itself: a signal, a silent failure, a wrong status and a hang must each be found."""
    fake = tc.write("fake.sh", "#!/bin/sh\ncase $1 in segv) kill -SEGV $$;; silent) exit 1;; odd) echo error; exit 3;; ok) echo error: x >&2; exit 1;; esac\n")
    fake.chmod(0o755)
    work = tc.write("cases.json", json.dumps([["segv"], ["silent"], ["odd"], ["ok"]]))
    done = run_command([sys.executable, BATCH, fake, work])
    assert [row[0] for row in json.loads(done.out)] == [-11, 1, 3, 1]
