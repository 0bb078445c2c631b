"""Heads of program files taken apart, edited and put together again, with a checksum that fits if one is asked for."""

from __future__ import annotations

import copy
import hashlib
import json
import random
from typing import Any

from sim.machine.program import UNSEALED

ODD: tuple[Any, ...] = (None, True, -1, 0, 7, 2**70, 0.5, float("inf"), "", "x", [], ["x"], {}, {"x": 1})
"""What an edited value may become."""


def parts_of(data: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """The file's own header, our head within it, and the bytes behind."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    return header, json.loads(header["__metadata__"]["recon"]), data[8 + size :]


def joined(header: dict[str, Any], head: Any, rest: bytes, seal: bool) -> bytes:
    """A file with another head, with a checksum that fits if asked."""
    if seal and isinstance(head, dict):
        head = head | {"checksum": UNSEALED}
    made = json.dumps(header | {"__metadata__": {"recon": json.dumps(head, sort_keys=True)}}).encode()
    made += b" " * (-len(made) % 8)
    data = len(made).to_bytes(8, "little") + made + rest
    return data.replace(UNSEALED.encode(), hashlib.sha256(data).hexdigest().encode(), 1) if seal else data


def edited(dice: random.Random, value: Any) -> Any:
    """A copy with one value somewhere inside replaced, taken out or doubled."""
    if isinstance(value, dict) and value and dice.random() < 0.9:
        made = dict(value)
        key = dice.choice(sorted(made))
        if dice.random() < 0.15:
            del made[key]
        else:
            made[key] = edited(dice, made[key])
        return made
    if isinstance(value, list) and value and dice.random() < 0.9:
        made = list(value)
        at = dice.randrange(len(made))
        if dice.random() < 0.15:
            made.insert(at, made[at])
        else:
            made[at] = edited(dice, made[at])
        return made
    if isinstance(value, int) and dice.random() < 0.4:
        return value + dice.choice((-1, 1, 1 << 20))
    return copy.deepcopy(dice.choice(ODD))
