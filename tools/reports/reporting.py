"""What a report shows of a model or a program, from planning on: for the command and for the door of Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sim.machine.errors import ReconError
from sim.machine.program import Program, load
from tools.options import Planning
from tools.reports.profile.records import Profile, profile

if TYPE_CHECKING:
    from onnx import ModelProto


def profile_of(
    model: str | Path | ModelProto | Program,
    machine: str | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    assume_int8: bool = False,
    planning: Planning | None = None,
    report: Callable[[str], None] | None = None,
) -> Profile:
    """The run of a program, or of a model planned for a machine, taken apart; of a model with each layer's plan.

    A program is one in memory, or a path that ends otherwise than a model's (``.onnx``, ``.mlir``). ReconError with
    all problems of a model, and for a program that is to be planned again.
    """
    planning = planning or Planning()
    asked = machine is not None or assume_int8 or bool(input_shapes) or planning != Planning()
    if isinstance(model, (str, Path)) and Path(model).suffix not in (".onnx", ".mlir"):
        if asked:
            raise ReconError(
                f"{model}: this is a program, planned already; --machine, --input-shape, --assume-int8, -O, "
                "--objective, --sram-limit, --frames and --batch are for models."
            )
        model = load(model)
    elif isinstance(model, Program) and asked:
        raise ReconError(
            "This is a program, planned already; a machine, shapes and the planner's options are for models."
        )
    if isinstance(model, Program):
        program, plan = model, ""
    else:
        from tools.driver import DEFAULT_MACHINE
        from tools.reports.compare import Study

        study = Study(model, input_shapes, assume_int8, report)
        if report is not None:
            report("planning")
        program, module = study.planned(machine or DEFAULT_MACHINE, planning)
        plan = str(module)
    if report is not None:
        report("drawing")
    return profile(program, plan=plan)
