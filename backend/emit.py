"""The last step: placed and ordered accel IR becomes a program the machine can load.

The program's parts come each from one place: code from the instructions, the constants image from the DRAM regions,
the layer table from ``recon.layer``, segments and ports from ``func.func @main`` (host regions and calls, in order).
A hand-written plan without ``@main`` is a model of one segment whose int8 tensors are its inputs and outputs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import DenseArrayBase, ModuleOp

from backend.bounds import Work, bounds, certify, certify_frame, frame_bounds
from backend.frames import dram_bytes, timed
from backend.segments import MachinePart, Segments, attribute_text, attribute_texts, find_segments, image_of
from backend.sram import buffer_table, sram_use
from dialects import accel, cnn
from dialects.recon import ARRAY_BY_IMAGES, LayerOp
from dialects.text import at_its_place
from sim.machine import configuration_image
from sim.machine import description as machines
from sim.machine.description import ALGORITHMS, Configuration, Machine
from sim.machine.encoding import decode, encode
from sim.machine.errors import ReconError
from sim.machine.isa import BY_OPCODE
from sim.machine.program import HostSegment, LayerRow, MachineSegment, Program, Segment

PRODUCER = "recon 0.1"
"""Who made a program, as the program says."""


class EmitError(ReconError):
    """A module that is no complete program, or one that the machine cannot hold."""


def emit(module: ModuleOp, machine_name: str = "") -> Program:
    """The program of a module of placed, ordered ``accel.program`` ops.

    ``machine_name`` is the machine of a module that the host runs alone; every other names its own.
    Raises EmitError when addresses are missing, a constant's bytes are not at hand, programs name different machines
    or have no instructions, or the instructions overflow the instruction memory.
    """
    programs = {program.sym_name.data: program for program in accel.programs(module)}
    names = sorted({program.machine.data for program in programs.values()})
    if not programs:
        if not (machine_name and any(isinstance(op, cnn.HostOp) for op in module.walk())):
            raise EmitError("There is no accel.program to emit: lower the plan with convert-tile-to-accel first.")
        names = [machine_name]
    if len(names) > 1:
        raise EmitError(f"The programs are for different machines: {', '.join(names)}.")
    machine = machines.load(names[0])
    for program in programs.values():
        if next(iter(program.instructions), None) is None:
            nothing = f"The program @{program.sym_name.data} has no instructions, so there is nothing to run."
            raise EmitError(at_its_place(program, nothing))
    table = LayerTable(module, programs.values())
    found = find_segments(module, programs)
    segments = [_segment(segment, table) for segment in found.segments]
    repeats = any(program.prologue is not None for program in programs.values())
    check_code([segment.code for segment in segments if isinstance(segment, MachineSegment)], machine, repeats)
    if (
        clash := accel.shared_bytes(region for program in programs.values() for region in program.regions_in_dram)
    ) is not None:
        raise EmitError(at_its_place(clash[0], f"{clash[1]}."))
    certificate = certify(table.work, _by_images(module, table.work), *_port_bytes(found), machine)
    limits = bounds(table.work, certificate, machine)
    if repeats:
        certificate = certify_frame(table.work, certificate, machine, found.batch)
        limits = frame_bounds(table.work, certificate, machine, found.batch)
    cycles, rhythm = timed(segments, machine)
    _check_stated(list(programs.values()), cycles)
    return Program(
        model=attribute_text(module, "recon.model") or next(iter(programs), "model"),
        machine=machine,
        inputs=found.inputs,
        outputs=found.outputs,
        segments=tuple(segments),
        layers=tuple(table.rows),
        constants=_constants(programs.values(), machine),
        dram_bytes=dram_bytes(programs.values()),
        bounds=limits,
        sram=sram_use(programs.values(), machine.sram.bytes),
        predicted_cycles=cycles,
        producer=PRODUCER,
        certificate=certificate,
        notes=tuple(attribute_texts(module, "recon.notes")),
        image=image_of(module),
        rhythm=rhythm,
        batch=found.batch,
    )


def _check_stated(programs: Sequence[accel.ProgramOp], cycles: int) -> None:
    """EmitError where the text states other cycles than its programs take."""
    stated = [program.cycles.value.data if program.cycles is not None else None for program in programs]
    total = sum(number or 0 for number in stated)
    if stated and None not in stated and total != cycles:
        said = f"The text states {total:,} cycles, and its instructions take {cycles:,}; "
        raise EmitError(at_its_place(programs[0], said + "predict-cycles states them anew, or leave them out."))


def _segment(found: HostSegment | MachinePart, table: LayerTable) -> Segment:
    if isinstance(found, HostSegment):
        return found
    program = found.program
    return MachineSegment(
        found.name,
        _code(program),
        table.layer_of(program),
        found.inputs,
        found.outputs,
        buffer_table(program),
        program.frames,
    )


def _code(program: accel.ProgramOp) -> bytes:
    try:
        return encode(op.record() for op in program.instructions)
    except ValueError as error:
        raise EmitError(f"The program @{program.sym_name.data} is not placed: {error}.") from None


def check_code(code: Sequence[bytes], machine: Machine, repeats: bool = False) -> None:
    """EmitError if the segments' instructions are more than the instruction memory holds, and it cannot fetch them."""
    size, room = sum(map(len, code)), machine.instruction_memory.bytes
    if not machine.instruction_memory.runs(size, repeats):
        count = sum(len(decode(part)) for part in code)
        raise EmitError(
            f"The program's {count:,} instructions take {size:,} bytes and the instruction memory of "
            f"{machine.name} has {room:,}: {size - room:,} too many. What helps: larger tiles (more rows per "
            "stripe, more channels per fill), or a machine with more instruction memory, or one that fetches "
            "instructions from DRAM (instruction_memory.fetch)."
        )


def _by_images(module: ModuleOp, work: Sequence[Work]) -> tuple[int, int, int]:
    """The array's least cycles by number of configurations, as planning found them; of a plan by hand, the layers'."""
    found = module.attributes.get(ARRAY_BY_IMAGES)
    if isinstance(found, DenseArrayBase):
        one, two, whole = found.get_values()
        return int(one), int(two), int(whole)
    whole = sum(layer.array for layer in work)
    return whole, whole, whole


def _port_bytes(found: Segments) -> tuple[int, int]:
    """Bytes that the machine's segments take and give."""
    parts = [segment for segment in found.segments if not isinstance(segment, HostSegment)]
    return (
        sum(region.bytes for part in parts for region in part.inputs),
        sum(region.bytes for part in parts for region in part.outputs),
    )


def _end(regions: Iterable[accel.DramOp]) -> int:
    return max((region.at + region.nbytes for region in regions), default=0)


def _constants(programs: Iterable[accel.ProgramOp], machine: Machine) -> npt.NDArray[np.uint8]:
    """The first bytes of DRAM: constants and configuration images at their addresses, zeros between them."""
    regions = [region for program in programs for region in program.regions_in_dram]
    fixed = [region for region in regions if region.value is not None or region.configuration is not None]
    image = np.zeros(_end(fixed), np.uint8)
    done: set[int] = set()
    for region in fixed:
        if region.at in done:
            continue
        done.add(region.at)
        image[region.at : region.at + region.nbytes] = np.frombuffer(_content(region, machine), np.uint8)
    other = min((region.at for region in regions if region not in fixed), default=len(image))
    if other < len(image):
        raise EmitError(
            "Constants and configuration images lie below everything else in DRAM; place the program with "
            "allocate-sram."
        )
    return image


def _content(region: accel.DramOp, machine: Machine) -> memoryview | bytes:
    if region.configuration is not None:
        return configuration_image.encode(region.configuration.data, machine.configuration.image_bytes)
    assert region.value is not None
    try:
        return memoryview(region.value.data.buffer()).cast("B")
    except ValueError as error:
        raise EmitError(f"The program cannot be emitted: {error}.") from None


class LayerTable:
    """The layer table: declared layers in order, then any others that instructions name."""

    def __init__(self, module: ModuleOp, programs: Iterable[accel.ProgramOp]):
        self.work: list[Work] = []
        self.rows: list[LayerRow] = []
        self.index: dict[str, int] = {}
        configurations = _configurations(programs)
        for op in module.body.block.ops:
            if isinstance(op, LayerOp):
                self._declare(op, configurations.get(op.sym_name.data, ""))
        for program in programs:
            for op in program.instructions:
                if op.layer_name and op.layer_name not in self.index:
                    self._add(LayerRow(op.layer_name, "", "", 0, 0, configurations.get(op.layer_name, ""), ()))

    def _add(self, row: LayerRow) -> None:
        self.index[row.name] = len(self.rows)
        self.rows.append(row)

    def _declare(self, op: LayerOp, configuration: str) -> None:
        weights, activations = op.weight_bytes.value.data, op.activation_bytes.value.data
        nodes = tuple(node.data for node in op.nodes.data) if op.nodes is not None else ()
        self._add(
            LayerRow(
                op.sym_name.data,
                op.kind.data,
                op.shape.data,
                op.macs.value.data,
                weights + activations,
                configuration,
                nodes,
            )
        )
        array, vector = (each.value.data if each is not None else 0 for each in (op.array, op.vector))
        self.work.append(Work(op.sym_name.data, op.compute.value.data, array, vector, weights))

    def layer_of(self, program: accel.ProgramOp) -> npt.NDArray[np.uint32]:
        """uint32[instructions]: a row per instruction; one without a layer counts to the next that has one."""
        names = [op.layer_name for op in program.instructions]
        if not any(names) and names:
            if program.sym_name.data not in self.index:
                self._add(LayerRow(program.sym_name.data, "", "", 0, 0, "", ()))
            names = [program.sym_name.data] * len(names)
        current = next((name for name in reversed(names) if name), "")
        filled: list[int] = []
        for name in reversed(names):
            current = name or current
            filled.append(self.index[current])
        return np.array(filled[::-1], np.uint32)


def _configurations(programs: Iterable[accel.ProgramOp]) -> dict[str, str]:
    """The configuration that most of a layer's fills are laid out for."""
    counts: dict[str, Counter[str]] = {}
    for program in programs:
        for op in program.instructions:
            if isinstance(op, accel.FillOp):
                fields = op.named()
                g, k, r, p = (int(fields[name]) for name in ("g", "k", "r", "p"))
                configuration = Configuration(ALGORITHMS[int(fields["algorithm"])], g, k, r, p)
                counts.setdefault(op.layer_name, Counter())[str(configuration)] += 1
    return {layer: count.most_common(1)[0][0] for layer, count in counts.items()}


def opcodes_used(program: Program) -> dict[str, int]:
    """Instructions of each kind in a program, for reports."""
    counts: Counter[str] = Counter()
    for segment in program.segments:
        if isinstance(segment, MachineSegment):
            stream = decode(segment.code)
            for opcode, row in BY_OPCODE.items():
                counts[row.name] += int((stream.opcodes == opcode).sum())
    return dict(counts)
