"""Constants brought into a form in which ONNX Runtime's quantiser does not trip over them.

It counts the elements of a bias along its first axis, and ONNX Runtime's optimiser leaves biases of shape 1xN behind
matrix products. A bias of two layers it copies under a name that another tensor may have already. And to weights of
a transposed convolution in groups it gives a scale per column of one group, where the bias has one per channel of all.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

LAYERS = ("Conv", "ConvTranspose", "Gemm")
"""Operators whose third operand is a bias."""


def own_biases(model: onnx.ModelProto) -> None:
    """Give every layer a bias of its own with one axis, in place."""
    graph = model.graph
    constants = {item.name: item for item in graph.initializer}
    uses = Counter(name for node in graph.node for name in node.input)
    taken = {*constants, *uses, *(name for node in graph.node for name in node.output)}
    for node in graph.node:
        if node.op_type not in LAYERS or len(node.input) < 3 or node.input[2] not in constants:
            continue
        bias = constants[node.input[2]]
        columns = len(bias.dims) == 2 and bias.dims[0] == 1
        if not columns and uses[bias.name] < 2:
            continue
        name = f"{node.name}_bias"
        while name in taken:
            name += "_"
        taken.add(name)
        array = numpy_helper.to_array(bias)
        graph.initializer.append(numpy_helper.from_array(array.reshape(-1) if columns else np.array(array), name))
        uses[bias.name] -= 1
        node.input[2] = name
    left = [item for item in graph.initializer if uses[item.name] or item.name not in constants]
    del graph.initializer[:]
    graph.initializer.extend(left)


def one_scale_each(model: onnx.ModelProto, kind: Any) -> dict[str, list[dict[str, Any]]]:
    """The quantiser's overrides for weights that have to have one scale although the others have one per channel."""
    found: dict[str, list[dict[str, Any]]] = {}
    for node in model.graph.node:
        groups = next((each.i for each in node.attribute if each.name == "group"), 1)
        if node.op_type == "ConvTranspose" and groups > 1:
            found[node.input[1]] = [{"quant_type": kind, "symmetric": True}]
    return found
