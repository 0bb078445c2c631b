"""From ``onnx`` to ``cnn``, as far as it follows for every input: an ONNX graph read once more, on labels.

Written from ONNX's own documentation and the arithmetic page; nothing of the passes is used. The graph is read from
quantiser to quantiser. Where what it spells out has the labels of the layer that stands for it, that layer is the
graph's for every input: constants, tables, ratios of scales and clamps are equal to the bit. Of a layer that cannot be
read, or has other labels, nothing is said (it is compared on inputs, as all are), and the graph is read on from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper, shape_inference
from xdsl.dialects.builtin import ModuleOp

from dialects import cnn
from dialects.onnx_export import main_function, strings_of
from tools.proof import functions
from tools.proof.book import Book, Unmatched
from tools.proof.field import Integers, Labels, Window, of_code, of_codes
from tools.proof.laws import Floats
from tools.proof.model import labels_of
from tools.proof.onnx_values import (
    INFINITE,
    CodeCurve,
    CodeLabels,
    FileIntegers,
    MeanLabels,
    PairLabels,
    ProductLabels,
    RealLabels,
    ShapedLabels,
    Value,
    channels_first,
    images_last,
    padded,
    pads_of,
    quantised,
    quantised_constant,
    scale_and_zero,
    table,
)


@dataclass(frozen=True)
class Reading:
    """Layers of the cnn level by whether they follow from the graph for every input."""

    proven: tuple[str, ...]
    tried: tuple[str, ...]


def read(model: onnx.ModelProto, module: ModuleOp, seed: int = 0) -> Reading:
    """Read a graph beside its cnn ``module``; ReconError for a module that has no labels."""
    try:
        return _Reader(model, module, seed).read()
    except Unmatched:  # two layers of one name
        names = [name for name, _ in _layers(module)]
        return Reading((), tuple(names))


def _layers(module: ModuleOp) -> list[tuple[str, tuple[str, ...]]]:
    """Names of the layers that compute, and the ONNX nodes of each."""
    ops = main_function(module).body.block.ops
    return [(op.layer.data, tuple(strings_of(op.nodes))) for op in ops
            if isinstance(op, cnn.CnnOp) and not isinstance(op, cnn.HostOp) and op.layer is not None]  # fmt: skip


class _Reader:
    def __init__(self, model: onnx.ModelProto, module: ModuleOp, seed: int) -> None:
        self.book = Book(seed)
        self.labels = labels_of(module, self.book, layers=True).layers
        graph = shape_inference.infer_shapes(self._with_sizes(model)).graph
        self.graph = graph
        self.opsets = list(model.opset_import)
        self.shapes = {value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
                       for value in (*graph.input, *graph.value_info, *graph.output)}  # fmt: skip
        self.values: dict[str, Value] = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
        self.inputs = {value.name for value in graph.input} - set(self.values)
        self.makers = {name: node for node in graph.node for name in node.output}
        self.layers = _layers(module)
        place = {node.name or node.output[0]: number for number, node in enumerate(graph.node)}
        known = [(layer, [place[name] for name in nodes if name in place]) for layer, nodes in self.layers]
        self.of_node: dict[int, list[str]] = {}
        for layer, places in known:
            for number in places:
                self.of_node.setdefault(number, []).append(layer)
        self.ends = {max(places): layer for layer, places in known if places}
        self.place = place
        self.proven: set[str] = set()
        self.entries = [op for op in main_function(module).body.block.ops
                        if isinstance(op, cnn.HostOp) and op.layer is not None]  # fmt: skip

    def _with_sizes(self, model: onnx.ModelProto) -> onnx.ModelProto:
        """The model with the sizes that its inputs have at the cnn level, where it leaves some open."""
        fixed = onnx.ModelProto.FromString(model.SerializeToString())
        for value in fixed.graph.input:
            dims, labels = value.type.tensor_type.shape.dim, self.labels.get(value.name)
            if labels is None or labels.ndim != len(dims) or all(dim.dim_value for dim in dims):
                continue
            last = [0, labels.ndim - 1, *range(1, labels.ndim - 1)]
            for sizes in (labels.shape, tuple(labels.shape[at] for at in last)):
                if all(dim.dim_value in (0, size) for dim, size in zip(dims, sizes, strict=True)):
                    for dim, size in zip(dims, sizes, strict=True):
                        dim.dim_value = size
                    break
        return fixed

    def read(self) -> Reading:
        for name in self.inputs:
            self.values[name] = self._known(name, name)
        for node in self.graph.node:
            try:
                made = self._made(node)
            except (Unmatched, KeyError, IndexError, ValueError, TypeError, AttributeError):
                made = None  # the graph says something that is not read here
            self.values[node.output[0]] = made
            if node.op_type == "QuantizeLinear":
                self._compare(node)
            elif isinstance(made, RealLabels) and (layer := self.ends.get(self.place[node.name or node.output[0]])):
                wanted = self._known(layer, node.output[0])  # what only picks codes has no quantiser behind it
                if wanted is not None and np.array_equal(wanted.labels, made.labels):
                    self.proven.add(layer)
        names = [name for name, _ in self.layers]
        proven = tuple(name for name in names if name in self.proven)
        return Reading(proven, tuple(name for name in names if name not in self.proven))

    def _made(self, node: onnx.NodeProto) -> Value:
        handler = _HANDLERS.get(node.op_type)
        operands = [self.values.get(name) if name else None for name in node.input]
        return handler(self, node, operands) if handler is not None and node.domain in ("", "ai.onnx") else None

    def _compare(self, node: onnx.NodeProto) -> None:
        """Hold a quantised tensor against the layer that ends in it, and go on from the layer."""
        source, output = node.input[0], node.output[0]
        maker = self.makers.get(source)
        if maker is None:
            for entry in self.entries:
                name = entry.layer.data if entry.layer is not None else ""
                if name in self.labels and self.labels[name].size == math.prod(self.shapes.get(output, (0,))):
                    self.values[output] = self._known(name, output)
                    return
            return
        layer = self.ends.get(self.place[maker.name or maker.output[0]])
        wanted = self._known(layer, output) if layer is not None else None
        found = self.values[output]
        if layer is None or wanted is None:
            return
        if isinstance(found, CodeLabels) and self._is(found, wanted.labels):
            self.proven.add(layer)
        self.values[output] = wanted

    def _is(self, found: CodeLabels, labels: Labels) -> bool:
        """Whether a quantised tensor has these labels, by its own law or as a table of what it was made from."""
        if np.array_equal(found.labels, labels):
            return True
        if found.curve is None:
            return False
        made = functions.looked_up(self.book, found.curve.base, found.curve.numbers.astype(np.int8))
        return np.array_equal(made, labels)

    def _known(self, layer: str, tensor: str) -> CodeLabels | None:
        """The labels of a layer, or of an input, in the layout of a tensor; None where that is not clear."""
        labels, shape = self.labels.get(layer), self.shapes.get(tensor, ())
        if labels is None or labels.size != math.prod(shape):
            return None
        if len(shape) == 4 and labels.ndim == 4 and (shape[0], *shape[2:], shape[1]) == labels.shape:
            return CodeLabels(labels.transpose(0, 3, 1, 2))
        return CodeLabels(labels.reshape(shape)) if len(shape) == 2 or labels.shape == shape else None

    def layers_of(self, node: onnx.NodeProto) -> list[str]:
        return self.of_node.get(self.place[node.name or node.output[0]], [])


Handler = Callable[[_Reader, onnx.NodeProto, list[Value]], Value]
_HANDLERS: dict[str, Handler] = {}


def _reads(*kinds: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        _HANDLERS.update(dict.fromkeys(kinds, handler))
        return handler

    return register


def _attributes(node: onnx.NodeProto) -> Mapping[str, Any]:
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


@_reads("DequantizeLinear")
def _dequantized(_r: _Reader, _node: onnx.NodeProto, operands: list[Value]) -> Value:
    x = operands[0]
    if isinstance(x, np.ndarray):
        scale, zero = scale_and_zero(operands, x.dtype)
        shift = 128 if x.dtype == np.uint8 else 0
        if len(operands) < 3 or operands[2] is None:
            zero = zero - shift
        return FileIntegers(x.astype(np.int64) - shift, scale.reshape(-1), zero.reshape(-1))
    if not isinstance(x, CodeLabels):
        return None
    scale, zero = scale_and_zero(operands, np.dtype(np.uint8))
    if scale.size != 1:
        return None
    of = x.curve and CodeCurve(x.curve.base, (x.curve.numbers - np.float32(zero)) * np.float32(scale))
    return RealLabels(labels=x.labels, scale=float(scale), zero=int(zero), of=of)


@_reads("QuantizeLinear")
def _quantize(r: _Reader, node: onnx.NodeProto, operands: list[Value]) -> Value:
    scale, zero = scale_and_zero(operands, np.dtype(np.uint8))
    if isinstance(operands[0], np.ndarray):
        return quantised_constant(operands[0], scale, operands[2] if len(operands) > 2 else None, _attributes(node))
    if scale.size != 1:
        return None
    labels = quantised(r.book, operands[0], float(scale), int(zero))
    curve = table(operands[0], float(scale), int(zero))
    if curve is None:
        return CodeLabels(labels) if labels is not None else None
    of_curve = functions.looked_up(r.book, curve.base, curve.numbers.astype(np.int8))
    return CodeLabels(of_curve if labels is None else labels, curve)


@_reads("Relu")
def _relu(_r: _Reader, _node: onnx.NodeProto, operands: list[Value]) -> Value:
    x = operands[0]
    return (
        x.within(0.0, INFINITE)
        if isinstance(x, RealLabels | ProductLabels | PairLabels | ShapedLabels | MeanLabels)
        else None
    )


@_reads("Clip")
def _clip(_r: _Reader, node: onnx.NodeProto, operands: list[Value]) -> Value:
    given = _attributes(node)
    bounds = [given.get("min", -INFINITE), given.get("max", INFINITE)]
    for at, operand in enumerate(operands[1:]):
        bounds[at] = bounds[at] if operand is None else np.asarray(operand)
    lo, hi = map(float, bounds)
    x = operands[0]
    return (
        x.within(lo, hi) if isinstance(x, RealLabels | ProductLabels | PairLabels | ShapedLabels | MeanLabels) else None
    )


@_reads("Identity", "Dropout")
def _same(_r: _Reader, _node: onnx.NodeProto, operands: list[Value]) -> Value:
    return operands[0]


@_reads("Constant")
def _constant(_r: _Reader, node: onnx.NodeProto, _operands: list[Value]) -> Value:
    value = _attributes(node).get("value")
    return numpy_helper.to_array(value) if value is not None else None


@_reads("HardSigmoid", "Sigmoid", "HardSwish", "LeakyRelu", "Tanh", "Elu", "Exp", "Softplus", "Gelu", "Mish", "Swish",
        "Abs", "Neg", "Sqrt", "Erf", "Selu", "Celu", "ThresholdedRelu", "Softsign")  # fmt: skip
def _shaped(_r: _Reader, node: onnx.NodeProto, operands: list[Value]) -> Value:
    """ONNX Runtime says what an elementwise operator makes of each of the 256 codes."""
    x = operands[0]
    if not isinstance(x, RealLabels | ShapedLabels):
        return None
    kind = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [256]) for name in "xy"]
    alone = onnx.NodeProto()
    alone.CopyFrom(node)
    alone.input[:], alone.output[:] = ["x"], ["y"]
    graph = helper.make_graph([alone], "curve", kind[:1], kind[1:])
    made = helper.make_model(graph, opset_imports=_r.opsets, ir_version=10)
    try:
        session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    except Exception:  # ONNX Runtime's exceptions share no base class
        return None
    numbers = np.clip(x.curve.numbers, x.lo, x.hi).astype(np.float32)
    (found,) = session.run(["y"], {"x": numbers})
    return ShapedLabels(curve=CodeCurve(x.curve.base, np.asarray(found, np.float32)))


@_reads("Pad")
def _enlarged(_r: _Reader, node: onnx.NodeProto, operands: list[Value]) -> Value:
    x, pads = operands[:2]
    value = np.asarray(operands[2]) if len(operands) > 2 and operands[2] is not None else np.zeros(1)
    if not isinstance(x, RealLabels) or value.any() or _attributes(node).get("mode", b"constant") != b"constant":
        return None
    before, after = np.asarray(pads).reshape(2, -1).tolist()
    return _moved(x, lambda labels: np.pad(labels, list(zip(before, after, strict=True)),
                                           constant_values=of_code(x.zero)))  # fmt: skip


@_reads("Add", "Sub", "Mul")
def _binary(r: _Reader, node: onnx.NodeProto, operands: list[Value]) -> Value:
    kind = {"Add": "+", "Sub": "-", "Mul": "*"}[node.op_type]
    a, b = operands
    if kind == "+" and isinstance(a, ProductLabels) and isinstance(b, FileIntegers | np.ndarray):
        more = _bias(b, np.float32(a.sx) * a.sw, len(a.bias))
        return replace(a, bias=a.bias + more) if more is not None and not a.has_bias else None
    if isinstance(a, RealLabels | ProductLabels) and isinstance(b, RealLabels | ProductLabels):
        return PairLabels(kind=kind, first=a, second=b)
    return None


def _moved(value: Value, move: Callable[[Labels], Labels]) -> Value:
    """CodeLabels that only stand elsewhere."""
    if isinstance(value, RealLabels):
        return RealLabels(value.lo, value.hi, move(value.labels), *value.quant)
    return CodeLabels(move(value.labels)) if isinstance(value, CodeLabels) else None


@_reads("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def _reshaped(r: _Reader, node: onnx.NodeProto, operands: list[Value]) -> Value:
    shape = r.shapes[node.output[0]]
    return _moved(operands[0], lambda labels: labels.reshape(shape))


@_reads("Transpose")
def _transposed(_r: _Reader, node: onnx.NodeProto, operands: list[Value]) -> Value:
    return _moved(operands[0], lambda labels: labels.transpose(_attributes(node)["perm"]))


@_reads("Concat")
def _joined(_r: _Reader, node: onnx.NodeProto, operands: list[Value]) -> Value:
    parts = [each for each in operands if isinstance(each, RealLabels)]
    if len(parts) != len(operands) or len({(each.quant, each.lo, each.hi) for each in parts}) != 1:
        return None
    labels = np.concatenate([each.labels for each in parts], axis=_attributes(node)["axis"])
    return RealLabels(parts[0].lo, parts[0].hi, labels, *parts[0].quant)


def _window(r: _Reader, node: onnx.NodeProto, kernel: list[int]) -> tuple[Window, tuple[int, int, int, int]]:
    given, shape = _attributes(node), r.shapes[node.output[0]]
    strides, dilations = (tuple(given.get(name, (1, 1))) for name in ("strides", "dilations"))
    oy, ox = shape[2:]
    window = Window((oy, ox), (kernel[0], kernel[1]), (strides[0], strides[1]), (dilations[0], dilations[1]))
    return window, pads_of(given, kernel, shape)


@_reads("Conv")
def _convolution(r: _Reader, node: onnx.NodeProto, operands: list[Value]) -> Value:
    x, weights = operands[:2]
    if not isinstance(x, RealLabels) or not isinstance(weights, FileIntegers) or x.labels.shape[0] != 1:
        return None
    groups = _attributes(node).get("group", 1)
    window, pads = _window(r, node, list(weights.codes.shape[2:]))
    image = padded(images_last(x.labels), pads, window, of_code(x.zero))
    stored = FileIntegers(weights.codes.transpose(0, 2, 3, 1), weights.scale, weights.zero)
    return _products(r, node, (x, stored, operands[2] if len(operands) > 2 else None), (image, window), groups)


@_reads("Gemm", "MatMul")
def _matrix(r: _Reader, node: onnx.NodeProto, operands: list[Value]) -> Value:
    x, weights, given = operands[0], operands[1], _attributes(node)
    if not isinstance(x, RealLabels) or not isinstance(weights, FileIntegers) or x.labels.shape[:-1] != (1,):
        return None
    if (
        weights.codes.ndim != 2
        or given.get("transA")
        or (given.get("alpha", 1.0), given.get("beta", 1.0)) != (1.0, 1.0)
    ):
        return None
    codes = weights.codes if given.get("transB") else weights.codes.T
    stored = FileIntegers(codes[:, None, None, :], weights.scale, weights.zero)
    seen = x.labels.reshape(1, 1, -1), Window((1, 1), (1, 1))
    return _products(r, node, (x, stored, operands[2] if len(operands) > 2 else None), seen, 1)


def _products(
    r: _Reader,
    node: onnx.NodeProto,
    of: tuple[RealLabels, FileIntegers, Value],
    seen: tuple[Labels, Window],
    groups: int,
) -> Value:
    """A convolution with weights [outputs, rows, columns, inputs] over an image in which padding is in place."""
    (x, weights, given), (image, window) = of, seen
    outputs, fy, fx, inputs = weights.codes.shape
    if len(set(weights.zero.tolist())) != 1 or (x.lo, x.hi) != (-INFINITE, INFINITE):
        return None
    zero, scale = int(weights.zero[0]), np.broadcast_to(weights.scale, outputs).astype(np.float32)
    step = np.float32(x.scale) * scale
    bias = _bias(given, step, outputs)
    if bias is None:
        return None
    whole = weights.codes.reshape(outputs, -1).sum(axis=1) - zero * fy * fx * inputs
    labels = of_codes(weights.codes).reshape(groups, outputs // groups, fy * fx, inputs)
    for layer in r.layers_of(node):
        try:
            part = r.book.block(layer, labels, zero).of_pass(image, window)
        except Unmatched:
            continue
        if part.is_whole:
            flat = node.op_type != "Conv"
            raw = bias - x.zero * whole
            return ProductLabels(part=part, bias=raw, sx=x.scale, sw=scale, flat=flat, has_bias=given is not None)
    return None


def _bias(given: Value, step: Floats, outputs: int) -> Integers | None:
    """A bias in steps of input times weights; None where it has another scale."""
    if given is None:
        return np.zeros(outputs, np.int64)
    if isinstance(given, np.ndarray):
        return np.rint(given.reshape(-1).astype(np.float32) / step).astype(np.int64)
    if not isinstance(given, FileIntegers) or given.zero.any():
        return None
    same = np.array_equal(np.broadcast_to(given.scale, outputs), step)
    return given.codes.reshape(-1) if same else None


@_reads("MaxPool")
def _max_pool(r: _Reader, node: onnx.NodeProto, operands: list[Value]) -> Value:
    x = operands[0]
    if not isinstance(x, RealLabels | CodeLabels) or x.labels.shape[0] != 1:
        return None
    window, pads = _window(r, node, list(_attributes(node)["kernel_shape"]))

    def pooled(labels: Labels) -> Labels:
        image = images_last(labels)
        inside = padded(np.ones((*image.shape[:2], 1), np.uint32), pads, window, 0)[:, :, 0] > 0
        return channels_first(functions.greatest(r.book, padded(image, pads, window, 0), inside, window))

    return _moved(x, pooled)


@_reads("GlobalAveragePool", "AveragePool")
def _mean(r: _Reader, node: onnx.NodeProto, operands: list[Value]) -> Value:
    x = operands[0]
    if not isinstance(x, RealLabels) or x.labels.shape[0] != 1 or (x.lo, x.hi) != (-INFINITE, INFINITE):
        return None
    image, given = images_last(x.labels), _attributes(node)
    rows, columns = image.shape[:2]
    window, pads = Window((1, 1), (rows, columns)), (0, 0, 0, 0)
    if node.op_type == "AveragePool":
        window, pads = _window(r, node, list(given["kernel_shape"]))
    if any(pads):
        return None
    counts = np.full(window.outputs, window.kernel[0] * window.kernel[1], np.int64)
    seen = padded(image, pads, window, 0)
    return MeanLabels(image=seen, window=window, counts=counts, quant=x.quant)
