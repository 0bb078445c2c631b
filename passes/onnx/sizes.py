"""Sizes are counted before anything is built: what a few bytes of a file can ask for is refused with the number.

A file of 500 bytes can name constants of 12 GB, double a tensor twenty-four times, or call functions that call each
other: nothing of that is built to learn that it is too large. The limits lie far beyond every network that fits the
machine, whose memory has 32-bit addresses.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import onnx
from google.protobuf.message import Message
from onnx import numpy_helper

from passes.common.problems import Problems

MOST_NODES = 100_000
"""Nodes of a graph, its functions written out; the largest networks that people convert have some thousands."""

MOST_MADE = 2**30
"""Elements of a tensor that a node makes or the model takes: 2 GB as float16, a quarter of the machine's addresses."""

MOST_COMPUTED = 2**28
"""Elements of all constants together that nodes compute: twice the weights of VGG-19, which some files state so."""

MOST_INDICES = 2**22
"""The same of int64: shapes and indices, of which the largest networks compute some ten thousand."""


def check_text(proto: onnx.ModelProto, problems: Problems) -> None:
    """A problem for every name in the model that is no UTF-8, which ONNX demands; nothing can be said by such names."""
    for path, data in _wrong_texts(proto, ""):
        shown = data.decode("utf-8", "backslashreplace")
        problems.add(path, f"The text '{shown[:80]}' is no UTF-8, as ONNX demands: the file is damaged, or its "
                     "exporter has to be mended.")  # fmt: skip


def _wrong_texts(message: Message, path: str) -> Iterator[tuple[str, bytes]]:
    """Where text should be and is none: protobuf's library then gives bytes."""
    for field in message.DESCRIPTOR.fields:
        if field.cpp_type not in (field.CPPTYPE_MESSAGE, field.CPPTYPE_STRING) or field.type == field.TYPE_BYTES:
            continue
        where, found = f"{path}.{field.name}".strip("."), getattr(message, field.name)
        single = isinstance(found, (Message, str, bytes))
        for number, item in enumerate((found,) if single else found):
            place = where if single else f"{where}[{number}]"
            if isinstance(item, bytes):
                yield place, item
            elif isinstance(item, Message) and (not single or message.HasField(field.name)):
                yield from _wrong_texts(item, place)


def check_functions(proto: onnx.ModelProto, problems: Problems) -> None:
    """A problem for functions that call themselves, and for a graph that is too large once they are written out."""
    bodies = {(f.domain, f.name, f.overload): list(f.node) for f in proto.functions}
    sizes: dict[tuple[str, str, str], int] = {}

    def size(nodes: list[onnx.NodeProto], above: tuple[tuple[str, str, str], ...]) -> int:
        total = 0
        for node in nodes:
            key = (node.domain, node.op_type, node.overload)
            if key in above:
                problems.add(f"the function '{key[1]}'", "It calls itself, directly or by others; such a model has no "
                             "end.")  # fmt: skip
                return 0
            if key in bodies and key not in sizes:
                sizes[key] = size(bodies[key], (*above, key))
            total += sizes.get(key, 1)
        return total

    total = 0
    try:
        total = size(list(proto.graph.node), ())
    except RecursionError:
        problems.add("", "Its functions call each other hundreds deep; no exporter writes that.")
    if total > MOST_NODES:
        problems.add("", f"The graph has {total:,} nodes once its functions are written out, and at most "
                     f"{MOST_NODES:,} are read.")  # fmt: skip


def propagates(proto: onnx.ModelProto) -> bool:
    """Whether ONNX's shape inference may follow the values of shapes through the graph.

    It builds every value that it follows: those of a Range, or of a vector that is joined to itself again and again.
    """
    longest = {item.name: math.prod(item.dims) for item in proto.graph.initializer if len(item.dims) < 2}
    for node in proto.graph.node:
        if node.op_type == "Range":
            return False
        lengths = [longest.get(name, -1) for name in node.input if name]
        if node.op_type in ("Shape", "Constant"):
            longest.update(dict.fromkeys(node.output, 64))
        elif lengths and min(lengths) >= 0:
            length = sum(lengths) if node.op_type == "Concat" else max(lengths)
            longest.update(dict.fromkeys(node.output, length))
            if length > MOST_NODES:
                return False
    return True


def check_tensors(
    proto: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]], elements: Mapping[str, int], problems: Problems
) -> None:
    """A problem for the first input or result that is too large, and for constants that nodes would make too large.

    ``shapes`` and ``elements`` (ONNX's types) of all values, those of the constants in the file among them; -1: not
    known.
    """
    for value in proto.graph.input:
        _check_one(f"the input '{value.name}'", shapes.get(value.name, ()), problems)
    known, computed = {item.name for item in proto.graph.initializer}, Counter[bool]()
    for node in proto.graph.node:
        if problems:
            return  # what follows is as large, and told by the first
        made = [name for name in node.output if name]
        for name in made:
            _check_one(f"the tensor '{name}' ({node.op_type})", shapes.get(name, ()), problems)
        if node.op_type in ("Shape", "Size") or all(name in known for name in node.input if name):
            known.update(made)
            size = sum(_elements(shapes, made))
            # A weight that is only quantised, reshaped or turned is as large as the file says, and no more.
            indices = elements.get(made[0]) == onnx.TensorProto.INT64 if made else False
            computed[indices] += size if indices or size > 2 * sum(_elements(shapes, node.input)) else 0
            if not problems:
                check_computed(node, computed[indices], indices, problems)


def made_by(node: onnx.NodeProto, operands: Sequence[np.ndarray | None], opsets: Mapping[str, int]) -> tuple[int, bool]:
    """Elements of all results of a node on these constants, without computing them, and whether they are int64.

    0 elements if that is not known.
    """
    given = [numpy_helper.from_array(value, name) for name, value in zip(node.input, operands, strict=True)
             if name and value is not None]  # fmt: skip
    results = [onnx.helper.make_empty_tensor_value_info(name) for name in node.output if name]
    graph = onnx.helper.make_graph([node], "node", [], results, given)
    imports = [onnx.helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    model = onnx.helper.make_model(graph, opset_imports=imports, ir_version=8)
    shapes: dict[str, tuple[int, ...]] = {}
    indices = False
    for value in onnx.shape_inference.infer_shapes(model).graph.output:
        indices = indices or value.type.tensor_type.elem_type == onnx.TensorProto.INT64
        if value.type.tensor_type.HasField("shape"):
            shapes[value.name] = tuple(d.dim_value if d.HasField("dim_value") else -1
                                       for d in value.type.tensor_type.shape.dim)  # fmt: skip
    return sum(_elements(shapes, node.output)), indices


def check_computed(node: onnx.NodeProto, size: int, indices: bool, problems: Problems) -> None:
    """A problem if the constants that nodes compute, ``size`` elements up to this node's, are too many."""
    most, kind = (MOST_INDICES, "int64 ") if indices else (MOST_COMPUTED, "")
    if size > most:
        problems.add(
            f"the tensor '{node.output[0]}' ({node.op_type})",
            f"With it, the {kind}constants that nodes compute would have {size:,} elements, and at most {most:,} are "
            "computed; store them in the file.",
        )


def _elements(shapes: Mapping[str, tuple[int, ...]], names: Iterable[str]) -> Iterator[int]:
    for name in names:
        shape = shapes.get(name, (-1,)) if name else (-1,)
        yield math.prod(shape) if -1 not in shape else 0


def _check_one(what: str, shape: tuple[int, ...], problems: Problems) -> None:
    size = math.prod(shape) if -1 not in shape else 0
    if size > MOST_MADE:
        written = " x ".join(map(str, shape))
        problems.add(what, f"It would have {size:,} elements ({written}), and at most {MOST_MADE:,} are planned for.")
