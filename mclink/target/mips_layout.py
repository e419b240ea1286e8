"""What MIPS adds to the passes of layout: GOTs, lazy stubs, DT_MIPS_*, and the word for debuggers."""

from mclink import special
from mclink._core import dynamic, load, symbols
from mclink.diag import LinkError
from mclink.elf import SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHT_PROGBITS

# Numbers in Columns.special that belong to this target; the first is known to _core.arch.mips_got
STUBS, REGISTERS, RLD_MAP = 32, 33, 34

DT_PLTGOT = 3
DT_MIPS_RLD_VERSION, DT_MIPS_FLAGS, DT_MIPS_BASE_ADDRESS = 0x70000001, 0x70000005, 0x70000006
DT_MIPS_LOCAL_GOTNO, DT_MIPS_SYMTABNO, DT_MIPS_GOTSYM = 0x7000000A, 0x70000011, 0x70000013
DT_MIPS_RLD_MAP, DT_MIPS_RWPLT, DT_MIPS_RLD_MAP_REL = 0x70000016, 0x70000034, 0x70000035
RHF_NOTPOT = 2


def add(link, number, name, flags, align, size=0):
    frag = load.add_section(link.tables, name, SHT_PROGBITS, flags, align, 0, size)
    load.set_special(link.tables, number, frag)
    return frag


def make_slot_sections(link):
    """.MIPS.stubs and .rld_map of dynamic outputs."""
    if not dynamic.has_special(link.tables, special.DYNAMIC):
        return
    word = link.target.data.WORD
    add(link, STUBS, b".MIPS.stubs", SHF_ALLOC | SHF_EXECINSTR, word)
    if not link.options.shared:
        add(link, RLD_MAP, b".rld_map", SHF_ALLOC | SHF_WRITE, word, word)


def collect_slots(link):
    """Number of dynamic relocations of the GOTs."""
    from mclink._core.arch.mips_got import Gots
    gots = link.extra["gots"] = Gots(link.tables)
    return gots.collect()


def place_slots(link):
    gid = symbols.lookup(link.tables, b"_GLOBAL_OFFSET_TABLE_")
    link.extra["gots"].place(bool(gid) and symbols.is_referenced(link.tables, gid))
    if not link.extra["gots"].stubs_size():
        dynamic.set_size(link.tables, STUBS, 0)


def find_gp(link, got):
    """_gp: what the script says, else 0x7ff0 bytes behind .got, else into the small data."""
    gid = symbols.lookup(link.tables, b"_gp")
    if gid and gid != link.extra.get("linker_names", {}).get(b"_gp") \
            and symbols.state(link.tables, gid) in (symbols.DEFINED, symbols.DEFINED_WEAK):
        return symbols.value(link.tables, gid)
    offset = link.target.data.GP_OFFSET
    if got is not None:
        return got + offset
    small = [section.address for section in link.outputs if section.flags & 0x10000000 and section.flags & SHF_ALLOC]
    return min(small) + 0x4000 if small else 0


def place_of(link, number):
    """Address of a linker-made section."""
    return next(row[2] for row in dynamic.specials(link.tables) if row[0] == number)


def dynamic_tags(link):
    """[(tag, int or function -> int)]; the order is GNU ld's."""
    tables = link.tables
    live = {row[0] for row in dynamic.specials(tables)}
    core = link.dynamic.core
    if core.count_rows() - core.first_late() != link.extra["gots"].count_symbols():
        raise LinkError("a symbol of the GOT is missing in .dynsym")
    local, count = link.extra["gots"].dynamic_numbers(core.first_late())
    tags = []
    if special.GOT in live:
        tags.append((DT_PLTGOT, lambda: place_of(link, special.GOT)))
    tags += [(DT_MIPS_RLD_VERSION, 1), (DT_MIPS_FLAGS, RHF_NOTPOT), (DT_MIPS_BASE_ADDRESS, lambda: base_address(link)),
             (DT_MIPS_LOCAL_GOTNO, local), (DT_MIPS_SYMTABNO, core.count_rows()), (DT_MIPS_GOTSYM, core.first_late())]
    if RLD_MAP in live:
        if not link.options.pie:
            tags.append((DT_MIPS_RLD_MAP, lambda: place_of(link, RLD_MAP)))
        tags.append((DT_MIPS_RLD_MAP_REL, lambda: place_of(link, RLD_MAP) - tag_address(link, DT_MIPS_RLD_MAP_REL)))
    return tags


def tag_address(link, wanted):
    """Address of an entry of .dynamic."""
    index = next(index for index, (tag, _) in enumerate(link.dynamic.tags) if tag == wanted)
    return place_of(link, special.DYNAMIC) + index * 2 * link.target.data.WORD


def base_address(link):
    return min((segment.address for segment in link.segments if segment.type == 1), default=0) & -0x1000


def finish_values(link):
    gots = link.extra["gots"]
    if not gots.finish():
        raise LinkError("the script sets sections of one statement too far apart: .got has no room for their pages")


def write_slots(link, outs):
    data = link.target.data
    none = 0
    link.extra["gots"].write(outs[special.GOT], outs[STUBS], data.CONSTANTS["dyn_symbolic"], none)
    if outs[REGISTERS]:
        from mclink.target.mips_abi import register_bytes
        dynamic.put_bytes(outs[REGISTERS], register_bytes(link))
