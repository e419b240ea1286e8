"""Compression of output sections: streams, headers, choice."""

import types
import zlib

import pytest

from mclink.output import compress

BYTES = bytes(range(256)) * 20000 + b"tail"


def options(**more):
    return types.SimpleNamespace(**{"threads": 2, "optimize": 1, "compress_debug": ("none", None),
                                    "compress_sections": [], **more})


def data(elf_class=64, big=False):
    return types.SimpleNamespace(ELF_CLASS=elf_class, BIG_ENDIAN=big)


@pytest.mark.parametrize("size", [1, 1000, compress.PIECE, compress.PIECE + 1, len(BYTES)])
@pytest.mark.parametrize("level", [None, 0, 1, 9])
def test_zlib_stream(size, level):
    packed = compress.compress_bytes(BYTES[:size], "zlib", level, options())
    assert zlib.decompress(packed) == BYTES[:size]


def test_bytes_do_not_depend_on_threads():
    for style in ("zlib", "zstd"):
        one = compress.compress_bytes(BYTES, style, None, options(threads=1))
        assert one == compress.compress_bytes(BYTES, style, None, options(threads=3))


def test_zstd_is_one_frame():
    import zstandard
    packed = compress.compress_bytes(BYTES, "zstd", 5, options())
    assert zstandard.ZstdDecompressor().decompress(packed) == BYTES


def test_joined_sums():
    for cut in (0, 1, 70000, len(BYTES)):
        assert compress.join_adler32(zlib.adler32(BYTES[:cut]), zlib.adler32(BYTES[cut:]),
                                     len(BYTES) - cut) == zlib.adler32(BYTES)


@pytest.mark.parametrize("elf_class,big,style,expected", [
    (64, False, "zlib", "01000000 00000000 3412000000000000 0800000000000000"),
    (64, True, "zstd", "00000002 00000000 0000000000001234 0000000000000008"),
    (32, False, "zlib", "01000000 34120000 08000000"),
    (64, False, "zlib-gnu", "5a4c4942 0000000000001234"),
])
def test_headers(elf_class, big, style, expected):
    assert compress.compression_header(data(elf_class, big), style, 0x1234, 8) == bytes.fromhex(expected)


@pytest.mark.parametrize("name,flags,chosen", [
    (".debug_info", 0, ("zlib", 3)), (".debug_str", 0x800, ("none", None)), (".text", 2, ("none", None)),
    (".notes", 0, ("zstd", 7)), (".comment", 0, ("none", None)),
])
def test_which_sections(name, flags, chosen):
    section = types.SimpleNamespace(name=name, flags=flags, type=1, size=10)
    wanted = options(compress_debug=("zlib", 3), compress_sections=[(".not*", "zstd", 7)])
    assert compress.choose_style(wanted, section) == chosen
