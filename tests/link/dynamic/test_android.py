"""--pack-dyn-relocs=android: what llvm-readelf unpacks is what the plain table says, and lld's is no smaller."""

import re

import pytest

from harness.toolchain import run_command

LIB = "int ext1 = 5, ext2 = 6; void f1(void) {} void f2(void) {} __thread int tl2 = 7;"
MAIN = """
extern int ext1, ext2; extern void f1(void), f2(void); extern __thread int tl2; extern char _end[];
static int arr[100]; __thread int tl; static __thread int tl3;
int *run[] = {arr, arr + 1, arr + 2, arr + 3, arr + 4, arr + 5, arr + 6, arr + 7, arr + 8, arr + 9, arr + 10};
const char *names[] = {"a", "b", "ccc", "dddd", "e", "f", "g", "h", "i", "j"};
int *same[] = {&ext1, &ext1, &ext1, &ext1, &ext2, &ext2 + 1, &ext2 + 1, &ext2 + 1};
struct { char a; int *p; long b; int *c; } mix[] = {{1, arr, 2, &ext2}, {1, arr + 3}, {1, arr + 4}, {1, &ext1 + 2, 3, 0}};
void (*fn[])(void) = {f1, f2, f1, f1};
char *end = _end;
int *use(void) { f1(); f2(); return &tl + (long)&tl2 + (long)&tl3 + ext1; }
"""
KINDS = {"android": (), "android+relr": ("--use-android-relr-tags",)}


def unpacked(path):
    """[(offset, type, symbol, addend)] of all dynamic relocations but the PLT's, as llvm-readelf lists them."""
    rows = []
    plt = False
    for line in run_command(["llvm-readelf-19", "--relocations", path]).out.splitlines():
        if "elocation section" in line:
            plt = ".plt'" in line
        m = re.match(r"([0-9a-f]{8,})\s+[0-9a-f]{8,}\s+(R_\S+)\s*(.*)", line)
        if not m or plt:
            continue
        words = m[3].replace("+ ", "").replace("- ", "-").split()
        if m[3][:1] == "+":
            words = words[1:]
        symbol = words[1] if len(words) > 1 else ""
        if not symbol and words and not re.fullmatch(r"-?[0-9a-f]+", words[0]):
            symbol = words[0]
        addend = int(words[-1], 16) if words and words[-1] != symbol else 0
        rows.append((int(m[1], 16), m[2], symbol, addend))
    return rows


def placed(e, rows):
    """The rows with sections and distances from their starts in the place of addresses. What a REL field holds is
    its addend."""
    def place(address):
        s = e.section_at(address)
        return (s.name, address - s.addr) if s else address
    word = {"EM_386": 4, "EM_ARM": 4, "EM_MIPS": 4}.get(e.machine, 8)
    for offset, type, symbol, addend in rows:
        if "RELATIVE" in type:
            addend = place(addend or e.word_at(offset, word))
        yield place(offset), type, symbol, addend


@pytest.mark.targets("amd64", "i386", "aarch64", "armhf", "armel", "ppc64le")
@pytest.mark.parametrize("kind", KINDS)
def test_packed_relocations(tc, kind):
    relr = "relr" if "relr" in kind else "none"
    lib = tc.ld("lib.so", "-shared", tc.c(LIB, "-fPIC", name="lib")).path
    obj = tc.c(MAIN, "-fPIC", "-fno-common", name="a")
    plain = tc.ld("plain.so", "-shared", f"--pack-dyn-relocs={relr}", *KINDS[kind], obj, lib).path
    packed = tc.ld("packed.so", "-shared", f"--pack-dyn-relocs={kind}", *KINDS[kind], obj, lib).path
    judge = tc.dir / "lld.so"
    run_command(["ld.lld-19", "-m", tc.target.emulation, "-shared", f"--pack-dyn-relocs={kind}", *KINDS[kind], obj, lib, "-o", judge])
    ours, theirs, e, other = unpacked(packed), unpacked(judge), tc.elf(packed), tc.elf(judge)
    assert sorted(placed(e, ours), key=str) == sorted(placed(tc.elf(plain), unpacked(plain)), key=str)
    assert sorted(type for _, type, _, _ in ours) == sorted(type for _, type, _, _ in theirs)
    rel = "RELA" if "rela" in tc.target.features else "REL"
    name = f".{rel.lower()}.dyn"
    s, t = e.section(name), other.section(name)
    assert e.raw[s.offset:s.offset + 4] == b"APS2" and s.type == t.type and s.entsize == 1
    # What is kept for the addresses of names that the linker defines may stay empty.
    assert s.size <= t.size + 64
    start, size = {"REL": (0x6000000f, 0x60000010), "RELA": (0x60000011, 0x60000012)}[rel]
    tags = {f"DT_ANDROID_{rel}": start, f"DT_ANDROID_{rel}SZ": size}
    found = {tag: value for tag, value in e.dynamic if tag in tags or tag in tags.values()}
    assert sorted(found.values()) == sorted([s.addr, s.size])
    assert not e.dyn(f"DT_{rel}") and not e.dyn(f"DT_{rel}COUNT")
    if "relr" in kind:
        r, t = e.section(".relr.dyn"), other.section(".relr.dyn")
        assert r.type == t.type != "SHT_RELR" and r.size == t.size


def test_programs_keep_their_order(tc):
    """Copies and resolvers of IFUNCs come behind what they may read."""
    lib = tc.so("libx.so", tc.c("int shared[4] = {1}; int *p = shared;", "-fPIC", name="x"))
    ifunc = "ifunc" in tc.target.features
    src = "extern int shared[4], *p; int v; int *w[] = {&v, &v + 1}; int main(void) { return shared[0] + *p + *w[0]; }"
    if ifunc:
        src += ("static int one(void) { return 1; } static void *pick(void) { return one; }"
                'int f(void) __attribute__((ifunc("pick"))); int (*fp)(void) = f;')
    exe = tc.exe("prog", "-pie", "-Wl,--pack-dyn-relocs=android", tc.c(src, "-fPIE", name="m"), lib)
    types = [type.removeprefix(tc.target.reloc_prefix) for _, type, _, _ in unpacked(exe)]
    assert types[0] == "RELATIVE" or tc.target.machine == "EM_MIPS" and types[0].startswith("REL32")
    if ifunc:
        assert types[-1] == "IRELATIVE"


def test_nothing_to_pack(tc):
    e = tc.elf(tc.ld("a.so", "-shared", "--pack-dyn-relocs=android", tc.c("int v = 1;", "-fPIC")).path)
    assert e.section(".rela.dyn") is None and e.section(".rel.dyn") is None
    assert not [tag for tag, _ in e.dynamic if tag in range(0x6000000f, 0x60000013) or "ANDROID" in str(tag)]
