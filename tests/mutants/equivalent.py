"""Mutants that no test can kill, each with the reason: by file, the line as it is and the line as it was made."""

from __future__ import annotations

_EXACT = "The counts are exact as float64, too, and only compared and used as they are."

EQUIVALENT: dict[tuple[str, str, str], str] = {
    (
        "sim/machine/steady.py",
        "same = (moved == moved[-1, 0, 0]).reshape(len(moved), -1).all(axis=1)",
        "same = (moved == moved[-1, 0, 0]).reshape(len(moved), -2).all(axis=1)",
    ): "numpy finds a length for any negative number.",
    (
        "sim/machine/clock.py",
        "place = np.empty(len(stream), np.int64)",
        "place = np.empty(len(stream), )",
    ): _EXACT,
    (
        "sim/machine/laws.py",
        "*(np.asarray(value, np.int64) for value in (winograd, g, k, r, p, groups, outputs, inputs)),",
        "*(np.asarray(value, ) for value in (winograd, g, k, r, p, groups, outputs, inputs)),",
    ): "Whoever calls gives int64, or Python's whole numbers, of which numpy makes int64.",
}
"""(file, line before, line after): why both mean the same."""
