"""-b binary: raw bytes wrapped into an ELF object in memory, so that nothing later is special.

Source: GNU ld manual, node "Options", --format; the symbol names are those of BFD's binary target.
"""

from mclink.elf import ET_REL, SHT_STRTAB, SHT_SYMTAB


def binary_object(data, path, contents):
    """The ELF image of a relocatable object whose .data holds `contents`.

    data: the target's constants (MACHINE, ELF_CLASS, BIG_ENDIAN). The symbols _binary_PATH_start, _end and _size
    are made from `path` with every character that is no letter or digit replaced by "_".
    """
    stem = "_binary_" + "".join(c if c.isascii() and c.isalnum() else "_" for c in path)
    writer = ElfWriter(data.ELF_CLASS, data.BIG_ENDIAN, data.MACHINE)
    section = writer.add_section(".data", 1, 3, contents, 1)
    writer.add_section(".note.GNU-stack", 1, 0, b"", 1)
    writer.add_symbol(stem + "_start", section, 0)
    writer.add_symbol(stem + "_end", section, len(contents))
    writer.add_symbol(stem + "_size", 0xfff1, len(contents))
    return writer.image()


class ElfWriter:
    """Builds a relocatable ELF image in memory: sections with contents and global symbols."""

    __slots__ = ("bits", "order", "machine", "sections", "symbols")

    def __init__(self, bits, big_endian, machine):
        self.bits = bits
        self.order = "big" if big_endian else "little"
        self.machine = machine
        self.sections = []
        self.symbols = []

    def add_section(self, name, type, flags, contents, align, link=0, info=0, entsize=0):
        """Appends a section; returns its index."""
        self.sections.append((name, type, flags, contents, align, link, info, entsize))
        return len(self.sections)

    def add_symbol(self, name, section, value):
        """Appends a global NOTYPE symbol."""
        self.symbols.append((name, section, value))

    def _number(self, value, size):
        return value.to_bytes(size, self.order)

    def image(self):
        """The bytes of the object."""
        word = self.bits // 8
        n = self._number
        names = bytearray(b"\0")
        table = bytearray(16 if word == 4 else 24)
        for name, section, value in self.symbols:
            at = len(names)
            names += name.encode("utf-8", "surrogateescape") + b"\0"
            if word == 4:
                table += n(at, 4) + n(value, 4) + n(0, 4) + b"\x10\0" + n(section, 2)
            else:
                table += n(at, 4) + b"\x10\0" + n(section, 2) + n(value, 8) + n(0, 8)
        count = len(self.sections)
        sections = self.sections + [
            (".symtab", SHT_SYMTAB, 0, bytes(table), word, count + 2, 1, 16 if word == 4 else 24),
            (".strtab", SHT_STRTAB, 0, bytes(names), 1, 0, 0, 0)]
        strings = bytearray(b"\0")
        offsets = []
        for section in sections + [(".shstrtab",)]:
            offsets.append(len(strings))
            strings += section[0].encode() + b"\0"
        sections.append((".shstrtab", SHT_STRTAB, 0, bytes(strings), 1, 0, 0, 0))
        header = 52 if word == 4 else 64
        body = bytearray(header)
        rows = [bytes(40 if word == 4 else 64)]
        for index, (name, type, flags, contents, align, link, info, entsize) in enumerate(sections):
            while len(body) % max(align, 1):
                body += b"\0"
            rows.append(n(offsets[index], 4) + n(type, 4) + n(flags, word) + n(0, word) + n(len(body), word)
                        + n(len(contents), word) + n(link, 4) + n(info, 4) + n(align, word) + n(entsize, word))
            body += contents
        while len(body) % 8:
            body += b"\0"
        shoff = len(body)
        ident = b"\x7fELF" + bytes((1 if word == 4 else 2, 2 if self.order == "big" else 1, 1)) + bytes(9)
        body[:header] = (ident + n(ET_REL, 2) + n(self.machine, 2) + n(1, 4) + n(0, word) + n(0, word) + n(shoff, word)
                         + n(0, 4) + n(header, 2) + n(0, 2) + n(0, 2) + n(40 if word == 4 else 64, 2)
                         + n(len(rows), 2) + n(len(rows) - 1, 2))
        return bytes(body) + b"".join(rows)
