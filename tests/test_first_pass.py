"""docs/first-pass.md, followed to the letter in a copy of the project: its files, its line, its commands, in order."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "first-pass.md").read_text()
NEEDED = ("backend", "dialects", "examples", "passes", "sim", "tools", "tests/filecheck", "recon.py")

_BLOCK = re.compile(r"(?:(?:^`|^In `)(?P<path>[\w./]+)`[^\n]*\n\n)?^```(?P<kind>\w+)\n(?P<body>.*?)^```$", re.M | re.S)
STEPS = [(found["kind"], found["path"], found["body"]) for found in _BLOCK.finditer(PAGE)]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a pass needs of the project, in a folder of its own."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in NEEDED:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target)  # with its compiled files: they save seconds
        else:
            shutil.copy(source, target)
    return folder


def run(command: str, folder: Path) -> list[str]:
    """The lines that a command prints, errors last."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ended = subprocess.run(
        ["sh", "-c", command],
        capture_output=True, text=True, check=False, cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(folder)},
    )  # fmt: skip
    return [*ended.stdout.splitlines(), *ended.stderr.splitlines()]


def test_the_page_has_three_places_and_its_commands() -> None:
    assert [path for _, path, _ in STEPS if path] == [
        "tests/filecheck/cnn/drop_reshape.mlir", "passes/cnn/drop_reshape.py", "passes/pipeline.py"]  # fmt: skip
    assert [body.split("\n")[0] for kind, _, body in STEPS if kind == "console"] != []


def test_followed_to_the_letter(copy: Path) -> None:
    for kind, path, body in STEPS:
        if kind == "console":
            (command, *shown) = body.removeprefix("$ ").splitlines()
            printed = run(command, copy)
            whole = command.startswith("recon-opt")
            assert (printed if whole else [line for line in printed if line in shown]) == shown, printed
        elif path == "passes/pipeline.py":
            text = (copy / path).read_text()
            before = '    Entry("cnn", "passes.cnn.legalize", check=True),\n'
            assert before in text
            (copy / path).write_text(text.replace(before, body + before))
        else:
            assert path is not None
            assert not (copy / path).exists()
            (copy / path).write_text(body)


def test_its_files_are_in_the_form_that_the_linter_wants(copy: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", copy)
    assert run("ruff check passes/cnn/drop_reshape.py && ruff format --check passes/cnn/drop_reshape.py", copy) == [
        "All checks passed!", "1 file already formatted"]  # fmt: skip
