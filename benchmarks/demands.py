"""What the schedules must reach, each demand as a line: limit and measured value side by side.

The figures of other tools are measurements of theirs on the budget of ``peer4k`` (4096 MACs, 8 MiB SRAM, 16 bytes per
cycle), batch 1, all operators counted; Vela has half the MACs. They are quoted here, not measured again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cost import Cost
from figures import DRAM4, DRAM4_DIRECT, Figures, Growth, Results, geometric_mean

DENSE = (
    "resnet50",
    "inception_v1",
    "inception_v2",
    "squeezenet",
    "vgg19",
    "densenet121",
    "yolov3-416",
    "yolov3-608",
    "yolov3_tiny-416",
    "inception_v3-299",
)
DEPTHWISE = ("mobilenetv1-224", "mobilenetv2-224", "shufflenet")
ALL = (*DENSE, *DEPTHWISE)

PEERS = (
    (
        "resnet50",
        1.75,
        27.5,
        "ZigZag 2.94 M and 46 MB, nn-dataflow 3.73 M and 58 MB, SCALE-Sim 3.94 M, Vela 5.09 M and 29 MB",
    ),
    ("yolov3-416", 8.8, 70.0, "ZigZag 13.6 M and 142 MB, Vela 114 MB"),
    ("inception_v1", 0.48, None, ""),
    ("yolov3_tiny-416", 0.75, None, ""),
    ("mobilenetv1-224", 0.30, None, ""),
)
"""Networks on peer4k: million cycles and DRAM megabytes at most, and what other tools measure."""

WINOGRAD = (("yolov3-416", 1.6, 1.7), ("resnet50", 1.2, 1.4))
"""Networks with DRAM x4: cycles without Winograd over cycles with it at least, and as published for such machines."""

COSTS = (
    ("resnet50", 6.0, 600.0, "Vela 3.2 s and 200 MB, ZigZag 58-177 s"),
    ("yolov3-416", 12.0, 900.0, "Vela 8.7 s and 470 MB, ZigZag 58-177 s"),
)
"""Networks: CPU seconds and megabytes of compiling at most, and what other tools take."""

GROWTH = 1.15
"""n·log n may seem to grow by so much between the two longest chains: clocks of shared computers are not exact."""


@dataclass(frozen=True)
class Line:
    """A demand, its measured value, and whether it is met (None: not measured)."""

    demand: str
    measured: str
    met: bool | None

    def __str__(self) -> str:
        verdict = "-" if self.met is None else "yes" if self.met else "NO"
        return f"{self.demand}: {self.measured}  {verdict}"


def lines(results: Results, costs: Mapping[str, Cost], chains: list[Growth]) -> Iterator[Line]:
    """Every demand."""
    yield from _ratios(results)
    yield from _peers(results)
    for name, least, published in WINOGRAD:
        both = _done(results, name, DRAM4), _done(results, name, DRAM4_DIRECT)
        ratio = both[1].cycles / both[0].cycles if both[0] and both[1] else None
        yield _line(
            f"Winograd end to end with DRAM x4, {name} ≥ {least} (published: {published})", ratio, least, most=False
        )
    yield from _fixed(results)
    for name, seconds, memory, others in COSTS:
        cost = costs.get(name)
        measured = f"{cost.cpu:.1f} s, {cost.memory * 1.048576:.0f} MB" if cost else "not measured"
        met = cost.cpu <= seconds and cost.memory * 1.048576 <= memory if cost else None
        yield Line(f"compile {name} ≤ {seconds:g} s CPU and {memory:g} MB ({others})", measured, met)
    if len(chains) > 1:
        last = chains[-1].per_n_log_n / chains[-2].per_n_log_n
        yield _line(f"time / (n log n), chain of {chains[-1].length} over {chains[-2].length} ≤ {GROWTH}", last, GROWTH)
    every = [figures for row in results.values() for figures in row.values() if not figures.problem]
    wrong = sum(figures.cycles != figures.predicted for figures in every)
    yield Line("planned cycles are the simulated ones", f"{len(every) - wrong} of {len(every)} programs", not wrong)


def _ratios(results: Results) -> Iterator[Line]:
    dense = {name: found for name in DENSE if (found := _done(results, name, "edge4k"))}
    for what, mean, most, values in (
        ("bound2", 1.06, 1.15, {name: found.per_bound2 for name, found in dense.items()}),
        ("bound", 1.08, 1.22, {name: found.per_bound for name, found in dense.items()}),
    ):
        yield _mean(f"edge4k, dense nets ÷ {what}: geometric mean ≤ {mean}", list(values.values()), mean, len(DENSE))
        worst = max(values, key=lambda name: values[name], default="")
        line = _line(f"edge4k, dense nets ÷ {what}: none above {most}", values.get(worst), most, note=worst)
        yield line if len(values) == len(DENSE) or not line.met else dataclasses.replace(line, met=None)
    for name in DEPTHWISE:
        found = _done(results, name, "edge4k")
        yield _line(f"edge4k, {name} ÷ bound ≤ 1.5", found.per_bound if found else None, 1.5)
    small = {name: found for name in ALL if (found := results.get(name, {}).get("edge4k 2MiB"))}
    refused = [name for name, found in small.items() if found.problem]
    planned = [found.per_bound for found in small.values() if not found.problem]
    yield _mean("edge4k within 2 MiB: geometric mean ÷ bound ≤ 1.35", planned, 1.35, len(ALL))
    complete = len(small) == len(ALL)
    met = False if refused else True if complete else None
    yield Line("edge4k within 2 MiB: no net refused", ", ".join(refused) or f"none of {len(small)}", met)


def _peers(results: Results) -> Iterator[Line]:
    for name, cycles, megabytes, others in PEERS:
        found = _done(results, name, "peer4k")
        limit = f"≤ {cycles:.2f} M cycles" + (f", ≤ {megabytes} MB" if megabytes else "")
        measured, met = "not measured", None
        if found:
            measured = f"{found.cycles / 1e6:.3f} M" + (f", {found.dram_bytes / 1e6:.1f} MB" if megabytes else "")
            met = found.cycles <= cycles * 1e6 and (megabytes is None or found.dram_bytes <= megabytes * 1e6)
        yield Line(f"peer4k, {name} {limit}" + (f" ({others})" if others else ""), measured, met)


def _fixed(results: Results) -> Iterator[Line]:
    for group, names in (("dense", DENSE), ("depthwise", DEPTHWISE)):
        ratios = {
            name: fixed.cycles / free.cycles
            for name in names
            if (free := _done(results, name, "edge4k")) and (fixed := _done(results, name, "edge4k-fixed"))
        }
        least = min(ratios, key=lambda name: ratios[name], default="")
        mean = geometric_mean(ratios.values())
        text = f"edge4k-fixed ÷ edge4k, {group} nets: each above 1"
        value = f"geometric mean {mean:.2f}, least {ratios[least]:.2f} ({least})" if ratios else "not measured"
        slower = any(ratio <= 1 for ratio in ratios.values())
        yield Line(text, value, False if slower else True if len(ratios) == len(names) else None)


def _done(results: Results, name: str, variant: str) -> Figures | None:
    found = results.get(name, {}).get(variant)
    return found if found is not None and not found.problem else None


def _mean(demand: str, values: list[float], limit: float, whole: int) -> Line:
    """A demand on a geometric mean; over some of the networks alone it is neither met nor broken."""
    line = _line(demand, geometric_mean(values), limit)
    if len(values) == whole or not values:
        return line
    return Line(demand, f"{line.measured} over {len(values)} of {whole} nets", None)


def _line(demand: str, value: float | None, limit: float, *, most: bool = True, note: str = "") -> Line:
    if value is None or value != value:
        return Line(demand, "not measured", None)
    return Line(demand, f"{value:.3f}" + (f" ({note})" if note else ""), value <= limit if most else value >= limit)
