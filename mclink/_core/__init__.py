"""The counting half of mclink: columns of C data and the loops over them.

Nothing in here imports ``mclink`` outside ``mclink._core``; ``docs/design.md`` gives the levels.

The program behind `ld` has all modules inside. For other interpreters the build links their objects into one
extension file, because opening thirty costs more than a small link. A module comes from there unless it has
a newer file of its own.
"""

import _imp
import posix
import sys
from _frozen_importlib import ModuleSpec

_FOLDER = __path__[0]
_SUFFIX = _imp.extension_suffixes()[0]
_COMBINED = _FOLDER + "/combined" + _SUFFIX


class _Combined:
    """Finder and loader of the modules in the combined file."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if not name.startswith("mclink._core.") or name in _PACKAGES:
            return None
        try:
            own = posix.stat(_FOLDER + name[12:].replace(".", "/") + _SUFFIX)
            if own.st_mtime_ns > _TIME:
                return None
        except OSError:
            pass
        return ModuleSpec(name, _Combined, origin=_COMBINED)

    @staticmethod
    def create_module(spec):
        return _imp.create_dynamic(spec)

    @staticmethod
    def exec_module(module):
        _imp.exec_dynamic(module)


_PACKAGES = ("mclink._core.arch",)
if not _imp.is_builtin("mclink._core.tables"):
    try:
        _TIME = posix.stat(_COMBINED).st_mtime_ns
        sys.meta_path.insert(0, _Combined)
    except OSError:
        pass
