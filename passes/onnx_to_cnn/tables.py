"""What settling one value and settling a pair have in common: bounds, and functions of one int8 tensor as tables."""

from __future__ import annotations

from xdsl.dialects.builtin import StringAttr

from dialects import cnn
from dialects.blobs import to_blob
from dialects.meaning import kernels
from passes.onnx_to_cnn.context import Conversion, last_compute
from passes.onnx_to_cnn.values import Codes, Quant, Trail

Bounds = tuple[int, int]
FULL: Bounds = (-128, 127)


def clamp_of(bounds: Bounds) -> cnn.ClampAttr:
    return cnn.ClampAttr.of(*bounds)


def looked_up(r: Conversion, codes: Codes, table: kernels.Int8, quant: Quant, label: str, trail: Trail) -> Codes:
    """The codes behind a table of 256, written once per tensor and table."""
    key = ("table", table.tobytes(), quant.scale, quant.zero)
    if key not in codes.memo:
        value, view = r.anywhere(codes)
        op = cnn.TableOp.build(
            operands=[value],
            result_types=[r.type_of(view.dims, quant)],
            properties={"table": to_blob(table), "function": StringAttr(label)},
        )
        name = label if label in ("requantise", "clamp") else last_compute(trail)
        codes.memo[key] = r.made(r.emit(op, name, trail), view, quant)
    return codes.memo[key]
