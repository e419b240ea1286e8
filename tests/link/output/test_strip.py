"""What the symbol table keeps: -s, -S, -x, -X, --retain-symbols-file."""

import pytest

SRC = """
#include <stdio.h>
static int local_data = 3; static int __attribute__((noinline)) local_fn(void) { return local_data; }
int global_fn(void) { return local_fn(); }
int main(void) { printf("%d\\n", global_fn()); }
"""


def build(tc, *flags):
    exe = tc.exe("prog", *flags, tc.c(SRC, "-g", "-O0"))
    assert tc.out(exe) == "3\n"
    e = tc.elf(exe)
    return e, {s.name for s in e.symbols}


def test_default_keeps_all(tc):
    e, names = build(tc)
    assert {"local_data", "local_fn", "global_fn", "main", "a.c"} <= names and e.section(".debug_info")
    info = e.section(".symtab").info
    assert all(s.bind == "STB_LOCAL" for s in e.symbols[:info]) and all(s.bind != "STB_LOCAL" for s in e.symbols[info:])
    file_at = next(i for i, s in enumerate(e.symbols) if s.name == "a.c")
    local_at = next(i for i, s in enumerate(e.symbols) if s.name == "local_fn")
    assert e.symbols[file_at].type == "STT_FILE" and file_at < local_at
    assert not any(s.type == "STT_FILE" for s in e.symbols[file_at + 1:local_at])


@pytest.mark.parametrize("flag", ["-s", "-Wl,--strip-all", "-Wl,-s"])
def test_strip_all(tc, flag):
    e, _ = build(tc, flag)
    assert e.section(".symtab") is None and e.section(".strtab") is None and e.section(".debug_info") is None
    assert e.section(".dynsym") and e.section(".comment")


@pytest.mark.parametrize("flag", ["-Wl,-S", "-Wl,--strip-debug"])
def test_strip_debug(tc, flag):
    e, names = build(tc, flag)
    assert not [s.name for s in e.sections if s.name.startswith(".debug")] and {"local_fn", "global_fn"} <= names


@pytest.mark.parametrize("flag", ["-Wl,-x", "-Wl,--discard-all"])
def test_discard_all_locals(tc, flag):
    e, names = build(tc, flag)
    assert "global_fn" in names and not {"local_fn", "local_data"} & names and e.section(".debug_info")


@pytest.mark.targets("amd64")
def test_discard_temporary_locals(tc):
    """-X drops .L names; they are kept by --discard-none."""
    obj = tc.asm('.globl _start\n_start: ret\n.Ltemp: nop\nplain: nop\n lea .Ltemp(%rip), %rax\n', "-Wa,-L")
    names = lambda *f: {s.name for s in tc.elf(tc.ld("out", *f, obj).path).symbols}
    assert ".Ltemp" in names("--discard-none")
    assert ".Ltemp" not in names("-X") and "plain" in names("-X")


def test_retain_symbols_file(tc):
    keep = tc.write("keep.txt", "global_fn\nmain\n")
    _, names = build(tc, f"-Wl,--retain-symbols-file={keep}")
    assert {"global_fn", "main"} <= names and "local_fn" not in names and "_end" not in names


@pytest.mark.parametrize("flag", ["-s", "-Wl,-x", "-Wl,-S"])
def test_shared_objects(tc, flag):
    e = tc.elf(tc.so("liba.so", flag, tc.c("static int s(void) { return 1; } int f(void) { return s(); }", "-fPIC", "-g", "-O0")))
    names = {x.name for x in e.symbols}
    assert "f" in e.dynamic_names()
    assert ("s" in names) == (flag == "-Wl,-S") and bool(e.section(".debug_info")) == (flag == "-Wl,-x")


def test_symbols_point_where_their_code_is(tc):
    e, _ = build(tc)
    for name in ("main", "global_fn", "local_fn"):
        s = e.symbol(name)
        sec, code = e.section(".text"), e.code(name)
        assert e.sections[s.shndx].name == (".opd" if tc.target.descriptors else ".text")
        assert sec.addr <= code < code + s.size <= sec.addr + sec.size
    assert e.symbol("local_data").type == "STT_OBJECT"
