"""The labels of everything that is not linear: one name for one law of the arithmetic page.

Model and machine both end here, so a law has one label whatever instruction or operation it stands in. Parameters are
those that the law names, as float32 bits and integers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tools.proof import laws
from tools.proof.field import Labels, Round, Window, Words, code_places, of_codes, over_taps, plus, signed, summed
from tools.proof.laws import IDENTITY, Codes, Floats


def requantised(run: Round, sums: Labels, scale: Floats, zero: int, lo: int, hi: int) -> Labels:
    """clamp(rne(f32(f32(sum) · s)) + zero, lo, hi): convolutions and means. ``scale`` broadcasts."""
    return run.apply(run.keys(run.key("requantise", zero, lo, hi), scale), sums)


def unrounded(run: Round, sums: Labels, scale: Floats) -> Labels:
    """f32(f32(sum) · s), section 11: the labels of its four bytes, side by side along the last axis."""
    keys = run.keys(run.key("float32"), scale)
    value = run.apply(keys, sums)
    bytes_ = [run.apply(run.key("byte", number), value) for number in range(4)]
    return np.stack(bytes_, axis=-1).reshape(*value.shape[:-1], -1)


def number(run: Round, bytes_: Labels) -> Labels:
    """The labels of float32 numbers from those of their bytes, four after the other along the last axis."""
    parts = bytes_.reshape(*bytes_.shape[:-1], -1, 4)
    return run.apply(run.key("number"), *(parts[..., at] for at in range(4)))


def added(run: Round, a: Labels, b: Labels, ratios: tuple[float, float, float], lo: int, hi: int) -> Labels:
    """The sum of section 5: its operands do not commute, for they round apart."""
    bits = np.array(ratios, np.float32).tobytes()
    return run.apply(run.key("add", bits, lo, hi), *np.broadcast_arrays(a, b))


def joined(run: Round, sums: Labels, scale: Floats, other: Labels, ratios: tuple[float, float], clamp: tuple[int, int]
           ) -> Labels:  # fmt: skip
    """The wide sum of section 5: the residual joins before the one rounding; ``ratios`` are rb and fix."""
    keys = run.keys(run.key("wide sum", np.array(ratios, np.float32).tobytes(), *clamp), scale)
    return run.apply(keys, sums, other)


def multiplied(
    run: Round, a: tuple[Labels, int], b: tuple[Labels, int], scale: float, clamp: tuple[int, int, int]
) -> Labels:
    """The product of section 6, with the zero points of its operands; (zero, lo, hi) of the result."""
    left, right = plus(a[0], -a[1]), plus(b[0], -b[1])
    product = (left.astype(np.uint64) * right.astype(np.uint64)) % np.uint64(2**31 - 1)
    return run.apply(run.key("multiply", np.float32(scale).tobytes(), *clamp), product.astype(np.uint32))


def looked_up(run: Round, x: Labels, table: Codes) -> Labels:
    """table[x + 128]; the table that changes nothing has no name of its own, and known codes are looked up."""
    if (table == IDENTITY).all():
        return x
    found = run.apply(run.key("table", table.tobytes()), x)
    known = code_places(x)
    if known.any():
        found[known] = of_codes(table[signed(x[known]) + 128])
    return found


def averaged(
    run: Round,
    image: Labels,
    window: Window,
    counts: npt.NDArray[np.int64],
    scales: tuple[float, float],
    zeros: tuple[int, int],
    clamp: tuple[int, int],
) -> Labels:
    """The mean of every window of an image whose padding is the zero point; ``counts`` [rows, columns] divide.

    The mean of one position is a table. Scales and zero points are those of operand and result.
    """
    if window.kernel == (1, 1):
        table = laws.mean_table(scales[0], zeros[0], scales[1], zeros[1], *clamp)
        return looked_up(run, window.tap(image, 0, 0), table)
    sums = plus(over_taps(image, window), -window.kernel[0] * window.kernel[1] * zeros[0])
    return requantised(run, sums, laws.mean_scale(*scales, counts)[:, :, None], zeros[1], *clamp)


def scaled(run: Round, x: Labels, factor: Floats, offset: Floats, zero: int, lo: int, hi: int) -> Labels:
    """The affine step of section 8, per channel."""
    keys = run.keys(run.key("affine", zero, lo, hi), factor)
    return run.apply(run.keys(0, offset) ^ (keys + np.uint64(1)), x)


def greatest(run: Round, image: Labels, inside: npt.NDArray[np.bool_], window: Window) -> Labels:
    """The largest of each window's positions that are ``inside`` [rows, columns]; −128 where there is none."""
    real = summed(inside[:, :, None].astype(np.uint64), window)
    words = run.unordered("max", image)
    words *= inside[:, :, None]
    found = named(run, "max", summed(words, window))
    if (real == 1).any():
        alone = summed((image * inside[:, :, None]).astype(np.uint64), window)
        found = np.where(real == 1, alone.astype(np.uint32), found)
    return np.where(real == 0, np.uint32(2**31 - 1 - 128), found)


def chosen(run: Round, which: str, a: Labels, b: Labels, lo: int, hi: int) -> Labels:
    """The greater (``max``) or lesser (``min``) of two codes, clamped; the operands commute."""
    found = named(run, which, np.add(*np.broadcast_arrays(run.unordered(which, a), run.unordered(which, b))))
    return found if (lo, hi) == (-128, 127) else run.apply(run.key("clamp", lo, hi), found)


def named(run: Round, tag: str, words: Words) -> Labels:
    """The label of a function of a set, from the sum of its members' words."""
    return run.apply(run.key("of a set", tag), words)


def normalised(run: Round, x: Labels, size: int, parameters: tuple[object, ...]) -> Labels:
    """Local response normalisation, section 10: the element, and the set of its window over channels."""
    channels = x.shape[-1]
    words = np.zeros((*x.shape[:-1], channels + 1), np.uint64)
    np.cumsum(run.unordered("lrn", x), axis=-1, out=words[..., 1:])
    at = np.arange(channels)
    stop, start = np.minimum(channels, at + size // 2 + 1), np.maximum(0, at - (size - 1) // 2)
    around = named(run, "lrn", words[..., stop] - words[..., start])
    return run.apply(run.key("lrn", size, *parameters), x, around)
