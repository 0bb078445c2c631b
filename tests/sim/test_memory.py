"""Loads, stores and operands against single bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.machine import encoding
from sim.memory import Box, Memory, Violation, contiguous
from tests.sim.support import engine


@st.composite
def copies(draw: st.DrawFn) -> dict[str, Any]:
    """A strided copy with gaps and perhaps a ring."""

    def number(low: int, high: int) -> int:
        return draw(st.integers(low, high))

    f: dict[str, Any] = {"bytes": number(1, 9), "count1": number(1, 4), "count2": number(1, 5)}
    for side in ("dram", "sram"):
        f[f"{side}_stride1"] = f["bytes"] + number(0, 3)
        f[f"{side}_stride2"] = f[f"{side}_stride1"] * f["count1"] + number(0, 5)
        f[side] = number(0, 100)
    return {**f, "ring": draw(st.sampled_from([0, f["count2"], f["count2"] + 2])), "row": number(0, 6)}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["load", "store"]), copies(), st.integers(0, 2**32))
def test_copies(name: str, f: dict[str, Any], seed: int) -> None:
    rng = np.random.default_rng(seed)
    made = engine(dram_bytes=4096)
    for memory in (made.dram, made.sram):
        memory.preset(0, rng.integers(0, 256, memory.size, dtype=np.uint8))
    dram, sram = made.dram.data.copy(), made.sram.data.copy()
    for i in range(f["count2"]):
        slot = (f["row"] + i) % f["ring"] if f["ring"] else f["row"] + i
        for j in range(f["count1"]):
            for n in range(f["bytes"]):
                there = f["dram"] + i * f["dram_stride2"] + j * f["dram_stride1"] + n
                here = f["sram"] + slot * f["sram_stride2"] + j * f["sram_stride1"] + n
                if name == "load":
                    sram[here] = made.dram.data[there]
                else:
                    dram[there] = made.sram.data[here]
    made.execute(name, {**encoding.defaults(name), **f})
    np.testing.assert_array_equal(made.dram.data, dram)
    np.testing.assert_array_equal(made.sram.data, sram)


@given(st.integers(1, 4), st.integers(0, 12), st.integers(1, 4), st.integers(0, 12), st.integers(1, 5))
def test_a_block_knows_whether_it_overlaps_itself(
    rows: int, row_stride: int, columns: int, stride: int, run: int
) -> None:
    starts = [i * row_stride + j * stride for i in range(rows) for j in range(columns)]
    touched = [start + n for start in starts for n in range(run)]
    box = Box(7, rows, row_stride, columns, stride, run)
    assert box.overlaps_itself() == (len(set(touched)) < len(touched))
    assert box.end == 7 + max(touched) + 1


def test_what_is_given_has_no_marks_and_ends_where_it_ends() -> None:
    memory = Memory("DRAM", 200)
    memory.preset(0, np.arange(100, dtype=np.uint8))
    memory.preset(150, np.arange(10, dtype=np.uint8))
    assert np.flatnonzero(memory.written).tolist() == list(range(150, 160))
    assert memory.read(contiguous(60, 40)).ravel().tolist() == list(range(60, 100))
    with pytest.raises(Violation, match="reads byte 0x64 of DRAM, which no instruction of this run has written"):
        memory.read(contiguous(90, 20))
    with pytest.raises(Violation, match="reads byte 0x78 of DRAM"):
        memory.read(Box(20, 2, 100, 1, 0, 10))
    memory.write(contiguous(95, 15), np.zeros(15, np.uint8))
    assert memory.read(contiguous(90, 20)).ravel().tolist() == [90, 91, 92, 93, 94, *[0] * 15]
    assert memory.read(contiguous(150, 10)).size == 10
