"""Pools with ``ceil_mode`` whose last window would begin in the pads behind the image: that window does not exist.

ONNX Runtime leaves it out, and since opset 22 ONNX says so; shape inference for older opsets counts it. Such a node is
written without ``ceil_mode``, and where another axis keeps its rounded-up window, with pads that reach as far.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import onnx
from onnx import helper

Shapes = Mapping[str, tuple[int, ...]]


def mend_pools(proto: onnx.ModelProto, infer: Callable[[], Shapes]) -> None:
    """Rewrite such nodes in place, from the first on: the shape of one is needed for the next."""
    pools = [
        node for node in proto.graph.node if node.op_type in ("MaxPool", "AveragePool") and _get(node, "ceil_mode")
    ]
    while pools:
        shapes = infer()
        mended = next((node for node in pools if _mend(node, shapes.get(node.input[0], ()))), None)
        if mended is None:
            return
        pools = pools[pools.index(mended) + 1 :]


def _get(node: onnx.NodeProto, name: str) -> Sequence[int] | int | None:
    found = next((a for a in node.attribute if a.name == name), None)
    value = helper.get_attribute_value(found) if found is not None else None
    return value if isinstance(value, int) else [int(n) for n in value] if isinstance(value, list) else None


def _ints(node: onnx.NodeProto, name: str, default: list[int]) -> list[int]:
    value = _get(node, name)
    return default if value is None or isinstance(value, int) else list(value)


def _mend(node: onnx.NodeProto, shape: tuple[int, ...]) -> bool:
    rank = len(shape) - 2
    automatic = any(a.name == "auto_pad" and a.s not in (b"", b"NOTSET") for a in node.attribute)
    if rank < 1 or automatic or -1 in shape[2:]:
        return False
    ones = [1] * rank
    kernel, strides = _ints(node, "kernel_shape", ones), _ints(node, "strides", ones)
    dilations, pads = _ints(node, "dilations", ones), _ints(node, "pads", [0] * 2 * rank)
    empty = False
    for axis, size in enumerate(shape[2:]):
        before, after = pads[axis], pads[rank + axis]
        reach = (kernel[axis] - 1) * dilations[axis] + 1
        free = size + before + after - reach
        if free % strides[axis] == 0:
            continue
        start = (free // strides[axis] + 1) * strides[axis]
        if start >= size + before:
            empty = True
        elif not _get(node, "count_include_pad"):
            pads[rank + axis] = after + start - free
    if empty:
        kept = [a for a in node.attribute if a.name not in ("ceil_mode", "pads")]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute("pads", pads)])
    return empty
