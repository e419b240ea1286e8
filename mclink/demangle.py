"""Readable names: the C++ (Itanium C++ ABI) and Rust (v0) manglings, through the package pycxxfilt.

It wraps LLVM's demanglers and is loaded when the first mangled name is to be printed; without it names are
printed as they are.
"""

_demanglers = None


def demangle(name):
    """The readable form of a symbol name (bytes or str), str; the name itself when it is not mangled.

    A version (`@V`, `@@V`) behind the name stays."""
    text = name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
    if not text.startswith(("_Z", "_R", "__Z", "___Z")):
        return text
    base, at, version = text.partition("@")
    return _demangle_base(base) + at + version


def can_demangle():
    """True when the demanglers are installed."""
    _load()
    return _demanglers != (None, None)


def _load():
    global _demanglers
    if _demanglers is None:
        from mclink.diag import LinkError
        from mclink.libraries import library
        try:
            module = library("pycxxfilt", "readable C++ and Rust names")
        except LinkError:
            module = None
        _demanglers = (getattr(module, "itanium_demangle", None), getattr(module, "rust_demangle", None))


def _demangle_base(text):
    _load()
    itanium, rust = _demanglers
    function = rust if text.startswith("_R") else itanium
    if function is None:
        return text
    try:
        return function(text) or text
    except (ValueError, UnicodeError, MemoryError):
        return text


def last_identifier(name):
    """The last source name of a mangled C++ name (`_ZN2ns1fEi`: b"f"), bytes; None when it has none.

    Source: Itanium C++ ABI, 5.1.3: a source name is its length and its characters; template arguments do not
    belong to the name."""
    if not name.startswith(b"_Z"):
        return None
    at = 2
    nested = name[at:at + 1] == b"N"
    if nested:
        at += 1
        # CV and reference qualifiers of a member function.
        while name[at:at + 1] in (b"r", b"V", b"K", b"R", b"O"):
            at += 1
    elif name[at:at + 2] == b"St":
        at += 2
    found = None
    depth = 0
    while at < len(name):
        char = name[at:at + 1]
        if char.isdigit():
            end = at
            while name[end:end + 1].isdigit():
                end += 1
            length = int(name[at:end])
            if length > len(name) - end:
                return found
            if depth == 0:
                found = name[end:end + length]
                if not nested:
                    return found
            at = end + length
            continue
        if char == b"I":
            depth += 1
        elif char == b"E":
            depth -= 1
            if depth < 0:
                return found
        elif depth == 0 and not nested:
            return found
        at += 1
    return found
