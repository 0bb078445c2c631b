"""Drop exchanges to what is already active, and image loads of what a slot already holds.

A planner may say for every layer what it wants; this pass keeps what changes something. Dropping a load leaves the
shadow slot as it was, which can only hold more than the plan relies on: what the plan loaded is then in one of the two
slots. An op inside a loop goes only if it can go in every turn.

    tile.load_config <A>            tile.load_config <A>
    tile.use <A>                    tile.use <A>
    tile.load_config <A>       →
    tile.use <A>
    tile.load_config <B>            tile.load_config <B>
    tile.use <B>                    tile.use <B>
    tile.load_config <A>       →
    tile.use <A>                    tile.use <A>
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation
from xdsl.passes import ModulePass

from dialects import tile
from sim.machine.description import Configuration

_Step = tile.LoadConfigOp | tile.UseOp

_FRAMES = 3
"""What the slots hold when a frame begins repeats from the second or third frame on (docs/machine.md, section 3)."""


@dataclass(frozen=True)
class ElideConfigurationPass(ModulePass):
    """Remove redundant ``tile.use`` and ``tile.load_config``."""

    name = "elide-configuration"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for schedule in op.body.block.ops:
            if isinstance(schedule, tile.ScheduleOp):
                for redundant in find_redundant(schedule):
                    _erase(redundant)


def _below(op: Operation) -> list[Operation]:
    """The ops behind an op in its block."""
    found: list[Operation] = []
    while (after := (found[-1] if found else op).next_op) is not None:
        found.append(after)
    return found


def _erase(op: Operation) -> None:
    """Remove an op, and the loops it leaves empty."""
    loop = op.parent_op()
    op.detach()
    op.erase()
    if isinstance(loop, tile.ForOp) and not loop.body.block.ops:
        _erase(loop)


def find_redundant(schedule: tile.ScheduleOp) -> list[_Step]:
    """The ops to drop, in text order."""
    steps = list(_steps(schedule.body.block))
    texts = {step: step.configuration.data for step in dict.fromkeys(steps)}
    kept: set[_Step] = set()
    while True:
        dropped, again = _simulate(steps, texts, kept)
        if not again:
            return [step for step in texts if step in dropped]
        kept |= again


def _simulate(steps: list[_Step], texts: dict[_Step, Configuration], kept: set[_Step]) -> tuple[set[_Step], set[_Step]]:
    """Follow both slots, dropping what can go unless it is ``kept``; returns what was dropped and what must be kept
    after all: ops needed in some turn, and loads of a configuration that an exchange then missed."""
    active: Configuration | None = None
    shadow: Configuration | None = None
    dropped: set[_Step] = set()
    needed: set[_Step] = set()
    for step in steps:
        wanted = texts[step]
        redundant = wanted == active or (wanted == shadow and isinstance(step, tile.LoadConfigOp))
        if redundant and step not in kept:
            dropped.add(step)
            continue
        needed.add(step)
        if isinstance(step, tile.LoadConfigOp):
            shadow = wanted
            continue
        if shadow != wanted:
            loads: set[_Step] = {s for s, c in texts.items() if c == wanted and isinstance(s, tile.LoadConfigOp)}
            if missing := loads - kept:
                return dropped, missing
        active, shadow = wanted, active
    return dropped, dropped & needed


def _steps(block: Block) -> Iterator[_Step]:
    """The configuration ops in execution order, loops unrolled; frames so often that the slots have begun to repeat."""
    frame = [op for op in block.ops if isinstance(op, tile.FrameOp)]
    ops = [*block.ops, *(_FRAMES - 1) * _below(frame[0])] if frame else list(block.ops)
    for op in ops:
        if isinstance(op, tile.ForOp):
            inside = list(_steps(op.body.block))
            if inside:
                for _ in op.values:
                    yield from _steps(op.body.block)
        elif isinstance(op, tile.LoadConfigOp | tile.UseOp):
            yield op
