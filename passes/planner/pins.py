"""What a user has pinned of a plan beside configurations: the answer to "and if it were otherwise?".

Three choices of the planner can be pinned, each by the names of layers: which layers run together stripe by stripe,
where a layer's result waits, and whose weights come before all others. A pinned choice is put into every plan that is
tried; everything else stays free, so the plan that comes out is the best one that has it, or there is none.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from passes.planner.network import Layer, Network
from passes.planner.partition import Partition, Partitioner
from passes.planner.rooms import Constant, Load
from passes.planner.schedule import Schedule
from passes.planner.stripes import Group
from sim.machine.errors import ReconError

_TOGETHER = re.compile(r"fused (\d+)|apart")
_WAITS = {"dram": True, "sram": False}
_FIRST = "first"

FORMS = "LAYER=CONFIGURATION, LAYER=dram, LAYER=sram, LAYER=first, FIRST..LAST=fused N or FIRST..LAST=apart"
"""All that can be pinned."""


@dataclass(frozen=True)
class Pins:
    """``together``: first and last layer of a run, and in how many stripes it runs as one (0: each layer alone).
    ``waits``: layers whose result waits in DRAM (True) or must stay in SRAM. ``first``: layers whose weights come
    before those of all others."""

    together: tuple[tuple[str, str, int], ...] = ()
    waits: Mapping[str, bool] = dataclasses.field(default_factory=dict[str, bool])
    first: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.together or self.waits or self.first)

    @property
    def names(self) -> list[str]:
        """The layers that are named."""
        return [*(name for first, last, _ in self.together for name in (first, last)), *self.waits, *self.first]

    def applied(self, partition: Partition, partitioner: Partitioner) -> Partition:
        """The partition with what is pinned; ReconError where the network does not allow it."""
        network = partitioner.network
        by_name = {layer.name: layer for layer in network.layers}
        spilled = set(partition.spilled)
        for name, away in self.waits.items():
            if (layer := by_name.get(name)) is None:
                continue
            buffer = layer.output.buffer
            if away and not (buffer.is_inner and partitioner.can_spill(buffer)):
                raise ReconError(f"Cannot pin: the result of {name} cannot wait in DRAM; it is seen in another shape.")
            (spilled.add if away else spilled.discard)(buffer)
        groups = list(partition.groups)
        for first, last, stripes in self.together:
            if first in by_name and last in by_name:
                groups = _cut(groups, network, by_name[first].index, by_name[last].index, stripes, partitioner)
        return dataclasses.replace(partition, groups=tuple(groups), spilled=frozenset(spilled))

    def hurried(self, schedule: Schedule) -> Schedule:
        """The schedule with the pinned layers' weights and parameters behind what its first work needs, before all
        else."""
        if not self.first:
            return schedule

        def mine(load: Load) -> bool:
            return load.layer in self.first and isinstance(load.source, Constant) and not load.earliest

        due = [load for load in schedule.loads if load.need == 0 and not mine(load)]
        hurried = [dataclasses.replace(load, need=0) for load in schedule.loads if mine(load)]
        others = [load for load in schedule.loads if load.need > 0 and not mine(load)]
        return dataclasses.replace(schedule, loads=(*due, *hurried, *others))


def _cut(
    groups: Sequence[Group], network: Network, first: int, last: int, stripes: int, partitioner: Partitioner
) -> list[Group]:
    """The groups with the layers first … last as one group, or each alone; what ran with them runs alone as well."""
    run = network.layers[first : last + 1]
    if first > last or (stripes and len(run) < 2):
        names = f"{network.layers[first].name} and {network.layers[last].name}"
        raise ReconError(f"Cannot pin: {names} are no run of layers in the order in which they are planned.")
    rigid = next((layer for layer in run if not partitioner.can_stripe(layer)), None) if stripes else None
    if rigid is not None:
        raise ReconError(
            f"Cannot pin: {rigid.name} ({rigid.kind}) cannot run stripe by stripe; it needs its whole input, makes a "
            "single row, or is only seen in another shape."
        )
    shortest = min(layer.output.height for layer in run)
    if stripes > shortest:
        raise ReconError(f"Cannot pin: {stripes} stripes are more than the {shortest} rows of the smallest result.")
    made: list[Group] = []
    for group in groups:
        inside = [layer for layer in group.layers if first <= layer.index <= last]
        if not inside:
            made.append(group)
            continue
        before = [layer for layer in group.layers if layer.index < first]
        behind = [layer for layer in group.layers if layer.index > last]
        made += _alone(before)
        if stripes and inside[0].index == first:
            made.append(Group(tuple(run), stripes))
        elif not stripes:
            made += _alone(inside)
        made += _alone(behind)
    return made


def _alone(layers: Iterable[Layer]) -> list[Group]:
    return [Group((layer,), 1) for layer in layers]


def pins_of(texts: Iterable[str]) -> tuple[Pins, dict[str, str]]:
    """What is pinned of the plan, and the configurations among the pins, as text by layer; ReconError for a text that
    is neither."""
    together: list[tuple[str, str, int]] = []
    waits: dict[str, bool] = {}
    first: set[str] = set()
    configurations: dict[str, str] = {}
    for text in texts:
        name, separator, value = (part.strip() for part in text.rpartition("="))
        if not separator or not name:
            raise ReconError(f'Cannot pin: "{text}" is none of {FORMS}.')
        if (match := _TOGETHER.fullmatch(value)) is not None:
            one, dots, other = name.partition("..")
            if not dots or (match[1] and int(match[1]) < 2):
                raise ReconError(f'Cannot pin: "{text}" is none of {FORMS}, with N from 2 on.')
            together.append((one, other, int(match[1] or 0)))
        elif value in _WAITS:
            if waits.setdefault(name, _WAITS[value]) != _WAITS[value]:
                raise ReconError(f"Cannot pin: the result of {name} is to wait in DRAM and in SRAM.")
        elif value == _FIRST:
            first.add(name)
        elif configurations.setdefault(name, value) != value:
            raise ReconError(f"Cannot pin: {name} is given two configurations, {configurations[name]} and {value}.")
    return Pins(tuple(together), waits, frozenset(first)), configurations


def check_names(named: Iterable[str], there: Iterable[str], what: str) -> None:
    """ReconError for a name that no layer has, with one that is near."""
    names = list(there)
    for name in named:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f"did you mean '{near[0]}'?" if near else "the table of 'recon run' names the layers."
            raise ReconError(f"There is no {what}; {hint}".replace("{}", f"'{name}'"))
