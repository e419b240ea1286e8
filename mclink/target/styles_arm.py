"""The Styles of the ARM default scripts; see styles.py.

Other than elsewhere, relocations may be REL or RELA; those of IFUNCs are part of .rel.dyn, between bounds that
start-up code of static programs walks; and all of the GOT is one section, relocated before RELRO is closed.
"""

from mclink.target.default_script import (
    RELOCATABLE_PARTS, RELOCATED, data_section, edge, relro_end, section_line, text_section, unwind_ro)
from mclink.target.style import Style


def _names(rel, combined):
    for name, letters in RELOCATED.items():
        if combined and rel == "rela" and name == "data.rel.ro":
            # Part of .rela.data.* there.
            continue
        section = f".{rel}.{name}"
        yield section, (f"{section} {section}.* .{rel}.gnu.linkonce.{letters}.*" if letters else section)


def _ifunc(rel, variant, indent):
    """The relocations of IFUNCs, and in fixed programs their bounds."""
    start, end = (f"{indent}PROVIDE_HIDDEN (__{rel}_iplt_{name} = .);\n" if variant.kind == "exec" else ""
                  for name in ("start", "end"))
    return f"{start}{indent}*(.{rel}.iplt)\n{end}"


def _rel_dyn(style, variant):
    text = ""
    if variant.combreloc:
        for rel in ("rel", "rela"):
            body = "".join(f"    *({patterns})\n" for _, patterns in _names(rel, True))
            text += f"  .{rel}.dyn :\n  {{\n{body}{_ifunc(rel, variant, '    ')}  }}\n"
        return text
    for one, other in zip(_names("rel", False), _names("rela", False)):
        text += section_line(*one) + section_line(*other)
    for rel in ("rel", "rela"):
        text += f"  .{rel}.iplt :\n  {{\n{_ifunc(rel, variant, '    ')}  }}\n"
    return text


_REL_PLT = section_line(".rel.plt", ".rel.plt") + section_line(".rela.plt", ".rela.plt")
_GLUE = "    *(.glue_7t) *(.glue_7) *(.vfp11_veneer) *(.v4_bx)\n"


def _unwind_ro(style, variant):
    bounds = [f"    PROVIDE_HIDDEN (__exidx_{name} = .);\n"
              for name in ("start", "end")]
    return (section_line(".ARM.extab", ".ARM.extab* .gnu.linkonce.armextab.*")
            + f"  .ARM.exidx :\n  {{\n{bounds[0]}    *(.ARM.exidx* .gnu.linkonce.armexidx.*)\n{bounds[1]}  }}\n"
            + unwind_ro(style, variant))


def _got(style, variant):
    got = section_line(".got", ".got.plt", ".igot.plt", ".got", ".igot")
    end = relro_end(variant, 0)
    return got + end if variant.now else end + got


def _bss_start(style, variant):
    return f"  {edge(variant, '__bss_start')}\n  {edge(variant, '__bss_start__')}\n"


def _after_bss(style, variant):
    return f"  {edge(variant, '_bss_end__')} {edge(variant, '__bss_end__')}\n"


def _before_end(style, variant):
    return f"  {edge(variant, '__end__')}\n"


_ATTRIBUTES = ("  .gnu.attributes 0 : { KEEP (*(.gnu.attributes)) }\n"
               "  .note.gnu.arm.ident 0 : { KEEP (*(.note.gnu.arm.ident)) }\n")


def _rel_at_zero(style, variant):
    return "".join(f"  .{rel}.{name} 0 : {{ *(.{rel}.{name}) }}\n"
                   for name in [*RELOCATED, "iplt", "plt"] for rel in ("rel", "rela"))


def _relocatable_unwind_ro(style, variant):
    return ("  .ARM.extab 0 : { *(.ARM.extab) }\n  .ARM.exidx 0 : { *(.ARM.exidx) }\n"
            + dict(RELOCATABLE_PARTS)["unwind_ro"])


def _style(emulation, order, triple="arm-linux-gnueabihf"):
    names = "elf32-bigarm", "elf32-littlearm"
    default = names[order == "little"]
    return Style(
        emulation, (default, *names), "arm", triple, 0x10000, 32, rel="rel",
        parts={
            "rel_dyn": _rel_dyn, "rel_plt": _REL_PLT,
            "relr": "", "plt": section_line(".plt", ".plt") + section_line(".iplt", ".iplt"),
            "text": text_section(last=_GLUE), "unwind_ro": _unwind_ro, "got": _got,
            "data": data_section("    PROVIDE (__data_start = .);\n"),
            "bss_start": _bss_start, "after_bss": _after_bss, "before_end": _before_end,
            "attributes": _ATTRIBUTES,
        },
        relocatable={
            "rel": _rel_at_zero, "relr": "",
            "plt": "  .plt 0 : { *(.plt) }\n  .iplt 0 : { *(.iplt) }\n",
            "unwind_ro": _relocatable_unwind_ro,
            "got": "  .got 0 : { *(.got) }\n",
            "attributes": _ATTRIBUTES,
        })


STYLES = {
    "armelf_linux_eabi": lambda: _style("armelf_linux_eabi", "little"),
    "armelfb_linux_eabi": lambda: _style("armelfb_linux_eabi", "big"),
}
