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
    """--time-trace: Chrome's trace format, an event for each pass and one for each thread in a parallel region.

    Row 0 shows the passes, row 1 + i what thread i did within them; `serial_ms` of a pass is the time in which no
    more than one thread could work."""
    import json
    from mclink._core.parallel import take_trace
    clock = link.clock
    events = [{"name": "process_name", "ph": "M", "pid": 1, "tid": 0, "args": {"name": "mclink"}}]
    spans = sorted((start - clock.origin, end - clock.origin, units, thread)
                   for start, end, units, thread in take_trace())
    row = 0
    for name, start, wall, cpu in clock.rows:
        covered, done = 0, start
        while row < len(spans) and spans[row][0] < start + wall:
            begin, end, units, thread = spans[row]
            events.append({"name": name, "ph": "X", "pid": 1, "tid": 1 + thread, "ts": begin / 1000,
                           "dur": (end - begin) / 1000, "args": {"units": units}})
            covered += max(end - max(begin, done), 0)
            done = max(done, end)
            row += 1
        events.append({"name": name, "ph": "X", "pid": 1, "tid": 0, "ts": start / 1000, "dur": wall / 1000,
                       "args": {"cpu_ms": cpu / 1e6, "serial_ms": (wall - covered) / 1e6}})
    with open(path, "w") as stream:
        json.dump({"traceEvents": events, "otherData": {"counts": link.clock.counts}}, stream)
        stream.write("\n")
