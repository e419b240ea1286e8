"""C++ exceptions: within a program, across shared objects, through C frames, with dead code removed."""

import pytest

from harness.judges import judge
from harness.toolchain import EXE_MODES

THROWER = """
#include <stdexcept>
#include <string>
struct Own : std::runtime_error { int n; Own(int n) : std::runtime_error("own " + std::to_string(n)), n(n) {} };
struct __attribute__((visibility("default"))) Shared { int v; virtual ~Shared(); };
Shared::~Shared() {}
void raise_std(int n) { if (n) throw std::out_of_range("far " + std::to_string(n)); }
void raise_shared(int n) { Shared s; s.v = n; throw s; }
void call_back(void (*f)(int), int n) { std::string keep(100, 'x'); f(n); }
"""

CATCHER = """
#include <cstdio>
#include <stdexcept>
#include <string>
struct __attribute__((visibility("default"))) Shared { int v; virtual ~Shared(); };
void raise_std(int); void raise_shared(int); void call_back(void (*f)(int), int);
static int unwound;
struct Guard { ~Guard() { unwound++; } };
static void mine(int n) { Guard g; throw n; }
int main() {
  try { Guard g; raise_std(3); } catch (const std::exception &e) { std::printf("%s\\n", e.what()); }
  try { Guard g; raise_shared(4); } catch (Shared &s) { std::printf("shared %d\\n", s.v); }
  try { Guard g; call_back(mine, 5); } catch (int n) { std::printf("int %d\\n", n); }
  try { try { throw 1; } catch (...) { Guard g; throw; } } catch (int) { std::printf("again\\n"); }
  std::printf("unwound %d\\n", unwound);
}
"""
SAID = "far 3\nshared 4\nint 5\nagain\nunwound 5\n"


@pytest.mark.parametrize("mode", EXE_MODES)
def test_in_one_executable(tc, mode):
    cflags, ldflags = EXE_MODES[mode]
    objs = [tc.cxx(THROWER, "-O1", *cflags, name="thrower"), tc.cxx(CATCHER, "-O1", *cflags, name="catcher")]
    assert tc.out(tc.exe("prog", *ldflags, *objs, driver="g++")) == SAID


@pytest.mark.parametrize("mode", ["dynamic", "pie"])
def test_across_shared_objects(tc, mode):
    cflags, ldflags = EXE_MODES[mode]
    lib = tc.so("libthrow.so", tc.cxx(THROWER, "-O1", "-fPIC", name="thrower"), driver="g++")
    main = tc.cxx(CATCHER, "-O1", *cflags, name="catcher")
    exe = judge(tc, "exe", "prog", *ldflags, main, lib, driver="g++")
    assert tc.out(exe) == SAID


def test_library_facts_equal_gnu_ld(tc):
    obj = tc.cxx(THROWER, "-O1", "-fPIC", name="thrower")
    judge(tc, "so", "libthrow.so", obj, driver="g++")


@pytest.mark.parametrize("mode", ["pie", "static"])
def test_with_sections_collected(tc, mode):
    cflags, ldflags = EXE_MODES[mode]
    flags = ("-O1", "-ffunction-sections", "-fdata-sections", *cflags)
    objs = [tc.cxx(THROWER, *flags, name="thrower"), tc.cxx(CATCHER, *flags, name="catcher")]
    exe = tc.exe("prog", *ldflags, "-Wl,--gc-sections", *objs, driver="g++")
    assert tc.out(exe) == SAID


def test_thrown_in_a_dlopened_library(tc):
    lib = tc.so("libplug.so", tc.cxx('#include <stdexcept>\nextern "C" void plug(int n) { throw std::runtime_error(n ? "p1" : "p0"); }',
                                     "-fPIC", name="plug"), driver="g++")
    main = tc.cxx("""
        #include <cstdio>
        #include <dlfcn.h>
        #include <stdexcept>
        int main(int, char **argv) {
          void *h = dlopen(argv[1], RTLD_NOW);
          auto f = (void (*)(int))dlsym(h, "plug");
          try { f(1); } catch (const std::exception &e) { std::puts(e.what()); }
        }""", "-fPIE", name="main")
    assert tc.out(tc.exe("prog", main, "-ldl", driver="g++"), lib) == "p1\n"


def test_through_c_frames_with_unwind_tables(tc):
    mid = tc.c("void mid(void (*f)(void)) { volatile char buf[64]; buf[0] = 1; f(); buf[1] = 2; }", "-fexceptions", "-fPIC", name="mid")
    lib = tc.so("libmid.so", mid)
    main = tc.cxx("""
        #include <cstdio>
        extern "C" void mid(void (*)());
        int main() { try { mid([] { throw 7; }); } catch (int n) { std::printf("%d\\n", n); } }""", name="main")
    assert tc.out(tc.exe("prog", main, lib, driver="g++")) == "7\n"


def test_uncaught_exception_terminates(tc):
    main = tc.cxx("int main() { throw 1; }")
    done = tc.run(tc.exe("prog", main, driver="g++"), check=False)
    assert done.rc == -6 and "terminate called" in done.err


@pytest.mark.needs("eh-frame")
def test_eh_frame_hdr_is_sorted_and_complete(tc):
    """LSB, .eh_frame_hdr: version 1, a table of (initial location, FDE address) sorted by location, one row per live FDE."""
    objs = [tc.cxx(THROWER, "-O1", "-fPIE", name="thrower"), tc.cxx(CATCHER, "-O1", "-fPIE", name="catcher")]
    e = tc.elf(tc.exe("prog", *objs, driver="g++"))
    hdr = e.section(".eh_frame_hdr")
    raw = e.data(".eh_frame_hdr")
    order = "little" if tc.target.little else "big"
    assert raw[0] == 1 and raw[3] == 0x3b, "table encoding must be datarel sdata4 for binary search"
    p = e.segment("PT_GNU_EH_FRAME")
    assert (p.vaddr, p.filesz) == (hdr.addr, hdr.size)
    count = int.from_bytes(raw[8:12], order)
    rows = [tuple(int.from_bytes(raw[12 + 8 * i + j:16 + 8 * i + j], order, signed=True) + hdr.addr for j in (0, 4)) for i in range(count)]
    assert rows == sorted(rows) and len({r[0] for r in rows}) == count
    eh = e.section(".eh_frame")
    assert all(eh.addr <= fde < eh.addr + eh.size for _, fde in rows)
    starts = {r[0] for r in rows}
    for name in ("main", "_Z9raise_stdi", "_Z12raise_sharedi"):
        address = e.addr(name)
        if e.section_at(address).name == ".opd":
            # The symbol is that of a function descriptor (PPC64 ELFv1).
            address = e.word_at(address)
        assert address in starts
