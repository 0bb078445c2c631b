"""recon explain: its counterfactuals are what their options give, and its answers are those of the program."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from sim.machine.program import load
from tests.conftest import ROOT, Tool
from tools.driver import compile_model
from tools.options import Planning
from tools.reports.explain.text import find_layer
from tools.reports.profile.records import profile
from tools.runtime import run_program

RESNET8 = ROOT / "tests" / "data" / "models" / "resnet8_cifar10_int8.onnx"


def rows(text: str) -> dict[str, tuple[int, str]]:
    """Measured cycles and options of the tables of trials, by what was tried."""
    tried = r"without \w+|twice the \w+|frames in a row, each|4 frames together, each"
    found = re.findall(rf"^({tried}) +.*?([\d,]+) +[-+][\d.]+ % +[\d.]+[kMG]? +(--.*)$", text, re.M)
    return {what: (int(cycles.replace(",", "")), options) for what, cycles, options in found}


def test_the_run(recon: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended = recon("explain", RESNET8)
    assert ended.code == 0
    text = ended.out
    assert max(map(len, text.splitlines())) <= 120
    assert text.startswith("resnet8_cifar10_int8 on edge4k\n  No program that runs these layers in this ")
    assert "\nThe layers that take most of the time\nlayer" in text
    assert "conv2d_7" in text
    trials = rows(text)
    assert list(trials) == [
        *(f"without {name}" for name in ("prefetch", "fusion", "residency", "winograd", "order")),
        *(f"twice the {name}" for name in ("SRAM", "bandwidth", "lanes")),
        "frames in a row, each",
        "4 frames together, each",
    ]
    # each row is what its command gives
    again, vary, varied = (shlex.split(line) for line in (text.splitlines()[at] for at in (-4, -2, -1)))
    (half,) = re.findall(r"^pictures of half the rows and columns .* ([\d,]+) +[-+][\d.]+ % .*--smaller 2$", text, re.M)
    assert recon(*vary[1:], "--smaller", 2, "-q").code == 0
    assert recon(*varied[1:], "--force", "-q").code == 0
    assert load("again.rbin").predicted_cycles == int(half.replace(",", ""))
    assert again == ["recon", "compile", str(RESNET8), "-o", "again.rbin"]
    for cycles, options in trials.values():
        assert recon(*again[1:], *shlex.split(options), "--force").code == 0
        timed = run_program(load("again.rbin"), timing_only=True).statistics
        assert round(timed.cycles / timed.batch) == cycles


def test_a_layer(recon: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = compile_model(RESNET8)
    chosen = next(layer for layer in program.layers if layer.name == "conv2d_7")
    text = recon("explain", RESNET8, "conv2d_7", "-q").out
    assert text.startswith("conv2d_7: conv ")
    assert f"\nWhy {chosen.configuration}\n" in text
    table = re.findall(r"^([* ]) ((?:direct|winograd) \S+ \S+ \S+ \S+) +([\d,]+) +([\d,]+) ", text, re.M)
    assert [mark for mark, *_ in table] == ["*", " ", " ", " "]
    assert table[0][1] == chosen.configuration
    alone = [int(cycles.replace(",", "")) for _, _, cycles, _ in table]
    assert alone[1:] == sorted(set(alone[1:]))  # one runner-up for each cost
    for question in ("weights not on chip when it begins", "not fused with its neighbours"):
        assert f"Why {'are its ' if 'weights' in question else 'is it '}{question}?\n  " in text
    pinned = pins(text)
    assert [pin.rpartition("=")[2].split()[0] for pin in pinned][4:] == ["first", "fused", "fused", "fused"]
    for pin, cycles in pinned.items():  # every counterfactual is what its option gives
        if cycles is None:
            said = " ".join(text.split())
            assert "average_pooling2d_AvgPool, 2 stripes: Cannot pin: average_pooling2d_AvgPool (global_av" in said
            continue
        assert compile_model(RESNET8, options=Planning(pin=(pin,))).predicted_cycles == cycles
    made = profile(program)  # a node of the model means its layer
    assert find_layer(made, chosen.onnx[0]) == find_layer(made, "conv2d_7")
    other = re.findall(r"^(.+?)  +([\d,]+) +([\d,]+|no plan) .* --layer conv2d_7 (--.*)$", text, re.M)
    assert [options for *_, options in other] == ["--channels 48", "--pointwise", "--without"]
    vary, varied = (shlex.split(line) for line in text.splitlines()[-2:])
    monkeypatch.chdir(tmp_path)
    for _, _, measured, options in other:
        ended = recon(*vary[1:], "--force", "-q", "--layer", "conv2d_7", *options.split())
        assert (ended.code == 0) == (measured != "no plan")
        if ended.code == 0:
            assert recon(*varied[1:], "--force", "-q").code == 0
            assert load("again.rbin").predicted_cycles == int(measured.replace(",", ""))


def pins(text: str) -> dict[str, int | None]:
    """What was pinned, and the measured cycles; of configurations those stand in a table of their own."""
    rows = re.findall(r'^.*? {2,}(no plan|[\d,]+) +(?:-|[-+][\d.]+ %) +\S+ +--pin "(.*)"$', text, re.M)
    found = re.findall(r"^[* ] ((?:direct|winograd) \S+ \S+ \S+ \S+) +[\d,]+ +([\d,]+) ", text, re.M)
    name = text.partition(":")[0]
    every = [*((f"{name}={pin}", cycles) for pin, cycles in found), *((pin, cycles) for cycles, pin in rows)]
    return {pin: None if cycles == "no plan" else int(cycles.replace(",", "")) for pin, cycles in every}


def test_activations_in_dram(recon: Tool) -> None:
    made = profile(compile_model(RESNET8, options=Planning(sram_limit=32 * 1024)))
    name, spilled = max(
        ((layer.statistics.name, layer.traffic["spill"]) for layer in made.layers), key=lambda row: row[1]
    )
    assert spilled
    text = recon("explain", RESNET8, name, "-q", "--sram-limit", "32KiB").out
    assert f"Why do activations of it wait in DRAM?\n  {spilled:,} bytes of activations cross the channel" in text
    kept = [pin for pin in pins(text) if pin.endswith("=sram")]
    assert kept
    assert "twice the SRAM " in text
    assert "--sram-limit 65536" in text


def test_no_such_layer(recon: Tool) -> None:
    ended = recon("explain", RESNET8, "conv2d_77", "-q")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: There is no layer or node 'conv2d_77'; did you mean conv2d_7, ")
