"""The link lines of a NetBSD release, on small sources, against GNU ld's output of the same objects: kernel, kernel
modules, crunched programs, rump components, boot blocks, the C library and the run-time linker."""

import pytest

from harness.same import assert_same, cross_references, loaded_inputs, map_sections, map_symbols, sections, symbols
from harness.toolchain import run_command

#: what a linker makes for itself, whether it has a use for it or not
OWN = (".got", ".got.plt", ".eh_frame", ".reginfo", ".MIPS.abiflags", ".MIPS.options", ".mdebug.abi32", ".mdebug.abi64", ".mdebug.abiN32", ".gnu.attributes", ".pdr")
#: targets whose programs and libraries are compared; of MIPS, kernels and what belongs to them
HOSTED = pytest.mark.targets("amd64", "i386", "aarch64", "armhf", "armel", "ppc64", "ppc64le")
BARE = ("-fno-ident", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-fno-stack-protector", "-fno-pie", "-fno-pic")
FREE = ("-ffreestanding", "-O1", "-fno-merge-constants", *BARE)
#: how code of a kernel is compiled where that is not by default
KERNEL_FLAGS = {"EM_MIPS": ("-mno-abicalls", "-G0")}
#: for the sake of equal tables: GNU ld takes entries out of a TOC that it has no use for, and small commons for .scommon
PLAIN = {"EM_PPC64": ("--no-toc-optimize",), "EM_MIPS": ("-G0",)}
OTHERS = pytest.mark.lacks(gold="no -dc, sections of its own", lld="no -dc, -cref; a map of its own", mold="no linker scripts")
pytestmark = OTHERS


def run_both(tc, out, *args, **kw):
    """Link with both linkers; `{out}` in an argument is the name of each one's output. Returns the two paths."""
    paths = []
    for maker in (tc, tc.gnu):
        path = maker.dir / out
        words = [*PLAIN.get(tc.target.machine, ()), *(str(a).replace("{out}", str(path)) for a in args)]
        paths.append(maker.ld(out, *words, **kw).path)
    return paths


def same(tc, ours, theirs, order=True):
    """The two outputs are alike. On 64-bit Power the linkers put the TOC pointer at different places, which moves bytes and
    everything behind; there the sections and names are held against each other."""
    if tc.target.machine != "EM_PPC64":
        # .MIPS.options of 64-bit MIPS has a record for each input in GNU ld's output.
        assert_same(ours, theirs, but=OWN, order=order, headers=tc.target.machine != "EM_MIPS" or tc.target.bits == 32)
        return
    left, right = (({n: row[:2] for n, row in sections(e).items() if n not in OWN}, {n: row[1:] for n, row in symbols(e).items()})
                   for e in (tc.elf(ours), tc.elf(theirs)))
    assert left == right


def compare_maps(tc, ours, theirs, cref=True):
    """What builds read out of a map: which sections went where, which names, who refers to them. How much of what
    is merged counts for which file is told differently."""
    ours, theirs = ((p.parent / (p.name + ".map")).read_text() for p in (ours, theirs))
    power = tc.target.machine == "EM_PPC64"
    left, right = (sorted(row for row in map_sections(text) if row[0] not in OWN) for text in (ours, theirs))
    assert power or left == right
    merged = (".rodata.str", ".ARM.attributes") + OWN
    left, right = (sorted(row for row in loaded_inputs(text) if not row[0].startswith(merged)) for text in (ours, theirs))
    assert power or left == right
    # An odd address says Thumb code; GNU ld leaves that bit out.
    clear = 1 if tc.target.machine == "EM_ARM" else 0
    left, right = ({n: not power and value & ~clear for n, value in map_symbols(text).items()} for text in (ours, theirs))
    assert left == right
    if cref:
        left, right = cross_references(ours), cross_references(theirs)
        assert left and left == right


# -- kernel

KERNEL = {
    "locore": """
        extern int main(int); extern char edata[], end[]; char proc0_stack[64] __attribute__((aligned(64)));
        __attribute__((section(".text.start"))) void start(void) { for (;;) main((int)(end - edata)); }
        const int note[] __attribute__((section(".note.netbsd.ident"))) = { 7, 4, 1, 0x4274654e, 0x4453, 1000 };
        """,
    "init_main": """
        struct link { int (*f)(int); }; extern const struct link __start_link_set_inits[], __stop_link_set_inits[];
        int cold = 1; int boothowto; static int local; extern int hz; int ticks __attribute__((section(".data.cacheline_aligned"), aligned(64)));
        extern int version_major;
        int main(int x) { const struct link *l; local += x;
          for (l = __start_link_set_inits; l < __stop_link_set_inits; l++) cold += l->f(local);
          return cold + boothowto + hz + ticks + version_major; }
        """,
    "subr": """
        struct link { int (*f)(int); }; int hz = 100; extern int ticks; int probes __attribute__((section(".data.read_mostly"))) = 2;
        static int one(int x) { return x + ticks + probes; } static int two(int x) { return x * hz; }
        const struct link l1 __attribute__((section("link_set_inits"), used)) = { one };
        const struct link l2 __attribute__((section("link_set_inits"), used)) = { two };
        const char *message = "kernel message"; int panic(void) { return message[0]; }
        """,
    "vers": 'const char copyright[] = "Copyright"; const char ostype[] = "NetBSD"; int version_major = 10; const char *str = "kernel message";',
}
KERN_SCRIPT = """
__PAGE_SIZE = 0x1000 ;
__LARGE_PAGE_SIZE = 0x200000 ;
ENTRY(start)
SECTIONS
{
        .text :
        {
                KEEP(*(.text.start))
                *(.text)
                *(.text.*)
                *(.stub)
        } =0
        _etext = . ;
        PROVIDE (etext = .) ;
        . = ALIGN(__PAGE_SIZE) ;
        __rodata_start = . ;
        .rodata : { *(.rodata) *(.rodata.*) }
        link_set_inits : { __start_link_set_inits = .; *(link_set_inits) __stop_link_set_inits = .; }
        .note.netbsd.ident : { KEEP(*(.note.netbsd.ident)); }
        . = ALIGN(__LARGE_PAGE_SIZE) ;
        .data : { *(.data) }
        . = ALIGN(64) ;
        .data.cacheline_aligned : { *(.data.cacheline_aligned) }
        . = ALIGN(64) ;
        .data.read_mostly : { *(.data.read_mostly) }
        _edata = . ;
        PROVIDE (edata = .) ;
        __bss_start = . ;
        .bss : { *(.bss) *(.bss.*) *(COMMON) . = ALIGN(32 / 8); }
        . = ALIGN(64 / 8) ;
        _end = . ;
        PROVIDE (end = .) ;
        /DISCARD/ : { *(.comment) *(.eh_frame*) *(.note.GNU-stack) *(.ARM.*) *(.reginfo) *(.MIPS.*) *(.pdr) *(.mdebug.*) *(.gnu.attributes) }
}
"""
#: -z: NetBSD's own ld keeps code and read-only data together by default, as mclink does for objects that say they are NetBSD's
KERNEL_LINES = {
    "high": ("-z", "max-page-size=0x100000", "-X", "-z", "separate-code"), "low": ("-Ttext", "10001000", "-X", "-z", "noseparate-code"), "omagic": ("-N", "-Ttext", "0x40010000", "-x"), "nmagic": ("-n", "-Ttext=100000", "-S"),
}


def free(tc):
    return FREE + KERNEL_FLAGS.get(tc.target.machine, ())


def kernel_objects(tc, *flags):
    return [tc.c(source, *free(tc), "-fcommon", *flags, name=name) for name, source in KERNEL.items()]


@pytest.mark.parametrize("line", KERNEL_LINES)
def test_kernel(tc, line):
    """${LD} -Map netbsd.map --cref -T kern.ldscript -Ttext ADDR -e start -X -o netbsd ..."""
    script = tc.write("kern.ldscript", KERN_SCRIPT)
    model = ("-mcmodel=kernel",) if tc.target.name == "amd64" and line == "high" else ()
    address = ("-Ttext", "ffffffff80200000" if tc.target.bits == 64 else "80001000") if line == "high" else ()
    ours, theirs = run_both(tc, "netbsd", "-Map", "{out}.map", "--cref", "-T", script, "-e", "start", *address, *KERNEL_LINES[line],
                            *kernel_objects(tc, *model))
    same(tc, ours, theirs)
    compare_maps(tc, ours, theirs)
    e = tc.elf(ours)
    assert e.entry == e.addr("start") and e.addr("_etext") == e.section(".text").addr + e.section(".text").size
    # dbsym(8), strip(1) and objcopy(1) change such a file afterwards.
    for tool in ([tc.tool("strip"), "-g"], [tc.tool("objcopy"), "-x"], [tc.tool("objcopy"), "-O", "binary"]):
        copies = []
        for path in (ours, theirs):
            run_command([*tool, path, "-o" if "strip" in tool[0] else path.with_suffix(".copy"), *([path.with_suffix(".copy")] if "strip" in tool[0] else [])])
            copies.append(path.with_suffix(".copy"))
        if "binary" in tool:
            assert tc.target.machine == "EM_PPC64" or copies[0].stat().st_size == copies[1].stat().st_size
        else:
            same(tc, *copies)


# -- kernel modules

MODULE = {
    "mod": """
        extern int printf(const char *, ...); int module_refs = 0; int cache[20]; static int state[4];
        int module_cmd(int c) { state[c & 3] = ++module_refs; return printf("%d", cache[c] + state[1]); }
        const char module_name[] __attribute__((section(".rodata.modname"))) = "example";
        """,
    "sub": """
        extern int module_refs; int cache[20]; int table[] __attribute__((section(".data.read_mostly"))) = { 1, 2, 3 };
        const int *const info __attribute__((section("link_set_modules"), used)) = table; int sub(void) { return table[module_refs] + cache[0]; }
        """,
}
KMODULE = """
SECTIONS
{
        .text 0 : { *(.text .text.* .stub) }
        .rodata : { *(.rodata .rodata.*) }
        .data 0 : { *(.data .data.* .bss .bss.*) *(COMMON) }
        /DISCARD/ : { *(.comment) *(.note.GNU-stack) *(.eh_frame) *(.pdr) *(.mdebug.*) }
}
"""


@pytest.mark.parametrize("flags", [(), ("-d",), ("-dc", "-x"), ("-dp", "-X"), ("-S", "-d")], ids=" ".join)
def test_kernel_module(tc, flags):
    """${LD} -r -T kmodule -d -Map X.map"""
    script = tc.write("kmodule", KMODULE)
    objects = [tc.c(source, *free(tc), "-fcommon", "-ffunction-sections", name=name) for name, source in MODULE.items()]
    ours, theirs = run_both(tc, "mod.kmod", "-nostdlib", "-r", "-T", script, *flags, "-Map={out}.map", *objects)
    # Sections that the script does not name stand behind those that it does.
    same(tc, ours, theirs, order=False)
    compare_maps(tc, ours, theirs, cref=False)
    for e in (tc.elf(ours), tc.elf(theirs)):
        assert e.section(".bss") is None and (e.symbol("cache").shndx == "SHN_COMMON") == (not flags)
    assert relocations(ours) == relocations(theirs)


def relocations(path):
    """{section: [(offset, type, symbol or section, addend)]} of a relocatable object."""
    from harness.elf import Elf
    e = Elf(path)
    names = [s.name for s in e.sections]
    found = {}
    for s in e.sections:
        if s.type in ("SHT_RELA", "SHT_REL"):
            rows = []
            for r in e.relocs(s.name):
                rows.append((r.offset, r.type, r.symbol, r.addend))
            found[names[s.info]] = sorted(rows, key=str)
    return found


# -- crunched programs

PROGRAMS = {
    "cat": """
        extern int puts(const char *); int verbose = 0; int shared_option; static void usage(void) { puts("usage: cat"); }
        int main(int argc, char **argv) { shared_option += argc; if (argc > 2) usage(); return puts(verbose ? "loud cat" : "cat") < 0; }
        """,
    "echo": """
        extern int puts(const char *); int verbose; static void usage(void) { puts("usage: echo"); }
        int main(int argc, char **argv) { verbose = 0; if (argc < 2) usage(); else puts(argv[1]); return 0; }
        """,
}
CRUNCH = """
#include <string.h>
extern int puts(const char *);
int _crunched_cat_stub(int, char **), _crunched_echo_stub(int, char **);
int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "cat")) return _crunched_cat_stub(argc - 1, argv + 1);
    if (argc > 1 && !strcmp(argv[1], "echo")) return _crunched_echo_stub(argc - 1, argv + 1);
    puts("cat echo"); return 1;
}
"""


@HOSTED
@pytest.mark.parametrize("flags", [(), ("-x",)], ids=("all names", "-x"))
def test_crunchgen(tc, flags):
    """${LD} -dc -r of each program, all names but the entry made local, the rest linked as one."""
    made = {}
    for linker, folder in ((tc, ""), (tc.gnu, "gnu")):
        lobs = []
        for name, source in PROGRAMS.items():
            obj = tc.c(source, "-fcommon", "-O1", *BARE, name=name)
            stub = tc.c(f"int main(int, char **); int _crunched_{name}_stub(int c, char **v) {{ return main(c, v); }}", "-O1", *BARE, name=name + "_stub")
            lo = linker.ld(name + ".cro", "-dc", "-r", *flags, stub, obj).path
            made.setdefault(name, []).append(lo)
            e = tc.elf(lo)
            assert e.symbol("verbose").shndx != "SHN_COMMON" and (e.symbol("usage") is None or not flags)
            hidden = lo.with_suffix(".lo")
            run_command([tc.tool("objcopy"), f"--keep-global-symbol=_crunched_{name}_stub", lo, hidden])
            lobs.append(hidden)
        exe = linker.exe("crunch", "-no-pie", "-Wl,-Map,crunch.map,--cref", tc.c(CRUNCH, "-O1", "-fno-pie", name="crunch"), *lobs)
        assert tc.out(exe, "cat") == "cat\n" and tc.out(exe, "echo", "hi") == "hi\n"
        assert "usage: echo" in tc.out(exe, "echo") and tc.run(exe, check=False).rc == 1
    for ours, theirs in made.values():
        same(tc, ours, theirs, order=False)
        assert relocations(ours) == relocations(theirs)


# -- rump

RUMP_SCRIPT = """
/* Added to the default script: the sets of a component stand beside .data, with names for their bounds. */
SECTIONS
{
        link_set_rump_components :
        {
                PROVIDE_HIDDEN(__start_link_set_rump_components = .);
                *(link_set_rump_components)
                PROVIDE_HIDDEN(__stop_link_set_rump_components = .);
        }
        link_set_modules : { KEEP(*(link_set_modules)) }
}
INSERT AFTER .data;
"""
RUMP = """
struct component { int (*init)(void); };
extern const struct component *const __start_link_set_rump_components[], *const __stop_link_set_rump_components[];
int started; static int one(void) { return ++started; } static int two(void) { return started += 10; }
static const struct component c1 = { one }, c2 = { two };
static const struct component *const p1 __attribute__((section("link_set_rump_components"), used)) = &c1;
static const struct component *const p2 __attribute__((section("link_set_rump_components"), used)) = &c2;
static int *const module __attribute__((section("link_set_modules"), used)) = &started;
int rump_init(void) { int n = 0;
  for (const struct component *const *p = __start_link_set_rump_components; p < __stop_link_set_rump_components; p++) n += (*p)->init();
  return n; }
"""


@HOSTED
def test_rump_component(tc):
    """-shared -Wl,-T,ldscript.rump: the sections are added to the default script."""
    tc.write("ldscript.rump", RUMP_SCRIPT)
    obj = tc.c(RUMP, "-fPIC", "-O1", "-fno-toplevel-reorder", name="rump")
    libs = [maker.so("librump.so", obj, "-Wl,-x,-T," + str(tc.dir / "ldscript.rump"), "-Wl,-Map={}.map".format(maker.dir / "librump.so"))
            for maker in (tc, tc.gnu)]
    order = []
    for path in libs:
        names = [s.name for s in tc.elf(path).sections]
        at = names.index(".data")
        order.append(names[at:at + 3])
        assert tc.elf(path).symbol("__start_link_set_rump_components") is None or \
            tc.elf(path).symbol("__start_link_set_rump_components").bind == "STB_LOCAL"
    assert order[0] == order[1] == [".data", "link_set_rump_components", "link_set_modules"]
    exe = tc.exe("prog", tc.c("#include <stdio.h>\nint rump_init(void); int main(void) { printf(\"%d\\n\", rump_init()); }", name="main"), libs[0])
    assert tc.out(exe) == "12\n"


# -- boot blocks

BOOT = {
    "boot1": """
        extern int loadfile(const char *); extern char end[]; int howto = 1; char bootbuf[96];
        __attribute__((section(".text.first"))) void start(void) { howto = loadfile((char *)end) + bootbuf[1]; for (;;) ; }
        """,
    "loader": 'extern int read(int); static const char name[] = "netbsd"; int loadfile(const char *p) { return read(name[2] + p[0]); }',
}
LIBSA = {
    "read": "int reads; extern int strlen_(const char *); int read(int n) { reads += n; return strlen_(\"ab\"); }",
    "unused": "int unused(void) { return 4; }",
    "strlen": "int strlen_(const char *s) { int n = 0; while (s[n]) n++; return n; }",
}
STAND = "SECTIONS { .text : { *(.text.first) *(.text .text.*) } .rodata : { *(.rodata*) } .data : { *(.data) } .bss : { *(.bss) *(COMMON) } end = .; /DISCARD/ : { *(.reginfo) *(.MIPS.*) *(.pdr) } }"


@pytest.mark.parametrize("script", [False, True], ids=("default script", "stand.ldscript"))
@pytest.mark.parametrize("address", ["0", "0x7c00", "a0000"])
def test_boot_block(tc, script, address):
    """-N -e start -m EMULATION -Ttext ADDR -Map F -cref, then objcopy -O binary; the build reads the names of the needed
    members out of the cross reference table."""
    # The sections of its ABI that the default script of 64-bit MIPS places stand 4 GB away from such a program.
    script = script or tc.target.machine == "EM_MIPS" and tc.target.bits == 64
    objects = [tc.c(source, *free(tc), "-fcommon", name=name) for name, source in BOOT.items()]
    members = [tc.c(source, *free(tc), name=name) for name, source in LIBSA.items()]
    lib = tc.ar("libsa.a", *members)
    args = ["-T", tc.write("stand.ldscript", STAND)] if script else []
    ours, theirs = run_both(tc, "boot", *args, "-nostdlib", "-N", "-e", "start", "-Ttext", address, "-Map", "{out}.map", "-cref", *objects, lib)
    same(tc, ours, theirs)
    compare_maps(tc, ours, theirs)
    text = (tc.dir / "boot.map").read_text()
    assert "libsa.a(read.o)" in text.partition("Cross Reference Table")[2] and "unused.o" not in text.partition("Cross Reference")[2]
    images = []
    for path in (ours, theirs):
        run_command([tc.tool("objcopy"), "-O", "binary", path, path.with_suffix(".bin")])
        images.append(path.with_suffix(".bin"))
    plain = PLAIN.get(tc.target.machine, ())
    direct = tc.ld("boot.raw", *args, *plain, "-nostdlib", "-N", "-e", "start", "-Ttext", address, "--oformat", "binary", *objects, lib).path
    assert direct.read_bytes() == images[0].read_bytes()
    assert tc.target.machine == "EM_PPC64" or images[0].stat().st_size == images[1].stat().st_size


def test_map_on_standard_output(tc):
    """-M > file.map, with -x -s -S -static -n -Bstatic -noinhibit-exec beside it."""
    objects = [tc.c(source, *free(tc), "-fcommon", name=name) for name, source in {**BOOT, **LIBSA}.items()]
    for flags in (("-x",), ("-s",), ("-S", "-static"), ("-n", "-Bstatic"), ("-noinhibit-exec",)):
        words = [*PLAIN.get(tc.target.machine, ()), "-N", "-e", "start", "-Ttext", "4000", "-M", *flags, *objects]
        ours, theirs = tc.ld("boot", *words), tc.gnu.ld("boot", *words)
        left, right = ([(row[0], *(row[1:] if tc.target.machine != "EM_PPC64" else ())) for row in map_sections(done.out) if row[0] not in OWN]
                       for done in (ours, theirs))
        assert left == right and set(map_symbols(ours.out)) == set(map_symbols(theirs.out))


# -- libc and the run-time linker

LIBC = {
    "stdio": "int __sF[3]; int puts_(const char *s) { extern int write_(const char *, int); __sF[0]++; return write_(s, 3); }",
    "write": "#include <errno.h>\nint errno_; int write_(const char *s, int n) { return errno_ = s[0] + n; }",
    "init": "int initialised; __attribute__((constructor)) static void set_up(void) { initialised = 42; } int __libc_ready(void) { return initialised; }",
    "warn": "int old(void) { return 1; } int new_(void) { return 2; } __asm__(\".weak alias; .set alias, new_\");",
}


@HOSTED
def test_libc(tc):
    """-x -shared -soname -z initfirst -z defs -Map --whole-archive libc_pic.a"""
    members = [tc.c(source, "-fPIC", "-O1", name=name) for name, source in LIBC.items()]
    lib = tc.ar("libc_pic.a", *members)
    paths = [maker.so("libx.so.12", "-nostdlib", "-Wl,-x,-z,initfirst,-z,defs,--warn-shared-textrel,--fatal-warnings", f"-Wl,-Map={maker.dir}/libx.so.12.map",
                      "-Wl,--whole-archive", lib, "-Wl,--no-whole-archive", "-Wl,-rpath,/lib,-rpath-link,/lib") for maker in (tc, tc.gnu)]
    from harness.judges import assert_same_facts
    assert_same_facts(*paths)
    for path in paths:
        e = tc.elf(path)
        assert "INITFIRST" in e.dyn_flags() or any("INITFIRST" in str(f) for f in e.dyn_flags())
        assert e.symbol("set_up") is None and e.dyn("SONAME") == "libx.so.12"
    texts = [(p.parent / (p.name + ".map")).read_text() for p in paths]
    inputs = [sorted((row[0], row[2], row[3]) for row in loaded_inputs(text) if row[0].startswith((".text", ".data", ".bss")) and "libc_pic.a" in row[3])
              for text in texts]
    assert inputs[0] and inputs[0] == inputs[1]
    exe = tc.exe("prog", tc.c("#include <stdio.h>\nint __libc_ready(void), alias(void); int main(void) { printf(\"%d %d\\n\", __libc_ready(), alias()); }", name="main"), paths[0])
    assert tc.out(exe) == "42 2\n"
    done = tc.link("bad.so", "-nostdlib", "-shared", "-Wl,-z,initfirst,-z,defs", tc.c("int gone(void); int f(void) { return gone(); }", "-fPIC", name="bad"), check=False)
    assert done.rc and "gone" in done.err


RTLD = """
typedef unsigned long word;
struct dyn { word tag, value; };
extern const struct dyn _DYNAMIC[] __attribute__((visibility("hidden")));
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
static int private_count; int exported_count = 7; int *pointers[2] = { &private_count, &exported_count }; const char *names[] = { "a", "b" };
int _rtld(void) { return exported_count + *pointers[1]; }
int _rtld_start(void) { int n = 0; for (const struct dyn *d = _DYNAMIC; d->tag; d++) n += d->value != 0; return n + _rtld() + (__ehdr_start[0] == names[0][0]); }
"""


@HOSTED
def test_run_time_linker(tc):
    """-shared -symbolic -static -e _rtld_start: nothing is left for others to bind, only the base is to be added."""
    obj = tc.c(RTLD, "-fPIC", "-O1", "-ffreestanding", "-fno-stack-protector", name="rtld")
    words = ["-shared", "-Bsymbolic", "-static", "-nostdlib", "-x", "-e", "_rtld_start", "-soname", "ld.elf_so", "-z", "defs", obj]
    paths = run_both(tc, "ld.elf_so", *words, "-Map={out}.map")
    from harness.judges import assert_same_facts
    assert_same_facts(*paths)
    e = tc.elf(paths[0])
    entry = e.addr("_rtld_start")
    if tc.target.name == "ppc64":
        assert e.entry == entry
    assert e.entry == entry and e.interp is None
    assert {r.type for r in e.dynrelocs()} <= {tc.reloc("RELATIVE"), tc.reloc("REL32")} and list(e.dynrelocs())
    relative = {r.offset for r in e.dynrelocs()}
    slots = e.addr("pointers")
    size = tc.target.bits // 8
    assert {slots, slots + size} <= relative
    if tc.target.features >= {"rela"} and not e.machine == "EM_MIPS":
        rows = {r.offset: r.addend for r in e.dynrelocs()}
        assert rows[slots + size] == e.addr("exported_count")
    else:
        assert e.word_at(slots + size) == e.addr("exported_count")
