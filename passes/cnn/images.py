"""What operations do with the images of a batch: most treat each alike, some regroup them, the rest mix them."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import Operation, SSAValue

from dialects import cnn


def batch_of(value: SSAValue) -> int:
    """How many images a value of the machine has; 1 for what the host holds."""
    return value.type.dims[0] if isinstance(value.type, cnn.TensorType | cnn.FloatType) else 1


def given_to(op: Operation) -> int:
    """The most images that an operand has."""
    return max((batch_of(value) for value in op.operands), default=1)


def share(dims: Sequence[int], count: int) -> tuple[int, tuple[int, int, int, int]] | None:
    """The axis along which one image of these dims falls into ``count`` parts that follow each other in memory, and a
    part's dims; None if it does not."""
    for axis in (1, 2, 3):
        if dims[axis] % count == 0:
            _, h, w, c = (size // count if at == axis else size for at, size in enumerate(dims))
            return axis, (1, h, w, c)
        if dims[axis] > 1:
            return None
    return None


def keeps_images(op: Operation, count: int) -> bool:
    """Whether a reshape, or a transpose, leaves the images of a batch one after the other."""
    if isinstance(op, cnn.TransposeOp):
        return op.permutation.get_values()[0] == 0 and op.sizes[0] == count
    return isinstance(op, cnn.ReshapeOp)


def regroups(op: Operation) -> bool:
    """Whether it makes a batch rows, columns or channels of one image, or the other way round, without mixing any."""
    count, given = batch_of(op.results[0]), given_to(op)
    one = op.results[0] if count == 1 else op.operands[0]
    dims = one.type.dims if isinstance(one.type, cnn.TensorType) else (1, 1, 1, 1)
    return min(count, given) == 1 and keeps_images(op, max(count, given)) and share(dims, max(count, given)) is not None


def mixes(op: cnn.CnnOp) -> bool:
    """Whether a result depends on several images in a way that cannot be taken apart."""
    count, given = batch_of(op.results[0]), given_to(op)
    if count == given == 1 or isinstance(op, cnn.SliceOp) or (isinstance(op, cnn.ConcatOp) and op.axis.value.data == 0):
        return False
    if isinstance(op, cnn.ReshapeOp | cnn.TransposeOp):
        return not (keeps_images(op, count) if count == given else regroups(op))
    return count == 1 or given not in (1, count)
