"""The planner's parts, each against something simpler: brute force, exhaustive search, a run row by row."""

from __future__ import annotations

import dataclasses
import itertools
import random
import re
from typing import Any

import numpy as np
import pytest

from dialects import cnn
from dialects.tile import Slice
from passes.cnn_to_tile.segments import segments
from passes.common import placement
from passes.planner.candidates import NEVER, configurations, cost_table
from passes.planner.configure import ConvRequest, choices
from passes.planner.mapping import Axis, Block, Box, ConvMapping, ConvShape, Loop
from passes.planner.network import Layer, Network, network
from passes.planner.options import Options
from passes.planner.partition import Partition, Partitioner, alone
from passes.planner.prefetch import Effort, prefetch
from passes.planner.rooms import Room
from passes.planner.schedule import finished_rows, schedule
from passes.planner.search import configured
from passes.planner.space import Space, Stay
from passes.planner.stripes import Group, progress, rings
from passes.planner.works import ConvPass, Fill
from sim.machine import laws
from sim.machine.description import Configuration, Machine, load
from sim.machine.errors import ReconError
from tests.passes.planner.nets import Net, random_net
from tests.passes.planner.support import altered, random_machine

Q = (0.05, 3)


def random_shape(dice: random.Random) -> ConvShape:
    groups = dice.choice([1, 1, 1, 3, 16, 70])
    outputs, inputs = (dice.choice([1, 2, 5]) if groups > 1 else dice.choice([1, 16, 60, 300]) for _ in range(2))
    fy, fx = dice.choice([(1, 1), (3, 3), (3, 3), (5, 2), (7, 7)])
    sy, sx, dy, dx = (dice.choice([1, 1, 2]) for _ in range(4))
    oy, ox = dice.choice([(1, 1), (7, 7), (14, 9), (28, 28)])
    plain = (fy, fx, sy, sx, dy, dx) == (3, 3, 1, 1, 1, 1)
    return ConvShape(groups, outputs, inputs, fy, fx, sy, sx, dy, dx, oy, ox, plain)


def cost(machine: Machine, s: ConvShape, c: Configuration, groups: int, outputs: int, inputs: int, oy: int) -> Any:
    return laws.conv(
        machine, winograd=c.algorithm == "winograd", g=c.g, k=c.k, r=c.r, p=c.p, groups=groups, outputs=outputs,
        inputs=inputs, fy=s.fy, fx=s.fx, sx=s.sx, dx=s.dx, oy=oy, ox=s.ox, last=1, residual=s.residual,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(30))
def test_blocks_cover_a_convolution_once_and_cost_what_is_said(seed: int) -> None:
    dice = random.Random(seed)
    machine = load("edge4k") if seed % 4 == 0 else random_machine(seed)
    shape = random_shape(dice)
    every = configurations(machine)
    table = cost_table(machine, shape, every)
    for index in dice.sample(range(len(every)), min(len(every), 12)):
        c = every[index]
        winograd = c.algorithm == "winograd"
        if table.cycles[index] >= NEVER:
            least = laws.words(machine, winograd, c.g, c.k, c.r, 1, 1, 1, shape.fy, shape.fx)
            row = min(c.k, shape.outputs) * (16 * -(-shape.ox // 2) if winograd else shape.ox)
            assert (
                least > machine.array.half_words
                or (winograd and not shape.winograd)
                or row > machine.array.accumulators
            )
            continue
        mapping = table.mapping(index)
        seen = np.zeros((shape.groups, shape.outputs, shape.inputs), np.int64)
        total = 0
        several = mapping.is_split
        rows = mapping.size(Axis.ROW)
        for block in mapping.blocks:
            seen[
                block.group : block.group + block.groups,
                block.output : block.output + block.outputs,
                block.input : block.input + block.inputs,
            ] += 1
            assert block.groups == 1 or (block.outputs, block.inputs) == (shape.outputs, shape.inputs)
            part = block.groups, block.outputs, block.inputs
            words = laws.words(machine, winograd, c.g, c.k, c.r, *part, shape.fy, shape.fx)
            assert int(words) <= machine.array.half_words
            one = cost(machine, shape, c, *part, rows)
            assert not several or int(one.accumulators) <= machine.array.accumulators
            filled = int(laws.fill(machine, block.channels * block.inputs * shape.taps))
            total += max(int(one.busy), filled) * -(-shape.oy // rows)
        assert (seen == 1).all()
        if several or shape.groups > 1:
            # The last part of a cut reduction, and of groups that are cut in two ways, may be smaller than is said.
            assert total <= table.cycles[index] * 1.5 + 100
        else:
            assert total == table.cycles[index]


def swaps_and_images(machine: Machine, costs: np.ndarray[Any, Any], path: tuple[int, ...], moved: int) -> float:
    """The objective of the choice of configurations, from its description."""
    cycles = sum(int(row[i]) for row, i in zip(costs, path, strict=True))
    cycles += sum(a != b for a, b in itertools.pairwise(path)) * (
        laws.configure(machine) + machine.configuration.sram_load
    )
    image = int(laws.channel(machine, 1, machine.configuration.image_bytes // machine.dram.burst))
    channel = float(moved / machine.dram_rate) + image * len(set(path))
    return (cycles**6.0 + channel**6.0) ** (1 / 6.0)


@pytest.mark.parametrize("seed", range(12))
def test_the_chosen_path_is_the_best_there_is(seed: int) -> None:
    dice = random.Random(seed)
    machine = altered(array={"lanes": 16, "winograd": "none"})
    layers = [ConvRequest(f"l{i}", random_shape(dice)) for i in range(3)]
    every = configurations(machine)
    costs = np.stack([cost_table(machine, layer.shape, every).cycles for layer in layers])
    moved = dice.choice([0, 1000, 1_000_000])
    found = choices(machine, layers, dram_bytes=moved)[0]
    own = swaps_and_images(machine, costs, tuple(every.index(m.configuration) for m in found), moved)
    best = min(swaps_and_images(machine, costs, path, moved) for path in itertools.product(range(len(every)), repeat=3))
    assert own <= best * 1.001


def test_pins_and_single_configurations() -> None:
    machine = load("edge1k")
    wide = ConvShape(1, 64, 64, 3, 3, 1, 1, 1, 1, 28, 28, True)
    deep = ConvShape(64, 1, 1, 3, 3, 1, 1, 1, 1, 28, 28, False)

    def chosen(third: str | None = None, **options: bool) -> list[Configuration]:
        pin = Configuration.parse(third) if third is not None else None
        layers = [ConvRequest("a", wide), ConvRequest("b", deep), ConvRequest("c", wide, pin)]
        return [mapping.configuration for mapping in choices(machine, layers, **options)[0]]

    free = chosen()
    assert free[0] == free[2] != free[1]
    assert free[0].algorithm == "winograd"
    assert chosen("direct g1 k64 r4 p4")[2] == Configuration.parse("direct g1 k64 r4 p4")
    assert len(set(chosen(single=True))) == 1
    assert choices(machine, []) == [()]
    reason = "four times its sums could overflow int32, or its weights have a zero point"
    with pytest.raises(ReconError, match=rf"^Layer b cannot run in winograd g1 k4 r4 p4 on edge1k: {reason}\.$"):
        choices(machine, [ConvRequest("b", deep, Configuration.parse("winograd g1 k4 r4 p4"))])
    small = dataclasses.replace(machine, array=dataclasses.replace(machine.array, lanes=4, half_words=8))
    message = (
        "Layer a fits no configuration of edge1k: one input channel of its 9x9 kernel takes 21 words of L1 and a half "
        "has 8, 13 too many; more words, or more lanes for a reduction, would help."
    )
    with pytest.raises(ReconError, match=f"^{re.escape(message)}$"):
        choices(small, [ConvRequest("a", dataclasses.replace(wide, fy=9, fx=9, winograd=False))])


def test_a_nest_is_walked_in_its_order_and_covers_every_axis() -> None:
    shape = ConvShape(1, 10, 6, 3, 3, 1, 1, 1, 1, 7, 5, False)
    loops = (Loop(Axis.ROW, 4, 2), Loop(Axis.OUTPUT, 8), Loop(Axis.INPUT, 4))
    mapping = ConvMapping(shape, Configuration.parse("direct g1 k8 r2 p1"), loops)
    assert mapping.blocks == (
        Block(0, 1, 0, 8, 0, 4), Block(0, 1, 0, 8, 4, 2), Block(0, 1, 8, 2, 0, 4), Block(0, 1, 8, 2, 4, 2)
    )  # fmt: skip
    box = Box((0, 7), (0, mapping.shape.ox), (0, mapping.shape.groups * mapping.shape.outputs))
    columns = box.columns
    assert list(mapping.steps(box)) == [(rows, columns, block) for rows in ((0, 4), (4, 7)) for block in mapping.blocks]
    turned = dataclasses.replace(mapping, loops=loops[::-1])
    assert [block.input for block in turned.blocks] == [0, 0, 4, 4]
    assert [rows for rows, _, _ in turned.steps(box)] == [(0, 4), (4, 7)] * 4


# ------------------------------------------------------------------------------------------------ whole networks


def read(seed: int) -> Network:
    """A random network as the planner sees it."""
    module = random_net(seed)
    (function,) = module.body.block.ops
    (ops,) = segments(function)  # pyright: ignore[reportArgumentType]
    inside = set(ops)
    taken = dict.fromkeys(v for op in ops for v in op.operands if v.owner not in inside)
    given = [r for op in ops for r in op.results if any(use.operation not in inside for use in r.uses)]
    return network(ops, list(taken), given)


@dataclasses.dataclass
class Planned:
    """A network with a machine, its configurations, and a partition that fuses and spills."""

    net: Network
    machine: Machine
    chosen: dict[Layer, ConvMapping]
    partitioner: Partitioner
    budget: int
    partition: Partition


def partitions() -> list[Planned]:
    """Networks cut for little SRAM."""
    found: list[Planned] = []
    for seed in range(300, 375):
        net, dice = read(seed), random.Random(seed)
        crowd = max(Partitioner(load("edge1k"), net, {}).live(), default=0)
        machine = altered(sram={"bytes": max(2048, crowd * dice.choice([40, 60, 80]) // 100 + 1024)})
        try:
            chosen = configured(machine, net, Options())
            partitioner = Partitioner(machine, net, chosen)
            budget = machine.sram.bytes * 85 // 100
            partition = partitioner.cut(budget)
        except ReconError:
            continue
        if any(group.stripes > 1 for group in partition.groups) or partition.spilled:
            found.append(Planned(net, machine, chosen, partitioner, budget, partition))
    return found


@pytest.fixture(scope="module")
def cuts() -> list[Planned]:
    made = partitions()
    assert len(made) > 15
    assert sum(any(len(g.layers) > 1 for g in p.partition.groups) for p in made) > 5
    return made


def test_every_row_is_made_once_and_rings_hold_what_is_read(cuts: list[Planned]) -> None:
    for planned in cuts:
        assert [y for g in planned.partition.groups for y in g.layers] == planned.net.layers
        for group in planned.partition.groups:
            steps = progress(group, planned.chosen)
            check_rows(group, steps)
            check_rings(group, steps, planned.partition)


def check_rows(group: Group, steps: list[Any]) -> None:
    done = dict.fromkeys(group.layers, 0)
    for step in steps:
        for layer, first, end in step:
            assert first == done[layer] < end
            done[layer] = end
    assert all(needed(group, layer) <= done[layer] <= layer.output.height for layer in group.layers)


def needed(group: Group, layer: Layer) -> int:
    """Rows of a layer that something reads: a pool of stride 2 may leave the last ones."""
    rows = 0
    readers = [other for other in group.layers if layer.output in other.inputs]
    for reader in readers:
        (kernel, _), (top, *_), (stride, _), (dilation, _) = reader.window.values
        rows = max(rows, (reader.output.height - 1) * stride - top + (kernel - 1) * dilation + 1)
    windowed = readers and all(reader.kind in ("max_pool2d", "conv2d", "average_pool2d") for reader in readers)
    return min(rows, layer.output.height) if windowed else layer.output.height


def check_rings(group: Group, steps: list[Any], partition: Partition) -> None:
    """Run a group row by row: slots remember the row and channels written last, and readers find theirs."""
    stored = rings(group, steps, partition.spilled)
    slots: dict[Any, np.ndarray[Any, Any]] = {
        buffer: np.full((rows, buffer.channels), -1)
        for buffer, rows in stored.items()
        if buffer not in partition.spilled
    }
    for step in steps:
        for layer, first, end in step:
            for which, tensor in enumerate(layer.inputs):
                if tensor.buffer in slots:
                    held = slots[tensor.buffer]
                    low, high = layer.input_rows(first, end, which)
                    rows = np.arange(low, high)
                    box = held[rows % len(held), tensor.offset : tensor.offset + tensor.channels]
                    assert (box == rows[:, None]).all(), (layer.name, which, first, end)
            out = layer.output
            if out.buffer in slots:
                held, rows = slots[out.buffer], np.arange(first, end)
                assert len(rows) <= len(held)
                held[rows % len(held), out.offset : out.offset + out.channels] = rows[:, None]


def test_cuts_respect_their_budget(cuts: list[Planned]) -> None:
    for planned in cuts:
        cutter = planned.partitioner
        for group in planned.partition.groups:
            first, last = group.layers[0].index, group.layers[-1].index
            inside = rings(group, progress(group, planned.chosen), planned.partition.spilled)
            if group.stripes == 1 and len(group.layers) == 1:
                weights = cutter.least_weights(group.layers[0]) - cutter.shared(group.layers[0])
            else:
                weights = sum(cutter.weights(layer) for layer in group.layers)
            whole = sum(
                buffer.bytes
                for buffer, (birth, death) in cutter.life.items()
                if birth <= last and death >= first and buffer not in planned.partition.spilled and buffer not in inside
            )
            assert whole + weights + sum(n * b.width * b.channels for b, n in inside.items()) <= planned.budget


def test_first_layers_work_while_a_large_input_comes() -> None:
    """Only where stripes gain, and only within the budget."""
    net = Net(5)
    x = net.input(160, 160, 16, Q)
    y = net.conv(net.conv(x, 32, (3, 3), (1, 1, 1, 1)), 32, (3, 3), (1, 1, 1, 1))
    found = network([op for op in net.block.ops], [x], [y])
    machine = load("edge4k")
    cutter = Partitioner(machine, found, configured(machine, found, Options()))
    whole = alone(found)
    opened = cutter.opened(whole, machine.sram.bytes)
    assert [len(group.layers) for group in opened.groups] == [2]
    assert opened.groups[0].stripes > 1
    needed = cutter.needs(opened.groups[0], frozenset())
    assert all(
        cutter.needs(group, frozenset()) <= needed - 1
        for group in cutter.opened(whole, needed - 1).groups
        if group.stripes > 1
    )
    assert cutter.opened(whole, 0) == whole
    assert Partitioner(machine, found, cutter.mappings, longest=1).opened(whole, machine.sram.bytes) == whole


def test_rows_are_finished_by_the_last_item_that_writes_them() -> None:
    room, box = Room("r", (8, 4, 4)), Slice.of((0, 0, 0), (1, 1, 1))
    fill = Fill("c", 0, room, box, Configuration.parse("direct g1 k1 r1 p1"), 1, 0)
    one = ConvPass("c", room, box, room, box, fill, cnn.WindowAttr.of((1, 1)), 1, 0, True, None)

    def made(first: int, rows: int) -> ConvPass:
        return dataclasses.replace(one, out=Slice.of((first, 0, 0), (rows, 4, 4)))

    assert finished_rows([fill, made(0, 8), fill, made(0, 3), made(3, 5)]) == [None, None, None, (0, 3), (3, 8)]
    assert finished_rows([made(0, 4), made(4, 4)]) == [(0, 4), (4, 8)]
    assert finished_rows([made(0, 6), made(4, 4)]) == [(0, 4), (4, 8)]
    assert finished_rows([]) == []


def test_rooms_that_live_together_lie_apart() -> None:
    for seed in range(40):
        dice = random.Random(seed)
        results: list[Stay] = []
        loads: list[Stay] = []
        for number in range(60):
            first = dice.randrange(80)
            room = Room(f"r{number}", (dice.randrange(1, 3000),))
            (loads if dice.random() < 0.5 else results).append(Stay(room, first, first + dice.randrange(12)))
        space = Space(40_000)
        if space.from_above(results) is not None:
            continue
        finished = np.cumsum(np.array([dice.randrange(100) for _ in range(100)]))
        placed = list(results)
        for stay in sorted(loads, key=lambda stay: stay.first):
            before = [other for other in placed if other.last < stay.first]
            ready = space.place(stay, finished)
            if ready < 0:
                continue
            at = space.addresses[stay.room]
            met = [o for o in before if 0 < space.addresses[o.room] + o.bytes - at < o.bytes + stay.bytes]
            assert ready >= max((int(finished[other.last]) for other in met), default=0)
            placed.append(stay)
        sizes, births, deaths = ([s.room.size for s in placed], [s.first for s in placed], [s.last for s in placed])
        assert placement.fits(sizes, births, deaths, [space.addresses[s.room] for s in placed], 40_000)


@pytest.mark.parametrize("ahead", [True, False])
def test_loads_stand_in_the_order_of_need_and_before_it(cuts: list[Planned], ahead: bool) -> None:
    checked = 0
    for planned in cuts:
        for partition in (planned.partition, alone(planned.net)):
            ordered = schedule(planned.machine, planned.net, planned.chosen, partition)
            try:
                layout = prefetch(planned.machine, ordered, Effort(ahead=ahead))
            except ReconError:
                continue
            checked += 1
            assert list(layout.positions) == sorted(layout.positions)
            for load_, position in zip(ordered.loads, layout.positions, strict=True):
                root = load_.room.root
                assert load_.earliest <= position <= load_.need
                assert 0 <= layout.lives[root][0] <= min(position, ordered.lives[root][0])
                assert 0 <= layout.addresses[root] <= planned.machine.sram.bytes - root.size
                if not ahead and position < load_.need:
                    assert ordered.works[position].layer == load_.layer
    assert checked > 10


def test_a_plan_is_the_same_every_time() -> None:
    def made() -> list[tuple[Any, ...]]:
        net = read(302)
        machine = random_machine(302)
        ordered = schedule(machine, net, configured(machine, net, Options()), alone(net))
        layout = prefetch(load("edge4k"), ordered)
        loads = zip(ordered.loads, layout.positions, strict=True)
        return [(one.room.name, layout.addresses[one.room.root], position) for one, position in loads]

    assert made() == made()


def test_planning_time_grows_with_the_network_not_its_square() -> None:
    def calls(layers: int) -> int:
        net = Net(1)
        x = net.input(16, 16, 16, Q)
        for _ in range(layers):
            x = net.conv(x, 16, (3, 3), (1, 1, 1, 1))
        module = net.module([x])
        (function,) = module.body.block.ops
        (ops,) = segments(function)  # pyright: ignore[reportArgumentType]
        found = network(ops, [ops[0].operands[0]], [ops[-1].results[0]])
        machine = altered(sram={"bytes": 12 * 1024})
        chosen = configured(machine, found, Options())
        partitioner = Partitioner(machine, found, chosen)
        partitioner.cut(machine.sram.bytes)
        return len(partitioner.known_rings)

    assert calls(60) <= 2.5 * calls(30)
