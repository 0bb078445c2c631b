"""The order of layers: which branch runs first, where the network leaves the choice.

A branch that is heavy on DRAM but that little else waits for, such as a detection head, is better run when its weights
have had time to arrive behind the multiplications of others. The measure is a fluid model of the machine: weights
stream in in order of use, as far ahead as the SRAM that activations leave can hold, and no layer ends before the last
of its weights has come. This is ``bound2`` that also knows activations and that SRAM is empty at the start, so an order
changes only where that lowers what could be reached at best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from passes.planner.tuning import GAIN, LEAST, PLACES, ROUNDS


@dataclass(frozen=True)
class Task:
    """A unit of work: ``compute`` cycles, ``weights`` bytes from DRAM, ``result`` bytes that stay while they are read.

    ``reads`` are the tasks whose results it needs; ``leaves`` says that its result is one of the network's.
    """

    compute: int
    weights: int
    result: int
    reads: tuple[int, ...]
    leaves: bool = False


def fluid_cycles(tasks: Sequence[Task], order: Sequence[int], rate: float, sram: int) -> float:
    """Cycles of the fluid model for an order of tasks; ``rate`` in bytes per cycle, ``sram`` in bytes.

    With W(i…j) the weights of tasks i … j, E(j) the end of task j, L(j) the time by which its weights have come, and
    R(i) the bytes that activations leave while task i runs:
    L(j) = max(L(j−1) + W(j) / rate, E(i−1) + (W(i…j) − R(i)) / rate for each i ≤ j where this many bytes are missing),
    E(j) = max(E(j−1) + compute(j), L(j)).
    """
    alive = _alive(tasks, order)
    ends: list[float] = [0.0]
    moved: list[int] = [0]
    first = 0
    late = float("-inf")
    arrived = 0.0
    for index in order:
        task = tasks[index]
        total = moved[-1] + task.weights
        while first < len(ends):
            room = max(sram - alive[first], sram // LEAST)
            if total - moved[first] <= room:
                break
            late = max(late, ends[first] * rate - moved[first] - room)
            first += 1
        arrived = max(arrived + task.weights / rate, (late + total) / rate)
        ends.append(max(ends[-1] + task.compute, arrived))
        moved.append(total)
    return ends[-1]


def _alive(tasks: Sequence[Task], order: Sequence[int]) -> list[int]:
    """Bytes of results alive while each task of an order runs."""
    change = [0] * (len(order) + 1)
    last = [len(order) - 1 if task.leaves else -1 for task in tasks]
    place = {index: position for position, index in enumerate(order)}
    for position, index in enumerate(order):
        for source in tasks[index].reads:
            last[source] = max(last[source], position)
    for index, task in enumerate(tasks):
        if not task.leaves:
            change[place[index]] += task.result
            change[max(place[index], last[index]) + 1] -= task.result
    alive, now = list[int](), 0
    for step in change[:-1]:
        now += step
        alive.append(now)
    return alive


def best_order(tasks: Sequence[Task], rate: float, sram: int) -> list[int]:
    """An order of the tasks that respects what they read; the given one, but for branches that gain by waiting."""
    order = list(range(len(tasks)))
    readers: list[list[int]] = [[] for _ in tasks]
    for index, task in enumerate(tasks):
        for source in task.reads:
            readers[source].append(index)
    best = fluid_cycles(tasks, order, rate, sram)
    place = {index: index for index in order}
    for _ in range(ROUNDS):
        before = best
        for tip in range(len(tasks)):
            limit = min((place[reader] for reader in readers[tip]), default=len(order))
            if limit <= place[tip] + 1:
                continue
            branch = _branch(tasks, readers, order, place, tip)
            trials: list[tuple[float, list[int]]] = []
            for position in _places(place[tip] + 2, limit):
                rest = [index for index in order[:position] if index not in branch]
                moved = [index for index in order[:position] if index in branch]
                trial = [*rest, *moved, *order[position:]]
                trials.append((fluid_cycles(tasks, trial, rate, sram), trial))
            cycles, trial = min(trials, key=lambda found: found[0])
            if cycles < best * (1 - GAIN):
                best, order = cycles, trial
                place = {index: position for position, index in enumerate(order)}
        if best == before:
            break
    return order


def _branch(
    tasks: Sequence[Task], readers: Sequence[Sequence[int]], order: Sequence[int], place: dict[int, int], tip: int
) -> set[int]:
    """A task and those before it that are there for it alone."""
    branch = {tip}
    for index in reversed(order[: place[tip]]):
        if readers[index] and not tasks[index].leaves and all(reader in branch for reader in readers[index]):
            branch.add(index)
    return branch


def _places(first: int, last: int) -> list[int]:
    count = min(PLACES, last - first + 1)
    return [last - (last - first) * number // max(1, count - 1) for number in range(count)]
