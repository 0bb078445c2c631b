"""How inputs are made from inputs: bytes by the fuzzer itself; JSON, texts and models in their own grammar as often."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from tests.mutations import models, texts
from tests.mutations.heads import edited


def _json(data: bytes, dice: random.Random) -> bytes:
    return json.dumps(edited(dice, json.loads(data))).encode()


def _text(data: bytes, dice: random.Random) -> bytes:
    how = dice.choice(sorted(texts.KINDS))
    return texts.KINDS[how](data.decode(), dice).encode()


MUTATORS: dict[str, Callable[[bytes, random.Random], bytes]] = {"json": _json, "text": _text, "model": models.mutated}
"""By the kind of a reader's files."""


def mutated(kind: str, data: bytes, seed: int) -> bytes | None:
    """Another input in the grammar of this kind; None where there is none or these bytes are not of it."""
    dice = random.Random(seed)
    if kind not in MUTATORS or dice.random() < 0.4:
        return None
    try:
        return MUTATORS[kind](data, dice)
    except (ValueError, IndexError, RecursionError, OverflowError, models.DecodeError):
        return None
