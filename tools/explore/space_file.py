"""Reading a space file: TOML to a ``DesignSpace``; of what is wrong, the key and what is allowed there are told."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passes.planner.options import FREEDOMS, MOST_IMAGES, OBJECTIVES, options_from
from sim.machine.description import load, schema_rows
from sim.machine.errors import ReconError
from sim.machine.files import parse_toml, read_text
from sim.machine.quantities import whole
from tools.explore.area import AreaCosts
from tools.explore.expressions import Expression
from tools.explore.point import MEASURES
from tools.explore.space import (
    DesignSpace,
    Goal,
    ModelEntry,
    Search,
    Settings,
    SpaceAxis,
    SpaceChoice,
    setting_text,
)
from tools.explore.store import COLUMNS, PLANNED
from tools.options import Planning

_KEYS = tuple(key for key, _, _ in schema_rows())
_OF_MACHINES = (*_KEYS, "area_mm2")

MOST_VALUES = 1_000
"""Values that a range may have."""


def read_space(path: str | Path) -> DesignSpace:
    """The space of a TOML file; ReconError names the key that is wrong."""
    where = str(path)
    try:
        data = parse_toml(read_text(Path(path)))
    except OSError as error:
        raise ReconError(f"{where}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ReconError(f"{where}: this is not a text file.") from None
    except ValueError as error:
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
                self.expression(text, "machine.constraints", _OF_MACHINES)
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
                self.machine(SpaceChoice(found.bases[0], tuple(settings.items())).machine, f"machine.vary.{axis.name}")
        found.allows(found.choice([0] * len(found.sizes)))
        return found

    def wrong(self, key: str, message: str) -> ReconError:
        return ReconError(f"{self.where}: key '{key}' {message}.")

    def machine(self, text: str, key: str) -> None:
        try:
            load(text)
        except ReconError as error:
            raise ReconError(f"{self.where}: key '{key}': {error}") from None

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
            self.known(entry, "models.", ("file", "name", "assume_int8", "input_shapes", "only"))
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
            only = self.expression(entry["only"], "models.only", _OF_MACHINES) if "only" in entry else None
            found.append(ModelEntry(path, name, flag, {key: tuple(dims) for key, dims in shapes.items()}, only))
        return tuple(found)

    def base(self, name: Any) -> str:
        if not isinstance(name, str):
            raise self.wrong("machine.base", f"must be a machine's name or file, not {name!r}")
        file = self.folder / name
        text = str(file) if name.endswith(".toml") and file.exists() else name
        self.machine(text, "machine.base")
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
            found.append({each: setting_text(one, each) for each, one in table.items()})
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
        if not 0 < first <= last or not 1 <= by < math.inf or (how[0] == "factor" and by == 1):
            raise self.wrong(
                key, "must go up from a number above 0, by a factor above 1, a step or steps of at least 1"
            )
        if how[0] == "steps":
            count = int(by)
            ratio = (last / first) ** (1 / max(1, count - 1))
            values = (round(first * ratio**place) for place in range(count))
        elif how[0] == "step":
            values = iter(range(first, last + 1, int(by)))
        else:
            values = itertools.takewhile(lambda value: value <= last * (1 + 1e-9), _growing(first, by))
        found = list(itertools.islice(values, MOST_VALUES + 1))
        if len(found) > MOST_VALUES:
            raise self.wrong(key, f"holds more than {MOST_VALUES:,} values; make its steps larger")
        return list(dict.fromkeys(found))

    def derived(self, key: str, text: Any) -> tuple[str, Expression]:
        self.machine_key(key, f"machine.derive.{key}")
        return key, self.expression(text, f"machine.derive.{key}", _KEYS)

    def expression(self, text: Any, key: str, names: Collection[str]) -> Expression:
        """An expression in these names; one that is not known is told now, and not when rows have been computed."""
        if not isinstance(text, str):
            raise self.wrong(key, f"must be an expression in quotes, not {text!r}")
        found = Expression.parse(text, f"{self.where}: key '{key}'")
        if unknown := [name for name in found.names if name not in names]:
            raise found.not_known(unknown[0], names)
        return found

    def plannings(self, options: Mapping[str, Any]) -> tuple[Planning, ...]:
        """All combinations of the planner's options that ``[options]`` lists."""
        self.known(options, "options.", PLANNED)
        axes = [self.items(options.get(name, "" if name == "without" else None), f"options.{name}") for name in PLANNED]
        return tuple(self.planning(dict(zip(PLANNED, values, strict=True))) for values in itertools.product(*axes))

    def planning(self, given: dict[str, Any]) -> Planning:
        freedoms = [word for word in str(given.pop("without")).split("+") if word]
        if unknown := [word for word in freedoms if word not in FREEDOMS]:
            raise self.wrong("options.without", f"names '{unknown[0]}'; there are {', '.join(FREEDOMS)}, joined by +")
        if given["objective"] not in (None, *OBJECTIVES):
            raise self.wrong("options.objective", f"is {given['objective']!r}; there are {', '.join(OBJECTIVES)}")
        for name, allowed in (("level", range(3)), ("batch", range(1, MOST_IMAGES + 1))):
            value = given[name]
            if value is not None and (isinstance(value, bool) or value not in allowed):
                raise self.wrong(f"options.{name}", f"is {value!r}; there are {allowed[0]} to {allowed[-1]}")
        texts = {name: str(given[name]) for name in ("sram_limit", "frames") if given[name] is not None}
        try:
            return Planning.of(options_from(freedoms, **{**given, **texts}))
        except ReconError as error:
            raise ReconError(f"{self.where}: [options]: {error}") from None

    def goal(self, given: Mapping[str, Any]) -> Goal:
        self.known(given, "goal.", ("least", "where"))
        least = self.expression(given.get("least", "area_mm2 * seconds"), "goal.least", COLUMNS)
        return Goal(least, self.expression(given["where"], "goal.where", COLUMNS) if "where" in given else None)

    def search(self, given: Mapping[str, Any]) -> Search:
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


def _growing(first: int, factor: float) -> Iterator[int]:
    value = float(first)
    while True:
        yield round(value)
        value *= factor
