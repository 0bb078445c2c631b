"""Arithmetic that a space file may hold: ``max(64, array.lanes / 8)``, ``sram.bytes <= 8MiB and area_mm2 <= 40``.

Python's own grammar, of which numbers, names, arithmetic, comparisons, ``and``, ``or``, ``not``, ``min``, ``max`` and
``log2`` are taken and nothing else: no file executes code. Sizes may bear units, as in machine files.
"""

from __future__ import annotations

import ast
import difflib
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sim.machine.errors import ReconError
from sim.machine.quantities import UNITS, whole

Value = float | int | str | bool

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
MOST_LETTERS = 1_000
"""Letters that an expression may have: none that people write is longer, and no depth of it overflows a stack."""

_FUNCTIONS: dict[str, Callable[..., Any]] = {"min": min, "max": max, "log2": math.log2}
_SIZE = re.compile(
    rf"(?<![\w.\"'])\d[\d_.]*\s*(?:{'|'.join(sorted(filter(None, UNITS), key=len, reverse=True))})(?!\w)"
)


@dataclass(frozen=True)
class Expression:
    """An expression that has been read; ``where`` names its place in messages."""

    text: str
    where: str
    tree: ast.expr

    @classmethod
    def parse(cls, text: str, where: str) -> Expression:
        """Read an expression; ReconError says what in it is not taken."""
        if len(text) > MOST_LETTERS:
            raise ReconError(
                f"{where}: the expression has {len(text):,} letters, and at most {MOST_LETTERS:,} are read."
            )
        try:
            plain = _SIZE.sub(lambda size: str(whole(size[0])), text)
            tree = ast.parse(plain.strip(), mode="eval").body
        except (SyntaxError, ValueError) as error:
            said = error.msg if isinstance(error, SyntaxError) else str(error)
            raise ReconError(f'{where}: "{text}" is no expression: {said}.') from None
        for node in ast.walk(tree):
            if not _taken(node):
                raise ReconError(
                    f'{where}: "{text}" holds {ast.unparse(node) if isinstance(node, ast.expr) else "something"}, '
                    "which is not taken; there are numbers, keys of the machine, + - * / // %, comparisons, "
                    f"and, or, not, {', '.join(_FUNCTIONS)}."
                )
        return cls(text, where, tree)

    @property
    def names(self) -> list[str]:
        """The names it asks for, as they are written."""
        return sorted(set(_names(self.tree)))

    def not_known(self, name: str, names: Iterable[str] = ()) -> ReconError:
        """What is said of a name that nothing has, with the one that it may have been meant for."""
        meant = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {meant[0]}?" if meant else "."
        return ReconError(f'{self.where}: "{self.text}" names {name}, which is not known here{hint}')

    def value(self, names: Mapping[str, Value]) -> Value:
        """What it comes to; ReconError for an unknown name, a text in arithmetic, or a division by 0."""
        try:
            return _value(self.tree, names)
        except KeyError as error:
            raise self.not_known(str(error.args[0])) from None
        except (TypeError, ValueError, ZeroDivisionError, OverflowError) as error:
            raise ReconError(f'{self.where}: "{self.text}" has no value: {error}.') from None


def _dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := _dotted(node.value)) is not None:
        return f"{base}.{node.attr}"
    return None


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.expr) and (name := _dotted(node)) is not None:
        return [name]
    if isinstance(node, ast.Call):
        return [name for argument in node.args for name in _names(argument)]
    return [name for child in ast.iter_child_nodes(node) for name in _names(child)]


def _taken(node: ast.AST) -> bool:
    match node:
        case ast.Constant():
            return isinstance(node.value, int | float | str)
        case ast.Attribute():
            return _dotted(node) is not None
        case ast.Call():
            return isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS and not node.keywords
        case ast.BinOp():
            return type(node.op) in _BINARY
        case ast.Compare():
            return all(type(op) in _COMPARE for op in node.ops)
        case ast.UnaryOp():
            return isinstance(node.op, ast.USub | ast.Not)
        case ast.Name() | ast.BoolOp() | ast.operator() | ast.cmpop() | ast.unaryop() | ast.boolop() | ast.Load():
            return True
        case _:
            return False


def _value(node: ast.expr, names: Mapping[str, Value]) -> Any:
    if (name := _dotted(node)) is not None:
        return names[name]
    match node:
        case ast.Constant():
            return node.value
        case ast.Call(func=ast.Name(id=function)):
            return _FUNCTIONS[function](*(_value(argument, names) for argument in node.args))
        case ast.BinOp():
            left, right = _value(node.left, names), _value(node.right, names)
            if isinstance(left, str) or isinstance(right, str):
                raise TypeError("a text takes no part in arithmetic")
            return _BINARY[type(node.op)](left, right)
        case ast.UnaryOp():
            inner = _value(node.operand, names)
            return not inner if isinstance(node.op, ast.Not) else -inner
        case ast.BoolOp():
            parts = (bool(_value(part, names)) for part in node.values)
            return all(parts) if isinstance(node.op, ast.And) else any(parts)
        case ast.Compare():
            values = [_value(part, names) for part in (node.left, *node.comparators)]
            return all(_COMPARE[type(op)](a, b) for op, a, b in zip(node.ops, values, values[1:], strict=False))
        case _:
            raise TypeError(f"{ast.unparse(node)} is not taken")
