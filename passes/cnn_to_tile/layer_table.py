"""Rows of the layer table: what a layer is, for people and for the bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import DenseArrayBase, ModuleOp, i64

from dialects.recon import ARRAY_BY_IMAGES, Blob, LayerOp
from passes.planner.mapping import conv_shape
from passes.planner.network import Layer
from sim.machine import floors
from sim.machine.description import Machine
from sim.machine.floors import ConvSizes, WindowAxis
from sim.machine.isa import PARAMETER_BYTES
from sim.machine.laws import ceil_div

MOVES = ("copy", "resize", "shuffle")
"""Operations that move codes: a plan may find a way without them, so they have no least time."""


@dataclass(frozen=True)
class _Counts:
    """What of a layer every program must spend: ``work`` on array and vector unit, bytes of ``weights``."""

    work: bool = True
    weights: bool = True


NO_BOUND = _Counts(work=False)
"""For who does not ask for the least cycles of a layer."""


def _counts(layers: Sequence[Layer]) -> list[_Counts]:
    """Weights count for the first of the layers that share them. A layer that stands for nodes which others before it
    stand for already (one node quantised twice, a change of quantisation) has no least time: another plan may do
    without it."""
    weights: set[Blob] = set()
    nodes: set[str] = set()
    found: list[_Counts] = []
    for layer in layers:
        known = layer.is_conv and layer.conv.weights.data in weights
        again = set(layer.nodes) <= nodes and (known or not layer.is_conv)
        found.append(_Counts(not again, not known and not again))
        nodes.update(layer.nodes)
        if layer.is_conv:
            weights.add(layer.conv.weights.data)
    return found


def layer_table(layers: Sequence[Layer], target: Machine) -> list[LayerOp]:
    """The layer table of a segment, in order."""
    return [layer_row(layer, target, counts) for layer, counts in zip(layers, _counts(layers), strict=True)]


def layer_row(layer: Layer, target: Machine, counts: _Counts | None = None) -> LayerOp:
    """The layer's row of the layer table.

    Bytes of tables of codes are not counted, since layers share tables: what is counted comes from DRAM in every
    program.
    """
    counts = counts or _Counts()
    source, output = layer.inputs[0], layer.output
    macs = compute = 0
    weight_bytes = 0
    if layer.is_conv:
        shape = conv_shape(layer)
        _, (top, _, left, _), _, _ = layer.window.values
        macs = shape.macs(source.height, source.width, top, left)
        fast = shape.winograd and target.array.winograd != "none"
        compute = ceil_div(4 * macs, 9 * target.array.lanes) if fast else ceil_div(macs, target.array.lanes)
        weight_bytes = shape.weight_bytes + shape.parameter_bytes if counts.weights else 0
    elif layer.vector.side == "params":
        weight_bytes = PARAMETER_BYTES * output.channels
    array, vector = least_cycles(layer, target) if counts.work else (0, 0)
    activations = sum(t.height * t.width * t.channels for t in (*layer.inputs, output))
    return LayerOp(layer.name, layer.kind, describe(layer), macs, int(compute), weight_bytes, activations, layer.nodes,
                   array, vector)  # fmt: skip


def array_by_images(layers: Sequence[Layer], target: Machine) -> tuple[int, int, int]:
    """The least cycles of the array for all convolutions with one, two and any number of configurations."""
    counted = [layer for layer, counts in zip(layers, _counts(layers), strict=True) if layer.is_conv and counts.work]
    return floors.by_images(target, [_convolution(layer) for layer in counted])


def add_array_by_images(module: ModuleOp, found: tuple[int, int, int]) -> None:
    """Note a segment's figures on the module, on top of those of other segments."""
    before = module.attributes.get(ARRAY_BY_IMAGES)
    known = before.get_values() if isinstance(before, DenseArrayBase) else (0, 0, 0)
    total = [int(a) + b for a, b in zip(known, found, strict=True)]
    module.attributes[ARRAY_BY_IMAGES] = DenseArrayBase.from_list(i64, total)


def _convolution(layer: Layer) -> ConvSizes:
    shape = conv_shape(layer)
    plain = layer.conv.weight_zero.value.data == 0
    return ConvSizes(shape.groups, shape.outputs, shape.inputs, *_axes(layer), plain)


def _axes(layer: Layer) -> tuple[WindowAxis, WindowAxis]:
    """Rows and columns of a layer's window."""
    source, output = layer.inputs[0], layer.output
    (fy, fx), (top, _, left, _), (sy, sx), (dy, dx) = layer.window.values
    return WindowAxis(output.height, fy, sy, dy, top, source.height), WindowAxis(
        output.width, fx, sx, dx, left, source.width
    )


def least_cycles(layer: Layer, target: Machine) -> tuple[int, int]:
    """Least cycles of the array and of the vector unit for a layer; none for what only moves codes."""
    if layer.is_conv:
        return floors.convolution(target, _convolution(layer)), 0
    output = layer.output
    if layer.op is None or layer.kind == "pad" or layer.vector.name in MOVES:
        return 0, 0
    return 0, floors.vector(target, layer.vector.name, output.height, output.width, output.channels, *_axes(layer))


def describe(layer: Layer) -> str:
    """A layer's shape for people: ``56x56x64 -> 56x56x256 1x1``."""
    source, output = layer.inputs[0], layer.output
    depth, kind = output.channels, ""
    if layer.is_conv and layer.conv.is_float:
        depth, kind = layer.conv.weights.shape[0], " float32"
    text = f"{source.height}x{source.width}x{source.channels} -> {output.height}x{output.width}x{depth}{kind}"
    (fy, fx), _, (sy, sx), (dy, dx) = layer.window.values
    if (fy, fx) != (1, 1) or layer.is_conv:
        text += f" {fy}x{fx}"
    if (sy, sx) != (1, 1):
        text += f"/{sy}" if sy == sx else f"/{sy},{sx}"
    if (dy, dx) != (1, 1):
        text += f" dilated {dy}" if dy == dx else f" dilated {dy},{dx}"
    return text + (f" in {layer.groups} groups" if layer.groups > 1 else "")
