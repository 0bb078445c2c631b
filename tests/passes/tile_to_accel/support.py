"""Shared by the lowering tests: text → module → placed, ordered, proven program → simulated outputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.context import Context
from xdsl.dialects.builtin import Builtin, ModuleOp
from xdsl.dialects.func import Func
from xdsl.parser import Parser

from backend.emit import emit
from dialects import accel
from dialects.accel import ACCEL
from dialects.cnn import CNN
from dialects.meaning import accel as accel_meaning
from dialects.meaning import tile as tile_meaning
from dialects.onnx import ONNX
from dialects.recon import RECON
from dialects.tile import TILE
from passes.accel.allocate_sram import AllocateSramPass
from passes.accel.assign_waits import AssignWaitsPass
from passes.accel.check_hazards import CheckHazardsPass
from passes.every_level.verify_structure import VerifyStructurePass
from passes.tile.elide_configuration import ElideConfigurationPass
from passes.tile_to_accel.convert_tile_to_accel import ConvertTileToAccelPass
from sim.machine.program import Program
from sim.simulator import Run, simulate

Array = npt.NDArray[Any]
FUSED = Path(__file__).parents[3] / "examples" / "fused.mlir"


def context() -> Context:
    """A context with every dialect these tests need."""
    made = Context()
    for dialect in (Builtin, Func, RECON, ONNX, CNN, TILE, ACCEL):
        made.load_dialect(dialect)
    return made


def parse(text: str) -> ModuleOp:
    """The module of a text, verified."""
    module = Parser(context(), text).parse_module()
    module.verify()
    return module


def lower(module: ModuleOp, limit: int | None = None) -> ModuleOp:
    """The module taken to final accel IR in place, verified after every pass."""
    passes = (ConvertTileToAccelPass(), AllocateSramPass(limit), AssignWaitsPass(), CheckHazardsPass(),
              VerifyStructurePass("accel"))  # fmt: skip
    for step in passes:
        step.apply(context(), module)
        module.verify()
    return module


def random_inputs(program: Program, seed: int = 0) -> dict[str, Array]:
    """Random codes for every input."""
    generator = np.random.default_rng(seed)
    return {port.name: generator.integers(-128, 128, port.shape, np.int8) for port in program.inputs}


def run(program: Program, inputs: Mapping[str, Array]) -> Run:
    """The sanitized run of a program."""
    return simulate(program, inputs, sanitize=True)


def check_everywhere(text: str, seed: int = 0, limit: int | None = None) -> tuple[Program, dict[str, Array]]:
    """Compile a plan and run it at every level: the plan's meaning, accel's before and after placement, the machine.

    All must agree; returns the program and its outputs.
    """
    module = parse(text)
    plan = module.clone()
    elided = module.clone()
    ElideConfigurationPass().apply(context(), elided)
    elided.verify()
    spelt = module.clone()
    ConvertTileToAccelPass().apply(context(), spelt)
    program = emit(lower(module, limit))
    inputs = random_inputs(program, seed)
    expected = tile_meaning.evaluate(plan, inputs)
    assert set(expected) == {port.name for port in program.outputs}
    others = {
        "elide-configuration": tile_meaning.evaluate(elided, inputs),
        "convert-tile-to-accel": accel_meaning.evaluate(spelt, inputs),
        "allocate-sram": accel_meaning.evaluate(module, inputs),
        "the machine": run(program, inputs).tensors,
    }
    for name, outputs in others.items():
        for key, value in expected.items():
            np.testing.assert_array_equal(outputs[key], value, err_msg=f"{key} after {name}")
    assert accel.programs(module)
    return program, expected
