"""What only ARM has: BE8, the options that choose the meaning of relocations, long PLT entries."""

import pytest

from harness.toolchain import run_command

CODE = """
.syntax unified
.arch armv7-a
.text
.arm
.globl _start
.type _start, %function
_start:
 ldr r0, 1f
 bl thumb
 bx lr
1: .word 0x12345678
.thumb
.thumb_func
.type thumb, %function
thumb:
 movw r0, #:lower16:value
 movt r0, #:upper16:value
 bx lr
 nop
.data
.globl value
value: .word _start
"""


@pytest.mark.targets("armhf")
@pytest.mark.parametrize("be8", [True, False])
def test_big_endian_equals_gnu_ld(tc, be8):
    obj = tc.asm(CODE, "-mbig-endian")
    flags = ["-m", "armelfb_linux_eabi", "-EB", "-Ttext=0x10000", "-Tdata=0x20000"] + ["--be8"] * be8
    ours = tc.elf(tc.ld("a", *flags, obj, emulation=False).path)
    theirs = tc.elf(tc.gnu.ld("a", *flags, obj, emulation=False).path)
    for name in (".text", ".data"):
        assert ours.data(name).hex() == theirs.data(name).hex()
    assert ours.header["e_flags"] == theirs.header["e_flags"]


@pytest.mark.targets("armhf")
@pytest.mark.parametrize("flag", ["--target1-rel", "--target1-abs", "--target2=rel", "--target2=abs"])
def test_target_relocations(tc, flag):
    number = flag[8]
    obj = tc.asm(f".data\n.globl x\nx: .word 0\n.reloc ., R_ARM_TARGET{number}, x\n.word 4\n.text\n.globl _start\n_start: bx lr\n")
    flags = [flag, "-Ttext=0x10000", "-Tdata=0x20000", obj]
    assert tc.elf(tc.ld("a", *flags).path).data(".data") == tc.gnu.elf(tc.gnu.ld("a", *flags).path).data(".data")


@pytest.mark.targets("armhf")
def test_fix_v4bx(tc):
    obj = tc.asm(".arch armv4t\n.text\n.globl _start\n_start: bx lr\n bxne r3\n")
    for flags in ([], ["--fix-v4bx"]):
        assert tc.elf(tc.ld("a", *flags, obj).path).data(".text") == tc.gnu.elf(tc.gnu.ld("a", *flags, obj).path).data(".text")


@pytest.mark.targets("armhf", "armel")
@pytest.mark.parametrize("flag", ["--no-long-plt", "--long-plt"])
@pytest.mark.parametrize("state", ["-marm", "-mthumb"])
def test_calls_and_jumps_through_the_plt(tc, flag, state):
    if tc.target.name == "armel" and state == "-mthumb":
        state = "-marm"
    lib = tc.so("liba.so", tc.c("int f(int x) { return x + 1; } int g(int x) { return x * 2; }", "-fPIC", state, name="lib"))
    m = tc.c('#include <stdio.h>\nint f(int), g(int); __attribute__((noinline)) int jump(int x) { return g(f(x)); }\n'
             'int main(void) { printf("%d\\n", jump(4)); }', "-O2", "-fno-pie", state, name="m")
    for mode in ("lazy", "now"):
        exe = tc.exe(f"p-{mode}", "-no-pie", f"-Wl,-z,{mode},{flag}", m, lib)
        assert tc.out(exe) == "10\n"


@pytest.mark.targets("armhf", "armel")
def test_weak_call_of_nothing_is_no_call(tc):
    for state in ("-marm", "-mthumb") if tc.target.name == "armhf" else ("-marm",):
        m = tc.c("void f(void) __attribute__((weak)); int main(void) { f(); return 0; }", "-O1", "-fno-pie", state)
        assert tc.run(tc.exe("p", "-static", "-no-pie", m)).rc == 0


BIG = r"""
static long sys(long n, long a, long b, long c) {
  register long r0 __asm__("r0") = a; register long r1 __asm__("r1") = b; register long r2 __asm__("r2") = c;
  register long r7 __asm__("r7") = n;
  __asm__ volatile("svc 0" : "+r"(r0) : "r"(r1), "r"(r2), "r"(r7) : "memory"); return r0; }
const char text[] = "big\n"; int table[3] = {0x01020304, 5, 6}; int (*pointer)(int);
__attribute__((noinline, target("thumb"), section(".far"))) int far_thumb(int x) { return x + table[1]; }
__attribute__((noinline, target("arm"), section(".far"))) int far_arm(int x) { return far_thumb(x) + table[2]; }
__attribute__((noinline, target("thumb"))) int near(int x) { return far_arm(x) + far_thumb(x); }
void _start(void) {
  unsigned char *bytes = (unsigned char *)table;
  pointer = near;
  if (pointer(1) == 18 && far_arm(0) == 11 && bytes[0] == 1 && bytes[3] == 4) sys(4, 1, (long)text, 4);
  sys(1, 0, 0, 0); }
"""


@pytest.mark.targets("armel")
@pytest.mark.parametrize("arch", ["armv5te", "armv6", "armv7-a"])
@pytest.mark.parametrize("be8", [True, False])
def test_big_endian_runs(tc, arch, be8):
    """Calls between instruction sets and over a distance, in both forms of big-endian programs."""
    obj = tc.c(BIG, "-mbig-endian", f"-march={arch}", "-O1", "-ffreestanding", "-fno-pic", "-fno-pie")
    for flags in ((), ("--pic-veneer",), ("--no-fix-arm1176",)):
        path = tc.ld("p", "-m", "armelfb_linux_eabi", "--section-start=.far=0x4000000", *flags, *["--be8"] * be8, obj,
                     emulation=False).path
        assert run_command(["qemu-armeb", path]).out == "big\n"
