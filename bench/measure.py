"""Measuring: every linker in turn, round after round, through the small `probe` program.

A round links one case once with each contender; the order is turned by one place each round, so
that nobody always follows the same neighbour.  Ratios are taken inside a round (both links saw
the same machine) and their median is reported.  A first round is not counted: it warms the file
cache, shows who cannot link the case and has the output checked.
"""

import json
import os
import statistics
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
LONGEST_LINE = 60000  # bytes of arguments beyond which a response file is used

# A contender that needs over SLOW_TIMES the fastest one's wall time in the first round, and over
# SLOW_SECONDS, is measured in SLOW_ROUNDS rounds only.
SLOW_TIMES = 8
SLOW_SECONDS = 5
SLOW_ROUNDS = 2


class Contender:
    """Somebody who runs in a round: a linker at a thread count, or a floor.

    name     what the tables call it
    command  function of the output path that gives the words to run
    output   where it writes, or None
    linker   False for a floor, which takes no part in the ratios
    fresh    whether its output is removed after every run; None leaves that to the options
    """

    __slots__ = ("name", "command", "output", "linker", "fresh")

    def __init__(self, name, command, output, linker=True, fresh=None):
        self.name = name
        self.command = command
        self.output = output
        self.linker = linker
        self.fresh = fresh


def build_probe(work):
    """Compile probe.c into the work folder; returns the program's path."""
    program = os.path.join(work, "probe")
    source = os.path.join(HERE, "probe.c")
    if not os.path.exists(program) or os.path.getmtime(program) < os.path.getmtime(source):
        subprocess.run(["gcc", "-O2", source, "-o", program], check=True)
    return program


def run_probe(probe, command, log, limit):
    """Run `command` under the probe and return its figures, a dict; None past `limit` seconds.

    Figures: ``status`` (exit status, or minus a signal), ``wall``, ``user``, ``system`` in
    seconds, ``peak`` in bytes, ``minor_faults``, ``major_faults``, and ``strangers``: seconds of
    processor time that others used meanwhile (clock ticks, so 0.01 s coarse).
    """
    reader, writer = os.pipe()
    with open(log, "wb") as words, os.fdopen(reader) as answer:
        child = subprocess.Popen([probe, "run", str(writer), *command], stdin=subprocess.DEVNULL,
                                 stdout=words, stderr=words, pass_fds=(writer,),
                                 start_new_session=True)
        os.close(writer)
        try:
            child.wait(limit)
        except BaseException as stop:  # an interrupted bench leaves no linker behind
            os.killpg(child.pid, 9)
            child.wait()
            if isinstance(stop, subprocess.TimeoutExpired):
                return None
            raise
        line = answer.readline()
    if not line:
        return {"status": child.returncode or 1}
    figures = json.loads(line)
    busy = figures.pop("busy")
    figures["strangers"] = max(0.0, round(busy - figures["user"] - figures["system"], 2))
    return figures


def link_command(peer, case, threads, work):
    """The function of an output path that gives `peer`'s words for `case`."""
    words = case.words
    if sum(map(len, words)) + len(words) > LONGEST_LINE:
        response = os.path.join(work, "responses", case.name + ".rsp")
        os.makedirs(os.path.dirname(response), exist_ok=True)
        with open(response, "w") as file:
            file.write("\n".join(words) + "\n")
        words = ["@" + response]
    extra = peer.arguments(threads)
    command = [case.programs[peer.kind]] if peer.kind in case.programs else peer.command
    return lambda output: [*command, *extra, *words, "-o", output]


def floors(case, probe, work, largest):
    """What no linker can avoid: reading every page of the inputs, writing the output once.

    Writing through a mapping is measured into a new file, whose pages the kernel must find and
    clear, and into an old one, whose pages are still in the cache: a linker that writes a
    temporary file and renames it pays the first, one that links over its output the second.
    `largest` is an output of this case.  The inputs are those named on the line, whole archives
    included; libraries found by ``-l`` are small beside them.
    """
    size = os.path.getsize(largest)
    names = os.path.join(work, "responses", case.name + ".inputs")
    os.makedirs(os.path.dirname(names), exist_ok=True)
    with open(names, "w") as file:
        file.write("".join(path + "\n" for path in case.input_files()))
    place = os.path.join(os.path.dirname(largest), "floor-")

    def fill(out):
        return [probe, "fill", out, str(size)]

    return [
        Contender("(touch inputs)", lambda _out: [probe, "touch", names], None, linker=False),
        Contender("(fill new file)", fill, place + "new", linker=False, fresh=True),
        Contender("(fill old file)", fill, place + "old", linker=False, fresh=False),
        Contender("(cp output)", lambda out: ["cp", "--reflink=never", largest, out],
                  place + "cp", linker=False, fresh=True),
    ]


def remove_output(contender):
    """Remove what `contender` wrote.

    Done right after the run, before the kernel has begun to write the pages back: gigabytes of
    outputs on their way to the disk would slow down whoever runs next.
    """
    if contender.output and os.path.exists(contender.output):
        os.remove(contender.output)


def warm_up(contenders, case, probe, log, limit):
    """The uncounted first round: (those who can, {name: why not}, {name: (wall, size)})."""
    able, unable, firsts = [], {}, {}
    for contender in contenders:
        remove_output(contender)
        figures = run_probe(probe, contender.command(contender.output), log, limit)
        if figures is None:
            unable[contender.name] = f"more than {limit:g} s"
        elif figures["status"] != 0:
            unable[contender.name] = first_line(log) or f"status {figures['status']}"
        else:
            wrong = case.check(contender.output) if contender.linker else ""
            if wrong:
                unable[contender.name] = wrong
            else:
                able.append(contender)
                size = os.path.getsize(contender.output) if contender.output else 0
                firsts[contender.name] = (figures["wall"], size)
    return able, unable, firsts


def busy_ticks():
    """Clock ticks of all processors spent on something since boot (/proc/stat, first line)."""
    with open("/proc/stat") as file:
        user, nice, system, _idle, _wait, irq, soft, steal = map(int, file.readline().split()[1:9])
    return user + nice + system + irq + soft + steal


def wait_for_quiet(seconds):
    """Wait up to `seconds` for a third of a second in which others use less than a quarter of
    one processor; on a shared machine this is worth more than any statistics afterwards."""
    ticks = os.sysconf("SC_CLK_TCK")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        before, start = busy_ticks(), time.monotonic()
        time.sleep(0.33)
        if (busy_ticks() - before) / ticks < 0.25 * (time.monotonic() - start):
            return


def writes_new_file(contender, options):
    """Whether `contender` finds no old output when it runs."""
    return options.fresh if contender.fresh is None else contender.fresh


def slow_ones(firsts):
    """The names of those who took so long that many rounds of them are not worth their time."""
    fastest = min(wall for wall, _size in firsts.values())
    return {name for name, (wall, _size) in firsts.items()
            if wall > SLOW_SECONDS and wall > SLOW_TIMES * fastest}


def first_line(log):
    """The first line of a failed link's words, shortened; of a Python traceback the last."""
    with open(log, errors="replace") as file:
        lines = [line.strip() for line in file if line.strip()]
    if not lines:
        return ""
    return lines[-1 if lines[0].startswith("Traceback") else 0][:200]


def measure_case(case, contenders, probe, work, options):
    """All rounds of one case; returns its record (see `report`), without runs if nobody can link it.

    `options` has ``rounds`` (None: the case's own number), ``fresh`` (remove the output after
    each link), ``limit`` (seconds a link may take), ``quiet`` (seconds to wait for
    a quiet machine before each link) and ``floors``.
    """
    folder = os.path.dirname(contenders[0].output)
    os.makedirs(folder, exist_ok=True)
    log = os.path.join(folder, "log")
    able, unable, firsts = warm_up(contenders, case, probe, log, options.limit)
    if not able:
        return {"name": case.name, "title": case.title, "unable": unable, "runs": {}}
    slow = slow_ones(firsts)
    sizes = {name: size for name, (_wall, size) in firsts.items()}
    if options.floors:
        largest = max(able, key=lambda item: sizes[item.name])
        kept = os.path.join(folder, "largest")
        os.replace(largest.output, kept)
        able += warm_up(floors(case, probe, work, kept), case, probe, log, options.limit)[0]
    for contender in able:
        if writes_new_file(contender, options):
            remove_output(contender)
    runs = {contender.name: [] for contender in able}
    loads = []
    rounds = options.rounds or case.rounds
    for number in range(rounds):
        loads.append(os.getloadavg()[0])
        for place in range(len(able)):
            contender = able[(number + place) % len(able)]
            if contender.name in unable or contender.name in slow and number >= SLOW_ROUNDS:
                continue
            wait_for_quiet(options.quiet)
            figures = run_probe(probe, contender.command(contender.output), log, options.limit)
            if figures is None or figures["status"] != 0:
                why = first_line(log) if figures else f"more than {options.limit:g} s"
                unable[contender.name] = f"{why} (in round {number + 1}, after linking it before)"
                continue
            runs[contender.name].append(figures)
            if writes_new_file(contender, options):
                remove_output(contender)
    for contender in able:
        remove_output(contender)
        if not runs[contender.name]:
            del runs[contender.name]
    if options.floors:
        os.remove(kept)
    return {
        "name": case.name, "title": case.title, "size": case.size, "rounds": rounds, "threads": options.threads,
        "inputs": sum(map(os.path.getsize, case.input_files())), "load": loads,
        "floors": [item.name for item in able if not item.linker and item.name in runs],
        "unable": unable, "output_sizes": sizes, "runs": runs,
        "measured": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def median(values):
    """The median; 0 for nothing."""
    return statistics.median(values) if values else 0


def spread(values):
    """Half the distance between the quartiles as a part of the median: what noise there was."""
    if len(values) < 4 or not median(values):
        return 0.0
    low, _mid, high = statistics.quantiles(values, n=4)
    return (high - low) / 2 / median(values)


def pair_ratio(runs, one, other, figure):
    """The median over the rounds of `one`'s figure divided by `other`'s in the same round.

    Valid because both lists are in round order.  `figure` is a function of one run's dict.
    """
    pairs = [(figure(a), figure(b)) for a, b in zip(runs[one], runs[other])]
    return median([a / b for a, b in pairs if b])
