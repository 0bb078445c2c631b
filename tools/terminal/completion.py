"""Shell completion of recon-opt: argcomplete reads the options; what it cannot know is here. Typer does it for recon.

The shell asks the tool itself, so passes, machines and levels are those of this installation. ``--show-completion
bash`` prints what to put into the shell's profile.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from typing import Any

SHELLS = ("bash", "zsh", "fish", "tcsh", "powershell")


def add_completion(parser: argparse.ArgumentParser, passes: Iterable[str]) -> None:
    """Add the option, and answer the shell if it is the one that asks; then the tool ends here."""
    parser.add_argument(
        "--show-completion", action=_ShowCompletion, choices=SHELLS, help="print the completion for this shell, and end"
    )
    if "_ARGCOMPLETE" not in os.environ:
        return
    import argcomplete
    from argcomplete.completers import FilesCompleter

    names = sorted(passes)

    def of_passes(prefix: str, **_: object) -> list[str]:
        return pipelines(prefix, names)

    def of_machines(prefix: str, **_: object) -> list[str]:
        return machines(prefix)

    texts = FilesCompleter(("mlir", "onnx"))
    completers: dict[str, Any] = {
        **dict.fromkeys(("passes", "print_ir_before", "print_ir_after"), of_passes),
        **dict.fromkeys(("input_file", "against"), texts),
        "machine": of_machines,
    }
    for action in parser._actions:
        if action.dest in completers:
            action.completer = completers[action.dest]  # pyright: ignore[reportAttributeAccessIssue]
    argcomplete.autocomplete(parser, default_completer=FilesCompleter())


def pipelines(prefix: str, names: Iterable[str]) -> list[str]:
    """What ``-p`` may go on with: the passes given so far, and each that begins as the last of them does."""
    done, comma, _ = prefix.rpartition(",")
    return [f"{done}{comma}{name}" for name in names]


def machines(incomplete: str = "") -> list[str]:
    """The machines that come with us, those that begin so."""
    from sim.machine.description import names

    return [name for name in names() if name.startswith(incomplete)]


class _ShowCompletion(argparse.Action):
    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        from argcomplete.shell_integration import shellcode

        sys.stdout.write(shellcode(["recon-opt"], shell=str(values)))
        parser.exit()
