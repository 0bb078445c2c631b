"""A whole module's meaning around its machine segments: ``@main`` with its calls and host regions, or bare segments."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.ir import Attribute, SSAValue

from dialects import cnn
from dialects.meaning.steps import placed
from dialects.onnx_export import input_names, opsets_of, output_names
from dialects.recon import CallOp

Array = npt.NDArray[Any]
Segment = Callable[[Sequence[Array]], list[Array]]
"""Takes and gives a segment's tensors as int8, in its own order and shapes; of float32 the bytes."""


def main_of(module: ModuleOp) -> func.FuncOp | None:
    """The function ``@main``, if there is one."""
    for op in module.body.block.ops:
        if isinstance(op, func.FuncOp) and op.sym_name.data == "main":
            return op
    return None


def evaluate_main(
    module: ModuleOp, main: func.FuncOp, inputs: Mapping[str, npt.ArrayLike], segments: Mapping[str, Segment]
) -> dict[str, Array]:
    """The outputs of ``@main`` by name; ValueError for a missing input or segment."""
    from dialects.meaning.cnn import run_host

    values: dict[SSAValue, Array] = {}
    for name, argument in zip(input_names(main), main.body.block.args, strict=True):
        if name not in inputs:
            raise ValueError(f"no value given for the input '{name}'")
        values[argument] = np.asarray(inputs[name])
    opsets = opsets_of(module)
    for op in main.body.block.ops:
        operands = [values[value] for value in op.operands]
        if isinstance(op, func.ReturnOp):
            return dict(zip(output_names(main), operands, strict=True))
        if isinstance(op, CallOp):
            results = segments[op.segment.root_reference.data]([_codes(array) for array in operands])
            shaped = (_given(array, r.type) for array, r in zip(results, op.results, strict=True))
            values.update(zip(op.results, shaped, strict=True))
        elif isinstance(op, cnn.HostOp):
            values.update(zip(op.results, run_host(op, operands, opsets), strict=True))
        else:
            raise placed(op, ValueError("@main holds calls and host regions only, below the cnn level"))
    return {}


def _codes(array: Array) -> Array:
    return (array ^ np.uint8(128)).view(np.int8) if array.dtype == np.uint8 else array


def _given(array: Array, kind: Attribute) -> Array:
    """A segment's bytes as the tensor that ``@main`` takes them for: of a batch those of the first frame."""
    flat, shape = array.reshape(-1), kind.dims if isinstance(kind, cnn.FloatType) else _shape(kind)
    size = math.prod(shape)
    if isinstance(kind, cnn.FloatType):
        return flat[: 4 * size].view("<f4").reshape(shape)
    return flat[:size].reshape(shape)


def for_every_frame(array: npt.ArrayLike, shape: Sequence[int]) -> Array:
    """What a call passes in the shape of a port: where that holds a batch, once for each of its frames; ValueError for
    a tensor of another size."""
    codes = np.asarray(array, np.int8)
    frames, rest = divmod(math.prod(shape), codes.size)
    if rest:
        raise ValueError(f"a tensor of {codes.size} bytes for a port of {'x'.join(map(str, shape))}")
    return np.tile(codes.reshape(-1), frames).reshape(shape)


def _shape(kind: Attribute) -> tuple[int, ...]:
    if isinstance(kind, cnn.TensorType):
        return kind.dims
    return tuple(kind.get_shape()) if isinstance(kind, TensorType) else ()
