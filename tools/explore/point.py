"""One point: a pure function of a model at the ``cnn`` level, a machine and the planner's options, giving a row.

The passes are those of ``recon compile`` in their order, so the cycles are those of the program's own clock; left out
is what can only fail by a fault of ours (verification between levels, the proof of the waits) and what only a program
file needs (constants, the layer table). No value of the network is computed. What a machine cannot run is a row as
well, with the reason.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.utils.exceptions import DiagnosticException

from backend.emit import check_code, emit
from dialects import accel, cnn
from dialects.recon import LayerOp
from passes.pipeline import passes_between
from passes.planner.candidates import cost_table, mapping_of
from passes.planner.cost import block_cycles
from passes.planner.layer_constants import laid_out
from sim.machine import clock
from sim.machine.description import Machine, load
from sim.machine.encoding import decode, encode
from sim.machine.errors import ReconError
from sim.machine.floors import convolution
from sim.machine.isa import BY_NAME
from sim.simulator import simulate
from sim.statistics import collect, energy
from tools.explore.area import AreaCosts, area_mm2
from tools.options import Planning, for_passes
from tools.terminal import diagnostics

MEASURES = (
    "cycles",
    "seconds",
    "energy_joules",
    "area_mm2",
    "dram_bytes",
    "dram_read_bytes",
    "dram_write_bytes",
    "program_bytes",
)
"""Measures of a row that are better the smaller they are; a search may have them as objectives."""

SKIPPED = ("legalize", "check-hazards")

_PER_MACHINE = (cost_table, mapping_of, block_cycles, laid_out, convolution)
"""What the planner remembers of one machine; no other machine asks for it again, and it would only grow."""


@dataclass(frozen=True)
class PointRow:
    """What a point costs. ``status`` is ``ok``, or ``refused`` with the ``reason``; then no measure means anything.

    ``terms`` are the critical path's cycles by what binds them; ``host_segments`` run elsewhere and are in no cycle.
    """

    status: str = "ok"
    reason: str = ""
    cycles: int | None = None
    seconds: float | None = None
    frames_per_second: float | None = None
    utilization: float | None = None
    macs: int | None = None
    dram_bytes: int | None = None
    dram_read_bytes: int | None = None
    dram_write_bytes: int | None = None
    energy_joules: float | None = None
    instructions: int | None = None
    program_bytes: int | None = None
    host_segments: int | None = None
    area_mm2: float | None = None
    terms: Mapping[str, int] = dataclasses.field(default_factory=dict)


def key_of(model: str, machine: Machine, planning: Planning, area: AreaCosts, version: str) -> str:
    """The content hash of a point: equal points have equal rows, whatever their machines are called."""
    description = {key: value for key, value in machine.to_json().items() if key not in ("name", "description")}
    content = [model, description, dataclasses.asdict(planning), dataclasses.asdict(area), version]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def evaluate(module: ModuleOp, context: Context, machine: str, planning: Planning, area: AreaCosts) -> PointRow:
    """The row of a model on a machine; ``module`` stays as it is."""
    for cache in _PER_MACHINE:
        cache.cache_clear()
    try:
        with diagnostics.lean_diagnostics():
            lowered = _lowered(module, context, machine, planning)
            return _in_a_row(lowered, machine, area) if planning.repeats else _timed(lowered, load(machine), area)
    except ReconError as error:
        return PointRow("refused", str(error))
    except DiagnosticException as error:
        return PointRow("refused", diagnostics.describe(error))
    except Exception as error:  # a fault of ours at one point must not take the others with it
        return PointRow("failed", f"{type(error).__name__}: {error}")


def _lowered(module: ModuleOp, context: Context, machine: str, planning: Planning) -> ModuleOp:
    planning.usable(load(machine))
    lowered = module.clone()
    given: dict[str, Any] = {"machine": machine, **for_passes(planning)}
    for made in passes_between("cnn", "accel", given):
        if made.name not in SKIPPED:
            made.apply(context, lowered)
    return lowered


def _in_a_row(module: ModuleOp, machine: str, area: AreaCosts) -> PointRow:
    """Of frames in a row what each takes in the steady state, as the statistics of its program say; the terms are
    those of a whole body of ``batch`` frames."""
    program = emit(module, machine)
    s = collect(program, simulate(program, {}, timing_only=True))
    return PointRow(
        cycles=-(-s.cycles // s.batch),
        seconds=s.seconds / s.batch,
        frames_per_second=s.frames_per_second,
        utilization=s.utilization,
        macs=s.macs // s.batch,
        dram_bytes=(s.dram_read_bytes + s.dram_write_bytes) // s.batch,
        dram_read_bytes=s.dram_read_bytes // s.batch,
        dram_write_bytes=s.dram_write_bytes // s.batch,
        energy_joules=s.energy.total_joules / s.batch,
        instructions=s.instructions,
        program_bytes=s.program_bytes,
        host_segments=len(s.host),
        area_mm2=area_mm2(program.machine, area),
        terms={term: sum(layer.terms[term] for layer in s.layers) for term in clock.TERMS},
    )


def _timed(module: ModuleOp, machine: Machine, area: AreaCosts) -> PointRow:
    codes = [encode(op.record() for op in program.instructions) for program in accel.programs(module)]
    check_code(codes, machine)
    fetched = machine.instruction_memory.fetches(sum(map(len, codes)))
    cycles = read = written = bursts = streamed = count = 0
    terms: dict[str, int] = dict.fromkeys(clock.TERMS, 0)
    for code in codes:
        stream = decode(code)
        timeline = clock.run(machine, stream, fetched=fetched)
        cost = timeline.costs
        stores = stream.indices(BY_NAME["store"].opcode)
        written += int(cost.dram_bytes[stores].sum())
        read += int(cost.dram_bytes.sum() - cost.dram_bytes[stores].sum() + timeline.fetches.bytes.sum())
        bursts += int(cost.bursts.sum() + timeline.fetches.bursts.sum())
        streamed += int((cost.sram_read + cost.sram_written).sum())
        cycles += timeline.cycles
        count += len(stream)
        for index, start, stop in timeline.critical():
            term = clock.TERMS[int(cost.term[index])] if index < len(stream) else "dram"  # a fetch of text
            terms[term] += stop - start
    macs = sum(op.macs.value.data for op in module.body.block.ops if isinstance(op, LayerOp))
    return PointRow(
        cycles=cycles,
        seconds=cycles / machine.clock_hz,
        frames_per_second=machine.clock_hz / cycles if cycles else None,
        utilization=macs / (machine.array.lanes * cycles) if cycles else None,
        macs=macs,
        dram_bytes=read + written,
        dram_read_bytes=read,
        dram_write_bytes=written,
        energy_joules=energy(machine, macs, streamed, machine.dram.burst * bursts).total_joules,
        instructions=count,
        program_bytes=sum(map(len, codes)),
        host_segments=sum(1 for op in module.walk() if isinstance(op, cnn.HostOp)),
        area_mm2=area_mm2(machine, area),
        terms=terms,
    )
