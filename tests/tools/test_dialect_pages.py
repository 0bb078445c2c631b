"""The pages of the dialects: every operation has its section, with an example from a module that verifies and runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT, Tool
from tools.dialect_pages import COST, EXAMPLES, SYNTAX, attributes_page, dialects_with_pages, page
from tools.driver import make_context, read_module

NAMES = tuple(dialects_with_pages())


@pytest.mark.parametrize("name", NAMES)
def test_every_operation_stands_in_the_module_of_examples(name: str) -> None:
    module = read_module(EXAMPLES / f"{name}.mlir", make_context())
    assert {op.name for op in dialects_with_pages()[name].operations} <= {op.name for op in module.walk()}


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_run(recon: Tool, tmp_path: Path, name: str) -> None:
    ended = recon("compile", EXAMPLES / f"{name}.mlir", "-o", tmp_path / "x.rbin", "--validate-inputs", 1)
    assert ended.code == 0, ended.err
    assert ended.out.startswith("valid: ")


@pytest.mark.parametrize("name", NAMES)
def test_every_section_is_whole(name: str) -> None:
    sections = page(name).split("\n\n### ")
    assert len(sections) == len(list(dialects_with_pages()[name].operations))
    for section in sections:
        assert "```text\n" in section
        assert "```mlir\n" in section
        assert "* cost: " in section


def test_nothing_is_said_of_what_is_not_there() -> None:
    known = {op.name for dialect in dialects_with_pages().values() for op in dialect.operations}
    assert (SYNTAX.keys() | COST.keys()) - known == set()


def test_rules_are_the_verifiers_own_words() -> None:
    text = (ROOT / "docs" / "dialects" / "tile.md").read_text()
    assert "* rule: both slices of a move have the same sizes" in text
    assert "* rule: pad_value is …, and -128 to 127 are allowed" in text


EXAMPLE = re.compile(r"``([!#]\w+\.\w+(?:<[^`…]*>)?)``")


@pytest.mark.parametrize("name", NAMES)
def test_every_type_and_attribute_has_its_section_and_its_text_reads(name: str) -> None:
    from xdsl.ir import TypeAttribute

    from dialects.text import TextParser

    said = attributes_page(name)
    for attribute in dialects_with_pages()[name].attributes:
        mark = "!" if issubclass(attribute, TypeAttribute) else "#"
        assert f"### `{mark}{attribute.name}`" in said
        for text in EXAMPLE.findall(attribute.__doc__ or ""):
            read = TextParser(make_context(), text).parse_attribute()
            assert isinstance(read, attribute)
            assert str(TextParser(make_context(), str(read)).parse_attribute()) == str(read)
    wanted = {"cnn": 6, "tile": 8, "accel": 4}[name]
    assert len(EXAMPLE.findall("\n".join(a.__doc__ or "" for a in dialects_with_pages()[name].attributes))) >= wanted
