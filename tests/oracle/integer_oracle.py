"""Runs a quantised .onnx with the integer arithmetic of docs/arithmetic.md, from nothing but the file.

The graph is read in order. DequantizeLinear opens a value that still owes its arithmetic (`values.py`), float operators
add to the debt, QuantizeLinear settles it under its scale and zero point. So a group DQ -> operators -> Q of any shape
is one law, and a group without a law is refused by name. `onnx` serves only to parse the protobuf.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from . import laws
from .blends import Blends
from .core import CODE_TYPES
from .functions import BINARY, unary_function
from .heard import Heard
from .movement import SINGLE_INPUT, Array, integers, moves
from .operator_form import OperatorForm
from .values import (
    Known,
    Table,
    Value,
    as_float,
    moved,
)


def run_integer(model: str | Path | onnx.ModelProto, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """The model's outputs by name, computed by the integer laws. `inputs` have the model's own types and shapes."""
    return Interpreter(model, inputs).results()


def run_integer_all(model: str | Path | onnx.ModelProto, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Every 8-bit tensor that depends on the inputs, by its ONNX name, together with the model's outputs."""
    interpreter = Interpreter(model, inputs)
    tensors = {
        name: value.array
        for name, value in interpreter.values.items()
        if isinstance(value, Known) and not value.constant and value.array.dtype in CODE_TYPES
    }
    return tensors | interpreter.results()


class Interpreter(OperatorForm, Blends):
    """One evaluation of one graph; `values` maps ONNX tensor names to what is known of them."""

    def __init__(self, model: str | Path | onnx.ModelProto, inputs: Mapping[str, Array]) -> None:
        proto = model if isinstance(model, onnx.ModelProto) else onnx.load(str(model))
        self.graph = proto.graph
        self.opset = max((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), default=13)
        self.values: dict[str, Value] = {
            tensor.name: Known(numpy_helper.to_array(tensor), constant=True) for tensor in self.graph.initializer
        }
        for entry in self.graph.input:
            if entry.name in inputs:
                self.values[entry.name] = Known(np.asarray(inputs[entry.name]))
            elif entry.name not in self.values:
                raise KeyError(f"The model's input {entry.name!r} was not given.")
        self.heard: list[tuple[onnx.NodeProto, Heard]] = []
        for node in self.graph.node:
            self.node = node
            self.attributes = Heard(node)
            self.heard.append((node, self.attributes))
            results = self.evaluate()
            for name, value in zip(node.output, results, strict=False):
                if name:
                    self.values[name] = value

    def results(self) -> dict[str, Array]:
        """The graph's outputs by name, once every node has been heard out."""
        found = {output.name: as_float(self.values[output.name]) for output in self.graph.output}
        for node, attributes in self.heard:
            self.node = node
            if (name := attributes.unheard(node, self.opset)) is not None:
                raise self.unsupported(f"its attribute {name!r} has no law")
        return found

    def evaluate(self) -> list[Value]:
        """Values of all outputs of the current node."""
        op_type = self.node.op_type
        if op_type == "Resize" and self.attributes.get("mode", b"nearest") == b"linear":
            return [self.blended()]
        if op_type in SINGLE_INPUT:
            return self.movement()
        handler: Callable[[], Value] | None = getattr(self, "op_" + op_type, None)
        if handler is not None:
            return [handler()]
        if op_type in BINARY:
            result = self.needed(0)
            for position in range(1, len(self.node.input)):  # Min and Max take any number
                result = self.binary(op_type, result, self.needed(position))
            return [result]
        function = unary_function(op_type, self.attributes)
        if function is not None:
            return [self.unary(function, self.needed(0))]
        raise self.unsupported("this operator has no law")

    def movement(self) -> list[Value]:
        constants = [self.array(position) for position in range(1, len(self.node.input))]
        outputs = len(self.node.output)
        value = self.needed(0)
        if self.node.op_type == "Gather" and isinstance(value, Known) and value.constant:
            table, indices = self.needed(0), self.needed(1)
            axis = int(self.attributes.get("axis", 0))
            taken = np.take(as_float(table), as_float(indices), axis=axis)
            return [Known(taken, isinstance(indices, Known) and indices.constant)]
        try:
            return [
                moved(value, move) for move in moves(self.node.op_type, self.attributes, constants, outputs, self.opset)
            ]
        except ValueError as error:
            raise self.unsupported(str(error).rstrip(".")) from error

    # ---- host and shapes

    def op_Softmax(self) -> Value:
        value = self.array(0)
        assert value is not None
        axis = int(self.attributes.get("axis", -1 if self.opset >= 13 else 1))
        if self.opset < 13:
            rows = value.reshape(math.prod(value.shape[: axis % value.ndim]), -1)
            return Known(laws.softmax(rows, -1).reshape(value.shape))
        return Known(laws.softmax(value, axis))

    def op_Constant(self) -> Value:
        for name in self.attributes:
            given = self.attributes[name]
            if name == "value":
                return Known(numpy_helper.to_array(given), constant=True)
            kind = np.float32 if "float" in name else np.int64
            return Known(np.asarray(given, kind), constant=True)
        raise self.unsupported("it holds nothing")

    def op_ConstantOfShape(self) -> Value:
        given = self.attributes.get("value")
        fill = np.zeros(1, np.float32) if given is None else numpy_helper.to_array(given)
        shape = self.array(0)
        assert shape is not None
        return Known(np.full(integers(shape), fill.ravel()[0]), constant=True)

    def op_Shape(self) -> Value:
        value = self.needed(0)
        shape = value.codes.shape if isinstance(value, Table) else as_float(value).shape
        return Known(
            np.asarray(shape, np.int64)[self.attributes.get("start", 0) : self.attributes.get("end")], constant=True
        )

    def op_Cast(self) -> Value:
        value = self.needed(0)
        dtype = onnx.helper.tensor_dtype_to_np_dtype(int(self.attributes["to"]))
        if dtype.itemsize < 2 and dtype.name not in ("int8", "uint8", "bool"):
            raise self.unsupported(f"a cast to {dtype.name}, which saturates or not, has no law")
        if isinstance(value, Known):
            return Known(value.array.astype(dtype), value.constant)
        if dtype == np.float32:
            return value
        with np.errstate(over="ignore"):
            return Known(as_float(value).astype(dtype))

    def op_ArgMax(self) -> Value:
        value = self.array(0)
        assert value is not None
        axis, keep = int(self.attributes.get("axis", 0)), bool(self.attributes.get("keepdims", 1))
        best = np.argmax(value, axis=axis)
        return Known(np.expand_dims(best, axis) if keep else best)
