"""Link-time optimisation through the compilers' plugins (GNU ld manual, -plugin; GCC's linker plugin interface)."""

import pytest

from harness.judges import assert_failed
from harness.toolchain import run_command

MAIN = """
#include <stdio.h>
int add(int, int); int unused(void) { return 9; } extern int counter;
int main(void) { printf("%d %d\\n", add(2, 3), counter); return 0; }
"""
HELP = "int counter = 5; int add(int a, int b) { return a + b; } int dead(void) { return 1; }"
INLINE = "inline int twice(int x) { static int sum; return sum += 2 * x; }\n"
MAIN_CXX = INLINE + """
#include <iostream>
#include <stdexcept>
#include <string>
struct shape { virtual ~shape() {} virtual int area() { return twice(2); } };
int other();
int main() {
  shape one;
  try { throw std::runtime_error("thrown"); } catch (std::exception &e) { std::cout << e.what(); }
  std::cout << " " << twice(3) << " " << one.area() << " " << other() << "\\n";
}
"""
COMPILERS = {"gcc": ("gcc", "-flto"), "fat": ("gcc", "-flto", "-ffat-lto-objects"), "clang": ("clang", "-flto"),
             "thin": ("clang", "-flto=thin")}


def names(path, tc):
    return {s.name for s in tc.elf(path).symbols}


@pytest.fixture(params=COMPILERS)
def lto(request):
    """(driver, flags) of a compiler with LTO."""
    driver, *flags = COMPILERS[request.param]
    return driver, flags


def compiled(tc, lto, source, name, *flags):
    return tc.compile(source, "-O2", *lto[1], *flags, driver=lto[0], name=name)


def test_functions_are_inlined_across_files(tc, lto):
    main, help = compiled(tc, lto, MAIN, "main"), compiled(tc, lto, HELP, "help")
    exe = tc.exe("prog", "-O2", *lto[1], main, help, driver=lto[0])
    assert tc.out(exe) == "5 5\n"
    # ThinLTO inlines and keeps the function, as behind every linker.
    assert "main" in names(exe, tc) and not {"dead", "unused"} & names(exe, tc)
    assert "add" not in names(exe, tc) or "-flto=thin" in lto[1]


def test_machine_code_beside_ir(tc, lto):
    """What machine code refers to stays; what it defines counts before IR of an archive."""
    main = compiled(tc, lto, "int two(void); int three(void) { return 3; } int main(void) { return two() - 6; }", "main")
    plain = tc.c("int three(void); int two(void) { return 2 * three(); }", name="plain")
    exe = tc.exe("prog", "-O2", *lto[1], main, plain, driver=lto[0])
    tc.out(exe)
    assert {"two", "three"} <= names(exe, tc)


@pytest.mark.parametrize("flags", ["rcs", "rcsT"], ids=["archive", "thin"])
def test_members_of_archives(tc, lto, flags):
    main, help = compiled(tc, lto, MAIN, "main"), compiled(tc, lto, HELP, "help")
    more = compiled(tc, lto, "int never(void) { return 0; }", "more")
    archive = tc.dir / "libhelp.a"
    tool = "llvm-ar-19" if lto[0] == "clang" else tc.tool("gcc-ar")
    run_command([tool, flags, archive, help, more], cwd=tc.dir)
    exe = tc.exe("prog", "-O2", *lto[1], main, archive, driver=lto[0])
    assert tc.out(exe) == "5 5\n" and "never" not in names(exe, tc)


def test_shared_object_keeps_what_it_exports(tc, lto):
    lib = tc.so("libhelp.so", "-O2", *lto[1], compiled(tc, lto, HELP, "help", "-fPIC"), driver=lto[0])
    assert {"add", "counter", "dead"} <= {s.name for s in tc.elf(lib).dynsyms}
    assert tc.out(tc.exe("prog", "-O2", *lto[1], compiled(tc, lto, MAIN, "main"), lib, driver=lto[0])) == "5 5\n"


def test_comdat_and_exceptions(tc, lto):
    driver = {"gcc": "g++", "clang": "clang++"}[lto[0]]
    main = tc.compile(MAIN_CXX, "-O2", *lto[1], lang="c++", driver=driver, name="main")
    other = tc.compile(INLINE + "int other() { return twice(1); }", "-O2", *lto[1], lang="c++", driver=driver, name="other")
    plain = tc.compile(INLINE + "int third() { return twice(1); }", "-O0", lang="c++", driver="g++", name="plain")
    assert tc.out(tc.exe("prog", "-O2", *lto[1], main, other, plain, driver=driver)) == "thrown 6 10 12\n"


def test_roots_of_command_line_and_script(tc, lto):
    main, help = compiled(tc, lto, MAIN, "main"), compiled(tc, lto, HELP, "help")
    exe = tc.exe("prog", "-O2", *lto[1], main, help, "-Wl,-u,dead", "-Wl,--defsym=alias=unused", driver=lto[0])
    assert tc.out(exe) == "5 5\n" and {"dead", "unused", "alias"} <= names(exe, tc)


def test_wrapped_names(tc, lto):
    help = compiled(tc, lto, HELP, "help")
    wrap = tc.c("int __real_add(int, int); int __wrap_add(int a, int b) { return 100 + __real_add(a, b); }", name="wrap")
    call = tc.c("int add(int, int); int call(void) { return add(1, 1); }", name="call")
    user = compiled(tc, lto, "int call(void); int main(void) { return call() != 102; }", "user")
    tc.out(tc.exe("prog", "-O2", *lto[1], user, help, wrap, call, "-Wl,--wrap=add", driver=lto[0]))


def test_mistakes_are_said_once(tc, lto):
    main, help = compiled(tc, lto, MAIN, "main"), compiled(tc, lto, HELP, "help")
    done = tc.link("prog", "-O2", *lto[1], main, driver=lto[0], check=False)
    assert_failed(done, "undefined symbol: add", "undefined symbol: counter")
    again = compiled(tc, lto, HELP, "again")
    done = tc.link("prog", "-O2", *lto[1], main, help, again, driver=lto[0], check=False)
    assert_failed(done, "duplicate symbol: add", "help.o", "again.o")
    assert done.err.count("duplicate symbol: add") == 1


def test_relocatable_output_hands_ir_on(tc):
    lto = ("gcc", ["-flto"])
    main, help = compiled(tc, lto, MAIN, "main"), compiled(tc, lto, HELP, "help")
    both = tc.exe("both.o", "-r", "-O2", "-flto", main, help)
    assert any(s.name.startswith(".gnu.lto_") for s in tc.elf(both).sections)
    assert tc.out(tc.exe("prog", "-O2", "-flto", both)) == "5 5\n"
    code = tc.exe("code.o", "-r", "-O2", "-flto", "-flinker-output=nolto-rel", main, help)
    assert tc.out(tc.exe("prog2", code)) == "5 5\n"


@pytest.mark.targets("amd64")
def test_plugin_of_another_compiler(tc):
    bitcode = tc.compile(HELP, "-flto", driver="clang", name="bitcode")
    done = tc.link("prog", "-flto", tc.compile(MAIN, "-flto", name="main"), bitcode, check=False)
    assert_failed(done, "bitcode.o", "does not take it")


def test_plugin_that_cannot_be_loaded(tc):
    obj = tc.compile(HELP, "-flto", "-fno-fat-lto-objects", name="help")
    assert_failed(tc.ld("out", "-plugin", "/none/plugin.so", obj, check=False), "/none/plugin.so")
    assert_failed(tc.ld("out2", "-plugin", tc.write("text.so", "no library"), obj, check=False), "text.so")
