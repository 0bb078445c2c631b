"""The laws of time against counts made one by one, as machine.md words them, and its worked examples."""

from __future__ import annotations

import dataclasses
import itertools
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.machine import description as machine
from sim.machine import laws
from sim.machine.description import Machine
from tests.sim.support import EDGE, changed

POWERS = st.sampled_from([1, 2, 4, 8, 16])
RIGID = changed(EDGE, array={"flatten": False})
SLOW = changed(EDGE, streams={"residual": 8})
PORTS = ("input", "output", "residual")


def shape(**values: Any) -> dict[str, int]:
    """A convolution's extents, with the defaults of a plain one."""
    return {
        "groups": 1,
        "outputs": 1,
        "inputs": 1,
        "fy": 1,
        "fx": 1,
        "sx": 1,
        "dx": 1,
        "oy": 1,
        "ox": 1,
        "last": 1,
        "residual": 0,
        **values,
    }


def blocks(total: int, size: int) -> list[int]:
    """Lengths of the blocks into which ``total`` things fall, ``size`` at a time."""
    return [min(size, total - start) for start in range(0, total, size)]


def count_conv(target: Machine, winograd: bool, g: int, k: int, r: int, p: int, s: dict[str, int]) -> dict[str, int]:
    """Everything the law of conv counts, counted piece by piece."""
    width = len(blocks(s["ox"], 2)) if winograd else s["ox"]
    height = len(blocks(s["oy"], 2)) if winograd else s["oy"]
    pixels = [(y, x) for y in range(height) for x in range(width)]
    taps = s["fy"] * s["fx"]
    if winograd:
        steps = 16 * len(blocks(s["inputs"], r))
    elif target.array.flatten:
        steps = len(blocks(s["inputs"] * taps, r))
    else:
        steps = sum(len(blocks(s["inputs"], r)) for _ in range(taps))
    pixel_blocks = [pixels[i : i + p] for i in range(0, len(pixels), p)]
    mac = sum(steps for _ in blocks(s["groups"], g) for _ in blocks(s["outputs"], k) for _ in pixel_blocks)
    pieces = [[x for y, x in block if y == row] for block in pixel_blocks for row in range(height)]
    pieces = [piece for piece in pieces if piece]
    columns = 0
    for piece in pieces:
        if winograd:
            columns += len({2 * x + i for x in piece for i in range(4)})
        elif s["dx"] == 1 or s["fx"] == 1:
            columns += len({s["sx"] * x + i for x in piece for i in range(s["fx"])})
        else:
            columns += len(piece) * s["fx"]
    rows = 4 if winograd else s["fy"]
    granules = sum(16 * ceil(n * s["inputs"] / 16) for n in blocks(s["groups"], g))
    channels = s["groups"] * s["outputs"]
    read = sum(rows * columns * granules for _ in blocks(s["outputs"], k)) + (8 * channels if s["last"] else 0)
    pixels_out, number = range(s["oy"] * s["ox"]), 4 if s["last"] == 2 else 1
    written = sum(16 * ceil(number * channels / 16) for _ in pixels_out) if s["last"] else 0
    added = sum(16 * ceil(channels / 16) for _ in pixels_out) if s["last"] and s["residual"] else 0
    rates = target.streams
    return {
        "steps": steps,
        "compute": mac,
        "segments": len(pieces),
        "columns": columns,
        "input_bytes": read,
        "output_bytes": written,
        "residual_bytes": added,
        "busy": 32 + max(mac, ceil(read / rates.input), ceil(written / rates.output), ceil(added / rates.residual)),
        "words": sum(steps for _ in blocks(s["groups"], g) for _ in blocks(s["outputs"], k)),
        "accumulators": channels * len(pixels) * (16 if winograd else 1),
    }


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(POWERS, POWERS, POWERS, POWERS),
    st.fixed_dictionaries(
        {
            "groups": st.integers(1, 20),
            "outputs": st.integers(1, 20),
            "inputs": st.integers(1, 40),
            "fy": st.integers(1, 7),
            "fx": st.integers(1, 7),
            "sx": st.integers(1, 4),
            "dx": st.integers(1, 3),
            "oy": st.integers(1, 9),
            "ox": st.integers(1, 9),
            "last": st.integers(0, 2),
            "residual": st.integers(0, 2),
        }
    ),
    st.sampled_from(["direct", "rigid", "slow", "winograd"]),
)
def test_conv(unrolling: tuple[int, int, int, int], s: dict[str, int], kind: str) -> None:
    if kind == "winograd":
        s |= {"fy": 3, "fx": 3, "sx": 1, "dx": 1}
    target = {"rigid": RIGID, "slow": SLOW}.get(kind, EDGE)
    g, k, r, p = unrolling
    cost = laws.conv(target, winograd=kind == "winograd", g=g, k=k, r=r, p=p, **s)
    assert {name: int(getattr(cost, name)) for name in vars(cost) if name not in PORTS} == count_conv(
        target, kind == "winograd", g, k, r, p, s
    )
    assert int(
        laws.words(target, kind == "winograd", g, k, r, s["groups"], s["outputs"], s["inputs"], s["fy"], s["fx"])
    ) == int(cost.words)


def test_conv_in_bulk_equals_one_by_one() -> None:
    oy = np.arange(1, 20)
    many = laws.conv(EDGE, winograd=False, g=1, k=64, r=16, p=4, **shape(oy=oy, ox=7, outputs=65, fx=3))
    for index, rows in enumerate(oy.tolist()):
        one = laws.conv(EDGE, winograd=False, g=1, k=64, r=16, p=4, **shape(oy=rows, ox=7, outputs=65, fx=3))
        assert int(many.busy[index]) == int(one.busy)


EXAMPLES: list[tuple[str, tuple[int, int, int, int], dict[str, int], tuple[int, ...]]] = [
    (
        "direct",
        (1, 64, 16, 4),
        shape(oy=16, ox=112, inputs=3, fy=7, fx=7, sx=2, outputs=64),
        (10, 4480, 448, 5824, 652_800, 114_688, 10, 4512),
    ),
    (
        "winograd",
        (1, 64, 16, 4),
        shape(oy=8, ox=56, inputs=64, fy=3, fx=3, outputs=64),
        (64, 1792, 28, 280, 72_192, 28_672, 64, 1824),
    ),
    (
        "direct",
        (512, 1, 1, 8),
        shape(oy=14, ox=14, groups=512, fy=3, fx=3),
        (9, 225, 35, 266, 412_672, 100_352, 9, 838),
    ),
    ("direct", (1, 64, 64, 1), shape(inputs=2048, outputs=256), (32, 128, 1, 1, 10_240, 256, 128, 160)),
]


@pytest.mark.parametrize(
    ("algorithm", "unrolling", "s", "expected"), EXAMPLES, ids=["stem", "winograd", "depthwise", "fully_connected"]
)
def test_worked_examples(
    algorithm: str, unrolling: tuple[int, int, int, int], s: dict[str, int], expected: tuple[int, ...]
) -> None:
    g, k, r, p = unrolling
    cost = laws.conv(EDGE, winograd=algorithm == "winograd", g=g, k=k, r=r, p=p, **s)
    got = (
        cost.steps,
        cost.compute,
        cost.segments,
        cost.columns,
        cost.input_bytes,
        cost.output_bytes,
        cost.words,
        cost.busy,
    )
    assert tuple(int(value) for value in got) == expected


def test_worked_example_load() -> None:
    moved = laws.transfer(64, 0, 28_672)
    assert (moved.runs, moved.bursts, moved.bytes) == (1, 448, 28_672)
    assert int(laws.channel(EDGE, moved.runs, moved.bursts)) == 1644
    whole = laws.transfer(64, 0, EDGE.configuration.image_bytes)
    assert 0.9e-6 < int(laws.channel(EDGE, whole.runs, whole.bursts)) / EDGE.clock_hz < 1.1e-6


def count_transfer(
    burst: int, address: int, size: int, counts: tuple[int, int], strides: tuple[int, int]
) -> tuple[int, int, int]:
    """Runs, bursts and bytes: rows of stretches, merged where a whole dimension is contiguous."""
    (count1, count2), (stride1, stride2) = counts, strides
    rows = [[(address + i * stride2 + j * stride1, size) for j in range(count1)] for i in range(count2)]

    def merged(stretches: list[tuple[int, int]]) -> list[tuple[int, int]]:
        if all(a + n == b for (a, n), (b, _) in itertools.pairwise(stretches)):
            return [(stretches[0][0], sum(n for _, n in stretches))]
        return stretches

    rows = [merged(row) for row in rows]
    runs = merged([row[0] for row in rows]) if len(rows[0]) == 1 else [run for row in rows for run in row]
    bursts = sum(len({byte // burst for byte in range(start, start + length)}) for start, length in runs)
    return len(runs), bursts, size * count1 * count2


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 300),
    st.integers(1, 150),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(0, 300),
    st.integers(0, 900),
    st.booleans(),
    st.booleans(),
)
def test_transfer(
    address: int, size: int, count1: int, count2: int, stride1: int, stride2: int, tight1: bool, tight2: bool
) -> None:
    stride1 = size if tight1 else stride1
    stride2 = stride1 * count1 if tight2 else stride2
    moved = laws.transfer(64, address, size, count1, stride1, count2, stride2)
    expected = count_transfer(64, address, size, (count1, count2), (stride1, stride2))
    assert (moved.runs, moved.bursts, moved.bytes) == expected


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.sampled_from(machine.names()))
def test_channel(runs: int, bursts: int, name: str) -> None:
    target = machine.load(name)
    dram = target.dram
    rate = Fraction(dram.bytes_per_second, target.clock_hz) * (1 - Fraction(dram.refresh_per_mille, 1000))
    assert int(laws.channel(target, runs, bursts)) == max(ceil(dram.burst * bursts / rate), runs)


@given(st.integers(1, 2_000_000))
def test_fill_and_configure(size: int) -> None:
    assert int(laws.fill(EDGE, size)) == 16 + ceil(size / 256)
    assert laws.configure(EDGE) == 64


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["add", "copy", "max_pool", "average_pool", "global_average_pool", "resize", "lrn"]),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(1, 40),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
)
def test_vector(
    op: str, oy: int, ox: int, channels: int, f: tuple[int, int], s: tuple[int, int], i: tuple[int, int]
) -> None:
    run = 16 * ceil(channels / 16)
    outputs = [(y, x) for y in range(oy) for x in range(ox)]
    if op in ("max_pool", "average_pool"):
        # A row of windows reads each input column from its first to its last once per kernel row.
        read = sum(1 for _ in range(oy) for _ in range(f[0]) for _ in range((ox - 1) * s[1] + f[1]))
    elif op == "global_average_pool":
        read = sum(1 for _ in range(i[0]) for _ in range(i[1]))
    elif op == "resize":
        read = len({(y // s[0], x // s[1]) for y, x in outputs})
    else:
        read = len(outputs)
    cycles = laws.vector(
        EDGE, op, oy=oy, ox=ox, channels=channels, fy=f[0], fx=f[1], sy=s[0], sx=s[1], iy=i[0], ix=i[1]
    )
    assert int(cycles) == 16 + ceil(max(read, len(outputs)) * run / 256)


def test_the_channel_is_exact_at_rates_that_divide_badly() -> None:
    """Rates whose denominator, times the bytes of a transfer, is beyond 64 bits."""
    base = machine.load("edge4k")
    dram = dataclasses.replace(base.dram, bytes_per_second=17_064_000_001, refresh_per_mille=47)
    odd = dataclasses.replace(base, clock_hz=99_999_999_977, dram=dram)
    bursts = np.array([1, 1000, 200_000, 3_000_000], np.int64)
    exact = [ceil(64 * int(count) / odd.dram_rate) for count in bursts]
    assert laws.channel(odd, np.ones(4, np.int64), bursts).tolist() == exact
    assert [int(laws.channel(odd, 1, int(count))) for count in bursts] == exact
