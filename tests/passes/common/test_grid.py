"""Integers behind float weights are found where there are any, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passes.common.grid import on_grid


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(-20, 20), st.sampled_from((0, 1)), st.integers(1, 128))
def test_weights_on_a_grid_are_products_of_codes_and_scales(seed: int, power: int, axis: int, most: int) -> None:
    random = np.random.default_rng(seed)
    made = random.integers(-most, min(most, 127) + 1, (5, 7, 3, 2))
    shape = [1] * 4
    shape[axis] = made.shape[axis]
    scales = (random.uniform(0.5, 1.0, shape) * 2.0**power).astype(np.float32)
    weights = (made * scales).astype(np.float32)
    found = on_grid(weights, axis)
    assert found is not None
    codes, steps = found
    assert codes.dtype == np.int8
    assert np.array_equal((codes * steps.reshape(shape)).astype(np.float32), weights)


@pytest.mark.parametrize("axis", [0, 1])
def test_weights_on_no_grid(axis: int) -> None:
    random = np.random.default_rng(3)
    weights = (random.integers(-128, 128, (4, 6, 3, 3)) * np.float32(0.01)).astype(np.float32)
    assert on_grid(weights, axis) is not None
    weights[2, 3, 1, 1] *= np.float32(1.0001)  # one of them
    assert on_grid(weights, axis) is None
    assert on_grid(random.standard_normal((4, 6)).astype(np.float32), axis) is None
    weights[2, 3, 1, 1] = np.nan
    assert on_grid(weights, axis) is None


def test_a_channel_of_zeros_has_any_scale() -> None:
    weights = np.zeros((2, 3), np.float32)
    weights[1] = [0.5, -1.0, 0.25]
    found = on_grid(weights, 0)
    assert found is not None
    assert found[0].tolist() == [[0, 0, 0], [2, -4, 1]]
    assert found[1].tolist() == [1.0, 0.25]
