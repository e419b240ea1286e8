"""What mclink says beyond the name of the problem: hints, places, causes. GNU ld is asked for the failure only."""

import re

import pytest

from harness.judges import assert_failed, blocks, error_block

OURS = pytest.mark.lacks(bfd="no hints", gold="no hints", lld="other hints", mold="no hints")


def undefined(tc, name, *args, **more):
    done = tc.link("prog", *args, check=False, **more)
    assert_failed(done)
    return error_block(done, f"undefined symbol: {name}")[1]


def main_calling(tc, name, prototype="int {}(void);"):
    return tc.c(prototype.format(name) + f" int main(void) {{ return {name}(); }}", name="m")


@OURS
def test_library_that_as_needed_left_out(tc):
    lib = tc.so("libl.so", tc.c("int in_library(void) { return 0; }", "-fPIC", name="l"))
    rest = undefined(tc, "in_library", "-Wl,--as-needed", lib, main_calling(tc, "in_library"))
    assert any("--as-needed left out" in line and "libl.so" in line for line in rest)


@OURS
def test_only_an_old_version_is_there(tc):
    script = tc.write("v.map", b"V1 { local: old_impl; }; V2 { } V1;")
    lib = tc.so("libv.so", tc.c('__asm__(".symver old_impl,old@V1"); int old_impl(void) { return 0; }', "-fPIC",
                                name="v"), f"-Wl,--version-script={script}")
    rest = undefined(tc, "old", main_calling(tc, "old"), lib)
    assert any("old@V1" in line and "libv.so" in line for line in rest)


@OURS
def test_static_elsewhere(tc):
    other = tc.c("static int keep_me(void) { return 1; } int (*p)(void) = keep_me;", name="other")
    rest = undefined(tc, "keep_me", main_calling(tc, "keep_me"), other)
    assert any("local (static)" in line and "other.o" in line for line in rest)


@OURS
def test_other_case(tc):
    rest = undefined(tc, "openfile", main_calling(tc, "openfile"), tc.c("int OpenFile(void) { return 1; }", name="o"))
    assert "did you mean: OpenFile" in rest


@OURS
@pytest.mark.parametrize("wanted,defined", [
    ("ns::work(int)", "namespace other { int work(int) { return 0; } }"),
    ("ns::work(int)", "namespace ns { int work(long) { return 0; } }"),
])
def test_other_namespace_or_parameters(tc, wanted, defined):
    user = tc.cxx("namespace ns { int work(int); } int main() { return ns::work(1); }", name="m")
    rest = undefined(tc, wanted, user, tc.cxx(defined, name="d"), driver="g++")
    assert any(line.startswith("did you mean: ") and "work(" in line for line in rest)


@OURS
def test_nothing_alike_is_suggested_for_short_names(tc):
    rest = undefined(tc, "qz", main_calling(tc, "qz"), tc.c("int qq(void) { return 1; } int zz(void) { return 1; }", name="o"))
    assert not any("did you mean" in line for line in rest)


@OURS
def test_discarded_section(tc):
    """The winner of a group lacks what the loser's other sections refer to."""
    first = tc.asm('.section .text.g,"axG",@progbits,grp,comdat\n.globl grp\ngrp: .long 0\n', name="first")
    second = tc.asm('.section .text.g,"axG",@progbits,grp,comdat\n.globl grp, extra\ngrp: .long 0\nextra: .long 0\n'
                    '.data\n.long extra\n', name="second")
    done = tc.link("prog", tc.c("int main(void) { return 0; }", name="m"), first, second, check=False)
    assert_failed(done)
    _, rest = error_block(done, "relocation refers to a symbol in a discarded section: extra")
    assert any("second.o" in line and ".text.g" in line for line in rest)
    assert "section group signature: grp" in rest
    assert any(line.startswith("prevailing definition is in") and line.endswith("first.o") for line in rest)
    assert any("second.o:(.data+0x0)" in line for line in rest)


@OURS
@pytest.mark.targets("amd64")
def test_one_side_is_thread_local(tc):
    a = tc.c("extern __thread int v; int main(void) { return v; }", "-fno-pie", name="a")
    b = tc.c("int v = 1;", name="b")
    done = tc.link("prog", "-no-pie", a, b, check=False)
    assert_failed(done, "v", "thread-local")


@OURS
def test_wrong_machine(tc):
    obj = bytearray(tc.c("int f(void) { return 0; }", name="f").read_bytes())
    obj[18:20] = (8).to_bytes(2, "little")
    done = tc.ld("out", tc.c("int _start(void) { return 0; }", name="m"), tc.write("foreign.o", bytes(obj)), check=False)
    assert_failed(done, "foreign.o", "is incompatible with")


@OURS
def test_variable_defined_twice(tc):
    a = tc.c("\nint twin = 1;\n", "-g", name="a")
    b = tc.c("\n\n\nint twin = 2;\n", "-g", name="b")
    done = tc.link("prog", a, b, tc.c("int main(void) { return 0; }", name="m"), check=False)
    assert_failed(done)
    _, rest = error_block(done, "duplicate symbol: twin")
    assert rest[0].startswith("defined at a.c:2 ") and rest[2].startswith("defined at b.c:4 ")


@OURS
def test_unresolved_symbols_as_warnings(tc):
    obj = tc.c("int missing(void); int _start(void) { return missing(); }", "-fno-pie")
    for option in ("--warn-unresolved-symbols", "--unresolved-symbols=ignore-all"):
        done = tc.ld("out", option, obj)
        assert ("undefined symbol: missing" in done.err) == (option == "--warn-unresolved-symbols")


@OURS
def test_order_of_messages_does_not_depend_on_threads(tc):
    objs = [tc.c("".join(f"int u{i}_{j}(void);" for j in range(9)) + f"int f{i}(void) {{ return "
                 + "+".join(f"u{i}_{j}()" for j in range(9)) + "; }", name=f"o{i}") for i in range(6)]
    args = ("-Wl,--error-limit=0", tc.c("int main(void) { return 0; }", name="m"), *objs)
    one = tc.link("prog", "-Wl,--threads=1", *args, check=False)
    two = tc.link("prog", "-Wl,--threads=2", *args, check=False)
    assert blocks(one) == blocks(two) and len(blocks(one)) >= 54


@pytest.mark.lacks(lld="no such section", gold="other words", mold="no such section")
def test_warning_section_of_a_shared_library(tc):
    lib = tc.so("libw.so", tc.c('__attribute__((section(".gnu.warning.danger"), used)) static const char w[] = '
                                '"danger is dangerous"; int danger(void) { return 0; }', "-fPIC", name="w"))
    assert tc.elf(lib).section(".gnu.warning.danger")
    done = tc.link("prog", main_calling(tc, "danger"), lib)
    assert "danger is dangerous" in done.err
    assert tc.elf(done.path).section(".gnu.warning.danger") is None


@OURS
def test_error_handling_script(tc):
    script = tc.write("say.sh", b'#!/bin/sh\necho "script: $1 $2"\n')
    script.chmod(0o755)
    done = tc.link("prog", f"-Wl,--error-handling-script={script}", main_calling(tc, "missing_one"), "-lmissing_two",
                   check=False)
    assert_failed(done)
    said = done.out + done.err
    assert "script: missing-lib missing_two" in said


@OURS
def test_thousands_of_undefined_symbols_take_no_time(tc):
    count = 3000
    source = "".join(f"int undefined_function_{i}(void);" for i in range(count))
    source += "int main(void) { return " + "+".join(f"undefined_function_{i}()" for i in range(count)) + "; }"
    done = tc.link("prog", "-Wl,--error-limit=0", tc.c(source, "-g"), check=False)
    assert_failed(done)
    assert sum("undefined symbol" in head for head, _ in blocks(done)) == count
