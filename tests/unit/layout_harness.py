"""Links the same objects with mclink and with GNU ld, and tells in what the layouts differ."""

import os
import struct
import subprocess
import sys

import mclink

# The folder that holds the package under test: where it is installed, or the source tree.
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(mclink.__file__)))
PT_LOAD, PT_NOTE, PT_TLS = 1, 4, 7
SHT_SYMTAB, SHT_NOBITS = 2, 8
SHF_EXECINSTR = 4
TABLES = (".symtab", ".strtab", ".shstrtab", ".symtab_shndx")


class Layout:
    """Sections, segments and symbols of an ELF64 little-endian file, as plain tuples."""

    def __init__(self, path):
        with open(path, "rb") as file:
            data = self.data = file.read()
        phoff, shoff = struct.unpack_from("<QQ", data, 32)
        phnum, _, shnum, shstrndx = struct.unpack_from("<HHHH", data, 56)
        headers = [struct.unpack_from("<IIQQQQIIQQ", data, shoff + 64 * i) for i in range(shnum)]
        names = headers[shstrndx][4]
        self.names = [self.text(names + header[0]) for header in headers]
        self.headers = headers
        self.segments = [struct.unpack_from("<IIQQQQQQ", data, phoff + 56 * i) for i in range(phnum)]

    def text(self, offset):
        return self.data[offset:self.data.index(b"\0", offset)].decode()

    def sections(self):
        """name -> (type, flags, address, size, alignment, contents), in file order; contents are left out of
        sections with code, where linkers fill gaps with NOPs of their own choice."""
        rows = {}
        for name, header in zip(self.names, self.headers):
            if name and name not in TABLES:
                offset, size = header[4], header[5]
                contents = b"" if header[1] == SHT_NOBITS or header[2] & SHF_EXECINSTR \
                    else self.data[offset:offset + size]
                rows[name] = (header[1], header[2], header[3], size, header[8], contents)
        return rows

    def offsets(self):
        return {name: header[4] for name, header in zip(self.names, self.headers)
                if name and name not in TABLES and header[1] != SHT_NOBITS and header[5]}

    def program(self):
        """Program headers. The load address of a segment that holds nothing but the headers is GNU ld's
        own affair."""
        rows = []
        for type, flags, offset, address, load, file_size, size, align in self.segments:
            if type == PT_LOAD and offset == 0 and not any(
                    h[2] & 2 and address <= h[3] < address + size for h in self.headers):
                load = address
            rows.append((type, flags, offset, address, load, file_size, size, align))
        return rows

    def symbols(self, absolute):
        """name -> (value, absolute?) of the global defined symbols; without the second when `absolute` is not
        asked for."""
        rows = {}
        for index, header in enumerate(self.headers):
            if header[1] == SHT_SYMTAB:
                strings = self.headers[header[6]][4]
                for i in range(header[7], header[5] // 24):
                    name, info, _, shndx, value, _ = struct.unpack_from("<IBBHQQ", self.data, header[4] + 24 * i)
                    if shndx:
                        rows[self.text(strings + name)] = value, absolute and shndx == 0xfff1
        return rows


class Bench:
    """A folder with objects, in which scripts are tried."""

    def __init__(self, folder):
        self.folder = str(folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def assemble(self, name, source):
        """Assemble `source`; returns the name of the object."""
        with open(self.path(name + ".s"), "w") as file:
            file.write(source)
        subprocess.run(["as", name + ".s", "-o", name + ".o"], cwd=self.folder, check=True)
        return name + ".o"

    def archive(self, name, *members):
        subprocess.run(["ar", "rcD", name, *members], cwd=self.folder, check=True)

    def reference(self, words, output="reference"):
        """Link with GNU ld: (status, messages)."""
        done = subprocess.run(["ld.bfd", "-o", output, *words], cwd=self.folder, capture_output=True, text=True)
        return done.returncode, done.stderr

    def ours(self, words, output="ours"):
        """Link with mclink in a process of its own: (status, messages)."""
        done = subprocess.run([sys.executable, "-S", "-c", "import sys; sys.path.insert(0, sys.argv[1]);"
                               "from mclink.driver import main; sys.exit(main(sys.argv[2:]))", ROOT, "ld.mclink",
                               "-o", output, *words], cwd=self.folder, capture_output=True, text=True)
        return done.returncode, done.stderr

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)
        return name

    def differences(self, words, contents=True, absolute=True, order=True):
        """Lines that tell how the two outputs differ; [] when they agree. order: "loaded" when the place of the headers of
        sections that are not loaded does not matter, False when that of none does."""
        theirs = self.reference(words)
        ours = self.ours(words)
        if theirs[0] != ours[0]:
            return [f"GNU ld ends with {theirs[0]}, mclink with {ours[0]}: {theirs[1]} {ours[1]}"]
        if theirs[0]:
            return []
        return list(compare(Layout(self.path("reference")), Layout(self.path("ours")), contents, absolute, order))


def compare(theirs, ours, contents, absolute, order):
    expected, found = theirs.sections(), ours.sections()
    if order == "loaded":
        order = [n for n in expected if expected[n][1] & 2] != [n for n in found if found[n][1] & 2]
    if list(expected) != list(found) if order else set(expected) != set(found):
        yield f"sections\n  GNU ld {list(expected)}\n  mclink {list(found)}"
    for name in expected:
        if name in found:
            last = 6 if contents else 5
            if expected[name][:last] != found[name][:last]:
                yield f"section {name}\n  GNU ld {describe(expected[name])}\n  mclink {describe(found[name])}"
    if theirs.offsets() != ours.offsets():
        yield f"offsets\n  GNU ld {hexed(theirs.offsets())}\n  mclink {hexed(ours.offsets())}"
    expected, found = theirs.program(), ours.program()
    for i in range(max(len(expected), len(found))):
        left = expected[i] if i < len(expected) else None
        right = found[i] if i < len(found) else None
        if left != right:
            yield f"program header {i}\n  GNU ld {hexed(left)}\n  mclink {hexed(right)}"
    expected, found = theirs.symbols(absolute), ours.symbols(absolute)
    for name in sorted(set(expected) | set(found)):
        if expected.get(name) != found.get(name):
            yield f"symbol {name}\n  GNU ld {hexed(expected.get(name))}\n  mclink {hexed(found.get(name))}"


def describe(row):
    return "type {:#x} flags {:#x} address {:#x} size {:#x} alignment {} ".format(*row[:5]) + row[5][:64].hex()


def hexed(value):
    if isinstance(value, dict):
        return {key: hex(number) for key, number in value.items()}
    return None if value is None else [hex(number) for number in value]
