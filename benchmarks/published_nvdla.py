"""How NVIDIA's public sheet for NVDLA counts ResNet-50, its errors, and what is left when they are mended.

A layer takes the longer of its DRAM cycles and its multiplying cycles; the network is the sum. All of the input, the
output, the weights and the second operand of a sum cross the channel, at 100 cycles per KiB. Multiplying takes
height · width · kernel² · inputs · outputs / 2048, inputs in fours and outputs in 128s, a 2.25th of that for Winograd.
Weights of Winograd layers are stored expanded, 16/9 as large.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

SHEET = Path(__file__).resolve().parent / "published" / "nvdla_resnet50.csv"
LANES = 2048
CLOCK = 1_000_000_000
PUBLISHED = 7_113_691
"""Cycles of ResNet-50 in the sheet: 140.6 frames per second."""


@dataclass(frozen=True)
class Layer:
    """A row of the sheet: its shape, KiB of each tensor, and ``published``: DRAM, multiplying and layer cycles."""

    name: str
    inputs: int
    outputs: int
    kernel: int
    stride: int
    pixels: int
    winograd: bool
    sums: bool
    input: Fraction
    output: Fraction
    weights: Fraction
    published: tuple[int, int, int]
    reads: int = 1
    kib: Fraction = Fraction(100)
    """Cycles that a KiB takes on the channel."""

    @property
    def dram(self) -> int:
        """Cycles on the channel."""
        moved = self.reads * self.input + (2 if self.sums else 1) * self.output + self.weights
        return math.ceil(moved * self.kib)

    @property
    def multiply(self) -> int:
        """Cycles of the multipliers; a matrix product of one pixel has no channels to fill up."""
        if self.pixels == 1:
            return self.inputs * self.outputs // LANES
        macs = self.pixels * self.kernel**2 * _up(self.inputs, 4) * _up(self.outputs, 128)
        return math.ceil(Fraction(macs, LANES) / (Fraction(9, 4) if self.winograd else 1))

    @property
    def cycles(self) -> int:
        """Cycles of the layer."""
        return max(self.dram, self.multiply)


def _up(number: int, unit: int) -> int:
    return -(-number // unit) * unit


def _row(row: Mapping[str, str]) -> Layer:
    number = {key: int(row[key]) for key in ("inputs", "outputs", "kernel", "stride", "height", "width")}
    kib = {key: Fraction(row[f"{key}_kib"]) for key in ("input", "output", "weight")}
    published = int(row["dram_cycles"]), int(row["mac_cycles"]), int(row["cycles"])
    return Layer(
        row["layer"], number["inputs"], number["outputs"], number["kernel"], number["stride"],
        number["height"] * number["width"], row["winograd"] == "1", row["elementwise"] == "1",
        kib["input"], kib["output"], kib["weight"], published,
        # the one layer whose weights, as the sheet has them, fill the buffer: it reads its input twice
        reads=2 if kib["weight"] >= 512 and kib["input"] > 512 else 1,
    )  # fmt: skip


def sheet() -> list[Layer]:
    """The rows as they are published."""
    with SHEET.open(encoding="utf-8") as file:
        return [_row(row) for row in csv.DictReader(file)]


def weights_once(layer: Layer) -> Layer:
    """1×1 layers of stride 2 have the weights that they have, not four times as many, and fit the buffer."""
    if layer.kernel != 1 or layer.stride != 2:
        return layer
    return replace(layer, weights=layer.weights / 4, reads=1)


def first_block(layer: Layer) -> Layer:
    """The first 1×1 layer of the first block has 64 input channels, not 256."""
    if layer.name != "Res2a_branch2a":
        return layer
    return replace(layer, inputs=64, input=layer.input / 4, weights=layer.weights / 4)


def whole_kib(layer: Layer) -> Layer:
    """A KiB is 1024 bytes: 102.4 cycles at 10 bytes per cycle."""
    return replace(layer, kib=Fraction(1024, 10))


def plain_weights(layer: Layer) -> Layer:
    """Winograd's weights are stored as they are, and expanded on the way in."""
    return replace(layer, weights=layer.weights * Fraction(9, 16)) if layer.winograd else layer


def direct(layer: Layer) -> Layer:
    """No Winograd: plain weights, every multiplication."""
    return replace(plain_weights(layer), winograd=False)


def whole(layer: Layer) -> Layer:
    """All three errors mended."""
    return whole_kib(first_block(weights_once(layer)))


Mend = Callable[[Layer], Layer]

STEPS: tuple[tuple[str, tuple[Mend, ...]], ...] = (
    ("as published", ()),
    ("1×1 layers of stride 2 count their weights once", (weights_once,)),
    ("and the first block has 64 channels where it has 64", (weights_once, first_block)),
    ("and a KiB is 1024 bytes: **the mended sheet**", (whole,)),
    ("and Winograd's weights are stored plain", (whole, plain_weights)),
    ("mended, no Winograd", (whole, direct)),
)


def total(mends: Iterable[Mend]) -> int:
    """Cycles of the network after some mends."""
    layers = sheet()
    for mend in mends:
        layers = [mend(layer) for layer in layers]
    return sum(layer.cycles for layer in layers)


def choice() -> int:
    """Cycles of the mended network where each layer takes Winograd or not, whichever is quicker."""
    return sum(min(whole(layer).cycles, direct(whole(layer)).cycles) for layer in sheet())


def table() -> list[str]:
    """The steps from the published figure to the mended one, as lines of Markdown."""
    lines = ["| ResNet-50, per frame | cycles | frames/s |", "|---|---|---|"]
    for what, mends in STEPS:
        cycles = total(mends)
        lines.append(f"| {what} | {cycles:,} | {CLOCK / cycles:.1f} |")
    quicker = choice()
    lines.append(f"| mended, Winograd or not layer by layer | {quicker:,} | {CLOCK / quicker:.1f} |")
    return lines
