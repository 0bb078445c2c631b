"""Models of a few bytes that ask for much, or whose parts do not fit each other."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Maker = Callable[[Path], Sequence[str]]
FLOAT = TensorProto.FLOAT

COMPILE = ("recon", "compile", "m.onnx", "-o", "x.rbin", "--assume-int8")


def value(name: str, shape: Sequence[int] | None, kind: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def model(
    nodes: Sequence[onnx.NodeProto], shape: Sequence[int], functions: Sequence[Any] = (), **constants: Any
) -> bytes:
    """From ``x`` of this shape to ``y``."""
    held = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(list(nodes), "g", [value("x", shape)], [value("y", None)], held)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("d", 1)]
    made = helper.make_model(graph, opset_imports=opsets, functions=list(functions), ir_version=8)
    return made.SerializeToString()


def _compiled(make: Callable[[], bytes]) -> Maker:
    def maker(folder: Path) -> Sequence[str]:
        (folder / "m.onnx").write_bytes(make())
        return COMPILE

    return maker


node = helper.make_node
ADD = node("Add", ["x", "w"], ["y"])
PICTURE = (1, 3, 8, 8)
ones = np.ones


def _concat(times: int) -> bytes:
    names = ["x", *(f"x{n}" for n in range(1, times)), "y"]
    pairs = itertools.pairwise(names)
    return model([node("Concat", [a, a], [b], axis=1) for a, b in pairs], PICTURE)


def _shape_concat() -> bytes:
    joined = [node("Concat", [f"s{n}", f"s{n}"], [f"s{n + 1}"], axis=0) for n in range(24)]
    total = [node("ReduceSum", ["s24"], ["t"]), node("Cast", ["t"], ["w"], to=FLOAT), ADD]
    return model([node("Shape", ["x"], ["s0"]), *joined, *total], PICTURE)


def _constant_of_shape() -> bytes:
    fill = numpy_helper.from_array(np.array([0.5], np.float32))
    nodes = [node("ConstantOfShape", ["s"], ["w"], value=fill), node("Conv", ["x", "w"], ["y"])]
    return model(nodes, (1, 30000, 2, 2), s=np.array([100000, 30000, 1, 1]))


def _functions(count: int, times: int, last: str) -> bytes:
    functions: list[onnx.FunctionProto] = []
    for at in range(count):
        names = ["a", *(f"b{n}" for n in range(times - 1)), "c"]
        called = f"f{at + 1}" if at < count - 1 else last
        body = [node(called, [a], [b], domain="" if called == "Relu" else "d")
                for a, b in itertools.pairwise(names)]  # fmt: skip
        functions.append(helper.make_function(
            "d", f"f{at}", ["a"], ["c"], body, [helper.make_opsetid("", 17), helper.make_opsetid("d", 1)]))  # fmt: skip
    return model([node("f0", ["x"], ["y"], domain="d")], PICTURE, functions)


def _renamed(nodes: Sequence[onnx.NodeProto], **constants: Any) -> bytes:
    return model(nodes, PICTURE, **constants).replace(b"QQQ", b"\xff\xfe\x80")


def _loop() -> bytes:
    body = helper.make_graph(
        [node("Identity", ["c"], ["d"]), node("Add", ["v", "v"], ["u"])], "b",
        [value("i", [], TensorProto.INT64), value("c", [], TensorProto.BOOL), value("v", [1])],
        [value("d", [], TensorProto.BOOL), value("u", [1])])  # fmt: skip
    return model([node("Loop", ["n", "t", "v0"], ["w"], body=body), ADD], PICTURE,
                 n=np.array(10**8), t=np.array(True), v0=ones(1, np.float32))  # fmt: skip


def _external(folder: Path) -> Sequence[str]:
    onnx.save(onnx.load_from_string(model([ADD], PICTURE, w=ones(PICTURE, np.float32))), folder / "m.onnx",
              save_as_external_data=True, location="w.bin", size_threshold=0)  # fmt: skip
    again = onnx.load(folder / "m.onnx", load_external_data=False)
    for entry in again.graph.initializer[0].external_data:
        entry.value = "12x" if entry.key == "offset" else entry.value
    (folder / "m.onnx").write_bytes(again.SerializeToString())
    return COMPILE


def _device(folder: Path) -> Sequence[str]:
    os.symlink("/dev/zero", folder / "m.onnx")
    return COMPILE


def _conv(**attributes: Any) -> onnx.NodeProto:
    return node("Conv", ["x", "w"], ["y"], **attributes)


def _resize() -> bytes:
    return model([node("Resize", ["x", "", "s"], ["y"], mode="nearest")], PICTURE, s=np.float32([1, 1, 1e4, 1e4]))


MODELS: dict[str, Maker] = {
    "a tensor joined to itself 24 times": _compiled(lambda: _concat(24)),
    "a shape joined to itself 24 times": _compiled(_shape_concat),
    "500 bytes of ConstantOfShape weights": _compiled(_constant_of_shape),
    "24 functions that call each other twice": _compiled(lambda: _functions(24, 2, "Relu")),
    "a function that calls itself": _compiled(lambda: _functions(1, 1, "f0")),
    "names that are no UTF-8": _compiled(lambda: _renamed([node("Relu", ["x"], ["y"], name="nQQQ")])),
    "an operator that is no UTF-8": _compiled(lambda: _renamed([node("ReluQQQ", ["x"], ["y"])])),
    "an attribute that is no UTF-8": _compiled(
        lambda: _renamed([_conv(auto_pad="QQQ")], w=ones((3, 3, 3, 3), np.float32))
    ),
    "a bias of another length": _compiled(
        lambda: model(
            [node("Conv", ["x", "w", "b"], ["y"])], PICTURE, w=ones((3, 3, 3, 3), np.float32), b=ones(7, np.float32)
        )
    ),
    "Clip bounds without an element": _compiled(
        lambda: model([node("Clip", ["x", "a", "b"], ["y"])], PICTURE, a=ones(0, np.float32), b=ones(0, np.float32))
    ),
    "a damaged number in external data": _external,
    "a tensor expanded": _compiled(
        lambda: model(
            [node("Expand", ["c", "s"], ["w"]), ADD],
            (1, 3, 1, 1),
            c=ones(1, np.float32),
            s=np.array([1, 3, 40000, 40000]),
        )
    ),
    "a constant repeated": _compiled(
        lambda: model(
            [node("Tile", ["c", "s"], ["w"]), ADD], (1, 1), c=ones((1, 2000), np.float32), s=np.array([1, 2_000_000])
        )
    ),
    "a range of 3,000,000,000": _compiled(
        lambda: model(
            [node("Range", ["a", "b", "c"], ["w"]), ADD], (1, 1), a=np.float32(0), b=np.float32(3e9), c=np.float32(1)
        )
    ),
    "a loop of 100,000,000 turns": _compiled(_loop),
    "an input of 30,000,000,000 elements": _compiled(lambda: model([node("Relu", ["x"], ["y"])], (1, 3, 99999, 99999))),
    "padding of 2,147,483,648": _compiled(
        lambda: model([_conv(pads=[2**30] * 4)], PICTURE, w=ones((3, 3, 3, 3), np.float32))
    ),
    "a picture made 10,000 times as large": _compiled(_resize),
    "a model that is a device": _device,
}
"""By what the model is."""
