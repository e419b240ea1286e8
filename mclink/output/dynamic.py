"""Contents of the linker's own sections, written into the mapped output when every address is final."""

from mclink import special
from mclink._core import dynamic, dynrel, ehhdr, slots
from mclink.diag import LinkError

DT_RELACOUNT, DT_RELCOUNT = 0x6ffffff9, 0x6ffffffa


def write_synthetic(link, base):
    """Write the linker's own sections

    base: address of the first byte of the mapped output file. The fragments have been relocated before, so that
    dynrels is complete; the build id stays zero."""
    places = places_of(link, base)
    outs = [places.get(number, 0) for number in range(special.COUNT)]
    if not link.options.relocatable:
        slots.write_slots(link.tables, outs, link.extra.get("own_dynrels", 0))
        write = getattr(link.target.data, "write_slots", None)
        if write is not None:
            write(link, outs)
    if link.dynamic is not None:
        write_tables(link, link.dynamic, places)
        write_dynamic(link, link.dynamic, places)
    for frag, contents in link.extra.get("synthetic_bytes", ()):
        out = fragment_out(link, base, frag)
        if out:
            dynamic.put_bytes(out, contents)
    if special.PLT_EH in places:
        dynamic.put_bytes(places[special.PLT_EH], plt_frames(link))
    if special.EH_FRAME_HDR in places:
        write_eh_frame_hdr(link, base, places[special.EH_FRAME_HDR])


def write_eh_frame_hdr(link, base, out):
    """The search table, read back from the .eh_frame that has been written, the PLT's included."""
    _, _, address, size, _, _ = next(row for row in dynamic.specials(link.tables) if row[0] == special.EH_FRAME_HDR)
    for frames in link.outputs:
        if frames.name == ".eh_frame" and frames.file_size:
            ehhdr.write_hdr(link.tables, address, out, size, frames.number, frames.address, base + frames.offset,
                            frames.size)


def places_of(link, base):
    """{special section: address of its bytes in the mapped output}."""
    places = {}
    for number, frag, address, size, output, _ in dynamic.specials(link.tables):
        if output and size:
            section = link.outputs[output - 1]
            if section.file_size:
                places[number] = base + section.offset + address - section.address
    return places


def fragment_out(link, base, frag):
    """Address of a linker-made fragment's bytes in the mapped output, 0 when it is not there."""
    output, address = dynamic.fragment_place(link.tables, frag)
    if not output:
        return 0
    section = link.outputs[output - 1]
    return base + section.offset + address - section.address if section.file_size else 0


def write_tables(link, plan, places):
    """Symbols, strings, hashes, versions and relocations."""
    tables = link.tables
    core = plan.core
    if special.DYNSYM in places:
        core.write_symbols(tables, places[special.DYNSYM], [0xfff1] + [section.index for section in link.outputs])
    if special.DYNSTR in places:
        core.write_strings(places[special.DYNSTR])
    if special.VERSYM in places:
        core.write_versions(tables, places[special.VERSYM])
    if special.HASH in places:
        core.write_sysv_hash(tables, places[special.HASH])
    if special.GNU_HASH in places:
        core.write_gnu_hash(tables, places[special.GNU_HASH])
    if special.VERDEF in places:
        dynamic.put_bytes(places[special.VERDEF], plan.verdef)
    if special.VERNEED in places:
        dynamic.put_bytes(places[special.VERNEED], plan.verneed)
    if special.RELA_DYN in places and "android" in link.options.pack_dyn_relocs:
        write_packed(link, places[special.RELA_DYN])
    elif special.RELA_DYN in places:
        plan.relative_count = dynrel.write_relocations(tables, places[special.RELA_DYN], link.options.z_combreloc)
    if special.RELR_DYN in places:
        core.pack_relr(tables, [])
        core.write_relr(tables, places[special.RELR_DYN], dynamic.get_size(tables, special.RELR_DYN))


def write_packed(link, out):
    """Android's packed relocations. What layout has kept for them and they do not fill is never read."""
    contents = dynrel.packed_bytes(link.tables)
    if len(contents) > dynamic.get_size(link.tables, special.RELA_DYN):
        raise LinkError("the layout does not converge: packed relocations have outgrown their section")
    dynamic.put_bytes(out, contents)


def write_dynamic(link, plan, places):
    """.dynamic: the entries, DT_RELACOUNT in the place of a spare one, DT_NULL up to the end."""
    if special.DYNAMIC not in places:
        return
    data = link.target.data
    order = "big" if data.BIG_ENDIAN else "little"
    word = data.WORD
    rows = [(tag, value() if callable(value) else value) for tag, value in plan.tags]
    if plan.relative_count and plan.spare > 1 and getattr(data, "COUNT_RELATIVE", True):
        rows.append((DT_RELACOUNT if data.RELA else DT_RELCOUNT, plan.relative_count))
    mask = (1 << 8 * word) - 1
    table = b"".join((tag & mask).to_bytes(word, order) + (value & mask).to_bytes(word, order) for tag, value in rows)
    dynamic.put_bytes(places[special.DYNAMIC], table + bytes(plan.size - len(table)))


def plt_frames(link):
    """The .eh_frame of the PLT sections: one CIE, one FDE a section (layout.slots.plt_frames)."""
    data = link.target.data
    order = "big" if data.BIG_ENDIAN else "little"
    addresses = {row[0]: row[2] for row in dynamic.specials(link.tables)}
    start = addresses[special.PLT_EH]
    table = bytearray(data.PLT_EH_CIE)
    for number, size, body in link.extra["plt_frames"]:
        at = len(table)
        length = (len(body) - 4).to_bytes(4, order)
        distance = (addresses[number] - (start + at + 8)) & 0xffffffff
        table += length + (at + 4).to_bytes(4, order) + distance.to_bytes(4, order) + size.to_bytes(4, order)
        table += body[16:]
    return bytes(table)
