"""AArch64: BTI, PAC and GCS properties and their PLTs, variant PCS, memory tagging of Android, packed relocations."""

import pytest

from harness.judges import assert_failed
from harness.toolchain import run_command

pytestmark = pytest.mark.targets("aarch64")

MAIN = "int f(int); int main(void) { return f(1); }"
FEATURES = {"BTI": 1, "PAC": 2}


@pytest.fixture
def lib(tc):
    return tc.so("libf.so", tc.c("int f(int x) { return x - 1; }", "-fPIC", name="f"))


def tags(tc, path):
    return {tag for tag, _ in tc.elf(path).dynamic if tag not in ("DT_NULL",)}


def feature_bits(tc, path):
    """Bits of GNU_PROPERTY_AARCH64_FEATURE_1_AND, 0 when there is none."""
    section = [s for s in tc.elf(path).sections if s.name == ".note.gnu.property"]
    if not section:
        return 0
    data = tc.elf(path).data(".note.gnu.property")
    at = data.find(bytes.fromhex("000000c004000000"))
    return int.from_bytes(data[at + 8:at + 12], "little") if at >= 0 else 0


@pytest.mark.parametrize("mode", [("-no-pie",), ("-pie",)])
@pytest.mark.parametrize("flags", [(), ("-Wl,-z,force-bti",), ("-Wl,-z,pac-plt",), ("-Wl,-z,force-bti,-z,pac-plt",)])
def test_plt(tc, lib, mode, flags):
    """PLT and tags are GNU ld's, byte for byte but for the places of the slots."""
    obj = tc.c(MAIN, "-fPIE", name="m")
    ours, theirs = (x.exe("prog", *mode, *flags, obj, lib) for x in (tc, tc.gnu))
    a, b = (tc.elf(path) for path in (ours, theirs))
    assert tags(tc, ours) == tags(tc, theirs) and feature_bits(tc, ours) == feature_bits(tc, theirs)
    assert a.section(".plt").size == b.section(".plt").size

    def forms(e):
        # Without the immediates of ADRP, LDR and ADD.
        data = e.data(".plt")
        words = [int.from_bytes(data[i:i + 4], "little") for i in range(0, len(data), 4)]
        return [w & 0x9f00001f if w & 0x9f000000 == 0x90000000 else w & 0xff0003ff if w >> 24 in (0xf9, 0x91) else w
                for w in words]

    assert forms(a) == forms(b)
    # Start-up code without landing pads, and a run-time linker that signs no slots, fail alike with both.
    assert tc.run(ours, check=False).rc == tc.run(theirs, check=False).rc and (flags or tc.run(ours).rc == 0)


def test_property_is_that_of_all_inputs(tc):
    with_bti = tc.asm(".globl _start\n_start: bti c\n" + note(3), "-march=armv8.5-a", name="a")
    both = tc.asm("nop\n" + note(1), name="b")
    without = tc.asm("nop\n", name="c")
    assert feature_bits(tc, tc.ld("one", with_bti).path) == 3
    assert feature_bits(tc, tc.ld("two", with_bti, both).path) == 1
    assert feature_bits(tc, tc.ld("three", with_bti, without).path) == 0
    forced = tc.ld("four", "-z", "force-bti", with_bti, without)
    assert feature_bits(tc, forced.path) & 1 and "c.o: BTI is required by -z force-bti" in forced.err
    assert "a.o" not in forced.err


def note(bits):
    return f"""
        .section .note.gnu.property,"a"
        .balign 8
        .word 4, 16, 5
        .asciz "GNU"
        .word 0xc0000000, 4, {bits}, 0
        """


def test_reports(tc):
    obj = tc.asm(".globl _start\n_start: ret")
    assert "a.o: BTI is required" in tc.ld("out", "-z", "bti-report=warning", obj).err
    assert_failed(tc.ld("bad", "-z", "bti-report=error", obj, check=False), "a.o: BTI is required")
    assert_failed(tc.ld("bad", "-z", "gcs-report=error", obj, check=False), "a.o: GCS is required")
    assert tc.ld("quiet", "-z", "force-bti", "-z", "bti-report=none", obj).err == ""


def test_gcs(tc):
    obj = tc.asm(".globl _start\n_start: ret\n" + note(5))
    assert feature_bits(tc, tc.ld("implicit", obj).path) == 5
    assert feature_bits(tc, tc.ld("never", "-z", "gcs=never", obj).path) == 1
    assert feature_bits(tc, tc.ld("always", "-z", "gcs=always", tc.asm("nop", name="b")).path) == 4


def test_variant_pcs(tc):
    """A function that keeps more registers than usual must not be bound lazily: DT_AARCH64_VARIANT_PCS says so."""
    lib = tc.so("libv.so", tc.asm(".globl vf, nf\n.variant_pcs vf\n.type vf, %function\n.type nf, %function\nvf: ret\nnf: ret",
                                  name="v"), "-nostdlib")
    for name, wanted in (("vf", True), ("nf", False)):
        mark = f".variant_pcs {name}\n" if wanted else ""
        obj = tc.asm(f"{mark}.globl _start\n_start: bl {name}\n", name=name)
        e = tc.elf(tc.ld("out-" + name, obj, lib).path)
        assert any(tag in (0x70000005, "DT_AARCH64_VARIANT_PCS") for tag, _ in e.dynamic) == wanted


def test_memory_tagging(tc):
    obj = tc.asm(".globl f\nf: ret")
    path = tc.ld("out.so", "-shared", "--android-memtag-mode=sync", "--android-memtag-heap", obj).path
    data = tc.elf(path).data(".note.android.memtag")
    assert data[12:20] == b"Android\0" and int.from_bytes(data[20:24], "little") == 2 | 4
    values = [value for tag, value in tc.elf(path).dynamic if tag in (0x70000009, 0x7000000b, 0x7000000c)
              or str(tag).startswith("DT_AARCH64_MEMTAG")]
    assert values == [0, 1, 0]


@pytest.mark.parametrize("mode", ["sync", "async", "none"])
@pytest.mark.parametrize("more", [(), ("--android-memtag-heap",), ("--android-memtag-stack", "--android-memtag-heap")])
def test_memory_tagging_equals_lld(tc, mode, more):
    obj = tc.c("int v; int *p = &v;", "-fPIC")
    words = ("-shared", f"--android-memtag-mode={mode}", *more)
    ours = tc.elf(tc.ld("out.so", *words, obj).path)
    run_command(["ld.lld-19", "-m", "aarch64linux", *words, obj, "-o", tc.dir / "lld.so"])
    theirs = tc.elf("lld.so")
    own = lambda e: {(str(tag), value) for tag, value in e.dynamic if str(tag).startswith("DT_AARCH64") or type(tag) is int}
    assert own(ours) == own(theirs)
    assert [(n.name, n.type, n.desc) for n in ours.notes] == [(n.name, n.type, n.desc) for n in theirs.notes]
    names = lambda e: {s.name for s in e.sections if s.type == "SHT_NOTE"}
    assert names(ours) == names(theirs)


@pytest.mark.parametrize("size", [0x1000, 0x4000, 0x10000])
def test_page_size(tc, size):
    obj = tc.c("#include <stdio.h>\nint main(void) { puts(\"x\"); }")
    exe = tc.exe("prog", f"-Wl,-z,max-page-size={size:#x}", obj)
    assert all(p.align == size and p.offset % size == p.vaddr % size for p in tc.elf(exe).loads())
    assert tc.out(exe) == "x\n"


def test_packed_relocations(tc):
    obj = tc.c("#include <stdio.h>\nint a; int *p[100] = {&a, &a}; int main(void) { puts(p[1] == &a ? \"x\" : \"bad\"); }", "-fPIE")
    exe = tc.exe("prog", "-pie", "-Wl,--pack-dyn-relocs=relr", obj)
    assert len(tc.elf(exe).relr()) >= 2
    plain = tc.exe("plain", "-pie", obj)
    assert not tc.elf(plain).relr() and tc.out(plain) == "x\n"


def test_android_relr_tags(tc):
    obj = tc.c("int a; int *p[100] = {&a, &a}; int main(void) { return p[1] != &a; }", "-fPIE")
    exe = tc.exe("prog", "-pie", "-Wl,--pack-dyn-relocs=relr,--use-android-relr-tags", obj)
    numbers = {0x6fffe000, 0x6fffe001, 0x6fffe003}
    data = tc.elf(exe).data(".dynamic")
    assert numbers <= {int.from_bytes(data[i:i + 8], "little") for i in range(0, len(data), 16)}
    assert tc.elf(exe).section(".relr.dyn").type in (0x6fffff00, "SHT_ANDROID_RELR")


def test_execute_only(tc):
    obj = tc.c("#include <stdio.h>\nint main(void) { puts(\"x\"); }")
    exe = tc.exe("prog", "-Wl,--execute-only", obj)
    code = [p for p in tc.elf(exe).loads() if "X" in p.flags]
    assert code and all(p.flags == "X" for p in code)
    assert all("R" in p.flags for p in tc.elf(tc.exe("plain", obj)).loads())
    assert_failed(tc.link("bad", "-Wl,--execute-only,-z,noseparate-code", obj, check=False), "--execute-only")
