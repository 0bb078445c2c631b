"""Quantisers in environments of their own: what they write of four small networks, measured like the fixtures.

    python benchmarks/quantisers.py --tools          bring the tools, let them write, measure, write the page

An environment holds the pinned packages of ``quantiser_tools.toml`` and nothing of ours; a script of ours runs in it
and gets a float model, examples, a path and a setting. Environments and files stay in the user's cache.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from model_files import CACHE
from quantiser_nets import NETS, built, examples

HERE = Path(__file__).resolve().parent
MANIFEST = HERE / "quantiser_tools.toml"
TOOLS = CACHE / "tools"
WRITTEN = CACHE / "quantisers"
LONGEST = 600
"""Seconds that a tool may take for one file."""


@dataclass(frozen=True)
class Quantiser:
    """A tool of the manifest."""

    name: str
    packages: tuple[str, ...]
    script: str
    settings: tuple[str, ...]


@dataclass(frozen=True)
class Written:
    """What a tool made of a network in a setting: a file, or why there is none."""

    network: str
    tool: str
    setting: str
    path: Path
    problem: str = ""


def quantisers(manifest: Path = MANIFEST) -> tuple[Quantiser, ...]:
    """All tools, in the manifest's order."""
    rows = tomllib.loads(manifest.read_text(encoding="utf-8"))["tool"]
    return tuple(Quantiser(row["name"], tuple(row["packages"]), row["script"], tuple(row["settings"])) for row in rows)


def environment(tool: Quantiser) -> Path:
    """The Python of a tool's environment, made if its packages are not those; RuntimeError where pip cannot."""
    folder = TOOLS / tool.name
    python, stamp = folder / "bin" / "python", folder / "packages.txt"
    if stamp.is_file() and stamp.read_text(encoding="utf-8").split() == list(tool.packages):
        return python
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    command = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *tool.packages]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"pip cannot install {tool.name}: {(done.stderr.strip().splitlines() or [''])[-1]}")
    stamp.write_text("\n".join(tool.packages), encoding="utf-8")
    return python


def written(tool: Quantiser) -> Iterator[Written]:
    """Every network in every setting of a tool, one after the other."""
    WRITTEN.mkdir(parents=True, exist_ok=True)
    np.save(data := WRITTEN / "examples.npy", examples(1))
    try:
        python = environment(tool)
    except RuntimeError as error:
        yield Written("", tool.name, "", Path(), str(error))
        return
    for network in NETS:
        onnx.save(built(network), model := WRITTEN / f"{network}.onnx")
        for setting in tool.settings:
            out = WRITTEN / f"{network}_{tool.name}_{setting}.onnx"
            out.unlink(missing_ok=True)
            command = [
                str(python),
                str(HERE / "quantiser_scripts" / tool.script),
                str(model),
                str(data),
                str(out),
                setting,
            ]
            try:
                done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONGEST)
                said = (done.stderr.strip().splitlines() or ["it wrote nothing"])[-1]
            except subprocess.TimeoutExpired:
                said = f"not done in {LONGEST} seconds"
            yield Written(network, tool.name, setting, out, "" if out.is_file() else said)
