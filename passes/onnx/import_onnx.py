"""The importer: an ONNX file becomes a module of ``onnx`` operations, with every shape known.

    builtin.module attributes {recon.model = "resnet8", recon.notes = ["…"], onnx.opsets = {"" = 13 : i64}} {
      func.func @main(%0 : tensor<1x32x32x3xi8>) -> tensor<1x10xi8> attributes {inputs = ["input_1"], outputs = ["y"]}

Choices. A dynamic leading dimension becomes 1, with a note; any other needs ``--input-shape``. Shapes come from
``onnx.shape_inference``, helped by evaluating shape arithmetic (Shape, Gather, Concat …) once the inputs are static.
Initialisers that are also listed as inputs are constants. Everything wrong with the model is reported in one error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
from onnx import numpy_helper
from xdsl.builder import Builder
from xdsl.dialects.builtin import DictionaryAttr, FunctionType, IntegerAttr, ModuleOp, StringAttr, i64
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Region, SSAValue
from xdsl.rewriter import InsertPoint

from dialects.blobs import to_blob
from dialects.host import run_node
from dialects.onnx import ConstantOp, NodeOp, NoneOp, Value, names, tensor
from dialects.onnx_export import ELEMENT_NAME
from dialects.recon import BlobAttr
from passes.common.problems import Problems
from passes.onnx import onnx_forms, sizes
from passes.onnx.onnx_file import ModelFile, check_size, read_model
from passes.onnx.operand_sizes import check_operands
from passes.onnx.pool_shapes import mend_pools
from passes.onnx.tolerance import for_checker, tolerate

Shapes = Mapping[str, Sequence[int]]

_OPTIMISED = ("QLinearConv", "Conv", "FusedConv", "NhwcFusedConv", "NhwcMaxPool", "ReorderInput", "ReorderOutput",
              "MaxPool", "AveragePool", "GlobalAveragePool", "FusedGemm", "FusedMatMul")  # fmt: skip
"""Operators of com.microsoft (and its layouts) that no exporter writes."""

_SMALL = 4096
"""Shape arithmetic works on tensors of at most this many elements."""


def import_model(source: str | Path | bytes, input_shapes: Shapes | None = None, where: str = "") -> ModuleOp:
    """Read a model (path or bytes) into ``onnx`` IR.

    ``input_shapes`` fixes inputs with dynamic dimensions; ``where`` is what messages call the model, its path if empty.
    Raises ModelError, with all problems of the model in one message.
    """
    where = where or (str(source) if isinstance(source, str | Path) else "the model")
    model = read_model(source, where)
    problems = Problems(where)
    proto = model.proto
    sizes.check_text(proto, problems)
    problems.raise_if_any()
    sizes.check_functions(proto, problems)
    problems.raise_if_any()
    if proto.functions:
        proto = model.proto = onnx.inliner.inline_local_functions(proto)
    _name_results(proto)
    tolerate(model, problems)
    _check_tensors(model, problems)
    problems.raise_if_any()
    constants = {item.name for item in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in constants]
    del proto.graph.input[:]
    proto.graph.input.extend(inputs)
    notes = fix_shapes(proto, input_shapes or {}, problems)
    problems.raise_if_any()
    _check(model, problems)
    problems.raise_if_any()
    mend_pools(model.proto, lambda: _infer(model, problems)[0])
    onnx_forms.rewrite(model, lambda: _infer(model, problems)[0], problems)
    problems.raise_if_any()
    types = _static_types(model, problems)
    problems.raise_if_any()
    return _Builder(model, types, problems).module(notes, _model_name(proto, source))


def _name_results(proto: onnx.ModelProto) -> None:
    """Name the results that nodes leave out before others, in place: an operation has them by position."""
    taken = {name for node in proto.graph.node for name in (*node.input, *node.output)}
    for node in proto.graph.node:
        last = max((at for at, name in enumerate(node.output) if name), default=0)
        for at in range(last):
            number = 0
            while not node.output[at]:
                if (name := f"left_out_{number}") not in taken:
                    taken.add(name)
                    node.output[at] = name
                number += 1


def _model_name(proto: onnx.ModelProto, source: str | Path | bytes) -> str:
    return Path(source).stem if isinstance(source, str | Path) else proto.graph.name or "model"


def _check_tensors(model: ModelFile, problems: Problems) -> None:
    for item in model.proto.graph.initializer:
        if (wrong := check_size(item, model.large.get(item.name))) is not None:
            problems.add(f"the constant '{item.name}'", wrong)
    for node in model.proto.graph.node:
        if any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for a in node.attribute):
            problems.add(_name(node), f"{node.op_type} holds a graph of its own; control flow is not supported.")
        for item in node.attribute:
            if item.type == onnx.AttributeProto.TENSOR and (wrong := check_size(item.t, None)) is not None:
                problems.add(_name(node), f"Its attribute '{item.name}': {wrong}")
            for text in (item.s, *item.strings) if item.name != "auto_pad" else ():
                if (shown := text.decode("utf-8", "backslashreplace")).encode() != text:
                    problems.add(_name(node), f"Its attribute '{item.name}' is '{shown[:80]}', which is no UTF-8: the "
                                 "file is damaged, or its exporter has to be mended.")  # fmt: skip
        auto = next((a.s for a in node.attribute if a.name == "auto_pad"), b"NOTSET")
        if auto not in (b"NOTSET", b"VALID", b"SAME_UPPER", b"SAME_LOWER"):
            problems.add(_name(node), f"Its auto_pad is '{auto.decode('utf-8', 'backslashreplace')}', which ONNX does "
                         "not know: NOTSET, VALID, SAME_UPPER and SAME_LOWER are.")  # fmt: skip


def _name(node: onnx.NodeProto) -> str:
    return node.name or f"an unnamed {node.op_type}"


def fix_shapes(proto: onnx.ModelProto, wanted: Shapes, problems: Problems) -> list[str]:
    """Make every input's shape static, in place; returns notes."""
    notes: list[str] = []
    known = [value.name for value in proto.graph.input]
    for name in wanted:
        if name not in known:
            problems.add(f"--input-shape {name}", f"The model has no input of that name; it has {', '.join(known)}.")
    for value in proto.graph.input:
        kind = value.type.tensor_type
        if not value.type.HasField("tensor_type") or kind.elem_type not in ELEMENT_NAME:
            problems.add(f"the input '{value.name}'", "It is not a tensor of numbers; only such inputs are supported.")
            continue
        given = wanted.get(value.name)
        if given is None and not kind.HasField("shape"):
            problems.add(f"the input '{value.name}'", "The model does not give its shape. State it: "
                         f"--input-shape {value.name}=1,3,224,224")  # fmt: skip
            continue
        dims = kind.shape.dim
        if given is not None:
            _apply(value.name, dims, given, kind, problems)
            continue
        for position, dim in enumerate(dims):
            if dim.HasField("dim_value") and dim.dim_value > 0:
                continue
            if position == 0 and len(dims) > 1:
                dim.dim_value = 1
                notes.append(f"The dynamic leading dimension of the input '{value.name}' became 1.")
                continue
            example = ",".join(str(d.dim_value) if d.HasField("dim_value") and d.dim_value > 0 else
                               ("1" if at == 0 else "224") for at, d in enumerate(dims))  # fmt: skip
            label = f" ('{dim.dim_param}')" if dim.dim_param else ""
            problems.add(f"the input '{value.name}'", f"Its dimension {position}{label} is dynamic, and every size "
                         f"must be known. State the shape: --input-shape {value.name}={example}")  # fmt: skip
            break
    return notes


def _apply(name: str, dims: Any, given: Sequence[int], kind: Any, problems: Problems) -> None:
    text = ",".join(str(n) for n in given)
    place = f"--input-shape {name}={text}"
    if any(n < 1 for n in given):
        problems.add(place, "Every dimension must be at least 1.")
    elif kind.HasField("shape") and len(dims) != len(given):
        problems.add(place, f"The model's input has {len(dims)} dimensions, not {len(given)}.")
    else:
        for position, (dim, n) in enumerate(zip(dims, given, strict=False)):
            if dim.HasField("dim_value") and dim.dim_value > 0 and dim.dim_value != n:
                problems.add(place, f"The model fixes dimension {position} at {dim.dim_value}.")
        del kind.shape.dim[:]
        for n in given:
            kind.shape.dim.add().dim_value = n


def _light(model: ModelFile) -> onnx.ModelProto:
    """The model with its large constants as inputs: what checker and shape inference need to see, without weights."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    kept = [item for item in proto.graph.initializer if item.name not in model.large]
    for item in proto.graph.initializer:
        if item.name in model.large:
            proto.graph.input.append(onnx.helper.make_tensor_value_info(item.name, item.data_type, list(item.dims)))
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(kept)
    proto.ir_version = max(proto.ir_version, 4)  # initialisers need not be inputs
    return proto


def _check(model: ModelFile, problems: Problems) -> None:
    proto = _light(model)
    for value in proto.graph.output:  # a shape that the model leaves out is inferred later
        if value.type.HasField("tensor_type") and not value.type.tensor_type.HasField("shape"):
            value.type.tensor_type.shape.SetInParent()
    for_checker(proto)
    try:
        onnx.checker.check_model(proto)
    except onnx.checker.ValidationError as error:
        text = str(error).split("\n\n==>")[0].strip(" .").replace("\n", " ")
        problems.add("", f"The model breaks ONNX's rules: {text}. Its exporter has to be fixed, or a newer one used.")


def _infer(model: ModelFile, problems: Problems) -> tuple[dict[str, tuple[int, ...]], dict[str, int]]:
    """Shapes (-1: not known) and element types of all values."""
    proto = _light(model)
    inputs = {value.name for value in proto.graph.input}
    for value in proto.graph.output:
        if value.type.HasField("tensor_type") and value.name not in inputs:
            value.type.tensor_type.ClearField("shape")
    del proto.graph.value_info[:]
    try:
        proto = onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=sizes.propagates(proto))
    except onnx.shape_inference.InferenceError as error:
        text = " ".join(str(error).replace("[ShapeInferenceError]", "").split())
        problems.add("", f"The shapes of the model's tensors do not fit together: {text}")
    shapes: dict[str, tuple[int, ...]] = {}
    elements: dict[str, int] = {}
    for value in (*proto.graph.input, *proto.graph.value_info, *proto.graph.output):
        kind = value.type.tensor_type
        if value.type.HasField("tensor_type") and kind.HasField("shape"):
            shapes[value.name] = tuple(d.dim_value if d.HasField("dim_value") else -1 for d in kind.shape.dim)
            elements[value.name] = kind.elem_type
    for item in proto.graph.initializer:
        shapes[item.name], elements[item.name] = tuple(item.dims), item.data_type
    return shapes, elements


def _static_types(model: ModelFile, problems: Problems) -> dict[str, Attribute]:
    """The type of every value, after shape arithmetic has been evaluated as often as that makes shapes known."""
    while True:
        shapes, elements = _infer(model, problems)
        sizes.check_tensors(model.proto, shapes, elements, problems)
        unknown = [name for node in model.proto.graph.node for name in node.output if name and
                   (name not in shapes or -1 in shapes[name])]  # fmt: skip
        if not unknown or problems or not _fold_shapes(model, shapes, problems):
            break
    types: dict[str, Attribute] = {}
    check_operands(model.proto, shapes, problems)
    _name_foreign(model.proto, shapes, problems)
    if problems:
        return types
    for node in model.proto.graph.node:
        for name in (n for n in node.output if n):
            shape = shapes.get(name)
            if shape is None or -1 in shape or elements[name] not in ELEMENT_NAME:
                what = "unknown" if shape is None else "x".join("?" if n < 0 else str(n) for n in shape)
                problems.add(_name(node), f"The shape of its result '{name}' ({node.op_type}) is {what} before the "
                             "model runs; every size must be known. Export the model with fixed shapes.")  # fmt: skip
                return types
    return {name: tensor(shape, ELEMENT_NAME[elements[name]]) for name, shape in shapes.items()
            if elements[name] in ELEMENT_NAME}  # fmt: skip


def _name_foreign(proto: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]], problems: Problems) -> None:
    """Operators of other domains whose results have no known shape: nobody but their maker knows what they do."""
    for node in proto.graph.node:
        if node.domain in ("", "ai.onnx") or all(name in shapes for name in node.output if name):
            continue
        if node.domain.startswith("com.microsoft") and node.op_type in _OPTIMISED:
            problems.add(_name(node), f"{node.domain}.{node.op_type} is what ONNX Runtime's optimiser writes for one "
                         "kind of processor; give the model that it was made from.")  # fmt: skip
        else:
            problems.add(_name(node), f"The operator {node.op_type} of the domain {node.domain} is not known, so its "
                         "result has no known shape.")  # fmt: skip


def _fold_shapes(model: ModelFile, shapes: Mapping[str, tuple[int, ...]], problems: Problems) -> bool:
    """Evaluate nodes on small integer constants and shapes; True if there were any."""
    graph = model.proto.graph
    opsets = {entry.domain: entry.version for entry in model.proto.opset_import}
    known = {item.name: numpy_helper.to_array(item) for item in graph.initializer if item.name not in model.large
             and item.data_type != onnx.TensorProto.BFLOAT16}  # fmt: skip
    rest: list[onnx.NodeProto] = []
    for node in graph.node:
        try:
            shape = shapes.get(node.input[0]) if node.op_type == "Shape" else None
            if shape is not None and -1 not in shape:
                start = next((a.i for a in node.attribute if a.name == "start"), 0)
                end = next((a.i for a in node.attribute if a.name == "end"), len(shape))
                results = [np.asarray(shape[start:end], np.int64)]
            elif node.op_type in ("QuantizeLinear", "DequantizeLinear", "ConstantOfShape") or any(
                name and (name not in known or known[name].size > _SMALL) for name in node.input
            ):
                rest.append(node)
                continue
            else:
                operands = [known.get(name) for name in node.input]
                sizes.check_computed(node, *sizes.made_by(node, operands, opsets), problems)
                if problems:
                    return False
                results = run_node(node, operands, opsets)
        except Exception:  # the reference raises what it likes; the node then stays as it is
            rest.append(node)
            continue
        for name, array in zip(node.output, results, strict=False):
            if name:
                known[name] = array
                graph.initializer.append(numpy_helper.from_array(array, name))
    changed = len(rest) != len(graph.node)
    if changed:
        kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in rest]
        del graph.node[:]
        graph.node.extend(kept)
    return changed


class _Builder:
    """Writes the IR, node by node."""

    def __init__(self, model: ModelFile, types: Mapping[str, Attribute], problems: Problems):
        self.model = model
        self.types = types
        self.problems = problems
        self.values: dict[str, SSAValue] = {}
        self.none: SSAValue | None = None

    def module(self, notes: Sequence[str], name: str) -> ModuleOp:
        graph = self.model.proto.graph
        inputs = [value.name for value in graph.input]
        outputs = [value.name for value in graph.output]
        kind = FunctionType.from_lists([self.types[n] for n in inputs], [self.types[n] for n in outputs])
        function = FuncOp("main", kind, Region.DEFAULT)
        function.attributes["inputs"], function.attributes["outputs"] = names(inputs), names(outputs)
        self.builder = Builder(InsertPoint.at_end(function.body.block))
        self.values.update(zip(inputs, function.body.block.args, strict=True))
        self.constants = {item.name: item for item in graph.initializer}
        self.used = {*outputs, *(name for node in graph.node for name in node.input)}
        for node in graph.node:
            self._node(node)
        self.builder.insert(ReturnOp(*(self._value(name) for name in outputs)))
        self.problems.raise_if_any()
        module = ModuleOp([function])
        module.attributes["recon.model"] = StringAttr(name)
        module.attributes["recon.notes"] = names(notes)
        module.attributes["onnx.opsets"] = DictionaryAttr({
            entry.domain: IntegerAttr(entry.version, i64) for entry in self.model.proto.opset_import
        })  # fmt: skip
        return module

    def _value(self, name: str) -> SSAValue:
        if not name:
            if self.none is None:
                self.none = self.builder.insert(NoneOp()).output
            return self.none
        if name not in self.values:  # a constant, written before its first use
            self.values[name] = self.builder.insert(ConstantOp(self._blob(self.constants[name]), name)).output
        return self.values[name]

    def _blob(self, item: onnx.TensorProto) -> BlobAttr:
        if item.name in self.model.large:
            return BlobAttr.make(tuple(item.dims), ELEMENT_NAME[item.data_type], self.model.large[item.name])
        return to_blob(numpy_helper.to_array(item))

    def _node(self, node: onnx.NodeProto) -> None:
        attributes: dict[str, Value] = {}
        for item in node.attribute:
            try:
                attributes[item.name] = self._attribute(item)
            except (KeyError, ValueError):
                self.problems.add(_name(node), f"The attribute '{item.name}' of {node.op_type} has a type that is not "
                                  "supported.")  # fmt: skip
        outputs = [name for name in node.output if name]
        if node.op_type == "Dropout" and len(outputs) > 1 and outputs[1] not in self.used:
            outputs.pop()  # the mask, which nobody reads
        inputs = [self._value(name) for name in node.input]
        types = [self.types[name] for name in outputs]
        if node.op_type == "Constant":
            (value,) = attributes.values()
            blob = value if isinstance(value, BlobAttr) else to_blob(_constant_array(value))
            self.values[outputs[0]] = self.builder.insert(ConstantOp(blob, outputs[0])).output
            return
        op = self.builder.insert(NodeOp(node.op_type, inputs, types, attributes, node.name, node.domain))
        if not node.name:  # what people see of it in a viewer is the name of what it makes
            op.attributes["absorbed"] = names(outputs[:1])
        self.values.update(zip(outputs, op.outputs, strict=True))

    def _attribute(self, item: onnx.AttributeProto) -> Value:
        kinds = onnx.AttributeProto
        match item.type:
            case kinds.TENSOR:
                return self._blob(item.t)
            case kinds.INT:
                return int(item.i)
            case kinds.FLOAT:
                return float(item.f)
            case kinds.STRING:
                return item.s.decode()
            case kinds.INTS:
                return tuple(int(n) for n in item.ints)
            case kinds.FLOATS:
                return tuple(float(n) for n in item.floats)
            case kinds.STRINGS:
                return tuple(text.decode() for text in item.strings)
            case _:
                raise ValueError(item.name)


def _constant_array(value: Value) -> np.ndarray:
    """A Constant node's value_int(s) or value_float(s)."""
    floats = isinstance(value, float) or (isinstance(value, tuple) and any(isinstance(n, float) for n in value))
    return np.asarray(value, np.float32 if floats else np.int64)
