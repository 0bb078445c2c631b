"""Flipped bits: of a file of constants or a program, every one that changes what is read must be found.

A flip counts as found if reading refuses the file in a sentence, and as harmless if what is read is the same.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from sim.machine.errors import ReconError
from sim.machine.program import from_bytes
from tests.attacks.programs import small_program
from tests.fuzz.readers import READERS, folder
from tests.mutations.texts import texts_of
from tools.driver import make_context, read_module

FOUND, HARMLESS, MISSED = "found", "harmless", "missed"


def _program(data: bytes) -> object:
    return from_bytes(data, "x.rbin").to_bytes()


def _side_file(data: bytes) -> object:
    """The text's constants, as the text with this side file has them."""
    from dialects.recon import blobs

    READERS["constants"].read(data)
    module = read_module(folder() / "x.mlir", make_context())
    return sorted((blob.digest, bytes(blob.buffer())) for blob in blobs(module))


def files() -> dict[str, tuple[bytes, Callable[[bytes], object]]]:
    """What is damaged: the file, and how it is read."""
    texts_of("residual")
    return {
        "program": (small_program().to_bytes(), _program),
        "side file": (READERS["constants"].seeds()[0], _side_file),
    }


def flips(count: int, seed: int) -> dict[str, Counter[str]]:
    """So many flips of each file, by what came of them."""
    found: dict[str, Counter[str]] = {}
    for name, (data, read) in files().items():
        good, dice = read(data), random.Random(f"{seed} {name}")
        found[name] = Counter(_flipped(data, dice.randrange(8 * len(data)), read, good) for _ in range(count))
    return found


def _flipped(data: bytes, bit: int, read: Callable[[bytes], object], good: object) -> str:
    made = bytearray(data)
    made[bit // 8] ^= 1 << bit % 8
    try:
        return HARMLESS if read(bytes(made)) == good else MISSED
    except ReconError:
        return FOUND
