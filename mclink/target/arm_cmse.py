"""Secure gateways of Armv8-M: the veneers through which non-secure code enters functions of secure code.

Source: Arm v8-M Security Extensions, "Requirements on Development Tools" (ACLE, document ECM0359818). A function F is
an entry when __acle_se_F stands at the same place; its gateway is SG and a jump to __acle_se_F, in .gnu.sgstubs. References
in secure code go to the function itself, and only the symbol tables name the gateway: as GNU ld has it.
"""

from mclink._core import join, load, place, symbols
from mclink.diag import LinkError
from mclink.elf import SHF_ALLOC, SHF_EXECINSTR, SHT_PROGBITS

PREFIX = b"__acle_se_"
SECTION = ".gnu.sgstubs"
SIZE = 8                        # of a gateway
ALIGN = 32                      # of the section, also its size: what the attribution unit can tell apart
STT_FUNC = 2
DEFINED, DEFINED_WEAK = 3, 4    # symbols.state
G_FORCED_LOCAL, G_KEEP, G_DEF_REGULAR = 128, 16384, 1024
_V8M = (16, 17, 21)             # Tag_CPU_arch


class Gateways:
    """Those of one link.

    Attributes: frag (the section's fragment, 0 none), base (address that the import library asks for, None without), rows
    (row of find_entries, byte offset or None for one that has its own gateway), size (bytes of the section)."""

    __slots__ = ("frag", "base", "rows", "size")

    def __init__(self):
        self.frag = 0
        self.base = None
        self.rows = []
        self.size = 0


def make_gateways(link):
    """Finds the entry functions and makes the section for their gateways; leaves link.extra["gateways"]."""
    options = link.options
    if options.in_implib and not options.cmse_implib:
        raise LinkError("--in-implib is used without --cmse-implib")
    if options.relocatable:
        return
    found = Gateways()
    wanted = find_entries(link)
    earlier = read_import_library(options.in_implib) if options.in_implib else {}
    if not wanted and not earlier and not options.cmse_implib:
        return
    link.extra["gateways"] = found
    for name in earlier:
        if name not in {row[0] for row in wanted}:
            link.diag.error(f"entry function {name.decode('utf-8', 'replace')} of the import library is no longer "
                            "in the secure code")
    own = [row for row in wanted if row[3]]
    found.rows = [(row, None) for row in wanted if not row[3]]
    if not own:
        return
    if not options.scripts and SECTION not in options.section_start:
        raise LinkError(f"no address for {SECTION}: give one with --section-start or a linker script")
    base = options.section_start.get(SECTION)
    if earlier:
        first = min(earlier.values()) & -2
        found.base = base if base is not None and base <= first else first & -ALIGN
    offsets = {name: (value & -2) - found.base for name, value in earlier.items()}
    offset = max(offsets.values(), default=-SIZE) + SIZE
    # Room in front of old gateways stays free: their addresses have been given away.
    for row in own:
        at = offsets.get(row[0])
        if at is None:
            at = offset
            offset += SIZE
        found.rows.append((row, at))
    found.size = (offset + ALIGN - 1) & -ALIGN
    found.frag = load.add_section(link.tables, SECTION.encode(), SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, ALIGN, 0,
                                  found.size)
    mark = join.intern(link.tables, b"$t")
    symbols.define(link.tables, mark, 2, 0, found.frag, 0, G_FORCED_LOCAL)


def find_entries(link):
    """[(name, gid, gid of the __acle_se_ name, whether it needs a gateway)] by name."""
    tables = link.tables
    rows = []
    for special in symbols.defined_names(tables, PREFIX):
        name = symbols.name(tables, special)[len(PREFIX):]
        text = name.decode("utf-8", "replace")
        _, _, frag, value, _, type, _, _, _ = symbols.describe(tables, special)
        if link.extra["attributes"].get(6, 0) not in _V8M:
            link.diag.error(f"{PREFIX.decode()}{text}: secure entries need Armv8-M or later")
            continue
        if type != STT_FUNC or not value & 1:
            link.diag.error(f"{PREFIX.decode()}{text}: a secure entry must be a Thumb function")
            continue
        gid = symbols.lookup(tables, name)
        if not gid or symbols.state(tables, gid) not in (DEFINED, DEFINED_WEAK):
            link.diag.error(f"{text}: the secure entry {PREFIX.decode()}{text} needs a global symbol of this name")
            continue
        _, _, own_frag, own_value, size, own_type, _, _, _ = symbols.describe(tables, gid)
        same = (own_frag, own_value) == (frag, value)
        if same and not size:
            link.diag.error(f"entry function {text} is empty: its symbol has no size")
            continue
        symbols.add_flags(tables, special, G_KEEP)
        symbols.add_flags(tables, gid, G_KEEP)
        rows.append((name, gid, special, same))
    return sorted(rows)


def write_gateways(link, output):
    """The bytes of the gateways, once the code is relocated, and the symbols that lead to them from now on."""
    found = link.extra.get("gateways")
    if found is None or not found.frag or load.fragment(link.tables, found.frag)[8] != output.number:
        return
    start = place.fragment_address(link.tables, found.frag)
    if found.base is not None and found.base != start:
        raise LinkError(f"{SECTION} is at {start:#x}, and the gateways of the import library ask for {found.base:#x}")
    contents = bytearray(found.size)
    for (name, gid, special, _), offset in found.rows:
        if offset is None:
            continue
        distance = (symbols.value(link.tables, special) & -2) - (start + offset + 8)
        if not -0x1000000 <= distance < 0x1000000:
            raise LinkError(f"the gateway of {name.decode('utf-8', 'replace')} is too far from the function")
        contents[offset:offset + SIZE] = b"\x7f\xe9\x7f\xe9" + encode_jump(distance)
        symbols.move(link.tables, gid, found.frag, offset | 1, SIZE)
    link.extra.setdefault("synthetic_bytes", []).append((found.frag, bytes(contents)))


def encode_jump(distance):
    """B.W (encoding T4) over `distance` bytes from its PC."""
    s = distance >> 24 & 1
    first = 0xf000 | s << 10 | distance >> 12 & 0x3ff
    second = 0x9000 | (distance >> 23 & 1 ^ s ^ 1) << 13 | (distance >> 22 & 1 ^ s ^ 1) << 11 | distance >> 1 & 0x7ff
    return first.to_bytes(2, "little") + second.to_bytes(2, "little")


def import_names(link):
    """--cmse-implib: gids of the entry functions, for the import library."""
    found = link.extra.get("gateways")
    return [row[1] for row, _ in found.rows] if found else []


def read_import_library(path):
    """{name: value} of the function symbols of an earlier import library."""
    try:
        with open(path, "rb") as stream:
            data = stream.read()
    except OSError as error:
        raise LinkError(f"cannot open {path}: {error.strerror}") from None
    word = lambda at, size=4: int.from_bytes(data[at:at + size], "little")
    header, count = word(32), word(48, 2)
    if data[:6] != b"\x7fELF\1\1" or word(18, 2) != 40 or header + 40 * count > len(data):
        raise LinkError(f"{path}: not an import library for this target")
    found = {}
    for n in range(count):
        row = header + 40 * n
        start, size, link = word(row + 16), word(row + 20), word(row + 24)
        if word(row + 4) != 2 or link >= count or start + size > len(data):
            continue
        names = word(header + 40 * link + 16)
        for at in range(start + 16, start + size - 15, 16):
            end = data.find(b"\0", names + word(at))
            if word(at + 14, 2) == 0xfff1 and data[at + 12] == 0x12 and end >= 0:
                found[data[names + word(at):end]] = word(at + 4)
    return found
