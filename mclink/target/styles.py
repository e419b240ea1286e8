"""The Styles of the default linker scripts, by emulation."""

import sys

from mclink.target.style import Style

_LARGE_RELOCATED = {"ldata": "l", "lbss": "lb", "lrodata": "lr"}
_LARGE_AT_ZERO = "".join(f"  {name} 0 : {{ *({name}) }}\n" for name in (".lbss", ".lrodata", ".ldata"))
_X86_PLT = ("  .plt : { *(.plt) *(.iplt) }\n  .plt.got : { *(.plt.got) }\n"
            "  .plt.sec : { *(.plt.sec) }\n")
_X86_PLT_AT_ZERO = "".join(f"  {name} 0 : {{ *({name}) }}\n"
                           for name in (".plt", ".plt.got", ".plt.sec"))


def _x86_64_parts():
    from mclink.target.default_script import large_bss, large_data
    return {"plt": _X86_PLT, "large_bss": large_bss, "large_data": large_data}


def _x86_64(emulation, formats, arch, triple, bits, lib_suffix):
    return Style(
        emulation, (formats,) * 3, arch, triple, 0x400000, bits,
        lib_suffix=lib_suffix, got_header=24, rel_extra=_LARGE_RELOCATED,
        parts=_x86_64_parts,
        relocatable={"plt": _X86_PLT_AT_ZERO, "large_data": _LARGE_AT_ZERO})


def _i386(emulation="elf_i386", formats="elf32-i386", arch="i386"):
    return Style(
        emulation, (formats,) * 3, arch, "i386-linux-gnu", 0x8048000, 32,
        lib_suffix="32", rel="rel", got_header=12,
        # Without large sections there is one alignment less at the end.
        parts={"plt": _X86_PLT}, relocatable={"plt": _X86_PLT_AT_ZERO})


def _elsewhere(module, emulation):
    """A Style of another module of this package, which has a STYLES of its own."""
    module = "mclink.target." + module
    __import__(module)
    return sys.modules[module].STYLES[emulation]()


# emulation -> function that makes its Style
STYLES = {
    "elf_x86_64": lambda: _x86_64("elf_x86_64", "elf64-x86-64", "i386:x86-64", "x86_64-linux-gnu",
                                  64, "64"),
    "elf32_x86_64": lambda: _x86_64("elf32_x86_64", "elf32-x86-64", "i386:x64-32",
                                    "x86_64-linux-gnux32", 32, "x32"),
    "elf_i386": _i386,
    "elf_iamcu": lambda: _i386("elf_iamcu", "elf32-iamcu", "iamcu"),
    "elf64lppc": lambda: _elsewhere("styles_ppc64", "elf64lppc"),
    "elf64ppc": lambda: _elsewhere("styles_ppc64", "elf64ppc"),
    "aarch64linux": lambda: _elsewhere("styles_aarch64", "aarch64linux"),
    "aarch64linuxb": lambda: _elsewhere("styles_aarch64", "aarch64linuxb"),
    "armelf_linux_eabi": lambda: _elsewhere("styles_arm", "armelf_linux_eabi"),
    "armelfb_linux_eabi": lambda: _elsewhere("styles_arm", "armelfb_linux_eabi"),
    "elf32ltsmip": lambda: _elsewhere("styles_mips", "elf32ltsmip"),
    "elf32btsmip": lambda: _elsewhere("styles_mips", "elf32btsmip"),
    "elf32ltsmipn32": lambda: _elsewhere("styles_mips", "elf32ltsmipn32"),
    "elf32btsmipn32": lambda: _elsewhere("styles_mips", "elf32btsmipn32"),
    "elf64ltsmip": lambda: _elsewhere("styles_mips", "elf64ltsmip"),
    "elf64btsmip": lambda: _elsewhere("styles_mips", "elf64btsmip"),
}


def store_all(folder, checked=False):
    """Store the parsed common scripts of all emulations in *folder*, the package's target/scripts."""
    from mclink.target.stored import store_trees
    store_trees([make() for make in STYLES.values()], folder, checked)
