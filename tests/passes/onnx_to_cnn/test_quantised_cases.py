"""The node cases of the ``onnx`` package, quantised: none is wrong, and what is refused is listed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from tests.passes.onnx_to_cnn import quantised_cases
from tests.passes.onnx_to_cnn.quantised_cases import HOST, MACHINE, REFUSED, UNKNOWN, judge, table

REFUSED_CASES: dict[str, str] = {}
"""Cases that are refused, and why; the list may only shrink."""


def test_no_case_is_wrong() -> None:
    """Of every third; ``make verify`` takes all of them."""
    found = {case.name: judge(case) for case in list(quantised_cases.quantised_cases())[::3]}
    assert {name for name, verdict in found.items() if verdict == REFUSED} <= set(REFUSED_CASES)
    counts = Counter(found.values())
    assert counts[UNKNOWN] <= 10
    assert counts[MACHINE] > counts[HOST]
    assert {name: verdict for name, verdict in found.items() if len(verdict.split()) > 1} == {}


def test_a_wrong_code_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    case = next(each for each in quantised_cases.quantised_cases() if each.operator == "Add")
    original = quantised_cases.evaluate

    def off(*given: Any) -> dict[str, Any]:
        return {name: (codes.astype(np.int64) + 2) % 256 - 128 for name, codes in original(*given).items()}

    monkeypatch.setattr(quantised_cases, "evaluate", off)
    assert judge(case).startswith("int64 ")
    monkeypatch.setattr(quantised_cases, "evaluate", lambda *given: {
        name: (codes ^ 2) for name, codes in original(*given).items()})  # fmt: skip
    assert judge(case).startswith("off by 2 in ")


def test_the_table_counts() -> None:
    text = table([("a", "Conv", MACHINE), ("b", "Conv", "off by 2 in 3%"), ("c", "Add", REFUSED)])
    assert [line.split() for line in text.splitlines()] == [
        ["operator", "machine", "host", "refused", "unknown", "wrong"],
        ["Add", "-", "-", "1", "-", "-"],
        ["Conv", "1", "-", "-", "-", "1"],
        ["all", "1", "0", "1", "0", "1"],
    ]
