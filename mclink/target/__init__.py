"""The targets: a registry of strings. Nobody imports a target by name but `load`.

A target module has, all documented in x86_64.py: NAME, EMULATIONS, MACHINE, ELF_CLASS, BIG_ENDIAN,
the page sizes and paths, RELOCS, and `make_ops()`.
"""

import sys

from mclink.diag import LinkError
from mclink.target.styles import STYLES

# GNU emulation name -> (module of this package, operating system flavour)
EMULATIONS = {
    "elf_x86_64": ("x86_64", "linux"),
    "elf_x86_64_fbsd": ("x86_64", "freebsd"),
    "elf_x86_64_sol2": ("x86_64", "solaris"),
    "elf_x86_64_nbsd": ("x86_64", "netbsd"),
    "elf_x86_64_haiku": ("x86_64", "haiku"),
    "elf_i386": ("i386", "linux"),
    "elf_i386_fbsd": ("i386", "freebsd"),
    "elf_i386_sol2": ("i386", "solaris"),
    "elf_i386_nbsd": ("i386", "netbsd"),
    "elf_i386_haiku": ("i386", "haiku"),
    "elf_iamcu": ("iamcu", "linux"),
    "elf32_x86_64": ("x32", "linux"),
    "elf64lppc": ("ppc64", "linux"),
    "elf64lppc_fbsd": ("ppc64", "freebsd"),
    "elf64ppc": ("ppc64_be", "linux"),
    "elf64ppc_fbsd": ("ppc64_be", "freebsd"),
    "aarch64linux": ("aarch64", "linux"),
    "aarch64elf": ("aarch64", "none"),
    "aarch64fbsd": ("aarch64", "freebsd"),
    "aarch64nbsd": ("aarch64", "netbsd"),
    "aarch64haiku": ("aarch64", "haiku"),
    "aarch64linuxb": ("aarch64_be", "linux"),
    "aarch64elfb": ("aarch64_be", "none"),
    "aarch64fbsdb": ("aarch64_be", "freebsd"),
    "aarch64nbsdb": ("aarch64_be", "netbsd"),
    **{name + suffix: (module, flavour)
       for name, module in (("elf32ltsmip", "mips"), ("elf32btsmip", "mips_be"), ("elf32ltsmipn32", "mipsn32"),
                            ("elf32btsmipn32", "mipsn32_be"), ("elf64ltsmip", "mips64"), ("elf64btsmip", "mips64_be"))
       for suffix, flavour in (("", "linux"), ("_fbsd", "freebsd"), ("_nbsd", "netbsd"))},
    "armelf_linux_eabi": ("arm", "linux"),
    "armelf": ("arm", "none"),
    "armelf_fbsd": ("arm", "freebsd"),
    "armelf_nbsd": ("arm", "netbsd"),
    "armelf_nbsd_eabi": ("arm", "netbsd"),
    "armelf_nbsd_eabihf": ("arm", "netbsd"),
    "armelfb_linux_eabi": ("armeb", "linux"),
    "armelfb": ("armeb", "none"),
    "armelfb_nbsd": ("armeb", "netbsd"),
    "armelfb_nbsd_eabi": ("armeb", "netbsd"),
    "armelfb_nbsd_eabihf": ("armeb", "netbsd"),
}

# (e_machine, is 64-bit, is big-endian) -> default emulation of objects of that kind
MACHINES = {
    (62, True, False): "elf_x86_64",
    (62, False, False): "elf32_x86_64",
    (3, False, False): "elf_i386",
    (6, False, False): "elf_iamcu",
    (21, True, False): "elf64lppc",
    (21, True, True): "elf64ppc",
    (183, True, False): "aarch64linux",
    (183, True, True): "aarch64linuxb",
    (40, False, False): "armelf_linux_eabi",
    (40, False, True): "armelfb_linux_eabi",
    (8, False, False): "elf32ltsmip",
    (8, False, True): "elf32btsmip",
    (8, True, False): "elf64ltsmip",
    (8, True, True): "elf64btsmip",
    (183, False, False): "aarch64linux32",
    (183, False, True): "aarch64linux32b",
}

# (e_machine, default emulation) -> (bit of e_flags, emulation of objects that have it)
FLAGS = {
    (8, "elf32ltsmip"): (0x20, "elf32ltsmipn32"),
    (8, "elf32btsmip"): (0x20, "elf32btsmipn32"),
}

# first word of a target triple in argv[0] -> default emulation
TRIPLES = {
    "x86_64": "elf_x86_64",
    "amd64": "elf_x86_64",
    "i386": "elf_i386",
    "i486": "elf_i386",
    "i586": "elf_i386",
    "i686": "elf_i386",
    "powerpc64le": "elf64lppc",
    "ppc64le": "elf64lppc",
    "powerpc64": "elf64ppc",
    "ppc64": "elf64ppc",
    "aarch64": "aarch64linux",
    "arm64": "aarch64linux",
    "aarch64_be": "aarch64linuxb",
    "arm": "armelf_linux_eabi",
    "armv5": "armelf_linux_eabi",
    "armv6": "armelf_linux_eabi",
    "armv7": "armelf_linux_eabi",
    "armv7l": "armelf_linux_eabi",
    "armeb": "armelfb_linux_eabi",
    "aarch64eb": "aarch64linuxb",
    "mips": "elf32btsmip",
    "mipseb": "elf32btsmip",
    "mipsel": "elf32ltsmip",
    "mipsisa32r6": "elf32btsmip",
    "mipsisa32r6el": "elf32ltsmip",
    "mips64": "elf64btsmip",
    "mips64eb": "elf64btsmip",
    "mips64el": "elf64ltsmip",
    "mipsisa64r6": "elf64btsmip",
    "mipsisa64r6el": "elf64ltsmip",
}

# Names for OUTPUT_FORMAT and --oformat of outputs that are no ELF files
RAW_FORMATS = ("binary", "srec", "ihex")

# BFD target name (OUTPUT_FORMAT, --oformat) -> default emulation
FORMATS = {
    "elf64-x86-64": "elf_x86_64",
    "elf64-x86-64-freebsd": "elf_x86_64_fbsd",
    "elf64-x86-64-sol2": "elf_x86_64_sol2",
    "elf32-x86-64": "elf32_x86_64",
    "elf32-i386": "elf_i386",
    "elf32-i386-freebsd": "elf_i386_fbsd",
    "elf32-i386-sol2": "elf_i386_sol2",
    "elf32-iamcu": "elf_iamcu",
    "elf32-littlearm": "armelf_linux_eabi",
    "elf32-bigarm": "armelfb_linux_eabi",
    "elf64-powerpcle": "elf64lppc",
    "elf64-powerpc": "elf64ppc",
    "elf64-powerpc-freebsd": "elf64ppc_fbsd",
    "elf64-littleaarch64": "aarch64linux",
    "elf64-bigaarch64": "aarch64linuxb",
    "elf64-aarch64-freebsd": "aarch64fbsd",
    "elf32-tradlittlemips": "elf32ltsmip",
    "elf32-tradbigmips": "elf32btsmip",
    "elf32-littlemips": "elf32ltsmip",
    "elf32-bigmips": "elf32btsmip",
    "elf32-ntradlittlemips": "elf32ltsmipn32",
    "elf32-ntradbigmips": "elf32btsmipn32",
    "elf64-tradlittlemips": "elf64ltsmip",
    "elf64-tradbigmips": "elf64btsmip",
    "elf32-tradlittlemips-freebsd": "elf32ltsmip_fbsd",
    "elf32-tradbigmips-freebsd": "elf32btsmip_fbsd",
    "elf32-ntradlittlemips-freebsd": "elf32ltsmipn32_fbsd",
    "elf32-ntradbigmips-freebsd": "elf32btsmipn32_fbsd",
    "elf64-tradlittlemips-freebsd": "elf64ltsmip_fbsd",
    "elf64-tradbigmips-freebsd": "elf64btsmip_fbsd",
}

ELFOSABI_FREEBSD = 9        # EI_OSABI of FreeBSD's objects

# Emulations that are known by name and refused: name -> why
REFUSED = {name: "the ILP32 ABI of AArch64 is not supported; compile for LP64 (without -mabi=ilp32)"
           for name in ("aarch64linux32", "aarch64linux32b", "aarch64elf32", "aarch64elf32b")}


class Target:
    """A target module for one emulation, and its compiled relocation table.

    Attributes:
      emulation   GNU name, "elf_x86_64"
      flavour     operating system: "linux", "freebsd", "netbsd" ...
      data        the target module: constants (IMAGE_BASE, INTERP ...) are read from it
      ops         _core.ops.OpsTable
    """

    __slots__ = ("emulation", "flavour", "data", "ops", "_names", "_style")

    def __init__(self, emulation, flavour, data):
        self.emulation = emulation
        self.flavour = flavour
        self.data = data
        self.ops = data.make_ops()
        self._names = None
        self._style = None

    @property
    def style(self):
        """The style.Style of the emulation; a flavour without one has that of its module."""
        if self._style is None:
            self._style = (STYLES.get(self.emulation) or STYLES[self.data.STYLE])()
        return self._style

    def reloc_name(self, number):
        """Printed name of relocation type `number`; "unknown (n)" when the target has none."""
        if self._names is None:
            self._names = {row[0]: row[1] for row in self.data.RELOCS}
        return self._names.get(number) or f"unknown ({number})"

    def interp(self):
        """Path of the run-time linker for this flavour, or None."""
        return self.data.INTERP.get(self.flavour)


def load(emulation):
    """The Target of a GNU emulation name; LinkError when there is none."""
    try:
        name, flavour = EMULATIONS[emulation]
    except KeyError:
        if emulation in REFUSED:
            raise LinkError(f"{emulation}: {REFUSED[emulation]}") from None
        known = " ".join(EMULATIONS)
        raise LinkError(f"unrecognised emulation mode: {emulation}\n"
                        f">>> supported emulations: {known}") from None
    module = "mclink.target." + name
    __import__(module)
    return Target(emulation, flavour, sys.modules[module])


def flavour_of_triple(triple):
    """Operating system in a target triple ("x86_64--netbsd"): "netbsd", "freebsd", "haiku"; None for others."""
    return next((flavour for flavour in ("freebsd", "netbsd", "haiku") if triple and flavour in triple), None)


def emulation_of_triple(triple):
    """Emulation for a target triple ("x86_64--netbsd"), or None when it is not known."""
    emulation = TRIPLES.get(triple.partition("-")[0]) if triple else None
    return emulation and _of_flavour(emulation, flavour_of_triple(triple))


def flavoured(target, flavour):
    """The Target like `target` for an operating system; itself when there is none."""
    emulation = _of_flavour(target.emulation, flavour)
    return target if emulation == target.emulation else load(emulation)


def _of_flavour(emulation, flavour):
    """The first emulation of the same machine for a flavour; `emulation` when there is none."""
    module = EMULATIONS[emulation][0]
    return next((name for name, row in EMULATIONS.items() if row == (module, flavour)), emulation)


def emulation_of_machine(machine, is64, big_endian):
    """Default emulation for the header of an object, or None when no target links it."""
    return MACHINES.get((machine, bool(is64), bool(big_endian)))


def emulation_of_flags(machine, e_flags, emulation):
    """The emulation of an object: e_flags may say that it is of another ABI than `emulation`, its machine's default."""
    bit, other = FLAGS.get((machine, emulation), (0, None))
    return other if e_flags & bit else emulation


def emulation_of_format(name):
    """Default emulation for a BFD target name, or None."""
    return FORMATS.get(name)
