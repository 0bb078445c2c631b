"""Reading a whole graph: every value gets its meaning, and what has one on the machine becomes cnn operations.

A node with a verdict (``host "…"``) is the host's, and so is one that turns out to have no cnn form: its result is a
tensor of the host, and what works on that without a QuantizeLinear follows it.
"""

from __future__ import annotations

from collections.abc import Mapping

from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Block

from dialects.onnx import ConstantOp, NodeOp, NoneOp
from dialects.onnx_export import main_function
from passes.common.problems import ModelError
from passes.common.statements import unread
from passes.onnx_to_cnn.context import Conversion, held_by_host
from passes.onnx_to_cnn.operators import host_codes, reader_of
from passes.onnx_to_cnn.put_in import rounded
from passes.onnx_to_cnn.unrounded import deliver
from passes.onnx_to_cnn.values import MOVEMENTS, Codes, Dequantised, Host, Meaning, Real, Unsupported

_QUANTISERS = ("QuantizeLinear", "DequantizeLinear")


def refuse_float(module: ModuleOp) -> None:
    """ModelError for a graph without quantisers: not one of its layers could run on the machine."""
    nodes = (op for op in main_function(module).body.block.ops if isinstance(op, NodeOp))
    if any(node.op_type.data in _QUANTISERS for node in nodes):
        return
    name = module.attributes.get("recon.model")
    where = name.data if isinstance(name, StringAttr) else "the model"
    nodes = (op for op in main_function(module).body.block.ops if isinstance(op, NodeOp))
    if any(node.op_type.data == "DynamicQuantizeLinear" for node in nodes):
        raise ModelError(
            f"{where}: The model is quantised dynamically: its scales are computed anew for every input "
            "(DynamicQuantizeLinear), and the machine needs them beforehand. Quantise the float model with recon "
            "quantize, which calibrates them on examples."
        )
    raise ModelError(
        f"{where}: The model is not quantised; the machine computes with int8. Quantise it, for example with "
        "onnxruntime.quantization.quantize_static(…, per_channel=True), or, to learn cycles and bytes without a "
        "calibrated model, compile with --assume-int8."
    )


def read(old: Block, opsets: Mapping[str, int], exact: bool = False) -> Conversion:
    """What every value of a graph is, and in a new block the cnn operations that this made; ``old`` stays as it is."""
    new = Block(arg_types=[argument.type for argument in old.args])
    for argument, before in zip(new.args, old.args, strict=True):
        argument.name_hint = before.name_hint
    conversion = Conversion(new, opsets, exact, rounded)
    for value in old.args:
        conversion.env[value] = held_by_host(value)
    for op in old.ops:
        if isinstance(op, NodeOp):
            _read(conversion, op)
        elif not isinstance(op, ConstantOp | NoneOp | ReturnOp):
            raise ValueError(f"{op.name} is no operation of the onnx dialect")
    deliver(conversion, old)
    return conversion


def _read(conversion: Conversion, node: NodeOp) -> None:
    """Give every result of a node its meaning."""
    conversion.current = _blamed(conversion, node)
    reason = node.host.data if node.host is not None else _follows(conversion, node)
    made: Meaning | list[Meaning] | None = None
    if not reason:
        try:
            made = _meaning(conversion, node)
        except Unsupported as problem:
            reason = str(problem)
            conversion.failures.setdefault(problem.node or _blamed(conversion, node), reason)
    if made is None:
        conversion.hosted[node] = reason
        made = _on_host(conversion, node)
    results = made if isinstance(made, list) else [made] * len(node.outputs)
    for value, meaning in zip(node.outputs, results, strict=True):
        conversion.env[value] = meaning
        _note_mover(conversion, node, meaning)


def _meaning(conversion: Conversion, node: NodeOp) -> Meaning | list[Meaning]:
    if node.op_type.data not in _QUANTISERS and node.inputs:
        if (made := conversion.evaluated(node)) is not None:
            return made
    read = reader_of(node)
    if read is None:
        raise Unsupported(f"The machine has no operation for {node.kind}.")
    if (why := unread(node, conversion.opsets[""], conversion.is_known)) is not None:
        raise Unsupported(why)
    return read(conversion, node)


def _follows(conversion: Conversion, node: NodeOp) -> str:
    """Why a node is on the host because of what it works on; empty if it is not. A QuantizeLinear leads back."""
    if node.op_type.data == "QuantizeLinear":
        return ""
    for value in node.inputs:
        if isinstance(conversion.env.get(value), Host):
            if isinstance(value.owner, NodeOp):
                return f"It works on what {value.owner.label} ({value.owner.kind}) leaves on the host."
            return "It works on an input of the model that is not quantised yet."
    return ""


def _on_host(conversion: Conversion, node: NodeOp) -> list[Meaning]:
    """The results of a node that the host runs."""
    if node.op_type.data == "QuantizeLinear":
        try:
            return [host_codes(conversion, node)]
        except Unsupported:
            pass  # codes that the machine has no use for either
    return [held_by_host(value) for value in node.outputs]


def _blamed(conversion: Conversion, node: NodeOp) -> NodeOp:
    """The node a message names: behind a QuantizeLinear, the operator whose result it settles."""
    value = conversion.env.get(node.inputs[0]) if node.op_type.data == "QuantizeLinear" else None
    trail = value.trail if isinstance(value, Real) else ()
    return next((step for step in trail if step.op_type.data not in _QUANTISERS), node)


def _note_mover(conversion: Conversion, node: NodeOp, meaning: Meaning) -> None:
    """Remember which node gave codes their view, for the case that no operation can follow it."""
    codes = meaning.codes if isinstance(meaning, Dequantised) else meaning
    if not isinstance(codes, Codes) or codes.mover is not None:
        return
    before = conversion.env.get(node.inputs[0])
    trail = (*before.trail, node) if isinstance(before, Real) else (node,)
    codes.mover = next((step for step in reversed(trail) if step.op_type.data in MOVEMENTS), None)


def discard(block: Block) -> None:
    """Erase a block that nothing refers to any more, and all that is in it."""
    for op in reversed(list(block.ops)):
        op.detach()
        op.erase(safe_erase=False)
