"""The model's convolutions as boxes: a pass that is a part of one has its results without a product being taken.

The results of a convolution stand in the book as symbols, elements of the field that nothing is known of. A fill that
holds a box of the model's weights, and a pass that reads the box of the image which belongs to it and rounds with the
model's parameters, give the same box of these symbols. Passes over a part of the inputs give shares that add up to the
whole sum when each input is met once. So equal labels say what they say without the book, and cost no products; a pass
that is no such box is not wrong but ``Unmatched``, and the products decide.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from tools.proof.field import PRIME, Integers, Labels, Round, Window, codes_of, reach, times

Codes = npt.NDArray[np.int8]
Element = TypeVar("Element", np.uint32, np.int8)
Place = tuple[int, ...]

_SPREAD = 8
"""Elements looked at before two boxes are compared whole."""


class Unmatched(Exception):
    """Something that the book cannot say."""


@dataclass(frozen=True)
class Rounding:
    """How sums of raw codes are rounded: bias and float32 scale per output, zero point, least and greatest code."""

    bias: Integers
    scale: npt.NDArray[np.float32]
    zero: int
    lo: int
    hi: int

    def of(self, outputs: slice) -> tuple[bytes, ...]:
        """All of it for some outputs, to the bit."""
        clamp = np.array([self.zero, self.lo, self.hi]).tobytes()
        return self.bias[outputs].tobytes(), np.float32(self.scale[outputs]).tobytes(), clamp


@dataclass
class BookedImage:
    """One image of a batch, padded: [rows, columns, channels]; symbols [oy, ox, groups·outputs] of its sums before the
    bias, and of its codes where the layer rounds them alone."""

    image: Labels
    name: tuple[object, ...]
    codes: Labels | None = None
    _sums: Labels | None = None

    def sums(self, run: Round, shape: Sequence[int]) -> Labels:
        if self._sums is None:
            self._sums = run.symbols(math.prod(shape), "sums", *self.name).reshape(shape)
        return self._sums


@dataclass
class BookedLayer:
    """A convolution of the model: codes of its weights as they were given, and as [groups, outputs, taps, inputs]; the
    least and most of Σ x·w per output, their zero point subtracted; its rounding, and a picture for each of a batch."""

    given: Codes
    weights: Codes
    zero: int
    window: Window
    least: Integers
    most: Integers
    rounding: Rounding | None
    pictures: list[BookedImage] = field(default_factory=list[BookedImage])
    last: tuple[Place, Place] = (0, 0, 0, 0), (0, 0, 0, 0)
    """Place and shape of the box found last: the next one is its neighbour, mostly."""

    def is_as(self, weights: Codes, zero: int, window: Window, rounding: Rounding | None) -> bool:
        """Whether it is this convolution: frames of a batch write one more than once."""
        laws = [each.of(slice(None)) if each is not None else None for each in (self.rounding, rounding)]
        same = self.given is weights or np.array_equal(self.given, weights)
        return same and (self.zero, self.window, laws[0]) == (zero, window, laws[1])


@dataclass(frozen=True)
class ResultBox:
    """What a pass computes: a box of a picture's results; inputs ``first`` to ``stop`` of its weights' ``every``."""

    run: Round
    of: BookedLayer
    picture: BookedImage
    rows: slice
    columns: slice
    groups: slice
    outputs: slice
    inputs: tuple[int, int, int]

    @property
    def is_whole(self) -> bool:
        first, stop, every = self.inputs
        return (first, stop) == (0, every)

    def sums(self) -> Labels:
        """The labels of the whole sums, before the bias."""
        groups, outputs = self.of.weights.shape[:2]
        return self._box(self.picture.sums(self.run, (*self.of.window.outputs, groups * outputs)))

    def share(self) -> Labels:
        """What these inputs have of the sums: shares of inputs that follow each other add up to them."""
        first, stop, every = self.inputs
        low, high = ({0: 0, every: 1}.get(at, self.run.key("share", at) % PRIME) for at in (first, stop))
        return times(self.sums(), (high - low) % PRIME)

    def rounded(self, rounding: Rounding) -> Labels:
        """The labels of the codes that these sums round to; Unmatched where the model rounds otherwise."""
        every, codes = self.of.rounding, self.picture.codes
        if every is None or codes is None:
            raise Unmatched
        wide = np.arange(every.bias.size).reshape(self.of.weights.shape[:2])[self.groups, self.outputs].reshape(-1)
        chosen = Rounding(every.bias[wide], every.scale[wide], every.zero, every.lo, every.hi)
        if chosen.of(slice(None)) != rounding.of(slice(None)):
            raise Unmatched
        return self._box(codes)

    def _box(self, whole: Labels) -> Labels:
        shaped = whole.reshape(*whole.shape[:2], *self.of.weights.shape[:2])
        box = shaped[self.rows, self.columns, self.groups, self.outputs]
        return box.reshape(*box.shape[:2], -1)


@dataclass(frozen=True)
class WeightBox:
    """Weights in a half of L1: the box at ``place`` of what the model has, [groups, outputs, taps, inputs]."""

    run: Round
    of: BookedLayer
    place: Place
    shape: Place

    @property
    def reach(self) -> tuple[Integers, Integers]:
        """Least and most of Σ x·w per output, whatever codes x are."""
        box = tuple(slice(at, at + size) for at, size in zip(self.place, self.shape, strict=True))
        if self.shape[3] != self.of.weights.shape[3]:
            return reach(self.of.weights[box].reshape(self.shape[0] * self.shape[1], -1), self.of.zero)
        return self.of.least[box[:2]].reshape(-1), self.of.most[box[:2]].reshape(-1)

    def of_pass(self, image: Labels, window: Window) -> ResultBox:
        """What a pass of this window over an image [rows, columns, channels] computes."""
        (group, output, _, first), (groups, outputs, _, inputs), every = (
            self.place,
            self.shape,
            self.of.weights.shape[3],
        )
        if not self.of.window.slides_as(window) or (groups > 1 and inputs != every):
            raise Unmatched
        channel = group * every + first
        (oy, ox), (sy, sx) = window.outputs, window.strides
        for picture in self.of.pictures:
            place = _find(picture.image[:, :, channel : channel + image.shape[2]], image)
            if place is None or place[0] % sy or place[1] % sx:
                continue
            y, x = place[0] // sy, place[1] // sx
            return ResultBox(
                self.run,
                self.of,
                picture,
                slice(y, y + oy),
                slice(x, x + ox),
                slice(group, group + groups),
                slice(output, output + outputs),
                (first, first + inputs, every),
            )
        raise Unmatched


class Book(Round):
    """A round in which convolutions are looked up: what is written of the model's, by layer."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._layers: dict[str, BookedLayer] = {}

    def write(
        self, layer: str, weights: Codes, zero: int, window: Window, image: Labels, rounding: Rounding | None
    ) -> Labels:
        """The results [oy, ox, groups·outputs] of one more image [rows, columns, channels], padding and all, of a layer
        with weights [groups, outputs, fy, fx, inputs] of this zero point: codes if they are rounded, or else sums."""
        groups, outputs, _, _, inputs = weights.shape
        if layer not in self._layers:
            least, most = reach(weights.reshape(groups * outputs, -1), zero)
            codes, shape = weights.reshape(groups, outputs, -1, inputs), (groups, outputs)
            bounds = least.reshape(shape), most.reshape(shape)
            self._layers[layer] = BookedLayer(weights, codes, zero, window, *bounds, rounding)
        written = self._layers[layer]
        if not written.is_as(weights, zero, window, rounding):
            raise Unmatched
        (oy, ox), number = window.outputs, len(written.pictures)
        picture = BookedImage(image, (layer, number))
        written.pictures.append(picture)
        shape = oy, ox, groups * outputs
        if rounding is None:
            return picture.sums(self, shape)
        picture.codes = self.symbols(oy * ox * groups * outputs, "codes", layer, number).reshape(shape)
        return picture.codes

    def block(self, layer: str, labels: Labels, zero: int) -> WeightBox:
        """The block that a fill for a layer holds: labels [groups, outputs, taps, inputs]."""
        written = self._layers.get(layer)
        codes = codes_of(labels)
        if codes is None or written is None or written.zero != zero or written.weights.shape[2] != labels.shape[2]:
            raise Unmatched
        place = next((at for at in _neighbours(*written.last) if _holds(written.weights, at, codes)), None)
        place = _find(written.weights, codes) if place is None else place
        if place is None:
            raise Unmatched
        written.last = place, labels.shape
        return WeightBox(self, written, place, labels.shape)


def _neighbours(place: Place, shape: Place) -> Iterable[Place]:
    """Where a box may follow another along groups, outputs or inputs, from the front along the axes before."""
    after = [(0, here, here + size) for here, size in zip(place, shape, strict=True)]
    return itertools.product(after[0], after[1], (0,), after[3])


def _holds(whole: npt.NDArray[Element], place: Place, part: npt.NDArray[Element]) -> bool:
    """Whether a box of an array, at a place, is ``part``."""
    box = whole[tuple(slice(at, at + size) for at, size in zip(place, part.shape, strict=True))]
    if box.shape != part.shape:
        return False
    corner = tuple(size // 2 for size in part.shape)
    return bool(box[corner] == part[corner]) and np.array_equal(box, part)


def _find(whole: npt.NDArray[Element], part: npt.NDArray[Element]) -> Place | None:
    """The first place of an array at which ``part`` stands."""
    room = [size - length + 1 for size, length in zip(whole.shape, part.shape, strict=True)]
    if min(room) < 1 or not part.size:
        return None
    order = np.flatnonzero(part.reshape(-1)[: 64 * _SPREAD])[:_SPREAD] if part.any() else np.arange(1)
    places: npt.NDArray[np.int64] | None = None
    for at in order.tolist():
        offset: Any = np.unravel_index(at, part.shape)
        if places is None:
            seen = whole[tuple(slice(int(o), int(o) + r) for o, r in zip(offset, room, strict=True))]
            places = np.argwhere(seen == part[offset])
        else:
            there = tuple((places + np.array(offset)).T)
            places = places[whole[there] == part[offset]]
    for place in [] if places is None else places.tolist():
        if _holds(whole, tuple(place), part):
            return tuple(place)
    return None
