"""A small writer of float CNN graphs, as an exporter would leave them after folding BatchNorm.

Opset 13, IR version 8, NCHW, batch 1, static shapes. Graphs are written in *light* form, the form the `onnx` wheel uses
for its large test models: every weight is a `ConstantOfShape` node. So a network of 250 MB costs kilobytes until its
values are wanted (`benchmarks.net_weights` replaces the nodes by initialisers), and shapes, MACs and parameters are
known without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 13
IR_VERSION = 8

Activation = Literal["relu", "relu6", "leaky", "prelu", "silu", "hardswish", "hardsigmoid", "sigmoid"]
Pair = int | tuple[int, int]
Attribute = int | float | str | tuple[int, ...]


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


def _pads(pads: Sequence[int] | None, kernel: tuple[int, int]) -> tuple[int, int, int, int]:
    """ONNX order: top, left, bottom, right. `None` is half the kernel on every side."""
    if pads is None:
        return (kernel[0] // 2, kernel[1] // 2, kernel[0] // 2, kernel[1] // 2)
    top, left, bottom, right = pads
    return (top, left, bottom, right)


@dataclass
class GraphWriter:
    """Appends operators to one graph; every method returns the name of the tensor it made.

    `shapes` holds (channels, height, width) of each activation.
    """

    name: str
    doc: str = ""
    shapes: dict[str, tuple[int, int, int]] = field(default_factory=dict[str, tuple[int, int, int]])
    _inputs: list[str] = field(default_factory=list[str])
    _nodes: list[onnx.NodeProto] = field(default_factory=list[onnx.NodeProto])
    _constants: dict[str, TensorProto] = field(default_factory=dict[str, TensorProto])
    _counts: dict[str, int] = field(default_factory=dict[str, int])

    def input(self, channels: int, height: int, width: int, name: str = "input") -> str:
        """The network's input, float32 [1, channels, height, width]."""
        self.shapes[name] = (channels, height, width)
        self._inputs.append(name)
        return name

    def conv(
        self,
        x: str,
        channels: int,
        kernel: Pair,
        stride: int = 1,
        *,
        pads: Sequence[int] | None = None,
        group: int = 1,
        dilation: int = 1,
        activation: Activation | None = "relu",
        name: str | None = None,
    ) -> str:
        """Convolution with bias, weights [channels, C/group, kernel rows, kernel columns], then an activation.

        Many parameters: the attributes of the ONNX operator.
        """
        c, h, w = self.shapes[x]
        if c % group or channels % group:
            raise ValueError(f"{self.name}: {group} groups divide neither {c} input nor {channels} output channels.")
        kernel = _pair(kernel)
        reach = ((kernel[0] - 1) * dilation + 1, (kernel[1] - 1) * dilation + 1)
        sides = _pads(pads, reach)
        node = self._fresh("conv", name)
        weight = self._parameter(f"{node}.weight", (channels, c // group, *kernel))
        bias = self._parameter(f"{node}.bias", (channels,))
        attributes: dict[str, Attribute] = {
            "kernel_shape": kernel,
            "strides": (stride, stride),
            "pads": sides,
            "group": group,
        }
        if dilation > 1:
            attributes["dilations"] = (dilation, dilation)
        out = self._emit(
            "Conv", [x, weight, bias], node, (channels, *_window((h, w), reach, stride, sides)), attributes
        )
        return out if activation is None else self.activate(out, activation)

    def activate(self, x: str, kind: Activation) -> str:
        """Relu, Clip to 0..6, LeakyRelu with slope 0.1, PRelu with that slope, or what sigmoids are made into."""
        match kind:
            case "sigmoid":
                return self._emit("Sigmoid", [x], self._fresh("sigmoid"), self.shapes[x])
            case "silu":
                return self.multiply(x, self.activate(x, "sigmoid"))
            case "hardsigmoid":
                third = {"alpha": 1 / 6, "beta": 0.5}
                return self._emit("HardSigmoid", [x], self._fresh("hard_sigmoid"), self.shapes[x], {**third})
            case "hardswish":
                return self.multiply(x, self.activate(x, "hardsigmoid"))
            case "prelu":
                slope = self._constant("prelu_slope", np.full((1, 1, 1), 0.1, np.float32))
                return self._emit("PRelu", [x, slope], self._fresh("prelu"), self.shapes[x])
            case "relu":
                return self._emit("Relu", [x], self._fresh("relu"), self.shapes[x])
            case "leaky":
                return self._emit("LeakyRelu", [x], self._fresh("leaky_relu"), self.shapes[x], {"alpha": 0.1})
            case "relu6":
                bounds = [self._constant("clip_min", np.float32(0)), self._constant("clip_max", np.float32(6))]
                return self._emit("Clip", [x, *bounds], self._fresh("clip"), self.shapes[x])

    def max_pool(self, x: str, kernel: int, stride: int, pads: Sequence[int] = (0, 0, 0, 0)) -> str:
        """Maximum over kernel x kernel; padding never wins."""
        return self._pool("MaxPool", x, kernel, stride, pads, {})

    def average_pool(self, x: str, kernel: int, stride: int, pads: Sequence[int] = (0, 0, 0, 0)) -> str:
        """Mean over the real inputs below each kernel x kernel window (padding is not counted)."""
        return self._pool("AveragePool", x, kernel, stride, pads, {"count_include_pad": 0})

    def multiply(self, x: str, factor: str) -> str:
        """Elementwise product; ``factor`` may be one pixel for all."""
        return self._emit("Mul", [x, factor], self._fresh("mul"), self.shapes[x])

    def squeeze(self, x: str, channels: int, inner: Activation, gate: Activation) -> str:
        """Squeeze and excitation: every channel times a gate that its mean decides, through ``channels`` in between."""
        c = self.shapes[x][0]
        pooled = self._emit("GlobalAveragePool", [x], self._fresh("global_average_pool"), (c, 1, 1))
        return self.multiply(x, self.conv(self.conv(pooled, channels, 1, activation=inner), c, 1, activation=gate))

    def deconv(self, x: str, channels: int, kernel: int, stride: int, pad: int, more: int) -> str:
        """Transposed convolution with bias, weights [C, channels, kernel, kernel]; ``more`` is the output padding."""
        c, h, w = self.shapes[x]
        node = self._fresh("deconv")
        weight = self._parameter(f"{node}.weight", (c, channels, kernel, kernel))
        bias = self._parameter(f"{node}.bias", (channels,))
        size = [(n - 1) * stride - 2 * pad + kernel + more for n in (h, w)]
        attributes: dict[str, Attribute] = {
            "kernel_shape": (kernel, kernel),
            "strides": (stride, stride),
            "pads": (pad,) * 4,
            "output_padding": (more, more),
        }
        return self._emit("ConvTranspose", [x, weight, bias], node, (channels, size[0], size[1]), attributes)

    def resize_linear(self, x: str, factor: int) -> str:
        """Bilinear, ``factor`` times the height and width, pixel centres kept."""
        c, h, w = self.shapes[x]
        scales = self._constant(f"linear_scales_{factor}", np.array([1, 1, factor, factor], np.float32))
        attributes: dict[str, Attribute] = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        return self._emit("Resize", [x, "", scales], self._fresh("resize"), (c, factor * h, factor * w), attributes)

    def add(self, a: str, b: str) -> str:
        """Elementwise sum of two tensors of one shape."""
        if self.shapes[a] != self.shapes[b]:
            raise ValueError(f"{self.name}: cannot add {a} {self.shapes[a]} and {b} {self.shapes[b]}.")
        return self._emit("Add", [a, b], self._fresh("add"), self.shapes[a])

    def concat(self, *xs: str) -> str:
        """Concatenation along channels."""
        if len({self.shapes[x][1:] for x in xs}) != 1:
            raise ValueError(f"{self.name}: cannot concatenate maps of {[self.shapes[x] for x in xs]}.")
        channels = sum(self.shapes[x][0] for x in xs)
        return self._emit("Concat", list(xs), self._fresh("concat"), (channels, *self.shapes[xs[0]][1:]), {"axis": 1})

    def half(self, x: str, second: bool) -> str:
        """The first or second half of the channels."""
        c, h, w = self.shapes[x]
        middle, end = (self._constant(f"channel_{n}", np.array([n], np.int64)) for n in (c // 2, c))
        start, axis = (self._constant(f"channel_{n}", np.array([n], np.int64)) for n in (0, 1))
        bounds = (middle, end) if second else (start, middle)
        return self._emit("Slice", [x, *bounds, axis], self._fresh("slice"), (c // 2, h, w))

    def shuffle(self, x: str, groups: int) -> str:
        """Channels of ``groups`` groups taken in turns, as exporters write it: Reshape, Transpose, Reshape."""
        c, h, w = self.shapes[x]
        wide = self._constant(f"shape_{c}_{h}_{w}_in_{groups}", np.array([1, groups, c // groups, h, w], np.int64))
        flat = self._constant(f"shape_{c}_{h}_{w}", np.array([1, c, h, w], np.int64))
        y = self._emit("Reshape", [x, wide], self._fresh("reshape"), (c, h, w))
        y = self._emit("Transpose", [y], self._fresh("transpose"), (c, h, w), {"perm": (0, 2, 1, 3, 4)})
        return self._emit("Reshape", [y, flat], self._fresh("reshape"), (c, h, w))

    def upsample(self, x: str) -> str:
        """Nearest neighbour, twice the height and width."""
        c, h, w = self.shapes[x]
        scales = self._constant("upsample_scales", np.array([1, 1, 2, 2], np.float32))
        attributes: dict[str, Attribute] = {
            "mode": "nearest",
            "coordinate_transformation_mode": "asymmetric",
            "nearest_mode": "floor",
        }
        return self._emit("Resize", [x, "", scales], self._fresh("resize"), (c, 2 * h, 2 * w), attributes)

    def classifier(self, x: str, *widths: int, activation: Activation = "relu", name: str = "logits") -> str:
        """Global average pool, Flatten, then Gemm after Gemm with weights [width, C], an activation between them."""
        c = self.shapes[x][0]
        pooled = self._emit("GlobalAveragePool", [x], self._fresh("global_average_pool"), (c, 1, 1))
        x = self._emit("Flatten", [pooled], self._fresh("flatten"), (c, 1, 1), {"axis": 1})
        for number, width in enumerate(widths):
            is_last = number + 1 == len(widths)
            node = self._fresh("gemm", name if is_last else None)
            operands = [x, self._parameter(f"{node}.weight", (width, c)), self._parameter(f"{node}.bias", (width,))]
            x, c = self._emit("Gemm", operands, node, (width, 1, 1), {"transB": 1}), width
            x = x if is_last else self.activate(x, activation)
        return x

    def finish(self, *outputs: str) -> onnx.ModelProto:
        """The model. An output of a `classifier` is [1, classes], any other [1, channels, height, width]."""
        flat = {node.output[0] for node in self._nodes if node.op_type == "Gemm"}

        def value(name: str) -> onnx.ValueInfoProto:
            shape = self.shapes[name][:1] if name in flat else self.shapes[name]
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, *shape])

        graph = helper.make_graph(
            self._nodes,
            self.name,
            [value(name) for name in self._inputs],
            [value(name) for name in outputs],
            list(self._constants.values()),
            doc_string=self.doc,
        )
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="benchmarks"
        )

    def _pool(self, op: str, x: str, kernel: int, stride: int, pads: Sequence[int], more: dict[str, Attribute]) -> str:
        c, h, w = self.shapes[x]
        window, sides = _pair(kernel), _pads(pads, _pair(kernel))
        attributes: dict[str, Attribute] = {"kernel_shape": window, "strides": (stride, stride), "pads": sides, **more}
        name = self._fresh("max_pool" if op == "MaxPool" else "average_pool")
        return self._emit(op, [x], name, (c, *_window((h, w), window, stride, sides)), attributes)

    def _fresh(self, kind: str, name: str | None = None) -> str:
        if name is not None:
            return name
        index = self._counts.get(kind, 0)
        self._counts[kind] = index + 1
        return f"{kind}_{index}"

    def _constant(self, name: str, value: np.ndarray | np.generic) -> str:
        self._constants.setdefault(name, numpy_helper.from_array(np.asarray(value), name))
        return name

    def _parameter(self, name: str, shape: tuple[int, ...]) -> str:
        dims = self._constant(f"{name}__SHAPE", np.array(shape, np.int64))
        value = helper.make_tensor("value", TensorProto.FLOAT, [1], [0.02])
        self._nodes.append(helper.make_node("ConstantOfShape", [dims], [name], value=value))
        return name

    def _emit(
        self,
        op: str,
        inputs: list[str],
        name: str,
        shape: tuple[int, int, int],
        attributes: dict[str, Attribute] | None = None,
    ) -> str:
        node = helper.make_node(op, inputs, [name], name=name)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in (attributes or {}).items())
        self._nodes.append(node)
        self.shapes[name] = shape
        return name


def _window(size: tuple[int, int], kernel: tuple[int, int], stride: int, pads: tuple[int, ...]) -> tuple[int, int]:
    """Output (height, width) of a sliding window, floor rounding."""
    rows, columns = ((size[axis] + pads[axis] + pads[axis + 2] - kernel[axis]) // stride + 1 for axis in (0, 1))
    if rows < 1 or columns < 1:
        raise ValueError(f"A {kernel} window does not fit a {size} map: choose a larger network input.")
    return rows, columns
