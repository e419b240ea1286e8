"""Map, cross reference table and the other reports, held against GNU ld's from the same objects."""

import re

import pytest

pytestmark = pytest.mark.targets("amd64")

OTHERS = pytest.mark.lacks(gold="a layout of its own", lld="a layout of its own", mold="a layout of its own")

MAIN = """
int helper(void); int common_array[10]; int data = 3; static int bss; const char *text = "hello";
int unused(void) { return 5; }
int _start(void) { bss = 1; return helper() + data + common_array[1]; }
__attribute__((section("a_section_with_a_long_name"))) int placed = 1;
"""
SCRIPT = """MEMORY { ROM (rx) : ORIGIN = 0x1000, LENGTH = 64K
 RAM (rw!x) : ORIGIN = 0x20000000, LENGTH = 3M }
ENTRY(_start)
number = 5;
SECTIONS {
  .text : { BYTE(1) SHORT(2) start_of = .; KEEP(*(.text._start)) *(.text*) . = ALIGN(64); FILL(0x90909090) . += 16; } > ROM =0xff
  .rodata : { *(.rodata*) } > ROM
  after = . + 4;
  .data : { *(.data* a_section*) QUAD(number + 1) } > RAM AT> ROM
  .bss (NOLOAD) : { *(.bss*) *(COMMON) } > RAM
  /DISCARD/ : { *(.comment) *(.note*) *(.eh_frame) }
  PROVIDE(not_wanted = .);
}
"""


def objects(tc):
    main = tc.c(MAIN, "-fcommon", "-ffunction-sections", "-fno-pie", name="main")
    lib = tc.ar("libhelper.a", tc.c("int helper(void) { return 1; }", "-fno-pie", name="member"))
    return main, lib


def both_maps(tc, *args):
    """The maps of the linker under test and of GNU ld."""
    tc.ld("out", *args, "-Map=our.map")
    tc.gnu.ld("out", *args, f"-Map={tc.dir}/gnu.map")
    return (tc.dir / "our.map").read_text(), (tc.dir / "gnu.map").read_text()


def rows(text):
    """Lines of a map as (words); long names are joined with the line behind them. Lines that GNU ld writes for
    its own empty sections are left out."""
    text = re.sub(r"\n( ?\.?\w[\w.]*)\n +(0x)", r"\n\1 \2", text)
    found = []
    for line in text.splitlines():
        words = line.split()
        if not words or words[0] in ("OUTPUT(", "/DISCARD/") or line.startswith("OUTPUT("):
            continue
        if re.match(r" ?\.(iplt|got|got.plt|igot.plt|rela\S*|plt|iplt) +0x", line) and words[2] == "0x0":
            continue
        found.append(" ".join(words))
    return found


@OTHERS
def test_map_with_a_script(tc):
    """Line for line, but for the sections that GNU ld makes and leaves empty."""
    script = tc.write("mem.ld", SCRIPT.encode())
    ours, theirs = both_maps(tc, *objects(tc), "-T", script)
    drop = (".relro_padding", "*(.comment)", "*(.note*)", "*(.eh_frame)")
    ours, theirs = ([row for row in rows(text) if row not in drop] for text in (ours, theirs))
    assert ours == theirs


@OTHERS
def test_map_columns(tc):
    """Headings, columns and the order of the parts are GNU ld's."""
    ours, theirs = both_maps(tc, *objects(tc), "--gc-sections")
    heads = ["Archive member included to satisfy reference by file (symbol)", "Allocating common symbols",
             "Common symbol       size              file", "Discarded input sections", "Memory Configuration",
             "Name             Origin             Length             Attributes", "Linker script and memory map"]
    for text in (ours, theirs):
        at = [text.index(head) for head in heads]
        assert at == sorted(at)
    main, lib = (str(path) for path in objects(tc))
    for line in (" .text._start   0x", f"LOAD {main}\n", f"LOAD {lib}\n", f"common_array        0x28              {main}\n"):
        assert line in ours and line in theirs
    pattern = r"^ \.text\._start   0x[0-9a-f]{16} +0x[0-9a-f]+ \S+\n {16}0x[0-9a-f]{16} {16}_start$"
    assert re.search(pattern, ours, re.M) and re.search(pattern, theirs, re.M)
    assert re.search(r"^ \.text\.unused   0x0000000000000000 +0x[0-9a-f]+ ", ours, re.M) or \
        re.search(r"^ \.text\.unused\n +0x0000000000000000 +0x[0-9a-f]+ ", ours, re.M)


@OTHERS
def test_map_tells_the_truth(tc):
    """Addresses of symbols in the map are those of the symbol table."""
    done = tc.ld("out", *objects(tc), "-Map=our.map")
    text = (tc.dir / "our.map").read_text()
    elf = tc.elf(done.path)
    for name in ("_start", "helper", "data", "text", "common_array", "placed", "unused"):
        row = re.search(rf"^ {{16}}0x([0-9a-f]+) {{16}}{name}$", text, re.M)
        assert row and int(row[1], 16) == elf.symbol(name).value, name


@OTHERS
def test_map_on_standard_output(tc):
    main, lib = objects(tc)
    for args in (("-M",), ("-Map=-",)):
        assert "Linker script and memory map" in tc.ld("out", main, lib, *args).out


@OTHERS
def test_map_without_the_discarded(tc):
    main, lib = objects(tc)
    tc.ld("out", main, lib, "--no-print-map-discarded", "-Map=our.map", "--gc-sections")
    text = (tc.dir / "our.map").read_text()
    assert "Discarded input sections" not in text and ".text.unused" not in text


@OTHERS
def test_cref(tc):
    main, lib = objects(tc)

    def table(text):
        text = text[text.index("Cross Reference Table"):]
        return [line for line in text.splitlines()[1:] if "_GLOBAL_OFFSET_TABLE_" not in line]

    ours = tc.ld("out", main, lib, "--cref").out
    theirs = tc.gnu.ld("out2", main, lib, "--cref").out
    assert table(ours) == table(theirs)
    tc.ld("out", main, lib, "-Map=our.map", "-cref")
    assert table((tc.dir / "our.map").read_text()) == table(ours)


@OTHERS
def test_demangled_map(tc):
    obj = tc.cxx("namespace ns { int f(int) { return 1; } } extern \"C\" int _start() { return ns::f(1); }", name="x")
    assert "ns::f(int)" in tc.ld("out", obj, "-M").out
    assert "_ZN2ns1fEi" in tc.ld("out", obj, "-M", "--no-demangle").out


@pytest.mark.lacks(mold="no such option", lld="escapes otherwise", gold="likewise")
def test_dependency_file(tc):
    main, lib = objects(tc)
    tc.ld("out", main, lib, "--dependency-file=deps")
    text = (tc.dir / "deps").read_text()
    assert text == f"{tc.dir}/out: \\\n  {main} \\\n  {lib}\n\n{main}:\n\n{lib}:\n"


@pytest.mark.lacks(gold="no such option", mold="no such option", lld="other columns")
def test_memory_usage(tc):
    script = tc.write("mem.ld", SCRIPT.encode())
    args = (*objects(tc), "-T", script, "--print-memory-usage")
    ours, theirs = tc.ld("out", *args).out, tc.gnu.ld("out2", *args).out
    assert ours == theirs and "ROM" in ours


@pytest.mark.lacks(gold="other words", mold="other words", lld="on standard output")
def test_trace_symbol(tc):
    main, lib = objects(tc)
    done = tc.ld("out", main, lib, "-y", "helper", "--trace-symbol=common_array")
    said = [line.partition(": ")[2] for line in done.err.splitlines()]
    assert f"{main}: reference to helper" in said and f"{lib}(member.o): definition of helper" in said
    assert any(line.startswith(f"{main}: ") and line.endswith("definition of common_array") for line in said)


def test_trace(tc):
    main, lib = objects(tc)
    out = tc.ld("out", main, lib, "-t").out.splitlines()
    assert out[0] == str(main) and any(str(lib) in line for line in out[1:])


@pytest.mark.lacks(bfd="another linker's option", gold="likewise", mold="likewise")
def test_why_extract(tc):
    main, lib = objects(tc)
    tc.ld("out", main, lib, "--why-extract=why")
    assert (tc.dir / "why").read_text() == f"reference\textracted\tsymbol\n{main}\t{lib}(member.o)\thelper\n"


def test_warn_common(tc):
    first = tc.c("int shared_name[4]; int _start(void) { return 0; }", "-fcommon", name="first")
    second = tc.c("int shared_name[8];", "-fcommon", name="second")
    third = tc.c("int shared_name[8] = {1};", name="third")
    said = tc.ld("out", first, second, third, "--warn-common").err
    if tc.linker.flavour in ("mclink", "bfd"):
        assert "overriding smaller common" in said and "overriding common" in said
        assert "shared_name" in said
    assert "shared_name" not in tc.ld("out", first, second, third).err


@pytest.mark.lacks(lld="no script to print", mold="likewise", gold="likewise")
def test_verbose_prints_the_script(tc):
    text = tc.call_linker("--verbose").out
    head, line, rest = text.partition("=" * 50 + "\n")
    assert "using internal linker script:" in head and "Supported emulations" in head
    script, line, _ = rest.partition("=" * 50)
    assert line and "SECTIONS" in script and "OUTPUT_FORMAT" in script
    tc.write("default.ld", script.encode())
    tc.ld("out", *objects(tc), "-T", "default.ld")


@pytest.mark.lacks(bfd="another form", gold="no such option", mold="no such option", lld="a form of its own")
def test_stats_and_time_trace(tc):
    import json
    main, lib = objects(tc)
    done = tc.ld("out", main, lib, "--stats", "--time-trace=trace", "--threads=2")
    assert "resolve symbols" in done.err and "objects linked" in done.err
    events = json.loads((tc.dir / "trace").read_text())["traceEvents"]
    assert any(event.get("name") == "resolve symbols" and event["dur"] > 0 for event in events)
    assert {event["tid"] for event in events} >= {0, 1, 2}      # the passes, and what each thread did in them


def test_a_map_that_cannot_be_written(tc):
    main, lib = objects(tc)
    done = tc.ld("out", main, lib, "-Map=no/such/folder/map", check=False)
    assert done.rc == 1 and "no/such/folder/map" in done.err
