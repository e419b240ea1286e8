"""amd64: code models, -fno-plt, GOTPCRELX relaxation, branch protection, ISA properties (x86-64 psABI)."""

import re

import pytest

from harness.judges import judge
from harness.toolchain import EXE_MODES, run_command

pytestmark = pytest.mark.targets("amd64")
P = "#include <stdio.h>\n"

LIB = "int lib_var = 3; int lib_fn(int x) { return x + lib_var; } __thread int lib_tls = 4;"
USE = P + """
extern int lib_var; int lib_fn(int); extern __thread int lib_tls;
static int local = 5; int global = 6; int bss[1000]; static __thread int tls = 7; const char *text = "text"; int (*fn)(int) = lib_fn;
__attribute__((weak)) int nothing(void);
static int helper(int x) { return x * 2; }
int main(void) { tls++; printf("%d %d %d %d %d %d %d %s %d %d\\n", lib_var, lib_fn(1), lib_tls, local, global, bss[5], tls, text, fn(2), helper(nothing ? 1 : 2)); }
"""
SAID = "3 4 4 5 6 0 8 text 5 4\n"


def disassemble(tc, path):
    return run_command(["objdump", "-d", "--no-show-raw-insn", path]).out


@pytest.mark.parametrize("mode", ["dynamic", "pie", "static", "static-pie"])
@pytest.mark.parametrize("model", ["small", "medium", "large"])
def test_code_models(tc, model, mode):
    cflags, ldflags = EXE_MODES[mode]
    use = tc.c(USE, "-O1", f"-mcmodel={model}", *cflags, name="use")
    lib = tc.c(LIB, "-O1", f"-mcmodel={model}", "-fPIC", name="lib")
    extra = [lib] if mode.startswith("static") else [tc.so("libl.so", lib)]
    if not mode.startswith("static") and tc.linker.flavour in ("mclink", "bfd"):
        judge(tc, "so", "libl.so", lib)
    assert tc.out(tc.exe("prog", *ldflags, use, *extra)) == SAID


@pytest.mark.parametrize("driver", ["gcc", "clang"])
def test_large_model_with_every_tls_model(tc, driver):
    src = P + """
        __thread int g = 1; static __thread int l = 2; static __thread int l2 = 3; extern __thread int lib_tls;
        int main(void) { g++; l++; printf("%d %d %d %d\\n", g, l, l2, lib_tls); }"""
    lib = tc.c(LIB, "-O1", "-mcmodel=large", "-fPIC", name="lib")
    so = tc.so("libl.so", lib)
    for flags in (("-fPIC",), ("-fPIC", "-ftls-model=local-dynamic"), ("-fno-pie",), ("-fPIC", "-ftls-model=initial-exec")):
        if "-ftls-model=local-dynamic" in flags:
            source = src.replace("extern __thread int lib_tls;", "static __thread int lib_tls = 4;")
        else:
            source = src
        obj = tc.c(source, "-O1", "-mcmodel=large", *flags, name="use" + flags[-1], driver=driver)
        for link in (("-no-pie",), ("-pie",)) if "-fno-pie" not in flags else (("-no-pie",),):
            assert tc.out(tc.exe("prog", *link, obj, so)) == "2 3 3 4\n", (flags, link)


def test_large_sections_are_placed_last(tc):
    """.ldata, .lbss, .lrodata carry SHF_X86_64_LARGE and stand after the small ones, out of the way of 32-bit relocations."""
    src = P + "char big[200000] = {1}; char bigbss[200000]; const char bigro[200000] = {2}; int small = 3; int main(void) { printf(\"%d %d %d %d\\n\", big[0], bigbss[1], bigro[0], small); }"
    exe = tc.exe("prog", "-no-pie", tc.c(src, "-mcmodel=medium", "-fno-pie"))
    assert tc.out(exe) == "1 0 2 3\n"
    e = tc.elf(exe)
    for name in (".ldata", ".lbss", ".lrodata"):
        assert "l" in e.flags(name), name
    if tc.linker.flavour in ("mclink", "bfd"):
        assert e.section(".bss").addr < e.section(".ldata").addr < e.section(".lbss").addr + 1 or e.section(".lbss").addr > e.section(".bss").addr
        theirs = [s.name for s in tc.gnu.elf(tc.gnu.exe("prog", "-no-pie", tc.c(src, "-mcmodel=medium", "-fno-pie"))).sections if s.flags & 2]
        assert [s.name for s in e.sections if s.flags & 2] == theirs


def test_medium_model_beyond_two_gigabytes(tc):
    src = P + "static char huge[3UL << 30]; int small = 3; int main(void) { huge[(3UL << 30) - 1] = 4; printf(\"%d %d\\n\", huge[(3UL << 30) - 1], small); }"
    assert tc.out(tc.exe("prog", "-no-pie", tc.c(src, "-mcmodel=medium", "-fno-pie"))) == "4 3\n"


# -- -fno-plt

@pytest.mark.parametrize("mode", EXE_MODES)
@pytest.mark.parametrize("driver", ["gcc", "clang"])
def test_no_plt(tc, driver, mode):
    cflags, ldflags = EXE_MODES[mode]
    lib = tc.c(LIB, "-O1", "-fno-plt", "-fPIC", name="lib")
    use = tc.c(USE, "-O1", "-fno-plt", *cflags, name="use", driver=driver)
    extra = [lib] if mode.startswith("static") else [tc.so("libl.so", lib)]
    assert tc.out(tc.exe("prog", *ldflags, use, *extra)) == SAID


def test_no_plt_makes_no_plt(tc):
    so = tc.so("libl.so", tc.c(LIB, "-fno-plt", "-fPIC", name="lib"))
    obj = tc.c("int lib_fn(int); int main(void) { return lib_fn(-3); }", "-O1", "-fno-plt", name="use")
    e = tc.elf(judge(tc, "exe", "prog", obj, so))
    assert ("R_X86_64_GLOB_DAT", "lib_fn") in {(r.type, r.symbol) for r in e.dynrelocs()}
    assert "lib_fn" not in {r.symbol for r in e.dynrelocs() if r.type == "R_X86_64_JUMP_SLOT"}


def test_no_plt_with_tls_in_a_library(tc):
    for dialect in ("gnu", "gnu2"):
        lib = tc.so("libt.so", tc.c("__thread int x = 3; static __thread int y = 4; int get(void) { return x + y; }", "-fno-plt", "-fPIC", "-O1", f"-mtls-dialect={dialect}", name="t" + dialect))
        assert tc.out(tc.exe("prog", tc.c(P + 'int get(void); int main(void) { printf("%d\\n", get()); }', name="m"), lib)) == "7\n"
    for mode, (cflags, ldflags) in EXE_MODES.items():
        obj = tc.c(P + '__thread int x = 3; static __thread int y = 4, z = 5; int main(void) { printf("%d\\n", x + y + z); }', "-fno-plt", "-fPIC", "-O1", name="e" + mode)
        assert tc.out(tc.exe("prog" + mode, *ldflags, obj)) == "12\n"


def test_call_through_got_becomes_direct(tc):
    obj = tc.asm(".globl main\nmain: call *f@GOTPCREL(%rip)\n jmp *f@GOTPCREL(%rip)\n.globl f\nf: xor %eax, %eax\n ret\n.section .note.GNU-stack,\"\",@progbits\n")
    exe = tc.exe("prog", obj)
    assert tc.run(exe).rc == 0
    text = disassemble(tc, exe)
    main = text[text.index("<main>:"):text.index("<f>:")]
    assert re.search(r"call\s+[0-9a-f]+ <f>", main) and re.search(r"jmp\s+[0-9a-f]+ <f>", main), main
    assert tc.run(tc.exe("prog2", "-Wl,--no-relax", obj)).rc == 0


GOTPCRELX = """
 .globl main
main:
 mov v@GOTPCREL(%rip), %rax
 cmpl $42, (%rax)
 jne bad
 mov v@GOTPCREL(%rip), %r15
 cmpl $42, (%r15)
 jne bad
 lea v(%rip), %rcx
 cmp v@GOTPCREL(%rip), %rcx
 jne bad
 xor %rcx, %rcx
 add v@GOTPCREL(%rip), %rcx
 cmpl $42, (%rcx)
 jne bad
 mov $-1, %rdx
 and v@GOTPCREL(%rip), %rdx
 cmp %rcx, %rdx
 jne bad
 xor %rsi, %rsi
 or v@GOTPCREL(%rip), %rsi
 cmp %rcx, %rsi
 jne bad
 xor v@GOTPCREL(%rip), %rsi
 jnz bad
 sub v@GOTPCREL(%rip), %rcx
 jnz bad
 mov $-1, %rdx
 test %rdx, v@GOTPCREL(%rip)
 jz bad
 stc
 mov $0, %edx
 adc v@GOTPCREL(%rip), %rdx
 stc
 sbb v@GOTPCREL(%rip), %rdx
 jnz bad
 push v@GOTPCREL(%rip)
 pop %rax
 cmpl $42, (%rax)
 jne bad
 call *f@GOTPCREL(%rip)
 test %eax, %eax
 jne bad
 mov weak@GOTPCREL(%rip), %rax
 test %rax, %rax
 jne bad
 xor %eax, %eax
 ret
bad: mov $1, %eax
 ret
 .globl f
f: xor %eax, %eax
 ret
 .data
 .globl v
v: .long 42
 .weak weak
 .section .note.GNU-stack,"",@progbits
"""


@pytest.mark.parametrize("mode", EXE_MODES)
@pytest.mark.parametrize("relax", ["--relax", "--no-relax"])
def test_every_gotpcrelx_form(tc, mode, relax):
    if (mode, relax) == ("static-pie", "--no-relax"):
        return  # libc's own start-up code calls through its GOT before it has relocated itself
    _, ldflags = EXE_MODES[mode]
    assert tc.run(tc.exe("prog", *ldflags, f"-Wl,{relax}", tc.asm(GOTPCRELX))).rc == 0


def test_gotpcrelx_leaves_no_got_entries(tc):
    e = tc.elf(tc.ld("out", "-e", "main", tc.asm(".globl main\nmain: mov v@GOTPCREL(%rip), %rax\n mov v@GOTPCREL(%rip), %r9\n call *f@GOTPCREL(%rip)\nf: ret\n.data\nv: .long 1\n")).path)
    s = e.section(".got")
    assert s is None or s.size == 0


@pytest.mark.lacks(bfd="relocates it with the image when it does not relax")
@pytest.mark.parametrize("mode", EXE_MODES)
@pytest.mark.parametrize("relax", ["--relax", "--no-relax"])
def test_absolute_symbol_through_the_got(tc, mode, relax):
    if (mode, relax) == ("static-pie", "--no-relax"):
        return  # as above
    note = '.section .note.GNU-stack,"",@progbits\n'
    objs = [tc.asm(".globl main\nmain: mov abs@GOTPCREL(%rip), %rax\n sub $0x1234, %rax\n ret\n" + note, name="main"),
            tc.asm(".globl abs\n.set abs, 0x1234\n" + note, name="abs")]
    assert tc.run(tc.exe("prog", *EXE_MODES[mode][1], f"-Wl,{relax}", *objs)).rc == 0


def test_gotpcrelx_out_of_reach_keeps_the_got(tc):
    """A relaxed form must still reach: an absolute symbol beyond 2 GiB stays in the GOT."""
    obj = tc.asm('.globl _start\n_start: mov far@GOTPCREL(%rip), %rax\n add far@GOTPCREL(%rip), %rcx\n.section .note.GNU-stack,"",@progbits\n')
    e = tc.elf(tc.ld("out", "--defsym=far=0x123456789abc", obj).path)
    got = e.section(".got")
    assert (0x123456789abc).to_bytes(8, "little") in e.data(".got") and got.size >= 8


# -- branch protection and ISA levels

def properties(e):
    """GNU property note of an output: {type: value} (x86-64 psABI, Program Property)."""
    rows = {}
    for n in e.notes:
        if n.name == "GNU" and n.type == 5:
            at = 0
            while at + 8 <= len(n.desc):
                kind, size = (int.from_bytes(n.desc[at + i:at + i + 4], "little") for i in (0, 4))
                rows[kind] = int.from_bytes(n.desc[at + 8:at + 8 + size], "little")
                at += 8 + (size + 7 & ~7)
    return rows


FEATURE_1_AND, ISA_NEEDED = 0xc0000002, 0xc0008002


def test_cet_features_are_anded(tc):
    start = "void _start(void) {} "
    both = tc.c(start, "-fcf-protection=full", name="both")
    ibt = tc.c("int g(void) { return 1; }", "-fcf-protection=branch", name="ibt")
    none = tc.c("int h(void) { return 1; }", "-fcf-protection=none", name="none")
    assert properties(tc.elf(tc.ld("p1", both).path)).get(FEATURE_1_AND) == 3
    assert properties(tc.elf(tc.ld("p2", both, ibt).path)).get(FEATURE_1_AND) == 1
    assert not properties(tc.elf(tc.ld("p3", both, none).path)).get(FEATURE_1_AND)
    e = tc.elf(tc.ld("p4", both).path)
    assert e.segment("PT_GNU_PROPERTY") and e.section(".note.gnu.property").align == 8


@pytest.mark.parametrize("flag,value", [("ibt", 1), ("shstk", 2)])
def test_forced_cet(tc, flag, value):
    obj = tc.c("void _start(void) {}", "-fcf-protection=none")
    keyword = "force-ibt" if tc.linker.flavour == "lld" and flag == "ibt" else flag
    done = tc.ld("out", "-z", keyword, obj)
    assert properties(tc.elf(done.path)).get(FEATURE_1_AND, 0) & value


@pytest.mark.parametrize("level,mask", [("x86-64-v2", 2), ("x86-64-v3", 4), ("x86-64-v4", 8), ("x86-64-baseline", 1)])
@pytest.mark.lacks(lld="no such -z keyword", mold="no such -z keyword")
def test_isa_level(tc, level, mask):
    e = tc.elf(tc.ld("out", "-z", level, tc.c("void _start(void) {}")).path)
    assert properties(e).get(ISA_NEEDED, 0) & mask


@pytest.mark.parametrize("mode", ["dynamic", "pie"])
@pytest.mark.parametrize("binding", ["lazy", "now"])
def test_ibt_plt(tc, mode, binding):
    cflags, ldflags = EXE_MODES[mode]
    so = tc.so("libl.so", tc.c(LIB, "-fPIC", "-fcf-protection=full", name="lib"))
    use = tc.c(USE, "-fcf-protection=full", *cflags, name="use")
    exe = tc.exe("prog", *ldflags, "-Wl,-z,ibtplt", f"-Wl,-z,{binding}", use, so) if tc.linker.flavour != "lld" else tc.exe("prog", *ldflags, "-Wl,-z,force-ibt", use, so)
    assert tc.out(exe) == SAID
    e = tc.elf(exe)
    plts = b"".join(e.data(s.name) for s in e.sections if s.name.startswith(".plt") and s.name != ".plt.got")
    assert plts.count(b"\xf3\x0f\x1e\xfa") >= 2, "PLT entries begin with endbr64"


def test_plt_got_when_the_address_is_taken_too(tc):
    """A function both called and loaded through the GOT: one GOT slot, a non-lazy PLT entry."""
    so = tc.so("libl.so", tc.c(LIB, "-fPIC", name="lib"))
    obj = tc.c(P + 'int lib_fn(int); int (*volatile p)(int); int main(void) { p = lib_fn; printf("%d %d\\n", lib_fn(1), p(2)); }', "-fPIC", "-O0")
    exe = judge(tc, "exe", "prog", obj, so)
    assert tc.out(exe) == "4 5\n"


def test_lazy_plt_keeps_vector_arguments(tc):
    """The lazy resolver must see the right index and link map: many functions with floating arguments, called in odd order."""
    src = "".join(f"double f{i}(double a, double b, int c) {{ return a * {i} + b + c; }}\n" for i in range(40))
    so = tc.so("libm2.so", tc.c(src, "-fPIC", name="lib"))
    decl = "".join(f"double f{i}(double, double, int);" for i in range(40))
    calls = " + ".join(f"f{i}(1.5, 2.5, 3)" for i in reversed(range(40)))
    obj = tc.c(f'{P}{decl}\nint main(void) {{ printf("%.1f\\n", {calls}); }}', "-O0", name="m")
    for flag in ("lazy", "now"):
        assert tc.out(tc.exe("p" + flag, f"-Wl,-z,{flag}", obj, so)) == f"{sum(1.5 * i + 5.5 for i in range(40)):.1f}\n"
