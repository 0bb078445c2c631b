"""What an ONNX value can be while a quantised graph is read.

Between a DequantizeLinear and the next QuantizeLinear nothing is computed: a value is an expression that waits, because
the laws round where the QuantizeLinear says with which scale and zero point, and nowhere else. ``settle`` then turns
the expression into cnn operations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.ir import SSAValue

from dialects.onnx import NodeOp
from passes.onnx_to_cnn.view import View

Array = npt.NDArray[Any]
Trail = tuple[NodeOp, ...]
"""The nodes an expression has absorbed, first to last."""


PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators that are the machine's reason to be: where the host computes one, its multiplications are counted."""

MOVEMENTS = ("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "DepthToSpace", "SpaceToDepth")
"""Operators that only say where elements lie; they cost something where an operation needs another order."""


class Unsupported(Exception):
    """A node without a cnn form; the text is the sentence the user reads.

    ``node`` is the node to blame where that is not the one being read.
    """

    def __init__(self, sentence: str, node: NodeOp | None = None):
        super().__init__(sentence)
        self.node = node


@dataclass(eq=False)
class Quant:
    """Scale (float32 as a Python float) and zero point of int8 codes."""

    scale: float
    zero: int

    def same(self, other: Quant) -> bool:
        return self.scale == other.scale and self.zero == other.zero


@dataclass(eq=False)
class PerChannel:
    """One scale and zero point per index of an ONNX axis. ``exact``: the codes are those of these scales, and the
    tensor's own scale is a power of two that stands for them; else the tensor has one scale in their place."""

    scale: npt.NDArray[np.float32]
    zero: npt.NDArray[np.int64]
    axis: int
    exact: bool = True

    def same(self, other: PerChannel) -> bool:
        """Whether the numbers are the same."""
        return (
            self.axis == other.axis
            and np.array_equal(self.scale, other.scale)
            and np.array_equal(self.zero, other.zero)
        )


@dataclass(eq=False)
class Storage:
    """Where codes are: an int8 NHWC ``value``; a ``source`` tensor that the host holds; or ``make`` to be called first.

    ``node`` is the one whose work ``make`` does.
    """

    value: SSAValue | None = None
    source: SSAValue | None = None
    make: Callable[[], SSAValue] | None = None
    node: NodeOp | None = None
    unsigned: bool = False

    def force(self) -> SSAValue | None:
        """The int8 value, made now if it was not yet; None for what the host holds."""
        if self.value is None and self.make is not None:
            try:
                self.value = self.make()
            except Unsupported as problem:
                problem.node = problem.node or self.node
                raise
        return self.value


@dataclass(eq=False)
class Codes:
    """An int8 tensor (uint8 shifted by 128): storage, where its elements lie, what they mean.

    ``mover`` is the node that gave it this view, if one did; ``meant`` the scales and zero points per channel with
    which a QuantizeLinear made it, and the axis of its channels.
    """

    storage: Storage
    view: View
    quant: Quant
    meant: PerChannel | None = None
    mover: NodeOp | None = None
    memo: dict[Any, Any] = field(default_factory=dict[Any, Any])

    @property
    def shape(self) -> tuple[int, ...]:
        return self.view.shape

    def seen(self, view: View) -> Codes:
        """The same codes under another view."""
        return Codes(self.storage, view, self.quant)


@dataclass(eq=False)
class Raw:
    """An 8-bit tensor that the host holds, whose scale a DequantizeLinear has yet to tell."""

    source: SSAValue
    view: View
    unsigned: bool


@dataclass(eq=False)
class Known:
    """Constant numbers."""

    array: Array


@dataclass(eq=False)
class KnownCodes:
    """A dequantised constant: signed integers (uint8 shifted by 128) with scales and zero points along ``axis``."""

    codes: Array
    scale: npt.NDArray[np.float32]
    zero: npt.NDArray[np.int64]
    axis: int
    element: str

    @property
    def real(self) -> npt.NDArray[np.float32]:
        """DQ: exact difference, one float32 multiply."""
        return (self.codes.astype(np.int64) - self.along(self.zero)).astype(np.float32) * self.along(self.scale)

    def along(self, vector: Array) -> Array:
        """A vector shaped to broadcast along ``axis``."""
        if vector.size == 1:
            return vector.reshape(())
        shape = [1] * self.codes.ndim
        shape[self.axis] = -1
        return vector.reshape(shape)


@dataclass(eq=False)
class Host:
    """A tensor that the host holds: an input of the graph, or what a host operator makes."""

    value: SSAValue


@dataclass(eq=False)
class Real:
    """Base of the expressions. ``shape`` is the ONNX shape."""

    shape: tuple[int, ...]
    trail: Trail


@dataclass(eq=False)
class Dequantised(Real):
    """A plain DQ of codes."""

    codes: Codes


@dataclass(frozen=True)
class Phase:
    """Along one axis, every s-th output of a transposed convolution: ``count`` of them, from ``taps`` (None: a weight
    of zero) ``dilation`` input positions apart, padded ``before`` and ``after``."""

    count: int
    taps: tuple[int | None, ...]
    dilation: int
    before: int
    after: int


@dataclass(frozen=True)
class Spread:
    """The convolutions that a transposed one is made of: phases of its rows and of its columns."""

    rows: tuple[Phase, ...]
    columns: tuple[Phase, ...]


@dataclass(eq=False)
class Sums(Real):
    """Sums of products (conv2d, or fully connected where ``window`` is None), channels on ONNX axis ``channel_axis``.

    ``weights`` KRSC codes, ``weight_zero`` and ``weight_scale`` per output channel; ``bias`` integers already in units
    of sx·sw, or None; ``factor``/``offset`` the real A, D of section 3. ``place`` brings the operand into memory order.
    ``origin``: the sums that these are a function of, where constant numbers alone lie between.
    ``spread`` is set for a transposed convolution, which has strides in its result instead of a window; ``count`` for a
    mean of so many.
    """

    codes: Codes
    weights: Array
    weight_scale: npt.NDArray[np.float32]
    weight_zero: npt.NDArray[np.int64]
    bias: npt.NDArray[np.int64]
    window: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]] | None
    groups: int
    place: Callable[[], SSAValue]
    result: View
    channel_axis: int = 1
    input_scale: float = 0.0
    factor: npt.NDArray[np.float64] | None = None
    offset: npt.NDArray[np.float64] | None = None
    origin: tuple[Real, Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]] | None = None
    spread: Spread | None = None
    count: int = 1


@dataclass(eq=False)
class Wide(Real):
    """Sums of products plus a dequantised tensor of their shape, not rounded yet."""

    sums: Sums
    codes: Codes


@dataclass(eq=False)
class Affine(Real):
    """factor·v + offset per channel (float64 vectors along ONNX axis ``axis``) of dequantised codes."""

    codes: Codes
    factor: npt.NDArray[np.float64]
    offset: npt.NDArray[np.float64]
    axis: int


@dataclass(eq=False)
class ByChannel(Affine):
    """Codes that have a scale per channel, as the factors that make their tensor's one scale into these."""

    meant: PerChannel


@dataclass(eq=False)
class Sloped(Real):
    """Dequantised codes, those below zero times a slope per index of ONNX axis ``axis``."""

    codes: Codes
    slope: npt.NDArray[np.float32]
    axis: int


@dataclass(eq=False)
class Clip(Real):
    """min(max(v, low), high)."""

    child: Real
    low: float
    high: float


@dataclass(eq=False)
class Scalar(Real):
    """A function of one int8 tensor: ``values`` for its 256 codes in order. ``linear`` = (A, D) while it is A·v + D."""

    codes: Codes
    values: npt.NDArray[np.float32]
    linear: tuple[float, float] | None
    label: str


@dataclass(eq=False)
class Binary(Real):
    """Add, Sub or Mul of two int8 tensors."""

    kind: str
    lhs: Codes
    rhs: Codes


@dataclass(eq=False)
class Stored(Real):
    """Add, Sub or Mul of an int8 tensor and an int8 constant with one scale, which comes first if ``swapped``."""

    kind: str
    codes: Codes
    constant: KnownCodes
    swapped: bool


@dataclass(eq=False)
class Pool(Real):
    """Average (``window`` given) or mean over the image; ``operand`` is brought into memory order by ``place``."""

    codes: Codes
    place: Callable[[], SSAValue]
    window: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]] | None
    count_pads: bool
    result: View


@dataclass(frozen=True)
class Tap:
    """Where an output lies: ``beyond`` the index of its lower neighbour, as a fraction of the distance to the next."""

    low: int
    beyond: Fraction

    @property
    def weights(self) -> tuple[int, int]:
        """What the lower and the higher neighbour count, in units of the fraction's denominator."""
        return self.beyond.denominator - self.beyond.numerator, self.beyond.numerator


@dataclass(eq=False)
class Blend(Real):
    """Rows and columns between neighbours; the fractions repeat after so many outputs."""

    codes: Codes
    rows: tuple[Tap, ...]
    row_period: int
    columns: tuple[Tap, ...]
    column_period: int


@dataclass(eq=False)
class Normalised(Real):
    """LRN."""

    codes: Codes
    size: int
    alpha: float
    beta: float
    bias: float


Mover = Callable[[Sequence[Codes], Quant], Codes]


@dataclass(eq=False)
class Moved(Real):
    """A movement of elements whose operands still wait; done on codes once they are settled."""

    children: tuple[Real, ...]
    move: Mover


@dataclass(eq=False)
class Padded(Moved):
    """A movement that writes ``value`` beside the codes; ``fill`` builds it for a code and settled codes."""

    value: float
    fill: Callable[[Codes, int], Codes]


Meaning = Codes | Raw | Known | KnownCodes | Host | Real


def with_trail(value: Real, node: NodeOp) -> Real:
    """The same expression, one node longer."""
    return replace(value, trail=(*value.trail, node))
