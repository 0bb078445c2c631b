"""Rows of the layer table: what a layer is, for people and for the bound."""

from __future__ import annotations

from dialects.recon import LayerOp
from passes.planner.mapping import conv_shape
from passes.planner.network import Layer
from sim.machine import floors
from sim.machine.description import Machine
from sim.machine.floors import ConvSizes, WindowAxis
from sim.machine.laws import PARAMETER_BYTES, ceil_div

MOVES = ("copy", "resize", "shuffle")
"""Operations that move codes: a plan may find a way without them, so they have no least time."""


def layer_row(layer: Layer, target: Machine) -> LayerOp:
    """The layer's row of the layer table."""
    source, output = layer.inputs[0], layer.output
    macs = compute = 0
    weight_bytes = 0
    if layer.is_conv:
        shape = conv_shape(layer)
        _, (top, _, left, _), _, _ = layer.window.values
        macs = shape.macs(source.height, source.width, top, left)
        fast = shape.winograd and target.array.winograd != "none"
        compute = ceil_div(4 * macs, 9 * target.array.lanes) if fast else ceil_div(macs, target.array.lanes)
        weight_bytes = shape.weight_bytes + shape.parameter_bytes + (256 if layer.conv.table is not None else 0)
    elif layer.vector.side == "params":
        weight_bytes = PARAMETER_BYTES * output.channels
    elif layer.vector.side == "table":
        weight_bytes = 256
    array, vector = least_cycles(layer, target)
    activations = sum(t.height * t.width * t.channels for t in (*layer.inputs, output))
    return LayerOp(layer.name, layer.kind, describe(layer), macs, int(compute), weight_bytes, activations, layer.nodes,
                   array, vector)  # fmt: skip


def least_cycles(layer: Layer, target: Machine) -> tuple[int, int]:
    """Least cycles of the array and of the vector unit for a layer; none for what only moves codes."""
    source, output = layer.inputs[0], layer.output
    (fy, fx), (top, _, left, _), (sy, sx), (dy, dx) = layer.window.values
    rows = WindowAxis(output.height, fy, sy, dy, top, source.height)
    columns = WindowAxis(output.width, fx, sx, dx, left, source.width)
    if layer.is_conv:
        shape = conv_shape(layer)
        plain = layer.conv.weight_zero.value.data == 0
        conv = ConvSizes(shape.groups, shape.outputs, shape.inputs, rows, columns, plain, shape.is_float)
        return floors.convolution(target, conv), 0
    if layer.op is None or layer.kind == "pad" or layer.vector.name in MOVES:
        return 0, 0
    return 0, floors.vector(target, layer.vector.name, output.height, output.width, output.channels, rows, columns)


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
