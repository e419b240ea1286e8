"""ELFv2 in big-endian order: no C library has it, so the programs bring their own system calls (clang's compiler)."""

import pytest

from harness.toolchain import run_command

pytestmark = pytest.mark.targets("ppc64")

MAIN = """
static long sys(long n, long a, long b, long c) {
  register long r0 __asm__("r0") = n; register long r3 __asm__("r3") = a;
  register long r4 __asm__("r4") = b; register long r5 __asm__("r5") = c;
  __asm__ volatile("sc" : "+r"(r0), "+r"(r3), "+r"(r4), "+r"(r5) :: "memory", "cr0", "ctr", "r6", "r7", "r8", "r9", "r10", "r11", "r12");
  return r3;
}
extern int shared_value; int table_call(int); extern int (*table[])(int); int far(int);
static void put(const char *s) { unsigned long n = 0; while (s[n]) n++; sys(4, 1, (long)s, n); }
static void num(long v) { char b[24]; int i = 23; b[i] = 0; do b[--i] = '0' + v % 10; while (v /= 10); put(b + i); put(" "); }
int used(int x) { return x + shared_value; }
void entry(void) {
  num(table_call(3)); num(table[0](4)); num(table[1](5)); num(far(6)); num(shared_value); put("\\n");
  sys(1, 0, 0, 0);
}
__asm__(".globl _start\\n.type _start,@function\\n_start:\\n addis 2,12,.TOC.-_start@ha\\n addi 2,2,.TOC.-_start@l\\n"
        " .localentry _start,.-_start\\n stdu 1,-64(1)\\n bl entry\\n nop\\n");
"""
OTHER = """
int shared_value = 40; int used(int);
__attribute__((noinline)) static int twice(int x) { return 2 * x; }
int (*table[])(int) = { used, twice };
int table_call(int x) { return table[x > 2](x) + used(1); }
__asm__(".section .text.gap,\\"ax\\",@progbits; .space 0x2800000; .text");
__attribute__((section(".text.far"))) int far(int x) { return used(x) - 1; }
"""


@pytest.mark.parametrize("mode", [[], ["--no-toc-optimize"], ["--gc-sections"]])
def test_program(tc, mode):
    objs = []
    for name, source in (("main", MAIN), ("other", OTHER)):
        text, obj = tc.dir / f"{name}.c", tc.dir / f"{name}.o"
        text.write_text(source)
        run_command(["clang-19", "--target=powerpc64-linux-gnu", "-mabi=elfv2", "-O1", "-ffreestanding", "-fno-stack-protector",
                     "-c", text, "-o", obj])
        objs.append(obj)
    for tools in (tc, tc.gnu):
        done = tools.ld("prog", "-e", "_start", *mode, *objs)
        assert tc.run(done.path, check=False).out == "47 44 10 45 40 \n"
    assert (tc.dir / "prog").read_bytes()[48:52] == bytes((0, 0, 0, 2))      # e_flags
