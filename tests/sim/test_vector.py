"""Every vector operation against loops over single elements, and the worked examples of the arithmetic page."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.engine import HANDLERS
from sim.machine import encoding, isa
from sim.machine.operations import operation
from sim.vector_unit import OPERATIONS
from tests.sim.support import engine
from tests.sim.test_conv import address, clamp, rne

Fields = dict[str, Any]
Pixel = Callable[[int, int, int], int]
f32 = np.float32

A, B, TABLE, PARAMS, OUT = 0, 0x4000, 0x6000, 0x7000, 0x9000


def test_every_instruction_and_operation_has_its_handler() -> None:
    assert set(HANDLERS) == set(isa.BY_NAME)
    assert set(OPERATIONS) == set(isa.VECTOR_OPS)


def saturated(value: float) -> int:
    """Round half to even; infinities saturate and NaN is 0."""
    if math.isnan(value):
        return 0
    return round(min(max(value, -1e9), 1e9))


def naive(sram: Any, f: Fields, a: Pixel, b: Pixel, y: int, x: int, c: int) -> int:
    """One output code of an operation; ``a`` and ``b`` give codes of the operands."""
    op = isa.VECTOR_OPS[f["op"]]
    zero, lo, hi = f["zero_point"], f["lo"], f["hi"]
    ra, rb = f32(f["ra"]), f32(f["rb"])
    divisor = rb if rb else f32(1)
    if op == "copy":
        if lo == hi == 0:
            lo, hi = -128, 127
        return clamp(saturated(float(f32(f32(a(y, x, c) - f["za"]) * ra) / divisor)) + zero, lo, hi)
    if op == "add":
        right = f32(f32(rb * f32(b(y, x, c))) + f32(f["fix"]))
        return clamp(saturated(float(f32(f32(ra * f32(a(y, x, c))) + right))), lo, hi)
    if op == "mul":
        return clamp(rne(f32((a(y, x, c) - f["za"]) * (b(y, x, c) - f["zb"])) * ra) + zero, lo, hi)
    if op in ("max", "min"):
        return clamp((max if op == "max" else min)(a(y, x, c), b(y, x, c)), lo, hi)
    if op in ("max_pool", "average_pool"):
        return naive_pool(f, a, y, x, c)
    if op == "global_average_pool":
        pixels = [(i, j) for i in range(f["iy"]) for j in range(f["ix"])]
        total = sum(a(i, j, c) - f["za"] for i, j in pixels)
        return clamp(saturated(float(f32(total) * f32(ra / f32(divisor * f32(len(pixels)))))) + zero, lo, hi)
    if op == "affine":
        scale, offset = sram[f["params"] + 8 * c : f["params"] + 8 * c + 8].view("<f4")
        return clamp(saturated(float(f32(f32(a(y, x, c)) * scale) + offset)) + zero, lo, hi)
    if op == "table":
        return int(sram[f["table"] + a(y, x, c) + 128])
    if op == "resize":
        return a(y // f["sy"], x // f["sx"], c)
    if op == "shuffle":
        return a(y, x, c % f["size"] * (f["channels"] // f["size"]) + c // f["size"])
    assert op == "lrn"
    window = range(max(0, c - (f["size"] - 1) // 2), min(f["channels"] - 1, c + f["size"] // 2) + 1)
    total = sum((a(y, x, n) - f["za"]) ** 2 for n in window)
    unit = (f["alpha"] / f["size"]) * (float(ra) * float(ra))
    gain = float(ra) / float(divisor)
    return clamp(
        saturated(((a(y, x, c) - f["za"]) * gain) / math.pow(f["bias"] + unit * total, f["beta"])) + zero, lo, hi
    )


def naive_pool(f: Fields, a: Pixel, y: int, x: int, c: int) -> int:
    rows = (f["oy"] - 1) * f["sy"] + f["fy"] - f["top"] - f["bottom"]
    columns = (f["ox"] - 1) * f["sx"] + f["fx"] - f["left"] - f["right"]
    window = [(y * f["sy"] + i - f["top"], x * f["sx"] + j - f["left"]) for i in range(f["fy"]) for j in range(f["fx"])]
    real = [a(i, j, c) for i, j in window if 0 <= i < rows and 0 <= j < columns]
    if isa.VECTOR_OPS[f["op"]] == "max_pool":
        return max(real, default=-128)
    count = len(window) if f["size"] == 1 else max(1, len(real))
    divisor = f32(f["rb"]) if f["rb"] else f32(1)
    scale = f32(f["ra"]) / f32(divisor * f32(count))
    total = sum(value - f["za"] for value in real)
    return clamp(saturated(float(f32(total) * scale)) + f["zero_point"], f["lo"], f["hi"])


@st.composite
def vectors(draw: st.DrawFn, op: str) -> Fields:
    """A small instruction of one operation, with every field that the operation reads."""

    def number(low: int, high: int) -> int:
        return draw(st.integers(low, high))

    def ratio() -> float:
        return float(np.float32(draw(st.floats(0.0078125, 4, width=32))))

    f: Fields = {
        **encoding.defaults("vector"),
        "op": isa.VECTOR_OPS.index(op),
        "oy": number(1, 4),
        "ox": number(1, 4),
        "channels": number(1, 7),
        "ra": ratio(),
        "rb": draw(st.sampled_from([0.0, ratio()])),
        "fix": ratio(),
        "za": number(-128, 127),
        "zb": number(-128, 127),
        "zero_point": number(-128, 127),
        "lo": number(-128, 0),
        "hi": number(0, 127),
        "table": TABLE,
        "params": PARAMS,
    }
    rows, columns = f["oy"], f["ox"]
    if op in ("max_pool", "average_pool"):
        f |= {"fy": number(1, 3), "fx": number(1, 3), "sy": number(1, 3), "sx": number(1, 3), "size": number(0, 1)}
        rows, columns = (f["oy"] - 1) * f["sy"] + f["fy"], (f["ox"] - 1) * f["sx"] + f["fx"]
        f["top"], f["left"] = number(0, min(3, rows)), number(0, min(3, columns))
        f["bottom"], f["right"] = number(0, min(3, rows - f["top"])), number(0, min(3, columns - f["left"]))
        rows, columns = rows - f["top"] - f["bottom"], columns - f["left"] - f["right"]
    if op == "global_average_pool":
        rows, columns = number(1, 5), number(1, 5)
        f |= {"oy": 1, "ox": 1, "iy": rows, "ix": columns}
    if op == "resize":
        f |= {"sy": number(1, 3), "sx": number(1, 3)}
        rows, columns = -(-f["oy"] // f["sy"]), -(-f["ox"] // f["sx"])
    if op == "shuffle":
        f["size"] = number(1, 4)
        f["channels"] = f["size"] * number(1, 4)
    if op == "lrn":
        f |= {"size": number(1, 5), "alpha": ratio(), "beta": 0.75, "bias": 1.0}
    f["b_broadcast"] = number(0, 1) if operation(op).pixel else 0
    for name, base, height, width in (
        ("a", A, rows, columns),
        ("b", B, f["oy"], f["ox"]),
        ("out", OUT, f["oy"], f["ox"]),
    ):
        f[f"{name}.base"] = base
        f[f"{name}.pixel_stride"] = f["channels"] + number(0, 3)
        f[f"{name}.row_stride"] = f[f"{name}.pixel_stride"] * max(width, 1) + number(0, 3)
        f[f"{name}.ring"] = draw(st.sampled_from([0, max(height, 1), height + 2]))
        f[f"{name}.row"] = number(0, 4)
    return f


@pytest.mark.parametrize("op", isa.VECTOR_OPS)
def test_against_loops(op: str) -> None:
    @settings(max_examples=40, deadline=None)
    @given(vectors(op), st.integers(0, 2**32))
    def run(f: Fields, seed: int) -> None:
        rng = np.random.default_rng(seed)
        made = engine()
        made.sram.preset(0, rng.integers(0, 256, made.sram.size, dtype=np.uint8))
        pairs = rng.normal(0, 2, (f["channels"], 2)).astype(np.float32)
        made.sram.preset(PARAMS, pairs.view(np.uint8))
        sram = made.sram.data.view(np.int8)
        before, expected = sram.copy(), sram.copy()

        def a(y: int, x: int, c: int) -> int:
            return int(before[address(f, "a", y, x, c)])

        def b(y: int, x: int, c: int) -> int:
            return int(before[address(f, "b", *((0, 0) if f["b_broadcast"] else (y, x)), c)])

        made.execute("vector", f)
        for y in range(f["oy"]):
            for x in range(f["ox"]):
                for c in range(f["channels"]):
                    expected[address(f, "out", y, x, c)] = naive(before, f, a, b, y, x, c)
        np.testing.assert_array_equal(sram, expected)

    run()


def one_row(op: str, a: list[int], b: list[int] | None = None, **fields: Any) -> list[int]:
    """An operation on one pixel of len(a) channels."""
    made = engine()
    made.sram.preset(A, np.array(a, np.int8).view(np.uint8))
    if b is not None:
        made.sram.preset(B, np.array(b, np.int8).view(np.uint8))
    made.sram.preset(PARAMS, fields.pop("memory", np.zeros(0, np.uint8)))
    made.execute(
        "vector",
        {
            **encoding.defaults("vector"),
            "op": isa.VECTOR_OPS.index(op),
            "channels": len(a),
            "a.base": A,
            "b.base": B,
            "out.base": OUT,
            "params": PARAMS,
            "lo": -128,
            "hi": 127,
            **fields,
        },
    )
    return made.sram.data[OUT : OUT + len(a)].view(np.int8).tolist()


def single(value: float) -> float:
    return float(np.float32(value))


def test_examples_of_the_arithmetic_page() -> None:
    ra, rb = single(f32(0.1) / f32(0.2)), single(f32(0.3) / f32(0.2))
    fix = single(-3 - (ra * -2 + rb * 1))
    assert one_row("add", [10, -128, 5], [7, 127, 3], ra=ra, rb=rb, fix=fix) == [12, 123, 4]
    assert one_row("mul", [10, -128, 5], [7, 127, 3], ra=0.25, za=-2, zb=1, zero_point=-3) == [15, -128, 0]
    affine = np.array([[0.75, -4.25]] * 4, np.float32).view(np.uint8).ravel()
    assert one_row("affine", [-128, 4, 10, 127], memory=affine, zero_point=-5) == [-105, -6, -2, 86]
    assert one_row(
        "lrn", [10, 20, -30], size=3, alpha=single(0.1), beta=0.75, bias=1.0, ra=single(0.1), rb=single(0.05)
    ) == [18, 30, -46]
    assert one_row("copy", [-128, 0, 127], ra=1.0, za=3, zero_point=3, lo=0, hi=0) == [-128, 0, 127]
    assert one_row("max", [10, -128, 5], [7, 127, 3], lo=-100, hi=100) == [10, 100, 5]
    assert one_row("min", [10, -128, 5], [7, 127, 3], lo=-100, hi=100) == [7, -100, 3]
    assert one_row("shuffle", [0, 1, 2, 3, 4, 5], size=2) == [0, 3, 1, 4, 2, 5]


@pytest.mark.parametrize(
    ("codes", "expected"), [([3, 3, 2, 2], 2), ([1, 1, 2, 2], 2), ([-3, -3, -2, -2], -2), ([3, 4, 3, 4], 4)]
)
def test_averages_round_half_to_even(codes: list[int], expected: int) -> None:
    made = engine()
    made.sram.preset(A, np.array(codes, np.int8).view(np.uint8))
    for op, fields in (("global_average_pool", {"iy": 2, "ix": 2}), ("average_pool", {"fy": 2, "fx": 2})):
        made.execute(
            "vector",
            {
                **encoding.defaults("vector"),
                "op": isa.VECTOR_OPS.index(op),
                "a.row_stride": 2,
                "a.pixel_stride": 1,
                "out.base": OUT,
                "ra": single(0.3),
                "rb": single(0.3),
                "lo": -128,
                "hi": 127,
                **fields,
            },
        )
        assert int(made.sram.data[OUT : OUT + 1].view(np.int8)[0]) == expected


def test_results_that_are_no_numbers_count_as_zero() -> None:
    huge = 3e38
    assert one_row("add", [100, -100], [100, -100], ra=single(huge), rb=single(-huge), zero_point=9) == [0, 0]
    nan = np.array([[np.nan, 1.0], [np.inf, 0.0]], np.float32).view(np.uint8).ravel()
    assert one_row("affine", [1, 1], memory=nan, zero_point=9) == [9, 127]
