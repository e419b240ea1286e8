"""--oformat and OUTPUT_FORMAT for what is no ELF file, against GNU objcopy's conversion of GNU ld's output; -b for inputs."""

import pytest

from harness.toolchain import run_command

pytestmark = [pytest.mark.targets("amd64", "i386", "armhf", "mips"), pytest.mark.lacks(gold="no such formats", lld="no such formats", mold="no such formats")]

SOURCE = """
.globl _start
.text
_start: nop
.rept 37
.byte 0x11
.endr
.section .tdata, "awT"
.long 77
.data
.long 1, 2, 3
.section .far, "aw"
.rept 70000
.byte 5
.endr
.section .apart, ""
.long 1
.bss
.skip 30
"""
SCRIPT = """SECTIONS { .text 0x1000 : { *(.text) } .data 0x3000 : AT(0x2000) { *(.tdata) *(.data) } .bss : { *(.bss) }
.far 0xfff0 : { *(.far) } .apart 0 : { *(.apart) } /DISCARD/ : { *(.MIPS.*) *(.reginfo) *(.pdr) } }"""
LAYOUTS = {
    "script": ("-T", "records.lds"), "24 bits": ("-Ttext", "0x8000", "-Tdata", "0x100000"),
    "32 bits": ("-Ttext", "0x80001000", "-Tdata", "0x10000000"), "zero": ("-Ttext", "0"), "-N": ("-N", "-Ttext", "7c00"),
    "sign": ("-Ttext", "0xffffffff80001000", "-Tdata", "0xffffffff80200000"),
}


def converted(tc, form, *words):
    elf = tc.gnu.ld("out.elf", *words).path
    path = tc.dir / "gnu" / "out"
    run_command([tc.tool("objcopy"), "-O", form, elf, path])
    return path.read_bytes()


@pytest.mark.parametrize("form", ["srec", "ihex", "binary"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_output(tc, form, layout):
    if layout == "sign" and tc.target.bits == 32 or form == "binary" and layout == "32 bits":
        layout = "script"
    tc.write("records.lds", SCRIPT)
    obj = tc.asm(SOURCE, name="records")
    words = [str(tc.dir / w) if w.endswith(".lds") else w for w in LAYOUTS[layout]] + ["--no-warn-rwx-segments", str(obj)]
    ours = tc.ld("out", *words, f"--oformat={form}").path.read_bytes()
    theirs = converted(tc, form, *words)
    if form == "srec":
        # The header names the file as each program was called.
        assert ours.startswith(b"S0") and theirs.startswith(b"S0")
        ours, theirs = (data.partition(b"\n")[2] for data in (ours, theirs))
    assert ours == theirs
    assert not (tc.dir / "out").stat().st_mode & 0o111


@pytest.mark.parametrize("form", ["srec", "ihex", "binary"])
def test_output_format_of_the_script(tc, form):
    tc.write("plain.lds", SCRIPT)
    script = tc.write("records.lds", f"OUTPUT_FORMAT({form})\n" + SCRIPT)
    obj = tc.asm(SOURCE, name="records")
    by_script = tc.ld("out", "-T", script, obj).path.read_bytes()
    assert by_script == tc.ld("out", "-T", tc.dir / "plain.lds", obj, "--oformat", form).path.read_bytes()


@pytest.mark.targets("amd64")
@pytest.mark.parametrize("form", ["srec", "ihex"])
def test_an_address_beyond_32_bits_is_an_error(tc, form):
    done = tc.ld("out", "-Ttext", "180001000", tc.asm(SOURCE, name="records"), "--oformat", form, check=False)
    assert done.rc == 1 and "0x180001000 does not fit in 32 bits" in done.err and not (tc.dir / "out").exists()


@pytest.mark.parametrize("form", ["verilog", "tekhex", "symbolsrec", "pei-x86-64", "nonsense"])
def test_what_is_not_written_is_refused(tc, form):
    done = tc.ld("out", tc.asm(SOURCE, name="records"), f"--oformat={form}", check=False)
    assert done.rc == 1 and f"output format '{form}' is not supported" in done.err and "srec" in done.err
    done = tc.ld("out", "-b", form, tc.asm(SOURCE, name="records"), check=False)
    assert done.rc == 1 and f"input format '{form}' is not supported" in done.err


@pytest.mark.parametrize("form", ["srec", "ihex"])
def test_records_are_no_input(tc, form):
    """GNU ld refuses them too: their machine is not known."""
    obj = tc.asm(SOURCE, name="records")
    tc.ld("in.txt", "-Ttext", "8000", obj, "--oformat", form)
    for maker in (tc, tc.gnu):
        assert maker.ld("out", "-b", form, tc.dir / "in.txt", check=False).rc == 1


@pytest.mark.targets("amd64")
def test_an_elf_format_of_another_machine_is_refused(tc):
    done = tc.ld("out", tc.asm(SOURCE, name="records"), "--oformat=elf64-littleaarch64", check=False)
    assert done.rc == 1 and "elf64-littleaarch64" in done.err
    assert tc.ld("out", tc.asm(SOURCE, name="records"), "--oformat=elf64-x86-64").rc == 0


def test_default_input_format_comes_back(tc):
    """-b binary holds until -b default."""
    data = tc.write("data.bin", b"hello")
    obj = tc.asm(SOURCE, name="records")
    ours = tc.ld("out", "-b", "binary", "data.bin", "-b", "default", obj).path
    e = tc.elf(ours)
    assert e.addr("_binary_data_bin_end") - e.addr("_binary_data_bin_start") == 5 and e.addr("_binary_data_bin_size") == len(data.read_bytes())
