"""Networks at the level of the cnn dialect, written op by op, and random ones with every shape a planner can meet."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from xdsl.dialects import func
from xdsl.dialects.builtin import ArrayAttr, FloatAttr, ModuleOp, StringAttr, f32
from xdsl.ir import Block, Region, SSAValue
from xdsl.rewriter import Rewriter

from dialects import cnn
from dialects.blobs import to_blob
from dialects.recon import BlobAttr

Value = SSAValue
Pads = tuple[int, int, int, int]
Pair = tuple[int, int]

BINARY = [op for op in cnn.CNN.operations if issubclass(op, cnn.BinaryOp)]

PALETTE = ((0.05, 3), (0.08, -20), (0.05, 3), (0.1, 0))
"""Scales and zero points that values have; few, so that many values can be joined as they are."""


def kind(value: Value) -> cnn.TensorType:
    """A value's type."""
    assert isinstance(value.type, cnn.TensorType)
    return value.type


class Net:
    """A function ``@main`` being written; methods take and give values. ``dice`` chooses all numbers."""

    def __init__(self, seed: int = 0):
        self.dice = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.block = Block()
        self.inputs: list[str] = []
        self.values: list[Value] = []
        self.count = 0

    # ------------------------------------------------------------------------------------------------ plumbing

    def quant(self) -> tuple[float, int]:
        return self.dice.choice(PALETTE)

    def add(
        self,
        op: type[cnn.CnnOp],
        operands: Sequence[Any],
        shape: Sequence[int],
        of: tuple[float, int],
        /,
        **properties: Any,
    ) -> Value:
        name = f"{op.name.removeprefix('cnn.')}_{self.count}"
        self.count += 1
        made = op.build(
            operands=operands,
            result_types=[cnn.TensorType.of((1, *shape), *of)],
            properties={key: value for key, value in properties.items() if value is not None},
        )
        made.provenance(name, [])
        self.block.add_op(made)
        self.values.append(made.results[0])
        return made.results[0]

    def like(self, value: Value) -> tuple[float, int]:
        return kind(value).scale.data, kind(value).zero.data

    def input(self, height: int, width: int, channels: int, quant: tuple[float, int] | None = None) -> Value:
        value = self.block.insert_arg(
            cnn.TensorType.of((1, height, width, channels), *(quant or self.quant())), len(self.block.args)
        )
        value.name_hint = f"x{len(self.inputs)}"
        self.inputs.append(value.name_hint)
        self.values.append(value)
        return value

    def module(self, outputs: Sequence[Value], model: str = "random") -> ModuleOp:
        """The finished module, verified."""
        self.block.add_op(func.ReturnOp(*outputs))
        function = func.FuncOp(
            "main",
            ([argument.type for argument in self.block.args], [value.type for value in outputs]),
            Region(self.block),
        )
        function.attributes["inputs"] = ArrayAttr([StringAttr(name) for name in self.inputs])
        function.attributes["outputs"] = ArrayAttr([StringAttr(f"y{i}") for i in range(len(outputs))])
        module = ModuleOp([function], {"recon.model": StringAttr(model)})
        module.verify()
        return module

    def bytes(self, *shape: int) -> BlobAttr:
        return to_blob(self.numbers.integers(-127, 128, shape, np.int8))

    def clamp(self) -> cnn.ClampAttr:
        return cnn.ClampAttr.of(*self.dice.choice([(-128, 127), (-128, 127), (-100, 90), (3, 127)]))

    # -------------------------------------------------------------------------------------------- convolutions

    def _chain(self, x: Value, outputs: int, depth: int, residual: Value | None, table: bool) -> dict[str, Any]:
        own = self.quant()
        scale = own[0] / (kind(x).scale.data * 60 * depth**0.5)
        parts: dict[str, Any] = {
            "bias": to_blob(self.numbers.integers(-3000, 3000, outputs).astype(np.int32)),
            "scales": to_blob((scale * self.numbers.uniform(0.5, 1.5, outputs)).astype(np.float32)),
            "clamp": self.clamp(),
            "quant": cnn.QuantAttr.of(*own),
        }
        if residual is not None:
            position = self.dice.choice(["first", "second", "wide"])
            result = own if position == "wide" else self.quant()
            parts["sum"] = cnn.SumAttr(StringAttr(position), cnn.QuantAttr.of(*result), self.clamp())
        if table:
            parts["table"] = self.bytes(256)
        return parts

    def conv(
        self,
        x: Value,
        outputs: int,
        kernel: Pair = (3, 3),
        pads: Pads = (0, 0, 0, 0),
        strides: Pair = (1, 1),
        dilations: Pair = (1, 1),
        groups: int = 1,
        residual: Value | None = None,
        table: bool = False,
        zero: int = 0,
    ) -> Value:
        """Many parameters: the operands and attributes of the operation, as its text has them."""
        _, height, width, channels = kind(x).dims
        window = cnn.WindowAttr.of(kernel, pads, strides, dilations)
        shape = (outputs, *kernel, channels // groups)
        chain = self._chain(x, outputs, kernel[0] * kernel[1] * channels // groups, residual, table)
        last = chain["sum"].quant if residual is not None else chain["quant"]
        return self.add(
            cnn.Conv2dOp,
            [x, residual],
            (*window.output(height, width), outputs),
            (last.scale.data, last.zero.data),
            weights=self.bytes(*shape),
            window=window,
            groups=cnn.integer(groups),
            weight_zero=cnn.integer(zero),
            **chain,
        )

    def dense(self, x: Value, outputs: int, residual: Value | None = None, table: bool = False, zero: int = 0) -> Value:
        """A fully connected layer, behind a reshape where it needs one."""
        _, height, width, channels = kind(x).dims
        if (height, width) != (1, 1):
            x, channels = self.reshape(x, (1, 1, height * width * channels)), height * width * channels
        chain = self._chain(x, outputs, channels, residual, table)
        last = chain["sum"].quant if residual is not None else chain["quant"]
        return self.add(
            cnn.FullyConnectedOp,
            [x, residual],
            (1, 1, outputs),
            (last.scale.data, last.zero.data),
            weights=self.bytes(outputs, 1, 1, channels),
            weight_zero=cnn.integer(zero),
            **chain,
        )

    # -------------------------------------------------------------------------------------------- vector layers

    def pool(
        self, x: Value, kernel: Pair, pads: Pads = (0, 0, 0, 0), strides: Pair = (1, 1), average: bool = False
    ) -> Value:
        _, height, width, channels = kind(x).dims
        window = cnn.WindowAttr.of(kernel, pads, strides)
        shape = (*window.output(height, width), channels)
        if not average:
            return self.add(cnn.MaxPool2dOp, [x], shape, self.like(x), window=window)
        counted = cnn.integer(self.dice.randrange(2))
        return self.add(
            cnn.AveragePool2dOp, [x], shape, self.quant(), window=window, count_pads=counted, clamp=self.clamp()
        )

    def mean(self, x: Value) -> Value:
        return self.add(cnn.GlobalAveragePoolOp, [x], (1, 1, kind(x).dims[3]), self.quant(), clamp=self.clamp())

    def binary(self, op: type[cnn.CnnOp], a: Value, b: Value) -> Value:
        quant = self.like(a) if issubclass(op, cnn.CodesOp) else self.quant()
        return self.add(op, [a, b], kind(a).dims[1:], quant, clamp=self.clamp())

    def table(self, x: Value, quant: tuple[float, int] | None = None) -> Value:
        return self.add(cnn.TableOp, [x], kind(x).dims[1:], quant or self.quant(), table=self.bytes(256))

    def affine(self, x: Value) -> Value:
        c = kind(x).dims[3]
        scale, offset = (to_blob(self.numbers.uniform(-2, 2, c).astype(np.float32)) for _ in range(2))
        return self.add(
            cnn.AffineOp, [x], kind(x).dims[1:], self.quant(), scale=scale, offset=offset, clamp=self.clamp()
        )

    def lrn(self, x: Value) -> Value:
        size = min(5, kind(x).dims[3])
        numbers = {"alpha": 0.01, "beta": 0.75, "bias": 1.0}
        return self.add(
            cnn.LrnOp,
            [x],
            kind(x).dims[1:],
            self.quant(),
            size=cnn.integer(size),
            **{name: FloatAttr(value, f32) for name, value in numbers.items()},
        )

    # --------------------------------------------------------------------------------------------------- moves

    def concat(self, *parts: Value) -> Value:
        """Joined channels; parts of another quantisation than the first are requantised before."""
        quant = self.like(parts[0])
        same = [part if self.like(part) == quant else self.table(part, quant) for part in parts]
        _, height, width, _ = kind(parts[0]).dims
        channels = sum(kind(part).dims[3] for part in parts)
        return self.add(cnn.ConcatOp, [same], (height, width, channels), quant)

    def slice(self, x: Value, first: int, channels: int) -> Value:
        _, height, width, _ = kind(x).dims
        return self.add(
            cnn.SliceOp, [x], (height, width, channels), self.like(x), offsets=cnn.integers((0, 0, 0, first))
        )

    def pad(self, x: Value, pads: Pads, value: int | None = None) -> Value:
        _, height, width, channels = kind(x).dims
        top, bottom, left, right = pads
        return self.add(
            cnn.PadOp,
            [x],
            (height + top + bottom, width + left + right, channels),
            self.like(x),
            pads=cnn.integers(pads),
            value=cnn.integer(value) if value is not None else None,
        )

    def resize(self, x: Value, factors: Pair) -> Value:
        _, height, width, channels = kind(x).dims
        shape = (height * factors[0], width * factors[1], channels)
        return self.add(cnn.ResizeOp, [x], shape, self.like(x), factors=cnn.integers(factors))

    def shuffle(self, x: Value, groups: int) -> Value:
        return self.add(cnn.ChannelShuffleOp, [x], kind(x).dims[1:], self.like(x), groups=cnn.integer(groups))

    def reshape(self, x: Value, shape: tuple[int, int, int]) -> Value:
        return self.add(cnn.ReshapeOp, [x], shape, self.like(x))

    def constant(self, height: int, width: int, channels: int) -> Value:
        return self.add(
            cnn.ConstantOp, [], (height, width, channels), self.quant(), value=self.bytes(1, height, width, channels)
        )


def divisors(number: int) -> list[int]:
    return [n for n in range(1, number + 1) if number % n == 0]


class RandomNet(Net):
    """Grows a network layer by layer from what there is already."""

    def any(self, recent: int = 0) -> Value:
        """A value to go on from: one of the last few, sometimes any."""
        if recent or self.dice.random() < 0.75:
            return self.dice.choice(self.values[-(recent or 3) :])
        return self.dice.choice(self.values)

    def same_image(self, x: Value, channels: bool = False) -> Value:
        """A value with the rows and columns of another (and its channels, if asked)."""
        dims = kind(x).dims
        twins = [v for v in self.values if kind(v).dims[1:3] == dims[1:3] and (not channels or kind(v).dims == dims)]
        return self.dice.choice(twins)

    def window(self, x: Value, pool: bool = False) -> tuple[Pair, Pads, Pair, Pair]:
        """A window that meets the value and keeps it from becoming large or empty."""
        dice = self.dice
        _, height, width, _ = kind(x).dims
        while True:
            kernel = (3, 3) if dice.random() < 0.4 else (dice.choice([1, 1, 2, 3, 4, 5]), dice.choice([1, 1, 2, 3, 5]))
            pads = [dice.randrange(0, max(1, kernel[axis // 2])) for axis in range(4)]
            if dice.random() < 0.4:
                pads = [(kernel[axis // 2] - 1) // 2 for axis in range(4)]
            if not pool and dice.random() < 0.1:
                pads = [dice.randrange(0, 2 * kernel[axis // 2]) for axis in range(4)]
            strides = (dice.choice([1, 1, 1, 2, 3]), dice.choice([1, 1, 1, 2]))
            dilations = (1, 1) if pool else (dice.choice([1, 1, 1, 2, 3]), dice.choice([1, 1, 1, 2]))
            made = cnn.WindowAttr.of(kernel, pads, strides, dilations).output(height, width)
            if min(made) > 0:
                return kernel, (pads[0], pads[1], pads[2], pads[3]), strides, dilations

    def channels(self) -> int:
        return self.dice.choice([1, 3, 4, 8, 8, 16, 16, 24, 32, 40])

    def random_conv(self) -> Value:
        dice, x = self.dice, self.any()
        c = kind(x).dims[3]
        kernel, pads, strides, dilations = self.window(x)
        groups = dice.choice(divisors(c)) if dice.random() < 0.25 else c if dice.random() < 0.2 else 1
        outputs = groups * dice.choice([1, 1, 2, 3]) if groups > 1 else self.channels()
        made = cnn.WindowAttr.of(kernel, pads, strides, dilations).output(*kind(x).dims[1:3])
        twins = [v for v in self.values if kind(v).dims[1:3] == made and kind(v).dims[3] % groups == 0]
        residual = dice.choice(twins) if twins and dice.random() < 0.4 else None
        if residual is not None:
            outputs = kind(residual).dims[3]
        zero = dice.choice([0, 0, 0, 5])
        return self.conv(x, outputs, kernel, pads, strides, dilations, groups, residual, dice.random() < 0.2, zero)

    def random_dense(self) -> Value:
        x = self.dice.choice([v for v in self.values if np.prod(kind(v).dims) <= 1500] or [self.mean(self.any())])
        twins = [v for v in self.values if kind(v).dims[1:3] == (1, 1)]
        residual = self.dice.choice(twins) if twins and self.dice.random() < 0.3 else None
        outputs = kind(residual).dims[3] if residual is not None else self.dice.choice([5, 16, 70])
        return self.dense(x, outputs, residual, self.dice.random() < 0.2)

    def random_pool(self) -> Value:
        x = self.any()
        kernel, pads, strides, _ = self.window(x, pool=True)
        return self.pool(x, kernel, pads, strides, self.dice.random() < 0.5)

    def random_binary(self) -> Value:
        x, op = self.any(), self.dice.choice(BINARY)
        lines = [(kind(x).dims[1], 1), (1, kind(x).dims[2])]  # one row or one column for all
        y = self.pool(x, self.dice.choice(lines)) if self.dice.random() < 0.2 else self.same_image(x, True)
        if issubclass(op, cnn.CodesOp) and self.like(y) != self.like(x):
            y = self.table(y, self.like(x))
        return self.binary(op, x, y)

    def random_gate(self) -> Value:
        x = self.any()
        gate = self.mean(x)
        if self.dice.random() < 0.6:
            gate = self.conv(self.conv(gate, 4, (1, 1)), kind(x).dims[3], (1, 1), table=True)
        return self.binary(cnn.MulOp, x, gate)

    def random_concat(self) -> Value:
        x = self.any()
        parts = [x, *(self.same_image(x) for _ in range(self.dice.choice([1, 1, 2, 3])))]
        self.dice.shuffle(parts)
        while len(parts) > 2 and sum(kind(part).dims[3] for part in parts) > 96:
            parts.pop()
        return self.concat(*parts)

    def random_dense_block(self) -> Value:
        x = self.any()
        for _ in range(self.dice.choice([2, 3])):
            if kind(x).dims[3] > 64:
                break
            new = self.conv(x, self.dice.choice([4, 8]), (3, 3), (1, 1, 1, 1))
            x = self.concat(x, new)
        return x

    def random_slice(self) -> Value:
        x = self.any()
        c = kind(x).dims[3]
        size = self.dice.randrange(1, c + 1)
        first = self.dice.randrange(0, c - size + 1)
        if self.dice.random() < 0.5 and size < c:
            # A split: both parts go their own way.
            other = self.slice(x, 0, first) if first else self.slice(x, size, c - size)
            self.table(other)
        return self.slice(x, first, size)

    def random_pad(self) -> Value:
        pads = [self.dice.randrange(3) for _ in range(4)]
        value = self.dice.choice([None, None, self.dice.randrange(-128, 128)])
        return self.pad(self.any(), (pads[0], pads[1], pads[2], pads[3]), value)

    def random_resize(self) -> Value:
        small = [v for v in self.values if np.prod(kind(v).dims) <= 6000]
        if not small:
            return self.random_pool()
        return self.resize(self.dice.choice(small), (self.dice.choice([1, 2, 3]), self.dice.choice([1, 2])))

    def random_shuffle(self) -> Value:
        x = self.any()
        return self.shuffle(x, self.dice.choice(divisors(kind(x).dims[3])))

    def random_reshape(self) -> Value:
        x = self.any()
        _, height, width, channels = kind(x).dims
        shapes = [(1, 1, height * width * channels), (height, width * channels, 1), (width, height, channels)]
        shapes += [(height * width, 1, channels), (1, height * width, channels)]
        return self.reshape(x, self.dice.choice([s for s in shapes if max(s) <= 4000]))

    def random_constant(self) -> Value:
        x = self.any()
        constant = self.constant(*kind(x).dims[1:])
        if self.dice.random() < 0.3:
            return self.concat(x, constant)
        return self.binary(self.dice.choice([cnn.AddOp, cnn.MulOp]), x, constant)

    def grow(self, layers: int) -> None:
        """Add about so many layers."""
        dice = self.dice
        table = {
            self.random_conv: 10,
            self.random_pool: 3,
            self.random_binary: 3,
            self.random_gate: 1,
            self.random_concat: 4,
            self.random_dense_block: 1,
            self.random_slice: 2,
            self.random_pad: 1,
            self.random_resize: 1,
            self.random_shuffle: 1,
            self.random_reshape: 0.5,
            self.random_constant: 0.5,
            self.random_dense: 0.7,
            lambda: self.table(self.any()): 1,
            lambda: self.affine(self.any()): 1,
            lambda: self.lrn(self.any()): 0.5,
            lambda: self.mean(self.any()): 0.5,
        }
        # Every network prefers some kinds of layers, so that few are a little of everything.
        weights = [weight * dice.choice([0.2, 1, 1, 3]) for weight in table.values()]
        for _ in range(layers):
            dice.choices(list(table), weights)[0]()

    def outputs(self) -> list[Value]:
        """All that nobody reads, sometimes as it is before rounding, and sometimes something inside."""
        loose = [value for value in self.values if not value.uses and value not in self.block.args]
        inner = [value for value in self.values if value.uses and value not in self.block.args]
        for at, value in enumerate(loose):
            op = value.owner
            if isinstance(op, cnn.Conv2dOp | cnn.FullyConnectedOp) and not (
                op.sum or op.table or self.dice.random() < 0.7
            ):
                op.properties |= {"quant": cnn.QuantAttr.of(1.0, 0), "clamp": cnn.ClampAttr.of()}
                loose[at] = Rewriter.replace_value_with_new_type(value, cnn.FloatType.of(kind(value).dims))
        loose += [value for value in inner if self.dice.random() < 0.06]
        self.dice.shuffle(loose)
        return loose or self.values[-1:]


def random_net(seed: int) -> ModuleOp:
    """A random network: one to three inputs of one or two sizes, two to a dozen layers."""
    net = RandomNet(seed)
    dice = net.dice
    height, width = dice.choice([(1, 1), (5, 7), (8, 8), (12, 9), (16, 16), (20, 24), (32, 32), (40, 8)])
    for _ in range(dice.choice([1, 1, 1, 2, 3])):
        if dice.random() < 0.2:
            height, width = (height + 1) // 2, (width + 1) // 2
        net.input(height, width, dice.choice([1, 3, 4, 16, 20, 32]))
    net.grow(dice.choice([2, 3, 4, 6, 8, 12]))
    return net.module(net.outputs(), f"random{seed}")
