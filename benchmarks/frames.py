"""Frames in a row against one frame by itself and against the bound: part of ``make bench``.

    python benchmarks/frames.py                              every network; takes some minutes
    python benchmarks/frames.py --quick                      three small networks
    python benchmarks/frames.py --only resnet50 vgg19        these networks of ``networks.py``
    python benchmarks/frames.py --batch                      batches instead

A row is one network on one machine. *One* are the cycles of a frame by itself, *each* those of a frame in the steady
state, of so many *together*; *bound* is what the laws allow for a frame (docs/bounds.md), and *array* what its
convolutions take in the planner's mappings, whatever they wait for. ``=`` says that prediction and clock agree on
prologue, rhythm and epilogue. Nothing is asserted; the demands are printed with what was measured.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # the sibling scripts, from wherever this one is imported

from demands import ALL
from figures import geometric_mean
from networks import cached, parse

from sim.machine.errors import ReconError
from sim.machine.program import Program
from tools.frames import frame_statistics
from tools.options import Planning
from tools.reports.compare import Study

NETWORKS = (*ALL, "resnet18-224", "mobilenetv3_large", "efficientnet_b0", "shufflenetv2")

QUICK = ("squeezenet", "shufflenet", "mobilenetv2-224")

SPEEDUP = {
    "mobilenetv2-224": 2.2,
    "resnet18-224": 2.2,
    "shufflenet": 1.9,
    "mobilenetv1-224": 1.6,
    "inception_v1": 1.6,
    "resnet50": 1.5,
    "squeezenet": 1.3,
}
"""How many times faster a frame in a row is than one by itself, at least; none may be slower."""

MEAN, WORST = 1.05, 1.15
"""Cycles of a frame in the steady state over the bound: geometric mean and worst at most."""

TIME = 1.5
"""Seconds of the processor to plan frames in a row, over those of one frame, at most."""

BATCHES = (
    ("resnet50", "edge4k", 8, 0),
    ("vgg19", "edge4k", 8, 0),
    ("resnet50", "peer4k", 8, 1_060_000),
    ("vgg19", "peer4k", 0, 9_300_000),
)
"""Batches (0: as many frames together as pay), and the cycles of a frame at most (0: 1.1 times the bound). SoMa (HPCA
2025) has 1.121 M for ResNet-50 on the budget of peer4k."""


@dataclass(frozen=True)
class Row:
    """One network: cycles of one frame, of a frame in a row, of its bound and of its convolutions; seconds to plan."""

    name: str
    one: int
    each: float
    bound: float
    array: float
    together: int
    resident: int
    moved: float
    agrees: bool
    seconds: tuple[float, float]

    @property
    def speedup(self) -> float:
        return self.one / self.each

    @property
    def time(self) -> float:
        """Seconds to plan frames in a row over those of one frame."""
        return self.seconds[1] / max(self.seconds[0], 1e-9)

    def __str__(self) -> str:
        return (
            f"{self.name:22}{self.one:12,}{self.each:12,.0f}{self.speedup:7.2f}{self.each / self.bound:8.3f}"
            f"{self.each / self.array:8.3f}{self.together:9}{self.resident / 1e6:9.2f}{self.moved / 1e6:9.2f}"
            f"{self.time:8.2f}  {'=' if self.agrees else 'DIFFERS'}"
        )


HEAD = (
    f"{'network':22}{'one':>12}{'each':>12}{'faster':>7}{'÷bound':>8}{'÷array':>8}{'together':>9}{'stays MB':>9}"
    f"{'DRAM MB':>9}{'÷time':>8}  planned"
)


def measured(name: str, machine: str = "edge4k", batch: int = 0) -> Row:
    """A network by itself and in a row; ReconError where there is no plan."""
    study = Study(cached(name), assume_int8=True)
    started = time.process_time()
    one = study.program(machine)
    between = time.process_time()
    many = study.program(machine, Planning(frames="stream", batch=batch))
    ended = time.process_time()
    return _row(f"{name} {machine}", one, many, (between - started, ended - between))


def _row(name: str, one: Program, many: Program, seconds: tuple[float, float]) -> Row:
    found = frame_statistics(many, 1000)
    frames, rhythm = found.frames, many.rhythm
    assert frames is not None
    assert rhythm is not None
    agrees = (found.cycles, frames.prologue_cycles, frames.epilogue_cycles, frames.latency_cycles) == (
        rhythm.cycles,
        rhythm.prologue,
        rhythm.epilogue,
        rhythm.latency,
    )
    return Row(
        name=name,
        one=one.predicted_cycles,
        each=frames.cycles_per_frame,
        bound=many.bounds.bound3 / many.batch,
        array=sum(layer.array_busy for layer in found.layers) / found.batch,
        together=found.batch,
        resident=frames.resident_bytes,
        moved=frames.dram_bytes_per_frame,
        agrees=agrees,
        seconds=seconds,
    )


def demands(rows: Sequence[Row]) -> None:
    """Each demand with what was measured."""
    print("\nDemands")
    ratios = {row.name: row.each / row.bound for row in rows}
    worst = max(ratios, key=lambda name: ratios[name])
    mean = geometric_mean(ratios.values())
    _say(f"÷ bound: geometric mean ≤ {MEAN}", f"{mean:.3f} over {len(rows)} networks", mean <= MEAN)
    _say(f"÷ bound: none above {WORST}", f"{ratios[worst]:.3f} ({worst})", ratios[worst] <= WORST)
    for row in rows:
        least = SPEEDUP.get(row.name.split()[0])
        if least is not None:
            _say(f"{row.name} at least {least} times faster", f"{row.speedup:.2f}", row.speedup >= least)
    longest = max(rows, key=lambda row: row.time)
    _say(f"time to plan ≤ {TIME} × that of one frame", f"{longest.time:.2f} ({longest.name})", longest.time <= TIME)
    slower = [row.name for row in rows if row.speedup < 1]
    _say("no network slower", ", ".join(slower) or "none", not slower)
    _say("prologue, rhythm and epilogue as planned", f"{sum(row.agrees for row in rows)} of {len(rows)}",
         all(row.agrees for row in rows))  # fmt: skip


def _say(demand: str, value: str, met: bool) -> None:
    print(f"{demand}: {value}  {'yes' if met else 'NO'}")


def batches() -> None:
    """Batches, each with its demand."""
    print(HEAD)
    for name, machine, batch, most in BATCHES:
        what = f"batch {batch}" if batch else "frame after frame"
        try:
            row = measured(name, machine, batch)
        except ReconError as error:
            print(f"{name} {machine}, {what}: {error}  NO")
            continue
        print(row, flush=True)
        if most:
            _say(f"{what}, {row.name} ≤ {most:,} cycles a frame", f"{row.each:,.0f}", row.each <= most)
        else:
            _say(f"{what}, {row.name} ≤ 1.1 × bound", f"{row.each / row.bound:.3f}", row.each <= 1.1 * row.bound)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Frames in a row against one frame and the bound.")
    parser.add_argument("--quick", action="store_true", help="three small networks")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these networks")
    parser.add_argument("--batch", action="store_true", help="batches instead")
    arguments = parser.parse_args()
    if arguments.batch:
        batches()
        return
    names: Sequence[str] = arguments.only or (QUICK if arguments.quick else NETWORKS)
    for name in names:
        try:
            parse(name)
        except ValueError as error:
            parser.error(str(error))
    print(HEAD)
    rows: list[Row] = []
    for name in names:
        try:
            rows.append(measured(name))
            print(rows[-1], flush=True)
        except ReconError as error:
            print(f"{name}: {error}  NO", flush=True)
    if rows:
        demands(rows)


if __name__ == "__main__":
    main()
