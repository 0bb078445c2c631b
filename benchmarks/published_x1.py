"""A published claim about YOLOv3 on an InferX X1, and what our laws make of such a machine, one difference at a time.

The claim is of 2019, before there was silicon: 11.4 frames per second at 2 megapixels, batch 1, four tiles of 1024
multipliers at 1.067 GHz, 8 MB of SRAM, one LPDDR4 DRAM (Electronic Design, «InferX X1 Coprocessor Takes on Inference at
the Edge», 2019). Winograd makes YOLOv3 1.7 and ResNet-50 1.4 times faster there (Flex Logix, product page, 2019).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # the sibling scripts, from wherever this one is imported

from figures import figures
from networks import NETWORKS, cached, count_macs, parse

from sim.machine.description import load
from tools.options import Planning
from tools.reports.compare import Study

MACHINE = Path(__file__).resolve().parent / "published" / "x1-2019.toml"
SIDE = 1440
"""1440 × 1440 pixels are 2.07 megapixels."""
CLOCK = 1_067_000_000
CLAIM = 11.4
GAIN = 1.7
"""What Winograd is said to give on YOLOv3."""

_START = f"edge4k with clock_hz={CLOCK}, sram.bytes=8MiB"
_DRAM = "dram.bytes_per_second=12800000000"
_STREAMS = "streams.input=256, streams.output=128, streams.residual=128, streams.weights=128, streams.vector=128"


@dataclass(frozen=True)
class Step:
    """A machine that differs from the first in what it is called, or a plan that does without something."""

    what: str
    machine: str
    options: Planning | None = None


STEPS: tuple[Step, ...] = (
    Step("`edge4k` with that clock and 8 MiB", _START),
    Step("and no Winograd", _START, Planning(winograd=False)),
    Step("an LPDDR4-3200 channel: 12.8 GB/s, not 17.1", f"{_START}, {_DRAM}"),
    Step("streams carry half", f"{_START}, {_STREAMS}"),
    Step(
        "four configurations",
        f"{_START}, array.configurations={' + '.join(load('edge4k-real').array.configurations)}",
    ),
    Step("12.8 GB/s, and layers one after the other: none fused", f"{_START}, {_DRAM}", Planning(fusion=False)),
    Step("these three, swaps of 1 µs, passes that fill in 64 cycles: `x1-2019.toml`", str(MACHINE)),
    Step("`x1-2019.toml`, none fused", str(MACHINE), Planning(fusion=False)),
)


def table() -> list[str]:
    """Frames per second by step, as lines of Markdown, and what the claim says of the multipliers."""
    name = f"yolov3-{SIDE}"
    study = Study(cached(name), assume_int8=True)
    network, size = parse(name)
    macs = count_macs(NETWORKS[network].light(size))
    lines = ["| YOLOv3 at 1440×1440 | cycles | frames/s | DRAM MB |", "|---|---|---|---|"]
    for step in STEPS:
        found = figures(study, step.machine, step.options or Planning())
        fps = CLOCK / found.cycles
        print(f"x1 {step.what} {found.cycles} {fps:.1f} {found.problem}", flush=True)
        lines.append(f"| {step.what} | {found.cycles:,} | {fps:.1f} | {found.dram_bytes / 1e6:.0f} |")
    full = load("edge4k").array.lanes * CLOCK / macs
    lines += [
        f"| **the claim** | {round(CLOCK / CLAIM):,} | **{CLAIM}** | |",
        "",
        f"A frame has {macs / 1e9:.0f} G MACs: {full:.1f} frames/s if no multiplier ever waits, {full * GAIN:.1f} with "
        f"the {GAIN} of Winograd. The claim is {100 * CLAIM / full / GAIN:.0f} % of that. It lies between a machine "
        "that fuses all our planner would and one that fuses nothing, whose first layers wait for DRAM: how many "
        "layers such silicon works on together decides, and nothing published says how many.",
    ]
    return lines
