"""What an addition costs: an instruction's field is stated once and read by its handler, and everything else follows.

Each test adds something in a process of its own, before anything else is imported, and looks at everybody who has to
know of it.
"""

from __future__ import annotations

import os
import subprocess
import sys

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


def run(script: str) -> list[str]:
    """The lines that a script prints."""
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False,
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
