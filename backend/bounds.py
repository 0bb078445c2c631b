"""Lower bounds of a network on a machine, from its layers alone: what "as fast as possible" means.

    compute = Σ over layers of their multiply-accumulates on all lanes
    dram    = (weights and parameters once + network inputs + network outputs) / rate
    bound   = max(compute, dram)
    bound2  = max(bound, max over i ≤ j of  compute(before i) + max(0, weights(i…j) − SRAM) / rate + compute(after j))
    bound3  = the larger of what bounds the array, the vector unit and the channel by the machine's laws
              (``sim.machine.floors``), the first image and the first and last bytes included

``bound2`` and ``bound3`` know order and capacity: of the weights of layers i…j only as many bytes as SRAM (for
``bound3``: and the two halves of L1) holds can be there before layer i begins, and no layer after j can begin before
the rest has come. docs/bounds.md has the proofs. The way to ``bound3`` is kept as a certificate, whose terms add up to
it and which ``tools.certificate`` recomputes from the model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from sim.machine import laws
from sim.machine.certificate import Certificate, CertifiedLayer
from sim.machine.description import Machine
from sim.machine.laws import ceil_div
from sim.machine.program import Bounds


@dataclass(frozen=True)
class Work:
    """What a layer asks for, in cycles and bytes: its products on all lanes, the least that the laws allow on the array
    and on the vector unit, its weights and parameters."""

    name: str
    compute: int
    array: int
    vector: int
    weight_bytes: int


def bounds(layers: Sequence[Work], certificate: Certificate, machine: Machine) -> Bounds:
    """Bounds in cycles, rounded up, for layers in the order in which the program runs them."""
    rate = machine.dram_rate
    compute = [layer.compute for layer in layers]
    weights = [layer.weight_bytes for layer in layers]
    total = sum(compute)
    dram = _cycles(sum(weights) + certificate.input_bytes + certificate.output_bytes, rate)
    bound = max(total, dram)
    bound2 = max(bound, _ordered(compute, weights, machine.sram.bytes, rate)[0])
    array, vector = sum(layer.array for layer in layers), sum(layer.vector for layer in layers)
    return Bounds(total, dram, bound, bound2, certificate.cycles, array, vector)


def frame_bounds(layers: Sequence[Work], certificate: Certificate, machine: Machine, batch: int = 1) -> Bounds:
    """Bounds in cycles for a frame of many, rounded up: what a frame takes in the long run, or ``batch`` of them that
    share what comes from DRAM.

    Of the weights at most as many bytes stay as SRAM (``bound3``: and the two halves of L1) hold; the others, inputs
    and outputs cross the channel for every frame, while array and vector unit work on any frame. The order of layers
    bounds nothing, because frames overlap, so ``bound2`` is ``bound``.
    """
    array, vector = batch * sum(layer.array for layer in layers), batch * sum(layer.vector for layer in layers)
    total = batch * sum(layer.compute for layer in layers)
    dram = _cycles(_every_frame(layers, certificate, machine.sram.bytes), machine.dram_rate)
    bound = max(total, dram)
    return Bounds(total, dram, bound, bound, certificate.cycles, array, vector)


def _every_frame(layers: Sequence[Work], certificate: Certificate, held: int) -> int:
    """Bytes that cross the channel for every frame when ``held`` bytes of weights stay."""
    weights = sum(layer.weight_bytes for layer in layers)
    return max(0, weights - held) + certificate.input_bytes + certificate.output_bytes


def certify_frame(layers: Sequence[Work], whole: Certificate, machine: Machine, batch: int = 1) -> Certificate:
    """The certificate of a frame of many, or of ``batch`` of them together, from that of one frame alone: ``images`` is
    0, because they stay too."""
    held = machine.sram.bytes + 2 * machine.array.half_words * machine.array.lanes
    claims = (
        _Claim("channel", (("bytes", _cycles(_every_frame(layers, whole, held), machine.dram_rate)),)),
        _Claim("array", (("array", batch * whole.array_by_images[-1]),)),
        _Claim("vector", (("vector unit", batch * sum(layer.vector for layer in layers)),)),
    )
    found = max(claims, key=lambda claim: claim.cycles)
    return dataclasses.replace(whole, limit=found.limit, images=0, window=(0, 0), terms=found.terms)


def certify(
    layers: Sequence[Work],
    by_images: tuple[int, int, int],
    input_bytes: int,
    output_bytes: int,
    machine: Machine,
) -> Certificate:
    """``bound3`` and the terms that it is the sum of: of all its bounds the largest.

    ``by_images`` are the array's cycles with one, two and any number of configurations
    (``sim.machine.floors.by_images``); bytes are those that the machine's segments take and give.
    """
    rows = tuple(CertifiedLayer(each.name, each.array, each.vector, each.weight_bytes) for each in layers)
    cases = [_Case(layers, images, by_images, input_bytes, output_bytes, machine) for images in (1, 2, 3)]
    if not by_images[-1]:
        cases = cases[:1]
    images = min(cases, key=lambda case: case.cycles)
    found = max((images.largest(), images.vector_unit(), images.ordered()), key=lambda claim: claim.cycles)
    return Certificate(
        found.limit, images.images, found.window, found.terms, rows, by_images, input_bytes, output_bytes
    )


@dataclass(frozen=True)
class _Claim:
    """One lower bound: what sets it, its terms in cycles, the layers it is about (for the order)."""

    limit: str
    terms: tuple[tuple[str, int], ...]
    window: tuple[int, int] = (0, 0)

    @property
    def cycles(self) -> int:
        return sum(cycles for _, cycles in self.terms)


@dataclass(frozen=True)
class _Case:
    """The bounds of programs that load so many configuration images (3 stands for three or more)."""

    layers: Sequence[Work]
    images: int
    by_images: tuple[int, int, int]
    input_bytes: int
    output_bytes: int
    machine: Machine

    @property
    def cycles(self) -> int:
        return self.largest().cycles

    def largest(self) -> _Claim:
        return max((self.channel(), self.last_byte(), self.array()), key=lambda claim: claim.cycles)

    @property
    def leaves(self) -> tuple[tuple[str, int], ...]:
        """What a last result takes to DRAM: a cycle of the channel and a latency."""
        return (("last result", 1 + self.machine.dram.latency),) if self.output_bytes else ()

    @property
    def image_bytes(self) -> int:
        return self.images * self.machine.configuration.image_bytes if self.by_images[-1] else 0

    @property
    def loaded(self) -> int:
        return sum(layer.weight_bytes for layer in self.layers) + self.input_bytes + self.image_bytes

    def array(self) -> _Claim:
        """The array behind its first image; every further one costs a swap at least."""
        machine = self.machine
        begins = _cycles(self.image_bytes // self.images, machine.dram_rate) + machine.dram.latency
        swaps = self.images * int(laws.configure(machine))
        if not self.image_bytes:
            begins = swaps = 0
        terms = (("first image", begins), ("swaps", swaps), ("array", self.by_images[self.images - 1]), *self.leaves)
        return _Claim("array", terms)

    def channel(self) -> _Claim:
        """All bytes through the channel, with one turn if some come and some go."""
        turn = self.machine.dram.turn if self.loaded and self.output_bytes else 0
        moved = _cycles(self.loaded + self.output_bytes, self.machine.dram_rate)
        return _Claim("channel", (("bytes", moved), ("turn", turn), ("latency", self.machine.dram.latency)))

    def last_byte(self) -> _Claim:
        """All bytes that come, then at least one instruction that needs the last of them, then its result."""
        streams, latency = self.machine.streams, self.machine.dram.latency
        worked = [self.machine.array.conv_overhead] if self.by_images[-1] else []
        worked += [streams.vector_overhead] if any(layer.vector for layer in self.layers) else []
        if not worked or not self.output_bytes:
            return _Claim("channel", ())
        moved = _cycles(self.loaded, self.machine.dram_rate)
        terms = (("bytes", moved), ("latency", latency), ("last instruction", min(worked) + 1), *self.leaves)
        return _Claim("channel", terms)

    def vector_unit(self) -> _Claim:
        """The vector unit, once something has come from DRAM."""
        vector = sum(layer.vector for layer in self.layers)
        begins = 1 + self.machine.dram.latency if self.input_bytes and vector else 0
        return _Claim("vector", (("first bytes", begins), ("vector unit", vector), *self.leaves))

    def ordered(self) -> _Claim:
        """The order of the layers and the capacity of SRAM and L1."""
        machine = self.machine
        held = machine.sram.bytes + 2 * machine.array.half_words * machine.array.lanes
        array = [layer.array for layer in self.layers]
        weights = [layer.weight_bytes for layer in self.layers]
        _, first, last = _ordered(array, weights, held, machine.dram_rate)
        excess = _cycles(max(0, sum(weights[first : last + 1]) - held), machine.dram_rate)
        terms = (
            ("array before", sum(array[:first])),
            ("excess weights", excess),
            ("array after", sum(array[last + 1 :])),
        )
        return _Claim("order", (*terms, *self.leaves), (first, last))


def _cycles(size: int, rate: Fraction) -> int:
    return int(ceil_div(size * rate.denominator, rate.numerator))


def _ordered(compute: Sequence[int], weight_bytes: Sequence[int], held: int, rate: Fraction) -> tuple[int, int, int]:
    """The part that knows the order, and its layers i and j, one row of the maximum at a time; ``held`` bytes of
    weights can wait on chip."""
    done = np.concatenate(([0], np.cumsum(np.array(compute, np.int64))))
    stored = np.concatenate(([0], np.cumsum(np.array(weight_bytes, np.int64))))
    worst = 0, 0, 0
    for first in range(len(compute)):
        excess = np.maximum(0, stored[first + 1 :] - stored[first] - held)
        transfer = -(-excess * rate.denominator // rate.numerator)
        takes = done[first] + transfer + done[-1] - done[first + 1 :]
        last = int(takes.argmax())
        worst = max(worst, (int(takes[last]), -first, -first - last))
    return worst[0], -worst[1], -worst[2]
