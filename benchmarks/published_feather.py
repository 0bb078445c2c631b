"""FEATHER's published cycles per layer, and what our law makes of the same layers on as many lanes.

FEATHER may give any dataflow to any layer, as our machines may: each layer takes the configuration that ends first,
``⌈Gt/g⌉·⌈Kt/k⌉·⌈P/p⌉·⌈Ct·fy·fx/r⌉``. No Winograd, no streams, no DRAM: the published cycles have none.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

TABLE = Path(__file__).resolve().parent / "published" / "feather.csv"
LANES = 256


@dataclass(frozen=True)
class Layer:
    """A convolution of the table; ``groups`` is 1, or the channels of a depthwise one."""

    network: str
    number: int
    groups: int
    inputs: int
    outputs: int
    kernel: int
    pixels: int
    published: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.groups * self.inputs * self.outputs * self.kernel**2 * self.pixels

    @property
    def ours(self) -> int:
        """Cycles of the best configuration of so many lanes."""
        powers = 2 ** np.arange(LANES.bit_length(), dtype=np.int64)
        g, k, r, p = (axis.ravel() for axis in np.meshgrid(powers, powers, powers, powers))
        fit = g * k * r * p <= LANES
        blocks = -(-self.groups // g) * -(-self.outputs // k) * -(-self.pixels // p)
        return int((blocks * -(-self.inputs * self.kernel**2 // r))[fit].min())

    @property
    def possible(self) -> bool:
        """Whether so many lanes can do its multiplications in the published cycles."""
        return self.macs <= LANES * self.published


def layers() -> list[Layer]:
    """The table. Kernels larger than 1 over as many outputs as inputs in MobileNetV3 are its depthwise layers."""
    found: list[Layer] = []
    with TABLE.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            n = {key: int(value) for key, value in row.items() if key != "network"}
            depthwise = row["network"] == "MobileNetV3" and n["kernel"] > 1 and n["inputs"] == n["outputs"]
            shape = (n["inputs"], 1, 1) if depthwise else (1, n["inputs"], n["outputs"])
            pixels = n["height"] * n["width"]
            found.append(Layer(row["network"], n["number"], *shape, n["kernel"], pixels, n["cycles"]))
    return found


def table() -> list[str]:
    """Sums per network, over the layers that are possible and over all, as lines of Markdown."""
    lines = ["| network | layers | MACs / 256 | FEATHER | ours | ours / FEATHER |", "|---|---|---|---|---|---|"]
    for network in ("ResNet-50", "MobileNetV3"):
        mine = [layer for layer in layers() if layer.network == network]
        lines.append(_row(network, mine))
        sound = [layer for layer in mine if layer.possible]
        if len(sound) < len(mine):
            lines.append(_row(f"{network}, possible ones", sound))
    return lines


def _row(what: str, mine: Sequence[Layer]) -> str:
    ideal = sum(layer.macs for layer in mine) // LANES
    published, ours = sum(layer.published for layer in mine), sum(layer.ours for layer in mine)
    return f"| {what} | {len(mine)} | {ideal:,} | {published:,} | {ours:,} | {ours / published:.3f} |"
