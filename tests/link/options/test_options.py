"""The command line as real drivers and build systems write it (one dash or two, joined or not, positional state)."""

import os
import re

import pytest

from harness.judges import assert_failed
from harness.toolchain import clean_env, run_command

START = "int _start(void) { return 0; } int other(void) { return 1; } int data = 1;"


def start(tc, *flags):
    return tc.c(START, "-fno-pie", "-fno-asynchronous-unwind-tables", *flags, name="start")


# -- who are you

def test_version_first_line(tc):
    """libtool wants "GNU" or "with BFD", autoconf and gcc's configure "GNU ld" and a number, the kernel's ld-version.sh "GNU ld" first."""
    for flag in ("--version", "-version", "-v"):
        done = tc.call_linker(flag)
        if tc.linker.flavour in ("mclink", "bfd"):
            assert done.out.splitlines()[0].startswith("GNU ld"), done.out
    if tc.linker.flavour in ("mclink", "bfd"):
        first = tc.call_linker("--version").out.splitlines()[0]
        assert re.search(r"\b2\.\d\d", first.split()[-1]), "the last word is the version (ld-version.sh)"


def test_version_with_inputs_goes_on(tc):
    """-v and -V print and go on; gcc -v passes -v to collect2 and ld."""
    done = tc.ld("out", "-v", start(tc))
    assert done.path.exists() and done.out
    if tc.linker.flavour in ("mclink", "bfd"):
        done = tc.ld("out2", "-V", start(tc))
        assert done.path.exists() and tc.target.emulation in done.out


def test_help(tc):
    done = tc.call_linker("--help")
    for word in ("-shared", "--gc-sections", "--version-script", "-z "):
        assert word in done.out
    if tc.linker.flavour in ("mclink", "bfd"):
        assert "supported targets" in done.out and "supported emulations" in done.out, "libtool and configure look for these lines"
        assert "elf64-x86-64" in done.out and tc.target.emulation in done.out


@pytest.mark.lacks(lld="no default script", mold="likewise", gold="likewise")
def test_verbose_prints_the_default_script(tc):
    """glibc's build edits what stands between the two lines of ====."""
    text = tc.call_linker("-m", tc.target.emulation, "--verbose").out
    script = text.split("=" * 50)[1]
    assert "SECTIONS" in script and "*(.text.unlikely" in script and "PROVIDE" in script
    tc.write("default.ld", script)
    done = tc.link("prog", "-no-pie", tc.c("#include <stdio.h>\nint main(void) { puts(\"by script\"); }", "-fno-pie", name="m"), "-Wl,-T,default.ld")
    assert tc.out(done.path) == "by script\n"


@pytest.mark.lacks(bfd="mclink's own", lld="mclink's own", mold="mclink's own", gold="mclink's own")
def test_explain_options(tc):
    done = tc.call_linker("--explain-options", "--gc-sections", "-O1", "--no-keep-memory", start(tc), "-o", "out")
    said = done.out + done.err
    assert "--gc-sections" in said and "--no-keep-memory" in said and "without effect" in said


# -- unknown words

def test_unknown_option(tc):
    done = tc.ld("out", "--no-such-option-at-all", start(tc), check=False)
    assert_failed(done, "no-such-option-at-all")


@pytest.mark.lacks(bfd="no suggestion", gold="no suggestion", mold="no suggestion")
def test_unknown_option_nearest(tc):
    done = tc.ld("out", "--gc-sectoins", start(tc), check=False)
    assert_failed(done, "--gc-sections")


def test_unknown_z_keyword_is_a_warning(tc):
    done = tc.ld("out", "-z", "no-such-keyword", start(tc))
    assert "warning" in done.err and "no-such-keyword" in done.err


# -- spellings

@pytest.mark.parametrize("words", [
    ["-e", "other"], ["-eother"], ["--entry=other"], ["--entry", "other"], ["-entry=other"], ["-entry", "other"]], ids=" ".join)
def test_entry_spellings(tc, words):
    e = tc.elf(tc.ld("out", *words, start(tc)).path)
    assert e.entry == e.addr("other")


@pytest.mark.parametrize("words", [["-soname", "x.so"], ["-soname=x.so"], ["--soname=x.so"], ["-h", "x.so"], ["-hx.so"]], ids=" ".join)
def test_soname_spellings(tc, words):
    assert tc.elf(tc.ld("out", "-shared", *words, tc.c("int f;", "-fPIC")).path).dyn("SONAME") == "x.so"


@pytest.mark.parametrize("words", [["-dynamic-linker", "/x"], ["-dynamic-linker=/x"], ["--dynamic-linker=/x"], ["--dynamic-linker", "/x"], ["-I", "/x"], ["-I/x"]], ids=" ".join)
def test_dynamic_linker_spellings(tc, words):
    if words == ["-I/x"] and tc.linker.flavour == "lld":
        return
    assert tc.elf(tc.ld("out", "-pie", *words, tc.c(START, "-fPIE")).path).interp == "/x"


@pytest.mark.parametrize("words,flag", [(["-z", "now"], True), (["-znow"], True), (["-z", "lazy"], False), (["-z", "now", "-z", "lazy"], False)])
def test_z_spellings(tc, words, flag):
    assert ("DF_1_NOW" in tc.elf(tc.ld("out", "-shared", *words, tc.c("int f;", "-fPIC")).path).dyn_flags()) == flag


@pytest.mark.parametrize("word", ["-shared", "-Bshareable", "--shared"])
def test_shared_spellings(tc, word):
    assert tc.elf(tc.ld("out", word, tc.c("int f;", "-fPIC")).path).type == "ET_DYN"


@pytest.mark.parametrize("words", [["-rpath", "/r"], ["-rpath=/r"], ["--rpath=/r"], ["-R", "/r"], ["-R/r"]], ids=" ".join)
def test_rpath_spellings(tc, words):
    assert tc.elf(tc.ld("out", "-shared", "--enable-new-dtags", *words, tc.c("int f;", "-fPIC")).path).dyn("RUNPATH") == "/r"


@pytest.mark.parametrize("words", [["-Map", "m"], ["-Map=m"], ["--Map=m"], ["--Map", "m"]], ids=" ".join)
def test_map_spellings(tc, words):
    tc.ld("out", *words, start(tc))
    assert "start.o" in (tc.dir / "m").read_text()


@pytest.mark.parametrize("words", [["-Ttext", "5000"], ["-Ttext=5000"], ["-Ttext=0x5000"], ["--section-start=.text=5000"], ["--section-start", ".text=0x5000"]], ids=" ".join)
def test_addresses_are_hexadecimal(tc, words):
    assert tc.elf(tc.ld("out", *words, start(tc)).path).section(".text").addr == 0x5000


def test_words_that_begin_with_o_are_outputs(tc):
    """-omagic is "-o magic"; --omagic is -N."""
    tc.call_linker("-m", tc.target.emulation, "-omagic", start(tc))
    assert (tc.dir / "magic").exists()
    assert len(tc.elf(tc.ld("out", "--omagic", start(tc)).path).loads()) == 1


def test_output_spellings(tc):
    for words in (["-o", "o1"], ["-oo1"], ["--output=o1"], ["--output", "o1"]):
        (tc.dir / "o1").unlink(missing_ok=True)
        tc.call_linker("-m", tc.target.emulation, *words, start(tc))
        assert (tc.dir / "o1").exists()


def test_inputs_before_options(tc):
    tc.call_linker(start(tc), "-m", tc.target.emulation, "-Bstatic", "-o", "out", "-e", "other")
    e = tc.elf(tc.dir / "out")
    assert e.entry == e.addr("other")


def test_emulation_from_the_first_object(tc):
    e = tc.elf(tc.ld("out", start(tc), emulation=False).path)
    assert e.header["e_machine"] == tc.target.machine


@pytest.mark.parametrize("emulation", ["elf_x86_64"])
@pytest.mark.targets("amd64")
def test_emulation_spellings(tc, emulation):
    for words in ([f"-m{emulation}"], ["-m", emulation], ["--emulation=" + emulation] if tc.linker.flavour == "mclink" else ["-m", emulation]):
        tc.ld("out", *words, start(tc), emulation=False)
    assert tc.ld("out", "-m", "elf_nonsense", start(tc), emulation=False, check=False).rc == 1


# -- words without meaning here are no errors

@pytest.mark.parametrize("words", [
    ["-O0"], ["-O1"], ["-O2"], ["-O", "1"], ["--no-keep-memory"], ["--reduce-memory-overheads"], ["--stats"], ["--no-copy-dt-needed-entries"], ["--no-add-needed"],
    ["--no-ld-generated-unwind-info"], ["--warn-once"], ["--warn-constructors"], ["-g"], ["--no-map-whole-files"], ["-G", "0"], ["-G0"], ["-EL"],
    ["--hash-size=1021"], ["--no-warn-mismatch"], ["--sort-common"], ["--check-sections"], ["--no-check-sections"], ["--relax"], ["--no-relax"],
    ["-plugin", "/none/liblto_plugin.so", "-plugin-opt=/none/lto-wrapper", "-plugin-opt=-fresolution=/tmp/x.res", "-plugin-opt=-pass-through=-lgcc"],
    ["--eh-frame-hdr"], ["--no-eh-frame-hdr"], ["--warn-shared-textrel"], ["--demangle"], ["--no-demangle"], ["-nostdlib"], ["--no-warn-execstack"],
    ["--no-warn-rwx-segments"], ["--orphan-handling=place"], ["--traditional-format"], ["-dn"], ["-dy"], ["-call_shared"], ["-non_shared"], ["-static"],
    ["-z", "noexecstack", "-z", "relro", "-z", "combreloc"], ["--no-fatal-warnings"], ["-assert", "pure-text"], ["--accept-unknown-input-arch"], ["-Qy"],
    ["--sort-section=alignment"], ["--sort-section", "name"], ["--no-undefined"], ["--error-limit=0"]], ids=" ".join)
def test_accepted(tc, words):
    if words[0] == "-plugin" and tc.linker.flavour == "bfd" or words == ["--error-limit=0"] and tc.linker.flavour != "mclink":
        return
    if words == ["-EL"] and not tc.target.little:
        words = ["-EB"]
    done = tc.ld("out", *words, start(tc))
    assert done.err == "" or words[0] == "--stats"


@pytest.mark.targets("amd64")
def test_gcc_command_lines_with_lto_plugin_words(tc):
    obj = tc.c("#include <stdio.h>\nint main(void) { puts(\"x\"); }")
    assert tc.out(tc.exe("prog", obj)) == "x\n", "Debian's gcc passes -plugin on every line"


# -- reports

def test_trace(tc):
    lib = tc.ar("libt.a", tc.c("int used(void) { return 1; }", name="used"), tc.c("int unused;", name="unused"))
    done = tc.ld("out", "-t", tc.c("int used(void); int _start(void) { return used(); }", name="m"), lib)
    said = done.out + done.err
    assert "m.o" in said and "libt.a" in said and "unused" not in said


def test_map_in_gnu_layout(tc):
    lib = tc.ar("libmap.a", tc.c("int from_lib(void) { return 1; } int lib_data = 5;", name="mapped"))
    obj = tc.c("int from_lib(void); int common_one; int _start(void) { return from_lib() + common_one; }", "-fcommon", "-fno-pie", name="m")
    done = tc.ld("out", "-Map=out.map", obj, lib)
    text = (tc.dir / "out.map").read_text()
    if tc.linker.flavour not in ("mclink", "bfd"):
        assert "from_lib" in text
        return
    heads = ["Archive member included to satisfy reference by file (symbol)", "Memory Configuration", "Linker script and memory map"]
    at = [text.index(h) for h in heads]
    assert at == sorted(at)
    assert re.search(r"libmap\.a\(mapped\.o\)\s+\S*m\.o \(from_lib\)", text)
    e = tc.elf(done.path)
    assert re.search(rf"^\.text\s+0x0*{e.section('.text').addr:x}\s+0x{e.section('.text').size:x}$", text, re.M)
    assert re.search(rf"^ +0x0*{e.addr('from_lib'):x} +from_lib$", text, re.M)
    assert re.search(r"^ \.text +0x[0-9a-f]+ +0x[0-9a-f]+ \S*m\.o$", text, re.M)
    assert "common_one" in text and "OUTPUT(" in text and "LOAD " in text


@pytest.mark.lacks(mold="no --cref")
def test_cref(tc):
    a = tc.c("int shared_fn(void) { return 1; }", name="def")
    b = tc.c("int shared_fn(void); int _start(void) { return shared_fn(); }", "-fno-pie", name="use")
    text = tc.ld("out", "--cref", "-Map=c.map", b, a).out + (tc.dir / "c.map").read_text()
    if tc.linker.flavour == "lld":
        return
    assert "Cross Reference Table" in text
    rest = text[text.index("Cross Reference Table"):].splitlines()
    i = next(i for i, line in enumerate(rest) if line.startswith("shared_fn"))
    assert rest[i].split()[1].endswith("def.o") and rest[i + 1].strip().endswith("use.o"), "the definition first, then who refers"


def test_print_map_to_standard_output(tc):
    out = tc.ld("out", "-M", start(tc)).out
    assert "start.o" in out
    assert "start.o" in tc.ld("out", "--print-map", start(tc)).out


# -- names it is called by

@pytest.mark.parametrize("name", ["ld", "x86_64-linux-gnu-ld"])
@pytest.mark.targets("amd64")
def test_called_by_other_names(tc, name):
    folder = tc.dir / "bin"
    folder.mkdir()
    (folder / name).symlink_to(tc.linker.path)
    run_command([folder / name, start(tc), "-o", tc.dir / "out"])
    assert (tc.dir / "out").exists()


@pytest.mark.lacks(bfd="about mclink", lld="about mclink", mold="about mclink", gold="about mclink")
def test_through_fuse_ld(tc):
    """clang -fuse-ld=mclink finds ld.mclink on PATH; --ld-path takes the program's path."""
    entry = tc.dir / "bin" / "ld.mclink"
    entry.parent.mkdir()
    entry.symlink_to(tc.linker.path)
    obj = tc.c("#include <stdio.h>\nint main(void) { puts(\"x\"); }")
    env = clean_env(PATH=f"{entry.parent}:{os.environ['PATH']}")
    run_command([*tc.driver("clang"), "-fuse-ld=mclink", obj, "-o", tc.dir / "prog"], env=env)
    assert tc.out(tc.dir / "prog") == "x\n"
