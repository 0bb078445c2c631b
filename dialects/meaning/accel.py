"""What a program of accel ops means: the instructions in program order, on bytes.

Before placement every buffer is a memory of its own; once all have addresses they lie in one SRAM, so that a bad
placement shows as a wrong answer. Reads of bytes that nothing wrote are errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ModuleOp

from dialects import accel
from dialects.accel_attributes import place
from dialects.meaning.calls import evaluate_main, for_every_frame, main_of
from dialects.meaning.kernels import Int8, Int64
from dialects.meaning.steps import Chain, MeaningError, Operands, finish, placed, sums, vector
from dialects.tile_attributes import POSITIONS
from sim.machine.description import ALGORITHMS, Configuration
from sim.machine.isa import VECTOR_OPS
from sim.machine.laws import FLOAT
from sim.machine.operations import operation

Array = npt.NDArray[Any]

Watch = Callable[[accel.InstructionOp, Int8], None]
"""Told of every tile that an instruction finishes: the instruction and the codes int8[rows, columns, channels]."""


def evaluate(module: ModuleOp, inputs: Mapping[str, npt.ArrayLike], watch: Watch | None = None) -> dict[str, Array]:
    """The outputs by name, for inputs by name: of ``@main``, or of the programs when there is no ``@main``.

    ``watch`` is told of every tile as it is finished. Raises MeaningError where the program reads unwritten bytes or
    does what the machine refuses, ValueError for a missing input.
    """
    programs = {program.sym_name.data: program for program in accel.programs(module)}
    main = main_of(module)
    if main is not None:
        segments = {name: _segment(program, watch) for name, program in programs.items()}
        return evaluate_main(module, main, inputs, segments)
    results: dict[str, Array] = {}
    for program in programs.values():
        names = {
            kind: [r.port.data for r in program.regions_in_dram if r.kind.data == kind and r.port is not None]
            for kind in ("input", "output")
        }
        for name in names["input"]:
            if name not in inputs:
                raise ValueError(f"no value given for the input '{name}'")
        outputs = _segment(program, watch)([np.asarray(inputs[name]) for name in names["input"]])
        results.update(zip(names["output"], outputs, strict=True))
    return results


def _segment(program: accel.ProgramOp, watch: Watch | None) -> Callable[[Sequence[Array]], list[Array]]:
    return lambda inputs: _Run(program, watch).run(inputs)


@dataclass
class _Memory:
    """int8[size], and which bytes have been written."""

    data: Int8
    written: npt.NDArray[np.bool_]

    @classmethod
    def fresh(cls, size: int) -> _Memory:
        return cls(np.zeros(size, np.int8), np.zeros(size, np.bool_))

    def box(self, start: int, shape: Sequence[int], strides: Sequence[int]) -> tuple[Int8, npt.NDArray[np.bool_]]:
        """Views of a strided box; MeaningError when it leaves the memory."""
        if min(shape) < 0:
            raise MeaningError(f"it touches a box of {'x'.join(map(str, shape))}, and no size is below 0")
        end = start + sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) + 1
        if start < 0 or end > self.data.size:
            raise MeaningError(f"it touches bytes {start} to {end - 1} of {self.data.size}")
        return (
            np.ndarray(shape, np.int8, self.data, start, strides),
            np.ndarray(shape, np.bool_, self.written, start, strides),
        )

    def read(self, start: int, shape: Sequence[int], strides: Sequence[int]) -> Int8:
        """A copy of a box; MeaningError when part of it was never written."""
        data, written = self.box(start, shape, strides)
        if not written.all():
            raise MeaningError("it reads bytes that nothing has written")
        return data.copy()

    def write(self, start: int, values: Int8, strides: Sequence[int]) -> None:
        """Store a box."""
        data, written = self.box(start, values.shape, strides)
        data[...] = values
        written[...] = True


@dataclass
class _Half:
    weights: Int8
    zero: int
    groups: int
    configuration: Configuration


@dataclass
class _Operand:
    """A tensor operand of an instruction: where it lies and how."""

    memory: _Memory
    base: int
    row_stride: int
    pixel_stride: int
    ring: int
    row: int

    def slots(self, rows: int) -> list[int]:
        """The byte offset of each row."""
        if self.ring and rows > self.ring:
            raise MeaningError(f"{rows} rows do not fit a ring of {self.ring}")
        numbers = range(self.row, self.row + rows)
        return [self.base + (y % self.ring if self.ring else y) * self.row_stride for y in numbers]

    def read(self, rows: int, columns: int, channels: int) -> Int8:
        lines = [self.memory.read(start, (columns, channels), (self.pixel_stride, 1)) for start in self.slots(rows)]
        return np.stack(lines) if lines else np.zeros((0, columns, channels), np.int8)

    def write(self, values: Int8) -> None:
        for start, line in zip(self.slots(values.shape[0]), values, strict=True):
            self.memory.write(start, line, (self.pixel_stride, 1))


class _Run:
    """One execution of a program."""

    def __init__(self, program: accel.ProgramOp, watch: Watch | None = None):
        self.program = program
        self.watch = watch
        self.memories: dict[accel.MemoryOp, tuple[_Memory, int]] = {}
        self.halves: list[_Half | None] = [None, None]
        self.active: Configuration | None = None
        self.shadow: Configuration | None = None
        self.sums: Int64 | None = None
        buffers = program.buffers
        if buffers and all(buffer.address is not None for buffer in buffers):
            sram = _Memory.fresh(max(buffer.at + buffer.nbytes for buffer in buffers))
            self.memories.update((buffer, (sram, buffer.at)) for buffer in buffers)
        else:
            self.memories.update((buffer, (_Memory.fresh(buffer.nbytes), 0)) for buffer in buffers)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """The output tensors in their own shapes, for the inputs in order."""
        given = iter(inputs)
        outputs: list[accel.DramOp] = []
        for region in self.program.regions_in_dram:
            memory = _Memory.fresh(region.nbytes)
            content = self.content(region, given)
            if content is not None:
                memory = _Memory(content, np.ones(region.nbytes, np.bool_))
            self.memories[region] = memory, 0
            if region.kind.data == "output":
                outputs.append(region)
        for index, op in enumerate(self.program.instructions):
            try:
                HANDLERS[op.MNEMONIC](self, _Fields(self, op))
            except MeaningError as error:
                layer = f" of layer {op.layer_name}" if op.layer_name else ""
                raise placed(op, MeaningError(f"Instruction {index}, {op.MNEMONIC}{layer}: {error}.")) from None
        for region in outputs:
            if not self.memories[region][0].written.all():
                said = f"The program @{self.program.sym_name.data} does not write all of {region.label}."
                raise placed(region, MeaningError(said))
        return [self.memories[region][0].data.reshape(region.dims) for region in outputs]

    @staticmethod
    def content(region: accel.DramOp, given: Any) -> Int8 | None:
        """What a region holds before the program runs; None for nothing."""
        if region.kind.data == "input":
            return for_every_frame(next(given), (region.nbytes,))
        if region.value is not None:
            return np.frombuffer(memoryview(region.value.data.buffer()), np.int8)
        if region.configuration is not None:
            from sim.machine.configuration_image import encode

            return np.frombuffer(encode(region.configuration.data, region.nbytes), np.int8)
        return None

    def copy(self, f: _Fields, load: bool) -> None:
        """Both directions of a strided copy."""
        (dram, start), (sram, slot0) = f.at("dram"), f.at("sram")
        for row in range(f["count2"]):
            slot = (f["row"] + row) % f["ring"] if f["ring"] else f["row"] + row
            shape = (f["count1"], f["bytes"])
            outside = start + row * f["dram_stride2"], (f["dram_stride1"], 1)
            inside = slot0 + slot * f["sram_stride2"], (f["sram_stride1"], 1)
            if load:
                sram.write(inside[0], dram.read(outside[0], shape, outside[1]), inside[1])
            else:
                dram.write(outside[0], sram.read(inside[0], shape, inside[1]), outside[1])

    def load(self, f: _Fields) -> None:
        self.copy(f, True)

    def store(self, f: _Fields) -> None:
        self.copy(f, False)

    def load_config(self, f: _Fields) -> None:
        from sim.machine import description as machines
        from sim.machine.configuration_image import decode

        size = machines.load(self.program.machine.data).configuration.image_bytes
        memory, start = f.at("address")
        self.shadow = decode(memory.read(start, (size,), (1,)).tobytes())

    def configure(self, _f: _Fields) -> None:
        if self.shadow is None:
            raise MeaningError("the shadow slot is empty")
        self.active, self.shadow, self.sums = self.shadow, self.active, None

    def fill(self, f: _Fields) -> None:
        memory, start = f.at("address")
        groups, outputs, inputs, fy, fx = (f[name] for name in ("groups", "outputs", "inputs", "fy", "fx"))
        weights = memory.read(start, (groups * outputs, fy * fx, inputs), (f["output_stride"], f["tap_stride"], 1))
        configuration = Configuration(ALGORITHMS[f["algorithm"]], f["g"], f["k"], f["r"], f["p"])
        self.halves[f["half"]] = _Half(
            weights.reshape(groups * outputs, fy, fx, inputs), f["weight_zero"], groups, configuration
        )

    def conv(self, f: _Fields) -> None:
        half = self.halves[f["half"]]
        if half is None or half.configuration != self.active:
            raise MeaningError("the half is empty or laid out for another configuration than the active one")
        groups, outputs, inputs = f["groups"], f["outputs"], f["inputs"]
        if (half.groups, *half.weights.shape) != (groups, groups * outputs, f["fy"], f["fx"], inputs):
            raise MeaningError("the half holds weights of another shape")
        rows = (f["oy"] - 1) * f["sy"] + (f["fy"] - 1) * f["dy"] + 1
        columns = (f["ox"] - 1) * f["sx"] + (f["fx"] - 1) * f["dx"] + 1
        window = np.full((rows, columns, groups * inputs), f["pad_value"], np.int8)
        height, width = rows - f["top"] - f["bottom"], columns - f["left"] - f["right"]
        if height and width:
            part = f.operand("in").read(height, width, groups * inputs)
            window[f["top"] : f["top"] + height, f["left"] : f["left"] + width] = part
        if not f["first"] and self.sums is None:
            raise MeaningError("it continues a reduction and none is under way")
        acc = sums(
            window,
            half.weights,
            half.zero,
            (f["sy"], f["sx"]),
            (f["dy"], f["dx"]),
            groups,
            None if f["first"] else self.sums,
            half.configuration.algorithm == "winograd",
        )
        self.sums = acc
        if f["last"]:
            self.sums = None
            self.finished(f, finish(acc, self.chain(f, groups * outputs)))

    def finished(self, f: _Fields, values: Int8) -> None:
        """Store a tile's codes where the instruction says."""
        f.operand("out").write(values)
        if self.watch is not None:
            self.watch(f.op, values)

    def chain(self, f: _Fields, channels: int) -> Chain:
        """The stages behind a last pass, with their operands read."""
        params = f.flat("params", 8 * channels)
        table = f.flat("table", 256) if f["has_table"] else None
        residual = f.operand("res").read(f["oy"], f["ox"], channels) if f["residual"] else None
        return Chain(
            params,
            f["zero_point"],
            f["lo"],
            f["hi"],
            residual,
            POSITIONS[f["residual"] - 1] if f["residual"] else "second",
            (f["ra"], f["rb"], f["fix"]),
            (f["sum_lo"], f["sum_hi"]),
            table,
            is_float=f["last"] == FLOAT,
        )

    def vector(self, f: _Fields) -> None:
        row, channels = operation(VECTOR_OPS[f["op"]]), f["channels"]
        rows, columns, kernel, strides, pads = f["oy"], f["ox"], (1, 1), (1, 1), (0, 0, 0, 0)
        if row.windowed:
            strides = (f["sy"], f["sx"])
        match row.reads:
            case "window":
                kernel, pads = (f["fy"], f["fx"]), (f["top"], f["bottom"], f["left"], f["right"])
                rows = (rows - 1) * strides[0] + kernel[0] - pads[0] - pads[1]
                columns = (columns - 1) * strides[1] + kernel[1] - pads[2] - pads[3]
            case "image":
                rows, columns = f["iy"], f["ix"]
            case "repeated":
                rows, columns = -(-rows // strides[0]), -(-columns // strides[1])
            case _:
                pass
        # Windows may meet padding alone; there is no operand to read then.
        meets = rows > 0 and columns > 0
        a = f.operand("a").read(rows, columns, channels) if meets else np.zeros((rows, columns, channels), np.int8)
        b = None
        if row.binary:
            pixels = (1, 1) if row.pixel and f["b_broadcast"] else (rows, columns)
            b = f.operand("b").read(*pixels, channels)
        side = None
        if row.side == "params":
            side = f.flat("params", 8 * channels)
        elif row.side == "table":
            side = f.flat("table", 256)
        result = vector(row.name, Operands(a, b, side, kernel, strides, pads), f)
        self.finished(f, result[: f["oy"], : f["ox"]])


class _Fields:
    """An instruction's fields, and its memory operands resolved to bytes."""

    def __init__(self, run: _Run, op: accel.InstructionOp):
        self.op = op
        self.values = op.named()
        self.places = {field: (*run.memories[memory], offset) for field, memory, offset in op.operands_in_memory()}

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def at(self, name: str) -> tuple[_Memory, int]:
        """Memory and byte position of an address field; MeaningError if the instruction has no operand there."""
        if name not in self.places:
            raise MeaningError(f"it has no operand '{place(name)}'")
        memory, start, offset = self.places[name]
        return memory, start + offset

    def flat(self, name: str, size: int) -> Int8:
        memory, start = self.at(name)
        return memory.read(start, (size,), (1,))

    def operand(self, name: str) -> _Operand:
        memory, start = self.at(f"{name}.base")
        numbers = (self[f"{name}.{part}"] for part in ("row_stride", "pixel_stride", "ring", "row"))
        return _Operand(memory, start, *numbers)


HANDLERS: Mapping[str, Callable[[_Run, _Fields], None]] = {
    "load": _Run.load,
    "store": _Run.store,
    "load_config": _Run.load_config,
    "configure": _Run.configure,
    "fill": _Run.fill,
    "conv": _Run.conv,
    "vector": _Run.vector,
}
"""Every instruction's meaning; a test compares the keys with the instruction table."""
