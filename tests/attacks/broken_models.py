"""Damaged models on the whole road: refused in a sentence, or compiled to a program that computes what the model says.

    python -m tests.attacks.broken_models --cases 500 --seed 1

Each is compiled in a process of its own with limits on time and memory; what compiles is checked pass by pass on inputs
tried, against ONNX Runtime at the top.
"""

from __future__ import annotations

import argparse
import os
import pickle
import random
import resource
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from backend.emit import emit
from passes.onnx.import_onnx import import_model
from tests.attacks.processes import UNIT
from tests.fuzz.readers import EXPECTED
from tests.mutations.models import mutated
from tests.passes.onnx_to_cnn.spread_graphs import EVERY, case
from tools.driver import lower, make_context
from tools.runtime import run_program
from tools.terminal import diagnostics
from tools.validation.validate import ValidationError, Validator

SECONDS = 20
BYTES = 2 << 30

REFUSED, RIGHT = "refused", "right"
INPUTS = 2


@dataclass(frozen=True)
class BrokenModel:
    """Which mutation of which model, and what came of it: ``refused``, ``right``, or a sentence."""

    number: int
    origin: str
    verdict: str
    seconds: float
    bytes: int

    @property
    def wrong(self) -> bool:
        return self.verdict not in (REFUSED, RIGHT) or self.seconds > SECONDS or self.bytes > BYTES


def broken_models(count: int, seed: int) -> Iterator[BrokenModel]:
    """So many mutations, of each group of operators in turn."""
    origins = sorted(EVERY)
    for number in range(count):
        dice = random.Random(f"{seed} {number}")
        origin = origins[number * 7 % len(origins)]
        yield _apart(number, origin, mutated(case(origin).model().SerializeToString(), dice))


def judge(data: bytes) -> str:
    """What comes of a model, in this process."""
    validator = Validator(INPUTS)
    try:
        module = import_model(data, {}, "x.onnx")
        lower(module, "accel", make_context(), machine="edge4k", assume_int8=True, validator=validator)
        program = emit(module)
        validator.program("emit", lambda inputs: run_program(program, inputs, sanitize=True).outputs)
    except ValidationError as error:
        return f"wrong in silence: {error}"[:400]
    except EXPECTED as error:
        return REFUSED if diagnostics.describe(error).strip() else "refused without a word"
    except MemoryError:
        return "it took too much memory"
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {os.path.basename(place.filename)}:{place.lineno}: {error}"[:400]
    return RIGHT


def _apart(number: int, origin: str, data: bytes) -> BrokenModel:
    """Judged in a child of this process, which has everything imported already."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS * 2, SECONDS * 2))
        resource.setrlimit(resource.RLIMIT_AS, (4 * BYTES, 4 * BYTES))
        began = time.process_time()
        verdict = judge(data)
        os.write(writing, pickle.dumps((verdict, time.process_time() - began)))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status, used = os.wait4(child, 0)
    verdict, seconds = pickle.loads(said) if said else (f"it ended with {os.waitstatus_to_exitcode(status)}", 0.0)
    return BrokenModel(number, origin, verdict, seconds, used.ru_maxrss * UNIT)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.attacks.broken_models", description="Damage models.")
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    counts: Counter[str] = Counter()
    longest, most = 0.0, 0
    for one in broken_models(chosen.cases, chosen.seed):
        counts[one.verdict if not one.wrong else "wrong"] += 1
        longest, most = max(longest, one.seconds), max(most, one.bytes)
        if one.wrong:
            print(f"{one.number} {one.origin}: {one.verdict} ({one.seconds:.1f} s, {one.bytes >> 20} MB)", flush=True)
    print(f"{dict(counts)}, at most {longest:.1f} s and {most >> 20} MB")
    return 1 if counts["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
