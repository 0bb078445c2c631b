"""The founding chart as SVG, by Matplotlib: a band per model, a dot per convolution, from the first layer to the last.

The same models give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sim.machine.description import Machine
from sim.machine.errors import ReconError
from tools.reports.intensity.convolutions import Model
from tools.reports.palette import COLOURS, MARKS
from tools.reports.profile.records import Roofline, roofline

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHAPES = ("o", "s", "D", "^", "P", "v")
"""Of the models, in order, again and again; their colours differ too."""


def svg(models: Sequence[Model], machine: Machine) -> str:
    """The text of an SVG file; ReconError where Matplotlib is not installed."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise ReconError(
            "An SVG is drawn by Matplotlib, which is not installed: pip install 'recon-compiler[pictures]'; "
            "a page (-o FILE.html) needs nothing more."
        ) from None
    with matplotlib.rc_context({"svg.hashsalt": "recon", "font.size": 11, "axes.spines.right": False}):
        figure = Figure(figsize=(10, 1.6 + 1.25 * len(models)), layout="constrained")
        axes = figure.add_subplot()
        _bands(axes, models)
        _ridge(axes, roofline(machine), machine.name, len(models))
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": "recon roofline"})
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def _bands(axes: Axes, models: Sequence[Model]) -> None:
    largest = max(convolution.macs for model in models for convolution in model.convolutions)
    for band, model in enumerate(models):
        count = len(model.convolutions)
        axes.scatter(
            [convolution.intensity for convolution in model.convolutions],
            [band - 0.36 + 0.72 * (place + 0.5) / count for place in range(count)],
            s=[14 + 110 * convolution.macs / largest for convolution in model.convolutions],
            c=MARKS[band % len(MARKS)],
            marker=SHAPES[band % len(SHAPES)],
            alpha=0.75,
            linewidths=0.5,
            edgecolors="white",
        )
        if band:
            axes.axhline(band - 0.5, color="#c8ccd2", linewidth=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
    axes.set_ylim(len(models) - 0.5, -0.78)
    axes.set_yticks(range(len(models)), [f"{model.name}\n{len(model.convolutions)} convolutions" for model in models])
    axes.tick_params(axis="y", length=0)
    axes.spines["top"].set_visible(False)
    axes.grid(axis="x", color="#e3e6ea", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlabel("operations per byte of input, weights and output (two operations per multiply-accumulate)")
    axes.set_title(
        "Every convolution, from the first layer (top of its band) to the last; size: multiply-accumulates",
        loc="left",
        fontsize=11,
    )


def _ridge(axes: Axes, roof: Roofline, machine: str, models: int) -> None:
    low, high = axes.get_xlim()
    low, high = min(low, roof.ridge / 2), 1.5 * max(high, roof.ridge * 3)
    axes.set_xlim(low, high)
    axes.axvspan(low, roof.ridge, color=COLOURS["yellow"], alpha=0.13, linewidth=0)
    axes.axvline(roof.ridge, color="#222222", linewidth=1.6)
    axes.text(roof.ridge / 1.06, -0.72, f"DRAM is the limit of {machine}", ha="right", va="top", fontsize=10)
    right = f"ridge {roof.ridge:,.0f}: the array is"
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    axes.text(roof.ridge * 1.06, -0.72, right, ha="left", va="top", fontsize=10, bbox=box)
    if roof.winograd is not None:
        fast = roof.winograd / roof.bandwidth
        axes.axvline(fast, color="#222222", linewidth=1, linestyle="--")
        axes.text(fast * 1.06, models - 0.53, f"with Winograd {fast:,.0f}", ha="left", va="bottom", fontsize=10)
