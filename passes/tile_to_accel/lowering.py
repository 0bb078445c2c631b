"""One ``tile.schedule`` as one ``accel.program``: memory, the machine's state along the text, and instructions.

Long: one walk over the text, whose every step needs the same state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xdsl.dialects.builtin import SymbolRefAttr
from xdsl.ir import Operation, SSAValue

from dialects import accel, tile
from dialects.cnn_attributes import FLOAT_BYTES
from dialects.tile_attributes import POSITIONS
from passes.common.geometry import Span, clip, copy, flat, span
from passes.common.problems import ModelError, Problems, place_in_text
from passes.tile_to_accel.moves import places, walked
from passes.tile_to_accel.plan_state import HalfContents, PlanBuffer, PlanState
from passes.tile_to_accel.written import Written
from sim.machine import description as machines
from sim.machine.description import ALGORITHMS, Configuration, Machine
from sim.machine.isa import BY_NAME, INTEGERS, VECTOR_OPS
from sim.machine.laws import FLOAT
from sim.machine.operations import operation

Fields = dict[str, int | float]
Memory = list[tuple[str, SSAValue, int]]


def lower(schedule: tile.ScheduleOp) -> accel.ProgramOp:
    """The program of one schedule; ModelError names every op that the machine cannot carry out, MachineFileError an
    unknown machine."""
    return _Lowering(schedule, machines.load(schedule.machine.data)).run()


@dataclass
class Where:
    """The op and turn being lowered, for messages."""

    op: Operation
    indices: Sequence[int]

    def __str__(self) -> str:
        text = self.op.name
        target = self.op.results[0] if self.op.results else self.op.operands[0] if self.op.operands else None
        if target is not None and target.name_hint:
            text += f" %{target.name_hint}"
        if self.indices:
            text += f" in turn {', '.join(map(str, self.indices))}"
        layer = self.op.layer_name if isinstance(self.op, tile.TileOp) else ""
        return ", ".join(filter(None, [place_in_text(self.op), f"layer {layer}" if layer else "", text]))


@dataclass(frozen=True)
class _ConvParts:
    """What does not change from turn to turn of a ``tile.conv``; reading it from the op is slow."""

    output: SSAValue
    input: SSAValue
    half: SSAValue
    params: SSAValue | None
    residual: SSAValue | None
    table: SSAValue | None
    out: tile.Slice
    channels: tile.Slice
    params_offset: tile.Slice | None
    residual_offset: tile.Slice | None
    requantize: tile.Requantize | None
    sum: tile.Sum | None
    window: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    groups: int
    first: bool
    pad_value: int
    is_float: bool

    @classmethod
    def of(cls, op: tile.ConvOp) -> _ConvParts:
        def data(attribute: Any) -> Any:
            return attribute.data if attribute is not None else None

        return cls(
            op.output,
            op.input,
            op.half,
            op.params,
            op.residual,
            op.table,
            op.out.data,
            op.channels.data,
            data(op.params_offset),
            data(op.residual_offset),
            data(op.requantize),
            data(op.sum),
            op.window.values,
            op.groups.value.data,
            bool(op.first.value.data),
            op.pad_value.value.data,
            op.is_float,
        )


class _Lowering:
    """Lowers one schedule, keeping the state of the plan op by op."""

    def __init__(self, schedule: tile.ScheduleOp, machine: Machine):
        self.schedule = schedule
        self.machine = machine
        self.problems = Problems(f"The plan @{schedule.sym_name.data} for {machine.name}")
        self.missing = Problems(self.problems.subject)
        self.program = accel.ProgramOp(schedule.sym_name.data, schedule.machine.data)
        self.dram: dict[SSAValue, accel.DramOp] = {}
        self.shared: dict[object, accel.DramOp] = {}
        self.instructions: list[accel.InstructionOp] = []
        self.buffers: list[tuple[accel.BufferOp, PlanBuffer]] = []
        self.where = Where(schedule, ())
        self.repeats = any(isinstance(op, tile.FrameOp) for op in schedule.body.block.ops)
        self.state = PlanState(machine, self.complain)
        self.parts: dict[Operation, _ConvParts] = {}
        self.in_dram: dict[SSAValue, Written] = {}
        self.said: set[tuple[Operation, str]] = set()
        self.prologue: int | None = None

    def complain(self, sentence: str) -> None:
        self.problems.add(str(self.where), sentence)

    def miss(self, sentence: str) -> None:
        """Complain of what is read and nowhere written."""
        self.missing.add(str(self.where), sentence)

    def run(self) -> accel.ProgramOp:
        block = self.schedule.body.block
        total = sum(tile.trips(op) for op in block.ops)
        if total > tile.MAX_INSTRUCTIONS:
            raise ModelError(
                f"{self.problems.subject} unrolls to {total:,} instructions and at most {tile.MAX_INSTRUCTIONS:,} "
                "are allowed; take larger tiles or fewer turns."
            )
        inputs = len(self.schedule.input_values)
        taken: set[str] = set()
        for number, argument in enumerate(block.args):
            kind = "input" if number < inputs else "output"
            name = argument.name_hint or f"{kind}{number - (0 if kind == 'input' else inputs)}"
            while name in taken:
                name += "_"
            taken.add(name)
            self._region(argument, accel.DramOp(kind, tile.buffer_type(argument).dims, port=name))
            if kind == "input":
                self.in_dram[argument].fill()
        for op, indices in tile.unrolled(block):
            self.where = Where(op, indices)
            handler = HANDLERS.get(type(op))
            if handler is None:
                self.complain("a schedule holds ops of the tile dialect only.")
            else:
                handler(self, op, indices)
        self.problems.raise_if_any()  # first: what another problem kept from being written is no problem of its own
        self.where = Where(self.schedule, ())
        for value in self.schedule.output_values:
            written = self.in_dram[value]
            if (found := written.problem((0,) * len(written.dims), written.dims)) is not None:
                self.miss(f"it never stores row {found[0]} of {_said(value)}; a plan writes all of its outputs.")
        self.missing.raise_if_any()
        body = self.program.body.block
        for buffer, state in self.buffers:
            last = state.freed if state.freed is not None else len(self.instructions)
            buffer.plan_between(state.born, last)
            body.add_op(buffer)
        body.add_ops(self.instructions[: self.prologue])
        if self.prologue is not None:
            body.add_op(accel.FrameOp())
            body.add_ops(self.instructions[self.prologue :])
        return self.program

    # ------------------------------------------------------------------------------------------------ memory

    def _region(self, value: SSAValue, region: accel.DramOp, key: object = None) -> None:
        written = self.in_dram[value] = Written(tile.buffer_type(value).dims)
        if region.kind.data == "constant":
            written.fill()
        if key is not None and key in self.shared:
            self.dram[value] = self.shared[key]
            return
        region.output.name_hint = value.name_hint
        self.program.body.block.add_op(region)
        self.dram[value] = region
        if key is not None:
            self.shared[key] = region

    def _image(self, configuration: Configuration) -> accel.DramOp:
        if configuration not in self.shared:
            region = accel.DramOp("image", (self.machine.configuration.image_bytes,), configuration=configuration)
            region.output.name_hint = str(configuration).replace(" ", "_")
            self.program.body.block.add_op(region)
            self.shared[configuration] = region
        return self.shared[configuration]

    def constant(self, op: tile.ConstantOp, _indices: Sequence[int]) -> None:
        if op.output not in self.dram:
            self._region(op.output, accel.DramOp("constant", value=op.value), op.value)

    def scratch(self, op: tile.DramOp, _indices: Sequence[int]) -> None:
        if op.output not in self.dram:
            self._region(op.output, accel.DramOp("scratch", tile.buffer_type(op.output).dims))
        self.in_dram[op.output] = Written(
            tile.buffer_type(op.output).dims
        )  # what an earlier turn stored is not its own

    def image(self, op: tile.ImageOp, _indices: Sequence[int]) -> None:
        size, wanted = tile.buffer_type(op.output).dims, (self.machine.configuration.image_bytes,)
        if size != wanted:
            self.complain(
                f"a configuration image of {self.machine.name} has {wanted[0]:,} bytes, not {'x'.join(map(str, size))}."
            )
        self.dram[op.output] = self._image(op.configuration.data)
        self.in_dram[op.output] = Written(size)
        self.in_dram[op.output].fill()

    def alloc(self, op: tile.AllocOp, _indices: Sequence[int]) -> None:
        kind = op.output.type
        address = op.address.value.data if op.address is not None else None
        buffer = accel.BufferOp(kind.nbytes, address=address)
        buffer.output.name_hint, buffer.location = op.output.name_hint, op.location
        name, written = op.output.name_hint or "", Written(kind.dims, kind.ring.data)
        state = PlanBuffer(buffer.output, kind.dims, kind.ring.data, name, len(self.instructions), written)
        self.state.alloc(op.output, state)
        self.buffers.append((buffer, state))

    def view(self, op: tile.ViewOp, _indices: Sequence[int]) -> None:
        source = self.state.buffer(op.input)
        if source is not None:
            dims = tile.buffer_type(op.output).dims
            name, written = op.output.name_hint or source.name, source.written.view(dims)
            self.state.buffers[op.output] = PlanBuffer(
                source.value, dims, 0, name, source.born, written, source.root or source
            )

    def free(self, op: tile.FreeOp, _indices: Sequence[int]) -> None:
        for value in op.buffers:
            self.state.free(value, len(self.instructions))

    def frame(self, _op: tile.FrameOp, _indices: Sequence[int]) -> None:
        self.prologue = len(self.instructions)
        self.state.frame()

    def reads(self, buffer: PlanBuffer, found: tuple[int, int | None] | None) -> None:
        """Complain, once per op and buffer, of the row that is ``found`` not to be there."""
        if found is None or (self.where.op, buffer.name) in self.said:
            return
        self.said.add((self.where.op, buffer.name))
        row, holds = found
        if holds is None:
            self.miss(
                f"it reads row {row} of {buffer}, which nothing has written; move it behind what writes that row."
            )
        else:
            self.miss(
                f"it reads row {row} of {buffer}, whose place in the ring of {buffer.ring} rows holds row {holds}; "
                "make the ring larger, or read the row while it is there."
            )

    # ------------------------------------------------------------------------------------------- instructions

    def emit(self, name: str, fields: Fields, memory: Memory, layer: SymbolRefAttr | None) -> None:
        """Append an instruction after checking its fields' ranges."""
        row = _RANGES[name]
        for field, value in fields.items():
            limits = row.get(field)
            if limits is not None and not limits[0] <= value <= limits[1]:
                lever = "; take another tile" if limits[1] > 127 else ""
                self.complain(
                    f"the field '{field}' of {name} holds whole numbers from {limits[0]} to {limits[1]:,}, "
                    f"not {value:,}{lever}."
                )
                return
        instruction = accel.INSTRUCTION_OPS[name].make(fields, memory, layer=layer)
        instruction.location = self.where.op.location
        self.instructions.append(instruction)

    def operand(
        self,
        name: str,
        value: SSAValue,
        box: tuple[int, int, int],
        extent: tuple[int, int, int],
        fields: Fields,
        memory: Memory,
        what: str,
    ) -> None:
        """Add a tensor operand: ``extent`` rows, columns and channels from ``box`` on in logical coordinates."""
        buffer = self.state.buffer(value)
        if buffer is None:
            return
        row, column, channel = box
        _, width, depth = buffer.dims
        for axis, start, count, limit in zip(("rows", "columns", "channels"), box, extent, buffer.dims, strict=True):
            if start < 0 or start + count > limit:
                self.complain(f"{what} are {axis} {start} to {start + count - 1} of {buffer}, which has {limit}.")
                return
        if buffer.ring and extent[0] > buffer.ring:
            self.complain(
                f"{what} are {extent[0]} rows of {buffer}, whose ring stores {buffer.ring}; "
                "make the ring larger or the tile smaller."
            )
            return
        if name == "out":
            buffer.written.write(box, extent)
        else:
            self.reads(buffer, buffer.written.problem(box, extent))
        fields[f"{name}.row_stride"] = width * depth
        fields[f"{name}.pixel_stride"] = depth
        offset = column * depth + channel
        if buffer.ring:
            fields[f"{name}.ring"] = buffer.ring
            fields[f"{name}.row"] = row % buffer.ring
        else:
            offset += row * width * depth
        memory.append((f"{name}.base", buffer.value, offset))

    def flat_operand(
        self,
        name: str,
        value: SSAValue,
        offset: int,
        size: int,
        memory: Memory,
        what: str,
    ) -> None:
        """Add ``size`` contiguous bytes of a buffer as an operand."""
        buffer = self.state.buffer(value)
        if buffer is None:
            return
        if offset < 0 or offset + size > buffer.nbytes:
            self.complain(f"{what} are bytes {offset} to {offset + size - 1} of {buffer}, which has {buffer.nbytes}.")
            return
        self.reads(buffer, buffer.written.flat_problem(offset, size))
        memory.append((name, buffer.value, offset))

    def move(self, op: tile.LoadOp | tile.StoreOp, indices: Sequence[int]) -> None:
        name, sram_side = ("load", op.target) if isinstance(op, tile.LoadOp) else ("store", op.source)
        dram_side = op.source if name == "load" else op.target
        slices = {op.target: op.target_slice.data, op.source: op.source_slice.data}
        buffer, region = self.state.buffer(sram_side), self.dram.get(dram_side)
        if buffer is None or region is None:
            return
        if self.prologue is None and self.repeats and region.kind.data in ("input", "output"):
            self.complain(
                f"it moves {_said(dram_side)} above tile.frame, where everything is done once; inputs come and outputs "
                "leave with every frame, below it."
            )
            return
        if name == "store" and region.kind.data in ("constant", "image", "input"):
            what = "an input" if region.kind.data == "input" else "a constant"
            self.complain(f"it stores into {_said(dram_side)}, {what}; store into a tile.dram or an output.")
            return
        inner, outer = slices[sram_side].at(indices), slices[dram_side].at(indices)
        sizes = list(slices[sram_side].sizes)
        shape = tile.buffer_type(dram_side).dims
        skip = max(0, -inner[0], -outer[0])
        sizes[0] = min(sizes[0], buffer.dims[0] - inner[0], shape[0] - outer[0]) - skip
        if sizes[0] < 1:
            return
        inner, outer = (inner[0] + skip, *inner[1:]), (outer[0] + skip, *outer[1:])
        for what, offsets, limits in (("SRAM", inner, buffer.dims), ("DRAM", outer, shape)):
            for axis, (offset, size, limit) in enumerate(zip(offsets, sizes, limits, strict=True)):
                if offset < 0 or offset + size > limit:
                    self.complain(
                        f"it moves {offset} to {offset + size - 1} of dimension {axis} in {what}, "
                        f"which has {limit} there."
                    )
                    return
        if buffer.ring and sizes[0] > buffer.ring:
            self.complain(f"it moves {sizes[0]} rows of {buffer}, whose ring stores {buffer.ring}.")
            return
        self.moves(name, buffer, inner, dram_side, outer, sizes)
        box = copy(sizes, (shape, buffer.dims), bool(buffer.ring))
        if box is None:
            self.complain(
                "the box has more strided dimensions than a copy of the machine, which takes three with the "
                "innermost contiguous; split it."
            )
            return
        fields: Fields = {
            "bytes": box.bytes,
            "count1": box.count1,
            "count2": box.count2,
            "dram_stride1": box.stride1[0],
            "dram_stride2": box.stride2[0],
            "sram_stride1": box.stride1[1],
            "sram_stride2": box.stride2[1],
        }
        start = inner
        if buffer.ring:
            fields["ring"], fields["row"] = buffer.ring, inner[0] % buffer.ring
            start = (0, *inner[1:])
        memory: Memory = [("dram", region.output, flat(outer, shape)), ("sram", buffer.value, flat(start, buffer.dims))]
        self.emit(name, fields, memory, op.layer)

    def moves(
        self,
        name: str,
        buffer: PlanBuffer,
        inner: Sequence[int],
        dram_side: SSAValue,
        outer: Sequence[int],
        sizes: Sequence[int],
    ) -> None:
        """Follow what a load or a store reads and writes."""
        region = self.in_dram[dram_side]
        if name == "store":
            self.reads(buffer, buffer.written.problem(inner, sizes))
            region.write(outer, sizes)
            return
        found = region.problem(outer, sizes)
        if found is not None and (self.where.op, _said(dram_side)) not in self.said:
            self.said.add((self.where.op, _said(dram_side)))
            self.miss(f"it loads row {found[0]} of {_said(dram_side)}, which nothing has stored; store it first.")
        buffer.written.write(inner, sizes)

    def load_config(self, op: tile.LoadConfigOp, _indices: Sequence[int]) -> None:
        configuration = op.configuration.data
        self.state.load_config(configuration)
        size = self.machine.configuration.image_bytes
        memory: Memory = []
        if op.copy is not None:
            self.flat_operand("address", op.copy, 0, size, memory, "the image's bytes")
            self.emit("load_config", {"space": 1}, memory, op.layer)
        else:
            self.emit("load_config", {}, [("address", self._image(configuration).output, 0)], op.layer)

    def use(self, op: tile.UseOp, _indices: Sequence[int]) -> None:
        self.state.use(op.configuration.data)
        self.emit("configure", {}, [], op.layer)

    def fill(self, op: tile.FillOp, indices: Sequence[int]) -> None:
        buffer = self.state.buffer(op.weights)
        box, configuration = op.slice.data, op.configuration.data
        groups, zero, half = op.groups.value.data, op.zero.value.data, op.half.value.data
        outputs, fy, fx, inputs = box.sizes
        contents = HalfContents(op.output, configuration, groups, outputs // groups, inputs, fy, fx, self.where)
        self.state.fill(half, contents, zero)
        if buffer is None:
            return
        offsets = box.at(indices)
        for axis, (offset, size, limit) in enumerate(zip(offsets, box.sizes, buffer.dims, strict=True)):
            if offset < 0 or offset + size > limit:
                self.complain(
                    f"it takes {offset} to {offset + size - 1} of dimension {axis} of {buffer}, "
                    f"which has {limit} there."
                )
                return
        _, rows, columns, depth = buffer.dims
        if fy > 1 and fx != columns:
            self.complain(f"kernel positions of a {fy}x{fx} part of {buffer} are not evenly spaced; take whole rows.")
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
        self.reads(buffer, buffer.written.problem(offsets, box.sizes))
        self.emit("fill", fields, [("address", buffer.value, flat(offsets, buffer.dims))], op.layer)

    def conv(self, op: tile.ConvOp, indices: Sequence[int]) -> None:
        """Long: one field of the instruction after the other, each said once."""
        parts = self.parts.get(op)
        if parts is None:
            parts = self.parts[op] = _ConvParts.of(op)
        target, source = self.state.buffer(parts.output), self.state.buffer(parts.input)
        if target is None or source is None:
            return
        (y, x, k), (oy, ox, depth) = parts.out.at(indices), parts.out.sizes
        outputs = depth // (FLOAT_BYTES if parts.is_float else 1)
        y, oy = clip(y, oy, target.dims[0])
        if oy == 0:
            return
        (channel,), (inputs,) = parts.channels.at(indices), parts.channels.sizes
        (fy, fx), (top, _, left, _), (sy, sx), (dy, dx) = parts.window
        rows = span(y, oy, fy, sy, dy, top, source.dims[0])
        columns = span(x, ox, fx, sx, dx, left, source.dims[1])
        groups = parts.groups
        half = self.state.conv(
            parts.half,
            (groups, outputs // groups, inputs // groups, fy, fx),
            (oy, ox),
            (sy, sx, dy, dx),
            parts.first,
            parts.requantize is not None,
        )
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
            **_pads(rows, columns, parts.pad_value),
        }
        memory: Memory = []
        if rows.count and columns.count:
            self.operand(
                "in",
                parts.input,
                (rows.start, columns.start, channel),
                (rows.count, columns.count, inputs),
                fields,
                memory,
                "its inputs",
            )
        if parts.requantize is not None and parts.params is not None and parts.params_offset is not None:
            stage = parts.requantize
            last = FLOAT if parts.is_float else 1
            fields.update(last=last, zero_point=stage.zero, lo=stage.lo, hi=stage.hi)
            (first,) = parts.params_offset.at(indices)
            self.flat_operand("params", parts.params, 8 * first, 8 * outputs, memory, "its parameters")
            if parts.residual is not None and parts.sum is not None and parts.residual_offset is not None:
                (offset,) = parts.residual_offset.at(indices)
                law = parts.sum
                fields.update(
                    residual=1 + POSITIONS.index(law.position),
                    ra=law.ra,
                    rb=law.rb,
                    fix=law.fix,
                    sum_lo=law.lo,
                    sum_hi=law.hi,
                )
                self.operand("res", parts.residual, (y, x, offset), (oy, ox, outputs), fields, memory, "its residuals")
            if parts.table is not None:
                fields["has_table"] = 1
                self.flat_operand("table", parts.table, 0, 256, memory, "its table")
            self.operand("out", parts.output, (y, x, k), (oy, ox, depth), fields, memory, "its outputs")
        self.emit("conv", fields, memory, op.layer)

    def vector(self, op: tile.VectorOp, indices: Sequence[int]) -> None:
        """Long: one field of the instruction after the other, each said once."""
        target, source = self.state.buffer(op.output), self.state.buffer(op.lhs)
        if target is None or source is None:
            return
        kind, law = op.kind.data, op.law.data
        (y, x, channel), (oy, ox, channels) = op.out.data.at(indices), op.out.data.sizes
        y, oy = clip(y, oy, target.dims[0])
        if oy == 0:
            return
        (offset,) = op.lhs_offset.data.at(indices)
        fields: Fields = {
            "op": VECTOR_OPS.index(kind),
            "oy": oy,
            "ox": ox,
            "channels": channels,
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
        memory: Memory = []
        row = operation(kind)
        start, extent = (y, x), (oy, ox)
        if op.window is not None:
            (fy, fx), (top, _, left, _), (sy, sx), (dy, dx) = op.window.values
            fields.update(sy=sy, sx=sx)
            if row.reads == "repeated":
                if y % sy or x % sx:
                    self.complain(f"a resize by {sy}x{sx} begins at a whole input pixel, not at row {y}, column {x}.")
                    return
                start, extent = (y // sy, x // sx), (-(-oy // sy), -(-ox // sx))
            elif row.reads == "window":
                if (dy, dx) != (1, 1):
                    self.complain("the vector unit's pools have no dilation.")
                    return
                rows = span(y, oy, fy, sy, 1, top, source.dims[0])
                columns = span(x, ox, fx, sx, 1, left, source.dims[1])
                fields.update(fy=fy, fx=fx, **_pads(rows, columns, -128 if kind == "max_pool" else law.zeros[0]))
                start, extent = (rows.start, columns.start), (rows.count, columns.count)
        if row.reads == "image":
            fields.update(iy=source.dims[0], ix=source.dims[1])
            start, extent = (0, 0), (source.dims[0], source.dims[1])
        if all(extent):
            self.operand("a", op.lhs, (*start, offset), (*extent, channels), fields, memory, "its inputs")
        if op.rhs is not None and op.rhs_offset is not None:
            (second,) = op.rhs_offset.data.at(indices)
            other = self.state.buffer(op.rhs)
            if row.pixel and other is not None and other.dims[:2] == (1, 1) and target.dims[:2] != (1, 1):
                fields["b_broadcast"] = 1
                self.operand("b", op.rhs, (0, 0, second), (1, 1, channels), fields, memory, "its second inputs")
            else:
                self.operand("b", op.rhs, (y, x, second), (oy, ox, channels), fields, memory, "its second inputs")
        if op.params is not None and op.params_offset is not None:
            (first,) = op.params_offset.data.at(indices)
            self.flat_operand("params", op.params, 8 * first, 8 * channels, memory, "its parameters")
        if op.table is not None:
            self.flat_operand("table", op.table, 0, 256, memory, "its table")
        self.operand("out", op.output, (y, x, channel), (oy, ox, channels), fields, memory, "its outputs")
        self.emit("vector", fields, memory, op.layer)

    def walk(self, op: tile.MoveOp, indices: Sequence[int]) -> None:
        target, source = self.state.buffer(op.output), self.state.buffer(op.input)
        if target is None or source is None:
            return
        oy, ox, channels = sizes = op.extent
        fields: Fields = {"op": VECTOR_OPS.index("copy"), "oy": oy, "ox": ox, "channels": channels, "ra": 1.0}
        fields.update(lo=-128, hi=127)
        memory: Memory = []
        for name, buffer, walk in (("a", source, op.read.data), ("out", target, op.write.data)):
            origin = walk.at(indices)
            found = walked(name, buffer, origin, walk, sizes, self.complain)
            if found is None:
                return
            elements = places(origin, walk, sizes)
            if name == "out":
                buffer.written.scatter(*elements)
            else:
                self.reads(buffer, buffer.written.gathered(*elements))
            fields.update(found[0])
            memory += found[1]
        self.emit("vector", fields, memory, op.layer)


def _said(value: SSAValue) -> str:
    return f"%{value.name_hint}" if value.name_hint else "a region"


def _pads(rows: Span, columns: Span, value: int) -> Fields:
    return {
        "top": rows.before,
        "bottom": rows.after,
        "left": columns.before,
        "right": columns.after,
        "pad_value": value,
    }


_RANGES = {
    row.name: {field.name: (field.low, field.high) for field in row.fields if field.type in INTEGERS}
    for row in BY_NAME.values()
}


Handler = Callable[[_Lowering, Any, Sequence[int]], None]
HANDLERS: Mapping[type[Operation], Handler] = {
    tile.ConstantOp: _Lowering.constant,
    tile.DramOp: _Lowering.scratch,
    tile.ImageOp: _Lowering.image,
    tile.AllocOp: _Lowering.alloc,
    tile.ViewOp: _Lowering.view,
    tile.FreeOp: _Lowering.free,
    tile.FrameOp: _Lowering.frame,
    tile.LoadOp: _Lowering.move,
    tile.StoreOp: _Lowering.move,
    tile.LoadConfigOp: _Lowering.load_config,
    tile.UseOp: _Lowering.use,
    tile.FillOp: _Lowering.fill,
    tile.ConvOp: _Lowering.conv,
    tile.VectorOp: _Lowering.vector,
    tile.MoveOp: _Lowering.walk,
}
