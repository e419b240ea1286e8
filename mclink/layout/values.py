"""Phase 3: the value of every symbol, and the addresses that relocation formulas need."""

from mclink._core import join, load, place, symbols
from mclink.elf import SHF_ALLOC, SHF_TLS

G_FORCED_LOCAL = 128
_MASK = (1 << 64) - 1
SPECIAL_GOT, SPECIAL_GOT_PLT, SPECIAL_PLT, SPECIAL_DYNAMIC, SPECIAL_EH_FRAME_HDR = 1, 2, 3, 13, 20


def compute_values(link):
    """Compute symbol values"""
    if not link.options.relocatable:
        set_image(link)
        set_linker_names(link)
        set_start_stop(link)
    symbols.compute_values(link.tables)
    finish = getattr(link.target.data, "finish_values", None)
    if finish is not None and not link.options.relocatable:
        finish(link)


def special_place(link, *which):
    """(address, output number) of the first of some linker-made sections that is in the output; None."""
    for number in which:
        frag = load.special(link.tables, number)
        if frag:
            output = load.fragment(link.tables, frag)[8]
            if output:
                return place.fragment_address(link.tables, frag), output
    return None


def got_place(link):
    """Where _GLOBAL_OFFSET_TABLE_ points: .got.plt or .got, whichever the target means and exists."""
    order = (SPECIAL_GOT_PLT, SPECIAL_GOT) if link.target.data.GOT_IS_PLT else (SPECIAL_GOT, SPECIAL_GOT_PLT)
    return special_place(link, *order)


def image_base(link):
    """Address of the ELF header in memory; None when no segment covers it."""
    for segment in link.segments:
        if segment.headers and segment.type == 1:
            return segment.address
    return None


def set_image(link):
    """Columns.image: GOT, TLS block, thread pointer, .dynamic."""
    values = {"base": image_base(link) or 0}
    got = got_place(link)
    if got:
        values["got"] = got[0]
    own = getattr(link.target.data, "image_values", None)
    if own is not None:
        values.update(own(link, got and got[0]))
        link.image["gp"] = values["gp"]
    dynamic = special_place(link, SPECIAL_DYNAMIC)
    if dynamic:
        values["dynamic"] = dynamic[0]
    values.update(tls_values(link))
    symbols.set_image(link.tables, **values)


def tls_values(link):
    """The thread-local block in Columns.image: the sections of PT_TLS, as they lie now."""
    sections = [section for section in link.outputs if section.flags & SHF_TLS and section.flags & SHF_ALLOC]
    if not sections:
        return {}
    start = min(section.address for section in sections)
    size = max(section.address + section.size for section in sections) - start
    align = max(section.align for section in sections)
    tp, dtp = link.target.data.tls_bases(start, size, align)
    return {"tls_start": start, "tls_end": (start + size + align - 1) & -align, "tp": tp & _MASK, "dtp": dtp & _MASK}


def set_linker_names(link):
    """Values of the names in graph.define.LINKER_NAMES."""
    defined = link.extra.get("linker_names", {})
    places = {}
    if b"_GLOBAL_OFFSET_TABLE_" in defined:
        places[b"_GLOBAL_OFFSET_TABLE_"] = got_place(link)
    if b"_DYNAMIC" in defined:
        places[b"_DYNAMIC"] = special_place(link, SPECIAL_DYNAMIC)
    if b"_PROCEDURE_LINKAGE_TABLE_" in defined:
        places[b"_PROCEDURE_LINKAGE_TABLE_"] = special_place(link, SPECIAL_PLT)
    if b"__GNU_EH_FRAME_HDR" in defined:
        places[b"__GNU_EH_FRAME_HDR"] = special_place(link, SPECIAL_EH_FRAME_HDR)
    if b"__ehdr_start" in defined:
        base = image_base(link)
        places[b"__ehdr_start"] = None if base is None else (base, link.outputs[0].number if link.outputs else 0)
    if b"_TLS_MODULE_BASE_" in defined:
        block = tls_values(link)
        if block:
            places[b"_TLS_MODULE_BASE_"] = (
                link.target.data.tls_module_base(block["tp"], block["dtp"], link.options.shared),
                next(section.number for section in link.outputs
                     if section.flags & SHF_TLS and section.address == block["tls_start"]))
    own = getattr(link.target.data, "linker_values", None)
    if own is not None:
        places.update(own(link))
    for name, special in ((b"_GLOBAL_OFFSET_TABLE_", got_place(link)), (b"_DYNAMIC", special_place(link, SPECIAL_DYNAMIC)),
                          (b"__GNU_EH_FRAME_HDR", special_place(link, SPECIAL_EH_FRAME_HDR))):
        # Shown in .symtab though nothing refers to them, as GNU ld does.
        if special and name not in defined:
            gid = join.intern(link.tables, name)
            if symbols.state(link.tables, gid) == symbols.UNSEEN:
                symbols.define(link.tables, gid, 2, 1 if name != b"__GNU_EH_FRAME_HDR" else 0, 0, 0, G_FORCED_LOCAL)
                symbols.set_value(link.tables, gid, *special)
    for name, gid in defined.items():
        address, output = places.get(name) or (0, 0)
        symbols.set_value(link.tables, gid, address, output)


def set_start_stop(link):
    """__start_X and __stop_X: the bounds of output section X."""
    outputs = {output.name: output for output in link.outputs}
    for gid, name, stop in link.extra.get("start_stop", ()):
        output = outputs.get(name)
        if output is None:
            symbols.set_value(link.tables, gid, 0, 0)
        elif stop == "size":
            symbols.set_value(link.tables, gid, output.size, 0)
        else:
            symbols.set_value(link.tables, gid, output.address + (output.size if stop else 0), output.number)
