"""Symbol resolution: weak, common, undefined, COMDAT, duplicates, visibility, wrap, defsym."""

import pytest

from harness.judges import assert_failed, judge
from harness.toolchain import EXE_MODES

P = '#include <stdio.h>\n'


# -- weak and undefined

@pytest.mark.parametrize("mode", EXE_MODES)
def test_weak_undefined_is_zero(tc, mode):
    cflags, ldflags = EXE_MODES[mode]
    obj = tc.c(P + """
        __attribute__((weak)) int wf(void); __attribute__((weak)) extern int wv;
        int (*pf)(void) = wf; int *pv = &wv;
        int main(void) { puts(!wf && !&wv && !pf && !pv ? "zero" : "not"); if (wf) wf(); }""", *cflags)
    assert tc.out(tc.exe("prog", *ldflags, obj)) == "zero\n"


@pytest.mark.parametrize("mode", EXE_MODES)
def test_strong_beats_weak(tc, mode):
    cflags, ldflags = EXE_MODES[mode]
    w = tc.c("__attribute__((weak)) int f(void) { return 1; } __attribute__((weak)) int v = 1;", *cflags, name="w")
    s = tc.c("int f(void) { return 2; } int v = 2;", *cflags, name="s")
    m = tc.c(P + 'int f(void); extern int v; int main(void) { printf("%d\\n", f() * 10 + v); }', *cflags, name="m")
    for i, order in enumerate(((w, s, m), (m, s, w), (m, w, s))):
        assert tc.out(tc.exe(f"p{i}", *ldflags, *order)) == "22\n"


def test_first_weak_definition_wins(tc):
    a = tc.c("__attribute__((weak)) int f(void) { return 1; }", name="a")
    b = tc.c("__attribute__((weak)) int f(void) { return 2; }", name="b")
    m = tc.c(P + 'int f(void); int main(void) { printf("%d\\n", f()); }', name="m")
    assert tc.out(tc.exe("p1", m, a, b)) == "1\n" and tc.out(tc.exe("p2", m, b, a)) == "2\n"


def test_regular_weak_definition_beats_a_library(tc):
    lib = tc.so("libs.so", tc.c("int f(void) { return 1; }", "-fPIC", name="s"))
    w = tc.c("__attribute__((weak)) int f(void) { return 2; }", name="w")
    m = tc.c(P + 'int f(void); int main(void) { printf("%d\\n", f()); }', name="m")
    assert tc.out(tc.exe("p1", m, lib, w)) == "2\n" and tc.out(tc.exe("p2", m, w, lib)) == "2\n"


def test_first_library_wins(tc):
    a = tc.so("liba.so", tc.c("int f(void) { return 1; }", "-fPIC", name="a"))
    b = tc.so("libb.so", tc.c("int f(void) { return 2; }", "-fPIC", name="b"))
    m = tc.c(P + 'int f(void); int main(void) { printf("%d\\n", f()); }', name="m")
    assert tc.out(tc.exe("p1", m, a, b)) == "1\n" and tc.out(tc.exe("p2", m, b, a)) == "2\n"


def test_weak_undefined_in_library_stays_dynamic(tc):
    lib = judge(tc, "so", "libw.so", tc.c("__attribute__((weak)) int w(void); int f(void) { return w ? w() : -1; }", "-fPIC"))
    s = tc.elf(lib).dynsym("w")
    assert s.bind == "STB_WEAK" and not s.defined
    m1 = tc.c(P + 'int f(void); int main(void) { printf("%d\\n", f()); }', name="m1")
    m2 = tc.c(P + 'int f(void); int w(void) { return 5; } int main(void) { printf("%d\\n", f()); }', name="m2")
    assert tc.out(tc.exe("p1", m1, lib)) == "-1\n" and tc.out(tc.exe("p2", m2, lib)) == "5\n"


def test_hidden_weak_undefined(tc):
    obj = tc.c("__attribute__((weak, visibility(\"hidden\"))) int w(void); int f(void) { return w ? 1 : 2; }", "-fPIC")
    lib = judge(tc, "so", "libh.so", obj)
    assert tc.elf(lib).dynsym("w") is None
    m = tc.c(P + 'int f(void); int main(void) { printf("%d\\n", f()); }', name="m")
    assert tc.out(tc.exe("prog", m, lib)) == "2\n"


@pytest.mark.parametrize("flags", [("-Wl,-z,undefs",), ("-Wl,--unresolved-symbols=ignore-all",), ("-Wl,--warn-unresolved-symbols",),
                                   ("-Wl,--unresolved-symbols=ignore-in-object-files",)])
def test_undefined_allowed(tc, flags):
    obj = tc.c("int nowhere(void); int main(int c, char **v) { return c > 5 ? nowhere() : 0; }", "-fno-pie")
    done = tc.link("prog", "-no-pie", *flags, obj)
    assert tc.run(done.path).rc == 0
    assert ("warning" in done.err) == ("--warn" in flags[0])


def test_undefined_in_shared_library_is_allowed_unless_defs(tc):
    obj = tc.c("int nowhere(void); int f(void) { return nowhere(); }", "-fPIC")
    assert tc.elf(tc.so("liba.so", obj)).dynsym("nowhere").defined is False
    for flag in ("-Wl,--no-undefined", "-Wl,-z,defs"):
        assert_failed(tc.link("libb.so", "-shared", flag, obj, check=False), "nowhere")


def test_undefined_of_a_library_checked_in_an_executable(tc):
    lib = tc.so("libu.so", tc.c("int nowhere(void); int f(void) { return nowhere(); }", "-fPIC", name="u"))
    m = tc.c("int f(void); int main(int c, char **v) { return c > 5 ? f() : 0; }", name="m")
    assert_failed(tc.link("p1", m, lib, check=False), "nowhere")
    assert tc.link("p2", m, lib, "-Wl,--allow-shlib-undefined").rc == 0
    assert tc.link("p3", m, lib, "-Wl,--unresolved-symbols=ignore-in-shared-libs").rc == 0


def test_rpath_link_finds_the_needed_library_of_a_library(tc):
    (tc.dir / "deep").mkdir()
    deep = tc.so("deep/libdeep.so", tc.c("int deep(void) { return 1; }", "-fPIC", name="deep"))
    mid = tc.so("libmid.so", tc.c("int deep(void); int mid(void) { return deep(); }", "-fPIC", name="mid"), deep)
    m = tc.c("int mid(void); int main(void) { return mid() - 1; }", name="m")
    e = tc.elf(tc.exe("prog", m, mid, "-Wl,-rpath-link,deep"))
    assert e.needed[0] == "libmid.so" and "libdeep.so" not in e.needed


def test_symbol_of_an_indirect_library_needs_the_library(tc):
    """--no-copy-dt-needed-entries is the default: GNU ld says "DSO missing from command line"."""
    deep = tc.so("libdeep.so", tc.c("int deep(void) { return 1; }", "-fPIC", name="deep"))
    mid = tc.so("libmid.so", tc.c("int deep(void); int mid(void) { return deep(); }", "-fPIC", name="mid"), deep)
    m = tc.c("int mid(void), deep(void); int main(void) { return mid() - deep(); }", name="m")
    done = tc.link("p1", m, mid, f"-Wl,-rpath-link,{tc.dir}", check=False)
    assert_failed(done, "deep")
    assert tc.run(tc.exe("p2", m, mid, deep)).rc == 0


# -- common

def test_commons_merge_to_the_largest(tc):
    a = tc.c("char buf[10]; int n;", "-fcommon", name="a")
    b = tc.c("char buf[1000]; int n;", "-fcommon", name="b")
    m = tc.c("extern char buf[]; extern int n; int main(void) { buf[999] = 1; return n; }", name="m")
    e = tc.elf(tc.exe("prog", a, b, m))
    s = e.symbol("buf")
    assert s.size == 1000 and e.sections[s.shndx].name == ".bss"
    align = max(tc.elf(obj).symbol("buf").value for obj in (a, b))     # of a common symbol in an object
    assert align > 1 and s.value % align == 0
    assert tc.run(tc.dir / "prog").rc == 0


def test_definition_beats_common(tc):
    a = tc.c("int n;", "-fcommon", name="a")
    b = tc.c("int n = 5;", name="b")
    m = tc.c(P + 'extern int n; int main(void) { printf("%d\\n", n); }', name="m")
    for i, order in enumerate(((a, b, m), (b, a, m))):
        assert tc.out(tc.exe(f"p{i}", *order)) == "5\n"


def test_common_alignment(tc):
    obj = tc.asm(".globl main\nmain: ret\n.comm big,64,64\n.comm small,1,1\n.comm page,16,4096\n") if tc.target.name == "amd64" else tc.c(
        "char big[64] __attribute__((aligned(64))); char page[16] __attribute__((aligned(4096))); int main(void) { return 0; }", "-fcommon")
    e = tc.elf(tc.exe("prog", obj))
    assert e.addr("big") % 64 == 0 and e.addr("page") % 4096 == 0
    assert e.symbol("page").type == "STT_OBJECT"


def test_warn_common(tc):
    a, b = tc.c("int n;", "-fcommon", name="a"), tc.c("int n; int main(void) { return 0; }", "-fcommon", name="b")
    done = tc.link("prog", "-Wl,--warn-common", a, b)
    assert "n" in done.err and "common" in done.err


def test_common_against_library_data(tc):
    """A common symbol of the program holds the variable for the library too."""
    lib = tc.so("libv.so", tc.c("int v = 3; int get(void) { return v; }", "-fPIC", name="v"))
    m = tc.c(P + 'int v; int get(void); int main(void) { v = 9; printf("%d\\n", get()); }', "-fcommon", name="m")
    assert tc.out(tc.exe("prog", m, lib)) == "9\n"


# -- duplicates and COMDAT

def test_duplicate_definitions(tc):
    a, b = tc.c("int f(void) { return 1; }", name="a"), tc.c("int f(void) { return 2; }", name="b")
    m = tc.c(P + 'int f(void); int main(void) { printf("%d\\n", f()); }', name="m")
    assert_failed(tc.link("p0", m, a, b, check=False), "f")
    for i, flag in enumerate(("-Wl,-z,muldefs", "-Wl,--allow-multiple-definition")):
        assert tc.out(tc.exe(f"p{i}x", flag, m, a, b)) == "1\n"


def test_comdat_is_one(tc):
    src = "inline int count() {{ static int n; return ++n; }} template <class T> T *inst() {{ static T t; return &t; }} int {0}() {{ return count(); }} long *p{0}() {{ return inst<long>(); }}"
    a, b = tc.cxx(src.format("a"), name="a"), tc.cxx(src.format("b"), name="b")
    m = tc.cxx(P + 'int a(), b(); long *pa(), *pb(); int main() { a(); std::printf("%d %d\\n", b(), pa() == pb()); }'.replace("std::", ""), name="m")
    exe = tc.exe("prog", m, a, b, driver="g++")
    assert tc.out(exe) == "2 1\n"
    assert sum(s.name == "_Z5countv" for s in tc.elf(exe).symbols) == 1


def test_comdat_first_group_wins(tc):
    a = tc.cxx("inline int f() { return 1; } int a() { return f(); }", "-O0", name="a")
    b = tc.cxx("inline int f() { return 2; } int b() { return f(); }", "-O0", name="b")
    m = tc.cxx(P + 'int a(), b(); int main() { printf("%d%d\\n", a(), b()); }', name="m")
    assert tc.out(tc.exe("p1", m, a, b, driver="g++")) == "11\n"
    assert tc.out(tc.exe("p2", m, b, a, driver="g++")) == "22\n"


@pytest.mark.targets("amd64", "i386")
def test_linkonce(tc):
    src = '.section .gnu.linkonce.t.one,"ax",@progbits\n.globl one\n.weak one\none: mov ${0}, %eax\n ret\n.text\n.globl call{0}\ncall{0}: jmp one\n'
    a, b = tc.asm(src.format(1), name="a"), tc.asm(src.format(2), name="b")
    m = tc.c(P + 'int call1(void), call2(void); int main(void) { printf("%d%d\\n", call1(), call2()); }', name="m")
    assert tc.out(tc.exe("prog", m, a, b)) == "11\n"


@pytest.mark.lacks(bfd="the group's symbol resolves, the section is dropped silently")
def test_reference_into_a_discarded_comdat_section_is_an_error(tc):
    """A non-group section that refers to a local symbol of a dropped group (gABI, Section Groups)."""
    if tc.target.name != "amd64":
        return
    src = '.section .text.g,"axG",@progbits,sig,comdat\n.globl sig\n.weak sig\nsig: ret\nloc{0}: ret\n.text\n.globl f{0}\nf{0}: jmp loc{0}@PLT\n'
    a, b = tc.asm(src.format(1), name="a"), tc.asm(src.format(2), name="b")
    m = tc.c("int f1(void), f2(void); int main(void) { return 0; }", name="m")
    done = tc.link("prog", m, a, b, check=False)
    assert_failed(done, "discarded section")


def test_gnu_unique(tc):
    src = "struct S { static int &v() { static int n; return n; } }; int *{0}() { return &S::v(); }"
    a = tc.so("liba.so", tc.cxx(src.replace("{0}", "pa"), "-fPIC", name="a"), driver="g++")
    b = tc.so("libb.so", tc.cxx(src.replace("{0}", "pb"), "-fPIC", name="b"), driver="g++")
    assert any(s.bind == "STB_LOOS" for s in tc.elf(a).dynsyms), "pyelftools' name of STB_GNU_UNIQUE"
    assert tc.elf(a).header["e_ident"]["EI_OSABI"] == "ELFOSABI_LINUX"
    m = tc.cxx(P + 'int *pa(), *pb(); int main() { puts(pa() == pb() ? "one" : "two"); }', name="m")
    assert tc.out(tc.exe("prog", m, a, b, driver="g++")) == "one\n"


# -- visibility and export

VIS = """
__attribute__((visibility("hidden"))) int h(void) { return 1; }
__attribute__((visibility("internal"))) int i(void) { return 2; }
__attribute__((visibility("protected"))) int p(void) { return 3; }
int d(void) { return h() + i() + p(); }
int calls_p(void) { return p(); } int calls_d(void) { return d(); }
"""


def test_visibility_in_a_library(tc):
    lib = judge(tc, "so", "libvis.so", tc.c(VIS, "-fPIC"))
    e = tc.elf(lib)
    assert {"d", "p"} <= e.dynamic_names() and not {"h", "i"} & e.dynamic_names()
    assert e.dynsym("p").vis == "STV_PROTECTED"
    assert e.symbol("h").bind == "STB_LOCAL"


def test_protected_is_not_preempted(tc):
    lib = tc.so("libvis.so", tc.c(VIS, "-fPIC", name="vis"))
    m = tc.c(P + 'int calls_p(void), calls_d(void); int p(void) { return 100; } int d(void) { return 200; }'
             'int main(void) { printf("%d %d\\n", calls_p(), calls_d()); }', name="m")
    assert tc.out(tc.exe("prog", m, lib)) == "3 200\n"


def test_most_constraining_visibility_wins(tc):
    a = tc.c("int f(void) { return 1; } int g(void) { return f(); }", "-fPIC", name="a")
    b = tc.c('__attribute__((visibility("hidden"))) int f(void); int k(void) { return f(); }', "-fPIC", name="b")
    e = tc.elf(judge(tc, "so", "libv.so", a, b))
    assert "f" not in e.dynamic_names() and "g" in e.dynamic_names()


def test_hidden_symbol_of_another_object_in_a_library_is_not_found(tc):
    lib = tc.so("libh.so", tc.c(VIS, "-fPIC", name="vis"))
    m = tc.c("int h(void); int main(void) { return h(); }", name="m")
    assert_failed(tc.link("prog", m, lib, check=False), "h")


def test_hidden_undefined_is_an_error(tc):
    obj = tc.c('__attribute__((visibility("hidden"))) int nope(void); int f(void) { return nope(); }', "-fPIC")
    assert_failed(tc.link("liba.so", "-shared", obj, check=False), "nope")


def test_export_dynamic(tc):
    m = tc.c("int shown(void) { return 1; } __attribute__((visibility(\"hidden\"))) int kept(void) { return 1; } int main(void) { return 0; }")
    plain, every = tc.elf(tc.exe("p1", m)), tc.elf(tc.exe("p2", "-rdynamic", m))
    assert "shown" not in plain.dynamic_names()
    assert "shown" in every.dynamic_names() and "kept" not in every.dynamic_names()
    one = tc.elf(tc.exe("p3", "-Wl,--export-dynamic-symbol=sho*", m))
    assert "shown" in one.dynamic_names() and "main" not in one.dynamic_names()
    listed = tc.elf(tc.exe("p4", f"-Wl,--dynamic-list={tc.write('d.list', '{ shown; };')}", m))
    assert "shown" in listed.dynamic_names() and "main" not in listed.dynamic_names()


def test_executable_exports_what_a_library_refers_to(tc):
    lib = tc.so("libr.so", tc.c("int hook(void); int f(void) { return hook(); }", "-fPIC", name="r"))
    m = tc.c(P + 'int f(void); int hook(void) { return 4; } int other(void) { return 5; } int main(void) { printf("%d\\n", f()); }', name="m")
    exe = judge(tc, "exe", "prog", m, lib)
    assert "hook" in tc.elf(exe).dynamic_names() and "other" not in tc.elf(exe).dynamic_names()
    assert tc.out(exe) == "4\n"


def test_executable_exports_what_it_preempts(tc):
    """A definition that a library has too must be dynamic, or the library would use its own."""
    lib = tc.so("libp.so", tc.c("int v = 1; int f(void) { return 10; } int both(void) { return v + f(); }", "-fPIC", name="p"))
    m = tc.c(P + 'int v = 2; int f(void) { return 20; } int both(void); int main(void) { printf("%d\\n", both()); }', name="m")
    exe = judge(tc, "exe", "prog", m, lib)
    assert {"v", "f"} <= tc.elf(exe).dynamic_names()
    assert tc.out(exe) == "22\n"


BSYM = "int v = 1; int f(void) { return 10; } __attribute__((weak)) int w(void) { return 3; } int use(void) { return v + f() + w(); }"


@pytest.mark.parametrize("flag,total", [((), 100 + 1000 + 10000), (("-Wl,-Bsymbolic",), 1 + 10 + 3),
                                        (("-Wl,-Bsymbolic-functions",), 100 + 10 + 3),
                                        (("-Wl,-Bsymbolic", "-Wl,-Bno-symbolic"), 11100)])
def test_bsymbolic(tc, flag, total):
    lib = judge(tc, "so", "libb.so", *flag, tc.c(BSYM, "-fPIC", name="b"))
    m = tc.c(P + 'int v = 100; int f(void) { return 1000; } int w(void) { return 10000; } int use(void);'
             'int main(void) { printf("%d\\n", use()); }', name="m")
    assert tc.out(tc.exe("prog", m, lib)) == f"{total}\n"
    assert ("DF_SYMBOLIC" in tc.elf(lib).dyn_flags()) == (flag == ("-Wl,-Bsymbolic",))


@pytest.mark.lacks(bfd="no -Bsymbolic-non-weak", mold="no -Bsymbolic-non-weak")
@pytest.mark.parametrize("flag,total", [("-Bsymbolic-non-weak", 1 + 10 + 10000), ("-Bsymbolic-non-weak-functions", 100 + 10 + 10000)])
def test_bsymbolic_non_weak(tc, flag, total):
    lib = tc.so("libb.so", f"-Wl,{flag}", tc.c(BSYM, "-fPIC", name="b"))
    m = tc.c(P + 'int v = 100; int f(void) { return 1000; } int w(void) { return 10000; } int use(void);'
             'int main(void) { printf("%d\\n", use()); }', name="m")
    assert tc.out(tc.exe("prog", m, lib)) == f"{total}\n"


def test_dynamic_list_limits_preemption_in_a_library(tc):
    """With --dynamic-list a library binds everything else to itself (GNU ld manual, --dynamic-list)."""
    lib = tc.so("libd.so", tc.c(BSYM, "-fPIC", name="b"), f"-Wl,--dynamic-list={tc.write('d.list', '{ f; };')}")
    m = tc.c(P + 'int v = 100; int f(void) { return 1000; } int w(void) { return 10000; } int use(void);'
             'int main(void) { printf("%d\\n", use()); }', name="m")
    assert tc.out(tc.exe("prog", m, lib)) == f"{1 + 1000 + 3}\n"


# -- wrap, defsym, trace

def test_wrap(tc):
    a = tc.c("int f(void) { return 1; } int inner(void) { return f(); }", name="a")
    b = tc.c("int f(void); int outer(void) { return f(); }", name="b")
    w = tc.c("int __real_f(void); int __wrap_f(void) { return __real_f() + 100; }", name="w")
    m = tc.c(P + 'int inner(void), outer(void); int main(void) { printf("%d %d\\n", inner(), outer()); }', name="m")
    assert tc.out(tc.exe("prog", "-Wl,--wrap=f", m, a, b, w)) == "1 101\n"


def test_wrap_of_a_library_function(tc):
    w = tc.c(P + 'int __real_puts(const char *); int __wrap_puts(const char *s) { printf("[%s] ", s); return __real_puts(s); }', name="w")
    m = tc.c('int puts(const char *); int main(void) { puts("x"); }', "-fno-builtin", name="m")
    assert tc.out(tc.exe("prog", "-Wl,--wrap,puts", m, w)) == "[x] x\n"


def test_wrap_without_wrapper_is_an_error(tc):
    m = tc.c("int f(void); int main(void) { return f(); }", name="m")
    assert_failed(tc.link("prog", "-Wl,--wrap=f", m, tc.c("int f(void) { return 0; }", name="f"), check=False), "__wrap_f")


def test_defsym(tc):
    m = tc.c(P + 'extern char number[], alias[], moved[]; int target = 7; int real(void) { return 3; } int nick(void);'
             'int main(void) { printf("%ld %d %d %d\\n", (long)number, *(int *)alias, (int)(moved - alias), nick()); }', "-fno-pie")
    e = tc.exe("prog", "-no-pie", m, "-Wl,--defsym=number=0x1234", "-Wl,--defsym=alias=target", "-Wl,--defsym=moved=target+16",
               "-Wl,--defsym=nick=real")
    assert tc.out(e) == "4660 7 16 3\n"
    assert tc.elf(e).symbol("number").shndx == "SHN_ABS"


def test_defsym_in_pie(tc):
    m = tc.c(P + 'int real(void) { return 3; } int nick(void); int main(void) { printf("%d\\n", nick()); }')
    assert tc.out(tc.exe("prog", m, "-Wl,--defsym=nick=real")) == "3\n"


def test_defsym_to_undefined_is_an_error(tc):
    assert_failed(tc.link("prog", tc.c("int main(void) { return 0; }"), "-Wl,--defsym=x=nothing_there", check=False), "nothing_there")


def test_require_defined(tc):
    obj = tc.c("int main(void) { return 0; }")
    assert_failed(tc.link("prog", "-Wl,--require-defined=missing", obj, check=False), "missing")
    assert tc.link("prog2", "-Wl,-u,missing", obj).rc == 0


def test_trace_symbol(tc):
    a, m = tc.c("int f(void) { return 1; }", name="deffile"), tc.c("int f(void); int main(void) { return f(); }", name="reffile")
    done = tc.link("prog", "-Wl,-y,f", m, a)
    text = done.out + done.err
    lines = [line for line in text.splitlines() if "file.o" in line]
    assert any("reffile.o" in s and "reference" in s for s in lines) and any("deffile.o" in s and "definition" in s for s in lines)


# -- copy relocations and canonical PLTs

@pytest.mark.needs("copy")
def test_copy_relocation(tc):
    lib = tc.so("libv.so", tc.c("int v = 7; int pad[3]; int *addr(void) { return &v; }", "-fPIC", name="v"))
    m = tc.c(P + 'extern int v; int *addr(void); int main(void) { v++; printf("%d %d\\n", *addr(), addr() == &v); }', "-fno-pie", name="m")
    exe = judge(tc, "exe", "prog", "-no-pie", m, lib)
    e = tc.elf(exe)
    assert [r.symbol for r in e.dynrelocs() if r.type == tc.reloc("COPY")] == ["v"]
    assert e.sections[e.dynsym("v").shndx].name in (".bss", ".dynbss")
    assert tc.out(exe) == "8 1\n"


@pytest.mark.needs("copy")
@pytest.mark.parametrize("strength", ["weak", pytest.param("strong", marks=pytest.mark.lacks(bfd="moves weak aliases only"))])
def test_copy_relocation_keeps_aliases_together(tc, strength):
    """environ and __environ: all names of the copied address move to the copy."""
    attr = 'weak, alias("v")' if strength == "weak" else 'alias("v")'
    lib = tc.so("libv.so", tc.c(f"int v = 7; extern int other __attribute__(({attr})); int get(void) {{ return v; }} int get2(void) {{ return other; }}",
                                "-fPIC", name="v"))
    name = "other" if strength == "weak" else "v"
    m = tc.c(P + f'extern int {name}; int get(void), get2(void); int main(void) {{ {name} = 50; printf("%d %d\\n", get(), get2()); }}',
             "-fno-pie", name="m")
    exe = tc.exe("prog", "-no-pie", m, lib)
    assert tc.out(exe) == "50 50\n"
    assert tc.elf(exe).dynsym("other").value == tc.elf(exe).dynsym("v").value


@pytest.mark.needs("copy")
def test_copy_relocation_into_relro(tc):
    """A variable that is read-only in its library is copied to a page that becomes read-only (.data.rel.ro)."""
    lib = tc.so("libv.so", tc.c("const int table[4] = {1, 2, 3, 4};", "-fPIC", name="v"))
    m = tc.c(P + 'extern const int table[4]; int main(void) { printf("%d\\n", table[3]); }', "-fno-pie", name="m")
    exe = tc.exe("prog", "-no-pie", m, lib)
    e = tc.elf(exe)
    assert tc.out(exe) == "4\n"
    p, s = e.segment("PT_GNU_RELRO"), e.dynsym("table")
    assert p.vaddr <= s.value and s.value + s.size <= p.vaddr + p.memsz


@pytest.mark.needs("copy")
def test_nocopyreloc(tc):
    lib = tc.so("libv.so", tc.c("int v = 7;", "-fPIC", name="v"))
    m = tc.c("extern int v; int main(void) { return v - 7; }", "-fno-pie", name="m")
    done = tc.link("prog", "-no-pie", "-Wl,-z,nocopyreloc", m, lib, check=False)
    if done.rc == 0:
        assert not any(r.type == tc.reloc("COPY") for r in tc.elf(done.path).dynrelocs())
    else:
        assert "v" in done.err


def test_copy_of_protected_variable_is_an_error(tc):
    lib = tc.so("libv.so", tc.c('__attribute__((visibility("protected"))) int v = 7;', "-fPIC", name="v"))
    m = tc.c("extern int v; int main(void) { return v - 7; }", "-fno-pie", name="m")
    done = tc.link("prog", "-no-pie", m, lib, check=False)
    assert done.rc == 0 or "v" in done.err


@pytest.mark.needs("copy")
def test_canonical_plt(tc):
    """The address of a library function taken by non-PIC code is its PLT entry, for everybody."""
    lib = tc.so("libf.so", tc.c("int f(void) { return 7; } void *addr(void) { return (void *)f; }", "-fPIC", name="f"))
    m = tc.c(P + 'int f(void); void *addr(void); int (*const ro)(void) = f; int main(void) { printf("%d %d\\n", addr() == (void *)f, ro()); }',
             "-fno-pie", name="m")
    exe = judge(tc, "exe", "prog", "-no-pie", m, lib)
    s = tc.elf(exe).dynsym("f")
    if tc.target.name == "amd64":
        assert not s.defined and s.value != 0, "an undefined dynamic symbol with a value: the canonical PLT entry"
    assert tc.out(exe) == "1 7\n"


# -- needed libraries

def test_as_needed(tc):
    used = tc.so("libused.so", tc.c("int used(void) { return 0; }", "-fPIC", name="used"))
    not_used = tc.so("libnot.so", tc.c("int not_used(void) { return 0; }", "-fPIC", name="not"))
    m = tc.c("int used(void); int main(void) { return used(); }", name="m")
    e1 = tc.elf(tc.exe("p1", m, "-Wl,--as-needed", not_used, used))
    e2 = tc.elf(tc.exe("p2", m, "-Wl,--no-as-needed", not_used, used))
    assert e1.needed == ["libused.so", "libc.so.6"] and e2.needed == ["libnot.so", "libused.so", "libc.so.6"]


def test_as_needed_counts_references_of_libraries(tc):
    """A library that only another library needs is not NEEDED by the program when that one names it itself."""
    deep = tc.so("libdeep.so", tc.c("int deep(void) { return 1; }", "-fPIC", name="deep"))
    mid = tc.so("libmid.so", tc.c("int deep(void); int mid(void) { return deep(); }", "-fPIC", name="mid"), deep)
    m = tc.c("int mid(void); int main(void) { return mid() - 1; }", name="m")
    e = tc.elf(judge(tc, "exe", "prog", m, "-Wl,--as-needed", mid, deep))
    assert "libmid.so" in e.needed and "libdeep.so" not in e.needed


def test_as_needed_weak_reference(tc):
    lib = tc.so("libw.so", tc.c("int w(void) { return 0; }", "-fPIC", name="w"))
    m = tc.c("__attribute__((weak)) int w(void); int main(void) { return w ? w() : 0; }", "-fPIE", name="m")
    judge(tc, "exe", "prog", "-pie", m, "-Wl,--as-needed", lib)


def test_needed_order_and_duplicates(tc):
    libs = [tc.so(f"lib{n}.so", tc.c(f"int {n}(void) {{ return 0; }}", "-fPIC", name=n)) for n in "xyz"]
    m = tc.c("int x(void), y(void), z(void); int main(void) { return x() + y() + z(); }", name="m")
    e = tc.elf(tc.exe("prog", m, libs[2], libs[0], libs[1], libs[0]))
    assert e.needed == ["libz.so", "libx.so", "liby.so", "libc.so.6"]


def test_no_soname_uses_the_name_given(tc):
    tc.so("libplain.so", tc.c("int f(void) { return 0; }", "-fPIC", name="f"), soname=False)
    m = tc.c("int f(void); int main(void) { return f(); }", name="m")
    assert tc.elf(tc.exe("p1", m, "./libplain.so")).needed[0] == "./libplain.so"
    assert tc.elf(tc.exe("p2", m, "-L.", "-lplain")).needed[0] == "libplain.so"
