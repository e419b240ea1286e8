"""STT_GNU_IFUNC: resolvers in static, position-independent and shared outputs (gABI extension: GNU IFUNC)."""

import pytest

from harness.judges import judge
from harness.toolchain import EXE_MODES

pytestmark = pytest.mark.needs("ifunc")

IMPL = """
static int plain(void) { return 1; }
static int fancy(void) { return 2; }
int chosen = 1;
static int (*pick(void))(void) { return fancy; }
int f(void) __attribute__((ifunc("pick")));
static int (*pick_local(void))(void) { return plain; }
static int g(void) __attribute__((ifunc("pick_local")));
int (*table[2])(void) = {f, g};
int call(void) { return f() * 10 + g(); }
int same(int (*p)(void)) { return p == f; }
int (*get(void))(void) { return f; }
"""
MAIN = """
#include <stdio.h>
extern int f(void); extern int (*table[2])(void); int call(void); int same(int (*)(void)); int (*get(void))(void);
int (*pf)(void) = f;
int main(int argc, char **argv) {
  printf("%d %d %d %d %d\\n", f(), call(), table[0](), table[1](), pf());
  if (argc > 1) printf("%d %d\\n", same(pf), get() == pf && same(f));
}
"""
SAID = "2 21 2 1 2\n"
PIE_EQUALITY = "in a PIE, data gets the resolver's result and code the PLT entry"


@pytest.mark.parametrize("mode", EXE_MODES)
def test_in_one_executable(tc, mode):
    cflags, ldflags = EXE_MODES[mode]
    objs = [tc.c(IMPL, "-O1", *cflags, name="impl"), tc.c(MAIN, "-O1", *cflags, name="main")]
    assert tc.out(tc.exe("prog", *ldflags, *objs)) == SAID


@pytest.mark.parametrize("mode", ["dynamic", "static", *(
    pytest.param(m, marks=pytest.mark.lacks(bfd=PIE_EQUALITY)) for m in ("pie", "static-pie"))])
def test_one_address_everywhere(tc, mode):
    cflags, ldflags = EXE_MODES[mode]
    objs = [tc.c(IMPL, "-O1", *cflags, name="impl"), tc.c(MAIN, "-O1", *cflags, name="main")]
    assert tc.out(tc.exe("prog", *ldflags, *objs), "equal") == SAID + "1 1\n"


@pytest.mark.parametrize("mode", ["dynamic", "pie"])
def test_in_library(tc, mode):
    cflags, ldflags = EXE_MODES[mode]
    lib = judge(tc, "so", "libi.so", tc.c(IMPL, "-O1", "-fPIC", name="impl"))
    assert tc.elf(lib).dynsym("f").type == "STT_LOOS", "pyelftools' name of STT_GNU_IFUNC"
    exe = tc.exe("prog", *ldflags, tc.c(MAIN, "-O1", *cflags, name="main"), lib)
    assert tc.out(exe, "equal") == SAID + "1 1\n"


def test_irelative_of_a_static_executable_lies_between_the_bounds(tc):
    objs = [tc.c(IMPL, "-O1", "-fno-pie", name="impl"), tc.c(MAIN, "-O1", "-fno-pie", name="main")]
    e = tc.elf(tc.exe("prog", "-static", *objs))
    kind = "rela" if "rela" in tc.target.features else "rel"
    start, end = e.addr(f"__{kind}_iplt_start"), e.addr(f"__{kind}_iplt_end")
    s = next(s for s in e.sections if s.type in ("SHT_RELA", "SHT_REL") and s.flags & 2)
    assert (start, end) == (s.addr, s.addr + s.size) and s.size
    assert {r.type for r in e.relocs(s.name)} == {tc.reloc("IRELATIVE")}


def test_bounds_are_empty_in_a_dynamic_executable(tc):
    kind = "rela" if "rela" in tc.target.features else "rel"
    src = tc.c(f"""
        #include <stdio.h>
        extern char a[] __asm__("__{kind}_iplt_start") __attribute__((weak, visibility("hidden")));
        extern char b[] __asm__("__{kind}_iplt_end") __attribute__((weak, visibility("hidden")));
        int main(void) {{ puts(a == b ? "empty" : "not"); }}""")
    assert tc.out(tc.exe("prog", src)) == "empty\n"


@pytest.mark.parametrize("mode", ["dynamic", "static", *(
    pytest.param(m, marks=pytest.mark.lacks(bfd=PIE_EQUALITY)) for m in ("pie", "static-pie"))])
def test_hidden_and_address_only(tc, mode):
    """An address taken and never called through the PLT still needs one canonical value."""
    cflags, ldflags = EXE_MODES[mode]
    a = tc.c("""
        static int one(void) { return 41; }
        static void *res(void) { return (void *)one; }
        __attribute__((visibility("hidden"))) int h(void) __attribute__((ifunc("res")));
        int (*const ro)(void) = h;
        int (*a_of(void))(void) { return h; }""", "-O1", *cflags, name="a")
    b = tc.c("""
        #include <stdio.h>
        extern int (*const ro)(void); int (*a_of(void))(void);
        int main(void) { printf("%d %d\\n", ro() + 1, ro == a_of()); }""", *cflags, name="b")
    assert tc.out(tc.exe("prog", *ldflags, a, b)) == "42 1\n"


def test_exported_by_executable_to_library(tc):
    lib = tc.so("libu.so", tc.c("int f(void); int via(void) { return f(); }", "-fPIC", name="u"))
    main = tc.c("""
        #include <stdio.h>
        static int real(void) { return 9; }
        static void *res(void) { return (void *)real; }
        int f(void) __attribute__((ifunc("res"))); int via(void);
        int main(void) { printf("%d %d\\n", f(), via()); }""", name="main")
    assert tc.out(tc.exe("prog", main, lib)) == "9 9\n"


@pytest.mark.parametrize("mode", ["dynamic", "pie", "static-pie"])
@pytest.mark.parametrize("flag", ["-z,now", "-z,lazy"])
def test_with_binding_policy(tc, mode, flag):
    cflags, ldflags = EXE_MODES[mode]
    objs = [tc.c(IMPL, "-O1", *cflags, name="impl"), tc.c(MAIN, "-O1", *cflags, name="main")]
    assert tc.out(tc.exe("prog", *ldflags, f"-Wl,{flag}", *objs)) == SAID


def test_collected_when_unused(tc):
    a = tc.c(IMPL, "-O1", "-fno-pie", "-ffunction-sections", "-fdata-sections", name="impl")
    m = tc.c("int main(void) { return 0; }", "-fno-pie", name="main")
    e = tc.elf(tc.exe("prog", "-no-pie", "-Wl,--gc-sections", a, m))
    assert e.symbol("f") is None and not any(r.type == tc.reloc("IRELATIVE") for r in e.dynrelocs())
