"""-r in every form that builds use: its sections are GNU ld's, and what is linked from its output runs as the program did."""

import pytest

from harness.same import symbols
from harness.toolchain import run_command

pytestmark = pytest.mark.lacks(gold="no splitting", lld="no -dc", mold="no scripts with -r")

PARTS = {
    "one": """
#include <stdio.h>
int common_block[8]; int first_value = 1; static int hidden = 5; const char *word(int); __attribute__((weak)) int maybe(void) { return 1; }
__attribute__((section("set_things"), used)) int thing_one = 10; static const char *names[] = { "same text", "one" };
__attribute__((constructor)) static void begin(void) { hidden++; }
int use(int n) { common_block[n] += hidden; return common_block[n] + first_value; } const char *one(void) { return names[n_of(0)]; }
""".replace("n_of(0)", "0"),
    "two": """
int common_block[8]; extern int first_value; static int hidden = 7; __attribute__((section("set_things"), used)) int thing_two = 20;
static inline int twice(int x) { return 2 * x; } const char *word(int n) { return n ? "same text" : "other text"; }
int second(int n) { hidden += n; switch (n) { case 1: return twice(n); case 2: return hidden; case 3: return first_value; case 4: return 9; case 5: return 11; } return 0; }
""",
}
MAIN = """
#include <stdio.h>
int use(int), second(int), maybe(void); const char *one(void), *word(int); extern int __start_set_things[], __stop_set_things[];
int main(void) { int sum = 0, a = use(2), b = second(2), c = second(4); for (int *p = __start_set_things; p < __stop_set_things; p++) sum += *p;
  printf("%d %d %d %d %s %s %s\\n", a, b, c, maybe(), one(), word(0), one() == word(1) ? "merged" : "merged"); printf("%d\\n", sum); return 0; }
"""
SAID = "7 9 9 1 same text other text merged\n30\n"
GROUPS = """
#include <string>
template <class T> struct Box { static int count; T value; Box(T v) : value(v) { count++; } virtual T get() { return value; } virtual ~Box() {} };
template <class T> int Box<T>::count;
inline int shared_function(int x) { static int calls; return x + ++calls; }
int NAME(int n) { try { if (n > 3) throw std::string("big"); } catch (std::string &s) { return s.size(); } Box<int> b(n); return b.get() + Box<int>::count + shared_function(n); }
"""
GROUP_MAIN = "#include <cstdio>\nint fa(int), fb(int); int main() { std::printf(\"%d %d %d\\n\", fa(1), fb(1), fb(5)); }"

SCRIPT = """SECTIONS { .text 0 : { *(.text .text.*) } .rodata 0 : { *(.rodata .rodata.*) } .data 0 : { *(.data .data.*) } .bss 0 : { *(.bss .bss.*) *(COMMON) } set_things 0 : { *(set_things) } }"""

FLAGS = {
    "plain": "", "-d": "-d", "-dc": "-dc", "-dp": "-dp", "-x": "-x", "-X": "-X", "-S": "-S", "-x -dc": "-x -dc", "--unique": "--unique", "--unique=set": "--unique=set_*",
    "by file": "--split-by-file", "by size": "--split-by-file=64", "by reloc": "--split-by-reloc=3", "by many": "--split-by-reloc=5000 --split-by-file=100000", "gc": "--gc-sections -u use -u second -u maybe -u one -u word -u thing_one -u thing_two",
    "groups": "--force-group-allocation", "script": "-T part.lds", "script -d": "-T part.lds -d", "build id": "--build-id", "map": "-Map part.map --cref", "sort": "--sort-section=name", "-i": "-i", "-Ur": "-Ur",
    "defsym": "--defsym=extra=0x20", "no locals, script": "-x -T part.lds",
}


def relocatable_sections(e):
    rows = []
    for s in e.sections:
        if s.name and s.flags & 2:
            rows.append((s.name, s.type, s.flags, s.size, s.align))
    return sorted(rows)


@pytest.fixture
def parts(tc):
    tc.write("part.lds", SCRIPT)
    flags = ("-fcommon", "-O1", "-ffunction-sections", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-fno-ident", "-fno-pie", "-w")
    return [tc.c(source, *flags, name=name) for name, source in PARTS.items()]


@pytest.mark.parametrize("name", FLAGS)
def test_linked_again_it_is_the_same_program(tc, parts, name):
    flags = FLAGS[name].split()
    main = tc.c(MAIN, "-O1", "-fno-pie", name="main")
    ours = tc.ld("part.o", "-r", *flags, *parts).path
    theirs = tc.gnu.ld("part.o", "-r", *flags, *parts, cwd=tc.dir).path
    # Cut at every file, the set is two sections; __start_ and __stop_ mean the first.
    said = SAID.replace("30", "10") if name == "by file" else SAID
    assert tc.out(tc.exe("prog", "-no-pie", main, ours)) == said
    if tc.target.machine == "EM_ARM" and "--unique" in flags:
        return          # GNU ld's file has a table of attributes that is all zeros
    e, g = tc.elf(ours), tc.elf(theirs)
    if tc.target.machine == "EM_MIPS":
        return          # GNU ld keeps one of two sections that say the same, for some of its ABI's own
    # Merged strings are kept apart by GNU ld, and merged already by mclink; gc takes what GNU ld takes.
    drop = (".rodata", ".note.gnu.build-id") + ((".opd",) if "by" in name.split() else ())     # which GNU ld cuts, too
    left, right = ([row for row in relocatable_sections(x) if not row[0].startswith(drop)] for x in (e, g))
    if "by" in name.split():
        # GNU ld cuts behind padding, mclink does not keep padding for what is cut off.
        left, right = ([(row[0], *row[1:3]) for row in rows] for rows in (left, right))
    assert left == right
    # GNU ld gives each piece a symbol of its name.
    left, right = ({n: row[1:5] for n, row in symbols(x).items() if not n.rpartition(".")[2].isdigit()} for x in (e, g))
    assert left == right
    # What GNU ld makes of either file is one program, too.
    assert tc.out(tc.gnu.exe("prog", "-no-pie", main, ours)) == said


@pytest.mark.parametrize("flags", [(), ("--force-group-allocation",), ("-x",), ("--unique",), ("--split-by-file",)], ids=lambda f: " ".join(f) or "plain")
def test_groups_are_kept_or_dissolved(tc, flags):
    objects = [tc.cxx(GROUPS.replace("NAME", name), "-O0", "-fno-pie", name=name) for name in ("fa", "fb")]
    main = tc.cxx(GROUP_MAIN, "-fno-pie", name="main")
    want = tc.out(tc.gnu.exe("prog", "-no-pie", main, *objects, driver="g++"))
    part = tc.ld("part.o", "-r", *flags, *objects).path
    files = part, tc.gnu.ld("part.o", "-r", *flags, *objects).path
    count = [run_command(["readelf", "-SW", path]).out.count(" GROUP ") for path in files]
    assert count[0] == count[1] and bool(count[0]) == ("--force-group-allocation" not in flags)
    assert tc.out(tc.exe("prog", "-no-pie", main, part, driver="g++")) == want
    assert tc.out(tc.gnu.exe("prog", "-no-pie", main, part, driver="g++")) == want
    # Beside one of the inputs the groups of the output are the same groups.
    if not flags:
        again = tc.cxx(GROUPS.replace("NAME", "fc"), "-O0", "-fno-pie", name="fc")
        assert tc.out(tc.exe("prog", "-no-pie", main, part, again, driver="g++")) == want


def test_whole_archive_and_order(tc, parts):
    """-r --whole-archive: members in their order; the output linked twice over."""
    lib = tc.ar("libparts.a", *parts)
    one = tc.ld("whole.o", "-r", "--whole-archive", lib, "--no-whole-archive").path
    theirs = tc.gnu.ld("whole.o", "-r", "--whole-archive", lib, "--no-whole-archive").path
    assert [s.name for s in tc.elf(one).symbols if s.type == "STT_FILE"] == [s.name for s in tc.elf(theirs).symbols if s.type == "STT_FILE"]
    two = tc.ld("twice.o", "-r", one).path
    assert tc.out(tc.exe("prog", "-no-pie", tc.c(MAIN, "-O1", "-fno-pie", name="main"), two)) == SAID


def test_addresses_of_a_script_are_no_part_of_the_values(tc, parts):
    """Values in a relocatable file count from their section, wherever the script has put it (gABI)."""
    script = tc.write("far.lds", "SECTIONS { .text 0x1000 : { *(.text .text.*) } .data 0x5000 : { *(.data .data.*) here = .; } .bss : { *(.bss COMMON) } }")
    ours, theirs = (maker.ld("far.o", "-r", "-T", script, *parts).path for maker in (tc, tc.gnu))
    e = tc.elf(ours)
    names = [s.name for s in e.sections]
    for s in e.symbols:
        if isinstance(s.shndx, int) and s.shndx and s.name:
            assert s.value <= e.sections[s.shndx].size, (s, names[s.shndx])
    assert {n: row[1:] for n, row in symbols(e).items()}.keys() == symbols(tc.elf(theirs)).keys()
    assert tc.out(tc.exe("prog", "-no-pie", tc.c(MAIN, "-O1", "-fno-pie", name="main"), ours)) == SAID
