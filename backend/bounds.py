"""Lower bounds of a network on a machine, from its layers alone: what "as fast as possible" means.

    compute = Σ over layers of their multiply-accumulates on all lanes
    dram    = (weights and parameters once + network inputs + network outputs) / rate
    bound   = max(compute, dram)
    bound2  = max(bound, max over i ≤ j of  compute(before i) + max(0, weights(i…j) − SRAM) / rate + compute(after j))
    bound3  = the larger of what bounds the array, the vector unit and the channel by the machine's laws
              (``sim.machine.floors``), the first image and the first and last bytes included

``bound2`` and ``bound3`` know order and capacity: of the weights of layers i…j only as many bytes as SRAM (for
``bound3``: and the two halves of L1) holds can be there before layer i begins, and no layer after j can begin before
the rest has come. docs/bounds.md has the proofs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from sim.machine import laws
from sim.machine.description import Machine
from sim.machine.laws import ceil_div
from sim.machine.program import Bounds


@dataclass(frozen=True)
class Work:
    """What a layer asks for, in cycles and bytes: its products on all lanes, the least that the laws allow on the array
    and on the vector unit, its weights and parameters."""

    compute: int
    array: int
    vector: int
    weight_bytes: int


def bounds(layers: Sequence[Work], input_bytes: int, output_bytes: int, machine: Machine) -> Bounds:
    """Bounds in cycles, rounded up, for layers in the order in which the program runs them."""
    rate = machine.dram_rate
    compute = [layer.compute for layer in layers]
    weights = [layer.weight_bytes for layer in layers]
    total = sum(compute)
    dram = _cycles(sum(weights) + input_bytes + output_bytes, rate)
    bound = max(total, dram)
    bound2 = max(bound, _ordered(compute, weights, machine.sram.bytes, rate))
    array = [layer.array for layer in layers]
    vector = sum(layer.vector for layer in layers)
    bound3 = _by_laws(array, vector, weights, (input_bytes, output_bytes), machine)
    return Bounds(total, dram, bound, bound2, bound3, sum(array), vector)


def frame_bounds(layers: Sequence[Work], input_bytes: int, output_bytes: int, machine: Machine) -> Bounds:
    """Bounds in cycles for a frame of many, rounded up: what a frame takes in the long run.

    Of the weights at most as many bytes stay as SRAM (``bound3``: and the two halves of L1) hold; the others, inputs
    and outputs cross the channel for every frame, while array and vector unit work on any frame. The order of layers
    bounds nothing, because frames overlap, so ``bound2`` is ``bound``.
    """
    weights, ports = sum(layer.weight_bytes for layer in layers), input_bytes + output_bytes
    array, vector = sum(layer.array for layer in layers), sum(layer.vector for layer in layers)
    total = sum(layer.compute for layer in layers)
    dram = _cycles(max(0, weights - machine.sram.bytes) + ports, machine.dram_rate)
    held = machine.sram.bytes + 2 * machine.array.half_words * machine.array.lanes
    channel = _cycles(max(0, weights - held) + ports, machine.dram_rate)
    bound = max(total, dram)
    return Bounds(total, dram, bound, bound, max(array, vector, channel), array, vector)


def _by_laws(
    array: Sequence[int], vector: int, weights: Sequence[int], ports: tuple[int, int], machine: Machine
) -> int:
    """``bound3``: the array behind the first image, the vector unit, the order with its capacity, the channel."""
    rate, dram = machine.dram_rate, machine.dram
    given, taken = ports
    image = machine.configuration.image_bytes if any(array) else 0
    first = _cycles(image, rate) + dram.latency + laws.configure(machine) if image else 0
    last = (1 + dram.latency) if taken else 0
    begins = 1 + dram.latency if given and vector else 0
    turn = dram.turn if given + sum(weights) and taken else 0
    channel = _cycles(sum(weights) + given + taken + image, rate) + turn + dram.latency
    held = machine.sram.bytes + 2 * machine.array.half_words * machine.array.lanes
    ordered = _ordered(array, weights, held, rate) + last
    return max(first + sum(array) + last, begins + vector + last, ordered, channel)


def _cycles(size: int, rate: Fraction) -> int:
    return int(ceil_div(size * rate.denominator, rate.numerator))


def _ordered(compute: Sequence[int], weight_bytes: Sequence[int], held: int, rate: Fraction) -> int:
    """The part that knows the order, one row of the maximum at a time; ``held`` bytes of weights can wait on chip."""
    done = np.concatenate(([0], np.cumsum(np.array(compute, np.int64))))
    stored = np.concatenate(([0], np.cumsum(np.array(weight_bytes, np.int64))))
    worst = int(done[-1])
    for first in range(len(compute)):
        excess = np.maximum(0, stored[first + 1 :] - stored[first] - held)
        transfer = -(-excess * rate.denominator // rate.numerator)
        worst = max(worst, int((done[first] + transfer + done[-1] - done[first + 1 :]).max()))
    return worst
