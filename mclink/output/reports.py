"""Phase 3: what is written besides the output: map, cross reference, dependency file, statistics."""

import sys


def write_reports(link):
    """Write reports"""
    options = link.options
    if options.map_file is not None or options.print_map or options.cref:
        from mclink.output.map_file import write_map
        write_map(link)
    if options.stats:
        from mclink.clock import print_stats
        print_stats(link, sys.stdout)
    if options.time_trace is not None:
        from mclink.clock import write_trace
        write_trace(link, options.time_trace or options.output + ".time-trace")
