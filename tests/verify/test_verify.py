"""The short form of ``make verify``, and that its parts notice what is wrong."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from passes.tile_to_accel.convert_tile_to_accel import ConvertTileToAccelPass
from tests.verify import checks
from tests.verify.__main__ import main
from tests.verify.lengths import LENGTHS
from tests.verify.tally import Tally

SHORT = LENGTHS["short"]


def quiet(_what: str) -> None:
    pass


@pytest.mark.parametrize("part", checks.PARTS)
def test_short_form(part: Any) -> None:
    tally = Tally()
    part(SHORT, tally, quiet)
    assert tally.failures == []
    assert (tally.agreeing, tally.timed, tally.alike) == (tally.random, tally.compiled, tally.surroundings)
    assert tally.caught == tally.harmful
    assert tally.graphs_equal == tally.graphs
    assert tally.named_refused == tally.named
    assert any(count.strip("0 /of") for _, count in tally.rows())


def test_every_row_is_filled(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The command prints the table; here its parts only count."""

    def part(_length: object, tally: Tally, _say: object) -> None:
        for entry in dataclasses.fields(tally):
            if entry.name not in ("failures", "tables"):
                setattr(tally, entry.name, 1)

    monkeypatch.setattr("tests.verify.__main__.PARTS", (part,))
    assert main(["--length", "short", "--seed", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.rsplit("  ", 1)[1].strip() for line in lines[3:]] == (
        ["1"] * 7
        + ["1 / 1"] * 2
        + ["1 of 1"]
        + ["1 / 1"]
        + ["1 / 1 of 1"] * 2
        + ["1 of 1"] * 4
        + ["1"]
        + ["1 / 1 of 1"] * 2
        + ["1"]
        + ["0"]
    )


def test_a_failure_is_an_exit_status(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def part(_length: object, tally: Tally, _say: object) -> None:
        tally.failures.append("Something is wrong.")

    monkeypatch.setattr("tests.verify.__main__.PARTS", (part,))
    assert main(["--length", "short"]) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1].split() == ["failures", "1"]
    assert printed.err.splitlines()[0] == "failure: Something is wrong."


def test_a_broken_pass_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    original = ConvertTileToAccelPass.apply

    def apply(self: ConvertTileToAccelPass, ctx: Any, op: Any) -> None:
        from dialects import tile

        for inner in op.walk():
            if isinstance(inner, tile.ConvOp) and inner.requantize is not None:
                law = dataclasses.replace(inner.requantize.data, zero=inner.requantize.data.zero ^ 1)
                inner.properties["requantize"] = tile.RequantizeAttr(law)
                break
        original(self, ctx, op)

    monkeypatch.setattr(ConvertTileToAccelPass, "apply", apply)
    tally = Tally()
    checks.models(dataclasses.replace(SHORT, models=("resnet8_cifar10_int8",), inputs=1), tally, quiet)
    (failure,) = tally.failures
    assert failure.startswith(
        "resnet8_cifar10_int8 on edge4k: convert-tile-to-accel changed an answer on input 0 (random codes): "
        "layer 'conv2d' (tile.conv → accel.conv, instruction "
    )


def test_other_bytes_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    found = iter([{"model": {"program": "a", "cycles": 1}}, {"model": {"program": "b", "cycles": 1}}, "it died"])

    def in_process(_length: object, _settings: object) -> Any:
        return next(found)

    monkeypatch.setattr(checks, "_in_process", in_process)
    tally = Tally()
    checks.determinism(SHORT, tally, quiet)
    names = [name for name, _ in checks.surroundings()]
    assert tally.failures == [
        f"With {names[1]} this differs from the first process: model: program.",
        f"With {names[2]} the process failed: it died.",
    ]
