"""docs/options.md, made from the table: python -m mclink.options.manual > docs/options.md"""

import sys

from mclink.options.help import option_form
from mclink.options.ignored import IGNORED, PREFIXES
from mclink.options.more import MORE
from mclink.options.reports import REPORTS
from mclink.options.table import COMMON
from mclink.options.targets import TARGETS
from mclink.options.zwords import ZWORDS

_CHAPTERS = (
    ("What compiler drivers pass", COMMON),
    ("Output, symbols, scripts and sections", MORE),
    ("Messages, reports and resources", REPORTS),
    ("Single targets", TARGETS),
    ("Accepted for other linkers' sake", IGNORED),
)

_HEAD = """# Options

Made from the table in `mclink/options` by `python -m mclink.options.manual`; do not edit.

Names longer than one letter are accepted with one dash and with two, except that those that begin
with `o` need two (`-omagic` is `-o magic`). Their value is joined by `=` or is the next word; a value
in brackets can be joined only. The value of a one-letter option may be joined (`-Lx`). A long name
with two dashes may be cut short as long as it stays unambiguous. `@FILE` stands for the words in
FILE, with GNU quoting. An unknown `-z` keyword is a warning, an unknown option an error.

`--version` begins with `GNU ld (mclink; compatible with GNU Binutils) 2.40`, the form that configure
scripts look for; called as `ld.gold` or `ld.lld` it is that linker's. `MCLINK_VERSION_LINE` in the
environment replaces the line. `LDEMULATION` stands in for `-m`, `LD_RUN_PATH` for `-rpath`.

The last column says *yes* when the option has effect, names the targets for which it has, or says why
it has none; *not yet* marks what is understood and not acted on by this version. `--explain-options`
tells the same of the options of one command line.
"""


def manual_text():
    """The text of docs/options.md."""
    parts = [_HEAD]
    for title, rows in _CHAPTERS:
        parts.append(f"\n## {title}\n\n| option | meaning | effect |\n|---|---|---|\n")
        parts.extend(_line(option_form(row), row) for row in rows)
        if rows is IGNORED:
            parts.extend(_line(option_form(row), row) for _, row in PREFIXES)
    parts.append("\n## Keywords of -z\n\n| keyword | meaning | effect |\n|---|---|---|\n")
    parts.extend(_line(f"-z {row[0]}{row[1]}", row) for row in ZWORDS)
    return "".join(parts)


def _line(form, row):
    effect = row[5]
    if effect == "":
        said = "yes"
    elif effect == "~":
        said = "not yet"
    elif effect[0] == "@":
        said = effect[1:].replace(",", ", ")
    elif effect[0] == "!":
        said = "refused: " + effect[1:]
    else:
        said = "none: " + effect[1:]
    cells = [f"`{form}`", row[6], said]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    sys.stdout.write(manual_text())
