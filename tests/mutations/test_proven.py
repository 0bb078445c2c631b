"""The proof for every input against programs broken in one place, frames and host boundaries among them."""

from __future__ import annotations

from tests.mutations.proven import FORMS, compare


def test_what_harms_is_refused_and_nothing_good() -> None:
    table = compare(4, 1)
    assert table.failures == []
    assert all(table.programs[form] for form in FORMS)
    every = [row for row in table.rows.values() if row.harmful]
    assert len(every) > len(table.rows) // 2
    assert all(row.caught == row.harmful for row in every)
    lines = str(table).splitlines()
    assert lines[0].startswith("programs changed in one place and proven: ")
    assert lines[-1] == "good programs accused: 0"
