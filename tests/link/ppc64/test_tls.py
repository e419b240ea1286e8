"""Thread-local storage of 64-bit Power: __tls_get_addr_opt, and forms of access that the suite's models lack."""

import pytest

pytestmark = pytest.mark.targets("ppc64", "ppc64le")

LIBRARY = """
__thread int big[1000] = {1}; static __thread int own = 5, other = 6; __attribute__((visibility("hidden"))) __thread int hidden = 7;
int sum(void) { return big[0]++ + own++ + other++ + hidden++; }
"""
MAIN = """
#include <pthread.h>
#include <stdio.h>
#include <dlfcn.h>
#ifdef OPEN
static int (*sum)(void);
#else
int sum(void);
#endif
static void *run(void *x) { *(int *)x = sum() + sum(); return x; }
int main(void) {
#ifdef OPEN
  void *h = dlopen("libtls.so", RTLD_NOW);
  if (!h) { puts(dlerror()); return 1; }
  sum = (int (*)(void))dlsym(h, "sum");
#endif
  int a = sum(), b = 0;
  pthread_t t;
  pthread_create(&t, 0, run, &b);
  pthread_join(t, 0);
  printf("%d %d %d\\n", a, b, sum());
  return 0;
}
"""
EXPECTED = "19 42 23\n"


def option_bits(tc, path):
    return [value for tag, value in tc.elf(path).dynamic if tag in ("DT_PPC64_OPT", 0x70000003)]


@pytest.mark.parametrize("model", ["global-dynamic", "local-dynamic"])
@pytest.mark.parametrize("optimize", [True, False])
@pytest.mark.parametrize("opened", [False, True])
def test_tls_get_addr(tc, model, optimize, opened):
    """The call stub that finds out whether the offset counts from the thread pointer; it is told of in DT_PPC64_OPT."""
    obj = tc.c(LIBRARY, "-O1", "-fPIC", f"-ftls-model={model}", name="lib")
    lib = tc.so("libtls.so", obj, *([] if optimize else ["-Wl,--no-tls-get-addr-optimize"]))
    names = {s.name for s in tc.elf(lib).dynsyms}
    assert ("__tls_get_addr_opt" in names) == optimize and ("__tls_get_addr" in names) == (not optimize)
    assert [bits & 1 for bits in option_bits(tc, lib)] == ([1] if optimize else [0] if tc.target.little else [])
    main = tc.c(MAIN, *(["-DOPEN"] if opened else []), name="main")
    assert tc.out(tc.exe("prog", main, "-pthread", *([] if opened else [lib]))) == EXPECTED


@pytest.mark.parametrize("size", [16, 32, 64])
@pytest.mark.parametrize("model", ["local-dynamic", "initial-exec", "local-exec"])
def test_sizes_of_offsets(tc, size, model):
    """-mtls-size: @dtprel and @tprel in one instruction, in two, and from the GOT."""
    obj = tc.c(LIBRARY.replace("1000", "10"), "-O1", "-fPIC", f"-ftls-model={model}", f"-mtls-size={size}", name="lib")
    main = tc.c(MAIN, "-fPIC", name="main")
    if model != "local-exec":
        lib = tc.so("libtls.so", obj, "-Wl,-z,defs")
        assert tc.out(tc.exe("prog", main, "-pthread", lib)) == EXPECTED
    for mode in ("-no-pie", "-pie", "-static"):
        assert tc.out(tc.exe("prog2", mode, main, obj, "-pthread")) == EXPECTED


@pytest.mark.targets("ppc64le")
@pytest.mark.parametrize("model", ["global-dynamic", "local-dynamic", "initial-exec", "local-exec"])
@pytest.mark.parametrize("flags", [["-mcpu=power10"], ["-fno-plt"], ["-mcpu=power10", "-fno-plt"]])
def test_other_code(tc, model, flags):
    """Without a TOC pointer, and with inline calls of __tls_get_addr, whose short cut is in a thunk all the same."""
    obj = tc.c(LIBRARY, "-O1", "-fPIC", *flags, f"-ftls-model={model}", name="lib")
    main = tc.c(MAIN, "-fPIC", name="main")
    env = {"QEMU_CPU": "power10"}
    if model != "local-exec":
        assert tc.out(tc.exe("prog", main, "-pthread", tc.so("libtls.so", obj)), env=env) == EXPECTED
    for mode in ("-no-pie", "-pie", "-static"):
        assert tc.out(tc.exe("prog2", mode, main, obj, "-pthread"), env=env) == EXPECTED
