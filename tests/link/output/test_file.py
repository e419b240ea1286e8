"""The output as a file: mode, replacement, special files, determinism, build id, metadata."""

import hashlib
import os
import stat

import pytest

from harness.judges import assert_failed
from harness.toolchain import EXE_MODES, clean_env, run_command

MAIN = "#include <stdio.h>\nint main(void) { puts(\"x\"); }"


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000, 0o027])
def test_mode_follows_umask(tc, umask):
    obj = tc.c(MAIN)
    wrapper = tc.write("wrap.sh", f"umask {umask:04o}\nexec \"$@\"\n")
    run_command(["sh", wrapper, tc.linker.path, "-m", tc.target.emulation, "-r", obj, "-o", tc.dir / "r.o"], cwd=tc.dir)
    run_command(["sh", wrapper, *tc.driver("gcc"), "-B", tc.linker.gcc_dir, obj, "-o", tc.dir / "prog"], cwd=tc.dir)
    assert stat.S_IMODE((tc.dir / "prog").stat().st_mode) == 0o777 & ~umask
    assert stat.S_IMODE((tc.dir / "r.o").stat().st_mode) == 0o666 & ~umask


def test_dev_null(tc):
    obj = tc.c("int _start(void) { return 0; }")
    tc.call_linker("-o", "/dev/null", obj)
    s = os.stat("/dev/null")
    assert stat.S_ISCHR(s.st_mode)
    assert run_command([*tc.driver("gcc"), "-B", tc.linker.gcc_dir, tc.c(MAIN, name="m"), "-o", "/dev/null"]).rc == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_replaces_a_running_program(tc):
    """The old file keeps its inode for those who run it (text busy is no error)."""
    sleeper = tc.c("#include <unistd.h>\n#include <stdio.h>\nint main(void) { puts(\"old\"); fflush(stdout); getchar(); puts(\"end\"); }", name="s")
    exe = tc.exe("prog", sleeper)
    import subprocess
    with subprocess.Popen([*tc.runner(), exe], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean_env()) as p:
        assert p.stdout.readline() == b"old\n"
        tc.exe("prog", tc.c(MAIN, name="m"))
        assert p.communicate(b"\n")[0] == b"end\n" and p.returncode == 0
    assert tc.out(exe) == "x\n"


def test_hard_linked_output_is_not_written_through(tc):
    obj = tc.c(MAIN)
    out = tc.write("prog", "old contents")
    os.link(out, tc.dir / "second")
    tc.exe("prog", obj)
    assert (tc.dir / "second").read_bytes() == b"old contents"


def test_default_output_name(tc):
    tc.call_linker("-m", tc.target.emulation, tc.c("int _start(void) { return 0; }"))
    assert (tc.dir / "a.out").exists()


def test_unwritable_folder(tc):
    obj = tc.c(MAIN)
    done = tc.link("nowhere/prog", obj, check=False)
    assert_failed(done, "nowhere/prog")


def test_output_is_a_folder(tc):
    (tc.dir / "folder").mkdir()
    done = tc.ld("folder", tc.c("int _start(void) { return 0; }"), check=False)
    assert done.rc == 1 and "folder" in done.err and (tc.dir / "folder").is_dir()


def test_failed_link_leaves_no_output_and_no_litter(tc):
    obj = tc.c("int nowhere(void); int main(void) { return nowhere(); }")
    before = set(os.listdir(tc.dir))
    assert tc.link("prog", obj, check=False).rc == 1
    assert set(os.listdir(tc.dir)) == before


def test_two_links_give_the_same_bytes(tc):
    objs = [tc.cxx("#include <map>\n#include <string>\nstd::map<std::string, int> m%d; int f%d(int x) { return ++m%d[std::to_string(x)]; }" % (i, i, i),
                   "-g", "-O1", "-ffunction-sections", name=f"o{i}") for i in range(4)]
    main = tc.cxx("int f0(int), f1(int), f2(int), f3(int); int main() { return f0(1) + f1(1) + f2(1) + f3(1) - 4; }", name="main")
    first = tc.exe("prog", "-Wl,--gc-sections,--build-id", main, *objs, driver="g++").read_bytes()
    for i in range(3):
        assert tc.exe("prog", "-Wl,--gc-sections,--build-id", main, *objs, driver="g++").read_bytes() == first


@pytest.mark.lacks(bfd="no --threads", lld="--threads here is mclink's check of itself", mold="another option")
@pytest.mark.parametrize("mode", EXE_MODES)
def test_threads_do_not_change_the_bytes(tc, mode):
    cflags, ldflags = EXE_MODES[mode]
    objs = [tc.cxx("#include <map>\n#include <string>\nstd::map<std::string, int> m%d; int f%d(int x) { return ++m%d[std::to_string(x)]; }" % (i, i, i),
                   "-g", "-O1", *cflags, name=f"o{i}") for i in range(4)]
    main = tc.cxx("int f0(int), f1(int), f2(int), f3(int); int main() { return f0(1) + f1(1) + f2(1) + f3(1) - 4; }", *cflags, name="main")
    seen = {hashlib.sha256(tc.exe("prog", *ldflags, f"-Wl,--threads={n},--build-id", "-Wl,--compress-debug-sections=zlib", main, *objs,
                                  driver="g++").read_bytes()).hexdigest() for n in (1, 2, 1, 2)}
    assert len(seen) == 1


@pytest.mark.lacks(bfd="no --threads", lld="this is mclink's check of itself", mold="another option")
def test_threads_do_not_change_the_messages(tc):
    objs = [tc.c("".join(f"int u{i}_{j}(void); int d{i}_{j}(void) {{ return u{i}_{j}(); }}" for j in range(5)), name=f"o{i}") for i in range(6)]
    said = {tc.link("prog", f"-Wl,--threads={n},--error-limit=0", *objs, tc.c("int main(void) { return 0; }", name="main"), check=False).err
            for n in (1, 2, 1, 2)}
    assert len(said) == 1


@pytest.mark.parametrize("style,size", [("sha1", 20), ("md5", 16), ("uuid", 16), ("0x1234abcd", 4)])
def test_build_id(tc, style, size):
    e = tc.elf(tc.exe("prog", f"-Wl,--build-id={style}", tc.c(MAIN)))
    assert len(e.build_id) == size
    assert e.section(".note.gnu.build-id").type == "SHT_NOTE" and e.flags(".note.gnu.build-id") == "A"
    if style.startswith("0x"):
        assert e.build_id == bytes.fromhex("1234abcd")
    if style == "uuid":
        assert tc.elf(tc.exe("prog", "-Wl,--build-id=uuid", tc.c(MAIN))).build_id != e.build_id


@pytest.mark.lacks(bfd="no such style", lld="no sha256")
@pytest.mark.parametrize("style,size", [("sha256", 32), ("fast", None)])
def test_build_id_beyond_gnu_ld(tc, style, size):
    first = tc.elf(tc.exe("prog", f"-Wl,--build-id={style}", tc.c(MAIN))).build_id
    assert len(first) == (size or len(first)) and len(first) >= 8
    assert tc.elf(tc.exe("prog", f"-Wl,--build-id={style}", tc.c(MAIN))).build_id == first
    assert tc.elf(tc.exe("prog", f"-Wl,--build-id={style}", tc.c(MAIN.replace("x", "y"), name="a"))).build_id != first


def test_build_id_depends_on_contents(tc):
    ids = {tc.elf(tc.exe("prog", "-Wl,--build-id", tc.c(MAIN.replace("x", c)))).build_id for c in "xyz"}
    assert len(ids) == 3


def test_build_id_none(tc):
    assert tc.elf(tc.exe("prog", "-Wl,--build-id=none", tc.c(MAIN))).build_id is None
    assert tc.elf(tc.ld("r.o", "-r", "--build-id=none", tc.c(MAIN)).path).build_id is None


def test_package_metadata(tc):
    e = tc.elf(tc.exe("prog", '-Wl,--package-metadata={"name":"x"}', tc.c(MAIN)))
    note = next(n for n in e.notes if n.type == 0xcafe1a7e)
    assert note.name == "FDO" and note.desc.rstrip(b"\0") == b'{"name":"x"}'


def test_comment_is_merged(tc):
    objs = [tc.c(MAIN, name="m"), tc.c("int f(void) { return 1; }", name="f")]
    comments = tc.elf(tc.exe("prog", *objs)).comments()
    assert sum(c.startswith("GCC") for c in comments) == 1


def test_gcc_passes_nothing_we_warn_about(tc):
    """-Wl,--fatal-warnings on ordinary links: every warning can break a build."""
    for mode, (cflags, ldflags) in EXE_MODES.items():
        if mode == "static-pie" and "static-pie" not in tc.target.features:
            continue
        done = tc.link(f"p-{mode}", *ldflags, "-Wl,--fatal-warnings", tc.c(MAIN, *cflags, name=mode))
        assert done.err == ""
    assert tc.link("lib.so", "-shared", "-Wl,--fatal-warnings", tc.c("int f(void) { return 1; }", "-fPIC", name="so")).err == ""
    cxx = tc.cxx("#include <iostream>\nint main() { std::cout << 1; }", name="cxx")
    assert tc.link("pxx", "-Wl,--fatal-warnings", cxx, driver="g++").err == ""


def test_dependency_file(tc):
    obj, lib = tc.c(MAIN, name="main"), tc.ar("libz.a", tc.c("int z;", name="z"))
    tc.exe("prog", obj, lib, "-Wl,--dependency-file=prog.d")
    text = (tc.dir / "prog.d").read_text()
    target, deps = text.split(":", 1)
    assert target.strip().endswith("prog") and "main.o" in deps and "libz.a" in deps and "crti.o" in deps


def test_oformat_binary(tc):
    if tc.target.name != "amd64":
        return
    obj = tc.asm('.globl _start\n_start: .byte 1, 2, 3\n.data\n.byte 4, 5\n')
    raw = tc.ld("out.bin", "--oformat", "binary", "-Ttext=0x1000", "-Tdata=0x1010", obj).path.read_bytes()
    assert raw[:3] == b"\1\2\3" and raw[0x10:0x12] == b"\4\5"
    (tc.dir / "raw.ld").write_text("OUTPUT_FORMAT(binary) SECTIONS { .text : { *(.text) } .data : { *(.data) } }")
    assert tc.ld("raw.bin", "-T", "raw.ld", obj).path.read_bytes()[:3] == b"\1\2\3"
