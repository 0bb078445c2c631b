"""The base of the cnn operations, and how their types stand in text: what is implied is left out.

Decisions. An operation's operands have been defined above it, so their types need not be said again. Where the
result's type is the one that follows from operands and attributes (the shape that the operation makes, in the last
stage's quantisation or else the first operand's) it is left out too; otherwise it stands behind an arrow. The long
form of MLIR, ``: (operands) -> results``, reads as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import NoReturn

from typing_extensions import override
from xdsl.dialects.builtin import ArrayAttr, StringAttr
from xdsl.ir import Attribute
from xdsl.irdl import IRDLOperation, operand_def, opt_prop_def, result_def, traits_def
from xdsl.irdl.declarative_assembly_format import (
    CustomDirective,
    FunctionalTypeDirective,
    ParsingState,
    PrintingState,
    irdl_custom_directive,
)
from xdsl.parser import Parser, UnresolvedOperand
from xdsl.printer import Printer
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from dialects.cnn_attributes import FloatType, TensorType, tensor_of


@irdl_custom_directive
class ImpliedTypes(CustomDirective):
    """``: (operands) -> result``, ``-> result``, or nothing where the result's type is implied."""

    types: FunctionalTypeDirective

    @override
    def parse(self, parser: Parser, state: ParsingState) -> None:
        if parser.parse_optional_punctuation(":") is not None:
            self.types.parse(parser, state)
            return
        operands = [operand or () for operand in state.operands]
        state.operand_types = [[_defined(parser, one) for one in group] for group in operands]
        if parser.parse_optional_punctuation("->") is not None:
            state.result_types = [[parser.parse_type()]]
            return
        given = list(chain(*(kinds or () for kinds in state.operand_types)))
        types = [kind for kind in given if isinstance(kind, TensorType)]
        implied = None
        try:
            if issubclass(state.op_type, CnnOp) and len(types) == len(given):
                implied = state.op_type.implied(types, state.properties)
        except VerifyException as error:
            _refuse(parser, str(error))
        if implied is None:
            _refuse(parser, "the result's type does not follow from the operands: write it behind '->'")
        state.result_types = [[implied]]

    @override
    def print(self, printer: Printer, state: PrintingState, op: IRDLOperation) -> None:
        assert isinstance(op, CnnOp)
        try:
            implied = op.implied([tensor_of(operand) for operand in op.operands], op.properties)
        except (VerifyException, LookupError):
            implied = None
        if implied != op.results[0].type:
            printer.print_string(" -> ")
            printer.print_attribute(op.results[0].type)


def _refuse(parser: Parser, message: str) -> NoReturn:
    """A ParseError at the end of what has been read, which is the operation's last word."""
    text = parser._current_token.span.input.content  # pyright: ignore[reportPrivateUsage]
    end = len(text[: parser.pos].rstrip())
    parser.raise_error(message, end - 1, end)


def _defined(parser: Parser, operand: UnresolvedOperand) -> Attribute:
    """The type of an operand that the text has defined."""
    values = parser.ssa_values.get(operand.operand_name)
    if values is None or operand.index >= len(values):
        parser.raise_error(f"{operand.span.text} is not defined above", operand.span)
    return values[operand.index].type


class CnnOp(IRDLOperation):
    """Base of all cnn ops: ``layer`` names the layer, ``nodes`` the ONNX nodes it stands for."""

    custom_directives = (ImpliedTypes,)
    layer = opt_prop_def(StringAttr)
    nodes = opt_prop_def(ArrayAttr[StringAttr])

    @classmethod
    def implied(cls, types: Sequence[TensorType], properties: Mapping[str, Attribute]) -> TensorType | None:
        """The result's type that operands of these types and these properties make; None where they do not say it.

        VerifyException for a shape that cannot be made.
        """
        return None

    @property
    def result_tensor(self) -> TensorType:
        return tensor_of(self.results[0])

    @property
    def result_dims(self) -> tuple[int, int, int, int]:
        """N, H, W, C of the result, whatever it holds."""
        kind = self.results[0].type
        return kind.dims if isinstance(kind, FloatType) else self.result_tensor.dims

    def provenance(self, layer: str, nodes: Iterable[str]) -> None:
        """Set the layer's name and its ONNX nodes, if there are any."""
        self.properties["layer"] = StringAttr(layer)
        if named := [StringAttr(node) for node in nodes]:
            self.properties["nodes"] = ArrayAttr(named)


NAMES = " (`layer` $layer^)? (`nodes` $nodes^)? attr-dict "
TAIL = NAMES + "custom<ImpliedTypes>(functional-type(operands, results))"


class UnaryOp(CnnOp):
    """One operand, one result; of the same type where nothing else is said."""

    input = operand_def(TensorType)
    output = result_def(TensorType)
    traits = traits_def(Pure())

    @classmethod
    @override
    def implied(cls, types: Sequence[TensorType], properties: Mapping[str, Attribute]) -> TensorType | None:
        return types[0]
