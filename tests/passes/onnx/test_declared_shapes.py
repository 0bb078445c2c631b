"""A text at the onnx level that declares other types than its operators make is refused, at the node."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Tool

TEXT = """\
func.func @main(%x: tensor<1x2x6x5xf32>) -> tensor<1x2x3x2xf32> attributes {inputs = ["x"], outputs = ["y"]} {
  %p = onnx.node "MaxPool"(%x) name "pool" attributes {kernel_shape = array<i64: 2, 2>, strides = array<i64: 2, 2>}
      : (tensor<1x2x6x5xf32>) -> tensor<1x2x3x2xf32>
  %y = onnx.node "Relu"(%p) name "relu" : (tensor<1x2x3x2xf32>) -> tensor<1x2x3x2xf32>
  func.return %y : tensor<1x2x3x2xf32>
}
"""


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("strides = array<i64: 2, 2>", "strides = array<i64: 3, 2>",
         "x.mlir has 2 problems:\n"
         "x.mlir:2:3: error: MaxPool 'pool': it makes tensor<1x2x2x2xf32>, not tensor<1x2x3x2xf32>.\n"
         "x.mlir:4:3: error: Relu 'relu': it makes tensor<1x2x2x2xf32>, not tensor<1x2x3x2xf32>.\n"),
        ("kernel_shape = array<i64: 2, 2>", "kernel_shape = array<i64: 2>",
         "x.mlir:2:3: error: x.mlir: MaxPool 'pool': Attribute kernel_shape has incorrect size.\n"),
    ],
    ids=["another stride", "half a kernel"],
)  # fmt: skip
def test_other_types_than_the_operators_make(
    recon: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, after: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert before in TEXT
    Path("x.mlir").write_text(TEXT.replace(before, after))
    ended = recon("compile", "x.mlir", "-o", "x.rbin")
    head = "" if message.startswith("x.mlir:") else "error: "
    assert (ended.code, ended.err) == (1, head + message)
