"""python -m mclink: the linker, for work inside the source tree."""

import sys

from mclink.driver import main

if __name__ == "__main__":
    sys.exit(main(["ld.mclink", *sys.argv[1:]]))
