"""What the fuzzer has made, made small enough to keep: for each way in which a reader answers, the smallest input.

    python -m tests.fuzz.corpus build/fuzz

reads the folders that ``python -m tests.fuzz --keep build/fuzz`` has filled and adds to ``tests/fuzz/corpus`` what is
answered in words that nothing kept before gets. Numbers and names in an answer are left out of account.
"""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

from tests.fuzz.__main__ import CORPUS, NAMES
from tests.fuzz.readers import EXPECTED, READERS

MOST_INPUTS = 30
"""Inputs kept of one reader."""

MOST_BYTES = 6000
"""Bytes of one input that is kept."""


def answer(name: str, data: bytes) -> str:
    """The words with which a reader refuses these bytes, without numbers and names; "" when it takes them."""
    try:
        READERS[name].read(data)
    except EXPECTED as error:
        first = str(error).partition("\n")[0]
        return re.sub(r"'[^']*'|\"[^\"]*\"|[^a-zA-Z ]+", " ", first)[:200]
    return ""


def kept(name: str) -> dict[str, Path]:
    """The inputs in the repository by how they are answered."""
    return {answer(name, path.read_bytes()): path for path in sorted((CORPUS / name).glob("*"))}


def main(folder: Path) -> None:
    for name in NAMES:
        (CORPUS / name).mkdir(parents=True, exist_ok=True)
        known = set(kept(name))
        found = sorted((folder / name).glob("*/*"), key=lambda path: (path.stat().st_size, path.name))
        for path in found:
            data = path.read_bytes()
            if len(known) < MOST_INPUTS and len(data) <= MOST_BYTES and (words := answer(name, data)) not in known:
                known.add(words)
                (CORPUS / name / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
        print(f"{name:10} {len(known)} answers")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
