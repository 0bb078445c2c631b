"""The part of ``recon run`` that is for frames in a row: their inputs, a progress bar, their answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sim.machine.errors import ReconError
from sim.machine.program import Port, Program

if TYPE_CHECKING:
    from sim.statistics import Statistics
    from tools.files.pictures import Picture


@dataclass(frozen=True)
class Asked:
    """What the command line asks of a run of frames; ``frames`` None: as many as the inputs hold."""

    frames: int | None
    inputs: Sequence[str]
    timing_only: bool
    seed: int
    sanitize: bool
    keep: bool


@dataclass(frozen=True)
class Ran:
    """Answers by frame, outputs along a leading dimension (where they are kept), and what it cost."""

    answers: tuple[tuple[str, str], ...]
    outputs: Mapping[str, Any]
    statistics: Statistics


def run_in_a_row(
    program: Program,
    asked: Asked,
    picture: Picture,
    answer: tuple[Port, Sequence[str] | None] | None,
    note: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> Ran:
    """Run the frames, or their clock alone; ReconError for inputs that are no frames, Fault when the machine stops."""
    from tools.files.sequence import random_frames, read_frames, stacked
    from tools.files.tensors import top_classes
    from tools.frames import frame_statistics, run_frames

    if asked.timing_only:
        return Ran((), {}, frame_statistics(program, asked.frames or 1))
    frames: Iterable[dict[str, Any]]
    if asked.inputs:
        count, frames = read_frames(program, asked.inputs, asked.frames, picture, note)
    else:
        count = asked.frames or 1
        frames = random_frames(program, count, asked.seed)
        note(f"no --input: random data of seeds {asked.seed} to {asked.seed + count - 1}")
    kept: list[dict[str, Any]] = []
    answers: list[tuple[str, str]] = []
    for outputs in run_frames(program, frames, asked.sanitize, lambda done: progress(done, count)):
        if answer is not None:
            answers += top_classes(outputs[answer[0].name], answer[1], 1)
        if asked.keep:
            kept.append(outputs)
    return Ran(tuple(answers), stacked(kept) if kept else {}, frame_statistics(program, count))


def is_in_a_row(inputs: Sequence[str], frames: int | None) -> bool:
    """Whether a run is one of frames: their number is given, or an input is a folder."""
    from pathlib import Path

    if frames is not None and frames < 1:
        raise ReconError(f"--frames {frames}: give at least one frame.")
    return frames is not None or any(Path(each.partition("=")[2] or each).is_dir() for each in inputs)
