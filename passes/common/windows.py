"""Sliding windows of ONNX nodes with everything implicit made explicit: ``auto_pad``, defaults, ``ceil_mode``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dialects.onnx import NodeOp


@dataclass(frozen=True)
class NodeWindow:
    """Per spatial axis: kernel, pads before and after, strides, dilations, outputs.

    ``overhang`` are the positions beyond the declared pads that ``ceil_mode`` lets the last window reach.
    """

    kernel: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    outputs: tuple[int, ...]
    overhang: tuple[int, ...]

    @property
    def pads(self) -> tuple[int, ...]:
        """ONNX order: all before, then all after."""
        return (*self.before, *self.after)


def window_of(node: NodeOp, sizes: Sequence[int], kernel: Sequence[int]) -> NodeWindow:
    """The window of a convolution or pooling node over an image of ``sizes``."""
    rank = len(sizes)
    ones = (1,) * rank
    strides, dilations = node.get_ints("strides") or ones, node.get_ints("dilations") or ones
    pads = node.get_ints("pads") or (0,) * (2 * rank)
    auto = node.get_str("auto_pad", "NOTSET")
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    before, after = list(pads[:rank]), list(pads[rank:])
    if auto == "VALID":
        before, after = [0] * rank, [0] * rank
    elif auto in ("SAME_UPPER", "SAME_LOWER"):
        for axis in range(rank):
            outputs = -(-sizes[axis] // strides[axis])
            total = max(0, (outputs - 1) * strides[axis] + reach[axis] - sizes[axis])
            less, more = total // 2, total - total // 2
            before[axis], after[axis] = (less, more) if auto == "SAME_UPPER" else (more, less)
    outputs, overhang = [], []
    for axis in range(rank):
        free = sizes[axis] + before[axis] + after[axis] - reach[axis]
        count = free // strides[axis] + 1
        if node.get_int("ceil_mode", 0) and free % strides[axis] and count * strides[axis] < sizes[axis] + before[axis]:
            count += 1  # one more window, unless it would begin in the pads behind the image
        outputs.append(count)
        overhang.append(max(0, (count - 1) * strides[axis] + reach[axis] - sizes[axis] - before[axis] - after[axis]))
    return NodeWindow(tuple(kernel), tuple(before), tuple(after), tuple(strides), tuple(dilations), tuple(outputs),
                  tuple(overhang))  # fmt: skip
