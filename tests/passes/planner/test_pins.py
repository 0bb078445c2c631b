"""Pins of the plan: what is pinned is there, nothing else is lost, and the answers stay."""

from __future__ import annotations

import numpy as np
import pytest

from sim.machine.encoding import decode
from sim.machine.isa import BY_NAME
from sim.machine.program import MachineSegment, Program
from tests.conftest import ROOT
from tools.driver import compile_model
from tools.files.tensors import random_inputs
from tools.options import Planning
from tools.reports.profile.records import Profile, profile
from tools.runtime import run_program

RESNET8 = ROOT / "tests" / "data" / "models" / "resnet8_cifar10_int8.onnx"


def planned(*pins: str, **more: int) -> Program:
    return compile_model(RESNET8, options=Planning(pin=pins, **more))  # pyright: ignore[reportArgumentType]


def order_of_weights(program: Program) -> list[str]:
    """The layers in the order in which their constants come first."""
    (segment,) = (each for each in program.segments if isinstance(each, MachineSegment))
    stream = decode(segment.code)
    where = stream.indices(BY_NAME["load"].opcode)
    constant = stream.tables[BY_NAME["load"].opcode]["dram"] < program.constants.size
    return list(dict.fromkeys(program.layers[each].name for each in segment.layer_of[where[constant]].tolist()))


def runs(made: Profile, name: str) -> int:
    """How many stretches the works of a layer fall into, other layers' between them."""
    ran = made.steps
    works = ran.layer[ran.opcode == BY_NAME["conv"].opcode]
    mine = np.array([made.layers[each].statistics.name == name for each in works.tolist()])
    return int((mine[1:] & ~mine[:-1]).sum() + mine[0])


@pytest.mark.parametrize(
    "pins",
    [
        ("conv2d_7=first",),
        ("conv2d_1=dram",),
        ("conv2d_1..conv2d_2=fused 4",),
        ("conv2d..conv2d_2=fused 2", "conv2d_7=first", "conv2d_6=dram"),
        ("conv2d..conv2d_2=apart",),
    ],
    ids=str,
)
def test_no_pin_changes_an_answer(pins: tuple[str, ...]) -> None:
    plain, pinned = planned(), planned(*pins)
    given = random_inputs(plain, 3)
    for name, tensor in run_program(plain, given).outputs.items():
        np.testing.assert_array_equal(run_program(pinned, given, sanitize=True).outputs[name], tensor)


def test_weights_that_come_first() -> None:
    assert order_of_weights(planned())[0] == "conv2d"
    assert order_of_weights(planned("conv2d_7=first"))[:2] == ["conv2d_7", "conv2d"]


def test_layers_that_run_together_and_apart() -> None:
    assert runs(profile(planned()), "conv2d_2") == 1
    assert runs(profile(planned("conv2d_1..conv2d_2=fused 4")), "conv2d_2") == 4
    limit = 32 * 1024
    assert runs(profile(planned(sram_limit=limit)), "conv2d_1") > 1


def test_a_result_that_waits_in_dram_and_one_that_must_not() -> None:
    def spilled(program: Program) -> dict[str, int]:
        return {row.statistics.name: row.traffic["spill"] for row in profile(program).layers if row.traffic["spill"]}

    assert spilled(planned()) == {}
    assert set(spilled(planned("conv2d_1=dram"))) == {"conv2d_1", "conv2d_2"}
    limit = 64 * 1024
    assert set(spilled(planned("conv2d_1=dram", sram_limit=limit))) >= {"conv2d_1", "conv2d_2"}
