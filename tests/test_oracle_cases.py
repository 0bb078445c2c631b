"""The oracle is checked too: on every node case of ``onnx.backend.test`` it is right, or says that it has no law."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from tests.oracle import UnsupportedModelError, run_integer

LEAST_RIGHT = 400
"""Cases that the oracle decides: a bound from below, so that a law that is lost is noticed."""

COARSE = {"bfloat16": 1e-2, "float16": 2e-3}
"""Relative steps of the short floats."""


def cases() -> list[Any]:
    from onnx.backend.test.case import node

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = node.collect_testcases("")
    return sorted({case.name: case for case in found if case.model is not None}.values(), key=lambda case: case.name)


def plain(value: Any) -> np.ndarray | None:
    """A case's value as an array; None for sequences and optional values."""
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    return np.asarray(value) if isinstance(value, np.ndarray | np.generic) else None


def verdict(case: Any) -> str:
    """``right``, ``no law``, ``no tensors``, or what is wrong."""
    given, wanted = case.data_sets[0]
    inputs = {info.name: plain(value) for info, value in zip(case.model.graph.input, given, strict=False)}
    expected = [plain(value) for value in wanted]
    if any(value is None for value in (*inputs.values(), *expected)):
        return "no tensors"
    try:
        found = run_integer(case.model, {name: value for name, value in inputs.items() if value is not None})
    except UnsupportedModelError:
        return "no law"
    for (name, got), value in zip(found.items(), expected, strict=True):
        assert value is not None
        step = COARSE.get(value.dtype.name, 1e-4)  # some cases are written with four decimals
        if got.shape != value.shape:
            return f"{case.name}: {name} is {got.shape}, not {value.shape}"
        if not np.allclose(got.astype(np.float64), value.astype(np.float64), rtol=step, atol=step, equal_nan=True):
            return f"{case.name}: {name} differs"
    return "right"


def test_no_node_case_is_wrong() -> None:
    verdicts = Counter(verdict(case) for case in cases())
    known = {name: verdicts.pop(name, 0) for name in ("right", "no law", "no tensors")}
    assert dict(verdicts) == {}, known
    assert known["right"] >= LEAST_RIGHT
