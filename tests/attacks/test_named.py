"""Of the files that once hung, flooded or crashed a tool a few are refused here; 'make verify' takes all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dialects.recon import LARGEST
from passes.onnx.onnx_file import MOST_ELEMENTS
from passes.onnx.sizes import MOST_COMPUTED, MOST_INDICES, MOST_MADE, MOST_NODES
from sim.machine.description import MOST_CYCLES
from sim.machine.isa import MOST_READ
from tests.attacks.flips import FOUND, HARMLESS, flips
from tests.attacks.named import NAMED, answers
from tests.attacks.processes import Ended, run, tool
from tests.conftest import ROOT
from tools.files.pictures import MOST_PIXELS


@pytest.mark.parametrize("name", ["a text that is a device", "a head 100,000 deep", "a machine without a name"])
def test_a_file_is_refused(name: str) -> None:
    (answer,) = answers([name])
    assert answer.wrong == "", answer.ended
    assert answer.row().startswith(name)


def test_what_is_not_refused_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(_folder: Path) -> list[str]:
        return ["python3", "-c", "raise KeyError('x')"]

    def leave(_folder: Path) -> list[str]:
        return ["python3", "-c", "import sys; open('left', 'w'); sys.exit('error: no')"]

    monkeypatch.setitem(NAMED, "crash", crash)
    monkeypatch.setitem(NAMED, "leave", leave)
    monkeypatch.setitem(NAMED, "good", lambda _folder: [*tool(), "machines"])
    wrong = [answer.wrong for answer in answers(["crash", "leave", "good"])]
    assert wrong[0].startswith("it said ")
    assert wrong[1:] == ["it left left", "it ended with 0"]


def test_a_process_is_measured(tmp_path: Path) -> None:
    ended = run(["python3", "-c", "b = bytearray(200 << 20); print(len(b)); raise SystemExit(3)"], tmp_path)
    assert isinstance(ended, Ended)
    assert (ended.code, ended.out, ended.err) == (3, f"{200 << 20}\n", "")
    assert 200 << 20 < ended.bytes < 300 << 20


def test_a_process_does_not_count_the_memory_of_this_one(tmp_path: Path) -> None:
    here = bytearray(b"1") * (400 << 20)
    ended = run(["python3", "-c", "print(1)"], tmp_path)
    assert 100 << 20 > ended.bytes > 0
    assert len(here) == 400 << 20
    assert list(tmp_path.iterdir()) == []


def test_flipped_bits() -> None:
    for found in flips(150, 3).values():
        assert found[FOUND] + found[HARMLESS] == 150
        assert found[FOUND] > 100


def test_the_limits_are_those_of_the_page() -> None:
    page = (ROOT / "docs" / "trust.md").read_text()
    rows = page.split("## What a file may ask for")[1].split("\n## ")[0]
    stated = [number for row in rows.splitlines() if row.startswith("| ") for number in row.split("|")[2].split(";")]
    assert [number.strip() for number in stated[1:]] == [
        f"{limit:,}"
        for limit in (
            MOST_NODES, MOST_MADE, MOST_COMPUTED, MOST_INDICES, MOST_ELEMENTS, LARGEST, MOST_READ, MOST_PIXELS,
            MOST_PIXELS // 2, MOST_PIXELS // 4, MOST_CYCLES,
        )
    ]  # fmt: skip
