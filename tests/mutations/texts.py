"""Mutations of texts: every level of six small networks, with a line dropped, doubled or moved, a word or a number
changed, a name exchanged.

A mutated text is refused in an error that names a place in it, or it is accepted and then every level below, and the
program, mean the same. Nothing crashes, and nothing takes longer than ``LONGEST``.

    python -m tests.mutations.texts --cases 5000 --seed 7
"""

from __future__ import annotations

import argparse
import functools
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from xdsl.dialects.builtin import ModuleOp
from xdsl.utils.exceptions import DiagnosticException, ParseError

from backend.emit import emit
from dialects.recon import blobs, resolve
from dialects.text import TextPrinter
from passes.accel.check_hazards import CheckHazardsPass
from passes.common.levels import LEVELS
from passes.onnx.declared_shapes import check_declared_shapes
from passes.onnx.import_onnx import import_model
from sim.machine.errors import Fault, ReconError
from tests.passes.onnx_to_cnn.spread_graphs import case
from tools.driver import lower, make_context
from tools.runtime import run_program
from tools.terminal import diagnostics
from tools.validation.validate import ValidationError, Validator

NETWORKS = ("residual", "concat", "squeeze_excite", "conv_relu_pool", "flatten_gemm", "tail_softmax")

LONGEST = 20.0
"""Seconds of processor time for one text."""

PLACE = re.compile(r"x\.mlir:\d+:\d+")


@dataclass(frozen=True)
class Case:
    """A mutated text: what it was made from, and how."""

    number: int
    origin: str
    how: str
    text: str


@dataclass(frozen=True)
class Verdict:
    """``refused``, ``equal``, or what is wrong with how the text was taken."""

    what: str
    detail: str = ""

    @property
    def right(self) -> bool:
        """Whether a text may be taken so."""
        return self.what in ("refused", "equal")


# ------------------------------------------------------------------------------------------------------- the texts


@functools.cache
def texts_of(network: str) -> dict[str, str]:
    """Every level of one network as text, by ``network at level``."""
    found: dict[str, str] = {}
    module = import_model(case(network).model().SerializeToString(), {}, network)
    for level in LEVELS:
        if level != "onnx":
            lower(module, level, make_context())
        for blob in blobs(module):
            if blob.data is not None:
                constants()[blob.digest] = bytes(blob.buffer())
        found[f"{network} at {level}"] = _text(module)
    return found


@functools.cache
def texts() -> dict[str, str]:
    """Every level of every network as text."""
    return {name: text for network in NETWORKS for name, text in texts_of(network).items()}


@functools.cache
def constants() -> dict[str, bytes]:
    """The bytes of every constant of the texts by hash, as a side file has them."""
    return {}


def _text(module: ModuleOp) -> str:
    from io import StringIO

    stream = StringIO()
    TextPrinter(stream).print_op(module)
    return stream.getvalue()


# -------------------------------------------------------------------------------------------------------- mutations

_NUMBER = re.compile(r"(?<![\w.\"%@#])-?\d+(?:\.\d+(?:e-?\d+)?)?(?![\w.\"])")
_SIZE = re.compile(r"(?<=[<x])\d+(?=x)")
_NAME = re.compile(r"[%@]\w+")
_WORD = re.compile(r"(?<= )[a-z_]+(?= )")


def _drop(text: str, dice: random.Random) -> str:
    lines = text.split("\n")
    del lines[dice.randrange(1, len(lines))]
    return "\n".join(lines)


def _double(text: str, dice: random.Random) -> str:
    lines = text.split("\n")
    at = dice.randrange(1, len(lines))
    return "\n".join([*lines[:at], lines[at], *lines[at:]])


def _swap(text: str, dice: random.Random) -> str:
    lines = text.split("\n")
    at = dice.randrange(1, len(lines) - 1)
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    return "\n".join(lines)


def _move(text: str, dice: random.Random) -> str:
    lines = text.split("\n")
    line = lines.pop(dice.randrange(1, len(lines) - 1))
    lines.insert(dice.randrange(1, len(lines) - 1), line)
    return "\n".join(lines)


def _number(text: str, dice: random.Random) -> str:
    found = [*_NUMBER.finditer(text), *_SIZE.finditer(text)]
    chosen = dice.choice(found)
    value = chosen[0]
    others = ["0", "1", "-1", "3", "255", "300", "99999", f"{value}1", "2.5", "4294967296", str(int(float(value)) + 1)]
    return text[: chosen.start()] + dice.choice(others) + text[chosen.end() :]


def _rename(text: str, dice: random.Random) -> str:
    found = list(_NAME.finditer(text))
    chosen, other = dice.choice(found), dice.choice(found)
    return text[: chosen.start()] + other[0] + text[chosen.end() :]


def _word(text: str, dice: random.Random) -> str:
    found = list(_WORD.finditer(text))
    chosen, other = dice.choice(found), dice.choice(found)
    return text[: chosen.start()] + dice.choice(["", other[0]]) + text[chosen.end() :]


KINDS: dict[str, Callable[[str, random.Random], str]] = {
    "a line dropped": _drop,
    "a line doubled": _double,
    "two lines exchanged": _swap,
    "a line moved": _move,
    "a number changed": _number,
    "another name": _rename,
    "another word": _word,
}
WEIGHTS = (1, 1, 1, 1, 4, 2, 2)


def cases(count: int, seed: int) -> Iterator[Case]:
    """So many mutated texts, by seed; each text of each network in turn."""
    origins = list(texts().items())
    for number in range(count):
        dice = random.Random(f"{seed} {number}")
        origin, text = origins[number % len(origins)]
        (how,) = dice.choices(list(KINDS), WEIGHTS)
        changed = KINDS[how](text, dice)
        if changed != text:
            yield Case(number, origin, how, changed)


# --------------------------------------------------------------------------------------------------------- judging


def judge(one: Case) -> Verdict:
    """How a text is taken: refused with a place in it, or accepted and equal at every level below."""
    began = time.process_time()
    try:
        verdict = _judge(one.text)
    except Exception as error:
        verdict = Verdict("crash", f"{type(error).__name__}: {error}"[:300])
    if (took := time.process_time() - began) > LONGEST:
        return Verdict("slow", f"{took:.0f} s")
    return verdict


def _judge(text: str) -> Verdict:
    validator = Validator(1)
    try:
        context = make_context()
        module = diagnostics.parse_module(context, text, "x.mlir")
        diagnostics.verify(module)
        if missing := resolve(module, constants()):
            return Verdict("refused", f"x.mlir:1:1: no constant {missing[0]}")
        check_declared_shapes(module)
        lower(module, "accel", context, validator=validator)
        CheckHazardsPass().apply(context, module)
        program = emit(module, "edge4k")
        validator.program("emit", lambda inputs: run_program(program, inputs, sanitize=True).outputs)
    except ValidationError as error:
        return Verdict("wrong in silence", str(error)[:300])
    except (ReconError, ParseError, DiagnosticException, Fault) as error:
        said = diagnostics.describe(error)
        return Verdict("refused", said) if PLACE.search(said) else Verdict("refused without a place", said[:300])
    return Verdict("equal")


WRONG = ("wrong in silence", "crash", "refused without a place", "slow")
"""How a text must not be taken."""


@dataclass
class Tally:
    """How many texts of each level and of each kind of mutation were taken how, and the longest time of one."""

    counts: dict[tuple[str, str], Counter[str]] = field(default_factory=dict[tuple[str, str], Counter[str]])
    longest: float = 0.0

    def add(self, one: Case, verdict: Verdict, took: float) -> None:
        level = one.origin.rpartition(" ")[2]
        self.counts.setdefault((level, one.how), Counter())[verdict.what] += 1
        self.longest = max(self.longest, took)

    def total(self, level: str = "", how: str = "") -> Counter[str]:
        """Those of a level and of a kind, or of all."""
        chosen = (c for (at, kind), c in self.counts.items() if level in ("", at) and how in ("", kind))
        return sum(chosen, Counter[str]())

    def table(self) -> str:
        """By level and by kind, and all together."""
        columns = ("refused", "equal", *WRONG)
        rows = [(f"at {level}", self.total(level)) for level in LEVELS]
        rows += [(how, self.total(how=how)) for how in KINDS]
        rows.append(("all", self.total()))
        lines = [f"{'':<22}{'texts':>7}" + "".join(f"{column:>{len(column) + 2}}" for column in columns)]
        for name, counts in rows:
            cells = "".join(f"{counts[column]:>{len(column) + 2},}" for column in columns)
            lines.append(f"{name:<22}{counts.total():>7,}{cells}")
        return "\n".join([*lines, f"longest: {self.longest:.1f} s of processor time"])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutations.texts", description="Mutate texts.")
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    tally = Tally()
    for one in cases(chosen.cases, chosen.seed):
        if one.number < chosen.first:
            continue
        began = time.process_time()
        verdict = judge(one)
        tally.add(one, verdict, time.process_time() - began)
        if not verdict.right:
            print(f"{one.number} {one.origin}, {one.how}: {verdict.what}: {verdict.detail}", flush=True)
    print(tally.table())
    return int(any(tally.total()[what] for what in WRONG))


if __name__ == "__main__":
    sys.exit(main())
