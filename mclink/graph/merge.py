"""Merging of equal strings and constants (gABI, SHF_MERGE)."""

from mclink._core import merge
from mclink.diag import LinkError


def merge_sections(link):
    """merge strings and constants

    Leaves `MergeGroup` and `MergeInput` rows, the piece columns, and carriers of their final size; see
    `mclink/_core/merge.pyx` for which sections take part. `-r` merges nothing, like GNU ld: the
    final link will. From `-O2` on a string may also lie in the tail of a longer one."""
    if link.options.relocatable:
        return
    try:
        merge.merge_sections(link.tables, link.options.optimize >= 2)
    except OverflowError as error:
        raise LinkError(str(error)) from None
