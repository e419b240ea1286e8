"""--out-implib: an object file with the addresses of the output's global symbols, for code that is linked against it
(GNU ld manual, node "Options")."""

from mclink._core import symbols
from mclink.diag import LinkError

SHN_ABS = 0xfff1


def write_import_library(link, path):
    """Writes the global symbols that objects define; the target may choose which (`import_names`)."""
    data = link.target.data
    order = "big" if data.BIG_ENDIAN else "little"
    wide = data.ELF_CLASS == 64
    choose = getattr(data, "import_names", None)
    gids = choose(link) if choose is not None else None
    if gids is None:
        gids = symbols.defined_names(link.tables, b"")
    strings, table = bytearray(b"\0"), bytearray(24 if wide else 16)
    for gid in gids:
        _, _, _, _, size, type, bind, visibility, _ = symbols.describe(link.tables, gid)
        if visibility in (1, 2) or type == 6:
            # Hidden names, and offsets in a thread's block, mean nothing elsewhere.
            continue
        name = len(strings).to_bytes(4, order)
        value = symbols.final_value(link.tables, gid).to_bytes(8 if wide else 4, order)
        length = size.to_bytes(8 if wide else 4, order)
        rest = bytes((bind << 4 | type, visibility)) + SHN_ABS.to_bytes(2, order)
        table += name + rest + value + length if wide else name + value + length + rest
        strings += symbols.name(link.tables, gid) + b"\0"
    if len(strings) == 1:
        raise LinkError(f"{path}: no symbol for the import library")
    try:
        with open(path, "wb") as stream:
            stream.write(assemble(link, bytes(table), bytes(strings), order, wide))
    except OSError as error:
        raise LinkError(f"cannot open {path}: {error.strerror}") from None


def assemble(link, table, strings, order, wide):
    """The bytes of a relocatable object with a symbol table and nothing else."""
    number = lambda value, size=4: value.to_bytes(size, order)
    long = lambda value: number(value, 8 if wide else 4)
    names = b"\0.symtab\0.strtab\0.shstrtab\0"
    start = 64 if wide else 52
    body, rows = table, [bytes(64 if wide else 40)]
    for name, type, contents, extra in ((1, 2, table, (2, 1, 8 if wide else 4, 24 if wide else 16)), (9, 3, strings, (0, 0, 1, 0)),
                                        (17, 3, names, (0, 0, 1, 0))):
        offset = start + (0 if contents is table else len(body))
        if contents is not table:
            body += contents
        linked, info, align, entry = extra
        rows.append(number(name) + number(type) + long(0) + long(0) + long(offset) + long(len(contents))
                    + number(linked) + number(info) + long(align) + long(entry))
    body += bytes(-(start + len(body)) % 8)
    ident = b"\x7fELF" + bytes((2 if wide else 1, 2 if order == "big" else 1, 1)) + bytes(9)
    data = link.target.data
    header = (ident + number(1, 2) + number(data.MACHINE, 2) + number(1) + long(0) + long(0) + long(start + len(body))
              + number(link.image.get("e_flags", 0)) + number(start, 2) + number(0, 2) + number(0, 2)
              + number(64 if wide else 40, 2) + number(4, 2) + number(3, 2))
    return header + body + b"".join(rows)
