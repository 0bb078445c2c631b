"""The laws of time: how many cycles each instruction keeps its engine busy, in whole cycles and in bulk.

Every function takes numbers or numpy arrays (int64, broadcast against each other) and returns int64 arrays, so that a
planner can weigh thousands of candidates at once and the simulator a whole program. The planner, the simulator and
the manual have no other formula.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.machine.description import Machine
from sim.machine.isa import PARAMETER_BYTES
from sim.machine.operations import operation

Numbers = Any
"""A Python int or an int64 array."""

GRANULE = 16
"""Bytes in which channel runs are counted on the streams."""

FLOAT = 2
"""``last`` of a ``conv`` whose result is float32, neither rounded nor clamped."""


def channel_bytes(last: Numbers) -> Any:
    """Bytes of one output channel of a last pass."""
    return np.where(np.asarray(last) == FLOAT, 4, 1)


def ceil_div(a: Numbers, b: Numbers) -> Any:
    """a / b rounded up, for whole numbers."""
    return -(-a // b)


@dataclass(frozen=True)
class ConvCost:
    """What one ``conv`` asks of the machine; every member is int64, one entry per candidate.

    ``compute``, ``input``, ``output`` and ``residual`` are cycles of the four concurrent streams; ``busy`` is the
    longest of them plus the overhead. ``words`` are the words of an L1 half its weights take, ``accumulators`` those it
    takes unless it is first and last.
    """

    steps: npt.NDArray[np.int64]
    segments: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    input_bytes: npt.NDArray[np.int64]
    output_bytes: npt.NDArray[np.int64]
    residual_bytes: npt.NDArray[np.int64]
    compute: npt.NDArray[np.int64]
    input: npt.NDArray[np.int64]
    output: npt.NDArray[np.int64]
    residual: npt.NDArray[np.int64]
    busy: npt.NDArray[np.int64]
    words: npt.NDArray[np.int64]
    accumulators: npt.NDArray[np.int64]


def steps(machine: Machine, winograd: Numbers, r: Numbers, inputs: Numbers, fy: Numbers, fx: Numbers) -> Any:
    """Cycles one output block's reduction takes: also the words per (group block, channel block) of an L1 half."""
    direct = ceil_div(inputs * fy * fx, r) if machine.array.flatten else fy * fx * ceil_div(inputs, r)
    return np.where(winograd, 16 * ceil_div(inputs, r), direct)


def words(
    machine: Machine,
    winograd: Numbers,
    g: Numbers,
    k: Numbers,
    r: Numbers,
    groups: Numbers,
    outputs: Numbers,
    inputs: Numbers,
    fy: Numbers,
    fx: Numbers,
) -> Any:
    """Words of an L1 half that these weights take in this layout (limit: ``array.half_words``).

    Many parameters: the numbers of the law, as the manual names them.
    """
    return ceil_div(groups, g) * ceil_div(outputs, k) * steps(machine, winograd, r, inputs, fy, fx)


def conv(
    machine: Machine,
    *,
    winograd: Numbers,
    g: Numbers,
    k: Numbers,
    r: Numbers,
    p: Numbers,
    groups: Numbers,
    outputs: Numbers,
    inputs: Numbers,
    fy: Numbers,
    fx: Numbers,
    sx: Numbers,
    dx: Numbers,
    oy: Numbers,
    ox: Numbers,
    last: Numbers,
    residual: Numbers,
) -> ConvCost:
    """The law of ``conv``.

    ``winograd`` and ``residual`` (whether one is added) are true or false, ``last`` is 0, 1 or (a float32 result) 2;
    g, k, r, p are the active configuration; groups, outputs and inputs the Gt, Kt and Ct of the pass; oy × ox its
    output rectangle.

    Long, with many parameters: one formula, line by line and by the names that the manual gives.
    """
    arrays = np.broadcast_arrays(
        *(np.asarray(value, np.int64) for value in (winograd, g, k, r, p, groups, outputs, inputs)),
        *(np.asarray(value, np.int64) for value in (fy, fx, sx, dx, oy, ox, last, residual)),
    )
    winograd, g, k, r, p, groups, outputs, inputs, fy, fx, sx, dx, oy, ox, last, residual = arrays
    winograd = winograd.astype(bool)
    reduction = steps(machine, winograd, r, inputs, fy, fx)
    height = np.where(winograd, ceil_div(oy, 2), oy)
    width = np.where(winograd, ceil_div(ox, 2), ox)
    pixels = height * width
    pixel_blocks = ceil_div(pixels, p)
    compute = ceil_div(groups, g) * ceil_div(outputs, k) * pixel_blocks * reduction
    segments = height + pixel_blocks - 1 - (pixels - 1) // np.lcm(p, width)
    neighbours = pixels * np.minimum(sx, fx) + segments * np.maximum(0, fx - sx)
    columns = np.where(winograd, 2 * pixels + 2 * segments, np.where((dx == 1) | (fx == 1), neighbours, pixels * fx))
    rows = np.where(winograd, 4, fy)
    whole, rest = groups // g, groups % g
    word = whole * GRANULE * ceil_div(g * inputs, GRANULE) + GRANULE * ceil_div(rest * inputs, GRANULE)
    parameters = np.where(last, PARAMETER_BYTES * groups * outputs, 0)
    input_bytes = ceil_div(outputs, k) * rows * columns * word + parameters
    output_bytes = np.where(last, oy * ox * _run(groups * outputs * channel_bytes(last)), 0)
    input_cycles = ceil_div(input_bytes, machine.streams.input)
    output_cycles = ceil_div(output_bytes, machine.streams.output)
    residual_bytes = np.where((last > 0) & (residual > 0), oy * ox * _run(groups * outputs), 0)
    residual_cycles = ceil_div(residual_bytes, machine.streams.residual)
    streams = np.stack([compute, input_cycles, output_cycles, residual_cycles])
    return ConvCost(
        steps=reduction,
        segments=segments,
        columns=columns,
        input_bytes=input_bytes,
        output_bytes=output_bytes,
        residual_bytes=residual_bytes,
        compute=compute,
        input=input_cycles,
        output=output_cycles,
        residual=residual_cycles,
        busy=machine.array.conv_overhead + streams.max(axis=0),
        words=ceil_div(groups, g) * ceil_div(outputs, k) * reduction,
        accumulators=groups * outputs * pixels * np.where(winograd, 16, 1),
    )


def fill(machine: Machine, weight_bytes: Numbers) -> Any:
    """Cycles of ``fill`` for so many bytes in SRAM."""
    return machine.streams.fill_overhead + ceil_div(weight_bytes, machine.streams.weights)


def configure(machine: Machine) -> int:
    """Cycles of ``configure``."""
    return machine.configuration.swap


def _run(channels: Numbers) -> Any:
    return GRANULE * ceil_div(channels, GRANULE)


def vector(
    machine: Machine,
    op: str,
    *,
    oy: Numbers,
    ox: Numbers,
    channels: Numbers,
    fy: Numbers = 1,
    fx: Numbers = 1,
    sy: Numbers = 1,
    sx: Numbers = 1,
    iy: Numbers = 1,
    ix: Numbers = 1,
) -> Any:
    """Cycles of ``vector``: overhead plus the larger of elements written and elements read by one operand.

    Channel runs round up to 16. Pools read ``oy·fy·((ox−1)·sx + fx)`` pixels, a global average each pixel of its
    iy × ix input once, a resize (sy × sx the factors) each of the input's pixels it shows, everything else one pixel
    per output pixel. EncodingError for an operation that the unit has not.

    Many parameters: the numbers of the law, as the manual names them.
    """
    written = oy * ox * _run(channels)
    match operation(op).reads:
        case "window":
            read = oy * fy * ((ox - 1) * sx + fx) * _run(channels)
        case "image":
            read = iy * ix * _run(channels)
        case "repeated":
            read = ceil_div(oy, sy) * ceil_div(ox, sx) * _run(channels)
        case _:
            read = written
    return machine.streams.vector_overhead + ceil_div(np.maximum(written, read), machine.streams.vector)


@dataclass(frozen=True)
class Transfer:
    """A strided copy seen from DRAM: ``runs`` contiguous stretches, ``bursts`` touched in all, ``bytes`` moved."""

    runs: int
    bursts: int
    bytes: int


def transfer(
    burst: int, address: int, size: int, count1: int = 1, stride1: int = 0, count2: int = 1, stride2: int = 0
) -> Transfer:
    """Runs and bursts of a copy of count2 × count1 stretches of ``size`` bytes from ``address`` on.

    Dimensions that are contiguous merge; a burst touched by two runs counts twice.
    """
    moved = size * count1 * count2
    if count1 == 1 or stride1 == size:
        size, count1, stride1 = size * count1, count2, stride2
        count2, stride2 = 1, 0
        if count1 == 1 or stride1 == size:
            size, count1 = size * count1, 1
    elif count2 > 1 and stride2 == count1 * stride1:
        count1, count2 = count1 * count2, 1
    starts = address + np.arange(count1, dtype=np.int64) * stride1
    if count2 > 1:
        starts = (starts[None, :] + (np.arange(count2, dtype=np.int64) * stride2)[:, None]).ravel()
    bursts = (starts + size - 1) // burst - starts // burst + 1
    return Transfer(runs=len(starts), bursts=int(bursts.sum()), bytes=moved)


def channel(machine: Machine, runs: Numbers, bursts: Numbers) -> Any:
    """Cycles a transfer holds the DRAM channel."""
    rate, touched = machine.dram_rate, np.asarray(bursts, np.int64) * machine.dram.burst
    if int(touched.max(initial=0)) * rate.denominator >= 1 << 63:  # an odd rate; only Python's integers hold it
        exact = -(-touched.astype(object) * rate.denominator // rate.numerator)
        return np.maximum(np.asarray(exact).astype(np.int64), runs)
    return np.maximum(ceil_div(touched * rate.denominator, rate.numerator), runs)
