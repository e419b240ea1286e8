"""Archives: searched where they stand, groups, whole archives, kinds of archive (GNU ld manual, Options: -l, --start-group)."""

import pytest

from harness.toolchain import run_command

MAIN = '#include <stdio.h>\nint a(void); int main(void) { printf("%d\\n", a()); }'
A = "int b(void); int a(void) { return b() + 1; }"
B = "int c(void); int b(void) { return c() + 10; }"
C = "int c(void) { return 100; }"


def three(tc):
    return [tc.ar(f"lib{n}.a", tc.c(src, name=n)) for n, src in (("a", A), ("b", B), ("c", C))]


def test_in_order(tc):
    a, b, c = three(tc)
    assert tc.out(tc.exe("prog", tc.c(MAIN, name="main"), a, b, c)) == "111\n"


@pytest.mark.lacks(lld="order-free archives", mold="order-free archives")
def test_wrong_order_is_an_error(tc):
    a, b, c = three(tc)
    done = tc.link("prog", tc.c(MAIN, name="main"), c, b, a, check=False)
    assert done.rc == 1 and "b" in done.err


@pytest.mark.lacks(lld="order-free archives", mold="order-free archives")
def test_archive_before_the_reference_gives_nothing(tc):
    a, b, c = three(tc)
    assert tc.link("prog", a, b, c, tc.c(MAIN, name="main"), check=False).rc == 1


@pytest.mark.parametrize("words", [("-Wl,--start-group", "-Wl,--end-group"), ("-Wl,-(", "-Wl,-)")])
def test_group(tc, words):
    a, b, c = three(tc)
    assert tc.out(tc.exe("prog", tc.c(MAIN, name="main"), words[0], c, b, a, words[1])) == "111\n"


def test_mutual_reference_inside_one_archive(tc):
    lib = tc.ar("liball.a", tc.c(C, name="c"), tc.c(B, name="b"), tc.c(A, name="a"))
    assert tc.out(tc.exe("prog", tc.c(MAIN, name="main"), lib)) == "111\n"


def test_unneeded_member_stays_out(tc):
    lib = tc.ar("libx.a", tc.c("int a(void) { return 1; }", name="a"), tc.c("int never(void) { return nowhere(); }", "-Wno-implicit-function-declaration", name="n"))
    e = tc.elf(tc.exe("prog", tc.c(MAIN, name="main"), lib))
    assert e.symbol("never") is None


def test_first_archive_wins(tc):
    one = tc.ar("libone.a", tc.c("int a(void) { return 1; }", name="a1"))
    two = tc.ar("libtwo.a", tc.c("int a(void) { return 2; }", name="a2"))
    main = tc.c(MAIN, name="main")
    assert tc.out(tc.exe("p1", main, one, two)) == "1\n"
    assert tc.out(tc.exe("p2", main, two, one)) == "2\n"


def test_object_definition_beats_archive(tc):
    lib = tc.ar("liba.a", tc.c("int a(void) { return 1; } int other(void) { return 5; }", name="a1"))
    assert tc.out(tc.exe("prog", tc.c(MAIN, name="main"), tc.c("int a(void) { return 2; }", name="a2"), lib)) == "2\n"


@pytest.mark.lacks(lld="archive members wait for the strong reference", mold="likewise")
def test_shared_library_before_archive_wins(tc):
    so = tc.so("libs.so", tc.c("int a(void) { return 3; }", "-fPIC", name="s"))
    ar = tc.ar("liba.a", tc.c("int a(void) { return 4; }", name="a"))
    main = tc.c(MAIN, name="main")
    assert tc.out(tc.exe("p1", main, so, ar)) == "3\n"
    assert tc.out(tc.exe("p2", main, ar, so)) == "4\n"


def test_weak_reference_does_not_load_a_member(tc):
    main = tc.c('#include <stdio.h>\n__attribute__((weak)) int a(void); int main(void) { puts(a ? "loaded" : "absent"); }', name="main")
    lib = tc.ar("liba.a", tc.c("int a(void) { return 1; }", name="a"))
    assert tc.out(tc.exe("p1", "-no-pie", main, lib)) == "absent\n"
    assert tc.out(tc.exe("p2", "-no-pie", main, "-Wl,-u,a", lib)) == "loaded\n"


def test_weak_definition_is_not_replaced_from_an_archive(tc):
    main = tc.c('#include <stdio.h>\n__attribute__((weak)) int a(void) { return 1; } int main(void) { printf("%d\\n", a()); }', name="main")
    lib = tc.ar("liba.a", tc.c("int a(void) { return 2; }", name="a"))
    assert tc.out(tc.exe("prog", main, lib)) == "1\n"


def test_common_symbol_and_archive_definition(tc):
    """A member that defines data replaces a common symbol (the archive map lists it as defined)."""
    main = tc.c('#include <stdio.h>\nint v; int main(void) { printf("%d\\n", v); }', "-fcommon", name="main")
    lib = tc.ar("libv.a", tc.c("int v = 7;", name="v"))
    assert tc.out(tc.exe("prog", "-no-pie", main, lib)) == "7\n"


def test_function_in_archive_is_not_loaded_for_a_common(tc):
    main = tc.c('#include <stdio.h>\nint v; int main(void) { printf("%d\\n", v); }', "-fcommon", name="main")
    lib = tc.ar("libv.a", tc.c("int w(void); int v(void) { return w(); }", name="v"))
    assert tc.out(tc.exe("prog", "-no-pie", main, lib)) == "0\n"


def test_whole_archive(tc):
    lib = tc.ar("libw.a", tc.c('#include <stdio.h>\n__attribute__((constructor)) static void k(void) { puts("ctor"); }', name="k"),
                tc.c("int extra = 1;", name="e"))
    main = tc.c("int main(void) { return 0; }", name="main")
    assert tc.out(tc.exe("p1", main, lib)) == ""
    exe = tc.exe("p2", main, "-Wl,--whole-archive", lib, "-Wl,--no-whole-archive")
    assert tc.out(exe) == "ctor\n" and tc.elf(exe).symbol("extra")


def test_whole_archive_into_shared_object(tc):
    lib = tc.ar("libw.a", tc.c("int f(void) { return 1; }", "-fPIC", name="f"), tc.c("int g(void) { return 2; }", "-fPIC", name="g"))
    so = tc.so("libw.so", "-Wl,--whole-archive", lib, "-Wl,--no-whole-archive")
    assert {"f", "g"} <= tc.elf(so).dynamic_names()


def test_whole_archive_twice_is_one_copy(tc):
    """-l of the same archive again, whole then plain, must not define things twice."""
    lib = tc.ar("libw.a", tc.c("int a(void) { return 1; }", name="a"))
    main = tc.c(MAIN, name="main")
    assert tc.out(tc.exe("prog", main, "-Wl,--whole-archive", lib, "-Wl,--no-whole-archive", lib)) == "1\n"


def test_push_and_pop_state(tc):
    lib = tc.ar("libw.a", tc.c("int extra = 1;", name="e"))
    lib2 = tc.ar("libx.a", tc.c("int extra2 = 1;", name="e2"))
    main = tc.c("int main(void) { return 0; }", name="main")
    e = tc.elf(tc.exe("prog", main, "-Wl,--push-state,--whole-archive", lib, "-Wl,--pop-state", lib2))
    assert e.symbol("extra") and e.symbol("extra2") is None


def test_library_search(tc):
    """-l prefers lib.so over lib.a in each folder in turn, -l: takes the name, -Bstatic takes archives only."""
    for d, v in (("d1", 1), ("d2", 2)):
        obj = tc.c(f"int a(void) {{ return {v}; }}", "-fPIC", name=f"a{v}")
        (tc.dir / d).mkdir()
        tc.ar(f"{d}/liba.a", obj)
        tc.so(f"{d}/liba.so", obj, soname=f"{tc.dir}/{d}/liba.so")
    main = tc.c(MAIN, name="main")
    (tc.dir / "d1" / "liba.so").rename(tc.dir / "d1" / "libother.so")
    both = ("-Ld1", "-Ld2")
    e1, e2 = tc.exe("p1", main, *both, "-la"), tc.exe("p2", main, "-Ld2", "-Ld1", "-la")
    assert tc.out(e1) == "1\n" and not any("liba" in n for n in tc.elf(e1).needed)
    assert tc.out(e2) == "2\n" and any("liba.so" in n for n in tc.elf(e2).needed)
    e3 = tc.exe("p3", main, "-Ld2", "-Wl,-Bstatic", "-la", "-Wl,-Bdynamic")
    assert tc.out(e3) == "2\n" and not any("liba" in n for n in tc.elf(e3).needed)
    assert tc.out(tc.exe("p4", main, *both, "-l:liba.a")) == "1\n"
    assert tc.out(tc.exe("p5", main, *both, "-l:liba.so")) == "2\n"


def test_search_folder_after_the_library(tc):
    """-L holds for every -l, wherever it stands (GNU ld manual, -L)."""
    (tc.dir / "late").mkdir()
    tc.ar("late/liba.a", tc.c("int a(void) { return 1; }", name="a"))
    assert tc.out(tc.exe("prog", tc.c(MAIN, name="main"), "-la", "-Llate")) == "1\n"


def test_sysroot_search(tc):
    (tc.dir / "root" / "lib").mkdir(parents=True)
    tc.ar("root/lib/libsr.a", tc.c("int _start(void) { return 1; }", name="a"))
    for spelling in ("-L=/lib", "-L$SYSROOT/lib"):
        done = tc.ld("out", f"--sysroot={tc.dir}/root", spelling, "-e", "_start", "-u", "_start", "-lsr")
        assert tc.elf(done.path).symbol("_start")


def test_thin_archive(tc):
    objs = [tc.c(A, name="sub/a"), tc.c("int b(void) { return 10; }", name="sub/b")]
    run_command([tc.tool("ar"), "rcsT", "libthin.a", *[o.relative_to(tc.dir) for o in objs]], cwd=tc.dir)
    assert (tc.dir / "libthin.a").read_bytes().startswith(b"!<thin>\n")
    (tc.dir / "elsewhere").mkdir()
    main = tc.c(MAIN, name="main")
    assert tc.out(tc.exe("prog", main, tc.dir / "libthin.a")) == "11\n"
    done = tc.ld("rel.o", "-r", main, "../libthin.a", cwd=tc.dir / "elsewhere")
    assert tc.elf(done.path).symbol("b").defined, "member paths are relative to the archive"


@pytest.mark.lacks(bfd="an archive without an index is an error", gold="likewise")
def test_archive_without_index(tc):
    lib = tc.ar("libn.a", tc.c("int a(void) { return 5; }", name="a"), flags="rcS")
    assert b"\n/ " not in lib.read_bytes()[:80]
    assert tc.out(tc.exe("prog", tc.c(MAIN, name="main"), lib)) == "5\n"


def test_long_member_names_and_equal_member_names(tc):
    long = "a_very_long_member_name_that_needs_the_long_name_table_of_the_archive"
    d1, d2 = tc.c(A, name="x/same"), tc.c("int b(void) { return 10; }", name="y/same")
    lib = tc.dir / "libs.a"
    run_command([tc.tool("ar"), "qcs", lib, d1, d2, tc.c("int z(void) { return 0; }", name=long)], cwd=tc.dir)
    main = tc.c("#include <stdio.h>\nint a(void), z(void); int main(void) { printf(\"%d\\n\", a() + z()); }", name="main")
    assert tc.out(tc.exe("prog", main, lib)) == "11\n"


def _bsd_archive(members):
    """4.4BSD form: "#1/len" names before the contents, no symbol index."""
    out = b"!<arch>\n"
    for name, data in members:
        raw = name.encode() + b"\0" * (-len(name) % 4)
        body = raw + data
        out += f"{'#1/%d' % len(raw):<16}{0:<12}{0:<6}{0:<6}{'644':<8}{len(body):<10}`\n".encode() + body + b"\n" * (len(body) % 2)
    return out


@pytest.mark.lacks(bfd="reads no BSD names without an index", gold="likewise", mold="no BSD form here")
def test_bsd_archive(tc):
    obj = tc.c("int a(void) { return 6; }", name="a").read_bytes()
    lib = tc.write("libbsd.a", _bsd_archive([("a member with spaces in its name.o", obj)]))
    assert tc.out(tc.exe("prog", tc.c(MAIN, name="main"), lib)) == "6\n"


def _gnu64_archive(name, data, symbols):
    """SysV archive with the 64-bit index "/SYM64/"."""
    names = b"".join(s.encode() + b"\0" for s in symbols)
    size = 8 + 8 * len(symbols) + len(names)
    at = 8 + 60 + size + size % 2
    index = len(symbols).to_bytes(8, "big") + at.to_bytes(8, "big") * len(symbols) + names
    head = lambda n, s: f"{n:<16}{0:<12}{0:<6}{0:<6}{'644':<8}{s:<10}`\n".encode()
    return b"!<arch>\n" + head("/SYM64/", size) + index + b"\n" * (size % 2) + head(name + "/", len(data)) + data + b"\n" * (len(data) % 2)


def test_64_bit_index(tc):
    obj = tc.c("int a(void) { return 8; }", name="a").read_bytes()
    lib = tc.write("lib64.a", _gnu64_archive("a.o", obj, ["a"]))
    assert tc.out(tc.exe("prog", tc.c(MAIN, name="main"), lib)) == "8\n"


def test_empty_archive(tc):
    lib = tc.ar("libempty.a")
    assert tc.out(tc.exe("prog", tc.c("#include <stdio.h>\nint main(void) { puts(\"x\"); }"), lib)) == "x\n"


@pytest.mark.lacks(bfd="no --start-lib")
def test_start_lib(tc):
    main, a, n = tc.c(MAIN, name="main"), tc.c("int a(void) { return 1; }", name="a"), tc.c("int never(void) { return 1; }", name="n")
    exe = tc.exe("prog", main, "-Wl,--start-lib", a, n, "-Wl,--end-lib")
    assert tc.out(exe) == "1\n" and tc.elf(exe).symbol("never") is None


def test_member_pulled_by_undefined_option_and_entry(tc):
    lib = tc.ar("libu.a", tc.c("int wanted(void) { return 1; }", name="w"), tc.c("void _start(void) { for (;;); }", name="s"))
    e = tc.elf(tc.ld("out", "-u", "wanted", "--require-defined=wanted", lib).path)
    assert e.symbol("wanted") and e.symbol("_start") and e.entry == e.addr("_start")


def test_member_pulled_for_a_reference_from_a_shared_library(tc):
    """An undefined symbol of a DSO may be defined by an archive member of the program."""
    so = tc.so("libcb.so", tc.c("int cb(void); int call(void) { return cb() + 1; }", "-fPIC", name="so"))
    ar = tc.ar("libcb.a", tc.c("int cb(void) { return 20; }", name="cb"))
    main = tc.c('#include <stdio.h>\nint call(void); int main(void) { printf("%d\\n", call()); }', name="main")
    assert tc.out(tc.exe("prog", main, so, ar)) == "21\n"


def test_exclude_libs(tc):
    lib = tc.ar("libin.a", tc.c("int inner(void) { return 1; }", "-fPIC", name="i"))
    obj = tc.c("int inner(void); int outer(void) { return inner(); }", "-fPIC", name="o")
    plain, some, every = (tc.so(f"lib{n}.so", obj, lib, *opt) for n, opt in (
        ("p", ()), ("s", ("-Wl,--exclude-libs,libin.a",)), ("e", ("-Wl,--exclude-libs,ALL",))))
    assert "inner" in tc.elf(plain).dynamic_names()
    for so in (some, every):
        assert "inner" not in tc.elf(so).dynamic_names() and "outer" in tc.elf(so).dynamic_names()
