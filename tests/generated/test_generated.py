"""A few dozen models made at random, compiled, simulated and compared; ``python -m tests.generated`` makes more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest

from tests.generated import judge as judging
from tests.generated.judge import EQUAL, hunt

CASES = 40


def test_models_at_random(tmp_path: Path) -> None:
    verdicts = hunt(CASES, 1, tmp_path)
    assert verdicts.total() >= CASES
    assert verdicts[EQUAL] > 0.8 * verdicts.total()


def test_a_failure_shrinks_and_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an oracle that is wrong on every Relu the smallest model with one is left behind."""
    original = judging.run_integer

    def wrong(model: onnx.ModelProto, feeds: Any) -> dict[str, Any]:
        found = original(model, feeds)
        if any(node.op_type == "Relu" for node in model.graph.node):
            found = {name: value + 1 for name, value in found.items()}
        return found

    monkeypatch.setattr(judging, "run_integer", wrong)
    monkeypatch.setattr(judging, "ROOT", tmp_path)
    monkeypatch.setattr(judging, "FAILING", tmp_path / "failing.onnx")
    with pytest.raises(AssertionError, match=r"^failing\.onnx: .* differs in "):
        hunt(50, 1, tmp_path)
    kinds = [node.op_type for node in onnx.load(tmp_path / "failing.onnx").graph.node]
    assert kinds.count("Relu") == 1
    assert len([kind for kind in kinds if "Linear" not in kind]) <= 2
    assert (tmp_path / "failing.npz").is_file()
