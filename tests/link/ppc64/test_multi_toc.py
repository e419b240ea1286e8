"""More than 64 KiB of TOC in the small code model: several TOC pointers, calls between them, --no-multi-toc."""

import pytest

pytestmark = pytest.mark.targets("ppc64", "ppc64le")

COUNT = 3500
FILES = 3


def part(number):
    """A file whose functions read COUNT variables by entries of its own."""
    names = [f"v{number}_{i}" for i in range(COUNT)]
    return "".join(f"extern int {n};" for n in names) + f"""
        extern __thread long shared_thread; static __thread long own_thread = {number};
        extern int weak_one __attribute__((weak));
        static int seen = {number};
        int helper{(number + 1) % FILES}(int); int outside(int);
        int helper{number}(int x) {{ seen += x; own_thread++; return seen + outside(x); }}
        int (*pointer{number}(void))(int) {{ return helper{number}; }}
        long sum{number}(void) {{
          long s = 0;
          {"".join(f"s += {n};" for n in names)}
          shared_thread += s;
          return s + helper{(number + 1) % FILES}({number}) + own_thread + (&weak_one ? 1 : 0);
        }}
        __attribute__((noinline)) int jump{number}(int x) {{ return helper{(number + 1) % FILES}(x + 1); }}
    """


def values(number):
    return "".join(f"int v{number}_{i} = {i % 7 + number};" for i in range(COUNT))


MAIN = """
#include <stdio.h>
#include <stdlib.h>
__thread long shared_thread = 1;
""" + "".join(f"long sum{n}(void); int jump{n}(int); int (*pointer{n}(void))(int);" for n in range(FILES)) + """
static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
int outside(int x) { int v[3] = {x, 2, 1}; qsort(v, 3, sizeof *v, compare); return v[0]; }
int main(void) {
""" + "".join(f'printf("%ld %d %d\\n", sum{n}(), jump{n}({n}), pointer{n}()(1));' for n in range(FILES)) + """
  printf("%ld\\n", shared_thread);
  return 0;
}
"""


@pytest.mark.parametrize("mode", ["-no-pie", "-pie", "-static", "-shared"])
def test_small_model(tc, mode):
    pic = "-fPIC"
    parts = [tc.c(part(n), "-O1", "-mcmodel=small", pic, name=f"p{n}") for n in range(FILES)]
    rest = [tc.c(values(n), pic, name=f"v{n}") for n in range(FILES)]
    main = tc.c(MAIN, "-O1", pic, name="main")

    def build(tools):
        if mode != "-shared":
            return tools.exe("prog", mode, main, *parts, *rest)
        return tools.exe("prog", main, tools.so("libparts.so", *parts, *rest), "-Wl,--export-dynamic")

    ours = build(tc)
    assert tc.out(ours) == tc.out(build(tc.gnu))
    image = tc.dir / "libparts.so" if mode == "-shared" else ours
    if mode != "-static":
        bits = next(value for tag, value in tc.elf(image).dynamic if tag in ("DT_PPC64_OPT", 0x70000003))
        assert bits & 2
    assert tc.elf(image).section(".got").size > FILES * COUNT * 8


def test_no_multi_toc(tc):
    objs = [tc.c(part(n), "-O1", "-mcmodel=small", "-fPIC", name=f"p{n}") for n in range(FILES)]
    objs += [tc.c(MAIN, "-O1", "-fPIC", name="main"), *(tc.c(values(n), "-fPIC", name=f"v{n}") for n in range(FILES))]
    done = tc.link("prog", "-Wl,--no-multi-toc", *objs, check=False)
    assert done.rc != 0 and "R_PPC64_TOC16_DS out of range" in done.err
