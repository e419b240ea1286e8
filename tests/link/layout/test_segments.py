"""Program headers: loads, RELRO, stack, notes, the -z options that shape them (GNU ld manual, -z keyword)."""

import pytest

from harness.toolchain import EXE_MODES

SRC = """
#include <stdio.h>
const char ro[] = "read only"; int data = 1; int bss[5000]; int *const relro = &data;
int main(void) { printf("%s %d %d %d\\n", ro, data, bss[4999], *relro); }
"""
SAID = "read only 1 0 1\n"


def build(tc, mode, *flags):
    cflags, ldflags = EXE_MODES[mode]
    exe = tc.exe("prog", *ldflags, *flags, tc.c(SRC, *cflags))
    assert tc.out(exe) == SAID
    return tc.elf(exe)


def check_image(e):
    """What every loadable image must obey (gABI, Program Header)."""
    loads = e.loads()
    assert loads == sorted(loads, key=lambda p: p.vaddr)
    for a, b in zip(loads, loads[1:]):
        assert a.vaddr + a.memsz <= b.vaddr
    for p in loads:
        assert p.align and p.vaddr % p.align == p.offset % p.align and p.filesz <= p.memsz
        assert p.offset + p.filesz <= len(e.raw)
    for s in e.sections:
        if s.flags & 2 and s.size and not (s.flags & 0x400 and s.type == "SHT_NOBITS"):
            p = next((p for p in loads if p.vaddr <= s.addr and s.addr + s.size <= p.vaddr + p.memsz), None)
            assert p, f"{s.name} lies in no PT_LOAD"
            assert s.align == 0 or s.addr % s.align == 0
            if s.type != "SHT_NOBITS":
                assert s.offset - p.offset == s.addr - p.vaddr
            if s.flags & 1:
                assert "W" in p.flags
            if s.flags & 4:
                assert "X" in p.flags
    ends = sorted((s.offset, s.size) for s in e.sections if s.type not in ("SHT_NOBITS", "SHT_NULL") and s.size)
    for (a, n), (b, _) in zip(ends, ends[1:]):
        assert a + n <= b, "sections overlap in the file"


@pytest.mark.parametrize("flags", [(), ("-Wl,-z,noseparate-code",), ("-Wl,-z,norelro",), ("-Wl,-z,max-page-size=65536",),
                                   ("-Wl,-z,max-page-size=0x200000",), ("-Wl,-z,now",), ("-Wl,-O2",), ("-Wl,-z,common-page-size=4096",)])
@pytest.mark.parametrize("mode", EXE_MODES)
def test_image(tc, mode, flags):
    check_image(build(tc, mode, *flags))


def test_separate_code_has_pages_of_its_own(tc):
    e = build(tc, "pie", "-Wl,-z,separate-code")
    assert [p.flags for p in e.loads()] == ["R", "XR", "R", "WR"]
    code = e.loads()[1]
    page = 4096
    for p in e.loads():
        if p is not code:
            assert p.offset // page > (code.offset + code.filesz - 1) // page or (p.offset + p.filesz - 1) // page < code.offset // page


def test_noseparate_code(tc):
    assert [p.flags for p in build(tc, "pie", "-Wl,-z,noseparate-code").loads()] == ["XR", "WR"]


@pytest.mark.lacks(bfd="no separate-loadable-segments")
def test_separate_loadable_segments(tc):
    e = build(tc, "pie", "-Wl,-z,separate-loadable-segments")
    pages = [range(p.offset // 4096, (p.offset + p.filesz - 1) // 4096 + 1) for p in e.loads() if p.filesz]
    assert all(a[-1] < b[0] for a, b in zip(pages, pages[1:])), "no two segments share a page of the file"


@pytest.mark.parametrize("mode", EXE_MODES)
@pytest.mark.parametrize("now", [False, True])
def test_relro(tc, mode, now):
    e = build(tc, mode, "-Wl,-z,relro", f"-Wl,-z,{'now' if now else 'lazy'}")
    p = e.segment("PT_GNU_RELRO")
    assert p.flags == "R" and p.align == 1
    assert (p.vaddr + p.memsz) % 4096 == 0, "whole pages, or the loader protects less"
    load = next(q for q in e.loads() if q.vaddr <= p.vaddr < q.vaddr + q.memsz)
    assert p.offset - load.offset == p.vaddr - load.vaddr and p.vaddr == load.vaddr
    inside = {s.name for s in e.sections if s.flags & 2 and s.size and p.vaddr <= s.addr < p.vaddr + p.memsz}
    assert {".init_array", ".fini_array"} <= inside
    # ARM's GOT and the slots of its PLT are one section.
    assert ".got" in inside or (tc.target.machine == "EM_ARM" and not now)
    assert not {".data", ".bss"} & inside
    if mode in ("pie", "static-pie"):
        assert {".data.rel.ro", ".dynamic"} <= inside
    if now and tc.target.name == "amd64":
        assert ".got.plt" not in {s.name for s in e.sections} or mode.startswith("static")


def test_writing_to_relro_faults(tc):
    src = "#include <stdio.h>\nint data; int *const relro = &data; int main(int c, char **v) { puts(\"up\"); fflush(stdout); if (c > 1) *(int *volatile *)&relro = 0; return 0; }"
    for mode in ("pie", "static-pie") if "static-pie" in tc.target.features else ("pie",):
        cflags, ldflags = EXE_MODES[mode]
        exe = tc.exe(f"p-{mode}", *ldflags, "-Wl,-z,relro,-z,now", tc.c(src, *cflags, name=mode))
        assert tc.run(exe).rc == 0 and tc.run(exe, "x", check=False).rc == -11


def test_norelro(tc):
    assert build(tc, "pie", "-Wl,-z,norelro").segment("PT_GNU_RELRO") is None


@pytest.mark.parametrize("flag,flags", [("noexecstack", "WR"), ("execstack", "XWR")])
def test_stack(tc, flag, flags):
    p = build(tc, "pie", f"-Wl,-z,{flag}").segment("PT_GNU_STACK")
    assert p.flags == flags


def test_stack_follows_the_objects(tc):
    """An object without .note.GNU-stack needs an executable stack on amd64; ld 2.39 and later warns."""
    plain = tc.c(SRC)
    asm = tc.asm(".globl f\n.text\nf: ret\n" if tc.target.name == "amd64" else ".text\n.globl f\nf:\n", name="nonote")
    done = tc.link("prog", plain, asm)
    e = tc.elf(done.path)
    stack = tc.elf(tc.exe("prog2", plain)).segment("PT_GNU_STACK")
    # ELFv1's compilers say nothing of the stack, which is not executable there.
    assert "X" not in stack.flags if stack else tc.target.descriptors
    if tc.target.machine in ("EM_AARCH64", "EM_PPC64"):
        assert not done.err and (e.segment("PT_GNU_STACK") is None or "X" not in e.segment("PT_GNU_STACK").flags)
    if tc.target.name == "amd64" and tc.linker.flavour in ("bfd", "mclink"):
        assert "X" in e.segment("PT_GNU_STACK").flags and "warning" in done.err and "executable stack" in done.err


def test_stack_size(tc):
    p = build(tc, "pie", "-Wl,-z,stack-size=0x123000").segment("PT_GNU_STACK")
    assert p.memsz == 0x123000


def test_notes_and_properties(tc):
    e = build(tc, "pie", "-Wl,--build-id=sha1")
    notes = [p for p in e.segments if p.type == "PT_NOTE"]
    for s in e.sections:
        if s.type == "SHT_NOTE" and s.flags & 2:
            p = next((p for p in notes if p.vaddr <= s.addr and s.addr + s.size <= p.vaddr + p.memsz), None)
            assert p and p.align == s.align, s.name


def test_phdr_and_interp(tc):
    e = build(tc, "pie")
    p, i = e.segment("PT_PHDR"), e.segment("PT_INTERP")
    assert e.segments.index(p) < e.segments.index(i) < e.segments.index(e.loads()[0]), "PT_PHDR and PT_INTERP come before any PT_LOAD (gABI)"
    assert p.offset == e.header["e_phoff"] and p.memsz == e.header["e_phnum"] * e.header["e_phentsize"]
    assert e.bytes_at(i.vaddr, i.filesz).rstrip(b"\0").decode() == tc.target.loader


def test_dynamic_linker_option(tc):
    obj = tc.c(SRC)
    assert tc.elf(tc.exe("p1", "-Wl,-dynamic-linker,/x/ld.so", obj)).interp == "/x/ld.so"
    e = tc.elf(tc.exe("p2", "-Wl,--no-dynamic-linker", obj))
    assert e.interp is None and e.dynamic


def test_bss_takes_no_room(tc):
    big = tc.c("char big[100 << 20]; int main(void) { return big[5]; }")
    exe = tc.exe("prog", big)
    assert exe.stat().st_size < 1 << 20
    assert tc.run(exe).rc == 0


def test_headers_are_in_the_first_load(tc):
    e = build(tc, "dynamic")
    first = e.loads()[0]
    assert first.offset == 0 and first.filesz >= e.header["e_phoff"] + e.header["e_phnum"] * e.header["e_phentsize"]


@pytest.mark.targets("amd64")
def test_default_base_of_an_executable(tc):
    assert build(tc, "dynamic").loads()[0].vaddr == 0x400000
    assert build(tc, "pie").loads()[0].vaddr == 0


@pytest.mark.parametrize("flag,addr", [("-Wl,-Ttext-segment=0x10000000", 0x10000000)])
def test_text_segment_address(tc, flag, addr):
    e = build(tc, "dynamic", flag)
    assert e.loads()[0].vaddr == addr


@pytest.mark.lacks(bfd="--image-base is for PE only in 2.40")
def test_image_base(tc):
    e = build(tc, "dynamic", "-Wl,--image-base=0x20000000")
    assert e.loads()[0].vaddr == 0x20000000


def test_section_addresses(tc):
    obj = tc.c("int d = 1; char z; int _start(void) { return d; }", "-fno-pie", "-fno-asynchronous-unwind-tables")
    e = tc.elf(tc.ld("out", "-Ttext", "a0000", "-Tdata=0xb0000", "-Tbss", "c0000", obj).path)
    assert [e.section(n).addr for n in (".text", ".data", ".bss")] == [0xa0000, 0xb0000, 0xc0000]
    assert e.entry == (e.addr("_start") if tc.target.descriptors else 0xa0000) and e.code("_start") == 0xa0000
    check_image(e)
    e = tc.elf(tc.ld("out2", "--section-start=.text=0xd0000", "--section-start", ".data=e0000", obj).path)
    assert e.section(".text").addr == 0xd0000 and e.section(".data").addr == 0xe0000


def test_omagic(tc):
    obj = tc.c("int d = 1; int _start(void) { return d; }", "-fno-pie", "-fno-asynchronous-unwind-tables")
    e = tc.elf(tc.ld("out", "-N", obj).path)
    assert len(e.loads()) == 1 and set(e.loads()[0].flags) == set("RWX")
    assert e.section(".data").addr < e.section(".text").addr + 4096
    check_image(e)


def test_nmagic(tc):
    obj = tc.c("int d = 1; int _start(void) { return d; }", "-fno-pie", "-fno-asynchronous-unwind-tables")
    e = tc.elf(tc.ld("out", "-n", obj).path)
    assert all(p.align < 4096 for p in e.loads())
    check_image(e)


def test_entry(tc):
    obj = tc.c("int other(void) { return 1; } int _start(void) { return 2; } int last(void) { return 3; }", "-fno-pie")
    assert (lambda e: e.entry == e.addr("_start"))(tc.elf(tc.ld("p1", obj).path))
    assert (lambda e: e.entry == e.addr("last"))(tc.elf(tc.ld("p2", "-e", "last", obj).path))
    assert (lambda e: e.entry == e.addr("other"))(tc.elf(tc.ld("p3", "--entry=other", obj).path))
    assert tc.elf(tc.ld("p4", "-e", "0x1234", obj).path).entry == 0x1234


def test_missing_entry_is_a_warning(tc):
    obj = tc.c("int f(void) { return 1; }", "-fno-pie")
    done = tc.ld("out", obj)
    assert "_start" in done.err and "warning" in done.err
    e = tc.elf(done.path)
    if tc.linker.flavour in ("mclink", "bfd"):
        assert e.entry == e.section(".text").addr, "GNU ld falls back on the start of .text"


def test_section_flags_of_outputs(tc):
    e = build(tc, "pie")
    want = {".text": "AX", ".rodata": "A", ".data": "WA", ".bss": "WA", ".dynamic": "WA", ".eh_frame": "A", ".interp": "A", ".comment": "MS"}
    for name, flags in want.items():
        assert set(e.flags(name)) - {"M", "S"} == set(flags) - {"M", "S"}, name
    assert set(e.flags(".comment")) == {"M", "S"}


def test_order_of_output_sections_is_gnu_lds(tc):
    obj = tc.c(SRC + "__thread int t = 1; __thread int tz; static void __attribute__((constructor)) k(void) {}", name="order")
    ours, theirs = ([s.name for s in x.elf(x.exe("prog", obj)).sections] for x in (tc, tc.gnu))
    if tc.linker.flavour in ("mclink", "bfd"):
        assert ours == theirs


@pytest.mark.parametrize("mode", EXE_MODES)
def test_orphan_sections_go_where_gnu_ld_puts_them(tc, mode):
    cflags, ldflags = EXE_MODES[mode]
    src = SRC + """
        __attribute__((section("orphan_ro"), used)) static const int a = 1;
        __attribute__((section("orphan_rw"), used)) static int b = 1;
        __attribute__((section("orphan_code"), used)) static void c(void) {}
        __attribute__((section(".rodata_like"), used)) static const int d = 1;
        __attribute__((section(".bss_like,\\"aw\\",@nobits#"), used)) static int z[10];
        __attribute__((section("loose,\\"\\",@progbits#"), used)) static int n = 1;
        """
    obj = tc.c(src.replace('#"', f'{tc.target.comment}"'), *cflags, name="orphan")
    e = tc.elf(tc.exe("prog", *ldflags, obj))
    check_image(e)
    if tc.linker.flavour in ("mclink", "bfd"):
        # GNU ld leaves an entry in .plt.got of a static PIE that nothing calls.
        ours, theirs = ([s.name for s in x.elf(x.exe("prog", *ldflags, obj)).sections if s.flags & 2 and s.name != ".plt.got"]
                        for x in (tc, tc.gnu))
        assert ours == theirs


def test_rwx_segment_warning(tc):
    obj = tc.asm('.section .wx,"awx",@progbits\n.byte 1\n.text\n.globl _start\n_start:\n.section .note.GNU-stack,"",@progbits\n')
    done = tc.ld("out", obj)
    if tc.linker.flavour in ("mclink", "bfd"):
        assert "RWX" in done.err
    assert "RWX" not in tc.ld("out2", "--no-warn-rwx-segments", obj).err if tc.linker.flavour in ("mclink", "bfd") else True


@pytest.mark.targets("amd64")
def test_keep_text_section_prefix(tc):
    src = "__attribute__((section(\".text.hot.f\"))) int f(void) { return 1; } __attribute__((section(\".text.unlikely.g\"))) int g(void) { return 1; } int main(void) { return 0; }"
    e = tc.elf(tc.exe("p1", "-Wl,-z,nokeep-text-section-prefix", tc.c(src)))
    assert e.section(".text.hot") is None
    if tc.linker.flavour != "bfd":
        e = tc.elf(tc.exe("p2", "-Wl,-z,keep-text-section-prefix", tc.c(src)))
        assert e.section(".text.hot") and e.section(".text.unlikely")


def test_hot_and_unlikely_order_in_text(tc):
    """GNU ld's default script: .text.unlikely .text.exit .text.startup .text.hot, then the rest."""
    src = """
        __attribute__((section(".text.zz"))) int z(void) { return 1; }
        __attribute__((section(".text.hot.f"))) int hot(void) { return 1; }
        __attribute__((section(".text.unlikely.g"))) int cold(void) { return 1; }
        __attribute__((section(".text.startup.h"))) int startup(void) { return 1; }
        __attribute__((section(".text.exit.h"))) int leave(void) { return 1; }
        int main(void) { return 0; }"""
    e = tc.elf(tc.exe("prog", tc.c(src, "-O0")))
    assert e.code("cold") < e.code("leave") < e.code("startup") < e.code("hot") < e.code("z")


def test_read_only_data_with_the_code(tc):
    """--no-rosegment (lld): two loads; -z separate-code has the last word."""
    obj = tc.c('#include <stdio.h>\nconst int table[4] = {1, 2}; int main(int c, char **v) { return printf("%d\\n", table[c]) != 2; }')
    for words, together in ((("-z,separate-code",), 1), (("-z,separate-code", "--no-rosegment"), 1), (("--no-rosegment",), 2)):
        exe = tc.exe("prog", *(f"-Wl,{word}" for word in words), obj)
        e = tc.elf(exe)
        code = [p for p in e.loads() for name in (".text", ".rodata")
                if p.vaddr <= e.section(name).addr < p.vaddr + p.memsz and "X" in p.flags]
        assert len(code) == together, words
        assert tc.out(exe) == "2\n"
