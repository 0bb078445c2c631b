"""Time depends on no value: one timing run is *the* time of a program, whatever its inputs and weights are.

The laws of time belong to the machine's book, which cannot import what holds or moves a byte (an import contract): the
clock is given the machine and the instructions and nothing else. Here the rest is tried: any inputs, and constants that
are noise, give the same start and end of every instruction as no values at all.
"""

from __future__ import annotations

import dataclasses
import inspect
import tomllib

import numpy as np
import pytest

from sim.machine import clock
from sim.machine.encoding import decode
from sim.machine.isa import BY_NAME
from sim.machine.program import MachineSegment, Program
from sim.simulator import Run, simulate
from tests.conftest import ROOT
from tools.driver import compile_model
from tools.runtime import run_host

MODELS = ROOT / "tests" / "data" / "models"


@pytest.fixture(scope="module", params=["dscnn_kws_int8.onnx", "resnet8_cifar10_int8.onnx"])
def program(request: pytest.FixtureRequest) -> Program:
    return compile_model(MODELS / str(request.param))


def times(run: Run) -> list[tuple[bytes, bytes]]:
    """Start and end of every instruction."""
    return [(each.timeline.start.tobytes(), each.timeline.end.tobytes()) for each in run.segments]


def noisy(program: Program, dice: np.random.Generator) -> Program:
    """The program with other weights, parameters and tables, each byte one off or not, so that no sum overflows;
    configuration images are settings and stay."""
    constants = program.constants ^ dice.integers(0, 2, len(program.constants), dtype=np.uint8)
    image = program.machine.configuration.image_bytes
    for segment in program.segments:
        if isinstance(segment, MachineSegment):
            for address in images(segment):
                constants[address : address + image] = program.constants[address : address + image]
    return dataclasses.replace(program, constants=constants)


def images(segment: MachineSegment) -> list[int]:
    """DRAM addresses that load_config reads."""
    return [int(row["address"]) for row in decode(segment.code).tables.get(BY_NAME["load_config"].opcode, ())]


@pytest.mark.parametrize("seed", range(3))
def test_any_values_take_the_same_time(program: Program, seed: int) -> None:
    dice = np.random.default_rng(seed)
    expected = times(simulate(program, {}, timing_only=True))
    other = noisy(program, dice)
    assert not np.array_equal(other.constants, program.constants)
    for each in (program, other):
        inputs = {port.name: dice.normal(0, 50, port.shape).astype(port.dtype) for port in each.inputs}
        assert times(simulate(each, inputs, host=run_host)) == expected


def test_the_clock_is_given_no_value() -> None:
    given = inspect.signature(clock.run).parameters
    assert not {"memory", "values", "tensors", "constants", "inputs", "program"} & set(given)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (book,) = [each for each in contracts if each["name"].startswith("Only tools run the machine")]
    assert "sim.machine" in book["source_modules"]
    assert {"sim.memory", "sim.engine", "sim.simulator", "sim.vector_unit"} <= set(book["forbidden_modules"])
