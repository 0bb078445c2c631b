"""The laws of the second clock: what one instruction asks of its engine or of the channel, counted.

Where the manual (sections 2 and 4) gives a closed formula, the quantity it stands for is enumerated instead: pixel
blocks, row pieces, input columns, words, granules, runs and bursts. Integers and exact rationals only.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from sim.machine.description import Configuration, Machine

DIRECT, WINOGRAD = 0, 1
COPY, ADD, MUL, MAX_POOL, AVERAGE_POOL, GLOBAL_AVERAGE_POOL, AFFINE, TABLE, RESIZE, LRN, SHUFFLE = range(11)
GRANULE = 16
"""Bytes (or channels) to which the streams round a run of channels up."""

Fields = Mapping[str, int | float]


def blocks(count: int, size: int) -> list[int]:
    """Cut ``count`` things into blocks of ``size``; the lengths of the blocks, the last perhaps shorter."""
    lengths: list[int] = []
    while count > 0:
        lengths.append(min(size, count))
        count -= size
    return lengths


def cycles_to_move(amount: int | Fraction, rate: int | Fraction) -> int:
    """Whole cycles until ``amount`` has passed at ``rate`` per cycle."""
    exact = Fraction(amount) / Fraction(rate)
    whole = exact.numerator // exact.denominator
    return whole if whole == exact else whole + 1


def granules(channels: int) -> int:
    """Bytes of a run of ``channels`` bytes in whole granules."""
    return sum(GRANULE for _ in range(0, channels, GRANULE))


@functools.lru_cache(maxsize=4096)
def row_pieces(rows: int, columns: int, p: int) -> tuple[tuple[int, ...], ...]:
    """The pieces into which blocks of ``p`` consecutive pixels fall at the ends of rows, each as its x positions."""
    pieces: dict[tuple[int, int], list[int]] = {}
    for pixel in range(rows * columns):
        y, x = divmod(pixel, columns)
        pieces.setdefault((pixel // p, y), []).append(x)
    return tuple(tuple(piece) for piece in pieces.values())


@functools.lru_cache(maxsize=4096)
def input_columns(rows: int, columns: int, p: int, taps: int, stride: int, shared: bool) -> int:
    """Input columns fetched per kernel row: neighbours within a row piece share them, or (not ``shared``) nothing."""
    fetched = 0
    for piece in row_pieces(rows, columns, p):
        if shared:
            fetched += len({x * stride + tap for x in piece for tap in range(taps)})
        else:
            fetched += sum(1 for _ in piece for _ in range(taps))
    return fetched


@functools.lru_cache(maxsize=4096)
def reduction_steps(algorithm: int, inputs: int, fy: int, fx: int, r: int, flatten: bool) -> int:
    """Cycles one block of groups, outputs and pixels spends on its reduction, counted over its elements."""
    if algorithm == WINOGRAD:
        return sum(1 for _ in range(4 * 4) for _ in blocks(inputs, r))
    if flatten:
        return len({element // r for element in range(fy * fx * inputs)})
    return len({(tap, channel // r) for tap in range(fy * fx) for channel in range(inputs)})


@dataclass(frozen=True)
class ConvCost:
    """What a convolution pass costs: MAC cycles, bytes in and out, words of a half, accumulators, busy cycles."""

    steps: int
    mac: int
    segs: int
    cols: int
    bytes_in: int
    bytes_out: int
    words: int
    accumulators: int
    busy: int


def conv_cost(machine: Machine, configuration: Configuration, conv: Fields) -> ConvCost:
    """The law of ``conv`` for the fields of one instruction under the active configuration."""
    algorithm = WINOGRAD if configuration.algorithm == "winograd" else DIRECT
    groups, outputs, inputs = ints(conv, "groups", "outputs", "inputs")
    fy, fx, sx, dx, oy, ox = ints(conv, "fy", "fx", "sx", "dx", "oy", "ox")
    last = bool(conv["last"])
    if algorithm == WINOGRAD:  # tiles of 2 by 2 outputs, each from 4 by 4 inputs
        height, width = len(blocks(oy, 2)), len(blocks(ox, 2))
        rows, taps, stride, shared = 4, 4, 2, True
    else:
        height, width = oy, ox
        rows, taps, stride, shared = fy, fx, sx, dx == 1 or fx == 1
    group_blocks = blocks(groups, configuration.g)
    output_blocks = blocks(outputs, configuration.k)
    pixel_blocks = blocks(height * width, configuration.p)
    steps = reduction_steps(algorithm, inputs, fy, fx, configuration.r, machine.array.flatten)
    words = sum(steps for _ in group_blocks for _ in output_blocks)
    mac = sum(words for _ in pixel_blocks)
    cols = input_columns(height, width, configuration.p, taps, stride, shared)
    word = sum(granules(block * inputs) for block in group_blocks)
    bytes_in = sum(cols * word for _ in output_blocks for _ in range(rows))
    bytes_out = bytes_added = 0
    if last:
        bytes_in += 8 * groups * outputs
        number = 4 if conv["last"] == 2 else 1  # a float32 result
        bytes_out = oy * ox * granules(number * groups * outputs)
        bytes_added = oy * ox * granules(groups * outputs) if conv.get("residual") else 0
    busy = machine.array.conv_overhead + max(
        mac,
        cycles_to_move(bytes_in, machine.streams.input),
        cycles_to_move(bytes_out, machine.streams.output),
        cycles_to_move(bytes_added, machine.streams.residual),
    )
    accumulators = groups * outputs * height * width * (16 if algorithm == WINOGRAD else 1)
    segs = len(row_pieces(height, width, configuration.p))
    return ConvCost(steps, mac, segs, cols, bytes_in, bytes_out, words, accumulators, busy)


def fill_busy(machine: Machine, fill: Fields) -> int:
    """The law of ``fill``: weights in SRAM are plain, one byte each, whatever the algorithm."""
    groups, outputs, inputs, fy, fx = ints(fill, "groups", "outputs", "inputs", "fy", "fx")
    held = sum(inputs for _ in range(groups * outputs) for _ in range(fy * fx))
    return machine.streams.fill_overhead + cycles_to_move(held, machine.streams.weights)


def vector_busy(machine: Machine, vector: Fields) -> int:
    """The law of ``vector``: the larger of the elements written and those read by one tensor operand."""
    op, oy, ox, channels, fy, fx, sx, iy, ix = ints(vector, "op", "oy", "ox", "channels", "fy", "fx", "sx", "iy", "ix")
    run = granules(channels)
    written = oy * ox * run
    if op in (MAX_POOL, AVERAGE_POOL):
        span = len(range(0, (ox - 1) * sx + fx))  # from the first window's first column to the last one's last
        read = sum(span * run for _ in range(oy) for _ in range(fy))
    elif op == GLOBAL_AVERAGE_POOL:
        read = sum(run for _ in range(iy) for _ in range(ix))
    else:
        read = oy * ox * run  # a second operand is as large as the first, or one pixel
    return machine.streams.vector_overhead + cycles_to_move(max(written, read), machine.streams.vector)


Interval = tuple[int, int]
"""First address and the address after the last."""


def runs(dram: int, length: int, count1: int, count2: int, stride1: int, stride2: int) -> Iterator[Interval]:
    """The runs of a strided copy in DRAM: a dimension whose elements all touch end to end merges with the one inside.

    The dimensions are ``length`` bytes, ``count1`` of them ``stride1`` bytes apart and ``count2`` of those ``stride2``
    apart.
    """
    row = _merged([(i * stride1, i * stride1 + length) for i in range(count1)])
    if len(row) == 1:
        start, end = row[0]
        yield from _merged([(dram + j * stride2 + start, dram + j * stride2 + end) for j in range(count2)])
        return
    for j in range(count2):
        for start, end in row:
            yield dram + j * stride2 + start, dram + j * stride2 + end


def _merged(pieces: list[Interval]) -> list[Interval]:
    """One interval if every piece begins where the one before it ends, else the pieces as they are."""
    for before, after in itertools.pairwise(pieces):
        if before[1] != after[0]:
            return pieces
    return [(pieces[0][0], pieces[-1][1])]


@dataclass(frozen=True)
class ChannelUse:
    """What a transfer asks of the channel: its direction, the bytes moved, the bytes of its bursts, its cycles."""

    writes: bool
    bytes: int
    burst_bytes: int
    cycles: int


def transfer_cost(machine: Machine, name: str, fields: Fields) -> ChannelUse:
    """The law of the channel for a ``load``, a ``store`` or a ``load_config`` from DRAM."""
    if name == "load_config":
        (address,) = ints(fields, "address")
        pieces: Iterable[Interval] = [(address, address + machine.configuration.image_bytes)]
    else:
        pieces = runs(*ints(fields, "dram", "bytes", "count1", "count2", "dram_stride1", "dram_stride2"))
    burst = machine.dram.burst
    number = moved = touched = 0
    for first, end in pieces:
        number += 1
        moved += end - first
        at = first - first % burst
        while at < end:
            touched += 1
            at += burst
    time = max(cycles_to_move(burst * touched, machine.dram_rate), number)
    return ChannelUse(name == "store", moved, burst * touched, time)


def ints(fields: Fields, *names: str) -> list[int]:
    """These fields as whole numbers."""
    return [int(fields[name]) for name in names]
