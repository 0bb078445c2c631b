"""``convert-onnx-to-cnn``: a quantised ONNX graph becomes cnn operations on int8 NHWC tensors.

Choices. The graph is read once, in order; between a DequantizeLinear and the next QuantizeLinear values wait as
expressions (``onnx_to_cnn.values``), because the integer laws round only there. Layout is bookkeeping
(``onnx_to_cnn.view``): Transposes and Reshapes vanish. What leads from the inputs to the first int8 tensors and from
the last ones to the outputs goes into host regions. A node without a cnn form is noted, with the reason, in the
function's ``unsupported``, where ``legalize`` finds all of them; a ``builtin.unrealized_conversion_cast`` stands for
its result.

    %1 = onnx.node "DequantizeLinear"(%x, …)               %c = cnn.conv2d %x weights … window <3x3 pad 1 1 1 1>
    %2 = onnx.node "Conv"(%1, %w, %b)                →             quant <scale 0.1, zero -128> clamp <-128, 127>
    %3 = onnx.node "Relu"(%2)                                      layer "conv1" nodes ["conv1", "relu1"]
    %4 = onnx.node "QuantizeLinear"(%3, …)
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.passes import ModulePass

from dialects.onnx import ConstantOp, NodeOp, NoneOp, element_of, names, shape_of
from dialects.onnx_export import main_function, opsets_of
from passes.common.problems import ModelError
from passes.common.statements import unread
from passes.onnx_to_cnn import host
from passes.onnx_to_cnn.context import Reader, input_meaning, last_compute
from passes.onnx_to_cnn.operators import host_codes, reader_of
from passes.onnx_to_cnn.values import (
    PRODUCTS,
    Codes,
    Host,
    Known,
    KnownCodes,
    Meaning,
    Raw,
    Real,
    Stuck,
    Unsupported,
)

_ENDS = ("Softmax", "LogSoftmax", "Hardmax")
"""What a model may end with on the host although a QuantizeLinear follows."""

_NO_RESULT = "There is no QuantizeLinear behind it, so it has no int8 result; quantise the model's outputs too."


@dataclass(frozen=True)
class ConvertOnnxToCnnPass(ModulePass):
    """Quantised ONNX operators to cnn operations; raises ModelError for a model that is not quantised at all."""

    name = "convert-onnx-to-cnn"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        function = main_function(op)
        old = function.body.block
        nodes = [node for node in old.ops if isinstance(node, NodeOp)]
        _refuse_float(op, nodes)
        new = Block(arg_types=[argument.type for argument in old.args])
        for argument, before in zip(new.args, old.args, strict=True):
            argument.name_hint = before.name_hint
        reader = Reader(new, opsets_of(op))
        _read_all(reader, old)
        function.body.add_block(new)
        _finish(reader, old, new)
        function.body.detach_block(old)
        if reader.failures:
            function.attributes["unsupported"] = ArrayAttr(
                [names([node.label, reason]) for node, reason in reader.failures]
            )
        _drop(old)


def _refuse_float(module: ModuleOp, nodes: list[NodeOp]) -> None:
    if any(node.op_type.data in ("QuantizeLinear", "DequantizeLinear") for node in nodes):
        return
    name = module.attributes.get("recon.model")
    where = name.data if isinstance(name, StringAttr) else "the model"
    raise ModelError(
        f"{where}: The model is not quantised; the machine computes with int8. Quantise it, for example with "
        "onnxruntime.quantization.quantize_static(…, per_channel=True), or, to learn cycles and bytes without a "
        "calibrated model, compile with --assume-int8."
    )


def _read_all(reader: Reader, old: Block) -> None:
    for value in old.args:
        reader.on_host[value] = True
        reader.env[value] = input_meaning(value) or Host(value)
    for op in old.ops:
        if isinstance(op, NodeOp):
            _read(reader, op)
        elif not isinstance(op, ConstantOp | NoneOp | ReturnOp):
            raise ValueError(f"{op.name} is no operation of the onnx dialect")


def _read(reader: Reader, node: NodeOp) -> None:
    """Give every result of a node its meaning."""
    before = _settles_on_host(reader, node)
    try:
        made = _meaning(reader, node)
    except Unsupported as problem:
        made = _stuck(reader, node, str(problem))
    results = made if isinstance(made, list) else [made] * len(node.outputs)
    for value, meaning in zip(node.outputs, results, strict=True):
        reader.env[value] = meaning
        stored = isinstance(meaning, Codes) and meaning.storage.value is not None
        reader.on_host[value] = before and not stored


def _settles_on_host(reader: Reader, node: NodeOp) -> bool:
    """Whether all operands are constants or come from the graph's inputs without any help of the machine."""
    return all(reader.on_host.get(value, True) for value in node.inputs)


def _meaning(reader: Reader, node: NodeOp) -> Meaning | list[Meaning]:
    operands = [reader.env.get(value) for value in node.inputs]
    if node.op_type.data not in ("QuantizeLinear", "DequantizeLinear"):
        if any(isinstance(operand, Host) for operand in operands):
            if _settles_on_host(reader, node):
                return [Host(value) for value in node.outputs]
            raise Unsupported("It combines a float input of the graph with a quantised tensor; quantise both.")
        if (made := reader.evaluated(node)) is not None:
            return made
    read = reader_of(node)
    if read is None:
        raise Unsupported(f"The machine has no operation for {node.kind}.")
    if (why := unread(node, reader.opsets[""], reader.is_known)) is not None:
        raise Unsupported(why)
    return read(reader, node)


def _stuck(reader: Reader, node: NodeOp, reason: str) -> Meaning | list[Meaning]:
    """What stands for a node without a cnn form."""
    origin = next((meaning for meaning in (reader.env.get(value) for value in node.inputs)
                   if isinstance(meaning, Stuck)), None)  # fmt: skip
    blamed, why = (origin.node, origin.reason) if origin is not None else (_blamed(reader, node), reason)
    results: list[Meaning] = []
    for value in node.outputs:
        if element_of(value) in ("i8", "ui8") and node.op_type.data == "QuantizeLinear":
            results.append(_foreign_codes(reader, node, value, blamed, why))
        elif node.op_type.data != "DequantizeLinear" and all(_plain(reader.env.get(v)) for v in node.inputs):
            results.append(Host(value))
        else:
            results.append(Stuck(shape_of(value), (node,), blamed, why))
    return results


def _blamed(reader: Reader, node: NodeOp) -> NodeOp:
    """The node a message names: behind a QuantizeLinear, the operator whose result it settles."""
    value = reader.env.get(node.inputs[0]) if node.op_type.data == "QuantizeLinear" else None
    return last_compute(value.trail) if isinstance(value, Real) and value.trail else node


def _plain(meaning: Meaning | None) -> bool:
    return meaning is None or isinstance(meaning, Host | Known | KnownCodes | Raw)


def _foreign_codes(reader: Reader, node: NodeOp, value: SSAValue, blamed: NodeOp, why: str) -> Meaning:
    """Codes that the host computes: fine at the model's edges."""
    try:
        codes = host_codes(reader, node)
    except Unsupported:
        return Stuck(shape_of(value), (node,), blamed, why)
    codes.storage.reason = (blamed, why)
    if not _settles_on_host(reader, node):
        codes.storage.source = None
    return codes


def _finish(reader: Reader, old: Block, new: Block) -> None:
    """Write entry and exit regions and the return, and join them to the operations between."""
    terminator = old.last_op
    assert isinstance(terminator, ReturnOp)
    outputs = list(terminator.operands)
    exit_op, tail = host.exits(reader, list(old.args), outputs)
    _refuse_in_exit(reader, tail)
    entry_op = host.entry(reader.ports, list(old.args))
    for operation in (entry_op, exit_op):
        if operation is not None:
            _from_new_arguments(operation, old, new)
    if entry_op is not None:
        first = new.first_op
        new.insert_op_before(entry_op, first) if first is not None else new.add_op(entry_op)
        for port, result in zip(reader.ports, entry_op.results, strict=True):
            cast = port.value.owner
            port.value.replace_all_uses_with(result)
            assert isinstance(cast, Operation)
            cast.detach()
            cast.erase()
    new.add_op(exit_op)
    new.add_op(ReturnOp(*exit_op.results))


def _refuse_in_exit(reader: Reader, tail: list[NodeOp]) -> None:
    """Note what may not run in the exit region: products, and whatever makes one more int8 tensor, Softmax excepted."""
    found: list[tuple[NodeOp, str]] = []
    for node in tail:
        meaning = reader.env[node.outputs[0]]
        if isinstance(meaning, Codes) and meaning.storage.reason is not None:
            if meaning.storage.reason[0].op_type.data not in _ENDS:
                found.append(meaning.storage.reason)
    blamed = {node for node, _ in found}
    for node in tail:
        meaning = reader.env[node.outputs[0]]
        if node.op_type.data not in PRODUCTS or isinstance(meaning, Host) or node in blamed:
            continue
        if isinstance(meaning, Stuck):
            found.append((meaning.node, meaning.reason))
        elif not any(isinstance(reader.env.get(value), Stuck) for value in _results_of_users(node)):
            found.append((node, _NO_RESULT))
    reader.failures.extend(entry for entry in dict.fromkeys(found) if entry not in reader.failures)


def _results_of_users(node: NodeOp) -> list[SSAValue]:
    return [value for use in node.outputs[0].uses for value in use.operation.results]


def _from_new_arguments(op: Operation, old: Block, new: Block) -> None:
    for index, value in enumerate(op.operands):
        if value in old.args:
            op.operands[index] = new.args[old.args.index(value)]


def _drop(block: Block) -> None:
    for op in reversed(list(block.ops)):
        op.detach()
        op.erase(safe_erase=False)
