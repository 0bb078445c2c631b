"""Frames in motion: a machine that is set up once and then computes frame after frame.

Frames run in the order of their text, which its waits allow, so what is computed here is what any order that they allow
computes. Between frames the machine forgets which bytes the last frame wrote, its weights in L1 and its sums: a byte
counts as written when the prologue or this frame wrote it, so that a frame which reads what another left stops the
machine. Races are looked for
in the first frames, which stand for all (docs/machine.md, section 3).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from sim.engine import Engine
from sim.machine.consistency import check_memory
from sim.machine.encoding import decode
from sim.machine.errors import Fault, ProgramError
from sim.machine.frame_order import PORTS, check, turned, unrolled
from sim.machine.program import MachineSegment, Program, Region
from sim.memory import Fields, Memory, Violation
from sim.sanitizer import Sanitizer
from sim.simulator import Observer, Tensors, check_layers, input_of, output_of

WATCHED = 3
"""Frames in which races are looked for."""


class FrameMachine:
    """A machine with a program's one machine segment, its prologue done; ``frame`` computes the next frame.

    Raises Fault when the machine stops, ProgramError when a program does not fit its machine or its own tables.
    """

    def __init__(
        self, program: Program, segment: MachineSegment, *, sanitize: bool = False, observer: Observer | None = None
    ) -> None:
        if segment.frames is None:
            raise ProgramError(f"Segment '{segment.name}' does not repeat; compile the model again with --frames.")
        check_memory(program)
        self.stream = decode(segment.code)
        check_layers(program, segment, self.stream)
        check(self.stream, segment.frames)
        self.segment, self.frames = segment, segment.frames
        self.layers = tuple(program.layers[layer].name for layer in segment.layer_of.tolist())
        self.observer = observer
        self.done = 0
        self.dram = Memory("DRAM", program.dram_bytes)
        self.dram.preset(0, program.constants)
        self.engine = Engine(program.machine, self.dram)
        self.line = unrolled(self.stream, self.frames, WATCHED, self.layers)
        self.sanitizer = Sanitizer(self.line, self.engine) if sanitize else None
        self.decoded = [
            (self.stream.instruction(index).name, self.stream.fields(index)) for index in range(len(self.stream))
        ]
        for index in range(self.frames.prologue):
            self._execute(index, index)
        self.kept = [np.flatnonzero(memory.written) for memory in (self.engine.sram, self.dram)]
        filled = {fields["half"] for name, fields in self.decoded[self.frames.prologue :] if name == "fill"}
        self.halves = [None if half in filled else held for half, held in enumerate(self.engine.halves)]

    def frame(self, tensors: Tensors) -> Tensors:
        """The outputs of the next frame for its inputs by name; ReconError for inputs that are missing or wrong."""
        inputs = [(self._place(region), input_of(region, tensors)) for region in self.segment.inputs]
        for memory, kept in zip((self.engine.sram, self.dram), self.kept, strict=True):
            memory.written[...] = False
            memory.written[kept] = True
        self.engine.halves, self.engine.accumulators = list(self.halves), None
        for region, tensor in inputs:
            self.dram.preset(region.address, tensor.view(np.uint8))
        if self.sanitizer is not None and self.done == WATCHED:
            self.sanitizer.leave(self.engine)
            self.sanitizer = None
        head, size = self.frames.prologue, len(self.stream) - self.frames.prologue
        for index in range(head, head + size):
            self._execute(index, index + self.done * size)
        outputs = {region.name: output_of(self._place(region), self.dram) for region in self.segment.outputs}
        self.done += 1
        return outputs

    def _place(self, region: Region) -> Region:
        """Where a port lies in this frame."""
        address = int(turned(np.array([region.address], np.uint32), self.done, self.frames)[0])
        return dataclasses.replace(region, address=address)

    def _execute(self, index: int, place: int) -> None:
        """An instruction of the text, which is the one at ``place`` of the frames in a row."""
        name, fields = self.decoded[index]
        if name in PORTS and self.done % 2 and index >= self.frames.prologue:
            fields = {**fields, "dram": int(turned(np.array([fields["dram"]], np.uint32), 1, self.frames)[0])}
        try:
            if self.sanitizer is not None:
                self.sanitizer.begin(place)
            self.engine.execute(name, fields)
        except Violation as violation:
            raise self._fault(index, str(violation)) from None
        self._watch(index, name, fields)

    def _watch(self, index: int, name: str, fields: Fields) -> None:
        if self.observer is not None:
            self.observer(self.segment, index, name, fields, self.engine.sram)

    def _fault(self, index: int, reason: str) -> Fault:
        line = unrolled(self.stream, self.frames, 1, self.layers)
        frame = np.where(line.frame >= 0, self.done, -1)
        return dataclasses.replace(line, frame=frame).fault(index, reason)
