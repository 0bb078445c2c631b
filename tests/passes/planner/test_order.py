"""The order of layers: what is read comes first, the fluid model lies above the bounds, branches that gain move."""

from __future__ import annotations

import dataclasses
import random

import pytest
from xdsl.dialects import func

from backend.bounds import Work, bounds
from dialects import cnn
from passes.cnn_to_tile.order_layers import OrderLayersPass, tasks
from passes.planner.order import GAIN, Task, best_order, fluid_cycles
from sim.machine.certificate import Certificate
from sim.machine.description import load
from tests.passes.planner.nets import Net
from tests.passes.planner.support import altered, check_everywhere, planned, run_pass

Q = (0.05, 3)
SAME = (1, 1, 1, 1)


def random_tasks(seed: int) -> list[Task]:
    dice = random.Random(seed)
    found: list[Task] = []
    for number in range(dice.randrange(1, 25)):
        reads = sorted(dice.sample(range(number), min(number, dice.choice([0, 1, 1, 1, 2]))))
        compute, weights = (dice.choice([0, 10, 200, 3000]) for _ in range(2))
        found.append(Task(compute, weights, dice.choice([0, 0, 64, 500]), tuple(reads), dice.random() < 0.15))
    return found


@pytest.mark.parametrize("seed", range(60))
def test_an_order_respects_what_is_read_and_never_loses(seed: int) -> None:
    work = random_tasks(seed)
    order = best_order(work, 2.0, 1000)
    assert sorted(order) == list(range(len(work)))
    place = {index: position for position, index in enumerate(order)}
    assert all(place[source] < place[index] for index, task in enumerate(work) for source in task.reads)
    given, found = (fluid_cycles(work, o, 2.0, 1000) for o in (range(len(work)), order))
    assert found <= given
    assert order == list(range(len(work))) or found < given * (1 - GAIN)


@pytest.mark.parametrize("seed", range(60))
def test_the_fluid_model_lies_above_the_bounds(seed: int) -> None:
    machine = altered(sram={"bytes": 1000})
    rate = float(machine.dram_rate)
    work = random_tasks(seed)
    found = bounds([Work("", task.compute, task.compute, 0, task.weights) for task in work], Certificate(), machine)
    fluid = fluid_cycles([dataclasses.replace(task, result=0) for task in work], range(len(work)), rate, 1000)
    assert fluid >= found.bound2 - 1


def test_fluid_cycles_by_hand() -> None:
    """Two bytes a cycle, 100 bytes of SRAM: only 40 of the third task's bytes can come before the first task ends."""
    work = [Task(100, 60, 0, ()), Task(10, 40, 0, (0,)), Task(5, 60, 0, (1,), True)]
    # By 100 cycles 100 bytes are there, of which 60 leave; all has come by 80 cycles of channel time or soon after.
    assert fluid_cycles(work, [0, 1, 2], 2.0, 100) == 115
    # With activations beside them 40 bytes are missing when the second task starts, at 100, and 20 more: 100 + 30.
    crowded = [Task(100, 60, 30, ()), Task(10, 40, 30, (0,)), Task(5, 60, 0, (1,), True)]
    assert fluid_cycles(crowded, [0, 1, 2], 2.0, 100) == 130
    # Nothing can be there before it has come.
    assert fluid_cycles([Task(1, 80, 0, ())], [0], 2.0, 100) == 40


def two_heads() -> Net:
    """A head with many weights behind few pixels, and after it one with many pixels and few weights."""
    net = Net(7)
    x = net.input(32, 32, 16, Q)
    small = net.pool(x, (8, 8), strides=(8, 8))
    heavy = net.conv(small, 64, (3, 3), SAME)
    heavy = net.conv(heavy, 64, (3, 3), SAME)
    wide = x
    for _ in range(3):
        wide = net.conv(wide, 16, (3, 3), SAME)
    net.module([heavy, wide])
    return net


def names(net: Net) -> list[str]:
    return [op.properties["layer"].data for op in net.block.ops if isinstance(op, cnn.CnnOp)]


def test_a_heavy_head_runs_when_its_weights_can_be_there() -> None:
    net = two_heads()
    function = net.block.parent_op()
    assert isinstance(function, func.FuncOp)
    module = function.parent_op()
    assert names(net) == ["max_pool2d_0", "conv2d_1", "conv2d_2", "conv2d_3", "conv2d_4", "conv2d_5"]
    run_pass(OrderLayersPass(machine="edge1k"), module)
    assert names(net)[-1] == "conv2d_2"
    for option in ({"level": 0}, {"prefetch": False}, {"order": False}):
        same = two_heads()
        run_pass(OrderLayersPass(machine="edge1k", **option), same.block.parent_op().parent_op())
        assert names(same) == ["max_pool2d_0", "conv2d_1", "conv2d_2", "conv2d_3", "conv2d_4", "conv2d_5"]


def test_another_order_computes_the_same_in_fewer_cycles() -> None:
    net = two_heads()
    module = net.block.parent_op().parent_op()
    cycles = [
        check_everywhere(module, planned(module, "edge1k", order=order)).predicted_cycles for order in (False, True)
    ]
    assert cycles[1] < cycles[0]


def test_views_and_concats_keep_what_they_show_alive() -> None:
    net = Net(3)
    x = net.input(8, 8, 8, Q)
    a, b = net.table(x, Q), net.table(x, Q)
    joined = net.concat(a, b)
    net.module([net.conv(net.slice(joined, 4, 8), 4)])
    ops = [op for op in net.block.ops if isinstance(op, cnn.CnnOp)]
    found = tasks(ops, load("edge4k"))
    assert [task.result for task in found] == [512, 512, 0, 0, 144]
    assert found[-1].reads == (3, 2, 0, 1)
    assert [task.leaves for task in found] == [False, False, False, False, True]
