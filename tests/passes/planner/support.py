"""Shared by the planner's tests: small machines, and the road from a cnn module to what the machine makes of it."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from backend.emit import emit
from dialects.meaning import cnn as cnn_meaning
from dialects.meaning import tile as tile_meaning
from dialects.onnx_export import main_function, strings_of
from passes.cnn_to_tile.convert_cnn_to_tile import ConvertCnnToTilePass
from passes.cnn_to_tile.order_layers import OrderLayersPass
from passes.cnn_to_tile.select_configuration import SelectConfigurationPass
from passes.planner.options import Options
from passes.tile.elide_configuration import ElideConfigurationPass
from sim.machine.description import Machine, load
from sim.machine.program import Program
from tests.passes.tile_to_accel.support import context, lower
from tools.driver import lower as compile_down
from tools.driver import make_context
from tools.runtime import run_program

Array = npt.NDArray[Any]


def write_machine(machine: Machine, folder: Path) -> str:
    """The path of a TOML file with this description, named after its fingerprint."""
    lines: list[str] = []
    tables: list[str] = []
    for key, value in machine.to_json().items():
        if isinstance(value, dict):
            tables += [f"[{key}]", *(f"{name} = {json.dumps(part)}" for name, part in value.items())]
        else:
            lines.append(f"{key} = {json.dumps(value)}")
    path = folder / f"{machine.name}-{machine.fingerprint[:12]}.toml"
    path.write_text("\n".join([*lines, *tables]) + "\n")
    return str(path)


def altered(base: str = "edge1k", **sections: Mapping[str, Any]) -> Machine:
    """A machine of the house with some numbers changed: ``altered(sram={"bytes": 8192})``."""
    machine = load(base)
    parts = {name: dataclasses.replace(getattr(machine, name), **changes) for name, changes in sections.items()}
    return dataclasses.replace(machine, name="small", **parts)


def random_machine(seed: int) -> Machine:
    """A small machine: little of everything, sometimes without Winograd, flattening, or a choice of configurations."""
    dice = random.Random(seed)
    lanes = dice.choice([16, 64, 256, 1024])
    configurations: list[str] = []
    if dice.random() < 0.15:
        # A fixed array, and one for whatever the first cannot hold.
        configurations = [f"direct g1 k{lanes // 8} r8 p1", "direct g1 k1 r16 p1", "direct g16 k1 r1 p1"]
    return altered(
        array={
            "lanes": lanes,
            "half_words": dice.choice([8, 16, 32, 64, 128]),
            "accumulators": dice.choice([256, 1024, 4096, 65536]),
            "winograd": dice.choice(["none", "on_fill", "on_fill"]),
            "flatten": dice.random() < 0.7,
            "configurations": tuple(configurations),
        },
        sram={"bytes": dice.choice([8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 1024]) * 1024},
        configuration={"image_bytes": dice.choice([64, 1024, 4096])},
        streams={"vector": dice.choice([8, 64]), "input": dice.choice([16, 128])},
        instruction_memory={"bytes": 1 << 24},
    )


def run_pass(step: ModulePass, module: ModuleOp) -> None:
    """Apply a pass and verify what it leaves."""
    step.apply(Context(), module)
    module.verify()


def random_inputs(module: ModuleOp, seed: int) -> dict[str, Array]:
    """Random codes for the inputs of ``@main``."""
    function = main_function(module)
    generator = np.random.default_rng(seed)
    names = strings_of(function.attributes.get("inputs"))
    return {
        name: generator.integers(-128, 128, argument.type.dims, np.int8)  # pyright: ignore[reportAttributeAccessIssue]
        for name, argument in zip(names, function.body.block.args, strict=True)
    }


def planned(module: ModuleOp, machine: str, **options: Any) -> ModuleOp:
    """A module's plan, as tile IR; ReconError where there is none."""
    plan = module.clone()
    for step in (OrderLayersPass, SelectConfigurationPass, ConvertCnnToTilePass):
        known = {field.name for field in dataclasses.fields(step)}
        run_pass(step(machine=machine, **{key: value for key, value in options.items() if key in known}), plan)
    run_pass(ElideConfigurationPass(), plan)
    return plan


def program_of(module: ModuleOp, machine: str, options: Options) -> Program:
    """A module's program as a tool compiles it; ReconError where there is none."""
    copy = module.clone()
    compile_down(copy, "accel", make_context(), machine=machine, options=options)
    return emit(copy)


def same(expected: Mapping[str, Array], found: Mapping[str, Array], where: str) -> None:
    """Byte for byte."""
    assert set(expected) <= set(found), where
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=f"{name} of {where}")


def check_everywhere(
    module: ModuleOp, plan: ModuleOp, seed: int = 0, inputs: Mapping[str, Array] | None = None
) -> Program:
    """Run a plan as text and on the machine: the answers are the network's, byte for byte, and the clock is right.

    Lowering must succeed: the planner only makes plans that fit.
    """
    inputs = random_inputs(module, seed) if inputs is None else inputs
    expected = cnn_meaning.evaluate(module, inputs)
    same(expected, tile_meaning.evaluate(plan, inputs), "the plan")
    program = emit(lower(plan.clone()))
    result = run_program(program, inputs, sanitize=True)
    same(expected, result.outputs, "the machine")
    assert program.bounds.bound3 <= result.statistics.cycles == program.predicted_cycles
    return program


__all__ = [
    "altered",
    "check_everywhere",
    "context",
    "planned",
    "program_of",
    "random_inputs",
    "random_machine",
    "write_machine",
]
