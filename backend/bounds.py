"""Lower bounds of a network on a machine, from its layers alone: what "as fast as possible" means.

    compute = Σ over layers of their least compute cycles
    dram    = (weights and parameters once + network inputs + network outputs) / rate
    bound   = max(compute, dram)
    bound2  = max(bound, max over i ≤ j of  compute(before i) + max(0, weights(i…j) − SRAM) / rate + compute(after j))

``bound2`` knows order and capacity: of the weights of layers i…j only as many bytes as SRAM holds can be there before
layer i begins, and no layer after j can begin before the rest has come.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from sim.machine.description import Machine
from sim.machine.laws import ceil_div
from sim.machine.program import Bounds


def bounds(compute: Sequence[int], weight_bytes: Sequence[int], port_bytes: int, machine: Machine) -> Bounds:
    """Bounds in cycles, rounded up.

    ``compute`` are the least cycles of each layer in order, ``weight_bytes`` its weights and parameters, ``port_bytes``
    the network's inputs and outputs.
    """
    rate = machine.dram_rate
    total = sum(compute)
    dram = _cycles(sum(weight_bytes) + port_bytes, rate)
    bound = max(total, dram)
    return Bounds(total, dram, bound, max(bound, _ordered(compute, weight_bytes, machine.sram.bytes, rate)))


def _cycles(size: int, rate: Fraction) -> int:
    return int(ceil_div(size * rate.denominator, rate.numerator))


def _ordered(compute: Sequence[int], weight_bytes: Sequence[int], sram: int, rate: Fraction) -> int:
    """The second part of ``bound2``, one row of the maximum at a time."""
    done = np.concatenate(([0], np.cumsum(np.array(compute, np.int64))))
    stored = np.concatenate(([0], np.cumsum(np.array(weight_bytes, np.int64))))
    worst = int(done[-1])
    for first in range(len(compute)):
        excess = np.maximum(0, stored[first + 1 :] - stored[first] - sram)
        transfer = -(-excess * rate.denominator // rate.numerator)
        worst = max(worst, int((done[first] + transfer + done[-1] - done[first + 1 :]).max()))
    return worst
