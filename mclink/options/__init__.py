"""The command line: `parse` makes an `Options`, `run_action` answers --help and its like.

    options = parse(argv[1:], argv[0])
    status = run_action(options)        # int: leave with it; None: link

The table of all options is `mclink.options.table`; the attributes are documented in
`mclink.options.defaults`.
"""

from mclink.options.parser import parse

__all__ = ("parse", "run_action")


def run_action(options, stream=None):
    """Print what --help, --version, -v, --explain-options and their like ask for.

    `stream` is a text file, sys.stdout when None. Returns the exit status to leave with, or None
    when there is something to link. Raises LinkError when there is not.
    """
    if options.action == "link" and not options.print_version:
        if options.tree.children:
            return None
        if not options.verbose:
            from mclink.diag import LinkError
            raise LinkError("no input files")
    from mclink.options.help import run
    return run(options, stream)
