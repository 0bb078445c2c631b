"""Every sentence that a verifier of an operation or an attribute may say is said to some text that breaks its rule."""

from __future__ import annotations

import inspect
import re
from types import FunctionType

import pytest

from tests.conftest import ROOT
from tests.dialects import broken_rules, test_verifiers
from tools.dialect_pages import dialects_with_pages, raised_in, sentences


def said() -> set[str]:
    """Every message that the tests of the verifiers expect, whole."""
    tables = (test_verifiers.CNN, test_verifiers.TILE, test_verifiers.ACCEL, test_verifiers.MORE, test_verifiers.MADE)
    found = {message for table in tables for _, message in table.values()}
    found |= {message for _, message in broken_rules.TEXTS.values()}
    found |= {message for _, _, message in broken_rules.GENERIC.values()}
    for path in (ROOT / "tests" / "filecheck").rglob("*.mlir"):
        found |= {line.partition(": ")[2] for line in path.read_text().splitlines() if "// CHECK" in line}
    return found


MESSAGES = said()

UNREACHABLE = ("a view is of SRAM, in SRAM",)
"""Said before by what the operation declares; the check tells the type checker."""


def rules() -> list[str]:
    """Every sentence of every verifier, once."""
    found: dict[str, None] = {}
    for dialect in dialects_with_pages().values():
        for op in dialect.operations:
            found.update(dict.fromkeys(sentences(op)))
        for attribute in dialect.attributes:
            verify = inspect.getattr_static(attribute, "verify", None)
            if isinstance(verify, FunctionType) and verify.__module__.startswith("dialects."):
                found.update(dict.fromkeys(raised_in(verify)))
    return [rule for rule in found if rule != "…"]


@pytest.mark.parametrize("rule", rules())
def test_every_rule_is_violated_by_a_test(rule: str) -> None:
    if rule in UNREACHABLE:
        return
    pattern = re.compile(".*".join(map(re.escape, rule.rstrip("… ").split("…"))))
    assert any(pattern.search(message) for message in MESSAGES), rule
