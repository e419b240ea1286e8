"""mclink, an ELF linker.

    import mclink
    status = mclink.link(["-o", "a.out", "crt1.o", "main.o", "-lc"])

`link(argv)` does what the program ``ld.mclink`` does with the same words and returns its exit
status; messages go to sys.stderr. `Link` is one link whose phases can be run one by one; it keeps
no state outside itself. Importing this module imports nothing else.

    link = mclink.Link(["-o", "a.out", "crt1.o", "main.o", "-lc"])
    link.run("graph")       # inputs, then graph; look at it, then
    link.run()              # layout and output
"""

__version__ = "0.1.0"
__all__ = ("Link", "link")


def link(argv):
    """Link as ``ld.mclink argv...`` would; the exit status, 0 or 1."""
    from mclink.driver import main
    return main(["ld.mclink", *argv])


def __getattr__(name):
    if name == "Link":
        from mclink.api import Link
        return Link
    raise AttributeError(f"module 'mclink' has no attribute {name!r}")
