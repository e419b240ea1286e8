"""What a link asks of file names; os and os.path, which answer the same, cost more to import than a small link's layout."""

import posix
import sys

REGULAR = 0o100000      # S_IFREG among the S_IFMT bits
KIND = 0o170000         # S_IFMT


def basename(path):
    """What stands behind the last slash."""
    return path.rpartition("/")[2]


def dirname(path):
    """What stands before the last slashes; "" without one, "/" when they come first."""
    head, slash, _ = path.rpartition("/")
    return head.rstrip("/") or slash


def exists(path):
    """Is there anything of this name, links followed?"""
    return mode(path) != 0


def is_file(path):
    """Is there a regular file of this name, links followed?"""
    return mode(path) & KIND == REGULAR


def mode(path):
    """st_mode of what the name leads to, 0 when there is nothing or the name cannot be one."""
    try:
        return posix.stat(path).st_mode
    except (OSError, ValueError):
        return 0


def encode(path):
    """The bytes of a file name, as the system has them."""
    return path.encode(sys.getfilesystemencoding(), "surrogateescape")


def decode(name):
    """The text of a file name's bytes; `encode` undoes it."""
    return name.decode(sys.getfilesystemencoding(), "surrogateescape")


def read_file(path):
    """The bytes of a file. Raises OSError."""
    file = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        parts = []
        while part := posix.read(file, 1 << 20):
            parts.append(part)
    finally:
        posix.close(file)
    return b"".join(parts)
