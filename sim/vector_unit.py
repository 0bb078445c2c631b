"""The vector unit: one function per operation of ``isa.VECTOR_OPS``.

An operation reads its operands from SRAM and gives the int8[oy, ox, channels] it would write; ``run`` writes them.
``copy``, the averages and ``lrn`` take the input's scale in ``ra`` and the output's in ``rb``; rb = 0 counts as 1, so
that one ratio in ``ra`` will do where the arithmetic page allows it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sim import arithmetic
from sim.convolution import Window, taps
from sim.machine.isa import VECTOR_OPS
from sim.memory import Codes, Fields, Memory, Violation, contiguous, read_operand, write_operand

Operation = Callable[[Memory, Fields], Codes]
OPERATIONS: dict[str, Operation] = {}
"""Every operation by name; a test compares the keys with ``isa.VECTOR_OPS``."""


def operation(name: str) -> Callable[[Operation], Operation]:
    """Register the meaning of a vector operation."""

    def register(function: Operation) -> Operation:
        OPERATIONS[name] = function
        return function

    return register


def run(sram: Memory, fields: Fields) -> None:
    """Carry out one ``vector`` instruction; Violation says why it cannot be."""
    write_operand(sram, fields, "out", OPERATIONS[VECTOR_OPS[fields["op"]]](sram, fields))


def _shape(fields: Fields) -> tuple[int, int, int]:
    return fields["oy"], fields["ox"], fields["channels"]


def _a(sram: Memory, fields: Fields) -> Codes:
    return read_operand(sram, fields, "a", _shape(fields))


def _b(sram: Memory, fields: Fields) -> Codes:
    pixel = (1, 1, fields["channels"]) if fields["b_broadcast"] else _shape(fields)
    return read_operand(sram, fields, "b", pixel)


def _clamp(fields: Fields) -> tuple[int, int, int]:
    return fields["zero_point"], fields["lo"], fields["hi"]


def _scales(fields: Fields) -> tuple[float, float]:
    return fields["ra"], fields["rb"] or 1.0


@operation("copy")
def copy(sram: Memory, fields: Fields) -> Codes:
    """Move codes, requantised where scale or zero point changes; an all-zero clamp (lo = hi = 0) is none."""
    sx, sy = _scales(fields)
    zero_point, lo, hi = _clamp(fields)
    if lo == hi == 0:
        lo, hi = -128, 127
    x = _a(sram, fields)
    if sx == sy and fields["za"] == zero_point:
        moved = x.copy()
        return moved if (lo, hi) == (-128, 127) else np.minimum(np.maximum(moved, np.int8(lo)), np.int8(hi))
    return arithmetic.rescale(x, fields["za"], sx, sy, zero_point, lo, hi)


@operation("add")
def add(sram: Memory, fields: Fields) -> Codes:
    """The sum of two tensors, or of a tensor and one pixel."""
    lo, hi = fields["lo"], fields["hi"]
    return arithmetic.add(_a(sram, fields), _b(sram, fields), fields["ra"], fields["rb"], fields["fix"], lo, hi)


@operation("mul")
def mul(sram: Memory, fields: Fields) -> Codes:
    """The product of two tensors, or of a tensor and one pixel (squeeze and excite)."""
    a, b = _a(sram, fields), _b(sram, fields)
    return arithmetic.multiply(a, b, fields["za"], fields["zb"], fields["ra"], *_clamp(fields))


def _window(fields: Fields) -> Window:
    return Window(fields["oy"], fields["ox"], fields["fy"], fields["fx"], fields["sy"], fields["sx"])


def _pooled(sram: Memory, fields: Fields, window: Window, pad_value: int) -> Codes:
    pads = (fields["top"], fields["bottom"], fields["left"], fields["right"])
    return read_operand(sram, fields, "a", (window.rows, window.columns, fields["channels"]), pads, pad_value)


@operation("max_pool")
def max_pool(sram: Memory, fields: Fields) -> Codes:
    """The largest code of each window; padding never wins, a window of nothing but padding gives −128."""
    window = _window(fields)
    view = taps(_pooled(sram, fields, window, -128), window, window.oy)
    best = np.full(_shape(fields), -128, np.int8)
    for row in range(window.fy):
        for column in range(window.fx):
            np.maximum(best, view[:, :, row, column], out=best)
    return best


@operation("average_pool")
def average_pool(sram: Memory, fields: Fields) -> Codes:
    """The average of each window over the positions that count: all if ``size`` is 1, else those not padded."""
    window = _window(fields)
    x = _pooled(sram, fields, window, fields["za"])
    view = taps(x, window, window.oy)
    sums = np.zeros(_shape(fields), np.int32)
    for row in range(window.fy):
        for column in range(window.fx):
            np.add(sums, view[:, :, row, column], out=sums, casting="unsafe")
    sums -= np.int32(window.fy * window.fx * fields["za"])
    if fields["size"] == 1:
        counts = np.full((window.oy, window.ox), window.fy * window.fx, np.int64)
    else:
        rows = _real(window.oy, window.fy, window.sy, fields["top"], window.rows - fields["bottom"])
        columns = _real(window.ox, window.fx, window.sx, fields["left"], window.columns - fields["right"])
        counts = np.maximum(np.outer(rows, columns), 1)
    scales = arithmetic.average_scales(*_scales(fields), counts)
    return arithmetic.average(sums.astype(np.int64), scales[:, :, None], *_clamp(fields))


def _real(outputs: int, kernel: int, stride: int, low: int, high: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """How many of each output's window positions, along one axis, lie in low … high − 1."""
    first = np.arange(outputs, dtype=np.int64) * stride
    return np.maximum(np.minimum(first + kernel, high) - np.maximum(first, low), 0)


@operation("global_average_pool")
def global_average_pool(sram: Memory, fields: Fields) -> Codes:
    """The average over all iy × ix pixels of each channel."""
    iy, ix = fields["iy"], fields["ix"]
    if (fields["oy"], fields["ox"]) != (1, 1) or iy == 0 or ix == 0:
        raise Violation(
            f"a global average makes 1 × 1 pixels of at least one, not {fields['oy']} × {fields['ox']} of {iy} × {ix}."
        )
    x = read_operand(sram, fields, "a", (iy, ix, fields["channels"]))
    sums = x.sum(axis=(0, 1), dtype=np.int64) - iy * ix * fields["za"]
    scales = arithmetic.average_scales(*_scales(fields), np.array(iy * ix, np.int64))
    return arithmetic.average(sums.reshape(1, 1, -1), scales, *_clamp(fields))


@operation("affine")
def affine(sram: Memory, fields: Fields) -> Codes:
    """A float32 factor and offset per channel, interleaved at ``params``."""
    raw = sram.read(contiguous(fields["params"], 8 * fields["channels"])).tobytes()
    pairs = np.frombuffer(raw, "<f4").reshape(-1, 2)
    return arithmetic.affine(_a(sram, fields), pairs[:, 0].copy(), pairs[:, 1].copy(), *_clamp(fields))


def read_table(sram: Memory, address: int) -> Codes:
    """The 256 int8 values at an address."""
    return sram.read(contiguous(address, 256)).reshape(256).copy().view(np.int8)


@operation("table")
def table(sram: Memory, fields: Fields) -> Codes:
    """Any function of one int8: 256 values at ``table``, indexed by value + 128."""
    return arithmetic.look_up(_a(sram, fields), read_table(sram, fields["table"]))


@operation("resize")
def resize(sram: Memory, fields: Fields) -> Codes:
    """Nearest neighbour by whole factors: out[y, x] = in[y // sy, x // sx]."""
    oy, ox, channels = _shape(fields)
    sy, sx = fields["sy"], fields["sx"]
    x = read_operand(sram, fields, "a", (-(-oy // sy), -(-ox // sx), channels))
    return x[(np.arange(oy) // sy)[:, None], (np.arange(ox) // sx)[None, :]]


@operation("lrn")
def lrn(sram: Memory, fields: Fields) -> Codes:
    """Local response normalisation over ``size`` channels."""
    if fields["size"] == 0:
        raise Violation("a local response normalisation needs a window of at least one channel.")
    sx, sy = _scales(fields)
    return arithmetic.lrn(
        _a(sram, fields),
        fields["za"],
        fields["size"],
        fields["alpha"],
        fields["beta"],
        fields["bias"],
        sx,
        sy,
        *_clamp(fields),
    )


@operation("shuffle")
def shuffle(sram: Memory, fields: Fields) -> Codes:
    """Channels as [size, C/size] transposed: output channel j·size + i is input channel i·(C/size) + j."""
    oy, ox, channels = _shape(fields)
    size = fields["size"]
    if size == 0 or channels % size:
        raise Violation(f"a shuffle in {size} groups cannot divide {channels} channels.")
    x = _a(sram, fields)
    return np.ascontiguousarray(np.moveaxis(x.reshape(oy, ox, size, channels // size), 2, 3)).reshape(oy, ox, channels)


@operation("max")
def maximum(sram: Memory, fields: Fields) -> Codes:
    """The greater of two codes."""
    return np.maximum(_a(sram, fields), _b(sram, fields)).clip(fields["lo"], fields["hi"])


@operation("min")
def minimum(sram: Memory, fields: Fields) -> Codes:
    """The lesser of two codes."""
    return np.minimum(_a(sram, fields), _b(sram, fields)).clip(fields["lo"], fields["hi"])
