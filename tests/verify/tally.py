"""What ``make verify`` has tried so far, and the table of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Say = Callable[[str], None]


@dataclass
class Tally:
    """What has been tried, tables by operator of it, and every failure in a sentence."""

    validated: int = 0
    passes: int = 0
    layers: int = 0
    inputs: int = 0
    sanitized: int = 0
    refused: int = 0
    hosted: int = 0
    hosted_refused: int = 0
    oracle: int = 0
    mutants: int = 0
    harmful: int = 0
    caught: int = 0
    agreeing: int = 0
    random: int = 0
    compiled: int = 0
    timed: int = 0
    surroundings: int = 0
    alike: int = 0
    texts: int = 0
    texts_refused: int = 0
    texts_equal: int = 0
    said: int = 0
    said_refused: int = 0
    quantised: int = 0
    quantised_refused: int = 0
    graphs: int = 0
    graphs_equal: int = 0
    named: int = 0
    named_refused: int = 0
    fuzzed: int = 0
    flips: int = 0
    flips_found: int = 0
    flips_harmless: int = 0
    broken: int = 0
    broken_refused: int = 0
    broken_right: int = 0
    kills: int = 0
    tables: list[str] = field(default_factory=list[str])
    failures: list[str] = field(default_factory=list[str])

    def rows(self) -> list[tuple[str, str]]:
        """The table: what, and how much of it."""
        return [
            ("programs validated", f"{self.validated:,}"),
            ("passes checked", f"{self.passes:,}"),
            ("layers compared", f"{self.layers:,}"),
            ("inputs tried", f"{self.inputs:,}"),
            ("answers equal to the integer oracle", f"{self.oracle:,}"),
            ("programs proven and sanitized", f"{self.sanitized:,}"),
            ("graphs of operators that the compiler refuses", f"{self.refused:,}"),
            ("attributes and operands of ONNX right / refused", f"{self.said:,} / {self.said_refused:,}"),
            ("node cases of onnx quantised right / refused", f"{self.quantised:,} / {self.quantised_refused:,}"),
            ("models made at random equal to the oracle", f"{self.graphs_equal:,} of {self.graphs:,}"),
            ("node cases of onnx on the host right / refused", f"{self.hosted:,} / {self.hosted_refused:,}"),
            ("mutations harmful / caught", f"{self.harmful:,} / {self.caught:,} of {self.mutants:,}"),
            (
                "mutated texts refused with a place / equal",
                f"{self.texts_refused:,} / {self.texts_equal:,} of {self.texts:,}",
            ),
            ("random programs agreeing with the second clock", f"{self.agreeing:,} of {self.random:,}"),
            ("compiled programs agreeing with the second clock", f"{self.timed:,} of {self.compiled:,}"),
            ("surroundings giving the same bytes", f"{self.alike:,} of {self.surroundings:,}"),
            ("files that once hung or flooded a tool, refused", f"{self.named_refused:,} of {self.named:,}"),
            ("inputs of everything that reads a file", f"{self.fuzzed:,}"),
            ("flipped bits found / harmless", f"{self.flips_found:,} / {self.flips_harmless:,} of {self.flips:,}"),
            ("damaged models refused / right", f"{self.broken_refused:,} / {self.broken_right:,} of {self.broken:,}"),
            ("tools ended at random moments", f"{self.kills:,}"),
            ("failures", f"{len(self.failures):,}"),
        ]
