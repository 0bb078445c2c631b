"""Running frames in a row: inputs come one after the other, outputs leave so, and the machine is set up once.

A program whose text repeats keeps its weights from frame to frame; of any other program every frame is a run by itself.
Host segments do their part of each frame before and behind the machine's.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sim.frames import FrameMachine
from sim.machine.program import HostSegment, MachineSegment, Program, Segment
from sim.simulator import simulate
from sim.statistics import Statistics, collect
from tools.runtime import Tensor, check_inputs, from_codes, run_host, run_program, to_codes

Done = Callable[[int], None]
"""Called with the number of frames that are done."""


def run_frames(
    program: Program, frames: Iterable[Mapping[str, Tensor]], sanitize: bool = False, done: Done | None = None
) -> Iterator[dict[str, Tensor]]:
    """The outputs of one frame after the other, by name as the model states them, for the inputs of each.

    Raises ReconError for wrong inputs and Fault when the machine stops.
    """
    count = 0
    for outputs in _run(program, iter(frames), sanitize):
        count += 1
        if done is not None:
            done(count)
        yield outputs


def frame_statistics(program: Program, frames: int) -> Statistics:
    """What so many frames take."""
    return collect(program, simulate(program, {}, timing_only=True), frames)


def _run(program: Program, frames: Iterator[Mapping[str, Tensor]], sanitize: bool) -> Iterator[dict[str, Tensor]]:
    repeated = [s for s in program.segments if isinstance(s, MachineSegment) and s.frames is not None]
    if not repeated:
        for inputs in frames:
            yield run_program(program, inputs, sanitize=sanitize).outputs
        return
    (segment,) = repeated
    machine = FrameMachine(program, segment, sanitize=sanitize)
    at = program.segments.index(segment)
    while group := [_Frame.of(program, inputs) for inputs in itertools.islice(frames, program.batch)]:
        for frame in group:
            frame.host(program.segments[:at])
        # A group at the end that is not full is filled up with its last frame, whose results nobody takes.
        full = [*group, *[group[-1]] * (program.batch - len(group))]
        given = {r.name: np.stack([each.codes[r.name] for each in full]).reshape(r.shape) for r in segment.inputs}
        found = machine.frame(given)
        for number, frame in enumerate(group):
            frame.codes.update(found if program.batch == 1 else {name: each[number] for name, each in found.items()})
            frame.host(program.segments[at + 1 :])
            yield {port.name: from_codes(port, frame.tensors[port.name]) for port in program.outputs}


@dataclass
class _Frame:
    """The tensors of one frame: as the model states them, and as the machine's codes."""

    made: dict[str, Tensor]
    codes: dict[str, Tensor]

    @classmethod
    def of(cls, program: Program, inputs: Mapping[str, Tensor]) -> _Frame:
        check_inputs(program, inputs)
        return cls(dict(inputs), {name: to_codes(tensor) for name, tensor in inputs.items()})

    @property
    def tensors(self) -> dict[str, Tensor]:
        return {**self.codes, **self.made}

    def host(self, segments: Sequence[Segment]) -> None:
        """Run the host's segments among these."""
        for segment in segments:
            if isinstance(segment, HostSegment):
                results = run_host(segment, self.tensors)
                self.made.update(results)
                self.codes.update({name: to_codes(tensor) for name, tensor in results.items()})
