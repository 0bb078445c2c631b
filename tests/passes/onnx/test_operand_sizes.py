"""Operands of a length that does not fit are refused when the model is read, in the words of the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from passes.common.problems import ModelError
from passes.onnx.import_onnx import import_model
from passes.onnx.operand_sizes import RULES


def ones(*shape: int, kind: type = np.float32) -> Any:
    return np.ones(shape, kind)


HELP = "here; the file is damaged, or its exporter has to be mended."

WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("Conv", {"w": ones(4, 3, 3, 3), "b": ones(7)}, "Its bias 'b' has 7 elements, and Conv needs 4"),
    ("ConvTranspose", {"w": ones(3, 4, 3, 3), "b": ones(0)}, "Its bias 'b' has 0 elements, and ConvTranspose needs 4"),
    ("Clip", {"lo": ones(0), "hi": ones()}, "Its lower bound 'lo' has 0 elements, and Clip needs 1"),
    ("Clip", {"lo": ones(), "hi": ones(2)}, "Its upper bound 'hi' has 2 elements, and Clip needs 1"),
    ("InstanceNormalization", {"s": ones(3), "b": ones(1)},
     "Its bias 'b' has 1 element, and InstanceNormalization needs 3"),
    ("QuantizeLinear", {"s": ones(5), "z": ones(5, kind=np.int8)},
     "Its scale 's' has 5 elements, and QuantizeLinear needs 3"),
    ("QuantizeLinear", {"s": ones(), "z": ones(4, kind=np.int8)},
     "Its zero point 'z' has 4 elements, and QuantizeLinear needs 1"),
]  # fmt: skip

RIGHT: list[tuple[str, dict[str, Any]]] = [
    ("Conv", {"w": ones(4, 3, 3, 3), "b": ones(4)}),
    ("ConvTranspose", {"w": ones(3, 4, 3, 3), "b": ones(4)}),
    ("Clip", {"lo": ones(), "hi": ones() * 2}),
    ("InstanceNormalization", {"s": ones(3), "b": ones(3)}),
    ("QuantizeLinear", {"s": ones(3), "z": ones(3, kind=np.int8)}),
    ("QuantizeLinear", {"s": ones(1), "z": ones(1, kind=np.int8)}),
]


def model(operator: str, constants: dict[str, Any]) -> bytes:
    made = TensorProto.INT8 if operator == "QuantizeLinear" else TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", *constants], ["y"], name="n")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", made, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


@pytest.mark.parametrize(("operator", "constants", "said"), WRONG, ids=[said for _, _, said in WRONG])
def test_wrong_lengths(operator: str, constants: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError) as caught:
        import_model(model(operator, constants), None, "m.onnx")
    assert str(caught.value) == f"m.onnx: n: {said} {HELP}"


@pytest.mark.parametrize(("operator", "constants"), RIGHT)
def test_right_lengths(operator: str, constants: dict[str, Any]) -> None:
    import_model(model(operator, constants), None, "m.onnx")


def test_every_rule_has_a_case() -> None:
    assert {operator for operator, _, _ in WRONG} | {"DequantizeLinear"} == set(RULES)
