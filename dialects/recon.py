"""What all levels share: constants by reference, and layers, the provenance that survives every rewrite.

A constant is a *blob*: shape, element type and content hash, with the bytes held beside the IR, never printed unless
they are few or equal. ``#recon.blob<64x3x3x64xi8, "sha256:…">`` refers to a side file; ``#recon.blob<2xi32, [1, 2]>``,
``#recon.blob<64xi32, 0>`` (64 zeros), ``#recon.blob<8x3x3x4xi8, seed 7>`` and ``#recon.blob<2xi8, "0x7f80">`` carry or
make their own content, which is what tests and hand-written plans want. Blobs compare and hash by content, so equal
weights are one constant everywhere.
"""

from __future__ import annotations

import hashlib
import math
import random
import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from typing_extensions import Buffer
from xdsl.dialects.builtin import (
    ArrayAttr,
    DictionaryAttr,
    FlatSymbolRefAttrConstr,
    IntegerAttr,
    StringAttr,
    SymbolNameConstraint,
    SymbolRefAttr,
    i64,
)
from xdsl.ir import Attribute, Data, Dialect, Operation, ParametrizedAttribute, SSAValue
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

from dialects.integers import integer
from dialects.text import parse_number, place_in_text, print_float
from sim.machine.errors import ReconError

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
"""Blobs of at most this many elements print their content, and of any number if all elements are equal."""


ARRAY_BY_IMAGES = "recon.array_by_images"
"""The attribute of a planned module: the least cycles that the array needs for all convolutions with one, with two and
with any number of configurations (``sim.machine.floors.by_images``)."""

LARGEST = 1 << 28
"""Bytes of a constant that text may ask for with one number or a seed."""


class Blob:
    """Shape, element type and bytes of a constant; ``data`` is None for a reference not yet resolved, and ``origin``
    then the name of the text that it was read from, beside which the bytes lie."""

    __slots__ = ("data", "digest", "element", "origin", "recipe", "shape")

    def __init__(self, shape: Sequence[int], element: str, data: Buffer | None, digest: str = "", recipe: str = ""):
        self.origin = ""
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
        return "x".join(map(str, (*self.shape, self.element)))


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
            if (text := parser.parse_optional_str_literal()) is not None:
                return _from_string(parser, text, shape, element)
            listed = parser.parse_optional_comma_separated_list(parser.Delimiter.SQUARE, lambda: parse_number(parser))
            if listed is not None:
                if len(listed) != count:
                    parser.raise_error(f"{len(listed)} numbers given for {count} elements")
                return Blob(shape, element, b"".join(_pack(parser, element, number) for number in listed))
            if count * ELEMENT[element][1] > LARGEST:
                parser.raise_error(
                    f"a constant of one number or a seed has at most {LARGEST:,} bytes, "
                    f"not {count * ELEMENT[element][1]:,}"
                )
            if parser.parse_optional_keyword("seed") is not None:
                seed = parser.parse_integer(allow_boolean=False, allow_negative=False)
                if element != "i8":
                    parser.raise_error("a seeded blob holds i8")
                return Blob(shape, element, random.Random(seed).randbytes(count), recipe=f"seed {seed}")
            return Blob(shape, element, _pack(parser, element, parse_number(parser)) * count)

    def print_parameter(self, printer: Printer) -> None:
        blob = self.data
        printer.print_string(f"<{'x'.join(map(str, (*blob.shape, blob.element)))}, {_content(blob)}>")


def _pack(parser: AttrParser, element: str, number: float) -> bytes:
    """One element's bytes; an error in the text for a number that the element type does not hold."""
    try:
        return struct.pack("<" + ELEMENT[element][0], number)
    except (struct.error, OverflowError):
        parser.raise_error(f"{number} is no {element}")


def _from_string(parser: AttrParser, text: str, shape: Sequence[int], element: str) -> Blob:
    """The blob of ``"sha256:…"``, a reference, or of ``"0x…"``, its bytes."""
    if text.startswith("sha256:") and re.fullmatch("[0-9a-f]+", text.removeprefix("sha256:")):
        blob = Blob(shape, element, None, digest=text.removeprefix("sha256:"))
        blob.origin = parser._current_token.span.input.name  # pyright: ignore[reportPrivateUsage]
        return blob
    size = math.prod(shape) * ELEMENT[element][1]
    if not re.fullmatch("0x([0-9a-fA-F]{2})*", text):
        parser.raise_error('expected one number, a list of numbers, seed N, "sha256:…", or bytes as "0x…"')
    if len(text) - 2 != 2 * size:
        parser.raise_error(f"{len(text) // 2 - 1} bytes given for {size}")
    return Blob(shape, element, bytes.fromhex(text[2:]))


def is_uniform(blob: Blob) -> bool:
    """Whether all elements have the same bytes: they print as one."""
    if blob.data is None or not blob.size:
        return False
    width = ELEMENT[blob.element][1]
    data = memoryview(blob.data).cast("B")
    start = bytes(data[: 64 * width])
    return start == start[:width] * (len(start) // width) and data[width:] == data[:-width]


def is_inline(blob: Blob) -> bool:
    """Whether a blob's content prints with the IR, so that no side file need hold it."""
    return blob.data is not None and (bool(blob.recipe) or blob.size <= INLINE or is_uniform(blob))


def _content(blob: Blob) -> str:
    if blob.recipe:
        return blob.recipe
    if not is_inline(blob):
        return f'"sha256:{blob.digest}"'
    data = bytes(blob.buffer())
    code, width = ELEMENT[blob.element]
    uniform = is_uniform(blob)
    values = [item[0] for item in struct.iter_unpack("<" + code, data[:width] if uniform else data)]
    if b"".join(struct.pack("<" + code, value) for value in values) != (data[:width] if uniform else data):
        return f'"0x{data.hex()}"'  # NaNs with a payload, booleans that are neither 0 nor 1
    texts = [
        print_float(value, double=blob.element == "f64") if isinstance(value, float) else str(int(value))
        for value in values
    ]
    return texts[0] if uniform else f"[{', '.join(texts)}]"


def parse_shape(parser: AttrParser) -> tuple[tuple[int, ...], str]:
    """Read ``64x3x3x64xi8``: dimensions, then an element type of ELEMENT."""
    shape: list[int] = []
    while (element := parser.parse_optional_identifier()) is None:
        shape.append(parser.parse_shape_dimension(False))
        parser.parse_shape_delimiter()
    if element not in ELEMENT:
        parser.raise_error(f"'{element}' is no element type of a blob; allowed are {', '.join(ELEMENT)}")
    return tuple(shape), element


@irdl_op_definition
class LayerOp(IRDLOperation):
    """A row of the layer table: every op below ``cnn`` names one with ``layer @name``.

    ``kind`` is the operator, ``shape`` text for people, ``macs`` the multiply-accumulates of real inputs, ``compute``
    their cycles on all lanes, ``array`` and ``vector`` the least cycles that the laws allow on those engines,
    ``weight_bytes`` weights and parameters, ``activation_bytes`` inputs and outputs once, ``nodes`` the ONNX nodes.
    """

    name = "recon.layer"
    sym_name = prop_def(SymbolNameConstraint())
    kind = prop_def(StringAttr)
    shape = prop_def(StringAttr)
    macs = prop_def(IntegerAttr.constr(i64))
    compute = prop_def(IntegerAttr.constr(i64))
    array = opt_prop_def(IntegerAttr.constr(i64))
    vector = opt_prop_def(IntegerAttr.constr(i64))
    weight_bytes = prop_def(IntegerAttr.constr(i64))
    activation_bytes = prop_def(IntegerAttr.constr(i64))
    nodes = opt_prop_def(ArrayAttr[StringAttr])
    assembly_format = (
        "$sym_name $kind $shape `macs` $macs `compute` $compute (`array` $array^)? (`vector` $vector^)? `weights` "
        "$weight_bytes `activations` $activation_bytes (`nodes` $nodes^)? attr-dict"
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
        array: int = 0,
        vector: int = 0,
    ):
        """Many parameters: the operands and attributes of the operation, as its text has them."""
        super().__init__(
            properties={
                "sym_name": StringAttr(name),
                "kind": StringAttr(kind),
                "shape": StringAttr(shape),
                "macs": integer(macs),
                "compute": integer(compute),
                "array": integer(array) if array else None,
                "vector": integer(vector) if vector else None,
                "weight_bytes": integer(weight_bytes),
                "activation_bytes": integer(activation_bytes),
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


def _blobs_in(attribute: Attribute) -> Iterator[Blob]:
    """The blobs in an attribute, however deep."""
    if isinstance(attribute, BlobAttr):
        yield attribute.data
    elif isinstance(attribute, ArrayAttr):
        for item in attribute.data:
            yield from _blobs_in(item)
    elif isinstance(attribute, DictionaryAttr):
        for item in attribute.data.values():
            yield from _blobs_in(item)
    elif isinstance(attribute, ParametrizedAttribute):
        for item in attribute.parameters:
            yield from _blobs_in(item)


def blobs(op: Operation) -> set[Blob]:
    """Every blob the IR refers to; equal bytes under another shape or element type are another blob."""
    return {blob for inner in op.walk() for blob in _blobs_of(inner)}


def _blobs_of(op: Operation) -> Iterator[Blob]:
    """The blobs in the op's own attributes, properties included."""
    for attribute in (*op.properties.values(), *op.attributes.values()):
        yield from _blobs_in(attribute)


def resolve(op: Operation, contents: Mapping[str, Buffer]) -> list[str]:
    """Give every unresolved blob its bytes from ``contents`` (by digest); returns the digests not found.

    ReconError for a blob whose type takes another number of bytes.
    """
    missing: list[str] = []
    for inner in op.walk():
        for blob in _blobs_of(inner):
            if blob.data is None and blob.digest not in contents:
                missing.append(blob.digest)
            elif blob.data is None:
                given = memoryview(contents[blob.digest]).nbytes
                if given != blob.nbytes:
                    place = f"{where}: the" if (where := place_in_text(inner)) else "The"
                    raise ReconError(
                        f"{place} constant sha256:{blob.digest[:12]}… has {given:,} bytes, and the text says "
                        f"{'x'.join(map(str, (*blob.shape, blob.element)))}, which are {blob.nbytes:,}."
                    )
                blob.data = contents[blob.digest]
    return missing


RECON = Dialect("recon", [LayerOp, CallOp], [BlobAttr])
