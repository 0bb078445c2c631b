"""Inputs that find faults: the extremes of int8, zero points, saturation on purpose, and random codes, all by seed.

Every probe is made of codes, as the machine meets them: a float input gets the numbers that its QuantizeLinear turns
into them, or numbers far beyond, so that the quantiser itself saturates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from dialects import accel, cnn, tile
from dialects.blobs import DTYPE, to_array
from dialects.meaning.calls import main_of
from dialects.onnx import NodeOp, constant_of, element_of, shape_of
from dialects.onnx_export import input_names

Array = npt.NDArray[Any]
Codes = npt.NDArray[np.int64]
Inputs = dict[str, Array]

_MOVES = ("Transpose", "Reshape", "Identity", "Squeeze", "Unsqueeze", "Flatten")


@dataclass(frozen=True)
class Entrance:
    """An input: numpy dtype, shape, and for a float one the scale and range of the codes it is quantised to."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    scale: float = 1 / 32
    zero: int = 0
    low: int = -128
    high: int = 127

    def of(self, codes: Codes) -> Array:
        """The input that becomes these codes."""
        if self.dtype.kind == "f":
            return ((codes - self.zero).astype(np.float32) * np.float32(self.scale)).astype(self.dtype)
        return codes.astype(self.dtype)


def _filled(value: Callable[[Entrance], int]) -> Callable[[Entrance, np.random.Generator], Codes]:
    return lambda entrance, _dice: np.full(entrance.shape, value(entrance), np.int64)


def _alternating(entrance: Entrance, _dice: np.random.Generator) -> Codes:
    places = np.indices(entrance.shape).sum(axis=0) if entrance.shape else np.zeros((), np.int64)
    return np.where(places % 2 == 0, entrance.low, entrance.high).astype(np.int64)


def _random(entrance: Entrance, dice: np.random.Generator) -> Codes:
    return dice.integers(entrance.low, entrance.high + 1, entrance.shape)


def _extremes(entrance: Entrance, dice: np.random.Generator) -> Codes:
    return np.where(dice.random(entrance.shape) < 0.5, entrance.low, entrance.high).astype(np.int64)


def _beyond(entrance: Entrance, dice: np.random.Generator) -> Codes:
    codes = _extremes(entrance, dice)
    return codes * 1000 if entrance.dtype.kind == "f" else codes


def _near_zero(entrance: Entrance, dice: np.random.Generator) -> Codes:
    return np.clip(entrance.zero + dice.integers(-1, 2, entrance.shape), entrance.low, entrance.high)


KINDS: dict[str, Callable[[Entrance, np.random.Generator], Codes]] = {
    "random codes": _random,
    "all lowest": _filled(lambda entrance: entrance.low),
    "all highest": _filled(lambda entrance: entrance.high),
    "alternating extremes": _alternating,
    "all at the zero point": _filled(lambda entrance: entrance.zero),
    "random extremes": _extremes,
    "beyond the range": _beyond,
    "around the zero point": _near_zero,
}
"""The probes in the order in which they are tried; after the last one come further random codes."""


def probes(entrances: list[Entrance], count: int, seed: int = 0) -> list[tuple[str, Inputs]]:
    """``count`` probes with what each is called."""
    names = list(KINDS)
    made: list[tuple[str, Inputs]] = []
    for number in range(count):
        kind = names[number] if number < len(names) else names[0]
        dice = np.random.default_rng([seed, number])
        with np.errstate(over="ignore"):
            inputs = {entrance.name: entrance.of(KINDS[kind](entrance, dice)) for entrance in entrances}
        made.append((f"input {number} ({kind})", inputs))
    return made


def entrances(module: ModuleOp) -> list[Entrance]:
    """The inputs of a module at any level: of ``@main``, or of its schedules and programs."""
    main = main_of(module)
    if main is not None:
        names = input_names(main)
        return [_entrance(name, value) for name, value in zip(names, main.body.block.args, strict=True)]
    return [Entrance(name, np.dtype(np.int8), shape) for name, shape in _bare(module)]


def _bare(module: ModuleOp) -> Iterator[tuple[str, tuple[int, ...]]]:
    for op in module.body.block.ops:
        if isinstance(op, tile.ScheduleOp):
            for number, value in enumerate(op.input_values):
                yield value.name_hint or f"input{number}", tile.buffer_type(value).dims
    for program in accel.programs(module):
        for region in program.regions_in_dram:
            if region.kind.data == "input" and region.port is not None:
                yield region.port.data, region.dims


def _entrance(name: str, value: SSAValue) -> Entrance:
    if isinstance(value.type, cnn.TensorType):
        return Entrance(name, np.dtype(np.int8), value.type.dims, zero=value.type.zero.data)
    dtype: np.dtype[Any] = np.dtype(DTYPE[element_of(value)])
    shape = shape_of(value)
    if dtype.kind == "b":
        return Entrance(name, dtype, shape, low=0, high=1)
    if dtype.kind in "iu" and dtype.itemsize > 1:
        return Entrance(name, dtype, shape, low=0, high=1)
    found = _quantiser(value)
    scale, zero, codes = found if found is not None else (1 / 32, 0, np.dtype(np.int8))
    limits = np.iinfo(dtype if dtype.kind in "iu" else codes)
    zero = zero if found is not None else (int(limits.min) + int(limits.max) + 1) // 2
    return Entrance(name, dtype, shape, scale, zero, int(limits.min), int(limits.max))


def _quantiser(value: SSAValue) -> tuple[float, int, np.dtype[Any]] | None:
    """Scale, zero point and type of the codes of the first QuantizeLinear or DequantizeLinear that takes a value."""
    for use in value.uses:
        op = use.operation
        if isinstance(op, cnn.HostOp):
            found = _quantiser(op.body.block.args[use.index])
        elif not isinstance(op, NodeOp) or use.index != 0:
            continue
        elif op.op_type.data in ("QuantizeLinear", "DequantizeLinear"):
            scale, zero = (constant_of(op.operand(index)) for index in (1, 2))
            if scale is None or scale.data.nbytes != 4:
                continue
            held = to_array(zero).reshape(-1) if zero is not None else np.zeros(1, np.uint8)
            return float(to_array(scale).reshape(-1)[0]), int(held[0]), held.dtype
        else:
            found = _quantiser(op.outputs[0]) if op.op_type.data in _MOVES else None
        if found is not None:
            return found
    return None
