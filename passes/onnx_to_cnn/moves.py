"""Reading operators that move elements: nothing is computed, and most of them cost nothing.

Reshape and Transpose (and Flatten, Squeeze, Unsqueeze, DepthToSpace, SpaceToDepth in their terms) only change the view.
The others become operations on codes, as late as possible: what only leads to the model's end is left to the host.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from xdsl.ir import SSAValue

from dialects import cnn
from dialects.meaning import kernels
from dialects.onnx import NodeOp, element_of, shape_of
from passes.common.windows import window_of
from passes.onnx_to_cnn.context import Reader, Spec
from passes.onnx_to_cnn.values import (
    Codes,
    Dequantised,
    Known,
    KnownCodes,
    Meaning,
    Moved,
    Mover,
    Padded,
    Quant,
    Raw,
    Real,
    Storage,
    Unsupported,
)
from passes.onnx_to_cnn.view import View

Make = Callable[[], SSAValue]


def moved(r: Reader, node: NodeOp, children: Sequence[Meaning], move: Mover, shape: tuple[int, ...]) -> Meaning:
    """The value after a movement; done on codes now if there are any, else when they are settled."""
    if all(isinstance(child, Codes) for child in children):
        codes = [child for child in children if isinstance(child, Codes)]
        if any(not c.quant.same(codes[0].quant) for c in codes):
            raise Unsupported("Its operands have different scales or zero points and no DequantizeLinear before them.")
        return move(codes, codes[0].quant)
    plain = [child for child in children if isinstance(child, Dequantised)]
    if len(plain) == len(children) and all(c.codes.quant.same(plain[0].codes.quant) for c in plain):
        made = move([c.codes for c in plain], plain[0].codes.quant)
        return Dequantised(made.shape, (node,), made)
    reals: list[Real] = []
    for child in children:
        if not isinstance(child, Real):
            r.codes(child, node)
            raise Unsupported("It mixes quantised and plain tensors.")
        reals.append(child)
    trail = tuple(dict.fromkeys(step for real in reals for step in real.trail))
    return Moved(shape, (*trail, node), tuple(reals), move)


def _seen(r: Reader, node: NodeOp, change: Callable[[View], View | None]) -> Meaning:
    """A movement that only changes the view."""
    value = r.operand(node, 0)
    shape = shape_of(node.outputs[0])
    if isinstance(value, Known):
        return Known(value.array.reshape(shape) if node.op_type.data != "Transpose" else
                     value.array.transpose(node.get_ints("perm")))  # fmt: skip
    if isinstance(value, KnownCodes):
        return _known_codes(node, value, shape)

    def checked(view: View) -> View:
        if (made := change(view)) is None:
            raise Unsupported(f"It reshapes {list(view.shape)} to {list(shape)}, which cuts across the axes of the "
                              "tensor in memory; the machine has no operation for that.")  # fmt: skip
        return made

    if isinstance(value, Raw):
        return Raw(value.source, checked(value.view), value.unsigned)
    return moved(r, node, [value], lambda codes, _quant: codes[0].seen(checked(codes[0].view)), shape)


def _known_codes(node: NodeOp, value: KnownCodes, shape: tuple[int, ...]) -> KnownCodes:
    if node.op_type.data == "Transpose":
        order = node.get_ints("perm") or tuple(reversed(range(value.codes.ndim)))
        axis = order.index(value.axis % value.codes.ndim)
        return KnownCodes(value.codes.transpose(order), value.scale, value.zero, axis, value.element)
    axis = 0
    if value.scale.size > 1:
        before = math.prod(value.codes.shape[: value.axis % value.codes.ndim])
        ends = [math.prod(shape[:at]) for at in range(len(shape))]
        matches = [at for at, n in enumerate(shape) if ends[at] == before and n == value.scale.size]
        if not matches:
            raise Unsupported("It reshapes weights across the axis of their scales.")
        axis = matches[0]
    return KnownCodes(value.codes.reshape(shape), value.scale, value.zero, axis, value.element)


def read_reshape(r: Reader, node: NodeOp) -> Meaning:
    """Reshape, Flatten, Squeeze, Unsqueeze, Identity: the inferred result shape says it all."""
    shape = shape_of(node.outputs[0])
    return _seen(r, node, lambda view: view.reshaped(shape))


def read_transpose(r: Reader, node: NodeOp) -> Meaning:
    """Transpose."""
    order = node.get_ints("perm") or tuple(reversed(range(len(shape_of(node.inputs[0])))))
    return _seen(r, node, lambda view: view.transposed(order))


def read_depth_to_space(r: Reader, node: NodeOp) -> Meaning:
    """DepthToSpace and SpaceToDepth as Reshape-Transpose-Reshape."""
    n, c, h, w = shape_of(node.inputs[0])
    b = node.get_int("blocksize", 1)
    if node.op_type.data == "SpaceToDepth":
        split, order = (n, c, h // b, b, w // b, b), (0, 3, 5, 1, 2, 4)
    elif node.get_str("mode", "DCR") == "CRD":
        split, order = (n, c // (b * b), b, b, h, w), (0, 1, 4, 2, 5, 3)
    else:
        split, order = (n, b, b, c // (b * b), h, w), (0, 3, 4, 1, 5, 2)
    shape = shape_of(node.outputs[0])

    def change(view: View) -> View | None:
        first = view.reshaped(split)
        return first.transposed(order).reshaped(shape) if first is not None else None

    return _seen(r, node, change)


def _lazy(r: Reader, make: Make, view: View, quant: Quant) -> Codes:
    node = r.current

    def made() -> SSAValue:
        r.current, before = node, r.current
        value = make()
        r.current = before
        return value

    return Codes(Storage(make=made, node=node), view, quant)


def _spec_for(r: Reader, codes: Codes, last: int) -> Spec:
    """An order of the ONNX axes with ``last`` alone in C; the order in memory if that is one."""
    spec = r.spec_of(codes.view)
    if spec is not None and spec[3] in ((last,), ()) and codes.storage.source is None:
        return (spec[0], spec[1], spec[2], (last,))
    rest = [axis for axis in range(len(codes.shape)) if axis != last]
    return tuple(rest[:1]), tuple(rest[1:-1]), tuple(rest[-1:] if len(rest) > 1 else ()), (last,)


def read_concat(r: Reader, node: NodeOp) -> Meaning:
    """Concat along any axis; that axis is brought into C."""
    rank = len(shape_of(node.outputs[0]))
    axis = node.get_int("axis", 0) % rank
    shape = shape_of(node.outputs[0])

    def move(codes: Sequence[Codes], quant: Quant) -> Codes:
        spec = _spec_for(r, codes[0], axis)
        logical = View.canonical(shape).logical
        view = View(logical, r.memory(View(logical, ((), (), (), ())), spec))

        def make() -> SSAValue:
            values = [r.place(c, spec) for c in codes]
            op = cnn.ConcatOp.build(operands=[values], result_types=[r.type_of(view.dims, quant)])
            return r.emit(op, node, (node,))

        return _lazy(r, make, view, quant)

    return moved(r, node, [r.operand(node, i) for i in range(len(node.inputs))], move, shape)


def _box(r: Reader, node: NodeOp, codes: Codes, quant: Quant, offsets: Sequence[int], sizes: Sequence[int],
         steps: Sequence[int]) -> Codes:  # fmt: skip
    """A strided box in terms of ONNX axes."""
    if tuple(sizes) == codes.shape:
        return codes
    spec = r.spec_of(codes.view) if codes.storage.source is None else None
    if spec is None or any(len(axes) > 1 for axes in spec):
        spec = _spec_for(r, codes, 1 if len(sizes) > 1 else 0)
    order = spec
    logical = View.canonical(tuple(sizes)).logical
    view = View(logical, r.memory(View(logical, ((), (), (), ())), order))

    def along(values: Sequence[int], absent: int) -> list[int]:
        return [values[axes[0]] if len(axes) == 1 else absent for axes in order]

    def make() -> SSAValue:
        if any(len(axes) > 1 and any(sizes[a] != codes.shape[a] for a in axes) for axes in order):
            raise Unsupported("It slices an axis that shares rows of memory with another.")
        op = cnn.SliceOp.build(
            operands=[r.place(codes, order)],
            result_types=[r.type_of(view.dims, quant)],
            properties={"offsets": cnn.integers(along(offsets, 0)), "steps": cnn.integers(along(steps, 1))},
        )
        return r.emit(op, node, (node,))

    return _lazy(r, make, view, quant)


def read_slice(r: Reader, node: NodeOp) -> Meaning:
    """Slice with constant bounds and positive steps."""
    whole = shape_of(node.inputs[0])
    starts, ends = r.integers(node, 1, "starts") or (), r.integers(node, 2, "ends") or ()
    axes = r.integers(node, 3, "axes") or tuple(range(len(starts)))
    steps = r.integers(node, 4) or (1,) * len(starts)
    if any(step < 1 for step in steps):
        raise Unsupported("It slices backwards; only positive steps are supported.")
    offsets, strides = [0] * len(whole), [1] * len(whole)
    for start, _end, axis, step in zip(starts, ends, axes, steps, strict=True):
        n = whole[axis]
        offsets[axis] = min(max(start + n if start < 0 else start, 0), n)
        strides[axis] = step
    sizes = shape_of(node.outputs[0])
    return moved(r, node, [r.operand(node, 0)],
                 lambda codes, quant: _box(r, node, codes[0], quant, offsets, sizes, strides), sizes)  # fmt: skip


def read_gather(r: Reader, node: NodeOp) -> Meaning:
    """Gather with constant, evenly spaced, rising indices is a slice."""
    whole = shape_of(node.inputs[0])
    axis = node.get_int("axis", 0) % len(whole)
    given = r.integers(node, 1) or (0,)
    indices: list[int] = [i + whole[axis] if i < 0 else i for i in given]
    step = indices[1] - indices[0] if len(indices) > 1 else 1
    if step < 1 or any(b - a != step for a, b in pairwise(indices)):
        raise Unsupported("It gathers elements in no even order; evenly spaced, rising indices are supported.")
    shape = shape_of(node.outputs[0])
    sizes = tuple(len(indices) if at == axis else n for at, n in enumerate(whole))
    offsets = [indices[0] if at == axis else 0 for at in range(len(whole))]
    strides = [step if at == axis else 1 for at in range(len(whole))]

    def move(codes: Sequence[Codes], quant: Quant) -> Codes:
        box = _box(r, node, codes[0], quant, offsets, sizes, strides)
        view = box.view.reshaped(shape)
        if view is None:
            raise Unsupported("Its indices have a shape that is not supported.")
        return box.seen(view)

    return moved(r, node, [r.operand(node, 0)], move, shape)


def read_split(r: Reader, node: NodeOp) -> list[Meaning]:
    """Split: one slice per result."""
    whole = shape_of(node.inputs[0])
    axis = node.get_int("axis", 0) % len(whole)
    at = 0
    results: list[Meaning] = []
    for output in node.outputs:
        sizes = shape_of(output)
        offsets = [at if a == axis else 0 for a in range(len(whole))]

        def move(codes: Sequence[Codes], quant: Quant, offsets: list[int] = offsets,
                 sizes: tuple[int, ...] = sizes) -> Codes:  # fmt: skip
            return _box(r, node, codes[0], quant, offsets, sizes, [1] * len(whole))

        results.append(moved(r, node, [r.operand(node, 0)], move, sizes))
        at += sizes[axis]
    return results


def read_max_pool(r: Reader, node: NodeOp) -> Meaning:
    """MaxPool; the machine's padding never wins either."""
    shape = shape_of(node.inputs[0])
    if len(shape) not in (3, 4):
        raise Unsupported(f"It pools over {len(shape) - 2} axes; the machine pools over one or two.")
    if len(node.outputs) > 1 and node.outputs[1].first_use is not None:
        raise Unsupported("Its second result, the indices, is used; the machine does not make them.")
    window = window_of(node, shape[2:], node.get_ints("kernel_shape") or ())
    lead, none = ((), ()) if len(shape) == 4 else ((1,), (0,))
    end = tuple(a + o for a, o in zip(window.after, window.overhang, strict=True))
    (top, left), (bottom, right) = (*none, *window.before), (*none, *end)
    attribute = cnn.WindowAttr.of((*lead, *window.kernel), (top, bottom, left, right), (*lead, *window.strides),
                                  (*lead, *window.dilations))  # fmt: skip
    result = (*shape[:2], *window.outputs)

    def move(codes: Sequence[Codes], quant: Quant) -> Codes:
        view = View.canonical(result)

        def make() -> SSAValue:
            op = cnn.MaxPool2dOp.build(operands=[r.place(codes[0])], result_types=[r.type_of(view.dims, quant)],
                                       properties={"window": attribute})  # fmt: skip
            return r.emit(op, node, (node,))

        return _lazy(r, make, view, quant)

    return moved(r, node, [r.operand(node, 0)], move, result)


def read_resize(r: Reader, node: NodeOp) -> Meaning:
    """Resize to the nearest neighbour by whole factors, whatever coordinates and rounding say so."""
    whole, shape = shape_of(node.inputs[0]), shape_of(node.outputs[0])
    if node.get_str("mode", "nearest") != "nearest":
        raise Unsupported(f"It resizes with mode '{node.get_str('mode', '')}'; the machine repeats pixels. Export the "
                          "model with nearest-neighbour resizing.")  # fmt: skip
    scales, sizes = r.known(node, 2), r.known(node, 3)
    factors: list[int] = []
    for axis, (n, m) in enumerate(zip(whole, shape, strict=True)):
        scale = np.float32(m) / np.float32(n)
        if (sizes is None or not sizes.size) and scales is not None and scales.size == len(whole):
            scale = np.float32(scales.reshape(-1)[axis])
        if m % n or not np.array_equal(_nearest(node, n, m, scale), np.arange(m) // max(m // n, 1)):
            raise Unsupported(f"It resizes {list(whole)} to {list(shape)}; the machine repeats every pixel a whole "
                              "number of times.")  # fmt: skip
        factors.append(m // n)
    if len(shape) not in (3, 4) or factors[0] != 1 or factors[1] != 1:
        raise Unsupported("It resizes more than rows and columns.")
    pair = factors[2:] if len(shape) == 4 else [1, factors[2]]

    def move(codes: Sequence[Codes], quant: Quant) -> Codes:
        view = View.canonical(shape)
        if pair == [1, 1]:
            return codes[0]

        def make() -> SSAValue:
            op = cnn.ResizeOp.build(operands=[r.place(codes[0])], result_types=[r.type_of(view.dims, quant)],
                                    properties={"factors": cnn.integers(pair)})  # fmt: skip
            return r.emit(op, node, (node,))

        return _lazy(r, make, view, quant)

    return moved(r, node, [r.operand(node, 0)], move, shape)


def _nearest(node: NodeOp, n: int, m: int, scale: np.float32) -> np.ndarray:
    """Source index of every position, in float32 (section 9)."""
    position, half = np.arange(m, dtype=np.float32), np.float32(0.5)
    coordinates = node.get_str("coordinate_transformation_mode", "half_pixel")
    match coordinates:
        case "asymmetric":
            at = position / scale
        case "half_pixel":
            at = (position + half) / scale - half
        case "pytorch_half_pixel":
            at = (position + half) / scale - half if m > 1 else position * np.float32(0)
        case "align_corners":
            at = position * np.float32(n - 1) / np.float32(max(m - 1, 1))
        case _:
            raise Unsupported(f"It resizes with coordinates '{coordinates}', which are not supported.")
    match node.get_str("nearest_mode", "round_prefer_floor"):
        case "round_prefer_floor":
            at = np.ceil(at - half)
        case "round_prefer_ceil":
            at = np.floor(at + half)
        case "ceil":
            at = np.ceil(at)
        case _:
            at = np.floor(at)
    return np.clip(at.astype(np.int64), 0, n - 1)


def read_pad(r: Reader, node: NodeOp) -> Meaning:
    """Pad with a constant; rows and columns, or channels."""
    mode = node.get_str("mode", "constant")
    if mode != "constant":
        raise Unsupported(f"It pads with mode '{mode}'; the machine pads with a constant.")
    whole, shape = shape_of(node.inputs[0]), shape_of(node.outputs[0])
    amounts = r.integers(node, 1, "pads") or ()
    axes = r.integers(node, 3) or tuple(range(len(whole)))
    before, after = [0] * len(whole), [0] * len(whole)
    for at, axis in enumerate(axes):
        before[axis], after[axis] = amounts[at], amounts[at + len(axes)]
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


def _filled(r: Reader, node: NodeOp, codes: Codes, before: list[int], after: list[int], code: int) -> Codes:
    grown = [max(0, n) for n in before], [max(0, n) for n in after]
    if any(n < 0 for n in (*before, *after)):
        offsets = [max(0, -n) for n in before]
        sizes = [n - o - max(0, -a) for n, o, a in zip(codes.shape, offsets, after, strict=True)]
        codes = _box(r, node, codes, codes.quant, offsets, sizes, [1] * len(sizes))
    rank = len(codes.shape)
    if rank not in (3, 4) or grown[0][0] or grown[1][0]:
        raise Unsupported("It pads an axis that is neither rows, columns nor channels.")
    source = codes
    if any((*grown[0][2:], *grown[1][2:])):
        source = _image_padded(r, node, source, grown, code)
    if grown[0][1] or grown[1][1]:
        source = _channel_padded(r, node, source, grown[0][1], grown[1][1], code)
    return source


def _image_padded(r: Reader, node: NodeOp, codes: Codes, grown: tuple[list[int], list[int]], code: int) -> Codes:
    shape = tuple(n + (b + a if axis > 1 else 0) for axis, (n, b, a) in
                  enumerate(zip(codes.shape, *grown, strict=True)))  # fmt: skip
    (top, left), (bottom, right) = (grown[i][2:] if len(shape) == 4 else [0, *grown[i][2:]] for i in (0, 1))
    view = View.canonical(shape)

    def make() -> SSAValue:
        properties = {"pads": cnn.integers([top, bottom, left, right])}
        if code != codes.quant.zero:
            properties["value"] = cnn.integer(code)  # pyright: ignore[reportArgumentType]
        op = cnn.PadOp.build(operands=[r.place(codes)], result_types=[r.type_of(view.dims, codes.quant)],
                             properties=properties)  # fmt: skip
        return r.emit(op, node, (node,))

    return _lazy(r, make, view, codes.quant)


def _channel_padded(r: Reader, node: NodeOp, codes: Codes, before: int, after: int, code: int) -> Codes:
    shape = (codes.shape[0], codes.shape[1] + before + after, *codes.shape[2:])
    view = View.canonical(shape)

    def make() -> SSAValue:
        middle = r.place(codes)
        values = [middle]
        for count, at in ((before, 0), (after, len(values))):
            if count:
                dims = (*view.dims[:3], count)
                values.insert(at if at == 0 else len(values), r.filled(dims, code, codes.quant))
        op = cnn.ConcatOp.build(operands=[values], result_types=[r.type_of(view.dims, codes.quant)])
        return r.emit(op, node, (node,))

    return _lazy(r, make, view, codes.quant)


def read_expand(r: Reader, node: NodeOp) -> Meaning:
    """Expand and Tile that change nothing."""
    if shape_of(node.inputs[0]) == shape_of(node.outputs[0]):
        return r.operand(node, 0)
    raise Unsupported(f"{node.op_type.data} repeats elements; the machine can only enlarge rows and columns (Resize).")
