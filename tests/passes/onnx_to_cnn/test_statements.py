"""Nothing that ONNX's schemas let a node of our operators say is read past in silence."""

from __future__ import annotations

import pytest

from passes.common.statements import STATEMENTS
from tests.passes.onnx_to_cnn.statement_cases import ALONE, base_of, judge, model_of, variants


@pytest.mark.parametrize("op", sorted(set(STATEMENTS) - set(ALONE)))
def test_operator(op: str) -> None:
    verdicts = {said: judge(*model_of(op, node)) for kind, said, node in variants() if kind == op}
    plain = judge(*model_of(op, base_of(op)))
    assert plain == "right", plain
    wrong = {said: verdict for said, verdict in verdicts.items() if verdict not in ("right", "refused", "unknown")}
    assert not wrong
