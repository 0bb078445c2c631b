"""The least time of a layer lies below every way of cutting it that the laws allow."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Iterator, Sequence

import pytest

from sim.machine import floors, laws
from sim.machine.description import Configuration, Machine, load
from sim.machine.floors import ConvSizes, WindowAxis

Part = tuple[int, int]
"""First position and length along one axis."""


def machine_of(dice: random.Random) -> Machine:
    base = load("edge1k")
    array = dataclasses.replace(
        base.array,
        lanes=dice.choice([4, 8, 12, 16]),
        half_words=dice.choice([2, 8, 128]),
        conv_overhead=dice.choice([0, 2, 32]),
        flatten=dice.random() < 0.7,
        winograd=dice.choice(["none", "on_fill"]),
    )
    streams = dataclasses.replace(base.streams, input=dice.choice([4, 16, 64]), output=dice.choice([4, 16, 64]))
    return dataclasses.replace(base, array=array, streams=streams)


def layer_of(dice: random.Random) -> ConvSizes:
    axes: list[WindowAxis] = []
    for _ in range(2):
        kernel, stride = dice.choice([1, 2, 3, 3, 5]), dice.choice([1, 1, 2])
        dilation = dice.choice([1, 1, 2])
        pad, size = dice.choice([0, 1]), dice.choice([1, 4, 6]) + (kernel - 1) * dilation
        axes.append(
            WindowAxis(
                (size + 2 * pad - (kernel - 1) * dilation - 1) // stride + 1, kernel, stride, dilation, pad, size
            )
        )
    groups, outputs, inputs = dice.choice([1, 1, 3]), dice.choice([1, 3, 6]), dice.choice([1, 2, 5])
    return ConvSizes(groups, outputs, inputs, axes[0], axes[1], True)


def parts(length: int, pieces: int) -> list[Part]:
    """A length in so many nearly equal pieces."""
    cuts = [length * i // pieces for i in range(pieces + 1)]
    return [(a, b - a) for a, b in itertools.pairwise(cuts) if b > a]


def passes(layer: ConvSizes, dice: random.Random) -> Iterator[dict[str, int]]:
    """The passes of one way of cutting a layer: a grid over all axes, kernel taps included."""
    sizes = (layer.groups, layer.outputs, layer.inputs, layer.rows.outputs, layer.columns.outputs)
    grid = [parts(size, dice.choice([1, 1, 1, 2, 3, size])) for size in sizes]
    kernel = [parts(axis.kernel, dice.choice([1, 1, 2, axis.kernel])) for axis in (layer.rows, layer.columns)]
    reductions = list(itertools.product(grid[2], *kernel))
    for group, output, row, column in itertools.product(grid[0], grid[1], grid[3], grid[4]):
        for number, (inputs, fy, fx) in enumerate(reductions):
            yield {"groups": group[1], "outputs": output[1], "inputs": inputs[1], "fy": fy[1], "fx": fx[1],
                   "oy": row[1], "ox": column[1],
                   "last": number + 1 == len(reductions)}  # fmt: skip


def uncut(layer: ConvSizes) -> dict[str, int]:
    """The one pass of a layer that nothing cuts."""
    return {"groups": layer.groups, "outputs": layer.outputs, "inputs": layer.inputs, "fy": layer.rows.kernel,
            "fx": layer.columns.kernel, "oy": layer.rows.outputs, "ox": layer.columns.outputs,
            "last": True}  # fmt: skip


def settings(machine: Machine) -> list[Configuration]:
    """Every configuration that the machine's array can take."""
    powers = [1 << i for i in range(machine.array.lanes.bit_length())]
    every = itertools.product(("direct", "winograd"), powers, powers, powers, powers)
    return [each for each in (Configuration(*row) for row in every) if not machine.refusal(each)]


def least(
    machine: Machine, layer: ConvSizes, work: dict[str, int], choices: Sequence[Configuration] | None = None
) -> int | None:
    """The cycles of the best configuration (of all, or of these) for a pass, or None where none can hold it."""
    found: list[int] = []
    winograd = machine.array.winograd != "none" and (work["fy"], work["fx"]) == (3, 3)
    winograd &= all(axis.stride == axis.dilation == 1 for axis in (layer.rows, layer.columns))
    for each in settings(machine) if choices is None else choices:
        algorithm, g, k, r, p = each.algorithm, each.g, each.k, each.r, each.p
        if algorithm == "winograd" and not winograd:
            continue
        cost = laws.conv(machine, winograd=algorithm == "winograd", g=g, k=k, r=r, p=p, sx=layer.columns.stride,
                         dx=layer.columns.dilation, residual=False, **work)  # fmt: skip
        if int(cost.words) <= machine.array.half_words:
            found.append(int(cost.busy))
    return min(found, default=None)


@pytest.mark.parametrize("seed", range(60))
def test_no_way_of_cutting_a_convolution_is_faster(seed: int) -> None:
    dice = random.Random(seed)
    machine, layer = machine_of(dice), layer_of(dice)
    floor = floors.convolution(machine, layer)
    assert floor > 0
    for _ in range(4):
        costs = [least(machine, layer, work) for work in passes(layer, dice)]
        if None not in costs:
            assert floor <= sum(cost for cost in costs if cost is not None)


@pytest.mark.parametrize("seed", range(30))
def test_no_one_configuration_and_no_two_are_faster(seed: int) -> None:
    dice = random.Random(seed)
    machine, layers = machine_of(dice), [layer_of(dice) for _ in range(dice.randint(1, 3))]
    one, two, whole = floors.by_images(machine, layers)
    assert one >= two >= whole == sum(floors.convolution(machine, layer) for layer in layers) > 0
    every = settings(machine)
    for each in every:  # whole layers, as a plan of one configuration may run them
        whole_layers = [(layer, uncut(layer)) for layer in layers]
        costs = [least(machine, layer, work, [each]) for layer, work in whole_layers]
        if None not in costs:
            assert one <= sum(cost for cost in costs if cost is not None)
    for count, floor in ((1, one), (2, two)):
        for _ in range(12):
            chosen = dice.sample(every, min(count, len(every)))
            costs = [least(machine, layer, work, chosen) for layer in layers for work in passes(layer, dice)]
            if None not in costs:
                assert floor <= sum(cost for cost in costs if cost is not None)


def test_winograd_alone_computes_the_border_too() -> None:
    """Corners have 4 real taps, for which Winograd saves nothing; a program of one configuration has no other."""
    edge4k, axis = load("edge4k"), WindowAxis(28, 3, 1, 1, 1, 28)
    layers = [ConvSizes(1, 16, 16, axis, axis, True)] * 3
    costs = [least(edge4k, layers[0], uncut(layers[0]), [each]) for each in settings(edge4k) if each.p > 1]
    best = min(cost for cost in costs if cost is not None)
    assert floors.by_images(edge4k, layers) == (684, 684, 684)
    assert 228 <= best == 240


def test_one_configuration_for_all_costs_more_than_one_for_each() -> None:
    edge4k = load("edge4k")
    axis, point = WindowAxis(14, 3, 1, 1, 1, 14), WindowAxis(14, 1, 1, 1, 0, 14)
    depthwise = ConvSizes(256, 1, 1, axis, axis, True)
    pointwise = ConvSizes(1, 256, 256, point, point, True)
    alone = floors.convolution(edge4k, depthwise) + floors.convolution(edge4k, pointwise)
    assert floors.by_images(edge4k, [depthwise, pointwise]) == (7680, alone, alone)


def test_the_floor_knows_what_lanes_alone_do_not() -> None:
    edge4k = load("edge4k")
    axis = WindowAxis(14, 3, 1, 1, 1, 14)
    depthwise = ConvSizes(512, 1, 1, axis, axis, True)
    products = -(-512 * 40 * 40 // 4096)  # 40 of 42 taps along an axis are real; a tap of every pixel must be read
    assert (products, floors.convolution(edge4k, depthwise)) == (200, 424)
    whole = ConvSizes(1, 256, 256, WindowAxis(56, 1, 1, 1, 0, 56), WindowAxis(56, 1, 1, 1, 0, 56), True)
    assert floors.convolution(edge4k, whole) == 32 + 256 * 256 * 56 * 56 // 4096


def test_vector_operations() -> None:
    edge4k = load("edge4k")
    pool = WindowAxis(56, 3, 2, 1, 1, 112)
    assert floors.vector(edge4k, "max_pool", 56, 56, 64, pool, pool) <= int(
        laws.vector(edge4k, "max_pool", oy=56, ox=56, channels=64, fy=3, fx=3, sx=2)
    )
    assert floors.vector(edge4k, "add", 8, 8, 20, None, None) == int(
        laws.vector(edge4k, "add", oy=8, ox=8, channels=20)
    )
