"""Reads a quantised graph node by node, and holds what every operator's reading needs.

``place`` is the one door through which codes become operands of cnn operations in a wanted memory order; codes that the
host holds become results of a host region there, in that order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from xdsl.builder import Builder
from xdsl.dialects.builtin import UnrealizedConversionCastOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.rewriter import InsertPoint

from dialects import cnn
from dialects.blobs import to_array, to_blob
from dialects.host import run_node
from dialects.onnx import NodeOp, constant_of, element_of, shape_of
from dialects.onnx_export import to_node
from passes.onnx_to_cnn.names import Names, labels
from passes.onnx_to_cnn.values import (
    Array,
    Codes,
    Dequantised,
    Host,
    Known,
    KnownCodes,
    Meaning,
    Quant,
    Raw,
    Real,
    Storage,
    Trail,
    Unsupported,
)
from passes.onnx_to_cnn.view import Axis, MemoryAxes, Step, View, flat, standard, steps_between

_KEEP_CODES = ("QuantizeLinear", "DequantizeLinear", "Reshape", "Transpose")
"""Operators on constants that keep integers with their scales."""

Spec = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""ONNX axes by memory axis N, H, W, C."""


@dataclass
class HostPort:
    """An int8 value that a host region makes: ``source`` reshaped, transposed and reshaped to ``dims``."""

    source: SSAValue
    unsigned: bool
    factors: tuple[int, ...]
    order: tuple[int, ...]
    dims: tuple[int, int, int, int]
    value: SSAValue


@dataclass
class Conversion:
    """State of one conversion; operations are appended to ``block``.

    ``rounding`` gives codes to a value that no QuantizeLinear rounds, where something says how far its values go, and
    ``put_in`` says what it took; ``current`` is the node being read, ``hosted`` why each host operator is not on the
    machine, ``failures`` those of them that the graph did not say in advance, ``origin`` the node to blame where an
    operation has no place, ``trails`` the nodes that an operation stands for, ``unrounded`` the float32 products that
    the machine gives, by the values of the graph that they are.
    """

    block: Block
    opsets: Mapping[str, int]
    exact: bool = False
    rounding: Callable[[Conversion, Real], Codes | None] = lambda _conversion, _value: None
    put_in: list[tuple[Codes, str]] = field(default_factory=list[tuple[Codes, str]])
    names: Names = field(default_factory=Names)
    env: dict[SSAValue, Meaning] = field(default_factory=dict[SSAValue, Meaning])
    ports: list[HostPort] = field(default_factory=list[HostPort])
    current: NodeOp | None = None
    hosted: dict[NodeOp, str] = field(default_factory=dict[NodeOp, str])
    failures: dict[NodeOp, str] = field(default_factory=dict[NodeOp, str])
    origin: dict[Operation, NodeOp] = field(default_factory=dict[Operation, NodeOp])
    trails: dict[Operation, Trail] = field(default_factory=dict[Operation, Trail])
    products: dict[tuple[Real, Codes | None, float, int, int, int], Codes] = field(
        default_factory=dict[tuple[Real, "Codes | None", float, int, int, int], Codes]
    )
    unrounded: dict[SSAValue, SSAValue] = field(default_factory=dict[SSAValue, SSAValue])
    by_channel: dict[tuple[Real, bytes, bytes], Codes] = field(default_factory=dict[tuple[Real, bytes, bytes], Codes])
    settled: dict[tuple[Real, float, int], Codes] = field(default_factory=dict[tuple[Real, float, int], Codes])

    # --- operands ---

    def meaning(self, value: SSAValue) -> Meaning:
        """What a value is; constants are looked up where they stand."""
        if value not in self.env:
            blob = constant_of(value)
            if blob is None:
                raise Unsupported("It uses a value that the compiler could not follow.")
            self.env[value] = Known(to_array(blob))
        return self.env[value]

    def operand(self, node: NodeOp, index: int) -> Meaning:
        """An operand that must be there."""
        value = node.operand(index)
        if value is None:
            raise Unsupported(f"Its operand {index} is missing.")
        return self.meaning(value)

    def known(self, node: NodeOp, index: int) -> Array | None:
        """A constant operand's numbers (dequantised where need be), or None if it is computed or left out."""
        value = node.operand(index)
        if value is None:
            return None
        meaning = self.meaning(value)
        if isinstance(meaning, KnownCodes):
            return meaning.real
        return meaning.array if isinstance(meaning, Known) else None

    def is_known(self, value: SSAValue) -> bool:
        """Whether a value's numbers are known at compile time."""
        return isinstance(self.meaning(value), Known | KnownCodes)

    def evaluated(self, node: NodeOp) -> list[Meaning] | None:
        """A node's results if all its operands are constants; None if they are not, or the node only moves codes."""
        values = [node.operand(index) for index in range(len(node.inputs))]
        if node.kind in _KEEP_CODES or not any(values) or not all(v is None or self.is_known(v) for v in values):
            return None
        proto = to_node(node, [f"x{at}" if v is not None else "" for at, v in enumerate(values)],
                        [f"y{at}" for at in range(len(node.outputs))])  # fmt: skip
        arrays = [self.known(node, at) for at in range(len(values))]
        try:
            return [Known(array) for array in run_node(proto, arrays, self.opsets)]
        except Exception as error:  # the reference raises what it likes
            raise Unsupported(f"{node.kind} of constants could not be computed at compile time.") from error

    def integers(self, node: NodeOp, index: int, attribute: str = "") -> tuple[int, ...] | None:
        """Integers from a constant operand, or from an attribute of older and newer opsets."""
        value = node.operand(index)
        if value is None:
            return node.get_ints(attribute) if attribute else None
        array = self.known(node, index)
        if array is None:
            raise Unsupported(f"Its operand {index} ('{attribute}') is computed at run time; it must be a constant.")
        return tuple(int(n) for n in array.reshape(-1))

    def codes(self, meaning: Meaning, node: NodeOp) -> Codes:
        """The int8 codes of an operand. Unsupported where no QuantizeLinear made any and none can be put in."""
        if isinstance(meaning, Codes):
            return meaning
        if isinstance(meaning, Dequantised):
            return meaning.codes
        if isinstance(meaning, Real) and (made := self.rounding(self, meaning)) is not None:
            return made
        if isinstance(meaning, Real) and meaning.trail:
            before = meaning.trail[-1]
            raise Unsupported(
                f"There is no QuantizeLinear between it and {before.label} ({before.op_type.data}), so there is no "
                "int8 tensor to hand over; quantise that node's output too."
            )
        if isinstance(meaning, Known | KnownCodes):
            raise Unsupported("A constant stands where a computed tensor is needed.")
        raise Unsupported("Its operand is not quantised; put a QuantizeLinear and a DequantizeLinear before it.")

    # --- memory order ---

    def place(self, codes: Codes, spec: Spec | None = None) -> SSAValue:
        """The codes as a cnn value whose N, H, W, C are these ONNX axes (NHWC of an NCHW tensor by default)."""
        want = self.memory(codes.view, spec)
        key = ("placed", spec)
        if key not in codes.memo:
            codes.memo[key] = self._place(codes, want)
        return codes.memo[key]

    @staticmethod
    def memory(view: View, spec: Spec | None) -> MemoryAxes:
        """Atoms by memory axis for a spec."""
        if spec is None:
            return standard(view.logical)
        n, h, w, c = (flat([view.logical[axis] for axis in axes]) for axes in spec)
        return n, h, w, c

    def steps(self, view: View, spec: Spec) -> list[Step]:
        """What it takes to bring codes that lie like this into this order."""
        return steps_between(view.memory, self.memory(view, spec))

    def _place(self, codes: Codes, want: MemoryAxes) -> SSAValue:
        dims = View(codes.view.logical, want).dims
        kind = self.type_of(dims, codes.quant)
        value = codes.storage.force()
        if value is None:
            return self._enter(codes, want, dims, kind)
        for step in steps_between(codes.view.memory, want):
            out = self.type_of(step.dims, codes.quant)
            if step.kind == "reshape":
                op: cnn.CnnOp = cnn.ReshapeOp.build(operands=[value], result_types=[out])
            elif step.kind == "shuffle":
                op = cnn.ChannelShuffleOp.build(
                    operands=[value], result_types=[out], properties={"groups": cnn.integer(step.argument[0])}
                )
            else:
                order, factors = cnn.integers(step.argument), cnn.integers(step.factors)
                op = cnn.TransposeOp.build(
                    operands=[value], result_types=[out], properties={"permutation": order, "factors": factors}
                )
            value = self.emit(op, step.kind, ())
            if codes.mover is not None:
                self.origin[op] = codes.mover
        return value

    def _enter(self, codes: Codes, want: MemoryAxes, dims: tuple[int, int, int, int], kind: cnn.TensorType) -> SSAValue:
        source = codes.storage.source
        assert source is not None
        have = flat(codes.view.memory)
        order = tuple(have.index(atom) for atom in flat(want))
        factors = tuple(atom.size for atom in have)
        for port in self.ports:
            if (port.source, port.factors, port.order, port.dims) == (source, factors, order, dims):
                return port.value
        cast = Builder(InsertPoint.at_end(self.block)).insert(UnrealizedConversionCastOp.get([source], [kind]))
        self.ports.append(HostPort(source, codes.storage.unsigned, factors, order, dims, cast.results[0]))
        return cast.results[0]

    def anywhere(self, codes: Codes) -> tuple[SSAValue, View]:
        """The codes in whatever order they lie, and that order; for operations that treat every element alike."""
        if codes.storage.source is None:
            value = codes.storage.force()
            if value is not None:
                return value, codes.view
        spec = self.spec_of(codes.view)
        return self.place(codes, spec), View(codes.view.logical, self.memory(codes.view, spec))

    @staticmethod
    def spec_of(view: View) -> Spec | None:
        """The ONNX axes by memory axis, where memory axes consist of whole ONNX axes; else None."""
        owner: dict[Axis, int] = {axis: at for at, axis in enumerate(view.logical) if axis}
        spec: list[tuple[int, ...]] = []
        for axis in view.memory:
            found: list[int] = []
            rest = axis
            while rest:
                match = next((own for own in owner if rest[: len(own)] == own), None)
                if match is None:
                    return None
                found.append(owner[match])
                rest = rest[len(match) :]
            spec.append(tuple(found))
        if len(flat(view.memory)) > 1 and not any(view.memory[:3]) and len(spec[3]) > 1:
            return None  # what the host holds in row-major order has no memory order yet
        n, h, w, c = spec
        return n, h, w, c

    @staticmethod
    def type_of(dims: Sequence[int], quant: Quant) -> cnn.TensorType:
        return cnn.TensorType.of(dims, quant.scale, quant.zero)

    # --- writing ---

    def emit(self, op: cnn.CnnOp, node: NodeOp | str, trail: Iterable[NodeOp]) -> SSAValue:
        """Append an operation, named for ``node``; ``trail`` are the nodes it stands for. Returns its result."""
        self.block.add_op(op)
        name = self.names.of(node) if isinstance(node, NodeOp) else self.names.numbered(node)
        self.trails[op] = tuple(trail)
        op.provenance(name, labels(self.trails[op]))
        blamed = node if isinstance(node, NodeOp) else self.current
        if blamed is not None:
            self.origin[op] = blamed
            op.location = blamed.location
        return op.results[0]

    def constant_codes(self, constant: KnownCodes, shape: tuple[int, ...]) -> Codes:
        """A stored int8 constant with one scale, spread to ``shape``, as codes in the standard order."""
        view = View.canonical(shape)
        quant = Quant(float(constant.scale.reshape(-1)[0]), int(constant.zero.reshape(-1)[0]))
        spread = np.broadcast_to(constant.codes, shape).astype(np.int8)
        order = [axis for axes in standard_spec(len(shape)) for axis in axes]

        def make() -> SSAValue:
            blob = to_blob(np.ascontiguousarray(spread.transpose(order)).reshape(view.dims))
            op = cnn.ConstantOp.build(result_types=[self.type_of(view.dims, quant)], properties={"value": blob})
            return self.emit(op, "constant", ())

        return Codes(Storage(make=make), view, quant)

    def filled(self, dims: tuple[int, int, int, int], code: int, quant: Quant) -> SSAValue:
        """A constant tensor of one code."""
        blob = to_blob(np.full(dims, code, np.int8))
        op = cnn.ConstantOp.build(result_types=[self.type_of(dims, quant)], properties={"value": blob})
        return self.emit(op, "constant", ())

    def made(self, value: SSAValue, view: View, quant: Quant) -> Codes:
        """Codes of a value just emitted."""
        return Codes(Storage(value=value), view, quant)


def standard_spec(rank: int) -> Spec:
    """ONNX axes by memory axis in the standard order."""
    if rank == 1:
        return (), (), (), (0,)
    return tuple(range(min(rank, 1))), tuple(range(2, rank - 1)), ((rank - 1,) if rank > 2 else ()), (1,) * (rank > 1)


def held_by_host(value: SSAValue) -> Meaning:
    """What a tensor is that the host holds: integers without a scale yet, or another tensor."""
    element = element_of(value)
    if element in ("i8", "ui8"):
        return Raw(value, View.row_major(shape_of(value)), element == "ui8")
    return Host(value)


def last_compute(trail: Trail) -> NodeOp:
    """The node an expression is named for: its first that is no quantiser."""
    for node in trail:
        if node.op_type.data not in ("QuantizeLinear", "DequantizeLinear"):
            return node
    return trail[-1]


def float32_vector(values: npt.ArrayLike) -> npt.NDArray[np.float32]:
    return np.asarray(values, np.float32).reshape(-1)
