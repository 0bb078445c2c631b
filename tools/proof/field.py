"""Labels: elements of the field of integers modulo 2³¹ − 1, in uint32 arrays, and the functions of a round.

Sums of products are float64 matrix products cut so that every partial sum is an exact integer below 2⁵³. What is not
linear is a keyed hash: equal operands and parameters give equal labels, anything else gives unrelated ones.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.uint32]
Words = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]

PRIME = 2**31 - 1

_EXACT = 2**53
_BLOCK = 2**15
"""Labels worked on at a time: as many as a cache holds."""

_GATHERED = 2**20
"""Elements of the gathered input worked on at a time."""


@dataclass(frozen=True)
class Window:
    """A sliding window over rows and columns: outputs, kernel, strides, dilations (rows first)."""

    outputs: tuple[int, int]
    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)

    @property
    def extent(self) -> tuple[int, int]:
        """Rows and columns that all windows together see."""
        rows, columns = (
            (outputs - 1) * stride + (kernel - 1) * dilation + 1
            for outputs, kernel, stride, dilation in zip(
                self.outputs, self.kernel, self.strides, self.dilations, strict=True
            )
        )
        return rows, columns

    def slides_as(self, other: Window) -> bool:
        """Whether kernel, strides and dilations are those of another window."""
        mine, its = ((each.kernel, each.strides, each.dilations) for each in (self, other))
        return mine == its

    def tap(self, image: npt.NDArray[Any], row: int, column: int) -> npt.NDArray[Any]:
        """The view [outputs…, channels] of one kernel position over an image [rows, columns, channels]."""
        (oy, ox), (sy, sx), (dy, dx) = self.outputs, self.strides, self.dilations
        top, left = row * dy, column * dx
        return image[top : top + (oy - 1) * sy + 1 : sy, left : left + (ox - 1) * sx + 1 : sx]


_OF_CODE: Labels = np.mod(np.arange(256, dtype=np.uint8).view(np.int8).astype(np.int64), PRIME).astype(np.uint32)


def of_codes(codes: npt.ArrayLike) -> Labels:
    """The labels of known int8 codes: the codes themselves, modulo the prime."""
    return _OF_CODE[np.asarray(codes, np.int8).view(np.uint8)]


def signed(labels: Labels) -> Integers:
    """The integers of least magnitude that the labels stand for."""
    wide = labels.astype(np.int64)
    return np.where(wide > PRIME // 2, wide - PRIME, wide)


def code_places(labels: Labels) -> npt.NDArray[np.bool_]:
    """Which labels are those of known codes."""
    return _within(labels + np.uint32(128)) < 256


def of_code(code: int) -> int:
    """The label of one known int8 code."""
    return int(_OF_CODE[code & 255])


def codes_of(labels: Labels) -> npt.NDArray[np.int8] | None:
    """The int8 codes that labels stand for; None where one is no code, hence not known."""
    shifted = _within(labels + np.uint32(128))
    if shifted.size and int(shifted.max()) > 255:
        return None
    return (shifted.astype(np.uint8) ^ np.uint8(128)).view(np.int8)


def _within(labels: Labels) -> Labels:
    """Numbers below twice the prime, modulo the prime: below it the difference wraps around and is the larger."""
    return np.minimum(labels, labels - np.uint32(PRIME))


def reduce(values: npt.NDArray[np.float64]) -> Labels:
    """Exact integers of magnitude below 2⁵³, modulo the prime; the array is overwritten."""
    quotient = values * (1.0 / PRIME)
    np.floor(quotient, out=quotient)
    quotient *= PRIME
    values -= quotient  # at most a few beyond either end, for the quotient is rounded
    values += PRIME
    return _within(_within(values.astype(np.uint32)))


def plus(first: Labels, second: int | npt.NDArray[Any]) -> Labels:
    """Sum of labels and labels or integers, which broadcast."""
    other = np.asarray(second)
    if other.dtype != np.uint32:
        other = np.mod(other.astype(np.int64), PRIME).astype(np.uint32)
    return _within(first + other)


def reach(weights: npt.NDArray[Any], zero: int = 0) -> tuple[Integers, Integers]:
    """Least and most of Σ x·(w − zero) for every row of weights, whatever codes x are."""
    if zero or weights.dtype != np.int8:
        weights = weights.astype(np.int64) - zero
    size = np.abs(weights)
    size = size.view(np.uint8) if weights.dtype == np.int8 else size
    total, size = weights.sum(axis=1, dtype=np.int64), size.sum(axis=1, dtype=np.int64)
    most, least = (size + total) // 2, (size - total) // 2
    return -127 * least - 128 * most, 127 * most + 128 * least


def over_taps(image: Labels, window: Window) -> Labels:
    """The sum of every window, per channel: image [rows, columns, channels] of the window's extent."""
    return np.mod(summed(image.astype(np.uint64), window), np.uint64(PRIME)).astype(np.uint32)


def summed(words: Words, window: Window) -> Words:
    """The wrapping sum of every window, per channel: rows first, then columns."""
    (fy, fx), (_, columns) = window.kernel, window.extent
    down = replace(window, outputs=(window.outputs[0], columns), kernel=(fy, 1), strides=(window.strides[0], 1))
    across = replace(window, kernel=(1, fx), strides=(1, window.strides[1]))
    halfway = down.tap(words, 0, 0).copy()
    for row in range(1, fy):
        halfway += down.tap(words, row, 0)
    total = across.tap(halfway, 0, 0).copy()
    for column in range(1, fx):
        total += across.tap(halfway, 0, column)
    return total


def convolve(image: Labels, weights: Integers, window: Window) -> Labels:
    """Σ x·w: image [rows, columns, groups·inputs] and weights [groups, outputs, fy, fx, inputs], any integers.

    Gives labels [oy, ox, groups·outputs].
    """
    if weights.size and int(np.abs(weights).max()) >= 2**16:  # computed weights are labels: two halves, each exact
        high, low = weights >> 16, weights & 0xFFFF
        return plus(times(convolve(image, high, window), 2**16), convolve(image, low, window))
    groups, outputs, _, _, inputs = weights.shape
    factors = weights.astype(np.float64)
    total = np.zeros((*window.outputs, groups, outputs), np.float64)
    if inputs == 1 and groups > 1:
        _by_taps(image, factors[..., 0], window, total)
    else:
        for group in range(groups):
            part = image[:, :, group * inputs : (group + 1) * inputs]
            _by_products(part, factors[group], window, total[:, :, group])
    return reduce(total).reshape(*window.outputs, groups * outputs)


def times(labels: Labels, factor: int) -> Labels:
    """Labels times an integer between 0 and the prime."""
    return np.mod(labels.astype(np.uint64) * np.uint64(factor), np.uint64(PRIME)).astype(np.uint32)


def _by_taps(image: Labels, factors: npt.NDArray[np.float64], window: Window, total: npt.NDArray[np.float64]) -> None:
    for row in range(window.kernel[0]):
        for column in range(window.kernel[1]):
            total += window.tap(image, row, column)[..., None] * factors[:, :, row, column]


def _by_products(
    image: Labels, factors: npt.NDArray[np.float64], window: Window, total: npt.NDArray[np.float64]
) -> None:
    """Matrix products over the flattened window, in pieces of output rows and, where sums could grow, of the window."""
    (oy, ox), (fy, fx), inputs = window.outputs, window.kernel, image.shape[2]
    outputs = len(factors)
    reach = np.abs(factors).reshape(outputs, -1).max(axis=0, initial=0.0)
    matrix = factors.reshape(outputs, -1).T
    limit = _EXACT // PRIME // 2
    cuts = [0]
    while cuts[-1] < len(reach):
        count = int(np.searchsorted(np.cumsum(reach[cuts[-1] :]), limit, side="right"))
        cuts.append(cuts[-1] + max(1, count))
    step = max(1, _GATHERED // max(1, ox * len(reach)))
    for start in range(0, oy, step):
        rows = min(step, oy - start)
        gathered = np.empty((rows, ox, fy, fx, inputs), np.float64)
        for row in range(fy):
            for column in range(fx):
                gathered[:, :, row, column] = window.tap(image, row, column)[start : start + rows]
        flat = gathered.reshape(rows * ox, -1)
        result = total[start : start + rows].reshape(rows, ox, outputs)
        for low, high in itertools.pairwise(cuts):
            product = (flat[:, low:high] @ matrix[low:high]).reshape(rows, ox, outputs)
            result += product if len(cuts) == 2 else reduce(product)


def scramble(words: Words) -> Words:
    """A bijection of 64-bit words without visible structure (the finaliser of SplitMix64, Steele et al. 2014)."""
    z = np.array(words, np.uint64)
    _scramble(z, np.empty_like(z))
    return z


def _scramble(z: Words, scratch: Words) -> None:
    """``scramble`` in place."""
    with np.errstate(over="ignore"):
        z += np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            np.right_shift(z, np.uint64(shift), out=scratch)
            z ^= scratch
            z *= np.uint64(factor)
        np.right_shift(z, np.uint64(31), out=scratch)
        z ^= scratch


class Round:
    """The random functions of one round, all from its seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def key(self, *parts: object) -> int:
        """A 64-bit word for anything that has a text."""
        return int.from_bytes(hashlib.blake2b(repr((self.seed, *parts)).encode(), digest_size=8).digest(), "little")

    def keys(self, key: int, parameters: npt.NDArray[Any]) -> Words:
        """A word for each float32 of an array, beside a key."""
        bits = np.ascontiguousarray(parameters, np.float32).view(np.uint32).astype(np.uint64)
        return scramble(bits ^ np.uint64(key))

    def symbols(self, size: int, *parts: object) -> Labels:
        """Labels of things that nothing is known of, by their place."""
        raw = np.random.PCG64(self.key("symbol", *parts)).random_raw(-(-size // 2))
        return _canonical(raw.view(np.uint32)[:size] & np.uint32(PRIME))

    def apply(self, keys: int | Words, *operands: Labels | Words) -> Labels:
        """The label of a function that ``keys`` names (one for all, or one per channel) of labels that broadcast, or
        words."""
        words = np.asarray(keys, np.uint64)
        shape = np.broadcast_shapes(words.shape, *(operand.shape for operand in operands))
        result = np.empty(shape, np.uint32)
        pieces: list[npt.NDArray[Any]] = [result, *(np.broadcast_to(each, shape) for each in (words, *operands))]
        while pieces[0].ndim > 1 and len(pieces[0]) == 1:
            pieces = [each[0] for each in pieces]
        step = max(1, _BLOCK * len(pieces[0]) // max(1, result.size)) if pieces[0].ndim else 1
        for start in range(0, len(pieces[0]) if result.size else 0, step):
            out, key, *given = (each[start : start + step] for each in pieces)
            mixed = np.array(key, np.uint64)
            scratch = np.empty_like(mixed)
            for operand in given:
                mixed ^= operand
                _scramble(mixed, scratch)
            out[...] = _label(mixed)
        return result

    def unordered(self, tag: str, operands: Labels) -> Words:
        """Words whose sum, wrapping, stands for a set of operands."""
        return scramble(operands.astype(np.uint64) ^ np.uint64(self.key("unordered", tag)))

    def digest(self, tensors: list[Labels]) -> int:
        """A word for all labels of tensors, in order."""
        total = self.key("digest", [tensor.size for tensor in tensors])
        for number, tensor in enumerate(tensors):
            place = np.arange(tensor.size, dtype=np.uint64) ^ np.uint64(self.key("operand", number))
            words = scramble(scramble(place) ^ tensor.reshape(-1).astype(np.uint64))
            total = (total + int(words.sum(dtype=np.uint64))) % 2**64
        return total


def _label(words: Words) -> Labels:
    return _canonical(words.astype(np.uint32) & np.uint32(PRIME))


def _canonical(labels: Labels) -> Labels:
    """Numbers up to the prime, which is zero; the array is overwritten."""
    labels[labels == PRIME] = 0
    return labels
