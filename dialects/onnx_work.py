"""How many multiply-accumulates an ONNX node is, from its shapes: what a report says of nodes that the host runs."""

from __future__ import annotations

import math

from dialects.onnx import NodeOp, shape_of


def macs(node: NodeOp) -> int:
    """Multiply-accumulates of real inputs (taps on padding not counted) of a convolution or product; 0 of others."""
    match node.kind:
        case "Conv":
            return _conv(node)
        case "ConvTranspose":
            n, c, *image = shape_of(node.inputs[0])
            _, k, *kernel = shape_of(node.inputs[1])
            return n * c * math.prod(image) * k * math.prod(kernel)
        case "Gemm":
            rows = shape_of(node.inputs[0])
            return math.prod(shape_of(node.outputs[0])) * rows[0 if node.get_int("transA", 0) else 1]
        case "MatMul":
            return math.prod(shape_of(node.outputs[0])) * shape_of(node.inputs[0])[-1]
        case _:
            return 0


def _conv(node: NodeOp) -> int:
    image, result = shape_of(node.inputs[0])[2:], shape_of(node.outputs[0])
    k, c, *kernel = shape_of(node.inputs[1])
    rank = len(image)
    strides, dilations = node.get_ints("strides") or (1,) * rank, node.get_ints("dilations") or (1,) * rank
    pads = node.get_ints("pads") or (0,) * 2 * rank
    auto = node.get_str("auto_pad", "NOTSET")
    taps = 1
    for axis in range(rank):
        n, m, f, s, d, before = (
            image[axis], result[2 + axis], kernel[axis], strides[axis], dilations[axis], pads[axis]
        )  # fmt: skip
        if auto.startswith("SAME"):
            whole = max(0, (m - 1) * s + (f - 1) * d + 1 - n)
            before = whole // 2 + (whole % 2 if auto == "SAME_LOWER" else 0)
        taps *= sum(0 <= at * s + tap * d - before < n for at in range(m) for tap in range(f))
    return result[0] * k * c * taps
