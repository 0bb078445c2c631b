"""What a plan's constants put into the parameters of its channels: every float32 there that is used is a number.

A scale of NaN or infinity has no law, and only here are its value, its channel and the line that uses it at hand. Rows
that come from elsewhere than constants are the machine's to read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dialects.blobs import Array
from dialects.recon import BlobAttr
from passes.tile_to_accel.emission import Emission
from passes.tile_to_accel.plan_state import PlanBuffer
from sim.machine.isa import PARAMETER_BYTES

SCALE, BOTH = slice(1, 2), slice(0, 2)
"""The float32 of a row: behind a convolution's int32 bias, or affine's scale and offset."""


def follow(
    buffer: PlanBuffer, value: BlobAttr | None, inner: Sequence[int], outer: Sequence[int], shape: Sequence[int],
    sizes: Sequence[int],
) -> None:  # fmt: skip
    """Keep what a load puts at ``inner`` of a buffer of Kx8 bytes: the box at ``outer`` of a constant of ``shape``
    bytes, or of a region of which nothing is known."""
    if len(buffer.dims) != 2 or buffer.dims[1] != PARAMETER_BYTES or buffer.ring:
        return
    if buffer.parameters is None:
        buffer.parameters = np.zeros(buffer.dims, np.uint8)
    content: Array | int = 0
    if value is not None and value.data.data is not None:
        (row, column), (rows, columns) = outer, sizes
        whole = np.frombuffer(memoryview(value.data.buffer()), np.uint8).reshape(tuple(shape))
        content = whole[row : row + rows, column : column + columns]
    buffer.parameters[inner[0] : inner[0] + sizes[0], inner[1] : inner[1] + sizes[1]] = content


def check(e: Emission, buffer: PlanBuffer | None, first: int, count: int, columns: slice) -> None:
    """Complain of the first row, of ``count`` from ``first`` on, that holds no number in its float32 ``columns``."""
    if buffer is None or buffer.parameters is None:
        return
    numbers = buffer.parameters.view(np.float32)[first : first + count, columns]
    wrong = np.argwhere(~np.isfinite(numbers))
    if len(wrong):
        row, column = wrong[0].tolist()
        e.complain(
            f"row {first + row} of its parameters {buffer} holds {numbers[row, column]}, and scales and offsets are "
            "finite float32 numbers."
        )
