"""recon report: the page stands alone, texts of a model stay texts, and what the command refuses."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from sim.machine.program import Program
from tests.conftest import ROOT, Tool
from tools.driver import compile_model
from tools.reports.page import page
from tools.reports.page.verdict import verdict
from tools.reports.profile.records import profile

RESNET8 = ROOT / "tests" / "data" / "models" / "resnet8_cifar10_int8.onnx"


@pytest.fixture
def text(adder: Program) -> str:
    evil = dataclasses.replace(adder.layers[0], name="</script><script>alert(1)</script>", onnx=("<b>&", "\u2028"))
    return page(profile(dataclasses.replace(adder, layers=(evil,), model="<i>&model")))


def test_the_page_stands_alone(text: str) -> None:
    ours = re.sub(r"<script>/\*\*.*?plotly\.js.*?</script>", "", text, flags=re.DOTALL | re.IGNORECASE)
    assert len(ours) < 200_000
    assert re.findall(r'(?:src|href)\s*=\s*["\']?(?!#)\w', ours) == []
    assert "default-src 'none'" in text
    assert "{{" not in ours.replace("${{", "")


def test_texts_of_a_model_are_no_markup(text: str) -> None:
    assert "<title>&lt;i>&amp;model on edge4k: report</title>" in text
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert "<" not in data
    assert json.loads(data)["layers"][0]["name"] == "</script><script>alert(1)</script>"


def test_the_same_report_is_the_same_page() -> None:
    program = compile_model(RESNET8)
    assert page(profile(program)) == page(profile(program))


def test_verdict() -> None:
    made = profile(compile_model(RESNET8))
    s = made.statistics
    said = verdict(made)
    assert said[0] == (
        f"No program that runs these layers in this order can take fewer than {s.bound3_cycles:,} cycles, mostly "
        f"because of the DRAM traffic; this one takes {s.cycles:,}, {s.cycles_per_bound3:.2f} times as many."
    )
    dram = sum(layer.statistics.terms["dram"] for layer in made.layers)
    assert said[1].startswith(f"The critical path is {100 * dram / s.cycles:.0f} % the DRAM channel and ")
    assert re.fullmatch(r"\d of 11 layers take half of the time: conv2d_7, .*\.", said[2])
    useful = sum(layer.losses["useful"] for layer in made.layers)
    assert f"multiplications on all lanes for {100 * useful / s.cycles:.0f} % of the time" in said[3]
    assert said[4].endswith(" full at its fullest, and no activation has to wait in DRAM.")


def test_a_program_that_only_the_host_runs() -> None:
    program = dataclasses.replace(compile_model(RESNET8), segments=(), layers=())
    assert verdict(profile(program)) == [
        "The machine has nothing to do: every operator of this model runs on the host."
    ]


def test_command(recon: Tool, tmp_path: Path) -> None:
    program, model, made = tmp_path / "m.rbin", tmp_path / "model.html", tmp_path / "program.html"
    records = tmp_path / "records.json"
    assert recon("compile", "-q", RESNET8, "-o", program).code == 0
    ended = recon("report", program, "-o", made)
    assert (ended.code, ended.err[:6]) == (0, "note: ")
    assert ended.out.startswith(f"{made}: 11 layers, ")
    assert recon("report", RESNET8, "-o", model, "--machine", "edge4k", "--json", records, "-q").out == ""
    known = json.loads(records.read_text())
    assert known["layers"][0]["plan"]
    assert known["statistics"]["machine"] == "edge4k"
    assert made.stat().st_size < 8_000_000


def test_refusals(recon: Tool, tmp_path: Path) -> None:
    program = tmp_path / "m.rbin"
    compile_model(RESNET8).save(program)
    ended = recon("report", program, "-o", tmp_path / "r.html", "-O1")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        f"error: {program}: this is a program, planned already; --machine, --input-shape, --assume-int8, -O, "
        "--objective, --sram-limit, --frames and --batch are for models.\n"
    )
    nowhere = tmp_path / "none" / "r.html"
    assert recon("report", program, "-o", nowhere).err == (
        f"error: {nowhere}: cannot be written: there is no folder {nowhere.parent}.\n"
    )
    assert "this is not a recon program" in recon("report", Path(__file__), "-o", tmp_path / "r.html").err
    assert not (tmp_path / "r.html").exists()
