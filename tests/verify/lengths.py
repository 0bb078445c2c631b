"""How much is tried: three lengths, every number of which the command line can change."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

MODELS = ROOT / "tests" / "data" / "models"


@dataclass(frozen=True)
class Length:
    """``models`` on each of ``machines`` with ``inputs`` each; graphs of a few ``operators``; so many ``cases`` at
    most of what ONNX's schemas let a node say, and of its node cases quantised; ``graphs`` made at random; the
    ``nodes`` cases of onnx's own modules of these names, all for none, around the machine; random ``plans``;
    ``mutants`` of small programs; ``proofs`` of random ones with one thing changed; mutated ``texts`` of every level;
    random ``programs`` against the second clock; ``surroundings`` in which a compile must give the same bytes. Against
    the tools: ``named`` files that once hung or flooded one, ``fuzzed`` inputs of each reader, ``flips`` of bits of
    each file, ``broken`` models, and ``kills``."""

    models: tuple[str, ...]
    machines: tuple[str, ...]
    inputs: int
    operators: int
    plans: int
    mutants: int
    proofs: int
    programs: int
    surroundings: int
    texts: int
    cases: int
    graphs: int
    named: int
    fuzzed: int
    flips: int
    broken: int
    kills: int
    nodes: tuple[str, ...] = ("lrn", "topk")
    seed: int = 1

    @property
    def paths(self) -> list[Path]:
        """The models' files."""
        return [MODELS / f"{name}.onnx" for name in self.models]


_SMALL = ("dscnn_kws_int8", "resnet8_cifar10_int8")
_ALL = (*_SMALL, "mobilenetv2_kws_int8", "mobilenetv1_vww_int8")
_MACHINES = ("edge4k", "edge1k", "peer4k", "edge4k-fixed")

LENGTHS: dict[str, Length] = {
    "short": Length(
        _SMALL,
        _MACHINES[:1],
        inputs=2,
        operators=12,
        plans=8,
        mutants=112,
        proofs=4,
        programs=40,
        surroundings=3,
        texts=24,
        cases=12,
        graphs=12,
        named=3,
        fuzzed=0,
        flips=100,
        broken=8,
        kills=1,
    ),
    "normal": Length(
        _ALL,
        _MACHINES[:2],
        inputs=8,
        operators=80,
        plans=60,
        mutants=1000,
        proofs=40,
        programs=500,
        surroundings=5,
        texts=5000,
        cases=9999,
        graphs=2000,
        nodes=("gru", "lstm", "maxpool", "averagepool", "pad", "softmax", "gather", "lrn", "topk"),
        named=999,
        fuzzed=2000,
        flips=5000,
        broken=500,
        kills=60,
    ),
    "long": Length(
        _ALL,
        _MACHINES,
        inputs=16,
        operators=999,
        plans=200,
        mutants=5000,
        proofs=200,
        programs=2500,
        surroundings=99,
        texts=15000,
        cases=9999,
        graphs=6000,
        nodes=(),
        named=999,
        fuzzed=20000,
        flips=50000,
        broken=2000,
        kills=200,
    ),
}
"""Under a minute, a few minutes, an hour or so."""
