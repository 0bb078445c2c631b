"""A space: models × machines × options, and the machines that it holds, in a fixed order.

A machine is a base and settings, exactly as ``--machine`` and ``--set`` give them, so every key of a machine file can
vary and every machine of a space can be asked about by hand. The machines are the product of the axes, or a seeded
sample of it; keys that depend on others are derived by expressions, and constraints leave out what nobody would build.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.machine.description import Machine, load, schema_rows, with_settings
from sim.machine.errors import ReconError
from tools.explore.area import AreaCosts, area_mm2
from tools.explore.expressions import Expression, Value
from tools.options import Planning

MOST_MACHINES = 100_000
"""Machines of a product that are looked at one by one: half a minute."""

MOST_TRIES = 200
"""Draws for each machine asked for, before constraints are said to leave too little."""

Settings = Mapping[str, str]


@dataclass(frozen=True)
class ModelEntry:
    """A model of the space: a file, how its rows are called, how it is read, and the only machines that it is tried on
    (None: all)."""

    file: Path
    name: str
    assume_int8: bool
    input_shapes: Mapping[str, tuple[int, ...]]
    only: Expression | None = None


@dataclass(frozen=True)
class SpaceAxis:
    """What varies together: ``choices`` are settings of one key, or of several at once."""

    name: str
    choices: tuple[Settings, ...]


@dataclass(frozen=True)
class SpaceChoice:
    """One machine of the space, by its place on every axis (the base first)."""

    base: str
    settings: tuple[tuple[str, str], ...]

    @property
    def machine(self) -> str:
        """As ``load`` takes it."""
        return with_settings(self.base, [f"{key}={text}" for key, text in self.settings])


@dataclass(frozen=True)
class Goal:
    """What makes a machine good for a model: ``where`` must hold of its row, ``least`` should be small."""

    least: Expression
    where: Expression | None


@dataclass(frozen=True)
class Search:
    """How to search instead of trying every machine: ``objectives`` are columns that should be small."""

    objectives: tuple[str, ...]
    trials: int
    population: int
    seed: int


@dataclass(frozen=True)
class DesignSpace:
    """Everything a space file says."""

    where: str
    models: tuple[ModelEntry, ...]
    bases: tuple[str, ...]
    axes: tuple[SpaceAxis, ...]
    derived: tuple[tuple[str, Expression], ...]
    constraints: tuple[Expression, ...]
    sample: int
    seed: int
    plannings: tuple[Planning, ...]
    area: AreaCosts
    goal: Goal
    search: Search | None

    @property
    def sizes(self) -> list[int]:
        """How many choices there are along every axis, the base first."""
        return [len(self.bases), *(len(axis.choices) for axis in self.axes)]

    @property
    def size(self) -> int:
        """Machines of the whole product, before constraints."""
        return math.prod(self.sizes)

    @property
    def together(self) -> dict[str, list[str]]:
        """Keys that an axis sets at once, by the axis's name."""
        found = {axis.name: list(dict.fromkeys(key for each in axis.choices for key in each)) for axis in self.axes}
        return {name: keys for name, keys in found.items() if len(keys) > 1}

    def check_models(self) -> None:
        """ReconError names every model that is not there."""
        if absent := [str(entry.file) for entry in self.models if not entry.file.is_file()]:
            raise ReconError(f"{self.where}: key 'models.file' names what is no file: {', '.join(absent)}.")

    def choice(self, places: Sequence[int]) -> SpaceChoice:
        """The machine at a place on every axis, its derived keys included; ReconError for one that is none."""
        base = self.bases[places[0]]
        settings: dict[str, str] = {}
        for axis, place in zip(self.axes, places[1:], strict=True):
            settings |= axis.choices[place]
        if self.derived:
            names = machine_values(load(SpaceChoice(base, tuple(settings.items())).machine))
            for key, expression in self.derived:
                value = expression.value(names)
                if isinstance(value, float) and not value.is_integer():
                    value = math.floor(value)
                names[key] = value
                settings[key] = str(int(value)) if isinstance(value, float) else setting_text(value, key)
        return SpaceChoice(base, tuple(settings.items()))

    def allows(self, choice: SpaceChoice) -> bool:
        """Whether all constraints hold of a machine."""
        return not self.constraints or all(bool(each.value(self.values(choice))) for each in self.constraints)

    def values(self, choice: SpaceChoice) -> dict[str, Value]:
        """What constraints may name of a machine."""
        machine = load(choice.machine)
        return {**machine_values(machine), "area_mm2": area_mm2(machine, self.area)}

    def tried(self, choice: SpaceChoice) -> tuple[ModelEntry, ...]:
        """The models that are tried on a machine."""
        return tuple(m for m in self.models if m.only is None or bool(m.only.value(self.values(choice))))

    def machines(self) -> list[SpaceChoice]:
        """All machines of the product that the constraints allow, or a sample of them; ReconError if there are none,
        or more than anybody can wait for."""
        if not self.sample and self.size > MOST_MACHINES:
            raise ReconError(
                f"{self.where}: the product of all axes has {self.size:,} machines, and at most {MOST_MACHINES:,} are "
                "looked at one by one; ask for some of them with machine.sample, or for a [search]."
            )
        found = list(self._allowed(self._drawn() if self.sample else range(self.size)))
        if not found:
            raise ReconError(f"{self.where}: the constraints leave no machine of {self.size:,}.")
        if len(found) < self.sample:
            raise ReconError(
                f"{self.where}: machine.sample asks for {self.sample:,} machines, and only {len(found):,} were found "
                f"that the constraints allow among {self.size:,}; ask for fewer, or loosen a constraint."
            )
        return found

    def _drawn(self) -> Iterator[int]:
        """Numbers of machines in the order in which the seed draws them: all, or so many that it is in vain to go on;
        those of a very large product are hardly ever the same, and are not looked at twice."""
        draw = random.Random(self.seed)
        tries = MOST_TRIES * self.sample
        if self.size <= tries:
            yield from draw.sample(range(self.size), self.size)
        else:
            yield from (draw.randrange(self.size) for _ in range(tries))

    def _allowed(self, numbers: Iterable[int]) -> Iterator[SpaceChoice]:
        """The machines of these numbers that the constraints allow, each once; so many as the sample asks for."""
        seen: set[SpaceChoice] = set()
        for number in numbers:
            places: list[int] = []
            for size in reversed(self.sizes):
                number, place = divmod(number, size)
                places.insert(0, place)
            choice = self.choice(places)
            if choice not in seen and self.allows(choice):
                seen.add(choice)
                yield choice
                if len(seen) == self.sample:
                    return


def machine_values(machine: Machine) -> dict[str, Value]:
    """Every key of a machine's description with its value; configurations as one text."""
    found: dict[str, Value] = {}
    for key, _, _ in schema_rows():
        value: Any = machine
        for part in key.split("."):
            value = getattr(value, part)
        found[key] = "+".join(value) if isinstance(value, tuple) else value
    return found


def setting_text(value: Any, key: str) -> str:
    """A value of TOML as ``--set`` takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "+".join(str(item) for item in value)
    if not isinstance(value, int | float | str):
        raise ReconError(f"The value {value!r} of {key} is none that a machine file can hold.")
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
