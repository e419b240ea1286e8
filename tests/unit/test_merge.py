"""Merging of strings and constants: what is shared, what is left alone, and where references end up."""

import random

import pytest

pytestmark = pytest.mark.targets("amd64")

ENTRY = "    .text\n    .globl _start\n_start:\n    ret\n"


def strings(section, align, *rows, flags="aMS", entsize=1, directive=".string"):
    """Assembly of a mergeable section: rows are (label, text); the section starts at `align` bytes."""
    body = "".join(f"{label}:\n    {directive} \"{text}\"\n    .balign {align}\n" for label, text in rows)
    return f"    .section {section},\"{flags}\",@progbits,{entsize}\n    .balign {align}\n{body}"


def pointers(name, *labels):
    return f"    .data\n    .globl {name}\n{name}:\n" + "".join(f"    .quad {label}\n" for label in labels)


def string_at(elf, address):
    text = b""
    while not text.endswith(b"\0"):
        text += elf.bytes_at(address + len(text), 1)
    return text[:-1].decode()


def words(elf, name, count):
    return [elf.word_at(elf.addr(name) + 8 * i) for i in range(count)]


def test_equal_strings_are_stored_once(tc):
    a = tc.asm(ENTRY + strings(".rodata.str1.1", 1, (".La", "hello"), (".Lb", "world"), (".Lc", "hello"))
               + pointers("pa", ".La", ".Lb", ".Lc", ".La + 2"), name="a")
    b = tc.asm(strings(".rodata.str1.1", 1, ("named", "world"), (".Ld", "other"), (".Le", ""))
               + pointers("pb", "named", ".Ld", ".Le", "named + 3"), name="b")
    tc.ld("out", a, b)
    elf = tc.elf("out")
    pa, pb = words(elf, "pa", 4), words(elf, "pb", 4)
    assert [string_at(elf, p) for p in pa] == ["hello", "world", "hello", "llo"]
    assert [string_at(elf, p) for p in pb] == ["world", "other", "", "ld"]
    assert pa[0] == pa[2] and pa[3] == pa[0] + 2
    assert pa[1] == pb[0] == elf.addr("named") and pb[3] == pb[0] + 3
    assert elf.section(".rodata").size <= len("hello world other  ")


def test_constants(tc):
    row = "    .section .rodata.cst{0},\"aM\",@progbits,{0}\n    .balign {0}\n{1}"
    a = tc.asm(ENTRY + row.format(8, ".La: .quad 1\n.Lb: .quad 2\n") + row.format(16, ".Lc: .quad 1, 2\n")
               + pointers("pa", ".La", ".Lb", ".Lc"), name="a")
    b = tc.asm(row.format(8, ".La: .quad 2\n.Lb: .quad 3\n") + row.format(16, ".Lc: .quad 1, 2\n.Ld: .quad 1, 3\n")
               + pointers("pb", ".La", ".Lb", ".Lc", ".Ld"), name="b")
    tc.ld("out", a, b)
    elf = tc.elf("out")
    pa, pb = words(elf, "pa", 3), words(elf, "pb", 4)
    assert [elf.word_at(p) for p in pa[:2] + pb[:2]] == [1, 2, 2, 3]
    assert [(elf.word_at(p), elf.word_at(p + 8)) for p in (pa[2], pb[2], pb[3])] == [(1, 2), (1, 2), (1, 3)]
    assert pa[1] == pb[0] and pa[2] == pb[2]
    assert all(p % 16 == 0 for p in (pa[2], pb[3]))


def test_alignment_of_strings(tc):
    """Sections of another alignment keep theirs, and padding between strings is no string of its own."""
    a = tc.asm(ENTRY + strings(".rodata.str1.8", 8, (".La", "ab"), (".Lb", "0123456789")) + pointers("pa", ".La", ".Lb"),
               name="a")
    b = tc.asm(strings(".rodata.str1.8", 8, (".Lb", "0123456789"), (".Lc", "x")) + pointers("pb", ".Lb", ".Lc"), name="b")
    c = tc.asm(strings(".rodata.str1.1", 1, (".La", "ab")) + pointers("pc", ".La"), name="c")
    tc.ld("out", a, b, c)
    elf = tc.elf("out")
    pa, pb, pc = words(elf, "pa", 2), words(elf, "pb", 2), words(elf, "pc", 1)
    assert [string_at(elf, p) for p in pa + pb + pc] == ["ab", "0123456789", "0123456789", "x", "ab"]
    assert pa[1] == pb[0]
    assert all(p % 8 == 0 for p in pa + pb)


def test_wide_strings(tc):
    """Zero bytes inside a character end nothing."""
    wide = "    .section .rodata.str4.4,\"aMS\",@progbits,4\n    .balign 4\n"
    a = tc.asm(ENTRY + wide + ".La: .long 0x10000, 0x100, 0\n.Lb: .long 7, 0\n" + pointers("pa", ".La", ".Lb"), name="a")
    b = tc.asm(wide + ".La: .long 7, 0\n.Lb: .long 0x100, 0\n" + pointers("pb", ".La", ".Lb"), name="b")
    tc.ld("out", a, b)
    elf = tc.elf("out")
    pa, pb = words(elf, "pa", 2), words(elf, "pb", 2)
    read = [[elf.word_at(p + 4 * i, 4) for i in range(n)] for p, n in zip(pa + pb, (3, 2, 2, 2))]
    assert read == [[0x10000, 0x100, 0], [7, 0], [7, 0], [0x100, 0]]
    assert pa[1] == pb[0]


def test_tails(tc):
    """-O2 lets a string lie at the end of another one, where that is aligned."""
    a = tc.asm(ENTRY + strings(".rodata.str1.1", 1, (".La", "abc"), (".Lb", "xabc"), (".Lc", "c"), (".Ld", ""),
                               (".Le", "zc"), (".Lf", "bc"))
               + pointers("pa", ".La", ".Lb", ".Lc", ".Ld", ".Le", ".Lf"), name="a")
    tc.ld("out", a, "-O2")
    elf = tc.elf("out")
    pa = words(elf, "pa", 6)
    assert [string_at(elf, p) for p in pa] == ["abc", "xabc", "c", "", "zc", "bc"]
    assert pa[0] == pa[1] + 1 and pa[5] == pa[1] + 2
    assert elf.section(".rodata").size == len("xabc zc ")


def test_tails_keep_alignment(tc):
    rows = ((".La", "0123456789abcdef"), (".Lb", "89abcdef"), (".Lc", "9abcdef"))
    a = tc.asm(ENTRY + strings(".rodata.str1.8", 8, *rows) + pointers("pa", ".La", ".Lb", ".Lc"), name="a")
    tc.ld("out", a, "-O2")
    elf = tc.elf("out")
    pa = words(elf, "pa", 3)
    assert [string_at(elf, p) for p in pa] == [text for _, text in rows]
    assert all(p % 8 == 0 for p in pa)
    assert pa[1] == pa[0] + 8


@pytest.mark.lacks(bfd="2.40 ends the last string itself", lld="calls it an error")
@pytest.mark.parametrize("contents,entsize,flags", [
    (".ascii \"ab\\0ab\\0a\"", 1, "aMS"),       # the last string has no end
    (".byte 1, 2, 3, 1, 2, 3, 1", 3, "aM"),     # a part of an entry
    (".quad ENTRY, ENTRY", 8, "aM"),            # relocations
])
def test_odd_sections_stay_whole(tc, contents, entsize, flags):
    source = ENTRY + f"    .set ENTRY, _start\n    .section .rodata.odd,\"{flags}\",@progbits,{entsize}\n    {contents}\n"
    a = tc.asm(source, name="a")
    size = tc.elf(a).section(".rodata.odd").size
    tc.ld("out", a)
    assert tc.elf("out").section(".rodata").size == size


@pytest.mark.lacks(lld="calls it an error")
def test_writable_sections_stay_whole(tc):
    """Two variables are two variables."""
    row = "    .section .data.cst,\"awM\",@progbits,8\n    .globl {0}\n{0}: .quad 5\n"
    tc.ld("out", tc.asm(ENTRY + row.format("x"), name="a"), tc.asm(row.format("y"), name="b"))
    elf = tc.elf("out")
    if tc.linker.flavour == "mclink":
        assert elf.addr("x") != elf.addr("y")
    assert elf.word_at(elf.addr("x")) == elf.word_at(elf.addr("y")) == 5


def test_dead_sections_give_nothing(tc):
    dead = "    .section .text.dead,\"ax\",@progbits\n    lea .Ld(%rip), %rax\n" \
        + strings(".rodata.dead.str1.1", 1, (".Ld", "gone"))
    live = "    .text\n    lea .Ll(%rip), %rax\n" + strings(".rodata.live.str1.1", 1, (".Ll", "kept"))
    tc.ld("out", tc.asm(ENTRY + live + dead, name="a"), "--gc-sections")
    assert tc.elf("out").data(".rodata") == b"kept\0"


@pytest.mark.lacks(lld="merges with -r too")
def test_relocatable_output_keeps_pieces_apart(tc):
    """-r leaves merging to the final link, and references still lead to their strings."""
    a = tc.asm(ENTRY + strings(".rodata.str1.1", 1, (".La", "one"), (".Lb", "two")) + pointers("pa", ".La", ".Lb"), name="a")
    b = tc.asm(strings(".rodata.str1.1", 1, (".Lb", "two"), (".Lc", "three")) + pointers("pb", ".Lb", ".Lc"), name="b")
    tc.ld("both.o", "-r", a, b)
    assert tc.elf("both.o").data(".rodata.str1.1") == b"one\0two\0two\0three\0"
    tc.ld("out", tc.dir / "both.o")
    elf = tc.elf("out")
    assert [string_at(elf, p) for p in words(elf, "pa", 2) + words(elf, "pb", 2)] == ["one", "two", "two", "three"]
    assert elf.section(".rodata").size <= len("one two three ")


def debug_object(tc, name, contents, offsets, entsize=1, flags="MS"):
    """An object with `contents` in .debug_str and the section offsets `offsets` relocated in .debug_info.

    Through the section symbol: an offset from any other symbol would not be mapped (gABI, SHF_MERGE)."""
    data = tc.write(name + ".bin", contents)
    info = "".join(f"    .long .debug_str + {offset}\n" for offset in offsets)
    return tc.compile(f"    .section .debug_str,\"{flags}\",@progbits,{entsize}\n    .incbin \"{data}\"\n"
                      f"    .section .debug_info,\"\",@progbits\n{info}", lang="asm", name=name)


def threads(tc, count):
    return [f"--threads={count}"] if tc.linker.flavour == "mclink" else []


@pytest.mark.lacks(bfd="shares tails whatever -O says")
def test_many_strings(tc):
    """Enough for several shards, waves and parts of one input: every string is there once, for any number of threads."""
    rnd = random.Random(3)
    words_ = [b"%x" % rnd.getrandbits(rnd.choice((8, 24, 64))) * rnd.randrange(1, 4) for _ in range(90000)]
    inputs, expected = [], set()
    for name, part in (("a", words_[:60000]), ("b", words_[50000:] + [b"end"]), ("c", [b"end", b"", b"last"])):
        contents = b"".join(word + b"\0" for word in part)
        starts, at = [], 0
        for word in part:
            starts.append(at)
            at += len(word) + 1
        picked = [starts[0], starts[len(part) // 2], starts[-1]]
        inputs.append((debug_object(tc, name, contents, picked), [part[0], part[len(part) // 2], part[-1]]))
        expected |= set(part)
    objects = [tc.asm(ENTRY, name="start"), *(obj for obj, _ in inputs)]
    tc.ld("one", *threads(tc, 1), *objects)
    tc.ld("two", *threads(tc, 2), *objects)
    assert (tc.dir / "one").read_bytes() == (tc.dir / "two").read_bytes()
    elf = tc.elf("one")
    merged = elf.data(".debug_str")
    pieces = merged.split(b"\0")[:-1]
    assert len(pieces) == len(set(pieces)) and set(pieces) == expected
    info = elf.data(".debug_info")
    offsets = [int.from_bytes(info[i:i + 4], "little") for i in range(0, len(info), 4)]
    assert [merged[o:merged.index(b"\0", o)] for o in offsets] == [word for _, picked in inputs for word in picked]


def test_one_large_input(tc):
    """An input larger than a unit of work, with one string that is larger still."""
    part = [b"s%d" % (i % 70000) for i in range(140000)]
    part.insert(100000, b"x" * 900000)
    contents = b"".join(word + b"\0" for word in part)
    obj = debug_object(tc, "a", contents, [contents.index(b"xxx"), contents.rindex(b"\0s69999\0") + 1])
    tc.ld("out", tc.asm(ENTRY, name="start"), obj, *threads(tc, 2))
    elf = tc.elf("out")
    merged = elf.data(".debug_str")
    assert len(merged) == sum(len(word) + 1 for word in set(part))
    info = elf.data(".debug_info")
    first, last = (int.from_bytes(info[i:i + 4], "little") for i in (0, 4))
    assert merged[first:first + 900001] == b"x" * 900000 + b"\0"
    assert merged[last:last + 7] == b"s69999\0"
