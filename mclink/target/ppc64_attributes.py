""".gnu.attributes of 64-bit Power: what objects say of floating point, vectors and returned structures, as one section.

Format: "A", then for each vendor a length, its name and subsections (tag, length, contents); here only vendor "gnu"
and tag 1, the whole file, whose contents are pairs of ULEB128 numbers. Source: GNU as manual, node "GNU Object
Attributes".
"""

from mclink._core import files, load, notes

SHT_GNU_ATTRIBUTES = 0x6FFFFFF5
TAG_FP, TAG_VECTOR, TAG_STRUCT_RETURN = 4, 8, 12

# tag -> [(mask, what the values are called)]; 0 in a field says nothing, two other values do not go together
FIELDS = {
    TAG_FP: ((3, "floating-point ABIs"), (12, "long double formats")),
    TAG_VECTOR: ((0x7F, "vector ABIs"),),
    TAG_STRUCT_RETURN: ((0x7F, "conventions for small structures"),),
}
GENERIC_VECTOR = 1          # goes with every other


def read_uleb(data, at):
    """(value, position behind it); a number that is cut off ends with the data."""
    value = shift = 0
    while at < len(data):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    return value, at


def parse_attributes(data, order):
    """{tag: value} of one section; what is damaged or of another vendor is left out."""
    found = {}
    at = 1
    if data[:1] != b"A":
        return found
    while at + 4 <= len(data):
        size = int.from_bytes(data[at:at + 4], order)
        if size < 5 or size > len(data) - at:
            break
        vendor, _, body = data[at + 4:at + size].partition(b"\0")
        at += size
        while vendor == b"gnu" and len(body) >= 5:
            part = int.from_bytes(body[1:5], order)
            if part < 5 or part > len(body):
                break
            if body[0] == 1:
                place = 5
                while place < part:
                    tag, place = read_uleb(body[:part], place)
                    value, place = read_uleb(body[:part], place)
                    if tag in FIELDS:
                        found[tag] = value
            body = body[part:]
    return found


def merge_attributes(link):
    """Takes the sections of all inputs and makes one of them; a field on which two disagree is a warning."""
    order = "big" if link.target.data.BIG_ENDIAN else "little"
    merged = {}
    for file, data in notes.take_sections(link.tables, SHT_GNU_ATTRIBUTES):
        for tag, value in parse_attributes(data, order).items():
            for mask, what in FIELDS[tag]:
                old, new = merged.get(tag, 0) & mask, value & mask
                if tag == TAG_VECTOR and old == GENERIC_VECTOR and new:
                    merged[tag] = new
                elif not old:
                    merged[tag] = merged.get(tag, 0) | new
                elif new and new != old and not (tag == TAG_VECTOR and new == GENERIC_VECTOR):
                    link.diag.warn(f"{files.file_name(link.tables, file)} and files before it use different {what}")
    pairs = bytes(part for tag in sorted(merged) if merged[tag] for part in (tag, merged[tag] & 0x7F))
    if not pairs:
        return
    inner = b"\1" + (5 + len(pairs)).to_bytes(4, order) + pairs
    body = b"gnu\0" + inner
    contents = b"A" + (4 + len(body)).to_bytes(4, order) + body
    frag = load.add_section(link.tables, b".gnu.attributes", SHT_GNU_ATTRIBUTES, 0, 1, 0, len(contents))
    link.extra.setdefault("synthetic_bytes", []).append((frag, contents))
