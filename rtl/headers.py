"""The machine's numbers and the instructions' fields as Verilog headers.

Both come from where they stand for everybody else: the machine's file and the instruction table. The RTL itself holds
no number of a machine and no place of a field.
"""

from __future__ import annotations

from sim.machine.description import Machine
from sim.machine.encoding import layout
from sim.machine.errors import ReconError
from sim.machine.isa import INSTRUCTIONS, QUEUES
from sim.machine.operations import NAMES

QUEUE_DEPTH = 4096
"""Instructions a queue's memory holds."""
PARAMETERS = 2048
"""Output channels whose bias and scale the array keeps during a pass."""
SHARERS = 8
"""Pixels at most that a column of the input goes to at once."""
POOL_COLUMNS = 8
"""Columns at most of a pool's window."""
STREAM = 16
"""Bytes per cycle of every stream, and elements of the vector unit: the RTL is written for these."""

_HEAD = 1 + 2 * len(QUEUES)
_BYTES = {"u8": 1, "i8": 1, "u16": 2, "u32": 4, "f32": 4}


def parameters(machine: Machine) -> str:
    """``parameters.svh``; ReconError for a machine that the RTL is not written for."""
    refuse_machine(machine)
    rate = machine.dram_rate
    numbers = {
        "LANES": machine.array.lanes,
        "HALF_WORDS": machine.array.half_words,
        "ACCUMULATORS": machine.array.accumulators,
        "CONV_OVERHEAD": machine.array.conv_overhead,
        "FLATTEN": int(machine.array.flatten),
        "FILL_OVERHEAD": machine.streams.fill_overhead,
        "VECTOR_OVERHEAD": machine.streams.vector_overhead,
        "SRAM_BYTES": machine.sram.bytes,
        "DRAM_BYTES": machine.dram.bytes,
        "RATE_NUMERATOR": rate.numerator,
        "RATE_DENOMINATOR": rate.denominator,
        "BURST": machine.dram.burst,
        "LATENCY": machine.dram.latency,
        "TURN": machine.dram.turn,
        "IMAGE_BYTES": machine.configuration.image_bytes,
        "SWAP": machine.configuration.swap,
        "SRAM_LOAD": machine.configuration.sram_load,
        "QUEUE_DEPTH": QUEUE_DEPTH,
        "PARAMETERS": PARAMETERS,
        "SHARERS": SHARERS,
        "POOL_COLUMNS": POOL_COLUMNS,
    }
    return _guarded("PARAMETERS_SVH", "".join(f"`define {name} {value}\n" for name, value in numbers.items()))


def fields() -> str:
    """``fields.svh``: a macro per field that takes it out of a record, opcodes, operations and record sizes."""
    lines: list[str] = []
    sizes: list[str] = []
    for row in INSTRUCTIONS:
        opcode, at = f"OP_{row.name.upper()}", _HEAD
        lines.append(f"`define {opcode} 8'd{row.opcode}")
        for field in row.fields:
            name = f"{row.name}_{field.name}".replace(".", "_").upper()
            name = "VECTOR_TABLE_AT" if name == "VECTOR_TABLE" else name  # the operation has the other name
            lines.append(f"`define {name}(r) r[{8 * at} +: {8 * _BYTES[field.type]}]")
            at += _BYTES[field.type]
        sizes.append(f"(opcode) == `{opcode} ? 8'd{at} : ")
    lines += [f"`define WAIT_{queue.upper()}(r) r[{8 + 16 * n} +: 16]" for n, queue in enumerate(QUEUES)]
    lines += [f"`define VECTOR_{name.upper()} 8'd{number}" for number, name in enumerate(NAMES)]
    lines.append(f"`define RECORD_BITS {8 * max(layout(row.opcode).itemsize for row in INSTRUCTIONS)}")
    lines.append(f"`define RECORD_BYTES(opcode) ({''.join(sizes)}8'd1)")
    return _guarded("FIELDS_SVH", "\n".join(lines) + "\n")


def _guarded(name: str, text: str) -> str:
    return f"`ifndef {name}\n`define {name}\n{text}`endif\n"


def refuse_machine(machine: Machine) -> None:
    """ReconError unless the RTL can be this machine."""
    streams = machine.streams
    rates = (streams.input, streams.output, streams.residual, streams.weights, streams.vector)
    problems: list[str] = []
    if any(rate != STREAM for rate in rates):
        problems.append(f"every stream must move {STREAM} bytes per cycle")
    for name, number in (("array.lanes", machine.array.lanes), ("array.half_words", machine.array.half_words),
                         ("array.accumulators", machine.array.accumulators), ("sram.bytes", machine.sram.bytes),
                         ("dram.bytes", machine.dram.bytes)):  # fmt: skip
        if number & (number - 1):
            problems.append(f"{name} must be a power of two")
    if machine.array.lanes != 64:
        problems.append("it has 64 lanes")
    if machine.dram_rate * 2 >= machine.dram.burst or machine.dram_rate > STREAM:
        problems.append(f"a burst of DRAM must take more than two cycles, and at most {STREAM} bytes move in one")
    if machine.dram.latency < 1 or min(machine.configuration.swap, machine.configuration.sram_load) < 2:
        problems.append("latency, swap and load of a configuration must take cycles")
    if problems:
        raise ReconError(f"The RTL cannot be {machine.name}: {'; '.join(problems)}.")
