"""Phase 2: link-time optimisation, through the compiler's plugin (mclink._core.plugin).

The walk over the inputs meets files of compiler IR. The plugin lists their symbols, and the walk resolves these like
those of machine code. When it is over, the plugin learns what became of them and compiles the IR; then the inputs are
opened and walked once more with its objects in front of the first file of IR, and the IR left out.
"""

from mclink._core import files


def claim_inputs(link, intermediate):
    """Gives files of IR to the plugin. intermediate: (file id, holds machine code too) pairs.

    Machine code beside the IR is linked when no plugin takes the IR; without either the file is an error."""
    if link.lto is None and link.options.plugins:
        from mclink.lto_plugin import Lto
        link.lto = Lto(link)
    for file, has_code in intermediate:
        if link.lto is not None and link.lto.claim(link, file):
            continue
        if not has_code:
            hint = ("the plugin of -plugin does not take it; is it another compiler's?" if link.lto is not None else
                    "name the compiler's plugin with -plugin, as gcc and clang do when they link;")
            link.diag.report("lto-object", hint, "or compile without -flto, or with -ffat-lto-objects",
                             file=files.file_name(link.tables, file))
