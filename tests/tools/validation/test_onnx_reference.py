"""How a tensor of the graph lies in a layer: told where the sizes tell, and left untold where two orders fit."""

from __future__ import annotations

import pytest

from tools.validation.onnx_reference import _order  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    ("shape", "dims", "order"),
    [
        ((1, 3, 8, 6), (1, 8, 6, 3), (0, 2, 3, 1)),
        ((1, 4, 4, 4), (1, 4, 4, 4), (0, 2, 3, 1)),  # the usual order, whatever else fits
        ((1, 3, 8, 6), (1, 1, 48, 3), (0, 2, 3, 1)),  # rows and columns in one
        ((1, 6, 8), (1, 1, 8, 6), (0, 2, 1)),
        ((1, 10), (1, 1, 1, 10), (0, 1)),
        ((62, 256), (1, 1, 256, 62), (1, 0)),
        ((20, 1, 4096), (1, 1, 4096, 20), (1, 2, 0)),
        ((40, 40), (1, 1, 40, 40), None),
        ((1, 8, 40, 15), (1, 320, 15, 1), None),  # heads in rows, or rows in heads
        ((1, 8, 40, 15), (1, 40, 1, 120), None),
        ((2, 3, 5), (1, 1, 1, 7), None),
        ((1, 5), (1, 1, 1, 7), None),
    ],
)
def test_order_of_axes(shape: tuple[int, ...], dims: tuple[int, ...], order: tuple[int, ...] | None) -> None:
    assert _order(shape, dims) == order
