"""Inputs of frames in a row, from files: a folder with a file for each, or an array with a leading dimension.

A folder's files come in the order of their names, numbers in them by their value (``frame9`` before ``frame10``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from sim.machine.errors import ReconError
from sim.machine.program import Port, Program
from tools.files.arrays import read_npy
from tools.files.pictures import PICTURES, Picture
from tools.files.tensors import Note, Tensor, input_files, random_inputs, read_tensor

Frames = Iterator[dict[str, Tensor]]


def random_frames(program: Program, frames: int, seed: int) -> Frames:
    """Seeded random data; frame t is what a single run draws from seed + t."""
    return (random_inputs(program, seed + frame) for frame in range(frames))


def read_frames(
    program: Program, options: Sequence[str], frames: int | None, picture: Picture, note: Note | None = None
) -> tuple[int, Frames]:
    """How many frames there are, at most ``frames``, and the inputs of each.

    ReconError where there are fewer than asked for, inputs have different numbers of frames, or a file is no input.
    """
    ports = {port.name: port for port in program.inputs}
    recorded = picture.over(program.image)
    sources = {name: _source(ports[name], file, recorded, note) for name, file in input_files(program, options).items()}
    counts = {name: len(source) for name, source in sources.items()}
    if len(set(counts.values())) > 1:
        raise ReconError(
            "The inputs have different numbers of frames: "
            + ", ".join(f"'{name}' {count}" for name, count in counts.items())
            + "."
        )
    there = next(iter(counts.values()))
    if frames is not None and there < frames:
        raise ReconError(f"--frames {frames}: the inputs hold {there} frame{'s' if there != 1 else ''}.")
    number = frames or there
    return number, ({name: source[frame] for name, source in sources.items()} for frame in range(number))


class _Folder(Sequence[Tensor]):
    """A file for each frame, read when it is its turn."""

    def __init__(self, port: Port, folder: Path, picture: Picture, note: Note | None):
        self.port, self.picture, self.note = port, picture, note
        kinds = (".npy", *PICTURES)
        self.files = sorted((file for file in folder.iterdir() if file.suffix.lower() in kinds), key=_by_number)
        if not self.files:
            raise ReconError(f"{folder}: this folder holds no frames; they are .npy files or pictures.")

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, at):  # pyright: ignore
        return read_tensor(self.port, str(self.files[at]), self.picture, self.note if at == 0 else None)


def _source(port: Port, file: str, picture: Picture, note: Note | None) -> Sequence[Tensor]:
    path = Path(file)
    if path.is_dir():
        return _Folder(port, path, picture, note)
    if path.suffix.lower() == ".npy" and path.exists():
        array = read_npy(path)
        shape = port.shape[1:] if port.shape[:1] == (1,) else port.shape
        if array.dtype.name == port.dtype and array.ndim == len(shape) + 1 and array.shape[1:] == shape:
            return [part.reshape(port.shape) for part in array]
    return [read_tensor(port, file, picture, note)]


def _by_number(file: Path) -> list[tuple[bool, int, str]]:
    return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", file.name)]


def stacked(outputs: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The outputs of all frames by name, along a leading dimension."""
    return {
        name: (np.concatenate if first.shape[:1] == (1,) else np.stack)([each[name] for each in outputs])
        for name, first in outputs[0].items()
    }
