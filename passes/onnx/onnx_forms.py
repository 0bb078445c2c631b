"""One form for every operator, whatever opset or vendor wrote it: opset 13 and QuantizeLinear/DequantizeLinear pairs.

Works on the protobuf, before shapes are inferred, because inference knows neither vendor operators nor, here, two forms
of one thing. Older nodes get today's operands (``axes``, ``min`` …); an operator on integers is spelled out:

    QLinearConv(x, sx, zx, w, sw, zw, sy, zy, B) → QuantizeLinear(Conv(DQ(x), DQ(w), DQ(B; sx·sw)); sy, zy)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

from passes.common.problems import Problems
from passes.onnx.graph_rewrite import Graph
from passes.onnx.onnx_file import ModelFile
from passes.onnx.vendor_quant import SPELLED_OUT

OLDEST, RAISED = 7, 13


def rewrite(model: ModelFile, shapes: Callable[[], dict[str, tuple[int, ...]]], problems: Problems) -> None:
    """Bring every node into the one form, in place; ``shapes`` infers shapes in the opset the file has."""
    proto = model.proto
    opsets = {entry.domain: entry for entry in proto.opset_import}
    main = opsets.get("") or opsets.get("ai.onnx")
    opset = main.version if main is not None else 1
    if opset < OLDEST:
        problems.add("", f"The model is of ONNX opset {opset}; opset {OLDEST} or newer is needed. Export it again with "
                         "opset 13, or raise it with onnx.version_converter.")  # fmt: skip
        return
    graph = Graph(model, problems)
    if opset < RAISED:
        graph.ranks = shapes()
    for node in list(proto.graph.node):
        key = f"{node.domain}:{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type
        if (spell_out := _INTEGER.get(key)) is not None:
            _refuse_unread(graph, key, node)
            spell_out(graph, node)
        elif (other := SPELLED_OUT.get(key)) is not None:
            other(graph, node)
        elif opset < RAISED and (newer := _OLDER.get(node.op_type)) is not None:
            newer(graph, node, opset)
        else:
            graph.nodes.append(node)
    if len(graph.nodes) != len(proto.graph.node) or graph.count or opset < RAISED:
        nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in graph.nodes]
        del proto.graph.node[:]
        proto.graph.node.extend(nodes)
    if opset < RAISED and main is not None:
        main.version = RAISED
        proto.ir_version = max(proto.ir_version, 7)


# --- older forms -------------------------------------------------------------------------------------------------


def _take(node: onnx.NodeProto, name: str) -> object | None:
    """Remove an attribute and return its value."""
    for index, attribute in enumerate(node.attribute):
        if attribute.name == name:
            value: object = helper.get_attribute_value(attribute)
            del node.attribute[index]
            return value
    return None


def _operands(*names: str) -> Callable[[Graph, onnx.NodeProto, int], None]:
    """Attributes that became operands, in the order in which they follow the first operand."""

    def change(graph: Graph, node: onnx.NodeProto, _opset: int) -> None:
        given: list[str] = []
        for name in names:
            value = _take(node, name)
            if value is None:
                given.append("")
                continue
            array = np.asarray(value, np.int64 if isinstance(value, list) else np.float32)
            given.append(graph.constant(name, array))
        while given and not given[-1]:
            given.pop()
        if given:
            del node.input[1:]
            node.input.extend(given)
        graph.nodes.append(node)

    return change


def _dropout(graph: Graph, node: onnx.NodeProto, _opset: int) -> None:
    _take(node, "ratio")
    del node.output[1:]
    graph.nodes.append(node)


def _slice(graph: Graph, node: onnx.NodeProto, opset: int) -> None:
    if opset >= 10:
        graph.nodes.append(node)
        return
    starts, ends, axes = _take(node, "starts"), _take(node, "ends"), _take(node, "axes")
    node.input.append(graph.constant("starts", np.asarray(starts, np.int64)))
    node.input.append(graph.constant("ends", np.asarray(ends, np.int64)))
    if axes is not None:
        node.input.append(graph.constant("axes", np.asarray(axes, np.int64)))
    graph.nodes.append(node)


def _upsample(graph: Graph, node: onnx.NodeProto, opset: int) -> None:
    if node.op_type == "Resize" and opset >= 11:
        graph.nodes.append(node)
        return
    mode = _take(node, "mode")
    scales = _take(node, "scales")
    name = graph.constant("scales", np.asarray(scales, np.float32)) if scales is not None else node.input[1]
    graph.add("Resize", [node.input[0], "", name], node.output[0], node.name, mode=mode or b"nearest",
              coordinate_transformation_mode="asymmetric", nearest_mode="floor")  # fmt: skip


def _softmax(graph: Graph, node: onnx.NodeProto, _opset: int) -> None:
    """Before opset 13 it ran over all axes from ``axis`` (1 by default) on, flattened."""
    given = _take(node, "axis")
    axis = given if isinstance(given, int) else 1
    shape = graph.ranks.get(node.input[0])
    if shape and all(n == 1 for n in shape[axis % len(shape) + 1 :]):
        node.attribute.append(helper.make_attribute("axis", axis % len(shape)))
        graph.nodes.append(node)
        return
    flat = graph.add("Flatten", [node.input[0]], axis=axis)
    soft = graph.add(node.op_type, [flat], name=node.name, axis=1)
    whole = graph.constant("shape", np.asarray(shape, np.int64)) if shape else graph.add("Shape", [node.input[0]])
    graph.add("Reshape", [soft, whole], node.output[0])


def _batch_norm(graph: Graph, node: onnx.NodeProto, _opset: int) -> None:
    """More than one result meant training, ``spatial`` 0 statistics of every element."""
    if len(node.output) > 1:
        graph.problems.add(node.name, "It returns the statistics of the batch, as in training; export the model for "
                           "inference.")  # fmt: skip
        del node.output[1:]
    if _take(node, "spatial") == 0:
        graph.problems.add(node.name, "Its attribute 'spatial' is 0; one number per channel is supported.")
    graph.nodes.append(node)


_OLDER: dict[str, Callable[[Graph, onnx.NodeProto, int], None]] = {
    "Squeeze": _operands("axes"),
    "Unsqueeze": _operands("axes"),
    "ReduceSum": _operands("axes"),
    "Split": _operands("split"),
    "Clip": _operands("min", "max"),
    "Pad": _operands("pads", "value"),
    "Dropout": _dropout,
    "Slice": _slice,
    "Upsample": _upsample,
    "Resize": _upsample,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "BatchNormalization": _batch_norm,
}


# --- operators on integers ---------------------------------------------------------------------------------------


def _attributes(node: onnx.NodeProto, *without: str) -> dict[str, Any]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute if a.name not in without}


def _real(graph: Graph, values: Sequence[str], axis: int | None = None) -> str:
    """DequantizeLinear of (tensor, scale, zero point); ``axis`` counts where the scale is a vector."""
    scale = graph.value(values[1])
    vector = axis is not None and scale is not None and scale.size > 1
    attributes: dict[str, Any] = {"axis": axis} if vector else {}
    return graph.add("DequantizeLinear", [value for value in values if value], **attributes)


def _bias(graph: Graph, name: str, scale_x: str, scale_w: str, where: str, alpha: float = 1.0) -> str:
    """The int32 bias of an integer operator has scale sx·sw (alpha·sx·sw for QGemm) and zero point 0."""
    sx, sw = graph.value(scale_x), graph.value(scale_w)
    if sx is None or sw is None:
        graph.problems.add(where, "Its scales are computed at run time; they must be constants.")
        return name
    scale = (np.float32(alpha) * np.float32(sx.reshape(-1)[0]) * sw.astype(np.float32)).reshape(sw.shape)
    if scale.size == 1:
        scale = scale.reshape(())
    return _real(graph, [name, graph.constant("bias_scale", scale)], 0)


def _linear_conv(graph: Graph, node: onnx.NodeProto) -> None:
    x, sx, zx, w, sw, zw, sy, zy, *bias = node.input
    operands = [_real(graph, (x, sx, zx)), _real(graph, (w, sw, zw), 0)]
    if bias and bias[0]:
        operands.append(_bias(graph, bias[0], sx, sw, node.name))
    y = graph.add("Conv", operands, name=node.name, **_attributes(node))
    graph.add("QuantizeLinear", [y, sy, zy], node.output[0])


def _linear_matmul(graph: Graph, node: onnx.NodeProto) -> None:
    a, sa, za, b, sb, zb, sy, zy = node.input
    y = graph.add("MatMul", [_real(graph, (a, sa, za)), _real(graph, (b, sb, zb), -1)], name=node.name)
    graph.add("QuantizeLinear", [y, sy, zy], node.output[0])


def _gemm(graph: Graph, node: onnx.NodeProto) -> None:
    a, sa, za, b, sb, zb, *rest = node.input
    bias, sy, zy = (*rest, "", "", "")[:3]
    attributes = _attributes(node)
    transposed = attributes.get("transB", 0) == 1
    operands = [_real(graph, (a, sa, za)), _real(graph, (b, sb, zb), 0 if transposed else 1)]
    if bias:
        operands.append(_bias(graph, bias, sa, sb, node.name, attributes.get("alpha", 1.0)))
    y = graph.add("Gemm", operands, None if sy else node.output[0], node.name, **attributes)
    if sy:
        graph.add("QuantizeLinear", [y, sy, zy], node.output[0])


def _binary(op: str) -> Callable[[Graph, onnx.NodeProto], None]:
    def change(graph: Graph, node: onnx.NodeProto) -> None:
        a, sa, za, b, sb, zb, sy, zy = (*node.input, "")[:8]
        y = graph.add(op, [_real(graph, (a, sa, za)), _real(graph, (b, sb, zb))], name=node.name)
        graph.add("QuantizeLinear", [y, sy, zy] if zy else [y, sy], node.output[0])

    return change


def _unary(op: str) -> Callable[[Graph, onnx.NodeProto], None]:
    def change(graph: Graph, node: onnx.NodeProto) -> None:
        x, sx, zx, sy, zy = (*node.input, "")[:5]
        if _attributes(node).get("channels_last", 0) == 1:
            graph.problems.add(node.name, f"{node.op_type} with channels_last is not supported; export it as NCHW.")
        y = graph.add(op, [_real(graph, (x, sx, zx))], name=node.name, **_attributes(node, "channels_last", "opset"))
        graph.add("QuantizeLinear", [y, sy, zy] if zy else [y, sy], node.output[0])

    return change


def _integer_softmax(graph: Graph, node: onnx.NodeProto) -> None:
    """``opset`` says whether it runs along ``axis`` (-1 by default) or, before 13, over all axes from there on."""
    x, sx, zx, sy, zy = (*node.input, "")[:5]
    attributes = {"axis": -1, "opset": RAISED} | _attributes(node)
    real, made = _real(graph, (x, sx, zx)), graph.fresh("Softmax")
    plain = helper.make_node("Softmax", [real], [made], name=node.name, axis=attributes["axis"])
    if attributes["opset"] < RAISED:
        graph.ranks[real] = graph.ranks.get(x, ())
        _softmax(graph, plain, attributes["opset"])
    else:
        graph.nodes.append(plain)
    graph.add("QuantizeLinear", [made, sy, zy] if zy else [made, sy], node.output[0])


def _concat(graph: Graph, node: onnx.NodeProto) -> None:
    sy, zy, *rest = node.input
    operands = [_real(graph, rest[at : at + 3]) for at in range(0, len(rest), 3)]
    y = graph.add("Concat", operands, name=node.name, **_attributes(node))
    graph.add("QuantizeLinear", [y, sy, zy], node.output[0])


def _plain(graph: Graph, node: onnx.NodeProto) -> None:
    """The vendor's own QuantizeLinear and DequantizeLinear mean the same as ONNX's."""
    graph.add(node.op_type, list(node.input), node.output[0], node.name, **_attributes(node))
    graph.count += 1


_READ = {
    "com.microsoft:QGemm": "alpha transA transB",
    "com.microsoft:QLinearLeakyRelu": "alpha",
    "com.microsoft:QLinearAveragePool": "auto_pad ceil_mode channels_last count_include_pad kernel_shape pads strides",
    "com.microsoft:QLinearGlobalAveragePool": "channels_last",
    "com.microsoft:QLinearSoftmax": "axis opset",
    "com.microsoft:QLinearConcat": "axis",
    "com.microsoft:QuantizeLinear": "axis",
    "com.microsoft:DequantizeLinear": "axis",
}
"""Attributes of the vendor's operators that are read; ONNX's own are passed on, and judged where they are read."""


def _refuse_unread(graph: Graph, key: str, node: onnx.NodeProto) -> None:
    for attribute in node.attribute if ":" in key else ():
        if attribute.name not in _READ.get(key, "").split():
            value = helper.get_attribute_value(attribute)
            shown = value.decode() if isinstance(value, bytes) else value
            graph.problems.add(node.name, f"Its attribute '{attribute.name}' is {shown!r}, which is not supported.")


_INTEGER: dict[str, Callable[[Graph, onnx.NodeProto], None]] = {
    "QLinearConv": _linear_conv,
    "QLinearMatMul": _linear_matmul,
    "com.microsoft:QGemm": _gemm,
    "com.microsoft:QLinearAdd": _binary("Add"),
    "com.microsoft:QLinearMul": _binary("Mul"),
    "com.microsoft:QLinearSigmoid": _unary("Sigmoid"),
    "com.microsoft:QLinearLeakyRelu": _unary("LeakyRelu"),
    "com.microsoft:QLinearAveragePool": _unary("AveragePool"),
    "com.microsoft:QLinearGlobalAveragePool": _unary("GlobalAveragePool"),
    "com.microsoft:QLinearSoftmax": _integer_softmax,
    "com.microsoft:QLinearConcat": _concat,
    "com.microsoft:QuantizeLinear": _plain,
    "com.microsoft:DequantizeLinear": _plain,
}
