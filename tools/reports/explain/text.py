"""The explanation of a run or of one layer, as text for the terminal."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Sequence

from sim.machine.clock import TERMS
from sim.machine.description import Configuration
from sim.machine.errors import ReconError
from tools.reports.explain.rows import measured, share, trials_table, wrapped
from tools.reports.explain.trials import Choice, Laboratory, Trial, roomier
from tools.reports.explain.variants import LayerVariant
from tools.reports.explain.why_not import NOTICED, why_nots
from tools.reports.page.verdict import BINDS, verdict
from tools.reports.profile.records import LayerProfile, Profile
from tools.reports.report import WIDTH
from tools.terminal.console import shorten, table

HEAVIEST = 8
"""Layers that the explanation of a run lists."""


def find_layer(profile: Profile, asked: str) -> int:
    """The layer of this name, or the one that an ONNX node of this name is part of; ReconError names close ones."""
    names = [layer.statistics.name for layer in profile.layers]
    if asked in names:
        return names.index(asked)
    for index, layer in enumerate(profile.layers):
        if asked in layer.onnx:
            return index
    near = difflib.get_close_matches(asked, names, 3, 0.4)
    raise ReconError(
        f"There is no layer or node '{asked}'; "
        + (f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(names[:6])} and others.")
    )


def explain_run(profile: Profile, laboratory: Laboratory) -> str:
    """What holds the run back, its heaviest layers, and what would help."""
    s = profile.statistics
    lines = [f"{s.model} on {s.machine}", *wrapped(verdict(profile)), "", "The layers that take most of the time"]
    heaviest = sorted(profile.layers, key=lambda layer: -layer.statistics.cycles)[:HEAVIEST]
    rows = [
        (
            layer.statistics.name,
            layer.operator,
            f"{layer.statistics.cycles:,}",
            share(layer.statistics.cycles, s.cycles),
            _limit(layer),
        )
        for layer in heaviest
        if layer.statistics.cycles
    ]
    lines += [
        shorten(line, WIDTH)
        for line in table(("layer", "what", "cycles", "share", "limited by"), rows, (2, 3)).splitlines()
    ]
    freedoms = ("prefetch", "fusion", "residency", "winograd", "order")
    lines += [
        "",
        "What the planner's freedoms are worth",
        trials_table(laboratory.without(freedoms), s.cycles, promises=False),
    ]
    lines += [
        "",
        "What a larger machine would give, and frames in a row",
        trials_table(laboratory.levers(profile), s.cycles, promises=True),
    ]
    lines += ["", "What smaller pictures would give"]
    lines += [trials_table([laboratory.smaller_pictures(profile)], s.cycles, promises=True)]
    lines += ["", *_again(laboratory), *_again_varied(laboratory, "varied.onnx")]
    return "\n".join(lines)


def explain_layer(profile: Profile, index: int, laboratory: Laboratory) -> str:
    """Why a layer is planned as it is, what limits it, and what would help."""
    s, layer = profile.statistics, profile.layers[index]
    row = layer.statistics
    lines = [
        f"{row.name}: {layer.operator}, in {s.model} on {s.machine}",
        shorten(f"ONNX nodes: {', '.join(layer.onnx) or 'none'}", WIDTH),
        *_folded(
            f"critical path: {row.cycles:,} of {s.cycles:,} cycles ({share(row.cycles, s.cycles)}), {_terms(layer)}"
        ),
        *_folded(f"array: {layer.array_cycles:,.0f} cycles, {_losses(layer)}"),
    ]
    choices = laboratory.choices(row.name, row.configuration)
    if choices:
        lines += ["", f"Why {row.configuration or 'no configuration'}", *_why(choices, s.cycles)]
    lines += why_nots(profile, index, laboratory)
    lines += ["", "What would help", *wrapped(_model_levers(profile, index, laboratory))]
    lines += [trials_table(laboratory.levers(profile), s.cycles, promises=True)]
    if other := _other_layers(profile, index, laboratory):
        lines += ["", "What another layer in its place would give", trials_table(other, s.cycles, promises=True)]
    lines += ["", *_again(laboratory), *(_again_varied(laboratory, "varied.mlir") if other else [])]
    return "\n".join(lines)


def _other_layers(profile: Profile, index: int, laboratory: Laboratory) -> list[Trial]:
    """The model with fewer or more channels in this layer, with a 1x1 kernel, or without it: whatever can be.

    What is promised is the layer's share of the critical path, less what its multiply-accumulates shrink by; channels
    up to the next whole step of the array are promised to be free.
    """
    row, cycles = profile.layers[index].statistics, profile.statistics.cycles
    shape = laboratory.shapes().get(row.name)
    found: list[Trial] = []
    if shape is not None and shape.groups == 1 and row.configuration:
        unit = Configuration.parse(row.configuration).k
        steps, rest = divmod(shape.outputs, unit)
        if rest:
            up = laboratory.varied(f"{unit * (steps + 1)} output channels for {shape.outputs}",
                                   LayerVariant(row.name, channels=unit * (steps + 1)), cycles)  # fmt: skip
            found.append(up)
        fewer = unit * (steps if rest else steps - 1)
        if fewer:
            part = round(row.cycles * (1 - fewer / (unit * (steps + bool(rest)))))
            found.append(laboratory.varied(f"{fewer} output channels for {shape.outputs}",
                                           LayerVariant(row.name, channels=fewer), cycles - part))  # fmt: skip
    if shape is not None and shape.taps > 1:
        part = round(row.cycles * (1 - 1 / shape.taps))
        found.append(laboratory.varied("a kernel of 1x1", LayerVariant(row.name, pointwise=True), cycles - part))
    found.append(laboratory.varied("nothing in its place", LayerVariant(row.name, without=True), cycles - row.cycles))
    return found


def _folded(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ")


def _why(choices: Sequence[Choice], cycles: int) -> list[str]:
    rows = [
        (
            ("* " if choice.chosen else "  ") + choice.configuration,
            f"{choice.array_cycles:,}",
            *measured(choice.run, cycles),
        )
        for choice in choices
    ]
    text = table(("  configuration", "the layer alone", "the whole run", "difference"), rows, (1, 2, 3))
    return [*text.splitlines(), "* chosen; each was pinned, and the whole model planned anew"]


def _again(laboratory: Laboratory) -> list[str]:
    return ["Each row again, with its options at the end:", f"  {laboratory.again}"]


def _model_levers(profile: Profile, index: int, laboratory: Laboratory) -> list[str]:
    layer = profile.layers[index]
    row = layer.statistics
    said: list[str] = []
    shape = laboratory.shapes().get(row.name)
    wider = roomier(profile.machine, shape, row.configuration) if shape is not None else None
    if shape is not None and wider is not None:
        said.append(
            f"In the model: with {wider[0]} input and {wider[1]} output channels instead of {shape.inputs} and "
            f"{shape.outputs} it would take the same cycles of the array; more channels are free, or as many fewer "
            "as go down to the next multiple save a whole step."
        )
    if layer.losses["spatial fit"] > 0.1 * layer.array_cycles:
        said.append(
            f"In the model: {layer.losses['spatial fit']:,.0f} of its {layer.array_cycles:,.0f} array cycles are lanes "
            f"without work; channels in multiples of {row.configuration or 'the configuration'} would use them."
        )
    return said


def _again_varied(laboratory: Laboratory, varied: str) -> list[str]:
    return [
        "and those of another model, with theirs at the end of the first:",
        *map("  {}".format, laboratory.vary(varied)),
    ]


def _limit(layer: LayerProfile) -> str:
    return BINDS.get(layer.statistics.limited_by, layer.statistics.limited_by)


def _terms(layer: LayerProfile) -> str:
    terms = layer.statistics.terms
    parts = [f"{BINDS[term]} {share(terms[term], layer.statistics.cycles)}" for term in TERMS if terms[term]]
    return ", ".join(parts) or "hidden behind other layers"


def _losses(layer: LayerProfile) -> str:
    parts = sorted(layer.losses.items(), key=lambda part: -part[1])
    seen = [f"{name} {value:,.0f}" for name, value in parts if value >= NOTICED * layer.array_cycles and value >= 0.5]
    return ", ".join(seen) or "none"
