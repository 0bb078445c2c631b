"""What an addition costs: an instruction's field, a planner's option or a pass is stated once, and the rest follows.

Each test adds something in a process of its own, before anything else is imported, and looks at everybody who has to
know of it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

FIELD = """
import dataclasses

from sim.machine import isa

row = isa.BY_NAME["configure"]
with_probe = dataclasses.replace(row, fields=(*row.fields, isa.Field("probe", "u8", "a probe", 0, 9)))
isa.INSTRUCTIONS = tuple(with_probe if one is row else one for one in isa.INSTRUCTIONS)
isa.BY_NAME["configure"] = isa.BY_OPCODE[row.opcode] = with_probe

from dialects import accel
from sim.machine import assembly, encoding
from sim.machine.errors import ReconError
from sim import engine
from tools.docs import isa as page

records = assembly.assemble("configure probe=3")
stream = encoding.decode(encoding.encode(records))
print("encoding", stream.fields(0)["probe"])
print("assembly", assembly.line("configure", {"probe": 3}))
try:
    encoding.encode([("configure", {"probe": 10})])
except ReconError as error:
    print("refusal", error)
op = accel.INSTRUCTION_OPS["configure"].make({"probe": 3})
print("accel", op.record()[1]["probe"], op)
seen = []
engine.HANDLERS["configure"] = lambda machine, fields: seen.append(fields["probe"])
engine.HANDLERS["configure"](None, stream.fields(0))
print("handler", *seen)
print("manual", [line for line in page().splitlines() if "`probe`" in line])
"""

OPTION = """
import pathlib
import sys
import types

import passes.planner

path = pathlib.Path("passes/planner/options.py")
trials = "    trials: int = 0\\n"
before, after = path.read_text().split(trials)
added = '    probe: int = option(0, "A probe.", "N", kind=int)\\n    wings: bool = freedom("wings")\\n'
module = types.ModuleType("passes.planner.options")
sys.modules[module.__name__] = passes.planner.options = module
exec(compile(before + trials + added + after, path, "exec"), module.__dict__)

from xdsl.utils.arg_spec import ArgSpec

from passes.cnn_to_tile.convert_cnn_to_tile import ConvertCnnToTilePass
from tools import opt
from tools.main import app
import recon


class Seen(Exception):
    pass


def use(self, ctx, op):
    raise Seen(f"{self.probe} {self.wings}")


ConvertCnnToTilePass.apply = use


def seen(what, call):
    try:
        call()
    except Seen as error:
        print(what, error)


model = "tests/data/models/dscnn_kws_int8.onnx"
seen("compile", lambda: app(["compile", model, "-o", sys.argv[1], "--probe", "3", "--without", "wings"],
                            standalone_mode=False))
seen("opt", lambda: opt.ReconOpt(args=[model, "--to", "tile", "--probe", "4"]).run())
seen("python", lambda: recon.compile(model, planning=recon.Planning(probe=5, wings=False)))
spec = ArgSpec("convert-cnn-to-tile", {"probe": (6,)})
seen("pass", lambda: ConvertCnnToTilePass.from_pass_spec(spec).apply(None, None))
app(["compile", "--help"], standalone_mode=False)
"""

PASS = """
import pathlib
import sys
import types

import passes.cnn

made = types.ModuleType("passes.cnn.probe_layers")
made.__doc__ = "A probe."
exec('''
from xdsl.passes import ModulePass

class ProbeLayersPass(ModulePass):
    \"\"\"A probe.\"\"\"

    name = "probe-layers"

    def apply(self, ctx, op):
        print("ran on", op.name)
''', made.__dict__)
sys.modules[made.__name__] = passes.cnn.probe_layers = made

path = pathlib.Path("passes/pipeline.py")
before, after = path.read_text().split('    Entry("cnn", "passes.cnn.legalize"')
module = types.ModuleType("passes.pipeline")
sys.modules[module.__name__] = passes.pipeline = module
added = '    Entry("cnn", "passes.cnn.probe_layers"),\\n    Entry("cnn", "passes.cnn.legalize"'
exec(compile(before + added + after, path, "exec"), module.__dict__)

from tools import docs, opt
from tools.registry import UNIVERSE, get_all_passes
import recon

print("tool", get_all_passes()["probe-layers"]().__name__)
print("universe", "probe-layers" in UNIVERSE.all_passes)
opt.ReconOpt(args=["tests/filecheck/cnn/dialect.mlir", "-p", "probe-layers", "-o", sys.argv[1]]).run()
print("road", [entry.name for entry in passes.pipeline.PIPELINE].index("probe-layers"))
recon.compile("tests/data/models/dscnn_kws_int8.onnx", planning=recon.Planning(level=0))
print("manual", any("probe-layers" in line for line in docs.passes().splitlines()))
"""


def run(script: str, *arguments: str) -> list[str]:
    """The lines that a script prints."""
    ended = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def test_an_instruction_field_is_stated_once() -> None:
    """In its row; its handler reads it, and encoding, ranges, assembly, accel operation and manual follow."""
    assert run(FIELD) == [
        "encoding 3",
        "assembly configure probe=3",
        "refusal configure: field 'probe' holds whole numbers from 0 to 9, not 10.",
        "accel 3 %0 = accel.configure {probe = 3}",
        "handler 3",
        "manual ['| `probe` | u8 | 0…9 | a probe |']",
    ]


def test_a_planner_option_is_stated_once(tmp_path: Path) -> None:
    """As a field of the options; the place that reads it finds it, however it was asked for, and help texts show it."""
    seen = run(OPTION, str(tmp_path / "x.rbin"))
    assert seen[:4] == ["compile 3 False", "opt 4 True", "python 5 False", "pass 6 True"]
    assert [line.split() for line in seen if "--probe" in line] == [["--probe", "N", "A", "probe."]]
    assert any(line.split()[:1] == ["--without"] and "wings" in line for line in seen)


def test_a_pass_is_a_file_and_a_line(tmp_path: Path) -> None:
    """And its text test, which another test asks for; tools, xDSL's universe, the road and the manual follow."""
    seen = run(PASS, str(tmp_path / "out.mlir"))
    assert seen[:3] == ["tool ProbeLayersPass", "universe True", "ran on builtin.module"]
    assert seen[3].startswith("road ")
    assert seen[4:] == ["ran on builtin.module", "manual True"]


GREATER = re.compile(
    r'\b(MaxOp|op_Max)\b|[Oo]peration\("max"|"max": _chosen|\("max", "min"\)|"Max": cnn|\("Max", "Min"\)'
)
"""How the elementwise maximum of two tensors is written down, as a class, a word or a law."""

PLACES = {
    "dialects/cnn.py": "the class",
    "dialects/meaning/steps.py": "its meaning",
    "sim/machine/operations.py": "its row",
    "sim/vector_unit.py": "its handler",
    "passes/onnx_to_cnn/elementwise.py": "its reader",
    "tests/oracle/elementwise.py": "the oracle's law",
    # The proof for every input rests on no fact of the row: it has labels of its own for both sides that it compares.
    "tools/proof/model.py": "its label in the model",
    "tools/proof/machine.py": "its label in the machine",
}
USERS = {"passes/onnx_to_cnn/reductions.py", "passes/onnx_to_cnn/slopes.py"}
"""Readers of other operators that are made of maxima."""


def test_an_operation_of_the_vector_unit_lives_in_six_places_and_in_the_proof() -> None:
    """Clock, touched bytes, footprint, limits, verifiers, planner and manual take what they must know from its row."""
    folders = ("backend", "dialects", "passes", "sim", "tools", "tests/oracle")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    found = {str(path.relative_to(ROOT)) for path in files if GREATER.search(path.read_text())}
    assert found == set(PLACES) | USERS
