"""What ``recon compare`` prints: the machines side by side, where they differ, and what each freedom is worth."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from passes.planner.options import OBJECTIVES
from sim.machine.clock import TERMS
from sim.machine.description import load
from sim.statistics import LayerStatistics, Statistics
from tools.reports.compare import Comparison, Planned
from tools.reports.per_frame import HEADER, rows
from tools.reports.report import SHORT, WIDTH, megabytes, operator

LAYERS = 10
"""Layers shown among those that differ most."""

SIDE_BY_SIDE = 4
"""Machines shown in the table of layers."""

ABLATIONS = {
    "winograd": "no Winograd",
    "reconfiguration": "one configuration",
    "prefetch": "no prefetch",
    "residency": "no residency",
    "fusion": "no fusion",
    "order": "model's order",
}
"""How the report calls a plan without a freedom."""

STRAW_MAN = (
    "{depthwise} of {convolutions} convolutions are depthwise: one input channel per output leaves most lanes of the\n"
    "fixed array of {machines} idle, so as an opponent it is a straw man here. Judge by dense networks."
)


def report(comparison: Comparison, width: int | None = WIDTH) -> str:
    """The whole report, at most so many columns wide; None cuts nothing."""
    parts = [_machines(comparison, width)]
    if many := rows([(plan.machine, plan.cost) for plan in comparison.machines if plan.statistics is not None]):
        parts.append(grid("All numbers are of one frame in the steady state", HEADER, many, width=width))
    if len(comparison.machines) > 1:
        parts += [_terms(comparison, width), _layers(comparison, width)]
    parts.append(_ablations(comparison, width))
    if remark := _straw_man(comparison):
        parts.append(remark)
    for plan in (*comparison.machines, *comparison.ablations):
        if plan.statistics is None:
            parts.append(f"{_name(plan)}: {plan.problem}")
    return "\n\n".join(parts)


def _machines(comparison: Comparison, width: int | None) -> str:
    lines = [[plan.machine, *_costs(plan, comparison.first)] for plan in comparison.machines]
    options = comparison.options
    title = f"{comparison.model} at -O{options.level}"
    title += f" for {options.objective}" if options.objective != OBJECTIVES[0] else ""
    title += f" within {options.sram_limit:,} bytes of SRAM" if options.sram_limit else ""
    return grid(title, ("machine", *_COSTS), lines, width=width)


_COSTS = ("cycles", "ratio", "÷ bound", "÷ bound2", "used", "DRAM MB", "reconfig")


def _costs(plan: Planned, first: Statistics) -> list[str]:
    if plan.statistics is None:
        return ["-"] * len(_COSTS)
    s = plan.statistics
    return [
        f"{s.cycles:,}",
        _ratio(s.cycles, first.cycles),
        _ratio(s.cycles, s.bound_cycles, 3),
        _ratio(s.cycles, s.bound2_cycles, 3),
        f"{100 * (s.utilization or 0):.1f} %",
        megabytes(s.dram_read_bytes + s.dram_write_bytes),
        f"{s.reconfigurations}",
    ]


def _terms(comparison: Comparison, width: int | None) -> str:
    """Critical cycles by what binds them: of the first machine, and of each other one the difference."""
    base = _by_term(comparison.first)
    lines = [[comparison.machines[0].machine, *(f"{base[term]:,}" for term in TERMS)]]
    for plan in comparison.machines[1:]:
        if plan.statistics is not None:
            terms = _by_term(plan.statistics)
            lines.append([plan.machine, *(f"{terms[term] - base[term]:+,}" for term in TERMS)])
    header = ("cycles bound by", *(SHORT.get(term, term) for term in TERMS))
    return grid("Where the critical path goes, and how the others differ", header, lines, width=width)


def _by_term(statistics: Statistics) -> dict[str, int]:
    return {term: sum(layer.terms[term] for layer in statistics.layers) for term in TERMS}


def _layers(comparison: Comparison, width: int | None) -> str:
    """The layers whose shares of the critical path differ most from those on the first machine."""
    others = [plan for plan in comparison.machines[1:] if plan.statistics is not None][: SIDE_BY_SIDE - 1]
    cycles = [{layer.name: layer.cycles for layer in plan.cost.layers} for plan in others]

    def differences(layer: LayerStatistics) -> list[int]:
        return [table.get(layer.name, 0) - layer.cycles for table in cycles]

    layers = [layer for layer in comparison.first.layers if any(differences(layer))]
    layers.sort(key=lambda layer: -max(map(abs, differences(layer))))
    lines = [
        [layer.name, operator(layer.op, layer.shape), f"{layer.cycles:,}", *(f"{d:+,}" for d in differences(layer))]
        for layer in layers[:LAYERS]
    ]
    header = ("layer", "operator and shape", comparison.machines[0].machine, *(plan.machine for plan in others))
    return grid("Largest differences by layer, in cycles of the critical path", header, lines, texts=2, width=width)


def _ablations(comparison: Comparison, width: int | None) -> str:
    full = Planned(comparison.machines[0].machine, "", comparison.first)
    lines = [[_name(plan), *_costs(plan, comparison.first)] for plan in (full, *comparison.ablations)]
    return grid(f"What each freedom is worth on {full.machine}", ("plan", *_COSTS), lines, width=width)


def _name(plan: Planned) -> str:
    if not plan.without:
        return "full planner" if plan.statistics is not None else plan.machine
    used = (
        {layer.configuration for layer in plan.statistics.layers} - {""} if plan.statistics is not None else set[str]()
    )
    if plan.without == "reconfiguration" and len(used) == 1:
        return f"only {used.pop()}"
    return ABLATIONS[plan.without]


def _straw_man(comparison: Comparison) -> str:
    fixed = [plan.machine for plan in comparison.machines if all(c.g == 1 for c in load(plan.machine).configurations)]
    fixed = [name for name in fixed if load(name).configurations]
    if not comparison.depthwise or not fixed:
        return ""
    convolutions = sum(layer.op == "conv2d" for layer in comparison.first.layers)
    return STRAW_MAN.format(depthwise=comparison.depthwise, convolutions=convolutions, machines=" and ".join(fixed))


def _ratio(part: int, whole: int, digits: int = 2) -> str:
    return f"{part / whole:.{digits}f}" if whole else "-"


def grid(
    title: str, header: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1, width: int | None = WIDTH
) -> str:
    """A titled table at most so wide; only the first ``texts`` columns, which are text, are cut to fit (None: none)."""
    widths = [max(len(row[number]) for row in (header, *rows)) for number in range(len(header))]
    whole = sum(widths) + 3 * (len(header) - 1)
    limit = whole if width is None else width
    room = limit - sum(widths[texts:]) - 3 * (len(header) - 1)
    drawn = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for number, (name, wide) in enumerate(zip(header, widths, strict=True)):
        if number < texts:
            wide = min(wide, max(8, room - sum(min(other, room // texts) for other in widths[number + 1 : texts])))
            room -= wide
        drawn.add_column(
            Text(name), no_wrap=True, overflow="ellipsis", width=wide, justify="left" if number < texts else "right"
        )
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    console = Console(file=StringIO(), width=max(limit, whole), color_system=None)
    with console.capture() as capture:
        console.print(drawn)
    return "\n".join([title, *(line.rstrip() for line in capture.get().rstrip().splitlines())])
