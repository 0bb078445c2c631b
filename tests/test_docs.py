"""The documentation: its examples run, its generated parts are current, its links lead somewhere."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from tests.conftest import ROOT
from tools.docs import PAGES, render
from tools.main import app


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


def commands(page: Path) -> list[tuple[str, bool]]:
    """What a page says to type, and whether it stands in a block, where it is whole; remarks behind it are cut off."""
    text = page.read_text()
    lines = [line for block in re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    whole = [match[1] for line in lines if (match := re.match(r"(?:\$ )?(recon(?:-opt)? \S.*)$", line.strip()))]
    named = re.findall(r"`(recon(?:-opt)? [a-z-]+ [^`]+)`", text)
    cut = [re.split(r"\s+#|\s{2,}|\s[|>&]|…", line)[0] for line in whole]
    return [*((line, True) for line in cut), *((line, False) for line in named if "…" not in line)]


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda path: path.name)
def test_commands_are_those_that_there_are(page: Path) -> None:
    """Every command parses with its options; one that is only named may lack what it needs."""
    group: Any = typer.main.get_command(app)
    wrong: list[str] = []
    for line, whole in commands(page):
        tool, *words = shlex.split(line)
        if tool != "recon" or words[0].startswith("-") or words[0].isupper():
            continue
        if words[0] not in group.commands:
            wrong.append(f"{line}: there is no such command")
            continue
        try:
            group.commands[words[0]].make_context(words[0], words[1:]).close()
        except Exception as error:  # Typer carries a Click of its own, whose errors have no public name
            said = error.format_message() if hasattr(error, "format_message") else repr(error)
            if whole or not said.startswith(("Missing ", "Option ")) or "No such option" in said:
                wrong.append(f"{line}: {said}")
    assert wrong == []


def test_every_page_has_its_place_in_the_site() -> None:
    listed = re.findall(r": ([a-z-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))


def test_the_site_is_built_and_asks_for_nothing(tmp_path: Path) -> None:
    """Strictly: a page without a place and a link to a heading that is not there are errors."""
    pytest.importorskip("material", reason="pip install -e '.[site]'")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert (built.returncode, built.stdout) == (0, ""), built.stderr
    page = (tmp_path / "site" / "exploring.html").read_text()
    assert "What it says" in page
    asked = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"?(https?:[^\" >]+)", page)
    assert asked == []
