"""The onnx dialect: a model as it is, before anything is decided about it.

One generic op, ``onnx.node``, carries operator type, domain, attributes and names, so every model imports and prints,
whatever its operators. Values have builtin tensor types; constants are blobs (``onnx.constant``), never printed text.
An optional input that a node leaves out is the value of ``onnx.none``, so operands keep their ONNX positions. Operators
have the meaning of the opset in the module's ``onnx.opsets``; the importer raises older models to opset 13.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite

from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    ArrayAttr,
    BFloat16Type,
    DenseArrayBase,
    DictionaryAttr,
    Float16Type,
    Float32Type,
    Float64Type,
    FloatAttr,
    FloatData,
    IntegerAttr,
    IntegerType,
    Signedness,
    StringAttr,
    TensorType,
    f32,
    i64,
)
from xdsl.ir import Attribute, Dialect, ParametrizedAttribute, SSAValue, TypeAttribute
from xdsl.irdl import (
    IRDLOperation,
    irdl_attr_definition,
    irdl_op_definition,
    opt_prop_def,
    param_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException
from xdsl.utils.hints import isa

from dialects.recon import BlobAttr
from dialects.text import float32, parse_number, print_float

ELEMENT_TYPE: dict[str, Attribute] = {
    "f32": Float32Type(),
    "f64": Float64Type(),
    "f16": Float16Type(),
    "bf16": BFloat16Type(),
    "i1": IntegerType(1),
    "i8": IntegerType(8),
    "i16": IntegerType(16),
    "i32": IntegerType(32),
    "i64": IntegerType(64),
    "ui8": IntegerType(8, Signedness.UNSIGNED),
    "ui16": IntegerType(16, Signedness.UNSIGNED),
    "ui32": IntegerType(32, Signedness.UNSIGNED),
    "ui64": IntegerType(64, Signedness.UNSIGNED),
}
"""Element types by their name in blobs and in text."""

_ELEMENT_NAME = {element: name for name, element in ELEMENT_TYPE.items()}

Value = int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...] | BlobAttr
"""An ONNX attribute in Python."""


def tensor(shape: Sequence[int], element: str) -> TensorType[Attribute]:
    """A builtin tensor type; -1 is a dimension not known."""
    return TensorType(ELEMENT_TYPE[element], [DYNAMIC_INDEX if n < 0 else n for n in shape])


def shape_of(value: SSAValue | Attribute) -> tuple[int, ...]:
    """The shape of a value or tensor type; -1 stands for a dimension not known. ValueError if it is no tensor."""
    kind = value.type if isinstance(value, SSAValue) else value
    if not isinstance(kind, TensorType):
        raise ValueError(f"{kind} is no tensor type")
    return tuple(-1 if n == DYNAMIC_INDEX else n for n in kind.get_shape())


def element_of(value: SSAValue | Attribute) -> str:
    """The element type's name (a key of ELEMENT_TYPE), or its text for a type that is none of them."""
    kind = value.type if isinstance(value, SSAValue) else value
    element = kind.element_type if isinstance(kind, TensorType) else kind
    return _ELEMENT_NAME.get(element, str(element))


@irdl_attr_definition
class NoneType(ParametrizedAttribute, TypeAttribute):
    """The type of an optional input that is left out."""

    name = "onnx.none"


def to_attribute(value: Value) -> Attribute:
    """The xDSL form of an ONNX attribute: i64, f32, string, arrays of them, or a blob."""
    if isinstance(value, BlobAttr):
        return value
    if isinstance(value, bool | int):
        return IntegerAttr(int(value), i64)
    if isinstance(value, float):
        return FloatAttr(value, f32)
    if isinstance(value, str):
        return StringAttr(value)
    if any(isinstance(item, str) for item in value):
        return ArrayAttr([StringAttr(str(item)) for item in value])
    if any(isinstance(item, float) for item in value):
        return ArrayAttr([FloatAttr(float(item), f32) for item in value])
    return DenseArrayBase.from_list(i64, [int(item) for item in value])


def from_attribute(attribute: Attribute) -> Value:
    """The inverse of ``to_attribute``; ValueError for an attribute no ONNX attribute maps to."""
    match attribute:
        case BlobAttr():
            return attribute
        case IntegerAttr():
            return attribute.value.data
        case FloatAttr():
            return attribute.value.data
        case StringAttr():
            return attribute.data
        case DenseArrayBase() if isa(attribute, DenseArrayBase[IntegerType]):
            return tuple(attribute.get_values())
        case ArrayAttr():
            items = [from_attribute(item) for item in attribute.data]
            if all(isinstance(item, float) for item in items):
                return tuple(item for item in items if isinstance(item, float))
            if all(isinstance(item, str) for item in items):
                return tuple(item for item in items if isinstance(item, str))
        case _:
            pass
    raise ValueError(f"{attribute} is no attribute of an ONNX node")


@irdl_attr_definition
class RangeAttr(ParametrizedAttribute):
    """Least and greatest of a float tensor's values: ``#onnx.range<-1.5, 2.5>``."""

    name = "onnx.range"
    low: FloatData = param_def()
    high: FloatData = param_def()

    @classmethod
    def of(cls, low: float, high: float) -> RangeAttr:
        return cls(FloatData(float32(low)), FloatData(float32(high)))

    @property
    def ends(self) -> tuple[float, float]:
        return self.low.data, self.high.data

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            low = parse_number(parser)
            parser.parse_punctuation(",")
            return FloatData(float32(low)), FloatData(float32(parse_number(parser)))

    def print_parameters(self, printer: Printer) -> None:
        printer.print_string(f"<{', '.join(print_float(end) for end in self.ends)}>")

    def verify(self) -> None:
        low, high = self.ends
        if not (isfinite(low) and isfinite(high) and low <= high):
            raise VerifyException(f"{print_float(low)} to {print_float(high)} is no range of numbers")


@irdl_op_definition
class NodeOp(IRDLOperation):
    """One ONNX node: ``onnx.node "Conv"(%x, %w, %none) name "conv1" attributes {strides = array<i64: 2, 2>}``.

    ``host "…"`` is a verdict: the node runs on the host, for this reason. ``seen <-1.5, 2.5>`` says between which
    numbers its result was on calibration data.
    """

    name = "onnx.node"
    op_type = prop_def(StringAttr)
    domain = opt_prop_def(StringAttr)
    node_name = opt_prop_def(StringAttr)
    node_attributes = opt_prop_def(DictionaryAttr)
    host = opt_prop_def(StringAttr)
    seen = opt_prop_def(RangeAttr)
    inputs = var_operand_def()
    outputs = var_result_def()
    traits = traits_def(Pure())
    assembly_format = (
        "$op_type `(` $inputs `)` (`domain` $domain^)? (`name` $node_name^)? (`host` $host^)? "
        "(`seen` $seen^)? (`attributes` $node_attributes^)? attr-dict `:` functional-type(operands, results)"
    )

    def __init__(
        self,
        op_type: str,
        inputs: Sequence[SSAValue],
        outputs: Sequence[Attribute],
        attributes: Mapping[str, Value] | None = None,
        node_name: str = "",
        domain: str = "",
    ):
        super().__init__(
            operands=[inputs],
            result_types=[outputs],
            properties={
                "op_type": StringAttr(op_type),
                "domain": StringAttr(domain) if domain else None,
                "node_name": StringAttr(node_name) if node_name else None,
                "node_attributes": DictionaryAttr({key: to_attribute(item) for key, item in attributes.items()})
                if attributes
                else None,
            },
        )

    def verify_(self) -> None:
        if not self.op_type.data:
            raise VerifyException("an ONNX node has an operator type")
        if not self.outputs:
            raise VerifyException(f"the {self.op_type.data} node has no result")
        for value in self.inputs:
            if not isinstance(value.type, TensorType | NoneType):
                raise VerifyException(f"an operand of {self.op_type.data} is {value.type}, not a tensor or !onnx.none")

    @property
    def kind(self) -> str:
        """Operator type, with its domain in front unless it is ONNX's own: ``Conv``, ``com.microsoft.QGemm``."""
        domain = self.domain.data if self.domain is not None else ""
        return f"{domain}.{self.op_type.data}" if domain not in ("", "ai.onnx") else self.op_type.data

    @property
    def label(self) -> str:
        """What a message calls the node: its name, or its operator type if it has none."""
        return self.node_name.data if self.node_name is not None else f"an unnamed {self.op_type.data}"

    def attribute_values(self) -> dict[str, Value]:
        """All ONNX attributes in Python."""
        given = self.node_attributes.data if self.node_attributes is not None else {}
        return {key: from_attribute(item) for key, item in given.items()}

    def get_int(self, key: str, default: int) -> int:
        value = self._get(key)
        return value if isinstance(value, int) else default

    def get_float(self, key: str, default: float) -> float:
        value = self._get(key)
        return float(value) if isinstance(value, int | float) else default

    def get_str(self, key: str, default: str) -> str:
        value = self._get(key)
        return value if isinstance(value, str) else default

    def get_ints(self, key: str) -> tuple[int, ...] | None:
        """An attribute of integers, or None where the node does not have it."""
        value = self._get(key)
        return tuple(int(item) for item in value) if isinstance(value, tuple) else None

    def _get(self, key: str) -> Value | None:
        if self.node_attributes is None or key not in self.node_attributes.data:
            return None
        return from_attribute(self.node_attributes.data[key])

    def operand(self, index: int) -> SSAValue | None:
        """The operand in this ONNX position, or None if it is left out."""
        if index >= len(self.inputs) or isinstance(self.inputs[index].type, NoneType):
            return None
        return self.inputs[index]


@irdl_op_definition
class ConstantOp(IRDLOperation):
    """An initialiser: a blob and, where it has one, the initialiser's name."""

    name = "onnx.constant"
    value = prop_def(BlobAttr)
    node_name = opt_prop_def(StringAttr)
    output = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$value (`name` $node_name^)? attr-dict `:` type($output)"

    def __init__(self, value: BlobAttr, node_name: str = ""):
        super().__init__(
            properties={"value": value, "node_name": StringAttr(node_name) if node_name else None},
            result_types=[tensor(value.shape, value.data.element)],
        )

    def verify_(self) -> None:
        if shape_of(self.output) != self.value.shape or element_of(self.output) != self.value.data.element:
            raise VerifyException(f"the constant {self.value.data!r} is not of type {self.output.type}")


@irdl_op_definition
class NoneOp(IRDLOperation):
    """Stands in the place of an optional input that is left out."""

    name = "onnx.none"
    output = result_def(NoneType())
    traits = traits_def(Pure())
    assembly_format = "attr-dict"

    def __init__(self) -> None:
        super().__init__(result_types=[NoneType()])


def constant_of(value: SSAValue | None) -> BlobAttr | None:
    """The blob behind a value that an ``onnx.constant`` makes, else None."""
    owner = value.owner if value is not None else None
    return owner.value if isinstance(owner, ConstantOp) else None


def names(values: Iterable[str]) -> ArrayAttr[StringAttr]:
    """An array of strings, as ``inputs`` and ``outputs`` of the function carry them."""
    return ArrayAttr([StringAttr(value) for value in values])


ONNX = Dialect("onnx", [NodeOp, ConstantOp, NoneOp], [NoneType, RangeAttr])
