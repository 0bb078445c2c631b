"""The colours of our pictures, as different eyes see them and as a printer without colours does."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

import numpy as np
import pytest
from colorspacious import cspace_convert, deltaE

from tests.conftest import ROOT, Tool
from tools.reports.intensity import svg
from tools.reports.palette import COLOURS, MARKS

PAGE = ROOT / "tools" / "reports" / "page"
RESNET8 = ROOT / "tests" / "data" / "models" / "resnet8_cifar10_int8.onnx"

APART = 8.0
"""Least distance of two colours in CAM02-UCS, where about 1 is just noticed side by side."""

EYES = ("any", "deuteranomaly", "protanomaly", "tritanomaly", "grey")
"""The three kinds of colour blindness at their full strength, after Machado and others, 2009; and no colour at all."""

TABLE = re.compile(r"^const (\w+) = \{(.*?)\n?\};$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r'"?([\w -]+?)"?: \[(?:"[^"]*", )?COLOUR\.(\w+), "([^"]*)"\]')


def seen(colour: str, eyes: str) -> np.ndarray:
    """A colour as red, green and blue from 0 to 1, as these eyes see it."""
    given = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    if eyes == "any":
        return given
    if eyes == "grey":
        lightness = cspace_convert(given, "sRGB1", "JCh")[0]
        return cspace_convert([lightness, 0, 0], "JCh", "sRGB1")
    return np.clip(cspace_convert(given, {"name": "sRGB1+CVD", "cvd_type": eyes, "severity": 100}, "sRGB1"), 0, 1)


def distance(a: str, b: str, eyes: str) -> float:
    return float(deltaE(seen(a, eyes), seen(b, eyes), input_space="sRGB1"))


def tables() -> dict[str, list[tuple[str, str, str]]]:
    """What the page's pictures tell apart by colour: a table's rows as (what, name of the colour, hatching)."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for path in sorted(PAGE.glob("*.js")):
        for name, body in TABLE.findall(path.read_text()):
            if rows := ROW.findall(body):
                found[name] = rows
    return found


@pytest.mark.parametrize("eyes", EYES)
def test_any_two_colours_are_told_apart(eyes: str) -> None:
    near = {
        (one, other): round(distance(COLOURS[one], COLOURS[other], eyes), 1)
        for one, other in itertools.combinations(COLOURS, 2)
    }
    assert {pair: apart for pair, apart in near.items() if apart < APART} == {}


def test_colours_that_are_not_are_noticed() -> None:
    """Yellow and lime, blue and violet: a pair that most people tell apart, and some do not."""
    assert distance("#f0c43a", "#c2cf5a", "any") > APART > distance("#f0c43a", "#c2cf5a", "protanomaly")
    assert distance("#00547d", "#5a2a6b", "any") > APART > distance("#00547d", "#5a2a6b", "grey")


def test_every_picture_uses_a_colour_once_and_hatches_as_well() -> None:
    found = tables()
    assert set(found) == {"CONTENTS", "ENERGY", "KINDS", "LOSSES", "STALLS", "TERMS"}
    for rows in found.values():
        colours, hatches = [colour for _, colour, _ in rows], [hatch for *_, hatch in rows]
        assert len(set(colours)) == len(rows)
        assert set(colours) <= set(COLOURS)
        assert max(hatches.count(hatch) for hatch in hatches) <= 2  # two plain ones: the darkest and the lightest
        plain = [COLOURS[colour] for _, colour, hatch in rows if not hatch]
        for one, other in itertools.combinations(plain, 2):
            assert distance(one, other, "grey") > 5 * APART


def test_dots_and_lines_stand_out_from_white_and_have_marks() -> None:
    assert set(MARKS) < set(COLOURS.values())
    assert min(distance(colour, "#ffffff", eyes) for colour in MARKS for eyes in EYES) > 3 * APART
    assert len(set(svg.SHAPES)) == len(MARKS)


def test_no_other_colour_speaks() -> None:
    """What stands in the page's scripts beside the palette is ink, paper and grid: no hue."""
    for path in sorted(PAGE.glob("*.js")):
        for colour in re.findall(r"#([0-9a-f]{6}|[0-9a-f]{3})\b", path.read_text()):
            parts = [int(part, 16) for part in (re.findall("..", colour) if len(colour) == 6 else colour)]
            assert max(parts) - min(parts) <= 0x18, (path.name, colour)


def test_the_terminal_needs_no_colour(recon: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "FORCE_COLOR", "1")
    program = tmp_path / "r.rbin"
    printed = [
        recon("compile", RESNET8, "-o", program, "-O0"),
        recon("run", program, "--timing-only"),
        recon("compare", program, program),
        recon("check", RESNET8),
        recon("machines"),
    ]
    assert all(outcome.code == 0 for outcome in printed)
    assert "\x1b" not in "".join(outcome.out + outcome.err for outcome in printed)
