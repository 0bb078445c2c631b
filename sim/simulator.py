"""The simulator's face: a program and its inputs in, outputs and a timeline out.

Machine segments run here; host segments are handed to a function the caller brings. Every segment starts on an empty
machine: SRAM and both configuration slots empty, DRAM holding the program's constants and the segment's inputs.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.engine import Engine
from sim.machine import clock
from sim.machine.clock import Timeline
from sim.machine.consistency import check_memory
from sim.machine.description import Machine
from sim.machine.encoding import Stream, decode
from sim.machine.errors import Fault, ProgramError, ReconError
from sim.machine.frame_order import check as check_frames
from sim.machine.frame_order import unrolled
from sim.machine.isa import BY_NAME
from sim.machine.order import Order, order
from sim.machine.program import HostSegment, MachineSegment, Program, Region
from sim.memory import Fields, Memory, Violation
from sim.sanitizer import Sanitizer
from sim.threads import one_thread

Codes = npt.NDArray[np.int8]
Tensors = Mapping[str, Codes]
"""int8 tensors by name (a uint8 tensor is shifted by 128 before it gets here)."""

Progress = Callable[[int, int], None]
"""Called now and then with the instructions executed and their number."""

Observer = Callable[[MachineSegment, int, str, Fields, Memory], None]
"""Told of every instruction after it: its segment, its index there, its name and fields, and SRAM as it is then."""

Host = Callable[[HostSegment, Tensors], Tensors]
"""Runs a host segment over the tensors so far and gives those it makes."""


@dataclass(frozen=True, eq=False)
class SegmentRun:
    """One machine segment's run: ``outputs`` by region name (empty when only timed), the decoded stream, the clock.

    Of a segment with frames it is the prologue's and one frame's, and ``text`` the stream as it stands in the program.
    """

    segment: MachineSegment
    stream: Stream
    outputs: Tensors
    timeline: Timeline
    text: Stream


@dataclass(frozen=True, eq=False)
class Run:
    """A whole program's run: all tensors that crossed a segment's edge by name, and each machine segment's run."""

    tensors: Tensors
    segments: tuple[SegmentRun, ...]

    @property
    def cycles(self) -> int:
        """Cycles of all machine segments."""
        return sum(segment.timeline.cycles for segment in self.segments)


def check_machine(program: Program, machine: Machine) -> None:
    """ProgramError naming both machines unless the program was compiled for this one."""
    if program.machine.fingerprint != machine.fingerprint:
        same = "another description of " if program.machine.name == machine.name else ""
        raise ProgramError(
            f"This program was compiled for {same}{program.machine.name} and cannot run on {machine.name}; "
            f"compile the model again with --machine {shlex.quote(machine.name)}."
        )


def simulate(
    program: Program,
    inputs: Tensors,
    *,
    timing_only: bool = False,
    sanitize: bool = False,
    progress: Progress | None = None,
    host: Host | None = None,
    observer: Observer | None = None,
) -> Run:
    """Run all segments in order.

    ``timing_only`` runs the clock alone and takes no values (``inputs`` may be empty, host segments are passed over).
    ``sanitize`` also reports races and computes Winograd by its transforms; ``observer`` watches. Raises Fault when
    the machine stops, ProgramError when a program does not fit its machine or its own tables, ReconError for inputs
    that are missing or have the wrong type or shape.
    """
    tensors: dict[str, Codes] = dict(inputs)
    runs: list[SegmentRun] = []
    for segment in program.segments:
        if isinstance(segment, MachineSegment):
            result = run_segment(
                program,
                segment,
                tensors,
                timing_only=timing_only,
                sanitize=sanitize,
                progress=progress,
                observer=observer,
            )
            tensors.update(result.outputs)
            runs.append(result)
        elif not timing_only:
            if host is None:
                raise ReconError(
                    f"Segment '{segment.name}' runs on the host ({', '.join(segment.operators)}), "
                    "and this run was given no host."
                )
            tensors.update(host(segment, tensors))
    return Run(tensors, tuple(runs))


def run_segment(
    program: Program,
    segment: MachineSegment,
    tensors: Tensors,
    *,
    timing_only: bool = False,
    sanitize: bool = False,
    progress: Progress | None = None,
    observer: Observer | None = None,
) -> SegmentRun:
    """Run one machine segment; see ``simulate``. Of one with frames, the prologue and one frame."""
    check_memory(program)
    stream = decode(segment.code)
    check_layers(program, segment, stream)
    layers = tuple(program.layers[layer].name for layer in segment.layer_of.tolist())
    queues = order(stream, layers)
    if segment.frames is not None:
        check_frames(stream, segment.frames)
        queues = unrolled(stream, segment.frames, 1, layers)
    outputs: Tensors = {}
    if timing_only:
        _check_copies(program, queues)
    else:
        outputs = _execute(program, segment, queues, tensors, sanitize, progress, observer)
    fetched = program.machine.instruction_memory.fetches(program.code_bytes) and segment.frames is None
    timeline = clock.run(program.machine, queues.stream, queues=queues, fetched=fetched)
    return SegmentRun(segment, queues.stream, outputs, timeline, stream)


def _check_copies(program: Program, queues: Order) -> None:
    """Fault for a copy of more bytes than its end has room for: the clock counts bursts run by run."""
    for name, room in (("load", program.machine.sram.bytes), ("store", program.dram_bytes)):
        opcode = BY_NAME[name].opcode
        table = queues.stream.tables.get(opcode)
        if table is None:
            continue
        moved = table["bytes"].astype(np.float64) * table["count1"] * table["count2"]
        for at in np.flatnonzero(moved > room)[:1].tolist():
            count = int(table["bytes"][at]) * int(table["count1"][at]) * int(table["count2"][at])
            index = int(queues.stream.indices(opcode)[at])
            raise queues.fault(index, f"it moves {count:,} bytes to where there is room for {room:,}.")


def _execute(
    program: Program,
    segment: MachineSegment,
    queues: Order,
    tensors: Tensors,
    sanitize: bool,
    progress: Progress | None,
    observer: Observer | None,
) -> Tensors:
    dram = Memory("DRAM", program.dram_bytes)
    dram.preset(0, program.constants)
    for region in segment.inputs:
        given = repeated(region, tensors) if program.batch > 1 else tensors
        dram.preset(region.address, input_of(region, given).view(np.uint8))
    engine = Engine(program.machine, dram, as_built=sanitize)
    sanitizer = Sanitizer(queues, engine) if sanitize else None
    stream = queues.stream
    sequence = queues.linear.tolist()
    with one_thread():
        for done, index in enumerate(sequence):
            name, fields = stream.instruction(index).name, stream.fields(index)
            try:
                if sanitizer is not None:
                    sanitizer.begin(index)
                engine.execute(name, fields)
            except Violation as violation:
                raise queues.fault(index, str(violation)) from None
            if observer is not None:
                observer(segment, index, name, fields, engine.sram)
            if progress is not None and (done % 16 == 15 or done + 1 == len(sequence)):
                progress(done + 1, len(sequence))
    outputs = {region.name: output_of(region, dram) for region in segment.outputs}
    return outputs if program.batch == 1 else {name: tensor[0] for name, tensor in outputs.items()}


def repeated(region: Region, tensors: Tensors) -> Tensors:
    """One frame's tensor for every frame of a batch: what each computes is the same."""
    tensor = tensors.get(region.name)
    if tensor is None or tensor.shape != region.shape[1:]:
        return tensors
    return {region.name: np.broadcast_to(tensor, region.shape)}


def input_of(region: Region, tensors: Tensors) -> Codes:
    """The tensor for a region; ReconError when it is missing or of another type or shape."""
    if region.name not in tensors:
        raise ReconError(f"The input '{region.name}' is missing; given are {', '.join(tensors) or 'none'}.")
    tensor = tensors[region.name]
    if tensor.dtype != np.int8 or tensor.shape != region.shape:
        raise ReconError(
            f"The input '{region.name}' must be int8 of shape {list(region.shape)}, "
            f"not {tensor.dtype} of shape {list(tensor.shape)}."
        )
    return np.ascontiguousarray(tensor)


def output_of(region: Region, dram: Memory) -> npt.NDArray[Any]:
    """A region's content after the run; Fault when part of it was never written."""
    part = slice(region.address, region.address + region.bytes)
    if not dram.written[part].all():
        missing = region.address + int(np.flatnonzero(~dram.written[part])[0])
        raise Fault(
            f"The program ended and byte {missing:#x} of DRAM, in its output '{region.name}', was never written."
        )
    return dram.data[part].copy().view(np.dtype(region.dtype).newbyteorder("<")).reshape(region.shape)


def check_layers(program: Program, segment: MachineSegment, stream: Stream) -> None:
    layer_of = segment.layer_of
    if len(layer_of) != len(stream):
        raise ProgramError(
            f"Segment '{segment.name}' has {len(stream)} instructions and names the layers of {len(layer_of)}; "
            "compile the model again."
        )
