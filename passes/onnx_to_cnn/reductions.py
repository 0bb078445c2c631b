"""Reading means and normalisations: AveragePool, GlobalAveragePool, ReduceMean, LRN."""

from __future__ import annotations

from dialects.onnx import NodeOp, shape_of
from passes.common.windows import window_of
from passes.onnx_to_cnn.context import Conversion, Spec
from passes.onnx_to_cnn.values import Meaning, Normalised, Pool, Unsupported
from passes.onnx_to_cnn.view import View


def read_average_pool(r: Conversion, node: NodeOp) -> Meaning:
    """AveragePool; one that covers the whole image is the mean over it."""
    codes = r.codes(r.operand(node, 0), node)
    shape = codes.shape
    if len(shape) not in (3, 4):
        raise Unsupported(f"It pools over {len(shape) - 2} axes; the machine pools over one or two.")
    window = window_of(node, shape[2:], node.get_ints("kernel_shape") or ())
    if any(d != 1 for d in window.dilations):
        raise Unsupported("It averages with dilation; the machine does not.")
    counted = bool(node.get_int("count_include_pad", 0))
    if counted and any(window.overhang):
        raise Unsupported("Its ceil_mode lets a window reach beyond counted pads; make the pads explicit.")
    result = (*shape[:2], *window.outputs)
    whole = all(
        m == 1 and k - b >= n
        for m, k, b, n in zip(window.outputs, window.kernel, window.before, shape[2:], strict=True)
    )
    if whole and not (counted and any(window.pads)):
        return Pool(result, (node,), codes, lambda: r.place(codes), None, False, View.canonical(result))
    lead, none = ((), ()) if len(shape) == 4 else ((1,), (0,))
    end = tuple(a + o for a, o in zip(window.after, window.overhang, strict=True))
    (top, left), (bottom, right) = (*none, *window.before), (*none, *end)
    sides = ((*lead, *window.kernel), (top, bottom, left, right), (*lead, *window.strides), (1, 1))
    return Pool(result, (node,), codes, lambda: r.place(codes), sides, counted, View.canonical(result))


def read_global_average_pool(r: Conversion, node: NodeOp) -> Meaning:
    """GlobalAveragePool."""
    codes = r.codes(r.operand(node, 0), node)
    result = shape_of(node.outputs[0])
    return Pool(result, (node,), codes, lambda: r.place(codes), None, False, View.canonical(result))


def read_reduce_mean(r: Conversion, node: NodeOp) -> Meaning:
    """ReduceMean over two axes (or one) that are not the batch: those become rows and columns."""
    codes = r.codes(r.operand(node, 0), node)
    rank = len(codes.shape)
    axes = r.integers(node, 1, "axes") or tuple(range(rank))
    reduced = sorted(axis % rank for axis in axes)
    kept = [axis for axis in range(1, rank) if axis not in reduced]
    if 0 in reduced or len(reduced) not in (1, 2) or len(kept) != 1:
        raise Unsupported(f"It takes the mean over axes {reduced}; the machine takes it over rows and columns.")
    spec: Spec = ((0,), tuple(reduced[:-1]), tuple(reduced[-1:]), tuple(kept))
    result = shape_of(node.outputs[0])
    logical = View.canonical(result).logical
    keep = node.get_int("keepdims", 1)
    channel = logical[kept[0]] if keep else logical[1]
    return Pool(result, (node,), codes, lambda: r.place(codes, spec), None, False,
                View(logical, (logical[0], (), (), channel)))  # fmt: skip


def read_lrn(r: Conversion, node: NodeOp) -> Meaning:
    """Local response normalisation over channels."""
    codes = r.codes(r.operand(node, 0), node)
    values = (node.get_float("alpha", 1e-4), node.get_float("beta", 0.75), node.get_float("bias", 1.0))
    return Normalised(codes.shape, (node,), codes, node.get_int("size", 1), *values)
