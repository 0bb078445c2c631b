"""A proof, from a program's instructions alone, that the machine refuses none of them, whatever the values.

It follows ``hazards``: once the order of execution does not matter, one order decides what both halves of L1,
the configuration slots and the accumulators hold when a convolution asks for them. The rest is seen on an instruction
alone: rings that are too small, more padding than window, runs that overlap when written, layouts and limits of the
array. What is left to the simulator depends on values: overflow, scales that are no numbers.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from passes.proof.hazards import HazardError, Naming, label
from passes.proof.touched import DRAM, SRAM, STATE, Rows, Touched, extent, seen, touched
from sim.machine import configuration_image, laws
from sim.machine.description import ALGORITHMS, Configuration, Machine
from sim.machine.encoding import Stream
from sim.machine.errors import Fault
from sim.machine.frame_order import FrameOrder
from sim.machine.isa import BY_NAME, VECTOR_OPS
from sim.machine.operations import operation

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Images = Mapping[int, Configuration]
"""The configuration images in DRAM by address."""

_HALF = ("groups", "outputs", "inputs", "fy", "fx")
_LAYOUT = ("algorithm", "g", "k", "r", "p")
_STEPS = ("sy", "sx", "dy", "dx")


def obeys(
    stream: Stream,
    machine: Machine,
    images: Images,
    sequence: Sequence[int],
    name: Naming | None = None,
    line: FrameOrder | None = None,
) -> None:
    """HazardError for the first instruction found that the machine refuses.

    ``sequence`` is an order of execution of a program without races; ``name`` says an instruction's layer, ``line``
    that the stream is frames spelled out.
    """
    t = touched(stream, machine.configuration.image_bytes)
    for index, why in (*_alone(stream, machine, t), *_State(stream, machine, images, t).follow(sequence)):
        raise HazardError(f"The program stops the machine: {label(stream, index, name or (lambda _: ''), line)} {why}.")


def images_in(constants: npt.NDArray[np.uint8], image_bytes: int) -> dict[int, Configuration]:
    """The whole configuration images among the constants of a program file."""
    data, found, at = constants.tobytes(), dict[int, Configuration](), -1
    while (at := data.find(configuration_image.MAGIC, at + 1)) >= 0:
        if at + image_bytes <= len(data):
            with contextlib.suppress(Fault):
                found[at] = configuration_image.decode(data[at : at + image_bytes])
    return found


Refusals = Iterator[tuple[int, str]]


def _rows(stream: Stream, name: str) -> Rows:
    opcode = BY_NAME[name].opcode
    return Rows(stream.indices(opcode), stream.tables[opcode])


def _first(f: Rows, bad: Mask, why: str) -> Refusals:
    for at in np.flatnonzero(bad)[:1].tolist():
        yield int(f.where[at]), why


# ------------------------------------------------------------------------------------------------ one by one


def _alone(stream: Stream, machine: Machine, t: Touched) -> Refusals:
    """Instructions that no machine state would make legal."""
    yield from _written_twice(t)
    for name in ("load", "store"):
        f = _rows(stream, name)
        yield from _first(f, (f["ring"] > 0) & (f["count2"] > f["ring"]), "moves more rows than its ring stores")
    yield from _fills(_rows(stream, "fill"), machine)
    f = _rows(stream, "conv")
    yield from _window(f, *extent(f, True))
    last = f.only(f["last"] > 0)
    yield from _ring(last, "out", last["oy"])
    mixed = (last["last"] == laws.FLOAT) & ((last["residual"] > 0) | (last["has_table"] > 0))
    yield from _first(last, mixed, "adds a residual to a float32 result or looks it up in a table")
    added = last.only(last["residual"] > 0)
    yield from _ring(added, "res", added["oy"])
    yield from _vectors(_rows(stream, "vector"))


def _written_twice(t: Touched) -> Refusals:
    far = np.int64(1) << 48
    columns = np.where(t.columns > 1, t.column_stride, far)
    rows = np.where(t.rows > 1, t.row_stride, far)
    near, beyond = np.minimum(columns, rows), np.maximum(columns, rows)
    count = np.where(columns <= rows, t.columns, t.rows)
    reach = np.where(near < far, (count - 1) * near, 0) + t.run
    for at in np.flatnonzero(t.write & (t.space != STATE) & ((near < t.run) | (beyond < reach))).tolist():
        starts = np.add.outer(np.arange(t.rows[at]) * t.row_stride[at], np.arange(t.columns[at]) * t.column_stride[at])
        if (np.diff(np.sort(starts, axis=None)) < t.run[at]).any():
            yield int(t.instruction[at]), "writes some bytes twice: its strides let its own runs overlap"


def _ring(f: Rows, operand: str, rows: Any) -> Refusals:
    ring = f[f"{operand}.ring"]
    yield from _first(f, (ring > 0) & (rows > ring), f"names more rows of its operand '{operand}' than its ring stores")


def _window(f: Rows, rows: Ints, columns: Ints) -> Refusals:
    yield from _first(f, (rows < 0) | (columns < 0), "pads more rows or columns than its window has")
    operand = "in" if "in.base" in (f.table.dtype.names or ()) else "a"
    yield from _ring(f, operand, np.where(columns > 0, rows, 0))


def _fills(f: Rows, machine: Machine) -> Refusals:
    power = np.zeros(len(f.where), np.bool_)
    for name in _LAYOUT[1:]:
        power |= (f[name] & (f[name] - 1)) != 0
    yield from _first(f, power, "names a layout whose g, k, r or p is no power of two")
    fast = f["algorithm"] == ALGORITHMS.index("winograd")
    three = (f["fy"] == 3) & (f["fx"] == 3)
    yield from _first(f, fast & ~(three & (f["weight_zero"] == 0)), "lays out for Winograd what is no 3x3 kernel of "
                      "zero point 0")  # fmt: skip
    words = np.asarray(laws.words(machine, fast, f["g"], f["k"], f["r"], *(f[name] for name in _HALF)))
    room = machine.array.half_words
    yield from _first(f, words > room, f"fills more than the {room} words that half of L1 has in every lane")


def _vectors(every: Rows) -> Refusals:
    for number, kind in enumerate(VECTOR_OPS):
        f = every.only(every["op"] == number)
        if not len(f.where):
            continue
        row = operation(kind)
        rows, columns = seen(row, f)
        yield from _window(f, rows, columns)
        yield from _ring(f, "out", f["oy"])
        size = f["size"]
        if row.binary:
            yield from _ring(f, "b", np.where(row.pixel & (f["b_broadcast"] == 1), 1, f["oy"]))
        if row.reads == "image":
            bad = (f["oy"] != 1) | (f["ox"] != 1) | (rows == 0) | (columns == 0)
            yield from _first(f, bad, "makes other than one pixel, or of none")
        if row.size == "count":
            yield from _first(f, size == 0, "normalises over no channel")
        if row.size == "divisor":
            yield from _first(f, (size == 0) | (f["channels"] % np.maximum(size, 1) != 0), "cannot divide its channels")


# ------------------------------------------------------------------------------------------------- in sequence


class _State:
    """What the array holds, instruction by instruction."""

    def __init__(self, stream: Stream, machine: Machine, images: Images, t: Touched):
        self.stream = stream
        self.machine = machine
        self.images = dict(images)
        self.size = machine.configuration.image_bytes
        self.refusal = functools.cache(machine.refusal)
        self.halves: list[tuple[Configuration, list[int]] | None] = [None, None]
        self.active: Configuration | None = None
        self.shadow: Configuration | None = None
        self.unfinished: tuple[list[int], Configuration | None] | None = None
        self.steps: dict[int, tuple[str, list[int]]] = {}
        for name, fields in (
            ("load_config", ("space", "address")),
            ("configure", ()),
            ("fill", ("half", *_LAYOUT, *_HALF)),
            ("conv", ("half", *_HALF, "oy", "ox", "first", "last", *_STEPS)),
        ):
            f = _rows(stream, name)
            columns = [f[field].tolist() for field in fields]
            values = zip(*columns, strict=True) if columns else iter([()] * len(f.where))
            for index, row in zip(f.where.tolist(), values, strict=True):
                self.steps[index] = (name, list(row))
        self.copies = {row[1]: np.full(self.size, -1) for name, row in self.steps.values()
                       if name == "load_config" and row[0]}  # fmt: skip
        self.changes = self._changes(t)

    def _changes(self, t: Touched) -> dict[int, list[tuple[int, int]]]:
        """For each instruction that writes into an image, or a place in SRAM an image is loaded from: (space, address)
        of these."""
        found: dict[int, list[tuple[int, int]]] = {}
        for space, places in ((DRAM, self.images), (SRAM, self.copies)):
            writes = np.flatnonzero(t.write & (t.space == space))
            for place in places:
                near = writes[(t.start[writes] < place + self.size) & (t.end[writes] > place)]
                for at in near.tolist():
                    if t.covers(at, place, place + self.size).any():
                        found.setdefault(int(t.instruction[at]), []).append((space, place))
        return found

    def follow(self, sequence: Sequence[int]) -> Refusals:
        """Refusals in order; nothing that comes after the first counts."""
        if not self.steps:
            return
        handlers = {"fill": self._fill, "conv": self._conv, "configure": self._configure, "load_config": self._load}
        for index in sequence:
            if index in self.changes:
                self._change(index)
            if index in self.steps:
                name, row = self.steps[index]
                why = handlers[name](row)
                if why is not None:
                    yield index, why

    def _change(self, index: int) -> None:
        fields = self.stream.fields(index)
        for space, place in self.changes[index]:
            if space == DRAM:
                self.images.pop(place, None)
            elif self.stream.instruction(index).name == "load":
                _copy(self.copies[place], place, fields)
            else:
                self.copies[place][...] = -1

    def _load(self, row: list[int]) -> str | None:
        space, address = row
        if space:
            origin = self.copies[address]
            address = int(origin[0])
            whole = bool((origin == address + np.arange(self.size)).all())
            held = self.images.get(address) if whole else None
        else:
            held = self.images.get(address)
        if held is None:
            return "loads bytes that are no configuration image"
        if (refusal := self.refusal(held)) is not None:
            return f"loads a configuration that the array cannot take: {refusal}"
        self.shadow = held
        return None

    def _configure(self, _row: list[int]) -> str | None:
        if self.shadow is None:
            return "would make an empty configuration slot the active one"
        self.active, self.shadow = self.shadow, self.active
        self.unfinished = None
        return None

    def _fill(self, row: list[int]) -> str | None:
        half, algorithm, g, k, r, p, *extents = row
        layout = Configuration(ALGORITHMS[algorithm], g, k, r, p)
        if (refusal := self.refusal(layout)) is not None:
            return f"lays weights out for a configuration that the array cannot take: {refusal}"
        self.halves[half] = layout, extents
        return None

    def _conv(self, row: list[int]) -> str | None:
        half, *extents = row[:6]
        oy, ox, first, last, *steps = row[6:]
        held = self.halves[half]
        if held is None:
            return f"reads half {half} of L1, which is empty"
        layout, filled = held
        if self.active != layout:
            return (
                f"reads half {half} of L1, laid out for {layout}, while {self.active or 'no configuration'} is active"
            )
        if filled != extents:
            return f"reads half {half} of L1 as weights of other extents than those it was filled with"
        fast = layout.algorithm == "winograd"
        if fast and steps != [1, 1, 1, 1]:
            return "has strides or dilations that Winograd does not take"
        groups, outputs = extents[:2]
        pixels = -(-oy // 2) * -(-ox // 2) * 16 if fast else oy * ox
        if not (first and last) and groups * outputs * pixels > self.machine.array.accumulators:
            return f"takes more than the {self.machine.array.accumulators} accumulators there are"
        tile = [groups, outputs, oy, ox], layout
        if not first and self.unfinished != tile:
            return "continues a reduction that is not under way"
        self.unfinished = None if last else tile
        return None


def _copy(origin: Ints, place: int, f: Mapping[str, Any]) -> None:
    """Where in DRAM the bytes from SRAM address ``place`` on come from, after a load."""
    rows = np.arange(f["count2"])
    slots = f["row"] + rows
    slots = slots % f["ring"] if f["ring"] else slots
    inner = np.arange(f["bytes"])
    columns = np.arange(f["count1"])[:, None]
    to = f["sram"] + (slots * f["sram_stride2"])[:, None, None] + columns * f["sram_stride1"] + inner - place
    source = f["dram"] + (rows * f["dram_stride2"])[:, None, None] + columns * f["dram_stride1"] + inner
    inside = (to >= 0) & (to < len(origin))
    origin[to[inside]] = source[inside]
