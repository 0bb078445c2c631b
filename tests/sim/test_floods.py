"""Floods: legal fields whose counts would keep the simulator busy for days or take all memory are refused at once."""

from __future__ import annotations

import numpy as np
import pytest

from sim import simulator
from sim.machine.errors import Fault
from sim.memory import Box
from tests.sim.support import program
from tests.sim.test_faults import CONSTANTS, last_reason


def test_floods_are_refused_before_anything_is_gathered() -> None:
    """Legal fields, and counts that would keep the simulator busy for days or take all memory."""
    twice = "it writes some bytes of SRAM twice: its strides let its own runs overlap."
    assert last_reason("load bytes=1 count1=16777216 count2=4096", constants=CONSTANTS) == twice
    copied = "load bytes=4096\nvector op=copy oy=65535 ox=65535 channels=1 ra=1.0 | wait load 1"
    assert last_reason(copied, constants=CONSTANTS) == (
        "it reads 4,294,836,225 bytes of SRAM, and no instruction may read more than 67,108,864."
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("load bytes=1 count1=16777216 count2=4096", "68,719,476,736 bytes to where there is room for 65,536"),
        (
            "store bytes=1 count1=16777216 count2=16777216",
            "281,474,976,710,656 bytes to where there is room for {dram:,}",
        ),
    ],
)
def test_floods_are_not_timed_either(text: str, sentence: str) -> None:
    made = program(text, constants=CONSTANTS)
    with pytest.raises(Fault) as caught:
        simulator.simulate(made, {}, timing_only=True)
    assert str(caught.value) == (
        f"Instruction 0 of layer 'stem' ({text}) stops the machine: it moves {sentence.format(dram=made.dram_bytes)}."
    ).replace("bytes=1 ", "")


def test_bytes_that_are_read_again_and_again_are_looked_at_once() -> None:
    rng = np.random.default_rng(3)
    for _ in range(300):
        start, rows, row_stride, columns, column_stride = rng.integers(0, [5, 5, 9, 5, 6]).tolist()
        box = Box(start, rows + 1, row_stride, columns + 1, column_stride, int(rng.integers(1, 6)))

        def touched(box: Box) -> set[int]:
            return {
                box.start + row * box.row_stride + column * box.column_stride + byte
                for row in range(box.rows)
                for column in range(box.columns)
                for byte in range(box.run)
            }

        once = box.once()
        assert touched(once) == touched(box)
        assert once.rows * once.columns * once.run <= box.rows * box.columns * box.run
