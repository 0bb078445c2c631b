"""Small good programs: random plans of a few layers, taken through the real lowering for a tiny machine.

Between them they hold loads and stores in slices, both halves of L1, reductions of one and of several passes, residuals
and tables, vector operations, two configurations and the way back without a load, images kept in SRAM, rings that hold
fewer rows than the tensor, a spilled and reloaded tensor, and concatenations by channel slices. SRAM is limited to what
the plan just needs in most of them, so that buffers take over each other's bytes.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from xdsl.dialects.builtin import ModuleOp

from backend.emit import emit
from passes.accel.allocate_sram import AllocateSramPass
from passes.accel.assign_waits import AssignWaitsPass
from passes.common.problems import ModelError
from passes.tile_to_accel.convert_tile_to_accel import ConvertTileToAccelPass
from sim.machine.encoding import decode
from sim.machine.operations import OPERATIONS
from sim.machine.program import MachineSegment, Program
from tests.passes.tile_to_accel.support import context, parse

MACHINE = Path(__file__).with_name("tiny.toml")
LONGEST = 20
"""Instructions a small program has at most."""
_CONFIGURATIONS = ("direct g1 k4 r4 p2", "direct g1 k2 r8 p1", "direct g1 k8 r2 p4", "winograd g1 k4 r4 p1")
_LIMITS = (384, 512, 640, 768, 896, 1024, 1280, 1536, 2048, 3072)


@dataclass
class Tensor:
    """A value of the plan: its buffer, height, width and channels."""

    name: str
    height: int
    width: int
    channels: int


@dataclass
class _Plan:
    """Writes one schedule line by line."""

    dice: random.Random
    head: list[str] = field(default_factory=list[str])
    lines: list[str] = field(default_factory=list[str])
    kinds: dict[str, str] = field(default_factory=dict[str, str])
    count: int = 0
    active: str = ""
    shadow: str = ""
    swapped: int = 0
    half: int = 0
    machine: Path = MACHINE

    def chance(self, probability: float) -> bool:
        return self.dice.random() < probability

    def fresh(self, prefix: str) -> str:
        self.count += 1
        return f"%{prefix}{self.count}"

    def alloc(self, shape: tuple[int, ...], ring: int = 0, at: int | None = None) -> str:
        """A new buffer, from line ``at`` on."""
        name = self.fresh("b")
        self.kinds[name] = f"!tile.sram<{_dims(shape)}{f', ring {ring}' if ring else ''}>"
        self.insert(f"{name} = tile.alloc : {self.kinds[name]}", at)
        return name

    def insert(self, line: str, at: int | None = None) -> None:
        self.lines.insert(len(self.lines) if at is None else at, line)

    def free(self, *names: str) -> None:
        for name in names:
            self.lines.append(f"tile.free {name} : {self.kinds[name]}")

    def constant(self, shape: tuple[int, ...], blob: str) -> str:
        """A constant and its copy in SRAM, loaded here or at any earlier place."""
        dram = self.fresh("c")
        self.head.append(f"{dram} = tile.constant {blob} : !tile.dram<{_dims(shape)}>")
        at = self.dice.randint(0, len(self.lines)) if self.chance(0.5) else len(self.lines)
        name = self.alloc(shape, at=at)
        self.insert(self._move("load", name, dram, 0, shape), at + 1)
        if at <= self.swapped:
            self.swapped += 2
        return name

    @staticmethod
    def _move(verb: str, to: str, source: str, row: int, sizes: tuple[int, ...]) -> str:
        offsets = ", ".join(map(str, (row, *(0 for _ in sizes[1:]))))
        return f"tile.{verb} {to}[{offsets}] [{', '.join(map(str, sizes))}] from {source}[{offsets}]"

    def move(self, verb: str, to: str, source: str, shape: tuple[int, int, int], parts: int) -> None:
        """A load or a store of a tensor in ``parts`` slices of rows."""
        for start, rows in _slices(shape[0], parts):
            self.lines.append(self._move(verb, to, source, start, (rows, *shape[1:])))

    def params(self, channels: int, reduction: int) -> str:
        numbers: list[int] = []
        for _ in range(channels):
            scale = self.dice.uniform(0.5, 1.5) * 40 / (5400 * reduction**0.5)
            (bits,) = struct.unpack("<i", struct.pack("<f", scale))
            numbers += [self.dice.randrange(-9000, 9000), bits]
        return self.constant((channels, 8), f"<{channels}x2xi32, [{', '.join(map(str, numbers))}]>")

    def floats(self, channels: int) -> str:
        """A factor and an offset per channel."""
        numbers = ", ".join(f"{self.dice.uniform(-2, 2):.4f}" for _ in range(2 * channels))
        return self.constant((channels, 8), f"<{channels}x2xf32, [{numbers}]>")

    def seeded(self, shape: tuple[int, ...]) -> str:
        return self.constant(shape, f"<{_dims(shape)}, seed {self.dice.randrange(1 << 30)}>")

    def use(self, wanted: str) -> None:
        """Make a configuration active: by its image, by the image's copy in SRAM, or by exchanging back."""
        if self.active == wanted:
            return
        if self.shadow != wanted:
            at = self.dice.randint(self.swapped, len(self.lines)) if self.chance(0.5) else len(self.lines)
            if self.chance(0.25):
                image = self.fresh("c")
                self.head.append(f"{image} = tile.image <{wanted}> : !tile.dram<64xi8>")
                copy = self.alloc((64,), at=at)
                self.insert(f"tile.load {copy}[0] [64] from {image}[0]", at + 1)
                self.insert(f"tile.load_config <{wanted}> copy {copy} : {self.kinds[copy]}", at + 2)
            else:
                self.insert(f"tile.load_config <{wanted}>", at)
        self.lines.append(f"tile.use <{wanted}>")
        self.active, self.shadow = wanted, self.active
        self.swapped = len(self.lines)

    def fill(self, weights: str, first: tuple[int, int], box: tuple[int, int, int, int]) -> str:
        """Part of the weights into the half not used last."""
        self.half = 1 - self.half
        name = self.fresh("h")
        zero = " zero 3" if self.active.startswith("direct") and self.chance(0.3) else ""
        self.lines.append(
            f"{name} = tile.fill half {self.half} {weights}[{first[0]}, 0, 0, {first[1]}] "
            f"[{', '.join(map(str, box))}] for <{self.active}>{zero}"
        )
        return name

    # -------------------------------------------------------------------------------------------------- layers

    def conv(self, source: Tensor, out: str = "", offset: int = 0, channels: int = 0) -> Tensor:
        """A convolution in one of its forms, into a new buffer or into channels of ``out``."""
        dice = self.dice
        kernel = dice.choice((1, 1, 2, 3))
        pad = kernel // 2 if out or min(source.height, source.width) < kernel or self.chance(0.5) else 0
        if out and kernel == 2:
            kernel, pad = 1, 0
        height, width = source.height + 2 * pad - kernel + 1, source.width + 2 * pad - kernel + 1
        channels = channels or dice.choice((1, 2, 4))
        fast = kernel == 3 and self.chance(0.4)
        self.use(_CONFIGURATIONS[3] if fast else dice.choice(_CONFIGURATIONS[:3]) if self.chance(0.5) else
                 self.active if self.active.startswith("direct") else _CONFIGURATIONS[0])  # fmt: skip
        weights = self.seeded((channels, kernel, kernel, source.channels))
        params = self.params(channels, source.channels * kernel * kernel)
        result = Tensor(out or self.alloc((height, width, channels)), height, width, channels)
        chain, extra = "", list[str]()
        if self.chance(0.3):
            extra.append(self.seeded((height, width, channels)))
            position = dice.choice(("first", "second"))
            chain += f" add {extra[-1]}[FIRST] <{position} ratios 0.75 0.6 -1.5 clamp -128 100>"
        if self.chance(0.15):
            extra.append(self.seeded((256,)))
            chain += f" table {extra[-1]}"
        slices = _slices(source.channels, dice.choice((1, 2)))
        blocks = _slices(channels, dice.choice((1, 1, 2)) if len(slices) == 1 else 1)
        window = f"<{kernel}x{kernel} pad {pad} {pad} {pad} {pad}>"
        for first, count in blocks:
            halves = [self.fill(weights, (first, c), (count, kernel, kernel, n)) for c, n in slices]
            for row, rows in _slices(height, dice.choice((1, 1, 2))):
                for number, (c, n) in enumerate(slices):
                    text = f"tile.conv {result.name}[{row}, 0, {first + offset}] [{rows}, {width}, {count}] = "
                    text += f"{source.name}[{c}] [{n}], {halves[number]} window {window} pad_value -5"
                    text += " accumulate" if number else ""
                    if number == len(slices) - 1:
                        text += f" params {params}[{first}] requantize <zero 2 clamp -120 127>"
                        text += chain.replace("FIRST", str(first))
                    self.lines.append(text)
        self.free(weights, params, *extra)
        return result

    def vector(self, source: Tensor, out: str = "", offset: int = 0) -> Tensor:
        """An operation of the vector unit, in one or two stripes."""
        shape = (source.height, source.width, source.channels)
        even = source.channels % 2 == 0
        rows = [row for row in OPERATIONS if row.reads == "box" or (not out and row.reads != "repeated") or
                (not out and source.height * source.width <= 9)]  # fmt: skip
        row = self.dice.choice(rows)
        # A product of two codes is larger than a sum; the last number is a window of channels, groups, or a flag.
        law = f"law <floats {'0.02' if row.pixel else '0.5'} 0.4 0.25 0.01 0.75 1.0 zeros 1 -2 3 clamp -128 127 "
        law += f"size {2 if row.size == 'divisor' and even else 1}>"
        extra, operands, window = list[str](), "", ""
        height, width = shape[:2]
        if row.binary:
            extra.append(self.seeded((1, 1, source.channels) if row.pixel else shape))
            operands = f", {extra[0]}[0]"
        if row.reads == "window":
            window = " window <2x1 pad 0 0 0 0>" if source.height > 1 else " window <1x1>"
            height = max(1, source.height - 1)
        elif row.reads == "repeated":
            window, height, width = " window <1x1 pad 0 0 0 0 stride 2 1>", 2 * height, width
        elif row.reads == "image":
            height, width = 1, 1
        if row.side != "none":
            extra.append(self.floats(source.channels) if row.side == "params" else self.seeded((256,)))
            operands += f" params {extra[-1]}[0]" if row.side == "params" else f" table {extra[-1]}"
        result = Tensor(out or self.alloc((height, width, source.channels)), height, width, source.channels)
        for first, count in _slices(height, self.dice.choice((1, 1, 2)) if row.reads != "repeated" else 1):
            self.lines.append(f"tile.vector {row.name} {result.name}[{first}, 0, {offset}] [{count}, {width}, "
                              f"{source.channels}] = {source.name}[0]{self.ordered(operands, window)} {law}"
                              )  # fmt: skip
        self.free(*extra)
        return result

    @staticmethod
    def ordered(operands: str, window: str) -> str:
        """What follows the first operand in the text's order: second operand, window, side data."""
        second, side = (operands, "") if operands.startswith(",") else ("", operands)
        return second + window + side

    def ring(self, source: Tensor) -> Tensor:
        """Two layers row by row, the rows between them in a ring."""
        height, width, channels = source.height, source.width, source.channels
        if height < 3:
            return self.vector(source)
        stored = self.dice.choice((1, 2)) if height > 2 else 1
        middle = self.alloc((height, width, channels), stored)
        out = self.alloc((height, width, channels))
        law = "law <floats 0.5 0.4 0.0 0.0 0.0 0.0 zeros 1 0 3 clamp -128 127 size 0>"
        text = f"tile.vector copy {middle}[ROW, 0, 0] [ROWS, {width}, {channels}] = {source.name}[0] {law}"
        extra: list[str] = []
        if self.chance(0.5):
            self.use(self.active if self.active.startswith("direct") else _CONFIGURATIONS[0])
            extra = [self.seeded((channels, 1, 1, channels)), self.params(channels, channels)]
            half = self.fill(extra[0], (0, 0), (channels, 1, 1, channels))
            text = (f"tile.conv {middle}[ROW, 0, 0] [ROWS, {width}, {channels}] = {source.name}[0] [{channels}], "
                    f"{half} window <1x1> params {extra[1]}[0] requantize <zero 0 clamp -128 127>")  # fmt: skip
        for row in range(0, height, stored):
            rows = min(stored, height - row)
            self.lines.append(text.replace("ROWS", str(rows)).replace("ROW", str(row)))
            self.lines.append(f"tile.vector copy {out}[{row}, 0, 0] [{rows}, {width}, {channels}] = {middle}[0]")
        self.free(middle, *extra)
        return Tensor(out, height, width, channels)

    def spill(self, source: Tensor) -> Tensor:
        """The tensor waits in DRAM while another layer works on a copy, and is added to its result."""
        shape = (source.height, source.width, source.channels)
        scratch = self.fresh("s")
        self.head.append(f"{scratch} = tile.dram : !tile.dram<{_dims(shape)}>")
        self.move("store", scratch, source.name, shape, self.dice.choice((1, 2)))
        other = self.vector(source) if self.chance(0.5) else self.conv(source)
        self.free(source.name)
        again = Tensor(self.alloc(shape), *shape)
        self.move("load", again.name, scratch, shape, self.dice.choice((1, 2)))
        if (other.height, other.width, other.channels) != shape:
            self.free(other.name)
            return again
        result = self.alloc(shape)
        self.lines.append(f"tile.vector add {result}[0, 0, 0] [{', '.join(map(str, shape))}] = {again.name}[0], "
                          f"{other.name}[0] law <floats 0.5 0.4 0.25 0.0 0.0 0.0 zeros 1 -2 3 clamp -128 127 size 0>"
                          )  # fmt: skip
        self.free(again.name, other.name)
        return Tensor(result, *shape)

    def concat(self, source: Tensor) -> Tensor:
        """Two layers write channel slices of one tensor."""
        more = self.dice.choice((1, 2))
        channels = source.channels + more
        out = self.alloc((source.height, source.width, channels))
        self.vector(source, out)
        self.conv(source, out, source.channels, more)
        return Tensor(out, source.height, source.width, channels)

    def text(self) -> str:
        """The whole plan."""
        dice = self.dice
        height, width, channels = dice.randrange(2, 5), dice.randrange(1, 4), dice.choice((1, 2, 4))
        shape = (height, width, channels)
        tensor = Tensor(self.alloc(shape), *shape)
        self.move("load", tensor.name, "%in", shape, dice.choice((1, 2)))
        layers: list[Callable[[Tensor], Tensor]] = [self.conv, self.conv, self.vector, self.ring, self.spill,
                                                    self.concat]  # fmt: skip
        for _ in range(dice.choice((1, 2, 2, 3))):
            made = dice.choice(layers)(tensor)
            if f"tile.free {tensor.name} : {self.kinds[tensor.name]}" not in self.lines and self.chance(0.8):
                self.free(tensor.name)
            tensor = made
        end = (tensor.height, tensor.width, tensor.channels)
        self.move("store", "%out", tensor.name, end, dice.choice((1, 2)))
        title = f'tile.schedule @small machine "{self.machine}" (%in: !tile.dram<{_dims(shape)}>) -> (%out: !tile.dram<'
        return "\n".join([f"{title}{_dims(end)}>) {{", *(f"  {line}" for line in (*self.head, *self.lines)), "}", ""])


def _dims(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) + "xi8"


def _slices(total: int, parts: int) -> list[tuple[int, int]]:
    """(start, size) of at most ``parts`` pieces that cover ``total``."""
    size = -(-total // parts)
    return [(start, min(size, total - start)) for start in range(0, total, size)]


@dataclass(frozen=True)
class SmallProgram:
    """A good program with the plan it comes from."""

    seed: int
    plan: str
    program: Program

    @property
    def segment(self) -> MachineSegment:
        (segment,) = self.program.segments
        assert isinstance(segment, MachineSegment)
        return segment


def plan_text(seed: int) -> str:
    """The plan of a seed, of any length."""
    return _Plan(random.Random(f"small {seed}")).text()


def _lowered(text: str, limit: int) -> ModuleOp:
    module = parse(text)
    for step in (ConvertTileToAccelPass(), AllocateSramPass(limit), AssignWaitsPass()):
        step.apply(context(), module)
    module.verify()
    return module


def small_program(seed: int, machine: Path = MACHINE) -> SmallProgram:
    """The program of a seed for a machine with images of 64 bytes: always the same, at most ``LONGEST`` instructions,
    in as little SRAM as will do (or, one time in four, in 4 KiB)."""
    dice = random.Random(f"small {seed}")
    while True:
        text = _Plan(dice, machine=machine).text()
        if sum("tile." in line and not any(f"tile.{word}" in line.split(" : ")[0] for word in
               ("alloc", "free", "constant", "image", "dram", "schedule")) for line in text.splitlines()
               ) > LONGEST:  # fmt: skip
            continue
        limits = (4096,) if dice.random() < 0.25 else (*_LIMITS, 4096)
        for limit in limits:
            try:
                module = _lowered(text, limit)
            except ModelError:
                if limit == limits[-1]:
                    raise
                continue
            program = emit(module)
            made = SmallProgram(seed, text, program)
            assert len(decode(made.segment.code)) <= LONGEST
            return made
