"""No program of a tiny network on a tiny machine is faster than its bound: all of them are tried, on the clock.

A network of one or two convolutions; every configuration of every layer, every split of its outputs and rows into one
or two, every order of the loads that the machine allows. Programs wait for nothing but what their instructions read, so
each is the fastest of its kind. Time reads no value, so there are no values here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from backend.bounds import Work, certify
from sim.machine import clock, floors
from sim.machine.description import Configuration, Machine
from sim.machine.encoding import decode, encode
from sim.machine.floors import ConvSizes, WindowAxis
from tests.sim.support import SMALL, changed

Record = tuple[str, dict[str, int | float]]
Splits = tuple[int, int]
"""Into how many parts the outputs and the rows of a layer are split."""


def tiny(bytes_per_second: int, winograd: str = "none") -> Machine:
    """Four lanes, streams of 16 and 4 bytes a cycle, small overheads."""
    return changed(
        SMALL,
        top={"clock_hz": 1_000_000_000},
        array={"lanes": 4, "half_words": 256, "conv_overhead": 3, "winograd": winograd},
        streams={"input": 16, "output": 4, "weights": 16, "fill_overhead": 2},
        dram={"bytes_per_second": bytes_per_second, "latency": 5, "turn": 2, "burst": 16},
        configuration={"image_bytes": 64, "swap": 4},
    )


def layer(outputs: int, inputs: int, kernel: int, size: int) -> ConvSizes:
    axis = WindowAxis(size, kernel, 1, 1, kernel // 2, size)
    return ConvSizes(1, outputs, inputs, axis, axis, kernel == 3)


def configurations(machine: Machine, of: ConvSizes) -> list[Configuration]:
    """Every configuration that can compute a layer."""
    powers = (1, 2, 4)
    algorithms = ("direct", "winograd") if of.winograd else ("direct",)
    every = (Configuration(a, 1, k, r, p) for a, k, r, p in itertools.product(algorithms, powers, powers, powers))
    return [each for each in every if not machine.refusal(each)]


@dataclass(frozen=True)
class Load:
    """Something that has to come: what of it, for whom, its record, and what has to be done on the array before it."""

    what: tuple[str, int, int]
    record: Record
    after_array: int = 0


def parts(length: int, pieces: int) -> list[tuple[int, int]]:
    cuts = [length * i // pieces for i in range(pieces + 1)]
    return [(a, b - a) for a, b in itertools.pairwise(cuts)]


class _Maker:
    """One program: the layers' configurations and splits are chosen, the order of the loads is given."""

    def __init__(self, layers: Sequence[ConvSizes], chosen: Sequence[Configuration], splits: Sequence[Splits]) -> None:
        self.layers, self.chosen, self.splits = layers, chosen, splits

    def loads(self) -> list[Load]:
        """All loads; an image after the first waits for the exchange that empties its slot."""
        made: list[Load] = [Load(("input", 0, 0), ("load", {"bytes": self._input()}))]
        before = 0
        for number, (of, configuration) in enumerate(zip(self.layers, self.chosen, strict=True)):
            if number == 0 or configuration != self.chosen[number - 1]:
                made.append(Load(("image", number, 0), ("load_config", {}), before))
                before += 1
            for part, (_, outputs) in enumerate(parts(of.outputs, self.splits[number][0])):
                size = of.weights // of.outputs * outputs + 8 * outputs
                made.append(Load(("weights", number, part), ("load", {"bytes": size})))
            before += self.splits[number][0] * self.splits[number][1]
        return made

    def _input(self) -> int:
        first = self.layers[0]
        return first.inputs * first.rows.size * first.columns.size

    def records(self, loads: Sequence[Load]) -> list[Record]:
        """The program in the order of its queues; the text's own order does not matter to the clock."""
        place = {load.what: number for number, load in enumerate(loads, start=1)}
        made: list[Record] = [(name, {**fields, "wait.array": load.after_array})
                              for load in loads for name, fields in [load.record]]  # fmt: skip
        array = fills = 0
        last: dict[int, int] = {}
        for number, (of, configuration) in enumerate(zip(self.layers, self.chosen, strict=True)):
            if ("image", number, 0) in place:
                made.append(("configure", {"wait.load": place["image", number, 0]}))
                array += 1
            for part, (_, outputs) in enumerate(parts(of.outputs, self.splits[number][0])):
                sizes = {"outputs": outputs, "inputs": of.inputs, "fy": of.rows.kernel, "fx": of.columns.kernel}
                layout = {"algorithm": int(configuration.algorithm == "winograd"), "k": configuration.k,
                          "r": configuration.r, "p": configuration.p, "g": 1}  # fmt: skip
                come, half = place["weights", number, part], fills % 2
                made.append(("fill", {"half": half, **layout, **sizes, "wait.load": come,
                                      "wait.array": last.get(half, 0)}))  # fmt: skip
                fills += 1
                needs = max(come, place["input", 0, 0]) if number == 0 else come
                for first, rows in parts(of.rows.outputs, self.splits[number][1]):
                    made.append(("conv", {"half": half, **sizes, "oy": rows, "ox": of.columns.outputs, "first": 1,
                                          "last": 1, "wait.load": needs, "wait.weights": fills}))  # fmt: skip
                    array += 1
                    last[half] = array
                    if number == len(self.layers) - 1:
                        size = outputs * rows * of.columns.outputs
                        made.append(("store", {"bytes": size, "dram": 1 << 20 | first, "wait.array": array}))
        return made


def programs(machine: Machine, layers: Sequence[ConvSizes], most: int) -> Iterator[list[Record]]:
    """Every program, with outputs and rows of a layer in up to ``most`` parts."""
    every = range(1, most + 1)
    for chosen in itertools.product(*(configurations(machine, of) for of in layers)):
        for splits in itertools.product(itertools.product(every, every), repeat=len(layers)):
            maker = _Maker(layers, chosen, splits)
            for loads in itertools.permutations(maker.loads()):
                images = [load.what[1] for load in loads if load.what[0] == "image"]
                blocked = [at for at, load in enumerate(loads) if load.after_array]
                needed = {("weights", 0, part) for part in range(splits[0][0])} | {("input", 0, 0)}
                behind = {load.what for load in loads[blocked[0] :]} if blocked else set()
                if images == sorted(images) and not needed & behind:
                    yield maker.records(loads)


NETWORKS = {
    "one of 1x1": ([layer(4, 4, 1, 2)], 2),
    "one of 3x3": ([layer(2, 2, 3, 4)], 2),
    "two of 1x1": ([layer(4, 2, 1, 2), layer(2, 4, 1, 2)], 1),
}


@pytest.mark.parametrize("rate", [1_000_000_000, 64_000_000_000])
@pytest.mark.parametrize("name", NETWORKS)
def test_no_program_is_faster_than_the_bound(name: str, rate: int) -> None:
    layers, most = NETWORKS[name]
    machine = tiny(rate, "on_fill")
    images = floors.by_images(machine, layers)
    work = [Work(str(n), 0, floors.convolution(machine, of), 0, of.weights + 8 * of.outputs)
            for n, of in enumerate(layers)]  # fmt: skip
    first, last = layers[0], layers[-1]
    given = first.inputs * first.rows.size * first.columns.size
    taken = last.outputs * last.rows.outputs * last.columns.outputs
    bound = certify(work, images, given, taken, machine).cycles
    found = [clock.run(machine, decode(encode(records))).cycles for records in programs(machine, layers, most)]
    assert len(found) > 100
    assert 0 < bound <= min(found) <= 1.5 * bound
