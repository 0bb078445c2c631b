"""Expressions of space files: what they come to, and that nothing else is taken."""

from __future__ import annotations

import pytest

from sim.machine.errors import ReconError
from tools.explore.expressions import Expression

NAMES = {"array.lanes": 1024, "sram.bytes": 1 << 20, "array.winograd": "none", "flatten": True}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("array.lanes / 8", 128.0),
        ("max(64, min(array.lanes, 96)) + 2", 98),
        ("sram.bytes <= 1MiB and array.lanes * 2 > 2000", True),
        ("sram.bytes == 1.5 * 1MiB or not flatten", False),
        ("64 <= array.lanes < 1024", False),
        ("array.winograd == 'none'", True),
        ("-(7 // 2) % 5 + log2(8)", 5.0),
        ("933MHz", 933_000_000),
    ],
)
def test_values(text: str, value: object) -> None:
    assert Expression.parse(text, "here").value(NAMES) == value


def test_names() -> None:
    assert Expression.parse("max(array.lanes, 2) < sram.bytes", "here").names == ["array.lanes", "sram.bytes"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("array.lanes +", 'here: "array.lanes +" is no expression: invalid syntax.'),
        (
            "__import__('os')",
            "here: \"__import__('os')\" holds __import__('os'), which is not taken; there are numbers, keys of the "
            "machine, + - * / // %, comparisons, and, or, not, min, max, log2.",
        ),
        (
            "2 ** 99",
            'here: "2 ** 99" holds 2 ** 99, which is not taken; there are numbers, keys of the machine, + - * / // %, '
            "comparisons, and, or, not, min, max, log2.",
        ),
        ("lanes * 2", 'here: "lanes * 2" names lanes, which is not known here.'),
        ("1 / (array.lanes - 1024)", 'here: "1 / (array.lanes - 1024)" has no value: division by zero.'),
        (
            "array.winograd * 99999999",
            'here: "array.winograd * 99999999" has no value: a text takes no part in arithmetic.',
        ),
    ],
)
def test_messages(text: str, message: str) -> None:
    with pytest.raises(ReconError) as error:
        Expression.parse(text, "here").value(NAMES)
    assert str(error.value) == message


def test_an_expression_that_overflows_the_reader_is_not_read() -> None:
    with pytest.raises(ReconError) as error:
        Expression.parse("-" * 100_000 + "1", "here")
    assert str(error.value) == "here: the expression has 100,001 letters, and at most 1,000 are read."


@pytest.mark.parametrize(
    "text", ["(lambda: 1)()", "[1][0]", "().__class__", "f'{1}'", "x if 1 else 2", "min(1, key=2)"]
)
def test_nothing_else_is_taken(text: str) -> None:
    with pytest.raises(ReconError, match="which is not taken"):
        Expression.parse(text, "here")
