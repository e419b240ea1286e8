"""Third-party modules, for what an ordinary link does without.

The launcher's interpreter is isolated: no folder of installed packages is on its path, so that a plain link
lists none and imports none. A message about an error, or a zstd section, can afford to look for them.
"""

import sys


def load(name):
    """The installed module `name` (dotted names too), imported now; None when it is not installed or broken."""
    try:
        return _load(name)
    except ImportError:
        pass
    _add_folders()
    try:
        return _load(name)
    except Exception:  # a broken package must not break the report of an error
        return None


def _load(name):
    __import__(name)
    return sys.modules[name]


def _add_folders():
    """Puts the folders of installed packages behind the standard library on sys.path, once."""
    import mclink
    import site
    here = mclink.__path__[0].rpartition("/")[0] or "."
    for folder in [here, *site.getsitepackages(), *site.getsitepackages(list(_environments()))]:
        if folder not in sys.path:
            sys.path.append(folder)


def _environments():
    """Folders of the virtual environment whose python runs, when it is one: -S leaves it unnoticed."""
    folder = sys.executable.rpartition("/")[0].rpartition("/")[0]
    if folder:
        yield folder
