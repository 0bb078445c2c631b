"""recon gui: our passes run in xDSL's explorer, with the model's constants; without its packages it says so."""

from __future__ import annotations

import asyncio
import sys

import pytest

from tests.conftest import ROOT, Tool
from tools.driver import make_context, read_module

RESNET8 = ROOT / "tests" / "data" / "models" / "resnet8_cifar10_int8.onnx"


def test_our_passes_run_with_the_models_constants() -> None:
    pytest.importorskip("textual", reason="pip install -e '.[gui]'")
    pytest.importorskip("pyclip", reason="pip install -e '.[gui]'")
    from passes.pipeline import PIPELINE
    from tools.explorer import Explorer

    app = Explorer(read_module(RESNET8, make_context()), RESNET8)
    wanted = tuple(entry.load()() for entry in PIPELINE if entry.level == "cnn" and entry.default and not entry.when)

    async def explore() -> None:
        async with app.run_test() as pilot:
            await pilot.pause()
            assert "onnx." in str(app.current_module)
            app.pass_pipeline = (*app.pass_pipeline, *wanted)
            await pilot.pause()
            assert not isinstance(app.current_module, Exception), app.current_module
            assert "cnn.conv2d" in str(app.current_module)
            app.input_text_area.load_text("nonsense")
            await pilot.pause()
            assert isinstance(app.current_module, Exception)

    asyncio.run(explore())


def test_it_says_what_to_install(recon: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "textual", None)
    monkeypatch.delitem(sys.modules, "tools.explorer", raising=False)
    monkeypatch.delitem(sys.modules, "xdsl.interactive.app", raising=False)
    monkeypatch.setitem(sys.modules, "pyclip", None)
    ended = recon("gui", RESNET8)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "error: The explorer needs pyclip, which is not installed: pip install 'recon-compiler[gui]'.\n"
    )


def test_it_needs_a_terminal(recon: Tool) -> None:
    pytest.importorskip("textual", reason="pip install -e '.[gui]'")
    pytest.importorskip("pyclip", reason="pip install -e '.[gui]'")
    assert recon("gui", RESNET8).err == (
        "error: The explorer needs a terminal; 'recon dump MODEL --dump-dir DIR' writes what it would show.\n"
    )
