"""What several test files use: the command line tools in this process, and small programs made by hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from sim.machine.description import load as load_machine
from sim.machine.encoding import encode
from sim.machine.program import Bounds, LayerRow, MachineSegment, Port, Program, Region, SramUse

ROOT = Path(__file__).resolve().parent.parent

# Workers of pytest-xdist set it, and the tables of a run fit it; what a test sees is what a pipe gets.
os.environ.pop("COLUMNS", None)

# The same examples on every machine and in every run: a gate must not depend on luck.
settings.register_profile("recon", derandomize=True)
settings.load_profile("recon")


@dataclass(frozen=True)
class Outcome:
    """How a tool ended and what it printed."""

    code: int
    out: str
    err: str


Tool = Callable[..., Outcome]


def _tool(main: Callable[[list[str]], None], capsys: pytest.CaptureFixture[str]) -> Tool:
    def run(*arguments: object) -> Outcome:
        code: object = 0
        message = ""
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code
            if isinstance(code, str):  # as the interpreter does
                code, message = 1, code + "\n"
        printed = capsys.readouterr()
        return Outcome(int(code or 0), printed.out, printed.err + message)  # pyright: ignore[reportArgumentType]

    return run


@pytest.fixture
def recon(capsys: pytest.CaptureFixture[str]) -> Tool:
    """``recon`` in this process: ``recon("run", path)`` gives its Outcome."""
    from tools.main import main

    return _tool(main, capsys)


@pytest.fixture
def recon_opt(capsys: pytest.CaptureFixture[str]) -> Tool:
    """``recon-opt`` in this process."""
    from tools.opt import main

    return _tool(main, capsys)


@pytest.fixture
def adder() -> Program:
    """A program of one layer: ``y`` is the int8 picture ``x`` (1x4x4x3) plus itself, halved, so ``y`` equals ``x``."""
    tensor = {"row_stride": 12, "pixel_stride": 3}
    operands = {f"{name}.{key}": value for name in ("a", "b", "out") for key, value in tensor.items()}
    code = encode([
        ("load", {"dram": 64, "sram": 0, "bytes": 48}),
        ("vector", {"op": 1, "oy": 4, "ox": 4, "channels": 3, **operands, "out.base": 64, "lo": -128, "hi": 127,
                    "ra": 0.5, "rb": 0.5, "wait.load": 1}),
        ("store", {"dram": 128, "sram": 64, "bytes": 48, "wait.vector": 1}),
    ])  # fmt: skip
    segment = MachineSegment(
        "main", code, np.zeros(3, np.uint32), (Region("x", 64, (1, 4, 4, 3)),), (Region("y", 128, (1, 4, 4, 3)),)
    )
    return Program(
        model="adder",
        machine=load_machine("edge4k"),
        inputs=(Port("x", "int8", (1, 4, 4, 3)),),
        outputs=(Port("y", "int8", (1, 4, 4, 3)),),
        segments=(segment,),
        layers=(LayerRow("sum", "add", "4x4x3", 0, 144, "", ("Add_0",)),),
        constants=np.zeros(16, np.uint8),
        dram_bytes=176,
        bounds=Bounds(compute=0, dram=9, bound=9, bound2=9),
        sram=SramUse(112, 12582800, 12582800),
        predicted_cycles=0,
        producer="by hand",
    )
