"""Operators that only the host has, as the cases of ``onnx.backend.test`` say them: right or refused, and counted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.passes.partition.node_cases import REFUSED, RIGHT, UNKNOWN, cases, head, judge, tail

SAMPLE = "gridsample gru hardmax lrn lstm lpnormalization topk".split()
"""Modules of cases that are tried by every run; ``make verify`` tries all of them."""


@pytest.mark.parametrize("module", SAMPLE)
def test_tails_and_heads(tmp_path: Path, module: str) -> None:
    found: dict[str, str] = {}
    for case in cases([module]):
        for kind, make in (("tail", tail), ("head", head)):
            if (made := make(case)) is not None:
                found[f"{case.name} as a {kind}"] = judge(*made, tmp_path)
    assert {name: verdict for name, verdict in found.items() if verdict not in (RIGHT, REFUSED, UNKNOWN)} == {}
    assert Counter(found.values())[RIGHT] > 0
