"""The works of a plan: what keeps an engine busy, one frozen record per op of the tile dialect.

A work names the rooms it reads and writes and, by rows, what it needs of them; it knows neither where it stands nor
when it runs. Equal works at two places of a plan are two works, so they compare by identity.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

from dialects.cnn import WindowAttr
from dialects.cnn_attributes import FLOAT_BYTES
from dialects.tile import Requantize, Slice, Sum, VectorLaw, Walk
from passes.planner.mapping import Span
from passes.planner.network import Buffer, Tensor
from passes.planner.rooms import Room
from sim.machine.description import Configuration
from sim.machine.operations import operation

EVERYTHING: Span = (0, 1 << 30)
"""All rows of a room."""

Read = tuple[Room, Span]
"""A room and the rows of it that a work reads."""


def _rows(box: Slice) -> Span:
    first = box.offsets[0].constant
    return first, first + box.sizes[0]


@dataclass(frozen=True, eq=False)
class Fill:
    """Weights from SRAM into a half of L1, laid out for a configuration."""

    layer: str
    half: int
    weights: Room
    slice: Slice
    configuration: Configuration
    groups: int
    zero: int

    @property
    def rooms(self) -> tuple[Room, ...]:
        return (self.weights,)

    @functools.cached_property
    def reads(self) -> tuple[Read, ...]:
        return ((self.weights, _rows(self.slice)),)


@dataclass(frozen=True)
class Residual:
    """The second operand of a sum behind a convolution, from a channel on."""

    room: Room
    channel: int
    law: Sum


@dataclass(frozen=True)
class Finish:
    """What the last pass over a reduction does with the sums: parameters from a channel on, residual, table."""

    params: Room
    channel: int
    requantize: Requantize
    residual: Residual | None = None
    table: Room | None = None


@dataclass(frozen=True, eq=False)
class ConvPass:
    """One run of the array over the weights of a half; ``finish`` if it is the last of its reduction."""

    layer: str
    output: Room
    out: Slice
    input: Room
    channels: Slice
    half: Fill
    window: WindowAttr
    groups: int
    pad_value: int
    first: bool
    finish: Finish | None
    is_float: bool = False

    @property
    def outputs(self) -> int:
        """Output channels, each of 1 byte or, if the result is float32, 4."""
        return self.out.sizes[2] // (FLOAT_BYTES if self.is_float else 1)

    @property
    def configuration(self) -> Configuration:
        return self.half.configuration

    @functools.cached_property
    def rows(self) -> Span:
        """The output rows it writes."""
        return _rows(self.out)

    @property
    def input_rows(self) -> Span:
        """The input rows its window meets; some may lie outside the tensor."""
        (fy, _), (top, _, _, _), (sy, _), (dy, _) = self.window.values
        first, end = self.rows
        return first * sy - top, (end - 1) * sy - top + (fy - 1) * dy + 1

    @property
    def rooms(self) -> tuple[Room, ...]:
        return (self.output, *(room for room, _ in self.reads))

    @functools.cached_property
    def reads(self) -> tuple[Read, ...]:
        found: list[Read] = [(self.input, self.input_rows)]
        if self.finish is not None:
            found.append((self.finish.params, EVERYTHING))
            if self.finish.residual is not None:
                found.append((self.finish.residual.room, self.rows))
            if self.finish.table is not None:
                found.append((self.finish.table, EVERYTHING))
        return tuple(found)


@dataclass(frozen=True, eq=False)
class Vector:
    """One operation of the vector unit; ``rhs_channel`` and ``channel`` (of the parameters) count where it begins."""

    layer: str
    kind: str
    output: Room
    out: Slice
    lhs: Room
    lhs_channel: int
    law: VectorLaw
    window: WindowAttr | None = None
    rhs: Room | None = None
    rhs_channel: int = 0
    params: Room | None = None
    channel: int = 0
    table: Room | None = None

    @functools.cached_property
    def rows(self) -> Span:
        """The output rows it writes."""
        return _rows(self.out)

    @property
    def input_rows(self) -> Span:
        """Rows of the first operand; some may lie outside the tensor."""
        reads = operation(self.kind).reads
        if reads == "image":
            return EVERYTHING
        first, end = self.rows
        if self.window is None:
            return first, end
        (fy, _), (top, _, _, _), (sy, _), (dy, _) = self.window.values
        if reads == "repeated":
            return first // sy, (end - 1) // sy + 1
        return first * sy - top, (end - 1) * sy - top + (fy - 1) * dy + 1

    @property
    def rooms(self) -> tuple[Room, ...]:
        return (self.output, *(room for room, _ in self.reads))

    @functools.cached_property
    def reads(self) -> tuple[Read, ...]:
        found: list[Read] = [(self.lhs, self.input_rows)]
        if self.rhs is not None:
            found.append((self.rhs, EVERYTHING if self.rhs.shape[0] == 1 else self.rows))
        found += [(room, EVERYTHING) for room in (self.params, self.table) if room is not None]
        return tuple(found)


@dataclass(frozen=True, eq=False)
class Move:
    """One copy of a movement; ``completes`` are the output rows that all copies up to this one have made."""

    layer: str
    output: Room
    write: Walk
    input: Room
    read: Walk
    sizes: tuple[int, int, int]
    completes: Span | None = None

    @functools.cached_property
    def rows(self) -> Span:
        """The output rows it writes, and those between them."""
        return _walked(self.write, self.sizes)

    @property
    def rooms(self) -> tuple[Room, ...]:
        return self.output, self.input

    @functools.cached_property
    def reads(self) -> tuple[Read, ...]:
        return ((self.input, _walked(self.read, self.sizes)),)


def _walked(walk: Walk, sizes: tuple[int, int, int]) -> Span:
    first = walk.origin[0].constant
    return first, first + walk.extent(sizes)[0]


@dataclass(frozen=True, eq=False)
class Store:
    """A box of a room to DRAM: to a result of the network or to where a spilled buffer waits."""

    layer: str
    target: Tensor | Buffer
    target_offset: tuple[int, int, int]
    source: Room
    source_offset: tuple[int, int, int]
    sizes: tuple[int, int, int]

    @property
    def rooms(self) -> tuple[Room, ...]:
        return (self.source,)

    @functools.cached_property
    def reads(self) -> tuple[Read, ...]:
        first = self.source_offset[0]
        return ((self.source, (first, first + self.sizes[0])),)


@dataclass(frozen=True, eq=False)
class LoadImage:
    """A configuration image into the shadow slot, from DRAM or from its copy in SRAM."""

    layer: str
    configuration: Configuration
    copy: Room | None

    @property
    def rooms(self) -> tuple[Room, ...]:
        return (self.copy,) if self.copy is not None else ()


@dataclass(frozen=True, eq=False)
class Use:
    """Active and shadow slot change places."""

    layer: str
    configuration: Configuration
    rooms: tuple[Room, ...] = ()
    reads: tuple[Read, ...] = ()


Work = Fill | ConvPass | Vector | Move | Store | LoadImage | Use


def roots_of(works: Iterator[Work] | tuple[Work, ...] | list[Work]) -> list[Room]:
    """The rooms that works touch, views as what they view, in order of first use."""
    return list(dict.fromkeys(room.root for work in works for room in work.rooms))
