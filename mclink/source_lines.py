"""Which source line an offset of an input section came from, by the object's DWARF line tables.

Used for messages only: the whole module, and the package pyelftools that it reads DWARF with, is loaded when the
first place is to be printed. Debug sections are often damaged or unusual; then there is no line, never an error.
"""

import struct
from bisect import bisect_right
from io import BytesIO

from mclink.libraries import library

PURPOSE = "source lines in messages"
SHT_RELA, SHT_REL = 4, 9
SHF_ALLOC, SHF_COMPRESSED = 2, 0x800
SECTIONS = ("info", "aranges", "abbrev", "str", "loc", "ranges", "line", "pubtypes", "pubnames", "addr",
            "str_offsets", "line_str", "loclists", "rnglists", "sup", "types")
MOST_DIES = 20000           # entries of a unit that the search for a variable looks at
HEAD = 256                  # a unit's header and first entry lie in the first two blocks of this many bytes


def open_lines(contents, word_types):
    """The ObjectLines of an object, or None when it has no line tables that can be read.

    contents: bytes of the object; word_types: dict, relocation type -> bytes of its field, for the types that
    mean S + A."""
    try:
        dwarfinfo = library("elftools.dwarf.dwarfinfo", PURPOSE)
        return ObjectLines(contents, dwarfinfo, word_types)
    except Exception:  # damaged, or no pyelftools
        return None


class ObjectLines:
    """Line tables of one object. Its sections are given addresses of their own, so that an address in the
    tables tells the section too."""

    __slots__ = ("contents", "sections", "relocations", "dwarf", "order", "byteorder", "wide", "bases", "symbols",
                 "word_types", "line", "rows", "waiting", "info", "info_index", "structs")

    def __init__(self, contents, dwarfinfo, word_types):
        self.contents = contents
        self.structs = library("elftools.dwarf.structs", PURPOSE)
        self.word_types = word_types
        self.wide = contents[4] == 2
        self.order, self.byteorder = ("<", "little") if contents[5] == 1 else (">", "big")
        self.bases = {}             # section index -> address
        self.relocations = {}       # section index -> headers of its relocation sections
        self.symbols = None
        self.line = b""             # relocated .debug_line
        self.info = None            # .debug_info, relocated at the heads of its units only, until a variable is asked for
        self.info_index = 0         # its section index
        self.rows = []              # what read_unit gave for the units read so far
        self.waiting = None         # iterator over the units not read yet
        self.sections = self.read_headers()
        address = 0x1000
        names = {}
        for index, (name, type, flags, _, size, _, info) in enumerate(self.sections):
            if name.startswith((b".debug_", b".zdebug_")):
                names.setdefault(name, index)
            if type in (SHT_RELA, SHT_REL):
                self.relocations.setdefault(info, []).append(self.sections[index])
            if flags & SHF_ALLOC:
                self.bases[index] = address
                address = (address + size + 0xfff) & -0x1000
        config = dwarfinfo.DwarfConfig(little_endian=self.order == "<", default_address_size=8 if self.wide else 4,
                                       machine_arch="")
        parts = {"debug_%s_sec" % name: None for name in SECTIONS}
        for name in ("info", "abbrev", "line", "line_str", "str", "str_offsets", "addr"):
            data = self.read_section(names, name)
            if data is not None:
                parts["debug_%s_sec" % name] = dwarfinfo.DebugSectionDescriptor(
                    stream=BytesIO(data), name=".debug_" + name, global_offset=0, size=len(data), address=0)
            if name == "line":
                self.line = data or b""
            elif name == "info":
                self.info = parts["debug_info_sec"] and parts["debug_info_sec"].stream
        parts.update(config=config, debug_frame_sec=None, eh_frame_sec=None, gnu_debugaltlink_sec=None)
        # Releases of pyelftools differ in the sections that they know.
        known = dwarfinfo.DWARFInfo.__init__.__code__.co_varnames
        self.dwarf = dwarfinfo.DWARFInfo(**{name: part for name, part in parts.items() if name in known})

    # -- sections

    def read_headers(self):
        """[(name, type, flags, offset, size, link, info)] of all sections. The linker has checked them."""
        data = self.contents
        if self.wide:
            start, = struct.unpack_from(self.order + "Q", data, 40)
            form, count_at = self.order + "IIQQQQIIQQ", 60
        else:
            start, = struct.unpack_from(self.order + "I", data, 32)
            form, count_at = self.order + "IIIIIIIIII", 48
        count, names = struct.unpack_from(self.order + "HH", data, count_at)
        first = struct.unpack_from(form, data, start)
        count = count or first[5]
        names = first[6] if names == 0xffff else names
        size = struct.calcsize(form)
        rows = list(struct.iter_unpack(form, data[start:start + count * size]))
        table = data[rows[names][4]:rows[names][4] + rows[names][5]]
        return [(table[row[0]:table.find(b"\0", row[0])], row[1], row[2], row[4], row[5], row[6], row[7])
                for row in rows]

    def section_bytes(self, index):
        """Contents of a section, decompressed; None when they cannot be."""
        name, _, flags, offset, size, _, _ = self.sections[index]
        data = self.contents[offset:offset + size]
        if name.startswith(b".z"):
            return inflate(1, data[12:]) if data[:4] == b"ZLIB" else None
        if not flags & SHF_COMPRESSED:
            return data
        kind, = struct.unpack_from(self.order + "I", data)
        return inflate(kind, data[24 if self.wide else 12:])

    def read_section(self, names, name):
        """Relocated contents of .debug_NAME, None when the object has none."""
        index = names.get(b".debug_" + name.encode()) or names.get(b".zdebug_" + name.encode())
        if index is None:
            return None
        data = self.section_bytes(index)
        if data is None:
            return None
        heads = None
        if name == "info":
            self.info_index = index
            heads = unit_heads(data, self.order)
        return self.relocate(bytearray(data), index, heads)

    def relocate(self, data, index, heads=None):
        """Applies the relocations of section number `index` to `data`; only those in `heads`, a set of numbers of
        blocks of HEAD bytes, when there is one."""
        for _, type, _, offset, length, link, _ in self.relocations.get(index, ()):
            rela = type == SHT_RELA
            if self.wide:
                form, shift, mask = ("QQq" if rela else "QQ"), 32, 0xffffffff
            else:
                form, shift, mask = ("IIi" if rela else "II"), 8, 0xff
            symbols = self.symbol_values(link)
            records = self.contents[offset:offset + length]
            size = struct.calcsize(self.order + form)
            for record in struct.iter_unpack(self.order + form, records[:len(records) - len(records) % size]):
                if heads is not None and record[0] // HEAD not in heads:
                    continue
                width = self.word_types.get(record[1] & mask)
                number = record[1] >> shift
                end = record[0] + (width or 0)
                if not width or number >= len(symbols) or end > len(data):
                    continue
                addend = record[2] if rela else int.from_bytes(data[record[0]:end], self.byteorder)
                value = (symbols[number] + addend) & ((1 << 8 * width) - 1)
                data[record[0]:end] = value.to_bytes(width, self.byteorder)
        return bytes(data)

    def symbol_values(self, index):
        """Address of each symbol, 0 for those that are not in a section."""
        if self.symbols is None:
            form = self.order + ("IBBHQQ" if self.wide else "IIIBBH")
            _, _, _, offset, length, _, _ = self.sections[index]
            records = self.contents[offset:offset + length]
            size = struct.calcsize(form)
            records = records[:len(records) - len(records) % size]
            if self.wide:
                self.symbols = [self.bases.get(r[3], 0) + r[4] for r in struct.iter_unpack(form, records)]
            else:
                self.symbols = [self.bases.get(r[5], 0) + r[1] for r in struct.iter_unpack(form, records)]
        return self.symbols

    # -- questions

    def find(self, section, offset):
        """(path, line) of byte `offset` of section number `section`; None when no table covers it."""
        base = self.bases.get(section)
        if base is None:
            return None
        for row in self.rows:
            found = look_up(row, base + offset)
            if found:
                return found
        try:
            if self.waiting is None:
                self.waiting = self.dwarf.iter_CUs()
            for unit in self.waiting:
                row = self.read_unit(unit)
                self.rows.append(row)
                found = look_up(row, base + offset)
                if found:
                    return found
        except Exception:  # damaged
            self.waiting = iter(())
        return None

    def find_variable(self, name):
        """(path, line) where the variable with the symbol name `name` (bytes) is declared, or None."""
        try:
            if self.info_index:
                whole = self.relocate(bytearray(self.info.getvalue()), self.info_index)
                self.info_index = 0
                self.info.seek(0)
                self.info.write(whole)
            for unit in self.dwarf.iter_CUs():
                seen = 0
                for entry in unit.get_top_DIE().iter_children():
                    seen += 1
                    if seen > MOST_DIES:
                        break
                    if entry.tag != "DW_TAG_variable" or "DW_AT_decl_line" not in entry.attributes:
                        continue
                    key = "DW_AT_linkage_name" if "DW_AT_linkage_name" in entry.attributes else "DW_AT_name"
                    if key in entry.attributes and entry.attributes[key].value == name:
                        files = unit_files(self.line_program(unit), unit)
                        number = entry.attributes["DW_AT_decl_file"].value
                        return files.get(number, ""), entry.attributes["DW_AT_decl_line"].value
        except Exception:  # damaged
            pass
        return None

    def line_program(self, unit):
        """The line number program of a unit, None when it has none.

        gas writes 32-bit line tables beside 64-bit units, which pyelftools does not expect by itself."""
        top = unit.get_top_DIE().attributes
        if "DW_AT_stmt_list" not in top:
            return None
        offset = top["DW_AT_stmt_list"].value
        wide = self.line[offset:offset + 4] == b"\xff\xff\xff\xff"
        structs = self.structs.DWARFStructs(
            little_endian=self.order == "<", dwarf_format=64 if wide else 32, address_size=unit["address_size"],
            dwarf_version=unit["version"])
        return self.dwarf._parse_line_program_at_offset(offset, structs)

    def read_unit(self, unit):
        """(addresses, file numbers, lines, paths) of one unit's line table, ascending addresses; the file number
        at the end of a sequence is None."""
        try:
            program = self.line_program(unit)
            if program is None:
                return [], [], [], {}
            rows = run_program(self.line, program.program_start_offset, program.program_end_offset, program.header,
                               self.byteorder)
            files = unit_files(program, unit)
        except Exception:  # damaged
            return [], [], [], {}
        # At one address the end of a sequence comes before the start of the next.
        rows.sort(key=lambda row: (row[0], row[1] is not None))
        return [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows], files


def inflate(kind, data):
    """Decompressed bytes (gABI, Section Compression: 1 zlib, 2 Zstandard); None when they cannot be had."""
    if kind == 1:
        import zlib
        return zlib.decompress(data)
    if kind != 2:
        return None
    return library("zstandard", PURPOSE).ZstdDecompressor().decompressobj().decompress(data)


def unit_heads(data, order):
    """Numbers of the blocks of HEAD bytes in which the units of .debug_info begin."""
    heads = set()
    at = 0
    while at + 12 <= len(data):
        heads.update((at // HEAD, at // HEAD + 1))
        length, = struct.unpack_from(order + "I", data, at)
        if length == 0xffffffff:
            length = struct.unpack_from(order + "Q", data, at + 4)[0] + 8
        at += length + 4
    return heads


def run_program(data, at, end, header, byteorder):
    """Rows (address, file number or None at the end of a sequence, line) of a line number program.

    Source: DWARF 5, section 6.2.5. Columns, views, discriminators and the operation index of VLIW machines are
    not of interest."""
    rows = []
    step = header["minimum_instruction_length"]
    base, line_range = header["line_base"], header["line_range"] or 1
    first = header["opcode_base"]
    lengths = header["standard_opcode_lengths"]
    skip = (255 - first) // line_range * step
    address, file, line = 0, 1, 1

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < end:
        code = data[at]
        at += 1
        if code >= first:
            code -= first
            address += code // line_range * step
            line += base + code % line_range
            rows.append((address, file, line))
        elif code == 0:
            length = number()
            after = at + length
            code = data[at] if length else 0
            if code == 1:
                rows.append((address, None, 0))
                address, file, line = 0, 1, 1
            elif code == 2:
                address = int.from_bytes(data[at + 1:after], byteorder)
            at = after
        elif code == 1:
            rows.append((address, file, line))
        elif code == 2:
            address += number() * step
        elif code == 3:
            value = shift = 0
            while True:
                byte = data[at]
                at += 1
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            line += value - (1 << shift) if byte & 64 else value
        elif code == 4:
            file = number()
        elif code == 8:
            address += skip
        elif code == 9:
            address += int.from_bytes(data[at:at + 2], byteorder)
            at += 2
        else:
            for _ in range(lengths[code - 1]):
                number()
    return rows


def look_up(row, address):
    """(path, line) of an address in what read_unit returned, or None."""
    addresses, files, lines, paths = row
    at = bisect_right(addresses, address) - 1
    if at < 0 or files[at] is None or files[at] not in paths or not lines[at]:
        return None
    return paths[files[at]], lines[at]


def unit_files(program, unit):
    """File number -> path, of one unit. Source: DWARF 5, section 6.2.4: numbers and directories count from 0 in
    version 5, from 1 before it, where directory 0 is the compilation directory."""
    header = program.header
    new = header["version"] >= 5
    top = unit.get_top_DIE().attributes
    home = text(top["DW_AT_comp_dir"].value) if "DW_AT_comp_dir" in top else ""
    folders = [text(folder) for folder in header["include_directory"]]
    if not new:
        folders.insert(0, home)
    files = {}
    for number, entry in enumerate(header["file_entry"], 0 if new else 1):
        path = text(entry.name)
        if not path.startswith("/"):
            index = entry.dir_index
            folder = folders[index] if index < len(folders) else ""
            if not folder.startswith("/") and home and index:
                folder = home + "/" + folder if folder else home
            path = folder + "/" + path if folder else path
        files[number] = path
    return files


def text(value):
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
