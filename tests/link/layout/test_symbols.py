"""Symbols that the linker makes (GNU ld manual: Provide, Output Section Data; psABI)."""

import pytest

from harness.toolchain import EXE_MODES

P = "#include <stdio.h>\n"


@pytest.mark.parametrize("mode", EXE_MODES)
def test_text_data_and_end(tc, mode):
    cflags, ldflags = EXE_MODES[mode]
    obj = tc.c(P + """
        extern char etext[], _etext[], __etext[], edata[], _edata[], end[], _end[], __bss_start[];
        int data = 1; char bss[100];
        int main(void) {
          char *code = CODE;
          puts(etext == _etext && etext == __etext && edata == _edata && end == _end && code < etext && (char *)&data < edata
               && __bss_start >= edata && bss >= __bss_start && bss + 100 <= end ? "ok" : "bad"); }""", "-DCODE=" + ("*(char **)main" if tc.target.descriptors else "(char *)main"), *cflags)
    exe = tc.exe("prog", *ldflags, obj)
    assert tc.out(exe) == "ok\n"
    e = tc.elf(exe)
    text, bss = e.section(".text"), e.section(".bss")
    assert text.addr + text.size <= e.addr("etext") and e.addr("__bss_start") <= bss.addr
    assert bss.addr + bss.size <= e.addr("end")


def test_not_made_unless_wanted(tc):
    e = tc.elf(tc.exe("prog", tc.c("int main(void) { return 0; }")))
    names = {s.name for s in e.symbols}
    assert not {"etext", "edata", "end"} & names, "PROVIDEd names appear only when referenced"
    assert {"_end", "_edata", "__bss_start"} <= names


def test_own_definition_wins(tc):
    obj = tc.c(P + 'int end = 5, edata = 6, etext = 7; int main(void) { printf("%d\\n", end + edata + etext); }')
    assert tc.out(tc.exe("prog", obj)) == "18\n"


@pytest.mark.parametrize("mode", EXE_MODES)
def test_start_and_stop(tc, mode):
    cflags, ldflags = EXE_MODES[mode]
    src = '__attribute__((section("my_set"), used)) static int v{0} = {0};'
    main = tc.c(P + """
        extern int __start_my_set[], __stop_my_set[]; extern char __start_none[] __attribute__((weak));
        __attribute__((section("my_set"), used)) static int v = 100;
        int main(void) { int n = 0; for (int *p = __start_my_set; p < __stop_my_set; p++) n += *p; printf("%d %d\\n", n, __start_none != 0); }""",
                *cflags, name="main")
    objs = [tc.c(src.format(i), *cflags, name=f"o{i}") for i in (1, 2)]
    assert tc.out(tc.exe("prog", *ldflags, main, *objs)) == "103 0\n"


def test_start_stop_visibility(tc):
    src = 'extern int __start_vis[]; __attribute__((section("vis"))) int a = 1; int *f(void) { return __start_vis; }'
    obj = tc.c(src, "-fPIC")
    e = tc.elf(tc.so("liba.so", obj))
    s = e.dynsym("__start_vis")
    assert s is None or s.vis == "STV_PROTECTED"
    s = tc.elf(tc.so("libb.so", "-Wl,-z,start-stop-visibility=hidden", obj)).dynsym("__start_vis")
    assert s is None or s.vis == "STV_HIDDEN", "GNU ld leaves a hidden name in .dynsym"
    assert tc.elf(tc.so("libc1.so", "-Wl,-z,start-stop-visibility=default", obj)).dynsym("__start_vis").vis == "STV_DEFAULT"


def test_only_c_identifiers_get_start_and_stop(tc):
    obj = tc.asm('.section .not.c,"a"\n.long 1\n.text\n.globl main\nmain:\n.weak "__start_.not.c"\n')
    e = tc.elf(tc.so("liba.so", obj))
    s = e.symbol("__start_.not.c")
    assert s is None or not s.defined


@pytest.mark.parametrize("mode", EXE_MODES)
def test_ehdr_start_and_executable_start(tc, mode):
    cflags, ldflags = EXE_MODES[mode]
    obj = tc.c(P + """
        extern const unsigned char __ehdr_start[] __attribute__((visibility("hidden"))), __executable_start[] __attribute__((weak));
        int main(void) { printf("%c%c%c %d\\n", __ehdr_start[1], __ehdr_start[2], __ehdr_start[3], __executable_start == __ehdr_start); }""", *cflags)
    assert tc.out(tc.exe("prog", *ldflags, obj)) == "ELF 1\n"


@pytest.mark.parametrize("mode", EXE_MODES)
def test_init_and_fini_array_bounds(tc, mode):
    cflags, ldflags = EXE_MODES[mode]
    obj = tc.c(P + """
        typedef void (*fn)(void);
        #define H __attribute__((visibility("hidden")))
        extern fn __init_array_start[] H, __init_array_end[] H, __fini_array_start[] H, __fini_array_end[] H, __preinit_array_start[] H, __preinit_array_end[] H;
        static int n; __attribute__((constructor)) static void c(void) { n++; } __attribute__((destructor)) static void d(void) { n--; }
        int main(void) { printf("%d %d %d %d\\n", n, __init_array_end - __init_array_start >= 2, __fini_array_end - __fini_array_start >= 2,
                                __preinit_array_end == __preinit_array_start); }""", *cflags)
    exe = tc.exe("prog", *ldflags, obj)
    assert tc.out(exe) == "1 1 1 1\n"


def test_got_and_dynamic_symbols(tc):
    obj = tc.c(P + 'extern char _DYNAMIC[] __attribute__((visibility("hidden"))); int main(void) { printf("%d\\n", _DYNAMIC != 0); }')
    exe = tc.exe("prog", obj)
    e = tc.elf(exe)
    assert e.addr("_DYNAMIC") == e.section(".dynamic").addr == e.segment("PT_DYNAMIC").vaddr
    assert tc.out(exe) == "1\n"
    if tc.target.name == "amd64":
        got = e.section(".got.plt") or e.section(".got")
        assert e.addr("_GLOBAL_OFFSET_TABLE_") == got.addr
        assert e.word_at(got.addr) == e.section(".dynamic").addr


def test_gnu_eh_frame_hdr_and_dso_handle(tc):
    """Names crt files use: __dso_handle is theirs, the linker's __GNU_EH_FRAME_HDR is provided."""
    obj = tc.c("extern char __GNU_EH_FRAME_HDR[] __attribute__((weak, visibility(\"hidden\"))); int main(void) { return 0; }")
    assert tc.run(tc.exe("prog", obj)).rc == 0


@pytest.mark.lacks(lld="no .startof./.sizeof.", mold="likewise")
@pytest.mark.targets("amd64")
def test_startof_and_sizeof(tc):
    obj = tc.asm('.globl _start\n_start: ret\n.section sec,"aw"\n.quad 5\n.data\nptr: .quad .startof.sec, .sizeof.sec\n')
    e = tc.elf(tc.ld("out", "-e", "_start", obj).path)
    at = e.section(".data").addr
    assert e.word_at(at) == e.section("sec").addr and e.word_at(at + 8) == 8


def test_data_start_and_section_symbols_in_shared_objects(tc):
    """A DSO's own etext, end and __bss_start are not exported."""
    e = tc.elf(tc.so("liba.so", tc.c("int v; int f(void) { return v; }", "-fPIC")))
    assert not {"_end", "_edata", "__bss_start", "_etext", "_DYNAMIC", "_GLOBAL_OFFSET_TABLE_"} & e.dynamic_names()
