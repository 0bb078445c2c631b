"""Everything a report is drawn from, as one record of plain data: ``profile`` makes it, ``to_json`` writes it.

Nothing here knows how anything is drawn. A number that exists in the statistics is taken from there.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.machine.assembly import disassemble
from sim.machine.description import Machine
from sim.machine.encoding import layout
from sim.machine.isa import BY_OPCODE
from sim.machine.program import HostSegment, Program
from sim.simulator import Run, simulate
from sim.statistics import LayerStatistics, Statistics, collect
from tools.reports.profile.graph import places
from tools.reports.profile.losses import LOSSES, losses
from tools.reports.profile.memory import MemoryProfile, memory
from tools.reports.profile.shown import Shown, shown
from tools.reports.profile.steps import FETCH, KINDS, Stalls, Steps, stalls, steps
from tools.reports.report import operator


@dataclass(frozen=True)
class LayerProfile:
    """A layer with all that a report says of it."""

    statistics: LayerStatistics
    operator: str
    """What it is, for people: ``conv 3x3/2 16→24x24x32``."""
    onnx: tuple[str, ...]
    """The model's nodes it stands for."""
    losses: dict[str, float]
    """Cycles of the array by what they go to (``LOSSES``); all layers' cycles add up to the run's."""
    traffic: dict[str, int]
    """Bytes of DRAM by what they carry (``KINDS``); they add up to those of the statistics."""
    program_bytes: int
    """Bytes of its instructions in the program."""
    energy: dict[str, float]
    """Joules by where: array, SRAM, DRAM."""
    attained: float | None
    """Operations per second (two per MAC) while the array belongs to it; None without MACs."""
    attainable: float | None
    """What the roofline allows at its operations per byte; None without MACs."""
    plan: tuple[str, ...]
    """Its lines of the plan (``tile``); empty where only the program is known."""
    instructions: tuple[str, ...]
    """Its instructions as text, in the order of the program."""

    @property
    def array_cycles(self) -> float:
        """Cycles in which the array works for it, or waits for it."""
        return sum(self.losses.values())


@dataclass(frozen=True)
class Roofline:
    """The machine's roofs, in operations (two per MAC) per second and bytes per second."""

    compute: float
    winograd: float | None
    """The compute roof for 3x3 convolutions by F(2x2, 3x3), which saves 20 of 36 multiplications; None without it."""
    bandwidth: float
    """Bytes per second of the DRAM channel, refresh taken off."""

    @property
    def ridge(self) -> float:
        """Operations per byte at which compute and bandwidth are equal."""
        return self.compute / self.bandwidth


@dataclass(frozen=True)
class HostProfile:
    """Operators that run on the host in cycle ``cycle``, between machine segments; they take no cycles."""

    name: str
    operators: tuple[str, ...]
    cycle: int


@dataclass(frozen=True, eq=False)
class Profile:
    """A program's run, taken apart."""

    statistics: Statistics
    machine: Machine
    notes: tuple[str, ...]
    roofline: Roofline
    layers: tuple[LayerProfile, ...]
    hosts: tuple[HostProfile, ...]
    steps: Steps
    stalls: Stalls
    memory: MemoryProfile


def profile(program: Program, run: Run | None = None, plan: str = "") -> Profile:
    """Take a program's run apart; without a run, the clock is run alone. ``plan`` is the program's ``tile`` text.

    Of a program whose text repeats, numbers are those of a period of its rhythm, as in the statistics.
    """
    run = run or simulate(program, {}, timing_only=True)
    statistics = collect(program, run)
    segments = shown(program.machine, run)
    ran = steps(program, segments)
    stood = stalls(ran)
    return Profile(
        statistics=statistics,
        machine=program.machine,
        notes=program.notes,
        roofline=roofline(program.machine),
        layers=_layers(program, segments, statistics, ran, stood, _plan_of_layers(plan)),
        hosts=_hosts(program, ran),
        steps=ran,
        stalls=stood,
        memory=memory(program, segments, ran),
    )


def _hosts(program: Program, ran: Steps) -> tuple[HostProfile, ...]:
    hosts: list[HostProfile] = []
    begins = [*ran.begins, ran.cycles]
    machine = 0
    for segment in program.segments:
        if isinstance(segment, HostSegment):
            hosts.append(HostProfile(segment.name, segment.operators, begins[machine]))
        else:
            machine += 1
    return tuple(hosts)


def roofline(machine: Machine) -> Roofline:
    """The roofs of a machine."""
    compute = 2.0 * machine.array.lanes * machine.clock_hz
    winograd = None if machine.array.winograd == "none" else compute * 9 / 4
    return Roofline(compute, winograd, float(machine.dram_rate * machine.clock_hz))


def _layers(
    program: Program,
    segments: Sequence[Shown],
    statistics: Statistics,
    ran: Steps,
    stood: Stalls,
    plan: Mapping[str, list[str]],
) -> tuple[LayerProfile, ...]:
    count = len(program.layers)
    lost = losses(program.machine, [row.macs for row in statistics.layers], ran, stood)
    traffic = np.zeros((count, len(KINDS)), np.int64)
    moves = ran.counted & (ran.kind >= 0)
    np.add.at(traffic, (ran.layer[moves], ran.kind[moves]), ran.dram_bytes[moves])
    sizes = np.zeros(256, np.int64)
    for opcode in BY_OPCODE:
        sizes[opcode] = layout(opcode).itemsize
    sram, burst, code = (np.zeros(count, np.int64) for _ in range(3))
    counted = ran.counted
    np.add.at(sram, ran.layer[counted], ran.sram_bytes[counted])
    np.add.at(burst, ran.layer[counted], ran.bursts[counted] * program.machine.dram.burst)
    for segment in segments:
        np.add.at(code, segment.segment.layer_of.astype(np.int64), sizes[segment.text_stream.opcodes])
    unit, roof = program.machine.energy, roofline(program.machine)
    texts = _instructions(segments, count)
    made: list[LayerProfile] = []
    for index, (layer, row) in enumerate(zip(program.layers, statistics.layers, strict=True)):
        seconds = float(lost[index].sum()) / program.machine.clock_hz
        has = row.macs > 0 and seconds > 0
        peak = roof.winograd if layer.configuration.startswith("winograd") and roof.winograd else roof.compute
        energy = (row.macs * unit.mac_fj, sram[index] * unit.sram_fj_per_byte, burst[index] * unit.dram_fj_per_byte)
        made.append(
            LayerProfile(
                statistics=row,
                operator=operator(layer.op, layer.shape),
                onnx=layer.onnx,
                losses=dict(zip(LOSSES, lost[index].tolist(), strict=True)),
                traffic=dict(zip(KINDS, traffic[index].tolist(), strict=True)),
                program_bytes=int(code[index]),
                energy=dict(zip(("array", "SRAM", "DRAM"), (float(part) * 1e-15 for part in energy), strict=True)),
                attained=2 * row.macs / seconds if has else None,
                attainable=min(peak, (row.ops_per_byte or np.inf) * roof.bandwidth) if has else None,
                plan=tuple(plan.get(layer.name, ())),
                instructions=tuple(texts[index]),
            )
        )
    return tuple(made)


def _instructions(segments: Sequence[Shown], layers: int) -> list[list[str]]:
    texts: list[list[str]] = [[] for _ in range(layers)]
    for segment in segments:
        for layer, text in zip(segment.segment.layer_of.tolist(), disassemble(segment.text_stream), strict=True):
            texts[layer].append(text)
    return texts


_LAYER = re.compile(r'(?:\blayer|recon\.layer) @("(?:[^"\\]|\\.)*"|[\w.$-]+)')


def _plan_of_layers(plan: str) -> dict[str, list[str]]:
    """The lines of a ``tile`` text by the layer they name."""
    lines: dict[str, list[str]] = {}
    for line in plan.splitlines():
        for name in _LAYER.findall(line):
            lines.setdefault(name.strip('"'), []).append(line.strip())
    return lines


def to_json(profile: Profile) -> dict[str, Any]:
    """Plain data: columns for what there is much of, objects for the rest."""
    ran, stood, kept = profile.steps, profile.stalls, profile.memory
    statistics = profile.statistics.to_json()
    del statistics["layers"]
    return {
        "statistics": statistics,
        "machine": profile.machine.to_json(),
        "notes": list(profile.notes),
        "roofline": {**dataclasses.asdict(profile.roofline), "ridge": profile.roofline.ridge},
        "losses": LOSSES,
        "layers": [_layer_json(layer) for layer in profile.layers],
        "hosts": [dataclasses.asdict(host) for host in profile.hosts],
        "steps": {
            "opcodes": {FETCH: "fetch", **{opcode: row.name for opcode, row in BY_OPCODE.items()}},
            **{
                name: getattr(ran, name).tolist()
                for name in ("opcode", "queue", "layer", "frame", "taken", "leave", "end", "term", "kind", "dram_bytes")
            },
            "critical": ran.critical.astype(int).tolist(),
            "channel": ran.channel.astype(int).tolist(),
            "begins": ran.begins,
            "cycles": ran.cycles,
            "period": ran.period,
            "rhythm": ran.rhythm,
        },
        "stalls": {field.name: getattr(stood, field.name).tolist() for field in dataclasses.fields(stood)},
        "buffers": [dataclasses.asdict(buffer) for buffer in kept.buffers],
        "occupancy": dataclasses.asdict(kept.occupancy),
        "edges": kept.edges,
        "places": dataclasses.asdict(places(len(profile.layers) + len(profile.hosts), kept.edges)),
    }


def _layer_json(layer: LayerProfile) -> dict[str, Any]:
    record = dataclasses.asdict(layer)
    return {**record.pop("statistics"), **record, "array_cycles": layer.array_cycles}
