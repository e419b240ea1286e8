"""AArch64: TLS relocations of every model and size, as they are and relaxed, against GNU ld's bytes."""

import pytest

pytestmark = pytest.mark.targets("aarch64")

START = ".text\n.globl _start\n_start:\n"
VARIABLES = """
    .section .tdata,"awT"
    .balign 16
    .space 0x130
    .globl v
    .type v, %object
    .size v, 16
v:  .xword 5, 6
    .section .tbss,"awT",%nobits
    .balign 64
    .space 0x2340
    .globl far
    .type far, %object
    .size far, 16
far: .space 16
"""

LOCAL_EXEC = """
    add x1, x1, :tprel_hi12:{v}, lsl 12
    add x1, x1, :tprel_lo12_nc:{v}
    movz x1, #:tprel_g2:{v}
    movz x1, #:tprel_g1:{v}
    movk x1, #:tprel_g1_nc:{v}
    movk x1, #:tprel_g0_nc:{v}
    ldrb w1, [x2, :tprel_lo12_nc:{v}]
    strh w1, [x2, :tprel_lo12_nc:{v}]
    ldr w1, [x2, :tprel_lo12_nc:{v}]
    ldr x1, [x2, :tprel_lo12_nc:{v}]
    ldr d1, [x2, :tprel_lo12_nc:{v}]
"""
NEAR_ONLY = """
    add x1, x1, :tprel_lo12:{v}
    movz x1, #:tprel_g0:{v}
    ldrb w1, [x2, :tprel_lo12:{v}]
    strh w1, [x2, :tprel_lo12:{v}]
    ldr w1, [x2, :tprel_lo12:{v}]
    ldr x1, [x2, :tprel_lo12:{v}]
"""

SEQUENCES = {
    "desc": """
        adrp x0, :tlsdesc:{v}
        ldr x1, [x0, :tlsdesc_lo12:{v}]
        add x0, x0, :tlsdesc_lo12:{v}
        .tlsdesccall {v}
        blr x1
        mrs x1, tpidr_el0
        add x0, x0, x1
        """,
    "desc-tiny": """
        ldr x1, :tlsdesc:{v}
        adr x0, :tlsdesc:{v}
        .tlsdesccall {v}
        blr x1
        """,
    "gd": """
        adrp x0, :tlsgd:{v}
        add x0, x0, :tlsgd_lo12:{v}
        bl __tls_get_addr
        nop
        """,
    "gd-tiny": """
        adr x0, :tlsgd:{v}
        bl __tls_get_addr
        nop
        """,
    "ie": """
        adrp x3, :gottprel:{v}
        ldr x3, [x3, :gottprel_lo12:{v}]
        mrs x1, tpidr_el0
        add x1, x1, x3
        """,
    "ie-tiny": "ldr x4, :gottprel:{v}\n",
}
GET_ADDR = ".globl __tls_get_addr\n__tls_get_addr: ret\n"


def texts(tc, *args):
    return [tc.elf(x.ld("out", *args).path).data(".text") for x in (tc, tc.gnu)]


@pytest.mark.parametrize("name", ["v", "v + 4096", "far", "far + 16"])
def test_local_exec(tc, name):
    code = LOCAL_EXEC.format(v=name) + (NEAR_ONLY.format(v=name) if name == "v" else "")
    ours, theirs = texts(tc, tc.asm(START + code + VARIABLES))
    assert ours == theirs


@pytest.mark.parametrize("name", SEQUENCES)
def test_relaxed_to_local_exec(tc, name):
    code = SEQUENCES[name].format(v="far") + SEQUENCES[name].format(v="v")
    obj = tc.asm(START + code + "ret\n" + GET_ADDR + VARIABLES)
    if name == "ie-tiny":
        # Nothing of its size holds the offset: the slot stays, at a place that is each linker's own.
        words = tc.elf(tc.ld("out", obj).path).data(".text")
        assert words[3] == 0x58
        return
    ours, theirs = texts(tc, obj)
    assert ours == theirs


def slot(tc, path, name):
    """Address of the GOT slot that has the TPREL relocation of a variable."""
    return next(r.offset for r in tc.elf(path).dynrelocs() if r.type == "R_AARCH64_TLS_TPREL" and r.symbol == name)


@pytest.mark.parametrize("name", ["desc", "gd", "ie"])
def test_relaxed_to_initial_exec(tc, name):
    """The variable of a library: ADRP and LDR of the slot with its offset."""
    lib = tc.so("libv.so", tc.asm(VARIABLES, name="v"), "-nostdlib")
    obj = tc.asm(START + SEQUENCES[name].format(v="v") + "ret\n" + GET_ADDR)
    path = tc.ld("out", obj, lib).path
    e = tc.elf(path)
    at = e.addr("_start")
    adrp, ldr = (int.from_bytes(e.bytes_at(at + 4 * i, 4), "little") for i in (0, 1))
    assert adrp & 0x9f000000 == 0x90000000 and ldr & 0xffc00000 == 0xf9400000
    pages = (adrp >> 5 & 0x7ffff) << 2 | adrp >> 29 & 3
    assert (at & ~0xfff) + (pages << 12) + (ldr >> 10 & 0xfff) * 8 == slot(tc, path, "v")
    rest = [tc.elf(x.ld("out", obj, lib).path).data(".text")[8:] for x in (tc, tc.gnu)]
    assert rest[0] == rest[1]


@pytest.mark.parametrize("name", ["desc", "desc-tiny", "gd", "gd-tiny", "ie", "ie-tiny"])
def test_kept_in_a_library(tc, name):
    """Nothing is known of the library's place: the relocations say what the code needs."""
    obj = tc.asm(".globl f\nf:" + SEQUENCES[name].format(v="v") + "ret\n" + VARIABLES)
    e = tc.elf(tc.ld("lib.so", "-shared", obj).path)
    types = {r.type for r in e.dynrelocs() if r.symbol in ("v", "")}
    wanted = {"desc": "TLSDESC", "gd": "TLS_DTPMOD", "ie": "TLS_TPREL"}[name.partition("-")[0]]
    assert f"R_AARCH64_{wanted}" in types


def test_local_dynamic(tc):
    """One call for the module, then offsets from its block."""
    obj = tc.asm("""
        .globl f
        f: adrp x0, :tlsldm:w
        add x0, x0, :tlsldm_lo12_nc:w
        bl __tls_get_addr
        nop
        add x1, x0, :dtprel_hi12:w, lsl 12
        add x1, x1, :dtprel_lo12_nc:w
        movz x2, #:dtprel_g1:w
        movk x2, #:dtprel_g0_nc:w
        ldr w3, [x0, :dtprel_lo12_nc:w]
        ldrb w3, [x0, :dtprel_lo12_nc:w]
        ldr x3, [x0, :dtprel_lo12_nc:w]
        .section .tdata,"awT"
        .space 0x1238
        w: .xword 1
        """)
    ours, theirs = (tc.elf(x.ld("lib.so", "-shared", obj).path) for x in (tc, tc.gnu))
    assert ours.data(".text")[12:] == theirs.data(".text")[12:]
    assert [r.type for r in ours.dynrelocs() if "TLS" in r.type] == ["R_AARCH64_TLS_DTPMOD"]


def test_undefined_weak_variable(tc):
    """Its offset is 0, whatever the model."""
    obj = tc.asm(START + ".weak u\n" + SEQUENCES["ie"].format(v="u") + VARIABLES)
    e = tc.elf(tc.ld("out", obj).path)
    words = [int.from_bytes(e.data(".text")[i:i + 4], "little") for i in (0, 4)]
    assert words == [0xd2a00003, 0xf2800003]


@pytest.mark.parametrize("dialect", ["trad", "desc"])
@pytest.mark.parametrize("model", ["tiny", "small"])
@pytest.mark.parametrize("flags", [("-static",), ("-pie",)])
def test_programs(tc, dialect, model, flags):
    if model == "tiny" and flags == ("-static",):
        flags = ("-static", "-Wl,-Ttext-segment=0x10000")
    src = """
        __thread int a = 7; __thread char pad[5000]; __thread long b;
        int get(void) { return a + (int)b; }
        int main(void) { b = 3; pad[4999] = 1; return get() - 9 - pad[4999]; }
        """
    obj = tc.c(src, f"-mtls-dialect={dialect}", f"-mcmodel={model}", "-fPIC", "-O1", "-ftls-model=global-dynamic")
    assert tc.run(tc.exe("prog", *flags, obj)).rc == 0
