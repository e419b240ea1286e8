"""Secure gateways of Armv8-M: what GNU ld makes of the same objects, bytes, symbols and import libraries."""

import pytest

FUNCTION = """
.globl {0},__acle_se_{0}
.type {0},%function
.type __acle_se_{0},%function
.thumb_func
{0}:
.thumb_func
__acle_se_{0}: movs r0,#1
 bxns lr
.size {0}, .-{0}
.size __acle_se_{0}, .-__acle_se_{0}
"""
START = """
.globl _start
.thumb_func
.type _start,%function
_start: bl {0}
 bx lr
.data
.word {0}
"""


def secure(tc, *names, name="secure"):
    text = ".syntax unified\n.arch armv8-m.main\n.thumb\n.text\n"
    return tc.asm(text + "".join(FUNCTION.format(n) for n in names) + START.format(names[0]), name=name)


def symbols(e):
    return {(s.name, s.value, s.size, s.type, s.bind, s.shndx) for s in e.symbols if s.name and s.name[0] != "$"}


AT = ("--section-start=.gnu.sgstubs=0x40000", "-Ttext=0x10000", "-Tdata=0x20000", "--cmse-implib")


@pytest.mark.targets("armhf")
def test_gateways_equal_gnu_ld(tc):
    # Of several, GNU ld orders the gateways by a hash.
    obj = secure(tc, "alpha")
    results = []
    for linker in (tc, tc.gnu):
        e = linker.elf(linker.ld("a", *AT, f"--out-implib={linker.dir}/imp.o", obj).path)
        library = linker.elf(linker.dir / "imp.o")
        entries = {(s.name, s.value, s.size) for s in e.symbols if s.name in ("alpha", "__acle_se_alpha")}
        results.append([e.data(".gnu.sgstubs").hex(), e.data(".text").hex(), e.data(".data").hex(), entries, symbols(library),
                        library.header["e_type"], library.header["e_flags"], e.pointer("alpha") & 1])
    assert results[0] == results[1]


@pytest.mark.targets("armhf")
def test_old_gateways_stay(tc):
    first = secure(tc, "alpha", "beta", "gamma", name="first")
    second = secure(tc, "aaa", "alpha", "beta", "gamma", "zeta", name="second")
    results = []
    for linker in (tc, tc.gnu):
        linker.ld("a", *AT, f"--out-implib={linker.dir}/one.o", first)
        linker.ld("b", *AT, f"--in-implib={linker.dir}/one.o", f"--out-implib={linker.dir}/two.o", second)
        results.append([{s.name: s.value for s in linker.elf(linker.dir / name).symbols if s.name} for name in ("one.o", "two.o")])
    for one, two in results:
        assert one.items() <= two.items() and set(two) - set(one) == {"aaa", "zeta"}
    assert [sorted(x.values()) for x in results[0]] == [sorted(x.values()) for x in results[1]]


@pytest.mark.targets("armhf")
def test_gateways_that_cannot_be(tc):
    obj = secure(tc, "alpha")
    done = tc.ld("a", obj, check=False)
    assert done.rc == 1 and ".gnu.sgstubs" in done.err
    tc.ld("a", *AT, f"--out-implib={tc.dir}/imp.o", secure(tc, "alpha", "beta", name="both"))
    done = tc.ld("a", *AT, f"--in-implib={tc.dir}/imp.o", obj, check=False)
    assert done.rc == 1 and "beta" in done.err
    lone = tc.asm(".syntax unified\n.arch armv8-m.main\n.thumb\n.globl _start,__acle_se_f\n.thumb_func\n_start:\n.thumb_func\n"
                  "__acle_se_f: bx lr\n", name="lone")
    done = tc.ld("a", *AT, lone, check=False)
    assert done.rc == 1 and "__acle_se_f" in done.err
    (tc.dir / "bad.o").write_bytes(b"\x7fELF\1\1" + b"\xff" * 60)
    done = tc.ld("a", *AT, f"--in-implib={tc.dir}/bad.o", obj, check=False)
    assert done.rc == 1 and "bad.o" in done.err


@pytest.mark.targets("armhf")
def test_collection_keeps_entries(tc):
    obj = secure(tc, "alpha", "beta")
    e = tc.elf(tc.ld("a", *AT, "--gc-sections", obj).path)
    assert len(e.data(".gnu.sgstubs").rstrip(b"\0")) == 16


@pytest.mark.targets("amd64", "armhf")
def test_import_library_of_all_names(tc):
    obj = tc.c("int value = 4; int twice(int x) { return 2 * x; } static int own; int *get(void) { return &own; }", "-fno-pie")
    results = []
    for linker in (tc, tc.gnu):
        e = linker.elf(linker.ld("a", "-e", "twice", f"--out-implib={linker.dir}/imp.o", obj).path)
        library = linker.elf(linker.dir / "imp.o")
        assert {(s.name, s.value) for s in library.symbols if s.name} == {(n, e.addr(n)) for n in ("value", "twice", "get")}
        results.append(({(s.name, s.size, s.type, s.bind, s.shndx) for s in library.symbols if s.name}, library.type))
    assert results[0] == results[1]
    main = tc.c('extern int value; extern int twice(int); int main(void) { return (long)&value == 0; }', "-fno-pie", name="m")
    tc.ld("b", "-e", "main", main, tc.dir / "imp.o")


@pytest.mark.targets("armhf")
@pytest.mark.parametrize("option", ["--vfp11-denorm-fix=scalar", "--fix-stm32l4xx-629360"])
def test_errata_that_are_not_worked_around(tc, option):
    done = tc.ld("a", option, tc.asm(".globl _start\n_start: bx lr\n"), check=False)
    assert done.rc == 1 and option.partition("=")[0] in done.err
