"""Phase 3: warnings about the finished layout."""

from mclink.elf import PF_R, PF_W, PF_X, PT_LOAD, PT_TLS


def check_segments(link):
    """Check segments: GNU ld's warnings about memory that is writable and executable"""
    options = link.options
    if options.relocatable or options.warn_rwx_segments is False:
        return
    if link.plan.phdrs is not None and not options.warn_rwx_segments:
        return
    for segment in link.segments:
        if segment.type == PT_LOAD and segment.size and segment.flags & 7 == PF_R | PF_W | PF_X:
            link.diag.warn(f"{options.output} has a LOAD segment with RWX permissions")
        elif segment.type == PT_TLS and segment.flags & PF_X:
            link.diag.warn(f"{options.output} has a TLS segment with execute permission")
