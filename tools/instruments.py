"""What recon-opt tells of its passes while they run: the IR around them, how long they took, what they counted.

Decisions. The result alone goes to standard output; all of this goes to standard error, or where it is asked to:
timings and statistics into a file of their own, the IR into a folder, a file a time. Patterns are counted in xDSL's
walker, so a pass need not know of it; operations are counted before and after each pass.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, Region
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import GreedyRewritePatternApplier, PatternRewriter, PatternRewriteWalker, RewritePattern

from passes.common.tally import tally
from tools.terminal.text_target import TextTarget

SHOWN = 6
"""Kinds of operations whose numbers a pass changed that its statistics name; the others are counted together."""


def add_instruments(group: Any) -> None:
    """The options that show what happens between passes."""
    for when in ("before", "after"):
        group.add_argument(
            f"--print-ir-{when}", action="append", default=[], metavar="PASS", help=f"print the IR {when} this pass"
        )
        group.add_argument(f"--print-ir-{when}-all", action="store_true", help=f"print the IR {when} every pass")
    group.add_argument(
        "--print-ir-dir", metavar="FOLDER", help="write what --print-ir-… prints into a folder, a file a time"
    )
    group.add_argument("--statistics", action="store_true", help="print what each pass counted")
    group.add_argument(
        "--info-output-file", metavar="FILE", help="write timings and statistics there, not to standard error"
    )
    group.add_argument(
        "--dump-pass-pipeline", action="store_true", help="print the passes with their options as -p takes them"
    )


@dataclass
class Instruments:
    """The options of ``add_instruments`` at work: ``between`` is told of every pass, ``finish`` ends a module.

    ``running`` is the pass that has begun and not ended, ``begun`` all that have begun, ``counts`` what the one that
    runs has counted, ``patterns`` those that it applied.
    """

    args: argparse.Namespace
    context: Context
    begun: list[ModulePass] = field(default_factory=list[ModulePass])
    running: ModulePass | None = None
    told: list[str] = field(default_factory=list[str])
    counts: Counter[str] = field(default_factory=Counter[str])
    patterns: Counter[str] = field(default_factory=Counter[str])
    _since: float = 0.0
    _before: Counter[str] = field(default_factory=Counter[str])
    _files: int = 0

    def start(self) -> None:
        """A module begins its road."""
        self.begun, self.running = [], None

    def between(self, before: ModulePass | None, module: ModuleOp, after: ModulePass | None) -> None:
        """Tell of the pass that has ended, and get ready for the one that begins."""
        self.running = None
        if before is not None and self.args.time_passes:
            self.told.append(f"Pass {before.name} took {time.perf_counter() - self._since:.6f} seconds")
        if self.args.statistics:
            now = Counter(op.name for op in module.walk())
            if before is not None:
                self.told.append(self._counted(before, now))
            self._before = now
            self.counts.clear()
            self.patterns.clear()
        self._show(before, module, after)
        if before is not None and after is not None and self.args.print_between_passes:
            self._write(module, f"IR after {before.name}:", f"after-{before.name}")

    @contextmanager
    def counting(self) -> Generator[None]:
        """Within, passes count, if statistics are asked for."""
        if not self.args.statistics:
            yield
            return
        with tally(self.counts), counted_patterns(self.patterns):
            yield

    def begin(self, one: ModulePass | None) -> None:
        """The pass begins now; None when there is no other."""
        self.running = one
        self.begun += [one] if one is not None else []
        self._since = time.perf_counter()

    def finish(self) -> None:
        """Say what was timed and counted, to the file that was named for it or to standard error."""
        if not self.told:
            return
        text = "".join(f"{line}\n" for line in self.told)
        self.told = []
        if self.args.info_output_file is None:
            sys.stderr.write(text)
        else:
            with open(self.args.info_output_file, "a", encoding="utf-8") as file:
                file.write(text)

    def _counted(self, one: ModulePass, now: Counter[str]) -> str:
        """The statistics of a pass: a line of its name, and under it what it counted."""
        lines = [f"{self._before.total():>8} operations before, {now.total()} after"]
        changes = {name: now[name] - self._before[name] for name in sorted({*now, *self._before})}
        ordered = sorted(((n, name) for name, n in changes.items() if n), key=lambda pair: (-abs(pair[0]), pair[1]))
        lines += [f"{n:>+8} {name}" for n, name in ordered[:SHOWN]]
        if rest := ordered[SHOWN:]:
            lines.append(f"{sum(n for n, _ in rest):>+8} of {len(rest)} other kinds")
        lines += [f"{n:>8} {what}" for what, n in sorted(self.counts.items())]
        lines += [f"{n:>8} applied {name}" for name, n in sorted(self.patterns.items())]
        return "\n".join([one.name, *lines])

    def _show(self, before: ModulePass | None, module: ModuleOp, after: ModulePass | None) -> None:
        """The IR that ``--print-ir-before`` and ``--print-ir-after`` ask for."""
        args = self.args
        wanted: list[tuple[str, str]] = []
        if before is not None and (args.print_ir_after_all or before.name in args.print_ir_after):
            wanted.append(("after", before.name))
        if after is not None and (args.print_ir_before_all or after.name in args.print_ir_before):
            wanted.append(("before", after.name))
        if wanted:
            said = " and ".join(f"{when} {name}" for when, name in wanted)
            self._write(module, f"// ----- IR {said}", "-".join(wanted[0]))

    def _write(self, module: ModuleOp, head: str, name: str) -> None:
        if self.args.print_ir_dir is None:
            self._print(module, head, sys.stderr)
            return
        folder = Path(self.args.print_ir_dir)
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / f"{self._files:02}-{name}.mlir", "w", encoding="utf-8") as file:
            self._print(module, head if head.startswith("//") else f"// {head}", file)
        self._files += 1

    def _print(self, module: ModuleOp, head: str, stream: IO[str]) -> None:
        print(head, file=stream)
        TextTarget(print_debuginfo=self.args.print_debuginfo).emit(self.context, module, stream)


# ------------------------------------------------------------------------------------------------ counting patterns


class _Counting(RewritePattern):
    """A pattern that counts how often it changed something."""

    def __init__(self, inner: RewritePattern, counts: Counter[str]):
        self.inner, self.counts = inner, counts

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter, /) -> None:
        earlier, rewriter.has_done_action = rewriter.has_done_action, False
        self.inner.match_and_rewrite(op, rewriter)
        self.counts[type(self.inner).__name__] += rewriter.has_done_action
        rewriter.has_done_action |= earlier


def _counting(pattern: RewritePattern, counts: Counter[str]) -> RewritePattern:
    if isinstance(pattern, GreedyRewritePatternApplier):
        return dataclasses.replace(
            pattern, rewrite_patterns=[_counting(inner, counts) for inner in pattern.rewrite_patterns]
        )
    return _Counting(pattern, counts)


@contextmanager
def counted_patterns(counts: Counter[str]) -> Generator[None]:
    """Within, every pattern that a walker applies is counted by its class."""
    original = PatternRewriteWalker.rewrite_region

    def rewrite_region(self: PatternRewriteWalker, region: Region) -> bool:
        plain = self.pattern
        self.pattern = _counting(plain, counts)
        try:
            return original(self, region)
        finally:
            self.pattern = plain

    PatternRewriteWalker.rewrite_region = rewrite_region
    try:
        yield
    finally:
        PatternRewriteWalker.rewrite_region = original
