"""The cycles of a plan's own program, where two plans are close: spelled out, lowered, ordered and timed.

The planner's clock sees waits through buffers; the program's sees every byte. It costs what the rest of the road costs,
so the planner asks only for a few plans, and only small ones.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from dialects import tile
from passes.accel import dram_layout
from passes.accel.sram_addresses import allocate
from passes.accel.waits import assign
from passes.cnn_to_tile.segments import hint
from passes.planner.network import Tensor
from passes.planner.ranking import Plan
from passes.planner.spell import Speller
from passes.tile_to_accel.lowering import lower
from sim.machine import clock
from sim.machine import description as machines
from sim.machine.encoding import decode, encode
from sim.machine.steady import steady


def spelled(plan: Plan, name: str, machine: str) -> tile.ScheduleOp:
    """A plan as tile IR, for a machine by its name; a port holds the images of a batch one below the other."""
    net = plan.network
    inputs, outputs = net.input_ports, net.output_ports

    def port(tensor: Tensor) -> tile.DramType:
        height, width, channels = tensor.type.dims[1:]
        return tile.DramType.of((net.images * height, width, channels))

    schedule = tile.ScheduleOp(name, machine, [port(t) for t in inputs], [port(t) for t in outputs])
    for argument, tensor in zip(schedule.body.block.args, [*inputs, *outputs], strict=True):
        argument.name_hint = hint(tensor.name)
    Speller(net, schedule).write(plan.schedule, plan.layout)
    return schedule


def program_clock(machine: str, sram_limit: int) -> Callable[[Plan], int]:
    """What ``search`` weighs close plans with: the cycles of the program that each becomes, of frames in a row those of
    one."""

    target = machines.load(machine)

    @functools.cache
    def cycles(plan: Plan) -> int:
        program = lower(spelled(plan, "weighed", machine))
        allocate(program, target, sram_limit or target.sram.bytes)
        dram_layout.lay_out([program], target)
        assign(program)
        stream = decode(encode(op.record() for op in program.instructions))
        if program.frames is None:
            return clock.run(target, stream).cycles
        found = steady(target, stream, program.frames)
        return -(-found.cycles // (found.period * plan.network.images))

    return cycles
