"""The planner's options: none changes an answer, the same options give the same program, and wrong ones are refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from passes.cnn_to_tile.convert_cnn_to_tile import ConvertCnnToTilePass
from passes.cnn_to_tile.order_layers import OrderLayersPass
from passes.cnn_to_tile.select_configuration import SelectConfigurationPass
from passes.planner.options import FREEDOMS, OFFERS, Options, options_from, sram_bytes
from passes.planner.pins import FORMS
from sim.machine.errors import ReconError
from sim.machine.program import load
from tests.conftest import ROOT, Outcome, Tool
from tools.driver import compile_model, lower, run_program
from tools.files.tensors import random_inputs
from tools.options import Planning
from tools.reports.compare import Study

MODELS = ROOT / "tests" / "data" / "models"
RESNET8 = MODELS / "resnet8_cifar10_int8.onnx"

OPTIONS = {
    "-O0": Planning(level=0),
    "-O1": Planning(level=1),
    "dram": Planning(objective="dram"),
    "energy": Planning(objective="energy"),
    "limit": Planning(sram_limit=64 * 1024),
    "budget": Planning(time_budget=0.1),
    **{f"without-{name}": options_from(without=[name]) for name in FREEDOMS},
    "without-all": Planning(winograd=False, single=True, prefetch=False, residency=False, fusion=False, order=False),
    "everything": Planning(level=1, objective="dram", sram_limit=80 * 1024, winograd=False, time_budget=2.0),
}


@pytest.fixture(scope="module", params=["resnet8_cifar10_int8", "dscnn_kws_int8"])
def study(request: pytest.FixtureRequest) -> Study:
    """A trained model at the cnn level."""
    return Study(MODELS / f"{request.param}.onnx")


@pytest.fixture(scope="module")
def answers(study: Study) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Random inputs and the outputs of the plan without options."""
    program = study.program("edge4k")
    inputs = random_inputs(program, 1)
    return inputs, run_program(program, inputs).outputs


@pytest.mark.parametrize("name", OPTIONS)
def test_no_option_changes_an_answer(
    study: Study, answers: tuple[dict[str, np.ndarray], dict[str, np.ndarray]], name: str
) -> None:
    inputs, outputs = answers
    program = study.program("edge4k", OPTIONS[name])
    assert program.to_bytes() == study.program("edge4k", OPTIONS[name]).to_bytes()
    result = run_program(program, inputs)
    assert result.statistics.cycles == program.predicted_cycles
    assert outputs.keys() == result.outputs.keys()
    for key, output in outputs.items():
        np.testing.assert_array_equal(result.outputs[key], output)


def test_options_reach_the_plan(study: Study) -> None:
    def configurations(options: Planning) -> set[str]:
        return {layer.configuration for layer in study.program("edge4k", options).layers} - {""}

    assert len(configurations(Planning(single=True))) == 1
    assert len(configurations(Planning(level=0))) == 1
    layer = next(layer for layer in study.program("edge4k").layers if layer.configuration)
    pin = f"{layer.name}=direct g1 k32 r8 p16"
    (pinned,) = [row for row in study.program("edge4k", Planning(pin=(pin,))).layers if row.name == layer.name]
    assert pinned.configuration == "direct g1 k32 r8 p16"


def test_the_limit_binds_planning_and_placement(study: Study) -> None:
    from dialects import accel

    module = study.module.clone()
    lower(module, "accel", study.context, machine="edge4k", options=Planning(sram_limit=80_000))
    (program,) = accel.programs(module)
    assert max(buffer.at + buffer.nbytes for buffer in program.buffers) <= 80_000
    assert study.program("edge4k", Planning(sram_limit=80_000)).notes[-1] == "Planned within 80,000 bytes of SRAM."


def test_the_command_line_takes_them_all(recon: Tool, recon_opt: Tool, tmp_path: Path) -> None:
    options = ["-O1", "--objective", "dram", "--sram-limit", "80KiB", "--pin", "conv2d_1=direct g1 k16 r16 p16",
               "--time-budget", "5"]  # fmt: skip
    outcome = recon("compile", RESNET8, "-o", tmp_path / "a.rbin", "--without", "winograd", *options)
    assert outcome.code == 0
    assert outcome.err.splitlines()[-1] == "note: Planned within 81,920 bytes of SRAM."
    expected = Planning(
        level=1,
        objective="dram",
        sram_limit=81_920,
        winograd=False,
        pin=("conv2d_1=direct g1 k16 r16 p16",),
        time_budget=5.0,
    )
    assert (tmp_path / "a.rbin").read_bytes() == compile_model(RESNET8, options=expected).to_bytes()
    # recon-opt gives the same plan, which is compiled as it is
    plan = tmp_path / "plan.mlir"
    assert recon_opt(RESNET8, "--to", "tile", "--machine", "edge4k", *options, "-o", plan).code == 0
    assert recon("compile", RESNET8, "-o", tmp_path / "b.rbin", *options).code == 0
    assert recon("compile", plan, "-o", tmp_path / "c.rbin").code == 0
    assert load(tmp_path / "c.rbin").segments[1].code == load(tmp_path / "b.rbin").segments[1].code  # pyright: ignore


@pytest.mark.parametrize(
    ("text", "size"),
    [("2MiB", 2**21), ("2048KiB", 2**21), ("2097152", 2**21), ("2MB", 2_000_000), ("1.5 MiB", 1_572_864), ("64b", 64)],
)
def test_sizes(text: str, size: int) -> None:
    assert sram_bytes(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "2GiB", "MiB", "1.5", "two"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(ReconError) as caught:
        sram_bytes(text)
    assert str(caught.value) == f"--sram-limit {text}: write a size such as 2MiB, 2048KiB, 2MB or 2097152."


def refused(outcome: Outcome, message: str) -> None:
    """The tool ended with this message and nothing else."""
    assert (outcome.code, outcome.out, outcome.err) == (1, "", f"error: {message}\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--objective", "speed"], "--objective speed: there are cycles, latency, throughput, dram, energy."),
        (["--time-budget", "0"], "--time-budget 0: give a number of seconds above 0."),
        (["--time-budget", "nan"], "--time-budget nan: give a number of seconds above 0."),
        (
            ["--without", "luck"],
            "--without luck: there are winograd, reconfiguration, prefetch, residency, fusion, order.",
        ),
        (
            ["--sram-limit", "13MiB", "--machine", "edge4k"],
            "The SRAM limit of 13,631,488 bytes is more than the 12,582,912 that edge4k has.",
        ),
        (
            ["--sram-limit", "13MiB"],
            "The SRAM limit of 13,631,488 bytes is more than the 12,582,912 that edge4k has.",
        ),
        (["--pin", "conv2d"], f'Cannot pin: "conv2d" is none of {FORMS}.'),
        (
            ["--pin", "conv2d=fast"],
            'Cannot pin: "fast" is not a configuration such as "direct g1 k64 r16 p4".',
        ),
        (["--pin", "conv2d=direct g1 k3 r1 p1"], 'Cannot pin: "direct g1 k3 r1 p1": 3 is not a power of two.'),
        (
            ["--pin", "conv2d=direct g1 k64 r64 p4"],
            "Cannot pin: conv2d in direct g1 k64 r64 p4: direct g1 k64 r64 p4 needs 16384 lanes and edge4k has 4096.",
        ),
        (
            ["--pin", "conv2d=direct g1 k64 r64 p1", "--pin", "conv2d=direct g1 k64 r16 p4"],
            "Cannot pin: conv2d is given two configurations, direct g1 k64 r64 p1 and direct g1 k64 r16 p4.",
        ),
        (["--pin", "conv2d=fused 4"], f'Cannot pin: "conv2d=fused 4" is none of {FORMS}, with N from 2 on.'),
        (
            ["--pin", "conv2d..conv2d_1=fused 1"],
            f'Cannot pin: "conv2d..conv2d_1=fused 1" is none of {FORMS}, with N from 2 on.',
        ),
        (
            ["--pin", "conv2d=dram", "--pin", "conv2d=sram"],
            "Cannot pin: the result of conv2d is to wait in DRAM and in SRAM.",
        ),
        (["--pin", "conv2d_11=first"], "There is no layer 'conv2d_11' to pin; did you mean 'conv2d_1'?"),
        (
            ["--pin", "conv2d_2..conv2d_1=fused 2"],
            "Cannot pin: conv2d_2 and conv2d_1 are no run of layers in the order in which they are planned.",
        ),
        (
            ["--pin", "conv2d..conv2d_1=fused 99"],
            "Cannot pin: 99 stripes are more than the 32 rows of the smallest result.",
        ),
        (
            ["--pin", "dense=dram"],
            "Cannot pin: the result of dense cannot wait in DRAM; it is seen in another shape.",
        ),
        (
            ["--pin", "conv2d=first", "--frames", "stream"],
            "Of frames in a row only configurations can be pinned.",
        ),
        (
            ["--pin", "conv2d_11=direct g1 k64 r16 p4"],
            "There is no convolution 'conv2d_11' to pin a configuration to; did you mean 'conv2d_1'?",
        ),
        (
            ["--pin", "stem=direct g1 k64 r16 p4"],
            "There is no convolution 'stem' to pin a configuration to; the table of 'recon run' names the layers.",
        ),
        (
            ["--pin", "dense=winograd g1 k64 r16 p4"],
            "Layer dense cannot run in winograd g1 k64 r16 p4 on edge4k: Winograd is for 3×3 kernels with stride and "
            "dilation 1.",
        ),
    ],
)
def test_wrong_options(recon: Tool, tmp_path: Path, options: list[str], message: str) -> None:
    refused(recon("compile", RESNET8, "-o", tmp_path / "x.rbin", *options), message)
    assert not (tmp_path / "x.rbin").exists()


def test_limit_too_small(recon: Tool, tmp_path: Path) -> None:
    outcome = recon("compile", RESNET8, "-o", tmp_path / "x.rbin", "--sram-limit", "512")
    assert outcome.code == 1
    assert outcome.err.startswith("error: Layer ")
    assert "does not fit in SRAM" in outcome.err
    assert "there are 512" in outcome.err


def test_a_plan_is_planned(recon: Tool, recon_opt: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert recon_opt(RESNET8, "--to", "tile", "--machine", "edge4k", "-o", "plan.mlir").code == 0
    assert recon_opt("plan.mlir", "--to", "accel", "-o", "code.mlir").code == 0
    help_ = "leave the options of the planner out, or give them where the model is planned."
    refused(
        recon("compile", "plan.mlir", "-o", "x.rbin", "-O1"),
        f"plan.mlir: this is at level tile, where the plan is made already; {help_}",
    )
    refused(
        recon("compile", "code.mlir", "-o", "x.rbin", "--sram-limit", "1MiB"),
        f"code.mlir: this is at level accel, where the plan is made already; {help_}",
    )
    assert recon("compile", "plan.mlir", "-o", "x.rbin", "--sram-limit", "1MiB").code == 0
    assert load("x.rbin").notes[-1] == "Planned within 1,048,576 bytes of SRAM."


def test_options_without_anything_are_the_default() -> None:
    assert Planning.of(options_from()) == Planning()


def test_every_option_of_the_planner_is_offered_by_every_tool(recon: Tool, recon_opt: Tool) -> None:
    compiling, opting = recon("compile", "--help").out, recon_opt("--help").out
    for name, offer in OFFERS.items():
        flag = offer.flag or f"--{name.replace('_', '-')}"
        assert flag in compiling
        assert flag in opting
    assert "|".join(FREEDOMS) in compiling
    for entry in (OrderLayersPass, SelectConfigurationPass, ConvertCnnToTilePass):
        assert {field.name for field in dataclasses.fields(Options)} < {
            field.name for field in dataclasses.fields(entry)
        }
