"""Random networks that move codes about: strided and chosen boxes, joins and weaves along any axis, transpositions."""

from __future__ import annotations

from xdsl.dialects.builtin import ModuleOp

from dialects import cnn
from tests.passes.planner.nets import Net, RandomNet, Value, kind


def box(
    n: Net, x: Value, offsets: tuple[int, int, int], sizes: tuple[int, int, int], steps: tuple[int, int, int]
) -> Value:
    """Every step-th element from the offsets on."""
    properties = {"offsets": cnn.integers((0, *offsets)), "steps": cnn.integers((1, *steps))}
    return n.add(cnn.SliceOp, [x], sizes, n.like(x), **properties)


def select(n: Net, x: Value, *lists: list[int] | None) -> Value:
    """These rows, columns and channels."""
    _, *dims = kind(x).dims
    shape = [len(ids) if ids is not None else size for ids, size in zip(lists, dims, strict=True)]
    names = ("rows", "columns", "channels")
    chosen = {name: cnn.integers(ids) for name, ids in zip(names, lists, strict=True) if ids is not None}
    return n.add(cnn.SelectOp, [x], shape, n.like(x), **chosen)


def joined(n: Net, axis: int, *parts: Value) -> Value:
    """Parts of one quantisation one after the other along an axis of N, H, W, C."""
    shape = list(kind(parts[0]).dims)
    shape[axis] = sum(kind(part).dims[axis] for part in parts)
    return n.add(cnn.ConcatOp, [list(parts)], shape[1:], n.like(parts[0]), axis=cnn.integer(axis))


def woven(n: Net, height: int, width: int, factors: tuple[int, int], *parts: Value) -> Value:
    """Parts interleaved to height × width."""
    shape = (height, width, kind(parts[0]).dims[3])
    return n.add(cnn.InterleaveOp, [list(parts)], shape, n.like(parts[0]), factors=cnn.integers(factors))


def transposed(
    n: Net, x: Value, shape: tuple[int, int, int], order: tuple[int, ...], factors: tuple[int, ...] | None = None
) -> Value:
    """The factors of a value, the sizes of N, H, W, C if none are given, in another order."""
    made = cnn.integers(factors) if factors is not None else None
    return n.add(cnn.TransposeOp, [x], shape, n.like(x), permutation=cnn.integers(order), factors=made)


class MovingNet(RandomNet):
    """A random network of which every other layer moves."""

    def random_box(self) -> Value:
        x, dice = self.any(), self.dice
        steps = [dice.choice([1, 1, 2, 3]) for _ in range(3)]
        offsets, sizes = [], []
        for size, step in zip(kind(x).dims[1:], steps, strict=True):
            offsets.append(dice.randrange(size))
            sizes.append(dice.randint(1, (size - 1 - offsets[-1]) // step + 1))
        return box(self, x, tuple(offsets), tuple(sizes), tuple(steps))  # pyright: ignore[reportArgumentType]

    def random_select(self) -> Value:
        x, dice = self.any(), self.dice
        lists: list[list[int] | None] = []
        for size in kind(x).dims[1:]:
            most = min(2 * size, 24)
            few = sorted(dice.randrange(size) for _ in range(dice.randint(1, most)))
            period = [at * 2 // 3 for at in range(size)]
            flipped = list(range(size - 1, max(-1, size - 9), -1))
            lists.append(dice.choice([None, None, few, period, flipped]))
        return select(self, x, *lists)

    def random_join(self) -> Value:
        x, dice = self.any(), self.dice
        parts = [x, x] if dice.random() < 0.3 else [x, self.table(x, self.like(x)), self.conv_like(x)]
        return joined(self, dice.choice([1, 2, 3]), *parts)

    def conv_like(self, x: Value) -> Value:
        return self.table(self.conv(x, kind(x).dims[3], (1, 1)), self.like(x))

    def random_weave(self) -> Value:
        dice = self.dice
        small = [v for v in self.values if kind(v).dims[1] * kind(v).dims[2] * kind(v).dims[3] <= 6000] or self.values
        x = dice.choice(small)
        _, h, w, _ = kind(x).dims
        fy, fx = dice.choice([(2, 2), (1, 2), (3, 1), (2, 3)])
        height, width = fy * h - dice.choice([0, fy - 1]), fx * w - dice.choice([0, fx - 1])
        parts: list[Value] = []
        for number in range(fy * fx):
            rows, columns = -(-(height - number // fx) // fy), -(-(width - number % fx) // fx)
            if min(rows, columns) < 1:
                return self.table(x)
            part = self.table(x, self.like(x)) if dice.random() < 0.7 else x
            if (rows, columns) != (h, w):
                part = box(self, part, (0, 0, 0), (rows, columns, kind(x).dims[3]), (1, 1, 1))
            parts.append(part)
        return woven(self, height, width, (fy, fx), *parts)

    def random_transpose(self) -> Value:
        x, dice = self.any(), self.dice
        dims = kind(x).dims
        if dice.random() < 0.5:
            order = [1, 2, 3]
            dice.shuffle(order)
            shape = tuple(dims[axis] for axis in order)
            return transposed(self, x, shape, (0, *order))  # pyright: ignore[reportArgumentType]
        _, h, w, c = dims
        splits = [
            (size // part, part)
            for size in (h, w, c)
            for part in [dice.choice([d for d in (1, 2, 3, 4) if size % d == 0])]
        ]
        factors = tuple(factor for split in splits for factor in split)
        order = list(range(6))
        dice.shuffle(order)
        moved = [factors[axis] for axis in order]
        shape = (moved[0] * moved[1], moved[2] * moved[3], moved[4] * moved[5])
        return transposed(self, x, shape, tuple(order), factors)

    def grow(self, layers: int) -> None:
        """Every other layer as in any random network."""
        moves = (self.random_box, self.random_select, self.random_join, self.random_weave, self.random_transpose)
        for _ in range(layers):
            super().grow(1)
            self.dice.choice(moves)()


def moving_net(seed: int) -> ModuleOp:
    """A random network of movements on one small input."""
    net = MovingNet(seed)
    dice = net.dice
    height, width = dice.choice([(1, 1), (5, 7), (8, 8), (12, 9), (16, 16)])
    net.input(height, width, dice.choice([1, 3, 4, 16, 20]))
    net.grow(dice.choice([1, 2, 3]))
    return net.module(net.outputs(), f"moving{seed}")
