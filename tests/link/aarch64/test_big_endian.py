"""Big-endian AArch64, run by qemu-aarch64_be: instructions are little-endian, all data are not."""

import pytest

from harness.toolchain import run_command

pytestmark = pytest.mark.targets("aarch64")

EMULATION = ("-m", "aarch64linuxb")
FREESTANDING = """
static unsigned char order[4] __attribute__((aligned(4))) = {1, 2, 3, 4};
int v[3] = {10, 20, 30}; int *p[3] = {v, v + 1, v + 2}; __thread int t = 5;
extern int weak __attribute__((weak));
__attribute__((section(".far"), noinline)) int far(int n) { return n + 30; }
void _start(void) {
  long sum = far(*(int *)order == 0x01020304) + *p[1] + (&weak != 0);
  register long x0 __asm__("x0") = sum, x8 __asm__("x8") = 93;
  __asm__ volatile("svc 0" :: "r"(x0), "r"(x8));
}
"""
PROGRAM = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
_Thread_local int t = 3;
static void *work(void *p) { t += *(int *)p; *(int *)p = t; return p; }
static int order(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
__attribute__((constructor)) static void early(void) { t = 4; }
static int (*say)(const char *, ...) = printf;
int main(int argc, char **argv) {
  int v[3] = {30, 10, 20}, x = 4; pthread_t h;
  qsort(v, 3, sizeof *v, order);
  pthread_create(&h, 0, work, &x); pthread_join(h, 0);
  say("%d %d %d %.2f %s\n", v[0], x, t, argc * 2.5, strchr("big", 'i'));
  return 0;
}
"""


def run(tc, path):
    return run_command(["qemu-aarch64_be", path], check=False)


@pytest.mark.parametrize("flags", [(), ("--section-start=.far=0x20000000",), ("--section-start=.far=0x300000000",),
                                   ("--fix-cortex-a53-843419", "--fix-cortex-a53-835769")],
                         ids=["near", "thunk", "thunk-with-address", "errata"])
def test_freestanding(tc, flags):
    """Words, calls, and the addresses that thunks load."""
    obj = tc.c(FREESTANDING, "-mbig-endian", "-ffreestanding", "-O1", "-fno-pic", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables")
    exe = tc.ld("out", *EMULATION, *flags, obj, emulation=False).path
    assert run(tc, exe).rc == 1 + 30 + 20
    assert tc.elf(exe).raw[5] == 2


def test_relative_relocations(tc):
    obj = tc.c(FREESTANDING, "-mbig-endian", "-ffreestanding", "-O1", "-fPIE")
    ours, theirs = (t.elf(t.ld("out", *EMULATION, "-pie", "--no-dynamic-linker", obj, emulation=False).path) for t in (tc, tc.gnu))
    addends = lambda e: [r.addend - e.addr("v") for r in e.dynrelocs() if r.type == "R_AARCH64_RELATIVE"]
    assert addends(ours) == addends(theirs) == [0, 4, 8]
    packed = tc.elf(tc.ld("packed", *EMULATION, "-pie", "--no-dynamic-linker", "-z", "pack-relative-relocs", obj, emulation=False).path)
    at = packed.addr("p")
    assert packed.relr() == [at, at + 8, at + 16] and packed.word_at(at) == packed.addr("v")


def test_program_of_a_c_library(tc, zig):
    """musl, static: threads, TLS, formatted output, constructors."""
    source = tc.write("prog.c", PROGRAM)
    said = zig("cc", "aarch64_be-linux-musl", "-v", "-O1", source, "-o", tc.dir / "lld", cwd=tc.dir)
    line = next(line for line in (said.out + said.err).splitlines()[::-1] if "-static" in line and "crt1.o" in line)
    inputs = [w for w in line.split() if w.endswith((".o", ".a"))]
    expected = "10 7 4 2.50 ig\n"
    assert run(tc, tc.dir / "lld").out == expected
    for flags in ((), ("--gc-sections", "-z", "now", "--build-id")):
        exe = tc.ld("prog", *EMULATION, "-static", "--eh-frame-hdr", *flags, *inputs, emulation=False).path
        assert run(tc, exe).out == expected
