"""A QuantizeLinear of a computed tensor with a scale per channel, as it stands before depthwise convolutions.

Choices. The machine rounds a convolution's sums by a factor per channel anyway, so a tensor whose channels have scales
of their own, and one zero point, costs nothing: it is stored under a power of two in their place (``PerChannel``), by
which products of scales stay what they are (arithmetic page, section 3). A convolution of one channel per group takes
the scales back into its own factors; whoever mixes channels requantises by an affine step. Zero points that differ, and
results of anything but a convolution, have no such form: there one quantiser for all channels is put in, wide enough
for each, and noted.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from dialects.meaning import kernels
from passes.onnx_to_cnn import products
from passes.onnx_to_cnn.context import Conversion
from passes.onnx_to_cnn.functions import quantiser_for
from passes.onnx_to_cnn.settle import settle
from passes.onnx_to_cnn.tables import FULL, Bounds
from passes.onnx_to_cnn.values import Clip, Codes, PerChannel, Quant, Real, Sums, Trail, Unsupported


def settle_channels(r: Conversion, value: Real, meant: PerChannel, trail: Trail) -> Codes:
    """The codes of a value under scales per channel; Unsupported where they have no form and none may be put in."""
    key = (value, meant.scale.tobytes(), meant.zero.tobytes())
    if key not in r.by_channel:
        r.by_channel[key] = _settled(r, value, meant, trail)
    return r.by_channel[key]


def _settled(r: Conversion, value: Real, meant: PerChannel, trail: Trail) -> Codes:
    quant, scaled = _one_power(value, meant)
    if scaled is not None:
        made = settle(r, scaled[0], quant, scaled[1], trail)
        return replace(made, meant=meant, memo={})
    if r.exact:
        raise Unsupported(
            "A computed tensor has one scale per channel; the machine needs one scale for a whole tensor."
        )
    low, high = ((end - meant.zero) * meant.scale.astype(np.float64) for end in FULL)
    quant = quantiser_for(float(low.min()), float(high.max()))
    made = settle(r, value, quant, FULL, trail)
    r.put_in.append((made, f"in place of {trail[-1].label}, which has a scale per channel, step {quant.scale:.3g}"))
    return replace(made, meant=replace(meant, exact=False), memo={})


def _one_power(value: Real, meant: PerChannel) -> tuple[Quant, tuple[Sums, Bounds] | None]:
    """A power of two in the place of the scales, and a convolution whose factors give codes of these scales under it;
    None where there is no such."""
    quant = Quant(2.0 ** math.ceil(math.log2(float(meant.scale.max()))), int(meant.zero[0]))
    bounds = FULL
    while isinstance(value, Clip):
        ends = [_code(value.low, meant), _code(value.high, meant)]
        if any(np.unique(end).size > 1 for end in ends):
            return quant, None
        lo, hi = (min(max(int(end[0]), bounds[0]), bounds[1]) for end in ends)
        value, bounds = value.child, (lo, hi)
    if not isinstance(value, Sums) or value.spread is not None or value.count > 1 or np.unique(meant.zero).size > 1:
        return quant, None
    if value.channel_axis != meant.axis or value.weights.shape[0] != meant.scale.size:
        return quant, None
    weights, scale, bias = products.settled(value)
    sx = np.float32(value.input_scale)
    wanted = ((sx * scale).astype(np.float32) / meant.scale).astype(np.float32) * np.float32(quant.scale)
    found = (wanted / sx).astype(np.float32)
    return quant, (replace(value, weights=weights, weight_scale=found, bias=bias, factor=None, offset=None), bounds)


def _code(number: float, meant: PerChannel) -> npt.NDArray[np.int64]:
    """A bound under each channel's quantisation."""
    return np.asarray([int(kernels.quantise([number], float(scale), int(zero))[0])
                       for scale, zero in zip(meant.scale, meant.zero, strict=True)])  # fmt: skip
