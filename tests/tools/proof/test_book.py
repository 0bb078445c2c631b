"""The book of convolutions: any box of a layer has its results, shares of inputs add up, and nothing else is found."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest

from tools.proof.book import Book, Codes, Rounding, Unmatched, WeightBox
from tools.proof.field import Labels, Window, of_codes, plus

Layer = tuple[Book, Codes, Labels, Rounding, Labels]


def layer_of(seed: int) -> tuple[Layer, Window]:
    dice, numbers = random.Random(seed), np.random.default_rng(seed)
    book, groups, outputs, inputs = Book(seed), dice.choice([1, 1, 3]), dice.choice([1, 4, 7]), dice.choice([1, 6, 9])
    window = Window((5, 6), dice.choice([(1, 1), (3, 2)]), dice.choice([(1, 1), (2, 1)]), dice.choice([(1, 1), (1, 2)]))
    weights = numbers.integers(-128, 128, (groups, outputs, *window.kernel, inputs)).astype(np.int8)
    rounding = Rounding(
        numbers.integers(-9, 9, groups * outputs), numbers.random(groups * outputs, np.float32), 3, -128, 127
    )
    image = np.random.default_rng(seed + 1).integers(0, 2**31 - 1, (*window.extent, groups * inputs)).astype(np.uint32)
    return (book, weights, image, rounding, book.write("layer", weights, 1, window, image, rounding)), window


@pytest.mark.parametrize("seed", range(40))
def test_any_box_has_its_results(seed: int) -> None:
    (book, weights, image, rounding, codes), window = layer_of(seed)
    groups, outputs, fy, fx, inputs = weights.shape
    dice = random.Random(seed)
    g, k = dice.randrange(groups), dice.randrange(outputs)
    y, x = dice.randrange(3), dice.randrange(3)
    part = dataclasses.replace(window, outputs=(2, 3))
    (rows, columns), (sy, sx) = part.extent, window.strides
    seen = image[y * sy :, x * sx :][:rows, :columns, g * inputs : (g + 1) * inputs]
    labels = of_codes(weights[g : g + 1, k:]).reshape(1, outputs - k, fy * fx, inputs)
    held = book.block("layer", labels, 1)
    least, most = held.reach
    wide = weights[g, k:].reshape(outputs - k, -1).astype(np.int64) - 1
    assert (least == [sum(int(min(127 * w, -128 * w)) for w in row) for row in wide]).all()
    assert (most == [sum(int(max(127 * w, -128 * w)) for w in row) for row in wide]).all()
    chosen = slice(g * outputs + k, (g + 1) * outputs)
    its = dataclasses.replace(rounding, bias=rounding.bias[chosen], scale=rounding.scale[chosen])
    found = held.of_pass(seen, part)
    assert found.is_whole
    np.testing.assert_array_equal(found.rounded(its), codes[y : y + 2, x : x + 3, chosen])
    for other in (
        dataclasses.replace(its, bias=its.bias + 1),
        dataclasses.replace(its, scale=its.scale * np.float32(2)),
        *(dataclasses.replace(its, **{name: getattr(its, name) - 1}) for name in ("zero", "lo", "hi")),
    ):
        with pytest.raises(Unmatched):
            found.rounded(other)
    _refused(book, held, labels, seen, part)


def _refused(book: Book, held: WeightBox, labels: Labels, seen: Labels, window: Window) -> None:
    """Nothing is found of other weights, zero points, layers, images and windows."""
    wrong = seen.copy()
    wrong[-1, -1, -1] ^= 1
    for image, slid in (
        (wrong, window),
        (seen[::-1], window),
        (seen, dataclasses.replace(window, strides=(window.strides[0] + 1, 1))),
    ):
        with pytest.raises(Unmatched):
            held.of_pass(image, slid)
    changed = labels.copy()
    changed[0, -1, -1, -1] = of_codes(np.int8(127 if changed[0, -1, -1, -1] != 127 else 126))
    for layer, weights, zero in (("layer", changed, 1), ("layer", labels, 0), ("other", labels, 1)):
        with pytest.raises(Unmatched):
            book.block(layer, weights, zero)


def test_shares_of_inputs_add_up_once() -> None:
    numbers = np.random.default_rng(5)
    book, window = Book(5), Window((3, 3), (3, 3))
    weights = numbers.integers(-128, 128, (1, 4, 3, 3, 12)).astype(np.int8)
    image = numbers.integers(0, 2**31 - 1, (5, 5, 12)).astype(np.uint32)
    whole = book.write("layer", weights, 0, window, image, None)

    def share(first: int, stop: int) -> Labels:
        labels = of_codes(weights[..., first:stop]).reshape(1, 4, 9, stop - first)
        part = book.block("layer", labels, 0).of_pass(image[:, :, first:stop], window)
        assert not part.is_whole
        np.testing.assert_array_equal(part.sums(), whole)
        return part.share()

    first, middle, last = share(0, 5), share(5, 8), share(8, 12)
    np.testing.assert_array_equal(plus(plus(last, first), middle), whole)
    for wrong in (plus(first, last), plus(plus(plus(first, middle), middle), last), plus(share(0, 6), share(5, 12))):
        assert (wrong != whole).all()


def test_a_name_that_two_layers_have_is_not_looked_up() -> None:
    (book, weights, image, rounding, codes), window = layer_of(0)
    again = book.write("layer", weights.copy(), 1, window, image, rounding)
    assert (again != codes).any()  # one more frame of a batch
    other = dataclasses.replace(rounding, bias=rounding.bias + 1)
    for arguments in ((weights ^ 1, 1, window, image, rounding), (weights, 0, window, image, rounding),
                      (weights, 1, window, image, other), (weights, 1, window, image, None)):  # fmt: skip
        with pytest.raises(Unmatched):
            book.write("layer", *arguments)
