"""What the launcher runs: the driver, with nothing between it and the interpreter.

`python -I -S` has no site-packages on sys.path and needs none: the package is loaded from the
folder that the launcher found, so that no foreign module can be imported and no folder full of
foreign modules is listed.
"""

import posix
import sys
from _frozen_importlib import _load
from _frozen_importlib_external import spec_from_file_location


def run(package, argv):
    """Link and leave the process. `package` is the folder mclink, `argv` the whole command line."""
    _load(spec_from_file_location("mclink", package + "/__init__.py",
                                  submodule_search_locations=[package]))
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
