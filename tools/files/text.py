"""A module as the files that hold it: its text, and its constants beside it."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp


def write_text(module: ModuleOp, path: Path, head: str = "") -> None:
    """The module's text behind ``head``, and its constants in the side file; each whole or not at all."""
    from sim.machine.files import write_whole
    from tools.files import constants
    from tools.terminal.text_target import TextTarget

    kept = constants.attach([module], path)
    stream = StringIO(head)
    stream.seek(0, 2)
    TextTarget().emit(Context(), module, stream)
    constants.write(kept, path)
    write_whole(str(path), stream.getvalue().encode())
