"""MIPS: links whose GOT exceeds what 16 bits reach, lazy stubs, order of .dynsym, register masks and ABI flags."""

import pytest

pytestmark = pytest.mark.targets("mips", "mipsel", "mips64", "mips64el")

FILES = 4


def many(tc):
    """Objects that each need so many slots that two do not go together."""
    count = 9000 if tc.target.bits == 32 else 4500
    objects = []
    for n in range(FILES):
        names = [f"v{n}_{i}" for i in range(count)]
        data = "".join(f"    .globl {name}\n{name}: .word {i}\n" for i, name in enumerate(names))
        load = "lw" if tc.target.bits == 32 else "ld"
        got = "%got" if tc.target.bits == 32 else "%got_disp"
        # The program adds up what all slots of the file lead to.
        code = "".join(f"    {load} $3,{got}({name})($28)\n    lw $3,0($3)\n    addu $2,$2,$3\n" for name in names)
        # .cpload counts from the function's first instruction; callers of O32 restore $gp themselves.
        setup, back = ("    .cpload $25\n", "nop") if tc.target.bits == 32 else (f"    .cpsetup $25,$15,sum{n}\n", "move $28,$15")
        objects.append(tc.asm(f"    .set noreorder\n    .data\n{data}    .text\n    .globl sum{n}\n    .ent sum{n}\nsum{n}:\n"
                              f"{setup}    move $2,$0\n{code}    jr $31\n    {back}\n    .end sum{n}\n", name=f"m{n}"))
    main = tc.c("#include <stdio.h>\n__thread int t = 7;\n" + "".join(f"int sum{n}(void);\n" for n in range(FILES))
                + "int main(void) { long s = t;" + "".join(f" s += sum{n}();" for n in range(FILES))
                + ' printf("%ld\\n", s); return 0; }', "-O1", "-fPIC", name="main")
    return objects, main, f"{7 + FILES * (count * (count - 1) // 2)}\n"


@pytest.mark.parametrize("mode", ["pie", "static", "library"])
def test_more_than_one_got(tc, mode):
    objects, main, expected = many(tc)
    if mode == "library":
        lib = tc.so("libmany.so", *objects)
        exe = tc.exe("prog", main, lib)
    else:
        exe = tc.exe("prog", "-static" if mode == "static" else "-pie", main, *objects)
    elf = tc.elf(lib if mode == "library" else exe)
    assert elf.section(".got").size > 0x10000
    assert tc.out(exe) == expected


def test_global_slots_go_with_the_last_symbols(tc):
    lib = tc.so("libx.so", tc.c("int data = 3; int fn(void) { return 4; } int *p(void) { return &data; }", "-fPIC", name="x"))
    exe = tc.exe("prog", tc.c("extern int data; int fn(void); int *q = &data; int main(void) { return data + fn() + *q - 10; }",
                              "-O1", "-fPIC", name="m"), lib)
    tc.run(exe)
    elf = tc.elf(exe)
    first = elf.dyn("MIPS_GOTSYM")
    names = [s.name for s in elf.dynsyms]
    assert elf.dyn("MIPS_SYMTABNO") == len(names) + (names[0] != "")
    late = names[first - (names[0] != ""):]
    assert {"data", "fn"} <= set(late)


def test_functions_that_are_only_called_are_bound_lazily(tc):
    lib = tc.so("libf.so", tc.c("int a(void) { return 1; } int b(void) { return 2; }", "-fPIC", name="f"))
    exe = tc.exe("prog", tc.c("int a(void); int b(void); int (*volatile p)(void) = b; int main(void) { return a() + p() - 3; }",
                              "-O1", "-fPIC", name="m"), lib)
    tc.run(exe)
    elf = tc.elf(exe)
    values = {s.name: s.value for s in elf.dynsyms}
    stubs = elf.section(".MIPS.stubs")
    assert stubs.addr <= values["a"] < stubs.addr + stubs.size and values["b"] == 0
