"""The certificate of a bound, as a program carries it: why no program of these layers is faster.

docs/bounds.md says what the figures mean; ``backend.bounds`` makes a certificate, and ``tools.certificate`` checks one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LIMITS = ("array", "vector", "channel", "order")
"""What can set a bound."""


@dataclass(frozen=True)
class CertifiedLayer:
    """A layer as a certificate counts it: least cycles of the array and of the vector unit, weights and parameters."""

    name: str
    array: int
    vector: int
    weight_bytes: int


@dataclass(frozen=True)
class Certificate:
    """Why no program of these layers is faster than ``bound3``: the terms, in cycles, that add up to it.

    ``limit`` is ``array``, ``vector``, ``channel`` or ``order``; ``images`` how many configuration images the cheapest
    program loads (3 stands for three or more, 0 for a frame of many); ``window`` the first and last layer of ``order``;
    ``array_by_images`` the array's least cycles with one, two and any number of configurations.
    """

    limit: str = "channel"
    images: int = 1
    window: tuple[int, int] = (0, 0)
    terms: tuple[tuple[str, int], ...] = ()
    layers: tuple[CertifiedLayer, ...] = ()
    array_by_images: tuple[int, int, int] = (0, 0, 0)
    input_bytes: int = 0
    output_bytes: int = 0

    @property
    def cycles(self) -> int:
        return sum(cycles for _, cycles in self.terms)

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Certificate:
        """What ``dataclasses.asdict`` wrote; KeyError, TypeError or ValueError where it is no certificate."""
        numbers = {name: entry[name] for name in ("images", "input_bytes", "output_bytes")}
        window, images = tuple(entry["window"]), tuple(entry["array_by_images"])
        terms = tuple((str(name), cycles) for name, cycles in entry["terms"])
        layers = tuple(CertifiedLayer(**each) for each in entry["layers"])
        if entry["limit"] not in LIMITS or not 0 <= numbers["images"] <= 3 or (len(window), len(images)) != (2, 3):
            raise ValueError("no certificate")
        if any(not 0 <= index < max(1, len(layers)) for index in window):
            raise ValueError("a certificate is about layers that it does not have")
        counts = [number for each in layers for number in (each.array, each.vector, each.weight_bytes)]
        counts += [*numbers.values(), *window, *images, *(cycles for _, cycles in terms)]
        if any(type(number) is not int or number < 0 for number in counts):
            raise ValueError("a certificate has counts only")
        return cls(limit=entry["limit"], window=window, terms=terms, layers=layers, array_by_images=images, **numbers)
