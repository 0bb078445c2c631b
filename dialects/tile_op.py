"""What the tile dialect's instructions share: their layer, parts of their text, and checks of channels.

One op, in every turn of its loops, is one instruction; ``TileOp`` is the base of all that are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from xdsl.dialects.builtin import FlatSymbolRefAttrConstr, SymbolRefAttr
from xdsl.ir import SSAValue
from xdsl.irdl import (
    IRDLOperation,
    opt_prop_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from dialects.cnn_attributes import WindowAttr
from dialects.tile_attributes import (
    AffineIndex,
    Slice,
)
from dialects.tile_slices import buffer_type
from sim.machine.isa import PARAMETER_BYTES, TABLE_BYTES


class TileOp(IRDLOperation):
    """Base of the ops that become instructions: ``layer`` is their provenance."""

    layer = opt_prop_def(FlatSymbolRefAttrConstr)

    @property
    def layer_name(self) -> str:
        return self.layer.root_reference.data if self.layer is not None else ""

    def _print_layer(self, printer: Printer) -> None:
        if self.layer is not None:
            printer.print_string(" layer ")
            printer.print_symbol_name(self.layer.root_reference.data)


@functools.lru_cache(maxsize=1 << 14)
def layer_symbol(name: str | None) -> SymbolRefAttr | None:
    """The reference to a layer, made once."""
    return SymbolRefAttr(name) if name else None


def parse_layer(parser: Parser) -> str | None:
    if parser.parse_optional_keyword("layer") is None:
        return None
    return parser.parse_symbol_name().data


def parse_parts(parser: Parser, parts: Mapping[str, Callable[[], dict[str, Any]]]) -> dict[str, Any]:
    """The parts of an operation that begin with a keyword, in any order, each once."""
    found: dict[str, Any] = {}
    seen: set[str] = set()
    while (
        keyword := next((word for word in parts if parser.parse_optional_keyword(word) is not None), None)
    ) is not None:
        if keyword in seen:
            parser.raise_error(f"'{keyword}' is given twice")
        seen.add(keyword)
        found |= parts[keyword]()
    return found


def parse_keyword(parser: Parser, word: str) -> None:
    parser.parse_keyword(word)


def check_channels(what: str, box: Slice, depth: int) -> None:
    """VerifyException for channels, at an offset that is known, that a buffer of ``depth`` channels does not have."""
    (offset,), (count,) = box.offsets, box.sizes
    if count < 1 or (not offset.terms and (offset.constant < 0 or offset.constant + count > depth)):
        raise VerifyException(
            f"{what} {offset.constant} to {offset.constant + count - 1} are asked for, and the buffer has {depth}"
        )


def check_made(window: WindowAttr, source: tuple[int, ...], out: tuple[int, ...]) -> None:
    """VerifyException for a window over a whole buffer of ``source`` that does not make the rows and columns of
    ``out``."""
    if (made := window.output(source[0], source[1])) != out[:2]:
        raise VerifyException(
            f"the window makes {made[0]}x{made[1]} of {source[0]}x{source[1]} pixels, and the output buffer has "
            f"{out[0]}x{out[1]}"
        )


def check_side_data(params: SSAValue | None, table: SSAValue | None) -> None:
    """VerifyException for parameters or a table in a buffer of another shape than their readers take."""
    if params is not None and (len(dims := buffer_type(params).dims) != 2 or dims[1] != PARAMETER_BYTES):
        raise VerifyException(
            f"params are a buffer of Kx{PARAMETER_BYTES} bytes, a row for every channel, not {params.type}"
        )
    if table is not None and buffer_type(table).dims != (TABLE_BYTES,):
        raise VerifyException(f"a table is a buffer of {TABLE_BYTES} bytes, not {table.type}")


def check_apart(what: str, out: Slice, offset: AffineIndex, channels: int) -> None:
    """VerifyException for an operation that writes channels of a buffer while it still reads them."""
    first = out.offsets[2]
    apart = first.constant >= offset.constant + channels or offset.constant >= first.constant + out.sizes[2]
    if not first.terms and not offset.terms and not apart:
        raise VerifyException(
            f"{what} cannot write channels {first.constant} to {first.constant + out.sizes[2] - 1} of the buffer of "
            f"which it reads channels {offset.constant} to {offset.constant + channels - 1}; take another buffer for "
            "its output"
        )
