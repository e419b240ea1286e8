"""All Python modules of the package in one file, for installed copies.

Finding, opening and checking forty .pyc files costs a hello-world link about a third of its time;
one file with an index costs it a tenth of that. setup.py writes it into what pip installs, `boot`
reads it; a source tree has none, so that edits count at once.

    4 bytes    the interpreter's magic number of .pyc files; any other: the file is not used
    4 bytes    size n of the index, little-endian
    n bytes    marshalled {module name: (is it a package, offset, size)}, offsets from the file's start
               of the data that follows the index
    ...        marshalled code objects
"""

import marshal
import os
from importlib.util import MAGIC_NUMBER


def write_bundle(package, path):
    """Write the modules below the folder `package` (its name is the package's) to `path`."""
    root = os.path.dirname(os.path.abspath(package))
    index = {}
    data = bytearray()
    for folder, folders, files in os.walk(os.path.abspath(package)):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for file in sorted(files):
            if not file.endswith(".py"):
                continue
            source = os.path.join(folder, file)
            relative = os.path.relpath(source, root)
            name = relative[:-3].replace(os.sep, ".").removesuffix(".__init__")
            with open(source, "rb") as stream:
                code = compile(stream.read(), relative, "exec", dont_inherit=True)
            text = marshal.dumps(code)
            index[name] = (file == "__init__.py", len(data), len(text))
            data += text
    head = marshal.dumps(index)
    with open(path, "wb") as stream:
        stream.write(MAGIC_NUMBER + len(head).to_bytes(4, "little") + head + data)
