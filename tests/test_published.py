"""Published figures: NVDLA's sheet by its own rule, row by row, and mended; FEATHER's layers by our law."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))

import published_feather as feather
import published_nvdla as nvdla

from sim.machine import laws
from sim.machine.description import load
from tests.sim.support import changed


def test_every_row_of_the_sheet_follows_from_its_rule() -> None:
    layers = nvdla.sheet()
    assert len(layers) == 54
    assert [(layer.dram, layer.multiply, layer.cycles) for layer in layers] == [layer.published for layer in layers]
    assert nvdla.total(()) == nvdla.PUBLISHED


@pytest.mark.parametrize(
    ("mends", "cycles"),
    [
        ((nvdla.weights_once,), 6_027_291),
        ((nvdla.first_block,), 7_053_691),
        ((nvdla.whole,), 6_103_220),
        ((nvdla.whole, nvdla.plain_weights), 5_231_594),
    ],
)
def test_every_error_has_its_price(mends: tuple[nvdla.Mend, ...], cycles: int) -> None:
    assert nvdla.total(mends) == cycles


def test_one_bit_of_reconfiguration_is_worth_a_seventh() -> None:
    assert nvdla.total((nvdla.whole,)) / nvdla.choice() == pytest.approx(1.156, abs=0.001)


def test_the_machine_has_the_sheets_resources() -> None:
    machine = load(str(Path(nvdla.__file__).parent / "published" / "nvdla.toml"))
    assert (machine.array.lanes, machine.clock_hz, machine.sram.bytes) == (nvdla.LANES, nvdla.CLOCK, 512 * 1024)
    assert machine.dram_rate == 10


@pytest.mark.parametrize("network", ["ResNet-50", "MobileNetV3"])
def test_feathers_layers_take_what_our_law_says(network: str) -> None:
    mine = [layer for layer in feather.layers() if layer.network == network]
    assert sum(layer.ours for layer in mine) == pytest.approx(sum(layer.published for layer in mine), rel=0.005)
    near = [layer for layer in mine if abs(layer.ours / layer.published - 1) <= 0.05]
    assert len(mine) - len(near) <= 5


def test_what_256_lanes_cannot_do_is_named() -> None:
    assert [(layer.network, layer.number) for layer in feather.layers() if not layer.possible] == [
        ("ResNet-50", 15), ("ResNet-50", 28), ("ResNet-50", 47)]  # fmt: skip


def test_our_law_of_a_layer_is_the_machines() -> None:
    machine = changed(load("edge4k"), array={"lanes": feather.LANES, "winograd": "none"})
    powers = 2 ** np.arange(9)
    g, k, r, p = (axis.ravel() for axis in np.meshgrid(powers, powers, powers, powers))
    fit = g * k * r * p <= feather.LANES
    for layer in feather.layers()[::7]:
        cost = laws.conv(
            machine, winograd=False, g=g[fit], k=k[fit], r=r[fit], p=p[fit], groups=layer.groups, outputs=layer.outputs,
            inputs=layer.inputs, fy=layer.kernel, fx=layer.kernel, sx=1, dx=1, oy=1, ox=layer.pixels, last=True,
            residual=False,
        )  # fmt: skip
        assert layer.ours == int(cost.compute.min())
