"""One configuration per convolution, chosen over the whole network.

A shortest path: the nodes are (layer, configuration), a step costs the layer's cycles and, where the configuration
changes, the swap. Each distinct configuration also costs the transfer of its image once (images used again are kept in
SRAM), so configurations are dropped as long as the total falls. Greedy choice per layer would pay a swap at almost
every layer; the path pays only where the layer gains more than it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from passes.planner.candidates import NEVER, Ints, configurations, cost_table, entry, mapping_of
from passes.planner.cost import image_cycles, kernel_words, swap_cycles
from passes.planner.mapping import ConvMapping, ConvShape
from passes.planner.tuning import FAVOURITES, MOST, NEAR, PROMISING, SHARPNESS
from sim.machine.description import Configuration, Machine
from sim.machine.errors import ReconError


@dataclass(frozen=True)
class ConvRequest:
    """A convolution that needs a configuration; ``pin`` is the one it must have."""

    name: str
    shape: ConvShape
    pin: Configuration | None = None


def choices(
    machine: Machine,
    convolutions: Sequence[ConvRequest],
    dram_bytes: int = 0,
    single: bool = False,
    near: float = NEAR,
    images: int = 1,
    sharpness: float = SHARPNESS,
) -> list[tuple[ConvMapping, ...]]:
    """Ways to run the convolutions, in network order, each another one; the most promising by the path's measure first.

    ``dram_bytes`` is what the network moves anyway: where the channel is the bottleneck an image costs more than the
    cycles it saves. ``single`` asks for one configuration for all; a way is left out that is measured to cost ``near``
    times the cheapest; ``images`` run together, and ``sharpness`` says how well array and channel overlap (see
    ``_Measure``). Raises ReconError for a layer that no configuration of the machine can run.
    """
    for one in convolutions:
        if one.pin is not None:
            _check(machine, one.name, one.shape, one.pin)
    pins = [one.pin for one in convolutions if one.pin is not None]
    if len(pins) == len(convolutions):
        chosen = [pins]
    else:
        every = list(dict.fromkeys((*configurations(machine), *pins)))
        costs = _costs(machine, convolutions, every, images)
        measure = _Measure(machine, costs, dram_bytes, sharpness)
        found = [_one_for_all(machine, costs)] if single else _paths(measure, every, near)
        chosen = [[every[index] for index in path] for path in found]
    return [
        tuple(mapping_of(machine, one.shape, c) for one, c in zip(convolutions, path, strict=True)) for path in chosen
    ]


def _costs(machine: Machine, convolutions: Sequence[ConvRequest], every: Sequence[Configuration], images: int) -> Ints:
    """Cycles of each convolution in each configuration, NEVER where it cannot or must not have it."""
    given = tuple(every) if len(every) > len(configurations(machine)) else ()
    costs = np.stack([cost_table(machine, one.shape, given, images).cycles for one in convolutions])
    for row, one in zip(costs, convolutions, strict=True):
        if one.pin is not None:
            row[np.arange(len(every)) != every.index(one.pin)] = NEVER
        elif row.min() >= NEVER:
            raise ReconError(
                f"Layer {one.name} fits no configuration of {machine.name}: {_shortage(machine, one.shape, every)}."
            )
    return costs


def _shortage(machine: Machine, shape: ConvShape, every: Sequence[Configuration]) -> str:
    """Of what a convolution takes too much in every configuration, even for one input channel at one pixel."""
    direct = [c for c in every if c.algorithm == "direct"]
    words = min(kernel_words(machine, c, shape) for c in direct)
    if words > machine.array.half_words:
        return (
            f"one input channel of its {shape.fy}x{shape.fx} kernel takes {words:,} words of L1 and a half has "
            f"{machine.array.half_words:,}, {words - machine.array.half_words:,} too many; more words, or more lanes "
            "for a reduction, would help"
        )
    sums = min(min(c.k, shape.outputs) for c in direct)
    return (
        f"one pixel of a pass takes {sums:,} accumulators and the array has {machine.array.accumulators:,}; more of "
        "them, or fewer outputs at once, would help"
    )


def _one_for_all(machine: Machine, costs: Ints) -> list[int]:
    """The configuration that is best for every convolution alike."""
    sums = np.where((costs >= NEVER).any(axis=0), NEVER, costs.sum(axis=0))
    if sums.min() >= NEVER:
        raise ReconError(f"No single configuration of {machine.name} runs every convolution of this network.")
    return [int(sums.argmin())] * len(costs)


def _paths(measure: _Measure, every: Sequence[Configuration], near: float) -> list[list[int]]:
    """Paths through the network, the cheapest first: with few and with many favourites, and the best configuration for
    all; where Winograd is on a path, those without it too. Their measure does not see all that a plan does."""
    costs = measure.costs
    direct = np.array([c.algorithm == "direct" for c in every])
    found: dict[tuple[int, ...], float] = {}
    for kinds in (np.ones(len(every), np.bool_), direct):
        allowed = np.where(kinds, costs, NEVER)
        if (allowed.min(axis=1) >= NEVER).any():
            continue
        for count in FAVOURITES:
            best = np.argsort(allowed, axis=1, kind="stable")[:, : count or None]
            wanted = sorted({int(i) for row, order in zip(allowed, best, strict=True) for i in order if row[i] < NEVER})
            total, path = min((_shrink(measure, wanted), _grow(measure, wanted)), key=lambda pair: pair[0])
            found.setdefault(tuple(path), total)
        sums = np.where((allowed >= NEVER).any(axis=0), NEVER, allowed.sum(axis=0))
        if sums.min() < NEVER:
            total, path = measure.total([int(sums.argmin())])
            found.setdefault(tuple(path), total)
        if all(direct[list(path)].all() for path in found):
            break
    least = min(found.values(), default=0.0)
    return [list(path) for path in sorted(found, key=lambda path: found[path]) if found[path] <= near * least]


class _Measure:
    """What a set of configurations costs a network: a soft maximum of array and channel, which overlap, but never
    quite; ``sharpness`` is its exponent."""

    def __init__(self, machine: Machine, costs: Ints, dram_bytes: int, sharpness: float):
        self.sharpness = sharpness
        self.costs = costs
        self.swap = swap_cycles(machine) + image_cycles(machine, from_sram=True)
        self.image = image_cycles(machine, from_sram=False)
        self.channel = float(dram_bytes / machine.dram_rate)

    def total(self, chosen: list[int]) -> tuple[float, list[int]]:
        """The measure of the cheapest path in these configurations, and the path."""
        return self.totals([chosen])[0]

    def totals(self, sets: Sequence[list[int]]) -> list[tuple[float, list[int]]]:
        """The same for several sets at once; infinite where a layer runs in none of a set."""
        found: list[tuple[float, list[int]]] = [(float("inf"), [])] * len(sets)
        able = [i for i, chosen in enumerate(sets) if (self.costs[:, chosen].min(axis=1) < NEVER).all()]
        for i, (path, cycles) in zip(able, _paths_in(self.costs, self.swap, [sets[i] for i in able]), strict=True):
            moved = self.channel + self.image * len(set(path))
            found[i] = (float(cycles) ** self.sharpness + moved**self.sharpness) ** (1 / self.sharpness), path
        return found


def _check(machine: Machine, name: str, shape: ConvShape, configuration: Configuration) -> None:
    """ReconError if a layer cannot run in a configuration."""
    table, place = entry(machine, shape, configuration)
    if table.cycles[place] >= NEVER:
        raise ReconError(
            f"Layer {name} cannot run in {configuration} on {machine.name}: {_why_never(shape, configuration)}."
        )


def _why_never(shape: ConvShape, configuration: Configuration) -> str:
    """Why a convolution cannot run in a configuration of the machine."""
    if configuration.algorithm == "winograd" and not shape.winograd:
        plain = (shape.fy, shape.fx, shape.sy, shape.sx, shape.dy, shape.dx) == (3, 3, 1, 1, 1, 1)
        if plain:
            return "four times its sums could overflow int32, or its weights have a zero point"
        return "Winograd is for 3×3 kernels with stride and dilation 1"
    return "its kernel takes more words of L1, or its rows more accumulators, than there are"


def _shrink(measure: _Measure, wanted: list[int]) -> tuple[float, list[int]]:
    """From the best path over all configurations wanted, drop one after the other while the total falls."""
    best, path = measure.total(wanted)
    while True:
        used = sorted(set(path))
        trials = measure.totals([[c for c in used if c != dropped] for dropped in used if len(used) > 1])
        least = min(trials, key=lambda found: found[0], default=(best, path))
        if least[0] >= best:
            return best, path
        best, path = least


def _grow(measure: _Measure, wanted: list[int]) -> tuple[float, list[int]]:
    """From the best single configuration, add one after the other while the total falls."""
    costs = measure.costs[:, wanted]
    best, path, chosen = float("inf"), list[int](), list[int]()
    while True:
        now = costs[:, chosen].min(axis=1) if chosen else np.full(len(costs), NEVER)
        gains = np.minimum(now[:, None], costs).sum(axis=0)
        promising = [int(i) for i in np.argsort(gains, kind="stable") if int(i) not in chosen][:PROMISING]
        totals = measure.totals([[wanted[j] for j in (*chosen, i)] for i in promising])
        trials = [(*total, i) for total, i in zip(totals, promising, strict=True)]
        least = min(trials, key=lambda found: found[0], default=(best, path, 0))
        if least[0] >= best and chosen:
            return best, path
        if not trials:
            return best, path
        best, path = least[0], least[1]
        chosen.append(least[2])
        if len(chosen) > MOST:
            return best, path


def _paths_in(costs: Ints, swap: int, sets: Sequence[list[int]]) -> list[tuple[list[int], int]]:
    """Of each set of configurations the cheapest path through the layers in it, and its cycles.

    Sets stand side by side, as long as the longest; behind the end of the others stands what nothing can have.
    """
    if not sets:
        return []
    width = max(map(len, sets))
    table = np.full((len(costs), len(sets), width), NEVER, np.int64)
    for number, chosen in enumerate(sets):
        table[:, number, : len(chosen)] = costs[:, chosen]
    best = table[0].copy()
    came = np.zeros(table.shape, np.int64)
    own, each = np.arange(width), np.arange(len(sets))
    for layer in range(1, len(table)):
        cheapest = best.argmin(axis=1)
        changed = (best[each, cheapest] + swap)[:, None]
        came[layer] = np.where(best <= changed, own, cheapest[:, None])
        best = np.minimum(best, changed) + table[layer]
    cheapest = best.argmin(axis=1)
    paths = [cheapest]
    for layer in range(len(table) - 1, 0, -1):
        paths.append(came[layer, each, paths[-1]])
    found = np.stack(paths[::-1], axis=1).tolist()
    cycles = best[each, cheapest].tolist()
    return [([chosen[i] for i in path], total) for chosen, path, total in zip(sets, found, cycles, strict=True)]
