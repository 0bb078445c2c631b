"""A graph that is being rewritten on the protobuf: its constants at hand, fresh names, nodes in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from passes.common.problems import Problems
from passes.onnx.onnx_file import ModelFile

Array = npt.NDArray[np.generic]


@dataclass
class Graph:
    """The graph being rewritten, with fresh names and the values of its constants."""

    model: ModelFile
    problems: Problems
    nodes: list[onnx.NodeProto] = field(default_factory=list[onnx.NodeProto])
    ranks: dict[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    count: int = 0

    def __post_init__(self) -> None:
        self.initialisers = {tensor.name: tensor for tensor in self.model.proto.graph.initializer}
        self.constants = {
            node.output[0]: node.attribute[0].t
            for node in self.model.proto.graph.node
            if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value"
        }

    def value(self, name: str) -> Array | None:
        """A constant's values, or None for what is computed."""
        if name in self.model.large:
            tensor = self.initialisers[name]
            dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
            return np.frombuffer(self.model.large[name], dtype).reshape(tuple(tensor.dims))
        tensor = self.initialisers.get(name) or self.constants.get(name)
        return numpy_helper.to_array(tensor) if tensor is not None else None

    def fresh(self, stem: str) -> str:
        self.count += 1
        return f"{stem}__{self.count}"

    def constant(self, stem: str, values: npt.ArrayLike) -> str:
        """A new initialiser."""
        name = self.fresh(stem)
        self.model.proto.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
        self.initialisers[name] = self.model.proto.graph.initializer[-1]
        return name

    def add(self, op: str, inputs: Sequence[str], output: str | None = None, name: str = "",
            **attributes: Any) -> str:  # fmt: skip
        """Append a node with one output; returns the output's name."""
        result = output or self.fresh(op)
        self.nodes.append(helper.make_node(op, list(inputs), [result], name=name, **attributes))
        return result
