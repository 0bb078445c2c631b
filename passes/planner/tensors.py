"""Activations as the planner sees them: tensors, and the buffers that one or more of them share."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dialects import cnn

if TYPE_CHECKING:
    from passes.planner.network import Layer


@dataclass(eq=False)
class Buffer:
    """Memory for one or more tensors, height × width × channels bytes."""

    name: str
    height: int
    width: int
    channels: int
    tensors: list[Tensor] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        return self.height * self.width * self.channels

    @property
    def is_inner(self) -> bool:
        """Whether it is between layers only: nothing in it comes from or goes to the world outside."""
        return not any(tensor.is_given or tensor.is_output for tensor in self.tensors)

    @property
    def can_spill(self) -> bool:
        """Whether DRAM can hold it while layers work on some of its rows; outputs must then leave as they are made."""
        return self.height > 1 and self.can_wait

    @property
    def can_wait(self) -> bool:
        """Whether DRAM can hold it while layers work on any part of it."""
        outputs = [tensor for tensor in self.tensors if tensor.is_output]
        given = [tensor for tensor in self.tensors if tensor.is_given]
        return (
            self.height * self.width > 1
            and not any(tensor.is_view for tensor in self.tensors)
            and not any(a.overlaps(b) for a in outputs for b in given)
        )


@dataclass(eq=False)
class Tensor:
    """An int8 activation: its value in the IR, its place, who makes and who reads it."""

    name: str
    type: cnn.TensorType
    buffer: Buffer
    offset: int = 0
    producer: Layer | None = None
    consumers: list[Layer] = field(default_factory=list)
    is_input: bool = False
    is_output: bool = False
    constant: cnn.ConstantOp | None = None
    image: int = 0
    original: Tensor | None = None
    """In a batch, which image's it is, and the tensor of the one network that it is for."""

    @property
    def port(self) -> Tensor:
        """The tensor of the one network."""
        return self.original or self

    @property
    def first_row(self) -> int:
        """The row of its port in DRAM at which it begins: images lie one below the other."""
        return self.image * self.height

    @property
    def is_given(self) -> bool:
        """Whether it comes from DRAM as it is, no layer makes it: an input or a constant."""
        return self.is_input or self.constant is not None

    @property
    def is_view(self) -> bool:
        """Whether it is its buffer seen in another shape, always the whole of it."""
        return (self.height, self.width) != (self.buffer.height, self.buffer.width)

    def overlaps(self, other: Tensor) -> bool:
        """Whether two tensors of one buffer share channels."""
        return (
            self.is_view
            or other.is_view
            or (other.offset < self.offset + self.channels and self.offset < other.offset + other.channels)
        )

    @functools.cached_property
    def height(self) -> int:
        return self.type.dims[1]

    @functools.cached_property
    def width(self) -> int:
        return self.type.dims[2]

    @functools.cached_property
    def channels(self) -> int:
        return self.type.dims[3]


def parts(tensor: Tensor) -> list[Tensor]:
    """The tensors that were written one by one and together make up a tensor: itself, or what was joined to it."""
    return [
        other
        for other in tensor.buffer.tensors
        if (other.is_given or (other.producer is not None and other.producer.output is other))
        and other.overlaps(tensor)
    ]
