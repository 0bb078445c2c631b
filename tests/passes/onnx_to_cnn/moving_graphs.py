"""Operator groups that move elements in every way ONNX has, each between quantisers of other parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.passes.onnx_to_cnn.graphs import Graph

IMAGE = (1, 6, 7, 5)


def _through(op: Callable[[Graph, str], str], shape: Sequence[int] = IMAGE) -> Callable[[Graph], None]:
    """The group on one input, requantised behind it."""

    def make(g: Graph) -> None:
        g.output(op(g, g.input(*shape)))

    return make


def _slice(
    starts: Sequence[int], ends: Sequence[int], axes: Sequence[int], steps: Sequence[int], shape: Sequence[int] = IMAGE
) -> Callable[[Graph], None]:
    parts = [np.asarray(part, np.int64) for part in (starts, ends, axes, steps)]
    return _through(lambda g, x: g.node("Slice", x, *(g.constant(part) for part in parts)), shape)


def _gather(indices: npt.ArrayLike, axis: int, shape: Sequence[int] = IMAGE) -> Callable[[Graph], None]:
    return _through(lambda g, x: g.node("Gather", x, g.constant(np.asarray(indices, np.int64)), axis=axis), shape)


def _transpose(*order: int, shape: Sequence[int] = IMAGE) -> Callable[[Graph], None]:
    return _through(lambda g, x: g.node("Transpose", x, perm=list(order)), shape)


def _pad(mode: str, pads: Sequence[int], shape: Sequence[int] = IMAGE) -> Callable[[Graph], None]:
    return _through(lambda g, x: g.node("Pad", x, g.constant(np.asarray(pads, np.int64)), mode=mode), shape)


def _resize(
    scales: Sequence[float] | None = None,
    sizes: Sequence[int] | None = None,
    shape: Sequence[int] = IMAGE,
    **attributes: Any,
) -> Callable[[Graph], None]:
    def op(g: Graph, x: str) -> str:
        last = [g.constant(np.asarray(sizes, np.int64))] if sizes is not None else []
        factors = g.constant(np.asarray(scales if scales is not None else [], np.float32))
        return g.node("Resize", x, "", factors, *last, mode=attributes.pop("mode", "nearest"), **attributes)

    return _through(op, shape)


def _reshaped(g: Graph, x: str, first: Sequence[int], order: Sequence[int], last: Sequence[int]) -> str:
    split = g.node("Reshape", x, g.constant(np.asarray(first, np.int64)))
    return g.node("Reshape", g.node("Transpose", split, perm=list(order)), g.constant(np.asarray(last, np.int64)))


def _joined(axis: int, *shapes: Sequence[int], before: Sequence[int] | None = None) -> Callable[[Graph], None]:
    def make(g: Graph) -> None:
        values = [g.input(*shape) for shape in shapes]
        if before is not None:
            values = [g.node("Transpose", value, perm=list(before)) for value in values]
        g.output(g.node("Concat", *values, axis=axis))

    return make


def _crops_meet(g: Graph) -> None:
    """A crop added to a centre: both are slices of one tensor."""
    x = g.input(*IMAGE)

    def crop(first: int) -> str:
        bounds = ([first, first], [first + 4, first + 3], [2, 3])
        return g.node("Slice", x, *(g.constant(np.asarray(part, np.int64)) for part in bounds))

    g.output(g.node("Add", g.requantised(crop(0)), g.requantised(crop(2))))


def _expanded(shape: Sequence[int], wanted: Sequence[int]) -> Callable[[Graph], None]:
    return _through(lambda g, x: g.node("Expand", x, g.constant(np.asarray(wanted, np.int64))), shape)


def _tiled(shape: Sequence[int], repeats: Sequence[int]) -> Callable[[Graph], None]:
    return _through(lambda g, x: g.node("Tile", x, g.constant(np.asarray(repeats, np.int64))), shape)


MOVING: dict[str, Callable[[Graph], None]] = {
    "crop": _slice([1, 2], [5, -1], [2, 3], [1, 1]),
    "strided_rows": _slice([1], [100], [2], [2]),
    "strided_all": _slice([1, 0, 1], [6, 7, 5], [1, 2, 3], [2, 3, 2]),
    "backwards": _slice([-1, 4], [-100, 0], [2, 3], [-1, -2]),
    "backwards_channels": _slice([-1], [-100], [1], [-1]),
    "features": _slice([1], [9], [1], [3], (1, 12)),
    "tokens": _slice([1], [5], [1], [1], (1, 6, 8)),
    "gather_any_order": _gather([4, 0, 0, 3], 2),
    "gather_channels": _gather([[5, 0], [1, 1]], 1),
    "gather_one": _gather(2, 3),
    "gather_negative": _gather([-1, 0, -3], 3),
    "transpose_rows_columns": _transpose(0, 1, 3, 2),
    "transpose_to_last": _transpose(0, 2, 3, 1),
    "transpose_to_rows": _transpose(0, 3, 1, 2),
    "transpose_all": _transpose(0, 3, 2, 1),
    "transpose_matrix": _transpose(0, 2, 1, shape=(1, 9, 4)),
    "two_transposes": _through(lambda g, x: g.node("Transpose", g.requantised(g.node(
        "Transpose", x, perm=[0, 3, 1, 2])), perm=[0, 2, 1, 3])),
    "windows": _through(lambda g, x: _reshaped(
        g, x, (1, 6, 2, 3, 2, 4), (0, 2, 4, 3, 5, 1), (1, 4, 12, 6)), (1, 6, 6, 8)),
    "pixel_shuffle_3": _through(lambda g, x: g.node("DepthToSpace", x, blocksize=3, mode="CRD"), (1, 18, 4, 3)),
    "depth_to_space_3": _through(lambda g, x: g.node("DepthToSpace", x, blocksize=3), (1, 18, 4, 3)),
    "space_to_depth_2": _through(lambda g, x: g.node("SpaceToDepth", x, blocksize=2), (1, 3, 6, 4)),
    "space_to_depth_spelled": _through(lambda g, x: _reshaped(
        g, x, (1, 3, 3, 2, 2, 2), (0, 1, 3, 5, 2, 4), (1, 12, 3, 2)), (1, 3, 6, 4)),
    "heads": _through(lambda g, x: _reshaped(g, x, (1, 5, 2, 4), (0, 2, 3, 1), (1, 8, 5)), (1, 5, 8)),
    "pad_edge": _pad("edge", [0, 0, 2, 1, 0, 0, 0, 3]),
    "pad_reflect": _pad("reflect", [0, 0, 2, 1, 0, 0, 3, 4]),
    "pad_reflect_crop": _pad("reflect", [0, 0, -2, 1, 0, 0, 3, -1]),
    "pad_edge_channels": _pad("edge", [0, 1, 0, 0, 0, 2, 0, 0]),
    "pad_features": _through(lambda g, x: g.node("Pad", x, g.constant(np.asarray([0, 2, 0, 1])), g.constant(
        np.float32(0.5))), (1, 12)),
    "pad_tokens": _through(lambda g, x: g.node("Pad", x, g.constant(np.asarray([0, 1, 0, 0, 2, 0])), g.constant(
        np.float32(-0.3))), (1, 4, 5)),
    "concat_rows_of_last": _joined(1, (1, 4, 3, 5), (1, 4, 2, 5), before=(0, 2, 3, 1)),
    "concat_tokens": _joined(2, (1, 8, 6), (1, 8, 3)),
    "concat_columns_twice": _joined(3, (1, 4, 3, 2), (1, 4, 3, 2), (1, 4, 3, 1)),
    "crops_meet": _crops_meet,
    "expand_rows": _expanded((1, 4, 1, 5), (1, 4, 3, 5)),
    "expand_pixel": _expanded((1, 4, 1, 1), (1, 4, 3, 5)),
    "expand_channel": _expanded((1, 1, 3, 5), (1, 4, 3, 5)),
    "expand_rank": _expanded((4, 1), (1, 2, 4, 3)),
    "tile": _tiled((1, 3, 4, 2), (1, 2, 1, 3)),
    "resize_down": _resize([1, 1, 0.5, 0.4]),
    "resize_three_halves": _resize([1, 1, 1.5, 1.25], nearest_mode="floor"),
    "resize_ceil": _resize([1, 1, 1.7, 2.3], nearest_mode="ceil", coordinate_transformation_mode="asymmetric"),
    "resize_prefer_ceil": _resize([1, 1, 0.7, 2.0], nearest_mode="round_prefer_ceil"),
    "resize_corners": _resize(sizes=(1, 6, 13, 9), coordinate_transformation_mode="align_corners"),
    "resize_pytorch": _resize(sizes=(1, 6, 1, 9), coordinate_transformation_mode="pytorch_half_pixel"),
    "resize_symmetric": _resize([1, 1, 1.3, 0.6], coordinate_transformation_mode="half_pixel_symmetric"),
    "resize_channels": _resize([1, 2, 1, 1], coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
    "resize_line": _resize([1, 1, 2.5], shape=(1, 6, 7), nearest_mode="floor"),
}  # fmt: skip
"""Movements by name."""
