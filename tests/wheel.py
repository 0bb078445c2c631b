"""The wheel: built from what belongs in it alone, and, as ``python -m tests.wheel``, installed and used.

It is built from a copy, so that nothing that lies about in the checkout gets into it. The main program installs it with
all its dependencies into an environment of its own and works in a project that has packages of the names of ours; this
takes a minute and asks the package index, so it is ``make wheel`` and no part of ``make test``.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

PACKAGES = ("backend", "dialects", "passes", "sim", "tools")

MODEL = ROOT / "tests" / "data" / "models" / "resnet8_cifar10_int8.onnx"

USE = f"""\
import recon
program = recon.compile({str(MODEL)!r}, 'edge1k', planning=recon.Planning(level=0))
print(recon.__file__)
print(recon.run(program, timing_only=True).statistics.cycles > 0)
"""
"""A user's script; it prints where ``recon`` lies and True."""


def build(folder: Path) -> Path:
    """The wheel, built below the folder."""
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "recon.py", "recon_commands.py"):
        shutil.copy(ROOT / name, source)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = "from setuptools import build_meta; build_meta.build_wheel('.')"
    subprocess.run([sys.executable, "-c", command], cwd=source, capture_output=True, check=True)
    (wheel,) = source.glob("*.whl")
    return wheel


def project(folder: Path) -> Path:
    """A project that has packages of the names that ours have, and a script ``use.py`` that uses recon."""
    for name in ("tools", "sim", "tests"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise AssertionError('nobody asked for this package')\n")
    (folder / "use.py").write_text(USE)
    return folder


def main() -> None:
    """Install and use it; ends with what failed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = build(folder)
        venv.create(folder / "venv", with_pip=True)
        scripts = folder / "venv" / "bin"
        mine = project(folder / "mine")
        for command in (
            [scripts / "python", "-m", "pip", "install", "-qq", wheel],
            [scripts / "recon", "compile", MODEL, "-o", "r.rbin"],
            [scripts / "recon", "run", "r.rbin", "-q"],
            [scripts / "recon-opt", "--version"],
            [scripts / "python", "-P", "use.py"],
        ):
            print("$", *(Path(part).name if isinstance(part, Path) else part for part in command), flush=True)
            subprocess.run(command, cwd=mine, check=True)


if __name__ == "__main__":
    main()
