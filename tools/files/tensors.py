"""A program's inputs from files, and its outputs to files.

``.npy`` files must match type and shape exactly. Pictures are scaled bilinearly to the input's height and width, laid
out as its shape says (NHWC or NCHW, 1 or 3 channels), and become ``(pixel − mean) · scale`` per channel; where neither
command line nor program gives these, pixel values stay 0…255 (for an int8 input −128…127, the same codes shifted).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.machine.errors import ReconError
from sim.machine.program import Port, Program

Tensor = npt.NDArray[Any]

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")


@dataclass(frozen=True)
class Picture:
    """How pixels become input values: one number for all channels or one per channel; None: as the program says."""

    scale: tuple[float, ...] | None = None
    mean: tuple[float, ...] | None = None

    @classmethod
    def parse(cls, scale: str | None, mean: str | None) -> Picture:
        """From ``"0.017,0.0175,0.0174"`` and the like; ReconError says which is no list of numbers."""
        return cls(_numbers("--scale", scale), _numbers("--mean", mean))

    def to_json(self) -> dict[str, list[float]]:
        """As program files record it."""
        return {name: list(part) for name, part in (("scale", self.scale), ("mean", self.mean)) if part is not None}

    def over(self, recorded: Mapping[str, Any]) -> Picture:
        """This, and where it says nothing what the program recorded."""
        scale, mean = (tuple(recorded[name]) if name in recorded else None for name in ("scale", "mean"))
        return Picture(self.scale or scale, self.mean or mean)


def _numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise ReconError(
            f"{option} {text}: write one number, or one per channel with commas: 127.5,127.5,127.5."
        ) from None


def describe(port: Port) -> str:
    """``float32 of shape [1, 96, 96, 3]``."""
    return f"{port.dtype} of shape {list(port.shape)}"


def read_inputs(program: Program, options: Sequence[str], picture: Picture) -> dict[str, Tensor]:
    """The tensors that ``NAME=FILE`` (or FILE alone, for a program with one input) name.

    ReconError for unknown or missing inputs, unreadable files, and tensors of another type or shape.
    """
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
    recorded = picture.over(program.image)
    return {name: read_tensor(ports[name], file, recorded) for name, file in files.items()}


def _list(ports: Sequence[Port]) -> str:
    return ", ".join(f"'{port.name}' ({describe(port)})" for port in ports)


def read_tensor(port: Port, file: str, picture: Picture) -> Tensor:
    """One input from a file."""
    path = Path(file)
    suffix = path.suffix.lower()
    if not path.exists():
        raise ReconError(f"{file}: there is no such file.")
    if suffix == ".npy":
        return _checked(port, _read_npy(path), file)
    if suffix in PICTURES:
        return read_picture(port, path, picture)
    raise ReconError(f"{file}: inputs are .npy files or pictures ({', '.join(PICTURES)}).")


def _read_npy(path: Path) -> Tensor:
    try:
        return np.load(path, allow_pickle=False)
    except OSError as error:
        raise ReconError(f"{path}: cannot be read: {error.strerror or 'it is truncated'}.") from None
    except (ValueError, EOFError):
        raise ReconError(f"{path}: this is not a whole .npy file of numbers; numpy.save writes one.") from None


def _checked(port: Port, tensor: Tensor, file: str) -> Tensor:
    if tensor.dtype.name != port.dtype or tensor.shape != port.shape:
        raise ReconError(
            f"{file}: the input '{port.name}' must be {describe(port)}; "
            f"this file holds {tensor.dtype.name} of shape {list(tensor.shape)}."
        )
    return np.ascontiguousarray(tensor)


def picture_layout(port: Port) -> tuple[int, int, int, bool]:
    """Height, width, channels, and whether channels come last; ReconError when the input is no picture."""
    shape = port.shape[1:] if len(port.shape) == 4 else port.shape
    if len(shape) == 3 and (len(port.shape) == 3 or port.shape[0] == 1):
        if shape[0] in (1, 3):
            return shape[1], shape[2], shape[0], False
        if shape[2] in (1, 3):
            return shape[0], shape[1], shape[2], True
    raise ReconError(f"The input '{port.name}' ({describe(port)}) is no picture of 1 or 3 channels; give a .npy file.")


def read_picture(port: Port, path: Path, picture: Picture) -> Tensor:
    """A picture as the tensor that the port takes."""
    from PIL import Image, UnidentifiedImageError

    height, width, channels, last = picture_layout(port)
    try:
        with Image.open(path) as image:
            scaled = image.convert("L" if channels == 1 else "RGB").resize((width, height), Image.Resampling.BILINEAR)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, zlib.error, Image.DecompressionBombError):
        raise ReconError(
            f"{path}: this picture cannot be read; it is damaged or of a kind that Pillow does not know."
        ) from None
    pixels = np.asarray(scaled, np.float32).reshape(height, width, channels)
    mean = picture.mean or ((128.0,) if port.dtype == "int8" and picture.scale is None else (0.0,))
    values = (pixels - _per_channel("mean", mean, channels)) * _per_channel("scale", picture.scale or (1.0,), channels)
    if np.issubdtype(port.dtype, np.integer):
        limits = np.iinfo(port.dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return np.ascontiguousarray(values if last else values.transpose(2, 0, 1)).astype(port.dtype).reshape(port.shape)


def _per_channel(name: str, numbers: tuple[float, ...], channels: int) -> npt.NDArray[np.float32]:
    if len(numbers) not in (1, channels):
        raise ReconError(
            f"--{name} has {len(numbers)} numbers and the input {channels} channels; give 1 or {channels}."
        )
    return np.asarray(numbers, np.float32)


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


def write_outputs(outputs: Mapping[str, Tensor], folder: Path) -> list[Path]:
    """Each output as ``NAME.npy`` in the folder, which is made if need be; returns the files."""
    import io

    from sim.machine.program import write_whole

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReconError(f"{folder}: this folder cannot be made: {error.strerror}.") from None
    files: list[Path] = []
    for name, tensor in outputs.items():
        path = folder / f"{_file_name(name)}.npy"
        while path in files:
            path = path.with_stem(path.stem + "_")
        buffer = io.BytesIO()
        np.save(buffer, tensor, allow_pickle=False)
        write_whole(path, buffer.getvalue())
        files.append(path)
    return files


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
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise ReconError(f"{path}: the labels cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ReconError(f"{path}: this is not a text file of labels, one a line.") from None
