"""convert-cnn-to-tile: the plan of each machine segment, as text.

The choice: ops between host regions form machine segments; each is planned as a whole (``passes.planner``) and becomes
a ``tile.schedule`` that ``recon.call`` runs where the ops stood. All decisions (order, residency, tiles, prefetch,
configurations) are in the text this pass writes; nothing below decides anything.

Before::

    %1 = cnn.conv2d %0 …          // configuration chosen by select-configuration

After::

    %1 = recon.call @main(%0) …
    tile.schedule @main machine "edge4k" (%in: …) -> (%out: …) { … tile.load … tile.fill … tile.conv … }
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass

from dialects.recon import CallOp
from passes.cnn_to_tile.blame import blamed
from passes.cnn_to_tile.layer_table import add_array_by_images, array_by_images, layer_table
from passes.cnn_to_tile.program_clock import program_clock, spelled
from passes.cnn_to_tile.segments import boundary, segments
from passes.common.notes import PLANNED_WITHIN, add_note
from passes.planner.network import network
from passes.planner.options import Options
from passes.planner.search import configured, plan
from sim.machine import description as machines
from sim.machine.description import Machine

LAYERS_PER_SECOND = 100
"""Layers that an ordinary core plans in a second, as a time budget counts them: no clock is read."""


@dataclass(frozen=True)
class ConvertCnnToTilePass(ModulePass, Options):
    """Plan every machine segment and spell the plan as tile IR; all options are the planner's.

    ``time_budget`` seconds stand for as many trials as an ordinary core makes in them, by a fixed count of layers, so
    that the plan depends on no clock; 0 sets no limit.
    """

    name = "convert-cnn-to-tile"
    machine: str = "edge4k"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        target = machines.load(self.machine)
        if 0 < self.sram_limit < target.sram.bytes:
            add_note(op, PLANNED_WITHIN.format(self.sram_limit))
        found = [(f, segments(f)) for f in op.body.block.ops if isinstance(f, func.FuncOp)]
        options: Options = self
        if self.time_budget > 0:
            layers = sum(len(ops) for _, parts in found for ops in parts)
            trials = max(1, int(self.time_budget * LAYERS_PER_SECOND) // max(1, layers))
            options = dataclasses.replace(self, trials=min(trials, self.trials or trials))
        for function, parts in found:
            for number, ops in enumerate(parts):
                name = f"segment{number}" if number else f"{function.sym_name.data}_segment"
                with blamed(ops):
                    self.convert(op, function, ops, name, target, options)

    def convert(
        self,
        module: ModuleOp,
        function: func.FuncOp,
        ops: Sequence[Operation],
        name: str,
        target: Machine,
        options: Options,
    ) -> None:
        inputs, outputs = boundary(ops)
        net = network(ops, inputs, outputs)
        weigh = program_clock(self.machine, self.sram_limit)
        mappings = configured(target, net, options, weigh)
        schedule = spelled(plan(target, net, mappings, options, weigh), name, self.machine)
        call = CallOp(name, inputs, [value.type for value in outputs])
        block = function.body.block
        block.insert_op_before(call, ops[-1])
        for old, new in zip(outputs, call.outputs, strict=True):
            new.name_hint = old.name_hint
            old.replace_all_uses_with(new)
        for op in reversed(ops):
            op.detach()
            op.erase(safe_erase=False)
        add_array_by_images(module, array_by_images(net.layers, target))
        layers = layer_table(net.layers, target)
        module.body.block.insert_ops_before([*layers, schedule], function)
