"""Small programs for attacks, compiled once in a process."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from sim.machine.encoding import decode
from sim.machine.program import MachineSegment, Program
from tests.passes.onnx_to_cnn.graphs import Graph, conv
from tests.passes.onnx_to_cnn.spread_graphs import case
from tools.driver import compile_model


@functools.cache
def small_program() -> Program:
    """A residual block."""
    return compile_model(case("residual").model(), "edge4k")


@functools.cache
def picture_program() -> Program:
    """A convolution whose input is a picture of 8 x 8 pixels and three channels."""
    graph = Graph(5)
    graph.output(conv(graph, graph.input(1, 3, 8, 8), 4, 3, (3, 3)))
    return compile_model(graph.model(), "edge4k")


def with_code(program: Program, code: bytes) -> Program:
    """The program with other instructions in its machine segments, which know no buffers."""
    count = len(decode(code).opcodes)
    return dataclasses.replace(
        program,
        segments=tuple(
            dataclasses.replace(segment, code=code, layer_of=np.zeros(count, np.uint32), buffers=segment.buffers[:0])
            if isinstance(segment, MachineSegment)
            else segment
            for segment in program.segments
        ),
    )
