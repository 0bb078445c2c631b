"""The options of recon-opt besides xDSL's, and what its help says of our passes."""

from __future__ import annotations

import argparse
from typing import Any

from passes.common.levels import LEVELS
from passes.pipeline import PIPELINE
from passes.planner.options import OFFERS
from tools.instruments import add_instruments


def add_options(parser: argparse.ArgumentParser) -> None:
    """All of them, in a group of their own."""
    group = parser.add_argument_group("recon")
    group.add_argument("--to", choices=LEVELS, help="run the pipeline down to this level, before the passes of -p")
    group.add_argument("--machine", help="machine for the passes that ask for one: a name or a TOML file")
    group.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="another value in the machine; repeatable"
    )
    group.add_argument(
        "--assume-int8",
        action="store_true",
        default=None,
        help="quantise a float model with made-up scales, to learn what it would cost",
    )
    group.add_argument(
        "--input-shape",
        action="append",
        default=[],
        metavar="NAME=1,3,224,224",
        help="shape of a model input that the model leaves open",
    )
    for name, offer in OFFERS.items():
        normally = f" (normally {offer.normally})" if offer.normally else ""
        group.add_argument(
            offer.flag or f"--{name.replace('_', '-')}",
            dest=name,
            type=str if offer.kind is list else offer.kind,
            action="append" if offer.kind is list else "store",
            choices=offer.choices or None,
            metavar=None if offer.choices else offer.metavar,
            help=offer.help[0].lower() + offer.help[1:].removesuffix(".") + normally,
        )
    _add_validation(group)
    group.add_argument(
        "--force", action="store_true", help="write even over a file that is read, or is no text of ours"
    )
    add_instruments(group)
    _add_reproducers(group)
    group.add_argument("--debug", action="store_true", help="show the traceback of a failure")


def _add_validation(group: Any) -> None:
    """The options that run the IR and compare."""
    group.add_argument(
        "--validate-each",
        action="store_true",
        help="run the IR before and after every pass, and stop at the first that changes an answer",
    )
    group.add_argument(
        "--validate-inputs",
        type=int,
        default=None,
        metavar="N",
        help="inputs tried by --validate-each (normally 4)",
    )
    group.add_argument(
        "--against",
        metavar="MODEL",
        help="with --validate-each: compare the text with this model first, layer by layer",
    )


def _add_reproducers(group: Any) -> None:
    """The options of files that show an internal error again."""
    group.add_argument(
        "--reproducer",
        metavar="FILE",
        help="where to write the reproducer of an internal error (normally a new folder)",
    )
    group.add_argument(
        "--run-reproducer", action="store_true", help="the input is a reproducer: run the passes that it names"
    )


def passes_by_level() -> str:
    """Our passes by level, in pipeline order."""
    lines = ["passes of this compiler by level, in pipeline order (those in brackets only when asked for):"]
    for level in LEVELS:
        names = [
            entry.name if entry.default and not entry.when else f"[{entry.name}]"
            for entry in PIPELINE
            if entry.level == level
        ]
        lines += [f"  {level}: {', '.join(names)}"] if names else []
    return "\n".join(lines)
