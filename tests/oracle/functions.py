"""Scalar functions of the table law: float64 in, float64 out, from `math` only (docs/arithmetic.md, section 7)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

Attributes: TypeAlias = Mapping[str, object]


def sigmoid(u: float) -> float:
    if u >= 0:
        return 1.0 / (1.0 + math.exp(-u))
    power = math.exp(u)
    return power / (1.0 + power)


def softplus(u: float) -> float:
    return max(u, 0.0) + math.log1p(math.exp(-abs(u)))


def logarithm(u: float) -> float:
    return -math.inf if u == 0 else math.log(u)


def round_even(u: float) -> float:
    return float(round(u)) if math.isfinite(u) else u


SIMPLE: dict[str, Callable[[float], float]] = {
    "Abs": abs,
    "Acos": math.acos,
    "Asin": math.asin,
    "Atan": math.atan,
    "Ceil": lambda u: float(math.ceil(u)),
    "Cos": math.cos,
    "Erf": math.erf,
    "Exp": math.exp,
    "Floor": lambda u: float(math.floor(u)),
    "HardSwish": lambda u: u * max(0.0, min(1.0, u / 6.0 + 0.5)),
    "Identity": lambda u: u,
    "Log": logarithm,
    "Mish": lambda u: u * math.tanh(softplus(u)),
    "Neg": lambda u: -u,
    "Reciprocal": lambda u: divide(1.0, u),
    "Relu": lambda u: max(u, 0.0),
    "Round": round_even,
    "Sigmoid": sigmoid,
    "Sign": lambda u: float((u > 0) - (u < 0)),
    "Sin": math.sin,
    "Sinh": math.sinh,
    "Softplus": softplus,
    "Softsign": lambda u: u / (1.0 + abs(u)),
    "Sqrt": math.sqrt,
    "Tan": math.tan,
    "Tanh": math.tanh,
}

DEFAULTS: dict[str, dict[str, float]] = {
    "LeakyRelu": {"alpha": 0.01},
    "ThresholdedRelu": {"alpha": 1.0},
    "Elu": {"alpha": 1.0},
    "Celu": {"alpha": 1.0},
    "Selu": {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875},
    "HardSigmoid": {"alpha": 0.2, "beta": 0.5},
    "Swish": {"alpha": 1.0},
}


def gelu(u: float) -> float:
    return 0.5 * u * (1.0 + math.erf(u / math.sqrt(2.0)))


def gelu_tanh(u: float) -> float:
    return 0.5 * u * (1.0 + math.tanh(math.sqrt(2.0 / math.pi) * (u + 0.044715 * u * u * u)))


def float32_of(value: float) -> float:
    """An attribute's default, as the float32 that a file would hold."""
    return float(np.float32(value))


def unary_function(op_type: str, attributes: Attributes) -> Callable[[float], float] | None:
    """F of one ONNX operator with its attributes, or None if the operator is no function of one element."""
    if op_type in SIMPLE:
        return SIMPLE[op_type]
    if op_type == "Gelu":
        return gelu_tanh if attributes.get("approximate", b"none") in (b"tanh", "tanh") else gelu
    if op_type not in DEFAULTS:
        return None
    values: dict[str, float] = {}
    for name, default in DEFAULTS[op_type].items():
        given = attributes.get(name, default)
        assert isinstance(given, float)
        values[name] = float32_of(given)
    alpha = values["alpha"]
    match op_type:
        case "LeakyRelu":
            return lambda u: u if u >= 0 else alpha * u
        case "ThresholdedRelu":
            return lambda u: u if u > alpha else 0.0
        case "Elu":
            return lambda u: u if u > 0 else alpha * math.expm1(u)
        case "Celu":
            return lambda u: max(0.0, u) + min(0.0, alpha * math.expm1(u / alpha))
        case "Selu":
            return lambda u: values["gamma"] * (u if u > 0 else alpha * math.expm1(u))
        case "HardSigmoid":
            return lambda u: max(0.0, min(1.0, alpha * u + values["beta"]))
        case _:
            return lambda u: u * sigmoid(alpha * u)


def divide(a: float, b: float) -> float:
    if b == 0.0:
        return math.nan if a == 0.0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1.0, b)
    return a / b


BINARY: dict[str, Callable[[float, float], float]] = {
    "Add": lambda a, b: a + b,
    "Sub": lambda a, b: a - b,
    "Mul": lambda a, b: a * b,
    "Div": divide,
    "Pow": math.pow,
    "Min": min,
    "Max": max,
}
