"""A program's inputs from files (``.npy`` by ``arrays``, pictures by ``pictures``), and its outputs to files."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.machine.errors import ReconError
from sim.machine.files import check_regular, read_text, write_whole
from sim.machine.program import Port, Program
from tools.files.arrays import describe, fit, read_npy
from tools.files.pictures import PICTURES, Picture, read_picture

Tensor = npt.NDArray[Any]


Note = Callable[[str], None]
"""Told what was done to make a file fit."""


def read_inputs(
    program: Program, options: Sequence[str], picture: Picture, note: Note | None = None
) -> dict[str, Tensor]:
    """The tensors that ``NAME=FILE`` (or FILE alone, for a program with one input) name.

    ReconError for unknown or missing inputs, unreadable files, and tensors of another type or shape.
    """
    ports = {port.name: port for port in program.inputs}
    recorded = picture.over(program.image)
    files = input_files(program, options)
    return {name: read_tensor(ports[name], file, recorded, note) for name, file in files.items()}


def input_files(program: Program, options: Sequence[str]) -> dict[str, str]:
    """The files by input; ReconError for unknown, repeated or missing inputs."""
    ports = {port.name: port for port in program.inputs}
    files: dict[str, str] = {}
    for option in options:
        name, equals, file = option.partition("=")
        if not (equals and name in ports):
            if len(ports) == 1 and (not equals or Path(option).exists()):
                name, file = next(iter(ports)), option
            elif not equals:
                raise ReconError(
                    f"--input {option}: the program has {len(ports)} inputs ({', '.join(ports)}); "
                    "say which one with NAME=FILE."
                )
            else:
                raise ReconError(f"The program has no input '{name}'; its inputs are {_list(program.inputs)}.")
        if name in files:
            raise ReconError(f"The input '{name}' is given twice.")
        files[name] = file
    missing = [port for port in program.inputs if port.name not in files]
    if missing:
        raise ReconError(f"Without --input all inputs are random data; with it none may be missing: {_list(missing)}.")
    return files


def _list(ports: Sequence[Port]) -> str:
    return ", ".join(f"'{port.name}' ({describe(port)})" for port in ports)


def read_tensor(port: Port, file: str, picture: Picture, note: Note | None = None) -> Tensor:
    """One input from a file."""
    path = Path(file)
    suffix = path.suffix.lower()
    if not path.exists():
        raise ReconError(f"{file}: there is no such file.")
    if suffix == ".npy":
        tensor, done = fit(port, read_npy(path), file)
        for sentence in done:
            if note is not None:
                note(sentence)
        return tensor
    if suffix in PICTURES:
        try:
            check_regular(path)
        except OSError as error:
            raise ReconError(f"{file}: cannot be read: {error.strerror}.") from None
        return read_picture(port, path, picture)
    raise ReconError(f"{file}: inputs are .npy files or pictures ({', '.join(PICTURES)}).")


def random_inputs(program: Program, seed: int) -> dict[str, Tensor]:
    """Inputs drawn from a seeded generator: standard normal floats, integers over the whole range of 8 bits."""
    generator = np.random.default_rng(seed)
    tensors: dict[str, Tensor] = {}
    for port in program.inputs:
        kind = np.dtype(port.dtype)
        if kind.kind == "f":
            tensors[port.name] = generator.standard_normal(port.shape).astype(kind)
        else:
            low, high = {"b": (0, 1), "u": (0, 255)}.get(kind.kind, (-128 if kind.itemsize == 1 else 0, 127))
            tensors[port.name] = generator.integers(low, high, port.shape, endpoint=True).astype(kind)
    return tensors


def output_files(outputs: Sequence[Port], folder: Path) -> dict[str, Path]:
    """``NAME.npy`` in the folder for each output."""
    files: dict[str, Path] = {}
    for port in outputs:
        path = folder / f"{_file_name(port.name)}.npy"
        while path in files.values():
            path = path.with_stem(path.stem + "_")
        files[port.name] = path
    return files


def write_outputs(outputs: Mapping[str, Tensor], files: Mapping[str, Path]) -> None:
    """Each output into its file; the folder is made if need be."""
    for name, tensor in outputs.items():
        folder = files[name].parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ReconError(f"{folder}: this folder cannot be made: {error.strerror}.") from None
        buffer = io.BytesIO()
        np.save(buffer, tensor, allow_pickle=False)
        write_whole(files[name], buffer.getvalue())


def _file_name(tensor: str) -> str:
    letters = (letter if letter.isalnum() or letter in "._-" else "_" for letter in tensor)
    return "".join(letters).lstrip(".") or "output"


def answer_of(outputs: Sequence[Port], labels: Sequence[str] | None) -> Port | None:
    """The output that is a list of scores: with labels the one of their number, without them if only one is a list.

    ReconError when there are labels and no output has as many scores.
    """
    lists = {port: math.prod(port.shape) for port in outputs if 1 < math.prod(port.shape) == max(port.shape)}
    if labels is None:
        return next(iter(lists)) if len(lists) == 1 else None
    for port, size in lists.items():
        if size == len(labels):
            return port
    sizes = ", ".join(map(str, lists.values())) or "none"
    raise ReconError(f"There are {len(labels)} labels and no output with as many scores; outputs have {sizes}.")


def top_classes(scores: Tensor, labels: Sequence[str] | None, count: int) -> list[tuple[str, str]]:
    """The greatest scores as (label, text), greatest first."""
    flat = scores.reshape(-1)
    form = ".2f" if flat.dtype.kind == "f" else "d"
    order = np.argsort(-flat.astype(np.float64), kind="stable")[:count].tolist()
    return [(labels[int(index)] if labels else f"class {index}", format(flat[index].item(), form)) for index in order]


def read_labels(path: Path) -> list[str]:
    """One label a line."""
    try:
        return [line.strip() for line in read_text(path).splitlines() if line.strip()]
    except OSError as error:
        raise ReconError(f"{path}: the labels cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ReconError(f"{path}: this is not a text file of labels, one a line.") from None
