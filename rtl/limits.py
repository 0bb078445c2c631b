"""What the RTL does not do, refused before a program runs: it has no way to say so itself."""

from __future__ import annotations

import numpy as np

from rtl.headers import PARAMETERS, POOL_COLUMNS, QUEUE_DEPTH, SHARERS
from sim.machine.description import Machine
from sim.machine.encoding import Stream, decode
from sim.machine.isa import BY_NAME, QUEUES
from sim.machine.operations import NAMES, OPERATIONS

_OPERANDS = {"load": ("",), "store": ("",), "conv": ("in.", "res.", "out."), "vector": ("a.", "b.", "out.")}
_FLOATS = {"conv": ("ra", "rb"), "vector": ("ra", "rb")}


def refusal(machine: Machine, code: bytes) -> str | None:
    """Why the RTL cannot run these instructions, or None."""
    stream = decode(code)
    for queue in QUEUES:
        mine = sum(len(stream.tables[row.opcode]) for row in BY_NAME.values() if row.queue == queue)
        if mine > QUEUE_DEPTH:
            return f"The RTL's queue '{queue}' holds {QUEUE_DEPTH} instructions, and the program has {mine} of them."
    for index in range(len(stream)):
        reason = _reason(stream, index)
        if reason is not None:
            return f"The RTL has no way for instruction {index}, {stream.instruction(index).name}: {reason}."
    return None


def _reason(stream: Stream, index: int) -> str | None:
    name, fields = stream.instruction(index).name, stream.fields(index)
    for operand in _OPERANDS.get(name, ()):
        if fields[f"{operand}ring"] and fields[f"{operand}row"] >= fields[f"{operand}ring"]:
            return f"'{operand}row' is not below '{operand}ring'"
    for field in _FLOATS.get(name, ()):
        if 0 < abs(fields[field]) < float(np.finfo(np.float32).tiny):
            return f"'{field}' is no normal number"
    if name == "conv":
        if fields["last"] > 1:
            return "a result leaves it rounded, not as float32"
        if fields["groups"] * fields["outputs"] > PARAMETERS:
            return f"a pass keeps parameters of {PARAMETERS} output channels"
        if fields["dx"] == 1 and (fields["fx"] - 1) // fields["sx"] >= SHARERS:
            return f"more than {SHARERS} pixels share a column of the input"
    if name == "vector":
        row = OPERATIONS[int(fields["op"])]
        if row.name == "lrn":
            return "local response normalisation takes powers in float64"
        if row.reads == "window" and fields["fx"] > POOL_COLUMNS:
            return f"a pool has at most {POOL_COLUMNS} columns"
        if row.reads == "image" and (fields["oy"], fields["ox"]) != (1, 1):
            return "a global average makes one pixel"
    return None


COVERED = tuple(name for name in NAMES if name != "lrn")
"""Operations of the vector unit that the RTL has."""
