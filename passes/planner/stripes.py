"""Layers run stripe by stripe: which rows each makes in each step, and how many rows their buffers must store.

A group is a run of consecutive layers. With one stripe they simply run one after the other. With more, every step makes
the next rows of the group's results and, of the tensors before them, just the rows these need and that are not made
yet: no row is computed twice, and a tensor that stays inside the group needs only a ring of rows. Around the stripes a
group may turn over strips of columns, or over parts of the channels (``turns``); its weights may come for each step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dialects import cnn
from passes.planner.mapping import ConvMapping
from passes.planner.network import Buffer, Layer

Step = list[tuple[Layer, int, int]]
"""Layers with the rows [first, end) of their output that a step makes, in order."""


@dataclass(frozen=True)
class Group:
    """Consecutive layers that run together in so many stripes, once for each strip of columns.

    A single layer may also make its output part by part: some channels of all pixels, then the next. ``kept`` are, per
    layer, the bytes of weights that stay while the group runs, the others come again for each step; None: all stay.
    """

    layers: tuple[Layer, ...]
    stripes: int
    strips: int = 1
    parts: int = 1
    kept: tuple[int, ...] | None = None

    @property
    def turns(self) -> int:
        """Times its stripes run, from the first to the last."""
        return self.strips * self.parts


def read_outside(layer: Layer, inside: set[Layer]) -> bool:
    """Whether a layer's result is read outside the group."""
    return any(
        reader not in inside
        for tensor in layer.output.buffer.tensors
        if tensor.overlaps(layer.output)
        for reader in tensor.consumers
    )


def leaves(layer: Layer, inside: set[Layer]) -> bool:
    """Whether a layer's result is read outside the group or is a result of the network."""
    return read_outside(layer, inside) or any(
        tensor.is_output and tensor.overlaps(layer.output) for tensor in layer.output.buffer.tensors
    )


def row_multiple(layer: Layer, mappings: Mapping[Layer, ConvMapping], axis: int = 0) -> int:
    """Output rows (axis 1: columns) that a layer makes together: pairs for Winograd, the copies of one pixel for a
    resize."""
    if layer.is_conv:
        return mappings[layer].rows_together
    return layer.op.factors.get_values()[axis] if isinstance(layer.op, cnn.ResizeOp) else 1


def progress(group: Group, mappings: Mapping[Layer, ConvMapping]) -> list[Step]:
    """The steps of a group, in order; a step ends a layer at a multiple of its ``row_multiple``."""
    inside = set(group.layers)
    makers: dict[Buffer, list[Layer]] = {}
    for layer in group.layers:
        makers.setdefault(layer.output.buffer, []).append(layer)
    readers: dict[Layer, list[tuple[Layer, int]]] = {layer: [] for layer in group.layers}
    for reader in group.layers:
        for which, tensor in enumerate(reader.inputs):
            for maker in makers.get(tensor.buffer, ()):
                readers[maker].append((reader, which))
    exits = {layer for layer in group.layers if leaves(layer, inside)}
    multiples = {layer: row_multiple(layer, mappings) for layer in group.layers}
    done = dict.fromkeys(group.layers, 0)
    steps: list[Step] = []
    for stripe in range(1, group.stripes + 1):
        ends: dict[Layer, int] = {}
        for layer in reversed(group.layers):
            height = layer.output.height
            end = done[layer]
            if layer in exits:
                end = max(end, -(-height * stripe // group.stripes))
            for reader, which in readers[layer]:
                if reader in ends and ends[reader] > done[reader]:
                    end = max(end, reader.input_rows(done[reader], ends[reader], which)[1])
            end += -end % multiples[layer]
            ends[layer] = min(end, height)
        step = [(layer, done[layer], ends[layer]) for layer in group.layers if ends[layer] > done[layer]]
        if step:
            steps.append(step)
        done = ends
    return steps


def rings(group: Group, steps: list[Step], spilled: frozenset[Buffer]) -> dict[Buffer, int]:
    """Rows to store of every buffer that lives in this group only: its inner tensors, and stripes of spilled ones.

    A step's rows stay while the step runs; a spilled tensor keeps two steps' rows, so that one can move while the other
    is worked on, and so does a tensor that the vector unit shares with the array. In one step everything keeps its
    rows, and only a group of several turns has inner tensors of its own.
    """
    inside = set(group.layers)
    local: dict[Buffer, bool] = {}
    for layer in group.layers:
        for tensor in (*layer.inputs, layer.output):
            buffer = tensor.buffer
            people = [p for t in buffer.tensors for p in (t.producer, *t.consumers) if p is not None]
            if buffer in spilled:
                local[buffer] = True
            elif all(p in inside for p in people) and buffer.is_inner:
                local[buffer] = len({p.is_conv for p in people}) > 1
    if len(steps) == 1:
        return {buffer: buffer.height for buffer in local if buffer in spilled or group.turns > 1}
    spans: dict[Buffer, list[tuple[int, int]]] = {buffer: [] for buffer in local}
    reads = {
        layer: [(t.buffer, which) for which, t in enumerate(layer.inputs) if t.buffer in local]
        for layer in group.layers
    }
    for step in steps:
        touched: dict[Buffer, tuple[int, int]] = {}
        for layer, first, end in step:
            rows_of = [(buffer, *layer.input_rows(first, end, which)) for buffer, which in reads[layer]]
            if layer.output.buffer in local:
                rows_of.append((layer.output.buffer, first, end))
            for buffer, low, high in rows_of:
                if low == high:
                    continue
                a, b = touched.get(buffer, (low, high))
                touched[buffer] = (a if a < low else low, b if b > high else high)
        for buffer, span in touched.items():
            spans[buffer].append(span)
    rows: dict[Buffer, int] = {}
    for buffer, double in local.items():
        # The oldest row still read from a step on, and the newest row there is by then.
        oldest: list[int] = []
        for first, _ in reversed(spans[buffer]):
            oldest.append(min(first, oldest[-1]) if oldest else first)
        oldest.reverse()
        newest = 0
        need = 1
        for index, (_, end) in enumerate(spans[buffer]):
            newest = max(newest, end)
            need = max(need, newest - oldest[max(0, index - 1) if double else index])
        rows[buffer] = min(need, buffer.height)
    return rows
