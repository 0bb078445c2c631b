"""Mutated texts are refused with a place, or accepted and equal at every level below; 'make verify' tries more."""

from __future__ import annotations

import pytest

from tests.mutations.texts import KINDS, PLACE, Case, Tally, Verdict, cases, judge, texts

COUNT, SEED = 200, 0


@pytest.fixture(scope="module")
def verdicts() -> list[tuple[Case, Verdict]]:
    return [(one, judge(one)) for one in cases(COUNT, SEED)]


def test_nothing_is_wrong_in_silence_and_nothing_crashes(verdicts: list[tuple[Case, Verdict]]) -> None:
    wrong = [f"{one.number} {one.origin}, {one.how}: {verdict}" for one, verdict in verdicts if not verdict.right]
    assert wrong == []


def test_both_ends_are_met_and_every_kind_is_drawn(verdicts: list[tuple[Case, Verdict]]) -> None:
    assert {verdict.what for _, verdict in verdicts} == {"refused", "equal"}
    assert {one.how for one, _ in verdicts} == set(KINDS)
    assert {one.origin for one, _ in verdicts} == set(texts())
    assert all(PLACE.search(verdict.detail) for _, verdict in verdicts if verdict.what == "refused")


def test_the_texts_themselves_are_accepted() -> None:
    """Of one network at every level: what refuses everything would pass the other tests."""
    for name, text in list(texts().items())[:4]:
        assert judge(Case(0, name, "", text)) == Verdict("equal")


def test_the_table_counts_every_text_once(verdicts: list[tuple[Case, Verdict]]) -> None:
    tally = Tally()
    for one, verdict in verdicts:
        tally.add(one, verdict, 0.5)
    lines = tally.table().splitlines()
    assert lines[0].split(maxsplit=3)[:3] == ["texts", "refused", "equal"]
    assert [int(line.split()[len(line.split()) - 7]) for line in lines[1:-1]].count(0) == 0
    assert lines[-2].split()[:2] == ["all", str(len(verdicts))]
    assert lines[-1] == "longest: 0.5 s of processor time"


def test_a_wrong_answer_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from dialects.meaning import kernels

    name, text = next((name, text) for name, text in texts().items() if name == "residual at cnn")
    right = kernels.requantise
    import dialects.meaning.cnn as meaning

    monkeypatch.setattr(meaning.kernels, "requantise", lambda acc, *rest: right(acc + 1000, *rest))
    assert judge(Case(0, name, "", text)).what == "wrong in silence"
