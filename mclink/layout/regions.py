"""Memory regions (GNU ld manual, node "MEMORY")."""

from mclink.elf import SHF_ALLOC, SHF_EXECINSTR, SHF_TLS, SHF_WRITE, SHT_NOBITS
from mclink.script.evaluate import absolute_value


class Region:
    """One region. The default one has no end and its start follows the location counter."""

    __slots__ = ("name", "origin", "length", "current", "last", "attributes", "inverted", "pos", "overflow",
                 "bounds", "used")

    def __init__(self, name, pos, attributes="", inverted=""):
        self.name = name            # None for the default region
        self.pos = pos
        self.attributes = attributes
        self.inverted = inverted
        self.origin = 0
        self.length = None          # bytes; None for the default region
        self.current = 0            # where its next section goes
        self.last = None            # last section from which the next one takes its distance to the LMA
        self.overflow = None        # (section, bytes) of the first section that did not fit
        self.bounds = 0, 0          # expressions of its origin and length
        self.used = 0               # bytes from its origin to the end of what it holds, once the layout is done

    def move(self, dot, section=None, start=0):
        """What is in the region now ends at `dot`, because of `section`, which begins at `start`."""
        self.current = dot
        if self.length is not None and section is not None:
            excess = dot - (self.origin + self.length)
            if (excess > 0 or start < self.origin) and self.overflow is None:
                self.overflow = section


class Regions:
    """The regions of a link and the default one."""

    __slots__ = ("default", "by_name", "in_order", "aliases", "sources", "engine", "homeless")

    def __init__(self, link, engine):
        plan = link.plan
        self.default = Region(None, 0)
        self.engine = engine
        engine.regions = self
        self.sources = link.sources
        self.by_name = {}
        self.in_order = []
        self.homeless = []          # allocated sections that no region takes
        for name, pos, attributes, inverted, origin, length in plan.memory:
            region = Region(name, pos, attributes, inverted)
            region.bounds = origin or 0, length or 0
            self.by_name[name] = region
            self.in_order.append(region)
        for alias, (pos, name) in plan.aliases.items():
            if name not in self.by_name:
                self.sources.fail(pos, f"undefined memory region '{name}'")
            self.by_name[alias] = self.by_name[name]

    def reset(self):
        engine = self.engine
        for region in self.in_order:
            # The bounds may be made of symbols, which the walk before may have changed.
            region.origin = absolute_value(region.bounds[0], engine)
            region.length = absolute_value(region.bounds[1], engine)
            region.current = region.origin
            region.last = None
            region.overflow = None
        self.default.current = 0
        self.default.last = None
        self.homeless = []

    def bounds(self, name):
        region = self.by_name.get(name)
        return None if region is None else (region.origin, region.length)

    def find(self, name, pos):
        region = self.by_name.get(name)
        if region is None:
            self.sources.fail(pos, f"memory region '{name}' not declared")
        return region

    def choose(self, section, explicit):
        """The region of a section: >region, else without an address the first whose attributes fit."""
        if section.region is not None:
            return self.find(section.region, section.definition[1] if section.definition is not None else 0)
        if explicit or not self.in_order or not section.flags & SHF_ALLOC:
            return self.default
        traits = {"a"}
        traits.add("w" if section.flags & SHF_WRITE else "r")
        if section.flags & SHF_EXECINSTR:
            traits.add("x")
            traits.discard("w")
        if section.type != SHT_NOBITS:
            traits.update("il")
        for region in self.in_order:
            if traits & set(region.attributes) and not traits & set(region.inverted):
                return region
        if section.number and not (section.type == SHT_NOBITS and section.flags & SHF_TLS):
            self.homeless.append(section)
        return self.default

    def check(self, link):
        """Errors for sections without a region, and for regions that overflowed: the first section that did not
        fit, and by how much."""
        if not link.options.relocatable:
            for section in self.homeless:
                link.diag.error(f"no memory region specified for loadable section '{section.name}'")
        for region in self.in_order:
            region.used = max(region.current - region.origin, 0)
            if region.overflow is None:
                continue
            section = region.overflow
            link.diag.error(f"section '{section.name}' will not fit in region '{region.name}'")
            excess = region.used - region.length
            if excess > 0:
                link.diag.error(f"region '{region.name}' overflowed by {excess} byte{'s' if excess != 1 else ''}")
