"""Operators that move elements and compute nothing (docs/arithmetic.md, section 9), as functions on any array."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from .geometry import Array, nearest_indices

Move: TypeAlias = Callable[[Array], Array]

SINGLE_INPUT = frozenset(
    "Reshape Flatten Transpose Squeeze Unsqueeze Slice Split Resize Upsample DepthToSpace SpaceToDepth "
    "Gather Expand Identity Dropout Tile".split()
)


def integers(value: object) -> list[int]:
    """A list of Python integers from an attribute or a constant input."""
    return [int(item) for item in np.asarray(value).ravel()]


def reshape(array: Array, wanted: Sequence[int], allow_zero: bool) -> Array:
    shape = [array.shape[axis] if size == 0 and not allow_zero else size for axis, size in enumerate(wanted)]
    return array.reshape(shape)


def slice_parts(
    rank: int,
    starts: Sequence[int],
    ends: Sequence[int],
    axes: Sequence[int],
    steps: Sequence[int],
    shape: Sequence[int],
) -> tuple[slice, ...]:
    """ONNX's Slice as Python slices: negative indices count from the end, both are clipped."""
    parts = [slice(None)] * rank
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        size = shape[axis]
        start = start + size if start < 0 else start
        end = end + size if end < 0 else end
        if step > 0:
            parts[axis] = slice(min(max(start, 0), size), min(max(end, 0), size), step)
        else:
            end = min(max(end, -1), size - 1)
            parts[axis] = slice(min(max(start, 0), size - 1), None if end < 0 else end, step)
    return tuple(parts)


def depth_to_space(array: Array, block: int, column_row: bool) -> Array:
    batch, channels, height, width = array.shape
    depth = channels // (block * block)
    if column_row:
        split = array.reshape(batch, depth, block, block, height, width).transpose(0, 1, 4, 2, 5, 3)
    else:
        split = array.reshape(batch, block, block, depth, height, width).transpose(0, 3, 4, 1, 5, 2)
    return split.reshape(batch, depth, height * block, width * block)


def space_to_depth(array: Array, block: int) -> Array:
    batch, channels, height, width = array.shape
    split = array.reshape(batch, channels, height // block, block, width // block, block).transpose(0, 3, 5, 1, 2, 4)
    return split.reshape(batch, channels * block * block, height // block, width // block)


def resize_nearest(array: Array, attributes: dict[str, Any], inputs: Sequence[Array | None], opset: int) -> Array:
    """Resize (opset 11 on: X, roi, scales, sizes) or Upsample / Resize-10 (X, scales) in nearest mode."""
    if attributes.get("mode", b"nearest") != b"nearest":
        raise ValueError("Resize has a law in nearest mode only; run the other modes on the host.")
    modern = opset >= 11
    scales = inputs[1] if len(inputs) > 1 and modern else (inputs[0] if inputs else None)
    if scales is None and "scales" in attributes:
        scales = np.asarray(attributes["scales"], np.float32)
    sizes = inputs[2] if modern and len(inputs) > 2 else None
    coordinate = attributes.get("coordinate_transformation_mode", b"half_pixel" if modern else b"asymmetric").decode()
    rounding = attributes.get("nearest_mode", b"round_prefer_floor" if modern else b"floor").decode()
    axes = integers(attributes["axes"]) if "axes" in attributes else list(range(array.ndim))
    for position, axis in enumerate(axes):
        size = array.shape[axis]
        if sizes is not None and sizes.size:
            out_size = int(sizes.ravel()[position])
            scale = np.float32(np.float32(out_size) / np.float32(size))
        else:
            assert scales is not None
            scale = np.float32(scales.ravel()[position])
            out_size = int(np.floor(np.float32(size) * scale))
        if out_size != size:
            array = np.take(array, nearest_indices(size, out_size, scale, coordinate, rounding), axis=axis)
    return array


def split_part(array: Array, axis: int, index: int, count: int, widths: Sequence[int] | None) -> Array:
    """One of ``count`` parts of an array along an axis: of these widths, or even, the last one smaller."""
    size = array.shape[axis]
    whole = -(-size // count)
    widths = [min(whole, size - whole * i) for i in range(count)] if widths is None else widths
    start = sum(widths[:index])
    return np.take(array, np.arange(start, start + widths[index]), axis=axis)


def moves(
    op_type: str, attributes: dict[str, Any], inputs: Sequence[Array | None], outputs: int, opset: int
) -> list[Move]:
    """One function per output. `inputs` are the constant inputs after the first; absent ones are None."""

    def given(position: int, name: str) -> Any:
        return inputs[position] if len(inputs) > position and inputs[position] is not None else attributes.get(name)

    match op_type:
        case "Identity":
            return [lambda array: array]
        case "Dropout":
            if outputs > 1 or bool(np.any(given(1, "training_mode") or 0)):
                raise ValueError("a Dropout that trains or gives its mask has no law.")
            return [lambda array: array]
        case "Reshape":
            wanted = integers(given(0, "shape"))
            return [lambda array: reshape(array, wanted, bool(attributes.get("allowzero", 0)))]
        case "Flatten":
            axis = int(attributes.get("axis", 1))
            return [lambda array: array.reshape(int(np.prod(array.shape[:axis])), -1)]
        case "Transpose":
            return [lambda array: array.transpose(attributes.get("perm"))]
        case "Squeeze":
            axes = given(0, "axes")
            return [lambda array: array.squeeze(None if axes is None else tuple(integers(axes)))]
        case "Unsqueeze":
            return [lambda array: np.expand_dims(array, tuple(integers(given(0, "axes"))))]
        case "Expand":
            wanted = integers(given(0, "shape"))
            return [lambda array: np.broadcast_to(array, np.broadcast_shapes(array.shape, tuple(wanted)))]
        case "Tile":
            return [lambda array: np.tile(array, integers(given(0, "repeats")))]
        case "Gather":
            indices = inputs[0]
            assert indices is not None
            return [lambda array: np.take(array, indices, axis=int(attributes.get("axis", 0)))]
        case "DepthToSpace":
            column_row = attributes.get("mode", b"DCR") == b"CRD"
            return [lambda array: depth_to_space(array, int(attributes["blocksize"]), column_row)]
        case "SpaceToDepth":
            return [lambda array: space_to_depth(array, int(attributes["blocksize"]))]
        case "Resize" | "Upsample":
            return [lambda array: resize_nearest(array, attributes, inputs, opset)]
        case "Slice":
            starts, ends = integers(given(0, "starts")), integers(given(1, "ends"))
            axes = given(2, "axes")
            axes = list(range(len(starts))) if axes is None else integers(axes)
            steps = integers(inputs[3]) if len(inputs) > 3 and inputs[3] is not None else [1] * len(starts)
            return [lambda array: array[slice_parts(array.ndim, starts, ends, axes, steps, array.shape)]]
        case "Split":
            axis = int(attributes.get("axis", 0))
            lengths = given(0, "split")
            widths = None if lengths is None else integers(lengths)
            return [
                functools.partial(split_part, axis=axis, index=i, count=outputs, widths=widths) for i in range(outputs)
            ]
        case _:
            raise ValueError(f"{op_type} is no movement.")


def pad(array: Array, attributes: dict[str, Any], inputs: Sequence[Array | None], value: Any) -> Array:
    """Pad with `value`, or by reflection, edge or wrapping."""
    amounts = integers(inputs[0] if inputs else attributes["pads"])
    axes = integers(inputs[2]) if len(inputs) > 2 and inputs[2] is not None else list(range(array.ndim))
    margins = [(0, 0)] * array.ndim
    for position, axis in enumerate(axes):
        margins[axis] = (amounts[position], amounts[position + len(axes)])
    crop = tuple(
        slice(max(0, -low), size - max(0, -high)) for (low, high), size in zip(margins, array.shape, strict=True)
    )
    grow = [(max(0, low), max(0, high)) for low, high in margins]
    match attributes.get("mode", b"constant"):
        case b"constant":
            return np.pad(array[crop], grow, constant_values=value)
        case b"reflect":
            return np.pad(array[crop], grow, mode="reflect")
        case b"edge":
            return np.pad(array[crop], grow, mode="edge")
        case _:
            return np.pad(array[crop], grow, mode="wrap")
