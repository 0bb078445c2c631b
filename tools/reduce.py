"""Make a module small while something about it stays: a command that fails goes on failing.

Decisions. The reducer knows no operation: it cuts ``@main`` from below (an earlier value is returned), from above (a
value becomes an input), leaves out operations whose operand has their result's type, and drops what nobody uses; in a
plan or a program it drops operations one by one. Large steps come first, and a candidate that is no module is never
tried. What remains is interesting and cannot be cut further by one step.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from xdsl.dialects.builtin import FunctionType, ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.utils.exceptions import VerifyException

from dialects import accel, tile
from dialects.meaning.calls import main_of
from tools.files.text import write_text

Interesting = Callable[[ModuleOp], bool]
Report = Callable[[str], None]
Step = Callable[[ModuleOp], bool]
"""Changes a module in place; false where there is nothing to change."""

LONGEST = 120
"""Seconds that a command may take before it counts as not failing."""


def size(module: ModuleOp) -> int:
    """Operations of the module, the module, its functions and their ends left out."""
    return sum(not isinstance(op, ModuleOp | FuncOp | ReturnOp) for op in module.walk())


def reduce_module(module: ModuleOp, interesting: Interesting, report: Report | None = None) -> ModuleOp:
    """The smallest module that the steps lead to; it is interesting, and so has ``module`` to be."""
    best, progress = module.clone(), True
    while progress:
        progress = False
        for step in _steps(best):
            candidate = best.clone()
            if not step(candidate) or not _is_module(candidate) or size(candidate) >= size(best):
                continue
            if interesting(candidate.clone()):
                best, progress = candidate, True
                if report is not None:
                    report(f"{size(best)} operations")
                break
    return best


def _is_module(module: ModuleOp) -> bool:
    try:
        module.verify()
    except VerifyException:
        return False
    return True


def _steps(module: ModuleOp) -> Iterator[Step]:
    """What may be tried, the steps that remove most first."""
    main = main_of(module)
    if main is not None:
        count = len(list(main.body.block.ops)) - 1
        for number in _spread(count):
            yield lambda m, n=number: _return_early(m, n)
        for number in reversed(list(_spread(count))):
            yield lambda m, n=number: _begin_late(m, n)
        for number in range(count):
            yield lambda m, n=number: _leave_out(m, n)
    for at, block in enumerate(_bodies(module)):
        for number in range(len(list(block.ops))):
            yield lambda m, a=at, n=number: _drop(m, a, n)


def _spread(count: int) -> Iterator[int]:
    """0 to count - 1, from the ends of ever finer parts: so that large cuts come early."""
    seen: set[int] = set()
    parts = 2
    while len(seen) < count:
        for part in range(parts):
            number = part * count // parts
            if number not in seen:
                seen.add(number)
                yield number
        parts *= 2


# ------------------------------------------------------------------------------------------------------------- steps


def _return_early(module: ModuleOp, number: int) -> bool:
    """Return the results of an operation alone."""
    main = main_of(module)
    assert main is not None
    op = list(main.body.block.ops)[number]
    last = main.body.block.last_op
    if not op.results or last is None or list(last.operands) == list(op.results):
        return False
    last.detach()
    last.erase()
    main.body.block.add_op(ReturnOp(*op.results))
    _tidy(main)
    return True


def _begin_late(module: ModuleOp, number: int) -> bool:
    """Make the results of an operation inputs."""
    main = main_of(module)
    assert main is not None
    op = list(main.body.block.ops)[number]
    if not op.results or not op.operands:
        return False
    for result in op.results:
        argument = main.body.block.insert_arg(result.type, len(main.body.block.args))
        result.replace_all_uses_with(argument)
    _tidy(main)
    return True


def _leave_out(module: ModuleOp, number: int) -> bool:
    """Put an operand of the same type in the place of an operation's result."""
    main = main_of(module)
    assert main is not None
    op = list(main.body.block.ops)[number]
    if len(op.results) != 1:
        return False
    same: SSAValue | None = next((one for one in op.operands if one.type == op.results[0].type), None)
    if same is None:
        return False
    op.results[0].replace_all_uses_with(same)
    _tidy(main)
    return True


def _drop(module: ModuleOp, at: int, number: int) -> bool:
    """Erase an operation of a plan or a program that nobody uses, or with its users an event or a life."""
    op = list(_bodies(module)[at].ops)[number]
    if any(use.operation.name != "tile.free" for result in op.results for use in result.uses):
        return False
    for result in op.results:
        for use in list(result.uses):
            rest = [value for value in use.operation.operands if value is not result]
            use.operation.operands = rest
    op.detach()
    op.erase()
    return True


def _bodies(module: ModuleOp) -> list[Block]:
    kinds = (tile.ScheduleOp, accel.ProgramOp, tile.ForOp)
    return [op.body.block for op in module.walk() if isinstance(op, kinds)]


def _tidy(main: FuncOp) -> None:
    """Erase what nobody uses, inputs too, and give the function the type that it has now."""
    block = main.body.block
    for op in reversed(list(block.ops)):
        if not isinstance(op, ReturnOp) and all(result.first_use is None for result in op.results):
            op.detach()
            op.erase()
    for argument in reversed(block.args):
        if argument.first_use is None:
            block.erase_arg(argument)
    last = block.last_op
    results = [value.type for value in last.operands] if isinstance(last, Operation) else []
    main.properties["function_type"] = FunctionType.from_lists([a.type for a in block.args], results)
    for names in ("inputs", "outputs"):
        main.attributes.pop(names, None)


# ------------------------------------------------------------------------------------------------------- the command


def fingerprint(said: str) -> str:
    """What an error says, without places, numbers and names: the same failure on a smaller module."""
    lines = [line for line in said.splitlines() if "rror" in line] or said.splitlines()[-1:]
    text = re.sub(r"\S+:\d+:\d+: ", "", lines[0] if lines else "")
    return re.sub(r"'[^']*'|\"[^\"]*\"|%\w+|@\w+|-?\d[\d,.x]*|/\S+", "_", text)


class Failing:
    """Whether a command still fails on a module's text as it did on the first; ``says`` replaces what it has to say."""

    def __init__(self, command: str, folder: Path, says: str | None = None):
        self.command, self.folder, self.says = command, folder, says
        self.code, self.said = 0, ""

    def run(self, module: ModuleOp) -> tuple[int, str]:
        """Exit status and output of the command on the module."""
        path = self.folder / "module.mlir"
        write_text(module, path)
        words = [word.replace("{}", str(path)) for word in shlex.split(self.command)]
        words += [] if "{}" in self.command else [str(path)]
        try:
            ended = subprocess.run(words, capture_output=True, text=True, check=False, timeout=LONGEST)
        except subprocess.TimeoutExpired:
            return 0, ""
        return ended.returncode, ended.stderr + ended.stdout

    def first(self, module: ModuleOp) -> bool:
        """Run on the whole module, and keep how it fails."""
        self.code, self.said = self.run(module)
        return self.code != 0 and (self.says is None or self.says in self.said)

    def __call__(self, module: ModuleOp) -> bool:
        code, said = self.run(module)
        if self.says is not None:
            return code != 0 and self.says in said
        return code == self.code and fingerprint(said) == fingerprint(self.said)
