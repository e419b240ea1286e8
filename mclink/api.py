"""The public API: one link, run phase by phase."""

from mclink import driver
from mclink.context import Link as State


class Link(State):
    """One link. `argv` are the words behind `ld.mclink` (list of str).

    `run()` does all that is left; `run("graph")` runs up to and including that phase. The phases are `PHASES`, in
    order. What they leave behind are the attributes that mclink.context documents; columns of the core are
    reached through the functions of mclink._core.symbols, load and files. Raises mclink.diag.LinkError, after
    which the link cannot go on; what was said is in `diag.messages`.

    A Link keeps no state outside itself, so several can be alive in one process.
    """

    __slots__ = ("done",)       # number of phases that have run

    PHASES = tuple(name for name, _ in driver.PIPELINE)

    def __init__(self, argv):
        super().__init__()
        self.done = 0
        driver.prepare_link(self, ["ld.mclink", *argv])

    def run(self, phase="output"):
        """Runs the phases up to and including `phase`; those that have run are not run again.

        Raises ValueError for a name that is no phase, LinkError when the link fails."""
        if phase not in self.PHASES:
            raise ValueError(f"no phase {phase!r}; the phases are {', '.join(self.PHASES)}")
        while self.done <= self.PHASES.index(phase):
            name = self.PHASES[self.done]
            self.done = len(self.PHASES) + 1        # a phase that fails leaves nothing to go on with
            driver.run_phase(self, name)
            self.done = self.PHASES.index(name) + 1
