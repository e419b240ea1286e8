""".gnu.attributes of 64-bit Power: what objects say of floating point, vectors and returned structures, as one section."""

from mclink._core import files, notes
from mclink.target.gnu_attributes import SHT_GNU_ATTRIBUTES, add_section, parse_attributes

TAG_FP, TAG_VECTOR, TAG_STRUCT_RETURN = 4, 8, 12

# tag -> [(mask, what the values are called)]; 0 in a field says nothing, two other values do not go together
FIELDS = {
    TAG_FP: ((3, "floating-point ABIs"), (12, "long double formats")),
    TAG_VECTOR: ((0x7F, "vector ABIs"),),
    TAG_STRUCT_RETURN: ((0x7F, "conventions for small structures"),),
}
GENERIC_VECTOR = 1          # goes with every other


def merge_attributes(link):
    """Takes the sections of all inputs and makes one of them; a field on which two disagree is a warning."""
    order = "big" if link.target.data.BIG_ENDIAN else "little"
    merged = {}
    for file, data in notes.take_sections(link.tables, SHT_GNU_ATTRIBUTES):
        for tag, value in parse_attributes(data, order, FIELDS).items():
            for mask, what in FIELDS[tag]:
                old, new = merged.get(tag, 0) & mask, value & mask
                if tag == TAG_VECTOR and old == GENERIC_VECTOR and new:
                    merged[tag] = new
                elif not old:
                    merged[tag] = merged.get(tag, 0) | new
                elif new and new != old and not (tag == TAG_VECTOR and new == GENERIC_VECTOR):
                    link.diag.warn(f"{files.file_name(link.tables, file)} and files before it use different {what}")
    add_section(link, merged)
