"""How reading may end: refused or taken, within ``SECONDS`` and ``BYTES``; anything else is a finding."""

from __future__ import annotations

import resource
import sys
import time

from tests.fuzz.readers import EXPECTED, Reader

SECONDS = 2.0
"""Seconds of processor time for one input."""

BYTES = 500 << 20
"""Bytes of memory of the process that reads one input, unless it had more before."""

_UNIT = 1 if sys.platform == "darwin" else 1024


class Finding(Exception):
    """An input that was neither refused nor taken as it should be; says why."""


def peak() -> int:
    """Most bytes of memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT


def judge(reader: Reader, data: bytes, seconds: float = SECONDS, most: int = BYTES) -> str:
    """``refused`` or ``taken``; Finding otherwise."""
    before, began = peak(), time.process_time()
    try:
        reader.read(data)
        verdict = "taken"
    except EXPECTED as error:
        if not str(error).strip():
            raise Finding("It is refused without a word.") from error
        verdict = "refused"
    except Exception as error:
        raise Finding(f"{type(error).__name__}: {error}"[:300]) from error
    if (took := time.process_time() - began) > seconds:
        raise Finding(f"It took {took:.1f} s.")
    if peak() > max(before + (50 << 20), most):
        raise Finding(f"It took {(peak() - before) >> 20:,} MB more than the process had.")
    return verdict
