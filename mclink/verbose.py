"""--verbose: the linker script in force, as GNU ld prints it."""

import sys

LINE = "=" * 50


def print_script(link, stream=None):
    """Prints the version, the emulations and the script that a link with these options would use.

    Returns True when there is nothing to link besides. Source: GNU ld manual, --verbose. Raises LinkError."""
    from mclink import target
    from mclink.options import help as words
    out = stream or sys.stdout
    options = link.options
    if not options.print_version:
        out.write(words.version_line(options.program) + "\n")
    if options.print_version < 2:
        out.write("  Supported emulations:\n" + "".join(f"   {name}\n" for name in words.EMULATIONS))
    if options.scripts:
        for path in options.scripts:
            out.write(f"using external linker script: {path}\n{LINE}\n{read(path)}\n{LINE}\n")
    else:
        from mclink.inputs.load import choose_target_early, script_variant
        from mclink.target.default_script import script_text
        chosen = link.target
        choose_target_early(link)
        if link.target is None:
            link.target = target.load(next(iter(words.EMULATIONS)))
        out.write(f"using internal linker script:\n{LINE}\n{script_text(link.target.style, script_variant(link))}\n"
                  f"\n{LINE}\n")
        link.target = chosen
    out.flush()
    return not options.tree.children


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""
