"""Where the time of a link goes: one clock for --stats, --time-trace and the bench."""

from time import perf_counter_ns, process_time_ns


class Clock:
    """Durations of the passes, in order.

    rows: list of (label, start ns, wall ns, CPU ns of the process); start counts from the clock's making.
    counts: dict, name -> number, filled by passes for --stats.
    """

    __slots__ = ("origin", "rows", "counts")

    def __init__(self):
        self.origin = perf_counter_ns()
        self.rows = []
        self.counts = {}

    def run(self, function, link):
        """Runs a pass and notes how long it took."""
        start = perf_counter_ns()
        cpu = process_time_ns()
        try:
            function(link)
        finally:
            self.rows.append((label(function), start - self.origin, perf_counter_ns() - start,
                              process_time_ns() - cpu))

    def total(self):
        """ns since the clock was made."""
        return perf_counter_ns() - self.origin


def label(function):
    """The label of a pass: the first line of its docstring, its name when docstrings are stripped."""
    text = (function.__doc__ or function.__name__).split("\n", 1)[0]
    return text.partition(":")[0].rstrip(".").lower()


def print_stats(link, stream):
    """--stats: a line a pass with wall and CPU milliseconds, then counts."""
    clock = link.clock
    stream.write("ms wall  ms CPU  pass\n")
    for name, _, wall, cpu in clock.rows:
        stream.write(f"{wall / 1e6:7.2f} {cpu / 1e6:7.2f}  {name}\n")
    stream.write(f"{clock.total() / 1e6:7.2f}          total\n")
    for name, number in clock.counts.items():
        stream.write(f"{number:>15}  {name}\n")


def write_trace(link, path):
    """--time-trace: the passes in Chrome's trace format (one complete event each)."""
    import json
    events = [{"name": "process_name", "ph": "M", "pid": 1, "tid": 0, "args": {"name": "mclink"}}]
    for name, start, wall, cpu in link.clock.rows:
        events.append({"name": name, "ph": "X", "pid": 1, "tid": 0, "ts": start / 1000, "dur": wall / 1000,
                       "args": {"cpu_ms": cpu / 1e6}})
    with open(path, "w") as stream:
        json.dump({"traceEvents": events, "otherData": {"counts": link.clock.counts}}, stream)
        stream.write("\n")
