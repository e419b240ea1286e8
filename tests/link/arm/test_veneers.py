"""Veneers of ARM: names and mapping symbols, errata, ARMv4, M profiles."""

import re

import pytest

from harness.toolchain import run_command

FAR = """
.syntax unified
.arch armv7-a
.section .from,"ax"
.globl _start
.arm
_start: bl far
 b tfar
 bl lfar
.thumb
.thumb_func
thumb: b.w far
 b.w lfar
 bl tfar
.section .to,"ax"
.globl far,tfar
.arm
.type far,%function
far: bx lr
.type lfar,%function
lfar: bx lr
.thumb
.thumb_func
tfar: bx lr
"""

PLACES = ("--section-start=.from=0x1000", "--section-start=.to=0x8000000")


def disassembly(tc, path, *flags):
    """[(address, instruction without spaces and comments)] by objdump."""
    text = run_command([f"{tc.target.triple}-objdump", "-d", *flags, path]).out
    rows = re.findall(r"^ +([0-9a-f]+):\t[0-9a-f ]+\t([^@;\n]*)", text, re.M)
    return [(int(at, 16), " ".join(insn.split())) for at, insn in rows]


def code_at(tc, path, address, count=3):
    rows = disassembly(tc, path)
    return [insn for at, insn in rows if at >= address][:count]


@pytest.mark.targets("armhf")
def test_names_and_mapping_symbols(tc):
    e = tc.elf(tc.ld("a", *PLACES, tc.asm(FAR)).path)
    names = {s.name: s for s in e.symbols if s.name.startswith("__") and s.type == "STT_FUNC"}
    assert set(names) == {"__far_veneer", "__tfar_from_arm", "__lfar_veneer", "__far_from_thumb", "__lfar_from_thumb",
                          "__tfar_veneer"}
    marks = {(s.value, s.name) for s in e.symbols if s.name.startswith("$")}
    for name, s in names.items():
        letter = "$t" if e.pointer(name) & 1 else "$a"
        assert {(s.value, letter), (s.value + s.size - 4, "$d")} <= marks
    assert {name for name in names if e.pointer(name) & 1} == {"__far_from_thumb", "__lfar_from_thumb", "__tfar_veneer"}


@pytest.mark.targets("armhf")
def test_plt_has_mapping_symbols(tc):
    obj = tc.asm(".syntax unified\n.arch armv7-a\n.thumb\n.globl _start\n.thumb_func\n_start: bl f\nb.w g\n")
    lib = tc.so("libf.so", tc.c("void f(void) {} void g(void) {}", "-fPIC", name="f"))
    for flag in ("-X", "-x"):
        e = tc.elf(tc.ld("a", obj, lib, flag).path)
        start = e.section(".plt").addr
        marks = {(s.value - start, s.name) for s in e.symbols if s.name.startswith("$") and s.value >= start}
        assert {(0, "$a"), (16, "$d"), (20, "$t"), (24, "$a"), (36, "$t")} <= marks
        assert any(name == "$t" and s == e.section(".text").addr - start for s, name in marks)


@pytest.mark.targets("armhf")
def test_pic_veneers(tc):
    obj = tc.asm(FAR)
    path = tc.ld("a", *PLACES, "--pic-veneer", obj).path
    code = tc.elf(path).data(".from")
    assert (0x8000000).to_bytes(4, "little") not in code
    assert "add ip, pc, ip" in [insn for _, insn in disassembly(tc, path)]


A8 = """
.syntax unified
.arch armv7-a
{attributes}
.text
.p2align 12
.globl _start
.thumb
.thumb_func
_start: nop
.space 0xff6
{target}
{before}
{branch}
 nop
.p2align 12
.globl outside
.thumb_func
outside: bx lr
"""
THUMB = ".globl target\n.thumb_func\ntarget: bx lr\n.space 2"
ARM = ".arm\n.globl target\n.type target,%function\ntarget: bx lr\n.thumb\n.space 2"
WIDE = " add.w r0, r0, r0"


def a8(tc, branch, target=THUMB, before=WIDE, attributes="", space=0xff6, **kw):
    # The target takes 4 bytes, so the branch stands at 0x...ffe.
    text = A8.format(branch=branch, target=target, before=before, attributes=attributes).replace("0xff6", hex(space - 2))
    return tc.asm(text, name=kw.pop("name", "a8"))


def site(tc, linker, obj, *flags):
    """(what stands at 0x10ffe, what it leads to when that is behind the code)."""
    path = linker.ld("a", "-Ttext=0x10000", *flags, obj).path
    rows = dict(disassembly(tc, path))
    insn = rows[0x10ffe]
    to = int(re.search(r"\b(1[0-9a-f]{4})\b", insn).group(1), 16)
    return insn.split()[0], to, [rows.get(to), rows.get(to + 4), rows.get(to + 8)]


@pytest.mark.targets("armhf")
@pytest.mark.parametrize("branch,code,veneer", [
    ("bl target", THUMB, ["b.w 10ff6 <target>"]),
    ("b.w target", THUMB, ["b.w 10ff6 <target>"]),
    ("blx target", ARM, ["b 10ff4 <target>"]),
], ids=["bl", "b", "blx"])
def test_cortex_a8_branch_is_moved(tc, branch, code, veneer):
    obj = a8(tc, branch, code, space=0xff4 if code == ARM else 0xff6)
    ours, theirs = site(tc, tc, obj), site(tc, tc.gnu, obj)
    assert ours[1] >= 0x12000 and theirs[1] >= 0x12000
    assert ours[0] == theirs[0]
    assert ours[2][0] == theirs[2][0] == veneer[0]


@pytest.mark.targets("armhf")
def test_cortex_a8_conditional_branch_is_moved(tc):
    path = tc.ld("a", "-Ttext=0x10000", a8(tc, "beq.w target")).path
    rows = dict(disassembly(tc, path))
    to = int(rows[0x10ffe].split()[1], 16)
    assert rows[0x10ffe].startswith("b.w") and to >= 0x12000
    assert rows[to] == f"beq.n {to + 8:x} <outside+0x{to + 8 - 0x12000:x}>"
    assert rows[to + 4].split()[:2] == ["b.w", "11002"]
    assert rows[to + 8].split()[:2] == ["b.w", "10ff6"]


@pytest.mark.targets("armhf")
@pytest.mark.parametrize("why,how", [
    ("outside of the page", {"branch": "bl outside"}),
    ("a narrow instruction before", {"before": " nop\n nop"}),
    ("a branch before", {"before": " b.w _start"}),
    ("not at the end of the page", {"space": 0xff2}),
    ("another architecture", {"attributes": ".arch armv7-r"}),
])
def test_cortex_a8_leaves_alone(tc, why, how):
    obj = a8(tc, **{"branch": "bl target", **how})
    for linker in (tc, tc.gnu):
        e = tc.elf(linker.ld("a", "-Ttext=0x10000", obj).path)
        assert e.section(".text").size <= 0x2004


@pytest.mark.targets("armhf")
def test_cortex_a8_options(tc):
    bad = a8(tc, "bl target")
    other = a8(tc, "bl target", attributes=".arch armv7-r", name="r")
    for linker in (tc, tc.gnu):
        size = lambda *args: tc.elf(linker.ld("a", "-Ttext=0x10000", *args).path).section(".text").size
        assert size(bad) > size("--no-fix-cortex-a8", bad)
        assert size("--fix-cortex-a8", other) > size(other)


@pytest.mark.targets("armhf")
def test_cortex_a8_program_runs(tc):
    """Calls that need the work-around still go where they should."""
    lines = [".syntax unified", ".arch armv7-a", ".text", ".thumb"]
    for n in range(6):
        lines += [".p2align 12", ".space 0xff2", f".thumb_func\nt{n}: adds r0, #{n + 1}\n bx lr",
                  f".globl f{n}\n.thumb_func\nf{n}: push {{r4, lr}}\n cmp r0, #0", " add.w r4, r0, r0", f" bl t{n}",
                  " pop {r4, pc}"]
    obj = tc.asm("\n".join(lines) + '\n.section .note.GNU-stack,"",%progbits\n', name="sites")
    calls = " + ".join(f"f{n}(10)" for n in range(6))
    protos = " ".join(f"int f{n}(int);" for n in range(6))
    m = tc.c(f'#include <stdio.h>\n{protos}\nint main(void) {{ printf("%d\\n", {calls}); }}', "-fno-pie", name="m")
    exe = tc.exe("p", "-no-pie", m, obj)
    assert tc.out(exe) == "81\n"
    text = dict(disassembly(tc, exe))
    moved = [at for at in text if at & 0xfff == 0xffe and text[at].startswith("bl ") and "<t" not in text[at]]
    assert len(moved) == 6


@pytest.mark.targets("armhf")
def test_v4bx_interworking(tc):
    """BX becomes a jump to a veneer a register, as with GNU ld."""
    obj = tc.asm(".arch armv4t\n.text\n.globl _start\n_start: bx lr\n bxne r3\n bx lr\n", name="bx")
    path = tc.ld("a", "--fix-v4bx-interworking", "-Ttext=0x10000", obj).path
    e = tc.elf(path)
    rows = dict(disassembly(tc, path))
    lr, r3 = e.addr("__bx_r14"), e.addr("__bx_r3")
    assert [rows[0x10000 + 4 * n] for n in range(3)] == [
        f"b {lr:x} <__bx_r14>", f"bne {r3:x} <__bx_r3>", f"b {lr:x} <__bx_r14>"]
    assert [rows[r3 + 4 * n] for n in range(3)] == ["tst r3, #1", "moveq pc, r3", "bx r3"]
    gnu = tc.gnu.ld("a", "--fix-v4bx-interworking", "-Ttext=0x10000", obj).path
    theirs = dict(disassembly(tc, gnu))
    at = tc.gnu.elf(gnu).addr("__bx_r3")
    assert [theirs[at + 4 * n] for n in range(3)] == [rows[r3 + 4 * n] for n in range(3)]


@pytest.mark.targets("armhf")
@pytest.mark.parametrize("arch", ["armv4t", "armv5te", "armv6", "armv6k", "armv6t2", "armv7-a"])
@pytest.mark.parametrize("flag", [(), ("--no-fix-arm1176",), ("--use-blx",)], ids=["default", "no-fix", "use-blx"])
def test_where_blx_is_used(tc, arch, flag):
    """On what may be an ARM1176 calls between instruction sets go through a veneer."""
    obj = tc.asm(f".syntax unified\n.arch {arch}\n.text\n.arm\n.globl _start\n.type _start,%function\n_start: bl t\n"
                 ".thumb\n.thumb_func\n.type t,%function\nt: bx lr\nnop\n")
    kinds = []
    for linker in (tc, tc.gnu):
        path = linker.ld("a", "-Ttext=0x10000", *flag, obj).path
        kinds.append(dict(disassembly(tc, path))[0x10000].split()[0])
    assert kinds[0] == kinds[1]


M_PROFILE = r"""
static long sys(long n, long a, long b, long c) {
  register long r0 __asm__("r0") = a; register long r1 __asm__("r1") = b; register long r2 __asm__("r2") = c;
  register long r7 __asm__("r7") = n;
  __asm__ volatile("svc 0" : "+r"(r0) : "r"(r1), "r"(r2), "r"(r7) : "memory"); return r0; }
const char text[] = "far\n";
__attribute__((noinline, section(".far"))) int five(int a, int b, int c, int d, int e) { return a + 2 * b + 3 * c + 4 * d + 5 * e; }
__attribute__((noinline)) int near(int a) { return five(a, 1, 2, 3, 4) + 1; }
__attribute__((noinline, section(".far"))) int back(int a) { return near(a) * 2; }
void _start(void) { if (back(1) == 84) sys(4, 1, (long)text, 4); sys(1, 0, 0, 0); }
"""


@pytest.mark.targets("armel")
@pytest.mark.parametrize("cpu", ["cortex-m0", "cortex-m3", "cortex-m23", "cortex-m33"])
@pytest.mark.parametrize("flags", [(), ("--pic-veneer",)], ids=["absolute", "pic"])
def test_m_profile_runs(tc, cpu, flags):
    """Processors without ARM instructions: all registers survive, and the veneers are Thumb."""
    obj = tc.c(M_PROFILE, f"-mcpu={cpu}", "-mthumb", "-O1", "-ffreestanding", "-fno-pic", "-fno-pie")
    path = tc.ld("p", "--section-start=.far=0x8000000", *flags, obj).path
    assert tc.out(path) == "far\n"
    e = tc.elf(path)
    assert {s.name for s in e.symbols} >= {"__near_veneer", "__five_veneer"}
    assert not any(s.name == "$a" for s in e.symbols)
