"""A certificate holds for every good program, and for none that claims more than the model gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner

from backend.bounds import Work, certify
from sim.machine.certificate import Certificate
from sim.machine.program import Program
from tools import certificate
from tools.driver import compile_model
from tools.main import app

MODELS = Path(__file__).resolve().parents[1] / "data" / "models"
NAMES = sorted(path.name for path in MODELS.glob("*.onnx"))


@pytest.fixture(scope="module", params=["dscnn_kws_int8.onnx", "resnet8_cifar10_int8.onnx"])
def made(request: pytest.FixtureRequest) -> tuple[Program, onnx.ModelProto]:
    path = MODELS / str(request.param)
    return compile_model(path), onnx.load(path)


@pytest.mark.parametrize("machine", ["edge4k", "edge4k-fixed"])
@pytest.mark.parametrize("name", NAMES)
def test_it_holds_for_what_is_compiled(name: str, machine: str) -> None:
    program = compile_model(MODELS / name, machine)
    assert program.certificate.cycles == program.bounds.bound3 > 0
    assert certificate.check(program.to_bytes(), onnx.load(MODELS / name)) == []


@pytest.mark.parametrize("name", ["res_nncf_mixed", "mb3_brev_layerwise_qcdq", "mb3_ort_trt"])
def test_it_holds_where_quantisers_leave_out_an_output(name: str) -> None:
    """Float32 outputs are four bytes an element, and parts of the model are on the host."""
    path = MODELS.parent / "quantisers" / f"{name}.onnx"
    assert certificate.check(compile_model(path).to_bytes(), onnx.load(path)) == []


def forged(program: Program, claim: Certificate) -> Program:
    """The program with another certificate and the bound that it adds up to."""
    bounds = dataclasses.replace(program.bounds, bound3=claim.cycles)
    return dataclasses.replace(program, certificate=claim, bounds=bounds)


def raised(program: Program) -> Iterator[tuple[str, Certificate]]:
    """Certificates that claim one more somewhere, and whose terms follow from what they claim."""
    claim = program.certificate

    def following(work: list[Work], images: tuple[int, int, int]) -> Certificate:
        return certify(work, images, claim.input_bytes, claim.output_bytes, program.machine)

    work = [Work(each.name, 0, each.array, each.vector, each.weight_bytes) for each in claim.layers]
    for index, layer in enumerate(work):
        for what in ("array", "vector", "weight_bytes"):
            more = dataclasses.replace(layer, **{what: getattr(layer, what) + 1})
            yield f"{what} of {layer.name}", following([*work[:index], more, *work[index + 1 :]], claim.array_by_images)
    for index in range(3):
        images = list(claim.array_by_images)
        images[index] += 1
        yield f"array with {index + 1} images", following(work, (images[0], images[1], images[2]))
    for what in ("input_bytes", "output_bytes"):
        yield what, dataclasses.replace(claim, **{what: getattr(claim, what) + 1})
    for index, (name, cycles) in enumerate(claim.terms):
        terms = (*claim.terms[:index], (name, cycles + 1), *claim.terms[index + 1 :])
        yield f"term {name}", dataclasses.replace(claim, terms=terms)


def test_none_holds_that_claims_one_more(made: tuple[Program, onnx.ModelProto]) -> None:
    program, model = made
    accepted = [
        what for what, claim in raised(program) if not certificate.check(forged(program, claim).to_bytes(), model)
    ]
    assert accepted == []


def test_the_bound_in_the_head_is_the_certificates(made: tuple[Program, onnx.ModelProto]) -> None:
    program, model = made
    other = dataclasses.replace(program, bounds=dataclasses.replace(program.bounds, bound3=program.bounds.bound3 + 1))
    assert certificate.check(other.to_bytes(), model) == [
        f"the terms add up to {program.bounds.bound3:,} and the program claims {program.bounds.bound3 + 1:,}"
    ]


def test_the_command(tmp_path: Path) -> None:
    runner, model, file = CliRunner(), MODELS / "dscnn_kws_int8.onnx", tmp_path / "kws.rbin"
    compile_model(model).save(file)
    good = runner.invoke(app, ["certificate", str(file), "--against", str(model), "--machine", "edge4k"])
    assert (good.exit_code, good.output) == (0, f"""\
because of        cycles
bytes              3,439
latency               80
last instruction      17
last result           81
bound3             3,617
limit: channel; the program takes 3,955 cycles
certified: 3,617 cycles, recomputed from {model} alone
""")  # fmt: skip
    other = runner.invoke(app, ["certificate", str(file), "--machine", "edge1k"])
    assert other.exit_code == 1
    wrong = runner.invoke(app, ["certificate", str(file), "--against", str(MODELS / "mobilenetv1_vww_int8.onnx")])
    assert wrong.exit_code == 1
