"""Calibration data: pictures of a folder, arrays of an ``.npz`` file, or seeded random numbers."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.machine.errors import ReconError
from sim.machine.files import check_regular
from sim.machine.program import Port
from tools.files.arrays import describe, fit
from tools.files.pictures import PICTURES, Picture, picture_layout, read_picture

MOST_BYTES = 2**31
"""Bytes of all arrays of an ``.npz`` file: a compressed one can hold a thousand times its own size."""

Sample = dict[str, npt.NDArray[Any]]
"""One inference's inputs by name."""


@dataclass(frozen=True)
class Samples:
    """Inputs that are made when they are asked for, always in the same order; ``said`` is what they are."""

    count: int
    make: Callable[[int], Sample]
    said: str

    def __iter__(self) -> Iterator[Sample]:
        return (self.make(index) for index in range(self.count))

    def first(self, count: int) -> Samples:
        """The first few of them."""
        return Samples(min(count, self.count), self.make, self.said)


def from_pictures(ports: Sequence[Port], folder: Path, picture: Picture, limit: int) -> Samples:
    """A sample per picture of the folder, by name; ReconError unless the model has one input, a picture."""
    if len(ports) != 1:
        raise ReconError(
            f"--images gives one input, and the model has {len(ports)}: {', '.join(port.name for port in ports)}; give "
            "all of them with --data FILE.npz."
        )
    picture_layout(ports[0])
    if not folder.is_dir():
        raise ReconError(f"--images {folder}: there is no such folder.")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES and path.is_file())[:limit]
    if not files:
        raise ReconError(f"--images {folder}: there are no pictures ({', '.join(PICTURES)}) in this folder.")

    def make(index: int) -> Sample:
        return {ports[0].name: read_picture(ports[0], files[index], picture)}

    return Samples(len(files), make, f"{len(files)} pictures of {folder}")


def from_arrays(ports: Sequence[Port], file: Path, limit: int) -> Samples:
    """The samples of an ``.npz`` file: an array per input, samples along the first axis."""
    damaged = ReconError(f"{file}: this is not a whole .npz file of numbers; numpy.savez writes one.")
    try:
        check_regular(file)
        with zipfile.ZipFile(file) as members:
            unpacked = sum(member.file_size for member in members.infolist())
        if unpacked > MOST_BYTES:
            raise ReconError(
                f"{file}: its arrays take {unpacked:,} bytes once they are unpacked, and at most {MOST_BYTES:,} are "
                "read; give fewer samples."
            )
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except OSError as error:
        raise ReconError(f"{file}: cannot be read: {error.strerror}.") if error.strerror else damaged from None
    except ReconError:
        raise
    except Exception:  # zip and numpy readers raise what they like on damaged files
        raise damaged from None
    if len(ports) == len(arrays) == 1:
        arrays = {ports[0].name: next(iter(arrays.values()))}
    missing = [f"'{port.name}' ({describe(port)})" for port in ports if port.name not in arrays]
    if missing:
        raise ReconError(f"{file}: the file lacks {', '.join(missing)}; it holds {', '.join(arrays)}.")
    stacks = {port.name: _stack(port, arrays[port.name], file) for port in ports}
    counts = {name: len(stack) for name, stack in stacks.items()}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{count} of '{name}'" for name, count in counts.items())
        raise ReconError(f"{file}: the inputs have different numbers of samples: {said}.")
    count = min(limit, next(iter(counts.values())))

    def make(index: int) -> Sample:
        return {port.name: fit(port, stacks[port.name][index], str(file))[0] for port in ports}

    make(0)
    return Samples(count, make, f"{count} samples of {file}")


def _stack(port: Port, array: npt.NDArray[Any], file: Path) -> list[npt.NDArray[Any]]:
    """The samples along the first axis; an array of the input's own shape is one sample if its batch is 1."""
    if array.shape == port.shape:
        return [array]
    if array.ndim == 0 or len(array) == 0:
        raise ReconError(f"{file}: the array '{port.name}' has no samples along its first axis.")
    return list(array)


def from_memory(ports: Sequence[Port], samples: Sequence[Mapping[str, npt.NDArray[Any]]]) -> Samples:
    """Samples that a caller has: a dictionary of arrays by input each."""
    if not samples:
        raise ReconError("There are no samples to calibrate on.")
    for index, sample in enumerate(samples):
        if missing := [port.name for port in ports if port.name not in sample]:
            raise ReconError(
                f"Sample {index} lacks the input '{missing[0]}'; it holds {', '.join(sample) or 'nothing'}."
            )

    def make(index: int) -> Sample:
        return {port.name: fit(port, np.asarray(samples[index][port.name]), f"sample {index}")[0] for port in ports}

    return Samples(len(samples), make, f"{len(samples)} samples")


def from_random(ports: Sequence[Port], count: int, seed: int) -> Samples:
    """Standard normal floats, and integers of the first hundred."""

    def make(index: int) -> Sample:
        generator = np.random.default_rng([seed, index])
        sample: Sample = {}
        for port in ports:
            kind = np.dtype(port.dtype)
            values = (
                generator.standard_normal(port.shape) if kind.kind == "f" else generator.integers(0, 100, port.shape)
            )
            sample[port.name] = np.asarray(values, kind)
        return sample

    return Samples(count, make, f"{count} random samples of seed {seed}")
