"""Unwind tables: which records are written, what they point at, and the table of .eh_frame_hdr."""

import struct

import pytest

pytestmark = pytest.mark.targets("amd64")

DAMAGED = "malformed .eh_frame record"


def function(name, size=4, section=".text", cfi="", flags="ax", body=None, tail=""):
    """A function of `size` bytes with an FDE."""
    body = body if body is not None else f"    .fill {size}, 1, 0x90\n"
    return (f"    .section {section},\"{flags}\",@progbits{tail}\n    .globl {name}\n    .type {name}, @function\n{name}:\n"
            f"    .cfi_startproc\n{cfi}{body}    .cfi_endproc\n    .size {name}, . - {name}\n")


class Frames:
    """The records of an output's .eh_frame: cies {offset: bytes}, fdes [(offset, cie offset, pc, range)]."""

    def __init__(self, elf):
        section = elf.section(".eh_frame")
        data = elf.data(".eh_frame")
        self.cies, self.fdes, self.ends = {}, [], []
        at = 0
        while at < len(data):
            length, pointer = struct.unpack_from("<I", data, at)[0], None
            if length == 0:
                self.ends.append(at)
                at += 4
                continue
            pointer = struct.unpack_from("<I", data, at + 4)[0]
            if pointer == 0:
                self.cies[at] = data[at:at + 4 + length]
            else:
                pc, size = struct.unpack_from("<iI", data, at + 8)
                self.fdes.append((at, at + 4 - pointer, section.addr + at + 8 + pc, size))
            at += 4 + length
        self.size = len(data)
        self.address = section.addr

    def by_pc(self):
        return {pc: (at, cie, size) for at, cie, pc, size in self.fdes}


def read_hdr(elf):
    """(address of .eh_frame that it names, [(pc, fde address)] or None without a table)."""
    section = elf.section(".eh_frame_hdr")
    data = elf.data(".eh_frame_hdr")
    assert data[0] == 1 and data[1] == 0x1b
    frames = section.addr + 4 + struct.unpack_from("<i", data, 4)[0]
    if data[2:4] == b"\xff\xff":
        return frames, None
    assert data[2:4] == b"\x03\x3b"
    count = struct.unpack_from("<I", data, 8)[0]
    return frames, [tuple(section.addr + x for x in struct.unpack_from("<ii", data, 12 + 8 * i)) for i in range(count)]


def check(elf, *functions):
    """Every FDE belongs to one of `functions`, each has one, pointers lead to CIEs, and the header agrees."""
    frames = Frames(elf)
    assert sorted(pc for _, _, pc, _ in frames.fdes) == sorted(elf.addr(name) for name in functions)
    assert all(cie in frames.cies and cie < at for at, cie, _, _ in frames.fdes)
    address, table = read_hdr(elf)
    assert address == frames.address
    assert table == sorted((pc, frames.address + at) for at, _, pc, _ in frames.fdes)
    return frames


def test_cies_are_shared(tc):
    a = tc.asm(function("_start", 8) + function("f", 12), name="a")
    b = tc.asm(function("g", 16) + function("h", 20), name="b")
    tc.ld("out", a, b, "--eh-frame-hdr")
    elf = tc.elf("out")
    frames = check(elf, "_start", "f", "g", "h")
    assert len(frames.cies) == 1
    assert {elf.addr(n): s for n, s in (("_start", 8), ("f", 12), ("g", 16), ("h", 20))} == \
        {pc: size for pc, (_, _, size) in frames.by_pc().items()}


PERSONALITY = "    .cfi_personality 0x1b, {}\n"


def test_cies_with_other_personalities_are_not_shared(tc):
    persons = "    .text\n    .globl p1, p2\np1: ret\np2: ret\n"
    a = tc.asm(persons + function("_start", cfi=PERSONALITY.format("p1")) + function("f", cfi=PERSONALITY.format("p2")), name="a")
    b = tc.asm(function("g", cfi=PERSONALITY.format("p1")) + function("h"), name="b")
    tc.ld("out", a, b, "--eh-frame-hdr")
    elf = tc.elf("out")
    frames = check(elf, "_start", "f", "g", "h")
    cie = {name: frames.by_pc()[elf.addr(name)][1] for name in ("_start", "f", "g", "h")}
    assert cie["_start"] == cie["g"] and len(set(cie.values())) == 3
    for name, person in (("_start", "p1"), ("f", "p2"), ("g", "p1")):
        # "zPR": augmentation data are 1 + 4 + 1 bytes behind code, data alignment, return address and their length.
        at = cie[name] + 9 + 4 + 4 + 1
        data = elf.data(".eh_frame")
        assert frames.address + at + struct.unpack_from("<i", data, at)[0] == elf.addr(person)


def test_comdat_losers_have_no_fde(tc):
    group = function("twice", 8, section=".text.twice", flags="axG", tail=",twice,comdat")
    a = tc.asm(function("_start") + group, name="a")
    b = tc.asm(function("f") + group, name="b")
    tc.ld("out", a, b, "--eh-frame-hdr")
    check(tc.elf("out"), "_start", "f", "twice")


def test_gc_drops_fdes_and_keeps_what_live_ones_name(tc):
    """An FDE does not keep its function; its LSDA and personality routine live with it."""
    def with_lsda(name, number):
        table = f"    .section .gcc_except_table.{name},\"a\",@progbits\n.Ltable{number}:\n    .ascii \"table{number}\"\n"
        return table + function(name, section=f".text.{name}",
                                cfi=f"    .cfi_personality 0x1b, person{number}\n    .cfi_lsda 0x1b, .Ltable{number}\n")
    persons = "".join(function(f"person{n}", section=f".text.person{n}") for n in (1, 2))
    start = function("_start", body="    call live\n", section=".text.start")
    a = tc.asm(start + with_lsda("live", 1) + with_lsda("dead", 2) + persons, name="a")
    tc.ld("out", a, "--gc-sections", "--eh-frame-hdr")
    elf = tc.elf("out")
    check(elf, "_start", "live", "person1")
    assert b"table1" in elf.data(".gcc_except_table") and b"table2" not in elf.data(".gcc_except_table")
    assert elf.symbol("dead") is None and elf.symbol("person2") is None


def test_terminator(tc):
    """A zero word ends the output, wherever it stands in the inputs."""
    end = "    .section .eh_frame,\"a\",@progbits\n    .balign 4\n    .long 0\n"
    a, b = tc.asm(function("_start"), name="a"), tc.asm(function("f"), name="b")
    stop = tc.asm(end, name="stop")
    tc.ld("out", a, b, stop, "--eh-frame-hdr")
    frames = check(tc.elf("out"), "_start", "f")
    assert frames.ends == [frames.size - 4]


@pytest.mark.lacks(bfd="drops it and writes none")
def test_early_terminator(tc):
    end = "    .section .eh_frame,\"a\",@progbits\n    .balign 4\n    .long 0\n"
    a, b = tc.asm(function("_start"), name="a"), tc.asm(function("f"), name="b")
    stop = tc.asm(end, name="stop")
    tc.ld("out", a, stop, b, "--eh-frame-hdr")
    frames = check(tc.elf("out"), "_start", "f")
    assert frames.ends == [frames.size - 4]


def record(body):
    return struct.pack("<I", len(body)) + body


CIE = b"\0\0\0\0\1zR\0\1\x78\x10\1\x1b" + b"\x0c\7\x08\x90\1\0\0"      # 20 bytes: one record of 24


def raw_frames(tc, name, data, relocations, text):
    """An object whose .eh_frame is `data`; relocations are (offset, symbol)."""
    path = tc.write(name + ".bin", data)
    relocs = "".join(f"    .reloc {offset}, R_X86_64_PC32, {symbol}\n" for offset, symbol in relocations)
    return tc.asm(text + f"    .section .eh_frame,\"a\",@progbits\n    .balign 8\n    .incbin \"{path}\"\n{relocs}", name=name)


def bare(*names):
    return "    .text\n" + "".join(f"    .globl {n}\n{n}: ret\n    nop\n" for n in names)


def fde(at, cie, size, pad=0):
    return record(struct.pack("<III", at + 4 - cie, 0, size) + bytes(1 + pad))


def test_short_records_leave_no_terminator_between_inputs(tc):
    """Inputs that end off their alignment: the gap in front of the next one must not read as the end."""
    data = record(CIE)
    data += fde(len(data), 0, 2, 3)
    assert len(data) % 8 == 4
    a = raw_frames(tc, "a", data, [(len(data) - 12, "_start")], bare("_start"))
    b = raw_frames(tc, "b", data, [(len(data) - 12, "f")], bare("f"))
    c = tc.asm(function("g"), name="c")
    tc.ld("out", a, b, c, "--eh-frame-hdr")
    assert check(tc.elf("out"), "_start", "f", "g").ends == []


@pytest.mark.lacks(bfd="makes no table then")
def test_unsorted_relocations(tc):
    a = tc.asm(function("_start", 3) + function("f", 5) + function("g", 7, section=".text.g"), name="a")
    raw = bytearray(a.read_bytes())
    rela = tc.elf(a).section(".rela.eh_frame")
    rows = [raw[rela.offset + i:rela.offset + i + 24] for i in range(0, rela.size, 24)]
    assert len(rows) == 3
    raw[rela.offset:rela.offset + rela.size] = b"".join((rows[2], rows[0], rows[1]))
    a.write_bytes(raw)
    tc.ld("out", a, "--eh-frame-hdr")
    elf = tc.elf("out")
    frames = check(elf, "_start", "f", "g")
    assert [frames.by_pc()[elf.addr(n)][2] for n in ("_start", "f", "g")] == [3, 5, 7]


@pytest.mark.lacks(bfd="leaves both in the table")
def test_two_fdes_for_one_address(tc):
    """An empty function in front of another: the table has the one that covers code."""
    a = tc.asm(function("_start") + function("empty", 0) + function("full", 8), name="a")
    tc.ld("out", a, "--eh-frame-hdr")
    elf = tc.elf("out")
    assert elf.addr("empty") == elf.addr("full")
    frames = Frames(elf)
    _, table = read_hdr(elf)
    assert [pc for pc, _ in table] == sorted({elf.addr("_start"), elf.addr("full")})
    found = dict(table)[elf.addr("full")] - frames.address
    assert next(size for at, _, _, size in frames.fdes if at == found) == 8


@pytest.mark.parametrize("what", ["length", "augmentation", "version"])
def test_what_is_not_understood_is_kept(tc, what):
    """The section is written whole, and the header has no table."""
    if what == "length":
        data = record(CIE) + b"\xff\xff\xff\xff" + struct.pack("<Q", 16) + bytes(16)
    elif what == "augmentation":
        data = record(CIE.replace(b"zR\0", b"zQ\0"))
    else:
        data = record(CIE.replace(b"\1zR", b"\x09zR"))
    odd = raw_frames(tc, "odd", data, [], "")
    a = tc.asm(function("_start"), name="a")
    tc.ld("out", a, odd, "--eh-frame-hdr", check=False)
    elf = tc.elf("out")
    assert data in elf.data(".eh_frame")
    assert read_hdr(elf) == (elf.section(".eh_frame").addr, None)


@pytest.mark.lacks(bfd="warns and goes on")
@pytest.mark.parametrize("data,offset", [
    (record(CIE) + struct.pack("<I", 0x1000) + bytes(20), 24),          # leaves the section
    (record(CIE) + struct.pack("<I", 2) + bytes(2), 24),                # no room for its own id
    (record(CIE) + b"\x10\0\0", 24),                                    # half a length
    (record(CIE) + fde(24, 8, 4, 3), 24),                               # points into the middle of its CIE
    (record(CIE) + record(struct.pack("<III", 0x1000, 0, 4)), 24),      # points in front of the section
    (record(CIE) + record(struct.pack("<I", 28)), 24),                  # no pc
    (record(b"\0\0\0\0\1zR"), 0),                                       # the augmentation has no end
    (record(b"\0\0\0\0\1zR\0\1\x78\x10\x7f\x1b\0"), 0),                 # its data leave the record
    (record(b"\0\0\0\0\1zR\0\x81\x80\x80\x80"), 0),                     # a number leaves the record
])
def test_damage(tc, data, offset):
    a = raw_frames(tc, "bad", data, [], bare("_start"))
    done = tc.ld("out", a, "--eh-frame-hdr", check=False)
    assert done.rc == 1
    assert DAMAGED in done.err and f".eh_frame+{offset:#x}" in done.err


def test_header_alone(tc):
    """Without any .eh_frame there is no header, and without the option there is none either."""
    tc.ld("none", tc.asm(bare("_start"), name="a"), "--eh-frame-hdr")
    assert tc.elf("none").section(".eh_frame_hdr") is None
    tc.ld("off", tc.asm(function("_start"), name="b"))
    assert tc.elf("off").section(".eh_frame_hdr") is None
    assert len(Frames(tc.elf("off")).fdes) == 1


def test_relocatable_output_keeps_records(tc):
    a, b = tc.asm(function("_start"), name="a"), tc.asm(function("f"), name="b")
    tc.ld("both.o", "-r", a, b)
    tc.ld("out", tc.dir / "both.o", "--eh-frame-hdr")
    check(tc.elf("out"), "_start", "f")


def test_many_functions(tc):
    """More sections than one unit of work takes, in an order that has to be sorted; threads do not matter."""
    objects = []
    for i in range(80):
        objects.append(tc.asm(function(f"f{i}", 8, section=f".text.s{(i * 37) % 80:02d}")
                              + function(f"g{i}", 8, section=f".text.t{(i * 53) % 80:02d}"), name=f"o{i}"))
    start = tc.asm(function("_start"), name="start")
    tc.ld("out", start, *objects, "--eh-frame-hdr", "--sort-section=name")
    check(tc.elf("out"), "_start", *(f"{k}{i}" for k in "fg" for i in range(80)))
    if tc.linker.flavour == "mclink":
        for count in (1, 3):
            tc.ld(f"out{count}", start, *objects, "--eh-frame-hdr", "--sort-section=name", f"--threads={count}")
        assert (tc.dir / "out1").read_bytes() == (tc.dir / "out3").read_bytes()
