"""Windows over spatial axes: convolution sums, pools, nearest-neighbour indices. Exact integers, any number of axes.

Tensors are `N C spatial...`, weights `K C/groups kernel...`. Products are summed in float64 by BLAS, which is exact
while sums stay below 2**53; 8-bit codes would need 10**11 terms to get there.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .laws import CODE_MIN, F64, Ints

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class Window:
    """A sliding window; every field has one entry per spatial axis. Pads are in positions of the input."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads_begin: tuple[int, ...]
    pads_end: tuple[int, ...]
    outputs: tuple[int, ...]

    def overhang(self, sizes: Sequence[int]) -> list[tuple[int, int]]:
        """Positions to add before and after each axis so that every tap of every window exists."""
        result: list[tuple[int, int]] = []
        for axis, size in enumerate(sizes):
            reach = (self.outputs[axis] - 1) * self.strides[axis] + (self.kernel[axis] - 1) * self.dilations[axis] + 1
            result.append((self.pads_begin[axis], max(0, reach - self.pads_begin[axis] - size)))
        return result


def make_window(
    sizes: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int] | None,
    dilations: Sequence[int] | None,
    pads: Sequence[int] | None,
    auto_pad: str,
    ceil_mode: bool = False,
) -> Window:
    """Resolve ONNX's attributes against the input's spatial `sizes`."""
    rank = len(sizes)
    strides = strides or [1] * rank
    dilations = dilations or [1] * rank
    begin, end = [0] * rank, [0] * rank
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        for axis in range(rank):
            reach = (kernel[axis] - 1) * dilations[axis] + 1
            count = -(-sizes[axis] // strides[axis])
            total = max(0, (count - 1) * strides[axis] + reach - sizes[axis])
            begin[axis] = total // 2 if auto_pad == "SAME_UPPER" else total - total // 2
            end[axis] = total - begin[axis]
    elif auto_pad != "VALID" and pads:
        begin, end = list(pads[:rank]), list(pads[rank:])
    outputs: list[int] = []
    for axis in range(rank):
        span = sizes[axis] + begin[axis] + end[axis] - (kernel[axis] - 1) * dilations[axis] - 1
        count = (-(-span // strides[axis]) if ceil_mode else span // strides[axis]) + 1
        if ceil_mode and (count - 1) * strides[axis] >= sizes[axis] + begin[axis]:
            count -= 1  # a window may not start in the pads at the end
        outputs.append(count)
    return Window(tuple(kernel), tuple(strides), tuple(dilations), tuple(begin), tuple(end), tuple(outputs))


def taps(window: Window) -> itertools.product[tuple[int, ...]]:
    """All kernel positions in row-major order."""
    return itertools.product(*(range(extent) for extent in window.kernel))


def tap_slices(window: Window, tap: Sequence[int]) -> tuple[slice, ...]:
    """Where one tap of all windows lies in the padded input."""
    parts: list[slice] = []
    for axis, position in enumerate(tap):
        start = position * window.dilations[axis]
        parts.append(slice(start, start + (window.outputs[axis] - 1) * window.strides[axis] + 1, window.strides[axis]))
    return (slice(None), slice(None), *parts)


def convolve(values: Ints | F64, weights: Ints | F64, window: Window, groups: int) -> F64:
    """Sums of products `N K outputs...`; padded positions add 0."""
    batch, channels = values.shape[:2]
    out_channels = weights.shape[0]
    per_group, out_per_group = channels // groups, out_channels // groups
    pads = [(0, 0), (0, 0), *window.overhang(values.shape[2:])]
    padded = np.pad(values.astype(np.float64), pads)
    area = math.prod(window.outputs)
    result = np.zeros((batch, groups, out_per_group, area), np.float64)
    kernels = weights.astype(np.float64).reshape(groups, out_per_group, per_group, *window.kernel)
    for tap in taps(window):
        inputs = np.ascontiguousarray(padded[tap_slices(window, tap)]).reshape(batch, groups, per_group, area)
        weight = np.ascontiguousarray(kernels[(..., *tap)])
        result += weight * inputs if per_group == 1 else np.matmul(weight, inputs)
    return result.reshape(batch, out_channels, *window.outputs)


def convolve_transposed(
    values: Ints | F64,
    weights: Ints | F64,
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Sequence[int],
    output_padding: Sequence[int],
    groups: int,
) -> F64:
    """Transposed convolution; `weights` are `C K/groups kernel...`."""
    rank = values.ndim - 2
    kernel = weights.shape[2:]
    stretched_shape = [(size - 1) * stride + 1 for size, stride in zip(values.shape[2:], strides, strict=True)]
    stretched = np.zeros((*values.shape[:2], *stretched_shape), np.float64)
    stretched[(slice(None), slice(None), *(slice(None, None, stride) for stride in strides))] = values
    margins: list[tuple[int, int]] = [(0, 0), (0, 0)]
    for axis in range(rank):
        reach = (kernel[axis] - 1) * dilations[axis]
        margins.append((reach, reach + output_padding[axis]))
    full = np.pad(stretched, margins)
    channels = values.shape[1]
    split = weights.reshape(groups, channels // groups, *weights.shape[1:])
    flipped = np.flip(split.swapaxes(1, 2), axis=tuple(range(3, 3 + rank)))
    flipped = flipped.reshape(groups * weights.shape[1], channels // groups, *kernel)
    result = convolve(full, flipped, make_window(full.shape[2:], kernel, [1] * rank, dilations, None, "NOTSET"), groups)
    crop = [slice(pads[axis], result.shape[2 + axis] - pads[rank + axis]) for axis in range(rank)]
    return result[(slice(None), slice(None), *crop)]


def pool_max(codes: Ints, window: Window) -> Ints:
    """The largest code of each window; padding is the smallest code, so it never wins."""
    padded = np.pad(codes, [(0, 0), (0, 0), *window.overhang(codes.shape[2:])], constant_values=CODE_MIN)
    result = np.full((*codes.shape[:2], *window.outputs), CODE_MIN, np.int64)
    for tap in taps(window):
        result = np.maximum(result, padded[tap_slices(window, tap)])
    return result


def pool_sum(values: Array, window: Window, count_include_pad: bool) -> tuple[Array, Ints]:
    """Sums of each window, and the number of positions that count (shape `1 1 outputs...`)."""
    margins = window.overhang(values.shape[2:])
    padded = np.pad(values, [(0, 0), (0, 0), *margins])
    inside = np.ones((1, 1, *values.shape[2:]), np.int64)
    if count_include_pad:
        declared = list(zip(window.pads_begin, window.pads_end, strict=True))
        inside = np.pad(inside, [(0, 0), (0, 0), *declared], constant_values=1)
        rest = [(0, max(0, have[1] - said[1])) for have, said in zip(margins, declared, strict=True)]
        inside = np.pad(inside, [(0, 0), (0, 0), *rest])
    else:
        inside = np.pad(inside, [(0, 0), (0, 0), *margins])
    total = np.zeros((*values.shape[:2], *window.outputs), values.dtype)
    count = np.zeros((1, 1, *window.outputs), np.int64)
    for tap in taps(window):
        total += padded[tap_slices(window, tap)]
        count += inside[tap_slices(window, tap)]
    return total, count


def nearest_indices(size: int, out_size: int, scale: np.float32, coordinate: str, rounding: str) -> Ints:
    """Source index of every output position of Resize in nearest mode, in float32."""
    half, one = np.float32(0.5), np.float32(1)
    position = np.arange(out_size).astype(np.float32)
    if coordinate == "asymmetric":
        source = position / scale
    elif coordinate == "half_pixel" or (coordinate == "pytorch_half_pixel" and out_size > 1):
        source = (position + half) / scale - half
    elif coordinate == "pytorch_half_pixel" or (coordinate == "align_corners" and out_size == 1):
        source = np.zeros_like(position)
    elif coordinate == "half_pixel_symmetric":
        adjusted = np.float32(out_size) / (scale * np.float32(size))
        source = np.float32(size) / np.float32(2) * (one - adjusted) + (position + half) / scale - half
    elif coordinate == "align_corners":
        source = position * np.float32(size - 1) / (np.float32(out_size) - one)
    else:
        raise ValueError(f"Resize with coordinate_transformation_mode {coordinate!r} has no law.")
    rounded = {
        "round_prefer_floor": np.ceil(source - half),
        "round_prefer_ceil": np.floor(source + half),
        "floor": np.floor(source),
        "ceil": np.ceil(source),
    }[rounding]
    return np.clip(rounded.astype(np.int64), 0, size - 1)
