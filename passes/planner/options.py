"""What a user may ask of the planner: how hard to try, for what, and which of its freedoms to give up.

A field of ``Options`` is an option everywhere: the planner's passes have it because they are ``Options``, and command
lines are made from what ``option`` says of it. A new one is a field here and the place that reads it.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sim.machine.description import Machine
from sim.machine.errors import ReconError

OBJECTIVES = ("cycles", "latency", "throughput", "dram", "energy")
"""What a plan may keep low. ``cycles`` are those of one frame: of the only one, or in the long run of many, which is
``throughput``; ``latency`` is those of one frame alone even where many follow each other."""

MOST_IMAGES = 64
"""Frames that a batch may have."""

STREAM = "stream"
"""Frames without an end."""

_UNITS = {"": 1, "b": 1, "kb": 1000, "mb": 1000**2, "kib": 1024, "mib": 1024**2}


def sram_bytes(text: str) -> int:
    """``2MiB``, ``2048KiB``, ``2MB`` or ``2097152`` as bytes; ReconError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    size = float(match[1]) * _UNITS[match[2]] if match and match[2] in _UNITS else 0
    if size < 1 or size != int(size):
        raise ReconError(f"--sram-limit {text}: write a size such as 2MiB, 2048KiB, 2MB or 2097152.")
    return int(size)


def _objective(text: str) -> str:
    if text not in OBJECTIVES:
        raise ReconError(f"--objective {text}: there are {', '.join(OBJECTIVES)}.")
    return text


def _frames(text: str) -> str:
    number = text.strip().lower()
    if number != STREAM and not (number.isdecimal() and int(number) >= 1):
        raise ReconError(f"--frames {text}: write how many frames follow each other, or {STREAM}.")
    return number


def _batch(number: int) -> int:
    if not 1 <= number <= MOST_IMAGES:
        raise ReconError(f"--batch {number}: give a whole number from 1 to {MOST_IMAGES}.")
    return number


def _seconds(given: float) -> float:
    if not (math.isfinite(given) and given > 0):
        raise ReconError(f"--time-budget {given:g}: give a number of seconds above 0.")
    return given


@dataclass(frozen=True)
class Offer:
    """How command lines offer an option: ``kind`` of value they read, and what it means to the planner.

    ``choices`` are all there are; ``list`` is for an option that may be repeated.
    """

    help: str
    metavar: str
    flag: str = ""
    kind: type = str
    choices: tuple[int | str, ...] = ()
    normally: str = ""
    read: Callable[[Any], Any] = lambda given: given


def option(default: Any, help: str, metavar: str, **more: Any) -> Any:
    """A field of ``Options`` that command lines offer (see ``Offer``)."""
    return dataclasses.field(default=default, metadata={"offer": Offer(help, metavar, **more)})


def freedom(name: str, default: bool = True) -> Any:
    """A field of ``Options`` that ``--without name`` turns over: what it is worth can be measured."""
    return dataclasses.field(default=default, metadata={"freedom": name})


@dataclass(frozen=True)
class Options:
    """``level`` 0: one configuration, a layer's weights come when the layer does; 1: configurations by shortest path,
    prefetch, the first partition that fits; 2: a search over partitions. ``objective`` is what the search minimises.

    ``sram_limit`` bytes are all the plan may use (0: all there are). ``trials`` bounds the plans the search looks at
    (0: all), and ``time_budget`` seconds (0: no bound) do so by a count of layers, so that they give the same plan on
    every computer. ``pin`` fixes choices by layer: ``LAYER=direct g1 k64 r16 p4``, and those of
    ``pins``. ``frames`` is how many frames follow each other (``stream``: no end).
    """

    level: int = option(
        2,
        "Effort: 0 each layer by itself, 1 the network as a whole, 2 a search as well.",
        "0|1|2",
        flag="-O",
        kind=int,
        choices=(0, 1, 2),
        normally="2",
    )
    objective: str = option(
        OBJECTIVES[0],
        "What the plan should keep low.",
        "|".join(OBJECTIVES),
        choices=OBJECTIVES,
        normally=OBJECTIVES[0],
        read=_objective,
    )
    sram_limit: int = option(0, "Use no more SRAM than this: 2MiB, 2048KiB, 2MB or bytes.", "2MiB", read=sram_bytes)
    pin: tuple[str, ...] = option(
        (), "Fix a choice of the plan (see docs/scheduling.md); repeatable.", "LAYER=CHOICE", kind=list, read=tuple
    )
    time_budget: float = option(
        0.0,
        "Bound the search: by a fixed count of layers, not by a clock.",
        "SECONDS",
        kind=float,
        read=_seconds,
    )
    frames: str = option(
        "",
        "Plan for frames in a row: weights that stay, and work across the border between frames.",
        f"N|{STREAM}",
        normally="one frame by itself",
        read=_frames,
    )
    batch: int = option(
        0,
        "Frames that the machine works on together, with one set of weights; for frames in a row.",
        "N",
        kind=int,
        normally="what is best",
        read=_batch,
    )
    trials: int = 0
    winograd: bool = freedom("winograd")
    single: bool = freedom("reconfiguration", default=False)
    prefetch: bool = freedom("prefetch")
    residency: bool = freedom("residency")
    fusion: bool = freedom("fusion")
    order: bool = freedom("order")

    def __post_init__(self) -> None:
        if self.level not in (0, 1, 2):
            raise ReconError(f"There is no optimisation level {self.level}; there are 0, 1 and 2.")
        if self.objective not in OBJECTIVES:
            raise ReconError(f"'{self.objective}' is no objective; there are {', '.join(OBJECTIVES)}.")
        if self.batch > 1 and not (self.streams and self.residency):
            raise ReconError(
                f"A batch of {self.batch} works on frames together and keeps them in SRAM, so it goes with neither the "
                "objective latency nor without residency."
            )
        if self.sram_limit < 0:
            raise ReconError(f"An SRAM limit is a number of bytes, not {self.sram_limit}.")
        if self.trials < 0:
            raise ReconError(f"The plans tried are at least 1 (0 for as many as it takes), not {self.trials}.")

    @property
    def repeats(self) -> bool:
        """Whether frames follow each other."""
        return self.batch > 0 or self.frames not in ("", "1")

    @property
    def streams(self) -> bool:
        """Whether a plan may give up the latency of a frame for those that follow."""
        return self.repeats and self.objective != "latency"

    @property
    def measure(self) -> str:
        """What plans are compared by: ``cycles``, ``dram`` or ``energy``."""
        return self.objective if self.objective in ("dram", "energy") else "cycles"

    @property
    def one_configuration(self) -> bool:
        return self.single or self.level == 0

    @property
    def orders(self) -> bool:
        """Whether branches may change places: only where loads come ahead does it matter when a layer runs."""
        return self.order and self.ahead

    @property
    def ahead(self) -> bool:
        """Whether loads may come before their layer."""
        return self.prefetch and self.level > 0

    def usable(self, machine: Machine) -> Machine:
        """The machine as the plan may use it."""
        if self.sram_limit > machine.sram.bytes:
            raise ReconError(
                f"The SRAM limit of {self.sram_limit:,} bytes is more than the {machine.sram.bytes:,} that "
                f"{machine.name} has."
            )
        array = machine.array if self.winograd else dataclasses.replace(machine.array, winograd="none")
        sram = dataclasses.replace(machine.sram, bytes=self.sram_limit or machine.sram.bytes)
        return dataclasses.replace(machine, array=array, sram=sram)


OFFERS: Mapping[str, Offer] = {
    field.name: field.metadata["offer"] for field in dataclasses.fields(Options) if "offer" in field.metadata
}
"""What command lines offer, by field."""

FREEDOMS: Mapping[str, Mapping[str, bool]] = {
    field.metadata["freedom"]: {field.name: not field.default}
    for field in dataclasses.fields(Options)
    if "freedom" in field.metadata
}
"""Freedoms of the planner that can be taken away, each with the option that does it."""


def options_from(without: Iterable[str] = (), **given: Any) -> Options:
    """The options as a command line gives them (None: not given); ReconError says what is wrong with one."""
    values = {name: OFFERS[name].read(value) for name, value in given.items() if value is not None}
    for name in without:
        if name not in FREEDOMS:
            raise ReconError(f"--without {name}: there are {', '.join(FREEDOMS)}.")
        values |= FREEDOMS[name]
    return Options(**values)
