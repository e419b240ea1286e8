"""The Styles of the default scripts of 64-bit Power; see styles.py.

.got holds the .toc sections of the inputs too. .plt and .iplt hold addresses, take no room in the file and stand
among the data; -z now moves them in front of .got, so that RELRO covers them.
"""

from mclink.target.default_script import RELOCATED, relro_end, section_line, text_section
from mclink.target.style import Style

# Sections whose dynamic relocations the scripts name beside those of every machine, in their places
_FIRST = {"opd": ""}
_TOC = {"toc": "", "toc1": "", "tocbss": "", "branch_lt": "", "sdata": "s", "sbss": "sb", "sdata2": "s2", "sbss2": "sb2"}


def _names(combined):
    names = {**_FIRST, **RELOCATED}
    bss = names.pop("bss")
    if combined:
        del names["data.rel.ro"]
    names.update(_TOC)
    names["bss"] = bss
    return names


def _relocated(combined):
    for name, letters in _names(combined).items():
        section = f".rela.{name}"
        yield section, (f"{section} {section}.* .rela.gnu.linkonce.{letters}.*" if letters else section)


def _ifunc(variant, indent):
    """The relocations of IFUNCs, and in fixed programs their bounds, which start-up code walks."""
    start, end = (f"{indent}PROVIDE_HIDDEN (__rela_iplt_{name} = .);\n" if variant.kind == "exec" else ""
                  for name in ("start", "end"))
    return f"{start}{indent}*(.rela.iplt)\n{end}"


def _rel_dyn(style, variant):
    if variant.combreloc:
        body = "".join(f"    *({patterns})\n" for _, patterns in _relocated(True))
        return f"  .rela.dyn :\n  {{\n{body}{_ifunc(variant, '    ')}  }}\n"
    return ("".join(section_line(name, patterns) for name, patterns in _relocated(False))
            + f"  .rela.iplt :\n  {{\n{_ifunc(variant, '    ')}  }}\n")


def _sdata2(variant):
    return "*(.sdata2 .sdata2.* .gnu.linkonce.s2.*)", "*(.sbss2 .sbss2.* .gnu.linkonce.sb2.*)"


def _small_rodata(style, variant):
    if variant.kind == "shared":
        return ""
    data, bss = _sdata2(variant)
    return f"  .sdata2 : {{ {data} }}\n  .sbss2 : {{ {bss} }}\n"


_PLT = section_line(".plt", ".plt") + section_line(".iplt", ".iplt")


def _got(style, variant):
    """.opd to .toc; .branch_lt ends where .got starts."""
    ends = "(-SIZEOF(.branch_lt))"
    if variant.now:
        ends = ("(-SIZEOF(.branch_lt) + (-MAX(ALIGNOF(.plt),8) & (-SIZEOF(.plt)"
                " + (-MAX(ALIGNOF(.iplt),8) & -SIZEOF(.iplt)))))")
    place = (f"ALIGNOF(.branch_lt) < 256 && SIZEOF(.got) != 0"
             f" ? . + (((-MAX(ALIGNOF(.branch_lt),8) & {ends}) - .) & 255)"
             " : ALIGN(MAX(ALIGNOF(.branch_lt), SIZEOF(.got) != 0 ? 256 : 8))")
    return ("  .opd : ALIGN(8) { KEEP (*(.opd)) }\n  .toc1 : ALIGN(8) { *(.toc1) }\n"
            f"  .branch_lt {place} : {{ *(.branch_lt) }}\n"
            + (_PLT if variant.now else "")
            + "  .got : ALIGN(256) { *(.got .toc) }\n" + relro_end(variant, 0)
            + "  .toc : ALIGN(8) { *(.toc) }\n")


def _small_data(style, variant):
    data, bss = _sdata2(variant) if variant.kind == "shared" else ("", "")
    return (f"  .sdata :\n  {{\n{data and f'    {data}' + chr(10)}    *(.sdata .sdata.* .gnu.linkonce.s.*)\n  }}\n"
            "  .tocbss : ALIGN(8) { *(.tocbss)}\n"
            f"  .sbss :\n  {{\n{bss and f'    {bss}' + chr(10)}    *(.dynsbss)\n"
            "    *(.sbss .sbss.* .gnu.linkonce.sb.*)\n    *(.scommon)\n  }\n"
            + ("" if variant.now else _PLT))


def _relocatable_rel(style, variant):
    return ("".join(f"  .rela.{name} 0 : {{ *(.rela.{name}) }}\n" for name in _names(False))
            + "  .rela.iplt 0 : { *(.rela.iplt) }\n  .rela.plt 0 : { *(.rela.plt) }\n")


_RELOCATABLE_GOT = ("  .opd 0 : { KEEP (*(.opd)) }\n  .toc1 0 : { *(.toc1) }\n  .branch_lt 0 : { *(.branch_lt) }\n"
                    "  .got 0 : { *(.got) }\n  .toc 0 : { *(.toc) }\n  .toc 0 : { *(.toc) }\n")


def _data_and_small(style, variant):
    """.sdata and its like stand in front of .data."""
    from mclink.target.default_script import data_section
    return _small_data(style, variant) + data_section()


def _style(emulation, triple, name):
    return Style(
        emulation, (name,) * 3, "powerpc:common64", triple, 0x10000000, 64, lib_suffix="64",
        parts={
            "rel_dyn": _rel_dyn,
            "rel_plt": "  .rela.plt :\n  {\n    *(.rela.plt)\n  }\n",
            "plt": "",
            "text": text_section(last="    *(.sfpr .glink)\n"),
            "small_rodata": _small_rodata,
            "got": _got,
            "data": _data_and_small,
        },
        relocatable={
            "rel": _relocatable_rel, "plt": "", "got": _RELOCATABLE_GOT,
            "small_rodata": "  .sdata2 0 :\n  {\n    *(.sdata2)\n  }\n  .sbss2 0 : { *(.sbss2) }\n",
            "data": lambda style, variant: (
                "  .sdata 0 :\n  {\n    *(.sdata)\n  }\n  .tocbss 0 : { *(.tocbss)}\n"
                "  .sbss 0 : { *(.sbss) }\n"
                "  .plt 0 : { *(.plt) }\n  .iplt 0 : { *(.iplt) }\n"
                "  .data 0 :\n  {\n    *(.data)\n"
                + ("    SORT(CONSTRUCTORS)\n" if variant.kind == "constructors" else "")
                + "  }\n  .data1 0 : { *(.data1) }\n"),
        })


STYLES = {
    "elf64lppc": lambda: _style("elf64lppc", "powerpc64le-linux-gnu", "elf64-powerpcle"),
    "elf64ppc": lambda: _style("elf64ppc", "powerpc64-linux-gnu", "elf64-powerpc"),
}
