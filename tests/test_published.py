"""Published figures: our reading of NVDLA's sheet gives every row of it, and the mended totals."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))

import published_nvdla as nvdla

from sim.machine.description import load


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
