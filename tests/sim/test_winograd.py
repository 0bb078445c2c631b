"""Winograd by its transforms: the manual's bounds are reached, sums wrap and still come right, what is wrong stops."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import winograd
from sim.convolution import Weights, Window, convolve
from sim.machine.errors import Fault
from sim.memory import Violation
from sim.simulator import simulate
from tests.mutations.small_programs import small_program
from tests.passes.tile_to_accel.support import random_inputs


def both(
    x: npt.NDArray[np.int8], w: npt.NDArray[np.int16], oy: int, ox: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The convolution by transforms and directly; w int16[groups, outputs, 9 · inputs]."""
    groups = w.shape[0]
    sums = winograd.multiply(winograd.expand(w, groups), winograd.spread(x, oy, ox, groups), None)
    direct = convolve(x, Weights(w), Window(oy, ox, 3, 3, 1, 1))
    return winograd.outputs(sums, oy, ox), direct.astype(np.int64)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 5), st.integers(1, 5), st.integers(1, 3), st.integers(1, 4), st.integers(1, 6), st.integers(0, 99)
)
def test_the_transforms_make_the_convolution(
    oy: int, ox: int, groups: int, outputs: int, inputs: int, seed: int
) -> None:
    dice = np.random.default_rng(seed)
    codes = np.array([-128, 127]) if seed % 3 == 0 else np.arange(-128, 128)
    x = dice.choice(codes, (oy + 2, ox + 2, groups * inputs)).astype(np.int8)
    w = dice.choice(codes, (groups, outputs, 9 * inputs)).astype(np.int16)
    made, direct = both(x, w, oy, ox)
    np.testing.assert_array_equal(made, direct)


def test_twelve_and_ten_bits_are_needed_and_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    signs = np.array([1, -1], np.int64)
    patterns = np.stack(np.meshgrid(*[signs] * 3, indexing="ij"), -1).reshape(-1, 3)
    kernels = np.einsum("ai,bj->abij", patterns, patterns).reshape(1, -1, 9)
    kernels = np.where(kernels > 0, 127, -128).astype(np.int16)
    u = winograd.expand(np.concatenate([kernels, np.full((1, 1, 9), -128, np.int16)], axis=1), 1)
    assert (u.min(), u.max()) == (-1152, 1147)
    corners = np.where(np.arange(2**16)[:, None] >> np.arange(16) & 1, 127, -128).astype(np.int8)
    v = winograd.spread(corners.T.reshape(4, 4, -1), 2, 2, 1)
    assert (v.min(), v.max()) == (-512, 510)
    monkeypatch.setattr(winograd, "WEIGHT_BITS", 11)
    with pytest.raises(Violation, match=r"^a weight of Winograd, -1152, does not fit 11 bits\.$"):
        winograd.expand(np.full((1, 1, 9), -128, np.int16), 1)


def test_accumulators_wrap_and_the_sum_is_right() -> None:
    """4,096 inputs whose products agree in sign in one position of the tile, and cancel in the convolution."""
    x = np.full((4, 4, 4096), 127, np.int8)
    x[2:] = -128
    w = np.zeros((1, 1, 3, 3, 4096), np.int16)
    w[:, :, 0] = 127
    w[:, :, 2] = -128
    w[..., 2048:] = -w[..., 2048:].clip(-127, 127)
    plain = w.reshape(1, 1, -1)
    u, v = winograd.expand(plain, 1), winograd.spread(x, 2, 2, 1)
    half = winograd.multiply(u[:, :, :, :2048], v[..., :2048], None)
    exact = np.matmul(v[..., :2048].astype(object), u[:, :, :, :2048].astype(object))
    assert max(abs(int(n)) for n in exact.ravel()) < 2**31 <= 4 * max(abs(int(n)) for n in exact.ravel())
    many = half
    for _ in range(4):  # in several passes, beyond int32 and back
        many = winograd.multiply(u[:, :, :, :2048], v[..., :2048], many)
    for _ in range(4):
        many = winograd.multiply(-u[:, :, :, :2048], v[..., :2048], many)
    np.testing.assert_array_equal(many, half)
    made, direct = both(x, plain, 2, 2)
    np.testing.assert_array_equal(made, direct)


def stopped(seeds: list[int], *, sanitize: bool) -> list[str]:
    """What stopped the programs of these seeds."""
    reasons: list[str] = []
    for seed in seeds:
        program = small_program(seed).program
        try:
            simulate(program, random_inputs(program), sanitize=sanitize)
        except Fault as fault:
            reasons.append(str(fault).partition("stops the machine: ")[2])
    return reasons


def test_a_sanitized_run_computes_by_transforms_and_notices_a_wrong_one(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = [seed for seed in range(30) if "winograd" in small_program(seed).plan]
    assert stopped(seeds, sanitize=True) == []
    wrong = winograd.BT.copy()
    wrong[1, 1] = -1
    monkeypatch.setattr(winograd, "BT", wrong)
    reasons = stopped(seeds, sanitize=True)
    assert len(reasons) > 2
    assert all(reason.startswith("Winograd") for reason in reasons)
    assert stopped(seeds, sanitize=False) == []  # a plain run convolves directly
