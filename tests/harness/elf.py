"""A reader of ELF files for the tests, on pyelftools: an independent judge of what the linker wrote."""

from collections import namedtuple

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.enums import ENUM_DT_FLAGS, ENUM_DT_FLAGS_1
from elftools.elf.descriptions import describe_reloc_type
from elftools.elf.relocation import RelrRelocationSection, RelocationSection

#: dynamic relocations of AArch64 that pyelftools names otherwise, and NONE
_AARCH64 = {0: "R_AARCH64_NONE", 1028: "R_AARCH64_TLS_DTPMOD", 1029: "R_AARCH64_TLS_DTPREL", 1030: "R_AARCH64_TLS_TPREL",
            1031: "R_AARCH64_TLSDESC", 1032: "R_AARCH64_IRELATIVE"}
#: R_PPC64_JMP_IREL is R_PPC64_IRELATIVE for the slot of a PLT entry
_OWN_NAMES = {"EM_AARCH64": _AARCH64, "EM_ARM": {13: "R_ARM_TLS_DESC", 160: "R_ARM_IRELATIVE"}, "EM_PPC64": {247: "R_PPC64_IRELATIVE"}}

Symbol = namedtuple("Symbol", "name value size type bind vis shndx version hidden")
Symbol.defined = property(lambda s: s.shndx != "SHN_UNDEF")
Section = namedtuple("Section", "name index type flags addr offset size link info align entsize")
Segment = namedtuple("Segment", "type flags offset vaddr paddr filesz memsz align")
Reloc = namedtuple("Reloc", "offset type symbol addend value")
Note = namedtuple("Note", "name type desc")
Version = namedtuple("Version", "name flags index parents")

SHF = {"W": 0x1, "A": 0x2, "X": 0x4, "M": 0x10, "S": 0x20, "I": 0x40, "L": 0x80, "G": 0x200, "T": 0x400, "C": 0x800,
       "R": 0x200000, "l": 0x10000000, "E": 0x80000000}
PF = {"X": 1, "W": 2, "R": 4}


class Elf:
    """One file, read lazily. Addresses and sizes in bytes, names as text, kinds as pyelftools spells them."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as f:
            self.raw = f.read()
        import io
        self._elf = ELFFile(io.BytesIO(self.raw))
        self._cache = {}

    def _once(self, key, make):
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]

    # -- header

    @property
    def header(self):
        return self._elf.header

    @property
    def type(self):
        return self.header["e_type"]

    @property
    def entry(self):
        # Bit 0 of an ARM code address tells the instruction set.
        return self.header["e_entry"] & (~1 if self.machine == "EM_ARM" else ~0)

    # -- sections and segments

    @property
    def sections(self):
        """Every section header in order, the null one too."""
        def make():
            rows = []
            for i, s in enumerate(self._elf.iter_sections()):
                h = s.header
                rows.append(Section(s.name, i, h["sh_type"], h["sh_flags"], h["sh_addr"], h["sh_offset"], h["sh_size"], h["sh_link"],
                                    h["sh_info"], h["sh_addralign"], h["sh_entsize"]))
            return rows
        return self._once("sections", make)

    def section(self, name):
        """The section of that name; None when there is none."""
        return next((s for s in self.sections if s.name == name), None)

    def flags(self, name):
        """Section flags as letters, as readelf prints them."""
        value = self.section(name).flags
        return "".join(k for k, bit in SHF.items() if value & bit)

    def data(self, name):
        """Contents of a section, decompressed when SHF_COMPRESSED."""
        return self._elf.get_section(self.section(name).index).data()

    def bytes_at(self, addr, size):
        """``size`` bytes of the image at a virtual address."""
        for p in self.segments:
            if p.type == "PT_LOAD" and p.vaddr <= addr and addr + size <= p.vaddr + p.filesz:
                start = p.offset + addr - p.vaddr
                return self.raw[start:start + size]
        raise AssertionError(f"{self.path}: no file bytes at {addr:#x}")

    def text_at(self, addr):
        """The NUL-terminated string at a virtual address."""
        raw = b""
        while not raw.endswith(b"\0"):
            raw += self.bytes_at(addr + len(raw), 1)
        return raw[:-1]

    def word_at(self, addr, size=None):
        size = size or self._elf.elfclass // 8
        return int.from_bytes(self.bytes_at(addr, size), "little" if self._elf.little_endian else "big")

    @property
    def segments(self):
        return self._once("segments", lambda: [
            Segment(p["p_type"], "".join(k for k, bit in PF.items() if p["p_flags"] & bit), p["p_offset"], p["p_vaddr"], p["p_paddr"],
                    p["p_filesz"], p["p_memsz"], p["p_align"]) for p in self._elf.iter_segments()])

    def segment(self, kind):
        return next((p for p in self.segments if p.type == kind), None)

    def loads(self):
        return [p for p in self.segments if p.type == "PT_LOAD"]

    def section_at(self, addr):
        """The allocated section that holds a virtual address; None when none does."""
        return next((s for s in self.sections if s.flags & 2 and s.addr <= addr < s.addr + s.size and not (
            s.flags & 0x400 and s.type == "SHT_NOBITS")), None)

    @property
    def interp(self):
        s = self.section(".interp")
        return self.data(".interp").rstrip(b"\0").decode() if s else None

    # -- symbols

    def _symbols(self, name):
        table = self._elf.get_section_by_name(name)
        if table is None:
            return []
        versions = self._version_names() if name == ".dynsym" else None
        rows = []
        for i, s in enumerate(table.iter_symbols()):
            version, hidden = versions[i] if versions and i < len(versions) else (None, False)
            shndx = s["st_shndx"]
            rows.append(Symbol(s.name, s["st_value"] & ~self._state_bit(s), s["st_size"], s["st_info"]["type"], s["st_info"]["bind"],
                               s["st_other"]["visibility"], shndx, version, hidden))
        return rows

    def _state_bit(self, s):
        """The bits of a symbol's value that tell an instruction set."""
        return 1 if self.machine == "EM_ARM" and s["st_info"]["type"] == "STT_FUNC" else 0

    def pointer(self, name):
        """What a pointer to a function holds, by .symtab: its address, in ARM programs with its instruction set in bit 0."""
        row = next(s for s in self._elf.get_section_by_name(".symtab").iter_symbols() if s.name == name)
        return row["st_value"]

    @property
    def symbols(self):
        """.symtab in order, the null symbol too."""
        return self._once("symtab", lambda: self._symbols(".symtab"))

    @property
    def dynsyms(self):
        """.dynsym in order, with version names; the null symbol too."""
        return self._once("dynsym", lambda: self._symbols(".dynsym"))

    def symbol(self, name):
        """The .symtab row of that name, globals before locals; None when there is none."""
        rows = [s for s in self.symbols if s.name == name]
        return max(rows, key=lambda s: s.bind != "STB_LOCAL", default=None)

    def dynsym(self, name, version=None):
        return next((s for s in self.dynsyms if s.name == name and (version is None or s.version == version)), None)

    def addr(self, name):
        s = self.symbol(name)
        assert s is not None, f"{self.path}: no symbol {name}"
        return s.value

    def code(self, name):
        """Address of a function's code, through its descriptor where the ABI has those."""
        address = self.addr(name)
        opd = self.section(".opd")
        return self.word_at(address) if opd and opd.addr <= address < opd.addr + opd.size else address

    def dynamic_names(self, defined=True):
        return {s.name for s in self.dynsyms if s.name and s.defined == defined}

    def _version_names(self):
        versym = self._elf.get_section_by_name(".gnu.version")
        if versym is None:
            return None
        names = {v.index: v.name for v in self.verdef}
        for _, versions in self.verneed_rows():
            for v in versions:
                names[v.index] = v.name
        rows = []
        for i in range(versym.num_symbols()):
            ndx = versym.get_symbol(i)["ndx"]
            if ndx in ("VER_NDX_LOCAL", "VER_NDX_GLOBAL"):
                rows.append((None, False))
            else:
                rows.append((names.get(ndx & 0x7fff, f"?{ndx:#x}") if ndx & 0x7fff > 1 else None, bool(ndx & 0x8000)))
        return rows

    @property
    def verdef(self):
        """.gnu.version_d as Version rows."""
        def make():
            s = self._elf.get_section_by_name(".gnu.version_d")
            rows = []
            for v, aux in (s.iter_versions() if s else ()):
                names = [a.name for a in aux]
                rows.append(Version(names[0], v["vd_flags"], v["vd_ndx"], tuple(names[1:])))
            return rows
        return self._once("verdef", make)

    def verneed_rows(self):
        """.gnu.version_r as (file, [Version, ...])."""
        s = self._elf.get_section_by_name(".gnu.version_r")
        return [(v.name, [Version(a.name, a["vna_flags"], a["vna_other"], ()) for a in aux]) for v, aux in (s.iter_versions() if s else ())]

    @property
    def verneed(self):
        """.gnu.version_r as {file: {version name, ...}}."""
        return {name: {v.name for v in versions} for name, versions in self.verneed_rows()}

    # -- dynamic section and relocations

    @property
    def dynamic(self):
        """The dynamic section as [(tag, value), ...] up to DT_NULL; strings resolved for NEEDED, SONAME, RPATH and RUNPATH."""
        def make():
            d = next((s for s in self._elf.iter_sections() if isinstance(s, DynamicSection)), None)
            rows = []
            for t in (d.iter_tags() if d else ()):
                tag = t.entry.d_tag
                if tag == "DT_NULL":
                    break
                text = {"DT_NEEDED": "needed", "DT_SONAME": "soname", "DT_RPATH": "rpath", "DT_RUNPATH": "runpath"}.get(tag)
                rows.append((tag, getattr(t, text) if text else t.entry.d_val))
            return rows
        return self._once("dynamic", make)

    def dyn(self, tag):
        """The value of the first entry with that tag (with or without "DT_"); None when there is none."""
        tag = tag if isinstance(tag, int) or tag.startswith("DT_") else "DT_" + tag
        return next((v for t, v in self.dynamic if t == tag), None)

    @property
    def needed(self):
        return [v for t, v in self.dynamic if t == "DT_NEEDED"]

    def dyn_flags(self):
        """Names set in DT_FLAGS and DT_FLAGS_1."""
        names = {k for k, bit in ENUM_DT_FLAGS.items() if (self.dyn("FLAGS") or 0) & bit}
        return names | {k for k, bit in ENUM_DT_FLAGS_1.items() if (self.dyn("FLAGS_1") or 0) & bit}

    def relocs(self, name):
        """Relocations of a section, types by name, ``value`` the symbol's st_value; [] when there is no such section."""
        table = self._elf.get_section_by_name(name)
        if not isinstance(table, RelocationSection) or isinstance(table, RelrRelocationSection):
            return []
        symbols = self._elf.get_section(table["sh_link"]) if table["sh_link"] else None
        rows = []
        for r in table.iter_relocations():
            sym = symbols.get_symbol(r["r_info_sym"]) if symbols is not None and r["r_info_sym"] else None
            rows.append(Reloc(r["r_offset"], self.reloc_type(r["r_info_type"]), sym.name if sym else "",
                              r["r_addend"] if r.is_RELA() else None, sym["st_value"] if sym else 0))
        return rows

    @property
    def machine(self):
        return self._elf["e_machine"]

    def reloc_type(self, number):
        """Name of a relocation type; pyelftools has other names for the dynamic ones of AArch64 than aaelf64, and does
        not know all of ARM's."""
        own = _OWN_NAMES.get(self.machine, {}).get(number)
        return own or describe_reloc_type(number, self._elf)

    def dynrelocs(self):
        """All the dynamic relocations: of .rel[a].dyn, then .rel[a].plt (or .rel[a].iplt)."""
        rows = []
        for s in self.sections:
            if s.type in ("SHT_RELA", "SHT_REL") and s.flags & 2:
                rows += self.relocs(s.name)
        return rows

    def relr(self):
        """Addresses that .relr.dyn relocates."""
        table = self._elf.get_section_by_name(".relr.dyn")
        return [r["r_offset"] for r in table.iter_relocations()] if table else []

    # -- notes

    @property
    def notes(self):
        """Notes of all the SHT_NOTE sections; desc as bytes."""
        def make():
            rows = []
            order = "little" if self._elf.little_endian else "big"
            for s in self.sections:
                if s.type != "SHT_NOTE":
                    continue
                raw, at = self.raw[s.offset:s.offset + s.size], 0
                pad = 8 if s.align == 8 else 4
                while at + 12 <= len(raw):
                    namesz, descsz, kind = (int.from_bytes(raw[at + i:at + i + 4], order) for i in (0, 4, 8))
                    name = raw[at + 12:at + 12 + namesz].rstrip(b"\0").decode()
                    start = at + 12 + (namesz + 3 & ~3)
                    rows.append(Note(name, kind, raw[start:start + descsz]))
                    at = start + (descsz + pad - 1 & ~(pad - 1))
            return rows
        return self._once("notes", make)

    @property
    def build_id(self):
        return next((n.desc for n in self.notes if n.name == "GNU" and n.type == 3), None)

    def comments(self):
        return [c for c in self.data(".comment").decode().split("\0") if c] if self.section(".comment") else []
