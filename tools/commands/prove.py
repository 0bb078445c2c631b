"""recon prove: a program computes its model, whatever the input."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tools.terminal.console import AssumeInt8, Debug, InputShape, Quiet, Talk, Verbose

if TYPE_CHECKING:
    from tools.proof.onnx_graph import Reading

_SHOWN = 6
"""Layers named that do not follow."""


def prove_command(
    program: Annotated[Path, typer.Argument(metavar="MODEL.rbin", help="The program.")],
    against: Annotated[
        str, typer.Option(metavar="MODEL.onnx|CNN.mlir", help="The model it was made from, or its cnn level.")
    ],
    input_shape: InputShape = None,
    assume_int8: AssumeInt8 = False,
    rounds: Annotated[int, typer.Option(metavar="N", help="Independent rounds of the proof.", min=1)] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the random labels.", min=0)] = 0,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Prove that a program computes its model for every input.

    Both run on labels instead of values. Exits with 1, naming the instruction, when they part.

    \b
    recon prove mobilenet.rbin --against mobilenet.onnx
    recon prove cost.rbin --against float_model.onnx --assume-int8
    recon prove mine.rbin --against model.cnn.mlir --rounds 4

    The order of instructions is proven first: no race, no deadlock. What is taken for granted is that each instruction
    rounds as its law says (docs/trust.md). The program is proven against the cnn level; of a quantised .onnx file it
    says how many layers of that level follow from the graph.
    """
    import onnx

    from passes.accel.check_hazards import check_program
    from sim.machine.program import load
    from tools.driver import lower, make_context, read_module
    from tools.options import input_shapes
    from tools.proof.onnx_graph import read
    from tools.proof.prover import prove

    talk = Talk(quiet, verbose)
    loaded = load(str(program))
    with talk.progress("proving") as progress:
        progress.doing("looking for races")
        check_program(loaded)
        progress.doing("reading the model")
        context = make_context()
        module = read_module(against, context, input_shapes(input_shape or []))
        lower(module, "cnn", context, assume_int8=assume_int8, report=progress.doing)
        proof = prove(loaded, module, rounds, seed, progress.doing)
        reading = None
        if against.endswith(".onnx") and not assume_int8:
            progress.doing("reading the graph on labels")
            reading = read(onnx.load(against), module, seed)
    talk.answer(
        f"proven for every input: {proof.elements:,} output elements, {proof.instructions:,} instructions, "
        f"{proof.rounds} round{'s' if proof.rounds > 1 else ''}"
    )
    if reading is not None:
        talk.answer(_follows(reading))


def _follows(reading: Reading) -> str:
    """What of the way from ``onnx`` to ``cnn`` follows for every input, and what is only tried."""
    every, tried = len(reading.proven) + len(reading.tried), reading.tried
    said = f"from onnx to cnn: {len(reading.proven)} of {every} layers follow for every input"
    if not tried:
        return said
    more = f" and {len(tried) - _SHOWN} more" if len(tried) > _SHOWN else ""
    return f"{said}; only tried on inputs (recon compile --validate): {', '.join(tried[:_SHOWN])}{more}"
