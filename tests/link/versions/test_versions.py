"""Symbol versions: libraries with two versions of one symbol, version scripts, reading and writing verdef and verneed."""

import pytest

from harness.judges import assert_failed, error_block, judge

TWO = """
int f_1(void) { return 1; }
int f_2(void) { return 2; }
int only(void) { return 3; }
int hidden_here(void) { return 4; }
__asm__(".symver f_1, f@V1");
__asm__(".symver f_2, f@@V2");
"""
TWO_MAP = "V1 { global: f; only; local: *; };\nV2 { global: f; } V1;\n"
OLD = "int f(void) { return 1; }\nint only(void) { return 3; }\n"
OLD_MAP = "V1 { global: f; only; local: *; };\n"
MAIN = '#include <stdio.h>\nint f(void), only(void); int main(void) { printf("%d %d\\n", f(), only()); }'


def two_versions(tc, maker=None):
    script = tc.write("two.map", TWO_MAP)
    return (maker or tc.so)("libv.so", tc.c(TWO, "-fPIC", name="two"), f"-Wl,--version-script={script}")


def test_two_versions_of_one_symbol(tc):
    lib = judge(tc, "so", "libv.so", tc.c(TWO, "-fPIC", name="two"), f"-Wl,--version-script={tc.write('two.map', TWO_MAP)}")
    e = tc.elf(lib)
    assert {(s.version, s.hidden) for s in e.dynsyms if s.name == "f"} == {("V1", True), ("V2", False)}
    assert e.dynsym("hidden_here") is None and e.dynsym("f_1") is None
    assert [(v.name, v.parents) for v in e.verdef] == [("libv.so", ()), ("V1", ()), ("V2", ("V1",))]


def test_new_program_binds_to_the_default_version(tc):
    lib = two_versions(tc)
    exe = judge(tc, "exe", "prog", tc.c(MAIN, name="main"), lib)
    assert tc.elf(exe).verneed["libv.so"] == {"V1", "V2"}
    assert tc.elf(exe).dynsym("f").version == "V2"
    assert tc.out(exe) == "2 3\n"


def test_old_program_keeps_the_old_version(tc):
    """Linked against the first release, run with the second."""
    old = tc.so("libv.so", tc.c(OLD, "-fPIC", name="old"), f"-Wl,--version-script={tc.write('old.map', OLD_MAP)}")
    exe = tc.exe("prog", tc.c(MAIN, name="main"), old)
    assert tc.elf(exe).verneed["libv.so"] == {"V1"}
    assert tc.out(exe) == "1 3\n"
    two_versions(tc)
    assert tc.out(exe) == "1 3\n"


def test_explicit_reference_to_the_old_version(tc):
    lib = two_versions(tc)
    main = tc.c('#include <stdio.h>\nint f(void), old_f(void); __asm__(".symver old_f, f@V1");\n'
                'int main(void) { printf("%d %d\\n", f(), old_f()); }', name="main")
    exe = judge(tc, "exe", "prog", main, lib)
    assert {s.version for s in tc.elf(exe).dynsyms if s.name == "f"} == {"V1", "V2"}
    assert tc.out(exe) == "2 1\n"


def test_hidden_version_is_no_definition_for_a_plain_reference(tc):
    lib = tc.so("libh.so", tc.c('int f_1(void) { return 1; } __asm__(".symver f_1, f@V1");', "-fPIC", name="h"),
                f"-Wl,--version-script={tc.write('h.map', 'V1 { global: f; local: *; };')}")
    main = tc.c("int f(void); int main(void) { return f(); }", name="main")
    assert tc.link("prog", main, lib, check=False).rc == 1


def test_unversioned_program_runs_with_versioned_library(tc):
    """A program linked with an unversioned library takes the base or the first definition (gABI: glibc's rule)."""
    plain = tc.so("libv.so", tc.c(OLD, "-fPIC", name="old"))
    exe = tc.exe("prog", tc.c(MAIN, name="main"), plain)
    assert "libv.so" not in tc.elf(exe).verneed
    two_versions(tc)
    assert tc.out(exe) == "1 3\n"


def test_three_at_signs(tc):
    """@@@ is @@ when the symbol is defined here and @ when it is not (gas manual, .symver)."""
    obj = tc.c('int g_impl(void) { return 1; } __asm__(".symver g_impl, g@@@V1");', "-fPIC")
    lib = judge(tc, "so", "libg.so", obj, f"-Wl,--version-script={tc.write('g.map', 'V1 { global: g; local: *; };')}")
    s = tc.elf(lib).dynsym("g")
    assert (s.version, s.hidden) == ("V1", False)
    assert tc.elf(lib).dynsym("g_impl") is None


def test_default_versioned_definition_satisfies_plain_reference_in_same_link(tc):
    a = tc.c('int h_impl(void) { return 7; } __asm__(".symver h_impl, h@@V1");', "-fPIC", name="a")
    b = tc.c("int h(void); int twice(void) { return h() * 2; }", "-fPIC", name="b")
    lib = judge(tc, "so", "libh.so", a, b, f"-Wl,--version-script={tc.write('h.map', 'V1 { global: h; twice; local: *; };')}")
    main = tc.c('#include <stdio.h>\nint twice(void); int main(void) { printf("%d\\n", twice()); }', name="main")
    assert tc.out(tc.exe("prog", main, lib)) == "14\n"


def test_symver_in_an_executable(tc):
    """A versioned definition in an executable without version script: the name before @ still resolves."""
    a = tc.c('int k_impl(void) { return 7; } __asm__(".symver k_impl, k@@V9");', name="a")
    b = tc.c('#include <stdio.h>\nint k(void); int main(void) { printf("%d\\n", k()); }', name="b")
    done = tc.link("prog", a, b, check=False)
    assert done.rc == 0, str(done)
    assert tc.out(done.path) == "7\n"


GLOBS = """
int api_one(void) { return 1; } int api_two(void) { return 2; } int api_internal(void) { return 3; }
int helper(void) { return 4; } int exact(void) { return 5; } int x1(void) { return 1; } int x2(void) { return 1; }
"""


@pytest.mark.parametrize("script,exported", [
    ("V { global: api_*; local: *; };", {"api_one", "api_two", "api_internal"}),
    ("V { global: api_*; exact; local: api_internal; *; };", {"api_one", "api_two", "exact"}),
    ("{ global: exact; x?; local: *; };", {"exact", "x1", "x2"}),
    ("{ global: x[1]; local: *; };", {"x1"}),
    ("{ global: x[^1]; local: *; };", {"x2"}),
    ("{ local: helper; };", {"api_one", "api_two", "api_internal", "exact", "x1", "x2"}),
    ("V { local: *; };", set()),
    ('V { global: "api_one"; "x*"; local: *; };', {"api_one"}),
    ("V1 { global: api_one; }; V2 { global: api_two; local: *; } V1;", {"api_one", "api_two"}),
])
def test_globs_and_locals(tc, script, exported):
    lib = judge(tc, "so", "libg.so", tc.c(GLOBS, "-fPIC"), f"-Wl,--version-script={tc.write('g.map', script)}")
    names = {s.name for s in tc.elf(lib).dynsyms if s.defined and s.name and s.shndx != "SHN_ABS"}
    assert names == exported


@pytest.mark.parametrize("script,version", [
    ("V1 { global: f*; }; V2 { global: foo; local: *; };", "V2"),      # exact beats glob
    ("V1 { global: *; }; V2 { global: fo*; };", "V2"),                  # any glob beats "*"
    ("V1 { global: foo; local: *; };", "V1"),
])
def test_precedence(tc, script, version):
    lib = judge(tc, "so", "libp.so", tc.c("int foo(void) { return 1; }", "-fPIC"), f"-Wl,--version-script={tc.write('p.map', script)}")
    assert tc.elf(lib).dynsym("foo").version == version


def test_extern_cxx(tc):
    src = """
        namespace ns { int shown(int) { return 1; } int other(int) { return 2; } struct T { virtual ~T(); int m(); }; T::~T() {} int T::m() { return 3; } }
        extern "C" int plain(void) { return 4; }
        """
    script = 'V { global: extern "C++" { ns::shown*; "ns::T::m()"; vtable?for?ns::T; }; plain; local: *; };'
    lib = judge(tc, "so", "libc++.so", tc.cxx(src, "-fPIC"), f"-Wl,--version-script={tc.write('c.map', script)}", driver="g++")
    names = {s.name for s in tc.elf(lib).dynsyms if s.defined and s.name and s.shndx != "SHN_ABS"}
    assert names == {"_ZN2ns5shownEi", "_ZN2ns1T1mEv", "_ZTVN2ns1TE", "plain"}


def test_thousands_of_exact_names(tc):
    """A script as rustc writes it; must be read in time and hide what it does not name."""
    n = 4000
    src = "".join(f"int n{i}(void) {{ return {i}; }}\n" for i in range(0, n, 40)) + "int not_listed(void) { return 0; }"
    script = "{ global:\n" + "".join(f"  n{i};\n" for i in range(0, n, 40)) + "local: *; };"
    lib = tc.so("libmany.so", tc.c(src, "-fPIC", "-O0"), f"-Wl,--version-script={tc.write('m.map', script)}")
    names = tc.elf(lib).dynamic_names()
    assert names >= {f"n{i}" for i in range(0, n, 40)} and "not_listed" not in names


def test_undefined_version(tc):
    obj = tc.c("int f(void) { return 1; }", "-fPIC")
    script = tc.write("u.map", "V { global: f; nothing_here; local: *; };")
    assert tc.link("a.so", "-shared", obj, f"-Wl,--version-script={script}", "-Wl,--undefined-version").rc == 0
    done = tc.link("b.so", "-shared", obj, f"-Wl,--version-script={script}", "-Wl,--no-undefined-version", check=False)
    assert_failed(done, "nothing_here")


@pytest.mark.lacks(lld="no --default-symver")
def test_default_symver(tc):
    lib = tc.so("libd.so", tc.c("int f(void) { return 1; }", "-fPIC"), "-Wl,--default-symver")
    assert tc.elf(lib).dynsym("f").version == "libd.so"


def test_version_node_dependencies_and_weak_flags(tc):
    script = "A { global: f1; }; B { global: f2; } A; C { global: f3; local: *; } A B;"
    src = "".join(f"int f{i}(void) {{ return {i}; }}" for i in (1, 2, 3))
    lib = judge(tc, "so", "libn.so", tc.c(src, "-fPIC"), f"-Wl,--version-script={tc.write('n.map', script)}")
    assert [(v.name, v.parents) for v in tc.elf(lib).verdef][1:] == [("A", ()), ("B", ("A",)), ("C", ("B", "A"))]


def test_weak_reference_to_a_version(tc):
    lib = two_versions(tc)
    main = tc.c("#include <stdio.h>\n__attribute__((weak)) int only(void); int main(void) { printf(\"%d\\n\", only ? only() : 0); }", name="main")
    exe = judge(tc, "exe", "prog", "-Wl,--no-as-needed", main, lib)
    assert tc.elf(exe).dynsym("only").version == "V1"
    assert tc.out(exe) == "3\n"


def test_script_of_two_files_and_version_in_library_of_needed_library(tc):
    """f@V2 needed by a library that the program does not name itself."""
    lib = two_versions(tc)
    mid = tc.so("libmid.so", tc.c("int f(void); int mid(void) { return f() + 10; }", "-fPIC", name="mid"), lib)
    main = tc.c('#include <stdio.h>\nint mid(void); int main(void) { printf("%d\\n", mid()); }', name="main")
    exe = judge(tc, "exe", "prog", main, mid, f"-Wl,-rpath-link,{tc.dir}")
    assert tc.out(exe) == "12\n"


def test_copy_relocation_of_a_versioned_variable(tc):
    script = tc.write("v.map", "V1 { global: var; get; local: *; };")
    lib = tc.so("libvar.so", tc.c("int var = 5; int get(void) { return var; }", "-fPIC", name="var"), f"-Wl,--version-script={script}")
    main = tc.c('#include <stdio.h>\nextern int var; int get(void); int main(void) { var++; printf("%d\\n", get()); }', "-fno-pie", name="main")
    exe = judge(tc, "exe", "prog", "-no-pie", main, lib)
    assert tc.elf(exe).dynsym("var").version == "V1"
    assert tc.out(exe) == "6\n"


@pytest.mark.parametrize("script", ["V { global: f", "V { gl obal: f; };", "V1 { f; } V2;", "{ f; }; V { g; };", "V { f; }; V { g; };",
                                    "V1 { f; } MISSING;"])
def test_bad_script(tc, script):
    obj = tc.c("int f(void) { return 1; }", "-fPIC")
    done = tc.link("bad.so", "-shared", obj, f"-Wl,--version-script={tc.write('bad.map', script)}", check=False)
    assert_failed(done)
    assert "bad.map" in done.err or "version" in done.err


@pytest.mark.lacks(bfd="no column and no source line", lld="another form", mold="another form")
def test_bad_script_names_file_line_and_column(tc):
    script = tc.write("bad.map", "V {\n  global: f;\n  bad bad;\n};\n")
    done = tc.link("bad.so", "-shared", tc.c("int f(void) { return 1; }", "-fPIC"), f"-Wl,--version-script={script}", check=False)
    assert_failed(done, "bad.map:3:")
    assert "  bad bad;" in done.err and "^" in done.err
