"""The parts of ``make verify``. Each takes a Length, adds to a Tally and says what it is at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.utils.exceptions import DiagnosticException, ParseError

from backend.emit import emit
from passes.common.levels import level_of
from passes.onnx.import_onnx import import_model
from sim.machine.errors import ReconError
from sim.machine.program import Program
from tests.conftest import ROOT
from tests.mutations.proven import compare as compare_proofs
from tests.mutations.table import compare as compare_mutants
from tests.mutations.texts import cases as text_cases
from tests.mutations.texts import judge as judge_text
from tests.oracle.integer_oracle import run_integer
from tests.passes.onnx_to_cnn.spread_graphs import EVERY, case
from tests.passes.partition.node_cases import REFUSED, RIGHT, UNKNOWN, cases, head, judge, tail
from tests.passes.tile_to_accel.plans import random_plan
from tests.second_clock.__main__ import random_comparison
from tests.second_clock.compare import compare_program
from tests.verify import attacks
from tests.verify import operators as by_operator
from tests.verify.lengths import Length
from tests.verify.tally import Say, Tally
from tools.driver import lower, make_context, read_module
from tools.runtime import Result, run_program
from tools.terminal import diagnostics
from tools.validation.probes import Inputs
from tools.validation.validate import ValidationError, Validator

EXAMPLES = ROOT / "examples"
TEXTS = ROOT / "tests" / "filecheck" / "tile"


def models(length: Length, tally: Tally, say: Say) -> None:
    """Every pass on every model and machine; the program against proof, sanitizer, oracle and second clock."""
    for path in length.paths:
        for machine in length.machines:
            where = f"{path.stem} on {machine}"
            say(where)
            outputs: list[tuple[Inputs, Result]] = []
            program = _validated(where, _reader(path), machine, length, tally, outputs)
            if program is None:
                continue
            for inputs, result in outputs:
                expected = run_integer(path, inputs)
                wrong = [name for name, array in expected.items() if not _equal(array, result.outputs[name])]
                tally.oracle += not wrong
                tally.failures += [f"{where}: the output '{name}' differs from the integer oracle." for name in wrong]
            _second_clock(where, program, tally)


def operators(length: Length, tally: Tally, say: Say) -> None:
    """Every pass on graphs of a few operators, int8 and uint8; those that the compiler refuses are counted."""
    names = [*EVERY, *(f"u:{name}" for name in EVERY)]
    for where in names[:: max(1, len(names) // length.operators)]:
        say(where)

        def read(name: str = where) -> ModuleOp:
            return import_model(case(name).model().SerializeToString(), {}, name)

        module = read()
        try:
            lower(module, "tile", make_context())
        except ReconError:
            tally.refused += 1
            continue
        program = _validated(where, read, length.machines[0], length, tally, [])
        if program is not None:
            _second_clock(where, program, tally)


def hosts(length: Length, tally: Tally, say: Say) -> None:
    """The node cases of the onnx package as float tails and heads: right or refused, judged by ONNX Runtime."""
    with tempfile.TemporaryDirectory() as folder:
        for each in cases(length.nodes):
            for kind, make in (("tail", tail), ("head", head)):
                say(f"{each.name} as a {kind}")
                made = make(each)
                verdict = judge(*made, Path(folder)) if made is not None else UNKNOWN
                tally.hosted += verdict == RIGHT
                tally.hosted_refused += verdict == REFUSED
                if verdict not in (RIGHT, REFUSED, UNKNOWN):
                    tally.failures.append(f"{each.name} as a {kind}: {verdict}")


def plans(length: Length, tally: Tally, say: Say) -> None:
    """Every pass on plans written by hand and at random; their programs against the second clock."""
    texts = [(path.name, path.read_text(), path.parent) for path in sorted(EXAMPLES.glob("*.mlir"))]
    for path in sorted(TEXTS.glob("*.mlir")):
        chunks = path.read_text().split("// -----\n")
        texts += [(f"{path.name}, part {n}", text, path.parent) for n, text in enumerate(chunks) if _lowers(text)]
    first = length.seed * 100_000
    texts += [(f"random plan {n}", random_plan(n), ROOT) for n in range(first, first + length.plans)]
    for where, text, _folder in texts:
        say(where)
        program = _validated(where, lambda text=text, name=where: _parse(text, name), None, length, tally, [])
        if program is not None:
            _second_clock(where, program, tally)


def mutations(length: Length, tally: Tally, say: Say) -> None:
    """Good programs broken on purpose: what is harmful must be caught, and no good program accused."""
    say("mutations")
    table = compare_mutants(length.mutants, length.seed, lambda done: say(f"{done:,} mutants"))
    for row in table.rows.values():
        tally.mutants += row.mutants
        tally.harmful += row.harmful
    tally.caught += tally.harmful - len(table.missed)
    tally.failures += [f"A good program is accused: {sentence}." for sentence in table.good_accused]
    tally.failures += [
        f"A mutant of program {m.seed} ({m.kind}) is missed by {', '.join(m.missed)}." for m in table.missed
    ]
    tally.failures += [
        f"A mutant of program {m.seed} ({m.kind}) is accused by {', '.join(m.accused)} without cause."
        for m in table.accused
    ]
    tally.failures += [f"Too few mutants of the kind '{kind}' are harmful to test anything." for kind in table.dull]


def proofs(length: Length, tally: Tally, say: Say) -> None:
    """Programs changed in one place, frames and host boundaries among them: the proof refuses what harms."""
    table = compare_proofs(length.proofs, length.seed, say)
    for row in table.rows.values():
        tally.mutants += row.mutants
        tally.harmful += row.harmful
        tally.caught += row.caught
    tally.tables.append(str(table))
    tally.failures += table.failures


def clocks(length: Length, tally: Tally, say: Say) -> None:
    """Random programs on the simulator's clock and on the second one."""
    first = length.seed * 1_000_000
    for number in range(first, first + length.programs):
        if number % 50 == 0:
            say(f"random program {number - first:,} of {length.programs:,} on both clocks")
        result = random_comparison(number, 150, True)
        tally.random += 1
        tally.agreeing += not result.disagreements
        tally.failures += [f"Random program {number}: {line}." for line in result.disagreements[:1]]


def determinism(length: Length, tally: Tally, say: Say) -> None:
    """The same bytes, outputs and cycles in other processes, hash seeds, thread counts and CPU features."""
    seen: dict[str, Any] | None = None
    for name, settings in list(surroundings())[: length.surroundings]:
        say(f"in another process: {name}")
        found = _in_process(length, settings)
        tally.surroundings += 1
        if isinstance(found, str):
            tally.failures.append(f"With {name} the process failed: {found}.")
            continue
        seen = found if seen is None else seen
        different = [
            f"{model}: {what}" for model, row in seen.items() for what in row if found[model][what] != row[what]
        ]
        tally.alike += not different
        tally.failures += (
            [f"With {name} this differs from the first process: {', '.join(different)}."] if different else []
        )


def texts(length: Length, tally: Tally, say: Say) -> None:
    """Mutated texts of every level: refused with a place in them, or equal at every level below."""
    for one in text_cases(length.texts, length.seed):
        say(f"text {one.number}: {one.origin}, {one.how}")
        verdict = judge_text(one)
        tally.texts += 1
        tally.texts_refused += verdict.what == "refused"
        tally.texts_equal += verdict.what == "equal"
        if not verdict.right:
            tally.failures.append(
                f"text {one.number} of seed {length.seed} ({one.origin}, {one.how}): {verdict.what}: {verdict.detail}"
            )


PARTS: tuple[Callable[[Length, Tally, Say], None], ...] = (
    models,
    operators,
    by_operator.statements,
    by_operator.nodes,
    by_operator.graphs,
    hosts,
    plans,
    mutations,
    proofs,
    texts,
    clocks,
    determinism,
    attacks.named,
    attacks.readers,
    attacks.bits,
    attacks.models,
    attacks.kills,
)


# ------------------------------------------------------------------------------------------------- the pieces


def _reader(path: Path) -> Callable[[], ModuleOp]:
    return lambda: read_module(path, make_context())


def _parse(text: str, name: str) -> ModuleOp:
    return diagnostics.parse_module(make_context(), text, name)


def _lowers(text: str) -> bool:
    """Whether this part of a test is a plan that compiles; many are there to be refused."""
    if "tile.schedule" not in text:
        return False
    try:
        module = _parse(text, "part")
        if level_of(module) != "tile":
            return False
        lower(module, "accel", make_context())
        return bool(emit(module).inputs)
    except (ReconError, DiagnosticException, ParseError):
        return False


def _validated(
    where: str,
    read: Callable[[], ModuleOp],
    machine: str | None,
    length: Length,
    tally: Tally,
    outputs: list[tuple[Inputs, Result]],
) -> Program | None:
    """The program of a module whose every pass has been checked, and its sanitized runs; None after a failure."""
    validator = Validator(length.inputs, length.seed)
    program = None
    try:
        module = read()
        lower(module, "accel", make_context(), machine=machine, validator=validator)
        program = emit(module)
        made = program

        def run(inputs: Inputs) -> dict[str, Any]:
            result = run_program(made, inputs, sanitize=True)
            outputs.append((inputs, result))
            return result.outputs

        validator.program("emit", run)
        tally.validated += 1
        tally.sanitized += 1
    except ValidationError as error:
        tally.failures.append(f"{where}: {error}")
        program = None
    except (ReconError, DiagnosticException) as error:
        tally.failures.append(f"{where}: {diagnostics.describe(error)}")
        program = None
    tally.passes += len(validator.checked)
    tally.layers += validator.layers
    tally.inputs += validator.inputs
    return program


def _second_clock(where: str, program: Program, tally: Tally) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "program.rbin"
        program.save(path)
        disagreements = [line for result in compare_program(path) for line in result.disagreements]
    tally.compiled += 1
    tally.timed += not disagreements
    tally.failures += [f"{where}: {line}." for line in disagreements[:1]]


def _equal(one: Any, other: Any) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def features() -> list[str]:
    """The CPU features that numpy chooses code for on this computer and can be told not to."""
    found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    return [str(name) for name in found]


def surroundings() -> Iterator[tuple[str, dict[str, str]]]:
    """What a process is started with, the most telling combinations first."""
    threads = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
    one, two = ({name: count for name in threads} for count in "12")
    plain = {"NPY_DISABLE_CPU_FEATURES": " ".join(features())} if features() else {}
    yield "hash seed 0, one thread", {"PYTHONHASHSEED": "0", **one}
    yield "hash seed 1, two threads, no CPU features", {"PYTHONHASHSEED": "1", **two, **plain}
    yield "hash seed 2, two threads", {"PYTHONHASHSEED": "2", **two}
    yield "a random hash seed", {"PYTHONHASHSEED": "random"}
    yield "one thread, no CPU features", {**one, **plain}
    for name in features():
        yield f"without {name}", {"NPY_DISABLE_CPU_FEATURES": name}
    for seed in range(3, 8):
        yield f"hash seed {seed}", {"PYTHONHASHSEED": str(seed)}


def _in_process(length: Length, settings: dict[str, str]) -> dict[str, Any] | str:
    """What the fingerprints are in a process started with these settings, or why there are none."""
    cleared = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONHASHSEED", "NPY_DISABLE_CPU_FEATURES")
    }
    command = [sys.executable, "-m", "tests.verify.fingerprint", length.machines[0], *map(str, length.paths)]
    done = subprocess.run(command, cwd=ROOT, env={**cleared, **settings}, capture_output=True, text=True, check=False)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    return json.loads(done.stdout)
