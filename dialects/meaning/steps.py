"""What one pass of the array and one operation of the vector unit compute, on gathered arrays.

Shared by the meanings of ``tile`` and ``accel``, which differ in where operands come from and where results go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from xdsl.ir import Operation

from dialects.meaning import kernels
from dialects.meaning.kernels import Int8, Int64
from dialects.text import place_in_text
from sim.machine.errors import ReconError

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]


class MeaningError(ReconError):
    """A plan or program that reads what is not there, or does what the machine would refuse."""


def placed(op: Operation, error: Exception) -> MeaningError:
    """The error of running an operation, beginning with the operation's place in the text if that is known."""
    said = str(error) if isinstance(error, ReconError) else f"{op.name}: {error}"
    place = place_in_text(op)
    return MeaningError(f"{place}: {said}" if place and not said.startswith(place) else said)


@dataclass(frozen=True)
class Chain:
    """Behind the accumulators: parameters uint8[8·K], zero point and clamp, then residual and table where given.

    ``ratios`` and ``bounds`` are the sum's; ``position`` that of the residual in it, ``first`` or ``second``, or
    ``wide`` for a residual that joins before the rounding. ``is_float`` leaves float32 instead, 4 bytes per channel.
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
    is_float: bool = False


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

    Many parameters: what a pass is given, which is no object of its own at either level.
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
    """The int8 result of a last pass, or the bytes of its float32 result."""
    raw = np.ascontiguousarray(chain.params).reshape(-1, 8)
    bias = raw[:, :4].copy().view(np.int32)[:, 0].astype(np.int64)
    scale = raw[:, 4:].copy().view(np.float32)[:, 0]
    total = acc + bias
    if not kernels.fits_int32(total):
        raise MeaningError("a sum of products with its bias does not fit int32")
    if chain.is_float:
        if chain.residual is not None or chain.table is not None:
            raise MeaningError("a float32 result takes neither a residual nor a table")
        return kernels.scaled(total, scale).astype("<f4").view(np.int8)
    if chain.residual is not None and chain.position == "wide":
        y = kernels.requantise_sum(total, scale, chain.residual, chain.ratios, *chain.bounds)
        return y if chain.table is None else kernels.table_lookup(y, chain.table)
    y = kernels.requantise(total, scale, chain.zero, chain.lo, chain.hi)
    if chain.residual is not None:
        a, b = (y, chain.residual) if chain.position == "second" else (chain.residual, y)
        y = kernels.add(a, b, chain.ratios, *chain.bounds)
    return y if chain.table is None else kernels.table_lookup(y, chain.table)


class Law(Protocol):
    """The numbers of an operation by the names of the instruction's fields; only those it needs are looked at."""

    def __getitem__(self, name: str, /) -> Any: ...


@dataclass(frozen=True)
class Operands:
    """What an operation works on: ``a`` and ``b`` int8 [rows, columns, channels], ``side`` the table or the parameters
    (bytes); ``kernel``, ``strides`` and ``pads`` (what surrounds ``a``) of an operation with a window."""

    a: Int8
    b: Int8 | None = None
    side: Int8 | None = None
    kernel: Sequence[int] = (1, 1)
    strides: Sequence[int] = (1, 1)
    pads: kernels.Pads = (0, 0, 0, 0)

    @property
    def image(self) -> Int8:
        """``a`` as a batch of one."""
        return np.ascontiguousarray(self.a)[None]

    @property
    def second(self) -> Int8:
        if self.b is None:
            raise MeaningError("it has no second operand")
        return self.b

    @property
    def bytes(self) -> Int8:
        if self.side is None:
            raise MeaningError("it has neither table nor parameters")
        return np.ascontiguousarray(self.side)


def _copy(of: Operands, law: Law) -> Int8:
    ra, sy, za, zy, lo, hi = law["ra"], law["rb"] or 1.0, law["za"], law["zero_point"], law["lo"], law["hi"]
    if lo == hi == 0:
        lo, hi = -128, 127
    if ra == sy and za == zy:
        return np.clip(of.a, lo, hi)
    return kernels.quantise(kernels.dequantise(of.a, ra, za), sy, zy, lo, hi)


def _add(of: Operands, law: Law) -> Int8:
    return kernels.add(of.a, of.second, (law["ra"], law["rb"], law["fix"]), law["lo"], law["hi"])


def _mul(of: Operands, law: Law) -> Int8:
    zero, lo, hi = law["zero_point"], law["lo"], law["hi"]
    return kernels.mul(of.a, law["za"], of.second, law["zb"], law["ra"], zero, lo, hi)


def _max_pool(of: Operands, _law: Law) -> Int8:
    return kernels.max_pool(of.image, of.kernel, of.pads, of.strides)[0]


def _average_pool(of: Operands, law: Law) -> Int8:
    scales = law["za"], law["ra"], law["rb"] or 1.0, law["zero_point"]
    counted, lo, hi = law["size"] == 1, law["lo"], law["hi"]
    return kernels.average_pool(of.image, of.kernel, *scales, of.pads, of.strides, counted, lo, hi)[0]


def _global_average_pool(of: Operands, law: Law) -> Int8:
    scales = law["za"], law["ra"], law["rb"] or 1.0, law["zero_point"]
    return kernels.global_average_pool(of.image, *scales, law["lo"], law["hi"])[0]


def _affine(of: Operands, law: Law) -> Int8:
    pairs = of.bytes.reshape(-1, 8).copy().view(np.float32)
    return kernels.affine(of.a, pairs[:, 0].copy(), pairs[:, 1].copy(), law["zero_point"], law["lo"], law["hi"])


def _table(of: Operands, _law: Law) -> Int8:
    return kernels.table_lookup(of.a, of.bytes.reshape(256))


def _resize(of: Operands, _law: Law) -> Int8:
    return kernels.resize(of.image, of.strides)[0]


def _lrn(of: Operands, law: Law) -> Int8:
    window = law["size"], law["alpha"], law["beta"], law["bias"]
    scales = law["ra"], law["za"], law["rb"] or 1.0, law["zero_point"]
    return kernels.lrn(of.image, *window, *scales, law["lo"], law["hi"])[0]


def _shuffle(of: Operands, law: Law) -> Int8:
    return kernels.shuffle(of.image, law["size"])[0]


def _chosen(choose: Callable[[Int8, Int8], Int8]) -> Callable[[Operands, Law], Int8]:
    return lambda of, law: np.clip(choose(of.a, of.second), law["lo"], law["hi"])


VECTOR: Mapping[str, Callable[[Operands, Law], Int8]] = {
    "copy": _copy,
    "add": _add,
    "mul": _mul,
    "max_pool": _max_pool,
    "average_pool": _average_pool,
    "global_average_pool": _global_average_pool,
    "affine": _affine,
    "table": _table,
    "resize": _resize,
    "lrn": _lrn,
    "shuffle": _shuffle,
    "max": _chosen(np.maximum),
    "min": _chosen(np.minimum),
}
"""What every operation of the vector unit computes; a test compares the keys with its rows."""


def vector(kind: str, operands: Operands, law: Law) -> Int8:
    """The int8 [rows, columns, channels] that an operation makes; MeaningError for one that has no meaning."""
    if kind not in VECTOR:
        raise MeaningError(f"the vector operation '{kind}' has no meaning")
    return VECTOR[kind](operands, law)
