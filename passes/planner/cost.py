"""What things cost: the machine's laws on the planner's own records. No other file of the planner calls them.

The laws work in bulk, so each function here takes as much at once as its caller has: every configuration of a machine,
or every pass of a plan.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from passes.planner.mapping import Block, ConvMapping, ConvShape
from passes.planner.rooms import dram_shape
from passes.planner.works import ConvPass, Fill, LoadImage, Move, Store, Vector, Work
from sim.machine import laws
from sim.machine.description import Configuration, Machine
from sim.machine.laws import ceil_div

Numbers = laws.Numbers


class Lanes(NamedTuple):
    """How the array's lanes are used: one configuration as numbers, or many as columns."""

    winograd: Numbers
    g: Numbers
    k: Numbers
    r: Numbers
    p: Numbers

    @classmethod
    def of(cls, configuration: Configuration) -> Lanes:
        c = configuration
        return cls(c.algorithm == "winograd", c.g, c.k, c.r, c.p)

    @classmethod
    @functools.lru_cache(maxsize=1024)
    def columns(cls, configurations: tuple[Configuration, ...]) -> Lanes:
        """One entry per configuration."""
        rows: Any = np.array([cls.of(c) for c in configurations], np.int64).reshape(-1, 5)
        return cls(*rows.T)


def conv_cost(
    machine: Machine,
    shape: ConvShape,
    lanes: Lanes,
    groups: Numbers,
    outputs: Numbers,
    inputs: Numbers,
    pixels: tuple[Numbers, Numbers],
) -> laws.ConvCost:
    """The law of a last pass over so many groups, output and input channels of a convolution, for so many rows and
    columns of its output."""
    return laws.conv(
        machine,
        **lanes._asdict(),
        groups=groups,
        outputs=outputs,
        inputs=inputs,
        fy=shape.fy,
        fx=shape.fx,
        sx=shape.sx,
        dx=shape.dx,
        oy=pixels[0],
        ox=pixels[1],
        last=laws.FLOAT if shape.is_float else 1,
        residual=shape.residual,
    )


@functools.lru_cache(maxsize=16384)
def block_cycles(machine: Machine, mapping: ConvMapping, block: Block, oy: int) -> int:
    """Cycles of one pass over oy rows with a block's weights."""
    lanes, pixels = Lanes.of(mapping.configuration), (oy, mapping.shape.ox)
    return int(conv_cost(machine, mapping.shape, lanes, block.groups, block.outputs, block.inputs, pixels).busy)


def kernel_words(machine: Machine, configuration: Configuration, shape: ConvShape) -> int:
    """Words of L1 that the kernel of one input channel takes, the least that a fill can bring."""
    return int(laws.words(machine, False, 1, 1, configuration.r, 1, 1, 1, shape.fy, shape.fx))


def fill_cycles(machine: Machine, weight_bytes: Numbers) -> Any:
    """Cycles of fills."""
    return laws.fill(machine, weight_bytes)


def reduction_words(machine: Machine, shape: ConvShape, lanes: Lanes, inputs: Numbers) -> Any:
    """Words of a half that the weights for so many input channels take, for each block of groups and outputs."""
    return laws.steps(machine, lanes.winograd, lanes.r, inputs, shape.fy, shape.fx)


def vector_guess(machine: Machine, size: int) -> float:
    """Cycles of the vector unit for a result of so many bytes, before it is known what else works then: a quarter of
    what its stream takes, since it mostly works while the array does."""
    return size / machine.streams.vector / 4


def swap_cycles(machine: Machine) -> int:
    """Cycles in which active and shadow slot change places."""
    return laws.configure(machine)


def image_cycles(machine: Machine, from_sram: bool) -> int:
    """Cycles that the load of a configuration image takes."""
    store = machine.configuration
    return store.sram_load if from_sram else channel_cycles(machine, store.image_bytes)


def channel_cycles(machine: Machine, size: int) -> int:
    """Cycles the DRAM channel needs for a contiguous, aligned transfer."""
    return int(laws.channel(machine, 1, ceil_div(size, machine.dram.burst)))


def strided_cycles(machine: Machine, shape: tuple[int, ...], origin: tuple[int, ...], sizes: tuple[int, ...]) -> int:
    """Cycles the DRAM channel needs for a box of an array: every run touches whole bursts."""
    if sizes[1:] == shape[1:]:
        return channel_cycles(machine, math.prod(sizes))
    *outer, inner, run = sizes
    *_, columns, row = shape
    *_, column, first = origin
    moved = laws.transfer(machine.dram.burst, column * row + first, run, inner, row, math.prod(outer), row * columns)
    return int(laws.channel(machine, moved.runs, moved.bursts))


def vector_cycles(machine: Machine, work: Vector) -> int:
    """Cycles of an operation of the vector unit."""
    oy, ox, channels = work.out.sizes
    (fy, fx), _, (sy, sx), _ = work.window.values if work.window is not None else ((1, 1), (), (1, 1), ())
    iy, ix = work.lhs.shape[:2]
    return int(
        laws.vector(machine, work.kind, oy=oy, ox=ox, channels=channels, fy=fy, fx=fx, sy=sy, sx=sx, iy=iy, ix=ix)
    )


def pass_costs(machine: Machine, passes: Sequence[ConvPass]) -> laws.ConvCost:
    """The law of every pass at once."""
    rows: list[tuple[int, ...]] = []
    for one in passes:
        (fy, fx), _, (_, sx), (_, dx) = one.window.values
        oy, ox, _ = one.out.sizes
        groups, inputs = one.groups, one.channels.sizes[0]
        shape = (groups, one.outputs // groups, inputs // groups, fy, fx, sx, dx, oy, ox)
        last = (laws.FLOAT if one.is_float else 1) if one.finish is not None else 0
        finish = (last, one.finish is not None and one.finish.residual is not None)
        rows.append((*Lanes.of(one.configuration), *shape, *finish))
    names = (*Lanes._fields, "groups", "outputs", "inputs", "fy", "fx", "sx", "dx", "oy", "ox", "last", "residual")
    columns = np.array(rows, np.int64).reshape(-1, len(names)).T
    return laws.conv(machine, **dict(zip(names, columns, strict=True)))


@functools.lru_cache(maxsize=2)
def busy_cycles(machine: Machine, works: tuple[Work, ...]) -> tuple[tuple[int, ...], int]:
    """Cycles each work keeps its engine busy (stores: the DRAM channel), and the bytes that passes stream in all.

    One schedule is asked for again and again, once for every layout of it.
    """
    cost = pass_costs(machine, [work for work in works if isinstance(work, ConvPass)])
    busy = iter(cost.busy.tolist())
    cycles: list[int] = []
    for work in works:
        if isinstance(work, ConvPass):
            cycles.append(next(busy))
        elif isinstance(work, Fill):
            cycles.append(int(fill_cycles(machine, math.prod(work.slice.sizes))))
        elif isinstance(work, Move):
            oy, ox, channels = work.sizes
            cycles.append(int(laws.vector(machine, "copy", oy=oy, ox=ox, channels=channels)))
        elif isinstance(work, Vector):
            cycles.append(vector_cycles(machine, work))
        elif isinstance(work, Store):
            cycles.append(strided_cycles(machine, dram_shape(work.target), work.target_offset, work.sizes))
        elif isinstance(work, LoadImage):
            cycles.append(image_cycles(machine, work.copy is not None))
        else:
            cycles.append(swap_cycles(machine))
    return tuple(cycles), int(cost.input_bytes.sum() + cost.output_bytes.sum())
