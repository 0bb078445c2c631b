"""What all levels share: constants by reference, and layers, the provenance that survives every rewrite.

A constant is a *blob*: shape, element type and content hash, with the bytes held beside the IR, never printed unless
they are few. ``#recon.blob<64x3x3x64xi8, "sha256:…">`` refers to a side file, ``#recon.blob<3xi32, [1, -2, 3]>`` and
``#recon.blob<8x3x3x4xi8, seed 7>`` carry or make their own content, which is what tests and hand-written plans want.
Blobs compare and hash by content, so equal weights are one constant everywhere.
"""

from __future__ import annotations

import hashlib
import math
import random
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from typing_extensions import Buffer
from xdsl.dialects.builtin import (
    ArrayAttr,
    FlatSymbolRefAttrConstr,
    IntegerAttr,
    StringAttr,
    SymbolNameConstraint,
    SymbolRefAttr,
    i64,
)
from xdsl.ir import Attribute, Data, Dialect, Operation, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    irdl_attr_definition,
    irdl_op_definition,
    opt_prop_def,
    prop_def,
    var_operand_def,
    var_result_def,
)
from xdsl.parser import AttrParser
from xdsl.printer import Printer

ELEMENT = {
    "i8": ("b", 1),
    "ui8": ("B", 1),
    "i32": ("i", 4),
    "i64": ("q", 8),
    "f32": ("f", 4),
    "f64": ("d", 8),
    "i1": ("?", 1),
    "f16": ("e", 2),
    "i16": ("h", 2),
    "ui16": ("H", 2),
    "ui32": ("I", 4),
    "ui64": ("Q", 8),
}
"""Element types of blobs: struct code and bytes."""

INLINE = 16
"""Blobs of at most this many elements print their content."""


def float32(value: float) -> float:
    """The float32 nearest to a Python float, as a Python float."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def print_float(value: float) -> str:
    """The shortest decimal that reads back as the same float32."""
    texts = (format(value, f".{digits}g") for digits in range(6, 10))
    text = next((text for text in texts if float32(float(text)) == value), repr(value))
    return text if any(mark in text for mark in ".en") else text + ".0"


class Blob:
    """Shape, element type and bytes of a constant; ``data`` is None for a reference not yet resolved."""

    __slots__ = ("data", "digest", "element", "recipe", "shape")

    def __init__(self, shape: Sequence[int], element: str, data: Buffer | None, digest: str = "", recipe: str = ""):
        self.shape = tuple(shape)
        self.element = element
        self.data = data
        self.recipe = recipe
        if data is not None and memoryview(data).nbytes != self.nbytes:
            raise ValueError(f"{memoryview(data).nbytes} bytes given for a blob of {self.nbytes}")
        self.digest = digest or _digest(data if data is not None else b"")

    @property
    def size(self) -> int:
        """Elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * ELEMENT[self.element][1]

    def buffer(self) -> memoryview:
        """The bytes, little-endian, row-major; ValueError for an unresolved reference."""
        if self.data is None:
            raise ValueError(f'the constant "sha256:{self.digest[:12]}…" is not at hand: its side file was not read')
        return memoryview(self.data)

    def values(self) -> list[Any]:
        """The elements as Python numbers; for small blobs."""
        return [item[0] for item in struct.iter_unpack("<" + ELEMENT[self.element][0], bytes(self.buffer()))]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Blob) and (self.shape, self.element, self.digest) == (
            other.shape,
            other.element,
            other.digest,
        )

    def __hash__(self) -> int:
        return hash((self.shape, self.element, self.digest))

    def __repr__(self) -> str:
        return f"Blob({'x'.join(map(str, self.shape))}x{self.element}, sha256:{self.digest[:12]})"


def _digest(data: Buffer) -> str:
    return hashlib.sha256(memoryview(data).cast("B") if memoryview(data).nbytes else b"").hexdigest()


@irdl_attr_definition
class BlobAttr(Data[Blob]):
    """A constant tensor by reference."""

    name = "recon.blob"

    @classmethod
    def make(cls, shape: Sequence[int], element: str, data: Buffer) -> BlobAttr:
        """A blob of these bytes (C order, little-endian), kept by reference, not copied."""
        return cls(Blob(shape, element, data))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Blob:
        with parser.in_angle_brackets():
            shape, element = parse_shape(parser)
            parser.parse_punctuation(",")
            count = math.prod(shape)
            if parser.parse_optional_keyword("seed") is not None:
                seed = parser.parse_integer(allow_boolean=False, allow_negative=False)
                if element != "i8":
                    parser.raise_error("a seeded blob holds i8")
                return Blob(shape, element, random.Random(seed).randbytes(count), recipe=f"seed {seed}")
            if (text := parser.parse_optional_str_literal()) is not None:
                if not text.startswith("sha256:"):
                    parser.raise_error('expected "sha256:…", a list of numbers, or seed N')
                return Blob(shape, element, None, digest=text.removeprefix("sha256:"))
            numbers = parser.parse_comma_separated_list(
                parser.Delimiter.SQUARE, lambda: parser.parse_number(allow_boolean=False)
            )
            if len(numbers) != count:
                parser.raise_error(f"{len(numbers)} numbers given for {count} elements")
            code = ELEMENT[element][0]
            try:
                return Blob(shape, element, struct.pack(f"<{count}{code}", *numbers))
            except struct.error as error:
                parser.raise_error(f"a number does not fit {element}: {error}")

    def print_parameter(self, printer: Printer) -> None:
        blob = self.data
        if blob.recipe:
            content = blob.recipe
        elif blob.data is not None and blob.size <= INLINE:
            values = blob.values()
            content = "[" + ", ".join(print_float(v) if isinstance(v, float) else str(int(v)) for v in values) + "]"
        else:
            content = f'"sha256:{blob.digest}"'
        printer.print_string(f"<{'x'.join(map(str, (*blob.shape, blob.element)))}, {content}>")


def parse_shape(parser: AttrParser) -> tuple[tuple[int, ...], str]:
    """Read ``64x3x3x64xi8``: dimensions, then an element type of ELEMENT."""
    shape: list[int] = []
    while True:
        dimension = parser.parse_optional_integer(allow_boolean=False, allow_negative=False)
        if dimension is None:
            break
        shape.append(dimension)
        parser.parse_shape_delimiter()
    element = parser.parse_identifier()
    if element not in ELEMENT:
        parser.raise_error(f"'{element}' is no element type of a blob; allowed are {', '.join(ELEMENT)}")
    return tuple(shape), element


@irdl_op_definition
class LayerOp(IRDLOperation):
    """A row of the layer table: every op below ``cnn`` names one with ``layer @name``.

    ``kind`` is the operator, ``shape`` text for people, ``macs`` the multiply-accumulates of real inputs,
    ``weight_bytes`` weights and parameters, ``activation_bytes`` inputs and outputs once, ``nodes`` the ONNX nodes.
    """

    name = "recon.layer"
    sym_name = prop_def(SymbolNameConstraint())
    kind = prop_def(StringAttr)
    shape = prop_def(StringAttr)
    macs = prop_def(IntegerAttr.constr(i64))
    compute = prop_def(IntegerAttr.constr(i64))
    weight_bytes = prop_def(IntegerAttr.constr(i64))
    activation_bytes = prop_def(IntegerAttr.constr(i64))
    nodes = opt_prop_def(ArrayAttr[StringAttr])
    assembly_format = (
        "$sym_name $kind $shape `macs` $macs `compute` $compute `weights` $weight_bytes `activations` "
        "$activation_bytes (`nodes` $nodes^)? attr-dict"
    )

    def __init__(
        self,
        name: str,
        kind: str,
        shape: str,
        macs: int,
        compute: int,
        weight_bytes: int,
        activation_bytes: int,
        nodes: Iterable[str] = (),
    ):
        super().__init__(
            properties={
                "sym_name": StringAttr(name),
                "kind": StringAttr(kind),
                "shape": StringAttr(shape),
                "macs": IntegerAttr(macs, i64),
                "compute": IntegerAttr(compute, i64),
                "weight_bytes": IntegerAttr(weight_bytes, i64),
                "activation_bytes": IntegerAttr(activation_bytes, i64),
                "nodes": ArrayAttr([StringAttr(node) for node in nodes]) if nodes else None,
            }
        )


@irdl_op_definition
class CallOp(IRDLOperation):
    """Run a machine segment (``tile.schedule`` or ``accel.program``) by name, between host regions.

    Operands and results are the segment's int8 tensors in its own order.
    """

    name = "recon.call"
    segment = prop_def(FlatSymbolRefAttrConstr)
    inputs = var_operand_def()
    outputs = var_result_def()
    assembly_format = "$segment `(` $inputs `)` attr-dict `:` functional-type(operands, results)"

    def __init__(self, segment: str, inputs: Sequence[SSAValue], outputs: Sequence[Attribute]):
        super().__init__(operands=[inputs], result_types=[outputs], properties={"segment": SymbolRefAttr(segment)})


def attributes_of(op: Operation) -> Iterable[Attribute]:
    """All attributes of the ops in this op, properties included."""
    for inner in op.walk():
        yield from inner.properties.values()
        yield from inner.attributes.values()


def blobs(op: Operation) -> dict[str, Blob]:
    """Every blob the IR refers to, by digest."""
    found: dict[str, Blob] = {}
    for attribute in attributes_of(op):
        items = attribute.data if isinstance(attribute, ArrayAttr) else (attribute,)
        for item in items:
            if isinstance(item, BlobAttr):
                found.setdefault(item.data.digest, item.data)
    return found


def resolve(op: Operation, contents: Mapping[str, Buffer]) -> list[str]:
    """Give every unresolved blob its bytes from ``contents`` (by digest); returns the digests not found."""
    missing: list[str] = []
    for attribute in attributes_of(op):
        items = attribute.data if isinstance(attribute, ArrayAttr) else (attribute,)
        for item in items:
            if isinstance(item, BlobAttr) and item.data.data is None:
                if item.data.digest in contents:
                    item.data.data = contents[item.data.digest]
                else:
                    missing.append(item.data.digest)
    return missing


RECON = Dialect("recon", [LayerOp, CallOp], [BlobAttr])
