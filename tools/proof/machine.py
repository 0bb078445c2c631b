"""The labels that a program's instructions write: the left-hand side of the proof, in program order.

Written from the manual's pages on instructions and arithmetic. Order is proven elsewhere (no race exists), and what
depends on no value (configurations, limits) too; here each instruction reads labels, and writes the labels of what it
computes from them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np

from sim.machine.encoding import Stream, decode
from sim.machine.isa import BY_NAME, VECTOR_OPS
from sim.machine.program import MachineSegment, Program
from tools.proof import functions, laws
from tools.proof.book import Book, ResultBox, Rounding, Unmatched, WeightBox
from tools.proof.field import (
    Integers,
    Labels,
    Round,
    Window,
    codes_of,
    convolve,
    of_code,
    plus,
    reach,
)
from tools.proof.memory import Box, DramLabels, Fields, LabelMemory, NotProven, rows_of, slots

Codes = laws.Codes

_INT32 = 2**31
_FLOAT = 2  # "last" of a pass whose result is float32
_FIRST, _WIDE = 1, 3  # "residual": the result is the first operand of the sum; the sum is of what is not rounded yet


@dataclass(frozen=True)
class Products:
    """Weights as integers [groups, outputs, fy, fx, inputs], the zero point subtracted: sums are worked out."""

    weights: Integers

    @property
    def reach(self) -> tuple[Integers, Integers]:
        """Least and most of Σ x·w per output channel, whatever codes x are."""
        return reach(self.weights.reshape(self.weights.shape[0] * self.weights.shape[1], -1))

    def of_pass(self, image: Labels, window: Window) -> Labels:
        """The sums of a pass of this window over an image [rows, columns, channels]."""
        return convolve(image, self.weights, window)


@dataclass(frozen=True)
class HalfLabels:
    """What one half of L1 holds, for passes of ``shape`` (groups, outputs, fy, fx, inputs)."""

    weights: Products | WeightBox
    shape: tuple[int, ...]
    winograd: bool
    reach: tuple[Integers, Integers]


@dataclass(frozen=True)
class SumLabels:
    """Labels of an unfinished reduction, and the least and greatest sum of each output channel for any input."""

    labels: Labels
    least: Integers
    most: Integers
    tile: tuple[int, ...]


Watcher = Callable[[int, str, Fields, Labels], None]
"""Told of every instruction that writes labels: its index, its name, its fields and the labels."""


class LabelMachine:
    """SRAM, DRAM and L1 of labels, and the instructions upon them."""

    def __init__(self, program: Program, run: Round) -> None:
        self.run = run
        self.layer = ""
        self.sram = LabelMemory("SRAM", program.machine.sram.bytes)
        self.dram = DramLabels(program)
        self.halves: dict[int, HalfLabels] = {}
        self.sums: SumLabels | None = None
        self.image_bytes = program.machine.configuration.image_bytes

    def execute(self, name: str, fields: Fields) -> Labels | None:
        """Carry out one instruction; the labels it wrote, if any. NotProven says what no model can mean by it."""
        return HANDLERS[name](self, fields)

    def begin_frame(self, filled: Collection[int]) -> None:
        """What another frame left in the halves of L1 that frames fill, and of sums, is none of this one's."""
        self.halves = {half: held for half, held in self.halves.items() if half not in filled}
        self.sums = None

    def known(self, address: int, size: int, what: str) -> Codes:
        """Constant bytes in SRAM."""
        codes = codes_of(self.sram.read(Box(address, 1, 0, 1, 0, size)))
        if codes is None:
            raise NotProven(f"it takes {what} at byte {address:#x} of SRAM from a tensor that is computed.")
        return codes.reshape(-1)

    def operand(
        self, fields: Fields, name: str, shape: tuple[int, int, int], pads: tuple[int, ...] = (0, 0, 0, 0), pad: int = 0
    ) -> Labels:
        """[rows, columns, channels] of an operand whose ``shape`` counts its padding (top, bottom, left, right)."""
        top, bottom, left, right = pads
        rows, columns, channels = shape[0] - top - bottom, shape[1] - left - right, shape[2]
        image = np.full(shape, of_code(pad), np.uint32)
        if rows > 0 and columns > 0:
            for first, box in rows_of(fields, name, rows, columns, channels):
                self.sram.read(box, image[top + first : top + first + box.rows, left : left + columns])
        return image

    def give(self, fields: Fields, labels: Labels) -> Labels:
        """Write a result [rows, columns, channels] to the instruction's output."""
        for first, box in rows_of(fields, "out", *labels.shape):
            self.sram.write(box, labels[first : first + box.rows])
        return labels


Handler = Callable[[LabelMachine, Fields], Labels | None]


def _copies(f: Fields) -> list[tuple[Box, Box]]:
    stretches = slots(f["sram"], f["sram_stride2"], f["ring"], f["row"], f["count2"])
    return [
        (
            Box(
                f["dram"] + first * f["dram_stride2"],
                rows,
                f["dram_stride2"],
                f["count1"],
                f["dram_stride1"],
                f["bytes"],
            ),
            Box(address, rows, f["sram_stride2"], f["count1"], f["sram_stride1"], f["bytes"]),
        )
        for first, address, rows in stretches
    ]


def _load(machine: LabelMachine, fields: Fields) -> Labels | None:
    labels: Labels | None = None
    for dram, sram in _copies(fields):
        labels = machine.dram.read(dram)
        machine.sram.write(sram, labels)
    return labels


def _store(machine: LabelMachine, fields: Fields) -> Labels | None:
    labels: Labels | None = None
    for dram, sram in _copies(fields):
        labels = machine.sram.read(sram)
        machine.dram.write(dram, labels)
    return labels


def _load_config(machine: LabelMachine, fields: Fields) -> None:
    box = Box(fields["address"], 1, 0, 1, 0, machine.image_bytes)
    machine.sram.read(box) if fields["space"] else machine.dram.read(box)


def _configure(machine: LabelMachine, _fields: Fields) -> None:
    machine.sums = None


def _fill(machine: LabelMachine, f: Fields) -> None:
    groups, outputs, inputs, fy, fx = shape = tuple(f[name] for name in ("groups", "outputs", "inputs", "fy", "fx"))
    box = Box(f["address"], groups * outputs, f["output_stride"], fy * fx, f["tap_stride"], inputs)
    labels = machine.sram.read(box)
    if isinstance(machine.run, Book):
        block = labels.reshape(groups, outputs, fy * fx, inputs)
        weights: Products | WeightBox = machine.run.block(machine.layer, block, f["weight_zero"])
    else:
        codes = codes_of(labels)
        values = codes.astype(np.int64) if codes is not None else labels.astype(np.int64)
        weights = Products((values - f["weight_zero"]).reshape(groups, outputs, fy, fx, inputs))
    machine.halves[f["half"]] = HalfLabels(weights, shape, bool(f["algorithm"]), weights.reach)


def _conv(machine: LabelMachine, f: Fields) -> Labels | None:
    half = machine.halves.get(f["half"])
    shape = groups, outputs, inputs, fy, fx = tuple(f[name] for name in ("groups", "outputs", "inputs", "fy", "fx"))
    if half is None or half.shape != shape:
        raise NotProven(f"half {f['half']} of L1 does not hold the weights that it names.")
    window = Window((f["oy"], f["ox"]), (fy, fx), (f["sy"], f["sx"]), (f["dy"], f["dx"]))
    pads = (f["top"], f["bottom"], f["left"], f["right"])
    image = machine.operand(f, "in", (*window.extent, groups * inputs), pads, f["pad_value"])
    found, (least, most) = half.weights.of_pass(image, window), half.reach
    tile = (groups, outputs, f["oy"], f["ox"])
    if f["first"] and f["last"] and isinstance(found, ResultBox) and found.is_whole:
        machine.sums = None
        _fits(least, most, 4 if half.winograd else 1)
        return _chain(machine, f, found, least, most)
    labels = found.share() if isinstance(found, ResultBox) else found
    if not f["first"]:
        if machine.sums is None or machine.sums.tile != tile:
            raise NotProven("it goes on with sums that no pass before it has left.")
        labels = plus(labels, machine.sums.labels)
        least, most = least + machine.sums.least, most + machine.sums.most
    _fits(least, most, 4 if half.winograd else 1)
    machine.sums = None if f["last"] else SumLabels(labels, least, most, tile)
    if not f["last"]:
        return None
    if isinstance(found, ResultBox) and not np.array_equal(labels, found.sums()):
        raise Unmatched
    return _chain(machine, f, found if isinstance(found, ResultBox) else labels, least, most)


def _fits(least: Integers, most: Integers, factor: int) -> None:
    if int(least.min()) * factor < -_INT32 or int(most.max()) * factor >= _INT32:
        raise NotProven("a sum of it can leave int32 for some input.")


def _chain(machine: LabelMachine, f: Fields, sums: Labels | ResultBox, least: Integers, most: Integers) -> Labels:
    channels = f["groups"] * f["outputs"]
    raw = machine.known(f["params"], 8 * channels, "bias and scale").tobytes()
    params = np.frombuffer(raw, np.dtype([("bias", "<i4"), ("scale", "<f4")]))
    bias = params["bias"].astype(np.int64)
    _fits(least + bias, most + bias, 1)
    run, scale = machine.run, params["scale"].copy()
    if f["last"] == _FLOAT:
        if f["residual"] or f["has_table"]:
            raise NotProven("its result is float32, to which no residual is added and which no table takes.")
        return machine.give(f, functions.unrounded(run, _biased(sums, bias), scale))
    kind, clamp = f["residual"], (f["sum_lo"], f["sum_hi"])
    other = machine.operand(f, "res", (f["oy"], f["ox"], channels)) if kind else None
    if kind == _WIDE and other is not None:
        y = functions.joined(run, _biased(sums, bias), scale, other, (f["rb"], f["fix"]), clamp)
    else:
        y = _rounded(run, sums, Rounding(bias, scale, f["zero_point"], f["lo"], f["hi"]))
        if other is not None:
            a, b = (y, other) if kind == _FIRST else (other, y)
            y = functions.added(run, a, b, (f["ra"], f["rb"], f["fix"]), *clamp)
    if f["has_table"]:
        y = functions.looked_up(run, y, machine.known(f["table"], 256, "a table"))
    return machine.give(f, y)


def _biased(sums: Labels | ResultBox, bias: Integers) -> Labels:
    return plus(sums.sums() if isinstance(sums, ResultBox) else sums, bias)


def _rounded(run: Round, sums: Labels | ResultBox, law: Rounding) -> Labels:
    if isinstance(sums, ResultBox):
        return sums.rounded(law)
    return functions.requantised(run, plus(sums, law.bias), law.scale, law.zero, law.lo, law.hi)


def _vector(machine: LabelMachine, fields: Fields) -> Labels:
    return machine.give(fields, OPERATIONS[VECTOR_OPS[fields["op"]]](machine, fields))


HANDLERS: dict[str, Handler] = {
    "load": _load,
    "store": _store,
    "load_config": _load_config,
    "configure": _configure,
    "fill": _fill,
    "conv": _conv,
    "vector": _vector,
}


def _shape(f: Fields) -> tuple[int, int, int]:
    return f["oy"], f["ox"], f["channels"]


def _b(machine: LabelMachine, f: Fields) -> Labels:
    return machine.operand(f, "b", (1, 1, f["channels"]) if f["b_broadcast"] else _shape(f))


def _clamp(f: Fields) -> tuple[int, int, int]:
    return f["zero_point"], f["lo"], f["hi"]


def _copy(machine: LabelMachine, f: Fields) -> Labels:
    lo, hi = (f["lo"], f["hi"]) if (f["lo"], f["hi"]) != (0, 0) else (-128, 127)
    table = laws.move_table(f["ra"], f["za"], f["rb"] or 1.0, f["zero_point"], lo, hi)
    return functions.looked_up(machine.run, machine.operand(f, "a", _shape(f)), table)


def _pair(machine: LabelMachine, f: Fields) -> Labels:
    a, b = machine.operand(f, "a", _shape(f)), _b(machine, f)
    if (kind := VECTOR_OPS[f["op"]]) != "add":
        return functions.chosen(machine.run, kind, a, b, f["lo"], f["hi"])
    return functions.added(machine.run, a, b, (f["ra"], f["rb"], f["fix"]), f["lo"], f["hi"])


def _mul(machine: LabelMachine, f: Fields) -> Labels:
    a, b = (machine.operand(f, "a", _shape(f)), f["za"]), (_b(machine, f), f["zb"])
    return functions.multiplied(machine.run, a, b, f["ra"], _clamp(f))


def _pool(f: Fields) -> tuple[Window, tuple[int, ...]]:
    window = Window((f["oy"], f["ox"]), (f["fy"], f["fx"]), (f["sy"], f["sx"]))
    return window, (f["top"], f["bottom"], f["left"], f["right"])


def _max_pool(machine: LabelMachine, f: Fields) -> Labels:
    window, (top, bottom, left, right) = _pool(f)
    rows, columns = window.extent
    image = machine.operand(f, "a", (rows, columns, f["channels"]), (top, bottom, left, right))
    inside = np.zeros((rows, columns), np.bool_)
    inside[top : rows - bottom, left : columns - right] = True
    return functions.greatest(machine.run, image, inside, window)


def _average_pool(machine: LabelMachine, f: Fields) -> Labels:
    window, pads = _pool(f)
    (rows, columns), (oy, ox), (fy, fx) = window.extent, window.outputs, window.kernel
    image = machine.operand(f, "a", (rows, columns, f["channels"]), pads, f["za"])
    counts = np.full((oy, ox), fy * fx, np.int64)
    if f["size"] != 1:
        real = rows - pads[0] - pads[1], columns - pads[2] - pads[3]
        counts = np.outer(
            laws.counted(oy, fy, f["sy"], pads[0], real[0]), laws.counted(ox, fx, f["sx"], pads[2], real[1])
        )
    return _averaged(machine, f, image, window, counts)


def _averaged(machine: LabelMachine, f: Fields, image: Labels, window: Window, counts: Integers) -> Labels:
    scales, zeros = (f["ra"], f["rb"] or 1.0), (f["za"], f["zero_point"])
    return functions.averaged(machine.run, image, window, counts, scales, zeros, (f["lo"], f["hi"]))


def _global_average_pool(machine: LabelMachine, f: Fields) -> Labels:
    iy, ix = f["iy"], f["ix"]
    image = machine.operand(f, "a", (iy, ix, f["channels"]))
    return _averaged(machine, f, image, Window((1, 1), (iy, ix)), np.full((1, 1), iy * ix, np.int64))


def _affine(machine: LabelMachine, f: Fields) -> Labels:
    raw = machine.known(f["params"], 8 * f["channels"], "factor and offset").tobytes()
    pairs = np.frombuffer(raw, "<f4").reshape(-1, 2)
    x = machine.operand(f, "a", _shape(f))
    return functions.scaled(machine.run, x, pairs[:, 0].copy(), pairs[:, 1].copy(), *_clamp(f))


def _table(machine: LabelMachine, f: Fields) -> Labels:
    x = machine.operand(f, "a", _shape(f))
    return functions.looked_up(machine.run, x, machine.known(f["table"], 256, "a table"))


def _resize(machine: LabelMachine, f: Fields) -> Labels:
    oy, ox, channels = _shape(f)
    image = machine.operand(f, "a", (-(-oy // f["sy"]), -(-ox // f["sx"]), channels))
    return image.repeat(f["sy"], axis=0).repeat(f["sx"], axis=1)[:oy, :ox]


def _lrn(machine: LabelMachine, f: Fields) -> Labels:
    bits = np.array([f["alpha"], f["beta"], f["bias"], f["ra"], f["rb"] or 1.0], np.float32).tobytes()
    x = machine.operand(f, "a", _shape(f))
    return functions.normalised(machine.run, x, f["size"], (bits, f["za"], *_clamp(f)))


def _shuffle(machine: LabelMachine, f: Fields) -> Labels:
    oy, ox, channels = _shape(f)
    size = f["size"]
    if size == 0 or channels % size:
        raise NotProven(f"it shuffles {channels} channels in {size} groups.")
    x = machine.operand(f, "a", _shape(f))
    return x.reshape(oy, ox, size, channels // size).swapaxes(2, 3).reshape(oy, ox, channels)


OPERATIONS: dict[str, Callable[[LabelMachine, Fields], Labels]] = {
    "copy": _copy,
    "add": _pair,
    "mul": _mul,
    "max_pool": _max_pool,
    "average_pool": _average_pool,
    "global_average_pool": _global_average_pool,
    "affine": _affine,
    "table": _table,
    "resize": _resize,
    "lrn": _lrn,
    "shuffle": _shuffle,
    **dict.fromkeys(("max", "min"), _pair),
}


def run_segment(
    program: Program,
    segment: MachineSegment,
    tensors: Mapping[str, Labels],
    run: Round,
    watcher: Watcher | None = None,
) -> dict[str, Labels]:
    """Labels [frames of a batch, elements] of a segment's outputs for those of its inputs; NotProven names the
    instruction at fault."""
    machine = LabelMachine(program, run)
    for region in segment.inputs:
        labels = tensors[region.name].reshape(1, 1, -1)
        if labels.size != region.bytes:
            raise NotProven(f"The input '{region.name}' has {labels.size:,} elements and its place {region.bytes:,}.")
        machine.dram.write(Box(region.address, 1, 0, 1, 0, region.bytes), labels)
    stream: Stream = decode(segment.code)
    filling, prologue = stream.indices(BY_NAME["fill"].opcode), segment.frames.prologue if segment.frames else 0
    filled = {int(stream.fields(index)["half"]) for index in filling[filling >= prologue].tolist()}
    for index in range(len(stream)):
        if index == prologue:
            machine.begin_frame(filled)
        name, fields = stream.instruction(index).name, stream.fields(index)
        machine.layer = program.layers[int(segment.layer_of[index])].name
        try:
            labels = machine.execute(name, fields)
        except NotProven as error:
            layer = program.layers[int(segment.layer_of[index])]
            nodes = f", ONNX node {', '.join(layer.onnx)}" if layer.onnx else ""
            raise NotProven(f"Instruction {index}, {name} of layer {layer.name}{nodes}: {error}") from None
        if watcher is not None and labels is not None:
            watcher(index, name, fields, labels)
    found: dict[str, Labels] = {}
    for region in segment.outputs:
        box = Box(region.address, 1, 0, 1, 0, region.bytes)
        try:
            labels = machine.dram.read(box).reshape(program.batch, -1)
            found[region.name] = functions.number(run, labels) if region.dtype == "float32" else labels
        except NotProven as error:
            raise NotProven(f"The program ends without its output '{region.name}': {error}") from None
    return found
