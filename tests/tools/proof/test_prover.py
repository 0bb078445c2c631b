"""The proof for every input: it accepts what compiles, and nothing that answers otherwise on any input tried.

More of them: ``RECON_PROOFS=100-1000 pytest tests/tools/proof`` takes other seeds.
"""

from __future__ import annotations

import os
import random
import re
from pathlib import Path

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

from backend.emit import emit
from dialects import cnn
from dialects.meaning import cnn as cnn_meaning
from dialects.onnx_export import main_function
from sim.machine.errors import ReconError
from sim.machine.isa import BY_NAME, VECTOR_OPS
from sim.machine.program import MachineSegment, Program
from tests.conftest import ROOT
from tests.mutations.proven import is_refused
from tests.passes.planner.nets import random_net
from tests.passes.planner.support import planned, random_inputs, random_machine, write_machine
from tests.passes.tile_to_accel.support import lower as lower_plan
from tests.tools.proof.mutants import KINDS, records_of
from tools.driver import compile_model, lower, make_context, read_module, run_program
from tools.proof import field, machine, model
from tools.proof.book import Book
from tools.proof.machine import NotProven
from tools.proof.prover import compared, prove

FIRST, LAST = map(int, os.environ.get("RECON_PROOFS", "0-24").split("-"))
MODELS = sorted((ROOT / "tests" / "data" / "models").glob("*.onnx"))


def compiled(seed: int, folder: Path) -> tuple[ModuleOp, Program] | None:
    """A random network and its program for a random machine, or None where it does not fit."""
    module = random_net(seed)
    try:
        return module, emit(lower_plan(planned(module, write_machine(random_machine(seed), folder))))
    except ReconError:
        return None


def test_every_operation_has_its_labels() -> None:
    computes = {op for op in cnn.CNN.operations if op not in (cnn.HostOp, cnn.YieldOp)}
    assert set(model.HANDLERS) == computes
    assert set(machine.HANDLERS) == set(BY_NAME)
    assert set(machine.OPERATIONS) == set(VECTOR_OPS)


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_programs_of_trained_models_are_proven(path: Path) -> None:
    context = make_context()
    module = read_module(path, context)
    lower(module, "cnn", context)
    program = compile_model(path)
    assert prove(program, module).rounds == 1
    compared(program, module, Book(7))
    compared(program, module, field.Round(7))


@pytest.mark.parametrize("seed", range(FIRST, LAST))
def test_random_programs_are_proven_and_harmful_mutants_refused(seed: int, tmp_path: Path) -> None:
    made = compiled(seed, tmp_path)
    if made is None:
        return
    module, program = made
    compared(program, module, Book(seed))
    compared(program, module, field.Round(seed))
    inputs = [random_inputs(module, number) for number in range(3)]
    inputs.append({name: np.full_like(x, -128) for name, x in inputs[0].items()})
    expected = [cnn_meaning.evaluate(module, given) for given in inputs]
    dice = random.Random(seed)
    (segment,) = (s for s in program.segments if isinstance(s, MachineSegment))
    for kind, mutate in KINDS.items():
        mutant = mutate(program, segment, records_of(segment), dice)
        if mutant is None or is_refused(mutant, module):
            continue
        for given, wanted in zip(inputs, expected, strict=True):
            outputs = run_program(mutant, given).outputs
            for name, values in wanted.items():
                np.testing.assert_array_equal(outputs[name], values, err_msg=f"{kind}, seed {seed}")


def test_the_message_names_instruction_layer_and_element() -> None:
    path = MODELS[-1]
    context = make_context()
    module = read_module(path, context)
    lower(module, "cnn", context)
    for op in main_function(module).body.block.ops:
        if isinstance(op, cnn.Conv2dOp):  # the model says another clamp than the program was compiled with
            op.clamp = cnn.ClampAttr.of(-100, 127)
            break
    with pytest.raises(NotProven) as error:
        prove(compile_model(path), module)
    assert re.fullmatch(
        r"The program does not compute the model: element 0 of its output 'Identity_int8' is no element of any layer "
        r"and should be element \[0, 0\] of exit \(10 of 10 elements differ\)\. The first value that the model does "
        r"not have is made by instruction \d+, conv of layer conv2d, ONNX node \S+, Relu__5: row 0, column 0, "
        r"channel 0 of what it writes, byte 0x[0-9a-f]+ of SRAM \(16,38\d such bytes\)\.",
        str(error.value),
    )


@pytest.mark.parametrize("seed", range(4))
def test_sums_of_products_are_those_of_the_integers(seed: int) -> None:
    numbers = np.random.default_rng(seed)
    window = field.Window((3, 4), (3, 2), (2, 1), (1, 2))
    groups, outputs, inputs = ((1, 5, 7), (6, 1, 1), (3, 2, 4), (1, 3, 40))[seed]
    image = numbers.integers(0, field.PRIME, (*window.extent, groups * inputs)).astype(np.uint32)
    reach = 2**31 - 1 if seed == 3 else 300
    weights = numbers.integers(-300 if reach == 300 else 0, reach, (groups, outputs, 3, 2, inputs))
    found = field.convolve(image, weights, window)
    for oy, ox, group, output in np.ndindex(3, 4, groups, outputs):
        total = sum(
            int(weights[group, output, y, x, c]) * int(image[oy * 2 + y, ox + 2 * x, group * inputs + c])
            for y, x, c in np.ndindex(3, 2, inputs)
        )
        assert found[oy, ox, group * outputs + output] == total % field.PRIME


def test_codes_survive_as_labels() -> None:
    codes = np.arange(-128, 128).astype(np.int8)
    assert (field.codes_of(field.of_codes(codes)) == codes).all()
    assert field.codes_of(np.array([1000], np.uint32)) is None
