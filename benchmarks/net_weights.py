"""Seeded weight values for light models (those whose weights are `ConstantOfShape` nodes).

The values are normal deviates with He's variance (He et al., ICCV 2015): 2 / fan-in behind a rectifier, 1 / fan-in
elsewhere. A convolution that closes a residual branch is quartered, so that the trunk does not grow at every block;
where the shortcut is a convolution too, both are divided by the square root of two.
Every float32 parameter is drawn, also those a light model does carry: the trained BatchNorm statistics in the wheel's
files belong to weights that are not there.

Decision: the deviates come from a table of 65536 normal quantiles indexed by the raw stream of PCG64, because numpy
keeps that stream fixed between versions and promises nothing for `Generator.standard_normal`, and because the table
needs no floating-point library call per value. The same names give the same bytes on every machine.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import prod, sqrt
from pathlib import Path
from statistics import NormalDist

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

_LEVELS = 65536
_CHUNK = 1 << 18  # values drawn at a time (1 MiB): stays in cache; a multiple of 4, the values in one raw word
_SPREAD = 0.1  # standard deviation of biases and of what BatchNorm does to a channel
_RESIDUAL_GAIN = 0.25

_RECTIFIERS = {"Relu", "LeakyRelu", "Clip"}
# What keeps its operand's sign distribution, for finding the rectifier in front of a convolution.
_TRANSPARENT = {
    *("Add", "AveragePool", "Concat", "Dropout", "Flatten", "GlobalAveragePool", "LRN", "MaxPool", "Reshape"),
    *("Resize", "Sum", "Transpose"),
}
# What may stand between a branch's last convolution and the residual sum.
_CLOSING = {"BatchNormalization", "LeakyRelu", "Mul", "Add"}


@dataclass(frozen=True)
class Parameter:
    """One float32 parameter: its name and shape in the file, and the distribution it is drawn from."""

    name: str
    shape: tuple[int, ...]
    mean: float
    std: float
    counted: bool = True
    """False for running statistics, which published parameter counts leave out."""

    @property
    def size(self) -> int:
        """Elements."""
        return prod(self.shape)

    def chunks(self, seed: str) -> Iterator[bytes]:
        """The values as little-endian float32 bytes, piece by piece; `seed` names the network."""
        digest = hashlib.sha256(f"{seed}/{self.name}".encode()).digest()
        stream = np.random.PCG64(int.from_bytes(digest[:16], "little"))
        table = (_quantiles() * np.float32(self.std) + np.float32(self.mean)).astype("<f4")
        for start in range(0, self.size, _CHUNK):
            count = min(_CHUNK, self.size - start)
            words: NDArray[np.uint64] = stream.random_raw(-(-count // 4))
            yield table[words.astype("<u8", copy=False).view("<u2")[:count]].tobytes()


@cache
def _quantiles() -> NDArray[np.float32]:
    """The normal distribution cut into equally likely steps: float32 [65536], ascending, symmetric, variance 1.

    Rounded to multiples of 2**-16, far coarser than what logarithms of different C libraries differ by.
    """
    normal = NormalDist()
    upper = np.array([normal.inv_cdf((index + 0.5) / _LEVELS) for index in range(_LEVELS // 2, _LEVELS)])
    upper = np.round(upper * _LEVELS) / _LEVELS
    return np.concatenate([-upper[::-1], upper]).astype(np.float32)


def parameters(model: onnx.ModelProto) -> list[Parameter]:
    """The float32 parameters that Conv, Gemm, MatMul, BatchNormalization, Mul and Add read, in graph order.

    Whether they are initialisers or `ConstantOfShape` nodes, and also through Reshape and Unsqueeze.
    """
    return list(_Reader(model).read().values())


def count_parameters(model: onnx.ModelProto) -> int:
    """Elements of all parameters, without BatchNorm's running mean and variance."""
    return sum(parameter.size for parameter in parameters(model) if parameter.counted)


class _Reader:
    """Finds each parameter's role, and from it the distribution."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes = list(model.graph.node)
        self.producer = {name: node for node in self.nodes for name in node.output}
        self.consumers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                self.consumers.setdefault(name, []).append(node)
        self.sources: dict[str, tuple[str, tuple[int, ...]]] = {}
        """Tensor that holds a parameter, perhaps reshaped -> the parameter's own name and shape."""
        integers: dict[str, tuple[int, ...]] = {}
        for tensor in model.graph.initializer:
            if tensor.data_type == TensorProto.FLOAT:
                self.sources[tensor.name] = tensor.name, tuple(tensor.dims)
            elif tensor.data_type == TensorProto.INT64:
                integers[tensor.name] = tuple(int(v) for v in numpy_helper.to_array(tensor).ravel())
        for node in self.nodes:
            if node.op_type == "ConstantOfShape" and node.input[0] in integers:
                self.sources[node.output[0]] = node.output[0], integers[node.input[0]]
            elif node.op_type in ("Reshape", "Unsqueeze") and node.input[0] in self.sources:
                self.sources[node.output[0]] = self.sources[node.input[0]]

    def read(self) -> dict[str, Parameter]:
        found: dict[str, Parameter] = {}
        for node in self.nodes:
            for slot, tensor in enumerate(node.input):
                if tensor in self.sources:
                    parameter = self._role(node, slot, *self.sources[tensor])
                    if parameter is not None:
                        found.setdefault(parameter.name, parameter)
        return found

    def _role(self, node: onnx.NodeProto, slot: int, name: str, shape: tuple[int, ...]) -> Parameter | None:
        match node.op_type, slot:
            case ("Conv", 1):
                return self._weight(node, name, shape, prod(shape[1:]))
            case ("Gemm" | "MatMul", 1):
                transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
                return self._weight(node, name, shape, shape[-1] if transposed else shape[-2])
            case ("ConvTranspose", 1):
                return self._weight(node, name, shape, shape[0] * prod(shape[2:]))
            case ("Conv" | "Gemm" | "ConvTranspose", 2):
                return Parameter(name, shape, 0.0, _SPREAD)
            case ("BatchNormalization", 1 | 4):
                return Parameter(name, shape, 1.0, _SPREAD, counted=slot == 1)
            case ("BatchNormalization", 2 | 3):
                return Parameter(name, shape, 0.0, _SPREAD, counted=slot == 2)
            case ("Mul" | "Add", _) if shape:
                return Parameter(name, shape, 1.0 if node.op_type == "Mul" else 0.0, _SPREAD)
            case _:
                return None

    def _weight(self, node: onnx.NodeProto, name: str, shape: tuple[int, ...], fan_in: int) -> Parameter:
        variance = (2 if self._rectified(node.input[0]) else 1) / fan_in
        return Parameter(name, shape, 0.0, self._gain(node) * sqrt(variance))

    def _rectified(self, tensor: str) -> bool:
        """Whether the activation comes from a rectifier, following first operands back."""
        while (node := self.producer.get(tensor)) is not None:
            if node.op_type in _RECTIFIERS:
                return True
            if node.op_type not in _TRANSPARENT:
                return False
            tensor = node.input[0]
        return False

    def _gain(self, node: onnx.NodeProto) -> float:
        """Less than 1 where the result ends in a sum of activations, with only scaling or LeakyRelu in between."""
        while len(readers := self.consumers.get(node.output[0], [])) == 1:
            node = readers[0]
            if self._sums_activations(node):
                return sqrt(0.5) if all(map(self._ends_branch, node.input)) else _RESIDUAL_GAIN
            if node.op_type not in _CLOSING:
                break
        return 1.0

    def _sums_activations(self, node: onnx.NodeProto) -> bool:
        return node.op_type in ("Add", "Sum") and not any(name in self.sources for name in node.input)

    def _ends_branch(self, tensor: str) -> bool:
        """Whether a convolution made the tensor, again with only scaling or LeakyRelu in between, for one reader."""
        while len(self.consumers[tensor]) == 1 and (node := self.producer.get(tensor)) is not None:
            if node.op_type not in _CLOSING or self._sums_activations(node):
                return node.op_type == "Conv"
            tensor = node.input[0]
        return False


def materialise(model: onnx.ModelProto, seed: str) -> onnx.ModelProto:
    """A copy of a light model with drawn values as initialisers (raw_data); `seed` names the network."""
    bare, wanted = _strip(model)
    for parameter in wanted:
        tensor = bare.graph.initializer.add()
        tensor.CopyFrom(_header(parameter))
        # A BytesIO of the final size hands its buffer over without a copy, which for VGG-19 is seconds.
        buffer = io.BytesIO()
        buffer.seek(4 * parameter.size - 1)
        buffer.write(b"\0")
        buffer.seek(0)
        for chunk in parameter.chunks(seed):
            buffer.write(chunk)
        tensor.raw_data = buffer.getvalue()
    return bare


def write(model: onnx.ModelProto, seed: str, path: Path) -> None:
    """Write `materialise(model, seed)` to a file, atomically and in constant memory.

    The file is an ordinary ModelProto: the protobuf lengths are known beforehand, so weights go straight to disk.
    Raises ValueError when the file would pass protobuf's 2 GiB.
    """
    bare, wanted = _strip(model)
    graph = bare.graph.SerializeToString(deterministic=True)
    bare.ClearField("graph")
    tensors: list[tuple[Parameter, bytes]] = []
    for parameter in wanted:
        header = _header(parameter).SerializeToString(deterministic=True)
        header += _field(TensorProto.RAW_DATA_FIELD_NUMBER, 4 * parameter.size)
        tag = _field(onnx.GraphProto.INITIALIZER_FIELD_NUMBER, len(header) + 4 * parameter.size)
        tensors.append((parameter, tag + header))
    size = len(graph) + sum(len(header) + 4 * parameter.size for parameter, header in tensors)
    if size >= 1 << 31:
        raise ValueError(f"{model.graph.name} would take {size} bytes; a single ONNX file ends at 2 GiB.")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(bare.SerializeToString(deterministic=True))
            file.write(_field(onnx.ModelProto.GRAPH_FIELD_NUMBER, size) + graph)
            for parameter, header in tensors:
                file.write(header)
                for chunk in parameter.chunks(seed):
                    file.write(chunk)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _strip(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[Parameter]]:
    """The model without its parameters' producers, and the parameters."""
    wanted = parameters(model)
    names = {parameter.name for parameter in wanted}
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    graph = bare.graph
    nodes = [node for node in graph.node if node.output[0] not in names]
    used = {name for node in nodes for name in node.input}
    constants = [tensor for tensor in graph.initializer if tensor.name in used and tensor.name not in names]
    graph.ClearField("node")
    graph.ClearField("initializer")
    graph.node.extend(nodes)
    graph.initializer.extend(constants)
    return bare, wanted


def _header(parameter: Parameter) -> TensorProto:
    """The tensor without its data."""
    return TensorProto(name=parameter.name, data_type=TensorProto.FLOAT, dims=parameter.shape)


def _field(number: int, length: int) -> bytes:
    """Protobuf's key and length in front of a length-delimited field (wire type 2), both as base-128 varints."""
    encoded = bytearray()
    for value in (number << 3 | 2, length):
        while value >= 128:
            encoded.append(value & 127 | 128)
            value >>= 7
        encoded.append(value)
    return bytes(encoded)
