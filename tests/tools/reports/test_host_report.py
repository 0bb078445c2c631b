"""What is said of the host: every operator, every node and its reason, bytes across; in text, --stats and errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from sim.statistics import HostStatistics
from tests.conftest import Tool
from tests.passes.onnx_to_cnn.graphs import Graph
from tools.reports.host_report import segments_text, summary

ENTRY = HostStatistics("entry", ("Transpose",), 0, 0, 240, ())
EXIT = HostStatistics(
    "exit",
    ("DequantizeLinear", "DequantizeLinear", "Conv", "Softmax"),
    1200,
    480,
    0,
    (("head", "Conv", "There is no QuantizeLinear behind it.", 1200), ("", "Softmax", "The machine has none.", 0)),
)


def test_text() -> None:
    assert summary(()) == "0 operators"
    assert summary((ENTRY,)) == "1 operator in 1 segment; not in the cycles"
    assert summary((ENTRY, EXIT)) == ("5 operators in 2 segments, 2 nodes of the model, 1,200 MACs; not in the cycles")
    assert segments_text((ENTRY,)) == ""
    assert segments_text((ENTRY, EXIT)) == (
        "host segment exit  480 bytes in  0 out  1,200 MACs\n"
        "  DequantizeLinear ×2, Conv, Softmax\n"
        "  - head (Conv): There is no QuantizeLinear behind it.\n"
        "  - an unnamed Softmax: The machine has none."
    )
    many = HostStatistics("exit", ("Relu",) * 40, 0, 0, 0, tuple((f"r{n}", "Relu", "None.", 0) for n in range(40)))
    lines = segments_text((many,)).splitlines()
    assert max(map(len, lines)) <= 100
    assert all(f"r{n} (Relu)" in " ".join(line.strip() for line in lines) for n in range(40))


def _model(path: Path) -> Path:
    g = Graph(1)
    x = g.requantised(g.node("Conv", g.input(1, 8, 6, 5), g.weights(8, 8, 1, 1)))
    y = g.node("InstanceNormalization", x, g.vector(8), g.vector(8))
    z = g.requantised(g.node("Conv", g.requantised(y, 0.02, 3), g.weights(8, 8, 1, 1)))
    z = g.node("Conv", z, g.vector(4, 8, 1, 1))
    g.output(g.node("Softmax", z, axis=1))
    path.write_bytes(g.model().SerializeToString())
    np.save(path.with_suffix(".npy"), g.feeds["x0"])
    return path


TEXT = """\
host segment middle  240 bytes in  240 out
  Reshape ×4, Transpose ×2, DequantizeLinear, InstanceNormalization, QuantizeLinear
  - instancenormalization_5 (InstanceNormalization): The machine has no operation for
    InstanceNormalization.
host segment exit  240 bytes in  0 out  960 MACs
  Reshape ×2, Transpose, DequantizeLinear, Conv, Softmax, QuantizeLinear
  - conv_12 (Conv): Its weights are float, and lie on no grid of 8-bit integers; quantise them to
    int8 as well.
  - softmax_13 (Softmax): It works on what conv_12 (Conv) leaves on the host.
"""

NOTE = (
    "The host runs 3 nodes of the model (InstanceNormalization, Conv, Softmax) and 960 of 4,800 "
    "multiplications; its time is not in the cycles."
)


def test_the_commands(recon: Tool, tmp_path: Path) -> None:
    model, program, stats = _model(tmp_path / "model.onnx"), tmp_path / "model.rbin", tmp_path / "stats.json"
    done = recon("compile", model, "-o", program)
    assert done.code == 0
    assert TEXT in done.out + done.err
    assert NOTE in " ".join((done.out + done.err).split())
    done = recon("run", program, "--input", model.with_suffix(".npy"), "--stats", stats)
    assert done.code == 0
    assert TEXT in done.out
    data = json.loads(stats.read_text())
    assert data["host_macs"] == 960
    assert [segment["name"] for segment in data["host"]] == ["entry", "middle", "exit"]
    assert data["host"][1]["nodes"] == [
        [
            "instancenormalization_5",
            "InstanceNormalization",
            "The machine has no operation for InstanceNormalization.",
            0,
        ]
    ]


def test_no_host_refuses_all_of_it(recon: Tool, tmp_path: Path) -> None:
    model, program = _model(tmp_path / "model.onnx"), tmp_path / "model.rbin"
    done = recon("compile", model, "-o", program, "--no-host")
    assert done.code == 1
    assert not program.exists()
    assert " ".join(done.err.split()) == (
        "error: model has 3 problems: "
        "- instancenormalization_5: The machine has no operation for InstanceNormalization. "
        "- conv_12: Its weights are float, and lie on no grid of 8-bit integers; quantise them to int8 as well. "
        "- softmax_13: It works on what conv_12 (Conv) leaves on the host."
    )
