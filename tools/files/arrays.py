"""``.npy`` files, read without trust, and arrays brought to the form that an input has.

A file's head is checked against its size before anything is reserved. An array of another type, order or rank is taken
where it can be meant in one way only, and a note says what was done; otherwise the user decides.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.machine.errors import ReconError
from sim.machine.files import check_regular
from sim.machine.program import Port

Tensor = npt.NDArray[Any]

_ORDERS = ((0, 2, 3, 1), (0, 3, 1, 2))
"""Axes of the input in those of an array that has channels first where the input has them last, and the reverse."""


def describe(port: Port) -> str:
    """``float32 of shape [1, 96, 96, 3]``."""
    return f"{port.dtype} of shape {list(port.shape)}"


def read_npy(path: Path) -> Tensor:
    """The array of a file; ReconError when it is none, is damaged or truncated, or holds objects."""
    damaged = ReconError(f"{path}: this is not a whole .npy file of numbers; numpy.save writes one.")
    try:
        check_regular(path)
        with path.open("rb") as file:
            shape, dtype, start = _head(file)
            whole = all(length >= 0 for length in shape) and dtype.kind in "biuf"
            if not whole or start + math.prod(shape) * dtype.itemsize != path.stat().st_size:
                raise damaged
            file.seek(0)
            return np.lib.format.read_array(file, allow_pickle=False)
    except OSError as error:
        raise ReconError(f"{path}: cannot be read: {error.strerror or 'it is truncated'}.") from None
    except ReconError:
        raise
    except Exception:  # numpy's reader of the head evaluates Python text and raises what that raises
        raise damaged from None


def _head(file: Any) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Shape, type and where the numbers begin."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype, file.tell()


def fit(port: Port, tensor: Tensor, file: str) -> tuple[Tensor, list[str]]:
    """The array as the input has it, and what was done to it, each a sentence.

    ReconError when it can be meant in no way or in several, and for NaN.
    """
    given, done = tensor, list[str]()
    tensor, order = _shaped(port, tensor)
    if order:
        done.append(f"{file}: {list(given.shape)} became {list(port.shape)}, {order}.")
    kind = np.dtype(port.dtype)
    if tensor.dtype != kind:
        if not _converts(tensor, kind):
            tensor = given
        else:
            tensor = tensor.astype(kind)
            done.append(f"{file}: {given.dtype.name} became {port.dtype}.")
    if tensor.dtype != kind or tensor.shape != port.shape:
        raise ReconError(
            f"{file}: the input '{port.name}' must be {describe(port)}; "
            f"this file holds {given.dtype.name} of shape {list(given.shape)}."
        )
    refuse_nan(port, tensor, file)
    return np.asarray(tensor, order="C"), done


def _shaped(port: Port, tensor: Tensor) -> tuple[Tensor, str]:
    """The array in the input's shape where one reading leads there, and which; unchanged otherwise."""
    want, said = port.shape, list[str]()
    if tensor.shape == want:
        return tensor, ""
    shaped = tensor
    if tensor.ndim == len(want) - 1 and want[0] == 1:
        shaped, said = tensor[None], ["a batch of one"]
    elif tensor.ndim == len(want) + 1 and tensor.shape[0] == 1:
        shaped, said = tensor[0], ["without its batch of one"]
    if shaped.shape == want:
        return shaped, said[0]
    if shaped.ndim == 4 == len(want):
        for axes, name in zip(_ORDERS, ("channels moved last", "channels moved first"), strict=True):
            other = shaped.transpose(axes)
            if other.shape == want and _looks_like_channels(port, axes):
                return other, " and ".join([*said, name])
    return tensor, ""


def _looks_like_channels(port: Port, axes: tuple[int, ...]) -> bool:
    """Whether the axis that would be the channels is the input's shortest: of a picture, it is."""
    channels = port.shape[3 if axes == _ORDERS[0] else 1]
    return channels == min(port.shape[1:])


def _converts(tensor: Tensor, kind: np.dtype[Any]) -> bool:
    """Whether numbers of one type can only mean the same numbers of the other."""
    if kind.kind == "f":
        return tensor.dtype.kind in "iuf"
    if kind.kind in "iu" and tensor.dtype.kind in "iu" and tensor.dtype.itemsize > kind.itemsize:
        limits = np.iinfo(kind)
        return not tensor.size or (int(tensor.min()) >= limits.min and int(tensor.max()) <= limits.max)
    return False


def refuse_nan(port: Port, tensor: Tensor, file: str) -> None:
    """ReconError if any value is no number, with the place of the first."""
    if tensor.dtype.kind != "f":
        return
    wrong = np.isnan(tensor)
    if wrong.any():
        first = np.unravel_index(int(wrong.argmax()), tensor.shape)
        raise ReconError(
            f"{file}: {int(wrong.sum()):,} of the {tensor.size:,} values for the input '{port.name}' are no numbers "
            f"(NaN), the first at {[int(index) for index in first]}."
        )
