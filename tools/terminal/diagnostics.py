"""From exceptions to what people read: ``error: …``, the place if it is known, and never a traceback or a weight.

xDSL attaches the whole module in generic form to every error, constants included. Here an error carries one line: the
operation it is about, cut short, and the layer it belongs to.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Generator
from contextlib import contextmanager
from io import StringIO
from typing import NoReturn

from xdsl.context import Context
from xdsl.dialects.builtin import (
    DenseIntOrFPElementsAttr,
    DenseResourceAttr,
    FileLineColLoc,
    IntAttr,
    LocationAttr,
    ModuleOp,
    StringAttr,
    UnknownLoc,
)
from xdsl.ir import Attribute, IRNode, Operation
from xdsl.parser import Parser
from xdsl.passes import ModulePass
from xdsl.utils.diagnostic import Diagnostic
from xdsl.utils.exceptions import ArgSpecParseError, DiagnosticException, ParseError, VerifyException

from dialects.text import OWN_PLACES, TextParser, TextPrinter
from passes.common.levels import LEVELS
from passes.common.problems import place_in_text
from sim.machine.errors import ReconError

LINE = 160
"""Characters of an operation that an error shows."""

EXPECTED: tuple[type[BaseException], ...] = (
    ReconError,
    ParseError,
    DiagnosticException,
    ArgSpecParseError,
    OSError,
)
"""What a tool reports as the user's problem; anything else is its own."""


class _Enough(Exception):
    """The line is full."""


class _Line(StringIO):
    def write(self, text: str, /) -> int:
        written = super().write(text)
        if "\n" in text or self.tell() > LINE:
            raise _Enough
        return written


class _ElidingPrinter(TextPrinter):
    def print_attribute(self, attribute: Attribute) -> None:
        if isinstance(attribute, (DenseIntOrFPElementsAttr, DenseResourceAttr)):
            self.print_string("dense<…>")
        else:
            super().print_attribute(attribute)


def headline(op: Operation) -> str:
    """The operation's first line, at most LINE characters; whatever its size, little is printed."""
    stream = _Line()
    try:
        _ElidingPrinter(stream).print_op(op)
    except _Enough:
        pass
    except Exception:  # an invalid operation may not print in its own format
        return f"%… = {op.name} …" if op.results else f"{op.name} …"
    text = stream.getvalue()
    first = text.splitlines()[0] if text else op.name
    return first if len(text) <= LINE and "\n" not in text else first[:LINE].rstrip() + " …"


def place(op: Operation) -> str:
    """Where the operation comes from: its place in the text and the layer it belongs to, as far as they are known."""
    where = place_in_text(op) or ("" if isinstance(op.location, UnknownLoc) else str(op.location))
    layer = op.properties.get("layer", op.attributes.get("layer"))
    name = layer.data if isinstance(layer, StringAttr) else layer
    return " ".join(filter(None, [f"at {where}" if where else "", f"in layer {name}" if layer is not None else ""]))


def about(op: Operation) -> str:
    """The line under an error's sentence: the operation and its place."""
    where = place(op)
    return f"  {headline(op)}" + (f"\n  {where}" if where else "")


def _raise_lean(self: Diagnostic, ir: IRNode, underlying_error: Exception) -> NoReturn:
    for op in self.op_messages:
        underlying_error.add_note(about(op))
    raise underlying_error


@contextmanager
def lean_diagnostics() -> Generator[None]:
    """Within, xDSL's errors carry one line instead of the whole module."""
    original = Diagnostic.raise_exception
    Diagnostic.raise_exception = _raise_lean
    try:
        yield
    finally:
        Diagnostic.raise_exception = original


class _PlacedParser(TextParser):
    """Gives every operation its place in the text, which xDSL forgets; passes that replace an operation drop it. What
    the text itself says of an operation's location stays."""

    def __init__(self, context: Context, text: str, name: str, line: int):
        super().__init__(context, text, name)
        self.file, self.line = StringAttr(name), line
        self.said: LocationAttr | None = None
        self.starts = [0, *(at + 1 for at, letter in enumerate(text) if letter == "\n")]

    def parse_operation(self) -> Operation:
        start = self._current_token.span.start
        op = super().parse_operation()
        said, self.said = self.said, None
        line = bisect_right(self.starts, start) - 1
        place = FileLineColLoc(self.file, IntAttr(self.line + line), IntAttr(start - self.starts[line] + 1))
        if said is None:
            op.location = place
        else:
            OWN_PLACES[op] = place
        return op

    def parse_optional_location(self) -> LocationAttr | None:
        """As xDSL does; what stands last behind an operation is the operation's."""
        self.said = super().parse_optional_location()
        return self.said


def parse_module(context: Context, text: str, name: str, implicit_module: bool = True, line: int = 1) -> ModuleOp:
    """The module of this text; every ParseError and VerifyException says where in the file ``name`` it arose.

    Every operation knows its place; ``line`` is the number of the text's first line.
    """
    parser = _PlacedParser(context, text, name, line)
    if not re.sub(r"//.*", "", text).strip():
        parser.raise_error("there is nothing in this text", 0, 1)
    with lean_diagnostics():
        try:
            return parser.parse_module(implicit_module)
        except VerifyException as error:  # from an attribute's own check, which knows no place
            raise _placed(error, parser, text) from None
        except RecursionError:
            raise ReconError(f"{name}: operations or brackets are nested too deeply in this text.") from None


def _placed(error: VerifyException, parser: Parser, text: str) -> VerifyException:
    """The error with the place up to which the text was read."""
    try:
        parser.raise_error(str(error), len(text[: parser.pos].rstrip()) - 1)
    except ParseError as located:
        return VerifyException(describe(located))


def verify(module: ModuleOp, ran: ModulePass | None = None) -> None:
    """Verify the module; a VerifyException always names the operation.

    In our own levels also what xDSL leaves out: definitions before uses, symbols that exist, and that a conversion,
    if ``ran`` was one, has left no operation of the level above.
    """
    _check_symbols(module)
    with lean_diagnostics():
        try:
            module.verify()
        except VerifyException as error:
            if not getattr(error, "__notes__", ()):
                _find_culprit(module, error)
            raise
    ours = any(op.name.partition(".")[0] in LEVELS for op in module.walk())
    if ours or any("!cnn." in str(op.properties.get("function_type")) for op in module.body.block.ops):
        from passes.every_level.verify_structure import verify_structure

        try:
            verify_structure(module, _converted_to(ran))
        except ReconError as error:
            raise VerifyException(str(error)) from None


def _check_symbols(module: ModuleOp) -> None:
    """VerifyException at the second definition of a symbol; xDSL says it of the module."""
    first: dict[str, Operation] = {}
    for op in module.body.block.ops:
        name = op.properties.get("sym_name")
        if isinstance(name, StringAttr) and first.setdefault(name.data, op) is not op:
            at = f", first at {where}" if (where := place_in_text(first[name.data])) else ""
            error = VerifyException(f"the symbol @{name.data} is defined twice{at}")
            error.add_note(about(op))
            raise error


def _converted_to(ran: ModulePass | None) -> str:
    """The level that a pass ``convert-A-to-B`` makes; nothing for any other pass."""
    level = ran.name.rpartition("-to-")[2] if ran is not None and ran.name.startswith("convert-") else ""
    return level if level in LEVELS else ""


def _find_culprit(module: Operation, error: VerifyException) -> None:
    for op in module.walk():
        try:
            op.verify(verify_nested_ops=False)
        except VerifyException as found:
            if str(found) == str(error):
                error.add_note(about(op))
                return


def describe(error: BaseException) -> str:
    """The text of an expected error, without the leading ``error:``."""
    if isinstance(error, ParseError):
        location = error.span.get_location()
        shown = error.span.print_with_context(None).splitlines()[1:]
        context = "".join(f"\n  {line[:LINE]}" for line in shown) if any(map(str.strip, shown[:1])) else ""
        return f"{location.file}:{location.line}:{location.col}: {error.msg}{context}"
    if isinstance(error, ArgSpecParseError):
        return str(error).replace("Error parsing pass pipeline specification:\n", "the pass pipeline: ", 1).rstrip()
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    notes: list[str] = list(getattr(error, "__notes__", ()))
    found = re.search(r"\n  at (.+?:\d+:\d+)( in layer .*)?$", notes[0]) if notes else None
    if found is None:
        return "\n".join([str(error), *notes])
    notes[0] = notes[0][: found.start()] + (f"\n  {found[2].strip()}" if found[2] else "")
    return "\n".join([f"{found[1]}: {error}", *notes])


def describe_unexpected(error: BaseException, tool: str) -> str:
    """One sentence for a failure of our own, and below it what is known of where it arose."""
    reason = str(error).partition("\n")[0][:LINE]
    said = (
        f"{tool} itself failed ({type(error).__name__}{': ' if reason else ''}{reason}); "
        f"this is a defect of {tool}, and --debug shows the traceback."
    )
    return "\n".join([said, *getattr(error, "__notes__", ())])
