"""Questions about file names, against os.path."""

import os

import pytest

from mclink import paths


@pytest.mark.parametrize("path", ["", "/", "//", "a", "/a", "a/", "a/b", "/a/b", "a//b", "//a", "a/b/", "./a", "../x/y.so"])
def test_parts_are_those_of_os_path(path):
    assert paths.basename(path) == os.path.basename(path)
    if not path.startswith("//"):
        assert paths.dirname(path) == os.path.dirname(path)


def test_kinds(tmp_path):
    file = tmp_path / "f"
    file.write_bytes(b"x" * 3)
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "link").symlink_to("f")
    for name in ("f", "dangling", "link", ".", "f/x", "none", "a\0b"):
        path = str(tmp_path / name)
        assert paths.exists(path) == os.path.exists(path)
        assert paths.is_file(path) == os.path.isfile(path)
    assert paths.read_file(str(file)) == b"xxx"
    with pytest.raises(OSError):
        paths.read_file(str(tmp_path))


def test_names_that_are_no_text():
    assert paths.encode(paths.decode(b"caf\xe9.o")) == b"caf\xe9.o" == os.fsencode(paths.decode(b"caf\xe9.o"))
