"""Shell completion: what the shells ask is answered with this installation's options, passes, levels and machines."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from passes.pipeline import PIPELINE
from sim.machine.description import names
from tests.conftest import ROOT, Tool


def asked(tool: str, entry: str, **surroundings: str) -> list[str]:
    ended = subprocess.run(
        [sys.executable, "-c", f"import sys, recon; sys.argv = ['{tool}']; recon.{entry}()"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **surroundings},
    )
    return ended.stdout.split("\n")


def of_recon(words: str) -> list[str]:
    """What bash gets for the last of these words, by the protocol of Typer."""
    count = len(words.split(" ")) - 1
    return [
        w for w in asked("recon", "main", _RECON_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(count)) if w
    ]


def of_recon_opt(words: str, tmp_path: Path) -> list[str]:
    """What bash gets for the last of these words, by the protocol of argcomplete."""
    answer = tmp_path / "answer"
    asked("recon-opt", "opt", _ARGCOMPLETE="1", _ARGCOMPLETE_IFS="\n", _ARGCOMPLETE_STDOUT_FILENAME=str(answer),
          COMP_LINE=words, COMP_POINT=str(len(words)))  # fmt: skip
    return [word.strip() for word in answer.read_text().split("\n")]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("recon comp", ["compile", "compare"]),
        ("recon compile --no", ["--no-host"]),
        ("recon compile x.onnx --machine edge4k-", ["edge4k-fixed", "edge4k-real"]),
    ],
)
def test_recon(words: str, wanted: list[str]) -> None:
    assert of_recon(words) == wanted


def test_recon_opt(tmp_path: Path) -> None:
    assert of_recon_opt("recon-opt --print-ir-be", tmp_path) == ["--print-ir-before", "--print-ir-before-all"]
    assert of_recon_opt("recon-opt x.mlir --to ", tmp_path) == ["onnx", "cnn", "tile", "accel"]
    assert of_recon_opt("recon-opt x.mlir --machine ", tmp_path) == list(names())
    offered = of_recon_opt("recon-opt x.mlir -p cse,fold-", tmp_path)
    ours = [f"cse,{entry.name}" for entry in PIPELINE if entry.name.startswith("fold-")]
    assert set(ours) <= set(offered)
    assert all(word.startswith("cse,fold-") for word in offered)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_goes_into_the_profile(recon_opt: Tool, shell: str) -> None:
    shown = recon_opt("--show-completion", shell)
    assert (shown.code, shown.err) == (0, "")
    assert "recon-opt" in shown.out
    assert "_ARGCOMPLETE" in shown.out


def test_bash_reads_it(recon_opt: Tool, tmp_path: Path) -> None:
    (tmp_path / "profile").write_text(recon_opt("--show-completion", "bash").out)
    ended = subprocess.run(
        ["bash", "-c", f"source {tmp_path / 'profile'}; complete -p recon-opt"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "recon-opt" in ended.stdout
