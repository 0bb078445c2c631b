"""A program as it grows out of a plan, with the machine's state at the op being lowered; and an instruction's draft.

Decisions. Handlers say what an instruction is, here stands what is true of all: an operand lies within its buffer, what
is read has been written, a field holds its number. All problems of a plan are kept and said at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from xdsl.dialects.builtin import SymbolRefAttr
from xdsl.ir import Operation, SSAValue

from dialects import accel, tile
from passes.common.problems import Problems, place_in_text
from passes.tile_to_accel.parts import ConvParts
from passes.tile_to_accel.plan_state import PlanBuffer, PlanState
from passes.tile_to_accel.written import Written
from sim.machine.description import Machine
from sim.machine.isa import BY_NAME, INTEGERS

Fields = dict[str, int | float]
Operands = list[tuple[str, SSAValue, int]]
"""Address field, value and byte offset of an instruction's operands in memory."""

_RANGES: Mapping[str, Mapping[str, tuple[int, int]]] = {
    row.name: {field.name: (field.low, field.high) for field in row.fields if field.type in INTEGERS}
    for row in BY_NAME.values()
}


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


class Emission:
    """The program of one schedule: its memory, its instructions so far, and the problems found.

    ``missing`` are reads of what nothing wrote: they are said only where there is no other problem, which may have kept
    it from being written. ``shared`` are regions of equal content, ``in_dram`` what of a region is written;
    ``prologue`` counts the instructions above the frame, once it has begun.
    """

    def __init__(self, schedule: tile.ScheduleOp, machine: Machine):
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
        self.prologue: int | None = None
        self.state = PlanState(machine, self.complain)
        self.in_dram: dict[SSAValue, Written] = {}
        self._parts: dict[Operation, ConvParts] = {}
        self._said: set[tuple[Operation, str]] = set()

    def complain(self, sentence: str) -> None:
        self.problems.add(str(self.where), sentence)

    def miss(self, sentence: str, name: str) -> None:
        """Complain of what is read and nowhere written, of every ``name`` once per op."""
        if (self.where.op, name) not in self._said:
            self._said.add((self.where.op, name))
            self.missing.add(str(self.where), sentence)

    def reads(self, buffer: PlanBuffer, found: tuple[int, int | None] | None) -> None:
        """Complain of the row that is ``found`` not to be there."""
        if found is None:
            return
        row, holds = found
        if holds is None:
            sentence = "which nothing has written; move it behind what writes that row."
        else:
            sentence = (
                f"whose place in the ring of {buffer.ring} rows holds row {holds}; make the ring larger, or read the "
                "row while it is there."
            )
        self.miss(f"it reads row {row} of {buffer}, {sentence}", buffer.name)

    def parts(self, op: tile.ConvOp) -> ConvParts:
        """The parts of a convolution, read once."""
        found = self._parts.get(op)
        if found is None:
            found = self._parts[op] = ConvParts.of(op)
        return found


@dataclass
class Draft:
    """An instruction of a mnemonic in the making: its fields and its operands in memory."""

    emission: Emission
    name: str
    fields: Fields
    memory: Operands = field(default_factory=Operands)

    def tensor(
        self, name: str, value: SSAValue, box: tuple[int, int, int], extent: tuple[int, int, int], what: str
    ) -> None:
        """Add a tensor operand: ``extent`` rows, columns and channels from ``box`` on in logical coordinates."""
        complain = self.emission.complain
        buffer = self.emission.state.buffer(value)
        if buffer is None:
            return
        for axis, start, count, limit in zip(("rows", "columns", "channels"), box, extent, buffer.dims, strict=True):
            if start < 0 or start + count > limit:
                complain(f"{what} are {axis} {start} to {start + count - 1} of {buffer}, which has {limit}.")
                return
        if lacking := buffer.lacks(box, extent):
            complain(f"{what} are {lacking}.")
            return
        row, column, channel = local = buffer.local(box)
        _, width, depth = buffer.stored
        if buffer.ring and extent[0] > buffer.ring:
            complain(
                f"{what} are {extent[0]} rows of {buffer}, whose ring stores {buffer.ring}; "
                "make the ring larger or the tile smaller."
            )
            return
        if name == "out":
            buffer.written.write(local, extent)
        else:
            self.emission.reads(buffer, buffer.written.problem(local, extent))
        self.fields[f"{name}.row_stride"] = width * depth
        self.fields[f"{name}.pixel_stride"] = depth
        offset = column * depth + channel
        if buffer.ring:
            self.fields[f"{name}.ring"] = buffer.ring
            self.fields[f"{name}.row"] = row % buffer.ring
        else:
            offset += row * width * depth
        self.memory.append((f"{name}.base", buffer.value, offset))

    def flat(self, name: str, value: SSAValue, offset: int, size: int, what: str) -> None:
        """Add ``size`` contiguous bytes of a buffer as an operand."""
        buffer = self.emission.state.buffer(value)
        if buffer is None:
            return
        if offset < 0 or offset + size > buffer.nbytes:
            self.emission.complain(
                f"{what} are bytes {offset} to {offset + size - 1} of {buffer}, which has {buffer.nbytes}."
            )
            return
        self.emission.reads(buffer, buffer.written.flat_problem(offset, size))
        self.memory.append((name, buffer.value, offset))

    def emit(self, layer: SymbolRefAttr | None) -> None:
        """Append the instruction to the program after checking its fields' ranges."""
        row = _RANGES[self.name]
        for name, value in self.fields.items():
            limits = row.get(name)
            if limits is not None and not limits[0] <= value <= limits[1]:
                lever = "; take another tile" if limits[1] > 127 else ""
                self.emission.complain(
                    f"the field '{name}' of {self.name} holds whole numbers from {limits[0]} to {limits[1]:,}, "
                    f"not {value:,}{lever}."
                )
                return
        instruction = accel.INSTRUCTION_OPS[self.name].make(self.fields, self.memory, layer=layer)
        instruction.location = self.emission.where.op.location
        self.emission.instructions.append(instruction)
