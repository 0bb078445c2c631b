"""ONNX Runtime as the judge of every layer: each operator computed in float, fed the same integers as the compiled one.

The graph is cut at every tensor that a layer stands for. Behind a cut the judged model's own codes go on, so that one
difference does not spread and each layer answers for itself. A layer may differ where rounding ties: its code must
lie within half a step, and ``TIE`` for the float arithmetic, of the number that ONNX Runtime is about to quantise. To
that comes what roundings before its own may add (``slack``). Where that number is no number, any code will do.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.ir import SSAValue

from dialects import cnn
from dialects.blobs import to_array
from dialects.host import reason
from dialects.onnx import ConstantOp, NodeOp, constant_of, element_of, shape_of
from dialects.onnx_export import ELEMENT_CODE, export_module, input_names, main_function, output_names, strings_of
from dialects.text import place_in_text
from sim.machine.errors import ReconError
from tools.validation.slack import Roundings, carried, roundings

Array = npt.NDArray[Any]

TIE = 0.01
"""What float32 arithmetic may add to half a step, in steps."""

_LONGEST = 60

_MOST_AXES = 5

GIVEN = "recon.given."
"""Before the names of tensors that are fed instead of computed."""


@dataclass(frozen=True)
class Match:
    """A layer and the 8-bit tensor of the graph that it computes; ``node`` is the last of its ONNX nodes, for messages.

    ``source`` is the float tensor quantised to it with ``scale`` and ``zero`` (of the graph's own code type), empty
    where the tensor is computed on codes. ``axes`` is the order in which the tensor's axes lie in the layer.
    """

    layer: str
    node: str
    tensor: str
    shape: tuple[int, ...]
    dims: tuple[int, ...]
    unsigned: bool
    source: str
    scale: float
    zero: int
    axes: tuple[int, ...]

    def to_layer(self, tensor: Array) -> Array:
        """An array of the graph as the layer's: NHWC."""
        return tensor.transpose(self.axes).reshape(self.dims)

    def from_layer(self, codes: Array) -> Array:
        """int8 NHWC as an array of the graph."""
        codes = codes.reshape([self.shape[axis] for axis in self.axes]).transpose(np.argsort(self.axes))
        codes = np.asarray(codes, order="C")  # of a scalar as well, which ascontiguousarray makes a vector of
        return np.asarray(codes.view(np.uint8) ^ np.uint8(128)) if self.unsigned else codes


@dataclass(frozen=True)
class Judgement:
    """One layer against the graph: elements beyond a tie, elements at one, and the first of the former.

    ``expected`` and ``found`` are int8 codes at ``index`` (N, H, W, C), ``exact`` the number that was rounded, in
    codes, or NaN where nothing was; ``undefined`` counts elements for which that number is NaN.
    """

    layer: str
    node: str
    tensor: str
    elements: int
    wrong: int
    ties: int
    index: tuple[int, ...] = ()
    expected: int = 0
    found: int = 0
    exact: float = float("nan")
    undefined: int = 0


class OnnxReference:
    """A module at the onnx level, kept as a model so that it can be run after the module has been lowered."""

    def __init__(self, module: ModuleOp):
        exported = export_module(module)
        self.proto = exported.proto
        self.inputs = input_names(main_function(module))
        self.outputs = output_names(main_function(module))
        self.names = exported.names
        self.by_node: dict[str, list[SSAValue]] = {}
        self.types: dict[str, tuple[str, tuple[int, ...]]] = {}
        self.quantised: dict[str, tuple[str, float, int]] = {}
        self.users: dict[str, list[tuple[str, list[str]]]] = {}
        self.nodes: dict[str, list[tuple[int, list[str]]]] = {}
        self.steps: dict[str, float] = {}
        self.roundings: dict[str, Roundings] = {}
        self.places = {"": place_in_text(main_function(module))}
        self._index(module)
        self._session: Any = None
        self._matches: tuple[Match, ...] = ()

    def _index(self, module: ModuleOp) -> None:
        constants = {self.names[op.output] for op in module.walk() if isinstance(op, ConstantOp)}
        for number, op in enumerate(main_function(module).body.block.ops):
            for value in (*op.operands, *op.results):
                if isinstance(value.type, TensorType) and value in self.names:
                    self.types[self.names[value]] = element_of(value), shape_of(value)
            if not isinstance(op, NodeOp):
                continue
            if op.node_name is not None:
                self.places[op.node_name.data] = place_in_text(op)
            made = [self.names[value] for value in op.outputs]
            taken = [
                self.names[v] for v in op.inputs if isinstance(v.type, TensorType) and self.names[v] not in constants
            ]
            for name in taken:
                self.users.setdefault(name, []).append((op.op_type.data, made))
            if taken and op.node_name is not None:
                self.nodes.setdefault(op.node_name.data, []).append((number, made))
            self._scales(op, taken, made)

    def _scales(self, op: NodeOp, taken: Sequence[str], made: Sequence[str]) -> None:
        if op.op_type.data == "Clip" and taken and taken[0] in self.quantised:  # codes of fewer than 256 steps
            self.quantised[made[0]] = self.quantised[taken[0]]
        if op.op_type.data not in ("QuantizeLinear", "DequantizeLinear") or not taken:
            return
        scale, zero = (constant_of(op.operand(index)) for index in (1, 2))
        if scale is None or to_array(scale).size != 1:
            return
        step, offset = float(to_array(scale).reshape(-1)[0]), 0
        if zero is not None:
            offset = int(to_array(zero).reshape(-1)[0])
        if op.op_type.data == "QuantizeLinear":
            before = self.quantised.get(self._codes_before(op.inputs[0]), ("", 0.0, 0))
            again = before[1:] == (step, offset)  # quantised alike twice: what was rounded is the first's operand
            self.quantised[made[0]] = before if again else (taken[0], step, offset)
        else:
            self.steps[made[0]] = step

    def _codes_before(self, value: SSAValue) -> str:
        """The codes that a value is dequantised from, through reshapes; empty if it is computed."""
        while isinstance(op := value.owner, NodeOp):
            if op.op_type.data == "DequantizeLinear":
                return self.names[op.inputs[0]]
            if op.op_type.data not in ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"):
                break
            value = op.inputs[0]
        return ""

    # ------------------------------------------------------------------------------------------------ matching

    def matches(self, module: ModuleOp) -> tuple[Match, ...]:
        """For every layer of a cnn module that can be told by its ONNX nodes, the tensor it computes."""
        found: dict[str, Match] = {}
        self.roundings = {}
        for op in main_function(module).body.block.ops:
            if not isinstance(op, cnn.CnnOp) or op.layer is None or len(op.results) != 1:
                continue
            self.roundings[op.layer.data] = roundings(op)
            kind = op.results[0].type
            if isinstance(kind, cnn.TensorType):
                match = self._match(op.layer.data, kind, strings_of(op.nodes))
                if match is not None:  # of several layers that lead to a tensor the last one makes it
                    found.pop(match.tensor, None)
                    found[match.tensor] = match
        return tuple(found.values())

    def _match(self, layer: str, kind: cnn.TensorType, nodes: Sequence[str]) -> Match | None:
        places = [(*self.nodes[node][0], node) for node in nodes if len(self.nodes.get(node, [])) == 1]
        if not places:
            return None
        _, made, node = max(places)
        if len(made) > 1:
            return None  # a layer does not say which of several results it is
        if len(node) > _LONGEST:
            node = node[:_LONGEST] + "…"
        for tensor in self._codes_behind(made):
            element, shape = self.types[tensor]
            source, scale, zero = self.quantised.get(tensor, ("", kind.scale.data, kind.zero.data))
            signed_zero = zero - 128 if element == "ui8" and source else zero
            if (axes := _order(shape, kind.dims)) is None:
                continue
            if np.float32(scale) == np.float32(kind.scale.data) and signed_zero == kind.zero.data:
                return Match(layer, node, tensor, shape, kind.dims, element == "ui8", source, scale, zero, axes)
        return None

    def _codes_behind(self, tensors: Sequence[str]) -> Iterator[str]:
        """8-bit tensors among these and those made of them, nearest first, as far as values stay float."""
        seen: set[str] = set()
        front = list(tensors)
        while front:
            following: list[str] = []
            for name in front:
                if name in seen or name not in self.types:
                    continue
                seen.add(name)
                if self.types[name][0] in ("i8", "ui8"):
                    yield name
                else:
                    following += [result for _, made in self.users.get(name, []) for result in made]
            front = following

    # ------------------------------------------------------------------------------------------------- running

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs by name, every operator in float and fed what the one before it made."""
        try:
            made = _session(self.proto).run(self.outputs, {name: inputs[name] for name in self.inputs})
        except Exception as error:  # the runtime raises classes of its own that share no base
            raise ReconError(f"{self._place(str(error))}ONNX Runtime cannot run it: {reason(error)}.") from None
        return {name: np.asarray(value) for name, value in zip(self.outputs, made, strict=True)}

    def _place(self, said: str) -> str:
        """Where in the text the node stands that the runtime names, or the module."""
        place = next((place for name, place in self.places.items() if name and f"'{name}'" in said), self.places[""])
        return f"{place}: " if place else ""

    def judge(
        self, matches: tuple[Match, ...], inputs: Mapping[str, Array], layers: Mapping[str, Array]
    ) -> tuple[list[Judgement], dict[str, Array]]:
        """Every matched layer against the graph, in the graph's order, and the outputs made of the last layers.

        ``layers`` are the judged model's codes, int8 NHWC, by the names of their layers.
        """
        chosen = tuple(match for match in matches if match.layer in layers)
        if self._session is None or self._matches != chosen:
            self._session, self._matches = _session(self._cut(chosen)), chosen
        feeds = {name: inputs[name] for name in self.inputs}
        wanted = list(self.outputs)
        for match in chosen:
            feeds[GIVEN + match.tensor] = match.from_layer(layers[match.layer])
            wanted += [match.tensor, *([match.source] if match.source else [])]
        wanted = [name for name in dict.fromkeys(wanted) if name not in self.inputs]
        known = {info.name for info in self._session.get_inputs()}
        feeds = {name: value for name, value in feeds.items() if name in known}
        values = {**inputs, **dict(zip(wanted, self._session.run(wanted, feeds), strict=True))}
        seen = {match.layer for match in chosen}
        judgements = [
            _judge(match, values, layers[match.layer], carried(match.layer, seen, self.roundings)) for match in chosen
        ]
        order = {
            name: number for number, name in enumerate(out for node in self.proto.graph.node for out in node.output)
        }
        judgements.sort(key=lambda judgement: order[judgement.tensor])
        given = {match.tensor: feeds[GIVEN + match.tensor] for match in chosen if GIVEN + match.tensor in feeds}
        return judgements, {name: np.asarray(given.get(name, values[name])) for name in self.outputs}

    def _cut(self, matches: Sequence[Match]) -> onnx.ModelProto:
        """The model with every matched tensor as an output, and an input in its place for those who use it."""
        proto = onnx.ModelProto()
        proto.CopyFrom(self.proto)
        cut = {match.tensor for match in matches}
        for node in proto.graph.node:
            for index, name in enumerate(node.input):
                if name in cut:
                    node.input[index] = GIVEN + name
        outputs = {info.name for info in proto.graph.output}
        for match in matches:
            element, shape = self.types[match.tensor]
            code = ELEMENT_CODE[element]
            proto.graph.input.append(helper.make_tensor_value_info(GIVEN + match.tensor, code, shape))
            for name in (match.tensor, match.source):
                if name and name not in outputs and name not in self.inputs:
                    outputs.add(name)
                    element, shape = self.types[name]
                    proto.graph.output.append(helper.make_tensor_value_info(name, ELEMENT_CODE[element], shape))
        return proto


def _session(proto: onnx.ModelProto) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _order(shape: tuple[int, ...], dims: tuple[int, ...]) -> tuple[int, ...] | None:
    """The order in which a tensor's axes fill NHWC; None where none does, or where several do and it is not the usual.

    What joins along rows, or is read by heads, may lie in another order than NHWC, several axes in one.
    """
    usual = {3: (0, 2, 1), 4: (0, 2, 3, 1)}.get(len(shape))
    if usual is not None and shape[1] == dims[3] and _fills([shape[at] for at in usual if shape[at] > 1], dims):
        return usual
    long = [at for at, n in enumerate(shape) if n > 1]
    if len(long) > _MOST_AXES:
        return None
    fitting = [order for order in itertools.permutations(long) if _fills([shape[at] for at in order], dims)]
    short = tuple(at for at, n in enumerate(shape) if n == 1)
    return (*short, *fitting[0]) if len(fitting) == 1 else None


def _fills(sizes: Sequence[int], dims: tuple[int, ...]) -> bool:
    """Whether these sizes in a row are the dimensions in a row, one or several to each."""
    rest = list(sizes)
    for wanted in dims:
        while wanted > 1 and rest and wanted % rest[0] == 0:
            wanted //= rest.pop(0)
        if wanted > 1:
            return False
    return not rest


def _judge(match: Match, values: Mapping[str, Array], found: Array, slack: float) -> Judgement:
    expected = match.to_layer(_signed(np.asarray(values[match.tensor]), match)).astype(np.int64)
    codes = found.reshape(match.dims).astype(np.int64)
    off = codes != expected
    exact = np.full(match.dims, np.nan)
    wrong, undefined = off, 0
    if match.source in values:
        shift = 128 if match.unsigned else 0
        source = np.asarray(values[match.source], np.float64).reshape(match.shape)
        exact = match.to_layer(source) / match.scale + match.zero - shift
        undefined = int(np.isnan(exact).sum())
        wrong = off & (np.abs(np.clip(exact, -128, 127) - codes) > 0.5 + TIE + slack)
    first = np.argwhere(wrong)
    if not len(first):
        return Judgement(match.layer, match.node, match.tensor, codes.size, 0, int(off.sum()), undefined=undefined)
    index = tuple(int(n) for n in first[0])
    return Judgement(
        match.layer, match.node, match.tensor, codes.size, int(wrong.sum()), int(off.sum()) - int(wrong.sum()),
        index, int(expected[index]), int(codes[index]), float(exact[index]), undefined,
    )  # fmt: skip


def _signed(codes: Array, match: Match) -> Array:
    return (codes ^ np.uint8(128)).view(np.int8) if match.unsigned else codes
