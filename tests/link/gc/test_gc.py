"""--gc-sections: what is kept, what goes, what is said (GNU ld manual, --gc-sections and KEEP)."""

import pytest

from harness.toolchain import EXE_MODES

FLAGS = ("-ffunction-sections", "-fdata-sections", "-O1")
GC = "-Wl,--gc-sections"


def names(elf):
    return {s.name for s in elf.symbols}


@pytest.mark.parametrize("mode", EXE_MODES)
def test_dead_code_and_data_go(tc, mode):
    cflags, ldflags = EXE_MODES[mode]
    obj = tc.c("""
        #include <stdio.h>
        int dead_data[100000] = {1}; int dead(void) { return dead_data[3]; } static int chain2(void) { return 2; }
        int chain1(void) { return chain2() + dead(); }
        int live_data = 4; __attribute__((noinline)) int live(void) { __asm__ volatile(""); return live_data; }
        int main(void) { printf("%d\\n", live()); }""", *FLAGS, *cflags)
    exe = tc.exe("prog", *ldflags, GC, obj)
    assert tc.out(exe) == "4\n"
    e = tc.elf(exe)
    assert {"live", "live_data", "main"} <= names(e) and not {"dead", "dead_data", "chain1", "chain2"} & names(e)
    assert e.section(".data").size < 400000


def test_without_the_option_all_stays(tc):
    obj = tc.c("int dead(void) { return 1; } int main(void) { return 0; }", *FLAGS)
    assert "dead" in names(tc.elf(tc.exe("p1", obj)))
    assert "dead" in names(tc.elf(tc.exe("p2", GC, "-Wl,--no-gc-sections", obj)))


def test_roots_of_a_shared_object_are_its_exports(tc):
    src = """
        int shown(void) { return 1; }
        __attribute__((visibility("hidden"))) int hidden_dead(void) { return 2; }
        static int __attribute__((used)) static_dead(void) { return 3; }"""
    e = tc.elf(tc.so("libg.so", GC, tc.c(src, "-fPIC", *FLAGS)))
    assert "shown" in names(e) and "hidden_dead" not in names(e)
    script = tc.write("v.map", "{ local: *; };")
    e = tc.elf(tc.so("libh.so", GC, tc.c(src, "-fPIC", *FLAGS), f"-Wl,--version-script={script}"))
    assert "shown" not in names(e)


def test_roots_of_an_executable(tc):
    """-u, -e, --export-dynamic, init and fini functions and what shared libraries refer to are kept."""
    lib = tc.so("libcb.so", tc.c("int cb(void); int call(void) { return cb(); }", "-fPIC", name="lib"))
    obj = tc.c("""
        #include <stdio.h>
        int call(void); int cb(void) { return 5; } int forced(void) { return 1; } int dead(void) { return 2; }
        __attribute__((constructor)) static void before(void) { puts("before"); }
        __attribute__((destructor)) static void after(void) { puts("after"); }
        int main(void) { printf("%d\\n", call()); }""", *FLAGS)
    exe = tc.exe("prog", GC, "-Wl,-u,forced", obj, lib)
    assert tc.out(exe) == "before\n5\nafter\n"
    assert {"cb", "forced"} <= names(tc.elf(exe)) and "dead" not in names(tc.elf(exe))
    assert "dead" in names(tc.elf(tc.exe("p2", GC, "-rdynamic", obj, lib)))


@pytest.mark.parametrize("mode", ["pie", "static"])
def test_start_stop_symbols_keep_their_section(tc, mode):
    """A reference to __start_X keeps every input section X; without one they go unless they are otherwise live."""
    cflags, ldflags = EXE_MODES[mode]
    obj = tc.c("""
        #include <stdio.h>
        extern int __start_kept[], __stop_kept[];
        __attribute__((section("kept"))) int a = 1, b = 2;
        int main(void) { int n = 0; for (int *p = __start_kept; p < __stop_kept; p++) n += *p; printf("%d\\n", n); }""", *FLAGS, *cflags, name="a")
    more = tc.c('__attribute__((section("kept"))) int c = 4; __attribute__((section("lost"))) int d = 8;', *FLAGS, *cflags, name="b")
    exe = tc.exe("prog", *ldflags, GC, obj, more)
    assert tc.out(exe) == "7\n"
    assert tc.elf(exe).section("lost") is None and tc.elf(exe).section("kept").size == 12


def test_start_stop_gc(tc):
    obj = tc.c("""
        extern int __start_set[] __attribute__((weak)), __stop_set[] __attribute__((weak));
        __attribute__((section("set"))) int a = 1;
        int main(void) { return __start_set != __stop_set; }""", *FLAGS)
    assert tc.run(tc.exe("p1", GC, "-Wl,-z,nostart-stop-gc", obj), check=False).rc == 1
    assert tc.run(tc.exe("p2", GC, "-Wl,-z,start-stop-gc", obj), check=False).rc == 0


def test_retain(tc):
    """SHF_GNU_RETAIN: __attribute__((retain))."""
    obj = tc.c('__attribute__((used, retain)) static int keep = 1; __attribute__((used)) static int lose = 1; int main(void) { return 0; }', *FLAGS)
    n = names(tc.elf(tc.exe("prog", GC, obj)))
    assert "keep" in n and "lose" not in n


@pytest.mark.targets("amd64", "i386", "aarch64", "ppc64", "ppc64le")
def test_link_order_section_lives_with_its_section(tc):
    """SHF_LINK_ORDER: kept when the section sh_link names is kept, and placed in its order (gABI, sh_flags)."""
    src = """
        .globl main
        .section .text.main,"ax",%progbits
        main: {ret}
        .section meta,"ao",%progbits,.text.main
        .quad 1
        .section .text.dead,"ax",%progbits
        dead: {ret}
        .section meta,"ao",%progbits,.text.dead
        .quad 2
        """.replace("{ret}", "blr" if "ppc" in tc.target.name else "ret")
    e = tc.elf(tc.exe("prog", GC, tc.asm(src.replace("%progbits", "@progbits"))))
    assert e.section("meta").size == 8 and "dead" not in names(e)


def test_group_members_live_and_die_together(tc):
    a = tc.cxx("struct S { virtual ~S() {} virtual int f() { return 1; } }; template <class T> __attribute__((noinline)) int used(T t) { return t; }"
               "template <class T> int unused(T t) { return t; } template int used<int>(int); template int unused<long>(long);"
               "int main() { return used<int>(0); }", *FLAGS)
    n = names(tc.elf(tc.exe("prog", GC, a, driver="g++")))
    assert "_Z4usedIiEiT_" in n and "_Z6unusedIlEiT_" not in n


@pytest.mark.needs("eh-frame")
def test_fdes_of_dead_code_go(tc):
    objs = [tc.c("".join(f"int d{i}(void) {{ return {i}; }}" for i in range(50)) + "int main(void) { return 0; }", *FLAGS, "-fexceptions")]
    with_gc, without = (tc.elf(tc.exe(n, *f, *objs)) for n, f in (("p1", (GC,)), ("p2", ())))
    assert without.section(".eh_frame").size - with_gc.section(".eh_frame").size >= 50 * 16
    assert without.section(".eh_frame_hdr").size - with_gc.section(".eh_frame_hdr").size == 50 * 8


def test_debug_sections_stay_and_do_not_keep_code(tc):
    obj = tc.c("int dead(void) { return 1; } int main(void) { return 0; }", *FLAGS, "-g")
    e = tc.elf(tc.exe("prog", GC, obj))
    assert e.section(".debug_info") and "dead" not in names(e)


def test_lsda_and_personality_are_kept(tc):
    obj = tc.cxx("""
        #include <cstdio>
        static void boom(int n) { if (n) throw n; }
        int main() { try { boom(3); } catch (int n) { std::printf("%d\\n", n); } }""", *FLAGS)
    for mode in ("pie", "static"):
        assert tc.out(tc.exe(f"p-{mode}", *EXE_MODES[mode][1], GC, tc.cxx("""
        #include <cstdio>
        static void boom(int n) { if (n) throw n; }
        int main() { try { boom(3); } catch (int n) { std::printf("%d\\n", n); } }""", *FLAGS, *EXE_MODES[mode][0], name=mode), driver="g++")) == "3\n"
    assert tc.out(tc.exe("prog", GC, obj, driver="g++")) == "3\n"


def test_print_gc_sections(tc):
    obj = tc.c("int dead(void) { return 1; } int main(void) { return 0; }", *FLAGS, name="printed")
    done = tc.link("prog", GC, "-Wl,--print-gc-sections", obj)
    said = done.out + done.err
    line = next(s for s in said.splitlines() if ".text.dead" in s)
    assert "removing unused section" in line and "printed.o" in line
    assert ".text.main" not in said


def test_collected_library_is_not_needed(tc):
    """A library that only dead code uses is not NEEDED under --as-needed."""
    lib = tc.so("libd.so", tc.c("int from_lib(void) { return 1; }", "-fPIC", name="lib"))
    obj = tc.c("int from_lib(void); int dead(void) { return from_lib(); } int main(void) { return 0; }", *FLAGS)
    e = tc.elf(tc.exe("prog", GC, obj, "-Wl,--as-needed", lib))
    assert "from_lib" not in e.dynamic_names(defined=False)


def test_undefined_symbol_in_dead_code_is_no_error(tc):
    obj = tc.c("int nowhere(void); int dead(void) { return nowhere(); } int main(void) { return 0; }", *FLAGS)
    assert tc.link("p1", GC, obj).rc == 0
    assert tc.link("p2", obj, check=False).rc == 1


def test_no_plt_or_got_for_dead_references(tc):
    obj = tc.c("#include <stdio.h>\nint dead(void) { return puts(\"x\"); } int main(void) { return 0; }", *FLAGS)
    e = tc.elf(tc.exe("prog", GC, obj))
    assert "puts" not in {r.symbol for r in e.dynrelocs()}


def test_in_relocatable_output(tc):
    """-r --gc-sections keeps what -u or -e names (GNU ld manual: an explicit root is needed)."""
    obj = tc.c("int dead(void) { return 1; } int root(void) { return 2; }", *FLAGS)
    e = tc.elf(tc.ld("out.o", "-r", "--gc-sections", "-u", "root", obj).path)
    assert "root" in names(e) and e.section(".text.dead") is None


def test_descriptions_go_with_their_file(tc):
    """A file of which no allocated section is live, notes aside, loses its unallocated ones too, as with GNU ld."""
    live = tc.asm("""
        .text
        .globl _start
        _start: .long 0
        .section .mine,"",%progbits
        .long 1""", name="live")
    dead = tc.asm("""
        .section .text.dead,"ax",%progbits
        .long 0
        .section .note.own,"a",%note
        .long 4, 0, 1
        .asciz "own"
        .section .mine,"",%progbits
        .long 2
        .section .debug_own,"",%progbits
        .long 3""", name="dead")
    bare = tc.asm("""
        .section .mine,"",%progbits
        .long 4""", name="bare")
    exe = tc.ld("prog", "-static", "--gc-sections", "-e", "_start", live, dead, bare)
    e = tc.elf(exe.path)
    assert [e.section(".mine").size, ".debug_own" in {s.name for s in e.sections}] == [4, False]
    without = tc.elf(tc.ld("all", "-static", live, dead, bare).path)
    assert [without.section(".mine").size, ".debug_own" in {s.name for s in without.sections}] == [12, True]
