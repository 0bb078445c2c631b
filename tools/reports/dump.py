"""The module after every pass, as text: one file per pass in order, so that two runs can be compared by ``diff -r``.

Constants stand in the text as their hashes. Times go into a table of their own, never into the text.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from xdsl.dialects.builtin import ModuleOp

from passes.common.levels import level_of
from sim.machine.assembly import disassemble
from sim.machine.encoding import decode
from sim.machine.program import MachineSegment, Program


@dataclass(frozen=True)
class Stage:
    """The module after one pass (``input``: before the first): ``seconds`` of the pass, without printing."""

    number: int
    name: str
    level: str
    text: str
    seconds: float

    @property
    def file(self) -> str:
        """``07-select-configuration.mlir``."""
        return f"{self.number:02d}-{self.name}.mlir"


@dataclass
class Dumper:
    """Looks at a module between passes: ``step`` is told the name of the pass that runs next, ``finish`` ends it."""

    module: ModuleOp
    stages: list[Stage] = field(default_factory=list[Stage])
    _running: str = "input"
    _since: float = field(default_factory=time.process_time)

    def step(self, next_pass: str) -> None:
        """Keep the module as the pass that has just run left it."""
        seconds = time.process_time() - self._since
        text = str(self.module) + "\n"
        self.stages.append(Stage(len(self.stages), self._running, level_of(self.module), text, seconds))
        self._running = next_pass
        self._since = time.process_time()

    def finish(self) -> list[Stage]:
        """All stages, after the last pass."""
        self.step("")
        return self.stages


@dataclass(frozen=True)
class Line:
    """Where an instruction comes from."""

    segment: str
    index: int
    text: str
    layer: str
    nodes: tuple[str, ...]


def lines(program: Program) -> Iterator[Line]:
    """Every instruction of a program with its layer and the model's nodes behind it."""
    for segment in program.segments:
        if isinstance(segment, MachineSegment):
            layers = [program.layers[layer] for layer in segment.layer_of.tolist()]
            for index, (text, layer) in enumerate(zip(disassemble(decode(segment.code)), layers, strict=True)):
                yield Line(segment.name, index, text, layer.name, layer.onnx)


def debug_table(program: Program) -> str:
    """The lines as tab-separated text: segment, instruction, layer, ONNX nodes, text."""
    rows = [("segment", "instruction", "layer", "onnx", "text")]
    rows += [(line.segment, str(line.index), line.layer, ";".join(line.nodes), line.text) for line in lines(program)]
    return "".join("\t".join(cell.replace("\t", " ") for cell in row) + "\n" for row in rows)
