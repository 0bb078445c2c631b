"""The doors of the commands: from their first moment on, Ctrl-C has an answer, and nothing is imported before that.

Importing ``recon`` takes some hundredths of a second, and what it imports some tenths. What comes earlier, Python's own
start, is not ours: an interrupt ends it in Python's words.
"""

from __future__ import annotations

import _signal  # pyright: ignore[reportMissingImports] # the module behind signal, which imports a good deal
import os

TYPE_CHECKING = False  # as typing has it, which imports a good deal
if TYPE_CHECKING:
    from typing import NoReturn

INTERRUPTED = "interrupted; a file is written whole or not at all.\n"


def main() -> None:
    """The command ``recon``."""
    _answer_interrupts()
    import recon

    recon.main()


def opt() -> None:
    """The command ``recon-opt``."""
    _answer_interrupts()
    import recon

    recon.opt()


def reducer() -> None:
    """The command ``recon-reduce``."""
    _answer_interrupts()
    import recon

    recon.reducer()


def _answer_interrupts() -> None:
    """Until ``recon`` does it in its own way, end at once: nothing has been begun."""

    def end(_number: int, _frame: object) -> None:
        end_at_once()

    _signal.signal(_signal.SIGINT, end)


def end_at_once() -> NoReturn:
    """Say that it was interrupted, give a terminal its cursor back, and end; nothing is tidied up."""
    os.write(2, ("\033[?25h" if os.isatty(2) else "").encode() + INTERRUPTED.encode())
    os._exit(130)
