"""Hello, world in every kind of executable, through every driver."""

import pytest

from harness.judges import assert_same_facts, judge, lint_exe
from harness.toolchain import EXE_MODES

HELLO_C = """
#include <stdio.h>
int main(int argc, char **argv) { printf("hello, %s %d\\n", "C", argc); return 0; }
"""

HELLO_CXX = """
#include <iostream>
#include <string>
#include <vector>
struct Says { virtual ~Says() {} virtual std::string what() const { return "base"; } };
struct Cxx : Says { std::string what() const override { return "C++"; } };
int main() {
  std::vector<Says *> all{new Says, new Cxx};
  std::cout << "hello, " << all[1]->what() << std::endl;
  for (Says *s : all) delete s;
}
"""


@pytest.mark.parametrize("mode", EXE_MODES)
@pytest.mark.parametrize("driver", ["gcc", "clang"])
def test_c(tc, driver, mode):
    cflags, ldflags = EXE_MODES[mode]
    obj = tc.c(HELLO_C, "-O1", *cflags, driver=driver)
    assert tc.out(lint_exe(tc, "hello", *ldflags, obj, driver=driver)) == "hello, C 1\n"


@pytest.mark.parametrize("mode", EXE_MODES)
@pytest.mark.parametrize("driver", ["g++", "clang++"])
def test_cxx(tc, driver, mode):
    cflags, ldflags = EXE_MODES[mode]
    obj = tc.cxx(HELLO_CXX, "-O1", *cflags, driver=driver)
    assert tc.out(lint_exe(tc, "hello", *ldflags, obj, driver=driver)) == "hello, C++\n"


@pytest.mark.parametrize("mode,kind", [("dynamic", "ET_EXEC"), ("pie", "ET_DYN"), ("static", "ET_EXEC"), ("static-pie", "ET_DYN")])
def test_file_type(tc, mode, kind):
    cflags, ldflags = EXE_MODES[mode]
    e = tc.elf(tc.exe("hello", *ldflags, tc.c(HELLO_C, *cflags)))
    assert e.type == kind
    assert e.header["e_machine"] == tc.target.machine
    assert e.interp == (None if mode.startswith("static") else tc.target.loader)
    assert bool(e.dynamic) == (mode != "static")
    # On PPC64 ELFv1 it is a function descriptor.
    assert e.section_at(e.entry).name in (".text", ".opd")
    if mode != "static":
        assert ("DF_1_PIE" in e.dyn_flags()) == (kind == "ET_DYN")


@pytest.mark.parametrize("mode", ["dynamic", "pie"])
@pytest.mark.parametrize("lang", ["c", "c++"])
def test_facts_equal_gnu_ld(tc, lang, mode):
    cflags, ldflags = EXE_MODES[mode]
    obj = tc.compile(HELLO_C if lang == "c" else HELLO_CXX, "-O1", *cflags, lang=lang)
    judge(tc, "exe", "hello", *ldflags, obj, driver="gcc" if lang == "c" else "g++")


@pytest.mark.needs("static-pie")
def test_static_pie_facts_equal_gnu_ld(tc):
    obj = tc.c(HELLO_C, "-fPIE")
    judge(tc, "exe", "hello", "-static-pie", obj)


@pytest.mark.parametrize("mode", EXE_MODES)
def test_exit_status_arguments_and_environment(tc, mode):
    cflags, ldflags = EXE_MODES[mode]
    obj = tc.c("""
        #include <stdlib.h>
        #include <string.h>
        int main(int argc, char **argv) { return argc == 3 && !strcmp(argv[2], "b") && getenv("K") ? 42 : 1; }
        """, *cflags)
    done = tc.run(tc.exe("prog", *ldflags, obj), "a", "b", env={"K": "1"}, check=False)
    assert done.rc == 42


def test_without_libc(tc):
    if tc.target.name != "amd64":
        src = "void _start(void) { for (;;) ; }"
        tc.exe("bare", "-nostdlib", "-static", tc.c(src, "-fno-pie"))
        return
    obj = tc.asm("""
        .globl _start
        .section .rodata
        msg: .ascii "bare\\n"
        .text
        _start:
          mov $1, %eax
          mov $1, %edi
          lea msg(%rip), %rsi
          mov $5, %edx
          syscall
          mov $60, %eax
          xor %edi, %edi
          syscall
        """)
    exe = tc.ld("bare", obj).path
    assert tc.out(exe) == "bare\n"
    e = tc.elf(exe)
    assert e.type == "ET_EXEC" and not e.dynamic and e.interp is None


def test_many_objects_of_a_program(tc):
    objs = [tc.c(f"int f{i}(int x) {{ return x + {i}; }}", name=f"f{i}") for i in range(40)]
    calls = " + ".join(f"f{i}(1)" for i in range(40))
    decl = "".join(f"int f{i}(int);" for i in range(40))
    main = tc.c(f"#include <stdio.h>\n{decl}\nint main(void) {{ printf(\"%d\\n\", {calls}); }}", name="main")
    assert tc.out(tc.exe("prog", main, *objs)) == f"{sum(range(40)) + 40}\n"


def test_same_facts_helper_can_fail(tc):
    """The judge itself: an output with another soname must not pass."""
    obj = tc.c("int f(void) { return 1; }", "-fPIC")
    a = tc.gnu.so("liba.so", obj)
    b = tc.gnu.so("libb.so", obj)
    with pytest.raises(AssertionError, match="soname"):
        assert_same_facts(a, b)
