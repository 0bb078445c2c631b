"""Rooms in SRAM and the loads that bring content into them.

A room says what it holds, not where or when: lives belong to a schedule and addresses to a layout of it.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from dialects.recon import BlobAttr
from dialects.tile import Slice
from passes.common.placement import ALIGNMENT
from passes.planner.network import Buffer, Tensor
from sim.machine.description import Configuration


@dataclass(frozen=True, eq=False)
class Room:
    """A buffer in SRAM: shape and stored rows (0: all); ``base`` is the room this one is another view of.

    ``part`` are first and last (excluded) column and channel that it stores (empty: all). ``again`` says that what it
    holds is brought more than once in a plan, each time into another room.
    """

    name: str
    shape: tuple[int, ...]
    ring: int = 0
    base: Room | None = None
    part: tuple[int, ...] = ()
    again: bool = False

    @functools.cached_property
    def size(self) -> int:
        """Bytes it holds."""
        rows = self.ring or self.shape[0]
        if self.part:
            first, end, low, high = self.part
            return rows * (end - first) * (high - low)
        return rows * math.prod(self.shape[1:])

    @functools.cached_property
    def bytes(self) -> int:
        """Bytes it takes, aligned as buffers are placed."""
        return -(-self.size // ALIGNMENT) * ALIGNMENT

    @property
    def root(self) -> Room:
        return self if self.base is None else self.base.root


@dataclass(frozen=True)
class Constant:
    """A constant in DRAM: content and shape of one blob, or the image of a configuration."""

    value: BlobAttr | Configuration
    shape: tuple[int, ...]


Source = Constant | Tensor | Buffer
"""What a load reads: a constant, a network input, or a buffer that was spilled to DRAM."""


def dram_shape(source: Source) -> tuple[int, ...]:
    """The shape in DRAM of what a load reads or a store writes."""
    if isinstance(source, Constant):
        return source.shape
    return source.type.dims[1:] if isinstance(source, Tensor) else (source.height, source.width, source.channels)


@dataclass(frozen=True, eq=False)
class Load:
    """``sizes`` of ``source`` at ``origin`` into ``room`` at ``target``.

    ``need`` is the position of the first work that reads it, ``earliest`` the first before which it may stand; both
    mean something once the schedule is whole.
    """

    room: Room
    target: tuple[int, ...]
    source: Source
    origin: tuple[int, ...]
    sizes: tuple[int, ...]
    layer: str
    need: int = -1
    earliest: int = 0

    @property
    def target_slice(self) -> Slice:
        return Slice.of(self.target, self.sizes)

    @property
    def source_slice(self) -> Slice:
        return Slice.of(self.origin, self.sizes)

    @property
    def rows(self) -> tuple[int, int]:
        """Rows of the room that it brings."""
        return self.target[0], self.target[0] + self.sizes[0]


def whole(room: Room, source: Source, layer: str) -> Load:
    """The load of a whole room from all of a source."""
    origin = (0,) * len(room.shape)
    return Load(room, origin, source, origin, room.shape, layer)


class ActivationRooms:
    """The room of every buffer of a network: for the whole plan, or for the group that runs just now (``local``)."""

    def __init__(self) -> None:
        self.local: dict[Buffer, Room] = {}
        self.lasting: dict[Buffer, Room] = {}
        self._views: dict[tuple[Room, tuple[int, ...]], Room] = {}

    def of(self, tensor: Tensor) -> Room:
        """The room of a tensor's buffer, seen in the tensor's height and width (channels are the buffer's)."""
        buffer = tensor.buffer
        room = self.local.get(buffer) or self.lasting.get(buffer)
        if room is None:
            room = self.lasting[buffer] = Room(buffer.name, (buffer.height, buffer.width, buffer.channels))
        if (tensor.height, tensor.width) == (buffer.height, buffer.width):
            return room
        shape = tensor.type.dims[1:]
        if (room, shape) not in self._views:
            self._views[room, shape] = Room(tensor.name, shape, base=room)
        return self._views[room, shape]

    def take_over(self, old: Buffer, new: Buffer) -> None:
        """A result takes the room of an operand that nobody reads later."""
        if old in self.lasting:
            self.lasting.setdefault(new, self.lasting[old])
