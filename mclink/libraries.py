"""Libraries of others, imported when they are needed: a plain link needs none.

The launcher starts without site-packages on sys.path (see mclink/_launcher/boot.py); this adds it then.
"""

import sys

from mclink.diag import LinkError


def library(name, purpose):
    """Imports a third-party module (dotted name). LinkError when it is not installed; `purpose` says what for."""
    try:
        return load(name)
    except ImportError:
        pass
    release = "%d.%d" % sys.version_info[:2]
    package = __file__.rpartition("/mclink/")[0]
    for folder in (package, f"{sys.prefix}/lib/python{release}/site-packages",
                   f"{sys.prefix}/local/lib/python{release}/dist-packages", f"{sys.prefix}/lib/python3/dist-packages"):
        if folder not in sys.path:
            sys.path.append(folder)
    try:
        return load(name)
    except ImportError:
        raise LinkError(f"the Python package {name.partition('.')[0]} is not installed; it is needed for {purpose}\n"
                        f">>> install it with: pip install {name.partition('.')[0]}") from None


def load(name):
    __import__(name)
    return sys.modules[name]
