"""What roundings before a layer's own may add to it, and that nothing is allowed beyond."""

from __future__ import annotations

import pytest

from tools.validation.slack import Roundings, carried

LAYERS = {
    "conv": Roundings(0.25, True, ()),
    "slice": Roundings(0.0, False, (("conv", 1.0),)),
    "concat": Roundings(0.0, False, (("slice", 1.0), ("other", 3.0))),
    "other": Roundings(0.0, True, ()),
}


@pytest.mark.parametrize(
    ("layer", "seen", "steps"),
    [
        ("conv", ["conv"], 0.25),
        ("slice", ["conv", "slice"], 0.0),  # what is seen was judged itself
        ("slice", ["slice"], 1.25),  # a tie of the convolution, and what its bias adds
        ("concat", ["concat", "conv", "other"], 0.0),
        ("concat", ["concat", "other"], 1.25),  # through a movement that nobody sees
        ("concat", ["concat", "conv"], 3.0),
        ("concat", ["concat"], 3.0),  # of two operands each element has one
    ],
)
def test_ties_are_carried_from_layers_that_nobody_sees(layer: str, seen: list[str], steps: float) -> None:
    assert carried(layer, seen, LAYERS) == steps
