"""Everything that reads a file, as a function from the file's bytes: it returns, or raises one of ``EXPECTED``.

What a checksum guards is also met behind it: ``head`` and ``code`` put other tables and other instructions into a
program, seal it, and then prove and run it. What is taken is written out again where the project can.
"""

from __future__ import annotations

import functools
import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from xdsl.utils.exceptions import DiagnosticException, ParseError

from passes.accel.check_hazards import check_program
from sim.machine.description import MACHINES
from sim.machine.description import load as load_machine
from sim.machine.errors import ReconError
from sim.machine.program import Port, Program, from_bytes
from tests.attacks.programs import small_program, with_code
from tests.conftest import ROOT
from tests.mutations.heads import joined, parts_of
from tests.mutations.texts import constants, texts_of
from tests.passes.onnx_to_cnn.spread_graphs import case
from tools.driver import make_context, read_module
from tools.explore.space_file import read_space
from tools.files.arrays import fit, read_npy
from tools.files.listing import assemble_program, disassemble_program
from tools.files.pictures import Picture, read_picture
from tools.files.tensors import random_inputs
from tools.runtime import run_program
from tools.terminal import diagnostics

EXPECTED = (ReconError, ParseError, DiagnosticException)
"""What a tool reports as the user's problem, with a place in the text or the file's name."""

GRAPHS = ("residual", "squeeze_excite", "conv_relu_pool", "flatten_gemm", "tail_softmax", "u:concat")


@dataclass(frozen=True)
class Reader:
    """``read`` takes bytes; ``seeds`` gives good files; ``kind`` says how such files are best mutated."""

    read: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]
    kind: str = "bytes"


@functools.cache
def folder() -> Path:
    """Where files are laid for what reads by path; removed when the process ends."""
    kept = tempfile.TemporaryDirectory()
    _KEPT.append(kept)
    return Path(kept.name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def _laid(name: str, data: bytes) -> Path:
    path = folder() / name
    path.write_bytes(data)
    return path


# --------------------------------------------------------------------------------------------------------- programs


def read_program(data: bytes) -> None:
    """A ``.rbin`` file: what is taken is written again as the same bytes."""
    if from_bytes(data, "x.rbin").to_bytes() != data:
        raise AssertionError("the program is written as other bytes than it was read from")


def read_head(data: bytes) -> None:
    """Other entries of a program's head, sealed."""
    header, head, rest = parts_of(small_program().to_bytes())
    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        raise ReconError("no JSON") from None
    _execute(from_bytes(joined(header, head | given if isinstance(given, dict) else given, rest, seal=True), "x.rbin"))


def read_code(data: bytes) -> None:
    """Other instructions in a program."""
    _execute(with_code(small_program(), data))


def _execute(program: Program) -> None:
    """Proof, clock and run, each of which may refuse what the one before has let through."""
    for step in (
        lambda: check_program(program),
        lambda: run_program(program, None, timing_only=True),
        lambda: run_program(program, random_inputs(program, 0)),
        lambda: disassemble_program(program),
    ):
        try:
            step()
        except ReconError:
            pass


def read_assembly(data: bytes) -> None:
    """The text of ``recon assemble``, for the small program."""
    assemble_program(_text(data), small_program()).to_bytes()


# ------------------------------------------------------------------------------------------------------------ texts


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:  # every reader of text says so itself, before anything else
        raise ReconError("no text") from None


def read_machine(data: bytes) -> None:
    """A machine file."""
    machine = load_machine(str(_laid("x.toml", data)))
    assert machine.dram_rate > 0
    assert machine.fingerprint


def read_design_space(data: bytes) -> None:
    """A space file of ``recon explore``: read, and its first machine named."""
    (folder() / "m.onnx").touch()
    read_space(_laid("space.toml", data))


def read_text(data: bytes) -> None:
    """Text of any level: every attribute, operation and type has a parser."""
    context = make_context()
    diagnostics.verify(diagnostics.parse_module(context, _text(data), "x.mlir"))


def read_constants(data: bytes) -> None:
    """The side file of a text."""
    text = texts_of("residual")["residual at cnn"]
    at = text.index("{", text.index("builtin.module attributes")) + 1
    _laid("x.mlir", f'{text[:at]}recon.constants = "x.safetensors", {text[at:]}'.encode())
    _laid("x.safetensors", data)
    read_module(folder() / "x.mlir", make_context())


def read_model(data: bytes) -> None:
    """An ``.onnx`` file."""
    from passes.onnx.import_onnx import import_model

    import_model(data, None, "x.onnx")


# ----------------------------------------------------------------------------------------------------------- inputs

_PORT = Port("x", "float32", (1, 8, 8, 3))


def read_array(data: bytes) -> None:
    """An ``.npy`` file as an input."""
    fit(_PORT, read_npy(_laid("x.npy", data)), "x.npy")


def read_image(data: bytes) -> None:
    """A picture as an input; Pillow finds its kind from its bytes."""
    read_picture(_PORT, _laid("x.png", data), Picture())


# ------------------------------------------------------------------------------------------------------------ seeds


def _models() -> list[bytes]:
    return [case(name).model().SerializeToString() for name in GRAPHS]


def _texts() -> list[bytes]:
    return [text.encode() for network in ("residual", "tail_softmax") for text in texts_of(network).values()]


def _side_files() -> list[bytes]:
    import safetensors.numpy

    text = texts_of("residual")["residual at cnn"]
    held = {digest: np.frombuffer(data, np.uint8) for digest, data in sorted(constants().items()) if digest in text}
    return [safetensors.numpy.save(held)]


def _arrays() -> list[bytes]:
    made: list[bytes] = []
    for kind in (np.float32, np.uint8, ">f8"):
        file = io.BytesIO()
        np.save(file, np.zeros((8, 8, 3), kind))
        made.append(file.getvalue())
    return made


def _pictures() -> list[bytes]:
    made: list[bytes] = []
    for kind, mode in (("PNG", "RGBA"), ("JPEG", "L"), ("BMP", "RGB"), ("GIF", "P"), ("WEBP", "RGB")):
        file = io.BytesIO()
        Image.new(mode, (6, 5), 3).save(file, kind)
        made.append(file.getvalue())
    return made


def _heads() -> list[bytes]:
    _, head, _ = parts_of(small_program().to_bytes())
    kept = {key: value for key, value in head.items() if key not in ("checksum", "instructions", "sha256", "format")}
    return [json.dumps({key: value}).encode() for key, value in kept.items()] + [json.dumps(kept).encode()]


READERS: dict[str, Reader] = {
    "program": Reader(read_program, lambda: [small_program().to_bytes()]),
    "head": Reader(read_head, _heads, "json"),
    "code": Reader(read_code, lambda: [small_program().machine_segments[0].code]),
    "assembly": Reader(read_assembly, lambda: [disassemble_program(small_program()).encode()], "text"),
    "machine": Reader(read_machine, lambda: [path.read_bytes() for path in sorted(MACHINES.glob("*.toml"))], "text"),
    "space": Reader(
        read_design_space, lambda: [path.read_bytes() for path in sorted((ROOT / "benchmarks").glob("*.toml"))], "text"
    ),
    "text": Reader(read_text, _texts, "text"),
    "constants": Reader(read_constants, _side_files),
    "model": Reader(read_model, _models, "model"),
    "array": Reader(read_array, _arrays),
    "picture": Reader(read_image, _pictures),
}
"""Every reader by name."""
