"""The names that a script defines and the names that its expressions read."""

from mclink.script import ast


def script_symbols(script):
    """The names that a script may define: a list of (name, how), how as in ast.ASSIGN, in script order.

    The names of the bounds of OVERLAY sections are among them, as PROVIDE.
    """
    found = []
    _collect_symbols(script, found)
    return found


def _collect_symbols(nodes, found):
    for node in nodes:
        kind = node[0]
        if kind == ast.ASSIGN:
            if node[2] != ".":
                found.append((node[2], node[4]))
        elif kind == ast.SECTIONS:
            _collect_symbols(node[2], found)
        elif kind == ast.OUTSEC:
            _collect_symbols(node[10], found)
        elif kind == ast.OVERLAY:
            for member in node[6]:
                name = overlay_symbol(member[0])
                found.append(("__load_start_" + name, ast.PROVIDE))
                found.append(("__load_stop_" + name, ast.PROVIDE))
                _collect_symbols(member[2], found)


def overlay_symbol(section):
    """What follows __load_start_ in the name of a symbol for an overlay's section: characters that may
    not stand in C identifiers are dropped (GNU ld manual, node "Overlay Description")."""
    return "".join(c for c in section if c.isalnum() or c == "_")


def names_read(script):
    """(names, sections): the set of symbols that the expressions of a script read, DEFINED() left out, and the
    set of output sections whose address or load address they ask for."""
    names = set()
    sections = set()
    for node in script:
        _read_statement(node, names, sections)
    return names, sections


def _read_statement(node, names, sections):
    kind = node[0]
    if kind == ast.ASSIGN:
        _read(node[3], names, sections)
    elif kind == ast.SECTIONS:
        for inner in node[2]:
            _read_statement(inner, names, sections)
    elif kind == ast.OUTSEC:
        for part in (node[4], node[6], node[7], node[8], node[9], node[14]):
            if type(part) is tuple:
                _read(part, names, sections)
        for inner in node[10]:
            _read_statement(inner, names, sections)
    elif kind == ast.ASSERT:
        _read(node[2], names, sections)
    elif kind == ast.DATA:
        _read(node[3], names, sections)
    elif kind == ast.FILL:
        _read(node[2], names, sections)
    elif kind == ast.OVERLAY:
        for part in (node[2], node[4], node[5], node[10]):
            _read(part, names, sections)
        for member in node[6]:
            for inner in member[2]:
                _read_statement(inner, names, sections)
    elif kind == ast.MEMORY:
        for region in node[2]:
            _read(region[4], names, sections)
            _read(region[5], names, sections)
    elif kind == ast.PHDRS:
        for header in node[2]:
            for part in (header[2], header[5], header[6]):
                _read(part, names, sections)


def _read(expr, names, sections):
    if type(expr) is not tuple:
        return
    kind = expr[0]
    if kind == ast.NAME:
        names.add(expr[2])
    elif kind == "ADDR" or kind == "LOADADDR":
        sections.add(expr[2])
    elif kind != "DEFINED":
        for part in expr[2:]:
            if type(part) is tuple:
                _read(part, names, sections)
