"""Phase 3: outputs that are no ELF files: a memory image (--oformat binary), S-records and Intel hex records of one.

All hold the contents of the loaded sections at their load addresses (GNU ld manual, --oformat)."""

import os

from mclink._core import hextext, image
from mclink.diag import LinkError
from mclink.elf import SHF_ALLOC, SHT_NOBITS
from mclink.output import headers

# Of 64-bit addresses these are those of 32 bits with their sign extended.
_SIGNED = 0xffffffff80000000


def place_raw(link):
    """Gives the loaded sections their places in the image; the size of the image in bytes.

    binary: the load address minus the lowest one; records: one behind the other, as the addresses stand in the text."""
    loaded = loaded_sections(link)
    for output in link.outputs:
        output.file_size = 0
    packed = link.options.oformat != "binary"
    base = loaded[0].lma if loaded else 0
    end = 0
    for output in loaded:
        output.offset = end if packed else output.lma - base
        output.file_size = output.size
        end = max(end, output.offset + output.size)
    if end > 1 << 40:
        raise LinkError(f"--oformat binary: the sections are {end:#x} bytes apart; give them nearer load addresses")
    link.image["shoff"] = 0
    return end


def loaded_sections(link):
    """Output sections with contents that are loaded, by load address."""
    loaded = [output for output in link.outputs
              if output.flags & SHF_ALLOC and output.type != SHT_NOBITS and output.size]
    loaded.sort(key=lambda output: output.lma)
    return loaded


def as_text(link, out):
    """The finished image as records: an OutputImage to be written in its place."""
    from mclink.output.write import is_regular
    blocks = []
    for output in loaded_sections(link):
        end = output.lma + output.size - 1
        if end > 0xffffffff and output.lma < _SIGNED:
            raise LinkError(f"section '{output.name}': load address {output.lma:#x} does not fit in 32 bits, which is all "
                            f"that {link.options.oformat} has")
        blocks.append((output.lma & 0xffffffff, out.address + output.offset, output.size))
    start = headers.entry_address(link) & 0xffffffff
    target = os.fsencode(link.options.output)
    if link.options.oformat == "srec":
        text = hextext.write_srec(blocks, target, start)
    else:
        text = hextext.write_ihex(blocks, start)
    records = image.OutputImage(target, len(text), is_regular(link.options.output))
    records.put(0, text)
    return records
