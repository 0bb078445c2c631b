"""A space file: models × machines × options, read from TOML, and the points that it holds, in a fixed order.

A machine is a base and settings, exactly as ``--machine`` and ``--set`` give them, so every key of a machine file can
vary and every machine of a space can be asked about by hand. The machines are the product of the axes, or a seeded
sample of it; keys that depend on others are derived by expressions, and constraints leave out what nobody would build.
"""

from __future__ import annotations

import itertools
import math
import random
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from passes.planner.options import FREEDOMS, OBJECTIVES, options_from
from sim.machine.description import Machine, load, schema_rows, with_settings
from sim.machine.errors import ReconError
from sim.machine.files import read_text
from sim.machine.quantities import whole
from tools.explore.area import AreaCosts, area_mm2
from tools.explore.expressions import Expression, Value
from tools.options import Planning

MOST_TRIES = 200
"""Draws for each machine asked for, before constraints are said to leave too little."""

Settings = Mapping[str, str]


@dataclass(frozen=True)
class ModelEntry:
    """A model of the space: a file, how its rows are called, and how it is read."""

    file: Path
    name: str
    assume_int8: bool
    input_shapes: Mapping[str, tuple[int, ...]]


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
    known: dict[str, Machine] = field(default_factory=dict, compare=False, repr=False)

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
                settings[key] = str(int(value)) if isinstance(value, float) else _setting(value, key)
        return SpaceChoice(base, tuple(settings.items()))

    def allows(self, choice: SpaceChoice) -> bool:
        """Whether all constraints hold of a machine."""
        if not self.constraints:
            return True
        machine = load(choice.machine)
        names: dict[str, Value] = {**machine_values(machine), "area_mm2": area_mm2(machine, self.area)}
        return all(bool(constraint.value(names)) for constraint in self.constraints)

    def machines(self) -> list[SpaceChoice]:
        """All machines of the product that the constraints allow, or a sample of them; ReconError if there are none."""
        found = list(self._sampled() if self.sample else self._product())
        if not found:
            raise ReconError(f"{self.where}: the constraints leave no machine of {self.size:,}.")
        if len(found) < self.sample:
            raise ReconError(
                f"{self.where}: machine.sample asks for {self.sample:,} machines, and only {len(found):,} were found "
                f"that the constraints allow among {self.size:,}; ask for fewer, or loosen a constraint."
            )
        return found

    def _product(self) -> Iterator[SpaceChoice]:
        seen: set[SpaceChoice] = set()
        for places in itertools.product(*(range(size) for size in self.sizes)):
            choice = self.choice(places)
            if choice not in seen and self.allows(choice):
                seen.add(choice)
                yield choice

    def _sampled(self) -> Iterator[SpaceChoice]:
        """Without repetition; in the order in which the seed draws them."""
        draw = random.Random(self.seed)
        seen: set[SpaceChoice] = set()
        numbers: Iterator[int] = iter(draw.sample(range(self.size), min(self.size, MOST_TRIES * self.sample)))
        count = 0
        for number in numbers:
            if count == self.sample:
                return
            places: list[int] = []
            for size in reversed(self.sizes):
                number, place = divmod(number, size)
                places.insert(0, place)
            choice = self.choice(places)
            if choice not in seen and self.allows(choice):
                seen.add(choice)
                count += 1
                yield choice


def machine_values(machine: Machine) -> dict[str, Value]:
    """Every key of a machine's description with its value; configurations as one text."""
    found: dict[str, Value] = {}
    for key, _, _ in schema_rows():
        value: Any = machine
        for part in key.split("."):
            value = getattr(value, part)
        found[key] = "+".join(value) if isinstance(value, tuple) else value
    return found


def read_space(path: str | Path) -> DesignSpace:
    """The space of a TOML file; ReconError names the key that is wrong."""
    where = str(path)
    try:
        data = tomllib.loads(read_text(Path(path)))
    except OSError as error:
        raise ReconError(f"{where}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ReconError(f"{where}: this is not a text file.") from None
    except tomllib.TOMLDecodeError as error:
        raise ReconError(f"{where}: this is not TOML: {error}.") from None
    return _Reader(where, Path(path).parent).space(data)


@dataclass(frozen=True)
class _Reader:
    where: str
    folder: Path

    def space(self, data: Mapping[str, Any]) -> DesignSpace:
        self.known(data, "", ("models", "machine", "options", "area", "goal", "search"))
        machine = self.table(data, "machine")
        self.known(machine, "machine.", ("base", "vary", "derive", "constraints", "sample", "seed"))
        bases = machine.get("base", "edge4k")
        found = DesignSpace(
            self.where,
            self.models(data.get("models")),
            tuple(self.base(name) for name in self.items(bases, "machine.base")),
            tuple(self.axis(name, value) for name, value in self.table(machine, "vary", "machine.").items()),
            tuple(self.derived(key, text) for key, text in self.table(machine, "derive", "machine.").items()),
            tuple(
                self.expression(text, "machine.constraints")
                for text in self.items(machine.get("constraints", []), "machine.constraints")
            ),
            self.number(machine, "machine.sample", 0, 0),
            self.number(machine, "machine.seed", 0, 0),
            self.plannings(self.table(data, "options")),
            AreaCosts.of(self.table(data, "area"), self.where),
            self.goal(self.table(data, "goal")),
            self.search(self.table(data, "search")) if "search" in data else None,
        )
        for axis in found.axes:
            for settings in axis.choices:
                load(SpaceChoice(found.bases[0], tuple(settings.items())).machine)
        found.allows(found.choice([0] * len(found.sizes)))
        return found

    def wrong(self, key: str, message: str) -> ReconError:
        return ReconError(f"{self.where}: key '{key}' {message}.")

    def known(self, table: Mapping[str, Any], prefix: str, names: Sequence[str]) -> None:
        for name in table:
            if name not in names:
                raise self.wrong(prefix + name, f"is not known; allowed here are {', '.join(names)}")

    def table(self, data: Mapping[str, Any], name: str, prefix: str = "") -> Mapping[str, Any]:
        value = data.get(name, {})
        if not isinstance(value, Mapping):
            raise self.wrong(prefix + name, f"must be a table [{prefix}{name}], not {value!r}")
        return value

    def items(self, value: Any, key: str) -> list[Any]:
        found = list(value) if isinstance(value, list) else [value]
        if not found and key != "machine.constraints":
            raise self.wrong(key, "must not be empty")
        return found

    def number(self, table: Mapping[str, Any], key: str, default: int, low: int) -> int:
        value = table.get(key.rpartition(".")[2], default)
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise self.wrong(key, f"must be a whole number of at least {low}, not {value!r}")
        return value

    def models(self, entries: Any) -> tuple[ModelEntry, ...]:
        if not isinstance(entries, list) or not entries or not all(isinstance(entry, Mapping) for entry in entries):
            raise self.wrong("models", 'is missing: write [[models]] and file = "model.onnx", once for each model')
        found: list[ModelEntry] = []
        for entry in entries:
            self.known(entry, "models.", ("file", "name", "assume_int8", "input_shapes"))
            if not isinstance(entry.get("file"), str):
                raise self.wrong("models.file", "is missing (the path of a model, from the space file's own folder)")
            path = self.folder / entry["file"]
            shapes = self.table(entry, "input_shapes", "models.")
            for name, dims in shapes.items():
                if not isinstance(dims, list) or not dims or not all(type(dim) is int and dim > 0 for dim in dims):
                    raise self.wrong(
                        f"models.input_shapes.{name}", f"must be a list such as [1, 3, 224, 224], not {dims}"
                    )
            flag = entry.get("assume_int8", False)
            if not isinstance(flag, bool):
                raise self.wrong("models.assume_int8", f"must be true or false, not {flag!r}")
            name = str(entry.get("name", path.stem))
            if name in [model.name for model in found]:
                raise self.wrong("models.name", f"is '{name}' twice; rows are told apart by it")
            found.append(ModelEntry(path, name, flag, {key: tuple(dims) for key, dims in shapes.items()}))
        return tuple(found)

    def base(self, name: Any) -> str:
        if not isinstance(name, str):
            raise self.wrong("machine.base", f"must be a machine's name or file, not {name!r}")
        file = self.folder / name
        text = str(file) if name.endswith(".toml") and file.exists() else name
        load(text)
        return text

    def axis(self, name: str, value: Any) -> SpaceAxis:
        key = f"machine.vary.{name}"
        if isinstance(value, Mapping):
            value = self.range(key, value)
        found: list[Settings] = []
        for item in self.items(value, key):
            table: Mapping[str, Any] = item if isinstance(item, Mapping) else {name: item}
            for each in table:
                self.machine_key(each, key)
            found.append({each: _setting(one, each) for each, one in table.items()})
        return SpaceAxis(name, tuple(found))

    def machine_key(self, name: str, key: str) -> None:
        keys = [each for each, _, _ in schema_rows() if each != "name"]
        if name not in keys:
            raise self.wrong(key, f"speaks of '{name}', which is no key of a machine; there are {', '.join(keys)}")

    def range(self, key: str, given: Mapping[str, Any]) -> list[int]:
        """``{ from = …, to = …, factor = 2 }``, or ``step = …``, or ``steps = …`` values, evenly spaced by ratio."""
        self.known(given, f"{key}.", ("from", "to", "factor", "step", "steps"))
        how = [name for name in ("factor", "step", "steps") if name in given]
        if "from" not in given or "to" not in given or len(how) != 1:
            raise self.wrong(key, "must have from, to, and one of factor, step, steps")
        try:
            first, last = (whole(str(given[name])) for name in ("from", "to"))
            by = float(whole(str(given[how[0]])) if how[0] != "factor" else given["factor"])
        except (TypeError, ValueError) as error:
            raise self.wrong(key, f"holds a bad number: {error}") from None
        if not 0 < first <= last or by < 1 or (how[0] == "factor" and by == 1):
            raise self.wrong(
                key, "must go up from a number above 0, by a factor above 1, a step or steps of at least 1"
            )
        if how[0] == "steps":
            count = int(by)
            ratio = (last / first) ** (1 / max(1, count - 1))
            return list(dict.fromkeys(round(first * ratio**place) for place in range(count)))
        values: list[int] = []
        value = float(first)
        while value <= last * (1 + 1e-9) and len(values) < 10_000:
            values.append(round(value))
            value = value * by if how[0] == "factor" else value + by
        return list(dict.fromkeys(values))

    def derived(self, key: str, text: Any) -> tuple[str, Expression]:
        self.machine_key(key, f"machine.derive.{key}")
        return key, self.expression(text, f"machine.derive.{key}")

    def expression(self, text: Any, key: str) -> Expression:
        if not isinstance(text, str):
            raise self.wrong(key, f"must be an expression in quotes, not {text!r}")
        return Expression.parse(text, f"{self.where}: key '{key}'")

    def plannings(self, options: Mapping[str, Any]) -> tuple[Planning, ...]:
        allowed = ("level", "objective", "sram_limit", "frames", "without")
        self.known(options, "options.", allowed)
        axes: list[list[Any]] = []
        for name in allowed:
            given = self.items(options.get(name, "" if name == "without" else None), f"options.{name}")
            axes.append(given)
        found: list[Planning] = []
        for level, objective, limit, frames, without in itertools.product(*axes):
            freedoms = [word for word in str(without).split("+") if word]
            if unknown := [word for word in freedoms if word not in FREEDOMS]:
                raise self.wrong(
                    "options.without", f"names '{unknown[0]}'; there are {', '.join(FREEDOMS)}, joined by +"
                )
            if objective is not None and objective not in OBJECTIVES:
                raise self.wrong("options.objective", f"is {objective!r}; there are {', '.join(OBJECTIVES)}")
            if level is not None and (isinstance(level, bool) or level not in (0, 1, 2)):
                raise self.wrong("options.level", f"is {level!r}; there are 0, 1 and 2")
            size = None if limit is None else str(limit)
            many = None if frames is None else str(frames)
            given = options_from(freedoms, level=level, objective=objective, sram_limit=size, frames=many)
            found.append(Planning.of(given))
        return tuple(found)

    def goal(self, given: Mapping[str, Any]) -> Goal:
        self.known(given, "goal.", ("least", "where"))
        least = self.expression(given.get("least", "area_mm2 * seconds"), "goal.least")
        return Goal(least, self.expression(given["where"], "goal.where") if "where" in given else None)

    def search(self, given: Mapping[str, Any]) -> Search:
        from tools.explore.point import MEASURES

        self.known(given, "search.", ("objectives", "trials", "population", "seed"))
        objectives = self.items(given.get("objectives", ["seconds", "energy_joules", "area_mm2"]), "search.objectives")
        for name in objectives:
            if name not in MEASURES:
                raise self.wrong("search.objectives", f"names {name!r}; there are {', '.join(MEASURES)}")
        population = self.number(given, "search.population", 20, 2)
        return Search(
            tuple(objectives),
            self.number(given, "search.trials", 10 * population, 1),
            population,
            self.number(given, "search.seed", 0, 0),
        )


def _setting(value: Any, key: str) -> str:
    """A value of TOML as ``--set`` takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "+".join(str(item) for item in value)
    if not isinstance(value, int | float | str):
        raise ReconError(f"The value {value!r} of {key} is none that a machine file can hold.")
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
