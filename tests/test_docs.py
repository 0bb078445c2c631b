"""The documentation: its examples run, its generated parts are current, its links lead somewhere."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tools.docs import PAGES, render


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_generated_parts_are_current(page: Path) -> None:
    text = page.read_text()
    assert render(text) == text, "python -m tools.docs writes it again"


@pytest.mark.parametrize("page", [p for p in PAGES if "```python\n>>>" in p.read_text()], ids=lambda path: path.name)
def test_examples_give_what_the_page_says(page: Path) -> None:
    blocks = re.findall(r"```python\n(>>>.*?)```", page.read_text(), re.DOTALL)
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, page.name, str(page), 0)
    report: list[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=report.append)
    assert result.failed == 0, "".join(report)
    assert result.attempted > 0


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "examples" / "README.md"], ids=lambda path: path.name
)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_word_of_the_glossary_is_used() -> None:
    """A word that nobody says any more, or says otherwise now, leaves the glossary."""
    rows = re.findall(r"^\| ([^|]+) \|", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)[2:]
    others = "\n".join(page.read_text() for page in PAGES if page.name != "glossary.md").lower()
    assert rows == sorted(rows, key=str.lower)
    assert [word for row in rows for word in row.split(", ") if word.lower() not in others] == []
