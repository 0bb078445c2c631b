"""What a few bytes of a model can ask for is refused with the number, before anything of that size is built."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from passes.common.problems import ModelError
from passes.onnx.import_onnx import import_model
from passes.onnx.sizes import MOST_NODES, propagates

MOST = "and at most 1,073,741,824 are planned for."
ENOUGH = 64 << 20
"""Bytes that reading any of these small files may take."""


def _model(
    nodes: Sequence[onnx.NodeProto],
    shape: Sequence[int] = (1, 3, 8, 8),
    functions: Sequence[Any] = (),
    **constants: Any,
) -> onnx.ModelProto:
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    held = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("d", 1)]
    graph = helper.make_graph(list(nodes), "g", inputs, outputs, held)
    return helper.make_model(graph, opset_imports=opsets, functions=list(functions), ir_version=8)


def _refused(source: onnx.ModelProto | Path | bytes) -> str:
    source = source.SerializeToString() if isinstance(source, onnx.ModelProto) else source
    tracemalloc.start()
    try:
        with pytest.raises(ModelError) as caught:
            import_model(source, None, "m.onnx")
        assert tracemalloc.get_traced_memory()[1] < ENOUGH
    finally:
        tracemalloc.stop()
    return str(caught.value)


def _doubled(times: int) -> onnx.ModelProto:
    names = ["x", *(f"x{n}" for n in range(1, times)), "y"]
    return _model([helper.make_node("Concat", [a, a], [b], axis=1) for a, b in itertools.pairwise(names)])


def _fill(value: float = 0.5) -> dict[str, Any]:
    return {"value": numpy_helper.from_array(np.array([value], np.float32))}


ADD = helper.make_node("Add", ["x", "w"], ["y"])

TENSORS: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "a tensor doubled again and again": (
        lambda: _doubled(24),
        "the tensor 'x23' (Concat): It would have 1,610,612,736 elements (1 x 25165824 x 8 x 8)",
    ),
    "a constant of a shape": (
        lambda: _model(
            [helper.make_node("ConstantOfShape", ["s"], ["w"], **_fill()), helper.make_node("Conv", ["x", "w"], ["y"])],
            (1, 30000, 2, 2),
            s=np.array([100000, 30000, 1, 1]),
        ),
        "the tensor 'w' (ConstantOfShape): It would have 3,000,000,000 elements (100000 x 30000 x 1 x 1)",
    ),
    "a constant repeated": (
        lambda: _model(
            [helper.make_node("Tile", ["c", "s"], ["w"]), ADD],
            (1, 1),
            c=np.ones((1, 2000), np.float32),
            s=np.array([1, 2_000_000]),
        ),
        "the tensor 'w' (Tile): It would have 4,000,000,000 elements (1 x 4000000000)",
    ),
    "a long range": (
        lambda: _model(
            [helper.make_node("Range", ["a", "b", "c"], ["w"]), ADD],
            (1, 1),
            a=np.array(0, np.float32),
            b=np.array(3e9, np.float32),
            c=np.array(1, np.float32),
        ),
        "the tensor 'w' (Range): It would have 3,000,000,000 elements (3000000000)",
    ),
    "a large input": (
        lambda: _model([helper.make_node("Relu", ["x"], ["y"])], (1, 3, 99999, 99999)),
        "the input 'x': It would have 29,999,400,003 elements (1 x 3 x 99999 x 99999)",
    ),
    "padding without end": (
        lambda: _model(
            [helper.make_node("Conv", ["x", "w"], ["y"], pads=[2**30] * 4)], w=np.ones((3, 3, 3, 3), np.float32)
        ),
        "the tensor 'y' (Conv): It would have 13,835,058,132,591,575,148 elements (1 x 3 x 2147483654 x 2147483654)",
    ),
}


@pytest.mark.parametrize("what", TENSORS)
def test_tensors_are_counted(what: str) -> None:
    make, sentence = TENSORS[what]
    assert _refused(make()) == f"m.onnx: {sentence}, {MOST}"


def test_a_range_whose_end_is_computed() -> None:
    nodes = [
        helper.make_node("Mul", ["b", "b"], ["bb"]),
        helper.make_node("Range", ["a", "bb", "c"], ["r"]),
        helper.make_node("Cast", ["r"], ["w"], to=1),
        ADD,
    ]
    model = _model(nodes, (1, 1), a=np.array(0), b=np.array(100_000), c=np.array(1))
    assert _refused(model) == (
        "m.onnx: the tensor 'r' (Range): With it, the int64 constants that nodes compute would have 10,000,000,000 "
        "elements, and at most 4,194,304 are computed; store them in the file."
    )


def test_constants_are_counted_together() -> None:
    nodes = [helper.make_node("ConstantOfShape", ["s"], [f"w{n}"], **_fill()) for n in range(3)]
    nodes += [helper.make_node("Sum", ["x", "w0", "w1", "w2"], ["y"])]
    assert _refused(_model(nodes, (1, 1), s=np.array([10_000, 10_000]))) == (
        "m.onnx: the tensor 'w2' (ConstantOfShape): With it, the constants that nodes compute would have 300,000,000 "
        "elements, and at most 268,435,456 are computed; store them in the file."
    )


def test_shapes_joined_to_themselves_are_not_followed() -> None:
    joined = [helper.make_node("Concat", [f"s{n}", f"s{n}"], [f"s{n + 1}"], axis=0) for n in range(24)]
    total = [
        helper.make_node("ReduceSum", ["s24"], ["t"]),
        helper.make_node("Cast", ["t"], ["w"], to=TensorProto.FLOAT),
        ADD,
    ]
    assert _refused(_model([helper.make_node("Shape", ["x"], ["s0"]), *joined, *total])) == (
        "m.onnx: the tensor 's20' (Concat): With it, the int64 constants that nodes compute would have 8,388,604 "
        "elements, and at most 4,194,304 are computed; store them in the file."
    )
    assert not propagates(_model([helper.make_node("Shape", ["x"], ["s0"]), *joined]))
    assert propagates(_model([helper.make_node("Shape", ["x"], ["s0"]), *joined[:3]]))


def _function(name: str, *calls: str) -> onnx.FunctionProto:
    names = ["a", *(f"b{n}" for n in range(len(calls) - 1)), "c"]
    domain = {True: "d", False: ""}
    nodes = [
        helper.make_node(call, [one], [other], domain=domain[call != "Relu"])
        for call, one, other in zip(calls, names[:-1], names[1:], strict=True)
    ]
    return helper.make_function(
        "d", name, ["a"], ["c"], nodes, [helper.make_opsetid("", 17), helper.make_opsetid("d", 1)]
    )


def _call(name: str) -> list[onnx.NodeProto]:
    return [helper.make_node(name, ["x"], ["y"], domain="d")]


def test_functions_are_counted_before_they_are_written_out() -> None:
    twice = [_function(f"f{n}", f"f{n + 1}", f"f{n + 1}") for n in range(23)]
    model = _model(_call("f0"), functions=[*twice, _function("f23", "Relu")])
    assert _refused(model) == (
        "m.onnx: The graph has 8,388,608 nodes once its functions are written out, and at most 100,000 are read."
    )


def test_functions_without_end() -> None:
    ends = "It calls itself, directly or by others; such a model has no end."
    assert _refused(_model(_call("f"), functions=[_function("f", "f")])) == f"m.onnx: the function 'f': {ends}"
    round_about = [_function("f", "g"), _function("g", "Relu", "f")]
    assert _refused(_model(_call("f"), functions=round_about)) == f"m.onnx: the function 'f': {ends}"


def test_functions_that_call_each_other_very_deep() -> None:
    chain = [_function(f"f{n}", f"f{n + 1}") for n in range(1200)]
    assert _refused(_model(_call("f0"), functions=[*chain, _function("f1200", "Relu")])) == (
        "m.onnx: Its functions call each other hundreds deep; no exporter writes that."
    )


def test_a_function_called_often_is_written_out() -> None:
    model = _model(_call("f"), functions=[_function("f", "g", "g"), _function("g", "Relu", "Relu")])
    assert str(import_model(model.SerializeToString(), None, "m.onnx")).count('"Relu"') == 4
    assert MOST_NODES > 4


def test_names_that_are_no_text() -> None:
    model = _model([helper.make_node("ReluQQ", ["x"], ["y"], name="nQQ")])
    assert _refused(model.SerializeToString().replace(b"QQ", b"\xff\x80")) == (
        "m.onnx has 2 problems:\n"
        "  - graph.node[0].name: The text 'n\\xff\\x80' is no UTF-8, as ONNX demands: the file is damaged, or "
        "its exporter has to be mended.\n"
        "  - graph.node[0].op_type: The text 'Relu\\xff\\x80' is no UTF-8, as ONNX demands: the file is damaged, or "
        "its exporter has to be mended."
    )


@pytest.mark.parametrize(
    ("key", "text"), [("offset", "12x"), ("offset", "-1"), ("length", "1e9"), ("length", "9" * 30)]
)
def test_damaged_numbers_of_external_data(key: str, text: str, tmp_path: Path) -> None:
    model = _model([helper.make_node("Add", ["x", "w"], ["y"])], w=np.ones((1, 3, 8, 8), np.float32))
    path = tmp_path / "m.onnx"
    onnx.save(model, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    again = onnx.load(path, load_external_data=False)
    for entry in again.graph.initializer[0].external_data:
        entry.value = text if entry.key == key else entry.value
    path.write_bytes(again.SerializeToString())
    assert _refused(path) == (
        f"m.onnx: the constant 'w': Its {key} in the file 'w.bin' is '{text}', which is no number of bytes."
    )


@pytest.mark.parametrize(("pad", "shown"), [(b"FOO", "FOO"), (b"SAM\xff", "SAM\\xff")])
def test_a_padding_that_is_none(pad: bytes, shown: str) -> None:
    conv = helper.make_node("Conv", ["x", "w"], ["y"], name="c", auto_pad="QQQQ"[: len(pad)])
    model = _model([conv], w=np.ones((3, 3, 3, 3), np.float32)).SerializeToString()
    assert _refused(model.replace(b"QQQQ"[: len(pad)], pad)) == (
        f"m.onnx: c: Its auto_pad is '{shown}', which ONNX does not know: NOTSET, VALID, SAME_UPPER and SAME_LOWER are."
    )


def test_an_attribute_that_is_no_text() -> None:
    turned = helper.make_node("Resize", ["x", "", "s"], ["y"], name="r", mode="lineQQ")
    model = _model([turned], s=np.array([1, 1, 2, 2], np.float32)).SerializeToString()
    assert _refused(model.replace(b"lineQQ", b"line\xff\x80")) == (
        "m.onnx: r: Its attribute 'mode' is 'line\\xff\\x80', which is no UTF-8: the file is damaged, or its exporter "
        "has to be mended."
    )
