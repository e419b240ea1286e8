"""-r and --emit-relocs: outputs that carry relocations must mean the same when they are linked again."""

import pytest

from harness.judges import assert_failed
from harness.toolchain import EXE_MODES, run_command

A = """
#include <stdio.h>
extern int shared_var; int other(int); static int mine = 5; __thread int t = 6; int common_one;
static const char *names[] = {"alpha", "beta", "gamma"};
__attribute__((constructor)) static void c(void) { mine++; }
int main(void) { printf("%d %d %d %s %s %d\\n", other(1), shared_var, mine + t, names[2], "gamma", common_one); }
"""
B = 'int shared_var = 9; static int local(int x) { return x + 10; } int other(int x) { return local(x); } const char *b = "gamma";'
SAID = "11 9 12 gamma gamma 0\n"


def objects(tc, *flags):
    return tc.c(A, "-O1", *flags, name="a"), tc.c(B, "-O1", *flags, name="b")


@pytest.mark.parametrize("mode", EXE_MODES)
@pytest.mark.parametrize("flags", [(), ("-g",), ("-ffunction-sections", "-fdata-sections"), ("-fcommon",)])
def test_r_then_link(tc, mode, flags):
    cflags, ldflags = EXE_MODES[mode]
    rel = tc.ld("r.o", "-r", *objects(tc, *cflags, *flags)).path
    e = tc.elf(rel)
    assert e.type == "ET_REL" and not e.segments and e.entry == 0
    assert tc.out(tc.exe("prog", *ldflags, rel)) == SAID


def test_r_of_r(tc):
    a, b = objects(tc)
    one = tc.ld("one.o", "-r", a).path
    two = tc.ld("two.o", "-r", one, b).path
    three = tc.ld("three.o", "-r", two).path
    assert tc.out(tc.exe("prog", three)) == SAID


@pytest.mark.parametrize("driver", ["gcc", "clang"])
def test_r_through_the_driver(tc, driver):
    rel = tc.link("r.o", "-r", "-nostdlib", *objects(tc), driver=driver).path
    assert tc.out(tc.exe("prog", rel)) == SAID


def test_r_of_cxx_keeps_groups(tc):
    src = "#include <vector>\n#include <stdexcept>\nint f{0}(int n) {{ std::vector<int> v(n); if (n > 5) throw std::runtime_error(\"x\"); return v.size(); }}"
    a, b = tc.cxx(src.format("a"), name="a"), tc.cxx(src.format("b"), name="b")
    m = tc.cxx('#include <cstdio>\nint fa(int), fb(int); int main() { try { fa(2); fb(9); } catch (...) { std::puts("caught"); } }', name="m")
    rel = tc.ld("r.o", "-r", a, b).path
    e = tc.elf(rel)
    groups = [s for s in e.sections if s.type == "SHT_GROUP"]
    assert groups and all(s.size >= 8 for s in groups)
    order = "little" if tc.target.little else "big"
    for g in groups:
        ids = [int.from_bytes(e.raw[g.offset + i:g.offset + i + 4], order) for i in range(4, g.size, 4)]
        assert all(0 < i < len(e.sections) and e.sections[i].flags & 0x200 for i in ids), "members carry SHF_GROUP"
    assert tc.out(tc.exe("prog", m, rel, driver="g++")) == "caught\n"
    assert tc.out(tc.exe("prog2", m, rel, "-Wl,--gc-sections", driver="g++")) == "caught\n"


def test_r_merges_duplicate_groups(tc):
    src = "template <class T> __attribute__((noinline)) T id(T t) {{ return t; }} int f{0}() {{ return id<int>({0}); }}"
    a, b = tc.cxx(src.format("1"), name="a"), tc.cxx(src.format("2"), name="b")
    rel = tc.elf(tc.ld("r.o", "-r", a, b).path)
    assert sum(s.name == "_Z2idIiET_S0_" and s.defined for s in rel.symbols) == 1


def test_r_keeps_undefined_and_commons(tc):
    rel = tc.elf(tc.ld("r.o", "-r", tc.c("int nowhere(void); int comm; int f(void) { return nowhere() + comm; }", "-fcommon")).path)
    assert not rel.symbol("nowhere").defined and rel.symbol("comm").shndx == "SHN_COMMON"
    for flag in ("-d", "-dc", "-dp"):
        if flag != "-d" and tc.linker.flavour == "lld":
            continue
        e = tc.elf(tc.ld("r2.o", "-r", flag, tc.c("int comm; int f(void) { return comm; }", "-fcommon")).path)
        assert e.sections[e.symbol("comm").shndx].name == ".bss"


def test_r_section_names_are_kept_apart(tc):
    """Unlike a final link -r does not fold .text.f into .text (GNU ld default -r script)."""
    obj = tc.c("int f(void) { return 1; } int g(void) { return 2; } int d = 1;", "-ffunction-sections", "-fdata-sections")
    e = tc.elf(tc.ld("r.o", "-r", obj).path)
    assert {".text.f", ".text.g", ".data.d"} <= {s.name for s in e.sections}


def test_r_merges_equal_names(tc):
    src = "__attribute__((section(\"sec\"))) int v{0} = {0};"
    e = tc.elf(tc.ld("r.o", "-r", *[tc.c(src.format(i), name=f"o{i}") for i in (1, 2, 3)]).path)
    assert e.section("sec").size == 12 and [e.symbol(f"v{i}").value for i in (1, 2, 3)] == [0, 4, 8]


def test_r_unique(tc):
    objs = [tc.c(f"__attribute__((section(\"sec\"))) int v{i} = {i};", name=f"o{i}") for i in (1, 2)]
    e = tc.elf(tc.ld("r.o", "-r", "--unique", *objs).path)
    assert sum(s.name == "sec" for s in e.sections) == 2


def test_r_sections_with_several_members(tc):
    """Sections of one name, neither in a group nor in the script: aligned one behind the other, relocations follow."""
    obj = [tc.asm(f"""
        .section .text.same,"ax",%progbits
        .global f{i}
        f{i}: .byte {i}
        .section .data.same,"aw",%progbits
        .balign {1 << i}
        .global d{i}
        d{i}: .long f{i}
        .section .bss.same,"aw",%nobits
        .balign 8
        .zero {i + 1}
    """, name=f"o{i}") for i in range(1, 4)]
    path = tc.ld("r.o", "-r", *obj).path
    e = tc.elf(path)
    if tc.target.machine == "EM_MIPS":
        # Its assembler pads sections.
        gnu = tc.elf(tc.gnu.ld("r.o", "-r", *obj).path)
        for name in (".text.same", ".data.same", ".bss.same"):
            assert e.section(name).size == gnu.section(name).size
        return
    assert e.section(".data.same").size == 12 and e.section(".data.same").align == 8
    assert [e.symbol(f"d{i}").value for i in (1, 2, 3)] == [0, 4, 8]
    assert e.section(".text.same").size == 3 and [e.symbol(f"f{i}").value for i in (1, 2, 3)] == [0, 1, 2]
    assert e.section(".bss.same").type == "SHT_NOBITS" and e.section(".bss.same").size == 20
    rows = e.relocs((".rela" if e.section(".rela.data.same") else ".rel") + ".data.same")
    assert [(r.offset, r.symbol) for r in rows] == [(0, "f1"), (4, "f2"), (8, "f3")]
    threaded = tc.ld("r2.o", "-r", "--threads=1", *obj).path if tc.linker.flavour == "mclink" else path
    assert open(threaded, "rb").read() == open(path, "rb").read()


def test_r_more_sections_than_16_bits_count(tc):
    """Header indices from SHN_LORESERVE on stand in .symtab_shndx and in section header 0 (gABI)."""
    n = 33000
    lines = "".join(f'.section .text.f{i},"ax",%progbits\n.global f{i}\nf{i}: .long f{n - 1 - i}\n' for i in range(n))
    path = tc.ld("r.o", "-r", tc.asm(lines)).path
    e = tc.elf(path)
    assert len(e.sections) > 2 * n
    # readelf resolves SHN_XINDEX.
    shndx = {words[-1]: words[6] for words in map(str.split, run_command(["readelf", "-sW", path]).out.splitlines()) if len(words) == 8}
    for name in ("f0", f"f{n - 1}"):
        assert e.sections[int(shndx[name])].name == ".text." + name
    rows = e.relocs((".rela" if e.section(f".rela.text.f{n - 1}") else ".rel") + f".text.f{n - 1}")
    assert [r.symbol for r in rows] == ["f0"]


def test_r_map_names_every_section(tc):
    text = tc.ld("r.o", "-r", "-M", tc.c("int f(void) { return 1; } int d = 1;", "-ffunction-sections", "-fdata-sections")).out
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith(".data.d "))
    assert lines[at + 1].startswith(" .data.d ") and ["d"] in [line.split()[1:] for line in lines[at + 2:at + 5]]


def test_r_strip(tc):
    a, b = objects(tc, "-g")
    rel = tc.ld("r.o", "-r", "-S", a, b).path
    assert not [s for s in tc.elf(rel).sections if ".debug" in s.name]
    assert tc.out(tc.exe("prog", rel)) == SAID
    rel = tc.ld("r2.o", "-r", "-x", a, b).path
    assert tc.elf(rel).symbol("local") is None and tc.out(tc.exe("prog2", rel)) == SAID


def test_r_ignores_what_has_no_meaning(tc):
    """gcc and clang pass these with -r."""
    done = tc.ld("r.o", "-r", "-z", "now", "-z", "relro", "--hash-style=gnu", "--eh-frame-hdr", "--as-needed", "-dynamic-linker", "/x", "--build-id", *objects(tc))
    assert tc.out(tc.exe("prog", done.path)) == SAID


def test_r_with_shared_library_is_an_error(tc):
    lib = tc.so("libs.so", tc.c("int f(void) { return 1; }", "-fPIC", name="s"))
    done = tc.ld("r.o", "-r", *objects(tc), lib, check=False)
    assert done.rc == 1 and "libs.so" in done.err


def test_r_debug_info_survives(tc):
    rel = tc.ld("r.o", "-r", *objects(tc, "-g")).path
    exe = tc.exe("prog", rel)
    said = run_command(["readelf", "--debug-dump=decodedline", exe]).out
    assert "a.c" in said and "b.c" in said
    if tc.target.name != "x32":     # llvm-dwarfdump does not apply R_X86_64_32 there
        assert run_command(["llvm-dwarfdump-19", "--verify", rel], check=False).rc == 0


def test_r_with_script(tc):
    """The shape of kernel modules: merge by pattern, drop, no addresses."""
    script = tc.write("mod.lds", "SECTIONS { .text 0 : { *(.text .text.*) } .data 0 : { *(.data .data.* .bss) *(COMMON) } /DISCARD/ : { *(.comment .discard) } }")
    obj = tc.c("int f(void) { return 1; } int d = 1; int z; __attribute__((section(\".discard\"))) int gone;", "-ffunction-sections", "-fdata-sections")
    e = tc.elf(tc.ld("r.o", "-r", "-T", script, obj).path)
    assert e.section(".text.f") is None and e.section(".text").size and e.section(".discard") is None and e.section(".comment") is None
    assert e.section(".text").addr == 0 and e.section(".data").addr == 0


# -- --emit-relocs

def check_against_applied(e, name):
    """Every relocation kept for section ``name`` whose formula is S + A or S + A - P agrees with the bytes; returns how many."""
    rows = e.relocs(".rela" + name)
    sec = e.section(name)
    assert rows
    checked = 0
    ifuncs = {s.name for s in e.symbols if s.type == "STT_LOOS"}  # the bytes hold the PLT entry's address
    for r in rows:
        assert sec.addr <= r.offset < sec.addr + sec.size, "r_offset is an address in an executable (gABI)"
        if r.value == 0 or r.symbol in ifuncs:
            continue
        if r.type == "R_X86_64_PC32":
            want, got = r.value + r.addend - r.offset & 0xffffffff, e.word_at(r.offset, 4)
        elif r.type == "R_X86_64_64" and e.type == "ET_EXEC":
            want, got = r.value + r.addend & (1 << 64) - 1, e.word_at(r.offset, 8)
        else:
            continue
        assert want == got, r
        checked += 1
    return checked


@pytest.mark.targets("amd64")
@pytest.mark.parametrize("mode", EXE_MODES)
def test_emit_relocs(tc, mode):
    cflags, ldflags = EXE_MODES[mode]
    exe = tc.exe("prog", *ldflags, "-Wl,--emit-relocs", *objects(tc, *cflags))
    assert tc.out(exe) == SAID
    e = tc.elf(exe)
    s = e.section(".rela.text")
    assert s and s.info == e.section(".text").index and s.link == e.section(".symtab").index and not s.flags & 2
    assert check_against_applied(e, ".text") >= 3


def test_emit_relocs_shared(tc):
    e = tc.elf(tc.so("liba.so", "-Wl,-q", tc.c(B, "-fPIC")))
    assert e.section(".rela.text") or e.section(".rel.text")
    assert any(s.type == "STT_SECTION" for s in e.symbols)


def test_emit_relocs_with_gc_and_strip_debug(tc):
    exe = tc.exe("prog", "-Wl,-q,--gc-sections,-S", *objects(tc, "-g", "-ffunction-sections"))
    assert tc.out(exe) == SAID
    e = tc.elf(exe)
    assert not [s.name for s in e.sections if "debug" in s.name]
    order = {s.name for s in e.sections}
    assert ".rela.text" in order or ".rel.text" in order


def test_static_executable_has_no_relocations(tc):
    e = tc.elf(tc.exe("prog", "-static", "-no-pie", *objects(tc, "-fno-pie")))
    assert {r.type for r in e.dynrelocs()} <= {tc.reloc("IRELATIVE")}
    assert not [s for s in e.sections if s.type in ("SHT_RELA", "SHT_REL") and not s.flags & 2]


def test_undefined_is_reported_in_a_final_link_of_r(tc):
    rel = tc.ld("r.o", "-r", tc.c("int nowhere(void); int main(void) { return nowhere(); }")).path
    assert_failed(tc.link("prog", rel, check=False), "nowhere")


@pytest.mark.parametrize("flag", ["-r", "--emit-relocs"])
def test_formats_without_relocations_are_refused(tc, flag):
    done = tc.ld("r.bin", flag, "--oformat", "binary", "-e", "0", tc.c("int f(void) { return 1; }"), check=False)
    assert done.rc == 1 and "binary" in done.err and "Traceback" not in done.err
