"""Build attributes of ARM objects (.ARM.attributes), merged into those of the output.

Source: "Addenda to, and Errata in, the ABI for the Arm Architecture" (ADDENDA32), chapter "Build Attributes". Which
mixes are warned of, and how, is GNU ld's.
"""

SHT_ARM_ATTRIBUTES = 0x70000003

CPU_RAW_NAME, CPU_NAME, CPU_ARCH, PROFILE, ARM_ISA, THUMB_ISA, FP_ARCH, WMMX_ARCH, SIMD_ARCH, PCS_CONFIG = range(4, 14)
R9_USE, RW_DATA, RO_DATA, GOT_USE, WCHAR, FP_ROUNDING, FP_DENORMAL, FP_EXCEPTIONS, USER_EXCEPTIONS = range(14, 23)
FP_NUMBER_MODEL, ALIGN_NEEDED, ALIGN_PRESERVED, ENUM_SIZE, HARDFP_USE, VFP_ARGS, WMMX_ARGS = range(23, 30)
GOALS, FP_GOALS, COMPATIBILITY = 30, 31, 32
UNALIGNED, FP_HP, FP16_FORMAT, MPEXTENSION, DIV_USE, DSP, MVE, PAC, BTI = 34, 36, 38, 42, 44, 46, 48, 50, 52
NODEFAULTS, ALSO_COMPATIBLE, T2EE, CONFORMANCE, VIRTUALIZATION, MPEXTENSION_OLD = 64, 65, 66, 67, 68, 70
BTI_USE, PACRET_USE = 74, 76

# Tag_CPU_arch
PRE_V4, V4, V4T, V5T, V5TE, V5TEJ, V6, V6KZ, V6T2, V6K, V7, V6_M, V6S_M, V7E_M, V8, V8R, V8M_BASE, V8M_MAIN = range(18)
V8_1M_MAIN, V9 = 21, 22

ARCH_NAMES = {PRE_V4: "Pre v4", V4: "ARM v4", V4T: "ARM v4T", V5T: "ARM v5T", V5TE: "ARM v5TE", V5TEJ: "ARM v5TEJ",
              V6: "ARM v6", V6KZ: "ARM v6KZ", V6T2: "ARM v6T2", V6K: "ARM v6K", V7: "ARM v7", V6_M: "ARM v6-M",
              V6S_M: "ARM v6S-M", V7E_M: "ARM v7E-M", V8: "ARM v8", V8R: "ARM v8-R", V8M_BASE: "ARM v8-M.baseline",
              V8M_MAIN: "ARM v8-M.mainline", V8_1M_MAIN: "ARM v8.1-M.mainline", V9: "ARM v9"}

# Tag_FP_arch -> (version, double registers)
FP_ARCHS = {0: (0, 0), 1: (1, 16), 2: (2, 16), 3: (3, 32), 4: (3, 16), 5: (4, 32), 6: (4, 16), 7: (8, 32), 8: (8, 16)}

_LARGEST = (ARM_ISA, THUMB_ISA, WMMX_ARCH, SIMD_ARCH, FP_ROUNDING, FP_EXCEPTIONS, USER_EXCEPTIONS,
            FP_NUMBER_MODEL, UNALIGNED, FP_HP, MPEXTENSION, DSP, MVE, PAC, BTI, T2EE)
_SMALLEST = (RW_DATA, RO_DATA, ALIGN_PRESERVED, BTI_USE, PACRET_USE)
# 1 is stronger than 2, 2 than 0.
_ORDER_021 = (GOT_USE, FP_DENORMAL, ALIGN_NEEDED)


_KNOWN = {UNALIGNED, FP_HP, FP16_FORMAT, MPEXTENSION, DIV_USE, DSP, MVE, PAC, BTI, NODEFAULTS, ALSO_COMPATIBLE, T2EE,
          CONFORMANCE, VIRTUALIZATION, MPEXTENSION_OLD, BTI_USE, PACRET_USE, GOALS, FP_GOALS, COMPATIBILITY}


class DamagedAttributes(ValueError):
    """The section cannot be read."""


def is_string(tag):
    """Whether the value of a tag is a string; of Tag_compatibility it is a number and a string."""
    return tag in (CPU_RAW_NAME, CPU_NAME) or tag > 32 and tag & 1 == 1


def _uleb(data, at):
    value = shift = 0
    while True:
        if at >= len(data) or shift > 56:
            raise DamagedAttributes
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _string(data, at):
    end = data.find(b"\0", at)
    if end < 0:
        raise DamagedAttributes
    return data[at:end], end + 1


def parse_attributes(data, order):
    """{tag: int, bytes, or (int, bytes) for Tag_compatibility} of the whole file, out of the bytes of a section.

    order: "little" or "big". DamagedAttributes for a section that cannot be read."""
    found = {}
    if not data:
        return found
    if data[:1] != b"A":
        raise DamagedAttributes
    at = 1
    while at < len(data):
        size = int.from_bytes(data[at:at + 4], order)
        if size < 5 or size > len(data) - at:
            raise DamagedAttributes
        section = data[at:at + size]
        at += size
        vendor, inner = _string(section, 4)
        if vendor != b"aeabi":
            continue
        while inner < len(section):
            start = inner
            scope, inner = _uleb(section, inner)
            length = int.from_bytes(section[inner:inner + 4], order)
            if length < inner + 4 - start or length > len(section) - start:
                raise DamagedAttributes
            if scope == 1:
                _read_tags(section[inner + 4:start + length], found)
            inner = start + length
    return found


def _read_tags(data, found):
    at = 0
    while at < len(data):
        tag, at = _uleb(data, at)
        if tag == COMPATIBILITY:
            number, at = _uleb(data, at)
            text, at = _string(data, at)
            found[tag] = number, text
        elif is_string(tag):
            found[tag], at = _string(data, at)
        else:
            found[tag], at = _uleb(data, at)


def _encode(number):
    out = bytearray()
    while True:
        byte = number & 0x7f
        number >>= 7
        if not number:
            out.append(byte)
            return bytes(out)
        out.append(byte | 0x80)


def write_attributes(found, order):
    """The bytes of a section with the attributes `found`, as parse_attributes() returns them."""
    body = b""
    # A consumer has to know of these two before all others.
    for tag in sorted(found, key=lambda tag: (tag != CONFORMANCE, tag != NODEFAULTS, tag)):
        value = found[tag]
        if tag == COMPATIBILITY:
            body += _encode(tag) + _encode(value[0]) + value[1] + b"\0"
        elif is_string(tag):
            body += _encode(tag) + value + b"\0"
        elif value or tag == NODEFAULTS:
            body += _encode(tag) + _encode(value)
    if not body:
        return b""
    body = b"\1" + (len(body) + 5).to_bytes(4, order) + body
    vendor = b"aeabi\0" + body
    return b"A" + (len(vendor) + 4).to_bytes(4, order) + vendor


def combine_archs(a, b):
    """The architecture that runs code for both; None when there is none."""
    low, high = sorted((a, b))
    if low == high:
        return high
    if high <= V7:
        if low >= V6KZ and high in (V6K, V6T2) and low != V6:
            return V6KZ if (low, high) == (V6KZ, V6K) else V7
        return high
    if high in (V6_M, V6S_M):
        if low <= V4:
            return None
        if low <= V6:
            return V6K
        return {V6KZ: V6KZ, V6T2: V7, V6K: V6K, V7: V7, V6_M: V6S_M}[low]
    if high == V7E_M:
        return None if low <= V4 else V7E_M
    if high in (V8, V8R):
        return V8
    if high == V8M_BASE:
        return high if low in (V6_M, V6S_M) else None
    if high == V8M_MAIN:
        return high if low in (V7, V6_M, V6S_M, V7E_M, V8M_BASE) else None
    if high == V8_1M_MAIN:
        return high if low in (V7, V6_M, V6S_M, V7E_M, V8M_BASE, V8M_MAIN) else None
    if high == V9:
        return high if low <= V8R else None
    return None


def merge_file(out, new, name, first, link):
    """Merges the attributes `new` of the file `name` into `out`; `first` is the name of the first file."""
    diag = link.diag
    options = link.options
    zero = dict.fromkeys(range(4, 80), 0)
    a = {**zero, **out}
    b = {**zero, **new}
    if CPU_ARCH in out or CPU_ARCH in new:
        _merge_arch(out, a, b, new, name, diag)
    if a[PROFILE] != b[PROFILE]:
        old, fresh = a[PROFILE], b[PROFILE]
        if not old or old == ord("S") and fresh in (ord("A"), ord("R")):
            out[PROFILE] = fresh
        elif fresh and not (fresh == ord("S") and old in (ord("A"), ord("R"))):
            diag.error(f"{name}: conflicting architecture profiles {chr(fresh)}/{chr(old)}")
    for tag in _LARGEST:
        out[tag] = max(a[tag], b[tag])
    for tag in _SMALLEST:
        out[tag] = min(a[tag], b[tag])
    for tag in _ORDER_021:
        rank = (0, 2, 1)
        x, y = a[tag], b[tag]
        if y > 2 and y > x or x <= 2 and y <= 2 and rank[y] > rank[x]:
            out[tag] = y
    _merge_fp(out, a, b)
    if not a[PCS_CONFIG]:
        out[PCS_CONFIG] = b[PCS_CONFIG]
    elif b[PCS_CONFIG] and a[PCS_CONFIG] != b[PCS_CONFIG]:
        diag.warn(f"{name}: conflicting platform configuration")
    if a[R9_USE] != b[R9_USE]:
        if a[R9_USE] == 3:
            out[R9_USE] = b[R9_USE]
        elif b[R9_USE] != 3:
            diag.error(f"{name}: conflicting use of R9")
    if b[RW_DATA] == 2 and out.get(R9_USE, 0) not in (1, 3):
        diag.error(f"{name}: SB relative addressing conflicts with use of R9")
    if a[COMPATIBILITY] != b[COMPATIBILITY]:
        _refuse_other_tools(a[COMPATIBILITY], b[COMPATIBILITY], name, diag)
    if a[WCHAR] and b[WCHAR] and a[WCHAR] != b[WCHAR]:
        if options.wchar_size_warning is not False:
            diag.warn(f"{name} uses {b[WCHAR]}-byte wchar_t yet the output is to use {a[WCHAR]}-byte wchar_t; "
                      "use of wchar_t values across objects may fail")
    elif b[WCHAR]:
        out[WCHAR] = b[WCHAR]
    _merge_enums(out, a, b, name, diag, options)
    _merge_arguments(out, a, b, name, first, diag)
    if b[FP16_FORMAT]:
        if a[FP16_FORMAT] and a[FP16_FORMAT] != b[FP16_FORMAT]:
            diag.error(f"fp16 format mismatch between {name} and {first}")
        out[FP16_FORMAT] = b[FP16_FORMAT]
    if a[DIV_USE] != b[DIV_USE]:
        # 0 allows division where the architecture has it, 1 forbids it.
        out[DIV_USE] = 2 if 2 in (a[DIV_USE], b[DIV_USE]) else 0 if _may_divide(a) or _may_divide(b) else 1
    if {a[VIRTUALIZATION], b[VIRTUALIZATION]} == {1, 2}:
        out[VIRTUALIZATION] = 3
    else:
        out[VIRTUALIZATION] = max(a[VIRTUALIZATION], b[VIRTUALIZATION])
    for tag in (ALSO_COMPATIBLE, CONFORMANCE):
        if tag in out and out[tag] != new.get(tag):
            del out[tag]
    if NODEFAULTS in new:
        out[NODEFAULTS] = 0


def _may_divide(tags):
    return not tags[DIV_USE] and (tags[CPU_ARCH] == V7 and chr(tags[PROFILE]) in "RM" or tags[CPU_ARCH] >= V7E_M)


def _refuse_other_tools(old, fresh, name, diag):
    """Tag_compatibility: what other tools than those named may do with a file."""
    old, fresh = (value or (0, b"") for value in (old, fresh))
    text = ["{}, {}".format(number, vendor.decode("utf-8", "replace")) for number, vendor in (fresh, old)]
    diag.error(f"{name}: object tag '{text[0]}' is incompatible with tag '{text[1]}'")


def check_flags(link, name, flags):
    """The EABI version in e_flags, and objects that are no input any more."""
    version = flags >> 24
    if flags & 0x00800000:
        link.diag.error(f"{name} is already in final BE8 format")
    elif version not in (4, 5):
        link.diag.error(f"source object {name} has EABI version {version}, but the output has EABI version 5")


def check_tags(link, name, found):
    """Attributes that nobody knows: optional ones are dropped, others are not understood without them."""
    for tag in sorted(found):
        if tag in _KNOWN or tag <= VFP_ARGS + 2:
            continue
        if tag & 127 < 64:
            link.diag.error(f"{name}: unknown mandatory EABI object attribute {tag}")
        else:
            link.diag.warn(f"{name}: unknown EABI object attribute {tag}")
        del found[tag]


def _merge_arch(out, a, b, new, name, diag):
    arch = combine_archs(a[CPU_ARCH], b[CPU_ARCH])
    if arch is None:
        diag.error(f"{name}: conflicting CPU architectures {ARCH_NAMES.get(b[CPU_ARCH], b[CPU_ARCH])}/"
                   f"{ARCH_NAMES.get(a[CPU_ARCH], a[CPU_ARCH])}")
        return
    if arch != a[CPU_ARCH]:
        for tag in (CPU_NAME, CPU_RAW_NAME):
            out.pop(tag, None)
            if arch == b[CPU_ARCH] and tag in new:
                out[tag] = new[tag]
    out[CPU_ARCH] = arch


def _merge_fp(out, a, b):
    old, fresh = FP_ARCHS.get(a[FP_ARCH]), FP_ARCHS.get(b[FP_ARCH])
    if old is None or fresh is None:
        out[FP_ARCH] = max(a[FP_ARCH], b[FP_ARCH])
    else:
        wanted = max(old[0], fresh[0]), max(old[1], fresh[1])
        out[FP_ARCH] = next(tag for tag, value in FP_ARCHS.items() if value == wanted)
    if {a[HARDFP_USE], b[HARDFP_USE]} == {1, 2}:
        out[HARDFP_USE] = 3
    elif not a[FP_ARCH] or not b[FP_ARCH]:
        # Whoever has no FP hardware says nothing about its use.
        out[HARDFP_USE] = b[HARDFP_USE] if not a[FP_ARCH] else a[HARDFP_USE]
    elif a[HARDFP_USE] != b[HARDFP_USE]:
        out[HARDFP_USE] = 0 if 0 in (a[HARDFP_USE], b[HARDFP_USE]) else max(a[HARDFP_USE], b[HARDFP_USE])


def _merge_enums(out, a, b, name, diag, options):
    old, fresh = a[ENUM_SIZE], b[ENUM_SIZE]
    if not fresh or old == fresh:
        return
    if old in (0, 3):
        out[ENUM_SIZE] = fresh
    elif fresh != 3 and options.enum_size_warning is not False:
        words = {1: "variable-size", 2: "32-bit"}
        diag.warn(f"{name} uses {words.get(fresh, f'unknown ({fresh})')} enums yet the output is to use "
                  f"{words.get(old, f'unknown ({old})')} enums; use of enum values across objects may fail")


def _merge_arguments(out, a, b, name, first, diag):
    """How floating-point arguments are passed; an object without floating point agrees with everybody."""
    old, fresh = a[VFP_ARGS], b[VFP_ARGS]
    if old != fresh:
        if not a[FP_NUMBER_MODEL] and b[FP_NUMBER_MODEL] or old == 3:
            out[VFP_ARGS] = fresh
        elif b[FP_NUMBER_MODEL] and fresh != 3:
            with_, without = (name, first) if fresh == 1 else (first, name)
            diag.error(f"{with_} uses VFP register arguments, {without} does not")
    old, fresh = a[WMMX_ARGS], b[WMMX_ARGS]
    if old != fresh and b[FP_NUMBER_MODEL]:
        diag.error(f"{name} uses iWMMXt register arguments, {first} does not" if fresh
                   else f"{first} uses iWMMXt register arguments, {name} does not")


# What veneers and NOPs may be made of; keep in step with _core.arch.arm_veneers.
ARCH_BLX, ARCH_THUMB2, ARCH_M, ARCH_BL24, ARCH_MOVW, ARCH_NOP, ARCH_PIC_VENEER, ARCH_CORTEX_A8 = (1 << n for n in range(8))


def arch_flags(arch, profile, fix_arm1176=True):
    """ARCH_* bits of an architecture (Tag_CPU_arch) and a profile (Tag_CPU_arch_profile).

    fix_arm1176: on what may be an ARM1176, BLX to an address is not used (GNU ld manual, node "ARM")."""
    thumb2 = arch in (V6T2, V7, V7E_M, V8M_MAIN, V8_1M_MAIN) or arch in (V8, V8R, V9)
    flags = 0
    if arch in (V6_M, V6S_M, V7E_M, V8M_BASE, V8M_MAIN, V8_1M_MAIN) or profile == ord("M"):
        flags |= ARCH_M
    else:
        if arch == V6T2 or arch > V6K or arch >= V5T and not fix_arm1176:
            flags |= ARCH_BLX
        if arch in (V6K, V6KZ) or thumb2:
            flags |= ARCH_NOP
    if thumb2:
        flags |= ARCH_THUMB2
    if thumb2 or arch == V8M_BASE:
        flags |= ARCH_MOVW
    if thumb2 or arch in (V6_M, V6S_M, V8M_BASE):
        flags |= ARCH_BL24
    return flags


def merge_attributes(link):
    """Merges the build attributes of all inputs into one section, and sets the float ABI in e_flags.

    Leaves link.extra["attributes"], {tag: value}, for the choice of veneers and NOPs."""
    from mclink._core import files, load, notes
    order = "big" if link.target.data.BIG_ENDIAN else "little"
    out = None
    first = ""
    for file, data in notes.take_sections(link.tables, SHT_ARM_ATTRIBUTES):
        name = files.file_name(link.tables, file)
        try:
            found = parse_attributes(data, order)
        except DamagedAttributes:
            link.diag.warn(f"{name}: damaged build attributes are ignored")
            continue
        if not found:
            continue
        check_tags(link, name, found)
        if MPEXTENSION_OLD in found:
            found[MPEXTENSION] = max(found.get(MPEXTENSION, 0), found.pop(MPEXTENSION_OLD))
        if out is None:
            out = dict(found)
            first = name
        else:
            merge_file(out, found, name, first, link)
    for name, flags in files.header_flags(link.tables, link.target.data.MACHINE, True):
        check_flags(link, name, flags)
    out = link.extra["attributes"] = out or {}
    flags = link.target.data.E_FLAGS
    if out and not link.options.relocatable:
        flags |= 0x400 if out.get(VFP_ARGS) == 1 else 0x200
    link.image["e_flags"] = flags
    options = link.options
    arch, profile = out.get(CPU_ARCH, 0), out.get(PROFILE, 0)
    flags = arch_flags(arch, profile, options.fix_arm1176 is not False)
    if options.use_blx:
        flags |= ARCH_BLX
    if options.pic_veneer:
        flags |= ARCH_PIC_VENEER
    if options.fix_cortex_a8 or options.fix_cortex_a8 is None and arch == V7 and profile in (0, ord("A")):
        flags |= ARCH_CORTEX_A8
    link.extra["arm_flags"] = flags
    link.target.ops.set_constant("arch_flags", flags)
    if not flags & ARCH_BL24:
        # BL of old Thumb reaches 4 MiB.
        link.target.ops.set_constant("thunk_spacing", 3 << 20)
    contents = write_attributes(out, order)
    if contents:
        frag = load.add_section(link.tables, b".ARM.attributes", SHT_ARM_ATTRIBUTES, 0, 1, 0, len(contents))
        link.extra.setdefault("synthetic_bytes", []).append((frag, contents))
