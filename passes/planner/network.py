"""The network as the planner sees it: layers, tensors, and which tensors share a buffer.

Concat and channel slices cost nothing: tensors that are concatenated are channel ranges of one buffer, found by walking
the concats from the last to the first, so that the growing concats of a dense block all live in one buffer. A tensor
that would have to be in two places at once is copied by the vector unit, and that copy is a layer like any other.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.ir import Operation, SSAValue

from dialects import cnn
from dialects.tile import ConfigurationAttr
from passes.planner.movement import COLUMN, MOVES, ROW, Piece, of_channels, pieces
from passes.planner.provenance import name_of, nodes_of
from passes.planner.reach import Reach, reaches, read_span
from passes.planner.tensors import Buffer, Tensor
from passes.planner.tuning import IDLE
from sim.machine.description import Configuration
from sim.machine.errors import ReconError
from sim.machine.operations import BY_NAME
from sim.machine.operations import Operation as VectorOperation

CONFIGURATION = "configuration"
"""The attribute of a convolution that holds its configuration."""


@dataclass(eq=False)
class Layer:
    """A unit of work: an op of the cnn dialect, or a copy the planner had to add (``op`` None)."""

    index: int
    name: str
    kind: str
    op: Operation | None
    inputs: list[Tensor]
    output: Tensor
    nodes: tuple[str, ...] = ()
    original: Layer | None = None
    """In a batch, the layer of the one network that it is for an image."""
    visit: int = 0
    """In a batch, with which images together it runs; and whether weights come anew for them (``fresh``)."""
    fresh: bool = False

    @property
    def shared(self) -> Layer:
        """Whose weights and parameters it has: its own, or in a batch those of all its twins."""
        return self.original or self

    @property
    def is_conv(self) -> bool:
        return self.kind in ("conv2d", "fully_connected")

    @property
    def conv(self) -> cnn.Conv2dOp | cnn.FullyConnectedOp:
        """The op of a convolution layer."""
        if not isinstance(self.op, cnn.Conv2dOp | cnn.FullyConnectedOp):
            raise ReconError(f"Layer {self.name} is no convolution.")
        return self.op

    @functools.cached_property
    def vector(self) -> VectorOperation:
        """The row of the vector operation that carries out a layer that is no convolution; ReconError where none
        does."""
        row = BY_NAME.get(OPERATION_OF.get(self.kind, self.kind))
        if row is None:
            raise ReconError(f"Layer {self.name}: cnn.{self.kind} has no place in the plan yet.")
        return row

    @property
    def configuration(self) -> Configuration | None:
        """The configuration that a convolution has been given, by a person or by the choice for the network."""
        attribute = self.op.attributes.get(CONFIGURATION) if self.is_conv and self.op is not None else None
        return attribute.data if isinstance(attribute, ConfigurationAttr) else None

    def configure(self, configuration: Configuration) -> None:
        """Give a convolution its configuration."""
        self.conv.attributes[CONFIGURATION] = ConfigurationAttr(configuration)

    @property
    def window(self) -> cnn.WindowAttr:
        window = getattr(self.op, "window", None)
        return window if isinstance(window, cnn.WindowAttr) else cnn.WindowAttr.of((1, 1))

    @property
    def groups(self) -> int:
        return self.op.groups.value.data if isinstance(self.op, cnn.Conv2dOp) else 1

    @functools.cached_property
    def reach(self) -> tuple[Reach, ...]:
        """What rows of each input output rows read."""
        return reaches(self, ROW)

    @functools.cached_property
    def reach_across(self) -> tuple[Reach, ...]:
        """What columns of each input output columns read."""
        return reaches(self, COLUMN)

    @functools.cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """The copies of a movement."""
        return pieces(self.op) if self.op is not None and self.kind == "move" else ()

    def input_rows(self, first: int, end: int, which: int = 0) -> tuple[int, int]:
        """Rows [from, to) of input ``which`` that output rows [first, end) read, clipped to the tensor; (0, 0) if they
        read none of it."""
        return read_span(self, ROW, (first, end), which, self.reach)

    def input_columns(self, first: int, end: int, which: int = 0) -> tuple[int, int]:
        """The same along a row."""
        return read_span(self, COLUMN, (first, end), which, self.reach_across)

    @functools.cached_property
    def in_place(self) -> Tensor | None:
        """The input whose memory the result may take: worked on element by element, and read by nobody later."""
        if self.is_conv:
            operands = self.inputs[1:]
        else:
            # A copy is there because its tensor has to be in two places, a movement changes places.
            operands = self.inputs if self.vector.name != "copy" and self.vector.in_place else []
        for tensor in operands:
            if (
                tensor.type.dims == self.output.type.dims
                and self.output.buffer.tensors == [self.output]
                and tensor.buffer.tensors == [tensor]
                and not tensor.is_given
                and not tensor.is_output
                and self.inputs.count(tensor) == 1
                and all(reader.index <= self.index for reader in tensor.consumers)
            ):
                return tensor
        return None

    @property
    def window_of_pad(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """For a pad: a 1×1 window and its pads (top, bottom, left, right)."""
        pads = self.op.pads.get_values() if isinstance(self.op, cnn.PadOp) else (0, 0, 0, 0)
        return (1, 1), tuple(pads)


@dataclass(eq=False)
class Network:
    """One machine segment."""

    layers: list[Layer]
    inputs: list[Tensor]
    outputs: list[Tensor]
    constants: list[tuple[Tensor, cnn.ConstantOp]]
    tensors: list[Tensor]
    buffers: list[Buffer]

    @property
    def input_ports(self) -> list[Tensor]:
        """The inputs of the one network, in order."""
        return list(dict.fromkeys(tensor.port for tensor in self.inputs))

    @property
    def output_ports(self) -> list[Tensor]:
        """The outputs of the one network, in order."""
        return list(dict.fromkeys(tensor.port for tensor in self.outputs))

    @property
    def images(self) -> int:
        """Images of a batch; 1 for the one network."""
        return max((tensor.image for tensor in self.tensors), default=0) + 1


OPERATION_OF = {
    "max_pool2d": "max_pool",
    "average_pool2d": "average_pool",
    "sub": "add",
    "pad": "average_pool",
    "channel_shuffle": "shuffle",
    "move": "copy",
}
"""Operations of the cnn dialect whose vector operation has another name."""


def makers(tensor: Tensor) -> list[Layer]:
    """The layers that write any part of a tensor's channels."""
    found = [other.producer for other in tensor.buffer.tensors if other.producer is not None and other.overlaps(tensor)]
    return sorted(dict.fromkeys(found), key=lambda layer: layer.index)


def _type(value: SSAValue) -> cnn.TensorType:
    kind = value.type.in_memory if isinstance(value.type, cnn.FloatType) else value.type
    if not isinstance(kind, cnn.TensorType):
        raise ReconError(f"A machine segment holds cnn tensors only, not {value.type}.")
    return kind


class _Builder:
    """Walks the ops of a segment once, then settles which tensors share a buffer.

    Every tensor lives in at most one other (its parent) from a channel on; the roots become buffers. Who comes second
    gets a copy.
    """

    def __init__(self) -> None:
        self.tensors: dict[SSAValue, Tensor] = {}
        self.layers: list[Layer] = []
        self.constants: list[tuple[Tensor, cnn.ConstantOp]] = []
        self.joins: list[tuple[Tensor, list[Tensor]]] = []
        self.views: list[tuple[Tensor, Tensor]] = []
        self.parents: dict[Tensor, tuple[Tensor, int]] = {}
        self.names: set[str] = set()

    def tensor(self, type_: cnn.TensorType, name: str) -> Tensor:
        n, h, w, c = type_.dims
        if n != 1:
            raise ReconError(f"{name}: a batch of {n} was not split; the machine works on one image at a time.")
        return Tensor(name, type_, Buffer(name, h, w, c))

    def unique(self, name: str) -> str:
        candidate, number = name, 1
        while candidate in self.names:
            number += 1
            candidate = f"{name}_{number}"
        self.names.add(candidate)
        return candidate

    def layer(
        self,
        kind: str,
        op: Operation | None,
        name: str,
        inputs: list[Tensor],
        output: Tensor,
        nodes: tuple[str, ...] = (),
    ) -> Layer:
        layer = Layer(len(self.layers), self.unique(name), kind, op, inputs, output, nodes)
        output.producer = layer
        for tensor in dict.fromkeys(inputs):
            tensor.consumers.append(layer)
        self.layers.append(layer)
        return layer

    def add(self, op: Operation) -> None:
        name = name_of(op)
        inputs = [self.tensors[operand] for operand in op.operands]
        output = self.tensors[op.results[0]] = self.tensor(_type(op.results[0]), name)
        if isinstance(op, cnn.ConstantOp):
            output.constant = op
            self.constants.append((output, op))
        elif isinstance(op, cnn.ConcatOp) and op.axis.value.data == 3:
            self.joins.append((output, inputs))
        elif isinstance(op, cnn.ReshapeOp):
            self.views.append((output, inputs[0]))
        elif isinstance(op, cnn.SliceOp) and of_channels(op):
            self.parents[output] = (inputs[0], op.offsets.get_values()[3])
        elif isinstance(op, MOVES):
            self.layer("move", op, name, inputs, output, nodes_of(op))
        else:
            layer = self.layer(op.name.removeprefix("cnn."), op, name, inputs, output, nodes_of(op))
            if not layer.is_conv:
                _ = layer.vector  # refuses what the machine has nothing for

    def place(self, tensor: Tensor) -> tuple[Tensor, int]:
        """The root a tensor lives in and the channel it starts at."""
        offset = 0
        while tensor in self.parents:
            tensor, shift = self.parents[tensor]
            offset += shift
        return tensor, offset

    def settle(self) -> None:
        """Give concats their parts, from the last concat to the first, and every tensor its buffer."""
        for seen, source in self.views:
            self.parents[seen] = (source, 0)
        shaped = {seen for seen, _ in self.views}
        for part, (source, offset) in list(self.parents.items()):
            if part not in shaped and source in shaped:
                # Channels are counted in the shape of the buffer, so what is seen in another one is copied first.
                self.parents[part] = (self.copy(source), offset)
        joined = Counter(part for _, parts in self.joins for part in dict.fromkeys(parts))
        shared = {part for part, count in joined.items() if count > 1}
        for whole, parts in reversed(self.joins):
            places = [self.place(part) for part in parts]
            root, first = places[0]
            starts = [first + sum(part.channels for part in parts[:i]) for i in range(len(parts))]
            if whole not in self.parents and places == [(root, start) for start in starts] and len(set(parts)) > 1:
                self.parents[whole] = (root, first)
                continue
            offset = 0
            late = self.early_parts(parts, shared)
            for number, part in enumerate(parts):
                if part in self.parents or part in late:
                    part = parts[number] = self.copy(part, late.get(part))
                self.parents[part] = (whole, offset)
                offset += part.channels
        for seen, source in self.views:
            root, offset = self.place(source)
            if (root.height, root.width, root.channels, offset) != (*source.type.dims[1:], 0):
                same = self.copy(source)
                self.parents[seen] = (same, 0)
        for tensor in self.everything():
            root, offset = self.place(tensor)
            tensor.buffer, tensor.offset = root.buffer, offset
            root.buffer.tensors.append(tensor)
            if tensor.producer is None:
                tensor.producer = root.producer

    def everything(self) -> list[Tensor]:
        return list(dict.fromkeys([*self.tensors.values(), *self.parents, *(p for p, _ in self.parents.values())]))

    def copy(self, source: Tensor, before: Layer | None = None) -> Tensor:
        """Another tensor with the same content, made by the vector unit right behind its producer, or later."""
        twin = self.tensor(source.type, self.unique(source.name + "_copy"))
        layer = Layer(0, twin.name, "copy", None, [source], twin)
        twin.producer = layer
        source.consumers.append(layer)
        if before is not None:
            position = self.layers.index(before)
        else:
            position = max((self.layers.index(maker) + 1 for maker in self.made_by(source)), default=0)
        self.layers.insert(position, layer)
        return twin

    def early_parts(self, parts: list[Tensor], shared: set[Tensor]) -> dict[Tensor, Layer]:
        """Parts of a join that would keep room for the others long before these are made, and who makes the next.

        Such a part waits in a buffer of its own and is copied when the others come; not so the ``shared`` ones, which
        several joins have.
        """
        found: dict[Tensor, Layer] = {}
        made = {part: [self.layers.index(maker) for maker in self.made_by(part)] for part in parts}
        for part in parts:
            others = [index for other in parts if other is not part for index in made[other]]
            later = [index for index in others if not made[part] or index > max(made[part])]
            if len(later) < len(others) or not later or part in shared or part.is_output or not made[part]:
                continue
            if min(later) - max(made[part]) >= IDLE:
                found[part] = self.layers[min(later)]
        return found

    def made_by(self, tensor: Tensor) -> list[Layer]:
        """The layers that write a tensor: its own producer, or those of what it is joined or seen from."""
        if tensor.producer is not None:
            return [tensor.producer]
        if tensor.is_given:
            return []
        sources = [parts for whole, parts in self.joins if whole is tensor]
        sources += [[source] for seen, source in self.views if seen is tensor]
        if tensor in self.parents and not sources:
            sources = [[self.parents[tensor][0]]]
        return [maker for parts in sources for part in parts for maker in self.made_by(part)]


def network(ops: Sequence[Operation], inputs: Sequence[SSAValue], outputs: Sequence[SSAValue]) -> Network:
    """The network of one machine segment: ``ops`` in order, the values it takes and the values it gives.

    Raises ReconError, naming the layer, for what has no place in a plan.
    """
    builder = _Builder()
    for number, value in enumerate(inputs):
        tensor = builder.tensor(_type(value), value.name_hint or f"input{number}")
        tensor.is_input = True
        builder.tensors[value] = tensor
    for op in ops:
        builder.add(op)
    for value in outputs:
        builder.tensors[value].is_output = True
    builder.settle()
    for index, layer in enumerate(builder.layers):
        layer.index = index
    tensors = builder.everything()
    return Network(
        builder.layers,
        [builder.tensors[value] for value in inputs],
        [builder.tensors[value] for value in outputs],
        builder.constants,
        tensors,
        list(dict.fromkeys(tensor.buffer for tensor in tensors)),
    )
