"""One configuration per convolution, chosen over the whole network.

A shortest path: the nodes are (layer, configuration), a step costs the layer's cycles and, where the configuration
changes, the swap. Each distinct configuration also costs the transfer of its image once (images used again are kept in
SRAM), so configurations are dropped as long as the total falls. Greedy choice per layer would pay a swap at almost every
layer; the path pays only where the layer gains more than it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from sim import laws
from sim.errors import ReconError
from sim.machine import Configuration, Machine

from passes.plan.candidates import NEVER, ConvShape, configurations, evaluate

SHARPNESS = 6.0
"""Exponent of the soft maximum of array and channel time."""

FAVOURITES = 4
"""Best configurations of each layer that enter the path."""


def choose(
    machine: Machine,
    shapes: Sequence[tuple[str, ConvShape]],
    pinned: Mapping[str, Configuration] | None = None,
    dram_bytes: int = 0,
) -> list[Configuration]:
    """A configuration for each convolution (name, shape), in network order.

    ``pinned`` fixes some by name; ``dram_bytes`` is what the network moves anyway: where the channel is the bottleneck
    an image costs more than the cycles it saves. Raises ReconError for a layer that no configuration of the machine can run.
    """
    pinned = pinned or {}
    if not shapes:
        return []
    every = list(configurations(machine))
    every += [c for c in dict.fromkeys(pinned.values()) if c not in every]
    costs = np.stack([evaluate(machine, shape, tuple(every)).cycles for _, shape in shapes])
    for row, (name, _) in zip(costs, shapes, strict=True):
        if name in pinned:
            keep = every.index(pinned[name])
            fixed = row[keep]
            if fixed >= NEVER:
                raise ReconError(f"Layer {name} cannot run in {pinned[name]} on {machine.name}.")
            row[:] = NEVER
            row[keep] = fixed
        elif row.min() >= NEVER:
            raise ReconError(f"Layer {name} fits no configuration of {machine.name}: its kernel is too large for L1.")
    best = np.argsort(costs, axis=1, kind="stable")[:, :FAVOURITES]
    wanted = sorted({int(i) for row, order in zip(costs, best, strict=True) for i in order if row[i] < NEVER})
    costs = costs[:, wanted]
    swap = laws.configure(machine) + machine.configuration.sram_load
    image = int(laws.channel(machine, 1, machine.configuration.image_bytes // machine.dram.burst))
    channel = float(dram_bytes / machine.dram_rate)

    def weigh(path: list[int], cycles: int) -> float:
        """A soft maximum of array and channel, for the two overlap but never quite."""
        return (float(cycles) ** SHARPNESS + (channel + image * len(set(path))) ** SHARPNESS) ** (1 / SHARPNESS)

    alive = np.ones(len(wanted), bool)
    path, cycles = _path(costs, swap, alive)
    total = weigh(path, cycles)
    improved = True
    while improved:
        improved = False
        for candidate in sorted(set(path), key=lambda c: (path.count(c), c)):
            alive[candidate] = False
            if (costs[:, alive].min(axis=1, initial=NEVER) < NEVER).all():
                other, cycles = _path(costs, swap, alive)
                if weigh(other, cycles) < total:
                    path, total, improved = other, weigh(other, cycles), True
                    break
            alive[candidate] = True
    return [every[wanted[i]] for i in path]


def _path(costs: npt.NDArray[np.int64], swap: int, alive: npt.NDArray[np.bool_]) -> tuple[list[int], int]:
    """The cheapest path through the layers among the living configurations, and its cycles."""
    names = np.flatnonzero(alive)
    table = costs[:, names]
    best = table[0].copy()
    came = np.zeros(table.shape, np.int64)
    for layer in range(1, len(table)):
        cheapest = int(best.argmin())
        changed = best[cheapest] + swap
        stay = best <= changed
        came[layer] = np.where(stay, np.arange(len(names)), cheapest)
        best = np.minimum(best, changed) + table[layer]
    path = [int(best.argmin())]
    for layer in range(len(table) - 1, 0, -1):
        path.append(int(came[layer, path[-1]]))
    chosen = [int(names[i]) for i in reversed(path)]
    return chosen, int(best.min())
