"""The Styles of the AArch64 default scripts; see styles.py."""

from mclink.target.default_script import data_section, edge, section_line, text_section
from mclink.target.style import Style

# Gaps of code are NOPs (d503201f, stored little-endian).
_NOPS = " =0x1f2003d5"


def _kept(name):
    return f"  {name} :\n  {{\n    KEEP (*(SORT_NONE({name})))\n  }}{_NOPS}\n"


def _kept_at_zero(name):
    return f"  {name} 0 : {{ KEEP (*(SORT_NONE({name}))) }}{_NOPS}\n"


def _bss_start(style, variant):
    return f"  {edge(variant, '__bss_start')}\n  {edge(variant, '__bss_start__')}\n"


def _after_bss(style, variant):
    return f"  {edge(variant, '_bss_end__')} {edge(variant, '__bss_end__')}\n"


def _before_end(style, variant):
    return f"  {edge(variant, '__end__')}\n"


_ATTRIBUTES = ("  .ARM.attributes 0 : { KEEP (*(.ARM.attributes)) KEEP (*(.gnu.attributes)) }\n"
               "  .note.gnu.arm.ident 0 : { KEEP (*(.note.gnu.arm.ident)) }\n")


def _got(style, variant):
    """RELRO covers the header of .got.plt, which is always there."""
    end = "" if variant.pages == "none" else "  . = DATA_SEGMENT_RELRO_END ({}, .);\n"
    if variant.now:
        return section_line(".got", ".got.plt", ".igot.plt", ".got", ".igot") + end.format(0)
    return (section_line(".got", ".got", ".igot") + end.format(24)
            + section_line(".got.plt", ".got.plt", ".igot.plt"))


def _style(emulation, order):
    names = "elf64-bigaarch64", "elf64-littleaarch64"
    default = names[order == "little"]
    return Style(
        emulation, (default, *names), "aarch64", "aarch64-linux-gnu", 0x400000, 64, got_header=24,
        parts={
            "init": _kept(".init"), "fini": _kept(".fini"),
            "plt": section_line(".plt", ".plt", ".iplt", attributes="ALIGN(16) "),
            "text": text_section(tail=_NOPS), "got": _got,
            "data": data_section("    PROVIDE (__data_start = .);\n"),
            "bss_start": _bss_start, "after_bss": _after_bss,
            "before_end": _before_end, "attributes": _ATTRIBUTES,
        },
        relocatable={
            "init": _kept_at_zero(".init"), "fini": _kept_at_zero(".fini"),
            "plt": "  .plt 0 : ALIGN(16) { *(.plt) }\n",
            "text": f"  .text 0 : {{ *(.text .stub) *(.gnu.warning) }}{_NOPS}\n",
            "attributes": _ATTRIBUTES,
        })


STYLES = {
    "aarch64linux": lambda: _style("aarch64linux", "little"),
    "aarch64linuxb": lambda: _style("aarch64linuxb", "big"),
}
