"""What a plan means: its text, top to bottom, on logical coordinates, with rings that really overwrite.

Every SRAM element remembers which logical row was written to it last, so a plan that reuses a row's slot too early, or
reads what nobody wrote, is found where it reads. Queues, waits and addresses do not exist here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue

from dialects import tile
from dialects.meaning.calls import evaluate_main, for_every_frame, main_of
from dialects.meaning.kernels import Int8, Int64
from dialects.meaning.memory import NEVER, PlanDram, PlanSram, fresh
from dialects.meaning.steps import Chain, MeaningError, Operands, finish, sums, vector
from sim.machine.description import Configuration
from sim.machine.operations import operation

Array = npt.NDArray[Any]
Index = Sequence[int]

_NEVER = -1
Watch = Callable[[tile.ConvOp | tile.VectorOp | tile.MoveOp, tuple[int, int, int] | None, Int8], None]
"""Told of every finished tile: its op, its first row, column and channel in the output's logical coordinates, and its
codes int8[rows, columns, channels]. What a move writes is no box, so it has no place."""


def evaluate(module: ModuleOp, inputs: Mapping[str, npt.ArrayLike], watch: Watch | None = None) -> dict[str, Array]:
    """The outputs by name, for inputs by name: of ``@main``, or of the schedules when there is no ``@main``.

    ``watch`` is told of every tile as it is finished. Raises MeaningError where the plan reads unwritten or overwritten
    data or does what the machine refuses, ValueError for a missing input.
    """
    schedules = {op.sym_name.data: op for op in module.body.block.ops if isinstance(op, tile.ScheduleOp)}
    main = main_of(module)
    if main is not None:
        segments = {name: _segment(schedule, watch) for name, schedule in schedules.items()}
        return evaluate_main(module, main, inputs, segments)
    results: dict[str, Array] = {}
    for schedule in schedules.values():
        names = [_port(schedule, number) for number in range(len(schedule.body.block.args))]
        count = len(schedule.input_values)
        for name in names[:count]:
            if name not in inputs:
                raise ValueError(f"no value given for the input '{name}'")
        outputs = _segment(schedule, watch)([np.asarray(inputs[name]) for name in names[:count]])
        results.update(zip(names[count:], outputs, strict=True))
    return results


def _port(schedule: tile.ScheduleOp, number: int) -> str:
    count = len(schedule.input_values)
    normal = f"input{number}" if number < count else f"output{number - count}"
    return schedule.body.block.args[number].name_hint or normal


def _segment(schedule: tile.ScheduleOp, watch: Watch | None) -> Callable[[Sequence[Array]], list[Array]]:
    return lambda inputs: _Run(schedule, watch).run(inputs)


@dataclass
class _Half:
    value: SSAValue
    weights: Int8
    zero: int
    groups: int
    configuration: Configuration


class _Run:
    """One execution of a schedule."""

    def __init__(self, schedule: tile.ScheduleOp, watch: Watch | None = None):
        self.schedule = schedule
        self.watch = watch
        self.dram: dict[SSAValue, PlanDram] = {}
        self.sram: dict[SSAValue, PlanSram] = {}
        self.halves: list[_Half | None] = [None, None]
        self.half_of: dict[SSAValue, int] = {}
        self.active: Configuration | None = None
        self.shadow: Configuration | None = None
        self.sums: Int64 | None = None

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        for value, array in zip(self.schedule.input_values, inputs, strict=True):
            data = for_every_frame(array, tile.buffer_type(value).dims)
            self.dram[value] = PlanDram(data, np.ones(data.shape, np.bool_))
        for value in self.schedule.output_values:
            self.dram[value] = fresh(tile.buffer_type(value).dims)
        for op, indices in tile.unrolled(self.schedule.body.block):
            try:
                HANDLERS[type(op)](self, op, indices)
            except MeaningError as error:
                raise MeaningError(f"{_where(op, indices)}: {error}") from None
        for value in self.schedule.output_values:
            if not self.dram[value].written.all():
                name = value.name_hint or "output"
                raise MeaningError(f"The plan @{self.schedule.sym_name.data} does not write all of %{name}.")
        return [self.dram[value].data for value in self.schedule.output_values]

    def buffer(self, value: SSAValue) -> PlanSram:
        if value not in self.sram:
            raise MeaningError(f"%{value.name_hint or 'buffer'} is not allocated")
        return self.sram[value]

    # ------------------------------------------------------------------------------------------------ memory

    def constant(self, op: tile.ConstantOp, _indices: Index) -> None:
        data = np.frombuffer(memoryview(op.value.data.buffer()), np.int8).reshape(tile.buffer_type(op.output).dims)
        self.dram[op.output] = PlanDram(data, np.ones(data.shape, np.bool_))

    def image(self, op: tile.ImageOp, _indices: Index) -> None:
        from sim.machine.configuration_image import encode

        data = np.frombuffer(encode(op.configuration.data, tile.buffer_type(op.output).dims[0]), np.int8)
        self.dram[op.output] = PlanDram(data, np.ones(data.shape, np.bool_))

    def scratch(self, op: tile.DramOp, _indices: Index) -> None:
        self.dram[op.output] = fresh(tile.buffer_type(op.output).dims)

    def alloc(self, op: tile.AllocOp, _indices: Index) -> None:
        kind = op.output.type
        stored = (kind.rows, *kind.stored[1:])
        self.sram[op.output] = PlanSram(
            np.zeros(stored, np.int8),
            np.full(stored, NEVER, np.int32),
            kind.dims,
            kind.ring.data,
            f"%{op.output.name_hint or 'buffer'}",
            kind.origin,
        )

    def view(self, op: tile.ViewOp, _indices: Index) -> None:
        source, dims = self.buffer(op.input), tile.buffer_type(op.output).dims
        self.sram[op.output] = PlanSram(
            source.data.reshape(dims), source.rows.reshape(dims), dims, 0, f"%{op.output.name_hint or 'view'}"
        )

    def free(self, op: tile.FreeOp, _indices: Index) -> None:
        for value in op.buffers:
            freed = self.buffer(value)
            for other in [v for v, b in self.sram.items() if np.shares_memory(b.data, freed.data)]:
                del self.sram[other]

    def move(self, op: tile.LoadOp | tile.StoreOp, indices: Index) -> None:
        here, there = op.target_slice.data.at(indices), op.source_slice.data.at(indices)
        sizes = list(op.target_slice.data.sizes)
        limits = [tile.buffer_type(value).dims[0] for value in (op.target, op.source)]
        skip = max(0, -here[0], -there[0])
        sizes[0] = min(sizes[0], limits[0] - here[0], limits[1] - there[0]) - skip
        if sizes[0] < 1:
            return
        here, there = (here[0] + skip, *here[1:]), (there[0] + skip, *there[1:])
        if isinstance(op, tile.LoadOp):
            source, box = self.dram[op.source], _box(there, sizes)
            if not source.written[box].all():
                raise MeaningError("it loads what nothing has stored")
            self.buffer(op.target).write(here, source.data[box])
        else:
            target, box = self.dram[op.target], _box(here, sizes)
            target.data[box] = self.buffer(op.source).read(there, sizes)
            target.written[box] = True

    # ---------------------------------------------------------------------------------------------- the array

    def load_config(self, op: tile.LoadConfigOp, _indices: Index) -> None:
        if op.copy is not None:
            from sim.machine.configuration_image import decode

            copy = self.buffer(op.copy)
            held = decode(copy.read((0,) * len(copy.dims), copy.dims).tobytes())
            if held != op.configuration.data:
                raise MeaningError(f"the copy holds {held}, not {op.configuration.data}")
        self.shadow = op.configuration.data

    def use(self, op: tile.UseOp, _indices: Index) -> None:
        if self.shadow != op.configuration.data:
            raise MeaningError(f"the shadow slot holds {self.shadow}, not {op.configuration.data}")
        self.active, self.shadow, self.sums = self.shadow, self.active, None

    def fill(self, op: tile.FillOp, indices: Index) -> None:
        box = op.slice.data
        weights = self.buffer(op.weights).read(box.at(indices), box.sizes)
        half = op.half.value.data
        self.halves[half] = _Half(op.output, weights, op.zero.value.data, op.groups.value.data, op.configuration.data)
        self.half_of[op.output] = half

    def conv(self, op: tile.ConvOp, indices: Index) -> None:
        output, source = self.buffer(op.output), self.buffer(op.input)
        (y, x, k), (oy, ox, outputs) = op.out.data.at(indices), op.out.data.sizes
        low, high = max(y, 0), min(y + oy, output.dims[0])
        if high <= low:
            return
        half = self.halves[self.half_of[op.half]] if op.half in self.half_of else None
        if half is None or half.value is not op.half:
            raise MeaningError("the half it names has been filled with something else")
        if half.configuration != self.active:
            raise MeaningError(f"the half is laid out for {half.configuration} and {self.active} is active")
        groups = op.groups.value.data
        kernel, pads, strides, dilations = op.window.values
        if half.groups != groups or half.weights.shape[1:3] != kernel:
            raise MeaningError("the half holds weights of another shape")
        (channel,), (inputs,) = op.channels.data.at(indices), op.channels.data.sizes
        first = (low * strides[0] - pads[0], x * strides[1] - pads[2])
        extent = tuple(
            (n - 1) * s + (f - 1) * d + 1
            for n, s, f, d in zip((high - low, ox), strides, kernel, dilations, strict=True)
        )
        window = _surrounded(source, first, extent, channel, inputs, op.pad_value.value.data)
        before = None if op.first.value.data else self.sums
        if before is None and not op.first.value.data:
            raise MeaningError("it accumulates and no reduction is under way")
        winograd = half.configuration.algorithm == "winograd"
        acc = sums(window, half.weights, half.zero, strides, dilations, groups, before, winograd)
        if op.requantize is None:
            self.sums = acc
            return
        self.sums = None
        place = (low, x)
        self.finished(op, (*place, k), finish(acc, self.chain(op, indices, place, (high - low, ox, outputs))))

    def finished(self, op: tile.ConvOp | tile.VectorOp, place: tuple[int, int, int], values: Int8) -> None:
        """Store a tile's codes in its output."""
        self.buffer(op.output).write(place, values)
        if self.watch is not None:
            self.watch(op, place, values)

    def chain(self, op: tile.ConvOp, indices: Index, place: Index, extent: Index) -> Chain:
        """The stages behind a last pass, with their operands read."""
        assert op.requantize is not None
        assert op.params is not None
        assert op.params_offset is not None
        (channel,) = op.params_offset.data.at(indices)
        law = op.requantize.data
        params = self.buffer(op.params).read((channel, 0), (op.outputs, 8))
        table = self.buffer(op.table).read((0,), (256,)) if op.table is not None else None
        if op.residual is None or op.sum is None or op.residual_offset is None:
            return Chain(params, law.zero, law.lo, law.hi, table=table, is_float=op.is_float)
        (offset,) = op.residual_offset.data.at(indices)
        total = op.sum.data
        residual = self.buffer(op.residual).read((*place, offset), extent)
        return Chain(
            params,
            law.zero,
            law.lo,
            law.hi,
            residual,
            total.position,
            (total.ra, total.rb, total.fix),
            (total.lo, total.hi),
            table,
        )

    # ---------------------------------------------------------------------------------------- the vector unit

    def vector(self, op: tile.VectorOp, indices: Index) -> None:
        output, source = self.buffer(op.output), self.buffer(op.lhs)
        (y, x, channel), (oy, ox, channels) = op.out.data.at(indices), op.out.data.sizes
        low, high = max(y, 0), min(y + oy, output.dims[0])
        if high <= low:
            return
        kind, rows = op.kind.data, high - low
        (offset,) = op.lhs_offset.data.at(indices)
        law = op.law.data
        numbers = {
            **dict(zip(("ra", "rb", "fix", "alpha", "beta", "bias"), law.floats, strict=True)),
            **dict(zip(("za", "zb", "zero_point"), law.zeros, strict=True)),
            "lo": law.lo,
            "hi": law.hi,
            "size": law.size,
        }
        if kind == "copy" and not law.floats[0]:
            numbers["ra"] = 1.0
        kernel, strides, around, pads = (1, 1), (1, 1), (0, 0, 0, 0), (0, 0, 0, 0)
        if op.window is not None:
            kernel, around, strides, _ = op.window.values
        row = operation(kind)
        if row.reads == "window":
            first = (low * strides[0] - around[0], x * strides[1] - around[2])
            last = tuple(f + (n - 1) * s + k for f, n, s, k in zip(first, (rows, ox), strides, kernel, strict=True))
            # Windows may lie beside the image altogether, and then read none of it.
            start = tuple(min(max(0, f), limit) for f, limit in zip(first, source.dims, strict=False))
            stop = tuple(max(s, min(e, limit)) for s, e, limit in zip(start, last, source.dims, strict=False))
            before = [min(e, 0) - min(f, 0) for f, e in zip(first, last, strict=True)]
            after = [e - f - b - (t - s) for f, e, b, s, t in zip(first, last, before, start, stop, strict=True)]
            pads = (before[0], after[0], before[1], after[1])
            a = source.read((*start, offset), (stop[0] - start[0], stop[1] - start[1], channels))
        elif row.reads == "image":
            a = source.read((0, 0, offset), (*source.dims[:2], channels))
        elif row.reads == "repeated":
            top, left = low // strides[0], x // strides[1]
            bottom, right = (high - 1) // strides[0], (x + ox - 1) // strides[1]
            a = source.read((top, left, offset), (bottom - top + 1, right - left + 1, channels))
        else:
            a = source.read((low, x, offset), (rows, ox, channels))
        b = None
        if op.rhs is not None and op.rhs_offset is not None:
            other, (second,) = self.buffer(op.rhs), op.rhs_offset.data.at(indices)
            one_row, one_column = (row.pixel and size == 1 for size in other.dims[:2])
            start = 0 if one_row else low, 0 if one_column else x
            b = other.read((*start, second), (1 if one_row else rows, 1 if one_column else ox, channels))
        side = None
        if op.params is not None and op.params_offset is not None:
            (first,) = op.params_offset.data.at(indices)
            side = self.buffer(op.params).read((first, 0), (channels, 8))
        elif op.table is not None:
            side = self.buffer(op.table).read((0,), (256,))
        result = vector(kind, Operands(a, b, side, kernel, strides, pads), numbers)
        if row.reads == "repeated":
            result = result[low % strides[0] :, x % strides[1] :][:rows, :ox]
        self.finished(op, (low, x, channel), result)

    def walk(self, op: tile.MoveOp, indices: Index) -> None:
        values = self.buffer(op.input).gather(op.read.data, indices, op.extent)
        self.buffer(op.output).scatter(op.write.data, indices, values)
        if self.watch is not None:
            self.watch(op, None, values)


def _surrounded(
    source: PlanSram, first: tuple[int, int], extent: tuple[int, ...], channel: int, channels: int, value: int
) -> Int8:
    """The rows and columns from ``first`` on, ``value`` where they lie outside the image."""
    window = np.full((*extent, channels), value, np.int8)
    start = [max(0, f) for f in first]
    stop = [min(f + e, limit) for f, e, limit in zip(first, extent, source.dims, strict=False)]
    if stop[0] > start[0] and stop[1] > start[1]:
        part = source.read((*start, channel), (stop[0] - start[0], stop[1] - start[1], channels))
        window[tuple(slice(a - f, b - f) for a, b, f in zip(start, stop, first, strict=True))] = part
    return window


def _box(offsets: Index, sizes: Index) -> tuple[slice, ...]:
    return tuple(slice(o, o + n) for o, n in zip(offsets, sizes, strict=True))


def _where(op: Operation, indices: Index) -> str:
    layer = op.layer_name if isinstance(op, tile.TileOp) else ""
    text = op.name + (f" of layer {layer}" if layer else "")
    return text + (f" in turn {', '.join(map(str, indices))}" if indices else "")


HANDLERS: Mapping[type[Operation], Callable[[_Run, Any, Index], None]] = {
    tile.ConstantOp: _Run.constant,
    tile.ImageOp: _Run.image,
    tile.FrameOp: lambda _run, _op, _indices: None,  # a run is one frame
    tile.DramOp: _Run.scratch,
    tile.AllocOp: _Run.alloc,
    tile.ViewOp: _Run.view,
    tile.FreeOp: _Run.free,
    tile.LoadOp: _Run.move,
    tile.StoreOp: _Run.move,
    tile.LoadConfigOp: _Run.load_config,
    tile.UseOp: _Run.use,
    tile.FillOp: _Run.fill,
    tile.ConvOp: _Run.conv,
    tile.VectorOp: _Run.vector,
    tile.MoveOp: _Run.walk,
}
