"""Machine descriptions: one TOML file per machine, one schema, read once into frozen dataclasses.

The schema lives in the dataclasses below: a field's type, its allowed values and its documentation (``doc``) are what
the reader checks, what the error messages quote and what the manual's table is generated from.
Rates are exact rationals; no float enters a cycle count.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from sim.machine.errors import MachineFileError
from sim.machine.files import parse_toml, read_text
from sim.machine.quantities import whole

MACHINES = Path(__file__).parent.parent / "machines"

ALGORITHMS = ("direct", "winograd")
"""Convolution algorithms by their number in instructions and configuration images."""


MOST_CYCLES = 1 << 24
"""The greatest overhead, latency or swap, and the most bytes per cycle: 18 ms at 933 MHz."""

ADDRESSES = 1 << 32
"""Bytes that the 32 bits of an address reach."""

UNROLLED = 1 << 15
"""The most lanes: what an instruction's g, k, r and p can say."""


@dataclass(frozen=True, order=True)
class Configuration:
    """One setting of the datapath: groups × output channels × reduction elements × output pixels per cycle."""

    algorithm: str
    g: int
    k: int
    r: int
    p: int

    def __str__(self) -> str:
        return f"{self.algorithm} g{self.g} k{self.k} r{self.r} p{self.p}"

    @classmethod
    def parse(cls, text: str) -> Configuration:
        """Read ``"direct g1 k64 r16 p4"``; ValueError says what is wrong with the text.

        ``"systolic 64x32"``, an array of 64 rows (of the reduction) and 32 columns (of outputs), is g1 k32 r64 p1.
        """
        if systolic := re.fullmatch(r"systolic\s+(\d+)\s*x\s*(\d+)", text.strip()):
            text = f"direct g1 k{systolic[2]} r{systolic[1]} p1"
        match = re.fullmatch(r"(direct|winograd)\s+g\s*(\d+)\s+k\s*(\d+)\s+r\s*(\d+)\s+p\s*(\d+)", text.strip())
        if not match:
            raise ValueError(f'"{text}" is not a configuration such as "direct g1 k64 r16 p4"')
        unrolling = [int(number) for number in match.groups()[1:]]
        for number in unrolling:
            if number < 1 or number & (number - 1):
                raise ValueError(f'"{text}": {number} is not a power of two')
            if number > UNROLLED:
                raise ValueError(f'"{text}": {number} is more than the {UNROLLED} that an instruction can say')
        return cls(match[1], *unrolling)


def key(doc: str, *, allowed: tuple[str, ...] = (), low: int = 0, high: int = MOST_CYCLES) -> Any:
    """A documented key of the machine file; ``low`` and ``high`` are the least and greatest value of a number, and a
    text with a ``low`` is not empty."""
    return dataclasses.field(metadata={"doc": doc, "allowed": allowed, "low": low, "high": high})


@dataclass(frozen=True)
class Array:
    lanes: int = key("multipliers; each does one int8 multiply-accumulate (MAC) per cycle", low=1, high=UNROLLED)
    half_words: int = key("words per lane in one of the two halves of the L1 weight store", low=1)
    accumulators: int = key("int32 accumulators of the array", low=1, high=ADDRESSES)
    conv_overhead: int = key("cycles every convolution pass takes beyond its busiest stream")
    flatten: bool = key("whether a reduction runs over kernel row, column and channel as one flat sequence")
    winograd: str = key("F(2x2, 3x3) convolution", allowed=("none", "on_fill"))
    configurations: tuple[str, ...] = key("configurations the array can take; empty: all with g*k*r*p <= lanes")


@dataclass(frozen=True)
class Streams:
    input: int = key("bytes per cycle from SRAM into the array", low=1)
    output: int = key("bytes per cycle from the array to SRAM", low=1)
    residual: int = key("bytes per cycle of the residual operand's own port", low=1)
    weights: int = key("bytes per cycle from SRAM into the L1 weight store", low=1)
    vector: int = key("elements per cycle of the vector unit", low=1)
    fill_overhead: int = key("cycles every fill takes beyond its bytes")
    vector_overhead: int = key("cycles every vector operation takes beyond its elements")


@dataclass(frozen=True)
class Sram:
    bytes: int = key("capacity of the on-chip memory", low=1, high=ADDRESSES)


@dataclass(frozen=True)
class Dram:
    bytes: int = key("capacity of the external memory", low=1, high=ADDRESSES)
    bytes_per_second: int = key("peak rate of the channel", low=1, high=10**14)
    refresh_per_mille: int = key("thousandths of the time lost to refresh", high=999)
    refresh_interval: int = key("cycles from one refresh to the next, for --interval", low=1)
    row_bytes: int = key("bytes of a row, for --interval", low=1, high=ADDRESSES)
    row_miss: int = key("cycles lost at most when a row has to be opened, for --interval")
    burst: int = key("bytes of one burst; every burst a run touches counts whole", low=1, high=1 << 16)
    latency: int = key("cycles from the end of a transfer on the channel to its completion")
    turn: int = key("cycles lost when the channel changes between reading and writing")


@dataclass(frozen=True)
class ConfigurationStore:
    image_bytes: int = key("size of a configuration image", low=64)
    swap: int = key("cycles to exchange the active and the shadow slot")
    sram_load: int = key("cycles to load an image from SRAM into the shadow slot")


LEAST_FETCH = 256
"""Bytes, more than the longest instruction has: an instruction lies in two pieces of a text at most."""


@dataclass(frozen=True)
class InstructionMemory:
    bytes: int = key(
        "capacity; a text that it holds is there when the model is loaded, and costs nothing", low=1, high=ADDRESSES
    )
    fetch: int = key("bytes of one fetch of a text that it does not hold; 0: such a program is refused", high=ADDRESSES)

    def fetches(self, code_bytes: int) -> bool:
        """Whether a program with so many bytes of instructions is fetched while it runs."""
        return self.fetch > 0 and code_bytes > self.bytes

    def runs(self, code_bytes: int, repeats: bool = False) -> bool:
        """Whether a program with so many bytes of instructions runs at all; one that ``repeats`` must be held whole."""
        return code_bytes <= self.bytes or (self.fetch > 0 and not repeats)


@dataclass(frozen=True)
class Energy:
    """Unit costs in femtojoule, integers so that sums are exact."""

    mac_fj: int = key("one 8-bit multiply and one 32-bit add")
    sram_fj_per_byte: int = key("one byte read from or written to SRAM")
    dram_fj_per_byte: int = key("one byte over the DRAM channel")
    source: str = key("where the unit costs come from")


@dataclass(frozen=True)
class Machine:
    """A machine: everything the laws of time, the faults and the planner ask about the hardware."""

    name: str = key("the machine's name", low=1)
    description: str = key("one sentence for people")
    clock_hz: int = key("cycles per second", low=1, high=10**11)
    array: Array = key("the MAC array")
    streams: Streams = key("bandwidths between SRAM and the engines")
    sram: Sram = key("on-chip memory")
    dram: Dram = key("external memory")
    configuration: ConfigurationStore = key("configuration images and slots")
    instruction_memory: InstructionMemory = key("instruction memory")
    energy: Energy = key("unit energies of an estimate")

    @functools.cached_property
    def dram_rate(self) -> Fraction:
        """Net bytes per cycle of the DRAM channel, exact."""
        return Fraction(self.dram.bytes_per_second * (1000 - self.dram.refresh_per_mille), 1000 * self.clock_hz)

    @functools.cached_property
    def configurations(self) -> tuple[Configuration, ...]:
        """The configurations the machine file lists; empty when the array takes any within its lanes."""
        return tuple(Configuration.parse(text) for text in self.array.configurations)

    def refusal(self, configuration: Configuration) -> str | None:
        """Why the array cannot take this configuration, or None when it can."""
        product = configuration.g * configuration.k * configuration.r * configuration.p
        if product > self.array.lanes:
            return f"{configuration} needs {product} lanes and {self.name} has {self.array.lanes}"
        if configuration.algorithm == "winograd" and self.array.winograd == "none":
            return f"{self.name} has no Winograd"
        if self.configurations and configuration not in self.configurations:
            return f"{self.name} only takes {', '.join(map(str, self.configurations))}"
        return None

    def to_json(self) -> dict[str, Any]:
        """The description as plain data, as program files carry it."""
        return dataclasses.asdict(self)

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the description: two machines with one fingerprint run a program alike."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()


_SECTIONS = {
    "Array": Array,
    "Streams": Streams,
    "Sram": Sram,
    "Dram": Dram,
    "ConfigurationStore": ConfigurationStore,
    "InstructionMemory": InstructionMemory,
    "Energy": Energy,
}
_KINDS = {"int": (int, "a whole number"), "str": (str, "a text"), "bool": (bool, "true or false")}


def from_mapping(data: Mapping[str, Any], where: str, text: str = "") -> Machine:
    """Check plain data against the schema and build the machine.

    ``where`` names the file in messages and ``text`` is its source, from which line numbers are found.
    Raises MachineFileError naming every problem with its key, line and allowed values.
    """
    problems: list[str] = []

    def complain(path: str, message: str) -> None:
        problems.append(f"{where}{_line_of(text, path)}: key '{path}' {message}.")

    def read(cls: type[Any], table: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for name in table:
            if name not in fields:
                complain(prefix + name, f"is not known; allowed here are {', '.join(fields)}")
        values: dict[str, Any] = {}
        for name, field in fields.items():
            path = prefix + name
            section = _SECTIONS.get(str(field.type))
            if name not in table:
                kind = "a table" if section else field.metadata["doc"]
                complain(path, f"is missing ({kind})")
            elif section:
                if isinstance(table[name], Mapping):
                    values[name] = read(section, table[name], path + ".")
                else:
                    complain(path, f"must be a table [{path}], not {table[name]!r}")
            elif (message := _value_problem(field, table[name])) is not None:
                complain(path, message)
            else:
                values[name] = _value(field, table[name])
        return values

    values = read(Machine, data, "")
    if problems:
        raise MachineFileError("\n".join(problems))
    for field in dataclasses.fields(Machine):
        if (section := _SECTIONS.get(str(field.type))) is not None:
            values[field.name] = section(**values[field.name])
    memory: InstructionMemory = values["instruction_memory"]
    if memory.fetch and not LEAST_FETCH <= memory.fetch <= memory.bytes // 2:
        complain(
            "instruction_memory.fetch",
            f"must be 0, or at least {LEAST_FETCH} and at most half of instruction_memory.bytes, not {memory.fetch}",
        )
        raise MachineFileError("\n".join(problems))
    return Machine(**values)


def _value_problem(field: dataclasses.Field[Any], value: Any) -> str | None:
    if str(field.type).startswith("tuple"):
        if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
            return f'must be a list of configurations such as "direct g1 k64 r16 p4", not {value!r}'
        for item in value:
            try:
                Configuration.parse(item)
            except ValueError as error:
                return f"holds a bad configuration: {error}"
        return None
    kind, said = _KINDS[str(field.type)]
    if kind is int:
        value = _number(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        return f"must be {said}, not {value!r}"
    if field.metadata["allowed"] and value not in field.metadata["allowed"]:
        return f"must be one of {', '.join(field.metadata['allowed'])}, not {value!r}"
    if isinstance(value, str) and field.metadata["low"] and not value.strip():
        return "must not be empty"
    if kind is int and value < field.metadata["low"]:
        return f"must be at least {field.metadata['low']}, not {value}"
    if kind is int and value > field.metadata["high"]:
        return f"must be at most {field.metadata['high']:,}, not {value:,}"
    return None


def _number(value: Any) -> Any:
    """A size as people write it (``"4MiB"``, ``34e9``) as a whole number; anything else as it is."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        try:
            return whole(value)
        except ValueError:
            return value
    return value


def _value(field: dataclasses.Field[Any], value: Any) -> Any:
    """A value that was found right, in the form that the description keeps."""
    if isinstance(value, list | tuple):
        return tuple(str(Configuration.parse(item)) for item in value)
    return _number(value) if str(field.type) == "int" else value


def _line_of(text: str, path: str) -> str:
    """``":7"`` when the key can be found in the file's text, else nothing."""
    *tables, name = path.split(".")
    inside = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[([^\]]+)\]", line):
            inside = header[1].strip()
            if inside == path:
                return f":{number}"
        elif inside == ".".join(tables) and re.match(rf"\s*{re.escape(name)}\s*=", line):
            return f":{number}"
    return ""


def names() -> tuple[str, ...]:
    """The machines that come with the project, sorted."""
    return tuple(sorted(path.stem for path in MACHINES.glob("*.toml")))


@functools.lru_cache(maxsize=64)
def _read(path: Path, _stamp: tuple[int, int]) -> Machine:
    text = read_text(path)
    try:
        data = parse_toml(text)
    except ValueError as error:
        raise MachineFileError(f"{path}: this is not TOML: {error}.") from None
    return from_mapping(data, str(path), text)


WITH = " with "
"""Between a machine's name and settings that differ from its description: ``edge4k with sram.bytes=4194304``."""


def with_settings(name_or_file: str, settings: Iterable[str]) -> str:
    """What ``load`` takes for a machine with other values: ``["sram.bytes=4MiB"]`` for one with 4 MiB of SRAM.

    The machine may have settings already; where two speak of one key the later one holds.
    """
    settings = list(settings)
    between = ", " if WITH in name_or_file else WITH
    return f"{name_or_file}{between}{', '.join(settings)}" if settings else name_or_file


def load(name_or_file: str) -> Machine:
    """A machine by name (``edge4k``) or from a TOML file; MachineFileError names what is wrong.

    Either may be followed by settings: ``edge4k with sram.bytes=4MiB, dram.bytes_per_second=34e9``; the machine is then
    called by that whole text.
    """
    base, given, settings = name_or_file.partition(WITH)
    if given:
        return _changed(load(base), tuple(setting.strip() for setting in settings.split(",")))
    path = MACHINES / f"{name_or_file}.toml" if name_or_file in names() else Path(name_or_file)
    try:
        stat = path.stat()
        return _read(path, (stat.st_mtime_ns, stat.st_size))
    except UnicodeDecodeError:
        raise MachineFileError(f"{path}: this is not a text file.") from None
    except OSError as error:
        if path.exists():
            raise MachineFileError(f"{path}: cannot be read: {error.strerror}.") from None
        raise _unknown(name_or_file) from None
    except ValueError:  # a name that no file can have
        raise _unknown(name_or_file) from None


def _unknown(name_or_file: str) -> MachineFileError:
    return MachineFileError(
        f"There is no machine '{name_or_file}': known are {', '.join(names())}, or give the path of a TOML file."
    )


@functools.lru_cache(maxsize=64)
def _changed(machine: Machine, settings: tuple[str, ...]) -> Machine:
    """The machine with other values; its name says which."""
    description = machine.to_json()
    keys = [key for key, _, _ in schema_rows() if key != "name"]
    said: dict[str, str] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        key, text = key.strip(), text.strip()
        if not equals or key not in keys:
            near = difflib.get_close_matches(key, keys, 1, 0.4)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(keys)}."
            raise MachineFileError(f"--set {setting}: write KEY=VALUE, for example sram.bytes=4MiB; {hint}")
        *sections, name = key.split(".")
        table: Any = description
        for section in sections:
            table = table[section]
        old = _at(machine.to_json(), key)  # not of the table: a key may be set twice
        value = {"true": True, "false": False}.get(text, text) if isinstance(old, bool) else text
        table[name] = [part for part in text.split("+") if part] if isinstance(old, tuple | list) else value
        said[key] = f"{key}={_number(text) if isinstance(old, int) and not isinstance(old, bool) else text}"
    description["name"] = with_settings(machine.name, said.values())
    return from_mapping(description, "--set " + " --set ".join(settings))


def borrowed_name(name_or_file: str) -> str:
    """A remark on a machine file that bears the name of a machine of ours and differs from it; "" for any other."""
    machine = load(name_or_file)
    if name_or_file in names() or machine.name not in names():
        return ""
    ours, theirs = load(machine.name).to_json(), machine.to_json()
    differs = [key for key, _, _ in schema_rows() if key != "description" and _at(ours, key) != _at(theirs, key)]
    if not differs:
        return ""
    shown = ", ".join(differs[:3]) + (" and more" if len(differs) > 3 else "")
    return (
        f"{name_or_file}: this machine is called {machine.name} like one that comes with the project, and differs from "
        f"it in {shown}; give it a name of its own."
    )


def _at(description: Mapping[str, Any], key: str) -> Any:
    value: Any = description
    for part in key.split("."):
        value = value[part]
    return value


def schema_rows() -> list[tuple[str, str, str]]:
    """Every key of the machine file as (key, type and allowed values, documentation), for the manual."""
    rows: list[tuple[str, str, str]] = []

    def visit(cls: type[Any], prefix: str) -> None:
        for field in dataclasses.fields(cls):
            section = _SECTIONS.get(str(field.type))
            if section:
                visit(section, f"{prefix}{field.name}.")
            else:
                allowed = " | ".join(field.metadata["allowed"]) or str(field.type)
                rows.append((prefix + field.name, allowed, field.metadata["doc"]))

    visit(Machine, "")
    return rows
