"""``measure-ranges``: what calibration data see behind the nodes whose results no QuantizeLinear rounds.

Choices. A file may leave the result of a convolution, or of a function, in float and say nowhere how far it goes. The
machine holds 8-bit codes there, so a quantiser has to be put in (``onnx_to_cnn.put_in``), and its range is measured:
least to greatest value over the samples, by ONNX Runtime, of the graph as it is at this place. Nothing of the graph
changes.

    %2 = onnx.node "Conv"(%0, %w, %b)      →      %2 = onnx.node "Conv"(%0, %w, %b) seen <-1.5, 2.25>
    %3 = onnx.node "HardSwish"(%2)                %3 = onnx.node "HardSwish"(%2) seen <-0.375, 1.96875>
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from dialects.blobs import DTYPE
from dialects.onnx import NodeOp, RangeAttr, constant_of, element_of, shape_of
from dialects.onnx_export import input_names, main_function
from passes.common.problems import ModelError
from passes.quantise.calibrate import ranges_of

NEED = "calibration (--images, --data)"


@dataclass(frozen=True)
class MeasureRangesPass(ModulePass):
    """Ranges from ``samples``, an ``.npz`` file: an array per input, in the inputs' order or by their names, samples
    along the first axis. Without one nothing is measured."""

    name = "measure-ranges"
    samples: str = ""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        if not self.samples:
            return
        nodes = [node for node in main_function(op).body.block.ops if isinstance(node, NodeOp) and _waits(node)]
        stacks = _stacks(op, self.samples)
        count = len(next(iter(stacks.values()), ()))
        samples = ({name: stack[at] for name, stack in stacks.items()} for at in range(count))
        ranges = ranges_of(op, [node.outputs[0] for node in nodes], samples, NEED)
        for node in nodes:
            low, high = ranges[node.outputs[0]]
            if np.isfinite(low) and np.isfinite(high):
                node.seen = RangeAttr.of(low, high)


def _waits(node: NodeOp) -> bool:
    """Whether a node's result is a computed float tensor that more than quantisers read."""
    value = node.outputs[0]
    return (
        len(node.outputs) == 1
        and element_of(value) == "f32"
        and node.op_type.data != "DequantizeLinear"
        and not all(constant_of(operand) is not None for operand in node.inputs)
        and any(isinstance(user, NodeOp) and user.op_type.data != "QuantizeLinear" for user in _users(node))
    )


def _users(node: NodeOp) -> Iterator[object]:
    return (use.operation for use in node.outputs[0].uses)


def _stacks(module: ModuleOp, file: str) -> Mapping[str, npt.NDArray[np.generic]]:
    """The samples by input; ModelError for a file that does not hold them."""
    function = main_function(module)
    names = input_names(function)
    try:
        with np.load(file, allow_pickle=False) as archive:
            given = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile):
        raise ModelError(f"{file}: this is not a whole .npz file of samples; numpy.savez writes one.") from None
    if set(given) != set(names):
        given = dict(zip(names, given.values(), strict=False))
    made: dict[str, npt.NDArray[np.generic]] = {}
    for name, value in zip(names, function.body.block.args, strict=True):
        shape, array = shape_of(value), given.get(name)
        if array is None or array.shape[1:] != shape or not len(array) or len(array) != len(given[names[0]]):
            raise ModelError(f"{file}: the samples of the input '{name}' have to be an array N×"
                             f"{'×'.join(map(str, shape))}, with as many for every input.")  # fmt: skip
        made[name] = array.astype(DTYPE[element_of(value)])
    return made
