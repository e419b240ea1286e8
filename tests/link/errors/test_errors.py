"""Diagnostics: lld's block form, what refers to what, hints, limits. Every failed link exits with 1 and leaves no output.

Where GNU ld says the same in other words the test asks it for the exit status and the name only.
"""

import re

import pytest

from harness.judges import assert_failed, blocks, error_block

BFD = pytest.mark.lacks(bfd="its own form", gold="its own form", mold="another form")


# -- undefined symbols

@pytest.mark.lacks(bfd="one line a reference", gold="likewise", mold="no line numbers")
def test_undefined_with_debug_info(tc):
    obj = tc.c("int missing(int);\n\nint main(void) {\n  return missing(1);\n}\n", "-g", "-O0", name="src/user")
    done = tc.link("prog", obj, check=False)
    assert_failed(done)
    head, rest = error_block(done, "undefined symbol: missing")
    assert re.fullmatch(r"referenced by user\.c:4 \(.*src/user\.c:4\)", rest[0]), rest
    assert re.fullmatch(r" +\S*user\.o:\(main\)", rest[1]), rest


@BFD
def test_undefined_without_debug_info(tc):
    done = tc.link("prog", tc.c("int missing(void); int main(void) { return missing(); }", name="plain"), check=False)
    assert_failed(done)
    _, rest = error_block(done, "undefined symbol: missing")
    assert rest[0] == "referenced by plain.c" and rest[1].strip().endswith("plain.o:(main)")


@BFD
def test_undefined_from_an_archive_member(tc):
    lib = tc.ar("libuser.a", tc.c("int missing(void); int f(void) { return missing(); }", name="member"))
    done = tc.link("prog", tc.c("int f(void); int main(void) { return f(); }", name="m"), lib, check=False)
    assert_failed(done)
    _, rest = error_block(done, "undefined symbol: missing")
    assert any("member.o:(f)" in r and "libuser.a" in r for r in rest)


def test_undefined_names_are_all_reported(tc):
    src = "".join(f"int u{i}(void);" for i in range(5)) + "int main(void) { return " + " + ".join(f"u{i}()" for i in range(5)) + "; }"
    done = tc.link("prog", tc.c(src), check=False)
    assert_failed(done, *[f"u{i}" for i in range(5)])


@BFD
def test_references_are_listed_and_cut(tc):
    """Three references are shown, the rest counted."""
    objs = [tc.c(f"int missing(void); int f{i}(void) {{ return missing(); }}", name=f"o{i}") for i in range(6)]
    done = tc.link("prog", tc.c("int main(void) { return 0; }", name="m"), *objs, check=False)
    _, rest = error_block(done, "undefined symbol: missing")
    assert sum(r.startswith("referenced by o") for r in rest) == 3
    assert rest[-1] == "referenced 3 more times"


@BFD
def test_error_limit(tc):
    src = "".join(f"int u{i:02}(void);" for i in range(50)) + "int main(void) { return " + " + ".join(f"u{i:02}()" for i in range(50)) + "; }"
    obj = tc.c(src)
    count = lambda *f: sum("undefined symbol" in h for h, _ in blocks(tc.link("prog", *f, obj, check=False)))
    assert count() == 20
    assert count("-Wl,--error-limit=5") == 5
    assert count("-Wl,--error-limit=0") == 50
    done = tc.link("prog", "-Wl,--error-limit=5", obj, check=False)
    assert "too many errors emitted" in done.err and "--error-limit=0" in done.err


def test_demangled(tc):
    obj = tc.cxx("namespace ns { int missing(int, const char *); template <class T> struct S { void go(T); }; } int main() { ns::S<long>().go(1); return ns::missing(1, \"\"); }")
    done = tc.link("prog", obj, driver="g++", check=False)
    assert_failed(done, "ns::missing(int, char const*)", "ns::S<long>::go(long)")
    done = tc.link("prog", "-Wl,--no-demangle", obj, driver="g++", check=False)
    assert_failed(done, "_ZN2ns7missingEiPKc")


@pytest.mark.lacks(bfd="no hints", gold="no hints", mold="no hints")
def test_did_you_mean(tc):
    a = tc.c("int open_the_file(void) { return 1; }", name="a")
    done = tc.link("prog", a, tc.c("int open_teh_file(void); int main(void) { return open_teh_file(); }", name="m"), check=False)
    _, rest = error_block(done, "undefined symbol: open_teh_file")
    assert "did you mean: open_the_file" in rest and any(r.startswith("defined in: ") and r.endswith("a.o") for r in rest)


@pytest.mark.lacks(bfd="no hints", gold="no hints", mold="no hints")
def test_c_against_cxx_linkage(tc):
    c = tc.c("int helper(int x) { return x; }", name="c")
    done = tc.link("prog", c, tc.cxx("int helper(int); int main() { return helper(1); }", name="m"), driver="g++", check=False)
    _, rest = error_block(done, "undefined symbol: helper(int)")
    assert any(r.startswith("did you mean") and 'extern "C"' in r and "helper" in r for r in rest)
    cxx = tc.cxx("int other(int x) { return x; }", name="cxx")
    done = tc.link("prog", cxx, tc.c("int other(int); int main(void) { return other(1); }", name="m2"), driver="g++", check=False)
    _, rest = error_block(done, "undefined symbol: other")
    assert any(r.startswith("did you mean") and "other(int)" in r for r in rest)


@pytest.mark.lacks(bfd="no hints", gold="no hints", mold="no hints")
def test_missing_vtable(tc):
    obj = tc.cxx("struct Base { virtual void key(); virtual ~Base() {} }; int main() { Base b; }")
    done = tc.link("prog", obj, driver="g++", check=False)
    _, rest = error_block(done, "undefined symbol: vtable for Base")
    assert any("key function" in r for r in rest)


@pytest.mark.lacks(bfd="no hints", gold="no hints", lld="no order to speak of", mold="likewise")
def test_defined_by_an_earlier_library(tc):
    """The archive that has it stood before the reference."""
    lib = tc.ar("libearly.a", tc.c("int needed(void) { return 1; }", name="early"))
    done = tc.link("prog", lib, tc.c("int needed(void); int main(void) { return needed(); }", name="m"), check=False)
    assert_failed(done)
    _, rest = error_block(done, "undefined symbol: needed")
    assert any("libearly.a" in r for r in rest)


@BFD
def test_hidden_symbol_of_a_library(tc):
    a = tc.c('__attribute__((visibility("hidden"))) int gone(void); int main(void) { return gone(); }', name="m")
    done = tc.link("prog", a, check=False)
    assert_failed(done)
    error_block(done, "undefined hidden symbol: gone")


@BFD
def test_undefined_in_a_shared_library(tc):
    lib = tc.so("libu.so", tc.c("int nowhere(void); int f(void) { return nowhere(); }", "-fPIC", name="u"))
    done = tc.link("prog", tc.c("int f(void); int main(void) { return f(); }", name="m"), lib, check=False)
    assert_failed(done, "nowhere", "libu.so")
    if tc.linker.flavour in ("mclink", "lld"):
        _, rest = error_block(done, "undefined reference: nowhere" if tc.linker.flavour == "lld" else "undefined")
        assert any("libu.so" in r for r in rest)


def test_undefined_entry_required(tc):
    assert_failed(tc.link("prog", "-Wl,--require-defined,nope", tc.c("int main(void) { return 0; }"), check=False), "nope")


# -- duplicates

@BFD
def test_duplicate(tc):
    a = tc.c("int twin(void) { return 1; }\n", "-g", name="first")
    b = tc.c("\n\nint twin(void) { return 2; }\n", "-g", name="second")
    done = tc.link("prog", a, b, tc.c("int main(void) { return 0; }", name="m"), check=False)
    assert_failed(done)
    _, rest = error_block(done, "duplicate symbol: twin")
    assert re.fullmatch(r"defined at first\.c:1 \(.*first\.c:1\)", rest[0]) and rest[1].strip().endswith("first.o:(twin)")
    assert re.fullmatch(r"defined at second\.c:3 \(.*second\.c:3\)", rest[2]) and rest[3].strip().endswith("second.o:(.text+0x0)")


def test_every_duplicate_is_reported(tc):
    a = tc.c("int t1 = 1, t2 = 2, t3 = 3;", name="a")
    b = tc.c("int t1 = 1, t2 = 2, t3 = 3;", name="b")
    assert_failed(tc.link("prog", a, b, tc.c("int main(void) { return 0; }", name="m"), check=False), "t1", "t2", "t3")


# -- relocations

@pytest.mark.targets("amd64")
@BFD
def test_out_of_range(tc):
    obj = tc.asm('.globl _start\n_start: mov far, %eax\n call far\n.section .note.GNU-stack,"",@progbits\n', name="range")
    done = tc.ld("out", obj, "--defsym=far=0x123456789abc", check=False)
    assert_failed(done)
    said = done.err
    assert re.search(r"range\.o:\(\.text\+0x3\): relocation R_X86_64_32S out of range: 20015998343868 is not in \[-2147483648, 2147483647\]", said)
    assert re.search(r"relocation R_X86_64_PLT32 out of range: -?\d+ is not in \[-2147483648, 2147483647\]", said)
    assert "references 'far'" in said or "references far" in said


@pytest.mark.targets("amd64")
def test_out_of_range_fails(tc):
    obj = tc.asm(".globl _start\n_start: mov far, %eax\n")
    assert_failed(tc.ld("out", obj, "--defsym=far=0x123456789abc", check=False), "R_X86_64_32S", "far")


@pytest.mark.targets("amd64")
@pytest.mark.parametrize("what", ["so", "pie"])
def test_position_dependent_code_in_a_position_independent_output(tc, what):
    obj = tc.asm('.globl f\nf: mov v, %eax\n ret\n.data\n.globl v\nv: .long 1\n.section .note.GNU-stack,"",@progbits\n', name="pic")
    flags = ("-shared",) if what == "so" else ("-pie", tc.c("int main(void) { return 0; }", name="m"))
    done = tc.link("out", *flags, obj, check=False)
    assert_failed(done, "R_X86_64_32S", "v", "-fPIC" if what == "so" else "-fPI")
    if tc.linker.flavour in ("mclink", "lld"):
        error_block(done, "relocation R_X86_64_32S cannot be used against symbol 'v'; recompile with -fPIC")


@pytest.mark.targets("amd64")
def test_pc_relative_to_a_preemptible_variable(tc):
    obj = tc.asm('.globl f\nf: lea v(%rip), %rax\n ret\n.data\n.globl v\nv: .long 1\n.size v,4\n.type v,@object\n.section .note.GNU-stack,"",@progbits\n', name="pc")
    assert_failed(tc.link("out.so", "-shared", obj, check=False), "R_X86_64_PC32", "v", "-fPIC")


@pytest.mark.targets("amd64")
def test_unknown_relocation_type(tc):
    raw = bytearray(tc.asm('.globl _start\n_start: call f\nf: ret\n.data\n.quad _start\n', name="odd").read_bytes())
    at = raw.find((1).to_bytes(4, "little"), raw.find(b"_start"))
    from harness.damage import Bits
    b = Bits(bytes(raw))
    rela = next(h for _, _, h in b.sections() if h["type"] == 4)
    bad = b.put(rela["offset"] + 8, 4, 0xc8)
    assert at
    done = tc.ld("out", tc.write("odd.o", bad), check=False)
    assert_failed(done, "odd.o")
    if tc.linker.is_mclink:
        assert "unknown relocation (200)" in done.err


# -- files

@BFD
def test_missing_file(tc):
    done = tc.ld("out", tc.c("int _start(void) { return 0; }"), "absent.o", check=False)
    assert_failed(done)
    error_block(done, "cannot open absent.o: ")
    assert "No such file or directory" in done.err


@BFD
def test_missing_library_names_the_folders(tc):
    (tc.dir / "one").mkdir()
    (tc.dir / "two").mkdir()
    done = tc.ld("out", tc.c("int _start(void) { return 0; }"), "-Lone", "-Ltwo", "-labsent", check=False)
    assert_failed(done)
    error_block(done, "unable to find library -labsent")
    if tc.linker.is_mclink:
        assert "one" in done.err and "two" in done.err


@pytest.mark.parametrize("name,data", [("garbage.o", b"\x01\x02\x03garbage" * 50), ("empty.o", b""), ("short.o", b"\x7fELF"),
                                       ("header.o", b"\x7fELF\2\1\1" + b"\0" * 20), ("liba.a", b"!<arch>\nshort")])
def test_not_an_object(tc, name, data):
    done = tc.ld("out", tc.c("int _start(void) { return 0; }"), tc.write(name, data), check=False)
    if name in ("empty.o",) and done.rc == 0:
        return  # GNU ld takes an empty file for an empty linker script
    assert_failed(done, name)


def test_two_errors_of_two_kinds_are_both_said(tc):
    done = tc.ld("out", tc.c("int _start(void) { return 0; }"), "absent1.o", "absent2.o", "-labsent3", check=False)
    assert_failed(done, "absent1.o")
    if tc.linker.flavour in ("mclink", "lld"):
        assert "absent2.o" in done.err and "absent3" in done.err


# -- severity

def test_fatal_warnings(tc):
    obj = tc.c("int f(void) { return 1; }", "-fno-pie")
    assert tc.ld("p1", obj).rc == 0
    assert tc.ld("p2", "--fatal-warnings", obj, check=False).rc == 1
    assert tc.ld("p3", "--fatal-warnings", "--no-fatal-warnings", obj).rc == 0


@pytest.mark.lacks(bfd="no -w in 2.40", gold="no -w")
def test_no_warnings(tc):
    obj = tc.c("int f(void) { return 1; }", "-fno-pie")
    assert tc.ld("out", "-w", obj).err == ""


def test_noinhibit_exec(tc):
    obj = tc.c("int missing(void); int _start(void) { return missing(); }", "-fno-pie")
    done = tc.ld("out", "-noinhibit-exec", obj, check=False)
    assert done.path.exists() and "missing" in done.err
    assert tc.elf(done.path).symbol("_start")


def test_gnu_warning_section(tc):
    """.gnu.warning.SYM: a warning where SYM is referenced (glibc: gets, tmpnam)."""
    lib = tc.ar("libw.a", tc.c('__attribute__((section(".gnu.warning.danger"), used)) static const char w[] = "do not use danger"; int danger(void) { return 0; }', name="w"))
    done = tc.link("prog", tc.c("int danger(void); int main(void) { return danger(); }", name="m"), lib)
    if tc.linker.flavour in ("mclink", "bfd"):
        assert "warning" in done.err and "do not use danger" in done.err
    assert tc.elf(done.path).section(".gnu.warning.danger") is None or tc.linker.flavour == "lld"


def test_colour(tc):
    obj = tc.c("int missing(void); int _start(void) { return missing(); }", "-fno-pie")
    assert "\x1b[" not in tc.ld("out", obj, check=False).err
    if tc.linker.flavour in ("mclink", "lld"):
        assert "\x1b[" in tc.ld("out", "--color-diagnostics=always", obj, check=False).err
        assert "\x1b[" not in tc.ld("out", "--color-diagnostics=never", obj, check=False).err


@pytest.mark.lacks(lld="argv[0] is its prefix", bfd="likewise", gold="likewise", mold="likewise")
def test_message_prefix(tc):
    obj = tc.c("int missing(void); int _start(void) { return missing(); }", "-fno-pie")
    assert re.match(r"(ld\.mclink|ld): error: undefined symbol: missing\n", tc.ld("out", obj, check=False).err)
