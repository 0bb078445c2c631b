"""Engine and accel level, instruction by instruction: the same bytes, by looking at the same fields.

Random scripts of whole programs are carried out by the machine's engine and by the meaning of accel operations, and
both are watched. A meaning that ignores a field of any instruction is noticed: the last test ignores every field, one
after the other. The vector unit's operations have a test of their own (``test_operations``), fact by fact.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from dialects import accel
from dialects.accel_attributes import is_address
from dialects.meaning import accel as accel_meaning
from dialects.meaning.steps import MeaningError
from sim.engine import Engine
from sim.machine import encoding
from sim.machine.description import ALGORITHMS, Configuration, load
from sim.machine.isa import BY_NAME, INSTRUCTIONS
from sim.memory import Memory, Violation
from tests.sim.support import Watched, image, params

Bytes = npt.NDArray[np.uint8]
Record = tuple[str, dict[str, Any]]
Seen = dict[str, frozenset[str]]

MACHINE = load("edge1k")
IMAGE = MACHINE.configuration.image_bytes
SIZE = 8 * IMAGE
"""Bytes of the network's input, of SRAM in use, and of each of the two halves of its output."""

WEIGHTS, PARAMS, TABLE, IN, RESIDUAL, OUT = (i * IMAGE // 2 for i in (4, 6, 7, 8, 11, 13))
CONFIGURATIONS = tuple(
    map(Configuration.parse, ("direct g1 k4 r4 p2", "direct g2 k2 r8 p1", "direct g4 k8 r2 p4", "winograd g2 k4 r4 p8"))
)
SCRIPTS = 40
NAMES = [row.name for row in INSTRUCTIONS if row.name != "vector"]
BY_OPERAND = {"space", *(f.name for row in INSTRUCTIONS for f in row.fields if is_address(f.name))}
"""Fields that an accel operation says by its operands: a region of DRAM or a buffer in SRAM, and an offset."""


def copy_of(dice: random.Random, name: str) -> Record:
    """A strided copy between the input (or the first half of the output) and SRAM."""
    run, ring = dice.randint(1, 9), dice.choice((0, 0, 3, 4))
    f = {"bytes": run, "count1": dice.randint(1, 4), "count2": dice.randint(1, ring or 4), "ring": ring}
    for space in ("dram", "sram"):
        f[space] = OUT + dice.randint(0, 99)
        f[f"{space}_stride1"] = run + dice.randint(0, 3)
        f[f"{space}_stride2"] = f[f"{space}_stride1"] * 4 + dice.randint(0, 3)
    f["dram"] += SIZE if name == "store" else 0
    return name, {**f, "row": dice.randint(0, 5)}


def conv_of(dice: random.Random, fill: dict[str, Any]) -> dict[str, Any]:
    """A pass over the weights of a fill, with every feature: stride, dilation, pads, rings, residual, table."""
    channels = fill["groups"] * fill["outputs"]
    steps = {} if fill["algorithm"] else {name: dice.randint(1, 2) for name in ("sy", "sx", "dy", "dx")}
    taken = {name: fill[name] for name in ("half", "groups", "outputs", "inputs", "fy", "fx")}
    f = {**encoding.defaults("conv"), **taken, **steps, "oy": dice.randint(1, 4), "ox": dice.randint(1, 4)}
    rows = (f["oy"] - 1) * f["sy"] + (f["fy"] - 1) * f["dy"] + 1
    columns = (f["ox"] - 1) * f["sx"] + (f["fx"] - 1) * f["dx"] + 1
    f |= {"top": dice.randint(0, 1), "left": dice.randint(0, 1)}
    f |= {"bottom": dice.randint(0, rows - f["top"]) // 2, "right": dice.randint(0, columns - f["left"]) // 2}
    f |= {name: dice.randint(-9, 9) for name in ("pad_value", "zero_point")}
    f |= {"lo": dice.randint(-128, -60), "hi": dice.randint(60, 127)}
    f |= {"sum_lo": dice.randint(-99, -60), "sum_hi": dice.randint(60, 99)}
    f |= {name: float(np.float32(dice.uniform(0.5, 2))) for name in ("ra", "rb", "fix")}
    f |= {"residual": dice.randint(0, 2), "has_table": dice.randint(0, 1), "last": 1}
    if dice.random() < 0.2:  # a float32 result, which nothing follows
        f |= {"residual": 0, "has_table": 0, "last": 2}
    f |= {"params": PARAMS + 8 * dice.randint(0, 9), "table": TABLE + dice.randint(0, 99)}
    height, width = rows - f["top"] - f["bottom"], columns - f["left"] - f["right"]
    for name, base, high, wide, deep in (
        ("in", IN, height, width, fill["groups"] * fill["inputs"]),
        ("res", RESIDUAL, f["oy"], f["ox"], channels),
        ("out", OUT, f["oy"], f["ox"], channels * (4 if f["last"] == 2 else 1)),
    ):
        f[f"{name}.base"] = base + dice.randint(0, 40)
        f[f"{name}.pixel_stride"] = deep + dice.randint(0, 3)
        f[f"{name}.row_stride"] = f[f"{name}.pixel_stride"] * max(wide, 1) + dice.randint(0, 3)
        f[f"{name}.ring"] = dice.choice((0, max(high, 1), high + 2))
        f[f"{name}.row"] = dice.randint(0, 4)
    return f


def fill_of(dice: random.Random, half: int, c: Configuration) -> dict[str, Any]:
    """Weights in a configuration's layout."""
    fast = c.algorithm == "winograd"
    f: dict[str, Any] = {
        "half": half,
        "algorithm": ALGORITHMS.index(c.algorithm),
        "g": c.g,
        "k": c.k,
        "r": c.r,
        "p": c.p,
    }
    f |= {name: dice.randint(1, 3) for name in ("groups", "outputs", "inputs")}
    f |= {name: 3 if fast else dice.randint(1, 3) for name in ("fy", "fx")}
    f["tap_stride"] = f["inputs"] + dice.randint(0, 3)
    f["output_stride"] = f["tap_stride"] * f["fy"] * f["fx"] + dice.randint(0, 3)
    return {**f, "address": WEIGHTS + dice.randint(0, 99), "weight_zero": 0 if fast else dice.randint(-9, 9)}


def script_of(dice: random.Random, configurations: list[Configuration]) -> list[Record]:
    """Everything into SRAM and out again; then, with both slots and halves in use, copies and a convolution in one
    pass or two; at last everything out."""
    active = dice.randint(0, 1)
    images = [
        ("load_config", {"space": dice.randint(0, 1), "address": IMAGE * which}) for which in (1 - active, active)
    ]
    back = [("configure", {})] * dice.choice((0, 2))
    half = dice.randint(0, 1)
    fill = fill_of(dice, half, configurations[active])
    other = fill_of(dice, 1 - half, configurations[1 - active])
    conv = conv_of(dice, fill)
    passes = [{**conv, "first": 1}]
    if dice.random() < 0.5:
        first = {"in.base": IN + dice.randint(0, 40), "pad_value": dice.randint(-9, 9)}
        passes = [{**conv, **first, "first": 1, "last": 0}, {**conv, "first": 0}]
    fills = [("fill", fill), ("fill", other)]
    dice.shuffle(fills)
    return [
        ("load", {"bytes": SIZE}),
        ("store", {"bytes": SIZE, "dram": SIZE}),
        images[0],
        ("configure", {}),
        images[1],
        ("configure", {}),
        *back,
        *fills,
        *(("conv", one) for one in passes),
        copy_of(dice, "load"),
        copy_of(dice, "store"),
        ("store", {"bytes": SIZE, "dram": 2 * SIZE}),
    ]


def content_of(dice: random.Random, configurations: list[Configuration]) -> Bytes:
    """The network's input: two images, and numbers where parameters lie."""
    numbers = np.random.default_rng(dice.randrange(1 << 30))
    content = numbers.integers(0, 256, SIZE, np.uint8)
    content[: 2 * IMAGE] = np.concatenate([image(str(c), MACHINE) for c in configurations])
    count = (TABLE - PARAMS) // 8
    content[PARAMS:TABLE] = params(numbers.integers(-2000, 2000, count), numbers.uniform(0.001, 0.02, count))
    return content


def engine_makes(script: Iterable[Record], content: Bytes) -> tuple[Bytes, Seen]:
    """The output by the machine's engine, and the fields it looks at; Violation if it refuses."""
    engine = Engine(MACHINE, Memory("DRAM", 3 * SIZE))
    engine.dram.preset(0, content)
    watched = [(name, Watched({**encoding.defaults(name), **fields})) for name, fields in script]
    for name, fields in watched:
        engine.execute(name, fields)
    return engine.dram.data[SIZE:], union(watched)


def union(watched: Iterable[tuple[str, Watched]]) -> Seen:
    """The fields looked at in any instruction of each kind."""
    found: dict[str, set[str]] = {}
    for name, fields in watched:
        found.setdefault(name, set()).update(fields.seen)
    return {name: frozenset(seen) for name, seen in found.items()}


def meaning_makes(script: Iterable[Record], content: Bytes, ignored: tuple[str, str] = ("", "")) -> tuple[Bytes, Seen]:
    """The output by the meaning of accel operations, and the fields it looks at; one field of an instruction may be
    ignored, as if it had its default."""
    program = accel.ProgramOp("p", "edge1k")
    given, taken = accel.DramOp("input", (SIZE,), port="x"), accel.DramOp("output", (2 * SIZE,), port="y")
    buffer = accel.BufferOp(SIZE, address=0)

    def place(name: str, f: dict[str, Any], field: str) -> tuple[str, SSAValue, int]:
        at = f.get(field, 0)
        if field == "dram" or (name == "load_config" and not f["space"]):
            return (field, given.output, at) if at < SIZE else (field, taken.output, at - SIZE)
        return field, buffer.output, at

    made = [
        accel.INSTRUCTION_OPS[name].make(
            {field: value for field, value in f.items() if not is_address(field) and "wait." not in field},
            [place(name, f, field.name) for field in BY_NAME[name].fields if is_address(field.name)],
        )
        for name, f in script
    ]
    program.body.block.add_ops([given, taken, buffer, *made])
    watched: list[tuple[str, Watched]] = []
    plain = accel.InstructionOp.named

    def named(op: accel.InstructionOp) -> dict[str, Any]:
        fields = plain(op)
        if op.MNEMONIC == ignored[0]:
            fields[ignored[1]] = encoding.defaults(op.MNEMONIC)[ignored[1]]
        watched.append((op.MNEMONIC, Watched(fields)))
        return watched[-1][1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accel.InstructionOp, "named", named)
        result = accel_meaning.evaluate(ModuleOp([program]), {"x": content.view(np.int8)})["y"]
    return result.view(np.uint8), union(watched)


@functools.cache
def cases() -> tuple[tuple[list[Record], Bytes, Bytes, Seen], ...]:
    """Scripts that the engine carries out, their input, their output and what the engine looked at."""
    found: list[tuple[list[Record], Bytes, Bytes, Seen]] = []
    for seed in range(SCRIPTS):
        dice = random.Random(seed)
        configurations = dice.sample(CONFIGURATIONS, 2)
        script, content = script_of(dice, configurations), content_of(dice, configurations)
        try:
            found.append((script, content, *engine_makes(script, content)))
        except Violation:
            continue
    return tuple(found)


def test_most_scripts_are_carried_out() -> None:
    assert len(cases()) > SCRIPTS * 3 // 4
    assert {name for script, *_ in cases() for name, _ in script} == set(NAMES)


def test_meaning_and_engine_make_the_same_bytes_of_the_same_fields() -> None:
    looked: list[dict[str, set[str]]] = [{name: set() for name in NAMES} for _ in range(2)]
    for script, content, expected, seen in cases():
        found, meant = meaning_makes(script, content)
        np.testing.assert_array_equal(found, expected)
        for name in meant:
            looked[0][name] |= seen[name] - BY_OPERAND
            looked[1][name] |= meant[name] - BY_OPERAND
    assert looked[0] == looked[1]
    every = {name: {field.name for field in BY_NAME[name].fields if field.name not in BY_OPERAND} for name in NAMES}
    assert looked[0] == every


@pytest.mark.parametrize(
    ("name", "field"), [(name, f.name) for name in NAMES for f in BY_NAME[name].fields if f.name not in BY_OPERAND]
)
def test_no_field_can_be_ignored_unnoticed(name: str, field: str) -> None:
    def noticed(script: list[Record], content: Bytes, expected: Bytes) -> bool:
        try:
            return not np.array_equal(meaning_makes(script, content, (name, field))[0], expected)
        except (MeaningError, ValueError, TypeError):
            return True

    assert any(noticed(script, content, expected) for script, content, expected, _ in cases())
