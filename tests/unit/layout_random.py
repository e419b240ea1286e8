"""Random linker scripts, reproducible by seed, for the comparison with GNU ld."""

import random

PATTERNS = {
    ".text": (".text", ".text.*", ".text*", ".text.b", ".text.[!a]", ".nothing"),
    ".data": (".data", ".data.*", ".data*", ".data.[ab]", ".init.*", ".init.[0-1]", ".da*", ".nothing"),
    ".rodata": (".rodata", ".rodata*", ".vec", ".rodata.str", ".ro?ata*"),
    ".bss": (".bss", "COMMON", ".bss*", ".nothing"),
}
SORTS = ("SORT", "SORT_BY_NAME", "SORT_BY_ALIGNMENT", "SORT_NONE", "SORT_BY_INIT_PRIORITY")


class Script:
    """Writes one script."""

    def __init__(self, seed, catch_all=False):
        self.random = random.Random(seed)
        self.symbols = []
        self.sections = []
        self.regions = []
        self.catch_all = self.chance(0.8) or catch_all

    def chance(self, share):
        return self.random.random() < share

    def text(self):
        parts = []
        if self.chance(0.25):
            parts.append(self.memory())
        body = []
        if not self.regions and self.chance(0.95):
            body.append(f". = {self.random.choice(('0x10000', '0x8000 + SIZEOF_HEADERS', '0x20040', '0x1000'))};")
        for number in range(self.random.randrange(1, 7)):
            if self.chance(0.35):
                body.append(self.between())
            body.append(self.section(number))
        if self.catch_all:
            rom, ram = (" > rom", " > ram") if self.regions else ("", "")
            body.append(f".text9 : {{ *(.text*) }}{rom}\n  .rodata9 : {{ *(.rodata*) *(.vec) }}{rom}")
            body.append(f".data9 : {{ *(.data* .init.*) }}{ram}\n  .bss9 : {{ *(.bss COMMON) }}{ram}")
            body.append(".dbg 0 : { *(.dbg) }")
        if self.chance(0.2):
            body.append("/DISCARD/ : { *(%s) }" % self.random.choice((".rodata*", ".vec", ".init.*")))
        if self.chance(0.6):
            body.append(self.assignment())
        parts.append("SECTIONS {\n  " + "\n  ".join(body) + "\n}\n")
        return "\n".join(parts)

    def memory(self):
        self.regions = ["rom", "ram"]
        attributes = self.random.choice((("", ""), (" (rx)", " (rw)"), (" (rx)", " (w!x)")))
        return (f"MEMORY {{ rom{attributes[0]} : ORIGIN = 0x8000, LENGTH = 64K\n"
                f"  ram{attributes[1]} : ORIGIN = 0x40000, LENGTH = 64K }}")

    def between(self):
        kind = self.random.randrange(6)
        if kind == 0:
            return f". = ALIGN({self.random.choice((8, 16, 64, '0x1000'))});"
        if kind == 1:
            return f". = . + {self.random.choice((1, 8, '0x30', '0x1200'))};"
        if kind == 2:
            return f". += {self.random.choice((4, '0x10'))};"
        return self.assignment()

    def assignment(self):
        name = f"s{len(self.symbols)}"
        text = f"{name} = {self.expression(2)};"
        self.symbols.append(name)
        kind = self.random.randrange(8)
        if kind == 0:
            return f"HIDDEN({text[:-1]});"
        return text

    def expression(self, depth):
        kind = self.random.randrange(12 if depth else 4)
        if kind == 0:
            return "."
        if kind == 1:
            return str(self.random.choice((0, 1, 16, 0x123, 0x1000)))
        if kind == 2:
            return self.random.choice(self.symbols) if self.symbols else "."
        if kind == 3:
            if not self.sections:
                return "."
            return f"{self.random.choice(('ADDR', 'SIZEOF', 'LOADADDR'))}({self.random.choice(self.sections)})"
        inner = self.expression(depth - 1)
        if kind == 4:
            return f"ALIGN({self.random.choice((8, 64))})"
        if kind == 5:
            return f"ABSOLUTE({inner})"
        if kind == 6:
            return f"({inner} ? {self.expression(depth - 1)} : {self.expression(depth - 1)})"
        if kind == 7:
            return f"{self.random.choice(('MAX', 'MIN'))}({inner}, {self.expression(depth - 1)})"
        return f"({inner} {self.random.choice('+-+-&|*')} {self.expression(depth - 1)})"

    def section(self, number):
        kind = self.random.choice(tuple(PATTERNS))
        name = kind if self.chance(0.4) else f"{kind}{number}"
        if name in self.sections:
            name = f"{kind}{number}"
        head = name
        if not self.regions and self.chance(0.12):
            head += " " + self.random.choice(("0x30000", "ALIGN(0x100)", ". + 0x40"))
        if kind == ".bss" and self.chance(0.2):
            head += " (NOLOAD)"
        head += " :"
        if not self.regions and self.chance(0.1):
            head += " AT(0x%x)" % self.random.choice((0x80000, 0x90010))
        if self.chance(0.12):
            head += f" ALIGN({self.random.choice((8, 32, 256))})"
        if self.chance(0.06):
            head += f" SUBALIGN({self.random.choice((2, 16))})"
        body = [self.inside(kind) for _ in range(self.random.randrange(0, 5))]
        self.sections.append(name)
        tail = ""
        if self.regions:
            tail = " > rom" if kind in (".text", ".rodata") else " > ram"
            if kind == ".data" and self.chance(0.5):
                tail += " AT> rom"
        if self.chance(0.15):
            tail += self.random.choice((" =0x90", " =0xdeadbeef", " =0x1234 + 1"))
        return head + " { " + " ".join(body) + " }" + tail

    def inside(self, of):
        kind = self.random.randrange(12)
        if kind == 0:
            return self.assignment()
        if kind == 1:
            return self.random.choice((". = ALIGN(16);", ". += 4;", ". = . + 0x11;", ". = .;",
                                       ". = ALIGN(. != 0 ? 8 : 1);"))
        if kind == 2 and of != ".bss":
            return self.random.choice(("BYTE(1)", "SHORT(0x1234)", "LONG(.)", "QUAD(SIZEOF(.text) + 1)"))
        return self.pattern(of)

    def pattern(self, of):
        names = [self.random.choice(PATTERNS[of]) for _ in range(self.random.randrange(1, 4))]
        if self.chance(0.25):
            sort = self.random.choice(SORTS)
            names = [f"{sort}({name})" for name in names]
        elif self.chance(0.1):
            names[0] = "EXCLUDE_FILE(*n.o) " + names[0]
        file = self.random.choice(("*",) * 9 + ("*n.o", "m.o", "*[mn].o", "*x.o"))
        text = f"{file}({' '.join(names)})"
        return f"KEEP({text})" if self.chance(0.2) else text


def make_script(seed, catch_all=False):
    """The script of a seed. catch_all: it names every section, so that none is left to the orphan rules."""
    return Script(seed, catch_all).text()
