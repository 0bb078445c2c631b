"""``split-batch``: a batch of N images becomes N images, each with layers of its own over the same weights.

Choices. Every operation on a batch is written once per image, so that each image is computed as if it were alone. Host
regions keep the batch: what they give is taken apart at their end, what they take is put together at their beginning.
Images follow each other layer by layer within what no operation mixes; rows of a matrix product, whose batch is one
image's columns, are joined. A module with anything that mixes images otherwise stays as it is, for the limits to say.

    %1 = cnn.table %0 … : <2x8x8x4>     →     %1 = cnn.table %a …  layer "t.0" : <1x8x8x4>
                                              %2 = cnn.table %b …  layer "t.1" : <1x8x8x4>
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from dialects import cnn
from dialects.blobs import to_array, to_blob
from dialects.onnx import ConstantOp, NodeOp, element_of, shape_of, tensor
from dialects.onnx_export import main_function
from passes.cnn.images import batch_of, given_to, mixes, share


def _one(kind: Attribute, dims: Sequence[int] | None = None) -> Attribute:
    """The type of one image, or of other ``dims``."""
    assert isinstance(kind, cnn.TensorType | cnn.FloatType)
    shape = tuple(dims or (1, *kind.dims[1:]))
    return kind.like(shape) if isinstance(kind, cnn.TensorType) else cnn.FloatType.of(shape)


@dataclass
class _Split:
    """The function while it is taken apart: ``parts`` of every batched value, and what waits to be written by image."""

    block: Block
    parts: dict[SSAValue, list[SSAValue]] = field(default_factory=dict[SSAValue, list[SSAValue]])
    waiting: list[list[Operation]] = field(default_factory=list[list[Operation]])

    def run(self) -> None:
        ops = list(self.block.ops)
        for op in ops:
            op.detach()
        for op in ops:
            if isinstance(op, cnn.HostOp):
                self.write()
                self.host(op)
            elif isinstance(op, ReturnOp):
                self.write()
                self.block.add_op(op)
            else:
                self.machine(op)
        for op in reversed(ops):
            if op.parent is None:
                op.erase()

    def write(self) -> None:
        """What waits, image by image."""
        for image in self.waiting:
            self.block.add_ops(image)
        self.waiting = []

    def put(self, op: Operation, image: int) -> SSAValue:
        while len(self.waiting) <= image:
            self.waiting.append([])
        self.waiting[image].append(op)
        return op.results[0]

    def of(self, value: SSAValue, image: int) -> SSAValue:
        """An image of a value, or the value that all images share."""
        return self.parts[value][image] if value in self.parts else value

    # --- the machine's operations ---

    def machine(self, op: Operation) -> None:
        count = batch_of(op.results[0])
        match op:
            case cnn.ConstantOp() if count > 1:
                self.parts[op.output] = [self.constant(op, image) for image in range(count)]
            case cnn.ConcatOp() if op.axis.value.data == 0:
                self.parts[op.output] = [part for value in op.inputs for part in self.parts.get(value, [value])]
            case cnn.SliceOp() if given_to(op) > 1:
                self.sliced(op)
            case cnn.ReshapeOp() | cnn.TransposeOp() if count != given_to(op):
                self.regrouped(op, count)
            case _ if count > 1:
                self.parts[op.results[0]] = [self.put(self.image(op, at), at) for at in range(count)]
            case _:
                self.write()
                self.block.add_op(op)

    def image(self, op: Operation, image: int, dims: Sequence[int] | None = None) -> Operation:
        """An operation for one image, named after it."""
        made = op.clone(value_mapper={value: self.of(value, image) for value in op.operands})
        return self.named(_of_one(made, _one(op.results[0].type, dims)), image)

    def named(self, made: Operation, image: int) -> Operation:
        if isinstance(made, cnn.CnnOp) and made.layer is not None:
            made.properties["layer"] = StringAttr(f"{made.layer.data}.{image}")
        return made

    def constant(self, op: cnn.ConstantOp, image: int) -> SSAValue:
        made = self.image(op, image)
        made.properties["value"] = to_blob(np.ascontiguousarray(to_array(op.value)[image : image + 1]))
        return self.put(made, image)

    def sliced(self, op: cnn.SliceOp) -> None:
        """A slice that may leave some images out."""
        first, step, count = op.offsets.get_values()[0], op.steps.get_values()[0], op.result_tensor.dims[0]
        made: list[SSAValue] = []
        for at in range(count):
            image = first + at * step
            part = self.image(op, image)
            part.properties["offsets"] = cnn.integers((0, *op.offsets.get_values()[1:]))
            part.properties["steps"] = cnn.integers((1, *op.steps.get_values()[1:]))
            made.append(self.put(part, image))
        if count > 1:
            self.parts[op.output] = made
        else:
            op.output.replace_all_uses_with(made[0])

    def regrouped(self, op: cnn.ReshapeOp | cnn.TransposeOp, count: int) -> None:
        """A batch that becomes rows, columns or channels of one image, or the other way round."""
        if count > 1:
            place = share(cnn.tensor_of(op.input).dims, count)
            assert place is not None
            self.write()
            self.parts[op.output] = [self.put(self.taken(op, *place, at), at) for at in range(count)]
            return
        given = given_to(op)
        place = share(op.result_tensor.dims, given)
        assert place is not None
        axis, dims = place
        parts = [self.put(self.image(op, at, dims), at) for at in range(given)]
        self.write()
        along = {"axis": cnn.integer(axis)}
        join = cnn.ConcatOp.build(operands=[parts], result_types=[op.output.type], properties=along)
        join.properties |= {name: op.properties[name] for name in ("layer", "nodes") if name in op.properties}
        self.block.add_op(join)
        op.output.replace_all_uses_with(join.output)

    def taken(self, op: cnn.ReshapeOp | cnn.TransposeOp, axis: int, dims: Sequence[int], image: int) -> Operation:
        """An image out of one, in the shape that it has in the batch."""
        offsets = [image * dims[at] if at == axis else 0 for at in range(4)]
        kind = _one(op.output.type, dims)
        part = cnn.SliceOp.build(
            operands=[op.input], result_types=[kind], properties={"offsets": cnn.integers(offsets)}
        )
        part.properties |= {name: op.properties[name] for name in ("layer", "nodes") if name in op.properties}
        value = self.put(self.named(part, image), image)
        made = _of_one(op.clone(value_mapper={op.input: value}), _one(op.output.type))
        made.properties["layer"] = StringAttr(f"{op.layer.data if op.layer is not None else 'image'}.{image}.seen")
        return made

    # --- the host's ---

    def host(self, op: cnn.HostOp) -> None:
        """The region with every batch that it takes or gives in parts."""
        batched = any(value in self.parts for value in op.inputs) or any(batch_of(value) > 1 for value in op.outputs)
        if not batched:
            self.block.add_op(op)
            return
        body = op.detach_region(op.body)
        block = body.block
        inputs = self.taken_by_host(block, list(op.inputs))
        types, results, last = [], [], block.last_op
        assert isinstance(last, cnn.YieldOp)
        for value, inner in zip(op.outputs, last.values, strict=True):
            count = batch_of(value)
            types += [_one(value.type)] * count if count > 1 else [value.type]
            results += [_gathered(last, inner, at) for at in range(count)] if count > 1 else [inner]
        block.erase_op(last)
        block.add_op(cnn.YieldOp(results))
        made = cnn.HostOp(inputs, types, body)
        made.properties |= op.properties
        self.block.add_op(made)
        given = list(made.outputs)
        for value in op.outputs:
            count = batch_of(value)
            own, given = given[:count], given[count:]
            if count > 1:
                self.parts[value] = list(own)
            else:
                value.replace_all_uses_with(own[0])

    def taken_by_host(self, block: Block, inputs: list[SSAValue]) -> list[SSAValue]:
        """Arguments for the parts of each batch, put together where the region begins."""
        found: list[SSAValue] = []
        first = block.first_op
        assert first is not None
        for value, argument in zip(inputs, list(block.args), strict=True):
            if value not in self.parts:
                found.append(value)
                continue
            shape, element = shape_of(argument), element_of(argument)
            parts = [
                block.insert_arg(tensor((1, *shape[1:]), element), argument.index + 1 + at)
                for at in range(len(self.parts[value]))
            ]
            whole = NodeOp("Concat", parts, [argument.type], {"axis": 0})
            Rewriter.insert_op(whole, InsertPoint.before(first))
            argument.replace_all_uses_with(whole.outputs[0])
            block.erase_arg(argument)
            found += self.parts[value]
        return found


def _of_one(op: Operation, kind: Attribute) -> Operation:
    """An operation on a batch as one on an image."""
    if isinstance(op, cnn.TransposeOp) and op.factors is not None:
        op.properties["factors"] = cnn.integers((1, *op.factors.get_values()[1:]))
    Rewriter.replace_value_with_new_type(op.results[0], kind)
    return op


def _gathered(before: Operation, value: SSAValue, image: int) -> SSAValue:
    """An image of a batch on the host."""
    index = ConstantOp(to_blob(np.asarray([image], np.int64)))
    kind = tensor((1, *shape_of(value)[1:]), element_of(value))
    taken = NodeOp("Gather", [value, index.output], [kind], {"axis": 0})
    Rewriter.insert_op([index, taken], InsertPoint.before(before))
    return taken.outputs[0]


@dataclass(frozen=True)
class SplitBatchPass(ModulePass):
    """One image at a time, where nothing mixes images."""

    name = "split-batch"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        block = main_function(op).body.block
        machine = [inner for inner in block.ops if isinstance(inner, cnn.CnnOp) and not isinstance(inner, cnn.HostOp)]
        outside = [value for value in (*block.args, *(block.last_op.operands if block.last_op else ()))]
        batched = any(batch_of(value) > 1 for inner in machine for value in (*inner.operands, *inner.results))
        if batched and not any(map(mixes, machine)) and all(batch_of(value) == 1 for value in outside):
            _Split(block).run()
