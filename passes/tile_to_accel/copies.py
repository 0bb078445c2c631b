"""Loads and stores as strided copies of the machine; configuration images into the shadow slot, and their use."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import SSAValue

from dialects import tile
from passes.common.geometry import copy, flat
from passes.tile_to_accel import parameters
from passes.tile_to_accel.emission import Draft, Emission
from passes.tile_to_accel.memory import image_of, said
from passes.tile_to_accel.plan_state import PlanBuffer


def move(e: Emission, op: tile.LoadOp | tile.StoreOp, indices: Sequence[int]) -> None:
    name, sram_side = ("load", op.target) if isinstance(op, tile.LoadOp) else ("store", op.source)
    dram_side = op.source if name == "load" else op.target
    slices = {op.target: op.target_slice.data, op.source: op.source_slice.data}
    buffer, region = e.state.buffer(sram_side), e.dram.get(dram_side)
    if buffer is None or region is None:
        return
    if e.prologue is None and e.repeats and region.kind.data in ("input", "output"):
        e.complain(
            f"it moves {said(dram_side)} above tile.frame, where everything is done once; inputs come and outputs "
            "leave with every frame, below it."
        )
        return
    if name == "store" and region.kind.data in ("constant", "image", "input"):
        what = "an input" if region.kind.data == "input" else "a constant"
        e.complain(f"it stores into {said(dram_side)}, {what}; store into a tile.dram or an output.")
        return
    shape = tile.buffer_type(dram_side).dims
    inner, outer, sizes = _clipped(
        slices[sram_side].at(indices), buffer.dims, slices[dram_side].at(indices), shape, slices[sram_side].sizes
    )
    if sizes[0] < 1 or not _fits(e, buffer, inner, shape, outer, sizes):
        return
    inner = buffer.local(inner)
    _follow(e, name, buffer, inner, dram_side, outer, sizes)
    box = copy(sizes, (shape, buffer.stored), bool(buffer.ring))
    if box is None:
        e.complain(
            "the box has more strided dimensions than a copy of the machine, which takes three with the "
            "innermost contiguous; split it."
        )
        return
    draft = Draft(
        e,
        name,
        {
            "bytes": box.bytes,
            "count1": box.count1,
            "count2": box.count2,
            "dram_stride1": box.stride1[0],
            "dram_stride2": box.stride2[0],
            "sram_stride1": box.stride1[1],
            "sram_stride2": box.stride2[1],
        },
    )
    start = inner
    if buffer.ring:
        draft.fields["ring"], draft.fields["row"] = buffer.ring, inner[0] % buffer.ring
        start = (0, *inner[1:])
    draft.memory = [("dram", region.output, flat(outer, shape)), ("sram", buffer.value, flat(start, buffer.stored))]
    draft.emit(op.layer)


Place = tuple[int, ...]


def _clipped(
    inner: Place, dims: Place, outer: Place, shape: Place, sizes: Sequence[int]
) -> tuple[Place, Place, list[int]]:
    """A box without the rows that fall outside the tensor on either side: where it begins in SRAM and DRAM; sizes."""
    skip = max(0, -inner[0], -outer[0])
    rows = min(sizes[0], dims[0] - inner[0], shape[0] - outer[0]) - skip
    return (inner[0] + skip, *inner[1:]), (outer[0] + skip, *outer[1:]), [rows, *sizes[1:]]


def _fits(e: Emission, buffer: PlanBuffer, inner: Place, shape: Place, outer: Place, sizes: Sequence[int]) -> bool:
    """Whether the box lies in both tensors, with a complaint where it does not."""
    for what, offsets, limits in (("SRAM", inner, buffer.dims), ("DRAM", outer, shape)):
        for axis, (offset, size, limit) in enumerate(zip(offsets, sizes, limits, strict=True)):
            if offset < 0 or offset + size > limit:
                e.complain(
                    f"it moves {offset} to {offset + size - 1} of dimension {axis} in {what}, which has {limit} there."
                )
                return False
    if buffer.ring and sizes[0] > buffer.ring:
        e.complain(f"it moves {sizes[0]} rows of {buffer}, whose ring stores {buffer.ring}.")
        return False
    if lacking := buffer.lacks(inner, sizes):
        e.complain(f"it moves {lacking}.")
        return False
    return True


def _follow(
    e: Emission, name: str, buffer: PlanBuffer, inner: Place, dram_side: SSAValue, outer: Place, sizes: Sequence[int]
) -> None:
    """Follow what a load or a store reads and writes."""
    region = e.in_dram[dram_side]
    if name == "store":
        e.reads(buffer, buffer.written.problem(inner, sizes))
        region.write(outer, sizes)
        return
    found = region.problem(outer, sizes)
    if found is not None:
        what = said(dram_side)
        e.miss(f"it loads row {found[0]} of {what}, which nothing has stored; store it first.", what)
    buffer.written.write(inner, sizes)
    parameters.follow(buffer, e.dram[dram_side].value, inner, outer, tile.buffer_type(dram_side).dims, sizes)


def load_config(e: Emission, op: tile.LoadConfigOp, _indices: Sequence[int]) -> None:
    configuration = op.configuration.data
    e.state.load_config(configuration)
    draft = Draft(e, "load_config", {})
    if op.copy is not None:
        draft.fields["space"] = 1
        draft.flat("address", op.copy, 0, e.machine.configuration.image_bytes, "the image's bytes")
    else:
        draft.memory.append(("address", image_of(e, configuration).output, 0))
    draft.emit(op.layer)


def use(e: Emission, op: tile.UseOp, _indices: Sequence[int]) -> None:
    e.state.use(op.configuration.data)
    Draft(e, "configure", {}).emit(op.layer)
