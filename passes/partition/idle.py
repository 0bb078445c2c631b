"""Machine work that does not pay: what stands between two turns of the host and multiplies nothing.

Choices. A turn of the machine after one of the host costs its operands' way there and its results' way back, and cuts
the host's work in two. Where operations of one turn, taken together, hang on nothing but what the host brings, and no
convolution or product is among them, the bytes that they would bring across are all they would do; so their nodes stay
on the host, and two host segments become one. The first turn, which works on the model's inputs, always pays.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from xdsl.ir import Operation, SSAValue

from dialects import cnn
from dialects.onnx import NodeOp
from passes.onnx_to_cnn.context import Conversion
from passes.onnx_to_cnn.regions import Regions

_FIRST = 2
"""The machine's first turn behind the host's first."""


def idle(conversion: Conversion, regions: Regions) -> dict[NodeOp, str]:
    """The nodes that stay on the host for that reason, quantisers left out."""
    found: dict[NodeOp, str] = {}
    for group in _groups(regions):
        inputs = {value for op in group for value in op.operands if not isinstance(value.owner, cnn.ConstantOp)}
        inputs -= {value for op in group for value in op.results}
        if all(value in regions.ports for value in inputs) and not any(map(_multiplies, group)):
            across = sum(_bytes(value) for value in inputs) + sum(_bytes(value) for value in _leaving(group))
            why = f"Between two turns of the host it would bring {across:,} bytes across and multiply nothing."
            nodes = [node for op in group for node in (*conversion.trails.get(op, ()), *_blamed(conversion, op))]
            found.update((node, why) for node in nodes if node.op_type.data not in _QUANTISERS)
    return found


_QUANTISERS = ("QuantizeLinear", "DequantizeLinear")


def _groups(regions: Regions) -> list[set[Operation]]:
    """The operations of each later turn of the machine, those together that hand tensors on to each other."""
    groups: dict[Operation, set[Operation]] = {}
    for op in sorted(regions.live, key=regions.place):
        if op.results[0] in regions.ports or regions.level(op.results[0]) <= _FIRST:
            continue
        groups.setdefault(op, {op})
        for value in op.operands:
            owner = value.owner
            here = regions.level(op.results[0])
            if isinstance(owner, Operation) and value not in regions.ports and regions.level(value) == here:
                joined = groups[op] | groups.setdefault(owner, {owner})
                groups.update((member, joined) for member in joined)
    unique = {id(group): group for group in groups.values()}
    return list(unique.values())


def _multiplies(op: Operation) -> bool:
    return isinstance(op, cnn.Conv2dOp | cnn.FullyConnectedOp)


def _blamed(conversion: Conversion, op: Operation) -> Iterable[NodeOp]:
    node = conversion.origin.get(op)
    return (node,) if node is not None else ()


def _leaving(group: set[Operation]) -> list[SSAValue]:
    return [
        value
        for op in group
        for value in op.results
        if any(use.operation not in group for use in value.uses) or value.first_use is None
    ]


def _bytes(value: SSAValue) -> int:
    kind = value.type.in_memory if isinstance(value.type, cnn.FloatType) else value.type
    return math.prod(kind.dims) if isinstance(kind, cnn.TensorType) else 0
