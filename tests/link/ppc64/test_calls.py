"""Calls of 64-bit Power: code with and without a TOC pointer, inline calls through slots, distances, run under qemu."""

import pytest

pytestmark = pytest.mark.targets("ppc64", "ppc64le")

P10 = {"QEMU_CPU": "power10"}

MAIN = """
#include <stdio.h>
int with_toc(int), without_toc(int), in_library(int);
extern int counter;
int back(int x) { counter += x; return counter; }
int main(void) {
  int a = with_toc(1), b = without_toc(2), c = in_library(3);
  printf("%d %d %d %d\\n", a, b, c, counter);
  return 0;
}
"""
WITH = "int counter = 5; int without_toc(int); int with_toc(int x) { return without_toc(x + counter) + counter; }"
WITHOUT = """
int back(int), in_library(int); extern int counter;
__attribute__((noinline)) static int near(int x) { return back(x) * 2; }
int without_toc(int x) { int a = near(x); return a + in_library(a) + counter; }
"""
LIBRARY = "static int state = 7; int in_library(int x) { state += x; return state; }"


def words(tc, exe, name, count):
    """The first instructions of a function."""
    e = tc.elf(exe)
    order = "little" if tc.target.little else "big"
    start = e.addr(name) - e.section(".text").addr
    text = e.data(".text")
    return [int.from_bytes(text[i:i + 4], order) for i in range(start, start + 4 * count, 4)]


@pytest.mark.targets("ppc64le")
@pytest.mark.parametrize("stubs", ["auto", "yes", "no"])
@pytest.mark.parametrize("mode", ["-no-pie", "-pie", "-static"])
@pytest.mark.parametrize("plt", ["-fplt", "-fno-plt"])
def test_code_without_toc_pointer(tc, mode, stubs, plt):
    """POWER10 code keeps no TOC pointer: calls to and from code that does, and to other modules, need thunks."""
    pic = "-fPIC"
    lib = tc.c(LIBRARY, pic, "-O1", "-mcpu=power10", name="lib")
    if mode != "-static":
        lib = tc.so("libl.so", lib)
    objs = [tc.c(MAIN, pic, "-O1", plt, name="main"), tc.c(WITH, pic, "-O1", plt, name="with"),
            tc.c(WITHOUT, pic, "-O1", plt, "-mcpu=power10", name="without")]
    exe = tc.exe("prog", mode, f"-Wl,--power10-stubs={stubs}", *objs, lib)
    assert tc.out(exe, env=P10) == "73 94 58 13\n"


@pytest.mark.targets("ppc64le")
def test_thunks_without_prefixed_instructions(tc):
    """--no-power10-stubs: the program runs on processors that have none of them."""
    source = """
        .abiversion 2
        .text
        .globl without
        .type without,@function
        .localentry without,1
    without:
        mflr 0
        std 0,16(1)
        stdu 1,-32(1)
        bl with@notoc
        addi 3,3,1
        bl puts@notoc
        addi 1,1,32
        ld 0,16(1)
        mtlr 0
        blr
        .section .note.GNU-stack,"",@progbits
    """
    main = """
        int without(const char *); static const char *t = "xyz";
        const char *with(const char *s) { return s + (*t == 'x'); }
        int main(void) { return without("12three") < 0; }
    """
    objs = [tc.asm(source, name="a"), tc.c(main, "-O1", name="m")]
    for mode in ("-no-pie", "-pie", "-static"):
        exe = tc.exe("prog", mode, "-Wl,--no-power10-stubs", *objs)
        assert tc.out(exe, env={"QEMU_CPU": "power8"}) == "three\n"


@pytest.mark.targets("ppc64le")
@pytest.mark.parametrize("mode", ["-no-pie", "-pie", "-static"])
@pytest.mark.parametrize("cpu", ["power8", "power10"])
def test_inline_calls(tc, mode, cpu):
    """-fno-plt: of functions of the image they become direct calls, with GNU ld's instructions."""
    flags = ("-O2", "-fno-plt", f"-mcpu={cpu}", "-fno-pic" if mode != "-pie" else "-fPIE")
    objs = [tc.c("int f(int); int g(int x) { return f(x) + 1; }", *flags, name="g"),
            tc.c("#include <stdio.h>\nint f(int x) { return x * 3; } int g(int);\n"
                 'int main(void) { printf("%d\\n", g(5)); return 0; }', *flags, name="main")]
    ours, theirs = tc.exe("prog", mode, *objs), tc.gnu.exe("prog", mode, *objs)
    assert tc.out(ours, env=P10) == "16\n"
    # But for the start, which is the distance of the TOC.
    assert words(tc, ours, "g", 13)[2:] == words(tc.gnu, theirs, "g", 13)[2:]
    kept = tc.exe("kept", mode, "-Wl,--no-inline-optimize", *objs)
    assert tc.out(kept, env=P10) == "16\n"
    assert 0x4E800421 in words(tc, kept, "g", 13) and 0x4E800421 not in words(tc, ours, "g", 13)


FAR = """
#include <stdio.h>
__attribute__((noinline, section(".text.far"))) int far(int x);
int state = 4;
__attribute__((noinline)) int near(int x) { return x + state; }
__asm__(".section .text.gap,\\"ax\\",@progbits; .space 0x2800000; .text");
__attribute__((noinline, section(".text.far"))) int far(int x) { printf("far %d\\n", x); return near(x) + state; }
int main(void) { int a = far(3); int b = near(a); printf("%d %d\\n", a, b); return 0; }
"""


@pytest.mark.parametrize("mode", ["-no-pie", "-pie"])
def test_calls_over_40_megabytes_of_c(tc, mode):
    """Through descriptors too, and to PLT entries that are out of reach."""
    obj = tc.c(FAR, "-O1", "-fPIC", "-ffunction-sections", name="far")
    assert tc.out(tc.exe("prog", mode, obj)) == "far 3\n11 15\n"


@pytest.mark.targets("ppc64")
def test_many_lazy_entries(tc):
    """Beyond 32768 of them an index takes two instructions, and entries are longer."""
    count = 33000
    names = [f"f{i}" for i in range(count)]
    lib = tc.asm("".join(
        f'.section .opd,"aw"\\n.globl {n}\\n.type {n},@function\\n{n}: .quad .L{n},.TOC.@tocbase,0\\n.text\\n.L{n}: li 3,{i & 0x7fff}\\nblr\\n'.replace("\\n", "\n")
        for i, n in enumerate(names)), name="lib")
    used = (0, 1, 32766, 32767, 32768, 32769, count - 1)
    calls = "".join(f"bl {n}\nnop\n" for n in names)
    user = tc.asm(f""".section .opd,"aw"
.globl unused
.type unused,@function
unused: .quad .Lu,.TOC.@tocbase,0
.text
.Lu: {calls} blr
""", name="user")
    main = tc.c("#include <stdio.h>\n" + "".join(f"int f{i}(void); " for i in used)
                + "int main(void) {" + "".join(f' printf("%d ", f{i}());' for i in used) + ' puts(""); return 0; }', name="main")
    shared = tc.so("libmany.so", lib)
    exe = tc.exe("prog", user, main, shared, "-Wl,-z,lazy")
    assert tc.out(exe).split() == [str(i & 0x7FFF) for i in used]
