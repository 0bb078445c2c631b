"""Whole numbers as people write them: ``4MiB``, ``933MHz``, ``34e9``; kept as exact integers."""

from __future__ import annotations

import re
from decimal import Decimal

UNITS = {
    "": 1,
    "B": 1,
    "kB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
    "Hz": 1,
    "kHz": 1000,
    "MHz": 1000**2,
    "GHz": 1000**3,
    "kB/s": 1000,
    "MB/s": 1000**2,
    "GB/s": 1000**3,
}
"""What a unit counts."""

_BY_LETTERS = {unit.lower(): factor for unit, factor in UNITS.items()}

_NUMBER = re.compile(r"(\d[\d_]*(?:\.\d+)?(?:e\d{1,2})?)\s*([a-z/]*)", re.IGNORECASE)


def whole(text: str) -> int:
    """The number that a text stands for; ValueError for anything that is no whole number with a known unit."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None or match[2].lower() not in _BY_LETTERS:
        raise ValueError(f"'{text}' is no number such as 4096, 4MiB, 933MHz or 34e9")
    number = Decimal(match[1].replace("_", "")) * _BY_LETTERS[match[2].lower()]
    if number != int(number):
        raise ValueError(f"'{text}' is no whole number")
    return int(number)
