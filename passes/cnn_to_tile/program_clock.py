"""The cycles of a plan's own program, where two plans are close: spelled out, lowered, ordered and timed.

The planner's clock sees waits through buffers; the program's sees every byte. It costs what the rest of the road costs,
so the planner asks only for a few plans, and only small ones.
"""

from __future__ import annotations

from collections.abc import Callable

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

from dialects import accel, tile
from passes.accel.allocate_sram import AllocateSramPass
from passes.accel.assign_waits import AssignWaitsPass
from passes.cnn_to_tile.segments import hint
from passes.planner.network import Network
from passes.planner.search import Plan
from passes.planner.spell import Speller
from passes.tile.elide_configuration import ElideConfigurationPass
from passes.tile_to_accel.convert_tile_to_accel import ConvertTileToAccelPass
from sim.machine import clock
from sim.machine import description as machines
from sim.machine.encoding import decode, encode


def spelled(net: Network, plan: Plan, name: str, machine: str) -> tile.ScheduleOp:
    """A plan as tile IR, for a machine by its name."""
    schedule = tile.ScheduleOp(
        name,
        machine,
        [tile.DramType.of(t.type.dims[1:]) for t in net.inputs],
        [tile.DramType.of(t.type.dims[1:]) for t in net.outputs],
    )
    for argument, tensor in zip(schedule.body.block.args, [*net.inputs, *net.outputs], strict=True):
        argument.name_hint = hint(tensor.name)
    Speller(net, schedule).write(plan.schedule, plan.layout)
    return schedule


def program_clock(net: Network, machine: str, sram_limit: int) -> Callable[[Plan], int]:
    """What ``search`` weighs close plans of a network with: the cycles of the program that each becomes."""

    def cycles(plan: Plan) -> int:
        module = ModuleOp([spelled(net, plan, "weighed", machine)])
        steps = (ElideConfigurationPass(), ConvertTileToAccelPass(), AllocateSramPass(sram_limit or None))
        for step in (*steps, AssignWaitsPass()):
            step.apply(Context(), module)
        (program,) = accel.programs(module)
        code = encode(op.record() for op in program.instructions)
        return clock.run(machines.load(machine), decode(code)).cycles

    return cycles
