"""Thread-local storage: every model, in every output kind, with every relaxation that leads from one to another."""

import pytest

from harness.judges import judge
from harness.toolchain import EXE_MODES

DEFS = """
__thread int t_init = 11;
__thread int t_zero;
__thread char t_pad[3] = "ab";
__thread long t_big __attribute__((aligned(64))) = 1L << 20;
"""

USES = """
#include <pthread.h>
#include <stdio.h>
extern __thread int t_init, t_zero;
extern __thread char t_pad[3];
extern __thread long t_big;
static __thread int t_local = 5;
static __thread int t_local2 = 6;
int *addr_init(void) { return &t_init; }
int sum(void) { return t_init + t_zero + t_pad[0] + (int)(t_big >> 20) + t_local + t_local2; }
static void *work(void *p) { t_zero += 100; t_local++; *(int *)p = sum(); return 0; }
int tls_check(void) {
  int r; pthread_t t;
  pthread_create(&t, 0, work, &r); pthread_join(t, 0);
  int aligned = ((unsigned long)&t_big & 63) == 0;
  return r == 11 + 100 + 'a' + 1 + 6 + 6 && sum() == 11 + 0 + 'a' + 1 + 5 + 6 && aligned && *addr_init() == 11;
}
"""
MAIN = '#include <stdio.h>\nint tls_check(void); int main(void) { puts(tls_check() ? "ok" : "bad"); }'

#: GNU ld keeps __tls_get_addr, and the library that has it, after it has relaxed every call to it
UNCALLED = ("dynsyms", "verneed", "needed")
#: and the PLT entry that the calls no longer use
UNCALLED_RELOCS = {name: ("relocs",) for name in ("amd64", "i386", "x32", "aarch64", "ppc64", "ppc64le")}
MODELS = ["global-dynamic", "local-dynamic", "initial-exec", "local-exec"]


def descriptor(tc):
    """The dynamic relocation of a TLS descriptor."""
    return tc.reloc("TLSDESC" if tc.target.machine in ("EM_X86_64", "EM_AARCH64") else "TLS_DESC")


@pytest.mark.parametrize("mode", EXE_MODES)
@pytest.mark.parametrize("model", MODELS)
def test_model_in_executable(tc, model, mode):
    """An executable is the static end: each model must work, the dynamic ones through relaxation."""
    cflags, ldflags = EXE_MODES[mode]
    pic = "-fPIC" if model in ("global-dynamic", "local-dynamic") else cflags[0]
    flags = ("-O1", *tc.target.tls_dialect(False), f"-ftls-model={model}", pic)
    objs = [tc.c(DEFS, *flags, name="defs"), tc.c(USES, *flags, name="uses"), tc.c(MAIN, *cflags, name="main")]
    assert tc.out(tc.exe("prog", *ldflags, *objs, "-pthread")) == "ok\n"


@pytest.mark.needs("tlsdesc")
@pytest.mark.parametrize("mode", EXE_MODES)
def test_tlsdesc_in_executable(tc, mode):
    cflags, ldflags = EXE_MODES[mode]
    flags = ("-O1", *tc.target.tls_dialect(True), "-fPIC")
    objs = [tc.c(DEFS, *flags, name="defs"), tc.c(USES, *flags, name="uses"), tc.c(MAIN, *cflags, name="main")]
    assert tc.out(tc.exe("prog", *ldflags, *objs, "-pthread")) == "ok\n"


@pytest.mark.parametrize("model", MODELS[:3])
def test_model_in_library(tc, model):
    flags = ("-O1", *tc.target.tls_dialect(False), f"-ftls-model={model}", "-fPIC")
    objs = [tc.c(DEFS, *flags, name="defs"), tc.c(USES, *flags, name="uses")]
    # GNU ld 2.40 forgets DF_STATIC_TLS on AArch64, and on Power asks for the module of each preemptible variable.
    ignore = {"aarch64": ("tags", "flags"), "ppc64": ("relocs",), "ppc64le": ("relocs",)}.get(tc.target.name, ())
    lib = judge(tc, "so", "libtls.so", *objs, ignore=ignore)
    assert ("DF_STATIC_TLS" in tc.elf(lib).dyn_flags()) == (model == "initial-exec")
    assert tc.out(tc.exe("prog", tc.c(MAIN, name="main"), lib)) == "ok\n"


@pytest.mark.needs("tlsdesc")
def test_tlsdesc_in_library(tc):
    flags = ("-O1", *tc.target.tls_dialect(True), "-fPIC")
    objs = [tc.c(DEFS, *flags, name="defs"), tc.c(USES, *flags, name="uses")]
    # GNU ld makes room for binding descriptors lazily, which no run-time linker does any longer.
    lib = judge(tc, "so", "libtls.so", *objs, ignore=("tags",))
    assert descriptor(tc) in {r.type for r in tc.elf(lib).dynrelocs()}
    assert tc.out(tc.exe("prog", tc.c(MAIN, name="main"), lib)) == "ok\n"


@pytest.mark.parametrize("mode", ["dynamic", "pie"])
@pytest.mark.parametrize("model", ["global-dynamic", "initial-exec"])
def test_executable_uses_variables_of_a_library(tc, model, mode):
    """GD relaxes to IE here: the variable's module is not ours, its offset is fixed at load."""
    cflags, ldflags = EXE_MODES[mode]
    lib = tc.so("libdefs.so", tc.c(DEFS, "-fPIC", name="defs"))
    pic = "-fPIC" if model == "global-dynamic" else cflags[0]
    uses = tc.c(USES, "-O1", *tc.target.tls_dialect(False), f"-ftls-model={model}", pic, name="uses")
    exe = judge(tc, "exe", "prog", *ldflags, uses, tc.c(MAIN, *cflags, name="main"), lib,
                ignore=UNCALLED + UNCALLED_RELOCS.get(tc.target.name, ()))
    types = {r.type for r in tc.elf(exe).dynrelocs()}
    if tc.target.name == "amd64":
        assert "R_X86_64_TPOFF64" in types and "R_X86_64_DTPMOD64" not in types
    if tc.target.name == "i386":
        down = "R_386_TLS_TPOFF32" if model == "global-dynamic" else "R_386_TLS_TPOFF"
        assert down in types and "R_386_TLS_DTPMOD32" not in types
    assert tc.out(exe) == "ok\n"


@pytest.mark.needs("tlsdesc")
def test_tlsdesc_relaxes_to_initial_exec(tc):
    lib = tc.so("libdefs.so", tc.c(DEFS, "-fPIC", name="defs"))
    uses = tc.c(USES, "-O1", *tc.target.tls_dialect(True), "-fPIC", name="uses")
    exe = judge(tc, "exe", "prog", uses, tc.c(MAIN, name="main"), lib)
    assert descriptor(tc) not in {r.type for r in tc.elf(exe).dynrelocs()}
    assert tc.out(exe) == "ok\n"


@pytest.mark.parametrize("dialect", ["gnu", pytest.param("gnu2", marks=pytest.mark.needs("tlsdesc"))])
def test_dlopened_library(tc, dialect):
    flags = ["-O1", "-fPIC", *tc.target.tls_dialect(dialect == "gnu2")]
    lib = tc.so("libtls.so", tc.c(DEFS, *flags, name="defs"), tc.c(USES, *flags, name="uses"))
    main = tc.c("""
        #include <dlfcn.h>
        #include <stdio.h>
        int main(int argc, char **argv) {
          void *h = dlopen(argv[1], RTLD_NOW);
          if (!h) { puts(dlerror()); return 1; }
          puts(((int (*)(void))dlsym(h, "tls_check"))() ? "ok" : "bad");
        }""", name="main")
    assert tc.out(tc.exe("prog", main, "-ldl"), lib) == "ok\n"


def test_library_uses_variable_of_executable(tc):
    lib = tc.so("libuse.so", tc.c("extern __thread int t_init; int get(void) { return t_init; }", "-fPIC", name="use"))
    main = tc.c('#include <stdio.h>\n__thread int t_init = 11; int get(void); int main(void) { t_init++; printf("%d\\n", get()); }', name="main")
    exe = tc.exe("prog", main, lib)
    s = tc.elf(exe).dynsym("t_init")
    assert s.defined and s.type == "STT_TLS"
    assert tc.out(exe) == "12\n"


def test_two_libraries_and_two_modules(tc):
    a = tc.so("liba.so", tc.c("__thread int x = 1; __thread int ax[100]; int fa(void) { return x + ax[99]; }", "-fPIC", name="a"))
    b = tc.so("libb.so", tc.c("static __thread int y = 2; static __thread int z; int fb(void) { return y + z; }", "-fPIC", name="b"), a)
    main = tc.c("""
        #include <stdio.h>
        int fa(void), fb(void); extern __thread int x; __thread int w = 40;
        int main(void) { x += 10; printf("%d\\n", fa() + fb() + w); }""", name="main")
    assert tc.out(tc.exe("prog", main, a, b)) == "53\n"


def test_tls_segment(tc):
    objs = [tc.c(DEFS, name="defs"), tc.c(USES, name="uses"), tc.c(MAIN, name="main")]
    e = tc.elf(tc.exe("prog", *objs, "-pthread"))
    p, tdata, tbss = e.segment("PT_TLS"), e.section(".tdata"), e.section(".tbss")
    assert p.vaddr == tdata.addr and p.filesz == tdata.size and p.align == 64
    assert p.memsz == tbss.addr + tbss.size - tdata.addr
    assert e.flags(".tdata") == e.flags(".tbss") == "WAT"
    assert p.vaddr % p.align == p.offset % p.align
    assert p.vaddr % p.align == 0, "TP offsets assume the block starts aligned"


def test_tls_symbol_values_are_offsets_in_the_block(tc):
    e = tc.elf(tc.so("libt.so", tc.c(DEFS, "-fPIC")))
    memsz = e.segment("PT_TLS").memsz
    for name in ("t_init", "t_zero", "t_pad", "t_big"):
        s = e.dynsym(name)
        assert s.type == "STT_TLS" and s.value + s.size <= memsz


def test_weak_undefined_tls(tc):
    src = 'extern __thread int nowhere __attribute__((weak)); #include <stdio.h>'
    src = '#include <stdio.h>\nextern __thread int nowhere __attribute__((weak)); int *p(void) { return 0 ? &nowhere : 0; } int main(void) { puts(p() ? "bad" : "ok"); }'
    assert tc.out(tc.exe("prog", tc.c(src, "-O0"))) == "ok\n"


def test_only_tbss(tc):
    main = tc.c('#include <stdio.h>\nstatic __thread char big[5000]; static __thread int n; int main(void) { n++; big[4999] = 1; printf("%d\\n", n + big[4999]); }')
    exe = tc.exe("prog", main)
    p = tc.elf(exe).segment("PT_TLS")
    assert p.filesz == 0 and p.memsz >= 5004
    assert tc.out(exe) == "2\n"


def test_large_alignment_in_static(tc):
    src = """
        #include <stdio.h>
        #include <stdint.h>
        __thread char a = 1; __thread char b[8] __attribute__((aligned(256))) = "x"; __thread char c;
        int main(void) { puts((uintptr_t)b % 256 == 0 && b[0] == 'x' && a == 1 && !c ? "ok" : "bad"); }"""
    for mode, (cflags, ldflags) in EXE_MODES.items():
        if mode != "static-pie" or "static-pie" in tc.target.features:
            assert tc.out(tc.exe(f"prog-{mode}", *ldflags, tc.c(src, *cflags, name=f"m-{mode}"))) == "ok\n", mode


def test_local_exec_in_a_shared_object_is_an_error(tc):
    """i386 has a dynamic relocation for it, which costs a text relocation."""
    obj = tc.c("static __thread int x; int f(void) { return x; }", "-fPIC", "-ftls-model=local-exec")
    done = tc.link("lib.so", "-shared", obj, check=False)
    if tc.target.name == "i386":
        assert [r.type for r in tc.elf(done.path).dynrelocs()].count("R_386_TLS_TPOFF") == 1
        return
    assert done.rc == 1
    assert "TPOFF" in done.err or "recompile with -fPIC" in done.err


def test_tls_against_not_tls_is_an_error(tc):
    a = tc.c("int x = 1;", name="a")
    b = tc.c("extern __thread int x; int main(void) { return x; }", name="b")
    done = tc.link("prog", a, b, check=False)
    assert done.rc == 1 and "x" in done.err and "TLS" in done.err.upper()


@pytest.mark.parametrize("mode", EXE_MODES)
def test_cxx_thread_local_with_constructor(tc, mode):
    cflags, ldflags = EXE_MODES[mode]
    a = tc.cxx("#include <string>\nthread_local std::string s = std::string(20, 'q');", *cflags, name="a")
    b = tc.cxx('#include <iostream>\n#include <thread>\nextern thread_local std::string s;\n'
               'int main() { s += "!"; std::string o; std::thread([&] { o = s; }).join(); std::cout << s << o << std::endl; }', *cflags, name="b")
    exe = tc.exe("prog", *ldflags, a, b, "-pthread", driver="g++")
    assert tc.out(exe) == "q" * 20 + "!" + "q" * 20 + "\n"
