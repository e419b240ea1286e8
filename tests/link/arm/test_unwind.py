"""ARM's unwind table: sorted, fenced off where code has no entries, equal neighbours joined, as GNU ld has it."""

import pytest

SOURCE = """
.syntax unified
.text
.section .text.a, "ax"
.type a, %function
a: .fnstart
 .save {{r4, lr}}
 push {{r4, lr}}
 pop {{r4, pc}}
 .fnend
.section .text.b, "ax"
.type b, %function
b: bx lr
.section .text.c, "ax"
.type c, %function
c: .fnstart
 .cantunwind
 bx lr
 .fnend
.section .text.d, "ax"
.type d, %function
d: .fnstart
 .save {{r4, lr}}
 push {{r4, lr}}
 pop {{r4, pc}}
 .fnend
.section .text.e, "ax"
.globl _start
.type _start, %function
_start: .fnstart
 .save {{r4, lr}}
 push {{r4, lr}}
 pop {{r4, pc}}
 .fnend
.globl __aeabi_unwind_cpp_pr0
__aeabi_unwind_cpp_pr0 = 0
{}
"""


def entries(tc, path):
    """[(address, second word)] of .ARM.exidx."""
    e = tc.elf(path)
    section = e.section(".ARM.exidx")
    data = e.data(".ARM.exidx")
    rows = []
    for at in range(0, len(data), 8):
        first, second = (int.from_bytes(data[at + i:at + i + 4], "little") for i in (0, 4))
        first = (first ^ 0x40000000) - 0x40000000 if first & 0x40000000 else first
        rows.append(((section.addr + at + first) & 0xffffffff, second))
    return rows


@pytest.mark.targets("armhf")
@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("tail", ["", '.section .text.f, "ax"\nf: bx lr\n'])
def test_entries_equal_gnu_ld(tc, merge, tail):
    obj = tc.asm(SOURCE.format(tail))
    flags = ["-Ttext=0x10000"] + ([] if merge else ["--no-merge-exidx-entries"])
    ours = entries(tc, tc.ld("a", *flags, obj).path)
    assert ours == sorted(ours)
    assert ours == entries(tc.gnu, tc.gnu.ld("a", *flags, obj).path)


@pytest.mark.targets("armhf")
def test_segment_and_bounds(tc):
    obj = tc.asm(SOURCE.format(""))
    e = tc.elf(tc.ld("a", obj).path)
    section = e.section(".ARM.exidx")
    segment = e.segment("PT_ARM_EXIDX")
    assert (segment.vaddr, segment.filesz) == (section.addr, section.size)


@pytest.mark.targets("armhf")
def test_attributes_and_flags_equal_gnu_ld(tc):
    parts = [tc.asm(f".syntax unified\n.arch {arch}\n.fpu {fpu}\n.eabi_attribute Tag_ABI_VFP_args, 1\n"
                    f".eabi_attribute Tag_ABI_FP_number_model, 3\n.globl {name}\n{name}: bx lr\n", name=name)
             for name, arch, fpu in (("_start", "armv7-a", "vfpv3-d16"), ("two", "armv6k", "vfpv2"),
                                     ("three", "armv5te", "vfpv3"), ("four", "armv6t2", "neon-vfpv4"))]
    ours, theirs = tc.elf(tc.ld("a", *parts).path), tc.gnu.elf(tc.gnu.ld("a", *parts).path)
    assert ours.data(".ARM.attributes").hex() == theirs.data(".ARM.attributes").hex()
    assert ours.header["e_flags"] == theirs.header["e_flags"]


@pytest.mark.targets("armhf")
def test_mixed_float_arguments_are_an_error(tc):
    parts = [tc.asm(f".eabi_attribute Tag_ABI_VFP_args, {value}\n.eabi_attribute Tag_ABI_FP_number_model, 3\n"
                    f".globl {name}\n{name}: bx lr\n", name=name) for name, value in (("_start", 1), ("two", 0))]
    done = tc.ld("a", *parts, check=False)
    assert done.rc == 1 and "VFP register arguments" in done.err and "two.o" in done.err


MIXES = {
    "R9 for other things": ("Tag_ABI_PCS_R9_use,1", "Tag_ABI_PCS_R9_use,2"),
    "static base without R9": ("Tag_ABI_PCS_RW_data,3", "Tag_ABI_PCS_RW_data,2"),
    "size of wchar_t": ("Tag_ABI_PCS_wchar_t,2", "Tag_ABI_PCS_wchar_t,4"),
    "size of enums": ("Tag_ABI_enum_size,1", "Tag_ABI_enum_size,2"),
    "platform": ("Tag_PCS_config,1", "Tag_PCS_config,2"),
    "profile": ("Tag_CPU_arch_profile,65", "Tag_CPU_arch_profile,77"),
    "architecture": ("Tag_CPU_arch,16", "Tag_CPU_arch,9"),
    "half floats": ("Tag_ABI_FP_16bit_format,1", "Tag_ABI_FP_16bit_format,2"),
    "other tools": ('Tag_compatibility,1,"x"', 'Tag_compatibility,0,""'),
    "unknown": ("200,1", "200,2"),
    "division": ("Tag_DIV_use,0", "Tag_DIV_use,1"),
    "old number of the MP extension": ("70,1", "Tag_MPextension_use,0"),
    "virtualization": ("Tag_Virtualization_use,1", "Tag_Virtualization_use,2"),
}


def with_attribute(tc, name, attribute):
    return tc.asm(f".eabi_attribute Tag_ABI_FP_number_model, 3\n.eabi_attribute {attribute}\n.globl {name}\n{name}: bx lr\n",
                  name=name)


@pytest.mark.targets("armhf")
@pytest.mark.parametrize("mix", MIXES)
def test_mixes_are_taken_as_gnu_ld_takes_them(tc, mix):
    """Refused, warned of or merged: all the same."""
    parts = [with_attribute(tc, name, attribute) for name, attribute in zip(("_start", "two"), MIXES[mix])]
    ours, theirs = (linker.ld("a", *parts, check=False) for linker in (tc, tc.gnu))
    assert ours.rc == theirs.rc, str(ours)
    assert ("warning" in ours.err) == ("warning" in theirs.err)
    if ours.rc == 0:
        assert tc.elf(ours.path).data(".ARM.attributes").hex() == tc.gnu.elf(theirs.path).data(".ARM.attributes").hex()


@pytest.mark.targets("armhf")
@pytest.mark.parametrize("flags,good", [(0x05000200, True), (0x04000000, True), (0, False), (0x02000000, False), (0x05800000, False)])
def test_header_flags(tc, flags, good):
    """Objects of old ABIs and finished BE8 code are refused."""
    parts = [with_attribute(tc, name, "Tag_CPU_arch,10") for name in ("_start", "two")]
    data = bytearray(parts[1].read_bytes())
    data[36:40] = flags.to_bytes(4, "little")
    changed = tc.dir / "changed.o"
    changed.write_bytes(data)
    for linker in (tc, tc.gnu):
        assert (linker.ld("a", parts[0], changed, check=False).rc == 0) == good
