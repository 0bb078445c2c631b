"""Calibration data for a model on its way to a program: where the compiler puts quantisers in, it measures on these."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from dialects.blobs import DTYPE
from dialects.onnx import element_of, shape_of
from dialects.onnx_export import input_names, main_function
from passes.common.levels import level_of
from sim.machine.errors import ReconError
from sim.machine.program import Port
from tools.driver import make_context, read_module
from tools.files.pictures import Picture
from tools.quantise.samples import Samples, from_arrays, from_pictures

MOST = 128
"""Samples that are looked at; ranges change little behind the first few dozen."""


@contextmanager
def measured_on(
    model: str, shapes: Mapping[str, Sequence[int]], images: Path | None, data: Path | None, picture: Picture
) -> Generator[str]:
    """The file that ``measure-ranges`` reads, for pictures of a folder or arrays of an ``.npz`` file; nothing for none.

    Raises ReconError for data that do not fit the model's inputs.
    """
    if images is None and data is None:
        yield ""
        return
    if images is not None and data is not None:
        raise ReconError("--images and --data: one of them says what to calibrate on.")
    ports = _ports(model, shapes)
    samples = (
        from_pictures(ports, images, picture, MOST) if images is not None else from_arrays(ports, data or Path(), MOST)
    )
    with tempfile.TemporaryDirectory() as folder:
        yield write(samples, ports, Path(folder) / "samples.npz")


def write(samples: Samples, ports: Sequence[Port], path: Path) -> str:
    """Samples as ``measure-ranges`` reads them: an array per input, in the inputs' order. Returns the path."""
    rows = list(samples)
    np.savez(path, *(np.stack([row[port.name] for row in rows]) for port in ports))
    return str(path)


def _ports(model: str, shapes: Mapping[str, Sequence[int]]) -> list[Port]:
    module = read_module(model, make_context(), shapes)
    if level_of(module) != "onnx":
        raise ReconError(f"{model}: --images and --data are for ONNX models; in this text ranges are decided already.")
    function = main_function(module)
    return [
        Port(name, np.dtype(DTYPE[element_of(value)]).name, shape_of(value))
        for name, value in zip(input_names(function), function.body.block.args, strict=True)
    ]
