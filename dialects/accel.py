"""The accel dialect: the machine's instructions, one op each, in program order.

Decisions. There is one op per row of the instruction table, with the same name. Order is text until waits are assigned:
then ``after`` says which events an instruction depends on, and ``waits`` holds the counts the machine reads. Above
``accel.frame`` stands what runs once, below it what runs for every frame; waits then count from the body's instructions
of a queue on, so that they can name the frame before.

    %x = accel.buffer 3136 plan 0 4 at 64
    %e = accel.fill address(%x + 512) {half = 1, outputs = 64, ...} after(%e1, %e3) waits <load 2> layer @c1
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from xdsl.dialects.builtin import IntegerAttr, StringAttr, SymbolNameConstraint, i64
from xdsl.ir import Block, Dialect, Region
from xdsl.irdl import IRDLOperation, irdl_op_definition, opt_prop_def, prop_def, region_def, traits_def
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import IsolatedFromAbove, NoTerminator, SymbolOpInterface
from xdsl.utils.exceptions import VerifyException

from dialects.accel_attributes import DramType, EventType, FieldsAttr, PlacesAttr, SramType, WaitsAttr
from dialects.accel_instruction import InstructionOp
from dialects.accel_memory import DRAM_KINDS, BufferOp, DramOp, InProgram, MemoryOp, shared_bytes, window
from sim.machine.frames import Frames

__all__ = [
    "ACCEL",
    "DRAM_KINDS",
    "INSTRUCTION_OPS",
    "BufferOp",
    "ConfigureOp",
    "ConvOp",
    "DramOp",
    "DramType",
    "EventType",
    "FillOp",
    "FrameOp",
    "InstructionOp",
    "LoadConfigOp",
    "LoadOp",
    "MemoryOp",
    "ProgramOp",
    "SramType",
    "StoreOp",
    "VectorOp",
    "programs",
    "shared_bytes",
    "window",
]


@irdl_op_definition
class ProgramOp(IRDLOperation):
    """A straight-line program of the machine, one segment of a model: memory, then instructions in program order."""

    name = "accel.program"
    sym_name = prop_def(SymbolNameConstraint())
    machine = prop_def(StringAttr)
    cycles = opt_prop_def(IntegerAttr.constr(i64))
    body = region_def("single_block")
    traits = traits_def(NoTerminator(), IsolatedFromAbove(), SymbolOpInterface())

    def __init__(self, name: str, machine: str, body: Region | None = None):
        super().__init__(
            regions=[body or Region(Block())], properties={"sym_name": StringAttr(name), "machine": StringAttr(machine)}
        )

    def takes(self, cycles: int | None) -> None:
        """State what the program takes; None for a program that is not what it was."""
        self.properties.pop("cycles", None)
        if cycles is not None:
            self.properties["cycles"] = IntegerAttr(cycles, i64)

    @property
    def instructions(self) -> Iterator[InstructionOp]:
        """The instructions in program order."""
        return (op for op in self.body.block.ops if isinstance(op, InstructionOp))

    @property
    def prologue(self) -> int | None:
        """How many instructions stand above ``accel.frame``; None for a program that does not repeat."""
        count = 0
        for op in self.body.block.ops:
            if isinstance(op, FrameOp):
                return count
            count += isinstance(op, InstructionOp)
        return None

    @property
    def frames(self) -> Frames | None:
        """How a placed program repeats; None if it does not."""
        prologue = self.prologue
        return Frames(prologue, *window(self.regions_in_dram)) if prologue is not None else None

    @property
    def buffers(self) -> list[BufferOp]:
        return [op for op in self.body.block.ops if isinstance(op, BufferOp)]

    def lifetimes(self) -> dict[BufferOp, tuple[int, int]]:
        """The buffers that are used, each with the positions of the first and the last instruction that does.

        One that the prologue and the frames use lives as long as there are frames.
        """
        first: dict[BufferOp, int] = {}
        last: dict[BufferOp, int] = {}
        index, head = -1, self.prologue or 0
        for index, op in enumerate(self.instructions):
            for value in op.memory:
                if isinstance(value.owner, BufferOp):
                    first.setdefault(value.owner, index)
                    last[value.owner] = index
        return {
            buffer: (start, index if start < head <= last[buffer] else last[buffer]) for buffer, start in first.items()
        }

    @property
    def regions_in_dram(self) -> list[DramOp]:
        return [op for op in self.body.block.ops if isinstance(op, DramOp)]

    @classmethod
    def parse(cls, parser: Parser) -> ProgramOp:
        name = parser.parse_symbol_name().data
        parser.parse_keyword("machine")
        machine = parser.parse_str_literal()
        cycles = (
            parser.parse_integer(allow_boolean=False) if parser.parse_optional_keyword("cycles") is not None else None
        )
        body = parser.parse_region()
        if not body.blocks:
            body.add_block(Block())
        program = cls(name, machine, body)
        program.takes(cycles)
        return program

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_symbol_name(self.sym_name.data)
        printer.print_string(" machine ")
        printer.print_string_literal(self.machine.data)
        if self.cycles is not None:
            printer.print_string(f" cycles {self.cycles.value.data}")
        printer.print_string(" ")
        printer.print_region(self.body, print_entry_block_args=False, print_empty_block=False)

    def verify_(self) -> None:
        if self.cycles is not None and self.cycles.value.data < 0:
            raise VerifyException(f"a program takes no cycles below 0, not {self.cycles.value.data}")
        if sum(isinstance(op, FrameOp) for op in self.body.block.ops) > 1:
            raise VerifyException("a program has one accel.frame at most: below it everything runs for every frame")
        foreign = next((op.name for op in self.body.block.ops if not op.name.startswith("accel.")), None)
        if foreign is not None:
            raise VerifyException(f"a program holds memory and instructions, and no {foreign}")
        ports: set[str] = set()
        for region in self.regions_in_dram:
            if region.port is not None and region.port.data in ports:
                raise VerifyException(
                    f"two regions are called '{region.port.data}'; every input and output has a name of its own"
                )
            ports.update([region.port.data] if region.port is not None else [])
        if (clash := shared_bytes(self.regions_in_dram)) is not None:
            raise VerifyException(clash[1])


@irdl_op_definition
class FrameOp(IRDLOperation):
    """The instructions above run once, those below once for every frame."""

    name = "accel.frame"
    assembly_format = "attr-dict"
    traits = traits_def(InProgram())


@irdl_op_definition
class LoadOp(InstructionOp):
    """Strided copy from DRAM to SRAM."""

    name = "accel.load"
    MNEMONIC: ClassVar[str] = "load"


@irdl_op_definition
class StoreOp(InstructionOp):
    """Strided copy from SRAM to DRAM."""

    name = "accel.store"
    MNEMONIC: ClassVar[str] = "store"


@irdl_op_definition
class LoadConfigOp(InstructionOp):
    """A configuration image into the shadow slot."""

    name = "accel.load_config"
    MNEMONIC: ClassVar[str] = "load_config"


@irdl_op_definition
class ConfigureOp(InstructionOp):
    """Exchange the active and the shadow slot."""

    name = "accel.configure"
    MNEMONIC: ClassVar[str] = "configure"


@irdl_op_definition
class FillOp(InstructionOp):
    """Weights into one half of L1."""

    name = "accel.fill"
    MNEMONIC: ClassVar[str] = "fill"


@irdl_op_definition
class ConvOp(InstructionOp):
    """One pass of a convolution over a tile."""

    name = "accel.conv"
    MNEMONIC: ClassVar[str] = "conv"


@irdl_op_definition
class VectorOp(InstructionOp):
    """One operation of the vector unit."""

    name = "accel.vector"
    MNEMONIC: ClassVar[str] = "vector"


INSTRUCTION_OPS: Mapping[str, type[InstructionOp]] = {
    op.MNEMONIC: op for op in (LoadOp, StoreOp, LoadConfigOp, ConfigureOp, FillOp, ConvOp, VectorOp)
}
"""The op of each instruction."""


def programs(module: Any) -> list[ProgramOp]:
    """The machine segments of a module, in its order."""
    return [op for op in module.body.block.ops if isinstance(op, ProgramOp)]


ACCEL = Dialect(
    "accel",
    [ProgramOp, DramOp, BufferOp, FrameOp, *INSTRUCTION_OPS.values()],
    [EventType, SramType, DramType, FieldsAttr, PlacesAttr, WaitsAttr],
)
