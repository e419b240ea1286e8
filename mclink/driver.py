"""The order of the passes, and the only place that knows it."""

import sys

from mclink import faults
from mclink.clock import Clock
from mclink.context import Link
from mclink.diag import Diagnostics, LinkError
from mclink.options import parse, run_action
from mclink.inputs.load import open_inputs
from mclink.graph.resolve import walk_inputs
from mclink.graph.load import load_sections
from mclink.graph.reports import report_walk
from mclink.graph.synthetic import make_synthetic
from mclink.graph.define import define_symbols
from mclink.graph.versions import assign_versions
from mclink.graph.rules import match_sections
from mclink.graph.eh_frame import read_eh_frames, share_cies
from mclink.graph.gc import collect_garbage, drop_records
from mclink.graph.merge import merge_sections
from mclink.layout.bind import bind_symbols
from mclink.layout.scan import scan_relocations
from mclink.layout.slots import allocate_slots
from mclink.layout.sections import create_outputs
from mclink.layout.dynamic import size_dynamic
from mclink.layout.address import assign_addresses
from mclink.layout.values import compute_values
from mclink.layout.checks import check_segments
from mclink.output.write import write_output
from mclink.output.reports import write_reports


def compile_inputs(link):
    """Compile IR"""
    if link.lto is None:
        return
    try:
        if link.lto.compile(link):
            open_inputs(link)
            walk_inputs(link)
    finally:
        link.lto.plugin.clean_up()


# (phase, passes in order). Each pass is verb_noun(link); the comments say why it stands where it stands.
PIPELINE = (
    ("inputs", (
        open_inputs,        # everything the command line names is mapped; the target is known
    )),
    ("graph", (
        walk_inputs,        # which files are live and which definition each name has; no new files from here
        compile_inputs,     # after the walk, which says what the compiler's IR is needed for; opens and walks anew
        load_sections,      # live files only, so it comes after the walk; no new input sections from here
        report_walk,        # -t, -y and their like: said though the link may fail
        make_synthetic,     # before rules are matched: scripts place .got and .plt like any input section
        define_symbols,     # before binding and gc ask whether a name is defined; no new names from here
        assign_versions,    # exported names are roots of gc
        match_sections,     # KEEP and /DISCARD/ decide what gc may drop
        read_eh_frames,     # FDEs are edges of the graph
        collect_garbage,
        drop_records,       # sections lose what only dead code needs; no offset in an input changes from here
        merge_sections,     # live sections only
        share_cies,         # after gc: FDEs of dead functions go
    )),
    ("layout", (
        bind_symbols,       # import or local: what the scan's decision table asks
        scan_relocations,   # needs of every symbol; no verdict changes but by the address fixed point
        allocate_slots,     # GOT, PLT, copies: sizes of the linker's sections
        create_outputs,     # after sizes: empty sections are dropped here
        size_dynamic,       # .dynamic depends on which output sections exist
        assign_addresses,
        compute_values,     # every symbol's S; nothing moves from here
        check_segments,
    )),
    ("output", (
        write_output,
        write_reports,      # map, cross reference, dependency file, statistics
    )),
)


def prepare_link(link, argv):
    """Makes a fresh Link ready for its first phase; argv[0] is the program's name. Raises LinkError."""
    link.clock = Clock()
    link.options = parse(argv[1:], argv[0] if argv else "ld.mclink")
    link.diag = Diagnostics(link.options)
    link.tree = link.options.tree
    if link.options.time_trace is not None:
        from mclink._core.parallel import start_trace
        start_trace()


def run_phase(link, name):
    """Runs the passes of one phase. Raises LinkError."""
    for phase, passes in PIPELINE:
        if phase == name:
            for function in passes:
                link.clock.run(function, link)
                faults.check(link)


def run_link(link):
    """Runs all phases. Raises LinkError."""
    for phase, _ in PIPELINE:
        run_phase(link, phase)


def main(argv):
    """One link as a program: messages on stderr; returns the exit status, 0 or 1."""
    link = Link()
    try:
        prepare_link(link, argv)
        status = run_action(link.options)
        if status is not None:
            return status
        if link.options.verbose:
            from mclink.verbose import print_script
            if print_script(link):
                return 0
        run_link(link)
        return 0
    except LinkError as error:
        if link.diag is None:
            link.diag = Diagnostics()
        link.diag.fatal(error)
    except MemoryError:
        sys.stderr.write("ld.mclink: error: out of memory\n")
    except KeyboardInterrupt:
        sys.stderr.write("ld.mclink: interrupted\n")
    except BrokenPipeError:
        pass
    except RecursionError:
        sys.stderr.write("ld.mclink: error: expressions or groups are nested too deeply\n")
    return 1
