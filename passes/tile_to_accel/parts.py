"""A ``tile.conv`` read once: what does not change from turn to turn; reading it from the op in every turn is slow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xdsl.ir import SSAValue

from dialects import tile
from dialects.cnn_attributes import FLOAT_BYTES


@dataclass(frozen=True)
class ConvParts:
    """Operands and attributes of a ``tile.conv``, as plain data; None for what it has not."""

    output: SSAValue
    input: SSAValue
    half: SSAValue
    params: SSAValue | None
    residual: SSAValue | None
    table: SSAValue | None
    out: tile.Slice
    channels: tile.Slice
    params_offset: tile.Slice | None
    residual_offset: tile.Slice | None
    requantize: tile.Requantize | None
    sum: tile.Sum | None
    window: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    groups: int
    first: bool
    pad_value: int
    is_float: bool

    @property
    def outputs(self) -> int:
        """Output channels; the result has four bytes of each where it is float."""
        return self.out.sizes[2] // (FLOAT_BYTES if self.is_float else 1)

    @classmethod
    def of(cls, op: tile.ConvOp) -> ConvParts:
        def data(attribute: Any) -> Any:
            return attribute.data if attribute is not None else None

        return cls(
            op.output,
            op.input,
            op.half,
            op.params,
            op.residual,
            op.table,
            op.out.data,
            op.channels.data,
            data(op.params_offset),
            data(op.residual_offset),
            data(op.requantize),
            data(op.sum),
            op.window.values,
            op.groups.value.data,
            bool(op.first.value.data),
            op.pad_value.value.data,
            op.is_float,
        )
