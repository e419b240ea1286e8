"""The targets of the behaviour tests, one row each.

A test asks for the fixture ``tc`` and runs once for every enabled target that has what it needs. The environment
variable MCLINK_TEST_TARGETS (names with commas, or "all") chooses among the rows; without it see ENABLED.
"""

import os


class Target:
    """One row: how to compile for a machine, how to run its programs, and what its ABI has."""

    __slots__ = ("name", "triple", "emulation", "machine", "bits", "little", "cflags", "qemu", "loader", "reloc_prefix",
                 "features", "packages", "executed",
                 "clang_flags", "scripts")

    def __init__(self, name, triple, emulation, machine, bits, little, loader, reloc_prefix, features, cflags=(), qemu=None,
                 packages=(), executed=True, clang_flags=(), scripts=()):
        self.name = name                    # short name, used in test ids
        self.triple = triple                # GNU triple: prefix of the cross tools, folder of the sysroot
        self.emulation = emulation          # -m argument of GNU ld
        self.machine = machine              # e_machine as pyelftools spells it
        self.bits = bits                    # 32 or 64
        self.little = little                # byte order of data
        self.cflags = tuple(cflags)         # flags every compilation needs
        self.qemu = qemu                    # user-mode emulator, None when the host runs it
        self.loader = loader                # program interpreter
        self.reloc_prefix = reloc_prefix    # "R_X86_64_"
        self.features = frozenset(features)
        self.packages = tuple(packages)     # Debian packages beyond requirements-apt.txt
        self.executed = executed            # False: nothing here runs its programs; see harness.structure
        self.clang_flags = tuple(clang_flags)   # what clang does not find out by itself
        self.scripts = dict(scripts)        # name -> text of linker scripts that are wrong in the Debian package

    def tls_dialect(self, descriptors):
        """Compiler flags for TLS descriptors, or for calls of __tls_get_addr, which most compilers take by default."""
        if self.machine == "EM_AARCH64":
            return ["-mtls-dialect=desc" if descriptors else "-mtls-dialect=trad"]
        return ["-mtls-dialect=gnu2"] if descriptors else []

    @property
    def comment(self):
        """What starts a comment in the target's assembly."""
        return {"EM_AARCH64": "//", "EM_ARM": "@"}.get(self.machine, "#")

    @property
    def descriptors(self):
        """A function's symbol is the address of its descriptor, whose first word is that of its code."""
        return self.name == "ppc64"

    @property
    def native(self):
        return self.qemu is None


_ALL = ("eh-frame", "ifunc", "relr", "static-pie", "copy", "rela", "gnu-hash", "tls-static")

TARGETS = {t.name: t for t in (
    Target("amd64", "x86_64-linux-gnu", "elf_x86_64", "EM_X86_64", 64, True, "/lib64/ld-linux-x86-64.so.2", "R_X86_64_",
           _ALL + ("tlsdesc", "large-model", "gdb", "noplt")),
    Target("i386", "i686-linux-gnu", "elf_i386", "EM_386", 32, True, "/lib/ld-linux.so.2", "R_386_",
           # Run by the host's kernel: threads hang under qemu-i386 7.2, whoever has linked them.
           ("eh-frame", "ifunc", "relr", "static-pie", "copy", "gnu-hash", "tls-static", "tlsdesc", "noplt"),
           packages=("gcc-i686-linux-gnu", "g++-i686-linux-gnu", "libc6-i386", "lib32stdc++6")),
    # Kernels are built without CONFIG_X86_X32_ABI, and qemu-user does not know it.
    Target("x32", "x86_64-linux-gnux32", "elf32_x86_64", "EM_X86_64", 32, True, "/libx32/ld-linux-x32.so.2", "R_X86_64_",
           _ALL + ("tlsdesc", "noplt"), packages=("gcc-x86-64-linux-gnux32", "g++-x86-64-linux-gnux32"), executed=False,
           clang_flags=("--gcc-install-dir=/usr/lib/gcc-cross/x86_64-linux-gnux32/12",
                        "-isystem", "/usr/x86_64-linux-gnux32/include"),
           scripts={"libm.a": "GROUP ( /usr/x86_64-linux-gnux32/lib/libm-2.36.a /usr/x86_64-linux-gnux32/lib/libmvec.a )"}),
    Target("aarch64", "aarch64-linux-gnu", "aarch64linux", "EM_AARCH64", 64, True, "/lib/ld-linux-aarch64.so.1", "R_AARCH64_",
           _ALL + ("tlsdesc",), qemu="qemu-aarch64",
           packages=("gcc-aarch64-linux-gnu", "g++-aarch64-linux-gnu", "qemu-user")),
    Target("armhf", "arm-linux-gnueabihf", "armelf_linux_eabi", "EM_ARM", 32, True, "/lib/ld-linux-armhf.so.3", "R_ARM_",
           ("ifunc", "copy", "gnu-hash", "tls-static", "tlsdesc"), qemu="qemu-arm",
           packages=("gcc-arm-linux-gnueabihf", "g++-arm-linux-gnueabihf", "qemu-user")),
    Target("armel", "arm-linux-gnueabi", "armelf_linux_eabi", "EM_ARM", 32, True, "/lib/ld-linux.so.3", "R_ARM_",
           ("ifunc", "copy", "gnu-hash", "tls-static", "tlsdesc"), qemu="qemu-arm",
           packages=("gcc-arm-linux-gnueabi", "g++-arm-linux-gnueabi", "qemu-user")),
    Target("mips", "mips-linux-gnu", "elf32btsmip", "EM_MIPS", 32, False, "/lib/ld.so.1", "R_MIPS_",
           ("eh-frame", "copy", "tls-static"), qemu="qemu-mips",
           packages=("gcc-mips-linux-gnu", "g++-mips-linux-gnu", "qemu-user")),
    Target("mipsel", "mipsel-linux-gnu", "elf32ltsmip", "EM_MIPS", 32, True, "/lib/ld.so.1", "R_MIPS_",
           ("eh-frame", "copy", "tls-static"), qemu="qemu-mipsel",
           packages=("gcc-mipsel-linux-gnu", "g++-mipsel-linux-gnu", "qemu-user")),
    Target("mips64", "mips64-linux-gnuabi64", "elf64btsmip", "EM_MIPS", 64, False, "/lib64/ld.so.1", "R_MIPS_",
           ("eh-frame", "copy", "tls-static"), qemu="qemu-mips64",
           packages=("gcc-mips64-linux-gnuabi64", "g++-mips64-linux-gnuabi64", "qemu-user")),
    Target("mips64el", "mips64el-linux-gnuabi64", "elf64ltsmip", "EM_MIPS", 64, True, "/lib64/ld.so.1", "R_MIPS_",
           ("eh-frame", "copy", "tls-static"), qemu="qemu-mips64el",
           packages=("gcc-mips64el-linux-gnuabi64", "g++-mips64el-linux-gnuabi64", "qemu-user")),
    Target("ppc64", "powerpc64-linux-gnu", "elf64ppc", "EM_PPC64", 64, False, "/lib64/ld64.so.1", "R_PPC64_",
           ("eh-frame", "ifunc", "rela", "gnu-hash", "tls-static"), qemu="qemu-ppc64",
           packages=("gcc-powerpc64-linux-gnu", "g++-powerpc64-linux-gnu", "qemu-user")),
    Target("ppc64le", "powerpc64le-linux-gnu", "elf64lppc", "EM_PPC64", 64, True, "/lib64/ld64.so.2", "R_PPC64_",
           ("eh-frame", "ifunc", "relr", "rela", "gnu-hash", "tls-static"), qemu="qemu-ppc64le",
           packages=("gcc-powerpc64le-linux-gnu", "g++-powerpc64le-linux-gnu", "qemu-user")),
)}

# What a run covers that names no target: the whole suite on ENABLED, and on SAMPLED the folders of SAMPLE and the target's
# own, because emulation is slow and CI has limits.
ENABLED = ("amd64", "i386", "aarch64", "armhf", "armel", "ppc64", "ppc64le")
SAMPLED = ("x32", "mips", "mipsel", "mips64", "mips64el")
SAMPLE = ("hello", "exceptions", "tls", "gc", "dynamic")
OWN = {"EM_X86_64": "amd64", "EM_ARM": "arm", "EM_MIPS": "mips", "EM_PPC64": "ppc64"}


def enabled_targets(folder):
    """The Target rows that this run covers in one folder of tests/link."""
    chosen = os.environ.get("MCLINK_TEST_TARGETS", "")
    if chosen:
        return [TARGETS[n] for n in (TARGETS if chosen == "all" else chosen.split(",")) if n]
    sampled = [TARGETS[n] for n in SAMPLED]
    return [TARGETS[n] for n in ENABLED] + [t for t in sampled if folder in (*SAMPLE, OWN[t.machine])]
