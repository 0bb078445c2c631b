"""What a run cost: the object behind ``--stats``, its schema and where each number comes from.

The schema lives in the dataclasses below; ``schema_rows`` prints it for the manual, ``to_json`` gives plain data.
Cycles of several machine segments follow one another; host segments take no cycles (they are listed in ``host``).
Layer cycles are shares of the critical chain as the clock attributes it: they add up to ``cycles`` exactly, and so
do the layers' bytes to the totals. Of a program whose text repeats all of this is said of a period in the steady state:
``batch`` frames of many; ``frames`` says what a run of so many takes.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.machine.clock import TERMS, Costs, Timeline, attribute
from sim.machine.description import Machine
from sim.machine.encoding import Stream
from sim.machine.isa import BY_NAME
from sim.machine.order import Ints
from sim.machine.program import HostSegment, Program
from sim.machine.steady import Steady, steady
from sim.simulator import Run, SegmentRun

VERSION = 4
"""Version of the statistics' schema; it grows with every change a reader could notice."""

HIDDEN = "hidden"
"""``limited_by`` of a layer without a share of the critical chain: all its work hides behind other layers'."""


def doc(text: str) -> dict[str, str]:
    """The metadata of a documented entry."""
    return {"doc": text}


@dataclass(frozen=True)
class EnergyEstimate:
    """An estimate, not a measurement: counted events times the unit costs of the machine file."""

    array_joules: float = field(metadata=doc("multiply-accumulates of real inputs times their unit energy"))
    sram_joules: float = field(
        metadata=doc("bytes of all streams to and from SRAM, as the laws of time count them, times theirs")
    )
    dram_joules: float = field(metadata=doc("bytes of all bursts on the channel times theirs"))
    total_joules: float = field(metadata=doc("the sum of the three, per inference"))
    source: str = field(metadata=doc("where the unit energies come from"))


@dataclass(frozen=True)
class FrameStatistics:
    """Frames in a row: what this many take, and their rhythm."""

    frames: int = field(metadata=doc("frames of this run"))
    total_cycles: int = field(metadata=doc("cycles from the start to the last completion of the last frame"))
    prologue_cycles: int = field(
        metadata=doc("cycles of a long run that are no frame's, at its start: what stays comes in, the rhythm is found")
    )
    cycles_per_frame: float = field(metadata=doc("cycles of a frame in the steady state"))
    epilogue_cycles: int = field(
        metadata=doc("the same at its end: what the last frame has no next one to hide behind")
    )
    latency_cycles: int = field(metadata=doc("cycles from a frame's first start to its last completion"))
    latency_seconds: float = field(metadata=doc("the same in seconds"))
    frames_per_second: float = field(metadata=doc("clock_hz / cycles_per_frame"))
    resident_bytes: int = field(metadata=doc("bytes that the prologue loads and that stay in SRAM"))
    dram_bytes_per_frame: float = field(metadata=doc("bytes moved over the DRAM channel for each frame"))


@dataclass(frozen=True)
class LayerStatistics:
    """One row of the program's layer table with what its instructions cost."""

    name: str = field(metadata=doc("name of the layer"))
    op: str = field(metadata=doc("its operation"))
    shape: str = field(metadata=doc("its shape, for people"))
    configuration: str = field(metadata=doc('setting of the array, "" where it has none'))
    macs: int = field(metadata=doc("multiply-accumulates of real inputs; all layers' add up to the total"))
    start: int | None = field(metadata=doc("cycle in which its first instruction starts; null if it has none"))
    end: int | None = field(metadata=doc("cycle in which its last instruction completes; null if it has none"))
    cycles: int = field(metadata=doc("its share of the critical chain; all layers' shares add up to the total cycles"))
    limited_by: str = field(
        metadata=doc(f'the largest of its terms, or "{HIDDEN}" when it has no share of the critical chain')
    )
    terms: dict[str, int] = dataclasses.field(metadata={"doc": f"its cycles by what binds them: {', '.join(TERMS)}"})
    array_busy: int = field(metadata=doc("cycles its conv instructions keep the array busy, critical or not"))
    vector_busy: int = field(metadata=doc("cycles it keeps the vector unit busy"))
    channel_busy: int = field(metadata=doc("cycles its transfers hold the DRAM channel, turns and latency not counted"))
    dram_read_bytes: int = field(metadata=doc("bytes it reads from DRAM"))
    dram_write_bytes: int = field(metadata=doc("bytes it writes to DRAM"))
    compulsory_bytes: int = field(metadata=doc("its input, weights and output once"))
    ops_per_byte: float | None = field(metadata=doc("2 · macs / DRAM bytes moved; null if it moves none"))


@dataclass(frozen=True)
class HostStatistics:
    """A host segment: what it runs and why. Its time is in no cycle of the machine."""

    name: str = field(metadata=doc("name of the segment"))
    operators: tuple[str, ...] = field(metadata=doc("operators it runs, quantisers and changes of layout included"))
    macs: int = field(metadata=doc("multiply-accumulates among them, which the machine does not do"))
    bytes_in: int = field(metadata=doc("bytes it takes from the machine"))
    bytes_out: int = field(metadata=doc("bytes it gives to the machine"))
    nodes: tuple[tuple[str, str, str, int], ...] = field(
        metadata=doc("the model's nodes in it: name, operator, why it is not on the machine, multiply-accumulates")
    )


@dataclass(frozen=True)
class Statistics:
    """A run of a program, per inference."""

    version: int = field(metadata=doc("version of this schema"))
    model: str = field(metadata=doc("name of the model"))
    producer: str = field(metadata=doc("the compiler that made the program"))
    machine: str = field(metadata=doc("name of the machine"))
    machine_fingerprint: str = field(metadata=doc("SHA-256 of its description"))
    clock_hz: int = field(metadata=doc("cycles per second"))
    cycles: int = field(metadata=doc("cycles from the start to the last completion"))
    predicted_cycles: int = field(metadata=doc("cycles the compiler predicted"))
    bound_cycles: int = field(metadata=doc("lower bound: the larger of the next two"))
    compute_bound_cycles: int = field(metadata=doc("cycles of the multiply-accumulates alone on all lanes"))
    dram_bound_cycles: int = field(metadata=doc("cycles of the compulsory DRAM traffic alone"))
    bound2_cycles: int = field(metadata=doc("lower bound that knows the order of layers and the SRAM's capacity"))
    bound3_cycles: int = field(
        metadata=doc("lower bound by the machine's laws, capacity of L1 and first image included")
    )
    bound3_limit: str = field(metadata=doc("what sets bound3: array, vector, channel, or order"))
    bound3_terms: dict[str, int] = field(metadata=doc("the cycles that add up to bound3, by what they are"))
    array_bound_cycles: int = field(metadata=doc("of bound3: the least cycles of the array for all convolutions"))
    vector_bound_cycles: int = field(metadata=doc("of bound3: the least cycles of the vector unit"))
    cycles_per_bound: float | None = field(metadata=doc("cycles / bound_cycles; null if the bound is 0"))
    cycles_per_bound3: float | None = field(metadata=doc("cycles / bound3_cycles; null if the bound is 0"))
    seconds: float = field(metadata=doc("cycles / clock_hz"))
    frames_per_second: float | None = field(metadata=doc("1 / seconds; null if there are no cycles"))
    macs: int = field(metadata=doc("multiply-accumulates of real inputs, all layers"))
    utilization: float | None = field(metadata=doc("macs / (lanes · cycles); Winograd can pass 1"))
    dram_read_bytes: int = field(
        metadata=doc("bytes moved from DRAM: loads, configuration images and fetched instructions")
    )
    dram_write_bytes: int = field(metadata=doc("bytes moved to DRAM"))
    dram_burst_bytes: int = field(metadata=doc("bytes of all bursts touched on the channel, in both directions"))
    configuration_bytes: int = field(
        metadata=doc("bytes of configuration images loaded from DRAM, part of dram_read_bytes")
    )
    sram_peak_bytes: int = field(metadata=doc("bytes of SRAM taken at the fullest moment"))
    sram_free_bytes: int = field(metadata=doc("bytes of SRAM free at that moment"))
    sram_fragmentation: float = field(metadata=doc("part of those that does not lie in the largest free piece"))
    program_bytes: int = field(metadata=doc("bytes of instructions"))
    program_read_bytes: int = field(
        metadata=doc(
            "bytes of instructions fetched per inference, part of dram_read_bytes: 0 where the instruction memory "
            "holds them all, since they are then loaded with the model"
        )
    )
    instructions: int = field(metadata=doc("instructions executed"))
    reconfigurations: int = field(metadata=doc("configure instructions executed"))
    host_ops: int = field(metadata=doc("operators that run on the host"))
    host_operators: tuple[str, ...] = field(metadata=doc("those operators, in order"))
    host_macs: int = field(metadata=doc("multiply-accumulates that run on the host; in neither macs nor cycles"))
    batch: int = field(metadata=doc("frames that the cycles, bytes and multiply-accumulates above are for"))
    frames: FrameStatistics | None = dataclasses.field(metadata={"doc": "null where frames are not in a row"})
    energy: EnergyEstimate = dataclasses.field(metadata={"doc": "an estimate from the machine file's unit energies"})
    host: tuple[HostStatistics, ...] = field(metadata=doc("one entry per host segment, in order"))
    layers: tuple[LayerStatistics, ...] = field(metadata=doc("one entry per row of the layer table"))

    def __repr__(self) -> str:
        return f"Statistics({self.model!r} on {self.machine}: {self.cycles:,} cycles, {self.macs:,} MACs)"

    def to_json(self) -> dict[str, Any]:
        """Plain data, in the order of the schema."""
        return dataclasses.asdict(self)


_SECTIONS = {"frames": FrameStatistics, "energy": EnergyEstimate, "host": HostStatistics, "layers": LayerStatistics}


def schema_rows() -> list[tuple[str, str, str]]:
    """Every entry as (key, type, meaning), for the manual; ``layers[].x`` is entry x of each layer."""
    rows: list[tuple[str, str, str]] = []

    def visit(cls: type[Any], prefix: str) -> None:
        for entry in dataclasses.fields(cls):
            section = _SECTIONS.get(entry.name) if cls is Statistics else None
            kind = str(entry.type).replace("None", "null")
            rows.append((prefix + entry.name, "table" if section else kind, entry.metadata["doc"]))
            if section is not None:
                visit(section, f"{entry.name}." if entry.name in ("energy", "frames") else f"{entry.name}[].")

    visit(Statistics, "")
    return rows


_PER_LAYER = ("array_busy", "vector_busy", "channel_busy", "dram_read_bytes", "dram_write_bytes")


class _Tables:
    """Sums per layer over all segments; the clock of a segment starts where the one before it ended."""

    def __init__(self, program: Program) -> None:
        layers = len(program.layers)
        self.terms = np.zeros((layers, len(TERMS)), np.int64)
        self.sums = {name: np.zeros(layers, np.int64) for name in _PER_LAYER}
        self.start = np.full(layers, -1, np.int64)
        self.end = np.zeros(layers, np.int64)
        self.cycles = 0

    def add(self, run: SegmentRun) -> None:
        """A segment that runs once, behind those before it."""
        timeline, layer_of = run.timeline, run.segment.layer_of
        self.terms += attribute(timeline, layer_of, len(self.start))
        self._rows(timeline, run.stream.opcodes, layer_of.astype(np.int64), self.cycles)
        self.cycles += timeline.cycles

    def add_body(self, found: Steady, layer_of: npt.NDArray[np.uint32]) -> None:
        """A period of a segment that repeats, from the start of its first frame on."""
        line, begins = found.line, found.begins
        text = layer_of[line.text]
        self.terms += attribute(found.timeline, text, len(self.start), (begins, begins + found.cycles))
        inside = (line.frame >= found.first) & (line.frame < found.first + found.period)
        self._rows(found.timeline.only(inside), line.stream.opcodes[inside], text[inside].astype(np.int64), -begins)
        self.cycles += found.cycles

    def _rows(self, timeline: Timeline, codes: npt.NDArray[np.uint8], layer_of: Ints, shift: int) -> None:
        cost = timeline.costs
        store = codes == BY_NAME["store"].opcode
        columns = {
            "array_busy": np.where(codes == BY_NAME["conv"].opcode, cost.busy, 0),
            "vector_busy": np.where(codes == BY_NAME["vector"].opcode, cost.busy, 0),
            "channel_busy": np.where(cost.channel, cost.busy, 0),
            "dram_read_bytes": np.where(store, 0, cost.dram_bytes),
            "dram_write_bytes": np.where(store, cost.dram_bytes, 0),
        }
        for name, column in columns.items():
            np.add.at(self.sums[name], layer_of, column)
        fetches = timeline.fetches
        for name, column in (("channel_busy", fetches.busy), ("dram_read_bytes", fetches.bytes)):
            np.add.at(self.sums[name], layer_of[fetches.first], column)
        first = np.full(len(self.start), np.iinfo(np.int64).max)
        np.minimum.at(first, layer_of, timeline.start + shift)
        new = (self.start < 0) & (first < np.iinfo(np.int64).max)
        self.start[new] = first[new]
        np.maximum.at(self.end, layer_of, timeline.end + shift)


def _gathered(program: Program, run: Run) -> tuple[_Tables, list[Costs], list[Stream], Steady | None]:
    """Sums per layer, and what each machine segment asked for: of one that repeats in a period of its rhythm."""
    tables = _Tables(program)
    rhythm: Steady | None = None
    costs: list[Costs] = []
    streams: list[Stream] = []
    for segment in run.segments:
        if segment.segment.frames is None:
            tables.add(segment)
            costs.append(segment.timeline.costs)
            streams.append(segment.stream)
        else:
            rhythm = steady(program.machine, segment.text, segment.segment.frames)
            tables.add_body(rhythm, segment.segment.layer_of)
            inside = (rhythm.line.frame >= rhythm.first) & (rhythm.line.frame < rhythm.first + rhythm.period)
            costs.append(rhythm.timeline.costs.only(inside))
            streams.append(rhythm.line.stream.only(np.flatnonzero(inside)))
    return tables, costs, streams, rhythm


def collect(program: Program, run: Run, frames: int = 1) -> Statistics:
    """The statistics of a run of this program (timed only, or executed as well); where its text repeats, of so many
    frames."""
    tables, costs, streams, rhythm = _gathered(program, run)
    bodies = rhythm.period if rhythm is not None else 1
    batch = program.batch * bodies
    machine, cycles = program.machine, tables.cycles
    macs = batch * sum(layer.macs for layer in program.layers)
    fetches = [segment.timeline.fetches for segment in run.segments if segment.segment.frames is None]
    bursts = sum(int(cost.bursts.sum()) for cost in costs) + sum(int(each.bursts.sum()) for each in fetches)
    burst_bytes = machine.dram.burst * bursts
    return Statistics(
        version=VERSION,
        model=program.model,
        producer=program.producer,
        machine=machine.name,
        machine_fingerprint=machine.fingerprint,
        clock_hz=machine.clock_hz,
        cycles=cycles,
        predicted_cycles=program.predicted_cycles,
        bound_cycles=bodies * program.bounds.bound,
        compute_bound_cycles=bodies * program.bounds.compute,
        dram_bound_cycles=bodies * program.bounds.dram,
        bound2_cycles=bodies * program.bounds.bound2,
        bound3_cycles=bodies * program.bounds.bound3,
        bound3_limit=program.certificate.limit,
        bound3_terms={what: bodies * part for what, part in program.certificate.terms},
        array_bound_cycles=bodies * program.bounds.array,
        vector_bound_cycles=bodies * program.bounds.vector,
        cycles_per_bound=_ratio(cycles, bodies * program.bounds.bound),
        cycles_per_bound3=_ratio(cycles, bodies * program.bounds.bound3),
        seconds=cycles / machine.clock_hz,
        frames_per_second=_ratio(batch * machine.clock_hz, cycles),
        macs=macs,
        utilization=_ratio(macs, machine.array.lanes * cycles),
        dram_read_bytes=int(tables.sums["dram_read_bytes"].sum()),
        dram_write_bytes=int(tables.sums["dram_write_bytes"].sum()),
        dram_burst_bytes=burst_bytes,
        configuration_bytes=sum(
            int(cost.dram_bytes[stream.indices(BY_NAME["load_config"].opcode)].sum())
            for cost, stream in zip(costs, streams, strict=True)
        ),
        sram_peak_bytes=program.sram.peak_bytes,
        sram_free_bytes=program.sram.free_bytes,
        sram_fragmentation=program.sram.fragmentation,
        program_bytes=program.code_bytes,
        program_read_bytes=sum(int(each.bytes.sum()) for each in fetches),
        instructions=sum(len(stream) for stream in streams),
        reconfigurations=sum(len(stream.indices(BY_NAME["configure"].opcode)) for stream in streams),
        host_ops=len(program.host_operators),
        host_operators=program.host_operators,
        host_macs=sum(segment.macs for segment in host_of(program)),
        batch=batch,
        frames=_frames(program, rhythm, frames, batch) if rhythm is not None else None,
        energy=energy(machine, macs, sum(int((c.sram_read + c.sram_written).sum()) for c in costs), burst_bytes),
        host=host_of(program),
        layers=tuple(_layer(program, tables, index, batch) for index in range(len(program.layers))),
    )


def host_of(program: Program) -> tuple[HostStatistics, ...]:
    """What runs on the host, segment by segment."""
    return tuple(
        HostStatistics(
            name=segment.name,
            operators=segment.operators,
            macs=sum(node.macs for node in segment.nodes),
            bytes_in=segment.bytes_in,
            bytes_out=segment.bytes_out,
            nodes=tuple((node.name, node.operator, node.reason, node.macs) for node in segment.nodes),
        )
        for segment in program.segments
        if isinstance(segment, HostSegment)
    )


def _layer(program: Program, tables: _Tables, index: int, batch: int) -> LayerStatistics:
    layer = program.layers[index]
    macs = batch * layer.macs
    terms: dict[str, int] = dict(zip(TERMS, tables.terms[index].tolist(), strict=True))
    sums = {name: int(column[index]) for name, column in tables.sums.items()}
    present = int(tables.start[index]) >= 0
    share = sum(terms.values())
    return LayerStatistics(
        name=layer.name,
        op=layer.op,
        shape=layer.shape,
        configuration=layer.configuration,
        macs=macs,
        start=int(tables.start[index]) if present else None,
        end=int(tables.end[index]) if present else None,
        cycles=share,
        limited_by=max(terms, key=lambda term: terms[term]) if share else HIDDEN,
        terms=terms,
        compulsory_bytes=layer.compulsory_bytes,
        ops_per_byte=_ratio(2 * macs, sums["dram_read_bytes"] + sums["dram_write_bytes"]),
        **sums,
    )


def _frames(program: Program, rhythm: Steady, frames: int, batch: int) -> FrameStatistics:
    per_frame = rhythm.cycles / batch
    hertz = program.machine.clock_hz
    costs, line = rhythm.timeline.costs, rhythm.line
    inside = (line.frame >= rhythm.first) & (line.frame < rhythm.first + rhythm.period)
    stays = (line.frame < 0) & (line.stream.opcodes == BY_NAME["load"].opcode)
    return FrameStatistics(
        frames=frames,
        total_cycles=rhythm.total(-(-frames // program.batch)),
        prologue_cycles=rhythm.prologue,
        cycles_per_frame=per_frame,
        epilogue_cycles=rhythm.epilogue,
        latency_cycles=rhythm.latency,
        latency_seconds=rhythm.latency / hertz,
        frames_per_second=hertz / per_frame,
        resident_bytes=int(costs.dram_bytes[stays].sum()),
        dram_bytes_per_frame=int(costs.dram_bytes[inside].sum()) / batch,
    )


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def energy(machine: Machine, macs: int, sram_bytes: int, dram_bytes: int) -> EnergyEstimate:
    """Counted events times the unit costs of the machine; ``dram_bytes`` are those of all bursts touched."""
    unit = machine.energy
    femto = (macs * unit.mac_fj, sram_bytes * unit.sram_fj_per_byte, dram_bytes * unit.dram_fj_per_byte)
    array, sram, dram = (amount * 1e-15 for amount in femto)
    return EnergyEstimate(array, sram, dram, sum(femto) * 1e-15, unit.source)
