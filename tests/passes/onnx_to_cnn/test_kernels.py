"""The numpy kernels against loops that spell the laws out, and the worked examples of the arithmetic page."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.ir import Operation

from dialects import cnn
from dialects.meaning import kernels as k
from dialects.meaning.cnn import HANDLERS

SMALL = settings(max_examples=40, deadline=None)
codes = st.integers(-128, 127)


def array(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)


@SMALL
@given(
    st.integers(0, 10**6), st.tuples(st.integers(1, 6), st.integers(1, 6)),
    st.sampled_from([(1, 1), (2, 1), (2, 3), (4, 4)]),
    st.tuples(st.integers(1, 3), st.integers(1, 3)), st.tuples(*[st.integers(0, 2)] * 4),
    st.tuples(st.integers(1, 2), st.integers(1, 2)), st.tuples(st.integers(1, 2), st.integers(1, 2)), codes, codes,
)  # fmt: skip
def test_convolution(
    seed: int, size: tuple[int, int], grouping: tuple[int, int], kernel: tuple[int, int],
    pads: tuple[int, int, int, int], strides: tuple[int, int], dilations: tuple[int, int], zx: int, zw: int,
) -> None:  # fmt: skip
    """Sums over taps, channel by channel, with padding that adds nothing after the zero point is taken off."""
    groups, ct = grouping
    c, kt = groups * ct, 2
    x, w = array(seed, 1, *size, c), array(seed + 1, groups * kt, *kernel, ct)
    bias = np.random.default_rng(seed).integers(-1000, 1000, groups * kt)
    rows, columns = k.output_size(x, kernel, pads, strides, dilations)
    if rows < 1 or columns < 1:
        return
    acc = k.accumulate(x, w, pads, strides, dilations, groups, zx, zw) + k.machine_bias(bias, w, zx, zw)
    for oy in range(rows):
        for ox in range(columns):
            for o in range(groups * kt):
                total = int(bias[o])
                for i in range(kernel[0]):
                    for j in range(kernel[1]):
                        y = oy * strides[0] + i * dilations[0] - pads[0]
                        z = ox * strides[1] + j * dilations[1] - pads[2]
                        if 0 <= y < size[0] and 0 <= z < size[1]:
                            for d in range(ct):
                                total += (int(x[0, y, z, o // kt * ct + d]) - zx) * (int(w[o, i, j, d]) - zw)
                assert acc[0, oy, ox, o] == total


def test_long_sums_are_exact() -> None:
    """Where float32 could not hold the sum, float64 does."""
    x, w = np.full((1, 1, 1, 5001), -128, np.int8), np.full((2, 1, 1, 5001), -128, np.int8)
    w[1, 0, 0, 0] = -127
    assert k.accumulate(x, w)[0, 0, 0].tolist() == [5001 * 16384, 5001 * 16384 - 128]


def test_overflow_is_reported() -> None:
    x, w = np.full((1, 1, 1, 131073), -128, np.int8), np.full((1, 1, 1, 131073), -128, np.int8)
    with pytest.raises(OverflowError, match="a sum of products does not fit int32"):
        k.conv2d(x, w, [0], [1.0])


def test_requantise_example() -> None:
    scale = k.requantise_scale(0.05, [0.02], 0.1)
    assert scale.view(np.uint32)[0] == 0x3C23D70B
    found = k.requantise(np.asarray([[1250], [1350], [-1350], [99999]]), scale, -1)
    assert found.reshape(-1).tolist() == [12, 13, -15, 127]


@SMALL
@given(st.lists(st.floats(width=32), min_size=1, max_size=20), st.floats(2.0**-20, 64, width=32), codes)
def test_quantise(values: list[float], scale: float, zero: int) -> None:
    found = k.quantise(values, scale, zero)
    for value, code in zip(values, found, strict=True):
        with np.errstate(all="ignore"):
            ratio = float(np.float32(value) / np.float32(scale))
        wanted = 0 if math.isnan(ratio) else (1000 if ratio > 1000 else -1000 if ratio < -1000 else round(ratio))
        assert code == min(max(wanted + zero, -128), 127)


def test_quantise_examples() -> None:
    assert k.quantise([1.25, -1, 100, 0.25], 0.5, 3).tolist() == [5, 1, 127, 3]
    assert k.quantise([math.nan, math.inf, -math.inf], 0.5, 3).tolist() == [3, 127, -128]
    wanted = np.asarray([-13.1, 0, 12.400001], np.float32)
    assert np.array_equal(k.dequantise(np.asarray([-128, 3, 127], np.int8), 0.1, 3), wanted)


def test_elementwise_examples() -> None:
    a, b = np.asarray([10, -128, 5], np.int8), np.asarray([7, 127, 3], np.int8)
    assert k.add_ratios(0.1, -2, 0.3, 1, 0.2, -3) == (0.5, float(np.float32(0.3) / np.float32(0.2)), -3.5)
    assert k.add(a, b, k.add_ratios(0.1, -2, 0.3, 1, 0.2, -3)).tolist() == [12, 123, 4]
    assert k.mul(a, -2, b, 1, k.mul_scale(0.5, 0.25, 0.5), -3).tolist() == [15, -128, 0]
    scale, offset = k.affine_parameters([1.5], [-0.25], float(np.float32(0.1)), 4, float(np.float32(0.2)))
    x = np.asarray([[-128], [4], [10], [127]], np.int8)
    assert k.affine(x, scale, offset, -5).reshape(-1).tolist() == [-105, -6, -2, 86]


def test_pool_examples() -> None:
    x = np.asarray([[10, 0], [0, 0]], np.int8).reshape(1, 2, 2, 1)
    for total, wanted in ((10, 2), (6, 2), (-10, -2), (14, 4)):
        x[0, 0, 0, 0] = total
        assert k.global_average_pool(x, 0, 0.5, 0.5, 0).item() == wanted
        assert k.average_pool(x, (2, 2), 0, 0.5, 0.5, 0).item() == wanted
    padded = k.average_pool(np.full((1, 1, 1, 1), 8, np.int8), (2, 2), 0, 1.0, 1.0, 0, (1, 0, 1, 0))
    assert padded.item() == 8
    counted = k.average_pool(np.full((1, 1, 1, 1), 8, np.int8), (2, 2), 0, 1.0, 1.0, 0, (1, 0, 1, 0), count_pads=True)
    assert counted.item() == 2
    least = np.full((1, 1, 1, 1), -128, np.int8)
    assert k.max_pool(least, (3, 3), (1, 1, 1, 1)).item() == -128


def test_lrn_example() -> None:
    x = np.asarray([10, 20, -30], np.int8).reshape(1, 1, 1, 3)
    scales = float(np.float32(0.1)), float(np.float32(0.05))
    found = k.lrn(x, 3, float(np.float32(0.1)), 0.75, 1.0, scales[0], 0, scales[1], 0)
    assert found.reshape(-1).tolist() == [18, 30, -46]


@SMALL
@given(st.integers(0, 10**6), st.sampled_from([1, 2, 3, 4, 6]))
def test_movement(seed: int, groups: int) -> None:
    x = array(seed, 1, 2, 3, 12)
    shuffled = k.shuffle(x, groups)
    for i in range(groups):
        for j in range(12 // groups):
            assert np.array_equal(shuffled[..., j * groups + i], x[..., i * (12 // groups) + j])
    big = k.resize(x, (2, 3))
    assert all(np.array_equal(big[0, y, z], x[0, y // 2, z // 3]) for y in range(4) for z in range(9))
    table = array(seed + 1, 256)
    assert all(k.table_lookup(np.asarray([v], np.int8), table)[0] == table[v + 128] for v in (-128, -1, 0, 127))


def test_every_operation_has_a_meaning() -> None:
    """Host regions and their terminator are run by the evaluator itself."""
    there: set[type[Operation]] = set(cnn.CNN.operations) - {cnn.HostOp, cnn.YieldOp}
    assert there == set(HANDLERS)
