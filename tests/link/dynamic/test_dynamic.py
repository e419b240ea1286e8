"""The dynamic section, hash tables, dynamic relocations and run paths."""

import pytest

from harness.judges import judge
from harness.toolchain import EXE_MODES

P = "#include <stdio.h>\n"
LIB = "int v = 1; int f(void) { return v; } int g(int x) { return x + f(); } int *pv = &v; int (*pf)(void) = f; static int s; int *ps[3] = {&s, &s, &s};"


# -- tags

def test_soname_and_paths(tc):
    obj = tc.c(LIB, "-fPIC")
    e = tc.elf(tc.so("liba.so", obj, "-Wl,-rpath,/one:/two", "-Wl,-rpath=/three", soname="libname.so.1"))
    assert e.dyn("SONAME") == "libname.so.1" and e.dyn("RUNPATH") == "/one:/two:/three" and e.dyn("RPATH") is None
    e = tc.elf(tc.so("libb.so", obj, "-Wl,--disable-new-dtags", "-Wl,-rpath,/one"))
    assert e.dyn("RPATH") == "/one" and e.dyn("RUNPATH") is None
    e = tc.elf(tc.so("libc1.so", obj, "-Wl,--enable-new-dtags,-R,/r", soname=False))
    assert e.dyn("RUNPATH") == "/r" and e.dyn("SONAME") is None


def test_rpath_origin_works_at_run_time(tc):
    (tc.dir / "sub").mkdir()
    lib = tc.so("sub/libo.so", tc.c("int f(void) { return 3; }", "-fPIC", name="o"))
    m = tc.c(P + 'int f(void); int main(void) { printf("%d\\n", f()); }', name="m")
    assert tc.out(tc.exe("prog", m, lib, "-Wl,-rpath,$ORIGIN/sub")) == "3\n"


@pytest.mark.parametrize("flag,name,mode", [
    ("now", "DF_BIND_NOW", "so"), ("now", "DF_1_NOW", "so"), ("origin", "DF_ORIGIN", "so"), ("origin", "DF_1_ORIGIN", "so"),
    ("nodelete", "DF_1_NODELETE", "so"), ("initfirst", "DF_1_INITFIRST", "so"), ("interpose", "DF_1_INTERPOSE", "so"),
    ("nodlopen", "DF_1_NOOPEN", "so"), ("global", "DF_1_GLOBAL", "so"), ("nodefaultlib", "DF_1_NODEFLIB", "so"),
    ("nodump", "DF_1_NODUMP", "so"), ("now", "DF_1_NOW", "exe")])
def test_z_flags_in_the_dynamic_section(tc, flag, name, mode):
    if mode == "so":
        out = judge(tc, "so", "liba.so", f"-Wl,-z,{flag}", tc.c(LIB, "-fPIC"))
    else:
        out = judge(tc, "exe", "prog", f"-Wl,-z,{flag}", tc.c("int main(void) { return 0; }"))
    assert name in tc.elf(out).dyn_flags()


def test_array_tags(tc):
    src = "static void __attribute__((constructor)) c(void) {} static void __attribute__((destructor)) d(void) {} int x(void) { return 1; }"
    e = tc.elf(judge(tc, "so", "liba.so", tc.c(src, "-fPIC")))
    for tag, name in (("INIT_ARRAY", ".init_array"), ("FINI_ARRAY", ".fini_array")):
        assert e.dyn(tag) == e.section(name).addr and e.dyn(tag + "SZ") == e.section(name).size


@pytest.mark.parametrize("mode", ["dynamic", "pie"])
def test_dynamic_section_of_an_executable(tc, mode):
    cflags, ldflags = EXE_MODES[mode]
    e = tc.elf(judge(tc, "exe", "prog", *ldflags, tc.c(P + "int main(void) { puts(\"x\"); }", *cflags)))
    assert e.dyn("DEBUG") == 0
    word = tc.target.bits // 8
    assert e.dyn("SYMENT") == (24 if word == 8 else 16) and e.dyn("STRSZ") == e.section(".dynstr").size
    assert e.dyn("STRTAB") == e.section(".dynstr").addr and e.dyn("SYMTAB") == e.section(".dynsym").addr
    dyn = e.section(".dynamic")
    # MIPS: read-only, its DT_MIPS_RLD_MAP points to what the dynamic linker writes.
    assert dyn.link == e.section(".dynstr").index and e.flags(".dynamic") == ("A" if tc.target.machine == "EM_MIPS" else "WA")
    assert dyn.size % (2 * word) == 0


def test_auxiliary_and_filter_tags(tc):
    e = tc.elf(tc.so("liba.so", tc.c(LIB, "-fPIC"), "-Wl,-f,libaux.so", "-Wl,-f,libaux2.so"))
    assert [v for t, v in e.dynamic if t == "DT_AUXILIARY"]
    e = tc.elf(tc.so("libb.so", tc.c(LIB, "-fPIC"), "-Wl,-F,libfilter.so"))
    assert any(t == "DT_FILTER" for t, _ in e.dynamic)


# -- hash tables

def sysv_hash(name):
    h = 0
    for c in name.encode():
        h = (h << 4) + c
        h = (h ^ (h & 0xf0000000) >> 24) & 0x0fffffff
    return h


def gnu_hash(name):
    h = 5381
    for c in name.encode():
        h = (h * 33 + c) & 0xffffffff
    return h


def words(e, name, size=4):
    raw = e.data(name)
    order = "little" if e._elf.little_endian else "big"
    return [int.from_bytes(raw[i:i + size], order) for i in range(0, len(raw) - len(raw) % size, size)]


MANY = "".join(f"int sym_{i}(void) {{ return {i}; }}\n" for i in range(300)) + "extern int printf(const char *, ...); int use(void) { return printf(\"\"); }"


@pytest.mark.parametrize("style,want", [("sysv", {".hash"}), ("gnu", {".gnu.hash"}), ("both", {".hash", ".gnu.hash"})])
@pytest.mark.needs("gnu-hash")
def test_hash_styles(tc, style, want):
    lib = judge(tc, "so", "libm.so", f"-Wl,--hash-style={style}", tc.c(MANY, "-fPIC", "-O0"))
    e = tc.elf(lib)
    assert {n for n in (".hash", ".gnu.hash") if e.section(n)} == want
    assert (e.dyn("HASH") is not None, e.dyn("GNU_HASH") is not None) == (".hash" in want, ".gnu.hash" in want)
    syms = e.dynsyms
    if ".hash" in want:
        h = words(e, ".hash")
        nbucket, nchain = h[:2]
        assert nchain == len(syms)
        found = {}
        for b in range(nbucket):
            i = h[2 + b]
            while i:
                found[i] = b
                i = h[2 + nbucket + i]
        assert set(found) == set(range(1, len(syms)))
        assert all(sysv_hash(syms[i].name) % nbucket == b for i, b in found.items())
    if ".gnu.hash" in want:
        h = words(e, ".gnu.hash")
        nbucket, offset, nbloom, shift = h[:4]
        assert nbloom & (nbloom - 1) == 0
        per = tc.target.bits // 32
        bloom = [sum(h[4 + i * per + (k if tc.target.little else per - 1 - k)] << 32 * k for k in range(per)) for i in range(nbloom)]
        buckets = h[4 + nbloom * per:][:nbucket]
        chain = h[4 + nbloom * per + nbucket:]
        assert all(not s.defined for s in syms[1:offset]) and all(s.defined for s in syms[offset:])
        for i in range(offset, len(syms)):
            x = gnu_hash(syms[i].name)
            bits = tc.target.bits
            mask = 1 << x % bits | 1 << (x >> shift) % bits
            assert bloom[x // bits % nbloom] & mask == mask
            j = buckets[x % nbucket]
            while True:
                if chain[j - offset] | 1 == x | 1 and j == i:
                    break
                assert not chain[j - offset] & 1, f"{syms[i].name} is not in its chain"
                j += 1
    m = tc.c(P + 'int sym_0(void), sym_299(void), sym_150(void); int main(void) { printf("%d\\n", sym_0() + sym_150() + sym_299()); }', name="m")
    assert tc.out(tc.exe("prog", m, lib)) == "449\n"


@pytest.mark.needs("gnu-hash")
def test_hash_of_a_library_without_exports(tc):
    e = tc.elf(tc.so("liba.so", "-Wl,--hash-style=both", tc.c("static int x; __attribute__((visibility(\"hidden\"))) int f(void) { return x; }", "-fPIC")))
    h = words(e, ".gnu.hash")
    assert h[0] >= 1 and len(e.dynsyms) >= 1


def test_dynsym_locals_first(tc):
    e = tc.elf(tc.so("libm.so", tc.c(MANY, "-fPIC", "-O0")))
    info = e.section(".dynsym").info
    assert all(s.bind == "STB_LOCAL" for s in e.dynsyms[:info]) and all(s.bind != "STB_LOCAL" for s in e.dynsyms[info:])


# -- relocations

@pytest.mark.needs("rela")
def test_combreloc_and_relacount(tc):
    """-z combreloc: relative relocations first and counted, then by symbol (GNU ld manual)."""
    lib = judge(tc, "so", "liba.so", tc.c(LIB + "extern int e1, e2; int *q1 = &e2, *q2 = &e1, *q3 = &e2; int use(void) { return e1 + e2; }", "-fPIC"))
    e = tc.elf(lib)
    rows = e.relocs(".rela.dyn")
    relative = [r.type == tc.reloc("RELATIVE") for r in rows]
    assert relative == sorted(relative, reverse=True)
    assert e.dyn("RELACOUNT") == sum(relative) > 0
    addends = [r.offset for r in rows if r.type == tc.reloc("RELATIVE")]
    assert addends == sorted(addends)
    symbols = [r.symbol for r in rows if r.type != tc.reloc("RELATIVE")]
    assert len({s for s in symbols}) == sum(1 for i, s in enumerate(symbols) if i == 0 or symbols[i - 1] != s), "one symbol's stand together"


@pytest.mark.needs("relr")
@pytest.mark.parametrize("mode", ["pie", "static-pie", "so"])
def test_relr(tc, mode):
    src = P + "static int v[100]; " + "int *p{0} = &v[{0}];".replace("{0}", "0") + "".join(f"int *t{i}[] = {{&v[{i}], &v[1]}};" for i in range(1, 90))
    src += 'int say(void) { return puts(""); } int sum(void) { return t5[0] == &v[5] && t89[0] == &v[89] && *p0 == 0; } '
    if mode == "so":
        lib = tc.so("libr.so", "-Wl,-z,pack-relative-relocs", tc.c(src, "-fPIC", name="r"))
        m = tc.c(P + 'int sum(void); int main(void) { printf("%d\\n", sum()); }', name="m")
        e, exe = tc.elf(lib), tc.exe("prog", m, lib)
    else:
        cflags, ldflags = EXE_MODES[mode]
        exe = tc.exe("prog", *ldflags, "-Wl,-z,pack-relative-relocs", tc.c(src + 'int main(void) { printf("%d\\n", sum()); }', *cflags))
        e = tc.elf(exe)
    assert tc.out(exe) == "1\n"
    assert len(e.relr()) >= 179 and not [r for r in e.dynrelocs() if r.type == tc.reloc("RELATIVE")]
    s = e.section(".relr.dyn")
    assert e.dyn("DT_RELR") == s.addr and e.dyn("DT_RELRSZ") == s.size and e.dyn("DT_RELRENT") == tc.target.bits // 8
    assert s.size * 4 < len(e.relr()) * tc.target.bits // 8, "bitmaps, not a list of addresses"
    if mode != "static-pie":
        assert "GLIBC_ABI_DT_RELR" in e.verneed["libc.so.6"]


@pytest.mark.needs("relr")
def test_relr_facts_equal_gnu_ld(tc):
    src = P + "int v[100]; " + "".join(f"int *t{i}[] = {{&v[{i}], &v[1]}};" for i in range(1, 90)) + 'int main(void) { puts("x"); }'
    obj, pic = tc.c(src), tc.c(src.replace("int main", "int foo"), "-fPIC", name="so")
    if tc.target.name == "aarch64":
        # GNU ld 2.40 packs for x86 only.
        assert len(tc.elf(tc.exe("prog", "-Wl,-z,pack-relative-relocs", obj)).relr()) > 100
        return
    judge(tc, "exe", "prog", "-Wl,-z,pack-relative-relocs", obj)
    judge(tc, "so", "libr.so", "-Wl,-z,pack-relative-relocs", pic)


def test_lazy_plt(tc):
    lib = tc.so("libl.so", tc.c("int f(void) { return 4; }", "-fPIC", name="l"))
    m = tc.c(P + 'int f(void); int main(void) { printf("%d %d\\n", f(), f()); }', "-fno-pie", name="m")
    for flag in ("lazy", "now"):
        exe = judge(tc, "exe", f"p-{flag}", "-no-pie", f"-Wl,-z,{flag}", m, lib)
        assert tc.out(exe) == "4 4\n" and tc.out(exe, env={"LD_BIND_NOW": "1"}) == "4 4\n"
        e = tc.elf(exe)
        kind = "RELA" if "rela" in tc.target.features else "REL"
        plt = e.section(f".{kind.lower()}.plt")
        if plt:
            assert e.dyn("JMPREL") == plt.addr and e.dyn("PLTRELSZ") == plt.size
            assert {r.type for r in e.relocs(plt.name)} == {tc.reloc("JUMP_SLOT")}


@pytest.mark.targets("amd64")
def test_lazy_binding_of_a_missing_function(tc):
    """With -z lazy a function nobody calls may be missing at run time; with -z now it may not."""
    lib = tc.so("libl.so", tc.c("int f(void) { return 4; }", "-fPIC", name="l"))
    m = tc.c(P + 'int f(void); int main(int c, char **v) { puts("up"); return c > 1 ? f() : 0; }', "-fno-pie", name="m")
    lazy, now = (tc.exe(f"p-{flag}", "-no-pie", f"-Wl,-z,{flag}", m, lib) for flag in ("lazy", "now"))
    tc.so("libl.so", tc.c("int other(void) { return 4; }", "-fPIC", name="l2"))
    assert tc.out(lazy) == "up\n"
    done = tc.run(now, check=False)
    assert done.rc == 127 and "undefined symbol: f" in done.err


# -- text relocations

@pytest.mark.targets("amd64")
def test_text_relocations(tc):
    obj = tc.asm('.globl f\n.section .text,"ax"\nf: movabs $v, %rax\n ret\n.data\n.globl v\nv: .quad 1\n.section .note.GNU-stack,"",@progbits\n')
    assert tc.link("a.so", "-shared", "-Wl,-z,text", obj, check=False).rc == 1
    done = tc.link("b.so", "-shared", "-Wl,-z,notext", obj)
    e = tc.elf(done.path)
    assert "DF_TEXTREL" in e.dyn_flags() and e.dyn("TEXTREL") is not None
    if tc.linker.flavour in ("mclink", "bfd"):
        done = tc.link("c.so", "-shared", "-Wl,--warn-shared-textrel", obj)
        assert "DT_TEXTREL" in done.err


# -- whole programs with plugins

def test_dlopen_and_dlsym(tc):
    lib = tc.so("libp.so", tc.c(LIB, "-fPIC", name="p"))
    m = tc.c(P + """
        #include <dlfcn.h>
        int hook(void) { return 40; }
        int main(int c, char **v) {
          void *h = dlopen(v[1], RTLD_NOW), *me = dlopen(0, RTLD_NOW);
          int (*g)(int) = (int (*)(int))dlsym(h, "g"); int (*hk)(void) = (int (*)(void))dlsym(me, "hook");
          printf("%d %d\\n", g(1), hk ? hk() : -1); return dlclose(h); }""", name="m")
    assert tc.out(tc.exe("p1", m, "-rdynamic", "-ldl"), lib) == "2 40\n"
    assert tc.out(tc.exe("p2", m, "-ldl"), lib) == "2 -1\n"


def test_dladdr_finds_names(tc):
    m = tc.c("#define _GNU_SOURCE\n" + P + """
        #include <dlfcn.h>
        void here(void) {}
        int main(void) { Dl_info i; puts(dladdr((void *)here, &i) && i.dli_sname ? i.dli_sname : "?"); }""")
    assert tc.out(tc.exe("prog", "-rdynamic", m, "-ldl")) == "here\n"


def test_interposition_by_preload(tc):
    lib = tc.so("liborig.so", tc.c("int f(void) { return 1; } int via(void) { return f(); }", "-fPIC", name="orig"))
    pre = tc.so("libpre.so", tc.c("int f(void) { return 2; }", "-fPIC", name="pre"))
    m = tc.c(P + 'int f(void), via(void); int main(void) { printf("%d %d\\n", f(), via()); }', name="m")
    exe = tc.exe("prog", m, lib)
    assert tc.out(exe) == "1 1\n" and tc.out(exe, env={"LD_PRELOAD": str(pre)}) == "2 2\n"
