"""ELF constants that Python needs, and a writer of small objects.

Source: gABI chapter 4 (object files) and 5 (program headers); GNU extensions from the LSB.
"""

ET_REL, ET_EXEC, ET_DYN = 1, 2, 3

SHT_NULL, SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_RELA = 0, 1, 2, 3, 4
SHT_HASH, SHT_DYNAMIC, SHT_NOTE, SHT_NOBITS, SHT_REL = 5, 6, 7, 8, 9
SHT_DYNSYM, SHT_INIT_ARRAY, SHT_FINI_ARRAY, SHT_PREINIT_ARRAY = 11, 14, 15, 16
SHT_GROUP, SHT_SYMTAB_SHNDX, SHT_RELR = 17, 18, 19
SHT_GNU_HASH, SHT_GNU_VERDEF, SHT_GNU_VERNEED, SHT_GNU_VERSYM = 0x6ffffff6, 0x6ffffffd, 0x6ffffffe, 0x6fffffff

SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4
SHF_MERGE, SHF_STRINGS, SHF_INFO_LINK, SHF_LINK_ORDER = 0x10, 0x20, 0x40, 0x80
SHF_GROUP, SHF_TLS, SHF_COMPRESSED = 0x200, 0x400, 0x800
SHF_GNU_RETAIN, SHF_EXCLUDE = 0x200000, 0x80000000

PT_NULL, PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE, PT_SHLIB, PT_PHDR, PT_TLS = range(8)
PT_GNU_EH_FRAME, PT_GNU_STACK, PT_GNU_RELRO, PT_GNU_PROPERTY = 0x6474e550, 0x6474e551, 0x6474e552, 0x6474e553
PF_X, PF_W, PF_R = 1, 2, 4

SHN_UNDEF, SHN_LORESERVE, SHN_ABS, SHN_COMMON, SHN_XINDEX = 0, 0xff00, 0xfff1, 0xfff2, 0xffff


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
