"""How numbers, strings and names stand in text, so that what is printed reads back as the same module.

Decisions. Floats print as the shortest decimal that reads back as the same number, always with a point, as MLIR's
grammar wants (``1.0e-05``); infinities and NaN are the words ``inf`` and ``nan``. Strings are UTF-8: letters print as
themselves, quotes and control characters as escapes. Value names are unique and ASCII, whatever the hints say. The
lexer reads all of this, and reads every string in linear time.
"""

from __future__ import annotations

import difflib
import math
import re
import struct
from collections.abc import Iterable, Sequence
from weakref import WeakKeyDictionary

from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, CallSiteLoc, FileLineColLoc, FusedLoc, NameLoc
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.parser import AttrParser, Parser
from xdsl.parser.generic_parser import ParserState
from xdsl.printer import Printer
from xdsl.utils.lexer import Input, Position, Span, Token
from xdsl.utils.mlir_lexer import MLIRLexer, MLIRToken, MLIRTokenKind


def float32(value: float) -> float:
    """The float32 nearest to a Python float, as a Python float; OverflowError if it is beyond float32's range."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def print_float(value: float, *, double: bool = False) -> str:
    """The shortest decimal that reads back as the same float32 (with ``double`` the same float64)."""
    if not math.isfinite(value):
        return str(value)  # inf, -inf, nan
    texts: Iterable[str] = () if double else (format(value, f".{digits}g") for digits in range(6, 10))
    text = next((text for text in texts if float32(float(text)) == value), repr(value))
    mantissa, exponent, power = text.partition("e")
    return (mantissa if "." in mantissa else mantissa + ".0") + exponent + power


def parse_number(parser: AttrParser) -> int | float:
    """A whole number or a float, ``inf`` and ``nan`` among them."""
    if (word := _parse_word(parser)) is not None:
        return word
    if parser.parse_optional_punctuation("-") is not None:
        word = _parse_word(parser)
        return -(word if word is not None else parser.parse_number(allow_boolean=False))
    return parser.parse_number(allow_boolean=False)


def _parse_word(parser: AttrParser) -> float | None:
    for word in ("inf", "nan"):
        if parser.parse_optional_keyword(word) is not None:
            return float(word)
    return None


def parse_float(parser: AttrParser) -> float:
    """A number as the float32 nearest to it; an error in the text if float32 does not reach so far."""
    number = parse_number(parser)
    try:
        return float32(float(number))
    except OverflowError:
        parser.raise_error(f"{number:g} is beyond the range of float32")


class TextLexer(MLIRLexer):
    """MLIR's tokens; a string of escapes is a string, whatever its letters."""

    # As xDSL's, with possessive quantifiers: without them a text cut inside a string takes time without bound.
    _unescaped_characters_regex = re.compile(r'"(?:[^"\\\n\v\f]++|\\(?:["nt\\]|[0-9A-Fa-f]{2}))*+"')

    _fractional_suffix_regex = re.compile(r"\.[0-9]*([eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+")  # 1e-05 as well

    def _lex_string_literal(self, start_pos: Position) -> MLIRToken:
        token = super()._lex_string_literal(start_pos)
        if token.kind is not MLIRTokenKind.BYTES_LIT:
            return token
        try:
            MLIRTokenKind.STRING_LIT.get_string_literal_value(token.span)
        except UnicodeDecodeError:
            return token
        return Token(MLIRTokenKind.STRING_LIT, token.span)


class TextParser(Parser):
    """xDSL's parser over ``TextLexer``; values keep the names that they have in the text."""

    def __init__(self, context: Context, text: str, name: str = "<unknown>"):
        super().__init__(context, "", name)
        self._parser_state = ParserState(TextLexer(Input(text, name)))

    def _get_op_by_name(self, name: str) -> type[Operation]:
        """As xDSL does; what is not there is said at its place, with what it may have been meant to be."""
        known = self.ctx.get_optional_op(name, dialect_stack=self._parser_state.dialect_stack)
        if known is not None:
            return known
        dialect = name.partition(".")[0]
        names = {op.name for op in self.ctx.loaded_ops if op.name.partition(".")[0] == dialect}
        near = difflib.get_close_matches(name, names, 1) if names else []
        if not names and (others := difflib.get_close_matches(dialect, self.ctx.registered_dialect_names, 1)):
            near = [others[0] + name[len(dialect) :]]
        hint = f"; did you mean {near[0]}?" if near else ""
        start = self._current_token.span.input.content.rfind(name, 0, self._current_token.span.start)
        self.raise_error(f"Operation {name} is not registered{hint}", start, start + len(name))

    def _register_ssa_definition(self, name: str, values: Sequence[SSAValue], span: Span) -> None:
        """As xDSL does, and keep the whole name: xDSL would call ``%row_2`` ``%row`` from then on."""
        super()._register_ssa_definition(name, values, span)
        if len(values) == 1 and values[0].name_hint is not None:
            values[0]._name = name  # pyright: ignore[reportPrivateUsage]


class TextPrinter(Printer):
    """xDSL's printer with names that are unique and strings that people can read."""

    def print_ssa_value(self, value: SSAValue) -> str:
        if value not in self._ssa_values and value.name_hint is not None:
            self._ssa_values[value] = self._new_name(value.name_hint)
        return super().print_ssa_value(value)

    def _new_name(self, hint: str) -> str:
        """The hint, with the first number behind it that no name of this scope has."""
        name = stem = hint if hint.isascii() else re.sub(r"[^\x00-\x7f]", "_", hint)
        while name in self.ssa_names:
            number = self.ssa_names[stem]
            self.ssa_names[stem] = number + 1
            name = f"{stem}_{number}"
        self.ssa_names[name] = 1
        return name

    def print_string_literal(self, string: str) -> None:
        self.print_string(f'"{"".join(map(_escaped, string))}"')


def _escaped(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    if letter.isprintable():
        return letter
    return "".join(f"\\{byte:02X}" for byte in letter.encode())


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}


OWN_PLACES: WeakKeyDictionary[Operation, FileLineColLoc] = WeakKeyDictionary()
"""Where operations stand in the text that they were read from, if that text says of them that they come from elsewhere
(``loc(…)``): what is wrong with them is wrong here."""


def place_in_text(op: Operation) -> str:
    """``plan.mlir:3:5`` for an operation that was read from text, else nothing."""
    where = OWN_PLACES.get(op) or file_place(op.location)
    return f"{where.filename.data}:{where.line.data}:{where.column.data}" if where is not None else ""


def at_its_place(op: Operation, sentence: str) -> str:
    """The sentence behind the operation's place in its text, if it has one."""
    return f"{where}: {sentence}" if (where := place_in_text(op)) else sentence


def file_place(location: Attribute) -> FileLineColLoc | None:
    """The first place in a file that a location speaks of."""
    if isinstance(location, FileLineColLoc):
        return location
    return next(filter(None, map(file_place, _inner(location))), None)


def names_in(location: Attribute) -> list[str]:
    """The names that a location gives, in order."""
    own = [location.desc.data] if isinstance(location, NameLoc) else []
    return [*own, *(name for inner in _inner(location) for name in names_in(inner))]


def _inner(location: Attribute) -> Sequence[Attribute]:
    if isinstance(location, FusedLoc) and isinstance(location.locations, ArrayAttr):
        return location.locations.data
    if isinstance(location, CallSiteLoc):
        return location.callee, location.caller
    return (location.location,) if isinstance(location, NameLoc) else ()
