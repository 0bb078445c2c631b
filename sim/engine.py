"""The engines: what each instruction of the table does to memories, L1 halves, slots and accumulators.

``Engine.execute`` carries out one decoded instruction in full; it knows no time. A handler computes only from the bytes
at the instruction's addresses and its fields, reads everything before it writes anything, and raises Violation for what
the manual forbids.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sim import arithmetic, vector_unit
from sim import winograd as transforms
from sim.convolution import INT32, Sums, Weights, Window, convolve, narrow
from sim.machine import configuration_image, laws
from sim.machine.description import ALGORITHMS, Configuration, Machine
from sim.machine.errors import Fault
from sim.machine.isa import BY_NAME, PARAMETER_BYTES
from sim.memory import Box, Codes, Fields, Memory, Violation, contiguous, read_operand, slots, write_operand


@dataclass(frozen=True, eq=False)
class Half:
    """Contents of one half of the L1 weight store: the layout's configuration, the extents and the weights."""

    layout: Configuration
    groups: int
    outputs: int
    inputs: int
    fy: int
    fx: int
    weights: Weights

    @property
    def extents(self) -> str:
        return _extents(self.groups, self.outputs, self.inputs, self.fy, self.fx)


@dataclass(frozen=True, eq=False)
class Accumulators:
    """Sums of an unfinished reduction: exact integers of at most ``magnitude``, and the tile they belong to.

    A ``configure`` drops them, so they always belong to the active configuration. ``sixteen`` are those that Winograd
    really has, where they are computed.
    """

    sums: Sums
    magnitude: int
    tile: tuple[int, int, int, int]
    sixteen: transforms.Sums | None = None


class StateObserver(Protocol):
    """Told of every access to an L1 half (0, 1) or a configuration slot (``active``, ``shadow``)."""

    def __call__(self, resource: str, write: bool, /) -> None: ...


def ignore(_resource: str, _write: bool, /) -> None:
    """The observer of a run nobody watches."""


class Engine:
    """The machine's state and the execution of instructions upon it.

    ``dram`` is given with constants and inputs in place; everything else starts empty. ``as_built`` computes every
    Winograd pass by its transforms too, and stops where they do not make the convolution.
    """

    def __init__(self, machine: Machine, dram: Memory, *, as_built: bool = False) -> None:
        self.machine = machine
        self.as_built = as_built
        self.dram = dram
        self.sram = Memory("SRAM", machine.sram.bytes)
        self.halves: list[Half | None] = [None, None]
        self.active: Configuration | None = None
        self.shadow: Configuration | None = None
        self.accumulators: Accumulators | None = None
        self.touch: StateObserver = ignore

    def execute(self, name: str, fields: Fields) -> None:
        """Carry out one instruction; Violation says why the machine stops."""
        HANDLERS[name](self, fields)


Handler = Callable[[Engine, Fields], None]
HANDLERS: dict[str, Handler] = {}
"""Every instruction's handler by name; a test compares the keys with the instruction table."""


def handler(name: str) -> Callable[[Handler], Handler]:
    """Register the meaning of an instruction."""

    def register(function: Handler) -> Handler:
        if name not in BY_NAME:
            raise KeyError(name)
        HANDLERS[name] = function
        return function

    return register


def _copy_boxes(fields: Fields) -> list[tuple[Box, Box]]:
    """Pairs of DRAM and SRAM boxes of a strided copy: one, or two where a ring wraps around."""
    columns, run, stride = fields["count1"], fields["bytes"], fields["dram_stride2"]
    pairs: list[tuple[Box, Box]] = []
    pieces = slots(fields["sram"], fields["sram_stride2"], fields["ring"], fields["row"], fields["count2"])
    for address, first, rows in pieces:
        pairs.append(
            (
                Box(fields["dram"] + first * stride, rows, stride, columns, fields["dram_stride1"], run),
                Box(address, rows, fields["sram_stride2"], columns, fields["sram_stride1"], run),
            )
        )
    return pairs


@handler("load")
def load(engine: Engine, fields: Fields) -> None:
    """DRAM → SRAM."""
    for dram, sram in _copy_boxes(fields):
        engine.sram.check_write(sram)  # the counts are known to be sane before anything is read
        engine.sram.write(sram, engine.dram.read(dram))


@handler("store")
def store(engine: Engine, fields: Fields) -> None:
    """SRAM → DRAM."""
    for dram, sram in _copy_boxes(fields):
        engine.dram.check_write(dram)
        engine.dram.write(dram, engine.sram.read(sram))


@handler("load_config")
def load_config(engine: Engine, fields: Fields) -> None:
    """An image from DRAM (space 0) or SRAM (space 1) → the shadow slot."""
    memory = engine.sram if fields["space"] else engine.dram
    size = engine.machine.configuration.image_bytes
    image = memory.read(contiguous(fields["address"], size)).tobytes()
    try:
        configuration = configuration_image.decode(image)
    except Fault as error:
        raise Violation(str(error)) from None
    refusal = engine.machine.refusal(configuration)
    if refusal is not None:
        raise Violation(f"the image holds a configuration the array cannot take: {refusal}.")
    engine.touch("shadow", True)
    engine.shadow = configuration


@handler("configure")
def configure(engine: Engine, _fields: Fields) -> None:
    """Exchange the active and the shadow slot."""
    engine.touch("shadow", True)
    engine.touch("active", True)
    if engine.shadow is None:
        raise Violation("it would make an empty configuration slot the active one; a load_config must come before.")
    engine.active, engine.shadow = engine.shadow, engine.active
    engine.accumulators = None


@handler("fill")
def fill(engine: Engine, fields: Fields) -> None:
    """Weights SRAM → one half of L1, in the layout of a configuration."""
    layout = Configuration(ALGORITHMS[fields["algorithm"]], fields["g"], fields["k"], fields["r"], fields["p"])
    groups, outputs, inputs = fields["groups"], fields["outputs"], fields["inputs"]
    fy, fx, zero = fields["fy"], fields["fx"], fields["weight_zero"]
    _check_layout(engine.machine, layout, fields)
    box = Box(fields["address"], groups * outputs, fields["output_stride"], fy * fx, fields["tap_stride"], inputs)
    codes = engine.sram.read(box).view(np.int8)
    values = codes.astype(np.int16) - np.int16(zero)
    engine.touch(f"L1 half {fields['half']}", True)
    engine.halves[fields["half"]] = Half(
        layout, groups, outputs, inputs, fy, fx, Weights(values.reshape(groups, outputs, fy * fx * inputs))
    )


def _check_layout(machine: Machine, layout: Configuration, fields: Fields) -> None:
    for name in ("g", "k", "r", "p"):
        if fields[name] & (fields[name] - 1):
            raise Violation(f"its field '{name}' must be a power of two, not {fields[name]}.")
    refusal = machine.refusal(layout)
    if refusal is not None:
        raise Violation(f"it lays weights out for a configuration the array cannot take: {refusal}.")
    winograd = layout.algorithm == "winograd"
    fy, fx = fields["fy"], fields["fx"]
    if winograd and (fy, fx) != (3, 3):
        raise Violation(f"Winograd takes 3×3 kernels, not {fy}×{fx}; use a direct configuration.")
    if winograd and fields["weight_zero"] != 0:
        raise Violation(
            f"Winograd takes weights of zero point 0, not {fields['weight_zero']}; use a direct configuration."
        )
    words = int(
        laws.words(
            machine,
            winograd,
            layout.g,
            layout.k,
            layout.r,
            fields["groups"],
            fields["outputs"],
            fields["inputs"],
            fy,
            fx,
        )
    )
    if words > machine.array.half_words:
        raise Violation(
            f"its weights take {words} words of every lane and half of L1 has {machine.array.half_words}: "
            f"{words - machine.array.half_words} too many; split the output or input channels."
        )


@handler("conv")
def conv(engine: Engine, fields: Fields) -> None:
    """One pass of a convolution over a tile, and after the last pass the chain to SRAM."""
    engine.touch("active", False)
    engine.touch(f"L1 half {fields['half']}", False)
    half = _active_half(engine, fields)
    window = Window(*(fields[name] for name in ("oy", "ox", "fy", "fx", "sy", "sx", "dy", "dx")))
    winograd = half.layout.algorithm == "winograd"
    if winograd and (window.sy, window.sx, window.dy, window.dx) != (1, 1, 1, 1):
        raise Violation("Winograd takes stride 1 and dilation 1; use a direct configuration.")
    before = _previous_pass(engine, fields, half, window)
    pads = (fields["top"], fields["bottom"], fields["left"], fields["right"])
    channels = half.groups * half.inputs
    shape = (window.rows, window.columns, channels)
    x = read_operand(engine.sram, fields, "in", shape, pads, fields["pad_value"])
    sums: Sums = convolve(x, half.weights, window)
    magnitude = half.weights.magnitude
    if before is not None:
        magnitude += before.magnitude
        kind = narrow(magnitude)
        sums = sums.astype(kind) + before.sums.astype(kind)
    magnitude = _check_overflow(sums, magnitude, 4 if winograd else 1)
    sixteen = _by_transforms(x, half, window, before, sums) if winograd and engine.as_built else None
    if fields["last"]:
        engine.accumulators = None
        write_operand(engine.sram, fields, "out", _chain(engine.sram, fields, sums, magnitude))
    else:
        engine.accumulators = Accumulators(sums, magnitude, _tile(fields), sixteen)


def _by_transforms(x: Codes, half: Half, window: Window, before: Accumulators | None, sums: Sums) -> transforms.Sums:
    """The sixteen accumulators of every tile after this pass; Violation unless they make these sums."""
    u = transforms.expand(half.weights.values, half.groups)
    v = transforms.spread(x, window.oy, window.ox, half.groups)
    sixteen = transforms.multiply(u, v, before.sixteen if before is not None else None)
    made = transforms.outputs(sixteen, window.oy, window.ox)
    differs = np.argwhere(made != sums)
    if len(differs):
        row, column, channel = differs[0].tolist()
        raise Violation(
            f"Winograd makes {made[row, column, channel]} of row {row}, column {column}, channel {channel}, and the "
            f"convolution is {int(sums[row, column, channel])}."
        )
    return sixteen


def _tile(fields: Fields) -> tuple[int, int, int, int]:
    return fields["groups"], fields["outputs"], fields["oy"], fields["ox"]


def _extents(groups: int, outputs: int, inputs: int, fy: int, fx: int) -> str:
    return f"{groups} groups of {outputs} output and {inputs} input channels, {fy}×{fx}"


def _active_half(engine: Engine, fields: Fields) -> Half:
    half = engine.halves[fields["half"]]
    if engine.active is None:
        raise Violation("no configuration is active; load_config and configure must come before.")
    if half is None:
        raise Violation(f"half {fields['half']} of L1 is empty; a fill must come before.")
    if half.layout != engine.active:
        raise Violation(
            f"half {fields['half']} of L1 is laid out for {half.layout} and the active configuration is "
            f"{engine.active}."
        )
    asked = _extents(fields["groups"], fields["outputs"], fields["inputs"], fields["fy"], fields["fx"])
    if asked != half.extents:
        raise Violation(
            f"half {fields['half']} of L1 holds weights of {half.extents}, and the instruction names {asked}."
        )
    return half


def _previous_pass(engine: Engine, fields: Fields, half: Half, window: Window) -> Accumulators | None:
    machine = engine.machine
    winograd = half.layout.algorithm == "winograd"
    if not (fields["first"] and fields["last"]):
        pixels = -(-window.oy // 2) * -(-window.ox // 2) * 16 if winograd else window.oy * window.ox
        need = half.groups * half.outputs * pixels
        if need > machine.array.accumulators:
            raise Violation(
                f"its tile takes {need} accumulators and the array has {machine.array.accumulators}: "
                f"{need - machine.array.accumulators} too many; make the tile smaller."
            )
    if fields["first"]:
        return None
    before = engine.accumulators
    if before is None:
        raise Violation("it is not a first pass and does not directly follow a pass that is not the last one.")
    if before.tile != _tile(fields):
        groups, outputs, oy, ox = before.tile
        raise Violation(
            f"it continues a pass of {groups}·{outputs} channels, {oy}×{ox} pixels with one of "
            f"{half.groups}·{half.outputs} channels, {window.oy}×{window.ox} pixels."
        )
    return before


def _check_overflow(sums: Sums, magnitude: int, factor: int) -> int:
    """The bound on |sum|, sharpened by a look where the given one cannot exclude an overflow; else a Violation."""
    if magnitude * factor < INT32:
        return magnitude
    least, most = int(sums.min()), int(sums.max())
    if most * factor >= INT32 or least * factor < -INT32:
        worst = max(most, least, key=abs) * factor
        what = "4 × the convolution" if factor == 4 else "an accumulator"
        raise Violation(f"{what} reaches {worst}, which does not fit int32.")
    return max(abs(least), abs(most))


WIDE = 3
"""The residual that joins before the rounding."""


def _chain(sram: Memory, fields: Fields, sums: Sums, magnitude: int) -> Codes:
    """Bias → requantise → [+ residual] → [table], or bias → requantise with the residual → [table]; or bias → scale.

    Exact sums [oy, ox, channels] → int8 of the same shape, or the bytes [oy, ox, 4 · channels] of float32.
    """
    oy, ox, channels = sums.shape
    raw = sram.read(contiguous(fields["params"], PARAMETER_BYTES * channels)).tobytes()
    params = np.frombuffer(raw, np.dtype([("bias", "<i4"), ("scale", "<f4")]))
    scale = params["scale"].copy()
    if not np.isfinite(scale).all():
        channel = int(np.flatnonzero(~np.isfinite(scale))[0])
        raise Violation(f"the scale of output channel {channel}, {scale[channel]}, is no finite number.")
    total, magnitude = arithmetic.add_bias(sums, magnitude, params["bias"])
    if magnitude >= INT32:
        least, most = int(total.min()), int(total.max())
        if most >= INT32 or least < -INT32:
            raise Violation(f"a sum with its bias reaches {max(most, least, key=abs)}, which does not fit int32.")
    if fields["last"] == laws.FLOAT:
        if fields["residual"] or fields["has_table"]:
            raise Violation("its result is float32, to which no residual is added and which no table takes.")
        return arithmetic.scaled(total, scale).view(np.int8)
    if fields["residual"] == WIDE:
        other = read_operand(sram, fields, "res", (oy, ox, channels))
        bounds = fields["sum_lo"], fields["sum_hi"]
        codes = arithmetic.requantise_sum(total, scale, other, fields["rb"], fields["fix"], *bounds)
    else:
        codes = arithmetic.requantise(total, scale, fields["zero_point"], fields["lo"], fields["hi"])
    if fields["residual"] in (1, 2):
        other = read_operand(sram, fields, "res", (oy, ox, channels))
        a, b = (codes, other) if fields["residual"] == 1 else (other, codes)
        codes = arithmetic.add(a, b, fields["ra"], fields["rb"], fields["fix"], fields["sum_lo"], fields["sum_hi"])
    if fields["has_table"]:
        codes = arithmetic.look_up(codes, vector_unit.read_table(sram, fields["table"]))
    return codes


@handler("vector")
def vector(engine: Engine, fields: Fields) -> None:
    """One operation of the vector unit."""
    vector_unit.run(engine.sram, fields)
