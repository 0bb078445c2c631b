"""The planner's options as parameters of a command, made from what the planner says of them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from passes.planner.options import FREEDOMS, OFFERS, Offer, options_from

_KINDS: dict[type, Any] = {int: int | None, str: str | None, float: float | None, list: list[str] | None}


def takes_planning(*names: str, without: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command whose parameter ``planning`` is read from the command line, each of these options a parameter there.

    ``without`` adds ``--without``, which takes freedoms away.
    """

    def wrap(command: Callable[..., None]) -> Callable[..., None]:
        offered = [_parameter(name, OFFERS[name]) for name in names]
        offered += [_without()] if without else []
        kept = inspect.signature(command, eval_str=True).parameters.values()
        parameters = [new for old in kept for new in (offered if old.name == "planning" else [_named(old)])]

        @functools.wraps(command)
        def run(**given: Any) -> None:
            asked = {parameter.name: given.pop(parameter.name) for parameter in offered}
            command(planning=options_from(asked.pop("without", None) or (), **asked), **given)

        # Typer reads the parameters of a command from its signature and annotations.
        shown: Any = run
        shown.__signature__ = inspect.Signature(parameters)
        shown.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return wrap


def _named(parameter: inspect.Parameter) -> inspect.Parameter:
    return parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)


def _parameter(name: str, offer: Offer) -> inspect.Parameter:
    normally = f"  [default: {offer.normally}]" if offer.normally else ""
    flags = [offer.flag] if offer.flag else []
    bounds: dict[str, Any] = (
        {"min": min(offer.choices), "max": max(offer.choices)} if offer.kind is int and offer.choices else {}
    )
    said = typer.Option(*flags, metavar=offer.metavar, help=offer.help + normally, **bounds)
    return _keyword(name, Annotated[_KINDS[offer.kind], said])


def _without() -> inspect.Parameter:
    help_ = "Plan without this freedom, to see what it is worth; repeatable."
    return _keyword("without", Annotated[list[str] | None, typer.Option(metavar="|".join(FREEDOMS), help=help_)])


def _keyword(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
