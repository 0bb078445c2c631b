"""What is supported, from the code that decides: the readers' docstrings and the rules of ``legalize``.

A row per ONNX operator. Where it runs follows from the room of its reader; what else is needed is its docstring's first
paragraph. A rule's docstring is the second half of the message that names it.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import onnx.defs

from passes.cnn.legalize import RULES
from passes.onnx_to_cnn import blends, choices, elementwise, moves, operators, products, reductions, scalar, transposed
from passes.onnx_to_cnn.operators import OPERATORS

PLACES = {
    products: "array",
    elementwise: "vector unit, or a table",
    reductions: "vector unit",
    moves: "copy, or the order of memory",
    choices: "copy, or the order of memory",
    blends: "copy, or array and copies",
    transposed: "array and copies",
    operators: "folded; at the edge the host",
}
"""Where an operator runs, by the module that reads it."""

TABLE = "table"
HOST = "host"


@dataclass(frozen=True)
class Row:
    """An operator of ONNX, where it runs, and what is taken."""

    operator: str
    place: str
    taken: str


def rows() -> list[Row]:
    """Every operator that has a form on the machine, by name."""
    places = {module.__name__: place for module, place in PLACES.items()}
    found = [
        Row(name, places.get(read.__module__, "machine"), _first_paragraph(read))
        for name, read in OPERATORS.items()
        if name not in scalar.BINARY
    ]
    found += [
        Row(name, places[elementwise.__name__], _first_paragraph(elementwise.read_binary)) for name in scalar.BINARY
    ]
    found += [Row(name, TABLE, f"{name} of one tensor, alone or in a chain of such functions.") for name in functions()]
    return sorted(found, key=lambda row: row.operator)


def functions() -> list[str]:
    """Operators of one number, which become a table of 256 entries."""
    named = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    return sorted(
        name for name in named if name not in OPERATORS and scalar.function_of(name, {}) is not None
    )  # fmt: skip


def on_host() -> list[str]:
    """All other operators of ONNX: the host runs them if ONNX Runtime can."""
    named = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == "" and not schema.deprecated}
    return sorted(named - set(OPERATORS) - set(functions()))


def limits() -> list[tuple[str, str]]:
    """What layers of any operator have to keep: a rule's name and what its message says."""
    return [(rule.__name__.replace("_", " "), " ".join((inspect.getdoc(rule) or "").split())) for rule in RULES]


def _first_paragraph(function: object) -> str:
    text = " ".join((inspect.getdoc(function) or "").split("\n\n")[0].split())
    return text.replace("``", "`")
