"""The Styles of the default scripts of MIPS; see styles.py.

Dynamic relocations may be REL or RELA. _gp is set in front of .got, so that signed 16 bits reach the small data behind
it too; nothing is relocated and then read-only. O32 keeps the PLT behind the read-only data, N32 and N64 in front of
the code.
"""

from mclink.target.default_script import (
    RELOCATABLE_PARTS, RELOCATED, data_section, edge, relro_end, section_line, text_section, unwind_ro)
from mclink.target.style import Style

_SMALL = {"sdata": "s", "sbss": "sb", "sdata2": "s2", "sbss2": "sb2"}
_MDEBUG = ("abi32", "abiN32", "abi64", "abiO64", "eabi32", "eabi64")


def _names(rel):
    names = {**RELOCATED}
    bss = names.pop("bss")
    if rel == "rel":
        names["dyn"] = ""
    names.update(_SMALL)
    names["bss"] = bss
    for name, letters in names.items():
        section = f".{rel}.{name}"
        yield name, section, (f"{section} {section}.* .{rel}.gnu.linkonce.{letters}.*" if letters else section)


def _ifunc(rel, variant, indent):
    start, end = (f"{indent}PROVIDE_HIDDEN (__{rel}_iplt_{name} = .);\n" if variant.kind == "exec" else ""
                  for name in ("start", "end"))
    return f"{start}{indent}*(.{rel}.iplt)\n{end}"


def _rel_dyn(style, variant):
    if variant.combreloc:
        text = ""
        for rel in ("rel", "rela"):
            body = "".join(f"    *({patterns})\n" for name, _, patterns in _names(rel)
                           if rel == "rel" or name != "data.rel.ro")
            text += f"  .{rel}.dyn :\n  {{\n{body}{_ifunc(rel, variant, '    ')}  }}\n"
        return text
    other = {name: section_line(section, patterns) for name, section, patterns in _names("rela")}
    text = "".join(section_line(section, patterns) + other.get(name, "") for name, section, patterns in _names("rel"))
    return text + "".join(f"  .{rel}.iplt :\n  {{\n{_ifunc(rel, variant, '    ')}  }}\n" for rel in ("rel", "rela"))


_REL_PLT = section_line(".rel.plt", ".rel.plt") + section_line(".rela.plt", ".rela.plt")
_PLT = section_line(".plt", ".plt") + section_line(".iplt", ".iplt")
_GOT_PLT = section_line(".got.plt", ".got.plt")


def _head(o32):
    names = ((".MIPS.abiflags", ".reginfo", ".MIPS.xhash") if o32 is True
             else (".MIPS.abiflags", ".MIPS.xhash", ".reginfo" if o32 == "n32" else ".MIPS.options"))
    text = "".join(section_line(name, name) for name in names)

    def part(style, variant):
        no_interp = o32 == "n64" or variant.kind == "shared"
        return ("" if no_interp else section_line(".interp", ".interp")) + text
    return part


def _dynamic_tables(style, variant):
    return "".join(section_line(name, name) for name in (
        ".dynamic", ".hash", ".gnu.hash", ".dynsym", ".dynstr", ".gnu.version", ".gnu.version_d", ".gnu.version_r"))


def _text(style, variant):
    return text_section(f"    {edge(variant, '_ftext')}\n", "    *(.mips16.fn.*) *(.mips16.call.*)\n")(style, variant)


def _small_rodata(style, variant):
    if variant.kind == "shared":
        return ""
    return ("  .sdata2 :\n  {\n    *(.sdata2 .sdata2.* .gnu.linkonce.s2.*)\n  }\n"
            "  .sbss2 : { *(.sbss2 .sbss2.* .gnu.linkonce.sb2.*) }\n")


def _data(style, variant):
    return data_section(f"    {edge(variant, '_fdata')}\n")


def _small_data(o32):
    """From .got to the last of the initialised small data."""
    def part(style, variant):
        more = "    *(.sdata2 .sdata2.* .gnu.linkonce.s2.*)\n" if variant.kind == "shared" else ""
        return (("" if o32 is True or variant.now else _GOT_PLT)
                + "  . = .; HIDDEN (_gp = ALIGN (16) + 0x7ff0);\n  .got : { *(.got) }\n"
                f"  .sdata :\n  {{\n{more}    *(.sdata .sdata.* .gnu.linkonce.s.*)\n  }}\n"
                "  .lit8 : { *(.lit8) }\n  .lit4 : { *(.lit4) }\n"
                + ("" if o32 is True else "  .srdata : { *(.srdata) }\n"))
    return part


def _before_bss(style, variant):
    more = "    *(.sbss2 .sbss2.* .gnu.linkonce.sb2.*)\n" if variant.kind == "shared" else ""
    return (f"  {edge(variant, '_fbss')}\n  .sbss :\n  {{\n{more}    *(.dynsbss)\n"
            "    *(.sbss .sbss.* .gnu.linkonce.sb.*)\n    *(.scommon)\n  }\n")


def _relro_end(o32):
    def part(style, variant):
        return ((_GOT_PLT if variant.now else "") + relro_end(variant, 0)
                + (_GOT_PLT if o32 is True and not variant.now else ""))
    return part


_ATTRIBUTES = ("  .gnu.attributes 0 : { KEEP (*(.gnu.attributes)) }\n"
               "  .gptab.sdata : { *(.gptab.data) *(.gptab.sdata) }\n"
               "  .gptab.sbss : { *(.gptab.bss) *(.gptab.sbss) }\n")
_O32_DEBUG = ("".join(f"  .mdebug.{abi} 0 : {{ KEEP(*(.mdebug.{abi})) }}\n" for abi in _MDEBUG)
              + "".join(f"  .gcc_compiled_long{bits} 0 : {{ KEEP(*(.gcc_compiled_long{bits})) }}\n" for bits in (32, 64)))


def _at_zero(*names):
    return "".join(f"  {name} 0 : {{ *({name}) }}\n" for name in names)


def _relocatable_rel(style, variant):
    text = ""
    other = {name: section for name, section, _ in _names("rela")}
    for name, section, _ in _names("rel"):
        text += _at_zero(section) + (_at_zero(other[name]) if name in other else "")
    return text + _at_zero(".rel.iplt", ".rela.iplt", ".rel.plt", ".rela.plt")


def _relocatable(o32):
    parts = dict(RELOCATABLE_PARTS)
    names = ((".MIPS.abiflags", ".reginfo", ".MIPS.xhash") if o32 is True
             else (".MIPS.abiflags", ".MIPS.xhash") + ((".reginfo",) if o32 == "n32" else ()))
    head = _at_zero(*(() if o32 == "n64" else (".interp",)), *names)
    if o32 == "n64":
        head += section_line(".MIPS.options", ".MIPS.options")
    plt = _at_zero(".plt", ".iplt")
    got_plt = _at_zero(".got.plt")
    tail = parts["attributes"]
    own = {
        "interp": head + _at_zero(".note.gnu.build-id"),
        "dynamic_tables": _at_zero(".dynamic", ".hash", ".gnu.hash", ".dynsym", ".dynstr", ".gnu.version",
                                   ".gnu.version_d", ".gnu.version_r"),
        "rel": _relocatable_rel, "relr": "", "dynamic": "",
        "plt": "" if o32 is True else plt,
        "small_rodata": "  .sdata2 0 :\n  {\n    *(.sdata2)\n  }\n" + _at_zero(".sbss2"),
        "got": got_plt if o32 is True else "",
        "small_data": (("" if o32 is True else got_plt) + _at_zero(".got")
                       + "  .sdata 0 :\n  {\n    *(.sdata)\n  }\n" + _at_zero(".lit8", ".lit4")
                       + ("" if o32 is True else _at_zero(".srdata")) + "  .sbss 0 :\n  {\n    *(.sbss)\n  }\n"),
        "attributes": (tail if type(tail) is str else tail(None, None)) + section_line(".gptab.sdata", ".gptab.sdata")
                       + section_line(".gptab.sbss", ".gptab.sbss") + (_O32_DEBUG if o32 is True else ""),
    }
    if o32 is True:
        unwind = parts["unwind_ro"]
        own["unwind_ro"] = (unwind if type(unwind) is str else unwind(None, None)) + plt
    return own


def _style(emulation, abi, order, triple, base, bits, suffix, names):
    o32 = True if abi == "o32" else abi
    big, little = (f"elf{bits}-{names}{order}mips" for order in ("big", "little"))
    parts = {
        "interp": _head(o32), "dynamic_tables": _dynamic_tables, "rel_dyn": _rel_dyn, "rel_plt": _REL_PLT, "relr": "",
        "plt": "" if o32 is True else _PLT, "text": _text, "small_rodata": _small_rodata,
        "dynamic": "", "got": _relro_end(o32), "data": _data, "small_data": _small_data(o32),
        "before_bss": _before_bss,
        "attributes": _ATTRIBUTES + (_O32_DEBUG if o32 is True else ""),
    }
    if o32 is True:
        parts["unwind_ro"] = lambda style, variant: unwind_ro(style, variant) + _PLT
    return Style(emulation, (big if order == "big" else little, big, little), "mips", triple, base, bits, entry="__start",
                 lib_suffix=suffix, rel="rel", parts=parts, relocatable=_relocatable(o32))


STYLES = {}
for _order, _b, _end in (("little", "lt", "el"), ("big", "bt", "")):
    for _emulation, _row in ((f"elf32{_b}smip", ("o32", f"mips{_end}-linux-gnu", 0x400000, 32, "", "trad")),
                             (f"elf32{_b}smipn32", ("n32", f"mips64{_end}-linux-gnuabin32", 0x10000000, 32, "32", "ntrad")),
                             (f"elf64{_b}smip", ("n64", f"mips64{_end}-linux-gnuabi64", 0x120000000, 64, "64", "trad"))):
        STYLES[_emulation] = (lambda emulation, order, row: lambda: _style(emulation, row[0], order, *row[1:]))(
            _emulation, _order, _row)
