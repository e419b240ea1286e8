"""Constructors and destructors run in the order of their priorities."""

import pytest

from harness.toolchain import EXE_MODES

P = "#include <stdio.h>\n"


@pytest.mark.parametrize("mode", EXE_MODES)
def test_priorities(tc, mode):
    cflags, ldflags = EXE_MODES[mode]
    ctor = '__attribute__((constructor{0})) static void c{1}(void) {{ printf("c{1} "); }} __attribute__((destructor{0})) static void d{1}(void) {{ printf("d{1} "); }}\n'
    a = tc.c(P + ctor.format("(200)", 200) + ctor.format("", 0), *cflags, name="a")
    b = tc.c(P + ctor.format("(101)", 101) + ctor.format("(65534)", 65534) + ctor.format("(1000)", 1000), *cflags, name="b")
    m = tc.c(P + 'int main(void) { printf("main "); }', *cflags, name="m")
    exe = tc.exe("prog", *ldflags, m, a, b)
    assert tc.out(exe) == "c101 c200 c1000 c65534 c0 main d0 d65534 d1000 d200 d101 "


def test_cxx_static_objects_in_link_order(tc):
    src = '#include <cstdio>\nnamespace {{ struct N {{ N() {{ std::printf("{0} "); }} ~N() {{ std::printf("~{0} "); }} }}; }} static N n;'
    objs = [tc.cxx(src.format(c), name=c) for c in "abc"]
    m = tc.cxx("int main() {}", name="m")
    assert tc.out(tc.exe("prog", *objs, m, driver="g++")) == "a b c ~c ~b ~a "
    assert tc.out(tc.exe("rev", *reversed(objs), m, driver="g++")) == "c b a ~a ~b ~c "


def test_init_priority_attribute(tc):
    src = '#include <cstdio>\nnamespace {{ struct N {{ N() {{ std::printf("{0} "); }} }}; }} N n{0} __attribute__((init_priority({0})));'
    objs = [tc.cxx(src.format(p), name=f"p{p}") for p in (3000, 200, 65535)]
    assert tc.out(tc.exe("prog", *objs, tc.cxx("int main() {}", name="m"), driver="g++")) == "200 3000 65535 "


@pytest.mark.targets("amd64", "i386")
def test_ctors_are_merged_into_init_array(tc):
    """.ctors.N counts down from 65535 and runs backwards (GNU ld's default script: SORT_BY_INIT_PRIORITY)."""
    word = ".quad" if tc.target.bits == 64 else ".long"
    asm = tc.asm(f'.section .ctors.65335,"aw"\n{word} old200\n.section .ctors,"aw"\n{word} old\n.section .init_array.00150,"aw",@init_array\n{word} new150\n',
                 "-fno-pie", name="old")
    m = tc.c(P + 'void old200(void) { printf("200 "); } void old(void) { printf("last "); } void new150(void) { printf("150 "); } int main(void) { printf("main"); }',
             "-fno-pie", name="m")
    exe = tc.exe("prog", "-no-pie", m, asm)
    assert tc.out(exe) == "150 200 last main"
    assert tc.elf(exe).section(".ctors") is None


def test_constructors_of_libraries_first(tc):
    lib = tc.so("libc1.so", tc.c(P + '__attribute__((constructor)) static void c(void) { printf("lib "); } int f(void) { return 0; }', "-fPIC", name="l"))
    m = tc.c(P + '__attribute__((constructor)) static void c(void) { printf("exe "); } int f(void); int main(void) { return f(); }', name="m")
    assert tc.out(tc.exe("prog", m, lib)) == "lib exe "


def test_preinit_array(tc):
    m = tc.c(P + 'static void pre(void) { write_it(); } __attribute__((section(".preinit_array"), used)) static void (*p)(void) = pre;'
             '__attribute__((constructor)) static void c(void) { fputs("ctor ", stderr); } int main(void) { fputs("main", stderr); }'
             .replace("write_it()", 'fputs("pre ", stderr)'))
    exe = tc.exe("prog", m)
    assert tc.run(exe).err == "pre ctor main"
    assert {"DT_PREINIT_ARRAY", "DT_PREINIT_ARRAYSZ"} <= {t for t, _ in tc.elf(exe).dynamic}


def test_init_and_fini_functions(tc):
    m = tc.c(P + 'void my_init(void) { printf("init "); } void my_fini(void) { printf("fini"); fflush(stdout); } int f(void) { return 0; }', "-fPIC", name="m")
    lib = tc.so("libi.so", "-nostartfiles", "-Wl,-init,my_init", "-Wl,-fini=my_fini", m)
    e = tc.elf(lib)
    assert e.dyn("INIT") == e.pointer("my_init") and e.dyn("FINI") == e.pointer("my_fini")
    main = tc.c(P + 'int f(void); int main(void) { printf("main "); return f(); }', name="main")
    assert tc.out(tc.exe("prog", main, lib)) == "init main fini"
