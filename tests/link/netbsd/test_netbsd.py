"""Programs for NetBSD 10.1: compiled against zig's stubs of its C library, linked as its compilers do, without -m, by
a linker whose name says the system; and beside that by lld, from the same objects."""

import re

import pytest

from harness.toolchain import run_command

pytestmark = pytest.mark.targets("amd64", "i386", "aarch64", "armhf", "armel")

ZIG_TARGETS = {"amd64": "x86_64-netbsd", "i386": "x86-netbsd", "aarch64": "aarch64-netbsd",
               "armhf": "arm-netbsd-eabihf", "armel": "arm-netbsd-eabi"}
PROGRAM_NAMES = {"amd64": "x86_64--netbsd-ld", "i386": "i486--netbsdelf-ld", "aarch64": "aarch64--netbsd-ld",
                 "armhf": "armv7--netbsdelf-eabihf-ld", "armel": "armv6--netbsdelf-eabi-ld"}

MAIN = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <pthread.h>
static __thread int mine = 3; __thread int ours;
extern int twice(int); extern int shared_number;
static int order(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
static void *work(void *p) { mine += *(int *)p; ours++; return p; }
__attribute__((constructor)) static void early(void) { ours = 7; }
int (*pointer)(const char *, ...) = printf;
int main(int argc, char **argv) {
  int v[4] = {4, 2, 3, 1}; pthread_t t; char *end;
  qsort(v, 4, sizeof *v, order);
  pthread_create(&t, 0, work, v); pthread_join(t, 0);
  errno = 0; fprintf(stderr, "%s %ld\n", argv[0], strtol("12", &end, 10));
  return pointer("%d %d %d %d\n", twice(v[0]), mine, ours, shared_number) > 0 ? EXIT_SUCCESS : 1;
}
"""
LIBRARY = r"""
#include <stdio.h>
#include <stdlib.h>
int shared_number = 5; static __thread int calls; static const char *names[] = {"a", "b"};
int twice(int n) { calls++; puts(names[n & 1]); return 2 * n + calls + shared_number; }
"""


class NetBsd:
    """Objects and libraries of NetBSD, and the two linkers."""

    def __init__(self, tc, zig):
        self.tc = tc
        self.zig = lambda *args: zig("cc", ZIG_TARGETS[tc.target.name], *args, cwd=tc.dir)
        self.ld = tc.dir / PROGRAM_NAMES[tc.target.name]
        self.ld.symlink_to(tc.linker.path)

    def c(self, source, name, *flags):
        out = self.tc.dir / f"{name}.o"
        self.zig(*flags, "-c", self.tc.write(f"{name}.c", source), "-o", out)
        return out

    def system(self):
        """(start-up code, libraries), as the driver names them when it links."""
        source = self.tc.write("empty.c", "int main(void) { return 0; }\n")
        said = self.zig("-v", source, "-o", self.tc.dir / "empty")
        line = next(line for line in (said.out + said.err).splitlines()[::-1] if " -dynamic-linker " in line).split()
        return ([w for w in line if w.endswith("crt0.o")], [w for w in line if re.search(r"/lib\w+\.so\.\d+$", w)])

    def both(self, name, *args):
        """(Elf of mclink's output, Elf of lld's); both linkers with the words that NetBSD's clang gives."""
        tc = self.tc
        words = ["--eh-frame-hdr", *args]
        run_command([self.ld, *words, "-o", tc.dir / name], cwd=tc.dir)
        (tc.dir / "lld").mkdir(exist_ok=True)
        run_command(["ld.lld-19", "--no-rosegment", "--hash-style=both", *words, "-o", tc.dir / "lld" / name], cwd=tc.dir)
        return tc.elf(name), tc.elf(f"lld/{name}")


@pytest.fixture
def netbsd(tc, zig):
    return NetBsd(tc, zig)


def facts(e):
    """What the run-time linker sees, without addresses."""
    kinds = {}
    for r in e.dynrelocs():
        if r.symbol:
            kinds.setdefault(r.symbol, set()).add(r.type.split("_")[-1])
    for found in kinds.values():
        # A called function with a GOT slot needs no second one for its PLT entry.
        if "DAT" in found:
            found.discard("SLOT")
    exports = {(s.name, s.type, s.size, s.vis, s.version) for s in e.dynsyms if s.name and s.defined}
    # lld keeps the function that relaxed sequences do not call any more.
    imports = e.dynamic_names(defined=False) - {"__tls_get_addr", "___tls_get_addr"}
    return {"needed": e.needed, "interp": e.interp, "imports": imports, "kinds": kinds,
            "exports": exports, "verneed": e.verneed, "machine": e.machine, "type": e.type,
            "osabi": e.header["e_ident"]["EI_OSABI"], "flags": e.header["e_flags"],
            "notes": sorted((n.name, n.type, n.desc) for n in e.notes),
            "tags": {t for t, _ in e.dynamic} - {"DT_RELACOUNT", "DT_RELCOUNT", "DT_FLAGS_1", "DT_FLAGS"}}


def check_layout(e):
    """What NetBSD's kernel and run-time linkers want, old ones too."""
    loads = e.loads()
    assert len(loads) == 2 and loads[0].flags in ("XR", "RX") and loads[1].flags in ("WR", "RW"), loads
    assert loads[0].offset == 0 and not e.section(".relr.dyn")
    assert e.dyn("HASH") and e.dyn("GNU_HASH")
    for s in e.sections:
        if s.type == "SHT_NOTE" and s.flags & 2:
            assert any(p.type == "PT_NOTE" and p.vaddr <= s.addr and s.addr + s.size <= p.vaddr + p.memsz
                       for p in e.segments), s.name


def test_program(netbsd):
    start, libraries = netbsd.system()
    lib, _ = netbsd.both("libtwice.so", "-shared", "-soname", "libtwice.so", netbsd.c(LIBRARY, "twice", "-fPIC"), *libraries)
    main = netbsd.c(MAIN, "main", "-fno-pic", "-fno-pie")
    ours, lld = netbsd.both("prog", "-dynamic-linker", "/libexec/ld.elf_so", *start, main, lib.path, "--as-needed", *libraries)
    mine, theirs = facts(ours), facts(lld)
    # An executable need not list what the start-up code defines and no library looks for.
    names = {name for name, *_ in theirs["exports"]}
    assert {name for name, *_ in mine["exports"]} <= names
    assert {"shared_number"} <= {name for name, *_ in mine["exports"]}
    for key in ("needed", "interp", "machine", "type", "osabi", "flags", "notes", "verneed", "imports", "kinds", "tags"):
        assert mine[key] == theirs[key], key
    assert ours.interp == "/libexec/ld.elf_so" and ("NetBSD", 1) in {(n.name, n.type) for n in ours.notes}
    check_layout(ours)


def test_pie_and_library(netbsd):
    start, libraries = netbsd.system()
    twice = netbsd.c(LIBRARY, "twice", "-fPIC")
    ours, lld = netbsd.both("libtwice.so", "-shared", "-soname", "libtwice.so", twice, "--as-needed", *libraries)
    assert facts(ours) == facts(lld)
    loads = ours.loads()
    assert len(loads) == 2 and not ours.section(".relr.dyn") and ours.dyn("HASH") and ours.dyn("GNU_HASH")
    main = netbsd.c(MAIN, "main", "-fPIE")
    ours, lld = netbsd.both("prog", "-pie", "-dynamic-linker", "/libexec/ld.elf_so", *start, main, twice, "--as-needed", *libraries)
    mine, theirs = facts(ours), facts(lld)
    for key in ("needed", "interp", "machine", "type", "osabi", "notes", "verneed", "imports", "kinds", "tags"):
        assert mine[key] == theirs[key], key
    check_layout(ours)


def test_system_is_taken_from_the_start_up_code(netbsd):
    """With -m, under a plain name: the note of the first object tells."""
    start, libraries = netbsd.system()
    tc = netbsd.tc
    main = netbsd.c("int main(void) { return 0; }", "main", "-fno-pic", "-fno-pie")
    for words in ([], ["-m", tc.target.emulation]):
        run_command([tc.linker.path, *words, *start, main, *libraries, "-o", tc.dir / "prog"], cwd=tc.dir)
        e = tc.elf("prog")
        assert e.interp == "/libexec/ld.elf_so"
        check_layout(e)
