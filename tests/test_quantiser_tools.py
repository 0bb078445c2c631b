"""The quantisers that write for ``make quantisers``: their manifest, the networks they get, and the page's table."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))

import quantiser_tools
import quantisers as page
from quantiser_nets import NETS, built, examples
from quantiser_tools import Quantiser, Written


def test_every_tool_is_pinned_and_has_its_script() -> None:
    found = quantiser_tools.quantisers()
    assert len({tool.name for tool in found}) == len(found)
    for tool in found:
        assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+", package) for package in tool.packages), tool.name
        assert (quantiser_tools.HERE / "quantiser_scripts" / tool.script).is_file(), tool.name
        assert tool.settings, tool.name


@pytest.mark.parametrize("name", NETS)
def test_networks_are_the_same_every_time(name: str) -> None:
    model = built(name)
    assert model.SerializeToString(deterministic=True) == built(name).SerializeToString(deterministic=True)
    onnx.checker.check_model(model)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for value in session.run(None, {"input": examples(0, 1)[0]}):
        assert isinstance(value, np.ndarray)
        assert np.isfinite(value).all()
        assert value.std() > 0.05


def test_what_a_tool_writes_or_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that copies its model in one setting and fails in another, in the environment of the tests."""
    (tmp_path / "quantiser_scripts").mkdir()
    (tmp_path / "quantiser_scripts" / "copy.py").write_text(
        "import shutil, sys\n_, model, data, out, setting = sys.argv\n"
        "shutil.copy(model, out) if setting == 'good' else sys.exit('no such setting')\n"
    )
    monkeypatch.setattr(quantiser_tools, "HERE", tmp_path)
    monkeypatch.setattr(quantiser_tools, "WRITTEN", tmp_path / "written")
    monkeypatch.setattr(quantiser_tools, "environment", lambda _tool: Path(sys.executable))
    made = list(quantiser_tools.written(Quantiser("copier", (), "copy.py", ("good", "bad"))))
    assert [(each.network, each.setting, each.problem) for each in made] == [
        (name, setting, problem) for name in NETS for setting, problem in (("good", ""), ("bad", "no such setting"))
    ]
    assert made[0].path.is_file()


def test_the_table() -> None:
    def row(tool: str, setting: str, network: str, **values: object) -> tuple[Written, page.Row | None]:
        made = Written(network, tool, setting, Path())
        return made, page.Row("x", **values)  # type: ignore[arg-type]

    found = [
        row("onnxruntime", "s8", "res", share=1.0, cycles=1000, ort=45.25, apart=45.0),
        (Written("mb2", "onnxruntime", "s8", Path(), "it died"), None),
        row("nncf", "mixed", "res", share=0.9951, cycles=1100, ort=300.0, apart=None),
        row("nncf", "mixed", "mb2", problem="no"),
    ]
    assert page.tools_table(found).splitlines() == [
        "| tool | setting | res | mb2 | det | se |",
        "| --- | --- | --- | --- | --- | --- |",
        "| onnxruntime | s8 | 45.2 dB (45.0 dB), 1.00 | the tool failed: it died |  |  |",
        "| nncf | mixed | equal (cannot run it), 1.10, 0.9951 of the MACs | refused: no |  |  |",
    ]
