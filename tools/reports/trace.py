"""A run as a Perfetto trace: for ui.perfetto.dev and every other viewer of that format.

A track for the DRAM channel and one for each queue. On a queue layers are slices, in them their instructions and the
waits before these, and an arrow leads from the instruction that a start waited for. Counters say how much of SRAM is
taken, what the channel moves and how busy the multipliers are. Of frames in a row the trace holds the prologue and the
first frames, up to the end of those that have found their rhythm; a track says where these lie. Times are the
machine's, rounded to nanoseconds; the exact cycles stand beside each slice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import TrackDescriptor, TrackEvent
from perfetto.trace_builder.proto_builder import TraceProtoBuilder

from sim.machine.isa import BY_NAME, BY_OPCODE, QUEUES
from sim.machine.order import Ints
from tools.reports.profile.records import Profile
from tools.reports.profile.steps import FETCH, KINDS, STALLS

WAITS = {
    "dram": "waits for DRAM",
    "reconfiguration": "waits for a configuration",
    "fill": "waits for weights to reach the array",
    "array": "waits for the array",
    "vector": "waits for the vector unit",
    "program": "waits for its instructions",
}
"""The names of waiting slices, by cause."""

MARK = "written by recon run --trace"
"""Stands with the first track, so that a trace of ours is known as one."""

HOST = "host (its time is not counted)"

FRAMES = "frames in a row"
"""The track that says which frames the numbers are of."""

About = dict[str, "int | str"]


@dataclass(frozen=True)
class _Slice:
    """A piece of a track: cycles [start, end) with pieces inside; ``flows`` begin in it, ``ends`` end in it."""

    start: int
    end: int
    name: str
    category: str
    about: About
    inside: tuple[_Slice, ...] = ()
    flows: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Counter:
    """A value that holds from each of ``times`` (cycles) to the next."""

    name: str
    unit: str
    times: Sequence[int]
    values: Sequence[float]


def trace(profile: Profile) -> bytes:
    """The bytes of a Perfetto trace (``.pftrace``)."""
    writer = _Writer(profile.statistics.clock_hz)
    root = writer.track(f"{profile.statistics.model} on {profile.statistics.machine}")
    flows = _Flows(profile)
    if profile.steps.period:
        writer.slices(writer.track(FRAMES, root), _rhythm(profile))
    writer.slices(writer.track("DRAM channel", root), _channel(profile, flows))
    for queue, name in enumerate(QUEUES):
        writer.slices(writer.track(name, root), _layers(profile, queue, flows))
    for counter in _counters(profile):
        writer.counter(writer.track(counter.name, root, counter.unit), counter)
    if profile.hosts:
        track = writer.track(HOST, root)
        for host in profile.hosts:
            writer.instant(track, host.cycle, ", ".join(host.operators))
    return writer.finish()


class _Flows:
    """Arrows along the waits of one queue for another: numbers that begin at a step and those that end at it."""

    def __init__(self, profile: Profile) -> None:
        ran = profile.steps
        targets = np.flatnonzero(ran.cause >= 0)
        targets = targets[ran.queue[ran.cause[targets]] != ran.queue[targets]]
        self.begin: dict[int, list[int]] = defaultdict(list)
        self.end: dict[int, int] = {}
        for number, target in enumerate(targets.tolist(), 1):
            self.begin[int(ran.cause[target])].append(number)
            self.end[target] = number

    def of(self, step: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The arrows that begin at a step and that end there."""
        return tuple(self.begin.get(step, ())), ((self.end[step],) if step in self.end else ())


def _rhythm(profile: Profile) -> Iterator[_Slice]:
    """What comes before the rhythm, and the frames that have found it."""
    f, ran = profile.statistics.frames, profile.steps
    assert f is not None
    begin, end = int(ran.start[ran.counted].min()), int(ran.end[ran.counted].max())
    if begin:
        yield _Slice(0, begin, "prologue and first frames", "frames", {"bytes that stay": f.resident_bytes})
    about: About = {
        "frames": profile.statistics.batch,
        "cycles for each": f"{f.cycles_per_frame:,.1f}",
        "frames per second": f"{f.frames_per_second:,.1f}",
        "latency in cycles": f.latency_cycles,
        "DRAM bytes for each": f"{f.dram_bytes_per_frame:,.0f}",
    }
    yield _Slice(begin, end, "frames in their rhythm", "frames", about)


def _channel(profile: Profile, flows: _Flows) -> Iterator[_Slice]:
    ran = profile.steps
    mine = np.flatnonzero(ran.channel)
    for step in mine[np.argsort(ran.taken[mine], kind="stable")].tolist():
        layer = profile.layers[int(ran.layer[step])].statistics.name
        kind = KINDS[int(ran.kind[step])]
        about: About = {"layer": layer, "bytes": int(ran.dram_bytes[step])}
        times = int(ran.taken[step]), int(ran.leave[step])
        # An instruction's arrows stand with its queue; a fetch has no other place than this.
        begins, ends = flows.of(step) if ran.opcode[step] == FETCH else ((), ())
        yield _Slice(*times, f"{kind}: {layer}", kind, about, (), begins, ends)


def _layers(profile: Profile, queue: int, flows: _Flows) -> Iterator[_Slice]:
    """Slices of consecutive instructions of one layer in one frame, and the waits between them."""
    ran = profile.steps
    waits = _waits(profile, queue)
    group: list[_Slice] = []
    layer, frame = -1, -1
    for step in np.flatnonzero(ran.queue == queue).tolist():
        before = waits.get(step, ())
        if (ran.layer[step], ran.frame[step]) != (layer, frame):
            yield from _closed(profile, layer, group)
            yield from before
            layer, frame, before = int(ran.layer[step]), int(ran.frame[step]), ()
        group += [*before, _instruction(profile, step, flows)]
    yield from _closed(profile, layer, group)
    yield from waits.get(-1, ())


def _closed(profile: Profile, layer: int, group: list[_Slice]) -> Iterator[_Slice]:
    if group:
        row = profile.layers[layer]
        about: About = {"what": row.operator, "configuration": row.statistics.configuration or "none"}
        about |= {f"ONNX node {number}": node for number, node in enumerate(row.onnx)}
        yield _Slice(group[0].start, group[-1].end, row.statistics.name, "layer", about, tuple(group))
        group.clear()


def _instruction(profile: Profile, step: int, flows: _Flows) -> _Slice:
    ran = profile.steps
    about: About = {"segment": int(ran.segment[step]), "instruction": int(ran.index[step])}
    if ran.period:
        about["frame"] = "prologue" if ran.frame[step] < 0 else int(ran.frame[step])
    about["on the critical path"] = "yes" if ran.critical[step] else "no"
    if ran.dram_bytes[step]:
        about["DRAM bytes"] = int(ran.dram_bytes[step])
    name = BY_OPCODE[int(ran.opcode[step])].name
    begins, ends = flows.of(step)
    return _Slice(int(ran.start[step]), int(ran.leave[step]), name, "instruction", about, (), begins, ends)


def _waits(profile: Profile, queue: int) -> dict[int, tuple[_Slice, ...]]:
    """The waits of a queue by the instruction they stand before."""
    ran, stood = profile.steps, profile.stalls
    found: dict[int, tuple[_Slice, ...]] = {}
    for row in np.flatnonzero(stood.queue == queue).tolist():
        of, before = int(stood.of[row]), int(stood.before[row])
        layer = profile.layers[int(ran.layer[of])].statistics.name
        about: About = {"meanwhile": f"{_opcode(int(ran.opcode[of]))} of {layer}"}
        name = WAITS[STALLS[int(stood.cause[row])]]
        found[before] = (
            *found.get(before, ()),
            _Slice(int(stood.start[row]), int(stood.end[row]), name, "wait", about),
        )
    return found


def _opcode(opcode: int) -> str:
    return "fetch of instructions" if opcode == FETCH else BY_OPCODE[opcode].name


def _counters(profile: Profile) -> Iterator[_Counter]:
    ran, use = profile.steps, profile.memory.occupancy
    yield _Counter("SRAM taken", "bytes", use.times, use.taken)
    moves = np.flatnonzero(ran.channel)
    per_second = profile.statistics.clock_hz / 1e9
    rate = ran.dram_bytes[moves] * per_second / np.maximum(1, ran.busy[moves])
    yield _Counter("DRAM bandwidth", "GB/s", *_steps(ran.taken[moves], ran.leave[moves], rate))
    order = moves[np.argsort(ran.leave[moves], kind="stable")]
    yield _Counter("DRAM bytes moved", "bytes", ran.leave[order].tolist(), np.cumsum(ran.dram_bytes[order]).tolist())
    convs = np.flatnonzero(ran.opcode == BY_NAME["conv"].opcode)
    share = 100 * ran.macs[convs] / (profile.machine.array.lanes * np.maximum(1, ran.busy[convs]))
    yield _Counter("MAC utilisation", "%", *_steps(ran.start[convs], ran.leave[convs], share))


def _steps(start: Ints, end: Ints, value: Any) -> tuple[list[int], list[float]]:
    """A value that holds during stretches that do not overlap, and 0 between them."""
    order = np.argsort(start, kind="stable")
    times: list[int] = []
    values: list[float] = []
    for at in order.tolist():
        if times and times[-1] == start[at]:
            values[-1] = float(value[at])
        else:
            times.append(int(start[at]))
            values.append(float(value[at]))
        times.append(int(end[at]))
        values.append(0.0)
    return times, values


class _Writer:
    """Gathers packets, and gives them out in the order of time."""

    def __init__(self, clock_hz: int) -> None:
        self.clock_hz = clock_hz
        self.builder = TraceProtoBuilder()
        self.tracks = 0
        self.events: list[tuple[int, TrackEvent]] = []

    def at(self, cycle: int) -> int:
        """A cycle in nanoseconds."""
        return (cycle * 1_000_000_000 + self.clock_hz // 2) // self.clock_hz

    def track(self, name: str, parent: int = 0, unit: str = "") -> int:
        """A new track, below those before it."""
        self.tracks += 1
        packet = self.builder.add_packet()
        packet.trusted_packet_sequence_id = 1
        packet.track_descriptor.uuid = self.tracks
        packet.track_descriptor.name = name
        if parent:
            packet.track_descriptor.parent_uuid = parent
            packet.track_descriptor.sibling_order_rank = self.tracks
        else:
            packet.track_descriptor.description = MARK
            packet.track_descriptor.child_ordering = TrackDescriptor.ChildTracksOrdering.EXPLICIT
        if unit:
            packet.track_descriptor.counter.unit_name = unit
        return self.tracks

    def slices(self, track: int, slices: Iterator[_Slice] | Sequence[_Slice]) -> None:
        """Begin and end of every slice, those inside between them."""
        for piece in slices:
            event = self._event(track, piece.start, TrackEvent.Type.TYPE_SLICE_BEGIN)
            event.name = piece.name
            event.categories.append(piece.category)
            event.flow_ids.extend(piece.flows)
            event.terminating_flow_ids.extend(piece.ends)
            exact: About = {"first cycle": piece.start, "cycles": piece.end - piece.start}
            for key, value in (exact | piece.about).items():
                note = event.debug_annotations.add()
                note.name = key
                if isinstance(value, int):
                    note.int_value = value
                else:
                    note.string_value = value
            self.slices(track, piece.inside)
            self._event(track, piece.end, TrackEvent.Type.TYPE_SLICE_END)

    def counter(self, track: int, counter: _Counter) -> None:
        for time, value in zip(counter.times, counter.values, strict=True):
            event = self._event(track, time, TrackEvent.Type.TYPE_COUNTER)
            if isinstance(value, int):
                event.counter_value = value
            else:
                event.double_counter_value = value

    def instant(self, track: int, cycle: int, name: str) -> None:
        self._event(track, cycle, TrackEvent.Type.TYPE_INSTANT).name = name

    def _event(self, track: int, cycle: int, kind: Any) -> TrackEvent:
        event = TrackEvent(type=kind, track_uuid=track)
        self.events.append((self.at(cycle), event))
        return event

    def finish(self) -> bytes:
        """The trace; events of one moment keep their order, so that slices stay nested."""
        for time, event in sorted(self.events, key=lambda pair: pair[0]):
            packet = self.builder.add_packet()
            packet.timestamp = time
            packet.trusted_packet_sequence_id = 1
            packet.track_event.CopyFrom(event)
        return self.builder.serialize()
