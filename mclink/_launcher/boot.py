"""What the launcher runs: the driver, with nothing between it and the interpreter.

`python -I -S` has no site-packages on sys.path and needs none: the package is loaded from the
folder that the launcher found, so that no foreign module can be imported and no folder full of
foreign modules is listed.
"""

import marshal
import posix
import sys
from _frozen_importlib import ModuleSpec, _load
from _frozen_importlib_external import MAGIC_NUMBER, spec_from_file_location


class Bundle:
    """Imports modules from the file that `mclink._launcher.bundle` wrote."""

    def __init__(self, package, data):
        size = int.from_bytes(data[4:8], "little")
        self.root = package[:-len("mclink")]
        self.index = marshal.loads(data[8:8 + size])
        self.data = memoryview(data)[8 + size:]

    def find_spec(self, name, path=None, target=None):
        row = self.index.get(name)
        if row is None:
            return None
        file = self.root + name.replace(".", "/")
        spec = ModuleSpec(name, self, is_package=row[0],
                          origin=file + "/__init__.py" if row[0] else file + ".py")
        if row[0]:
            # Extension modules are files of their own and are found here.
            spec.submodule_search_locations = [file]
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        spec = module.__spec__
        module.__file__ = spec.origin
        _, offset, size = self.index[spec.name]
        exec(marshal.loads(self.data[offset:offset + size]), module.__dict__)


def load_package(package):
    """Make the folder `package` importable as mclink, from its bundle when there is one."""
    try:
        with open(package + "/_launcher/bundle.bin", "rb") as file:
            data = file.read()
    except OSError:
        data = b""
    if data[:4] == MAGIC_NUMBER:
        bundle = Bundle(package, data)
        sys.meta_path.insert(0, bundle)
        spec = bundle.find_spec("mclink")
    else:
        spec = spec_from_file_location("mclink", package + "/__init__.py",
                                       submodule_search_locations=[package])
    _load(spec)


def run(package, argv):
    """Link and leave the process. `package` is the folder mclink, `argv` the whole command line."""
    load_package(package)
    from mclink.driver import main
    try:
        status = main(argv)
    except SystemExit as leave:
        status = leave.code if isinstance(leave.code, int) else 1
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            status = status or 1
    # The interpreter's tear-down would cost a millisecond and free what the system frees anyway.
    posix._exit(status)


if __name__ == "__main__":
    # python -IS boot.py PACKAGE PROGRAM WORDS...
    run(sys.argv[1], sys.argv[2:])
