"""The vector unit's work as instructions: its operations by their rows, and the walks of a movement."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import SSAValue

from dialects import tile
from passes.common.geometry import clip, span
from passes.tile_to_accel import parameters
from passes.tile_to_accel.convolutions import pads
from passes.tile_to_accel.emission import Draft, Emission, Fields
from passes.tile_to_accel.moves import places, walked
from passes.tile_to_accel.plan_state import PlanBuffer
from sim.machine.isa import PARAMETER_BYTES, TABLE_BYTES, VECTOR_OPS
from sim.machine.operations import operation

Pair = tuple[int, int]
"""Rows and columns."""

Box = tuple[int, int, int]
"""Rows, columns and channels."""


def vector(e: Emission, op: tile.VectorOp, indices: Sequence[int]) -> None:
    target, source = e.state.buffer(op.output), e.state.buffer(op.lhs)
    if target is None or source is None:
        return
    (y, x, channel), (oy, ox, channels) = op.out.data.at(indices), op.out.data.sizes
    y, oy = clip(y, oy, target.dims[0])
    if oy == 0:
        return
    (offset,) = op.lhs_offset.data.at(indices)
    draft = Draft(e, "vector", {"oy": oy, "ox": ox, "channels": channels, **_law(op)})
    read = _read(draft, op, source, (y, x), (oy, ox))
    if read is None:
        return
    start, extent = read
    if all(extent):
        draft.tensor("a", op.lhs, (*start, offset), (*extent, channels), "its inputs")
    if op.rhs is not None and op.rhs_offset is not None:
        _second(draft, op, op.rhs, (y, x, op.rhs_offset.data.at(indices)[0]), (oy, ox, channels))
    if op.params is not None and op.params_offset is not None:
        (first,) = op.params_offset.data.at(indices)
        draft.flat("params", op.params, PARAMETER_BYTES * first, PARAMETER_BYTES * channels, "its parameters")
        parameters.check(e, e.state.buffer(op.params), first, channels, parameters.BOTH)
    if op.table is not None:
        draft.flat("table", op.table, 0, TABLE_BYTES, "its table")
    draft.tensor("out", op.output, (y, x, channel), (oy, ox, channels), "its outputs")
    draft.emit(op.layer)


def _second(draft: Draft, op: tile.VectorOp, rhs: SSAValue, at: Box, size: Box) -> None:
    """The second operand: one row, one column or one pixel of it counts for all."""
    buffer, whole = draft.emission.state.buffer(rhs), tile.buffer_type(op.output).dims
    once = [operation(op.kind.data).pixel and buffer is not None and buffer.dims[axis] == 1 for axis in (0, 1)]
    y, x = (0 if single else start for single, start in zip(once, at, strict=False))
    rows, columns = (1 if single else count for single, count in zip(once, size, strict=False))
    draft.tensor("b", rhs, (y, x, at[2]), (rows, columns, size[2]), "its second inputs")
    if all(once):
        draft.fields.update({"b_broadcast": 1} if whole[:2] != (1, 1) else {})
    else:
        draft.fields.update({"b.row_stride": 0} if once[0] else {})
        draft.fields.update({"b.pixel_stride": 0} if once[1] else {})


def _law(op: tile.VectorOp) -> Fields:
    """The fields of an operation's numbers."""
    kind, law = op.kind.data, op.law.data
    fields: Fields = {
        "op": VECTOR_OPS.index(kind),
        "lo": law.lo,
        "hi": law.hi,
        "size": law.size,
        "za": law.zeros[0],
        "zb": law.zeros[1],
        "zero_point": law.zeros[2],
        **dict(zip(("ra", "rb", "fix", "alpha", "beta", "bias"), law.floats, strict=True)),
    }
    if kind == "copy" and not law.floats[0]:
        fields["ra"] = 1.0  # without a law a copy moves codes
    return fields


def _read(draft: Draft, op: tile.VectorOp, source: PlanBuffer, at: Pair, size: Pair) -> tuple[Pair, Pair] | None:
    """Where an operation begins to read its first operand and how much of it, with the fields that say so; None after
    a complaint. Its result is ``size`` pixels from ``at`` on."""
    complain = draft.emission.complain
    (y, x), (oy, ox) = at, size
    row = operation(op.kind.data)
    if op.window is not None:
        (fy, fx), (top, _, left, _), (sy, sx), (dy, dx) = op.window.values
        draft.fields.update(sy=sy, sx=sx)
        if row.reads == "repeated":
            if y % sy or x % sx:
                complain(f"a resize by {sy}x{sx} begins at a whole input pixel, not at row {y}, column {x}.")
                return None
            return (y // sy, x // sx), (-(-oy // sy), -(-ox // sx))
        if row.reads == "window":
            if (dy, dx) != (1, 1):
                complain("the vector unit's pools have no dilation.")
                return None
            rows = span(y, oy, fy, sy, 1, top, source.dims[0])
            columns = span(x, ox, fx, sx, 1, left, source.dims[1])
            beyond = -128 if row.name == "max_pool" else op.law.data.zeros[0]
            draft.fields.update(fy=fy, fx=fx, **pads(rows, columns, beyond))
            return (rows.start, columns.start), (rows.count, columns.count)
    if row.reads == "image":
        draft.fields.update(iy=source.dims[0], ix=source.dims[1])
        return (0, 0), (source.dims[0], source.dims[1])
    return at, size


def walk(e: Emission, op: tile.MoveOp, indices: Sequence[int]) -> None:
    target, source = e.state.buffer(op.output), e.state.buffer(op.input)
    if target is None or source is None:
        return
    oy, ox, channels = sizes = op.extent
    fields: Fields = {"op": VECTOR_OPS.index("copy"), "oy": oy, "ox": ox, "channels": channels, "ra": 1.0}
    draft = Draft(e, "vector", {**fields, "lo": -128, "hi": 127})
    for name, buffer, steps in (("a", source, op.read.data), ("out", target, op.write.data)):
        origin = steps.at(indices)
        found = walked(name, buffer, origin, steps, sizes, e.complain)
        if found is None:
            return
        elements = places(buffer.local(origin), steps, sizes)
        if name == "out":
            buffer.written.scatter(*elements)
        else:
            e.reads(buffer, buffer.written.gathered(*elements))
        draft.fields.update(found[0])
        draft.memory += found[1]
    draft.emit(op.layer)
