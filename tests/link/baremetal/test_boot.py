"""Images that run without an operating system, each from a script of its own: a multiboot kernel for a PC, and images
for the `virt` boards of 64-bit and 32-bit ARM. They boot under qemu-system, copy what is stored away from where it runs,
load two overlays to one address, print, and end with an exit status."""

import subprocess

import pytest

from harness.same import assert_same
from harness.targets import TARGETS
from harness.toolchain import Toolchain, clean_env

pytestmark = pytest.mark.lacks(gold="MEMORY", lld="OVERLAY as GNU ld lays it out", mold="no linker scripts")

STATUS = 21
FLAGS = ("-ffreestanding", "-O1", "-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-fno-pie", "-fno-pic",
         "-fno-ident", "-fno-merge-constants", "-fno-tree-loop-distribute-patterns", "-mgeneral-regs-only")


class Board:
    """A machine: its target row, emulator, where its image is stored and runs, and the code that only it has."""

    def __init__(self, target, qemu, rom, ram, start, machine, status, flags=()):
        self.target = target
        self.qemu = qemu
        self.rom = rom
        self.ram = ram
        self.start = start          # assembly of the entry: a stack, zeroed .bss is main's affair
        self.machine = machine      # C: put(), finish()
        self.status = status        # what the emulator makes of STATUS
        self.flags = flags


BOARDS = {
    "pc": Board("i386", ["qemu-system-i386", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"], 0x100000, 0x400000, """
        .section .multiboot, "a"
        .balign 4
        .long 0x1badb002, 0, -0x1badb002
        .section .text.start, "ax"
        .globl _start
_start: movl $stack_top, %esp
        call main
1:      hlt
        jmp 1b
        .section .note.GNU-stack, "", @progbits
        """, """
        static void out(unsigned short port, unsigned char value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
        void put(char c) { out(0x3f8, c); }
        void finish(int status) { out(0xf4, status); for (;;) ; }
        """, STATUS << 1 | 1),
    "arm64": Board("aarch64", ["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53", "-semihosting-config", "enable=on,target=native"],
                   0x40080000, 0x40400000, """
        .section .text.start, "ax"
        .globl _start
_start: ldr x0, =stack_top
        mov sp, x0
        bl main
1:      wfi
        b 1b
        .section .note.GNU-stack, "", @progbits
        """, """
        void put(char c) { *(volatile unsigned *)0x09000000 = c; }
        void finish(int status) { volatile unsigned long block[2] = { 0x20026, (unsigned long)status };
          register unsigned long op __asm__("x0") = 0x18; register volatile unsigned long *arg __asm__("x1") = block;
          __asm__ volatile("hlt #0xf000" : "+r"(op) : "r"(arg) : "memory"); for (;;) ; }
        """, STATUS),
    "arm32": Board("armhf", ["qemu-system-arm", "-M", "virt", "-cpu", "cortex-a15", "-semihosting-config", "enable=on,target=native"],
                   0x40080000, 0x40400000, """
        .syntax unified
        .arm
        .section .text.start, "ax"
        .globl _start
        .type _start, %function
_start: ldr sp, =stack_top
        bl main
1:      wfi
        b 1b
        .section .note.GNU-stack, "", %progbits
        """, """
        void put(char c) { *(volatile unsigned *)0x09000000 = c; }
        __attribute__((target("arm"))) void finish(int status) { volatile unsigned block[2] = { 0x20026, (unsigned)status };
          register unsigned op __asm__("r0") = 0x20; register volatile unsigned *arg __asm__("r1") = block;
          __asm__ volatile("svc #0x123456" : "+r"(op) : "r"(arg) : "memory"); for (;;) ; }
        """, STATUS),
}

MAIN = """
typedef unsigned long word;
void put(char), finish(int);
extern char data_start[], data_end[], data_load[], bss_start[], bss_end[], overlay_start[];
extern char __load_start_overlay_one[], __load_stop_overlay_one[], __load_start_overlay_two[], __load_stop_overlay_two[];
int counter = 1000; const char *words[] = { "data", "copied" }; int zeroed[8]; static char where[4] = "ram";
__attribute__((section(".overlay_one"), noipa)) int first(int x) { return x + 1; }
__attribute__((section(".overlay_two"), noipa)) int second(int x) { return x * 2; }
static void text(const char *s) { while (*s) put(*s++); }
static void number(int n) { if (n > 9) number(n / 10); put('0' + n %% 10); }
static void copy(char *to, const char *from, const char *end) { while (from < end) *to++ = *from++; }
void main(void)
{
    int n;
    for (volatile char *p = bss_start; p < bss_end; p++) *p = 0;
    text(counter == 1000 ? "early " : "stored elsewhere ");
    copy(data_start, data_load, data_load + (data_end - data_start));
    text(words[0]); put(' '); text(words[1]); put(' '); text(where); put(' '); number(counter); put(' ');
    for (n = 0; n < 8; n++) counter += zeroed[n];
    copy(overlay_start, __load_start_overlay_one, __load_stop_overlay_one);
    __asm__ volatile("" : : : "memory");
    n = ((int (*)(int))first)(4);
    copy(overlay_start, __load_start_overlay_two, __load_stop_overlay_two);
    __asm__ volatile("" : : : "memory");
    number(n); put(' '); number(((int (*)(int))second)(n)); put('\\n');
    finish(%d);
}
""" % STATUS
SAID = "stored elsewhere data copied ram 1000 5 10\n"

SCRIPT = """
ENTRY(_start)
MEMORY
{
    ROM (rx)  : ORIGIN = %#x, LENGTH = 1M
    RAM (rw!x) : ORIGIN = %#x, LENGTH = 512K
}
REGION_ALIAS("CODE", ROM)
SECTIONS
{
    .text : { KEEP(*(.multiboot)) *(.text.start) *(.text .text.*) } > CODE
    .rodata : { *(.rodata .rodata.*) } > CODE
    .data : ALIGN(16)
    {
        data_start = .;
        *(.data .data.*)
        . = ALIGN(8);
        data_end = .;
    } > RAM AT> ROM
    data_load = LOADADDR(.data);
    .got : { *(.got .got.plt) } > RAM AT> ROM
    .bss (NOLOAD) : { bss_start = .; *(.bss .bss.* COMMON) . = ALIGN(8); bss_end = .; } > RAM
    . = ALIGN(64);
    overlay_start = .;
    OVERLAY overlay_start : NOCROSSREFS AT(LOADADDR(.data) + 0x1000)
    {
        .overlay_one { *(.overlay_one) }
        .overlay_two { *(.overlay_two) }
    }
    . = ALIGN(16);
    stack_top = ORIGIN(RAM) + LENGTH(RAM);
    ASSERT(. < stack_top - 0x1000, "no room for the stack")
    ASSERT(overlay_start == ADDR(.overlay_one) && ADDR(.overlay_one) == ADDR(.overlay_two), "overlays begin apart")
    /DISCARD/ : { *(.comment) *(.eh_frame) *(.ARM.exidx*) *(.note.*) }
}
"""


@pytest.fixture(params=BOARDS)
def board(request):
    return BOARDS[request.param]


@pytest.fixture
def tc(board, linker, peers, object_cache, tmp_path):
    """The toolchain of the board, whatever targets this run covers."""
    return Toolchain(TARGETS[board.target], linker, tmp_path, object_cache, peers)


def build(tc, board, *extra, script=SCRIPT):
    """The objects and arguments of a link."""
    lds = tc.write("image.lds", script % (board.rom, board.ram))
    objects = [tc.asm(board.start, name="start"), tc.c(MAIN, *FLAGS, *board.flags, name="main"),
               tc.c(board.machine, *[f for f in FLAGS], *board.flags, name="machine")]
    return ["-T", lds, "--no-warn-rwx-segments", *extra, *objects]


def boot(board, image):
    """Run an image: (exit status, what it printed)."""
    command = [*board.qemu, "-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot", "-net", "none", "-kernel", str(image)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=clean_env(), stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout


@pytest.mark.parametrize("flags", [(), ("-n",), ("--gc-sections",), ("-z", "max-page-size=0x1000")], ids=("plain", "-n", "gc", "page size"))
def test_boots(tc, board, flags):
    words = build(tc, board, *flags, "-Map=image.map")
    ours = tc.ld("image.elf", *words).path
    assert_same(ours, tc.gnu.ld("image.elf", *words).path, but=(".got",))
    assert boot(board, ours) == (board.status, SAID)


def test_regions_are_reported(tc, board):
    """--print-memory-usage, and the overflow of a region by the section that does not fit."""
    words = build(tc, board, "--print-memory-usage")
    ours, theirs = tc.ld("image.elf", *words), tc.gnu.ld("image.elf", *words)
    assert ours.out.split() == theirs.out.split() and "ROM:" in ours.out
    small = build(tc, board, script=SCRIPT.replace("LENGTH = 1M", "LENGTH = 64"))
    done, theirs = tc.ld("small.elf", *small, check=False), tc.gnu.ld("small.elf", *small, check=False)
    assert done.rc and theirs.rc
    message = next(line.partition(": ")[2] for line in theirs.err.splitlines() if "overflowed by" in line)
    assert message.replace("`", "'") in done.err, theirs.err


def test_overlays_may_not_refer_to_each_other(tc, board):
    bad = tc.c('__attribute__((section(".overlay_one"), noinline)) int a(int x) { return x; } int a(int);'
               '__attribute__((section(".overlay_two"))) int b(int x) { return a(x) + 1; }', *FLAGS, "-O0", name="bad")
    done = tc.ld("bad.elf", *build(tc, board), bad, check=False)
    assert done.rc == 1 and "prohibited cross reference" in done.err and ".overlay_one" in done.err


def test_memory_image(tc, board):
    """--oformat binary is the image that objcopy makes of the ELF file."""
    from harness.toolchain import run_command
    words = build(tc, board)
    elf = tc.gnu.ld("image.elf", *words).path
    run_command([tc.tool("objcopy"), "-O", "binary", elf, tc.dir / "copy.bin"])
    assert tc.ld("image.bin", *words, "--oformat", "binary").path.read_bytes() == (tc.dir / "copy.bin").read_bytes()
