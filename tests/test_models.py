"""The corpus of real models: its manifest, what happens to a file that is another one, and the page."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from sim.machine.program import Port

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))

import model_files
import model_row
import models
from model_files import Entry, NoFile, entries, file_of
from model_row import Row


def test_the_manifest_says_where_everything_comes_from() -> None:
    found = entries()
    assert len(found) >= 25
    assert len({entry.name for entry in found}) == len(found)
    for entry in found:
        assert entry.what, entry.name
        assert entry.licence, entry.name
        if not entry.network:
            assert all((entry.package, entry.version, entry.member)), entry.name
            assert re.fullmatch("[0-9a-f]{64}", entry.sha256), entry.name


def test_a_file_with_another_sum_is_refused_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_files, "CACHE", tmp_path)
    entry = Entry("one", "a model", "MIT", "some-package", "1.0", "some/model.onnx", "0" * 64)
    path = tmp_path / "models" / "some-package-1.0" / "some" / "model.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"another")
    with pytest.raises(NoFile, match=r"^some/model.onnx of some-package 1.0 has the sha256 [0-9a-f]{64}, and the "
                       r"manifest says 0{64}\.$"):  # fmt: skip
        file_of(entry)
    assert not path.exists()


@pytest.mark.parametrize("shape", [(1, 3, 20, 30), (1, 20, 30, 3), (1, 1, 8, 8)])
def test_pictures_are_parts_of_the_photo_in_either_order(shape: tuple[int, ...]) -> None:
    entry = Entry("one", "a model", "MIT", scale=(0.5,), mean=(10.0,))
    first, second = model_row.samples_of(entry, (Port("x", "float32", shape),), 2)
    assert first["x"].shape == shape
    assert first["x"].dtype == np.float32
    assert first["x"].min() >= -5
    assert 20 < first["x"].max() <= 122.5
    assert not np.array_equal(first["x"], second["x"])


def test_given_inputs_and_noise() -> None:
    entry = Entry("one", "a model", "MIT", given={"low": 46.875})
    ports = (Port("low", "float32", ()), Port("bytes", "int32", (1, 2048)), Port("wave", "float32", (1, 512)))
    (sample,) = model_row.samples_of(entry, ports, 1)
    assert sample["low"] == np.float32(46.875)
    assert set(np.unique(sample["bytes"])) <= set(range(256))
    assert 0.4 < sample["wave"].std() < 0.6


GOOD = Row("one", macs=1_500_000, share=1.0, segments=1, host="Softmax", cycles=105, bound3=100, assumed=100, layers=9,
           decibels=31.25)  # fmt: skip


def test_the_page_counts_what_is_as_it_should_be() -> None:
    entry = Entry("one", "a classifier", "MIT", "some-package", "1.0", "some/model.onnx", "0" * 64)
    text = models.page([(entry, GOOD)])
    assert "| one: a classifier | some-package 1.0 | 1.5 | 1.0000 | Softmax | 1.05 | 1.05 | 9 layers | 31.2 |\n" in text
    assert (
        "1 of 1 compile and run; 0 are wrong; the geometric mean of the shares is 1.0000; 1 of 1 take at most 1.05 "
        "times the cycles of the assumed form.\n"
    ) in text
    assert "Not as they should be" not in text


def test_the_page_names_what_is_not() -> None:
    entry = Entry("one", "a classifier", "MIT", "some-package", "1.0", "some/model.onnx", "0" * 64)
    wrong = dataclasses.replace(GOOD, name="two", wrong="3 layers, first conv", share=0.5)
    refused = Row("three", problem="It is\nnot quantised.")
    text = models.page([(dataclasses.replace(entry, name=row.name), row) for row in (GOOD, wrong, refused)])
    assert "2 of 3 compile and run; 1 are wrong; the geometric mean of the shares is 0.7071" in text
    assert "* **two**: 3 layers, first conv\n" in text
    assert "* **three**: It is not quantised.\n" in text
