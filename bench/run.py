#!/usr/bin/env python3
"""Link the same inputs with every linker at hand, side by side, and write what it cost.

    bench/run.py --install          everything, from a fresh machine
    bench/run.py --install --wild   the same, with wild built by cargo
    bench/run.py --quick            a minute's smoke: small inputs, three rounds
    bench/run.py --micro            the micro benchmarks of the core
    bench/run.py --case clang-release --case debug --peer mold-new=/opt/mold/bin/mold

Inputs, outputs and results live in a work folder: $MCLINK_BENCH_DIR, else ~/.cache/mclink-bench.
The linker under test is $MCLINK_LD, else what `mclink --print-gcc-dir` names.
"""

import argparse
import os
import signal
import subprocess
import sys
import time

import measure
import peers
import report
import setup_peers

QUICK = ("hello-c-dynamic", "hello-c-static", "hello-cxx-dynamic", "hello-cxx-static", "sqlite",
         "family-data-1000", "family-relocs-1000")


def input_groups():
    """Prefix of the case names -> function of the work folder that prepares those cases.

    NumPy is imported only when the generated family is wanted.
    """
    from inputs import cross, debug, hello, llvm

    groups = {
        "hello-": hello.prepare,
        "sqlite": llvm.prepare_programs,
        "tblgen": llvm.prepare_programs,
        "clang-": llvm.prepare_clang,
        "debug": debug.prepare,
    }
    for name in cross.TARGETS:
        groups[name] = cross.prepare_target(name)
    for case in ("data", "relocs"):
        for divisor in (1000, 100, 10, 1):
            groups[f"family-{case}-{divisor}"] = family_size(case, divisor)
    return groups


def family_size(case, divisor):
    """The prepare function of one member of the generated family."""

    def prepare(work):
        try:
            from inputs import family
        except ImportError as problem:
            raise SystemExit(f"bench: {problem}: the generated family needs it; try --install")
        return [family.prepare_size(work, case, divisor)]

    return prepare


def choose_cases(work, wanted, full):
    """Prepare and return the cases whose names are in `wanted` (None: all).

    The family's full size takes gigabytes of disk and memory and is left out unless `full` or
    named.
    """
    cases = []
    prepared = set()
    for prefix, prepare in input_groups().items():
        large = prefix.startswith("family-") and prefix.endswith("-1")
        if wanted is None:
            needed = full or not large
        elif prefix.startswith(("family-", "cross-")):
            needed = prefix in wanted
        else:
            needed = any(name.startswith(prefix) for name in wanted)
        if needed and prepare not in prepared:
            prepared.add(prepare)
            print(f"inputs: {prefix}", flush=True)
            cases += [case for case in prepare(work) if wanted is None or case.name in wanted]
    unknown = set(wanted or ()) - {case.name for case in cases}
    if unknown:
        raise SystemExit(f"bench: no such case: {', '.join(sorted(unknown))}")
    return cases


def thread_counts(text):
    """The argument of --scaling."""
    return tuple(int(word) for word in text.split(","))


def parse_options(argv):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--install", action="store_true", help="install peers and inputs first")
    parser.add_argument("--wild", action="store_true", help="with --install: build wild too")
    parser.add_argument("--quick", action="store_true", help="small inputs, three rounds")
    parser.add_argument("--micro", action="store_true", help="only the micro benchmarks of the core (micro.py)")
    parser.add_argument("--full", action="store_true", help="the generated family at full size")
    parser.add_argument("--case", action="append", metavar="NAME", help="only this case")
    parser.add_argument("--only", action="append", metavar="PEER", help="only this linker")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PATH",
                        help="another linker that joins in")
    parser.add_argument("--threads", type=int, default=2, help="threads of each link (2)")
    parser.add_argument("--scaling", type=thread_counts, default=(), metavar="N,N...",
                        help="every case with these thread counts too, for the table of scaling")
    parser.add_argument("--rounds", type=int, help="rounds, instead of each case's own number")
    parser.add_argument("--over", dest="fresh", action="store_false",
                        help="link over the old output (default: each link writes a new file)")
    parser.add_argument("--limit", type=float, default=120,
                        help="seconds after which a linker is out of a case (120)")
    parser.add_argument("--quiet", type=float, default=0, metavar="SECONDS",
                        help="wait up to so long for a quiet machine before each link (0)")
    parser.add_argument("--no-floors", dest="floors", action="store_false",
                        help="do not measure cp, fill and touch beside the linkers")
    parser.add_argument("--results", metavar="DIR", help="where the results go")
    return parser.parse_args(argv)


def enter_environment(work):
    """Start over in the work folder's virtual environment, when there is one (NumPy is there)."""
    python = setup_peers.environment_python(work)
    if os.path.exists(python) and not os.environ.get("MCLINK_BENCH_INSIDE"):
        os.environ["MCLINK_BENCH_INSIDE"] = "1"
        os.execv(python, [python, *sys.argv])


def contenders_of(case, found, options, work):
    """One contender for each peer and thread count of `case`; GNU ld has no thread count."""
    folder = os.path.join(work, "out", case.name)
    asked = [None if count == options.threads else count for count in options.scaling]
    for threads in dict.fromkeys((*case.threads, *asked)):
        count = threads or options.threads
        for peer in found:
            if threads and peer.kind == "bfd":
                continue
            name = peer.name if threads is None else f"{peer.name} -j{threads}"
            command = measure.link_command(peer, case, count, work)
            yield measure.Contender(name, command, os.path.join(folder, name.replace(" ", "")))


def main(argv):
    """Prepare, measure, report; returns the exit status."""
    options = parse_options(argv)
    signal.signal(signal.SIGTERM, lambda *_about: sys.exit(143))
    work = os.path.abspath(os.environ.get("MCLINK_BENCH_DIR")
                           or os.path.expanduser("~/.cache/mclink-bench"))
    if options.install and not os.environ.get("MCLINK_BENCH_INSIDE"):
        setup_peers.install_all(work, options.wild)
    enter_environment(work)
    if options.quick:
        options.rounds = options.rounds or 3
        options.case = options.case or list(QUICK)
    os.makedirs(work, exist_ok=True)
    folder = options.results or os.path.join(work, "results")
    os.makedirs(folder, exist_ok=True)
    if options.micro:
        return run_micro(folder, options.rounds)
    probe = measure.build_probe(work)
    found = peers.find_peers(work, options.peer, options.only)
    if len(found) < 2:
        raise SystemExit("bench: fewer than two linkers here; try --install")
    for peer in found:
        print(f"peer: {peer.name}: {peer.version}")
    results = {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "cpus": os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "threads": options.threads, "output": "new" if options.fresh else "overwritten",
        "peers": {peer.name: peer.version for peer in found}, "cases": [],
    }
    for case in choose_cases(work, options.case, options.full):
        print(f"case: {case.name}", flush=True)
        contenders = list(contenders_of(case, found, options, work))
        record = measure.measure_case(case, contenders, probe, work, options)
        results["cases"].append(record)
        print("\n".join(report.case_table(record)), flush=True)
        report.write_json(results, os.path.join(folder, "results.json"))
    report.write_markdown(results, os.path.join(folder, "results.md"))
    if not report.write_plots(results, folder):
        print("bench: no matplotlib, so no plots")
    status = judge(results, found)
    if options.quick and "mclink" in results["peers"]:
        status = run_micro(folder, options.rounds) or status
    print(f"results: {folder}")
    return status


def run_micro(folder, rounds):
    """Runs micro.py and writes its figures to micro.json and micro.md in `folder`; pytest's exit status."""
    figures = os.path.join(folder, "micro.json")
    here = os.path.dirname(os.path.abspath(__file__))
    environment = dict(os.environ)
    if rounds:
        environment["MCLINK_BENCH_ROUNDS"] = str(rounds)
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull,
                           "--rootdir", here, os.path.join(here, "micro.py"), f"--benchmark-json={figures}"],
                          env=environment)
    if done.returncode == 0:
        lines = report.micro_table(figures)
        print("\n".join(lines))
        with open(os.path.join(folder, "micro.md"), "w") as file:
            file.write("\n".join(lines) + "\n")
    return done.returncode


def judge(results, found):
    """1 when mclink took part and failed a case, else 0; says so when it did not take part."""
    failed = [record["name"] for record in results["cases"] if "mclink" in record["unable"]]
    if failed:
        print(f"bench: mclink failed: {', '.join(failed)}")
    elif "mclink" not in [peer.name for peer in found]:
        print("bench: mclink took no part: no MCLINK_LD and no mclink on PATH")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
