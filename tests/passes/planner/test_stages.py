"""The stages of a batch: the cheapest of all, and what is alive at once stays within the budget."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from dialects import tile
from dialects.onnx_export import main_function
from passes.cnn_to_tile.segments import boundary, segments
from passes.planner.batch import batched
from passes.planner.configure import ConvRequest, choices
from passes.planner.mapping import conv_shape
from passes.planner.network import Network, network
from passes.planner.partition import Partitioner
from passes.planner.stages import BatchStage, Timetable, staged
from sim.machine.description import load
from tests.passes.planner.nets import Net, random_net
from tests.passes.planner.support import altered, planned, write_machine
from tests.passes.planner.test_frames import check_frames


def partitioner_of(seed: int) -> Partitioner:
    ops = segments(main_function(random_net(seed)))[0]
    net = network(ops, *boundary(ops))
    machine = load("edge4k")
    layers = [layer for layer in net.layers if layer.is_conv]
    requests = [ConvRequest(layer.name, conv_shape(layer)) for layer in layers]
    ways = choices(machine, requests)[0] if layers else ()
    return Partitioner(machine, net, dict(zip(layers, ways, strict=True)), 1)


def alive(whole: Network) -> int:
    """The most bytes of a batch's buffers at once; an input's from its first reader on."""
    most = 0
    lives: list[tuple[int, int, int]] = []
    for buffer in whole.buffers:
        people = [p.index for t in buffer.tensors for p in (t.producer, *t.consumers) if p is not None]
        if people:
            lives.append((min(people), max(people), buffer.bytes))
    for at in range(len(whole.layers)):
        most = max(most, sum(size for first, last, size in lives if first <= at <= last))
    return most


def every(layers: int, images: int) -> Iterator[tuple[BatchStage, ...]]:
    """All stages of a few layers."""
    ways = [(n, again) for n in range(1, images + 1) if images % n == 0 for again in {False, n < images}]
    for cuts in itertools.product((False, True), repeat=layers - 1):
        edges = [0, *(at + 1 for at, cut in enumerate(cuts) if cut), layers]
        for chosen in itertools.product(ways, repeat=len(edges) - 1):
            yield tuple(
                BatchStage(a, b, n, again) for (a, b), (n, again) in zip(itertools.pairwise(edges), chosen, strict=True)
            )


@pytest.mark.parametrize("seed", range(40))
def test_stages_are_the_cheapest_within_the_budget(seed: int) -> None:
    partitioner = partitioner_of(seed)
    layers, images = len(partitioner.layers), 2 + seed % 3
    sizes = Timetable(partitioner)
    most = sizes.bytes(layers, images, images, False)[0]
    for share in (100, 80, 60, 40):
        budget = int(most) * share // 100
        found = staged(partitioner, images, budget)
        if layers <= (4 if images < 4 else 3):
            costs = [total(sizes, way, images, budget) for way in every(layers, images)]
            least = min((cost for cost in costs if cost is not None), default=None)
            assert (found is None) == (least is None)
            assert found is None or total(sizes, found, images, budget) == pytest.approx(least)
        if found is not None:
            assert [stage.first for stage in found] + [layers] == [0, *(stage.end for stage in found)]
            whole = batched(partitioner.network, images, 0, found)
            assert sorted(layer.name for layer in whole.layers) == sorted(
                layer.name for layer in partitioner.layers for _ in range(images)
            )
            assert alive(whole) <= budget


def total(sizes: Timetable, stages: tuple[BatchStage, ...], images: int, budget: int) -> float | None:
    """What stages cost, None where one needs more than the budget."""
    cost = 0.0
    for stage in stages:
        asked = stage.end, images, stage.together, stage.again
        if sizes.bytes(*asked)[stage.first] > budget:
            return None
        cost += float(sizes.cost(*asked)[stage.first])
    return cost


def test_all_images_run_together_where_they_fit() -> None:
    partitioner = partitioner_of(3)
    assert staged(partitioner, 4, 1 << 30) == (BatchStage(0, len(partitioner.layers), 4),)


def test_early_layers_run_image_by_image_with_weights_that_come_once(tmp_path: Path) -> None:
    """Large maps first, large weights last: one image after the other passes the first, all together the last."""
    net = Net()
    value = net.input(32, 32, 16)
    for stride in (1, 1, 4):
        value = net.conv(value, 16, (3, 3), (1, 1, 1, 1), (stride, stride))
    for _ in range(3):
        value = net.conv(value, 64, (3, 3), (1, 1, 1, 1))
    module = net.module([value])
    machine = write_machine(altered(sram={"bytes": 96 * 1024}), tmp_path)
    plan = planned(module, machine, frames="stream", batch=4)
    text = [op.layer.string_value() for op in plan.walk() if isinstance(op, tile.ConvOp) and op.layer is not None]
    visits = [name for name, _ in itertools.groupby(text)]
    assert visits[:6] == ["conv2d_0", "conv2d_1", "conv2d_2"] * 2
    assert visits[-3:] == ["conv2d_3", "conv2d_4", "conv2d_5"]
    loads = [str(op) for op in plan.walk() if isinstance(op, tile.LoadOp)]
    assert sum("%conv2d_0_w0" in text for text in loads) == 1
    check_frames(module, plan, 1)
