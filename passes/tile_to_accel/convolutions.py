"""The array's work as instructions: weights into a half of L1, and one pass of a convolution over a tile."""

from __future__ import annotations

from collections.abc import Sequence

from dialects import tile
from dialects.tile_attributes import POSITIONS
from passes.common.geometry import Span, clip, flat, span
from passes.tile_to_accel import parameters
from passes.tile_to_accel.emission import Draft, Emission, Fields
from passes.tile_to_accel.parts import ConvParts
from passes.tile_to_accel.plan_state import HalfContents
from sim.machine.description import ALGORITHMS
from sim.machine.isa import PARAMETER_BYTES, TABLE_BYTES
from sim.machine.laws import FLOAT


def fill(e: Emission, op: tile.FillOp, indices: Sequence[int]) -> None:
    buffer = e.state.buffer(op.weights)
    box, configuration = op.slice.data, op.configuration.data
    groups, zero, half = op.groups.value.data, op.zero.value.data, op.half.value.data
    outputs, fy, fx, inputs = box.sizes
    contents = HalfContents(op.output, configuration, groups, outputs // groups, inputs, fy, fx, e.where)
    e.state.fill(half, contents, zero)
    if buffer is None:
        return
    offsets = box.at(indices)
    for axis, (offset, size, limit) in enumerate(zip(offsets, box.sizes, buffer.dims, strict=True)):
        if offset < 0 or offset + size > limit:
            e.complain(
                f"it takes {offset} to {offset + size - 1} of dimension {axis} of {buffer}, which has {limit} there."
            )
            return
    _, rows, columns, depth = buffer.dims
    if fy > 1 and fx != columns:
        e.complain(f"kernel positions of a {fy}x{fx} part of {buffer} are not evenly spaced; take whole rows.")
        return
    fields: Fields = {
        "half": half,
        "algorithm": ALGORITHMS.index(configuration.algorithm),
        "g": configuration.g,
        "k": configuration.k,
        "r": configuration.r,
        "p": configuration.p,
        "groups": groups,
        "outputs": outputs // groups,
        "inputs": inputs,
        "fy": fy,
        "fx": fx,
        "output_stride": rows * columns * depth,
        "tap_stride": depth,
        "weight_zero": zero,
    }
    e.reads(buffer, buffer.written.problem(offsets, box.sizes))
    Draft(e, "fill", fields, [("address", buffer.value, flat(offsets, buffer.dims))]).emit(op.layer)


def conv(e: Emission, op: tile.ConvOp, indices: Sequence[int]) -> None:
    parts = e.parts(op)
    target, source = e.state.buffer(parts.output), e.state.buffer(parts.input)
    if target is None or source is None:
        return
    (y, x, k), (oy, ox, depth) = parts.out.at(indices), parts.out.sizes
    outputs = parts.outputs
    y, oy = clip(y, oy, target.dims[0])
    if oy == 0:
        return
    (channel,), (inputs,) = parts.channels.at(indices), parts.channels.sizes
    (fy, fx), (top, _, left, _), (sy, sx), (dy, dx) = parts.window
    rows = span(y, oy, fy, sy, dy, top, source.dims[0])
    columns = span(x, ox, fx, sx, dx, left, source.dims[1])
    groups, last = parts.groups, parts.requantize is not None
    extents = (groups, outputs // groups, inputs // groups, fy, fx)
    half = e.state.conv(parts.half, extents, (oy, ox), (sy, sx, dy, dx), parts.first, last)
    fields: Fields = {
        "half": half,
        "groups": groups,
        "outputs": outputs // groups,
        "inputs": inputs // groups,
        "fy": fy,
        "fx": fx,
        "sy": sy,
        "sx": sx,
        "dy": dy,
        "dx": dx,
        "oy": oy,
        "ox": ox,
        "first": int(parts.first),
        **pads(rows, columns, parts.pad_value),
    }
    draft = Draft(e, "conv", fields)
    if rows.count and columns.count:
        start, extent = (rows.start, columns.start, channel), (rows.count, columns.count, inputs)
        draft.tensor("in", parts.input, start, extent, "its inputs")
    if last:
        _finish(draft, parts, indices, (y, x, k), (oy, ox, depth))
    draft.emit(op.layer)


def _finish(
    draft: Draft, parts: ConvParts, indices: Sequence[int], box: tuple[int, int, int], extent: tuple[int, int, int]
) -> None:
    """What the last pass over a reduction does with the sums: requantise, a second operand, a table, the result."""
    stage = parts.requantize
    if stage is None or parts.params is None or parts.params_offset is None:
        return
    draft.fields.update(last=FLOAT if parts.is_float else 1, zero_point=stage.zero, lo=stage.lo, hi=stage.hi)
    (first,) = parts.params_offset.at(indices)
    draft.flat("params", parts.params, PARAMETER_BYTES * first, PARAMETER_BYTES * parts.outputs, "its parameters")
    parameters.check(draft.emission, draft.emission.state.buffer(parts.params), first, parts.outputs, parameters.SCALE)
    if parts.residual is not None and parts.sum is not None and parts.residual_offset is not None:
        (offset,) = parts.residual_offset.at(indices)
        law = parts.sum
        draft.fields.update(
            residual=1 + POSITIONS.index(law.position),
            ra=law.ra,
            rb=law.rb,
            fix=law.fix,
            sum_lo=law.lo,
            sum_hi=law.hi,
        )
        draft.tensor("res", parts.residual, (*box[:2], offset), (*extent[:2], parts.outputs), "its residuals")
    if parts.table is not None:
        draft.fields["has_table"] = 1
        draft.flat("table", parts.table, 0, TABLE_BYTES, "its table")
    draft.tensor("out", parts.output, box, extent, "its outputs")


def pads(rows: Span, columns: Span, value: int) -> Fields:
    """The fields of what a window meets beyond its input."""
    return {
        "top": rows.before,
        "bottom": rows.after,
        "left": columns.before,
        "right": columns.after,
        "pad_value": value,
    }
