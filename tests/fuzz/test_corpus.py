"""Every input of the corpora, and every good file, ends as reading may end; and what would not is noticed."""

from __future__ import annotations

import numpy as np
import pytest

from sim.machine.errors import ReconError
from tests.fuzz.__main__ import CORPUS, NAMES
from tests.fuzz.judging import Finding, judge, peak
from tests.fuzz.mutators import MUTATORS, mutated
from tests.fuzz.readers import READERS, Reader

MOST = 500_000
"""Bytes of all corpora."""


@pytest.mark.parametrize("name", NAMES)
def test_inputs_that_once_were_found(name: str) -> None:
    verdicts = {judge(READERS[name], path.read_bytes()) for path in sorted((CORPUS / name).glob("*"))}
    assert "refused" in verdicts


@pytest.mark.parametrize("name", NAMES)
def test_good_files_are_taken(name: str) -> None:
    taken = [judge(READERS[name], data) for data in READERS[name].seeds()]
    assert taken.count("taken") >= 1


def test_the_corpora_are_small_and_whole() -> None:
    assert sorted(READERS) == sorted(NAMES)
    assert sum(path.stat().st_size for path in CORPUS.glob("*/*")) < MOST
    assert {path.parent.name for path in CORPUS.glob("*/*")} == set(NAMES)


@pytest.mark.parametrize("kind", MUTATORS)
def test_mutations_follow_the_grammar(kind: str) -> None:
    """Most of what is made of good files is made in their grammar, differs, and is the same for the same seed."""
    name = next(name for name, reader in READERS.items() if reader.kind == kind)
    data = READERS[name].seeds()[-1]
    made = [mutated(kind, data, seed) for seed in range(60)]
    assert made == [mutated(kind, data, seed) for seed in range(60)]
    assert sum(one is not None and one != data for one in made) > 20
    assert mutated(kind, b"\xff\x00\xfe", 3) is None or kind == "model"
    assert mutated("bytes", data, 1) is None


def test_what_is_neither_refused_nor_taken_is_a_finding() -> None:
    def crash(_data: bytes) -> None:
        raise KeyError("x")

    def mute(_data: bytes) -> None:
        raise ReconError(" ")

    def slow(_data: bytes) -> None:
        sum(range(2_000_000))

    def flood(_data: bytes) -> None:
        np.ones(peak() + (32 << 20), np.uint8)  # beyond all that other tests have taken

    for read, said in (
        (crash, "KeyError: 'x'"),
        (mute, "It is refused without a word."),
    ):
        with pytest.raises(Finding) as caught:
            judge(Reader(read, list), b"")
        assert str(caught.value) == said
    with pytest.raises(Finding, match=r"^It took [0-9.]+ s\.$"):
        judge(Reader(slow, list), b"", seconds=1e-3)
    with pytest.raises(Finding, match=r"^It took \d+ MB more than the process had\.$"):
        judge(Reader(flood, list), b"", most=1)
