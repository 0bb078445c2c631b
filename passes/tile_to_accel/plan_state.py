"""The machine's state as a plan's text implies it: buffers alive, halves filled, slots loaded, a reduction under way.

Each rule's sentence says what the plan does, what the machine would need, and what to change.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from xdsl.ir import SSAValue

from passes.tile_to_accel.written import Written
from sim.machine import laws
from sim.machine.description import Configuration, Machine

Places = tuple[int, ...]
"""Coordinates or sizes along every axis."""


@dataclass
class Life:
    """Whether a buffer is allocated; shared by its views."""

    alive: bool = True


@dataclass
class PlanBuffer:
    """A buffer of the plan: its value in the program, logical shape and ring (0: none)."""

    value: SSAValue
    dims: tuple[int, ...]
    ring: int
    name: str
    born: int
    written: Written
    root: PlanBuffer | None = None
    life: Life = field(default_factory=Life)
    freed: int | None = None
    part: tuple[Places, Places] | None = None
    """Logical coordinates of the first stored element, and the shape with the stored columns and channels only."""
    parameters: npt.NDArray[np.uint8] | None = None
    """Of a buffer of parameters the bytes that came from constants, 0 elsewhere."""

    @property
    def stored(self) -> tuple[int, ...]:
        return self.dims if self.part is None else self.part[1]

    @property
    def nbytes(self) -> int:
        return math.prod((self.ring or self.dims[0], *self.stored[1:]))

    def local(self, place: Sequence[int]) -> tuple[int, ...]:
        """Logical coordinates counted from the first stored element."""
        return tuple(place) if self.part is None else tuple(a - b for a, b in zip(place, self.part[0], strict=True))

    def lacks(self, place: Sequence[int], extent: Sequence[int]) -> str:
        """What of a box within the logical shape is not stored, as the end of a sentence; "" for nothing."""
        if self.part is None:
            return ""
        for what, axis in (("columns", 1), ("channels", 2)):
            first, stored = self.part[0][axis], self.part[1][axis]
            if place[axis] < first or place[axis] + extent[axis] > first + stored:
                return (
                    f"{what} {place[axis]} to {place[axis] + extent[axis] - 1} of {self}, which stores {first} to "
                    f"{first + stored - 1}"
                )
        return ""

    @property
    def alive(self) -> bool:
        return self.root.alive if self.root is not None else self.life.alive

    def __str__(self) -> str:
        return f"%{self.name}" if self.name else f"a buffer of {'x'.join(map(str, self.dims))}"


@dataclass(frozen=True)
class HalfContents:
    """What a fill put into a half: the value that stands for it, the layout and the extents."""

    value: SSAValue
    configuration: Configuration
    groups: int
    outputs: int
    inputs: int
    fy: int
    fx: int
    where: object

    @property
    def extents(self) -> tuple[int, int, int, int, int]:
        return self.groups, self.outputs, self.inputs, self.fy, self.fx


@dataclass(frozen=True)
class OpenReduction:
    """An unfinished reduction: groups, outputs per group, rows and columns, and the configuration."""

    tile: tuple[int, int, int, int]
    configuration: Configuration | None


def _extents(extents: tuple[int, int, int, int, int]) -> str:
    groups, outputs, inputs, fy, fx = extents
    return f"{groups} groups of {outputs} output and {inputs} input channels, {fy}x{fx}"


@functools.lru_cache(maxsize=4096)
def _words(machine: Machine, configuration: Configuration, extents: tuple[int, int, int, int, int]) -> int:
    winograd = configuration.algorithm == "winograd"
    return int(laws.words(machine, winograd, configuration.g, configuration.k, configuration.r, *extents))


class PlanState:
    """Follows a plan op by op and complains, through the function it is given, about what the machine refuses."""

    def __init__(self, machine: Machine, complain: Callable[[str], None]):
        self.machine = machine
        self.complain = complain
        self.buffers: dict[SSAValue, PlanBuffer] = {}
        self.halves: list[HalfContents | None] = [None, None]
        self.half_of: dict[SSAValue, int] = {}
        self.active: Configuration | None = None
        self.shadow: Configuration | None = None
        self.unfinished: OpenReduction | None = None
        self.lasting: set[SSAValue] = set()
        """Buffers that live for all frames: those alive when the frame begins."""

    def frame(self) -> None:
        """What follows is done for every frame."""
        self.lasting = {value for value, buffer in self.buffers.items() if buffer.alive}

    def buffer(self, value: SSAValue) -> PlanBuffer | None:
        """The buffer of a value, after a complaint if it is not alive."""
        buffer = self.buffers.get(value)
        if buffer is None:
            self.complain(f"it uses {_named(value)} before its alloc.")
        elif not buffer.alive:
            self.complain(f"it uses {buffer} after its free; free it later.")
        return buffer

    def alloc(self, value: SSAValue, buffer: PlanBuffer) -> None:
        """A buffer begins to live."""
        before = self.buffers.get(value)
        if before is not None and before.alive:
            self.complain(f"it allocates {buffer} again before its free; free it in the same turn of the loop.")
        self.buffers[value] = buffer

    def free(self, value: SSAValue, position: int) -> None:
        """A buffer's life ends before instruction ``position``."""
        buffer = self.buffers.get(value)
        if buffer is None or not buffer.alive:
            self.complain(f"it frees {buffer or _named(value)}, which is not allocated.")
            return
        if value in self.lasting:
            self.complain(
                f"it frees {buffer}, which was allocated above tile.frame and lives for all frames; free it above as "
                "well, or allocate it below."
            )
            return
        buffer = buffer.root or buffer
        buffer.life.alive = False
        buffer.freed = position

    def load_config(self, configuration: Configuration) -> None:
        """An image goes to the shadow slot."""
        if (refusal := self.machine.refusal(configuration)) is not None:
            self.complain(f"the array cannot take this configuration: {refusal}.")
        self.shadow = configuration

    def use(self, configuration: Configuration) -> None:
        """The slots are exchanged."""
        if self.shadow != configuration:
            holds = f"holds {self.shadow}" if self.shadow else "is empty"
            help_ = (
                "it is active already, and elide-configuration drops this use"
                if self.active == configuration
                else "a load_config of it must come before"
            )
            self.complain(f"the shadow slot {holds}, not {configuration}; {help_}.")
        self.active, self.shadow = configuration, self.active
        self.unfinished = None

    def fill(self, half: int, contents: HalfContents, zero: int) -> None:
        """A half is replaced."""
        machine, configuration = self.machine, contents.configuration
        if (refusal := machine.refusal(configuration)) is not None:
            self.complain(f"it lays weights out for a configuration the array cannot take: {refusal}.")
        if configuration.algorithm == "winograd" and (contents.fy, contents.fx) != (3, 3):
            self.complain(f"Winograd takes 3x3 kernels, not {contents.fy}x{contents.fx}; use a direct configuration.")
        if configuration.algorithm == "winograd" and zero:
            self.complain(f"Winograd takes weights of zero point 0, not {zero}; use a direct configuration.")
        words = _words(machine, configuration, contents.extents)
        if words > machine.array.half_words:
            self.complain(
                f"these weights take {words} words of every lane and half of L1 has {machine.array.half_words}: "
                f"{words - machine.array.half_words} too many; fill fewer output channels, or fewer input channels and "
                "accumulate."
            )
        self.halves[half] = contents
        self.half_of[contents.value] = half

    def conv(
        self,
        value: SSAValue,
        extents: tuple[int, int, int, int, int],
        outputs: tuple[int, int],
        steps: tuple[int, int, int, int],
        first: bool,
        last: bool,
    ) -> int:
        """A pass; returns the half it reads.

        ``extents`` are groups, outputs and inputs per group, kernel rows and columns; ``steps`` strides and dilations.
        """
        half = self.half_of.get(value)
        contents = self.halves[half] if half is not None else None
        if half is None or contents is None:
            self.complain("it uses a half that no fill has filled.")
            return 0
        if contents.value is not value:
            self.complain(
                f"half {half} of L1 no longer holds what it names: {contents.where} replaced it; "
                "fill it again, or use the other half."
            )
            return half
        configuration = contents.configuration
        if self.active != configuration:
            is_active = f"{self.active} is" if self.active else "none is"
            self.complain(
                f"half {half} of L1 is laid out for {configuration} and {is_active} active; use the one or "
                "fill for the other."
            )
        if contents.extents != extents:
            self.complain(
                f"half {half} of L1 holds weights of {_extents(contents.extents)}, and it asks for {_extents(extents)}."
            )
        winograd = configuration.algorithm == "winograd"
        if winograd and steps != (1, 1, 1, 1):
            self.complain("Winograd takes stride 1 and dilation 1; use a direct configuration.")
        self._reduction(configuration, (extents[0], extents[1], *outputs), winograd, first, last)
        return half

    def _reduction(
        self,
        configuration: Configuration,
        tile: tuple[int, int, int, int],
        winograd: bool,
        first: bool,
        last: bool,
    ) -> None:
        groups, outputs, oy, ox = tile
        if not (first and last):
            pixels = 16 * -(-oy // 2) * -(-ox // 2) if winograd else oy * ox
            need, has = groups * outputs * pixels, self.machine.array.accumulators
            if need > has:
                self.complain(
                    f"a tile of {oy}x{ox} pixels and {groups * outputs} channels takes {need:,} accumulators "
                    f"and the array has {has:,}: {need - has:,} too many; make the tile smaller."
                )
        if not first and self.unfinished is None:
            self.complain(
                "it accumulates, and the pass before it in the array's order is a last one (or none); "
                "begin the reduction with a pass that neither accumulates nor requantizes."
            )
        elif not first and self.unfinished != OpenReduction(tile, configuration):
            assert self.unfinished is not None
            g, k, y, x = self.unfinished.tile
            self.complain(
                f"it continues a reduction of {g * k} channels and {y}x{x} pixels in "
                f"{self.unfinished.configuration} with one of {groups * outputs} channels and {oy}x{ox} "
                f"pixels in {configuration}; all passes of a reduction share one tile."
            )
        self.unfinished = None if last else OpenReduction(tile, configuration)


def _named(value: SSAValue) -> str:
    return f"%{value.name_hint}" if value.name_hint else "a buffer"
