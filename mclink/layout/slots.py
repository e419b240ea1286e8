"""Slots: GOT, PLT, TLS and copies; then the tables of .dynsym, whose sizes follow from them."""

from mclink import special as sections
from mclink._core import dynamic, ehhdr, slots, symbols
from mclink.diag import LinkError
from mclink.layout.dynamic import plan_dynamic


def allocate_slots(link):
    """Allocate GOT and PLT slots"""
    if link.options.relocatable:
        return
    tables = link.tables
    gid = symbols.lookup(tables, b"_GLOBAL_OFFSET_TABLE_")
    referenced = bool(gid) and symbols.is_referenced(tables, gid)
    try:
        collect = getattr(link.target.data, "collect_slots", None)
        if collect is not None:
            link.extra["own_dynrels"] = collect(link)
        unsized, ifuncs = slots.allocate(tables, referenced)
        own = getattr(link.target.data, "arrange_slots", None)
        if own is not None:
            own(link)
        slots.count_relocations(tables, ifuncs, link.extra.get("own_dynrels", 0))
    except OverflowError as error:
        raise LinkError(str(error)) from None
    for gid in unsized:
        name = symbols.name(tables, gid).decode("utf-8", "surrogateescape")
        link.diag.warn(f"dynamic variable `{name}' is zero size")
    size_plt_frames(link)
    plan_dynamic(link)
    dynamic.drop_empty(tables)


def size_plt_frames(link):
    """Bytes of the .eh_frame of the PLT; written when addresses are known (output.dynamic)."""
    link.extra["plt_frames"] = []
    if not dynamic.has_unwind_info(link.tables):
        dynamic.set_size(link.tables, sections.PLT_EH, 0)
        dynamic.set_size(link.tables, sections.EH_FRAME_HDR, 0)
        return
    frames = link.extra["plt_frames"] = plt_frames(link)
    size = 0
    if frames:
        size = len(link.target.data.PLT_EH_CIE) + sum(len(body) for _, _, body in frames)
        ehhdr.grow_hdr(link.tables, len(frames))
    dynamic.set_size(link.tables, sections.PLT_EH, size)


def plt_frames(link):
    """[(special section, bytes it covers, FDE behind its CIE pointer)]: one FDE for each PLT section."""
    data = link.target.data
    if not dynamic.has_special(link.tables, sections.PLT_EH):
        return []
    word = data.WORD
    lazy_section = sections.PLT_LAZY if link.target.ops.sizes()["lazy"] else sections.PLT
    frames = []
    for special in (sections.PLT_LAZY, sections.PLT, sections.IPLT, sections.PLT_GOT):
        size = dynamic.get_size(link.tables, special)
        if not size:
            continue
        program = data.plt_eh_program(special == lazy_section, lazy_section == sections.PLT_LAZY, link)
        # Length, CIE pointer, start, size, no augmentation; padded with DW_CFA_nop.
        body = bytes(16) + b"\0" + program
        body += bytes(-len(body) % word)
        frames.append((special, size, body))
    return frames
