"""select-configuration: algorithm and g/k/r/p of every convolution, over the whole network.

The choice: a shortest path through (layer, configuration) with the machine's law as step cost and the swap between
different configurations in the sum (``passes.planner.configure``), not a greedy choice per layer. A convolution that
has a configuration already keeps it.

Before::

    %1 = cnn.conv2d %0 … : …

After::

    %1 = cnn.conv2d %0 … {configuration = #tile.configuration<winograd g1 k64 r16 p4>} : …
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from passes.cnn_to_tile.blame import blamed
from passes.cnn_to_tile.program_clock import program_clock
from passes.cnn_to_tile.segments import boundary, segments
from passes.planner.network import network
from passes.planner.options import Options
from passes.planner.pins import check_names, pins_of
from passes.planner.search import configured
from sim.machine import description as machines
from sim.machine.description import Configuration, Machine
from sim.machine.errors import ReconError


@dataclass(frozen=True)
class SelectConfigurationPass(ModulePass, Options):
    """Choose the configuration of every convolution; all options are the planner's."""

    name = "select-configuration"
    machine: str = "edge4k"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        target = machines.load(self.machine)
        plan_pins, texts = pins_of(self.pin)
        pins = _pins(texts, self.usable(target))
        there: dict[str, None] = {}
        convolutions: dict[str, None] = {}
        for function in [f for f in op.body.block.ops if isinstance(f, func.FuncOp)]:
            for ops in segments(function):
                net = network(ops, *boundary(ops))
                there.update(dict.fromkeys(layer.name for layer in net.layers))
                for layer in [layer for layer in net.layers if layer.is_conv]:
                    convolutions[layer.name] = None
                    if layer.name in pins:
                        layer.configure(pins[layer.name])
                weigh = program_clock(self.machine, self.sram_limit)
                with blamed(ops):
                    for layer, mapping in configured(target, net, self, weigh).items():
                        layer.configure(mapping.configuration)
        check_names(pins, convolutions, "convolution {} to pin a configuration to")
        check_names(plan_pins.names, there, "layer {} to pin")


def _pins(texts: Mapping[str, str], target: Machine) -> dict[str, Configuration]:
    """Configurations by layer from their texts, each one that the machine can take."""
    pins: dict[str, Configuration] = {}
    for name, text in texts.items():
        try:
            found = Configuration.parse(text)
            if (refusal := target.refusal(found)) is not None:
                raise ValueError(f"{name} in {found}: {refusal}")
        except ValueError as error:
            raise ReconError(f"Cannot pin: {error}.") from None
        pins[name] = found
    return pins
