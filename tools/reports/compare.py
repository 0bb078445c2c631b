"""One model on several machines, and without one freedom of the planner after the other.

The front end runs once: ``Study`` holds the model at the ``cnn`` level, and every plan starts from a copy of it. Cycles
are those of the finished program on the simulator's clock, of frames in a row those of one frame; no values are
computed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xdsl.dialects.builtin import ModuleOp

from backend.emit import emit
from passes.common.levels import LEVELS, level_of
from passes.planner.options import FREEDOMS
from sim.machine.description import load
from sim.machine.errors import ReconError
from sim.machine.program import Program
from sim.statistics import Statistics
from tools.driver import Report, lower, make_context, name_of, read_module
from tools.options import Planning
from tools.reports.per_frame import per_frame
from tools.reports.report import operator
from tools.runtime import run_program

if TYPE_CHECKING:
    from onnx import ModelProto


class Study:
    """A model, ready to be planned again and again."""

    def __init__(
        self,
        model: str | Path | ModelProto,
        input_shapes: Mapping[str, Sequence[int]] | None = None,
        assume_int8: bool = False,
        report: Report | None = None,
    ):
        self.source, self.shapes, self.assume_int8 = model, input_shapes, assume_int8
        self.context = make_context()
        self.module = read_module(model, self.context, input_shapes)
        level = level_of(self.module)
        if LEVELS.index(level) > LEVELS.index("cnn"):
            raise ReconError(
                f"{name_of(model)}: this is at level {level} and holds one plan; compare makes several from a model."
            )
        lower(self.module, "cnn", self.context, assume_int8=assume_int8, report=report)

    def program(self, machine: str, options: Planning | None = None) -> Program:
        """The model's program for a machine; ReconError when no such plan exists."""
        return self.planned(machine, options)[0]

    def planned(self, machine: str, options: Planning | None = None) -> tuple[Program, ModuleOp]:
        """The model's program for a machine and its plan at the ``tile`` level; ReconError when there is none."""
        options = options or Planning()
        options.usable(load(machine))
        module = self.module.clone()
        lower(module, "tile", self.context, machine=machine, options=options)
        plan = module.clone()
        lower(module, "accel", self.context, machine=machine, options=options)
        return emit(module, machine), plan


@dataclass(frozen=True)
class Planned:
    """One way to plan the model: what it costs, or why it does not exist (then ``statistics`` is None).

    ``without`` is the freedom taken away, "" for none.
    """

    machine: str
    without: str
    statistics: Statistics | None
    problem: str = ""

    @property
    def cost(self) -> Statistics:
        """The statistics of a plan that exists."""
        assert self.statistics is not None
        return self.statistics

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        statistics = self.statistics.to_json() if self.statistics is not None else None
        return {"machine": self.machine, "without": self.without, "problem": self.problem, "statistics": statistics}


@dataclass(frozen=True)
class Comparison:
    """Plans of one model: one per machine, in the order asked for, and ablations on the first."""

    model: str
    options: Planning
    machines: tuple[Planned, ...]
    ablations: tuple[Planned, ...]

    @property
    def first(self) -> Statistics:
        """The full planner on the first machine, which everything is compared with."""
        return self.machines[0].cost

    @property
    def depthwise(self) -> int:
        """How many layers are depthwise convolutions."""
        return sum(operator(layer.op, layer.shape).startswith("depthwise") for layer in self.first.layers)

    def __repr__(self) -> str:
        plans = ", ".join(f"{p.machine} {p.statistics.cycles:,}" if p.statistics else p.machine for p in self.machines)
        return f"Comparison({self.model!r}: cycles on {plans})"

    def to_json(self) -> dict[str, Any]:
        """Plain data; ``statistics`` as ``recon run --stats`` writes them."""
        return {
            "model": self.model,
            "level": self.options.level,
            "objective": self.options.objective,
            "sram_limit_bytes": self.options.sram_limit or None,
            "frames": self.options.frames,
            "depthwise_layers": self.depthwise,
            "machines": [plan.to_json() for plan in self.machines],
            "ablations": [plan.to_json() for plan in self.ablations],
        }

    def as_data(self) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """Header and a row per plan: what was planned, why it does not exist, and the single numbers of statistics."""
        shown = [entry.name for entry in dataclasses.fields(Statistics) if entry.type in _SCALARS]
        plans = (*self.machines, *self.ablations)
        return ("plan_for", "without", "problem", *shown), [
            (plan.machine, plan.without, plan.problem, *(getattr(plan.statistics, name, None) for name in shown))
            for plan in plans
        ]


_SCALARS = ("int", "str", "float", "float | None")


def compare(
    model: str | Path | ModelProto,
    machines: Sequence[str],
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    assume_int8: bool = False,
    options: Planning | None = None,
    report: Report | None = None,
) -> Comparison:
    """Plan a model for every machine, and for the first one without each freedom.

    ``options`` hold for all plans. Raises ReconError for a model or machine that cannot be read and where the first
    machine cannot run the model; any other plan that does not exist is part of the result.
    """
    if not machines:
        raise ReconError("Name at least one machine to compare on.")
    for machine in machines:
        load(machine)
        if machines.count(machine) > 1:
            raise ReconError(f"The machine {machine} is named twice.")

    def tell(doing: str) -> None:
        if report is not None:
            report(doing)

    tell("reading the model")
    study = Study(model, input_shapes, assume_int8, report)
    options = options or Planning()
    tell(f"planning for {machines[0]}")
    plans = [Planned(machines[0], "", _cost(study, machines[0], options))]
    for machine in machines[1:]:
        tell(f"planning for {machine}")
        plans.append(_try(study, machine, "", options))
    ablations: list[Planned] = []
    for name, fields in FREEDOMS.items():
        tell(f"planning for {machines[0]} without {name}")
        ablations.append(_try(study, machines[0], name, dataclasses.replace(options, **fields)))
    return Comparison(plans[0].cost.model, options, tuple(plans), tuple(ablations))


def _cost(study: Study, machine: str, options: Planning) -> Statistics:
    return per_frame(run_program(study.program(machine, options), timing_only=True).statistics)


def _try(study: Study, machine: str, without: str, options: Planning) -> Planned:
    try:
        return Planned(machine, without, _cost(study, machine, options))
    except ReconError as error:
        return Planned(machine, without, None, str(error))
