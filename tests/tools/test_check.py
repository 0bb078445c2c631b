"""recon check: where every node goes, what is refused, and what the command line would settle."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import onnx
import onnx.parser
import pytest

from tests.conftest import ROOT, Tool
from tests.tools.quantise.nets import small
from tools.reports.check import FOLDED, HOST, MACHINE, REFUSED, check_model

RESNET8 = ROOT / "tests" / "data" / "models" / "resnet8_cifar10_int8.onnx"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write_model(path: str, graph: str) -> None:
    onnx.save(onnx.parser.parse_model('<ir_version: 8, opset_import: ["" : 13]> ' + graph), path)


def test_a_model_that_compiles(recon: Tool) -> None:
    outcome = recon("check", RESNET8)
    assert (outcome.code, outcome.err) == (0, "")
    rows = {line.split()[0]: line.split()[1:] for line in outcome.out.splitlines() if line.split()}
    assert rows["operator"] == ["machine", "host", "refused", "folded"]
    assert rows["Conv"] == ["9", "-", "-", "-"]
    assert rows["Softmax"] == ["-", "1", "-", "-"]
    assert "100 % of 12.5M MACs on the machine" in outcome.out
    assert outcome.out.endswith("compiles, as far as can be said without a plan.\n")


def test_every_node_has_its_place() -> None:
    found = check_model(str(RESNET8), {})
    model = onnx.load(RESNET8)
    assert len(found.nodes) == len({node.name for node in found.nodes})
    assert {node.place for node in found.nodes} == {MACHINE, HOST, FOLDED}
    convs = [node for node in found.nodes if node.operator == "Conv"]
    assert len(convs) == sum(node.op_type == "Conv" for node in model.graph.node)
    assert all(node.layer for node in found.nodes if node.place in (MACHINE, HOST))
    entry = next(node for node in found.nodes if node.place == HOST and node.operator == "DequantizeLinear")
    assert entry.layer == "behind the machine"


def test_verbose_and_data_name_every_node(recon: Tool) -> None:
    count = len(check_model(str(RESNET8), {}).nodes)
    text = recon("check", RESNET8, "-v").out
    assert len(text.split("\n\n")[0].splitlines()) == 1 + count
    assert len(list(csv.DictReader(io.StringIO(recon("check", RESNET8, "--format", "csv").out)))) == count
    data = json.loads(recon("check", RESNET8, "--format", "json").out)
    assert (len(data["nodes"]), data["compiles"], data["problems"]) == (count, True, [])


def test_a_float_model_is_looked_at_as_if_quantised(recon: Tool) -> None:
    onnx.save(small(), "small.onnx")
    outcome = recon("check", "small.onnx")
    assert outcome.code == 1
    assert outcome.out.endswith(
        "The model is float and was looked at as if it were quantised; 'recon quantize' makes it int8, and "
        "--assume-int8 compiles it for its cost alone.\n"
    )
    assert "Conv                      5     -        -       -" in outcome.out


def test_open_shapes_are_put_in_and_said(recon: Tool) -> None:
    write_model(
        "open.onnx",
        """g (float[N,3,H,W] x) => (float[N,3,P,Q] y) <float s = {0.1}, int8 z = {0}>
        { q = QuantizeLinear (x, s, z)  d = DequantizeLinear (q, s, z)  r = Relu (d)
          p = QuantizeLinear (r, s, z)  y = DequantizeLinear (p, s, z) }""",
    )
    outcome = recon("check", "open.onnx")
    assert (outcome.code, outcome.err) == (1, "")
    assert outcome.out.endswith(
        "The shape of the input 'x' is open; compile with --input-shape x=1,3,224,224, as looked at here, or with the "
        "sizes you need.\n"
    )
    assert recon("check", "open.onnx", "--input-shape", "x=1,3,32,32").code == 0


def test_refusals_come_with_their_reasons_all_at_once(recon: Tool) -> None:
    write_model(
        "refused.onnx",
        """g (float[1,3,8,8] x) => (float[1,3,16,16] y, float[1,3,4,4] v)
        <float s = {0.1}, int8 z = {0}, float[4] up = {1.0, 1.0, 2.0, 2.0}>
        { q = QuantizeLinear (x, s, z)  d = DequantizeLinear (q, s, z)
          [cubic] r = Resize <mode = "cubic"> (d, , up)  p = QuantizeLinear (r, s, z)  y = DequantizeLinear (p, s, z)
          [lp] u = LpPool <kernel_shape = [2, 2], strides = [2, 2]> (d)
          t = QuantizeLinear (u, s, z)  v = DequantizeLinear (t, s, z) }""",
    )
    found = check_model("refused.onnx", {})
    reasons = {node.name: node.reason for node in found.nodes if node.place in (REFUSED, HOST) and node.reason}
    outcome = recon("check", "refused.onnx")
    assert {"cubic", "lp"} <= set(reasons)
    assert outcome.code == (0 if found.compiles else 1)
    assert all(reason in outcome.out for reason in reasons.values())


def test_what_cannot_be_read(recon: Tool) -> None:
    outcome = recon("check", "gone.onnx")
    assert (outcome.code, outcome.out, outcome.err) == (1, "", "error: gone.onnx: There is no such file.\n")
