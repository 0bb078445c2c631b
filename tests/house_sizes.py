"""What is larger than the house allows: the lists may only shrink, and whatever is listed says why in its own head.

A file has at most 450 lines, a function at most 60 lines and 7 parameters. ``self`` is no parameter; the parameters of
a command are its options and its docstring is its help, so of a command only the body counts; a test's parameters are
its cases and fixtures. ``tests/test_house.py`` fails for what is larger and not listed here, for what is listed and no
longer larger, and for a docstring without its reason: a sentence that begins with ``Long`` or ``Many parameters``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

MOST_LINES = 450
MOST_FUNCTION_LINES = 60
MOST_PARAMETERS = 7

LONG_FILES = """
""".split()

LONG_FUNCTIONS = """
    sim/machine/laws.py:conv
""".split()

MANY_PARAMETERS = """
    benchmarks/net_graph.py:GraphWriter.conv
    dialects/meaning/kernels.py:accumulate
    dialects/meaning/kernels.py:average_pool
    dialects/meaning/kernels.py:conv2d
    dialects/meaning/kernels.py:lrn
    dialects/meaning/kernels.py:mul
    dialects/meaning/steps.py:sums
    dialects/recon.py:LayerOp.__init__
    dialects/tile_conv.py:ConvOp.__init__
    dialects/tile_conv.py:FillOp.__init__
    dialects/tile_vector.py:VectorOp.__init__
    passes/accel/footprint.py:_ringed
    passes/proof/touched.py:_Collector.block
    passes/proof/touched.py:_Collector.ringed
    sim/arithmetic.py:lrn
    sim/arithmetic.py:multiply
    sim/machine/laws.py:conv
    sim/machine/laws.py:vector
    sim/machine/laws.py:words
    tests/oracle/laws.py:add
    tests/oracle/laws.py:lrn
    tests/oracle/laws.py:mul
    tests/passes/planner/nets.py:Net.conv
    tests/sim/support.py:program
    tests/test_oracle_operators.py:OperatorCase.__init__
    tools/driver.py:compile_model
    tools/driver.py:lower
""".split()


MOST_LISTED = {"LONG_FILES": 0, "LONG_FUNCTIONS": 1, "MANY_PARAMETERS": 27}
"""How long the lists are; none grows."""


def oversized(root: Path, paths: Iterable[Path]) -> tuple[list[str], list[str], list[str]]:
    """The files that are too long, and the functions with too many lines and too many parameters, all sorted."""
    files: list[str] = []
    lines: list[str] = []
    parameters: list[str] = []
    for path in paths:
        name, text = str(path.relative_to(root)), path.read_text()
        if len(text.splitlines()) > MOST_LINES:
            files.append(name)
        for function, node in _functions(ast.parse(text)):
            command = function.endswith("_command")
            start = node.body[1].lineno if command else node.lineno
            if (node.end_lineno or 0) - start >= MOST_FUNCTION_LINES:
                lines.append(f"{name}:{function}")
            if _parameters(node) > MOST_PARAMETERS and not command and "test_" not in function:
                parameters.append(f"{name}:{function}")
    return sorted(files), sorted(lines), sorted(parameters)


def mute(root: Path) -> list[str]:
    """What is listed and does not say why."""
    found: list[str] = []
    for entry in [*LONG_FILES, *LONG_FUNCTIONS, *MANY_PARAMETERS]:
        name, _, function = entry.partition(":")
        module = ast.parse((root / name).read_text())
        node = dict(_functions(module))[function] if function else module
        reason = r"^Long[:,]" if entry not in MANY_PARAMETERS else r"^(Many|Long, with many) parameters:"
        if not re.search(reason, ast.get_docstring(node) or "", re.MULTILINE):
            found.append(entry)
    return found


def _functions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef):
            yield prefix + child.name, child
            yield from _functions(child, f"{prefix}{child.name}.")
        else:
            yield from _functions(child, f"{prefix}{child.name}." if isinstance(child, ast.ClassDef) else prefix)


def _parameters(function: ast.FunctionDef) -> int:
    arguments = function.args
    names = [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])
