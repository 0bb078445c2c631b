"""Other ways to plan a model, each planned to the end and timed: nothing is estimated but what is called a promise.

A *promise* is what the numbers of the run let one hope for; the trial beside it is the program's own clock.
"""

from __future__ import annotations

import copy
import dataclasses
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.dialects import func

from passes.cnn_to_tile.segments import boundary, segments
from passes.planner.candidates import NEVER, configurations, cost_table
from passes.planner.mapping import ConvShape, conv_shape
from passes.planner.network import network
from passes.planner.options import FREEDOMS
from sim.machine.description import Machine, load, with_settings
from sim.machine.errors import ReconError
from tools.options import Planning
from tools.reports.compare import Study
from tools.reports.explain.variants import LayerVariant, changed, smaller
from tools.reports.per_frame import per_frame
from tools.reports.profile.records import Profile
from tools.runtime import run_program

Step = Callable[[str], None]

TOGETHER = 4
"""Frames of the batch that is tried."""

RUNNERS_UP = 3
"""Configurations that are tried beside the one chosen."""


@dataclass(frozen=True)
class Trial:
    """A whole run planned otherwise: ``cycles`` measured, None where there is no such plan (``problem`` says why); of
    frames in a row those of one frame.

    ``options`` reproduce it on the command line; ``promised`` is None where nothing was promised.
    """

    what: str
    options: str
    promised: int | None
    cycles: int | None
    dram_bytes: int | None
    problem: str = ""


@dataclass(frozen=True)
class Choice:
    """A configuration of one layer: ``array_cycles`` of the layer alone, and the whole run with it pinned."""

    configuration: str
    array_cycles: int
    chosen: bool
    run: Trial


@dataclass(frozen=True)
class CommandLine:
    """The command line that a laboratory stands for: the model, how it is read, and how it is planned."""

    model: str
    reading: tuple[str, ...] = ()
    planning: tuple[str, ...] = ()

    def compiles(self, model: str, *reading: str) -> str:
        """The command that plans a model so."""
        return shlex.join(["recon", "compile", model, "-o", "again.rbin", *self.planning, *reading])


class Laboratory:
    """One model on one machine, to be planned again and again."""

    def __init__(self, study: Study, machine: str, options: Planning, asked: CommandLine, step: Step):
        self.study, self.machine, self.options, self.asked, self.step = study, machine, options, asked, step

    @property
    def again(self) -> str:
        """The command that a trial's options end."""
        return self.asked.compiles(self.asked.model, *self.asked.reading)

    def vary(self, varied: str) -> tuple[str, str]:
        """The commands that write another model, whose options end the first, and plan it; text holds all that was
        asked of reading the model."""
        model, reading = self.asked.model, self.asked.reading
        if varied.endswith(".mlir"):
            return shlex.join(["recon", "vary", model, "-o", varied, *reading]), self.asked.compiles(varied)
        return shlex.join(["recon", "vary", model, "-o", varied]), self.asked.compiles(varied, *reading)

    def trial(
        self,
        what: str,
        options: str,
        *,
        planning: Planning | None = None,
        settings: Sequence[str] = (),
        promised: int | None = None,
        study: Callable[[], Study] | None = None,
    ) -> Trial:
        """Plan with other options, on a changed machine, or another ``study``."""
        self.step(f"trying {what}")
        try:
            program = (study() if study is not None else self.study).program(
                with_settings(self.machine, settings), planning or self.options
            )
        except ReconError as error:
            return Trial(what, options, promised, None, None, str(error))
        cost = per_frame(run_program(program, timing_only=True).statistics)
        return Trial(what, options, promised, cost.cycles, cost.dram_read_bytes + cost.dram_write_bytes)

    def choices(self, layer: str, chosen: str) -> tuple[Choice, ...]:
        """A layer's configuration and its runners-up, by the layer's own cycles on the array, one for each cost."""
        shape = self.shapes().get(layer)
        if shape is None:
            return ()
        table = cost_table(load(self.machine), shape, configurations(load(self.machine)))
        order = [index for index in np.argsort(table.cycles, kind="stable").tolist() if table.cycles[index] < NEVER]
        names = {str(table.choices[index]): int(table.cycles[index]) for index in order}
        others = list({names[name]: name for name in reversed(names) if name != chosen}.values())[::-1][:RUNNERS_UP]
        found: list[Choice] = []
        for name in ([chosen] if chosen in names else []) + others:
            run = self.pinned(name, f"{layer}={name}")
            found.append(Choice(name, names[name], name == chosen, run))
        return tuple(found)

    def pinned(self, what: str, pin: str) -> Trial:
        """The run with one more choice pinned."""
        planning = dataclasses.replace(self.options, pin=(*self.options.pin, pin))
        return self.trial(what, f'--pin "{pin}"', planning=planning)

    def without(self, names: Iterable[str]) -> tuple[Trial, ...]:
        """The run without freedoms of the planner, one at a time."""
        return tuple(
            self.trial(
                f"without {name}", f"--without {name}", planning=dataclasses.replace(self.options, **FREEDOMS[name])
            )
            for name in names
        )

    def varied(self, what: str, change: LayerVariant, promised: int) -> Trial:
        """The model with another layer, as ``recon vary`` writes it."""
        parts = [f"--channels {change.channels}"] if change.channels else []
        parts += ["--pointwise"] if change.pointwise else []
        parts += ["--without"] if change.without else []
        options = f"--layer {shlex.quote(change.layer)} {' '.join(parts)}"

        def study() -> Study:
            other = copy.copy(self.study)
            other.module = changed(self.study.module, change)
            return other

        return self.trial(what, options, promised=promised, study=study)

    def smaller_pictures(self, profile: Profile) -> Trial:
        """The model for pictures of half as many rows and columns, as ``recon vary`` writes it."""
        s, layers = profile.statistics, profile.layers
        quarters = ("compute", "input", "output", "vector")
        saved = sum(layer.statistics.terms[term] for layer in layers for term in quarters)
        moved = sum(layer.traffic[kind] for layer in layers for kind in ("input", "output", "spill"))
        saved += min(
            sum(layer.statistics.terms["dram"] for layer in layers), round(moved / float(profile.machine.dram_rate))
        )

        def study() -> Study:
            return Study(smaller(self.study.source), self.study.shapes, self.study.assume_int8)

        return self.trial(
            "pictures of half the rows and columns", "--smaller 2", promised=s.cycles - 3 * saved // 4, study=study
        )

    def _within(self, limit: int) -> Planning:
        return dataclasses.replace(self.options, sram_limit=limit)

    def levers(self, profile: Profile) -> tuple[Trial, ...]:
        """The run on machines with twice the SRAM, twice the bandwidth and twice the lanes, and frames in a row."""
        machine, s, limit = profile.machine, profile.statistics, self.options.sram_limit
        terms = {term: sum(layer.statistics.terms[term] for layer in profile.layers) for term in ("dram", "compute")}
        spilled = sum(layer.traffic["spill"] for layer in profile.layers)
        saved = min(terms["dram"], round(spilled / float(machine.dram_rate)))
        given = (
            ("twice the SRAM", f"sram.bytes={2 * machine.sram.bytes}", s.cycles - saved),
            (
                "twice the bandwidth",
                f"dram.bytes_per_second={2 * machine.dram.bytes_per_second}",
                s.cycles - terms["dram"] // 2,
            ),
            ("twice the lanes", f"array.lanes={2 * machine.array.lanes}", s.cycles - terms["compute"] // 2),
        )
        machines = [
            self.trial(what, f"--sram-limit {2 * limit}", planning=self._within(2 * limit), promised=promised)
            if limit and what == "twice the SRAM"
            else self.trial(what, f"--set {setting}", settings=[setting], promised=promised)
            for what, setting, promised in given
        ]
        rows = [
            self.trial(
                what,
                f"--frames stream --batch {batch}",
                planning=dataclasses.replace(self.options, frames="stream", batch=batch),
                promised=_in_a_row(profile),
            )
            for what, batch in (("frames in a row, each", 1), (f"{TOGETHER} frames together, each", TOGETHER))
        ]
        return (*machines, *rows)

    def shapes(self) -> dict[str, ConvShape]:
        """The shape of every convolution by its layer's name."""
        return {
            layer.name: conv_shape(layer)
            for function in self.study.module.body.block.ops
            if isinstance(function, func.FuncOp)
            for ops in segments(function)
            for layer in network(ops, *boundary(ops)).layers
            if layer.is_conv
        }


def _in_a_row(profile: Profile) -> int:
    """Cycles that a frame of many needs at least: of the array, of the vector unit, or of the channel for what cannot
    stay."""
    layers = profile.layers
    come = sum(sum(layer.traffic[kind] for kind in ("input", "output", "spill")) for layer in layers)
    come += max(0, sum(layer.traffic["weights"] for layer in layers) - profile.machine.sram.bytes)
    engines = (sum(getattr(layer.statistics, name) for layer in layers) for name in ("array_busy", "vector_busy"))
    return max(round(come / float(profile.machine.dram_rate)), *engines)


def roomier(machine: Machine, shape: ConvShape, chosen: str) -> tuple[int, int] | None:
    """Input and output channels that a layer could have in the same array cycles and configuration, if it has fewer."""
    mine = [each for each in configurations(machine) if str(each) == chosen]
    if not mine:
        return None
    cycles = int(cost_table(machine, shape, (mine[0],)).cycles[0])
    best = shape.inputs, shape.outputs
    for name, unit in (("inputs", mine[0].r), ("outputs", mine[0].k)):
        wider = dataclasses.replace(shape, **{name: -(-getattr(shape, name) // unit) * unit})
        if int(cost_table(machine, wider, (mine[0],)).cycles[0]) <= cycles:
            best = (wider.inputs, best[1]) if name == "inputs" else (best[0], wider.outputs)
    return None if best == (shape.inputs, shape.outputs) else best
