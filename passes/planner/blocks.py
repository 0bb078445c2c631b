"""The pieces of a schedule: rooms in SRAM, transfers that fill them, and items that keep an engine busy.

An item stands for one op of the tile dialect; its operands are rooms (or the fill whose weights it uses), so that the
same item can be spelled once everything has its place in the text. Positions count items.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dialects.recon import BlobAttr
from dialects.tile import Slice
from passes.common.placement import ALIGNMENT
from passes.planner.network import Buffer, Tensor
from sim.machine.description import Configuration


@dataclass(eq=False)
class Room:
    """A buffer in SRAM: shape, stored rows (0: all), and the items between which it lives."""

    name: str
    shape: tuple[int, ...]
    ring: int = 0
    base: Room | None = None
    """The room this one is another view of."""
    first: int = -1
    last: int = -1
    loaded: bool = False
    """Whether a transfer, rather than an item, writes it first."""
    address: int = -1
    clear: int = 0
    """Items before ``first`` in which its space should already be nobody's, so that writing it waits for no reader."""

    @property
    def size(self) -> int:
        """Bytes it holds."""
        return (self.ring or self.shape[0]) * math.prod(self.shape[1:])

    @property
    def bytes(self) -> int:
        """Bytes it takes, aligned as buffers are placed."""
        return -(-self.size // ALIGNMENT) * ALIGNMENT

    @property
    def root(self) -> Room:
        return self.base.root if self.base is not None else self

    def live_at(self, position: int) -> None:
        root = self.root
        root.first = position if root.first < 0 else min(root.first, position)
        root.last = max(root.last, position)


@dataclass(frozen=True)
class Constant:
    """A constant in DRAM: content and shape of one blob, or the image of a configuration."""

    value: BlobAttr | Configuration
    shape: tuple[int, ...]


Source = Constant | Tensor | Buffer
"""What a transfer reads: a constant, a network input, or a buffer that was spilled to DRAM."""


@dataclass(eq=False)
class Transfer:
    """A load: ``sizes`` of ``source`` at ``origin`` into ``room`` at ``target``.

    ``need`` is the first item that reads it, ``earliest`` the first position in the text where it may stand.
    """

    room: Room
    target: tuple[int, ...]
    source: Source
    origin: tuple[int, ...]
    sizes: tuple[int, ...]
    layer: str
    need: int = -1
    earliest: int = 0
    position: int = -1
    need_item: Item | None = None
    """For a stripe of a spilled tensor: the item that opens its step."""
    after_items: list[Item] = field(default_factory=list)
    """Items it must stand behind: the store of its rows, and the one that opens the step before."""

    @property
    def target_slice(self) -> Slice:
        return Slice.of(self.target, self.sizes)

    @property
    def source_slice(self) -> Slice:
        return Slice.of(self.origin, self.sizes)


@dataclass(eq=False)
class Item:
    """One op of the plan: ``kind`` names it, ``operands`` are rooms or fills by the op's operand name."""

    kind: str
    layer: str
    operands: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


def rooms_of(item: Item) -> Sequence[Room]:
    """The rooms an item reads or writes."""
    return [operand for operand in item.operands.values() if isinstance(operand, Room)]
