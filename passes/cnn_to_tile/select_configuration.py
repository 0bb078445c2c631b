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

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from passes.cnn_to_tile.program_clock import program_clock
from passes.cnn_to_tile.segments import boundary, segments
from passes.planner.network import network
from passes.planner.options import Options
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
        pins = _pins(self.pin, self.usable(target))
        there: dict[str, None] = {}
        for function in [f for f in op.body.block.ops if isinstance(f, func.FuncOp)]:
            for ops in segments(function):
                net = network(ops, *boundary(ops))
                for layer in [layer for layer in net.layers if layer.is_conv]:
                    there[layer.name] = None
                    if layer.name in pins:
                        layer.configure(pins[layer.name])
                weigh = program_clock(self.machine, self.sram_limit)
                for layer, mapping in configured(target, net, self, weigh).items():
                    layer.configure(mapping.configuration)
        _check_names(pins, there)


def _pins(texts: Iterable[str], target: Machine) -> dict[str, Configuration]:
    """``LAYER=CONFIGURATION`` as configurations by layer, each one that the machine can take."""
    pins: dict[str, Configuration] = {}
    for text in texts:
        name, separator, configuration = text.rpartition("=")
        try:
            if not separator or not name:
                raise ValueError(f'"{text}" is not LAYER=CONFIGURATION')
            found = Configuration.parse(configuration)
            if (refusal := target.refusal(found)) is not None:
                raise ValueError(f"{name} in {found}: {refusal}")
            if pins.setdefault(name, found) != found:
                raise ValueError(f"{name} is given two configurations, {pins[name]} and {found}")
        except ValueError as error:
            raise ReconError(f"Cannot pin: {error}.") from None
    return pins


def _check_names(pins: Mapping[str, Configuration], there: Iterable[str]) -> None:
    """ReconError for pins of layers that do not exist, with a name that is near."""
    names = list(there)
    for name in pins:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f"did you mean '{near[0]}'?" if near else "the table of 'recon run' names the layers."
            raise ReconError(f"There is no convolution '{name}' to pin a configuration to; {hint}")
