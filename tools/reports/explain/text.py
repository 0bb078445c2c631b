"""The explanation of a run or of one layer, as text for the terminal."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Sequence

import numpy as np

from sim.machine.clock import TERMS
from sim.machine.errors import ReconError
from sim.machine.order import QUEUE_NUMBER
from tools.reports.explain.trials import Choice, Laboratory, Trial, roomier
from tools.reports.page.verdict import BINDS, verdict
from tools.reports.profile.records import LayerProfile, Profile
from tools.reports.report import WIDTH
from tools.terminal.console import count, shorten, table

HEAVIEST = 8
"""Layers that the explanation of a run lists."""

NOTICED = 0.01
"""Part of a layer's cycles below which a loss is not worth a word."""


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
    lines = [f"{s.model} on {s.machine}", *_wrapped(verdict(profile)), "", "The layers that take most of the time"]
    heaviest = sorted(profile.layers, key=lambda layer: -layer.statistics.cycles)[:HEAVIEST]
    rows = [
        (
            layer.statistics.name,
            layer.operator,
            f"{layer.statistics.cycles:,}",
            _share(layer.statistics.cycles, s.cycles),
            _limit(layer),
        )
        for layer in heaviest
        if layer.statistics.cycles
    ]
    lines += [
        shorten(line, WIDTH)
        for line in table(("layer", "what", "cycles", "share", "limited by"), rows, (2, 3)).splitlines()
    ]
    freedoms = ("prefetch", "fusion", "residency", "winograd")
    lines += [
        "",
        "What the planner's freedoms are worth",
        _trials(laboratory.without(freedoms), s.cycles, promises=False),
    ]
    lines += ["", "What a larger machine would give", _trials(laboratory.levers(profile), s.cycles, promises=True)]
    lines += ["", *_again(laboratory)]
    return "\n".join(lines)


def explain_layer(profile: Profile, index: int, laboratory: Laboratory) -> str:
    """Why a layer is planned as it is, what limits it, and what would help."""
    s, layer = profile.statistics, profile.layers[index]
    row = layer.statistics
    lines = [
        f"{row.name}: {layer.operator}, in {s.model} on {s.machine}",
        shorten(f"ONNX nodes: {', '.join(layer.onnx) or 'none'}", WIDTH),
        f"critical path: {row.cycles:,} of {s.cycles:,} cycles ({_share(row.cycles, s.cycles)}), {_terms(layer)}",
        f"array: {layer.array_cycles:,.0f} cycles, {_losses(layer)}",
    ]
    choices = laboratory.choices(row.name, row.configuration)
    if choices:
        lines += ["", f"Why {row.configuration or 'no configuration'}", *_why(choices, s.cycles)]
    lines += ["", "Why are its weights not on chip when it begins?", *_wrapped([_arrival(profile, index)])]
    lines += ["Why is it not fused with its neighbours?", *_wrapped([_fusion(profile, index)])]
    if layer.traffic["spill"]:
        lines += ["Why do activations of it wait in DRAM?", *_wrapped([_spill(profile, index)])]
    lines += [_trials(laboratory.without(("prefetch", "fusion")), s.cycles, promises=False)]
    lines += ["", "What would help", *_wrapped(_model_levers(profile, index, laboratory))]
    lines += [_trials(laboratory.levers(profile), s.cycles, promises=True)]
    lines += ["", *_again(laboratory)]
    return "\n".join(lines)


def _why(choices: Sequence[Choice], cycles: int) -> list[str]:
    rows = [
        (
            ("* " if choice.chosen else "  ") + choice.configuration,
            f"{choice.array_cycles:,}",
            *_measured(choice.run, cycles),
        )
        for choice in choices
    ]
    text = table(("  configuration", "the layer alone", "the whole run", "difference"), rows, (1, 2, 3))
    return [*text.splitlines(), "* chosen; each was pinned, and the whole model planned anew"]


def _again(laboratory: Laboratory) -> list[str]:
    return ["Each row again, with its options at the end:", f"  {laboratory.again}"]


def _arrival(profile: Profile, index: int) -> str:
    layer = profile.layers[index]
    waits = layer.losses["DRAM"]
    weights = layer.traffic["weights"]
    if waits < NOTICED * max(1.0, layer.array_cycles):
        return "They are: the array does not wait for DRAM before its instructions."
    ran = profile.steps
    mine = np.flatnonzero((ran.layer == index) & (ran.queue == QUEUE_NUMBER["array"]))
    begin = int(ran.start[mine].min(initial=ran.cycles))
    before = ran.channel & (ran.leave <= begin)
    busy = int(ran.busy[before].sum())
    rate = float(profile.machine.dram_rate)
    text = (
        f"The array waits {waits:,.0f} cycles for DRAM before its instructions. Its weights are {weights:,} bytes, "
        f"{weights / rate:,.0f} cycles of the channel; up to its first instruction in cycle {begin:,} the channel was "
        f"busy {_share(busy, max(1, begin))} of the time"
    )
    if busy >= 0.97 * begin:
        return text + ", with what earlier layers needed first: they could not have come sooner."
    return text + "; for the rest of the time SRAM had no room, or the plan held them back."


def _fusion(profile: Profile, index: int) -> str:
    ran = profile.steps
    array = np.flatnonzero((ran.queue == QUEUE_NUMBER["array"]) | (ran.queue == QUEUE_NUMBER["vector"]))
    mine = array[ran.layer[array] == index]
    if not len(mine):
        return "It has no instruction on the array or the vector unit."
    begin, end = int(ran.start[mine].min()), int(ran.end[mine].max())
    between = array[(ran.start[array] > begin) & (ran.start[array] < end) & (ran.queue[array] == ran.queue[mine[0]])]
    others = [int(each) for each in np.unique(ran.layer[between]) if each != index]
    if others:
        names = ", ".join(profile.layers[each].statistics.name for each in others[:3])
        return f"It is: stripes of its rows alternate with those of {names}."
    layer = profile.layers[index]
    if not layer.traffic["spill"] and not layer.traffic["input"]:
        return (
            "Its input and its output lie in SRAM whole, and no activation goes through DRAM, so fusion would save "
            "no byte; it would only cost the rows that stripes compute twice."
        )
    return "The search planned other partitions to the end and found none that is clearly faster."


def _spill(profile: Profile, index: int) -> str:
    layer, kept = profile.layers[index], profile.memory
    moments = np.array(kept.occupancy.times)
    taken = np.array(kept.occupancy.taken)
    row = layer.statistics
    inside = (moments >= (row.start or 0)) & (moments <= (row.end or 0))
    most = int(taken[inside].max(initial=0))
    return (
        f"{layer.traffic['spill']:,} bytes of activations cross the channel for it. While it runs SRAM is "
        f"{_share(most, profile.machine.sram.bytes)} full."
    )


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
    if row.limited_by == "dram" and layer.traffic["weights"] > layer.traffic["spill"] + layer.traffic["input"]:
        half = layer.traffic["weights"] / 2 / float(profile.machine.dram_rate)
        said.append(f"In the model: half its weights would save up to {half:,.0f} cycles of the channel.")
    return said


def _trials(trials: Sequence[Trial], cycles: int, *, promises: bool) -> str:
    header = ("planned", *(("promised",) if promises else ()), "measured", "difference", "DRAM bytes", "options")
    rows: list[tuple[str, ...]] = []
    for trial in trials:
        promised = ("-" if trial.promised is None else f"{trial.promised:,}",) if promises else ()
        moved = "-" if trial.dram_bytes is None else count(trial.dram_bytes)
        rows.append((trial.what, *promised, *_measured(trial, cycles), moved, trial.options))
    text = table(header, rows, range(1, len(header) - 1))
    problems = [f"{trial.what}: {trial.problem}" for trial in trials if trial.problem]
    return "\n".join([text, *_wrapped(problems)])


def _measured(trial: Trial, cycles: int) -> tuple[str, str]:
    if trial.cycles is None:
        return "no plan", "-"
    return f"{trial.cycles:,}", f"{100 * (trial.cycles - cycles) / max(1, cycles):+.1f} %"


def _limit(layer: LayerProfile) -> str:
    return BINDS.get(layer.statistics.limited_by, layer.statistics.limited_by)


def _terms(layer: LayerProfile) -> str:
    terms = layer.statistics.terms
    parts = [f"{BINDS[term]} {_share(terms[term], layer.statistics.cycles)}" for term in TERMS if terms[term]]
    return ", ".join(parts) or "hidden behind other layers"


def _losses(layer: LayerProfile) -> str:
    parts = sorted(layer.losses.items(), key=lambda part: -part[1])
    seen = [f"{name} {value:,.0f}" for name, value in parts if value >= NOTICED * layer.array_cycles and value >= 0.5]
    return ", ".join(seen) or "none"


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "0 %"


def _wrapped(sentences: Sequence[str]) -> list[str]:
    return [
        line
        for sentence in sentences
        for line in textwrap.wrap(sentence, WIDTH, subsequent_indent="  ", initial_indent="  ")
    ]
