"""Random plans as text: chains of layers with every kind of tile the dialect can spell, small enough to run often."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, field

from dialects.cnn import WindowAttr
from sim.machine import description as machines
from sim.machine import laws
from sim.machine.operations import OPERATIONS, Operation, operation

MACHINE = machines.load("edge4k")


@dataclass
class Tensor:
    """A value of the plan: buffer name, height, width, channels, and the ring it was allocated with."""

    name: str
    height: int
    width: int
    channels: int
    ring: int = 0

    @property
    def type(self) -> str:
        ring = f", ring {self.ring}" if self.ring else ""
        return f"!tile.sram<{self.height}x{self.width}x{self.channels}xi8{ring}>"


@dataclass
class Window:
    """Kernel, pads (top, bottom, left, right), strides and dilations."""

    kernel: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)

    def output(self, tensor: Tensor) -> tuple[int, int]:
        return WindowAttr.of(self.kernel, self.pads, self.strides, self.dilations).output(tensor.height, tensor.width)

    def __str__(self) -> str:
        pads, strides, dilations = (" ".join(map(str, part)) for part in (self.pads, self.strides, self.dilations))
        return f"<{self.kernel[0]}x{self.kernel[1]} pad {pads} stride {strides} dilation {dilations}>"


@dataclass
class Plan:
    """Writes one schedule, line by line."""

    dice: random.Random
    lines: list[str] = field(default_factory=list[str])
    head: list[str] = field(default_factory=list[str])
    count: int = 0
    active: str = ""
    half: int = 0
    buffers: dict[str, str] = field(default_factory=dict[str, str])

    def fresh(self, prefix: str) -> str:
        self.count += 1
        return f"%{prefix}{self.count}"

    def add(self, line: str, depth: int = 0) -> None:
        self.lines.append("  " * (depth + 1) + line)

    def alloc(self, prefix: str, shape: tuple[int, ...], ring: int = 0) -> str:
        name = self.fresh(prefix)
        kind = f"!tile.sram<{'x'.join(map(str, shape))}xi8{f', ring {ring}' if ring else ''}>"
        self.add(f"{name} = tile.alloc : {kind}")
        self.buffers[name] = kind
        return name

    def free(self, *names: str) -> None:
        kinds = ", ".join(self.buffers.pop(name) for name in names)
        self.add(f"tile.free {', '.join(names)} : {kinds}")

    def constant(self, prefix: str, shape: tuple[int, ...], blob: str) -> str:
        """A constant and its copy in SRAM, loaded whole or in slices."""
        dims = "x".join(map(str, shape))
        dram = self.fresh("c")
        self.head.append(f"  {dram} = tile.constant {blob} : !tile.dram<{dims}xi8>")
        name = self.alloc(prefix, shape)
        zeros = ", ".join("0" for _ in shape[1:])
        rest = f", {zeros}" if zeros else ""
        inner = "".join(f", {n}" for n in shape[1:])
        step = self.dice.choice([shape[0], max(1, shape[0] // 2), 3])
        if step >= shape[0]:
            self.add(f"tile.load {name}[0{rest}] [{shape[0]}{inner}] from {dram}[0{rest}]")
        else:
            loop = self.fresh("l")
            self.add(f"tile.for {loop} = 0 to {shape[0]} step {step} {{")
            self.add(f"tile.load {name}[{loop}{rest}] [{step}{inner}] from {dram}[{loop}{rest}]", 1)
            self.add("}")
        return name

    def weights(self, shape: tuple[int, int, int, int]) -> str:
        return self.constant("w", shape, f"<{'x'.join(map(str, shape))}xi8, seed {self.dice.randrange(1 << 30)}>")

    def params(self, channels: int, reduction: int) -> str:
        numbers: list[int] = []
        for _ in range(channels):
            scale = self.dice.uniform(0.2, 2.0) / (5000 * reduction**0.5) * 40
            (bits,) = struct.unpack("<i", struct.pack("<f", scale))
            numbers += [self.dice.randrange(-20000, 20000), bits]
        text = ", ".join(map(str, numbers))
        return self.constant("p", (channels, 8), f"<{channels}x2xi32, [{text}]>")

    def floats(self, channels: int) -> str:
        numbers = [self.dice.uniform(-2, 2) for _ in range(2 * channels)]
        text = ", ".join(f"{number:.4f}" for number in numbers)
        return self.constant("f", (channels, 8), f"<{channels}x2xf32, [{text}]>")

    def table(self) -> str:
        return self.constant("t", (256,), f"<256xi8, seed {self.dice.randrange(1 << 30)}>")

    def use(self, configuration: str) -> None:
        if configuration != self.active or self.dice.random() < 0.2:
            self.add(f"tile.load_config <{configuration}>")
            self.add(f"tile.use <{configuration}>")
            self.active = configuration

    def configuration(self, groups: int, outputs: int, inputs: int, window: Window) -> str:
        """A configuration whose layout of these weights fits a half."""
        kernel = window.kernel
        fast = kernel == (3, 3) and window.strides == window.dilations == (1, 1) and self.dice.random() < 0.5
        while True:
            g, k, r, p = (1 << self.dice.randrange(7) for _ in range(4))
            words = laws.words(MACHINE, fast, g, k, r, groups, outputs, inputs, *kernel)
            if g * k * r * p <= 4096 and int(words) <= MACHINE.array.half_words:
                return f"{'winograd' if fast else 'direct'} g{g} k{k} r{r} p{p}"

    def window(self, tensor: Tensor) -> Window:
        """A window that meets the tensor."""
        while True:
            kernel = (self.dice.choice([1, 2, 3, 5]), self.dice.choice([1, 3, 3, 4]))
            if self.dice.random() < 0.5:
                kernel = (3, 3)
            pads = [self.dice.randrange(0, max(1, kernel[axis // 2])) for axis in range(4)]
            strides = (self.dice.choice([1, 1, 2, 3]), self.dice.choice([1, 1, 2]))
            dilations = (self.dice.choice([1, 1, 2]), self.dice.choice([1, 1, 2]))
            if self.dice.random() < 0.4:
                strides = dilations = (1, 1)
            made = Window(kernel, (pads[0], pads[1], pads[2], pads[3]), strides, dilations)
            if min(made.output(tensor)) > 0:
                return made

    def stripes(self, height: int) -> tuple[str, int, list[str]]:
        """(loop variable, rows, lines that open it): a loop over stripes, the last of them clipped."""
        rows = self.dice.choice([height, max(1, height // 2), 2, 3])
        loop = self.fresh("y")
        return loop, rows, [f"tile.for {loop} = 0 to {height} step {rows} {{"]

    def conv(self, source: Tensor) -> Tensor:
        """A convolution: stripes, column tiles, groups, slices of output or input channels, residual and table."""
        dice = self.dice
        window = self.window(source)
        height, width = window.output(source)
        divisors = [g for g in range(1, source.channels + 1) if source.channels % g == 0]
        groups = dice.choice([1, 1, 1, *divisors])
        per_group = source.channels // groups
        kt = dice.choice([1, 2, 3, 5]) if groups > 1 else dice.choice([4, 7, 16])
        channels = groups * kt
        weights = self.weights((channels, *window.kernel, per_group))
        params = self.params(channels, per_group * window.kernel[0] * window.kernel[1])
        offset = dice.choice([0, 0, 3])
        whole = channels + offset + dice.choice([0, 2])
        out = self.alloc("x", (height, width, whole))
        result = Tensor(out, height, width, channels)
        chain, extra = self.chain(result, whole)
        splits = dice.choice([1, 1, 2]) if groups == 1 else 1
        slices = _slices(per_group, splits)
        blocks = _slices(groups if groups > 1 else channels, dice.choice([1, 1, 2, 3]))
        columns = _slices(width, dice.choice([1, 1, 2]))
        for start, count in blocks:
            first, k = (start * kt, count * kt) if groups > 1 else (start, count)
            g = count if groups > 1 else 1
            largest = max(size for _, size in slices)
            configuration = self.configuration(g, k // g, largest, window)
            self.use(configuration)
            loop, rows, opening = self.stripes(height)
            half = ""
            if splits == 1:
                half = self.fill(weights, (first, 0), (k, per_group), window, configuration, g, 0)
            self.add(opening[0])
            for x, wide in columns:
                for number, (c, size) in enumerate(slices):
                    if splits > 1:
                        half = self.fill(weights, (first, c), (k, size), window, configuration, 1, 1)
                    last = number == len(slices) - 1
                    channel = start * per_group if groups > 1 else c
                    text = f"tile.conv {out}[{loop}, {x}, {first + offset}] [{rows}, {wide}, {k}] = "
                    text += f"{source.name}[{channel}] [{g * size}], {half} window {window}"
                    text += f" groups {g}" if g > 1 else ""
                    text += " pad_value -5 "
                    text += "" if number == 0 else " accumulate"
                    if last:
                        text += f" params {params}[{first}] requantize <zero 2 clamp -120 127>"
                        text += chain.replace("OFFSET", str(first))
                    self.add(text, 1)
            self.add("}")
        self.free(weights, params, *extra)
        if whole == channels:
            return result
        return self.elementwise(operation("copy"), Tensor(out, height, width, channels), f"[{offset}]", "")

    def chain(self, result: Tensor, whole: int) -> tuple[str, list[str]]:
        """Residual and table stages, and the buffers they need."""
        text, extra = "", list[str]()
        if self.dice.random() < 0.3:
            dims = (result.height, result.width, result.channels)
            seed = self.dice.randrange(1 << 30)
            skip = self.constant("r", dims, f"<{'x'.join(map(str, dims))}xi8, seed {seed}>")
            position = self.dice.choice(["first", "second", "wide"])
            text += f" add {skip}[OFFSET] <{position} ratios 0.75 0.6 -1.5 clamp -128 100>"
            extra.append(skip)
        if self.dice.random() < 0.3:
            table = self.table()
            text += f" table {table}"
            extra.append(table)
        return text, extra

    def fill(
        self, weights: str, offsets: tuple[int, int], sizes: tuple[int, int], window: Window, configuration: str,
        groups: int, depth: int,
    ) -> str:  # fmt: skip
        """A fill of the half not used last."""
        self.half = 1 - self.half
        name = self.fresh("h")
        fy, fx = window.kernel
        zero = "" if "winograd" in configuration or self.dice.random() < 0.5 else " zero 3"
        self.add(f"{name} = tile.fill half {self.half} {weights}[{offsets[0]}, 0, 0, {offsets[1]}] "
                 f"[{sizes[0]}, {fy}, {fx}, {sizes[1]}] for <{configuration}>"
                 f"{f' groups {groups}' if groups > 1 else ''}{zero}", depth)  # fmt: skip
        return name

    def law(self, row: Operation, channels: int) -> str:
        """Numbers for an operation."""
        size = {"divisor": 2 if channels % 2 == 0 else 1, "flag": self.dice.randrange(2)}.get(row.size, 3)
        return f"law <floats 0.5 0.4 0.25 0.01 0.75 1.0 zeros 1 -2 3 clamp -128 127 size {size}>"

    def elementwise(self, row: Operation, source: Tensor, offset: str = "[0]", operands: str = "") -> Tensor:
        """An operation of the vector unit whose output has its input's rows and columns."""
        result = Tensor(self.alloc("v", (source.height, source.width, source.channels)), source.height, source.width,
                        source.channels)  # fmt: skip
        loop, rows, opening = self.stripes(source.height)
        self.add(opening[0])
        self.add(f"tile.vector {row.name} {result.name}[{loop}, 0, 0] [{rows}, {source.width}, {source.channels}] = "
                 f"{source.name}{offset}{operands} {self.law(row, source.channels)}", 1)  # fmt: skip
        self.add("}")
        return result

    def pool(self, row: Operation, source: Tensor) -> Tensor:
        """A pool over windows."""
        window = self.window(source)
        window.dilations = (1, 1)
        height, width = window.output(source)
        result = Tensor(self.alloc("v", (height, width, source.channels)), height, width, source.channels)
        loop, rows, opening = self.stripes(height)
        self.add(opening[0])
        self.add(f"tile.vector {row.name} {result.name}[{loop}, 0, 0] [{rows}, {width}, {source.channels}] = "
                 f"{source.name}[0] window {window} {self.law(row, source.channels)}", 1)  # fmt: skip
        self.add("}")
        return result

    def whole(self, row: Operation, source: Tensor) -> Tensor:
        """One pixel of a whole image."""
        result = Tensor(self.alloc("g", (1, 1, source.channels)), 1, 1, source.channels)
        self.add(f"tile.vector {row.name} {result.name}[0, 0, 0] [1, 1, {source.channels}] = {source.name}[0] "
                 f"{self.law(row, source.channels)}")  # fmt: skip
        return result

    def enlarged(self, row: Operation, source: Tensor) -> Tensor:
        """Every pixel two rows high and three columns wide."""
        height, width = 2 * source.height, 3 * source.width
        result = Tensor(self.alloc("v", (height, width, source.channels)), height, width, source.channels)
        loop = self.fresh("y")
        self.add(f"tile.for {loop} = 0 to {height} step 4 {{")
        self.add(f"tile.vector {row.name} {result.name}[{loop}, 0, 0] [4, {width}, {source.channels}] = "
                 f"{source.name}[0] window <1x1 stride 2 3>", 1)  # fmt: skip
        self.add("}")
        return result

    def vector(self, source: Tensor) -> Tensor:
        """Any operation of the vector unit, as its row says."""
        row = self.dice.choice(OPERATIONS)
        if row.reads == "window":
            return self.pool(row, source)
        if row.reads == "image":
            return self.whole(row, source)
        if row.reads == "repeated":
            return self.enlarged(row, source) if source.height * source.width <= 100 else self.vector(source)
        operands = ""
        if row.pixel and self.dice.random() < 0.7:
            operands = f", {self.whole(operation('global_average_pool'), source).name}[0]"
        elif row.binary:
            operands = f", {source.name}[0]"
        if row.side == "params":
            operands += f" params {self.floats(source.channels)}[0]"
        elif row.side == "table":
            operands += f" table {self.table()}"
        return self.elementwise(row, source, operands=operands)

    def pair(self, source: Tensor) -> Tensor:
        """Two convolutions fused through a ring just large enough."""
        first, second = self.window(source), Window()
        height, width = first.output(source)
        middle = Tensor("", height, width, self.dice.choice([4, 8]))
        second = self.window(middle)
        oy, ox = second.output(middle)
        rows = self.dice.choice([1, 2, 3])
        steps: list[tuple[str, int, int]] = []
        made, ring = 0, 1
        for y in range(0, oy, rows):
            stop = min(oy, y + rows)
            low = max(0, y * second.strides[0] - second.pads[0])
            high = (stop - 1) * second.strides[0] - second.pads[0] + (second.kernel[0] - 1) * second.dilations[0] + 1
            high = min(height, high)
            if high > made:
                steps.append(("first", made, high - made))
                made = high
            ring = max(ring, made - min(low, made), *(count for name, _, count in steps if name == "first"))
            steps.append(("second", y, stop - y))
        middle.ring = ring if ring < height else 0
        middle.name = self.alloc("m", (height, width, middle.channels), middle.ring)
        out = Tensor(self.alloc("x", (oy, ox, 6)), oy, ox, 6)
        halves: dict[str, str] = {}
        texts: dict[str, str] = {}
        for name, window, tensor, result in (("first", first, source, middle), ("second", second, middle, out)):
            weights = self.weights((result.channels, *window.kernel, tensor.channels))
            params = self.params(result.channels, tensor.channels * window.kernel[0] * window.kernel[1])
            configuration = "direct g1 k16 r64 p4"
            self.use(configuration)
            halves[name] = self.fill(weights, (0, 0), (result.channels, tensor.channels), window, configuration, 1, 0)
            texts[name] = (f"{result.name}[ROW, 0, 0] [COUNT, {result.width}, {result.channels}] = "
                           f"{tensor.name}[0] [{tensor.channels}], {halves[name]} window {window} params {params}[0] "
                           "requantize <zero 0 clamp -128 127>")  # fmt: skip
        for name, row, count in steps:
            self.add("tile.conv " + texts[name].replace("ROW", str(row)).replace("COUNT", str(count)))
        return out


def _slices(total: int, parts: int) -> list[tuple[int, int]]:
    """(start, size) of at most ``parts`` pieces that cover ``total``."""
    size = -(-total // parts)
    return [(start, min(size, total - start)) for start in range(0, total, size)]


def random_plan(seed: int) -> str:
    """A plan of one to four layers, by seed."""
    plan = Plan(random.Random(seed))
    dice = plan.dice
    height, width, channels = dice.randrange(3, 14), dice.randrange(3, 12), dice.choice([3, 4, 8, 12])
    tensor = Tensor(plan.alloc("x", (height, width, channels)), height, width, channels)
    rows = dice.choice([height, 4])
    for start, count in _slices(height, -(-height // rows)):
        plan.add(f"tile.load {tensor.name}[{start}, 0, 0] [{count}, {width}, {channels}] from %in[{start}, 0, 0]")
    for _ in range(dice.randrange(1, 5)):
        maker = dice.choice([plan.conv, plan.conv, plan.vector, plan.pair])
        made = maker(tensor)
        if tensor.name in plan.buffers and dice.random() < 0.7:
            plan.free(tensor.name)
        tensor = made
    for start, count in _slices(tensor.height, dice.choice([1, 3])):
        plan.add(f"tile.store %out[{start}, 0, 0] [{count}, {tensor.width}, {tensor.channels}] from "
                 f"{tensor.name}[{start}, 0, 0]")  # fmt: skip
    outer = f"{tensor.height}x{tensor.width}x{tensor.channels}"
    title = (f'tile.schedule @plan machine "edge4k" (%in: !tile.dram<{height}x{width}x{channels}xi8>) -> '
             f"(%out: !tile.dram<{outer}xi8>) {{")  # fmt: skip
    return "\n".join([title, *plan.head, *plan.lines, "}"]) + "\n"
