"""Evaluating single ONNX nodes on constants, for folding; the `onnx` package's reference does the work."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper

from dialects.meaning.arrays import Array


def evaluate_node(node: onnx.NodeProto, inputs: Sequence[Array | None], opsets: dict[str, int]) -> list[Array]:
    """The outputs of one node on these inputs (None where one is left out).

    Raises whatever the reference raises on operators or values it does not support.
    """
    if node.op_type == "ConstantOfShape":
        fill: Array = np.zeros(1, np.float32)
        for attribute in node.attribute:
            if attribute.name == "value":
                fill = onnx.numpy_helper.to_array(attribute.t)
        shape = inputs[0]
        assert shape is not None
        return [np.full(tuple(int(n) for n in shape.reshape(-1)), fill.reshape(-1)[0], fill.dtype)]
    from onnx.reference import ReferenceEvaluator

    graph_inputs = [name for name in node.input if name]
    feeds = {name: value for name, value in zip(node.input, inputs, strict=False) if name and value is not None}
    values = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(feeds[name].dtype), feeds[name].shape)
        for name in dict.fromkeys(graph_inputs)
    ]
    outputs = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
    graph = helper.make_graph([node], "fold", values, outputs)
    imports = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    found = ReferenceEvaluator(helper.make_model(graph, opset_imports=imports)).run(None, feeds)
    return [np.asarray(array) for array in found]
