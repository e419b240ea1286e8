"""Unwind tables: .eh_frame read, pruned and shared (LSB Core, "Exception Frames")."""

from mclink._core import ehframe, ehhdr
from mclink.diag import LinkError


def read_eh_frames(link):
    """read unwind tables

    Leaves `EhInput`, `Cie` and `Fde` rows. An FDE leads from its function to the LSDA and personality routine that
    it names, which garbage collection follows; nothing leads to the function. Damaged sections are
    recorded as faults."""
    try:
        ehframe.read_eh_frames(link.tables)
    except OverflowError as error:
        raise LinkError(str(error)) from None


def share_cies(link):
    """share unwind records

    Drops the FDEs of functions that are not live, keeps one of equal CIEs, and sizes the .eh_frame fragments and
    .eh_frame_hdr. `-r` leaves the sections as they are."""
    ehframe.share_cies(link.tables)
    if not link.options.relocatable:
        ehhdr.size_hdr(link.tables)
