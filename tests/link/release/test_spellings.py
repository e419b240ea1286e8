"""Spellings of options that real builds pass: accepted as GNU ld accepts them, with the same output, or refused alike."""

import pytest

from harness.same import assert_same, map_sections
from harness.toolchain import run_command

pytestmark = [pytest.mark.targets("amd64"), pytest.mark.lacks(gold="refuses some", lld="refuses some", mold="refuses some")]

SOURCE = """
int common[4]; int data = 3; static int local = 4; int helper(void); extern char __bss_start[];
__attribute__((section(".text.b"))) int b(void) { return local; } __attribute__((section(".text.a"))) int a(void) { return data; }
int _start(void) { return a() + b() + helper() + common[2] + __bss_start[0]; }
"""
HELPER = "int other[2]; int helper(void) { return other[1]; }"

#: a word list, or several; {obj} and {lib} stand for the inputs, which come last when they are not named
SAME = [
    "-dc -r", "-d -r", "-dp -r", "-r -x", "-r -X", "-r -S", "-i", "-Ur", "-r --unique", "-r --unique=.text.a",
    "-cref", "--cref", "-G 0", "-G0", "-Y /lib", "-assert pure-text", "-P x", "--traditional-format", "--no-warn-mismatch",
    "--no-warn-rwx-segments", "--orphan-handling=warn", "--orphan-handling=place", "--no-ld-generated-unwind-info", "--ld-generated-unwind-info",
    "--no-warn-execstack", "-Tdata 600000", "-Tdata=600000", "-Ttext a0000", "-Ttext=0x500000", "-Ttext 3e0000", "-Tbss 900000", "--section-start=.text.a=0x700000",
    "--section-start .text.a=0x700000", "-Ttext-segment=0x700000", "-Ttext-segment 700000", "-I/x", "-n", "-N", "-pie --no-dynamic-linker", "-static -pie",
    "-znow", "-z now", "-zrelro", "-z norelro", "-L=/lib", "-L/lib", "-L /lib", "-dn", "-dy", "-non_shared", "-call_shared", "-Bstatic", "-Bdynamic", "-static", "-R.", "-R .", "-X", "-x", "-S", "-s",
    "-noinhibit-exec", "--noinhibit-exec", "-q", "--emit-relocs", "-EL", "-EL -EL", "--warn-shared-textrel", "--sort-common", "--sort-common=ascending", "-z origin", "-shared -Bsymbolic", "-shared -soname=x",
    "-shared -soname x", "-shared -h x", "-nostdlib", "-z combreloc", "-z nocombreloc", "-e 0x1000", "-e a", "-ea", "--entry=a", "--entry a", "-shared -init a -fini b",
    "-shared -init=a -fini=b", "-shared -Bshareable", "-Bshareable", "-shared --dynamic-linker=/x", "-pie -dynamic-linker /x", "-pie -dynamic-linker=/x", "--hash-style=gnu -shared", "-hash-style=sysv -shared",
    "--as-needed", "--no-as-needed", "--add-needed", "--no-add-needed", "--copy-dt-needed-entries", "--no-copy-dt-needed-entries", "--push-state --as-needed --pop-state",
    "--whole-archive {lib} --no-whole-archive {obj}", "--start-group {lib} {obj} --end-group", "-( {lib} {obj} -)", "{obj} -L. -lhelper", "{obj} -L. -l helper", "{obj} -L. -l:libhelper.a", "{obj} -L. --library=helper",
    "-O1", "-O0", "-O 2", "--no-keep-memory", "--reduce-memory-overheads", "--hash-size=31", "--no-omagic", "--check-sections", "--no-check-sections", "--accept-unknown-input-arch", "--no-accept-unknown-input-arch",
    "--discard-all", "--discard-locals", "--discard-none", "--strip-all", "--strip-debug", "--strip-discarded", "--no-strip-discarded", "-t", "--trace", "-y a", "-ya", "--trace-symbol=a",
    "--no-undefined", "-z defs", "-z undefs", "--unresolved-symbols=report-all", "--unresolved-symbols=ignore-all", "--warn-unresolved-symbols", "--error-unresolved-symbols", "--allow-multiple-definition", "-z muldefs",
    "--allow-shlib-undefined", "--no-allow-shlib-undefined", "--fatal-warnings", "--no-fatal-warnings", "-w", "--no-warnings", "--warn-common", "--warn-once", "--warn-section-align", "--warn-multiple-gp", "--warn-constructors",
    "--gc-sections", "--gc-sections --print-gc-sections", "--no-gc-sections", "--gc-keep-exported --gc-sections", "--relax", "--no-relax", "--defsym=foo=0x1234", "--defsym foo=a+4", "-defsym foo=_start", "--wrap=helper", "--wrap helper",
    "--retain-symbols-file=keep.txt", "--export-dynamic -pie", "-E -pie", "-export-dynamic -pie", "--no-export-dynamic", "--dynamic-list=list.txt -pie",
    "--sort-section=name", "--sort-section=alignment", "--no-define-common -shared", "--split-by-file=5000 -r", "--split-by-reloc=5000 -r",
    "-z max-page-size=0x10000", "-z common-page-size=0x1000", "-z noexecstack", "-z execstack", "-z separate-code", "-z noseparate-code", "-z text -shared", "-z notext -shared", "-z lazy", "-z initfirst -shared", "-z nodelete -shared",
    "-z nodlopen -shared", "-z nodefaultlib -shared", "-z interpose -shared", "-z global -shared", "-z stack-size=0x10000", "-z start-stop-gc", "-z nostart-stop-gc", "-z common", "-z nocommon", "-z nocopyreloc", "-z pack-relative-relocs -shared", "-z nodump -shared", "-z loadfltr -shared",
    "--enable-new-dtags", "--disable-new-dtags", "-rpath /x -shared", "-rpath=/x -shared", "--rpath=/x -shared", "-rpath-link /x", "-rpath-link=/x", "-R /lib -shared", "-f aux -shared", "--auxiliary=aux -shared", "-F filter -shared", "--filter filter -shared",
    "--audit=x -shared", "--depaudit=x -shared", "-m elf_x86_64", "-melf_x86_64", "-a.out", "--no-map-whole-files", "--map-whole-files", "--no-demangle", "--demangle", "--spare-dynamic-tags=4 -shared", "--disable-multiple-abs-defs",
    "--sysroot=/", "--build-id=none", "--force-exe-suffix", "--no-undefined-version", "--version-exports-section=V", "--warn-alternate-em", "--no-ctf-variables", "--ctf-variables", "--no-print-map-discarded", "--dependency-file=dep.d", "-static --no-dynamic-linker -pie",
    "--eh-frame-hdr", "--no-eh-frame-hdr", "--dynamic-list-data -pie", "--dynamic-list-cpp-new -pie", "--require-defined=a", "--no-gc-sections", "-Map map.txt", "-Map=map.txt", "--Map map.txt", "--print-map", "-M", "-flto -r", "-fuse-ld=x -r",
]
#: refused by GNU ld too, or taken with a warning by both
REFUSED = ["--nonsense", "-z max-page-size=3", "-Ttext zz", "--sort-section=foo", "--unresolved-symbols=foo", "--orphan-handling=foo", "--hash-style=foo -shared",
           "-Ttext", "--defsym=foo", "--defsym foo=nowhere+1", "--section-start=.text", "-m nonsense", "--oformat=nonsense", "--format=nonsense", "--compress-debug-sections=foo", "-T nowhere.lds", "--require-defined=nowhere", "@nowhere"]
#: what GNU ld 2.40 does not know, or not on this machine, and other linkers or later releases do
TAKEN = ["-symbolic", "--be8", "--fix-v4bx", "--no-nmagic", "--sort-section=none", "-C", "-p", "--image-base=0x700000", "-plugin-opt=x", "-nopie"]
WARNED = ["-z bogus", "-z bogus=3"]


@pytest.fixture
def inputs(tc):
    obj = tc.c(SOURCE, "-fno-pic", "-fcommon", "-fno-ident", "-fno-asynchronous-unwind-tables", "-O1", "-mcmodel=large", name="main")
    lib = tc.ar("libhelper.a", tc.c(HELPER, "-fno-pic", "-fno-ident", "-fno-asynchronous-unwind-tables", "-fno-common", "-O1", name="helper"))
    tc.write("keep.txt", "a\n_start\n"), tc.write("list.txt", "{ a; };\n")
    return obj, lib


def both(tc, inputs, words, out="out"):
    obj, lib = inputs
    words = words.split()
    if not any("{" in w for w in words):
        words += ["{obj}", "{lib}"]
    words = [w.format(obj=obj.name, lib=lib.name) for w in words]
    ours = tc.ld(out, *words, check=False)
    theirs = tc.gnu.ld(out, *words, check=False, cwd=tc.dir)
    return ours, theirs


@pytest.mark.parametrize("words", SAME)
def test_accepted_with_the_same_result(tc, inputs, words):
    ours, theirs = both(tc, inputs, words)
    assert ours.rc == theirs.rc, f"{ours}\n{theirs}"
    if ours.rc:
        return
    # Shared and dynamic outputs have tables whose sizes are each linker's own.
    plain = not any(w in words for w in ("-shared", "-pie", "-Bshareable"))
    e, g = tc.elf(ours.path), tc.elf(theirs.path)
    assert e.type == g.type and (e.entry == g.entry or not plain)
    if plain:
        # Under -r sections that no statement names have their headers behind all others.
        assert_same(ours.path, theirs.path, order=e.type != "ET_REL", but=(".got", ".got.plt", ".eh_frame", ".note.GNU-stack (2)"), headers="-z pack" not in words)
    else:
        from harness.judges import assert_same_facts
        # The path of the run-time linker is another one where no driver names it.
        assert_same_facts(ours.path, theirs.path, ignore=("interp", "segments"))


@pytest.mark.parametrize("words", REFUSED)
def test_refused_by_both(tc, inputs, words):
    ours, theirs = both(tc, inputs, words)
    assert theirs.rc and ours.rc == 1 and "Traceback" not in ours.err and not ours.path.exists(), f"{ours}\n{theirs}"


@pytest.mark.parametrize("words", TAKEN)
def test_taken_without_a_word(tc, inputs, words):
    ours, theirs = both(tc, inputs, words)
    assert not ours.rc and not ours.err and theirs.rc, f"{ours}\n{theirs}"


@pytest.mark.parametrize("words", ["-u x", "-ux", "--undefined=x", "--exclude-libs=ALL", "--exclude-libs libhelper.a"])
def test_names_that_nobody_uses(tc, inputs, words):
    """GNU ld leaves them in .symtab; the code is the same."""
    ours, theirs = both(tc, inputs, words)
    assert tc.elf(ours.path).data(".text") == tc.elf(theirs.path).data(".text")


@pytest.mark.parametrize("words", WARNED)
def test_warned_of_by_both(tc, inputs, words):
    ours, theirs = both(tc, inputs, words)
    assert not ours.rc and not theirs.rc and "bogus" in ours.err and "bogus" in theirs.err


@pytest.mark.targets("mips", "mipsel")
@pytest.mark.parametrize("words", ["-mips32r2", "-mips1", "-mips16 -melf32btsmip", "-G 8", "-G8"])
def test_gcc_passes_architectures_to_the_linker(tc, words):
    obj = tc.c("int __start(void) { return 0; }", "-mno-abicalls", "-fno-pic", name="m")
    assert tc.ld("out", *words.replace("elf32btsmip", tc.target.emulation).split(), obj).rc == 0


def test_binary_first_on_the_line(tc, inputs):
    data = tc.write("data.bin", b"hello")
    for maker in (tc, tc.gnu):
        e = tc.elf(maker.ld("out.o", "-r", "-b", "binary", data.name, "-b", "default", inputs[0], cwd=tc.dir).path)
        assert e.addr("_binary_data_bin_end") == 5 and e.symbol("_start") is not None


def test_just_symbols_of_an_object(tc, inputs):
    done, theirs = (maker.ld("out", "--just-symbols=abs.o", *inputs, cwd=tc.dir) for maker in (tc, tc.gnu) if tc.asm(".globl abs_one\nabs_one = 0x1234\n", name="abs"))
    assert tc.elf(done.path).entry == tc.elf(theirs.path).entry


def test_maps_by_every_spelling(tc, inputs):
    for words in ("-Map map.txt", "-Map=map2.txt", "--Map map3.txt"):
        both(tc, inputs, words)
    texts = {(tc.dir / name).exists() and tuple(map_sections((tc.dir / name).read_text())) for name in ("map.txt", "map2.txt", "map3.txt")}
    assert len(texts) == 1 and all(texts)
