"""Phase 2: sections of the live files become fragments."""

from mclink._core import load
from mclink.diag import LinkError
from mclink.libraries import library


def load_sections(link):
    """Load sections"""
    compressed, link.extra["warnings"] = load.load_sections(link.tables)
    for frag in compressed:
        decompress(link, frag)
    link.target.ops.attach(link.tables)
    load.attach_relocations(link.tables)
    if link.options.relocatable and not link.options.define_common:
        load.freeze_sections(link.tables)
    else:
        link.extra["commons"] = load.allocate_commons(link.tables)


def decompress(link, frag):
    """Replaces a compressed section by its contents (gABI chapter 4, Section Compression; .zdebug of old GNU tools)."""
    tables = link.tables
    data = load.section_bytes(tables, frag)
    big, elf32, old = load.compression(tables, frag)
    order = "big" if big else "little"
    if old:
        if data[:4] != b"ZLIB" or len(data) < 12:
            return
        kind, size, align, body = 1, int.from_bytes(data[4:12], "big"), 1, data[12:]
    elif elf32:
        if len(data) < 12:
            return damaged(link, frag, "is shorter than its compression header")
        kind, size, align = (int.from_bytes(data[i:i + 4], order) for i in (0, 4, 8))
        body = data[12:]
    else:
        if len(data) < 24:
            return damaged(link, frag, "is shorter than its compression header")
        kind, size, align = (int.from_bytes(data[i:j], order) for i, j in ((0, 4), (8, 16), (16, 24)))
        body = data[24:]
    if align & (align - 1) or align > 1 << 31 or size > 1 << 40:
        return damaged(link, frag, "has a damaged compression header")
    try:
        if kind == 1:
            import zlib
            contents = zlib.decompressobj().decompress(body, size + 1)
        elif kind == 2:
            zstandard = library("zstandard", "zstd-compressed sections")
            contents = zstandard.ZstdDecompressor().decompress(body, max_output_size=size)
        else:
            return damaged(link, frag, f"has an unknown compression type ({kind})")
    except LinkError:
        raise
    except MemoryError:
        return damaged(link, frag, "is too large to decompress")
    except Exception as error:  # each library has errors of its own
        return damaged(link, frag, f"cannot be decompressed: {error}")
    if len(contents) != size:
        return damaged(link, frag, f"decompresses to {len(contents)} bytes instead of {size}")
    load.set_contents(tables, frag, contents, align or 1)


def damaged(link, frag, text):
    from mclink._core import files
    file = load.fragment(link.tables, frag)[0]
    link.diag.error(f"{files.file_name(link.tables, file)}: section {load.section_name(link.tables, frag)} {text}")
