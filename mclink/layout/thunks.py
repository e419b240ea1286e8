"""Thunks and veneers: code that the linker adds between input sections while addresses are assigned.

A hook of the address fixed point (layout.address). Places for thunks are made once, when the code turns out to be
larger than a branch reaches; from then on each round serves the branches that are still too far.
"""

from mclink._core import patches
from mclink.context import Run
from mclink.diag import LinkError
from mclink.elf import SHF_ALLOC, SHF_EXECINSTR


def thunk_hook(link):
    """The hook for a link whose target has thunks."""
    from mclink._core.thunks import Thunks
    thunks = link.extra["thunks"] = ThunkMaker(link, Thunks(link.tables))
    return thunks


class ThunkMaker:
    """State of the hook: the core's table, whether its places have been made, and whether there are errata."""

    __slots__ = ("core", "spacing", "align", "placed", "errata")

    def __init__(self, link, core):
        self.core = core
        self.spacing, self.align = core.spacing(link.tables)
        if link.options.stub_group_size and abs(link.options.stub_group_size) > 1:
            self.spacing = min(self.spacing, abs(link.options.stub_group_size))
        self.placed = False
        self.errata = link.target.data.ERRATA(link)

    def __call__(self, link):
        """True when sizes have changed."""
        if not self.placed and not self.is_large(link):
            return False
        addresses = [0] + [section.address for section in link.outputs]
        far = self.core.find_far(addresses)
        sites = patches.find_patches(link.tables, addresses) if self.errata else ()
        if not far and not sites:
            return False
        if not self.placed:
            self.make_places(link)
            return True
        grown = bool(far) and self.core.serve(far, addresses)
        try:
            return bool(sites) and self.core.patch(sites, addresses) or grown
        except OverflowError:
            raise LinkError("an erratum's veneer is too far from its code: a section is larger than a branch "
                            "reaches") from None

    def is_large(self, link):
        """Whether some branch may be too far: the image is larger than what lies between two places, thunks are
        wanted whatever the distance, or code is called at an address that no section has."""
        if link.target.data.THUNKS(link):
            return True
        loaded = [section for section in link.outputs if section.flags & SHF_ALLOC and section.size]
        if not loaded:
            return False
        low = min(section.address for section in loaded)
        return max(section.address + section.size for section in loaded) - low > self.spacing

    def make_places(self, link):
        """Puts an empty fragment for thunks at the end of each code section, and inside where it is long."""
        self.placed = True
        members = link.members
        points = []
        for section in link.outputs:
            if not section.flags & SHF_EXECINSTR or not section.flags & SHF_ALLOC:
                continue
            runs = {item.number: item for item in section.statements if type(item) is Run}
            for run, position in members.cut_points(link.tables, list(runs), self.spacing):
                points.append((run, position, self.core.add_place(run, section.number)))
                runs[run].count += 1
            section.align = max(section.align, self.align)
        members.insert(points)

    def write(self, link, output, out):
        """Writes the thunks of an output section whose bytes stand at address `out`."""
        from mclink._core import thunks
        thunks.write(link.tables, output.number, output.address, out)
