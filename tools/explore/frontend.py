"""What is done once per model: reading, quantising, lowering to ``cnn``; kept as bytes that any process can open.

A ``PreparedModel`` is the text of its module and the bytes of its constants, and its name is their content hash: it
goes to every worker once, whatever the number of its points.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.parser import Parser

from dialects.recon import blobs, is_inline, resolve
from dialects.text import TextPrinter
from sim.machine.description import MACHINES, WITH, load, names
from tools.files.machine_file import machine_text
from tools.reports.compare import Study

ROOT = Path(__file__).resolve().parent.parent.parent

_SOURCES = ("backend", "dialects", "passes", "sim", "tools/explore/point.py", "tools/explore/area.py")


@dataclass(frozen=True, eq=False)
class PreparedModel:
    """A model at the ``cnn`` level: ``text``, ``constants`` by content hash, and ``digest`` of both."""

    name: str
    text: str
    constants: Mapping[str, bytes]
    digest: str

    def open(self, context: Context) -> ModuleOp:
        """The module, its constants at hand. Its operations have no place in this text, which nobody has seen: what is
        said of them is what the whole road says."""
        module = Parser(context, self.text, self.name).parse_module()
        resolve(module, self.constants)
        return module


def prepare(
    file: Path,
    name: str,
    assume_int8: bool = False,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    report: Callable[[str], None] | None = None,
) -> PreparedModel:
    """Read a model, bring it to the ``cnn`` level and pack it; ReconError with all problems of the model."""
    study = Study(file, input_shapes, assume_int8, report)
    stream = io.StringIO()
    TextPrinter(stream=stream).print_op(study.module)
    text = stream.getvalue()
    constants = {
        blob.digest: bytes(blob.buffer())
        for blob in blobs(study.module)
        if blob.data is not None and not is_inline(blob)
    }
    return PreparedModel(name, text, constants, hashlib.sha256(text.encode()).hexdigest())


def base_text(name_or_file: str) -> str:
    """A base machine as the text of a machine file, "" for one that comes with the project."""
    if name_or_file in names():
        return ""
    machine = load(name_or_file)
    return machine_text(machine, machine.name, machine.name)


def version() -> str:
    """The content hash of everything that decides what a point costs: our sources from the ``cnn`` level on, and the
    machines that come along."""
    digest = hashlib.sha256()
    for name in _SOURCES:
        place = ROOT / name
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    for path in sorted(MACHINES.glob("*.toml")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def rebased(machine: str, bases: Mapping[str, str]) -> str:
    """A machine's text with its base named otherwise: where the base's file lies in this process."""
    base, given, settings = machine.partition(WITH)
    return bases.get(base, base) + given + settings
