""".gnu.attributes: what objects say of their ABI, for the targets that merge it.

Format: "A", then for each vendor a length, its name and subsections (tag, length, contents); here only vendor "gnu"
and tag 1, the whole file, whose contents are pairs of ULEB128 numbers. Source: GNU as manual, node "GNU Object
Attributes".
"""

from mclink._core import load

SHT_GNU_ATTRIBUTES = 0x6FFFFFF5


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


def parse_attributes(data, order, wanted):
    """{tag: value} of one section, of the tags in `wanted`; what is damaged or of another vendor is left out."""
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
                    if tag in wanted:
                        found[tag] = value
            body = body[part:]
    return found


def add_section(link, merged):
    """Makes the output's section of {tag: value}, both below 128; none when there is nothing to say."""
    order = "big" if link.target.data.BIG_ENDIAN else "little"
    pairs = bytes(part for tag in sorted(merged) if merged[tag] for part in (tag, merged[tag] & 0x7F))
    if not pairs:
        return
    inner = b"\1" + (5 + len(pairs)).to_bytes(4, order) + pairs
    body = b"gnu\0" + inner
    contents = b"A" + (4 + len(body)).to_bytes(4, order) + body
    frag = load.add_section(link.tables, b".gnu.attributes", SHT_GNU_ATTRIBUTES, 0, 1, 0, len(contents))
    link.extra.setdefault("synthetic_bytes", []).append((frag, contents))
