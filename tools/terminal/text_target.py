"""xDSL's target ``mlir``, printed so that every name, string and number reads back and long lines are broken."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import IO, cast

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.syntax_printer import SyntaxPrinter
from xdsl.targets.mlir import MLIRTarget

from dialects.text import TextPrinter
from dialects.text_lines import BrokenLines
from tools.terminal.locations import located


class _ColouredPrinter(TextPrinter, SyntaxPrinter):
    """For a terminal."""


@dataclass(frozen=True)
class TextTarget(MLIRTarget):
    """The text of a module, of any level."""

    def emit(self, ctx: Context, module: ModuleOp, output: IO[str]) -> None:
        lines = BrokenLines(output)
        printer = (_ColouredPrinter if self.syntax_highlight else TextPrinter)(
            stream=output if self.syntax_highlight else cast(IO[str], lines),
            print_generic_format=self.print_generic_format,
            print_properties_as_attributes=self.print_properties_as_attributes,
            print_debuginfo=self.print_debuginfo,
        )
        with located(module) if self.print_debuginfo else nullcontext():
            printer.print_op(module)
        printer.print_metadata(ctx.loaded_dialects)
        lines.finish()
        output.write("\n")
