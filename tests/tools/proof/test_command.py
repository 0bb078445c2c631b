"""recon prove, as people call it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tools.driver import compile_model
from tools.main import main

MODEL = ROOT / "examples" / "mobilenetv1_vww_int8.onnx"
OTHER = ROOT / "tests" / "data" / "models" / "dscnn_kws_int8.onnx"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("programs") / "vww.rbin"
    compile_model(MODEL).save(path)
    return path


def test_a_good_program_is_proven(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["prove", str(program), "--against", str(MODEL), "-q"], exits=False)
    said = capsys.readouterr().out
    assert said.startswith("proven for every input: 2 output elements, ")
    assert said.endswith(" instructions, 1 round\nfrom onnx to cnn: 29 of 29 layers follow for every input\n")


def test_a_program_of_another_model_is_refused(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["prove", str(program), "--against", str(OTHER)], exits=False)
    assert ended.value.code == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: The program's outputs are Identity (2 elements) and the model's are Identity (12 elements)."
    )
