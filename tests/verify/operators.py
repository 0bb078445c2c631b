"""The parts of ``make verify`` that go through ONNX's operators: the schemas' attributes and operands, the node cases
quantised, and models made at random."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from tests.generated.judge import EQUAL, hunt
from tests.passes.onnx_to_cnn import quantised_cases, statement_cases
from tests.verify.lengths import Length
from tests.verify.tally import Say, Tally

Each = TypeVar("Each")


def statements(length: Length, tally: Tally, say: Say) -> None:
    """Every attribute and optional operand of the schemas, set to something else: right or refused."""
    counts: Counter[str] = Counter()
    by_operator: dict[str, Counter[str]] = {}
    for operator, said, node in _spaced(list(statement_cases.variants()), length.cases):
        say(f"{operator} with {said}")
        verdict = statement_cases.judge(*statement_cases.model_of(operator, node))
        kind = verdict if verdict in ("right", "refused", "unknown") else "wrong"
        counts[kind] += 1
        by_operator.setdefault(operator, Counter())[kind] += 1
        if kind == "wrong":
            tally.failures.append(f"{operator} with {said}: {verdict}")
    tally.said += counts["right"]
    tally.said_refused += counts["refused"]
    kinds = ("right", "refused", "unknown", "wrong")
    rows = [f"{'attributes and operands of':<28}" + "".join(f"{kind:>9}" for kind in kinds)]
    for operator, count in (*sorted(by_operator.items()), ("all", counts)):
        rows.append(f"{operator:<28}" + "".join(f"{count[kind] or '-':>9}" for kind in kinds))
    tally.tables.append("\n".join(rows))


def nodes(length: Length, tally: Tally, say: Say) -> None:
    """The node cases of onnx for our operators, quantised: on the machine, on the host, or refused."""
    found: list[tuple[str, str, str]] = []
    for case in _spaced(list(quantised_cases.quantised_cases()), length.cases):
        say(f"{case.name}, quantised")
        verdict = quantised_cases.judge(case)
        found.append((case.name, case.operator, verdict))
        tally.quantised += verdict in (quantised_cases.MACHINE, quantised_cases.HOST)
        tally.quantised_refused += verdict == quantised_cases.REFUSED
        if len(verdict.split()) > 1:
            tally.failures.append(f"{case.name}, quantised: {verdict}")
    tally.tables.append(quantised_cases.table(found))


def graphs(length: Length, tally: Tally, say: Say) -> None:
    """Models made at random, compiled for several machines, simulated, and compared with the oracle bit for bit."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            verdicts = hunt(
                length.graphs, length.seed, Path(folder),
                lambda done: say(f"model {done:,} of {length.graphs:,} made at random"),
            )  # fmt: skip
        except AssertionError as error:
            tally.failures.append(f"A model made at random: {error}")
            return
    tally.graphs += verdicts.total()
    tally.graphs_equal += verdicts[EQUAL]


def _spaced(every: Sequence[Each], most: int) -> Sequence[Each]:
    """At most so many of them, from all places."""
    return every[:: max(1, -(-len(every) // most))]
