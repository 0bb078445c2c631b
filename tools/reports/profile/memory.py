"""What lies in SRAM when, and which layer hands tensors to which.

Both come from the program alone: its table of buffers, and the bytes its instructions touch. So they are what the
machine does, also where a plan was written by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from passes.proof.touched import DRAM, SRAM, touched
from sim.machine.isa import BY_NAME
from sim.machine.order import Ints
from sim.machine.program import HostSegment, Program
from tools.reports.profile.shown import Shown
from tools.reports.profile.steps import INPUT, OUTPUT, SPILL, WEIGHTS, Steps

CONTENTS = ("weights", "parameters", "input", "spill", "activation", "configuration")
"""What a buffer holds: weights of a fill; bias, scale and tables; the network's input; activations that came back from
DRAM; activations that were computed; a configuration image."""


@dataclass(frozen=True)
class HeldBytes:
    """Bytes [address, address + bytes) of SRAM, which hold ``content`` of ``layer`` (a number of the layer table).

    They do from cycle ``start``, when the first instruction that touches them starts, to ``end``, when the last
    completes.
    """

    address: int
    bytes: int
    start: int
    end: int
    layer: int
    content: str
    readers: tuple[int, ...]
    """Layers that read it, in order of the table."""
    stays: bool
    """Whether it stays from frame to frame, so that nothing follows it."""


@dataclass(frozen=True)
class Occupancy:
    """How full SRAM is: ``taken[i]`` bytes from cycle ``times[i]`` to ``times[i + 1]``, and the fullest moment."""

    times: tuple[int, ...]
    taken: tuple[int, ...]
    peak_bytes: int
    peak_from: int
    peak_to: int


@dataclass(frozen=True, eq=False)
class MemoryProfile:
    """Buffers in SRAM, how full it is over time, and ``edges`` (from, to) along which tensors go.

    The ends of an edge are numbers of the layer table, or its length plus i for the i-th host segment.
    """

    buffers: tuple[HeldBytes, ...]
    occupancy: Occupancy
    edges: tuple[tuple[int, int], ...]


def memory(program: Program, segments: Sequence[Shown], steps: Steps) -> MemoryProfile:
    """What a run keeps in SRAM and which layers it connects."""
    blocks = _Blocks.of(program, segments)
    found = [
        _Contents(row, stays, blocks, steps)
        for row, stays in zip(steps.buffers.tolist(), steps.stays.tolist(), strict=True)
    ]
    buffers = tuple(contents.buffer() for contents in found)
    edges = {edge for contents in found for edge in contents.edges()} | _edges_in_dram(program, segments, blocks, steps)
    return MemoryProfile(buffers, _occupancy(buffers, steps.cycles), tuple(sorted(edges)))


@dataclass(frozen=True, eq=False)
class _Blocks:
    """The blocks that instructions touch in SRAM and DRAM, sorted by ``step``, which counts through all segments."""

    step: Ints
    space: Ints
    write: npt.NDArray[np.bool_]
    low: Ints
    high: Ints
    pixel: Ints
    run: Ints

    @classmethod
    def of(cls, program: Program, segments: Sequence[Shown]) -> _Blocks:
        columns: list[list[Ints]] = [[np.zeros(0, np.int64)] * 7]
        done = 0
        for segment in segments:
            part = touched(segment.stream, program.machine.configuration.image_bytes)
            write = part.write.astype(np.int64)
            columns.append(
                [part.instruction + done, part.space, write, part.start, part.end, part.column_stride, part.run]
            )
            done += len(segment.stream)
        step, space, write, low, high, pixel, length = (np.concatenate(column) for column in zip(*columns, strict=True))
        by = np.argsort(step, kind="stable")
        return cls(step[by], space[by], write[by] > 0, low[by], high[by], pixel[by], length[by])


class _Contents:
    """What instructions do with one buffer."""

    def __init__(self, row: list[int], stays: bool, blocks: _Blocks, steps: Steps):
        self.address, self.size, first, last = row
        between = slice(*np.searchsorted(blocks.step, [first, last + 1]).tolist())
        inside = blocks.space[between] == SRAM
        inside &= blocks.low[between] < self.address + self.size
        inside &= blocks.high[between] > self.address
        at = np.flatnonzero(inside) + between.start
        self.steps = steps
        self.step, self.write = blocks.step[at], blocks.write[at]
        self.low, self.pixel, self.run = blocks.low[at] - self.address, blocks.pixel[at], blocks.run[at]
        self.layer = steps.layer[self.step]
        self.start = int(steps.start[self.step].min(initial=int(steps.start[first])))
        self.end = int(steps.end[self.step].max(initial=int(steps.end[last])))
        self.stays = stays
        if stays:
            self.end = max(self.end, steps.cycles)
        self.first = first

    def buffer(self) -> HeldBytes:
        writers = self.step[self.write]
        writer = int(writers[0]) if len(writers) else self.first
        readers = np.unique(self.layer[~self.write])
        layer = int(self.steps.layer[writer])
        content = self._content(writer)
        return HeldBytes(self.address, self.size, self.start, self.end, layer, content, _ints(readers), self.stays)

    def _content(self, writer: int) -> str:
        kind = int(self.steps.kind[writer])
        if kind < 0:
            return "activation"
        if kind == WEIGHTS:
            read_by = self.steps.opcode[self.step[~self.write]]
            if (read_by == BY_NAME["load_config"].opcode).any():
                return "configuration"
            return "weights" if (read_by == BY_NAME["fill"].opcode).any() else "parameters"
        return "input" if kind == INPUT else "spill"

    def edges(self) -> set[tuple[int, int]]:
        """(writer, reader) of the layers that meet here; one that adds in place takes over from those before it."""
        computed = self.write & (self.steps.kind[self.step] < 0)
        writers, readers = self._by_layer(computed), self._by_layer(~self.write)
        edges = {
            (writer, reader)
            for writer, (since, wrote) in writers.items()
            for reader, (start, read) in readers.items()
            if writer != reader and since < start and _meet(wrote, read)
        }
        in_place = [layer for layer in writers if layer in readers and _meet(writers[layer][1], readers[layer][1])]
        over = {(w, r) for t in in_place for w, r in edges if (w, t) in edges and (t, r) in edges}
        return edges - over

    def _by_layer(self, chosen: npt.NDArray[np.bool_]) -> dict[int, tuple[int, tuple[int, int]]]:
        """Of each layer with chosen blocks, the cycle in which the first starts and the channels they touch."""
        found: dict[int, tuple[int, tuple[int, int]]] = {}
        for layer in _ints(np.unique(self.layer[chosen])):
            mine = chosen & (self.layer == layer)
            found[layer] = int(self.steps.start[self.step[mine]].min()), self._channels(mine)
        return found

    def _channels(self, chosen: npt.NDArray[np.bool_]) -> tuple[int, int]:
        """First and last + 1 byte of a pixel that these blocks touch; everything if pixels have no common size."""
        pixel = self.pixel[chosen]
        if not len(pixel) or pixel.min() <= 0 or pixel.min() != pixel.max():
            return 0, self.size
        low = self.low[chosen] % pixel
        return int(low.min()), int((low + self.run[chosen]).max())


def _ints(values: Ints) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


def _meet(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return a[0] < b[1] and b[0] < a[1]


def _occupancy(buffers: tuple[HeldBytes, ...], cycles: int) -> Occupancy:
    """Bytes under live buffers over time.

    A buffer may begin where the last rows of another are still read elsewhere in it, so bytes are counted once.
    """
    rows = sorted(buffers, key=lambda buffer: buffer.address)
    low, size, start, end = (
        np.array([getattr(row, name) for row in rows], np.int64) for name in ("address", "bytes", "start", "end")
    )
    times = np.unique(np.concatenate([[0], start, end]))
    taken = np.zeros(len(times), np.int64)
    for moment, time in enumerate(times.tolist()):
        alive = (start <= time) & (end > time)
        reach = np.maximum.accumulate(low[alive] + size[alive])
        before = np.concatenate([[0], reach[:-1]])[: len(reach)]
        taken[moment] = np.maximum(0, reach - np.maximum(before, low[alive])).sum()
    fullest = int(taken.argmax())
    until = int(times[fullest + 1]) if fullest + 1 < len(times) else cycles
    return Occupancy(_ints(times), _ints(taken), int(taken[fullest]), int(times[fullest]), until)


def _edges_in_dram(program: Program, segments: Sequence[Shown], blocks: _Blocks, steps: Steps) -> set[tuple[int, int]]:
    """Layers that meet in DRAM, and host segments with the layers they feed and are fed by."""
    in_dram = np.flatnonzero((blocks.space == DRAM) & np.isin(steps.kind[blocks.step], (INPUT, OUTPUT, SPILL)))
    stores, loads = in_dram[blocks.write[in_dram]], in_dram[~blocks.write[in_dram]]
    edges: set[tuple[int, int]] = set()
    segment = steps.segment[blocks.step]
    for store in stores.tolist():
        meets = loads[(blocks.low[loads] < blocks.high[store]) & (blocks.high[loads] > blocks.low[store])]
        meets = meets[segment[meets] == segment[store]]
        edges |= {(int(steps.layer[blocks.step[store]]), layer) for layer in _ints(steps.layer[blocks.step[meets]])}
    makers: dict[str, set[int]] = {}
    takers: dict[str, set[int]] = {}
    hosts = [item for item in program.segments if isinstance(item, HostSegment)]
    for number, host in enumerate(hosts, len(program.layers)):
        for name in host.outputs:
            makers.setdefault(name, set()).add(number)
        for name in host.inputs:
            takers.setdefault(name, set()).add(number)
    for number, part in enumerate(segments):
        for regions, of, chosen in ((part.segment.inputs, takers, loads), (part.segment.outputs, makers, stores)):
            mine = chosen[segment[chosen] == number]
            for region in regions:
                meets = (blocks.low[mine] < region.address + region.bytes) & (blocks.high[mine] > region.address)
                of.setdefault(region.name, set()).update(_ints(steps.layer[blocks.step[mine[meets]]]))
    edges |= {(a, b) for name, made in makers.items() for a in made for b in takers.get(name, ())}
    return {(a, b) for a, b in edges if a != b}
