"""The planner's tuning numbers stand in one table, each with what it stands on: the machine, or figures measured."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from passes.planner import tuning
from sim.machine.description import load
from tests.conftest import ROOT
from tests.sim.support import changed

PLANNER = ROOT / "passes" / "planner"

SIZES = (tuning.piece_bytes, tuning.least_piece_bytes, tuning.first_rows_bytes, tuning.block_bytes, tuning.chunk_bytes)

NO_TUNING = {
    "candidates.NEVER": "more cycles than anything takes",
    "images.NEVER": "more often than anything is needed",
    "images.TWICE": "what a copy is good for: to be needed again",
    "movement.CHANNEL": "an axis",
    "movement.COLUMN": "an axis",
    "movement.MOST_PIECES": "a limit of the compiler, which refuses a model beyond it",
    "movement.ROW": "an axis",
    "options.MOST_IMAGES": "a limit of the option, which refuses more",
    "options._UNITS": "how a size is written",
    "pins._WAITS": "how a pin is written",
    "partition.FAR": "more bytes than anything lacks",
    "prefetch.FAR": "further than any plan",
    "round.FRAMES": "a law: the frames that stand for all",
    "turns.CHANNELS": "a law: the streams' granule",
    "works.EVERYTHING": "more rows than anything has",
}
"""Numbers at the top of other modules of the planner, and why another value would give no other plan."""


def constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr, str]]:
    """Names in capitals with their values and the docstrings behind them."""
    for node, behind in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            continue
        doc = behind.value.value if isinstance(behind, ast.Expr) and isinstance(behind.value, ast.Constant) else ""
        for target in targets:
            for name in target.elts if isinstance(target, ast.Tuple) else [target]:
                if isinstance(name, ast.Name) and name.id.isupper():
                    yield name.id, value, str(doc)


def numeric(value: ast.expr) -> bool:
    return any(isinstance(each, ast.Constant) and isinstance(each.value, int | float) for each in ast.walk(value))


NUMBERS = {name: doc for name, _, doc in constants(ast.parse((PLANNER / "tuning.py").read_text()))}


def test_every_number_says_what_it_is() -> None:
    assert [name for name, doc in NUMBERS.items() if len(doc) < 20] == []


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_a_number_names_what_was_measured(name: str) -> None:
    """At a smaller and at a larger value, in per cent."""
    measured = re.search(r"Measured[^:]*: (.*)", NUMBERS[name], re.DOTALL)
    assert measured is not None
    assert len(re.findall(r"[+-]\d+\.\d\d %", measured[1])) >= 2


def test_blocks_leave_most_of_a_small_memory() -> None:
    small = changed(load("edge4k"), sram={"bytes": 65536})
    assert tuning.block_bytes(small) == tuning.chunk_bytes(small) == 65536 // tuning.SHARE


def test_no_other_number_tunes_the_planner() -> None:
    others = {
        f"{path.stem}.{name}"
        for path in sorted(PLANNER.glob("*.py"))
        if path.stem != "tuning"
        for name, value, _ in constants(ast.parse(path.read_text()))
        if numeric(value) or name in ("ROW", "COLUMN", "CHANNEL")
    }
    assert others == set(NO_TUNING)


def test_every_number_is_used() -> None:
    text = "\n".join(path.read_text() for path in PLANNER.glob("*.py"))
    for name in (*NUMBERS, *(size.__name__ for size in SIZES)):
        assert len(re.findall(rf"\b{name}\b", text)) > 2, name
