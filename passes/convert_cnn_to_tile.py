"""convert-cnn-to-tile: the plan of each machine segment, as text.

The choice: ops between host regions form machine segments; each is planned as a whole (``passes.plan``) and becomes a
``tile.schedule`` that ``recon.call`` runs where the ops stood. All decisions (order, residency, tiles, prefetch,
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
from xdsl.ir import Operation, OpResult, SSAValue
from xdsl.passes import ModulePass

from dialects import cnn, tile
from dialects.recon import CallOp, LayerOp
from passes.allocate_sram import NOTE
from passes.plan.candidates import conv_shape
from passes.plan.network import Layer, Network, network
from passes.plan.options import Options
from passes.plan.search import configured, plan
from passes.plan.spell import Speller
from passes.problems import add_note
from sim import machine as machines
from sim.laws import ceil_div
from sim.machine import Configuration, Machine

LAYERS_PER_SECOND = 100
"""Layers that an ordinary core plans in a second, as a time budget counts them: no clock is read."""

CONFIGURATION = "configuration"
"""The attribute of a convolution that pins its configuration."""


@dataclass(frozen=True)
class ConvertCnnToTilePass(ModulePass):
    """Plan every machine segment and spell the plan as tile IR.

    ``time_budget`` seconds stand for as many trials as an ordinary core makes in them, by a fixed count of layers, so
    that the plan depends on no clock; 0 sets no limit.
    """

    name = "convert-cnn-to-tile"
    machine: str = "edge4k"
    level: int = 2
    objective: str = "cycles"
    sram_limit: int = 0
    trials: int = 0
    winograd: bool = True
    single: bool = False
    prefetch: bool = True
    residency: bool = True
    fusion: bool = True
    time_budget: float = 0.0

    @property
    def options(self) -> Options:
        """The planner's options among the fields."""
        return Options(
            self.level,
            self.objective,
            self.sram_limit,
            self.trials,
            self.winograd,
            self.single,
            self.prefetch,
            self.residency,
            self.fusion,
        )

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        target = machines.load(self.machine)
        if 0 < self.sram_limit < target.sram.bytes:
            add_note(op, NOTE.format(self.sram_limit))
        found = [(f, segments(f)) for f in op.body.block.ops if isinstance(f, func.FuncOp)]
        options = self.options
        if self.time_budget > 0:
            layers = sum(len(ops) for _, parts in found for ops in parts)
            trials = max(1, int(self.time_budget * LAYERS_PER_SECOND) // max(1, layers))
            options = dataclasses.replace(options, trials=min(trials, options.trials or trials))
        for function, parts in found:
            for number, ops in enumerate(parts):
                self.convert(op, function, ops, f"segment{number}" if number else "main_segment", target, options)

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
        chosen = configured(target, net, pinned(net), options)
        schedule = tile.ScheduleOp(
            name,
            self.machine,
            [tile.DramType.of(t.type.dims[1:]) for t in net.inputs],
            [tile.DramType.of(t.type.dims[1:]) for t in net.outputs],
        )
        for argument, tensor in zip(schedule.body.block.args, [*net.inputs, *net.outputs], strict=True):
            argument.name_hint = hint(tensor.name)
        found = plan(target, net, chosen, options)
        Speller(net, schedule).write(found.items, found.pending)
        call = CallOp(name, inputs, [value.type for value in outputs])
        block = function.body.block
        block.insert_op_before(call, ops[-1])
        for old, new in zip(outputs, call.outputs, strict=True):
            new.name_hint = old.name_hint
            old.replace_all_uses_with(new)
        for op in reversed(ops):
            op.detach()
            op.erase(safe_erase=False)
        layers = [layer_row(layer, target) for layer in net.layers]
        module.body.block.insert_ops_before([*layers, schedule], function)


def hint(name: str) -> str | None:
    """A value name the textual IR accepts."""
    text = "".join(c if c.isalnum() or c in "_$.-" else "_" for c in name)
    return f"t_{text}" if text[:1].isdigit() else text or None


def segments(function: func.FuncOp) -> list[list[Operation]]:
    """The machine segments of a function: cnn ops between the same host regions, in order."""
    depth: dict[SSAValue, int] = {}
    found: dict[int, list[Operation]] = {}
    for op in function.body.block.ops:
        if not isinstance(op, cnn.CnnOp):
            continue
        on_host = isinstance(op, cnn.HostOp)
        # Host regions have odd depths, machine segments even ones; each waits for the other before it.
        level = max((depth.get(operand, 0) for operand in op.operands), default=0)
        level += (level % 2) != on_host
        for result in op.results:
            depth[result] = level
        if not on_host:
            found.setdefault(level, []).append(op)
    return [found[level] for level in sorted(found)]


def boundary(ops: Sequence[Operation]) -> tuple[list[SSAValue], list[OpResult]]:
    """The values that a machine segment takes and gives."""
    inside = set(ops)
    taken = [o for op in ops for o in op.operands if not (isinstance(o, OpResult) and o.op in inside)]
    given = [r for op in ops for r in op.results if any(use.operation not in inside for use in r.uses)]
    return list(dict.fromkeys(taken)), given


def pinned(net: Network) -> dict[str, Configuration]:
    """The configurations that convolutions carry, by layer name."""
    return {
        layer.name: attribute.data
        for layer in net.layers
        if layer.is_conv and isinstance(attribute := layer.conv.attributes.get(CONFIGURATION), tile.ConfigurationAttr)
    }


def layer_row(layer: Layer, target: Machine) -> LayerOp:
    """The layer's row of the layer table."""
    source, output = layer.inputs[0], layer.output
    macs = compute = 0
    weight_bytes = 0
    if layer.is_conv:
        shape = conv_shape(layer)
        _, (top, _, left, _), _, _ = layer.window.values
        macs = shape.macs(source.height, source.width, top, left)
        fast = shape.winograd and target.array.winograd != "none"
        compute = ceil_div(4 * macs, 9 * target.array.lanes) if fast else ceil_div(macs, target.array.lanes)
        weight_bytes = shape.weight_bytes + 8 * output.channels + (256 if layer.conv.table is not None else 0)
    elif layer.kind == "affine":
        weight_bytes = 8 * output.channels
    elif layer.kind == "table":
        weight_bytes = 256
    activations = sum(t.height * t.width * t.channels for t in (*layer.inputs, output))
    return LayerOp(layer.name, layer.kind, describe(layer), macs, int(compute), weight_bytes, activations, layer.nodes)


def describe(layer: Layer) -> str:
    """A layer's shape for people: ``56x56x64 -> 56x56x256 1x1``."""
    source, output = layer.inputs[0], layer.output
    text = f"{source.height}x{source.width}x{source.channels} -> {output.height}x{output.width}x{output.channels}"
    (fy, fx), _, (sy, sx), (dy, dx) = layer.window.values
    if (fy, fx) != (1, 1) or layer.is_conv:
        text += f" {fy}x{fx}"
    if (sy, sx) != (1, 1):
        text += f"/{sy}" if sy == sx else f"/{sy},{sx}"
    if (dy, dx) != (1, 1):
        text += f" dilated {dy}" if dy == dx else f" dilated {dy},{dx}"
    return text + (f" in {layer.groups} groups" if layer.groups > 1 else "")
