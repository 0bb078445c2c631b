"""order-layers: branches run when their weights can be there, where the network leaves the order open.

The choice: a branch waits (a detection head behind the next one's multiplications, say) where a fluid model of compute,
channel and SRAM gains by it (``passes.planner.order``); everything else stays in the model's order. Where the network
is small, both orders are planned and the better plan decides: the model knows neither rooms nor stripes. Values do not
change.

Before::

    %1 = cnn.conv2d %0 … layer "heavy_head"
    %2 = cnn.conv2d %0 … layer "next"

After::

    %2 = cnn.conv2d %0 … layer "next"
    %1 = cnn.conv2d %0 … layer "heavy_head"
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass

from dialects import cnn
from passes.cnn_to_tile.layer_table import NO_BOUND, layer_row
from passes.cnn_to_tile.program_clock import program_clock
from passes.cnn_to_tile.segments import boundary, segments
from passes.planner.network import network
from passes.planner.options import Options
from passes.planner.order import Task, best_order
from passes.planner.ranking import Plan, Ranking
from passes.planner.search import configured, plan
from passes.planner.tuning import TINY
from sim.machine import description as machines
from sim.machine.description import Machine
from sim.machine.errors import ReconError


@dataclass(frozen=True)
class OrderLayersPass(ModulePass, Options):
    """Reorder the layers of every machine segment for a machine; all options are the planner's."""

    name = "order-layers"
    machine: str = "edge4k"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        target = self.usable(machines.load(self.machine))
        if not self.orders:
            return
        for function in [f for f in op.body.block.ops if isinstance(f, func.FuncOp)]:
            for ops in segments(function):
                order = best_order(tasks(ops, target), float(target.dram_rate), target.sram.bytes)
                arranged = [ops[index] for index in order]
                if arranged != ops and self._pays(ops, arranged):
                    _arrange(ops, arranged)

    def _pays(self, ops: Sequence[Operation], arranged: Sequence[Operation]) -> bool:
        """Whether another order is better by the plans of both, where these are cheap to make."""
        if self.level < 2 or len(ops) > TINY:
            return True
        target, ports = machines.load(self.machine), boundary(ops)
        weigh = program_clock(self.machine, self.sram_limit)
        plans: list[Plan] = []
        for order in (ops, arranged):
            net = network(order, *ports)
            try:
                plans.append(plan(target, net, configured(target, net, self, weigh), self, weigh))
            except ReconError:
                return order is ops
        ranking = Ranking(self.usable(target), self.measure)
        return ranking.best(plans, weigh, trusted=plans[1]) is plans[1]


def tasks(ops: Sequence[Operation], target: Machine) -> list[Task]:
    """The operations of a segment as tasks; views and concats take nothing, but what they show must stay."""
    inputs, outputs = boundary(ops)
    rows = {layer.op: layer_row(layer, target, NO_BOUND) for layer in network(ops, inputs, outputs).layers}
    places = {op: index for index, op in enumerate(ops)}
    found: list[Task] = []
    for op in ops:
        row = rows.get(op)
        reads = dict.fromkeys(
            places[o.owner] for o in op.operands if isinstance(o.owner, Operation) and o.owner in places
        )
        for index in list(reads):
            if ops[index] not in rows:
                reads |= dict.fromkeys(found[index].reads)
        found.append(
            Task(
                compute=row.compute.value.data if row is not None else 0,
                weights=row.weight_bytes.value.data if row is not None else 0,
                result=sum(_bytes(result.type) for result in op.results) if row is not None else 0,
                reads=tuple(reads),
                leaves=any(result in outputs for result in op.results),
            )
        )
    return found


def _bytes(type_: object) -> int:
    kind = type_.in_memory if isinstance(type_, cnn.FloatType) else type_
    return math.prod(kind.dims) if isinstance(kind, cnn.TensorType) else 0


def _arrange(ops: Sequence[Operation], order: Sequence[Operation]) -> None:
    """Put the operations of a segment into another order, where the last of them stands.

    If something between them reads what the segment gives, everything stays as it is.
    """
    block, behind = ops[0].parent, ops[-1].next_op
    assert block is not None
    inside = set(ops)
    between: Operation | None = ops[0]
    while between is not None and between is not ops[-1]:
        if between not in inside and any(operand.owner in inside for operand in between.operands):
            return
        between = between.next_op
    for op in order:
        op.detach()
        if behind is None:
            block.add_op(op)
        else:
            block.insert_op_before(op, behind)
