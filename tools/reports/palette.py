"""The colours of all our pictures, in the page and in drawn files: eight that differ in lightness first.

Their lightness falls in equal steps, so everybody tells any two apart: in grey, and with any kind of colour vision.
Hatching, dashes and marks stand beside them, never instead. A picture takes its colours by name from here, none twice.
"""

from __future__ import annotations

COLOURS = {
    "navy": "#015188",
    "yellow": "#fcec53",
    "brick": "#ac2b1b",
    "sky": "#4ba0c8",
    "purple": "#53145f",
    "orange": "#fe8817",
    "green": "#0a9156",
    "pink": "#feb0ce",
}
"""In an order in which neighbours are far apart."""

MARKS = tuple(COLOURS[name] for name in ("navy", "orange", "brick", "sky", "purple", "green"))
"""For dots and lines on white, whose lightest two would fade."""
