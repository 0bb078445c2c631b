"""The answer of docs/exploring.md, its pictures and its rows: explores which_machine.toml and writes what it teaches.

    python benchmarks/which_machine.py           246 points: some six CPU minutes
    python benchmarks/which_machine.py --stored  from the rows of the last run, however many those are

Written are ``docs/pictures/which_machine_*.svg``, ``docs/which_machine.csv`` and the tables in ``docs/exploring.md``.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent))  # the sibling scripts, from wherever this one is imported

from networks import cached

from tools.explore.explore import Exploration
from tools.explore.findings import Findings, cost_of, findings, front, is_fixed
from tools.explore.space import Goal
from tools.explore.space_file import read_space
from tools.explore.store import PointStore, StoredPoint
from tools.reports.palette import MARKS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parent.parent
SPACE = Path(__file__).parent / "which_machine.toml"
STORE = ROOT / "build" / "explore" / "which.sqlite"
PAGE = ROOT / "docs" / "exploring.md"
COLUMNS = ("model", "status", "reason", "frames_per_second", "area_mm2", "energy_joules", "dram_bytes", "cycles",
           "utilization", "array.lanes", "array.configurations", "sram.bytes", "dram.bytes_per_second")  # fmt: skip
FRAMES = 30
TICKS = (1, 3, 10, 30, 100, 300, 1000)
KINDS: Sequence[tuple[str, Callable[[StoredPoint], bool]]] = (
    ("reconfigurable", lambda row: not is_fixed(row)),
    ("one configuration", is_fixed),
)


def machine(row: StoredPoint) -> str:
    """A machine in a few words."""
    v = row.values
    array = f"{v['array.lanes']:,} lanes"
    if is_fixed(row):
        _, _, k, r, _ = str(v["array.configurations"]).split()
        array = f"{r[1:]} × {k[1:]} systolic"
    return f"{array}, {v['sram.bytes'] / 2**20:g} MiB, {v['dram.bytes_per_second'] / 1e9:.1f} GB/s"


def cheapest(rows: Sequence[StoredPoint], goal: Goal, wanted: Callable[[StoredPoint], bool]) -> StoredPoint | None:
    """The least costly of the rows that keep the goal."""
    good = [(cost, row) for row in rows if row.ok and wanted(row) and (cost := cost_of(row, goal)) is not None]
    return min(good, key=lambda pair: pair[0])[1] if good else None


def table(found: Findings, goal: Goal) -> str:
    """The cheapest machines of both kinds, for each model and for all, as Markdown."""
    lines = [
        "| at 30 frames per second | cheapest that reconfigures | mm² | cheapest of one configuration | mm² | times |",
        "|---|---|---|---|---|---|",
    ]
    for name in found.models:
        mine = [row for row in found.rows if row.values["model"] == name]
        free, fixed = (cheapest(mine, goal, wanted) for _, wanted in KINDS)
        lines.append(f"| {name} | {_pair(free)} | {_pair(fixed)} | {_times(free, fixed)} |")
    free, fixed = (each.row if each is not None else None for each in (found.free, found.fixed))
    lines.append(f"| **all of them** | {_pair(free)} | {_pair(fixed)} | {_times(free, fixed)} |")
    return "\n".join(lines)


def _pair(row: StoredPoint | None) -> str:
    return "none of the space | –" if row is None else f"{machine(row)} | {row.values['area_mm2']:.1f}"


def _times(free: StoredPoint | None, fixed: StoredPoint | None) -> str:
    return "–" if free is None or fixed is None else f"{fixed.values['area_mm2'] / free.values['area_mm2']:.2f}"


def fronts(found: Findings) -> Figure:
    """Area over frames per second: a panel per model, both kinds of array, the goal as a line."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    figure = Figure(figsize=(11, 6.4), layout="constrained")
    for place, name in enumerate(found.models):
        axes = figure.add_subplot(2, 3, place + 1)
        mine = [row for row in found.rows if row.values["model"] == name and row.ok]
        for (kind, wanted), style, mark, colour in zip(KINDS, ("-", "--"), ("o", "s"), MARKS, strict=False):
            best = front([row for row in mine if wanted(row)], ("seconds", "area_mm2"))
            axes.plot(
                [row.values["frames_per_second"] for row in best],
                [row.values["area_mm2"] for row in best],
                style,
                marker=mark,
                markersize=4,
                color=colour,
                drawstyle="steps-post",
                label=kind,
            )
        axes.axvline(FRAMES, color="#222", linewidth=1)
        axes.set_xscale("log")
        axes.set_title(name, fontsize=11)
        axes.grid(color="#e3e6ea")
        ends = axes.get_xlim()
        axes.set_xticks([tick for tick in TICKS if ends[0] <= tick <= ends[1]])
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.xaxis.set_minor_locator(NullLocator())
        if place % 3 == 0:
            axes.set_ylabel("mm² (45 nm, estimate)")
        axes.set_xlabel("frames per second")
        if place == 0:
            axes.legend(frameon=False)
    return figure


def spans(found: Findings) -> Figure:
    """What each parameter moves, by model."""
    from matplotlib.figure import Figure

    keys = list(dict.fromkeys(effect.key for effects in found.effects.values() for effect in effects))
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / max(1, len(keys))
    for number, key in enumerate(keys):
        by_model = {name: {e.key: e.span for e in effects} for name, effects in found.effects.items()}
        axes.bar(
            [place + (number + 0.5) * width - 0.4 for place in range(len(found.models))],
            [by_model[name].get(key, 1.0) for name in found.models],
            width,
            label=key,
            color=MARKS[number % len(MARKS)],
            hatch=("", "//", "xx", "..")[number % 4],
            edgecolor="white",
        )
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} ×")
    axes.set_ylabel("slowest over fastest value")
    axes.set_xticks(range(len(found.models)), found.models)
    axes.legend(frameon=False, fontsize=9)
    return figure


def save(figure: Figure, name: str) -> None:
    """Write a picture; the same rows give the same bytes."""
    import matplotlib

    file = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "recon"}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": "benchmarks/which_machine.py"})
    folder = ROOT / "docs" / "pictures"
    folder.mkdir(exist_ok=True)
    text = "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"
    (folder / f"which_machine_{name}.svg").write_text(text, encoding="utf-8")


def put(text: str) -> None:
    """Write the table into the page, between its markers."""
    page = PAGE.read_text(encoding="utf-8")
    begin, end = "<!-- which machine -->\n", "<!-- end of which machine -->"
    head, rest = page.split(begin)
    PAGE.write_text(head + begin + text + "\n" + end + rest.split(end)[1], encoding="utf-8")


def main() -> None:
    """Explore, then write."""
    from tools.explore.engine import cluster
    from tools.terminal.console import rendered

    parser = argparse.ArgumentParser(description="Explore which_machine.toml and write what it teaches.")
    parser.add_argument("--stored", action="store_true", help="take the rows of the last run")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N")
    arguments = parser.parse_args()
    space = read_space(SPACE)
    for entry in space.models:
        cached(entry.file.stem)
    STORE.parent.mkdir(parents=True, exist_ok=True)
    store = PointStore(STORE)
    if arguments.stored:
        rows = store.everything()
    else:
        exploration = Exploration(space, store, print)
        with cluster(None, arguments.workers) as client:
            rows = exploration.all_rows(client).rows
    found = findings(rows, space.goal, [key for key, _ in space.derived], space.together)
    put(table(found, space.goal))
    save(fronts(found), "fronts")
    save(spans(found), "spans")
    data = [tuple(row.values[name] for name in COLUMNS) for row in found.rows]
    (ROOT / "docs" / "which_machine.csv").write_text(rendered(None, COLUMNS, data, "csv") + "\n", encoding="utf-8")
    print(table(found, space.goal))


if __name__ == "__main__":
    main()
