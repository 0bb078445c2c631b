"""What one pass of the array and one operation of the vector unit compute, on gathered arrays.

Shared by the meanings of ``tile`` and ``accel``, which differ in where operands come from and where results go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dialects.meaning import kernels
from dialects.meaning.kernels import Int8, Int64
from sim.machine.errors import ReconError

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]


class MeaningError(ReconError):
    """A plan or program that reads what is not there, or does what the machine would refuse."""


@dataclass(frozen=True)
class Chain:
    """Behind the accumulators: parameters uint8[8·K], zero point and clamp, then residual and table where given.

    ``ratios`` and ``bounds`` are the sum's; ``position`` that of the residual in it, ``first`` or ``second``.
    """

    params: Int8
    zero: int
    lo: int
    hi: int
    residual: Int8 | None = None
    position: str = "second"
    ratios: tuple[float, float, float] = (0.0, 0.0, 0.0)
    bounds: tuple[int, int] = (-128, 127)
    table: Int8 | None = None


def sums(
    window: Int8,
    weights: Int8,
    zero: int,
    strides: Sequence[int],
    dilations: Sequence[int],
    groups: int,
    before: Int64 | None,
    winograd: bool,
) -> Int64:
    """Accumulators int64 [rows, columns, channels] after a pass over int8 [rows, columns, channels], padding included.

    ``before`` are those of the passes before it. MeaningError where the machine would overflow.
    """  # fmt: skip
    acc = kernels.accumulate(window[None], weights, (0, 0, 0, 0), strides, dilations, groups, 0, zero)[0]
    if before is not None:
        if before.shape != acc.shape:
            raise MeaningError(f"a pass of shape {acc.shape} continues one of shape {before.shape}")
        acc = acc + before
    if not kernels.fits_int32(acc * 4 if winograd else acc):
        raise MeaningError("a sum of products does not fit int32")
    return acc


def finish(acc: Int64, chain: Chain) -> Int8:
    """The int8 result of a last pass."""
    raw = np.ascontiguousarray(chain.params).reshape(-1, 8)
    bias = raw[:, :4].copy().view(np.int32)[:, 0].astype(np.int64)
    scale = raw[:, 4:].copy().view(np.float32)[:, 0]
    total = acc + bias
    if not kernels.fits_int32(total):
        raise MeaningError("a sum of products with its bias does not fit int32")
    y = kernels.requantise(total, scale, chain.zero, chain.lo, chain.hi)
    if chain.residual is not None:
        a, b = (y, chain.residual) if chain.position == "second" else (chain.residual, y)
        y = kernels.add(a, b, chain.ratios, *chain.bounds)
    return y if chain.table is None else kernels.table_lookup(y, chain.table)


def vector(
    kind: str,
    a: Int8,
    b: Int8 | None,
    side: Int8 | None,
    law: Mapping[str, Any],
    kernel: Sequence[int],
    strides: Sequence[int],
    pads: kernels.Pads,
) -> Int8:
    """One operation on int8 [rows, columns, channels].

    ``side`` is the table or the parameters (bytes), ``law`` the numbers by the names of the instruction's fields,
    ``pads`` what surrounds ``a`` for a pool.
    """  # fmt: skip
    ra, rb, fix = law["ra"], law["rb"], law["fix"]
    za, zy, lo, hi = law["za"], law["zero_point"], law["lo"], law["hi"]
    sy = rb or 1.0
    x = np.ascontiguousarray(a)[None]
    if kind == "copy":
        if lo == hi == 0:
            lo, hi = -128, 127
        if ra == sy and za == zy:
            return np.clip(x[0], lo, hi)
        return kernels.quantise(kernels.dequantise(x[0], ra, za), sy, zy, lo, hi)
    if kind == "add":
        assert b is not None
        return kernels.add(x[0], b, (ra, rb, fix), lo, hi)
    if kind == "mul":
        assert b is not None
        return kernels.mul(x[0], za, b, law["zb"], ra, zy, lo, hi)
    if kind == "max_pool":
        return kernels.max_pool(x, kernel, pads, strides)[0]
    if kind == "average_pool":
        return kernels.average_pool(x, kernel, za, ra, sy, zy, pads, strides, law["size"] == 1, lo, hi)[0]
    if kind == "global_average_pool":
        return kernels.global_average_pool(x, za, ra, sy, zy, lo, hi)[0]
    if kind == "affine":
        assert side is not None
        pairs = np.ascontiguousarray(side).reshape(-1, 8).copy().view(np.float32)
        return kernels.affine(x[0], pairs[:, 0].copy(), pairs[:, 1].copy(), zy, lo, hi)
    if kind == "table":
        assert side is not None
        return kernels.table_lookup(x[0], side.reshape(256))
    if kind == "resize":
        return kernels.resize(x, strides)[0]
    if kind == "lrn":
        return kernels.lrn(x, law["size"], law["alpha"], law["beta"], law["bias"], ra, za, sy, zy, lo, hi)[0]
    if kind == "shuffle":
        return kernels.shuffle(x, law["size"])[0]
    raise MeaningError(f"the vector operation '{kind}' has no meaning")
