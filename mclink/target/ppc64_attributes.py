""".gnu.attributes of 64-bit Power: what objects say of floating point, as one section. The tags for vectors and for
returned structures concern the 32-bit ABIs and are left out."""

from mclink._core import files, notes
from mclink.diag import LinkError
from mclink.target.gnu_attributes import SHT_GNU_ATTRIBUTES, add_section, parse_attributes

TAG_FP = 4

# Fields of TAG_FP: mask -> what the values are called. 0 says nothing; two other values do not go together.
FIELDS = {
    3: {1: "hard float", 2: "soft float", 3: "single-precision hard float"},
    12: {4: "128-bit IBM long double", 8: "64-bit long double", 12: "128-bit IEEE long double"},
}


def merge_attributes(link):
    """Takes the sections of all inputs and makes one of them. LinkError when two disagree on a field."""
    order = "big" if link.target.data.BIG_ENDIAN else "little"
    merged = {}
    said = {}
    for file, data in notes.take_sections(link.tables, SHT_GNU_ATTRIBUTES):
        value = parse_attributes(data, order, (TAG_FP,)).get(TAG_FP, 0)
        for mask, names in FIELDS.items():
            new = value & mask
            if not new:
                continue
            old, first = said.setdefault(mask, (new, file))
            if old != new:
                raise LinkError(f"{files.file_name(link.tables, file)} uses {names[new]}, "
                                f"{files.file_name(link.tables, first)} uses {names[old]}")
            merged[TAG_FP] = merged.get(TAG_FP, 0) | new
    add_section(link, merged)
