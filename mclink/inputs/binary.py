"""-b binary: raw bytes wrapped into an ELF object in memory, so that nothing later is special.

Source: GNU ld manual, node "Options", --format; the symbol names are those of BFD's binary target.
"""

from mclink.elf import ElfWriter


def binary_object(data, path, contents):
    """The ELF image of a relocatable object whose .data holds `contents`.

    data: the target's constants (MACHINE, ELF_CLASS, BIG_ENDIAN). The symbols _binary_PATH_start, _end and _size
    are made from `path` with every character that is no letter or digit replaced by "_".
    """
    stem = "_binary_" + "".join(c if c.isascii() and c.isalnum() else "_" for c in path)
    writer = ElfWriter(data.ELF_CLASS, data.BIG_ENDIAN, data.MACHINE)
    section = writer.add_section(".data", 1, 3, contents, 1)
    writer.add_section(".note.GNU-stack", 1, 0, b"", 1)
    writer.add_symbol(stem + "_start", section, 0)
    writer.add_symbol(stem + "_end", section, len(contents))
    writer.add_symbol(stem + "_size", 0xfff1, len(contents))
    return writer.image()
