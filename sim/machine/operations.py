"""The operations of the vector unit, one row each: everything that is true of an operation, stated once.

The clock, the proof, the verifiers, the planner, the meanings and the manual take the *fact* from its row and reason
about it each for itself; two of them that agree have not merely read the same conclusion. To add an operation: a row
here, a handler in ``sim.vector_unit`` and a meaning in ``dialects.meaning.steps``. A fact that is stated wrongly, or of
an operation that nobody draws, fails a test (``tests/test_operations.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

from sim.machine.errors import EncodingError

READS = {
    "box": "the pixels of the output's box, one for one",
    "window": "the pixels that the windows of the output's box meet, padding not counted",
    "image": "all iy × ix pixels of the operand",
    "repeated": "pixel (y div sy, x div sx) for output pixel (y, x)",
}
"""What an operation reads of its first operand, channel for channel."""

READS_FIELDS = {
    "box": (),
    "window": ("fy", "fx", "sy", "sx", "top", "bottom", "left", "right"),
    "image": ("iy", "ix"),
    "repeated": ("sy", "sx"),
}
"""The fields that say where what an operation reads lies."""

SECONDS = {
    "none": "no second operand",
    "box": "a second operand of the output's box",
    "box or pixel": "a second operand of the output's box, or one pixel of it for all (b_broadcast), or one row or "
    "column where its stride is 0",
}
SIDES = {
    "none": "no side data",
    "params": "8 bytes per output channel at params",
    "table": "256 bytes at table",
}
SIZES = {
    "unused": "size is not read",
    "flag": "size is 1 or anything else",
    "count": "size is at least 1",
    "divisor": "size divides the channels",
}
CHANNELS = {"own": "a channel of the result depends on that channel alone", "all": "it depends on all channels"}

_OPERAND = ("base", "row_stride", "pixel_stride", "ring", "row")
_EXTENT = ("op", "oy", "ox", "channels")


@dataclass(frozen=True)
class Operation:
    """One row: ``numbers`` are the fields it computes with beyond those that say where its operands lie.

    ``reads``, ``second``, ``side``, ``size`` and ``channels`` are keys of the tables above, which say what they mean.
    """

    name: str
    doc: str
    numbers: tuple[str, ...] = ()
    reads: str = "box"
    second: str = "none"
    side: str = "none"
    size: str = "unused"
    channels: str = "own"

    @property
    def binary(self) -> bool:
        """Whether it has a second operand."""
        return self.second != "none"

    @property
    def pixel(self) -> bool:
        """Whether its second operand may be one pixel for all."""
        return self.second == "box or pixel"

    @property
    def windowed(self) -> bool:
        """Whether a plan gives it a window: its kernel and strides, or factors as strides."""
        return self.reads in ("window", "repeated")

    @property
    def in_place(self) -> bool:
        """Whether the result may take an operand's memory: no element depends on operands' elements elsewhere."""
        return self.reads == "box" and self.channels == "own"

    @property
    def clamps(self) -> bool:
        """Whether a clamp may follow it at no cost: it has the bounds itself."""
        return {"lo", "hi"} <= set(self.numbers)

    @property
    def fields(self) -> frozenset[str]:
        """Every field of the instruction it reads."""
        operands = ["a", "out", *(["b"] if self.binary else [])]
        places = [f"{operand}.{part}" for operand in operands for part in _OPERAND]
        extra = [*(["b_broadcast"] if self.pixel else []), *([self.side] if self.side != "none" else [])]
        extra += ["size"] if self.size != "unused" else []
        return frozenset((*_EXTENT, *places, *extra, *READS_FIELDS[self.reads], *self.numbers))

    @property
    def facts(self) -> str:
        """The row for people, one sentence."""
        parts = [f"Reads {READS[self.reads]}"]
        parts += [SECONDS[self.second]] if self.binary else []
        parts += [SIDES[self.side]] if self.side != "none" else []
        parts += [SIZES[self.size]] if self.size != "unused" else []
        parts += [CHANNELS[self.channels]] if self.channels != "own" else []
        return "; ".join(parts) + "."


_SCALED = ("ra", "rb", "za", "zero_point", "lo", "hi")

OPERATIONS = (
    Operation("copy", "Codes as they are, or requantised.", _SCALED),
    Operation(
        "add",
        "The sum of two tensors, or of a tensor and one pixel.",
        ("ra", "rb", "fix", "lo", "hi"),
        second="box or pixel",
    ),
    Operation(
        "mul",
        "The product of two tensors, or of a tensor and one pixel.",
        ("ra", "za", "zb", "zero_point", "lo", "hi"),
        second="box or pixel",
    ),
    Operation("max_pool", "The greatest code of each window.", reads="window"),
    Operation("average_pool", "The mean of each window.", _SCALED, reads="window", size="flag"),
    Operation("global_average_pool", "The mean of all pixels.", _SCALED, reads="image"),
    Operation("affine", "A factor and an offset per channel.", ("zero_point", "lo", "hi"), side="params"),
    Operation("table", "Any function of one int8.", side="table"),
    Operation("resize", "Nearest neighbour by whole factors.", reads="repeated"),
    Operation(
        "lrn",
        "Local response normalisation.",
        (*_SCALED, "alpha", "beta", "bias"),
        size="count",
        channels="all",
    ),
    Operation("shuffle", "Channels as [size, C/size] transposed.", size="divisor", channels="all"),
    Operation("max", "The greater of two codes.", ("lo", "hi"), second="box or pixel"),
    Operation("min", "The lesser of two codes.", ("lo", "hi"), second="box or pixel"),
)
"""Every operation by its number."""

BY_NAME = {row.name: row for row in OPERATIONS}

NAMES = tuple(BY_NAME)


def operation(name: str) -> Operation:
    """The row of an operation; EncodingError for a name that no row has."""
    if name not in BY_NAME:
        raise EncodingError(f"The vector unit has no operation '{name}'; it has {', '.join(BY_NAME)}.")
    return BY_NAME[name]
