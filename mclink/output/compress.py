"""Compressed sections: SHF_COMPRESSED (gABI chapter 4, "Section Compression") and GNU's old .zdebug form.

A section is cut into pieces of a fixed size that threads compress (zlib lets the interpreter go meanwhile), so
the bytes do not depend on the number of threads.
"""

from mclink.elf import SHF_ALLOC, SHF_COMPRESSED, SHT_NOBITS
from mclink.libraries import library

ELFCOMPRESS_ZLIB = 1
ELFCOMPRESS_ZSTD = 2
PIECE = 1 << 20             # bytes of contents in one unit of work
ADLER_BASE = 65521          # RFC 1950, section 8.2


def compress_sections(link, write_section):
    """Compresses the unloaded sections that the options name; one that would not shrink stays as it is.

    `write_section(link, output, address)` writes a section's contents into memory. Sets `compressed`, the
    contents with their header, and SHF_COMPRESSED or the name .zdebug_*."""
    from mclink._core import image
    if link.options.relocatable and not getattr(link.target.data, "RELA_OBJECTS", link.target.data.RELA):
        # Addends that stand in the fields are written with the relocation sections, which come later.
        return
    for output in link.outputs:
        style, level = choose_style(link.options, output)
        if style == "none":
            continue
        memory = image.Scratch(output.size)
        write_section(link, output, memory.address)
        contents = memory.bytes()
        del memory
        header = compression_header(link.target.data, style, len(contents), output.align)
        body = compress_bytes(contents, style, level, link.options)
        if len(header) + len(body) >= len(contents):
            continue
        output.compressed = header + body
        if style == "zlib-gnu":
            output.name = ".z" + output.name[1:]
        else:
            output.flags |= SHF_COMPRESSED
            # The header is the first thing in the section and asks for its own alignment.
            output.align = link.target.data.ELF_CLASS // 8


def choose_style(options, output):
    """(style, level) for one output section; ("none", None) leaves it alone."""
    if output.flags & (SHF_ALLOC | SHF_COMPRESSED) or output.type == SHT_NOBITS or not output.size:
        return "none", None
    style, level = "none", None
    if output.name.startswith(".debug_"):
        style, level = options.compress_debug
    if options.compress_sections:
        from mclink._core.versions import glob_matches
        name = output.name.encode("utf-8", "surrogateescape")
        for glob, wanted, wanted_level in options.compress_sections:
            if glob_matches(glob.encode("utf-8", "surrogateescape"), name):
                style, level = wanted, wanted_level
    if style == "zlib-gnu" and not output.name.startswith(".debug_"):
        # Only names that begin so have a .z form.
        style = "zlib"
    return style, level


def compression_header(data, style, size, align):
    """Elf32_Chdr or Elf64_Chdr of `size` bytes of contents; "ZLIB" and the size for the old form."""
    if style == "zlib-gnu":
        return b"ZLIB" + size.to_bytes(8, "big")
    order = "big" if data.BIG_ENDIAN else "little"
    kind = ELFCOMPRESS_ZSTD if style == "zstd" else ELFCOMPRESS_ZLIB
    if data.ELF_CLASS == 64:
        fields = ((kind, 4), (0, 4), (size, 8), (max(align, 1), 8))
    else:
        fields = ((kind, 4), (size, 4), (max(align, 1), 4))
    return b"".join(value.to_bytes(width, order) for value, width in fields)


def compress_bytes(contents, style, level, options):
    """`contents` as a zlib stream or a Zstandard frame. Raises LinkError when zstd is not installed."""
    threads = options.threads or available_threads()
    if style == "zstd":
        zstandard = library("zstandard", "--compress-debug-sections=zstd")
        # One worker at least: without workers the library cuts the input differently.
        return zstandard.ZstdCompressor(level=3 if level is None else level, threads=threads,
                                        write_content_size=True).compress(contents)
    if level is None:
        level = 6 if options.optimize > 1 else 1
    return compress_zlib(contents, level, threads)


def available_threads():
    from posix import sched_getaffinity
    return len(sched_getaffinity(0))


def compress_zlib(contents, level, threads):
    """One zlib stream (RFC 1950) made of pieces that end at a byte boundary, compressed by `threads` threads."""
    import zlib
    view = memoryview(contents)
    starts = range(0, len(contents), PIECE)
    pieces = [None] * len(starts)
    sums = [1] * len(starts)
    last = len(starts) - 1
    waiting = iter(range(len(starts)))

    def work():
        for index in waiting:
            part = view[index * PIECE:(index + 1) * PIECE]
            deflate = zlib.compressobj(level, zlib.DEFLATED, -15)
            pieces[index] = deflate.compress(part) + deflate.flush(
                zlib.Z_FINISH if index == last else zlib.Z_SYNC_FLUSH)
            sums[index] = zlib.adler32(part)

    run_threads(work, min(threads, len(starts)))
    check = 1
    for index, start in enumerate(starts):
        check = join_adler32(check, sums[index], min(PIECE, len(contents) - start))
    # CMF 0x78: deflate with a 32 KiB window; FLG 0x01 makes the pair a multiple of 31.
    return b"\x78\x01" + b"".join(pieces) + check.to_bytes(4, "big")


def run_threads(work, count):
    """Calls `work` on `count` threads, this one included; an exception of any is raised here."""
    if count <= 1:
        work()
        return
    from threading import Thread
    failures = []

    def guarded():
        try:
            work()
        except BaseException as error:
            failures.append(error)

    others = [Thread(target=guarded) for _ in range(count - 1)]
    for thread in others:
        thread.start()
    guarded()
    for thread in others:
        thread.join()
    if failures:
        raise failures[0]


def join_adler32(first, second, length):
    """Adler-32 of two texts behind each other, from their sums; `length` bytes are in the second."""
    a1, b1 = first & 0xffff, first >> 16
    a2, b2 = second & 0xffff, second >> 16
    a = (a1 + a2 - 1) % ADLER_BASE
    b = (b1 + b2 + (a1 - 1) * length) % ADLER_BASE
    return b << 16 | a
