"""All Python modules of the package in one file.

Finding, opening and checking seventy .pyc files costs a hello-world link about a third of its time; one
file that is read at once costs it a tenth of that. setup.py writes it, `boot` reads it. In a source tree
each row knows its source's size and time, so that an edit counts at once.

    4 bytes    the interpreter's release (boot.INTERPRETER); any other: the file is not used
    4 bytes    size n of the index, little-endian
    n bytes    marshalled (order, {module name: (is it a package, stamp, code, offset, size)}); order names the
               modules that every link imports, each behind those that it imports itself, the core's among
               them; stamp is (size, mtime in ns) of the source or None; code is that of a module in order,
               else None; offset from the file's start
    ...        marshalled code objects of the other modules

The index holds the common modules' code itself because names that modules share are then read once.
"""

import ast
import marshal
import os

from mclink._launcher.boot import INTERPRETER


def write_bundle(package, path, checked=False):
    """Write the modules below the folder `package` (its name is the package's) to `path`.

    checked: the sources may change later, as in a source tree."""
    root = os.path.dirname(os.path.abspath(package))
    sources = find_sources(os.path.abspath(package), root)
    order = find_common(sources, os.path.abspath(package))
    common = set(order)
    index, data = {}, bytearray()
    for name, source in sources.items():
        is_package = os.path.basename(source) == "__init__.py"
        stamp = None
        if checked:
            state = os.stat(source)
            stamp = (state.st_size, state.st_mtime_ns)
        with open(source, "rb") as stream:
            code = compile(stream.read(), os.path.relpath(source, root), "exec", dont_inherit=True)
        if name in common:
            index[name] = (is_package, stamp, code, 0, 0)
        else:
            text = marshal.dumps(code)
            index[name] = (is_package, stamp, None, len(data), len(text))
            data += text
    head = b""
    for _ in range(4):
        # Offsets count from the file's start, so they depend on the size of the index that holds them.
        base = 8 + len(head)
        head = marshal.dumps((order, {
            name: row if row[2] else (*row[:3], row[3] + base, row[4]) for name, row in index.items()}))
        if 8 + len(head) == base:
            break
    else:
        raise AssertionError("the size of the index does not settle")
    with open(path, "wb") as stream:
        stream.write(INTERPRETER + len(head).to_bytes(4, "little") + head + data)


def find_sources(package, root):
    """{module name: path} of the .py files below `package`."""
    sources = {}
    for folder, folders, files in os.walk(package):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for file in sorted(files):
            if file.endswith(".py"):
                source = os.path.join(folder, file)
                name = os.path.relpath(source, root)[:-3].replace(os.sep, ".").removesuffix(".__init__")
                sources[name] = source
    return sources


def find_common(sources, package):
    """Names of the modules that the driver imports at once, each behind those that it imports itself."""
    order, entered = [], set()

    def enter(name):
        if name in entered or not name.startswith(prefix):
            return
        entered.add(name)
        enter(name.rpartition(".")[0])
        if name in sources:
            with open(sources[name], "rb") as stream:
                names = list(top_level_imports(ast.parse(stream.read())))
        else:
            core = os.path.join(package, *name.split(".")[1:]) + ".pyx"
            if not os.path.exists(core):
                return
            with open(core, encoding="utf-8") as stream:
                names = [line.split()[1] for line in stream if line.startswith("from mclink.")]
        for imported in names:
            enter(imported)
        order.append(name)

    prefix = os.path.basename(package)
    enter(prefix + ".driver")
    return order


def top_level_imports(tree):
    """Names that a module's own import statements may mean."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
