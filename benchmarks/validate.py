"""``make validate``: published figures and idealisations, measured and written to docs/validation.md.

python benchmarks/validate.py                     everything; takes some minutes
python benchmarks/validate.py resnet50            only these networks
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # the sibling scripts, from wherever this one is imported

import numpy as np
import published_feather
import published_nvdla
import published_x1
from figures import Figures, figures
from networks import cached

from sim.machine import laws
from sim.machine.description import load
from tools.options import Planning
from tools.reports.compare import Study

PAGE = Path(__file__).resolve().parent.parent / "docs" / "validation.md"
NETWORKS = ("resnet50", "yolov3-416", "mobilenetv2", "inception_v3")

HALF = "streams.input=256, streams.output=128, streams.residual=128, streams.weights=128, streams.vector=128"
FOUR = " + ".join(load("edge4k-real").array.configurations)
SETTINGS: tuple[tuple[str, str], ...] = (
    ("80 % of the DRAM channel's peak are ours, not 95.4 %", "edge4k with dram.refresh_per_mille=200"),
    ("streams carry half", f"edge4k with {HALF}"),
    ("four configurations", f"edge4k with array.configurations={FOUR}"),
    ("a swap of configurations takes 1 µs", "edge4k with configuration.swap=933"),
    ("a pass fills and drains in 64 cycles, not 32", "edge4k with array.conv_overhead=64"),
    ("all of them: `edge4k-real`", "edge4k-real"),
)
"""What each idealisation is called, and edge4k without it."""

NVDLA = Path(__file__).resolve().parent / "published" / "nvdla.toml"
BUFFERS = (("512KiB", Planning(fusion=False)), ("512KiB", Planning()), ("1MiB", Planning()), ("2MiB", Planning()))


def priced(names: Sequence[str]) -> list[str]:
    """A table: each setting's cost in per cent of the cycles on edge4k."""
    columns: list[list[str]] = []
    for name in names:
        study = Study(cached(name), assume_int8=True)
        base = figures(study, "edge4k", Planning())
        column = [f"{base.cycles:,}"]
        for _, machine in SETTINGS:
            found = figures(study, machine, Planning())
            column.append(_more(found, base))
            print(f"{name:16} {machine[:70]:70} {column[-1]}", flush=True)
        columns.append(column)
    rows = ["cycles on `edge4k`", *(what for what, _ in SETTINGS)]
    lines = [f"| | {' | '.join(names)} |", "|---|" + "---|" * len(names)]
    for number, what in enumerate(rows):
        lines.append(f"| {what} | {' | '.join(column[number] for column in columns)} |")
    return lines


def _more(found: Figures, base: Figures) -> str:
    if found.problem:
        return "no plan"
    return f"{100 * (found.cycles / base.cycles - 1):+.1f} %"


def ours() -> list[str]:
    """What our scheduler makes of NVDLA's resources, by the size of the buffer."""
    study = Study(cached("resnet50"), assume_int8=True)
    lines = ["| buffer | cycles | DRAM MB | against the sheet with plain weights |", "|---|---|---|---|"]
    plain = published_nvdla.total((published_nvdla.whole, published_nvdla.plain_weights))
    for size, options in BUFFERS:
        found = figures(study, f"{NVDLA} with sram.bytes={size}", options)
        what = size if options.fusion else f"{size}, no layers fused"
        print(f"nvdla {what} {found.cycles} {found.problem}", flush=True)
        share = 100 * (found.cycles / plain - 1)
        lines.append(f"| {what} | {found.cycles:,} | {found.dram_bytes / 1e6:.1f} | {share:+.1f} % |")
    return lines


def floor() -> list[str]:
    """The time that ResNet-50's weights alone take on the channel, and where we land."""
    machine = load("edge4k")
    study = Study(cached("resnet50"), assume_int8=True)
    program = study.program("edge4k")
    weights = program.constants.size
    cycles = program.predicted_cycles
    peak = machine.dram.bytes_per_second / weights
    net = float(machine.dram_rate) * machine.clock_hz / weights
    fps = machine.clock_hz / cycles
    return [
        f"The constants of ResNet-50 on `edge4k`, weights, parameters and images, are {weights:,} bytes. At the "
        f"channel's peak they alone allow {peak:.0f} frames/s, net of refresh {net:.0f}; the plan makes {fps:.0f}, "
        f"{100 * fps / net:.1f} % of that."
    ]


def rows() -> list[str]:
    """3×3 depthwise layers on edge4k: direct, Winograd, and direct if a row of input were read once."""
    machine = load("edge4k")
    powers = 2 ** np.arange(machine.array.lanes.bit_length(), dtype=np.int64)
    g, k, r, p = (axis.ravel() for axis in np.meshgrid(*[powers] * 4))
    fit = g * k * r * p <= machine.array.lanes
    lines = ["| layer | direct | of it input | Winograd | direct, each row read once |", "|---|---|---|---|---|"]
    for side, channels in ((14, 512), (28, 256), (56, 128)):
        best: list[tuple[int, laws.ConvCost, int]] = []
        for winograd in (False, True):
            cost = laws.conv(
                machine, winograd=winograd, g=g[fit], k=k[fit], r=r[fit], p=p[fit], groups=channels, outputs=1,
                inputs=1, fy=3, fx=3, sx=1, dx=1, oy=side, ox=side, last=True, residual=False,
            )  # fmt: skip
            at = int(np.where(cost.words <= machine.array.half_words, cost.busy, 1 << 60).argmin())
            best.append((int(cost.busy[at]), cost, at))
        (direct, cost, at), (fast, *_) = best
        once = laws.ceil_div((side + 2) ** 2 * channels + 8 * channels, machine.streams.input)
        buffered = machine.array.conv_overhead + max(int(cost.compute[at]), once, int(cost.output[at]))
        lines.append(f"| {side}×{side}×{channels} | {direct} | {int(cost.input[at])} | {fast} | {buffered} |")
    return lines


HEAD = (
    "# Is the number true\n\nWritten by `make validate` (`benchmarks/validate.py`). The machine in RTL, which "
    "shows that the laws can be built, has a page of its own: [rtl.md](rtl.md).\n"
)

PARTS = {
    "NVDLA's sheet": (
        "NVIDIA publishes a sheet with its estimate of ResNet-50 on NVDLA, layer by layer "
        "(`benchmarks/published`). Its rule is the longer of DRAM and multiplying, summed over the layers. "
        "`benchmarks/published_nvdla.py` says it again, and gives every row of the sheet exactly, in all three "
        "columns (`tests/test_published.py`). So its errors can be mended one after the other:\n"
    ),
    "Our scheduler on NVDLA's resources": (
        "The same multipliers, rate and buffer as a machine file (`benchmarks/published/nvdla.toml`), two "
        "configurations: `k128 r16`, direct or Winograd. Weights are stored plain. Without fusion it comes within some "
        "per cent of the sheet: what is left is that a tensor which fits the buffer stays there, and is read once for "
        "two branches.\n"
    ),
    "FEATHER": (
        "The artifact of FEATHER (ISCA 2024) has the cycles of every convolution of two networks on 256 lanes that "
        "may take any dataflow (`benchmarks/published/feather.csv`). Our law, on 256 lanes that may take any "
        "configuration, needs as many. One row of ResNet-50 (5) is four times what its lanes need, and three (15, 28, "
        "47: 1×1, stride 2) are below it: no schedule on 256 multipliers does them in the cycles given. In MobileNetV3 "
        "what differs by more than 5 % are five layers where powers of two fit badly.\n"
    ),
    "InferX X1": (
        "In 2019, before there was silicon, 11.4 frames per second were announced for YOLOv3 at two megapixels, on "
        "4096 multipliers at 1.067 GHz with 8 MB of SRAM and one LPDDR4 channel; Winograd was said to make YOLOv3 "
        "1.7 times faster (sources in `benchmarks/published_x1.py`). `edge4k` is made after the part that came "
        "later. Its laws on the announced clock and memory, one difference at a time, each from the first row:\n"
    ),
    "The floor of the weights": "",
    "Why Winograd is quickest where nothing is saved": (
        "A 3×3 depthwise layer is bound by its input, and the law of a direct pass reads a row of input once per "
        "kernel row. Winograd's tiles read four rows for two rows of output: it wins by sharing rows, not by "
        "multiplying less. A line buffer would read each row once, and direct would be quickest; `edge4k` has none:\n"
    ),
    "What edge4k idealises": (
        "Each row takes one idealisation away, and plans again. The keys are those of every machine file; "
        "`edge4k-real` has them all. Energy is no part of the table: there `edge4k-real` counts SRAM at the cost "
        "of a bank of 1 MB, ten times that of the 8 KB that `edge4k` counts (Horowitz, ISSCC 2014).\n"
    ),
}


def main(names: Sequence[str]) -> int:
    """Measure everything and write the page."""
    bodies = (
        published_nvdla.table(),
        ours(),
        published_feather.table(),
        published_x1.table(),
        floor(),
        rows(),
        priced(names or NETWORKS),
    )
    text = [HEAD]
    for (title, says), body in zip(PARTS.items(), bodies, strict=True):
        text.append("\n".join([f"## {title}\n", *([says] if says else []), *body, ""]))
    PAGE.write_text("\n".join(text), encoding="utf-8")
    print(f"{PAGE.name} is written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
