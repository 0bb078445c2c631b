"""Reading operators that move elements: nothing is computed, and most of them cost nothing.

Reshape and Transpose (and Flatten, Squeeze, Unsqueeze, DepthToSpace, SpaceToDepth in their terms) only change the view.
The others become operations on codes, as late as possible: what only leads to the model's end is left to the host.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from xdsl.ir import SSAValue

from dialects import cnn
from dialects.onnx import NodeOp, shape_of
from passes.common.windows import window_of
from passes.onnx_to_cnn import dilated
from passes.onnx_to_cnn.context import Conversion, Spec
from passes.onnx_to_cnn.values import (
    Codes,
    Dequantised,
    Known,
    KnownCodes,
    Meaning,
    Moved,
    Mover,
    Quant,
    Raw,
    Real,
    Storage,
    Unsupported,
)
from passes.onnx_to_cnn.view import View

Make = Callable[[], SSAValue]


def moved(r: Conversion, node: NodeOp, children: Sequence[Meaning], move: Mover, shape: tuple[int, ...]) -> Meaning:
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


def _seen(r: Conversion, node: NodeOp, change: Callable[[View], View | None]) -> Meaning:
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


def read_reshape(r: Conversion, node: NodeOp) -> Meaning:
    """Reshape, Flatten, Squeeze, Unsqueeze, Identity: the inferred result shape says it all."""
    shape = shape_of(node.outputs[0])
    return _seen(r, node, lambda view: view.reshaped(shape))


def read_transpose(r: Conversion, node: NodeOp) -> Meaning:
    """Transpose."""
    order = node.get_ints("perm") or tuple(reversed(range(len(shape_of(node.inputs[0])))))
    return _seen(r, node, lambda view: view.transposed(order))


def read_depth_to_space(r: Conversion, node: NodeOp) -> Meaning:
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


def lazy(r: Conversion, make: Make, view: View, quant: Quant) -> Codes:
    """Codes that are made when somebody needs them; the node being read now is to blame then."""
    node = r.current

    def made() -> SSAValue:
        r.current, before = node, r.current
        value = make()
        r.current = before
        return value

    return Codes(Storage(make=made, node=node), view, quant)


def read_concat(r: Conversion, node: NodeOp) -> Meaning:
    """Concat along any axis: where that axis lies in memory, or as channels if it lies nowhere alone."""
    shape = shape_of(node.outputs[0])
    axis = node.get_int("axis", 0) % len(shape)

    def move(codes: Sequence[Codes], quant: Quant) -> Codes:
        spec = _joined_along(r, codes, axis)
        logical = View.canonical(shape).logical
        view = View(logical, r.memory(View(logical, ((), (), (), ())), spec))
        at = next(number for number, axes in enumerate(spec) if axis in axes)

        def make() -> SSAValue:
            values = [r.place(c, spec) for c in codes]
            op = cnn.ConcatOp.build(operands=[values], result_types=[r.type_of(view.dims, quant)],
                                    properties={"axis": cnn.integer(at)})  # fmt: skip
            return r.emit(op, node, (node,))

        return lazy(r, make, view, quant)

    return moved(r, node, [r.operand(node, i) for i in range(len(node.inputs))], move, shape)


def _joined_along(r: Conversion, codes: Sequence[Codes], axis: int) -> Spec:
    """An order with ``axis`` alone in rows, columns or channels, and preferably that of an operand."""
    computed = [c for c in codes if c.storage.source is None]
    for each in sorted(computed, key=lambda c: -math.prod(c.shape)):
        spec = r.spec_of(each.view)
        if spec is None or 0 in spec[3] + spec[2] + spec[1]:
            continue
        found = [list(part) for part in spec]
        if not any(axis in part for part in found) and not found[3]:
            found[3].append(axis)
        if any(part == [axis] for part in found[1:]):
            n, h, w, c = (tuple(part) for part in found)
            return n, h, w, c
    rest = [at for at in range(len(codes[0].shape)) if at != axis]
    return tuple(rest[:1]), tuple(rest[1:-1]), tuple(rest[-1:] if len(rest) > 1 else ()), (axis,)


def read_max_pool(r: Conversion, node: NodeOp) -> Meaning:
    """MaxPool; the machine's padding never wins either, and a dilated one is made of dense ones."""
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
            if max(window.dilations) > 1:
                return dilated.pooled(r, node, r.place(codes[0]), attribute, view.dims, quant)
            op = cnn.MaxPool2dOp.build(operands=[r.place(codes[0])], result_types=[r.type_of(view.dims, quant)],
                                       properties={"window": attribute})  # fmt: skip
            return r.emit(op, node, (node,))

        return lazy(r, make, view, quant)

    return moved(r, node, [r.operand(node, 0)], move, result)
