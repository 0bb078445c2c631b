"""Which elements stay, along which axes: slices, gathers, repetition, padding and nearest-neighbour resizing.

All of them say, axis by axis, which element of the operand each element of the result is (``chosen``). Where that is
one box of channels it costs nothing; an even box is a slice, repeated pixels are a resize, and anything else a
selection. Nothing is computed, so they are done on codes, as late as possible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from xdsl.ir import SSAValue

from dialects import cnn
from dialects.meaning import kernels
from dialects.onnx import NodeOp, element_of, shape_of
from passes.onnx_to_cnn.context import Conversion, Spec, standard_spec
from passes.onnx_to_cnn.moves import moved
from passes.onnx_to_cnn.values import (
    Codes,
    Dequantised,
    Known,
    KnownCodes,
    Meaning,
    Padded,
    Quant,
    Real,
    Storage,
    Unsupported,
)  # fmt: skip
from passes.onnx_to_cnn.view import View

Picks = Mapping[int, Sequence[int]]
"""For some ONNX axes the index in the operand of every index of the result."""


def apart(r: Conversion, codes: Codes, axes: Sequence[int]) -> Spec:
    """An order of the ONNX axes in memory in which each of ``axes`` has rows, columns or channels to itself.

    The order in which the codes lie if that is one, else the usual one, else one made for it.
    """
    shape = codes.shape
    known = r.spec_of(codes.view) if codes.storage.source is None else None
    for candidate in (known, standard_spec(len(shape))):
        if candidate is None:
            continue
        found = [list(part) for part in candidate]
        for axis in axes:
            if not any(axis in part for part in found):  # of size 1, so it may go where nothing is
                free = [at for at in (3, 2, 1) if not any(shape[other] > 1 for other in found[at])]
                if free:
                    found[free[0]].append(axis)
        if all(
            any(
                axis in part and all(a == axis or (shape[a] == 1 and a not in axes) for a in part) for part in found[1:]
            )
            for axis in axes
        ):
            n, h, w, c = (tuple(part) for part in found)
            return n, h, w, c
    n = (0,) if 0 not in axes else ()
    rest = tuple(axis for axis in range(len(shape)) if axis not in axes and axis not in n)
    if len(axes) > 3 or (len(axes) == 3 and any(shape[axis] > 1 for axis in rest)):
        raise Unsupported("It takes elements along more axes at once than the rows, columns and channels of an image.")
    if len(axes) == 1:
        return n, rest[:-1], rest[-1:], (axes[0],)
    if len(axes) == 2:
        return n, rest, (axes[0],), (axes[1],)
    return n, (axes[0],), (axes[1],), (axes[2],)


def result_view(shape: Sequence[int], spec: Spec, r: Conversion) -> View:
    """A new tensor of an ONNX shape that lies in this order."""
    logical = View.canonical(tuple(shape)).logical
    return View(logical, r.memory(View(logical, ((), (), (), ())), spec))


def chosen(r: Conversion, node: NodeOp, codes: Codes, quant: Quant, picks: Picks) -> Codes:
    """The elements that ``picks`` names."""
    shape = codes.shape
    real = {axis: list(ids) for axis, ids in picks.items() if list(ids) != list(range(shape[axis]))}
    if not real:
        return codes
    if not all(real.values()):
        raise Unsupported("Its result has no elements.")
    spec = apart(r, codes, sorted(real))
    result = tuple(len(real[axis]) if axis in real else n for axis, n in enumerate(shape))
    view = result_view(result, spec, r)
    lists = [next((real[axis] for axis in axes if axis in real), None) for axes in spec[1:]]

    def make() -> SSAValue:
        source = r.place(codes, spec)
        kind = r.type_of(view.dims, quant)
        return r.emit(_choice(source, lists, kind), node, (node,))

    return Codes(Storage(make=make), view, quant)


def _choice(source: SSAValue, lists: Sequence[list[int] | None], kind: cnn.TensorType) -> cnn.CnnOp:
    """The cheapest operation that takes these rows, columns and channels (None: all)."""
    _, *whole = cnn.tensor_of(source).dims
    given = [ids if ids is not None else list(range(size)) for ids, size in zip(lists, whole, strict=True)]
    strides = [_even(ids) for ids in given]
    if None not in strides:
        offsets, steps = [0, *(ids[0] for ids in given)], [1, *(step or 1 for step in strides)]
        properties = {"offsets": cnn.integers(offsets), "steps": cnn.integers(steps)}
        return cnn.SliceOp.build(operands=[source], result_types=[kind], properties=properties)
    repeats = [_repeats(ids, size) for ids, size in zip(given, whole, strict=True)]
    if repeats[2] == 1 and repeats[0] and repeats[1]:
        factors = {"factors": cnn.integers([repeats[0], repeats[1]])}
        return cnn.ResizeOp.build(operands=[source], result_types=[kind], properties=factors)
    names = ("rows", "columns", "channels")
    chosen_lists = {name: cnn.integers(ids) for name, ids in zip(names, lists, strict=True) if ids is not None}
    return cnn.SelectOp.build(operands=[source], result_types=[kind], properties=chosen_lists)


def _even(ids: Sequence[int]) -> int | None:
    """The step of an evenly rising list; None for another."""
    step = ids[1] - ids[0] if len(ids) > 1 else 1
    return step if step > 0 and list(ids) == list(range(ids[0], ids[0] + step * len(ids), step)) else None


def _repeats(ids: Sequence[int], size: int) -> int:
    """How often every element is repeated, one after the other, if an 8-bit field can count it; else 0."""
    factor = len(ids) // size
    return factor if 0 < factor < 256 and list(ids) == [at // factor for at in range(size * factor)] else 0


def _of_operand(r: Conversion, node: NodeOp, picks: Picks, shape: tuple[int, ...] | None = None) -> Meaning:
    """The elements of operand 0 that ``picks`` names, seen in ``shape`` if that is another."""
    result = shape or shape_of(node.outputs[0])
    value = r.operand(node, 0)
    if isinstance(value, Known):
        array = value.array
        for axis, ids in picks.items():
            array = np.take(array, list(ids), axis=axis)
        return Known(array.reshape(result))
    if isinstance(value, KnownCodes):
        raise Unsupported(f"{node.op_type.data} of a quantised constant; fold it before quantising.")

    def move(codes: Sequence[Codes], quant: Quant) -> Codes:
        found = chosen(r, node, codes[0], quant, picks)
        return found if found.shape == result else _seen_as(found, result)

    return moved(r, node, [value], move, result)


def _seen_as(codes: Codes, shape: Sequence[int]) -> Codes:
    view = codes.view.reshaped(shape)
    if view is None:
        raise Unsupported("Its indices have a shape that cuts across the tensor's axes.")
    return codes.seen(view)


def read_slice(r: Conversion, node: NodeOp) -> Meaning:
    """Slice with constant bounds, forwards and backwards."""
    whole = shape_of(node.inputs[0])
    starts, ends = r.integers(node, 1, "starts") or (), r.integers(node, 2, "ends") or ()
    axes = r.integers(node, 3, "axes") or tuple(range(len(starts)))
    steps = r.integers(node, 4) or (1,) * len(starts)
    picks: dict[int, Sequence[int]] = {}
    for start, end, given, step in zip(starts, ends, axes, steps, strict=True):
        axis = given % len(whole)
        n = whole[axis]
        first, last = (at + n if at < 0 else at for at in (start, end))
        low, high = (0, n) if step > 0 else (-1, n - 1)
        picks[axis] = range(min(max(first, low if step > 0 else 0), high), min(max(last, low), high), step)
    return _of_operand(r, node, picks)


def read_gather(r: Conversion, node: NodeOp) -> Meaning:
    """Gather with constant indices, in any order."""
    whole = shape_of(node.inputs[0])
    axis = node.get_int("axis", 0) % len(whole)
    given = r.integers(node, 1)
    if given is None:
        raise Unsupported("Its indices are missing.")
    if any(not -whole[axis] <= index < whole[axis] for index in given):
        raise Unsupported(f"It gathers outside the {whole[axis]} elements of axis {axis}.")
    return _of_operand(r, node, {axis: [index % whole[axis] for index in given]})


def read_split(r: Conversion, node: NodeOp) -> list[Meaning]:
    """Split: one slice per result."""
    axis = node.get_int("axis", 0) % len(shape_of(node.inputs[0]))
    at = 0
    results: list[Meaning] = []
    for output in node.outputs:
        size = shape_of(output)[axis]
        results.append(_of_operand(r, node, {axis: range(at, at + size)}, shape_of(output)))
        at += size
    return results


def read_expand(r: Conversion, node: NodeOp) -> Meaning:
    """Expand and Tile: elements over and over."""
    whole, shape = shape_of(node.inputs[0]), shape_of(node.outputs[0])
    aligned = (1,) * (len(shape) - len(whole)) + whole
    value = r.operand(node, 0)
    if aligned == shape and isinstance(value, Known | KnownCodes):
        return value
    picks = {axis: [i % n for i in range(m)] for axis, (n, m) in enumerate(zip(aligned, shape, strict=True)) if n != m}

    def move(codes: Sequence[Codes], quant: Quant) -> Codes:
        found = codes[0] if aligned == whole else _seen_as(codes[0], aligned)
        return chosen(r, node, found, quant, picks)

    return moved(r, node, [value], move, shape)


def read_resize(r: Conversion, node: NodeOp) -> Meaning:
    """Resize to the nearest neighbour, by any factors, whatever coordinates and rounding say so."""
    if node.get_str("mode", "nearest") != "nearest":
        raise Unsupported(f"It resizes with mode '{node.get_str('mode', '')}'; the machine repeats pixels, or takes "
                          "linear means of neighbours. Export the model with one of these.")  # fmt: skip
    return _of_operand(r, node, {axis: nearest(node, *each) for axis, each in resized_axes(r, node).items()})


def resized_axes(r: Conversion, node: NodeOp) -> dict[int, tuple[int, int, np.float32]]:
    """Input length, output length and scale of the axes that change."""
    whole, shape = shape_of(node.inputs[0]), shape_of(node.outputs[0])
    chosen_axes = [axis % len(whole) for axis in node.get_ints("axes") or range(len(whole))]
    scales, sizes = r.known(node, 2), r.known(node, 3)
    found: dict[int, tuple[int, int, np.float32]] = {}
    for at, axis in enumerate(chosen_axes):
        n, m = whole[axis], shape[axis]
        scale = np.float32(m) / np.float32(n)
        if (sizes is None or not sizes.size) and scales is not None and scales.size == len(chosen_axes):
            scale = np.float32(scales.reshape(-1)[at])
        if n != m or scale != 1:
            found[axis] = n, m, scale
    return found


def coordinates(node: NodeOp, n: int, m: int, scale: np.float32) -> np.ndarray:
    """Where each of ``m`` positions lies among the ``n`` of the operand, in float32 (section 9)."""
    position, half = np.arange(m, dtype=np.float32), np.float32(0.5)
    kind = node.get_str("coordinate_transformation_mode", "half_pixel")
    match kind:
        case "asymmetric":
            return position / scale
        case "half_pixel":
            return (position + half) / scale - half
        case "pytorch_half_pixel":
            return (position + half) / scale - half if m > 1 else position * np.float32(0)
        case "half_pixel_symmetric":
            adjusted = np.float32(m) / (scale * np.float32(n))
            offset = np.float32(n) / np.float32(2) * (np.float32(1) - adjusted)
            return offset + (position + half) / scale - half
        case "align_corners":
            return position * np.float32(n - 1) / np.float32(max(m - 1, 1))
        case _:
            raise Unsupported(f"It resizes with coordinates '{kind}', which are not supported.")


def nearest(node: NodeOp, n: int, m: int, scale: np.float32) -> list[int]:
    """Source index of every position."""
    at, half = coordinates(node, n, m, scale), np.float32(0.5)
    match node.get_str("nearest_mode", "round_prefer_floor"):
        case "round_prefer_floor":
            at = np.ceil(at - half)
        case "round_prefer_ceil":
            at = np.floor(at + half)
        case "ceil":
            at = np.ceil(at)
        case _:
            at = np.floor(at)
    return np.clip(at.astype(np.int64), 0, n - 1).tolist()


def read_pad(r: Conversion, node: NodeOp) -> Meaning:
    """Pad along any axis: with a constant, or with elements of the image."""
    whole, shape = shape_of(node.inputs[0]), shape_of(node.outputs[0])
    amounts = r.integers(node, 1, "pads") or ()
    axes = [axis % len(whole) for axis in r.integers(node, 3) or range(len(whole))]
    before, after = [0] * len(whole), [0] * len(whole)
    for at, axis in enumerate(axes):
        before[axis], after[axis] = amounts[at], amounts[at + len(axes)]
    mode = node.get_str("mode", "constant")
    if mode != "constant":
        return _of_operand(r, node, {axis: _around(mode, n, before[axis], after[axis]) for axis, n in enumerate(whole)})
    given = r.known(node, 2)
    value = float(given.reshape(-1)[0]) if given is not None and given.size else node.get_float("value", 0.0)
    child = r.operand(node, 0)

    def fill(codes: Codes, code: int) -> Codes:
        return _filled(r, node, codes, before, after, code)

    if isinstance(child, Codes):
        return fill(child, int(value) - (128 if element_of(node.inputs[0]) == "ui8" else 0))
    if isinstance(child, Dequantised):
        quant = child.codes.quant
        code = kernels.quantise([value], quant.scale, quant.zero)
        if kernels.dequantise(code, quant.scale, quant.zero)[0] == np.float32(value):
            made = fill(child.codes, int(code[0]))
            return Dequantised(made.shape, (node,), made)
    if not isinstance(child, Real):
        r.codes(child, node)
        raise Unsupported("It pads a tensor that is not quantised.")
    return Padded(shape, (*child.trail, node), (child,), lambda codes, _quant: codes[0], value, fill)


def _around(mode: str, n: int, before: int, after: int) -> list[int]:
    """The element at every position of an axis padded by itself; negative pads cut."""
    cut = range(max(0, -before), n - max(0, -after))
    if not cut:
        raise Unsupported("It cuts an axis away altogether.")
    if mode not in ("reflect", "edge", "wrap"):
        raise Unsupported(f"It pads with mode '{mode}', which ONNX does not have.")
    return np.pad(np.asarray(cut), (max(0, before), max(0, after)), mode=mode).tolist()


def _filled(r: Conversion, node: NodeOp, codes: Codes, before: list[int], after: list[int], code: int) -> Codes:
    """Codes with ``code`` around them; negative pads cut."""
    cuts = {axis: range(max(0, -b), n - max(0, -a)) for axis, (n, b, a) in
            enumerate(zip(codes.shape, before, after, strict=True)) if b < 0 or a < 0}  # fmt: skip
    codes = chosen(r, node, codes, codes.quant, cuts)
    grown = [(max(0, b), max(0, a)) for b, a in zip(before, after, strict=True)]
    axes = [axis for axis, pair in enumerate(grown) if any(pair)]
    if not axes:
        return codes
    spec = apart(r, codes, axes)
    shape = tuple(n + b + a for n, (b, a) in zip(codes.shape, grown, strict=True))
    view = result_view(shape, spec, r)
    pads = [next((grown[axis] for axis in part if axis in axes), (0, 0)) for part in spec[1:]]

    def make() -> SSAValue:
        return _surrounded(r, node, r.place(codes, spec), pads, code, codes.quant)

    return Codes(Storage(make=make), view, codes.quant)


def _surrounded(r: Conversion, node: NodeOp, value: SSAValue, pads: Sequence[tuple[int, int]], code: int, quant: Quant
                ) -> SSAValue:  # fmt: skip
    """Rows and columns by a pad, channels by a concatenation with constants."""
    n, h, w, c = cnn.tensor_of(value).dims
    (top, bottom), (left, right), (first, last) = pads
    if top + bottom + left + right:
        h, w = h + top + bottom, w + left + right
        properties = {"pads": cnn.integers([top, bottom, left, right])}
        if code != quant.zero:
            properties["value"] = cnn.integer(code)  # pyright: ignore[reportArgumentType]
        op = cnn.PadOp.build(operands=[value], result_types=[r.type_of((n, h, w, c), quant)], properties=properties)
        value = r.emit(op, node, (node,))
    if not first + last:
        return value
    parts = [r.filled((n, h, w, count), code, quant) if count else None for count in (first, last)]
    values = [part for part in (parts[0], value, parts[1]) if part is not None]
    op = cnn.ConcatOp.build(operands=[values], result_types=[r.type_of((n, h, w, c + first + last), quant)])
    return r.emit(op, node, (node,))
