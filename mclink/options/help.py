"""What the linker says about itself and its options; imported only when asked."""

import posix
import sys

from mclink import __version__
from mclink.diag import LinkError
from mclink.options.table import load_all
from mclink.target import EMULATIONS, FORMATS

# Emulations and BFD names of the formats that can be linked, in the order of --help and -V: rows of the registry.

# Configure scripts read the release of GNU ld whose behaviour is offered from the first line.
COMPATIBLE = "2.40"


def run(options, stream=None):
    """See `mclink.options.run_action`."""
    out = stream or sys.stdout
    action = options.action
    if action == "help":
        out.write(help_text(options.program))
        return 0
    if action == "target-help":
        out.write(target_help_text())
        return 0
    if action == "version":
        out.write(version_text(options.program))
        return 0
    if action == "print-gcc-dir":
        out.write(gcc_folder() + "\n")
        return 0
    if action == "print-output-format":
        chosen = (name for name, emulation in FORMATS.items() if emulation == options.emulation)
        out.write((options.oformat or next(chosen, next(iter(FORMATS)))) + "\n")
        return 0
    if action == "print-sysroot":
        out.write(options.sysroot + "\n")
        return 0
    if action == "explain":
        out.write(explain_text(options))
        return 0
    if options.print_version:
        out.write(version_line(options.program) + "\n")
        if options.print_version > 1:
            out.write("  Supported emulations:\n" + "".join(f"   {name}\n" for name in EMULATIONS))
        out.flush()
    if options.tree.children or options.verbose:
        return None
    if options.print_version:
        return 0
    raise LinkError("no input files")


# -- version

def version_line(program):
    """First line of --version and all of -v.

    Its form is what the world's configure scripts look for: libtool and autoconf want "GNU", and
    no " 0." or " 1." anywhere (they would take it for a release before anonymous versions);
    Linux's ld-version.sh wants "GNU ld" in front and the release as the last word, as gcc's and
    glibc's configure do; meson takes the first number that it finds.

    Called as ld.gold or ld.lld the line is that linker's, for builds that insist on one. The
    variable MCLINK_VERSION_LINE in the environment replaces it altogether.
    """
    said = posix.environ.get(b"MCLINK_VERSION_LINE")
    if said:
        return said.decode("utf-8", "surrogateescape")
    base = program.rpartition("/")[2]
    if base.endswith("ld.gold"):
        return f"GNU gold (mclink; compatible with GNU Binutils {COMPATIBLE}) 1.16"
    if base.endswith("ld.lld"):
        return "LLD 19.1.7 (mclink; compatible with GNU linkers)"
    return f"GNU ld (mclink; compatible with GNU Binutils) {COMPATIBLE}"


def version_text(program):
    """All of --version."""
    return (f"{version_line(program)}\n"
            f"This is mclink/{__version__}, an ELF linker written in Python and Cython.\n"
            "Copyright (C) 2026 The mclink authors\n"
            "This program is free software under the BSD 2-Clause licence. It has no warranty.\n")


def gcc_folder():
    """The folder whose `ld` is this linker, for gcc's -B and clang's --ld-path=DIR/ld."""
    package = __file__.rpartition("/options/")[0]
    if package[:1] != "/":
        package = posix.getcwd() + "/" + package
    folder = package + "/_launcher/gcc"
    try:
        posix.stat(folder + "/ld")
    except OSError:
        raise LinkError(f"{folder}/ld does not exist: the package was not built") from None
    return folder


# -- help

def help_text(program):
    """All of --help. Libtool looks for "supported targets:" and an elf name behind it."""
    base = program.rpartition("/")[2] or "ld.mclink"
    rows = [row for row in load_all() if row[5][:1] not in ("-", "@", "!")]
    idle = [row for row in load_all() if row[5][:1] == "-"]
    from mclink.options.zwords import ZWORDS
    parts = [f"Usage: {base} [options] file...\n", "Options:\n"]
    parts.extend(_entry(option_form(row), _remark(row)) for row in rows)
    parts.append(_entry("@FILE", "Read options from FILE"))
    parts.append("Keywords of -z:\n")
    parts.extend(_entry(f"-z {row[0]}{row[1]}", _remark(row)) for row in ZWORDS if row[5][:1] != "-")
    parts.append("Options of single targets:\n")
    parts.extend(_entry(option_form(row), _remark(row)) for row in load_all() if row[5][:1] == "@")
    parts.append("Accepted without effect (--explain-options says why):\n")
    parts.extend(_wrap(", ".join(row[0].split()[-1] for row in idle), "  "))
    parts.append(f"{base}: supported targets: {' '.join(FORMATS)}\n")
    parts.append(f"{base}: supported emulations: {' '.join(EMULATIONS)}\n")
    return "".join(parts)


def target_help_text():
    """All of --target-help."""
    from mclink.options.zwords import ZWORDS
    rows = [(option_form(row), row) for row in load_all() if row[5][:1] == "@"]
    rows += [(f"-z {row[0]}{row[1]}", row) for row in ZWORDS if row[5][:1] == "@"]
    names = sorted({name for _, row in rows for name in row[5][1:].split(",")})
    parts = []
    for name in names:
        parts.append(f"{name}:\n")
        parts.extend(_entry(form, row[6]) for form, row in rows if name in row[5][1:].split(","))
    return "".join(parts)


def option_form(row):
    """The spellings of `row` with the argument: -o FILE, --output FILE."""
    argument = row[1]
    forms = []
    for name in row[0].split():
        if not argument:
            forms.append(name)
        elif argument[0] == "[":
            forms.append(f"{name}{argument}" if len(name) == 2 else f"{name}[={argument[1:]}")
        elif len(name) > 2 and name.startswith("--"):
            forms.append(f"{name}={argument}")
        else:
            forms.append(f"{name} {argument}")
    return ", ".join(forms)


def _remark(row):
    effect = row[5]
    if effect == "~":
        return row[6] + " [accepted, not acted on yet]"
    if effect[:1] == "@":
        return f"{row[6]} [{effect[1:]}]"
    return row[6]


def _entry(form, text):
    if len(form) > 26:
        return f"  {form}\n{' ' * 30}{text}\n"
    return f"  {form:<28}{text}\n"


def _wrap(text, margin, width=78):
    line = margin
    for word in text.split():
        if len(line) + len(word) > width and line != margin:
            yield line.rstrip() + "\n"
            line = margin
        line += word + " "
    yield line.rstrip() + "\n"


# -- --explain-options

def explain_text(options):
    """What each option of the command line does, one paragraph each, and a count."""
    parts = []
    idle = 0
    for word, row, argument in options.given:
        effect = row[5]
        form = word if argument is None or word.endswith(argument) else f"{word} {argument}"
        parts.append(f"{form}\n    {row[6]}\n")
        if word == "-z":
            parts.append("    No effect: no such keyword.\n")
            idle += 1
        elif effect[:1] == "-":
            parts.append(f"    No effect: {effect[1:]}.\n")
            idle += 1
        elif effect == "~":
            parts.append("    No effect: this version does not act on it yet.\n")
            idle += 1
        elif effect[:1] == "@":
            parts.append(f"    Only for these targets: {effect[1:].replace(',', ', ')}.\n")
    parts.append(f"{len(options.given)} options, {idle} without effect\n")
    return "".join(parts)


# -- unknown options

def nearest_option(word, index):
    """The known spelling most like `word`, or None when none is near.

    `index` is the parser's, name without dashes -> row.
    """
    name = word.lstrip("-").partition("=")[0]
    best, best_distance = None, max(1, len(name) // 3) + 1
    for key in index:
        if key[:1] == "-" or abs(len(key) - len(name)) >= best_distance:
            continue
        distance = edit_distance(name, key, best_distance)
        if distance < best_distance:
            best, best_distance = key, distance
    if best is None:
        return None
    for spelling in index[best][0].split():
        if spelling.lstrip("-") == best:
            return spelling
    return None


def edit_distance(left, right, limit):
    """How many letters to insert, delete, replace or swap with a neighbour; at most `limit`."""
    before, row = None, list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        new = [i]
        for j, b in enumerate(right, 1):
            cost = min(row[j] + 1, new[j - 1] + 1, row[j - 1] + (a != b))
            if before and i > 1 and j > 1 and a == right[j - 2] and b == left[i - 2]:
                cost = min(cost, before[j - 2] + 1)
            new.append(cost)
        if min(new) >= limit:
            return limit
        before, row = row, new
    return row[-1]
