"""What the launcher runs: the driver, with nothing between it and the interpreter.

`python -I -S` has no site-packages on sys.path and needs none: the package is loaded from the
folder that the launcher found, so that no foreign module can be imported and no folder full of
foreign modules is listed.
"""

import _imp
import marshal
import posix
import sys
from _frozen_importlib import BuiltinImporter, ModuleSpec, _load

# Who can read the bundle's code: 3.x, or that very build before its release (bundle.py writes the same).
INTERPRETER = (sys.hexversion >> 16 if sys.version_info.releaselevel == "final" else sys.hexversion).to_bytes(4, "little")

Module = type(sys)


class Bundle:
    """Imports modules from the file that `mclink._launcher.bundle` wrote."""

    def __init__(self, package, path, order, index):
        self.root = package[:-len("mclink")]
        self.path = path
        self.order = order
        self.index = index

    def find_spec(self, name, path=None, target=None):
        row = self.index.get(name)
        if row is None:
            # Some releases' own finder looks for no built-in module inside a package.
            return ModuleSpec(name, BuiltinImporter, origin="built-in") if path and _imp.is_builtin(name) else None
        is_package, stamp, _, _, _ = row
        file = self.root + name.replace(".", "/")
        source = file + "/__init__.py" if is_package else file + ".py"
        if stamp is not None:
            try:
                state = posix.stat(source)
            except OSError:
                return None
            if stamp != (state.st_size, state.st_mtime_ns):
                return None
        spec = ModuleSpec(name, self, origin=source, is_package=is_package)
        if is_package:
            # Extension modules are files of their own and are found here.
            spec.submodule_search_locations = [file]
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        spec = module.__spec__
        module.__file__ = spec.origin
        _, _, code, offset, size = self.index[spec.name]
        if code is None:
            file = posix.open(self.path, posix.O_RDONLY | posix.O_CLOEXEC)
            code = marshal.loads(posix.pread(file, size, offset))
            posix.close(file)
        exec(code, module.__dict__)

    def load_all(self):
        """Loads what every link imports, in order, without the import system's questions about each module.

        What is left out here is loaded by the statement that imports it."""
        modules = sys.modules
        for name in self.order:
            if name in modules:
                continue
            built_in = _imp.is_builtin(name)
            spec = ModuleSpec(name, BuiltinImporter, origin="built-in") if built_in else self.find_spec(name)
            parent, _, last = name.rpartition(".")
            if spec is None or parent not in modules:
                continue
            module = _imp.create_builtin(spec) if built_in else Module(name)
            module.__spec__ = spec
            module.__loader__ = spec.loader
            if spec.submodule_search_locations is not None:
                module.__path__ = spec.submodule_search_locations
            modules[name] = module
            try:
                if built_in:
                    _imp.exec_builtin(module)
                else:
                    self.exec_module(module)
            except BaseException:
                del modules[name]
                raise
            setattr(modules[parent], last, module)


def read_bundle(package):
    """The Bundle of the package, or None when there is none for this interpreter."""
    path = package + "/_launcher/bundle.bin"
    if _imp.is_builtin("_mclink_start"):
        from _mclink_start import read_file
        found = read_file(path, INTERPRETER)
        return found and Bundle(package, path, *found)
    try:
        file = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return None
    try:
        head = posix.read(file, 8)
        if head[:4] != INTERPRETER:
            return None
        order, index = marshal.loads(posix.read(file, int.from_bytes(head[4:], "little")))
        return Bundle(package, path, order, index)
    finally:
        posix.close(file)


def load_package(package):
    """Make the folder `package` importable as mclink, from its bundle when there is one."""
    # Without one, it still finds the modules that are in this program.
    bundle = read_bundle(package) or Bundle(package, None, (), {})
    sys.meta_path.insert(0, bundle)
    spec = bundle.find_spec("mclink")
    if spec is None:
        complete_start()
        from _frozen_importlib_external import spec_from_file_location
        spec = spec_from_file_location("mclink", package + "/__init__.py",
                                       submodule_search_locations=[package])
    _load(spec)
    bundle.load_all()


class LateStream:
    """Stands for sys.stdout or sys.stderr until something is asked of it."""

    def __init__(self, name):
        self.name = name

    def __getattr__(self, attribute):
        complete_start()
        return getattr(getattr(sys, self.name), attribute)


class LateFinder:
    """The last finder. The interpreter's own extension modules are loaded here (a build id's hash is one); what
    nobody knows may be another file, which only the whole interpreter can load."""

    create_module = staticmethod(_imp.create_dynamic)
    exec_module = staticmethod(_imp.exec_dynamic)

    @staticmethod
    def find_spec(name, path=None, target=None):
        if path is None and sys.stdout is OUT:
            from _mclink_start import EXTENSIONS
            file = f"{EXTENSIONS}/{name}{_imp.extension_suffixes()[0]}"
            try:
                posix.stat(file)
                return ModuleSpec(name, LateFinder, origin=file)
            except OSError:
                pass
        # The finder of files comes behind this one in sys.meta_path and is asked next.
        complete_start()
        return None


# print() only borrows its stream, so these must outlive their replacement.
OUT, ERR = LateStream("stdout"), LateStream("stderr")


def late_open(*args, **words):
    """Stands for the built-in open()."""
    complete_start()
    return open(*args, **words)


def complete_start():
    """The second half of the interpreter's start (launcher.c), once."""
    if sys.stdout is OUT:
        import _mclink_start
        del sys.stdout, sys.stderr
        _mclink_start.complete()


def run_embedded(package, argv):
    """run() in an interpreter of which only the first half may have been started."""
    if not hasattr(sys, "stdout"):
        import builtins
        sys.meta_path.append(LateFinder)
        sys.stdout, sys.stderr = OUT, ERR
        builtins.open = late_open
    run(package, argv)


def run(package, argv):
    """Link and leave the process. `package` is the folder mclink, `argv` the whole command line."""
    load_package(package)
    from mclink.driver import main
    try:
        status = main(argv)
    except SystemExit as leave:
        status = leave.code if isinstance(leave.code, int) else 1
    for stream in (sys.stdout, sys.stderr):
        if stream in (OUT, ERR):
            continue
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            status = status or 1
    # The interpreter's tear-down would cost a millisecond and free what the system frees anyway.
    posix._exit(status)


if __name__ == "__main__":
    # python -IS boot.py PACKAGE PROGRAM WORDS...
    import gc
    gc.disable()
    run(sys.argv[1], sys.argv[2:])
