"""The hash tables of .dynsym, read back as run-time linkers read them."""

import ctypes
import struct

import pytest

from mclink._core import dynamic, join, load, symbols, versions
from mclink._core.tables import Tables

# symbols -> (buckets of .gnu.hash, bloom words, bloom shift, buckets of .hash), seen in GNU ld 2.40's output
GNU_LD = {
    1: (2, 1, 6, 1), 2: (2, 1, 6, 1), 3: (3, 1, 6, 3), 5: (3, 1, 6, 3), 9: (3, 1, 6, 3), 15: (3, 2, 7, 3),
    17: (17, 2, 7, 17), 24: (17, 4, 8, 17), 33: (17, 4, 8, 17), 48: (37, 8, 9, 37), 65: (37, 8, 9, 37),
    96: (67, 16, 10, 67), 130: (97, 16, 10, 97), 192: (131, 32, 11, 131), 300: (263, 32, 11, 263),
    513: (263, 64, 12, 263), 768: (521, 128, 13, 521), 1500: (1031, 128, 13, 1031), 3000: (2053, 256, 14, 2053),
}


def gnu_hash(name):
    value = 5381
    for byte in name:
        value = (value * 33 + byte) & 0xffffffff
    return value


def sysv_hash(name):
    value = 0
    for byte in name:
        value = (value << 4) + byte
        high = value & 0xf0000000
        value = (value ^ high >> 24) & ~high & 0xffffffff
    return value


class Tables3:
    """.dynsym names, .hash and .gnu.hash of a shared object that exports `names`."""

    def __init__(self, names, gnu=True, **settings):
        self.order = ">" if settings.get("swap") else "<"
        self.word = 4 if settings.get("elf32") else 8
        tables = Tables()
        load.make_internal_file(tables)
        tables.configure(shared_output=True, dynamic_output=True, rela=True, **settings)
        for name in names:
            symbols.define(tables, join.intern(tables, name))
        versions.reset_versions(tables)
        versions.export_definitions(tables, False)
        core = dynamic.Dynamic()
        core.select(tables, [])
        core.order(tables, gnu)
        self.rows = [row[0] for row in core.rows(tables)]
        self.count, self.symbols, strings, versym, sysv, gnu_size = core.sizes(tables)
        self.sysv = bytearray(sysv)
        self.gnu = bytearray(gnu_size)
        core.write_sysv_hash(tables, address(self.sysv))
        core.write_gnu_hash(tables, address(self.gnu))

    def u32(self, table, index):
        return struct.unpack_from(self.order + "I", table, 4 * index)[0]

    def find_sysv(self, name):
        buckets, chains = self.u32(self.sysv, 0), self.u32(self.sysv, 1)
        assert chains == self.count
        index = self.u32(self.sysv, 2 + sysv_hash(name) % buckets)
        while index:
            if self.rows[index - 1] == name:
                return index
            index = self.u32(self.sysv, 2 + buckets + index)
        return 0

    def find_gnu(self, name):
        buckets, first, words, shift = (self.u32(self.gnu, i) for i in range(4))
        code = gnu_hash(name)
        bits = 8 * self.word
        at = 16 + code // bits % words * self.word
        bloom = int.from_bytes(self.gnu[at:at + self.word], "big" if self.order == ">" else "little")
        if not bloom >> code % bits & 1 or not bloom >> (code >> shift) % bits & 1:
            return 0
        table = 4 + words * self.word // 4
        index = self.u32(self.gnu, table + code % buckets)
        while index:
            link = self.u32(self.gnu, table + buckets + index - first)
            if link | 1 == code | 1 and self.rows[index - 1] == name:
                return index
            if link & 1:
                return 0
            index += 1
        return 0


def address(array):
    return ctypes.addressof(ctypes.c_char.from_buffer(array))


def names(count):
    return [b"symbol_%d" % i for i in range(count)]


@pytest.mark.parametrize("settings", [{}, {"elf32": True}, {"swap": True}, {"elf32": True, "swap": True}],
                         ids=["elf64le", "elf32le", "elf64be", "elf32be"])
@pytest.mark.parametrize("count", [1, 2, 7, 100, 3000])
def test_every_name_is_found(count, settings):
    made = Tables3(names(count), **settings)
    found = [made.find_gnu(name) for name in names(count)]
    assert sorted(found) == list(range(1, count + 1))
    assert [made.find_sysv(name) for name in names(count)] == found
    for name in (b"nosuch", b"symbol_", b""):
        assert made.find_gnu(name) == 0
        assert made.find_sysv(name) == 0


@pytest.mark.parametrize("count", sorted(GNU_LD))
def test_sizes_are_gnu_ld_s(count):
    made = Tables3(names(count))
    buckets, words, shift, sysv = GNU_LD[count]
    assert [made.u32(made.gnu, i) for i in range(4)] == [buckets, 1, words, shift]
    assert made.u32(made.sysv, 0) == sysv


def test_bloom_filter_refuses_most_strangers():
    made = Tables3(names(1000))
    words = made.u32(made.gnu, 2)
    shift = made.u32(made.gnu, 3)
    passed = 0
    for i in range(10000):
        code = gnu_hash(b"stranger_%d" % i)
        bloom = struct.unpack_from("<Q", made.gnu, 16 + code // 64 % words * 8)[0]
        passed += bloom >> code % 64 & 1 and bloom >> (code >> shift) % 64 & 1
    assert passed < 2000


def test_no_symbols():
    made = Tables3([])
    # GNU ld's empty table: one bucket, symbols from 1 on, one bloom word of zero.
    assert bytes(made.gnu) == struct.pack("<4IQI", 1, 1, 1, 0, 0, 0)
    assert made.find_sysv(b"f") == 0


def test_buckets_are_contiguous():
    made = Tables3(names(500))
    buckets = made.u32(made.gnu, 0)
    order = [gnu_hash(name) % buckets for name in made.rows]
    assert order == sorted(order)


def test_link_order_without_gnu_hash():
    made = Tables3([b"z", b"a", b"m"], gnu=False)
    assert len(made.rows) == 3
    assert {made.find_sysv(name) for name in (b"z", b"a", b"m")} == {1, 2, 3}
