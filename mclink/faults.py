"""Faults of the core become messages: places and symbols get their names here."""

from mclink import diag
from mclink._core import files, load, symbols

FIELDS = ("file", "frag", "offset", "code", "type", "gid", "sym", "value", "low", "high")


def check(link):
    """Prints the pending faults and raises LinkError when the link has errors."""
    if link.tables is not None:
        rows = link.tables.faults()
        if rows:
            for row in rows:
                report(link, dict(zip(FIELDS, row)))
    link.diag.check()


def report(link, fault):
    """Prints one fault through the message catalogue."""
    tables = link.tables
    file = fault["file"]
    name = files.file_name(tables, file) if file else ""
    place = name
    if fault["frag"]:
        place = f"{name}:({load.section_name(tables, fault['frag'])}+{fault['offset']:#x})"
    symbol = ""
    if fault["gid"]:
        symbol = symbols.name(tables, fault["gid"]).decode("utf-8", "surrogateescape")
    type_name = link.target.reloc_name(fault["type"]) if link.target is not None else str(fault["type"])
    fields = dict(fault, place=place, file=name, symbol=symbol, type=type_name, number=fault["value"])
    key = diag.FAULTS.get(fault["code"], None)
    severity, text = diag.format_message(key, Defaults(fields))
    if severity == "warning":
        link.diag.warn(text)
    else:
        link.diag.error(text)


class Defaults(dict):
    """Fields of a message; one that a fault does not have reads as its name."""

    def __missing__(self, key):
        return key
