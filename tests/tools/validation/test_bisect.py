"""A fault put into a program is found: the layer, the instruction that computed it, and the values."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim.machine.encoding import decode, encode
from sim.machine.program import MachineSegment, Program
from tests.conftest import ROOT, Tool
from tools.validation.bisect import Compiled, Looked, bisect, compile_for_bisect
from tools.validation.probes import Inputs, entrances, probes

MODEL = ROOT / "tests" / "data" / "models" / "resnet8_cifar10_int8.onnx"
LAYER = "conv2d_3"

Record = tuple[str, Mapping[str, Any]]


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    return compile_for_bisect(MODEL)


@pytest.fixture(scope="module")
def inputs(compiled: Compiled) -> Inputs:
    return probes(entrances(compiled.cnn), 1)[0][1]


def of_layer(program: Program, wanted: Callable[[Record], bool]) -> tuple[int, Record]:
    """The first instruction of LAYER of a kind, with its number."""
    (segment,) = (part for part in program.segments if isinstance(part, MachineSegment))
    for index, record in enumerate(decode(segment.code).records()):
        if program.layers[int(segment.layer_of[index])].name == LAYER and wanted(record):
            return index, record
    raise AssertionError("no such instruction")


def with_fields(program: Program, index: int, **fields: int) -> Program:
    """The program with fields of one instruction changed."""
    (segment,) = (part for part in program.segments if isinstance(part, MachineSegment))
    records: list[Record] = [*decode(segment.code).records()]
    name, old = records[index]
    records[index] = name, {**old, **fields}
    changed = dataclasses.replace(segment, code=encode(records))
    return dataclasses.replace(
        program, segments=tuple(changed if part is segment else part for part in program.segments)
    )


def with_a_wrong_weight(program: Program) -> Program:
    """The program with one byte of LAYER's weights changed."""
    _, (_, load) = of_layer(program, lambda record: record[0] == "load" and record[1]["bytes"] > 1000)
    constants = program.constants.copy()
    constants[load["dram"] + 100] ^= 0x7F
    return dataclasses.replace(program, constants=constants)


@pytest.mark.parametrize("against", ["onnxruntime", "cnn"])
def test_a_good_program(compiled: Compiled, inputs: Inputs, against: Any) -> None:
    looked = Looked()
    assert bisect(compiled, inputs, against, looked) is None
    assert (looked.layers, looked.unseen) == (len(compiled.program.layers), set())


@pytest.mark.parametrize("against", ["onnxruntime", "cnn"])
def test_a_wrong_weight(compiled: Compiled, inputs: Inputs, against: Any) -> None:
    program = with_a_wrong_weight(compiled.program)
    finding = bisect(dataclasses.replace(compiled, program=program), inputs, against)
    assert finding is not None
    assert finding.where.startswith(f"layer '{LAYER}' (")
    conv, _ = of_layer(program, lambda record: record[0] == "conv")
    assert finding.instruction.startswith(f"instruction {conv} of segment 'main_segment': conv ")
    assert finding.others == () if against == "onnxruntime" else "conv2d_4" in finding.others


def test_a_wrong_field(compiled: Compiled, inputs: Inputs) -> None:
    index, (_, fields) = of_layer(compiled.program, lambda record: record[0] == "conv")
    program = with_fields(compiled.program, index, zero_point=fields["zero_point"] + 3)
    finding = bisect(dataclasses.replace(compiled, program=program), inputs, "onnxruntime")
    assert finding is not None
    assert finding.where.startswith(f"layer '{LAYER}' (ONNX node '")
    assert int(finding.found) - int(finding.expected.split()[0]) == 3
    assert finding.instruction.startswith(f"instruction {index} of segment 'main_segment': conv ")


def test_a_program_that_stops(compiled: Compiled, inputs: Inputs) -> None:
    index, _ = of_layer(compiled.program, lambda record: record[0] == "conv")
    program = with_fields(compiled.program, index, **{"in.base": 11 << 20})
    finding = bisect(dataclasses.replace(compiled, program=program), inputs, "onnxruntime")
    assert finding is not None
    assert finding.fault.startswith(f"Instruction {index} of layer '{LAYER}' (conv ")
    assert "which no instruction of this run has written" in finding.fault


def test_the_command(recon: Tool, compiled: Compiled, tmp_path: Path) -> None:
    outcome = recon("bisect", MODEL, "--inputs", 1)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == (
        "no difference from ONNX Runtime on 1 input: 11 layers compared, 86,090 elements, 0 at a rounding tie\n"
    )
    with_a_wrong_weight(compiled.program).save(tmp_path / "wrong.rbin")
    np.save(tmp_path / "x.npy", np.full((1, 32, 32, 3), 77, np.int8))
    outcome = recon("bisect", MODEL, "--program", tmp_path / "wrong.rbin", "--input", tmp_path / "x.npy")
    lines = outcome.out.splitlines()
    assert (outcome.code, len(lines)) == (1, 4)
    assert lines[0].startswith(
        f"on the input the first difference from ONNX Runtime is in layer '{LAYER}' (ONNX node '"
    )
    assert lines[1].startswith("  element [0, ")
    assert lines[3].startswith("  instruction ")


def test_text_below_cnn_has_no_reference(recon: Tool) -> None:
    outcome = recon("bisect", ROOT / "examples" / "fused.mlir")
    assert outcome.code == 1
    assert outcome.err == (
        f"error: {ROOT / 'examples' / 'fused.mlir'}: this is at level tile; a reference is needed, so give an ONNX "
        "model or cnn text.\n"
    )
