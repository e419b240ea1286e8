#!/usr/bin/env python3
"""Count what a link really takes in: live objects, sections, symbols, relocations, groups, FDEs.

    bench/census.py RESPONSE_FILE

lld's `--trace` names the objects that the link makes live; each is then read with NumPy.  Debug
sections count like any other; relocations of dropped COMDAT members count too, so the figures
are those of the input, before any choice.
"""

import os
import struct
import subprocess
import sys

import numpy

from inputs.family import (RELA, SECTION, SHT_GROUP, SHT_RELA, SHT_SYMTAB, SYMBOL)

COLUMNS = ("objects", "bytes", "sections", "symbols", "relocations", "groups", "fdes")


def live_objects(response):
    """(archive or file, member name or None) for each object of the link, in link order."""
    done = subprocess.run(["ld.lld-19", "--trace", "@" + response, "-o", os.devnull],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    for line in done.stdout.splitlines():
        path, bracket, member = line.partition("(")
        yield path, member.rstrip(")") if bracket else None


def archive_members(data):
    """(name, bytes) of each member of a GNU archive (ar.h; long names in the `//` member)."""
    at, names = 8, b""
    while at + 60 <= len(data):
        head = data[at:at + 60]
        size = int(bytes(head[48:58]))
        body = data[at + 60:at + 60 + size]
        name = bytes(head[:16]).rstrip()
        if name == b"//":
            names = bytes(body)
        elif name not in (b"/", b"/SYM64/"):
            if name.startswith(b"/"):
                start = int(name[1:])
                name = names[start:names.index(b"\n", start)]
            yield name.rstrip(b"/").decode(), body
        at += 60 + size + (size & 1)


def count_fdes(frame):
    """The FDEs of an `.eh_frame` section (LSB core, exception frames): entries with a CIE pointer."""
    at = found = 0
    while at + 8 <= len(frame):
        length, pointer = struct.unpack_from("<II", frame, at)
        if length == 0:
            break
        found += pointer != 0
        at += 4 + length
    return found


def count_object(data):
    """One row of `COLUMNS` for an ELF64 little-endian object."""
    table, = struct.unpack_from("<Q", data, 40)
    number, names_at = struct.unpack_from("<HH", data, 60)
    sections = numpy.frombuffer(data, SECTION, 1, table)
    number = number or int(sections["size"][0])
    names_at = names_at if names_at != 0xFFFF else int(sections["link"][0])
    sections = numpy.frombuffer(data, SECTION, number, table)
    names = sections[names_at]
    fdes = 0
    for section in sections[(sections["flags"] & 2) != 0]:
        start = int(names["offset"]) + int(section["name"])
        if bytes(data[start:start + 10]) == b".eh_frame\0":
            offset = int(section["offset"])
            fdes += count_fdes(data[offset:offset + int(section["size"])])

    def total(kind, size):
        return int(sections["size"][sections["type"] == kind].sum()) // size

    return numpy.array([1, len(data), number, total(SHT_SYMTAB, SYMBOL.itemsize),
                        total(SHT_RELA, RELA.itemsize),
                        int((sections["type"] == SHT_GROUP).sum()), fdes])


def main(argv):
    """Print the totals of the link whose response file is named."""
    if len(argv) != 1:
        raise SystemExit(__doc__)
    wanted = {}
    for path, member in live_objects(argv[0]):
        wanted.setdefault(path, []).append(member)
    sums = numpy.zeros(len(COLUMNS), dtype="i8")
    for path, members in wanted.items():
        with open(path, "rb") as file:
            data = memoryview(file.read())
        if bytes(data[:8]) == b"!<arch>\n":
            for name, body in archive_members(data):
                if name in members:
                    sums += count_object(body)
        elif bytes(data[:4]) == b"\x7fELF" and data[16] == 1:
            sums += count_object(data)
    for name, value in zip(COLUMNS, sums):
        print(f"{name:12} {int(value):>13,}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
