"""Functions of one number, float64 in and out, from `math` alone (arithmetic page, section 7).

numpy's exponentials choose other code on other CPUs; Python's do not, and a table has 256 entries.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from dialects.onnx import Value

Function = Callable[[float], float]
NAN = float("nan")


def _sigmoid(u: float) -> float:
    e = math.exp(-abs(u))
    return 1 / (1 + e) if u >= 0 else e / (1 + e)


def _softplus(u: float) -> float:
    return max(u, 0.0) + math.log1p(math.exp(-abs(u)))


def _gelu(u: float) -> float:
    return 0.5 * u * (1 + math.erf(u / math.sqrt(2)))


def _gelu_tanh(u: float) -> float:
    return 0.5 * u * (1 + math.tanh(math.sqrt(2 / math.pi) * (u + 0.044715 * u * u * u)))


def _log(u: float) -> float:
    return -math.inf if u == 0 else math.log(u)


def divide(a: float, b: float) -> float:
    """IEEE division: by zero it is infinite, 0/0 is not a number."""
    if b != 0:
        return a / b
    return NAN if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1.0, b)


PLAIN: dict[str, Function] = {
    "Abs": abs,
    "Acos": math.acos,
    "Asin": math.asin,
    "Atan": math.atan,
    "Ceil": math.ceil,
    "Cos": math.cos,
    "Cosh": math.cosh,
    "Erf": math.erf,
    "Exp": math.exp,
    "Floor": math.floor,
    "HardSwish": lambda u: u * max(0.0, min(1.0, u / 6 + 0.5)),
    "Log": _log,
    "Mish": lambda u: u * math.tanh(_softplus(u)),
    "Neg": lambda u: -u,
    "Reciprocal": lambda u: divide(1.0, u),
    "Round": round,
    "Sigmoid": _sigmoid,
    "Sign": lambda u: (u > 0) - (u < 0),
    "Sin": math.sin,
    "Sinh": math.sinh,
    "Softplus": _softplus,
    "Softsign": lambda u: u / (1 + abs(u)),
    "Sqrt": math.sqrt,
    "Tan": math.tan,
    "Tanh": math.tanh,
}


def _to_bfloat16(u: float) -> float:
    bits = np.frombuffer(np.float32(u).tobytes(), np.uint32)[0]
    if not math.isfinite(u):
        return u
    kept = (int(bits) + 0x7FFF + (int(bits) >> 16 & 1)) & 0xFFFF0000  # to nearest, ties to even
    return float(np.frombuffer(np.uint32(kept & 0xFFFFFFFF).tobytes(), np.float32)[0])


def _to_float16(u: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.float16(u))


ROUNDED: dict[str, Function] = {"f16": _to_float16, "bf16": _to_bfloat16}
"""Casts to narrower float types."""

_SELU = {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875}

BINARY: dict[str, Callable[[float, float], float]] = {
    "Add": lambda a, b: a + b,
    "Sub": lambda a, b: a - b,
    "Mul": lambda a, b: a * b,
    "Div": divide,
    "Pow": math.pow,
    "Min": min,
    "Max": max,
}


def function_of(op_type: str, attributes: Mapping[str, Value]) -> Function | None:
    """F of a unary operator with its attributes; None if it is no function of one number."""

    def number(name: str, default: float) -> float:
        value = attributes.get(name, default)
        return float(np.float32(value)) if isinstance(value, int | float) else default

    if op_type in PLAIN:
        return PLAIN[op_type]
    match op_type:
        case "Gelu":
            return _gelu_tanh if attributes.get("approximate", "none") == "tanh" else _gelu
        case "LeakyRelu":
            alpha = number("alpha", 0.01)
            return lambda u: u if u >= 0 else alpha * u
        case "ThresholdedRelu":
            alpha = number("alpha", 1.0)
            return lambda u: u if u > alpha else 0.0
        case "Elu":
            alpha = number("alpha", 1.0)
            return lambda u: u if u > 0 else alpha * math.expm1(u)
        case "Celu":
            alpha = number("alpha", 1.0)
            return lambda u: max(0.0, u) + min(0.0, alpha * math.expm1(u / alpha))
        case "Selu":
            alpha, gamma = number("alpha", _SELU["alpha"]), number("gamma", _SELU["gamma"])
            return lambda u: gamma * (u if u > 0 else alpha * math.expm1(u))
        case "HardSigmoid":
            alpha, beta = number("alpha", 0.2), number("beta", 0.5)
            return lambda u: max(0.0, min(1.0, alpha * u + beta))
        case "Swish":
            alpha = number("alpha", 1.0)
            return lambda u: u * _sigmoid(alpha * u)
        case _:
            return None


def rounded(function: Callable[..., float], *arguments: np.ndarray) -> np.ndarray:
    """One ONNX operator on float32 vectors of one length: F in float64 per element, then one rounding to float32.

    Overflow is infinite; outside its domain the function is not a number, which a later quantisation counts as 0.
    """
    result = np.empty(arguments[0].shape, np.float32)
    with np.errstate(over="ignore"):
        for at, values in enumerate(zip(*(a.tolist() for a in arguments), strict=True)):
            try:
                result[at] = NAN if any(math.isnan(v) for v in values) else np.float32(function(*values))
            except OverflowError:
                result[at] = _overflow(values)
            except ValueError:
                result[at] = NAN
    return result


def _overflow(values: tuple[float, ...]) -> float:
    """What an overflowing exponential or power is: infinite, negative only for odd powers of negative numbers."""
    if any(math.isinf(v) for v in values) and len(values) == 1:
        return values[0]
    return -math.inf if len(values) == 2 and values[0] < 0 and values[1] % 2 == 1 else math.inf
