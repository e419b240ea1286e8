"""strip, objcopy and patchelf leave a working file."""

import shutil

import pytest

from harness.toolchain import EXE_MODES, clean_env, run_command

SRC = """
#include <stdio.h>
#include <stdlib.h>
__thread int t = 4; int data[3] = {1, 2, 3}; char bss[10000]; int *p = &data[1];
static void __attribute__((constructor)) c(void) { t++; }
int main(void) { void *m = malloc(10); free(m); printf("%d %d %d\\n", t, *p, bss[9999]); }
"""
SAID = "5 2 0\n"


def build(tc, mode, *flags):
    cflags, ldflags = EXE_MODES[mode]
    return tc.exe("prog", *ldflags, *flags, tc.c(SRC, "-g", *cflags))


@pytest.mark.parametrize("mode", EXE_MODES)
@pytest.mark.parametrize("tool", [("strip",), ("strip", "-g"), ("objcopy", "--strip-unneeded"), ("objcopy", "-S"), ("objcopy",), ("objcopy", "-x"),
                                  ("objcopy", "--compress-debug-sections"), ("objcopy", "--remove-section=.comment")])
def test_binutils(tc, tool, mode):
    exe = build(tc, mode)
    out = tc.dir / "after"
    cmd = [tc.tool(tool[0]), *tool[1:]]
    done = run_command([*cmd, "-o", out, exe] if tool[0] == "strip" else [*cmd, exe, out])
    assert done.err == ""
    out.chmod(0o755)
    assert tc.out(out) == SAID
    before, after = tc.elf(exe), tc.elf(out)
    shape = lambda e: [(p.type, p.flags, p.vaddr, p.memsz) for p in e.segments]
    assert shape(before) == shape(after)


@pytest.mark.parametrize("tool", [("llvm-strip-19",), ("llvm-objcopy-19", "--strip-debug"), ("eu-strip", "-o", "OUT")])
def test_other_strips(tc, tool):
    exe = build(tc, "pie")
    out = tc.dir / "after"
    if tool[0].startswith("llvm"):
        shutil.copy(exe, out)
        run_command([*tool, out])
    else:
        run_command([tool[0], "-o", out, exe])
    assert tc.out(out) == SAID


@pytest.mark.needs("gdb")
def test_separate_debug_file(tc):
    exe = build(tc, "pie", "-Wl,--gc-sections")
    debug = tc.dir / "prog.debug"
    run_command([tc.tool("objcopy"), "--only-keep-debug", exe, debug])
    run_command([tc.tool("objcopy"), "--strip-debug", f"--add-gnu-debuglink={debug}", exe])
    assert tc.out(exe) == SAID
    assert tc.elf(exe).section(".debug_info") is None
    done = run_command(["gdb", "-nx", "-batch", "-ex", "break main", "-ex", "run", "-ex", "info line", "-ex", "kill", exe], cwd=tc.dir, env=clean_env())
    assert "main () at a.c:6" in done.out, done.out + done.err


@pytest.mark.parametrize("edit", [("--set-rpath", "/a/rather/long/run/path/that/does/not/fit/in/place"), ("--add-needed", "libm.so.6"), ("--remove-rpath",)])
@pytest.mark.parametrize("mode", ["dynamic", "pie"])
def test_patchelf_program(tc, edit, mode):
    exe = build(tc, mode, "-Wl,-rpath,/short")
    run_command(["patchelf", *edit, exe])
    assert tc.out(exe) == SAID


def test_patchelf_library(tc):
    lib = tc.so("libp.so", tc.c("int f(void) { return 6; }", "-fPIC", name="p"))
    exe = tc.exe("prog", tc.c('#include <stdio.h>\nint f(void); int main(void) { printf("%d\\n", f()); }', name="m"), lib)
    run_command(["patchelf", "--set-soname", "libp.so", "--set-rpath", "/very/long/path" * 20, lib])
    assert tc.out(exe) == "6\n"


def test_strip_of_library_and_relocatable(tc):
    lib = tc.so("libp.so", tc.c("int f(void) { return 6; }", "-fPIC", "-g", name="p"))
    m = tc.c('#include <stdio.h>\nint f(void); int main(void) { printf("%d\\n", f()); }', name="m")
    run_command([tc.tool("strip"), lib])
    assert tc.out(tc.exe("prog", m, lib)) == "6\n"
    rel = tc.ld("r.o", "-r", m, tc.c("int f(void) { return 7; }", "-g", name="f7")).path
    run_command([tc.tool("strip"), "-g", rel])
    assert tc.out(tc.exe("prog2", rel)) == "7\n"
    run_command([tc.tool("strip"), "--strip-unneeded", rel])
    assert tc.out(tc.exe("prog3", rel)) == "7\n"


def test_nm_and_addr2line(tc):
    exe = build(tc, "dynamic")
    kind = "D" if tc.target.descriptors else "T"
    addr = next(line.split()[0] for line in run_command([tc.tool("nm"), exe]).out.splitlines() if line.endswith(f" {kind} main"))
    if tc.target.descriptors:
        addr = hex(tc.elf(exe).word_at(int(addr, 16)))
    assert run_command([tc.tool("addr2line"), "-f", "-e", exe, addr]).out.splitlines()[0] == "main"
    assert run_command(["readelf", "-aW", exe]).err == ""
    assert run_command([tc.tool("objdump"), "-dr", exe]).err == ""
