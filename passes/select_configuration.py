"""select-configuration: algorithm and g/k/r/p of every convolution, over the whole network.

The choice: a shortest path through (layer, configuration) with the machine's law as step cost and the swap between
different configurations in the sum (``passes.plan.configure``), not a greedy choice per layer. A convolution that has a
configuration already keeps it.

Before::

    %1 = cnn.conv2d %0 … : …

After::

    %1 = cnn.conv2d %0 … {configuration = #tile.configuration<winograd g1 k64 r16 p4>} : …
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import OpResult
from xdsl.passes import ModulePass

from dialects.tile import ConfigurationAttr
from passes.convert_cnn_to_tile import CONFIGURATION, pinned, segments
from passes.plan.network import network
from passes.plan.options import Options
from passes.plan.search import configured
from sim import machine as machines
from sim.errors import ReconError
from sim.machine import Configuration


@dataclass(frozen=True)
class SelectConfigurationPass(ModulePass):
    """Choose the configuration of every convolution. ``pin`` fixes some: ``LAYER=direct g1 k64 r16 p4``."""

    name = "select-configuration"
    machine: str = "edge4k"
    pin: tuple[str, ...] = ()
    level: int = 2
    winograd: bool = True
    single: bool = False

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        target = machines.load(self.machine)
        options = Options(level=self.level, winograd=self.winograd, single=self.single)
        pins = dict(_pin(text) for text in self.pin)
        used: set[str] = set()
        for function in [f for f in op.body.block.ops if isinstance(f, func.FuncOp)]:
            for ops in segments(function):
                inside = set(ops)
                inputs = list(
                    dict.fromkeys(
                        o for inner in ops for o in inner.operands if not (isinstance(o, OpResult) and o.op in inside)
                    )
                )
                net = network(ops, inputs, [])
                for layer in net.layers:
                    if layer.is_conv and layer.name in pins:
                        layer.conv.attributes[CONFIGURATION] = ConfigurationAttr(pins[layer.name])
                        used.add(layer.name)
                for layer, configuration in configured(target, net, pinned(net), options).items():
                    layer.conv.attributes[CONFIGURATION] = ConfigurationAttr(configuration)
        if missing := sorted(set(pins) - used):
            raise ReconError(f"There is no convolution named {', '.join(missing)} to pin a configuration to.")


def _pin(text: str) -> tuple[str, Configuration]:
    name, separator, configuration = text.partition("=")
    try:
        if not separator:
            raise ValueError(f'"{text}" is not LAYER=CONFIGURATION')
        return name, Configuration.parse(configuration)
    except ValueError as error:
        raise ReconError(f"Cannot pin: {error}.") from None
