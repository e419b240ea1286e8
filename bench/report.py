"""The results as JSON, as Markdown tables and, where matplotlib is installed, as plots."""

import json
import os

from measure import median, pair_ratio, spread

FIGURES = (
    ("wall", lambda run: run["wall"]),
    ("cpu", lambda run: run["user"] + run["system"]),
    ("peak", lambda run: run["peak"]),
)


def write_json(results, path):
    """Everything that was measured, every round of it."""
    with open(path, "w") as file:
        json.dump(results, file, indent=1)
        file.write("\n")


def seconds(value):
    """Milliseconds below a second, seconds above."""
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"


def mebibytes(value):
    """Bytes as MiB."""
    return f"{value / (1 << 20):.1f}"


def case_table(record):
    """The Markdown lines of one case: figures, ratios, and who could not link it."""
    lines = [f"### {record['title']} (`{record['name']}`)", ""]
    runs = record["runs"]
    if runs:
        note = f"{record['rounds']} rounds; {mebibytes(record['inputs'])} MiB of named inputs"
        if record.get("size"):
            note += "; " + ", ".join(f"{value:,} {name.replace('_', ' ')}"
                                     for name, value in record["size"].items())
        lines += [note + ".", "",
                  "| | wall, median | best | spread | user | system | peak MiB | output MiB "
                  "| faults minor/major | strangers |",
                  "|---|---|---|---|---|---|---|---|---|---|"]
        lines += [run_row(name, runs[name], record["output_sizes"].get(name)) for name in runs]
        lines += ["", *ratio_table(record), *scaling_table(record)]
    lines += [f"- {name} did not link it: {why}" for name, why in record["unable"].items()]
    return lines + [""]


def run_row(name, runs, size):
    """One contender's row."""
    column = {key: [run[key] for run in runs] for key in runs[0]}
    return "| " + " | ".join((
        name, seconds(median(column["wall"])), seconds(min(column["wall"])),
        f"{spread(column['wall']):.0%}" if len(runs) > 3 else "", seconds(median(column["user"])),
        seconds(median(column["system"])), mebibytes(median(column["peak"])),
        mebibytes(size) if size else "", f"{median(column['minor_faults']):.0f}"
        f"/{median(column['major_faults']):.0f}", seconds(median(column["strangers"])))) + " |"


def ratio_table(record):
    """Row divided by column, median of the rounds: wall / CPU / peak memory."""
    names = [name for name in record["runs"] if name not in record["floors"]]
    if len(names) < 2:
        return []
    lines = ["Row over column, wall / CPU / peak:", "",
             "| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for one in names:
        cells = []
        for other in names:
            ratios = [pair_ratio(record["runs"], one, other, figure) for _n, figure in FIGURES]
            cells.append("" if one == other else " / ".join(f"{r:.2f}" for r in ratios))
        lines.append(f"| {one} | " + " | ".join(cells) + " |")
    return lines + [""]


def scaling_table(record):
    """Wall and processor time of those who were measured with several thread counts, and what more threads gained."""
    counts = {}
    for name in record["runs"]:
        peer, _, threads = name.partition(" -j")
        if name not in record["floors"]:
            counts.setdefault(peer, {})[int(threads or record["threads"])] = name
    lines = []
    for peer, names in counts.items():
        base = min(names)
        for threads in sorted(names) if len(names) > 1 else ():
            runs = record["runs"][names[threads]]
            gain, cost = (pair_ratio(record["runs"], names[base], names[threads], FIGURES[0][1]),
                          pair_ratio(record["runs"], names[threads], names[base], FIGURES[1][1]))
            lines.append(f"| {peer} | {threads} | " + " | ".join(
                seconds(median([value(run) for run in runs])) for _name, value in FIGURES[:2])
                + f" | {gain:.2f} | {cost:.2f} |")
    if not lines:
        return []
    return ["Scaling, against the fewest threads in the same round:", "",
            "| | threads | wall | CPU | times as fast | CPU |", "|---|---|---|---|---|---|", *lines, ""]


def micro_table(path):
    """Markdown of what micro.py wrote to the JSON file `path`."""
    with open(path) as file:
        benchmarks = json.load(file)["benchmarks"]
    lines = ["| | units | ns a unit, median | best | rounds |", "|---|---|---|---|---|"]
    for row in benchmarks:
        figures = list(row["extra_info"].items())
        unit, units = figures[0]
        lines.append(f"| {row['name'].removeprefix('test_').replace('_', ' ')} | {units:,} {unit} | "
                     f"{figures[1][1]} | {figures[2][1]} | {row['stats']['rounds']} |")
    return lines


def growth_table(records):
    """How a family's cost grows: microseconds a symbol and a relocation, for each size."""
    sized = [record for record in records if record.get("size") and record["runs"]]
    if not sized:
        return []
    names = sorted({name for record in sized for name in record["runs"]
                    if name not in record["floors"]})
    lines = ["### Growth of the generated family", "",
             "Wall time in ns a symbol / ns a relocation / peak memory in bytes a symbol.", "",
             "| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for record in sized:
        cells = []
        for name in names:
            runs = record["runs"].get(name)
            if not runs:
                cells.append("")
                continue
            wall = median([run["wall"] for run in runs])
            peak = median([run["peak"] for run in runs])
            size = record["size"]
            cells.append(f"{wall / size['symbols'] * 1e9:.0f} / "
                         f"{wall / size['relocations'] * 1e9:.0f} / "
                         f"{peak / size['symbols']:.0f}")
        lines.append(f"| {record['name']} | " + " | ".join(cells) + " |")
    return lines + [""]


def write_markdown(results, path):
    """The tables of all cases, the growth of the family, and who took part."""
    lines = ["# mclink bench", "", f"{results['date']}, {results['cpus']} processors, "
             f"{results['memory'] / (1 << 30):.0f} GiB, {results['threads']} threads unless the "
             f"name says otherwise; {results['output']} output.", ""]
    lines += [f"- {name}: {version}" for name, version in results["peers"].items()] + [""]
    for record in results["cases"]:
        lines += case_table(record)
    lines += growth_table(results["cases"])
    with open(path, "w") as file:
        file.write("\n".join(lines))


def write_plots(results, folder):
    """A bar chart for each case and the growth curves; returns whether matplotlib was there."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    from matplotlib import pyplot

    measured = [record for record in results["cases"] if record["runs"]]
    for record in measured:
        names = list(record["runs"])
        figure, axes = pyplot.subplots(1, 3, figsize=(12, 0.4 * len(names) + 1.5), sharey=True)
        for axis, (label, value) in zip(axes, FIGURES):
            scale = 1 << 20 if label == "peak" else 1
            middle = [median([value(run) / scale for run in record["runs"][name]])
                      for name in names]
            axis.barh(names, middle, color=["#bbb" if name in record["floors"] else "#47a"
                                            for name in names])
            axis.set_xlabel("peak, MiB" if label == "peak" else f"{label}, s")
        axes[0].invert_yaxis()
        figure.suptitle(record["title"])
        figure.tight_layout()
        figure.savefig(os.path.join(folder, record["name"] + ".png"), dpi=110)
        pyplot.close(figure)
    for family in ("data", "relocs"):
        plot_growth(pyplot, [record for record in measured
                             if record["name"].startswith(f"family-{family}-")], family, folder)
    return True


def plot_growth(pyplot, records, family, folder):
    """Wall time a symbol against the number of symbols, one line a linker."""
    if len(records) < 2:
        return
    figure, axis = pyplot.subplots(figsize=(7, 4.5))
    for name in records[0]["runs"]:
        points = sorted((record["size"]["symbols"],
                         median([run["wall"] for run in record["runs"][name]]))
                        for record in records if name in record["runs"])
        if name not in records[0]["floors"]:
            axis.plot([x for x, _y in points], [y / x * 1e9 for x, y in points], "o-", label=name)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("symbols")
    axis.set_ylabel("ns a symbol")
    axis.legend()
    figure.tight_layout()
    figure.savefig(os.path.join(folder, f"family-{family}.png"), dpi=110)
    pyplot.close(figure)
