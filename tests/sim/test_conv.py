"""``conv`` against a loop over output pixels, channels and taps that reads single bytes by the operand's definition."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.convolution import Weights, Window, convolve
from sim.engine import Engine
from sim.machine import encoding
from sim.machine.description import Configuration
from tests.sim.support import SMALL, engine, params

Fields = dict[str, Any]

IN, WEIGHTS, PARAMS, RESIDUAL, TABLE, OUT = 0, 0x4000, 0x6000, 0x7000, 0x8000, 0x9000


@st.composite
def convolutions(draw: st.DrawFn, winograd: bool) -> Fields:
    """A small pass with every feature: groups, dilation, stride, pads, rings, strides, residual, table."""

    def number(low: int, high: int) -> int:
        return draw(st.integers(low, high))

    f: Fields = {
        "groups": number(1, 3),
        "outputs": number(1, 4),
        "inputs": number(1, 4),
        "oy": number(1, 4),
        "ox": number(1, 4),
    }
    if winograd:
        f |= {"fy": 3, "fx": 3}
    else:
        f |= {
            "fy": number(1, 3),
            "fx": number(1, 3),
            "sy": number(1, 2),
            "sx": number(1, 2),
            "dy": number(1, 2),
            "dx": number(1, 2),
        }
    f = {**encoding.defaults("conv"), **f}
    rows = (f["oy"] - 1) * f["sy"] + (f["fy"] - 1) * f["dy"] + 1
    columns = (f["ox"] - 1) * f["sx"] + (f["fx"] - 1) * f["dx"] + 1
    f["top"] = number(0, min(2, rows))
    f["bottom"] = number(0, min(2, rows - f["top"]))
    f["left"] = number(0, min(2, columns))
    f["right"] = number(0, min(2, columns - f["left"]))
    f["pad_value"] = number(-128, 127)
    f["params"], f["table"] = PARAMS, TABLE
    f["zero_point"] = number(-128, 127)
    f["lo"], f["hi"] = number(-128, 0), number(0, 127)
    f["sum_lo"], f["sum_hi"] = number(-128, 0), number(0, 127)
    f["last"] = draw(st.sampled_from([1, 1, 2]))
    f["residual"], f["has_table"] = (number(0, 3), number(0, 1)) if f["last"] == 1 else (0, 0)
    f["ra"], f["rb"], f["fix"] = (float(np.float32(draw(st.floats(-2, 2, width=32)))) for _ in range(3))
    for name, base, height, width, channels in (
        ("in", IN, rows - f["top"] - f["bottom"], columns - f["left"] - f["right"], f["groups"] * f["inputs"]),
        ("res", RESIDUAL, f["oy"], f["ox"], f["groups"] * f["outputs"]),
        ("out", OUT, f["oy"], f["ox"], f["groups"] * f["outputs"] * (4 if f["last"] == 2 else 1)),
    ):
        f[f"{name}.base"] = base
        f[f"{name}.pixel_stride"] = channels + number(0, 3)
        f[f"{name}.row_stride"] = f[f"{name}.pixel_stride"] * max(width, 1) + number(0, 3)
        f[f"{name}.ring"] = draw(st.sampled_from([0, max(height, 1), height + 2]))
        f[f"{name}.row"] = number(0, 4)
    return f


def address(f: Fields, name: str, y: int, x: int, c: int) -> int:
    """Where row y, pixel x, channel c of an operand lies."""
    slot = f[f"{name}.row"] + y
    slot = slot % f[f"{name}.ring"] if f[f"{name}.ring"] else slot
    return int(f[f"{name}.base"] + slot * f[f"{name}.row_stride"] + x * f[f"{name}.pixel_stride"] + c)


def naive_sum(sram: Any, weights: Any, f: Fields, y: int, x: int, g: int, k: int) -> int:
    """Σ x·w of one output."""
    total = 0
    rows = (f["oy"] - 1) * f["sy"] + (f["fy"] - 1) * f["dy"] + 1 - f["top"] - f["bottom"]
    columns = (f["ox"] - 1) * f["sx"] + (f["fx"] - 1) * f["dx"] + 1 - f["left"] - f["right"]
    for i in range(f["fy"]):
        for j in range(f["fx"]):
            row, column = y * f["sy"] + i * f["dy"] - f["top"], x * f["sx"] + j * f["dx"] - f["left"]
            for c in range(f["inputs"]):
                value = f["pad_value"]
                if 0 <= row < rows and 0 <= column < columns:
                    value = int(sram[address(f, "in", row, column, g * f["inputs"] + c)])
                total += value * int(weights[g * f["outputs"] + k, i * f["fx"] + j, c])
    return total


def rne(value: np.float32) -> int:
    """Python rounds half to even."""
    return round(float(value))


def clamp(value: int, lo: int, hi: int) -> int:
    return min(max(value, lo), hi)


def naive_chain(sram: Any, f: Fields, total: int, y: int, x: int, channel: int) -> list[int]:
    """One output from its exact sum: a code, or the four bytes of a float32."""
    at = f["params"] + 8 * channel
    bias = int(sram[at : at + 4].view("<i4")[0])
    scale = sram[at + 4 : at + 8].view("<f4")[0]
    wide = np.float32(total + bias) * scale
    if f["last"] == 2:
        return list(np.frombuffer(np.float32(wide).astype("<f4").tobytes(), np.int8))
    code = clamp(rne(wide) + f["zero_point"], f["lo"], f["hi"])
    if f["residual"] == 3:
        other = np.float32(f["rb"]) * np.float32(int(sram[address(f, "res", y, x, channel)]))
        code = clamp(rne(np.float32(wide + np.float32(other + np.float32(f["fix"])))), f["sum_lo"], f["sum_hi"])
    elif f["residual"]:
        other = int(sram[address(f, "res", y, x, channel)])
        a, b = (code, other) if f["residual"] == 1 else (other, code)
        left = np.float32(f["ra"]) * np.float32(a)
        right = np.float32(np.float32(f["rb"]) * np.float32(b)) + np.float32(f["fix"])
        code = clamp(rne(np.float32(left + right)), f["sum_lo"], f["sum_hi"])
    if f["has_table"]:
        code = int(sram[f["table"] + code + 128])
    return [code]


def filled(machine_engine: Engine, configuration: str, f: Fields, half: int, zero: int) -> Any:
    """Fill a half from the weights region and give the weights [outputs, taps, inputs] less their zero point."""
    chosen = Configuration.parse(configuration)
    machine_engine.active = chosen
    taps, inputs = f["fy"] * f["fx"], f["inputs"]
    fields = {
        **encoding.defaults("fill"),
        "half": half,
        "algorithm": int(chosen.algorithm == "winograd"),
        "g": chosen.g,
        "k": chosen.k,
        "r": chosen.r,
        "p": chosen.p,
        "groups": f["groups"],
        "outputs": f["outputs"],
        "inputs": inputs,
        "fy": f["fy"],
        "fx": f["fx"],
        "address": WEIGHTS,
        "tap_stride": inputs + 1,
        "output_stride": (inputs + 1) * taps + 2,
        "weight_zero": zero,
    }
    machine_engine.execute("fill", fields)
    sram = machine_engine.sram.data.view(np.int8)
    return np.array(
        [
            [
                [
                    int(sram[WEIGHTS + o * fields["output_stride"] + t * fields["tap_stride"] + c]) - zero
                    for c in range(inputs)
                ]
                for t in range(taps)
            ]
            for o in range(f["groups"] * f["outputs"])
        ]
    )


def random_engine(seed: int, channels: int) -> Engine:
    """An engine whose SRAM holds random bytes and decent parameters."""
    rng = np.random.default_rng(seed)
    made = engine(SMALL)
    made.sram.preset(0, rng.integers(0, 256, made.sram.size, dtype=np.uint8))
    scale = rng.uniform(0.001, 0.02, channels)
    made.sram.preset(PARAMS, params(rng.integers(-20_000, 20_000, channels), scale))
    return made


def check(machine_engine: Engine, passes: list[Fields], weights: list[Any]) -> None:
    """The last pass's outputs against the loops; nothing else in SRAM may change."""
    sram = machine_engine.sram.data.view(np.int8)
    before = sram.copy()
    for f in passes:
        machine_engine.execute("conv", f)
    f, expected = passes[-1], before.copy()
    for y in range(f["oy"]):
        for x in range(f["ox"]):
            for g in range(f["groups"]):
                for k in range(f["outputs"]):
                    total = sum(naive_sum(before, w, p, y, x, g, k) for p, w in zip(passes, weights, strict=True))
                    channel = g * f["outputs"] + k
                    made = naive_chain(before, f, total, y, x, channel)
                    start = address(f, "out", y, x, channel * len(made))
                    expected[start : start + len(made)] = made
    np.testing.assert_array_equal(sram, expected)


@settings(max_examples=60, deadline=None)
@given(convolutions(winograd=False), st.integers(0, 2**32), st.integers(-128, 127))
def test_direct(f: Fields, seed: int, zero: int) -> None:
    made = random_engine(seed, f["groups"] * f["outputs"])
    weights = filled(made, "direct g4 k4 r4 p4", f, 0, zero)
    check(made, [{**f, "first": 1}], [weights])


@settings(max_examples=30, deadline=None)
@given(convolutions(winograd=True), st.integers(0, 2**32))
def test_winograd(f: Fields, seed: int) -> None:
    made = random_engine(seed, f["groups"] * f["outputs"])
    weights = filled(made, "winograd g4 k4 r4 p4", f, 0, 0)
    check(made, [{**f, "first": 1}], [weights])


@settings(max_examples=30, deadline=None)
@given(convolutions(winograd=False), st.integers(0, 2**32), st.integers(2, 3))
def test_several_passes(f: Fields, seed: int, count: int) -> None:
    made = random_engine(seed, f["groups"] * f["outputs"])
    made.sram.data[IN : IN + 0x4000] = np.random.default_rng(seed + 1).integers(0, 256, 0x4000, dtype=np.uint8)
    weights = filled(made, "direct g4 k4 r4 p4", f, 0, 0)
    passes = [{**f, "first": int(i == 0), "last": f["last"] * (i == count - 1), "in.base": i} for i in range(count)]
    check(made, passes, [weights] * count)


def exact(x: Any, w: Any, window: Window) -> Any:
    """The convolution in int64, for sizes that loops would take too long for."""
    groups, outputs, _ = w.shape
    w = w.reshape(groups, outputs, window.fy, window.fx, -1).astype(np.int64)
    x = x.reshape(window.rows, window.columns, groups, -1).astype(np.int64)
    total = np.zeros((window.oy, window.ox, groups, outputs), np.int64)
    for i in range(window.fy):
        for j in range(window.fx):
            part = x[i * window.dy :: window.sy, j * window.dx :: window.sx][: window.oy, : window.ox]
            total += np.einsum("yxgc,goc->yxgo", part, w[:, :, i, j])
    return total.reshape(window.oy, window.ox, -1)


def test_large_reductions_stay_exact() -> None:
    """Sums beyond 2²⁴ and beyond 2³¹ are exact: weights of ±255 and codes of −128 add up on purpose."""
    rng = np.random.default_rng(0)
    for groups, outputs, inputs, fy, extreme in ((1, 8, 4096, 3, True), (2, 5, 700, 3, False), (40, 1, 1, 5, False)):
        window = Window(5, 4, fy, fy, 1, 1)
        x = rng.integers(-128, 128, (window.rows, window.columns, groups * inputs)).astype(np.int8)
        w = rng.integers(-255, 256, (groups, outputs, fy * fy * inputs)).astype(np.int16)
        if extreme:
            x[...], w[0, 0], w[0, 1] = -128, -255, 255
        result = convolve(x, Weights(w), window)
        np.testing.assert_array_equal(result.astype(np.int64), exact(x, w, window))
    odd = Weights(np.full((1, 1, 1001), 255, np.int16))
    x = np.full((1, 1, 1001), 127, np.int8)
    assert int(convolve(x, odd, Window(1, 1, 1, 1, 1, 1))[0, 0, 0]) == 127 * 255 * 1001 > 2**24
    most = np.full((1, 1, 2**17), -128, np.int8)
    weights = Weights(np.full((1, 1, 2**17), 255, np.int16))
    assert int(convolve(most, weights, Window(1, 1, 1, 1, 1, 1))[0, 0, 0]) == -128 * 255 * 2**17 < -(2**31)


def test_tall_tiles_are_worked_on_in_stripes() -> None:
    rng = np.random.default_rng(1)
    window = Window(150, 140, 3, 3, 2, 1, 1, 2)
    x = rng.integers(-128, 128, (window.rows, window.columns, 16)).astype(np.int8)
    w = rng.integers(-128, 128, (1, 3, 144)).astype(np.int16)
    np.testing.assert_array_equal(convolve(x, Weights(w), window).astype(np.int64), exact(x, w, window))
    w = rng.integers(-128, 128, (16, 2, 9)).astype(np.int16)
    np.testing.assert_array_equal(convolve(x, Weights(w), window).astype(np.int64), exact(x, w, window))
