"""What runs on the host, as text: every segment with all its operators, and every node of the model with its reason.

Nothing is cut off: what takes no cycles here takes time elsewhere, and who reads the cycles has to know it.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence

from sim.statistics import HostStatistics

WIDTH = 100
"""Columns a line takes at most."""


def summary(segments: Sequence[HostStatistics]) -> str:
    """One line for the totals: ``26 operators in 2 segments, 3 nodes of the model, 25,600 MACs; not in the cycles``."""
    operators = sum(len(segment.operators) for segment in segments)
    if not operators:
        return "0 operators"
    nodes = sum(len(segment.nodes) for segment in segments)
    macs = sum(segment.macs for segment in segments)
    parts = [f"{_counted(operators, 'operator')} in {_counted(len(segments), 'segment')}"]
    parts += [f"{_counted(nodes, 'node')} of the model"] if nodes else []
    parts += [f"{macs:,} MACs"] if macs else []
    return f"{', '.join(parts)}; not in the cycles"


def segments_text(segments: Sequence[HostStatistics], width: int = WIDTH) -> str:
    """Each segment with a node of the model in it: operators, bytes across, nodes by reason; empty if none has."""
    return "\n".join(_segment(segment, width) for segment in segments if segment.nodes)


def _segment(segment: HostStatistics, width: int) -> str:
    counts = Counter(segment.operators)
    operators = ", ".join(name if n == 1 else f"{name} ×{n}" for name, n in counts.items())
    macs = f"  {segment.macs:,} MACs" if segment.macs else ""
    head = f"host segment {segment.name}  {segment.bytes_in:,} bytes in  {segment.bytes_out:,} out{macs}"
    reasons: dict[str, list[str]] = {}
    for name, operator, reason, _ in segment.nodes:
        reasons.setdefault(reason, []).append(f"{name} ({operator})" if name else f"an unnamed {operator}")
    lines = [head, *_wrapped(operators, "  ", width)]
    for reason, nodes in reasons.items():
        lines += _wrapped(f"{', '.join(nodes)}: {reason}", "  - ", width)
    return "\n".join(lines)


def _wrapped(text: str, lead: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, initial_indent=lead, subsequent_indent=" " * len(lead))


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
