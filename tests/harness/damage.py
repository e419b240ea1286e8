"""Damaged inputs, made from sound ones with fixed seeds: every field at its limits, every table cut, bytes flipped.

A mutation is (label, bytes). The generators know only the layout of the formats (gABI; ar(5)), nothing of the linker.
"""

import random
import struct

EHDR64 = (("type", 16, 2), ("machine", 18, 2), ("version", 20, 4), ("entry", 24, 8), ("phoff", 32, 8), ("shoff", 40, 8), ("flags", 48, 4),
          ("ehsize", 52, 2), ("phentsize", 54, 2), ("phnum", 56, 2), ("shentsize", 58, 2), ("shnum", 60, 2), ("shstrndx", 62, 2))
EHDR32 = (("type", 16, 2), ("machine", 18, 2), ("version", 20, 4), ("entry", 24, 4), ("phoff", 28, 4), ("shoff", 32, 4), ("flags", 36, 4),
          ("ehsize", 40, 2), ("phentsize", 42, 2), ("phnum", 44, 2), ("shentsize", 46, 2), ("shnum", 48, 2), ("shstrndx", 50, 2))
SHDR64 = (("name", 0, 4), ("type", 4, 4), ("flags", 8, 8), ("addr", 16, 8), ("offset", 24, 8), ("size", 32, 8), ("link", 40, 4), ("info", 44, 4),
          ("align", 48, 8), ("entsize", 56, 8))
SHDR32 = (("name", 0, 4), ("type", 4, 4), ("flags", 8, 4), ("addr", 12, 4), ("offset", 16, 4), ("size", 20, 4), ("link", 24, 4), ("info", 28, 4),
          ("align", 32, 4), ("entsize", 36, 4))
SYM64 = (("name", 0, 4), ("info", 4, 1), ("other", 5, 1), ("shndx", 6, 2), ("value", 8, 8), ("size", 16, 8))
SYM32 = (("name", 0, 4), ("value", 4, 4), ("size", 8, 4), ("info", 12, 1), ("other", 13, 1), ("shndx", 14, 2))


class Bits:
    """An ELF file as bytes, with just enough reading to find its tables."""

    def __init__(self, raw):
        self.raw = raw
        self.wide = raw[4] == 2
        self.order = "<" if raw[5] == 1 else ">"
        self.ehdr = EHDR64 if self.wide else EHDR32
        self.shdr = SHDR64 if self.wide else SHDR32
        self.sym = SYM64 if self.wide else SYM32
        self.shoff = self.get(*next(f[1:] for f in self.ehdr if f[0] == "shoff"))
        self.shnum = self.get(*next(f[1:] for f in self.ehdr if f[0] == "shnum"))
        self.shentsize = 64 if self.wide else 40

    def get(self, at, size):
        return int.from_bytes(self.raw[at:at + size], "little" if self.order == "<" else "big")

    def put(self, at, size, value):
        """The file with one field replaced."""
        new = (value & (1 << 8 * size) - 1).to_bytes(size, "little" if self.order == "<" else "big")
        return self.raw[:at] + new + self.raw[at + size:]

    def sections(self):
        """(index, header offset, {field: value}) of every section."""
        for i in range(self.shnum):
            at = self.shoff + i * self.shentsize
            yield i, at, {name: self.get(at + off, size) for name, off, size in self.shdr}


def limits(value, size, file_size):
    """Values at which a field goes wrong: zero, one off, the end of the file, sign bits, all ones."""
    top = (1 << 8 * size) - 1
    rows = {0, 1, value + 1, value - 1, value ^ 0x80, top, top - 7, top >> 1, (top >> 1) + 1, file_size, file_size - 1, file_size + 1, 0xfff1, 0xffff}
    return sorted(v for v in rows if 0 <= v <= top and v != value)


def header_fields(raw):
    b = Bits(raw)
    for i in range(4, 16):
        for v in (0, 1, 2, 3, 0x7f, 0xff):
            if raw[i] != v:
                yield f"ident[{i}]={v:#x}", raw[:i] + bytes([v]) + raw[i + 1:]
    for name, at, size in b.ehdr:
        for v in limits(b.get(at, size), size, len(raw)):
            yield f"e_{name}={v:#x}", b.put(at, size, v)


def section_fields(raw, pick=None):
    """Each field of the first section of each (type, first letters of the name); ``pick`` limits how many values a field gets."""
    b = Bits(raw)
    seen = set()
    for i, at, h in b.sections():
        kind = (h["type"], h["flags"], h["entsize"])
        if kind in seen:
            continue
        seen.add(kind)
        for name, off, size in b.shdr:
            if name == "addr":
                continue
            values = limits(h[name], size, len(raw))
            if pick and len(values) > pick:
                values = random.Random(f"{i}{name}").sample(values, pick)
            for v in values:
                yield f"section[{i}].{name}={v:#x}", b.put(at + off, size, v)


def table_fields(raw, types, fields, entsize, rows, pick, what):
    """Fields of some rows of each section whose type is in ``types``."""
    b = Bits(raw)
    for i, _, h in b.sections():
        if h["type"] not in types or not h["size"]:
            continue
        n = h["size"] // entsize
        chosen = sorted({0, 1, n - 1, *random.Random(i).sample(range(n), min(n, rows))} & set(range(n)))
        for r in chosen:
            for name, off, size in fields:
                at = h["offset"] + r * entsize + off
                values = limits(b.get(at, size), size, len(raw))
                for v in random.Random(f"{i}{r}{name}").sample(values, min(pick, len(values))):
                    yield f"{what}[{i}][{r}].{name}={v:#x}", b.put(at, size, v)


def symbol_fields(raw, rows=6, pick=4):
    b = Bits(raw)
    yield from table_fields(raw, (2, 11), b.sym, 24 if b.wide else 16, rows, pick, "sym")


def reloc_fields(raw, rows=2, pick=3):
    b = Bits(raw)
    if b.wide:
        yield from table_fields(raw, (4,), (("offset", 0, 8), ("type", 8, 4), ("sym", 12, 4), ("addend", 16, 8)), 24, rows, pick, "rela")
    else:
        yield from table_fields(raw, (9,), (("offset", 0, 4), ("info", 4, 4)), 8, rows, pick, "rel")


def section_words(raw, names_types, pick=3, most=24):
    """32-bit words in sections whose contents the linker reads: .eh_frame, notes, groups, hash and version tables."""
    b = Bits(raw)
    for i, _, h in b.sections():
        if h["type"] not in names_types or not h["size"] or h["offset"] + h["size"] > len(raw):
            continue
        words = list(range(h["offset"], h["offset"] + h["size"] - 3, 4))
        for at in words[:most] + words[-2:]:
            values = limits(b.get(at, 4), 4, len(raw))
            for v in random.Random(at).sample(values, min(pick, len(values))):
                yield f"word@{at:#x}(section {i})={v:#x}", b.put(at, 4, v)


def named_section_words(raw, name, pick=3, most=40):
    """As section_words, for the section called ``name``."""
    b = Bits(raw)
    rows = list(b.sections())
    strndx = b.get(*next(f[1:] for f in b.ehdr if f[0] == "shstrndx"))
    base = rows[strndx][2]["offset"]
    for i, _, h in rows:
        at = base + h["name"]
        if raw[at:raw.index(b"\0", at)].decode() != name:
            continue
        for at in list(range(h["offset"], h["offset"] + h["size"] - 3, 4))[:most]:
            values = limits(b.get(at, 4), 4, len(raw))
            for v in random.Random(at).sample(values, min(pick, len(values))):
                yield f"{name}+{at - h['offset']:#x}={v:#x}", b.put(at, 4, v)


def truncations(raw, points=48):
    """Cut at the ends of headers and tables and at points spread over the file."""
    cuts = {0, 1, 4, 15, 16, 17, 51, 52, 63, 64, 65, len(raw) - 1, len(raw) - 2}
    if raw[:4] == b"\x7fELF":
        b = Bits(raw)
        cuts |= {b.shoff, b.shoff - 1, b.shoff + 1, b.shoff + b.shentsize}
        for _, _, h in b.sections():
            cuts |= {h["offset"], h["offset"] + h["size"] // 2}
    cuts |= {len(raw) * i // points for i in range(points)}
    for n in sorted(c for c in cuts if 0 <= c < len(raw)):
        yield f"cut at {n}", raw[:n]


def byte_flips(raw, count, seed, width=3):
    """Random bytes replaced, a few at a time."""
    rng = random.Random(seed)
    for i in range(count):
        new = bytearray(raw)
        for _ in range(rng.randint(1, width)):
            new[rng.randrange(len(new))] = rng.choice((0, 1, 0x7f, 0x80, 0xff, rng.randrange(256)))
        yield f"flips {seed}/{i}", bytes(new)


def object_mutations(raw, flips=100, seed=1):
    yield from header_fields(raw)
    yield from section_fields(raw, pick=4)
    yield from symbol_fields(raw)
    yield from reloc_fields(raw)
    yield from section_words(raw, (7, 17))
    yield from named_section_words(raw, ".eh_frame")
    yield from truncations(raw)
    yield from byte_flips(raw, flips, seed)


def shared_object_mutations(raw, flips=100, seed=2):
    yield from header_fields(raw)
    yield from section_fields(raw, pick=4)
    yield from symbol_fields(raw, rows=6, pick=3)
    yield from section_words(raw, (6, 5, 0x6ffffff6, 0x6ffffffd, 0x6ffffffe, 0x6fffffff), pick=3)
    yield from truncations(raw)
    yield from byte_flips(raw, flips, seed)


def archive_mutations(raw, flips=100, seed=3):
    """Archive headers, the symbol index, the long-name table, member sizes."""
    at, heads = 8, []
    while at + 60 <= len(raw):
        heads.append(at)
        size = int(raw[at + 48:at + 58])
        at += 60 + size + size % 2
    for at in heads:
        for label, off, text in (("name", 0, b"/999999999      "), ("name", 0, b"/12345          "), ("name", 0, b"//              "),
                                 ("name", 0, b"/               "), ("name", 0, b"#1/999999999    "), ("name", 0, b"#1/-1           "),
                                 ("name", 0, b"/SYM64/         "), ("name", 0, b"__.SYMDEF       "), ("name", 0, b"\0" * 16), ("name", 0, b"\xff" * 16),
                                 ("size", 48, b"9999999999"), ("size", 48, b"-1        "), ("size", 48, b"0         "), ("size", 48, b"abc       "),
                                 ("size", 48, b"          "), ("size", 48, b"1e5       "), ("size", 48, b"7         "), ("magic", 58, b"xx")):
            yield f"member@{at} {label}={text!r}", raw[:at + off] + text + raw[at + off + len(text):]
    if raw[8:10] == b"/ ":
        for off in range(0, 40, 4):
            for v in (0, 1, 7, 8, 9, len(raw), len(raw) - 1, 0x7fffffff, 0x80000000, 0xffffffff):
                yield f"index+{off}={v:#x}", raw[:68 + off] + struct.pack(">I", v) + raw[72 + off:]
    yield f"magic", b"!<arcx>\n" + raw[8:]
    yield f"thin", b"!<thin>\n" + raw[8:]
    for n in {*range(0, 200, 9), *(h + d for h in heads for d in (0, 1, 30, 59, 60, 61))}:
        yield f"cut at {n}", raw[:n]
    yield from byte_flips(raw[:2000] if len(raw) > 2000 else raw, flips, seed)


def text_mutations(text, count=120, seed=4):
    """Scripts: cut everywhere, words dropped, doubled and swapped, odd characters put in."""
    rng = random.Random(seed)
    raw = text.encode()
    for n in range(0, len(raw), max(1, len(raw) // 60)):
        yield f"cut at {n}", raw[:n]
    words = raw.split()
    odd = (b"{", b"}", b"(", b")", b";", b"*", b"/*", b"\"", b"=", b"\0", b"\xff\xfe", b"99999999999999999999999", b"0x", b"-", b"{{{{{{{{", b"((((((((",
           b"\\", b"?", b"ALIGN(", b"INPUT(", b"INCLUDE ", b"@", b",", b">", b"1/0", b"%", b"~", b"\r", b"\x1a", b"a" * 5000)
    for i in range(count):
        new = list(words)
        for _ in range(rng.randint(1, 2)):
            at = rng.randrange(len(new))
            kind = rng.randrange(4)
            if kind == 0:
                del new[at]
            elif kind == 1:
                new.insert(at, new[rng.randrange(len(new))])
            elif kind == 2:
                new[at] = rng.choice(odd)
            else:
                new.insert(at, rng.choice(odd))
            new = new or [b""]
        yield f"words {seed}/{i}", b" ".join(new)
    for depth in (50, 2000, 100000):
        yield f"nested {depth}", b"x = " + b"(" * depth + b"1" + b")" * depth + b";"
        yield f"braces {depth}", b"SECTIONS " + b"{" * depth
