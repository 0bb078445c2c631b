"""Why a layer is not planned otherwise: each answer with its counterfactual, the whole model planned with it pinned.

What the run shows says why; what the other choice would have cost is measured, never estimated. Where there is no such
plan the planner's own sentence says what is in the way.
"""

from __future__ import annotations

import numpy as np

from sim.machine.isa import BY_NAME
from sim.machine.order import QUEUE_NUMBER
from tools.reports.explain.rows import share, trials_table, wrapped
from tools.reports.explain.trials import Laboratory, Trial
from tools.reports.profile.records import Profile
from tools.reports.profile.steps import SPILL

STRIPES = (2, 4)
"""Stripes in which fusion is tried."""

NOTICED = 0.01
"""Part of a layer's cycles below which a wait is not worth a word."""


def why_nots(profile: Profile, index: int, laboratory: Laboratory) -> list[str]:
    """The questions that are asked of every layer, their answers, and what the other choice costs."""
    cycles, row = profile.statistics.cycles, profile.layers[index].statistics
    lines = ["", "Why are its weights not on chip when it begins?", *wrapped([_arrival(profile, index)])]
    if _is_late(profile, index):
        trials = [laboratory.pinned("before all others", f"{row.name}=first"), *laboratory.without(("prefetch",))]
        lines.append(trials_table(trials, cycles, promises=False))
    lines += ["", "Why is it not fused with its neighbours?", *wrapped([_fusion(profile, index)])]
    if trials := _regrouped(profile, index, laboratory):
        lines.append(trials_table(trials, cycles, promises=False))
    if profile.layers[index].traffic["spill"]:
        lines += ["", "Why do activations of it wait in DRAM?", *wrapped([_spill(profile, index)])]
        trials = [laboratory.pinned(f"result of {name} in SRAM", f"{name}=sram") for name in _spilling(profile, index)]
        lines.append(trials_table(trials, cycles, promises=False))
    return lines


def _is_late(profile: Profile, index: int) -> bool:
    layer = profile.layers[index]
    return layer.losses["DRAM"] >= NOTICED * max(1.0, layer.array_cycles)


def _arrival(profile: Profile, index: int) -> str:
    layer = profile.layers[index]
    weights = layer.traffic["weights"]
    if not _is_late(profile, index):
        return "They are: the array does not wait for DRAM before its instructions."
    ran = profile.steps
    mine = np.flatnonzero((ran.layer == index) & (ran.queue == QUEUE_NUMBER["array"]))
    begin = int(ran.start[mine].min(initial=ran.cycles))
    before = ran.channel & (ran.leave <= begin)
    busy = int(ran.busy[before].sum())
    rate = float(profile.machine.dram_rate)
    text = (
        f"The array waits {layer.losses['DRAM']:,.0f} cycles for DRAM before its instructions. Its weights are "
        f"{weights:,} bytes, {weights / rate:,.0f} cycles of the channel; up to its first instruction in cycle "
        f"{begin:,} the channel was busy {share(busy, max(1, begin))} of the time"
    )
    if busy >= 0.97 * begin:
        return text + ", with what earlier layers needed first: they could not have come sooner."
    return text + "; for the rest of the time SRAM had no room, or the plan held them back."


def _others(profile: Profile, index: int) -> list[int]:
    """Layers whose works stand between the first and the last of this one."""
    ran = profile.steps
    work = np.flatnonzero((ran.queue == QUEUE_NUMBER["array"]) | (ran.queue == QUEUE_NUMBER["vector"]))
    mine = work[ran.layer[work] == index]
    if not len(mine):
        return []
    begin, end = int(ran.start[mine].min()), int(ran.end[mine].max())
    between = work[(ran.start[work] > begin) & (ran.start[work] < end) & (ran.queue[work] == ran.queue[mine[0]])]
    return [int(each) for each in np.unique(ran.layer[between]) if each != index]


def _fusion(profile: Profile, index: int) -> str:
    ran = profile.steps
    if not (ran.layer[np.isin(ran.queue, [QUEUE_NUMBER["array"], QUEUE_NUMBER["vector"]])] == index).any():
        return "It has no instruction on the array or the vector unit."
    if others := _others(profile, index):
        names = ", ".join(profile.layers[each].statistics.name for each in others[:3])
        return f"It is: stripes of its rows alternate with those of {names}."
    layer = profile.layers[index]
    if not layer.traffic["spill"] and not layer.traffic["input"]:
        return (
            "Its input and its output lie in SRAM whole, and no activation goes through DRAM, so fusion would save "
            "no byte; it would only cost the rows that stripes compute twice."
        )
    return "The search planned other partitions to the end and found none that is clearly faster."


def _regrouped(profile: Profile, index: int, laboratory: Laboratory) -> list[Trial]:
    """The layer taken out of its group, or fused with the layer before it and the one behind it."""
    names = [layer.statistics.name for layer in profile.layers]
    if others := _others(profile, index):
        first, last = min(index, *others), max(index, *others)
        return [laboratory.pinned("each layer alone", f"{names[first]}..{names[last]}=apart")]
    pairs = [(first, first + 1) for first in (index - 1, index) if first >= 0 and first + 1 < len(names)]
    found = [
        laboratory.pinned(f"with {names[first + last - index]}, {stripes} stripes",
                          f"{names[first]}..{names[last]}=fused {stripes}")
        for first, last in pairs
        for stripes in STRIPES
    ]  # fmt: skip
    return _once(found)


def _once(trials: list[Trial]) -> list[Trial]:
    """The trials without those that fail for the reason of an earlier one."""
    seen: set[str] = set()
    kept: list[Trial] = []
    for trial in trials:
        if not trial.problem or trial.problem not in seen:
            kept.append(trial)
        seen.add(trial.problem)
    return kept


def _spill(profile: Profile, index: int) -> str:
    layer, kept = profile.layers[index], profile.memory
    moments = np.array(kept.occupancy.times)
    taken = np.array(kept.occupancy.taken)
    row = layer.statistics
    inside = (moments >= (row.start or 0)) & (moments <= (row.end or 0))
    most = int(taken[inside].max(initial=0))
    return (
        f"{layer.traffic['spill']:,} bytes of activations cross the channel for it. While it runs SRAM is "
        f"{share(most, profile.machine.sram.bytes)} full."
    )


def _spilling(profile: Profile, index: int) -> list[str]:
    """Of this layer and those that feed it, the ones that send their result to DRAM."""
    ran = profile.steps
    stored = set(ran.layer[(ran.kind == SPILL) & (ran.opcode == BY_NAME["store"].opcode)].tolist())
    feeding = [maker for maker, reader in profile.memory.edges if reader == index]
    return [profile.layers[each].statistics.name for each in (index, *feeding) if each in stored]
