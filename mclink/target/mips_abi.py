"""The ABI of MIPS inputs: e_flags, .MIPS.abiflags and .reginfo or .MIPS.options of all of them become one.

Sources: MIPS ABI supplement; "MIPS O32 ABI - FR0 and FR1 Interlinking" for the ABI flags.
"""

from mclink._core import files, load, notes
from mclink.diag import LinkError
from mclink.elf import SHF_ALLOC
from mclink.target.mips_layout import REGISTERS

SHT_MIPS_REGINFO, SHT_MIPS_OPTIONS, SHT_MIPS_ABIFLAGS = 0x70000006, 0x7000000D, 0x7000002A
SHF_MIPS_NOSTRIP = 0x8000000

NOREORDER, PIC, CPIC, ABI2, BITMODE32, FP64, NAN2008 = 1, 2, 4, 0x20, 0x100, 0x200, 0x400
ABI_MASK, MACH_MASK, ASE_MASK, ARCH_MASK = 0xF000, 0xFF0000, 0xF000000, 0xF0000000
ABI_O32, ABI_O64, ABI_EABI32, ABI_EABI64 = 0x1000, 0x2000, 0x3000, 0x4000
ASE_M16, ASE_MICROMIPS = 0x4000000, 0x2000000

ARCHS = ("mips1", "mips2", "mips3", "mips4", "mips5", "mips32", "mips64", "mips32r2", "mips64r2", "mips32r6", "mips64r6")
ARCH_32R6, ARCH_64R6 = 9, 10
# number of an ISA in e_flags -> those whose code runs on it
_INCLUDES = {0: (), 1: (0,), 2: (1,), 3: (2,), 4: (3,), 5: (1,), 6: (4, 5), 7: (5,), 8: (6, 7), 9: (), 10: (9,)}
# (level, revision) in .MIPS.abiflags
_LEVELS = ((1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (32, 1), (64, 1), (32, 2), (64, 2), (32, 6), (64, 6))
# processors whose code others run: e_flags of the machine -> those it extends
_MACHINES = {0x8D0000: (0x8B0000,), 0x8E0000: (0x8D0000, 0x8B0000), 0x8B0000: ()}

FP_NAMES = ("-mdouble-float", "-mdouble-float", "-msingle-float", "-msoft-float",
            "-mips32r2 -mfp64 (12 callee-saved)", "-mfpxx", "-mgp32 -mfp64", "-mgp32 -mfp64 -mno-odd-spreg")
TAG_FP, TAG_MSA = 4, 8
FP_ANY, FP_DOUBLE, FP_XX, FP_64, FP_64A = 0, 1, 5, 6, 7


def abi_name(flags, bits):
    """How people call the ABI of an object."""
    if bits == 64:
        return "64"
    if flags & ABI2:
        return "N32"
    return {ABI_O32: "O32", ABI_O64: "O64", ABI_EABI32: "EABI32", ABI_EABI64: "EABI64"}.get(flags & ABI_MASK, "none")


def runs(arch, other):
    """True when a processor with one ISA runs the code of another."""
    return arch == other or any(runs(lower, other) for lower in _INCLUDES.get(arch, ()))


def merge_flags(link):
    """e_flags of the output. Errors name both files."""
    from mclink._core.arch.mips import file_flags
    diag = link.diag
    wanted = {"o32": "O32", "n32": "N32", "n64": "64"}[link.target.data.ABI]
    merged = None
    first = {}
    la25 = False
    for file, flags, bits in file_flags(link.tables):
        if not link.options.relocatable and not flags and is_empty(link, file):
            continue
        name = files.file_name(link.tables, file)
        abi = abi_name(flags, bits)
        if abi == "none":
            abi = wanted if bits == (64 if wanted == "64" else 32) else "O32"
        if abi != wanted:
            raise LinkError(f"{name}: ABI is incompatible with that of the selected emulation: "
                            f"linking {abi} module with {wanted} modules")
        la25 = la25 or not flags & PIC
        if merged is None:
            merged, first["name"] = flags, name
            continue
        merged = merge_two(diag, merged, first["name"], flags, name)
    link.extra["mips_la25"] = la25
    return merged


def is_empty(link, file):
    """True for an object without code or data, which has no flags to compare (-b binary)."""
    return files.file_name(link.tables, file) == "<internal>"


def merge_two(diag, old, old_name, new, name):
    """e_flags of what has been merged so far and of one more file."""
    if bool(old & (PIC | CPIC)) != bool(new & (PIC | CPIC)):
        diag.warn(f"{name}: linking {'' if new & (PIC | CPIC) else 'non-'}abicalls files with "
                  f"{'' if old & (PIC | CPIC) else 'non-'}abicalls files")
    merged = old | new & (NOREORDER | 0x10)
    if new & (PIC | CPIC):
        merged |= CPIC
    if not new & PIC:
        merged &= ~PIC
    for bit, on, off in ((FP64, "-mfp64", "-mfp32"), (NAN2008, "-mnan=2008", "-mnan=legacy")):
        if (old ^ new) & bit:
            diag.error(f"{name}: linking {on if new & bit else off} module with previous {on if old & bit else off} "
                       f"modules (such as {old_name})")
    arch_old, arch_new = old >> 28, new >> 28
    if arch_old >= len(ARCHS) or arch_new >= len(ARCHS):
        diag.error(f"{name}: unknown architecture in e_flags {new:#x}")
        return merged
    if runs(arch_new, arch_old):
        merged = merged & ~ARCH_MASK | new & ARCH_MASK
    elif not runs(arch_old, arch_new):
        diag.error(f"{name}: linking {ARCHS[arch_new]} module with previous {ARCHS[arch_old]} modules "
                   f"(such as {old_name})")
    mach_old, mach_new = old & MACH_MASK, new & MACH_MASK
    if mach_old != mach_new and mach_new:
        if not mach_old or mach_old in _MACHINES.get(mach_new, ()):
            merged = merged & ~MACH_MASK | mach_new
        elif mach_new not in _MACHINES.get(mach_old, ()):
            diag.error(f"{name}: code for another processor ({mach_new:#x} in e_flags) than that of {old_name} "
                       f"({mach_old:#x})")
    if (old | new) & ASE_M16 and (old | new) & ASE_MICROMIPS:
        diag.error(f"{name}: linking {'MIPS16' if new & ASE_M16 else 'microMIPS'} module with previous "
                   f"{'MIPS16' if old & ASE_M16 else 'microMIPS'} modules (such as {old_name})")
    merged |= new & ASE_MASK
    if not new & BITMODE32 or not old & BITMODE32:
        merged &= ~BITMODE32 if (old ^ new) & BITMODE32 and runs(6, merged >> 28) else ~0
    return merged


def merge_abiflags(link, order):
    """.MIPS.abiflags of the output, bytes; None when no input has one."""
    out = None
    fp_name = ""
    for file, data in notes.take_sections(link.tables, SHT_MIPS_ABIFLAGS):
        name = files.file_name(link.tables, file)
        if len(data) < 24 or int.from_bytes(data[:2], order) != 0:
            link.diag.warn(f"{name}: unexpected contents of .MIPS.abiflags are ignored")
            continue
        row = [*data[2:8], *(int.from_bytes(data[at:at + 4], order) for at in (8, 12, 16, 20))]
        if out is None:
            out, fp_name = row, name
            continue
        fp = merge_fp(link.diag, out[5], fp_name, row[5], name)
        if out[5] != fp:
            fp_name = name
        # Level and revision go together: the larger level, of equal ones the larger revision.
        level = max(tuple(out[:2]), tuple(row[:2]))
        out = [*level, *(max(out[i], row[i]) for i in (2, 3, 4)), fp, max(out[6], row[6]),
               *(out[i] | row[i] for i in (7, 8, 9))]
    if out is None:
        return None
    return bytes(2) + bytes(out[:6]) + b"".join(value.to_bytes(4, order) for value in out[6:])


def merge_fp(diag, old, old_name, new, name):
    """How floating point is done when two files do it in these ways. diag: None when it has been told already."""
    if old == new or new == FP_ANY:
        return old
    if old == FP_ANY:
        return new
    pair = {old, new}
    if diag is None and FP_XX not in pair and pair != {FP_64, FP_64A}:
        return old
    if FP_XX in pair and pair & {FP_DOUBLE, FP_64, FP_64A}:
        return (pair - {FP_XX}).pop()
    if pair == {FP_64, FP_64A}:
        return FP_64
    names = [FP_NAMES[value] if value < len(FP_NAMES) else f"unknown floating point ABI {value}" for value in (new, old)]
    diag.warn(f"{name} uses {names[0]} (set by {old_name}: {names[1]})")
    return old


def merge_registers(link, order):
    """Masks of registers in use (general ones, then four coprocessors) of all inputs; None when no input says."""
    masks = None
    for _, data in notes.take_sections(link.tables, SHT_MIPS_REGINFO):
        if len(data) >= 24:
            masks = masks or [0] * 5
            for i in range(5):
                masks[i] |= int.from_bytes(data[4 * i:4 * i + 4], order)
    for _, data in notes.take_sections(link.tables, SHT_MIPS_OPTIONS):
        at = 0
        while at + 8 <= len(data) and data[at + 1] >= 8:
            size = data[at + 1]
            if data[at] == 1 and size >= 40 and at + 40 <= len(data):
                masks = masks or [0] * 5
                for i, place in enumerate((8, 16, 20, 24, 28)):
                    masks[i] |= int.from_bytes(data[at + place:at + place + 4], order)
            at += size
    return masks


def register_bytes(link):
    """.reginfo, or for N64 .MIPS.options with one record, ODK_REGINFO."""
    order = "big" if link.target.data.BIG_ENDIAN else "little"
    masks = [mask.to_bytes(4, order) for mask in link.extra["mips_registers"]]
    gp = link.image.get("gp", 0)
    if link.target.data.ABI == "n64":
        return (bytes((1, 40)) + bytes(6) + masks[0] + bytes(4) + b"".join(masks[1:])
                + (gp & (1 << 64) - 1).to_bytes(8, order))
    return b"".join(masks) + (gp & 0xFFFFFFFF).to_bytes(4, order)


def merge_attributes(link, order):
    """.gnu.attributes; that floating point goes together is said by the ABI flags already."""
    from mclink.target.gnu_attributes import SHT_GNU_ATTRIBUTES, add_section, parse_attributes
    merged = {}
    for _, data in notes.take_sections(link.tables, SHT_GNU_ATTRIBUTES):
        for tag, value in parse_attributes(data, order, (TAG_FP, TAG_MSA)).items():
            merged[tag] = merge_fp(None, merged.get(tag, 0), "", value, "") if tag == TAG_FP else max(merged.get(tag, 0), value)
    add_section(link, merged)


def merge_inputs(link):
    data = link.target.data
    order = "big" if data.BIG_ENDIAN else "little"
    if link.options.hash_style in ("gnu", "both"):
        raise LinkError(f"--hash-style={link.options.hash_style}: .dynsym has the order of the GOT on MIPS, which .gnu.hash "
                        "cannot bear, and .MIPS.xhash is not supported; use --hash-style=sysv")
    flags = merge_flags(link)
    if flags is None:
        flags = {"o32": ABI_O32, "n32": ABI2, "n64": 0}[data.ABI]
    link.image["e_flags"] = flags
    link.extra["mips_r6"] = flags >> 28 in (ARCH_32R6, ARCH_64R6)
    if link.extra["mips_r6"]:
        from mclink._core.arch.mips import use_r6
        use_r6(link.target.ops)
    merge_attributes(link, order)
    abiflags = merge_abiflags(link, order)
    if abiflags is not None:
        frag = load.add_section(link.tables, b".MIPS.abiflags", SHT_MIPS_ABIFLAGS, SHF_ALLOC, 8, 24, 24)
        link.extra.setdefault("synthetic_bytes", []).append((frag, abiflags))
    masks = link.extra["mips_registers"] = merge_registers(link, order)
    if masks is not None:
        if data.ABI == "n64":
            frag = load.add_section(link.tables, b".MIPS.options", SHT_MIPS_OPTIONS, SHF_ALLOC | SHF_MIPS_NOSTRIP, 8, 1, 40)
        else:
            frag = load.add_section(link.tables, b".reginfo", SHT_MIPS_REGINFO, SHF_ALLOC, 4, 24, 24)
        if link.options.relocatable:
            link.extra.setdefault("synthetic_bytes", []).append((frag, register_bytes(link)))
        else:
            load.set_special(link.tables, REGISTERS, frag)
